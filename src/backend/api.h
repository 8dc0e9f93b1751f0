// SPDX-License-Identifier: MIT
// api: the HTTP API of the backend (docs/contracts/processes.md) over storage.h: which request is
// what answer. It never waits without a limit: when the database is away or slow, the answer is 503
// with Retry-After, and the caller may repeat the request anywhere.
#pragma once
#include <uv.h>

#include "error.h"
#include "storage.h"

typedef struct Api Api;

typedef struct ApiOptions {
    const char *socket; // to listen on
    const char *region, *cloud;
    const char *replica; // "us-west-2/1"
    bool degrade;        // acknowledge what no other cloud has confirmed, and say so
} ApiOptions;

// Texts must outlive the Api; storage too.
int api_new(uv_loop_t *loop, const ApiOptions *options, Storage *storage, Api **ret_api,
            Error *reterr) MUST_CHECK;
// As http_server_drain.
void api_drain(Api *api, int64_t grace_ns, void (*drained)(void *context), void *context);
// Requests that still wait for the storage are answered into nothing: free the storage first.
Api *api_free(Api *api);
