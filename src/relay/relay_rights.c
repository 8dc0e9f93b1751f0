// SPDX-License-Identifier: MIT
// relay_rights: see relay_rights.h.
#include "relay_rights.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parse.h"

static int parse_user(const char *text, uid_t *ret_uid, gid_t *ret_gid, Error *reterr)
{
    uint64_t uid, gid;
    const char *colon = strchr(text, ':');
    if (colon == NULL || parse_u64(text, (size_t)(colon - text), INT32_MAX, &uid) < 0 ||
        parse_u64(colon + 1, strlen(colon + 1), INT32_MAX, &gid) < 0)
        return error_set(reterr, ERROR_USAGE, "'--user %s' is no UID:GID", text);
    if (uid == 0)
        return error_set(reterr, ERROR_USAGE, "'--user %s': the relay does not run as root", text);
    *ret_uid = (uid_t)uid;
    *ret_gid = (gid_t)gid;
    return 0;
}

// All capabilities but these go, also for programs that would be started from here.
static int set_capabilities(uint32_t bits, Error *reterr)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = bits, .permitted = bits}};
    if (syscall(SYS_capset, &header, data) < 0)
        return error_errno(reterr, errno, "give up capabilities");
    return 0;
}

int relay_rights_drop(const char *user, bool keep_net_admin, Error *reterr)
{
    if (getuid() != 0 && geteuid() != 0)
        return 0;
    if (user == NULL) {
        int r = error_set(reterr, ERROR_USAGE, "started as root without '--user'");
        return error_hint(reterr, r, "Name the user of the fleet: --user UID:GID.");
    }
    uid_t uid = 0;
    gid_t gid = 0;
    int r = parse_user(user, &uid, &gid, reterr);
    if (r < 0)
        return r;
    if (prctl(PR_SET_KEEPCAPS, 1L) < 0 || setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
        setresuid(uid, uid, uid) < 0)
        return error_errno(reterr, errno, "become user '%s'", user);
    return set_capabilities(keep_net_admin ? 1U << CAP_NET_ADMIN : 0, reterr);
}
