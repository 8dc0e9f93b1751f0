// SPDX-License-Identifier: MIT
// leave: a worker that will be told to quit soon ends its clients' kept
// connections politely: each answer says so ("Connection: close", GOAWAY).
// When nginx itself quits it closes idle connections at once, and a request
// that is on its way then is lost to a client that may not repeat it.
// Whoever replaces this nginx writes the master's pid into the file `leaving`
// beside the counters, some moments before the signal. Requests pay nothing
// for it: the worker changes its own copy of the locations' settings.
#include "ngx_http_wildcam_module.h"


static ngx_uint_t leaving;


/* Called once for each server and location. */

char *
ngx_http_wildcam_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_core_loc_conf_t    **clcf;
    ngx_http_wildcam_main_conf_t *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_wildcam_module);

    if (mcf->locations.elts == NULL
        && ngx_array_init(&mcf->locations, cf->pool, 32,
               sizeof(ngx_http_core_loc_conf_t *))
               != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_array_push(&mcf->locations);
    if (clcf == NULL) {
        return NGX_CONF_ERROR;
    }

    *clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_wildcam_leave_named(const ngx_str_t *folder)
{
    int     fd;
    char    path[NGX_MAX_PATH], text[NGX_INT64_LEN + 1];
    ssize_t n;

    (void) snprintf(path, sizeof(path), "%s/leaving", (char *) folder->data);

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd == -1) {
        return 0;
    }

    n = read(fd, text, sizeof(text) - 1);
    (void) close(fd);

    while (n > 0 && text[n - 1] == '\n') {
        n--;
    }

    return n > 0 && ngx_atoi((u_char *) text, (size_t) n) == getppid();
}


void
ngx_http_wildcam_leave_poll(void)
{
    ngx_uint_t                    i;
    ngx_http_core_loc_conf_t    **clcf;
    ngx_http_wildcam_main_conf_t *mcf;

    mcf = ngx_http_wildcam_worker.conf;

    if (leaving || mcf->counters.len == 0
        || !ngx_http_wildcam_leave_named(&mcf->counters)) {
        return;
    }

    leaving = 1;
    clcf = mcf->locations.elts;

    for (i = 0; i < mcf->locations.nelts; i++) {
        clcf[i]->keepalive_timeout = 0;
    }

    ngx_log_error(NGX_LOG_NOTICE, ngx_http_wildcam_worker.log, 0,
        "wildcam: leaving, no connection is kept");
}
