// SPDX-License-Identifier: MIT
// snapshot_fields: which fields of a core's memory a snapshot holds. Private to snapshot.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "cursor.h"

typedef struct SnapshotField {
    uint32_t offset, size, count; // bytes; of one element: 1 (bool), 4 or 8
    uint64_t max;                 // highest value, as unsigned
} SnapshotField;

typedef struct SnapshotStruct {
    const SnapshotField *fields;
    size_t n;
} SnapshotStruct;

extern const SnapshotStruct SNAPSHOT_SELF, SNAPSHOT_PATH, SNAPSHOT_PROBE, SNAPSHOT_VERDICT,
    SNAPSHOT_PEER, SNAPSHOT_VIEW, SNAPSHOT_REPLICA, SNAPSHOT_VOTE, SNAPSHOT_FACTS;

void snapshot_put(Buf *buf, const SnapshotStruct *of, const void *item);
// A value above its highest fails the cursor.
void snapshot_get(Cursor *cursor, const SnapshotStruct *of, void *item);
