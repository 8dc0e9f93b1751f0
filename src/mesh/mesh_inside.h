// SPDX-License-Identifier: MIT
// mesh_inside: what the files of the mesh share and nobody else needs.
#pragma once
#include "buf.h"
#include "instant.h"
#include "mesh.h"
#include "mesh_lookup.h"

typedef struct MeshInside {
    Mesh mesh; // first: what callers see
    MeshAs as;
    const char *from, *application;
    int64_t connect_ns;
    MeshLookup **lookups; // [n] under way; NULL: none
    const char **given;   // [n] as mesh_open_conninfos got them; NULL
} MeshInside;

// Keywords to connect to `node` as the mesh's options say. ERROR_NOT_FOUND while a local region was
// never started.
int mesh_conninfo_of(const MeshInside *inside, const MeshNode *node, Buf *out,
                     Error *reterr) MUST_CHECK;
// A given DSN (mesh_open_conninfos) with what our connections add.
int mesh_conninfo_given(const MeshInside *inside, const char *given, Buf *out,
                        Error *reterr) MUST_CHECK;
// TLS with that region's peer certificate.
void mesh_conninfo_add_certificate(const char *dir, const char *region, Buf *out);
// "us_east_1" of "us-east-1"; NULL without memory.
const char *mesh_identifier(Arena *arena, const char *region);
// The connection is of no use any more: closes it, keeps the reason in node->why.
int mesh_lose(MeshNode *node, int code, const char *why);
int mesh_reason(const MeshNode *node, Error *reterr); // ERROR_UNAVAILABLE: "REGION: why"

const char *mesh_given(const Mesh *mesh, const MeshNode *node);

typedef struct MeshPoll {
    int fd; // -1: not waited for
    short events;
    bool ready;
} MeshPoll;

// Waits until one of them is ready or `end`. False: the time is over.
bool mesh_wait(MeshPoll *polls, uint32_t n, Mono end);
