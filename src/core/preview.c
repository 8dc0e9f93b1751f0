// SPDX-License-Identifier: MIT
// preview: the plan that a wish would lead to, made by the function that makes plans, from the
// facts as they are now. Nothing of the core changes: the wish is in a set of its own.
#include "core_state.h"

static int with_wish(const Core *core, const Intent *intent, IntentSet **ret_set, Error *reterr)
{
    const Tables *tables = core->tables;
    const char *problem;
    Intent wish = *intent;
    int r = intent_check(&wish, &problem);
    if (r < 0)
        return error_set(reterr, r, "intent: %s", problem);
    r = wishes_check(tables->model, &wish, reterr);
    if (r < 0)
        return r;
    const Intent *present = intent_set_find(core->intents, wish.kind, wish.target);
    wish.stamp = present != NULL ? present->stamp + 1 : 1;
    r = intent_set_with(core->intents, &wish, 1, tables->live.self.wall, true, ret_set);
    return r < 0 ? error_set(reterr, r, "intent: %s", error_code_text(r)) : 0;
}

int core_preview(const Core *core, Arena *arena, const Intent *intent, Mono now,
                 const Plan **ret_plan, Error *reterr)
{
    const Tables *tables = core->tables;
    IntentSet *set = NULL;
    int r = with_wish(core, intent, &set, reterr);
    if (r < 0)
        return r;
    const IntentSet *intents = set != NULL ? set : core->intents;
    GatewayFacts *facts = arena_new_array(arena, GatewayFacts, tables->model->n_regions);
    PlanOutput output = {0};
    if (facts == NULL) {
        r = ERROR_MEMORY;
    } else {
        planning_facts(tables, intents, now, tables->live.self.wall, facts);
        r = plan_build(arena,
                       &(PlanInput){.model = tables->model,
                                    .facts = facts,
                                    .intents = intents,
                                    .wall = tables->live.self.wall,
                                    .own = tables->own,
                                    .number = core_plan(core)->number,
                                    .made = tables->live.self.wall},
                       &output);
    }
    (void)intent_set_free(set);
    if (r < 0)
        return error_set(reterr, r, "preview: %s", error_code_text(r));
    *ret_plan = output.plan;
    return 0;
}
