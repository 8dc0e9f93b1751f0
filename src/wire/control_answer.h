// SPDX-License-Identifier: MIT
// control_answer: what the supervisor says back on its socket (docs/contracts/processes.md), read
// in one place: {"ok": true, ...} or {"ok": false, "failed": ..., "error": "...", "hint": "..."}.
// Pure. Whoever answers may be the run user, so everything in it is outside input.
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "error.h"

// 0: it is ok; json_decref *ret_root (ret_root may be NULL). ERROR_UNAVAILABLE: it could not be
// done; ERROR_USAGE: the command was wrong; both in the supervisor's words, with its hint.
// ERROR_FORMAT: no answer of use.
int control_answer_read(const char *answer, json_t **ret_root, Error *reterr) MUST_CHECK;

// Of the answer to `status`; borrowed, NULL when absent.
const json_t *control_status_region(const json_t *status, const char *region);
const json_t *control_status_program(const json_t *status, const char *region, const char *program);
// "ready", "hung" ... of a region or program; "" when there is none.
const char *control_status_state(const json_t *item);
// The process that the supervisor names under this key; 0 when it names none.
int control_status_pid(const json_t *item, const char *key);
