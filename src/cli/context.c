// SPDX-License-Identifier: MIT
// context: see context.h.
#include "context.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "control.h"
#include "control_answer.h"
#include "files.h"
#include "tell.h"

int context_load(const char *file, Conf **ret_conf, Error *reterr)
{
    ConfProblems problems = {0};
    int r = context_load_with(file, ret_conf, &problems, reterr);
    conf_problems_done(&problems);
    return r;
}

int context_load_with(const char *file, Conf **ret_conf, ConfProblems *ret_problems, Error *reterr)
{
    int r = conf_load(file, ret_conf, ret_problems, reterr);
    size_t errors = 0;
    for (size_t i = 0; i < ret_problems->n; i++) {
        const ConfProblem *problem = &ret_problems->items[i];
        TellColour colour = problem->warning ? TELL_YELLOW : TELL_RED;
        errors += problem->warning ? 0 : 1;
        (void)fprintf(stderr, "%s%s%s%s\n", tell_begin(stderr, colour),
                      problem->warning ? "warning: " : "", problem->text, tell_end(stderr, colour));
    }
    if (r < 0 && errors > 0) {
        r = error_set(reterr, r, "%zu problem%s in '%s'", errors, errors == 1 ? "" : "s", file);
        return error_hint(reterr, r, "docs/fleet-yaml.md describes every key.");
    }
    return r;
}

int context_open(const char *dir, Context *ret_context, Error *reterr)
{
    Context context = {0};
    int r = layout_absolute(dir != NULL ? dir : "run", &context.dir, reterr);
    if (r < 0)
        return r;
    LayoutPath file = layout_dir(context.dir.text, "fleet.yaml");
    if (!files_exist(file.text)) {
        r = error_set(reterr, ERROR_NOT_FOUND, "no fleet in '%s'", context.dir.text);
        return error_hint(reterr, r, "Start one with 'wildcam up', or give its folder by --dir.");
    }
    r = conf_load(file.text, &context.conf, NULL, reterr);
    if (r == 0)
        *ret_context = context;
    return r;
}

void context_done(Context *context)
{
    context->conf = conf_free(context->conf);
}

int context_region(const Context *context, const char *name, Error *reterr)
{
    int region = model_find_region(&context->conf->model, name);
    if (region >= 0)
        return region;
    Buf names CLEANUP(buf_done) = BUF_INIT(65536);
    for (uint32_t i = 0; i < context->conf->model.n_regions; i++)
        buf_printf(&names, "%s%s", i > 0 ? ", " : "", context->conf->model.regions[i].name);
    return error_set(reterr, ERROR_USAGE, "unknown region '%s'; allowed: %s", name,
                     buf_text(&names));
}

int context_no_agent(Error *reterr)
{
    int r = error_set(reterr, ERROR_UNAVAILABLE, "no agent answers");
    return error_hint(reterr, r, "Is the fleet running? 'wildcam up' starts it.");
}

int context_running(int r, Error *reterr)
{
    return r == ERROR_NOT_FOUND ? error_hint(reterr, r, "Start one with 'wildcam up'.") : r;
}

int context_tell(const char *dir, const char *command, int64_t timeout_ns, json_t **ret_answer,
                 Error *reterr)
{
    char *text CLEANUP(alloc_freep) = NULL;
    *ret_answer = NULL;
    int r = context_running(control_ask(dir, command, timeout_ns, &text, reterr), reterr);
    if (r < 0)
        return r;
    r = control_answer_read(text, ret_answer, reterr);
    return r == ERROR_USAGE ? ERROR_CONFLICT : r; // the command was ours, not the user's
}

void context_last_line(const char *path, char *line, size_t size)
{
    char text[1024];
    line[0] = '\0';
    FILE *file = fopen(path, "re");
    if (file != NULL && fseek(file, -(long)sizeof text, SEEK_END) < 0)
        rewind(file);
    while (file != NULL && fgets(text, sizeof text, file) != NULL)
        if (text[0] != '\n')
            (void)snprintf(line, size, "%.*s", (int)size - 1, text);
    if (file != NULL)
        (void)fclose(file);
    line[strcspn(line, "\n")] = '\0';
}
