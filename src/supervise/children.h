// SPDX-License-Identifier: MIT
// children: the processes of a region as its init (pid 1 there) sees them, to end a program with
// all that it has started. A process group does not do: each PostgreSQL backend has a session of
// its own. The tree comes from /proc, whose numbers are those of the namespace that mounted it; the
// line NSpid of a process says its number in ours. A process that forks while we look can be
// missed: whoever calls stops the parent first and looks again for orphans.
#pragma once
#include <stddef.h>
#include <sys/types.h>

// SIGKILL to all below our child `pid`, not to itself. How many lived, or a negative code.
int children_kill_below(pid_t pid);
// SIGKILL to all our children that are not in `spared`, and to all below them.
int children_kill_orphans(const pid_t *spared, size_t n);
