// SPDX-License-Identifier: MIT
// The API's page and its routes say the same: every route is on the page with its method, and the
// page names nothing else.
#include <stdio.h>
#include <string.h>

#include "api_state.h"
#include "unit.h"

// The page as text; embedded bytes have no end mark.
static const char *page(void)
{
    static char text[64 << 10];
    assert_true(OPENAPI_YAML_LEN < sizeof(text));
    memcpy(text, OPENAPI_YAML, OPENAPI_YAML_LEN);
    return text;
}

// "/v1/clouds/*" is "/v1/clouds/{name}" there.
static void page_path(const char *route, char *out, size_t size)
{
    size_t len = strlen(route);
    bool open = len && route[len - 1] == '*';
    snprintf(out, size, "\n  %.*s%s:\n", (int)(open ? len - 1 : len), route, open ? "{name}" : "");
}

static void test_every_route_is_on_the_page(void **state)
{
    (void)state;
    for (size_t i = 0; i < API_ROUTES_COUNT; i++) {
        const HttpRoute *route = &API_ROUTES[i];
        char path[256], method[16] = "    ";
        page_path(route->path, path, sizeof(path));
        const char *at = strstr(page(), path);
        if (!at)
            fail_msg("'%s' is not on the page", route->path);
        const char *next = strstr(at + 3, "\n  /");
        for (size_t k = 0; route->method[k]; k++)
            snprintf(method + 4 + k, sizeof(method) - 4 - k, "%c", route->method[k] | 0x20);
        strcat(method, ":\n");
        const char *found = strstr(at, method);
        if (!found || (next && found > next))
            fail_msg("'%s %s' is not on the page", route->method, route->path);
    }
}

static bool is_route(const char *path, size_t len)
{
    for (size_t i = 0; i < API_ROUTES_COUNT; i++) {
        char known[256];
        page_path(API_ROUTES[i].path, known, sizeof(known));
        if (strlen(known) == len + 5 && strncmp(known + 3, path, len) == 0)
            return true;
    }
    return false;
}

static void test_the_page_names_nothing_else(void **state)
{
    (void)state;
    unsigned n = 0;
    for (const char *at = page(); (at = strstr(at, "\n  /")); at += 4) {
        size_t len = strcspn(at + 3, ":");
        if (!is_route(at + 3, len))
            fail_msg("'%.*s' is no route", (int)len, at + 3);
        n++;
    }
    assert_true(n >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_is_on_the_page),
        cmocka_unit_test(test_the_page_names_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
