// SPDX-License-Identifier: MIT
// wildcam-rows: the databases of all regions as one; see src/rows.
#include <stdio.h>

#include "rows.h"
#include "tell.h"

int main(int argc, char **argv)
{
    Error err CLEANUP(error_done) = ERROR_INIT;
    int r = rows_main(argc, argv, &err);
    if (r < 0)
        tell_error("rows", &err);
    return r < 0 ? error_exit_code(r) : r;
}
