// SPDX-License-Identifier: MIT
// region_upgrade: see region_upgrade.h.
#include "region_upgrade.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counters.h"
#include "files.h"
#include "layout.h"
#include "parse.h"
#include "spawn.h"

#define LOOK_NS (10 * NS_PER_MS)
#define HIGHEST_SOCKET 1024 // listening sockets are opened first and have low numbers

static void backup_name(const Program *program, LayoutPath *ret_path)
{
    (void)snprintf(ret_path->text, sizeof ret_path->text, "%s.before", program->configuration);
}

// A second name for the configuration as it is; whoever writes it anew replaces the first one.
static void keep_configuration(const Program *program)
{
    LayoutPath before;
    backup_name(program, &before);
    (void)unlink(before.text);
    (void)!link(program->configuration, before.text);
}

static void give_back_configuration(const Program *program, bool failed)
{
    LayoutPath before;
    backup_name(program, &before);
    if (failed)
        (void)!rename(before.text, program->configuration);
    (void)unlink(before.text); // still there when both names meant the same file
}

static void write_pid(const Slot *slot)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)slot->pid);
    if (slot->pid > 0 && n > 0)
        (void)!files_replace(slot->program->pid_file, text, (size_t)n,
                             &(FilesWrite){.no_sync = true}, NULL);
}

static void finish(Slots *slots, Slot *slot, const char *error)
{
    UpgradePhase phase = slot->upgrade.phase;
    slot->upgrade = (SlotUpgrade){.phase = UPGRADE_PHASE_NONE};
    if (phase == UPGRADE_PHASE_STEP || phase == UPGRADE_PHASE_NEW)
        give_back_configuration(slot->program, error != NULL);
    if (phase == UPGRADE_PHASE_NEW && error != NULL) {
        write_pid(slot);
        if (slot->pid == 0 && !slots->stopping && !slot->halting) { // both have died
            slot->restarts++;
            slots_set_state(slots, slot, PROGRAM_STATE_WAITING);
        }
    }
    slots_reply(slots, "upgrade", slot, error);
}

void upgrade_abort(Slots *slots, Slot *slot, const char *why)
{
    if (slot->upgrade.phase == UPGRADE_PHASE_NONE)
        return;
    pid_t pid = slot->upgrade.pid;
    if (pid > 0) {
        (void)kill(pid, SIGKILL); // it may not have a session of its own yet
        (void)kill(-pid, SIGKILL);
    }
    finish(slots, slot, why);
}

// Starts the step in the phase of that name.
static void begin_handover(Slots *slots, Slot *slot)
{
    Error err = ERROR_INIT;
    keep_configuration(slot->program);
    pid_t pid = slots_spawn(slots, slot->program->step_index, NULL, 0, &err);
    slot->upgrade.phase = UPGRADE_PHASE_STEP;
    slot->upgrade.pid = pid > 0 ? pid : 0;
    if (pid < 0)
        finish(slots, slot, error_text(&err));
    error_done(&err);
}

void upgrade_begin(Slots *slots, Slot *slot, Mono now)
{
    const char *error = NULL;
    if (slot->program->upgrade == PROGRAM_UPGRADE_REFUSED)
        error = slot->program->ready == PROGRAM_READY_EXIT
                    ? "it is a step of the start, which does not go on running"
                    : "a database can hand over neither its listener nor its files: 'restart' it";
    else if (slots->stopping)
        error = "the region is ending";
    else if (slot->upgrade.phase != UPGRADE_PHASE_NONE)
        error = "an upgrade of it is under way";
    else if (slot->state == PROGRAM_STATE_HALTED || slot->halting)
        error = "it is halted: 'resume' starts it";
    else if (slot->state != PROGRAM_STATE_READY)
        error = "it is not ready: 'restart' starts it anew";
    if (error != NULL) {
        slots_reply(slots, "upgrade", slot, error);
        return;
    }
    slot->upgrade = (SlotUpgrade){.deadline = mono_add(now, SLOTS_UPGRADE_NS), .look = now};
    if (slot->program->upgrade == PROGRAM_UPGRADE_HANDOVER) {
        slot->upgrade.phase = UPGRADE_PHASE_WAIT;
        upgrade_advance(slots, slot, now);
        return;
    }
    if (slots_restart(slots, slot->program->name, now) == 0)
        slot->upgrade.phase = UPGRADE_PHASE_RESTART;
}

// Duplicates of the listening sockets of `pid`; how many, or a negative code.
static int take_sockets(pid_t pid, int *sockets, size_t max)
{
    int process CLEANUP(fd_closep) = (int)syscall(SYS_pidfd_open, pid, 0), n = 0;
    if (process < 0)
        return -errno;
    for (int i = 3; i < HIGHEST_SOCKET && (size_t)n < max; i++) {
        int fd = (int)syscall(SYS_pidfd_getfd, process, i, 0), listens = 0;
        socklen_t len = sizeof listens;
        if (fd < 0 && errno != EBADF)
            return -errno;
        if (fd < 0)
            continue;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens != 0)
            sockets[n++] = fd;
        else
            files_close(fd);
    }
    return n > 0 ? n : -ENOENT;
}

static void begin_new(Slots *slots, Slot *slot)
{
    Error err = ERROR_INIT;
    int sockets[SPAWN_SOCKETS_MAX];
    int n = take_sockets(slot->pid, sockets, ARRAY_SIZE(sockets));
    pid_t pid = -1;
    if (n < 0)
        (void)error_errno(&err, -n, "cannot take its listening sockets");
    else
        pid = slots_spawn(slots, (size_t)(slot - slots->items), sockets, (size_t)n, &err);
    for (int i = 0; i < n; i++)
        files_close(sockets[i]);
    slot->upgrade.phase = UPGRADE_PHASE_NEW;
    slot->upgrade.pid = pid > 0 ? pid : 0;
    if (pid < 0)
        finish(slots, slot, error_text(&err));
    error_done(&err);
}

static bool is_named(const char *pid_file, pid_t pid)
{
    char *text CLEANUP(free_textp) = NULL;
    size_t len;
    uint64_t number;
    return files_read(pid_file, 64, &text, &len, NULL) == 0 &&
           parse_u64(text, strcspn(text, "\n"), INT32_MAX, &number) == 0 && (pid_t)number == pid;
}

// A worker writes its header last when it starts, after it has begun to accept. Its process group
// says whose worker it is: every program is the leader of its own.
static bool is_worker_of(const char *path, pid_t pid)
{
    CountersHeader header;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool whole = fread(&header, sizeof header, 1, file) == 1;
    (void)fclose(file);
    return whole && header.magic == COUNTERS_MAGIC && header.pid > 0 && header.pid <= INT32_MAX &&
           getpgid((pid_t)header.pid) == pid;
}

static unsigned count_workers(const char *folder, pid_t pid)
{
    DIR *entries = opendir(folder);
    unsigned n = 0;
    for (const struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        LayoutPath path = layout_dir(folder, entry->d_name);
        n += strncmp(entry->d_name, "edge-", 5) == 0 && is_worker_of(path.text, pid) ? 1 : 0;
    }
    if (entries != NULL)
        (void)closedir(entries);
    return n;
}

static bool new_is_ready(const Slot *slot)
{
    const Program *program = slot->program;
    return is_named(program->pid_file, slot->upgrade.pid) &&
           count_workers(program->counters, slot->upgrade.pid) >= program->workers;
}

static LayoutPath leaving_path(const Slot *slot)
{
    return layout_dir(slot->program->counters, "leaving");
}

void upgrade_forget(const Slot *slot)
{
    if (slot->program->counters != NULL)
        (void)unlink(leaving_path(slot).text);
}

static void leave(Slot *slot, Mono now)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)slot->old_pid);
    slot->old_quit_at = mono_add(now, SLOTS_LEAVE_NS);
    slot->old_kill_at = mono_add(slot->old_quit_at, SLOTS_DRAIN_NS);
    if (files_replace(leaving_path(slot).text, text, (size_t)n, &(FilesWrite){.no_sync = true},
                      NULL) < 0)
        slot->old_quit_at = now; // then it need not wait, either
}

// The one that handed over: what time brings.
static void advance_old(Slot *slot, Mono now)
{
    if (slot->old_quit_at.ns <= now.ns) {
        slot->old_quit_at = MONO_NEVER;
        (void)kill(slot->old_pid, SIGQUIT);
    }
    if (slot->old_kill_at.ns <= now.ns) {
        slot->old_kill_at = MONO_NEVER;
        (void)kill(-slot->old_pid, SIGKILL);
    }
}

// The new one is the program now; the old one finishes what it has.
static void hand_over(Slots *slots, Slot *slot, Mono now)
{
    slot->old_pid = slot->pid;
    slot->pid = slot->upgrade.pid;
    slot->started = now;
    slot->restarts++;
    slot->failures = 0;
    slot->detail[0] = '\0';
    slot->state = PROGRAM_STATE_READY;
    if (slot->old_pid > 0)
        leave(slot, now);
    slots->changed(slots->context, slot);
    finish(slots, slot, NULL);
}

void upgrade_advance(Slots *slots, Slot *slot, Mono now)
{
    SlotUpgrade *upgrade = &slot->upgrade;
    if (slot->old_pid > 0)
        advance_old(slot, now);
    if (upgrade->phase == UPGRADE_PHASE_NONE)
        return;
    if (upgrade->phase == UPGRADE_PHASE_WAIT && slot->old_pid == 0) {
        begin_handover(slots, slot);
        return;
    }
    if (upgrade->phase == UPGRADE_PHASE_NEW && upgrade->look.ns <= now.ns) {
        upgrade->look = mono_add(now, LOOK_NS);
        if (new_is_ready(slot)) {
            hand_over(slots, slot, now);
            return;
        }
    }
    if (upgrade->deadline.ns <= now.ns)
        upgrade_abort(slots, slot, "the new one was not ready in time");
}

void upgrade_ready(Slots *slots, Slot *slot)
{
    if (slot->upgrade.phase == UPGRADE_PHASE_RESTART)
        finish(slots, slot, NULL);
}

// The sockets live on in the new one, so clients that wait will be served.
bool upgrade_takes_over(Slots *slots, Slot *slot, Mono now)
{
    if (slot->upgrade.phase != UPGRADE_PHASE_NEW || slots->stopping || slot->halting)
        return false;
    slot->old_pid = slot->pid;
    slot->old_quit_at = slot->old_kill_at = MONO_NEVER;
    slot->pid = 0;
    return true;
}

static void describe(char *text, size_t size, const char *what, int status)
{
    (void)snprintf(text, size, "%s ended with %s %d; the old one goes on", what,
                   WIFSIGNALED(status) ? "signal" : "code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void upgrade_exited(Slots *slots, Slot *slot, pid_t pid, int status, Mono now)
{
    char text[160];
    if (slot->old_pid == pid) {
        slot->old_pid = 0;
        upgrade_forget(slot);
        write_pid(slot);
    } else if (slot->upgrade.phase == UPGRADE_PHASE_STEP) {
        slot->upgrade.pid = 0;
        if (status == 0) {
            begin_new(slots, slot);
            return;
        }
        describe(text, sizeof text, slots->spec->programs[slot->program->step_index].name, status);
        finish(slots, slot, text);
    } else {
        slot->upgrade.pid = 0;
        describe(text, sizeof text, "the new one", status);
        finish(slots, slot, text);
    }
}

Mono upgrade_next(const Slot *slot)
{
    Mono next = MONO_NEVER;
    if (slot->old_pid > 0)
        next = mono_min(slot->old_quit_at, slot->old_kill_at);
    if (slot->upgrade.phase != UPGRADE_PHASE_NONE)
        next = mono_min(next, slot->upgrade.deadline);
    if (slot->upgrade.phase == UPGRADE_PHASE_NEW)
        next = mono_min(next, slot->upgrade.look);
    return next;
}
