// SPDX-License-Identifier: MIT
// up_prepare: see up.h.
#include "up.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "bounds.h"
#include "clock.h"
#include "files.h"
#include "pki.h"
#include "ports.h"
#include "region.h"
#include "region_spec.h"
#include "supervisor.h"
#include "tell.h"

#define OLD_FLEET_NS (2 * NS_PER_S)

// DIR itself is made by root when its parent is root's; all that is in it belongs to the run user.
static int make_dir(const Fleet *fleet, Error *reterr)
{
    const char *dir = fleet->shown_dir.text;
    bool fresh = !files_exist(dir);
    int r = files_make_dirs(dir, 0755, reterr);
    if (r < 0)
        return r;
    struct stat st;
    if (lstat(dir, &st) < 0)
        return error_errno(reterr, errno, "%s", dir);
    if (fresh && fleet->identity.root && chown(dir, fleet->identity.uid, fleet->identity.gid) < 0)
        return error_errno(reterr, errno, "%s", dir);
    if (fresh || st.st_uid == fleet->identity.uid)
        return 0;
    r = error_set(reterr, ERROR_FOREIGN, "state folder '%s' belongs to user %u, not to '%s'", dir,
                  (unsigned)st.st_uid, fleet->identity.name);
    return error_hint(reterr, r, "Choose another one by --dir, or: chown -R %s '%s'",
                      fleet->identity.name, dir);
}

static int own_folder(LayoutPath *ret_path, Error *reterr)
{
    ssize_t n = readlink("/proc/self/exe", ret_path->text, sizeof ret_path->text - 1);
    if (n < 0)
        return error_errno(reterr, errno, "/proc/self/exe");
    ret_path->text[n] = '\0';
    char *slash = strrchr(ret_path->text, '/');
    if (slash != NULL)
        *slash = '\0';
    return 0;
}

// Below /root (0700) nothing unprivileged gets in: then both folders are mounted where it does.
static int make_reachable(Fleet *fleet, Error *reterr)
{
    bool dir = identity_reaches(&fleet->identity, fleet->shown_dir.text, R_OK | W_OK | X_OK);
    bool programs = identity_reaches(&fleet->identity, fleet->programs.text, R_OK | X_OK);
    if (dir && programs)
        return 0;
    if (!fleet->identity.root)
        return error_errno(reterr, EACCES, "%s",
                           dir ? fleet->programs.text : fleet->shown_dir.text);
    const char *folders[] = {fleet->shown_dir.text, fleet->programs.text};
    LayoutPath paths[2];
    int r = identity_bind(folders, 2, paths, reterr);
    if (r < 0)
        return r;
    fleet->context.dir = paths[0];
    fleet->programs = paths[1];
    return 0;
}

const char *up_default_file(const char *dir, LayoutPath *ret_path)
{
    LayoutPath state;
    if (layout_absolute(dir != NULL ? dir : "run", &state, NULL) < 0 ||
        !files_exist(layout_dir(state.text, "fleet.pushed").text))
        return "fleet.yaml";
    *ret_path = layout_dir(state.text, "fleet.yaml");
    (void)printf("fleet.yaml: the one that was pushed, %s; --fleet FILE starts with another\n",
                 ret_path->text);
    return ret_path->text;
}

static int keep_files(const Fleet *fleet, const char *fleet_file, const char *bytes, size_t len,
                      Error *reterr)
{
    LayoutPath absolute;
    const char *dir = fleet->context.dir.text;
    int r = layout_absolute(fleet_file, &absolute, reterr);
    if (r == 0 && strcmp(absolute.text, layout_dir(fleet->shown_dir.text, "fleet.yaml").text) == 0)
        return 0; // it is there already, and where it came from too
    (void)unlink(layout_dir(dir, "fleet.pushed").text);
    if (r == 0)
        r = files_replace(layout_dir(dir, "fleet.path").text, absolute.text, strlen(absolute.text),
                          NULL, reterr);
    return r < 0 ? r : files_replace(layout_dir(dir, "fleet.yaml").text, bytes, len, NULL, reterr);
}

// Every region runs its own copy, so that `config push` can change one after the other. What a push
// that was left half-way has put there is over with this.
static int keep_copies(const Fleet *fleet, const char *bytes, size_t len, Error *reterr)
{
    const Model *model = &fleet->context.conf->model;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < model->n_regions; i++) {
        LayoutPath path =
            layout_region(fleet->context.dir.text, model->regions[i].name, "fleet.yaml");
        r = files_replace(path.text, bytes, len, &(FilesWrite){.no_sync = true}, reterr);
    }
    return r;
}

static int make_region(const Fleet *fleet, const char *region, Error *reterr)
{
    static const char *const FOLDERS[] = {"plan",     "counters",   "log",     "edge",
                                          "edge/tmp", "edge/cache", "records", "objects"};
    for (size_t i = 0; i < ARRAY_SIZE(FOLDERS); i++) {
        LayoutPath path = layout_region(fleet->context.dir.text, region, FOLDERS[i]);
        int r = files_make_dirs(path.text, 0750, reterr);
        if (r < 0)
            return r;
    }
    LayoutPath sockets;
    identity_raise(&fleet->identity);
    int r = layout_make_sockets(fleet->context.dir.text, region, fleet->identity.uid,
                                fleet->identity.gid, &sockets, reterr);
    identity_lower(&fleet->identity);
    if (r == 0) // the longest name that a program will use
        r = layout_socket(fleet->context.dir.text, region, ".s.PGSQL.65535", &sockets, reterr);
    return r;
}

// Beside us in a build folder (then it is where the programs see that folder), else installed.
static int find_preload(const Fleet *fleet, LayoutPath *ret_path, Error *reterr)
{
    *ret_path = layout_dir(fleet->programs.text, "srcbind.so");
    return files_exist(ret_path->text) ? 0 : layout_program("srcbind.so", ret_path, reterr);
}

static int make_specs(Fleet *fleet, Error *reterr)
{
    const Model *model = &fleet->context.conf->model;
    LayoutPath preload;
    int r = find_preload(fleet, &preload, reterr);
    if (r < 0)
        return r;
    const RegionSpecOptions options = {.dir = fleet->context.dir.text,
                                       .preload = preload.text,
                                       .programs = fleet->programs.text,
                                       .run_user = fleet->identity.name,
                                       .extra = getenv("WILDCAM_ENVIRONMENT")};
    fleet->arena = arena_new(64U << 20);
    if (fleet->arena == NULL)
        return error_set(reterr, ERROR_MEMORY, "programs");
    fleet->specs = arena_new_array(fleet->arena, RegionSpec *, model->n_regions);
    r = fleet->specs != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "programs");
    for (uint32_t i = 0; r == 0 && i < model->n_regions; i++) {
        r = make_region(fleet, model->regions[i].name, reterr);
        if (r == 0)
            r = region_spec_new(fleet->arena, fleet->context.conf, i, &options, &fleet->specs[i],
                                reterr);
    }
    return r;
}

// All that are taken are named, not only the first.
static int check_ports(const Fleet *fleet, Error *reterr)
{
    const Conf *conf = fleet->context.conf;
    size_t taken = 0;
    identity_raise(&fleet->identity); // other users' descriptors say which program it is
    for (uint32_t i = 0; i < conf->model.n_regions; i++) {
        const ModelRegion *region = &conf->model.regions[i];
        const ConfRegionLocal *local = &conf->regions[i];
        const uint16_t ports[] = {region->edge_port, region->peer_port, local->http_port,
                                  strcmp(local->database, "local") == 0 ? local->database_port : 0};
        for (size_t k = 0; k < ARRAY_SIZE(ports); k++) {
            Error err = ERROR_INIT;
            if (ports[k] != 0 && port_check(region->address, ports[k], &err) < 0) {
                (void)fprintf(stderr, "%s: %s\n", region->name, error_text(&err));
                taken++;
            }
            error_done(&err);
        }
    }
    identity_lower(&fleet->identity);
    if (taken == 0)
        return 0;
    int r = error_set(reterr, ERROR_UNAVAILABLE, "%zu address%s of the fleet %s taken", taken,
                      taken == 1 ? "" : "es", taken == 1 ? "is" : "are");
    return error_hint(reterr, r,
                      "End those programs, or give the regions other ports or addresses "
                      "in fleet.yaml.");
}

static int ensure(const Fleet *fleet, PkiRequest *request, unsigned *count, Error *reterr)
{
    const ConfCertificates *certificates = &fleet->context.conf->certificates;
    bool issued = false;
    request->domain = fleet->context.conf->model.domain;
    request->lifetime_ns = certificates->lifetime_ns;
    int r = pki_ensure(fleet->context.dir.text, request, clock_wall(),
                       certificates->renew_before_ns, &issued, reterr);
    *count += issued ? 1 : 0;
    return r;
}

static int make_certificates(const Fleet *fleet, Error *reterr)
{
    const Model *model = &fleet->context.conf->model;
    unsigned count = 0;
    if (strcmp(fleet->context.conf->certificates.issuer, "local") != 0)
        return 0; // somebody else puts them there
    int r = pki_ensure_ca(fleet->context.dir.text, clock_wall(), NULL, reterr);
    for (uint32_t i = 0; r == 0 && i < model->n_regions; i++) {
        static const PkiKind KINDS[] = {PKI_KIND_EDGE, PKI_KIND_PEER, PKI_KIND_PG};
        for (size_t k = 0; r == 0 && k < ARRAY_SIZE(KINDS); k++)
            r = ensure(fleet,
                       &(PkiRequest){.kind = KINDS[k],
                                     .region = model->regions[i].name,
                                     .address = model->regions[i].address},
                       &count, reterr);
    }
    if (r == 0)
        r = ensure(fleet, &(PkiRequest){.kind = PKI_KIND_OPERATOR, .user = fleet->identity.name},
                   &count, reterr);
    if (r == 0 && count > 0)
        (void)printf("certificates: %u issued by our own CA, %s/pki/ca.pem\n", count,
                     fleet->shown_dir.text);
    return r < 0 ? error_wrap(reterr, r, "certificates") : 0;
}

static int prepare(Fleet *fleet, const char *fleet_file, const char *dir, Error *reterr)
{
    char *bytes CLEANUP(alloc_freep) = NULL;
    size_t len = 0;
    int r = context_load(fleet_file, &fleet->context.conf, reterr);
    if (r == 0)
        r = files_read(fleet_file, BOUND_CONF_BYTES, &bytes, &len, reterr);
    if (r == 0)
        r = identity_choose(&fleet->identity, reterr);
    if (r == 0)
        r = layout_absolute(dir != NULL ? dir : "run", &fleet->shown_dir, reterr);
    fleet->context.dir = fleet->shown_dir;
    if (r == 0)
        r = make_dir(fleet, reterr);
    if (r == 0)
        r = own_folder(&fleet->programs, reterr);
    if (r == 0)
        r = make_reachable(fleet, reterr);
    if (r < 0)
        return r;
    identity_lower(&fleet->identity);
    const char *state = fleet->context.dir.text;
    r = supervisor_lock(state, &fleet->lock, reterr);
    if (r == 0)
        r = region_check(&fleet->identity, reterr);
    if (r == 0)
        r = keep_files(fleet, fleet_file, bytes, len, reterr);
    if (r == 0)
        r = make_specs(fleet, reterr);
    if (r == 0)
        r = keep_copies(fleet, bytes, len, reterr);
    if (r == 0)
        r = supervisor_await_old(state, (const RegionSpec *const *)fleet->specs,
                                 fleet->context.conf->model.n_regions, OLD_FLEET_NS, reterr);
    if (r == 0)
        r = check_ports(fleet, reterr);
    return r < 0 ? r : make_certificates(fleet, reterr);
}

int up_prepare(const char *fleet_file, const char *dir, Fleet *ret_fleet, Error *reterr)
{
    Fleet fleet = {.lock = -1};
    int r = prepare(&fleet, fleet_file, dir, reterr);
    if (r < 0)
        fleet_done(&fleet);
    else
        *ret_fleet = fleet;
    return r;
}

void fleet_done(Fleet *fleet)
{
    files_close(fleet->lock);
    fleet->arena = arena_free(fleet->arena);
    context_done(&fleet->context);
}
