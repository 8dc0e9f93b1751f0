// SPDX-License-Identifier: MIT
// push_before: everything that can be refused is refused here, before anything is touched.
#include <stdio.h>
#include <string.h>

#include "bounds.h"
#include "conf_diff.h"
#include "fleet_view.h"
#include "plan_effects.h"
#include "push_rules.h"
#include "push_run.h"
#include "tell.h"

void push_order(const Model *model, const uint64_t *load_rps, int first, uint32_t *ret_order)
{
    uint32_t start = first >= 0 ? (uint32_t)first : 0, n = 0;
    for (uint32_t i = 0; first < 0 && i < model->n_regions; i++)
        if (load_rps[i] < load_rps[start])
            start = i;
    ret_order[n++] = start;
    for (uint32_t c = 0; c <= model->n_clouds; c++) { // first its own cloud, then the others
        uint32_t cloud = c == 0 ? model->regions[start].cloud : c - 1;
        if (c > 0 && cloud == model->regions[start].cloud)
            continue;
        for (uint32_t i = 0; i < model->n_regions; i++)
            if (i != start && model->regions[i].cloud == cloud)
                ret_order[n++] = i;
    }
}

static int refuse(Push *push, Error *reterr, const char *reason, const char *hint)
{
    push->report.result = "refused";
    push->report.reason = reason;
    int r = error_set(reterr, ERROR_NOT_HELD, "not done: %s", reason);
    return hint != NULL ? error_hint(reterr, r, "%s", hint) : r;
}

bool push_any_staged(const Push *push)
{
    for (uint32_t i = 0; i < push_n_regions(push); i++)
        if (push->staged[i])
            return true;
    return false;
}

int push_say_half_way(Push *push, Error *reterr)
{
    int r = push_look(&push->context, push->looks.now, reterr);
    if (r < 0)
        return r;
    (void)fprintf(push->out, "a push was left half-way:\n");
    push_tell_where(&push->context, push->looks.now, push->out);
    return refuse(push, reterr, "a push was left half-way, so regions run different files",
                  "'wildcam config push --continue' goes on with it, '--back' takes it back.");
}

int push_load_new(Push *push, Error *reterr)
{
    const char *file = push->options->file != NULL ? push->options->file : "fleet.yaml";
    Conf *conf CLEANUP(conf_freep) = NULL; // says every problem
    int r = context_load(file, &conf, reterr);
    push->report.file = file;
    return r < 0 ? r : push_file_load(file, &push->new, reterr);
}

int push_show_change(Push *push, Error *reterr)
{
    Buf text CLEANUP(buf_done) = BUF_INIT(16U << 20);
    int r = conf_diff(push->accepted.conf, push->new.conf, &text);
    if (r == 0)
        r = push_rules_restart(buf_text(&text), &push->restart);
    if (r < 0)
        return error_wrap(reterr, r, "compare");
    push->report.restart = buf_text(&push->restart);
    if (push->restart.len > 0) {
        (void)fprintf(push->out, "%s", buf_text(&push->restart));
        return refuse(push, reterr, "this change needs a restart of the fleet",
                      "'wildcam down', then 'wildcam up --fleet FILE'; or push the rest alone.");
    }
    const Model *old = &push->accepted.conf->model, *new = &push->new.conf->model;
    (void)fprintf(push->out, "%s", text.len > 0 ? buf_text(&text) : "comments and layout only\n");
    if (new->generation <= old->generation)
        (void)fprintf(stderr,
                      "note: fleet.generation is %u, and %u runs: raise it, or 'status' shows no "
                      "difference\n",
                      new->generation, old->generation);
    return plan_effects_print(old, new, push->out, reterr);
}

// A push needs every region: one that is away would come back with the old file.
int push_check_health(Push *push, Error *reterr)
{
    static char text[256];
    int r = push_look(&push->context, push->looks.first, reterr);
    json_t *view = r < 0 ? NULL : fleet_view_merge(push->context.conf, push->looks.first);
    if (r == 0 && view == NULL)
        r = error_set(reterr, ERROR_MEMORY, "push");
    for (uint32_t i = 0; r == 0 && i < push_n_regions(push); i++) {
        char why[160];
        if (fleet_view_healthy(view, i, why, sizeof why))
            continue;
        (void)snprintf(text, sizeof text, "%s is not healthy: %s", push_name(push, i), why);
        r = refuse(push, reterr, text, "A push needs every region; 'wildcam status' shows more.");
    }
    json_decref(view);
    return r;
}

void push_make_order(Push *push)
{
    uint32_t n = push_n_regions(push), k = 0;
    uint64_t loads[BOUND_REGIONS] = {0};
    uint32_t order[BOUND_REGIONS] = {0};
    for (uint32_t i = 0; i < n; i++) {
        size_t g;
        const json_t *item;
        json_array_foreach(json_object_get(push->looks.first[i].body, "gateways"), g, item)
        {
            const char *region = json_string_value(json_object_get(item, "region"));
            if (region != NULL && strcmp(region, push_name(push, i)) == 0)
                loads[i] = (uint64_t)json_integer_value(json_object_get(item, "load_rps"));
        }
    }
    push_order(&push->context.conf->model, loads, push->first, order);
    for (uint32_t i = 0; i < n; i++) // those of a push that goes on come first
        if (push->staged[order[i]])
            push->order[k++] = order[i];
    for (uint32_t i = 0; i < n; i++)
        if (!push->staged[order[i]] && (push->first < 0 || order[i] == (uint32_t)push->first))
            push->order[k++] = order[i];
    push->n_order = k;
}

int push_ask(Push *push, Error *reterr)
{
    (void)fprintf(push->out,
                  "\nOrder, each watched for %lld s:", (long long)(push->watch_ns / NS_PER_S));
    for (uint32_t i = 0; i < push->n_order; i++)
        (void)fprintf(push->out, " %s", push_name(push, push->order[i]));
    (void)fprintf(push->out, "\n");
    if (tell_agreed(push->options->yes))
        return 0;
    push->report.result = "refused";
    push->report.reason = "nobody agreed";
    return error_hint(reterr, error_set(reterr, ERROR_USAGE, "not done"),
                      "Without a terminal say --yes.");
}
