// SPDX-License-Identifier: MIT
// publisher: brings the core's newest plan to disk without stopping the loop: encodes it, has a
// worker thread write it, says every 250 ms that it still is the plan. While a write is under way
// only the newest plan waits; one that could not be written is tried again every second and the
// heartbeat stops meanwhile, so that the edges see their plan's age rise.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "error.h"
#include "instant.h"
#include "model.h"
#include "plan.h"
#include "plan_store.h"

typedef struct Publisher Publisher;

typedef struct PublisherStatus {
    uint64_t number; // newest plan on disk; 0: none yet
    Mono good;       // when disk last held the newest plan; MONO_DISTANT: never
    uint64_t writes, failures;
    int64_t last_write_ns; // how long the newest successful write took
    const char *error;     // "" while the newest plan is on disk
} PublisherStatus;

// `changed` is called from the loop when a plan was written or a write failed.
typedef void PublisherChanged(void *context, const PublisherStatus *status);

// Takes the store over, also on failure. `adopted`: number of a plan on disk that still holds, or
// 0.
int publisher_new(uv_loop_t *loop, PlanStore *store, uint64_t adopted, PublisherChanged *changed,
                  void *context, Publisher **ret_publisher, Error *reterr) MUST_CHECK;
// The plan is encoded before this returns. One that was offered before is ignored.
int publisher_offer(Publisher *publisher, const Plan *plan, const Model *model,
                    Error *reterr) MUST_CHECK;
PublisherStatus publisher_status(const Publisher *publisher);
// Nothing new is published from now on; what is being written is finished. Then the loop may end.
void publisher_stop(Publisher *publisher);
// After the loop has ended. Takes NULL, returns NULL.
Publisher *publisher_free(Publisher *publisher);
