// SPDX-License-Identifier: MIT
// fault_keeper_run: see fault_keeper_run.h. One loop, one request at a time; what a fault has
// behind it is written down before the function that does it is called, so that healing knows of
// what was interrupted in the middle.
#include "fault_keeper_run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault_check.h"
#include "fault_disk.h"
#include "fault_message.h"
#include "fault_relay.h"

#define TRIES 3
#define TRY_PAUSE_MS 500
#define LOOK_MS 1000               // whether faults are still in force
#define LOOK_MAX_NS (1 * NS_PER_S) // for one such look

typedef enum Stage { STAGE_FREE, STAGE_PREPARED, STAGE_IN_FORCE } Stage;

typedef struct Slot {
    Stage stage;
    FaultHeld held;
} Slot;

typedef struct Keeper {
    const FaultOptions *options;
    int socket, gone;
    uint32_t last_id;
    Slot slots[FAULT_HELD_MAX];
} Keeper;

static int run(Slot *slot, FaultAction *action, int64_t most_ns, bool healing, Error *reterr)
{
    if (action == NULL)
        return 0;
    slot->held.deadline = mono_add(clock_mono(), most_ns);
    slot->held.healing = healing;
    return action(&slot->held, reterr);
}

static const FaultKindActions *actions_of(const Slot *slot)
{
    return fault_actions(slot->held.fault.kind);
}

static void look(Slot *slot)
{
    const FaultKindActions *actions = actions_of(slot);
    if (slot->stage != STAGE_IN_FORCE || slot->held.lost[0] != '\0' || actions->look == NULL)
        return;
    slot->held.deadline = mono_add(clock_mono(), LOOK_MAX_NS);
    slot->held.healing = false;
    actions->look(&slot->held);
}

// What was measured meanwhile is worth nothing when the fault was not in force all the while.
static int lasted(const FaultHeld *held, Error *reterr)
{
    if (held->lost[0] == '\0')
        return 0;
    return error_set(reterr, ERROR_CONFLICT,
                     "'%s' did not last until its end: %s (seen %.1f s after its begin)",
                     FAULTS[held->fault.kind].name, held->lost,
                     (double)mono_since(held->lost_seen, held->begun) / 1e9);
}

static int end(Slot *slot, Error *reterr)
{
    if (slot->stage != STAGE_IN_FORCE)
        return 0;
    look(slot);
    int r = run(slot, actions_of(slot)->end, FAULT_QUICK_NS, true, reterr);
    if (r == 0)
        slot->stage = STAGE_PREPARED;
    return r;
}

static int undo(Slot *slot, Error *reterr)
{
    int r = end(slot, reterr);
    if (r == 0 && slot->stage == STAGE_PREPARED &&
        (r = run(slot, actions_of(slot)->undo, FAULT_SLOW_NS, true, reterr)) == 0)
        *slot = (Slot){.stage = STAGE_FREE};
    return r;
}

// Tries it a few times; says on stderr what stays broken.
static int heal(Slot *slot, int (*step)(Slot *slot, Error *reterr))
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = 0;
    for (int i = 0; i < TRIES; i++) {
        if (i > 0)
            (void)poll(NULL, 0, TRY_PAUSE_MS); // what failed at once may work a little later
        error_done(&err);
        if ((r = step(slot, &err)) == 0)
            return 0;
    }
    (void)fprintf(stderr, "fault: NOT healed: '%s': %s\n", FAULTS[slot->held.fault.kind].name,
                  error_text(&err));
    return r;
}

static int heal_all(Keeper *keeper)
{
    int worst = 0;
    for (;;) {
        Slot *newest = NULL;
        for (size_t i = 0; i < FAULT_HELD_MAX; i++) {
            Slot *slot = &keeper->slots[i];
            if (slot->stage != STAGE_FREE && (newest == NULL || slot->held.id > newest->held.id))
                newest = slot;
        }
        if (newest == NULL)
            return worst;
        int r = heal(newest, undo);
        worst = r < 0 ? r : worst;
        newest->stage = STAGE_FREE; // healed or given up
    }
}

// --- requests ---
static int do_end(Slot *slot, Error *reterr)
{
    int r = end(slot, reterr);
    if (r < 0)
        return r;
    r = lasted(&slot->held, reterr);
    slot->held.lost[0] = '\0'; // said once
    return r;
}

static int do_undo(Slot *slot, Error *reterr)
{
    Error early CLEANUP(error_done) = ERROR_INIT;
    int ended = end(slot, reterr), lost = 0;
    if (ended < 0)
        return ended;
    lost = lasted(&slot->held, &early);
    int r = undo(slot, reterr);
    return r < 0 || lost == 0 ? r : error_set(reterr, lost, "%s", error_text(&early));
}

static Slot *find(Keeper *keeper, uint32_t id, Error *reterr)
{
    for (size_t i = 0; i < FAULT_HELD_MAX; i++)
        if (keeper->slots[i].stage != STAGE_FREE && keeper->slots[i].held.id == id)
            return &keeper->slots[i];
    (void)error_set(reterr, ERROR_NOT_FOUND, "no fault with number %u is held", id);
    return NULL;
}

static int do_prepare(Keeper *keeper, const FaultRequest *request, uint32_t *ret_id, Error *reterr)
{
    Slot *slot = NULL;
    for (size_t i = 0; i < FAULT_HELD_MAX && slot == NULL; i++)
        if (keeper->slots[i].stage == STAGE_FREE)
            slot = &keeper->slots[i];
    if (slot == NULL)
        return error_set(reterr, ERROR_LIMIT, "%d faults are held already", FAULT_HELD_MAX);
    int r = fault_check(&request->fault, &keeper->options->conf->model, reterr);
    if (r < 0 || (r = fault_possible(request->fault.kind, reterr)) < 0)
        return r;
    *slot = (Slot){.stage = STAGE_PREPARED,
                   .held = {.id = ++keeper->last_id,
                            .fault = request->fault,
                            .options = keeper->options,
                            .gone = keeper->gone,
                            .socket = keeper->socket,
                            .request = request->number}};
    memcpy(slot->held.program, request->program, sizeof slot->held.program);
    slot->held.fault.program = request->fault.program != NULL ? slot->held.program : NULL;
    r = run(slot, actions_of(slot)->prepare, FAULT_SLOW_NS, false, reterr);
    if (r < 0)
        (void)heal(slot, undo);
    else
        *ret_id = slot->held.id;
    return r;
}

static int do_begin(Slot *slot, Error *reterr)
{
    if (slot->stage == STAGE_IN_FORCE)
        return error_set(reterr, ERROR_CONFLICT, "it is in force already");
    slot->stage = STAGE_IN_FORCE;
    slot->held.lost[0] = '\0';
    int r = run(slot, actions_of(slot)->begin, FAULT_QUICK_NS, false, reterr);
    slot->held.begun = clock_mono();
    if (r < 0)
        (void)heal(slot, end);
    return r;
}

static int do_change(Slot *slot, int64_t value, Error *reterr)
{
    const FaultKindActions *actions = actions_of(slot);
    int64_t before = slot->held.fault.value;
    int r = fault_check_value(slot->held.fault.kind, value, reterr);
    if (r < 0)
        return r;
    if (actions->change == NULL)
        return error_set(reterr, ERROR_USAGE, "it has no value");
    slot->held.fault.value = value;
    if (slot->stage == STAGE_IN_FORCE)
        r = run(slot, actions->change, FAULT_QUICK_NS, false, reterr);
    if (r < 0)
        slot->held.fault.value = before;
    return r;
}

static int serve(Keeper *keeper, const FaultRequest *request, uint32_t *ret_id, Error *reterr)
{
    Slot *slot;
    if (request->verb == FAULT_VERB_PREPARE)
        return do_prepare(keeper, request, ret_id, reterr);
    if ((slot = find(keeper, request->id, reterr)) == NULL)
        return ERROR_NOT_FOUND;
    slot->held.request = request->number;
    switch (request->verb) {
    case FAULT_VERB_BEGIN:
        return do_begin(slot, reterr);
    case FAULT_VERB_CHANGE:
        return do_change(slot, request->fault.value, reterr);
    case FAULT_VERB_END:
        return do_end(slot, reterr);
    case FAULT_VERB_UNDO:
        return do_undo(slot, reterr);
    case FAULT_VERB_PREPARE:
    case FAULT_VERB_HEAL:
    case FAULT_VERB_MAX:
    default:
        NOT_REACHED();
    }
}

static void answer(const Keeper *keeper, uint32_t number, int code, uint32_t id, const Error *err)
{
    FaultAnswer message = {.number = number, .code = code, .id = id};
    unsigned char bytes[FAULT_MESSAGE_MAX];
    if (code < 0)
        fault_answer_set_text(&message, error_text(err));
    size_t len = fault_answer_encode(&message, bytes);
    (void)send(keeper->socket, bytes, len, MSG_NOSIGNAL); // nobody there is seen by the loop
}

// false: time to heal everything and to end.
static bool read_request(Keeper *keeper)
{
    unsigned char bytes[FAULT_MESSAGE_MAX];
    FaultRequest request;
    Error err CLEANUP(error_done) = ERROR_INIT;
    ssize_t n = recv(keeper->socket, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0 || fault_request_decode(bytes, (size_t)n, &request) < 0 ||
        request.verb == FAULT_VERB_HEAL)
        return false;
    uint32_t id = request.id;
    int r = serve(keeper, &request, &id, &err);
    answer(keeper, request.number, r, id, &err);
    return true;
}

// One descriptor that says "heal": SIGTERM, the asker's death, or its end of the socket.
static int open_gone(int socket, int asker, Error *reterr)
{
    sigset_t mask;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    int signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    int gone = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event in = {.events = EPOLLIN}, hangup = {.events = EPOLLRDHUP};
    if (signals < 0 || gone < 0 || epoll_ctl(gone, EPOLL_CTL_ADD, signals, &in) < 0 ||
        epoll_ctl(gone, EPOLL_CTL_ADD, asker, &in) < 0 ||
        epoll_ctl(gone, EPOLL_CTL_ADD, socket, &hangup) < 0)
        return error_errno(reterr, errno, "keeper");
    return gone;
}

static bool anything_to_look_at(const Keeper *keeper)
{
    for (size_t i = 0; i < FAULT_HELD_MAX; i++)
        if (keeper->slots[i].stage == STAGE_IN_FORCE && keeper->slots[i].held.lost[0] == '\0')
            return true;
    return false;
}

NORETURN void fault_keeper_run(const FaultOptions *options, int socket, int asker)
{
    static Keeper keeper; // 16 faults
    Error err = ERROR_INIT;
    keeper = (Keeper){.options = options, .socket = socket};
    int r = keeper.gone = open_gone(socket, asker, &err);
    if (r >= 0)
        r = fault_relay_recover(options, &err);
    if (r >= 0)
        r = fault_disk_recover(options, mono_add(clock_mono(), FAULT_SLOW_NS), keeper.gone, socket,
                               &err);
    answer(&keeper, 0, r < 0 ? r : 0, 0, &err);
    error_done(&err);
    bool goes_on = r >= 0;
    while (goes_on) {
        struct pollfd fds[] = {{.fd = socket, .events = POLLIN},
                               {.fd = keeper.gone, .events = POLLIN}};
        int ready = poll(fds, ARRAY_SIZE(fds), anything_to_look_at(&keeper) ? LOOK_MS : -1);
        if (ready < 0 && errno != EINTR)
            break;
        for (size_t i = 0; ready == 0 && i < FAULT_HELD_MAX; i++)
            look(&keeper.slots[i]);
        if (ready <= 0)
            continue;
        goes_on = fds[1].revents == 0 && (fds[0].revents == 0 || read_request(&keeper));
    }
    _exit(heal_all(&keeper) < 0 || r < 0 ? 1 : 0);
}
