// SPDX-License-Identifier: MIT
// mesh_link: see mesh_link.h. Of a managed database's passfile the line of wildcam_replication is
// used when there is one, else that of the DSN's own user.
#include "mesh_link.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "files.h"
#include "layout.h"
#include "mesh_inside.h"
#include "pg_conninfo.h"

#define PASSFILE_BYTES 65536

// One field, up to a colon that no backslash precedes; true when it is "*" or `want` (NULL: any).
static bool take_field(const char **at, const char *want, Buf *ret_value)
{
    const char *begin = *at;
    buf_clear(ret_value);
    for (; **at != '\0' && **at != '\n' && **at != ':'; (*at)++) {
        if (**at == '\\' && (*at)[1] != '\0' && (*at)[1] != '\n')
            (*at)++;
        buf_add_char(ret_value, **at);
    }
    bool any = *at - begin == 1 && *begin == '*';
    if (**at == ':')
        (*at)++;
    return any || want == NULL || strcmp(buf_text(ret_value), want) == 0;
}

char *mesh_passfile_find(const char *text, const char *host, const char *port, const char *database,
                         const char *user)
{
    const char *const wants[] = {host, port, database, user, NULL};
    Buf value CLEANUP(buf_done) = BUF_INIT(PASSFILE_BYTES);
    while (*text != '\0') {
        bool fits = *text != '#';
        for (size_t i = 0; fits && i < ARRAY_SIZE(wants); i++)
            fits = take_field(&text, wants[i], &value);
        if (fits && value.len > 0)
            return buf_take(&value);
        text += strcspn(text, "\n");
        text += *text == '\n' ? 1 : 0;
    }
    return NULL;
}

// The value of a keyword, or "" (or what libpq would take).
static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return o->val != NULL ? o->val : o->compiled != NULL ? o->compiled : "";
    return "";
}

static int add_password(const char *password, const char *user, MeshLinkFor use,
                        const char *passfile, Buf *out)
{
    pg_conninfo_add(out, "user", user);
    if (use == MESH_LINK_FOR_US)
        pg_conninfo_add(out, "passfile", passfile);
    else
        pg_conninfo_add(out, "password", use == MESH_LINK_TO_SHOW ? "***" : password);
    return 0;
}

// Finds the password for (host, port, database) among `users`, the first that has one.
static int add_user(const Mesh *mesh, const MeshNode *publisher, const char *const place[3],
                    const char *const users[2], MeshLinkFor use, Buf *out, Error *reterr)
{
    LayoutPath passfile = layout_region(mesh->dir, publisher->region, "pg.pass");
    char *text CLEANUP(alloc_freep) = NULL, *password = NULL;
    size_t len = 0;
    int r = files_read(passfile.text, PASSFILE_BYTES, &text, &len, reterr);
    if (r < 0)
        return r;
    const char *user = users[0];
    for (size_t i = 0; i < 2 && password == NULL; i++) {
        user = users[i];
        password = mesh_passfile_find(text, place[0], place[1], place[2], user);
    }
    if (password == NULL) {
        r = error_set(reterr, ERROR_NOT_FOUND, "'%s' has no password for role '%s' of '%s'",
                      passfile.text, user, publisher->region);
        r = error_hint(reterr, r, "Add a line HOST:PORT:DATABASE:USER:PASSWORD.");
    } else {
        r = add_password(password, user, use, passfile.text, out);
        explicit_bzero(password, strlen(password));
    }
    free(password);
    explicit_bzero(text, len);
    return r;
}

static int add_managed(const Mesh *mesh, const MeshNode *publisher, const char *dsn,
                       MeshLinkFor use, Buf *out, Error *reterr)
{
    static const char *const WITHOUT[] = {"user", "application_name", NULL};
    int r = pg_conninfo_add_dsn(dsn, WITHOUT, out, reterr);
    PQconninfoOption *options = r == 0 ? PQconninfoParse(dsn, NULL) : NULL;
    if (r < 0 || options == NULL)
        return r < 0 ? r : error_set(reterr, ERROR_MEMORY, "no memory for a connection");
    const char *const place[] = {value_of(options, "host"), value_of(options, "port"),
                                 value_of(options, "dbname")};
    const char *const users[] = {"wildcam_replication", value_of(options, "user")};
    r = add_user(mesh, publisher, place, users, use, out, reterr);
    PQconninfoFree(options);
    return r;
}

static int add_local(const Mesh *mesh, const MeshNode *subscriber, const MeshNode *publisher,
                     MeshLinkFor use, Buf *out, Error *reterr)
{
    const char *address = mesh->conf->model.regions[publisher->index].address;
    const ConfRegionLocal *local = &mesh->conf->regions[publisher->index];
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)local->database_port);
    pg_conninfo_add(out, "host", address);
    pg_conninfo_add(out, "port", port);
    pg_conninfo_add(out, "dbname", "wildcam");
    if (strcmp(mesh->conf->regions[subscriber->index].database, "local") == 0) {
        pg_conninfo_add(out, "user", "wildcam_replication");
        mesh_conninfo_add_certificate(mesh->dir, subscriber->region, out);
        return 0;
    }
    const char *const place[] = {address, port, "wildcam"};
    const char *const users[] = {"wildcam_replication", "wildcam"};
    pg_conninfo_add(out, "sslmode", "require");
    return add_user(mesh, publisher, place, users, use, out, reterr);
}

int mesh_link_conninfo(const Mesh *mesh, const MeshNode *subscriber, const MeshNode *publisher,
                       MeshLinkFor use, Buf *out, Error *reterr)
{
    int r;
    if (mesh->conf == NULL) {
        buf_add_text(out, mesh_given(mesh, publisher));
        return 0;
    }
    const char *database = mesh->conf->regions[publisher->index].database;
    if (strcmp(database, "local") == 0)
        r = add_local(mesh, subscriber, publisher, use, out, reterr);
    else
        r = add_managed(mesh, publisher, database, use, out, reterr);
    buf_add_text(out, " gssencmode=disable connect_timeout=5");
    if (r == 0 && buf_check(out) < 0)
        r = error_set(reterr, ERROR_MEMORY, "no memory for a connection");
    return r;
}

uint64_t mesh_link_secret_age(const Mesh *mesh, const MeshNode *publisher)
{
    struct stat status;
    LayoutPath passfile = layout_region(mesh->dir, publisher->region, "pg.pass");
    if (stat(passfile.text, &status) < 0)
        return 0;
    return (uint64_t)status.st_mtim.tv_sec * UINT64_C(1000000000) +
           (uint64_t)status.st_mtim.tv_nsec;
}

int mesh_link_open(const Mesh *mesh, const MeshNode *subscriber, const MeshNode *publisher,
                   Mesh **ret_link, Error *reterr)
{
    const MeshInside *inside = (const MeshInside *)mesh;
    Buf text CLEANUP(buf_done) = BUF_INIT(65536);
    int r = mesh_link_conninfo(mesh, subscriber, publisher, MESH_LINK_FOR_US, &text, reterr);
    if (r < 0)
        return r;
    const char *const conninfos[] = {buf_text(&text)};
    const MeshOptions options = {.application = inside->application,
                                 .connect_ns = inside->connect_ns,
                                 .statement_ns = mesh->timeout_ns};
    Mesh *link = NULL;
    r = mesh_open_conninfos(conninfos, &publisher->origin, 1, &options, &link, reterr);
    if (r < 0)
        return r;
    link->nodes[0].region = publisher->region;
    if (link->nodes[0].conn == NULL) {
        r = mesh_reason(&link->nodes[0], reterr);
        link = mesh_free(link);
    }
    *ret_link = link;
    return r;
}
