// SPDX-License-Identifier: MIT
// control_answer: see control_answer.h.
#include "control_answer.h"

#include <limits.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

int control_answer_read(const char *answer, json_t **ret_root, Error *reterr)
{
    json_t *root = json_loads(answer, 0, NULL);
    int r = 0;
    if (!json_is_true(json_object_get(root, "ok"))) {
        const char *why = text_of(root, "error"), *hint = text_of(root, "hint");
        bool failed = json_is_true(json_object_get(root, "failed"));
        r = why[0] == '\0' ? error_set(reterr, ERROR_FORMAT, "malformed answer of the supervisor")
                           : error_set(reterr, failed ? ERROR_UNAVAILABLE : ERROR_USAGE, "%s", why);
        if (hint[0] != '\0')
            r = error_hint(reterr, r, "%s", hint);
    }
    if (r == 0 && ret_root != NULL)
        *ret_root = json_incref(root);
    json_decref(root);
    return r;
}

static const json_t *find_named(const json_t *list, const char *key, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *text = json_string_value(json_object_get(item, key));
        if (text != NULL && strcmp(text, name) == 0)
            return item;
    }
    return NULL;
}

const json_t *control_status_region(const json_t *status, const char *region)
{
    return find_named(json_object_get(status, "regions"), "region", region);
}

const json_t *control_status_program(const json_t *status, const char *region, const char *program)
{
    return find_named(json_object_get(control_status_region(status, region), "programs"), "name",
                      program);
}

const char *control_status_state(const json_t *item)
{
    return text_of(item, "state");
}

int control_status_pid(const json_t *item, const char *key)
{
    json_int_t pid = json_integer_value(json_object_get(item, key));
    return pid > 0 && pid <= INT_MAX ? (int)pid : 0;
}
