// SPDX-License-Identifier: MIT
// wildcam-drill: breaks something for real and measures; see src/drill.
#include <stdio.h>

#include "control.h"
#include "drill.h"

int main(int argc, char **argv)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = drill_main(argc, argv, control_ask, &err);
    if (r < 0)
        (void)fprintf(stderr, "wildcam-drill: %s\n", error_text(&err));
    return error_exit_code(r);
}
