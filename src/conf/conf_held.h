// SPDX-License-Identifier: MIT
// conf_held: what stands behind a Conf: its memory, and the file's values for conf_diff.
#pragma once
#include "arena.h"
#include "conf_schema.h"

typedef struct ConfHeld {
    Conf conf; // first: a Conf * from conf_parse points at its ConfHeld
    Arena *arena;
    ConfRaw raw;
} ConfHeld;

static inline ConfHeld *conf_held(Conf *conf)
{
    return (ConfHeld *)conf;
}

static inline const ConfHeld *conf_held_const(const Conf *conf)
{
    return (const ConfHeld *)conf;
}
