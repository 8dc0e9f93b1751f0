// SPDX-License-Identifier: MIT
// module: directives, and what happens when a worker starts and every 20 ms
// after that. See ngx_http_wildcam_module.h for the parts.
#include "ngx_http_wildcam_module.h"

#include <sys/prctl.h>
#include <sys/random.h>


static ngx_int_t
ngx_http_wildcam_postconfiguration(ngx_conf_t *cf);
static void *
ngx_http_wildcam_create_main_conf(ngx_conf_t *cf);
static char *
ngx_http_wildcam_init_main_conf(ngx_conf_t *cf, void *conf);
static void *
ngx_http_wildcam_create_srv_conf(ngx_conf_t *cf);
static void *
ngx_http_wildcam_create_loc_conf(ngx_conf_t *cf);
static char *
ngx_http_wildcam_service(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static ngx_int_t
ngx_http_wildcam_init_module(ngx_cycle_t *cycle);
static ngx_int_t
                     ngx_http_wildcam_init_process(ngx_cycle_t *cycle);


static ngx_command_t ngx_http_wildcam_commands[] = {

    {ngx_string("wildcam_plan"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, NGX_HTTP_MAIN_CONF_OFFSET,
        offsetof(ngx_http_wildcam_main_conf_t, plan), NULL},

    {ngx_string("wildcam_counters"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, NGX_HTTP_MAIN_CONF_OFFSET,
        offsetof(ngx_http_wildcam_main_conf_t, counters), NULL},

    {ngx_string("wildcam_purge"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, NGX_HTTP_MAIN_CONF_OFFSET,
        offsetof(ngx_http_wildcam_main_conf_t, purge), NULL},

    {ngx_string("wildcam_region"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, NGX_HTTP_MAIN_CONF_OFFSET,
        offsetof(ngx_http_wildcam_main_conf_t, region), NULL},

    {ngx_string("wildcam_domain"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, NGX_HTTP_MAIN_CONF_OFFSET,
        offsetof(ngx_http_wildcam_main_conf_t, domain), NULL},

    {ngx_string("wildcam"), NGX_HTTP_UPS_CONF | NGX_CONF_TAKE1,
        ngx_http_wildcam_upstream, NGX_HTTP_SRV_CONF_OFFSET, 0, NULL},

    {ngx_string("wildcam_service"),
        NGX_HTTP_LOC_CONF | NGX_CONF_TAKE3 | NGX_CONF_TAKE4,
        ngx_http_wildcam_service, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("wildcam_answer"), NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
        ngx_http_wildcam_answer, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    ngx_null_command};


static ngx_http_module_t ngx_http_wildcam_module_ctx = {
    ngx_http_wildcam_add_variables,     /* preconfiguration */
    ngx_http_wildcam_postconfiguration, /* postconfiguration */

    ngx_http_wildcam_create_main_conf, /* create main configuration */
    ngx_http_wildcam_init_main_conf,   /* init main configuration */

    ngx_http_wildcam_create_srv_conf, /* create server configuration */
    NULL,                             /* merge server configuration */

    ngx_http_wildcam_create_loc_conf, /* create location configuration */
    ngx_http_wildcam_merge_loc_conf   /* merge location configuration */
};


ngx_module_t              ngx_http_wildcam_module = {NGX_MODULE_V1,
                 &ngx_http_wildcam_module_ctx,  /* module context */
                 ngx_http_wildcam_commands,     /* module directives */
                 NGX_HTTP_MODULE,               /* module type */
                 NULL,                          /* init master */
                 ngx_http_wildcam_init_module,  /* init module */
                 ngx_http_wildcam_init_process, /* init process */
                 NULL,                          /* init thread */
                 NULL,                          /* exit thread */
                 NULL,                          /* exit process */
                 NULL,                          /* exit master */
                 NGX_MODULE_V1_PADDING};


ngx_http_wildcam_worker_t ngx_http_wildcam_worker;

static ngx_event_t        tick;


static ngx_int_t
ngx_http_wildcam_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_handler_pt       *h;
    ngx_http_core_main_conf_t *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_wildcam_log_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_wildcam_precontent_handler;

    return NGX_OK;
}


static void *
ngx_http_wildcam_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_wildcam_main_conf_t));
}


static char *
ngx_http_wildcam_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_wildcam_main_conf_t *mcf;

    mcf = conf;

    if (mcf->plan.len == 0) { /* the module is loaded but not used */
        return NGX_CONF_OK;
    }

    if (mcf->region.len == 0 || mcf->domain.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
            "\"wildcam_plan\" needs \"wildcam_region\" and "
            "\"wildcam_domain\"");
        return NGX_CONF_ERROR;
    }

    if (ngx_conf_full_name(cf->cycle, &mcf->plan, 0) != NGX_OK
        || (mcf->counters.len
            && ngx_conf_full_name(cf->cycle, &mcf->counters, 0) != NGX_OK)
        || (mcf->purge.len
            && ngx_conf_full_name(cf->cycle, &mcf->purge, 0) != NGX_OK)) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_wildcam_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_wildcam_srv_conf_t));
}


static void *
ngx_http_wildcam_create_loc_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_wildcam_loc_conf_t));
}


static ngx_int_t
ngx_http_wildcam_parse_class(ngx_str_t *text, ServiceClass *ret_class)
{
    if (ngx_strcmp(text->data, "read") == 0) {
        *ret_class = SERVICE_CLASS_READ;
        return NGX_OK;
    }

    if (ngx_strcmp(text->data, "write") == 0) {
        *ret_class = SERVICE_CLASS_WRITE;
        return NGX_OK;
    }

    return NGX_ERROR;
}


/* wildcam_service NAME CLASS_OF_GET CLASS_OF_OTHERS [@location that forwards];
 */

static char *
ngx_http_wildcam_service(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                   *value;
    ngx_http_wildcam_loc_conf_t *lcf;

    lcf = conf;
    value = cf->args->elts;

    if (lcf->service.len) {
        return "is duplicate";
    }

    lcf->service = value[1];

    if (ngx_http_wildcam_parse_class(&value[2], &lcf->class_get) != NGX_OK
        || ngx_http_wildcam_parse_class(&value[3], &lcf->class_other)
               != NGX_OK) {
        return "has a class that is neither \"read\" nor \"write\"";
    }

    if (cf->args->nelts == 5) {
        if (value[4].len < 2 || value[4].data[0] != '@') {
            return "forwards to a named location, \"@name\"";
        }
        lcf->remote = value[4];
    }

    return NGX_CONF_OK;
}


static void
ngx_http_wildcam_tick(ngx_event_t *ev)
{
    Mono now;

    now = ngx_http_wildcam_now();

    ngx_http_wildcam_plan_poll(now);
    ngx_http_wildcam_purge_poll(now);
    ngx_http_wildcam_slots_tick(now);
    ngx_http_wildcam_counters_tick(now);
    ngx_http_wildcam_leave_poll();

    ngx_add_timer(ev, NGX_HTTP_WILDCAM_TICK_MS);
}


/*
 * The bucket of admitted requests (core/admit.h) belongs to all workers, those
 * of an older configuration too: one page that the master makes before it has
 * any, and never gives back.
 */

static ngx_int_t
ngx_http_wildcam_init_module(ngx_cycle_t *cycle)
{
    void *p;

    if (ngx_http_wildcam_worker.admitted) {
        return NGX_OK;
    }

    p = mmap(NULL, sizeof(int64_t), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, errno,
            "wildcam: no memory for the bucket of admitted requests");
        return NGX_ERROR;
    }

    ngx_http_wildcam_worker.admitted = p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_wildcam_init_process(ngx_cycle_t *cycle)
{
    uint64_t                      seed;
    ngx_http_wildcam_main_conf_t *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_wildcam_module);
    if (mcf == NULL || mcf->plan.len == 0) {
        return NGX_OK;
    }

    if (ngx_process == NGX_PROCESS_WORKER
        || ngx_process == NGX_PROCESS_HELPER) {
        /* a killed master must not leave children on the port */

        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1
            || getppid() != ngx_parent) {
            return NGX_ERROR;
        }
    }

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE) {
        return NGX_OK;
    }

    ngx_http_wildcam_worker.conf = mcf;
    ngx_http_wildcam_worker.log = cycle->log;

    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
        return NGX_ERROR;
    }

    ngx_http_wildcam_worker.rng = rng_seeded(seed);

    if (ngx_http_wildcam_counters_open(cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_wildcam_slots_init();

    tick.handler = ngx_http_wildcam_tick;
    tick.log = cycle->log;
    tick.data = &tick;   /* nginx's debug log looks for a connection */
    tick.cancelable = 1; /* does not keep a leaving worker alive */

    ngx_http_wildcam_tick(&tick);

    return NGX_OK;
}
