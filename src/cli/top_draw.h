// SPDX-License-Identifier: MIT
// top_draw: one frame of `wildcam top` as text: (state, size) -> lines. Pure, so that tests draw
// any fleet at any size. Never more lines than rows, never a line wider than the columns: what does
// not fit is left out by importance. Texts of others (reasons, alarms) cannot reach the terminal as
// control characters.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

typedef enum TopSort {
    TOP_SORT_FLEET, // as in fleet.yaml
    TOP_SORT_REQUESTS,
    TOP_SORT_ERRORS, // 5xx and retries
    TOP_SORT_LATENCY,
    TOP_SORT_MAX,
} TopSort;

typedef struct TopRates { // per second, at a region's edge
    bool known;
    double requests, retries, shed, errors;
} TopRates;

typedef struct TopState {
    const json_t *view;    // as fleet_view_merge makes it
    const TopRates *rates; // for each of view.regions
    const json_t *records; // of the selected region's agent, newest first; NULL: none
    const char *clock;     // "18:22:01"
    int64_t wall_ns;       // for what is left of a wish
} TopState;

typedef struct TopLook {
    uint32_t columns, rows; // rows 0: as many as it takes
    bool colour;
    bool keys; // somebody can press them
    TopSort sort;
    uint32_t selected; // index into view.regions
} TopLook;

const char *top_sort_name(TopSort sort);
// Indices of view.regions in the order of the frame: the region above or below the selected one.
uint32_t top_step(const TopState *state, const TopLook *look, int step);
void top_draw(const TopState *state, const TopLook *look, Buf *out);
