// SPDX-License-Identifier: MIT
// evidence: what the own edge counted (wire/counters.h), read every 100 ms as private copies. Turns
// monotonic counters of several workers, old and new, into what happened since the last reading.
// A damaged, foreign or unchanged file gives nothing; a worker that was there before the agent
// started is taken as it stands.
#pragma once
#include <stdint.h>

#include "core.h"
#include "counters.h"
#include "error.h"
#include "instant.h"
#include "model.h"

typedef struct Evidence Evidence;

typedef struct EvidenceTotals { // since the agent's start, over all workers
    uint64_t requests, responses_5xx, retries, retries_refused, evacuated, shed, shed_peer,
        forwarded, peer_refused, plan_refused, no_target, cache_hit, cache_miss, damaged;
    uint32_t workers;     // files that were written to within the last 5 s
    uint64_t oldest_plan; // number of the oldest plan in use by such a worker; 0: none
} EvidenceTotals;

int evidence_new(const char *folder, Mono now, Evidence **ret_evidence, Error *reterr) MUST_CHECK;
// Fills ret_edges[i] for gateway i of the model: the own one holds what its replicas served.
// Returns how many entries hold news; each is marked by `fresh`. The first failure of a file is in
// reterr with the result still usable.
typedef struct EvidenceEdge {
    bool fresh;
    CoreEventEdge edge;
} EvidenceEdge;
uint32_t evidence_read(Evidence *evidence, const Model *model, uint32_t own, Mono now,
                       EvidenceEdge *ret_edges, Error *reterr);
EvidenceTotals evidence_totals(const Evidence *evidence);
// The highest plan number that any counters file in the folder names, 0 if none. For the start.
uint64_t evidence_newest_plan(const char *folder);
Evidence *evidence_free(Evidence *evidence); // takes NULL, returns NULL
