// SPDX-License-Identifier: MIT
// edge_counters: see edge_counters.h.
#include "edge_counters.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "counters.h"
#include "files.h"
#include "layout.h"

// A request that this edge passed on to another gateway is served, and counted, there.
static EdgeCounts counts_of(const CountersEdge *edge)
{
    uint64_t elsewhere = edge->shed + edge->shed_peer + edge->forwarded;
    return (EdgeCounts){.retries = edge->retries,
                        .shed = edge->shed + edge->shed_peer,
                        .served = edge->requests > elsewhere ? edge->requests - elsewhere : 0};
}

void edge_counters_read(const char *dir, const char *name, uint32_t region, EdgeCounters *counters)
{
    LayoutPath folder_path = layout_region(dir, name, "counters");
    DIR *folder = opendir(folder_path.text);
    if (folder == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strncmp(entry->d_name, "edge-", 5) != 0 || counters->n == EDGE_COUNTERS_SLOTS)
            continue;
        char path[LAYOUT_PATH_MAX + 300];
        (void)snprintf(path, sizeof path, "%s/%s", folder_path.text, entry->d_name);
        char *bytes CLEANUP(free_textp) = NULL;
        size_t len;
        const CountersFile *file;
        if (files_read(path, sizeof(CountersFile), &bytes, &len, NULL) == 0 &&
            counters_check(bytes, len, &file, NULL) == 0)
            counters->items[counters->n++] = (EdgeCounter){
                region, file->header.pid, file->header.started_ns, counts_of(&file->edge)};
    }
    (void)closedir(folder);
}

static EdgeCounts counts_then(const EdgeCounters *before, const EdgeCounter *now)
{
    for (uint32_t i = 0; i < before->n; i++) {
        const EdgeCounter *then = &before->items[i];
        if (then->region == now->region && then->pid == now->pid &&
            then->started_ns == now->started_ns)
            return then->counts;
    }
    return (EdgeCounts){0};
}

EdgeCounts edge_counters_between(const EdgeCounters *before, const EdgeCounters *after,
                                 uint64_t regions)
{
    EdgeCounts sum = {0};
    for (uint32_t i = 0; i < after->n; i++) {
        const EdgeCounter *now = &after->items[i];
        if ((regions >> now->region & 1) == 0)
            continue;
        EdgeCounts then = counts_then(before, now);
        sum.retries += counters_delta(now->counts.retries, then.retries, UINT32_MAX);
        sum.shed += counters_delta(now->counts.shed, then.shed, UINT32_MAX);
        sum.served += counters_delta(now->counts.served, then.served, UINT32_MAX);
    }
    return sum;
}
