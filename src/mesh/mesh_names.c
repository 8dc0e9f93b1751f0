// SPDX-License-Identifier: MIT
// mesh_names: how things are called: connections, subscriptions. Conninfos hold names of files, no
// secrets; a password stays in the region's passfile.
#include "mesh_inside.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "layout.h"
#include "pg_conninfo.h"
#include "replication_name.h"

const char *mesh_identifier(Arena *arena, const char *region)
{
    char *text = arena_strdup(arena, region);
    for (char *at = text; at != NULL && *at != '\0'; at++)
        if (*at == '-')
            *at = '_';
    return text;
}

void mesh_subscription_name(const MeshNode *subscriber, const MeshNode *publisher,
                            char name[MESH_NAME_MAX])
{
    static_assert(MESH_NAME_MAX == REPLICATION_NAME_MAX, "one name, two callers");
    replication_name(subscriber->region, subscriber->origin, publisher->region, publisher->origin,
                     name);
}

// First, so that a DSN may say otherwise. The server gives up a little earlier than we do: its word
// is better than our silence.
static void add_options(const Mesh *mesh, Buf *out)
{
    char text[192];
    (void)snprintf(text, sizeof text,
                   "-c statement_timeout=%lld -c datestyle=ISO -c timezone=UTC "
                   "-c intervalstyle=postgres -c extra_float_digits=1 -c search_path=public",
                   (long long)(mesh->timeout_ns / NS_PER_MS * 9 / 10 + 1));
    pg_conninfo_add(out, "options", text);
}

static int finish(const MeshInside *inside, Buf *out, Error *reterr)
{
    pg_conninfo_add(out, "application_name", inside->application);
    pg_conninfo_add_common(out);
    return buf_check(out) < 0 ? error_set(reterr, ERROR_MEMORY, "no memory for a connection") : 0;
}

static int add_socket(const Mesh *mesh, const MeshNode *node, Buf *out, Error *reterr)
{
    LayoutPath sockets;
    int r = layout_sockets(mesh->dir, node->region, &sockets, reterr);
    if (r < 0)
        return r;
    pg_conninfo_add(out, "host", sockets.text);
    pg_conninfo_add(out, "user", "wildcam");
    return 0;
}

static void add_tls(const MeshInside *inside, const MeshNode *node, Buf *out)
{
    const Mesh *mesh = &inside->mesh;
    pg_conninfo_add(out, "host", mesh->conf->model.regions[node->index].address);
    pg_conninfo_add(out, "user", "wildcam_rows");
    mesh_conninfo_add_certificate(mesh->dir, inside->from, out);
}

void mesh_conninfo_add_certificate(const char *dir, const char *region, Buf *out)
{
    pg_conninfo_add(out, "sslmode", "verify-full");
    pg_conninfo_add(out, "sslrootcert", layout_dir(dir, "pki/ca.pem").text);
    pg_conninfo_add(out, "sslcert", layout_pki(dir, region, "peer.pem").text);
    pg_conninfo_add(out, "sslkey", layout_pki(dir, region, "peer.key").text);
}

int mesh_conninfo_of(const MeshInside *inside, const MeshNode *node, Buf *out, Error *reterr)
{
    const Mesh *mesh = &inside->mesh;
    const ConfRegionLocal *region = &mesh->conf->regions[node->index];
    add_options(mesh, out);
    if (strcmp(region->database, "local") != 0) {
        int r = pg_conninfo_add_dsn(region->database, NULL, out, reterr);
        if (r < 0)
            return r;
        pg_conninfo_add(out, "passfile", layout_region(mesh->dir, node->region, "pg.pass").text);
        return finish(inside, out, reterr);
    }
    bool owner = inside->as == MESH_AS_OWNER || strcmp(inside->from, node->region) == 0;
    int r = owner ? add_socket(mesh, node, out, reterr) : 0;
    if (r < 0)
        return r;
    if (!owner)
        add_tls(inside, node, out);
    pg_conninfo_add(out, "dbname", "wildcam");
    buf_printf(out, " port=%u", (unsigned)region->database_port);
    return finish(inside, out, reterr);
}

int mesh_conninfo_given(const MeshInside *inside, const char *given, Buf *out, Error *reterr)
{
    add_options(&inside->mesh, out);
    int r = pg_conninfo_add_dsn(given, NULL, out, reterr);
    return r < 0 ? r : finish(inside, out, reterr);
}
