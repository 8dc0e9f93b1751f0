// SPDX-License-Identifier: MIT
// fleet_edit: see fleet_edit.h. A '#' behind a space begins a comment; quoted texts with one do not
// stand on lines with the keys that are asked for.
#include "fleet_edit.h"

#include <stdbool.h>
#include <string.h>

static bool begins_key(const char *line, const char *at)
{
    return at == line || strchr(" {,\t", at[-1]) != NULL;
}

// The key in [line, end), or NULL.
static const char *find_key(const char *line, const char *end, const char *key)
{
    size_t len = strlen(key);
    for (const char *at = line; at + len < end; at++) {
        if (*at == '#' && (at == line || at[-1] == ' '))
            return NULL;
        if (begins_key(line, at) && strncmp(at, key, len) == 0 && at[len] == ':' &&
            (at + len + 1 == end || at[len + 1] == ' '))
            return at;
    }
    return NULL;
}

static const char *value_end(const char *value, const char *end)
{
    const char *at = value;
    while (at < end && strchr(",}", *at) == NULL && !(*at == '#' && at[-1] == ' '))
        at++;
    while (at > value && at[-1] == ' ')
        at--;
    return at;
}

uint32_t fleet_edit(const char *text, const char *key, const char *value, Buf *out)
{
    uint32_t n = 0;
    for (const char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        const char *end = line + len, *at = find_key(line, end, key);
        if (at != NULL) {
            const char *old = at + strlen(key) + 1;
            while (old < end && *old == ' ')
                old++;
            const char *behind = value_end(old, end);
            buf_add(out, line, (size_t)(at - line) + strlen(key));
            buf_printf(out, ": %s", value);
            buf_add(out, behind, (size_t)(end - behind));
            n++;
        } else {
            buf_add(out, line, len);
        }
        line = end;
        if (*line == '\n') {
            buf_add_char(out, '\n');
            line++;
        }
    }
    return n;
}
