// SPDX-License-Identifier: MIT
// plan_compare: see plan_compare.h.
#include "plan_compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool numbers(Buf *out, const char *what, uint64_t made, uint64_t recorded)
{
    if (made == recorded)
        return false;
    buf_printf(out, "%s: made %" PRIu64 ", recorded %" PRIu64, what, made, recorded);
    return true;
}

static bool hashes(Buf *out, const char *what, uint64_t made, uint64_t recorded)
{
    if (made == recorded)
        return false;
    buf_printf(out, "%s: made %016" PRIx64 ", recorded %016" PRIx64, what, made, recorded);
    return true;
}

static bool gateways(Buf *out, const PlanGateway *a, const PlanGateway *b)
{
    if (strcmp(a->region, b->region) == 0 && a->state == b->state && a->classes == b->classes &&
        a->share_ppm == b->share_ppm && a->load_ppm == b->load_ppm)
        return false;
    buf_printf(out,
               "gateway %s: made %s, classes %u, share %u ppm, load %u ppm; recorded %s, classes "
               "%u, share %u ppm, load %u ppm",
               a->region, health_state_name(a->state), a->classes, a->share_ppm, a->load_ppm,
               health_state_name(b->state), b->classes, b->share_ppm, b->load_ppm);
    return true;
}

static bool entries(Buf *out, const char *what, const Plan *plan, const PlanEntry *a, uint32_t n_a,
                    const PlanEntry *b, uint32_t n_b)
{
    if (n_a == n_b && (n_a == 0 || memcmp(a, b, n_a * sizeof *a) == 0))
        return false;
    buf_printf(out, "%s: made", what);
    for (uint32_t i = 0; i < n_a; i++)
        buf_printf(out, " %s %u", plan->gateways[a[i].gateway].region, a[i].share_ppm);
    buf_add_text(out, "; recorded");
    for (uint32_t i = 0; i < n_b; i++)
        buf_printf(out, " %s %u", plan->gateways[b[i].gateway].region, b[i].share_ppm);
    return true;
}

static bool routes(Buf *out, const Plan *made, const Plan *recorded)
{
    for (uint32_t i = 0; i < made->n_routes; i++) {
        const PlanRoute *a = &made->routes[i], *b = &recorded->routes[i];
        char what[256];
        (void)snprintf(what, sizeof what, "order of %.60s, %s, group %.60s",
                       made->services[a->service].name,
                       a->class_ == SERVICE_CLASS_READ ? "read" : "write", made->groups[a->group]);
        if (entries(out, what, made, a->entries, a->n_entries, b->entries, b->n_entries))
            return true;
    }
    return false;
}

static bool local_parts(Buf *out, const Plan *made, const Plan *recorded)
{
    for (uint32_t i = 0; i < made->n_replicas; i++) {
        const PlanReplica *a = &made->replicas[i], *b = &recorded->replicas[i];
        if (a->state == b->state && a->classes == b->classes && a->weight == b->weight)
            continue;
        buf_printf(out, "replica %s: made %s, classes %u; recorded %s, classes %u", a->name,
                   health_state_name(a->state), a->classes, health_state_name(b->state),
                   b->classes);
        return true;
    }
    for (uint32_t c = 0; c < SERVICE_CLASS_MAX; c++)
        if (entries(out, c == SERVICE_CLASS_READ ? "forward order, read" : "forward order, write",
                    made, made->forward[c], made->n_forward[c], recorded->forward[c],
                    recorded->n_forward[c]))
            return true;
    return false;
}

bool plan_compare(const Plan *made, const Plan *recorded, Buf *out)
{
    if (numbers(out, "gateways", made->n_gateways, recorded->n_gateways) ||
        numbers(out, "routes", made->n_routes, recorded->n_routes) ||
        numbers(out, "replicas", made->n_replicas, recorded->n_replicas) ||
        numbers(out, "pins", made->n_pins, recorded->n_pins) ||
        hashes(out, "fleet.yaml", made->config_hash, recorded->config_hash))
        return true;
    for (uint32_t i = 0; i < made->n_gateways; i++)
        if (gateways(out, &made->gateways[i], &recorded->gateways[i]))
            return true;
    return routes(out, made, recorded) || local_parts(out, made, recorded) ||
           hashes(out, "fleet part", made->fleet_digest, recorded->fleet_digest) ||
           numbers(out, "moment", (uint64_t)made->made.ns, (uint64_t)recorded->made.ns);
}
