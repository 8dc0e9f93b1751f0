// SPDX-License-Identifier: MIT
// database: see database.h.
#include "database.h"

#include <string.h>

#include "pg_conninfo.h"

int database_conninfo(const DatabaseOptions *options, Buf *out, Error *reterr)
{
    if (strcmp(options->database, "local") == 0) {
        pg_conninfo_add(out, "host", options->sockets);
        pg_conninfo_add(out, "user", "wildcam");
        pg_conninfo_add(out, "dbname", "wildcam");
        buf_printf(out, " port=%u", (unsigned)options->port);
    } else {
        int r = pg_conninfo_add_dsn(options->database, NULL, out, reterr);
        if (r < 0)
            return r;
        pg_conninfo_add(out, "passfile", options->passfile);
    }
    pg_conninfo_add(out, "application_name", options->application);
    pg_conninfo_add_common(out);
    return buf_check(out) < 0 ? error_set(reterr, ERROR_MEMORY, "no memory for a connection") : 0;
}
