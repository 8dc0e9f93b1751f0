// SPDX-License-Identifier: MIT
// camera_files: files that cameras write in the state folder. It is the run user's, and who calls
// may be root: everything there is done by the folder's descriptor, with its owner's ids and
// without following links, or root would write where that user says.
#pragma once
#include "error.h"

// To append to; O_TRUNC in `flags` empties it. What is there but for root alone, from a run by
// root, is replaced with O_TRUNC; without it is -EACCES.
int camera_file_open(const char *dir, const char *name, int flags, int *ret_fd,
                     Error *reterr) MUST_CHECK;
int camera_file_rename(const char *dir, const char *from, const char *to, Error *reterr) MUST_CHECK;
