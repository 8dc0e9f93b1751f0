// SPDX-License-Identifier: MIT
// drill_wait: conditions of a drill, looked at every few milliseconds, with a deadline. A signal
// ends every wait, and so does the end of the cameras.
#include <poll.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clock.h"
#include "drill_state.h"

#define LOOK_MS 5
#define HEARTBEAT_NS (3 * NS_PER_S) // an agent that said nothing for longer is not there

int drill_look(Drill *drill)
{
    struct pollfd poll_fd = {.fd = drill->signals, .events = POLLIN};
    if (poll(&poll_fd, 1, LOOK_MS) <= 0)
        return 0;
    struct signalfd_siginfo info;
    if (read(drill->signals, &info, sizeof info) != sizeof info)
        return 0;
    return error_set(drill->reterr, ERROR_INTERRUPTED, "interrupted");
}

void drill_watch_plans(Drill *drill)
{
    Mono now = clock_mono();
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        if (!plan_watch(&drill->watch, i, now, &drill->sights[i]))
            continue;
        if (drill->away_since.ns != 0 && !drill->sights[i].in_front && drill->away[i].ns == 0)
            drill->away[i] = now;
    }
    load_watch_look(&drill->load, now);
}

static bool all_full(Drill *drill, char *ret_why, size_t size)
{
    int64_t now = clock_wall().ns;
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        const PlanSight *sight = &drill->sights[i];
        const char *name = drill->model->regions[i].name;
        if (sight->number == 0 || now - sight->heartbeat_ns > HEARTBEAT_NS)
            (void)snprintf(ret_why, size, "the agent of %s publishes nothing", name);
        else if (!sight->full)
            (void)snprintf(ret_why, size, "%s as %s sees it", sight->not_full, name);
        else
            continue;
        return false;
    }
    return true;
}

bool drill_all_away(const Drill *drill)
{
    for (uint32_t i = 0; i < drill->model->n_regions; i++) {
        if ((drill_able_agents(drill) >> i & 1) != 0 && drill->away[i].ns == 0)
            return false;
    }
    return true;
}

// The next look, while the cameras run if they were started.
static int go_on(Drill *drill)
{
    int r = drill_look(drill);
    if (r == 0 && drill->child.pid > 0 &&
        (r = traffic_child_ended(&drill->child, drill->reterr)) > 0)
        r = error_set(drill->reterr, ERROR_UNAVAILABLE, "the cameras ended");
    return r;
}

int drill_wait_full(Drill *drill, int64_t most_ns, char *ret_why, size_t size)
{
    Mono end = mono_add(clock_mono(), most_ns);
    ret_why[0] = '\0';
    for (;;) {
        drill_watch_plans(drill);
        if (all_full(drill, ret_why, size)) {
            ret_why[0] = '\0';
            return 0;
        }
        if (clock_mono().ns > end.ns)
            return ERROR_TIMEOUT;
        int r = go_on(drill);
        if (r < 0)
            return r;
    }
}

int drill_keep_going(Drill *drill, Mono until)
{
    while (clock_mono().ns < until.ns) {
        drill_watch_plans(drill);
        int r = go_on(drill);
        if (r < 0)
            return r;
    }
    return 0;
}
