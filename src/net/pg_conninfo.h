// SPDX-License-Identifier: MIT
// pg_conninfo: keywords for libpq, built piece by piece. A DSN in either form is taken apart by
// libpq and written again as keywords, so that it can be extended. It must not hold a password:
// that comes from a passfile; no value of it is ever put into an error.
#pragma once
#include "buf.h"
#include "error.h"

// " KEYWORD='VALUE'", quoted as libpq reads it.
void pg_conninfo_add(Buf *out, const char *keyword, const char *value);
// Keywords or postgresql://...; those in `without` (NULL: none; ends with NULL) are left out.
// ERROR_FORMAT for a DSN that cannot be read or that holds a password.
int pg_conninfo_add_dsn(const char *dsn, const char *const *without, Buf *out,
                        Error *reterr) MUST_CHECK;
// What every connection of ours has: no Kerberos, which would be asked first, perhaps for seconds;
// two seconds to connect; one encoding.
void pg_conninfo_add_common(Buf *out);
