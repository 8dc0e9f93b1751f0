// SPDX-License-Identifier: MIT
// rowsd_probe: asks every peer once a second: its clock (between two readings of ours), the end of
// its WAL, its slot for us, and what it has of ours. The answers tell lags in bytes, a lost slot
// within seconds, a clock that is off, and whether our own database is older than what the peers
// have seen of it. A peer that hangs costs its time limit once; then its connection is closed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "log.h"
#include "parse.h"
#include "rowsd_state.h"

#define EVERY_NS NS_PER_S
#define STATEMENT_NS NS_PER_S

static const char ASK[] =
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, "
    "pg_current_wal_flush_lsn() - '0/0', s.slot_name IS NOT NULL, "
    "coalesce(s.wal_status = 'lost', false), w.safe IS NOT NULL, w.safe "
    "FROM (SELECT max(safe) AS safe FROM wildcam.watermark WHERE origin = $2::smallint) w "
    "LEFT JOIN pg_replication_slots s ON s.slot_name = $1";

typedef struct Prober {
    Rowsd *rowsd;
    Mesh *mesh;
    ClockFilter filters[ROWSD_NODES];
} Prober;

static int64_t number(const PGresult *result, int column)
{
    int64_t value = 0;
    const char *text = PQgetvalue(result, 0, column);
    return parse_i64(text, strlen(text), INT64_MIN, INT64_MAX, &value) < 0 ? 0 : value;
}

static void take(const PGresult *result, LinkProbe *probe)
{
    probe->reachable = true;
    probe->head = (uint64_t)number(result, 1);
    probe->slot = PQgetvalue(result, 0, 2)[0] == 't';
    probe->slot_lost = !probe->slot || PQgetvalue(result, 0, 3)[0] == 't';
    probe->has_mine = PQgetvalue(result, 0, 4)[0] == 't';
    probe->mine_safe_us = number(result, 5);
}

static void ask(Prober *prober, uint32_t link, MeshNode *node, const char *slot, LinkProbe *probe)
{
    char origin[8];
    const char *params[] = {slot, origin};
    Rowsd *rowsd = prober->rowsd;
    (void)snprintf(origin, sizeof origin, "%u", rowsd->shape.origin);
    PGresult *result = NULL;
    Error err = ERROR_INIT;
    Mono began = clock_mono();
    Wall before = clock_wall();
    int r = node->conn != NULL ? mesh_query(prober->mesh, node, ASK, 2, params, &result, &err)
                               : ERROR_UNAVAILABLE;
    Wall after = clock_wall();
    *probe = (LinkProbe){.asked = true, .began = began, .at = clock_mono()};
    if (r >= 0) {
        take(result, probe);
        clock_filter_add(&prober->filters[link], probe->at, before,
                         (Wall){number(result, 0) * NS_PER_US}, after);
        PQclear(result);
    } else {
        // Its server answers although its part of the mesh is not there yet.
        probe->reachable = node->conn != NULL;
        (void)snprintf(probe->why, sizeof probe->why, "%s",
                       err.text != NULL ? error_text(&err) : error_text(&node->why));
    }
    ClockSample best = {{0}, 0, 0};
    probe->has_skew = clock_filter_best(&prober->filters[link], probe->at, &best);
    probe->skew_ns = best.skew_ns;
    probe->trip_ns = best.trip_ns;
    error_done(&err);
}

void rowsd_say_behind(int64_t announced_us, int64_t heard_us, const char *who)
{
    log_warning(announced_us == 0 ? "own database is new, its rows come from the peers"
                                  : "own database is older than its peers know it",
                who, LOG_NUMBER("own_safe_us", announced_us), LOG_NUMBER("peer_safe_us", heard_us));
}

// A peer that could not be asked before our first heartbeat: it has a point of us that this
// database never announced, neither before that one nor since.
static void compare(Prober *prober, const char *region, const LinkProbe *probe)
{
    Rowsd *rowsd = prober->rowsd;
    const RowsdBeat *beat = &rowsd->beat;
    if (!probe->has_mine || !beat->start_known || rowsd->restored || rowsd->fresh ||
        probe->mine_safe_us <= beat->start_safe_us || probe->mine_safe_us >= beat->first_safe_us)
        return;
    rowsd->fresh = beat->start_safe_us == 0;
    rowsd->restored = !rowsd->fresh;
    rowsd->refilled = false;
    rowsd->own_filled = 0;
    rowsd_say_behind(beat->start_safe_us, probe->mine_safe_us, region);
}

// The heartbeat waits for answers that are newer than `last`.
static bool is_wanted(Rowsd *rowsd, Mono last)
{
    rowsd_lock(rowsd);
    bool wanted = rowsd->beat.asking && mono_since(rowsd->beat.asking_since, last) > 0;
    rowsd_unlock(rowsd);
    return wanted;
}

static void probe_all(Prober *prober)
{
    Rowsd *rowsd = prober->rowsd;
    (void)mesh_reconnect(prober->mesh);
    uint32_t n = rowsd->shape.n; // fixed since the start
    for (uint32_t i = 0; i < n && !rowsd_stopping(rowsd); i++) {
        const RowsdLink *link = &rowsd->shape.links[i];
        MeshNode *node = mesh_find(prober->mesh, link->region);
        LinkProbe probe;
        ask(prober, i, node, link->in_name, &probe);
        rowsd_lock(rowsd);
        bool before = rowsd->probes[i].reachable, asked = rowsd->probes[i].asked;
        rowsd->probes[i] = probe;
        compare(prober, link->region, &probe);
        rowsd_unlock(rowsd);
        if (probe.reachable && !before)
            log_info("peer answers", link->region);
        else if (!probe.reachable && (before || !asked))
            log_warning("peer does not answer", link->region, LOG_TEXT("error", probe.why));
    }
}

void *rowsd_probe_main(void *context)
{
    Rowsd *rowsd = context;
    Prober *prober = alloc_zeroed(1, sizeof *prober);
    if (prober == NULL) {
        log_error("no memory", "probe");
        return NULL;
    }
    prober->rowsd = rowsd;
    uint64_t all = rowsd->conf->model.n_regions >= 64
                       ? UINT64_MAX
                       : (UINT64_C(1) << rowsd->conf->model.n_regions) - 1;
    prober->mesh =
        rowsd_open(rowsd, "wildcam-rows probe", all & ~(UINT64_C(1) << rowsd->own), STATEMENT_NS);
    Mono next = clock_mono(), began = {0};
    while (prober->mesh != NULL && rowsd_pause(rowsd, next)) {
        if (mono_since(next, clock_mono()) > 0 && !is_wanted(rowsd, began))
            continue;
        began = clock_mono();
        probe_all(prober);
        next = mono_max(mono_add(next, EVERY_NS), clock_mono());
    }
    (void)mesh_free(prober->mesh);
    free(prober);
    return NULL;
}
