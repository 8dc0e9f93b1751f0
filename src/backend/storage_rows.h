// SPDX-License-Identifier: MIT
// storage_rows: a Detection as the text parameters of an INSERT, and back from a result's row.
#pragma once
#include <libpq-fe.h>
#include <stdbool.h>

#include "detection.h"

// What storage_row_read expects, in this order; times as microseconds since 1970.
#define STORAGE_COLUMNS                                                                            \
    "id, device, (extract(epoch FROM taken_at) * 1000000)::bigint, species, confidence, "          \
    "latitude, longitude, encode(image_digest, 'hex'), idempotency_key, _origin"

typedef struct StorageRow {
    const char *params[10]; // into the Detection and the texts below
    char taken_at[DETECTION_TIME_MAX], confidence[40], latitude[40], longitude[40], origin[16];
} StorageRow;

void storage_row_write(const Detection *detection, unsigned origin, StorageRow *ret_row);
// False: the row does not hold what our own INSERT can have written.
bool storage_row_read(const PGresult *result, int row, Detection *ret_detection);
