// SPDX-License-Identifier: MIT
// plan_store: the folder DIR/R/plan (contracts section 6): plan.<number>, prefixes.<digest>,
// plan.now, epoch. Everything here blocks (fsync), so the publisher calls it from a worker thread,
// one call at a time. A failed write leaves the last good plan named in plan.now.
//
// Numbers are epoch << 32 | counter. The epoch is the second at which the folder was made and is
// kept in a file; the first number of a start lies above every number that is still to be seen: in
// the folder, in plan.now and in what the edges say they use. So a lost folder or a wall clock that
// went backwards never makes a plan that an edge would refuse as older.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "instant.h"

#define PLAN_STORE_KEEP 4 // plans kept for readers that are late

typedef struct PlanStore PlanStore;

typedef struct PlanStoreWrite {
    uint64_t number, prefixes_digest;
    const void *plan, *prefixes; // as wire/plan_file encodes them
    size_t plan_len, prefixes_len;
} PlanStoreWrite;

// Makes the folder if it is absent. `in_use`: the highest plan number that an edge says it uses, 0
// for none. `boot` goes into plan.now.
int plan_store_open(const char *folder, uint64_t in_use, Wall wall, uint64_t boot,
                    PlanStore **ret_store, Error *reterr) MUST_CHECK;
// For the first plan of this start; above every earlier one.
uint64_t plan_store_first_number(const PlanStore *store);
// The plan that plan.now names, if it is whole, of this configuration and region, and was said to
// be in force within the last `max_age_ns`: it is the newest one then. 0: there is none.
uint64_t plan_store_adopt(PlanStore *store, uint64_t config_hash, const char *region, Wall wall,
                          int64_t max_age_ns);
// Prefixes first if they are not there, then the plan; only then names it in plan.now and removes
// what is older than the last few.
int plan_store_write(PlanStore *store, const PlanStoreWrite *write, Wall wall,
                     Error *reterr) MUST_CHECK;
// "This is still the plan." ERROR_NOT_FOUND before the first write.
int plan_store_beat(PlanStore *store, Wall wall, Error *reterr) MUST_CHECK;
PlanStore *plan_store_free(PlanStore *store); // takes NULL, returns NULL
