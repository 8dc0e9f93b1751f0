// SPDX-License-Identifier: MIT
// conf_check_parts: the checks by subject, and what they share. Inside conf_check only.
#pragma once
#include "conf_prefixes.h"
#include "conf_report.h"
#include "conf_tree.h"

typedef struct ConfCheck {
    const ConfRaw *raw;
    const SortedPrefixes *sorted;
    const TreeNode *root;
    ConfReport *report;
} ConfCheck;

// Where a value stands, or the nearest thing around it that stands in the file.
const TreeNode *conf_place(const ConfCheck *check, const char *section, const char *key);
const TreeNode *conf_item_place(const ConfCheck *check, const char *section, uint32_t index,
                                const char *key);
// The value as the file would write it, in `text`.
const char *conf_shown_duration(int64_t ns, Buf *text);
const char *conf_shown_share(uint32_t ppm, Buf *text);
// Lists of maps whose structs begin with their name.
bool conf_has_name(const ConfList *list, size_t size, const char *name);
// `value` must be a name of `list`.
void conf_check_reference(const ConfCheck *check, const TreeNode *node, const char *key,
                          const char *value, const ConfList *list, size_t size, const char *what);

void conf_check_orders(const ConfCheck *check);
void conf_check_region_clouds(const ConfCheck *check);
void conf_check_unique_origins(const ConfCheck *check);
void conf_check_unique_addresses(const ConfCheck *check);
void conf_check_unique_ports(const ConfCheck *check);
void conf_check_databases(const ConfCheck *check);
void conf_check_stores(const ConfCheck *check);
void conf_check_client_latencies(const ConfCheck *check);
void conf_check_client_demand(const ConfCheck *check);
void conf_check_unique_prefixes(const ConfCheck *check);
void conf_check_coverage(const ConfCheck *check);
void conf_check_routes(const ConfCheck *check);
void conf_check_unique_routes(const ConfCheck *check);
void conf_check_cache_rules(const ConfCheck *check);
void conf_check_return_steps(const ConfCheck *check);
void conf_check_canary_steps(const ConfCheck *check);
void conf_check_scaling(const ConfCheck *check);
void conf_check_budget_shares(const ConfCheck *check);
void conf_check_prices(const ConfCheck *check);
void conf_check_dns_ttl(const ConfCheck *check);
void conf_check_lags(const ConfCheck *check);
void conf_check_rows_tables(const ConfCheck *check);
void conf_warn_quorum(const ConfCheck *check);
void conf_warn_capacity(const ConfCheck *check);
void conf_warn_empty_clouds(const ConfCheck *check);
