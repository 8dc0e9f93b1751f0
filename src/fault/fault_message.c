// SPDX-License-Identifier: MIT
// fault_message: see fault_message.h.
#include "fault_message.h"

#include <stdio.h>
#include <string.h>

#include "cursor.h"

static size_t finish(Buf *buf, unsigned char bytes[FAULT_MESSAGE_MAX])
{
    size_t len = buf_check(buf) == 0 && buf->len <= FAULT_MESSAGE_MAX ? buf->len : 0;
    memcpy(bytes, buf_text(buf), len);
    buf_done(buf);
    return len;
}

size_t fault_request_encode(const FaultRequest *request, unsigned char bytes[FAULT_MESSAGE_MAX])
{
    const Fault *fault = &request->fault;
    size_t len = fault->program != NULL ? strlen(fault->program) : 0;
    if (len >= FAULT_PROGRAM_MAX)
        return 0;
    Buf buf = BUF_INIT(FAULT_MESSAGE_MAX + 1);
    buf_put_u32(&buf, request->number);
    buf_put_u8(&buf, (uint8_t)request->verb);
    buf_put_u32(&buf, request->id);
    buf_put_u8(&buf, (uint8_t)fault->kind);
    buf_put_u64(&buf, fault->a);
    buf_put_u64(&buf, fault->b);
    buf_put_u8(&buf, fault->one_way ? 1 : 0);
    buf_put_u16(&buf, fault->port);
    buf_put_i64(&buf, fault->value);
    buf_put_u8(&buf, (uint8_t)len);
    buf_add(&buf, fault->program != NULL ? fault->program : "", len);
    return finish(&buf, bytes);
}

int fault_request_decode(const unsigned char *bytes, size_t len, FaultRequest *ret_request)
{
    Cursor cursor = cursor_of(bytes, len);
    FaultRequest request = {.number = cursor_u32(&cursor)};
    unsigned verb = cursor_u8(&cursor);
    request.id = cursor_u32(&cursor);
    unsigned kind = cursor_u8(&cursor);
    request.fault.a = cursor_u64(&cursor);
    request.fault.b = cursor_u64(&cursor);
    unsigned one_way = cursor_u8(&cursor);
    request.fault.port = cursor_u16(&cursor);
    request.fault.value = cursor_i64(&cursor);
    size_t name_len = cursor_u8(&cursor);
    const char *name = cursor_bytes(&cursor, name_len);
    if (cursor_check(&cursor) < 0 || cursor_left(&cursor) > 0 || verb >= FAULT_VERB_MAX ||
        kind >= FAULT_MAX || one_way > 1 || name_len >= FAULT_PROGRAM_MAX ||
        memchr(name, '\0', name_len) != NULL)
        return ERROR_FORMAT;
    request.verb = (FaultVerb)verb;
    request.fault.kind = (FaultKind)kind;
    request.fault.one_way = one_way != 0;
    memcpy(request.program, name, name_len);
    *ret_request = request;
    ret_request->fault.program = name_len > 0 ? ret_request->program : NULL;
    return 0;
}

void fault_answer_set_text(FaultAnswer *answer, const char *text)
{
    int n = snprintf(answer->text, sizeof answer->text, "%s", text);
    if (n >= (int)sizeof answer->text)
        memcpy(answer->text + sizeof answer->text - 4, "...", 4);
}

size_t fault_answer_encode(const FaultAnswer *answer, unsigned char bytes[FAULT_MESSAGE_MAX])
{
    Buf buf = BUF_INIT(FAULT_MESSAGE_MAX + 1);
    buf_put_u32(&buf, answer->number);
    buf_put_u32(&buf, (uint32_t)answer->code);
    buf_put_u32(&buf, answer->id);
    buf_add(&buf, answer->text, strnlen(answer->text, sizeof answer->text - 1));
    return finish(&buf, bytes);
}

int fault_answer_decode(const unsigned char *bytes, size_t len, FaultAnswer *ret_answer)
{
    Cursor cursor = cursor_of(bytes, len);
    FaultAnswer answer = {.number = cursor_u32(&cursor)};
    answer.code = (int)cursor_u32(&cursor);
    answer.id = cursor_u32(&cursor);
    size_t text_len = cursor_left(&cursor);
    const char *text = cursor_bytes(&cursor, text_len);
    if (cursor_check(&cursor) < 0 || text_len >= sizeof answer.text ||
        memchr(text, '\0', text_len) != NULL)
        return ERROR_FORMAT;
    memcpy(answer.text, text, text_len);
    *ret_answer = answer;
    return 0;
}
