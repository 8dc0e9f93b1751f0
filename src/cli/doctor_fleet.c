// SPDX-License-Identifier: MIT
// doctor_fleet: the running fleet, as its supervisor, its agents and its databases say.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "doctor.h"
#include "fleet_view.h"
#include "parse.h"
#include "pg_setup.h"

#define PLAN_AGE_MS 2000
#define CLOCK_WARN_MS 100
#define BEGINS_MS 10000 // at first nobody answers yet

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static const json_t *view_list(const Doctor *doctor, const char *key)
{
    return json_object_get(doctor->view, key);
}

static bool answers(const json_t *region)
{
    return strcmp(text_of(region, "state"), "unreachable") != 0;
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

// --- Programs ---

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

// --- What the agents say ---

void doctor_agents(Doctor *doctor)
{
    size_t i, silent = 0;
    const json_t *region;
    json_array_foreach(view_list(doctor, "regions"), i, region)
    {
        char fix[256];
        const char *name = text_of(region, "region");
        (void)snprintf(fix, sizeof fix, "wildcam region restart %s agent", name);
        if (!answers(region)) {
            doctor_say(doctor, DOCTOR_BAD, fix, "the agent of %s does not answer: %s", name,
                       agents_message(&doctor->agents[i]));
            silent++;
        } else if (json_is_true(json_object_get(region, "alone")) ||
                   json_is_true(json_object_get(region, "sick"))) {
            bool begins = number_of(region, "uptime_ms") < BEGINS_MS;
            doctor_say(doctor, begins ? DOCTOR_WARN : DOCTOR_BAD, "wildcam status",
                       "%s hears %lld observers and is %s: its network or machine", name,
                       number_of(region, "fresh_observers"),
                       json_is_true(json_object_get(region, "sick")) ? "sick" : "alone");
            silent++;
        }
    }
    if (silent == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "all %zu answer and hear each other", i);
}

void doctor_gateways(Doctor *doctor)
{
    size_t i, wrong = 0;
    const json_t *gateway;
    json_array_foreach(view_list(doctor, "gateways"), i, gateway)
    {
        const char *verdict = text_of(gateway, "verdict"), *name = text_of(gateway, "region");
        bool wished = strcmp(verdict, "drained") == 0 || strcmp(verdict, "never") == 0;
        char fix[256];
        if (strcmp(verdict, "up") == 0)
            continue;
        wrong++;
        (void)snprintf(fix, sizeof fix, "wildcam traffic %s", wished ? "list" : "reset fleet");
        doctor_say(doctor, wished ? DOCTOR_WARN : DOCTOR_BAD, fix, "%s is judged '%s': %s", name,
                   verdict,
                   json_string_value(json_array_get(json_object_get(gateway, "reasons"), 0)) != NULL
                       ? json_string_value(json_array_get(json_object_get(gateway, "reasons"), 0))
                       : "");
    }
    if (wrong == 0)
        doctor_say(doctor, i > 0 ? DOCTOR_OK : DOCTOR_BAD, NULL,
                   i > 0 ? "all %zu are judged up" : "nobody judges them (%zu)", i);
}

void doctor_plans(Doctor *doctor)
{
    size_t i, wrong = 0;
    const json_t *region;
    json_array_foreach(view_list(doctor, "regions"), i, region)
    {
        const json_t *edge = json_object_get(region, "edge");
        const char *name = text_of(region, "region"), *plan = text_of(region, "plan"),
                   *oldest = text_of(edge, "oldest_plan");
        char fix[256];
        if (!answers(region))
            continue;
        if (number_of(region, "plan_age_ms") > PLAN_AGE_MS) {
            wrong++;
            doctor_say(doctor, DOCTOR_BAD, NULL, "%s: the plan on disk is %lld ms old", name,
                       number_of(region, "plan_age_ms"));
        }
        (void)snprintf(fix, sizeof fix, "wildcam region restart %s nginx", name);
        if (number_of(edge, "workers") == 0) {
            wrong++;
            doctor_say(doctor, DOCTOR_BAD, fix, "%s: no worker of its nginx writes counters", name);
        } else if (strcmp(oldest, plan) < 0 && number_of(region, "plan_age_ms") > PLAN_AGE_MS) {
            wrong++;
            doctor_say(doctor, DOCTOR_BAD, fix, "%s: a worker obeys plan %s, and %s is there", name,
                       oldest, plan);
        }
    }
    if (wrong == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "every edge obeys a plan of now");
}

void doctor_replicas(Doctor *doctor)
{
    size_t i, wrong = 0;
    const json_t *region;
    json_array_foreach(view_list(doctor, "regions"), i, region)
    {
        const json_t *replicas = json_object_get(region, "replicas");
        size_t classes = json_array_size(json_object_get(region, "classes"));
        char fix[256];
        const char *name = text_of(region, "region");
        (void)snprintf(fix, sizeof fix, "tail -n 20 %.180s/backend-1.log",
                       doctor_path(doctor, name, "log").text);
        if (!answers(region) ||
            (number_of(replicas, "up") >= number_of(replicas, "want") && classes == 2))
            continue;
        wrong++;
        doctor_say(doctor, DOCTOR_BAD, fix, "%s: %lld of %lld backends up, %zu of 2 classes", name,
                   number_of(replicas, "up"), number_of(replicas, "want"), classes);
    }
    if (wrong == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "every region has all of its backends");
}

void doctor_clocks(Doctor *doctor)
{
    size_t i, wrong = 0;
    const json_t *region;
    long long most = doctor->context.conf->model.clock_max_skew_ns / NS_PER_MS;
    json_array_foreach(view_list(doctor, "regions"), i, region)
    {
        long long offset = number_of(region, "clock_offset_ms"),
                  off = offset < 0 ? -offset : offset;
        if (off <= CLOCK_WARN_MS && off <= most)
            continue;
        wrong++;
        doctor_say(doctor, off > most ? DOCTOR_BAD : DOCTOR_WARN, NULL,
                   "%s: its clock is %lld ms off its peers'%s", text_of(region, "region"), off,
                   off > most ? ": it refuses to write" : "");
    }
    if (wrong == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "no region is more than %d ms off", CLOCK_WARN_MS);
}

// wildcam_peer_refused_total{...,reason="certificate"} 3
static unsigned long long count_refused(const char *metrics, char *reason, size_t size)
{
    unsigned long long sum = 0;
    static const char NAME[] = "\nwildcam_peer_refused_total{", REASON[] = "reason=\"";
    for (const char *at = strstr(metrics, NAME); at != NULL; at = strstr(at + 1, NAME)) {
        const char *why = strstr(at, REASON), *end = strstr(at, "} ");
        uint64_t value;
        if (end == NULL || parse_u64(end + 2, strcspn(end + 2, "\n"), UINT64_MAX, &value) < 0 ||
            value == 0)
            continue;
        sum += value;
        why = why != NULL && why < end ? why + strlen(REASON) : "?";
        (void)snprintf(reason, size, "%.*s", (int)strcspn(why, "\""), why);
    }
    return sum;
}

void doctor_peers(Doctor *doctor)
{
    const Model *model = &doctor->context.conf->model;
    size_t wrong = 0;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        char *text CLEANUP(alloc_freep) = NULL;
        char reason[32] = "", fix[256];
        if (doctor->agents[i].status != 200 ||
            agents_get_text(&doctor->context, i, "/metrics", NS_PER_S, &text, NULL) < 0)
            continue;
        unsigned long long refused = count_refused(text, reason, sizeof reason);
        if (refused == 0)
            continue;
        wrong++;
        (void)snprintf(fix, sizeof fix, "tail %.200s",
                       doctor_path(doctor, model->regions[i].name, "log/refused.log").text);
        doctor_say(doctor, DOCTOR_WARN, fix, "%s has refused %llu peers since its start (%s)",
                   model->regions[i].name, refused, reason);
    }
    if (wrong == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "nobody was refused");
}

void doctor_alarms(Doctor *doctor)
{
    size_t i;
    const json_t *alarm;
    json_array_foreach(view_list(doctor, "alarms"), i, alarm)
        doctor_say(doctor, DOCTOR_WARN, "wildcam status   # docs/cli.md, Alarms", "%s: %s: %s",
                   text_of(alarm, "region"), text_of(alarm, "title"), text_of(alarm, "text"));
    if (i == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "none");
}

// --- Databases ---

static const struct {
    const char *name, *want, *why;
} SETTINGS[] = {
    {"fsync", "on", "an acknowledged write could be lost with the machine"},
    {"full_page_writes", "on", "a crash could tear pages"},
    {"synchronous_commit", "on", "an acknowledged write could be lost with the process"},
    {"ssl", "on", "passwords and rows would travel in the clear"},
    {"password_encryption", "scram-sha-256", "md5 passwords can be guessed"},
};

// psql -At prints "name|setting" lines.
static size_t look_at_settings(Doctor *doctor, const char *region, const char *text)
{
    size_t wrong = 0;
    for (size_t i = 0; i < ARRAY_SIZE(SETTINGS); i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "%s|", SETTINGS[i].name);
        const char *at = strstr(text, line);
        at = at != NULL ? at + strlen(line) : "";
        size_t len = strcspn(at, "\n");
        if (len == strlen(SETTINGS[i].want) && strncmp(at, SETTINGS[i].want, len) == 0)
            continue;
        wrong++;
        char fix[256];
        (void)snprintf(fix, sizeof fix,
                       "wildcam psql %s -- -c \"ALTER SYSTEM SET %s = '%s'\" -c 'SELECT "
                       "pg_reload_conf()'",
                       region, SETTINGS[i].name, SETTINGS[i].want);
        doctor_say(doctor, DOCTOR_BAD, fix, "%s: %s is '%.*s', not '%s': %s", region,
                   SETTINGS[i].name, (int)len, at, SETTINGS[i].want, SETTINGS[i].why);
    }
    return wrong;
}

static size_t look_at_database(Doctor *doctor, uint32_t index)
{
    const char *region = doctor->context.conf->model.regions[index].name;
    LayoutPath folder;
    char port[8], text[2048];
    if (layout_sockets(doctor->context.dir.text, region, &folder, NULL) < 0)
        return 0;
    (void)snprintf(port, sizeof port, "%u", doctor->context.conf->regions[index].database_port);
    static const char QUERY[] =
        "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', "
        "'synchronous_commit', 'ssl', 'password_encryption')";
    const char *const argv[] = {PG_BIN "/psql", "-XAt", "-h",        folder.text, "-p",  port, "-U",
                                PG_OWNER,       "-d",   PG_DATABASE, "-c",        QUERY, NULL};
    int r = doctor_run(argv, text, sizeof text);
    if (r == 0)
        return look_at_settings(doctor, region, text);
    char fix[256];
    (void)snprintf(fix, sizeof fix, "tail -n 20 %.200s",
                   doctor_path(doctor, region, "log/postgres.log").text);
    text[strcspn(text, "\n")] = '\0';
    doctor_say(doctor, DOCTOR_BAD, fix, "%s: its database does not answer: %.120s", region,
               text[0] != '\0' ? text : "no answer in time");
    return 1;
}

void doctor_databases(Doctor *doctor)
{
    const Conf *conf = doctor->context.conf;
    size_t wrong = 0, all = 0;
    for (uint32_t i = 0; i < conf->model.n_regions; i++) {
        if (strcmp(conf->regions[i].database, "local") != 0)
            continue;
        all++;
        wrong += look_at_database(doctor, i);
    }
    if (wrong == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "%zu answer, durable and over TLS", all);
}
