// SPDX-License-Identifier: MIT
// up: parts of `wildcam up`. Order matters: everything that a user can get wrong is checked before
// anything starts and said on the terminal, not in a log.
#pragma once
#include "context.h"
#include "identity.h"
#include "program.h"

typedef struct Fleet {
    Context context;      // dir: as the programs see it
    LayoutPath shown_dir; // as the user named it
    Identity identity;
    LayoutPath programs; // folder of wildcam-agent and the others, as the programs see it
    int lock;
    Arena *arena;
    RegionSpec **specs; // [n_regions]
} Fleet;

// ./fleet.yaml, or what `config push` has put into DIR, which may be newer; then it says so.
const char *up_default_file(const char *dir, LayoutPath *ret_path);
// Checks, folders, certificates. ERROR_RUNNING when a fleet runs there already.
int up_prepare(const char *fleet_file, const char *dir, Fleet *ret_fleet, Error *reterr) MUST_CHECK;
void fleet_done(Fleet *fleet);
// Watches until every region is healthy, with progress on `out`. ERROR_TIMEOUT says what is not.
// *stop (from a signal handler) ends it early with ERROR_CONFLICT.
int up_watch(const Fleet *fleet, int64_t timeout_ns, const volatile int *stop,
             Error *reterr) MUST_CHECK;
// The table of regions and three things to try.
void up_greet(const Fleet *fleet);
