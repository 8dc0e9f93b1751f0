// SPDX-License-Identifier: MIT
// conf_distance: how far a client group is from a region, in microseconds of round trip, where
// nobody measured it: distance on a sphere, light in glass at 200 km/ms, cables 1.5 times as long
// as the great circle, 2 ms for the machines at both ends:
//     latency = 2 x distance / (200 km/ms) x 1.5 + 2 ms
// The result is an integer and the same on every machine: only operations that IEEE 754 defines to
// the bit are used (+ - * / sqrt, no fused ones), never libm's sine.
#pragma once
#include <stdint.h>

#include "conf_schema.h"

int64_t conf_distance_m(ConfLocation a, ConfLocation b); // on a sphere of 6371008.8 m, whole metres
int64_t conf_latency_us(ConfLocation a, ConfLocation b);
