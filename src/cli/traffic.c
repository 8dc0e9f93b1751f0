// SPDX-License-Identifier: MIT
// traffic: the operator's hand on the steering. An action becomes one intent, posted to the first
// agent that answers; the agents carry it to each other and keep it on disk. What the plan would be
// is shown first; a terminal is asked, a script says --yes.
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents.h"
#include "alloc.h"
#include "cli.h"
#include "fleet_view.h"
#include "ip.h"
#include "parse.h"

typedef struct Wish {
    const char *kind;
    char target[160];
    const char *region;
    uint32_t value_ppm;
    const char *reason;
    int64_t expires_s; // 0: never
} Wish;

typedef struct Action {
    const char *name, *kind, *usage;
    int operands;
} Action;

static const Action ACTIONS[] = {
    {"drain", "drain", "drain REGION|CLOUD: last resort only", 1},
    {"never", "never", "never REGION|CLOUD: not even as a last resort", 1},
    {"pin", "pin", "pin PREFIX REGION: these clients go there", 2},
    {"weight", "weight", "weight REGION SHARE: part of what it would get, e.g. 50%", 2},
    {"release", "release", "release REGION|CLOUD|PREFIX: whatever was wished is over", 1},
    {"reset", "reset_flaps", "reset fleet: forget flap counts and hold times", 1},
};

static const char *author(void)
{
    const char *sudo = getenv("SUDO_USER");
    const struct passwd *entry = getpwuid(getuid());
    return sudo != NULL && sudo[0] != '\0' ? sudo : entry != NULL ? entry->pw_name : "unknown";
}

// "us-west-2" -> "region:us-west-2", "aws" -> "cloud:aws", "10.0.0.0/8" -> "prefix:10.0.0.0/8".
static int find_target(const Model *model, const char *name, Wish *wish, Error *reterr)
{
    IpPrefix prefix;
    const char *family = model_find_region(model, name) >= 0   ? "region:"
                         : model_find_cloud(model, name) >= 0  ? "cloud:"
                         : ip_prefix_parse(name, &prefix) == 0 ? "prefix:"
                         : strcmp(name, "fleet") == 0          ? ""
                                                               : NULL;
    if (family == NULL || strlen(name) > 128) {
        int r = error_set(reterr, ERROR_USAGE, "'%s' is no region, cloud or prefix of this fleet",
                          name);
        return error_hint(reterr, r, "'wildcam status' lists the regions and clouds.");
    }
    (void)snprintf(wish->target, sizeof wish->target, "%s%s", family, name);
    return 0;
}

static int fill(const Model *model, const Action *action, char **operands, const char *lasting,
                Wish *wish, Error *reterr)
{
    wish->kind = action->kind;
    int r = find_target(model, operands[0], wish, reterr);
    bool prefix = strncmp(wish->target, "prefix:", 7) == 0, pin = strcmp(action->name, "pin") == 0;
    if (r == 0 && pin != prefix && strcmp(action->name, "release") != 0)
        r = error_set(reterr, ERROR_USAGE,
                      pin ? "'%s' is no prefix, like 10.0.0.0/8"
                          : "'%s' is a prefix; allowed: a region or a cloud",
                      operands[0]);
    if (r == 0 && pin && model_find_region(model, operands[1]) < 0)
        r = error_set(reterr, ERROR_USAGE, "unknown region '%s'", operands[1]);
    if (r == 0 && pin)
        wish->region = operands[1];
    if (r == 0 && strcmp(action->name, "weight") == 0 &&
        parse_percent(operands[1], strlen(operands[1]), &wish->value_ppm) < 0)
        r = error_set(reterr, ERROR_USAGE, "'%s' is no share; allowed: 0%% to 100%%", operands[1]);
    int64_t ns = 0;
    if (r == 0 && lasting != NULL &&
        (parse_duration(lasting, strlen(lasting), &ns) < 0 || ns < NS_PER_S))
        r = error_set(reterr, ERROR_USAGE, "option '--for': '%s' is no duration, like 30m or 2h",
                      lasting);
    wish->expires_s = ns / NS_PER_S;
    return r;
}

static char *encode(const Wish *wish)
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

static bool covers(const Model *model, const Wish *wish, const ModelRegion *region)
{
    const char *name = strchr(wish->target, ':');
    if (name == NULL || strcmp(wish->kind, "release") == 0)
        return false;
    return wish->target[0] == 'r' ? strcmp(name + 1, region->name) == 0
                                  : strcmp(name + 1, model->clouds[region->cloud].name) == 0;
}

// The load that the others would have to carry, by capacity: what is taken away is spread over the
// reachable rest. The plan itself decides finer; this says whether it can be carried at all.
static void show_projection(const Context *context, const Wish *wish)
{
    const Model *model = &context->conf->model;
    if (wish->target[0] != 'r' && wish->target[0] != 'c')
        return;
    uint64_t all = 0, left = 0;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        uint64_t capacity = model->regions[i].capacity_rps;
        uint64_t kept = !covers(model, wish, &model->regions[i]) ? capacity
                        : strcmp(wish->kind, "weight") == 0 ? capacity * wish->value_ppm / PPM_ONE
                                                            : 0;
        all += capacity;
        left += kept;
    }
    (void)printf("%s %s: %llu of %llu requests/s of capacity stay", wish->kind, wish->target,
                 (unsigned long long)left, (unsigned long long)all);
    if (context->conf->model.n_regions > 0 && left < all)
        (void)printf(" (%llu %%)", (unsigned long long)(all > 0 ? left * 100 / all : 0));
    (void)printf("\n");
}

static bool agreed(bool yes)
{
    if (yes || isatty(STDIN_FILENO) != 1)
        return yes;
    char line[16];
    (void)printf("Do it? [y/N] ");
    (void)fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
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
    return error_set(reterr, ERROR_UNAVAILABLE, "no agent takes the intent");
}

static const Action *find_action(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(ACTIONS); i++)
        if (strcmp(ACTIONS[i].name, name) == 0)
            return &ACTIONS[i];
    return NULL;
}

static int run(const Context *context, const Action *action, char **operands, const char *lasting,
               const char *reason, bool yes, bool json, Error *reterr)
{
    Wish wish = {.reason = reason != NULL ? reason : ""};
    int r = fill(&context->conf->model, action, operands, lasting, &wish, reterr);
    if (r < 0)
        return r;
    if (!json)
        show_projection(context, &wish);
    // Taking a wish back or forgetting flaps takes nothing away from anybody.
    bool asks = strcmp(action->name, "release") != 0 && strcmp(action->name, "reset") != 0;
    if (asks && !agreed(yes)) {
        r = error_set(reterr, ERROR_USAGE, "not done");
        return error_hint(reterr, r, "Without a terminal say --yes.");
    }
    char *body CLEANUP(alloc_freep) = encode(&wish);
    return body == NULL ? error_set(reterr, ERROR_MEMORY, "traffic")
                        : post(context, body, json, reterr);
}

int verb_traffic(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL, *reason = NULL, *lasting = NULL;
    bool yes = false, json = false;
    const Option options[] = {
        {"reason", "TEXT", "why, for those who look later", &reason, NULL},
        {"for", "DURATION", "30m, 2h ...: over by itself after that", &lasting, NULL},
        {"yes", NULL, "do not ask", NULL, &yes},
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"json", NULL, "print the intent as it is in force", NULL, &json},
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
    r = cli_operands(verb, operands, 2, 3, reterr);
    if (r < 0)
        return r;
    const Action *action = find_action(argv[1]);
    if (action == NULL)
        return error_set(reterr, ERROR_USAGE,
                         "unknown action '%s'; allowed: drain, never, pin, weight, release, reset",
                         argv[1]);
    if (operands - 1 != action->operands) {
        r = error_set(reterr, ERROR_USAGE, "wrong number of arguments");
        return error_hint(reterr, r, "usage: wildcam traffic %s", action->usage);
    }
    Context context CLEANUP(context_done) = {0};
    r = context_open(dir, &context, reterr);
    return r < 0 ? r : run(&context, action, argv + 2, lasting, reason, yes, json, reterr);
}
