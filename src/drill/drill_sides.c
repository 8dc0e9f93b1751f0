// SPDX-License-Identifier: MIT
// drill_sides: which regions a side of a drill means, as masks.
#include <stdlib.h>

#include "drill_state.h"

bool drill_is_target(const Drill *drill, uint32_t region)
{
    return (drill->options->regions >> region & 1) != 0;
}

uint64_t drill_all_regions(const Drill *drill)
{
    return drill->model->n_regions < 64 ? (UINT64_C(1) << drill->model->n_regions) - 1 : UINT64_MAX;
}

uint64_t drill_dead_edges(const Drill *drill)
{
    return drill->row->edges_die ? drill->options->regions : 0;
}

uint64_t drill_able_agents(const Drill *drill)
{
    return drill_all_regions(drill) & ~(drill->row->blind ? drill->options->regions : 0);
}

uint64_t drill_cloud(const Drill *drill, uint32_t cloud)
{
    uint64_t regions = 0;
    for (uint32_t i = 0; i < drill->model->n_regions; i++)
        regions |= drill->model->regions[i].cloud == cloud ? UINT64_C(1) << i : 0;
    return regions;
}

uint64_t drill_side(const Drill *drill, DrillSide side)
{
    switch (side) {
    case SIDE_TARGET:
        return drill->options->regions;
    case SIDE_REST:
        return drill_all_regions(drill) & ~drill->options->regions;
    case SIDE_ALL:
    case SIDE_EACH_CLOUD:
        break;
    }
    return drill_all_regions(drill);
}

uint64_t drill_share(const Drill *drill)
{
    const char *given = drill->options->rate;
    uint64_t rate = given != NULL ? strtoull(given, NULL, 10)
                                  : drill->options->conf->drills.requests_per_second;
    uint64_t replicas = 0;
    for (uint32_t i = 0; i < drill->model->n_regions; i++)
        replicas += drill->model->regions[i].replicas;
    return replicas > 0 ? rate / replicas : 0;
}
