// SPDX-License-Identifier: MIT
// The table of options is complete and sane; docs/fleet-yaml.md is what it says.
#include "unit.h"

#include <ctype.h>

#include "conf_page.h"
#include "conf_schema.h"
#include "conf_value.h"
#include "fixture.h"

static size_t n_options;

static void check_option(const ConfSection *section, const ConfOption *option)
{
    n_options++;
    if (option->text == NULL || strlen(option->text) < 3 || option->reason == NULL ||
        strlen(option->reason) < 3)
        fail_msg("%s.%s has no text or no reason for its limits", section->name, option->key);
    for (const char *at = option->key; *at != '\0'; at++)
        assert_true(islower((unsigned char)*at) || *at == '_');
    assert_true(option->type < CONF_TYPE_MAX);
    assert_true(option->min <= option->max);
    assert_true((option->child != NULL) ==
                (option->type == CONF_TYPE_MAP || option->type == CONF_TYPE_LIST));
    assert_true((option->choices != NULL) == (option->type == CONF_TYPE_CHOICE));
    Buf allowed = BUF_INIT(0);
    conf_value_allowed(option, &allowed);
    assert_true(allowed.len > 0);
    buf_done(&allowed);
}

static void check_section(const ConfSection *section)
{
    assert_true(section->n > 0 && section->n <= 64);
    assert_true(strlen(section->text) > 5);
    for (size_t i = 0; i < section->n; i++) {
        const ConfOption *option = &section->options[i];
        check_option(section, option);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(section->options[j].key, option->key);
        if (option->type == CONF_TYPE_LIST)
            assert_true(option->child->size > 0);
        if (option->child != NULL)
            check_section(option->child);
    }
}

static void test_every_option_is_explained(void **state)
{
    check_section(&CONF_ROOT);
    assert_true(n_options > 100);
}

// Contracts: these sections all exist, even where their part of the program comes later.
static void test_sections(void **state)
{
    static const char *const NAMES[] = {
        "fleet",   "clients", "clouds",    "regions",  "services",   "health",
        "quorum",  "clock",   "dns",       "edge",     "objectives", "rows",
        "objects", "budgets", "prices",    "rollouts", "scaling",    "certificates",
        "secrets", "backups", "telemetry", "drills",
    };
    assert_int_equal(CONF_ROOT.n, sizeof NAMES / sizeof NAMES[0]);
    for (size_t i = 0; i < CONF_ROOT.n; i++) {
        size_t j = 0;
        while (j < CONF_ROOT.n && strcmp(CONF_ROOT.options[j].key, NAMES[i]) != 0)
            j++;
        assert_true(j < CONF_ROOT.n);
    }
}

static void test_page_is_the_table(void **state)
{
    Buf page = BUF_INIT(0);
    assert_int_equal(conf_page(&page), 0);
    size_t len;
    char *stored = fixture_read(FLEET_PAGE, &len);
    size_t line = 1;
    for (size_t i = 0; i < len && i < page.len && stored[i] == page.data[i]; i++)
        line += stored[i] == '\n';
    if (strcmp(stored, buf_text(&page)) != 0)
        fail_msg("docs/fleet-yaml.md differs from the table at line %zu: run ninja "
                 "fleet-yaml-page in the build folder",
                 line);
    free(stored);
    buf_done(&page);
}

// Every key of the table stands in the shipped file or has a default, and the shipped file shows
// every section.
static void test_shipped_file_shows_every_section(void **state)
{
    size_t len;
    char *text = fixture_read(SHIPPED_FLEET, &len);
    for (size_t i = 0; i < CONF_ROOT.n; i++) {
        char line[100];
        (void)snprintf(line, sizeof line, "\n%s:\n", CONF_ROOT.options[i].key);
        if (strstr(text, line) == NULL)
            fail_msg("fleet.yaml has no section '%s'", CONF_ROOT.options[i].key);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_option_is_explained),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_page_is_the_table),
        cmocka_unit_test(test_shipped_file_shows_every_section),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
