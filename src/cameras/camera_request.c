// SPDX-License-Identifier: MIT
// camera_request: see camera_request.h.
#include "camera_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "hash.h"

static void format_time(Wall now, char *ret_text, size_t size)
{
    time_t seconds = (time_t)(now.ns / NS_PER_S);
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    size_t len = strftime(ret_text, size, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(ret_text + len, size - len, ".%06dZ", (int)(now.ns % NS_PER_S / NS_PER_US));
}

static int write_body(const CameraRequestText *request, char *body, size_t size)
{
    static const char *const SPECIES[] = {"red fox", "roe deer", "wild boar",  "lynx",
                                          "badger",  "wolf",     "pine marten"};
    char at[64];
    format_time(request->now, at, sizeof at);
    uint64_t mixed = hash_mix(hash_u64(request->run, request->number));
    return snprintf(body, size,
                    "{\"device\":\"cam-%05" PRIu32 "\",\"taken_at\":\"%s\",\"species\":\"%s\","
                    "\"confidence\":0.%02u,\"image_digest\":\"%016" PRIx64 "%016" PRIx64
                    "%016" PRIx64 "%016" PRIx64 "\"}",
                    request->client, at, SPECIES[mixed % (sizeof SPECIES / sizeof SPECIES[0])],
                    (unsigned)(mixed >> 8 & 63), mixed, request->run, request->number,
                    hash_mix(mixed));
}

size_t camera_request_write(const CameraRequestText *request, char ret_bytes[CAMERA_REQUEST_MAX],
                            char ret_key[RECORDS_KEY + 1])
{
    ret_key[0] = '\0';
    int len;
    if (!request->write) {
        len =
            snprintf(ret_bytes, CAMERA_REQUEST_MAX,
                     "GET /api/detections?limit=5&device=cam-%05" PRIu32 " HTTP/1.1\r\n"
                     "Host: %s\r\nUser-Agent: wildcam-cameras\r\nAccept: application/json\r\n\r\n",
                     request->client, request->host);
    } else {
        char body[512], key_line[128] = "";
        int body_len = write_body(request, body, sizeof body);
        if (request->key) {
            (void)snprintf(ret_key, RECORDS_KEY + 1, CAMERA_KEY_PREFIX "%" PRIu64, request->run,
                           request->number);
            (void)snprintf(key_line, sizeof key_line, "Idempotency-Key: %s\r\n", ret_key);
        }
        len = snprintf(ret_bytes, CAMERA_REQUEST_MAX,
                       "POST /api/detections HTTP/1.1\r\nHost: %s\r\n"
                       "User-Agent: wildcam-cameras\r\nContent-Type: application/json\r\n"
                       "%sContent-Length: %d\r\n\r\n%s",
                       request->host, key_line, body_len, body);
    }
    ASSERT(len > 0 && len < CAMERA_REQUEST_MAX);
    return (size_t)len;
}
