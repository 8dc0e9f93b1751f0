// SPDX-License-Identifier: MIT
// detection: one wildlife detection as a camera reports it: strict reading of the JSON, the derived
// key, and JSON again. No I/O. A wrong request is told as path, what is wrong and what is allowed.
//
// Bytes under the key's SHA-256 (uuid.h), each text without its NUL unless shown:
//   with an Idempotency-Key:  "wildcam/detection/key\0" DEVICE "\0" KEY
//   without:                  "wildcam/detection/content\0" DEVICE "\0" MICROSECONDS "\0" DIGEST
// MICROSECONDS: taken_at since 1970 UTC in decimal; DIGEST: image_digest, 64 lower-case hex digits.
// These bytes are a contract between the regions: never change them.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "uuid.h"

#define DETECTION_DEVICE_MAX 64
#define DETECTION_SPECIES_MAX 128 // bytes of UTF-8
#define DETECTION_KEY_MAX 128
#define DETECTION_DIGEST_LEN 64

typedef struct Detection {
    Uuid id;
    char device[DETECTION_DEVICE_MAX + 1];
    int64_t taken_at_us; // since 1970 UTC
    char species[DETECTION_SPECIES_MAX + 1];
    double confidence;
    bool has_location;
    double latitude, longitude;
    char image_digest[DETECTION_DIGEST_LEN + 1]; // "": none
    char idempotency_key[DETECTION_KEY_MAX + 1]; // "": none
    unsigned origin;                             // region that stored it first, not of the request
} Detection;

typedef struct DetectionProblem {
    const char *path; // "$.confidence"; "Idempotency-Key"
    char what[160];
    const char *allowed;
} DetectionProblem;

// idempotency_key may be NULL. Sets everything but origin. False: ret_problem says what is wrong.
bool detection_parse(const char *json, size_t len, const char *idempotency_key,
                     Detection *ret_detection, DetectionProblem *ret_problem);
// Whether a text may be a device's name.
bool detection_is_device(const char *text);
// Everything that came from the request is the same.
bool detection_same(const Detection *a, const Detection *b);
void detection_write_json(Buf *out, const Detection *detection);
// {"error": {"code": "bad_request", "message", "path", "what", "allowed"}}
void detection_problem_write_json(Buf *out, const DetectionProblem *problem);
// "2026-11-23T14:00:00.123456Z"
#define DETECTION_TIME_MAX 40
void detection_format_time(int64_t us, char text[DETECTION_TIME_MAX]);
