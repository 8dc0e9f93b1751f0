// SPDX-License-Identifier: MIT
// edge_counters: see edge_counters.h.
#include "edge_counters.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "counters.h"
#include "files.h"
#include "layout.h"

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
                region, file->header.pid, file->header.started_ns, file->edge.retries};
    }
    (void)closedir(folder);
}

uint64_t edge_counters_retries(const EdgeCounters *before, const EdgeCounters *after,
                               uint64_t regions)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < after->n; i++) {
        const EdgeCounter *now = &after->items[i];
        if ((regions >> now->region & 1) == 0)
            continue;
        uint64_t was = 0;
        for (uint32_t k = 0; k < before->n; k++) {
            const EdgeCounter *then = &before->items[k];
            if (then->region == now->region && then->pid == now->pid &&
                then->started_ns == now->started_ns)
                was = then->retries;
        }
        sum += counters_delta(now->retries, was, UINT32_MAX);
    }
    return sum;
}
