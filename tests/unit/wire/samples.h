// SPDX-License-Identifier: MIT
// samples: values with every field set, for the tests of wire and the seeds of its fuzz targets.
#pragma once
#include "plan.h"
#include "report.h"

Plan sample_plan(void); // three gateways, two services, two groups, pins, replicas, forward orders
Plan sample_plan_small(void); // the least that is allowed
Report sample_report(void);
extern const ModelPrefix SAMPLE_PREFIXES[];
extern const uint32_t SAMPLE_N_PREFIXES;
extern const Intent SAMPLE_INTENTS[];
extern const uint32_t SAMPLE_N_INTENTS;
