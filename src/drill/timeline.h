// SPDX-License-Identifier: MIT
// timeline: what each region's plans said about each gateway while a drill ran: every change with
// its time. Which gateways were taken down, rightly or not, how long they were held and how long
// regions disagreed all come from here, not from what the drill did. Pure but for its memory.
//
//   observer: the region whose plan it is;  gateway: the region that the plan speaks about
//   episode:  from the first plan that holds a gateway down until the last one lets it go
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "instant.h"
#include "plan.h"

#define TIMELINE_REGIONS 64

typedef struct TimelineChange {
    Mono at;
    uint64_t digest; // of the fleet part; changes of it alone have gateway TIMELINE_REGIONS
    uint8_t observer, gateway;
    uint8_t state, classes;
} TimelineChange;

typedef struct Timeline {
    uint32_t n_regions;
    size_t n, capacity;
    TimelineChange *changes; // owned, in order of time
    bool full;               // changes were left out
    bool seen[TIMELINE_REGIONS];
    uint64_t digests[TIMELINE_REGIONS]; // newest
    uint8_t states[TIMELINE_REGIONS][TIMELINE_REGIONS], classes[TIMELINE_REGIONS][TIMELINE_REGIONS];
} Timeline;

void timeline_init(Timeline *timeline, uint32_t n_regions);
void timeline_done(Timeline *timeline);
// What one observer's plan says now; times must not go back. Only changes are kept.
int timeline_digest(Timeline *timeline, Mono at, uint32_t observer, uint64_t digest) MUST_CHECK;
int timeline_gateway(Timeline *timeline, Mono at, uint32_t observer, uint32_t gateway,
                     HealthState state, uint32_t classes) MUST_CHECK;

typedef struct TimelineEpisode {
    uint32_t gateway;
    Mono begin, end;    // MONO_NEVER: not over yet
    uint64_t observers; // that held it down at some time
} TimelineEpisode;

#define TIMELINE_EPISODES 256

// In order of their beginning. Observers and gateways are masks.
uint32_t timeline_episodes(const Timeline *timeline, uint64_t observers, uint64_t gateways,
                           TimelineEpisode ret_episodes[TIMELINE_EPISODES]);
// The longest time in [from, to) during which the observers' fleet parts were not all the same.
int64_t timeline_apart_ns(const Timeline *timeline, uint64_t observers, Mono from, Mono to);
// The first moment, `from` or later, at which the observers hold the same gateways down;
// MONO_NEVER: not yet.
Mono timeline_agreed(const Timeline *timeline, uint64_t observers, Mono from);
// The first moment, `from` or later, at which every observer's plan gives the gateway exactly these
// of the classes in `mask`.
Mono timeline_classes(const Timeline *timeline, uint64_t observers, uint32_t gateway, uint32_t mask,
                      uint32_t classes, Mono from);
