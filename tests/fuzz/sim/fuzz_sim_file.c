// SPDX-License-Identifier: MIT
// Any bytes as a scenario file: either a scenario that keeps its promises and is written and read
// back as the same, or problems that name a place. Never a crash, never a fault nowhere.
#include <stdlib.h>
#include <string.h>

#include "sim_fault_kind.h"
#include "sim_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const SimScenario *scenario)
{
    const SimLayout *layout = scenario->own;
    if (layout == NULL)
        layout = sim_layout_find(scenario->layout != NULL ? scenario->layout : "guide");
    ASSERT(layout->model->n_regions >= 3 && layout->model->n_regions <= SIM_REGIONS_MAX);
    ASSERT(scenario->run_ms > 0);
    uint32_t all = sim_world_all(layout->model);
    for (size_t i = 0; i < sim_scenario_n_faults(scenario); i++) {
        const SimFault *fault = &scenario->faults[i];
        ASSERT(fault->a != 0 && (fault->a & ~all) == 0 && (fault->b & ~all) == 0);
        ASSERT(fault->until_ns > fault->from_ns && fault->from_ns >= -SIM_WARM_UP_MS);
        ASSERT(fault->jitter_ns >= 0);
    }
    for (size_t i = 0; i < sim_scenario_n_wishes(scenario); i++)
        ASSERT(scenario->wishes[i].agent < layout->model->n_regions);
    for (uint32_t i = 0; i < layout->model->n_regions; i++)
        for (uint32_t k = 0; k < layout->model->n_regions; k++)
            ASSERT(layout->rtt_ns[i][k] > 0 && layout->rtt_ns[i][k] == layout->rtt_ns[k][i]);
}

static void come_back(const SimScenario *scenario)
{
    Buf first = BUF_INIT(0), second = BUF_INIT(0);
    SimFile *file = NULL;
    sim_file_format(scenario, &first);
    int r = sim_file_parse("F", buf_text(&first), first.len, &file, NULL);
    ASSERT(r == 0);
    sim_file_format(sim_file_scenario(file), &second);
    ASSERT(strcmp(buf_text(&first), buf_text(&second)) == 0);
    (void)sim_file_free(file);
    buf_done(&first);
    buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SimFile *file = NULL;
    Error err = ERROR_INIT;
    int r = sim_file_parse("F", (const char *)data, size, &file, &err);
    ASSERT((r == 0) == (file != NULL));
    ASSERT(r != ERROR_FORMAT || strncmp(error_text(&err), "F:", 2) == 0);
    if (r == 0) {
        check(sim_file_scenario(file));
        come_back(sim_file_scenario(file));
    }
    (void)sim_file_free(file);
    error_done(&err);
    return 0;
}
