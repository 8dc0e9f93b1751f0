// SPDX-License-Identifier: MIT
// records: what a run leaves on disk, framed by wire/segment. Two files:
//
//   request log  one RunStart, then one frame per request, in the order in which they ended
//   ledger       one frame per acknowledged write; append-only over all runs, what was promised
//
// The first byte of a payload says what it is, so both files can be read by the same code. A torn
// tail is the normal end after a crash.
#pragma once
#include "bounds.h"
#include "buf.h"
#include "cursor.h"
#include "error.h"
#include "instant.h"
#include "policy.h"

#define RECORDS_ID 36 // a UUID as text
#define RECORDS_KEY 63
#define RECORDS_REGIONS 64

typedef struct RunStart {
    uint64_t run; // random
    Wall wall;
    Mono mono; // of the same instant
    uint32_t rate, n_regions;
    char regions[RECORDS_REGIONS][BOUND_NAME + 1]; // what the gateway numbers of requests mean
} RunStart;

typedef struct CameraRequest {
    Mono scheduled, first_ended, ended;
    uint32_t client;
    uint8_t first_gateway, last_gateway; // of the first and of the last try
    TryResult first, last;
    uint16_t status; // of the last answer; 0: none
    uint8_t tries;   // 0: unsent, 1, 2
    uint8_t reconnects;
    bool idempotent, write;
} CameraRequest;

typedef struct LedgerEntry {
    uint64_t run;
    Wall acknowledged;
    char id[RECORDS_ID + 1];
    char key[RECORDS_KEY + 1];   // Idempotency-Key; "" for none
    char region[BOUND_NAME + 1]; // that stored it, from Wildcam-Region
} LedgerEntry;

int records_put_start(Buf *buf, const RunStart *start) MUST_CHECK;
int records_put_request(Buf *buf, const CameraRequest *request) MUST_CHECK;
int records_put_entry(Buf *buf, const LedgerEntry *entry) MUST_CHECK;

typedef enum RecordsKind {
    RECORDS_END,
    RECORDS_START,
    RECORDS_REQUEST,
    RECORDS_ENTRY,
} RecordsKind;

typedef struct RecordsItem {
    RecordsKind kind;
    union {
        RunStart start;
        CameraRequest request;
        LedgerEntry entry;
    } u;
} RecordsItem;

// The kind of the next item; RECORDS_END at the end, torn or not; ERROR_FORMAT for a frame that is
// whole but not ours.
int records_next(Cursor *cursor, RecordsItem *ret_item) MUST_CHECK;
