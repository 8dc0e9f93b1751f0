// SPDX-License-Identifier: MIT
// hold: see hold.h.
#include "hold.h"

#include <string.h>

#include "alloc.h"
#include "error.h"

size_t hold_room(const Hold *hold)
{
    return hold->used >= HOLD_MAX ? 0 : HOLD_MAX - hold->used;
}

static int append(Hold *hold, HoldKind kind, const void *bytes, size_t len, Mono since)
{
    HoldPiece *piece = alloc_zeroed(1, sizeof *piece + len);
    if (piece == NULL)
        return ERROR_MEMORY;
    piece->since = since;
    piece->kind = kind;
    piece->len = len;
    if (len > 0)
        memcpy(piece->bytes, bytes, len);
    if (hold->last != NULL)
        hold->last->next = piece;
    else
        hold->first = piece;
    hold->last = piece;
    hold->used += sizeof *piece + len;
    return 0;
}

int hold_add(Hold *hold, const void *bytes, size_t len, Mono since)
{
    return len > 0 ? append(hold, HOLD_BYTES, bytes, len, since) : 0;
}

int hold_mark(Hold *hold, HoldKind kind, Mono since)
{
    return append(hold, kind, NULL, 0, since);
}

void hold_drop(Hold *hold, size_t len)
{
    HoldPiece *piece = hold->first;
    ASSERT(piece != NULL && len <= piece->len - piece->at);
    piece->at += len;
    if (piece->at < piece->len)
        return;
    hold->used -= sizeof *piece + piece->len;
    hold->first = piece->next;
    if (hold->first == NULL)
        hold->last = NULL;
    free(piece);
}

void hold_done(Hold *hold)
{
    while (hold->first != NULL)
        hold_drop(hold, hold->first->len - hold->first->at);
}
