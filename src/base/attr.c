// SPDX-License-Identifier: MIT
// attr: what a failed assert does. It writes one line and aborts: the supervisor starts us again,
// and readers of what we published keep the last good state meanwhile.
#include "attr.h"

#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *what, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: bug: assertion '%s' failed\n", file, line, what);
    abort();
}
