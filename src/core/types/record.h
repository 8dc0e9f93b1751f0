// SPDX-License-Identifier: MIT
// record: one decision as data: who decided what, when, from which facts. The core returns them,
// the shell writes them as log lines and record segments, `why` prints them, the simulator compares
// them.
#pragma once
#include <stdint.h>

#include "instant.h"

#define RECORD_KINDS(X)                                                                            \
    X(VERDICT_DOWN, "gateway held down")                                                           \
    X(VERDICT_UP, "gateway released")                                                              \
    X(VERDICT_VETOED, "verdict vetoed by a real request")                                          \
    X(VERDICT_LIMITED, "verdict put off by the removal limit")                                     \
    X(VERDICT_ADOPTED, "verdict taken from the peers")                                             \
    X(VOTE_CHANGED, "own vote changed")                                                            \
    X(SICK, "observer is sick")                                                                    \
    X(WELL, "observer is well")                                                                    \
    X(ALONE, "too few fresh observers")                                                            \
    X(TOGETHER, "enough fresh observers again")                                                    \
    X(CLASSES_CHANGED, "classes changed")                                                          \
    X(REPLICA_CHANGED, "replica changed")                                                          \
    X(RETURN_STEP, "share raised during return")                                                   \
    X(RETURN_FAILED, "failure during return")                                                      \
    X(ERROR_RATE, "error rate above the limit")                                                    \
    X(SLOW, "answers too slow")                                                                    \
    X(SPILL, "load spilled")                                                                       \
    X(OVERLOAD, "projected load above capacity")                                                   \
    X(INTENT_SET, "intent set")                                                                    \
    X(INTENT_EXPIRED, "intent expired")                                                            \
    X(CONFIG_CHANGED, "configuration changed")                                                     \
    X(PLAN_MADE, "plan made")                                                                      \
    X(LOOP_GAP, "event loop was frozen")                                                           \
    X(INTENT_REFUSED, "intent refused")

typedef enum RecordKind {
#define X(name, text) RECORD_##name,
    RECORD_KINDS(X)
#undef X
        RECORD_KIND_MAX,
} RecordKind;

typedef struct Record {
    RecordKind kind;
    Mono at;
    const char *subject; // "gateway:us-west-2", "replica:us-west-2/1", "intent:cloud:aws", "plan"
    const char *facts;   // "down 4 of 5 fresh votes from 2 clouds, hard, since 412 ms"
} Record;

const char *record_kind_text(RecordKind kind); // constant message text
const char *record_kind_name(RecordKind kind); // "verdict_down"
