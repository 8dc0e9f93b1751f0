// SPDX-License-Identifier: MIT
// openapi: docs/contracts/openapi.yaml, built into the agent (embed.py makes openapi.c).
#pragma once
#include <stddef.h>

extern const unsigned char OPENAPI_YAML[];
extern const size_t OPENAPI_YAML_LEN;
