// SPDX-License-Identifier: MIT
// path: see path.h.
#include "path.h"

#include <string.h>

#define PROBES_MAX 256U
#define PROBES_SPARE 16 // idle connections that close send probes out of turn
// Quantiles by stochastic approximation: up by a share of the value when a sample is above, down by
// so much less that q of the samples lie below in balance. Two numbers, no samples kept.
#define P99_UP 50
#define P99_DOWN 4950
#define P50_STEP 64
#define YOUNG_SAMPLES 16
#define DEADLINE_FACTOR 8
// A gateway that closes every connection is no reason to storm: at most one in this part of
// probe_fast.
#define IDLE_GAP_PART 4
#define RTT_CLASS_US 16000U
#define RTT_CLASSES 10
// Of answers in a row: about 4 s and 2 s. A path that loses a packet here and there, and pays for
// it with a retransmission, is no longer path.
#define RTT_RUN_UP 16U
#define RTT_RUN_DOWN 8U

uint32_t path_probes_max(const ModelHealth *health)
{
    int64_t gap = health->probe_fast_ns < health->probe_interval_ns ? health->probe_fast_ns
                                                                    : health->probe_interval_ns;
    if (gap <= 0 || health->slow_ns / gap >= PROBES_MAX - PROBES_SPARE)
        return PROBES_MAX;
    return (uint32_t)(health->slow_ns / gap) + PROBES_SPARE;
}

void path_start(Path *path, Mono first_probe)
{
    path->next = first_probe;
    path->newest_answered = MONO_DISTANT;
    path->first_fail = MONO_NEVER;
    path->edge_success = MONO_DISTANT;
    path->sent_at = MONO_DISTANT;
    path->window_from = MONO_DISTANT;
    path->window.changed = true;
}

static int64_t deadline_ns(const Path *path, const ModelHealth *health)
{
    if (!path->known) // nothing measured yet: a first handshake over 220 ms takes four round trips
        return health->deadline_max_ns;
    int64_t ns = (int64_t)path->p99_us * NS_PER_US * DEADLINE_FACTOR;
    if (ns < health->deadline_min_ns)
        return health->deadline_min_ns;
    return ns > health->deadline_max_ns ? health->deadline_max_ns : ns;
}

static int64_t jittered(int64_t ns, Rng *rng)
{
    int64_t tenth = ns / 10;
    return ns - tenth + (int64_t)rng_below(rng, 2 * (uint64_t)tenth + 1);
}

bool path_send(Path *path, const ModelHealth *health, Rng *rng, uint64_t id, Mono now,
               Probe *ret_probe)
{
    if (now.ns < path->next.ns)
        return false;
    path->next = mono_add(now, path->streak > 0 ? health->probe_fast_ns
                                                : jittered(health->probe_interval_ns, rng));
    if (path->n_probes == path->probes_max)
        return false; // the next turn may find room
    Probe *probe = &path->probes[path->n_probes++];
    *probe = (Probe){.id = id, .sent = now, .deadline = mono_add(now, deadline_ns(path, health))};
    path->sent_at = now;
    *ret_probe = *probe;
    return true;
}

static Probe *find(Path *path, uint64_t id)
{
    for (uint32_t i = 0; i < path->n_probes; i++)
        if (path->probes[i].id == id)
            return &path->probes[i];
    return NULL;
}

static void drop(Path *path, const Probe *probe)
{
    size_t index = (size_t)(probe - path->probes);
    path->n_probes--;
    memmove(path->probes + index, path->probes + index + 1,
            (path->n_probes - index) * sizeof *path->probes);
}

static uint32_t class_floor_us(uint32_t rtt_class)
{
    return rtt_class == 0 ? 0 : RTT_CLASS_US << (rtt_class - 1);
}

uint32_t path_rtt_floor_us(const Path *path)
{
    return class_floor_us(path->rtt_class);
}

static uint32_t class_of(uint32_t us)
{
    uint32_t rtt_class = 0;
    while (rtt_class < RTT_CLASSES && us >= class_floor_us(rtt_class + 1))
        rtt_class++;
    return rtt_class;
}

static bool is_above(const Path *path, uint32_t us)
{
    return path->rtt_class < RTT_CLASSES && us > class_floor_us(path->rtt_class + 1) / 4 * 5;
}

static bool is_below(const Path *path, uint32_t us)
{
    return path->rtt_class > 0 && us < class_floor_us(path->rtt_class) / 5 * 4;
}

static void classify(Path *path, uint32_t us, bool learned)
{
    bool up = is_above(path, us);
    // So that what it was before does not matter later.
    if (learned && path->samples < YOUNG_SAMPLES)
        path->rtt_class = class_of(path->p50_us);
    if (!up && !is_below(path, us)) {
        path->rtt_run = 0;
        return;
    }
    if (path->rtt_run == 0 || path->rtt_up != up) {
        path->rtt_run = 0;
        path->rtt_us = us;
    }
    path->rtt_up = up;
    if (up ? us < path->rtt_us : us > path->rtt_us)
        path->rtt_us = us;
    if (++path->rtt_run < (up ? RTT_RUN_UP : RTT_RUN_DOWN))
        return;
    path->rtt_class = class_of(path->rtt_us);
    path->rtt_run = 0;
}

static void learn(Path *path, uint32_t sample)
{
    // The first answers come over fresh connections, whose handshakes take two round trips more.
    // The smallest of them counts: p99 goes down too slowly to forget them, and deadlines hang on
    // it.
    bool young = path->samples < YOUNG_SAMPLES;
    path->samples += young;
    if (path->p99_us == 0 || (young && sample < path->p50_us)) {
        path->p50_us = sample > 0 ? sample : 1;
        path->p99_us = path->p50_us + path->p50_us / 3 + 1;
        return;
    }
    if (sample > path->p99_us)
        path->p99_us += path->p99_us / P99_UP + 1;
    else if (path->p99_us > 100)
        path->p99_us -= path->p99_us / P99_DOWN + 1;
    if (sample > path->p50_us)
        path->p50_us += path->p50_us / P50_STEP + 1;
    else if (sample < path->p50_us)
        path->p50_us -= path->p50_us > P50_STEP ? path->p50_us / P50_STEP : path->p50_us > 1;
}

// Silence is for the votes alone: it says as much about the path as about the gateway. The error
// rate counts wrong answers, and the real requests that the edges report.
static void count_result(Path *path, const Probe *probe, bool failed, Mono now)
{
    if (probe->sent.ns >= path->window_from.ns)
        window_add(&path->window, 1, failed, now);
}

void path_clear_window(Path *path, Mono now)
{
    window_clear(&path->window, now);
    path->window_from = now;
}

static void count_failure(Path *path, const ModelHealth *health, Mono sent, bool hard, Mono now)
{
    if (sent.ns < path->newest_answered.ns)
        return; // a younger probe was answered
    if (path->streak == 0) {
        path->first_fail = sent;
        path->soft = false;
    }
    path->streak += path->streak < UINT32_MAX;
    path->soft |= !hard;
    path->next = mono_min(path->next, mono_add(now, health->probe_fast_ns));
}

void path_answered(Path *path, const ModelHealth *health, uint64_t id, Mono now)
{
    Probe *found = find(path, id);
    if (found == NULL)
        return; // unknown, doubled, or later than slow_ns
    Probe probe = *found;
    drop(path, found);
    int64_t latency = mono_since(now, probe.sent);
    bool too_late = latency > health->slow_ns; // the guide: later than 5 s is a failure
    if (too_late) {
        if (!probe.failed)
            count_failure(path, health, probe.sent, false, now);
        return;
    }
    bool late = now.ns > probe.deadline.ns;
    if (probe.sent.ns >= path->newest_answered.ns)
        path->late = late;
    path->newest_answered = mono_max(path->newest_answered, probe.sent);
    path->streak = path->refused = 0;
    path->soft = false;
    path->first_fail = MONO_NEVER;
    path->known = true;
    int64_t us = latency / NS_PER_US;
    uint32_t sample = us > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)us;
    if (!late)
        learn(path, sample);
    // Late ones too: nothing is as long as a path whose answers are late.
    classify(path, sample, !late);
    count_result(path, &probe, false, now);
}

void path_failed(Path *path, const ModelHealth *health, uint64_t id, Mono now)
{
    Probe *found = find(path, id);
    if (found == NULL)
        return;
    Probe probe = *found;
    drop(path, found);
    count_result(path, &probe, true, now);
    path->refused += path->refused < UINT32_MAX;
    if (path->refused >= health->failures)
        path->late = false; // overloaded once, dead now
    if (!probe.failed)
        count_failure(path, health, probe.sent, true, now);
}

void path_idle_closed(Path *path, const ModelHealth *health, Mono now)
{
    Mono earliest = mono_add(path->sent_at, health->probe_fast_ns / IDLE_GAP_PART);
    path->next = mono_min(path->next, mono_max(now, earliest));
}

void path_expire(Path *path, const ModelHealth *health, Mono now)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < path->n_probes; i++) {
        Probe *probe = &path->probes[i];
        if (!probe->failed && now.ns >= probe->deadline.ns) {
            probe->failed = true;
            count_failure(path, health, probe->sent, false, now);
        }
        if (mono_since(now, probe->sent) <= health->slow_ns)
            path->probes[kept++] = *probe;
    }
    path->n_probes = kept;
}

void path_forget(Path *path, const ModelHealth *health, Mono now, int64_t gap_ns)
{
    bool down = path_vote(path, health, mono_add(now, -gap_ns)) == VOTE_DOWN;
    path->n_probes = 0;
    if (path->streak > 0 && !down) // time in which nobody looked does not age a streak
        path->first_fail = mono_add(path->first_fail, gap_ns);
    path->next = mono_min(path->next, now);
}

Vote path_vote(const Path *path, const ModelHealth *health, Mono now)
{
    int64_t span = path->soft ? health->span_soft_ns : health->span_hard_ns;
    if (path->streak >= health->failures && mono_since(now, path->first_fail) >= span)
        return VOTE_DOWN;
    return path->known ? VOTE_UP : VOTE_UNKNOWN;
}

Mono path_wake(const Path *path, const ModelHealth *health, Mono now)
{
    Mono wake = path->next;
    for (uint32_t i = 0; i < path->n_probes; i++)
        if (!path->probes[i].failed)
            wake = mono_min(wake, path->probes[i].deadline);
    if (path->streak >= health->failures) { // when the streak becomes a vote
        int64_t span = path->soft ? health->span_soft_ns : health->span_hard_ns;
        Mono vote = mono_add(path->first_fail, span);
        if (vote.ns > now.ns)
            wake = mono_min(wake, vote);
    }
    return wake;
}
