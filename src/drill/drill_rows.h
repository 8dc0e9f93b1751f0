// SPDX-License-Identifier: MIT
// drill_rows: what a drill asks the databases themselves: has every region applied what every other
// one had committed when the fault ended, and are they equal at the end? And the rows that are
// written on all sides of a cut, under the same keys.
#pragma once
#include "drill_table.h"

struct Drill;

// Notes whether the databases are federated, before anything is broken: one that lost its database
// does not know it any more. Who does not answer counts as federated.
int drill_note_federated(struct Drill *drill) MUST_CHECK;
// Waits until every region has applied everything that was committed anywhere before the fault
// ended: report.converged_ms. FIGURE_NONE: the databases are not federated; FIGURE_NEVER: not in
// time.
int drill_wait_converged(struct Drill *drill) MUST_CHECK;
// How many regions hold other rows of this run than the first one: report.rows_differ. Waits a
// while for 0, since the last writes are still on their way.
int drill_compare_rows(struct Drill *drill) MUST_CHECK;
// An act: wishes on all sides (act_wish), and the same keys with other content in one region of
// each cloud.
DrillAct act_disagree;
// An act, after the region was killed: its data folder is gone for good.
DrillAct act_delete_database;
