// SPDX-License-Identifier: MIT
// conf_value: the types of values: one row each with how to read it, how to write it as the file
// would (for `config diff`) and how to say what is allowed.
#pragma once
#include "conf_walk.h"

// Reads a value that is no map and no list of maps. Problems are reported; 0 or ERROR_MEMORY.
int conf_value_parse(ConfWalk *walk, const ConfOption *option, const TreeNode *node,
                     void *ret_value) MUST_CHECK;
void conf_value_allowed(const ConfOption *option, Buf *text);
void conf_value_format(const ConfOption *option, const void *value, Buf *text);
// "duration", for the reference page.
const char *conf_value_type_name(ConfType type);
