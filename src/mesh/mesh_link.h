// SPDX-License-Identifier: MIT
// mesh_link: how one region's database reaches another's for replication. Local regions use the
// subscriber's peer certificate and no password. A managed database cannot read our files: it gets
// the publisher's password inside the conninfo, which only the server stores and nothing prints.
#pragma once
#include "buf.h"
#include "mesh.h"

typedef enum MeshLinkFor {
    MESH_LINK_FOR_SERVER, // what CREATE SUBSCRIPTION gets: may hold a password
    MESH_LINK_FOR_US,     // the same way from this machine: the password comes from the passfile
    MESH_LINK_TO_SHOW,    // as for the server, with *** for a password
} MeshLinkFor;

int mesh_link_conninfo(const Mesh *mesh, const MeshNode *subscriber, const MeshNode *publisher,
                       MeshLinkFor use, Buf *out, Error *reterr) MUST_CHECK;
// Changes when the publisher's passfile was written anew.
uint64_t mesh_link_secret_age(const Mesh *mesh, const MeshNode *publisher);
// One connection to the publisher as the role that replication uses, in a mesh of one node with the
// publisher's name. mesh_free.
int mesh_link_open(const Mesh *mesh, const MeshNode *subscriber, const MeshNode *publisher,
                   Mesh **ret_link, Error *reterr) MUST_CHECK;
// The password of a passfile's first line that fits; NULL: none. free(), after wiping.
char *mesh_passfile_find(const char *text, const char *host, const char *port, const char *database,
                         const char *user);
