// SPDX-License-Identifier: MIT
// intents_json: see report_json.h. An intent of a kind that only a newer version knows is left out
// and the rest is kept: a peer that was upgraded first must not be cut off by its operator's wish.
// So is one whose kind and target do not go together here, since another version may know more.
#include "intents_json.h"

#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "intent_fits.h"
#include "report_json.h"

// The same names as intent_kind_name, which belongs to the core and is not linked here; a test
// compares them.
static const char *const KIND_NAMES[INTENT_KIND_MAX] = {
    [INTENT_DRAIN] = "drain",   [INTENT_NEVER] = "never",     [INTENT_PIN] = "pin",
    [INTENT_WEIGHT] = "weight", [INTENT_RELEASE] = "release", [INTENT_RESET_FLAPS] = "reset_flaps",
};

bool intents_json_fits(IntentKind kind, const char *target)
{
    return intent_fits(kind, target);
}

static void put_intent(const Intent *intent, Buf *buf)
{
    ASSERT(intent->kind < INTENT_KIND_MAX);
    buf_printf(buf, "{\"kind\":\"%s\",\"target\":", KIND_NAMES[intent->kind]);
    buf_add_json_string(buf, intent->target);
    buf_add_text(buf, ",\"region\":");
    buf_add_json_string(buf, intent->region);
    buf_printf(buf, ",\"value_ppm\":%" PRIu32 ",\"author\":", intent->value_ppm);
    buf_add_json_string(buf, intent->author);
    buf_add_text(buf, ",\"reason\":");
    buf_add_json_string(buf, intent->reason);
    buf_printf(buf, ",\"stamp\":\"%016" PRIx64 "\",\"created_ns\":%" PRId64 ",\"expires_ns\":",
               (uint64_t)intent->stamp, intent->created.ns);
    if (intent->expires.ns == INT64_MAX)
        buf_add_text(buf, "null}");
    else
        buf_printf(buf, "%" PRId64 "}", intent->expires.ns);
}

void intents_json_put(const Intent *intents, uint32_t n, Buf *buf)
{
    buf_add_char(buf, '[');
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_char(buf, ',');
        put_intent(&intents[i], buf);
    }
    buf_add_char(buf, ']');
}

// INTENT_KIND_MAX for a name from the future.
static IntentKind get_kind(JsonReader *reader, const json_t *object)
{
    const char *name = json_reader_text(reader, object, "kind", 1, BOUND_NAME);
    for (int kind = 0; kind < INTENT_KIND_MAX; kind++) {
        if (strcmp(name, KIND_NAMES[kind]) == 0)
            return (IntentKind)kind;
    }
    return INTENT_KIND_MAX;
}

static const char *text_or_empty(JsonReader *reader, const json_t *object, const char *key,
                                 size_t min, size_t max)
{
    if (min == 0 && json_object_get(object, key) == NULL)
        return "";
    return json_reader_text(reader, object, key, min, max);
}

static void get_wish(JsonReader *reader, const json_t *object, Intent *intent)
{
    ASSERT(intent->kind < INTENT_KIND_MAX);
    intent->target = json_reader_text(reader, object, "target", 1, BOUND_NAME + 16);
    intent->author = text_or_empty(reader, object, "author", 0, BOUND_TEXT);
    intent->reason = text_or_empty(reader, object, "reason", 0, BOUND_TEXT);
    bool pin = intent->kind == INTENT_PIN;
    intent->region = text_or_empty(reader, object, "region", pin ? 1 : 0, BOUND_NAME);
    if (intent->kind == INTENT_WEIGHT || json_object_get(object, "value_ppm") != NULL)
        intent->value_ppm = json_reader_u32(reader, object, "value_ppm", PPM_ONE);
}

void intents_json_get(JsonReader *reader, const json_t *object, const char *key,
                      Intent **ret_intents, uint32_t *ret_n)
{
    const json_t *list = json_reader_array(reader, object, key, 0, BOUND_INTENTS);
    size_t n = json_array_size(list);
    Intent *intents = json_reader_new_array(reader, n, sizeof *intents);
    uint32_t kept = 0;
    for (size_t i = 0; reader->r == 0 && i < n; i++) {
        const json_t *item = json_array_get(list, i);
        json_reader_enter(reader, key, i);
        Intent intent = {.kind = get_kind(reader, item)};
        if (intent.kind != INTENT_KIND_MAX) {
            get_wish(reader, item, &intent);
            intent.stamp = (int64_t)json_reader_hex64(reader, item, "stamp");
            intent.created.ns = json_reader_i64(reader, item, "created_ns", 0, INT64_MAX);
            intent.expires.ns =
                json_reader_i64_or(reader, item, "expires_ns", 0, INT64_MAX, INT64_MAX);
            if (reader->r == 0 && intent.stamp <= 0)
                json_reader_fail(reader, "stamp", ERROR_RANGE, "must be positive");
        }
        bool fits = reader->r == 0 && intent.kind != INTENT_KIND_MAX &&
                    intent_fits(intent.kind, intent.target);
        if (fits)
            intents[kept++] = intent;
        reader->left_out += !fits;
        json_reader_leave(reader);
    }
    *ret_intents = intents;
    *ret_n = kept;
}

int intents_json_encode(const Intent *intents, uint32_t n, Buf *buf)
{
    if (n > BOUND_INTENTS)
        return ERROR_LIMIT;
    buf_add_text(buf, "{\"version\":1,\"intents\":");
    intents_json_put(intents, n, buf);
    buf_add_text(buf, "}\n");
    return buf_check(buf);
}

int intents_json_decode(const char *bytes, size_t len, Arena *arena, const Intent **ret_intents,
                        uint32_t *ret_n, uint32_t *ret_left_out, Error *reterr)
{
    JsonReader reader = {.arena = arena, .reterr = reterr, .what = "intents"};
    json_t *root = json_reader_parse(&reader, bytes, len, INTENTS_JSON_MAX);
    if (root == NULL)
        return reader.r;
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(reterr, ERROR_FORMAT, "intents: not an object");
    }
    (void)json_reader_i64(&reader, root, "version", 1, 2);
    Intent *intents;
    uint32_t n;
    intents_json_get(&reader, root, "intents", &intents, &n);
    json_decref(root);
    if (reader.r < 0)
        return reader.r;
    *ret_intents = intents;
    *ret_n = n;
    if (ret_left_out != NULL)
        *ret_left_out = reader.left_out;
    return 0;
}

int intent_wish_decode(const char *bytes, size_t len, Wall now, Arena *arena, Intent *ret_intent,
                       Error *reterr)
{
    JsonReader reader = {.arena = arena, .reterr = reterr, .what = "intent"};
    json_t *root = json_reader_parse(&reader, bytes, len, BOUND_BODY_BYTES);
    if (root == NULL)
        return reader.r;
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(reterr, ERROR_FORMAT, "intent: not an object");
    }
    Intent intent = {.kind = get_kind(&reader, root), .created = now};
    if (reader.r == 0 && intent.kind == INTENT_KIND_MAX)
        json_reader_fail(&reader, "kind", ERROR_RANGE,
                         "allowed: drain, never, pin, weight, release, reset_flaps");
    if (reader.r == 0)
        get_wish(&reader, root, &intent);
    if (reader.r == 0 && !intent_fits(intent.kind, intent.target))
        json_reader_fail(&reader, "target", ERROR_RANGE, "'%s' does not fit kind '%s'",
                         intent.target, KIND_NAMES[intent.kind]);
    int64_t max_s = INT64_MAX / NS_PER_S;
    int64_t seconds = json_reader_i64_or(&reader, root, "expires_s", 1, max_s, 0);
    intent.expires = seconds > 0 ? wall_add(now, seconds * NS_PER_S) : (Wall){INT64_MAX};
    json_decref(root);
    if (reader.r < 0)
        return reader.r;
    *ret_intent = intent;
    return 0;
}
