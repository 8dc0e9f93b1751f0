// SPDX-License-Identifier: MIT
// rowsd_beat: the heartbeat, on a connection and a thread of its own. It is also where writes are
// refused and allowed again, because nothing else may delay that: while our clock is off its peers'
// median or behind what was announced, and while this database is older than what its peers have
// seen of it. Texts in wildcam.mesh.refused say whose refusal it is, so that a restart of the
// daemon goes on where it was, and an operator's own refusal is left alone.
//
// The first heartbeat after the database was (re)connected overwrites what its peers know of it.
// So each of them is asked before, for a bounded time: a database that was restored to an earlier
// point, also under a daemon that runs, is behind what was heard of it.
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "parse.h"
#include "rowsd_state.h"

#define STATEMENT_NS (3 * NS_PER_S)
#define MISSED_SAID 3
#define SETTLE_NS (10 * NS_PER_S) // so long after the start nothing is allowed without evidence
#define ASKING_NS (3 * NS_PER_S)  // a region alone must beat too
#define ASKING_LOOK_NS (50 * NS_PER_MS)

#define SKEW_WORDS "the clock is "
#define BACK_WORDS "the clock stepped back"
#define RESTORED_WORDS "this database was restored to an earlier point"
#define NEW_WORDS "this database is new"

typedef struct Beater {
    Rowsd *rowsd;
    Mesh *mesh;
    MeshNode *node;
    Mono started;
    bool federated, restored_said, waiting;
    char refused[ROWSD_TEXT], incarnation[40];
    ClockFilter own; // our clock against our database's
    Wall database;   // that one, read after the last heartbeat
} Beater;

static bool begins(const char *text, const char *words)
{
    return strncmp(text, words, strlen(words)) == 0;
}

static int64_t number(const PGresult *result, int column)
{
    int64_t value = 0;
    const char *text = PQgetvalue(result, 0, column);
    return parse_i64(text, strlen(text), INT64_MIN, INT64_MAX, &value) < 0 ? 0 : value;
}

static int look_for_schema(Beater *beater, Error *reterr)
{
    PGresult *result = NULL;
    int r = mesh_query(beater->mesh, beater->node, "SELECT to_regclass('wildcam.mesh') IS NOT NULL",
                       0, NULL, &result, reterr);
    if (r < 0)
        return r;
    beater->federated = PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    return 0;
}

static void say_reason(const Beater *beater, bool fresh, char reason[ROWSD_TEXT])
{
    if (fresh)
        (void)snprintf(reason, ROWSD_TEXT, "%s",
                       NEW_WORDS ": what this region once wrote comes back from the others");
    else
        (void)snprintf(reason, ROWSD_TEXT,
                       RESTORED_WORDS
                       ": its peers have later changes of it; run 'wildcam rows recover %s'",
                       beater->rowsd->region);
}

static void note_start(Beater *beater, int64_t before_us, int64_t first_us, const char *refused)
{
    Rowsd *rowsd = beater->rowsd;
    RowsdBeat *beat = &rowsd->beat;
    rowsd_lock(rowsd);
    beat->start_known = true;
    beat->start_safe_us = before_us;
    beat->first_safe_us = first_us;
    beat->safe_us = first_us;
    beat->asking = false;
    rowsd->restored = beater->restored_said = begins(refused, RESTORED_WORDS);
    rowsd->fresh = begins(refused, NEW_WORDS);
    rowsd->refilled = false;
    rowsd->own_filled = 0;
    rowsd_unlock(rowsd);
}

// Has every peer been asked since this connection was made? One that does not answer counts too.
static bool peers_asked(Beater *beater)
{
    Rowsd *rowsd = beater->rowsd;
    RowsdBeat *beat = &rowsd->beat;
    rowsd_lock(rowsd);
    if (!beat->asking) {
        beat->asking = true;
        beat->asking_since = clock_mono();
        (void)pthread_cond_broadcast(&rowsd->wake);
    }
    bool all = true;
    for (uint32_t i = 0; i < rowsd->shape.n; i++)
        all = all && rowsd->probes[i].asked &&
              mono_since(rowsd->probes[i].began, beat->asking_since) >= 0;
    bool over = mono_since(clock_mono(), beat->asking_since) > ASKING_NS;
    rowsd_unlock(rowsd);
    return all || over;
}

// What the peers have of us was announced by this database, unless it was restored or is new: then
// this is why nothing is written here. What they answered is older than `announced_us`.
static bool is_behind(Beater *beater, int64_t announced_us, char reason[ROWSD_TEXT])
{
    Rowsd *rowsd = beater->rowsd;
    int64_t heard_us = 0;
    const char *who = NULL;
    rowsd_lock(rowsd);
    for (uint32_t i = 0; i < rowsd->shape.n; i++)
        if (rowsd->probes[i].has_mine && rowsd->probes[i].mine_safe_us > heard_us) {
            heard_us = rowsd->probes[i].mine_safe_us;
            who = rowsd->shape.links[i].region;
        }
    rowsd_unlock(rowsd);
    if (heard_us <= announced_us)
        return false;
    rowsd_say_behind(announced_us, heard_us, who);
    say_reason(beater, announced_us == 0, reason);
    return true;
}

// The first heartbeat, and in the same transaction what had been announced before it, because a
// predecessor that was killed may still have one under way; and the refusal that follows from it,
// because this heartbeat overwrites the evidence.
static int beat_first(Beater *beater, Error *reterr)
{
    PGresult *before = NULL, *first = NULL;
    char refused[ROWSD_TEXT] = "";
    const char *params[] = {refused};
    int r = mesh_script(beater->mesh, beater->node, "BEGIN", reterr);
    if (r == 0)
        r = mesh_query(beater->mesh, beater->node,
                       "SELECT announced, incarnation, coalesce(refused, '') FROM wildcam.mesh "
                       "FOR UPDATE",
                       0, NULL, &before, reterr);
    if (r == 0 && PQntuples(before) == 1)
        (void)snprintf(refused, sizeof refused, "%s", PQgetvalue(before, 0, 2));
    if (r == 0 && !begins(refused, RESTORED_WORDS) && !begins(refused, NEW_WORDS) &&
        is_behind(beater, number(before, 0), refused))
        r = mesh_query(beater->mesh, beater->node, "SELECT wildcam.refuse($1)", 1, params, NULL,
                       reterr);
    if (r == 0)
        r = mesh_query(beater->mesh, beater->node, "SELECT wildcam.beat()", 0, NULL, &first,
                       reterr);
    if (r == 0)
        r = mesh_script(beater->mesh, beater->node, "COMMIT", reterr);
    else if (beater->node->conn != NULL &&
             mesh_script(beater->mesh, beater->node, "ROLLBACK", NULL) < 0)
        log_debug("not rolled back", beater->node->region);
    if (r == 0 && PQntuples(before) == 1) {
        (void)snprintf(beater->incarnation, sizeof beater->incarnation, "%s",
                       PQgetvalue(before, 0, 1));
        note_start(beater, number(before, 0), number(first, 0), refused);
    }
    PQclear(before);
    PQclear(first);
    return r;
}

static void note_beat(Beater *beater, const PGresult *result)
{
    Rowsd *rowsd = beater->rowsd;
    RowsdBeat *beat = &rowsd->beat;
    rowsd_lock(rowsd);
    beat->good++;
    beat->missed = 0;
    beat->at = clock_mono();
    beat->safe_us = number(result, 0);
    (void)snprintf(beater->refused, sizeof beater->refused, "%s", PQgetvalue(result, 0, 2));
    // Somebody has recovered this database, or says that it is well: look at it anew.
    bool allowed = beater->restored_said && beater->refused[0] == '\0';
    if (strcmp(beater->incarnation, PQgetvalue(result, 0, 1)) != 0 || allowed) {
        rowsd->restored = beater->restored_said = false;
        beat->start_known = beat->asking = false;
    }
    rowsd_unlock(rowsd);
}

static void note_miss(Beater *beater, const Error *err)
{
    RowsdBeat *beat = &beater->rowsd->beat;
    rowsd_lock(beater->rowsd);
    beat->failed++;
    uint32_t missed = ++beat->missed;
    rowsd_unlock(beater->rowsd);
    if (missed == MISSED_SAID)
        log_warning("heartbeats missed", beater->node->region, LOG_NUMBER("missed", missed),
                    LOG_TEXT("error", error_text(err)));
}

// On one machine it is the same clock; a managed database has its own.
static int read_clock(Beater *beater, Error *reterr)
{
    PGresult *result = NULL;
    Wall before = clock_wall();
    int r = mesh_query(beater->mesh, beater->node, "SELECT wildcam.micros(clock_timestamp())", 0,
                       NULL, &result, reterr);
    if (r < 0)
        return r;
    Wall after = clock_wall();
    Mono now = clock_mono();
    ClockSample best = {{0}, 0, 0};
    beater->database = (Wall){number(result, 0) * NS_PER_US};
    clock_filter_add(&beater->own, now, before, beater->database, after);
    PQclear(result);
    rowsd_lock(beater->rowsd);
    if (clock_filter_best(&beater->own, now, &best))
        beater->rowsd->beat.own_skew_ns = best.skew_ns;
    rowsd_unlock(beater->rowsd);
    return 0;
}

// It may be another database than before, or the same one at an earlier point.
static void start_anew(Beater *beater)
{
    RowsdBeat *beat = &beater->rowsd->beat;
    beater->federated = false;
    rowsd_lock(beater->rowsd);
    beat->start_known = beat->asking = false;
    beat->safe_us = 0;
    rowsd_unlock(beater->rowsd);
}

static int beat_once(Beater *beater, Error *reterr)
{
    if (beater->node->conn == NULL) {
        if (mesh_reconnect(beater->mesh) == 0)
            return error_set(reterr, ERROR_UNAVAILABLE, "%s", error_text(&beater->node->why));
        start_anew(beater);
    }
    int r = beater->federated ? 0 : look_for_schema(beater, reterr);
    if (r < 0 || !beater->federated)
        return r;
    bool known = beater->rowsd->beat.start_known; // written by this thread only
    beater->waiting = !known && !peers_asked(beater);
    if (beater->waiting)
        return 0;
    if (!known)
        r = beat_first(beater, reterr);
    if (r < 0)
        return r;
    PGresult *result = NULL;
    r = mesh_query(beater->mesh, beater->node,
                   "SELECT wildcam.beat(), m.incarnation, coalesce(m.refused, '') "
                   "FROM wildcam.mesh m",
                   0, NULL, &result, reterr);
    if (r < 0)
        return r;
    if (PQntuples(result) == 1)
        note_beat(beater, result);
    PQclear(result);
    return read_clock(beater, reterr);
}

static ClockJudge judge_clock(Beater *beater)
{
    Rowsd *rowsd = beater->rowsd;
    int64_t skews[ROWSD_NODES];
    uint32_t n = 0;
    Mono now = clock_mono();
    rowsd_lock(rowsd);
    for (uint32_t i = 0; i < rowsd->shape.n; i++)
        if (rowsd->probes[i].has_skew && mono_since(now, rowsd->probes[i].at) < CLOCK_FRESH_NS)
            skews[n++] = rowsd->probes[i].skew_ns - rowsd->beat.own_skew_ns;
    // A peer's watermark is no evidence here: it travels through the stream, which may lag.
    clock_judge(&rowsd->beat.clock, skews, n, rowsd->settings.max_skew_ns, beater->database,
                rowsd->beat.safe_us);
    ClockJudge judge = rowsd->beat.clock;
    rowsd_unlock(rowsd);
    return judge;
}

static void change(Beater *beater, const char *reason)
{
    Error err = ERROR_INIT;
    const char *params[] = {reason};
    int r = reason != NULL ? mesh_query(beater->mesh, beater->node, "SELECT wildcam.refuse($1)", 1,
                                        params, NULL, &err)
                           : mesh_query(beater->mesh, beater->node, "SELECT wildcam.allow()", 0,
                                        NULL, NULL, &err);
    if (r < 0)
        log_error("refusal not changed", beater->node->region, LOG_TEXT("error", error_text(&err)));
    else if (reason != NULL)
        log_warning("writes refused", beater->node->region, LOG_TEXT("reason", reason));
    else
        log_info("writes allowed again", beater->node->region);
    if (r >= 0)
        (void)snprintf(beater->refused, sizeof beater->refused, "%s", reason != NULL ? reason : "");
    error_done(&err);
}

static void refuse_or_allow(Beater *beater)
{
    ClockJudge judge = judge_clock(beater);
    rowsd_lock(beater->rowsd);
    bool restored = beater->rowsd->restored;
    bool fresh = beater->rowsd->fresh, refilled = beater->rowsd->refilled;
    rowsd_unlock(beater->rowsd);
    const char *now = beater->refused;
    char reason[ROWSD_TEXT];
    bool ours = begins(now, SKEW_WORDS) || begins(now, BACK_WORDS);
    if (restored) {
        if (!begins(now, RESTORED_WORDS)) {
            say_reason(beater, false, reason);
            change(beater, reason);
        }
        beater->restored_said = begins(beater->refused, RESTORED_WORDS);
    } else if (fresh && !refilled) {
        if (!begins(now, NEW_WORDS)) {
            say_reason(beater, true, reason);
            change(beater, reason);
        }
    } else if (fresh && begins(now, NEW_WORDS)) {
        change(beater, NULL);
    } else if (now[0] != '\0' && !ours) {
        return; // somebody else's
    } else if (judge.fault == CLOCK_FAULT_SKEW && !begins(now, SKEW_WORDS)) {
        (void)snprintf(reason, sizeof reason, SKEW_WORDS "%+lld ms off its peers (limit %lld ms)",
                       (long long)(judge.skew_ns / NS_PER_MS),
                       (long long)(beater->rowsd->settings.max_skew_ns / NS_PER_MS));
        change(beater, reason);
    } else if (judge.fault == CLOCK_FAULT_BACK && !begins(now, BACK_WORDS)) {
        change(beater, BACK_WORDS " below what this region has announced already");
    } else if (judge.fault == CLOCK_FAULT_NONE && ours &&
               (judge.known || mono_since(clock_mono(), beater->started) > SETTLE_NS)) {
        change(beater, NULL);
    }
}

static void forget(Beater *beater)
{
    start_anew(beater);
    rowsd_lock(beater->rowsd);
    beater->rowsd->restored = beater->restored_said = false;
    rowsd_unlock(beater->rowsd);
}

void *rowsd_beat_main(void *context)
{
    Rowsd *rowsd = context;
    Beater beater = {.rowsd = rowsd, .started = clock_mono()};
    beater.mesh = rowsd_open(rowsd, "wildcam-rows beat", UINT64_C(1) << rowsd->own, STATEMENT_NS);
    if (beater.mesh == NULL)
        return NULL;
    beater.node = &beater.mesh->nodes[0];
    Mono next = clock_mono();
    while (rowsd_pause(rowsd, next)) {
        if (mono_since(next, clock_mono()) > 0)
            continue; // kicked for somebody else
        Error err = ERROR_INIT;
        int r = beat_once(&beater, &err);
        if (r < 0)
            note_miss(&beater, &err);
        if (r == ERROR_NOT_FOUND) // another database than before
            forget(&beater);
        if (r >= 0 && beater.federated && !beater.waiting)
            refuse_or_allow(&beater);
        error_done(&err);
        next = beater.waiting ? mono_add(clock_mono(), ASKING_LOOK_NS)
                              : mono_max(mono_add(next, rowsd->settings.beat_ns), clock_mono());
    }
    (void)mesh_free(beater.mesh);
    return NULL;
}
