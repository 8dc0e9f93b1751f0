// SPDX-License-Identifier: MIT
// region_spec: which programs a region of this fleet.yaml has, with which arguments and in which
// order (docs/contracts/processes.md, "Programs").
#pragma once
#include "arena.h"
#include "conf.h"
#include "program.h"

typedef struct RegionSpecOptions {
    const char *dir;      // state folder as the programs see it
    const char *programs; // folder of wildcam-agent and the others, as they see it
    const char *preload;  // path of srcbind.so
    const char *run_user;
    const char *extra; // additional environment: "REGION/PROGRAM:NAME=VALUE;..."; NULL: none
} RegionSpecOptions;

// The short folder for sockets must exist. Everything lives in `arena`.
int region_spec_new(Arena *arena, const Conf *conf, uint32_t region,
                    const RegionSpecOptions *options, RegionSpec **ret_spec,
                    Error *reterr) MUST_CHECK;
