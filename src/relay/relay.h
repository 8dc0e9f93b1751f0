// SPDX-License-Identifier: MIT
// relay: the program wildcam-relay. Stands between a client and a server of this machine, delays
// bytes and spoils a share of HTTP requests; obeys commands on stdin and ends with it, so that it
// cannot outlive the drill that started it.
#pragma once
#include "error.h"

int relay_main(int argc, char **argv, Error *reterr) MUST_CHECK;
