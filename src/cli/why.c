// SPDX-License-Identifier: MIT
// why: which gateway a client gets now, and the chain of reasons. Any agent can say it, since all
// have the same plan; `--region` asks one, else the first that answers does. With `--at` the
// recorded plans answer (why_at.h).
#include <stdio.h>
#include <string.h>

#include "agents.h"
#include "alloc.h"
#include "buf.h"
#include "cli.h"
#include "clock.h"
#include "ip.h"
#include "moment.h"
#include "tell.h"
#include "why_at.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "-";
}

static void print_order(const json_t *order)
{
    static const char *const HEADS[] = {"#", "GATEWAY", "CLOUD", "VERDICT", "ADDRESS"};
    TellTable table = tell_table(HEADS, ARRAY_SIZE(HEADS));
    size_t i;
    const json_t *item;
    json_array_foreach(order, i, item)
    {
        const char *verdict = text_of(item, "verdict");
        tell_cell(&table, TELL_PLAIN, "%zu", i + 1);
        tell_cell(&table, TELL_PLAIN, "%s", text_of(item, "gateway"));
        tell_cell(&table, TELL_PLAIN, "%s", text_of(item, "cloud"));
        tell_cell(&table, strcmp(verdict, "up") == 0 ? TELL_GREEN : TELL_YELLOW, "%s", verdict);
        tell_cell(&table, TELL_PLAIN, "https://%s:%lld", text_of(item, "address"),
                  (long long)json_integer_value(json_object_get(item, "port")));
    }
    tell_table_print(&table, stdout);
}

static void print_why(const json_t *why)
{
    const char *at = json_string_value(json_object_get(why, "at"));
    if (at != NULL)
        (void)printf("at %s by the plan of %s: ", at, text_of(why, "region"));
    (void)printf("client %s, service %s, class %s, group %s\n", text_of(why, "client"),
                 text_of(why, "service"), text_of(why, "class"), text_of(why, "group"));
    if (json_is_string(json_object_get(why, "gateway")))
        (void)printf("%sgets %s%s  https://%s:%lld\n", tell_begin(stdout, TELL_BOLD),
                     text_of(why, "gateway"), tell_end(stdout, TELL_BOLD), text_of(why, "address"),
                     (long long)json_integer_value(json_object_get(why, "port")));
    else
        (void)printf("%sgets no gateway%s\n", tell_begin(stdout, TELL_RED),
                     tell_end(stdout, TELL_RED));
    const json_t *backup = json_object_get(why, "backup");
    if (json_is_object(backup))
        (void)printf("backup %s  https://%s:%lld (best of another cloud)\n",
                     text_of(backup, "gateway"), text_of(backup, "address"),
                     (long long)json_integer_value(json_object_get(backup, "port")));
    (void)printf("\n");
    print_order(json_object_get(why, "order"));
    (void)printf("\n");
    size_t i;
    const json_t *reason;
    json_array_foreach(json_object_get(why, "reasons"), i, reason)
    {
        const json_t *age = json_object_get(reason, "at_ms_ago");
        char text[TELL_DURATION_MAX] = "now";
        if (json_is_integer(age))
            (void)tell_duration(json_integer_value(age), text);
        tell_line(stdout, "  %s%s%s%s  %s", text_of(reason, "text"),
                  json_is_integer(age) ? ", " : "", json_is_integer(age) ? text : "",
                  json_is_integer(age) ? " ago" : "", text_of(reason, "facts"));
    }
}

// The first agent that has an answer, good or bad.
static const AgentAnswer *choose(const AgentAnswer *answers, uint32_t n)
{
    const AgentAnswer *best = NULL;
    for (uint32_t i = 0; i < n; i++)
        if (answers[i].status != 0 && (best == NULL || best->status != 200))
            best = &answers[i];
    return best;
}

static int ask(const Context *context, int region, const char *path, bool json, Error *reterr)
{
    uint32_t n = context->conf->model.n_regions;
    AgentAnswer *answers CLEANUP(alloc_freep) = alloc_zeroed(n, sizeof *answers);
    if (answers == NULL)
        return error_set(reterr, ERROR_MEMORY, "why");
    int r = agents_ask(context, region, &(AgentRequest){.path = path, .timeout_ns = NS_PER_S},
                       answers, reterr);
    if (r < 0)
        return r;
    const AgentAnswer *answer = choose(answers, n);
    if (answer == NULL)
        r = context_no_agent(reterr);
    else if (answer->status != 200)
        r = error_set(reterr, answer->status == 400 ? ERROR_USAGE : ERROR_UNAVAILABLE, "%s",
                      agents_message(answer));
    else if (json)
        (void)(json_dumpf(answer->body, stdout, JSON_INDENT(2)) == 0 && printf("\n") > 0);
    else
        print_why(answer->body);
    agents_done(answers, n);
    return r;
}

static int ask_past(const Context *context, const char *at, WhyAtQuestion *question, bool json,
                    Error *reterr)
{
    json_t *why = NULL;
    int r = moment_parse("at", at, clock_wall(), &question->at, reterr);
    if (r == 0)
        r = why_at(question, &context->conf->model, &why, reterr);
    if (r < 0)
        return r;
    if (json)
        (void)(json_dumpf(why, stdout, JSON_INDENT(2)) == 0 && printf("\n") > 0);
    else
        print_why(why);
    json_decref(why);
    return 0;
}

static int unknown_service(const Model *model, const char *name, Error *reterr)
{
    Buf names CLEANUP(buf_done) = BUF_INIT(65536);
    for (uint32_t i = 0; i < model->n_services; i++)
        buf_printf(&names, "%s%s", i > 0 ? ", " : "", model->services[i].name);
    return error_set(reterr, ERROR_USAGE, "unknown service '%s'; allowed: %s", name,
                     buf_text(&names));
}

int verb_why(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL, *client = NULL, *service = NULL, *class = "read", *region = NULL,
               *at = NULL;
    bool json = false;
    const Option options[] = {
        {"client", "ADDRESS", "the client's IPv4 or IPv6 address", &client, NULL},
        {"service", "NAME", "service (default: the first of fleet.yaml)", &service, NULL},
        {"class", "CLASS", "read or write (default read)", &class, NULL},
        {"region", "REGION", "ask this region's agent (default: any)", &region, NULL},
        {"at", "TIME", "then: 2026-11-23T14:00:00Z, or 5m: so long ago", &at, NULL},
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"json", NULL, "for programs", NULL, &json},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 0, 0, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    Ip ip;
    if (client == NULL || ip_parse(client, &ip) < 0) {
        r = error_set(reterr, ERROR_USAGE, "option '--client': '%s' is no IPv4 or IPv6 address",
                      client != NULL ? client : "");
        return error_hint(reterr, r, "usage: wildcam %s %s", verb->name, verb->usage);
    }
    Context context CLEANUP(context_done) = {0};
    r = context_open(dir, &context, reterr);
    int index = -1;
    if (r == 0 && region != NULL)
        r = index = context_region(&context, region, reterr);
    if (r >= 0 && service != NULL && model_find_service(&context.conf->model, service) < 0)
        r = unknown_service(&context.conf->model, service, reterr);
    if (r >= 0 && strcmp(class, "read") != 0 && strcmp(class, "write") != 0)
        r = error_set(reterr, ERROR_USAGE, "unknown class '%s'; allowed: read, write", class);
    if (r < 0)
        return r;
    if (at != NULL) {
        WhyAtQuestion question = {.dir = context.dir.text,
                                  .region = region,
                                  .client = ip,
                                  .service = service,
                                  .class_ = strcmp(class, "read") == 0 ? SERVICE_CLASS_READ
                                                                       : SERVICE_CLASS_WRITE};
        return ask_past(&context, at, &question, json, reterr);
    }
    char path[512];
    (void)snprintf(path, sizeof path, "/v1/why?client=%s&class=%s%s%s", client, class,
                   service != NULL ? "&service=" : "", service != NULL ? service : "");
    return ask(&context, index, path, json, reterr);
}
