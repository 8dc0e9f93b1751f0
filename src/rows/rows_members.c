// SPDX-License-Identifier: MIT
// rows_members: see rows_members.h.
#include "rows_members.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "ensure.h"
#include "tell.h"

#define ARENA_BYTES (16U << 20)
#define STATEMENT_NS (120 * NS_PER_S) // a slot waits for open transactions
#define LOCK_NS (20 * NS_PER_S)
#define SLOT_NS (20 * NS_PER_S)
#define TOLD_NS (2 * NS_PER_S)

static int read_states(Members *m, Error *reterr)
{
    MeshAnswer *answers CLEANUP(alloc_freep) = alloc_zeroed(m->mesh->n, sizeof *answers);
    if (answers == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the regions");
    int failed = mesh_each(m->mesh,
                           "SELECT origin, state, (extract(epoch FROM since) * 1000000)::bigint "
                           "FROM wildcam.node",
                           0, NULL, answers);
    (void)failed; // away, or without the schema
    for (uint32_t i = 0; i < m->mesh->n; i++) {
        m->based[i] = answers[i].result != NULL;
        for (int row = 0; m->based[i] && row < PQntuples(answers[i].result); row++) {
            unsigned long origin = strtoul(PQgetvalue(answers[i].result, row, 0), NULL, 10);
            long long since = strtoll(PQgetvalue(answers[i].result, row, 2), NULL, 10);
            for (uint32_t j = 0; j < m->mesh->n; j++) {
                if (m->mesh->nodes[j].origin != origin ||
                    (m->state[j] != NULL && m->since_us[j] >= since))
                    continue;
                m->state[j] = arena_strdup(m->arena, PQgetvalue(answers[i].result, row, 1));
                m->since_us[j] = since;
            }
        }
    }
    mesh_answers_done(answers, m->mesh->n);
    return 0;
}

int members_open(const char *dir, const char *region, const char *application, Members *ret_members,
                 Error *reterr)
{
    Members m = {.arena = arena_new(ARENA_BYTES), .links = json_array()};
    int r = m.arena == NULL || m.links == NULL
                ? error_set(reterr, ERROR_MEMORY, "no memory for the mesh")
                : context_open(dir, &m.context, reterr);
    if (r == 0)
        r = context_region(&m.context, region, reterr);
    if (r >= 0)
        r = mesh_open(m.context.conf,
                      &(MeshOptions){.dir = m.context.dir.text,
                                     .as = MESH_AS_OWNER,
                                     .application = application,
                                     .statement_ns = STATEMENT_NS},
                      &m.mesh, reterr);
    if (r == 0) {
        m.target = mesh_find(m.mesh, region);
        m.state = arena_new_array(m.arena, const char *, m.mesh->n);
        m.since_us = arena_new_array(m.arena, int64_t, m.mesh->n);
        m.based = arena_new_array(m.arena, bool, m.mesh->n);
        r = m.target == NULL || m.state == NULL || m.since_us == NULL || m.based == NULL
                ? error_set(reterr, ERROR_MEMORY, "no memory for the mesh")
                : read_states(&m, reterr);
    }
    if (r < 0)
        members_close(&m);
    else
        *ret_members = m;
    return r;
}

void members_close(Members *members)
{
    members->mesh = mesh_free(members->mesh);
    context_done(&members->context);
    members->arena = arena_free(members->arena);
    json_decref(members->links);
    members->links = NULL;
}

void members_say(const Members *members, const char *fmt, ...)
{
    va_list args;
    if (members->quiet)
        return;
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

bool members_is_state(const Members *members, const MeshNode *node, const char *state)
{
    const char *has = members->state[node - members->mesh->nodes];
    return has != NULL && strcmp(has, state) == 0;
}

bool members_is_other(const Members *members, const MeshNode *node)
{
    return node != members->target && (members_is_state(members, node, "active") ||
                                       members_is_state(members, node, "leaving"));
}

int members_need_others(const Members *members, Error *reterr)
{
    Buf away CLEANUP(buf_done) = BUF_INIT(65536);
    for (uint32_t i = 0; i < members->mesh->n; i++) {
        const MeshNode *node = &members->mesh->nodes[i];
        if (members_is_other(members, node) && node->conn == NULL)
            buf_printf(&away, "%s%s (%s)", away.len > 0 ? ", " : "", node->region,
                       error_text(&node->why));
    }
    if (away.len == 0)
        return 0;
    int r = error_set(reterr, ERROR_UNAVAILABLE, "not reachable: %s", buf_text(&away));
    return error_hint(reterr, r,
                      "Every other region must be there. One that is lost for good leaves first: "
                      "'wildcam rows leave REGION --force'.");
}

int members_lock(const Members *members, Error *reterr)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < members->mesh->n; i++)
        if (members->mesh->nodes[i].conn != NULL)
            r = mesh_lock(members->mesh, &members->mesh->nodes[i], LOCK_NS, reterr);
    return r;
}

int members_text(const Members *members, MeshNode *node, const char *sql, const char **ret_text,
                 Error *reterr)
{
    PGresult *result = NULL;
    int r = mesh_query(members->mesh, node, sql, 0, NULL, &result, reterr);
    if (r < 0)
        return r;
    *ret_text = PQntuples(result) > 0 && PQgetisnull(result, 0, 0) == 0
                    ? arena_strdup(members->arena, PQgetvalue(result, 0, 0))
                    : NULL;
    PQclear(result);
    return 0;
}

int members_set_state(Members *members, const char *state, int64_t since_us, Error *reterr)
{
    Mesh *mesh = members->mesh;
    size_t at = (size_t)(members->target - mesh->nodes);
    char origin[16], since[32];
    if (since_us == 0)
        since_us = clock_wall().ns / NS_PER_US;
    if (since_us <= members->since_us[at] && !members_is_state(members, members->target, state))
        since_us = members->since_us[at] + 1;
    (void)snprintf(origin, sizeof origin, "%u", members->target->origin);
    (void)snprintf(since, sizeof since, "%lld", (long long)since_us);
    const char *params[] = {origin, members->target->region, members->target->cloud, state, since};
    for (uint32_t i = 0; i < mesh->n; i++) {
        if (mesh->nodes[i].conn == NULL || !members->based[i])
            continue;
        // an origin never returns; the region may, with another one
        int r = mesh_query(mesh, &mesh->nodes[i],
                           "UPDATE wildcam.node SET region = region || ' (origin ' || origin || ')'"
                           ", since = now() WHERE region = $2 AND origin <> $1::smallint "
                           "AND state IN ('left', 'lost')",
                           2, params, NULL, reterr);
        if (r == 0)
            r = mesh_query(
                mesh, &mesh->nodes[i],
                "INSERT INTO wildcam.node AS n (origin, region, cloud, state, since) VALUES "
                "($1::smallint, $2, $3, $4, 'epoch'::timestamptz + $5::bigint * interval '1 us') "
                "ON CONFLICT (origin) DO UPDATE SET region = EXCLUDED.region, "
                "cloud = EXCLUDED.cloud, state = EXCLUDED.state, since = EXCLUDED.since",
                5, params, NULL, reterr);
        if (r < 0)
            return error_wrap(reterr, r, "state '%s' of %s", state, members->target->region);
    }
    members->state[at] = arena_strdup(members->arena, state);
    members->since_us[at] = since_us;
    return members->state[at] == NULL ? error_set(reterr, ERROR_MEMORY, "no memory for a state")
                                      : 0;
}

int members_refuse(const Members *members, const char *reason, Error *reterr)
{
    const char *params[] = {reason};
    return mesh_query(members->mesh, members->target, "SELECT wildcam.refuse($1)", 1, params, NULL,
                      reterr);
}

int members_allow(const Members *members, Error *reterr)
{
    return mesh_script(members->mesh, members->target, "SELECT wildcam.allow()", reterr);
}

int members_unsubscribe(const Members *members, MeshNode *subscriber, const MeshNode *publisher,
                        bool forget, Error *reterr)
{
    char name[MESH_NAME_MAX], sql[512];
    const char *there = NULL;
    mesh_subscription_name(subscriber, publisher, name);
    // first of all: from here on what it has of that publisher stands still (src/mesh/fill.c)
    (void)snprintf(sql, sizeof sql,
                   forget
                       ? "DELETE FROM wildcam.link WHERE origin = %u"
                       : "UPDATE wildcam.link SET state = 'new', since = now() WHERE origin = %u",
                   publisher->origin);
    int r = mesh_script(members->mesh, subscriber, sql, reterr);
    (void)snprintf(sql, sizeof sql, "SELECT 'yes' FROM pg_subscription WHERE subname = '%s'", name);
    if (r == 0)
        r = members_text(members, subscriber, sql, &there, reterr);
    if (r < 0 || there == NULL)
        return r;
    (void)snprintf(sql, sizeof sql,
                   "ALTER SUBSCRIPTION %s DISABLE; ALTER SUBSCRIPTION %s SET (slot_name = NONE); "
                   "DROP SUBSCRIPTION %s",
                   name, name, name);
    return mesh_script(members->mesh, subscriber, sql, reterr);
}

int members_drop_slot(const Members *members, MeshNode *publisher, const MeshNode *subscriber,
                      Error *reterr)
{
    char name[MESH_NAME_MAX], sql[512];
    const char *there = NULL;
    Mono end = mono_add(clock_mono(), SLOT_NS);
    mesh_subscription_name(subscriber, publisher, name);
    for (;;) {
        (void)snprintf(sql, sizeof sql,
                       "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE "
                       "slot_name = '%s' AND active; SELECT pg_drop_replication_slot(slot_name) "
                       "FROM pg_replication_slots WHERE slot_name = '%s' AND NOT active",
                       name, name);
        int r = mesh_script(members->mesh, publisher, sql, reterr);
        if (r < 0 && strcmp(publisher->sqlstate, "55006") != 0) // in use again
            return r;
        error_done(reterr);
        (void)snprintf(sql, sizeof sql,
                       "SELECT 'yes' FROM pg_replication_slots WHERE slot_name = '%s'", name);
        r = members_text(members, publisher, sql, &there, reterr);
        if (r < 0 || there == NULL)
            return r;
        if (mono_since(clock_mono(), end) >= 0)
            return error_set(reterr, ERROR_TIMEOUT, "%s: slot '%s' is in use", publisher->region,
                             name);
        (void)poll(NULL, 0, 50); // its reader is ending
    }
}

int members_ensure(Members *members, MeshNode *node, bool links, Error *reterr)
{
    EnsureDone done = {0};
    const EnsureOptions options = {.last =
                                       links ? ENSURE_STEP_SUBSCRIPTIONS : ENSURE_STEP_PUBLICATION};
    int r = mesh_ensure_node(members->mesh, node, &options, &done, reterr);
    if (r < 0)
        return r;
    members->based[node - members->mesh->nodes] = true;
    if (!links || done.missing == 0)
        return 0;
    const char *why = NULL;
    r = members_text(members, node,
                     "SELECT string_agg(subscription || ': ' || error, '; ') FROM wildcam.link l "
                     "JOIN wildcam.node n USING (origin) WHERE l.error IS NOT NULL AND n.state IN "
                     "('joining', 'active', 'leaving')",
                     &why, reterr);
    if (r < 0 || why == NULL)
        return r; // those that are missing belong to nobody in the mesh
    r = error_set(reterr, ERROR_UNAVAILABLE, "%s: links that could not be made: %s", node->region,
                  why);
    return error_hint(reterr, r, "Run it again when that is mended: it goes on where it stopped.");
}

typedef struct Told {
    const Members *members;
    const MeshNode *taker, *giver;
    Mono last;
} Told;

static bool tell_progress(void *context, const FillProgress *progress)
{
    Told *told = context;
    Mono now = clock_mono();
    if (mono_since(now, told->last) < TOLD_NS)
        return true;
    told->last = now;
    if (progress->expected > 0)
        members_say(told->members, "  %s from %s: %s, %llu of about %llu rows, %llu tombstones",
                    told->taker->region, told->giver->region, progress->table,
                    (unsigned long long)progress->rows, (unsigned long long)progress->expected,
                    (unsigned long long)progress->tombstones);
    else
        members_say(told->members, "  %s from %s: %s, %llu rows, %llu tombstones",
                    told->taker->region, told->giver->region, progress->table,
                    (unsigned long long)progress->rows, (unsigned long long)progress->tombstones);
    return true;
}

static int fill_wanted(Members *members, MeshNode *taker, MeshNode *giver, const FillWanted *wanted,
                       FillProgress *ret_done, Error *reterr)
{
    Told told = {.members = members, .taker = taker, .giver = giver, .last = clock_mono()};
    FillProgress done = {0};
    Mono begin = clock_mono();
    int r = mesh_fill(members->mesh, giver, taker, wanted, tell_progress, &told, &done, reterr);
    if (r < 0)
        return r;
    members->rows += done.rows;
    members->tombstones += done.tombstones;
    members->dead_letters += done.dead_letters;
    int64_t ms = mono_since(clock_mono(), begin) / NS_PER_MS;
    members_say(members, "  %s from %s: %llu rows, %llu tombstones in %lld.%03lld s", taker->region,
                giver->region, (unsigned long long)done.rows, (unsigned long long)done.tombstones,
                (long long)(ms / 1000), (long long)(ms % 1000));
    (void)json_array_append_new(
        members->links,
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "to", taker->region, "from", giver->region,
                  "rows", (json_int_t)done.rows, "tombstones", (json_int_t)done.tombstones,
                  "dead_letters", (json_int_t)done.dead_letters, "duration_ms", (json_int_t)ms));
    *ret_done = done;
    return 0;
}

int members_fill(Members *members, MeshNode *taker, MeshNode *giver, Error *reterr)
{
    char origin[16], rows[32];
    const char *params[] = {origin, rows}, *state = NULL;
    Buf sql CLEANUP(buf_done) = BUF_INIT(1024);
    (void)snprintf(origin, sizeof origin, "%u", giver->origin);
    buf_printf(&sql, "SELECT state FROM wildcam.link WHERE origin = %s", origin);
    int r = members_text(members, taker, buf_text(&sql), &state, reterr);
    if (r < 0)
        return r;
    if (state == NULL || strcmp(state, "new") == 0)
        return error_set(reterr, ERROR_CONFLICT, "%s: the link from %s was taken away meanwhile",
                         taker->region, giver->region);
    if (strcmp(state, "filled") == 0)
        return 0;
    const uint8_t origins[] = {(uint8_t)giver->origin, (uint8_t)taker->origin};
    const FillWanted wanted = {
        .n_origins = ARRAY_SIZE(origins), .origins = origins, .and_inactive = true};
    FillProgress done = {0};
    r = fill_wanted(members, taker, giver, &wanted, &done, reterr);
    if (r < 0)
        return r;
    (void)snprintf(rows, sizeof rows, "%llu", (unsigned long long)done.rows);
    return mesh_query(members->mesh, taker,
                      "UPDATE wildcam.link SET state = 'filled', fill_rows = $2, since = now(), "
                      "error = NULL WHERE origin = $1 AND state = 'subscribed'",
                      2, params, NULL, reterr);
}

static int safe_of(const Members *members, MeshNode *node, int64_t *ret_safe_us, Error *reterr)
{
    char sql[160];
    const char *text = NULL;
    (void)snprintf(sql, sizeof sql,
                   "SELECT safe FROM wildcam.watermark WHERE node = wildcam.me() AND origin = %u",
                   members->target->origin);
    int r = members_text(members, node, sql, &text, reterr);
    *ret_safe_us = r == 0 && text != NULL ? strtoll(text, NULL, 10) : 0;
    return r;
}

static int share_one(Members *members, MeshNode *taker, MeshNode *giver, Error *reterr)
{
    const uint8_t origins[] = {(uint8_t)members->target->origin};
    FillWanted wanted = {.n_origins = 1, .origins = origins};
    FillProgress done = {0};
    int r = safe_of(members, taker, &wanted.since_us, reterr);
    return r < 0 ? r : fill_wanted(members, taker, giver, &wanted, &done, reterr);
}

// To the one that knows most and back from it: 2 (n - 1) fills, each only of what is younger than
// the taker's watermark. Who knows most decides only how much is shipped.
int members_share(Members *members, MeshNode **ret_best, int64_t *ret_safe_us, Error *reterr)
{
    Mesh *mesh = members->mesh;
    MeshNode *best = NULL;
    int64_t most = -1;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < mesh->n; i++) {
        int64_t safe = 0;
        if (!members_is_other(members, &mesh->nodes[i]))
            continue;
        r = safe_of(members, &mesh->nodes[i], &safe, reterr);
        if (r == 0 && safe > most) {
            best = &mesh->nodes[i];
            most = safe;
        }
    }
    if (r == 0 && best == NULL)
        r = error_set(reterr, ERROR_NOT_FOUND, "no other region is in the mesh");
    for (int back = 0; r == 0 && back < 2; back++)
        for (uint32_t i = 0; r == 0 && i < mesh->n; i++)
            if (members_is_other(members, &mesh->nodes[i]) && &mesh->nodes[i] != best)
                r = back ? share_one(members, &mesh->nodes[i], best, reterr)
                         : share_one(members, best, &mesh->nodes[i], reterr);
    if (r == 0) {
        *ret_best = best;
        *ret_safe_us = most;
    }
    return r;
}

void members_print_json(const Members *members, const char *state, int64_t duration_ms,
                        json_t *more)
{
    json_t *root =
        json_pack("{s:s, s:i, s:s, s:I, s:I, s:I, s:I, s:O}", "region", members->target->region,
                  "origin", (int)members->target->origin, "state", state, "rows",
                  (json_int_t)members->rows, "tombstones", (json_int_t)members->tombstones,
                  "dead_letters", (json_int_t)members->dead_letters, "duration_ms",
                  (json_int_t)duration_ms, "fills", members->links);
    if (more != NULL) {
        (void)json_object_update(root, more);
        json_decref(more);
    }
    (void)json_dumpf(root, stdout, JSON_INDENT(2));
    (void)printf("\n");
    json_decref(root);
}
