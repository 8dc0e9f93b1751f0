// SPDX-License-Identifier: MIT
// preflight: what a database must be before it can be part of the mesh, and where to change what is
// not. Settings are compared with what this number of regions needs. Rights are asked for one by
// one, since managed clouds give a user that is nearly, but not quite, a superuser. The way from
// each other region is tried with the very connection that its subscription will use.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "ensure.h"
#include "mesh_inside.h"
#include "mesh_link.h"

#define CLOCK_MOST_US 500000 // as clock.max_skew's default

typedef struct Preflight {
    Mesh *mesh;
    MeshNode *node;
    const PGresult *facts; // one row
    Buf *problems;
    int n;
} Preflight;

typedef enum Fact {
    FACT_VERSION,
    FACT_WAL_LEVEL,
    FACT_SENDERS,
    FACT_SLOTS,
    FACT_APPLIERS,
    FACT_WORKERS,
    FACT_CONNECTIONS,
    FACT_ENCODING,
    FACT_COLLATION,
    FACT_NOW_US,
    FACT_SUPERUSER,
    FACT_REPLICATION,
    FACT_CREATE_ROLE,
    FACT_CREATE,
    FACT_MONITOR,
    FACT_CLOUD, // rds_superuser, azure_pg_admin, cloudsqlsuperuser or ""
    FACT_CLOUD_MEMBER,
    FACT_RDS_REPLICATION,
    FACT_SLOTS_FREE,
    FACT_SLOT_WAL,
} Fact;

static const char FACTS[] =
    "SELECT current_setting('server_version_num'), current_setting('wal_level'), "
    "current_setting('max_wal_senders'), current_setting('max_replication_slots'), "
    "current_setting('max_logical_replication_workers'), "
    "current_setting('max_worker_processes'), current_setting('max_connections'), "
    "pg_encoding_to_char(d.encoding), concat_ws(' ', d.datcollate, d.datctype), "
    "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint, r.rolsuper, r.rolreplication, "
    "r.rolcreaterole, has_database_privilege(d.oid, 'CREATE'), pg_has_role('pg_monitor', 'USAGE'), "
    "coalesce(c.rolname, ''), coalesce(pg_has_role(c.oid, 'MEMBER'), false), "
    "coalesce((SELECT pg_has_role(x.oid, 'MEMBER') FROM pg_roles x WHERE x.rolname = "
    "'rds_replication'), false), current_setting('max_replication_slots')::int - (SELECT count(*) "
    "FROM pg_replication_slots s WHERE s.slot_name NOT LIKE '%\\_from\\_%'), "
    "current_setting('max_slot_wal_keep_size') "
    "FROM pg_database d JOIN pg_roles r ON r.rolname = current_user LEFT JOIN pg_roles c ON "
    "c.rolname IN ('rds_superuser', 'azure_pg_admin', 'cloudsqlsuperuser') WHERE d.datname = "
    "current_database() LIMIT 1";

__attribute__((format(printf, 2, 3))) static void say(Preflight *preflight, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(preflight->problems, fmt, args);
    va_end(args);
    buf_add_char(preflight->problems, '\n');
    preflight->n++;
}

static const char *text(const Preflight *preflight, Fact fact)
{
    return PQgetvalue(preflight->facts, 0, (int)fact);
}

static long number(const Preflight *preflight, Fact fact)
{
    return strtol(text(preflight, fact), NULL, 10);
}

static bool is(const Preflight *preflight, Fact fact)
{
    return text(preflight, fact)[0] == 't';
}

// Where this kind of server keeps its settings.
static void add_where(const Preflight *preflight, const char *name, const char *value, Buf *out)
{
    const char *cloud = text(preflight, FACT_CLOUD);
    if (strcmp(cloud, "rds_superuser") == 0)
        buf_printf(out, "set %s = %s in the instance's DB parameter group and reboot it",
                   strcmp(name, "wal_level") == 0 ? "rds.logical_replication" : name,
                   strcmp(name, "wal_level") == 0 ? "1" : value);
    else if (strcmp(cloud, "azure_pg_admin") == 0)
        buf_printf(
            out, "az postgres flexible-server parameter set --name %s --value %s, then restart it",
            name, value);
    else if (strcmp(cloud, "cloudsqlsuperuser") == 0)
        buf_printf(out, "gcloud sql instances patch INSTANCE --database-flags=%s=%s",
                   strcmp(name, "wal_level") == 0 ? "cloudsql.logical_decoding" : name,
                   strcmp(name, "wal_level") == 0 ? "on" : value);
    else
        buf_printf(out, "put %s = %s into postgresql.conf and restart the server", name, value);
}

static void look_at_number(Preflight *preflight, Fact fact, const char *name, unsigned need,
                           const char *why)
{
    if (number(preflight, fact) >= (long)need)
        return;
    Buf where CLEANUP(buf_done) = BUF_INIT(1024);
    char value[16];
    (void)snprintf(value, sizeof value, "%u", need);
    add_where(preflight, name, value, &where);
    say(preflight, "%s is %s, at least %u are needed (%s): %s", name, text(preflight, fact), need,
        why, buf_text(&where));
}

static void look_at_settings(Preflight *preflight)
{
    unsigned peers = preflight->mesh->n - 1;
    long version = number(preflight, FACT_VERSION);
    if (version / 10000 != 15)
        say(preflight, "its version is %ld.%ld; the mesh is made for PostgreSQL 15",
            version / 10000, version % 10000);
    if (strcmp(text(preflight, FACT_WAL_LEVEL), "logical") != 0) {
        Buf where CLEANUP(buf_done) = BUF_INIT(1024);
        add_where(preflight, "wal_level", "logical", &where);
        say(preflight, "wal_level is %s, not logical: %s", text(preflight, FACT_WAL_LEVEL),
            buf_text(&where));
    }
    look_at_number(preflight, FACT_SENDERS, "max_wal_senders", peers + 4,
                   "one for each other region, and old ones until they time out");
    look_at_number(preflight, FACT_SLOTS, "max_replication_slots", peers + 2,
                   "slots, and as many origins, one for each other region");
    look_at_number(preflight, FACT_APPLIERS, "max_logical_replication_workers", peers + 4,
                   "one for each other region; with fewer a link never starts");
    look_at_number(preflight, FACT_WORKERS, "max_worker_processes", peers + 8,
                   "appliers are among them");
    look_at_number(preflight, FACT_CONNECTIONS, "max_connections", 4 * peers + 20,
                   "regions' daemons, fills and the service");
    if (strcmp(text(preflight, FACT_SLOT_WAL), "-1") == 0) {
        Buf where CLEANUP(buf_done) = BUF_INIT(1024);
        add_where(preflight, "max_slot_wal_keep_size", "10240", &where);
        say(preflight,
            "max_slot_wal_keep_size is -1: a region that is away would fill this disk until "
            "the server stops; a third of the disk, in MB, is enough: %s",
            buf_text(&where));
    }
    if (number(preflight, FACT_SLOTS_FREE) < (long)peers)
        say(preflight,
            "only %s replication slots are left by others, %u are needed: drop unused "
            "ones (pg_drop_replication_slot) or raise max_replication_slots",
            text(preflight, FACT_SLOTS_FREE), peers);
}

static void look_at_rights(Preflight *preflight)
{
    if (is(preflight, FACT_SUPERUSER))
        return;
    const char *user = PQuser(preflight->node->conn), *cloud = text(preflight, FACT_CLOUD);
    if (cloud[0] == '\0')
        say(preflight, "role %s may not CREATE SUBSCRIPTION: ALTER ROLE %s SUPERUSER", user, user);
    else if (!is(preflight, FACT_CLOUD_MEMBER))
        say(preflight, "role %s may not CREATE SUBSCRIPTION: GRANT %s TO %s", user, cloud, user);
    if (strcmp(cloud, "rds_superuser") == 0 && !is(preflight, FACT_RDS_REPLICATION))
        say(preflight, "role %s may not replicate: GRANT rds_replication TO %s", user, user);
    else if (strcmp(cloud, "rds_superuser") != 0 && !is(preflight, FACT_REPLICATION))
        say(preflight, "role %s may not replicate: ALTER ROLE %s REPLICATION", user, user);
    if (!is(preflight, FACT_CREATE_ROLE))
        say(preflight, "role %s may not make roles: ALTER ROLE %s CREATEROLE", user, user);
    if (!is(preflight, FACT_CREATE))
        say(preflight, "role %s may not make a schema: GRANT CREATE ON DATABASE %s TO %s", user,
            PQdb(preflight->node->conn), user);
    if (!is(preflight, FACT_MONITOR))
        say(preflight, "role %s does not see other sessions: GRANT pg_monitor TO %s", user, user);
}

// Texts must sort and compare alike everywhere, or unique keys would not mean the same.
static void look_at_others(Preflight *preflight, const MeshAnswer *answers)
{
    for (uint32_t i = 0; i < preflight->mesh->n; i++) {
        const MeshNode *other = &preflight->mesh->nodes[i];
        if (other == preflight->node || answers[i].result == NULL)
            continue;
        const char *encoding = PQgetvalue(answers[i].result, 0, FACT_ENCODING);
        const char *collation = PQgetvalue(answers[i].result, 0, FACT_COLLATION);
        if (strcmp(encoding, text(preflight, FACT_ENCODING)) != 0)
            say(preflight, "its encoding is %s, that of %s is %s: databases are made with one",
                text(preflight, FACT_ENCODING), other->region, encoding);
        if (strcmp(collation, text(preflight, FACT_COLLATION)) != 0)
            say(preflight, "its collation is '%s', that of %s '%s': databases are made with one",
                text(preflight, FACT_COLLATION), other->region, collation);
        break; // one difference says it; the others are named by their own look
    }
}

// The server's clock against ours, which has seen the question go and the answer come.
static void look_at_clock(Preflight *preflight)
{
    PGresult *result = NULL;
    int64_t before = clock_wall().ns / NS_PER_US;
    int r = mesh_query(preflight->mesh, preflight->node,
                       "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", 0, NULL,
                       &result, NULL);
    int64_t after = clock_wall().ns / NS_PER_US;
    if (r < 0)
        return;
    int64_t there = strtoll(PQgetvalue(result, 0, 0), NULL, 10), off = 0;
    PQclear(result);
    const Conf *conf = preflight->mesh->conf;
    int64_t most = conf != NULL ? conf->model.clock_max_skew_ns / NS_PER_US : CLOCK_MOST_US;
    off = there > after ? there - after : there < before ? there - before : 0;
    if (off > most || off < -most)
        say(preflight, "its clock is %lld ms off: let NTP set it (allowed: %lld ms)",
            (long long)(off / 1000), (long long)(most / 1000));
}

// Comes every other region in, by the way that its subscription takes?
static void look_at_ways(Preflight *preflight)
{
    PGresult *result = NULL;
    int r = mesh_query(preflight->mesh, preflight->node,
                       "SELECT 1 FROM pg_roles WHERE rolname = 'wildcam_replication'", 0, NULL,
                       &result, NULL);
    bool ours = preflight->mesh->conf != NULL && r == 0 && PQntuples(result) > 0;
    PQclear(result);
    for (uint32_t i = 0; ours && i < preflight->mesh->n; i++) {
        const MeshNode *other = &preflight->mesh->nodes[i];
        Error err CLEANUP(error_done) = ERROR_INIT;
        Mesh *link = NULL;
        if (other == preflight->node || other->conn == NULL)
            continue;
        if (mesh_link_open(preflight->mesh, other, preflight->node, &link, &err) < 0)
            say(preflight, "%s cannot come in: %s", other->region, error_text(&err));
        mesh_free(link);
    }
}

int mesh_preflight(Mesh *mesh, MeshNode *node, Buf *problems, Error *reterr)
{
    if (node->conn == NULL)
        return mesh_reason(node, reterr);
    MeshAnswer *answers CLEANUP(alloc_freep) = alloc_zeroed(mesh->n, sizeof *answers);
    if (answers == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory to look at '%s'", node->region);
    int failed = mesh_each(mesh, FACTS, 0, NULL, answers), r = 0;
    const MeshAnswer *own = &answers[node - mesh->nodes];
    Preflight preflight = {.mesh = mesh, .node = node, .facts = own->result, .problems = problems};
    (void)failed; // of others: they are looked at by themselves
    if (own->result == NULL) {
        r = error_set(reterr, own->code, "%s", error_text(&own->err));
    } else if (PQntuples(own->result) == 0) {
        r = error_set(reterr, ERROR_NOT_FOUND, "%s: no role of that name", node->region);
    } else {
        look_at_settings(&preflight);
        look_at_rights(&preflight);
        look_at_others(&preflight, answers);
        look_at_clock(&preflight);
        look_at_ways(&preflight);
        r = preflight.n;
    }
    mesh_answers_done(answers, mesh->n);
    return r;
}
