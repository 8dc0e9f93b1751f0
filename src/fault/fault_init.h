// SPDX-License-Identifier: MIT
// fault_init: does anything of a region run? Its init writes REGION/init.pid ("PID START",
// docs/contracts/processes.md). A supervisor that was killed stops answering some moments before
// the processes of its regions are gone; init is over only when all others in its PID namespace
// are. The file is the run user's: a forged one only makes us wait.
#pragma once
#include <stdbool.h>

// `region`: a descriptor of the region's folder.
bool fault_init_lives(int region);
