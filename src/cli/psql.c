// SPDX-License-Identifier: MIT
// psql: `wildcam psql [--analytics] REGION [-- ARGS]` opens the region's database as its owner, by
// the socket and without a password (peer): root and the run user may. A database that is not ours
// is reached by its connection string with the region's passfile. --analytics: as the role that
// reads everything and writes nothing, at the region's read replica where fleet.yaml names one.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "cli.h"
#include "context.h"
#include "files.h"
#include "pg_conninfo.h"
#include "pg_setup.h"

static int run(const char *conninfo, char **args, int n, Error *reterr)
{
    char **argv = alloc_zeroed((size_t)n + 4, sizeof *argv), *dsn = alloc_strdup(conninfo);
    char program[] = PG_BIN "/psql", d[] = "-d";
    if (argv == NULL || dsn == NULL) {
        free(argv);
        free(dsn);
        return error_set(reterr, ERROR_MEMORY, "psql");
    }
    char *fixed[] = {program, d, dsn};
    memcpy(argv, fixed, sizeof fixed);
    for (int i = 0; i < n; i++)
        argv[ARRAY_SIZE(fixed) + (size_t)i] = args[i];
    (void)execv(argv[0], argv);
    int r = error_errno(reterr, errno, "%s", argv[0]);
    free(argv);
    free(dsn);
    return r;
}

static int add_socket(const Context *context, uint32_t region, const char *role, Buf *out,
                      Error *reterr)
{
    const char *name = context->conf->model.regions[region].name;
    unsigned port = context->conf->regions[region].database_port;
    LayoutPath folder;
    int r = layout_sockets(context->dir.text, name, &folder, reterr);
    if (r < 0)
        return error_hint(reterr, r, "'wildcam up' starts the fleet.");
    char socket[sizeof folder.text + 32];
    (void)snprintf(socket, sizeof socket, "%s/.s.PGSQL.%u", folder.text, port);
    if (!files_exist(socket)) { // psql would only say that a file is not there
        r = error_set(reterr, ERROR_UNAVAILABLE, "no database runs in region '%s'", name);
        return error_hint(reterr, r, "'wildcam status' shows the fleet, 'wildcam up' starts it.");
    }
    pg_conninfo_add(out, "host", folder.text);
    pg_conninfo_add(out, "user", role);
    pg_conninfo_add(out, "dbname", PG_DATABASE);
    buf_printf(out, " port=%u", port);
    return 0;
}

static int add_dsn(const Context *context, uint32_t region, const char *dsn, bool analytics,
                   Buf *out, Error *reterr)
{
    static const char *const USER[] = {"user", NULL};
    LayoutPath passfile =
        layout_region(context->dir.text, context->conf->model.regions[region].name, "pg.pass");
    int r = pg_conninfo_add_dsn(dsn, analytics ? USER : NULL, out, reterr);
    if (r < 0)
        return r;
    if (analytics)
        pg_conninfo_add(out, "user", PG_ANALYTICS);
    pg_conninfo_add(out, "passfile", passfile.text);
    return 0;
}

static int exec_psql(const Context *context, uint32_t region, bool analytics, char **args, int n,
                     Error *reterr)
{
    const ConfRegionLocal *local = &context->conf->regions[region];
    const char *dsn =
        analytics && local->database_replica != NULL ? local->database_replica : local->database;
    Buf conninfo CLEANUP(buf_done) = BUF_INIT(65536);
    int r =
        strcmp(dsn, "local") == 0
            ? add_socket(context, region, analytics ? PG_ANALYTICS : PG_OWNER, &conninfo, reterr)
            : add_dsn(context, region, dsn, analytics, &conninfo, reterr);
    if (r == 0 && buf_check(&conninfo) < 0)
        r = error_set(reterr, ERROR_MEMORY, "psql");
    return r < 0 ? r : run(buf_text(&conninfo), args, n, reterr);
}

int verb_psql(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL;
    bool analytics = false;
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"analytics", NULL, "as analytics_user: reads everything, writes nothing", NULL,
         &analytics},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 1, 1000, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    Context context CLEANUP(context_done) = {0};
    r = context_open(dir, &context, reterr);
    if (r == 0)
        r = context_region(&context, argv[1], reterr);
    return r < 0 ? r : exec_psql(&context, (uint32_t)r, analytics, argv + 2, operands - 1, reterr);
}
