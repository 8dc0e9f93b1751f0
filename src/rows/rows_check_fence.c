// SPDX-License-Identifier: MIT
// rows_check_fence: waits until every compared node has applied everything that every other one had
// committed when the fence began. Writers are not stopped: each node says how far its log is, beats
// (the heartbeat travels in the same stream, behind all that was committed before it), and all
// watermarks must pass. What a region that is away had sent is judged by `safe` instead.
#include "rows_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "lww.h"

#define BEAT_NS (200 * NS_PER_MS) // again, in case that a heartbeat is what a late link waits for
#define LOOK_NS (20 * NS_PER_MS)

static uint64_t read_lsn(const char *text)
{
    char *rest;
    uint64_t high = strtoull(text, &rest, 16);
    return *rest == '/' ? high << 32 | strtoull(rest + 1, NULL, 16) : 0;
}

static void put_bit(uint64_t bits[4], uint32_t origin)
{
    bits[origin / 64] |= UINT64_C(1) << (origin % 64);
}

static bool has_bit(const uint64_t bits[4], uint32_t origin)
{
    return bits[origin / 64] >> (origin % 64) & 1;
}

typedef struct Marks {
    uint64_t lsn[256]; // smallest over the compared nodes, of what they have of each origin
    int64_t safe[256];
    uint32_t behind[256]; // the node with that lsn
} Marks;

// Watermarks of all compared nodes. An origin that one of them knows nothing of has 0.
static int read_marks(Check *check, Marks *marks, Error *reterr)
{
    static const char SQL[] = "SELECT origin, lsn, safe FROM wildcam.watermark "
                              "WHERE node = wildcam.me()";
    PGresult *results[CHECK_NODES_MAX];
    int r = check_ask(check, SQL, 0, NULL, results, reterr);
    if (r < 0)
        return r;
    for (uint32_t origin = 0; origin < 256; origin++) {
        marks->lsn[origin] = UINT64_MAX;
        marks->safe[origin] = INT64_MAX;
    }
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        uint64_t lsn[256] = {0};
        int64_t safe[256] = {0};
        for (int row = 0; results[i] != NULL && row < PQntuples(results[i]); row++) {
            uint8_t origin = (uint8_t)check_int(results[i], row, 0);
            lsn[origin] = read_lsn(PQgetvalue(results[i], row, 1));
            safe[origin] = check_int(results[i], row, 2);
        }
        for (uint32_t origin = 0; check_has(check, i) && origin < 256; origin++) {
            if (origin == check->mesh->nodes[i].origin)
                continue;
            if (lsn[origin] < marks->lsn[origin]) {
                marks->lsn[origin] = lsn[origin];
                marks->behind[origin] = i;
            }
            marks->safe[origin] =
                safe[origin] < marks->safe[origin] ? safe[origin] : marks->safe[origin];
        }
    }
    check_results_done(check, results);
    return 0;
}

static int read_ends(Check *check, uint64_t ends[256], Error *reterr)
{
    PGresult *results[CHECK_NODES_MAX];
    int r = check_ask(check, "SELECT pg_current_wal_insert_lsn()", 0, NULL, results, reterr);
    for (uint32_t i = 0; r == 0 && i < check->mesh->n; i++)
        if (results[i] != NULL)
            ends[check->mesh->nodes[i].origin] = read_lsn(PQgetvalue(results[i], 0, 0));
    if (r == 0)
        check_results_done(check, results);
    return r;
}

static int beat(Check *check, Error *reterr)
{
    PGresult *results[CHECK_NODES_MAX];
    int r = check_ask(check, "SELECT wildcam.beat()", 0, NULL, results, reterr);
    if (r == 0)
        check_results_done(check, results);
    return r;
}

// True: all have passed. Notes who has, and one link that has not.
static bool passed(const Check *check, const Marks *marks, const uint64_t ends[256],
                   CheckFence *fence)
{
    bool all = true;
    fence->late[0] = '\0';
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        const MeshNode *node = &check->mesh->nodes[i];
        if (!check_has(check, i) || ends[node->origin] == 0)
            continue;
        if (marks->lsn[node->origin] >= ends[node->origin]) {
            put_bit(fence->origins, node->origin);
            continue;
        }
        all = false;
        (void)snprintf(fence->late, sizeof fence->late, "%s has not yet all of %s",
                       check->mesh->nodes[marks->behind[node->origin]].region, node->region);
    }
    return all;
}

int check_fence(Check *check, CheckFence *ret_fence, Error *reterr)
{
    const char *step = check->step;
    uint64_t ends[256] = {0};
    Marks marks;
    Mono end = mono_add(clock_mono(), check->fence_ns), beaten = MONO_DISTANT;
    memset(ret_fence, 0, sizeof *ret_fence);
    check->step = "waiting for the links";
    int r = read_ends(check, ends, reterr);
    while (r == 0) {
        if (mono_since(clock_mono(), beaten) > BEAT_NS) {
            beaten = clock_mono();
            r = beat(check, reterr);
        }
        if (r == 0)
            r = read_marks(check, &marks, reterr);
        if (r < 0 || passed(check, &marks, ends, ret_fence) || clock_mono().ns > end.ns)
            break;
        if ((r = check_pause(check, LOOK_NS)) < 0)
            (void)error_set(reterr, r, "stopped");
    }
    for (uint32_t origin = 0; r == 0 && origin < 256; origin++)
        check->safe[origin] = marks.safe[origin] == INT64_MAX ? 0 : marks.safe[origin];
    check->step = step;
    return r;
}

bool check_fenced(const Check *check, const CheckFence *fence, uint32_t origin, int64_t v)
{
    if (origin == 0 || has_bit(fence->origins, origin & 255) ||
        has_bit(check->inactive, origin & 255))
        return true;
    return v >> 8 <= check->safe[origin & 255];
}
