// SPDX-License-Identifier: MIT
// fault_rules: CUT and LOSS as lines for nft. Pure. Packets are told apart by the regions' own
// addresses, source and destination, since every connection of the fleet binds its region's; the
// cameras (127.100.0.0/16) and the operator are no region and stay connected. Dropped in the input
// hook, as a network does it: in output, sendto() would fail with EPERM. A region is never cut from
// itself. "One way" of a cut means that `a` cannot open connections to `b`: the packets to the
// server's ports and those back from them go, or an old connection would go on delivering.
#pragma once
#include "buf.h"
#include "fault.h"

// One line (a transaction) that makes the table; it goes when the process that made it ends.
int fault_rules_table(const Fault *fault, const Conf *conf, const char *table, Buf *out,
                      Error *reterr) MUST_CHECK;
// One line that puts other rules into it (LOSS with another value).
int fault_rules_replace(const Fault *fault, const Conf *conf, const char *table, Buf *out,
                        Error *reterr) MUST_CHECK;
