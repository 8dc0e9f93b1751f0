// SPDX-License-Identifier: MIT
// rows_federate_print: what `federate` tells, before and after.
#pragma once
#include "rows_federate.h"

typedef struct FederateOptions {
    const char *table; // as given
    bool insert_only, drop, yes, json;
} FederateOptions;

void federate_print_before(const FederateMesh *fm, const FederateCheck *check, TableKind kind,
                           uint32_t number, const FederateOptions *options);
void federate_print_after(const FederateMesh *fm, const FederateCheck *check, TableKind kind,
                          const FederateDone *done, const FederateOptions *options);
