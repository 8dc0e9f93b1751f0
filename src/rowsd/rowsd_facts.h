// SPDX-License-Identifier: MIT
// rowsd_facts: what is known about one region's part of the mesh, as plain data: read from its own
// database (rowsd_links.c), from its peers (rowsd_probe.c), judged (rowsd_judge.c) and written as
// JSON and metrics. `rows status` reads the same facts straight from a database that has no daemon.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "instant.h"
#include "mesh.h"
#include "rowsd_clock.h"
#include "rowsd_lag.h"

#define ROWSD_NODES 64 // as mesh_open limits it
#define ROWSD_TEXT 256
#define ROWSD_ALARMS 16

#define LINK_STATES(X)                                                                             \
    X(ABSENT, "absent")           /* no subscription yet */                                        \
    X(FILLING, "filling")         /* subscribed, the older rows are on their way */                \
    X(STREAMING, "streaming")     /* as it should be */                                            \
    X(CATCHING_UP, "catching-up") /* it lags and moves */                                          \
    X(SILENT, "silent")           /* no heartbeat arrives */                                       \
    X(AWAY, "away")               /* and the region cannot be asked either */                      \
    X(ERROR_LOOP, "error-loop")   /* a change cannot be applied */                                 \
    X(SLOT_LOST, "slot-lost")     /* the publisher has dropped what was not fetched in time */     \
    X(DISABLED, "disabled")       /* somebody has disabled the subscription */

typedef enum LinkState {
#define X(name, word) LINK_STATE_##name,
    LINK_STATES(X)
#undef X
        LINK_STATE_MAX,
} LinkState;

const char *link_state_word(LinkState state);

#define LEDGER_KINDS(X) X(lost) X(over) X(park) X(evict) X(unpark) X(repair) X(dup)
typedef enum LedgerKind {
#define X(name) LEDGER_##name,
    LEDGER_KINDS(X)
#undef X
        LEDGER_KINDS_MAX,
} LedgerKind;

const char *ledger_kind_word(LedgerKind kind);

// What comes from another region, as our own database sees it.
typedef struct LinkIn {
    bool node, active;                         // a row in wildcam.node; state 'active'
    bool linked, subscribed, enabled, working; // wildcam.link, pg_subscription, a worker runs
    bool filled;
    uint64_t fill_rows, received, errors;
    char error[ROWSD_TEXT]; // wildcam.link.error
    bool marked;            // a watermark is there:
    Wall sent, arrived;     // its time by the publisher's clock and ours
    uint64_t lsn;
    int64_t safe_us;
    bool told; // what that region has of ours, by its own heartbeat
    int64_t told_safe_us;
    Wall told_at;
} LinkIn;

// What goes to another region: our slot for it.
typedef struct LinkOut {
    bool slot, active, limited;
    char status[16]; // reserved, extended, unreserved, lost
    uint64_t backlog, retained, confirmed;
    int64_t left;     // bytes until the slot is lost, when `limited`
    uint64_t limit;   // max_slot_wal_keep_size in bytes; 0: none
    int64_t flush_ns; // -1: unknown
} LinkOut;

// What that region itself says.
typedef struct LinkProbe {
    bool asked, reachable;
    Mono began, at; // of the question; of the answer
    char why[ROWSD_TEXT];
    uint64_t head;        // end of its WAL
    bool slot, slot_lost; // its slot for us
    bool has_mine;        // a watermark of us is known there, its own or another's:
    int64_t mine_safe_us;
    bool has_skew;
    int64_t skew_ns, trip_ns;
} LinkProbe;

typedef struct LinkTask { // what the daemon is doing for it
    bool rejoining, gap;
    uint64_t rows, expected;
    char error[ROWSD_TEXT];
} LinkTask;

typedef struct RowsdLink {
    const char *region, *cloud; // of the other one
    uint32_t origin;
    char in_name[MESH_NAME_MAX], out_name[MESH_NAME_MAX]; // subscription here, slot here
    LinkIn in;
    LinkOut out;
    LinkProbe probe;
    LinkTask task;
    bool silent, looping, lost; // by the caller's watch
    bool explained;             // `cause` was looked for
    char cause[ROWSD_TEXT];
    // judged:
    LinkState state;
    Mono since;
    int64_t lag_ns; // -1: unknown
    bool backlog_known;
    uint64_t backlog;
    LagRates rates;
    int64_t eta_ns;
    char why[ROWSD_TEXT]; // explains the state; "" when there is nothing to say
} RowsdLink;

typedef struct RowsdAlarm {
    const char *name;
    char text[ROWSD_TEXT];
    Mono since;
} RowsdAlarm;

typedef struct RowsdFacts {
    const char *region, *cloud;
    uint32_t origin, n;
    RowsdLink links[ROWSD_NODES]; // without ourselves
    bool database;                // our own database answers
    char database_why[ROWSD_TEXT];
    bool federated; // schema wildcam is there
    uint32_t tables, guarded, sql_version;
    char digest[40]; // of all tables' digests
    char refused[ROWSD_TEXT];
    uint64_t written, confirmed; // own WAL: up to here; what the best region of another cloud has
    bool has_confirmed;
    int64_t flush_ns;
    uint64_t conflicts[LEDGER_KINDS_MAX], ledger_last, parked, dead_letters;
    char dead_letter[ROWSD_TEXT]; // the newest one, as a sentence
    Wall read_at;
    Mono read_mono;
    // the daemon's own:
    bool serving; // a daemon filled this in
    bool ready;
    uint32_t beats_missed;
    Mono beat_at; // the last good one
    int64_t beat_ns;
    ClockJudge clock;
    int64_t clock_limit_ns;
    uint32_t slot_limit_ppm; // share of a slot's limit above which an alarm is raised; 0: none
    bool restored;
    int64_t rpo_ns; // -1: unknown
    Quantiles rpo_minute, rpo_hour, rpo_day;
    uint64_t collected_rows, collected_tombstones;
    Mono collected_at;
    uint64_t beats, beats_failed, rejoins, gap_fills, loops;
    uint32_t n_alarms;
    RowsdAlarm alarms[ROWSD_ALARMS];
} RowsdFacts;

// Names and origins of a mesh that was opened with all nodes. `own`: index into its nodes.
void rowsd_facts_init(RowsdFacts *facts, const Mesh *mesh, uint32_t own);
// Everything from its own database; `full`: also what is dear to count. Fails only when the
// database does not answer; then facts->database_why says it.
int rowsd_facts_read(Mesh *mesh, MeshNode *node, bool full, RowsdFacts *facts,
                     Error *reterr) MUST_CHECK;
// States, lags and what explains them, from what was read. Rates come from the caller (NULL: none).
void rowsd_facts_judge(RowsdFacts *facts, int64_t max_lag_ns, Mono now, Wall wall);
// Alarms from the judged facts; those that stay keep their time.
void rowsd_facts_alarms(RowsdFacts *facts, int64_t max_lag_ns, int64_t rpo_ns, Mono now);
// One region's part of `rows status --json`.
void rowsd_facts_json(const RowsdFacts *facts, Mono now, Buf *out);
void rowsd_facts_metrics(const RowsdFacts *facts, Mono now, Buf *out);
