// SPDX-License-Identifier: MIT
// unit: the includes that cmocka wants before its own header, in one place.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
