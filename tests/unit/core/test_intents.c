// SPDX-License-Identifier: MIT
// intents: the last-write-wins set: every order of arrival gives the same set, tombstones stay, the
// bound holds.
#include "intents.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "bounds.h"
#include "error.h"
#include "lww.h"
#include "rng.h"
#include "unit.h"

#define DAY_NS (24 * 3600 * NS_PER_S)
#define NOW ((Wall){1700000000 * NS_PER_S})

static Intent wish(IntentKind kind, const char *target, int64_t serial)
{
    return (Intent){.kind = kind,
                    .target = target,
                    .region = kind == INTENT_PIN ? "c0-r0" : "",
                    .author = "ann",
                    .reason = "because",
                    .stamp = (1700000000 * INT64_C(1000000) + serial) << 8 | 1,
                    .created = NOW,
                    .expires = {INT64_MAX}};
}

static IntentSet *with(IntentSet *set, const Intent *intent, Wall now)
{
    IntentSet *next;
    assert_int_equal(intent_set_with(set, intent, 1, now, true, &next), 0);
    if (next == NULL)
        return set;
    (void)intent_set_free(set);
    return next;
}

static IntentSet *empty(void)
{
    IntentSet *set;
    assert_int_equal(intent_set_new(&set), 0);
    return set;
}

static void test_highest_stamp_wins(void **state)
{
    (void)state;
    IntentSet *set = empty();
    Intent drain = wish(INTENT_DRAIN, "region:a", 2), weight = wish(INTENT_WEIGHT, "region:a", 1);
    set = with(set, &drain, NOW);
    set = with(set, &weight, NOW); // older: lost
    assert_int_equal(set->n, 1);
    assert_int_equal(set->items[0].kind, INTENT_DRAIN);
    weight.stamp = drain.stamp + 256;
    set = with(set, &weight, NOW);
    assert_int_equal(set->n, 1);
    assert_int_equal(set->items[0].kind, INTENT_WEIGHT);
    Intent over = wish(INTENT_RELEASE, "fleet", 8);
    Intent reset = wish(INTENT_RESET_FLAPS, "fleet", 9); // an event beside the wish
    Intent unfit = wish(INTENT_RESET_FLAPS, "region:a", 10);
    set = with(set, &over, NOW);
    set = with(set, &reset, NOW);
    set = with(set, &unfit, NOW);
    assert_int_equal(set->n, 3);
    assert_int_equal(intent_set_find(set, INTENT_RELEASE, "region:a")->kind, INTENT_WEIGHT);
    assert_int_equal(intent_set_find(set, INTENT_RELEASE, "fleet")->kind, INTENT_RELEASE);
    assert_int_equal(intent_set_find(set, INTENT_RESET_FLAPS, "fleet")->kind, INTENT_RESET_FLAPS);
    assert_null(intent_set_find(set, INTENT_DRAIN, "region:b"));
    (void)intent_set_free(set);
}

static void test_every_order_gives_the_same_set(void **state)
{
    (void)state;
    enum { N = 40 };
    static const char *const targets[] = {"region:a", "region:b", "cloud:c", "fleet"};
    Intent intents[N];
    Rng rng = rng_seeded(3);
    for (int i = 0; i < N; i++)
        intents[i] = wish((IntentKind)rng_below(&rng, INTENT_KIND_MAX), targets[i % 4], i / 16);
    for (int i = 0; i < N;
         i++) { // equal stamps, other contents: a writer's bug, and still the same everywhere
        intents[i].value_ppm = (uint32_t)rng_below(&rng, 3);
        intents[i].expires.ns = INT64_MAX - (int64_t)rng_below(&rng, 2);
        intents[i].region = rng_below(&rng, 2) != 0 ? "c0-r0" : "c1-r2";
    }
    IntentSet *first = NULL;
    for (int round = 0; round < 50; round++) {
        IntentSet *set = empty();
        for (int i = N - 1; i > 0; i--) {
            uint64_t j = rng_below(&rng, (uint64_t)i + 1);
            Intent swap = intents[i];
            intents[i] = intents[j];
            intents[j] = swap;
        }
        for (int i = 0; i < N; i++)
            set = with(set, &intents[i], NOW);
        if (first == NULL) {
            first = set;
            continue;
        }
        assert_int_equal(set->n, first->n);
        for (uint32_t i = 0; i < set->n; i++) {
            assert_int_equal(set->items[i].kind, first->items[i].kind);
            assert_int_equal(set->items[i].stamp, first->items[i].stamp);
            assert_int_equal(set->items[i].value_ppm, first->items[i].value_ppm);
            assert_string_equal(set->items[i].target, first->items[i].target);
        }
        (void)intent_set_free(set);
    }
    (void)intent_set_free(first);
}

static void test_tombstones_stay_for_a_week(void **state)
{
    (void)state;
    IntentSet *set = empty();
    Intent drain = wish(INTENT_DRAIN, "region:a", 1), release = wish(INTENT_RELEASE, "region:a", 2);
    set = with(set, &drain, NOW);
    set = with(set, &release, NOW);
    set = with(set, &drain, wall_add(NOW, 6 * DAY_NS)); // somebody was away for six days
    assert_int_equal(set->items[0].kind, INTENT_RELEASE);
    assert_false(intent_is_active(&set->items[0], NOW));
    Intent other = wish(INTENT_DRAIN, "region:b", 3);
    set = with(set, &other, wall_add(NOW, 8 * DAY_NS)); // any change sweeps
    assert_int_equal(set->n, 1);
    assert_string_equal(set->items[0].target, "region:b");
    assert_false(intent_set_is_news(set, &release, wall_add(NOW, 8 * DAY_NS)));
    (void)intent_set_free(set);
}

static void test_expired_keeps_older_ones_out(void **state)
{
    (void)state;
    IntentSet *set = empty();
    Intent forever = wish(INTENT_DRAIN, "region:a", 1), brief = wish(INTENT_WEIGHT, "region:a", 2);
    brief.expires = wall_add(NOW, 3600 * NS_PER_S);
    set = with(set, &brief, NOW);
    Wall later = wall_add(NOW, 3600 * NS_PER_S);
    assert_true(intent_is_active(&set->items[0], wall_add(later, -1)));
    assert_false(intent_is_active(&set->items[0], later));
    set = with(set, &forever, later);
    assert_int_equal(set->items[0].kind, INTENT_WEIGHT);
    (void)intent_set_free(set);
}

static void test_bound(void **state)
{
    (void)state;
    IntentSet *set = empty(), *next;
    char targets[BOUND_INTENTS + 1][24];
    for (int i = 0; i < BOUND_INTENTS + 1; i++)
        (void)snprintf(targets[i], sizeof targets[i], "region:r%d", i);
    for (int i = 0; i < BOUND_INTENTS; i++) {
        Intent intent = wish(i == 7 || i == 9 ? INTENT_RELEASE : INTENT_DRAIN, targets[i], i);
        set = with(set, &intent, NOW);
    }
    Intent more = wish(INTENT_DRAIN, targets[BOUND_INTENTS], 1000);
    set = with(set, &more, NOW); // in place of the oldest tombstone
    assert_int_equal(set->n, BOUND_INTENTS);
    assert_null(intent_set_find(set, INTENT_DRAIN, targets[7]));
    assert_non_null(intent_set_find(set, INTENT_DRAIN, targets[9]));
    Intent old = wish(INTENT_RELEASE, targets[7], 7); // older than every tombstone: would go next
    assert_int_equal(intent_set_with(set, &old, 1, NOW, true, &next), 0);
    assert_null(next);
    Intent again = wish(INTENT_DRAIN, targets[7], 1001);
    set = with(set, &again, NOW);
    Intent last = wish(INTENT_DRAIN, "cloud:x", 1002);
    assert_int_equal(intent_set_with(set, &last, 1, NOW, true, &next), ERROR_LIMIT);
    assert_int_equal(intent_set_with(set, &last, 1, NOW, false, &next), 0); // from a peer
    assert_null(next);
    (void)intent_set_free(set);
}

static void test_nonsense_is_refused(void **state)
{
    (void)state;
    static const char long_text[BOUND_TEXT + 2] = {[0 ... BOUND_TEXT] = 'x'};
    const char *problem;
    Intent good = wish(INTENT_DRAIN, "region:a", 1);
    assert_int_equal(intent_check(&good, &problem), 0);
    assert_null(problem);
    Intent bad[7];
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        bad[i] = good;
    bad[0].kind = INTENT_KIND_MAX;
    bad[1].target = "a";
    bad[2].target = "regions:a";
    bad[3].reason = long_text;
    bad[4].author = NULL;
    bad[5].kind = INTENT_WEIGHT;
    bad[5].value_ppm = 1000001;
    bad[6].target = long_text;
    IntentSet *set = empty(), *next;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(intent_check(&bad[i], &problem), ERROR_FORMAT);
        assert_non_null(problem);
    }
    assert_int_equal(intent_set_with(set, bad, ARRAY_SIZE(bad), NOW, true, &next), 0);
    assert_null(next);
    Intent unstamped = good;
    unstamped.stamp = 0;
    assert_false(intent_set_is_news(set, &unstamped, NOW));
    (void)intent_set_free(set);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    IntentSet *set = empty(), *next = NULL;
    Intent intent = wish(INTENT_DRAIN, "region:a", 1);
    for (long successes = 0; successes < 2; successes++) {
        alloc_fail_after(successes);
        assert_int_equal(intent_set_with(set, &intent, 1, NOW, true, &next), ERROR_MEMORY);
        assert_null(next);
    }
    alloc_fail_after(-1);
    (void)intent_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_highest_stamp_wins),
        cmocka_unit_test(test_every_order_gives_the_same_set),
        cmocka_unit_test(test_tombstones_stay_for_a_week),
        cmocka_unit_test(test_expired_keeps_older_ones_out),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
