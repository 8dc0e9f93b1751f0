// SPDX-License-Identifier: MIT
// rows_members: what join, leave and recover share: who is in the mesh, changing a region's state
// in all databases, taking links away and filling them with progress. The advisory lock of every
// reachable database is held meanwhile, so no daemon makes or drops links behind their back.
#pragma once
#include <jansson.h>

#include "context.h"
#include "fill.h"
#include "mesh.h"

typedef struct Members {
    Context context;
    Mesh *mesh;
    Arena *arena;
    MeshNode *target;   // the region that the verb is about
    const char **state; // [mesh->n] as the youngest row anywhere says; NULL: nobody knows it
    int64_t *since_us;  // [mesh->n]
    bool *based;        // [mesh->n] schema wildcam is there
    bool quiet;         // no progress on stderr
    json_t *links;      // filled now: [{to, from, rows, tombstones, dead_letters}]
    uint64_t rows, tombstones, dead_letters;
} Members;

int members_open(const char *dir, const char *region, const char *application, Members *ret_members,
                 Error *reterr) MUST_CHECK;
void members_close(Members *members);
// State 'active' or 'leaving', and not the target.
bool members_is_other(const Members *members, const MeshNode *node);
bool members_is_state(const Members *members, const MeshNode *node, const char *state);
// ERROR_UNAVAILABLE names the others that are away.
int members_need_others(const Members *members, Error *reterr) MUST_CHECK;
int members_lock(const Members *members, Error *reterr) MUST_CHECK;
// The target's row in every reachable database that has the schema; one `since` for all (0: now).
int members_set_state(Members *members, const char *state, int64_t since_us,
                      Error *reterr) MUST_CHECK;
int members_refuse(const Members *members, const char *reason, Error *reterr) MUST_CHECK;
int members_allow(const Members *members, Error *reterr) MUST_CHECK;
// Drops the subscriber's half of a link, whether the publisher is there or not, and sets
// wildcam.link to 'new' (`forget`: deletes it).
int members_unsubscribe(const Members *members, MeshNode *subscriber, const MeshNode *publisher,
                        bool forget, Error *reterr) MUST_CHECK;
// Ends who reads it and drops the slot.
int members_drop_slot(const Members *members, MeshNode *publisher, const MeshNode *subscriber,
                      Error *reterr) MUST_CHECK;
// Base, tables, publication and subscriptions of one node; all links must be made.
int members_ensure(Members *members, MeshNode *node, bool links, Error *reterr) MUST_CHECK;
// Fills the link if it is not filled, and says so in wildcam.link.
int members_fill(Members *members, MeshNode *taker, MeshNode *giver, Error *reterr) MUST_CHECK;
// All others give each other what they have of the target's versions: afterwards each has all that
// is left. *ret_safe_us: up to where that was complete before, at the one that had most.
int members_share(Members *members, MeshNode **ret_best, int64_t *ret_safe_us,
                  Error *reterr) MUST_CHECK;
// A line on stderr unless quiet.
void members_say(const Members *members, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
// One text of one node, in the arena; NULL for NULL or no row.
int members_text(const Members *members, MeshNode *node, const char *sql, const char **ret_text,
                 Error *reterr) MUST_CHECK;
// The answer as JSON; `more` is merged into it (owned).
void members_print_json(const Members *members, const char *state, int64_t duration_ms,
                        json_t *more);
