// SPDX-License-Identifier: MIT
// mesh_template: see mesh_template.h. Templates are ours, not input: what is wrong in one is a
// mistake that a unit test finds, but it is reported with its line all the same.
#include "mesh_template.h"

#include <string.h>

#define PLACEHOLDER_MAX 128

static uint32_t line_of(const char *text, const char *at)
{
    uint32_t line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

// Splits at single spaces. False: empty words or too many.
static bool split(char *text, const char **words, uint32_t max, uint32_t *ret_n)
{
    uint32_t n = 0;
    for (char *at = text;;) {
        size_t len = strcspn(at, " ");
        if (len == 0 || n == max)
            return false;
        words[n++] = at;
        if (at[len] == '\0')
            break;
        at[len] = '\0';
        at += len + 1;
    }
    *ret_n = n;
    return true;
}

static int place(const char *placeholder, size_t len, MeshWord *word, void *context, Buf *buf,
                 Error *reterr)
{
    char text[PLACEHOLDER_MAX];
    const char *words[1 + MESH_TEMPLATE_ARGS];
    uint32_t n;
    if (len >= sizeof text)
        return error_set(reterr, ERROR_LIMIT, "placeholder of %zu characters", len);
    memcpy(text, placeholder, len);
    text[len] = '\0';
    if (!split(text, words, 1 + MESH_TEMPLATE_ARGS, &n))
        return error_set(reterr, ERROR_FORMAT, "malformed placeholder '%.*s'", (int)len,
                         placeholder);
    int r = word(context, words[0], words + 1, n - 1, buf, reterr);
    if (r == ERROR_NOT_FOUND)
        return error_set(reterr, r, "no placeholder '%.*s'", (int)len, placeholder);
    return r;
}

int mesh_template_expand(const char *name, const char *text, MeshWord *word, void *context,
                         Buf *buf, Error *reterr)
{
    for (const char *at = text;;) {
        const char *open = strstr(at, "{{");
        if (open == NULL) {
            buf_add_text(buf, at);
            break;
        }
        const char *close = strstr(open, "}}");
        if (close == NULL)
            return error_set(reterr, ERROR_FORMAT, "%s:%u: '{{' without '}}'", name,
                             line_of(text, open));
        buf_add(buf, at, (size_t)(open - at));
        int r = place(open + 2, (size_t)(close - open - 2), word, context, buf, reterr);
        if (r < 0)
            return error_wrap(reterr, r, "%s:%u", name, line_of(text, open));
        at = close + 2;
    }
    int r = buf_check(buf);
    return r < 0 ? error_set(reterr, r, "%s: no memory for its text", name) : 0;
}

int mesh_template_use(const char *name, MeshWord *word, void *context, Buf *buf, Error *reterr)
{
    for (uint32_t i = 0; i < mesh_n_templates; i++)
        if (strcmp(mesh_templates[i].name, name) == 0)
            return mesh_template_expand(name, mesh_templates[i].text, word, context, buf, reterr);
    return error_set(reterr, ERROR_NOT_FOUND, "no template '%s'", name);
}
