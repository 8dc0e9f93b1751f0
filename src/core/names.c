// SPDX-License-Identifier: MIT
// names: the texts of the core's enums and look-ups by name. Linear: models are small, and hot
// paths (reports) try the index they expect first.
#include <string.h>

#include "intent.h"
#include "model.h"
#include "plan.h"
#include "record.h"

int model_find_region(const Model *model, const char *name)
{
    for (uint32_t i = 0; i < model->n_regions; i++)
        if (strcmp(model->regions[i].name, name) == 0)
            return (int)i;
    return -1;
}

int model_find_cloud(const Model *model, const char *name)
{
    for (uint32_t i = 0; i < model->n_clouds; i++)
        if (strcmp(model->clouds[i].name, name) == 0)
            return (int)i;
    return -1;
}

int model_find_service(const Model *model, const char *name)
{
    for (uint32_t i = 0; i < model->n_services; i++)
        if (strcmp(model->services[i].name, name) == 0)
            return (int)i;
    return -1;
}

static const char *const intent_names[INTENT_KIND_MAX] = {
    [INTENT_DRAIN] = "drain",   [INTENT_NEVER] = "never",     [INTENT_PIN] = "pin",
    [INTENT_WEIGHT] = "weight", [INTENT_RELEASE] = "release", [INTENT_RESET_FLAPS] = "reset_flaps",
};

const char *intent_kind_name(IntentKind kind)
{
    return (unsigned)kind < INTENT_KIND_MAX ? intent_names[kind] : "?";
}

int intent_kind_parse(const char *name)
{
    for (int kind = 0; kind < INTENT_KIND_MAX; kind++)
        if (strcmp(intent_names[kind], name) == 0)
            return kind;
    return -1;
}

static const char *const health_names[HEALTH_MAX] = {
    [HEALTH_UNKNOWN] = "unknown", [HEALTH_UP] = "up",           [HEALTH_SUSPECT] = "suspect",
    [HEALTH_DOWN] = "down",       [HEALTH_DRAINED] = "drained", [HEALTH_NEVER] = "never",
};

const char *health_state_name(HealthState state)
{
    return (unsigned)state < HEALTH_MAX ? health_names[state] : "?";
}

const PlanRoute *plan_route(const Plan *plan, uint32_t service, uint32_t class_, uint32_t group)
{
    if (service >= plan->n_services || class_ >= SERVICE_CLASS_MAX || group >= plan->n_groups)
        return NULL;
    size_t index = ((size_t)service * SERVICE_CLASS_MAX + class_) * plan->n_groups + group;
    return index < plan->n_routes ? &plan->routes[index] : NULL;
}

static const char *const record_texts[RECORD_KIND_MAX] = {
#define X(name, text) text,
    RECORD_KINDS(X)
#undef X
};

const char *record_kind_text(RecordKind kind)
{
    return (unsigned)kind < RECORD_KIND_MAX ? record_texts[kind] : "?";
}

// clang-format off
const char *record_kind_name(RecordKind kind)
{
    static const char *const names[RECORD_KIND_MAX] = {
        "verdict_down", "verdict_up", "verdict_vetoed", "verdict_limited", "verdict_adopted",
        "vote_changed", "sick", "well", "alone", "together", "classes_changed", "replica_changed",
        "return_step", "return_failed", "error_rate", "slow", "spill", "overload", "intent_set",
        "intent_expired", "config_changed", "plan_made", "loop_gap", "intent_refused",
    };
    return (unsigned)kind < RECORD_KIND_MAX ? names[kind] : "?";
}
// clang-format on
