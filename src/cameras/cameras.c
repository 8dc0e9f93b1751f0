// SPDX-License-Identifier: MIT
// cameras: see cameras.h. `wildcam drill` starts this program too: --ready-fd tells it when the
// traffic flows, SIGTERM ends it, and the request log is what the drill judges by.
#include "cameras.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "camera_files.h"
#include "camera_report.h"
#include "clock.h"
#include "files.h"
#include "homes.h"
#include "layout.h"
#include "options.h"
#include "parse.h"
#include "traffic.h"

#define LEDGER_ROTATE ((off_t)64 << 20)
#define RATE_MAX 100000

typedef struct Given { // texts of the command line
    const char *dir, *fleet, *rate, *duration, *connections, *reads, *keyless, *ready_fd;
    bool json, verify, no_verify, help;
} Given;

typedef struct Run {
    Given given;
    LayoutPath dir;
    Conf *conf;
    uint32_t rate, connections, read_ppm, keyless_ppm;
    int64_t duration_ns;
    int ready_fd;
    int log_fd, ledger_fd;
    uint64_t id;
} Run;

static int number(const char *name, const char *text, uint64_t max, uint64_t *value, Error *reterr)
{
    if (text == NULL)
        return 0;
    uint64_t parsed;
    if (parse_u64(text, strlen(text), max, &parsed) < 0)
        return error_set(reterr, ERROR_USAGE, "option '--%s': '%s' is not a number up to %" PRIu64,
                         name, text, max);
    *value = parsed;
    return 0;
}

static int percent(const char *name, const char *text, uint32_t *ppm, Error *reterr)
{
    if (text == NULL || parse_percent(text, strlen(text), ppm) == 0)
        return 0;
    return error_set(reterr, ERROR_USAGE, "option '--%s': '%s' is not a share like '80%%'", name,
                     text);
}

static int read_numbers(Run *run, Error *reterr)
{
    const Given *given = &run->given;
    const ConfDrills *drills = &run->conf->drills;
    uint64_t rate = drills->requests_per_second, connections = drills->connections, fd = UINT64_MAX;
    run->read_ppm = drills->read_ppm;
    run->duration_ns = drills->min_duration_ns;
    int r;
    if ((r = number("rate", given->rate, RATE_MAX, &rate, reterr)) < 0 ||
        (r = number("connections", given->connections, SCHEDULE_CLIENTS_MAX, &connections,
                    reterr)) < 0 ||
        (r = number("ready-fd", given->ready_fd, 1024, &fd, reterr)) < 0 ||
        (r = percent("reads", given->reads, &run->read_ppm, reterr)) < 0 ||
        (r = percent("keyless", given->keyless, &run->keyless_ppm, reterr)) < 0)
        return r;
    if (rate == 0 || connections == 0)
        return error_set(reterr, ERROR_USAGE, "'--rate' and '--connections' must be above 0");
    if (given->duration != NULL && strcmp(given->duration, "0") == 0)
        run->duration_ns = 0;
    else if (given->duration != NULL &&
             parse_duration(given->duration, strlen(given->duration), &run->duration_ns) < 0)
        return error_set(reterr, ERROR_USAGE, "option '--duration': '%s' is not like '30s' or '0'",
                         given->duration);
    run->rate = (uint32_t)rate;
    run->connections = (uint32_t)connections;
    run->ready_fd = fd == UINT64_MAX ? -1 : (int)fd;
    return 0;
}

static int load(Run *run, Error *reterr)
{
    int r = layout_absolute(run->given.dir, &run->dir, reterr);
    if (r < 0)
        return r;
    LayoutPath fleet = layout_dir(run->dir.text, "fleet.yaml");
    if (run->given.fleet == NULL && !files_exist(fleet.text)) {
        r = error_set(reterr, ERROR_NOT_FOUND, "no fleet in '%s'", run->dir.text);
        return error_hint(reterr, r, "start one with 'wildcam up --dir %s'", run->given.dir);
    }
    r = conf_load(run->given.fleet != NULL ? run->given.fleet : fleet.text, &run->conf, NULL,
                  reterr);
    if (r == 0 && run->conf->model.n_regions > RECORDS_REGIONS)
        r = error_set(reterr, ERROR_LIMIT, "cameras know at most %d regions", RECORDS_REGIONS);
    return r < 0 ? r : read_numbers(run, reterr);
}

// A torn last frame, left by a crash, would hide everything appended behind it: cut it off.
static int cut_torn_tail(const char *path, int fd, Error *reterr)
{
    char *bytes CLEANUP(free_textp) = NULL;
    size_t len;
    int r = files_read(path, (size_t)LEDGER_ROTATE, &bytes, &len, reterr);
    if (r < 0)
        return r;
    Cursor cursor = cursor_of(bytes, len);
    RecordsItem item;
    do
        r = records_next(&cursor, &item);
    while (r > 0);
    if (r < 0)
        return error_set(reterr, r, "%s: byte %zu: not a ledger", path, cursor.at);
    if (cursor_left(&cursor) > 0 && ftruncate(fd, (off_t)cursor.at) < 0)
        return error_errno(reterr, errno, "%s", path);
    return 0;
}

static int open_ledger(Run *run, Error *reterr)
{
    LayoutPath ledger = layout_dir(run->dir.text, "cameras.ledger");
    const char *dir = run->dir.text, *name = "cameras.ledger";
    int r = camera_file_open(dir, name, 0, &run->ledger_fd, reterr);
    if (r == -EACCES)
        error_done(reterr); // root's, of an earlier run: as if it were full
    else if (r < 0)
        return r;
    else if (lseek(run->ledger_fd, 0, SEEK_END) < LEDGER_ROTATE)
        return cut_torn_tail(ledger.text, run->ledger_fd, reterr);
    files_close(run->ledger_fd);
    run->ledger_fd = -1;
    r = camera_file_rename(dir, name, "cameras.ledger.1", reterr);
    return r < 0 ? r : camera_file_open(dir, name, 0, &run->ledger_fd, reterr);
}

static void started(void *context)
{
    const Run *run = context;
    if (run->ready_fd >= 0 && write(run->ready_fd, "R", 1) < 0)
        (void)fprintf(stderr, "cameras: nobody reads --ready-fd\n");
    files_close(run->ready_fd);
}

static void progress(void *context, const Stats *stats, Mono now)
{
    (void)fprintf(stderr,
                  "cameras: %8" PRIu64 " requests, %" PRIu64 " failed, %" PRIu64
                  " failed at the first try\n",
                  stats->requests, stats->failed, stats->failed_first_try);
}

static int make_traffic(Run *run, CameraReport *report, Error *reterr)
{
    const Model *model = &run->conf->model;
    TrafficClient *clients CLEANUP(alloc_freep) = alloc_zeroed(run->connections, sizeof *clients);
    struct sockaddr_in *gateways CLEANUP(alloc_freep) =
        alloc_zeroed(model->n_regions, sizeof *gateways);
    RunStart start = {.n_regions = model->n_regions};
    if (clients == NULL || gateways == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    for (uint32_t i = 0; i < model->n_regions; i++) {
        gateways[i] = (struct sockaddr_in){.sin_family = AF_INET,
                                           .sin_port = htons(model->regions[i].edge_port)};
        if (inet_pton(AF_INET, model->regions[i].address, &gateways[i].sin_addr) != 1)
            return error_set(reterr, ERROR_USAGE, "gateway '%s': cameras need an IPv4 address",
                             model->regions[i].address);
        (void)snprintf(start.regions[i], sizeof start.regions[i], "%s", model->regions[i].name);
    }
    int r = homes_ask(run->conf, run->dir.text, run->connections, clients, reterr);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < run->connections; i++)
        report->clients[clients[i].home]++;
    LayoutPath ca = layout_dir(run->dir.text, "pki/ca.pem");
    const TrafficOptions options = {
        .domain = model->domain,
        .ca_file = ca.text,
        .n_gateways = model->n_regions,
        .gateways = gateways,
        .n_clients = run->connections,
        .clients = clients,
        .rate = run->rate,
        .read_ppm = run->read_ppm,
        .keyless_ppm = run->keyless_ppm,
        .open_rate = 100,
        .duration_ns = run->duration_ns,
        .run = run->id,
        .seed = run->id,
        .log_fd = run->log_fd,
        .ledger_fd = run->ledger_fd,
        .start = &start,
        .started = started,
        .progress = run->given.json ? NULL : progress,
        .context = run,
    };
    return traffic_run(&options, &report->traffic, reterr);
}

static int verify(const Run *run, CameraReport *report, Error *reterr)
{
    LayoutPath path = layout_dir(run->dir.text, "cameras.ledger");
    uint64_t all = run->conf->model.n_regions < 64 ? (UINT64_C(1) << run->conf->model.n_regions) - 1
                                                   : UINT64_MAX;
    Ledger ledger;
    int r = ledger_read(path.text, run->id, &ledger, reterr);
    if (r < 0)
        return r;
    r = verify_ledger(run->conf, run->dir.text, all, &ledger, &report->verification, reterr);
    ledger_done(&ledger);
    if (r < 0)
        return r;
    report->verified = true;
    // Without every database there is no union to look at: say so and report none.
    Error why CLEANUP(error_done) = ERROR_INIT;
    if (run->id != 0 &&
        verify_duplicates(run->conf, run->dir.text, all, run->id, &report->duplicates, &why) < 0)
        (void)fprintf(stderr, "cameras: duplicated_writes not measured: %s\n", error_text(&why));
    else
        report->has_duplicates = run->id != 0;
    if (report->verification.lost > 0 || report->duplicates > 0)
        return error_set(reterr, ERROR_NOT_HELD,
                         "%" PRIu64 " acknowledged writes are readable nowhere (%" PRIu64
                         " while a region did not answer), %" PRIu64 " stand under two keys",
                         report->verification.lost, report->verification.unanswered,
                         report->duplicates);
    return 0;
}

static int run_all(Run *run, Error *reterr)
{
    int r = load(run, reterr);
    if (r < 0)
        return r;
    CameraReport report = {.conf = run->conf, .run = run->id, .rate = run->rate};
    if (!run->given.verify) {
        report.run = run->id = random_u64();
        report.ran = true;
        report.connections = run->connections;
        if ((r = camera_file_open(run->dir.text, "cameras.requests", O_TRUNC, &run->log_fd,
                                  reterr)) < 0 ||
            (r = open_ledger(run, reterr)) < 0 || (r = make_traffic(run, &report, reterr)) < 0)
            return r;
    }
    if (!run->given.no_verify)
        r = verify(run, &report, reterr);
    if (r < 0 && r != ERROR_NOT_HELD)
        return r;
    int printed = run->given.json ? camera_report_json(&report, stdout, reterr)
                                  : camera_report_text(&report, stdout, reterr);
    return r < 0 ? r : printed;
}

int cameras_main(int argc, char **argv, Error *reterr)
{
    Run run = {.given = {.dir = "run"}, .log_fd = -1, .ledger_fd = -1, .ready_fd = -1};
    Given *given = &run.given;
    const Option options[] = {
        {"dir", "DIR", "state folder of the fleet (default ./run)", &given->dir, NULL},
        {"fleet", "FILE", "fleet.yaml (default: the one in DIR)", &given->fleet, NULL},
        {"rate", "N", "requests per second (default: drills.rate)", &given->rate, NULL},
        {"duration", "T", "like 30s; 0: until Ctrl-C", &given->duration, NULL},
        {"connections", "N", "cameras (default: drills.connections)", &given->connections, NULL},
        {"reads", "SHARE", "of all requests (default: drills.reads)", &given->reads, NULL},
        {"keyless", "SHARE", "of the writes: without Idempotency-Key", &given->keyless, NULL},
        {"verify", NULL, "no traffic: check the ledger only", NULL, &given->verify},
        {"no-verify", NULL, "do not check the ledger afterwards", NULL, &given->no_verify},
        {"json", NULL, "report as JSON", NULL, &given->json},
        {"ready-fd", "FD", "write a byte there when traffic flows", &given->ready_fd, NULL},
        {"help", NULL, "this text", NULL, &given->help},
    };
    int operands = 0;
    int r = options_parse(options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r == 0 && given->help) {
        (void)puts("usage: wildcam cameras [OPTIONS]\n\n"
                   "Camera traffic: open loop, over TLS, with a ledger of every acknowledged\n"
                   "write, which is checked afterwards.\n");
        options_help(options, ARRAY_SIZE(options));
        return 0;
    }
    if (r == 0 && operands > 0)
        r = error_set(reterr, ERROR_USAGE, "unexpected argument '%s'", argv[1]);
    if (r == 0)
        r = run_all(&run, reterr);
    files_close(run.log_fd);
    files_close(run.ledger_fd);
    (void)conf_free(run.conf);
    return r;
}
