// SPDX-License-Identifier: MIT
// changes: see changes.h.
#include "changes.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "layout.h"

static int check_entry(const char *entry, size_t len, Error *reterr)
{
    const char *equals = memchr(entry, '=', len);
    if (equals == NULL) {
        int r = error_set(reterr, ERROR_USAGE, "'%.*s' is no NAME=VALUE", (int)len, entry);
        return error_hint(reterr, r, "Values with spaces in them are not supported.");
    }
    size_t name = (size_t)(equals - entry);
    bool good = name > 0 && name <= CHANGES_NAME_MAX && isdigit((unsigned char)entry[0]) == 0;
    for (size_t i = 0; i < name; i++)
        good = good && (isalnum((unsigned char)entry[i]) != 0 || entry[i] == '_');
    if (!good)
        return error_set(
            reterr, ERROR_USAGE,
            "'%.*s' is no name of a variable; allowed: up to %d letters, digits and '_'", (int)name,
            entry, CHANGES_NAME_MAX);
    for (size_t i = name + 1; i < len; i++)
        if ((unsigned char)entry[i] <= ' ' || entry[i] == 0x7f)
            return error_set(reterr, ERROR_USAGE, "the value of '%.*s' has a control character",
                             (int)name, entry);
    return 0;
}

int changes_check_environment(const char *words, Error *reterr)
{
    size_t entries = 0;
    if (strlen(words) > CHANGES_ENVIRONMENT_MAX)
        return error_set(reterr, ERROR_LIMIT, "environment of %zu bytes; allowed: up to %d",
                         strlen(words), CHANGES_ENVIRONMENT_MAX);
    for (const char *at = words; *at != '\0';) {
        size_t len = strcspn(at, " ");
        int r = check_entry(at, len, reterr);
        if (r < 0)
            return r;
        if (++entries > CHANGES_ENTRIES_MAX)
            return error_set(reterr, ERROR_LIMIT, "more than %d variables", CHANGES_ENTRIES_MAX);
        at += len;
        if (at[0] == ' ' && at[1] == '\0')
            break;
        at += *at == ' ' ? 1 : 0;
    }
    return 0;
}

static char *join(const char *folder, const char *name)
{
    Buf buf = BUF_INIT(LAYOUT_PATH_MAX);
    buf_printf(&buf, "%s/%s", folder, name);
    if (buf_check(&buf) == 0)
        return buf_take(&buf);
    buf_done(&buf);
    return NULL;
}

// AT_EACCESS: the run user's rights, whose programs these will be.
static bool reaches(const char *path, int mode)
{
    return path != NULL && faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0;
}

char *changes_module(const char *folder, const char *module)
{
    char *beside = join(folder, module);
    if (reaches(beside, R_OK))
        return beside;
    free(beside);
    char library[128];
    (void)snprintf(library, sizeof library, "../lib/wildcam/%s", module);
    return join(folder, library);
}

int changes_check_programs(const char *folder, Error *reterr)
{
    static const char *const NAMES[] = {"wildcam-agent", "wildcam-backend", "wildcam-edge-conf",
                                        "wildcam-rows"};
    static const char HINT[] = "All of wildcam-agent, wildcam-backend, wildcam-edge-conf, "
                               "wildcam-rows and "
                               "ngx_http_wildcam_module.so must be there, and the user whom the "
                               "fleet runs as must reach them.";
    if (folder[0] != '/')
        return error_set(reterr, ERROR_USAGE, "folder '%s' is no absolute path", folder);
    if (strlen(folder) > LAYOUT_PATH_MAX / 2 || strpbrk(folder, "\"\\$;{}\n\r") != NULL)
        return error_set(reterr, ERROR_USAGE,
                         "folder '%s' is too long or has a character that nginx reads as its own",
                         folder);
    for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++) {
        char *path CLEANUP(alloc_freep) = join(folder, NAMES[i]);
        if (!reaches(path, R_OK | X_OK)) {
            int r = error_errno(reterr, errno, "%s/%s", folder, NAMES[i]);
            return error_hint(reterr, r, "%s", HINT);
        }
    }
    char *module CLEANUP(alloc_freep) = changes_module(folder, "ngx_http_wildcam_module.so");
    if (reaches(module, R_OK))
        return 0;
    int r = error_set(reterr, ERROR_NOT_FOUND, "no ngx_http_wildcam_module.so in '%s'", folder);
    return error_hint(reterr, r, "%s", HINT);
}

static int replace(char **place, const char *text)
{
    char *copy = NULL;
    if (text[0] != '\0' && (copy = alloc_strdup(text)) == NULL)
        return ERROR_MEMORY;
    free(*place);
    *place = copy;
    return 0;
}

int changes_set_environment(Changes *changes, size_t program, const char *words)
{
    return replace(&changes->environment[program], words);
}

int changes_set_programs(Changes *changes, const char *folder)
{
    return replace(&changes->programs, folder);
}

void changes_done(Changes *changes)
{
    free(changes->programs);
    for (size_t i = 0; i < PROGRAMS_MAX; i++)
        free(changes->environment[i]);
    *changes = (Changes){0};
}
