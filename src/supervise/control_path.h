// SPDX-License-Identifier: MIT
// control_path: DIR/supervisor.sock by way of /proc/self/fd/N, since DIR may be longer than a
// socket's path may be (107 bytes).
#pragma once
#include "error.h"

int control_path_listen(const char *dir, Error *reterr) MUST_CHECK; // descriptor or negative code
int control_path_connect(const char *dir,
                         Error *reterr) MUST_CHECK; // ERROR_NOT_FOUND: nobody there
void control_path_remove(const char *dir);
