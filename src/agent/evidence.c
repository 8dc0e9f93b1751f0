// SPDX-License-Identifier: MIT
// evidence: see the header. Per slot the last good copy is kept; a writer is identified by pid and
// start time, so a new worker in an old slot starts from zero and not from a huge jump.
#include "evidence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "bounds.h"
#include "files.h"
#include "hash.h"
#include "layout.h"

#define DELTA_MAX UINT64_C(10000000) // 100 million requests/s: damage
#define RESCAN_NS NS_PER_S
#define ALIVE_NS (5 * NS_PER_S)
#define LOAD_NS NS_PER_S // load is averaged over about a second

typedef struct Slot {
    int fd;
    ino_t inode;
    bool known; // last is a copy of the writer's counters
    CountersHeader header;
    CountersEdge edge;
    CountersTarget targets[COUNTERS_TARGETS];
} Slot;

struct Evidence {
    char *folder;
    Mono started, scanned, read;
    Slot *slots[BOUND_WORKERS];
    EvidenceTotals totals;
    uint64_t load_milli; // requests per second * 1000, decayed
    CountersFile copy;   // where a file is read to
};

static LayoutPath slot_path(const char *folder, unsigned slot)
{
    LayoutPath path;
    snprintf(path.text, sizeof(path.text), "%s/edge-%u", folder, slot);
    return path;
}

static void slot_drop(Slot **slot)
{
    if (*slot)
        files_close((*slot)->fd);
    free(*slot);
    *slot = NULL;
}

// Opens what is new in the folder, drops what is gone or was replaced.
static void rescan(Evidence *evidence)
{
    for (unsigned i = 0; i < BOUND_WORKERS; i++) {
        Slot **slot = &evidence->slots[i];
        LayoutPath path = slot_path(evidence->folder, i);
        struct stat st;
        if (stat(path.text, &st) < 0) {
            slot_drop(slot);
            continue;
        }
        if (*slot && (*slot)->inode == st.st_ino)
            continue;
        slot_drop(slot);
        int fd = open(path.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            continue;
        *slot = alloc_zeroed(1, sizeof(**slot));
        if (!*slot) {
            files_close(fd);
            return;
        }
        (*slot)->fd = fd;
        (*slot)->inode = fstat(fd, &st) == 0 ? st.st_ino : 0;
    }
}

// What a worker of whom nothing is known yet is compared with: itself when it was there before us,
// zero when it began after us.
static void adopt(const Evidence *evidence, Slot *slot, const CountersFile *file)
{
    bool new_worker = file->header.started_ns <= INT64_MAX &&
                      (int64_t)file->header.started_ns >= evidence->started.ns;
    if (new_worker) {
        memset(&slot->edge, 0, sizeof(slot->edge));
        memset(slot->targets, 0, sizeof(slot->targets));
    } else {
        slot->edge = file->edge;
        memcpy(slot->targets, file->targets, sizeof(slot->targets));
    }
    slot->known = true;
}

static uint64_t delta(uint64_t later, uint64_t earlier)
{
    return counters_delta(later, earlier, DELTA_MAX);
}

static void add_totals(EvidenceTotals *totals, const CountersEdge *now, const CountersEdge *before)
{
    totals->requests += delta(now->requests, before->requests);
    totals->responses_5xx += delta(now->responses_5xx, before->responses_5xx);
    totals->retries += delta(now->retries, before->retries);
    totals->retries_refused += delta(now->retries_refused, before->retries_refused);
    totals->evacuated += delta(now->evacuated, before->evacuated);
    totals->shed += delta(now->shed, before->shed);
    totals->shed_peer += delta(now->shed_peer, before->shed_peer);
    totals->forwarded += delta(now->forwarded, before->forwarded);
    totals->peer_refused += delta(now->peer_refused, before->peer_refused);
    totals->plan_refused += delta(now->plan_refused, before->plan_refused);
    totals->no_target += delta(now->no_target, before->no_target);
    totals->cache_hit += delta(now->cache_hit, before->cache_hit);
    totals->cache_miss += delta(now->cache_miss, before->cache_miss);
}

// Index of the gateway that a target's name belongs to; the own region's replicas count for it.
static int gateway_of(const Model *model, uint32_t own, uint64_t name_hash)
{
    for (uint32_t i = 0; i < model->n_regions; i++)
        if (hash_text(HASH_SEED, model->regions[i].name) == name_hash)
            return (int)i;
    for (uint32_t k = 1; k <= model->regions[own].replicas; k++) {
        char name[BOUND_NAME + 16];
        snprintf(name, sizeof(name), "%s/%u", model->regions[own].name, k);
        if (hash_text(HASH_SEED, name) == name_hash)
            return (int)own;
    }
    return -1;
}

static uint32_t add_clamped(uint32_t a, uint64_t b)
{
    return b > UINT32_MAX - a ? UINT32_MAX : a + (uint32_t)b;
}

static void add_target(EvidenceEdge *out, const CountersTarget *now, const CountersTarget *before,
                       Mono at)
{
    uint64_t ok = delta(now->ok, before->ok);
    uint64_t bad = delta(now->error, before->error) + delta(now->failure, before->failure);
    if (!ok && !bad)
        return;
    out->fresh = true;
    out->edge.successes = add_clamped(out->edge.successes, ok);
    out->edge.failures = add_clamped(out->edge.failures, bad);
    // A time in the future is damage: it would veto for ever.
    if (ok && now->success_sent_ns && now->success_sent_ns <= (uint64_t)at.ns) {
        Mono sent = {(int64_t)now->success_sent_ns};
        if (!out->edge.any_success || sent.ns > out->edge.success_sent.ns)
            out->edge.success_sent = sent;
        out->edge.any_success = true;
    }
}

static void add_targets(const Slot *slot, const CountersFile *file, const Model *model,
                        uint32_t own, Mono now, EvidenceEdge *edges)
{
    for (unsigned i = 0; i < COUNTERS_TARGETS; i++) {
        const CountersTarget *target = &file->targets[i], *before = &slot->targets[i];
        static const CountersTarget ZERO;
        if (!target->name_hash || memcmp(target, before, sizeof(*target)) == 0)
            continue;
        if (before->name_hash != target->name_hash)
            before = &ZERO; // the slot was given to another target
        int gateway = gateway_of(model, own, target->name_hash);
        if (gateway >= 0)
            add_target(&edges[gateway], target, before, now);
    }
}

static int read_slot(Evidence *evidence, Slot *slot, const Model *model, uint32_t own, Mono now,
                     EvidenceEdge *edges, Error *reterr)
{
    ssize_t n = pread(slot->fd, &evidence->copy, sizeof(evidence->copy), 0);
    if (n < 0)
        return error_errno(reterr, errno, "read counters");
    const CountersFile *file;
    int r = counters_check(&evidence->copy, (size_t)n, &file, reterr);
    if (r < 0)
        return r;
    if (file->header.sequence == slot->header.sequence && slot->known &&
        file->header.pid == slot->header.pid)
        return 0;
    if (!slot->known || file->header.pid != slot->header.pid ||
        file->header.started_ns != slot->header.started_ns)
        adopt(evidence, slot, file);
    add_totals(&evidence->totals, &file->edge, &slot->edge);
    add_targets(slot, file, model, own, now, edges);
    slot->header = file->header;
    slot->edge = file->edge;
    memcpy(slot->targets, file->targets, sizeof(slot->targets));
    return 0;
}

// Which workers live, and the oldest plan that one of them uses.
static void look_at_workers(Evidence *evidence, Mono now)
{
    EvidenceTotals *totals = &evidence->totals;
    totals->workers = 0;
    totals->oldest_plan = 0;
    for (unsigned i = 0; i < BOUND_WORKERS; i++) {
        const Slot *slot = evidence->slots[i];
        if (!slot || !slot->known || (uint64_t)now.ns < slot->header.now_ns ||
            (uint64_t)now.ns - slot->header.now_ns > (uint64_t)ALIVE_NS)
            continue;
        totals->workers++;
        if (!totals->oldest_plan || slot->header.plan_number < totals->oldest_plan)
            totals->oldest_plan = slot->header.plan_number;
    }
}

// The own gateway's load is news even when it fell to zero.
static void take_load(Evidence *evidence, EvidenceEdge *own, Mono now)
{
    int64_t dt = mono_since(now, evidence->read);
    evidence->read = now;
    if (dt <= 0 || dt > 10 * LOAD_NS)
        return;
    uint64_t served = (uint64_t)own->edge.successes + own->edge.failures;
    uint64_t rate = served * 1000 * (uint64_t)NS_PER_S / (uint64_t)dt;
    uint64_t part = dt > LOAD_NS ? (uint64_t)LOAD_NS : (uint64_t)dt;
    uint64_t before = evidence->load_milli;
    evidence->load_milli = (before * ((uint64_t)LOAD_NS - part) / 1000 + rate * part / 1000) /
                           ((uint64_t)LOAD_NS / 1000);
    own->edge.load_rps = add_clamped(0, (evidence->load_milli + 500) / 1000);
    own->fresh = own->fresh || before != evidence->load_milli;
}

uint32_t evidence_read(Evidence *evidence, const Model *model, uint32_t own, Mono now,
                       EvidenceEdge *ret_edges, Error *reterr)
{
    for (uint32_t i = 0; i < model->n_regions; i++)
        ret_edges[i] = (EvidenceEdge){.edge.gateway = i};
    if (mono_since(now, evidence->scanned) >= RESCAN_NS) {
        rescan(evidence);
        evidence->scanned = now;
    }
    for (unsigned i = 0; i < BOUND_WORKERS; i++)
        if (evidence->slots[i] &&
            read_slot(evidence, evidence->slots[i], model, own, now, ret_edges, reterr) < 0)
            evidence->totals.damaged++;
    look_at_workers(evidence, now);
    take_load(evidence, &ret_edges[own], now);
    uint32_t n = 0;
    for (uint32_t i = 0; i < model->n_regions; i++)
        n += ret_edges[i].fresh;
    return n;
}

EvidenceTotals evidence_totals(const Evidence *evidence)
{
    return evidence->totals;
}

uint64_t evidence_newest_plan(const char *folder)
{
    uint64_t newest = 0;
    for (unsigned i = 0; i < BOUND_WORKERS; i++) {
        char *bytes CLEANUP(alloc_freep) = NULL;
        size_t len;
        const CountersFile *file;
        LayoutPath path = slot_path(folder, i);
        if (files_read(path.text, sizeof(CountersFile), &bytes, &len, NULL) == 0 &&
            counters_check(bytes, len, &file, NULL) == 0 && file->header.plan_number > newest)
            newest = file->header.plan_number;
    }
    return newest;
}

int evidence_new(const char *folder, Mono now, Evidence **ret_evidence, Error *reterr)
{
    Evidence *evidence = alloc_zeroed(1, sizeof(*evidence));
    if (evidence)
        evidence->folder = alloc_strdup(folder);
    if (!evidence || !evidence->folder) {
        free(evidence);
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    }
    evidence->started = now;
    evidence->read = now;
    evidence->scanned = MONO_DISTANT;
    *ret_evidence = evidence;
    return 0;
}

Evidence *evidence_free(Evidence *evidence)
{
    if (!evidence)
        return NULL;
    for (unsigned i = 0; i < BOUND_WORKERS; i++)
        slot_drop(&evidence->slots[i]);
    free(evidence->folder);
    free(evidence);
    return NULL;
}
