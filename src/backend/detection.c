// SPDX-License-Identifier: MIT
// detection: see detection.h. One table row per key of the request; jansson refuses duplicate keys,
// bad UTF-8 and trailing bytes, the table everything that is unknown, missing, of another type or
// out of range.
#include "detection.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "instant.h"
#include "parse.h"

typedef struct Reader {
    Detection *detection;
    DetectionProblem *problem;
} Reader;

typedef bool ReadField(Reader *reader, const json_t *value);

typedef struct Field {
    const char *name, *path, *allowed;
    bool required;
    ReadField *read;
} Field;

static bool wrong(Reader *reader, const char *what)
{
    (void)snprintf(reader->problem->what, sizeof reader->problem->what, "%s", what);
    return false;
}

static bool is_device_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

// NULL: a device's name; else what is wrong.
static const char *device_problem(const char *text, size_t len)
{
    if (len < 1 || len > DETECTION_DEVICE_MAX)
        return len == 0 ? "is empty" : "is too long";
    if (text[0] == '.') // it becomes a folder of object keys
        return "begins with a dot";
    for (size_t i = 0; i < len; i++) {
        if (!is_device_char(text[i]))
            return "holds a character that is not allowed";
    }
    return NULL;
}

bool detection_is_device(const char *text)
{
    return device_problem(text, strlen(text)) == NULL;
}

static bool read_device(Reader *reader, const json_t *value)
{
    const char *text = json_string_value(value);
    if (text == NULL)
        return wrong(reader, "is no string");
    const char *problem = device_problem(text, json_string_length(value));
    if (problem != NULL)
        return wrong(reader, problem);
    memcpy(reader->detection->device, text, strlen(text) + 1);
    return true;
}

static bool read_taken_at(Reader *reader, const json_t *value)
{
    const char *text = json_string_value(value);
    int64_t ns;
    if (text == NULL)
        return wrong(reader, "is no string");
    if (parse_rfc3339(text, json_string_length(value), &ns) < 0)
        return wrong(reader, "is no such time");
    reader->detection->taken_at_us = ns / NS_PER_US;
    return true;
}

static bool read_species(Reader *reader, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    if (text == NULL)
        return wrong(reader, "is no string");
    if (len < 1 || len > DETECTION_SPECIES_MAX)
        return wrong(reader, len == 0 ? "is empty" : "is too long");
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return wrong(reader, "holds a control character");
    }
    memcpy(reader->detection->species, text, len + 1);
    return true;
}

static bool read_number(Reader *reader, const json_t *value, double least, double most,
                        double *ret_number)
{
    if (!json_is_number(value))
        return wrong(reader, "is no number");
    double number = json_number_value(value);
    if (!(number >= least && number <= most))
        return wrong(reader, "is out of range");
    *ret_number = number == 0 ? 0 : number; // no negative zero: it would be another content
    return true;
}

static bool read_confidence(Reader *reader, const json_t *value)
{
    return read_number(reader, value, 0, 1, &reader->detection->confidence);
}

static bool read_latitude(Reader *reader, const json_t *value)
{
    return read_number(reader, value, -90, 90, &reader->detection->latitude);
}

static bool read_longitude(Reader *reader, const json_t *value)
{
    return read_number(reader, value, -180, 180, &reader->detection->longitude);
}

static bool read_digest(Reader *reader, const json_t *value)
{
    const char *text = json_string_value(value);
    if (text == NULL)
        return wrong(reader, "is no string");
    if (json_string_length(value) != DETECTION_DIGEST_LEN ||
        strspn(text, "0123456789abcdef") != DETECTION_DIGEST_LEN)
        return wrong(reader, "is no SHA-256 in lower-case hex");
    memcpy(reader->detection->image_digest, text, DETECTION_DIGEST_LEN + 1);
    return true;
}

static const char DIGEST_ALLOWED[] = "64 lower-case hex digits, the SHA-256 of the image";

static const Field FIELDS[] = {
    {"device", "$.device", "1 to 64 of a-z A-Z 0-9 . _ -, not beginning with a dot", true,
     read_device},
    {"taken_at", "$.taken_at", "RFC 3339 in UTC since 1970, as 2026-11-23T14:00:00.123456Z", true,
     read_taken_at},
    {"species", "$.species", "1 to 128 bytes of UTF-8 without control characters", true,
     read_species},
    {"confidence", "$.confidence", "a number from 0 to 1", true, read_confidence},
    {"latitude", "$.latitude", "degrees from -90 to 90, together with longitude", false,
     read_latitude},
    {"longitude", "$.longitude", "degrees from -180 to 180, together with latitude", false,
     read_longitude},
    {"image_digest", "$.image_digest", DIGEST_ALLOWED, false, read_digest},
};

static bool check_unknown(const json_t *object, DetectionProblem *problem)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < ARRAY_SIZE(FIELDS); i++)
            known = known || strcmp(FIELDS[i].name, key) == 0;
        if (known)
            continue;
        problem->path = "$";
        problem->allowed =
            "device, taken_at, species, confidence, latitude, longitude, image_digest";
        (void)snprintf(problem->what, sizeof problem->what, "unknown key '%.64s'", key);
        return false;
    }
    return true;
}

static bool read_fields(const json_t *object, Reader *reader)
{
    for (size_t i = 0; i < ARRAY_SIZE(FIELDS); i++) {
        const Field *field = &FIELDS[i];
        const json_t *value = json_object_get(object, field->name);
        reader->problem->path = field->path;
        reader->problem->allowed = field->allowed;
        if (value == NULL && field->required)
            return wrong(reader, "is missing");
        if (value != NULL && !field->read(reader, value))
            return false;
    }
    bool latitude = json_object_get(object, "latitude") != NULL;
    bool longitude = json_object_get(object, "longitude") != NULL;
    reader->detection->has_location = latitude;
    if (latitude == longitude)
        return true;
    reader->problem->path = latitude ? "$.longitude" : "$.latitude";
    reader->problem->allowed = "latitude and longitude, or none of them";
    return wrong(reader, "is missing");
}

static bool read_key(const char *key, Detection *detection, DetectionProblem *problem)
{
    if (key == NULL)
        return true;
    size_t len = strlen(key);
    problem->path = "Idempotency-Key";
    problem->allowed = "1 to 128 visible ASCII characters";
    (void)snprintf(problem->what, sizeof problem->what, "is no such header");
    if (len < 1 || len > DETECTION_KEY_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (key[i] < 0x21 || key[i] > 0x7e)
            return false;
    }
    memcpy(detection->idempotency_key, key, len + 1);
    return true;
}

static bool derive_id(Detection *detection, DetectionProblem *problem)
{
    Buf bytes = BUF_INIT(1024);
    if (detection->idempotency_key[0] != '\0') {
        buf_add_text(&bytes, "wildcam/detection/key");
        buf_add_char(&bytes, '\0');
        buf_add_text(&bytes, detection->device); // two devices may use the same key
        buf_add_char(&bytes, '\0');
        buf_add_text(&bytes, detection->idempotency_key);
    } else {
        buf_add_text(&bytes, "wildcam/detection/content");
        buf_add_char(&bytes, '\0');
        buf_add_text(&bytes, detection->device);
        buf_add_char(&bytes, '\0');
        buf_printf(&bytes, "%" PRId64, detection->taken_at_us);
        buf_add_char(&bytes, '\0');
        buf_add_text(&bytes, detection->image_digest);
    }
    bool ok =
        buf_check(&bytes) >= 0 && uuid_v8_of(buf_text(&bytes), bytes.len, &detection->id) >= 0;
    buf_done(&bytes);
    if (!ok) {
        *problem = (DetectionProblem){.path = "$", .allowed = "the same request later"};
        (void)snprintf(problem->what, sizeof problem->what, "cannot be handled for lack of memory");
    }
    return ok;
}

static bool check_object(const json_t *root, const json_error_t *error, DetectionProblem *problem)
{
    if (json_is_object(root))
        return true;
    problem->path = "$";
    problem->allowed = "one JSON object in UTF-8";
    if (root == NULL)
        (void)snprintf(problem->what, sizeof problem->what, "line %d, column %d: %.100s",
                       error->line, error->column, error->text);
    else
        (void)snprintf(problem->what, sizeof problem->what, "is no object");
    return false;
}

bool detection_parse(const char *json, size_t len, const char *idempotency_key,
                     Detection *ret_detection, DetectionProblem *ret_problem)
{
    json_error_t error;
    Detection detection = {0};
    DetectionProblem problem = {.path = "$", .allowed = ""};
    Reader reader = {&detection, &problem};
    json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error);
    bool ok = check_object(root, &error, &problem) && check_unknown(root, &problem) &&
              read_fields(root, &reader) && read_key(idempotency_key, &detection, &problem);
    json_decref(root);
    if (ok && idempotency_key == NULL && detection.image_digest[0] == '\0') {
        problem.path = "$.image_digest";
        problem.allowed = DIGEST_ALLOWED;
        ok = wrong(&reader, "is missing; without it an Idempotency-Key is needed");
    }
    ok = ok && derive_id(&detection, &problem);
    if (ok)
        *ret_detection = detection;
    else
        *ret_problem = problem;
    return ok;
}

bool detection_same(const Detection *a, const Detection *b)
{
    return strcmp(a->id.text, b->id.text) == 0 && strcmp(a->device, b->device) == 0 &&
           a->taken_at_us == b->taken_at_us && strcmp(a->species, b->species) == 0 &&
           a->confidence == b->confidence && a->has_location == b->has_location &&
           a->latitude == b->latitude && a->longitude == b->longitude &&
           strcmp(a->image_digest, b->image_digest) == 0 &&
           strcmp(a->idempotency_key, b->idempotency_key) == 0;
}

void detection_format_time(int64_t us, char text[DETECTION_TIME_MAX])
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    size_t len = strftime(text, DETECTION_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + len, DETECTION_TIME_MAX - len, ".%06dZ", (int)(us % 1000000));
}

// The shortest text that reads back as the same number.
static void add_number(Buf *out, double number)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    buf_add_text(out, text);
}

void detection_write_json(Buf *out, const Detection *detection)
{
    char time_text[DETECTION_TIME_MAX];
    detection_format_time(detection->taken_at_us, time_text);
    buf_printf(out, "{\"id\": \"%s\", \"device\": ", detection->id.text);
    buf_add_json_string(out, detection->device);
    buf_printf(out, ", \"taken_at\": \"%s\", \"species\": ", time_text);
    buf_add_json_string(out, detection->species);
    buf_add_text(out, ", \"confidence\": ");
    add_number(out, detection->confidence);
    if (detection->has_location) {
        buf_add_text(out, ", \"latitude\": ");
        add_number(out, detection->latitude);
        buf_add_text(out, ", \"longitude\": ");
        add_number(out, detection->longitude);
    }
    if (detection->image_digest[0] != '\0')
        buf_printf(out, ", \"image_digest\": \"%s\"", detection->image_digest);
    buf_printf(out, ", \"origin\": %u}", detection->origin);
}

void detection_problem_write_json(Buf *out, const DetectionProblem *problem)
{
    Buf message = BUF_INIT(1024);
    buf_printf(&message, "%s %s; allowed: %s", problem->path, problem->what, problem->allowed);
    buf_add_text(out, "{\"error\": {\"code\": \"bad_request\", \"message\": ");
    buf_add_json_string(out, buf_text(&message));
    buf_add_text(out, ", \"path\": ");
    buf_add_json_string(out, problem->path);
    buf_add_text(out, ", \"what\": ");
    buf_add_json_string(out, problem->what);
    buf_add_text(out, ", \"allowed\": ");
    buf_add_json_string(out, problem->allowed);
    buf_add_text(out, "}}\n");
    buf_done(&message);
}
