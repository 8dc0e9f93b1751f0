// SPDX-License-Identifier: MIT
// conf: the stages in order: tree, walk, checks, build. The tree and what only the stages need live
// in one arena that goes away; what the Conf holds lives in its own.
#include "conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "arena.h"
#include "bounds.h"
#include "buf.h"
#include "conf_build.h"
#include "conf_check.h"
#include "conf_held.h"
#include "conf_walk.h"
#include "hash.h"

// A node takes about 120 bytes and a byte of text, a sorted prefix 28.
#define WORK_MAX ((size_t)192 << 20)
#define HELD_MAX ((size_t)192 << 20)

// All stages; problems are in report. 0 means that the file could be read to the end.
static int run_stages(const char *bytes, size_t len, Arena *work, ConfReport *report,
                      ConfHeld *held)
{
    const TreeNode *root;
    SortedPrefixes sorted;
    int r = conf_tree_parse(bytes, len, work, report, &root);
    if (r < 0)
        return r;
    r = conf_walk(root, held->arena, report, &held->raw);
    if (r < 0 || report->n_errors > 0)
        return r;
    r = conf_prefixes_sort(&held->raw, work, &sorted);
    if (r < 0)
        return r;
    conf_check(&held->raw, &sorted, root, report);
    if (report->n_errors > 0)
        return 0;
    return conf_build(&held->raw, &sorted, held->arena, &held->conf);
}

static ConfHeld *held_new(const char *path, const char *bytes, size_t len)
{
    ConfHeld *held = alloc_zeroed(1, sizeof *held);
    if (held == NULL)
        return NULL;
    held->arena = arena_new(HELD_MAX);
    held->conf.path = held->arena != NULL ? arena_strdup(held->arena, path) : NULL;
    if (held->conf.path == NULL) {
        (void)conf_free(&held->conf);
        return NULL;
    }
    held->conf.model.config_hash = hash_bytes(HASH_SEED, bytes, len);
    return held;
}

int conf_parse(const char *path, const char *bytes, size_t len, Conf **ret_conf,
               ConfProblems *ret_problems, Error *reterr)
{
    ConfReport report = {.path = path};
    if (ret_problems != NULL)
        *ret_problems = (ConfProblems){0};
    if (len > BOUND_CONF_BYTES)
        return error_set(reterr, ERROR_LIMIT, "%s: %zu bytes; allowed: at most %u", path, len,
                         BOUND_CONF_BYTES);
    Arena *work = arena_new(WORK_MAX);
    ConfHeld *held = held_new(path, bytes, len);
    int r =
        work == NULL || held == NULL ? ERROR_MEMORY : run_stages(bytes, len, work, &report, held);
    if (r == 0 || r == ERROR_FORMAT)
        r = conf_report_check(&report, reterr);
    else
        r = error_set(reterr, r, "%s: %s", path, error_code_text(r));
    (void)arena_free(work);
    if (ret_problems != NULL && (r == 0 || r == ERROR_FORMAT) &&
        conf_report_take(&report, ret_problems) < 0)
        r = error_set(reterr, ERROR_MEMORY, "%s: out of memory", path);
    conf_report_done(&report);
    if (r < 0) {
        if (held != NULL)
            (void)conf_free(&held->conf);
        return r;
    }
    *ret_conf = &held->conf;
    return 0;
}

static int read_file(const char *path, Buf *bytes, Error *reterr)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return error_errno(reterr, errno, "open '%s'", path);
    char chunk[16384];
    size_t got;
    while (bytes->len <= BOUND_CONF_BYTES && (got = fread(chunk, 1, sizeof chunk, file)) > 0)
        buf_add(bytes, chunk, got);
    int r = ferror(file) != 0 ? error_errno(reterr, errno, "read '%s'", path) : 0;
    (void)fclose(file);
    if (r < 0)
        return r;
    if (bytes->len > BOUND_CONF_BYTES)
        return error_set(reterr, ERROR_LIMIT, "%s: too long; allowed: at most %u bytes", path,
                         BOUND_CONF_BYTES);
    r = buf_check(bytes);
    return r < 0 ? error_set(reterr, r, "read '%s': %s", path, error_code_text(r)) : 0;
}

int conf_load(const char *path, Conf **ret_conf, ConfProblems *ret_problems, Error *reterr)
{
    if (ret_problems != NULL)
        *ret_problems = (ConfProblems){0};
    Buf bytes = BUF_INIT(0);
    int r = read_file(path, &bytes, reterr);
    if (r == 0)
        r = conf_parse(path, buf_text(&bytes), bytes.len, ret_conf, ret_problems, reterr);
    buf_done(&bytes);
    return r;
}

Conf *conf_free(Conf *conf)
{
    if (conf != NULL) {
        ConfHeld *held = conf_held(conf);
        (void)arena_free(held->arena);
        free(held);
    }
    return NULL;
}
