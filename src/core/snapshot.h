// SPDX-License-Identifier: MIT
// snapshot: everything that a core remembers, as bytes, so that a replay can begin in the middle of
// an agent's life: each segment of a recording begins with one. Loaded into a core of the same
// model it decides from there on exactly as the saved one does. Field by field, little-endian,
// every value checked: it may come from someone else's recording. The layout is that of
// SNAPSHOT_VERSION and nothing older: recordings are read by the build that wrote them, as the core
// that they are replayed with is that build's.
#pragma once
#include "buf.h"
#include "core.h"

#define SNAPSHOT_VERSION 1

// Appends. Between two steps only.
int core_save(const Core *core, Buf *buf) MUST_CHECK;
// Of the options only own, boot and replica_sockets count; there are as many sockets as core_new of
// the saved one was given. ERROR_FORMAT with what is wrong.
int core_load(const Model *model, const CoreOptions *options, const void *bytes, size_t len,
              Core **ret_core, Error *reterr) MUST_CHECK;
