// SPDX-License-Identifier: MIT
// policy: see policy.h.
#include "policy.h"

const char *try_result_name(TryResult result)
{
    static const char *const NAMES[TRY_MAX] = {"none",   "ok",      "status", "connect", "closed",
                                               "silent", "garbage", "unsent", "shed"};
    return (unsigned)result < TRY_MAX ? NAMES[result] : "?";
}

bool policy_status_ok(int status)
{
    return status >= 200 && status < 400;
}

PolicyStep policy_next(const PolicyTry *attempt, TryResult result)
{
    if (result == TRY_OK || result == TRY_SHED)
        return POLICY_DONE;
    if (result == TRY_CLOSED && attempt->reused && !attempt->any_byte && attempt->idempotent)
        return POLICY_RECONNECT;
    if (attempt->second || !attempt->idempotent || !attempt->has_other)
        return POLICY_DONE;
    if (result == TRY_STATUS && attempt->status < 500) // the request is wrong, not the gateway
        return POLICY_DONE;
    return POLICY_RETRY;
}
