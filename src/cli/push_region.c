// SPDX-License-Identifier: MIT
// push_region: see push.h. The order: the agent first, so that its plan knows what nginx will ask
// for; then its edge obeys that plan; then nginx. Every step is done only when its effect is seen
// from outside: the hash that the agent states, the plan that the workers state, the digest that
// nginx answers with. A step that has nothing to do is done at once, so that giving a file twice
// is harmless.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "edge_ask.h"
#include "files.h"
#include "parse.h"
#include "push.h"

#define STEP_NS (15 * NS_PER_S) // of one step; a loaded machine needs seconds
#define ASK_NS NS_PER_S
#define CONTROL_NS (5 * NS_PER_S)
#define NGINX_CONF_MAX (4U << 20)

typedef struct Give {
    const Context *context;
    uint32_t region;
    const char *name;
    const PushFile *file;
    char hash[17];
    uint64_t plan;   // that the edge has to obey at least
    char digest[64]; // that nginx has to answer with
    AgentAnswer *answers;
} Give;

static int tell(const Give *give, const char *command, const char *what, Error *reterr)
{
    char line[256];
    (void)snprintf(line, sizeof line, "%s %s %s", command, give->name, what);
    json_t *answer = NULL;
    int r = context_tell(give->context->dir.text, line, CONTROL_NS, &answer, reterr);
    json_decref(answer);
    return r;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

// The agent's status, NULL without an answer; owned by give->answers.
static int ask_agent(Give *give, const json_t **ret_body, Error *reterr)
{
    agents_done(give->answers, give->context->conf->model.n_regions);
    int r = agents_ask(give->context, (int)give->region,
                       &(AgentRequest){.path = "/v1/status", .timeout_ns = ASK_NS}, give->answers,
                       reterr);
    const AgentAnswer *answer = &give->answers[give->region];
    *ret_body = r == 0 && answer->status == 200 ? answer->body : NULL;
    return r;
}

// --- Steps: begin once, then look until it is done (1) ---

static int write_copy(Give *give, Error *reterr)
{
    LayoutPath path = layout_region(give->context->dir.text, give->name, "fleet.yaml");
    return files_replace(path.text, give->file->bytes, give->file->len, NULL, reterr);
}

static int at_once(Give *give, Error *reterr)
{
    return 1;
}

static int tell_agent(Give *give, Error *reterr)
{
    // The mesh's daemon takes it too; it may be down, and no traffic depends on it.
    int r = tell(give, "signal", "rows HUP", NULL);
    (void)r;
    return tell(give, "signal", "agent HUP", reterr);
}

static int look_at_agent(Give *give, Error *reterr)
{
    const json_t *body;
    int r = ask_agent(give, &body, reterr);
    if (r < 0 || body == NULL)
        return r;
    const json_t *region = json_object_get(body, "region"), *alarm;
    size_t i;
    if (strcmp(text_of(region, "config_hash"), give->hash) == 0) {
        const char *plan = text_of(region, "plan_newest");
        return parse_hex(plan, strlen(plan), 16, &give->plan) < 0 ? 0 : 1;
    }
    json_array_foreach(json_object_get(body, "alarms"), i,
                       alarm) if (strcmp(text_of(alarm, "name"), "config_rejected") ==
                                  0) return error_set(reterr, ERROR_CONFLICT,
                                                      "its agent refuses it: %s",
                                                      text_of(alarm, "text"));
    return 0;
}

static int begin_nothing(Give *give, Error *reterr)
{
    return 0;
}

static int look_at_plan(Give *give, Error *reterr)
{
    const json_t *body;
    int r = ask_agent(give, &body, reterr);
    if (r < 0 || body == NULL)
        return r;
    const json_t *edge = json_object_get(json_object_get(body, "region"), "edge");
    const char *oldest = text_of(edge, "oldest_plan");
    uint64_t plan;
    return json_integer_value(json_object_get(edge, "workers")) > 0 &&
                   parse_hex(oldest, strlen(oldest), 16, &plan) == 0 && plan >= give->plan
               ? 1
               : 0;
}

static int write_nginx_conf(Give *give, Error *reterr)
{
    return tell(give, "restart", "edge-conf", reterr);
}

// The step repeats itself while it fails, and says why in its log.
static int edge_conf_complaint(const Give *give, Error *reterr)
{
    json_t *answer = NULL;
    int r = context_tell(give->context->dir.text, "status", CONTROL_NS, &answer, reterr);
    size_t i, k;
    const json_t *region, *program;
    bool failed = false;
    json_array_foreach(json_object_get(answer, "regions"), i, region)
    {
        if (strcmp(text_of(region, "region"), give->name) != 0)
            continue;
        json_array_foreach(json_object_get(region, "programs"), k, program) failed =
            failed || (strcmp(text_of(program, "name"), "edge-conf") == 0 &&
                       strcmp(text_of(program, "state"), "backoff") == 0);
    }
    json_decref(answer);
    if (r < 0 || !failed)
        return r;
    char line[256];
    LayoutPath log = layout_region(give->context->dir.text, give->name, "log/edge-conf.log");
    context_last_line(log.text, line, sizeof line);
    return error_set(reterr, ERROR_CONFLICT, "%s", line[0] != '\0' ? line : "edge-conf fails");
}

static int look_at_nginx_conf(Give *give, Error *reterr)
{
    LayoutPath path = layout_region(give->context->dir.text, give->name, "edge/nginx.conf");
    char *bytes CLEANUP(alloc_freep) = NULL;
    size_t len;
    int r = files_read(path.text, NGINX_CONF_MAX, &bytes, &len, reterr);
    if (r < 0)
        return r;
    static const char MARK[] = "Wildcam-Config ";
    const char *end = strchr(bytes, '\n'), *hash = strstr(bytes, give->hash),
               *digest = strstr(bytes, MARK);
    if (end == NULL || hash == NULL || hash > end || digest == NULL)
        return edge_conf_complaint(give, reterr);
    digest += strlen(MARK);
    (void)snprintf(give->digest, sizeof give->digest, "%.*s", (int)strcspn(digest, " ;\n"), digest);
    return 1;
}

static int ask_nginx(const Give *give, Error *reterr)
{
    EdgeAnswer answer;
    int r = edge_ask_health(give->context, give->region, ASK_NS, &answer, reterr);
    return r < 0 ? r : answer.status == 200 && strcmp(answer.config, give->digest) == 0 ? 1 : 0;
}

// A reload closes idle connections: not for nothing.
static int reload_nginx(Give *give, Error *reterr)
{
    int r = ask_nginx(give, reterr);
    return r != 0 ? r : tell(give, "signal", "nginx HUP", reterr);
}

static int look_at_nginx(Give *give, Error *reterr)
{
    return ask_nginx(give, reterr);
}

static const struct {
    const char *name, *late;
    int (*begin)(Give *give, Error *reterr);
    int (*look)(Give *give, Error *reterr);
} STEPS[] = {
    {"file", "", write_copy, at_once},
    {"agent", "its agent does not take it", tell_agent, look_at_agent},
    {"plan", "its edge does not obey the new plan", begin_nothing, look_at_plan},
    {"nginx.conf", "its nginx.conf is not written", write_nginx_conf, look_at_nginx_conf},
    {"nginx", "its nginx does not answer with the new configuration", reload_nginx, look_at_nginx},
};

static int run_step(Give *give, size_t step, const volatile sig_atomic_t *stop, Error *reterr)
{
    Mono end = mono_add(clock_mono(), STEP_NS);
    int r = STEPS[step].begin(give, reterr);
    while (r >= 0) {
        r = STEPS[step].look(give, reterr);
        if (r != 0)
            break;
        if (stop != NULL && *stop != 0)
            return error_set(reterr, ERROR_CONFLICT, "interrupted");
        if (clock_mono().ns > end.ns)
            return error_set(reterr, ERROR_TIMEOUT, "%s within %lld s", STEPS[step].late,
                             (long long)(STEP_NS / NS_PER_S));
        push_pause();
    }
    return r < 0 ? r : 0;
}

int push_give(const Context *context, uint32_t region, const PushFile *file,
              const volatile sig_atomic_t *stop, PushFailure *ret_failure)
{
    AgentAnswer *answers CLEANUP(alloc_freep) =
        alloc_zeroed(context->conf->model.n_regions, sizeof *answers);
    Error err CLEANUP(error_done) = ERROR_INIT;
    Give give = {.context = context,
                 .region = region,
                 .name = context->conf->model.regions[region].name,
                 .file = file,
                 .answers = answers};
    Mono begun = clock_mono();
    int r = answers != NULL ? 0 : error_set(&err, ERROR_MEMORY, "push");
    size_t failed = 0;
    (void)snprintf(give.hash, sizeof give.hash, "%016" PRIx64, file->conf->model.config_hash);
    for (size_t step = 0; answers != NULL && step < ARRAY_SIZE(STEPS); step++) {
        if (r < 0 && (stop != NULL || STEPS[step].look == look_at_plan))
            continue; // on the way back nginx gets the file even if the agent is away
        int done = run_step(&give, step, stop, r == 0 ? &err : NULL);
        if (r == 0 && done < 0) {
            failed = step;
            r = done;
        }
    }
    if (answers != NULL)
        agents_done(answers, context->conf->model.n_regions);
    if (r == 0)
        return 0;
    *ret_failure = (PushFailure){.region = region,
                                 .check = STEPS[failed].name,
                                 .after_ms = mono_since(clock_mono(), begun) / NS_PER_MS};
    (void)snprintf(ret_failure->text, sizeof ret_failure->text, "%s", error_text(&err));
    return r;
}
