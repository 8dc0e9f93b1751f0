// SPDX-License-Identifier: MIT
// relay_rights: the relay does not run as root. Started by root (a drill that makes nftables rules)
// it becomes the fleet's user; of root's rights only CAP_NET_ADMIN stays, and only with --mark,
// because SO_MARK needs it.
#pragma once
#include <stdbool.h>

#include "error.h"

// user: "UID:GID", NULL: none given (an error for root).
int relay_rights_drop(const char *user, bool keep_net_admin, Error *reterr) MUST_CHECK;
