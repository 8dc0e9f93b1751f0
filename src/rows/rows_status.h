// SPDX-License-Identifier: MIT
// rows_status: what `rows status` shows, from the object that --json prints (docs/cli.md).
#pragma once
#include <jansson.h>
#include <stdio.h>

// One line per region, the links that are not as they should be, the alarms.
void rows_status_print(const json_t *view, FILE *file);
