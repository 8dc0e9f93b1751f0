// SPDX-License-Identifier: MIT
// process_id: which process a pid file means. Pids repeat, so a file holds "PID START\n" with the
// start time in clock ticks (/proc/PID/stat field 22); a process with another start time is another
// one.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

typedef struct ProcessId {
    pid_t pid;
    uint64_t start; // clock ticks after boot
} ProcessId;

// ERROR_NOT_FOUND when there is no such process or it is a zombie (all of it is gone by then: of a
// namespace's init that includes its namespace).
int process_id_of(pid_t pid, ProcessId *ret_id, Error *reterr) MUST_CHECK;
bool process_id_lives(const ProcessId *id);
// ERROR_NOT_FOUND without the file, ERROR_FORMAT for other content.
int process_id_read(const char *path, ProcessId *ret_id, Error *reterr) MUST_CHECK;
int process_id_write(int fd, const ProcessId *id, Error *reterr) MUST_CHECK; // replaces the content
