// SPDX-License-Identifier: MIT
// intent_fits: which kinds of wishes go with which targets. One rule for the core and for the
// codecs, which do not link the core: what the one takes the other must carry.
#pragma once
#include <stdbool.h>
#include <string.h>

#include "intent.h"

static inline bool intent_target_is(const char *target, const char *family)
{
    size_t len = strlen(family);
    return strncmp(target, family, len) == 0 && target[len] != '\0';
}

static inline bool intent_fits(IntentKind kind, const char *target)
{
    IpPrefix parsed;
    bool region = intent_target_is(target, "region:"), cloud = intent_target_is(target, "cloud:");
    bool fleet = strcmp(target, "fleet") == 0;
    bool prefix = intent_target_is(target, "prefix:") &&
                  ip_prefix_parse(target + strlen("prefix:"), &parsed) == 0;
    switch (kind) {
    case INTENT_DRAIN:
    case INTENT_NEVER:
        return region || cloud;
    case INTENT_PIN:
        return prefix;
    case INTENT_WEIGHT:
        return region;
    case INTENT_RELEASE:
        return region || cloud || fleet || prefix;
    case INTENT_RESET_FLAPS:
        return fleet;
    case INTENT_KIND_MAX:
        break;
    }
    return false;
}
