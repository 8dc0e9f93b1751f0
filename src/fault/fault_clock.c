// SPDX-License-Identifier: MIT
// fault_clock: CLOCK. libfaketime is preloaded into the program and reads the offset from a file at
// every look at the clock, so that begin and change are one rename. The monotonic clock is left
// alone (FAKETIME_DONT_FAKE_MONOTONIC): with it the program's timers would jump, which no wrong
// clock does. What the program preloads already (PostgreSQL's source address, a sanitizer's
// runtime) stays, in front. The file is in the region's folder of sockets, which the fleet sees
// under the same path as we do.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "fault_find.h"
#include "fault_kind.h"
#include "fault_owner.h"
#include "fault_processes.h"
#include "files.h"
#include "layout.h"

typedef struct Clock {
    uint64_t touched; // regions whose program has our environment, or may have
    char *before[64]; // what the operator had added to it ("A=1 B=2"); owned
} Clock;

typedef int EachRegion(FaultHeld *held, uint32_t region, Error *reterr);

static const char *program_of(const FaultHeld *held)
{
    return held->fault.program != NULL ? held->fault.program : "agent";
}

// Goes on after a failure when healing, so that one bad region does not keep the others broken.
static int for_each(FaultHeld *held, uint64_t regions, EachRegion *action, Error *reterr)
{
    int worst = 0;
    for (uint32_t i = 0; i < held->options->conf->model.n_regions; i++) {
        if (!fault_has(regions, i) || (worst < 0 && !held->healing))
            continue;
        int r = action(held, i, reterr);
        worst = r < 0 ? r : worst;
    }
    return worst;
}

// --- the file ---
static int offset_path(const FaultHeld *held, uint32_t region, LayoutPath *ret_folder,
                       LayoutPath *ret_path, Error *reterr)
{
    char name[FAULT_PROGRAM_MAX + 16];
    const char *dir = held->options->dir, *region_name = fault_region_name(held, region);
    (void)snprintf(name, sizeof name, "clock-%s", program_of(held));
    int r = layout_sockets(dir, region_name, ret_folder, reterr);
    return r < 0 ? r : layout_socket(dir, region_name, name, ret_path, reterr);
}

static int write_offset(const FaultHeld *held, uint32_t region, int64_t offset_ns, Error *reterr)
{
    LayoutPath folder, path;
    FaultOwner owner;
    int r = offset_path(held, region, &folder, &path, reterr);
    if (r < 0 || (r = fault_owner_of_region(held->options->dir, fault_region_name(held, region),
                                            &owner, reterr)) < 0)
        return r;
    char text[64];
    int64_t size = offset_ns < 0 ? -offset_ns : offset_ns;
    int n = snprintf(text, sizeof text, "%c%" PRId64 ".%09" PRId64 "\n", offset_ns < 0 ? '-' : '+',
                     size / NS_PER_S, size % NS_PER_S);
    fault_owner_become(&owner);
    r = files_replace(path.text, text, (size_t)n, &(FilesWrite){.no_sync = true}, reterr);
    fault_owner_leave(&owner);
    return r;
}

static int write_value(FaultHeld *held, uint32_t region, Error *reterr)
{
    return write_offset(held, region, held->fault.value, reterr);
}

static int write_zero(FaultHeld *held, uint32_t region, Error *reterr)
{
    return write_offset(held, region, 0, reterr);
}

// --- the program ---
// What it has loaded that must stay in front of ours: a sanitizer's runtime, its own LD_PRELOAD.
static int preloaded(pid_t pid, Buf *out, Error *reterr)
{
    char path[64], *maps CLEANUP(free_textp) = NULL, *environment CLEANUP(free_textp) = NULL;
    size_t maps_len, len = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/maps", (long)pid);
    int r = files_read(path, 4U << 20, &maps, &maps_len, reterr);
    if (r < 0)
        return r;
    const char *runtime = strstr(maps, "/libasan.so");
    if (runtime != NULL) {
        while (runtime > maps && runtime[-1] != ' ' && runtime[-1] != '\n')
            runtime--;
        buf_printf(out, "%.*s:", (int)strcspn(runtime, "\n"), runtime);
    }
    (void)snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
    r = files_read(path, 1U << 20, &environment, &len, reterr);
    for (const char *at = environment; r == 0 && at < environment + len; at += strlen(at) + 1)
        if (strncmp(at, "LD_PRELOAD=", 11) == 0 && at[11] != '\0')
            buf_printf(out, "%s:", at + 11);
    return r;
}

// As it runs now: its number in the region, and as we see it.
static int find_program(const FaultHeld *held, const char *region, int64_t *ret_inner,
                        pid_t *ret_pid, Error *reterr)
{
    json_t *status = NULL;
    int r = fault_status(held, &status, reterr);
    if (r < 0)
        return r;
    const json_t *program = control_status_program(status, region, program_of(held));
    pid_t init = 0;
    *ret_inner = control_status_pid(program, "pid");
    r = fault_status_init(held, status, region, &init, reterr);
    if (r == 0 && program == NULL)
        r = error_set(reterr, ERROR_NOT_FOUND, "region '%s' has no program '%s'", region,
                      program_of(held));
    else if (r == 0 && (init <= 0 || *ret_inner <= 0))
        r = error_set(reterr, ERROR_CONFLICT, "'%s' of region '%s' does not run", program_of(held),
                      region);
    json_decref(status);
    return r < 0 ? r : fault_processes_main(init, (pid_t)*ret_inner, ret_pid, reterr);
}

// A keeper that was killed has left ours: nobody wants that back.
static bool is_ours(const char *word, size_t len)
{
    static const char PRELOAD[] = "LD_PRELOAD=", LIBRARY[] = "libfaketime";
    return (len > 9 && strncmp(word, "FAKETIME_", 9) == 0) ||
           (len > strlen(PRELOAD) && strncmp(word, PRELOAD, strlen(PRELOAD)) == 0 &&
            memmem(word, len, LIBRARY, strlen(LIBRARY)) != NULL);
}

// Words of `words` but for ours and, if `preloads` is false, for libraries, which stand in what the
// program has loaded already; each with a space in front.
static void add_words(const char *words, bool preloads, Buf *out)
{
    for (const char *at = words; *at != '\0';) {
        size_t len = strcspn(at, " ");
        if (len > 0 && !is_ours(at, len) && (preloads || strncmp(at, "LD_PRELOAD=", 11) != 0))
            buf_printf(out, " %.*s", (int)len, at);
        at += len + (at[len] == ' ');
    }
}

static int remember(const FaultHeld *held, uint32_t region, Error *reterr)
{
    Clock *clock = held->own;
    Buf words CLEANUP(buf_done) = BUF_INIT(4096);
    json_t *answer = NULL;
    int r = fault_ask_answer(held, &answer, reterr, "added %s %s", fault_region_name(held, region),
                             program_of(held));
    const char *added = json_string_value(json_object_get(answer, "environment"));
    if (r == 0 && added == NULL)
        r = error_set(reterr, ERROR_FORMAT, "the supervisor does not say what was added");
    if (r == 0) {
        add_words(added, true, &words);
        r = buf_check(&words);
    }
    json_decref(answer);
    if (r < 0)
        return error_wrap(reterr, r, "environment of '%s'", program_of(held));
    free(clock->before[region]);
    clock->before[region] = alloc_strdup(buf_text(&words));
    return clock->before[region] != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "environment");
}

static int preload(FaultHeld *held, uint32_t region, Error *reterr)
{
    Clock *clock = held->own;
    const char *name = fault_region_name(held, region);
    Buf libraries CLEANUP(buf_done) = BUF_INIT(4096), kept CLEANUP(buf_done) = BUF_INIT(4096);
    LayoutPath library, folder, file;
    int64_t inner = 0;
    pid_t pid = 0;
    int r = fault_find_faketime(&library);
    if (r < 0)
        return error_set(reterr, r, "the library libfaketime is not here");
    if ((r = find_program(held, name, &inner, &pid, reterr)) < 0 ||
        (r = preloaded(pid, &libraries, reterr)) < 0 ||
        (r = offset_path(held, region, &folder, &file, reterr)) < 0 ||
        (r = write_offset(held, region, 0, reterr)) < 0)
        return r;
    if ((r = remember(held, region, reterr)) < 0)
        return r;
    add_words(clock->before[region], false, &kept);
    buf_add_text(&libraries, library.text);
    if ((r = buf_check(&libraries)) < 0)
        return error_set(reterr, r, "what '%s' preloads", program_of(held));
    clock->touched |= UINT64_C(1) << region;
    r = fault_ask(
        held, reterr,
        "environment %s %s%s LD_PRELOAD=%s FAKETIME_TIMESTAMP_FILE=%s FAKETIME_NO_CACHE=1 "
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        name, program_of(held), buf_text(&kept), buf_text(&libraries), file.text);
    if (r == 0)
        r = fault_ask(held, reterr, "restart %s %s", name, program_of(held));
    return r < 0 ? r : fault_wait_ready(held, name, program_of(held), inner, reterr);
}

// The newest process of the program has the library.
static void look_at(FaultHeld *held, uint32_t region)
{
    const char *name = fault_region_name(held, region);
    char path[64], *environment CLEANUP(free_textp) = NULL;
    int64_t inner = 0;
    pid_t pid = 0;
    size_t len = 0;
    if (find_program(held, name, &inner, &pid, NULL) < 0)
        return;
    (void)snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
    if (files_read(path, 1U << 20, &environment, &len, NULL) == 0 && len > 0 &&
        memmem(environment, len, "FAKETIME_TIMESTAMP_FILE=", 24) == NULL)
        fault_lost(held, "'%s' of region '%s' was started without libfaketime", program_of(held),
                   name);
}

static int restore(FaultHeld *held, uint32_t region, Error *reterr)
{
    Clock *clock = held->own;
    const char *name = fault_region_name(held, region);
    LayoutPath folder, file;
    json_t *status = NULL;
    int r = fault_status(held, &status, reterr);
    if (r == 0) {
        const json_t *program = control_status_program(status, name, program_of(held));
        int64_t inner = json_integer_value(json_object_get(program, "pid"));
        const char *before = clock->before[region] != NULL ? clock->before[region] : "";
        r = fault_ask(held, reterr, "environment %s %s%s", name, program_of(held), before);
        // A region or program that is down starts with the environment of then.
        if (r == 0 && fault_status_runs(status, name) && inner > 0 &&
            (r = fault_ask(held, reterr, "restart %s %s", name, program_of(held))) == 0)
            r = fault_wait_ready(held, name, program_of(held), inner, reterr);
    }
    json_decref(status);
    if (r == ERROR_NOT_FOUND) {
        error_done(reterr); // the fleet has ended
        r = 0;
    }
    if (r < 0)
        return r;
    FaultOwner owner;
    if (offset_path(held, region, &folder, &file, NULL) == 0 &&
        fault_owner_of_region(held->options->dir, name, &owner, NULL) == 0) {
        fault_owner_become(&owner);
        (void)unlink(file.text);
        fault_owner_leave(&owner);
    }
    clock->touched &= ~(UINT64_C(1) << region);
    return 0;
}

// --- the kind ---
static int clock_prepare(FaultHeld *held, Error *reterr)
{
    if ((held->own = alloc_zeroed(1, sizeof(Clock))) == NULL)
        return error_set(reterr, ERROR_MEMORY, "clock");
    return for_each(held, held->fault.a, preload, reterr);
}

static int clock_begin(FaultHeld *held, Error *reterr)
{
    return for_each(held, held->fault.a, write_value, reterr);
}

static void clock_look(FaultHeld *held)
{
    json_t *status = NULL;
    int r = fault_status(held, &status, NULL);
    for (uint32_t i = 0; r == 0 && i < held->options->conf->model.n_regions; i++) {
        const char *state = json_string_value(json_object_get(
            control_status_program(status, fault_region_name(held, i), program_of(held)), "state"));
        if (fault_has(held->fault.a, i) && state != NULL && strcmp(state, "ready") == 0)
            look_at(held, i);
    }
    json_decref(status);
}

static int clock_end(FaultHeld *held, Error *reterr)
{
    return for_each(held, held->fault.a, write_zero, reterr);
}

static int clock_undo(FaultHeld *held, Error *reterr)
{
    const Clock *clock = held->own;
    int r = clock != NULL ? for_each(held, clock->touched, restore, reterr) : 0;
    if (r < 0)
        return r;
    for (size_t i = 0; clock != NULL && i < ARRAY_SIZE(clock->before); i++)
        free(clock->before[i]);
    free(held->own);
    held->own = NULL;
    return 0;
}

const FaultKindActions FAULT_KIND_CLOCK = {
    .prepare = clock_prepare,
    .begin = clock_begin,
    .change = clock_begin,
    .end = clock_end,
    .undo = clock_undo,
    .look = clock_look,
};
