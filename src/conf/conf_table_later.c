// SPDX-License-Identifier: MIT
// conf_table_later: options of the later parts: rows, and sections that this version checks and
// keeps only: dns, objects, rollouts, scaling, secrets, backups, telemetry. See conf_table.h.
#include "conf_table.h"

#include "bounds.h"

static const ConfOption DNS_OPTIONS[] = {
    {.key = "zones",
     .type = CONF_TYPE_DOMAINS,
     .offset = IN(ConfRaw, dns.zones),
     .min = 1,
     .max = 64,
     .fallback = "[wildcam.org]",
     .text = "zones that the name server answers for",
     .reason = "each zone has a file and keys of its own"},
    {.key = "ttl",
     .type = CONF_TYPE_DURATION,
     .offset = IN(ConfRaw, dns.ttl_ns),
     .min = 1 * SEC,
     .max = 1 * HOUR,
     .fallback = "20s",
     .text = "time to live of steered answers; shorter than `objectives.failover`",
     .reason = "resolvers count whole seconds; an hour makes steering pointless"},
    {.key = "negative_ttl",
     .type = CONF_TYPE_DURATION,
     .offset = IN(ConfRaw, dns.negative_ttl_ns),
     .min = 1 * SEC,
     .max = 1 * HOUR,
     .fallback = "20s",
     .text = "time to live of 'there is no such name'; not above `ttl`",
     .reason = "as for `ttl`"},
    {.key = "answers",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, dns.answers),
     .min = 1,
     .max = 8,
     .unit = "addresses",
     .fallback = "2",
     .text = "addresses in one answer, best region first",
     .reason = "an answer should fit into 512 bytes"},
};
const ConfSection CONF_SECTION_DNS = {.name = "dns",
                                      .text = "Authoritative DNS of the steered names.",
                                      .only_recorded = true,
                                      SECTION(DNS_OPTIONS)};

static const char *const KINDS[] = {"lww", "insert-only", NULL};
static const ConfOption ROWS_TABLE_OPTIONS[] = {
    {.key = "name",
     .type = CONF_TYPE_TEXT,
     .offset = IN(ConfRawRowsTable, name),
     .min = 1,
     .max = 127,
     .text = "`items` (of schema public) or `schema.items`; must exist in every region",
     .reason = "two names of PostgreSQL and a dot"},
    {.key = "kind",
     .type = CONF_TYPE_CHOICE,
     .offset = IN(ConfRawRowsTable, kind),
     .fallback = "lww",
     .choices = KINDS,
     .text = "`lww`: rows change, the last write wins; `insert-only`: rows never change",
     .reason = "what the federation can merge"},
};
static const ConfSection ROWS_TABLE = {.name = "tables",
                                       .text = "A federated table.",
                                       .size = sizeof(ConfRawRowsTable),
                                       SECTION(ROWS_TABLE_OPTIONS)};

static const ConfOption ROWS_OPTIONS[] = {
    TIME("max_lag", rows.max_lag_ns, 100 * MS, 1 * HOUR, "10s",
         "replication of rows that lags more raises an alarm (the guide's 5 to 10 seconds)",
         "not above `objectives.rpo`"),
    TIME("beat", rows.beat_ns, 100 * MS, 1 * MINUTE, "1s",
         "every region tells the others so often how far it is",
         "lags and silences cannot be seen any finer; each beat is a transaction"),
    TIME("collect", rows.collect_ns, 1 * SEC, 1 * DAY, "1m",
         "journals are emptied and old tombstones deleted so often",
         "the journal grows by 200 bytes a write meanwhile"),
    TIME("margin", rows.margin_ns, 0, 30 * DAY, "10m",
         "tombstones stay for so long after every region has seen them",
         "a region that comes back from a backup may be older than its peers think"),
    {.key = "slot_limit",
     .type = CONF_TYPE_SHARE,
     .offset = IN(ConfRaw, rows.slot_limit_ppm),
     .min = 1 * PERCENT,
     .max = PPM_ONE,
     .fallback = "50 %",
     .text = "share of `max_slot_wal_keep_size` that a region that is away may hold before an "
             "alarm is raised",
     .reason = "above the limit its slot is lost, and its link is filled anew"},
    {.key = "tables",
     .type = CONF_TYPE_LIST,
     .offset = IN(ConfRaw, rows_tables),
     .max = 256,
     .fallback = "[]",
     .child = &ROWS_TABLE,
     .text = "tables that every region's daemon federates, besides `detections`",
     .reason = "each has a journal, functions and triggers of its own"},
};
const ConfSection CONF_SECTION_ROWS = {
    .name = "rows", .text = "Replication of the databases.", SECTION(ROWS_OPTIONS)};

static const ConfOption OBJECTS_OPTIONS[] = {
    TIME("max_lag", objects_max_lag_ns, 100 * MS, 1 * HOUR, "10s",
         "copying of objects that lags more raises an alarm", "not above `objectives.rpo`"),
    TIME("archive_after", objects_archive_after_ns, 1 * DAY, 3650 * DAY, "90d",
         "images older than this move to cold storage (the guide's 90 days)",
         "cold storage bills a month at least"),
};
const ConfSection CONF_SECTION_OBJECTS = {.name = "objects",
                                          .text = "Federation of the object stores.",
                                          .only_recorded = true,
                                          SECTION(OBJECTS_OPTIONS)};

static const ConfOption CANARY_OPTIONS[] = {
    {.key = "weight",
     .type = CONF_TYPE_SHARE,
     .offset = IN(ConfRawCanaryStep, weight_ppm),
     .min = 1,
     .max = PPM_ONE,
     .text = "share of requests that the new version gets",
     .reason = "a step of 0 % is no step"},
    {.key = "pause",
     .type = CONF_TYPE_DURATION,
     .offset = IN(ConfRawCanaryStep, pause_ns),
     .min = 0,
     .max = 7 * DAY,
     .text = "and how long it stays there",
     .reason = "a rollout that takes weeks is two versions"},
};
static const ConfSection CANARY = {.name = "canary",
                                   .text = "Steps of a gradual rollout.",
                                   .size = sizeof(ConfRawCanaryStep),
                                   SECTION(CANARY_OPTIONS)};

static const ConfOption ROLLOUT_OPTIONS[] = {
    {.key = "auto_promotion",
     .type = CONF_TYPE_BOOL,
     .offset = IN(ConfRaw, rollouts.auto_promotion),
     .fallback = "false",
     .text = "blue-green: promote without asking an operator",
     .reason = "on or off"},
    TIME("scale_down_delay", rollouts.scale_down_delay_ns, 0, 7 * DAY, "300s",
         "blue-green: the old version runs on for so long", "a week of double cost"),
    {.key = "canary",
     .type = CONF_TYPE_LIST,
     .offset = IN(ConfRaw, rollouts.canary),
     .min = 1,
     .max = 32,
     .fallback =
         "[{weight: 10 %, pause: 5m}, {weight: 25 %, pause: 10m}, {weight: 50 %, pause: 10m}, "
         "{weight: 75 %, pause: 10m}]",
     .child = &CANARY,
     .text = "canary: steps of rising share (the guide's 10, 25, 50, 75 %)",
     .reason = "each step is watched by itself"},
};
const ConfSection CONF_SECTION_ROLLOUTS = {.name = "rollouts",
                                           .text = "How new versions come in.",
                                           .only_recorded = true,
                                           SECTION(ROLLOUT_OPTIONS)};

#define SCALE_MOVE(member, wait, step, period)                                                     \
    TIME("stabilization", scaling.member.stabilization_ns, 0, 1 * HOUR, wait,                      \
         "the wish must have lasted for so long", "as Kubernetes limits it"),                      \
        {.key = "step",                                                                            \
         .type = CONF_TYPE_SHARE,                                                                  \
         .offset = IN(ConfRaw, scaling.member.step_ppm),                                           \
         .min = 1 * PERCENT,                                                                       \
         .max = PPM_ONE,                                                                           \
         .fallback = step,                                                                         \
         .text = "largest change within a period, as a share of what runs",                        \
         .reason = "0 % would never move"},                                                        \
        TIME("period", scaling.member.period_ns, 1 * SEC, 1800 * SEC, period, "that period",       \
             "as Kubernetes limits it")

static const ConfOption SCALE_UP_OPTIONS[] = {SCALE_MOVE(up, "60s", "50 %", "60s")};
static const ConfOption SCALE_DOWN_OPTIONS[] = {SCALE_MOVE(down, "300s", "25 %", "120s")};
static const ConfSection SCALE_UP = {
    .name = "up", .text = "How fast replicas are added.", SECTION(SCALE_UP_OPTIONS)};
static const ConfSection SCALE_DOWN = {
    .name = "down", .text = "How fast they are taken away.", SECTION(SCALE_DOWN_OPTIONS)};

static const ConfOption SCALING_OPTIONS[] = {
    {.key = "min",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, scaling.min),
     .min = 1,
     .max = 10000,
     .unit = "replicas",
     .fallback = "5",
     .text = "smallest number of replicas a region keeps in production",
     .reason = "none would be an outage"},
    {.key = "max",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, scaling.max),
     .min = 1,
     .max = 10000,
     .unit = "replicas",
     .fallback = "50",
     .text = "largest number; not below `min`",
     .reason = "a runaway must cost a bounded amount"},
    {.key = "cpu",
     .type = CONF_TYPE_SHARE,
     .offset = IN(ConfRaw, scaling.cpu_ppm),
     .min = 1 * PERCENT,
     .max = PPM_ONE,
     .fallback = "70 %",
     .text = "CPU use that is aimed at",
     .reason = "a share of what is requested"},
    {.key = "memory",
     .type = CONF_TYPE_SHARE,
     .offset = IN(ConfRaw, scaling.memory_ppm),
     .min = 1 * PERCENT,
     .max = PPM_ONE,
     .fallback = "80 %",
     .text = "memory use that is aimed at",
     .reason = "a share of what is requested"},
    {.key = "up",
     .type = CONF_TYPE_MAP,
     .child = &SCALE_UP,
     .text = "how fast replicas are added",
     .reason = "up is quick"},
    {.key = "down",
     .type = CONF_TYPE_MAP,
     .child = &SCALE_DOWN,
     .text = "how fast they are taken away",
     .reason = "down is slow"},
};
const ConfSection CONF_SECTION_SCALING = {.name = "scaling",
                                          .text =
                                              "Replicas follow the load (the guide's autoscaler).",
                                          .only_recorded = true,
                                          SECTION(SCALING_OPTIONS)};

static const ConfOption SECRET_OPTIONS[] = {
    TIME("rotate_database", rotate_database_ns, 1 * HOUR, 365 * DAY, "24h",
         "database credentials are replaced so often (the guide's 24 hours)",
         "faster than sessions live is of no use"),
    TIME("rotate_credentials", rotate_credentials_ns, 1 * DAY, 365 * DAY, "90d",
         "all others so often (the guide's 90 days)", "at least once a year"),
};
const ConfSection CONF_SECTION_SECRETS = {.name = "secrets",
                                          .text = "How often secrets are replaced.",
                                          .only_recorded = true,
                                          SECTION(SECRET_OPTIONS)};

static const ConfOption BACKUP_OPTIONS[] = {
    TIME("every", backups_every_ns, 1 * MINUTE, 7 * DAY, "6h",
         "a backup of every database and store so often (the guide's 6 hours)",
         "a backup takes minutes; more than a week apart is none"),
};
const ConfSection CONF_SECTION_BACKUPS = {
    .name = "backups", .text = "Backups.", .only_recorded = true, SECTION(BACKUP_OPTIONS)};

static const ConfOption TELEMETRY_OPTIONS[] = {
    TIME("alert_after", alert_after_ns, 1 * SEC, 1 * DAY, "5m",
         "an alarm is raised when its condition held for so long (the guide's `for: 5m`)",
         "shorter than a scrape says nothing"),
    {.key = "alert_error_rate",
     .type = CONF_TYPE_SHARE,
     .offset = IN(ConfRaw, alert_error_ppm),
     .min = 1,
     .max = PPM_ONE,
     .fallback = "5 %",
     .text = "share of 5xx answers that is an alarm (the guide's 5 %)",
     .reason = "0 % would always be one"},
    {.key = "cache_hits",
     .type = CONF_TYPE_SHARE,
     .offset = IN(ConfRaw, cache_hits_ppm),
     .max = PPM_ONE,
     .fallback = "80 %",
     .text = "share of cacheable requests that the cache should answer (the guide's 80 %)",
     .reason = "a share"},
};
const ConfSection CONF_SECTION_TELEMETRY = {.name = "telemetry",
                                            .text = "When to raise an alarm.",
                                            .only_recorded = true,
                                            SECTION(TELEMETRY_OPTIONS)};
