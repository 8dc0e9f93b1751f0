// SPDX-License-Identifier: MIT
// sim_file_table: every key of a scenario file, and where its value goes. Inside sim_file only.
#pragma once
#include "conf_schema.h"

typedef struct RawScenario {
    const char *name, *text;
    uint32_t layout;
    int64_t run_ns, flap_ns;
    uint32_t traffic_rps, clients_ppm;
    bool queued_probes, calm, live;
    ConfList regions, faults, wishes, expects;
} RawScenario;

typedef struct RawRegion {
    const char *name, *cloud;
    uint32_t capacity_rps;
    ConfList rtt; // ConfNamedNumber
} RawRegion;

typedef struct RawFault {
    uint32_t kind;
    ConfList at, to;
    bool both, behind;
    int64_t from_ns, until_ns, time_ns, jitter_ns;
    uint32_t share_ppm, says;
} RawFault;

typedef struct RawWish {
    int64_t at_ns, for_ns;
    const char *agent;
    uint32_t wish; // IntentKind
    const char *target, *region;
    uint32_t weight_ppm;
} RawWish;

typedef struct RawExpect {
    int64_t from_ns, until_ns, apart_ns;
    ConfList who, held, care, last, slow;
    bool once, growing, agree;
    uint32_t transitions, load_percent, shed_ppm, failed_ppm;
} RawExpect;

extern const ConfSection SIM_FILE_ROOT, SIM_FILE_REGION, SIM_FILE_FAULT, SIM_FILE_WISH,
    SIM_FILE_EXPECT;
extern const char *const SIM_FILE_LAYOUTS[];
