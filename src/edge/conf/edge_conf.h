// SPDX-License-Identifier: MIT
// edge_conf: fleet.yaml -> nginx.conf of one region
// (docs/contracts/processes.md has its paths, listeners and headers). Pure: a
// Conf and paths in, text out, so that a stored file in the tests shows every
// change of it. Names and numbers come from conf, which has checked them;
// paths come from whoever started us and are checked here, since nginx reads
// quotes, `$` and `;` in them.
#pragma once
#include <stdbool.h>

#include "buf.h"
#include "conf.h"
#include "error.h"

typedef struct EdgeConfPaths {
    const char *dir;     // absolute state folder
    const char *sockets; // the short folder behind DIR/REGION/sock
    const char *module;  // ngx_http_wildcam_module.so
    const char *user;    // "USER GROUP" that workers run as, when nginx starts as
                         // root; else NULL
    bool access_log;     // one JSON object a request into DIR/REGION/log/access.log
} EdgeConfPaths;

// Appends. ERROR_FORMAT for a path that nginx cannot be given.
int edge_conf_write(const Conf *conf, uint32_t region, const EdgeConfPaths *paths, Buf *buf,
                    Error *reterr) MUST_CHECK;
