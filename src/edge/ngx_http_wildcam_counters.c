// SPDX-License-Identifier: MIT
// counters: the file through which a worker hands its evidence to the agent
// (wire/counters.h). Each worker maps a file of its own that it has allocated
// in full, so that neither another process nor a full disk can hurt a write.
// The slot is held by a lock on the open file, which the kernel drops with the
// process. Without a file (no folder, disk full, all slots taken) the counters
// live in private memory: the agent then sees nothing of this worker, and
// traffic goes on.
#include "ngx_http_wildcam_module.h"

#include <netinet/tcp.h>
#include <sys/file.h>

#include "bounds.h"

#define SAMPLES_A_TICK 4 /* round trip times taken from the kernel */


static ngx_uint_t samples_left;


static CountersFile *
ngx_http_wildcam_counters_map(
    ngx_cycle_t *cycle, ngx_uint_t slot, ngx_str_t *folder)
{
    int   fd, err;
    char  path[NGX_MAX_PATH];
    void *p;

    (void) snprintf(path, sizeof(path), "%s/edge-%u", (char *) folder->data,
        (unsigned) slot);

    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd == -1) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, errno,
            "wildcam: open(\"%s\") failed", path);
        return MAP_FAILED;
    }

    if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
        (void) close(fd);
        return NULL; /* another worker's */
    }

    /* the old content goes: its writer is gone, the agent sees a new start */

    if (ftruncate(fd, 0) == -1) {
        err = errno;
    } else {
        err = posix_fallocate(fd, 0, sizeof(CountersFile));
    }

    if (err) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, err,
            "wildcam: no room for \"%s\"", path);
        (void) close(fd);
        return MAP_FAILED;
    }

    p = mmap(
        NULL, sizeof(CountersFile), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, errno,
            "wildcam: mmap(\"%s\") failed", path);
        (void) close(fd);
    }

    return p; /* fd stays open: it holds the lock */
}


ngx_int_t
ngx_http_wildcam_counters_open(ngx_cycle_t *cycle)
{
    ngx_str_t    *folder;
    ngx_uint_t    slot;
    CountersFile *file;

    folder = &ngx_http_wildcam_worker.conf->counters;
    file = folder->len ? NULL : MAP_FAILED;

    for (slot = 0; file == NULL && slot < BOUND_WORKERS; slot++) {
        file = ngx_http_wildcam_counters_map(cycle, slot, folder);
    }

    if (file == NULL || file == MAP_FAILED) {
        file = mmap(NULL, sizeof(CountersFile), PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (file == MAP_FAILED) {
            return NGX_ERROR;
        }
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
            "wildcam: counters are kept in private memory");
    }

    file->header = (CountersHeader){
        .version = COUNTERS_VERSION,
        .worker = (uint32_t) ngx_worker,
        .pid = (uint64_t) ngx_pid,
        .started_ns = (uint64_t) ngx_http_wildcam_now().ns,
    };

    /* last: without it a reader takes the file for none */

    __atomic_store_n(&file->header.magic, COUNTERS_MAGIC, __ATOMIC_RELEASE);

    ngx_http_wildcam_worker.counters = file;

    return NGX_OK;
}


void
ngx_http_wildcam_counters_tick(Mono now)
{
    CountersHeader *header;

    header = &ngx_http_wildcam_worker.counters->header;
    header->now_ns = (uint64_t) now.ns;
    header->plan_age_ms = ngx_http_wildcam_worker.plan_age_ms;
    header->sequence++;

    samples_left = SAMPLES_A_TICK;
}


/* The kernel's round trip time of this client, for the plan's measured
 * latencies. */

static void
ngx_http_wildcam_sample(ngx_connection_t *c)
{
    Ip              ip;
    socklen_t       len;
    CountersFile   *file;
    CountersSample *sample;
    struct tcp_info info;

    samples_left--;

    len = sizeof(info);
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == -1
        || len < offsetof(struct tcp_info, tcpi_rtt) + sizeof(info.tcpi_rtt)
        || info.tcpi_rtt == 0) {
        return;
    }

    file = ngx_http_wildcam_worker.counters;
    sample = &file->samples[file->n_samples % COUNTERS_SAMPLES];

    ip = ngx_http_wildcam_client(c);
    ngx_memcpy(sample->client, ip.bytes, sizeof(sample->client));

    sample->rtt_us = info.tcpi_rtt;
    sample->at_s = (uint32_t) (ngx_http_wildcam_now().ns / NS_PER_S);

    file->n_samples++;
}


ngx_int_t
ngx_http_wildcam_log_handler(ngx_http_request_t *r)
{
    CountersEdge                *edge;
    ngx_connection_t            *c;
    ngx_http_wildcam_ctx_t      *ctx;
    ngx_http_wildcam_loc_conf_t *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_wildcam_module);
    if (lcf->service.len == 0) {
        return NGX_OK;
    }

    edge = &ngx_http_wildcam_worker.counters->edge;
    edge->requests++;

    if (r->headers_out.status >= 500) {
        ctx = ngx_http_wildcam_ctx_find(r);
        if (ctx == NULL
            || !ctx->shed) { /* these have a counter of their own */
            edge->responses_5xx++;
        }
    }

#if (NGX_HTTP_CACHE)

    if (r->upstream && r->upstream->cache_status) {
        switch (r->upstream->cache_status) {

        case NGX_HTTP_CACHE_HIT:
        case NGX_HTTP_CACHE_STALE:
        case NGX_HTTP_CACHE_UPDATING:
        case NGX_HTTP_CACHE_REVALIDATED:
            edge->cache_hit++;
            break;

        case NGX_HTTP_CACHE_MISS:
        case NGX_HTTP_CACHE_EXPIRED:
            edge->cache_miss++;
            break;

        default:
            edge->cache_other++;
        }
    }

#endif

    c = r->connection;

    if (c->requests == 1) {
        edge->connections++;
    }

    /* the second request: by then the kernel has seen round trips of its own
     */

    if (samples_left && (c->requests == 2 || c->requests % 64 == 0)
        && (c->sockaddr->sa_family == AF_INET
            || c->sockaddr->sa_family == AF_INET6)) {
        ngx_http_wildcam_sample(c);
    }

    return NGX_OK;
}
