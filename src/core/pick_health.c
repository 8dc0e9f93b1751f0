// SPDX-License-Identifier: MIT
// pick_health: ejection, trial and stall of one target, from what one edge saw.
//
//   good --failures in a row, or stall--> ejected (eject_ns, doubled up to eject_max_ns)
//    ^                                        | its time is over
//    |  RAMP_NS without failures              v        failure, or its trial stalls
//   ramp <------- first answer ---------- on trial --------------------------------> ejected
//
// On trial one request at a time goes there; all others avoid it. The ramp then allows one more in
// flight for every RAMP_STEP_NS. Without it the two draws would send everything to the returning
// target at once, since idle it always wins the comparison; a target that is still sick would fail
// many requests instead of one, and one with cold caches would be ejected again by its own return.
// Goes wrong: a slow but sound target. Its trial may take stall_ns doubled per ejection in a row,
// so that a target slower than the first limit still comes back.
#include "pick_health.h"

#define RATE_HALF_LIFE_NS (NS_PER_S / 2)   // the rate is over about one second
#define BUDGET_HALF_LIFE_NS (5 * NS_PER_S) // the budget over about ten
#define STEP_NS (5 * NS_PER_MS)            // both decay in steps: between them it is only added to
#define RAMP_NS NS_PER_S
#define RAMP_STEP_NS (50 * NS_PER_MS)
#define DOUBLINGS_MAX 16

uint64_t pick_decayed(uint64_t value, int64_t elapsed_ns, int64_t half_life_ns)
{
    if (elapsed_ns <= 0 || value == 0)
        return value;
    if (elapsed_ns >= half_life_ns) {
        int64_t halvings = elapsed_ns / half_life_ns;
        if (halvings >= 64)
            return 0;
        value >>= halvings;
        elapsed_ns %= half_life_ns;
    }
    // 64 bits nearly always suffice; a division of 128 costs more than all the rest
    uint64_t product, two_lives = (uint64_t)(2 * half_life_ns);
    if (!__builtin_mul_overflow(value, (uint64_t)elapsed_ns, &product))
        return value - product / two_lives;
    return value - (uint64_t)(((unsigned __int128)value * (uint64_t)elapsed_ns) / two_lives);
}

bool pick_health_suspect(const PickHealth *health, Mono now)
{
    if (health->ejections == 0)
        return false;
    int64_t back_ns = mono_since(now, health->ejected_until);
    if (back_ns < 0)
        return true;
    if (health->on_trial)
        return health->inflight > 0;
    return back_ns < RAMP_NS && health->inflight > back_ns / RAMP_STEP_NS;
}

static int64_t doubled(int64_t ns, uint32_t times, int64_t max_ns)
{
    for (uint32_t i = 0; i < times && i < DOUBLINGS_MAX && ns < max_ns; i++)
        ns = ns_add_saturated(ns, ns);
    return ns < max_ns ? ns : max_ns;
}

// Ejections are forgotten when the target then stood as long as the longest one lasts.
static void eject(PickHealth *health, const ModelPick *rules, Mono now)
{
    if (mono_since(now, health->ejected_until) >= rules->eject_max_ns)
        health->ejections = 0;
    int64_t time_ns = doubled(rules->eject_ns, health->ejections, rules->eject_max_ns);
    health->ejected_until = mono_add(now, time_ns);
    health->on_trial = true;
    if (health->ejections < UINT32_MAX)
        health->ejections++;
}

static bool is_ejected(const PickHealth *health, Mono now)
{
    return health->ejections > 0 && now.ns < health->ejected_until.ns;
}

static void count_answer(PickHealth *health, Mono now)
{
    int64_t elapsed_ns = mono_since(now, health->rate_at);
    uint64_t rate = health->rate_milli;
    if (elapsed_ns >= STEP_NS) {
        rate = pick_decayed(rate, elapsed_ns, RATE_HALF_LIFE_NS);
        health->rate_at = now;
    }
    rate += 1000;
    health->rate_milli = rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX;
    health->last_done = mono_max(health->last_done, now);
}

void pick_started(PickHealth *health, Mono now)
{
    if (health->inflight == 0)
        health->busy_since = now;
    if (health->inflight < UINT32_MAX)
        health->inflight++;
}

static void absolve(PickHealth *health, Mono now)
{
    health->streak = 0;
    // An ejection for failures runs its time: one late success of an older request says little. A
    // stall was silence, and the silence is over.
    if (!health->on_trial || (is_ejected(health, now) && !health->stalled))
        return;
    health->stalled = health->on_trial = false;
    health->ejected_until = now; // the ramp begins here
}

bool pick_finished(PickHealth *health, const ModelPick *rules, PickResult result, Mono now)
{
    if (health->inflight > 0)
        health->inflight--;
    if (result <= PICK_ERROR)
        count_answer(health, now);
    if (result <= PICK_SHED)
        absolve(health, now);
    if (result != PICK_ERROR && result != PICK_FAILURE)
        return false;
    if (health->streak < UINT32_MAX)
        health->streak++;
    // Failures of requests that were in flight when it was ejected add nothing.
    if (is_ejected(health, now))
        return false;
    if (!health->on_trial && health->streak < rules->eject_failures)
        return false;
    eject(health, rules, now);
    return true;
}

bool pick_check_stall(PickHealth *health, const ModelPick *rules, Mono now)
{
    if (health->inflight == 0)
        return false;
    bool trial = health->on_trial && health->busy_since.ns >= health->ejected_until.ns;
    int64_t limit_ns = rules->stall_ns;
    if (trial) {
        limit_ns = doubled(limit_ns, health->ejections, INT64_MAX);
    } else {
        if (health->stalled || health->inflight < rules->stall_inflight)
            return false;
        if (is_ejected(health, now))
            return false; // its requests fail or finish by themselves
    }
    Mono since = mono_max(health->last_done, health->busy_since);
    if (mono_since(now, since) < limit_ns)
        return false;
    // Its rate when the silence began: an idle target that is slow with two requests is no stall.
    uint64_t rate =
        pick_decayed(health->rate_milli, mono_since(since, health->rate_at), RATE_HALF_LIFE_NS);
    if (!trial && rate < (uint64_t)rules->stall_min_rps * 1000)
        return false;
    health->stalled = true;
    eject(health, rules, now);
    return true;
}

static void budget_decay(PickBudget *budget, Mono now)
{
    int64_t elapsed_ns = mono_since(now, budget->at);
    if (elapsed_ns < STEP_NS)
        return;
    budget->requests_milli = pick_decayed(budget->requests_milli, elapsed_ns, BUDGET_HALF_LIFE_NS);
    budget->retries_milli = pick_decayed(budget->retries_milli, elapsed_ns, BUDGET_HALF_LIFE_NS);
    budget->at = now;
}

void pick_budget_request(PickBudget *budget, Mono now)
{
    budget_decay(budget, now);
    if (budget->requests_milli < UINT64_MAX - 1000)
        budget->requests_milli += 1000;
}

bool pick_budget_retry(PickBudget *budget, const ModelPick *rules, Mono now)
{
    budget_decay(budget, now);
    uint64_t allowed =
        (uint64_t)(((unsigned __int128)budget->requests_milli * rules->retry_budget_ppm) /
                   PPM_ONE) +
        (uint64_t)rules->retry_burst * 1000;
    if (budget->retries_milli + 1000 > allowed)
        return false;
    budget->retries_milli += 1000;
    return true;
}
