// SPDX-License-Identifier: MIT
// drill_one: one drill with its judgement: run, held against the objectives, stored.
#pragma once
#include "drill_figures.h"
#include "drill_run.h"

typedef struct DrillResult {
    DrillReport report;
    DrillObjective objectives[DRILL_OBJECTIVES];
    uint32_t n_objectives;
    Buf missing, json, text; // json without a line end
} DrillResult;

// 0: it ran, held or not. The result lives as long as options do.
int drill_one(const DrillOptions *options, DrillResult **ret_result, Error *reterr) MUST_CHECK;
// Every objective, and everything is back.
bool drill_one_held(const DrillResult *result);
// "what was missed", separated by spaces; "" when all was held.
void drill_one_missed(const DrillResult *result, Buf *out);
DrillResult *drill_one_free(DrillResult *result); // takes NULL, returns NULL

static inline void drill_one_freep(DrillResult **result)
{
    *result = drill_one_free(*result);
}
