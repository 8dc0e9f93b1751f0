// SPDX-License-Identifier: MIT
// edge_conf_peer: the listener between regions and for operators, with mutual
// TLS. One hop holds by construction: nothing here has an upstream outside
// this region. It keeps no TLS sessions, since a resumed one would let an
// expired certificate in, and bounds the age of a connection for the same
// reason. A gateway may forward and report; an operator may use the agent's
// API; neither may both.
#include "edge_conf_parts.h"

static void write_agent(const EdgeConf *e, const char *location, const char *variable,
                        const char *more)
{
    buf_printf(e->buf,
               "        location %s {\n"
               "            if (%s = 0) { return 496; }\n"
               "%s"
               "            proxy_intercept_errors off;\n"
               "            proxy_pass http://agent;\n"
               "        }\n",
               location, variable, more);
}

// The region's part of the mesh of databases, as its daemon tells it.
static void write_rows(const EdgeConf *e, const char *location, const char *variable,
                       const char *path)
{
    buf_printf(e->buf,
               "        location = %s {\n"
               "            if (%s = 0) { return 496; }\n"
               "            proxy_intercept_errors off;\n"
               "            proxy_pass http://rows%s;\n"
               "        }\n",
               location, variable, path);
}

// What another region's edge could not serve: our replicas, or no answer;
// never a third region.
static void write_forwarded(const EdgeConf *e)
{
    const Conf *conf = e->conf;
    for (uint32_t i = 0; i < conf->model.n_services; i++)
        for (uint32_t k = 0; k < conf->services[i].n_routes; k++) {
            const ConfRoute *route = &conf->services[i].routes[k];
            edge_conf_location(e, route);
            buf_printf(e->buf,
                       "            if ($is_gateway = 0) { return 496; }\n"
                       "            wildcam_service %s %s %s;\n"
                       "            proxy_pass http://replicas;\n"
                       "        }\n",
                       conf->services[i].name, edge_conf_class(route->class_for_get),
                       edge_conf_class(route->class_for_other));
        }
    if (!edge_conf_has_catch_all(conf))
        buf_add_text(e->buf, "        location / { return 404; }\n");
    edge_conf_failed(e, "failed_peer");
}

void edge_conf_peer_server(const EdgeConf *e)
{
    char host[IP_TEXT_MAX + 2];
    const char *dir = e->paths->dir, *name = e->region->name;
    buf_printf(e->buf,
               "    server {\n"
               "        listen %s:%u ssl backlog=4096;\n"
               "        keepalive_time 300s;\n"
               "        ssl_client_certificate \"%s/pki/ca.pem\";\n"
               "        ssl_verify_client on;\n"
               "        ssl_verify_depth 1;\n"
               "        ssl_session_cache off;\n"
               "        ssl_session_tickets off;\n"
               "        # 496: no certificate, or none that allows it; 403 would "
               "catch a replica's own\n"
               "        error_page 495 496 = @refused;\n"
               "        error_page 500 502 503 504 529 = $wildcam_next;\n"
               "        location @refused { access_log \"%s/%s/log/refused.log\" "
               "refused if=$ssl_client_s_dn; " // strangers without any certificate are only counted
               "wildcam_answer refused; }\n"
               "        if ($peer = \"\") { return 496; }\n",
               edge_conf_host(e, host), e->region->peer_port, dir, dir, name);
    edge_conf_request_headers(e, "        ",
                              "        proxy_set_header X-Forwarded-For $http_x_forwarded_for;\n"
                              "        proxy_set_header Wildcam-Hop 1;\n"
                              "        proxy_set_header Wildcam-Peer $peer;\n");
    buf_add_text(e->buf, "        add_header Wildcam-Region $wildcam_region always;\n"
                         "        add_header Wildcam-Replica $wildcam_replica always;\n");
    buf_add_text(e->buf, "        location = /.well-known/wildcam/health { access_log off; "
                         "default_type text/plain; return 200 \"ok\\n\"; }\n");
    write_agent(e, "= /.well-known/wildcam/report", "$is_gateway",
                "            client_max_body_size 64k;\n");
    buf_add_text(e->buf, "        location /.well-known/wildcam/ { return 404; }\n");
    write_agent(e, "/v1/", "$may_operate", "            client_max_body_size 64k;\n");
    write_agent(e, "= /metrics", "$may_operate", "");
    write_rows(e, "/wildcam/rows", "$may_see_rows", "/v1/rows");
    write_rows(e, "/metrics/rows", "$may_operate", "/metrics");
    buf_add_text(e->buf, "        location = /metrics/edge { if ($may_operate "
                         "= 0) { return 496; } "
                         "wildcam_answer metrics; }\n"
                         "        location = /v1/edge/purge { if "
                         "($may_operate = 0) { return 496; "
                         "} wildcam_answer purge; }\n");
    write_forwarded(e);
    buf_add_text(e->buf, "    }\n");
}
