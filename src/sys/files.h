// SPDX-License-Identifier: MIT
// files: whole files, bounded reads, atomic replacement. A reader of a replaced file sees the old
// or the new one, never a mixture, also after a crash (write, fsync, rename, fsync of the folder).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

#include "error.h"

typedef struct FilesWrite {
    mode_t mode;  // 0: 0644
    bool no_sync; // the content can be made again: skip fsync
} FilesWrite;

// *ret_bytes is NUL-terminated behind ret_len and freed with free(). ERROR_LIMIT above `limit`.
int files_read(const char *path, size_t limit, char **ret_bytes, size_t *ret_len,
               Error *reterr) MUST_CHECK;
int files_replace(const char *path, const void *bytes, size_t len, const FilesWrite *options,
                  Error *reterr) MUST_CHECK;                                  // options may be NULL
int files_make_dirs(const char *path, mode_t mode, Error *reterr) MUST_CHECK; // like mkdir -p
// Removes a folder and everything below it; does not follow links. Absent is fine.
int files_remove_tree(const char *path, Error *reterr) MUST_CHECK;
bool files_exist(const char *path);
// Appends to an open descriptor completely, or fails.
int files_write_all(int fd, const void *bytes, size_t len, Error *reterr) MUST_CHECK;

void files_close(int fd); // -1 is fine

// For CLEANUP: descriptors and heap texts of locals.
static inline void fd_closep(int *fd)
{
    files_close(*fd);
}

static inline void free_textp(char **text)
{
    free(*text);
    *text = NULL;
}
