// SPDX-License-Identifier: MIT
// sim_judge: looks at a fleet under the fault model from outside and says which verdicts were
// right.
//
// A verdict begins when an agent holds a gateway that no other running agent holds. It is
//   dead      if in the last 6 s the gateway did not run,
//   outage    if its own uplink was gone,
//   cut off   if its cloud was cut off from both others (alone, or in both pairs),
//   burst     if its own uplink lost half of its packets: counted apart, it is half down,
//   false     else. A cut of all transit is no excuse: nobody can tell who is gone.
// An agent that comes to hold what another one holds joins that verdict.
//
// A gateway that refuses for more than 1 s, or whose uplink is gone for more than 2.5 s, must be
// held then by every agent that runs and is not behind the same uplink; else the verdict is
// missed. Only where nothing else broke within 10 s before or until then, and nothing was held: two
// troubles at once may hide one another.
#pragma once
#include "buf.h"
#include "sim_fault_model.h"
#include "sim_fleet.h"

typedef enum SimVerdictKind {
    SIM_VERDICT_DEAD,
    SIM_VERDICT_OUTAGE,
    SIM_VERDICT_CUT_OFF,
    SIM_VERDICT_BURST,
    SIM_VERDICT_FALSE,
    SIM_VERDICT_MAX,
} SimVerdictKind;

#define SIM_JUDGE_TROUBLES 128
#define SIM_JUDGE_WATCHES 32
#define SIM_JUDGE_BINS 2600 // of a millisecond

// How a gateway became unreachable.
typedef enum SimSilence { SIM_SILENCE_REFUSED, SIM_SILENCE_GONE, SIM_SILENCE_MAX } SimSilence;

typedef struct SimTally {
    uint64_t troubles[TROUBLE_MAX];
    uint64_t verdicts[SIM_VERDICT_MAX];
    uint64_t joined;                                // agents that joined a verdict
    uint64_t watched, missed;                       // gateways that had to be held in time
    uint32_t took[SIM_SILENCE_MAX][SIM_JUDGE_BINS]; // until all held it, of those watched
} SimTally;

typedef struct SimWatch {
    SimTrouble trouble;
    bool begun, alone;
} SimWatch;

typedef struct SimJudge {
    SimTally *tally;
    Buf *timeline; // or NULL
    uint32_t held[SIM_REGIONS];
    SimTrouble troubles[SIM_JUDGE_TROUBLES]; // that matter still, or will soon
    size_t n_troubles;
    SimWatch watches[SIM_JUDGE_WATCHES];
    size_t n_watches;
    int64_t changed_ns; // when an agent last took or gave up a verdict; INT64_MIN: never
    bool wrong;         // something was false or missed since this was cleared
} SimJudge;

void sim_judge_begin(SimJudge *judge, SimTally *tally, Buf *timeline);
// A trouble that will begin, before it does.
void sim_judge_trouble(SimJudge *judge, const SimTrouble *trouble);
// After every change of the fleet, and when sim_judge_next says so.
void sim_judge_look(SimJudge *judge, const SimFleet *fleet);
int64_t sim_judge_next(const SimJudge *judge);
const char *sim_verdict_name(SimVerdictKind kind);
