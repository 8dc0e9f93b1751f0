// SPDX-License-Identifier: MIT
// verify: is what was acknowledged still there? Each write of a run is asked for at the backends'
// own sockets (not through an edge: a cache would lie), first in the region that stored it. And:
// does any Idempotency-Key stand in the databases under more than one primary key?
#pragma once
#include "conf.h"
#include "records.h"

typedef struct Ledger {
    LedgerEntry *entries; // owned
    size_t n, capacity;
} Ledger;

// All entries of `run` (0: of every run). A torn tail is left out.
int ledger_read(const char *path, uint64_t run, Ledger *ret_ledger, Error *reterr) MUST_CHECK;
void ledger_done(Ledger *ledger);

typedef struct Verification {
    uint64_t acknowledged;
    uint64_t lost;                   // readable nowhere
    char first_lost[RECORDS_ID + 1]; // ""
    Wall oldest_lost;                // when the first of them was acknowledged
    uint64_t unanswered;             // of the lost: some region did not answer, so it may be there
} Verification;

// Asks the regions of the mask only (1 << region index).
int verify_ledger(const Conf *conf, const char *dir, uint64_t regions, const Ledger *ledger,
                  Verification *ret_verification, Error *reterr) MUST_CHECK;
// Keys of the run that have more than one id in the union of these regions' databases.
int verify_duplicates(const Conf *conf, const char *dir, uint64_t regions, uint64_t run,
                      uint64_t *ret_duplicates, Error *reterr) MUST_CHECK;
