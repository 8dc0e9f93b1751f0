// SPDX-License-Identifier: MIT
// fault_packets: CUT and LOSS. An `nft -i` child waits from prepare on, so that begin and end are
// one transaction each and act at once. It owns the table (fault_nft.h).
#include <stdio.h>

#include "alloc.h"
#include "buf.h"
#include "fault_kind.h"
#include "fault_nft.h"
#include "fault_rules.h"

typedef struct Packets {
    FaultNft nft;
    bool there; // the table
} Packets;

static int packets_prepare(FaultHeld *held, Error *reterr)
{
    Packets *packets = held->own = alloc_zeroed(1, sizeof *packets);
    if (packets == NULL)
        return error_set(reterr, ERROR_MEMORY, "rules for nft");
    packets->nft = FAULT_NFT_NONE;
    return fault_nft_start(held, &packets->nft, reterr);
}

static int packets_begin(FaultHeld *held, Error *reterr)
{
    Packets *packets = held->own;
    Buf line CLEANUP(buf_done) = BUF_INIT(1U << 20);
    int r = fault_rules_table(&held->fault, held->options->conf, packets->nft.table, &line, reterr);
    packets->there = true; // also when the answer gets lost
    return r < 0 ? r : fault_nft_run(held, &packets->nft, buf_text(&line), reterr);
}

static int packets_change(FaultHeld *held, Error *reterr)
{
    Packets *packets = held->own;
    Buf line CLEANUP(buf_done) = BUF_INIT(1U << 20);
    int r =
        fault_rules_replace(&held->fault, held->options->conf, packets->nft.table, &line, reterr);
    return r < 0 ? r : fault_nft_run(held, &packets->nft, buf_text(&line), reterr);
}

static void packets_look(FaultHeld *held)
{
    Packets *packets = held->own;
    if (!fault_child_lives(&packets->nft.child))
        fault_lost(held, "nft has ended, and the kernel has removed its rules");
}

// When nft does not delete the table its death does. One that cannot be deleted was not there.
static int packets_end(FaultHeld *held, Error *reterr)
{
    Packets *packets = held->own;
    char line[128];
    if (!packets->there)
        return 0;
    (void)snprintf(line, sizeof line, "delete table inet %s", packets->nft.table);
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = fault_nft_run(held, &packets->nft, line, &err);
    if (r < 0 && r != ERROR_TIMEOUT)
        fault_lost(held, "its rules are gone: %s", error_text(&err));
    if (r < 0)
        fault_nft_kill(&packets->nft);
    packets->there = false;
    return 0;
}

static int packets_undo(FaultHeld *held, Error *reterr)
{
    Packets *packets = held->own;
    if (packets != NULL)
        fault_nft_kill(&packets->nft);
    free(packets);
    held->own = NULL;
    return 0;
}

const FaultKindActions FAULT_KIND_PACKETS = {
    .prepare = packets_prepare,
    .begin = packets_begin,
    .change = packets_change,
    .end = packets_end,
    .undo = packets_undo,
    .look = packets_look,
};
