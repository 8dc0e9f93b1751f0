// SPDX-License-Identifier: MIT
// fault_verb: `wildcam fault NAME`: holds one fault until Ctrl-C, the end of --for, or the end of
// stdin. Drills and tests of other languages use the same injectors through it.
#pragma once
#include "fault.h"

// 0, or a negative code.
int fault_main(int argc, char **argv, FaultAsk *ask, Error *reterr) MUST_CHECK;
