// SPDX-License-Identifier: MIT
// rowsd_cause_log: reads a server's log for the error of one apply worker. See rowsd_cause.h.
#include <stdio.h>
#include <string.h>

#include "rowsd_cause.h"

static const char *line_end(const char *line)
{
    const char *end = strchr(line, '\n');
    return end != NULL ? end : line + strlen(line);
}

// PostgreSQL writes "... ERROR:  text", then "... CONTEXT:  processing remote data for replication
// origin "pg_16400" ...": the error belongs to the origin that its context names.
bool rowsd_cause_of_log(const char *log, const char *origin, char *text, size_t size)
{
    static const char ERROR_MARK[] = "ERROR:  ";
    char mark[96];
    bool found = false;
    const char *error = NULL;
    (void)snprintf(mark, sizeof mark, "replication origin \"%s\"", origin);
    for (const char *line = log; *line != '\0';) {
        const char *end = line_end(line);
        const char *at = strstr(line, ERROR_MARK);
        const char *context = strstr(line, mark);
        if (at != NULL && at < end)
            error = at + sizeof ERROR_MARK - 1;
        if (context != NULL && context < end && error != NULL) {
            (void)snprintf(text, size, "%.*s", (int)(line_end(error) - error), error);
            found = true;
        }
        line = *end == '\n' ? end + 1 : end;
    }
    return found;
}
