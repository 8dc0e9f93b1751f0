// SPDX-License-Identifier: MIT
// rows_now: what the region's rows daemon writes once a second into DIR/R/rows.now. A file and no
// request, so that a daemon or database that hangs cannot hold up the agent.
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct RowsNow {
    bool known; // rpo_ms
    int64_t rpo_ms;
    char alarm[256]; // "": none
} RowsNow;

// No file: the region has no rows daemon, nothing is known. A file that is older than 10 s: an
// alarm.
void rows_now_read(const char *dir, const char *region, RowsNow *ret_now);
// The same from its bytes. Pure.
void rows_now_parse(const char *bytes, int64_t now_ms, RowsNow *ret_now);
