// SPDX-License-Identifier: MIT
// The whole nginx.conf of a small fleet is a stored file: every change of the generator shows
// there. After a change that is meant: WILDCAM_GOLDEN=write BUILD/tests/unit/edge/test_edge_conf,
// then read the difference.
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "edge_conf.h"
#include "files.h"

static const EdgeConfPaths PATHS = {
    .dir = "/var/lib/wildcam", .sockets = "/run/wildcam-1/abc", .module = "/usr/lib/wildcam/m.so"};

static Conf *load(void)
{
    Conf *conf = NULL;
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (conf_load(HERE "/fleet.yaml", &conf, NULL, &err) < 0)
        fail_msg("%s", error_text(&err));
    return conf;
}

static void check_golden(const char *path, const Buf *text)
{
    const char *mode = getenv("WILDCAM_GOLDEN");
    if (mode != NULL && strcmp(mode, "write") == 0) {
        assert_int_equal(files_replace(path, text->data, text->len, NULL, NULL), 0);
        return;
    }
    char *stored CLEANUP(alloc_freep) = NULL;
    size_t len;
    assert_int_equal(files_read(path, 1U << 20, &stored, &len, NULL), 0);
    assert_string_equal(buf_text(text), stored);
}

static void configuration_is_the_stored_one(void **state)
{
    Conf *conf CLEANUP(conf_freep) = load();
    for (uint32_t region = 0; region < conf->model.n_regions; region++) {
        Buf text CLEANUP(buf_done) = BUF_INIT(0);
        EdgeConfPaths paths = PATHS;
        paths.access_log = region == 1;
        paths.user = region == 1 ? "wildcam wildcam" : NULL;
        assert_int_equal(edge_conf_write(conf, region, &paths, &text, NULL), 0);
        char path[512];
        (void)snprintf(path, sizeof path, HERE "/golden/%s.conf", conf->model.regions[region].name);
        check_golden(path, &text);
    }
}

// One header set at a level drops all inherited ones: every level that has one must have them all.
static void levels_with_headers_have_all_of_them(void **state)
{
    Conf *conf CLEANUP(conf_freep) = load();
    Buf text CLEANUP(buf_done) = BUF_INIT(0);
    assert_int_equal(edge_conf_write(conf, 0, &PATHS, &text, NULL), 0);
    size_t n = 0;
    for (const char *at = text.data; (at = strstr(at, "Wildcam-Hop")) != NULL; at++, n++) {
        const char *start = at, *end = strchr(at, '}');
        while (start > text.data && *start != '{')
            start--;
        Buf level CLEANUP(buf_done) = BUF_INIT(0);
        buf_add(&level, start, (size_t)(end - start));
        static const char *const NEEDED[] = {"Connection \"\"", "Host api.", "Wildcam-Peer",
                                             "X-Forwarded-For", "traceparent"};
        for (size_t i = 0; i < ARRAY_SIZE(NEEDED); i++)
            if (strstr(level.data, NEEDED[i]) == NULL)
                fail_msg("no '%s' in: %s", NEEDED[i], level.data);
    }
    assert_true(n >= 3);
}

static void paths_that_nginx_misreads_are_refused(void **state)
{
    Conf *conf CLEANUP(conf_freep) = load();
    static const char *const BAD[] = {"relative", "/a\"b", "/a;b", "/a$b",
                                      "/a{b",     "/a\nb", "/a\\b"};
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
        Error err CLEANUP(error_done) = ERROR_INIT;
        Buf text CLEANUP(buf_done) = BUF_INIT(0);
        EdgeConfPaths paths = PATHS;
        paths.dir = BAD[i];
        assert_int_equal(edge_conf_write(conf, 0, &paths, &text, &err), ERROR_FORMAT);
        assert_non_null(strstr(error_text(&err), BAD[i]));
        assert_int_equal(text.len, 0);
    }
    EdgeConfPaths paths = PATHS;
    paths.dir = "/with space";
    Buf text CLEANUP(buf_done) = BUF_INIT(0);
    assert_int_equal(edge_conf_write(conf, 0, &paths, &text, NULL), 0);
}

static void lack_of_memory_is_an_error(void **state)
{
    Conf *conf CLEANUP(conf_freep) = load();
    Buf text CLEANUP(buf_done) = BUF_INIT(1000);
    Error err CLEANUP(error_done) = ERROR_INIT;
    assert_int_equal(edge_conf_write(conf, 0, &PATHS, &text, &err), ERROR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configuration_is_the_stored_one),
        cmocka_unit_test(levels_with_headers_have_all_of_them),
        cmocka_unit_test(paths_that_nginx_misreads_are_refused),
        cmocka_unit_test(lack_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
