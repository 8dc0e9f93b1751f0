// SPDX-License-Identifier: MIT
// rowsd_work: once a second the whole picture: reads the own database, adds what the other threads
// know, judges, publishes, writes rows.now, and says what has to be done. Its connection is to the
// own database only, so that no peer can hold it up.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "files.h"
#include "layout.h"
#include "log.h"
#include "parse.h"
#include "rowsd_state.h"

#define EVERY_NS NS_PER_S
#define FULL_ROUNDS 5 // dear counts
#define STATEMENT_NS (10 * NS_PER_S)

#define LOST_ROUNDS 2 // so many answers in a row, asked after the subscription was there

typedef struct LinkWatch {
    LagWindow lag;
    LoopWatch loop;
    SilenceWatch silence;
    bool in_loop, subscribed, disabled;
    Mono subscribed_at, lost_at; // lost_at: of the last answer that was counted
    uint32_t lost_rounds;
    LinkState said;
} LinkWatch;

typedef struct Worker {
    Rowsd *rowsd;
    Mesh *mesh;
    MeshNode *node;
    RowsdFacts facts;
    LinkWatch watches[ROWSD_NODES];
    RpoMarks marks;
    QuantileWindow minute, hour, day;
    RowsdMend mend;
    uint64_t rounds;
    Mono collected;
    bool file_said;
} Worker;

static void take_others(Worker *worker)
{
    Rowsd *rowsd = worker->rowsd;
    RowsdFacts *facts = &worker->facts;
    rowsd_lock(rowsd);
    for (uint32_t i = 0; i < facts->n; i++) {
        facts->links[i].probe = rowsd->probes[i];
        facts->links[i].probe.skew_ns -= rowsd->beat.own_skew_ns;
        facts->links[i].task = rowsd->tasks[i];
        memcpy(facts->links[i].cause, rowsd->causes[i], ROWSD_TEXT);
        if (rowsd->gaps[i].filled != 0) {
            silence_filled(&worker->watches[i].silence, clock_mono(), rowsd->gaps[i].filled);
            rowsd->gaps[i].filled = 0;
        }
    }
    facts->beats_missed = rowsd->beat.missed;
    facts->beat_at = rowsd->beat.at;
    facts->beats = rowsd->beat.good;
    facts->beats_failed = rowsd->beat.failed;
    facts->clock = rowsd->beat.clock;
    facts->restored = rowsd->restored;
    facts->rejoins = rowsd->rejoins;
    facts->gap_fills = rowsd->gap_fills;
    facts->ready = rowsd->ensured && facts->database;
    rowsd_unlock(rowsd);
}

static void watch_rpo(Worker *worker, Mono now)
{
    RowsdFacts *facts = &worker->facts;
    if (facts->database && facts->has_confirmed) {
        facts->rpo_ns =
            rpo_step(&worker->marks, now, facts->written, facts->confirmed, facts->flush_ns);
        quantile_add(&worker->minute, now, facts->rpo_ns);
        quantile_add(&worker->hour, now, facts->rpo_ns);
        quantile_add(&worker->day, now, facts->rpo_ns);
    } else if (!facts->has_confirmed) {
        facts->rpo_ns = -1; // nobody takes anything from here yet
    }
    facts->rpo_minute = quantile_read(&worker->minute, now);
    facts->rpo_hour = quantile_read(&worker->hour, now);
    facts->rpo_day = quantile_read(&worker->day, now);
}

static uint64_t reachable_but(const RowsdFacts *facts, uint32_t link)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < facts->n; i++)
        if (i != link && facts->links[i].probe.reachable && facts->links[i].in.active)
            mask |= UINT64_C(1) << i;
    return mask;
}

// The slot of a subscription that is there must be there too. An answer from before it was made
// says nothing.
static bool watch_slot(LinkWatch *watch, const RowsdLink *link, Mono now)
{
    bool subscribed = link->in.subscribed && !link->task.rejoining;
    if (subscribed && !watch->subscribed)
        watch->subscribed_at = now;
    watch->subscribed = subscribed;
    const LinkProbe *probe = &link->probe;
    if (!subscribed || !probe->reachable || !probe->slot_lost ||
        mono_since(probe->at, watch->subscribed_at) <= NS_PER_S) {
        watch->lost_rounds = 0;
    } else if (probe->at.ns != watch->lost_at.ns) {
        watch->lost_at = probe->at;
        watch->lost_rounds++;
    }
    return watch->lost_rounds >= LOST_ROUNDS;
}

// What a link's counters say now; asks for what others have to do.
static void watch_link(Worker *worker, uint32_t i, Mono now)
{
    Rowsd *rowsd = worker->rowsd;
    RowsdFacts *facts = &worker->facts;
    RowsdLink *link = &facts->links[i];
    LinkWatch *watch = &worker->watches[i];
    const LinkIn *in = &link->in;
    uint64_t applied = in->received > in->lsn ? in->received : in->lsn;
    if (link->probe.reachable && link->probe.head > 0 && applied > 0)
        lag_window_add(&watch->lag, now, applied, link->probe.head);
    link->rates = lag_rates(&watch->lag);
    link->looping =
        in->subscribed && in->enabled && loop_step(&watch->loop, now, in->errors, in->lsn);
    if (link->looping && !watch->in_loop)
        facts->loops++;
    watch->in_loop = link->looping;
    uint64_t givers = 0;
    if (in->marked)
        givers = silence_step(&watch->silence, now, (uint64_t)in->sent.ns, reachable_but(facts, i),
                              facts->beat_ns);
    if (!watch->subscribed)
        watch->silence.heard = now; // a link that is made anew
    link->silent = watch->silence.silent && watch->subscribed;
    link->lost = watch_slot(watch, link, now);
    rowsd_lock(rowsd);
    if (givers != 0 && !rowsd->gaps[i].busy && in->active)
        rowsd->gaps[i].givers |= givers;
    else if (!rowsd->gaps[i].busy)
        rowsd->gaps[i].givers = 0;
    if (link->lost && in->enabled)
        rowsd->rejoin |= UINT64_C(1) << i;
    else
        rowsd->rejoin &= ~(UINT64_C(1) << i);
    if (link->looping)
        rowsd->explain |= UINT64_C(1) << i;
    else
        rowsd->causes[i][0] = '\0';
    if (in->node && in->active && (!in->subscribed || !in->filled) && link->probe.reachable)
        rowsd->ensure = true;
    // Tables that were federated while it was disabled are not part of it.
    if (watch->disabled && in->enabled)
        rowsd->ensure = true;
    watch->disabled = in->subscribed && !in->enabled;
    rowsd_unlock(rowsd);
}

static void say_states(Worker *worker)
{
    for (uint32_t i = 0; i < worker->facts.n; i++) {
        const RowsdLink *link = &worker->facts.links[i];
        LinkWatch *watch = &worker->watches[i];
        if (link->state == watch->said)
            continue;
        bool good = link->state == LINK_STATE_STREAMING || link->state == LINK_STATE_FILLING;
        log_at(good ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "link", link->region,
               LOG_TEXT("state", link_state_word(link->state)),
               LOG_TEXT("was", link_state_word(watch->said)), LOG_TEXT("why", link->why));
        watch->said = link->state;
    }
}

static void say_alarms(const RowsdFacts *facts, const RowsdAlarm *before, uint32_t n_before)
{
    for (uint32_t i = 0; i < facts->n_alarms; i++) {
        bool old = false;
        for (uint32_t k = 0; k < n_before; k++)
            old = old || strcmp(before[k].name, facts->alarms[i].name) == 0;
        if (!old)
            log_warning("alarm raised", facts->alarms[i].name,
                        LOG_TEXT("text", facts->alarms[i].text));
    }
    for (uint32_t k = 0; k < n_before; k++) {
        bool stands = false;
        for (uint32_t i = 0; i < facts->n_alarms; i++)
            stands = stands || strcmp(before[k].name, facts->alarms[i].name) == 0;
        if (!stands)
            log_info("alarm cleared", before[k].name);
    }
}

// What other programs of the region read without asking: rows.now, replaced as a whole.
static void write_now(Worker *worker)
{
    const RowsdFacts *facts = &worker->facts;
    Buf text CLEANUP(buf_done) = BUF_INIT(65536);
    buf_printf(&text, "{\"at_ms\": %lld, \"rpo_ms\": ", (long long)(clock_wall().ns / NS_PER_MS));
    if (facts->rpo_ns >= 0)
        buf_printf(&text, "%lld", (long long)(facts->rpo_ns / NS_PER_MS));
    else
        buf_add_text(&text, "null");
    buf_add_text(&text, ", \"alarms\": [");
    for (uint32_t i = 0; i < facts->n_alarms; i++) {
        buf_printf(&text, "%s{\"name\": \"%s\", \"text\": ", i > 0 ? ", " : "",
                   facts->alarms[i].name);
        buf_add_json_string(&text, facts->alarms[i].text);
        buf_add_char(&text, '}');
    }
    buf_add_text(&text, "]}\n");
    const LayoutPath path = layout_region(worker->rowsd->dir, worker->rowsd->region, "rows.now");
    const FilesWrite options = {.no_sync = true};
    Error err = ERROR_INIT;
    bool failed =
        buf_check(&text) < 0 || files_replace(path.text, text.data, text.len, &options, &err) < 0;
    if (failed && !worker->file_said)
        log_warning("rows.now not written", path.text, LOG_TEXT("error", error_text(&err)));
    worker->file_said = failed;
    error_done(&err);
}

static void collect(Worker *worker, Mono now)
{
    const RowsdSettings *settings = &worker->rowsd->settings;
    if (!worker->facts.database || !worker->facts.federated ||
        mono_since(now, worker->collected) < settings->collect_ns)
        return;
    worker->collected = now;
    char margin[32];
    const char *params[] = {margin};
    (void)snprintf(margin, sizeof margin, "%lld ms", (long long)(settings->margin_ns / NS_PER_MS));
    PGresult *result = NULL;
    Error err = ERROR_INIT;
    int r = mesh_query(worker->mesh, worker->node, "SELECT * FROM wildcam.collect($1::interval)", 1,
                       params, &result, &err);
    if (r < 0) {
        log_warning("not collected", worker->node->region, LOG_TEXT("error", error_text(&err)));
    } else if (PQntuples(result) == 1) {
        uint64_t counts[2] = {0, 0};
        for (int i = 0; i < 2; i++) {
            const char *text = PQgetvalue(result, 0, i);
            if (parse_u64(text, strlen(text), UINT64_MAX, &counts[i]) < 0)
                counts[i] = 0;
        }
        worker->facts.collected_rows += counts[0];
        worker->facts.collected_tombstones += counts[1];
        worker->facts.collected_at = now;
    }
    PQclear(result);
    error_done(&err);
}

static void publish(Worker *worker)
{
    rowsd_lock(worker->rowsd);
    worker->rowsd->facts = worker->facts;
    bool pending =
        worker->rowsd->ensure || worker->rowsd->rejoin != 0 || worker->rowsd->explain != 0;
    for (uint32_t i = 0; i < worker->facts.n; i++)
        pending = pending || worker->rowsd->gaps[i].givers != 0;
    rowsd_unlock(worker->rowsd);
    if (pending)
        rowsd_kick(worker->rowsd);
}

static void want_schema(Rowsd *rowsd)
{
    rowsd_lock(rowsd);
    rowsd->ensure = true;
    rowsd_unlock(rowsd);
}

static void work_once(Worker *worker)
{
    Rowsd *rowsd = worker->rowsd;
    RowsdFacts *facts = &worker->facts;
    Error err = ERROR_INIT;
    if (worker->node->conn == NULL && mesh_reconnect(worker->mesh) == 0) {
        facts->database = false;
        (void)snprintf(facts->database_why, sizeof facts->database_why, "%s",
                       error_text(&worker->node->why));
    } else if (rowsd_facts_read(worker->mesh, worker->node, worker->rounds % FULL_ROUNDS == 0,
                                facts, &err) >= 0) {
        worker->rounds++;
    }
    error_done(&err);
    rowsd_lock(rowsd);
    facts->read_at = wall_add(clock_wall(), -rowsd->beat.own_skew_ns);
    rowsd_unlock(rowsd);
    Mono now = facts->read_mono = clock_mono();
    take_others(worker);
    if (facts->database && facts->federated)
        for (uint32_t i = 0; i < facts->n; i++)
            watch_link(worker, i, now);
    else if (facts->database)
        want_schema(rowsd);
    watch_rpo(worker, now);
    rowsd_facts_judge(facts, rowsd->settings.max_lag_ns, now, facts->read_at);
    RowsdAlarm before[ROWSD_ALARMS];
    uint32_t n_before = facts->n_alarms;
    memcpy(before, facts->alarms, sizeof before);
    rowsd_facts_alarms(facts, rowsd->settings.max_lag_ns, rowsd->settings.rpo_ns, now);
    say_states(worker);
    say_alarms(facts, before, n_before);
    publish(worker);
    write_now(worker);
    if (facts->database && facts->federated)
        rowsd_mend(rowsd, &worker->mend, worker->mesh, facts, now);
    collect(worker, now);
}

static Worker *worker_new(Rowsd *rowsd)
{
    Worker *worker = alloc_zeroed(1, sizeof *worker);
    if (worker == NULL)
        return NULL;
    worker->rowsd = rowsd;
    worker->facts = rowsd->shape;
    worker->facts.serving = true;
    worker->facts.beat_ns = rowsd->settings.beat_ns;
    worker->facts.clock_limit_ns = rowsd->settings.max_skew_ns;
    worker->facts.slot_limit_ppm = rowsd->conf->rows.slot_limit_ppm;
    worker->collected = clock_mono(); // the first one a while after the start
    quantile_init(&worker->minute, 60 * NS_PER_S, 12);
    quantile_init(&worker->hour, 3600 * NS_PER_S, 60);
    quantile_init(&worker->day, 86400 * NS_PER_S, 96);
    return worker;
}

void *rowsd_work_main(void *context)
{
    Rowsd *rowsd = context;
    Worker *worker = worker_new(rowsd);
    if (worker == NULL) {
        log_error("no memory", "work");
        return NULL;
    }
    worker->mesh = rowsd_open(rowsd, "wildcam-rows work", UINT64_C(1) << rowsd->own, STATEMENT_NS);
    Mono next = clock_mono();
    while (worker->mesh != NULL && rowsd_pause(rowsd, next)) {
        if (mono_since(next, clock_mono()) > 0)
            continue;
        worker->node = &worker->mesh->nodes[0];
        work_once(worker);
        next = mono_max(mono_add(next, EVERY_NS), clock_mono());
    }
    (void)mesh_free(worker->mesh);
    free(worker);
    return NULL;
}
