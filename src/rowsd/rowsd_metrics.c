// SPDX-License-Identifier: MIT
// rowsd_metrics: the facts as Prometheus text. Labels: region and cloud of this region; `peer` is
// the other end of a link.
#include "metrics.h"
#include "rowsd_facts.h"

typedef struct LinkMetric {
    const char *name, *help;
    MetricsType type;
    // False: not known now.
    bool (*value)(const RowsdFacts *facts, const RowsdLink *link, double *ret_value);
} LinkMetric;

static bool lag_s(const RowsdFacts *facts, const RowsdLink *link, double *ret_value)
{
    *ret_value = (double)link->lag_ns / (double)NS_PER_S;
    return link->lag_ns >= 0;
}

static bool backlog(const RowsdFacts *facts, const RowsdLink *link, double *ret_value)
{
    *ret_value = (double)link->backlog;
    return link->backlog_known;
}

static bool rate(const RowsdFacts *facts, const RowsdLink *link, double *ret_value)
{
    *ret_value = link->rates.applied;
    return link->rates.known;
}

static bool eta_s(const RowsdFacts *facts, const RowsdLink *link, double *ret_value)
{
    *ret_value = (double)link->eta_ns / (double)NS_PER_S;
    return link->eta_ns >= 0;
}

static bool watermark_s(const RowsdFacts *facts, const RowsdLink *link, double *ret_value)
{
    *ret_value = (double)(facts->read_at.ns - link->in.arrived.ns) / (double)NS_PER_S;
    return link->in.marked;
}

static bool errors(const RowsdFacts *facts, const RowsdLink *link, double *ret_value)
{
    *ret_value = (double)link->in.errors;
    return link->in.subscribed;
}

static bool is_streaming(const RowsdFacts *facts, const RowsdLink *link, double *ret_value)
{
    *ret_value = link->state == LINK_STATE_STREAMING ? 1 : 0;
    return true;
}

static bool retained(const RowsdFacts *facts, const RowsdLink *link, double *ret_value)
{
    *ret_value = (double)link->out.retained;
    return link->out.slot;
}

static bool left(const RowsdFacts *facts, const RowsdLink *link, double *ret_value)
{
    *ret_value = (double)(link->out.left > 0 ? link->out.left : 0);
    return link->out.slot && link->out.limited;
}

static bool limit(const RowsdFacts *facts, const RowsdLink *link, double *ret_value)
{
    *ret_value = (double)link->out.limit;
    return link->out.slot && link->out.limit > 0;
}

static const LinkMetric LINK_METRICS[] = {
    {"wildcam_rows_lag_seconds", "Age of the newest change that has arrived from the peer.",
     METRICS_TYPE_GAUGE, lag_s},
    {"wildcam_rows_backlog_bytes", "WAL of the peer that is not applied here yet.",
     METRICS_TYPE_GAUGE, backlog},
    {"wildcam_rows_apply_bytes_per_second", "WAL of the peer applied here, last half minute.",
     METRICS_TYPE_GAUGE, rate},
    {"wildcam_rows_eta_seconds", "When the backlog is gone at this rate.", METRICS_TYPE_GAUGE,
     eta_s},
    {"wildcam_rows_watermark_age_seconds", "Since the peer's last heartbeat arrived.",
     METRICS_TYPE_GAUGE, watermark_s},
    {"wildcam_rows_apply_errors_total", "Errors of the apply worker.", METRICS_TYPE_COUNTER,
     errors},
    {"wildcam_rows_link_streaming", "Whether the link from the peer is as it should be.",
     METRICS_TYPE_GAUGE, is_streaming},
    {"wildcam_rows_slot_retained_bytes", "WAL kept here for the peer.", METRICS_TYPE_GAUGE,
     retained},
    {"wildcam_rows_slot_left_bytes", "WAL until the peer's slot is lost.", METRICS_TYPE_GAUGE,
     left},
    {"wildcam_rows_slot_limit_bytes", "WAL that may be kept for a peer (max_slot_wal_keep_size).",
     METRICS_TYPE_GAUGE, limit},
};

static void write_links(const RowsdFacts *facts, Buf *out)
{
    for (size_t m = 0; m < ARRAY_SIZE(LINK_METRICS); m++) {
        const LinkMetric *metric = &LINK_METRICS[m];
        metrics_family(out, metric->name, metric->type, metric->help);
        for (uint32_t i = 0; i < facts->n; i++) {
            const MetricsLabel labels[] = {{"region", facts->region},
                                           {"cloud", facts->cloud},
                                           {"peer", facts->links[i].region}};
            double value = 0;
            if (metric->value(facts, &facts->links[i], &value))
                metrics_sample(out, metric->name, labels, ARRAY_SIZE(labels), value);
        }
    }
}

static void one(Buf *out, const RowsdFacts *facts, const char *name, MetricsType type,
                const char *help, bool known, double value)
{
    const MetricsLabel labels[] = {{"region", facts->region}, {"cloud", facts->cloud}};
    metrics_family(out, name, type, help);
    if (known)
        metrics_sample(out, name, labels, ARRAY_SIZE(labels), value);
}

static void write_conflicts(const RowsdFacts *facts, Buf *out)
{
    metrics_family(out, "wildcam_rows_conflicts_total", METRICS_TYPE_COUNTER,
                   "Ledger entries by kind.");
    for (unsigned k = 0; k < LEDGER_KINDS_MAX; k++) {
        const MetricsLabel labels[] = {{"region", facts->region},
                                       {"cloud", facts->cloud},
                                       {"kind", ledger_kind_word((LedgerKind)k)}};
        metrics_sample_u64(out, "wildcam_rows_conflicts_total", labels, ARRAY_SIZE(labels),
                           facts->conflicts[k]);
    }
}

void rowsd_facts_metrics(const RowsdFacts *facts, Mono now, Buf *out)
{
    const MetricsType gauge = METRICS_TYPE_GAUGE, counter = METRICS_TYPE_COUNTER;
    one(out, facts, "wildcam_rpo_seconds", gauge,
        "Age of the oldest write that no other cloud has.", facts->rpo_ns >= 0,
        (double)facts->rpo_ns / (double)NS_PER_S);
    one(out, facts, "wildcam_rows_database_up", gauge, "Whether the region's database answers.",
        true, facts->database ? 1 : 0);
    one(out, facts, "wildcam_rows_writes_refused", gauge, "Whether writes are refused here.", true,
        facts->refused[0] != '\0' ? 1 : 0);
    one(out, facts, "wildcam_rows_clock_skew_seconds", gauge,
        "Own clock against the peers' median.", facts->clock.known,
        (double)facts->clock.skew_ns / (double)NS_PER_S);
    one(out, facts, "wildcam_rows_heartbeats_total", counter, "Heartbeats written.", true,
        (double)facts->beats);
    one(out, facts, "wildcam_rows_heartbeats_failed_total", counter, "Heartbeats that failed.",
        true, (double)facts->beats_failed);
    one(out, facts, "wildcam_rows_parked", gauge, "Losers of unique values, not visible.",
        facts->federated, (double)facts->parked);
    one(out, facts, "wildcam_rows_dead_letters", gauge, "Changes that could not be applied.",
        facts->federated, (double)facts->dead_letters);
    one(out, facts, "wildcam_rows_guarded_tables", gauge, "Tables applied change by change.",
        facts->federated, (double)facts->guarded);
    one(out, facts, "wildcam_rows_journal_collected_rows_total", counter, "Journal rows dropped.",
        true, (double)facts->collected_rows);
    one(out, facts, "wildcam_rows_tombstones_collected_total", counter, "Tombstones deleted.", true,
        (double)facts->collected_tombstones);
    one(out, facts, "wildcam_rows_rejoins_total", counter, "Links made anew.", true,
        (double)facts->rejoins);
    one(out, facts, "wildcam_rows_gap_fills_total", counter, "Fills from survivors.", true,
        (double)facts->gap_fills);
    one(out, facts, "wildcam_rows_error_loops_total", counter, "Apply workers found in a loop.",
        true, (double)facts->loops);
    one(out, facts, "wildcam_rows_alarms", gauge, "Alarms that stand.", true,
        (double)facts->n_alarms);
    write_conflicts(facts, out);
    write_links(facts, out);
}
