// SPDX-License-Identifier: MIT
// push_watch: see push.h. A check that fails once says little on a busy machine: it counts when it
// has failed for two seconds of the watch together (half of a short watch), so what comes and goes
// counts too. A check that fails at the end of the watch makes it longer until that is known.
#include <stdio.h>
#include <time.h>

#include "alloc.h"
#include "clock.h"
#include "push.h"

#define LOOK_NS (100 * NS_PER_MS)
#define ASK_NS NS_PER_S
#define PATIENCE_NS (2 * NS_PER_S)

void push_pause(void)
{
    // The rate of looking, not a wait for something.
    (void)nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
}

int push_looks_new(const Context *context, PushLooks *ret_looks, Error *reterr)
{
    uint32_t n = context->conf->model.n_regions;
    AgentAnswer *all = alloc_zeroed(3 * (size_t)n, sizeof *all);
    if (all == NULL)
        return error_set(reterr, ERROR_MEMORY, "push");
    *ret_looks = (PushLooks){.first = all, .before = all + n, .now = all + 2 * (size_t)n};
    return 0;
}

void push_looks_done(const Context *context, PushLooks *looks)
{
    if (looks->first == NULL)
        return;
    agents_done(looks->first, 3 * context->conf->model.n_regions);
    free(looks->first);
    *looks = (PushLooks){0};
}

int push_look(const Context *context, AgentAnswer *answers, Error *reterr)
{
    agents_done(answers, context->conf->model.n_regions);
    return agents_ask(context, -1, &(AgentRequest){.path = "/v1/status", .timeout_ns = ASK_NS},
                      answers, reterr);
}

typedef struct Failing {
    int64_t ns; // for so long, all looks together
    char text[PUSH_TEXT_MAX];
} Failing;

// One look, `since_ns` after the last one: the check that has failed for long enough, or -1.
// *ret_any: some check fails.
static int judge(const PushView *view, Failing *failing, int64_t since_ns, int64_t patience_ns,
                 bool *ret_any)
{
    *ret_any = false;
    for (int i = 0; i < PUSH_CHECK_MAX; i++) {
        Failing *one = &failing[i];
        if (!push_check_fails(view, (PushCheck)i, one->text))
            continue;
        one->ns += since_ns;
        *ret_any = true;
        if (push_check_is_sudden((PushCheck)i) || one->ns >= patience_ns)
            return i;
    }
    return -1;
}

int push_watch(const Context *context, PushLooks *looks, uint32_t region, uint64_t hash,
               int64_t time_ns, const volatile sig_atomic_t *stop, PushFailure *ret_failure)
{
    Failing failing[PUSH_CHECK_MAX] = {0};
    const PushView view = {.conf = context->conf,
                           .region = region,
                           .hash = hash,
                           .first = looks->first,
                           .before = looks->before,
                           .now = looks->now};
    Mono begun = clock_mono(), last = begun;
    int64_t patience_ns = time_ns / 2 < PATIENCE_NS ? time_ns / 2 : PATIENCE_NS;
    int check = -1;
    bool any = true;
    *ret_failure = (PushFailure){.region = region};
    while (check < 0 && (any || mono_since(clock_mono(), begun) < time_ns)) {
        Error err CLEANUP(error_done) = ERROR_INIT;
        int r = push_look(context, looks->now, &err);
        if (r < 0) {
            ret_failure->check = "look";
            (void)snprintf(ret_failure->text, sizeof ret_failure->text, "%s", error_text(&err));
            return r;
        }
        Mono now = clock_mono();
        check = judge(&view, failing, mono_since(now, last), patience_ns, &any);
        last = now;
        if (stop != NULL && *stop != 0) {
            ret_failure->check = "interrupted";
            (void)snprintf(ret_failure->text, sizeof ret_failure->text, "interrupted");
            return ERROR_CONFLICT;
        }
        if (check < 0)
            push_pause();
    }
    if (check < 0)
        return 0;
    ret_failure->check = push_check_name((PushCheck)check);
    ret_failure->after_ms = mono_since(clock_mono(), begun) / NS_PER_MS;
    (void)snprintf(ret_failure->text, sizeof ret_failure->text, "%s", failing[check].text);
    return ERROR_NOT_HELD;
}
