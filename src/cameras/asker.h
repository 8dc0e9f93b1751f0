// SPDX-License-Identifier: MIT
// asker: plain questions to the fleet's UNIX sockets, many at a time, answered in any order. For
// programs that have no loop of their own: asker_run turns one until every answer is there.
#pragma once
#include <stddef.h>

#include "error.h"

typedef struct Asker Asker;

// status 0: no answer. Inside, further questions may be asked.
typedef void AskerDone(void *context, int status, const char *body, size_t len);

int asker_new(unsigned at_once, Asker **ret_asker, Error *reterr) MUST_CHECK;
// Queued when `at_once` are under way already. socket and path are copied.
int asker_get(Asker *asker, const char *socket, const char *path, AskerDone *done, void *context,
              Error *reterr) MUST_CHECK;
int asker_post(Asker *asker, const char *socket, const char *path, const char *body,
               AskerDone *done, void *context, Error *reterr) MUST_CHECK;
// Until nothing is asked any more. Every question ends by its own timeout (2 s).
void asker_run(Asker *asker);
Asker *asker_free(Asker *asker); // takes NULL, returns NULL

static inline void asker_freep(Asker **asker)
{
    *asker = asker_free(*asker);
}
