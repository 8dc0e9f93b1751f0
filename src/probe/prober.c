// SPDX-License-Identifier: MIT
// prober: see the header. A Probe lives from prober_probe until it has no connection left or its
// give-up time; its uv timer makes the memory outlive it by one round of the loop.
#include "prober.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "conn.h"

enum {
    ATTEMPTS_MAX = 3,    // kept, fresh after it turned out closed, hedge
    IDLE_MAX = 2,        // kept per gateway
    HEDGE_BUSY_MAX = 16, // no hedge while so many wait at a gateway: it hangs, we know
    BUSY_MAX = 64,       // 5 s of probes every 100 ms, with some air
};
#define KEEP_MAX_NS (60 * NS_PER_S)

typedef struct Target Target;

typedef struct Probe {
    Target *target;
    uint64_t id;
    Mono started;
    int64_t give_up_ns;
    uv_timer_t timer;
    bool hedged, ended, hard_reported;
    ProbeConn *attempts[ATTEMPTS_MAX];
    struct Probe *previous, *next;
} Probe;

struct Target {
    Prober *prober;
    uint32_t gateway;
    char host[256], request[512];
    struct sockaddr_storage address;
    ProbeConn *idle[IDLE_MAX];
    uint32_t busy;
    Probe *probes;
};

struct Prober {
    uv_loop_t *loop;
    ProberDone *done;
    void *context;
    SSL_CTX *tls;
    char *ca_file, *path;
    bool bound;
    struct sockaddr_storage source;
    Target *targets;
    uint32_t n_targets;
};

static int parse_address(const char *text, uint16_t port, struct sockaddr_storage *ret,
                         Error *reterr)
{
    struct sockaddr_storage address = {0};
    if (uv_ip4_addr(text, port, (struct sockaddr_in *)&address) < 0 &&
        uv_ip6_addr(text, port, (struct sockaddr_in6 *)&address) < 0)
        return error_set(reterr, ERROR_FORMAT, "address '%s' is neither IPv4 nor IPv6", text);
    *ret = address;
    return 0;
}

static int make_tls(const char *ca_file, SSL_CTX **ret_tls, Error *reterr)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (!tls)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    // No resumption: a resumed session would not show an expired certificate.
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1 ||
        SSL_CTX_load_verify_file(tls, ca_file) != 1) {
        SSL_CTX_free(tls);
        return error_set(reterr, ERROR_FORMAT, "'%s' holds no usable CA certificate", ca_file);
    }
    *ret_tls = tls;
    return 0;
}

static void report(Target *target, ProbeResult result, uint64_t id, Mono started, const char *why)
{
    Prober *prober = target->prober;
    ProbeReport out = {.result = result,
                       .id = id,
                       .gateway = target->gateway,
                       .elapsed_ns = id ? mono_since(clock_mono(), started) : 0,
                       .why = why};
    prober->done(prober->context, &out);
}

// --- Probes ---

static void on_probe_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void probe_end(Probe *probe)
{
    if (probe->ended)
        return;
    probe->ended = true;
    Target *target = probe->target;
    for (unsigned i = 0; i < ATTEMPTS_MAX; i++) {
        if (!probe->attempts[i])
            continue;
        probe_conn_close(probe->attempts[i]);
        target->busy--;
    }
    if (probe->next)
        probe->next->previous = probe->previous;
    if (probe->previous)
        probe->previous->next = probe->next;
    else
        target->probes = probe->next;
    uv_close((uv_handle_t *)&probe->timer, on_probe_closed);
}

static void drop_idle(Target *target, const ProbeConn *conn)
{
    for (unsigned i = 0; i < IDLE_MAX; i++)
        if (target->idle[i] == conn)
            target->idle[i] = NULL;
}

static bool has_idle(const Target *target)
{
    for (unsigned i = 0; i < IDLE_MAX; i++)
        if (target->idle[i])
            return true;
    return false;
}

static void on_idle_end(void *context, ProbeConn *conn, ProbeConnEnd how, bool kept,
                        const char *why)
{
    (void)how;
    (void)kept;
    (void)why;
    Target *target = context;
    drop_idle(target, conn);
    if (!has_idle(target))
        report(target, PROBE_RESULT_IDLE_CLOSED, 0, (Mono){0}, "");
}

static void keep(Target *target, ProbeConn *conn)
{
    if (mono_since(clock_mono(), probe_conn_opened(conn)) <= KEEP_MAX_NS) {
        for (unsigned i = 0; i < IDLE_MAX; i++) {
            if (target->idle[i])
                continue;
            target->idle[i] = conn;
            probe_conn_set_context(conn, target);
            return;
        }
    }
    probe_conn_close(conn);
}

static ProbeConn *take_idle(Target *target)
{
    for (unsigned i = 0; i < IDLE_MAX; i++) {
        ProbeConn *conn = target->idle[i];
        if (!conn)
            continue;
        target->idle[i] = NULL;
        if (mono_since(clock_mono(), probe_conn_opened(conn)) <= KEEP_MAX_NS)
            return conn;
        probe_conn_close(conn);
    }
    return NULL;
}

static void on_conn_end(void *context, ProbeConn *conn, ProbeConnEnd how, bool kept,
                        const char *why);

static ProbeConn **free_attempt(Probe *probe)
{
    for (unsigned i = 0; i < ATTEMPTS_MAX; i++)
        if (!probe->attempts[i])
            return &probe->attempts[i];
    return NULL;
}

static int ask_fresh(Probe *probe, Error *reterr)
{
    Target *target = probe->target;
    Prober *prober = target->prober;
    ProbeConn **slot = free_attempt(probe);
    if (!slot || target->busy >= BUSY_MAX)
        return error_set(reterr, ERROR_LIMIT, "%u probe connections wait at '%s' already",
                         target->busy, target->host);
    ProbeConnOptions options = {.loop = prober->loop,
                                .tls = prober->tls,
                                .host = target->host,
                                .source =
                                    prober->bound ? (const struct sockaddr *)&prober->source : NULL,
                                .target = (const struct sockaddr *)&target->address,
                                .done = on_conn_end};
    int r = probe_conn_open(&options, target->request, probe, slot, reterr);
    if (r == 0)
        target->busy++;
    return r;
}

static bool waits(const Probe *probe)
{
    for (unsigned i = 0; i < ATTEMPTS_MAX; i++)
        if (probe->attempts[i])
            return true;
    return false;
}

static void on_busy_end(Probe *probe, ProbeConn *conn, ProbeConnEnd how, bool kept, const char *why)
{
    Target *target = probe->target;
    target->busy--;
    for (unsigned i = 0; i < ATTEMPTS_MAX; i++)
        if (probe->attempts[i] == conn)
            probe->attempts[i] = NULL;
    if (kept)
        keep(target, conn);
    uint64_t id = probe->id;
    Mono started = probe->started;
    if (how == PROBE_CONN_ANSWERED) {
        probe_end(probe); // a slower attempt has nothing to add
        report(target, PROBE_RESULT_ANSWERED, id, started, "");
        return;
    }
    if (how == PROBE_CONN_STALE && !probe->hedged && ask_fresh(probe, NULL) == 0)
        return;
    bool tell = how == PROBE_CONN_HARD && !probe->hard_reported;
    probe->hard_reported = probe->hard_reported || tell;
    if (!waits(probe) && (probe->hedged || how == PROBE_CONN_HARD))
        probe_end(probe);
    if (tell)
        report(target, PROBE_RESULT_HARD, id, started, why);
}

// One callback for both owners: an idle connection's context is its Target, a busy one's its Probe.
static void on_conn_end(void *context, ProbeConn *conn, ProbeConnEnd how, bool kept,
                        const char *why)
{
    if (how == PROBE_CONN_IDLE_CLOSED)
        on_idle_end(context, conn, how, kept, why);
    else
        on_busy_end(context, conn, how, kept, why);
}

static void on_give_up(uv_timer_t *timer)
{
    probe_end(timer->data);
}

// Rounded up: a timer that fires early would find its time not come yet.
static uint64_t to_ms(int64_t ns)
{
    return ns <= 0 ? 0 : (uint64_t)((ns + NS_PER_MS - 1) / NS_PER_MS);
}

static void on_hedge(uv_timer_t *timer)
{
    Probe *probe = timer->data;
    probe->hedged = true;
    if (probe->target->busy < HEDGE_BUSY_MAX)
        (void)ask_fresh(probe, NULL); // without it the first attempt still may answer
    if (!waits(probe)) {
        probe_end(probe);
        return;
    }
    int64_t left = probe->give_up_ns - mono_since(clock_mono(), probe->started);
    (void)uv_timer_start(timer, on_give_up, to_ms(left), 0);
}

int prober_probe(Prober *prober, uint32_t gateway, uint64_t id, int64_t hedge_ns,
                 int64_t give_up_ns, Error *reterr)
{
    if (gateway >= prober->n_targets)
        return error_set(reterr, ERROR_RANGE, "gateway %u of %u", gateway, prober->n_targets);
    Target *target = &prober->targets[gateway];
    Probe *probe = alloc_zeroed(1, sizeof(*probe));
    if (!probe)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    *probe = (Probe){.target = target,
                     .id = id,
                     .started = clock_mono(),
                     .give_up_ns = give_up_ns,
                     .next = target->probes};
    (void)uv_timer_init(prober->loop, &probe->timer); // cannot fail
    probe->timer.data = probe;
    if (target->probes)
        target->probes->previous = probe;
    target->probes = probe;
    ProbeConn *conn = take_idle(target);
    if (conn) {
        probe->attempts[0] = conn;
        target->busy++;
        probe_conn_again(conn, probe);
    } else {
        int r = ask_fresh(probe, reterr);
        if (r < 0) {
            probe_end(probe);
            return r;
        }
    }
    uv_update_time(prober->loop);
    (void)uv_timer_start(&probe->timer, on_hedge, to_ms(hedge_ns), 0);
    return 0;
}

// --- The prober itself ---

static void forget_targets(Prober *prober)
{
    for (uint32_t i = 0; i < prober->n_targets; i++) {
        Target *target = &prober->targets[i];
        while (target->probes)
            probe_end(target->probes);
        for (unsigned k = 0; k < IDLE_MAX; k++)
            probe_conn_close(target->idle[k]);
    }
    free(prober->targets); // closed connections and probes do not look at it again
    prober->targets = NULL;
    prober->n_targets = 0;
}

int prober_set_targets(Prober *prober, const ProberTarget *targets, uint32_t n, Error *reterr)
{
    Target *made = alloc_zeroed(n ? n : 1, sizeof(*made));
    if (!made)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    for (uint32_t i = 0; i < n; i++) {
        Target *target = &made[i];
        target->prober = prober;
        target->gateway = i;
        int host = snprintf(target->host, sizeof(target->host), "%s", targets[i].host);
        int request = snprintf(target->request, sizeof(target->request),
                               "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: wildcam-agent\r\n\r\n",
                               prober->path, targets[i].host);
        int r = parse_address(targets[i].address, targets[i].port, &target->address, reterr);
        if (host >= (int)sizeof(target->host) || request >= (int)sizeof(target->request))
            r = error_set(reterr, ERROR_LIMIT, "name of target %u is too long", i);
        if (r < 0) {
            free(made);
            return r;
        }
    }
    forget_targets(prober);
    prober->targets = made;
    prober->n_targets = n;
    return 0;
}

int prober_reload(Prober *prober, Error *reterr)
{
    SSL_CTX *tls;
    int r = make_tls(prober->ca_file, &tls, reterr);
    if (r < 0)
        return r;
    SSL_CTX_free(prober->tls); // open connections hold their own reference
    prober->tls = tls;
    return 0;
}

uint32_t prober_connections(const Prober *prober)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < prober->n_targets; i++) {
        n += prober->targets[i].busy;
        for (unsigned k = 0; k < IDLE_MAX; k++)
            n += prober->targets[i].idle[k] != NULL;
    }
    return n;
}

int prober_new(uv_loop_t *loop, const ProberOptions *options, Prober **ret_prober, Error *reterr)
{
    Prober *prober = alloc_zeroed(1, sizeof(*prober));
    if (!prober)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    *prober = (Prober){.loop = loop,
                       .done = options->done,
                       .context = options->context,
                       .ca_file = alloc_strdup(options->ca_file),
                       .path = alloc_strdup(options->path),
                       .bound = options->source != NULL};
    int r = prober->ca_file && prober->path ? 0 : error_set(reterr, ERROR_MEMORY, "out of memory");
    if (r == 0 && options->source)
        r = parse_address(options->source, 0, &prober->source, reterr);
    if (r == 0)
        r = make_tls(prober->ca_file, &prober->tls, reterr);
    if (r < 0) {
        (void)prober_free(prober);
        return r;
    }
    *ret_prober = prober;
    return 0;
}

Prober *prober_free(Prober *prober)
{
    if (!prober)
        return NULL;
    forget_targets(prober);
    SSL_CTX_free(prober->tls);
    free(prober->ca_file);
    free(prober->path);
    free(prober);
    return NULL;
}
