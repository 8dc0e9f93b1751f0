// SPDX-License-Identifier: MIT
// fixture: see fixture.h.
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "attr.h"
#include "bounds.h"

static void *zeroed(size_t count, size_t size)
{
    void *data = calloc(count, size);
    ASSERT(data != NULL);
    return data;
}

static const ModelHealth health = {
    .probe_interval_ns = 250 * NS_PER_MS,
    .probe_fast_ns = 100 * NS_PER_MS,
    .hedge_ns = 250 * NS_PER_MS,
    .deadline_min_ns = 500 * NS_PER_MS,
    .deadline_max_ns = 1250 * NS_PER_MS,
    .slow_ns = 5 * NS_PER_S,
    .failures = 3,
    .span_hard_ns = 400 * NS_PER_MS,
    .span_soft_ns = 1500 * NS_PER_MS,
    .report_interval_ns = 250 * NS_PER_MS,
    .report_push_gap_ns = 50 * NS_PER_MS,
    .fresh_ns = 1500 * NS_PER_MS,
    .sick_hold_ns = 3 * NS_PER_S,
    .boot_ns = 2 * NS_PER_S,
    .loop_gap_ns = 500 * NS_PER_MS,
    .veto_max_ns = 10 * NS_PER_S,
    .up_time_ns = 2 * NS_PER_S,
    .hold_ns = 10 * NS_PER_S,
    .hold_max_ns = 300 * NS_PER_S,
    .forgive_ns = 600 * NS_PER_S,
    .return_steps_ppm = {100000, 250000, 500000, PPM_ONE},
    .return_step_ns = 5 * NS_PER_S,
    .error_rate_ppm = 50000,
    .removal_floor_ppm = 500000,
    .removal_gap_ns = 10 * NS_PER_S,
};

static const ModelPick pick = {
    .eject_failures = 2,
    .eject_ns = NS_PER_S,
    .eject_max_ns = 30 * NS_PER_S,
    .stall_inflight = 2,
    .stall_ns = 200 * NS_PER_MS,
    .stall_min_rps = 20,
    .retry_budget_ppm = 200000,
    .retry_burst = 10,
};

static void fill_regions(Fixture *fixture)
{
    Model *model = &fixture->model;
    for (uint32_t c = 0; c < model->n_clouds; c++) {
        char *name = fixture->names[model->n_regions + c];
        (void)snprintf(name, sizeof *fixture->names, "cloud%u", c);
        fixture->clouds[c].name = name;
    }
    for (uint32_t r = 0; r < model->n_regions; r++) {
        uint32_t cloud = (uint32_t)((uint64_t)r * model->n_clouds / model->n_regions);
        (void)snprintf(fixture->names[r], sizeof *fixture->names, "c%u-r%u", cloud, r);
        fixture->regions[r] = (ModelRegion){.name = fixture->names[r],
                                            .cloud = cloud,
                                            .origin = r % 255 + 1,
                                            .capacity_rps = 1000,
                                            .address = "127.0.0.1",
                                            .edge_port = 8443,
                                            .peer_port = 8444,
                                            .replicas = 2};
    }
}

static void fill_groups(Fixture *fixture)
{
    Model *model = &fixture->model;
    for (uint32_t g = 0; g < model->n_groups; g++) {
        char *name = fixture->names[model->n_regions + model->n_clouds + g];
        (void)snprintf(name, sizeof *fixture->names, "group%u", g);
        int64_t *latency = fixture->latency_us + (size_t)g * model->n_regions;
        for (uint32_t r = 0; r < model->n_regions; r++)
            latency[r] = 5000 + 10000 * (int64_t)((r + model->n_regions - g % model->n_regions) %
                                                  model->n_regions);
        fixture->groups[g] = (ModelGroup){
            .name = name, .latency_us = latency, .demand_ppm = PPM_ONE / model->n_groups};
    }
}

Fixture *fixture_new(uint32_t n_regions, uint32_t n_clouds, uint32_t n_groups)
{
    Fixture *fixture = zeroed(1, sizeof *fixture);
    fixture->clouds = zeroed(n_clouds, sizeof *fixture->clouds);
    fixture->regions = zeroed(n_regions, sizeof *fixture->regions);
    fixture->services = zeroed(1, sizeof *fixture->services);
    fixture->groups = zeroed(n_groups, sizeof *fixture->groups);
    fixture->latency_us = zeroed((size_t)n_groups * n_regions, sizeof *fixture->latency_us);
    fixture->names = zeroed(n_regions + n_clouds + n_groups, sizeof *fixture->names);
    fixture->services[0] = (ModelService){
        .name = "api", .classes = CLASS_MASK_ALL, .open = {[SERVICE_CLASS_READ] = true}};
    fixture->model = (Model){.fleet = "test",
                             .domain = "wildcam.org",
                             .generation = 1,
                             .config_hash = 0xc0ffee,
                             .n_clouds = n_clouds,
                             .n_regions = n_regions,
                             .n_services = 1,
                             .n_groups = n_groups,
                             .n_prefixes = 1,
                             .clouds = fixture->clouds,
                             .regions = fixture->regions,
                             .services = fixture->services,
                             .groups = fixture->groups,
                             .prefixes = &fixture->prefix,
                             .prefixes_digest = 7,
                             .health = health,
                             .pick = pick,
                             .clock_max_skew_ns = 500 * NS_PER_MS};
    fill_regions(fixture);
    fill_groups(fixture);
    return fixture;
}

void fixture_free(Fixture *fixture)
{
    if (fixture == NULL)
        return;
    free(fixture->clouds);
    free(fixture->regions);
    free(fixture->services);
    free(fixture->groups);
    free(fixture->latency_us);
    free(fixture->names);
    free(fixture);
}

CoreOptions fixture_options(const Fixture *fixture, uint32_t own)
{
    static const char *sockets[BOUND_REPLICAS];
    for (size_t i = 0; i < BOUND_REPLICAS; i++)
        sockets[i] = "/run/backend.sock";
    return (CoreOptions){.own = own,
                         .seed = 42 + own,
                         .boot = 1000 + own,
                         .first_plan = (UINT64_C(7) << 32) + 1,
                         .replica_sockets = sockets};
}
