// SPDX-License-Identifier: MIT
// rows_status: the mesh at a glance: from each region's daemon; where no daemon answers, straight
// from the region's database; what is not reachable at all is told by what the others heard of it
// last. Exit code 3 while an alarm stands.
#include "rows_status.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agents.h"
#include "alloc.h"
#include "clock.h"
#include "rows.h"
#include "rowsd_facts.h"
#include "tell.h"
#include "top_terminal.h"

#define ASK_NS NS_PER_S
#define READ_NS (2 * NS_PER_S)

typedef struct StatusOptions {
    bool json, watch;
    int region; // -1: all
} StatusOptions;

static json_t *facts_json(const RowsdFacts *facts)
{
    Buf text CLEANUP(buf_done) = BUF_INIT(4U << 20);
    rowsd_facts_json(facts, clock_mono(), &text);
    return buf_check(&text) < 0 ? NULL : json_loadb(text.data, text.len, 0, NULL);
}

static void add_alarm(json_t *region, const char *name, const char *text)
{
    json_t *alarm = json_pack("{s:O, s:s, s:s, s:n}", "region", json_object_get(region, "region"),
                              "name", name, "text", text, "since_ms");
    (void)json_array_insert_new(json_object_get(region, "alarms"), 0, alarm);
}

// Without rates and history: those need somebody who watches.
static json_t *read_database(const Context *context, Mesh *mesh, uint32_t index, const char *why)
{
    RowsdFacts *facts CLEANUP(alloc_freep) = alloc_zeroed(1, sizeof *facts);
    if (facts == NULL)
        return NULL;
    MeshNode *node = &mesh->nodes[index];
    rowsd_facts_init(facts, mesh, index);
    facts->beat_ns = context->conf->rows.beat_ns;
    facts->clock_limit_ns = context->conf->model.clock_max_skew_ns;
    facts->slot_limit_ppm = context->conf->rows.slot_limit_ppm;
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (node->conn == NULL || rowsd_facts_read(mesh, node, true, facts, &err) < 0)
        (void)snprintf(facts->database_why, sizeof facts->database_why, "%s",
                       node->conn == NULL ? error_text(&node->why) : error_text(&err));
    Wall now = facts->read_at = clock_wall();
    for (uint32_t i = 0; i < facts->n; i++) {
        LinkIn *in = &facts->links[i].in;
        facts->links[i].silent = in->marked && now.ns - in->arrived.ns > 3 * facts->beat_ns;
    }
    const int64_t lag_ns = context->conf->rows.max_lag_ns;
    rowsd_facts_judge(facts, lag_ns, clock_mono(), now);
    rowsd_facts_alarms(facts, lag_ns, context->conf->objectives.rpo_ns, clock_mono());
    json_t *region = facts_json(facts);
    if (region != NULL && facts->database)
        add_alarm(region, "daemon", why);
    return region;
}

// The regions that no daemon answers for, all at once.
static int fill_in(const Context *context, const AgentAnswer *answers, json_t **regions,
                   Error *reterr)
{
    uint32_t n = context->conf->model.n_regions;
    const MeshOptions options = {.dir = context->dir.text,
                                 .as = MESH_AS_OWNER,
                                 .application = "wildcam rows status",
                                 .connect_ns = ASK_NS,
                                 .statement_ns = READ_NS};
    Mesh *mesh = NULL;
    int r = mesh_open(context->conf, &options, &mesh, reterr);
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        char why[ROWSD_TEXT];
        if (regions[i] != NULL)
            continue;
        (void)snprintf(why, sizeof why, "no answer of wildcam-rows: %s",
                       agents_message(&answers[i]));
        regions[i] = read_database(context, mesh, i, why);
        if (regions[i] == NULL)
            r = error_set(reterr, ERROR_MEMORY, "no memory for the status");
    }
    mesh = mesh_free(mesh);
    return r;
}

// When any region heard of `name` last; null: nobody has.
static json_t *heard_of(json_t *const *regions, uint32_t n, const char *name)
{
    json_int_t least = -1;
    for (uint32_t i = 0; i < n; i++) {
        size_t k;
        json_t *link;
        json_array_foreach(json_object_get(regions[i], "links"), k, link)
        {
            const char *from = json_string_value(json_object_get(link, "from"));
            json_t *age = json_object_get(link, "watermark_age_ms");
            if (from != NULL && strcmp(from, name) == 0 && json_is_integer(age) &&
                (least < 0 || json_integer_value(age) < least))
                least = json_integer_value(age);
        }
    }
    return least < 0 ? json_null() : json_integer(least);
}

static json_t *merge(const Context *context, const StatusOptions *options, json_t *const *regions)
{
    uint32_t n = context->conf->model.n_regions;
    json_t *list = json_array(), *alarms = json_array();
    for (uint32_t i = 0; i < n; i++) {
        const char *name = context->conf->model.regions[i].name;
        (void)json_object_set_new(regions[i], "heard_ms", heard_of(regions, n, name));
        if (options->region >= 0 && (uint32_t)options->region != i)
            continue;
        (void)json_array_append(list, regions[i]);
        (void)json_array_extend(alarms, json_object_get(regions[i], "alarms"));
        (void)json_object_del(regions[i], "alarms");
    }
    return json_pack("{s:o, s:o}", "regions", list, "alarms", alarms);
}

static int get(const Context *context, const StatusOptions *options, json_t **ret_view,
               Error *reterr)
{
    uint32_t n = context->conf->model.n_regions;
    AgentAnswer *answers CLEANUP(alloc_freep) = alloc_zeroed(n, sizeof *answers);
    json_t **regions CLEANUP(alloc_freep) = alloc_zeroed(n, sizeof(json_t *));
    if (answers == NULL || regions == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for the status");
    const AgentRequest request = {.path = "/v1/rows", .timeout_ns = ASK_NS, .socket = "rows.sock"};
    int r = agents_ask(context, -1, &request, answers, reterr);
    bool all = true;
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        if (answers[i].status == 200 && answers[i].body != NULL)
            regions[i] = json_incref(answers[i].body);
        all = all && regions[i] != NULL;
    }
    if (r == 0 && !all)
        r = fill_in(context, answers, regions, reterr);
    if (r == 0) {
        *ret_view = merge(context, options, regions);
        if (*ret_view == NULL)
            r = error_set(reterr, ERROR_MEMORY, "no memory for the status");
    }
    for (uint32_t i = 0; i < n; i++)
        json_decref(regions[i]);
    agents_done(answers, n);
    return r;
}

static int show(const Context *context, const StatusOptions *options, Error *reterr)
{
    json_t *view = NULL;
    int r = get(context, options, &view, reterr);
    if (r < 0)
        return r;
    if (options->json) {
        (void)json_dumpf(view, stdout, options->watch ? JSON_COMPACT : JSON_INDENT(2));
        (void)printf("\n");
    } else {
        if (options->watch && isatty(STDOUT_FILENO) == 1)
            (void)printf("\033[H\033[2J");
        rows_status_print(view, stdout);
    }
    bool alarms = json_array_size(json_object_get(view, "alarms")) > 0;
    json_decref(view);
    return alarms ? 3 : 0;
}

static volatile sig_atomic_t ended;

static void on_end(int number)
{
    ended = 1;
}

// Once a second, until Ctrl-C or until stdout is gone.
static int watch(const Context *context, const StatusOptions *options, Error *reterr)
{
    const struct sigaction action = {.sa_handler = on_end};
    bool terminal = !options->json && isatty(STDOUT_FILENO) == 1;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    if (terminal)
        top_terminal_take(false);
    int r = 0;
    while (!ended && r >= 0) {
        r = show(context, options, reterr);
        if (fflush(stdout) != 0)
            break;
        const struct timespec second = {.tv_sec = 1}; // the rate of a display
        if (!ended && r >= 0)
            (void)nanosleep(&second, NULL);
    }
    if (terminal)
        top_terminal_give_back();
    return r;
}

int rows_status(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL, *region = NULL;
    StatusOptions status = {.region = -1};
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"region", "REGION", "this region only", &region, NULL},
        {"watch", NULL, "again every second", NULL, &status.watch},
        {"json", NULL, "for programs; with --watch one object a line", NULL, &status.json},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 0, 0, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    Context context CLEANUP(context_done) = {0};
    r = context_open(dir, &context, reterr);
    if (r == 0 && region != NULL) {
        status.region = context_region(&context, region, reterr);
        r = status.region < 0 ? status.region : 0;
    }
    if (r < 0)
        return r;
    return status.watch ? watch(&context, &status, reterr) : show(&context, &status, reterr);
}
