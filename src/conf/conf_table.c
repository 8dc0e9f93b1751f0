// SPDX-License-Identifier: MIT
// conf_table: the sections of fleet.yaml. See conf_table.h.
#include "conf_table.h"

#include "bounds.h"

#define ONE(section, what)                                                                         \
    {                                                                                              \
        .key = (what), .type = CONF_TYPE_MAP, .child = &(section), .text = "see its own table",    \
        .reason = "a section stands once in the file"                                              \
    }
#define MANY(section, field, what, high, why)                                                      \
    {                                                                                              \
        .key = (what), .type = CONF_TYPE_LIST, .offset = IN(ConfRaw, field), .min = 1,             \
        .max = (high), .child = &(section), .text = "see its own table", .reason = (why)           \
    }

static const ConfOption ROOT_OPTIONS[] = {
    ONE(CONF_SECTION_FLEET, "fleet"),
    MANY(CONF_SECTION_CLIENT, clients, "clients", BOUND_GROUPS,
         "a plan has a row for each; continents to metropolitan areas"),
    MANY(CONF_SECTION_CLOUD, clouds, "clouds", BOUND_CLOUDS, "the quorum holds a bit for each"),
    MANY(CONF_SECTION_REGION, regions, "regions", 255, "each needs an origin of its own"),
    MANY(CONF_SECTION_SERVICE, services, "services", BOUND_SERVICES,
         "a plan has a row for each and group"),
    ONE(CONF_SECTION_HEALTH, "health"),
    ONE(CONF_SECTION_QUORUM, "quorum"),
    ONE(CONF_SECTION_CLOCK, "clock"),
    ONE(CONF_SECTION_DNS, "dns"),
    ONE(CONF_SECTION_EDGE, "edge"),
    ONE(CONF_SECTION_OBJECTIVES, "objectives"),
    ONE(CONF_SECTION_ROWS, "rows"),
    ONE(CONF_SECTION_OBJECTS, "objects"),
    ONE(CONF_SECTION_BUDGETS, "budgets"),
    {.key = "prices",
     .type = CONF_TYPE_LIST,
     .offset = IN(ConfRaw, prices),
     .max = BOUND_CLOUDS,
     .fallback = "[]",
     .child = &CONF_SECTION_PRICES,
     .text = "see its own table",
     .reason = "one for each cloud"},
    ONE(CONF_SECTION_ROLLOUTS, "rollouts"),
    ONE(CONF_SECTION_SCALING, "scaling"),
    ONE(CONF_SECTION_CERTIFICATES, "certificates"),
    ONE(CONF_SECTION_SECRETS, "secrets"),
    ONE(CONF_SECTION_BACKUPS, "backups"),
    ONE(CONF_SECTION_TELEMETRY, "telemetry"),
    ONE(CONF_SECTION_DRILLS, "drills"),
};
const ConfSection CONF_ROOT = {
    .name = "fleet.yaml", .text = "The whole file.", SECTION(ROOT_OPTIONS)};
