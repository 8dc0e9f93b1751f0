// SPDX-License-Identifier: MIT
// fault_disk: DISK_FULL. Where the data is at which moment stands in fault_disk_place.h; here is
// the region around it: killed before its folder moves, started after. PostgreSQL with a full WAL
// leaves for good; the supervisor starts it again with a growing pause, so freeing space heals.
#include "fault_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "fault_disk_place.h"
#include "fault_disk_wal.h"
#include "fault_init.h"
#include "fault_processes.h"
#include "files.h"
#include "layout.h"

#define SERVER "postgres"

typedef struct DiskRegion {
    DiskPlace place;
    bool killed; // by us, so it is ours to start
} DiskRegion;

typedef struct Disk {
    DiskRegion regions[64];
} Disk;

// Where the fleet sees the state folder: the supervisor may have mounted it elsewhere. PostgreSQL's
// command line ends with BASE/REGION/pg.
static int fleet_base(pid_t server, const char *region, char base[LAYOUT_PATH_MAX], Error *reterr)
{
    char path[64], tail[128], *text CLEANUP(free_textp) = NULL;
    size_t len = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)server);
    (void)snprintf(tail, sizeof tail, "/%s/pg", region);
    int r = files_read(path, 65536, &text, &len, reterr);
    for (const char *at = text; r == 0 && at < text + len; at += strlen(at) + 1) {
        size_t n = strlen(at), t = strlen(tail);
        if (at[0] != '/' || n <= t || n - t >= LAYOUT_PATH_MAX || strcmp(at + n - t, tail) != 0)
            continue;
        memcpy(base, at, n - t);
        base[n - t] = '\0';
        return 0;
    }
    return r < 0 ? r
                 : error_set(reterr, ERROR_NOT_FOUND, "PostgreSQL's folder is not '...%s'", tail);
}

// The supervisor and the folder as it is now; the region must be whole.
static int find_server(const FaultHeld *held, const char *region, pid_t *ret_supervisor,
                       char base[LAYOUT_PATH_MAX], Error *reterr)
{
    json_t *status = NULL;
    int r = fault_status(held, &status, reterr);
    if (r < 0)
        return r;
    pid_t init = 0, server = 0;
    pid_t inner = control_status_pid(control_status_program(status, region, SERVER), "pid");
    *ret_supervisor = control_status_pid(status, "pid");
    r = fault_status_init(held, status, region, &init, reterr);
    json_decref(status);
    if (r < 0)
        return r;
    if (init <= 0 || inner <= 0) {
        r = error_set(reterr, ERROR_CONFLICT, "region '%s' has no database that runs here", region);
        return error_hint(reterr, r, "Start it; a database elsewhere is not for local faults.");
    }
    r = fault_processes_main(init, inner, &server, reterr);
    return r < 0 ? r : fleet_base(server, region, base, reterr);
}

static int is_over(const FaultHeld *held, void *context, Error *reterr)
{
    const DiskPlace *place = context;
    return fault_init_lives(place->fd) ? 0 : 1;
}

static int wait_over(const FaultHeld *held, DiskPlace *place, Error *reterr)
{
    return fault_wait(held, is_over, place, "every process of the region has gone", reterr);
}

// Copies have no deadline but that they go on; what comes after has the time that it had.
static int paced(FaultHeld *held, const DiskPlace *place, pid_t supervisor, bool back,
                 Error *reterr)
{
    FaultPace pace = fault_pace_new(FAULT_STALL_NS, held->socket, held->request);
    Mono begin = clock_mono();
    int r = back ? disk_place_recover(place, supervisor, &pace, reterr)
                 : disk_place_move(place, &pace, reterr);
    held->deadline = mono_add(held->deadline, mono_since(clock_mono(), begin));
    return r;
}

static int prepare_region(FaultHeld *held, uint32_t index, Error *reterr)
{
    DiskRegion *region = &((Disk *)held->own)->regions[index];
    const char *name = fault_region_name(held, index);
    char base[LAYOUT_PATH_MAX], below[128];
    pid_t supervisor = 0;
    (void)snprintf(below, sizeof below, "%s/pg", name);
    int r = fault_wait_region(held, name, reterr);
    if (r < 0 || (r = find_server(held, name, &supervisor, base, reterr)) < 0 ||
        (r = disk_place_open(held->options->dir, name, &region->place, reterr)) < 0)
        return r;
    if ((r = disk_place_check(&region->place, reterr)) < 0)
        return error_wrap(reterr, r, "database of region '%s'", name);
    region->killed = true;
    if ((r = disk_place_mark(&region->place, reterr)) < 0 ||
        (r = fault_ask(held, reterr, "kill %s", name)) < 0 ||
        (r = wait_over(held, &region->place, reterr)) < 0 ||
        (r = paced(held, &region->place, 0, false, reterr)) < 0 ||
        (r = disk_place_show(&region->place, supervisor, base, below, reterr)) < 0 ||
        (r = fault_ask(held, reterr, "start %s", name)) < 0)
        return r;
    region->killed = false;
    return fault_wait_region(held, name, reterr);
}

// Ours, or the fleet's end; then its processes go, but not at once: see wait_over.
static int supervisor_of(const FaultHeld *held, const char *name, pid_t *ret_pid, bool *ret_runs,
                         Error *reterr)
{
    json_t *status = NULL;
    int r = fault_status(held, &status, reterr);
    *ret_pid = 0;
    *ret_runs = false;
    if (r == ERROR_NOT_FOUND) {
        error_done(reterr);
        return 0;
    }
    if (r < 0)
        return r;
    *ret_pid = control_status_pid(status, "pid");
    *ret_runs = fault_status_runs(status, name);
    json_decref(status);
    return 0;
}

static int restore(FaultHeld *held, const char *name, DiskRegion *region, Error *reterr)
{
    pid_t supervisor = 0;
    bool runs = false;
    int r = supervisor_of(held, name, &supervisor, &runs, reterr);
    if (r == 0 && disk_place_left(&region->place)) {
        region->killed = region->killed || runs;
        r = disk_place_visible(&region->place, reterr);
        if (r == 0 && supervisor > 0)
            r = fault_ask(held, reterr, "kill %s", name);
        if (r == 0)
            r = wait_over(held, &region->place, reterr);
        if (r == 0)
            r = paced(held, &region->place, supervisor, true, reterr);
    }
    bool starts = region->killed && supervisor > 0;
    if (r == 0 && starts)
        r = fault_ask(held, reterr, "start %s", name);
    if (r == 0)
        r = disk_place_unmark(&region->place, reterr);
    if (r == 0 && starts)
        r = fault_wait_region(held, name, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "database of region '%s'", name);
    region->killed = false;
    disk_place_close(&region->place);
    return 0;
}

// --- the kind ---
static int disk_prepare(FaultHeld *held, Error *reterr)
{
    Disk *disk = held->own = alloc_zeroed(1, sizeof *disk);
    if (disk == NULL)
        return error_set(reterr, ERROR_MEMORY, "small disks");
    for (size_t i = 0; i < ARRAY_SIZE(disk->regions); i++)
        disk->regions[i].place = DISK_PLACE_NONE;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < held->options->conf->model.n_regions; i++)
        if (fault_has(held->fault.a, i))
            r = prepare_region(held, i, reterr);
    return r;
}

static int for_places(FaultHeld *held, int (*action)(const DiskPlace *place, Error *reterr),
                      Error *reterr)
{
    const Disk *disk = held->own;
    int worst = 0;
    for (size_t i = 0; i < ARRAY_SIZE(disk->regions); i++) {
        if (disk->regions[i].place.fd < 0)
            continue;
        int r = action(&disk->regions[i].place, reterr);
        worst = r < 0 ? r : worst;
    }
    return worst;
}

static int disk_begin(FaultHeld *held, Error *reterr)
{
    int r = for_places(held, disk_place_fill, reterr);
    for (uint32_t i = 0; r == 0 && i < held->options->conf->model.n_regions; i++)
        if (fault_has(held->fault.a, i))
            r = fault_disk_wal_use_up(held, i, reterr);
    // What it removed on its way out makes no room.
    return r < 0 ? r : for_places(held, disk_place_fill, reterr);
}

// Whatever the database gives back meanwhile is taken again: a full disk stays full.
static void disk_look(FaultHeld *held)
{
    const Disk *disk = held->own;
    for (uint32_t i = 0; i < ARRAY_SIZE(disk->regions); i++) {
        const DiskPlace *place = &disk->regions[i].place;
        if (place->fd >= 0 && (!disk_place_full(place) || disk_place_fill(place, NULL) < 0))
            fault_lost(held, "the small disk of region '%s' is not there or its ballast has gone",
                       fault_region_name(held, i));
    }
}

static int disk_end(FaultHeld *held, Error *reterr)
{
    return for_places(held, disk_place_free, reterr);
}

static int disk_undo(FaultHeld *held, Error *reterr)
{
    Disk *disk = held->own;
    int worst = 0;
    for (uint32_t i = 0; disk != NULL && i < ARRAY_SIZE(disk->regions); i++) {
        if (disk->regions[i].place.fd < 0)
            continue;
        int r = restore(held, fault_region_name(held, i), &disk->regions[i], reterr);
        worst = r < 0 ? r : worst;
    }
    if (worst < 0)
        return worst;
    free(held->own);
    held->own = NULL;
    return 0;
}

const FaultKindActions FAULT_KIND_DISK = {
    .prepare = disk_prepare,
    .begin = disk_begin,
    .end = disk_end,
    .undo = disk_undo,
    .look = disk_look,
};

static int recover_region(FaultHeld *held, const char *name, Error *reterr)
{
    DiskRegion region = {.place = DISK_PLACE_NONE, .killed = true};
    int r = disk_place_open(held->options->dir, name, &region.place, reterr);
    if (r == ERROR_CONFLICT || r == -ENOENT) { // another keeper's; a region that never was up
        error_done(reterr);
        return 0;
    }
    if (r == 0 && disk_place_left(&region.place)) {
        (void)fprintf(stderr,
                      "fault: bringing back the database of region '%s', which a keeper "
                      "that was killed has left on a small disk\n",
                      name);
        if (geteuid() == 0) {
            r = restore(held, name, &region, reterr);
        } else {
            r = error_set(reterr, -EPERM, "that needs root");
            r = error_hint(reterr, r, "Run it once with sudo.");
        }
    }
    disk_place_close(&region.place);
    return r;
}

int fault_disk_recover(const FaultOptions *options, Mono deadline, int gone, int socket,
                       Error *reterr)
{
    FaultHeld held = {
        .options = options, .deadline = deadline, .healing = true, .gone = gone, .socket = socket};
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < options->conf->model.n_regions; i++)
        r = recover_region(&held, fault_region_name(&held, i), reterr);
    return r;
}
