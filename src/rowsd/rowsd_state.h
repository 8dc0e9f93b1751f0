// SPDX-License-Identifier: MIT
// rowsd_state: what the daemon's threads share. Nobody else includes it.
//
//   main     uv loop: HTTP, signals                            rowsd.c, rowsd_http.c
//   beat     one heartbeat a second, refuses and allows        rowsd_beat.c
//   work     reads, judges, publishes, collects, mends         rowsd_work.c, rowsd_mend.c
//   probe    asks the peers for their clocks and slots         rowsd_probe.c
//   tasks    ensures the node, makes links anew, fills gaps    rowsd_tasks.c
//
// Each thread owns its connections: what hangs in one holds up nothing in another. They meet in
// `Rowsd` under one lock, held for copies only. All of them can be killed at any moment: what they
// know is read again from the databases.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "rowsd_facts.h"

typedef struct RowsdSettings {
    int64_t beat_ns, collect_ns, margin_ns, retry_ns;
    int64_t max_lag_ns, max_skew_ns, rpo_ns;
} RowsdSettings;

typedef struct RowsdBeat {
    uint64_t good, failed;
    uint32_t missed; // in a row
    Mono at;         // the last good one
    int64_t safe_us;
    ClockJudge clock;
    int64_t own_skew_ns; // our clock minus our database's: versions are made by the latter
    // What this database had announced before our first heartbeat, and what that one announced: a
    // value between the two was announced by nobody who knows this database.
    bool start_known;
    int64_t start_safe_us, first_safe_us;
    // While `asking` the first heartbeat waits: it would overwrite what the peers know of us.
    bool asking;
    Mono asking_since;
} RowsdBeat;

typedef struct RowsdGap {
    uint64_t givers; // mask of links to fill from; 0: nothing to do
    bool busy;
    uint64_t filled; // done, not yet taken note of
} RowsdGap;

typedef struct Rowsd {
    Conf *conf;
    const char *fleet, *dir, *region;
    uint32_t own;
    RowsdSettings settings;
    RowsdFacts shape; // names and origins; never changes
    pthread_mutex_t lock;
    pthread_cond_t wake;
    // under the lock:
    bool stop;
    RowsdFacts facts; // the newest complete ones
    RowsdBeat beat;
    LinkProbe probes[ROWSD_NODES];
    LinkTask tasks[ROWSD_NODES];
    RowsdGap gaps[ROWSD_NODES];
    uint64_t rejoin;  // mask of links to make anew
    uint64_t explain; // mask of links whose error is to be looked for at the publisher
    char causes[ROWSD_NODES][ROWSD_TEXT];
    bool ensure;         // something is missing that mesh_ensure_node makes
    bool ensured;        // once since the start
    bool restored;       // our database is older than what peers have of it
    bool fresh;          // it is a new one: our own rows come back from the peers ...
    bool refilled;       // ... and have, from all that could be reached
    uint64_t own_filled; // links they have come over
    uint64_t rejoins, gap_fills;
} Rowsd;

// Waits until then or until rowsd_kick. False: the daemon ends.
bool rowsd_pause(Rowsd *rowsd, Mono until);
void rowsd_kick(Rowsd *rowsd);
// Our database is new (announced 0) or older than what `who` has heard of it.
void rowsd_say_behind(int64_t announced_us, int64_t heard_us, const char *who);
bool rowsd_stopping(Rowsd *rowsd);
static inline void rowsd_lock(Rowsd *rowsd)
{
    (void)pthread_mutex_lock(&rowsd->lock);
}
static inline void rowsd_unlock(Rowsd *rowsd)
{
    (void)pthread_mutex_unlock(&rowsd->lock);
}

// A connection to our own database alone, or to all nodes (`only` 0). Tries until it can be opened;
// NULL: the daemon ends.
Mesh *rowsd_open(Rowsd *rowsd, const char *application, uint64_t only, int64_t statement_ns);

void *rowsd_beat_main(void *rowsd);
void *rowsd_work_main(void *rowsd);
void *rowsd_probe_main(void *rowsd);
void *rowsd_tasks_main(void *rowsd);

// rowsd_mend.c: what is put right in our own database, from the work thread.
typedef struct RowsdMend {
    bool guarded; // by us
    Mono guarded_at, quiet_since;
    int64_t hold_ns;
    uint64_t letters; // last seen
    Mono retried;
    char digest[40];
} RowsdMend;

void rowsd_mend(Rowsd *rowsd, RowsdMend *mend, Mesh *mesh, const RowsdFacts *facts, Mono now);

// rowsd_http.c
typedef struct RowsdHttp RowsdHttp;
struct uv_loop_s;
int rowsd_http_new(struct uv_loop_s *loop, Rowsd *rowsd, const char *socket, RowsdHttp **ret_http,
                   Error *reterr) MUST_CHECK;
void rowsd_http_drain(RowsdHttp *http, void (*drained)(void *context), void *context);
RowsdHttp *rowsd_http_free(RowsdHttp *http);
