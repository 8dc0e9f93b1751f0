// SPDX-License-Identifier: MIT
// undo: what a drill changed besides faults (wishes, a pushed configuration, programs of another
// build, folders), and how it goes back. The list is held by a guard, a process of its own: it
// goes through the list, newest first, when its owner is done or has died, SIGKILL included.
//
//   ask COMMAND    to the supervisor
//   wish JSON      a wish, to the first agent that takes it
//   config NAME    a fleet.yaml in DIR, to every region at once
//   back           `wildcam config push --back`
//   remove NAME    a folder of DIR with everything in it
#pragma once
#include "drill.h"
#include <sys/types.h>

#include "model.h"

typedef struct Undo Undo;

#define UNDO_LINES 64
#define UNDO_LINE 2048

int undo_new(const char *dir, const Model *model, DrillAsk *ask, Undo **ret_undo,
             Error *reterr) MUST_CHECK;
// Returns when the guard has it, so add before doing what is to be undone.
int undo_add(Undo *undo, Error *reterr, const char *fmt, ...) PRINTF_LIKE(3, 4) MUST_CHECK;
// The newest n lines are done already.
int undo_forget(Undo *undo, uint32_t n, Error *reterr) MUST_CHECK;
// Nothing is undone before this process has ended: the keeper of the faults, so that whoever is
// asked answers again and the guard, which holds the drill's lock, is the last one.
int undo_after(Undo *undo, pid_t pid, Error *reterr) MUST_CHECK;
// Every region runs this fleet.yaml from now on, all at the same moment: what a push, one region
// after the other, could not do without plans that are wrong in between.
int undo_give_config(const char *dir, const Model *model, DrillAsk *ask, const char *file,
                     Error *reterr) MUST_CHECK;
// Does it all and waits; takes NULL. What could not be undone is said on stderr, and then this is
// ERROR_UNAVAILABLE.
int undo_free(Undo *undo);
