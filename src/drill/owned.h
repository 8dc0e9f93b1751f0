// SPDX-License-Identifier: MIT
// owned: what a drill writes inside the state folder, it writes with the ids of that folder's owner
// and by its descriptor. A drill may be root and the folder is the run user's: a link that he puts
// in the way leads no further than he gets himself. Names are relative to the folder ("drills/x").
#pragma once
#include <stddef.h>
#include <sys/types.h>

#include "error.h"

// DIR/drills, made when it is not there; a descriptor. One that root has made is given to the
// owner.
int owned_open_drills(const char *dir, Error *reterr) MUST_CHECK;
int owned_make_dir(const char *dir, const char *name, Error *reterr) MUST_CHECK;
// Replaces a file as a whole. Bytes, not a file: what root can read is not for everybody.
int owned_replace(const char *dir, const char *name, const void *bytes, size_t len,
                  Error *reterr) MUST_CHECK;
// As files_read.
int owned_read(const char *dir, const char *name, size_t limit, char **ret_bytes, size_t *ret_len,
               Error *reterr) MUST_CHECK;
// A new file, open for writing.
int owned_create(const char *dir, const char *name, mode_t mode, Error *reterr) MUST_CHECK;
int owned_remove_tree(const char *dir, const char *name, Error *reterr) MUST_CHECK;
