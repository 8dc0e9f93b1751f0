// SPDX-License-Identifier: MIT
// utf8: see utf8.h. The table is RFC 3629 section 4.
#include "utf8.h"

static bool between(unsigned char c, unsigned char low, unsigned char high)
{
    return c >= low && c <= high;
}

size_t utf8_sequence_len(const char *text, size_t left)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80)
        return 1;
    if (between(s[0], 0xc2, 0xdf))
        return left >= 2 && between(s[1], 0x80, 0xbf) ? 2 : 0;
    if (between(s[0], 0xe0, 0xef)) {
        unsigned char low = s[0] == 0xe0 ? 0xa0 : 0x80, high = s[0] == 0xed ? 0x9f : 0xbf;
        return left >= 3 && between(s[1], low, high) && between(s[2], 0x80, 0xbf) ? 3 : 0;
    }
    if (between(s[0], 0xf0, 0xf4)) {
        unsigned char low = s[0] == 0xf0 ? 0x90 : 0x80, high = s[0] == 0xf4 ? 0x8f : 0xbf;
        return left >= 4 && between(s[1], low, high) && between(s[2], 0x80, 0xbf) &&
                       between(s[3], 0x80, 0xbf)
                   ? 4
                   : 0;
    }
    return 0;
}

bool utf8_valid(const char *text, size_t len)
{
    while (len > 0) {
        size_t step = utf8_sequence_len(text, len);
        if (step == 0)
            return false;
        text += step;
        len -= step;
    }
    return true;
}
