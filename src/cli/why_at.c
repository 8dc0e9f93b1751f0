// SPDX-License-Identifier: MIT
// why_at: see why_at.h. What the agent's memory knew then and the plan does not say (votes, ages of
// probes) comes from the decision records.
#include "why_at.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "bounds.h"
#include "buf.h"
#include "clock.h"
#include "files.h"
#include "layout.h"
#include "past_plan.h"
#include "pick.h"

typedef struct Past {
    const WhyAtQuestion *question;
    PastPlan plan;
    PastRecord *records;
    uint32_t n_records;
    uint32_t service, group;
    uint32_t n_order, order[BOUND_ORDER];
} Past;

static json_t *gateway_json(const Plan *plan, uint32_t index)
{
    ASSERT(plan->gateways != NULL && index < plan->n_gateways); // a plan is never empty
    const PlanGateway *gateway = &plan->gateways[index];
    return json_pack("{s:s,s:s,s:s,s:i,s:s}", "gateway", gateway->region, "cloud", gateway->cloud,
                     "address", gateway->address, "port", (int)gateway->edge_port, "verdict",
                     health_state_name(gateway->state));
}

static void add_reason(json_t *reasons, Wall since, Wall at, const Buf *text, const Buf *facts)
{
    json_t *ago =
        since.ns == INT64_MIN ? json_null() : json_integer((at.ns - since.ns) / NS_PER_MS);
    (void)json_array_append_new(reasons, json_pack("{s:s,s:o,s:s}", "text", buf_text(text),
                                                   "at_ms_ago", ago, "facts", buf_text(facts)));
}

static void reason_group(const Past *past, json_t *reasons)
{
    const Plan *plan = past->plan.plan;
    char client[IP_TEXT_MAX], block[IP_TEXT_MAX];
    IpPrefix of_client = ip_client_block(&past->question->client);
    Buf text CLEANUP(buf_done) = BUF_INIT(1024), facts CLEANUP(buf_done) = BUF_INIT(1024);
    buf_printf(&text, "client belonged to group '%s'",
               past->group < plan->n_groups ? plan->groups[past->group] : "?");
    buf_printf(&facts, "%s; its block %s decides its share",
               ip_format(&past->question->client, client), ip_prefix_format(&of_client, block));
    add_reason(reasons, (Wall){INT64_MIN}, past->question->at, &text, &facts);
}

static void reason_pin(const Past *past, json_t *reasons)
{
    const Plan *plan = past->plan.plan;
    int pin = pick_pin(plan, &past->question->client);
    if (pin < 0)
        return;
    const char *region = plan->gateways[plan->pins[pin].gateway].region;
    bool obeyed = past->n_order > 0 && past->order[0] == plan->pins[pin].gateway;
    char prefix[IP_TEXT_MAX];
    Buf text CLEANUP(buf_done) = BUF_INIT(1024), facts CLEANUP(buf_done) = BUF_INIT(1024);
    buf_printf(&text, obeyed ? "an operator had pinned it to %s" : "a pin to %s was not obeyed",
               region);
    buf_printf(&facts, "prefix %s", ip_prefix_format(&plan->pins[pin].prefix, prefix));
    add_reason(reasons, (Wall){INT64_MIN}, past->question->at, &text, &facts);
}

static const PastRecord *newest_about(const Past *past, const char *region)
{
    char subject[160];
    (void)snprintf(subject, sizeof subject, "gateway:%s", region);
    for (uint32_t i = 0; i < past->n_records; i++)
        if (strcmp(past->records[i].subject, subject) == 0)
            return &past->records[i];
    return NULL;
}

static void reason_gateway(const Past *past, uint32_t place, json_t *reasons)
{
    const PlanGateway *gateway = &past->plan.plan->gateways[past->order[place]];
    const PastRecord *record = newest_about(past, gateway->region);
    Buf text CLEANUP(buf_done) = BUF_INIT(1024), facts CLEANUP(buf_done) = BUF_INIT(4096);
    buf_printf(&text, "%s was %s: %s", gateway->region, place == 0 ? "chosen" : "behind it",
               health_state_name(gateway->state));
    buf_printf(&facts, "share %u.%u %%; projected load %u.%u %%", gateway->share_ppm / 10000,
               gateway->share_ppm / 1000 % 10, gateway->load_ppm / 10000,
               gateway->load_ppm / 1000 % 10);
    if (record != NULL)
        buf_printf(&facts, "; %s: %s", record_kind_text(record->kind), record->facts);
    add_reason(reasons, record != NULL ? record->at : (Wall){INT64_MIN}, past->question->at, &text,
               &facts);
}

static void reason_plan(const Past *past, json_t *reasons)
{
    const Plan *plan = past->plan.plan;
    char next[CLOCK_TEXT_MAX];
    Buf text CLEANUP(buf_done) = BUF_INIT(256), facts CLEANUP(buf_done) = BUF_INIT(512);
    buf_printf(&text, "plan %016" PRIx64 " of %s said so", plan->number, past->plan.region);
    buf_printf(&facts, "generation %u, fleet part %016" PRIx64 "; the next plan came %s",
               plan->generation, plan->fleet_digest,
               past->plan.next.ns == INT64_MAX ? "never" : clock_format(past->plan.next, next));
    add_reason(reasons, plan->made, past->question->at, &text, &facts);
}

static json_t *answer_json(const Past *past)
{
    const Plan *plan = past->plan.plan;
    char client[IP_TEXT_MAX], at[CLOCK_TEXT_MAX], number[17];
    json_t *order = json_array(), *reasons = json_array();
    for (uint32_t i = 0; i < past->n_order; i++)
        (void)json_array_append_new(order, gateway_json(plan, past->order[i]));
    reason_group(past, reasons);
    reason_pin(past, reasons);
    for (uint32_t i = 0; i < past->n_order; i++)
        reason_gateway(past, i, reasons);
    reason_plan(past, reasons);
    int backup = pick_backup(plan, past->order, past->n_order);
    const PlanGateway *first = past->n_order > 0 ? &plan->gateways[past->order[0]] : NULL;
    (void)snprintf(number, sizeof number, "%016" PRIx64, plan->number);
    return json_pack(
        "{s:s,s:s,s:s,s:s?,s:s?,s:s?,s:s?,s:o,s:o,s:o,s:o,s:s,s:s,s:s}", "client",
        ip_format(&past->question->client, client), "service", plan->services[past->service].name,
        "class", past->question->class_ == SERVICE_CLASS_READ ? "read" : "write", "group",
        past->group < plan->n_groups ? plan->groups[past->group] : NULL, "gateway",
        first != NULL ? first->region : NULL, "cloud", first != NULL ? first->cloud : NULL,
        "address", first != NULL ? first->address : NULL, "port",
        first != NULL ? json_integer(first->edge_port) : json_null(), "order", order, "backup",
        backup >= 0 ? gateway_json(plan, (uint32_t)backup) : json_null(), "reasons", reasons,
        "plan", number, "at", clock_format(past->question->at, at), "region", past->plan.region);
}

static int find_service(Past *past, Error *reterr)
{
    const Plan *plan = past->plan.plan;
    const char *name = past->question->service;
    for (uint32_t i = 0; i < plan->n_services; i++) {
        if (name != NULL && strcmp(plan->services[i].name, name) != 0)
            continue;
        past->service = i;
        return 0;
    }
    return error_set(reterr, ERROR_USAGE, "there was no service '%s' then",
                     name != NULL ? name : "");
}

static int answer(Past *past, json_t **ret_answer, Error *reterr)
{
    const WhyAtQuestion *question = past->question;
    const Model *model = &past->plan.conf->model;
    int r = find_service(past, reterr);
    if (r < 0)
        return r;
    int group = pick_group(model->prefixes, model->n_prefixes, &question->client);
    past->group = group < 0 ? 0 : (uint32_t)group;
    past->n_order = pick_order(past->plan.plan, model->prefixes, model->n_prefixes, past->service,
                               question->class_, &question->client, past->order);
    *ret_answer = answer_json(past);
    return *ret_answer != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "why");
}

// The regions of fleet.yaml one after the other, until one has a plan of that time.
static int find_plan(const WhyAtQuestion *question, const Model *model, LayoutPath *ret_folder,
                     PastPlan *ret_past, Error *reterr)
{
    int r = error_set(reterr, ERROR_NOT_FOUND, "%s: nothing was recorded", question->dir);
    for (uint32_t i = 0; i < model->n_regions; i++) {
        const char *name = model->regions[i].name;
        LayoutPath folder = layout_region(question->dir, name, "records");
        if ((question->region != NULL && strcmp(question->region, name) != 0) ||
            !files_exist(folder.text))
            continue;
        error_done(reterr);
        r = past_plan_find(folder.text, question->at, ret_past, reterr);
        *ret_folder = folder;
        if (r != ERROR_NOT_FOUND)
            break;
    }
    return r;
}

int why_at(const WhyAtQuestion *question, const Model *model, json_t **ret_answer, Error *reterr)
{
    Past past = {.question = question};
    LayoutPath folder;
    int r = find_plan(question, model, &folder, &past.plan, reterr);
    if (r < 0)
        return r;
    past.records = alloc_zeroed(PAST_RECORDS_MAX, sizeof *past.records);
    r = past.records != NULL
            ? past_records_find(folder.text, question->at, past.records, &past.n_records, reterr)
            : error_set(reterr, ERROR_MEMORY, "why");
    if (r == 0)
        r = answer(&past, ret_answer, reterr);
    free(past.records);
    past_plan_done(&past.plan);
    return r;
}
