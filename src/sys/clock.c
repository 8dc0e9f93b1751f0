// SPDX-License-Identifier: MIT
// clock: see clock.h.
#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "attr.h"

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    int r = clock_gettime(id, &now);
    ASSERT(r == 0);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

Mono clock_mono(void)
{
    return (Mono){read_clock(CLOCK_MONOTONIC)};
}

Wall clock_wall(void)
{
    return (Wall){read_clock(CLOCK_REALTIME)};
}

void random_bytes(void *buffer, size_t len)
{
    unsigned char *at = buffer;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        ASSERT(n > 0);
        at += n;
        len -= (size_t)n;
    }
}

uint64_t random_u64(void)
{
    uint64_t value = 0;
    while (value == 0)
        random_bytes(&value, sizeof value);
    return value;
}

const char *clock_format(Wall wall, char text[CLOCK_TEXT_MAX])
{
    time_t seconds = (time_t)(wall.ns / NS_PER_S);
    struct tm tm;
    char date[24] = "1970-01-01T00:00:00";
    if (gmtime_r(&seconds, &tm) != NULL)
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text, CLOCK_TEXT_MAX, "%s.%03dZ", date, (int)(wall.ns % NS_PER_S / NS_PER_MS));
    return text;
}
