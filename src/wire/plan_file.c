// SPDX-License-Identifier: MIT
// plan_file: see plan_file.h. The body of a plan, in this order:
//
//   generation u32 | config hash u64 | prefixes digest u64 | fleet digest u64
//   counts: gateways, services, groups, pins, replicas, forward[read], forward[write],
//           entries of all routes together (u32 each)
//   gateway  region cloud address (texts) | edge port u16 | peer port u16 | state u8 | classes u8 |
//            share u32 | capacity u32 | load u32
//   service  name | open[read] u8 | open[write] u8
//   group    name
//   route    n u8, n * (gateway u16, share u32); which route it is follows from its place
//   pin      16 bytes | bits u8 | gateway u16
//   number u64 | made i64 | own u16
//   replica  name socket | state u8 | classes u8 | weight u32
//   forward  gateway u16, share u32
//   pick     the fields of ModelPick in their order
//
// A text is u8 length and bytes. Counts are held against the bytes that are left before anything is
// allocated, so a small forged file cannot ask for much memory.
#include "plan_file.h"

#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "cursor.h"
#include "file_frame.h"
#include "hash.h"
#include "plan_check.h"

#define PLAN_NOW_MAGIC UINT64_C(0x31776f4e6d614357) // "WCamNow1"

static const FileFrame PLAN_FRAME = {
    .what = "plan",
    .magic = UINT64_C(0x316e6c506d614357), // "WCamPln1"
    .version = 1,
    .max = BOUND_PLAN_BYTES,
};

// Smallest encodings, for the counts.
#define MIN_GATEWAY (3 + 2 + 2 + 1 + 1 + 12)
#define MIN_SERVICE 3
#define MIN_GROUP 1
#define MIN_ROUTE 1
#define ENTRY_BYTES 6
#define PIN_BYTES 19
#define MIN_REPLICA 8

typedef struct PlanReader {
    Cursor body;
    Arena *arena;
    bool no_memory;
} PlanReader;

static void put_text(Buf *buf, const char *text)
{
    size_t len = strlen(text);
    ASSERT(len <= UINT8_MAX); // plan_check
    buf_put_u8(buf, (uint8_t)len);
    buf_add(buf, text, len);
}

static void put_entries(Buf *buf, const PlanEntry *entries, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        buf_put_u16(buf, (uint16_t)entries[i].gateway);
        buf_put_u32(buf, entries[i].share_ppm);
    }
}

static void put_counts(Buf *buf, const Plan *plan)
{
    uint32_t n_entries = 0;
    for (uint32_t i = 0; i < plan->n_routes; i++)
        n_entries += plan->routes[i].n_entries;
    const uint32_t counts[] = {plan->n_gateways,
                               plan->n_services,
                               plan->n_groups,
                               plan->n_pins,
                               plan->n_replicas,
                               plan->n_forward[SERVICE_CLASS_READ],
                               plan->n_forward[SERVICE_CLASS_WRITE],
                               n_entries};
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
        buf_put_u32(buf, counts[i]);
}

static void put_fleet_part(Buf *buf, const Plan *plan)
{
    for (uint32_t i = 0; i < plan->n_gateways; i++) {
        const PlanGateway *gateway = &plan->gateways[i];
        put_text(buf, gateway->region);
        put_text(buf, gateway->cloud);
        put_text(buf, gateway->address);
        buf_put_u16(buf, gateway->edge_port);
        buf_put_u16(buf, gateway->peer_port);
        buf_put_u8(buf, (uint8_t)gateway->state);
        buf_put_u8(buf, (uint8_t)gateway->classes);
        buf_put_u32(buf, gateway->share_ppm);
        buf_put_u32(buf, gateway->capacity_rps);
        buf_put_u32(buf, gateway->load_ppm);
    }
    for (uint32_t i = 0; i < plan->n_services; i++) {
        put_text(buf, plan->services[i].name);
        for (int class_ = 0; class_ < SERVICE_CLASS_MAX; class_++)
            buf_put_u8(buf, plan->services[i].open[class_]);
    }
    for (uint32_t i = 0; i < plan->n_groups; i++)
        put_text(buf, plan->groups[i]);
    for (uint32_t i = 0; i < plan->n_routes; i++) {
        buf_put_u8(buf, (uint8_t)plan->routes[i].n_entries);
        put_entries(buf, plan->routes[i].entries, plan->routes[i].n_entries);
    }
    for (uint32_t i = 0; i < plan->n_pins; i++) {
        buf_add(buf, plan->pins[i].prefix.ip.bytes, sizeof plan->pins[i].prefix.ip.bytes);
        buf_put_u8(buf, plan->pins[i].prefix.bits);
        buf_put_u16(buf, (uint16_t)plan->pins[i].gateway);
    }
}

static void put_pick(Buf *buf, const ModelPick *pick)
{
    buf_put_u32(buf, pick->eject_failures);
    buf_put_i64(buf, pick->eject_ns);
    buf_put_i64(buf, pick->eject_max_ns);
    buf_put_u32(buf, pick->stall_inflight);
    buf_put_i64(buf, pick->stall_ns);
    buf_put_u32(buf, pick->stall_min_rps);
    buf_put_u32(buf, pick->retry_budget_ppm);
    buf_put_u32(buf, pick->retry_burst);
}

static void put_local_part(Buf *buf, const Plan *plan)
{
    buf_put_u64(buf, plan->number);
    buf_put_i64(buf, plan->made.ns);
    buf_put_u16(buf, (uint16_t)plan->own);
    for (uint32_t i = 0; i < plan->n_replicas; i++) {
        const PlanReplica *replica = &plan->replicas[i];
        put_text(buf, replica->name);
        put_text(buf, replica->socket);
        buf_put_u8(buf, (uint8_t)replica->state);
        buf_put_u8(buf, (uint8_t)replica->classes);
        buf_put_u32(buf, replica->weight);
    }
    for (int class_ = 0; class_ < SERVICE_CLASS_MAX; class_++)
        put_entries(buf, plan->forward[class_], plan->n_forward[class_]);
    put_pick(buf, &plan->pick);
}

int plan_file_encode(const Plan *plan, Buf *buf)
{
    int r = plan_check(plan, NULL);
    if (r < 0)
        return r;
    size_t start = file_frame_begin(&PLAN_FRAME, buf);
    buf_put_u32(buf, plan->generation);
    buf_put_u64(buf, plan->config_hash);
    buf_put_u64(buf, plan->prefixes_digest);
    buf_put_u64(buf, plan->fleet_digest);
    put_counts(buf, plan);
    put_fleet_part(buf, plan);
    put_local_part(buf, plan);
    return file_frame_end(&PLAN_FRAME, buf, start);
}

// NULL when the reader has failed; what it failed on is in the cursor or in no_memory.
static void *new_array(PlanReader *reader, uint32_t n, size_t min_bytes, size_t size)
{
    if (n > cursor_left(&reader->body) / min_bytes)
        cursor_fail(&reader->body);
    if (cursor_check(&reader->body) < 0 || reader->no_memory)
        return NULL;
    void *array = arena_alloc_array(reader->arena, n, size);
    if (array == NULL) {
        reader->no_memory = true;
        cursor_fail(&reader->body);
    }
    return array;
}

static const char *get_text(PlanReader *reader)
{
    uint8_t len = cursor_u8(&reader->body);
    const char *bytes = cursor_bytes(&reader->body, len);
    if (bytes == NULL)
        return "";
    if (memchr(bytes, '\0', len) != NULL) {
        cursor_fail(&reader->body);
        return "";
    }
    const char *text = arena_strndup(reader->arena, bytes, len);
    if (text == NULL) {
        reader->no_memory = true;
        cursor_fail(&reader->body);
    }
    return text != NULL ? text : "";
}

static bool get_bool(PlanReader *reader)
{
    uint8_t value = cursor_u8(&reader->body);
    if (value > 1)
        cursor_fail(&reader->body);
    return value == 1;
}

static void get_entries(PlanReader *reader, PlanEntry *entries, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        entries[i].gateway = cursor_u16(&reader->body);
        entries[i].share_ppm = cursor_u32(&reader->body);
    }
}

static const PlanGateway *get_gateways(PlanReader *reader, uint32_t n)
{
    PlanGateway *gateways = new_array(reader, n, MIN_GATEWAY, sizeof *gateways);
    for (uint32_t i = 0; gateways != NULL && i < n; i++) {
        gateways[i].region = get_text(reader);
        gateways[i].cloud = get_text(reader);
        gateways[i].address = get_text(reader);
        gateways[i].edge_port = cursor_u16(&reader->body);
        gateways[i].peer_port = cursor_u16(&reader->body);
        gateways[i].state = (HealthState)cursor_u8(&reader->body);
        gateways[i].classes = cursor_u8(&reader->body);
        gateways[i].share_ppm = cursor_u32(&reader->body);
        gateways[i].capacity_rps = cursor_u32(&reader->body);
        gateways[i].load_ppm = cursor_u32(&reader->body);
    }
    return gateways;
}

static const PlanService *get_services(PlanReader *reader, uint32_t n)
{
    PlanService *services = new_array(reader, n, MIN_SERVICE, sizeof *services);
    for (uint32_t i = 0; services != NULL && i < n; i++) {
        services[i].name = get_text(reader);
        for (int class_ = 0; class_ < SERVICE_CLASS_MAX; class_++)
            services[i].open[class_] = get_bool(reader);
    }
    return services;
}

static const char *const *get_groups(PlanReader *reader, uint32_t n)
{
    const char **groups = new_array(reader, n, MIN_GROUP, sizeof *groups);
    for (uint32_t i = 0; groups != NULL && i < n; i++)
        groups[i] = get_text(reader);
    return groups;
}

// All entries are one array, `n_entries` of them; every route takes the next ones.
static const PlanRoute *get_routes(PlanReader *reader, const Plan *plan, uint32_t n_entries)
{
    PlanEntry *entries = new_array(reader, n_entries, ENTRY_BYTES, sizeof *entries);
    PlanRoute *routes = new_array(reader, plan->n_routes, MIN_ROUTE, sizeof *routes);
    if (entries == NULL || routes == NULL)
        return NULL;
    for (uint32_t i = 0; i < plan->n_routes; i++) {
        uint32_t n = cursor_u8(&reader->body);
        if (n > n_entries) {
            cursor_fail(&reader->body);
            return NULL;
        }
        get_entries(reader, entries, n);
        routes[i] = (PlanRoute){
            .service = i / plan->n_groups / SERVICE_CLASS_MAX,
            .class_ = i / plan->n_groups % SERVICE_CLASS_MAX,
            .group = i % plan->n_groups,
            .n_entries = n,
            .entries = entries,
        };
        entries += n;
        n_entries -= n;
    }
    if (n_entries > 0)
        cursor_fail(&reader->body);
    return routes;
}

static void get_ip(PlanReader *reader, Ip *ret_ip)
{
    const void *bytes = cursor_bytes(&reader->body, sizeof ret_ip->bytes);
    if (bytes != NULL)
        memcpy(ret_ip->bytes, bytes, sizeof ret_ip->bytes);
}

static const PlanPin *get_pins(PlanReader *reader, uint32_t n)
{
    PlanPin *pins = new_array(reader, n, PIN_BYTES, sizeof *pins);
    for (uint32_t i = 0; pins != NULL && i < n; i++) {
        get_ip(reader, &pins[i].prefix.ip);
        pins[i].prefix.bits = cursor_u8(&reader->body);
        pins[i].gateway = cursor_u16(&reader->body);
    }
    return pins;
}

static const PlanReplica *get_replicas(PlanReader *reader, uint32_t n)
{
    PlanReplica *replicas = new_array(reader, n, MIN_REPLICA, sizeof *replicas);
    for (uint32_t i = 0; replicas != NULL && i < n; i++) {
        replicas[i].name = get_text(reader);
        replicas[i].socket = get_text(reader);
        replicas[i].state = (HealthState)cursor_u8(&reader->body);
        replicas[i].classes = cursor_u8(&reader->body);
        replicas[i].weight = cursor_u32(&reader->body);
    }
    return replicas;
}

static ModelPick get_pick(PlanReader *reader)
{
    ModelPick pick = {0};
    pick.eject_failures = cursor_u32(&reader->body);
    pick.eject_ns = cursor_i64(&reader->body);
    pick.eject_max_ns = cursor_i64(&reader->body);
    pick.stall_inflight = cursor_u32(&reader->body);
    pick.stall_ns = cursor_i64(&reader->body);
    pick.stall_min_rps = cursor_u32(&reader->body);
    pick.retry_budget_ppm = cursor_u32(&reader->body);
    pick.retry_burst = cursor_u32(&reader->body);
    return pick;
}

static void get_local_part(PlanReader *reader, Plan *plan)
{
    plan->number = cursor_u64(&reader->body);
    plan->made.ns = cursor_i64(&reader->body);
    plan->own = cursor_u16(&reader->body);
    plan->replicas = get_replicas(reader, plan->n_replicas);
    for (int class_ = 0; class_ < SERVICE_CLASS_MAX; class_++) {
        uint32_t n = plan->n_forward[class_];
        PlanEntry *entries = new_array(reader, n, ENTRY_BYTES, sizeof *entries);
        if (entries != NULL)
            get_entries(reader, entries, n);
        plan->forward[class_] = entries;
    }
    plan->pick = get_pick(reader);
}

static void get_plan(PlanReader *reader, Plan *plan)
{
    plan->generation = cursor_u32(&reader->body);
    plan->config_hash = cursor_u64(&reader->body);
    plan->prefixes_digest = cursor_u64(&reader->body);
    plan->fleet_digest = cursor_u64(&reader->body);
    plan->n_gateways = cursor_u32(&reader->body);
    plan->n_services = cursor_u32(&reader->body);
    plan->n_groups = cursor_u32(&reader->body);
    plan->n_pins = cursor_u32(&reader->body);
    plan->n_replicas = cursor_u32(&reader->body);
    for (int class_ = 0; class_ < SERVICE_CLASS_MAX; class_++)
        plan->n_forward[class_] = cursor_u32(&reader->body);
    uint32_t n_entries = cursor_u32(&reader->body);
    if (plan->n_services > BOUND_SERVICES || plan->n_groups > BOUND_GROUPS ||
        plan->n_groups == 0) { // the product below must not overflow, get_routes divides
        cursor_fail(&reader->body);
        return;
    }
    plan->n_routes = plan->n_services * SERVICE_CLASS_MAX * plan->n_groups;
    plan->gateways = get_gateways(reader, plan->n_gateways);
    plan->services = get_services(reader, plan->n_services);
    plan->groups = get_groups(reader, plan->n_groups);
    plan->routes = get_routes(reader, plan, n_entries);
    plan->pins = get_pins(reader, plan->n_pins);
    get_local_part(reader, plan);
    if (cursor_left(&reader->body) > 0)
        cursor_fail(&reader->body);
}

int plan_file_decode(const void *bytes, size_t len, Arena *arena, const Plan **ret_plan,
                     Error *reterr)
{
    PlanReader reader = {.arena = arena};
    int r = file_frame_open(&PLAN_FRAME, bytes, len, &reader.body, reterr);
    if (r < 0)
        return r;
    Plan *plan = arena_new_of(arena, Plan);
    if (plan == NULL)
        return error_set(reterr, ERROR_MEMORY, "plan: out of memory");
    get_plan(&reader, plan);
    if (reader.no_memory)
        return error_set(reterr, ERROR_MEMORY, "plan: out of memory");
    if (cursor_check(&reader.body) < 0)
        return error_set(reterr, ERROR_FORMAT, "plan: malformed at byte %zu",
                         reader.body.at + FILE_FRAME_HEADER);
    if ((r = plan_check(plan, reterr)) < 0)
        return r;
    *ret_plan = plan;
    return 0;
}

// plan.now: magic u64 | version u32 | zero u32 | number u64 | heartbeat i64 | boot u64 | zeros |
// CRC-32C u32. 64 bytes, so that one pwrite and one pread stay within a page.
void plan_now_encode(const PlanNow *now, unsigned char ret_bytes[PLAN_NOW_BYTES])
{
    const uint64_t fields[] = {PLAN_NOW_MAGIC, 1, now->number, (uint64_t)now->heartbeat.ns,
                               now->boot};
    memset(ret_bytes, 0, PLAN_NOW_BYTES);
    for (size_t i = 0; i < sizeof fields; i++)
        ret_bytes[i] = (unsigned char)(fields[i / 8] >> (8 * (i % 8)));
    uint32_t crc = crc32c(0, ret_bytes, PLAN_NOW_BYTES - 4);
    for (size_t i = 0; i < 4; i++)
        ret_bytes[PLAN_NOW_BYTES - 4 + i] = (unsigned char)(crc >> (8 * i));
}

int plan_now_decode(const void *bytes, size_t len, PlanNow *ret_now, Error *reterr)
{
    if (len != PLAN_NOW_BYTES)
        return error_set(reterr, ERROR_FORMAT, "plan.now: %zu bytes of %d", len, PLAN_NOW_BYTES);
    Cursor cursor = cursor_of(bytes, len);
    Cursor tail = cursor_of((const char *)bytes + PLAN_NOW_BYTES - 4, 4);
    uint64_t magic = cursor_u64(&cursor), version = cursor_u64(&cursor);
    if (magic != PLAN_NOW_MAGIC)
        return error_set(reterr, ERROR_FOREIGN,
                         "plan.now: not such a file (magic '%016" PRIx64 "')", magic);
    if (version != 1)
        return error_set(reterr, ERROR_FORMAT,
                         "plan.now: version '%" PRIu64 "', this program reads 1", version);
    if (crc32c(0, bytes, PLAN_NOW_BYTES - 4) != cursor_u32(&tail))
        return error_set(reterr, ERROR_CORRUPT, "plan.now: checksum does not match");
    PlanNow now = {.number = cursor_u64(&cursor)};
    now.heartbeat.ns = cursor_i64(&cursor);
    now.boot = cursor_u64(&cursor);
    if (now.number == 0)
        return error_set(reterr, ERROR_RANGE, "plan.now: number is '0'");
    *ret_now = now;
    return 0;
}
