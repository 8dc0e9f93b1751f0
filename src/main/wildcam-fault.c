// SPDX-License-Identifier: MIT
// wildcam-fault: breaks one thing of a running fleet and heals it; see src/fault.
#include <stdio.h>

#include "control.h"
#include "fault_verb.h"

int main(int argc, char **argv)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = fault_main(argc, argv, control_ask, &err);
    if (r < 0)
        (void)fprintf(stderr, "wildcam-fault: %s\n", error_text(&err));
    return error_exit_code(r);
}
