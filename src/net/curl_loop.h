// SPDX-License-Identifier: MIT
// curl_loop: libcurl's multi interface driven by a uv loop: sockets, timers, and the kept
// connections between two requests, whose end by the peer is told at once. Timers act after the
// sockets of the same round of the loop were served: libuv runs timers first, so after a pause of
// the process every deadline would fire although the answers lie in the buffers.
#pragma once
#include <curl/curl.h>
#include <uv.h>

#include "error.h"
#include "instant.h"

typedef struct CurlLoop CurlLoop;

typedef struct CurlLoopOwner {
    void (*progress)(void *owner); // read curl_multi_info_read, expire deadlines
    void (*gone)(void *owner); // after curl_loop_close: the last handle is closed, memory is free
    void *owner;
} CurlLoopOwner;

int curl_loop_new(uv_loop_t *loop, const CurlLoopOwner *owner, long connections_per_host,
                  CurlLoop **ret_loop, Error *reterr) MUST_CHECK;
CURLM *curl_loop_multi(CurlLoop *loop);
// Every transfer goes through this before it is added.
int curl_loop_prepare(CURL *easy) MUST_CHECK;
// `progress` is called at this time; MONO_NEVER: not at all.
void curl_loop_wake_at(CurlLoop *loop, Mono deadline);
// All transfers have been removed. `gone` follows from the loop.
void curl_loop_close(CurlLoop *loop);
