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

#include "changes.h"
#include "files.h"

#define ENVIRONMENT_MAX 64
#define ARGUMENTS_MAX 24
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

// A later entry takes the place of an earlier one of the same name.
static void put(const char **list, size_t *n, const char *entry)
{
    size_t name = strcspn(entry, "=") + 1;
    for (size_t i = 0; i < *n; i++) {
        if (strncmp(list[i], entry, name) == 0) {
            list[i] = entry;
            return;
        }
    }
    if (*n < ENVIRONMENT_MAX - 1)
        list[(*n)++] = entry;
}

// `words` ("A=1 B=2", may be NULL) is cut up. The list ends with NULL.
static void make_environment(const char *const *added, char *words, const char **list)
{
    size_t n = 0;
    put(list, &n, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    put(list, &n, "LANG=C.UTF-8");
    for (char **entry = environ; *entry != NULL && n < ENVIRONMENT_MAX / 2; entry++)
        if (inherited(*entry))
            put(list, &n, *entry);
    for (size_t i = 0; added != NULL && added[i] != NULL; i++)
        put(list, &n, added[i]);
    for (const char *word; words != NULL && (word = strsep(&words, " ")) != NULL;)
        if (*word != '\0')
            put(list, &n, word);
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

// Moves the sockets to 3, 4, ..., closes what is behind them, and writes "NGINX=3;4;".
static void keep_sockets(const int *sockets, size_t n, char *text, size_t size)
{
    int moved[SPAWN_SOCKETS_MAX];
    size_t len = (size_t)snprintf(text, size, "NGINX=");
    for (size_t i = 0; i < n; i++) // out of the way of the places they shall have
        moved[i] = fcntl(sockets[i], F_DUPFD, 3 + SPAWN_SOCKETS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (moved[i] < 0 || dup2(moved[i], 3 + (int)i) < 0)
            _exit(126);
        len += (size_t)snprintf(text + len, size - len, "%d;", 3 + (int)i);
    }
    (void)close_range(3 + (unsigned)n, ~0U, 0);
}

// The arguments, with the folder that the operator named instead of the one of the start.
static const char *const *choose_argv(const Program *program, const char *folder, const char **argv)
{
    static char path[LAYOUT_PATH_MAX];
    size_t n = 0;
    if (folder == NULL || program->own == NULL)
        return program->argv;
    while (program->argv[n] != NULL && n < ARGUMENTS_MAX - 3) {
        argv[n] = program->argv[n];
        n++;
    }
    (void)snprintf(path, sizeof path, "%s/%s", folder, program->own);
    argv[0] = path;
    const char *module = program->module != NULL ? changes_module(folder, program->module) : NULL;
    if (module != NULL) {
        argv[n++] = "--module";
        argv[n++] = module;
    }
    argv[n] = NULL;
    return argv;
}

NORETURN static void run_step(const Program *program)
{
    Error err = ERROR_INIT;
    int r = program->step(program->context, &err);
    if (r < 0)
        (void)fprintf(stderr, "%s: %s\n", program->name, error_text(&err));
    _exit(r < 0 ? 1 : 0);
}

NORETURN static void run(const Program *program, const SpawnOptions *options)
{
    const char *environment[ENVIRONMENT_MAX], *space[ARGUMENTS_MAX];
    char sockets[16 + 4 * SPAWN_SOCKETS_MAX];
    (void)setsid();
    reset_signals();
    redirect(program->log);
    keep_sockets(options->sockets, options->n_sockets, sockets, sizeof sockets);
    if (program->argv == NULL)
        run_step(program);
    char *words = options->environment != NULL ? strdup(options->environment) : NULL;
    const char *const *argv = choose_argv(program, options->programs, space);
    make_environment(program->environment, words, environment);
    size_t n = 0;
    while (environment[n] != NULL)
        n++;
    if (options->n_sockets > 0)
        put(environment, &n, sockets);
    environment[n] = NULL;
    if (argv[0] == NULL)
        _exit(126);
    (void)execve(argv[0], (char *const *)argv, (char *const *)environment);
    (void)fprintf(stderr, "%s: %s: %s\n", program->name, argv[0], strerror(errno));
    _exit(127);
}

pid_t spawn_program(const RegionSpec *spec, const Program *program, const SpawnOptions *options,
                    Error *reterr)
{
    static const SpawnOptions NONE;
    ASSERT(options == NULL || options->n_sockets <= SPAWN_SOCKETS_MAX);
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(reterr, errno, "%s: start %s", spec->name, program->name);
    if (pid == 0)
        run(program, options != NULL ? options : &NONE);
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
        make_environment(NULL, NULL, environment);
        (void)dup2(pipe_fds[0], 0);
        if (argv[0] == NULL)
            _exit(126);
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
