// SPDX-License-Identifier: MIT
// drill_upgrade: replaces every program of every region by the one of another build, one at a time,
// and then back again. Until the end, programs of both builds run side by side and talk to each
// other.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "control_answer.h"
#include "drill_acts.h"
#include "drill_state.h"
#include "files.h"
#include "layout.h"
#include "owned.h"

#define COMMAND_NS (60 * NS_PER_S)
#define LOOK_NS (50 * NS_PER_MS)
#define NAMES 24

static int copy_file(const char *from, const char *dir, const char *to, Error *reterr)
{
    int in CLEANUP(fd_closep) = open(from, O_RDONLY | O_CLOEXEC), out CLEANUP(fd_closep) = -1;
    struct stat st;
    if (in < 0 || fstat(in, &st) < 0)
        return error_errno(reterr, errno, "copy '%s'", from);
    if ((out = owned_create(dir, to, 0755, reterr)) < 0)
        return out;
    for (off_t at = 0; at < st.st_size;) {
        ssize_t n = sendfile(out, in, &at, (size_t)(st.st_size - at));
        if (n <= 0)
            return error_errno(reterr, n < 0 ? errno : EIO, "copy '%s'", from);
    }
    return 0;
}

// Programs and modules, as they lie beside each other.
static bool belongs(const char *name)
{
    size_t len = strlen(name);
    return strcmp(name, "wildcam") == 0 ||
           (strncmp(name, "wildcam-", 8) == 0 && strchr(name, '.') == NULL) ||
           (len > 3 && strcmp(name + len - 3, ".so") == 0);
}

static int copy_build(Drill *drill, const char *name)
{
    LayoutPath agent;
    int r = layout_program("wildcam-agent", &agent, drill->reterr);
    if (r < 0)
        return r;
    *strrchr(agent.text, '/') = '\0';
    DIR *folder = opendir(agent.text);
    if (folder == NULL)
        return error_errno(drill->reterr, errno, "%s", agent.text);
    for (struct dirent *entry; r == 0 && (entry = readdir(folder)) != NULL;) {
        char from[LAYOUT_PATH_MAX + 300], to[LAYOUT_PATH_MAX + 300];
        struct stat st;
        (void)snprintf(from, sizeof from, "%s/%s", agent.text, entry->d_name);
        (void)snprintf(to, sizeof to, "%s/%s", name, entry->d_name);
        if (belongs(entry->d_name) && stat(from, &st) == 0 && S_ISREG(st.st_mode))
            r = copy_file(from, drill->options->dir, to, drill->reterr);
    }
    (void)closedir(folder);
    return r;
}

// Everything of the region that comes from a build and stays, in the order of the supervisor; nginx
// last, so that its new agent is there first. PostgreSQL is not ours, and steps have ended.
typedef struct Programs {
    uint32_t n;
    char names[NAMES][64];
} Programs;

static bool is_replaced(const char *name)
{
    return strcmp(name, "agent") == 0 || strcmp(name, "nginx") == 0 ||
           strncmp(name, "backend-", 8) == 0;
}

static int ask_status(Drill *drill, json_t **ret_status)
{
    char *answer CLEANUP(free_textp) = NULL;
    int r = drill->options->ask(drill->options->dir, "status", COMMAND_NS, &answer, drill->reterr);
    return r < 0 ? r : control_answer_read(answer, ret_status, drill->reterr);
}

static int list_programs(Drill *drill, const char *region, Programs *programs)
{
    json_t *status = NULL, *program;
    size_t i;
    int r = ask_status(drill, &status);
    programs->n = 0;
    json_array_foreach(json_object_get(control_status_region(status, region), "programs"), i,
                       program)
    {
        const char *name = json_string_value(json_object_get(program, "name"));
        if (r < 0 || name == NULL || !is_replaced(name))
            continue;
        if (programs->n == NAMES || strlen(name) >= sizeof programs->names[0])
            r = error_set(drill->reterr, ERROR_LIMIT, "more than %d programs in %s", NAMES, region);
        else
            (void)snprintf(programs->names[programs->n++], sizeof programs->names[0], "%s", name);
    }
    json_decref(status);
    return r < 0 || programs->n > 0 ? r
                                    : error_set(drill->reterr, ERROR_UNAVAILABLE,
                                                "the supervisor names no program of %s", region);
}

static int look_for_ready(Drill *drill, const char *region, const char *name, char ret_state[32])
{
    json_t *status = NULL;
    int r = ask_status(drill, &status);
    (void)snprintf(ret_state, 32, "%s",
                   control_status_state(control_status_program(status, region, name)));
    json_decref(status);
    return r;
}

// One that is not ready is waited for, not passed over: a drill that leaves it out replaced
// nothing.
static int wait_ready(Drill *drill, const char *region, const char *name)
{
    Mono end = mono_add(clock_mono(), drill->options->deadline_ns);
    for (;;) {
        char state[32];
        int r = look_for_ready(drill, region, name, state);
        if (r < 0 || strcmp(state, "ready") == 0)
            return r;
        if (clock_mono().ns > end.ns)
            return error_set(drill->reterr, ERROR_TIMEOUT,
                             "'%s' of region '%s' is '%s': not ready within %lld s", name, region,
                             state, (long long)(drill->options->deadline_ns / NS_PER_S));
        if ((r = drill_keep_going(drill, mono_add(clock_mono(), LOOK_NS))) < 0)
            return r;
    }
}

static int command(Drill *drill, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int command(Drill *drill, const char *fmt, ...)
{
    char text[LAYOUT_PATH_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return drill_ask_slowly(drill, text, COMMAND_NS);
}

static int replace_region(Drill *drill, const char *region, const char *folder, bool guarded)
{
    Programs programs = {0};
    int r = list_programs(drill, region, &programs);
    for (uint32_t i = programs.n; guarded && r == 0 && i > 0; i--)
        r = undo_add(drill->undo, drill->reterr, "ask upgrade %s %s", region,
                     programs.names[i - 1]);
    if (guarded && r == 0) // the newest line is the first to be done
        r = undo_add(drill->undo, drill->reterr, "ask programs %s", region);
    if (r == 0)
        r = command(drill, "programs %s%s%s", region, folder != NULL ? " " : "",
                    folder != NULL ? folder : "");
    for (uint32_t i = 0; r == 0 && i < programs.n; i++) {
        if ((r = wait_ready(drill, region, programs.names[i])) == 0)
            r = command(drill, "upgrade %s %s", region, programs.names[i]);
        drill->n_replaced += r == 0;
    }
    if (!guarded && r == 0)
        r = undo_forget(drill->undo, programs.n + 1, drill->reterr);
    drill->report->programs_replaced = drill->n_replaced;
    return r;
}

int act_prepare_upgrade(Drill *drill)
{
    if (drill->options->to != NULL) {
        LayoutPath to;
        int r = layout_absolute(drill->options->to, &to, drill->reterr);
        (void)snprintf(drill->folder, sizeof drill->folder, "%s", to.text);
        return r;
    }
    char name[64];
    (void)snprintf(name, sizeof name, "drills/build-%016" PRIx64, random_u64());
    LayoutPath path = layout_dir(drill->options->dir, name);
    (void)snprintf(drill->folder, sizeof drill->folder, "%s", path.text);
    int r = undo_add(drill->undo, drill->reterr, "remove %s", name);
    if (r == 0)
        r = owned_make_dir(drill->options->dir, name, drill->reterr);
    return r < 0 ? r : copy_build(drill, name);
}

int act_upgrade(Drill *drill)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < drill->model->n_regions; i++)
        r = replace_region(drill, drill->model->regions[i].name, drill->folder, true);
    return r;
}

// Newest first, as the guard would, so that what it has left is always the rest.
int act_upgrade_back(Drill *drill)
{
    int r = 0;
    for (uint32_t i = drill->model->n_regions; r == 0 && i > 0; i--)
        r = replace_region(drill, drill->model->regions[i - 1].name, NULL, false);
    return r;
}
