// SPDX-License-Identifier: MIT
// doctor_databases: do the databases answer, and are they set so that nothing acknowledged is lost?
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "pg_setup.h"

static const char PSQL[] = PG_BIN "/psql";
static const char QUERY[] =
    "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', "
    "'synchronous_commit', 'ssl', 'password_encryption')";

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
    const char *const argv[] = {PSQL,     "-XAt", "-h",        folder.text, "-p",  port, "-U",
                                PG_OWNER, "-d",   PG_DATABASE, "-c",        QUERY, NULL};
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
