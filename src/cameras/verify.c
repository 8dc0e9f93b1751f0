// SPDX-License-Identifier: MIT
// verify: see verify.h. A write is a small chain of questions: the region that stored it, then
// every other one, each at its first backend that answers, until one says 200.
#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "asker.h"
#include "files.h"
#include "layout.h"

#define LEDGER_MAX ((size_t)1 << 30)
#define AT_ONCE 4 // traffic may be running

int ledger_read(const char *path, uint64_t run, Ledger *ret_ledger, Error *reterr)
{
    char *bytes CLEANUP(free_textp) = NULL;
    size_t len;
    int r = files_read(path, LEDGER_MAX, &bytes, &len, reterr);
    if (r < 0)
        return r;
    Cursor cursor = cursor_of(bytes, len);
    RecordsItem item;
    *ret_ledger = (Ledger){0};
    while ((r = records_next(&cursor, &item)) > 0) {
        if (r != RECORDS_ENTRY || (run != 0 && item.u.entry.run != run))
            continue;
        if (alloc_grow((void **)&ret_ledger->entries, &ret_ledger->capacity, ret_ledger->n + 1,
                       sizeof(LedgerEntry)) < 0) {
            r = ERROR_MEMORY;
            break;
        }
        ret_ledger->entries[ret_ledger->n++] = item.u.entry;
    }
    if (r == 0)
        return 0;
    ledger_done(ret_ledger);
    return error_set(reterr, r, "ledger '%s': byte %zu: %s", path, cursor.at, error_code_text(r));
}

void ledger_done(Ledger *ledger)
{
    free(ledger->entries);
    *ledger = (Ledger){0};
}

typedef struct Verifier {
    const Conf *conf;
    const char *dir;
    uint64_t regions;
    Asker *asker;
    Verification *result;
    uint32_t replica[RECORDS_REGIONS]; // the one that answers, per region
    LayoutPath sockets[RECORDS_REGIONS];
    Error *reterr;
    int r;
} Verifier;

typedef struct Check {
    Verifier *verifier;
    const LedgerEntry *entry;
    uint64_t asked; // regions that have answered
    uint32_t region;
    uint32_t replica;
    bool silent; // a region did not answer at all
} Check;

static void ask_next(Check *check);

static int next_region(const Check *check)
{
    const Verifier *verifier = check->verifier;
    const Model *model = &verifier->conf->model;
    uint64_t left = verifier->regions & ~check->asked;
    int first = model_find_region(model, check->entry->region);
    if (first >= 0 && (left >> first & 1) != 0)
        return first;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        if ((left >> i & 1) != 0)
            return (int)i;
    }
    return -1;
}

static void check_ended(Check *check, bool found)
{
    Verification *result = check->verifier->result;
    result->acknowledged++;
    if (!found) {
        if (result->lost == 0 || check->entry->acknowledged.ns < result->oldest_lost.ns)
            result->oldest_lost = check->entry->acknowledged;
        if (result->lost++ == 0)
            memcpy(result->first_lost, check->entry->id, sizeof result->first_lost);
        result->unanswered += check->silent;
    }
}

static void answered(void *context, int status, const char *body, size_t len)
{
    Check *check = context;
    Verifier *verifier = check->verifier;
    if (status == 200) {
        check_ended(check, true);
        return;
    }
    uint32_t n = verifier->conf->model.regions[check->region].replicas;
    if (status != 404 && ++check->replica < n) { // this backend cannot say: the next one
        ask_next(check);
        return;
    }
    check->silent = check->silent || status != 404;
    check->asked |= UINT64_C(1) << check->region;
    int region = next_region(check);
    if (region < 0) {
        check_ended(check, false);
        return;
    }
    check->region = (uint32_t)region;
    check->replica = 0;
    ask_next(check);
}

static void ask_next(Check *check)
{
    Verifier *verifier = check->verifier;
    char socket[LAYOUT_PATH_MAX + 32], path[128];
    (void)snprintf(socket, sizeof socket, "%s/backend-%u.sock",
                   verifier->sockets[check->region].text, check->replica + 1);
    (void)snprintf(path, sizeof path, "/api/detections/%s", check->entry->id);
    int r = asker_get(verifier->asker, socket, path, answered, check, verifier->reterr);
    if (r < 0 && verifier->r == 0)
        verifier->r = r;
}

static int find_sockets(Verifier *verifier)
{
    const Model *model = &verifier->conf->model;
    for (uint32_t i = 0; i < model->n_regions && i < RECORDS_REGIONS; i++) {
        if ((verifier->regions >> i & 1) == 0)
            continue;
        int r = layout_sockets(verifier->dir, model->regions[i].name, &verifier->sockets[i],
                               verifier->reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

int verify_ledger(const Conf *conf, const char *dir, uint64_t regions, const Ledger *ledger,
                  Verification *ret_verification, Error *reterr)
{
    *ret_verification = (Verification){0};
    Verifier verifier = {
        .conf = conf, .dir = dir, .regions = regions, .result = ret_verification, .reterr = reterr};
    if (ledger->n == 0)
        return 0;
    Check *checks CLEANUP(alloc_freep) = alloc_zeroed(ledger->n, sizeof *checks);
    if (checks == NULL)
        return error_set(reterr, ERROR_MEMORY, "verification: out of memory");
    Asker *asker CLEANUP(asker_freep) = NULL;
    int r = find_sockets(&verifier);
    if (r < 0 || (r = asker_new(AT_ONCE, &asker, reterr)) < 0)
        return error_wrap(reterr, r, "verification");
    verifier.asker = asker;
    for (size_t i = 0; i < ledger->n && verifier.r == 0; i++) {
        checks[i] = (Check){.verifier = &verifier, .entry = &ledger->entries[i]};
        int region = next_region(&checks[i]);
        if (region < 0)
            return error_set(reterr, ERROR_UNAVAILABLE, "verification: no region to ask");
        checks[i].region = (uint32_t)region;
        ask_next(&checks[i]);
    }
    asker_run(asker);
    return verifier.r;
}
