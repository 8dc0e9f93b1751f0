// SPDX-License-Identifier: MIT
// rowsd_mend: a change that cannot be applied must not stop its stream. While an apply worker is in
// a loop every federated table here is merged change by change (wildcam.guard): what fails becomes
// a dead letter with its SQLSTATE, and the stream goes on. That costs a subtransaction a row, so it
// ends when nothing new has failed for a while; if a loop comes back at once, it stays longer. Dead
// letters are tried again every minute and as soon as a table's shape has changed.
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "rowsd_state.h"

#define HOLD_NS (60 * NS_PER_S)
#define HOLD_MAX_NS (3600 * NS_PER_S)
#define LOCK_TIMEOUT "SET lock_timeout = '2s'; "

static bool any_loop(const RowsdFacts *facts)
{
    for (uint32_t i = 0; i < facts->n; i++)
        if (facts->links[i].looping)
            return true;
    return false;
}

static int set_guard(Mesh *mesh, bool guarded, Error *reterr)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   LOCK_TIMEOUT "SELECT wildcam.guard(number, %s) FROM wildcam.federated WHERE "
                                "guarded <> %s; RESET lock_timeout",
                   guarded ? "true" : "false", guarded ? "true" : "false");
    return mesh_script(mesh, &mesh->nodes[0], sql, reterr);
}

static void guard(RowsdMend *mend, Mesh *mesh, bool guarded, Mono now)
{
    Error err = ERROR_INIT;
    if (set_guard(mesh, guarded, &err) < 0) {
        log_warning("guard not changed", mesh->nodes[0].region,
                    LOG_TEXT("error", error_text(&err)));
    } else {
        log_at(guarded ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
               guarded ? "changes are applied one by one" : "changes are applied as usual again",
               mesh->nodes[0].region);
        if (guarded) {
            bool soon = mend->hold_ns > 0 && mono_since(now, mend->quiet_since) < 2 * mend->hold_ns;
            mend->hold_ns = soon ? mend->hold_ns * 2 : HOLD_NS;
            if (mend->hold_ns > HOLD_MAX_NS)
                mend->hold_ns = HOLD_MAX_NS;
            mend->guarded_at = now;
        }
        mend->guarded = guarded;
        mend->quiet_since = now;
    }
    error_done(&err);
}

static void retry(RowsdMend *mend, Mesh *mesh, const RowsdFacts *facts, Mono now)
{
    mend->retried = now;
    (void)snprintf(mend->digest, sizeof mend->digest, "%s", facts->digest);
    PGresult *result = NULL;
    Error err = ERROR_INIT;
    int r = mesh_query(mesh, &mesh->nodes[0], "SELECT * FROM wildcam.retry_dead_letters()", 0, NULL,
                       &result, &err);
    if (r < 0)
        log_warning("dead letters not tried again", mesh->nodes[0].region,
                    LOG_TEXT("error", error_text(&err)));
    else if (PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), "0") != 0)
        log_info("dead letters merged", mesh->nodes[0].region,
                 LOG_TEXT("merged", PQgetvalue(result, 0, 0)),
                 LOG_TEXT("remaining", PQgetvalue(result, 0, 1)));
    PQclear(result);
    error_done(&err);
}

void rowsd_mend(Rowsd *rowsd, RowsdMend *mend, Mesh *mesh, const RowsdFacts *facts, Mono now)
{
    bool loop = any_loop(facts);
    if (facts->dead_letters > mend->letters) {
        log_warning("parked as dead letter", facts->region,
                    LOG_NUMBER("letters", facts->dead_letters),
                    LOG_TEXT("newest", facts->dead_letter));
        mend->quiet_since = now;
        mend->retried = now; // it has just failed
    }
    mend->letters = facts->dead_letters;
    if (loop)
        mend->quiet_since = now;
    // Guarded by an earlier run of the daemon: the hold starts anew.
    if (!mend->guarded && facts->guarded > 0 && mend->hold_ns == 0) {
        mend->guarded = true;
        mend->hold_ns = HOLD_NS;
        mend->quiet_since = now;
    }
    if (loop && facts->guarded < facts->tables)
        guard(mend, mesh, true, now);
    else if (mend->guarded && facts->guarded > 0 && !loop &&
             mono_since(now, mend->quiet_since) > mend->hold_ns)
        guard(mend, mesh, false, now);
    bool changed = strcmp(mend->digest, facts->digest) != 0;
    if (facts->dead_letters > 0 &&
        (changed || mono_since(now, mend->retried) > rowsd->settings.retry_ns))
        retry(mend, mesh, facts, now);
}
