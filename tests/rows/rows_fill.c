// SPDX-License-Identifier: MIT
// rows-fill: one mesh_fill between two databases, for tests and benches. Not installed.
//   rows-fill GIVER TAKER GIVER_ORIGIN TAKER_ORIGIN SINCE_US BATCH INACTIVE(0|1) [ORIGIN...]
// Prints "rows tombstones expected dead_letters milliseconds"; exit 1 with the error on stderr.
// With ROWS_FILL_STOP=N it stops when N rows have gone.
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "fill.h"

static bool told(void *context, const FillProgress *progress)
{
    const uint64_t *stop = context;
    return *stop == 0 || progress->rows < *stop;
}

static int fail(const Error *err)
{
    (void)fprintf(stderr, "%s\n", error_text(err));
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 8)
        return 2;
    Error err CLEANUP(error_done) = ERROR_INIT;
    const char *conninfos[] = {argv[1], argv[2]};
    const uint32_t numbers[] = {(uint32_t)strtoul(argv[3], NULL, 10),
                                (uint32_t)strtoul(argv[4], NULL, 10)};
    uint8_t origins[256];
    FillWanted wanted = {.origins = origins,
                         .since_us = strtoll(argv[5], NULL, 10),
                         .batch_rows = (uint32_t)strtoul(argv[6], NULL, 10),
                         .and_inactive = argv[7][0] == '1'};
    for (int i = 8; i < argc && i < 200; i++)
        origins[wanted.n_origins++] = (uint8_t)strtoul(argv[i], NULL, 10);
    Mesh *mesh = NULL;
    if (mesh_open_conninfos(conninfos, numbers, 2, NULL, &mesh, &err) < 0)
        return fail(&err);
    const char *text = getenv("ROWS_FILL_STOP");
    uint64_t stop = text != NULL ? strtoull(text, NULL, 10) : 0;
    FillProgress done = {0};
    Mono begin = clock_mono();
    int r = mesh_fill(mesh, &mesh->nodes[0], &mesh->nodes[1], &wanted, told, &stop, &done, &err);
    if (r == 0)
        (void)printf("%llu %llu %llu %llu %lld\n", (unsigned long long)done.rows,
                     (unsigned long long)done.tombstones, (unsigned long long)done.expected,
                     (unsigned long long)done.dead_letters,
                     (long long)(mono_since(clock_mono(), begin) / NS_PER_MS));
    mesh_free(mesh);
    return r < 0 ? fail(&err) : 0;
}
