// SPDX-License-Identifier: MIT
// fault_disk_place: see fault_disk_place.h. Everything in the folder is done by its descriptor and
// with its owner's ids (the state folder may be below /root, where he gets in by no path); only
// mounting is root's.
#include "fault_disk_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fault_init.h"
#include "fault_mount.h"
#include "fault_tree.h"
#include "files.h"
#include "hash.h"
#include "layout.h"

#define ROOM_BYTES (UINT64_C(48) << 20) // what the database may grow before the ballast comes
#define MOST_BYTES (UINT64_C(2) << 30)  // it is copied twice, each time within FAULT_SLOW_NS
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

DiskTruth disk_truth(bool pg, bool small, bool healed, bool kept)
{
    return pg ? DISK_TRUTH_PG
              : (healed ? DISK_TRUTH_HEALED
                        : (small ? DISK_TRUTH_SMALL : (kept ? DISK_TRUTH_KEPT : DISK_TRUTH_NONE)));
}

// --- the place ---
int disk_place_open(const char *dir, const char *region, DiskPlace *ret_place, Error *reterr)
{
    DiskPlace place = {.fd = fault_mount_open(dir, region, O_RDONLY, reterr)};
    struct stat st;
    if (place.fd < 0)
        return place.fd;
    if (fstat(place.fd, &st) < 0 || flock(place.fd, LOCK_EX | LOCK_NB) < 0) {
        int r =
            errno == EWOULDBLOCK
                ? error_set(reterr, ERROR_CONFLICT,
                            "the database of region '%s' is in the hands of another keeper", region)
                : error_errno(reterr, errno, "%s/%s", dir, region);
        files_close(place.fd);
        return r;
    }
    place.owner = (FaultOwner){.uid = st.st_uid, .gid = st.st_gid};
    uint64_t name = hash_mix(hash_text(hash_text(HASH_SEED, dir), region));
    (void)snprintf(place.source, sizeof place.source, "wildcam-disk-%016llx",
                   (unsigned long long)name);
    *ret_place = place;
    return 0;
}

void disk_place_close(DiskPlace *place)
{
    files_close(place->fd);
    *place = DISK_PLACE_NONE;
}

static bool exists(const DiskPlace *place, const char *name)
{
    return faccessat(place->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

// But for the mark.
static const char *const OURS[] = {"pg.small", "pg.back", "pg.healed", "pg.kept"};

static bool folders_left(const DiskPlace *place)
{
    bool left = false;
    for (size_t i = 0; i < ARRAY_SIZE(OURS); i++)
        left = left || exists(place, OURS[i]);
    return left;
}

bool disk_place_left(const DiskPlace *place)
{
    return folders_left(place) || exists(place, "pg.moving");
}

static int write_text(const DiskPlace *place, const char *path, const char *text, Error *reterr)
{
    int fd CLEANUP(fd_closep) =
        openat(place->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(reterr, errno, "%s", path);
    return files_write_all(fd, text, strlen(text), reterr);
}

int disk_place_mark(const DiskPlace *place, Error *reterr)
{
    char *boot CLEANUP(free_textp) = NULL;
    size_t len;
    int r = files_read(BOOT_ID, 256, &boot, &len, reterr);
    if (r < 0)
        return r;
    fault_owner_become(&place->owner);
    r = write_text(place, "pg.moving", boot, reterr);
    fault_owner_leave(&place->owner);
    return r;
}

static bool marked_in_this_boot(const DiskPlace *place)
{
    char mark[64] = "", *boot CLEANUP(free_textp) = NULL;
    size_t len;
    int fd CLEANUP(fd_closep) =
        openat(place->fd, "pg.moving", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && read(fd, mark, sizeof mark - 1) > 0 &&
           files_read(BOOT_ID, 256, &boot, &len, NULL) == 0 && strcmp(mark, boot) == 0;
}

int disk_place_unmark(const DiskPlace *place, Error *reterr)
{
    fault_owner_become(&place->owner);
    int r = unlinkat(place->fd, "pg.moving", 0) == 0 || errno == ENOENT
                ? 0
                : error_errno(reterr, errno, "pg.moving");
    fault_owner_leave(&place->owner);
    return r;
}

// Does a folder hold a database, and is it on the disk itself (or on the small one)? By the devices
// of folders: overlayfs shows others for files.
static bool holds_database(const DiskPlace *place, const char *name, bool small)
{
    char folder[64], file[64];
    struct stat own, st, control;
    (void)snprintf(folder, sizeof folder, "%s/global", name);
    (void)snprintf(file, sizeof file, "%s/global/pg_control", name);
    return fstat(place->fd, &own) == 0 &&
           fstatat(place->fd, folder, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(place->fd, file, &control, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(control.st_mode) && (st.st_dev != own.st_dev) == small;
}

static DiskTruth look(const DiskPlace *place)
{
    return disk_truth(
        holds_database(place, "pg", false), holds_database(place, "pg.small/data", true),
        holds_database(place, "pg.healed", false), holds_database(place, "pg.kept", false));
}

// --- before anything is touched ---
// Bytes of memory that a new tmpfs can have; 0 when the machine does not say.
static uint64_t memory_available(void)
{
    char *text CLEANUP(free_textp) = NULL;
    size_t len;
    unsigned long long kib = 0;
    const char *at = files_read("/proc/meminfo", 65536, &text, &len, NULL) == 0
                         ? strstr(text, "\nMemAvailable:")
                         : NULL;
    return at != NULL && sscanf(at + 14, "%llu", &kib) == 1 ? kib << 10 : 0;
}

static int check_space(const DiskPlace *place, uint64_t bytes, Error *reterr)
{
    struct statvfs disk;
    if (fstatvfs(place->fd, &disk) < 0)
        return error_errno(reterr, errno, "space on the disk");
    uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize, memory = memory_available() / 2;
    const char *what = NULL;
    if (bytes > MOST_BYTES)
        what = "more than 2 GiB";
    else if (bytes + ROOM_BYTES > memory)
        what = "too big for half of the memory that is free";
    else if (bytes + 2 * ROOM_BYTES > room)
        what = "too big to come back: the disk has no room for a second copy";
    if (what == NULL)
        return 0;
    int r = error_set(reterr, ERROR_LIMIT, "a database of %llu MiB is %s",
                      (unsigned long long)(bytes >> 20), what);
    return error_hint(reterr, r, "'disk-full' moves the database into memory and back.");
}

int disk_place_check(const DiskPlace *place, Error *reterr)
{
    uint64_t bytes = 0;
    fault_owner_become(&place->owner);
    bool whole = look(place) == DISK_TRUTH_PG && !folders_left(place);
    int r = whole ? fault_tree_size(place->fd, "pg", &bytes, reterr) : 0;
    fault_owner_leave(&place->owner);
    if (!whole) {
        r = error_set(reterr, ERROR_CONFLICT, "there is no database in 'pg', or not only");
        return error_hint(reterr, r, "A 'pg' that is a mount or a link cannot be moved.");
    }
    return r < 0 ? r : check_space(place, bytes, reterr);
}

int disk_place_visible(const DiskPlace *place, Error *reterr)
{
    fault_owner_become(&place->owner);
    bool hidden = look(place) == DISK_TRUTH_KEPT && marked_in_this_boot(place);
    fault_owner_leave(&place->owner);
    if (!hidden)
        return 0;
    int r = error_set(reterr, ERROR_CONFLICT,
                      "the newest database is on a small disk that cannot be seen from here");
    return error_hint(reterr, r,
                      "The keeper that made it had a mount namespace of its own. While the fleet "
                      "runs, the data is in REGION/pg below /proc/PID/root of the supervisor: save "
                      "it. With 'pg.moving' removed the state before the fault comes back.");
}

// --- steps, each with the owner's ids ---
static int sync_folder(const DiskPlace *place, Error *reterr)
{
    return syncfs(place->fd) == 0 ? 0 : error_errno(reterr, errno, "write to the disk");
}

static int exchange(const DiskPlace *place, const char *a, const char *b, Error *reterr)
{
    if (renameat2(place->fd, a, place->fd, b, RENAME_EXCHANGE) < 0) {
        int r = error_errno(reterr, errno, "let '%s' and '%s' change places", a, b);
        return error_hint(reterr, r,
                          "The file system of the state folder must know "
                          "RENAME_EXCHANGE; ext4, xfs, btrfs and tmpfs do.");
    }
    return sync_folder(place, reterr);
}

static int remove_folder(const DiskPlace *place, const char *name, Error *reterr)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d/%s", place->fd, name);
    return files_remove_tree(path, reterr);
}

static int make_placeholder(const DiskPlace *place, Error *reterr)
{
    static const char README[] =
        "The database of this region is on a small disk, pg.small beside this folder, for a fault "
        "that\nis being tried (disk-full). It comes back at the end; if it does not, any 'wildcam "
        "fault' or\n'wildcam drill' on this fleet brings it back. Do not remove anything here.\n";
    if (mkdirat(place->fd, "pg.kept", 0700) < 0)
        return error_errno(reterr, errno, "make 'pg.kept'");
    int r = write_text(place, "pg.kept/PG_VERSION", "15\n", reterr);
    return r < 0 ? r : write_text(place, "pg.kept/README", README, reterr);
}

static int prepare_folders(const DiskPlace *place, uint64_t *ret_bytes, Error *reterr)
{
    int r = fault_tree_size(place->fd, "pg", ret_bytes, reterr);
    if (r == 0)
        r = make_placeholder(place, reterr);
    if (r == 0 && mkdirat(place->fd, "pg.small", 0700) < 0)
        r = error_errno(reterr, errno, "make 'pg.small'");
    return r;
}

// What PostgreSQL writes anew with each start.
typedef struct Pidfile {
    bool there;
    ino_t inode;
    off_t size;
    struct timespec written;
} Pidfile;

static Pidfile pidfile(const DiskPlace *place)
{
    struct stat st;
    if (fstatat(place->fd, "pg/postmaster.pid", &st, AT_SYMLINK_NOFOLLOW) < 0)
        return (Pidfile){.there = false};
    return (Pidfile){true, st.st_ino, st.st_size, st.st_mtim};
}

// A copy that is read while somebody writes is none.
static int check_at_rest(const DiskPlace *place, const Pidfile *before, Error *reterr)
{
    Pidfile now = pidfile(place);
    bool same = now.there == before->there && now.inode == before->inode &&
                now.size == before->size && now.written.tv_sec == before->written.tv_sec &&
                now.written.tv_nsec == before->written.tv_nsec;
    if (same && !fault_init_lives(place->fd))
        return 0;
    return error_set(reterr, ERROR_CONFLICT, "the region was started while its database moved");
}

int disk_place_move(const DiskPlace *place, FaultPace *pace, Error *reterr)
{
    uint64_t bytes = 0;
    fault_owner_become(&place->owner);
    const Pidfile before = pidfile(place);
    int r = look(place) == DISK_TRUTH_PG && !folders_left(place)
                ? prepare_folders(place, &bytes, reterr)
                : error_set(reterr, ERROR_CONFLICT, "there is no database in 'pg', or not only");
    fault_owner_leave(&place->owner);
    if (r < 0 || (r = fault_mount_new(place->fd, "pg.small", place->source, bytes + ROOM_BYTES,
                                      &place->owner, reterr)) < 0)
        return r;
    fault_owner_become(&place->owner);
    int disk CLEANUP(fd_closep) =
        openat(place->fd, "pg.small", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    r = disk < 0 ? error_errno(reterr, errno, "pg.small")
                 : fault_tree_copy(place->fd, "pg", disk, "data", pace, reterr);
    if (r == 0)
        r = sync_folder(place, reterr);
    if (r == 0)
        r = check_at_rest(place, &before, reterr);
    if (r == 0)
        r = exchange(place, "pg", "pg.kept", reterr);
    fault_owner_leave(&place->owner);
    return r;
}

int disk_place_show(const DiskPlace *place, pid_t pid, const char *base, const char *below,
                    Error *reterr)
{
    return fault_mount_attach(place->fd, "pg.small/data", pid, &place->owner, base, below, reterr);
}

// --- the way back ---
static int copy_back(const DiskPlace *place, FaultPace *pace, Error *reterr)
{
    int disk CLEANUP(fd_closep) =
        openat(place->fd, "pg.small", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (disk < 0)
        return error_errno(reterr, errno, "pg.small");
    int r = remove_folder(place, "pg.back", reterr);
    if (r == 0)
        r = fault_tree_copy(disk, "data", place->fd, "pg.back", pace, reterr);
    if (r == 0)
        r = sync_folder(place, reterr);
    if (r == 0 && renameat2(place->fd, "pg.back", place->fd, "pg.healed", RENAME_NOREPLACE) < 0)
        r = error_errno(reterr, errno, "rename 'pg.back'");
    return r < 0 ? r : sync_folder(place, reterr);
}

// Until pg is the truth.
static int bring_back(const DiskPlace *place, FaultPace *pace, Error *reterr)
{
    int r = 0;
    if (!folders_left(place))
        return 0; // nothing was moved, wherever the database is
    switch (look(place)) {
    case DISK_TRUTH_PG:
        return 0;
    case DISK_TRUTH_SMALL:
        // A folder that nobody finished: a complete one would be the truth.
        if ((r = remove_folder(place, "pg.healed", reterr)) < 0 ||
            (r = copy_back(place, pace, reterr)) < 0)
            return r;
        return exchange(place, "pg", "pg.healed", reterr);
    case DISK_TRUTH_HEALED:
        return exchange(place, "pg", "pg.healed", reterr);
    case DISK_TRUTH_KEPT:
        (void)fprintf(stderr, "fault: the small disk of a database is gone with a restart of the "
                              "machine: it is back as it was before the fault\n");
        return exchange(place, "pg", "pg.kept", reterr);
    case DISK_TRUTH_NONE:
    default:
        return error_set(reterr, ERROR_NOT_FOUND, "no folder holds the database");
    }
}

int disk_place_recover(const DiskPlace *place, pid_t pid, FaultPace *pace, Error *reterr)
{
    int r = disk_place_visible(place, reterr);
    if (r == 0 && pid > 0)
        r = fault_mount_detach(pid, &place->owner, place->source, false, reterr);
    if (r < 0 || (r = fault_mount_detach(0, NULL, place->source, false, reterr)) < 0)
        return r;
    fault_owner_become(&place->owner);
    r = bring_back(place, pace, reterr);
    fault_owner_leave(&place->owner);
    if (r < 0 || (r = fault_mount_detach(0, NULL, place->source, true, reterr)) < 0)
        return r;
    fault_owner_become(&place->owner);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(OURS); i++)
        r = remove_folder(place, OURS[i], reterr);
    fault_owner_leave(&place->owner);
    return r;
}

// --- full, and not ---
static int fill(const DiskPlace *place, Error *reterr)
{
    int fd CLEANUP(fd_closep) =
        openat(place->fd, "pg.small/ballast", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(reterr, errno, "ballast");
    off_t at = st.st_size;
    for (off_t piece = 16 << 20; piece >= 4096;) {
        int error = posix_fallocate(fd, at, piece);
        if (error == 0)
            at += piece;
        else if (error == ENOSPC)
            piece /= 2;
        else if (error != EINTR)
            return error_errno(reterr, error, "ballast");
    }
    return 0;
}

int disk_place_fill(const DiskPlace *place, Error *reterr)
{
    fault_owner_become(&place->owner);
    int r = fill(place, reterr);
    fault_owner_leave(&place->owner);
    return r;
}

bool disk_place_full(const DiskPlace *place)
{
    struct stat own, st;
    return fstat(place->fd, &own) == 0 &&
           fstatat(place->fd, "pg.small/ballast", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode) && holds_database(place, "pg.small/data", true);
}

int disk_place_free(const DiskPlace *place, Error *reterr)
{
    fault_owner_become(&place->owner);
    int r = unlinkat(place->fd, "pg.small/ballast", 0) == 0 || errno == ENOENT
                ? 0
                : error_errno(reterr, errno, "ballast");
    fault_owner_leave(&place->owner);
    return r;
}
