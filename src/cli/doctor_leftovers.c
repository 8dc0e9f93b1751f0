// SPDX-License-Identifier: MIT
// doctor_leftovers: what somebody who was killed left behind: drills and their faults, a push.
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "doctor.h"
#include "fault_find.h"
#include "files.h"
#include "push.h"

static size_t look_for_sockets(Doctor *doctor, const char *region)
{
    LayoutPath folder;
    size_t found = 0;
    if (layout_sockets(doctor->context.dir.text, region, &folder, NULL) < 0)
        return 0;
    DIR *dir = opendir(folder.text);
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        size_t len = strlen(entry->d_name);
        if (len < 5 || strcmp(entry->d_name + len - 5, ".real") != 0)
            continue;
        char fix[256];
        (void)snprintf(fix, sizeof fix, "wildcam region restart %s %.*s", region,
                       (int)strcspn(entry->d_name, "."), entry->d_name);
        doctor_say(doctor, DOCTOR_WARN, fix,
                   "%s: %s/%s: a relay of a drill stands before this replica, or stood there",
                   region, folder.text, entry->d_name);
        found++;
    }
    if (dir != NULL)
        (void)closedir(dir);
    return found;
}

static size_t look_for_disks(Doctor *doctor, const char *region)
{
    static const char *const NAMES[] = {"pg.moving", "pg.small", "pg.kept", "pg.healed", "pg.back"};
    for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++) {
        LayoutPath path = doctor_path(doctor, region, NAMES[i]);
        if (!files_exist(path.text))
            continue;
        doctor_say(doctor, DOCTOR_BAD,
                   "wildcam drill list   # the next drill or fault on this fleet puts it back",
                   "%s: the database of %s is on a drill's small disk, or was when it was killed",
                   path.text, region);
        return 1;
    }
    return 0;
}

// Another fleet of this machine has tables of its own.
static bool is_about_us(const Doctor *doctor, const char *nft, const char *family, const char *name)
{
    static char rules[65536];
    const Model *model = &doctor->context.conf->model;
    const char *const argv[] = {nft, "list", "table", family, name, NULL};
    if (doctor_run(argv, rules, sizeof rules) != 0)
        return false; // gone meanwhile
    for (uint32_t i = 0; i < model->n_regions; i++)
        if (strstr(rules, model->regions[i].address) != NULL)
            return true;
    return false;
}

// "table inet wildcam_fault_1234_1": a keeper's, which heals when it ends.
static size_t look_for_tables(Doctor *doctor)
{
    LayoutPath nft;
    char text[16384];
    size_t found = 0;
    if (geteuid() != 0 || fault_find_nft(&nft) < 0)
        return 0;
    const char *const argv[] = {nft.text, "list", "tables", NULL};
    if (doctor_run(argv, text, sizeof text) != 0)
        return 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *name = strstr(line, "wildcam_");
        char fix[256], family[16] = "inet";
        if (name == NULL || sscanf(line, "table %15s", family) != 1 ||
            !is_about_us(doctor, nft.text, family, name))
            continue;
        (void)snprintf(fix, sizeof fix, "nft delete table %s %s", family, name);
        doctor_say(doctor, DOCTOR_WARN, fix,
                   "packets are dropped by the table '%s': a fault is held, or its keeper hangs",
                   name);
        found++;
    }
    return found;
}

void doctor_leftovers(Doctor *doctor)
{
    const Model *model = &doctor->context.conf->model;
    size_t found = look_for_tables(doctor);
    for (uint32_t i = 0; i < model->n_regions; i++) {
        found += look_for_sockets(doctor, model->regions[i].name);
        found += look_for_disks(doctor, model->regions[i].name);
    }
    if (found == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "no drill left anything behind%s",
                   geteuid() != 0 ? " (packet filters: root can look)" : "");
}

void doctor_push(Doctor *doctor)
{
    PushFile accepted CLEANUP(push_file_done) = {0}, found CLEANUP(push_file_done) = {0};
    LayoutPath path = layout_dir(doctor->context.dir.text, "fleet.yaml");
    bool staged[BOUND_REGIONS];
    size_t n = 0;
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (push_file_load(path.text, &accepted, &err) < 0)
        return; // said above
    Context context = doctor->context;
    int r = push_find_staged(&context, &accepted, staged, &found, &err);
    for (uint32_t i = 0; i < context.conf->model.n_regions; i++)
        n += staged[i];
    if (n > 0)
        doctor_say(doctor, r < 0 ? DOCTOR_BAD : DOCTOR_WARN, NULL,
                   "%zu regions have another fleet.yaml than the accepted one%s%s: a push was left "
                   "half-way, or is on its way",
                   n, r < 0 ? ": " : "", r < 0 ? error_text(&err) : "");
    else
        doctor_say(doctor, DOCTOR_OK, NULL, "every region has the accepted fleet.yaml");
}
