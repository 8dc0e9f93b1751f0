// SPDX-License-Identifier: MIT
// push_verb: `wildcam config push`.
#pragma once
#include "context.h"

typedef struct PushOptions {
    const char *file, *dir, *region, *watch;
    bool yes, json, go_on, back;
} PushOptions;

// 0, or a negative code; ERROR_NOT_HELD: refused, or everything is as it was before.
int push_run(const PushOptions *options, Error *reterr) MUST_CHECK;
// In which order the regions get it: `first`, the rest of its cloud, then cloud by cloud, so that
// one whole cloud runs the old file until all others hold. first -1: the one with the least load.
void push_order(const Model *model, const uint64_t *load_rps, int first, uint32_t *ret_order);
