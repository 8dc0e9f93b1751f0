// SPDX-License-Identifier: MIT
// doctor_files: the state folder: is there room, is it safe, will it go on working?
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "clock.h"
#include "doctor.h"
#include "files.h"
#include "pki.h"
#include "tell.h"

#define BYTES_WARN (UINT64_C(2) << 30) // six databases and their logs of a day
#define BYTES_BAD (UINT64_C(256) << 20)
#define INODES_WARN 20000 // six databases have 6,000 files
#define INODES_BAD 1000

void doctor_fleet_file(Doctor *doctor)
{
    if (doctor->file[0] == '\0') {
        doctor_say(doctor, DOCTOR_WARN, "wildcam doctor --fleet FILE",
                   "no fleet in '%s' and no ./fleet.yaml: nothing to compare with",
                   doctor->context.dir.text);
        return;
    }
    ConfProblems problems = {0};
    Conf *conf = NULL;
    Error err CLEANUP(error_done) = ERROR_INIT;
    char fix[LAYOUT_PATH_MAX + 32];
    (void)snprintf(fix, sizeof fix, "wildcam config check %s", doctor->file);
    if (conf_load(doctor->file, &conf, &problems, &err) < 0) {
        doctor_say(doctor, DOCTOR_BAD, fix, "%s",
                   problems.n > 0 ? problems.items[0].text : error_text(&err));
    } else {
        for (size_t i = 0; i < problems.n; i++)
            doctor_say(doctor, DOCTOR_WARN, fix, "%s", problems.items[i].text);
        if (problems.n == 0)
            doctor_say(doctor, DOCTOR_OK, NULL, "generation %u, %u regions", conf->model.generation,
                       conf->model.n_regions);
    }
    conf_problems_done(&problems);
    (void)conf_free(conf);
}

void doctor_disk(Doctor *doctor)
{
    LayoutPath path = doctor->context.dir;
    struct statvfs disk;
    char fix[LAYOUT_PATH_MAX + 32];
    for (char *slash; !files_exist(path.text); *slash = '\0') { // where DIR will be made
        slash = strrchr(path.text, '/');
        if (slash == path.text)
            *++slash = '\0';
    }
    (void)snprintf(fix, sizeof fix, "df -h %.500s && df -i %.500s", path.text, path.text);
    if (statvfs(path.text, &disk) < 0) {
        doctor_say(doctor, DOCTOR_BAD, fix, "%s: %s", path.text, strerror(errno));
        return;
    }
    uint64_t bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    DoctorLevel level = bytes < BYTES_BAD    ? DOCTOR_BAD
                        : bytes < BYTES_WARN ? DOCTOR_WARN
                                             : DOCTOR_OK;
    doctor_say(doctor, level, fix, "%llu MiB free at %s%s", (unsigned long long)(bytes >> 20),
               path.text, level != DOCTOR_OK ? "; PostgreSQL ends when its disk is full" : "");
    if (disk.f_files == 0)
        return; // this file system counts none
    uint64_t inodes = disk.f_favail;
    if (inodes < INODES_WARN)
        doctor_say(doctor, inodes < INODES_BAD ? DOCTOR_BAD : DOCTOR_WARN, fix,
                   "%llu more files can be made at %s", (unsigned long long)inodes, path.text);
}

// --- Secrets ---

typedef struct Secrets {
    size_t seen, open;
} Secrets;

static void look_at_secret(Doctor *doctor, const char *path, Secrets *secrets)
{
    struct stat st;
    char fix[LAYOUT_PATH_MAX + 32];
    if (stat(path, &st) < 0) {
        if (errno == EACCES)
            secrets->seen++; // who may not look cannot read it either
        return;
    }
    secrets->seen++;
    if ((st.st_mode & 077) == 0)
        return;
    secrets->open++;
    (void)snprintf(fix, sizeof fix, "chmod go-rwx %s", path);
    doctor_say(doctor, DOCTOR_BAD, fix, "%s has mode %o: others can read it", path,
               (unsigned)st.st_mode & 0777);
}

void doctor_secrets(Doctor *doctor)
{
    static const char *const KEYS[] = {"edge.key", "peer.key", "pg.key"};
    const char *dir = doctor->context.dir.text;
    const Model *model = &doctor->context.conf->model;
    Secrets secrets = {0};
    look_at_secret(doctor, layout_dir(dir, "pki/ca.key").text, &secrets);
    look_at_secret(doctor, layout_dir(dir, "pki/operator.key").text, &secrets);
    for (uint32_t i = 0; i < model->n_regions; i++) {
        for (size_t k = 0; k < ARRAY_SIZE(KEYS); k++)
            look_at_secret(doctor, layout_pki(dir, model->regions[i].name, KEYS[k]).text, &secrets);
        look_at_secret(doctor, layout_region(dir, model->regions[i].name, "pg.pass").text,
                       &secrets);
    }
    if (secrets.open == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "%zu keys and passwords, none readable for others",
                   secrets.seen);
}

// --- Certificates ---

typedef struct Certificates {
    size_t seen, wrong;
    int64_t least_ns;
} Certificates;

static void look_at_certificate(Doctor *doctor, const char *path, const char *fix,
                                Certificates *certificates)
{
    PkiExpiry expiry;
    char text[TELL_DURATION_MAX];
    const ConfCertificates *rules = &doctor->context.conf->certificates;
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (pki_expiry(path, &expiry, &err) < 0) {
        certificates->wrong++;
        doctor_say(doctor, DOCTOR_BAD, fix, "%s", error_text(&err));
        return;
    }
    int64_t left_ns = expiry.not_after.ns - clock_wall().ns;
    certificates->seen++;
    if (certificates->least_ns == 0 || left_ns < certificates->least_ns)
        certificates->least_ns = left_ns;
    // Agents renew at renew_before: half of that left means that they did not.
    if (left_ns >= rules->renew_before_ns / 2)
        return;
    certificates->wrong++;
    (void)tell_duration((left_ns < 0 ? -left_ns : left_ns) / NS_PER_MS, text);
    doctor_say(doctor, left_ns <= 0 ? DOCTOR_BAD : DOCTOR_WARN, fix,
               left_ns <= 0 ? "%s has expired %s ago" : "%s expires in %s and was not renewed",
               path, text);
}

void doctor_certificates(Doctor *doctor)
{
    static const char *const NAMES[] = {"edge.pem", "peer.pem", "pg.pem"};
    const char *dir = doctor->context.dir.text;
    const Model *model = &doctor->context.conf->model;
    Certificates all = {0};
    char text[TELL_DURATION_MAX], fix[256];
    look_at_certificate(doctor, layout_dir(dir, "pki/ca.pem").text, NULL, &all);
    look_at_certificate(doctor, layout_dir(dir, "pki/operator.pem").text, NULL, &all);
    for (uint32_t i = 0; i < model->n_regions; i++) {
        const char *region = model->regions[i].name;
        (void)snprintf(fix, sizeof fix, "wildcam region restart %s agent", region);
        for (size_t k = 0; k < ARRAY_SIZE(NAMES); k++)
            look_at_certificate(doctor, layout_pki(dir, region, NAMES[k]).text,
                                doctor->supervisor != NULL ? fix : "wildcam up", &all);
    }
    if (all.wrong == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "%zu certificates, the first one ends in %s", all.seen,
                   tell_duration(all.least_ns / NS_PER_MS, text));
}
