// SPDX-License-Identifier: MIT
// top_columns: the columns of the table of regions: what each one shows and how important it is.
#pragma once
#include "top_draw.h"
#include "top_line.h"

typedef struct TopRow {
    const json_t *view, *region, *gateway;
    const TopRates *rates;
    bool selected;
} TopRow;

enum { TOP_COLUMNS = 15 };

typedef struct TopColumns { // those that fit
    bool shown[TOP_COLUMNS];
    uint32_t widths[TOP_COLUMNS];
} TopColumns;

// Leaves the least important ones out until the rest fits.
TopColumns top_columns_choose(const json_t *view, uint32_t columns);
// row NULL: the heads.
void top_columns_put(const TopColumns *columns, const TopRow *row, TopLine *line);
