// SPDX-License-Identifier: MIT
// why_at: which gateway a client got at some moment of the past, from the recorded plans: the same
// order as the edges computed then, by the same function over the same plan. Needs no running
// fleet.
#pragma once
#include <jansson.h>

#include "error.h"
#include "instant.h"
#include "ip.h"
#include "model.h"

typedef struct WhyAtQuestion {
    const char *dir;    // absolute state folder
    const char *region; // whose plan; NULL: the first that has one
    Wall at;
    Ip client;
    const char *service; // NULL: the first
    ServiceClass class_;
} WhyAtQuestion;

// The answer has the fields of `why --json`. `model` names the regions of now.
int why_at(const WhyAtQuestion *question, const Model *model, json_t **ret_answer,
           Error *reterr) MUST_CHECK;
