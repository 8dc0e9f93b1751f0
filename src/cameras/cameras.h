// SPDX-License-Identifier: MIT
// cameras: the program behind `wildcam cameras`: traffic, then verification, then a report.
#pragma once
#include "error.h"

// 0, or a negative code; ERROR_NOT_HELD when an acknowledged write is lost or stands twice.
int cameras_main(int argc, char **argv, Error *reterr) MUST_CHECK;
