// SPDX-License-Identifier: MIT
// replay: steps the cores of the regions again with what they were given, and says whether the same
// plans and decisions come out. Works on a copied folder as well as on a running fleet's.
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "alloc.h"
#include "cli.h"
#include "clock.h"
#include "files.h"
#include "layout.h"
#include "replay.h"
#include "tell.h"

#define FOLDERS_MAX 256

typedef struct Folders {
    LayoutPath items[FOLDERS_MAX];
    size_t n;
} Folders;

static int by_text(const void *a, const void *b)
{
    return strcmp(((const LayoutPath *)a)->text, ((const LayoutPath *)b)->text);
}

// DIR itself, or DIR/REGION/records of a state folder.
static int find_folders(const char *dir, const char *region, Folders *folders, Error *reterr)
{
    DIR *open_dir = opendir(dir);
    if (open_dir == NULL)
        return error_errno(reterr, errno, "%s", dir);
    bool itself = false;
    for (const struct dirent *entry; (entry = readdir(open_dir)) != NULL;) {
        itself = itself || strncmp(entry->d_name, "events.", 7) == 0;
        LayoutPath path = layout_region(dir, entry->d_name, "records");
        if (entry->d_name[0] != '.' && folders->n < FOLDERS_MAX && files_exist(path.text) &&
            (region == NULL || strcmp(region, entry->d_name) == 0))
            folders->items[folders->n++] = path;
    }
    (void)closedir(open_dir);
    if (itself) {
        folders->n = 1;
        (void)snprintf(folders->items[0].text, sizeof folders->items[0].text, "%s", dir);
    }
    qsort(folders->items, folders->n, sizeof folders->items[0], by_text);
    if (folders->n > 0)
        return 0;
    int r = error_set(reterr, ERROR_NOT_FOUND, "%s: no recordings%s%s", dir,
                      region != NULL ? " of region " : "", region != NULL ? region : "");
    return error_hint(reterr, r, "Give a state folder or a folder with segments 'events.*'.");
}

static void tell_decision(void *context, const Record *record, Wall at)
{
    char text[CLOCK_TEXT_MAX];
    (void)fprintf(context, "%s  %s  %s: %s\n", clock_format(at, text), record->subject,
                  record_kind_text(record->kind), record->facts);
}

static json_t *result_json(const ReplayResult *result)
{
    char from[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX], at[CLOCK_TEXT_MAX];
    const ReplayDifference *difference = &result->difference;
    bool any = result->events > 0;
    return json_pack(
        "{s:s,s:i,s:i,s:i,s:I,s:I,s:I,s:I,s:s?,s:s?,s:b,s:s?,s:s?}", "region", result->region,
        "starts", (int)result->starts, "resumed", (int)result->resumed, "damaged",
        (int)result->damaged, "events", (json_int_t)result->events, "refused",
        (json_int_t)result->refused, "plans", (json_int_t)result->plans, "decisions",
        (json_int_t)result->records, "from", any ? clock_format(result->from, from) : NULL, "until",
        any ? clock_format(result->until, until) : NULL, "same", (int)!difference->found,
        "difference_at", difference->found ? clock_format(difference->at, at) : NULL, "difference",
        difference->found ? difference->text : NULL);
}

static void add_row(TellTable *table, const ReplayResult *result)
{
    char span[TELL_DURATION_MAX] = "-";
    if (result->events > 0)
        (void)tell_duration((result->until.ns - result->from.ns) / NS_PER_MS, span);
    tell_cell(table, TELL_PLAIN, "%s", result->region);
    tell_cell(table, TELL_PLAIN, "%u", result->starts);
    tell_cell(table, TELL_PLAIN, "%s", span);
    tell_cell(table, TELL_PLAIN, "%" PRIu64, result->events);
    tell_cell(table, TELL_PLAIN, "%" PRIu64, result->plans);
    tell_cell(table, TELL_PLAIN, "%" PRIu64, result->records);
    if (result->difference.found)
        tell_cell(table, TELL_RED, "differs");
    else if (result->events == 0)
        tell_cell(table, TELL_YELLOW, "nothing whole");
    else
        tell_cell(table, TELL_GREEN, "same");
}

static void print_differences(const ReplayResult *results, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const ReplayResult *result = &results[i];
        char at[CLOCK_TEXT_MAX];
        if (result->difference.found)
            (void)printf("\n%s, first difference at %s:\n  %s\n", result->region,
                         clock_format(result->difference.at, at), result->difference.text);
        if (result->damaged > 0)
            (void)printf("\n%s: %u damaged pieces, what followed them could not be replayed\n",
                         result->region, result->damaged);
        if (result->resumed > 0)
            (void)printf(
                "\n%s: %u time%s from a snapshot: what came before is not there any more\n",
                result->region, result->resumed, result->resumed > 1 ? "s" : "");
    }
}

static void print_results(const ReplayResult *results, size_t n)
{
    static const char *const HEADS[] = {"REGION", "STARTS",    "SPAN",  "EVENTS",
                                        "PLANS",  "DECISIONS", "RESULT"};
    TellTable table = tell_table(HEADS, ARRAY_SIZE(HEADS));
    for (size_t i = 0; i < n; i++)
        add_row(&table, &results[i]);
    tell_table_print(&table, stdout);
    print_differences(results, n);
}

static int conclude(const ReplayResult *results, size_t n, Error *reterr)
{
    uint64_t events = 0;
    size_t differ = 0;
    for (size_t i = 0; i < n; i++) {
        events += results[i].events;
        differ += results[i].difference.found;
    }
    if (differ > 0)
        return error_set(reterr, ERROR_NOT_HELD, "%zu of %zu regions decide otherwise", differ, n);
    return events > 0 ? 0
                      : error_set(reterr, ERROR_NOT_FOUND,
                                  "nothing that could be replayed: the "
                                  "beginning of each start is gone");
}

static int run(const char *dir, const char *region, bool timeline, bool json, Error *reterr)
{
    Folders *folders CLEANUP(alloc_freep) = alloc_zeroed(1, sizeof *folders);
    ReplayResult *results CLEANUP(alloc_freep) = alloc_zeroed(FOLDERS_MAX, sizeof *results);
    if (folders == NULL || results == NULL)
        return error_set(reterr, ERROR_MEMORY, "replay");
    int r = find_folders(dir, region, folders, reterr);
    for (size_t i = 0; r == 0 && i < folders->n; i++) {
        if (isatty(STDERR_FILENO) == 1)
            (void)fprintf(stderr, "replay: %s (%zu of %zu)\n", folders->items[i].text, i + 1,
                          folders->n);
        r = replay_run(folders->items[i].text, timeline ? tell_decision : NULL,
                       json ? stderr : stdout, &results[i], reterr);
        if (r < 0)
            r = error_wrap(reterr, r, "replay %s", folders->items[i].text);
    }
    if (r < 0)
        return r;
    if (json) {
        json_t *list = json_array();
        for (size_t i = 0; i < folders->n; i++)
            (void)json_array_append_new(list, result_json(&results[i]));
        json_t *root = json_pack("{s:o}", "regions", list);
        (void)(json_dumpf(root, stdout, JSON_INDENT(2)) == 0 && printf("\n") > 0);
        json_decref(root);
    } else {
        print_results(results, folders->n);
    }
    return conclude(results, folders->n, reterr);
}

int verb_replay(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *region = NULL, *dir = "run";
    bool json = false, timeline = false;
    const Option options[] = {
        {"dir", "DIR", "the same as the operand (default ./run)", &dir, NULL},
        {"region", "REGION", "only this region", &region, NULL},
        {"timeline", NULL, "print every decision as it is made again", NULL, &timeline},
        {"json", NULL, "for programs", NULL, &json},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 0, 1, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    return run(operands == 1 ? argv[1] : dir, region, timeline, json, reterr);
}
