// SPDX-License-Identifier: MIT
// traffic: the operator's hand on the steering. An action becomes one intent, posted to the first
// agent that answers; the agents carry it to each other and keep it on disk. What it would leave is
// shown first, and what would leave a service without capacity is refused; a terminal is asked, a
// script says --yes.
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents.h"
#include "alloc.h"
#include "buf.h"
#include "cli.h"
#include "fleet_view.h"
#include "ip.h"
#include "parse.h"
#include "tell.h"
#include "traffic_projection.h"
#include "utf8.h"

typedef struct Given {
    const char *dir, *reason, *lasting;
    bool yes, force, json;
} Given;

typedef struct Action {
    const char *name, *kind, *usage;
    int operands;
    const char *targets; // allowed families: first letters of region, cloud, prefix, fleet
} Action;

static const Action ACTIONS[] = {
    {"drain", "drain", "drain REGION|CLOUD: last resort only", 1, "rc"},
    {"never", "never", "never REGION|CLOUD: not even as a last resort", 1, "rc"},
    {"pin", "pin", "pin PREFIX REGION: these clients go there", 2, "p"},
    {"weight", "weight", "weight REGION SHARE: part of what it would get, e.g. 50%", 2, "r"},
    {"release", "release", "release REGION|CLOUD|PREFIX: whatever was wished is over", 1, "rcpf"},
    {"reset", "reset_flaps", "reset fleet: forget flap counts and hold times", 1, "f"},
    {"list", NULL, "list: the wishes in force", 0, ""},
};

static const char *author(void)
{
    const char *sudo = getenv("SUDO_USER");
    const struct passwd *entry = getpwuid(getuid());
    return sudo != NULL && sudo[0] != '\0' ? sudo : entry != NULL ? entry->pw_name : "unknown";
}

// What is allowed, with the names of this fleet.
static int refuse_target(const Model *model, const char *targets, const char *name, Error *reterr)
{
    Buf text CLEANUP(buf_done) = BUF_INIT(1U << 16);
    if (strchr(targets, 'p') != NULL)
        buf_add_text(&text, "a prefix like 10.0.0.0/8");
    if (strchr(targets, 'f') != NULL)
        buf_printf(&text, "%sfleet", text.len > 0 ? ", " : "");
    for (uint32_t i = 0; strchr(targets, 'r') != NULL && i < model->n_regions; i++)
        buf_printf(&text, "%s%s", text.len > 0 ? ", " : "", model->regions[i].name);
    for (uint32_t i = 0; strchr(targets, 'c') != NULL && i < model->n_clouds; i++)
        buf_printf(&text, "%s%s", text.len > 0 ? ", " : "", model->clouds[i].name);
    return error_set(reterr, ERROR_USAGE, "wrong target '%s'; allowed: %s", name, buf_text(&text));
}

// "us-west-2" -> "region:us-west-2", "aws" -> "cloud:aws", "10.0.0.0/8" -> "prefix:10.0.0.0/8".
static int find_target(const Model *model, const char *targets, const char *name, TrafficWish *wish,
                       Error *reterr)
{
    IpPrefix prefix;
    char text[IP_TEXT_MAX];
    const char *family = model_find_region(model, name) >= 0   ? "region"
                         : model_find_cloud(model, name) >= 0  ? "cloud"
                         : ip_prefix_parse(name, &prefix) == 0 ? "prefix"
                         : strcmp(name, "fleet") == 0          ? "fleet"
                                                               : "?";
    if (strchr(targets, family[0]) == NULL)
        return refuse_target(model, targets, name, reterr);
    if (family[0] == 'p')
        name = ip_prefix_format(&prefix, text); // one spelling: a release must meet its pin
    (void)snprintf(wish->target, sizeof wish->target, "%s%s%s", family, family[0] == 'f' ? "" : ":",
                   family[0] == 'f' ? "" : name);
    return 0;
}

static int find_pinned(const Model *model, const char *name, TrafficWish *wish, Error *reterr)
{
    int region = model_find_region(model, name);
    if (region < 0)
        return refuse_target(model, "r", name, reterr);
    wish->region = model->regions[region].name;
    return 0;
}

static int fill(const Model *model, const Action *action, char **operands, const Given *given,
                TrafficWish *wish, Error *reterr)
{
    *wish = (TrafficWish){.kind = action->kind, .reason = given->reason ? given->reason : ""};
    int r = find_target(model, action->targets, operands[0], wish, reterr);
    if (r == 0 && strcmp(action->name, "pin") == 0)
        r = find_pinned(model, operands[1], wish, reterr);
    if (r == 0 && strcmp(action->name, "weight") == 0 &&
        parse_percent(operands[1], strlen(operands[1]), &wish->value_ppm) < 0)
        r = error_set(reterr, ERROR_USAGE, "'%s' is no share; allowed: 0%% to 100%%", operands[1]);
    if (r == 0 && !utf8_valid(wish->reason, strlen(wish->reason)))
        r = error_set(reterr, ERROR_USAGE, "option '--reason' is not UTF-8");
    int64_t ns = 0;
    const char *lasting = given->lasting;
    if (r == 0 && lasting != NULL &&
        (parse_duration(lasting, strlen(lasting), &ns) < 0 || ns < NS_PER_S))
        r = error_set(reterr, ERROR_USAGE,
                      "option '--for': '%s' is no duration of 1s or more, like 30m or 2h", lasting);
    wish->expires_s = ns / NS_PER_S;
    return r;
}

static char *encode(const TrafficWish *wish)
{
    json_t *root = json_pack("{s:s,s:s,s:s,s:s}", "kind", wish->kind, "target", wish->target,
                             "author", author(), "reason", wish->reason);
    if (wish->region != NULL)
        (void)json_object_set_new(root, "region", json_string(wish->region));
    if (strcmp(wish->kind, "weight") == 0)
        (void)json_object_set_new(root, "value_ppm", json_integer((json_int_t)wish->value_ppm));
    if (wish->expires_s > 0)
        (void)json_object_set_new(root, "expires_s", json_integer((json_int_t)wish->expires_s));
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

// Agents one after the other until one takes it: an intent that two stamped would be two wishes.
static int post(const Context *context, const char *body, bool json, Error *reterr)
{
    uint32_t n = context->conf->model.n_regions;
    AgentAnswer *answers CLEANUP(alloc_freep) = alloc_zeroed(n, sizeof *answers);
    if (answers == NULL)
        return error_set(reterr, ERROR_MEMORY, "traffic");
    for (uint32_t i = 0; i < n; i++) {
        int r = agents_ask(
            context, (int)i,
            &(AgentRequest){
                .method = "POST", .path = "/v1/intents", .body = body, .timeout_ns = NS_PER_S},
            answers, reterr);
        if (r < 0)
            return r;
        const AgentAnswer *answer = &answers[i];
        int status = answer->status;
        if (status == 201 || status == 200) {
            if (json)
                (void)(json_dumpf(answer->body, stdout, JSON_INDENT(2)) == 0 && printf("\n") > 0);
            else
                (void)printf("accepted by %s\n", context->conf->model.regions[i].name);
        } else if (status >= 400 && status < 500) {
            r = error_set(reterr, ERROR_USAGE, "%s", agents_message(answer));
        }
        agents_done(answers, n);
        if (status != 0 && status < 500)
            return r;
    }
    return context_no_agent(reterr);
}

static const Action *find_action(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(ACTIONS); i++)
        if (strcmp(ACTIONS[i].name, name) == 0)
            return &ACTIONS[i];
    return NULL;
}

static int run(const Context *context, const Action *action, char **operands, const Given *given,
               Error *reterr)
{
    TrafficWish wish;
    int r = fill(&context->conf->model, action, operands, given, &wish, reterr);
    if (r < 0)
        return r;
    char *body CLEANUP(alloc_freep) = encode(&wish);
    if (body == NULL)
        return error_set(reterr, ERROR_MEMORY, "traffic");
    r = traffic_look_ahead(context, &wish, body, given->force, given->json ? stderr : stdout,
                           reterr);
    if (r < 0)
        return r;
    // Taking a wish back or forgetting flaps takes nothing away from anybody.
    bool asks = strcmp(action->name, "release") != 0 && strcmp(action->name, "reset") != 0;
    if (asks && !tell_agreed(given->yes)) {
        r = error_set(reterr, ERROR_USAGE, "not done");
        return error_hint(reterr, r, "Without a terminal say --yes.");
    }
    return post(context, body, given->json, reterr);
}

// The wishes in force, of all agents together.
static int list(const Context *context, bool json, Error *reterr)
{
    json_t *view = NULL;
    int r = fleet_view_get(context, NS_PER_S, &view, reterr);
    if (r < 0)
        return r;
    json_t *intents = json_object_get(view, "intents");
    if (json_array_size(json_object_get(view, "gateways")) == 0) {
        r = context_no_agent(reterr);
    } else if (json) {
        json_t *root = json_pack("{s:O}", "intents", intents);
        (void)(json_dumpf(root, stdout, JSON_INDENT(2)) == 0 && printf("\n") > 0);
        json_decref(root);
    } else if (json_array_size(intents) == 0) {
        (void)printf("no wish is in force\n");
    } else {
        fleet_view_print_intents(intents, stdout);
    }
    json_decref(view);
    return r;
}

int verb_traffic(const Verb *verb, int argc, char **argv, Error *reterr)
{
    Given given = {0};
    const Option options[] = {
        {"reason", "TEXT", "why, for those who look later", &given.reason, NULL},
        {"for", "DURATION", "30m, 2h ...: over by itself after that", &given.lasting, NULL},
        {"force", NULL, "even if too little capacity is left", NULL, &given.force},
        {"yes", NULL, "do not ask", NULL, &given.yes},
        {"dir", "DIR", "state folder (default ./run)", &given.dir, NULL},
        {"json", NULL, "print the intent as it is in force", NULL, &given.json},
    };
    int operands,
        r = cli_options(verb, options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r == 1) {
        (void)printf("\n");
        for (size_t i = 0; i < ARRAY_SIZE(ACTIONS); i++)
            (void)printf("  %s\n", ACTIONS[i].usage);
    }
    if (r != 0)
        return r < 0 ? r : 0;
    r = cli_operands(verb, operands, 1, 3, reterr);
    if (r < 0)
        return r;
    const Action *action = find_action(argv[1]);
    if (action == NULL)
        return error_set(reterr, ERROR_USAGE,
                         "unknown action '%s'; allowed: drain, never, pin, weight, release, reset, "
                         "list",
                         argv[1]);
    if (operands - 1 != action->operands) {
        r = error_set(reterr, ERROR_USAGE, "wrong number of arguments");
        return error_hint(reterr, r, "usage: wildcam traffic %s", action->usage);
    }
    Context context CLEANUP(context_done) = {0};
    r = context_open(given.dir, &context, reterr);
    if (r == 0 && action->kind == NULL)
        return list(&context, given.json, reterr);
    return r < 0 ? r : run(&context, action, argv + 2, &given, reterr);
}
