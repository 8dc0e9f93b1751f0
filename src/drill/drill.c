// SPDX-License-Identifier: MIT
// drill: see drill.h. The command line.
#include "drill.h"

#include <stdio.h>
#include <string.h>

#include "drill_all.h"
#include "drill_one.h"
#include "drill_target.h"
#include "files.h"
#include "layout.h"
#include "options.h"
#include "parse.h"

#define REPEAT_MAX 1000

typedef struct Given {
    DrillGiven drill;
    const char *dir, *rate, *connections, *before, *broken, *deadline, *only, *skip, *repeat;
    bool long_form, json, help;
} Given;

static int duration(const char *name, const char *text, int64_t *value, Error *reterr)
{
    if (text == NULL || parse_duration(text, strlen(text), value) == 0)
        return 0;
    return error_set(reterr, ERROR_USAGE, "option '--%s': '%s' is not like '5s'", name, text);
}

typedef struct Fleet { // of the state folder
    LayoutPath dir, file;
    Conf *conf;
} Fleet;

static int open_fleet(const Given *given, Fleet *fleet, Error *reterr)
{
    int r = layout_absolute(given->dir, &fleet->dir, reterr);
    if (r < 0)
        return r;
    fleet->file = layout_dir(fleet->dir.text, "fleet.yaml");
    if (!files_exist(fleet->file.text)) {
        r = error_set(reterr, ERROR_NOT_FOUND, "no fleet in '%s'", fleet->dir.text);
        return error_hint(reterr, r, "start one with 'wildcam up --dir %s'", given->dir);
    }
    if ((r = conf_load(fleet->file.text, &fleet->conf, NULL, reterr)) < 0)
        return r;
    if (fleet->conf->model.n_regions > RECORDS_REGIONS)
        return error_set(reterr, ERROR_LIMIT, "drills know at most %d regions", RECORDS_REGIONS);
    return 0;
}

static void close_fleet(Fleet *fleet)
{
    fleet->conf = conf_free(fleet->conf);
}

static int base_options(const Given *given, const Fleet *fleet, DrillAsk *ask,
                        DrillOptions *ret_options, Error *reterr)
{
    *ret_options = (DrillOptions){
        .dir = fleet->dir.text,
        .fleet = fleet->file.text,
        .conf = fleet->conf,
        .rate = given->rate,
        .connections = given->connections,
        .before_ns = 3 * NS_PER_S,
        .deadline_ns = 180 * NS_PER_S,
        .long_form = given->long_form,
        .ask = ask,
    };
    int r = duration("before", given->before, &ret_options->before_ns, reterr);
    if (r < 0 || (r = duration("broken", given->broken, &ret_options->broken_ns, reterr)) < 0)
        return r;
    return duration("deadline", given->deadline, &ret_options->deadline_ns, reterr);
}

static int print_one(const DrillOptions *options, bool json, Error *reterr)
{
    DrillResult *result CLEANUP(drill_one_freep) = NULL;
    int r = drill_one(options, &result, reterr);
    if (r < 0)
        return r;
    (void)printf("%s%s", buf_text(json ? &result->json : &result->text), json ? "\n" : "");
    if (fflush(stdout) != 0)
        return error_set(reterr, ERROR_UNAVAILABLE, "stdout");
    if (result->report.not_recovered[0] != '\0')
        return error_set(reterr, ERROR_NOT_HELD, "not everything is back: %s",
                         result->report.not_recovered);
    return drill_one_held(result) ? 0
                                  : error_set(reterr, ERROR_NOT_HELD, "an objective was missed");
}

static int run_named(const char *name, const Given *given, DrillOptions *options, Error *reterr)
{
    options->row = drill_find(name);
    if (options->row == NULL) {
        int r = error_set(reterr, ERROR_USAGE, "unknown drill '%s'", name);
        return error_hint(reterr, r, "'wildcam drill list' lists them");
    }
    uint64_t times = 1;
    if (given->repeat != NULL &&
        (parse_u64(given->repeat, strlen(given->repeat), REPEAT_MAX, &times) < 0 || times == 0))
        return error_set(reterr, ERROR_USAGE, "option '--repeat': '%s' is not from 1 to %d",
                         given->repeat, REPEAT_MAX);
    if (given->only != NULL || given->skip != NULL)
        return error_set(reterr, ERROR_USAGE, "--only and --skip go with 'drill all'");
    int r = drill_target(&options->conf->model, options->row, &given->drill, options, reterr);
    if (r < 0)
        return r;
    return given->repeat != NULL ? drill_repeat(options, (uint32_t)times, given->json, reterr)
                                 : print_one(options, given->json, reterr);
}

static int run_all(const Given *given, const DrillOptions *base, Error *reterr)
{
    const DrillGiven *drill = &given->drill;
    if (drill->provider != NULL || drill->region != NULL || drill->one_way || drill->observers ||
        drill->probes || given->repeat != NULL)
        return error_set(reterr, ERROR_USAGE, "'drill all' chooses targets by itself, once each");
    DrillAll all = {.base = *base,
                    .only = given->only,
                    .skip = given->skip,
                    .to = drill->to,
                    .json = given->json};
    return drill_all(&all, reterr);
}

static int list(const Given *given, Error *reterr)
{
    Fleet fleet = {0};
    Error ignored CLEANUP(error_done) = ERROR_INIT;
    int r = open_fleet(given, &fleet, &ignored); // without a fleet there are no times
    r = drill_list(r == 0 ? fleet.conf : NULL, given->json, reterr);
    close_fleet(&fleet);
    return r;
}

static int run(const char *name, const Given *given, DrillAsk *ask, Error *reterr)
{
    Fleet fleet CLEANUP(close_fleet) = {0};
    DrillOptions options;
    int r = open_fleet(given, &fleet, reterr);
    if (r < 0 || (r = base_options(given, &fleet, ask, &options, reterr)) < 0)
        return r;
    return strcmp(name, "all") == 0 ? run_all(given, &options, reterr)
                                    : run_named(name, given, &options, reterr);
}

static void help(const Option *options, size_t n)
{
    (void)puts("usage: wildcam drill NAME [OPTIONS]\n"
               "       wildcam drill all [--only A,B] [--skip A,B] [OPTIONS]\n"
               "       wildcam drill list [--json]\n\n"
               "Breaks something for real under camera traffic, measures, heals. Exit 3: an\n"
               "objective was missed.\n");
    for (uint32_t i = 0; i < DRILLS_N; i++)
        (void)printf("  %-21s %s\n", DRILLS[i].name, DRILLS[i].usage);
    (void)puts("");
    options_help(options, n);
}

int drill_main(int argc, char **argv, DrillAsk *ask, Error *reterr)
{
    Given given = {.dir = "run"};
    const Option options[] = {
        {"dir", "DIR", "state folder of the fleet (default ./run)", &given.dir, NULL},
        {"provider", "CLOUD", "the cloud to break", &given.drill.provider, NULL},
        {"region", "REGION", "the region to break", &given.drill.region, NULL},
        {"one-way", NULL, "partition: it cannot open connections", NULL, &given.drill.one_way},
        {"observers", NULL, "partition: only the probes are cut", NULL, &given.drill.observers},
        {"probes", NULL, "loss: 5 % of the probes' packets only", NULL, &given.drill.probes},
        {"to", "FOLDER", "upgrade: programs of another build", &given.drill.to, NULL},
        {"only", "A,B", "all: these drills", &given.only, NULL},
        {"skip", "A,B", "all: not these", &given.skip, NULL},
        {"repeat", "N", "one drill N times: medians", &given.repeat, NULL},
        {"long", NULL, "for minutes where that matters", NULL, &given.long_form},
        {"rate", "N", "requests per second (default: drills.rate)", &given.rate, NULL},
        {"connections", "N", "cameras (default: drills.connections)", &given.connections, NULL},
        {"before", "T", "traffic before the fault (default 3s)", &given.before, NULL},
        {"broken", "T", "each phase (default: see 'list')", &given.broken, NULL},
        {"deadline", "T", "for everything to be back (default 180s)", &given.deadline, NULL},
        {"json", NULL, "report as JSON", NULL, &given.json},
        {"help", NULL, "this text", NULL, &given.help},
    };
    int operands = 0;
    int r = options_parse(options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r == 0 && given.help) {
        help(options, ARRAY_SIZE(options));
        return 0;
    }
    if (r == 0 && operands != 1) {
        r = error_set(reterr, ERROR_USAGE, operands == 0 ? "which drill?" : "one drill at a time");
        return error_hint(reterr, r, "'wildcam drill list' lists them");
    }
    if (r < 0)
        return r;
    return strcmp(argv[1], "list") == 0 ? list(&given, reterr) : run(argv[1], &given, ask, reterr);
}
