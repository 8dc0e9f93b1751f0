// SPDX-License-Identifier: MIT
// changes: what an operator has changed for the programs of a region since the fleet started:
// additional environment, and the folder that our own programs come from. The supervisor keeps
// them, so that they outlive a region; the region's init has a copy and follows the same commands.
#pragma once
#include "error.h"
#include "program.h"

#define CHANGES_ENTRIES_MAX 16       // NAME=VALUE of one program
#define CHANGES_ENVIRONMENT_MAX 1000 // bytes of all of them; a command is a line of 4 KiB
#define CHANGES_NAME_MAX 64

typedef struct Changes {
    char *programs;                  // folder; NULL: as at the start
    char *environment[PROGRAMS_MAX]; // "A=1 B=2"; NULL: none
} Changes;

// "A=1 B=2" with one space between them: names of letters, digits and '_', values without white
// space and control characters. Empty is fine.
int changes_check_environment(const char *words, Error *reterr) MUST_CHECK;
// Does `folder` hold all that comes from there, reachable for the effective ids?
int changes_check_programs(const char *folder, Error *reterr) MUST_CHECK;
// The nginx module of `folder`: in it, or in ../lib/wildcam as an installation has it. malloced;
// NULL without memory.
char *changes_module(const char *folder, const char *module);
// Checked texts; "" removes. ERROR_MEMORY.
int changes_set_environment(Changes *changes, size_t program, const char *words) MUST_CHECK;
int changes_set_programs(Changes *changes, const char *folder) MUST_CHECK;
void changes_done(Changes *changes);
