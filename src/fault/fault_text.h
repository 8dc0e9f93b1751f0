// SPDX-License-Identifier: MIT
// fault_text: a fault as words of a command line. Pure but for fault_list_*, which look whether
// this machine can.
#pragma once
#include "buf.h"
#include "fault.h"

typedef struct FaultWords {
    const char *region, *cloud; // names joined by commas; NULL: not given
    const char *from, *to;      // regions or clouds; "all"
    const char *program, *port, *value;
    bool one_way;
} FaultWords;

// By its name; ERROR_USAGE lists the names.
int fault_kind_parse(const char *name, FaultKind *ret_kind, Error *reterr) MUST_CHECK;
// "500ms", "-3s" for times, "20%" for shares.
int fault_value_parse(FaultKind kind, const char *text, int64_t *ret_value,
                      Error *reterr) MUST_CHECK;
// The texts of `words` must outlive the fault. Checked by fault_check too.
int fault_parse(FaultKind kind, const FaultWords *words, const Model *model, Fault *ret_fault,
                Error *reterr) MUST_CHECK;
void fault_list_text(Buf *out);
void fault_list_json(Buf *out);
