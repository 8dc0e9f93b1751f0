// SPDX-License-Identifier: MIT
// sim_judge: see sim_judge.h.
#include "sim_judge.h"

#include "attr.h"

#define EXCUSE_NS (6 * NS_PER_S)
#define NEARBY_NS (10 * NS_PER_S)
#define KEEP_NS (NEARBY_NS + 4 * NS_PER_S)

// In what time all have to hold it.
static const int64_t LIMIT_NS[SIM_SILENCE_MAX] = {
    [SIM_SILENCE_REFUSED] = NS_PER_S, [SIM_SILENCE_GONE] = 2500 * NS_PER_MS};

const char *sim_verdict_name(SimVerdictKind kind)
{
    static const char *const NAMES[SIM_VERDICT_MAX] = {"dead", "outage", "cut off", "burst",
                                                       "false"};
    return NAMES[kind];
}

void sim_judge_begin(SimJudge *judge, SimTally *tally, Buf *timeline)
{
    *judge = (SimJudge){.tally = tally, .timeline = timeline, .changed_ns = INT64_MIN};
}

static void say(SimJudge *judge, const SimFleet *fleet, const char *what, const SimTrouble *trouble)
{
    if (judge->timeline != NULL)
        buf_printf(judge->timeline, "%9.3f  --- %s: %s %u %u, %.3f s\n",
                   (double)fleet->now_ns / (double)NS_PER_S, what, sim_trouble_name(trouble->kind),
                   trouble->a, trouble->b,
                   (double)(trouble->until_ns - trouble->from_ns) / (double)NS_PER_S);
}

static SimSilence silence_of(const SimTrouble *trouble)
{
    return trouble->kind == TROUBLE_GATEWAY_RESTART ? SIM_SILENCE_REFUSED : SIM_SILENCE_GONE;
}

void sim_judge_trouble(SimJudge *judge, const SimTrouble *trouble)
{
    size_t kept = 0;
    for (size_t i = 0; i < judge->n_troubles; i++)
        if (judge->troubles[i].until_ns + KEEP_NS > trouble->from_ns)
            judge->troubles[kept++] = judge->troubles[i];
    judge->n_troubles = kept;
    ASSERT(kept < SIM_JUDGE_TROUBLES && judge->n_watches < SIM_JUDGE_WATCHES);
    judge->troubles[judge->n_troubles++] = *trouble;
    judge->tally->troubles[trouble->kind]++;
    if (trouble->kind == TROUBLE_GATEWAY_RESTART || trouble->kind == TROUBLE_UPLINK_OUTAGE)
        judge->watches[judge->n_watches++] = (SimWatch){.trouble = *trouble};
}

static bool recent(const SimTrouble *trouble, int64_t now_ns)
{
    return trouble->from_ns <= now_ns && trouble->until_ns > now_ns - EXCUSE_NS;
}

static SimVerdictKind classify(const SimJudge *judge, uint32_t gateway, int64_t now_ns)
{
    SimVerdictKind kind = SIM_VERDICT_FALSE;
    uint32_t cloud = gateway / 2, pairs = 0; // of its cloud, with whom
    for (size_t i = 0; i < judge->n_troubles; i++) {
        const SimTrouble *trouble = &judge->troubles[i];
        SimVerdictKind found = SIM_VERDICT_FALSE;
        if (!recent(trouble, now_ns))
            continue;
        if (trouble->kind == TROUBLE_GATEWAY_RESTART && trouble->a == gateway)
            found = SIM_VERDICT_DEAD;
        else if (trouble->kind == TROUBLE_UPLINK_OUTAGE && trouble->a == gateway)
            found = SIM_VERDICT_OUTAGE;
        else if (trouble->kind == TROUBLE_CLOUD_ALONE && trouble->a == cloud)
            found = SIM_VERDICT_CUT_OFF;
        else if (trouble->kind == TROUBLE_UPLINK_BURST && trouble->a == gateway)
            found = SIM_VERDICT_BURST;
        else if (trouble->kind == TROUBLE_CLOUD_PAIR && trouble->a == cloud)
            pairs |= 1U << trouble->b;
        else if (trouble->kind == TROUBLE_CLOUD_PAIR && trouble->b == cloud)
            pairs |= 1U << trouble->a;
        if (__builtin_popcount(pairs) == 2 && SIM_VERDICT_CUT_OFF < found)
            found = SIM_VERDICT_CUT_OFF;
        if (found < kind)
            kind = found;
    }
    return kind;
}

static void took_verdict(SimJudge *judge, const SimFleet *fleet, uint32_t agent, uint32_t gateway)
{
    for (uint32_t other = 0; other < SIM_REGIONS; other++)
        if (other != agent && (judge->held[other] >> gateway & 1) != 0) {
            judge->tally->joined++;
            return;
        }
    SimVerdictKind kind = classify(judge, gateway, fleet->now_ns);
    judge->tally->verdicts[kind]++;
    judge->wrong = judge->wrong || kind == SIM_VERDICT_FALSE;
    if (judge->timeline != NULL)
        buf_printf(judge->timeline, "%9.3f  --- verdict about gateway %u by agent %u: %s\n",
                   (double)fleet->now_ns / (double)NS_PER_S, gateway, agent,
                   sim_verdict_name(kind));
}

static bool nothing_held(const SimFleet *fleet)
{
    for (uint32_t i = 0; i < SIM_REGIONS; i++)
        if (fleet->agents[i].core == NULL || fleet->agents[i].held != 0 ||
            core_self_status(fleet->agents[i].core, sim_agent_mono(fleet, i)).alone)
            return false;
    return true;
}

static bool all_hold(const SimFleet *fleet, const SimTrouble *trouble)
{
    for (uint32_t i = 0; i < SIM_REGIONS; i++)
        if (!(trouble->kind == TROUBLE_UPLINK_OUTAGE && i == trouble->a) &&
            (fleet->agents[i].held >> trouble->a & 1) == 0)
            return false;
    return true;
}

// Nothing else was broken near its beginning.
static bool was_alone(const SimJudge *judge, const SimTrouble *trouble, int64_t limit_ns)
{
    uint32_t near = 0; // itself too
    for (size_t i = 0; i < judge->n_troubles; i++)
        near += judge->troubles[i].from_ns <= trouble->from_ns + limit_ns &&
                judge->troubles[i].until_ns > trouble->from_ns - NEARBY_NS;
    return near == 1;
}

// True when there is nothing more to watch.
static bool watch(SimJudge *judge, const SimFleet *fleet, SimWatch *watched)
{
    const SimTrouble *trouble = &watched->trouble;
    SimSilence silence = silence_of(trouble);
    int64_t limit_ns = LIMIT_NS[silence], took_ns = fleet->now_ns - trouble->from_ns;
    if (took_ns < 0)
        return false;
    if (!watched->begun) {
        say(judge, fleet, "must be noticed", trouble);
        watched->begun = true;
        watched->alone = nothing_held(fleet);
        return !watched->alone || trouble->until_ns <= trouble->from_ns + limit_ns;
    }
    bool held = all_hold(fleet, trouble);
    if (!held && took_ns < limit_ns)
        return false;
    if (!was_alone(judge, trouble, limit_ns))
        return true;
    judge->tally->watched++;
    int64_t ms = took_ns / NS_PER_MS;
    judge->tally->took[silence][ms < SIM_JUDGE_BINS ? ms : SIM_JUDGE_BINS - 1]++;
    if (!held) {
        judge->tally->missed++;
        judge->wrong = true;
        say(judge, fleet, "MISSED", trouble);
    }
    return true;
}

void sim_judge_look(SimJudge *judge, const SimFleet *fleet)
{
    for (uint32_t i = 0; i < SIM_REGIONS; i++) {
        const SimAgent *agent = &fleet->agents[i];
        uint32_t held = agent->core != NULL ? agent->held : 0;
        if (held == judge->held[i])
            continue;
        for (uint32_t g = 0; g < SIM_REGIONS; g++)
            if ((held & ~judge->held[i]) >> g & 1)
                took_verdict(judge, fleet, i, g);
        judge->held[i] = held;
        judge->changed_ns = fleet->now_ns;
    }
    size_t kept = 0;
    for (size_t i = 0; i < judge->n_watches; i++)
        if (!watch(judge, fleet, &judge->watches[i]))
            judge->watches[kept++] = judge->watches[i];
    judge->n_watches = kept;
}

int64_t sim_judge_next(const SimJudge *judge)
{
    int64_t next_ns = INT64_MAX;
    for (size_t i = 0; i < judge->n_watches; i++) {
        const SimWatch *watched = &judge->watches[i];
        int64_t at_ns = watched->trouble.from_ns;
        if (watched->begun)
            at_ns += LIMIT_NS[silence_of(&watched->trouble)];
        if (at_ns < next_ns)
            next_ns = at_ns;
    }
    return next_ns;
}
