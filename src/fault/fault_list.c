// SPDX-License-Identifier: MIT
// fault_list: the declared list of faults, who does each, and whether this machine and user can.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fault_find.h"
#include "fault_kind.h"

const FaultInfo FAULTS[FAULT_MAX] = {
    [FAULT_KILL] = {"kill", "whole regions die, databases included",
                    "SIGKILL to the region's init; the kernel takes the rest",
                    "the supervisor starts them again", ""},
    [FAULT_HANG] = {"hang", "whole regions stop, their connections stay open",
                    "the region's init sends SIGSTOP to every process of its namespace",
                    "SIGCONT the same way", ""},
    [FAULT_PROGRAM_DOWN] = {"program-down", "one program of a region dies and stays down",
                            "the supervisor sends SIGKILL to it and its children, and halts it",
                            "the supervisor resumes it", ""},
    [FAULT_PROGRAM_HANG] = {"program-hang", "one program of a region stops, its workers too",
                            "SIGSTOP to the program and everything below it",
                            "SIGCONT to the same processes", ""},
    [FAULT_CUT] = {"cut", "no packets between two sets of regions",
                   "nftables drops them in the input hook, by both addresses",
                   "the table is deleted; the kernel does it when its owner dies", "root, nft"},
    [FAULT_LOSS] = {"loss", "a share of the packets between two sets of regions is lost",
                    "nftables drops them at random in the input hook",
                    "the table is deleted; the kernel does it when its owner dies", "root, nft"},
    [FAULT_GATEWAY_SLOW] = {"gateway-slow", "gateways answer later, to clients and to regions",
                            "packets to the gateway are turned to a relay that delays them",
                            "the relay and its rules go", "root, nft"},
    [FAULT_REPLICA_SLOW] = {"replica-slow", "replicas answer later",
                            "a relay takes the place of the replica's socket and delays answers",
                            "the replica's own socket is put back", ""},
    [FAULT_REPLICA_ERRORS] = {"replica-errors", "replicas answer a share of requests with 500",
                              "a relay takes the place of the replica's socket and spoils answers",
                              "the replica's own socket is put back", ""},
    [FAULT_DISK_FULL] = {"disk-full", "no space left for the database",
                         "the data folder moves to a small tmpfs, which a ballast file fills",
                         "the ballast goes; the data moves back", "root"},
    [FAULT_CLOCK] = {"clock", "the wall clock of one program is off",
                     "libfaketime is preloaded into it and reads the offset from a file",
                     "offset 0; the program restarts without it", "faketime"},
};

const FaultKindActions *fault_actions(FaultKind kind)
{
    static const FaultKindActions *const ACTIONS[FAULT_MAX] = {
        [FAULT_KILL] = &FAULT_KIND_REGION,          [FAULT_HANG] = &FAULT_KIND_REGION,
        [FAULT_PROGRAM_DOWN] = &FAULT_KIND_PROGRAM, [FAULT_PROGRAM_HANG] = &FAULT_KIND_PROGRAM,
        [FAULT_CUT] = &FAULT_KIND_PACKETS,          [FAULT_LOSS] = &FAULT_KIND_PACKETS,
        [FAULT_GATEWAY_SLOW] = &FAULT_KIND_RELAY,   [FAULT_REPLICA_SLOW] = &FAULT_KIND_RELAY,
        [FAULT_REPLICA_ERRORS] = &FAULT_KIND_RELAY, [FAULT_DISK_FULL] = &FAULT_KIND_DISK,
        [FAULT_CLOCK] = &FAULT_KIND_CLOCK,
    };
    return ACTIONS[kind];
}

static int need_root(const char *name, Error *reterr)
{
    if (geteuid() == 0)
        return 0;
    int r = error_set(reterr, -EPERM, "fault '%s' needs root", name);
    return error_hint(reterr, r, "Run it with sudo; the fleet's programs keep their own user.");
}

int fault_possible(FaultKind kind, Error *reterr)
{
    static const struct {
        const char *word, *what, *package;
        int (*find)(LayoutPath *ret_path);
    } TOOLS[] = {{"nft", "the program nft", "nftables", fault_find_nft},
                 {"faketime", "the library libfaketime", "faketime", fault_find_faketime}};
    ASSERT(kind < FAULT_MAX);
    const FaultInfo *info = &FAULTS[kind];
    int r = strstr(info->needs, "root") != NULL ? need_root(info->name, reterr) : 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(TOOLS); i++) {
        LayoutPath path;
        if (strstr(info->needs, TOOLS[i].word) == NULL || TOOLS[i].find(&path) == 0)
            continue;
        r = error_set(reterr, ERROR_NOT_FOUND, "fault '%s' needs %s, which is not here", info->name,
                      TOOLS[i].what);
        r = error_hint(reterr, r, "On Debian: apt-get install %s", TOOLS[i].package);
    }
    return r;
}
