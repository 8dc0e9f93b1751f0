// SPDX-License-Identifier: MIT
// edge_conf: the frame: process, http level, maps, upstreams. The two servers
// are in edge_conf_public.c and edge_conf_peer.c. Every path is in the
// region's folder, so that nginx runs as any user; nothing of /etc/nginx is
// read.
#include "edge_conf.h"

#include <inttypes.h>
#include <string.h>

#include "edge_conf_parts.h"
#include "hash.h"

#define TRIES 3 // of one upstream: the replicas, then other gateways

const char *edge_conf_host(const EdgeConf *e, char text[IP_TEXT_MAX + 2])
{
    bool v6 = strchr(e->region->address, ':') != NULL;
    (void)snprintf(text, IP_TEXT_MAX + 2, v6 ? "[%s]" : "%s", e->region->address);
    return text;
}

void edge_conf_request_headers(const EdgeConf *e, const char *indent, const char *more)
{
    buf_printf(e->buf,
               "%sproxy_set_header Connection \"\";\n"
               "%sproxy_set_header Host api.%s;\n"
               "%sproxy_set_header X-Forwarded-Proto https;\n"
               "%sproxy_set_header traceparent $wildcam_traceparent;\n",
               indent, indent, e->conf->model.domain, indent, indent);
    buf_add_text(e->buf, more);
}

void edge_conf_answer_headers(const EdgeConf *e, const char *indent, const char *more)
{
    const char *const names[][2] = {
        {"Wildcam-Region", "$wildcam_region"},
        {"Wildcam-Replica", "$wildcam_replica"},
        {"Wildcam-Edge", e->region->name},
        {"Wildcam-Plan", "$wildcam_plan"},
        {"X-Cache", "$wildcam_cache"},
        {"traceparent", "$wildcam_traceparent"},
        {"Strict-Transport-Security", "\"max-age=31536000\""},
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Security-Policy", "\"default-src 'none'; frame-ancestors 'none'\""},
        {"Referrer-Policy", "no-referrer"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        buf_printf(e->buf, "%sadd_header %s %s always;\n", indent, names[i][0], names[i][1]);
    buf_add_text(e->buf, more);
}

static void write_process(const EdgeConf *e)
{
    const ConfEdge *edge = &e->conf->edge;
    const char *dir = e->paths->dir, *name = e->region->name;
    buf_printf(e->buf,
               "# Written by wildcam-edge-conf for region %s, generation %u of "
               "fleet.yaml (%016" PRIx64 "): "
               "change that file, not this one.\n"
               "load_module \"%s\";\n"
               "daemon off;\n",
               name, e->conf->model.generation, e->conf->model.config_hash, e->paths->module);
    if (e->paths->user != NULL)
        buf_printf(e->buf, "user %s;\n", e->paths->user);
    buf_printf(e->buf,
               "worker_processes %u;\n"
               "worker_shutdown_timeout 10s;\n"
               "pid \"%s/%s/edge/nginx.pid\";\n"
               "lock_file \"%s/%s/edge/nginx.lock\";\n"
               "error_log \"%s/%s/log/nginx.log\" notice;\n"
               "events { worker_connections %u; }\n",
               edge->workers, dir, name, dir, name, dir, name, edge->connections);
}

static void write_maps(const EdgeConf *e)
{
    const Model *model = &e->conf->model;
    buf_add_text(e->buf, "    # verified subject -> role and who; exact, so "
                         "that nothing smuggled "
                         "into a name matches\n"
                         "    map $ssl_client_s_dn $peer {\n"
                         "        default \"\";\n");
    for (uint32_t i = 0; i < model->n_regions; i++)
        buf_printf(e->buf, "        \"CN=%s,OU=gateway,O=wildcam\" \"gateway:%s\";\n",
                   model->regions[i].name, model->regions[i].name);
    buf_add_text(e->buf, "        "
                         "\"~^CN=(?<who>[A-Za-z0-9._-]+),OU=(?<role>viewer|operator|admin),"
                         "O=wildcam$\" \"$role:$who\";\n"
                         "    }\n"
                         "    map $peer $is_gateway { default 0; \"~^gateway:\" 1; }\n"
                         "    map \"$request_method $peer\" $may_operate {\n"
                         "        default 0;\n"
                         "        \"~^(GET|HEAD) (viewer|operator|admin):\" 1;\n"
                         "        \"~^[A-Z]+ (operator|admin):\" 1;\n"
                         "    }\n"
                         "    map \"$request_method $peer\" $may_see_rows {\n"
                         "        default 0;\n"
                         "        \"~^(GET|HEAD) (gateway|viewer|operator|admin):\" 1;\n"
                         "    }\n"
                         "    map $upstream_cache_status $wildcam_cache { default "
                         "$upstream_cache_status; "
                         "\"\" NONE; }\n"
                         "    # stored only when the origin says so\n"
                         "    map $upstream_http_cache_control $wildcam_uncacheable {\n"
                         "        default 1;\n"
                         "        \"~*(no-store|no-cache|private)\" 1;\n"
                         "        \"~*(public|s-maxage=[1-9]|max-age=[1-9])\" 0;\n"
                         "    }\n");
}

static void write_logs(const EdgeConf *e)
{
    buf_add_text(e->buf, "    log_format refused '$msec $remote_addr $ssl_client_verify "
                         "\"$ssl_client_s_dn\"';\n");
    if (!e->paths->access_log) {
        buf_add_text(e->buf, "    access_log off;\n");
        return;
    }
    buf_printf(e->buf,
               "    log_format access escape=json "
               "'{\"ts\":\"$time_iso8601\",\"level\":\"info\","
               "\"component\":\"edge\",\"region\":\"%s\",\"msg\":\"request\",'\n"
               "        '\"client\":\"$remote_addr\",\"method\":\"$request_method\","
               "\"uri\":\"$request_uri\",\"status\":$status,\"bytes\":$body_bytes_"
               "sent,'\n"
               "        '\"seconds\":$request_time,\"replica\":\"$wildcam_replica\","
               "\"upstream\":\"$upstream_addr\",\"cache\":\"$wildcam_cache\","
               "\"trace\":\"$wildcam_trace_id\"}';\n"
               "    access_log \"%s/%s/log/access.log\" access buffer=64k "
               "flush=1s;\n",
               e->region->name, e->paths->dir, e->region->name);
}

static void write_wildcam(const EdgeConf *e)
{
    const char *dir = e->paths->dir, *name = e->region->name;
    buf_printf(e->buf,
               "    wildcam_region %s;\n"
               "    wildcam_domain %s;\n"
               "    wildcam_plan \"%s/%s/plan\";\n"
               "    wildcam_counters \"%s/%s/counters\";\n"
               "    wildcam_purge \"%s/%s/edge/purge\";\n",
               name, e->conf->model.domain, dir, name, dir, name, dir, name);
}

static void write_upstreams(const EdgeConf *e)
{
    buf_printf(e->buf,
               "    upstream replicas { wildcam replicas; keepalive 256; "
               "keepalive_requests "
               "1000000; keepalive_timeout 60s; }\n"
               "    # shorter than the other side's keepalive_time, so that we close "
               "first\n"
               "    upstream gateways { wildcam gateways; keepalive 256; "
               "keepalive_requests "
               "1000000; keepalive_timeout 30s; keepalive_time 270s; }\n"
               "    upstream agent { server \"unix:%s/agent.sock\"; keepalive 8; "
               "keepalive_timeout 60s; }\n"
               "    upstream rows { server \"unix:%s/rows.sock\"; keepalive 2; "
               "keepalive_timeout 60s; }\n",
               e->paths->sockets, e->paths->sockets);
}

static void write_limits(const EdgeConf *e)
{
    const ConfEdge *edge = &e->conf->edge;
    uint64_t header = edge->max_header_bytes / 4;
    buf_printf(e->buf,
               "    client_max_body_size %llu;\n"
               "    client_body_buffer_size 64k;\n"
               "    client_header_buffer_size 1k;\n"
               "    large_client_header_buffers 4 %llu;\n"
               "    client_header_timeout %lldms;\n"
               "    client_body_timeout %lldms;\n"
               "    send_timeout %lldms;\n"
               "    keepalive_timeout %lldms;\n"
               "    keepalive_requests 1000000;\n",
               (unsigned long long)edge->max_body_bytes,
               (unsigned long long)(header < 1024 ? 1024 : header),
               EDGE_MS(edge->client_header_timeout_ns), EDGE_MS(edge->client_body_timeout_ns),
               EDGE_MS(edge->client_body_timeout_ns), EDGE_MS(edge->keepalive_ns));
    if (edge->connections_per_client > 0)
        buf_add_text(e->buf, "    limit_conn_zone $binary_remote_addr zone=clients:4m;\n"
                             "    limit_conn_status 429;\n");
}

static void write_proxy(const EdgeConf *e)
{
    const ConfEdge *edge = &e->conf->edge;
    const char *dir = e->paths->dir, *name = e->region->name;
    buf_printf(e->buf,
               "    proxy_http_version 1.1;\n"
               "    proxy_connect_timeout %lldms;\n"
               "    proxy_read_timeout %lldms;\n"
               "    proxy_send_timeout %lldms;\n"
               "    # what may be tried again is decided per request by the module: "
               "see "
               "$wildcam_next\n"
               "    proxy_next_upstream error timeout invalid_header http_500 "
               "http_502 http_503 "
               "http_504;\n"
               "    proxy_next_upstream_tries %d;\n"
               "    proxy_next_upstream_timeout %lldms;\n"
               "    proxy_intercept_errors on;\n"
               "    recursive_error_pages on;\n"
               "    proxy_ssl_certificate \"%s/pki/%s/peer.pem\";\n"
               "    proxy_ssl_certificate_key \"%s/pki/%s/peer.key\";\n"
               "    proxy_ssl_trusted_certificate \"%s/pki/ca.pem\";\n"
               "    proxy_ssl_verify on;\n"
               "    proxy_ssl_server_name on;\n"
               "    proxy_ssl_name $wildcam_tls_name;\n"
               "    proxy_ssl_protocols TLSv1.3;\n"
               "    proxy_ssl_session_reuse off;\n",
               EDGE_MS(edge->connect_timeout_ns), EDGE_MS(edge->read_timeout_ns),
               EDGE_MS(edge->read_timeout_ns), TRIES, EDGE_MS(edge->read_timeout_ns + NS_PER_S),
               dir, name, dir, name, dir);
    edge_conf_hide_headers(e, "    ");
}

static void write_cache(const EdgeConf *e)
{
    const char *dir = e->paths->dir, *name = e->region->name;
    buf_printf(e->buf,
               "    proxy_cache_path \"%s/%s/edge/cache\" levels=1:2 "
               "keys_zone=edge:8m "
               "max_size=%llu inactive=24h use_temp_path=off;\n"
               "    # one number in every key: raising it purges everything at once\n"
               "    proxy_cache_key \"$wildcam_cache_generation $request_uri\";\n"
               "    proxy_cache_revalidate on;\n"
               "    proxy_cache_background_update on;\n"
               "    open_file_cache max=1024 inactive=60s;\n",
               dir, name, (unsigned long long)e->conf->edge.cache_bytes);
}

static void write_tls(const EdgeConf *e)
{
    const char *dir = e->paths->dir, *name = e->region->name;
    buf_printf(e->buf,
               "    ssl_certificate \"%s/pki/%s/edge.pem\";\n"
               "    ssl_certificate_key \"%s/pki/%s/edge.key\";\n"
               "    ssl_protocols TLSv1.2 TLSv1.3;\n"
               "    ssl_ciphers "
               "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
               "ECDHE-ECDSA-CHACHA20-POLY1305;\n"
               "    ssl_prefer_server_ciphers off;\n"
               "    ssl_buffer_size 4k;\n",
               dir, name, dir, name);
}

static void write_http(const EdgeConf *e)
{
    const char *dir = e->paths->dir, *name = e->region->name;
    buf_add_text(e->buf, "http {\n");
    for (const char *const *kind =
             (const char *const[]){"client_body", "proxy", "fastcgi", "uwsgi", "scgi", NULL};
         *kind != NULL; kind++)
        buf_printf(e->buf, "    %s_temp_path \"%s/%s/edge/tmp/%s\";\n", *kind, dir, name, *kind);
    buf_add_text(e->buf, "    server_tokens off;\n"
                         "    default_type application/json;\n"
                         "    sendfile on;\n");
    write_logs(e);
    write_wildcam(e);
    write_maps(e);
    write_upstreams(e);
    write_limits(e);
    write_tls(e);
    write_proxy(e);
    write_cache(e);
    edge_conf_public_server(e);
    edge_conf_peer_server(e);
    buf_add_text(e->buf, "}\n");
}

// nginx reads these inside quotes too, or ends the quote at them.
static int check_path(const char *what, const char *path, Error *reterr)
{
    if (path[0] != '/')
        return error_set(reterr, ERROR_FORMAT, "%s '%s': must be absolute", what, path);
    for (const char *at = path; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || strchr("\"\\$;{}'", *at) != NULL)
            return error_hint(reterr,
                              error_set(reterr, ERROR_FORMAT,
                                        "%s '%s': nginx cannot be given this path", what, path),
                              "Use a path without quotes, backslash, $, ; and braces.");
    return 0;
}

// The digest of the text behind its first line goes to where the health answer says it: whoever
// changes the file learns from outside whether nginx has taken it, and whether it has to.
static void stamp(Buf *buf, size_t from)
{
    if (buf_check(buf) < 0)
        return;
    char digest[17], *first = strchr(buf->data + from, '\n');
    char *place = strstr(buf->data + from, EDGE_CONF_DIGEST_HEADER " " EDGE_CONF_NO_DIGEST);
    ASSERT(first != NULL && place != NULL);
    (void)snprintf(digest, sizeof digest, "%016" PRIx64, hash_mix(hash_text(HASH_SEED, first + 1)));
    memcpy(place + strlen(EDGE_CONF_DIGEST_HEADER " "), digest, sizeof digest - 1);
}

int edge_conf_write(const Conf *conf, uint32_t region, const EdgeConfPaths *paths, Buf *buf,
                    Error *reterr)
{
    ASSERT(region < conf->model.n_regions);
    int r;
    if ((r = check_path("state folder", paths->dir, reterr)) < 0 ||
        (r = check_path("folder of sockets", paths->sockets, reterr)) < 0 ||
        (r = check_path("nginx module", paths->module, reterr)) < 0)
        return r;
    size_t from = buf->len;
    EdgeConf e = {
        .conf = conf,
        .region = &conf->model.regions[region],
        .local = &conf->regions[region],
        .paths = paths,
        .buf = buf,
    };
    write_process(&e);
    write_http(&e);
    stamp(buf, from);
    r = buf_check(buf);
    return r < 0 ? error_set(reterr, r, "nginx configuration: %s", error_code_text(r)) : 0;
}

void edge_conf_hide_headers(const EdgeConf *e, const char *indent)
{
    static const char *const HEADERS[] = {"Wildcam-Region", "Wildcam-Replica", "Wildcam-Edge",
                                          "Wildcam-Plan",   "X-Cache",         "traceparent",
                                          "Wildcam-Shed"};
    for (size_t i = 0; i < ARRAY_SIZE(HEADERS); i++)
        buf_printf(e->buf, "%sproxy_hide_header %s;\n", indent, HEADERS[i]);
}
