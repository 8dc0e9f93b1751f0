// SPDX-License-Identifier: MIT
// context: the state folder and the configuration that a verb works with. `up` keeps its fleet.yaml
// in DIR; the other verbs take it from there.
#pragma once
#include <jansson.h>

#include "conf.h"
#include "error.h"
#include "layout.h"

typedef struct Context {
    LayoutPath dir; // absolute
    Conf *conf;
} Context;

// `dir` NULL: ./run. ERROR_NOT_FOUND with a hint when DIR has no fleet.
int context_open(const char *dir, Context *ret_context, Error *reterr) MUST_CHECK;
void context_done(Context *context);
// Reads FILE and prints every problem and warning, one a line, to stderr; the error is then short.
int context_load(const char *file, Conf **ret_conf, Error *reterr) MUST_CHECK;
// The same, with the problems given back as well (ret_problems not NULL).
int context_load_with(const char *file, Conf **ret_conf, ConfProblems *ret_problems,
                      Error *reterr) MUST_CHECK;
// Index of the region, or ERROR_USAGE that lists the names.
int context_region(const Context *context, const char *name, Error *reterr) MUST_CHECK;
// An agent was asked and none answered: ERROR_UNAVAILABLE with a hint.
int context_no_agent(Error *reterr);
// One command to the supervisor of DIR; an answer that is not "ok" is an error with its hint.
// *ret_answer is the answer, or NULL: json_decref.
int context_tell(const char *dir, const char *command, int64_t timeout_ns, json_t **ret_answer,
                 Error *reterr) MUST_CHECK;
// The last line of a log that is not empty, cut to what fits; "" without one.
void context_last_line(const char *path, char *line, size_t size);
// `r` of control_ask: adds a hint when it says that no fleet runs.
int context_running(int r, Error *reterr);
