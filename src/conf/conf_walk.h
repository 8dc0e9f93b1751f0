// SPDX-License-Identifier: MIT
// conf_walk: tree + table of options -> ConfRaw. Fills in defaults, reports unknown, duplicate and
// missing keys and every value that its type or range refuses, each with what is allowed.
#pragma once
#include "arena.h"
#include "buf.h"
#include "conf_schema.h"
#include "conf_tree.h"

typedef struct ConfWalk {
    Arena *arena; // of the values
    ConfReport *report;
    Buf path; // "regions.us-west-2.gateway", of what is being read
} ConfWalk;

// Problems go to report; the return value is 0 or ERROR_MEMORY.
int conf_walk(const TreeNode *root, Arena *arena, ConfReport *report, ConfRaw *ret_raw) MUST_CHECK;
// The same for any other file with one map at its top: into the struct of `section`.
int conf_walk_section(const ConfSection *section, const TreeNode *root, Arena *arena,
                      ConfReport *report, void *ret_values) MUST_CHECK;
// Adds a key to the path and gives what conf_walk_pop needs to take it away again.
size_t conf_walk_push(ConfWalk *walk, const char *key);
void conf_walk_pop(ConfWalk *walk, size_t before);
// "key 'PATH': value 'V': WHAT; allowed: ..." at the value's place.
void conf_walk_refuse(ConfWalk *walk, const ConfOption *option, const TreeNode *node,
                      const char *what);
