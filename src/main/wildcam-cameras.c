// SPDX-License-Identifier: MIT
// wildcam-cameras: camera traffic for demonstrations and drills; see src/cameras.
#include <stdio.h>

#include "cameras.h"

int main(int argc, char **argv)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = cameras_main(argc, argv, &err);
    if (r < 0)
        (void)fprintf(stderr, "wildcam-cameras: %s\n", error_text(&err));
    return error_exit_code(r);
}
