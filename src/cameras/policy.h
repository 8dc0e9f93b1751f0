// SPDX-License-Identifier: MIT
// policy: what a camera does when a try has ended (contracts section 8). Pure: the shell asks and
// obeys. Two different things must not be mixed:
//
//   reconnect  a kept connection was closed before any byte of an answer: HTTP lets the client say
//              the same again on a fresh one (RFC 9112 9.3.1); no failed try, every reload causes
//              it
//   retry      the try failed: once more, at the other gateway, if the request is idempotent
//
// A request that the fleet sheds (503 with Retry-After and Wildcam-Shed: it is at its capacity) is
// neither: nothing is broken, and a second try would only double the load that is too much already.
// The camera leaves it; what it sends next comes when it is due.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "instant.h"

#define POLICY_CONNECT_NS (250 * NS_PER_MS) // TCP and TLS together
#define POLICY_SILENCE_NS (1000 * NS_PER_MS)

typedef enum TryResult {
    TRY_NONE,
    TRY_OK,
    TRY_STATUS,  // answered, but not with 2xx or 3xx
    TRY_CONNECT, // refused, or no connection with TLS in time
    TRY_CLOSED,  // closed before the whole answer
    TRY_SILENT,  // no byte for too long
    TRY_GARBAGE, // not HTTP, or not what was asked for
    TRY_UNSENT,  // never tried: every client was busy for too long
    TRY_SHED,    // answered "no capacity, come again later"
    TRY_MAX,
} TryResult;

const char *try_result_name(TryResult result);
// Shed is no failure: the fleet worked as it should.
static inline bool try_failed(TryResult result)
{
    return result != TRY_OK && result != TRY_SHED;
}

typedef struct PolicyTry {
    bool idempotent;
    bool second;    // this was the retry
    bool has_other; // there is another gateway to go to
    bool reused;    // the connection had carried a request before
    bool any_byte;  // of the answer
    int status;     // TRY_STATUS
} PolicyTry;

typedef enum PolicyStep {
    POLICY_DONE,      // the request has ended with this result
    POLICY_RECONNECT, // the same try on a fresh connection
    POLICY_RETRY,     // a second try at the other gateway
} PolicyStep;

PolicyStep policy_next(const PolicyTry *attempt, TryResult result);
bool policy_status_ok(int status);
