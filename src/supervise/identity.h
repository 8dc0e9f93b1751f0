// SPDX-License-Identifier: MIT
// identity: as whom the fleet runs. A normal user: as itself. Root by sudo: as the user behind it
// (SUDO_UID), who owns the checkout. Root: as the system user `wildcam`. Root keeps its saved ids
// and works with the run user's effective ids, so that no file below a folder of that user is ever
// made or followed with root's power; it is raised for namespaces and looking at other users'
// processes only. Goes wrong: changing ids clears PR_SET_PDEATHSIG (prctl(2)); lower and raise set
// it again.
#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "error.h"
#include "layout.h"

typedef struct Identity {
    uid_t uid;
    gid_t gid;
    bool root; // we are root and the programs are not
    char name[64];
} Identity;

int identity_choose(Identity *ret_identity, Error *reterr) MUST_CHECK;
// Effective ids: the run user's, and root's again. Nothing happens for a normal user.
void identity_lower(const Identity *identity);
void identity_raise(const Identity *identity);
// All ids, for good; in a child, before exec.
int identity_drop(const Identity *identity, Error *reterr) MUST_CHECK;
// Can the run user reach `path`, with `mode` as for access(2)?
bool identity_reaches(const Identity *identity, const char *path, int mode);
// Makes a mount namespace of our own in which `folders[i]` are also at ret_paths[i], short and
// reachable for the run user. Nothing stays mounted when we end. Raised ids needed.
int identity_bind(const char *const *folders, size_t n, LayoutPath *ret_paths,
                  Error *reterr) MUST_CHECK;
