// SPDX-License-Identifier: MIT
// sim_file_table: see sim_file_table.h.
#include "sim_file_table.h"

#include "sim_fault_kind.h"
#include "sim_scenario.h"

#define DAY_NS (86400 * NS_PER_S)
#define NAMES_WHY "names of regions and clouds, or 'all'; a fleet has at most 12 regions"
#define TIME_WHY "counted from the start of the fleet, as in the timeline; a day is long enough"
#define FLAG(key_, kind_of, field, text_)                                                          \
    {                                                                                              \
        .key = (key_), .type = CONF_TYPE_BOOL, .offset = offsetof(kind_of, field),                 \
        .fallback = "false", .text = (text_), .reason = "a switch"                                 \
    }
#define TIME(key_, kind_of, field, fallback_, text_)                                               \
    {                                                                                              \
        .key = (key_), .type = CONF_TYPE_DURATION, .offset = offsetof(kind_of, field),             \
        .max = DAY_NS, .fallback = (fallback_), .text = (text_), .reason = TIME_WHY                \
    }
#define NAMES(key_, kind_of, field, fallback_, text_)                                              \
    {                                                                                              \
        .key = (key_), .type = CONF_TYPE_LABELS, .offset = offsetof(kind_of, field), .min = 1,     \
        .max = SIM_REGIONS_MAX, .fallback = (fallback_), .text = (text_), .reason = NAMES_WHY      \
    }
#define SHARE(key_, kind_of, field, text_)                                                         \
    {                                                                                              \
        .key = (key_), .type = CONF_TYPE_SHARE, .offset = offsetof(kind_of, field),                \
        .max = PPM_ONE, .fallback = "0 %", .text = (text_), .reason = "a share of a whole"         \
    }
#define COUNT(key_, kind_of, field, max_, unit_, text_, why)                                       \
    {                                                                                              \
        .key = (key_), .type = CONF_TYPE_COUNT, .offset = offsetof(kind_of, field), .max = (max_), \
        .unit = (unit_), .fallback = "0", .text = (text_), .reason = (why)                         \
    }
#define CHOICE(key_, kind_of, field, choices_, fallback_, text_)                                   \
    {                                                                                              \
        .key = (key_), .type = CONF_TYPE_CHOICE, .offset = offsetof(kind_of, field),               \
        .choices = (choices_), .fallback = (fallback_), .text = (text_), .reason = "one of these"  \
    }
#define TEXT(key_, kind_of, field, max_, fallback_, text_)                                         \
    {                                                                                              \
        .key = (key_), .type = CONF_TYPE_TEXT, .offset = offsetof(kind_of, field), .min = 1,       \
        .max = (max_), .fallback = (fallback_), .text = (text_), .reason = "one line"              \
    }
#define LABEL(key_, kind_of, field, fallback_, text_)                                              \
    {                                                                                              \
        .key = (key_), .type = CONF_TYPE_LABEL, .offset = offsetof(kind_of, field), .max = 63,     \
        .fallback = (fallback_), .text = (text_), .reason = "a name of a region is a DNS label"    \
    }
#define LIST(key_, field, child_, max_, text_)                                                     \
    {                                                                                              \
        .key = (key_), .type = CONF_TYPE_LIST, .offset = offsetof(RawScenario, field),             \
        .max = (max_), .fallback = "", .child = (child_), .text = (text_),                         \
        .reason = "what one timeline can show"                                                     \
    }
#define SECTION(name_, text_, kind_of, rows)                                                       \
    {                                                                                              \
        .name = (name_), .text = (text_), .size = sizeof(kind_of), .options = (rows),              \
        .n = sizeof(rows) / sizeof((rows)[0])                                                      \
    }

const char *const SIM_FILE_LAYOUTS[] = {"guide", "world", "twelve", NULL};
static const char *const WISHES[] = {"drain", "never", "pin", "weight", "release", "reset", NULL};

static const ConfOption REGION[] = {
    LABEL("name", RawRegion, name, NULL, "its name"),
    LABEL("cloud", RawRegion, cloud, NULL, "its cloud"),
    {.key = "capacity",
     .type = CONF_TYPE_COUNT,
     .offset = offsetof(RawRegion, capacity_rps),
     .min = 1,
     .max = 1000000,
     .unit = "requests/s",
     .fallback = "1000",
     .text = "what its gateway can carry",
     .reason = "more than one gateway ever carried"},
    {.key = "rtt",
     .type = CONF_TYPE_LATENCIES,
     .offset = offsetof(RawRegion, rtt),
     .min = 0,
     .max = 10 * NS_PER_S,
     .fallback = "",
     .text = "round trips to other regions, by name",
     .reason = "once per pair; the Moon is 2.6 s away"},
};

static const ConfOption FAULT[] = {
    CHOICE("kind", RawFault, kind, SIM_FAULT_NAMES, NULL, "what is broken"),
    NAMES("at", RawFault, at, NULL, "where"),
    NAMES("to", RawFault, to, "", "of packets: to where; of lies: about whom (default all)"),
    FLAG("both", RawFault, both, "of packets: the other way too"),
    TIME("from", RawFault, from_ns, NULL, "when it begins"),
    TIME("until", RawFault, until_ns, "0s", "when it ends; 0s: never"),
    SHARE("share", RawFault, share_ppm, "of packets, answers, probes or events"),
    TIME("time", RawFault, time_ns, "0s", "how late, how slow, how far off, how old"),
    TIME("jitter", RawFault, jitter_ns, "0s", "of a delay, more or less"),
    FLAG("behind", RawFault, behind, "of a clock: it is late and not early"),
    CHOICE("says", RawFault, says, SIM_LIE_NAMES, "down", "of a lie: what it says"),
};

static const ConfOption WISH[] = {
    TIME("at", RawWish, at_ns, NULL, "when"),
    LABEL("agent", RawWish, agent, NULL, "where the operator says it"),
    CHOICE("wish", RawWish, wish, WISHES, NULL, "what"),
    TEXT("target", RawWish, target, 100, NULL,
         "'region:NAME', 'cloud:NAME', 'prefix:CIDR', 'fleet'"),
    LABEL("region", RawWish, region, "", "of a pin: to where"),
    SHARE("weight", RawWish, weight_ppm, "of a weight"),
    TIME("for", RawWish, for_ns, "0s", "how long it stands; 0s: for good"),
};

static const ConfOption EXPECT[] = {
    TIME("from", RawExpect, from_ns, NULL, "first moment"),
    TIME("until", RawExpect, until_ns, NULL, "first moment after it"),
    NAMES("who", RawExpect, who, NULL, "agents"),
    NAMES("held", RawExpect, held, "", "gateways that they hold down, and no others"),
    NAMES("care", RawExpect, care, "", "only these gateways count; 'none': do not look"),
    NAMES("last", RawExpect, last, "", "gateways that stand first in none of their routes"),
    NAMES("slow", RawExpect, slow, "", "gateways that they call slow"),
    FLAG("once", RawExpect, once, "at one moment, not at all"),
    FLAG("growing", RawExpect, growing, "each hold is longer than the last one"),
    FLAG("agree", RawExpect, agree, "they have the same fleet part in their plans"),
    TIME("apart", RawExpect, apart_ns, "0s", "longest disagreement about what is held; 0s: any"),
    COUNT("transitions", RawExpect, transitions, 1000000, "changes",
          "most changes of verdicts at one agent; 0: any", "a run has no more steps"),
    COUNT("load", RawExpect, load_percent, 10000, "% of capacity",
          "most that is offered to a gateway; 0: any", "a hundred times its capacity"),
    SHARE("shed", RawExpect, shed_ppm, "most of the demand that is shed; 0 %: any"),
    SHARE("failed", RawExpect, failed_ppm, "most of the demand that fails; 0 %: any"),
};

const ConfSection SIM_FILE_REGION = SECTION("regions", "a layout of its own", RawRegion, REGION);
const ConfSection SIM_FILE_FAULT = SECTION("faults", "what breaks", RawFault, FAULT);
const ConfSection SIM_FILE_WISH = SECTION("wishes", "what operators say", RawWish, WISH);
const ConfSection SIM_FILE_EXPECT = SECTION("expect", "what must come of it", RawExpect, EXPECT);

static const ConfOption ROOT[] = {
    LABEL("name", RawScenario, name, NULL, "its name"),
    TEXT("text", RawScenario, text, 200, NULL, "what it shows, in a line"),
    CHOICE("layout", RawScenario, layout, SIM_FILE_LAYOUTS, "guide",
           "regions and round trips, unless `regions` says them"),
    LIST("regions", regions, &SIM_FILE_REGION, SIM_REGIONS_MAX, "a layout of its own, 3 to 12"),
    TIME("run", RawScenario, run_ns, NULL, "how long, the warm-up of 20 s included"),
    COUNT("traffic", RawScenario, traffic_rps, 100000, "requests/s",
          "of each region's own users, always served there", "more than a gateway carries"),
    SHARE("clients", RawScenario, clients_ppm,
          "demand of clients who follow the plans, of the whole capacity"),
    FLAG("queued-probes", RawScenario, queued_probes, "probes wait in a full gateway's queue too"),
    TIME("flap", RawScenario, flap_ns, "0s", "the first fault comes again with this period"),
    FLAG("calm", RawScenario, calm, "at the end nothing is held and all shares are full"),
    FLAG("live", RawScenario, live, "in bounded time after the last fault it is so"),
    LIST("faults", faults, &SIM_FILE_FAULT, SIM_MAX_FAULTS, "what breaks, where and when"),
    LIST("wishes", wishes, &SIM_FILE_WISH, SIM_MAX_WISHES, "what operators say"),
    LIST("expect", expects, &SIM_FILE_EXPECT, SIM_MAX_EXPECTS, "what must come of it"),
};
const ConfSection SIM_FILE_ROOT = SECTION("scenario", "a scenario", RawScenario, ROOT);
