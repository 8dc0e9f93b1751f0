// SPDX-License-Identifier: MIT
// rng: a seeded generator inside whatever owns it (xoshiro256**, Blackman and Vigna 2018,
// prng.di.unimi.it; seeded by splitmix64). Same seed, same numbers, everywhere. Not for secrets.
#pragma once
#include <stdint.h>

typedef struct Rng {
    uint64_t state[4];
} Rng;

Rng rng_seeded(uint64_t seed);
uint64_t rng_next(Rng *rng);
// Uniform in [0, bound); 0 for bound 0. Without modulo bias worth speaking of (Lemire 2019, no
// loop).
uint64_t rng_below(Rng *rng, uint64_t bound);
