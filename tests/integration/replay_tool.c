// SPDX-License-Identifier: MIT
// replay_tool RECORDS-FOLDER: gives a fresh core the recorded events of the folder's newest start
// and compares the decision records that come out with the recorded ones. Prints "EVENTS RECORDS"
// and ends with 0 when they are the same; else prints the first difference and ends with 3.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "conf.h"
#include "event_codec.h"
#include "files.h"
#include "segment.h"

typedef struct Replay {
    Arena *keep; // what lives until the end
    RecordingStart start;
    bool started;
    char *config;
    uint32_t config_len, config_total;
    Conf *confs[16];
    unsigned n_confs;
    Core *core;
    uint64_t events, failed;
    char **made, **recorded; // one text per record
    size_t n_made, n_recorded, made_capacity, recorded_capacity;
} Replay;

static void die(const char *what)
{
    fprintf(stderr, "replay_tool: %s\n", what);
    exit(1);
}

static void add_record(char ***list, size_t *n, size_t *capacity, const Record *record)
{
    if (alloc_grow((void **)list, capacity, *n + 1, sizeof(**list)) < 0 ||
        asprintf(&(*list)[*n], "%lld %s %s: %s", (long long)record->at.ns,
                 record_kind_name(record->kind), record->subject, record->facts) < 0)
        die("out of memory");
    (*n)++;
}

static const Model *take_config(Replay *replay)
{
    Error err = ERROR_INIT;
    if (replay->n_confs == ARRAY_SIZE(replay->confs))
        die("too many configurations");
    if (conf_parse("recorded", replay->config, replay->config_len, &replay->confs[replay->n_confs],
                   NULL, &err) < 0)
        die(error_text(&err));
    return &replay->confs[replay->n_confs++]->model;
}

static void start_core(Replay *replay)
{
    const Model *model = take_config(replay);
    const RecordingStart *start = &replay->start;
    int own = model_find_region(model, start->region);
    if (own < 0 || model->config_hash != start->config_hash)
        die("the recorded configuration is another one");
    CoreOptions options = {.own = (uint32_t)own,
                           .seed = start->seed,
                           .boot = start->boot,
                           .first_plan = start->first_plan,
                           .replica_sockets = start->sockets,
                           .intents = start->intents,
                           .n_intents = start->n_intents};
    Error err = ERROR_INIT;
    if (core_new(model, &options, start->now, start->wall, &replay->core, &err) < 0)
        die(error_text(&err));
}

static void step(Replay *replay, CoreEvent *event, uint64_t config_hash)
{
    if (!replay->core)
        start_core(replay);
    if (event->kind == CORE_EVENT_CONFIG) {
        event->u.model = take_config(replay);
        if (event->u.model->config_hash != config_hash)
            die("the configuration of a CONFIG event is not the one before it");
    }
    Arena *arena = arena_new(64U << 20);
    CoreUpdate update = {0};
    if (core_step(replay->core, arena, event, &update, NULL) < 0)
        replay->failed++;
    for (uint32_t i = 0; i < update.n_records; i++)
        add_record(&replay->made, &replay->n_made, &replay->made_capacity, &update.records[i]);
    replay->events++;
    (void)arena_free(arena);
}

static void read_events(Replay *replay, Cursor *cursor)
{
    Arena *arena = arena_new(64U << 20);
    EventCodec codec;
    CoreEvent event;
    uint64_t hash;
    int r = event_codec_open(&codec, arena, cursor);
    while (r >= 0 && (r = event_codec_get(&codec, cursor, &event, &hash)) == 1)
        step(replay, &event, hash);
    if (r < 0)
        die("a batch of events cannot be read");
    (void)arena_free(arena);
}

static void read_records(Replay *replay, Cursor *cursor)
{
    Arena *arena = arena_new(64U << 20);
    EventCodec codec;
    Record record;
    int r = event_codec_open(&codec, arena, cursor);
    while (r >= 0 && (r = event_codec_get_record(&codec, cursor, &record)) == 1)
        add_record(&replay->recorded, &replay->n_recorded, &replay->recorded_capacity, &record);
    if (r < 0)
        die("a batch of records cannot be read");
    (void)arena_free(arena);
}

static void read_config(Replay *replay, Cursor *cursor)
{
    RecordingConfig config;
    if (recording_get_config(cursor, &config) < 0)
        die("a piece of the configuration cannot be read");
    char *grown = config.offset ? replay->config : realloc(replay->config, config.total + 1U);
    if (!grown)
        die("out of memory");
    replay->config = grown;
    memcpy(replay->config + config.offset, config.bytes, config.len);
    replay->config_len = config.offset + config.len;
    replay->config_total = config.total;
}

// Only the newest start's segments count: an older one's came from another core.
static void read_payload(Replay *replay, uint64_t boot, bool *relevant, const void *payload,
                         size_t len)
{
    Arena *arena = arena_new(4U << 20);
    Cursor cursor;
    RecordingStart start;
    if (!arena || recording_open(payload, len, arena, &cursor) < 0)
        die("a payload cannot be read");
    int kind = recording_kind(&cursor);
    if (kind == 'S') {
        if (recording_get_start(&cursor, replay->keep, &start) < 0)
            die("a start cannot be read");
        *relevant = start.boot == boot;
        if (*relevant && !replay->started) {
            if (start.continues)
                die("the beginning of the newest start is gone");
            replay->start = start;
            replay->started = true;
        }
    } else if (*relevant && kind == 'C') {
        read_config(replay, &cursor);
    } else if (*relevant && kind == 'E') {
        read_events(replay, &cursor);
    } else if (*relevant && kind == 'R') {
        read_records(replay, &cursor);
    }
    (void)arena_free(arena);
}

static uint64_t boot_of(const char *path)
{
    char *bytes;
    size_t len, payload_len;
    const void *payload;
    RecordingStart start;
    if (files_read(path, 64U << 20, &bytes, &len, NULL) < 0)
        die(path);
    Cursor cursor = cursor_of(bytes, len);
    Arena *arena = arena_new(4U << 20);
    if (segment_next(&cursor, &payload, &payload_len) != 1)
        die("a segment without a start");
    Cursor inner = cursor_of(payload, payload_len);
    if (recording_kind(&inner) != 'S' || recording_get_start(&inner, arena, &start) < 0)
        die("a segment without a start");
    uint64_t boot = start.boot;
    (void)arena_free(arena);
    free(bytes);
    return boot;
}

static void read_segment(Replay *replay, uint64_t boot, const char *path)
{
    char *bytes;
    size_t len, payload_len;
    const void *payload;
    bool relevant = false;
    if (files_read(path, 64U << 20, &bytes, &len, NULL) < 0)
        die(path);
    Cursor cursor = cursor_of(bytes, len);
    while (segment_next(&cursor, &payload, &payload_len) == 1) // a torn tail is the end
        read_payload(replay, boot, &relevant, payload, payload_len);
    free(bytes);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_events(const struct dirent *entry)
{
    return strncmp(entry->d_name, "events.", 7) == 0;
}

static int is_records(const struct dirent *entry)
{
    return strncmp(entry->d_name, "records.", 8) == 0;
}

static void read_stream(Replay *replay, const char *folder, uint64_t *boot,
                        int (*filter)(const struct dirent *))
{
    struct dirent **entries;
    char path[4096];
    int n = scandir(folder, &entries, filter, by_name);
    if (n <= 0)
        die("no segments");
    snprintf(path, sizeof(path), "%s/%s", folder, entries[n - 1]->d_name);
    if (!*boot)
        *boot = boot_of(path);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        read_segment(replay, *boot, path);
        free(entries[i]);
    }
    free(entries);
}

// What was made after the last flush may be missing in the recorded ones, so the shorter list must
// be the beginning of the longer one.
static int compare(const Replay *replay)
{
    size_t n = replay->n_made < replay->n_recorded ? replay->n_made : replay->n_recorded;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(replay->made[i], replay->recorded[i]) != 0) {
            printf("record %zu\n made     %s\n recorded %s\n", i, replay->made[i],
                   replay->recorded[i]);
            return 3;
        }
    }
    printf("%llu %zu\n", (unsigned long long)replay->events, n);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        die("usage: replay_tool RECORDS-FOLDER");
    Replay replay = {.keep = arena_new(64U << 20)};
    uint64_t boot = 0;
    read_stream(&replay, argv[1], &boot, is_events);
    read_stream(&replay, argv[1], &boot, is_records);
    int r = compare(&replay);
    (void)core_free(replay.core);
    for (unsigned i = 0; i < replay.n_confs; i++)
        (void)conf_free(replay.confs[i]);
    for (size_t i = 0; i < replay.n_made; i++)
        free(replay.made[i]);
    for (size_t i = 0; i < replay.n_recorded; i++)
        free(replay.recorded[i]);
    free(replay.made);
    free(replay.recorded);
    free(replay.config);
    (void)arena_free(replay.keep);
    return r;
}
