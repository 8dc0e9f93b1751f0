// SPDX-License-Identifier: MIT
// instant: points in time. One unit everywhere, nanoseconds in 64 bits (292 years); two one-field
// structs, so that the monotonic clock and the wall clock cannot be mixed. Durations are int64_t
// nanoseconds in variables whose names end in _ns.
#pragma once
#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

typedef struct Mono {
    int64_t ns; // of this machine's monotonic clock; comparable only within one boot of one host
} Mono;

typedef struct Wall {
    int64_t ns; // since 1970-01-01 UTC
} Wall;

#define MONO_NEVER ((Mono){INT64_MAX})   // later than every instant
#define MONO_DISTANT ((Mono){INT64_MIN}) // earlier than every instant

static inline int64_t ns_add_saturated(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

static inline Mono mono_add(Mono t, int64_t ns)
{
    return (Mono){ns_add_saturated(t.ns, ns)};
}

// later - earlier, saturated: since MONO_DISTANT is INT64_MAX.
static inline int64_t mono_since(Mono later, Mono earlier)
{
    int64_t diff;
    if (__builtin_sub_overflow(later.ns, earlier.ns, &diff))
        return later.ns > earlier.ns ? INT64_MAX : INT64_MIN;
    return diff;
}

static inline Mono mono_min(Mono a, Mono b)
{
    return a.ns < b.ns ? a : b;
}

static inline Mono mono_max(Mono a, Mono b)
{
    return a.ns > b.ns ? a : b;
}

static inline Wall wall_add(Wall t, int64_t ns)
{
    return (Wall){ns_add_saturated(t.ns, ns)};
}
