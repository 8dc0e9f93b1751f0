// SPDX-License-Identifier: MIT
// conf_check: what no single value can tell: references, duplicates, sums, orders, coverage,
// capacity. Runs only on a file whose values are all right, so that one mistake is not reported
// twice.
#pragma once
#include "conf_prefixes.h"
#include "conf_report.h"
#include "conf_tree.h"

// Problems and warnings go to report, each at the value that is wrong.
void conf_check(const ConfRaw *raw, const SortedPrefixes *sorted, const TreeNode *root,
                ConfReport *report);
