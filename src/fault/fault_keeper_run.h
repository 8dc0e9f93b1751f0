// SPDX-License-Identifier: MIT
// fault_keeper_run: the inside of the keeper's process.
#pragma once
#include "fault.h"

// How long each function of a kind may take; the other end waits a little longer.
#define FAULT_SLOW_NS (150 * NS_PER_S)  // prepare, undo: programs restart, data is copied
#define FAULT_QUICK_NS (20 * NS_PER_S)  // begin, change, end
#define FAULT_ANSWER_NS (10 * NS_PER_S) // on top of it, for the answer itself

// `asker` is a pidfd of the process that made us. Heals and ends when that one dies, closes the
// socket, asks for it, or SIGTERM comes. Exit code 1: something could not be healed.
NORETURN void fault_keeper_run(const FaultOptions *options, int socket, int asker);
