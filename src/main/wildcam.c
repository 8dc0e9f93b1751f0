// SPDX-License-Identifier: MIT
// wildcam: the front door.
#include "cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
