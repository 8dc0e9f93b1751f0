// SPDX-License-Identifier: MIT
// report_size: what a core says about itself always fits into a report, and what it was told by
// operators arrives at a peer, in parts if need be. Real codec, real cores.
#include <stdio.h>
#include <string.h>

#include "bounds.h"
#include "core_state.h"
#include "fixture.h"
#include "report_json.h"
#include "unit.h"

static const Wall WALL = {1795444800 * NS_PER_S};

static Core *new_core(const Fixture *fixture, uint32_t own, Mono now)
{
    Core *core;
    CoreOptions options = fixture_options(fixture, own);
    assert_int_equal(core_new(&fixture->model, &options, now, WALL, &core, NULL), 0);
    return core;
}

static void step(Core *core, Arena *arena, const CoreEvent *event)
{
    CoreUpdate update;
    assert_int_equal(core_step(core, arena, event, &update, NULL), 0);
    arena_reset(arena);
}

static void wish(Core *core, Arena *arena, Mono now, int i, const char *reason)
{
    char target[40];
    (void)snprintf(target, sizeof target, "prefix:10.%d.%d.0/24", i / 256, i % 256);
    Intent intent = {.kind = i % 2 == 0 ? INTENT_PIN : INTENT_RELEASE,
                     .target = target,
                     .region = i % 2 == 0 ? "c0-r0" : "",
                     .author = reason,
                     .reason = reason,
                     .expires = {INT64_MAX}};
    step(core, arena,
         &(CoreEvent){.now = now, .wall = WALL, .kind = CORE_EVENT_INTENT, .u.intent = &intent});
}

static void fill_views(Core *core, uint32_t n, Mono now)
{
    Tables *tables = core->tables;
    for (uint32_t o = 1; o < n; o++) {
        tables->live.views[o] =
            (View){.have = true, .boot = UINT64_MAX, .sequence = INT64_MAX, .born = now};
        for (uint32_t g = 0; g < n; g++)
            tables_votes(tables, o)[g] = (ViewVote){.vote = VOTE_UNKNOWN,
                                                    .held = true,
                                                    .streak = UINT32_MAX,
                                                    .flaps = UINT32_MAX,
                                                    .p50_us = UINT32_MAX,
                                                    .p99_us = UINT32_MAX,
                                                    .first_fail = {1},
                                                    .edge_success = {1},
                                                    .held_since = {1},
                                                    .hold_until = {INT64_MAX / 2},
                                                    .short_window = {UINT32_MAX, UINT32_MAX, 10},
                                                    .long_window = {UINT32_MAX, UINT32_MAX, 60}};
    }
}

static void run(uint32_t n_regions, const char *reason)
{
    Fixture *fixture = fixture_new(n_regions, 3, 2);
    Mono now = {INT64_MAX / 4};
    Arena *arena = arena_new((size_t)64 << 20);
    Core *from = new_core(fixture, 0, now), *to = new_core(fixture, 1, now);
    for (int i = 0; i < BOUND_INTENTS; i++)
        wish(from, arena, now, i, reason);
    fill_views(from, n_regions, now);
    bool relayed[64] = {false};
    for (int i = 0; i < 150; i++) {
        Buf bytes CLEANUP(buf_done) = BUF_INIT(BOUND_REPORT_BYTES);
        const Report *report;
        assert_int_equal(core_report(from, arena, 1, now, WALL, &report), 0);
        assert_int_equal(report_json_encode(report, &bytes), 0);
        assert_string_equal(report->views[0].observer, fixture->regions[0].name);
        assert_int_equal(report->views[0].n_votes, n_regions);
        for (uint32_t v = 0; v < report->n_views; v++)
            relayed[model_find_region(&fixture->model, report->views[v].observer)] = true;
        assert_int_equal(report_json_decode(bytes.data, bytes.len, arena, &report, NULL), 0);
        step(to, arena,
             &(CoreEvent){.now = now, .wall = WALL, .kind = CORE_EVENT_REPORT, .u.report = report});
    }
    assert_int_equal(to->intents->n, BOUND_INTENTS);
    for (uint32_t o = 0; o < n_regions; o++)
        assert_int_equal(relayed[o], o != 1);
    core_free(from);
    core_free(to);
    arena_free(arena);
    fixture_free(fixture);
}

static void test_longest_wishes(void **state)
{
    (void)state;
    char reason[BOUND_TEXT + 1];
    memset(reason, 'r', BOUND_TEXT);
    reason[BOUND_TEXT] = '\0';
    run(6, reason);
    memset(reason, '\n', BOUND_TEXT); // six bytes each
    run(13, reason);
}

static void test_short_wishes(void **state)
{
    (void)state;
    run(6, "");
    run(20, "night");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_wishes),
        cmocka_unit_test(test_short_wishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
