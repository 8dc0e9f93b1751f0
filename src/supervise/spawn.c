// SPDX-License-Identifier: MIT
// spawn: see spawn.h. The environment is made anew: what a user's shell exports must not change how
// the fleet behaves. Exceptions: the sanitizers' options and WILDCAM_*.
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"

#define ENVIRONMENT_MAX 64
#define LOG_ROTATE_BYTES (16 << 20) // at a program's start; the last file stays as NAME.log.1

extern char **environ;

static bool inherited(const char *entry)
{
    static const char *const PREFIXES[] = {
        "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=", "WILDCAM_", "TZ="};
    for (size_t i = 0; i < ARRAY_SIZE(PREFIXES); i++)
        if (strncmp(entry, PREFIXES[i], strlen(PREFIXES[i])) == 0)
            return true;
    return false;
}

static void make_environment(const char *const *added, const char **list)
{
    size_t n = 0;
    list[n++] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    list[n++] = "LANG=C.UTF-8";
    for (char **entry = environ; *entry != NULL && n < ENVIRONMENT_MAX / 2; entry++)
        if (inherited(*entry))
            list[n++] = *entry;
    for (size_t i = 0; added != NULL && added[i] != NULL && n < ENVIRONMENT_MAX - 1; i++)
        list[n++] = added[i];
    list[n] = NULL;
}

static void rotate(const char *log)
{
    struct stat st;
    char old[LAYOUT_PATH_MAX + 2];
    if (stat(log, &st) == 0 && st.st_size > LOG_ROTATE_BYTES) {
        (void)snprintf(old, sizeof old, "%s.1", log);
        (void)rename(log, old);
    }
}

static void redirect(const char *log)
{
    int in = open("/dev/null", O_RDONLY), out = -1;
    if (log != NULL) {
        rotate(log);
        out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0640);
    }
    if (in >= 0)
        (void)dup2(in, 0);
    if (out >= 0) {
        (void)dup2(out, 1);
        (void)dup2(out, 2);
    }
}

static void reset_signals(void)
{
    sigset_t none;
    (void)sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        (void)signal(s, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

NORETURN static void run(const Program *program)
{
    (void)setsid();
    reset_signals();
    redirect(program->log);
    (void)close_range(3, ~0U, 0);
    if (program->argv == NULL) {
        Error err = ERROR_INIT;
        int r = program->step(program->context, &err);
        if (r < 0)
            (void)fprintf(stderr, "%s: %s\n", program->name, error_text(&err));
        _exit(r < 0 ? 1 : 0);
    }
    const char *environment[ENVIRONMENT_MAX];
    make_environment(program->environment, environment);
    (void)execve(program->argv[0], (char *const *)program->argv, (char *const *)environment);
    (void)fprintf(stderr, "%s: %s: %s\n", program->name, program->argv[0], strerror(errno));
    _exit(127);
}

pid_t spawn_program(const RegionSpec *spec, const Program *program, Error *reterr)
{
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(reterr, errno, "%s: start %s", spec->name, program->name);
    if (pid == 0)
        run(program);
    return pid;
}

static int feed(int fd, const char *input)
{
    size_t len = input != NULL ? strlen(input) : 0;
    return len > 0 ? files_write_all(fd, input, len, NULL) : 0;
}

int spawn_wait(const char *const *argv, const char *input, Error *reterr)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_errno(reterr, errno, "pipe");
    pid_t pid = fork();
    if (pid == 0) {
        const char *environment[ENVIRONMENT_MAX];
        make_environment(NULL, environment);
        (void)dup2(pipe_fds[0], 0);
        (void)execve(argv[0], (char *const *)argv, (char *const *)environment);
        _exit(127);
    }
    (void)close(pipe_fds[0]);
    (void)signal(SIGPIPE, SIG_IGN); // a command that does not read its input
    int fed = pid > 0 ? feed(pipe_fds[1], input) : 0, status = 0;
    (void)fed; // the command's own result says it better
    (void)close(pipe_fds[1]);
    if (pid < 0)
        return error_errno(reterr, errno, "start %s", argv[0]);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_errno(reterr, errno, "wait for %s", argv[0]);
    if (status == 0)
        return 0;
    return error_set(reterr, ERROR_UNAVAILABLE, "%s ended with %s %d", argv[0],
                     WIFSIGNALED(status) ? "signal" : "code",
                     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}
