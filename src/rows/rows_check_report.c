// SPDX-License-Identifier: MIT
// rows_check_report: what came of a check, as JSON; the text for people is made of that JSON, so an
// interrupted run's part, which is kept in DIR/rows/check.json, is shown like the rest.
#include "rows_check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "files.h"
#include "layout.h"
#include "lww.h"
#include "tell.h"

#define SHOWN 20 // differences told to people
#define STATE_BYTES (256U << 20)

static json_t *hex(uint64_t value)
{
    char text[20];
    (void)snprintf(text, sizeof text, "%016" PRIx64, value);
    return json_string(text);
}

static json_t *text_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static const char *region_of(const Check *check, uint32_t origin)
{
    for (uint32_t i = 0; i < check->mesh->n; i++)
        if (check->mesh->nodes[i].origin == origin)
            return check->mesh->nodes[i].region;
    return NULL;
}

static json_t *copy_json(const Check *check, const CheckDifference *difference, uint32_t i)
{
    const CheckCopy *copy = &difference->copy[i];
    bool insert_only = check->tables[difference->table].kind == TABLE_KIND_INSERT_ONLY;
    const char *state = !copy->read                             ? "unknown"
                        : copy->visible                         ? "visible"
                        : copy->parked                          ? "parked"
                        : copy->tombstone_v != CHECK_NO_VERSION ? "deleted"
                                                                : "none";
    int64_t v = copy->read ? check_copy_version(copy) : CHECK_NO_VERSION;
    bool row = copy->read && (copy->visible || copy->parked);
    if (copy->read && copy->visible)
        v = copy->v;
    json_t *json = json_pack("{s:s,s:s,s:b}", "region", check->mesh->nodes[i].region, "state",
                             state, "wrong", (int)(difference->wrong >> i & 1));
    (void)json_object_set_new(
        json, "version", v > CHECK_NO_VERSION && !insert_only ? hex((uint64_t)v) : json_null());
    (void)json_object_set_new(
        json, "content", row ? hex(copy->visible ? copy->hash : copy->parked_hash) : json_null());
    return json;
}

static json_t *difference_json(const Check *check, const CheckDifference *difference)
{
    const CheckTable *table = &check->tables[difference->table];
    bool insert_only = table->kind == TABLE_KIND_INSERT_ONLY;
    bool known = difference->target > 0;
    uint32_t origin = !known        ? 0
                      : insert_only ? (uint32_t)difference->target
                                    : lww_stamp_origin(difference->target);
    char *key = check_key_text(difference->key), when[CLOCK_TEXT_MAX];
    json_t *copies = json_array();
    for (uint32_t i = 0; difference->verdict != CHECK_ORPHAN && i < check->mesh->n; i++)
        (void)json_array_append_new(copies, copy_json(check, difference, i));
    json_t *json =
        json_pack("{s:s,s:s,s:s,s:o}", "table", table->name, "key", key != NULL ? key : "",
                  "verdict", check_verdict_name(difference->verdict), "copies", copies);
    free(key);
    bool stamped = known && !insert_only;
    (void)json_object_set_new(json, "version",
                              stamped ? hex((uint64_t)difference->target) : json_null());
    (void)json_object_set_new(json, "origin", known ? json_integer(origin) : json_null());
    (void)json_object_set_new(json, "region",
                              text_or_null(known ? region_of(check, origin) : NULL));
    (void)json_object_set_new(
        json, "written",
        stamped ? json_string(clock_format(lww_stamp_wall(difference->target), when))
                : json_null());
    (void)json_object_set_new(json, "detail", text_or_null(difference->detail));
    return json;
}

static json_t *table_json(const CheckTable *table)
{
    const CheckCounts *counts = &table->counts;
    json_t *json = json_pack(
        "{s:s,s:i,s:s,s:b,s:b,s:s}", "table", table->name, "number", (int)table->number, "kind",
        table->kind == TABLE_KIND_LWW ? "lww" : "insert-only", "complete", (int)counts->complete,
        "from_before", (int)counts->from_before, "left_out", table->left_out);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"rows", counts->rows},
        {"tombstones", counts->tombstones},
        {"parked", counts->parked},
        {"ranges", counts->ranges},
        {"suspects", counts->suspects},
        {"in_flight", counts->in_flight},
        {"more", counts->more},
        {"differences", counts->differences},
        {"duration_ms", (uint64_t)(counts->duration_ns / NS_PER_MS)},
        {"scan_ms", (uint64_t)(counts->scan_ns / NS_PER_MS)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        (void)json_object_set_new(json, numbers[i].name,
                                  json_integer((json_int_t)numbers[i].value));
    return json;
}

json_t *check_json(const Check *check)
{
    char started[CLOCK_TEXT_MAX];
    json_t *regions = json_array(), *tables = json_array();
    json_t *differences = check->before != NULL ? json_copy(check->before) : json_array();
    bool complete = true;
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        json_t *region =
            json_pack("{s:s,s:i,s:b}", "region", check->mesh->nodes[i].region, "origin",
                      (int)check->mesh->nodes[i].origin, "compared", (int)check_has(check, i));
        (void)json_object_set_new(region, "why", text_or_null(check->why_not[i]));
        (void)json_array_append_new(regions, region);
    }
    for (uint32_t i = 0; i < check->n_tables; i++) {
        complete &= check->tables[i].counts.complete;
        (void)json_array_append_new(tables, table_json(&check->tables[i]));
    }
    for (size_t i = 0; i < check->n_differences; i++)
        (void)json_array_append_new(differences, difference_json(check, &check->differences[i]));
    Wall wall = {check->wall_us * NS_PER_US};
    return json_pack(
        "{s:s,s:I,s:b,s:o,s:o,s:o}", "started", clock_format(wall, started), "duration_ms",
        (json_int_t)(mono_since(clock_mono(), check->began) / NS_PER_MS), "complete", (int)complete,
        "regions", regions, "tables", tables, "differences", differences);
}

// -- for people --

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static long long number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

void check_print_difference(const json_t *difference, FILE *out)
{
    size_t i;
    const json_t *copy;
    tell_line(out, "%s%s%s  %s  %s", tell_begin(out, TELL_RED), text_of(difference, "verdict"),
              tell_end(out, TELL_RED), text_of(difference, "table"), text_of(difference, "key"));
    if (text_of(difference, "written")[0] != '\0')
        tell_line(out, "    newest: written at %s in %s, version %s",
                  text_of(difference, "written"),
                  text_of(difference, "region")[0] != '\0' ? text_of(difference, "region")
                                                           : "a region that has left",
                  text_of(difference, "version"));
    if (text_of(difference, "detail")[0] != '\0')
        tell_line(out, "    refers to %s", text_of(difference, "detail"));
    json_array_foreach(json_object_get(difference, "copies"), i, copy)
    {
        bool wrong = json_is_true(json_object_get(copy, "wrong"));
        tell_line(out, "    %s%-16s %-8s %-16s  %-16s%s%s", wrong ? tell_begin(out, TELL_RED) : "",
                  text_of(copy, "region"), text_of(copy, "state"), text_of(copy, "version"),
                  text_of(copy, "content"), wrong ? "  <-" : "",
                  wrong ? tell_end(out, TELL_RED) : "");
    }
}

static void print_tables(const json_t *report, FILE *out)
{
    static const char *const HEADS[] = {"TABLE",     "KIND",        "ROWS",   "RANGES", "SUSPECT",
                                        "IN FLIGHT", "DIFFERENCES", "ROWS/S", "TIME"};
    TellTable table = tell_table(HEADS, ARRAY_SIZE(HEADS));
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(report, "tables"), i, one)
    {
        char time[TELL_DURATION_MAX];
        bool complete = json_is_true(json_object_get(one, "complete"));
        long long scan = number_of(one, "scan_ms"), differences = number_of(one, "differences");
        tell_cell(&table, TELL_PLAIN, "%s", text_of(one, "table"));
        tell_cell(&table, TELL_PLAIN, "%s", text_of(one, "kind"));
        tell_cell(&table, TELL_PLAIN, "%lld", number_of(one, "rows"));
        tell_cell(&table, TELL_PLAIN, "%lld", number_of(one, "ranges"));
        tell_cell(&table, TELL_PLAIN, "%lld", number_of(one, "suspects"));
        tell_cell(&table, TELL_PLAIN, "%lld", number_of(one, "in_flight"));
        tell_cell(&table,
                  differences > 0 ? TELL_RED
                  : complete      ? TELL_GREEN
                                  : TELL_YELLOW,
                  "%lld%s%s", differences, number_of(one, "more") > 0 ? " and more" : "",
                  complete ? "" : " (not finished)");
        tell_cell(&table, TELL_PLAIN, "%lld",
                  scan > 0 ? number_of(one, "rows") * 1000 / scan : number_of(one, "rows"));
        tell_cell(&table, TELL_PLAIN, "%s",
                  json_is_true(json_object_get(one, "from_before"))
                      ? "before"
                      : tell_duration(number_of(one, "duration_ms"), time));
    }
    tell_table_print(&table, out);
}

void check_print(const json_t *report, FILE *out)
{
    size_t i;
    const json_t *one;
    print_tables(report, out);
    json_array_foreach(json_object_get(report, "tables"), i, one)
    {
        if (text_of(one, "left_out")[0] != '\0')
            tell_line(out, "%s: not compared, because not the same in all regions: %s",
                      text_of(one, "table"), text_of(one, "left_out"));
    }
    json_array_foreach(json_object_get(report, "regions"), i, one)
    {
        if (!json_is_true(json_object_get(one, "compared")))
            tell_line(out, "%s%s was not compared: %s%s", tell_begin(out, TELL_YELLOW),
                      text_of(one, "region"), text_of(one, "why"), tell_end(out, TELL_YELLOW));
    }
    const json_t *differences = json_object_get(report, "differences");
    json_array_foreach(differences, i, one)
    {
        if (i < SHOWN)
            check_print_difference(one, out);
    }
    if (json_array_size(differences) > SHOWN)
        (void)fprintf(out, "... and %zu more: --json lists all\n",
                      json_array_size(differences) - SHOWN);
}

static bool line_open;
static Mono line_at;

void check_progress(Check *check)
{
    bool terminal = isatty(STDERR_FILENO) == 1;
    Mono now = clock_mono();
    if (check->now == NULL || mono_since(now, line_at) < (terminal ? 1 : 50) * NS_PER_S / 5)
        return;
    if (line_at.ns == 0 && !terminal) { // a short run needs no line
        line_at = now;
        return;
    }
    line_at = now;
    double seconds = (double)mono_since(now, check->table_began) / (double)NS_PER_S;
    double rate = seconds > 0 ? (double)check->done_rows / seconds : 0;
    double left = check->all_rows > check->done_rows && rate > 0
                      ? (double)(check->all_rows - check->done_rows) / rate
                      : 0;
    double share = check->all_rows > 0 ? (double)check->done_rows / (double)check->all_rows : 0;
    char text[TELL_DURATION_MAX];
    (void)fprintf(stderr,
                  "%s%s: %s, %" PRIu64 " of about %" PRIu64 " rows (%.0f %%), %.0f rows/s, "
                  "%s left%s",
                  terminal ? "\r\033[K" : "", check->now->name, check->step, check->done_rows,
                  check->all_rows, share > 1 ? 100 : share * 100, rate,
                  tell_duration((int64_t)(left * 1000), text), terminal ? "" : "\n");
    line_open = terminal;
}

void check_progress_end(void)
{
    if (line_open)
        (void)fprintf(stderr, "\r\033[K");
    line_open = false;
}

// -- DIR/rows/check.json --

int check_state_write(const Check *check, const char *dir, Error *reterr)
{
    LayoutPath folder = layout_dir(dir, "rows"), path = layout_dir(dir, "rows/check.json");
    int r = files_make_dirs(folder.text, 0755, reterr);
    if (r < 0)
        return r;
    json_t *report = check_json(check);
    char *text = report != NULL ? json_dumps(report, JSON_COMPACT) : NULL;
    json_decref(report);
    r = text != NULL ? files_replace(path.text, text, strlen(text), NULL, reterr)
                     : error_set(reterr, ERROR_MEMORY, "no memory for the state");
    free(text);
    return r;
}

static void take_before(Check *check, CheckTable *table, const json_t *one)
{
    CheckCounts *counts = &table->counts;
    *counts = (CheckCounts){.rows = (uint64_t)number_of(one, "rows"),
                            .tombstones = (uint64_t)number_of(one, "tombstones"),
                            .parked = (uint64_t)number_of(one, "parked"),
                            .ranges = (uint64_t)number_of(one, "ranges"),
                            .suspects = (uint64_t)number_of(one, "suspects"),
                            .in_flight = (uint64_t)number_of(one, "in_flight"),
                            .more = (uint64_t)number_of(one, "more"),
                            .differences = (uint64_t)number_of(one, "differences"),
                            .duration_ns = number_of(one, "duration_ms") * NS_PER_MS,
                            .scan_ns = number_of(one, "scan_ms") * NS_PER_MS,
                            .complete = true,
                            .from_before = true};
}

int check_state_read(Check *check, const char *dir, Error *reterr)
{
    LayoutPath path = layout_dir(dir, "rows/check.json");
    char *text CLEANUP(free_textp) = NULL;
    size_t len, i;
    if (!files_exist(path.text)) {
        int r = error_set(reterr, ERROR_NOT_FOUND, "no interrupted check in '%s'", dir);
        return error_hint(reterr, r, "Without --resume a check starts from the beginning.");
    }
    int r = files_read(path.text, STATE_BYTES, &text, &len, reterr);
    if (r < 0)
        return r;
    json_t *state = json_loadb(text, len, 0, NULL);
    const json_t *one;
    check->before = json_array();
    json_array_foreach(json_object_get(state, "tables"), i, one)
    {
        for (uint32_t t = 0; t < check->n_tables; t++)
            if (strcmp(check->tables[t].name, text_of(one, "table")) == 0 &&
                (uint32_t)number_of(one, "number") == check->tables[t].number &&
                json_is_true(json_object_get(one, "complete")))
                take_before(check, &check->tables[t], one);
    }
    json_array_foreach(json_object_get(state, "differences"), i, one)
    {
        for (uint32_t t = 0; t < check->n_tables; t++)
            if (check->tables[t].counts.from_before &&
                strcmp(check->tables[t].name, text_of(one, "table")) == 0)
                (void)json_array_append(check->before, (json_t *)one);
    }
    r = state != NULL ? 0 : error_set(reterr, ERROR_FORMAT, "%s: not JSON", path.text);
    json_decref(state);
    return r;
}

void check_state_remove(const char *dir)
{
    (void)unlink(layout_dir(dir, "rows/check.json").text);
}
