// SPDX-License-Identifier: MIT
// conf_table: every option of fleet.yaml, one row each (conf_schema.h says what a row is). The
// numbers of the deployment guide are defaults and are written out in the shipped file too. Each
// row says why its limits are where they are: an operator who meets one should see at once whether
// to move it. The rows stand in conf_table_*.c by subject; conf_table.c lists the sections.
#pragma once
#include "conf_schema.h"

#define MS NS_PER_MS
#define SEC NS_PER_S
#define MINUTE (60 * NS_PER_S)
#define HOUR (3600 * NS_PER_S)
#define DAY (86400 * NS_PER_S)
#define PERCENT 10000 // in parts per million

#define IN(type, field) offsetof(type, field)
#define SECTION(array) .options = (array), .n = sizeof(array) / sizeof((array)[0])

// A duration among the values of a section that stands once.
#define TIME(name, field, low, high, def, what, why)                                               \
    {                                                                                              \
        .key = (name), .type = CONF_TYPE_DURATION, .offset = IN(ConfRaw, field), .min = (low),     \
        .max = (high), .fallback = (def), .text = (what), .reason = (why)                          \
    }

extern const ConfSection CONF_SECTION_FLEET;
extern const ConfSection CONF_SECTION_CLIENT;
extern const ConfSection CONF_SECTION_CLOUD;
extern const ConfSection CONF_SECTION_REGION;
extern const ConfSection CONF_SECTION_SERVICE;
extern const ConfSection CONF_SECTION_HEALTH;
extern const ConfSection CONF_SECTION_QUORUM;
extern const ConfSection CONF_SECTION_CLOCK;
extern const ConfSection CONF_SECTION_DNS;
extern const ConfSection CONF_SECTION_EDGE;
extern const ConfSection CONF_SECTION_OBJECTIVES;
extern const ConfSection CONF_SECTION_ROWS;
extern const ConfSection CONF_SECTION_OBJECTS;
extern const ConfSection CONF_SECTION_BUDGETS;
extern const ConfSection CONF_SECTION_ROLLOUTS;
extern const ConfSection CONF_SECTION_SCALING;
extern const ConfSection CONF_SECTION_CERTIFICATES;
extern const ConfSection CONF_SECTION_SECRETS;
extern const ConfSection CONF_SECTION_BACKUPS;
extern const ConfSection CONF_SECTION_TELEMETRY;
extern const ConfSection CONF_SECTION_DRILLS;
extern const ConfSection CONF_SECTION_PRICES;
