// SPDX-License-Identifier: MIT
// sql_text: names and texts as SQL writes them, without a connection. Literals are right for every
// setting of standard_conforming_strings: a backslash makes an E'' literal.
#pragma once
#include "buf.h"

void sql_text_identifier(Buf *buf, const char *name); // quoted when needed
void sql_text_literal(Buf *buf, const char *text);
