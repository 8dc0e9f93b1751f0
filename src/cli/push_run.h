// SPDX-License-Identifier: MIT
// push_run: one run of `wildcam config push`, shared by its two halves: push_before.c refuses and
// asks, push.c does it.
#pragma once
#include "buf.h"
#include "push_report.h"
#include "push_verb.h"

typedef struct Push {
    const PushOptions *options;
    Context context;
    FILE *out; // progress
    int lock;
    int64_t watch_ns;
    PushFile accepted, new;
    bool *staged; // [n_regions]: had another file than the accepted one when we came
    uint32_t *order, n_order;
    int first; // region that was asked for, or -1
    PushLooks looks;
    Buf restart;
    PushReport report;
    Mono begun;
} Push;

static inline const char *push_name(const Push *push, uint32_t region)
{
    return push->context.conf->model.regions[region].name;
}

static inline uint32_t push_n_regions(const Push *push)
{
    return push->context.conf->model.n_regions;
}

bool push_any_staged(const Push *push);
// Each refuses with ERROR_NOT_HELD and the reason in the report.
int push_say_half_way(Push *push, Error *reterr) MUST_CHECK;
int push_load_new(Push *push, Error *reterr) MUST_CHECK;
int push_show_change(Push *push, Error *reterr) MUST_CHECK;
int push_check_health(Push *push, Error *reterr) MUST_CHECK;
void push_make_order(Push *push);
int push_ask(Push *push, Error *reterr) MUST_CHECK;
