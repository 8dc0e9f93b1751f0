// SPDX-License-Identifier: MIT
// api_intents: POST /v1/intents: one operator's wish, checked, stamped here (contracts section 2)
// and given to the core, which refuses what names nothing. Answers with the intent as it is in
// force.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api_state.h"
#include "clock.h"
#include "intents_json.h"
#include "json_reader.h"
#include "log.h"
#include "lww.h"

#define EXPIRES_MAX_S INT64_C(31536000) // a year: a wish for ever says so by leaving it out

static int64_t newest_stamp(const Agent *agent, const char *target)
{
    const Intent *intents;
    uint32_t n = core_intents(agent->core, &intents);
    int64_t newest = 0;
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(intents[i].target, target) == 0 && intents[i].stamp > newest)
            newest = intents[i].stamp;
    return newest;
}

static const char *optional_text(JsonReader *reader, const json_t *root, const char *key,
                                 const char *otherwise)
{
    return json_object_get(root, key) ? json_reader_text(reader, root, key, 0, BOUND_TEXT - 1)
                                      : otherwise;
}

// They are shown on terminals: no control characters.
static void refuse_controls(JsonReader *reader, const char *key, const char *text)
{
    for (; reader->r == 0 && *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            json_reader_fail(reader, key, ERROR_FORMAT, "control character 0x%02x",
                             (unsigned)(unsigned char)*text);
}

// Everything but the stamp.
static int read_intent(const char *bytes, size_t len, Arena *arena, Wall now, Intent *ret_intent,
                       Error *reterr)
{
    JsonReader reader = {.arena = arena, .reterr = reterr, .what = "intent"};
    json_t *root = json_reader_parse(&reader, bytes, len, BOUND_BODY_BYTES);
    if (!root)
        return reader.r < 0 ? reader.r : ERROR_FORMAT;
    Intent intent = {.created = now, .expires = {INT64_MAX}};
    int kind = intent_kind_parse(json_reader_text(&reader, root, "kind", 1, BOUND_NAME));
    if (kind < 0)
        json_reader_fail(&reader, "kind", ERROR_FORMAT,
                         "allowed: drain, never, pin, weight, release, reset_flaps");
    else
        intent.kind = (IntentKind)kind;
    intent.target = json_reader_text(&reader, root, "target", 1, BOUND_TEXT - 1);
    intent.region = optional_text(&reader, root, "region", "");
    intent.author = optional_text(&reader, root, "author", "");
    intent.reason = optional_text(&reader, root, "reason", "");
    intent.value_ppm = json_object_get(root, "value_ppm")
                           ? json_reader_u32(&reader, root, "value_ppm", PPM_ONE)
                           : 0;
    refuse_controls(&reader, "target", intent.target);
    refuse_controls(&reader, "region", intent.region);
    refuse_controls(&reader, "author", intent.author);
    refuse_controls(&reader, "reason", intent.reason);
    int64_t seconds = json_reader_i64_or(&reader, root, "expires_s", 1, EXPIRES_MAX_S, 0);
    if (seconds)
        intent.expires = wall_add(now, seconds * NS_PER_S);
    json_decref(root);
    // Peers would refuse every report that carries it, and we would be alone.
    if (reader.r == 0 && !intents_json_fits(intent.kind, intent.target))
        json_reader_fail(&reader, "target", ERROR_RANGE, "'%s' does not fit kind '%s'",
                         intent.target, intent_kind_name(intent.kind));
    if (reader.r == 0)
        *ret_intent = intent;
    return reader.r;
}

// Who may: an operator or admin through nginx, whose name is then the author, or somebody local.
static bool may_write(HttpExchange *exchange, const char **ret_author)
{
    ApiRole role = api_role(exchange, ret_author);
    if (role == API_ROLE_OPERATOR || role == API_ROLE_ADMIN || role == API_ROLE_LOCAL)
        return true;
    http_exchange_fail(exchange, 403, "forbidden", "this needs an operator's certificate");
    return false;
}

static int stamp_and_step(Agent *agent, Intent *intent, Error *reterr)
{
    if (core_self_status(agent->core, clock_mono()).clock_refused)
        return error_set(reterr, ERROR_UNAVAILABLE,
                         "the own clock is beyond clock.max_skew: no stamps are made");
    const ModelRegion *own = &agent_model(agent)->regions[agent->own];
    int r = lww_stamp_next(clock_wall(), newest_stamp(agent, intent->target), own->origin,
                           &intent->stamp);
    if (r < 0)
        return error_set(reterr, r, "no stamp can be made");
    CoreEvent event = {.kind = CORE_EVENT_INTENT, .u.intent = intent};
    return agent_step_with(agent, &event, reterr);
}

// POST /v1/plan/preview: a wish that is only looked at. Who may read may ask.
static void put_preview(JsonOut *out, const Agent *agent, Arena *arena, const Plan *plan)
{
    const Plan *now = core_plan(agent->core);
    out_begin(out, "gateways", '[');
    for (uint32_t i = 0; i < plan->n_gateways && i < now->n_gateways; i++) {
        const PlanGateway *before = &now->gateways[i], *after = &plan->gateways[i];
        CoreGatewayStatus status = {0};
        if (core_gateway_status(agent->core, arena, i, clock_mono(), &status) < 0)
            status = (CoreGatewayStatus){0};
        out_begin(out, NULL, '{');
        out_text(out, "region", after->region);
        out_text(out, "cloud", after->cloud);
        out_int(out, "capacity_rps", after->capacity_rps);
        out_int(out, "load_rps", status.load_rps);
        api_put_classes(out, "classes", after->classes);
        out_text(out, "state", health_state_name(before->state));
        out_text(out, "state_after", health_state_name(after->state));
        out_int(out, "share_ppm", before->share_ppm);
        out_int(out, "share_after_ppm", after->share_ppm);
        out_int(out, "load_ppm", before->load_ppm);
        out_int(out, "load_after_ppm", after->load_ppm);
        out_end(out, '}');
    }
    out_end(out, ']');
}

void api_handle_preview(void *context, HttpExchange *exchange)
{
    const Agent *agent = context;
    if (!api_may_read(exchange))
        return;
    size_t len;
    const char *bytes = http_exchange_body(exchange, &len);
    Arena *arena CLEANUP(arena_freep) = arena_new(API_ARENA_BYTES);
    Intent intent;
    const Plan *plan = NULL;
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = arena ? read_intent(bytes, len, arena, clock_wall(), &intent, &err) : ERROR_MEMORY;
    if (r == 0)
        r = core_preview(agent->core, arena, &intent, clock_mono(), &plan, &err);
    if (r < 0) {
        http_exchange_fail(exchange, r == ERROR_MEMORY ? 500 : 400,
                           r == ERROR_MEMORY ? "internal" : "refused", error_text(&err));
        return;
    }
    Buf body CLEANUP(buf_done) = BUF_INIT(4U << 20);
    JsonOut out = {.buf = &body};
    out_begin(&out, NULL, '{');
    out_text(&out, "region", agent->region);
    out_hex(&out, "plan", core_plan(agent->core)->number);
    put_preview(&out, agent, arena, plan);
    out_end(&out, '}');
    api_answer(exchange, 200, &body);
}

void api_handle_new_intent(void *context, HttpExchange *exchange)
{
    Agent *agent = context;
    const char *author;
    if (!may_write(exchange, &author))
        return;
    size_t len;
    const char *bytes = http_exchange_body(exchange, &len);
    Arena *arena CLEANUP(arena_freep) = arena_new(1U << 20);
    Intent intent;
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = arena ? read_intent(bytes, len, arena, clock_wall(), &intent, &err) : ERROR_MEMORY;
    if (r == 0 && *author)
        intent.author = author;
    if (r == 0 && !*intent.author)
        intent.author = "local";
    if (r == 0)
        r = stamp_and_step(agent, &intent, &err);
    if (r < 0) {
        http_exchange_fail(exchange, r == ERROR_UNAVAILABLE ? 503 : 400,
                           r == ERROR_UNAVAILABLE ? "unavailable" : "refused", error_text(&err));
        return;
    }
    Buf body CLEANUP(buf_done) = BUF_INIT(BOUND_BODY_BYTES);
    JsonOut out = {.buf = &body};
    Buf list CLEANUP(buf_done) = BUF_INIT(BOUND_BODY_BYTES);
    intents_json_put(&intent, 1, &list);
    out_begin(&out, NULL, '{');
    out_raw(&out, "intents", buf_text(&list));
    out_end(&out, '}');
    api_answer(exchange, 201, &body);
}
