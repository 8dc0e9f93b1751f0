// SPDX-License-Identifier: MIT
// top_terminal: taking a terminal for a full-screen view, and giving it back on every way out.
#pragma once
#include <stdbool.h>

// The other screen, no cursor; with `keys` no echo and no lines. Crashes give it back too.
void top_terminal_take(bool keys);
void top_terminal_give_back(void); // harmless when it was not taken
