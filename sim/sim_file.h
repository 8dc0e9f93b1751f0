// SPDX-License-Identifier: MIT
// sim_file: scenarios as YAML files (docs/simulator.md says what stands in them). The table-driven
// reader of conf does the work: each problem is "FILE:LINE:COLUMN: key 'a.b': value 'x': what is
// wrong; allowed: ...". What is written here is read back as the same scenario, with the same
// digest. Owner: a SimFile owns all that its scenario points at.
#pragma once
#include "sim_scenario.h"

#define SIM_FILE_BYTES ((size_t)256 << 10) // sixteen faults are 2 KiB

typedef struct SimFile SimFile;

// 0, or ERROR_FORMAT, ERROR_LIMIT, ERROR_MEMORY with the problems in reterr.
int sim_file_parse(const char *path, const char *bytes, size_t len, SimFile **ret_file,
                   Error *reterr) MUST_CHECK;
int sim_file_load(const char *path, SimFile **ret_file, Error *reterr) MUST_CHECK;
const SimScenario *sim_file_scenario(const SimFile *file);
// The scenario as such a file.
void sim_file_format(const SimScenario *scenario, Buf *text);
SimFile *sim_file_free(SimFile *file); // takes NULL, returns NULL
