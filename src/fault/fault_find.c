// SPDX-License-Identifier: MIT
// fault_find: see fault_find.h. Fixed folders, not PATH: the keeper may be root.
#include "fault_find.h"

#include <glob.h>
#include <stdio.h>
#include <unistd.h>

int fault_find_nft(LayoutPath *ret_path)
{
    static const char *const PLACES[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"};
    for (size_t i = 0; i < ARRAY_SIZE(PLACES); i++) {
        if (access(PLACES[i], X_OK) != 0)
            continue;
        (void)snprintf(ret_path->text, sizeof ret_path->text, "%s", PLACES[i]);
        return 0;
    }
    return ERROR_NOT_FOUND;
}

int fault_find_faketime(LayoutPath *ret_path)
{
    // The triplet's folder differs by machine. Two of them: a foreign one would not load.
    static const char *const PATTERNS[] = {
#ifdef __x86_64__
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
#endif
        "/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1"};
    for (size_t i = 0; i < ARRAY_SIZE(PATTERNS); i++) {
        glob_t found = {0};
        int r = glob(PATTERNS[i], 0, NULL, &found);
        if (r == 0 && found.gl_pathc > 0)
            (void)snprintf(ret_path->text, sizeof ret_path->text, "%s", found.gl_pathv[0]);
        globfree(&found);
        if (r == 0)
            return 0;
    }
    return ERROR_NOT_FOUND;
}
