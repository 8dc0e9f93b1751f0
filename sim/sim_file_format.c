// SPDX-License-Identifier: MIT
// sim_file_format: writing; see sim_file.h. What has its default is left out.
#include <inttypes.h>

#include "conf_value.h"
#include "sim_fault_kind.h"
#include "sim_file.h"
#include "sim_file_table.h"

#define MS NS_PER_MS

static void put_time(Buf *text, const char *key, int64_t ns)
{
    static const ConfOption DURATION = {.type = CONF_TYPE_DURATION};
    buf_printf(text, "%s: ", key);
    conf_value_format(&DURATION, &ns, text);
}

static void put_share(Buf *text, const char *key, uint32_t ppm)
{
    static const ConfOption SHARE = {.type = CONF_TYPE_SHARE};
    buf_printf(text, "%s: ", key);
    conf_value_format(&SHARE, &ppm, text);
}

static void put_names(Buf *text, const char *key, uint32_t mask, const Model *model)
{
    buf_printf(text, "%s: [", key);
    if (mask == SIM_MASK_NONE)
        buf_add_text(text, "none");
    else
        sim_mask_tell(mask & sim_world_all(model), model, ", ", text);
    buf_add_char(text, ']');
}

static int64_t from_start(int64_t ms)
{
    return (ms + SIM_WARM_UP_MS) * MS;
}

static void put_fault(Buf *text, const SimFault *fault, const Model *model)
{
    const SimFaultRow *row = &SIM_FAULT_ROWS[fault->kind];
    buf_printf(text, "  - {kind: %s, ", row->name);
    put_names(text, "at", fault->a, model);
    if (row->to) {
        buf_add_text(text, ", ");
        put_names(text, "to", fault->b, model);
    }
    buf_add_text(text,
                 fault->both && row->to && fault->kind != FAULT_LIE ? ", both: true, " : ", ");
    put_time(text, "from", from_start(fault->from_ns));
    if (fault->until_ns != SIM_FOREVER) {
        buf_add_text(text, ", ");
        put_time(text, "until", from_start(fault->until_ns));
    }
    if (row->value != SIM_VALUE_NONE && !(row->optional && fault->value == 0))
        buf_add_text(text, ", ");
    if (row->value == SIM_VALUE_SHARE && !(row->optional && fault->value == 0))
        put_share(text, "share", (uint32_t)fault->value);
    else if (row->value == SIM_VALUE_LIE)
        buf_printf(text, "says: %s", SIM_LIE_NAMES[fault->value]);
    else if (row->value == SIM_VALUE_TIME || row->value == SIM_VALUE_CLOCK)
        put_time(text, "time", fault->value < 0 ? -fault->value : fault->value);
    if (fault->value < 0)
        buf_add_text(text, ", behind: true");
    if (fault->jitter_ns > 0) {
        buf_add_text(text, ", ");
        put_time(text, "jitter", fault->jitter_ns);
    }
    buf_add_text(text, "}\n");
}

static void put_wish(Buf *text, const SimWish *wish, const Model *model)
{
    static const char *const NAMES[] = {"drain", "never", "pin", "weight", "release", "reset"};
    buf_add_text(text, "  - {");
    put_time(text, "at", from_start(wish->at_ms));
    buf_printf(text, ", agent: %s, wish: %s, target: ", model->regions[wish->agent].name,
               NAMES[wish->kind]);
    buf_add_json_string(text, wish->target);
    if (wish->region != NULL && wish->region[0] != '\0')
        buf_printf(text, ", region: %s", wish->region);
    if (wish->weight_ppm > 0) {
        buf_add_text(text, ", ");
        put_share(text, "weight", wish->weight_ppm);
    }
    if (wish->for_ms > 0) {
        buf_add_text(text, ", ");
        put_time(text, "for", wish->for_ms * MS);
    }
    buf_add_text(text, "}\n");
}

static void put_expect(Buf *text, const SimExpect *expect, const Model *model)
{
    buf_add_text(text, "  - {");
    put_time(text, "from", from_start(expect->from_ms));
    buf_add_text(text, ", ");
    put_time(text, "until", from_start(expect->until_ms));
    const struct {
        const char *key;
        uint32_t mask;
    } masks[] = {{"who", expect->who},
                 {"held", expect->held},
                 {"care", expect->care},
                 {"last", expect->last},
                 {"slow", expect->slow}};
    for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
        if (masks[i].mask == 0)
            continue;
        buf_add_text(text, ", ");
        put_names(text, masks[i].key, masks[i].mask, model);
    }
    const struct {
        const char *key;
        bool yes;
    } flags[] = {{"once", expect->once}, {"growing", expect->growing}, {"agree", expect->agree}};
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        if (flags[i].yes)
            buf_printf(text, ", %s: true", flags[i].key);
    if (expect->max_apart_ms > 0) {
        buf_add_text(text, ", ");
        put_time(text, "apart", expect->max_apart_ms * MS);
    }
    if (expect->max_transitions > 0)
        buf_printf(text, ", transitions: %" PRIu32, expect->max_transitions);
    if (expect->max_load_ppm > 0)
        buf_printf(text, ", load: %" PRIu32, expect->max_load_ppm / (PPM_ONE / 100));
    const struct {
        const char *key;
        uint32_t ppm;
    } shares[] = {{"shed", expect->max_shed_ppm}, {"failed", expect->max_failed_ppm}};
    for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
        if (shares[i].ppm == 0)
            continue;
        buf_add_text(text, ", ");
        put_share(text, shares[i].key, shares[i].ppm);
    }
    buf_add_text(text, "}\n");
}

static void put_regions(Buf *text, const SimLayout *layout)
{
    const Model *model = layout->model;
    buf_add_text(text, "regions:\n");
    for (uint32_t i = 0; i < model->n_regions; i++) {
        const ModelRegion *region = &model->regions[i];
        buf_printf(text, "  - {name: %s, cloud: %s, capacity: %" PRIu32, region->name,
                   model->clouds[region->cloud].name, region->capacity_rps);
        for (uint32_t k = i + 1; k < model->n_regions; k++) {
            buf_add_text(text, k == i + 1 ? ", rtt: {" : ", ");
            put_time(text, model->regions[k].name, layout->rtt_ns[i][k]);
        }
        buf_add_text(text, i + 1 < model->n_regions ? "}}\n" : "}\n");
    }
}

static void put_head(Buf *text, const SimScenario *scenario)
{
    buf_printf(text, "name: %s\ntext: ", scenario->name);
    buf_add_json_string(text, scenario->text);
    buf_printf(text, "\nlayout: %s\n", scenario->layout != NULL ? scenario->layout : "guide");
    if (scenario->own != NULL)
        put_regions(text, scenario->own);
    put_time(text, "run", from_start(scenario->run_ms));
    buf_add_char(text, '\n');
    if (scenario->traffic_rps > 0)
        buf_printf(text, "traffic: %" PRIu32 "\n", scenario->traffic_rps);
    if (scenario->clients_ppm > 0) {
        put_share(text, "clients", scenario->clients_ppm);
        buf_add_char(text, '\n');
    }
    if (scenario->flap_ms > 0) {
        put_time(text, "flap", scenario->flap_ms * MS);
        buf_add_char(text, '\n');
    }
    if (scenario->queued_probes)
        buf_add_text(text, "queued-probes: true\n");
    if (scenario->calm_at_end)
        buf_add_text(text, "calm: true\n");
    if (scenario->live)
        buf_add_text(text, "live: true\n");
}

void sim_file_format(const SimScenario *scenario, Buf *text)
{
    const SimLayout *layout = scenario->own;
    if (layout == NULL)
        layout = sim_layout_find(scenario->layout != NULL ? scenario->layout : "guide");
    put_head(text, scenario);
    for (size_t i = 0; i < sim_scenario_n_faults(scenario); i++) {
        if (i == 0)
            buf_add_text(text, "faults:\n");
        put_fault(text, &scenario->faults[i], layout->model);
    }
    for (size_t i = 0; i < sim_scenario_n_wishes(scenario); i++) {
        if (i == 0)
            buf_add_text(text, "wishes:\n");
        put_wish(text, &scenario->wishes[i], layout->model);
    }
    for (size_t i = 0; i < sim_scenario_n_expects(scenario); i++) {
        if (i == 0)
            buf_add_text(text, "expect:\n");
        put_expect(text, &scenario->expects[i], layout->model);
    }
}
