// SPDX-License-Identifier: MIT
// fuzz: a POST /api/detections. The input is the Idempotency-Key up to the first line feed (empty:
// none), then the body. What is accepted must be within its bounds, be written as JSON, and read
// back as the same.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "detection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(const Buf *out)
{
    ASSERT(buf_check(out) >= 0);
    json_t *json = json_loadb(buf_text(out), out->len, JSON_REJECT_DUPLICATES, NULL);
    ASSERT(json_is_object(json));
    json_decref(json);
}

static void check_accepted(const Detection *detection)
{
    Uuid id;
    Buf out = BUF_INIT(0);
    ASSERT(uuid_parse(detection->id.text, &id) && id.text[14] == '8');
    ASSERT(detection_is_device(detection->device));
    ASSERT(detection->confidence >= 0 && detection->confidence <= 1);
    ASSERT(detection->has_location || (detection->latitude == 0 && detection->longitude == 0));
    detection_write_json(&out, detection);
    check_json(&out);
    // Without what the request does not hold, it is a request again.
    json_t *json = json_loads(buf_text(&out), 0, NULL);
    (void)json_object_del(json, "id");
    (void)json_object_del(json, "origin");
    char *text = json_dumps(json, JSON_REAL_PRECISION(17));
    Detection read;
    DetectionProblem problem;
    const char *key = detection->idempotency_key;
    ASSERT(detection_parse(text, strlen(text), *key != '\0' ? key : NULL, &read, &problem));
    ASSERT(detection_same(detection, &read));
    free(text);
    json_decref(json);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
    if (line == NULL)
        return 0;
    size_t key_len = (size_t)(line - data);
    char *key = calloc(1, key_len + 1);
    if (key == NULL)
        return 0;
    memcpy(key, data, key_len);
    Detection detection;
    DetectionProblem problem;
    if (detection_parse((const char *)line + 1, size - key_len - 1, key_len > 0 ? key : NULL,
                        &detection, &problem)) {
        check_accepted(&detection);
    } else {
        Buf out = BUF_INIT(0);
        detection_problem_write_json(&out, &problem);
        check_json(&out);
        buf_done(&out);
    }
    free(key);
    return 0;
}
