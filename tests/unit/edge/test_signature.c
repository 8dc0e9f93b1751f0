// SPDX-License-Identifier: MIT
// The module must have been built against the nginx that is installed: same version, same signature
// (sizes and build features, src/core/ngx_module.h). Both stand in the files as texts.
#include <nginx.h>
#include <ngx_config.h>
#include <ngx_core.h>

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "files.h"

static const char *module_path, *nginx_path;

static bool has_text(const char *path, const char *text)
{
    char *bytes CLEANUP(alloc_freep) = NULL;
    size_t len;
    Error err CLEANUP(error_done) = ERROR_INIT;
    if (files_read(path, 64U << 20, &bytes, &len, &err) < 0)
        fail_msg("%s", error_text(&err));
    return memmem(bytes, len, text, strlen(text) + 1) != NULL;
}

static void module_has_the_signature_of_nginx(void **state)
{
    assert_true(has_text(module_path, NGX_MODULE_SIGNATURE));
    assert_true(has_text(nginx_path, NGX_MODULE_SIGNATURE));
}

static void headers_have_the_version_of_nginx(void **state)
{
    assert_true(has_text(nginx_path, NGINX_VER));
    assert_false(has_text(nginx_path, "nginx/0.0.0"));
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    module_path = argv[1];
    nginx_path = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(module_has_the_signature_of_nginx),
        cmocka_unit_test(headers_have_the_version_of_nginx),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
