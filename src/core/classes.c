// SPDX-License-Identifier: MIT
// classes: what the own region can do (from its replicas and its clock), how loaded it is, and how
// its clock stands to the peers'. Classes need no quorum: each region states its own, and the
// statement holds until it makes another.
// Goes wrong: an agent that just started knows nothing of its replicas. It then states nothing, and
// the peers keep what they had, so a restarted agent moves no traffic.
#include <inttypes.h>

#include "core_state.h"

#define LOAD_STEPS                                                                                 \
    8U // loads travel in eighths of the capacity, or every report would be a new plan
// A region that sheds what exceeds its capacity serves its capacity and now and then one more: that
// is still the level of all of it, or nobody would be expected to have room.
#define LOAD_NOISE 32U // a part of the capacity
#define LOAD_FALL_NS (10 * NS_PER_S)
#define OFFSET_PEERS 2 // with one peer nobody can say whose clock is wrong

uint32_t gateway_classes(const Tables *tables, uint32_t gateway)
{
    const Self *self = &tables->live.self;
    const Peer *peer = &tables->live.peers[gateway];
    if (gateway == tables->own)
        return self->classes_known ? self->classes : CLASS_MASK_ALL;
    return peer->classes_known ? peer->classes : CLASS_MASK_ALL;
}

static bool replicas_settled(const Step *step)
{
    bool all = true;
    for (uint32_t i = 0; i < step->tables->n_replicas; i++) {
        if (step->state->replicas[i].state == HEALTH_UP)
            return true;
        all &= step->state->replicas[i].probed;
    }
    return all || mono_since(step->now, step->core->boot_at) >= step->model->health.boot_ns;
}

void classes_advance(Step *step)
{
    Self *self = &step->state->self;
    if (!self->classes_known && !replicas_settled(step))
        return;
    uint32_t classes = 0, up = 0;
    for (uint32_t i = 0; i < step->tables->n_replicas; i++) {
        const Replica *replica = &step->state->replicas[i];
        if (replica->state == HEALTH_UP) {
            classes |= replica->classes;
            up++;
        }
    }
    if (self->clock_refused)
        classes &= ~CLASS_MASK_WRITE;
    if (self->withdrawn)
        classes = 0;
    if (self->classes_known && classes == self->classes)
        return;
    self->classes_known = true;
    self->classes = classes;
    reports_push(step);
    step_record(
        step, RECORD_CLASSES_CHANGED, step_gateway(step, step->tables->own),
        arena_printf(step->arena, "read %s, write %s: %" PRIu32 " of %" PRIu32 " replicas up%s",
                     classes & CLASS_MASK_READ ? "yes" : "no",
                     classes & CLASS_MASK_WRITE ? "yes" : "no", up, step->tables->n_replicas,
                     self->withdrawn       ? ", but they fail requests"
                     : self->clock_refused ? ", clock refused"
                                           : ""));
}

static uint32_t level_rps(uint32_t capacity, uint32_t level)
{
    return (uint32_t)((uint64_t)capacity * level / LOAD_STEPS);
}

static uint32_t level_most(uint32_t capacity, uint32_t level)
{
    return level_rps(capacity, level) + (level == LOAD_STEPS ? capacity / LOAD_NOISE : 0);
}

// Down to where the most of the last seconds has a quarter of a step to spare, at least by one. In
// one go: what a failover brought must not be counted for minutes after it has gone.
static uint32_t level_after(uint32_t capacity, uint32_t level, uint32_t peak_rps)
{
    uint32_t least = 1;
    while (least < level - 1 &&
           (uint64_t)peak_rps * LOAD_STEPS * 4 > (uint64_t)capacity * (4 * least - 1))
        least++;
    return least;
}

void load_advance(Step *step)
{
    Self *self = &step->state->self;
    uint32_t capacity = step->model->regions[step->tables->own].capacity_rps;
    uint32_t level = self->load_level > 0 ? self->load_level : 1;
    const uint32_t most = LOAD_STEPS * LOAD_MAX;
    while (level < most && self->load_rps > level_most(capacity, level))
        level++;
    bool low = level > 1 && (uint64_t)self->load_rps * LOAD_STEPS * 4 <
                                (uint64_t)capacity * (4 * level - 5); // 5/4 of a step below
    if (level == LOAD_STEPS + 1) // the first second over the capacity holds a burst: not for ever
        low = self->load_rps <= capacity + capacity / LOAD_NOISE / 2;
    if (level > self->load_level || !low) {
        self->load_low_since = MONO_NEVER;
    } else if (self->load_low_since.ns == INT64_MAX) {
        self->load_low_since = step->now;
        self->load_low_peak = self->load_rps;
    } else if (mono_since(step->now, self->load_low_since) >= LOAD_FALL_NS) {
        level = level_after(capacity, level, self->load_low_peak);
        self->load_low_since = MONO_NEVER;
    }
    if (self->load_rps > self->load_low_peak)
        self->load_low_peak = self->load_rps;
    self->load_level = level;
}

uint32_t gateway_load_rps(const Tables *tables, uint32_t gateway)
{
    uint32_t capacity = tables->model->regions[gateway].capacity_rps;
    if (gateway == tables->own)
        return level_rps(capacity,
                         tables->live.self.load_level > 0 ? tables->live.self.load_level : 1);
    const Peer *peer = &tables->live.peers[gateway];
    return peer->have ? peer->load_rps : level_rps(capacity, 1);
}

// Of an even number the middle one nearer to zero: a doubt is no proof against the own clock.
static int64_t median_offset(int64_t *offsets, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t j = i; j > 0 && offsets[j - 1] > offsets[j]; j--) {
            int64_t swap = offsets[j];
            offsets[j] = offsets[j - 1];
            offsets[j - 1] = swap;
        }
    int64_t low = offsets[(n - 1) / 2], high = offsets[n / 2];
    if (low <= 0 && high >= 0)
        return n % 2 == 1 ? low : 0;
    return low > 0 ? low : high;
}

void clock_advance(Step *step)
{
    Self *self = &step->state->self;
    int64_t offsets[64];
    uint32_t n = 0;
    for (uint32_t i = 0; i < step->model->n_regions && n < ARRAY_SIZE(offsets); i++) {
        const Peer *peer = &step->state->peers[i];
        if (i != step->tables->own && peer->offset_known && view_fresh(step->tables, i, step->now))
            offsets[n++] = peer->clock_offset_ns;
    }
    if (n < OFFSET_PEERS)
        return; // the last judgement stands
    int64_t off = self->clock_offset_ns = median_offset(offsets, n);
    int64_t limit = step->model->clock_max_skew_ns;
    if (self->clock_refused)
        limit = limit / 5 * 4; // so that a clock at the limit does not flap
    self->clock_refused = off > limit || off < -limit;
}
