// SPDX-License-Identifier: MIT
// shipped: the fleet.yaml that we ship, for tests of this room: two regions a cloud, in this order.
// `main` says where it is by shipped_root = argv[1].
#pragma once
#include "conf.h"

#define AWS 0x03U
#define AZURE 0x0cU
#define GCP 0x30U

extern const char *shipped_root;
extern Conf *conf;

int shipped_load(void **state); // setup and teardown of a group
int shipped_free(void **state);
