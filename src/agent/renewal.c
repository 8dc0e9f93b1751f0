// SPDX-License-Identifier: MIT
// renewal: keeps the region's own certificates valid. With issuer 'local' the agent issues a pair
// anew when it nears its end (in a worker thread: keys and fsync take time) and tells those who
// hold the old one in memory; with 'files' somebody else does. In both cases a changed peer
// certificate is taken up for new connections.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_state.h"
#include "alloc.h"
#include "clock.h"
#include "files.h"
#include "layout.h"
#include "log.h"
#include "parse.h"
#include "pki.h"

#define CHECK_MAX_NS (60 * NS_PER_S)

typedef struct Pair {
    PkiKind kind;
    const char *name; // file name without its end
    bool issued;
    Wall expires; // 0: not known
} Pair;

enum { PAIRS = 3 };

struct Renewal {
    Agent *agent;
    uv_work_t work;
    bool busy;
    Mono next;
    Pair pairs[PAIRS];
    // of the worker thread while busy
    char *dir, *region, *domain, *address;
    bool local;
    int64_t lifetime_ns, renew_before_ns;
    int r;
    Error err;
    struct timespec seen; // of the peer certificate in use
};

static void on_work(uv_work_t *work)
{
    Renewal *renewal = work->data;
    for (unsigned i = 0; i < PAIRS && renewal->r == 0; i++) {
        Pair *pair = &renewal->pairs[i];
        PkiRequest request = {.kind = pair->kind,
                              .region = renewal->region,
                              .domain = renewal->domain,
                              .address = renewal->address,
                              .lifetime_ns = renewal->lifetime_ns};
        if (renewal->local)
            renewal->r = pki_ensure(renewal->dir, &request, clock_wall(), renewal->renew_before_ns,
                                    &pair->issued, &renewal->err);
        char name[32];
        snprintf(name, sizeof(name), "%s.pem", pair->name);
        PkiExpiry expiry;
        if (pki_expiry(layout_pki(renewal->dir, renewal->region, name).text, &expiry, NULL) == 0)
            pair->expires = expiry.not_after;
    }
}

// A pid from a file is believed only while its process has the right name, where we can look:
// /proc of a PID namespace of ours may show the host's numbers.
static bool is_process(pid_t pid, const char *comm)
{
    char path[64], self[32];
    ssize_t n = readlink("/proc/self", self, sizeof(self) - 1);
    if (n <= 0)
        return true;
    self[n] = '\0';
    if (atol(self) != (long)getpid())
        return true;
    snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
    char *text CLEANUP(alloc_freep) = NULL;
    size_t len;
    return files_read(path, 64, &text, &len, NULL) == 0 && strncmp(text, comm, strlen(comm)) == 0;
}

static void hang_up(LayoutPath pid_file, const char *comm)
{
    char *text CLEANUP(alloc_freep) = NULL;
    size_t len;
    uint64_t pid;
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = files_read(pid_file.text, 4096, &text, &len, &err);
    if (r == 0)
        r = parse_u64(text, strcspn(text, "\n"), INT32_MAX, &pid);
    if (r == 0 && (pid <= 1 || !is_process((pid_t)pid, comm)))
        r = error_set(&err, ERROR_FOREIGN, "pid %d is no %s", (int)pid, comm);
    if (r == 0 && kill((pid_t)pid, SIGHUP) < 0)
        r = error_errno(&err, errno, "signal %d", (int)pid);
    if (r < 0) // not running: it reads the new certificate when it starts
        log_info("nobody to tell of a new certificate", comm, LOG_TEXT("why", error_text(&err)));
}

static void tell(const Renewal *renewal, const Pair *pair)
{
    const Agent *agent = renewal->agent;
    log_info("certificate renewed", pair->name,
             LOG_NUMBER("expires_s", pair->expires.ns / NS_PER_S));
    if (pair->kind == PKI_KIND_PG)
        hang_up(layout_region(agent->dir, agent->region, "pg/postmaster.pid"), "postgres");
    else
        hang_up(layout_region(agent->dir, agent->region, "edge/nginx.pid"), "nginx");
}

static void take_up_peer(Renewal *renewal)
{
    Agent *agent = renewal->agent;
    struct stat st;
    LayoutPath path = layout_pki(agent->dir, agent->region, "peer.pem");
    if (agent->draining || stat(path.text, &st) < 0 ||
        (st.st_mtim.tv_sec == renewal->seen.tv_sec && st.st_mtim.tv_nsec == renewal->seen.tv_nsec))
        return;
    bool first = renewal->seen.tv_sec == 0;
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (!first && http_client_reload(agent->peers, &err) < 0) {
        log_error("certificates not reloaded", "peer", LOG_TEXT("error", error_text(&err)));
        return; // tried again at the next check
    }
    renewal->seen = st.st_mtim;
}

static void on_worked(uv_work_t *work, int status)
{
    (void)status;
    Renewal *renewal = work->data;
    Agent *agent = renewal->agent;
    renewal->busy = false;
    for (unsigned i = 0; i < PAIRS; i++) {
        if (renewal->pairs[i].issued)
            tell(renewal, &renewal->pairs[i]);
        renewal->pairs[i].issued = false;
    }
    take_up_peer(renewal);
    alarm_set(&agent->alarms, ALARM_CERTIFICATE, clock_mono(), renewal->r < 0,
              error_text(&renewal->err));
    error_done(&renewal->err);
    renewal->r = 0;
}

static void forget_texts(Renewal *renewal)
{
    free(renewal->dir);
    free(renewal->region);
    free(renewal->domain);
    free(renewal->address);
    renewal->dir = renewal->region = renewal->domain = renewal->address = NULL;
}

void renewal_check(Renewal *renewal)
{
    Agent *agent = renewal->agent;
    Mono now = clock_mono();
    if (renewal->busy || agent->draining || now.ns < renewal->next.ns)
        return;
    const ConfCertificates *rules = &agent->conf->certificates;
    int64_t gap = rules->renew_before_ns / 8;
    gap = gap < NS_PER_S ? NS_PER_S : gap > CHECK_MAX_NS ? CHECK_MAX_NS : gap;
    renewal->next = mono_add(now, gap);
    forget_texts(renewal);
    renewal->dir = alloc_strdup(agent->dir);
    renewal->region = alloc_strdup(agent->region);
    renewal->domain = alloc_strdup(agent_model(agent)->domain);
    renewal->address = alloc_strdup(agent_model(agent)->regions[agent->own].address);
    renewal->local = strcmp(rules->issuer, "local") == 0;
    renewal->lifetime_ns = rules->lifetime_ns;
    renewal->renew_before_ns = rules->renew_before_ns;
    renewal->work.data = renewal;
    if (!renewal->dir || !renewal->region || !renewal->domain || !renewal->address)
        return;
    renewal->busy = uv_queue_work(agent->loop, &renewal->work, on_work, on_worked) == 0;
}

int64_t renewal_expiry_s(const Renewal *renewal, unsigned i, const char **ret_name)
{
    if (i >= PAIRS)
        return -1;
    *ret_name = renewal->pairs[i].name;
    return renewal->pairs[i].expires.ns / NS_PER_S;
}

int renewal_new(Agent *agent, Renewal **ret_renewal, Error *reterr)
{
    Renewal *renewal = alloc_zeroed(1, sizeof(*renewal));
    if (!renewal)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    *renewal = (Renewal){.agent = agent,
                         .next = MONO_DISTANT,
                         .pairs = {{.kind = PKI_KIND_EDGE, .name = "edge"},
                                   {.kind = PKI_KIND_PEER, .name = "peer"},
                                   {.kind = PKI_KIND_PG, .name = "pg"}}};
    *ret_renewal = renewal;
    return 0;
}

Renewal *renewal_free(Renewal *renewal)
{
    if (!renewal)
        return NULL;
    forget_texts(renewal);
    error_done(&renewal->err);
    free(renewal);
    return NULL;
}
