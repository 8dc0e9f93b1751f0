// SPDX-License-Identifier: MIT
// mesh: see mesh.h. Connections are made in parallel by libpq's own polling under one deadline, and
// so are host names resolved before that (mesh_lookup.h): a name without an answer costs its own
// node the deadline and nobody else anything. Its lookup stays, and the next try waits for the
// same.
#include "mesh_inside.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"

#define CONNECT_NS (3 * NS_PER_S)
#define STATEMENT_NS (30 * NS_PER_S)
#define NODES_MAX 64
#define ARENA_BYTES (4U << 20)

int mesh_lose(MeshNode *node, int code, const char *why)
{
    (void)error_set(&node->why, code, "%.*s", (int)strcspn(why, "\n"), why);
    PQfinish(node->conn);
    node->conn = NULL;
    return code;
}

int mesh_reason(const MeshNode *node, Error *reterr)
{
    return error_set(reterr, ERROR_UNAVAILABLE, "%s: %s", node->region,
                     node->why.text != NULL ? error_text(&node->why) : "not connected");
}

bool mesh_wait(MeshPoll *polls, uint32_t n, Mono end)
{
    struct pollfd fds[NODES_MAX];
    for (uint32_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = polls[i].fd, .events = polls[i].events};
    int64_t left_ns = mono_since(end, clock_mono());
    if (left_ns <= 0)
        return false;
    // EINTR: nothing is ready, the caller comes again
    int ready = poll(fds, n, (int)(left_ns / NS_PER_MS) + 1);
    for (uint32_t i = 0; i < n; i++)
        polls[i].ready = ready > 0 && fds[i].fd >= 0 && fds[i].revents != 0;
    return true;
}

// Begins to connect; false: it failed already.
static bool start(MeshNode *node, const char *conninfo, MeshPoll *poll)
{
    poll->fd = -1;
    node->conn = PQconnectStart(conninfo);
    if (node->conn == NULL) {
        (void)error_set(&node->why, ERROR_MEMORY, "no memory for a connection");
        return false;
    }
    if (PQstatus(node->conn) == CONNECTION_BAD) {
        (void)mesh_lose(node, ERROR_UNAVAILABLE, PQerrorMessage(node->conn));
        return false;
    }
    *poll = (MeshPoll){.fd = PQsocket(node->conn), .events = POLLOUT};
    return true;
}

// The same, or a lookup first.
static bool begin(MeshInside *inside, MeshNode *node, MeshPoll *poll)
{
    MeshLookup **lookup = &inside->lookups[node - inside->mesh.nodes];
    error_done(&node->why);
    if (node->conninfo == NULL) {
        Buf text CLEANUP(buf_done) = BUF_INIT(65536);
        if (mesh_conninfo_of(inside, node, &text, &node->why) < 0)
            return false;
        node->conninfo = arena_strdup(inside->mesh.arena, buf_text(&text));
    }
    if (node->conninfo == NULL) {
        (void)error_set(&node->why, ERROR_MEMORY, "no memory for a connection");
        return false;
    }
    if (*lookup == NULL && mesh_lookup_begin(node->conninfo, lookup, &node->why) < 0)
        return false;
    if (*lookup == NULL)
        return start(node, node->conninfo, poll);
    *poll = (MeshPoll){.fd = mesh_lookup_fd(*lookup), .events = POLLIN};
    return true;
}

static void found(MeshNode *node, MeshLookup **lookup, MeshPoll *poll)
{
    Buf text CLEANUP(buf_done) = BUF_INIT(65536);
    poll->fd = -1;
    int r = mesh_lookup_take(*lookup, &text, &node->why);
    *lookup = mesh_lookup_free(*lookup); // the next time it is asked anew
    if (r == 0)
        (void)start(node, buf_text(&text), poll);
}

// One step of a connection that is being made.
static void go_on(MeshNode *node, MeshPoll *poll)
{
    PostgresPollingStatusType step = PQconnectPoll(node->conn);
    poll->fd = -1;
    if (step == PGRES_POLLING_FAILED) {
        (void)mesh_lose(node, ERROR_UNAVAILABLE, PQerrorMessage(node->conn));
    } else if (step != PGRES_POLLING_OK) {
        poll->fd = PQsocket(node->conn);
        poll->events = step == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    }
}

static void no_notice(void *context, const PGresult *result)
{
}

static void too_late(const MeshInside *inside, MeshNode *node)
{
    long long ms = (long long)(inside->connect_ns / NS_PER_MS);
    const MeshLookup *lookup = inside->lookups[node - inside->mesh.nodes];
    char text[320];
    if (lookup != NULL)
        (void)snprintf(text, sizeof text, "host name '%.256s' is not resolved within %lld ms",
                       mesh_lookup_names(lookup), ms);
    else
        (void)snprintf(text, sizeof text, "no answer within %lld ms", ms);
    (void)mesh_lose(node, ERROR_TIMEOUT, text);
}

int mesh_reconnect(Mesh *mesh)
{
    MeshInside *inside = (MeshInside *)mesh;
    MeshPoll polls[NODES_MAX];
    uint32_t waiting = 0;
    Mono end = mono_add(clock_mono(), inside->connect_ns);
    for (uint32_t i = 0; i < mesh->n; i++) {
        MeshNode *node = &mesh->nodes[i];
        polls[i] = (MeshPoll){.fd = -1};
        if (node->conn != NULL && PQstatus(node->conn) == CONNECTION_BAD)
            (void)mesh_lose(node, ERROR_UNAVAILABLE, PQerrorMessage(node->conn));
        if (node->conn == NULL && begin(inside, node, &polls[i]))
            waiting++;
    }
    while (waiting > 0 && mesh_wait(polls, mesh->n, end)) {
        waiting = 0;
        for (uint32_t i = 0; i < mesh->n; i++) {
            if (polls[i].ready && inside->lookups[i] != NULL)
                found(&mesh->nodes[i], &inside->lookups[i], &polls[i]);
            else if (polls[i].ready)
                go_on(&mesh->nodes[i], &polls[i]);
            waiting += polls[i].fd >= 0 ? 1 : 0;
        }
    }
    int connected = 0;
    for (uint32_t i = 0; i < mesh->n; i++) {
        MeshNode *node = &mesh->nodes[i];
        if (polls[i].fd >= 0)
            too_late(inside, node);
        if (node->conn == NULL)
            continue;
        connected++;
        (void)PQsetnonblocking(node->conn, 1);
        (void)PQsetNoticeReceiver(node->conn, no_notice, NULL);
    }
    return connected;
}

static MeshInside *inside_new(const MeshOptions *options, const Conf *conf, uint32_t n,
                              Error *reterr)
{
    Arena *arena = arena_new(ARENA_BYTES);
    MeshInside *inside = arena != NULL ? arena_new_of(arena, MeshInside) : NULL;
    MeshNode *nodes = inside != NULL ? arena_new_array(arena, MeshNode, n) : NULL;
    MeshLookup **lookups = inside != NULL ? arena_new_array(arena, MeshLookup *, n) : NULL;
    const char *application = options->application != NULL ? options->application : "wildcam rows";
    if (nodes == NULL || lookups == NULL) {
        arena_free(arena);
        (void)error_set(reterr, ERROR_MEMORY, "no memory for the mesh");
        return NULL;
    }
    *inside = (MeshInside){
        .mesh = {.arena = arena,
                 .conf = conf,
                 .dir = options->dir != NULL ? arena_strdup(arena, options->dir) : "",
                 .nodes = nodes,
                 .timeout_ns = options->statement_ns > 0 ? options->statement_ns : STATEMENT_NS},
        .as = options->as,
        .from = options->from != NULL ? arena_strdup(arena, options->from) : "",
        .application = arena_strdup(arena, application),
        .lookups = lookups,
        .connect_ns = options->connect_ns > 0 ? options->connect_ns : CONNECT_NS};
    return inside;
}

static int refuse_options(const Conf *conf, const MeshOptions *options, Error *reterr)
{
    if (conf->model.n_regions > NODES_MAX)
        return error_set(reterr, ERROR_LIMIT, "%u regions; a mesh has at most %d",
                         conf->model.n_regions, NODES_MAX);
    if (options->as == MESH_AS_ROWS &&
        (options->from == NULL || model_find_region(&conf->model, options->from) < 0))
        return error_set(reterr, ERROR_USAGE, "no region '%s' whose certificate could be used",
                         options->from != NULL ? options->from : "");
    return 0;
}

int mesh_open(const Conf *conf, const MeshOptions *options, Mesh **ret_mesh, Error *reterr)
{
    int r = refuse_options(conf, options, reterr);
    if (r < 0)
        return r;
    MeshInside *inside = inside_new(options, conf, conf->model.n_regions, reterr);
    if (inside == NULL)
        return ERROR_MEMORY;
    Mesh *mesh = &inside->mesh;
    for (uint32_t i = 0; i < conf->model.n_regions; i++) {
        const ModelRegion *region = &conf->model.regions[i];
        if (options->only != 0 && (options->only >> i & 1) == 0)
            continue;
        MeshNode *node = &mesh->nodes[mesh->n++];
        *node = (MeshNode){.region = region->name,
                           .cloud = conf->model.clouds[region->cloud].name,
                           .index = i,
                           .origin = region->origin,
                           .identifier = mesh_identifier(mesh->arena, region->name)};
    }
    (void)mesh_reconnect(mesh);
    *ret_mesh = mesh;
    return 0;
}

static int add_given(MeshInside *inside, const char *conninfo, uint32_t origin, Error *reterr)
{
    Mesh *mesh = &inside->mesh;
    Buf text CLEANUP(buf_done) = BUF_INIT(65536);
    int r = mesh_conninfo_given(inside, conninfo, &text, reterr);
    if (r < 0)
        return r;
    MeshNode *node = &mesh->nodes[mesh->n];
    char *name = arena_printf(mesh->arena, "n%u", mesh->n + 1);
    *node = (MeshNode){.region = name,
                       .cloud = name,
                       .index = mesh->n,
                       .origin = origin,
                       .identifier = name,
                       .conninfo = arena_strdup(mesh->arena, buf_text(&text))};
    inside->given[mesh->n++] = arena_strdup(mesh->arena, conninfo);
    return name == NULL || node->conninfo == NULL || inside->given[mesh->n - 1] == NULL
               ? error_set(reterr, ERROR_MEMORY, "no memory for the mesh")
               : 0;
}

int mesh_open_conninfos(const char *const *conninfos, const uint32_t *origins, uint32_t n,
                        const MeshOptions *options, Mesh **ret_mesh, Error *reterr)
{
    static const MeshOptions NONE = {.as = MESH_AS_OWNER};
    if (n > NODES_MAX)
        return error_set(reterr, ERROR_LIMIT, "%u nodes; a mesh has at most %d", n, NODES_MAX);
    MeshInside *inside = inside_new(options != NULL ? options : &NONE, NULL, n, reterr);
    if (inside == NULL)
        return ERROR_MEMORY;
    inside->given = arena_new_array(inside->mesh.arena, const char *, n);
    int r = inside->given != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "no memory for the mesh");
    for (uint32_t i = 0; r == 0 && i < n; i++)
        r = add_given(inside, conninfos[i], origins != NULL ? origins[i] : i + 1, reterr);
    if (r < 0) {
        mesh_free(&inside->mesh);
        return r;
    }
    (void)mesh_reconnect(&inside->mesh);
    *ret_mesh = &inside->mesh;
    return 0;
}

Mesh *mesh_free(Mesh *mesh)
{
    if (mesh == NULL)
        return NULL;
    for (uint32_t i = 0; i < mesh->n; i++) {
        PQfinish(mesh->nodes[i].conn);
        error_done(&mesh->nodes[i].why);
        (void)mesh_lookup_free(((MeshInside *)mesh)->lookups[i]);
    }
    (void)arena_free(mesh->arena); // the mesh itself is in it
    return NULL;
}

int mesh_need_all(const Mesh *mesh, Error *reterr)
{
    Buf text CLEANUP(buf_done) = BUF_INIT(65536);
    for (uint32_t i = 0; i < mesh->n; i++)
        if (mesh->nodes[i].conn == NULL)
            buf_printf(&text, "%s%s: %s", text.len > 0 ? "; " : "", mesh->nodes[i].region,
                       error_text(&mesh->nodes[i].why));
    return text.len > 0 ? error_set(reterr, ERROR_UNAVAILABLE, "%s", buf_text(&text)) : 0;
}

const char *mesh_given(const Mesh *mesh, const MeshNode *node)
{
    return ((const MeshInside *)mesh)->given[node - mesh->nodes];
}

MeshNode *mesh_find(Mesh *mesh, const char *region)
{
    for (uint32_t i = 0; i < mesh->n; i++)
        if (strcmp(mesh->nodes[i].region, region) == 0)
            return &mesh->nodes[i];
    return NULL;
}
