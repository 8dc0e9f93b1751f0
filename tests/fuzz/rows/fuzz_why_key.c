// SPDX-License-Identifier: MIT
// fuzz why_key: the key of a row as an operator types it, for a table with one key column and for
// one with two. What is accepted names every column, and its text form is read the same again.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rows_why.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const CheckColumn KEY[] = {{"a", "text", "a", true}, {"b", "text", "b", true}};

static void read_again(const CheckTable *table, json_t *key)
{
    char *json = json_dumps(key, JSON_COMPACT), *text = check_key_text(json);
    json_t *again = json_object();
    if (text == NULL || why_parse_key(table, text, again, NULL) < 0 || !json_equal(key, again))
        abort();
    json_decref(again);
    free(text);
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = malloc(size + 1);
    if (exact == NULL)
        return 0;
    memcpy(exact, data, size);
    exact[size] = '\0';
    for (uint32_t n = 1; n <= 2; n++) {
        const CheckTable table = {.name = "t", .key = KEY, .n_key = n};
        json_t *key = json_object();
        Error err = ERROR_INIT;
        if (why_parse_key(&table, exact, key, &err) == 0) {
            if (json_object_size(key) != n)
                abort();
            if (size < 1000) // the reader's own limit is 4,095 bytes a word, before quoting
                read_again(&table, key);
        }
        error_done(&err);
        json_decref(key);
    }
    free(exact);
    return 0;
}
