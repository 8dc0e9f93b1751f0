// SPDX-License-Identifier: MIT
// doctor: see doctor.h. The table of checks, what they need to know, and the report.
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "cli.h"
#include "control.h"
#include "files.h"
#include "fleet_view.h"
#include "tell.h"

const DoctorCheck DOCTOR_CHECKS[] = {
    {"programs", DOCTOR_NEEDS_NOTHING, doctor_programs, "make"},
    {"nginx", DOCTOR_NEEDS_NOTHING, doctor_nginx, "apt-get install -y nginx"},
    {"nginx-module", DOCTOR_NEEDS_NOTHING, doctor_module,
     "rm -r build && make   # built for another nginx"},
    {"postgresql", DOCTOR_NEEDS_NOTHING, doctor_postgresql, "apt-get install -y postgresql-15"},
    {"drill-tools", DOCTOR_NEEDS_NOTHING, doctor_drill_tools,
     "apt-get install -y nftables faketime"},
    {"user", DOCTOR_NEEDS_NOTHING, doctor_user,
     "useradd --system --no-create-home --shell /usr/sbin/nologin wildcam"},
    {"namespaces", DOCTOR_NEEDS_NOTHING, doctor_namespaces,
     "sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000"},
    {"limits", DOCTOR_NEEDS_NOTHING, doctor_limits,
     "ulimit -Hn 65536   # as root; for good: /etc/security/limits.conf"},
    {"clock", DOCTOR_NEEDS_NOTHING, doctor_clock, "apt-get install -y chrony"},
    {"fleet.yaml", DOCTOR_NEEDS_NOTHING, doctor_fleet_file, "wildcam config check FILE"},
    {"ports", DOCTOR_NEEDS_CONF, doctor_ports, "ss -ltnp   # who it is; end it, or change gateway"},
    {"disk", DOCTOR_NEEDS_NOTHING, doctor_disk, "df -h . && df -i ."},
    {"secrets", DOCTOR_NEEDS_DIR, doctor_secrets, "chmod go-rwx FILE"},
    {"certificates", DOCTOR_NEEDS_DIR, doctor_certificates, "wildcam down && wildcam up"},
    {"leftovers", DOCTOR_NEEDS_DIR, doctor_leftovers, "wildcam down && wildcam up"},
    {"push", DOCTOR_NEEDS_DIR, doctor_push, "wildcam config push --back"},
    {"fleet", DOCTOR_NEEDS_DIR, doctor_running, "wildcam up"},
    {"region-programs", DOCTOR_NEEDS_RUNNING, doctor_region_programs,
     "wildcam region restart REGION PROGRAM"},
    {"stopped", DOCTOR_NEEDS_RUNNING, doctor_stopped, "wildcam region resume REGION"},
    {"agents", DOCTOR_NEEDS_RUNNING, doctor_agents, "wildcam region restart REGION agent"},
    {"gateways", DOCTOR_NEEDS_RUNNING, doctor_gateways, "wildcam status"},
    {"plans", DOCTOR_NEEDS_RUNNING, doctor_plans, "df -h .   # and the agent's log"},
    {"replicas", DOCTOR_NEEDS_RUNNING, doctor_replicas, "wildcam region restart REGION backend-1"},
    {"clocks", DOCTOR_NEEDS_RUNNING, doctor_clocks, "chronyc tracking"},
    {"peers", DOCTOR_NEEDS_RUNNING, doctor_peers, "tail DIR/REGION/log/refused.log"},
    {"alarms", DOCTOR_NEEDS_RUNNING, doctor_alarms, "wildcam status"},
    {"databases", DOCTOR_NEEDS_RUNNING, doctor_databases,
     "wildcam psql REGION -- -c 'SELECT pg_reload_conf()'"},
    {"rows", DOCTOR_NEEDS_RUNNING, doctor_rows, "wildcam rows status"},
    {"rows-databases", DOCTOR_NEEDS_RUNNING, doctor_rows_databases, "wildcam rows init"},
};
const size_t DOCTOR_CHECKS_COUNT = ARRAY_SIZE(DOCTOR_CHECKS);

// A fix for another fleet than the one in ./run has to say so.
static void add_dir(Buf *fix, const char *dir)
{
    static const char PLAIN[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+:@%=-";
    bool plain = dir[0] != '\0' && dir[strspn(dir, PLAIN)] == '\0';
    buf_printf(fix, " --dir %s", plain ? "" : "'");
    for (; *dir != '\0'; dir++)
        if (*dir == '\'')
            buf_printf(fix, "'\\''");
        else
            buf_add(fix, dir, 1);
    buf_printf(fix, "%s", plain ? "" : "'");
}

static void put_fix(const Doctor *doctor, const char *text, char *fix, size_t size)
{
    static const char OURS[] = "wildcam ", CHECK[] = "config check "; // which looks at a file
    Buf all CLEANUP(buf_done) = BUF_INIT(65536);
    const char *rest = text, *at;
    while (doctor->dir != NULL && (at = strstr(rest, OURS)) != NULL) {
        size_t len = (size_t)(at - rest) + strlen(OURS);
        bool command = at == text || (at - text >= 3 && strncmp(at - 3, "&& ", 3) == 0);
        command = command && strncmp(rest + len, CHECK, strlen(CHECK)) != 0;
        if (command && strncmp(rest + len, "rows ", 5) == 0) // whose verbs are two words
            len += strlen("rows ");
        if (command)
            len += strcspn(rest + len, " ");
        buf_add(&all, rest, len);
        if (command)
            add_dir(&all, doctor->dir);
        rest += len;
    }
    buf_printf(&all, "%s", rest);
    (void)snprintf(fix, size, "%s", buf_check(&all) < 0 ? text : buf_text(&all));
    (void)tell_plain(fix);
}

void doctor_say(Doctor *doctor, DoctorLevel level, const char *fix, const char *fmt, ...)
{
    if (alloc_grow((void **)&doctor->items, &doctor->capacity, doctor->n + 1,
                   sizeof *doctor->items) < 0)
        return;
    DoctorFinding *finding = &doctor->items[doctor->n++];
    *finding = (DoctorFinding){.level = level, .check = doctor->check->name};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(finding->text, sizeof finding->text, fmt, args);
    va_end(args);
    (void)tell_plain(finding->text);
    if (level != DOCTOR_OK)
        put_fix(doctor, fix != NULL ? fix : doctor->check->fix, finding->fix, sizeof finding->fix);
}

LayoutPath doctor_path(const Doctor *doctor, const char *region, const char *name)
{
    return layout_region(doctor->context.dir.text, region, name);
}

// --- What the checks need to know ---

static void find_conf(Doctor *doctor, const char *given)
{
    static char deployed[LAYOUT_PATH_MAX];
    LayoutPath file = layout_dir(doctor->context.dir.text, "fleet.yaml");
    doctor->deployed = files_exist(file.text);
    (void)snprintf(deployed, sizeof deployed, "%s", file.text);
    doctor->file = given != NULL ? given : doctor->deployed ? deployed : "fleet.yaml";
    if (!files_exist(doctor->file)) {
        doctor->file = "";
        return;
    }
    if (conf_load(doctor->file, &doctor->context.conf, NULL, NULL) < 0)
        doctor->context.conf = NULL;
}

static void find_fleet(Doctor *doctor)
{
    if (!doctor->deployed)
        return;
    if (context_tell(doctor->context.dir.text, "status", 3 * NS_PER_S, &doctor->supervisor, NULL) <
        0)
        doctor->supervisor = NULL;
    if (doctor->supervisor == NULL || doctor->context.conf == NULL)
        return;
    doctor->agents = alloc_zeroed(doctor->context.conf->model.n_regions, sizeof *doctor->agents);
    if (doctor->agents == NULL ||
        agents_ask(&doctor->context, -1,
                   &(AgentRequest){.path = "/v1/status", .timeout_ns = NS_PER_S}, doctor->agents,
                   NULL) < 0)
        return;
    doctor->view = fleet_view_merge(doctor->context.conf, doctor->agents);
}

static bool can_look(const Doctor *doctor, DoctorNeeds needs)
{
    switch (needs) {
    case DOCTOR_NEEDS_CONF:
        return doctor->context.conf != NULL;
    case DOCTOR_NEEDS_DIR:
        return doctor->deployed && doctor->context.conf != NULL;
    case DOCTOR_NEEDS_RUNNING:
        return doctor->view != NULL;
    case DOCTOR_NEEDS_NOTHING:
        break;
    }
    return true;
}

// --- The report ---

static const char *const LEVELS[DOCTOR_LEVEL_MAX] = {"ok", "warn", "bad"};

static size_t count(const Doctor *doctor, DoctorLevel level)
{
    size_t n = 0;
    for (size_t i = 0; i < doctor->n; i++)
        n += doctor->items[i].level == level;
    return n;
}

static void print(const Doctor *doctor)
{
    static const TellColour COLOURS[DOCTOR_LEVEL_MAX] = {TELL_GREEN, TELL_YELLOW, TELL_RED};
    for (size_t i = 0; i < doctor->n; i++) {
        const DoctorFinding *finding = &doctor->items[i];
        TellColour colour = COLOURS[finding->level];
        (void)printf("%s%-4s%s  %-15s  %s\n", tell_begin(stdout, colour), LEVELS[finding->level],
                     tell_end(stdout, colour), finding->check, finding->text);
        if (finding->fix[0] != '\0')
            (void)printf("      %-15s  fix: %s\n", "", finding->fix);
    }
    size_t bad = count(doctor, DOCTOR_BAD), warn = count(doctor, DOCTOR_WARN);
    (void)printf("\n%zu bad, %zu to look at, %zu fine\n", bad, warn, count(doctor, DOCTOR_OK));
}

static int print_json(const Doctor *doctor, Error *reterr)
{
    json_t *list = json_array();
    for (size_t i = 0; i < doctor->n; i++) {
        const DoctorFinding *finding = &doctor->items[i];
        (void)json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s}", "check", finding->check,
                                                    "level", LEVELS[finding->level], "text",
                                                    finding->text, "fix", finding->fix));
    }
    json_t *root =
        json_pack("{s:s,s:b,s:I,s:I,s:I,s:o}", "dir", doctor->context.dir.text, "running",
                  (int)(doctor->supervisor != NULL), "bad", (json_int_t)count(doctor, DOCTOR_BAD),
                  "warn", (json_int_t)count(doctor, DOCTOR_WARN), "ok",
                  (json_int_t)count(doctor, DOCTOR_OK), "findings", list);
    int r = root != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "doctor");
    if (r == 0)
        (void)(json_dumpf(root, stdout, JSON_INDENT(2)) == 0 && printf("\n") > 0);
    json_decref(root);
    return r;
}

int verb_doctor(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL, *file = NULL;
    bool json = false;
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"fleet", "FILE", "default: the one in DIR, else ./fleet.yaml", &file, NULL},
        {"json", NULL, "for programs", NULL, &json},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 0, 0, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    Doctor doctor = {.dir = dir};
    r = layout_absolute(dir != NULL ? dir : "run", &doctor.context.dir, reterr);
    if (r < 0)
        return r;
    doctor.identified = identity_choose(&doctor.identity, NULL) == 0;
    find_conf(&doctor, file);
    find_fleet(&doctor);
    for (size_t i = 0; i < DOCTOR_CHECKS_COUNT; i++) {
        doctor.check = &DOCTOR_CHECKS[i];
        if (can_look(&doctor, doctor.check->needs))
            doctor.check->look(&doctor);
    }
    if (json)
        r = print_json(&doctor, reterr);
    else
        print(&doctor);
    if (r == 0 && count(&doctor, DOCTOR_BAD) > 0)
        r = 3;
    if (doctor.agents != NULL)
        agents_done(doctor.agents, doctor.context.conf->model.n_regions);
    free(doctor.agents);
    free(doctor.items);
    json_decref(doctor.view);
    json_decref(doctor.supervisor);
    context_done(&doctor.context);
    return r;
}
