// SPDX-License-Identifier: MIT
// Every number of every section that may be left out: its limits are accepted as the table's own
// format writes them, one step outside is refused with the range, and so is a word.
#include "unit.h"

#include "conf_schema.h"
#include "conf_value.h"
#include "fixture.h"

static char *small;
static size_t n_tried;

static int64_t step_of(ConfType type)
{
    switch (type) {
    case CONF_TYPE_COUNT:
    case CONF_TYPE_PORT:
    case CONF_TYPE_SHARE: // 1 ppm has a text: 0.0001 %
    case CONF_TYPE_SIZE:
        return 1;
    case CONF_TYPE_DURATION:
        return NS_PER_US;
    default:
        return 0; // no number
    }
}

static void format(const ConfOption *option, int64_t value, Buf *text)
{
    uint32_t narrow = (uint32_t)value;
    uint16_t port = (uint16_t)value;
    const void *at = option->type == CONF_TYPE_DURATION || option->type == CONF_TYPE_SIZE
                         ? (const void *)&value
                     : option->type == CONF_TYPE_PORT ? (const void *)&port
                                                      : (const void *)&narrow;
    conf_value_format(option, at, text);
}

// The file with "path: value" added; what is said about that key, or "".
static void expect(const char *section, const char *inner, const ConfOption *option,
                   const char *value, const char *want)
{
    Buf text = BUF_INIT(0);
    buf_printf(&text, "%s%s: {", small, section);
    if (inner[0] != '\0')
        buf_printf(&text, "%s: {%s: %s}}\n", inner, option->key, value);
    else
        buf_printf(&text, "%s: %s}\n", option->key, value);
    Conf *conf = NULL;
    ConfProblems problems;
    int r = conf_parse("F", buf_text(&text), text.len, &conf, &problems, NULL);
    assert_true(r == 0 || r == ERROR_FORMAT);
    const char *got = "";
    for (size_t i = 0; i < problems.n && got[0] == '\0'; i++) {
        if (strstr(problems.items[i].text, "the minimum; allowed: ") != NULL ||
            strstr(problems.items[i].text, "the maximum; allowed: ") != NULL ||
            strstr(problems.items[i].text, ": not a ") != NULL)
            got = problems.items[i].text;
    }
    if (want[0] == '\0' ? got[0] != '\0' : strstr(got, want) == NULL)
        fail_msg("%s.%s: %s: expected '%s', got '%s'", section, option->key, value, want, got);
    conf_problems_done(&problems);
    (void)conf_free(conf);
    buf_done(&text);
    n_tried++;
}

static void try_value(const char *section, const char *inner, const ConfOption *option,
                      int64_t value, const char *want)
{
    Buf text = BUF_INIT(0);
    format(option, value, &text);
    expect(section, inner, option, buf_text(&text), want);
    buf_done(&text);
}

static void try_option(const char *section, const char *inner, const ConfOption *option)
{
    int64_t step = step_of(option->type);
    if (step == 0)
        return;
    try_value(section, inner, option, option->min, "");
    try_value(section, inner, option, option->max, "");
    expect(section, inner, option, option->fallback, "");
    expect(section, inner, option, "many", ": not a ");
    if (option->min > 0)
        try_value(section, inner, option, option->min - step, "below the minimum");
    if (option->type == CONF_TYPE_SHARE) {
        expect(section, inner, option, "100.0001 %", "above the maximum");
    } else if (option->max < UINT32_MAX || option->type == CONF_TYPE_DURATION ||
               option->type == CONF_TYPE_SIZE) {
        try_value(section, inner, option, option->max + step, "above the maximum");
    }
}

static void test_every_range(void **state)
{
    for (size_t i = 0; i < CONF_ROOT.n; i++) {
        const ConfOption *section = &CONF_ROOT.options[i];
        char line[100];
        (void)snprintf(line, sizeof line, "\n%s:", section->key);
        if (section->type != CONF_TYPE_MAP || strcmp(section->key, "fleet") == 0 ||
            strstr(small, line) != NULL)
            continue;
        for (size_t j = 0; j < section->child->n; j++) {
            const ConfOption *option = &section->child->options[j];
            if (option->type != CONF_TYPE_MAP)
                try_option(section->key, "", option);
            else
                for (size_t k = 0; k < option->child->n; k++)
                    try_option(section->key, option->key, &option->child->options[k]);
        }
    }
    print_message("%zu values tried\n", n_tried);
    assert_true(n_tried > 300);
}

int main(void)
{
    size_t len;
    small = fixture_read(CONF_TESTS "/good/small.yaml", &len);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_range)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(small);
    return failed;
}
