// SPDX-License-Identifier: MIT
// fault_nft: an `nft -i` child that owns tables (`flags owner`): when it dies, with the keeper or
// alone, the kernel removes them. Each line is one transaction. nft prints errors and nothing else;
// a question with a known answer behind each line says that the line is done.
#pragma once
#include "fault_child.h"
#include "fault_kind.h"

typedef struct FaultNft {
    FaultChild child;
    char table[64]; // a name for the fault's table
} FaultNft;

#define FAULT_NFT_NONE ((FaultNft){.child = FAULT_CHILD_NONE})

// Our network namespace (-1), unless the fleet's supervisor is in another one (a descriptor).
int fault_nft_network(const FaultHeld *held, int *ret_fd, Error *reterr) MUST_CHECK;
// Starts it there, and makes and deletes a table: whoever may not do this learns it here.
int fault_nft_start(const FaultHeld *held, FaultNft *nft, Error *reterr) MUST_CHECK;
int fault_nft_run(const FaultHeld *held, FaultNft *nft, const char *line, Error *reterr) MUST_CHECK;
void fault_nft_kill(FaultNft *nft); // with its tables; forgiving
