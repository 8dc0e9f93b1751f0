// SPDX-License-Identifier: MIT
// replay: see replay.h.
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "conf.h"
#include "history.h"
#include "intents.h"
#include "snapshot.h"

#define STEP_ARENA ((size_t)64 << 20)
#define CONFS_MAX 256 // reloads in one start

typedef struct Replay {
    ReplayResult *result;
    ReplayRecorded *recorded;
    ReplayTell *tell;
    void *context;
    Arena *keep, *step;   // keep: of the start under way
    RecordingStart start; // of the start under way
    bool known, usable;   // a start was read; and nothing is missing since the core began
    bool fresh;           // the core was just loaded: compare from its first event on
    HistoryPieces config; // newest of this stream
    HistoryPieces snapshot;
    Conf *confs[CONFS_MAX]; // that the core was given; it points into them
    unsigned n_confs;
    Core *core;
    ReplayDifference difference;
} Replay;

static void free_core(Replay *replay)
{
    replay->core = core_free(replay->core);
    for (unsigned i = 0; i < replay->n_confs; i++)
        replay->confs[i] = conf_free(replay->confs[i]);
    replay->n_confs = 0;
}

static void end_start(Replay *replay)
{
    free_core(replay);
    arena_reset(replay->keep);
}

static int take_config(Replay *replay, uint64_t hash, const Model **ret_model, Error *reterr)
{
    if (replay->n_confs == CONFS_MAX)
        return error_set(reterr, ERROR_LIMIT, "more than %d configurations in one start",
                         CONFS_MAX);
    if (replay->config.bytes == NULL)
        return error_set(reterr, ERROR_FORMAT, "a segment without its configuration");
    Conf **conf = &replay->confs[replay->n_confs];
    int r = conf_parse("recorded fleet.yaml", replay->config.bytes, replay->config.len, conf, NULL,
                       reterr);
    if (r < 0)
        return error_wrap(reterr, r, "recorded configuration");
    replay->n_confs++;
    if ((*conf)->model.config_hash != hash)
        return error_set(reterr, ERROR_FORMAT, "the recorded configuration is another one");
    *ret_model = &(*conf)->model;
    return 0;
}

static int core_options(const Replay *replay, const Model *model, CoreOptions *options,
                        Error *reterr)
{
    const RecordingStart *start = &replay->start;
    int own = model_find_region(model, start->region);
    if (own < 0 || model->regions[own].replicas > start->n_sockets)
        return error_set(reterr, ERROR_FORMAT, "region '%s' is not in its own configuration",
                         start->region);
    *options = (CoreOptions){.own = (uint32_t)own,
                             .seed = start->seed,
                             .boot = start->boot,
                             .first_plan = start->first_plan,
                             .replica_sockets = start->sockets,
                             .intents = start->intents,
                             .n_intents = start->n_intents};
    return 0;
}

static int start_core(Replay *replay, Error *reterr)
{
    const RecordingStart *start = &replay->start;
    const Model *model = NULL;
    CoreOptions options;
    int r = take_config(replay, start->config_hash, &model, reterr);
    if (r == 0)
        r = core_options(replay, model, &options, reterr);
    if (r == 0)
        r = core_new(model, &options, start->now, start->wall, &replay->core, reterr);
    if (r == 0)
        replay_compare_start(replay->recorded, start->boot, start->now);
    return r;
}

// A core that runs already needs none. One that cannot be loaded is passed over: the next may do.
static int take_snapshot(Replay *replay, Error *reterr)
{
    const Model *model = NULL;
    CoreOptions options;
    if (replay->usable)
        return 0;
    free_core(replay);
    Conf **conf = &replay->confs[0];
    int r = replay->config.bytes != NULL ? conf_parse("recorded fleet.yaml", replay->config.bytes,
                                                      replay->config.len, conf, NULL, reterr)
                                         : ERROR_FORMAT;
    if (r == 0) {
        replay->n_confs = 1;
        model = &(*conf)->model;
        r = core_options(replay, model, &options, reterr);
    }
    if (r == 0)
        r = core_load(model, &options, replay->snapshot.bytes, replay->snapshot.len, &replay->core,
                      reterr);
    if (r == ERROR_MEMORY)
        return error_set(reterr, r, "out of memory");
    if (r < 0) {
        error_done(reterr);
        replay->result->damaged++;
        return 0;
    }
    replay->usable = replay->fresh = true;
    replay->result->resumed++;
    return 0;
}

static void take_update(Replay *replay, const CoreEvent *event, const CoreUpdate *update)
{
    ReplayResult *result = replay->result;
    for (uint32_t i = 0; i < update->n_records; i++) {
        if (replay->tell != NULL)
            replay->tell(replay->context, &update->records[i], event->wall);
        result->records += replay_compare_record(replay->recorded, &update->records[i], event->wall,
                                                 &replay->difference);
    }
    if (update->plan != NULL)
        result->plans +=
            replay_compare_plan(replay->recorded, update->plan, event->wall, &replay->difference);
}

static int step(Replay *replay, CoreEvent *event, uint64_t config_hash, Error *reterr)
{
    ReplayResult *result = replay->result;
    int r = replay->core == NULL ? start_core(replay, reterr) : 0;
    if (r == 0 && event->kind == CORE_EVENT_CONFIG)
        r = take_config(replay, config_hash, &event->u.model, reterr);
    if (r < 0)
        return r;
    if (replay->fresh)
        replay_compare_start(replay->recorded, replay->start.boot, event->now);
    replay->fresh = false;
    if (result->events++ == 0)
        result->from = event->wall;
    result->until = event->wall;
    CoreUpdate update = {0};
    arena_reset(replay->step);
    if (core_step(replay->core, replay->step, event, &update, NULL) < 0)
        result->refused++;
    else
        take_update(replay, event, &update);
    return 0;
}

// The start of a segment: it goes on with the agent's start under way, or begins another one.
static int take_start(Replay *replay, const HistoryItem *item, Error *reterr)
{
    const RecordingStart *start = item->start;
    if (replay->known && start->boot == replay->start.boot) {
        replay->usable = replay->usable && !item->gap;
        return 0;
    }
    end_start(replay);
    replay->known = true;
    replay->usable = !start->continues;
    replay->result->starts++;
    replay->fresh = false;
    replay->start = *start;
    replay->start.region = arena_strndup(replay->keep, start->region, strlen(start->region));
    const char **sockets = arena_new_array(replay->keep, const char *, start->n_sockets + 1);
    Intent *intents = NULL;
    if (replay->start.region == NULL || sockets == NULL ||
        intent_copy(replay->keep, start->intents, start->n_intents, &intents) < 0)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    for (uint32_t i = 0; i < start->n_sockets; i++)
        sockets[i] = arena_strndup(replay->keep, start->sockets[i], strlen(start->sockets[i]));
    replay->start.sockets = sockets;
    replay->start.intents = intents;
    (void)snprintf(replay->result->region, sizeof replay->result->region, "%s", start->region);
    return 0;
}

static int take_events(Replay *replay, HistoryItem *item, Error *reterr)
{
    EventCodec *codec = arena_new_of(item->arena, EventCodec);
    CoreEvent event;
    uint64_t hash;
    if (codec == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    int r = event_codec_open(codec, item->arena, &item->cursor), more = r;
    while (r == 0 && (more = event_codec_get(codec, &item->cursor, &event, &hash)) == 1)
        r = step(replay, &event, hash, reterr);
    if (r == 0 && more < 0) {
        replay->result->damaged++;
        replay->usable = false; // events are missing from here on
    }
    return r;
}

static int visit(void *context, HistoryItem *item, Error *reterr)
{
    Replay *replay = context;
    RecordingConfig config;
    if (item->first)
        return take_start(replay, item, reterr);
    if (item->kind == 'C' && recording_get_config(&item->cursor, &config) == 0) {
        int r = history_add_piece(&replay->config, config.offset, config.total, config.bytes,
                                  config.len);
        return r < 0 ? error_set(reterr, r, "a piece of the configuration does not fit") : 0;
    }
    if (item->kind == 'K' && recording_get_snapshot(&item->cursor, &config) == 0) {
        int r = history_add_piece(&replay->snapshot, config.offset, config.total, config.bytes,
                                  config.len);
        if (r == 1)
            return take_snapshot(replay, reterr);
        return r < 0 ? error_set(reterr, r, "a piece of a snapshot does not fit") : 0;
    }
    return item->kind == 'E' && replay->usable ? take_events(replay, item, reterr) : 0;
}

int replay_run(const char *folder, ReplayTell *tell, void *context, ReplayResult *ret_result,
               Error *reterr)
{
    *ret_result = (ReplayResult){0};
    ReplayRecorded *recorded CLEANUP(replay_recorded_freep) = NULL;
    int r = replay_recorded_read(folder, &recorded, reterr);
    if (r < 0)
        return r;
    Replay *replay CLEANUP(alloc_freep) = alloc_zeroed(1, sizeof *replay);
    if (replay == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    *replay = (Replay){.result = ret_result,
                       .recorded = recorded,
                       .tell = tell,
                       .context = context,
                       .keep = arena_new(STEP_ARENA),
                       .step = arena_new(STEP_ARENA)};
    HistoryCounts counts;
    r = replay->keep != NULL && replay->step != NULL
            ? history_read(folder, "events", visit, replay, &counts, reterr)
            : error_set(reterr, ERROR_MEMORY, "out of memory");
    if (r == 0)
        ret_result->damaged += counts.damaged;
    ret_result->difference = replay->difference;
    end_start(replay);
    history_pieces_done(&replay->config);
    history_pieces_done(&replay->snapshot);
    (void)arena_free(replay->keep);
    (void)arena_free(replay->step);
    return r;
}
