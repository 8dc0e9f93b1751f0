// SPDX-License-Identifier: MIT
// schedule: see schedule.h.
#include "schedule.h"

#include "hash.h"
#include "model.h"

Mono schedule_due(const Schedule *schedule, uint64_t number)
{
    uint64_t whole = number / schedule->rate, rest = number % schedule->rate;
    return mono_add(schedule->start, (int64_t)(whole * (uint64_t)NS_PER_S +
                                               rest * (uint64_t)NS_PER_S / schedule->rate));
}

uint64_t schedule_count(const Schedule *schedule, Mono now)
{
    if (now.ns < schedule->start.ns)
        return 0;
    uint64_t elapsed = (uint64_t)mono_since(now, schedule->start);
    uint64_t whole = elapsed / (uint64_t)NS_PER_S, rest = elapsed % (uint64_t)NS_PER_S;
    uint64_t count = whole * schedule->rate + rest * schedule->rate / (uint64_t)NS_PER_S + 2;
    // schedule_due rounds down: the next one may be due a nanosecond early.
    while (count > 0 && schedule_due(schedule, count - 1).ns > now.ns)
        count--;
    return count;
}

static uint32_t draw(const Schedule *schedule, uint64_t number, uint64_t what)
{
    return (uint32_t)(hash_mix(hash_u64(hash_u64(schedule->seed, what), number)) % PPM_ONE);
}

bool schedule_is_write(const Schedule *schedule, uint64_t number)
{
    return draw(schedule, number, 1) >= schedule->read_ppm;
}

bool schedule_has_key(const Schedule *schedule, uint64_t number)
{
    return draw(schedule, number, 2) >= schedule->keyless_ppm;
}

Ip schedule_client(uint32_t client)
{
    Ip ip = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 100, 0, 0}};
    ip.bytes[14] = (uint8_t)(client % 256 * 157); // odd: a permutation; near 256 / phi: spread out
    ip.bytes[15] = (uint8_t)(client / 256 % 254 + 1);
    return ip;
}
