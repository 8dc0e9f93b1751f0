// SPDX-License-Identifier: MIT
// up: starts the fleet. The front (what the user sees) checks everything, then forks the supervisor
// and watches it by its socket. In the foreground they die together: a Ctrl-C ends the fleet in
// order, a second one at once; if the front is killed, the supervisor sees the end of their pipe.
#include "up.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "alloc.h"
#include "cli.h"
#include "clock.h"
#include "control.h"
#include "control_answer.h"
#include "files.h"
#include "log.h"
#include "supervisor.h"
#include "tell.h"

#define WATCH_NS (60 * NS_PER_S)

static volatile int interrupts;

static void on_interrupt(int number)
{
    interrupts = interrupts + 1;
}

static void catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
}

static void redirect(const char *log)
{
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (in >= 0 && out >= 0) {
        (void)dup2(in, 0);
        (void)dup2(out, 1);
        (void)dup2(out, 2);
    }
    files_close(in);
    files_close(out);
}

NORETURN static void supervise(const Fleet *fleet, int front)
{
    (void)setsid();
    (void)prctl(PR_SET_NAME, "wc:supervisor");
    if (front >= 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    redirect(layout_dir(fleet->context.dir.text, "supervisor.log").text);
    log_open("supervisor", "", LOG_LEVEL_INFO);
    Error err = ERROR_INIT;
    const SupervisorOptions options = {.identity = &fleet->identity,
                                       .specs = (const RegionSpec *const *)fleet->specs,
                                       .n = fleet->context.conf->model.n_regions,
                                       .dir = fleet->context.dir.text,
                                       .lock = fleet->lock,
                                       .front = front};
    int r = supervisor_run(&options, &err);
    if (r < 0)
        log_error("supervisor failed", NULL, LOG_TEXT("error", error_text(&err)));
    _exit(r < 0 ? 1 : 0);
}

static pid_t start(const Fleet *fleet, bool detach, int *ret_pipe, Error *reterr)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_errno(reterr, errno, "pipe");
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(pipe_fds[1]);
        supervise(fleet, detach ? -1 : pipe_fds[0]);
    }
    (void)close(pipe_fds[0]);
    if (pid < 0) {
        (void)close(pipe_fds[1]);
        return error_errno(reterr, errno, "start the supervisor");
    }
    *ret_pipe = pipe_fds[1];
    return pid;
}

// Sends "down" for every interrupt (the second one: at once) until the supervisor has ended.
static int end(const Fleet *fleet, pid_t pid, Error *reterr)
{
    int told = 0, status = 0;
    Mono begun = clock_mono();
    for (;;) {
        if (told < interrupts) {
            char *answer = NULL;
            (void)printf("%s\n", told == 0 ? "\nstopping the fleet (again: at once)" : "at once");
            (void)fflush(stdout);
            if (control_ask(fleet->context.dir.text, told == 0 ? "down" : "down now", NS_PER_S,
                            &answer, NULL) < 0)
                (void)kill(pid, SIGTERM);
            free(answer);
            told++;
        }
        pid_t gone = waitpid(pid, &status, 0); // an interrupt ends the wait
        if (gone == pid)
            break;
        if (gone < 0 && errno != EINTR)
            return error_errno(reterr, errno, "wait for the supervisor");
    }
    char text[TELL_DURATION_MAX];
    if (status == 0) {
        (void)printf("the fleet has ended");
        if (told > 0)
            (void)printf(" (%s)", tell_duration(mono_since(clock_mono(), begun) / NS_PER_MS, text));
        (void)printf("\n");
        return 0;
    }
    int r = error_set(reterr, ERROR_UNAVAILABLE, "the supervisor ended with %s %d",
                      WIFSIGNALED(status) ? "signal" : "code",
                      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return error_hint(reterr, r, "Its log: %s/supervisor.log", fleet->shown_dir.text);
}

// What runs already, as a hint.
static int say_running(const char *dir, Error *reterr)
{
    LayoutPath path;
    char *answer CLEANUP(alloc_freep) = NULL;
    json_t *root = NULL;
    if (layout_absolute(dir != NULL ? dir : "run", &path, NULL) == 0 &&
        control_ask(path.text, "status", 5 * NS_PER_S, &answer, NULL) == 0 &&
        control_answer_read(answer, &root, NULL) == 0) {
        size_t i;
        const json_t *region;
        char up[TELL_DURATION_MAX];
        (void)printf("a fleet runs in '%s': supervisor %lld, for %s\n", path.text,
                     (long long)json_integer_value(json_object_get(root, "pid")),
                     tell_duration(json_integer_value(json_object_get(root, "uptime_ms")), up));
        json_array_foreach(json_object_get(root, "regions"), i, region)(void)
            printf("  %-12s %s\n", json_string_value(json_object_get(region, "region")),
                   json_string_value(json_object_get(region, "state")));
        json_decref(root);
    }
    return error_hint(reterr, ERROR_RUNNING,
                      "'wildcam status' shows it, 'wildcam down' ends it, --dir starts another.");
}

static int run(const Fleet *fleet, bool detach, Error *reterr)
{
    int pipe_fd = -1;
    catch_interrupts();
    pid_t pid = start(fleet, detach, &pipe_fd, reterr);
    if (pid < 0)
        return (int)pid;
    int r = up_watch(fleet, WATCH_NS, &interrupts, reterr);
    if (r == 0)
        up_greet(fleet);
    if (detach)
        return r;
    if (r < 0 && interrupts == 0) {
        tell_error("up", reterr); // it may still come up: the user decides
        error_done(reterr);
    } else if (r == 0) {
        (void)printf("\nCtrl-C ends the fleet.\n");
        (void)fflush(stdout);
    }
    error_done(reterr);
    r = end(fleet, pid, reterr);
    (void)close(pipe_fd);
    return r;
}

int verb_up(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *file = NULL, *dir = NULL;
    LayoutPath pushed;
    bool detach = false;
    const Option options[] = {
        {"fleet", "FILE", "the deployment (default ./fleet.yaml)", &file, NULL},
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"detach", NULL, "return when all regions are healthy", NULL, &detach},
    };
    int operands,
        r = cli_options(verb, options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r == 0)
        r = cli_operands(verb, operands, 0, 0, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    Fleet fleet;
    if (file == NULL)
        file = up_default_file(dir, &pushed);
    r = up_prepare(file, dir, &fleet, reterr);
    if (r == ERROR_RUNNING)
        return say_running(dir, reterr);
    if (r < 0)
        return r;
    r = run(&fleet, detach, reterr);
#ifdef __SANITIZE_ADDRESS__
    // Its leak check at exit looks at us by ptrace, which lowered ids forbid.
    identity_raise(&fleet.identity);
    (void)prctl(PR_SET_DUMPABLE, 1);
#endif
    fleet_done(&fleet);
    return r;
}
