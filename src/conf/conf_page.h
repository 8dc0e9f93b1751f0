// SPDX-License-Identifier: MIT
// conf_page: the reference page docs/fleet-yaml.md, written from the table of options. A test
// compares the file with it; `ninja -C BUILD fleet-yaml-page` writes it again.
#pragma once
#include "buf.h"

// 0, or what buf_check says.
int conf_page(Buf *ret_text) MUST_CHECK;
