// SPDX-License-Identifier: MIT
// rows_leave: `wildcam rows leave REGION` takes a region out of the mesh; its origin never returns.
// A region that is there stops writing, and its last row has arrived everywhere before anybody
// lets go of it. One that is away leaves with --force only: the others first give each other what
// any of them has of it, and what is told then is from when on rows of it may be missing.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "clock.h"
#include "rows.h"
#include "rows_members.h"
#include "tell.h"

#define REFUSED_LEAVING "it is leaving the mesh"
#define REFUSED_LEFT "it has left the mesh"
#define FENCE_NS (60 * NS_PER_S)

typedef struct Leave {
    Members m;
    bool force, fetched;
    const char *known_until; // of its clock, as text; NULL: nothing is known of it
} Leave;

// What the others have of it, at most.
static int read_known(Leave *leave, Error *reterr)
{
    Mesh *mesh = leave->m.mesh;
    int64_t most = 0;
    for (uint32_t i = 0; i < mesh->n; i++) {
        char sql[256];
        const char *text = NULL;
        if (!members_is_other(&leave->m, &mesh->nodes[i]) || mesh->nodes[i].conn == NULL)
            continue;
        (void)snprintf(sql, sizeof sql,
                       "SELECT safe || ' ' || to_char(ts AT TIME ZONE 'UTC', "
                       "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM wildcam.watermark "
                       "WHERE node = wildcam.me() AND origin = %u",
                       leave->m.target->origin);
        int r = members_text(&leave->m, &mesh->nodes[i], sql, &text, reterr);
        if (r < 0)
            return r;
        if (text != NULL && strtoll(text, NULL, 10) >= most && strchr(text, ' ') != NULL) {
            most = strtoll(text, NULL, 10);
            leave->known_until = strchr(text, ' ') + 1;
        }
    }
    return 0;
}

static int check(Leave *leave, Error *reterr)
{
    Members *m = &leave->m;
    const char *region = m->target->region;
    if (m->state[m->target - m->mesh->nodes] == NULL)
        return error_set(reterr, ERROR_NOT_FOUND, "%s is not in the mesh", region);
    int r = members_need_others(m, reterr);
    if (r == 0)
        r = read_known(leave, reterr);
    if (r < 0 || leave->force)
        return r;
    if (m->target->conn == NULL) {
        r = error_set(reterr, ERROR_UNAVAILABLE, "%s: %s; what it wrote after %s cannot be fetched",
                      region, error_text(&m->target->why),
                      leave->known_until != NULL ? leave->known_until : "it was last heard of");
        return error_hint(reterr, r,
                          "If it is lost for good: 'wildcam rows leave %s --force' lets go of it "
                          "without those rows.",
                          region);
    }
    return 0;
}

// Its writes have ended, and `safe` says so: every transaction that began before has ended too.
static int drain(Leave *leave, Mono end, const char **ret_lsn, Error *reterr)
{
    Members *m = &leave->m;
    const char *refused_at = NULL;
    int r = members_refuse(m, REFUSED_LEAVING, reterr);
    if (r == 0)
        r = members_text(m, m->target, "SELECT wildcam.micros(clock_timestamp())", &refused_at,
                         reterr);
    while (r == 0) {
        const char *safe = NULL;
        r = members_text(m, m->target, "SELECT wildcam.beat()", &safe, reterr);
        if (r == 0 && safe != NULL && refused_at != NULL &&
            strtoll(safe, NULL, 10) > strtoll(refused_at, NULL, 10))
            break;
        if (r == 0 && mono_since(clock_mono(), end) >= 0)
            r = error_hint(reterr,
                           error_set(reterr, ERROR_TIMEOUT,
                                     "%s: a transaction that began before is open yet",
                                     m->target->region),
                           "pg_stat_activity there shows it.");
        if (r == 0)
            (void)poll(NULL, 0, 50);
    }
    return r < 0
               ? r
               : members_text(m, m->target, "SELECT pg_current_wal_insert_lsn()", ret_lsn, reterr);
}

static int find_behind(Leave *leave, const char *lsn, Buf *names, Error *reterr)
{
    Members *m = &leave->m;
    for (uint32_t i = 0; i < m->mesh->n; i++) {
        char sql[256];
        const char *has = NULL;
        if (!members_is_other(m, &m->mesh->nodes[i]))
            continue;
        (void)snprintf(sql, sizeof sql,
                       "SELECT 'yes' FROM wildcam.watermark WHERE node = wildcam.me() AND origin = "
                       "%u AND lsn >= '%s'",
                       m->target->origin, lsn);
        int r = members_text(m, &m->mesh->nodes[i], sql, &has, reterr);
        if (r < 0)
            return r;
        if (has == NULL)
            buf_printf(names, "%s%s", names->len > 0 ? ", " : "", m->mesh->nodes[i].region);
    }
    return 0;
}

static int fence(Leave *leave, Error *reterr)
{
    Members *m = &leave->m;
    const char *lsn = NULL, *safe = NULL;
    Mono end = mono_add(clock_mono(), FENCE_NS);
    members_say(m, "%s takes no more writes; waiting until its last one is everywhere",
                m->target->region);
    int r = drain(leave, end, &lsn, reterr);
    while (r == 0) {
        Buf behind CLEANUP(buf_done) = BUF_INIT(4096);
        r = members_text(m, m->target, "SELECT wildcam.beat()", &safe, reterr);
        if (r == 0)
            r = find_behind(leave, lsn, &behind, reterr);
        if (r < 0 || behind.len == 0)
            break;
        if (mono_since(clock_mono(), end) >= 0) {
            r = error_set(reterr, ERROR_TIMEOUT, "its last writes have not arrived in: %s",
                          buf_text(&behind));
            return error_hint(reterr, r,
                              "'wildcam rows status' shows the links. Run it again; or '--force': "
                              "the others then share what they have.");
        }
        (void)poll(NULL, 0, 50);
    }
    leave->fetched = r == 0;
    return r;
}

// With --force a region that answers but whose links do not flow is treated as away.
static int fetch(Leave *leave, Error *reterr)
{
    Members *m = &leave->m;
    MeshNode *best = NULL;
    int64_t safe = 0;
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (m->target->conn != NULL && m->based[m->target - m->mesh->nodes] &&
        !members_is_state(m, m->target, "left")) {
        int r = fence(leave, leave->force ? &err : reterr);
        if (r == 0 || !leave->force)
            return r;
        members_say(m, "%s", error_text(&err));
    }
    members_say(m, "the others give each other what they have of %s", m->target->region);
    return members_share(m, &best, &safe, reterr);
}

// What still holds on to it in the others; only after the state says `left`.
static int forget(Leave *leave, MeshNode *other, Error *reterr)
{
    Members *m = &leave->m;
    char sql[256];
    int r = members_unsubscribe(m, other, m->target, true, reterr);
    if (r == 0)
        r = members_drop_slot(m, other, m->target, reterr);
    (void)snprintf(sql, sizeof sql, "DELETE FROM wildcam.watermark WHERE %u IN (node, origin)",
                   m->target->origin);
    return r < 0 ? r : mesh_script(m->mesh, other, sql, reterr);
}

// Its own half; best effort with --force: it may be broken.
static int let_go(Leave *leave, Error *reterr)
{
    Members *m = &leave->m;
    int r = members_refuse(m, REFUSED_LEFT, reterr);
    for (uint32_t i = 0; r == 0 && i < m->mesh->n; i++)
        if (&m->mesh->nodes[i] != m->target)
            r = members_unsubscribe(m, m->target, &m->mesh->nodes[i], true, reterr);
    for (uint32_t i = 0; r == 0 && i < m->mesh->n; i++)
        if (&m->mesh->nodes[i] != m->target)
            r = members_drop_slot(m, m->target, &m->mesh->nodes[i], reterr);
    return r < 0 ? r : mesh_script(m->mesh, m->target, "DELETE FROM wildcam.watermark", reterr);
}

static int leave_mesh(Leave *leave, Error *reterr)
{
    Members *m = &leave->m;
    bool left = members_is_state(m, m->target, "left");
    int r = members_lock(m, reterr);
    if (r == 0 && !left && !members_is_state(m, m->target, "leaving"))
        r = members_set_state(m, "leaving", 0, reterr);
    if (r == 0 && !left)
        r = fetch(leave, reterr);
    if (r == 0)
        r = members_set_state(m, "left", left ? m->since_us[m->target - m->mesh->nodes] : 0,
                              reterr);
    if (r == 0 && m->target->conn != NULL && m->based[m->target - m->mesh->nodes]) {
        Error err CLEANUP(error_done) = ERROR_INIT;
        int own = let_go(leave, &err);
        if (own < 0 && !leave->force)
            return error_set(reterr, own, "%s", error_text(&err));
        if (own < 0)
            members_say(m, "%s: its own half was not taken down: %s", m->target->region,
                        error_text(&err));
    }
    for (uint32_t i = 0; r == 0 && i < m->mesh->n; i++)
        if (members_is_other(m, &m->mesh->nodes[i]))
            r = forget(leave, &m->mesh->nodes[i], reterr);
    return r;
}

static void report(const Leave *leave, int64_t ms, bool json)
{
    const Members *m = &leave->m;
    if (json) {
        members_print_json(m, "left", ms,
                           json_pack("{s:b, s:o}", "complete", leave->fetched ? 1 : 0,
                                     "known_until",
                                     leave->fetched || leave->known_until == NULL
                                         ? json_null()
                                         : json_string(leave->known_until)));
        return;
    }
    tell_line(stdout, "%s has left the mesh; origin %u is used up", m->target->region,
              m->target->origin);
    if (!leave->fetched)
        tell_line(stdout, "what it wrote after %s may be missing in the others",
                  leave->known_until != NULL ? leave->known_until : "it was last heard of");
}

int rows_leave(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL;
    bool yes = false, json = false;
    Leave leave = {0};
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"force", NULL, "also when its last rows cannot be fetched", NULL, &leave.force},
        {"yes", NULL, "do not ask", NULL, &yes},
        {"json", NULL, "for programs; needs --yes", NULL, &json},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 1, 1, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    Mono begin = clock_mono();
    r = members_open(dir, argv[1], "wildcam rows leave", &leave.m, reterr);
    if (r < 0)
        return r;
    leave.m.quiet = json;
    r = check(&leave, reterr);
    if (r == 0 && !json)
        tell_line(stdout, "%s leaves the mesh for ever: its origin %u is used up",
                  leave.m.target->region, leave.m.target->origin);
    if (r == 0 && !tell_agreed(yes))
        r = error_hint(reterr, error_set(reterr, -ECANCELED, "not done"), "'--yes' does not ask.");
    if (r == 0)
        r = leave_mesh(&leave, reterr);
    if (r == 0)
        report(&leave, mono_since(clock_mono(), begin) / NS_PER_MS, json);
    members_close(&leave.m);
    return r;
}
