// SPDX-License-Identifier: MIT
// recording: every kind of event comes back as it went in; segments are bounded, each can be read
// from its start; damage and torn tails end the reading and nothing else; a full disk costs
// batches.
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "arena.h"
#include "buf.h"
#include "event_codec.h"
#include "files.h"
#include "recording.h"
#include "report_json.h"
#include "rng.h"
#include "samples.h"
#include "segment.h"
#include "unit.h"

static char folder[128];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/wildcam-recording-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    return files_remove_tree(folder, NULL);
}

// --- Codec ---

static const Model MODEL = {.config_hash = UINT64_C(0xfedcba9876543210)};
static Report report;

// One event of each kind, with times that go both ways and extreme values.
static uint32_t sample_events(CoreEvent *events)
{
    report = sample_report();
    static const Intent *intent = &SAMPLE_INTENTS[0];
    uint32_t n = 0;
    events[n++] = (CoreEvent){.now = {5}, .wall = {-7}, .kind = CORE_EVENT_TICK};
    events[n++] = (CoreEvent){.now = {INT64_MAX},
                              .wall = {INT64_MIN},
                              .kind = CORE_EVENT_PROBE_ANSWERED,
                              .id = UINT64_MAX,
                              .gateway = UINT32_MAX};
    events[n++] = (CoreEvent){.now = {INT64_MIN},
                              .wall = {INT64_MAX},
                              .kind = CORE_EVENT_PROBE_FAILED,
                              .id = 3,
                              .gateway = 1};
    events[n++] =
        (CoreEvent){.now = {100}, .wall = {200}, .kind = CORE_EVENT_IDLE_CLOSED, .gateway = 4};
    events[n++] =
        (CoreEvent){.now = {101}, .wall = {201}, .kind = CORE_EVENT_REPORT, .u.report = &report};
    events[n++] = (CoreEvent){.now = {102},
                              .wall = {202},
                              .kind = CORE_EVENT_EDGE,
                              .u.edge = {.gateway = 2,
                                         .successes = UINT32_MAX,
                                         .failures = 7,
                                         .any_success = true,
                                         .success_sent = {-1},
                                         .load_rps = 900}};
    events[n++] = (CoreEvent){.now = {103},
                              .wall = {203},
                              .kind = CORE_EVENT_REPLICA,
                              .id = 12,
                              .u.replica = {.replica = 1, .answered = true, .classes = 3}};
    events[n++] =
        (CoreEvent){.now = {104}, .wall = {204}, .kind = CORE_EVENT_INTENT, .u.intent = intent};
    events[n++] =
        (CoreEvent){.now = {105}, .wall = {205}, .kind = CORE_EVENT_CONFIG, .u.model = &MODEL};
    events[n++] =
        (CoreEvent){.now = {106}, .wall = {206}, .kind = CORE_EVENT_REPORT, .u.report = &report};
    return n;
}

static void assert_same_json(const Buf *a, const Buf *b)
{
    assert_int_equal(buf_check(a), 0);
    assert_string_equal(buf_text(a), buf_text(b));
}

// Reports and intents are compared by what a peer would see of them.
static void assert_same_event(const CoreEvent *a, const CoreEvent *b, uint64_t config_hash)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->now.ns, b->now.ns);
    assert_int_equal(a->wall.ns, b->wall.ns);
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->gateway, b->gateway);
    Buf x = BUF_INIT(0), y = BUF_INIT(0);
    switch (a->kind) {
    case CORE_EVENT_REPORT:
        assert_int_equal(report_json_encode(a->u.report, &x), 0);
        assert_int_equal(report_json_encode(b->u.report, &y), 0);
        assert_same_json(&x, &y);
        break;
    case CORE_EVENT_INTENT:
        assert_int_equal(intents_json_encode(a->u.intent, 1, &x), 0);
        assert_int_equal(intents_json_encode(b->u.intent, 1, &y), 0);
        assert_same_json(&x, &y);
        break;
    case CORE_EVENT_EDGE:
        assert_int_equal(a->u.edge.gateway, b->u.edge.gateway);
        assert_int_equal(a->u.edge.successes, b->u.edge.successes);
        assert_int_equal(a->u.edge.failures, b->u.edge.failures);
        assert_int_equal(a->u.edge.any_success, b->u.edge.any_success);
        assert_int_equal(a->u.edge.success_sent.ns, b->u.edge.success_sent.ns);
        assert_int_equal(a->u.edge.load_rps, b->u.edge.load_rps);
        break;
    case CORE_EVENT_REPLICA:
        assert_int_equal(a->u.replica.replica, b->u.replica.replica);
        assert_int_equal(a->u.replica.answered, b->u.replica.answered);
        assert_int_equal(a->u.replica.classes, b->u.replica.classes);
        break;
    case CORE_EVENT_CONFIG:
        assert_int_equal(config_hash, a->u.model->config_hash);
        break;
    default:
        break;
    }
    buf_done(&x);
    buf_done(&y);
}

static uint32_t encode_batch(Buf *buf, CoreEvent *events)
{
    Arena *arena = arena_new(1U << 20);
    EventCodec codec;
    uint32_t n = sample_events(events);
    assert_int_equal(event_codec_begin(&codec, arena, 'E', (Mono){50}, (Wall){60}, buf), 0);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(event_codec_put(&codec, buf, &events[i]), 0);
    arena_free(arena);
    return n;
}

static void test_events_round_trip(void **state)
{
    (void)state;
    CoreEvent events[16], event;
    Buf buf = BUF_INIT(0);
    uint32_t n = encode_batch(&buf, events);
    Arena *arena = arena_new(1U << 20);
    Cursor cursor = cursor_of(buf.data, buf.len);
    EventCodec codec;
    uint64_t config_hash;
    assert_int_equal(recording_kind(&cursor), 'E');
    assert_int_equal(event_codec_open(&codec, arena, &cursor), 0);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(event_codec_get(&codec, &cursor, &event, &config_hash), 1);
        assert_same_event(&events[i], &event, config_hash);
    }
    assert_int_equal(event_codec_get(&codec, &cursor, &event, &config_hash), 0);
    arena_free(arena);
    buf_done(&buf);
}

static int decode_all(const void *bytes, size_t len)
{
    Arena *arena = arena_new(4U << 20);
    Cursor cursor = cursor_of(bytes, len);
    EventCodec codec;
    CoreEvent event;
    uint64_t config_hash;
    int r =
        recording_kind(&cursor) == 'E' ? event_codec_open(&codec, arena, &cursor) : ERROR_FORMAT;
    for (int more = 1; r == 0 && more == 1;) {
        more = event_codec_get(&codec, &cursor, &event, &config_hash);
        r = more < 0 ? more : 0;
    }
    arena_free(arena);
    return r;
}

// Truncated or damaged bytes are refused or read as something else, never beyond their end (the
// sanitizers watch).
static void test_damaged_batches(void **state)
{
    (void)state;
    CoreEvent events[16];
    Buf buf = BUF_INIT(0);
    encode_batch(&buf, events);
    unsigned refused = 0;
    for (size_t len = 0; len < buf.len; len += 1 + len / 64) {
        char *exact = malloc(len ? len : 1);
        memcpy(exact, buf.data, len);
        refused += decode_all(exact, len) < 0;
        free(exact);
    }
    assert_true(refused > 50);
    Rng rng = rng_seeded(1);
    char *copy = malloc(buf.len);
    for (unsigned i = 0; i < 2000; i++) {
        memcpy(copy, buf.data, buf.len);
        for (unsigned k = 0; k < 3; k++)
            copy[rng_below(&rng, buf.len)] = (char)rng_next(&rng);
        (void)decode_all(copy, buf.len);
    }
    free(copy);
    buf_done(&buf);
}

static void test_deflated(void **state)
{
    (void)state;
    CoreEvent events[16];
    Buf buf = BUF_INIT(0), small = BUF_INIT(0);
    encode_batch(&buf, events);
    assert_int_equal(recording_deflate(buf.data, buf.len, &small), 0);
    assert_true(small.len < buf.len);
    Arena *arena = arena_new(4U << 20);
    Cursor cursor;
    assert_int_equal(recording_open(small.data, small.len, arena, &cursor), 0);
    assert_int_equal(cursor.len, buf.len);
    assert_memory_equal(cursor.data, buf.data, buf.len);
    for (size_t len = 1; len < small.len; len++)
        assert_int_equal(recording_open(small.data, len, arena, &cursor), ERROR_FORMAT);
    small.data[1]++; // another length than it has
    assert_int_equal(recording_open(small.data, small.len, arena, &cursor), ERROR_FORMAT);
    small.data[4] = 0x7f; // a huge one
    assert_int_equal(recording_open(small.data, small.len, arena, &cursor), ERROR_FORMAT);
    arena_free(arena);
    buf_done(&small);
    buf_done(&buf);
}

static RecordingStart sample_start(void)
{
    static const char *const SOCKETS[] = {"/run/a/backend-1.sock", "/run/a/backend-2.sock"};
    return (RecordingStart){.version = RECORDING_VERSION,
                            .region = "us-west-2",
                            .program = "0.1.0",
                            .config_hash = 1,
                            .seed = UINT64_MAX,
                            .boot = 3,
                            .first_plan = 4,
                            .now = {5},
                            .wall = {6},
                            .n_sockets = 2,
                            .sockets = SOCKETS,
                            .n_intents = SAMPLE_N_INTENTS,
                            .intents = SAMPLE_INTENTS};
}

static void test_start_round_trip(void **state)
{
    (void)state;
    RecordingStart start = sample_start(), got;
    Buf buf = BUF_INIT(0);
    assert_int_equal(recording_put_start(&buf, &start), 0);
    Arena *arena = arena_new(1U << 20);
    Cursor cursor = cursor_of(buf.data, buf.len);
    assert_int_equal(recording_kind(&cursor), 'S');
    assert_int_equal(recording_get_start(&cursor, arena, &got), 0);
    assert_string_equal(got.region, "us-west-2");
    assert_int_equal(got.seed, UINT64_MAX);
    assert_int_equal(got.boot, 3);
    assert_int_equal(got.first_plan, 4);
    assert_int_equal(got.now.ns, 5);
    assert_int_equal(got.n_sockets, 2);
    assert_string_equal(got.sockets[1], "/run/a/backend-2.sock");
    assert_int_equal(got.n_intents, SAMPLE_N_INTENTS);
    Buf x = BUF_INIT(0), y = BUF_INIT(0);
    assert_int_equal(intents_json_encode(got.intents, got.n_intents, &x), 0);
    assert_int_equal(intents_json_encode(SAMPLE_INTENTS, SAMPLE_N_INTENTS, &y), 0);
    assert_same_json(&x, &y);
    buf_done(&x);
    buf_done(&y);
    buf_done(&buf);
    arena_free(arena);
}

// --- Segments ---

static Recording *start_recording(uint64_t segment_bytes, uint32_t keep)
{
    RecordingOptions options = {.folder = folder,
                                .start = sample_start(),
                                .config = "fleet: {}\n",
                                .config_len = 10,
                                .event_bytes = segment_bytes,
                                .record_bytes = segment_bytes,
                                .event_segments = keep,
                                .record_segments = keep};
    Recording *recording;
    Error err = ERROR_INIT;
    if (recording_new(&options, &recording, &err) < 0)
        fail_msg("%s", error_text(&err));
    return recording;
}

typedef struct Found {
    unsigned segments, events, records, starts, configs;
    uint64_t bytes;
    uint64_t last_id;
    bool ordered;
} Found;

static void read_payload(Found *found, const void *payload, size_t len)
{
    Arena *arena = arena_new(4U << 20);
    Cursor cursor;
    EventCodec codec;
    CoreEvent event;
    Record record;
    RecordingStart start;
    RecordingConfig config;
    uint64_t hash;
    assert_int_equal(recording_open(payload, len, arena, &cursor), 0);
    switch (recording_kind(&cursor)) {
    case 'S':
        assert_int_equal(recording_get_start(&cursor, arena, &start), 0);
        found->starts++;
        break;
    case 'C':
        assert_int_equal(recording_get_config(&cursor, &config), 0);
        assert_int_equal(config.len, config.total);
        found->configs++;
        break;
    case 'E':
        assert_int_equal(event_codec_open(&codec, arena, &cursor), 0);
        while (event_codec_get(&codec, &cursor, &event, &hash) == 1) {
            found->events++;
            found->ordered = found->ordered && event.id > found->last_id;
            found->last_id = event.id;
        }
        break;
    case 'R':
        assert_int_equal(event_codec_open(&codec, arena, &cursor), 0);
        while (event_codec_get_record(&codec, &cursor, &record) == 1) {
            assert_string_equal(record.facts, "because");
            found->records++;
        }
        break;
    default:
        fail_msg("unknown payload");
    }
    arena_free(arena);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static Found read_segments(const char *prefix)
{
    Found found = {.ordered = true};
    char names[512][128];
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            snprintf(names[found.segments++], 128, "%.127s", entry->d_name);
    closedir(dir);
    qsort(names, found.segments, 128, by_name);
    for (unsigned i = 0; i < found.segments; i++) {
        char path[512], *bytes;
        size_t len, payload_len;
        snprintf(path, sizeof(path), "%s/%.127s", folder, names[i]);
        assert_int_equal(files_read(path, 64U << 20, &bytes, &len, NULL), 0);
        found.bytes += len;
        Cursor cursor = cursor_of(bytes, len);
        const void *payload;
        int r;
        while ((r = segment_next(&cursor, &payload, &payload_len)) == 1)
            read_payload(&found, payload, payload_len);
        assert_int_equal(r, 0);
        free(bytes);
    }
    return found;
}

static void test_segments_are_bounded(void **state)
{
    (void)state;
    Recording *recording = start_recording(8192, 3);
    Rng rng = rng_seeded(7); // times that cannot be deflated
    for (uint64_t id = 1; id <= 20000; id++) {
        CoreEvent event = {.now = {(int64_t)rng_next(&rng)},
                           .wall = {(int64_t)rng_next(&rng)},
                           .kind = CORE_EVENT_PROBE_ANSWERED,
                           .id = id};
        recording_add_event(recording, &event);
        if (id % 200 == 0)
            recording_flush(recording);
        Record record = {
            .kind = RECORD_SICK, .at = event.now, .subject = "self", .facts = "because"};
        recording_add_record(recording, &record, (Wall){0});
    }
    recording = recording_free(recording);
    Found events = read_segments("events."), records = read_segments("records.");
    assert_in_range(events.bytes, 8192, 3 * 8192);
    assert_true(events.segments >= 3);
    assert_int_equal(events.starts, events.segments);
    assert_int_equal(events.configs, events.segments);
    assert_true(events.ordered);
    assert_int_equal(events.last_id, 20000);
    assert_true(events.events > 500);
    assert_in_range(records.bytes, 8192, 2 * 8192 + SEGMENT_FRAME_MAX); // or one whole batch
    assert_true(records.records > 100);
    // The next start goes on behind them.
    recording = start_recording(8192, 3);
    CoreEvent event = {.kind = CORE_EVENT_PROBE_ANSWERED, .id = 20001};
    recording_add_event(recording, &event);
    recording = recording_free(recording);
    events = read_segments("events.");
    assert_int_equal(events.last_id, 20001);
    assert_in_range(events.bytes, 8192, 3 * 8192);
}

// A program that starts again and again erases nothing: its segments are small. Their number has a
// bound of its own.
static void test_restarts_erase_nothing(void **state)
{
    (void)state;
    CoreEvent event = {.kind = CORE_EVENT_PROBE_ANSWERED};
    for (event.id = 1; event.id <= 300; event.id++) {
        Recording *recording = start_recording(0, 8);
        recording_add_event(recording, &event);
        recording = recording_free(recording);
        if (event.id != 100)
            continue;
        Found found = read_segments("events.");
        assert_int_equal(found.segments, 100);
        assert_int_equal(found.events, 100);
    }
    Found found = read_segments("events.");
    assert_int_equal(found.segments, 256);
    assert_int_equal(found.events, 256);
    assert_int_equal(found.last_id, 300);
}

static void test_large_reports(void **state)
{
    (void)state;
    report = sample_report();
    Recording *recording = start_recording(0, 0);
    for (uint64_t i = 1; i <= 3000; i++) {
        CoreEvent event = {.kind = CORE_EVENT_REPORT, .id = i, .u.report = &report};
        recording_add_event(recording, &event);
    }
    assert_int_equal(recording_status(recording).dropped_batches, 0);
    recording = recording_free(recording);
    Found found = read_segments("events.");
    assert_int_equal(found.events, 3000);
}

// A full disk is played by the limit on a file's size: what does not fit is dropped and said; later
// writing goes on in a new segment.
static void test_full_disk(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    Recording *recording = start_recording(1U << 20, 4);
    CoreEvent event = {.kind = CORE_EVENT_PROBE_ANSWERED, .id = 1};
    recording_add_event(recording, &event);
    recording_flush(recording);
    struct rlimit before, tight = {.rlim_cur = 200};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    for (event.id = 2; event.id < 1000; event.id++)
        recording_add_event(recording, &event);
    recording_flush(recording);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    RecordingStatus status = recording_status(recording);
    assert_true(status.dropped_batches > 0);
    assert_true(*status.error != '\0');
    recording_add_event(recording, &event);
    recording_flush(recording);
    assert_string_equal(recording_status(recording).error, "");
    recording = recording_free(recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_round_trip),
        cmocka_unit_test(test_damaged_batches),
        cmocka_unit_test(test_deflated),
        cmocka_unit_test(test_start_round_trip),
        cmocka_unit_test_setup_teardown(test_segments_are_bounded, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_restarts_erase_nothing, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_large_reports, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_full_disk, make_folder, drop_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
