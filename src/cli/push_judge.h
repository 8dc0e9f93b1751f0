// SPDX-License-Identifier: MIT
// push_judge: is a region that took a new fleet.yaml still as well as it was before? A table of
// checks over what the agents say (GET /v1/status), before and now; no clock and no sockets, so
// that tests can ask it anything. How long a check must fail to count is the watch's affair.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "agents.h"

#define PUSH_TEXT_MAX 200

typedef enum PushCheck {
    PUSH_CHECK_AGENT,    // its agent answers
    PUSH_CHECK_CONFIG,   // and runs the new file
    PUSH_CHECK_REPLICAS, // all of them are up
    PUSH_CHECK_CLASSES,  // it can do what it could do before
    PUSH_CHECK_DOWN,     // another region holds its gateway down
    PUSH_CHECK_VERDICT,  // another region does not judge it 'up' any more
    PUSH_CHECK_SIGHT,    // it does not judge another region 'up' any more
    PUSH_CHECK_LOAD,     // its plan gives a gateway more than it can carry
    PUSH_CHECK_ERRORS,   // 5xx at its edge
    PUSH_CHECK_RETRIES,  // second tries at its edge
    PUSH_CHECK_ALARMS,   // a new alarm of its agent
    PUSH_CHECK_OTHERS,   // another region is worse than before
    PUSH_CHECK_MAX,
} PushCheck;

typedef struct PushView {
    const Conf *conf; // names and order of the regions
    uint32_t region;  // that took the file
    uint64_t hash;    // of the file
    // [n_regions] each: a while before the change, just before it, and now
    const AgentAnswer *first, *before, *now;
} PushView;

const char *push_check_name(PushCheck check);
// Fails at once, without waiting whether it lasts.
bool push_check_is_sudden(PushCheck check);
// True: it fails, and `text` says how.
bool push_check_fails(const PushView *view, PushCheck check, char text[PUSH_TEXT_MAX]);
