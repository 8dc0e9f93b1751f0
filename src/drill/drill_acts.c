// SPDX-License-Identifier: MIT
// drill_acts: wishes on each side of a cut, and configurations; the upgrade is in drill_upgrade.c.
#include "drill_acts.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "agents_ask.h"
#include "clock.h"
#include "drill_state.h"
#include "files.h"
#include "fleet_edit.h"
#include "layout.h"
#include "owned.h"

#define PUSH_NS (300 * NS_PER_S)
#define CONFIG_MAX ((size_t)4 << 20)
#define LOAD_OF_CAPACITY_PPM 800000 // offered by the cameras, of the whole fleet's capacity

// --- wishes: addresses that no client has (RFC 2544), so that they change nothing but themselves
#define OWN_PREFIX "prefix:198.18.%u.0/24"
#define SHARED_PREFIX "prefix:198.18.255.0/24"

static int wish_one(Drill *drill, uint64_t side, const char *target)
{
    uint32_t first = 0;
    while (first + 1 < drill->model->n_regions && (side >> first & 1) == 0)
        first++;
    Buf body CLEANUP(buf_done) = BUF_INIT(1024);
    buf_printf(&body,
               "{\"kind\":\"pin\",\"target\":\"%s\",\"region\":\"%s\",\"author\":\"drill\","
               "\"reason\":\"drill %s\",\"expires_s\":3600}",
               target, drill->model->regions[first].name, drill->report->name);
    int r = undo_add(drill->undo, drill->reterr,
                     "wish {\"kind\":\"release\",\"target\":\"%s\",\"author\":\"drill\","
                     "\"reason\":\"end of drill %s\"}",
                     target, drill->report->name);
    if (r < 0)
        return r;
    return agents_wish(drill->options->dir, drill->model, side, buf_text(&body), drill->reterr);
}

static int wish_side(Drill *drill, uint64_t side, uint32_t number)
{
    char target[64];
    (void)snprintf(target, sizeof target, OWN_PREFIX, number);
    int r = wish_one(drill, side, target);
    return r < 0 ? r : wish_one(drill, side, SHARED_PREFIX);
}

int act_wish(Drill *drill)
{
    int r = 0;
    uint32_t n = 0;
    if (drill->options->regions != 0) {
        if ((r = wish_side(drill, drill_side(drill, SIDE_TARGET), n++)) == 0)
            r = wish_side(drill, drill_side(drill, SIDE_REST), n++);
    } else {
        for (uint32_t i = 0; r == 0 && i < drill->model->n_clouds; i++)
            r = wish_side(drill, drill_cloud(drill, i), n++);
    }
    drill->n_wishes = n + 1;
    return r;
}

// --- configurations ---

// DIR/drills/config-RUN/, removed at the end.
static int make_folder(Drill *drill)
{
    (void)snprintf(drill->folder, sizeof drill->folder, "drills/config-%016" PRIx64, random_u64());
    int r = undo_add(drill->undo, drill->reterr, "remove %s", drill->folder);
    return r < 0 ? r : owned_make_dir(drill->options->dir, drill->folder, drill->reterr);
}

static int write_config(Drill *drill, const char *name, const Buf *text, LayoutPath *ret_name)
{
    int r = buf_check(text);
    if (r < 0)
        return error_set(drill->reterr, r, "configuration: out of memory");
    (void)snprintf(ret_name->text, sizeof ret_name->text, "%.900s/%s", drill->folder, name);
    return owned_replace(drill->options->dir, ret_name->text, text->data, text->len, drill->reterr);
}

// The running configuration with other values; `capacity` NULL: as it is.
static int edit_config(Drill *drill, const char *capacity, const char *peak, const char *name,
                       LayoutPath *ret_path)
{
    char *old CLEANUP(free_textp) = NULL, generation[16];
    size_t len;
    int r = owned_read(drill->options->dir, "fleet.yaml", CONFIG_MAX, &old, &len, drill->reterr);
    if (r < 0)
        return r;
    Buf one CLEANUP(buf_done) = BUF_INIT(0), two CLEANUP(buf_done) = BUF_INIT(0),
            three CLEANUP(buf_done) = BUF_INIT(0);
    (void)snprintf(generation, sizeof generation, "%" PRIu32,
                   drill->model->generation + (capacity != NULL));
    uint32_t found = fleet_edit(old, "generation", generation, &one);
    if (capacity == NULL)
        return write_config(drill, name, &one, ret_path);
    bool all = fleet_edit(buf_text(&one), "capacity", capacity, &two) == drill->model->n_regions;
    all &= fleet_edit(buf_text(&two), "peak_load", peak, &three) == 1 && found == 1;
    if (!all) {
        r = error_set(drill->reterr, ERROR_FORMAT,
                      "%s: generation, peak_load and each capacity must stand on lines of their "
                      "own",
                      drill->options->fleet);
        return r;
    }
    return write_config(drill, name, &three, ret_path);
}

static int push(Drill *drill, const char *file, const char *region, int *ret_code, Buf *ret_output)
{
    const char *arguments[] = {"config", "push",   file,       "--dir", drill->options->dir,
                               "--yes",  "--json", "--region", region,  NULL};
    int r = drill_wildcam(drill, arguments, PUSH_NS, ret_code, ret_output);
    return r < 0 ? error_wrap(drill->reterr, r, "wildcam config push") : 0;
}

int act_lower_capacity(Drill *drill)
{
    const char *given = drill->options->rate;
    uint64_t rate = given != NULL ? strtoull(given, NULL, 10)
                                  : drill->options->conf->drills.requests_per_second;
    uint64_t capacity = rate * PPM_ONE / LOAD_OF_CAPACITY_PPM / drill->model->n_regions;
    char capacity_text[24], peak_text[24];
    LayoutPath lowered, original;
    drill->capacity_rps = capacity > 0 ? (uint32_t)capacity : 1;
    (void)snprintf(capacity_text, sizeof capacity_text, "%" PRIu32, drill->capacity_rps);
    (void)snprintf(peak_text, sizeof peak_text, "%" PRIu64, rate > 0 ? rate : 1);
    int r = make_folder(drill);
    if (r < 0 || (r = edit_config(drill, NULL, NULL, "before.yaml", &original)) < 0 ||
        (r = edit_config(drill, capacity_text, peak_text, "lowered.yaml", &lowered)) < 0 ||
        (r = undo_add(drill->undo, drill->reterr, "config %s", original.text)) < 0)
        return r;
    drill_say("lowering each region's capacity to %s requests/s", capacity_text);
    return undo_give_config(drill->options->dir, drill->model, drill->options->ask, lowered.text,
                            drill->reterr);
}

// One request per second is the most that a region can carry, it says: correct, and a disaster.
int act_push_bad(Drill *drill)
{
    LayoutPath bad;
    int r = make_folder(drill);
    if (r < 0 || (r = edit_config(drill, "1", "1", "bad.yaml", &bad)) < 0)
        return r;
    const char *region = "";
    for (uint32_t i = 0; i < drill->model->n_regions; i++)
        region = drill_is_target(drill, i) ? drill->model->regions[i].name : region;
    Buf output CLEANUP(buf_done) = BUF_INIT(0);
    int code;
    Mono begun = clock_mono();
    if ((r = undo_add(drill->undo, drill->reterr, "back")) < 0 ||
        (r = push(drill, layout_dir(drill->options->dir, bad.text).text, region, &code, &output)) <
            0 ||
        (r = undo_forget(drill->undo, 1, drill->reterr)) < 0)
        return r;
    json_t *root = json_loads(buf_text(&output), 0, NULL);
    const char *result = json_string_value(json_object_get(root, "result"));
    bool back = result != NULL && strcmp(result, "back") == 0;
    drill->report->config_back_ms =
        back ? (double)mono_since(clock_mono(), begun) / 1e6 : FIGURE_NEVER;
    drill_say("the push ended with '%s'", result != NULL ? result : "nothing of use");
    if (result != NULL && strcmp(result, "staged") == 0) // it is still there: take it back by hand
        r = undo_add(drill->undo, drill->reterr, "back");
    json_decref(root);
    return r;
}
