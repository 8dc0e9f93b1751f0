// SPDX-License-Identifier: MIT
// edge_conf_parts: what the files of the generator share.
#pragma once
#include <stdio.h>

#include "edge_conf.h"

typedef struct EdgeConf {
    const Conf *conf;
    const ModelRegion *region;
    const ConfRegionLocal *local;
    const EdgeConfPaths *paths;
    Buf *buf;
} EdgeConf;

#define EDGE_CONF_DIGEST_HEADER "Wildcam-Config"
#define EDGE_CONF_NO_DIGEST "0000000000000000" // until the whole text is there

// Milliseconds as nginx wants them: "250ms".
#define EDGE_MS(ns) (long long)((ns) / NS_PER_MS)

// An address as a listener or URL needs it: IPv6 in brackets.
const char *edge_conf_host(const EdgeConf *e, char text[IP_TEXT_MAX + 2]);
// nginx inherits proxy_set_header and add_header only into levels that have
// none of their own, so every level that adds one repeats them all. These two
// are the only places that write them.
void edge_conf_request_headers(const EdgeConf *e, const char *indent, const char *more);
void edge_conf_hide_headers(const EdgeConf *e, const char *indent);
void edge_conf_answer_headers(const EdgeConf *e, const char *indent, const char *more);
// The opening line of a route's location: "/api/health" is one path, "/api/*"
// everything below /api/; nginx prefers the longest match.
void edge_conf_location(const EdgeConf *e, const ConfRoute *route);
bool edge_conf_has_catch_all(const Conf *conf);
const char *edge_conf_class(ServiceClass class_);
void edge_conf_failed(const EdgeConf *e, const char *answer);
void edge_conf_public_server(const EdgeConf *e);
void edge_conf_peer_server(const EdgeConf *e);
