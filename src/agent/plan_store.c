// SPDX-License-Identifier: MIT
// plan_store: see the header.
#include "plan_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "arena.h"
#include "bounds.h"
#include "files.h"
#include "layout.h"
#include "parse.h"
#include "plan_file.h"

// A number above this is damage, not time: it would leave no room to rise.
#define NUMBER_MAX (UINT64_C(0xfffffff0) << 32)

struct PlanStore {
    char *folder;
    int now_fd;
    uint64_t boot, first, newest;      // newest: named in plan.now by us; 0: none yet
    uint64_t digests[PLAN_STORE_KEEP]; // prefixes of the newest plans, newest first
    unsigned n_digests;
};

static LayoutPath path_of(const PlanStore *store, const char *name)
{
    LayoutPath path;
    if (snprintf(path.text, sizeof(path.text), "%s/%s", store->folder, name) >=
        (int)sizeof(path.text))
        path.text[0] = '\0'; // refused by every open
    return path;
}

// The 16 hex digits behind `prefix` in a file's name.
static bool parse_name(const char *name, const char *prefix, uint64_t *ret_value)
{
    size_t len = strlen(prefix);
    return strncmp(name, prefix, len) == 0 &&
           parse_hex(name + len, strlen(name + len), 16, ret_value) == 0;
}

static uint64_t highest(uint64_t a, uint64_t b)
{
    return b <= NUMBER_MAX && b > a ? b : a;
}

static uint64_t newest_in_folder(const PlanStore *store)
{
    uint64_t newest = 0, number;
    DIR *dir = opendir(store->folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (parse_name(entry->d_name, "plan.", &number))
            newest = highest(newest, number);
        else if (strstr(entry->d_name, ".tmp"))
            (void)unlinkat(dirfd(dir), entry->d_name, 0); // of a write that was cut off
    }
    if (dir)
        closedir(dir);
    unsigned char bytes[PLAN_NOW_BYTES];
    PlanNow now;
    ssize_t n = pread(store->now_fd, bytes, sizeof(bytes), 0);
    if (n > 0 && plan_now_decode(bytes, (size_t)n, &now, NULL) == 0)
        newest = highest(newest, now.number);
    return newest;
}

// The kept epoch; made now when there is none that can be read.
static int settle_epoch(const PlanStore *store, uint64_t newest, Wall wall, uint64_t *ret_epoch,
                        Error *reterr)
{
    LayoutPath path = path_of(store, "epoch");
    char *text CLEANUP(alloc_freep) = NULL;
    size_t len;
    uint64_t epoch;
    if (files_read(path.text, 64, &text, &len, NULL) == 0 &&
        parse_u64(text, strcspn(text, "\n"), NUMBER_MAX >> 32, &epoch) == 0) {
        *ret_epoch = epoch;
        return 0;
    }
    int64_t second = wall.ns / NS_PER_S;
    epoch = second < 1                            ? 1
            : (uint64_t)second > NUMBER_MAX >> 32 ? NUMBER_MAX >> 32
                                                  : (uint64_t)second;
    if (epoch < newest >> 32)
        epoch = newest >> 32; // the clock went backwards since
    char line[32];
    int n = snprintf(line, sizeof(line), "%" PRIu64 "\n", epoch);
    int r = files_replace(path.text, line, (size_t)n, NULL, reterr);
    if (r == 0)
        *ret_epoch = epoch;
    return r;
}

static int settle(PlanStore *store, uint64_t in_use, Wall wall, Error *reterr)
{
    int r = files_make_dirs(store->folder, 0755, reterr);
    if (r < 0)
        return r;
    LayoutPath now = path_of(store, PLAN_NOW_NAME);
    store->now_fd = open(now.text, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (store->now_fd < 0)
        return error_errno(reterr, errno, "%s", now.text);
    uint64_t newest = highest(newest_in_folder(store), in_use), epoch;
    r = settle_epoch(store, newest, wall, &epoch, reterr);
    if (r == 0)
        store->first = highest(epoch << 32, newest) + 1;
    return r;
}

int plan_store_open(const char *folder, uint64_t in_use, Wall wall, uint64_t boot,
                    PlanStore **ret_store, Error *reterr)
{
    PlanStore *store = alloc_zeroed(1, sizeof(*store));
    if (!store)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    *store = (PlanStore){.folder = alloc_strdup(folder), .now_fd = -1, .boot = boot};
    int r = store->folder ? settle(store, in_use, wall, reterr)
                          : error_set(reterr, ERROR_MEMORY, "out of memory");
    if (r < 0) {
        (void)plan_store_free(store);
        return r;
    }
    *ret_store = store;
    return 0;
}

uint64_t plan_store_first_number(const PlanStore *store)
{
    return store->first;
}

static bool is_usable(const PlanStore *store, uint64_t number, uint64_t config_hash,
                      const char *region)
{
    char name[64];
    snprintf(name, sizeof(name), PLAN_FILE_NAME, number);
    char *bytes CLEANUP(alloc_freep) = NULL;
    size_t len;
    Arena *arena CLEANUP(arena_freep) = arena_new(BOUND_PLAN_BYTES);
    const Plan *plan;
    if (!arena || files_read(path_of(store, name).text, BOUND_PLAN_BYTES, &bytes, &len, NULL) < 0 ||
        plan_file_decode(bytes, len, arena, &plan, NULL) < 0)
        return false;
    return plan->number == number && plan->config_hash == config_hash &&
           strcmp(plan->gateways[plan->own].region, region) == 0;
}

uint64_t plan_store_adopt(PlanStore *store, uint64_t config_hash, const char *region, Wall wall,
                          int64_t max_age_ns)
{
    unsigned char bytes[PLAN_NOW_BYTES];
    PlanNow now;
    ssize_t n = pread(store->now_fd, bytes, sizeof(bytes), 0);
    if (n <= 0 || plan_now_decode(bytes, (size_t)n, &now, NULL) < 0)
        return 0;
    int64_t age_ns = mono_since((Mono){wall.ns}, (Mono){now.heartbeat.ns}); // saturated
    if (age_ns < 0 || age_ns > max_age_ns || now.number >= store->first ||
        !is_usable(store, now.number, config_hash, region))
        return 0;
    store->newest = now.number;
    return now.number;
}

static int write_now(PlanStore *store, uint64_t number, Wall wall, Error *reterr)
{
    unsigned char bytes[PLAN_NOW_BYTES];
    PlanNow now = {.number = number, .heartbeat = wall, .boot = store->boot};
    plan_now_encode(&now, bytes);
    ssize_t n = pwrite(store->now_fd, bytes, sizeof(bytes), 0);
    if (n != (ssize_t)sizeof(bytes))
        return error_errno(reterr, n < 0 ? errno : ENOSPC, "%s/" PLAN_NOW_NAME, store->folder);
    return 0;
}

static int write_prefixes(const PlanStore *store, const PlanStoreWrite *write, Error *reterr)
{
    char name[64];
    snprintf(name, sizeof(name), PREFIXES_FILE_NAME, write->prefixes_digest);
    for (unsigned i = 0; i < store->n_digests; i++)
        if (store->digests[i] == write->prefixes_digest && files_exist(path_of(store, name).text))
            return 0;
    // Not written by this process: what is there is not trusted to be whole.
    return files_replace(path_of(store, name).text, write->prefixes, write->prefixes_len, NULL,
                         reterr);
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static bool is_needed(const PlanStore *store, uint64_t digest)
{
    for (unsigned i = 0; i < store->n_digests; i++)
        if (store->digests[i] == digest)
            return true;
    return store->n_digests < PLAN_STORE_KEEP; // older plans of an earlier process are still there
}

// Leaves the newest few plans and the prefixes that they name. Failing to tidy up is no failure.
static void remove_old(const PlanStore *store)
{
    DIR *dir = opendir(store->folder);
    if (!dir)
        return;
    uint64_t numbers[64], number;
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(dir)) && n < ARRAY_SIZE(numbers);) {
        if (parse_name(entry->d_name, "plan.", &number))
            numbers[n++] = number;
        else if (parse_name(entry->d_name, "prefixes.", &number) && !is_needed(store, number))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    qsort(numbers, n, sizeof(numbers[0]), descending);
    for (size_t i = PLAN_STORE_KEEP; i < n; i++) {
        char name[64];
        snprintf(name, sizeof(name), PLAN_FILE_NAME, numbers[i]);
        (void)unlinkat(dirfd(dir), name, 0);
    }
    closedir(dir);
}

int plan_store_write(PlanStore *store, const PlanStoreWrite *write, Wall wall, Error *reterr)
{
    if (write->number <= store->newest || write->number < store->first)
        return error_set(reterr, ERROR_STALE, "plan %016" PRIx64 " is not above %016" PRIx64,
                         write->number, store->newest ? store->newest : store->first);
    int r = write_prefixes(store, write, reterr);
    if (r < 0)
        return r;
    char name[64];
    snprintf(name, sizeof(name), PLAN_FILE_NAME, write->number);
    r = files_replace(path_of(store, name).text, write->plan, write->plan_len, NULL, reterr);
    if (r == 0)
        r = write_now(store, write->number, wall, reterr);
    if (r < 0)
        return r;
    store->newest = write->number;
    memmove(store->digests + 1, store->digests, sizeof(store->digests) - sizeof(store->digests[0]));
    store->digests[0] = write->prefixes_digest;
    if (store->n_digests < PLAN_STORE_KEEP)
        store->n_digests++;
    remove_old(store);
    return 0;
}

int plan_store_beat(PlanStore *store, Wall wall, Error *reterr)
{
    if (!store->newest)
        return error_set(reterr, ERROR_NOT_FOUND, "no plan was written yet");
    return write_now(store, store->newest, wall, reterr);
}

PlanStore *plan_store_free(PlanStore *store)
{
    if (!store)
        return NULL;
    if (store->now_fd >= 0)
        close(store->now_fd);
    free(store->folder);
    free(store);
    return NULL;
}
