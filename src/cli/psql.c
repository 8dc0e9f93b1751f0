// SPDX-License-Identifier: MIT
// psql: `wildcam psql REGION [-- ARGS]` opens the region's database as its owner, by the socket and
// without a password (peer): root and the run user may.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "cli.h"
#include "context.h"
#include "files.h"
#include "pg_setup.h"

static int exec_psql(const Context *context, uint32_t region, char **args, int n, Error *reterr)
{
    LayoutPath folder;
    char port[8];
    int r = layout_sockets(context->dir.text, context->conf->model.regions[region].name, &folder,
                           reterr);
    if (r < 0)
        return error_hint(reterr, r, "'wildcam up' starts the fleet.");
    (void)snprintf(port, sizeof port, "%u", context->conf->regions[region].database_port);
    char socket[sizeof folder.text + 32];
    (void)snprintf(socket, sizeof socket, "%s/.s.PGSQL.%s", folder.text, port);
    if (!files_exist(socket)) { // psql would only say that a file is not there
        r = error_set(reterr, ERROR_UNAVAILABLE, "no database runs in region '%s'",
                      context->conf->model.regions[region].name);
        return error_hint(reterr, r, "'wildcam status' shows the fleet, 'wildcam up' starts it.");
    }
    char **argv = alloc_zeroed((size_t)n + 12, sizeof *argv);
    if (argv == NULL)
        return error_set(reterr, ERROR_MEMORY, "psql");
    char program[] = PG_BIN "/psql", h[] = "-h", p[] = "-p", u[] = "-U", d[] = "-d",
         owner[] = PG_OWNER, database[] = PG_DATABASE;
    char *fixed[] = {program, h, folder.text, p, port, u, owner, d, database};
    memcpy(argv, fixed, sizeof fixed);
    for (int i = 0; i < n; i++)
        argv[ARRAY_SIZE(fixed) + (size_t)i] = args[i];
    (void)execv(argv[0], argv);
    r = error_errno(reterr, errno, "%s", argv[0]);
    free(argv);
    return r;
}

int verb_psql(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL;
    const Option options[] = {{"dir", "DIR", "state folder (default ./run)", &dir, NULL}};
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 1, 1000, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    Context context CLEANUP(context_done) = {0};
    r = context_open(dir, &context, reterr);
    if (r == 0)
        r = context_region(&context, argv[1], reterr);
    return r < 0 ? r : exec_psql(&context, (uint32_t)r, argv + 2, operands - 1, reterr);
}
