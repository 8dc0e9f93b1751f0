// SPDX-License-Identifier: MIT
// push: parts of `wildcam config push`. What a region runs is DIR/REGION/fleet.yaml; what the whole
// fleet has accepted is DIR/fleet.yaml. There is no third record: a region whose copy differs from
// the accepted one is in the middle of a push, whoever was killed or away meanwhile, and the file
// of that push is the copy itself.
//
//   push.c          the verb: region by region, the way back, the report
//   push_before.c   checks, question, order of the regions
//   push_state.c    the files in DIR, who runs which, one push at a time
//   push_region.c   one region takes a file: agent, plan, nginx.conf, nginx
//   push_watch.c    looks at the fleet for a while and judges (push_judge.h)
#pragma once
#include <signal.h>
#include <stdbool.h>

#include "context.h"
#include "push_judge.h"

typedef struct PushFile {
    char *bytes; // NULL: none
    size_t len;
    Conf *conf;
} PushFile;

typedef struct PushFailure {
    uint32_t region;
    const char *check; // a step of push_region or a check of push_judge; NULL: nothing failed
    char text[256];
    int64_t after_ms; // since the region was given the file
} PushFailure;

// --- push_state.c ---
int push_file_load(const char *path, PushFile *ret_file, Error *reterr) MUST_CHECK;
void push_file_done(PushFile *file);
bool push_file_same(const PushFile *a, const PushFile *b);
// Taken from the folder itself, so nothing is left of a push that was killed. ERROR_RUNNING.
int push_lock(const char *dir, int *ret_fd, Error *reterr) MUST_CHECK;
// staged[i]: region i's copy differs from the accepted file. *ret_staged is that other file; its
// bytes are NULL when there is none. ERROR_CONFLICT when the copies are of several files.
int push_find_staged(const Context *context, const PushFile *accepted, bool *staged,
                     PushFile *ret_staged, Error *reterr) MUST_CHECK;
// The file of the whole fleet from now on, and that it came from `from`.
int push_accept(const Context *context, const PushFile *file, const char *from,
                Error *reterr) MUST_CHECK;

// --- push_region.c ---
// Gives the file to one region and waits until its agent runs it, its edge obeys a plan made from
// it and nginx answers with what was made from it. *stop (a signal handler's) ends it early; NULL:
// on the way back, where every step is tried whatever happened to the ones before.
// A negative code with *ret_failure filled in, but for its region.
int push_give(const Context *context, uint32_t region, const PushFile *file,
              const volatile sig_atomic_t *stop, PushFailure *ret_failure) MUST_CHECK;

// --- push_watch.c ---
typedef struct PushLooks { // [n_regions] each
    AgentAnswer *first, *before, *now;
} PushLooks;

int push_looks_new(const Context *context, PushLooks *ret_looks, Error *reterr) MUST_CHECK;
void push_looks_done(const Context *context, PushLooks *looks);
// A new look in `*answers` (first, before or now).
int push_look(const Context *context, AgentAnswer *answers, Error *reterr) MUST_CHECK;
// Watches for `time_ns`. 0: as well as before; ERROR_NOT_HELD: *ret_failure says what is not.
int push_watch(const Context *context, PushLooks *looks, uint32_t region, uint64_t hash,
               int64_t time_ns, const volatile sig_atomic_t *stop,
               PushFailure *ret_failure) MUST_CHECK;
// For what is looked at again and again; a signal ends the pause.
void push_pause(void);
