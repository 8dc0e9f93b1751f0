// SPDX-License-Identifier: MIT
// api_plan: GET /v1/plan, the core's newest plan as JSON, names instead of indices.
#include <inttypes.h>

#include "api_state.h"

static void put_gateways(JsonOut *out, const Plan *plan)
{
    out_begin(out, "gateways", '[');
    for (uint32_t i = 0; i < plan->n_gateways; i++) {
        const PlanGateway *gateway = &plan->gateways[i];
        out_begin(out, NULL, '{');
        out_text(out, "region", gateway->region);
        out_text(out, "cloud", gateway->cloud);
        out_text(out, "address", gateway->address);
        out_int(out, "edge_port", gateway->edge_port);
        out_int(out, "peer_port", gateway->peer_port);
        out_text(out, "state", health_state_name(gateway->state));
        api_put_classes(out, "classes", gateway->classes);
        out_int(out, "share_ppm", gateway->share_ppm);
        out_int(out, "capacity_rps", gateway->capacity_rps);
        out_int(out, "load_ppm", gateway->load_ppm);
        out_end(out, '}');
    }
    out_end(out, ']');
}

static void put_entries(JsonOut *out, const char *key, const Plan *plan, const PlanEntry *entries,
                        uint32_t n)
{
    out_begin(out, key, '[');
    for (uint32_t i = 0; i < n; i++) {
        out_begin(out, NULL, '{');
        out_text(out, "gateway", plan->gateways[entries[i].gateway].region);
        out_int(out, "share_ppm", entries[i].share_ppm);
        out_end(out, '}');
    }
    out_end(out, ']');
}

static void put_routes(JsonOut *out, const Plan *plan)
{
    out_begin(out, "routes", '[');
    for (uint32_t i = 0; i < plan->n_routes; i++) {
        const PlanRoute *route = &plan->routes[i];
        out_begin(out, NULL, '{');
        out_text(out, "service", plan->services[route->service].name);
        out_text(out, "class", route->class_ == SERVICE_CLASS_READ ? "read" : "write");
        out_text(out, "group", plan->groups[route->group]);
        put_entries(out, "order", plan, route->entries, route->n_entries);
        out_end(out, '}');
    }
    out_end(out, ']');
}

static void put_pins(JsonOut *out, const Plan *plan)
{
    out_begin(out, "pins", '[');
    for (uint32_t i = 0; i < plan->n_pins; i++) {
        char prefix[IP_TEXT_MAX];
        out_begin(out, NULL, '{');
        out_text(out, "prefix", ip_prefix_format(&plan->pins[i].prefix, prefix));
        out_text(out, "gateway", plan->gateways[plan->pins[i].gateway].region);
        out_end(out, '}');
    }
    out_end(out, ']');
}

static void put_replicas(JsonOut *out, const Plan *plan)
{
    out_begin(out, "replicas", '[');
    for (uint32_t i = 0; i < plan->n_replicas; i++) {
        const PlanReplica *replica = &plan->replicas[i];
        out_begin(out, NULL, '{');
        out_text(out, "name", replica->name);
        out_text(out, "socket", replica->socket);
        out_text(out, "state", health_state_name(replica->state));
        api_put_classes(out, "classes", replica->classes);
        out_int(out, "weight", replica->weight);
        out_end(out, '}');
    }
    out_end(out, ']');
}

void api_handle_plan(void *context, HttpExchange *exchange)
{
    const Agent *agent = context;
    if (!api_may_read(exchange))
        return;
    const Plan *plan = core_plan(agent->core);
    Buf body CLEANUP(buf_done) = BUF_INIT(64U << 20);
    JsonOut out = {.buf = &body};
    out_begin(&out, NULL, '{');
    out_hex(&out, "number", plan->number);
    out_hex(&out, "published", publisher_status(agent->publisher).number);
    out_int(&out, "generation", plan->generation);
    out_hex(&out, "config_hash", plan->config_hash);
    out_hex(&out, "prefixes_digest", plan->prefixes_digest);
    out_hex(&out, "fleet_digest", plan->fleet_digest);
    put_gateways(&out, plan);
    put_routes(&out, plan);
    put_pins(&out, plan);
    out_text(&out, "own", plan->gateways[plan->own].region);
    put_replicas(&out, plan);
    out_begin(&out, "forward", '{');
    put_entries(&out, "read", plan, plan->forward[SERVICE_CLASS_READ],
                plan->n_forward[SERVICE_CLASS_READ]);
    put_entries(&out, "write", plan, plan->forward[SERVICE_CLASS_WRITE],
                plan->n_forward[SERVICE_CLASS_WRITE]);
    out_end(&out, '}');
    out_end(&out, '}');
    api_answer(exchange, 200, &body);
}
