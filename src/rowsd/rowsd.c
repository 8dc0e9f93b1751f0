// SPDX-License-Identifier: MIT
// rowsd: starts and ends the daemon. Ends: SIGTERM -> HTTP drains, threads are told -> whoever is
// inside a statement that takes long is not waited for: everything here may be killed at any
// moment. SIGHUP reads fleet.yaml again and starts the threads anew with it; when it is not valid
// the old one stays.
#include "rowsd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "alloc.h"
#include "clock.h"
#include "layout.h"
#include "log.h"
#include "options.h"
#include "rowsd_state.h"

#define RETRY_NS (60 * NS_PER_S)
#define OPEN_CONNECT_NS NS_PER_S
#define LINGER_NS (2 * NS_PER_S)

typedef void *ThreadMain(void *context);
static ThreadMain *const MAINS[] = {rowsd_beat_main, rowsd_work_main, rowsd_probe_main,
                                    rowsd_tasks_main};
#define THREADS (sizeof MAINS / sizeof MAINS[0])

typedef struct Daemon {
    Rowsd *rowsd;
    pthread_t threads[THREADS];
    unsigned n_threads;
    uv_loop_t loop;
    uv_signal_t signals[3]; // TERM, INT, HUP
    RowsdHttp *http;
    bool draining;
} Daemon;

bool rowsd_stopping(Rowsd *rowsd)
{
    rowsd_lock(rowsd);
    bool stop = rowsd->stop;
    rowsd_unlock(rowsd);
    return stop;
}

bool rowsd_pause(Rowsd *rowsd, Mono until)
{
    const struct timespec end = {until.ns / NS_PER_S, until.ns % NS_PER_S};
    rowsd_lock(rowsd);
    if (!rowsd->stop && mono_since(until, clock_mono()) > 0)
        (void)pthread_cond_timedwait(&rowsd->wake, &rowsd->lock, &end);
    bool go = !rowsd->stop;
    rowsd_unlock(rowsd);
    return go;
}

void rowsd_kick(Rowsd *rowsd)
{
    rowsd_lock(rowsd);
    (void)pthread_cond_broadcast(&rowsd->wake);
    rowsd_unlock(rowsd);
}

Mesh *rowsd_open(Rowsd *rowsd, const char *application, uint64_t only, int64_t statement_ns)
{
    const MeshOptions options = {.dir = rowsd->dir,
                                 .as = MESH_AS_ROWS,
                                 .from = rowsd->region,
                                 .application = application,
                                 .only = only,
                                 .connect_ns = OPEN_CONNECT_NS,
                                 .statement_ns = statement_ns};
    Mesh *mesh = NULL;
    Error err = ERROR_INIT;
    // Only memory and the configuration can make it fail, and the latter was checked.
    if (mesh_open(rowsd->conf, &options, &mesh, &err) < 0)
        log_error("mesh not opened", application, LOG_TEXT("error", error_text(&err)));
    error_done(&err);
    return mesh;
}

static int set_conf(Rowsd *rowsd, Conf *conf, Error *reterr)
{
    int index = model_find_region(&conf->model, rowsd->region);
    if (index < 0)
        return error_set(reterr, ERROR_USAGE, "'%s' has no region '%s'", conf->path, rowsd->region);
    rowsd->conf = conf;
    rowsd->own = (uint32_t)index;
    rowsd->settings = (RowsdSettings){.beat_ns = conf->rows.beat_ns,
                                      .collect_ns = conf->rows.collect_ns,
                                      .margin_ns = conf->rows.margin_ns,
                                      .retry_ns = RETRY_NS,
                                      .max_lag_ns = conf->rows.max_lag_ns,
                                      .max_skew_ns = conf->model.clock_max_skew_ns,
                                      .rpo_ns = conf->objectives.rpo_ns};
    return 0;
}

// Names and origins, without waiting for anybody's database.
static int set_shape(Rowsd *rowsd, Error *reterr)
{
    const MeshOptions options = {
        .dir = rowsd->dir, .as = MESH_AS_ROWS, .from = rowsd->region, .connect_ns = 1};
    Mesh *mesh = NULL;
    int r = mesh_open(rowsd->conf, &options, &mesh, reterr);
    if (r < 0)
        return r;
    rowsd_facts_init(&rowsd->shape, mesh, rowsd->own);
    // The mesh's texts go with it: these live as long as the configuration.
    const Model *model = &rowsd->conf->model;
    rowsd->shape.region = model->regions[rowsd->own].name;
    rowsd->shape.cloud = model->clouds[model->regions[rowsd->own].cloud].name;
    for (uint32_t i = 0; i < rowsd->shape.n; i++) {
        const ModelRegion *region =
            &model->regions[model_find_region(model, rowsd->shape.links[i].region)];
        rowsd->shape.links[i].region = region->name;
        rowsd->shape.links[i].cloud = model->clouds[region->cloud].name;
    }
    (void)mesh_free(mesh);
    rowsd->facts = rowsd->shape;
    return 0;
}

static int rowsd_init(Rowsd *rowsd, Error *reterr)
{
    Conf *conf = NULL;
    int r = conf_load(rowsd->fleet, &conf, NULL, reterr);
    if (r < 0)
        return r;
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&rowsd->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&rowsd->lock, NULL);
    r = set_conf(rowsd, conf, reterr);
    if (r < 0) {
        (void)conf_free(conf);
        return r;
    }
    return set_shape(rowsd, reterr);
}

static int start_threads(Daemon *daemon, Error *reterr)
{
    sigset_t all, before;
    (void)sigfillset(&all); // signals are for the loop's thread
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = 0;
    while (r == 0 && daemon->n_threads < THREADS) {
        r = pthread_create(&daemon->threads[daemon->n_threads], NULL, MAINS[daemon->n_threads],
                           daemon->rowsd);
        daemon->n_threads += r == 0 ? 1 : 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r == 0 ? 0 : error_errno(reterr, r, "start a thread");
}

// True: all have ended.
static bool stop_threads(Daemon *daemon)
{
    rowsd_lock(daemon->rowsd);
    daemon->rowsd->stop = true;
    (void)pthread_cond_broadcast(&daemon->rowsd->wake);
    rowsd_unlock(daemon->rowsd);
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += LINGER_NS / NS_PER_S;
    unsigned left = 0;
    for (unsigned i = 0; i < daemon->n_threads; i++)
        left += pthread_clockjoin_np(daemon->threads[i], NULL, CLOCK_MONOTONIC, &end) == 0 ? 0 : 1;
    daemon->n_threads = 0;
    return left == 0;
}

static void on_drained(void *context)
{
    Daemon *daemon = context;
    daemon->http = rowsd_http_free(daemon->http);
    for (unsigned i = 0; i < ARRAY_SIZE(daemon->signals); i++)
        uv_close((uv_handle_t *)&daemon->signals[i], NULL);
}

// The new file is checked here and read by the next process: connections, names and settings all
// hang on it, and a restart costs a second of heartbeats.
static void reload(Daemon *daemon)
{
    Conf *conf = NULL;
    Error err = ERROR_INIT;
    if (conf_load(daemon->rowsd->fleet, &conf, NULL, &err) < 0) {
        log_error("configuration refused", daemon->rowsd->fleet,
                  LOG_TEXT("error", error_text(&err)));
    } else if (conf->model.config_hash == daemon->rowsd->conf->model.config_hash) {
        log_info("configuration unchanged", daemon->rowsd->fleet);
    } else {
        char path[4096];
        ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
        const char *const args[] = {"wildcam-rows",
                                    "serve",
                                    "--fleet",
                                    daemon->rowsd->fleet,
                                    "--dir",
                                    daemon->rowsd->dir,
                                    "--region",
                                    daemon->rowsd->region,
                                    NULL};
        log_info("configuration changed, starting anew", daemon->rowsd->fleet);
        if (n > 0) {
            path[n] = '\0';
            (void)execv(path, (char *const *)(uintptr_t)args);
        }
        log_error("not started anew", path, LOG_TEXT("error", strerror(errno)));
    }
    error_done(&err);
    (void)conf_free(conf);
}

static void on_signal(uv_signal_t *signal, int number)
{
    Daemon *daemon = signal->data;
    if (number == SIGHUP) {
        reload(daemon);
    } else if (!daemon->draining) {
        daemon->draining = true;
        log_info("draining", daemon->rowsd->region, LOG_NUMBER("signal", number));
        rowsd_http_drain(daemon->http, on_drained, daemon);
    }
}

static int open_loop(Daemon *daemon, Error *reterr)
{
    static const int NUMBERS[] = {SIGTERM, SIGINT, SIGHUP};
    LayoutPath socket;
    int r = layout_socket(daemon->rowsd->dir, daemon->rowsd->region, "rows.sock", &socket, reterr);
    if (r < 0)
        return r;
    r = uv_loop_init(&daemon->loop);
    if (r < 0)
        return error_set(reterr, r, "make the loop");
    r = rowsd_http_new(&daemon->loop, daemon->rowsd, socket.text, &daemon->http, reterr);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < ARRAY_SIZE(NUMBERS); i++) {
        (void)uv_signal_init(&daemon->loop, &daemon->signals[i]);
        daemon->signals[i].data = daemon;
        (void)uv_signal_start(&daemon->signals[i], on_signal, NUMBERS[i]);
    }
    log_info("listening", daemon->rowsd->region, LOG_TEXT("socket", socket.text));
    return 0;
}

static int serve(Daemon *daemon, Error *reterr)
{
    (void)signal(SIGPIPE, SIG_IGN);
    int r = rowsd_init(daemon->rowsd, reterr);
    if (r >= 0)
        r = open_loop(daemon, reterr);
    if (r < 0)
        return r;
    r = start_threads(daemon, reterr);
    if (r >= 0)
        (void)uv_run(&daemon->loop, UV_RUN_DEFAULT);
    bool ended = stop_threads(daemon);
    log_info("ended", daemon->rowsd->region);
    if (!ended) // inside a statement: the server ends it with the connection
        _exit(error_exit_code(r));
    daemon->http = rowsd_http_free(daemon->http);
    (void)uv_run(&daemon->loop, UV_RUN_NOWAIT);
    (void)uv_loop_close(&daemon->loop);
    (void)conf_free(daemon->rowsd->conf);
    return r;
}

int rows_serve(int argc, char **argv, Error *reterr)
{
    const char *fleet = "fleet.yaml", *dir = "run", *region = NULL;
    const Option options[] = {
        {"fleet", "FILE", "fleet.yaml (default ./fleet.yaml)", &fleet, NULL},
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"region", "REGION", "the region whose database it keeps", &region, NULL},
    };
    int operands;
    int r = options_of_verb("wildcam-rows serve", "--region REGION [--fleet FILE] [--dir DIR]",
                            "The daemon of one region's part of the mesh.", options,
                            ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    if (operands > 0)
        return error_set(reterr, ERROR_USAGE, "unexpected operand '%s'", argv[1]);
    if (region == NULL)
        return error_set(reterr, ERROR_USAGE, "--region is missing");
    LayoutPath absolute;
    r = layout_absolute(dir, &absolute, reterr);
    if (r < 0)
        return r;
    Daemon daemon = {.rowsd = alloc_zeroed(1, sizeof(Rowsd))};
    if (daemon.rowsd == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the daemon");
    daemon.rowsd->fleet = fleet;
    daemon.rowsd->dir = absolute.text;
    daemon.rowsd->region = region;
    log_open("rows", region, LOG_LEVEL_INFO);
    r = serve(&daemon, reterr);
    free(daemon.rowsd);
    return r;
}
