// SPDX-License-Identifier: MIT
// rowsd_tasks: what takes long: making the node what it should be, a link anew after its slot was
// lost, filling what a silent region's survivors hold. One thing at a time, gaps first, on
// connections of its own; a statement that hangs holds up nothing but this. Interrupted anywhere,
// it is found missing again at the next start.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "ensure.h"
#include "fill.h"
#include "log.h"
#include "rowsd_cause.h"
#include "rowsd_state.h"

#define STATEMENT_NS (30 * NS_PER_S)
#define ROUND_NS NS_PER_S
#define LOCK_NS (2 * NS_PER_S)
#define BACKOFF_MAX_NS (10 * NS_PER_S)
#define EXPLAIN_NS (5 * NS_PER_S)
#define GAP_AGAIN_NS (10 * NS_PER_S)

typedef struct Tasks {
    Rowsd *rowsd;
    Mesh *mesh;
    MeshNode *own;
    Mono ensure_at, explained_at; // not before
    int64_t backoff_ns;
    char ensure_error[ROWSD_TEXT];
    Mono gap_at;      // no gap is filled before: the last try failed
    uint32_t filling; // link index, for the progress
} Tasks;

static bool on_progress(void *context, const FillProgress *progress)
{
    Tasks *tasks = context;
    Rowsd *rowsd = tasks->rowsd;
    rowsd_lock(rowsd);
    rowsd->tasks[tasks->filling].rows = progress->rows + progress->tombstones;
    rowsd->tasks[tasks->filling].expected = progress->expected;
    bool stop = rowsd->stop;
    rowsd_unlock(rowsd);
    return !stop;
}

static void set_task(Rowsd *rowsd, uint32_t link, bool rejoining, bool gap, const char *error)
{
    rowsd_lock(rowsd);
    LinkTask *task = &rowsd->tasks[link];
    *task = (LinkTask){.rejoining = rejoining, .gap = gap};
    (void)snprintf(task->error, sizeof task->error, "%s", error);
    rowsd_unlock(rowsd);
}

// One giver's versions of one origin.
static int fill_from(Tasks *tasks, uint32_t giver, uint32_t origin, int64_t since_us,
                     FillProgress *ret_done, Error *reterr)
{
    Rowsd *rowsd = tasks->rowsd;
    MeshNode *node = mesh_find(tasks->mesh, rowsd->shape.links[giver].region);
    const uint8_t origins[] = {(uint8_t)origin};
    const FillWanted wanted = {.n_origins = 1, .origins = origins, .since_us = since_us};
    if (node == NULL || node->conn == NULL)
        return error_set(reterr, ERROR_UNAVAILABLE, "%s is not connected",
                         rowsd->shape.links[giver].region);
    return mesh_fill(tasks->mesh, node, tasks->own, &wanted, on_progress, tasks, ret_done, reterr);
}

static void say_fill(const char *msg, const char *region, const char *giver, int r,
                     const FillProgress *done, const Error *err)
{
    if (r >= 0)
        log_info(msg, region, LOG_TEXT("from", giver), LOG_NUMBER("rows", done->rows),
                 LOG_NUMBER("tombstones", done->tombstones));
    else
        log_warning(msg, region, LOG_TEXT("from", giver), LOG_TEXT("error", error_text(err)));
}

static void fill_gap(Tasks *tasks, uint32_t link)
{
    Rowsd *rowsd = tasks->rowsd;
    if (mono_since(clock_mono(), tasks->gap_at) < 0)
        return;
    rowsd_lock(rowsd);
    uint64_t givers = rowsd->gaps[link].givers;
    int64_t since_us = rowsd->facts.links[link].in.safe_us;
    rowsd->gaps[link].busy = givers != 0;
    rowsd->gaps[link].givers = 0;
    rowsd_unlock(rowsd);
    if (givers == 0)
        return;
    tasks->filling = link;
    set_task(rowsd, link, false, true, "");
    uint64_t filled = 0;
    for (uint32_t i = 0; i < rowsd->shape.n && !rowsd_stopping(rowsd); i++) {
        if ((givers >> i & 1) == 0)
            continue;
        FillProgress done = {0};
        Error err = ERROR_INIT;
        int r = fill_from(tasks, i, rowsd->shape.links[link].origin, since_us, &done, &err);
        say_fill("gap filled between survivors", rowsd->shape.links[link].region,
                 rowsd->shape.links[i].region, r, &done, &err);
        if (r >= 0)
            filled |= UINT64_C(1) << i;
        else
            tasks->gap_at = mono_add(clock_mono(), GAP_AGAIN_NS);
        error_done(&err);
    }
    set_task(rowsd, link, false, false, "");
    rowsd_lock(rowsd);
    rowsd->gaps[link].busy = false;
    rowsd->gaps[link].filled |= filled;
    rowsd->gap_fills += filled != 0 ? 1 : 0;
    rowsd_unlock(rowsd);
}

// Can this link give back what we once wrote? False also when it has.
static bool may_give_back(Rowsd *rowsd, uint32_t link)
{
    rowsd_lock(rowsd);
    bool due = rowsd->fresh && rowsd->ensured && rowsd->facts.federated &&
               rowsd->probes[link].reachable && (rowsd->own_filled >> link & 1) == 0;
    rowsd_unlock(rowsd);
    return due;
}

// A new database: what it once wrote is held by the others only. It takes writes again when all
// that can be reached have given it back.
static void fill_own(Tasks *tasks)
{
    Rowsd *rowsd = tasks->rowsd;
    bool failed = false;
    for (uint32_t i = 0; i < rowsd->shape.n && !rowsd_stopping(rowsd); i++) {
        if (!may_give_back(rowsd, i))
            continue;
        FillProgress done = {0};
        Error err = ERROR_INIT;
        tasks->filling = i;
        int r = fill_from(tasks, i, rowsd->shape.origin, 0, &done, &err);
        say_fill("own rows of before filled", rowsd->region, rowsd->shape.links[i].region, r, &done,
                 &err);
        rowsd_lock(rowsd);
        if (r >= 0)
            rowsd->own_filled |= UINT64_C(1) << i;
        rowsd_unlock(rowsd);
        failed = failed || r < 0;
        error_done(&err);
        set_task(rowsd, i, false, false, "");
    }
    rowsd_lock(rowsd);
    if (rowsd->fresh && !failed && rowsd->own_filled != 0)
        rowsd->refilled = true;
    rowsd_unlock(rowsd);
}

// Our half only, as one transaction: half of it would look like a subscription that an operator has
// disabled. What is left of the slot goes when the link is made anew.
static int drop_subscription(Tasks *tasks, const RowsdLink *names, Error *reterr)
{
    char sql[512 + 4 * MESH_NAME_MAX];
    (void)snprintf(sql, sizeof sql,
                   "BEGIN; ALTER SUBSCRIPTION \"%s\" DISABLE; ALTER SUBSCRIPTION \"%s\" SET "
                   "(slot_name = NONE); DROP SUBSCRIPTION \"%s\"; UPDATE wildcam.link SET state = "
                   "'new', since = now(), error = 'its slot was lost' WHERE origin = %u; COMMIT",
                   names->in_name, names->in_name, names->in_name, names->origin);
    int r = mesh_script(tasks->mesh, tasks->own, sql, reterr);
    if (r < 0 && tasks->own->conn != NULL &&
        mesh_script(tasks->mesh, tasks->own, "ROLLBACK", NULL) < 0)
        log_debug("not rolled back", tasks->own->region);
    return r;
}

// The slot is gone: nothing of what was written since can come by the stream any more.
static void rejoin(Tasks *tasks, uint32_t link)
{
    Rowsd *rowsd = tasks->rowsd;
    const RowsdLink *names = &rowsd->shape.links[link];
    log_warning("slot lost, the link is made anew", names->region,
                LOG_TEXT("slot", names->in_name));
    set_task(rowsd, link, true, false, "");
    Error err = ERROR_INIT;
    int r = mesh_lock(tasks->mesh, tasks->own, LOCK_NS, &err);
    if (r >= 0) {
        r = drop_subscription(tasks, names, &err);
        mesh_unlock(tasks->mesh, tasks->own);
    }
    if (r < 0)
        log_warning("subscription not dropped", names->region, LOG_TEXT("error", error_text(&err)));
    rowsd_lock(rowsd);
    rowsd->rejoin &= ~(UINT64_C(1) << link);
    if (r >= 0) {
        rowsd->rejoins++;
        rowsd->ensure = true;
    }
    rowsd_unlock(rowsd);
    tasks->ensure_at = clock_mono();
    set_task(rowsd, link, false, false, r < 0 ? error_text(&err) : "");
    error_done(&err);
}

static void ensure(Tasks *tasks)
{
    Rowsd *rowsd = tasks->rowsd;
    Mono now = clock_mono();
    rowsd_lock(rowsd);
    bool due = !rowsd->ensured || rowsd->ensure;
    rowsd_unlock(rowsd);
    if (!due || mono_since(now, tasks->ensure_at) < 0)
        return;
    const EnsureOptions options = {.last = ENSURE_STEP_MAX};
    EnsureDone done = {0};
    Error err = ERROR_INIT;
    int r = mesh_ensure_node(tasks->mesh, tasks->own, &options, &done, &err);
    bool complete = r >= 0 && done.missing == 0;
    tasks->backoff_ns = complete                                 ? 0
                        : tasks->backoff_ns == 0                 ? NS_PER_S
                        : tasks->backoff_ns * 2 > BACKOFF_MAX_NS ? BACKOFF_MAX_NS
                                                                 : tasks->backoff_ns * 2;
    tasks->ensure_at = mono_add(clock_mono(), complete ? ROUND_NS : tasks->backoff_ns);
    rowsd_lock(rowsd);
    rowsd->ensured = rowsd->ensured || r >= 0;
    rowsd->ensure = false; // the work thread says so again when links are missing
    rowsd_unlock(rowsd);
    const char *text = r < 0 ? error_text(&err) : "";
    if (r < 0 && strcmp(tasks->ensure_error, text) != 0)
        log_warning("node not made what it should be", rowsd->region, LOG_TEXT("error", text));
    else if (r >= 0 && (done.statements > 0 || done.subscriptions > 0 || done.fills > 0))
        log_info("node made what it should be", rowsd->region,
                 LOG_NUMBER("statements", done.statements),
                 LOG_NUMBER("subscriptions", done.subscriptions), LOG_NUMBER("fills", done.fills),
                 LOG_NUMBER("missing", done.missing));
    (void)snprintf(tasks->ensure_error, sizeof tasks->ensure_error, "%s", text);
    error_done(&err);
}

static void explain(Tasks *tasks)
{
    Rowsd *rowsd = tasks->rowsd;
    Mono now = clock_mono();
    if (mono_since(now, tasks->explained_at) < 0)
        return;
    rowsd_lock(rowsd);
    uint64_t links = rowsd->explain;
    rowsd->explain = 0;
    rowsd_unlock(rowsd);
    for (uint32_t i = 0; i < rowsd->shape.n; i++) {
        if ((links >> i & 1) == 0)
            continue;
        const RowsdLink *names = &rowsd->shape.links[i];
        char text[ROWSD_TEXT] = "";
        const CauseWanted wanted = {.mesh = tasks->mesh,
                                    .own = tasks->own,
                                    .publisher = mesh_find(tasks->mesh, names->region),
                                    .subscription = names->in_name,
                                    .dir = rowsd->dir};
        rowsd_cause_find(&wanted, text, sizeof text);
        rowsd_lock(rowsd);
        bool news = text[0] != '\0' && strcmp(rowsd->causes[i], text) != 0;
        if (news)
            memcpy(rowsd->causes[i], text, sizeof text);
        rowsd_unlock(rowsd);
        if (news)
            log_warning("apply error", names->region, LOG_TEXT("cause", text));
        tasks->explained_at = mono_add(now, EXPLAIN_NS);
    }
}

static void round_of(Tasks *tasks)
{
    Rowsd *rowsd = tasks->rowsd;
    (void)mesh_reconnect(tasks->mesh);
    if (tasks->own->conn == NULL)
        return;
    for (uint32_t i = 0; i < rowsd->shape.n && !rowsd_stopping(rowsd); i++)
        fill_gap(tasks, i);
    explain(tasks);
    for (uint32_t i = 0; i < rowsd->shape.n && !rowsd_stopping(rowsd); i++) {
        rowsd_lock(rowsd);
        bool due = (rowsd->rejoin >> i & 1) != 0;
        rowsd_unlock(rowsd);
        if (due)
            rejoin(tasks, i);
    }
    if (!rowsd_stopping(rowsd))
        ensure(tasks);
    fill_own(tasks);
}

void *rowsd_tasks_main(void *context)
{
    Rowsd *rowsd = context;
    Tasks tasks = {.rowsd = rowsd};
    tasks.mesh = rowsd_open(rowsd, "wildcam-rows tasks", 0, STATEMENT_NS);
    if (tasks.mesh == NULL)
        return NULL;
    tasks.own = mesh_find(tasks.mesh, rowsd->region);
    do
        round_of(&tasks);
    while (rowsd_pause(rowsd, mono_add(clock_mono(), ROUND_NS)));
    (void)mesh_free(tasks.mesh);
    return NULL;
}
