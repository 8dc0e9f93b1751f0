// SPDX-License-Identifier: MIT
// plan_file: the plan as bytes (contracts section 6). Little-endian, magic, version, length,
// CRC-32C over everything; a decoder trusts nothing: torn, truncated, corrupted, empty or foreign
// bytes are refused and the reader keeps its last good plan. Also `plan.now` (newest number and
// heartbeat) and `prefixes.<digest>` (prefix -> client group), a file of its own.
#pragma once
#include <inttypes.h>

#include "arena.h"
#include "buf.h"
#include "error.h"
#include "plan.h"

// Names in DIR/R/plan, for printf with <inttypes.h>: 16 lower-case hex digits each.
#define PLAN_FILE_NAME "plan.%016" PRIx64         // of plan->number
#define PREFIXES_FILE_NAME "prefixes.%016" PRIx64 // of plan->prefixes_digest
#define PLAN_NOW_NAME "plan.now"

#define PLAN_NOW_BYTES 64

typedef struct PlanNow {
    uint64_t number;
    Wall heartbeat; // when the agent last said "this is still the plan"
    uint64_t boot;  // of the agent
} PlanNow;

// Appends. Refuses (ERROR_RANGE, ERROR_LIMIT) what a reader would refuse. The digest is the core's.
int plan_file_encode(const Plan *plan, Buf *buf) MUST_CHECK;
// Everything in the plan points into the arena, never into bytes.
int plan_file_decode(const void *bytes, size_t len, Arena *arena, const Plan **ret_plan,
                     Error *reterr) MUST_CHECK;
// hash over the fleet part; what the core puts into plan->fleet_digest is checked against it by
// tests.
void plan_now_encode(const PlanNow *now, unsigned char ret_bytes[PLAN_NOW_BYTES]);
int plan_now_decode(const void *bytes, size_t len, PlanNow *ret_now, Error *reterr) MUST_CHECK;

int prefixes_encode(const ModelPrefix *prefixes, uint32_t n, uint64_t digest, Buf *buf) MUST_CHECK;
int prefixes_decode(const void *bytes, size_t len, Arena *arena, const ModelPrefix **ret_prefixes,
                    uint32_t *ret_n, uint64_t *ret_digest, Error *reterr) MUST_CHECK;
