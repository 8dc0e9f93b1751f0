// SPDX-License-Identifier: MIT
// config: check fleet.yaml as a whole; say what a change would do, before anything is told of it;
// push it to a running fleet, region by region (push.h).
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "buf.h"
#include "cli.h"
#include "conf_diff.h"
#include "context.h"
#include "files.h"
#include "plan_effects.h"
#include "push_verb.h"

static int print_check(const char *file, const Conf *conf, const ConfProblems *problems,
                       Error *reterr)
{
    json_t *list = json_array(), *root;
    for (size_t i = 0; i < problems->n; i++) {
        const ConfProblem *problem = &problems->items[i];
        (void)json_array_append_new(list, json_pack("{s:i,s:i,s:b,s:s}", "line", (int)problem->line,
                                                    "column", (int)problem->column, "warning",
                                                    (int)problem->warning, "text", problem->text));
    }
    char hash[17];
    const Model *model = conf != NULL ? &conf->model : NULL;
    (void)snprintf(hash, sizeof hash, "%016" PRIx64, model != NULL ? model->config_hash : 0);
    root = json_pack("{s:s,s:b,s:o}", "file", file, "good", model != NULL, "problems", list);
    const struct {
        const char *key;
        uint32_t value;
    } counts[] = {
        {"generation", model != NULL ? model->generation : 0},
        {"clouds", model != NULL ? model->n_clouds : 0},
        {"regions", model != NULL ? model->n_regions : 0},
        {"services", model != NULL ? model->n_services : 0},
        {"client_groups", model != NULL ? model->n_groups : 0},
    };
    (void)json_object_set_new(root, "config_hash", model != NULL ? json_string(hash) : json_null());
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
        (void)json_object_set_new(root, counts[i].key,
                                  model != NULL ? json_integer(counts[i].value) : json_null());
    int r = root != NULL ? 0 : error_set(reterr, ERROR_MEMORY, "config check");
    if (r == 0)
        (void)(json_dumpf(root, stdout, JSON_INDENT(2)) == 0 && printf("\n") > 0);
    json_decref(root);
    return r;
}

static int check(const char *file, bool json, Error *reterr)
{
    Conf *conf CLEANUP(conf_freep) = NULL;
    ConfProblems problems = {0};
    int r = context_load_with(file, &conf, &problems, reterr);
    if (json) {
        int printed = print_check(file, r == 0 ? conf : NULL, &problems, r == 0 ? reterr : NULL);
        r = r < 0 ? r : printed;
    } else if (r == 0) {
        (void)printf("%s: good: %u clouds, %u regions, %u services, %u client groups, "
                     "generation %u\n",
                     file, conf->model.n_clouds, conf->model.n_regions, conf->model.n_services,
                     conf->model.n_groups, conf->model.generation);
    }
    conf_problems_done(&problems);
    return r;
}

// From what runs (DIR/fleet.yaml) to FILE, or from `from` to FILE.
static int diff(const char *from, const char *to, Error *reterr)
{
    Conf *old CLEANUP(conf_freep) = NULL, *new CLEANUP(conf_freep) = NULL;
    int r = context_load(from, &old, reterr);
    if (r == 0)
        r = context_load(to, &new, reterr);
    if (r < 0)
        return r;
    Buf text CLEANUP(buf_done) = BUF_INIT(16U << 20);
    r = conf_diff(old, new, &text);
    if (r < 0)
        return error_wrap(reterr, r, "compare");
    if (text.len == 0) {
        (void)printf("no difference\n");
        return 0;
    }
    (void)printf("%s", buf_text(&text));
    return plan_effects_print(&old->model, &new->model, stdout, reterr);
}

static int diff_with(const char *dir, const char *from, const char *file, Error *reterr)
{
    LayoutPath path, running;
    int r = layout_absolute(dir != NULL ? dir : "run", &path, reterr);
    if (r < 0)
        return r;
    running = layout_dir(path.text, "fleet.yaml");
    if (from == NULL && !files_exist(running.text)) {
        r = error_set(reterr, ERROR_NOT_FOUND, "no fleet in '%s' to compare with", path.text);
        return error_hint(reterr, r, "Give another file by --from.");
    }
    return diff(from != NULL ? from : running.text, file, reterr);
}

// An option that the action does not know is a mistake, not a wish.
static int check_options(const char *action, const char *from, bool json, const PushOptions *push,
                         Error *reterr)
{
    bool pushes = strcmp(action, "push") == 0;
    const struct {
        bool given, allowed;
        const char *option, *owner;
    } rows[] = {
        {from != NULL, strcmp(action, "diff") == 0, "from", "diff"},
        {json, strcmp(action, "diff") != 0, "json", "check' and 'config push"},
        {push->region != NULL, pushes, "region", "push"},
        {push->watch != NULL, pushes, "watch", "push"},
        {push->yes, pushes, "yes", "push"},
        {push->go_on, pushes, "continue", "push"},
        {push->back, pushes, "back", "push"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].given && !rows[i].allowed)
            return error_set(reterr, ERROR_USAGE, "option '--%s' belongs to 'config %s'",
                             rows[i].option, rows[i].owner);
    if (push->go_on && push->back)
        return error_set(reterr, ERROR_USAGE, "'--continue' or '--back', not both");
    if ((push->go_on || push->back) && push->file != NULL)
        return error_set(reterr, ERROR_USAGE,
                         "'--%s' takes no file: it is about the push on its way",
                         push->go_on ? "continue" : "back");
    if (push->back && push->region != NULL)
        return error_set(reterr, ERROR_USAGE, "'--back' is about every region that got the file");
    return 0;
}

int verb_config(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *from = NULL;
    PushOptions push = {0};
    const Option options[] = {
        {"dir", "DIR", "folder of the running fleet (default ./run)", &push.dir, NULL},
        {"from", "FILE", "diff: compare with this, not with what runs", &from, NULL},
        {"region", "REGION", "push: this one first, and stop there", &push.region, NULL},
        {"watch", "T", "push: watch each region for so long (15s)", &push.watch, NULL},
        {"yes", NULL, "push: do not ask", NULL, &push.yes},
        {"continue", NULL, "push: go on with what was begun", NULL, &push.go_on},
        {"back", NULL, "push: take back what was begun", NULL, &push.back},
        {"json", NULL, "check, push: for programs", NULL, &push.json},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 1, 2, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    push.file = operands == 2 ? argv[2] : NULL;
    const char *action = argv[1], *file = operands == 2 ? argv[2] : "fleet.yaml";
    bool known =
        strcmp(action, "check") == 0 || strcmp(action, "diff") == 0 || strcmp(action, "push") == 0;
    if (!known)
        return error_set(reterr, ERROR_USAGE, "unknown action '%s'; allowed: check, diff, push",
                         action);
    r = check_options(action, from, push.json, &push, reterr);
    if (r < 0)
        return r;
    if (strcmp(action, "check") == 0)
        return check(file, push.json, reterr);
    return strcmp(action, "diff") == 0 ? diff_with(push.dir, from, file, reterr)
                                       : push_run(&push, reterr);
}
