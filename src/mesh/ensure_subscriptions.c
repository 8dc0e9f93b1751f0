// SPDX-License-Identifier: MIT
// ensure_subscriptions: one link from every other node.
//
// The slot is made by a connection of our own, before and outside of CREATE SUBSCRIPTION: to make
// one, a publisher waits for all its transactions that have written something. If two nodes did
// that from within CREATE SUBSCRIPTION, which has written something by then, they would wait for
// each other for ever. A slot without a subscription is what an interruption leaves: it is dropped
// and made again, so that nothing holds WAL that nobody reads.
//
// Nothing of ours leaves a subscription disabled: whoever did it wants it so. It gets its new
// connection and nothing else until it is enabled; then its slot and tables are looked at.
#include "ensure_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "mesh_inside.h"
#include "mesh_link.h"

typedef struct Link {
    MeshNode *peer;
    char name[MESH_NAME_MAX];
    char origin[16];
    Buf conninfo, shown;
    char digest[24]; // of what is shown, of apply_flush and, with a password, of the passfile
} Link;

static void link_done(Link *link)
{
    if (link->conninfo.data != NULL)
        explicit_bzero(link->conninfo.data, link->conninfo.len);
    buf_done(&link->conninfo);
    buf_done(&link->shown);
}

// One text of the peer, by its ordinary connection.
static int ask(Ensure *ensure, const Link *link, const char *sql, const char **ret_text,
               Error *reterr)
{
    return ensure_text(ensure, link->peer, sql, 0, NULL, ret_text, reterr);
}

// Why this peer cannot be subscribed to now; 0: it can.
static int look_at_peer(Ensure *ensure, const Link *link, Error *reterr)
{
    const char *region = link->peer->region, *schema = NULL, *version = NULL, *ready = NULL;
    if (link->peer->conn == NULL)
        return mesh_reason(link->peer, reterr);
    int r = ask(ensure, link, "SELECT to_regclass('wildcam.mesh')::text", &schema, reterr);
    if (r == 0 && schema == NULL)
        r = error_set(reterr, ERROR_UNAVAILABLE, "%s: not part of the mesh yet", region);
    if (r == 0)
        r = ask(ensure, link,
                "SELECT concat_ws(' ', sql_version, (SELECT origin FROM wildcam.node n WHERE "
                "n.origin = wildcam.me())) FROM wildcam.mesh",
                &version, reterr);
    if (r < 0)
        return r;
    char *end = NULL;
    long has = strtol(version != NULL ? version : "0", &end, 10), origin = strtol(end, NULL, 10);
    if (has != MESH_SQL_VERSION) {
        r = error_set(reterr, ERROR_CONFLICT,
                      "%s: its schema wildcam has version %ld, this program makes version %d",
                      region, has, MESH_SQL_VERSION);
        return error_hint(reterr, r, "Bring both regions to one version of WildCAM.");
    }
    if (origin != (long)link->peer->origin)
        return error_set(reterr, ERROR_FOREIGN, "%s: its database has origin %ld, not %u", region,
                         origin, link->peer->origin);
    r = ask(ensure, link, "SELECT 'yes' FROM pg_publication WHERE pubname = 'wildcam'", &ready,
            reterr);
    return r == 0 && ready == NULL
               ? error_set(reterr, ERROR_UNAVAILABLE, "%s: publishes nothing yet", region)
               : r;
}

static int set_link(Ensure *ensure, const Link *link, const char *state, const char *error,
                    Error *reterr)
{
    if (ensure->options->plan || !ensure->based)
        return 0;
    const char *params[] = {link->origin, link->name, state, error};
    return mesh_query(
        ensure->mesh, ensure->node,
        "INSERT INTO wildcam.link AS l (origin, subscription, state, error) "
        "VALUES ($1::smallint, $2, coalesce($3, 'new'), $4) ON CONFLICT (origin) DO UPDATE SET "
        "subscription = $2, state = coalesce($3, l.state), error = $4, "
        "since = CASE WHEN l.state = coalesce($3, l.state) THEN l.since ELSE now() END "
        "WHERE (l.subscription, l.state, coalesce(l.error, '')) IS DISTINCT FROM "
        "($2::name, coalesce($3, l.state), coalesce($4, ''))",
        4, params, NULL, reterr);
}

typedef struct Slot {
    bool there, active, lost;
} Slot;

static int look_at_slot(Mesh *publisher, const Link *link, Slot *ret_slot, Error *reterr)
{
    PGresult *result = NULL;
    const char *params[] = {link->name};
    int r = mesh_query(publisher, &publisher->nodes[0],
                       "SELECT active, coalesce(wal_status = 'lost', false) FROM "
                       "pg_replication_slots WHERE slot_name = $1",
                       1, params, &result, reterr);
    *ret_slot = (Slot){0};
    if (r < 0)
        return r;
    if (PQntuples(result) > 0)
        *ret_slot = (Slot){.there = true,
                           .active = PQgetvalue(result, 0, 0)[0] == 't',
                           .lost = PQgetvalue(result, 0, 1)[0] == 't'};
    PQclear(result);
    return 0;
}

static int run_on_slot(Mesh *publisher, const Link *link, const char *sql, Error *reterr)
{
    const char *params[] = {link->name};
    return mesh_query(publisher, &publisher->nodes[0], sql, 1, params, NULL, reterr);
}

// A subscription whose slot is gone or of no use any more: only our own half is dropped.
static int drop_subscription(Ensure *ensure, const Link *link, Error *reterr)
{
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "ALTER SUBSCRIPTION %s DISABLE;\nALTER SUBSCRIPTION %s SET (slot_name = NONE);\n"
                   "DROP SUBSCRIPTION %s;\nUPDATE wildcam.link SET state = 'new', since = now() "
                   "WHERE origin = %s;\n",
                   link->name, link->name, link->name, link->origin);
    return ensure_change(ensure, "a subscription without its slot", sql, reterr);
}

static int create_slot(Mesh *publisher, const Link *link, const Slot *slot, Error *reterr)
{
    int r = 0;
    if (slot->active)
        return error_set(reterr, ERROR_CONFLICT, "%s: slot '%s' is used by somebody else",
                         link->peer->region, link->name);
    if (slot->there)
        r = run_on_slot(publisher, link, "SELECT pg_drop_replication_slot($1)", reterr);
    if (r == 0)
        r = run_on_slot(publisher, link,
                        "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", reterr);
    return r;
}

// When an apply worker's commits reach the disk. `off`: with the next WAL write, some 200 ms later;
// what a crash takes until then is sent again, because the worker confirms only what is flushed. A
// flush for each commit would wake all walsenders of this node each time, for rows that they do
// not send: over six nodes that is half of what the mesh costs. Whoever waits for
// confirmations (durability two-clouds) needs the flush at once; `on` could wait in a circle.
static const char *apply_flush(const Mesh *mesh)
{
    const Conf *conf = mesh->conf;
    for (uint32_t i = 0; conf != NULL && i < conf->model.n_services; i++)
        if (conf->services[i].durability_two_clouds)
            return "local";
    return "off";
}

static int create_subscription(Ensure *ensure, const Link *link, Error *reterr)
{
    bool plan = ensure->options->plan;
    const Buf *conninfo = plan ? &link->shown : &link->conninfo;
    char *quoted =
        PQescapeLiteral(ensure->node->conn, buf_text(conninfo), strlen(buf_text(conninfo)));
    if (quoted == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for SQL");
    Buf sql CLEANUP(buf_done) = BUF_INIT(65536);
    // Asks the publisher for its tables, and has written by then: not for long.
    buf_printf(&sql,
               "BEGIN;\nSET LOCAL statement_timeout = '10s';\nCREATE SUBSCRIPTION %s CONNECTION %s "
               "PUBLICATION wildcam\n  WITH (create_slot = false, slot_name = '%s', copy_data = "
               "false, synchronous_commit = %s, streaming = off, disable_on_error = false);\n"
               "COMMENT ON SUBSCRIPTION %s IS '%s';\n"
               "INSERT INTO wildcam.link AS l (origin, subscription, state) VALUES (%s, '%s', "
               "'subscribed')\n  ON CONFLICT (origin) DO UPDATE SET subscription = '%s', state = "
               "'subscribed', since = now(), fill_rows = 0, error = NULL;\nCOMMIT;\n",
               link->name, quoted, link->name, apply_flush(ensure->mesh), link->name, link->digest,
               link->origin, link->name, link->name);
    explicit_bzero(quoted, strlen(quoted));
    PQfreemem(quoted);
    int r = buf_check(&sql) < 0 ? error_set(reterr, ERROR_MEMORY, "no memory for SQL")
                                : ensure_change(ensure, "subscription", buf_text(&sql), reterr);
    if (sql.data != NULL)
        explicit_bzero(sql.data, sql.len);
    ensure->done.subscriptions += r == 0 ? 1 : 0;
    return r;
}

// The subscription is there: is it what it would be made as today?
static int renew_connection(Ensure *ensure, const Link *link, Error *reterr)
{
    const char *there = NULL, *params[] = {link->name};
    int r = ensure_text(ensure, ensure->node,
                        "SELECT coalesce(obj_description(oid, 'pg_subscription'), '') FROM "
                        "pg_subscription WHERE subname = $1 AND subdbid = (SELECT oid FROM "
                        "pg_database WHERE datname = current_database())",
                        1, params, &there, reterr);
    if (r < 0 || (there != NULL && strcmp(there, link->digest) == 0))
        return r;
    char *quoted = PQescapeLiteral(ensure->node->conn, buf_text(&link->conninfo),
                                   strlen(buf_text(&link->conninfo)));
    if (quoted == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for SQL");
    Buf sql CLEANUP(buf_done) = BUF_INIT(65536);
    buf_printf(&sql,
               "ALTER SUBSCRIPTION %s CONNECTION %s;\nALTER SUBSCRIPTION %s SET "
               "(synchronous_commit = %s);\nCOMMENT ON SUBSCRIPTION %s IS '%s';\n",
               link->name, quoted, link->name, apply_flush(ensure->mesh), link->name, link->digest);
    PQfreemem(quoted);
    r = ensure_change(ensure, "connection of a subscription", buf_text(&sql), reterr);
    if (sql.data != NULL)
        explicit_bzero(sql.data, sql.len);
    return r;
}

static int renew_tables(Ensure *ensure, const Link *link, Error *reterr)
{
    const char *here = NULL, *there = NULL, *params[] = {link->name};
    int r = ensure_text(
        ensure, ensure->node,
        "SELECT coalesce(string_agg(format('%I.%I', n.nspname, c.relname), ' ' ORDER BY n.nspname "
        "COLLATE \"C\", c.relname COLLATE \"C\"), '') FROM pg_subscription_rel r JOIN "
        "pg_subscription s ON s.oid = r.srsubid JOIN pg_class c ON c.oid = r.srrelid JOIN "
        "pg_namespace n ON n.oid = c.relnamespace WHERE s.subname = $1 AND s.subdbid = (SELECT oid "
        "FROM pg_database WHERE datname = current_database())",
        1, params, &here, reterr);
    if (r == 0)
        r = ask(ensure, link,
                "SELECT coalesce(string_agg(format('%I.%I', schemaname, tablename), ' ' ORDER BY "
                "schemaname COLLATE \"C\", tablename COLLATE \"C\"), '') FROM "
                "pg_publication_tables WHERE pubname = 'wildcam'",
                &there, reterr);
    if (r < 0 || here == NULL || there == NULL || strcmp(here, there) == 0)
        return r;
    // What was written before the refresh is not sent: so the link is filled again. First that,
    // because a refresh cannot be part of a transaction.
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "UPDATE wildcam.link SET state = 'subscribed', since = now() WHERE origin = %s",
                   link->origin);
    r = ensure_change(ensure, "tables of a subscription", sql, reterr);
    (void)snprintf(sql, sizeof sql,
                   "ALTER SUBSCRIPTION %s REFRESH PUBLICATION WITH (copy_data = false)",
                   link->name);
    return r < 0 ? r : ensure_change(ensure, "tables of a subscription", sql, reterr);
}

static int is_subscribed(Ensure *ensure, const Link *link, bool *ret_is, bool *ret_disabled,
                         Error *reterr)
{
    const char *enabled = NULL, *params[] = {link->name};
    int r = ensure_text(ensure, ensure->node,
                        "SELECT subenabled FROM pg_subscription WHERE subname = $1 AND subdbid = "
                        "(SELECT oid FROM pg_database WHERE datname = current_database())",
                        1, params, &enabled, reterr);
    *ret_is = enabled != NULL;
    *ret_disabled = enabled != NULL && enabled[0] == 'f';
    return r;
}

static int make_link(Ensure *ensure, Link *link, Error *reterr)
{
    Mesh *publisher = NULL;
    Slot slot;
    bool subscribed = false, disabled = false;
    int r = is_subscribed(ensure, link, &subscribed, &disabled, reterr);
    if (r == 0 && ensure->options->plan)
        return subscribed ? 0 : create_subscription(ensure, link, reterr);
    if (r == 0 && disabled)
        return renew_connection(ensure, link, reterr);
    if (r == 0)
        r = look_at_peer(ensure, link, reterr);
    if (r == 0)
        r = mesh_link_open(ensure->mesh, ensure->node, link->peer, &publisher, reterr);
    if (r == 0)
        r = look_at_slot(publisher, link, &slot, reterr);
    if (r == 0 && subscribed && (!slot.there || slot.lost)) {
        r = drop_subscription(ensure, link, reterr);
        subscribed = false;
    }
    if (r == 0 && !subscribed) {
        r = create_slot(publisher, link, &slot, reterr);
        if (r == 0)
            r = create_subscription(ensure, link, reterr);
    } else if (r == 0) {
        r = renew_connection(ensure, link, reterr);
        if (r == 0)
            r = renew_tables(ensure, link, reterr);
    }
    mesh_free(publisher);
    return r;
}

static int prepare(Ensure *ensure, Link *link, Error *reterr)
{
    const Mesh *mesh = ensure->mesh;
    int r = mesh_link_conninfo(mesh, ensure->node, link->peer, MESH_LINK_FOR_SERVER,
                               &link->conninfo, reterr);
    if (r == 0)
        r = mesh_link_conninfo(mesh, ensure->node, link->peer, MESH_LINK_TO_SHOW, &link->shown,
                               reterr);
    if (r < 0)
        return r;
    // A password shall not be guessable from what everybody may read: its file's age stands for it.
    uint64_t hash = hash_text(hash_text(HASH_SEED, buf_text(&link->shown)), apply_flush(mesh));
    if (strcmp(buf_text(&link->shown), buf_text(&link->conninfo)) != 0)
        hash = hash_u64(hash, mesh_link_secret_age(mesh, link->peer));
    (void)snprintf(link->digest, sizeof link->digest, "%016llx",
                   (unsigned long long)hash_mix(hash));
    return 0;
}

// Nodes that have left, or were lost, are no publishers any more.
static int is_partner(Ensure *ensure, const Link *link, bool *ret_is, Error *reterr)
{
    const char *state = NULL, *params[] = {link->origin};
    *ret_is = true;
    if (!ensure->based)
        return 0;
    int r =
        ensure_text(ensure, ensure->node, "SELECT state FROM wildcam.node WHERE origin = $1::int",
                    1, params, &state, reterr);
    *ret_is = state == NULL || (strcmp(state, "left") != 0 && strcmp(state, "lost") != 0);
    return r;
}

int ensure_subscriptions(Ensure *ensure, Error *reterr)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < ensure->mesh->n; i++) {
        Link link CLEANUP(link_done) = {.peer = &ensure->mesh->nodes[i]};
        if (link.peer == ensure->node)
            continue;
        bool partner = true;
        link.conninfo = link.shown = BUF_INIT(65536);
        mesh_subscription_name(ensure->node, link.peer, link.name);
        (void)snprintf(link.origin, sizeof link.origin, "%u", link.peer->origin);
        r = is_partner(ensure, &link, &partner, reterr);
        if (r < 0 || !partner)
            continue;
        Error err CLEANUP(error_done) = ERROR_INIT;
        int made = prepare(ensure, &link, &err);
        if (made == 0)
            made = make_link(ensure, &link, &err);
        if (ensure->node->conn == NULL) // our own database went away: nothing else can be done
            return error_set(reterr, made, "%s", error_text(&err));
        ensure->done.missing += made < 0 ? 1 : 0;
        r = set_link(ensure, &link, NULL, made < 0 ? error_text(&err) : NULL, reterr);
    }
    return r;
}
