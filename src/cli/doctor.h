// SPDX-License-Identifier: MIT
// doctor: what is missing or wrong on this machine and in this deployment, each with its fix. One
// table of checks (doctor.c); a check looks at one thing and says at least one finding about it.
// Nothing is changed and nothing is waited for longer than a few seconds.
//
//   doctor_machine.c    packages, rights, limits, clock
//   doctor_files.c      DIR: room, modes, certificates
//   doctor_leftovers.c  what the killed left behind
//   doctor_programs.c   what runs
//   doctor_fleet.c      what the agents say
//   doctor_databases.c  what the databases say
//   doctor_rows.c       the databases as one mesh
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "agents.h"
#include "identity.h"

typedef enum DoctorLevel {
    DOCTOR_OK,
    DOCTOR_WARN, // works, but not all of it, or not for long
    DOCTOR_BAD,  // does not work, or is not safe
    DOCTOR_LEVEL_MAX,
} DoctorLevel;

typedef struct DoctorFinding {
    DoctorLevel level;
    const char *check; // its name
    char text[256];
    char fix[512]; // one line to copy and paste; "" when nothing has to be done
} DoctorFinding;

typedef struct Doctor {
    Context context;     // dir always; conf NULL without a readable fleet.yaml
    const char *dir;     // as it was given, or NULL
    const char *file;    // that conf is of; "" without
    bool deployed;       // DIR has a fleet
    json_t *supervisor;  // its status; NULL: no fleet runs
    AgentAnswer *agents; // [n_regions] status; NULL: nobody was asked
    json_t *view;        // of them; NULL: as above
    Identity identity;   // as whom the fleet runs here
    bool identified;
    // findings
    DoctorFinding *items;
    size_t n, capacity;
    const struct DoctorCheck *check; // the one that looks now
} Doctor;

typedef enum DoctorNeeds {
    DOCTOR_NEEDS_NOTHING,
    DOCTOR_NEEDS_CONF,    // a readable fleet.yaml
    DOCTOR_NEEDS_DIR,     // a fleet in DIR
    DOCTOR_NEEDS_RUNNING, // that runs
} DoctorNeeds;

typedef struct DoctorCheck {
    const char *name;
    DoctorNeeds needs;
    void (*look)(Doctor *doctor);
    const char *fix; // when the check says none of its own
} DoctorCheck;

extern const DoctorCheck DOCTOR_CHECKS[];
extern const size_t DOCTOR_CHECKS_COUNT;

// A finding of the check that looks now. `fix` NULL: the check's own; it is dropped when all is
// well.
void doctor_say(Doctor *doctor, DoctorLevel level, const char *fix, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
// DIR/REGION paths as the user can name them.
LayoutPath doctor_path(const Doctor *doctor, const char *region, const char *name);
// Runs a program (127: it is not there) without a shell for a few seconds at most; its output, both
// streams, cut to `size`. Its exit code, or a negative number when it could not be run or did not
// end.
int doctor_run(const char *const *argv, char *text, size_t size);

// doctor_machine.c
void doctor_programs(Doctor *doctor);
void doctor_nginx(Doctor *doctor);
void doctor_module(Doctor *doctor);
void doctor_postgresql(Doctor *doctor);
void doctor_drill_tools(Doctor *doctor);
void doctor_user(Doctor *doctor);
void doctor_namespaces(Doctor *doctor);
void doctor_limits(Doctor *doctor);
void doctor_clock(Doctor *doctor);
void doctor_ports(Doctor *doctor);
// doctor_files.c
void doctor_fleet_file(Doctor *doctor);
void doctor_disk(Doctor *doctor);
void doctor_secrets(Doctor *doctor);
void doctor_certificates(Doctor *doctor);
// doctor_leftovers.c
void doctor_leftovers(Doctor *doctor);
void doctor_push(Doctor *doctor);
// doctor_programs.c
void doctor_running(Doctor *doctor);
void doctor_region_programs(Doctor *doctor);
void doctor_stopped(Doctor *doctor);
// doctor_fleet.c
void doctor_agents(Doctor *doctor);
void doctor_gateways(Doctor *doctor);
void doctor_plans(Doctor *doctor);
void doctor_replicas(Doctor *doctor);
void doctor_clocks(Doctor *doctor);
void doctor_peers(Doctor *doctor);
void doctor_alarms(Doctor *doctor);
// doctor_databases.c
void doctor_databases(Doctor *doctor);
// doctor_rows.c
void doctor_rows(Doctor *doctor);
void doctor_rows_databases(Doctor *doctor);
