// SPDX-License-Identifier: MIT
// curl_loop: see curl_loop.h. Each descriptor that curl waits for has a Socket with a poll handle,
// from the first CURL_POLL_IN or OUT to CURL_POLL_REMOVE, which curl calls before it closes the
// descriptor. Poll handles are freed by their close callbacks; the CurlLoop after the last of them.
#include "curl_loop.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "alloc.h"
#include "clock.h"

typedef struct Socket {
    uv_poll_t poll; // first: the close callback frees the Socket
    CurlLoop *loop;
    int fd;
} Socket;

struct CurlLoop {
    uv_loop_t *uv;
    CURLM *multi;
    CurlLoopOwner owner;
    uv_timer_t curl_timer, wake_timer;
    uv_check_t after_poll;
    uv_idle_t no_wait; // makes the loop pass through poll without waiting
    bool curl_due, closing;
    unsigned handles; // open ones
};

static void release(CurlLoop *loop)
{
    if (--loop->handles > 0)
        return;
    CurlLoopOwner owner = loop->owner;
    free(loop);
    owner.gone(owner.owner);
}

static void on_handle_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_socket_closed(uv_handle_t *handle)
{
    Socket *socket = (Socket *)handle;
    CurlLoop *loop = socket->loop;
    free(socket);
    release(loop);
}

static Socket *socket_open(CurlLoop *loop, int fd)
{
    Socket *socket = alloc_zeroed(1, sizeof *socket);
    if (socket == NULL || uv_poll_init(loop->uv, &socket->poll, fd) < 0) {
        free(socket);
        return NULL;
    }
    socket->loop = loop;
    socket->fd = fd;
    socket->poll.data = socket;
    loop->handles++;
    (void)curl_multi_assign(loop->multi, fd, socket);
    return socket;
}

static void socket_close(Socket *socket)
{
    (void)curl_multi_assign(socket->loop->multi, socket->fd, NULL);
    (void)uv_poll_stop(&socket->poll);
    uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
}

static void progress(CurlLoop *loop)
{
    if (!loop->closing)
        loop->owner.progress(loop->owner.owner);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    Socket *socket = poll->data;
    CurlLoop *loop = socket->loop;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    int running;
    (void)curl_multi_socket_action(loop->multi, socket->fd, flags, &running);
    progress(loop);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *per_socket)
{
    CurlLoop *loop = context;
    Socket *socket = per_socket;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL)
            socket_close(socket);
        return 0;
    }
    if (socket == NULL)
        socket = socket_open(loop, fd);
    if (socket == NULL)
        return -1;
    int events = 0;
    if (what != CURL_POLL_OUT)
        events |= UV_READABLE;
    if (what != CURL_POLL_IN)
        events |= UV_WRITABLE;
    return uv_poll_start(&socket->poll, events, on_ready) < 0 ? -1 : 0;
}

static int on_socket_made(void *context, curl_socket_t fd, curlsocktype purpose)
{
#ifdef IP_BIND_ADDRESS_NO_PORT
    int on = 1; // the port is chosen at connect: many connections from one address do not run out
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
#endif
    return CURL_SOCKOPT_OK;
}

static void after_poll(uv_check_t *check)
{
    CurlLoop *loop = check->data;
    (void)uv_check_stop(check);
    (void)uv_idle_stop(&loop->no_wait);
    if (loop->curl_due) {
        int running;
        loop->curl_due = false;
        (void)curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    progress(loop);
}

static void on_no_wait(uv_idle_t *idle)
{
}

static void on_timer(uv_timer_t *timer)
{
    CurlLoop *loop = timer->data;
    if (timer == &loop->curl_timer)
        loop->curl_due = true;
    (void)uv_check_start(&loop->after_poll, after_poll);
    (void)uv_idle_start(&loop->no_wait, on_no_wait);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *context)
{
    CurlLoop *loop = context;
    if (timeout_ms < 0)
        return uv_timer_stop(&loop->curl_timer);
    return uv_timer_start(&loop->curl_timer, on_timer, (uint64_t)timeout_ms, 0);
}

void curl_loop_wake_at(CurlLoop *loop, Mono deadline)
{
    (void)uv_timer_stop(&loop->wake_timer);
    if (deadline.ns == MONO_NEVER.ns)
        return;
    // uv counts from the loop's own, perhaps old, idea of now; round up so as not to wake too
    // early.
    uv_update_time(loop->uv);
    int64_t left_ns = mono_since(deadline, clock_mono());
    uint64_t ms = left_ns <= 0 ? 0 : (uint64_t)((left_ns + NS_PER_MS - 1) / NS_PER_MS);
    (void)uv_timer_start(&loop->wake_timer, on_timer, ms, 0);
}

static int set_multi(CurlLoop *loop, long connections_per_host)
{
    CURLM *m = loop->multi;
    // The cache is larger than curl's own choice (four per running transfer), which would drop kept
    // connections whenever few requests run.
    return curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_curl_socket) == CURLM_OK &&
                   curl_multi_setopt(m, CURLMOPT_SOCKETDATA, loop) == CURLM_OK &&
                   curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_curl_timer) == CURLM_OK &&
                   curl_multi_setopt(m, CURLMOPT_TIMERDATA, loop) == CURLM_OK &&
                   curl_multi_setopt(m, CURLMOPT_MAXCONNECTS, 1024L) == CURLM_OK &&
                   curl_multi_setopt(m, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) == CURLM_OK &&
                   curl_multi_setopt(m, CURLMOPT_MAX_HOST_CONNECTIONS, connections_per_host) ==
                       CURLM_OK
               ? 0
               : -1;
}

int curl_loop_new(uv_loop_t *uv, const CurlLoopOwner *owner, long connections_per_host,
                  CurlLoop **ret_loop, Error *reterr)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(reterr, ERROR_MEMORY, "start libcurl");
    CurlLoop *loop = alloc_zeroed(1, sizeof *loop);
    if (loop == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for an HTTP client");
    loop->uv = uv;
    loop->owner = *owner;
    loop->multi = curl_multi_init();
    if (loop->multi == NULL || set_multi(loop, connections_per_host) < 0) {
        (void)curl_multi_cleanup(loop->multi);
        free(loop);
        return error_set(reterr, ERROR_MEMORY, "set up libcurl");
    }
    (void)uv_timer_init(uv, &loop->curl_timer);
    (void)uv_timer_init(uv, &loop->wake_timer);
    (void)uv_check_init(uv, &loop->after_poll);
    (void)uv_idle_init(uv, &loop->no_wait);
    loop->curl_timer.data = loop->wake_timer.data = loop;
    loop->after_poll.data = loop->no_wait.data = loop;
    loop->handles = 4;
    *ret_loop = loop;
    return 0;
}

CURLM *curl_loop_multi(CurlLoop *loop)
{
    return loop->multi;
}

int curl_loop_prepare(CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made) == CURLE_OK
               ? 0
               : ERROR_MEMORY;
}

void curl_loop_close(CurlLoop *loop)
{
    loop->closing = true;
    (void)curl_multi_cleanup(loop->multi); // closes the kept connections
    loop->multi = NULL;
    uv_handle_t *handles[] = {(uv_handle_t *)&loop->curl_timer, (uv_handle_t *)&loop->wake_timer,
                              (uv_handle_t *)&loop->after_poll, (uv_handle_t *)&loop->no_wait};
    for (unsigned i = 0; i < ARRAY_SIZE(handles); i++)
        uv_close(handles[i], on_handle_closed);
}
