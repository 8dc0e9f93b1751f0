// SPDX-License-Identifier: MIT
// fault_relay_child: a wildcam-relay that the keeper runs and commands. Unlike other children it is
// not killed with the keeper: it ends with its stdin, which the keeper's death closes, and gives
// back the sockets that it has taken.
#pragma once
#include "fault_child.h"
#include "fault_kind.h"

#define FAULT_RELAY_DOORS 64 // src/relay/relay_state.h RELAY_DOORS_MAX

// argv without the program's name and the user; at most FAULT_RELAY_DOORS ports are read, in the
// order of the --tcp pairs. As root it becomes the owner of the fleet's sockets. Runs in the
// fleet's network namespace.
int fault_relay_start(const FaultHeld *held, const char *const *arguments, size_t n,
                      FaultChild *ret_child, unsigned *ret_ports, size_t n_ports,
                      Error *reterr) MUST_CHECK;
// One command; *ret_value (may be NULL) is the number behind "ok".
int fault_relay_tell(const FaultHeld *held, FaultChild *child, const char *command,
                     uint64_t *ret_value, Error *reterr) MUST_CHECK;
// Ends it by the end of its stdin, and waits.
void fault_relay_stop(const FaultHeld *held, FaultChild *child);
