// SPDX-License-Identifier: MIT
// sim_world: what is broken when. The world is a function of time: a list of faults, each with its
// first and last moment, so that a request sent now can be followed into the future, through
// retransmissions, without being touched again. Scripted and random runs differ only in the list.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "instant.h"
#include "rng.h"
#include "sim_model.h"

#define SIM_FOREVER INT64_MAX
#define SIM_ALL ((1U << SIM_REGIONS) - 1)
#define SIM_ONE(region) (1U << (region))
#define SIM_CLOUD(cloud) (3U << 2 * (cloud))

typedef enum SimFaultKind {
    FAULT_REFUSE,  // gateways a: killed, connections are refused and kept ones closed
    FAULT_HANG,    // gateways a: stopped; the kernel still accepts, nothing answers
    FAULT_DEAD,    // gateways a: the machine is gone, silence
    FAULT_ERRORS,  // gateways a: status 500, for `value` ppm of what they are asked (0: for all)
    FAULT_PROBES,  // gateways a: probes get a wrong answer (a certificate, say), users are served
    FAULT_SLOW,    // gateways a: answers later and later, 0.3 s per second up to `value` ns
    FAULT_LOSS,    // packets from a to b: lost with `value` ppm; PPM_ONE is a cut
    FAULT_FREEZE,  // agents a: stand still, then go on
    FAULT_RESTART, // agents a: killed, started again at the end
    FAULT_CLOCK,   // agents a: wall clock is off by `value` ns
    FAULT_REPLICA, // agents a: their own replicas do not answer
    FAULT_USERS,   // gateways a: `value` ppm of users' requests get a 500, probes are served
    FAULT_DELAY,   // packets from a to b: `value` ns later, give or take `jitter_ns`
    FAULT_LIE,     // agents a: their reports say of the gateways b what `value` (SimLie) says
    FAULT_LAG,     // agents a: their reports leave `value` ns late
    FAULT_OLD,     // agents a: killed; started at the end with the disk of `value` ns before
    FAULT_STALE,   // regions a: their DNS and edge keep the plan that they had
    FAULT_CHAOS,   // agents a: `value` ppm of what comes to them is lost, late or doubled
    FAULT_PROBE_LOSS, // agents a: `value` ppm of their probes go nowhere
    FAULT_MAX,
} SimFaultKind;

// What an observer that lies says.
typedef enum SimLie {
    SIM_LIE_DOWN,     // votes against healthy gateways
    SIM_LIE_UP,       // for dead ones
    SIM_LIE_NONSENSE, // impossible ages, flaps, holds and windows, anew in every report
    SIM_LIE_FORGE,    // votes down and passes on forged votes of all others
    SIM_LIE_MAX,
} SimLie;

typedef struct SimFault {
    SimFaultKind kind;
    uint32_t a, b; // masks of regions
    bool both;     // LOSS, DELAY: from b to a too
    int64_t from_ns, until_ns;
    int64_t value;
    int64_t jitter_ns; // DELAY
} SimFault;

typedef struct SimWorld {
    const int64_t (*rtt_ns)[SIM_REGIONS_MAX];
    uint32_t loss_ppm; // of every packet, always
    const SimFault *faults;
    size_t n_faults;
    uint32_t absent; // mask of kinds that do not occur in `faults`: these cost nothing
    int64_t queue_ns[SIM_REGIONS_MAX]; // wait at a gateway that its load makes
    Rng rng;
} SimWorld;

// Round trips of the guide's regions (1 to 65 ms) and of a layout around the world (1 to 220 ms).
typedef const int64_t SimRtt[SIM_REGIONS_MAX][SIM_REGIONS_MAX];
extern SimRtt SIM_RTT_GUIDE, SIM_RTT_WORLD;

// The mask of all regions of a model.
static inline uint32_t sim_world_all(const Model *model)
{
    return (uint32_t)((UINT64_C(1) << model->n_regions) - 1);
}

// Fills in `absent`. Must be called again when `faults` changes; not at all is sound, only slow.
void sim_world_begin(SimWorld *world);
// The fault of that kind that region (or path) suffers at t, or NULL. For LOSS: the worst.
const SimFault *sim_world_fault(const SimWorld *world, SimFaultKind kind, uint32_t region,
                                int64_t t_ns);

typedef enum SimAnswer {
    SIM_ANSWER_OK,
    SIM_ANSWER_BAD,     // wrong status
    SIM_ANSWER_REFUSED, // or reset, or a kept connection that turned out closed
    SIM_ANSWER_NONE,
} SimAnswer;

// One request from region a to the gateway of b, sent at *at_ns; on return the moment of the
// answer.
SimAnswer sim_world_kept(SimWorld *world, uint32_t a, uint32_t b, int64_t *at_ns);
SimAnswer sim_world_fresh(SimWorld *world, uint32_t a, uint32_t b, int64_t *at_ns);
// A probe as the shell makes it: kept connection first, fresh one when that is closed, the same GET
// on a fresh one after hedge_ns. The first outcome that is one counts.
SimAnswer sim_world_probe(SimWorld *world, uint32_t a, uint32_t b, bool kept, int64_t hedge_ns,
                          int64_t *at_ns);
