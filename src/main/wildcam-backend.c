// SPDX-License-Identifier: MIT
// wildcam-backend: one replica of the camera API.
#include "backend.h"

int main(int argc, char **argv)
{
    return backend_main(argc, argv);
}
