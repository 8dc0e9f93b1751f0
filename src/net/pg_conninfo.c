// SPDX-License-Identifier: MIT
// pg_conninfo: see pg_conninfo.h.
#include "pg_conninfo.h"

#include <libpq-fe.h>
#include <string.h>

void pg_conninfo_add(Buf *out, const char *keyword, const char *value)
{
    buf_printf(out, "%s%s='", out->len > 0 ? " " : "", keyword);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, *value);
    }
    buf_add_char(out, '\'');
}

static bool is_among(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

int pg_conninfo_add_dsn(const char *dsn, const char *const *without, Buf *out, Error *reterr)
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
        else if (!is_among(without, o->keyword))
            pg_conninfo_add(out, o->keyword, o->val);
    }
    PQconninfoFree(options);
    return r;
}

void pg_conninfo_add_common(Buf *out)
{
    buf_add_text(out, " gssencmode=disable connect_timeout=2 client_encoding=UTF8");
}
