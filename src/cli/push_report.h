// SPDX-License-Identifier: MIT
// push_report: what a push did, for people while it goes on, for programs at its end.
#pragma once
#include "push.h"

typedef struct PushRegion {
    bool given, back; // got the new file; and got the old one again
    int64_t took_ms;  // from getting it until all of the region used it; -1: it did not
} PushRegion;

typedef struct PushReport {
    const char *result;        // "pushed", "staged", "back", "unchanged", "refused"
    const char *file;          // NULL: the one that was on its way already
    const PushFile *from, *to; // `to` may have no bytes
    const char *restart;       // lines, or ""
    const char *reason;        // NULL, or why nothing was done
    PushRegion *regions;       // [n_regions]
    PushFailure failure;
    int64_t elapsed_ms;
} PushReport;

// One line of progress, with the time since `begun`.
void push_tell(FILE *out, Mono begun, const char *region, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
// Who runs what: the copy on disk, and what the agents say.
void push_tell_where(const Context *context, const AgentAnswer *answers, FILE *out);
int push_print_json(const Context *context, const PushReport *report, Error *reterr) MUST_CHECK;
