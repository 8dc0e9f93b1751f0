// SPDX-License-Identifier: MIT
// rows_why_key: the key of a row as people write it: a plain value, or "a=1,b=\"x, y\"".
#include "rows_why.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

// Splits "id=5,b=\"x,y\"" (or a plain value of the only key column) into JSON strings.
typedef struct KeyReader {
    const char *at;
    char text[4096];
} KeyReader;

// One word up to `=` or `,`; in quotes anything, a doubled quote is a quote. False: too long or the
// quote does not end.
static bool read_word(KeyReader *reader, const char *ends)
{
    size_t n = 0;
    bool quoted = *reader->at == '"';
    reader->at += quoted ? 1 : 0;
    for (; *reader->at != '\0'; reader->at++) {
        if (quoted && *reader->at == '"') {
            if (reader->at[1] != '"')
                break;
            reader->at++;
        } else if (!quoted && strchr(ends, *reader->at) != NULL) {
            break;
        }
        if (n + 1 >= sizeof reader->text)
            return false;
        reader->text[n++] = *reader->at;
    }
    reader->text[n] = '\0';
    if (quoted && *reader->at++ != '"')
        return false;
    return *reader->at == '\0' || strchr(ends, *reader->at) != NULL;
}

static bool is_key_column(const CheckTable *table, const char *name)
{
    for (uint32_t i = 0; i < table->n_key; i++)
        if (strcmp(table->key[i].name, name) == 0)
            return true;
    return false;
}

int why_refuse_key(const CheckTable *table, const char *text, const char *what, Error *reterr)
{
    Buf names CLEANUP(buf_done) = BUF_INIT(65536);
    for (uint32_t i = 0; i < table->n_key; i++)
        buf_printf(&names, "%s%s=VALUE", i > 0 ? "," : "", table->key[i].name);
    int r = error_set(reterr, ERROR_USAGE, "key '%s' %s", text, what);
    return error_hint(reterr, r, "The key of '%s' is given as '%s'.", table->name,
                      buf_text(&names));
}

static int parse_pairs(const CheckTable *table, const char *text, json_t *key, Error *reterr)
{
    KeyReader reader = {.at = text};
    for (;;) {
        if (!read_word(&reader, "=") || *reader.at != '=' || !is_key_column(table, reader.text))
            return why_refuse_key(table, text, "does not name the table's key columns", reterr);
        char *name = alloc_strdup(reader.text);
        reader.at++;
        bool good = name != NULL && read_word(&reader, ",") && json_object_get(key, name) == NULL &&
                    json_object_set_new(key, name, json_string(reader.text)) == 0;
        free(name);
        if (!good)
            return why_refuse_key(table, text, "cannot be read", reterr);
        if (*reader.at == '\0')
            break;
        reader.at++;
    }
    return json_object_size(key) == table->n_key
               ? 0
               : why_refuse_key(table, text, "lacks a column", reterr);
}

int why_parse_key(const CheckTable *table, const char *text, json_t *key, Error *reterr)
{
    size_t len = table->n_key == 1 ? strlen(table->key[0].name) : 0;
    bool named = len > 0 && strncmp(text, table->key[0].name, len) == 0 && text[len] == '=';
    if (table->n_key != 1 || named)
        return parse_pairs(table, text, key, reterr);
    return json_object_set_new(key, table->key[0].name, json_string(text)) == 0
               ? 0
               : why_refuse_key(table, text, "is not UTF-8", reterr);
}
