// SPDX-License-Identifier: MIT
// region_spec: see region_spec.h. Order: the database's folder, the database, the migrations, the
// backends; the edge's configuration, then nginx; the agent at once. nginx does not wait for the
// backends: an edge without replicas of its own serves from other regions. The mesh's daemon comes
// after the migrations, whose tables it federates, and nothing waits for it.
#include "region_spec.h"

#include <signal.h>
#include <string.h>

#include "files.h"
#include "layout.h"
#include "pg_setup.h"

typedef struct Builder {
    Arena *arena;
    const RegionSpecOptions *options;
    const Model *model;
    const ModelRegion *region;
    RegionSpec *spec;
    bool failed; // no memory; looked at once at the end
} Builder;

static const char *path(Builder *builder, const char *name)
{
    char *text = arena_printf(builder->arena, "%s/%s/%s", builder->options->dir,
                              builder->region->name, name);
    builder->failed = builder->failed || text == NULL;
    return text;
}

static const char *pki_path(Builder *builder, const char *name)
{
    char *text = arena_printf(builder->arena, "%s/pki/%s/%s", builder->options->dir,
                              builder->region->name, name);
    builder->failed = builder->failed || text == NULL;
    return text;
}

static const char *socket_path(Builder *builder, const char *name)
{
    char *text = arena_printf(builder->arena, "%s/%s", builder->spec->sockets, name);
    builder->failed = builder->failed || text == NULL;
    return text;
}

// Copies a NULL-terminated list.
static const char *const *list(Builder *builder, const char *const *items)
{
    size_t n = 0;
    while (items[n] != NULL)
        n++;
    const char **copy = arena_new_array(builder->arena, const char *, n + 1);
    if (copy == NULL) {
        builder->failed = true;
        return NULL;
    }
    memcpy(copy, items, n * sizeof *items);
    return copy;
}

// The environment that the operator asked for: entries "REGION/PROGRAM:NAME=VALUE" joined by ';'.
static void add_extra(Builder *builder, Program *program, const char **environment, size_t *n,
                      size_t max)
{
    const char *at = builder->options->extra;
    char *prefix = arena_printf(builder->arena, "%s/%s:", builder->region->name, program->name);
    if (at == NULL || prefix == NULL)
        return;
    for (size_t len; *at != '\0'; at += len + (at[len] == ';' ? 1 : 0)) {
        len = strcspn(at, ";");
        size_t skip = strlen(prefix);
        if (len > skip && strncmp(at, prefix, skip) == 0 && *n + 1 < max)
            environment[(*n)++] = arena_strndup(builder->arena, at + skip, len - skip);
    }
}

static Program *add(Builder *builder, const char *name, const char *const *environment)
{
    RegionSpec *spec = builder->spec;
    Program *program = &spec->programs[spec->n++];
    const char *all[16] = {NULL};
    size_t n = 0;
    for (; environment != NULL && environment[n] != NULL; n++)
        all[n] = environment[n];
    program->name = name;
    add_extra(builder, program, all, &n, ARRAY_SIZE(all));
    program->environment = list(builder, all);
    char *log = arena_printf(builder->arena, "log/%s.log", name);
    program->log = log != NULL ? path(builder, log) : NULL;
    program->stop_signal = SIGTERM;
    return program;
}

// One of our own programs, with the arguments that all of them take; `verb` stands before them
// (NULL: none), `more`, which ends with NULL, behind.
static void set_verb(Builder *builder, Program *program, const char *own, const char *verb,
                     const char *const *more)
{
    program->own = own;
    // Its own fleet.yaml: a staged push changes one region after the other.
    const char *fleet = path(builder, "fleet.yaml");
    const char *const common[] = {
        "--fleet", fleet, "--dir", builder->options->dir, "--region", builder->region->name};
    const char *argv[16] = {arena_printf(builder->arena, "%s/%s", builder->options->programs, own)};
    size_t n = 1;
    if (argv[0] == NULL || common[1] == NULL) {
        builder->failed = true;
        return;
    }
    if (verb != NULL)
        argv[n++] = verb;
    for (size_t i = 0; i < ARRAY_SIZE(common); i++)
        argv[n++] = common[i];
    while (*more != NULL)
        argv[n++] = *more++;
    program->argv = list(builder, argv);
}

static void set_own(Builder *builder, Program *program, const char *own, const char *const *more)
{
    set_verb(builder, program, own, NULL, more);
}

static const char *pki_ca(Builder *builder)
{
    char *text = arena_printf(builder->arena, "%s/pki/ca.pem", builder->options->dir);
    builder->failed = builder->failed || text == NULL;
    return text;
}

// Names of all regions, as copies.
static const char *const *regions(Builder *builder)
{
    uint32_t n = builder->model->n_regions;
    const char **names = arena_new_array(builder->arena, const char *, n);
    for (uint32_t i = 0; names != NULL && i < n; i++) {
        names[i] = arena_strdup(builder->arena, builder->model->regions[i].name);
        builder->failed = builder->failed || names[i] == NULL;
    }
    builder->failed = builder->failed || names == NULL;
    return names;
}

// What makes a program's connections come from its region's address.
static const char *const *from_here(Builder *builder, const char *more)
{
    const char *environment[] = {
        arena_printf(builder->arena, "LD_PRELOAD=%s", builder->options->preload),
        arena_printf(builder->arena, "WILDCAM_SOURCE=%s", builder->region->address), more, NULL};
    builder->failed = builder->failed || environment[0] == NULL || environment[1] == NULL;
    return list(builder, environment);
}

static size_t add_postgres(Builder *builder, const ConfRegionLocal *local)
{
    Program *setup = add(builder, "pg-setup", NULL);
    PgSetup *context = arena_new_of(builder->arena, PgSetup);
    if (context == NULL) {
        builder->failed = true;
        return 0;
    }
    *context = (PgSetup){.folder = path(builder, "pg"),
                         .passfile = path(builder, "pg.pass"),
                         .sockets = builder->spec->sockets,
                         .address = builder->region->address,
                         .port = local->database_port,
                         .certificate = pki_path(builder, "pg.pem"),
                         .key = pki_path(builder, "pg.key"),
                         .authority = pki_ca(builder),
                         .regions = regions(builder),
                         .n_regions = builder->model->n_regions,
                         .run_user = builder->options->run_user};
    setup->step = pg_setup_step;
    setup->context = context;
    size_t before = builder->spec->n - 1;
    const char *notify =
        arena_printf(builder->arena, "NOTIFY_SOCKET=%s/notify", builder->spec->sockets);
    builder->failed = builder->failed || notify == NULL;
    Program *postgres = add(builder, "postgres", from_here(builder, notify));
    postgres->argv = list(builder, (const char *const[]){PG_SERVER, "-D", context->folder, NULL});
    postgres->ready = PROGRAM_READY_NOTIFY;
    postgres->stop_signal = SIGINT; // fast shutdown
    postgres->stop_last = true;
    program_after(postgres, before);
    return builder->spec->n - 1;
}

// The daemon of the region's part of the mesh.
static void add_rows(Builder *builder, size_t migrate)
{
    Program *rows = add(builder, "rows", from_here(builder, NULL));
    set_verb(builder, rows, "wildcam-rows", "serve", (const char *const[]){NULL});
    rows->upgrade = PROGRAM_UPGRADE_RESTART;
    rows->ready = PROGRAM_READY_HTTP;
    rows->ready_socket = socket_path(builder, "rows.sock");
    rows->ready_path = "/v1/ready";
    program_after(rows, migrate);
}

// Returns the step that migrates.
static size_t add_backends(Builder *builder, bool database, size_t postgres)
{
    Program *migrate = add(builder, "migrate", NULL);
    set_own(builder, migrate, "wildcam-backend", (const char *const[]){"--migrate", NULL});
    if (database)
        program_after(migrate, postgres);
    size_t before = builder->spec->n - 1;
    for (uint32_t i = 1; i <= builder->region->replicas; i++) {
        char *number = arena_printf(builder->arena, "%u", i);
        char *name = arena_printf(builder->arena, "backend-%u", i);
        if (number == NULL || name == NULL) {
            builder->failed = true;
            return before;
        }
        Program *backend = add(builder, name, NULL);
        set_own(builder, backend, "wildcam-backend",
                (const char *const[]){"--replica", number, NULL});
        backend->upgrade = PROGRAM_UPGRADE_RESTART;
        backend->ready = PROGRAM_READY_HTTP;
        backend->ready_socket = socket_path(builder, arena_printf(builder->arena, "%s.sock", name));
        backend->ready_path = "/api/health";
        program_after(backend, before);
    }
    return before;
}

static void add_edge(Builder *builder, unsigned workers)
{
    Program *configure = add(builder, "edge-conf", NULL);
    set_own(builder, configure, "wildcam-edge-conf", (const char *const[]){NULL});
    configure->module = "ngx_http_wildcam_module.so";
    size_t before = builder->spec->n - 1;
    Program *nginx = add(builder, "nginx", NULL);
    nginx->argv =
        list(builder, (const char *const[]){"/usr/sbin/nginx", "-p", path(builder, "edge"), "-e",
                                            path(builder, "log/nginx.log"), "-c",
                                            path(builder, "edge/nginx.conf"), NULL});
    nginx->ready = PROGRAM_READY_TCP;
    nginx->ready_address = builder->region->address;
    nginx->ready_port = builder->region->edge_port;
    program_after(nginx, before);
    nginx->upgrade = PROGRAM_UPGRADE_HANDOVER;
    nginx->step_index = before;
    nginx->configuration = path(builder, "edge/nginx.conf");
    nginx->pid_file = path(builder, "edge/nginx.pid");
    nginx->counters = path(builder, "counters");
    nginx->workers = workers;
}

static void add_agent(Builder *builder)
{
    Program *agent = add(builder, "agent", NULL);
    set_own(builder, agent, "wildcam-agent", (const char *const[]){NULL});
    agent->upgrade = PROGRAM_UPGRADE_RESTART;
    agent->ready = PROGRAM_READY_HTTP;
    agent->ready_socket = socket_path(builder, "agent.sock");
    agent->ready_path = "/v1/ready";
}

int region_spec_new(Arena *arena, const Conf *conf, uint32_t region,
                    const RegionSpecOptions *options, RegionSpec **ret_spec, Error *reterr)
{
    // Copies: the arguments of the programs outlive the caller's texts.
    const RegionSpecOptions own = {
        .dir = arena_strdup(arena, options->dir),
        .programs = arena_strdup(arena, options->programs),
        .preload = arena_strdup(arena, options->preload),
        .run_user = arena_strdup(arena, options->run_user),
        .extra = options->extra != NULL ? arena_strdup(arena, options->extra) : NULL};
    if (own.dir == NULL || own.programs == NULL || own.preload == NULL || own.run_user == NULL)
        return error_set(reterr, ERROR_MEMORY, "programs of a region");
    Builder builder = {.arena = arena,
                       .options = &own,
                       .model = &conf->model,
                       .region = &conf->model.regions[region],
                       .spec = arena_new_of(arena, RegionSpec)};
    LayoutPath sockets;
    int r = layout_sockets(options->dir, builder.region->name, &sockets, reterr);
    if (r < 0)
        return r;
    char *folder = arena_strdup(arena, sockets.text);
    if (builder.spec == NULL || folder == NULL)
        return error_set(reterr, ERROR_MEMORY, "programs of '%s'", builder.region->name);
    builder.spec->name = builder.region->name;
    builder.spec->sockets = folder;
    const ConfRegionLocal *local = &conf->regions[region];
    bool database = strcmp(local->database, "local") == 0;
    add_agent(&builder);
    size_t postgres = database ? add_postgres(&builder, local) : 0;
    size_t migrate = add_backends(&builder, database, postgres);
    add_rows(&builder, migrate);
    add_edge(&builder, conf->edge.workers);
    const char *lock = arena_printf(arena, "%s/.s.PGSQL.%u.lock", folder, local->database_port);
    builder.spec->stale =
        list(&builder, (const char *const[]){path(&builder, "pg/postmaster.pid"), lock, NULL});
    if (builder.failed || lock == NULL)
        return error_set(reterr, ERROR_MEMORY, "programs of '%s'", builder.region->name);
    *ret_spec = builder.spec;
    return 0;
}
