// SPDX-License-Identifier: MIT
// intents: see intents.h.
#include "intents.h"

#include <string.h>

#include "alloc.h"
#include "bounds.h"
#include "error.h"
#include "intent_fits.h"
#include "lww.h"
#include "model.h"

#define INERT_KEEP_NS (7 * 24 * 3600 * NS_PER_S)

static int compare_keys(const Intent *a, const Intent *b)
{
    int by_target = strcmp(a->target, b->target);
    if (by_target != 0)
        return by_target;
    return (a->kind == INTENT_RESET_FLAPS) - (b->kind == INTENT_RESET_FLAPS);
}

// Stamps are unique per writer; equal ones with other contents would be a bug of a writer, and even
// then every region must choose the same.
static bool wins(const Intent *a, const Intent *b)
{
    if (a->stamp != b->stamp)
        return a->stamp > b->stamp;
    if (a->kind != b->kind)
        return a->kind > b->kind;
    if (a->value_ppm != b->value_ppm)
        return a->value_ppm > b->value_ppm;
    if (a->expires.ns != b->expires.ns)
        return a->expires.ns > b->expires.ns;
    return strcmp(a->region, b->region) > 0;
}

bool intent_is_active(const Intent *intent, Wall now)
{
    return intent->kind != INTENT_RELEASE && now.ns < intent->expires.ns;
}

static bool too_old(const Intent *intent, Wall now)
{
    if (intent_is_active(intent, now))
        return false;
    Wall end = lww_stamp_wall(intent->stamp);
    if (intent->kind != INTENT_RELEASE && intent->expires.ns > end.ns)
        end = intent->expires;
    return now.ns > wall_add(end, INERT_KEEP_NS).ns;
}

int intent_check(const Intent *intent, const char **ret_problem)
{
    static const char *const prefixes[] = {"region:", "cloud:", "prefix:"};
    *ret_problem = NULL;
    if ((unsigned)intent->kind >= INTENT_KIND_MAX)
        *ret_problem = "unknown kind";
    else if (intent->target == NULL || intent->author == NULL || intent->reason == NULL ||
             intent->region == NULL)
        *ret_problem = "a text is missing";
    else if (strlen(intent->target) > BOUND_NAME + sizeof "prefix:" ||
             strlen(intent->author) > BOUND_TEXT || strlen(intent->reason) > BOUND_TEXT ||
             strlen(intent->region) > BOUND_NAME)
        *ret_problem = "a text is too long";
    else if (intent->kind == INTENT_WEIGHT && intent->value_ppm > PPM_ONE)
        *ret_problem = "a weight above 100 %";
    if (*ret_problem != NULL)
        return ERROR_FORMAT;
    if (strcmp(intent->target, "fleet") == 0)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (strncmp(intent->target, prefixes[i], strlen(prefixes[i])) == 0)
            return 0;
    *ret_problem = "target is not region:NAME, cloud:NAME, prefix:PREFIX or fleet";
    return ERROR_FORMAT;
}

static int set_from(const Intent *items, uint32_t n, IntentSet **ret_set)
{
    size_t bytes = sizeof(IntentSet) + n * sizeof(Intent);
    for (uint32_t i = 0; i < n; i++)
        bytes += strlen(items[i].target) + strlen(items[i].region) + strlen(items[i].author) +
                 strlen(items[i].reason) + 4;
    IntentSet *set = alloc_zeroed(1, bytes);
    if (set == NULL)
        return ERROR_MEMORY;
    set->n = n;
    set->items = (Intent *)(void *)(set + 1);
    char *text = (char *)(set->items + n);
    for (uint32_t i = 0; i < n; i++) {
        Intent *item = &set->items[i];
        *item = items[i];
        const char **texts[] = {&item->target, &item->region, &item->author, &item->reason};
        for (size_t t = 0; t < ARRAY_SIZE(texts); t++) {
            size_t len = strlen(*texts[t]) + 1;
            memcpy(text, *texts[t], len);
            *texts[t] = text;
            text += len;
        }
    }
    *ret_set = set;
    return 0;
}

int intent_set_new(IntentSet **ret_set)
{
    return set_from(NULL, 0, ret_set);
}

IntentSet *intent_set_free(IntentSet *set)
{
    free(set);
    return NULL;
}

// Index of the wish to sacrifice when the set is full: the oldest that has no effect; n: none.
static uint32_t oldest_inert(const Intent *items, uint32_t n, Wall now)
{
    uint32_t oldest = n;
    for (uint32_t i = 0; i < n; i++)
        if (!intent_is_active(&items[i], now) &&
            (oldest == n || items[i].stamp < items[oldest].stamp))
            oldest = i;
    return oldest;
}

static void remove_at(Intent *items, uint32_t *n, uint32_t index)
{
    (*n)--;
    memmove(items + index, items + index + 1, (*n - index) * sizeof *items);
}

// Puts one wish into the sorted array. 1: changed, 0: it lost, ERROR_LIMIT: no room.
static int put(Intent *items, uint32_t *n, const Intent *intent, Wall now)
{
    uint32_t at = 0;
    while (at < *n && compare_keys(&items[at], intent) < 0)
        at++;
    if (at < *n && compare_keys(&items[at], intent) == 0) {
        if (!wins(intent, &items[at]))
            return 0;
        items[at] = *intent;
        return 1;
    }
    if (*n == BOUND_INTENTS) {
        uint32_t victim = oldest_inert(items, *n, now);
        if (victim == *n)
            return ERROR_LIMIT;
        if (!intent_is_active(intent, now) && intent->stamp <= items[victim].stamp)
            return 0; // it would be the next victim
        remove_at(items, n, victim);
        at -= victim < at;
    }
    memmove(items + at + 1, items + at, (*n - at) * sizeof *items);
    items[at] = *intent;
    (*n)++;
    return 1;
}

const Intent *intent_set_find(const IntentSet *set, IntentKind kind, const char *target)
{
    Intent key = {.kind = kind, .target = target};
    for (uint32_t i = 0; i < set->n; i++)
        if (compare_keys(&set->items[i], &key) == 0)
            return &set->items[i];
    return NULL;
}

bool intent_set_is_news(const IntentSet *set, const Intent *intent, Wall now)
{
    const char *problem;
    if (intent->stamp <= 0 || intent_check(intent, &problem) < 0 ||
        !intent_fits(intent->kind, intent->target) || too_old(intent, now))
        return false;
    const Intent *present = intent_set_find(set, intent->kind, intent->target);
    return present == NULL || wins(intent, present);
}

int intent_set_with(const IntentSet *set, const Intent *add, uint32_t n_add, Wall now, bool strict,
                    IntentSet **ret_set)
{
    Intent *items = alloc_zeroed(BOUND_INTENTS, sizeof *items);
    if (items == NULL)
        return ERROR_MEMORY;
    uint32_t n = 0;
    bool changed = false;
    for (uint32_t i = 0; i < set->n; i++) {
        if (too_old(&set->items[i], now))
            changed = true;
        else
            items[n++] = set->items[i];
    }
    int r = 0;
    for (uint32_t i = 0; i < n_add; i++) {
        if (!intent_set_is_news(set, &add[i], now))
            continue;
        int done = put(items, &n, &add[i], now);
        changed |= done > 0;
        if (done < 0 && strict)
            r = done;
    }
    *ret_set = NULL;
    if (r == 0 && changed)
        r = set_from(items, n, ret_set);
    free(items);
    return r;
}

int intent_set_restored(const Intent *items, uint32_t n, IntentSet **ret_set)
{
    for (uint32_t i = 1; i < n; i++)
        if (compare_keys(&items[i - 1], &items[i]) >= 0)
            return ERROR_FORMAT;
    return set_from(items, n, ret_set);
}

int intent_copy(Arena *arena, const Intent *items, uint32_t n, Intent **ret_items)
{
    Intent *copies = arena_memdup(arena, items, n * sizeof *items);
    if (copies == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        copies[i].target = arena_strdup(arena, items[i].target);
        copies[i].region = arena_strdup(arena, items[i].region);
        copies[i].author = arena_strdup(arena, items[i].author);
        copies[i].reason = arena_strdup(arena, items[i].reason);
        if (copies[i].target == NULL || copies[i].region == NULL || copies[i].author == NULL ||
            copies[i].reason == NULL)
            return ERROR_MEMORY;
    }
    *ret_items = copies;
    return 0;
}
