// SPDX-License-Identifier: MIT
// Connection keywords: the local socket, both forms of a DSN, quoting, and no secrets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "database.h"

static DatabaseOptions options(const char *database)
{
    return (DatabaseOptions){.database = database,
                             .port = 5432,
                             .sockets = "/run/x y",
                             .passfile = "/d/it's/pg.pass",
                             .application = "a"};
}

static void test_local(void **state)
{
    Buf out = BUF_INIT(0);
    DatabaseOptions local = options("local");
    assert_int_equal(database_conninfo(&local, &out, NULL), 0);
    assert_string_equal(buf_text(&out), "host='/run/x y' user='wildcam' dbname='wildcam' port=5432 "
                                        "application_name='a' gssencmode=disable connect_timeout=2 "
                                        "client_encoding=UTF8");
    buf_done(&out);
}

static void test_dsn_in_both_forms(void **state)
{
    static const char *const FORMS[] = {
        "postgresql://wildcam@db.example.org:6432/wildcam?sslmode=verify-full",
        "host=db.example.org port=6432 user=wildcam dbname=wildcam sslmode=verify-full"};
    for (int i = 0; i < 2; i++) {
        Buf out = BUF_INIT(0);
        DatabaseOptions dsn = options(FORMS[i]);
        assert_int_equal(database_conninfo(&dsn, &out, NULL), 0);
        assert_non_null(strstr(buf_text(&out), "user='wildcam'"));
        assert_non_null(strstr(buf_text(&out), "host='db.example.org'"));
        assert_non_null(strstr(buf_text(&out), "port='6432'"));
        assert_non_null(strstr(buf_text(&out), "sslmode='verify-full'"));
        assert_non_null(strstr(buf_text(&out), "passfile='/d/it\\'s/pg.pass'"));
        buf_done(&out);
    }
}

static void test_refused(void **state)
{
    static const char *const BAD[] = {
        "postgresql://u:geheim@h/d", "password=geheim", "nonsense=1", "host", "postgresql://[", ""};
    for (size_t i = 0; i < 5; i++) {
        Error err = ERROR_INIT;
        Buf out = BUF_INIT(0);
        DatabaseOptions bad = options(BAD[i]);
        assert_int_equal(database_conninfo(&bad, &out, &err), ERROR_FORMAT);
        assert_null(strstr(error_text(&err), "geheim"));
        error_done(&err);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_dsn_in_both_forms),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
