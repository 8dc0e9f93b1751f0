// SPDX-License-Identifier: MIT
// Statements of a migration: what passes, in which parts, and what is refused with which reason.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rows_migrate.h"

static Arena *arena;

static MigrateFile parse(const char *text)
{
    Error err = ERROR_INIT;
    MigrateFile file = {0};
    int r = migrate_parse("f.sql", text, strlen(text), arena, &file, &err);
    if (r < 0)
        print_error("%s: %s\n", text, error_text(&err));
    assert_int_equal(r, 0);
    error_done(&err);
    return file;
}

static void refused(const char *text, const char *why)
{
    Error err = ERROR_INIT;
    MigrateFile file = {0};
    int r = migrate_parse("f.sql", text, strlen(text), arena, &file, &err);
    if (r >= 0 || strstr(error_text(&err), why) == NULL)
        print_error("%s: %d: %s\n", text, r, error_text(&err));
    assert_true(r < 0);
    assert_non_null(strstr(error_text(&err), why));
    assert_int_equal(file.n, 0);
    error_done(&err);
}

static void test_splits(void **state)
{
    MigrateFile file =
        parse("-- first; not a statement\n;;\nALTER TABLE a ADD b text DEFAULT 'x;''y';\n"
              "/* nested /* ; */ */ COMMENT ON TABLE a IS $q$ ; $q$ ; \n"
              "CREATE TABLE \"A;B\"(\"c\"\"d\" int PRIMARY KEY)");
    assert_int_equal(file.n, 3);
    assert_string_equal(file.statements[0].text, "ALTER TABLE a ADD b text DEFAULT 'x;''y'");
    assert_int_equal(file.statements[0].line, 3);
    assert_int_equal(file.statements[1].class, MIGRATE_COMMENT);
    assert_int_equal(file.statements[2].line, 5);
    assert_string_equal(file.statements[2].table, "\"A;B\"");
    MigrateFile other = parse("ALTER TABLE a ADD b text DEFAULT 'x;''y';\n");
    assert_string_not_equal(file.id, other.id);
    (void)state;
}

static void test_add_column(void **state)
{
    MigrateStatement s = parse("alter table only Shop.\"Items\" add column if not exists Price "
                               "numeric(10, 2)[] NOT NULL "
                               "DEFAULT '{}'::numeric(10,2)[]")
                             .statements[0];
    assert_int_equal(s.class, MIGRATE_ADD_COLUMN);
    assert_string_equal(s.table, "\"shop\".\"Items\"");
    assert_string_equal(s.name, "price");
    assert_string_equal(s.type, "numeric(10, 2)[]");
    assert_string_equal(s.default_text, "'{}'::numeric(10,2)[]");
    assert_true(s.not_null && s.exists);
    assert_string_equal(parse("ALTER TABLE t ADD c timestamp with time zone DEFAULT '2024-01-01'")
                            .statements[0]
                            .type,
                        "timestamp with time zone");
    assert_string_equal(
        parse("ALTER TABLE t ADD c int DEFAULT (-5)::int").statements[0].default_text, "(-5)::int");
    (void)parse("ALTER TABLE t ADD c text DEFAULT 'now'");
    (void)parse("ALTER TABLE t ADD c boolean NOT NULL DEFAULT true");
    (void)parse("ALTER TABLE t ADD c int DEFAULT NULL");
    (void)state;
}

static void test_add_column_refused(void **state)
{
    refused("ALTER TABLE t ADD c timestamptz DEFAULT now()", "no constant: 'now'");
    refused("ALTER TABLE t ADD c float8 DEFAULT random()", "no constant");
    refused("ALTER TABLE t ADD c timestamptz DEFAULT current_timestamp", "no constant");
    refused("ALTER TABLE t ADD c timestamptz DEFAULT 'now'", "differ from region to region");
    refused("ALTER TABLE t ADD c date DEFAULT ' Today '", "differ from region to region");
    refused("ALTER TABLE t ADD c timestamptz DEFAULT E'n\\x6fw'", "differ from region to region");
    refused("ALTER TABLE t ADD c text DEFAULT 'now'::timestamptz::text", "differ from region");
    refused("ALTER TABLE t ADD c int DEFAULT 1 + 1", "not understood here");
    refused("ALTER TABLE t ADD c uuid DEFAULT gen_random_uuid()", "no constant");
    refused("ALTER TABLE t ADD c oid DEFAULT 'x'::regclass", "object numbers");
    refused("ALTER TABLE t ADD c bigserial", "a sequence");
    refused("ALTER TABLE t ADD c int NOT NULL", "NOT NULL without a default");
    refused("ALTER TABLE t ADD c int NOT NULL DEFAULT NULL", "NOT NULL without a default");
    refused("ALTER TABLE t ADD c int UNIQUE", "a key with a new column");
    refused("ALTER TABLE t ADD c int CHECK (c > 0)", "a constraint with a new column");
    refused("ALTER TABLE t ADD c int REFERENCES u", "a constraint with a new column");
    refused("ALTER TABLE t ADD c int GENERATED ALWAYS AS (1) STORED", "a generated column");
    refused("ALTER TABLE t ADD c int, ADD d int", "several actions");
    refused("ALTER TABLE t ADD _v bigint", "a column of the federation");
    refused("ALTER TABLE t ADD c", "ends too early");
    refused("ALTER TABLE wildcam.node ADD c int", "not a schema of applications");
    (void)state;
}

static void test_others(void **state)
{
    static const struct {
        const char *text;
        MigrateClass class;
        const char *name;
    } GOOD[] = {
        {"ALTER TABLE t DROP c", MIGRATE_DROP_COLUMN, "c"},
        {"ALTER TABLE t DROP COLUMN IF EXISTS c RESTRICT", MIGRATE_DROP_COLUMN, "c"},
        {"CREATE TABLE IF NOT EXISTS t(id int, n text DEFAULT now()) WITH (fillfactor=80)",
         MIGRATE_CREATE_TABLE, NULL},
        {"CREATE UNIQUE INDEX i ON t(a, b DESC)", MIGRATE_CREATE_INDEX, "i"},
        {"CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t USING gin (a) WHERE a > 1",
         MIGRATE_CREATE_INDEX, "i"},
        {"DROP INDEX CONCURRENTLY shop.i", MIGRATE_DROP_INDEX, "i"},
        {"DROP TABLE t", MIGRATE_DROP_TABLE, "t"},
        {"ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0 AND (b) IS NOT NULL) NOT VALID",
         MIGRATE_ADD_CONSTRAINT, "k"},
        {"ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES u(b) ON DELETE CASCADE NOT "
         "VALID",
         MIGRATE_ADD_CONSTRAINT, "k"},
        {"ALTER TABLE t VALIDATE CONSTRAINT k", MIGRATE_VALIDATE_CONSTRAINT, "k"},
        {"CREATE TYPE colour AS ENUM ('red', 'green')", MIGRATE_CREATE_TYPE, "colour"},
        {"ALTER TYPE colour ADD VALUE IF NOT EXISTS 'blue' AFTER 'red'", MIGRATE_ADD_VALUE,
         "colour"},
        {"COMMENT ON COLUMN t.c IS 'x'", MIGRATE_COMMENT, NULL},
    };
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        MigrateStatement s = parse(GOOD[i].text).statements[0];
        assert_int_equal(s.class, GOOD[i].class);
        assert_string_equal(s.text, GOOD[i].text);
        if (GOOD[i].name != NULL)
            assert_string_equal(s.name, GOOD[i].name);
    }
    MigrateStatement index =
        parse("CREATE UNIQUE INDEX i ON t(a, lower(b), \"C d\" DESC)").statements[0];
    assert_int_equal(index.n_columns, 3);
    assert_string_equal(index.columns[0], "a");
    assert_null(index.columns[1]);
    assert_string_equal(index.columns[2], "C d");
    assert_string_equal(
        parse("ALTER TABLE t ADD CONSTRAINT k CHECK ((a) > 0) NOT VALID").statements[0].check,
        "((a) > 0)");
    (void)state;
}

static void test_others_refused(void **state)
{
    refused("ALTER TABLE t DROP c CASCADE", "CASCADE");
    refused("ALTER TABLE t RENAME c TO d", "rename");
    refused("ALTER TABLE t ALTER COLUMN c TYPE bigint", "alter");
    refused("ALTER TABLE t DISABLE TRIGGER ALL", "disable");
    refused("ALTER TABLE t DROP CONSTRAINT k", "DROP CONSTRAINT");
    refused("ALTER TABLE t ADD CONSTRAINT k UNIQUE (a)", "a constraint that is a key");
    refused("ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0)", "under a lock");
    refused("ALTER TABLE t ADD CHECK (a > 0) NOT VALID", "without a name");
    refused("CREATE TABLE t AS SELECT 1", "CREATE TABLE AS");
    refused("CREATE TABLE t(a) AS SELECT 1", "CREATE TABLE AS");
    refused("CREATE TEMP TABLE t(a int)", "no ordinary table");
    refused("CREATE UNLOGGED TABLE t(a int)", "no ordinary table");
    refused("CREATE INDEX ON t(a)", "without a name");
    refused("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "not for a migration");
    refused("DROP TABLE a, b", "several names");
    refused("DROP TABLE a CASCADE", "CASCADE");
    refused("DROP DATABASE wildcam", "not for a migration");
    refused("UPDATE t SET a = 1", "not for a migration: 'update'");
    refused("BEGIN", "not for a migration: 'begin'");
    refused("TRUNCATE t", "truncate");
    refused("ALTER TYPE a RENAME VALUE 'x' TO 'y'", "a type that is in use");
    refused("ALTER TABLE t ADD c int; garbage", "not understood here: 'garbage'");
    refused("\\i other.sql", "backslash");
    refused("ALTER TABLE t ADD c text DEFAULT 'x", "line 1: a string has no end");
    refused("/* /* */", "a comment has no end");
    refused("ALTER TABLE t ADD \"\" int", "a name of 0");
    refused("COMMENT ON TABLE t IS $q$ x", "no end");
    refused("COMMENT ON TABLE t IS 'x' 'y'", "not understood");
    refused("ALTER TABLE t ADD c int DEFAULT $1", "parameters");
    refused("", "no statement");
    refused("-- only words\n;", "no statement");
    refused("ALTER TABLE t ADD c int DEFAULT '\xff'", "not UTF-8");
    (void)state;
}

static void test_limits(void **state)
{
    static char many[MIGRATE_STATEMENTS_MAX * 20 + 64];
    size_t len = 0;
    for (uint32_t i = 0; i <= MIGRATE_STATEMENTS_MAX; i++)
        len += (size_t)snprintf(many + len, sizeof many - len, "DROP TABLE t;\n");
    refused(many, "more than 500 statements");
    static char deep[MIGRATE_TOKENS_MAX + 100];
    memset(deep, '(', sizeof deep - 1);
    refused(deep, "more than 20000 tokens");
    (void)state;
}

static int begin(void **state)
{
    (void)state;
    arena = arena_new(64U << 20);
    return arena == NULL;
}

static int end(void **state)
{
    (void)state;
    arena = arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_add_column),
        cmocka_unit_test(test_add_column_refused),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_others_refused),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
