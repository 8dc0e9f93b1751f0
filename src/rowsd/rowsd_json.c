// SPDX-License-Identifier: MIT
// rowsd_json: one region's part of `rows status --json` (docs/cli.md, "rows status --json"). A
// value that is not known is null, never 0.
#include <inttypes.h>

#include "rowsd_facts.h"

static void key(Buf *out, const char *name)
{
    char last = out->len > 0 ? out->data[out->len - 1] : '{';
    if (last != '{' && last != '[')
        buf_add_text(out, ", ");
    if (name != NULL)
        buf_printf(out, "\"%s\": ", name);
}

static void put_text(Buf *out, const char *name, const char *text) // "": null
{
    key(out, name);
    if (text == NULL || text[0] == '\0')
        buf_add_text(out, "null");
    else
        buf_add_json_string(out, text);
}

static void put_bool(Buf *out, const char *name, bool value)
{
    key(out, name);
    buf_add_text(out, value ? "true" : "false");
}

static void put_u64(Buf *out, const char *name, bool known, uint64_t value)
{
    key(out, name);
    if (known)
        buf_printf(out, "%" PRIu64, value);
    else
        buf_add_text(out, "null");
}

static void put_i64(Buf *out, const char *name, bool known, int64_t value)
{
    key(out, name);
    if (known)
        buf_printf(out, "%" PRId64, value);
    else
        buf_add_text(out, "null");
}

static void put_ms(Buf *out, const char *name, bool known, int64_t ns)
{
    put_i64(out, name, known, ns / NS_PER_MS);
}

static void begin(Buf *out, const char *name, char bracket)
{
    key(out, name);
    buf_add_char(out, bracket);
}

static void put_quantiles(Buf *out, const char *name, const Quantiles *q)
{
    begin(out, name, '{');
    put_ms(out, "p50_ms", q->n > 0, q->p50_ns);
    put_ms(out, "p99_ms", q->n > 0, q->p99_ns);
    put_ms(out, "max_ms", q->n > 0, q->most_ns);
    buf_add_char(out, '}');
}

static void put_link(Buf *out, const RowsdFacts *facts, const RowsdLink *link, Mono now)
{
    bool rates = link->rates.known;
    begin(out, NULL, '{');
    put_text(out, "from", link->region);
    put_text(out, "to", facts->region);
    put_text(out, "state", link_state_word(link->state));
    put_ms(out, "since_ms", facts->serving, mono_since(now, link->since));
    put_ms(out, "lag_ms", link->lag_ns >= 0, link->lag_ns);
    put_u64(out, "backlog_bytes", link->backlog_known, link->backlog);
    put_i64(out, "apply_bytes_per_s", rates, (int64_t)link->rates.applied);
    put_i64(out, "write_bytes_per_s", rates, (int64_t)link->rates.head);
    put_ms(out, "eta_ms", link->eta_ns >= 0, link->eta_ns);
    put_ms(out, "watermark_age_ms", link->in.marked, facts->read_at.ns - link->in.arrived.ns);
    put_u64(out, "apply_errors", link->in.subscribed, link->in.errors);
    put_u64(out, "fill_rows", link->in.linked,
            link->task.rows > 0 ? link->task.rows : link->in.fill_rows);
    put_u64(out, "fill_rows_expected", link->task.expected > 0, link->task.expected);
    put_ms(out, "clock_skew_ms", link->probe.has_skew, link->probe.skew_ns);
    put_ms(out, "round_trip_ms", link->probe.has_skew, link->probe.trip_ns);
    put_text(out, "why", link->why);
    buf_add_char(out, '}');
}

static void put_slot(Buf *out, const RowsdLink *link)
{
    const LinkOut *slot = &link->out;
    begin(out, NULL, '{');
    put_text(out, "name", link->out_name);
    put_text(out, "to", link->region);
    put_bool(out, "active", slot->active);
    put_text(out, "status", slot->status);
    put_u64(out, "backlog_bytes", true, slot->backlog);
    put_u64(out, "retained_bytes", true, slot->retained);
    put_i64(out, "left_bytes", slot->limited, slot->left > 0 ? slot->left : 0);
    put_u64(out, "limit_bytes", slot->limit > 0, slot->limit);
    put_ms(out, "flush_lag_ms", slot->flush_ns >= 0, slot->flush_ns);
    buf_add_char(out, '}');
}

static void put_counts(Buf *out, const RowsdFacts *facts)
{
    begin(out, "conflicts", '{');
    for (unsigned k = 0; k < LEDGER_KINDS_MAX; k++)
        put_u64(out, ledger_kind_word((LedgerKind)k), facts->federated, facts->conflicts[k]);
    buf_add_char(out, '}');
    put_u64(out, "parked", facts->federated, facts->parked);
    put_u64(out, "dead_letters", facts->federated, facts->dead_letters);
    put_text(out, "dead_letter", facts->dead_letter);
    put_u64(out, "tables", facts->federated, facts->tables);
    put_u64(out, "guarded_tables", facts->federated, facts->guarded);
    put_u64(out, "sql_version", facts->federated, facts->sql_version);
}

static const char *state_word(const RowsdFacts *facts)
{
    if (!facts->database)
        return "database-away";
    if (!facts->federated)
        return "not-federated";
    if (facts->restored)
        return "restored";
    if (facts->refused[0] != '\0')
        return "refusing";
    return facts->n_alarms > 0 ? "degraded" : "ok";
}

void rowsd_facts_json(const RowsdFacts *facts, Mono now, Buf *out)
{
    bool serving = facts->serving;
    begin(out, NULL, '{');
    put_text(out, "region", facts->region);
    put_text(out, "cloud", facts->cloud);
    put_u64(out, "origin", true, facts->origin);
    put_text(out, "state", state_word(facts));
    put_bool(out, "daemon", serving);
    put_text(out, "database_error", facts->database_why);
    put_text(out, "writes_refused", facts->refused);
    put_ms(out, "rpo_ms", facts->rpo_ns >= 0, facts->rpo_ns);
    begin(out, "rpo", '{');
    put_quantiles(out, "minute", &facts->rpo_minute);
    put_quantiles(out, "hour", &facts->rpo_hour);
    put_quantiles(out, "day", &facts->rpo_day);
    buf_add_char(out, '}');
    put_ms(out, "clock_skew_ms", facts->clock.known, facts->clock.skew_ns);
    put_ms(out, "clock_limit_ms", true, facts->clock_limit_ns);
    put_u64(out, "beats_missed", serving, facts->beats_missed);
    put_ms(out, "beat_age_ms", serving && facts->beat_at.ns > 0, mono_since(now, facts->beat_at));
    put_counts(out, facts);
    put_ms(out, "collected_age_ms", facts->collected_at.ns > 0,
           mono_since(now, facts->collected_at));
    begin(out, "links", '[');
    for (uint32_t i = 0; i < facts->n; i++)
        put_link(out, facts, &facts->links[i], now);
    buf_add_char(out, ']');
    begin(out, "slots", '[');
    for (uint32_t i = 0; i < facts->n; i++)
        if (facts->links[i].out.slot)
            put_slot(out, &facts->links[i]);
    buf_add_char(out, ']');
    begin(out, "alarms", '[');
    for (uint32_t i = 0; i < facts->n_alarms; i++) {
        begin(out, NULL, '{');
        put_text(out, "region", facts->region);
        put_text(out, "name", facts->alarms[i].name);
        put_text(out, "text", facts->alarms[i].text);
        put_ms(out, "since_ms", serving, mono_since(now, facts->alarms[i].since));
        buf_add_char(out, '}');
    }
    buf_add_text(out, "]}");
}
