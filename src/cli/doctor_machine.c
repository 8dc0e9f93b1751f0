// SPDX-License-Identifier: MIT
// doctor_machine: this machine: are the programs there and do they fit each other, may we do what
// `up` does, are the addresses free, is the clock right.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <unistd.h>

#include "buf.h"
#include "doctor.h"
#include "fault.h"
#include "files.h"
#include "pg_setup.h"
#include "ports.h"
#include "region.h"

#define NGINX "/usr/sbin/nginx"
#define FILES_SPARE 512 // beside connections: logs, plans, cache, sockets
#define PROCESSES_LEAST 2000

// An error's text without its hint; the hint is the fix.
static void say_error(Doctor *doctor, DoctorLevel level, const Error *err, const char *fix)
{
    char text[256], hint[256];
    const char *all = error_text(err), *at = strstr(all, "\nHINT: ");
    (void)snprintf(text, sizeof text, "%.*s", (int)(at != NULL ? at - all : (int)strlen(all)), all);
    (void)snprintf(hint, sizeof hint, "%s", at != NULL ? at + 7 : "");
    doctor_say(doctor, level, fix != NULL || hint[0] == '\0' ? fix : hint, "%s", text);
}

void doctor_programs(Doctor *doctor)
{
    static const char *const NAMES[] = {
        "wildcam-agent", "wildcam-backend", "wildcam-edge-conf", "wildcam-cameras",
        "wildcam-drill", "wildcam-rows",    "srcbind.so",        "ngx_http_wildcam_module.so"};
    size_t missing = 0;
    for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++) {
        LayoutPath path;
        Error err CLEANUP(error_done) = ERROR_INIT;
        if (layout_program(NAMES[i], &path, &err) == 0)
            continue;
        missing++;
        doctor_say(doctor, DOCTOR_BAD, NULL, "%s is not there: %s", NAMES[i], error_text(&err));
    }
    if (missing == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "all %zu of ours are there", ARRAY_SIZE(NAMES));
}

void doctor_nginx(Doctor *doctor)
{
    char text[512];
    const char *const argv[] = {NGINX, "-v", NULL};
    int r = doctor_run(argv, text, sizeof text);
    const char *version = strstr(text, "nginx/");
    if (r != 0 || version == NULL) {
        doctor_say(doctor, DOCTOR_BAD, NULL, "%s does not run: %s", NGINX,
                   r == 127 ? "it is not there" : text);
        return;
    }
    version += strlen("nginx/");
    doctor_say(doctor, DOCTOR_OK, NULL, "%.*s", (int)strcspn(version, " \n"), version);
}

// nginx itself says whether it takes the module: by version, by signature, by its libraries.
static void try_module(Doctor *doctor, const char *folder, const char *module)
{
    char conf[LAYOUT_PATH_MAX], log[LAYOUT_PATH_MAX], text[1024];
    Buf bytes CLEANUP(buf_done) = BUF_INIT(16384);
    (void)snprintf(conf, sizeof conf, "%s/nginx.conf", folder);
    (void)snprintf(log, sizeof log, "%s/log", folder);
    buf_printf(&bytes, "load_module \"%s\";\npid \"%s/pid\";\nevents {}\n", module, folder);
    if (buf_check(&bytes) < 0 || files_replace(conf, bytes.data, bytes.len, NULL, NULL) < 0) {
        doctor_say(doctor, DOCTOR_WARN, "df -h /tmp", "cannot try it: '%s' cannot be written",
                   conf);
        return;
    }
    const char *const argv[] = {NGINX, "-t", "-q", "-p", folder, "-e", log, "-c", conf, NULL};
    int r = doctor_run(argv, text, sizeof text);
    const char *why = strstr(text, "[emerg]");
    if (r == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "nginx takes our module");
    else
        doctor_say(doctor, DOCTOR_BAD, NULL, "nginx refuses our module: %.*s",
                   (int)strcspn(why != NULL ? why : text, "\n"), why != NULL ? why : text);
}

void doctor_module(Doctor *doctor)
{
    LayoutPath module;
    char folder[] = "/tmp/wildcam-doctor-XXXXXX";
    if (layout_program("ngx_http_wildcam_module.so", &module, NULL) < 0 || !files_exist(NGINX))
        return; // said above
    if (mkdtemp(folder) == NULL) {
        doctor_say(doctor, DOCTOR_WARN, "df -h /tmp", "cannot try it: %s", strerror(errno));
        return;
    }
    try_module(doctor, folder, module.text);
    if (files_remove_tree(folder, NULL) < 0)
        doctor_say(doctor, DOCTOR_WARN, "rm -r /tmp/wildcam-doctor-*", "'%s' stays", folder);
}

void doctor_postgresql(Doctor *doctor)
{
    char text[512];
    const char *const argv[] = {PG_SERVER, "-V", NULL};
    int r = doctor_run(argv, text, sizeof text);
    const char *version = strstr(text, "(PostgreSQL) ");
    text[strcspn(text, "\n")] = '\0';
    if (r != 0 || version == NULL)
        doctor_say(doctor, DOCTOR_BAD, NULL, "%s does not run: %s", PG_SERVER,
                   r == 127 ? "it is not there" : text);
    else if (strncmp(version + strlen("(PostgreSQL) "), "15.", 3) != 0)
        doctor_say(doctor, DOCTOR_BAD, NULL, "%s, and 15 is needed", text);
    else if (!files_exist(PG_INITDB) || !files_exist(PG_BIN "/psql"))
        doctor_say(doctor, DOCTOR_BAD, NULL, "initdb or psql is missing in " PG_BIN);
    else
        doctor_say(doctor, DOCTOR_OK, NULL, "%s", version + strlen("(PostgreSQL) "));
}

void doctor_drill_tools(Doctor *doctor)
{
    static const char MARK[] = "On Debian: ";
    char last[256] = "";
    size_t missing = 0;
    for (int kind = 0; kind < FAULT_MAX; kind++) {
        Error err CLEANUP(error_done) = ERROR_INIT;
        if (fault_possible((FaultKind)kind, &err) == 0)
            continue;
        const char *hint = strstr(error_text(&err), MARK);
        missing++;
        if (strcmp(last, hint != NULL ? hint : "root") == 0)
            continue; // the same cure as the one before
        (void)snprintf(last, sizeof last, "%s", hint != NULL ? hint : "root");
        say_error(doctor, DOCTOR_WARN, &err, hint != NULL ? hint + strlen(MARK) : NULL);
    }
    if (missing == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "all %d kinds of faults can be made", FAULT_MAX);
}

void doctor_user(Doctor *doctor)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    Identity identity;
    if (identity_choose(&identity, &err) < 0)
        say_error(doctor, DOCTOR_BAD, &err, NULL);
    else
        doctor_say(doctor, DOCTOR_OK, NULL, "programs run as '%s'", identity.name);
}

void doctor_namespaces(Doctor *doctor)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (!doctor->identified)
        return; // said above
    identity_lower(&doctor->identity);
    int r = region_check(&doctor->identity, &err);
    identity_raise(&doctor->identity);
    if (r < 0)
        doctor_say(doctor, DOCTOR_BAD, NULL, "no region can be made: %.*s",
                   (int)strcspn(error_text(&err), "\n"), error_text(&err));
    else
        doctor_say(doctor, DOCTOR_OK, NULL, "regions can be made");
}

void doctor_limits(Doctor *doctor)
{
    struct rlimit files, processes;
    uint64_t want = (doctor->context.conf != NULL ? doctor->context.conf->edge.connections : 16384);
    want += FILES_SPARE;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || getrlimit(RLIMIT_NPROC, &processes) < 0)
        return;
    if (files.rlim_max != RLIM_INFINITY && files.rlim_max < want)
        doctor_say(doctor, DOCTOR_WARN, NULL,
                   "%llu open files are allowed, an edge with edge.connections needs %llu",
                   (unsigned long long)files.rlim_max, (unsigned long long)want);
    else
        doctor_say(doctor, DOCTOR_OK, NULL, "open files");
    if (processes.rlim_max != RLIM_INFINITY && processes.rlim_max < PROCESSES_LEAST)
        doctor_say(doctor, DOCTOR_WARN, "ulimit -Hu 10000   # as root",
                   "%llu processes are allowed; six regions are about 150",
                   (unsigned long long)processes.rlim_max);
}

void doctor_clock(Doctor *doctor)
{
    struct timex kernel = {0};
    int state = adjtimex(&kernel);
    bool systemd = files_exist("/usr/bin/timedatectl");
    if (state < 0 || state == TIME_ERROR || (kernel.status & STA_UNSYNC) != 0)
        doctor_say(
            doctor, DOCTOR_WARN, systemd ? "timedatectl set-ntp true" : NULL,
            "the kernel says that nobody keeps this clock right; regions on several machines "
            "need that (clock.max_skew)");
    else
        doctor_say(doctor, DOCTOR_OK, NULL, "synchronised, at most %ld ms off",
                   (long)kernel.maxerror / 1000);
}

void doctor_ports(Doctor *doctor)
{
    const Conf *conf = doctor->context.conf;
    size_t taken = 0, all = 0;
    if (doctor->supervisor != NULL) {
        doctor_say(doctor, DOCTOR_OK, NULL, "taken by the fleet itself");
        return;
    }
    for (uint32_t i = 0; i < conf->model.n_regions; i++) {
        const ModelRegion *region = &conf->model.regions[i];
        const ConfRegionLocal *local = &conf->regions[i];
        const uint16_t ports[] = {region->edge_port, region->peer_port, local->http_port,
                                  strcmp(local->database, "local") == 0 ? local->database_port : 0};
        for (size_t k = 0; k < ARRAY_SIZE(ports); k++) {
            Error err CLEANUP(error_done) = ERROR_INIT;
            all += ports[k] != 0;
            if (ports[k] == 0 || port_check(region->address, ports[k], &err) == 0)
                continue;
            taken++;
            doctor_say(doctor, DOCTOR_BAD, NULL, "%s: %.*s", region->name,
                       (int)strcspn(error_text(&err), "\n"), error_text(&err));
        }
    }
    if (taken == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "all %zu addresses are free", all);
}
