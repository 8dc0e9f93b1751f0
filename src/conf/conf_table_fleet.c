// SPDX-License-Identifier: MIT
// conf_table_fleet: options of what the fleet is: fleet, clients, clouds, regions, services,
// budgets, prices. See conf_table.h.
#include "conf_table.h"

#include "bounds.h"

static const char *const CLASS_NAMES[] = {"read", "write", NULL};
static const char *const ALL_DOWN[] = {"closed", "open", NULL};
static const char *const DURABILITY[] = {"local", "two-clouds", NULL};
static const char *const NO_OTHER_CLOUD[] = {"wait", "degrade", NULL};
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
const ConfSection CONF_SECTION_FLEET = {
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
const ConfSection CONF_SECTION_CLIENT = {
    .name = "clients",
    .text = "Client groups: sets of addresses that get the same ordered "
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
const ConfSection CONF_SECTION_CLOUD = {
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
    {.key = "database_replica",
     .type = CONF_TYPE_TEXT,
     .offset = IN(ConfRawRegion, database_replica),
     .min = 1,
     .max = 500,
     .fallback = "none",
     .text = "a connection string without password: where `analytics_user` is sent "
             "(`wildcam psql --analytics`); `none`: to the database itself",
     .reason = "as for `database`"},
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
const ConfSection CONF_SECTION_REGION = {
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
const ConfSection CONF_SECTION_SERVICE = {.name = "services",
                                          .text = "What the fleet serves.",
                                          .size = sizeof(ConfRawService),
                                          SECTION(SERVICE_OPTIONS)};

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
const ConfSection CONF_SECTION_BUDGETS = {
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
const ConfSection CONF_SECTION_PRICES = {
    .name = "prices",
    .text = "What the clouds charge. A cloud that is missing costs nothing.",
    .size = sizeof(ConfRawPrice),
    SECTION(PRICE_OPTIONS)};
