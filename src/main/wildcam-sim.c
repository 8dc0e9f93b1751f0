// SPDX-License-Identifier: MIT
// wildcam-sim: the simulated planet; see sim/README.md.
#include <stdio.h>

#include "sim_verb.h"

int main(int argc, char **argv)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = sim_main(argc, argv, &err);
    if (r < 0)
        (void)fprintf(stderr, "wildcam sim: %s\n", error_text(&err));
    return r < 0 ? error_exit_code(r) : r;
}
