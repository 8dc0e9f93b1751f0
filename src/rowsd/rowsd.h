// SPDX-License-Identifier: MIT
// rowsd: the daemon of one region's part of the mesh (docs/contracts/rows.md, "The daemon").
// One uv loop for HTTP and timers; everything that talks to databases runs in one worker thread
// that owns the connections, so that a hanging peer never stops the heartbeat: the heartbeat has a
// connection and a thread of its own.
#pragma once
#include "error.h"

// argv[0] is "serve". Returns when SIGTERM was handled.
int rows_serve(int argc, char **argv, Error *reterr) MUST_CHECK;
