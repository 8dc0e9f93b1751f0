// SPDX-License-Identifier: MIT
// layout: where everything of a state folder lives (docs/contracts/processes.md). Paths are
// absolute.
#pragma once
#include <limits.h>
#include <stddef.h>

#include "error.h"

#define LAYOUT_PATH_MAX 1024

typedef struct LayoutPath {
    char text[LAYOUT_PATH_MAX];
} LayoutPath;

// DIR/NAME of the state folder: layout_dir(dir, "pki/ca.pem").
LayoutPath layout_dir(const char *dir, const char *name);
// DIR/REGION/NAME: layout_region(dir, "us-west-2", "plan").
LayoutPath layout_region(const char *dir, const char *region, const char *name);
LayoutPath layout_pki(const char *dir, const char *region, const char *name); // DIR/pki/REGION/NAME
// The short private folder behind DIR/REGION/sock, read from the link; ERROR_NOT_FOUND without it.
int layout_sockets(const char *dir, const char *region, LayoutPath *ret_path,
                   Error *reterr) MUST_CHECK;
// A socket in it, e.g. "agent.sock"; ERROR_LIMIT when it would not fit into sun_path.
int layout_socket(const char *dir, const char *region, const char *name, LayoutPath *ret_path,
                  Error *reterr) MUST_CHECK;
// Makes the short folder for (dir, region), 0700, owned by uid, and the link. Base:
// /run/wildcam-UID when that can be made, else /tmp/wildcam-UID; the name is a hash of the absolute
// DIR.
int layout_make_sockets(const char *dir, const char *region, unsigned uid, unsigned gid,
                        LayoutPath *ret_path, Error *reterr) MUST_CHECK;
// A sibling of the running executable ("wildcam-agent", "ngx_http_wildcam_module.so"), else in
// PREFIX/lib/wildcam; ERROR_NOT_FOUND says where it looked.
int layout_program(const char *name, LayoutPath *ret_path, Error *reterr) MUST_CHECK;
// DIR made absolute (it need not exist).
int layout_absolute(const char *path, LayoutPath *ret_path, Error *reterr) MUST_CHECK;
