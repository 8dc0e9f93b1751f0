// SPDX-License-Identifier: MIT
// push_report: see push_report.h.
#include "push_report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "tell.h"

void push_tell(FILE *out, Mono begun, const char *region, const char *fmt, ...)
{
    int64_t ms = mono_since(clock_mono(), begun) / NS_PER_MS;
    char text[1024];
    va_list args;
    ASSERT(fmt != NULL); // gcc's -fsanitize=undefined would see a null format below
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)fprintf(out, "%6.2f s  %-12s %s\n", (double)ms / 1000.0, region, tell_plain(text));
    (void)fflush(out);
}

// The copy's hash and generation; false when it cannot be read.
static bool look_at_copy(const Context *context, uint32_t region, uint64_t *ret_hash,
                         uint32_t *ret_generation)
{
    PushFile copy CLEANUP(push_file_done) = {0};
    LayoutPath path =
        layout_region(context->dir.text, context->conf->model.regions[region].name, "fleet.yaml");
    if (push_file_load(path.text, &copy, NULL) < 0)
        return false;
    *ret_hash = copy.conf->model.config_hash;
    *ret_generation = copy.conf->model.generation;
    return true;
}

void push_tell_where(const Context *context, const AgentAnswer *answers, FILE *out)
{
    static const char *const HEADS[] = {"REGION", "ITS FILE", "GENERATION", "ITS AGENT RUNS"};
    TellTable table = tell_table(HEADS, ARRAY_SIZE(HEADS));
    const Model *model = &context->conf->model;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        uint64_t hash = 0;
        uint32_t generation = 0;
        bool known = look_at_copy(context, i, &hash, &generation);
        TellColour colour = hash == model->config_hash ? TELL_PLAIN : TELL_YELLOW;
        const char *runs = json_string_value(
            json_object_get(json_object_get(answers[i].body, "region"), "config_hash"));
        tell_cell(&table, TELL_BOLD, "%s", model->regions[i].name);
        if (known) {
            tell_cell(&table, colour, "%016" PRIx64, hash);
            tell_cell(&table, colour, "%" PRIu32, generation);
        } else {
            tell_cell(&table, TELL_RED, "unreadable");
            tell_cell(&table, TELL_RED, "-");
        }
        tell_cell(&table, runs != NULL ? TELL_PLAIN : TELL_RED, "%s",
                  runs != NULL ? runs : "no answer");
    }
    tell_table_print(&table, out);
    (void)fprintf(out, "accepted by the whole fleet: %016" PRIx64 ", generation %" PRIu32 "\n",
                  model->config_hash, model->generation);
}

static json_t *hash_json(uint64_t hash)
{
    char text[17];
    (void)snprintf(text, sizeof text, "%016" PRIx64, hash);
    return json_string(text);
}

static void put_file(json_t *root, const char *hash, const char *generation, const PushFile *file)
{
    const Conf *conf = file != NULL ? file->conf : NULL;
    (void)json_object_set_new(root, hash,
                              conf != NULL ? hash_json(conf->model.config_hash) : json_null());
    (void)json_object_set_new(root, generation,
                              conf != NULL ? json_integer(conf->model.generation) : json_null());
}

static json_t *lines_json(const char *text)
{
    json_t *list = json_array();
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        (void)json_array_append_new(list, json_stringn(text, len));
        text += len + (text[len] == '\n' ? 1 : 0);
    }
    return list;
}

static json_t *regions_json(const Context *context, const PushReport *report)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < context->conf->model.n_regions; i++) {
        const PushRegion *region = &report->regions[i];
        uint64_t hash;
        uint32_t generation;
        bool known = look_at_copy(context, i, &hash, &generation);
        (void)json_array_append_new(
            list, json_pack("{s:s,s:o,s:b,s:b,s:o}", "region", context->conf->model.regions[i].name,
                            "config_hash", known ? hash_json(hash) : json_null(), "given",
                            (int)region->given, "back", (int)region->back, "took_ms",
                            region->given && region->took_ms >= 0
                                ? json_integer((json_int_t)region->took_ms)
                                : json_null()));
    }
    return list;
}

static json_t *failure_json(const Context *context, const PushFailure *failure)
{
    return failure->check == NULL ? json_null()
                                  : json_pack("{s:s,s:s,s:s,s:I}", "region",
                                              context->conf->model.regions[failure->region].name,
                                              "check", failure->check, "text", failure->text,
                                              "after_ms", (json_int_t)failure->after_ms);
}

int push_print_json(const Context *context, const PushReport *report, Error *reterr)
{
    json_t *root = json_pack("{s:s,s:s?,s:s?}", "result", report->result, "file", report->file,
                             "reason", report->reason);
    put_file(root, "from_hash", "from_generation", report->from);
    put_file(root, "to_hash", "to_generation", report->to);
    (void)json_object_set_new(root, "restart", lines_json(report->restart));
    (void)json_object_set_new(root, "regions", regions_json(context, report));
    (void)json_object_set_new(root, "failure", failure_json(context, &report->failure));
    (void)json_object_set_new(root, "elapsed_ms", json_integer((json_int_t)report->elapsed_ms));
    int r = root != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "push");
    if (r == 0)
        (void)(json_dumpf(root, stdout, JSON_INDENT(2)) == 0 && printf("\n") > 0);
    json_decref(root);
    return r;
}
