// SPDX-License-Identifier: MIT
// intents: the operators' wishes as an immutable last-write-wins set. One wish per key; the key is
// the target, and resets of flaps, which are events, live beside the wishes. A change makes a new
// set: the step that fails drops it, the one that succeeds swaps it.
// Releases and expired wishes stay for a while as tombstones, or a region that was away for a day
// would bring back what they replaced.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "attr.h"
#include "intent.h"

typedef struct IntentSet {
    uint32_t n;
    Intent *items; // sorted by target, then reset last; texts owned by the set
} IntentSet;

int intent_set_new(IntentSet **ret_set) MUST_CHECK;
// `set` with those of `add` that are newer than what it has; NULL in *ret_set when nothing changes.
// Wishes inert for more than a week are dropped; a full set drops the oldest inert one, and refuses
// new targets (ERROR_LIMIT when `strict`, else silently) when every wish is in force.
int intent_set_with(const IntentSet *set, const Intent *add, uint32_t n_add, Wall now, bool strict,
                    IntentSet **ret_set) MUST_CHECK;
// Whether intent_set_with would take it.
bool intent_set_is_news(const IntentSet *set, const Intent *intent, Wall now);
// The set of a snapshot, inert ones included; ERROR_FORMAT unless sorted without doubles.
int intent_set_restored(const Intent *items, uint32_t n, IntentSet **ret_set) MUST_CHECK;
IntentSet *intent_set_free(IntentSet *set);
bool intent_is_active(const Intent *intent, Wall now);
const Intent *intent_set_find(const IntentSet *set, IntentKind kind, const char *target);
// Copies with their texts into an arena.
int intent_copy(Arena *arena, const Intent *items, uint32_t n, Intent **ret_items) MUST_CHECK;
// 0, or ERROR_FORMAT / ERROR_LIMIT: what can be said without a model.
int intent_check(const Intent *intent, const char **ret_problem) MUST_CHECK;
