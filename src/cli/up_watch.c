// SPDX-License-Identifier: MIT
// up_watch: see up.h. Looks at the supervisor's socket until all programs run, then at the agents
// until they agree that every region is healthy. What fails is said once per program, with its last
// log line.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "clock.h"
#include "control.h"
#include "control_answer.h"
#include "files.h"
#include "fleet_view.h"
#include "tell.h"
#include "up.h"

#define LOOK_NS (25 * NS_PER_MS)

typedef struct Watch {
    const Fleet *fleet;
    Mono begun;
    bool *running, *healthy; // [n_regions]: said so already
    unsigned *complaints;    // [n_regions]: restarts that were told
    bool all_running;
} Watch;

static double seconds(const Watch *watch)
{
    int64_t ms = mono_since(clock_mono(), watch->begun) / NS_PER_MS;
    return (double)ms / 1000.0;
}

// The last line of a log, cut to what fits.
static void last_line(const char *path, char *line, size_t size)
{
    line[0] = '\0';
    FILE *file = fopen(path, "re");
    char text[1024];
    if (file != NULL && fseek(file, -(long)sizeof text, SEEK_END) < 0)
        rewind(file);
    while (file != NULL && fgets(text, sizeof text, file) != NULL)
        if (text[0] != '\n')
            (void)snprintf(line, size, "%.*s", (int)size - 1, text);
    if (file != NULL)
        (void)fclose(file);
    line[strcspn(line, "\n")] = '\0';
}

static void complain(Watch *watch, size_t index, const char *region, const json_t *program)
{
    unsigned restarts = (unsigned)json_integer_value(json_object_get(program, "restarts"));
    const char *detail = json_string_value(json_object_get(program, "detail"));
    const char *log = json_string_value(json_object_get(program, "log"));
    if (restarts == 0 || watch->complaints[index] > 0 || detail == NULL || detail[0] == '\0')
        return;
    char line[256];
    last_line(log != NULL ? log : "", line, sizeof line);
    (void)tell_plain(line);
    (void)fprintf(stderr, "%s%s: %s %s%s%s%s\n  log: %s\n", tell_begin(stderr, TELL_YELLOW), region,
                  json_string_value(json_object_get(program, "name")), detail,
                  line[0] != '\0' ? ": " : "", line, tell_end(stderr, TELL_YELLOW),
                  log != NULL ? log : "-");
    watch->complaints[index]++;
}

static void look_at_region(Watch *watch, size_t index, const json_t *region)
{
    const char *name = json_string_value(json_object_get(region, "region"));
    const char *state = json_string_value(json_object_get(region, "state"));
    size_t i;
    const json_t *program;
    json_array_foreach(json_object_get(region, "programs"), i, program)
        complain(watch, index, name, program);
    bool running = state != NULL && strcmp(state, "up") == 0;
    if (running && !watch->running[index])
        (void)printf("%6.2f s  %-12s all programs run\n", seconds(watch), name);
    watch->running[index] = running;
    watch->all_running = watch->all_running && running;
}

static int look_at_programs(Watch *watch, Error *reterr)
{
    char *answer CLEANUP(alloc_freep) = NULL;
    int r = control_ask(watch->fleet->context.dir.text, "status", 5 * NS_PER_S, &answer, reterr);
    json_t *root = NULL;
    if (r < 0 || (r = control_answer_read(answer, &root, reterr)) < 0)
        return r;
    size_t i;
    const json_t *region;
    watch->all_running = true;
    json_array_foreach(json_object_get(root, "regions"), i, region)
        look_at_region(watch, i, region);
    json_decref(root);
    (void)fflush(stdout);
    return 0;
}

// 1: all are healthy.
static int look_at_health(Watch *watch, Error *reterr)
{
    json_t *view = NULL;
    int r = fleet_view_get(&watch->fleet->context, NS_PER_S, &view, reterr);
    if (r < 0)
        return r;
    const Model *model = &watch->fleet->context.conf->model;
    r = 1;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        char why[160];
        bool healthy = fleet_view_healthy(view, i, why, sizeof why);
        if (healthy && !watch->healthy[i])
            (void)printf("%6.2f s  %-12s healthy\n", seconds(watch), model->regions[i].name);
        watch->healthy[i] = healthy;
        r = healthy ? r : 0;
    }
    json_decref(view);
    (void)fflush(stdout);
    return r;
}

static int say_what_is_missing(Watch *watch, Error *reterr)
{
    json_t *view = NULL;
    int r = fleet_view_get(&watch->fleet->context, NS_PER_S, &view, reterr);
    if (r < 0)
        return r;
    Buf text CLEANUP(buf_done) = BUF_INIT(0);
    const Model *model = &watch->fleet->context.conf->model;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        char why[160];
        if (!fleet_view_healthy(view, i, why, sizeof why))
            buf_printf(&text, "%s%s: %s", text.len > 0 ? "; " : "", model->regions[i].name, why);
    }
    json_decref(view);
    r = error_set(reterr, ERROR_TIMEOUT, "not healthy in time: %s", buf_text(&text));
    return error_hint(reterr, r, "The logs are in %s/REGION/log; 'wildcam down' ends what runs.",
                      watch->fleet->shown_dir.text);
}

static int supervisor_gone(const Watch *watch, Error *reterr)
{
    char line[256];
    LayoutPath log = layout_dir(watch->fleet->context.dir.text, "supervisor.log");
    last_line(log.text, line, sizeof line);
    int r = error_set(reterr, ERROR_UNAVAILABLE, "the supervisor has ended: %s", line);
    return error_hint(reterr, r, "Its log: %s/supervisor.log", watch->fleet->shown_dir.text);
}

static int watch_until(Watch *watch, Mono end, const volatile int *stop, Error *reterr)
{
    for (;;) {
        if (*stop != 0)
            return error_hint(reterr, error_set(reterr, ERROR_CONFLICT, "interrupted"),
                              "What was started goes on; 'wildcam down' ends it.");
        Error err = ERROR_INIT;
        int r = look_at_programs(watch, &err);
        if (r == 0 && watch->all_running)
            r = look_at_health(watch, &err);
        bool begins = r == ERROR_NOT_FOUND && mono_since(clock_mono(), watch->begun) < NS_PER_S;
        if (r == 1 || (r < 0 && !begins)) {
            if (r == ERROR_NOT_FOUND)
                r = supervisor_gone(watch, &err);
            if (r < 0 && reterr != NULL)
                *reterr = err;
            return r < 0 ? r : 0;
        }
        error_done(&err);
        if (clock_mono().ns > end.ns)
            return say_what_is_missing(watch, reterr);
        // The rate at which progress is looked at.
        (void)nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
}

int up_watch(const Fleet *fleet, int64_t timeout_ns, const volatile int *stop, Error *reterr)
{
    size_t n = fleet->context.conf->model.n_regions;
    bool *running CLEANUP(alloc_freep) = alloc_zeroed(n, sizeof *running);
    bool *healthy CLEANUP(alloc_freep) = alloc_zeroed(n, sizeof *healthy);
    unsigned *complaints CLEANUP(alloc_freep) = alloc_zeroed(n, sizeof *complaints);
    if (running == NULL || healthy == NULL || complaints == NULL)
        return error_set(reterr, ERROR_MEMORY, "watch");
    Watch watch = {.fleet = fleet,
                   .begun = clock_mono(),
                   .running = running,
                   .healthy = healthy,
                   .complaints = complaints};
    return watch_until(&watch, mono_add(watch.begun, timeout_ns), stop, reterr);
}

// `path` without the working folder in front.
static const char *below(const LayoutPath *here, const char *path)
{
    size_t len = strlen(here->text);
    return len > 1 && strncmp(path, here->text, len) == 0 && path[len] == '/' ? path + len + 1
                                                                              : path;
}

// How the user can call us from here.
static void own_command(const LayoutPath *here, LayoutPath *ret_command)
{
    LayoutPath self;
    ssize_t n = readlink("/proc/self/exe", self.text, sizeof self.text - 1);
    self.text[n > 0 ? n : 0] = '\0';
    bool installed = n <= 0 || strncmp(self.text, "/usr/", 5) == 0;
    (void)snprintf(ret_command->text, sizeof ret_command->text, "%s",
                   installed ? "wildcam" : below(here, self.text));
}

void up_greet(const Fleet *fleet)
{
    json_t *view = NULL;
    if (fleet_view_get(&fleet->context, NS_PER_S, &view, NULL) < 0)
        return;
    (void)printf("\n");
    fleet_view_print_regions(view, stdout); // alarms of the first second are about the start itself
    json_decref(view);
    const ModelRegion *first = &fleet->context.conf->model.regions[0];
    const char *dir = fleet->shown_dir.text;
    const char *cloud = fleet->context.conf->model.clouds[first->cloud].name;
    LayoutPath here = {{0}}, command;
    char option[LAYOUT_PATH_MAX + 16] = "";
    if (getcwd(here.text, sizeof here.text) == NULL)
        here.text[0] = '\0';
    own_command(&here, &command);
    dir = below(&here, dir);
    if (strcmp(dir, "run") != 0) // the default
        (void)snprintf(option, sizeof option, " --dir %s", dir);
    (void)printf("\nThree things to try (in another terminal):\n"
                 "  curl --cacert %s/pki/ca.pem https://%s:%u/api/detections\n"
                 "  %s why%s --client 127.100.33.1\n"
                 "  %s drill provider-down%s --provider %s\n",
                 dir, first->address, first->edge_port, command.text, option, command.text, option,
                 cloud);
    (void)fflush(stdout);
}
