// SPDX-License-Identifier: MIT
// database: see database.h. The DSN is taken apart by libpq and written again as keywords, so that
// both forms can be extended; nothing of it is put into errors but the keyword's name.
#include "database.h"

#include <libpq-fe.h>
#include <string.h>

static void add(Buf *out, const char *keyword, const char *value)
{
    buf_printf(out, "%s%s='", out->len > 0 ? " " : "", keyword);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, *value);
    }
    buf_add_char(out, '\'');
}

static int add_dsn(const char *dsn, Buf *out, Error *reterr)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, &message);
    if (options == NULL) {
        PQfreemem(message);
        return error_set(reterr, ERROR_FORMAT,
                         "the region's database is neither 'local' nor a DSN that libpq reads");
    }
    int r = 0;
    for (const PQconninfoOption *o = options; r >= 0 && o->keyword != NULL; o++) {
        if (o->val == NULL)
            continue;
        if (strcmp(o->keyword, "password") == 0)
            r = error_set(reterr, ERROR_FORMAT,
                          "the region's database holds a password\n"
                          "HINT: Put it into the region's passfile.");
        else
            add(out, o->keyword, o->val);
    }
    PQconninfoFree(options);
    return r;
}

int database_conninfo(const DatabaseOptions *options, Buf *out, Error *reterr)
{
    if (strcmp(options->database, "local") == 0) {
        add(out, "host", options->sockets);
        add(out, "user", "wildcam");
        add(out, "dbname", "wildcam");
        buf_printf(out, " port=%u", (unsigned)options->port);
    } else {
        int r = add_dsn(options->database, out, reterr);
        if (r < 0)
            return r;
        add(out, "passfile", options->passfile);
    }
    add(out, "application_name", options->application);
    // Kerberos would be asked first, perhaps for seconds; a text protocol needs one encoding.
    buf_add_text(out, " gssencmode=disable connect_timeout=2 client_encoding=UTF8");
    return buf_check(out) < 0 ? error_set(reterr, ERROR_MEMORY, "no memory for a connection") : 0;
}
