// SPDX-License-Identifier: MIT
// mesh_lookup: host names of a DSN, resolved beside the caller. libpq would do it inside of
// PQconnectStart, where a resolver that is silent holds up everybody else's connection for as long
// as it likes.
#pragma once
#include "buf.h"
#include "error.h"

typedef struct MeshLookup MeshLookup;

// *ret_lookup NULL: this conninfo has no name to resolve (sockets, addresses, or it says hostaddr).
int mesh_lookup_begin(const char *conninfo, MeshLookup **ret_lookup, Error *reterr) MUST_CHECK;
int mesh_lookup_fd(const MeshLookup *lookup); // readable when it has ended
const char *mesh_lookup_names(const MeshLookup *lookup);
// After the end: the conninfo with every address of every name, in the order libpq shall try them.
// ERROR_UNAVAILABLE naming what has none.
int mesh_lookup_take(const MeshLookup *lookup, Buf *out, Error *reterr) MUST_CHECK;
// Returns NULL; does not wait: what a resolver still has ends by itself.
MeshLookup *mesh_lookup_free(MeshLookup *lookup);
