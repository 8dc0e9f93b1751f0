// SPDX-License-Identifier: MIT
// region_upgrade: replaces a running program by a new start of it. Two ways (program.h):
//   restart:  the old one is ended in order, then the new one starts; others stand in meanwhile
//   handover: step (its configuration is written again) -> the new one starts beside the old one
//             and gets its listening sockets -> ready -> the old one leaves (a file says so: it
//             keeps no client's connection any more) -> it is told to finish (QUIT)
// nginx's own way (USR2) does not work for a child of its supervisor: it takes the unchanged parent
// for a half-done upgrade and ignores the signal. So the region's init does what the old master
// would do: it takes duplicates of the listening sockets (pidfd_getfd) and starts the new master
// with their numbers in the variable NGINX. The new one is our child: its pid and its end are known
// at once, and when it dies before it is ready, nothing has happened to the old one. nginx removes
// its pid file at its end, which by then names the new one: it is written again after that.
#pragma once
#include "region_slots.h"

// What region_slots.c offers for it.
void slots_set_state(Slots *slots, Slot *slot, ProgramState state);
void slots_reply(Slots *slots, const char *verb, const Slot *slot, const char *error);
pid_t slots_spawn(const Slots *slots, size_t index, const int *sockets, size_t n,
                  Error *reterr) MUST_CHECK;

void upgrade_begin(Slots *slots, Slot *slot, Mono now);
void upgrade_advance(Slots *slots, Slot *slot, Mono now);
void upgrade_ready(Slots *slots, Slot *slot); // the slot has become ready
// The upgrade under way, if any, ends with this error; its new process is killed.
void upgrade_abort(Slots *slots, Slot *slot, const char *why);
// Nobody leaves: a file that says so is of an earlier life.
void upgrade_forget(const Slot *slot);
// The old one has died: does the new one, that starts beside it, take its place?
bool upgrade_takes_over(Slots *slots, Slot *slot, Mono now);
// The end of a step, of a new process, or of an old one that has handed over.
void upgrade_exited(Slots *slots, Slot *slot, pid_t pid, int status, Mono now);
Mono upgrade_next(const Slot *slot);
