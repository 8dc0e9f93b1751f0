// SPDX-License-Identifier: MIT
// fault_verb: see fault_verb.h. What holds the fault is the keeper: this process may be killed.
#include "fault_verb.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clock.h"
#include "fault_text.h"
#include "files.h"
#include "layout.h"
#include "options.h"
#include "parse.h"

#define LINE_MAX_BYTES 128

typedef struct Given {
    const char *dir, *last;
    FaultWords words;
    bool commands, json, help;
} Given;

typedef struct Holding {
    FaultKeeper *keeper;
    FaultKind kind;
    uint32_t id;
    int signals;
    bool commands; // lines on stdin
    Mono until;
    char line[LINE_MAX_BYTES];
    size_t len;
} Holding;

static int say(const char *text, Error *reterr)
{
    if (puts(text) < 0 || fflush(stdout) != 0)
        return error_set(reterr, ERROR_UNAVAILABLE, "stdout");
    return 0;
}

// --- lines on stdin: "begin", "end", "value V" ---
static int obey(Holding *holding, const char *line, Error *reterr)
{
    int64_t value = 0;
    int r;
    if (strcmp(line, "begin") == 0) {
        r = fault_begin(holding->keeper, holding->id, reterr);
        return r < 0 ? r : say("in force", reterr);
    }
    if (strcmp(line, "end") == 0) {
        r = fault_end(holding->keeper, holding->id, reterr);
        return r < 0 ? r : say("ended", reterr);
    }
    if (strncmp(line, "value ", 6) == 0) {
        r = fault_value_parse(holding->kind, line + 6, &value, reterr);
        if (r == 0)
            r = fault_change(holding->keeper, holding->id, value, reterr);
        return r < 0 ? r : say("changed", reterr);
    }
    return error_set(reterr, ERROR_USAGE, "'%s' on stdin: allowed: begin, end, value V", line);
}

// 1: end of stdin.
static int read_lines(Holding *holding, Error *reterr)
{
    ssize_t n =
        read(STDIN_FILENO, holding->line + holding->len, sizeof holding->line - holding->len);
    if (n <= 0)
        return n < 0 && errno == EINTR ? 0 : 1;
    holding->len += (size_t)n;
    for (char *end; (end = memchr(holding->line, '\n', holding->len)) != NULL;) {
        *end = '\0';
        int r = obey(holding, holding->line, reterr);
        if (r < 0)
            return r;
        holding->len -= (size_t)(end + 1 - holding->line);
        memmove(holding->line, end + 1, holding->len);
    }
    return holding->len < sizeof holding->line
               ? 0
               : error_set(reterr, ERROR_LIMIT, "a line on stdin is too long");
}

static int wait_end(Holding *holding, Error *reterr)
{
    int r = 0;
    while (r == 0) {
        int64_t left_ns = mono_since(holding->until, clock_mono());
        struct pollfd fds[] = {
            {.fd = holding->signals, .events = POLLIN},
            {.fd = holding->commands ? STDIN_FILENO : -1, .events = POLLIN},
            {.fd = fault_keeper_fd(holding->keeper), .events = POLLIN},
        };
        if (left_ns <= 0)
            return 0;
        int64_t most_ms = left_ns / NS_PER_MS + 1;
        if (poll(fds, ARRAY_SIZE(fds), most_ms > 60000 ? 60000 : (int)most_ms) < 0 &&
            errno != EINTR)
            return error_errno(reterr, errno, "poll");
        if (fds[0].revents != 0)
            return 0;
        if (fds[2].revents != 0)
            return error_set(reterr, ERROR_UNAVAILABLE, "the keeper of the fault was killed");
        if (fds[1].revents != 0)
            r = read_lines(holding, reterr);
    }
    return r < 0 ? r : 0;
}

static int hold(Holding *holding, const Fault *fault, int64_t most_ns, Error *reterr)
{
    int r = fault_prepare(holding->keeper, fault, &holding->id, reterr);
    if (r < 0 || (r = fault_begin(holding->keeper, holding->id, reterr)) < 0)
        return r;
    holding->until = most_ns > 0 ? mono_add(clock_mono(), most_ns) : MONO_NEVER;
    if ((r = say("in force", reterr)) < 0)
        return r;
    r = wait_end(holding, reterr);
    Error healing CLEANUP(error_done) = ERROR_INIT;
    int healed = fault_undo(holding->keeper, holding->id, r < 0 ? &healing : reterr);
    if (r == 0 && healed == 0)
        return say("healed", reterr);
    return r < 0 ? r : healed;
}

static int open_signals(int *ret_fd, Error *reterr)
{
    sigset_t mask;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGINT);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigaddset(&mask, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &mask, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    *ret_fd = signalfd(-1, &mask, SFD_CLOEXEC);
    return *ret_fd >= 0 ? 0 : error_errno(reterr, errno, "signalfd");
}

static int run(const char *name, const Given *given, FaultAsk *ask, Error *reterr)
{
    FaultKind kind;
    int64_t most_ns = 0;
    LayoutPath dir;
    int r = fault_kind_parse(name, &kind, reterr);
    if (r == 0 && given->last != NULL &&
        (parse_duration(given->last, strlen(given->last), &most_ns) < 0 || most_ns <= 0))
        r = error_set(reterr, ERROR_USAGE, "'--for %s' is not like '5s'", given->last);
    if (r < 0 || (r = layout_absolute(given->dir, &dir, reterr)) < 0)
        return r;
    LayoutPath fleet = layout_dir(dir.text, "fleet.yaml");
    if (!files_exist(fleet.text)) {
        r = error_set(reterr, ERROR_NOT_FOUND, "no fleet in '%s'", dir.text);
        return error_hint(reterr, r, "start one with 'wildcam up --dir %s'", given->dir);
    }
    Conf *conf CLEANUP(conf_freep) = NULL;
    Fault fault;
    if ((r = conf_load(fleet.text, &conf, NULL, reterr)) < 0 ||
        (r = fault_parse(kind, &given->words, &conf->model, &fault, reterr)) < 0 ||
        (r = fault_possible(kind, reterr)) < 0)
        return r;
    const FaultOptions options = {.dir = dir.text, .conf = conf, .ask = ask};
    Holding holding = {.kind = kind, .commands = given->commands, .signals = -1};
    if ((r = open_signals(&holding.signals, reterr)) < 0)
        return r;
    r = fault_keeper_new(&options, &holding.keeper, reterr);
    if (r == 0)
        r = hold(&holding, &fault, most_ns, reterr);
    if (fault_keeper_free(holding.keeper) < 0 && r == 0)
        r = error_set(reterr, ERROR_UNAVAILABLE, "not everything is healed: see above");
    files_close(holding.signals);
    return r;
}

static int list(bool json, Error *reterr)
{
    Buf text CLEANUP(buf_done) = BUF_INIT(0);
    if (json)
        fault_list_json(&text);
    else
        fault_list_text(&text);
    int r = buf_check(&text);
    if (r < 0 || fputs(buf_text(&text), stdout) < 0 || fflush(stdout) != 0)
        return error_set(reterr, ERROR_UNAVAILABLE, "stdout");
    return 0;
}

int fault_main(int argc, char **argv, FaultAsk *ask, Error *reterr)
{
    Given given = {.dir = "run"};
    FaultWords *words = &given.words;
    const Option options[] = {
        {"dir", "DIR", "state folder of the fleet (default ./run)", &given.dir, NULL},
        {"region", "R[,R...]", "regions to break", &words->region, NULL},
        {"cloud", "C[,C...]", "clouds to break: all their regions", &words->cloud, NULL},
        {"from", "X[,X...]", "cut, loss: one side, regions or clouds", &words->from, NULL},
        {"to", "X[,X...]", "cut, loss: the other side (default: the rest)", &words->to, NULL},
        {"one-way", NULL, "cut: --from opens no connection to --to", NULL, &words->one_way},
        {"port", "PORT", "cut, loss: of this port only", &words->port, NULL},
        {"program", "PROGRAM", "one program, as 'wildcam status' names it", &words->program, NULL},
        {"value", "V", "a time like 500ms, or a share like 20%", &words->value, NULL},
        {"for", "T", "heal after this time (default: at Ctrl-C)", &given.last, NULL},
        {"commands", NULL, "heal at the end of stdin; obey its lines", NULL, &given.commands},
        {"json", NULL, "list: as JSON", NULL, &given.json},
        {"help", NULL, "this text", NULL, &given.help},
    };
    int operands = 0;
    int r = options_parse(options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r == 0 && given.help) {
        (void)puts(
            "usage: wildcam fault NAME [OPTIONS]\n"
            "       wildcam fault list [--json]\n\n"
            "Breaks one thing of a running local fleet for real, prints 'in force', and\n"
            "heals it at Ctrl-C, after --for, or when this program dies, however it does.\n");
        options_help(options, ARRAY_SIZE(options));
        return 0;
    }
    if (r == 0 && operands != 1) {
        r = error_set(reterr, ERROR_USAGE, operands == 0 ? "which fault?" : "one fault at a time");
        r = error_hint(reterr, r, "'wildcam fault list' lists them");
    }
    if (r < 0)
        return r;
    return strcmp(argv[1], "list") == 0 ? list(given.json, reterr)
                                        : run(argv[1], &given, ask, reterr);
}
