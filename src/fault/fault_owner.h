// SPDX-License-Identifier: MIT
// fault_owner: what is done inside a folder of the fleet is done with its owner's effective ids:
// root must not follow links that somebody else can make. Nothing changes for a normal user.
#pragma once
#include <sys/types.h>

#include "error.h"

typedef struct FaultOwner {
    uid_t uid; // of the folder
    gid_t gid;
} FaultOwner;

// Of the region's folder dir/region, without following links: whatever lies or is linked in it, its
// owner is the one to act for.
int fault_owner_of_region(const char *dir, const char *region, FaultOwner *ret_owner,
                          Error *reterr) MUST_CHECK;
// A descriptor (pidfd) of process `pid`, which must be the owner's: numbers of processes come from
// whoever answers for the supervisor, and we may be root. -EPERM: it is somebody else's.
int fault_owner_process(const FaultOwner *owner, pid_t pid, int *ret_fd, Error *reterr) MUST_CHECK;
void fault_owner_become(const FaultOwner *owner);
void fault_owner_leave(const FaultOwner *owner);
