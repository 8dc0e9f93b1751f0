// SPDX-License-Identifier: MIT
// traffic_projection: what a wish would leave of the fleet, from what `status` says now. It counts
// capacity as a whole; the plan decides finer, but what does not fit here fits nowhere.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "context.h"

typedef struct TrafficWish {
    const char *kind;   // name of an IntentKind
    char target[160];   // "region:us-west-2", "cloud:aws", "prefix:10.0.0.0/8", "fleet"
    const char *region; // of a pin, else NULL
    uint32_t value_ppm; // of a weight
    const char *reason;
    int64_t expires_s; // from now; 0: never
} TrafficWish;

typedef struct TrafficProjection {
    uint64_t all_rps;  // capacity of the whole fleet
    uint64_t left_rps; // of the gateways that clients may still be sent to by choice
    uint64_t load_rps; // now, in the whole fleet
    char lacking[160]; // "service 'api' would have no region for write", or ""
} TrafficProjection;

// `view` is what fleet_view_get gives.
TrafficProjection traffic_project(const Model *model, const json_t *view, const TrafficWish *wish);
// 0 to 100 and beyond; UINT64_MAX: load, but nothing that could carry it.
uint64_t traffic_projected_percent(const TrafficProjection *projection);
// Says on `out` what the wish would leave and on stderr what it would not do; ERROR_NOT_HELD when a
// service would be left without capacity and `force` is not given.
int traffic_look_ahead(const Context *context, const TrafficWish *wish, bool force, FILE *out,
                       Error *reterr) MUST_CHECK;
