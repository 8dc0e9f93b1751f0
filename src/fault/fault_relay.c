// SPDX-License-Identifier: MIT
// fault_relay: GATEWAY_SLOW, REPLICA_SLOW, REPLICA_ERRORS. prepare puts a relay (src/relay) into
// the way, begin, change and end are one command to it each, so that they act on all connections at
// once and break none; undo takes it out of the way again.
//
// Gateways: nftables turn new connections to the gateway's ports to the relay (nat, output hook);
// the relay's own connections carry a mark. NAT leaves connections alone that were there before, so
// nginx is told to reload: its old workers send their clients away softly. Whatever still comes
// directly after that is reset. undo is the same backwards: no new ones to the relay, reload, then
// table and relay go.
// Replicas: the relay stands in the place of their sockets (src/relay/socket_place.h); the reload
// of nginx makes its kept connections go.
#include "fault_relay.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "fault_nft.h"
#include "fault_owner.h"
#include "fault_processes.h"
#include "fault_relay_child.h"
#include "files.h"
#include "layout.h"

#define MARK "0x57434d52"      // of the relay's connections
#define SOFT_NS (5 * NS_PER_S) // for old workers and old connections to go by themselves
#define ARGUMENT_MAX 128

typedef struct Relays {
    FaultChild relay;
    FaultNft nft;
    bool table;    // new connections are turned
    bool in_place; // sockets are taken
} Relays;

typedef struct Arguments {
    size_t n;
    const char *pointers[4 * FAULT_RELAY_DOORS];
    char texts[4 * FAULT_RELAY_DOORS][ARGUMENT_MAX];
} Arguments;

static int add_argument(Arguments *arguments, Error *reterr, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static int add_argument(Arguments *arguments, Error *reterr, const char *fmt, ...)
{
    if (arguments->n >= ARRAY_SIZE(arguments->texts))
        return error_set(reterr, ERROR_LIMIT, "more than %d sockets for one relay",
                         FAULT_RELAY_DOORS);
    char *text = arguments->texts[arguments->n];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, ARGUMENT_MAX, fmt, args);
    va_end(args);
    if (len < 0 || len >= ARGUMENT_MAX)
        return error_set(reterr, ERROR_LIMIT, "'%s' is too long", text);
    arguments->pointers[arguments->n++] = text;
    return 0;
}

// --- nginx lets its kept connections go ---
typedef struct OldWorkers {
    FaultProcesses *list;
    size_t n; // all but the masters
    Mono soft;
} OldWorkers;

// Soft: whoever holds a worker longer is cut off by what follows.
static int workers_gone(const FaultHeld *held, void *context, Error *reterr)
{
    const OldWorkers *old = context;
    size_t ended = 0;
    for (size_t i = 0; i < old->list->n; i++) {
        struct pollfd process = {.fd = old->list->items[i].fd, .events = POLLIN};
        ended += poll(&process, 1, 0) > 0;
    }
    return ended >= old->n || clock_mono().ns >= old->soft.ns;
}

static int add_workers(const FaultHeld *held, const json_t *status, const char *region,
                       OldWorkers *old, Error *reterr)
{
    pid_t init = 0;
    pid_t inner = control_status_pid(control_status_program(status, region, "nginx"), "pid");
    int r = fault_status_init(held, status, region, &init, reterr);
    if (r < 0)
        return r;
    if (init <= 0 || inner <= 0)
        return 0; // nginx does not run: no connections
    r = fault_processes_add(old->list, init, inner, reterr);
    if (r > 0)
        old->n += (size_t)r - 1;
    return r < 0 ? r : 0;
}

// Reloads nginx in the fault's regions and waits until the workers of before have gone.
static int reload_edges(const FaultHeld *held, Error *reterr)
{
    json_t *status = NULL;
    int r = fault_status(held, &status, reterr);
    if (r == ERROR_NOT_FOUND && held->healing) {
        error_done(reterr);
        return 0; // the fleet has ended
    }
    OldWorkers old = {.list = r == 0 ? alloc_zeroed(1, sizeof(FaultProcesses)) : NULL};
    if (r == 0 && old.list == NULL)
        r = error_set(reterr, ERROR_MEMORY, "list of processes");
    for (uint32_t i = 0; r == 0 && i < held->options->conf->model.n_regions; i++) {
        const char *name = fault_region_name(held, i);
        if (!fault_has(held->fault.a, i) || !fault_status_runs(status, name))
            continue;
        size_t before = old.list->n;
        r = add_workers(held, status, name, &old, reterr);
        if (r == 0 && old.list->n > before)
            r = fault_ask(held, reterr, "signal %s nginx HUP", name);
    }
    json_decref(status);
    old.soft = mono_min(mono_add(clock_mono(), SOFT_NS), held->deadline);
    if (r == 0)
        r = fault_wait(held, workers_gone, &old, "nginx's old workers have gone", reterr);
    if (old.list != NULL)
        fault_processes_done(old.list);
    free(old.list);
    return r;
}

// --- gateways ---
static int add_ports(const Model *model, uint64_t regions, const unsigned *ports, Buf *out)
{
    size_t k = 0;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        if (!fault_has(regions, i))
            continue;
        const ModelRegion *region = &model->regions[i];
        const unsigned real[2] = {region->edge_port, region->peer_port};
        // Only new ones: conntrack may see an old connection for the first time.
        for (size_t j = 0; j < 2; j++)
            buf_printf(out,
                       "ip daddr %s tcp dport %u tcp flags & (syn|ack) == syn meta mark != " MARK
                       " counter dnat to %s:%u; ",
                       region->address, real[j], region->address, ports[k++]);
    }
    return buf_check(out);
}

// Whatever reaches a gateway's port neither through the relay nor from it.
static int add_direct(const Model *model, uint64_t regions, const char *table, Buf *out)
{
    for (uint32_t i = 0; i < model->n_regions; i++)
        if (fault_has(regions, i))
            buf_printf(out,
                       "add rule ip %s in ip daddr %s tcp dport { %u, %u } meta mark != " MARK
                       " counter reject with tcp reset; ",
                       table, model->regions[i].address, model->regions[i].edge_port,
                       model->regions[i].peer_port);
    return buf_check(out);
}

static int turn_connections(const FaultHeld *held, Relays *relays, const unsigned *ports,
                            Error *reterr)
{
    const Model *model = &held->options->conf->model;
    Buf line CLEANUP(buf_done) = BUF_INIT(1U << 20), direct CLEANUP(buf_done) = BUF_INIT(1U << 20);
    buf_printf(&line,
               "add table ip %s { flags owner; chain in { type filter hook input priority 0; }; "
               "chain out { type nat hook output priority -100; ",
               relays->nft.table);
    int r = add_ports(model, held->fault.a, ports, &line);
    buf_add_text(&line, "}; }");
    if (r == 0)
        r = add_direct(model, held->fault.a, relays->nft.table, &direct);
    if (r < 0)
        return error_set(reterr, r, "rules for nft");
    relays->table = true; // also when the answer gets lost
    r = fault_nft_run(held, &relays->nft, buf_text(&line), reterr);
    if (r == 0)
        r = reload_edges(held, reterr);
    if (r == 0)
        r = fault_nft_run(held, &relays->nft, buf_text(&direct), reterr);
    return r;
}

static int prepare_gateways(FaultHeld *held, Relays *relays, Arguments *arguments, Error *reterr)
{
    const Model *model = &held->options->conf->model;
    unsigned ports[FAULT_RELAY_DOORS] = {0};
    size_t n = 0;
    int r = add_argument(arguments, reterr, "--mark");
    if (r == 0)
        r = add_argument(arguments, reterr, "%lu", strtoul(MARK, NULL, 16));
    for (uint32_t i = 0; r == 0 && i < model->n_regions; i++) {
        const ModelRegion *region = &model->regions[i];
        const unsigned real[2] = {region->edge_port, region->peer_port};
        for (size_t j = 0; r == 0 && fault_has(held->fault.a, i) && j < 2; j++) {
            if (n++ == FAULT_RELAY_DOORS)
                return error_set(reterr, ERROR_LIMIT, "more than %d gateways for one relay",
                                 FAULT_RELAY_DOORS / 2);
            r = add_argument(arguments, reterr, "--tcp");
            r = r < 0 ? r : add_argument(arguments, reterr, "%s:0", region->address);
            r = r < 0 ? r : add_argument(arguments, reterr, "--to");
            r = r < 0 ? r : add_argument(arguments, reterr, "%s:%u", region->address, real[j]);
        }
    }
    if (r == 0)
        r = fault_nft_start(held, &relays->nft, reterr);
    if (r == 0)
        r = fault_relay_start(held, arguments->pointers, arguments->n, &relays->relay, ports, n,
                              reterr);
    return r < 0 ? r : turn_connections(held, relays, ports, reterr);
}

static int no_links(const FaultHeld *held, void *context, Error *reterr)
{
    Relays *relays = context;
    uint64_t links = 0;
    return fault_relay_tell(held, &relays->relay, "links", &links, NULL) < 0 || links == 0;
}

// Nobody new, then those who are there softly. For the rest the end of nft and relay is enough.
static void undo_gateways(FaultHeld *held, Relays *relays)
{
    char line[256];
    (void)snprintf(line, sizeof line, "flush chain ip %s out; flush chain ip %s in",
                   relays->nft.table, relays->nft.table);
    if (!relays->table || fault_nft_run(held, &relays->nft, line, NULL) < 0)
        return;
    Mono deadline = held->deadline;
    held->deadline = mono_min(deadline, mono_add(clock_mono(), 2 * SOFT_NS));
    bool soft = reload_edges(held, NULL) == 0 &&
                fault_wait(held, no_links, relays, "the relay holds no connection", NULL) == 0;
    (void)soft;
    held->deadline = deadline;
}

// --- replicas ---
static int add_region_sockets(const FaultHeld *held, uint32_t region, Arguments *arguments,
                              size_t *found, Error *reterr)
{
    const char *name = fault_region_name(held, region);
    int r = 0;
    for (uint32_t k = 1; r == 0 && k <= held->options->conf->model.regions[region].replicas; k++) {
        char program[32], file[40];
        LayoutPath path;
        (void)snprintf(program, sizeof program, "backend-%u", k);
        (void)snprintf(file, sizeof file, "%s.sock", program);
        if (held->fault.program != NULL && strcmp(program, held->fault.program) != 0)
            continue;
        if (++*found > FAULT_RELAY_DOORS)
            return error_set(reterr, ERROR_LIMIT, "more than %d replicas for one relay",
                             FAULT_RELAY_DOORS);
        r = layout_socket(held->options->dir, name, file, &path, reterr);
        if (r == 0 && !files_exist(path.text))
            r = error_set(reterr, ERROR_NOT_FOUND, "replica '%s' of region '%s' does not listen",
                          program, name);
        r = r < 0 ? r : add_argument(arguments, reterr, "--in-place");
        r = r < 0 ? r : add_argument(arguments, reterr, "%s", path.text);
    }
    return r;
}

static int prepare_replicas(FaultHeld *held, Relays *relays, Arguments *arguments, Error *reterr)
{
    size_t found = 0;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < held->options->conf->model.n_regions; i++) {
        size_t before = found;
        if (!fault_has(held->fault.a, i))
            continue;
        r = add_region_sockets(held, i, arguments, &found, reterr);
        if (r == 0 && found == before)
            r = error_set(reterr, ERROR_NOT_FOUND, "region '%s' has no replica '%s'",
                          fault_region_name(held, i), held->program);
    }
    if (r == 0)
        r = fault_relay_start(held, arguments->pointers, arguments->n, &relays->relay, NULL, 0,
                              reterr);
    if (r < 0)
        return r;
    relays->in_place = true;
    return reload_edges(held, reterr);
}

static int undo_replicas(FaultHeld *held, Relays *relays, Error *reterr)
{
    // A relay that has died has left its sockets: see recover.
    bool given =
        relays->in_place && fault_relay_tell(held, &relays->relay, "release", NULL, NULL) == 0;
    if (given && reload_edges(held, NULL) < 0)
        given = false;
    return relays->in_place && !given ? fault_relay_recover(held->options, reterr) : 0;
}

// --- all ---
static int relay_prepare(FaultHeld *held, Error *reterr)
{
    Relays *relays = held->own = alloc_zeroed(1, sizeof *relays);
    Arguments *arguments = alloc_zeroed(1, sizeof *arguments);
    int r;
    if (relays != NULL) {
        relays->relay = FAULT_CHILD_NONE;
        relays->nft = FAULT_NFT_NONE;
    }
    if (relays == NULL || arguments == NULL)
        r = error_set(reterr, ERROR_MEMORY, "relay");
    else if (held->fault.kind == FAULT_GATEWAY_SLOW)
        r = prepare_gateways(held, relays, arguments, reterr);
    else
        r = prepare_replicas(held, relays, arguments, reterr);
    free(arguments);
    return r;
}

static int tell_value(FaultHeld *held, int64_t value, Error *reterr)
{
    Relays *relays = held->own;
    char command[64];
    (void)snprintf(command, sizeof command, "%s %lld",
                   held->fault.kind == FAULT_REPLICA_ERRORS ? "errors" : "delay", (long long)value);
    return fault_relay_tell(held, &relays->relay, command, NULL, reterr);
}

static int relay_begin(FaultHeld *held, Error *reterr)
{
    return tell_value(held, held->fault.value, reterr);
}

static void relay_look(FaultHeld *held)
{
    Relays *relays = held->own;
    if (!fault_child_lives(&relays->relay))
        fault_lost(held, "the relay has ended");
    if (relays->table && !fault_child_lives(&relays->nft.child))
        fault_lost(held, "nft has ended, and the kernel has removed its rules");
}

// A child that is just dying still lives for a look, so each is asked: by an answer it shows that
// it was there until now. A relay that has ended breaks nothing any more; undo cleans up behind it.
static int relay_end(FaultHeld *held, Error *reterr)
{
    Relays *relays = held->own;
    int r = tell_value(held, 0, reterr);
    if (r < 0 && r != ERROR_TIMEOUT && fault_child_ended(&relays->relay)) {
        fault_lost(held, "the relay has ended");
        error_done(reterr);
        r = 0;
    }
    int asked = relays->table ? fault_nft_run(held, &relays->nft, "", NULL) : 0;
    if (asked < 0 && asked != ERROR_TIMEOUT)
        fault_lost(held, "nft has ended, and the kernel has removed its rules");
    if (asked < 0) // one that is out of step is of no use either
        fault_nft_kill(&relays->nft);
    return r;
}

static int relay_undo(FaultHeld *held, Error *reterr)
{
    Relays *relays = held->own;
    if (relays == NULL)
        return 0;
    int r = 0;
    if (held->fault.kind == FAULT_GATEWAY_SLOW)
        undo_gateways(held, relays);
    else
        r = undo_replicas(held, relays, reterr);
    fault_nft_kill(&relays->nft);
    fault_relay_stop(held, &relays->relay);
    if (r < 0)
        return r; // sockets that are still not in their place: the next try
    free(relays);
    held->own = NULL;
    return 0;
}

const FaultKindActions FAULT_KIND_RELAY = {
    .prepare = relay_prepare,
    .begin = relay_begin,
    .change = relay_begin,
    .end = relay_end,
    .undo = relay_undo,
    .look = relay_look,
};

// --- leftovers ---
static bool listens(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 &&
           (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN);
}

// With the ids of the region's owner: `path` may lead elsewhere, over a link that he has made.
static int put_back(const char *dir, const char *region, const char *real, const char *path,
                    Error *reterr)
{
    FaultOwner owner;
    int r = fault_owner_of_region(dir, region, &owner, reterr);
    if (r < 0)
        return r;
    fault_owner_become(&owner);
    r = rename(real, path) == 0 ? 0 : error_errno(reterr, errno, "put '%s' back", path);
    fault_owner_leave(&owner);
    return r;
}

int fault_relay_recover(const FaultOptions *options, Error *reterr)
{
    const Model *model = &options->conf->model;
    int worst = 0;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        for (uint32_t k = 1; k <= model->regions[i].replicas; k++) {
            char file[40];
            LayoutPath path;
            char real[LAYOUT_PATH_MAX + 8];
            (void)snprintf(file, sizeof file, "backend-%u.sock", k);
            if (layout_socket(options->dir, model->regions[i].name, file, &path, NULL) < 0)
                continue;
            (void)snprintf(real, sizeof real, "%s.real", path.text);
            if (!listens(real) || listens(path.text))
                continue;
            int r = put_back(options->dir, model->regions[i].name, real, path.text, reterr);
            worst = r < 0 ? r : worst;
        }
    }
    return worst;
}
