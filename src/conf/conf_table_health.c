// SPDX-License-Identifier: MIT
// conf_table_health: options of how gateways are judged: health, quorum, clock. See conf_table.h.
// The constants are proven together by simulation; a change of one is a new experiment.
#include "conf_table.h"

#include "bounds.h"

#define HEALTH_TIME(name, field, low, high, def, what, why)                                        \
    {                                                                                              \
        .key = (name), .type = CONF_TYPE_DURATION, .offset = IN(ConfRaw, health.field),            \
        .min = (low), .max = (high), .fallback = (def), .text = (what), .reason = (why)            \
    }

static const ConfOption HEALTH_OPTIONS[] = {
    HEALTH_TIME("probe_interval", probe_interval_ns, 50 * MS, 60 * SEC, "250ms",
                "time between two probes of a gateway, jittered by 10 %",
                "below 50 ms probes are a load; above 60 s nothing is noticed"),
    HEALTH_TIME("probe_fast", probe_fast_ns, 20 * MS, 60 * SEC, "100ms",
                "the same while a streak of failures runs",
                "as for `probe_interval`, and not above it"),
    HEALTH_TIME("hedge", hedge_ns, 10 * MS, 10 * SEC, "250ms",
                "without an answer for so long, the same probe goes out on a fresh connection too",
                "a round trip around the Earth takes about 250 ms"),
    HEALTH_TIME("deadline_min", deadline_min_ns, 10 * MS, 60 * SEC, "500ms",
                "a probe waits 8 times its path's 99th percentile, at least this long",
                "two round trips around the Earth"),
    HEALTH_TIME("deadline_max", deadline_max_ns, 10 * MS, 60 * SEC, "1250ms",
                "and at most this long; less than `span_soft`, so that an observer finds itself "
                "sick before "
                "it votes",
                "a longer one learns retransmissions and misses hangs"),
    HEALTH_TIME("slow", slow_ns, 100 * MS, 300 * SEC, "5s",
                "answers later than this are failures (the guide's 5 seconds)",
                "within what clients wait for"),
    {.key = "failures",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, health.failures),
     .min = 1,
     .max = 100,
     .unit = "failures",
     .fallback = "3",
     .text = "failed probes in a row that make a vote DOWN (the guide's 3 consecutive failures)",
     .reason = "0 would condemn without evidence"},
    HEALTH_TIME("span_hard", span_hard_ns, 0, 60 * SEC, "400ms",
                "and they span at least this, when all were refused, reset or wrong",
                "a restart of 300 ms should change nothing"),
    HEALTH_TIME(
        "span_soft", span_soft_ns, 100 * MS, 300 * SEC, "1500ms",
        "or this, when any was silence: a refusal is proof, silence is not",
        "shorter means false alarms under packet loss, longer means slow detection of hangs"),
    HEALTH_TIME("up_time", up_time_ns, 0, 600 * SEC, "2s",
                "a majority must have seen a held gateway up for so long before it returns",
                "an outage of minutes should not be followed by a wait of hours"),
    HEALTH_TIME("hold", hold_ns, 0, 3600 * SEC, "10s",
                "and it was held down at least this long; doubled with each flap",
                "an hour of hold is a drain, which is the operator's to order"),
    HEALTH_TIME("hold_max", hold_max_ns, 0, 86400 * SEC, "300s", "the longest hold", "a day"),
    HEALTH_TIME("forgive", forgive_ns, 1 * SEC, 7 * DAY, "600s",
                "so long without a change forgets the flaps", "a week"),
    {.key = "return_steps",
     .type = CONF_TYPE_SHARES,
     .offset = IN(ConfRaw, return_steps),
     .min = 4,
     .max = 4,
     .fallback = "[10 %, 25 %, 50 %, 100 %]",
     .text = "traffic comes back in these shares of the normal one",
     .reason = "four steps in the core's state; the last one is 100 %"},
    HEALTH_TIME("return_step", return_step_ns, 0, 3600 * SEC, "5s", "each for this long",
                "an hour of slow return is a drain, which is the operator's to order"),
    {.key = "error_rate",
     .type = CONF_TYPE_SHARE,
     .offset = IN(ConfRaw, health.error_rate_ppm),
     .min = PERCENT / 100,
     .max = PPM_ONE,
     .fallback = "5 %",
     .text =
         "share of requests that fail (5xx or no answer) above which a gateway sheds its load (the "
         "guide's 5 %)",
     .reason = "below 0.01 % no sample is large enough to tell"},
    HEALTH_TIME("loop_gap", loop_gap_ns, 50 * MS, 60 * SEC, "500ms",
                "an agent that stood still for so long forgets its outstanding probes",
                "its own pause is not the fault of a gateway"),
};
const ConfSection CONF_SECTION_HEALTH = {
    .name = "health",
    .text = "How a region judges gateways: probes, votes, and the way back.",
    SECTION(HEALTH_OPTIONS)};

static const ConfOption QUORUM_OPTIONS[] = {
    HEALTH_TIME("report_interval", report_interval_ns, 50 * MS, 60 * SEC, "250ms",
                "time between two reports of an agent to its peers",
                "below 50 ms reports are a load; above `fresh` no vote counts"),
    HEALTH_TIME("report_push_gap", report_push_gap_ns, 1 * MS, 60 * SEC, "50ms",
                "smallest time between reports that a change pushes out",
                "a flapping path must not flood"),
    HEALTH_TIME("fresh", fresh_ns, 100 * MS, 300 * SEC, "1500ms",
                "votes older than this do not count",
                "several reports long, so that one lost report changes nothing"),
    HEALTH_TIME("sick_hold", sick_hold_ns, 0, 600 * SEC, "3s",
                "an observer that saw many gateways fail at once counts as sick for so long after",
                "the fault is then more likely its own"),
    HEALTH_TIME("boot", boot_ns, 0, 600 * SEC, "2s",
                "no verdict changes for so long after an agent's start", "until reports came in"),
    HEALTH_TIME("veto_max", veto_max_ns, 0, 600 * SEC, "10s",
                "a real request that succeeded delays a verdict made from silence alone for at "
                "most so long",
                "traffic that works is evidence, but may not hide a dead path for ever"),
    {.key = "removal_limit",
     .type = CONF_TYPE_SHARE,
     .offset = IN(ConfRaw, health.removal_floor_ppm),
     .min = 1 * PERCENT,
     .max = 99 * PERCENT,
     .fallback = "50 %",
     .text =
         "at most this share of the gateways is held down at once; what fails beyond it only goes "
         "behind the others",
     .reason = "0 % would never remove, 100 % would leave nothing"},
    HEALTH_TIME("removal_gap", removal_gap_ns, 0, 3600 * SEC, "10s",
                "smallest time between two removals for errors or slowness",
                "load that moves makes others slow: look before the next one"),
};
const ConfSection CONF_SECTION_QUORUM = {.name = "quorum",
                                         .text = "How the regions' votes become one verdict.",
                                         SECTION(QUORUM_OPTIONS)};

static const ConfOption CLOCK_OPTIONS[] = {
    {.key = "max_skew",
     .type = CONF_TYPE_DURATION,
     .offset = IN(ConfRaw, clock_max_skew_ns),
     .min = 1 * MS,
     .max = 60 * SEC,
     .fallback = "500ms",
     .text = "a region whose clock is off its peers' median by more refuses to write",
     .reason = "the newest write wins by its stamp; a minute of error would lose real writes"},
};
const ConfSection CONF_SECTION_CLOCK = {
    .name = "clock", .text = "How far clocks may be off.", SECTION(CLOCK_OPTIONS)};
