// SPDX-License-Identifier: MIT
// sim_layout: see sim_layout.h. The layout of twelve regions: each of the three clouds in Oregon,
// Virginia, Ireland and Singapore. Everything but the regions and groups is as in sim_model.c.
#include "sim_layout.h"

#include <string.h>

#include "attr.h"

#define MS NS_PER_MS
static const int64_t RTT_TWELVE[SIM_REGIONS_MAX][SIM_REGIONS_MAX] = {
    {1 * MS, 65 * MS, 140 * MS, 170 * MS, 8 * MS, 65 * MS, 140 * MS, 170 * MS, 8 * MS, 65 * MS,
     140 * MS, 170 * MS},
    {65 * MS, 1 * MS, 80 * MS, 220 * MS, 65 * MS, 8 * MS, 80 * MS, 220 * MS, 65 * MS, 8 * MS,
     80 * MS, 220 * MS},
    {140 * MS, 80 * MS, 1 * MS, 160 * MS, 140 * MS, 80 * MS, 8 * MS, 160 * MS, 140 * MS, 80 * MS,
     8 * MS, 160 * MS},
    {170 * MS, 220 * MS, 160 * MS, 1 * MS, 170 * MS, 220 * MS, 160 * MS, 8 * MS, 170 * MS, 220 * MS,
     160 * MS, 8 * MS},
    {8 * MS, 65 * MS, 140 * MS, 170 * MS, 1 * MS, 65 * MS, 140 * MS, 170 * MS, 8 * MS, 65 * MS,
     140 * MS, 170 * MS},
    {65 * MS, 8 * MS, 80 * MS, 220 * MS, 65 * MS, 1 * MS, 80 * MS, 220 * MS, 65 * MS, 8 * MS,
     80 * MS, 220 * MS},
    {140 * MS, 80 * MS, 8 * MS, 160 * MS, 140 * MS, 80 * MS, 1 * MS, 160 * MS, 140 * MS, 80 * MS,
     8 * MS, 160 * MS},
    {170 * MS, 220 * MS, 160 * MS, 8 * MS, 170 * MS, 220 * MS, 160 * MS, 1 * MS, 170 * MS, 220 * MS,
     160 * MS, 8 * MS},
    {8 * MS, 65 * MS, 140 * MS, 170 * MS, 8 * MS, 65 * MS, 140 * MS, 170 * MS, 1 * MS, 65 * MS,
     140 * MS, 170 * MS},
    {65 * MS, 8 * MS, 80 * MS, 220 * MS, 65 * MS, 8 * MS, 80 * MS, 220 * MS, 65 * MS, 1 * MS,
     80 * MS, 220 * MS},
    {140 * MS, 80 * MS, 8 * MS, 160 * MS, 140 * MS, 80 * MS, 8 * MS, 160 * MS, 140 * MS, 80 * MS,
     1 * MS, 160 * MS},
    {170 * MS, 220 * MS, 160 * MS, 8 * MS, 170 * MS, 220 * MS, 160 * MS, 8 * MS, 170 * MS, 220 * MS,
     160 * MS, 1 * MS},
};

#define REGION(text, cloud_, origin_, address_)                                                    \
    {                                                                                              \
        .name = (text), .cloud = (cloud_), .origin = (origin_), .capacity_rps = 1000,              \
        .address = (address_), .edge_port = 8443, .peer_port = 8444, .replicas = 2,                \
        .egress_cost = 90000000                                                                    \
    }
static const ModelRegion TWELVE[SIM_REGIONS_MAX] = {
    REGION("us-west-2", 0, 1, "127.1.1.1"),     REGION("us-east-1", 0, 2, "127.1.2.1"),
    REGION("eu-west-1", 0, 3, "127.1.3.1"),     REGION("ap-southeast-1", 0, 4, "127.1.4.1"),
    REGION("westus2", 1, 5, "127.2.1.1"),       REGION("eastus", 1, 6, "127.2.2.1"),
    REGION("northeurope", 1, 7, "127.2.3.1"),   REGION("southeastasia", 1, 8, "127.2.4.1"),
    REGION("us-west1", 2, 9, "127.3.1.1"),      REGION("us-east1", 2, 10, "127.3.2.1"),
    REGION("europe-west1", 2, 11, "127.3.3.1"), REGION("asia-southeast1", 2, 12, "127.3.4.1"),
};

static const int64_t WEST_US[] = {12000,  72000,  150000, 180000, 12500,  72500,
                                  150500, 180500, 13000,  73000,  151000, 181000};
static const int64_t EAST_US[] = {72000, 11000,  90000, 230000, 72500, 11500,
                                  90500, 230500, 73000, 12000,  91000, 231000};
static const int64_t EUROPE_US[] = {150000, 90000,  12000,  170000, 150500, 90500,
                                    12500,  170500, 151000, 91000,  13000,  171000};
static const int64_t ASIA_US[] = {180000, 230000, 170000, 12000,  180500, 230500,
                                  170500, 12500,  181000, 231000, 171000, 13000};
static const ModelGroup GROUPS[] = {
    {.name = "west", .latency_us = WEST_US, .demand_ppm = 300000},
    {.name = "east", .latency_us = EAST_US, .demand_ppm = 300000},
    {.name = "europe", .latency_us = EUROPE_US, .demand_ppm = 250000},
    {.name = "asia", .latency_us = ASIA_US, .demand_ppm = 150000},
};

static const SimLayout *twelve(void)
{
    static Model model;
    static const SimLayout LAYOUT = {.name = "twelve", .model = &model, .rtt_ns = RTT_TWELVE};
    model = *sim_model();
    model.n_regions = ARRAY_SIZE(TWELVE);
    model.regions = TWELVE;
    model.n_groups = ARRAY_SIZE(GROUPS);
    model.groups = GROUPS;
    return &LAYOUT;
}

const SimLayout *sim_layout_find(const char *name)
{
    static SimLayout guide = {.name = "guide", .rtt_ns = SIM_RTT_GUIDE};
    static SimLayout world = {.name = "world", .rtt_ns = SIM_RTT_WORLD};
    guide.model = world.model = sim_model();
    if (strcmp(name, "guide") == 0)
        return &guide;
    if (strcmp(name, "world") == 0)
        return &world;
    return strcmp(name, "twelve") == 0 ? twelve() : NULL;
}
