// SPDX-License-Identifier: MIT
// report_json: reports and intents as JSON (contracts section 4; schema
// docs/contracts/report.schema.json). Decoding is strict on types and bounds, tolerant of unknown
// keys (version N reads N-1 and N+1).
#pragma once
#include "arena.h"
#include "buf.h"
#include "error.h"
#include "report.h"

int report_json_encode(const Report *report, Buf *buf) MUST_CHECK; // ERROR_LIMIT above 64 KiB
// The report and all its texts live in the arena. Errors name the JSON path: "views[2].age_ns:
// ...".
int report_json_decode(const char *bytes, size_t len, Arena *arena, const Report **ret_report,
                       Error *reterr) MUST_CHECK;
// A list of intents, as the agent keeps them on disk. Kinds from a newer version, and kinds that do
// not go with their target, are left out and counted (NULL: not wanted).
#define INTENTS_JSON_MAX (512U << 10) // BOUND_INTENTS with the longest texts
int intents_json_encode(const Intent *intents, uint32_t n, Buf *buf) MUST_CHECK;
int intents_json_decode(const char *bytes, size_t len, Arena *arena, const Intent **ret_intents,
                        uint32_t *ret_n, uint32_t *ret_left_out, Error *reterr) MUST_CHECK;
// The body of POST /v1/intents: {kind, target, region, value_ppm, author, reason, expires_s}; the
// result has no stamp yet. `region` is needed for a pin, `value_ppm` for a weight, `expires_s`
// never.
int intent_wish_decode(const char *bytes, size_t len, Wall now, Arena *arena, Intent *ret_intent,
                       Error *reterr) MUST_CHECK;
