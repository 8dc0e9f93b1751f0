// SPDX-License-Identifier: MIT
// rows_recover: `wildcam rows recover REGION` after the region's database was lost for good (a new,
// empty one runs) or was restored to an earlier point. The others are the truth:
//   1. it takes no writes, and every region knows that it joins: nobody collects a tombstone;
//   2. no link leads to it or from it any more;
//   3. the others give each other what any of them has of its writes: then each has all that is
//   left;
//   4. what only a restored database has of its own writes is kept aside (wildcam.recovered_N);
//   5. a restored database's federated tables are emptied, in one transaction with its new
//      incarnation: an old row whose tombstone is collected everywhere would come back otherwise;
//   6. it joins: links in, filled with its own writes too, links out, active, writes allowed.
// Each step looks first, so the next run goes on. Step 5 is known to be done by the `since` of its
// own row in wildcam.node: that moment is chosen in step 1 and is the same in all databases; and by
// `announced`: a database that was restored once more is behind what the others have heard of it.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "ensure.h"
#include "rows.h"
#include "rows_join.h"
#include "tell.h"

#define REFUSED "it is being recovered"
#define CLOCK_NS (60 * NS_PER_S)

typedef struct Recover {
    Members m;
    MeshNode *best;   // of the others: had most of its writes
    int64_t safe_us;  // up to there
    bool empty, done; // tables to be emptied; that has been done already
    uint64_t kept;
} Recover;

static int check(Recover *rec, Error *reterr)
{
    Members *m = &rec->m;
    const char *region = m->target->region;
    if (members_is_state(m, m->target, "left")) {
        int r = error_set(reterr, ERROR_CONFLICT, "%s has left; its origin %u never returns",
                          region, m->target->origin);
        return error_hint(reterr, r,
                          "Give it a new 'origin' in fleet.yaml, then 'wildcam rows "
                          "join %s'.",
                          region);
    }
    if (m->target->conn == NULL) {
        int r = error_set(reterr, ERROR_UNAVAILABLE, "%s: %s", region, error_text(&m->target->why));
        return error_hint(reterr, r, "A database must run there: restored, or new and empty.");
    }
    bool any = false;
    for (uint32_t i = 0; i < m->mesh->n; i++)
        any = any || members_is_other(m, &m->mesh->nodes[i]);
    if (!any)
        return error_set(reterr, ERROR_NOT_FOUND, "no other region knows of a mesh");
    return members_need_others(m, reterr);
}

// The others' newest word of it, and whether its own database remembers having said so.
static int went_back(const Members *m, bool *ret_back, Error *reterr)
{
    const char *announced = NULL;
    int r = members_text(m, m->target, "SELECT announced FROM wildcam.mesh", &announced, reterr);
    *ret_back = false;
    for (uint32_t i = 0; r == 0 && i < m->mesh->n; i++) {
        const char *safe = NULL;
        char sql[160];
        if (!members_is_other(m, &m->mesh->nodes[i]))
            continue;
        (void)snprintf(sql, sizeof sql,
                       "SELECT safe FROM wildcam.watermark WHERE node = wildcam.me() AND "
                       "origin = %u",
                       m->target->origin);
        r = members_text(m, &m->mesh->nodes[i], sql, &safe, reterr);
        if (r == 0 && safe != NULL &&
            (announced == NULL || strtoll(safe, NULL, 10) > strtoll(announced, NULL, 10)))
            *ret_back = true;
    }
    return r;
}

// What its database is: new, restored, or emptied by an earlier run.
static int look(Recover *rec, Error *reterr)
{
    Members *m = &rec->m;
    size_t at = (size_t)(m->target - m->mesh->nodes);
    const char *tables = NULL, *own = NULL;
    char sql[256];
    if (!m->based[at])
        return 0;
    int r = members_text(m, m->target, "SELECT nullif(count(*), 0) FROM wildcam.federated", &tables,
                         reterr);
    (void)snprintf(sql, sizeof sql,
                   "SELECT 'yes' FROM wildcam.node WHERE origin = wildcam.me() AND state = "
                   "'joining' AND since = 'epoch'::timestamptz + %lld * interval '1 us'",
                   (long long)m->since_us[at]);
    if (r == 0)
        r = members_text(m, m->target, sql, &own, reterr);
    bool back = false;
    if (r == 0)
        r = went_back(m, &back, reterr);
    bool resumed = members_is_state(m, m->target, "joining") && own != NULL && !back;
    // base.sql leaves 'joining' in a database that nobody has touched yet; then nothing is in it
    rec->done = resumed;
    rec->empty = tables != NULL && !resumed;
    return r;
}

// Neither side of any link is left. Watermarks of it as a reader go too: it has nothing any more;
// those of what the others have of it stay, they say from where on each may lack something.
static int cut_links(Recover *rec, Error *reterr)
{
    Members *m = &rec->m;
    bool based = m->based[m->target - m->mesh->nodes];
    char sql[160];
    (void)snprintf(sql, sizeof sql, "DELETE FROM wildcam.watermark WHERE node = %u",
                   m->target->origin);
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < m->mesh->n; i++) {
        MeshNode *other = &m->mesh->nodes[i];
        if (other == m->target || other->conn == NULL || !m->based[i])
            continue;
        r = members_unsubscribe(m, other, m->target, false, reterr);
        if (r == 0 && based)
            r = members_unsubscribe(m, m->target, other, true, reterr);
        if (r == 0)
            r = members_drop_slot(m, other, m->target, reterr);
        if (r == 0 && based)
            r = members_drop_slot(m, m->target, other, reterr);
        if (r == 0)
            r = mesh_script(m->mesh, other, sql, reterr);
    }
    return r;
}

static const char EMPTY[] =
    "DO $wildcam$ DECLARE t record; all_tables text; x text; BEGIN "
    "SET LOCAL wildcam.apply = '1'; "
    "BEGIN SET LOCAL session_replication_role = replica; EXCEPTION WHEN insufficient_privilege "
    "THEN NULL; END; "
    "SELECT string_agg(format('%I.%I', schema, name), ', ') INTO all_tables FROM "
    "wildcam.federated WHERE to_regclass(format('%I.%I', schema, name)) IS NOT NULL; "
    "BEGIN EXECUTE 'TRUNCATE ' || all_tables; "
    // a table outside of the federation refers to one of them: its rows are not ours to drop
    "EXCEPTION WHEN feature_not_supported THEN FOR t IN SELECT format('%I.%I', schema, name) AS "
    "name FROM wildcam.federated LOOP EXECUTE 'DELETE FROM ' || t.name; END LOOP; END; "
    "FOR t IN SELECT number FROM wildcam.federated WHERE kind = 'lww' LOOP "
    "FOREACH x IN ARRAY ARRAY['journal_', 'tombstone_', 'parked_'] LOOP "
    "IF to_regclass('wildcam.' || x || t.number) IS NOT NULL THEN "
    "EXECUTE 'TRUNCATE wildcam.' || x || t.number; END IF; END LOOP; END LOOP; "
    "DELETE FROM wildcam.watermark; DELETE FROM wildcam.link; DELETE FROM wildcam.dead_letter; "
    "END $wildcam$";

// One transaction: emptied, another incarnation, its own row says when.
static int empty(Recover *rec, Error *reterr)
{
    Members *m = &rec->m;
    Buf sql CLEANUP(buf_done) = BUF_INIT(65536);
    buf_printf(&sql,
               "BEGIN; SET LOCAL statement_timeout = 0; %s; UPDATE wildcam.mesh SET incarnation = "
               "gen_random_uuid(), announced = greatest(announced, %lld); UPDATE wildcam.node SET "
               "state = 'joining', since = 'epoch'::timestamptz + %lld * interval '1 us' WHERE "
               "origin = wildcam.me(); SELECT wildcam.refuse('" REFUSED "'); COMMIT",
               EMPTY, (long long)rec->safe_us, (long long)m->since_us[m->target - m->mesh->nodes]);
    if (buf_check(&sql) < 0)
        return error_set(reterr, ERROR_MEMORY, "no memory for a statement");
    int r = mesh_script(m->mesh, m->target, buf_text(&sql), reterr);
    if (r < 0 && m->target->conn != NULL) {
        int back = mesh_script(m->mesh, m->target, "ROLLBACK", NULL);
        (void)back; // a lost connection has rolled back by itself
    }
    return r < 0 ? error_wrap(reterr, r, "empty the tables of %s", m->target->region) : 0;
}

static int keep_and_empty(Recover *rec, Error *reterr)
{
    Members *m = &rec->m;
    int r = mesh_fill_aside(m->mesh, rec->best, m->target, rec->safe_us, &rec->kept, reterr);
    if (r == 0 && rec->kept > 0)
        members_say(m,
                    "%llu versions that only %s has are kept there in tables wildcam.recovered_N",
                    (unsigned long long)rec->kept, m->target->region);
    if (r < 0)
        return r;
    members_say(m, "%s is emptied", m->target->region);
    return empty(rec, reterr);
}

// Its next versions must be above all that were announced before.
static int wait_for_clock(const Recover *rec, Error *reterr)
{
    Mono end = mono_add(clock_mono(), CLOCK_NS);
    for (;;) {
        const char *now = NULL;
        int r = members_text(&rec->m, rec->m.target,
                             "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
                             &now, reterr);
        if (r < 0 || (now != NULL && strtoll(now, NULL, 10) > rec->safe_us))
            return r;
        if (mono_since(clock_mono(), end) >= 0) {
            r = error_set(reterr, ERROR_UNAVAILABLE,
                          "%s: its clock is behind what it announced before",
                          rec->m.target->region);
            return error_hint(reterr, r, "Set its clock right, then run it again.");
        }
        (void)poll(NULL, 0, 100);
    }
}

static int prepare(Recover *rec, Error *reterr)
{
    Members *m = &rec->m;
    size_t at = (size_t)(m->target - m->mesh->nodes);
    int r = 0;
    if (m->based[at])
        r = members_refuse(m, REFUSED, reterr);
    // the others first: its own row changes with its content
    bool based = m->based[at];
    m->based[at] = false;
    if (r == 0)
        r = members_set_state(
            m, "joining", members_is_state(m, m->target, "joining") ? m->since_us[at] : 0, reterr);
    m->based[at] = based;
    if (r == 0 && !rec->done)
        r = cut_links(rec, reterr);
    members_say(m, "the others give each other what they have of %s", m->target->region);
    return r < 0 ? r : members_share(m, &rec->best, &rec->safe_us, reterr);
}

static int recover(Recover *rec, Error *reterr)
{
    Members *m = &rec->m;
    int r = prepare(rec, reterr);
    if (r == 0 && rec->empty)
        r = keep_and_empty(rec, reterr);
    if (r == 0)
        r = mesh_ensure_node(m->mesh, m->target, &(EnsureOptions){.last = ENSURE_STEP_BASE}, NULL,
                             reterr);
    if (r < 0)
        return r;
    m->based[m->target - m->mesh->nodes] = true;
    r = members_refuse(m, REFUSED, reterr);
    if (r == 0)
        r = members_set_state(m, "joining", m->since_us[m->target - m->mesh->nodes], reterr);
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
        r = wait_for_clock(rec, reterr);
    if (r == 0)
        r = members_set_state(m, "active", 0, reterr);
    return r < 0 ? r : members_allow(m, reterr);
}

static void report(const Recover *rec, int64_t ms, bool json)
{
    const Members *m = &rec->m;
    char text[TELL_DURATION_MAX];
    if (json) {
        members_print_json(
            m, "active", ms,
            json_pack("{s:b, s:I}", "emptied", rec->empty ? 1 : 0, "kept", (json_int_t)rec->kept));
        return;
    }
    tell_line(stdout, "%s is in the mesh again: %llu rows and %llu tombstones in %s",
              m->target->region, (unsigned long long)m->rows, (unsigned long long)m->tombstones,
              tell_duration(ms, text));
    if (rec->kept > 0)
        tell_line(stdout,
                  "%llu versions that only its database had are in wildcam.recovered_N there",
                  (unsigned long long)rec->kept);
}

int rows_recover(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL;
    bool yes = false, json = false;
    Recover rec = {0};
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"yes", NULL, "do not ask", NULL, &yes},
        {"json", NULL, "for programs; needs --yes", NULL, &json},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 1, 1, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    Mono begin = clock_mono();
    r = members_open(dir, argv[1], "wildcam rows recover", &rec.m, reterr);
    if (r < 0)
        return r;
    rec.m.quiet = json;
    r = check(&rec, reterr);
    if (r == 0)
        r = members_lock(&rec.m, reterr);
    if (r == 0)
        r = look(&rec, reterr);
    if (r == 0 && !json)
        tell_line(stdout, "%s: %s", rec.m.target->region,
                  rec.empty  ? "its federated tables are emptied and filled from the others"
                  : rec.done ? "an earlier run is continued"
                             : "its database is new: it is filled from the others");
    if (r == 0 && !tell_agreed(yes))
        r = error_hint(reterr, error_set(reterr, -ECANCELED, "not done"), "'--yes' does not ask.");
    if (r == 0)
        r = recover(&rec, reterr);
    if (r == 0)
        report(&rec, mono_since(clock_mono(), begin) / NS_PER_MS, json);
    members_close(&rec.m);
    return r;
}
