// SPDX-License-Identifier: MIT
// step: what a step returns, collected in its arena.
#include <string.h>

#include "core_state.h"

static void *grown(Step *step, void *items, uint32_t n, uint32_t *max, size_t size)
{
    if (n < *max)
        return items;
    uint32_t wanted = *max == 0 ? 8 : *max * 2;
    void *bigger = arena_alloc_array(step->arena, wanted, size);
    if (bigger == NULL) {
        step->failed = true;
        return NULL;
    }
    if (n > 0)
        memcpy(bigger, items, n * size);
    *max = wanted;
    return bigger;
}

void step_effect(Step *step, const CoreEffect *effect)
{
    CoreEffect *effects =
        grown(step, step->effects, step->n_effects, &step->effects_max, sizeof *effects);
    if (effects == NULL)
        return;
    effects[step->n_effects++] = *effect;
    step->effects = effects;
}

void step_record(Step *step, RecordKind kind, const char *subject, const char *facts)
{
    Record *records =
        grown(step, step->records, step->n_records, &step->records_max, sizeof *records);
    if (records == NULL || subject == NULL || facts == NULL) {
        step->failed = true;
        return;
    }
    records[step->n_records++] =
        (Record){.kind = kind, .at = step->now, .subject = subject, .facts = facts};
    step->records = records;
}

const char *step_gateway(Step *step, uint32_t gateway)
{
    return arena_printf(step->arena, "gateway:%s", step->model->regions[gateway].name);
}
