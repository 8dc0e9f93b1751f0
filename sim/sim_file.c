// SPDX-License-Identifier: MIT
// sim_file: reading; see sim_file.h. The stages are conf's: tree, walk by the table, then what the
// table cannot say (names, pairs of times, which value goes with which kind), then the scenario.
#include "sim_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "conf_walk.h"
#include "sim_fault_kind.h"
#include "sim_file_layout.h"
#include "sim_file_table.h"

#define ARENA_BYTES ((size_t)64 << 20)
#define MS NS_PER_MS

struct SimFile {
    SimScenario scenario;
    Arena *arena;
};

typedef struct Reader {
    Arena *arena;
    ConfReport *report;
    const TreeNode *root;
    const Model *model;
} Reader;

static uint32_t mask_of_name(const Model *model, const char *name)
{
    uint32_t mask = 0;
    if (strcmp(name, "all") == 0)
        return sim_world_all(model);
    if (strcmp(name, "none") == 0)
        return SIM_MASK_NONE;
    for (uint32_t i = 0; i < model->n_regions; i++)
        if (strcmp(model->regions[i].name, name) == 0 ||
            strcmp(model->clouds[model->regions[i].cloud].name, name) == 0)
            mask |= SIM_ONE(i);
    return mask;
}

static void refuse_name(const Reader *reader, const TreeNode *node, const char *name)
{
    Buf known = BUF_INIT(0);
    for (uint32_t i = 0; i < reader->model->n_clouds; i++)
        buf_printf(&known, "%s, ", reader->model->clouds[i].name);
    for (uint32_t i = 0; i < reader->model->n_regions; i++)
        buf_printf(&known, "%s, ", reader->model->regions[i].name);
    conf_report_error(reader->report, node->line, node->column,
                      "name '%s': no such region or cloud; allowed: %sall", name, buf_text(&known));
    conf_report_buf_done(reader->report, &known);
}

// `node` is the map that has the list `key`.
static uint32_t mask_of(const Reader *reader, const TreeNode *node, const char *key,
                        const ConfList *names)
{
    uint32_t mask = 0;
    const TreeNode *list = conf_tree_get(node, key);
    for (uint32_t i = 0; i < names->n; i++) {
        const char *name = ((const char *const *)names->items)[i];
        uint32_t one = mask_of_name(reader->model, name);
        if (one == 0)
            refuse_name(reader, conf_tree_at(list, i), name);
        mask |= one;
    }
    return mask;
}

static void refuse(const Reader *reader, const TreeNode *node, const char *key, const char *what,
                   const char *allowed)
{
    const TreeNode *at = conf_tree_get(node, key);
    at = at != NULL ? at : node;
    conf_report_error(reader->report, at->line, at->column, "key '%s': %s; allowed: %s", key, what,
                      allowed);
}

// Times of the file count from the fleet's start and are whole milliseconds.
static int64_t ms_of(const Reader *reader, const TreeNode *node, const char *key, int64_t ns)
{
    if (ns % MS != 0)
        refuse(reader, node, key, "parts of a millisecond", "whole milliseconds");
    return ns / MS - SIM_WARM_UP_MS;
}

static bool given(const TreeNode *node, const char *key)
{
    return conf_tree_get(node, key) != NULL;
}

static int64_t value_of(const Reader *reader, const TreeNode *node, const RawFault *raw)
{
    const SimFaultRow *row = &SIM_FAULT_ROWS[raw->kind];
    bool share = row->value == SIM_VALUE_SHARE;
    bool time = row->value == SIM_VALUE_TIME || row->value == SIM_VALUE_CLOCK;
    const struct {
        const char *key;
        bool takes;
    } keys[] = {{"share", share},
                {"time", time},
                {"behind", row->value == SIM_VALUE_CLOCK},
                {"says", row->value == SIM_VALUE_LIE},
                {"jitter", raw->kind == FAULT_DELAY},
                {"to", row->to},
                {"both", row->to && raw->kind != FAULT_LIE}};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (!keys[i].takes && given(node, keys[i].key))
            refuse(reader, node, keys[i].key, "means nothing for this kind", "other keys");
    if (share && raw->share_ppm == 0 && (!row->optional || given(node, "share")))
        refuse(reader, node, "share", "no share", "above 0 % to 100 %");
    if (time && (raw->time_ns == 0 || raw->time_ns > row->max))
        refuse(reader, node, "time", raw->time_ns == 0 ? "no time" : "too long",
               row->max >= 3600 * NS_PER_S ? "1ns to 1h, for clocks to 24h" : "1ns to 60s or 10s");
    if (raw->jitter_ns > raw->time_ns)
        refuse(reader, node, "jitter", "more than the delay", "at most `time`");
    if (share)
        return raw->share_ppm;
    if (row->value == SIM_VALUE_LIE)
        return raw->says;
    return raw->behind ? -raw->time_ns : raw->time_ns;
}

static void read_faults(const Reader *reader, const RawScenario *raw, SimScenario *scenario)
{
    const TreeNode *list = conf_tree_get(reader->root, "faults");
    for (uint32_t i = 0; i < raw->faults.n; i++) {
        const RawFault *from = &((const RawFault *)raw->faults.items)[i];
        const TreeNode *node = conf_tree_at(list, i);
        if (from->until_ns != 0 && from->until_ns <= from->from_ns)
            refuse(reader, node, "until", "not after `from`", "a later time, or 0s for never");
        SimFault *to = &scenario->faults[i];
        *to = (SimFault){
            .kind = (SimFaultKind)from->kind,
            .a = mask_of(reader, node, "at", &from->at) & ~SIM_MASK_NONE,
            .b = mask_of(reader, node, "to", &from->to) & ~SIM_MASK_NONE,
            .both = from->both,
            .from_ns = ms_of(reader, node, "from", from->from_ns),
            .until_ns =
                from->until_ns == 0 ? SIM_FOREVER : ms_of(reader, node, "until", from->until_ns),
            .value = value_of(reader, node, from),
            .jitter_ns = from->jitter_ns,
        };
        if (to->a == 0 && reader->report->n_errors == 0)
            refuse(reader, node, "at", "nowhere", "names of regions");
        if (SIM_FAULT_ROWS[to->kind].to && to->b == 0)
            to->b = sim_world_all(reader->model);
        if (to->kind == FAULT_OLD && from->from_ns < from->time_ns)
            refuse(reader, node, "time", "before the fleet's start", "less than `from`");
    }
}

static void read_wishes(const Reader *reader, const RawScenario *raw, SimScenario *scenario)
{
    const TreeNode *list = conf_tree_get(reader->root, "wishes");
    for (uint32_t i = 0; i < raw->wishes.n; i++) {
        const RawWish *from = &((const RawWish *)raw->wishes.items)[i];
        const TreeNode *node = conf_tree_at(list, i);
        int agent = model_find_region(reader->model, from->agent);
        if (agent < 0)
            refuse_name(reader, conf_tree_get(node, "agent"), from->agent);
        if (from->for_ns % MS != 0)
            refuse(reader, node, "for", "parts of a millisecond", "whole milliseconds");
        scenario->wishes[i] = (SimWish){
            .at_ms = ms_of(reader, node, "at", from->at_ns),
            .for_ms = from->for_ns / MS,
            .agent = agent < 0 ? 0 : (uint32_t)agent,
            .kind = (IntentKind)from->wish,
            .target = from->target,
            .region = from->region,
            .weight_ppm = from->weight_ppm,
        };
        if (i > 0 && scenario->wishes[i].at_ms < scenario->wishes[i - 1].at_ms)
            refuse(reader, node, "at", "before the wish above", "the order of their times");
    }
}

static void read_expects(const Reader *reader, const RawScenario *raw, SimScenario *scenario)
{
    const TreeNode *list = conf_tree_get(reader->root, "expect");
    for (uint32_t i = 0; i < raw->expects.n; i++) {
        const RawExpect *from = &((const RawExpect *)raw->expects.items)[i];
        const TreeNode *node = conf_tree_at(list, i);
        if (from->until_ns <= from->from_ns)
            refuse(reader, node, "until", "not after `from`", "a later time");
        if (from->apart_ns % MS != 0)
            refuse(reader, node, "apart", "parts of a millisecond", "whole milliseconds");
        scenario->expects[i] = (SimExpect){
            .from_ms = ms_of(reader, node, "from", from->from_ns),
            .until_ms = ms_of(reader, node, "until", from->until_ns),
            .who = mask_of(reader, node, "who", &from->who),
            .held = mask_of(reader, node, "held", &from->held),
            .care = mask_of(reader, node, "care", &from->care),
            .last = mask_of(reader, node, "last", &from->last),
            .slow = mask_of(reader, node, "slow", &from->slow),
            .once = from->once,
            .growing = from->growing,
            .agree = from->agree,
            .max_apart_ms = from->apart_ns / MS,
            .max_transitions = from->transitions,
            .max_load_ppm = from->load_percent * (PPM_ONE / 100),
            .max_shed_ppm = from->shed_ppm,
            .max_failed_ppm = from->failed_ppm,
        };
    }
}

static void read_scenario(const Reader *reader, const RawScenario *raw, SimScenario *scenario)
{
    *scenario = (SimScenario){
        .name = raw->name,
        .text = raw->text,
        .layout = raw->layout == 0 ? NULL : SIM_FILE_LAYOUTS[raw->layout],
        .own = scenario->own,
        .run_ms = ms_of(reader, reader->root, "run", raw->run_ns),
        .flap_ms = raw->flap_ns / MS,
        .traffic_rps = raw->traffic_rps,
        .clients_ppm = raw->clients_ppm,
        .queued_probes = raw->queued_probes,
        .calm_at_end = raw->calm,
        .live = raw->live,
    };
    if (scenario->run_ms <= 0)
        refuse(reader, reader->root, "run", "no longer than the warm-up", "above 20s to 24h");
    if (raw->flap_ns != 0 && (raw->flap_ns < 100 * MS || raw->faults.n == 0))
        refuse(reader, reader->root, "flap", "nothing that could come again", "0s, or from 100ms");
    read_faults(reader, raw, scenario);
    read_wishes(reader, raw, scenario);
    read_expects(reader, raw, scenario);
}

static int run_stages(SimFile *file, const char *bytes, size_t len, ConfReport *report)
{
    Reader reader = {.arena = file->arena, .report = report};
    RawScenario raw = {0};
    int r = conf_tree_parse(bytes, len, file->arena, report, &reader.root);
    if (r == 0)
        r = conf_walk_section(&SIM_FILE_ROOT, reader.root, file->arena, report, &raw);
    if (r < 0 || report->n_errors > 0)
        return r;
    if (raw.regions.n > 0) {
        r = sim_file_layout(&raw, reader.root, file->arena, report, &file->scenario.own);
        if (r < 0 || report->n_errors > 0)
            return r;
        reader.model = file->scenario.own->model;
    } else {
        reader.model = sim_layout_find(SIM_FILE_LAYOUTS[raw.layout])->model;
    }
    read_scenario(&reader, &raw, &file->scenario);
    return 0;
}

int sim_file_parse(const char *path, const char *bytes, size_t len, SimFile **ret_file,
                   Error *reterr)
{
    ConfReport report = {.path = path};
    if (len > SIM_FILE_BYTES)
        return error_set(reterr, ERROR_LIMIT, "%s: %zu bytes; allowed: at most %zu", path, len,
                         SIM_FILE_BYTES);
    SimFile *file = alloc_zeroed(1, sizeof *file);
    if (file != NULL)
        file->arena = arena_new(ARENA_BYTES);
    int r =
        file == NULL || file->arena == NULL ? ERROR_MEMORY : run_stages(file, bytes, len, &report);
    if (r == 0 || r == ERROR_FORMAT)
        r = conf_report_check(&report, reterr);
    else
        r = error_set(reterr, r, "%s: %s", path, error_code_text(r));
    conf_report_done(&report);
    if (r < 0)
        (void)sim_file_free(file);
    else
        *ret_file = file;
    return r;
}

int sim_file_load(const char *path, SimFile **ret_file, Error *reterr)
{
    FILE *from = fopen(path, "rb");
    if (from == NULL)
        return error_errno(reterr, errno, "open '%s'", path);
    Buf bytes = BUF_INIT(SIM_FILE_BYTES + 4096);
    char chunk[4096];
    size_t got;
    while (bytes.len <= SIM_FILE_BYTES && (got = fread(chunk, 1, sizeof chunk, from)) > 0)
        buf_add(&bytes, chunk, got);
    int r = ferror(from) != 0 ? error_errno(reterr, errno, "read '%s'", path) : 0;
    (void)fclose(from);
    if (r == 0 && (r = buf_check(&bytes)) < 0)
        (void)error_set(reterr, r, "read '%s': %s", path, error_code_text(r));
    if (r == 0)
        r = sim_file_parse(path, buf_text(&bytes), bytes.len, ret_file, reterr);
    buf_done(&bytes);
    return r;
}

const SimScenario *sim_file_scenario(const SimFile *file)
{
    return &file->scenario;
}

SimFile *sim_file_free(SimFile *file)
{
    if (file != NULL) {
        (void)arena_free(file->arena);
        free(file);
    }
    return NULL;
}
