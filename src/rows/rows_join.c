// SPDX-License-Identifier: MIT
// rows_join: `wildcam rows join REGION` takes a region into the mesh while all others write.
// Order: first every region knows that it joins (from then on nobody collects a tombstone), then it
// takes no writes, then its database is made like the others', subscribes to all, fills from all;
// then the others subscribe to it; then it is active and may write. Each step looks first: a run
// that was killed anywhere is ended by the next one, which starts no filled link again.
#include "rows_join.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "clock.h"
#include "ensure.h"
#include "rows.h"
#include "tell.h"

#define REFUSED "it is joining the mesh"

static int check_state(const Members *m, Error *reterr)
{
    const char *region = m->target->region;
    if (m->target->conn == NULL)
        return error_set(reterr, ERROR_UNAVAILABLE, "%s: %s", region, error_text(&m->target->why));
    if (members_is_state(m, m->target, "left")) {
        int r = error_set(reterr, ERROR_CONFLICT, "%s has left; its origin %u never returns",
                          region, m->target->origin);
        return error_hint(reterr, r, "Give the region a new 'origin' in fleet.yaml.");
    }
    if (members_is_state(m, m->target, "lost") || members_is_state(m, m->target, "leaving")) {
        int r = error_set(reterr, ERROR_CONFLICT, "the mesh has %s as '%s'", region,
                          members_is_state(m, m->target, "lost") ? "lost" : "leaving");
        return error_hint(reterr, r, "'wildcam rows %s %s' goes on from there.",
                          members_is_state(m, m->target, "lost") ? "recover" : "leave", region);
    }
    for (uint32_t i = 0; i < m->mesh->n; i++)
        if (members_is_other(m, &m->mesh->nodes[i]))
            return members_need_others(m, reterr);
    int r = error_set(reterr, ERROR_NOT_FOUND, "there is no mesh that %s could join", region);
    return error_hint(reterr, r, "'wildcam rows init' makes one of all regions.");
}

static MeshNode *any_other(const Members *m)
{
    for (uint32_t i = 0; i < m->mesh->n; i++)
        if (members_is_other(m, &m->mesh->nodes[i]) && m->mesh->nodes[i].conn != NULL)
            return &m->mesh->nodes[i];
    return NULL;
}

// Names of federated tables that the joining database has not.
static int find_missing(const Members *m, const MeshNode *donor, Buf *names, uint32_t *ret_n,
                        Error *reterr)
{
    PGresult *tables = NULL;
    int r = mesh_query(m->mesh, &m->mesh->nodes[donor - m->mesh->nodes],
                       "SELECT format('%I.%I', schema, name) FROM wildcam.federated "
                       "ORDER BY number",
                       0, NULL, &tables, reterr);
    *ret_n = 0;
    for (int i = 0; r == 0 && i < PQntuples(tables); i++) {
        const char *params[] = {PQgetvalue(tables, i, 0)};
        PGresult *there = NULL;
        r = mesh_query(m->mesh, m->target, "SELECT to_regclass($1)", 1, params, &there, reterr);
        if (r == 0 && PQgetisnull(there, 0, 0)) {
            buf_printf(names, "%s%s", *ret_n > 0 ? "\n" : "", params[0]);
            (*ret_n)++;
        }
        PQclear(there);
    }
    PQclear(tables);
    return r;
}

// Rows that a table of this database has before it belongs to the mesh keep their place: they get
// the oldest version there is. But nobody should be surprised by that.
static int count_strangers(const Members *m, MeshNode *donor, Buf *text, Error *reterr)
{
    PGresult *tables = NULL;
    int r =
        mesh_query(m->mesh, donor, "SELECT format('%I.%I', schema, name) FROM wildcam.federated", 0,
                   NULL, &tables, reterr);
    for (int i = 0; r == 0 && i < PQntuples(tables); i++) {
        const char *name = PQgetvalue(tables, i, 0), *rows = NULL, *there = NULL;
        Buf sql CLEANUP(buf_done) = BUF_INIT(4096);
        const char *params[] = {name};
        PGresult *found = NULL;
        r = mesh_query(m->mesh, m->target,
                       "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass($1) AND "
                       "attname IN ('_v', '_origin') AND NOT attisdropped",
                       1, params, &found, reterr);
        if (r == 0)
            there = arena_strdup(m->arena, PQgetvalue(found, 0, 0));
        PQclear(found);
        if (r < 0 || there == NULL || strcmp(there, "0") != 0)
            continue; // federated already
        buf_printf(&sql, "SELECT nullif(count(*), 0) FROM %s", name);
        r = members_text(m, m->target, buf_text(&sql), &rows, reterr);
        if (r < 0 && strcmp(m->target->sqlstate, "42P01") == 0) {
            error_done(reterr);
            r = 0;
        }
        if (r == 0 && rows != NULL)
            buf_printf(text, "%s%s has %s rows", text->len > 0 ? ", " : "", name, rows);
    }
    PQclear(tables);
    return r;
}

static int preflight(Members *m, Error *reterr)
{
    Buf problems CLEANUP(buf_done) = BUF_INIT(1U << 20);
    int n = mesh_preflight(m->mesh, m->target, &problems, reterr);
    if (n <= 0)
        return n;
    return error_set(reterr, ERROR_CONFLICT, "%s cannot join yet:\n%s", m->target->region,
                     buf_text(&problems));
}

static int make_tables(Members *m, MeshNode *donor, bool yes, Error *reterr)
{
    Buf names CLEANUP(buf_done) = BUF_INIT(1U << 20);
    uint32_t n = 0;
    int r = find_missing(m, donor, &names, &n, reterr);
    if (r < 0 || n == 0)
        return r;
    if (!m->quiet)
        tell_line(stdout, "%s lacks %u federated table%s, made as in %s:\n%s", m->target->region, n,
                  n == 1 ? "" : "s", donor->region, buf_text(&names));
    if (!tell_agreed(yes)) {
        r = error_set(reterr, -ECANCELED, "not done");
        return error_hint(reterr, r, "'--yes' does not ask; or make the tables yourself.");
    }
    return join_copy_schema(m, donor, buf_text(&names), reterr);
}

static int agree_strangers(Members *m, MeshNode *donor, bool yes, Error *reterr)
{
    Buf text CLEANUP(buf_done) = BUF_INIT(1U << 20);
    int r = count_strangers(m, donor, &text, reterr);
    if (r < 0 || text.len == 0)
        return r;
    if (!m->quiet)
        tell_line(stdout, "%s: %s; they become part of the mesh, older than any row there",
                  m->target->region, buf_text(&text));
    return tell_agreed(yes) ? 0
                            : error_hint(reterr, error_set(reterr, -ECANCELED, "not done"),
                                         "'--yes' does not ask; or empty the tables first.");
}

int join_links_in(Members *m, Error *reterr)
{
    int r = members_ensure(m, m->target, true, reterr);
    for (uint32_t i = 0; r == 0 && i < m->mesh->n; i++)
        if (members_is_other(m, &m->mesh->nodes[i]))
            r = members_fill(m, m->target, &m->mesh->nodes[i], reterr);
    return r;
}

int join_links_out(Members *m, Error *reterr)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < m->mesh->n; i++) {
        MeshNode *other = &m->mesh->nodes[i];
        if (!members_is_other(m, other))
            continue;
        r = members_ensure(m, other, true, reterr);
        if (r == 0)
            r = members_fill(m, other, m->target, reterr);
    }
    return r;
}

static int join(Members *m, bool yes, Error *reterr)
{
    MeshNode *donor = any_other(m);
    int r = preflight(m, reterr);
    if (r == 0)
        r = agree_strangers(m, donor, yes, reterr);
    if (r == 0)
        r = members_lock(m, reterr);
    if (r < 0)
        return r;
    bool was_active = members_is_state(m, m->target, "active");
    members_say(m, "%s joins: every region knows it", m->target->region);
    r = members_set_state(
        m, "joining",
        members_is_state(m, m->target, "joining") ? m->since_us[m->target - m->mesh->nodes] : 0,
        reterr);
    if (r == 0)
        r = mesh_ensure_node(m->mesh, m->target, &(EnsureOptions){.last = ENSURE_STEP_BASE}, NULL,
                             reterr);
    if (r == 0) {
        m->based[m->target - m->mesh->nodes] = true;
        r = members_refuse(m, REFUSED, reterr);
    }
    if (r == 0)
        r = make_tables(m, donor, yes || was_active, reterr);
    if (r == 0)
        r = members_ensure(m, m->target, false, reterr);
    if (r == 0) {
        members_say(m, "%s subscribes to all others and fills its links", m->target->region);
        r = join_links_in(m, reterr);
    }
    if (r == 0) {
        members_say(m, "the others subscribe to %s", m->target->region);
        r = join_links_out(m, reterr);
    }
    if (r == 0)
        r = members_set_state(m, "active", 0, reterr);
    return r < 0 ? r : members_allow(m, reterr);
}

static bool is_done(const Members *m)
{
    const char *text = NULL;
    return members_is_state(m, m->target, "active") && m->based[m->target - m->mesh->nodes] &&
           members_text(m, m->target,
                        "SELECT 'yes' WHERE NOT EXISTS (SELECT FROM wildcam.node n LEFT JOIN "
                        "wildcam.link l USING (origin) WHERE n.origin <> wildcam.me() AND n.state "
                        "IN ('active', 'joining') AND l.state IS DISTINCT FROM 'filled')",
                        &text, NULL) == 0 &&
           text != NULL;
}

int rows_join(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL;
    bool yes = false, json = false;
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"yes", NULL, "do not ask", NULL, &yes},
        {"json", NULL, "for programs", NULL, &json},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 1, 1, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    Members m = {0};
    Mono begin = clock_mono();
    r = members_open(dir, argv[1], "wildcam rows join", &m, reterr);
    if (r < 0)
        return r;
    m.quiet = json;
    r = check_state(&m, reterr);
    bool already = r == 0 && is_done(&m);
    if (r == 0 && !already)
        r = join(&m, yes, reterr);
    int64_t ms = mono_since(clock_mono(), begin) / NS_PER_MS;
    char text[TELL_DURATION_MAX];
    if (r == 0 && json)
        members_print_json(&m, "active", ms, json_pack("{s:b}", "already", already ? 1 : 0));
    else if (r == 0 && already)
        tell_line(stdout, "%s is in the mesh already", m.target->region);
    else if (r == 0)
        tell_line(stdout, "%s has joined: %llu rows and %llu tombstones in %s", m.target->region,
                  (unsigned long long)m.rows, (unsigned long long)m.tombstones,
                  tell_duration(ms, text));
    members_close(&m);
    return r;
}
