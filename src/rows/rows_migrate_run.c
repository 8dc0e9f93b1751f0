// SPDX-License-Identifier: MIT
// rows_migrate_run: phases at all regions. What a region has done is in its own database
// (wildcam.migration_run), written by the transaction that did it: killed anywhere, the next run
// goes on exactly there. A region that is away is passed by, until a phase that needs it.
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "rows_migrate.h"

#define SETTLE_NS (60 * INT64_C(1000000000))

static const char MAKE[] =
    "CREATE TABLE IF NOT EXISTS wildcam.migration_run(id text PRIMARY KEY, file text NOT NULL, sql "
    "text NOT NULL, done text[] NOT NULL DEFAULT '{}', facts jsonb NOT NULL DEFAULT '{}', since "
    "timestamptz NOT NULL DEFAULT now(), finished timestamptz)";

static MeshNode *node_at(const MigrateRun *run, uint32_t i)
{
    return &run->fm->mesh->nodes[i];
}

static bool is_done(const MigrateRun *run, uint32_t node, uint32_t statement, uint32_t phase)
{
    return (run->done[node][statement] >> phase & 1) != 0;
}

static int take_facts(MigrateRun *run, const char *text, Error *reterr)
{
    json_t *facts = json_loads(text, 0, NULL);
    const char *key;
    json_t *value;
    json_object_foreach(facts, key, value)
    {
        unsigned long i = strtoul(key, NULL, 10);
        if (i >= run->file->n || run->facts[i].known)
            continue;
        const char *table = json_string_value(json_object_get(value, "table"));
        run->facts[i] = (MigrateFact){
            .known = true,
            .number = (uint32_t)json_integer_value(json_object_get(value, "number")),
            .kind = json_is_true(json_object_get(value, "lww")) ? TABLE_KIND_LWW
                                                                : TABLE_KIND_INSERT_ONLY,
            .table = table != NULL ? arena_strdup(run->fm->arena, table) : NULL};
    }
    bool read = facts != NULL;
    json_decref(facts);
    return read ? 0 : error_set(reterr, ERROR_CORRUPT, "wildcam.migration_run: facts");
}

// '{0.0,0.1}'
static void take_done(MigrateRun *run, uint32_t node, const char *text)
{
    while (*text != '\0') {
        char *end;
        unsigned long statement = strtoul(text + 1, &end, 10);
        unsigned long phase = *end == '.' ? strtoul(end + 1, &end, 10) : MIGRATE_PHASES_MAX;
        if (statement < run->file->n && phase < MIGRATE_PHASES_MAX)
            run->done[node][statement] |= (uint8_t)(1U << phase);
        text = end > text ? end : text + 1;
        if (*text == '}')
            break;
    }
}

static int read_node(MigrateRun *run, uint32_t i, bool *ret_unfinished, Error *reterr)
{
    MeshNode *node = node_at(run, i);
    PGresult *result = NULL;
    int r = mesh_query(run->fm->mesh, node, "SELECT to_regclass('wildcam.migration_run')", 0, NULL,
                       &result, reterr);
    if (r < 0)
        return r;
    bool there = PQgetisnull(result, 0, 0) == 0;
    PQclear(result);
    if (!there) {
        *ret_unfinished = true;
        return 0;
    }
    const char *params[] = {run->file->id};
    r = mesh_query(
        run->fm->mesh, node,
        "SELECT id, file, finished IS NOT NULL, done, facts FROM wildcam.migration_run WHERE "
        "id = $1 OR finished IS NULL",
        1, params, &result, reterr);
    if (r < 0)
        return r;
    *ret_unfinished = true;
    for (int row = 0; r == 0 && row < PQntuples(result); row++) {
        if (strcmp(PQgetvalue(result, row, 0), run->file->id) != 0) {
            r = error_set(reterr, ERROR_CONFLICT, "%s: the migration of '%s' is not finished",
                          node->region, PQgetvalue(result, row, 1));
            r = error_hint(reterr, r,
                           "Run 'wildcam rows migrate' with that file first, unchanged; its "
                           "text is in wildcam.migration_run.");
            break;
        }
        run->known[i] = run->begun = true;
        *ret_unfinished = PQgetvalue(result, row, 2)[0] != 't';
        take_done(run, i, PQgetvalue(result, row, 3));
        r = take_facts(run, PQgetvalue(result, row, 4), reterr);
    }
    PQclear(result);
    return r;
}

int migrate_read(MigrateRun *run, Error *reterr)
{
    Arena *arena = run->fm->arena;
    uint32_t n = run->fm->mesh->n;
    run->facts = arena_new_array(arena, MigrateFact, run->file->n);
    run->done = arena_new_array(arena, uint8_t *, n);
    run->known = arena_new_array(arena, bool, n);
    int r = run->facts == NULL || run->done == NULL || run->known == NULL
                ? error_set(reterr, ERROR_MEMORY, "migration")
                : 0;
    run->finished = true;
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        bool unfinished = false;
        run->done[i] = arena_new_array(arena, uint8_t, run->file->n);
        if (run->done[i] == NULL)
            return error_set(reterr, ERROR_MEMORY, "migration");
        if (federate_is_there(run->fm, i))
            r = read_node(run, i, &unfinished, reterr);
        run->finished = run->finished && !unfinished;
    }
    run->finished = run->finished && run->begun;
    return r;
}

static void facts_text(const MigrateRun *run, Buf *out)
{
    bool any = false;
    buf_add_char(out, '{');
    for (uint32_t i = 0; i < run->file->n; i++) {
        const MigrateFact *fact = &run->facts[i];
        if (!fact->known)
            continue;
        buf_printf(out, "%s\"%u\": {\"number\": %u, \"lww\": %s, \"table\": ", any ? ", " : "", i,
                   fact->number, fact->kind == TABLE_KIND_LWW ? "true" : "false");
        if (fact->table != NULL)
            buf_add_json_string(out, fact->table);
        else
            buf_add_text(out, "null");
        buf_add_char(out, '}');
        any = true;
    }
    buf_add_char(out, '}');
}

// The run and what its statements are about, at every region that is there: whoever goes on later
// must not look again, an index may be gone by then.
static int note_run(MigrateRun *run, Error *reterr)
{
    Buf facts CLEANUP(buf_done) = BUF_INIT(1u << 20), sql CLEANUP(buf_done) = BUF_INIT(2u << 20);
    facts_text(run, &facts);
    for (uint32_t i = 0; i < run->file->n; i++)
        buf_printf(&sql, "%s;\n", run->file->statements[i].text);
    int r = buf_check(&facts) < 0 || buf_check(&sql) < 0
                ? error_set(reterr, ERROR_MEMORY, "migration")
                : 0;
    const char *params[] = {run->file->id, run->file->name, buf_text(&sql), buf_text(&facts)};
    for (uint32_t i = 0; r == 0 && i < run->fm->mesh->n; i++) {
        if (!federate_is_there(run->fm, i))
            continue;
        if (!run->known[i])
            r = mesh_script(run->fm->mesh, node_at(run, i), MAKE, reterr);
        if (r == 0)
            r = mesh_query(
                run->fm->mesh, node_at(run, i),
                "INSERT INTO wildcam.migration_run AS m (id, file, sql, facts) VALUES ($1, "
                "$2, $3, $4::jsonb) ON CONFLICT (id) DO UPDATE SET facts = m.facts || "
                "EXCLUDED.facts, finished = NULL",
                4, params, NULL, reterr);
        run->known[i] = r == 0;
    }
    run->begun = true;
    return r;
}

static int note_done(MigrateRun *run, uint32_t node, uint32_t statement, uint32_t phase,
                     Error *reterr)
{
    char what[32];
    (void)snprintf(what, sizeof what, "%u.%u", statement, phase);
    const char *params[] = {run->file->id, what};
    return mesh_query(run->fm->mesh, node_at(run, node),
                      "UPDATE wildcam.migration_run SET done = done || $2::text WHERE id = $1", 2,
                      params, NULL, reterr);
}

static bool is_passing(const char *state)
{
    return strcmp(state, "55P03") == 0 || strcmp(state, "40P01") == 0 ||
           strcmp(state, "40001") == 0;
}

static int try_phase(MigrateRun *run, uint32_t node, uint32_t statement, uint32_t phase,
                     const MigratePhase *how, bool *ret_passing, Error *reterr)
{
    Mesh *mesh = run->fm->mesh;
    MeshNode *at = node_at(run, node);
    int r = mesh_script(
        mesh, at, how->alone ? "SET lock_timeout = 0" : "BEGIN; SET LOCAL lock_timeout = '500ms'",
        reterr);
    if (r == 0)
        r = how->run(run, statement, at, reterr);
    if (r == 0)
        r = note_done(run, node, statement, phase, reterr);
    if (r == 0 && !how->alone)
        r = mesh_script(mesh, at, "COMMIT", reterr);
    *ret_passing = r < 0 && is_passing(at->sqlstate);
    if (r < 0 && at->conn != NULL && PQtransactionStatus(at->conn) != PQTRANS_IDLE &&
        mesh_script(mesh, at, "ROLLBACK", NULL) < 0)
        *ret_passing = false;
    return r;
}

static int do_phase(MigrateRun *run, uint32_t node, uint32_t statement, uint32_t phase,
                    const MigratePhase *how, Error *reterr)
{
    Mono end = mono_add(clock_mono(), FEDERATE_LOCK_NS);
    for (;;) {
        bool passing = false;
        int r = try_phase(run, node, statement, phase, how, &passing, reterr);
        if (r == 0) {
            run->done[node][statement] |= (uint8_t)(1U << phase);
            return 0;
        }
        if (!passing || clock_mono().ns >= end.ns) {
            r = error_wrap(reterr, r, "line %u, %s", run->file->statements[statement].line,
                           how->what);
            return passing ? error_hint(reterr, r,
                                        "A transaction holds the table for long: "
                                        "pg_stat_activity shows it. Run the migration again.")
                           : r;
        }
        error_done(reterr);
        (void)poll(NULL, 0, 100);
    }
}

// Every member, whether it is there or not, has done the phase.
static bool all_done(const MigrateRun *run, uint32_t statement, uint32_t phase)
{
    for (uint32_t i = 0; i < run->fm->mesh->n; i++)
        if (run->fm->member[i] && !is_done(run, i, statement, phase))
            return false;
    return true;
}

// 1: the phase must wait for somebody.
static int may_begin(MigrateRun *run, uint32_t statement, uint32_t phase, const MigratePhase *how,
                     Error *reterr)
{
    if (how->barrier && !all_done(run, statement, phase - 1))
        return 1;
    if ((how->all || how->settle) && federate_need_all(run->fm, NULL) < 0)
        return 1;
    bool any = false;
    for (uint32_t i = 0; i < run->fm->mesh->n; i++)
        any = any || (federate_is_there(run->fm, i) && !is_done(run, i, statement, phase));
    return how->settle && any ? federate_settle(run->fm, SETTLE_NS, reterr) : 0;
}

static int do_statement(MigrateRun *run, uint32_t statement, MigrateStop *stop, Error *reterr)
{
    const MigrateStatement *s = &run->file->statements[statement];
    bool learnt = !run->facts[statement].known;
    int r = migrate_learn(run, statement, reterr);
    if (r == 0 && learnt)
        r = note_run(run, reterr);
    if (r < 0)
        return r;
    const MigratePhase *phases = migrate_phases(s, &run->facts[statement]);
    for (uint32_t phase = 0; phases[phase].what != NULL; phase++) {
        r = may_begin(run, statement, phase, &phases[phase], reterr);
        if (r > 0)
            *stop = (MigrateStop){.statement = statement,
                                  .phase = phase,
                                  .stopped = true,
                                  .away = stop->away,
                                  .ran = stop->ran};
        if (r != 0)
            return r;
        for (uint32_t i = 0; i < run->fm->mesh->n; i++) {
            if (!federate_is_there(run->fm, i) || is_done(run, i, statement, phase))
                continue;
            (void)fprintf(stderr, "line %u: %s: %s: %s\n", s->line, migrate_class_name(s->class),
                          phases[phase].what, node_at(run, i)->region);
            r = do_phase(run, i, statement, phase, &phases[phase], reterr);
            if (r < 0)
                return r;
            stop->ran++;
        }
    }
    return 0;
}

static int end_everywhere(MigrateRun *run, Error *reterr)
{
    const char *params[] = {run->file->id};
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < run->fm->mesh->n; i++)
        if (run->fm->member[i] && run->known[i])
            r = mesh_query(run->fm->mesh, node_at(run, i),
                           "UPDATE wildcam.migration_run SET finished = now() WHERE id = $1 AND "
                           "finished IS NULL",
                           1, params, NULL, reterr);
    run->finished = r == 0;
    return r;
}

static int finish(MigrateRun *run, MigrateStop *stop, Error *reterr)
{
    for (uint32_t i = 0; i < run->fm->mesh->n; i++)
        if (run->fm->member[i] && node_at(run, i)->conn == NULL)
            buf_printf(&stop->away, "%s%s", stop->away.len > 0 ? ", " : "",
                       node_at(run, i)->region);
    return stop->stopped || stop->away.len > 0 ? 0 : end_everywhere(run, reterr);
}

// Begun in some region, not ended in all.
static bool is_half_done(const MigrateRun *run, uint32_t statement)
{
    const MigratePhase *phases =
        migrate_phases(&run->file->statements[statement], &run->facts[statement]);
    bool any = false, all = true;
    for (uint32_t phase = 0; phases[phase].what != NULL; phase++)
        for (uint32_t i = 0; i < run->fm->mesh->n; i++) {
            any = any || (run->fm->member[i] && is_done(run, i, statement, phase));
            all = all && (!run->fm->member[i] || is_done(run, i, statement, phase));
        }
    return any && !all;
}

int migrate_abandon(MigrateRun *run, Error *reterr)
{
    int r = federate_need_all(run->fm, reterr);
    if (r == 0 && !run->begun)
        r = error_set(reterr, ERROR_NOT_FOUND, "this file has not been begun");
    for (uint32_t i = 0; r == 0 && i < run->file->n; i++)
        if (is_half_done(run, i)) {
            r = error_set(reterr, ERROR_CONFLICT, "line %u is done by halves",
                          run->file->statements[i].line);
            r = error_hint(reterr, r,
                           "Regions differ there: remove what it stumbled over, then run the same "
                           "file to its end.");
        }
    return r < 0 ? r : end_everywhere(run, reterr);
}

int migrate_go(MigrateRun *run, MigrateStop *ret_stop, Error *reterr)
{
    MigrateStop stop = {.away = BUF_INIT(4096)};
    int r = note_run(run, reterr);
    for (uint32_t i = 0; r == 0 && i < run->file->n; i++)
        r = do_statement(run, i, &stop, reterr);
    if (r >= 0)
        r = finish(run, &stop, reterr);
    if (r < 0)
        buf_done(&stop.away);
    else
        *ret_stop = stop;
    return r;
}
