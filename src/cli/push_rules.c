// SPDX-License-Identifier: MIT
// push_rules: see push_rules.h. A key that is in no row is taken while the fleet runs: by the
// agents (health, quorum, clients, services, capacity ...) or by nginx (edge, services).
#include "push_rules.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *keys; // as for fnmatch(3); the end of a line of conf_diff counts too
    const char *why;
} RULES[] = {
    {"fleet.domain: *", "certificates and names are made for it"},
    {"regions.*: added", "its programs are started by 'wildcam up'"},
    {"regions.*: removed", "its programs are ended by 'wildcam down'"},
    {"regions.*.cloud: *", "its programs were started with it"},
    {"regions.*.origin: *", "its rows carry it"},
    {"regions.*.replicas: *", "its backends are started by 'wildcam up'"},
    {"regions.*.gateway.*", "its peers and clients know this address"},
    {"regions.*.database: *", "its database is started by 'wildcam up'"},
    {"regions.*.database_port: *", "its database is started by 'wildcam up'"},
    {"regions.*.store: *", "its backends were started with it"},
    {"edge.workers: *", "its supervisor counts them when nginx is replaced"},
    {"certificates.issuer: *", "certificates are made or looked for by 'wildcam up'"},
};

static void look_at(const char *line, Buf *lines)
{
    for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++)
        if (fnmatch(RULES[i].keys, line, 0) == 0) {
            buf_printf(lines, "%s  (%s)\n", line, RULES[i].why);
            return;
        }
}

int push_rules_restart(const char *diff, Buf *ret_lines)
{
    while (*diff != '\0') {
        char line[512];
        size_t len = strcspn(diff, "\n");
        (void)snprintf(line, sizeof line, "%.*s", (int)(len < sizeof line ? len : sizeof line - 1),
                       diff);
        look_at(line, ret_lines);
        diff += len + (diff[len] == '\n' ? 1 : 0);
    }
    return buf_check(ret_lines);
}
