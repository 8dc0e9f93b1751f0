// SPDX-License-Identifier: MIT
// moment: see moment.h.
#include "moment.h"

#include <string.h>

#include "parse.h"

int moment_parse(const char *option, const char *text, Wall now, Wall *ret_at, Error *reterr)
{
    int64_t ns;
    size_t len = strlen(text);
    Wall at;
    if (parse_rfc3339(text, len, &ns) == 0)
        at.ns = ns;
    else if (parse_duration(text, len, &ns) == 0)
        at.ns = ns_add_saturated(now.ns, -ns);
    else
        return error_set(reterr, ERROR_USAGE,
                         "option '--%s': '%s' is no time like 2026-11-23T14:00:00Z and no time ago "
                         "like 5m",
                         option, text);
    if (at.ns > now.ns)
        return error_set(reterr, ERROR_USAGE, "option '--%s': '%s' is in the future", option, text);
    *ret_at = at;
    return 0;
}
