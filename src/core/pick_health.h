// SPDX-License-Identifier: MIT
// pick_health: what the evidence of one edge says about a target; inner header of pick.
#pragma once
#include <stdbool.h>

#include "pick.h"

// Requests go elsewhere while anything better is left.
bool pick_health_suspect(const PickHealth *health, Mono now);
// A count that halves in half_life_ns. Added to at every event it settles at about
// 2 * half_life * rate; linear between two halvings, so integers suffice.
uint64_t pick_decayed(uint64_t value, int64_t elapsed_ns, int64_t half_life_ns);
