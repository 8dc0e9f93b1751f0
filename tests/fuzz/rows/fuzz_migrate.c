// SPDX-License-Identifier: MIT
// fuzz migrate: a file of schema changes. What is accepted must be whole: every statement has a
// text without its semicolon outside of quotes, and is read the same when it stands alone.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rows_migrate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_alone(const MigrateStatement *statement)
{
    Arena *arena = arena_new(8U << 20);
    MigrateFile file = {0};
    size_t len = strlen(statement->text);
    char *exact = malloc(len + 1);
    if (arena == NULL || exact == NULL)
        abort();
    memcpy(exact, statement->text, len + 1);
    if (migrate_parse("alone", exact, len, arena, &file, NULL) < 0 || file.n != 1 ||
        file.statements[0].class != statement->class ||
        strcmp(file.statements[0].text, statement->text) != 0)
        abort();
    free(exact);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = malloc(size ? size : 1);
    Arena *arena = arena_new(64U << 20);
    Error err = ERROR_INIT;
    MigrateFile file = {0};
    if (exact && arena) {
        memcpy(exact, data, size);
        if (migrate_parse("fuzz", exact, size, arena, &file, &err) == 0)
            for (uint32_t i = 0; i < file.n; i++)
                read_alone(&file.statements[i]);
    }
    error_done(&err);
    arena_free(arena);
    free(exact);
    return 0;
}
