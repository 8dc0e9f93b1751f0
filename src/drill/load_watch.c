// SPDX-License-Identifier: MIT
// load_watch: see load_watch.h.
#include "load_watch.h"

#include <string.h>

#define GAP_NS NS_PER_S

void load_watch_begin(LoadWatch *load)
{
    load->on = true;
    load->n = 0;
    load->measured = 0;
    memset(load->peak_rps, 0, sizeof load->peak_rps);
}

static bool has_workers(const EdgeCounters *counters, uint32_t region)
{
    for (uint32_t i = 0; i < counters->n; i++) {
        if (counters->items[i].region == region)
            return true;
    }
    return false;
}

void load_watch_add(LoadWatch *load, Mono at, const EdgeCounters *counters)
{
    if (load->n == LOAD_WATCH_SAMPLES) {
        memmove(load->at, load->at + 1, sizeof load->at - sizeof load->at[0]);
        memmove(load->samples, load->samples + 1, sizeof load->samples - sizeof load->samples[0]);
        load->n--;
    }
    load->at[load->n] = at;
    load->samples[load->n++] = *counters;
    if (load->n < LOAD_WATCH_SAMPLES)
        return;
    double seconds = (double)mono_since(at, load->at[0]) / 1e9;
    for (uint32_t i = 0; i < load->model->n_regions && i < LOAD_WATCH_REGIONS; i++) {
        if (!has_workers(&load->samples[0], i) || !has_workers(counters, i))
            continue;
        load->measured |= UINT64_C(1) << i;
        EdgeCounts counts = edge_counters_between(&load->samples[0], counters, UINT64_C(1) << i);
        double rps = (double)counts.served / seconds;
        if (rps > load->peak_rps[i])
            load->peak_rps[i] = rps;
    }
}

void load_watch_look(LoadWatch *load, Mono now)
{
    if (!load->on || (load->n > 0 && mono_since(now, load->at[load->n - 1]) < GAP_NS))
        return;
    static EdgeCounters counters;
    counters.n = 0;
    for (uint32_t i = 0; i < load->model->n_regions && i < LOAD_WATCH_REGIONS; i++)
        edge_counters_read(load->dir, load->model->regions[i].name, i, &counters);
    load_watch_add(load, now, &counters);
}
