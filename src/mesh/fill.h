// SPDX-License-Identifier: MIT
// fill: brings versions that a publisher holds to a subscriber beside the stream: after a new
// subscription, after a lost slot, between survivors of a lost node (docs/contracts/rows.md, "The
// idea", 5). One REPEATABLE READ snapshot of the giver; tombstones first, then visible and parked
// rows, greatest version first where a table has more unique keys; merged by wildcam.merge_N, so
// that it is idempotent and may race with the stream and with writers. Batches commit on their own;
// an interrupted fill is done again from its start and costs only time.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "mesh.h"

typedef struct FillWanted {
    uint32_t n_origins;
    const uint8_t *origins; // versions of these writers ...
    bool and_inactive;      // ... and of all that are no active node
    int64_t since_us;       // versions below are there already; 0: all. Insert-only tables: all
    uint32_t batch_rows;    // 0: 5,000
    uint32_t table;         // number in wildcam.federated: this one only; 0: all
} FillWanted;

typedef struct FillProgress {
    const char *table;
    uint32_t table_number, n_tables;
    uint64_t rows, tombstones, expected; // so far; estimate of all rows
    uint64_t dead_letters; // rows that no merge takes: in wildcam.dead_letter of the taker
} FillProgress;

// False: stop; mesh_fill then returns -ECANCELED.
typedef bool FillTold(void *context, const FillProgress *progress);

// All federated tables, or the one wanted. Uses connections of its own to both nodes.
int mesh_fill(Mesh *mesh, MeshNode *giver, MeshNode *taker, const FillWanted *wanted,
              FillTold *told, void *context, FillProgress *ret_done, Error *reterr) MUST_CHECK;

// Before a restored database is emptied: the versions that `restored` wrote, that are younger than
// `since_us` and that `survivor` has neither in that nor in a greater version are copied to
// wildcam.recovered_N there (key, v, op, row as jsonb). May be done again.
int mesh_fill_aside(Mesh *mesh, MeshNode *survivor, MeshNode *restored, int64_t since_us,
                    uint64_t *ret_rows, Error *reterr) MUST_CHECK;
