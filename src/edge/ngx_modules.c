// SPDX-License-Identifier: MIT
// ngx_modules: the three symbols nginx looks for in a module's file; its own
// build would generate them.
#include <ngx_config.h>
#include <ngx_core.h>

#define EXPORTED __attribute__((visibility("default")))

extern ngx_module_t    ngx_http_wildcam_module;

extern ngx_module_t   *ngx_modules[];
extern char           *ngx_module_names[];
extern char           *ngx_module_order[];

EXPORTED ngx_module_t *ngx_modules[] = {&ngx_http_wildcam_module, NULL};
EXPORTED char *ngx_module_names[] = {(char *) "ngx_http_wildcam_module", NULL};
EXPORTED char *ngx_module_order[] = {NULL};
