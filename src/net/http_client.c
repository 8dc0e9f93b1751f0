// SPDX-License-Identifier: MIT
// http_client: see http_client.h. A request owns its curl handle and is in the client's list from
// http_client_send until just before its `done`; curl's own timeout is not used for the whole
// request, because it would also fire when the answer already waits in the socket (curl_loop.h).
// `done` may send, cancel and free the client: nothing of the client is touched after the last one.
#include "http_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bounds.h"
#include "buf.h"
#include "clock.h"
#include "curl_loop.h"
#include "http_client_tls.h"

#define TIMEOUT_DEFAULT_NS (30 * NS_PER_S)
#define CONNECTIONS_PER_HOST 8

struct HttpRequest {
    HttpClient *client;
    HttpRequest *previous, *next;
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    HttpDone *done;
    void *context;
    Mono sent, deadline;
    int64_t timeout_ns;
    Buf body;
    char error[CURL_ERROR_SIZE];
};

struct HttpClient {
    CurlLoop *loop;
    HttpClientTls *tls;
    char *source; // "host!ADDRESS" for curl
    bool tls13_only, freed;
    CURLSH *sessions; // of TLS, kept for all requests; NULL: none is resumed
    HttpRequest *requests;
    Mono wake; // when the loop will call
};

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    HttpRequest *request = context;
    buf_add(&request->body, bytes, size * count);
    return request->body.failed ? 0 : size * count; // 0 ends the transfer
}

static HttpRequest *request_free(HttpRequest *request)
{
    if (request == NULL)
        return NULL;
    curl_easy_cleanup(request->easy);
    curl_slist_free_all(request->headers);
    curl_slist_free_all(request->connect_to);
    buf_done(&request->body);
    free(request);
    return NULL;
}

static void request_unlink(HttpRequest *request)
{
    HttpClient *client = request->client;
    if (request->previous != NULL)
        request->previous->next = request->next;
    else
        client->requests = request->next;
    if (request->next != NULL)
        request->next->previous = request->previous;
}

// Proof that nobody serves there, or that what serves is not what it should be. A timeout is none,
// and neither is anything that is wrong on our side.
static bool is_proof(CURLcode code, long os_errno, bool reused)
{
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        return os_errno == ECONNREFUSED || os_errno == ECONNRESET || os_errno == ENOENT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: // an answer that is not HTTP/1
        return true;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        return !reused;
    default:
        return false;
    }
}

// Calls `done` and frees the request, which the caller has not unlinked yet.
static void request_end(HttpRequest *request, HttpResponse *response)
{
    (void)curl_multi_remove_handle(curl_loop_multi(request->client->loop), request->easy);
    request_unlink(request);
    response->elapsed_ns = mono_since(clock_mono(), request->sent);
    response->request = request;
    if (response->status == 0)
        buf_clear(&request->body);
    response->body = buf_text(&request->body);
    response->body_len = request->body.len;
    if (response->error == NULL)
        response->error = "";
    request->done(request->context, response);
    (void)request_free(request);
}

static void request_complete(HttpRequest *request, CURLcode code)
{
    HttpResponse response = {0};
    long status = 0, os_errno = 0, made = 0;
    (void)curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_errno);
    (void)curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &made);
    response.reused = made == 0;
    if (code == CURLE_OK) {
        response.status = (int)status;
    } else if (request->body.failed) {
        (void)snprintf(request->error, sizeof request->error, "the answer is longer than %zu bytes",
                       request->body.limit);
        response.error = request->error;
    } else {
        response.hard = is_proof(code, os_errno, response.reused);
        response.error = request->error[0] != '\0' ? request->error : curl_easy_strerror(code);
    }
    request_end(request, &response);
}

static void wake_for(HttpClient *client, Mono deadline)
{
    if (client->wake.ns == deadline.ns)
        return;
    client->wake = deadline;
    curl_loop_wake_at(client->loop, deadline);
}

static void expire(HttpClient *client)
{
    Mono now = clock_mono();
    HttpRequest *request = client->requests;
    while (request != NULL) {
        if (mono_since(request->deadline, now) > 0) {
            request = request->next;
            continue;
        }
        (void)snprintf(request->error, sizeof request->error, "no answer within %lld ms",
                       (long long)(request->timeout_ns / NS_PER_MS));
        HttpResponse response = {.error = request->error};
        request_end(request, &response);
        if (client->freed)
            return;
        request = client->requests; // `done` may have changed the list: start again
    }
    Mono next = MONO_NEVER;
    for (request = client->requests; request != NULL; request = request->next)
        next = mono_min(next, request->deadline);
    wake_for(client, next);
}

static void on_progress(void *owner)
{
    HttpClient *client = owner;
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(curl_loop_multi(client->loop), &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        char *request = NULL;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
        request_complete((HttpRequest *)(void *)request, message->data.result);
        if (client->freed)
            return;
    }
    if (client->wake.ns != MONO_NEVER.ns && mono_since(client->wake, clock_mono()) <= 0)
        expire(client);
}

static void on_gone(void *owner)
{
    HttpClient *client = owner;
    client->tls = http_client_tls_free(client->tls);
    (void)curl_share_cleanup(client->sessions);
    free(client->source);
    free(client);
}

int http_client_new(uv_loop_t *loop, const HttpClientOptions *options, HttpClient **ret_client,
                    Error *reterr)
{
    HttpClient *client = alloc_zeroed(1, sizeof *client);
    if (client == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for an HTTP client");
    client->wake = MONO_NEVER;
    client->tls13_only = options->tls13_only;
    int r = http_client_tls_new(options->ca_file, options->cert_file, options->key_file,
                                &client->tls, reterr);
    if (r >= 0 && options->source != NULL) {
        Buf source = BUF_INIT(256);
        buf_printf(&source, "host!%s", options->source);
        r = buf_check(&source);
        client->source = buf_take(&source);
        if (r < 0)
            (void)error_set(reterr, r, "source address '%.64s'", options->source);
    }
    if (r >= 0 && options->resume_tls) {
        client->sessions = curl_share_init();
        if (curl_share_setopt(client->sessions, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) !=
            CURLSHE_OK)
            r = error_set(reterr, ERROR_MEMORY, "no memory for TLS sessions");
    }
    uint32_t connections = options->connections_per_host;
    CurlLoopOwner owner = {.progress = on_progress, .gone = on_gone, .owner = client};
    if (r >= 0)
        r = curl_loop_new(loop, &owner, connections > 0 ? (long)connections : CONNECTIONS_PER_HOST,
                          &client->loop, reterr);
    if (r < 0) {
        on_gone(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

// "name:port:address" -> curl's "name:port:address:port". CURLOPT_RESOLVE is not used: its entries
// are shared by the whole client, and kept connections would then be found by name alone.
static int set_connect_to(HttpRequest *request, const char *resolve)
{
    const char *colon = strchr(resolve, ':');
    const char *second = colon != NULL ? strchr(colon + 1, ':') : NULL;
    if (second == NULL || second[1] == '\0')
        return ERROR_FORMAT;
    int port_len = (int)(second - colon - 1);
    bool bare_v6 = strchr(second + 1, ':') != NULL && second[1] != '[';
    Buf text = BUF_INIT(1024);
    buf_printf(&text, bare_v6 ? "%.*s:[%s]:%.*s" : "%.*s:%s:%.*s", (int)(second - resolve), resolve,
               second + 1, port_len, colon + 1);
    int r = buf_check(&text);
    if (r >= 0)
        request->connect_to = curl_slist_append(NULL, buf_text(&text));
    buf_done(&text);
    if (r >= 0 && request->connect_to == NULL)
        r = ERROR_MEMORY;
    return r;
}

static int add_header(HttpRequest *request, const char *header)
{
    if (strpbrk(header, "\r\n") != NULL)
        return ERROR_FORMAT; // would be a second header, or a second request
    struct curl_slist *list = curl_slist_append(request->headers, header);
    if (list == NULL)
        return ERROR_MEMORY;
    request->headers = list;
    return 0;
}

static int set_headers(HttpRequest *request, const HttpRequestOptions *options)
{
    bool typed = options->body == NULL;
    int r = add_header(request, "Expect:"); // no waiting for 100 Continue
    for (const char *const *h = options->headers; r >= 0 && h != NULL && *h != NULL; h++) {
        typed = typed || strncasecmp(*h, "Content-Type:", 13) == 0;
        r = add_header(request, *h);
    }
    if (r >= 0 && !typed)
        r = add_header(request, "Content-Type: application/json");
    return r;
}

#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (curl_easy_setopt(easy, (option), (value)) != CURLE_OK)                                 \
            return ERROR_MEMORY;                                                                   \
    } while (0)

static int set_method(CURL *easy, const HttpRequestOptions *options)
{
    const char *method = options->method != NULL ? options->method : "GET";
    bool post = strcmp(method, "POST") == 0;
    if (options->body != NULL || post) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE,
            (curl_off_t)(options->body != NULL ? options->body_len : 0));
        SET(CURLOPT_COPYPOSTFIELDS, options->body != NULL ? options->body : "");
    } else if (strcmp(method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
        return 0;
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
    if (!post && strcmp(method, "GET") != 0)
        SET(CURLOPT_CUSTOMREQUEST, method);
    return 0;
}

static int set_connection(HttpClient *client, CURL *easy, const HttpRequestOptions *options)
{
    int64_t connect_ns = options->connect_timeout_ns > 0 ? options->connect_timeout_ns
                         : options->timeout_ns > 0       ? options->timeout_ns
                                                         : TIMEOUT_DEFAULT_NS;
    int64_t connect_ms = (connect_ns + NS_PER_MS - 1) / NS_PER_MS;
    if (client->source != NULL && options->unix_socket == NULL)
        SET(CURLOPT_INTERFACE, client->source);
    if (options->unix_socket != NULL)
        SET(CURLOPT_UNIX_SOCKET_PATH, options->unix_socket);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_ms < 1 ? 1 : connect_ms));
    SET(CURLOPT_FRESH_CONNECT, options->fresh ? 1L : 0L);
    SET(CURLOPT_SSLVERSION,
        client->tls13_only ? (long)CURL_SSLVERSION_TLSv1_3 : (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_SESSIONID_CACHE, client->sessions != NULL ? 1L : 0L);
    SET(CURLOPT_SHARE, client->sessions);
    return http_client_tls_apply(client->tls, easy);
}

static int set_rest(HttpRequest *request, CURL *easy, const HttpRequestOptions *options)
{
    SET(CURLOPT_PRIVATE, request);
    SET(CURLOPT_URL, options->url);
    SET(CURLOPT_HTTPHEADER, request->headers);
    if (request->connect_to != NULL)
        SET(CURLOPT_CONNECT_TO, request->connect_to);
    SET(CURLOPT_ERRORBUFFER, request->error);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, request);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROXY, ""); // whatever the environment says
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_USERAGENT, "wildcam");
    return 0;
}

static int request_set_up(HttpRequest *request, const HttpRequestOptions *options, Error *reterr)
{
    HttpClient *client = request->client;
    int r = set_headers(request, options);
    if (r < 0)
        return error_set(reterr, r, "a header with a line break is refused");
    if (options->resolve != NULL && (r = set_connect_to(request, options->resolve)) < 0)
        return error_set(reterr, r, "'%s' is not name:port:address", options->resolve);
    r = curl_loop_prepare(request->easy);
    if (r >= 0)
        r = set_connection(client, request->easy, options);
    if (r >= 0)
        r = set_method(request->easy, options);
    if (r >= 0)
        r = set_rest(request, request->easy, options);
    return r < 0 ? error_set(reterr, r, "set up a request for '%s'", options->url) : 0;
}

int http_client_send(HttpClient *client, const HttpRequestOptions *options, HttpDone *done,
                     void *context, HttpRequest **ret_request, Error *reterr)
{
    if (client->freed)
        return error_set(reterr, ERROR_UNAVAILABLE, "the HTTP client is closed");
    HttpRequest *request = alloc_zeroed(1, sizeof *request);
    if (request == NULL || (request->easy = curl_easy_init()) == NULL) {
        free(request);
        return error_set(reterr, ERROR_MEMORY, "no memory for a request");
    }
    request->client = client;
    request->done = done;
    request->context = context;
    request->body = BUF_INIT(options->max_body > 0 ? options->max_body : BOUND_BODY_BYTES);
    request->timeout_ns = options->timeout_ns > 0 ? options->timeout_ns : TIMEOUT_DEFAULT_NS;
    int r = request_set_up(request, options, reterr);
    if (r < 0) {
        (void)request_free(request);
        return r;
    }
    request->sent = clock_mono();
    request->deadline = mono_add(request->sent, request->timeout_ns);
    request->next = client->requests;
    if (request->next != NULL)
        request->next->previous = request;
    client->requests = request;
    if (curl_multi_add_handle(curl_loop_multi(client->loop), request->easy) != CURLM_OK) {
        request_unlink(request);
        (void)request_free(request);
        return error_set(reterr, ERROR_MEMORY, "start a request for '%s'", options->url);
    }
    wake_for(client, mono_min(client->wake, request->deadline));
    if (ret_request != NULL)
        *ret_request = request;
    return 0;
}

const char *http_response_header(const HttpResponse *response, const char *name)
{
    struct curl_header *header;
    if (response->status == 0 ||
        curl_easy_header(response->request->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return NULL;
    return header->value;
}

void http_request_cancel(HttpRequest *request)
{
    HttpResponse response = {.error = "cancelled"};
    request_end(request, &response);
}

int http_client_reload(HttpClient *client, Error *reterr)
{
    return http_client_tls_reload(client->tls, reterr);
}

HttpClient *http_client_free(HttpClient *client)
{
    if (client == NULL || client->freed)
        return NULL;
    client->freed = true; // a `done` that sends again is refused
    while (client->requests != NULL)
        http_request_cancel(client->requests);
    curl_loop_close(client->loop);
    return NULL;
}
