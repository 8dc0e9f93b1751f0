// SPDX-License-Identifier: MIT
// rowsd_links: reads the facts from a region's own database: subscriptions, watermarks, slots,
// counts. A few cheap statements a second; what grows (ledger, parked rows) is counted less often,
// the ledger only where it is new.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "rowsd_facts.h"

void rowsd_facts_init(RowsdFacts *facts, const Mesh *mesh, uint32_t own)
{
    const MeshNode *me = &mesh->nodes[own];
    *facts = (RowsdFacts){.region = me->region,
                          .cloud = me->cloud,
                          .origin = me->origin,
                          .rpo_ns = -1,
                          .flush_ns = -1};
    for (uint32_t i = 0; i < mesh->n && facts->n < ROWSD_NODES; i++) {
        const MeshNode *peer = &mesh->nodes[i];
        if (i == own)
            continue;
        RowsdLink *link = &facts->links[facts->n++];
        *link = (RowsdLink){.region = peer->region, .cloud = peer->cloud, .origin = peer->origin};
        mesh_subscription_name(me, peer, link->in_name);
        mesh_subscription_name(peer, me, link->out_name);
        link->lag_ns = -1;
        link->eta_ns = LAG_UNKNOWN;
        link->out.flush_ns = -1;
    }
}

static bool get_bool(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column)[0] == 't';
}

// Positions and counts: digits; NULL is 0.
static uint64_t get_u64(const PGresult *result, int row, int column)
{
    uint64_t value = 0;
    const char *text = PQgetvalue(result, row, column);
    if (parse_u64(text, strlen(text), UINT64_MAX, &value) < 0)
        return 0;
    return value;
}

static int64_t get_i64(const PGresult *result, int row, int column, int64_t missing)
{
    int64_t value = missing;
    const char *text = PQgetvalue(result, row, column);
    if (PQgetisnull(result, row, column) == 1 ||
        parse_i64(text, strlen(text), INT64_MIN, INT64_MAX, &value) < 0)
        return missing;
    return value;
}

static void get_text(const PGresult *result, int row, int column, char *text, size_t size)
{
    (void)snprintf(text, size, "%s", PQgetvalue(result, row, column));
}

static const char LINKS[] =
    "SELECT n.origin, n.state = 'active', l.origin IS NOT NULL, coalesce(l.state, '') = 'filled', "
    "coalesce(l.fill_rows, 0), coalesce(l.error, ''), s.oid IS NOT NULL, coalesce(s.subenabled, "
    "false), st.pid IS NOT NULL, st.received_lsn - '0/0', ss.apply_error_count, "
    "w.origin IS NOT NULL, wildcam.micros(w.ts), wildcam.micros(w.at), w.lsn - '0/0', w.safe, "
    "t.origin IS NOT NULL, t.safe, wildcam.micros(t.at) "
    "FROM wildcam.node n LEFT JOIN wildcam.link l ON l.origin = n.origin "
    "LEFT JOIN pg_subscription s ON s.subname = l.subscription AND s.subdbid = "
    "(SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) "
    "LEFT JOIN pg_stat_subscription st ON st.subid = s.oid AND st.relid IS NULL "
    "LEFT JOIN pg_stat_subscription_stats ss ON ss.subid = s.oid "
    "LEFT JOIN wildcam.watermark w ON w.node = wildcam.me() AND w.origin = n.origin "
    "LEFT JOIN wildcam.watermark t ON t.node = n.origin AND t.origin = wildcam.me() "
    "WHERE n.origin <> wildcam.me()";

static void take_link(const PGresult *result, int row, LinkIn *in)
{
    *in = (LinkIn){.node = true,
                   .active = get_bool(result, row, 1),
                   .linked = get_bool(result, row, 2),
                   .filled = get_bool(result, row, 3),
                   .fill_rows = get_u64(result, row, 4),
                   .subscribed = get_bool(result, row, 6),
                   .enabled = get_bool(result, row, 7),
                   .working = get_bool(result, row, 8),
                   .received = get_u64(result, row, 9),
                   .errors = get_u64(result, row, 10),
                   .marked = get_bool(result, row, 11),
                   .sent = {get_i64(result, row, 12, 0) * NS_PER_US},
                   .arrived = {get_i64(result, row, 13, 0) * NS_PER_US},
                   .lsn = get_u64(result, row, 14),
                   .safe_us = get_i64(result, row, 15, 0),
                   .told = get_bool(result, row, 16),
                   .told_safe_us = get_i64(result, row, 17, 0),
                   .told_at = {get_i64(result, row, 18, 0) * NS_PER_US}};
    get_text(result, row, 5, in->error, sizeof in->error);
}

static int read_links(Mesh *mesh, MeshNode *node, RowsdFacts *facts, Error *reterr)
{
    PGresult *result = NULL;
    int r = mesh_query(mesh, node, LINKS, 0, NULL, &result, reterr);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < facts->n; i++)
        facts->links[i].in = (LinkIn){0};
    for (int row = 0; row < PQntuples(result); row++)
        for (uint32_t i = 0; i < facts->n; i++)
            if (facts->links[i].origin == get_u64(result, row, 0))
                take_link(result, row, &facts->links[i].in);
    PQclear(result);
    return 0;
}

static const char SLOTS[] =
    "SELECT s.slot_name, s.active, coalesce(s.wal_status, ''), s.safe_wal_size IS NOT NULL, "
    "s.safe_wal_size, greatest(c.lsn - s.confirmed_flush_lsn, 0), "
    "greatest(c.lsn - s.restart_lsn, 0), s.confirmed_flush_lsn - '0/0', "
    "(extract(epoch FROM r.flush_lag) * 1000000)::bigint, c.lsn - '0/0', "
    "greatest(pg_size_bytes(current_setting('max_slot_wal_keep_size')), 0) "
    "FROM (SELECT pg_current_wal_flush_lsn() AS lsn) c "
    "LEFT JOIN pg_replication_slots s ON s.slot_type = 'logical' "
    "AND s.database = current_database() "
    "LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid";

static void take_slot(const PGresult *result, int row, LinkOut *out)
{
    int64_t flush_us = get_i64(result, row, 8, -1);
    *out = (LinkOut){.slot = true,
                     .active = get_bool(result, row, 1),
                     .limited = get_bool(result, row, 3),
                     .left = get_i64(result, row, 4, 0),
                     .limit = get_u64(result, row, 10),
                     .backlog = get_u64(result, row, 5),
                     .retained = get_u64(result, row, 6),
                     .confirmed = get_u64(result, row, 7),
                     .flush_ns = flush_us < 0 ? -1 : flush_us * NS_PER_US};
    get_text(result, row, 2, out->status, sizeof out->status);
}

// What would survive the loss of our whole cloud: the best slot of another cloud; of any region
// when there is one cloud only.
static void find_confirmed(RowsdFacts *facts)
{
    bool clouds = false;
    for (uint32_t i = 0; i < facts->n; i++)
        clouds = clouds || strcmp(facts->links[i].cloud, facts->cloud) != 0;
    facts->has_confirmed = false;
    facts->confirmed = 0;
    facts->flush_ns = -1;
    for (uint32_t i = 0; i < facts->n; i++) {
        const LinkOut *out = &facts->links[i].out;
        if (!out->slot || (clouds && strcmp(facts->links[i].cloud, facts->cloud) == 0))
            continue;
        if (!facts->has_confirmed || out->confirmed > facts->confirmed) {
            facts->confirmed = out->confirmed;
            facts->flush_ns = out->flush_ns;
        }
        facts->has_confirmed = true;
    }
}

static int read_slots(Mesh *mesh, MeshNode *node, RowsdFacts *facts, Error *reterr)
{
    PGresult *result = NULL;
    int r = mesh_query(mesh, node, SLOTS, 0, NULL, &result, reterr);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < facts->n; i++)
        facts->links[i].out = (LinkOut){.flush_ns = -1};
    for (int row = 0; row < PQntuples(result); row++) {
        facts->written = get_u64(result, row, 9);
        for (uint32_t i = 0; i < facts->n; i++)
            if (strcmp(facts->links[i].out_name, PQgetvalue(result, row, 0)) == 0)
                take_slot(result, row, &facts->links[i].out);
    }
    PQclear(result);
    find_confirmed(facts);
    return 0;
}

static const char STATE[] =
    "SELECT m.sql_version, coalesce(m.refused, ''), (SELECT count(*) FROM wildcam.federated), "
    "(SELECT count(*) FROM wildcam.federated f WHERE f.guarded), "
    // changes with every change of a table's shape, indexes and constraints
    "(SELECT md5(string_agg(f.digest || c.xmin::text || coalesce((SELECT string_agg(i.indexrelid "
    "|| i.xmin::text, ',' ORDER BY i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid), ''), "
    "',' ORDER BY f.number)) FROM wildcam.federated f LEFT JOIN pg_class c ON c.oid = "
    "to_regclass(format('%I.%I', f.schema, f.name))), "
    "(SELECT count(*) FROM wildcam.dead_letter), "
    "(SELECT coalesce(f.schema || '.' || f.name, 'table ' || d.number) || ' ' || d.key || ' from ' "
    "|| coalesce(n.region, 'origin ' || d.origin) || ': ' || d.message || ' (' || d.sqlstate || "
    "')' "
    "FROM wildcam.dead_letter d LEFT JOIN wildcam.federated f ON f.number = d.number "
    "LEFT JOIN wildcam.node n ON n.origin = d.origin ORDER BY d.id DESC LIMIT 1) "
    "FROM wildcam.mesh m";

static int read_state(Mesh *mesh, MeshNode *node, RowsdFacts *facts, Error *reterr)
{
    PGresult *result = NULL;
    int r = mesh_query(mesh, node, STATE, 0, NULL, &result, reterr);
    if (r < 0)
        return r;
    facts->federated = PQntuples(result) == 1;
    if (facts->federated) {
        facts->sql_version = (uint32_t)get_u64(result, 0, 0);
        get_text(result, 0, 1, facts->refused, sizeof facts->refused);
        facts->tables = (uint32_t)get_u64(result, 0, 2);
        facts->guarded = (uint32_t)get_u64(result, 0, 3);
        get_text(result, 0, 4, facts->digest, sizeof facts->digest);
        facts->dead_letters = get_u64(result, 0, 5);
        get_text(result, 0, 6, facts->dead_letter, sizeof facts->dead_letter);
    }
    PQclear(result);
    return 0;
}

static int read_ledger(Mesh *mesh, MeshNode *node, RowsdFacts *facts, Error *reterr)
{
    char after[24];
    const char *params[] = {after};
    (void)snprintf(after, sizeof after, "%" PRIu64, facts->ledger_last);
    PGresult *result = NULL;
    int r = mesh_query(mesh, node,
                       "SELECT kind, count(*), max(id) FROM wildcam.ledger WHERE id > $1 "
                       "GROUP BY kind",
                       1, params, &result, reterr);
    if (r < 0)
        return r;
    for (int row = 0; row < PQntuples(result); row++) {
        for (unsigned k = 0; k < LEDGER_KINDS_MAX; k++)
            if (strcmp(ledger_kind_word((LedgerKind)k), PQgetvalue(result, row, 0)) == 0)
                facts->conflicts[k] += get_u64(result, row, 1);
        if (get_u64(result, row, 2) > facts->ledger_last)
            facts->ledger_last = get_u64(result, row, 2);
    }
    PQclear(result);
    return 0;
}

// One statement over all tables that have parked rows.
static int read_parked(Mesh *mesh, MeshNode *node, RowsdFacts *facts, Error *reterr)
{
    PGresult *result = NULL;
    int r = mesh_query(mesh, node,
                       "SELECT 'SELECT ' || coalesce(string_agg(format('(SELECT count(*) FROM "
                       "wildcam.parked_%s)', f.number), ' + '), '0') FROM wildcam.federated f "
                       "WHERE to_regclass('wildcam.parked_' || f.number) IS NOT NULL",
                       0, NULL, &result, reterr);
    if (r < 0)
        return r;
    PGresult *count = NULL;
    r = mesh_query(mesh, node, PQgetvalue(result, 0, 0), 0, NULL, &count, reterr);
    PQclear(result);
    if (r < 0)
        return r;
    facts->parked = get_u64(count, 0, 0);
    PQclear(count);
    return 0;
}

int rowsd_facts_read(Mesh *mesh, MeshNode *node, bool full, RowsdFacts *facts, Error *reterr)
{
    Error err = ERROR_INIT;
    PGresult *there = NULL;
    int r = mesh_query(mesh, node, "SELECT to_regclass('wildcam.mesh') IS NOT NULL", 0, NULL,
                       &there, &err);
    bool federated = r >= 0 && get_bool(there, 0, 0);
    PQclear(there);
    if (!federated)
        facts->federated = false;
    if (federated)
        r = read_state(mesh, node, facts, &err);
    if (r >= 0 && federated)
        r = read_links(mesh, node, facts, &err);
    if (r >= 0)
        r = read_slots(mesh, node, facts, &err);
    if (r >= 0 && full && federated)
        r = read_ledger(mesh, node, facts, &err);
    if (r >= 0 && full && federated)
        r = read_parked(mesh, node, facts, &err);
    facts->database = r >= 0;
    (void)snprintf(facts->database_why, sizeof facts->database_why, "%s",
                   r < 0 ? error_text(&err) : "");
    if (r < 0) {
        error_done(reterr);
        if (reterr != NULL)
            *reterr = err;
        else
            error_done(&err);
    }
    return r;
}
