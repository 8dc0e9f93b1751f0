// SPDX-License-Identifier: MIT
// backend: one replica of the camera API as a process: command line, fleet.yaml, storage, API,
// signals.
#pragma once

// What `main` returns. SIGTERM and SIGINT drain: no new connections, running requests end, exit 0.
int backend_main(int argc, char **argv);
