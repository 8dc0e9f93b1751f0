// SPDX-License-Identifier: MIT
// intent: an operator's wish, with author, reason, stamp and expiry. The intents of a fleet are a
// last-write-wins set keyed by (kind family, target): the highest stamp wins, a release is a
// tombstone. They travel in reports and are kept on every agent's disk (contracts sections 1 and
// 2).
#pragma once
#include <stdint.h>

#include "instant.h"
#include "ip.h"

typedef enum IntentKind {
    INTENT_DRAIN,       // region or cloud: last resort only
    INTENT_NEVER,       // region or cloud: not even then
    INTENT_PIN,         // client prefix -> region
    INTENT_WEIGHT,      // region: share of what it would get, ppm
    INTENT_RELEASE,     // tombstone: whatever was wished for the target is over
    INTENT_RESET_FLAPS, // an event rather than a state: forget flap counts and holds from before it
    INTENT_KIND_MAX,
} IntentKind;

// What the wish is about. `target` is "region:us-west-2", "cloud:aws", "prefix:10.0.0.0/8" or
// "fleet"; one intent per target, and a pin's target is its prefix.
typedef struct Intent {
    IntentKind kind;
    const char *target;
    const char *region; // INTENT_PIN: where to; else ""
    uint32_t value_ppm; // INTENT_WEIGHT
    const char *author;
    const char *reason;
    int64_t stamp; // contracts section 2; also the identity of this wish
    Wall created;
    Wall expires; // INT64_MAX: never
} Intent;

const char *intent_kind_name(IntentKind kind); // "drain"; "?" for a value outside
int intent_kind_parse(const char *name);       // IntentKind or -1
