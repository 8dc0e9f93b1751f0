// SPDX-License-Identifier: MIT
// drill_agree: when have all agents the same wishes again? Asked at their own sockets, again and
// again; the first moment at which all answers are the same counts.
#include "agents_ask.h"
#include "clock.h"
#include "drill_state.h"

#define ASK_NS (50 * NS_PER_MS)

static bool all_same(const Drill *drill, const AgentWishes *wishes)
{
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        if (!wishes[i].answered || wishes[i].digest != wishes[0].digest ||
            wishes[i].n_own < drill->n_wishes)
            return false;
    }
    return true;
}

int drill_wait_intents(Drill *drill, int64_t most_ns)
{
    Mono end = mono_add(drill->healed, most_ns);
    AgentWishes wishes[AGENTS_MAX];
    drill->report->intents_agree_ms = FIGURE_NEVER;
    while (clock_mono().ns < end.ns) {
        Mono asked = clock_mono();
        int r = agents_wishes(drill->options->dir, drill->model, wishes, drill->reterr);
        if (r < 0)
            return r;
        if (all_same(drill, wishes)) {
            drill->report->intents_agree_ms = (double)mono_since(asked, drill->healed) / 1e6;
            return 0;
        }
        if ((r = drill_keep_going(drill, mono_add(asked, ASK_NS))) < 0)
            return r;
    }
    return 0;
}
