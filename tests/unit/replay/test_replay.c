// SPDX-License-Identifier: MIT
// replay: a core under changing evidence is recorded as an agent does it; stepped again it says the
// same, from the beginning and from a snapshot; a decision that rests on something unrecorded is
// found; the plan of a moment is the one that was in force then.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "past_plan.h"
#include "recording.h"
#include "replay.h"
#include "rng.h"
#include "snapshot.h"
#include "unit.h"

#define STEP_NS (20 * NS_PER_MS)
#define BASE_WALL (INT64_C(1790000000) * NS_PER_S)

static char folder[128];
static char *fleet_yaml;
static size_t fleet_len;
static Conf *conf;

static const char *const SOCKETS[] = {"/run/a/backend-1.sock", "/run/a/backend-2.sock"};

typedef struct Run {
    Core *core;
    Recording *recording;
    Arena *arena;
    Rng rng;
    Mono now;
    uint64_t probes[64];
    uint32_t gateways[64];
    uint32_t n_probes;
    uint64_t plans;
    bool dark[16]; // gateways whose probes fail
} Run;

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/wildcam-replay-XXXXXX");
    Error err = ERROR_INIT;
    if (mkdtemp(folder) == NULL ||
        files_read(FLEET_YAML, 1U << 20, &fleet_yaml, &fleet_len, &err) < 0 ||
        conf_parse("fleet.yaml", fleet_yaml, fleet_len, &conf, NULL, &err) < 0)
        return -1;
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    conf = conf_free(conf);
    free(fleet_yaml);
    return files_remove_tree(folder, NULL);
}

static int save(void *context, Buf *buf)
{
    const Run *run = context;
    return core_save(run->core, buf);
}

static Wall wall_of(Mono now)
{
    return (Wall){BASE_WALL + now.ns};
}

static void start(Run *run, uint64_t segment_bytes, uint32_t keep)
{
    *run = (Run){.arena = arena_new((size_t)64 << 20), .rng = rng_seeded(7), .now = {5 * NS_PER_S}};
    const CoreOptions options = {.own = 0,
                                 .seed = 3,
                                 .boot = 9,
                                 .first_plan = UINT64_C(5) << 32,
                                 .replica_sockets = SOCKETS};
    Error err = ERROR_INIT;
    if (core_new(&conf->model, &options, run->now, wall_of(run->now), &run->core, &err) < 0)
        fail_msg("%s", error_text(&err));
    const RecordingOptions recording = {.folder = folder,
                                        .config = fleet_yaml,
                                        .config_len = fleet_len,
                                        .snapshot = save,
                                        .context = run,
                                        .event_bytes = segment_bytes,
                                        .event_segments = keep,
                                        .start = {.version = RECORDING_VERSION,
                                                  .region = conf->model.regions[0].name,
                                                  .program = "test",
                                                  .config_hash = conf->model.config_hash,
                                                  .seed = options.seed,
                                                  .boot = options.boot,
                                                  .first_plan = options.first_plan,
                                                  .now = run->now,
                                                  .wall = wall_of(run->now),
                                                  .n_sockets = 2,
                                                  .sockets = SOCKETS}};
    if (recording_new(&recording, &run->recording, &err) < 0)
        fail_msg("%s", error_text(&err));
}

static void take(Run *run, const CoreUpdate *update)
{
    for (uint32_t i = 0; i < update->n_records; i++)
        recording_add_record(run->recording, &update->records[i], wall_of(run->now));
    for (uint32_t i = 0; i < update->n_effects; i++) {
        const CoreEffect *effect = &update->effects[i];
        if (effect->kind == CORE_EFFECT_PROBE && run->n_probes < ARRAY_SIZE(run->probes)) {
            run->probes[run->n_probes] = effect->id;
            run->gateways[run->n_probes++] = effect->gateway;
        }
    }
    if (update->plan != NULL) {
        run->plans++;
        recording_add_plan(run->recording, update->plan, run->now, wall_of(run->now));
    }
}

static void step(Run *run, CoreEvent event, bool recorded)
{
    event.now = run->now;
    event.wall = wall_of(run->now);
    if (recorded)
        recording_add_event(run->recording, &event);
    CoreUpdate update = {0};
    arena_reset(run->arena);
    assert_int_equal(core_step(run->core, run->arena, &event, &update, NULL), 0);
    take(run, &update);
}

// Some seconds of a region that hears nobody: its probes are answered or fail.
static void go_on(Run *run, int64_t ns)
{
    for (Mono end = mono_add(run->now, ns); run->now.ns < end.ns;) {
        run->now = mono_add(run->now, STEP_NS);
        step(run, (CoreEvent){.kind = CORE_EVENT_TICK}, true);
        while (run->n_probes > 0) {
            run->n_probes--;
            uint32_t gateway = run->gateways[run->n_probes];
            step(run,
                 (CoreEvent){.kind = run->dark[gateway] ? CORE_EVENT_PROBE_FAILED
                                                        : CORE_EVENT_PROBE_ANSWERED,
                             .id = run->probes[run->n_probes],
                             .gateway = gateway},
                 true);
        }
        if (run->now.ns % NS_PER_S == 0)
            recording_flush(run->recording);
    }
}

static void shine(Run *run)
{
    for (uint32_t round = 0; round < 12; round++) {
        run->dark[round % 6] = round % 3 != 0;
        run->dark[(round + 3) % 6] = false;
        go_on(run, 3 * NS_PER_S);
    }
}

static void end(Run *run)
{
    run->recording = recording_free(run->recording);
    run->core = core_free(run->core);
    run->arena = arena_free(run->arena);
}

static ReplayResult replay(void)
{
    ReplayResult result;
    Error err = ERROR_INIT;
    if (replay_run(folder, NULL, NULL, &result, &err) < 0)
        fail_msg("%s", error_text(&err));
    return result;
}

static void test_same_from_the_beginning(void **state)
{
    (void)state;
    Run run;
    start(&run, 0, 0);
    shine(&run);
    uint64_t plans = run.plans;
    end(&run);
    ReplayResult result = replay();
    if (result.difference.found)
        fail_msg("%s", result.difference.text);
    assert_int_equal(result.starts, 1);
    assert_int_equal(result.resumed, 0);
    assert_int_equal(result.plans, plans);
    assert_true(plans > 3 && result.records > 20 && result.events > 2000);
    assert_string_equal(result.region, "us-west-2");
}

static unsigned count_segments(void)
{
    unsigned n = 0;
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        n += strncmp(entry->d_name, "events.", 7) == 0;
    (void)closedir(dir);
    return n;
}

static void test_same_from_a_snapshot(void **state)
{
    (void)state;
    Run run;
    start(&run, 60000, 2);
    for (unsigned i = 0; i < 6; i++)
        shine(&run);
    end(&run);
    assert_in_range(count_segments(), 2, 8); // one is closed a batch before its limit
    ReplayResult result = replay();
    if (result.difference.found)
        fail_msg("%s", result.difference.text);
    assert_int_equal(result.resumed, 1);
    assert_int_equal(result.damaged, 0);
    assert_true(result.events > 500);
    assert_true(result.plans > 0 && result.records > 5);
}

static void test_an_unrecorded_cause_is_found(void **state)
{
    (void)state;
    Run run;
    start(&run, 0, 0);
    go_on(&run, 5 * NS_PER_S);
    const Intent drain = {.kind = INTENT_DRAIN,
                          .target = "region:eastus",
                          .region = "",
                          .author = "nobody",
                          .reason = "",
                          .stamp = 0, // the core stamps it
                          .created = wall_of(run.now),
                          .expires = {INT64_MAX}};
    step(&run, (CoreEvent){.kind = CORE_EVENT_INTENT, .u.intent = &drain}, false);
    Wall at = wall_of(run.now);
    go_on(&run, 2 * NS_PER_S);
    run.dark[2] = true;
    go_on(&run, 5 * NS_PER_S);
    end(&run);
    ReplayResult result = replay();
    assert_true(result.difference.found);
    assert_true(result.difference.at.ns >= at.ns);
    assert_non_null(strchr(result.difference.text, ':'));
}

static void test_the_plan_of_a_moment(void **state)
{
    (void)state;
    Run run;
    start(&run, 0, 0);
    go_on(&run, 5 * NS_PER_S);
    uint64_t before = core_plan(run.core)->number;
    Wall then = wall_of(run.now);
    run.dark[0] = run.dark[1] = true;
    go_on(&run, 5 * NS_PER_S);
    uint64_t after = core_plan(run.core)->number;
    Wall now = wall_of(run.now);
    end(&run);
    assert_true(after > before);
    PastPlan past;
    Error err = ERROR_INIT;
    assert_int_equal(past_plan_find(folder, then, &past, &err), 0);
    assert_int_equal(past.plan->number, before);
    assert_true(past.next.ns > then.ns && past.next.ns <= now.ns);
    assert_int_equal(past.conf->model.config_hash, conf->model.config_hash);
    past_plan_done(&past);
    assert_int_equal(past_plan_find(folder, now, &past, &err), 0);
    assert_int_equal(past.plan->number, after);
    assert_int_equal(past.next.ns, INT64_MAX);
    past_plan_done(&past);
    assert_int_equal(past_plan_find(folder, (Wall){BASE_WALL}, &past, &err), ERROR_NOT_FOUND);
    assert_non_null(strstr(error_text(&err), "since"));
    error_done(&err);
    PastRecord *records = calloc(PAST_RECORDS_MAX, sizeof *records);
    uint32_t n;
    assert_int_equal(past_records_find(folder, now, records, &n, &err), 0);
    assert_true(n > 2);
    for (uint32_t i = 0; i < n; i++)
        assert_true(records[i].at.ns <= now.ns);
    free(records);
}

static void test_nothing_there(void **state)
{
    (void)state;
    ReplayResult result;
    Error err = ERROR_INIT;
    assert_true(replay_run(folder, NULL, NULL, &result, &err) < 0);
    assert_non_null(strstr(error_text(&err), "no segment"));
    error_done(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_from_the_beginning, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_same_from_a_snapshot, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_an_unrecorded_cause_is_found, make_folder,
                                        drop_folder),
        cmocka_unit_test_setup_teardown(test_the_plan_of_a_moment, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_nothing_there, make_folder, drop_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
