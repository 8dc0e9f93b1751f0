// SPDX-License-Identifier: MIT
// ensure: see ensure.h. What is there already is recognised by a digest kept as the comment of the
// schema and of the publication, so that a second run changes nothing and takes no strong lock.
// Each change is one transaction, and each looks again at what is there: it may be interrupted
// between any two.
#include "ensure_inside.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "hash.h"
#include "instant.h"

#define LOCK_NS (10 * NS_PER_S)

int ensure_change(Ensure *ensure, const char *what, const char *sql, Error *reterr)
{
    ensure->done.statements++;
    if (ensure->options->plan) {
        if (ensure->options->sql != NULL)
            buf_printf(ensure->options->sql, "-- %s: %s\n%s%s\n", ensure->node->region, what, sql,
                       sql[0] != '\0' && sql[strlen(sql) - 1] == '\n' ? "" : ";\n");
        return 0;
    }
    int r = mesh_script(ensure->mesh, ensure->node, sql, reterr);
    if (r < 0 && ensure->node->conn != NULL &&
        PQtransactionStatus(ensure->node->conn) != PQTRANS_IDLE) {
        int back = mesh_script(ensure->mesh, ensure->node, "ROLLBACK", NULL);
        (void)back; // a lost connection has rolled back by itself
    }
    return r < 0 ? error_wrap(reterr, r, "%s", what) : 0;
}

int ensure_text(Ensure *ensure, MeshNode *node, const char *sql, int n_params,
                const char *const *params, const char **ret_text, Error *reterr)
{
    PGresult *result = NULL;
    int r = mesh_query(ensure->mesh, node, sql, n_params, params, &result, reterr);
    if (r < 0)
        return r;
    *ret_text = PQntuples(result) > 0 && PQgetisnull(result, 0, 0) == 0
                    ? arena_strdup(ensure->arena, PQgetvalue(result, 0, 0))
                    : NULL;
    PQclear(result);
    return 0;
}

static void digest_of(const Buf *a, const Buf *b, char text[48])
{
    uint64_t hash = hash_text(hash_text(HASH_SEED, buf_text(a)), buf_text(b));
    (void)snprintf(text, 48, "wildcam %d %016llx", MESH_SQL_VERSION,
                   (unsigned long long)hash_mix(hash));
}

// The comment is the digest that was last made here; NULL: nothing was.
static int comment_of(Ensure *ensure, const char *catalog, const char **ret_text, Error *reterr)
{
    return ensure_text(ensure, ensure->node, catalog, 0, NULL, ret_text, reterr);
}

static int ensure_base(Ensure *ensure, Error *reterr)
{
    Buf roles CLEANUP(buf_done) = BUF_INIT(1U << 20), base CLEANUP(buf_done) = BUF_INIT(4U << 20);
    const char *there = NULL, *n_roles = NULL;
    int r = mesh_sql_roles(&roles, reterr);
    if (r == 0)
        r = mesh_sql_base(&ensure->sql_node, &base, reterr);
    if (r == 0)
        r = comment_of(ensure,
                       "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM "
                       "pg_namespace WHERE nspname = 'wildcam' AND EXISTS (SELECT FROM pg_class c "
                       "WHERE c.relnamespace = pg_namespace.oid AND c.relname = 'mesh')",
                       &there, reterr);
    if (r == 0)
        r = ensure_text(ensure, ensure->node,
                        "SELECT count(*) FROM pg_roles WHERE rolname IN ('wildcam_replication', "
                        "'wildcam_rows', 'analytics_user')",
                        0, NULL, &n_roles, reterr);
    if (r < 0)
        return r;
    char digest[48];
    digest_of(&roles, &base, digest);
    bool same = there != NULL && strcmp(there, digest) == 0;
    if (!same || n_roles == NULL || strcmp(n_roles, "3") != 0)
        r = ensure_change(ensure, "roles", buf_text(&roles), reterr);
    ensure->based = there != NULL;
    if (r < 0 || ensure->options->last == ENSURE_STEP_ROLES || same)
        return r;
    Buf text CLEANUP(buf_done) = BUF_INIT(8U << 20);
    buf_printf(&text, "BEGIN;\n%s\n", buf_text(&base));
    if (there == NULL) // nobody has said otherwise: a region of fleet.yaml belongs to the mesh
        buf_printf(&text,
                   "UPDATE wildcam.node SET state = 'active', since = 'epoch' WHERE origin = %u;\n",
                   ensure->node->origin);
    buf_printf(&text, "COMMENT ON SCHEMA wildcam IS '%s';\nCOMMIT;\n", digest);
    r = buf_check(&text) < 0 ? error_set(reterr, ERROR_MEMORY, "no memory for SQL")
                             : ensure_change(ensure, "schema wildcam", buf_text(&text), reterr);
    ensure->based = ensure->based || (r == 0 && !ensure->options->plan);
    return r;
}

int ensure_publication(Ensure *ensure, Error *reterr)
{
    static const Buf NOTHING = BUF_INIT(0);
    Buf sql CLEANUP(buf_done) = BUF_INIT(4U << 20);
    const char *there = NULL;
    char digest[48];
    int r = mesh_sql_publication(&ensure->sql_node, ensure->tables, ensure->n_tables, &sql, reterr);
    if (r < 0)
        return r;
    digest_of(&sql, &NOTHING, digest);
    const char *params[] = {"wildcam"};
    r = ensure_text(ensure, ensure->node,
                    "SELECT obj_description(p.oid, 'pg_publication') || ' ' || count(r.oid) FROM "
                    "pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid WHERE "
                    "p.pubname = $1 GROUP BY p.oid",
                    1, params, &there, reterr);
    char want[64];
    (void)snprintf(want, sizeof want, "%s %u", digest, ensure->n_tables + 1); // and heartbeat
    if (r < 0 || (there != NULL && strcmp(there, want) == 0))
        return r;
    Buf text CLEANUP(buf_done) = BUF_INIT(4U << 20);
    buf_printf(&text, "BEGIN;\n%s\nCOMMENT ON PUBLICATION wildcam IS '%s';\nCOMMIT;\n",
               buf_text(&sql), digest);
    return ensure_change(ensure, "publication", buf_text(&text), reterr);
}

// `wildcam rows migrate` has begun and not ended: tables and publication are between two shapes, in
// an order that only it knows.
static int is_migrating(Ensure *ensure, bool *ret_is, Error *reterr)
{
    const char *there = NULL, *unfinished = NULL;
    int r = ensure_text(ensure, ensure->node, "SELECT to_regclass('wildcam.migration_run')", 0,
                        NULL, &there, reterr);
    if (r == 0 && there != NULL)
        r = ensure_text(ensure, ensure->node,
                        "SELECT 'yes' FROM wildcam.migration_run WHERE finished IS NULL LIMIT 1", 0,
                        NULL, &unfinished, reterr);
    *ret_is = unfinished != NULL;
    return r;
}

static int run_steps(Ensure *ensure, Error *reterr)
{
    bool migrating = false;
    EnsureStep last = ensure->options->last;
    int r = ensure_base(ensure, reterr);
    if (r == 0 && last >= ENSURE_STEP_BASE)
        r = ensure_nodes(ensure, reterr);
    if (r == 0)
        r = is_migrating(ensure, &migrating, reterr);
    if (r == 0 && last >= ENSURE_STEP_TABLES && !migrating)
        r = ensure_tables(ensure, reterr);
    if (r == 0 && last >= ENSURE_STEP_PUBLICATION && !migrating)
        r = ensure_publication(ensure, reterr);
    if (r == 0 && last >= ENSURE_STEP_SUBSCRIPTIONS)
        r = ensure_subscriptions(ensure, reterr);
    if (r == 0 && last >= ENSURE_STEP_FILLS && !ensure->options->plan)
        r = ensure_fills(ensure, reterr);
    return r;
}

int mesh_ensure_node(Mesh *mesh, MeshNode *node, const EnsureOptions *options, EnsureDone *ret_done,
                     Error *reterr)
{
    static const EnsureOptions ALL = {.last = ENSURE_STEP_MAX};
    Ensure *ensure CLEANUP(alloc_freep) = alloc_zeroed(1, sizeof *ensure);
    Arena *arena CLEANUP(arena_freep) = arena_new(64U << 20);
    if (ensure == NULL || arena == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory to look at '%s'", node->region);
    ensure->mesh = mesh;
    ensure->node = node;
    ensure->options = options != NULL ? options : &ALL;
    ensure->arena = arena;
    ensure->sql_node =
        (MeshSqlNode){.origin = node->origin,
                      .region = node->region,
                      .cloud = node->cloud,
                      .mesh_name = mesh->conf != NULL ? mesh->conf->model.fleet : "mesh"};
    bool plan = ensure->options->plan;
    int r = node->conn == NULL ? ERROR_UNAVAILABLE : 0;
    if (r < 0)
        return error_set(reterr, r, "%s: %s", node->region, error_text(&node->why));
    if (!plan)
        r = mesh_lock(mesh, node, LOCK_NS, reterr);
    if (r < 0)
        return r;
    r = run_steps(ensure, reterr);
    if (!plan)
        mesh_unlock(mesh, node);
    if (ret_done != NULL)
        *ret_done = ensure->done;
    return r;
}
