// SPDX-License-Identifier: MIT
// doctor_programs: the programs of the running fleet, as its supervisor and the kernel say.
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

void doctor_running(Doctor *doctor)
{
    if (doctor->supervisor == NULL)
        doctor_say(doctor, DOCTOR_OK, NULL, "does not run; its data is in '%s'",
                   doctor->context.dir.text);
    else
        doctor_say(doctor, DOCTOR_OK, NULL, "runs, supervisor %lld",
                   number_of(doctor->supervisor, "pid"));
}

static size_t look_at_program(Doctor *doctor, const char *region, const json_t *program)
{
    const char *name = text_of(program, "name"), *state = text_of(program, "state");
    char fix[256], line[160];
    if (strcmp(state, "ready") == 0 || strcmp(state, "done") == 0)
        return 0;
    LayoutPath log = doctor_path(doctor, region, "log");
    (void)snprintf(fix, sizeof fix, "tail -n 20 %.150s/%.40s.log", log.text, name);
    if (strcmp(state, "halted") == 0)
        (void)snprintf(fix, sizeof fix, "wildcam region unhalt %s %s", region, name);
    char path[LAYOUT_PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s.log", log.text, name);
    context_last_line(path, line, sizeof line);
    doctor_say(doctor, DOCTOR_BAD, fix, "%s: %s is '%s'%s%s%s%s", region, name, state,
               text_of(program, "detail")[0] != '\0' ? ", " : "", text_of(program, "detail"),
               line[0] != '\0' ? ": " : "", line);
    return 1;
}

void doctor_region_programs(Doctor *doctor)
{
    size_t i, k, wrong = 0, all = 0;
    const json_t *region, *program;
    json_array_foreach(json_object_get(doctor->supervisor, "regions"), i, region)
    {
        const char *name = text_of(region, "region"), *state = text_of(region, "state");
        char fix[256];
        (void)snprintf(fix, sizeof fix, "wildcam region %s %s",
                       strcmp(state, "hung") == 0 ? "resume" : "start", name);
        if (strcmp(state, "hung") == 0 || strcmp(state, "down") == 0) {
            doctor_say(doctor, DOCTOR_BAD, fix, "%s is '%s' on purpose", name, state);
            wrong++;
            continue;
        }
        json_array_foreach(json_object_get(region, "programs"), k, program)
        {
            all++;
            wrong += look_at_program(doctor, name, program);
        }
    }
    if (wrong == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "all %zu run", all);
}

// Pid, name and state of a process; false when it is gone.
static bool read_stat(const char *pid, char *name, size_t size, char *ret_state)
{
    char path[64], text[512];
    (void)snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *file = fopen(path, "re");
    size_t len = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file != NULL)
        (void)fclose(file);
    text[len] = '\0';
    const char *begin = strchr(text, '('), *end = strrchr(text, ')');
    if (begin == NULL || end == NULL || end[1] != ' ')
        return false;
    (void)snprintf(name, size, "%.*s", (int)(end - begin - 1), begin + 1);
    *ret_state = end[2];
    return true;
}

static bool link_of(const char *pid, char *text, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%.20s/ns/pid", pid);
    ssize_t n = readlink(path, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static size_t look_for_stopped(Doctor *doctor, const char *region, long long init)
{
    char pid[24], own[64];
    size_t stopped = 0;
    (void)snprintf(pid, sizeof pid, "%lld", init);
    if (init <= 0 || !link_of(pid, own, sizeof own))
        return 0;
    DIR *dir = opendir("/proc");
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char space[64], name[32], state, fix[64];
        if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name) ||
            !link_of(entry->d_name, space, sizeof space) || strcmp(space, own) != 0 ||
            !read_stat(entry->d_name, name, sizeof name, &state) || state != 'T')
            continue;
        (void)snprintf(fix, sizeof fix, "kill -CONT %.20s", entry->d_name);
        doctor_say(doctor, DOCTOR_BAD, fix, "%s: %s (pid %.20s) is stopped (SIGSTOP)", region, name,
                   entry->d_name);
        stopped++;
    }
    if (dir != NULL)
        (void)closedir(dir);
    return stopped;
}

void doctor_stopped(Doctor *doctor)
{
    size_t i, stopped = 0;
    const json_t *region;
    json_array_foreach(json_object_get(doctor->supervisor, "regions"), i, region)
    {
        if (strcmp(text_of(region, "state"), "hung") != 0)
            stopped +=
                look_for_stopped(doctor, text_of(region, "region"), number_of(region, "init_pid"));
    }
    if (stopped == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "no process is stopped");
}
