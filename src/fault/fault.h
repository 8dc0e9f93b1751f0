// SPDX-License-Identifier: MIT
// fault: breaks a running local fleet for real, and heals it. The list FAULTS says for each kind
// what is broken, how, and how it heals; drills, integration tests and `wildcam fault` use the same
// functions.
//
// Faults are held by a keeper, a process of its own: when whoever asked for a fault dies, by
// SIGKILL too, the keeper heals everything and ends. What the keeper holds in the kernel (nftables
// tables with `flags owner`) goes even when the keeper itself is killed.
//
//   prepare --> begin --> change* --> end --> (begin again)... --> undo
//   prepare and undo may take seconds and may restart programs (a relay is put in front of a
//   gateway, a region moves to a small disk); begin and end act at once.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf.h"
#include "error.h"

typedef enum FaultKind {
    FAULT_KILL,           // regions a: SIGKILL of everything in them
    FAULT_HANG,           // regions a: SIGSTOP of everything in them
    FAULT_PROGRAM_DOWN,   // program in regions a: killed, stays down
    FAULT_PROGRAM_HANG,   // program in regions a: SIGSTOP
    FAULT_CUT,            // packets between regions a and b dropped
    FAULT_LOSS,           // packets between regions a and b lost with `value` ppm
    FAULT_GATEWAY_SLOW,   // gateways a: `value` ns more per round trip, for clients and regions
    FAULT_REPLICA_SLOW,   // replicas (program, or all) of a: answers `value` ns later
    FAULT_REPLICA_ERRORS, // replicas (program, or all) of a: `value` ppm of requests get a 500
    FAULT_DISK_FULL,      // regions a: no space left for the database
    FAULT_CLOCK,          // program (or agent) of a: its wall clock is off by `value` ns
    FAULT_MAX,
} FaultKind;

typedef struct Fault {
    FaultKind kind;
    uint64_t a, b;       // masks of region indices
    bool one_way;        // CUT: a cannot open connections to b; LOSS: only packets from a to b
    uint16_t port;       // CUT, LOSS: only this port of a gateway or database; 0: all
    const char *program; // as the supervisor names it; NULL: see above
    int64_t value;       // ns or ppm, see above
} Fault;

typedef struct FaultInfo {
    const char *name;   // "cut"
    const char *breaks; // what
    const char *how;
    const char *heals;
    const char *needs; // "" or "root", "root, nft" ...
} FaultInfo;

extern const FaultInfo FAULTS[FAULT_MAX];

// One command to the supervisor of the fleet in `dir`, one JSON answer (malloced).
typedef int FaultAsk(const char *dir, const char *command, int64_t timeout_ns, char **ret_answer,
                     Error *reterr);

typedef struct FaultOptions {
    const char *dir; // absolute state folder of a running fleet
    const Conf *conf;
    FaultAsk *ask;
    int lock; // a descriptor that the keeper keeps open until all is healed; 0: none
} FaultOptions;

typedef struct FaultKeeper FaultKeeper;

#define FAULT_HELD_MAX 16 // at once by one keeper

// ERROR_... with a hint when this machine or user cannot do it (no root, no nft, no faketime).
int fault_possible(FaultKind kind, Error *reterr) MUST_CHECK;
// Forks the keeper. Options and what they point to must outlive it.
int fault_keeper_new(const FaultOptions *options, FaultKeeper **ret_keeper,
                     Error *reterr) MUST_CHECK;
// Each waits for the keeper's answer; on error nothing is in force that was not before.
int fault_prepare(FaultKeeper *keeper, const Fault *fault, uint32_t *ret_id,
                  Error *reterr) MUST_CHECK;
int fault_begin(FaultKeeper *keeper, uint32_t id, Error *reterr) MUST_CHECK;
// Of a fault that is not in force: the value of its next begin.
int fault_change(FaultKeeper *keeper, uint32_t id, int64_t value, Error *reterr) MUST_CHECK;
// ERROR_CONFLICT, by end and undo: done, but the fault had not lasted until now (its child had
// died, somebody had started the region again ...). The text says why and when that was seen.
int fault_end(FaultKeeper *keeper, uint32_t id, Error *reterr) MUST_CHECK;
int fault_undo(FaultKeeper *keeper, uint32_t id, Error *reterr) MUST_CHECK;
// Readable when the keeper has ended before it was told to: somebody killed it. Not to be read.
pid_t fault_keeper_pid(const FaultKeeper *keeper);
int fault_keeper_fd(const FaultKeeper *keeper);
// Ends and undoes everything, newest first, and waits until that is done; takes NULL.
// What could not be healed is said on stderr, and then this is ERROR_UNAVAILABLE.
int fault_keeper_free(FaultKeeper *keeper);
