// SPDX-License-Identifier: MIT
// config: check fleet.yaml as a whole; say what a change would do, before anything is told of it.
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "cli.h"
#include "conf_diff.h"
#include "context.h"
#include "files.h"
#include "plan_effects.h"

static int check(const char *file, Error *reterr)
{
    Conf *conf CLEANUP(conf_freep) = NULL;
    int r = context_load(file, &conf, reterr);
    if (r == 0)
        (void)printf("%s: good: %u clouds, %u regions, %u services, %u client groups, "
                     "generation %u\n",
                     file, conf->model.n_clouds, conf->model.n_regions, conf->model.n_services,
                     conf->model.n_groups, conf->model.generation);
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

int verb_config(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL, *from = NULL;
    const Option options[] = {
        {"dir", "DIR", "folder of the running fleet (default ./run)", &dir, NULL},
        {"from", "FILE", "diff: compare with this, not with what runs", &from, NULL},
    };
    int operands,
        r = cli_options(verb, options, ARRAY_SIZE(options), argc, argv, &operands, reterr);
    if (r == 0)
        r = cli_operands(verb, operands, 1, 2, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    const char *file = operands == 2 ? argv[2] : "fleet.yaml";
    if (strcmp(argv[1], "check") == 0)
        return check(file, reterr);
    if (strcmp(argv[1], "diff") != 0)
        return error_set(reterr, ERROR_USAGE, "unknown action '%s'; allowed: check, diff", argv[1]);
    LayoutPath path, running;
    r = layout_absolute(dir != NULL ? dir : "run", &path, reterr);
    if (r < 0)
        return r;
    running = layout_dir(path.text, "fleet.yaml");
    if (from == NULL && !files_exist(running.text)) {
        r = error_set(reterr, ERROR_NOT_FOUND, "no fleet in '%s' to compare with", path.text);
        return error_hint(reterr, r, "Give another file by --from.");
    }
    return diff(from != NULL ? from : running.text, file, reterr);
}
