// SPDX-License-Identifier: MIT
// plan_effects: what a change of fleet.yaml would do to the plan: a core of the old and one of the
// new model, every gateway up, and the shares of each client group side by side.
#pragma once
#include <stdio.h>

#include "error.h"
#include "model.h"

int plan_effects_print(const Model *from, const Model *to, FILE *file, Error *reterr) MUST_CHECK;
