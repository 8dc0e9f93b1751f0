// SPDX-License-Identifier: MIT
// region_slots: see region_slots.h. When a program's main process ends, its process group is killed
// too: nginx workers whose master was killed would keep its listening sockets, and the next master
// could not bind. PostgreSQL's children leave by themselves, and the next postmaster refuses to
// start until they have: that is what the backoff is for.
#include "region_slots.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "children.h"
#include "region_upgrade.h"
#include "spawn.h"

void slots_set_state(Slots *slots, Slot *slot, ProgramState state)
{
    if (slot->state == state)
        return;
    slot->state = state;
    slots->changed(slots->context, slot);
}

void slots_reply(Slots *slots, const char *verb, const Slot *slot, const char *error)
{
    if (slots->replied != NULL)
        slots->replied(slots->context, verb, slot, error);
}

pid_t slots_spawn(const Slots *slots, size_t index, const int *sockets, size_t n, Error *reterr)
{
    const Changes *changes = slots->changes;
    const SpawnOptions options = {.programs = changes != NULL ? changes->programs : NULL,
                                  .environment =
                                      changes != NULL ? changes->environment[index] : NULL,
                                  .sockets = sockets,
                                  .n_sockets = n};
    return spawn_program(slots->spec, slots->items[index].program, &options, reterr);
}

void slots_init(Slots *slots, const RegionSpec *spec, SlotsChanged *changed, void *context)
{
    *slots = (Slots){.spec = spec, .changed = changed, .context = context};
    for (size_t i = 0; i < spec->n; i++)
        slots->items[i] = (Slot){.program = &spec->programs[i], .check = READY_CHECK_INIT};
}

static bool may_start(const Slots *slots, const Slot *slot)
{
    for (size_t i = 0; i < slots->spec->n; i++) {
        ProgramState state = slots->items[i].state;
        if (program_is_after(slot->program, i) && state != PROGRAM_STATE_READY &&
            state != PROGRAM_STATE_DONE)
            return false;
    }
    return true;
}

static void back_off(Slots *slots, Slot *slot, Mono now)
{
    int64_t pause_ns = SLOTS_BACKOFF_NS;
    for (unsigned i = 0; i < slot->failures && pause_ns < SLOTS_BACKOFF_MAX_NS; i++)
        pause_ns *= 2;
    if (pause_ns > SLOTS_BACKOFF_MAX_NS)
        pause_ns = SLOTS_BACKOFF_MAX_NS;
    slot->failures++;
    slot->restarts++;
    slot->again = mono_add(now, pause_ns);
    slots_set_state(slots, slot, PROGRAM_STATE_BACKOFF);
}

static void start(Slots *slots, Slot *slot, Mono now)
{
    Error err = ERROR_INIT;
    ready_reset(&slot->check);
    upgrade_forget(slot);
    pid_t pid = slots_spawn(slots, (size_t)(slot - slots->items), NULL, 0, &err);
    if (pid < 0) {
        (void)snprintf(slot->detail, sizeof slot->detail, "%s", error_text(&err));
        error_done(&err);
        back_off(slots, slot, now);
        upgrade_abort(slots, slot, slot->detail);
        return;
    }
    slot->pid = pid;
    slot->started = now;
    slot->kill_at = MONO_NEVER;
    slots_set_state(slots, slot, PROGRAM_STATE_STARTING);
}

static bool has_check(const Slot *slot)
{
    return slot->state == PROGRAM_STATE_STARTING && (slot->program->ready == PROGRAM_READY_HTTP ||
                                                     slot->program->ready == PROGRAM_READY_TCP);
}

static void is_ready(Slots *slots, Slot *slot)
{
    slot->detail[0] = '\0';
    slots_set_state(slots, slot, PROGRAM_STATE_READY);
    upgrade_ready(slots, slot);
}

// A halted program's main process is gone. Whoever is nobody's child in this region now was started
// by one that is gone, and goes too; it is over when nobody is left.
static void sweep(Slots *slots, Slot *slot, Mono now)
{
    pid_t spared[3 * PROGRAMS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < slots->spec->n; i++) {
        spared[n++] = slots->items[i].pid;
        spared[n++] = slots->items[i].old_pid;
        spared[n++] = slots->items[i].upgrade.pid;
    }
    int left = slot->old_pid > 0 ? 1 : children_kill_orphans(spared, n);
    if (left > 0) {
        slot->sweep = mono_add(now, SLOTS_SWEEP_NS);
        return;
    }
    slot->halting = false;
    slot->failures = 0;
    (void)snprintf(slot->detail, sizeof slot->detail, "halted on purpose");
    slots_set_state(slots, slot, PROGRAM_STATE_HALTED);
    slots_reply(slots, "halt", slot,
                left < 0 ? "it is gone, but its children cannot be looked at in /proc" : NULL);
}

static void advance_one(Slots *slots, Slot *slot, Mono now)
{
    if (slot->pid > 0 && slot->kill_at.ns <= now.ns) {
        slot->kill_at = MONO_NEVER;
        (void)kill(slot->pid, SIGKILL); // it may not have a session of its own yet
        (void)kill(-slot->pid, SIGKILL);
    }
    if (slot->halting && slot->pid == 0 && slot->sweep.ns <= now.ns)
        sweep(slots, slot, now);
    upgrade_advance(slots, slot, now);
    if (slot->state == PROGRAM_STATE_BACKOFF && slot->again.ns <= now.ns)
        slot->state = PROGRAM_STATE_WAITING;
    if (slot->state == PROGRAM_STATE_WAITING && !slots->stopping && may_start(slots, slot))
        start(slots, slot, now);
    if (has_check(slot) && ready_step(&slot->check, slot->program, now))
        is_ready(slots, slot);
}

static void send_stop(Slots *slots, Slot *slot, Mono now)
{
    ready_reset(&slot->check);
    if (slot->pid == 0) {
        slots_set_state(slots, slot, PROGRAM_STATE_STOPPED);
    } else if (slot->state != PROGRAM_STATE_STOPPING) {
        (void)kill(slot->pid, slot->program->stop_signal);
        slot->kill_at = mono_add(now, SLOTS_GRACE_NS);
        slots_set_state(slots, slot, PROGRAM_STATE_STOPPING);
    }
}

// While stopping: the programs that stop last are told so once nothing else runs.
static void advance_stop(Slots *slots, Mono now)
{
    bool others = false;
    for (size_t i = 0; i < slots->spec->n; i++)
        others = others || (slots->items[i].pid > 0 && !slots->items[i].program->stop_last);
    for (size_t i = 0; i < slots->spec->n; i++)
        if (!slots->items[i].program->stop_last || !others)
            send_stop(slots, &slots->items[i], now);
}

void slots_advance(Slots *slots, Mono now)
{
    if (slots->stopping)
        advance_stop(slots, now);
    for (size_t i = 0; i < slots->spec->n; i++)
        advance_one(slots, &slots->items[i], now);
}

static void describe_end(Slot *slot, int status)
{
    if (WIFSIGNALED(status))
        (void)snprintf(slot->detail, sizeof slot->detail, "killed by signal %d", WTERMSIG(status));
    else
        (void)snprintf(slot->detail, sizeof slot->detail, "ended with code %d",
                       WEXITSTATUS(status));
}

void slots_exited(Slots *slots, pid_t pid, int status, Mono now)
{
    Slot *slot = NULL;
    for (size_t i = 0; pid > 0 && i < slots->spec->n; i++)
        if (slots->items[i].pid == pid || slots->items[i].old_pid == pid ||
            slots->items[i].upgrade.pid == pid)
            slot = &slots->items[i];
    if (slot == NULL)
        return;
    (void)kill(-pid, SIGKILL);
    if (slot->pid != pid || upgrade_takes_over(slots, slot, now)) {
        upgrade_exited(slots, slot, pid, status, now);
        return;
    }
    ready_reset(&slot->check);
    slot->pid = 0;
    describe_end(slot, status);
    if (slots->stopping) {
        slots_set_state(slots, slot, PROGRAM_STATE_STOPPED);
    } else if (slot->halting) {
        sweep(slots, slot, now);
    } else if (slot->program->ready == PROGRAM_READY_EXIT && status == 0) {
        slot->detail[0] = '\0';
        slot->failures = 0;
        slots_set_state(slots, slot, PROGRAM_STATE_DONE);
    } else if (slot->restart_asked) {
        slot->restart_asked = false;
        slot->restarts++;
        slot->failures = 0;
        slots_set_state(slots, slot, PROGRAM_STATE_WAITING);
    } else {
        if (mono_since(now, slot->started) >= SLOTS_STEADY_NS)
            slot->failures = 0;
        back_off(slots, slot, now);
        upgrade_abort(slots, slot, slot->detail);
    }
}

void slots_notified(Slots *slots, Mono now)
{
    for (size_t i = 0; i < slots->spec->n; i++) {
        Slot *slot = &slots->items[i];
        if (slot->state == PROGRAM_STATE_STARTING && slot->program->ready == PROGRAM_READY_NOTIFY)
            is_ready(slots, slot);
    }
}

static Slot *find(Slots *slots, const char *name)
{
    for (size_t i = 0; i < slots->spec->n; i++)
        if (strcmp(slots->items[i].program->name, name) == 0)
            return &slots->items[i];
    return NULL;
}

int slots_restart(Slots *slots, const char *name, Mono now)
{
    Slot *slot = find(slots, name);
    if (slot == NULL)
        return ERROR_NOT_FOUND;
    if (slots->stopping || slot->halting || slot->state == PROGRAM_STATE_HALTED)
        return 0;
    upgrade_abort(slots, slot, "it was restarted meanwhile");
    if (slot->pid > 0) {
        slot->restart_asked = true;
        send_stop(slots, slot, now);
    } else {
        slot->failures = 0;
        slots_set_state(slots, slot, PROGRAM_STATE_WAITING);
    }
    return 0;
}

int slots_signal(Slots *slots, const char *name, int number)
{
    Slot *slot = find(slots, name);
    if (slot == NULL || slot->pid == 0)
        return ERROR_NOT_FOUND;
    return kill(slot->pid, number) == 0 ? 0 : -errno;
}

// Stopped first, so that it starts nothing new while its children are looked for.
static void kill_all(pid_t pid)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGSTOP);
    (void)children_kill_below(pid);
    (void)kill(pid, SIGKILL); // it may not have a session of its own yet
    (void)kill(-pid, SIGKILL);
}

int slots_halt(Slots *slots, const char *name, Mono now)
{
    Slot *slot = find(slots, name);
    if (slot == NULL)
        return ERROR_NOT_FOUND;
    if (slot->program->ready == PROGRAM_READY_EXIT || slots->stopping) {
        slots_reply(slots, "halt", slot,
                    slots->stopping ? "the region is ending"
                                    : "it is a step of the start, which does not go on running");
        return 0;
    }
    if (slot->state == PROGRAM_STATE_HALTED) {
        slots_reply(slots, "halt", slot, NULL);
        return 0;
    }
    slot->halting = true;
    upgrade_abort(slots, slot, "it was halted meanwhile");
    slot->restart_asked = false;
    slot->kill_at = MONO_NEVER;
    ready_reset(&slot->check);
    kill_all(slot->old_pid);
    kill_all(slot->pid);
    if (slot->pid > 0)
        slots_set_state(slots, slot, PROGRAM_STATE_STOPPING);
    else
        sweep(slots, slot, now);
    return 0;
}

int slots_resume(Slots *slots, const char *name, Mono now)
{
    Slot *slot = find(slots, name);
    if (slot == NULL)
        return ERROR_NOT_FOUND;
    if (slot->halting || slots->stopping) {
        slots_reply(slots, "resume", slot,
                    slots->stopping ? "the region is ending" : "it is being halted");
        return 0;
    }
    if (slot->state == PROGRAM_STATE_HALTED) {
        slot->detail[0] = '\0';
        slot->failures = 0;
        slot->restarts++;
        slots_set_state(slots, slot, PROGRAM_STATE_WAITING);
        slots_advance(slots, now);
    }
    slots_reply(slots, "resume", slot, NULL);
    return 0;
}

int slots_upgrade(Slots *slots, const char *name, Mono now)
{
    Slot *slot = find(slots, name);
    if (slot == NULL)
        return ERROR_NOT_FOUND;
    upgrade_begin(slots, slot, now);
    return 0;
}

void slots_stop(Slots *slots, Mono now)
{
    slots->stopping = true;
    for (size_t i = 0; i < slots->spec->n; i++)
        upgrade_abort(slots, &slots->items[i], "the region is ending");
    slots_advance(slots, now);
}

bool slots_ended(const Slots *slots)
{
    for (size_t i = 0; i < slots->spec->n; i++)
        if (slots->items[i].pid > 0)
            return false;
    return slots->stopping;
}

Mono slots_next(const Slots *slots, Mono now)
{
    Mono next = MONO_NEVER;
    for (size_t i = 0; i < slots->spec->n; i++) {
        const Slot *slot = &slots->items[i];
        if (slot->pid > 0)
            next = mono_min(next, slot->kill_at);
        if (slot->halting && slot->pid == 0)
            next = mono_min(next, slot->sweep);
        next = mono_min(next, upgrade_next(slot));
        if (slot->state == PROGRAM_STATE_BACKOFF)
            next = mono_min(next, slot->again);
        if (has_check(slot))
            next = mono_min(next, mono_max(slot->check.next, mono_add(now, 3 * NS_PER_MS)));
    }
    return next;
}
