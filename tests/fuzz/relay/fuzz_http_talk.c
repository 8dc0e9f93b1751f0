// SPDX-License-Identifier: MIT
// Fuzz target: both directions of a connection through http_talk. Input: share of errors (1 byte),
// length of the requests (2 bytes), requests, answers. What must hold: without errors everything
// that is taken goes on byte for byte, whatever it is; answers always do; pieces of one byte and
// the whole come to the same; nothing is taken twice.
#include <string.h>

#include "attr.h"
#include "error.h"
#include "http_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Side {
    HttpTalk talk;
    Hold requests, answers;
    ErrorShare share;
    size_t asked; // bytes of the requests taken
} Side;

// Takes the hold's bytes and holds them against `bytes`; returns how many there were.
static size_t same(Hold *hold, const uint8_t *bytes, size_t len)
{
    size_t at = 0;
    while (hold->first != NULL) {
        if (hold->first->kind == HOLD_BYTES) {
            ASSERT(hold->first->len <= len - at);
            ASSERT(memcmp(hold->first->bytes, bytes + at, hold->first->len) == 0);
            at += hold->first->len;
        }
        hold_drop(hold, hold->first->len);
    }
    return at;
}

// All requests that it takes, then all answers, then again as long as it takes something.
static void run(Side *side, const uint8_t *asks, size_t n_asks, const uint8_t *replies,
                size_t n_replies, size_t step, uint32_t ppm)
{
    http_talk_begin(&side->talk, &side->share, &side->requests, &side->answers);
    size_t replied = 0, taken;
    do {
        do {
            size_t n = n_asks - side->asked < step ? n_asks - side->asked : step;
            int r = http_talk_request(&side->talk, (const char *)asks + side->asked, n, ppm,
                                      (Mono){1}, &taken);
            ASSERT(r == 0 && taken <= n);
            side->asked += taken;
        } while (taken > 0);
        if (replied == n_replies)
            break;
        size_t n = n_replies - replied < step ? n_replies - replied : step;
        ASSERT(http_talk_answer(&side->talk, (const char *)replies + replied, n, (Mono){2}) == 0);
        replied += n;
    } while (true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    size_t n_asks = (size_t)data[1] | (size_t)data[2] << 8;
    const uint8_t *asks = data + 3;
    if (n_asks > size - 3)
        n_asks = size - 3;
    const uint8_t *replies = asks + n_asks;
    size_t n_replies = size - 3 - n_asks;
    static Side whole, pieces;
    memset(&whole, 0, sizeof whole);
    memset(&pieces, 0, sizeof pieces);
    run(&whole, asks, n_asks, replies, n_replies, SIZE_MAX, 0);
    size_t passed = same(&whole.requests, asks, n_asks);
    ASSERT(same(&whole.answers, replies, n_replies) == n_replies);
    ASSERT(passed <= whole.asked);
    ASSERT(http_talk_end(&whole.talk, (Mono){3}) == 0);
    passed += same(&whole.requests, asks + passed, n_asks - passed);
    ASSERT(passed == whole.asked);
    run(&pieces, asks, n_asks, replies, n_replies, 1, 0);
    ASSERT(same(&pieces.answers, replies, n_replies) == n_replies);
    hold_done(&pieces.requests);
    memset(&whole, 0, sizeof whole);
    run(&whole, asks, n_asks, replies, n_replies, SIZE_MAX, (uint32_t)data[0] * 3921);
    hold_done(&whole.requests);
    hold_done(&whole.answers);
    return 0;
}
