// SPDX-License-Identifier: MIT
// clock: the only place that reads clocks and the kernel's random source.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "instant.h"

Mono clock_mono(void);
Wall clock_wall(void);
void random_bytes(void *buffer, size_t len); // getrandom(2); aborts if the kernel has none
uint64_t random_u64(void);                   // never 0
// "2026-11-23T14:00:00.123Z"
#define CLOCK_TEXT_MAX 32
const char *clock_format(Wall wall, char text[CLOCK_TEXT_MAX]);
