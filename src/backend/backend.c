// SPDX-License-Identifier: MIT
// backend: see backend.h. The API listens once the database answers, so that a restarted replica
// refuses nothing; but after OPEN_NS at the latest: one whose database is away says so by 503 and
// by its health instead of not being there. Ends: signal -> drain -> API and storage freed -> the
// loop runs out. A migration that hangs in its thread does not keep the process: after LINGER_MS it
// ends anyway.
#include "backend.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "api.h"
#include "bounds.h"
#include "buf.h"
#include "clock.h"
#include "conf.h"
#include "database.h"
#include "layout.h"
#include "log.h"
#include "migrate.h"
#include "options.h"
#include "parse.h"
#include "replication_name.h"
#include "storage.h"

#define GRACE_NS (5 * NS_PER_S)
#define OPEN_NS (2 * NS_PER_S)
#define OPEN_LOOK_MS 5
#define LINGER_MS 500
#define MIGRATE_NS (10 * NS_PER_S) // how long --migrate waits for the database

typedef struct Arguments {
    const char *fleet, *dir, *region, *replica;
    bool migrate, help;
} Arguments;

typedef struct Backend {
    const ModelRegion *region;
    const char *cloud;
    uint64_t replica;
    LayoutPath socket;
    Buf conninfo, name; // name: "us-west-2/1"
    Buf slots;          // of other clouds' databases: {a,b}; empty: durability local
    bool degrade;
    uv_loop_t loop;
    uv_signal_t signals[3]; // TERM, INT, HUP
    uv_timer_t linger, opening;
    Mono listen_at; // whether the database answers or not
    Storage *storage;
    Api *api;
    bool draining;
    int result; // of listening
    Error *reterr;
} Backend;

static int parse_arguments(int argc, char **argv, Arguments *arguments, Error *reterr)
{
    const Option options[] = {
        {"fleet", "FILE", "fleet.yaml (default ./fleet.yaml)", &arguments->fleet, NULL},
        {"dir", "DIR", "state folder (default ./run)", &arguments->dir, NULL},
        {"region", "REGION", "the region of this replica", &arguments->region, NULL},
        {"replica", "N", "its number in the region, from 1", &arguments->replica, NULL},
        {"migrate", NULL, "bring the database's schema up to date and end", NULL,
         &arguments->migrate},
        {"help", NULL, "print this", NULL, &arguments->help},
    };
    int operands;
    int r = options_parse(options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r < 0)
        return r;
    if (arguments->help) {
        (void)puts("usage: wildcam-backend --region REGION (--replica N | --migrate)\n"
                   "One replica of the camera API.\n");
        options_help(options, ARRAY_SIZE(options));
        return 0;
    }
    if (operands > 0)
        return error_set(reterr, ERROR_USAGE, "unexpected operand '%s'", argv[1]);
    if (arguments->region == NULL)
        return error_set(reterr, ERROR_USAGE, "--region is missing");
    if (arguments->replica == NULL && !arguments->migrate)
        return error_set(reterr, ERROR_USAGE, "--replica is missing (or --migrate)");
    return 0;
}

static int set_database(Backend *backend, const Conf *conf, const Arguments *arguments, int index,
                        Error *reterr)
{
    LayoutPath sockets = {.text = ""};
    LayoutPath passfile = layout_region(arguments->dir, arguments->region, "pg.pass");
    Buf application = BUF_INIT(0);
    int r = 0;
    if (strcmp(conf->regions[index].database, "local") == 0)
        r = layout_sockets(arguments->dir, arguments->region, &sockets, reterr);
    if (r < 0)
        return r;
    buf_printf(&application, "wildcam-backend-%u", (unsigned)backend->replica);
    const DatabaseOptions database = {.database = conf->regions[index].database,
                                      .port = conf->regions[index].database_port,
                                      .sockets = sockets.text,
                                      .passfile = passfile.text,
                                      .application = buf_text(&application)};
    r = database_conninfo(&database, &backend->conninfo, reterr);
    buf_done(&application);
    return r;
}

// The service that a detection belongs to says how durable it has to be.
static const ConfService *own_service(const Conf *conf)
{
    static const char PATH[] = "/api/detections";
    for (uint32_t i = 0; i < conf->model.n_services; i++) {
        for (uint32_t k = 0; k < conf->services[i].n_routes; k++) {
            const char *path = conf->services[i].routes[k].path;
            size_t len = strlen(path);
            if (strcmp(path, PATH) == 0 ||
                (path[len - 1] == '*' && strncmp(path, PATH, len - 1) == 0))
                return &conf->services[i];
        }
    }
    return NULL;
}

static int set_durability(Backend *backend, const Conf *conf, Error *reterr)
{
    const ConfService *service = own_service(conf);
    if (service == NULL || !service->durability_two_clouds)
        return 0;
    backend->degrade = service->degrade;
    for (uint32_t i = 0; i < conf->model.n_regions; i++) {
        const ModelRegion *other = &conf->model.regions[i];
        char name[REPLICATION_NAME_MAX];
        if (other->cloud == backend->region->cloud)
            continue;
        replication_name(other->name, other->origin, backend->region->name, backend->region->origin,
                         name);
        buf_printf(&backend->slots, "%c%s", backend->slots.len == 0 ? '{' : ',', name);
    }
    if (backend->slots.len == 0)
        return error_set(reterr, ERROR_USAGE,
                         "service '%s' has durability two-clouds, but there is only one cloud",
                         service->name);
    buf_add_char(&backend->slots, '}');
    return 0;
}

static int set_up(Backend *backend, const Conf *conf, const Arguments *arguments, Error *reterr)
{
    int index = model_find_region(&conf->model, arguments->region);
    if (index < 0)
        return error_set(reterr, ERROR_USAGE, "'%s' has no region '%s'", conf->path,
                         arguments->region);
    backend->region = &conf->model.regions[index];
    backend->cloud = conf->model.clouds[backend->region->cloud].name;
    int r = set_database(backend, conf, arguments, index, reterr);
    if (r < 0 || arguments->migrate)
        return r;
    r = set_durability(backend, conf, reterr);
    if (r < 0)
        return r;
    const char *replica = arguments->replica;
    if (parse_u64(replica, strlen(replica), BOUND_REPLICAS, &backend->replica) < 0 ||
        backend->replica == 0)
        return error_set(reterr, ERROR_USAGE, "--replica '%s'; allowed: 1 to %d", replica,
                         BOUND_REPLICAS);
    Buf socket = BUF_INIT(0);
    buf_printf(&backend->name, "%s/%u", backend->region->name, (unsigned)backend->replica);
    buf_printf(&socket, "backend-%u.sock", (unsigned)backend->replica);
    r = layout_socket(arguments->dir, arguments->region, buf_text(&socket), &backend->socket,
                      reterr);
    buf_done(&socket);
    return r;
}

static int migrate_only(const Backend *backend, Error *reterr)
{
    Mono end = mono_add(clock_mono(), MIGRATE_NS);
    unsigned applied = 0;
    for (;;) {
        int r = migrate_database(buf_text(&backend->conninfo), &applied, reterr);
        if (r != ERROR_UNAVAILABLE || mono_since(end, clock_mono()) <= 0) {
            if (r >= 0)
                log_info("database migrated", backend->region->name,
                         LOG_NUMBER("applied", applied));
            return r;
        }
        (void)usleep(100 * 1000); // the database is starting; nothing tells when it listens
    }
}

static void close_handles(Backend *backend)
{
    if (!uv_is_closing((uv_handle_t *)&backend->opening))
        uv_close((uv_handle_t *)&backend->opening, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(backend->signals); i++) {
        if (!uv_is_closing((uv_handle_t *)&backend->signals[i]))
            uv_close((uv_handle_t *)&backend->signals[i], NULL);
    }
}

static void on_linger(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void on_drained(void *context)
{
    Backend *backend = context;
    backend->storage = storage_free(backend->storage);
    backend->api = api_free(backend->api);
    close_handles(backend);
    (void)uv_timer_start(&backend->linger, on_linger, LINGER_MS, 0);
    uv_unref((uv_handle_t *)&backend->linger);
}

static void on_signal(uv_signal_t *signal, int number)
{
    Backend *backend = signal->data;
    if (number == SIGHUP) {
        // The passfile is read at every connection, the rest holds until the next start.
        log_info("nothing to reload", buf_text(&backend->name));
    } else if (!backend->draining) {
        backend->draining = true;
        log_info("draining", buf_text(&backend->name), LOG_NUMBER("signal", number));
        if (backend->api != NULL)
            api_drain(backend->api, GRACE_NS, on_drained, backend);
        else
            on_drained(backend);
    }
}

static void on_opening(uv_timer_t *timer)
{
    Backend *backend = timer->data;
    StorageHealth health = storage_health(backend->storage);
    if (!health.read && !health.write && clock_mono().ns < backend->listen_at.ns)
        return;
    uv_close((uv_handle_t *)timer, NULL);
    const ApiOptions api = {.socket = backend->socket.text,
                            .region = backend->region->name,
                            .cloud = backend->cloud,
                            .replica = buf_text(&backend->name),
                            .degrade = backend->degrade};
    backend->result =
        api_new(&backend->loop, &api, backend->storage, &backend->api, backend->reterr);
    if (backend->result < 0)
        on_drained(backend);
    else
        log_info("listening", buf_text(&backend->name), LOG_TEXT("socket", backend->socket.text));
}

static int start(Backend *backend, Error *reterr)
{
    const StorageOptions storage = {.conninfo = buf_text(&backend->conninfo),
                                    .origin = backend->region->origin,
                                    .confirm_slots =
                                        backend->slots.len > 0 ? buf_text(&backend->slots) : NULL,
                                    .degrade = backend->degrade};
    static const int NUMBERS[] = {SIGTERM, SIGINT, SIGHUP};
    int r = storage_new(&backend->loop, &storage, &backend->storage, reterr);
    if (r < 0)
        return r;
    backend->reterr = reterr;
    backend->listen_at = mono_add(clock_mono(), OPEN_NS);
    (void)uv_timer_init(&backend->loop, &backend->linger);
    (void)uv_timer_init(&backend->loop, &backend->opening);
    backend->opening.data = backend;
    (void)uv_timer_start(&backend->opening, on_opening, 0, OPEN_LOOK_MS);
    for (unsigned i = 0; i < ARRAY_SIZE(NUMBERS); i++) {
        (void)uv_signal_init(&backend->loop, &backend->signals[i]);
        backend->signals[i].data = backend;
        (void)uv_signal_start(&backend->signals[i], on_signal, NUMBERS[i]);
    }
    return 0;
}

static int serve(Backend *backend, Error *reterr)
{
    (void)signal(SIGPIPE, SIG_IGN); // clients and databases go away
    int r = uv_loop_init(&backend->loop);
    if (r < 0)
        return error_set(reterr, r, "make the loop");
    r = start(backend, reterr);
    (void)uv_run(&backend->loop, UV_RUN_DEFAULT);
    if (r >= 0) {
        uv_close((uv_handle_t *)&backend->linger, NULL);
        (void)uv_run(&backend->loop, UV_RUN_NOWAIT);
        log_info("ended", buf_text(&backend->name));
    }
    (void)uv_loop_close(&backend->loop);
    return r < 0 ? r : backend->result;
}

static int run(const Arguments *arguments, Error *reterr)
{
    static Backend backend; // a lingering thread may outlive this function
    CLEANUP(conf_freep) Conf *conf = NULL;
    int r = conf_load(arguments->fleet, &conf, NULL, reterr);
    if (r >= 0)
        r = set_up(&backend, conf, arguments, reterr);
    if (r >= 0) {
        log_open("backend", backend.region->name, LOG_LEVEL_INFO);
        r = arguments->migrate ? migrate_only(&backend, reterr) : serve(&backend, reterr);
    }
    buf_done(&backend.conninfo);
    buf_done(&backend.name);
    buf_done(&backend.slots);
    return r;
}

int backend_main(int argc, char **argv)
{
    Arguments arguments = {.fleet = "fleet.yaml", .dir = "run"};
    Error err = ERROR_INIT;
    int r = parse_arguments(argc, argv, &arguments, &err);
    if (r >= 0 && !arguments.help)
        r = run(&arguments, &err);
    if (r < 0)
        (void)fprintf(stderr, "wildcam-backend: %s\n", error_text(&err));
    error_done(&err);
    return error_exit_code(r);
}
