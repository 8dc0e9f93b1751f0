// SPDX-License-Identifier: MIT
// Every file of bad/ begins with "# expect: LINE:COLUMN: TEXT" lines: exactly these problems must
// come out, in this order. A file that expects only warnings must load.
#include "unit.h"

#include <dirent.h>
#include <errno.h>

#include "fixture.h"

#define FILES_MIN 100 // a test that lost its files must not pass
#define EXPECT "# expect: "

static int n_failed;

static void complain(const char *path, const char *what, const char *expected, const char *got)
{
    n_failed++;
    print_error("%s: %s\n  expected: %s\n  got:      %s\n", path, what, expected, got);
}

// The next expectation, or NULL when the lines at the top are over.
static char *next_expected(char **at)
{
    if (strncmp(*at, EXPECT, strlen(EXPECT)) != 0)
        return NULL;
    char *text = *at + strlen(EXPECT);
    char *end = strchr(text, '\n');
    if (end == NULL)
        abort();
    *end = '\0';
    *at = end + 1;
    return text;
}

static void check_file(const char *path)
{
    size_t len, i = 0;
    char *bytes = fixture_read(path, &len), *tops = fixture_read(path, &len), *at = tops, *expected;
    Conf *conf = NULL;
    ConfProblems problems;
    Error err = ERROR_INIT;
    bool wants_error = false;
    int r = conf_parse("F", bytes, len, &conf, &problems, &err);
    while ((expected = next_expected(&at)) != NULL) {
        const char *got = i < problems.n ? problems.items[i].text + strlen("F:") : "nothing more";
        if (strcmp(expected, got) != 0)
            complain(path, "another problem", expected, got);
        wants_error |= strstr(expected, ": warning: ") == NULL;
        i++;
    }
    if (i == 0)
        complain(path, "no expectation in the file", EXPECT "...", "");
    if (i < problems.n)
        complain(path, "one problem more", "nothing more", problems.items[i].text);
    if (wants_error != (r == ERROR_FORMAT) || (r == 0) != (conf != NULL))
        complain(path, "wrong result", wants_error ? "refused" : "loaded", error_text(&err));
    if (wants_error && problems.n > 0 && strstr(error_text(&err), problems.items[0].text) == NULL)
        complain(path, "not in the error's text", problems.items[0].text, error_text(&err));
    conf_problems_done(&problems);
    error_done(&err);
    (void)conf_free(conf);
    free(bytes);
    free(tops);
}

static void test_bad_files(void **state)
{
    DIR *folder = opendir(CONF_TESTS "/bad");
    assert_non_null(folder);
    int files = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[1024];
        if (strstr(entry->d_name, ".yaml") == NULL)
            continue;
        (void)snprintf(path, sizeof path, CONF_TESTS "/bad/%s", entry->d_name);
        check_file(path);
        files++;
    }
    (void)closedir(folder);
    print_message("%d bad files\n", files);
    assert_true(files >= FILES_MIN);
    assert_int_equal(n_failed, 0);
}

// An error's text has the first problems and says how many more there are.
static void test_error_text_counts(void **state)
{
    static const char TEXT[] = "a: 1\nb: 1\nc: 1\nd: 1\ne: 1\n";
    Conf *conf = NULL;
    ConfProblems problems;
    Error err = ERROR_INIT;
    assert_int_equal(conf_parse("F", TEXT, strlen(TEXT), &conf, &problems, &err), ERROR_FORMAT);
    assert_non_null(strstr(error_text(&err), "\nand "));
    assert_null(conf);
    for (size_t i = 1; i < problems.n; i++)
        assert_true(problems.items[i - 1].line <= problems.items[i].line);
    conf_problems_done(&problems);
    conf_problems_done(&problems); // forgiving
    error_done(&err);
}

static void test_too_long(void **state)
{
    size_t len = (4U << 20) + 1;
    char *bytes = malloc(len);
    assert_non_null(bytes);
    memset(bytes, ' ', len);
    Conf *conf = NULL;
    Error err = ERROR_INIT;
    assert_int_equal(conf_parse("F", bytes, len, &conf, NULL, &err), ERROR_LIMIT);
    assert_non_null(strstr(error_text(&err), "allowed: at most 4194304"));
    error_done(&err);
    free(bytes);
}

static void test_no_file(void **state)
{
    Conf *conf = NULL;
    ConfProblems problems = {.n = 7};
    Error err = ERROR_INIT;
    assert_int_equal(conf_load("/nonexistent/fleet.yaml", &conf, &problems, &err), -ENOENT);
    assert_string_equal(error_text(&err),
                        "open '/nonexistent/fleet.yaml': No such file or directory");
    assert_int_equal(problems.n, 0);
    error_done(&err);
    assert_true(conf_load("/proc/self", &conf, NULL, NULL) < 0); // a folder
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_error_text_counts),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
