// SPDX-License-Identifier: MIT
// replication_name: how a replication link between two regions is called: its subscription, its
// slot and its application name (docs/contracts/rows.md, "Names").
#pragma once

#define REPLICATION_NAME_MAX 64 // 63 bytes, as PostgreSQL's identifiers, and NUL

// "us_east_1_from_us_west_2"; where that is longer, "origin_2_from_origin_1".
void replication_name(const char *subscriber, unsigned subscriber_origin, const char *publisher,
                      unsigned publisher_origin, char name[REPLICATION_NAME_MAX]);
