// SPDX-License-Identifier: MIT
// conf: fleet.yaml -> one checked, immutable Conf (contracts section 3). Everything is checked as a
// whole before anything starts; each problem is one text "FILE:LINE:COLUMN: key 'a.b': value 'x':
// what is wrong; allowed: ...". One table of options (conf_table.c) is the truth for parser,
// defaults, ranges and the reference page docs/fleet-yaml.md. Owner: a Conf owns all its memory;
// conf_free frees the model too.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "model.h"

typedef struct ConfRoute {
    const char *path; // "/api/detections" or "/static/*"
    ServiceClass class_for_get, class_for_other;
    const char *cache; // name of a cache rule: "static", "api", "none"
} ConfRoute;

typedef struct ConfService {
    const char *name;
    uint32_t n_routes;
    const ConfRoute *routes;
    bool durability_two_clouds; // contracts section 10; else local
    bool degrade;               // when no other cloud answers: degrade, else wait
} ConfService;

typedef struct ConfCacheRule {
    const char *name;
    int64_t ttl_ns;    // 0: never stored
    bool immutable;    // one year, "immutable", cookies ignored
    bool if_cacheable; // only what the origin marks as cacheable
} ConfCacheRule;

typedef struct ConfRegionLocal { // per region, what the core does not need
    double latitude, longitude;
    uint16_t http_port, dns_port, database_port;
    const char *database;         // "local", or a DSN without secrets
    const char *database_replica; // a DSN without secrets for analytics; NULL: none
    const char *store;            // "dir", or a bucket URL
} ConfRegionLocal;

typedef struct ConfEdge {
    uint32_t workers, connections;
    uint64_t max_body_bytes, max_header_bytes;
    int64_t client_header_timeout_ns, client_body_timeout_ns, keepalive_ns;
    int64_t connect_timeout_ns, read_timeout_ns;
    uint32_t connections_per_client;
    uint64_t cache_bytes;
    uint32_t n_cache_rules;
    const ConfCacheRule *cache_rules;
} ConfEdge;

typedef struct ConfObjectives {
    int64_t rto_ns, rpo_ns, failover_ns; // 5 min, 1 min, 30 s
    uint32_t availability_ppm;           // 999,900 = 99.99 %
    int64_t worst_request_ns;            // 500 ms on surviving edges; 0: no objective
    uint32_t failed_idempotent;          // 0
} ConfObjectives;

typedef struct ConfRowsTable {
    const char *name; // "items" (public), "schema.items"
    bool insert_only; // else last write wins
} ConfRowsTable;

typedef struct ConfRows {
    int64_t max_lag_ns;
    int64_t beat_ns;         // 1 s
    int64_t collect_ns;      // 1 min
    int64_t margin_ns;       // 10 min: tombstones outlive the floor
    uint32_t slot_limit_ppm; // of a slot's WAL limit: an alarm above
    uint32_t n_tables;       // federated besides detections
    const ConfRowsTable *tables;
} ConfRows;

typedef struct ConfCertificates {
    const char *issuer; // "local" or "files"
    int64_t lifetime_ns, renew_before_ns;
} ConfCertificates;

typedef struct ConfBudget {
    const char *currency;
    const char *monthly;       // decimal string
    const uint32_t *cloud_ppm; // [n_clouds]; 33/33/34 %
    uint32_t alerts_ppm[8];
    uint32_t n_alerts;
} ConfBudget;

typedef struct ConfDrills {
    uint32_t requests_per_second; // 1,000
    int64_t min_duration_ns;      // 10 s
    uint32_t connections;         // 60
    uint32_t read_ppm;            // 800,000
} ConfDrills;

typedef struct Conf {
    const char *path; // as given, for messages
    Model model;
    const ConfService *services;    // [model.n_services]
    const ConfRegionLocal *regions; // [model.n_regions]
    ConfEdge edge;
    ConfObjectives objectives;
    ConfRows rows;
    ConfCertificates certificates;
    ConfBudget budget;
    ConfDrills drills;
} Conf;

// One problem found. Several are reported at once (at most 20), not only the first.
typedef struct ConfProblem {
    size_t line, column; // 1-based
    bool warning;
    const char *text; // the whole line, "FILE:LINE:COLUMN: ..."
} ConfProblem;

typedef struct ConfProblems {
    size_t n;
    ConfProblem *items; // owned
} ConfProblems;

// Reads and checks `bytes` (as from file `path`). 0, or ERROR_FORMAT with every problem in
// ret_problems and the first ones in reterr. Warnings are filled in on success too.
int conf_parse(const char *path, const char *bytes, size_t len, Conf **ret_conf,
               ConfProblems *ret_problems, Error *reterr) MUST_CHECK;
// The same from a file, bounded by BOUND_CONF_BYTES. ret_problems may be NULL.
int conf_load(const char *path, Conf **ret_conf, ConfProblems *ret_problems,
              Error *reterr) MUST_CHECK;
void conf_problems_done(ConfProblems *problems);
Conf *conf_free(Conf *conf); // takes NULL, returns NULL

static inline void conf_freep(Conf **conf)
{
    *conf = conf_free(*conf);
}
