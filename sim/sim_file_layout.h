// SPDX-License-Identifier: MIT
// sim_file_layout: a scenario's own regions -> a model and a matrix of round trips. Inside
// sim_file.
#pragma once
#include "conf_tree.h"
#include "sim_file_table.h"
#include "sim_layout.h"

// Problems go to report; 0 or ERROR_MEMORY.
int sim_file_layout(const RawScenario *raw, const TreeNode *root, Arena *arena, ConfReport *report,
                    const SimLayout **ret_layout) MUST_CHECK;
