// SPDX-License-Identifier: MIT
// conf_schema: how the table of options is made (rows in conf_table.c) and where the values go. The
// one table feeds the parser, the defaults, the ranges, the "allowed: ..." texts, `config diff` and
// the reference page docs/fleet-yaml.md; a test fails on a row without text or reason. A ConfRaw
// holds the file's values as written, before names are resolved (conf_build does that).
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "conf.h"

typedef enum ConfType {
    CONF_TYPE_COUNT,     // uint32_t
    CONF_TYPE_PORT,      // uint16_t
    CONF_TYPE_DURATION,  // int64_t, ns
    CONF_TYPE_SIZE,      // uint64_t, bytes
    CONF_TYPE_SHARE,     // uint32_t, parts per million
    CONF_TYPE_BOOL,      // bool
    CONF_TYPE_CHOICE,    // uint32_t, index into choices
    CONF_TYPE_LABEL,     // const char *, a DNS label
    CONF_TYPE_DOMAIN,    // const char *, a domain name
    CONF_TYPE_TEXT,      // const char *, printable
    CONF_TYPE_ADDRESS,   // const char *, IPv4 or IPv6
    CONF_TYPE_PATH,      // const char *, of a URL
    CONF_TYPE_MONEY,     // ConfMoney
    CONF_TYPE_LOCATION,  // ConfLocation
    CONF_TYPE_PREFIXES,  // ConfList of IpPrefix
    CONF_TYPE_DOMAINS,   // ConfList of const char *
    CONF_TYPE_LABELS,    // ConfList of const char *
    CONF_TYPE_SHARES,    // ConfList of uint32_t, parts per million
    CONF_TYPE_LATENCIES, // ConfList of ConfNamedNumber: region -> ns
    CONF_TYPE_PORTIONS,  // ConfList of ConfNamedNumber: cloud -> parts per million
    CONF_TYPE_MAP,       // the options of `child`, in the same struct
    CONF_TYPE_LIST,      // ConfList of maps, each a struct of `child`
    CONF_TYPE_MAX,
} ConfType;

typedef struct ConfList {
    const void *items;
    uint32_t n;
} ConfList;

typedef struct ConfMoney {
    const char *amount; // decimal string
    const char *currency;
} ConfMoney;

typedef struct ConfLocation {
    int32_t latitude_udeg, longitude_udeg; // millionths of a degree: integers are exact
    bool given;
} ConfLocation;

typedef struct ConfNamedNumber {
    const char *name;
    int64_t value;
} ConfNamedNumber;

typedef struct ConfSection ConfSection;

typedef struct ConfOption {
    const char *key;
    ConfType type;
    size_t offset;        // in the section's struct
    int64_t min, max;     // of a number; of a list or text: its length
    const char *unit;     // of a count
    const char *fallback; // default as the file would write it; NULL: must be given
    const char *const *choices;
    const ConfSection *child;
    const char *text;   // what it is
    const char *reason; // why these limits
} ConfOption;

struct ConfSection {
    const char *name;
    const char *text;
    size_t size;        // of one struct, for lists
    bool only_recorded; // checked and kept; no program of this version acts on it
    const ConfOption *options;
    size_t n;
};

// The whole file: its options are the sections.
extern const ConfSection CONF_ROOT;

typedef struct ConfRawGroup {
    const char *name;
    ConfList prefixes; // IpPrefix
    ConfLocation location;
    ConfList latency; // ConfNamedNumber
    uint32_t demand_ppm;
} ConfRawGroup;

typedef struct ConfRawCloud {
    const char *name;
} ConfRawCloud;

typedef struct ConfRawRegion {
    const char *name, *cloud;
    uint32_t origin, capacity_rps, replicas;
    ConfLocation location;
    const char *address;
    uint16_t https_port, http_port, peer_port, dns_port, database_port;
    const char *database, *database_replica, *store;
} ConfRawRegion;

typedef struct ConfRawRowsTable {
    const char *name;
    uint32_t kind; // 0 lww, 1 insert-only
} ConfRawRowsTable;

typedef struct ConfRawRoute {
    const char *path;
    uint32_t class_for_get, class_for_other; // ServiceClass
    const char *cache;
} ConfRawRoute;

typedef struct ConfRawService {
    const char *name;
    ConfList routes;                        // ConfRawRoute
    uint32_t all_down_read, all_down_write; // 0 closed, 1 open
    int64_t latency_budget_ns;
    uint32_t durability;     // 0 local, 1 two-clouds
    uint32_t no_other_cloud; // 0 wait, 1 degrade
} ConfRawService;

typedef struct ConfRawCacheRule {
    const char *name;
    int64_t ttl_ns;
    bool immutable, if_cacheable;
} ConfRawCacheRule;

typedef struct ConfRawPrice {
    const char *cloud;
    ConfMoney egress;
} ConfRawPrice;

typedef struct ConfRawCanaryStep {
    uint32_t weight_ppm;
    int64_t pause_ns;
} ConfRawCanaryStep;

// Sections that this version checks and records only.
typedef struct ConfRawDns {
    ConfList zones; // const char *
    int64_t ttl_ns, negative_ttl_ns;
    uint32_t answers;
} ConfRawDns;

typedef struct ConfRawRollouts {
    bool auto_promotion;
    int64_t scale_down_delay_ns;
    ConfList canary; // ConfRawCanaryStep
} ConfRawRollouts;

typedef struct ConfRawScaleMove {
    int64_t stabilization_ns, period_ns;
    uint32_t step_ppm;
} ConfRawScaleMove;

typedef struct ConfRawScaling {
    uint32_t min, max, cpu_ppm, memory_ppm;
    ConfRawScaleMove up, down;
} ConfRawScaling;

typedef struct ConfRaw {
    const char *fleet_name, *domain;
    uint32_t generation, peak_load_rps;
    ConfList clients;  // ConfRawGroup
    ConfList clouds;   // ConfRawCloud
    ConfList regions;  // ConfRawRegion
    ConfList services; // ConfRawService
    ModelHealth health;
    ConfList return_steps; // uint32_t
    int64_t clock_max_skew_ns;
    ConfRawDns dns;
    ConfEdge edge;
    ConfList cache_rules; // ConfRawCacheRule
    ModelPick pick;
    ConfObjectives objectives;
    ConfRows rows;
    ConfList rows_tables; // ConfRawRowsTable
    int64_t objects_max_lag_ns, objects_archive_after_ns;
    ConfMoney budget;
    ConfList budget_shares; // ConfNamedNumber
    ConfList budget_alerts; // uint32_t
    ConfList prices;        // ConfRawPrice
    ConfRawRollouts rollouts;
    ConfRawScaling scaling;
    uint32_t issuer;
    int64_t certificate_lifetime_ns, renew_before_ns;
    int64_t rotate_database_ns, rotate_credentials_ns;
    int64_t backups_every_ns;
    int64_t alert_after_ns;
    uint32_t alert_error_ppm, cache_hits_ppm;
    ConfDrills drills;
} ConfRaw;
