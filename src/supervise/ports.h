// SPDX-License-Identifier: MIT
// ports: is an address free, and if not, who listens there. Free is what bind(2) says (a wildcard
// listener of another program counts as taken); who it is comes from /proc, as far as we may look:
// the user is known to everyone, the program's name only to its owner and to root.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

// `address` is IPv4 text.
bool port_free(const char *address, uint16_t port);
// 0, or ERROR_UNAVAILABLE "127.1.1.1:8443 is taken by 'nginx' (pid 12, user www-data)".
int port_check(const char *address, uint16_t port, Error *reterr) MUST_CHECK;
