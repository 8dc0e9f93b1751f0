// SPDX-License-Identifier: MIT
// rowsd_cause: why an apply worker fails, in one sentence. First the catalogs: what the publisher
// sends against what is here. What they do not tell stands in the server's log only, which can be
// read where the server runs on this machine.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "mesh.h"

typedef struct CauseWanted {
    Mesh *mesh;
    MeshNode *own, *publisher; // publisher may be NULL or not connected
    const char *subscription;
    const char *dir;
} CauseWanted;

// "" when nothing is found.
void rowsd_cause_find(const CauseWanted *wanted, char *text, size_t size);
// The newest error of the apply worker of replication origin `origin` ("pg_16400") in a log's end.
// Pure; `log` is text of a stranger's length, cut anywhere. False: none.
bool rowsd_cause_of_log(const char *log, const char *origin, char *text, size_t size);
