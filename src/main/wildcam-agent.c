// SPDX-License-Identifier: MIT
// wildcam-agent: one region's observer and decider (src/agent). SIGHUP reloads, SIGTERM and SIGINT
// drain. Ends with 0 after a drain, 1 when it could not start.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "agent.h"
#include "layout.h"
#include "log.h"
#include "options.h"

typedef struct Signals {
    uv_signal_t hangup, terminate, interrupt;
    Agent *agent;
} Signals;

static void close_signals(Signals *signals)
{
    uv_close((uv_handle_t *)&signals->hangup, NULL);
    uv_close((uv_handle_t *)&signals->terminate, NULL);
    uv_close((uv_handle_t *)&signals->interrupt, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    Signals *signals = handle->data;
    if (number == SIGHUP) {
        agent_reload(signals->agent);
        return;
    }
    close_signals(signals);
    agent_drain(signals->agent);
}

static int watch_signals(uv_loop_t *loop, Signals *signals)
{
    struct {
        uv_signal_t *handle;
        int number;
    } all[] = {
        {&signals->hangup, SIGHUP}, {&signals->terminate, SIGTERM}, {&signals->interrupt, SIGINT}};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        int r = uv_signal_init(loop, all[i].handle);
        all[i].handle->data = signals;
        if (r == 0)
            r = uv_signal_start(all[i].handle, on_signal, all[i].number);
        if (r < 0)
            return r;
    }
    return 0;
}

static int run_on(uv_loop_t *loop, const AgentOptions *options, Error *reterr)
{
    Signals signals = {0};
    int r = agent_new(loop, options, &signals.agent, reterr);
    if (r < 0)
        return r;
    r = watch_signals(loop, &signals);
    if (r < 0)
        return error_set(reterr, r, "watch signals: %s", uv_strerror(r));
    (void)uv_run(loop, UV_RUN_DEFAULT);
    signals.agent = agent_free(signals.agent);
    return 0;
}

static int run(const AgentOptions *options, Error *reterr)
{
    uv_loop_t loop;
    int r = uv_loop_init(&loop);
    if (r < 0)
        return error_set(reterr, r, "start the loop: %s", uv_strerror(r));
    r = run_on(&loop, options, reterr);
    (void)uv_loop_close(&loop);
    return r;
}

int main(int argc, char **argv)
{
    const char *fleet = "fleet.yaml", *dir = "run", *region = NULL;
    bool help = false;
    const Option options[] = {
        {"fleet", "FILE", "description of the deployment (default fleet.yaml)", &fleet, NULL},
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"region", "REGION", "name of the own region", &region, NULL},
        {"help", NULL, "this text", NULL, &help},
    };
    Error err CLEANUP(error_done) = ERROR_INIT;
    int operands;
    int r = options_parse(options, ARRAY_SIZE(options), argc, argv, &operands, &err);
    if (r == 0 && help) {
        printf("usage: wildcam-agent --fleet FILE --dir DIR --region REGION\n");
        options_help(options, ARRAY_SIZE(options));
        return 0;
    }
    if (r == 0 && (!region || operands))
        r = error_set(&err, ERROR_USAGE, "wildcam-agent takes --region REGION and no operands");
    LayoutPath folder;
    if (r == 0)
        r = layout_absolute(dir, &folder, &err);
    if (r == 0) {
        signal(SIGPIPE, SIG_IGN);             // a peer that goes away is an ordinary error
        signal(SIGXFSZ, SIG_IGN);             // so is a file that may not grow
        setenv("UV_THREADPOOL_SIZE", "2", 0); // plan files and certificates only
        log_open("agent", region, LOG_LEVEL_INFO);
        AgentOptions agent = {.fleet = fleet, .dir = folder.text, .region = region};
        r = run(&agent, &err);
    }
    if (r < 0)
        fprintf(stderr, "wildcam-agent: %s\n", error_text(&err));
    return error_exit_code(r);
}
