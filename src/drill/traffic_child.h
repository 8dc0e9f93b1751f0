// SPDX-License-Identifier: MIT
// traffic_child: the cameras of a drill, a process of its own so that the drill's work does not
// disturb the schedule. It ends with the drill, whatever happens to it.
#pragma once
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

typedef struct TrafficChild {
    pid_t pid; // 0: none
    int ready; // a byte comes when traffic flows; -1 after that
} TrafficChild;

// argv[0] is replaced by the program's path; argv must end with NULL and leave --ready-fd to us.
int traffic_child_start(const char *const *argv, TrafficChild *ret_child, Error *reterr) MUST_CHECK;
// 1: flows; 0: not yet; negative: it has ended instead.
int traffic_child_ready(TrafficChild *child, Error *reterr) MUST_CHECK;
// 1: ended well; 0: runs; negative: ended badly.
int traffic_child_ended(TrafficChild *child, Error *reterr) MUST_CHECK;
void traffic_child_stop(const TrafficChild *child); // asks it to end
void traffic_child_kill(TrafficChild *child);       // and reaps it
