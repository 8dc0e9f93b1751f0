// SPDX-License-Identifier: MIT
// rows_join: the parts of join that recover needs too.
#pragma once
#include "rows_members.h"

// The target subscribes to all others and fills each link; the others do the same with it.
int join_links_in(Members *members, Error *reterr) MUST_CHECK;
int join_links_out(Members *members, Error *reterr) MUST_CHECK;
// `names`: tables, one a line, made at the target as they are at the donor, without triggers.
int join_copy_schema(Members *members, MeshNode *donor, const char *names,
                     Error *reterr) MUST_CHECK;
