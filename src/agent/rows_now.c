// SPDX-License-Identifier: MIT
// rows_now: see rows_now.h.
#include "rows_now.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "clock.h"
#include "files.h"
#include "layout.h"

#define STALE_MS 10000
#define FILE_BYTES 65536

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "?";
}

// The first alarm with its text, and how many there are besides.
static void take_alarms(const json_t *alarms, RowsNow *now)
{
    size_t n = json_array_size(alarms);
    const json_t *first = json_array_get(alarms, 0);
    char more[40] = "";
    if (n > 1)
        (void)snprintf(more, sizeof more, " (and %zu more)", n - 1);
    if (n > 0)
        (void)snprintf(now->alarm, sizeof now->alarm, "%.40s: %.170s%s", text_of(first, "name"),
                       text_of(first, "text"), more);
}

void rows_now_parse(const char *bytes, int64_t now_ms, RowsNow *ret_now)
{
    *ret_now = (RowsNow){.known = false};
    json_t *json = json_loads(bytes, 0, NULL);
    const json_t *at = json_object_get(json, "at_ms"), *rpo = json_object_get(json, "rpo_ms");
    if (!json_is_integer(at)) {
        (void)snprintf(ret_now->alarm, sizeof ret_now->alarm, "rows.now cannot be read");
    } else if (now_ms - json_integer_value(at) > STALE_MS) {
        (void)snprintf(ret_now->alarm, sizeof ret_now->alarm,
                       "daemon: wildcam-rows has said nothing for %lld s",
                       (long long)((now_ms - json_integer_value(at)) / 1000));
    } else {
        ret_now->known = json_is_integer(rpo);
        ret_now->rpo_ms = json_integer_value(rpo);
        take_alarms(json_object_get(json, "alarms"), ret_now);
    }
    json_decref(json);
}

void rows_now_read(const char *dir, const char *region, RowsNow *ret_now)
{
    const LayoutPath path = layout_region(dir, region, "rows.now");
    char *bytes CLEANUP(free_textp) = NULL;
    size_t len = 0;
    *ret_now = (RowsNow){.known = false};
    if (files_exist(path.text) && files_read(path.text, FILE_BYTES, &bytes, &len, NULL) >= 0)
        rows_now_parse(bytes, clock_wall().ns / NS_PER_MS, ret_now);
}
