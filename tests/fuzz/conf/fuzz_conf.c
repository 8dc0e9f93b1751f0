// SPDX-License-Identifier: MIT
// Any bytes as fleet.yaml: either a Conf whose model keeps its promises, or problems that name a
// place and can be printed. Never a crash, never a Conf that the core could not use.
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "conf.h"
#include "conf_diff.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_model(const Model *model)
{
    uint64_t demand = 0;
    ASSERT(model->n_regions > 0 && model->n_clouds > 0 && model->n_services > 0);
    for (uint32_t i = 0; i < model->n_regions; i++) {
        const ModelRegion *region = &model->regions[i];
        Ip ip;
        ASSERT(region->cloud < model->n_clouds);
        ASSERT(region->origin >= 1 && region->origin <= 255);
        ASSERT(region->edge_port > 0 && region->peer_port > 0 && region->capacity_rps > 0);
        ASSERT(ip_parse(region->address, &ip) == 0);
        for (uint32_t j = 0; j < i; j++)
            ASSERT(strcmp(model->regions[j].name, region->name) != 0);
    }
    for (uint32_t i = 0; i < model->n_groups; i++) {
        demand += model->groups[i].demand_ppm;
        for (uint32_t j = 0; j < model->n_regions; j++)
            ASSERT(model->groups[i].latency_us[j] >= 0);
    }
    ASSERT(demand == PPM_ONE);
    for (uint32_t i = 0; i < model->n_prefixes; i++) {
        const IpPrefix *here = &model->prefixes[i].prefix;
        ASSERT(model->prefixes[i].group < model->n_groups);
        ASSERT(i == 0 || memcmp(&model->prefixes[i - 1].prefix, here, sizeof *here) < 0);
    }
    ASSERT(model->health.failures > 0);
    ASSERT(model->health.deadline_max_ns < model->health.span_soft_ns);
    ASSERT(model->health.return_steps_ppm[3] == PPM_ONE);
}

static void check_problem(const ConfProblem *problem)
{
    size_t len = strlen(problem->text);
    ASSERT(problem->line > 0 && problem->column > 0);
    ASSERT(strncmp(problem->text, "F:", 2) == 0);
    ASSERT(utf8_valid(problem->text, len));
    for (size_t i = 0; i < len; i++)
        ASSERT((unsigned char)problem->text[i] >= 0x20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Conf *conf = NULL;
    ConfProblems problems;
    Error err = ERROR_INIT;
    int r = conf_parse("F", (const char *)data, size, &conf, &problems, &err);
    ASSERT((r == 0) == (conf != NULL));
    ASSERT(problems.n <= 20);
    ASSERT(r != ERROR_FORMAT || problems.n > 0);
    for (size_t i = 0; i < problems.n; i++)
        check_problem(&problems.items[i]);
    if (r == 0) {
        Buf text = BUF_INIT(0);
        check_model(&conf->model);
        ASSERT(conf_diff(conf, conf, &text) == 0);
        ASSERT(text.len == 0);
        buf_done(&text);
    }
    conf_problems_done(&problems);
    error_done(&err);
    (void)conf_free(conf);
    return 0;
}
