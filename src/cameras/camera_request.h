// SPDX-License-Identifier: MIT
// camera_request: the bytes of one request of a camera. Pure: everything follows from the run, the
// number and the time, so a retry says exactly the same again.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "instant.h"
#include "records.h"

#define CAMERA_REQUEST_MAX 1024

typedef struct CameraRequestText {
    const char *host; // the backup's name goes to TLS only: one site, two ways to it
    uint32_t client;
    uint64_t run, number;
    bool write;
    bool key; // with an Idempotency-Key
    Wall now;
} CameraRequestText;

// Returns the length. ret_key is "" unless the request carries a key.
size_t camera_request_write(const CameraRequestText *request, char ret_bytes[CAMERA_REQUEST_MAX],
                            char ret_key[RECORDS_KEY + 1]);
// What the keys of a run begin with.
#define CAMERA_KEY_PREFIX "cam-%016" PRIx64 "-"
