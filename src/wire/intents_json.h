// SPDX-License-Identifier: MIT
// intents_json: one intent as JSON; shared by reports, the file on disk and POST /v1/intents.
#pragma once
#include <stdbool.h>

#include "buf.h"
#include "json_reader.h"
#include "report.h"

void intents_json_put(const Intent *intents, uint32_t n, Buf *buf); // a list, brackets included
// Reads object[key]. Kinds that this version does not know, or not for such a target, are left out.
void intents_json_get(JsonReader *reader, const json_t *object, const char *key,
                      Intent **ret_intents, uint32_t *ret_n);
// Whether reports carry such a wish: a peer leaves out one that does not fit (intent_fits.h).
bool intents_json_fits(IntentKind kind, const char *target);
