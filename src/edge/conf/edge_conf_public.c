// SPDX-License-Identifier: MIT
// edge_conf_public: the listeners for everybody: HTTPS, and HTTP that only
// redirects. A request goes to a replica of this region; what no replica can
// serve goes on to one other gateway (@remote_*), chosen by the module; what
// nobody can serve is answered by @failed. Health is answered by nginx itself,
// so that it says "this gateway serves" and nothing about the agent.
#include <string.h>

#include "edge_conf_parts.h"

static const ConfCacheRule *rule_of(const EdgeConf *e, const char *name)
{
    for (uint32_t i = 0; i < e->conf->edge.n_cache_rules; i++)
        if (strcmp(e->conf->edge.cache_rules[i].name, name) == 0)
            return &e->conf->edge.cache_rules[i];
    return NULL;
}

static bool stores(const ConfCacheRule *rule)
{
    return rule != NULL && rule->ttl_ns > 0;
}

const char *edge_conf_class(ServiceClass class_)
{
    return class_ == SERVICE_CLASS_READ ? "read" : "write";
}

#define FOREIGN_HEADERS                                                                            \
    "X-Accel-Redirect X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset "                       \
    "X-Accel-Expires"

// `last`: no other region is left to ask, so an old answer is better than
// none.
static void write_cache(const EdgeConf *e, const ConfCacheRule *rule, bool last)
{
    if (!stores(rule))
        return;
    long long seconds = (long long)(rule->ttl_ns / NS_PER_S);
    buf_add_text(e->buf, "            proxy_cache edge;\n");
    if (rule->immutable) {
        buf_printf(e->buf,
                   "            proxy_ignore_headers Cache-Control Expires "
                   "Set-Cookie "
                   "Vary " FOREIGN_HEADERS ";\n"
                   "            proxy_hide_header Cache-Control;\n"
                   "            proxy_hide_header Set-Cookie;\n"
                   "            proxy_cache_valid 200 206 301 308 %llds;\n"
                   "            proxy_cache_valid 404 10s;\n"
                   "            proxy_cache_lock on;\n"
                   "            proxy_force_ranges on;\n",
                   seconds);
        edge_conf_hide_headers(e, "            "); // a level that hides one inherits none
        char more[160];
        (void)snprintf(more, sizeof more,
                       "            add_header Cache-Control \"public, max-age=%lld, "
                       "immutable\";\n",
                       seconds);
        edge_conf_answer_headers(e, "            ", more);
    } else {
        buf_printf(e->buf, "            proxy_cache_valid 200 %llds;\n", seconds);
        if (rule->if_cacheable)
            buf_add_text(e->buf, "            proxy_no_cache $wildcam_uncacheable "
                                 "$http_authorization;\n"
                                 "            proxy_cache_bypass $http_authorization;\n");
    }
    // The immutable cannot be out of date. Anything else: first another
    // region, then the old answer.
    if (rule->immutable || last)
        buf_add_text(e->buf, "            proxy_cache_use_stale error timeout "
                             "updating http_500 "
                             "http_502 http_503 http_504;\n");
}

static void write_pass(const EdgeConf *e, const ConfService *service, const ConfRoute *route)
{
    buf_printf(e->buf, "            wildcam_service %s %s %s @remote_%s_%s;\n", service->name,
               edge_conf_class(route->class_for_get), edge_conf_class(route->class_for_other),
               service->name, route->cache);
    write_cache(e, rule_of(e, route->cache), false);
    buf_add_text(e->buf, "            proxy_pass http://replicas;\n");
}

void edge_conf_location(const EdgeConf *e, const ConfRoute *route)
{
    size_t len = strlen(route->path);
    bool below = len > 0 && route->path[len - 1] == '*';
    buf_printf(e->buf, "        location %s\"%.*s\" {\n", below ? "" : "= ",
               (int)(below ? len - 1 : len), route->path);
}

static void write_route(const EdgeConf *e, const ConfService *service, const ConfRoute *route)
{
    edge_conf_location(e, route);
    write_pass(e, service, route);
    buf_add_text(e->buf, "        }\n");
}

static bool is_first_with_cache(const ConfService *service, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (strcmp(service->routes[i].cache, service->routes[at].cache) == 0)
            return false;
    return true;
}

// One a service and cache rule; the class is the request's, from where it
// came.
static void write_remotes(const EdgeConf *e, const ConfService *service)
{
    char host[IP_TEXT_MAX + 2];
    for (uint32_t i = 0; i < service->n_routes; i++) {
        const ConfRoute *route = &service->routes[i];
        if (!is_first_with_cache(service, i))
            continue;
        buf_printf(e->buf,
                   "        location @remote_%s_%s {\n"
                   "            wildcam_service %s %s %s;\n",
                   service->name, route->cache, service->name,
                   edge_conf_class(route->class_for_get), edge_conf_class(route->class_for_other));
        edge_conf_request_headers(e, "            ",
                                  "            proxy_set_header X-Forwarded-For $remote_addr;\n"
                                  "            proxy_set_header Wildcam-Hop 1;\n"
                                  "            proxy_set_header Wildcam-Peer \"\";\n");
        write_cache(e, rule_of(e, route->cache), true);
        buf_printf(e->buf,
                   "            proxy_bind %s;\n"
                   "            proxy_pass https://gateways;\n"
                   "        }\n",
                   edge_conf_host(e, host));
    }
}

bool edge_conf_has_catch_all(const Conf *conf)
{
    for (uint32_t i = 0; i < conf->model.n_services; i++)
        for (uint32_t k = 0; k < conf->services[i].n_routes; k++)
            if (strcmp(conf->services[i].routes[k].path, "/*") == 0)
                return true;
    return false;
}

// Its service only says that the request is to be counted.
void edge_conf_failed(const EdgeConf *e, const char *answer)
{
    buf_printf(e->buf,
               "        location @failed { wildcam_service %s read write; "
               "wildcam_answer %s; "
               "}\n",
               e->conf->model.n_services > 0 ? e->conf->services[0].name : "none", answer);
}

static void write_locations(const EdgeConf *e)
{
    const Conf *conf = e->conf;
    buf_printf(e->buf,
               "        location = /.well-known/wildcam/health {\n"
               "            access_log off;\n"
               "            default_type text/plain;\n"
               "            add_header Wildcam-Edge %s always;\n"
               "            add_header " EDGE_CONF_DIGEST_HEADER " " EDGE_CONF_NO_DIGEST
               " always;\n"
               "            return 200 \"ok\\n\";\n"
               "        }\n"
               "        location /.well-known/wildcam/ { return 404; }\n",
               e->region->name);
    for (uint32_t i = 0; i < conf->model.n_services; i++)
        for (uint32_t k = 0; k < conf->services[i].n_routes; k++)
            write_route(e, &conf->services[i], &conf->services[i].routes[k]);
    if (!edge_conf_has_catch_all(conf))
        buf_add_text(e->buf, "        location / { return 404; }\n");
    for (uint32_t i = 0; i < conf->model.n_services; i++)
        write_remotes(e, &conf->services[i]);
    edge_conf_failed(e, "failed");
}

static void write_redirect(const EdgeConf *e)
{
    char host[IP_TEXT_MAX + 2];
    if (e->local->http_port == 0)
        return;
    buf_printf(e->buf,
               "    server {\n"
               "        listen %s:%u backlog=1024;\n"
               "        location /.well-known/acme-challenge/ { default_type "
               "text/plain; root "
               "\"%s/%s/edge/acme\"; }\n"
               "        location / { return 308 https://$host:%u$request_uri; }\n"
               "    }\n",
               edge_conf_host(e, host), e->local->http_port, e->paths->dir, e->region->name,
               e->region->edge_port);
}

void edge_conf_public_server(const EdgeConf *e)
{
    char host[IP_TEXT_MAX + 2];
    buf_printf(e->buf,
               "    server {\n"
               "        listen %s:%u ssl http2 backlog=4096;\n"
               "        ssl_session_cache shared:tls:2m;\n"
               "        ssl_session_timeout 10m;\n",
               edge_conf_host(e, host), e->region->edge_port);
    if (e->conf->edge.connections_per_client > 0)
        buf_printf(e->buf, "        limit_conn clients %u;\n",
                   e->conf->edge.connections_per_client);
    buf_add_text(e->buf, "        proxy_ignore_headers " FOREIGN_HEADERS ";\n"
                         "        error_page 500 502 503 504 529 = $wildcam_next;\n");
    edge_conf_request_headers(e, "        ",
                              "        proxy_set_header X-Forwarded-For $remote_addr;\n"
                              "        proxy_set_header Wildcam-Hop \"\";\n"
                              "        proxy_set_header Wildcam-Peer \"\";\n");
    edge_conf_answer_headers(e, "        ", "");
    write_locations(e);
    buf_add_text(e->buf, "    }\n");
    write_redirect(e);
}
