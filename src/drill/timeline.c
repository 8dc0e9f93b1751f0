// SPDX-License-Identifier: MIT
// timeline: see timeline.h. Questions replay the list of changes from its beginning: a drill asks
// each of them once, and lists are short (a plan changes a few times a second at most).
#include "timeline.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define CHANGES_MAX 1000000
#define DIGEST TIMELINE_REGIONS // in place of a gateway

void timeline_init(Timeline *timeline, uint32_t n_regions)
{
    ASSERT(n_regions <= TIMELINE_REGIONS);
    *timeline = (Timeline){.n_regions = n_regions};
}

void timeline_done(Timeline *timeline)
{
    free(timeline->changes);
    *timeline = (Timeline){0};
}

static int add(Timeline *timeline, TimelineChange change)
{
    if (timeline->n == CHANGES_MAX) {
        timeline->full = true;
        return 0;
    }
    void *changes = timeline->changes;
    int r = alloc_grow(&changes, &timeline->capacity, timeline->n + 1, sizeof change);
    if (r < 0)
        return r;
    timeline->changes = changes;
    timeline->changes[timeline->n++] = change;
    return 0;
}

int timeline_digest(Timeline *timeline, Mono at, uint32_t observer, uint64_t digest)
{
    ASSERT(observer < timeline->n_regions);
    if (timeline->seen[observer] && timeline->digests[observer] == digest)
        return 0;
    timeline->seen[observer] = true;
    timeline->digests[observer] = digest;
    return add(timeline, (TimelineChange){at, digest, (uint8_t)observer, DIGEST, 0, 0});
}

int timeline_gateway(Timeline *timeline, Mono at, uint32_t observer, uint32_t gateway,
                     HealthState state, uint32_t classes)
{
    ASSERT(observer < timeline->n_regions && gateway < timeline->n_regions);
    if (timeline->states[observer][gateway] == (uint8_t)state &&
        timeline->classes[observer][gateway] == (uint8_t)classes)
        return 0;
    timeline->states[observer][gateway] = (uint8_t)state;
    timeline->classes[observer][gateway] = (uint8_t)classes;
    return add(timeline, (TimelineChange){at, 0, (uint8_t)observer, (uint8_t)gateway,
                                          (uint8_t)state, (uint8_t)classes});
}

// What all observers say at one moment of the replay.
typedef struct Replay {
    uint64_t seen;                      // observers
    uint64_t digests[TIMELINE_REGIONS]; // by observer
    uint64_t down[TIMELINE_REGIONS];    // by observer: mask of gateways
    uint8_t classes[TIMELINE_REGIONS][TIMELINE_REGIONS];
} Replay;

static bool has(uint64_t mask, uint32_t bit)
{
    return bit < 64 && (mask >> bit & 1) != 0;
}

static void step(Replay *replay, const TimelineChange *change)
{
    if (change->gateway == DIGEST) {
        replay->seen |= UINT64_C(1) << change->observer;
        replay->digests[change->observer] = change->digest;
        return;
    }
    uint64_t bit = UINT64_C(1) << change->gateway;
    if (change->state == HEALTH_DOWN)
        replay->down[change->observer] |= bit;
    else
        replay->down[change->observer] &= ~bit;
    replay->classes[change->observer][change->gateway] = change->classes;
}

static uint64_t held_by_any(const Replay *replay, uint64_t observers)
{
    uint64_t held = 0;
    for (uint32_t i = 0; i < TIMELINE_REGIONS; i++)
        held |= has(observers, i) ? replay->down[i] : 0;
    return held;
}

uint32_t timeline_episodes(const Timeline *timeline, uint64_t observers, uint64_t gateways,
                           TimelineEpisode ret_episodes[TIMELINE_EPISODES])
{
    Replay replay = {0};
    uint32_t n = 0, open[TIMELINE_REGIONS] = {0};
    uint64_t held = 0;
    for (size_t i = 0; i < timeline->n; i++) {
        step(&replay, &timeline->changes[i]);
        uint64_t now = held_by_any(&replay, observers) & gateways;
        for (uint32_t g = 0; now != held && g < timeline->n_regions; g++) {
            if (has(now & ~held, g) && n < TIMELINE_EPISODES) {
                open[g] = n;
                ret_episodes[n++] = (TimelineEpisode){g, timeline->changes[i].at, MONO_NEVER, 0};
            } else if (has(now & ~held, g)) {
                now &= ~(UINT64_C(1) << g); // no room: not opened, so not closed
            } else if (has(held & ~now, g)) {
                ret_episodes[open[g]].end = timeline->changes[i].at;
            }
        }
        held = now;
        uint32_t gateway = timeline->changes[i].gateway;
        if (has(held, gateway) && timeline->changes[i].state == HEALTH_DOWN)
            ret_episodes[open[gateway]].observers |=
                observers & UINT64_C(1) << timeline->changes[i].observer;
    }
    return n;
}

static bool same_digests(const Replay *replay, uint64_t observers)
{
    bool any = false;
    uint64_t first = 0;
    for (uint32_t i = 0; i < TIMELINE_REGIONS; i++) {
        if (!has(observers & replay->seen, i))
            continue;
        if (any && replay->digests[i] != first)
            return false;
        any = true;
        first = replay->digests[i];
    }
    return true;
}

int64_t timeline_apart_ns(const Timeline *timeline, uint64_t observers, Mono from, Mono to)
{
    Replay replay = {0};
    bool apart = false;
    Mono since = from;
    int64_t longest = 0;
    for (size_t i = 0; i < timeline->n && timeline->changes[i].at.ns < to.ns; i++) {
        step(&replay, &timeline->changes[i]);
        bool now = !same_digests(&replay, observers);
        Mono at = mono_max(timeline->changes[i].at, from);
        if (apart && !now && mono_since(at, since) > longest)
            longest = mono_since(at, since);
        if (now && !apart)
            since = at;
        apart = now;
    }
    if (apart && mono_since(to, since) > longest)
        longest = mono_since(to, since);
    return longest;
}

static bool same_down(const Replay *replay, uint64_t observers)
{
    bool any = false;
    uint64_t first = 0;
    for (uint32_t i = 0; i < TIMELINE_REGIONS; i++) {
        if (!has(observers, i))
            continue;
        if (any && replay->down[i] != first)
            return false;
        any = true;
        first = replay->down[i];
    }
    return true;
}

Mono timeline_agreed(const Timeline *timeline, uint64_t observers, Mono from)
{
    Replay replay = {0};
    size_t i = 0;
    for (; i < timeline->n && timeline->changes[i].at.ns <= from.ns; i++)
        step(&replay, &timeline->changes[i]);
    if (same_down(&replay, observers))
        return from;
    for (; i < timeline->n; i++) {
        step(&replay, &timeline->changes[i]);
        bool more = i + 1 < timeline->n && // of the same look
                    timeline->changes[i + 1].at.ns == timeline->changes[i].at.ns;
        if (!more && same_down(&replay, observers))
            return timeline->changes[i].at;
    }
    return MONO_NEVER;
}

static bool all_say(const Replay *replay, uint64_t observers, uint32_t gateway, uint32_t mask,
                    uint32_t classes)
{
    for (uint32_t i = 0; i < TIMELINE_REGIONS; i++) {
        if (has(observers & replay->seen, i) && (replay->classes[i][gateway] & mask) != classes)
            return false;
    }
    return true;
}

Mono timeline_classes(const Timeline *timeline, uint64_t observers, uint32_t gateway, uint32_t mask,
                      uint32_t classes, Mono from)
{
    Replay replay = {0};
    size_t i = 0;
    for (; i < timeline->n && timeline->changes[i].at.ns <= from.ns; i++)
        step(&replay, &timeline->changes[i]);
    if (all_say(&replay, observers, gateway, mask, classes))
        return from;
    for (; i < timeline->n; i++) {
        step(&replay, &timeline->changes[i]);
        if (all_say(&replay, observers, gateway, mask, classes))
            return timeline->changes[i].at;
    }
    return MONO_NEVER;
}
