// SPDX-License-Identifier: MIT
// fault_mount: small disks (tmpfs). Each has a source name of its own, by which it is found again
// in any mount namespace, also by another process later. Folders below the state folder belong to
// the run user: a path into them is resolved without links, or root would mount where he says.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "fault_owner.h"

// The folder base/below without following links in `below`; a descriptor or a negative code.
int fault_mount_open(const char *base, const char *below, int flags, Error *reterr) MUST_CHECK;
// A tmpfs of this size over the folder `name` of `at`, in our own namespace.
int fault_mount_new(int at, const char *name, const char *source, uint64_t bytes,
                    const FaultOwner *owner, Error *reterr) MUST_CHECK;
// The folder at/name also over base/below as process `pid` sees them, in its namespace. It must be
// a process of `owner`.
int fault_mount_attach(int at, const char *name, pid_t pid, const FaultOwner *owner,
                       const char *base, const char *below, Error *reterr) MUST_CHECK;
// Takes away what fault_mount_attach put over folders, in the namespace of `pid` (0: ours); with
// `whole` the disk itself, too. None there is fine.
int fault_mount_detach(pid_t pid, const FaultOwner *owner, const char *source, bool whole,
                       Error *reterr) MUST_CHECK;
