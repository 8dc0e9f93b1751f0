// SPDX-License-Identifier: MIT
// drill_rows: see drill_rows.h. The databases are asked in a child (drill_task.c), which may hang
// with them while plans are watched and signals are heard.
//
// Converged: each region's watermark of every other one is younger than the end of the fault, by
// the clock of the one that wrote it. Watermarks travel with the rows, so everything that was
// committed before is there too. They move once a beat, so the figure has its grain (1 s).
#include "drill_rows.h"

#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "camera_request.h"
#include "clock.h"
#include "drill_acts.h"
#include "drill_state.h"
#include "files.h"
#include "mesh.h"

#define CONVERGED_MAX_NS (60 * NS_PER_S)
#define EQUAL_MAX_NS (15 * NS_PER_S)
#define LOOK_NS (50 * NS_PER_MS)
#define SAME_ROWS 100
#define TABLES_MAX_NS (5 * NS_PER_S)

typedef struct RowsQuestion {
    const DrillOptions *options;
    const Model *model;
    const char *param;
    uint64_t run;
    int64_t most_ns;
} RowsQuestion;

static Mesh *open_mesh(const RowsQuestion *question, Error *reterr)
{
    Mesh *mesh = NULL;
    const MeshOptions options = {.dir = question->options->dir,
                                 .as = MESH_AS_OWNER,
                                 .application = "wildcam drill",
                                 .connect_ns = NS_PER_S,
                                 .statement_ns = 5 * NS_PER_S};
    return mesh_open(question->options->conf, &options, &mesh, reterr) < 0 ? NULL : mesh;
}

static void pause_look(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
}

static int tell(int out, const char *text)
{
    return files_write_all(out, text, strlen(text), NULL) == 0 ? 0 : 1;
}

typedef enum RowsState {
    ROWS_NOT_YET,
    ROWS_HOLDS,
    ROWS_NOT_FEDERATED,
} RowsState;

// Every answer says "t".
static RowsState look(Mesh *mesh, const char *sql, const char *param)
{
    MeshAnswer *answers = alloc_zeroed(mesh->n, sizeof *answers);
    if (answers == NULL)
        return ROWS_NOT_YET;
    (void)mesh_reconnect(mesh);
    int n = param != NULL ? 1 : 0;
    bool all = mesh_each(mesh, sql, n, &param, answers) == 0, federated = true;
    for (uint32_t i = 0; i < mesh->n; i++) {
        const PGresult *result = answers[i].result;
        if (result != NULL && PQntuples(result) == 1)
            all = all && PQgetvalue(result, 0, 0)[0] == 't';
        else if (strcmp(mesh->nodes[i].sqlstate, "42P01") == 0)
            federated = false;
    }
    mesh_answers_done(answers, mesh->n);
    free(answers);
    return !federated ? ROWS_NOT_FEDERATED : all ? ROWS_HOLDS : ROWS_NOT_YET;
}

static int await_watermarks(const void *context, int out)
{
    static const char SQL[] =
        "SELECT count(*) = (SELECT count(*) - 1 FROM wildcam.node WHERE state = 'active') AND "
        "count(*) > 0 FROM wildcam.watermark k JOIN wildcam.node n ON n.origin = k.origin "
        "WHERE n.state = 'active' AND k.node = wildcam.me() AND k.origin <> k.node AND "
        "k.ts >= to_timestamp($1::double precision)";
    const RowsQuestion *question = context;
    Mono end = mono_add(clock_mono(), question->most_ns);
    Error err CLEANUP(error_done) = ERROR_INIT;
    Mesh *mesh = open_mesh(question, &err);
    RowsState state = ROWS_NOT_YET;
    while (mesh != NULL && (state = look(mesh, SQL, question->param)) != ROWS_HOLDS &&
           clock_mono().ns < end.ns)
        pause_look();
    (void)mesh_free(mesh);
    return tell(out, state == ROWS_HOLDS ? "converged" : "late");
}

static int await_tables(const void *context, int out)
{
    static const char SQL[] = "SELECT count(*) >= 0 FROM wildcam.node";
    const RowsQuestion *question = context;
    Mono end = mono_add(clock_mono(), question->most_ns);
    Error err CLEANUP(error_done) = ERROR_INIT;
    Mesh *mesh = open_mesh(question, &err);
    RowsState state = ROWS_NOT_YET;
    while (mesh != NULL && (state = look(mesh, SQL, NULL)) == ROWS_NOT_YET &&
           clock_mono().ns < end.ns)
        pause_look();
    (void)mesh_free(mesh);
    return tell(out, state == ROWS_NOT_FEDERATED ? "none" : "there");
}

int drill_note_federated(Drill *drill)
{
    const RowsQuestion question = {drill->options, drill->model, NULL, 0, TABLES_MAX_NS};
    Buf answer CLEANUP(buf_done) = BUF_INIT(0);
    int code = 0;
    int r =
        drill_task(drill, await_tables, &question, TABLES_MAX_NS + 10 * NS_PER_S, &code, &answer);
    drill->federated = strcmp(buf_text(&answer), "none") != 0;
    return r;
}

int drill_wait_converged(Drill *drill)
{
    if (!drill->federated)
        return 0;
    char when[32];
    int64_t ago_ns = mono_since(clock_mono(), drill->healed);
    (void)snprintf(when, sizeof when, "%.6f", (double)(clock_wall().ns - ago_ns) / 1e9);
    const RowsQuestion question = {drill->options, drill->model, when, drill->run,
                                   CONVERGED_MAX_NS};
    Buf answer CLEANUP(buf_done) = BUF_INIT(0);
    int code = 0;
    drill_say("waiting for the databases to have everything");
    int r = drill_task(drill, await_watermarks, &question, CONVERGED_MAX_NS + 10 * NS_PER_S, &code,
                       &answer);
    if (r < 0)
        return r;
    drill->report->converged_ms = strcmp(buf_text(&answer), "converged") == 0
                                      ? (double)mono_since(clock_mono(), drill->healed) / 1e6
                                      : FIGURE_NEVER;
    return 0;
}

// Regions whose rows of the run are others than the first one's; -1: one did not answer.
static int differing(Mesh *mesh, const char *pattern)
{
    static const char SQL[] =
        "SELECT count(*) || ':' || coalesce(sum(hash_record_extended(d, 0)::numeric), 0) "
        "FROM public.detections d WHERE idempotency_key LIKE $1";
    MeshAnswer *answers = alloc_zeroed(mesh->n, sizeof *answers);
    if (answers == NULL)
        return -1;
    (void)mesh_reconnect(mesh);
    int n = mesh_each(mesh, SQL, 1, &pattern, answers) == 0 ? 0 : -1;
    for (uint32_t i = 1; i < mesh->n && n >= 0; i++)
        n += strcmp(PQgetvalue(answers[i].result, 0, 0), PQgetvalue(answers[0].result, 0, 0)) != 0;
    mesh_answers_done(answers, mesh->n);
    free(answers);
    return n;
}

static int compare(const void *context, int out)
{
    const RowsQuestion *question = context;
    Mono end = mono_add(clock_mono(), question->most_ns);
    char pattern[64], text[16];
    Error err CLEANUP(error_done) = ERROR_INIT;
    Mesh *mesh = open_mesh(question, &err);
    int n = -1;
    (void)snprintf(pattern, sizeof pattern, CAMERA_KEY_PREFIX "%%", question->run);
    while (mesh != NULL && (n = differing(mesh, pattern)) != 0 && clock_mono().ns < end.ns)
        pause_look();
    (void)mesh_free(mesh);
    (void)snprintf(text, sizeof text, "%d", n);
    return tell(out, text);
}

int drill_compare_rows(Drill *drill)
{
    const RowsQuestion question = {drill->options, drill->model, NULL, drill->run, EQUAL_MAX_NS};
    Buf answer CLEANUP(buf_done) = BUF_INIT(0);
    int code = 0;
    int r = drill_task(drill, compare, &question, EQUAL_MAX_NS + 10 * NS_PER_S, &code, &answer);
    if (r < 0)
        return r;
    int n = atoi(buf_text(&answer));
    drill->report->rows_differ = n < 0 ? FIGURE_NEVER : n;
    return 0;
}

// Rows with the keys of this run, so that they are compared with all others at the end.
static int write_everywhere(const void *context, int out)
{
    static const char SQL[] =
        "INSERT INTO public.detections (id, device, taken_at, species, confidence, "
        "idempotency_key, _origin) SELECT md5($1 || n)::uuid, 'drill', to_timestamp(n), "
        "'written by origin ' || wildcam.me(), 0.5, $1 || n, wildcam.me() "
        "FROM generate_series(1, $2::integer) n";
    const RowsQuestion *question = context;
    char key[64], count[16];
    (void)snprintf(key, sizeof key, CAMERA_KEY_PREFIX "same-", question->run);
    (void)snprintf(count, sizeof count, "%d", SAME_ROWS);
    const char *const params[] = {key, count};
    Error err CLEANUP(error_done) = ERROR_INIT;
    Mesh *mesh = open_mesh(question, &err);
    int r = mesh != NULL ? 0 : 1;
    uint64_t done = 0; // clouds
    for (uint32_t i = 0; mesh != NULL && r == 0 && i < mesh->n; i++) {
        uint64_t cloud = UINT64_C(1) << question->model->regions[i].cloud;
        if ((done & cloud) != 0)
            continue;
        done |= cloud;
        r = mesh_query(mesh, &mesh->nodes[i], SQL, 2, params, NULL, &err);
    }
    (void)mesh_free(mesh);
    if (r != 0)
        (void)tell(out, error_text(&err));
    return r == 0 ? 0 : 1;
}

int act_disagree(Drill *drill)
{
    int r = act_wish(drill);
    if (r < 0)
        return r;
    const RowsQuestion question = {drill->options, drill->model, NULL, drill->run, 0};
    Buf answer CLEANUP(buf_done) = BUF_INIT(0);
    int code = 0;
    r = drill_task(drill, write_everywhere, &question, 20 * NS_PER_S, &code, &answer);
    if (r == 0 && code != 0)
        r = error_set(drill->reterr, ERROR_UNAVAILABLE, "write the same rows on all sides: %s",
                      buf_text(&answer));
    return r;
}

// As the folder's owner: it is that user's, links in it included.
static int delete_folder(const void *context, int out)
{
    const char *folder = context;
    struct stat st;
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = 0;
    if (lstat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
        r = error_set(&err, ERROR_NOT_FOUND, "%s is no folder", folder);
    else if (geteuid() == 0 &&
             (setgroups(0, NULL) < 0 || setgid(st.st_gid) < 0 || setuid(st.st_uid) < 0))
        r = error_set(&err, ERROR_UNAVAILABLE, "cannot become the owner of %s", folder);
    else
        r = files_remove_tree(folder, &err);
    if (r < 0)
        (void)tell(out, error_text(&err));
    return r < 0 ? 1 : 0;
}

int act_delete_database(Drill *drill)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < drill->model->n_regions; i++) {
        if (!drill_is_target(drill, i))
            continue;
        LayoutPath folder = layout_region(drill->options->dir, drill->model->regions[i].name, "pg");
        Buf answer CLEANUP(buf_done) = BUF_INIT(0);
        int code = 0;
        r = drill_task(drill, delete_folder, folder.text, 30 * NS_PER_S, &code, &answer);
        if (r == 0 && code != 0)
            r = error_set(drill->reterr, ERROR_UNAVAILABLE, "delete the database: %s",
                          buf_text(&answer));
    }
    return r;
}
