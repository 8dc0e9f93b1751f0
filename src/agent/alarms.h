// SPDX-License-Identifier: MIT
// alarms: what an operator should look at now: raised with a text, cleared when it is over. Each
// change is logged once; `status` and the metrics show what is raised. A fixed set: strangers
// cannot grow it.
#pragma once
#include <stdbool.h>

#include "instant.h"

#define ALARMS(X)                                                                                  \
    X(CONFIG_REJECTED, "config_rejected", "new configuration refused")                             \
    X(PLAN_NOT_WRITTEN, "plan_not_written", "plan not written")                                    \
    X(INTENTS_NOT_WRITTEN, "intents_not_written", "intents not written")                           \
    X(RECORDING_NOT_WRITTEN, "recording_not_written", "recording not written")                     \
    X(CERTIFICATE, "certificate", "certificate not renewed")                                       \
    X(CLOCK_SKEW, "clock_skew", "clock differs from the peers")                                    \
    X(ALONE, "alone", "too few fresh observers")                                                   \
    X(SICK, "sick", "observer is sick")                                                            \
    X(EVIDENCE, "evidence", "counters of the edge not readable")                                   \
    X(SHEDDING, "shedding", "requests are shed: no capacity is left")                              \
    X(ROWS, "rows", "the mesh of databases needs a look")                                          \
    X(CORE, "core", "the core refused an event")

typedef enum AlarmKind {
#define X(name, word, text) ALARM_##name,
    ALARMS(X)
#undef X
        ALARM_MAX,
} AlarmKind;

typedef struct Alarm {
    bool raised;
    Mono since;
    char text[256];
} Alarm;

typedef struct Alarms {
    Alarm items[ALARM_MAX];
} Alarms;

const char *alarm_name(AlarmKind kind); // "config_rejected"
const char *alarm_title(AlarmKind kind);
void alarm_raise(Alarms *alarms, AlarmKind kind, Mono now, const char *text);
void alarm_clear(Alarms *alarms, AlarmKind kind);
// Raised while `on`.
void alarm_set(Alarms *alarms, AlarmKind kind, Mono now, bool on, const char *text);
