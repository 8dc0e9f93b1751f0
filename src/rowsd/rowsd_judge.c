// SPDX-License-Identifier: MIT
// rowsd_judge: from facts to states, lags and alarms, with a sentence for people behind each. Pure:
// times are arguments.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "rowsd_facts.h"

#define BACKLOG_BYTES (16U << 20) // a link that has less to go is not catching up, it works
#define PROBE_FRESH_NS (5 * NS_PER_S)
#define SETTLE_NS (10 * NS_PER_S) // a link that is being made is no alarm

static const char *const STATES[] = {
#define X(name, word) word,
    LINK_STATES(X)
#undef X
};
static const char *const KINDS[] = {
#define X(name) #name,
    LEDGER_KINDS(X)
#undef X
};

const char *link_state_word(LinkState state)
{
    return (unsigned)state < ARRAY_SIZE(STATES) ? STATES[state] : "?";
}

const char *ledger_kind_word(LedgerKind kind)
{
    return (unsigned)kind < ARRAY_SIZE(KINDS) ? KINDS[kind] : "?";
}

static void say(char *text, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void say(char *text, size_t size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, size, fmt, args);
    va_end(args);
}

static LinkState state_of(const RowsdLink *link, int64_t max_lag_ns)
{
    const LinkIn *in = &link->in;
    if (!in->subscribed)
        return LINK_STATE_ABSENT;
    if (link->task.rejoining)
        return LINK_STATE_FILLING;
    if (!in->enabled)
        return LINK_STATE_DISABLED;
    if (link->lost)
        return LINK_STATE_SLOT_LOST;
    if (link->looping)
        return LINK_STATE_ERROR_LOOP;
    if (link->silent)
        return link->probe.asked && !link->probe.reachable ? LINK_STATE_AWAY : LINK_STATE_SILENT;
    if (!in->filled)
        return LINK_STATE_FILLING;
    if (link->lag_ns > max_lag_ns || (link->backlog_known && link->backlog > BACKLOG_BYTES))
        return LINK_STATE_CATCHING_UP;
    return LINK_STATE_STREAMING;
}

static void explain(RowsdLink *link)
{
    const LinkIn *in = &link->in;
    char *why = link->why;
    const size_t size = sizeof link->why;
    why[0] = '\0';
    switch (link->state) {
    case LINK_STATE_ABSENT:
        say(why, size, "%s",
            in->error[0] != '\0'          ? in->error
            : link->task.error[0] != '\0' ? link->task.error
            : link->probe.why[0] != '\0'  ? link->probe.why
                                          : "not subscribed yet");
        break;
    case LINK_STATE_DISABLED:
        say(why, size,
            "subscription %s was disabled by somebody and stays so; to go on: ALTER "
            "SUBSCRIPTION %s ENABLE%s",
            link->in_name, link->in_name,
            link->lost ? "; its slot is lost, the link will be made anew and filled then" : "");
        break;
    case LINK_STATE_SLOT_LOST:
        say(why, size, "slot %s in %s was lost; the link is made anew and filled", link->in_name,
            link->region);
        break;
    case LINK_STATE_ERROR_LOOP:
        say(why, size, "%s",
            link->cause[0] != '\0' ? link->cause : "a change cannot be applied; looking for it");
        break;
    case LINK_STATE_AWAY:
        say(why, size, "%s", link->probe.why[0] != '\0' ? link->probe.why : "not reachable");
        break;
    case LINK_STATE_SILENT:
        say(why, size, "%s",
            in->error[0] != '\0'    ? in->error // of the way that its worker takes
            : !in->working          ? "no apply worker runs"
            : link->probe.reachable ? "its database answers but no heartbeat arrives"
                                    : "no heartbeat arrives");
        break;
    case LINK_STATE_FILLING:
        say(why, size, "%s", link->task.error[0] != '\0' ? link->task.error : in->error);
        break;
    default:
        break;
    }
}

static void judge_link(RowsdFacts *facts, RowsdLink *link, int64_t max_lag_ns, Mono now, Wall wall)
{
    const LinkIn *in = &link->in;
    int64_t skew = link->probe.has_skew ? link->probe.skew_ns : 0;
    link->lag_ns =
        in->marked ? lag_of_link_ns(in->sent, in->arrived, wall, skew, facts->beat_ns) : -1;
    uint64_t applied = in->working && in->received > in->lsn ? in->received : in->lsn;
    link->backlog_known = link->probe.asked && link->probe.reachable &&
                          mono_since(now, link->probe.at) < PROBE_FRESH_NS && applied > 0;
    link->backlog =
        link->backlog_known && link->probe.head > applied ? link->probe.head - applied : 0;
    link->eta_ns = link->backlog_known ? lag_eta_ns(link->backlog, &link->rates) : LAG_UNKNOWN;
    LinkState state = state_of(link, max_lag_ns);
    if (state != link->state || link->since.ns == 0)
        link->since = now;
    link->state = state;
    explain(link);
}

void rowsd_facts_judge(RowsdFacts *facts, int64_t max_lag_ns, Mono now, Wall wall)
{
    for (uint32_t i = 0; i < facts->n; i++)
        judge_link(facts, &facts->links[i], max_lag_ns, now, wall);
}

typedef struct AlarmList {
    RowsdAlarm items[ROWSD_ALARMS];
    uint32_t n;
} AlarmList;

// The same name again: its text grows.
static void raise(AlarmList *list, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void raise(AlarmList *list, const char *name, const char *fmt, ...)
{
    char text[ROWSD_TEXT];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (uint32_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0) {
            size_t len = strlen(list->items[i].text);
            say(list->items[i].text + len, sizeof list->items[i].text - len, "; %s", text);
            return;
        }
    if (list->n == ROWSD_ALARMS)
        return;
    RowsdAlarm *alarm = &list->items[list->n++];
    alarm->name = name;
    (void)snprintf(alarm->text, sizeof alarm->text, "%s", text);
}

static long long seconds(int64_t ns)
{
    return (long long)(ns / NS_PER_S);
}

// `rows.slot_limit`: how much of what a slot may keep is kept.
static bool over_limit(const RowsdFacts *facts, const LinkOut *out)
{
    return out->slot && out->limit > 0 && facts->slot_limit_ppm > 0 &&
           (double)out->retained * 1e6 > (double)out->limit * facts->slot_limit_ppm;
}

static void link_alarms(AlarmList *list, const RowsdFacts *facts, const RowsdLink *link,
                        int64_t max_lag_ns, Mono now)
{
    const char *region = link->region;
    if (!link->in.node || !link->in.active)
        return;
    switch (link->state) {
    case LINK_STATE_ABSENT:
        if (!facts->serving || mono_since(now, link->since) > SETTLE_NS)
            raise(list, "link_absent", "nothing comes from %s: %s", region, link->why);
        break;
    case LINK_STATE_AWAY:
    case LINK_STATE_SILENT:
        raise(list, "silent", "%s is silent for %lld s: %s", region,
              seconds(facts->read_at.ns - link->in.arrived.ns), link->why);
        break;
    case LINK_STATE_ERROR_LOOP:
        raise(list, "error_loop", "from %s: %s", region, link->why);
        break;
    case LINK_STATE_SLOT_LOST:
        raise(list, "slot_lost", "%s", link->why);
        break;
    case LINK_STATE_DISABLED:
        raise(list, "disabled", "%s", link->why);
        break;
    default:
        if (link->lag_ns > max_lag_ns)
            raise(list, "lag", "from %s: %lld s behind", region, seconds(link->lag_ns));
        break;
    }
    if (link->out.slot && strcmp(link->out.status, "lost") == 0)
        raise(list, "slot_overrun", "slot %s here is lost: %s was away for too long",
              link->out_name, region);
    else if (over_limit(facts, &link->out))
        raise(list, "slot_limit",
              "slot %s keeps %" PRIu64 " of %" PRIu64
              " MiB for %s; it is lost after %lld MiB more (max_slot_wal_keep_size)",
              link->out_name, link->out.retained >> 20, link->out.limit >> 20, region,
              (long long)(link->out.left > 0 ? link->out.left >> 20 : 0));
}

static void own_alarms(AlarmList *list, const RowsdFacts *facts, int64_t rpo_ns, Mono now)
{
    if (facts->restored)
        raise(list, "restored", "%s",
              facts->refused[0] != '\0' ? facts->refused
                                        : "its peers have later changes of this database");
    else if (facts->clock.fault == CLOCK_FAULT_SKEW)
        raise(list, "clock", "the clock is %+lld ms off its peers; no writes here",
              (long long)(facts->clock.skew_ns / NS_PER_MS));
    else if (facts->clock.fault == CLOCK_FAULT_BACK)
        raise(list, "clock", "the clock stepped back below what was announced; no writes here");
    else if (facts->refused[0] != '\0')
        raise(list, "refused", "no writes here: %s", facts->refused);
    if (facts->serving && facts->beats_missed >= 3)
        raise(list, "beat", "%" PRIu32 " heartbeats missed, the last one is %lld s ago",
              facts->beats_missed, seconds(mono_since(now, facts->beat_at)));
    if (facts->dead_letters > 0)
        raise(list, "dead_letters", "%" PRIu64 " changes could not be applied; the newest: %s",
              facts->dead_letters, facts->dead_letter);
    if (facts->rpo_ns > rpo_ns)
        raise(list, "rpo", "what was written here in the last %lld s is nowhere else",
              seconds(facts->rpo_ns));
}

void rowsd_facts_alarms(RowsdFacts *facts, int64_t max_lag_ns, int64_t rpo_ns, Mono now)
{
    AlarmList list = {.n = 0};
    if (!facts->database)
        raise(&list, "database", "%s", facts->database_why);
    else if (!facts->federated)
        raise(&list, "not_federated",
              "the database has no schema wildcam; run 'wildcam rows init'");
    own_alarms(&list, facts, rpo_ns, now);
    for (uint32_t i = 0; facts->database && facts->federated && i < facts->n; i++)
        link_alarms(&list, facts, &facts->links[i], max_lag_ns, now);
    for (uint32_t i = 0; i < list.n; i++) {
        list.items[i].since = now;
        for (uint32_t k = 0; k < facts->n_alarms; k++)
            if (strcmp(facts->alarms[k].name, list.items[i].name) == 0)
                list.items[i].since = facts->alarms[k].since;
    }
    memcpy(facts->alarms, list.items, sizeof facts->alarms);
    facts->n_alarms = list.n;
}
