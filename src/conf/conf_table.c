// SPDX-License-Identifier: MIT
// conf_table: every option of fleet.yaml, one row each (see conf_schema.h). The numbers of the
// deployment guide are defaults here and written out in the shipped file. Each row says why its
// limits are where they are: an operator who meets one should see at once whether to move it. A
// long file on purpose: it is a table.
#include "bounds.h"
#include "conf_schema.h"

#define MS NS_PER_MS
#define SEC NS_PER_S
#define MINUTE (60 * NS_PER_S)
#define HOUR (3600 * NS_PER_S)
#define DAY (86400 * NS_PER_S)
#define PERCENT 10000 // in parts per million

#define IN(type, field) offsetof(type, field)
#define SECTION(array) .options = (array), .n = sizeof(array) / sizeof((array)[0])

static const char *const CLASS_NAMES[] = {"read", "write", NULL};
static const char *const ALL_DOWN[] = {"closed", "open", NULL};
static const char *const DURABILITY[] = {"local", "two-clouds", NULL};
static const char *const NO_OTHER_CLOUD[] = {"wait", "degrade", NULL};
static const char *const ISSUERS[] = {"local", "files", NULL};

static const ConfOption FLEET_OPTIONS[] = {
    {.key = "name",
     .type = CONF_TYPE_LABEL,
     .offset = IN(ConfRaw, fleet_name),
     .max = BOUND_NAME,
     .text = "name of the deployment, shown in status and reports",
     .reason = "a DNS label (RFC 1035), as it stands in names"},
    {.key = "domain",
     .type = CONF_TYPE_DOMAIN,
     .offset = IN(ConfRaw, domain),
     .max = 200,
     .text = "domain that the service names live in: api.DOMAIN, backup.api.DOMAIN",
     .reason = "a name has at most 253 characters; the labels before it need some"},
    {.key = "generation",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, generation),
     .min = 1,
     .max = UINT32_MAX,
     .text =
         "number of this version of the file; raise it with every change. Every report and plan "
         "carries it, and `wildcam status` shows regions that run another one",
     .reason = "32 bits in the plan file; 0 means 'none'"},
    {.key = "peak_load",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, peak_load_rps),
     .min = 1,
     .max = 100000000,
     .unit = "requests/s",
     .text =
         "highest load that the whole fleet is expected to get. `wildcam config check` warns when "
         "the regions that are left after the death of any one cloud cannot carry it",
     .reason = "loads are added up in 32 bits"},
};
static const ConfSection FLEET = {
    .name = "fleet", .text = "What this deployment is.", SECTION(FLEET_OPTIONS)};

static const ConfOption CLIENT_OPTIONS[] = {
    {.key = "name",
     .type = CONF_TYPE_LABEL,
     .offset = IN(ConfRawGroup, name),
     .max = BOUND_NAME,
     .text = "name of the group, shown by `wildcam why`",
     .reason = "a DNS label, as all names here"},
    {.key = "prefixes",
     .type = CONF_TYPE_PREFIXES,
     .offset = IN(ConfRawGroup, prefixes),
     .min = 1,
     .max = BOUND_PREFIXES,
     .text =
         "client addresses of the group. The longest prefix that contains an address decides; all "
         "groups together must cover every IPv4 and IPv6 address",
     .reason =
         "a group without prefixes can have no clients; the table of prefixes is held in memory"},
    {.key = "location",
     .type = CONF_TYPE_LOCATION,
     .offset = IN(ConfRawGroup, location),
     .fallback = "",
     .text =
         "where these clients are, for the distance to each region. May be left out when `latency` "
         "names every region",
     .reason = "the surface of the Earth"},
    {.key = "latency",
     .type = CONF_TYPE_LATENCIES,
     .offset = IN(ConfRawGroup, latency),
     .min = 0,
     .max = 10 * SEC,
     .fallback = "{}",
     .text = "measured round trip to single regions, instead of the one derived from distance",
     .reason = "nothing on Earth is 10 s away"},
    {.key = "demand",
     .type = CONF_TYPE_SHARE,
     .offset = IN(ConfRawGroup, demand_ppm),
     .max = PPM_ONE,
     .text =
         "share of the fleet's load that comes from this group. Load is projected with it before "
         "traffic is moved; all groups together give 100 %",
     .reason = "a share; 0 % is a group that exists but hardly sends anything"},
};
static const ConfSection CLIENT = {.name = "clients",
                                   .text =
                                       "Client groups: sets of addresses that get the same ordered "
                                       "list of regions, nearest first.",
                                   .size = sizeof(ConfRawGroup),
                                   SECTION(CLIENT_OPTIONS)};

static const ConfOption CLOUD_OPTIONS[] = {
    {.key = "name",
     .type = CONF_TYPE_LABEL,
     .offset = IN(ConfRawCloud, name),
     .max = BOUND_NAME,
     .text = "name of the cloud provider",
     .reason = "a DNS label, as all names here"},
};
static const ConfSection CLOUD = {
    .name = "clouds",
    .text =
        "Cloud providers. A gateway is held down only when regions of at least two clouds say so.",
    .size = sizeof(ConfRawCloud),
    SECTION(CLOUD_OPTIONS)};

static const ConfOption GATEWAY_OPTIONS[] = {
    {.key = "address",
     .type = CONF_TYPE_ADDRESS,
     .offset = IN(ConfRawRegion, address),
     .text =
         "address of the region's edge; every program of the region binds it, also for outgoing "
         "connections",
     .reason = "one address a region: a partition is made and a peer is told apart by it"},
    {.key = "https",
     .type = CONF_TYPE_PORT,
     .offset = IN(ConfRawRegion, https_port),
     .min = 1,
     .max = UINT16_MAX,
     .fallback = "8443",
     .text = "port of the public HTTPS edge",
     .reason = "TCP ports; those below 1024 need privileges"},
    {.key = "http",
     .type = CONF_TYPE_PORT,
     .offset = IN(ConfRawRegion, http_port),
     .min = 1,
     .max = UINT16_MAX,
     .fallback = "8480",
     .text = "port of the plain HTTP edge: redirects to HTTPS",
     .reason = "TCP ports; those below 1024 need privileges"},
    {.key = "peer",
     .type = CONF_TYPE_PORT,
     .offset = IN(ConfRawRegion, peer_port),
     .min = 1,
     .max = UINT16_MAX,
     .fallback = "8444",
     .text = "port of the inter-region listener with mutual TLS",
     .reason = "TCP ports; those below 1024 need privileges"},
    {.key = "dns",
     .type = CONF_TYPE_PORT,
     .offset = IN(ConfRawRegion, dns_port),
     .min = 1,
     .max = UINT16_MAX,
     .fallback = "5300",
     .text = "port of the DNS server, UDP and TCP",
     .reason = "ports; those below 1024 need privileges"},
};
static const ConfSection GATEWAY = {
    .name = "gateway", .text = "Where the region is reached.", SECTION(GATEWAY_OPTIONS)};

static const ConfOption REGION_OPTIONS[] = {
    {.key = "name",
     .type = CONF_TYPE_LABEL,
     .offset = IN(ConfRawRegion, name),
     .max = BOUND_NAME,
     .text = "name of the region as its cloud calls it",
     .reason = "a DNS label: names of gateways are built from it"},
    {.key = "cloud",
     .type = CONF_TYPE_LABEL,
     .offset = IN(ConfRawRegion, cloud),
     .max = BOUND_NAME,
     .text = "the cloud that it belongs to, one of `clouds`",
     .reason = "the quorum counts clouds"},
    {.key = "origin",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRawRegion, origin),
     .min = 1,
     .max = 255,
     .text = "number of the region in the version stamp of rows and objects. Once used it never "
             "goes to "
             "another region",
     .reason = "8 bits of the stamp; 0 means 'no origin'"},
    {.key = "location",
     .type = CONF_TYPE_LOCATION,
     .offset = IN(ConfRawRegion, location),
     .text = "where the data centre is",
     .reason = "the surface of the Earth"},
    {.key = "capacity",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRawRegion, capacity_rps),
     .min = 1,
     .max = 10000000,
     .unit = "requests/s",
     .text = "load that the region can carry; what exceeds it spills to the next ones",
     .reason = "a region without capacity is no region; sums stay within 32 bits"},
    {.key = "replicas",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRawRegion, replicas),
     .min = 1,
     .max = BOUND_REPLICAS,
     .unit = "processes",
     .fallback = "2",
     .text =
         "backend processes that run in the region; two, so that one can be replaced under load",
     .reason = "an edge keeps a slot of counters for each"},
    {.key = "gateway",
     .type = CONF_TYPE_MAP,
     .child = &GATEWAY,
     .text = "where the region is reached",
     .reason = "one edge a region"},
    {.key = "database",
     .type = CONF_TYPE_TEXT,
     .offset = IN(ConfRawRegion, database),
     .min = 1,
     .max = 500,
     .fallback = "local",
     .text = "`local`: a PostgreSQL that the supervisor starts; or a connection string without "
             "password",
     .reason = "passwords belong into the secrets store, never into this file"},
    {.key = "database_port",
     .type = CONF_TYPE_PORT,
     .offset = IN(ConfRawRegion, database_port),
     .min = 1,
     .max = UINT16_MAX,
     .fallback = "5432",
     .text = "port of a local PostgreSQL",
     .reason = "TCP ports; those below 1024 need privileges"},
    {.key = "store",
     .type = CONF_TYPE_TEXT,
     .offset = IN(ConfRawRegion, store),
     .min = 1,
     .max = 500,
     .fallback = "dir",
     .text = "`dir`: a folder of the region; or the URL of a bucket (s3://, azure://, gs://)",
     .reason = "object stores that are supported"},
};
static const ConfSection REGION = {
    .name = "regions",
    .text = "The regions. Each one has an edge, backends, a writable database and an object store.",
    .size = sizeof(ConfRawRegion),
    SECTION(REGION_OPTIONS)};

static const ConfOption ROUTE_OPTIONS[] = {
    {.key = "path",
     .type = CONF_TYPE_PATH,
     .offset = IN(ConfRawRoute, path),
     .min = 1,
     .max = 200,
     .text =
         "path of the URL: exact, or everything below with `/*` at its end. The longest match wins",
     .reason = "it becomes a location of nginx"},
    {.key = "get",
     .type = CONF_TYPE_CHOICE,
     .offset = IN(ConfRawRoute, class_for_get),
     .fallback = "read",
     .choices = CLASS_NAMES,
     .text =
         "class that GET and HEAD need: a region without a writable database still serves `read`",
     .reason = "the two classes that a region states"},
    {.key = "other",
     .type = CONF_TYPE_CHOICE,
     .offset = IN(ConfRawRoute, class_for_other),
     .fallback = "write",
     .choices = CLASS_NAMES,
     .text = "class that the other methods need",
     .reason = "the two classes that a region states"},
    {.key = "cache",
     .type = CONF_TYPE_LABEL,
     .offset = IN(ConfRawRoute, cache),
     .max = BOUND_NAME,
     .fallback = "none",
     .text = "name of the cache rule, one of `edge.cache_rules`",
     .reason = "a DNS label, as all names here"},
};
static const ConfSection ROUTE = {.name = "routes",
                                  .text = "Which requests belong to the service.",
                                  .size = sizeof(ConfRawRoute),
                                  SECTION(ROUTE_OPTIONS)};

static const ConfOption ALL_DOWN_OPTIONS[] = {
    {.key = "read",
     .type = CONF_TYPE_CHOICE,
     .offset = IN(ConfRawService, all_down_read),
     .fallback = "open",
     .choices = ALL_DOWN,
     .text = "reads when every region is down: `open` tries one all the same, `closed` answers 503",
     .reason = "the two ways to fail"},
    {.key = "write",
     .type = CONF_TYPE_CHOICE,
     .offset = IN(ConfRawService, all_down_write),
     .fallback = "closed",
     .choices = ALL_DOWN,
     .text = "the same for writes",
     .reason = "the two ways to fail"},
};
static const ConfSection ALL_DOWN_SECTION = {
    .name = "all_down", .text = "What happens when nothing is up.", SECTION(ALL_DOWN_OPTIONS)};

static const ConfOption SERVICE_OPTIONS[] = {
    {.key = "name",
     .type = CONF_TYPE_LABEL,
     .offset = IN(ConfRawService, name),
     .max = BOUND_NAME,
     .text = "name of the service; its address is NAME.DOMAIN",
     .reason = "a DNS label: it is one"},
    {.key = "routes",
     .type = CONF_TYPE_LIST,
     .offset = IN(ConfRawService, routes),
     .min = 1,
     .max = BOUND_ROUTES,
     .child = &ROUTE,
     .text = "the requests that belong to it",
     .reason = "a service without routes gets no request; each route is a location of nginx"},
    {.key = "all_down",
     .type = CONF_TYPE_MAP,
     .child = &ALL_DOWN_SECTION,
     .text = "what happens when nothing is up",
     .reason = "set per class: reads may try, writes should not"},
    {.key = "latency_budget",
     .type = CONF_TYPE_DURATION,
     .offset = IN(ConfRawService, latency_budget_ns),
     .min = 0,
     .max = 1 * SEC,
     .fallback = "10ms",
     .text = "a cheaper region may be this much farther away than the nearest one",
     .reason = "more than 1 s is never worth the price of a transfer"},
    {.key = "durability",
     .type = CONF_TYPE_CHOICE,
     .offset = IN(ConfRawService, durability),
     .fallback = "local",
     .choices = DURABILITY,
     .text = "when a write is acknowledged: on disk here, or confirmed by another cloud too",
     .reason = "what the database layer offers"},
    {.key = "no_other_cloud",
     .type = CONF_TYPE_CHOICE,
     .offset = IN(ConfRawService, no_other_cloud),
     .fallback = "wait",
     .choices = NO_OTHER_CLOUD,
     .text = "with `two-clouds`, when no other cloud answers: `wait` ends with 503, `degrade` "
             "acknowledges with local durability and raises an alarm",
     .reason = "the two ways to fail"},
};
static const ConfSection SERVICE = {.name = "services",
                                    .text = "What the fleet serves.",
                                    .size = sizeof(ConfRawService),
                                    SECTION(SERVICE_OPTIONS)};

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
static const ConfSection HEALTH_SECTION = {
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
static const ConfSection QUORUM_SECTION = {.name = "quorum",
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
static const ConfSection CLOCK_SECTION = {
    .name = "clock", .text = "How far clocks may be off.", SECTION(CLOCK_OPTIONS)};

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
static const ConfSection DNS = {.name = "dns",
                                .text = "Authoritative DNS of the steered names.",
                                .only_recorded = true,
                                SECTION(DNS_OPTIONS)};

static const ConfOption CACHE_RULE_OPTIONS[] = {
    {.key = "name",
     .type = CONF_TYPE_LABEL,
     .offset = IN(ConfRawCacheRule, name),
     .max = BOUND_NAME,
     .text = "name that routes refer to",
     .reason = "a DNS label, as all names here"},
    {.key = "ttl",
     .type = CONF_TYPE_DURATION,
     .offset = IN(ConfRawCacheRule, ttl_ns),
     .min = 0,
     .max = 3650 * DAY,
     .text = "how long an answer is kept; 0s: never stored",
     .reason = "ten years is for ever"},
    {.key = "immutable",
     .type = CONF_TYPE_BOOL,
     .offset = IN(ConfRawCacheRule, immutable),
     .fallback = "false",
     .text = "content under a name never changes: browsers need not ask again, cookies are ignored",
     .reason = "on or off"},
    {.key = "if_cacheable",
     .type = CONF_TYPE_BOOL,
     .offset = IN(ConfRawCacheRule, if_cacheable),
     .fallback = "false",
     .text = "store only what the backend marks as cacheable",
     .reason = "on or off"},
};
static const ConfSection CACHE_RULE = {.name = "cache_rules",
                                       .text = "What the edge's cache may keep, and how long.",
                                       .size = sizeof(ConfRawCacheRule),
                                       SECTION(CACHE_RULE_OPTIONS)};

#define TIME(name, field, low, high, def, what, why)                                               \
    {                                                                                              \
        .key = (name), .type = CONF_TYPE_DURATION, .offset = IN(ConfRaw, field), .min = (low),     \
        .max = (high), .fallback = (def), .text = (what), .reason = (why)                          \
    }

static const ConfOption EDGE_OPTIONS[] = {
    {.key = "workers",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, edge.workers),
     .min = 1,
     .max = BOUND_WORKERS,
     .unit = "processes",
     .fallback = "1",
     .text = "nginx workers of an edge",
     .reason = "each one has a file of counters"},
    {.key = "connections",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, edge.connections),
     .min = 64,
     .max = 1000000,
     .unit = "connections",
     .fallback = "16384",
     .text = "connections that a worker can have open, to clients and backends together",
     .reason = "each one costs memory at start; 10,000 idle cameras must fit"},
    {.key = "connections_per_client",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, edge.connections_per_client),
     .min = 1,
     .max = 1000000,
     .unit = "connections",
     .fallback = "1000",
     .text = "connections that one client address may have open",
     .reason = "a carrier's NAT puts many cameras behind one address"},
    {.key = "max_body",
     .type = CONF_TYPE_SIZE,
     .offset = IN(ConfRaw, edge.max_body_bytes),
     .min = 1024,
     .max = INT64_C(1) << 30,
     .fallback = "16MiB",
     .text = "largest request body; beyond it the answer is 413",
     .reason = "an image of a camera has a few MiB; bodies are buffered on disk"},
    {.key = "max_header",
     .type = CONF_TYPE_SIZE,
     .offset = IN(ConfRaw, edge.max_header_bytes),
     .min = 1024,
     .max = 1 << 20,
     .fallback = "16KiB",
     .text = "largest request header",
     .reason = "it is held in memory per request"},
    TIME("client_header_timeout", edge.client_header_timeout_ns, 100 * MS, 600 * SEC, "10s",
         "a client that does not finish its header in this time is cut off",
         "slow on purpose is an attack; a camera on 2G needs seconds"),
    TIME("client_body_timeout", edge.client_body_timeout_ns, 100 * MS, 600 * SEC, "10s",
         "and one that sends nothing of its body for so long", "as above"),
    TIME("keepalive", edge.keepalive_ns, 0, 3600 * SEC, "75s",
         "idle connections of clients are kept for so long", "each one costs 20 KiB with TLS"),
    TIME("connect_timeout", edge.connect_timeout_ns, 10 * MS, 60 * SEC, "250ms",
         "a backend or region that takes longer to connect (TLS included) is given up, the next "
         "one is tried",
         "the worst request must stay within its objective"),
    TIME("read_timeout", edge.read_timeout_ns, 100 * MS, 600 * SEC, "5s",
         "an answer that pauses for longer is given up (the guide's 5 seconds)",
         "within what clients wait for"),
    {.key = "cache_size",
     .type = CONF_TYPE_SIZE,
     .offset = IN(ConfRaw, edge.cache_bytes),
     .min = 1 << 20,
     .max = INT64_C(1) << 44,
     .fallback = "256MiB",
     .text = "disk space of the edge's cache",
     .reason = "1 MiB holds a few images; 16 TiB is a large disk"},
    {.key = "cache_rules",
     .type = CONF_TYPE_LIST,
     .offset = IN(ConfRaw, cache_rules),
     .min = 1,
     .max = 16,
     .fallback =
         "[{name: static, ttl: 365d, immutable: true}, {name: api, ttl: 5m, if_cacheable: true}, "
         "{name: none, ttl: 0s}]",
     .child = &CACHE_RULE,
     .text = "what may be kept and how long (the guide: static 1 year, API answers 5 minutes if "
             "cacheable, dynamic content never)",
     .reason = "each rule is a zone of nginx"},
    {.key = "retry_budget",
     .type = CONF_TYPE_SHARE,
     .offset = IN(ConfRaw, pick.retry_budget_ppm),
     .max = PPM_ONE,
     .fallback = "20 %",
     .text = "repeated requests never exceed this share of all requests",
     .reason = "retries of everything double the load just when something is down"},
    {.key = "retry_burst",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, pick.retry_burst),
     .max = 100000,
     .unit = "retries",
     .fallback = "10",
     .text = "so many retries in 10 s are always allowed, for edges with little traffic",
     .reason = "a share of almost nothing is nothing"},
    {.key = "eject_failures",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, pick.eject_failures),
     .min = 1,
     .max = 100,
     .unit = "failures",
     .fallback = "3",
     .text = "failures in a row after which an edge avoids a target by itself",
     .reason = "0 would avoid without evidence"},
    TIME("eject", pick.eject_ns, 10 * MS, 600 * SEC, "1s",
         "for so long the first time; doubled with each repetition",
         "shorter than that tries a dead target for every few requests"),
    TIME("eject_max", pick.eject_max_ns, 10 * MS, 3600 * SEC, "30s", "and for at most so long",
         "a target that came back should be found within minutes"),
    {.key = "stall_inflight",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, pick.stall_inflight),
     .min = 1,
     .max = 10000,
     .unit = "requests",
     .fallback = "2",
     .text = "a target with so many requests in flight ...",
     .reason = "one slow request is not a stall"},
    TIME("stall", pick.stall_ns, 20 * MS, 60 * SEC, "200ms",
         "... that finished none for so long has stalled: its idempotent requests are moved",
         "the worst request must stay within its objective"),
    {.key = "stall_min_rate",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, pick.stall_min_rps),
     .min = 1,
     .max = 1000000,
     .unit = "requests/s",
     .fallback = "20",
     .text = "only targets that just finished so many requests a second can stall",
     .reason = "with little traffic a pause says nothing"},
};
static const ConfSection EDGE = {
    .name = "edge",
    .text = "The edges: limits, time-outs, cache, retries, and what an edge decides by itself.",
    SECTION(EDGE_OPTIONS)};

static const ConfOption OBJECTIVE_OPTIONS[] = {
    TIME("rto", objectives.rto_ns, 1 * MS, 7 * DAY, "5m",
         "recovery time objective: service is whole again after a loss (the guide's 5 minutes)",
         "a drill that is allowed no time at all can never hold"),
    TIME("rpo", objectives.rpo_ns, 1 * MS, 7 * DAY, "1m",
         "recovery point objective: so much of the newest data may be lost (the guide's 1 minute)",
         "0 needs durability: two-clouds and is not an objective to measure"),
    TIME("failover", objectives.failover_ns, 1 * MS, 1 * DAY, "30s",
         "names and edges lead to healthy regions after so long (the guide's 30 seconds)",
         "a drill that is allowed no time at all can never hold"),
    {.key = "availability",
     .type = CONF_TYPE_SHARE,
     .offset = IN(ConfRaw, objectives.availability_ppm),
     .min = 1,
     .max = PPM_ONE,
     .fallback = "99.99 %",
     .text = "share of requests that must succeed (the guide's 99.99 %)",
     .reason = "0 % is no objective"},
    TIME("worst_request", objectives.worst_request_ns, 0, 600 * SEC, "500ms",
         "slowest request on surviving edges during a drill; 0s: no objective",
         "beyond 10 minutes every client has gone"),
    {.key = "failed_idempotent",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, objectives.failed_idempotent),
     .max = 1000000000,
     .unit = "requests",
     .fallback = "0",
     .text = "idempotent requests that may fail during a drill",
     .reason = "0 is the aim; anything can be counted"},
};
static const ConfSection OBJECTIVES = {
    .name = "objectives",
    .text =
        "What must hold. Every drill measures against these and ends with exit code 3 if one was "
        "missed.",
    SECTION(OBJECTIVE_OPTIONS)};

static const ConfOption ROWS_OPTIONS[] = {
    TIME("max_lag", rows_max_lag_ns, 100 * MS, 1 * HOUR, "10s",
         "replication of rows that lags more raises an alarm (the guide's 5 to 10 seconds)",
         "not above `objectives.rpo`"),
};
static const ConfSection ROWS = {.name = "rows",
                                 .text = "Replication of the databases.",
                                 .only_recorded = true,
                                 SECTION(ROWS_OPTIONS)};

static const ConfOption OBJECTS_OPTIONS[] = {
    TIME("max_lag", objects_max_lag_ns, 100 * MS, 1 * HOUR, "10s",
         "copying of objects that lags more raises an alarm", "not above `objectives.rpo`"),
    TIME("archive_after", objects_archive_after_ns, 1 * DAY, 3650 * DAY, "90d",
         "images older than this move to cold storage (the guide's 90 days)",
         "cold storage bills a month at least"),
};
static const ConfSection OBJECTS = {.name = "objects",
                                    .text = "Federation of the object stores.",
                                    .only_recorded = true,
                                    SECTION(OBJECTS_OPTIONS)};

static const ConfOption BUDGET_OPTIONS[] = {
    {.key = "monthly",
     .type = CONF_TYPE_MONEY,
     .offset = IN(ConfRaw, budget),
     .fallback = "10000 USD",
     .text = "what all clouds together may cost in a month (the guide's 10,000 USD)",
     .reason = "a decimal amount, never a binary fraction"},
    {.key = "shares",
     .type = CONF_TYPE_PORTIONS,
     .offset = IN(ConfRaw, budget_shares),
     .min = 0,
     .max = PPM_ONE,
     .text = "each cloud's part of it (the guide's 33/33/34 %); 100 % together",
     .reason = "every cloud has exactly one share"},
    {.key = "alerts",
     .type = CONF_TYPE_SHARES,
     .offset = IN(ConfRaw, budget_alerts),
     .min = 1,
     .max = 8,
     .fallback = "[80 %, 100 %]",
     .text = "alarms at these parts of a budget (the guide's 80 % and 100 %)",
     .reason = "each one is an alarm rule"},
};
static const ConfSection BUDGETS = {
    .name = "budgets", .text = "What the deployment may cost.", SECTION(BUDGET_OPTIONS)};

static const ConfOption PRICE_OPTIONS[] = {
    {.key = "cloud",
     .type = CONF_TYPE_LABEL,
     .offset = IN(ConfRawPrice, cloud),
     .max = BOUND_NAME,
     .text = "one of `clouds`",
     .reason = "prices are compared between clouds"},
    {.key = "egress",
     .type = CONF_TYPE_MONEY,
     .offset = IN(ConfRawPrice, egress),
     .text = "list price of a GiB sent to the internet. Of regions that are near enough (see "
             "`services.latency_budget`) the cheaper one is preferred",
     .reason = "in the budget's currency, as it is only compared"},
};
static const ConfSection PRICES = {
    .name = "prices",
    .text = "What the clouds charge. A cloud that is missing costs nothing.",
    .size = sizeof(ConfRawPrice),
    SECTION(PRICE_OPTIONS)};

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
static const ConfSection ROLLOUTS = {.name = "rollouts",
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
static const ConfSection SCALING = {.name = "scaling",
                                    .text = "Replicas follow the load (the guide's autoscaler).",
                                    .only_recorded = true,
                                    SECTION(SCALING_OPTIONS)};

static const ConfOption CERTIFICATE_OPTIONS[] = {
    {.key = "issuer",
     .type = CONF_TYPE_CHOICE,
     .offset = IN(ConfRaw, issuer),
     .fallback = "local",
     .choices = ISSUERS,
     .text =
         "`local`: a certificate authority of the fleet's own, made by `wildcam up`; `files`: they "
         "are put in place by somebody else, such as cert-manager",
     .reason = "what the agents know to renew"},
    TIME("lifetime", certificate_lifetime_ns, 1 * MINUTE, 397 * DAY, "24h",
         "how long a certificate of a region is valid",
         "a stolen key should not be of use for long; browsers refuse more than 397 days"),
    TIME("renew_before", renew_before_ns, 10 * SEC, 396 * DAY, "8h",
         "it is renewed when so much is left; less than `lifetime`",
         "time to repair a renewal that fails"),
};
static const ConfSection CERTIFICATES = {.name = "certificates",
                                         .text = "Certificates of edges and regions.",
                                         SECTION(CERTIFICATE_OPTIONS)};

static const ConfOption SECRET_OPTIONS[] = {
    TIME("rotate_database", rotate_database_ns, 1 * HOUR, 365 * DAY, "24h",
         "database credentials are replaced so often (the guide's 24 hours)",
         "faster than sessions live is of no use"),
    TIME("rotate_credentials", rotate_credentials_ns, 1 * DAY, 365 * DAY, "90d",
         "all others so often (the guide's 90 days)", "at least once a year"),
};
static const ConfSection SECRETS = {.name = "secrets",
                                    .text = "How often secrets are replaced.",
                                    .only_recorded = true,
                                    SECTION(SECRET_OPTIONS)};

static const ConfOption BACKUP_OPTIONS[] = {
    TIME("every", backups_every_ns, 1 * MINUTE, 7 * DAY, "6h",
         "a backup of every database and store so often (the guide's 6 hours)",
         "a backup takes minutes; more than a week apart is none"),
};
static const ConfSection BACKUPS = {
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
static const ConfSection TELEMETRY = {.name = "telemetry",
                                      .text = "When to raise an alarm.",
                                      .only_recorded = true,
                                      SECTION(TELEMETRY_OPTIONS)};

static const ConfOption DRILL_OPTIONS[] = {
    {.key = "rate",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, drills.requests_per_second),
     .min = 1,
     .max = 1000000,
     .unit = "requests/s",
     .fallback = "1000",
     .text = "camera traffic during a drill",
     .reason = "a drill without traffic measures nothing"},
    TIME("min_duration", drills.min_duration_ns, 1 * SEC, 1 * DAY, "10s",
         "a drill runs at least so long", "shorter ones miss what comes after the failure"),
    {.key = "connections",
     .type = CONF_TYPE_COUNT,
     .offset = IN(ConfRaw, drills.connections),
     .min = 1,
     .max = 60000,
     .unit = "connections",
     .fallback = "60",
     .text = "connections of those cameras",
     .reason = "ports of one source address"},
    {.key = "reads",
     .type = CONF_TYPE_SHARE,
     .offset = IN(ConfRaw, drills.read_ppm),
     .max = PPM_ONE,
     .fallback = "80 %",
     .text = "share of requests that read",
     .reason = "a share"},
};
static const ConfSection DRILLS = {
    .name = "drills", .text = "Traffic that a drill brings along.", SECTION(DRILL_OPTIONS)};

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
    ONE(FLEET, "fleet"),
    MANY(CLIENT, clients, "clients", BOUND_GROUPS,
         "a plan has a row for each; continents to metropolitan areas"),
    MANY(CLOUD, clouds, "clouds", BOUND_CLOUDS, "the quorum holds a bit for each"),
    MANY(REGION, regions, "regions", 255, "each needs an origin of its own"),
    MANY(SERVICE, services, "services", BOUND_SERVICES, "a plan has a row for each and group"),
    ONE(HEALTH_SECTION, "health"),
    ONE(QUORUM_SECTION, "quorum"),
    ONE(CLOCK_SECTION, "clock"),
    ONE(DNS, "dns"),
    ONE(EDGE, "edge"),
    ONE(OBJECTIVES, "objectives"),
    ONE(ROWS, "rows"),
    ONE(OBJECTS, "objects"),
    ONE(BUDGETS, "budgets"),
    {.key = "prices",
     .type = CONF_TYPE_LIST,
     .offset = IN(ConfRaw, prices),
     .max = BOUND_CLOUDS,
     .fallback = "[]",
     .child = &PRICES,
     .text = "see its own table",
     .reason = "one for each cloud"},
    ONE(ROLLOUTS, "rollouts"),
    ONE(SCALING, "scaling"),
    ONE(CERTIFICATES, "certificates"),
    ONE(SECRETS, "secrets"),
    ONE(BACKUPS, "backups"),
    ONE(TELEMETRY, "telemetry"),
    ONE(DRILLS, "drills"),
};
const ConfSection CONF_ROOT = {
    .name = "fleet.yaml", .text = "The whole file.", SECTION(ROOT_OPTIONS)};
