// SPDX-License-Identifier: MIT
// sim_file_layout: see sim_file_layout.h. Every region is also the client group of its
// surroundings, all with the same demand; clouds are numbered in the order in which they appear.
#include "sim_file_layout.h"

#include <string.h>

#define LOCAL_NS NS_PER_MS
#define ACCESS_US 10000 // clients are so far from the region nearest to them
#define REGIONS_MIN 3

typedef int64_t Matrix[SIM_REGIONS_MAX];

typedef struct Made {
    Arena *arena;
    ConfReport *report;
    const RawRegion *raw;
    const TreeNode *list;
    uint32_t n;
    Model *model;
    ModelCloud *clouds;
    ModelRegion *regions;
    Matrix *rtt_ns;
} Made;

static void refuse(const Made *made, uint32_t i, const char *key, const char *what,
                   const char *allowed)
{
    const TreeNode *item = conf_tree_at(made->list, i), *node = conf_tree_get(item, key);
    node = node != NULL ? node : item;
    conf_report_error(made->report, node->line, node->column,
                      "key 'regions.%s.%s': %s; allowed: %s", made->raw[i].name, key, what,
                      allowed);
}

static uint32_t cloud_of(Made *made, const char *name)
{
    for (uint32_t i = 0; i < made->model->n_clouds; i++)
        if (strcmp(made->clouds[i].name, name) == 0)
            return i;
    made->clouds[made->model->n_clouds].name = name;
    return made->model->n_clouds++;
}

static int make_regions(Made *made)
{
    for (uint32_t i = 0; i < made->n; i++) {
        const RawRegion *raw = &made->raw[i];
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(made->raw[k].name, raw->name) == 0)
                refuse(made, i, "name", "a second region of that name", "another name");
        if (strcmp(raw->name, "all") == 0 || strcmp(raw->name, "none") == 0)
            refuse(made, i, "name", "a word of its own", "another name");
        made->regions[i] = (ModelRegion){
            .name = raw->name,
            .cloud = cloud_of(made, raw->cloud),
            .origin = i + 1,
            .capacity_rps = raw->capacity_rps,
            .address = arena_printf(made->arena, "127.9.%u.1", i + 1),
            .edge_port = 8443,
            .peer_port = 8444,
            .replicas = 2,
            .egress_cost = 90000000,
        };
        if (made->regions[i].address == NULL)
            return ERROR_MEMORY;
    }
    return 0;
}

static void read_round_trips(Made *made, uint32_t i)
{
    const ConfList *list = &made->raw[i].rtt;
    for (uint32_t k = 0; k < list->n; k++) {
        const ConfNamedNumber *item = &((const ConfNamedNumber *)list->items)[k];
        int other = model_find_region(made->model, item->name);
        if (other < 0 || (uint32_t)other == i) {
            refuse(made, i, "rtt", "a name that is no other region", "names of other regions");
            continue;
        }
        int64_t *there = &made->rtt_ns[i][other], *back = &made->rtt_ns[other][i];
        if (item->value < LOCAL_NS)
            refuse(made, i, "rtt", "below 1ms", "1ms to 10s");
        if (*there != 0 && *there != item->value)
            refuse(made, i, "rtt", "another value than the other region says", "once per pair");
        *there = *back = item->value;
    }
}

static int make_groups(Made *made)
{
    ASSERT(made->n > 0);
    ModelGroup *groups = arena_new_array(made->arena, ModelGroup, made->n);
    if (groups == NULL)
        return ERROR_MEMORY;
    uint32_t left = PPM_ONE;
    for (uint32_t i = 0; i < made->n; i++) {
        int64_t *latency_us = arena_new_array(made->arena, int64_t, made->n);
        if (latency_us == NULL)
            return ERROR_MEMORY;
        for (uint32_t k = 0; k < made->n; k++)
            latency_us[k] = ACCESS_US + made->rtt_ns[i][k] / NS_PER_US;
        uint32_t share = i + 1 < made->n ? PPM_ONE / made->n : left;
        left -= share;
        groups[i] =
            (ModelGroup){.name = made->raw[i].name, .latency_us = latency_us, .demand_ppm = share};
    }
    made->model->n_groups = made->n;
    made->model->groups = groups;
    ModelPrefix *prefixes = arena_memdup(made->arena, made->model->prefixes,
                                         made->model->n_prefixes * sizeof *prefixes);
    if (prefixes == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < made->model->n_prefixes; i++)
        prefixes[i].group %= made->n;
    made->model->prefixes = prefixes;
    return 0;
}

int sim_file_layout(const RawScenario *raw, const TreeNode *root, Arena *arena, ConfReport *report,
                    const SimLayout **ret_layout)
{
    Made made = {
        .arena = arena,
        .report = report,
        .raw = raw->regions.items,
        .list = conf_tree_get(root, "regions"),
        .n = raw->regions.n,
        .model = arena_memdup(arena, sim_model(), sizeof(Model)),
        .clouds = arena_new_array(arena, ModelCloud, SIM_REGIONS_MAX),
        .regions = arena_new_array(arena, ModelRegion, SIM_REGIONS_MAX),
        .rtt_ns = arena_new_array(arena, Matrix, SIM_REGIONS_MAX),
    };
    SimLayout *layout = arena_new_of(arena, SimLayout);
    if (made.model == NULL || made.clouds == NULL || made.regions == NULL || made.rtt_ns == NULL ||
        layout == NULL)
        return ERROR_MEMORY;
    if (made.n < REGIONS_MIN) {
        conf_report_error(report, made.list->line, made.list->column,
                          "key 'regions': too few; allowed: 3 to 12 regions");
        return 0;
    }
    made.model->n_clouds = 0;
    made.model->clouds = made.clouds;
    made.model->n_regions = made.n;
    made.model->regions = made.regions;
    int r = make_regions(&made);
    for (uint32_t i = 0; i < made.n && r == 0; i++)
        read_round_trips(&made, i);
    for (uint32_t i = 0; i < made.n && r == 0; i++) {
        made.rtt_ns[i][i] = LOCAL_NS;
        for (uint32_t k = 0; k < i; k++)
            if (made.rtt_ns[i][k] == 0)
                refuse(&made, i, "rtt", "a pair without a round trip", "one for each other region");
    }
    if (r == 0)
        r = make_groups(&made);
    *layout = (SimLayout){.name = "own",
                          .model = made.model,
                          .rtt_ns = (const int64_t(*)[SIM_REGIONS_MAX])made.rtt_ns};
    *ret_layout = layout;
    return r;
}
