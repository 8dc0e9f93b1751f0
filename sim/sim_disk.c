// SPDX-License-Identifier: MIT
// sim_disk: see sim_disk.h.
#include "sim_disk.h"

#include "sim_message.h"

#define DISK_BYTES ((size_t)4 << 20)

// A deep copy of `n` intents in an arena of its own, which replaces *arena.
static int copy(const Intent *intents, uint32_t n, Arena **arena, const Intent **ret_intents,
                Error *reterr)
{
    static const Intent NONE = {0};
    Report carrier = {.region = "", .n_intents = n};
    union {
        const Intent *from;
        Intent *to;
    } list = {.from = n > 0 ? intents : &NONE};
    carrier.intents = list.to; // only read
    Arena *disk = arena_new(DISK_BYTES);
    const Report *kept = disk != NULL ? sim_report_copy(disk, &carrier) : NULL;
    if (kept == NULL) {
        (void)arena_free(disk);
        return error_set(reterr, ERROR_MEMORY, "keep intents");
    }
    (void)arena_free(*arena);
    *arena = disk;
    *ret_intents = kept->intents;
    return 0;
}

int sim_disk_keep(SimAgent *agent, Error *reterr)
{
    const Intent *intents;
    uint32_t n = core_intents(agent->core, &intents);
    int r = copy(intents, n, &agent->disk, &agent->intents, reterr);
    if (r == 0)
        agent->n_intents = n;
    return r;
}

int sim_disk_back_up(SimAgent *agent, Error *reterr)
{
    SimBackup *backup = &agent->backup;
    int r = copy(agent->intents, agent->n_intents, &backup->disk, &backup->intents, reterr);
    if (r == 0) {
        backup->n_intents = agent->n_intents;
        backup->epoch = agent->epoch;
    }
    return r;
}

int sim_disk_restore(SimAgent *agent, Error *reterr)
{
    const SimBackup *backup = &agent->backup;
    int r = copy(backup->intents, backup->n_intents, &agent->disk, &agent->intents, reterr);
    if (r == 0) {
        agent->n_intents = backup->n_intents;
        agent->epoch = backup->epoch;
    }
    return r;
}

void sim_disk_done(SimAgent *agent)
{
    agent->disk = arena_free(agent->disk);
    agent->backup.disk = arena_free(agent->backup.disk);
}
