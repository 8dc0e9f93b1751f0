// SPDX-License-Identifier: MIT
// drill: see drill.h. The command line, the choice of what to break, and the report.
#include "drill.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "drill_run.h"
#include "files.h"
#include "layout.h"
#include "options.h"
#include "parse.h"

typedef struct Given {
    const char *dir, *provider, *region, *rate, *connections, *before, *broken, *deadline;
    bool json, help;
} Given;

typedef int ChooseRegions(const Model *model, const Given *given, DrillOptions *options,
                          Error *reterr);

static int choose_provider(const Model *model, const Given *given, DrillOptions *options,
                           Error *reterr)
{
    int cloud = given->provider != NULL ? model_find_cloud(model, given->provider) : -1;
    if (given->provider == NULL || cloud < 0) {
        Buf known CLEANUP(buf_done) = BUF_INIT(4096);
        for (uint32_t i = 0; i < model->n_clouds; i++)
            buf_printf(&known, "%s%s", i > 0 ? ", " : "", model->clouds[i].name);
        return error_set(reterr, ERROR_USAGE, "'--provider %s': allowed: %s",
                         given->provider != NULL ? given->provider : "", buf_text(&known));
    }
    options->target = given->provider;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        if (model->regions[i].cloud == (uint32_t)cloud)
            options->regions |= UINT64_C(1) << i;
    }
    return 0;
}

static int choose_region(const Model *model, const Given *given, DrillOptions *options,
                         Error *reterr)
{
    int region = given->region != NULL ? model_find_region(model, given->region) : -1;
    if (region < 0) {
        Buf known CLEANUP(buf_done) = BUF_INIT(16384);
        for (uint32_t i = 0; i < model->n_regions; i++)
            buf_printf(&known, "%s%s", i > 0 ? ", " : "", model->regions[i].name);
        return error_set(reterr, ERROR_USAGE, "'--region %s': allowed: %s",
                         given->region != NULL ? given->region : "", buf_text(&known));
    }
    options->target = given->region;
    options->regions = UINT64_C(1) << region;
    return 0;
}

static const struct {
    const char *name, *usage, *help;
    ChooseRegions *choose;
} DRILLS[] = {
    {"provider-down", "--provider CLOUD", "SIGKILL of a whole cloud", choose_provider},
    {"region-down", "--region REGION", "SIGKILL of a whole region, database included",
     choose_region},
};

static void list_drills(FILE *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(DRILLS); i++)
        (void)fprintf(out, "  %-14s %-18s %s\n", DRILLS[i].name, DRILLS[i].usage, DRILLS[i].help);
}

static int duration(const char *name, const char *text, int64_t *value, Error *reterr)
{
    if (text == NULL || parse_duration(text, strlen(text), value) == 0)
        return 0;
    return error_set(reterr, ERROR_USAGE, "option '--%s': '%s' is not like '5s'", name, text);
}

static int choose(const char *name, const Given *given, const Conf *conf, DrillOptions *options,
                  Error *reterr)
{
    for (size_t i = 0; i < ARRAY_SIZE(DRILLS); i++) {
        if (strcmp(name, DRILLS[i].name) != 0)
            continue;
        options->name = DRILLS[i].name;
        int r = DRILLS[i].choose(&conf->model, given, options, reterr);
        uint64_t all =
            conf->model.n_regions < 64 ? (UINT64_C(1) << conf->model.n_regions) - 1 : UINT64_MAX;
        if (r == 0 && options->regions == all)
            r = error_set(reterr, ERROR_USAGE, "drill '%s': nothing would survive", name);
        if (r < 0)
            return r;
        if ((r = duration("before", given->before, &options->before_ns, reterr)) < 0 ||
            (r = duration("broken", given->broken, &options->broken_ns, reterr)) < 0)
            return r;
        return duration("deadline", given->deadline, &options->deadline_ns, reterr);
    }
    int r = error_set(reterr, ERROR_USAGE, "unknown drill '%s'", name);
    return error_hint(reterr, r, "'wildcam drill list' lists them");
}

// DIR/drills/2026-11-23T14-00-00Z-provider-down.json; the name sorts by time.
static int store(const DrillOptions *options, const DrillReport *report, const Buf *json,
                 Error *reterr)
{
    char at[CLOCK_TEXT_MAX], name[160];
    (void)clock_format(report->started, at);
    for (char *c = at; *c != '\0'; c++) {
        if (*c == ':')
            *c = '-';
    }
    (void)snprintf(name, sizeof name, "drills/%s-%s.json", at, report->name);
    LayoutPath folder = layout_dir(options->dir, "drills"), path = layout_dir(options->dir, name);
    int r = files_make_dirs(folder.text, 0755, reterr);
    if (r < 0 || (r = files_replace(path.text, json->data, json->len, NULL, reterr)) < 0)
        return error_wrap(reterr, r, "store the report");
    (void)fprintf(stderr, "drill: report in %s\n", path.text);
    return 0;
}

static int conclude(const DrillOptions *options, const DrillReport *report, bool as_json,
                    Error *reterr)
{
    DrillObjective objectives[DRILL_OBJECTIVES];
    Buf missing CLEANUP(buf_done) = BUF_INIT(4096), json CLEANUP(buf_done) = BUF_INIT(0),
                text CLEANUP(buf_done) = BUF_INIT(0);
    uint32_t n = drill_objectives(report, &options->conf->objectives, objectives, &missing);
    drill_report_json(report, objectives, n, &json);
    buf_add_char(&json, '\n');
    drill_report_text(report, objectives, n, &text);
    int r = buf_check(&json);
    if (r < 0 || (r = buf_check(&text)) < 0)
        return error_set(reterr, r, "report: out of memory");
    if (missing.len > 0)
        (void)fprintf(stderr, "drill: not measured, so not judged: %s\n", buf_text(&missing));
    if ((r = store(options, report, &json, reterr)) < 0)
        return r;
    (void)fputs(buf_text(as_json ? &json : &text), stdout);
    if (fflush(stdout) != 0)
        return error_set(reterr, ERROR_UNAVAILABLE, "stdout");
    if (report->not_recovered[0] != '\0')
        return error_set(reterr, ERROR_NOT_HELD, "not everything is back: %s",
                         report->not_recovered);
    return drill_held(objectives, n) ? 0
                                     : error_set(reterr, ERROR_NOT_HELD, "an objective was missed");
}

static int run(const char *name, const Given *given, DrillAsk *ask, Error *reterr)
{
    LayoutPath dir;
    int r = layout_absolute(given->dir, &dir, reterr);
    if (r < 0)
        return r;
    LayoutPath fleet = layout_dir(dir.text, "fleet.yaml");
    if (!files_exist(fleet.text)) {
        r = error_set(reterr, ERROR_NOT_FOUND, "no fleet in '%s'", dir.text);
        return error_hint(reterr, r, "start one with 'wildcam up --dir %s'", given->dir);
    }
    Conf *conf CLEANUP(conf_freep) = NULL;
    if ((r = conf_load(fleet.text, &conf, NULL, reterr)) < 0)
        return r;
    if (conf->model.n_regions > RECORDS_REGIONS)
        return error_set(reterr, ERROR_LIMIT, "drills know at most %d regions", RECORDS_REGIONS);
    DrillOptions options = {
        .dir = dir.text,
        .fleet = fleet.text,
        .conf = conf,
        .rate = given->rate,
        .connections = given->connections,
        .before_ns = 3 * NS_PER_S,
        .broken_ns = conf->drills.min_duration_ns,
        .deadline_ns = 180 * NS_PER_S,
        .ask = ask,
    };
    if ((r = choose(name, given, conf, &options, reterr)) < 0)
        return r;
    DrillReport report;
    if ((r = drill_run(&options, &report, reterr)) < 0)
        return error_wrap(reterr, r, "drill '%s'", name);
    return conclude(&options, &report, given->json, reterr);
}

int drill_main(int argc, char **argv, DrillAsk *ask, Error *reterr)
{
    Given given = {.dir = "run"};
    const Option options[] = {
        {"dir", "DIR", "state folder of the fleet (default ./run)", &given.dir, NULL},
        {"provider", "CLOUD", "what provider-down breaks", &given.provider, NULL},
        {"region", "REGION", "what region-down breaks", &given.region, NULL},
        {"rate", "N", "requests per second (default: drills.rate)", &given.rate, NULL},
        {"connections", "N", "cameras (default: drills.connections)", &given.connections, NULL},
        {"before", "T", "traffic before the fault (default 3s)", &given.before, NULL},
        {"broken", "T", "from fault to healing (default: drills.min_duration)", &given.broken,
         NULL},
        {"deadline", "T", "for everything to be back (default 180s)", &given.deadline, NULL},
        {"json", NULL, "report as JSON", NULL, &given.json},
        {"help", NULL, "this text", NULL, &given.help},
    };
    int operands = 0;
    int r = options_parse(options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r == 0 && given.help) {
        (void)puts("usage: wildcam drill NAME [OPTIONS]\n\n"
                   "Breaks something for real under camera traffic, measures, heals. Exit 3: an\n"
                   "objective of fleet.yaml was missed.\n");
        list_drills(stdout);
        (void)puts("");
        options_help(options, ARRAY_SIZE(options));
        return 0;
    }
    if (r == 0 && operands != 1) {
        r = error_set(reterr, ERROR_USAGE, operands == 0 ? "which drill?" : "one drill at a time");
        return error_hint(reterr, r, "'wildcam drill list' lists them");
    }
    if (r < 0)
        return r;
    if (strcmp(argv[1], "list") == 0) {
        list_drills(stdout);
        return 0;
    }
    return run(argv[1], &given, ask, reterr);
}
