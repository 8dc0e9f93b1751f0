// SPDX-License-Identifier: MIT
// plan_tool: makes the files that an agent would publish, from JSON on stdin, so that the edge can
// be tested without an agent. Uses wire's own encoder: a plan that the product would refuse to
// write is refused here too.
//   plan_tool plan FOLDER < JSON      writes plan.<number> and plan.now
//   plan_tool file FOLDER < JSON      writes plan.<number> only
//   plan_tool now FOLDER NUMBER AGE   writes plan.now with a heartbeat AGE ms ago
//   plan_tool counters FILE           prints the counters of an edge worker as JSON
//   plan_tool name NUMBER             prints the name of a plan's file
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "alloc.h"
#include "arena.h"
#include "clock.h"
#include "counters.h"
#include "files.h"
#include "hash.h"
#include "layout.h"
#include "plan_file.h"

static Arena *arena;

static const char *text_of(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : otherwise;
}

static uint64_t number_of(const json_t *object, const char *key, uint64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? (uint64_t)json_integer_value(value) : otherwise;
}

static HealthState state_of(const json_t *object)
{
    static const char *const NAMES[] = {"unknown", "up", "suspect", "down", "drained", "never"};
    const char *name = text_of(object, "state", "up");
    for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++)
        if (strcmp(NAMES[i], name) == 0)
            return (HealthState)i;
    return HEALTH_MAX; // the encoder says no
}

static uint32_t find_gateway(const Plan *plan, const char *region)
{
    for (uint32_t i = 0; i < plan->n_gateways; i++)
        if (strcmp(plan->gateways[i].region, region) == 0)
            return i;
    return plan->n_gateways;
}

static void read_gateways(const json_t *root, Plan *plan)
{
    const json_t *list = json_object_get(root, "gateways");
    plan->n_gateways = (uint32_t)json_array_size(list);
    PlanGateway *gateways = arena_new_array(arena, PlanGateway, plan->n_gateways + 1);
    for (uint32_t i = 0; i < plan->n_gateways; i++) {
        const json_t *item = json_array_get(list, i);
        gateways[i] = (PlanGateway){
            .region = text_of(item, "region", "?"),
            .cloud = text_of(item, "cloud", "aws"),
            .address = text_of(item, "address", "127.0.0.1"),
            .edge_port = (uint16_t)number_of(item, "edge_port", 8443),
            .peer_port = (uint16_t)number_of(item, "peer_port", 8444),
            .state = state_of(item),
            .classes = (uint32_t)number_of(item, "classes", CLASS_MASK_ALL),
            .share_ppm = PPM_ONE,
            .capacity_rps = (uint32_t)number_of(item, "capacity", 0), // nothing is shed
            .load_ppm = (uint32_t)number_of(item, "load_ppm", 0),
        };
    }
    plan->gateways = gateways;
    plan->own = find_gateway(plan, text_of(root, "region", "?"));
}

static void read_replicas(const json_t *root, Plan *plan)
{
    const json_t *list = json_object_get(root, "replicas");
    plan->n_replicas = (uint32_t)json_array_size(list);
    PlanReplica *replicas = arena_new_array(arena, PlanReplica, plan->n_replicas + 1);
    for (uint32_t i = 0; i < plan->n_replicas; i++) {
        const json_t *item = json_array_get(list, i);
        replicas[i] = (PlanReplica){
            .name = text_of(item, "name", "?"),
            .socket = text_of(item, "socket", "?"),
            .state = state_of(item),
            .classes = (uint32_t)number_of(item, "classes", CLASS_MASK_ALL),
            .weight = (uint32_t)number_of(item, "weight", 100),
        };
    }
    plan->replicas = replicas;
}

// Every route lists every gateway, the own one first.
static void read_routes(const json_t *root, Plan *plan)
{
    const json_t *forward = json_object_get(root, "forward");
    uint32_t n = (uint32_t)json_array_size(forward);
    PlanEntry *entries = arena_new_array(arena, PlanEntry, n + 1);
    entries[0] = (PlanEntry){.gateway = plan->own, .share_ppm = PPM_ONE};
    PlanEntry *others = arena_new_array(arena, PlanEntry, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        others[i].gateway = find_gateway(plan, json_string_value(json_array_get(forward, i)));
        others[i].share_ppm = i == 0 ? PPM_ONE : 0;
        entries[i + 1].gateway = others[i].gateway;
    }
    PlanRoute *routes = arena_new_array(arena, PlanRoute, SERVICE_CLASS_MAX);
    for (uint32_t class_ = 0; class_ < SERVICE_CLASS_MAX; class_++) {
        routes[class_] = (PlanRoute){.class_ = class_, .n_entries = n + 1, .entries = entries};
        plan->n_forward[class_] = n;
        plan->forward[class_] = others;
    }
    plan->routes = routes;
    plan->n_routes = SERVICE_CLASS_MAX;
}

static void read_rules(const json_t *root, Plan *plan)
{
    const json_t *open_ = json_object_get(root, "open"), *pick = json_object_get(root, "pick");
    PlanService *service = arena_new_of(arena, PlanService);
    service->name = text_of(root, "service", "api");
    service->open[SERVICE_CLASS_READ] = !json_is_false(json_object_get(open_, "read"));
    service->open[SERVICE_CLASS_WRITE] = json_is_true(json_object_get(open_, "write"));
    plan->services = service;
    plan->n_services = 1;
    const char **groups = arena_new_array(arena, const char *, 1);
    groups[0] = "world";
    plan->groups = groups;
    plan->n_groups = 1;
    plan->pick = (ModelPick){
        .eject_failures = (uint32_t)number_of(pick, "eject_failures", 3),
        .eject_ns = (int64_t)number_of(pick, "eject_ms", 1000) * NS_PER_MS,
        .eject_max_ns = 30 * NS_PER_S,
        .stall_inflight = 2,
        .stall_ns = (int64_t)number_of(pick, "stall_ms", 200) * NS_PER_MS,
        .stall_min_rps = (uint32_t)number_of(pick, "stall_min_rps", 20),
        .retry_budget_ppm = (uint32_t)number_of(pick, "retry_budget_ppm", 200000),
        .retry_burst = (uint32_t)number_of(pick, "retry_burst", 100),
    };
}

static int write_now(const char *folder, uint64_t number, int64_t age_ms, Error *reterr)
{
    PlanNow now = {
        .number = number, .heartbeat = wall_add(clock_wall(), -age_ms * NS_PER_MS), .boot = 1};
    unsigned char bytes[PLAN_NOW_BYTES];
    plan_now_encode(&now, bytes);
    LayoutPath path = layout_dir(folder, PLAN_NOW_NAME);
    // as the agent does: in place
    int fd CLEANUP(fd_closep) = open(path.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_set(reterr, ERROR_UNAVAILABLE, "cannot open %s", path.text);
    return files_write_all(fd, bytes, sizeof bytes, reterr);
}

static int write_plan(const char *folder, bool publish, Error *reterr)
{
    json_error_t why;
    json_t *root = json_loadf(stdin, 0, &why);
    if (root == NULL)
        return error_set(reterr, ERROR_FORMAT, "line %d: %s", why.line, why.text);
    Plan plan = {
        .number = number_of(root, "number", 1),
        .generation = (uint32_t)number_of(root, "generation", 1),
        .made = clock_wall(),
    };
    read_gateways(root, &plan);
    read_replicas(root, &plan);
    read_routes(root, &plan);
    read_rules(root, &plan);
    Buf bytes CLEANUP(buf_done) = BUF_INIT(0);
    int r = plan_file_encode(&plan, &bytes);
    if (r < 0)
        return error_set(reterr, r, "the encoder refuses this plan: %s", error_code_text(r));
    char name[64];
    (void)snprintf(name, sizeof name, PLAN_FILE_NAME, plan.number);
    LayoutPath path = layout_dir(folder, name);
    r = files_replace(path.text, bytes.data, bytes.len, NULL, reterr);
    json_decref(root);
    return r < 0 || !publish ? r : write_now(folder, plan.number, 0, reterr);
}

static int print_counters(const char *path, Error *reterr)
{
    char *bytes CLEANUP(alloc_freep) = NULL;
    size_t len;
    int r = files_read(path, 1U << 20, &bytes, &len, reterr);
    if (r < 0)
        return r;
    const CountersFile *file;
    r = counters_check(bytes, len, &file, reterr);
    if (r < 0)
        return r;
    const CountersEdge *e = &file->edge;
    (void)printf("{\"plan_number\": %" PRIu64 ", \"plan_age_ms\": %" PRIu64
                 ", \"sequence\": %" PRIu64 ", \"pid\": %" PRIu64 ", \"samples\": %" PRIu64,
                 file->header.plan_number, file->header.plan_age_ms, file->header.sequence,
                 file->header.pid, file->n_samples);
#define FIELD(name) (void)printf(", \"" #name "\": %" PRIu64, e->name)
    FIELD(requests), FIELD(responses_5xx), FIELD(retries), FIELD(retries_refused);
    FIELD(evacuated), FIELD(shed), FIELD(forwarded), FIELD(plan_reloads);
    FIELD(cache_hit), FIELD(cache_miss), FIELD(cache_other), FIELD(plan_refused);
    FIELD(peer_refused), FIELD(no_target), FIELD(connections), FIELD(shed_peer);
#undef FIELD
    (void)printf(", \"targets\": {");
    const char *comma = "";
    for (size_t i = 0; i < COUNTERS_TARGETS; i++) {
        const CountersTarget *t = &file->targets[i];
        if (t->name_hash == 0)
            continue;
        (void)printf("%s\"%016" PRIx64 "\": {\"ok\": %" PRIu64 ", \"error\": %" PRIu64
                     ", \"failure\": %" PRIu64 ", \"inflight\": %" PRIu64
                     ", \"ejections\": %" PRIu64 ", \"success_sent_ns\": %" PRIu64 "}",
                     comma, t->name_hash, t->ok, t->error, t->failure, t->inflight, t->ejections,
                     t->success_sent_ns);
        comma = ", ";
    }
    (void)printf("}}\n");
    return 0;
}

static int usage(Error *reterr)
{
    return error_set(
        reterr, ERROR_USAGE,
        "usage: plan_tool plan FOLDER | file FOLDER | now FOLDER NUMBER AGE | counters FILE | "
        "name NUMBER | hash NAME");
}

static int run(int argc, char **argv, Error *reterr)
{
    if (argc == 3 && strcmp(argv[1], "plan") == 0)
        return write_plan(argv[2], true, reterr);
    if (argc == 3 && strcmp(argv[1], "file") == 0)
        return write_plan(argv[2], false, reterr);
    if (argc == 5 && strcmp(argv[1], "now") == 0)
        return write_now(argv[2], strtoull(argv[3], NULL, 10), strtoll(argv[4], NULL, 10), reterr);
    if (argc == 3 && strcmp(argv[1], "counters") == 0)
        return print_counters(argv[2], reterr);
    if (argc == 3 && strcmp(argv[1], "name") == 0)
        return printf(PLAN_FILE_NAME "\n", (uint64_t)strtoull(argv[2], NULL, 10)) < 0 ? -1 : 0;
    if (argc == 3 && strcmp(argv[1], "hash") == 0)
        return printf("%016" PRIx64 "\n", hash_text(HASH_SEED, argv[2])) < 0 ? -1 : 0;
    return usage(reterr);
}

int main(int argc, char **argv)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    arena = arena_new(64U << 20);
    int r = run(argc, argv, &err);
    if (r < 0)
        (void)fprintf(stderr, "plan_tool: %s\n", error_text(&err));
    arena = arena_free(arena);
    return error_exit_code(r);
}
