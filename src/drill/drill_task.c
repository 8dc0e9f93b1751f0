// SPDX-License-Identifier: MIT
// drill_task: what takes its time, in a child of its own, so that plans are watched meanwhile and a
// signal is heard. The child dies with the drill.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "control_answer.h"
#include "drill_state.h"
#include "files.h"
#include "layout.h"

#define OUTPUT_MAX ((size_t)1 << 20)
#define ARGUMENTS 24

static pid_t start(DrillTask *body, const void *context, int *ret_out, Error *reterr)
{
    int out[2];
    if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_errno(reterr, errno, "pipe");
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        (void)fcntl(out[1], F_SETFL, 0);
        _exit(body(context, out[1]));
    }
    files_close(out[1]);
    if (pid < 0) {
        files_close(out[0]);
        return error_errno(reterr, errno, "fork");
    }
    *ret_out = out[0];
    return pid;
}

// false: the end.
static bool take(int out, Buf *output)
{
    char bytes[4096];
    for (;;) {
        ssize_t n = read(out, bytes, sizeof bytes);
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        if (output->len + (size_t)n <= OUTPUT_MAX)
            buf_add(output, bytes, (size_t)n);
    }
}

int drill_task(Drill *drill, DrillTask *body, const void *context, int64_t most_ns, int *ret_code,
               Buf *ret_output)
{
    int out CLEANUP(fd_closep) = -1, status = 0, r = 0;
    Mono end = mono_add(clock_mono(), most_ns);
    pid_t pid = start(body, context, &out, drill->reterr);
    if (pid < 0)
        return (int)pid;
    while (r == 0 && take(out, ret_output)) {
        if (clock_mono().ns > end.ns)
            r = error_set(drill->reterr, ERROR_TIMEOUT, "not done within %lld s",
                          (long long)(most_ns / NS_PER_S));
        else
            r = drill_keep_going(drill, mono_add(clock_mono(), NS_PER_MS));
    }
    if (r < 0)
        (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    *ret_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return r;
}

typedef struct Asked {
    const DrillOptions *options;
    const char *command;
    int64_t most_ns;
} Asked;

static int ask(const void *context, int out)
{
    const Asked *asked = context;
    char *answer CLEANUP(free_textp) = NULL;
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = asked->options->ask(asked->options->dir, asked->command, asked->most_ns, &answer, &err);
    if (r == 0)
        r = control_answer_read(answer, NULL, &err);
    const char *text = r < 0 ? error_text(&err) : "";
    return files_write_all(out, text, strlen(text), NULL) == 0 && r == 0 ? 0 : 1;
}

int drill_ask_slowly(Drill *drill, const char *command, int64_t most_ns)
{
    Asked asked = {drill->options, command, most_ns};
    Buf answer CLEANUP(buf_done) = BUF_INIT(0);
    int code = 0;
    int r = drill_task(drill, ask, &asked, most_ns + NS_PER_S, &code, &answer);
    if (r < 0)
        return error_wrap(drill->reterr, r, "supervisor, '%s'", command);
    if (code != 0)
        return error_set(drill->reterr, ERROR_UNAVAILABLE, "supervisor, '%s': %s", command,
                         buf_text(&answer));
    return 0;
}

static int become(const void *context, int out)
{
    const char *const *argv = context;
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)dup2(out, STDOUT_FILENO);
    (void)execv(argv[0], (char *const *)(uintptr_t)argv);
    return 127;
}

int drill_wildcam(Drill *drill, const char *const *arguments, int64_t most_ns, int *ret_code,
                  Buf *ret_output)
{
    LayoutPath program;
    int r = layout_program("wildcam", &program, drill->reterr);
    if (r < 0)
        return r;
    const char *argv[ARGUMENTS + 2] = {program.text};
    for (size_t n = 1; n <= ARGUMENTS && arguments[n - 1] != NULL; n++)
        argv[n] = arguments[n - 1];
    return drill_task(drill, become, argv, most_ns, ret_code, ret_output);
}
