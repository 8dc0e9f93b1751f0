// SPDX-License-Identifier: MIT
// traffic_projection: what a wish would do, before it is made. An agent makes the plan that would
// come of it (POST /v1/plan/preview) with the function that makes all plans; here it is only shown,
// and refused when a service would be left without a region or the rest could not carry the load.
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
    uint64_t all_rps;     // capacity of the whole fleet
    uint64_t left_rps;    // of the gateways that clients may still be sent to by choice
    uint64_t load_rps;    // now, in the whole fleet
    uint64_t fullest_ppm; // of its capacity, afterwards
    char fullest[64];     // that gateway
    char lacking[160];    // "service 'api' would have no region for write", or ""
} TrafficProjection;

// `preview` is an agent's answer.
TrafficProjection traffic_project(const Model *model, const json_t *preview);
void traffic_projection_print(const json_t *preview, FILE *out);
// Shows what would stay on `out`; ERROR_NOT_HELD for what takes too much and is not forced.
int traffic_judge(const Model *model, const json_t *preview, const TrafficWish *wish, bool force,
                  FILE *out, Error *reterr) MUST_CHECK;
// `body` is the wish as it would be posted. Says on `out` what it would leave and on stderr what it
// would not do; ERROR_NOT_HELD when a service would be left without capacity and `force` is not
// given.
int traffic_look_ahead(const Context *context, const TrafficWish *wish, const char *body,
                       bool force, FILE *out, Error *reterr) MUST_CHECK;
