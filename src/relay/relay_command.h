// SPDX-License-Identifier: MIT
// relay_command: the commands on stdin, one a line, each answered by one line.
#pragma once
#include "buf.h"
#include "relay_state.h"

// Obeys one line (without its end) and adds the answer, "ok", "ok N" or "error TEXT", with its line
// end. True: what was held may be due at another time now.
bool relay_command(Relay *relay, const char *line, Buf *answer);
