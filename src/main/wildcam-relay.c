// SPDX-License-Identifier: MIT
// wildcam-relay: delays and spoils connections for drills; see src/relay.
#include <stdio.h>

#include "relay.h"

int main(int argc, char **argv)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = relay_main(argc, argv, &err);
    if (r < 0)
        (void)fprintf(stderr, "wildcam-relay: %s\n", error_text(&err));
    return error_exit_code(r);
}
