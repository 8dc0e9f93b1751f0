// SPDX-License-Identifier: MIT
// report_codec: reports, intents and texts inside a recording's batch. Only for event_codec.
#pragma once
#include "event_codec.h"

void codec_put_text(EventCodec *codec, Buf *buf, const char *text);
const char *codec_get_text(EventCodec *codec, Cursor *cursor); // "" after a failure
void codec_put_intents(EventCodec *codec, Buf *buf, const Intent *intents, uint32_t n);
int codec_get_intents(EventCodec *codec, Cursor *cursor, Intent **ret_intents,
                      uint32_t *ret_n) MUST_CHECK;
void codec_put_report(EventCodec *codec, Buf *buf, const Report *report);
int codec_get_report(EventCodec *codec, Cursor *cursor, const Report **ret_report) MUST_CHECK;
