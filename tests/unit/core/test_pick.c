// SPDX-License-Identifier: MIT
// Tests of pick: tiers and the two draws.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attr.h"
#include "pick.h"
#include "rng.h"

static const Mono NOW = {1000 * NS_PER_S};

static PickTarget target(HealthState state, const PickHealth *health)
{
    return (PickTarget){.weight = 100, .state = state, .classes = CLASS_MASK_ALL, .health = health};
}

static PickTier tier(PickTarget t)
{
    return pick_tier(&t, SERVICE_CLASS_WRITE, NOW);
}

// The draw; its tier is that of the target it found.
static int drawn_of(const PickTarget *targets, uint32_t n, ServiceClass class_, Mono now,
                    uint64_t random)
{
    PickTier tier = PICK_TIER_GOOD;
    int i = pick_target(targets, n, class_, now, random, &tier);
    assert_int_equal(tier, i < 0 ? PICK_TIER_NONE : pick_tier(&targets[i], class_, now));
    return i;
}

static void tiers_follow_state_and_evidence(void **state)
{
    PickHealth well = {0};
    PickHealth ejected = {.ejections = 1, .ejected_until = mono_add(NOW, 1)};
    static const struct {
        HealthState state;
        PickTier well, ejected;
    } ROWS[] = {
        {HEALTH_UNKNOWN, PICK_TIER_GOOD, PICK_TIER_SUSPECT},
        {HEALTH_UP, PICK_TIER_GOOD, PICK_TIER_SUSPECT},
        {HEALTH_SUSPECT, PICK_TIER_SUSPECT, PICK_TIER_SUSPECT},
        {HEALTH_DOWN, PICK_TIER_DOWN, PICK_TIER_DOWN},
        {HEALTH_DRAINED, PICK_TIER_DRAINED, PICK_TIER_DOWN},
        {HEALTH_NEVER, PICK_TIER_NONE, PICK_TIER_NONE},
    };
    assert_int_equal(ARRAY_SIZE(ROWS), HEALTH_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        assert_int_equal(tier(target(ROWS[i].state, NULL)), ROWS[i].well);
        assert_int_equal(tier(target(ROWS[i].state, &well)), ROWS[i].well);
        assert_int_equal(tier(target(ROWS[i].state, &ejected)), ROWS[i].ejected);
    }
}

static void a_request_leaves_out_what_cannot_serve_it(void **state)
{
    PickTarget t = target(HEALTH_UP, NULL);
    t.tried = true;
    assert_int_equal(tier(t), PICK_TIER_NONE);
    t = target(HEALTH_UP, NULL);
    t.weight = 0;
    assert_int_equal(tier(t), PICK_TIER_NONE);
    t = target(HEALTH_UP, NULL);
    t.classes = CLASS_MASK_READ;
    assert_int_equal(tier(t), PICK_TIER_NONE);
    assert_int_equal(pick_tier(&t, SERVICE_CLASS_READ, NOW), PICK_TIER_GOOD);
    t.classes = 0;
    assert_int_equal(pick_tier(&t, SERVICE_CLASS_READ, NOW), PICK_TIER_NONE);
    // it has not said yet what it can do
    t.state = HEALTH_UNKNOWN;
    assert_int_equal(tier(t), PICK_TIER_SUSPECT);
}

static void the_best_tier_is_used_and_the_worst_is_not_refused(void **state)
{
    PickHealth ejected = {.ejections = 1, .ejected_until = mono_add(NOW, 1)};
    PickTarget targets[] = {
        target(HEALTH_NEVER, NULL),  target(HEALTH_DOWN, NULL), target(HEALTH_DRAINED, NULL),
        target(HEALTH_UP, &ejected), target(HEALTH_UP, NULL),
    };
    Rng rng = rng_seeded(1);
    for (uint32_t n = ARRAY_SIZE(targets); n > 1; n--)
        for (int i = 0; i < 50; i++)
            assert_int_equal(drawn_of(targets, n, SERVICE_CLASS_READ, NOW, rng_next(&rng)), n - 1);
    assert_int_equal(drawn_of(targets, 1, SERVICE_CLASS_READ, NOW, 1), -1);
    assert_int_equal(drawn_of(targets, 0, SERVICE_CLASS_READ, NOW, 1), -1);
}

static void idle_targets_are_drawn_by_weight(void **state)
{
    PickTarget targets[8];
    int hits[8] = {0};
    for (uint32_t i = 0; i < 8; i++)
        targets[i] = target(HEALTH_UP, NULL);
    Rng rng = rng_seeded(2);
    for (int i = 0; i < 80000; i++)
        hits[drawn_of(targets, 8, SERVICE_CLASS_READ, NOW, rng_next(&rng))]++;
    for (int i = 0; i < 8; i++)
        assert_in_range(hits[i], 9600, 10400);
}

// Two targets, so both are always compared; at most a few requests in flight.
static void a_canary_gets_its_share_at_low_load(void **state)
{
    for (uint32_t busy = 0; busy < 4; busy++) {
        PickHealth health[2] = {{.inflight = busy}, {0}};
        PickTarget targets[] = {target(HEALTH_UP, &health[0]), target(HEALTH_UP, &health[1])};
        targets[0].weight = 90;
        targets[1].weight = 10;
        Rng rng = rng_seeded(5);
        int hits = 0;
        for (int i = 0; i < 10000; i++)
            hits += drawn_of(targets, 2, SERVICE_CLASS_READ, NOW, rng_next(&rng));
        assert_in_range(hits, 900, 1100);
    }
}

// With requests in flight the loads settle by weight, whatever the draws are.
static void load_settles_by_weight(void **state)
{
    PickHealth health[3] = {0};
    PickTarget targets[3];
    static const uint32_t WEIGHTS[3] = {100, 300, 600};
    for (int i = 0; i < 3; i++) {
        targets[i] = target(HEALTH_UP, &health[i]);
        targets[i].weight = WEIGHTS[i];
    }
    Rng rng = rng_seeded(3);
    for (int i = 0; i < 1000; i++)
        health[drawn_of(targets, 3, SERVICE_CLASS_READ, NOW, rng_next(&rng))].inflight++;
    for (int i = 0; i < 3; i++)
        assert_in_range(health[i].inflight, WEIGHTS[i] - 12, WEIGHTS[i] + 12);
}

static void a_slow_target_gets_less(void **state)
{
    PickHealth health[2] = {{.inflight = 40}, {.inflight = 2}};
    PickTarget targets[] = {target(HEALTH_UP, &health[0]), target(HEALTH_UP, &health[1])};
    Rng rng = rng_seeded(4);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(drawn_of(targets, 2, SERVICE_CLASS_READ, NOW, rng_next(&rng)), 1);
}

static void the_largest_weights_do_not_overflow(void **state)
{
    PickHealth busy = {.inflight = UINT32_MAX};
    PickTarget targets[64];
    for (int i = 0; i < 64; i++) {
        targets[i] = target(HEALTH_UP, &busy);
        targets[i].weight = UINT32_MAX;
    }
    static const uint64_t DRAWS[] = {0, UINT64_MAX, UINT32_MAX, (uint64_t)UINT32_MAX << 32};
    for (size_t i = 0; i < ARRAY_SIZE(DRAWS); i++)
        assert_in_range(drawn_of(targets, 64, SERVICE_CLASS_READ, NOW, DRAWS[i]), 0, 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiers_follow_state_and_evidence),
        cmocka_unit_test(a_request_leaves_out_what_cannot_serve_it),
        cmocka_unit_test(the_best_tier_is_used_and_the_worst_is_not_refused),
        cmocka_unit_test(idle_targets_are_drawn_by_weight),
        cmocka_unit_test(a_canary_gets_its_share_at_low_load),
        cmocka_unit_test(load_settles_by_weight),
        cmocka_unit_test(a_slow_target_gets_less),
        cmocka_unit_test(the_largest_weights_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
