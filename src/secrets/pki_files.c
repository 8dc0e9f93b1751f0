// SPDX-License-Identifier: MIT
// pki_files: see pki_files.h. Two writers (`up` and an agent) at once: both switch a whole pair,
// the last one stays; each removes only folders that NAME.now does not name. The loser's folder may
// be removed between its switch and the winner's: never the one that the link names afterwards.
#include "pki_files.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "layout.h"

#define PEM_LIMIT 65536

// A folder that stays costs some bytes and is tried again at the next replacement.
static void discard_tree(const char *path)
{
    int r = files_remove_tree(path, NULL);
    (void)r;
}

static LayoutPath join(const char *a, const char *b, const char *c)
{
    LayoutPath path;
    int n = snprintf(path.text, sizeof path.text, "%s%s%s", a, b, c);
    if (n < 0 || (size_t)n >= sizeof path.text)
        path.text[0] = '\0'; // refused by every system call
    return path;
}

static const char *name_of(const char *base)
{
    const char *slash = strrchr(base, '/');
    return slash != NULL ? slash + 1 : base;
}

int pki_pair_read(const char *base, PkiPair *ret_pair, Error *reterr)
{
    PkiPair pair = {0};
    int r = files_read(join(base, ".pem", "").text, PEM_LIMIT, &pair.certificate,
                       &pair.certificate_len, reterr);
    if (r == 0)
        r = files_read(join(base, ".key", "").text, PEM_LIMIT, &pair.key, &pair.key_len, reterr);
    if (r < 0) {
        pki_pair_done(&pair);
        return r == -ENOENT ? ERROR_NOT_FOUND : r;
    }
    *ret_pair = pair;
    return 0;
}

// Points `link` to `target` in one step, whatever was there before.
static int switch_link(const char *link, const char *target, Error *reterr)
{
    char now[LAYOUT_PATH_MAX];
    ssize_t len = readlink(link, now, sizeof now - 1);
    if (len > 0) {
        now[len] = '\0';
        if (strcmp(now, target) == 0)
            return 0;
    }
    LayoutPath temporary = join(link, ".new", "");
    (void)unlink(temporary.text);
    if (symlink(target, temporary.text) < 0 || rename(temporary.text, link) < 0)
        return error_errno(reterr, errno, "%s", link);
    return 0;
}

// Removes the folders NAME.<tag> that NAME.now does not name.
static void remove_old(const char *base, const char *now)
{
    LayoutPath folder = join(base, "", "");
    size_t at = (size_t)(name_of(base) - base);
    folder.text[at > 0 ? at - 1 : 0] = '\0';
    LayoutPath prefix = join(name_of(base), ".", "");
    DIR *list = opendir(folder.text);
    if (list == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        if (entry->d_type == DT_DIR &&
            strncmp(entry->d_name, prefix.text, strlen(prefix.text)) == 0 &&
            strcmp(entry->d_name, now) != 0)
            discard_tree(join(folder.text, "/", entry->d_name).text);
    }
    (void)closedir(list);
}

int pki_pair_replace(const char *base, const char *tag, const PkiPair *pair, Error *reterr)
{
    LayoutPath suffix = join(".", tag, "");
    LayoutPath folder = join(base, suffix.text, ""), target = join(name_of(base), suffix.text, "");
    if (mkdir(folder.text, 0700) < 0)
        return error_errno(reterr, errno, "%s", folder.text);
    int r = files_replace(join(folder.text, "/key.pem", "").text, pair->key, pair->key_len,
                          &(FilesWrite){.mode = 0600}, reterr);
    if (r == 0)
        r = files_replace(join(folder.text, "/cert.pem", "").text, pair->certificate,
                          pair->certificate_len, &(FilesWrite){.mode = 0644}, reterr);
    if (r == 0)
        r = switch_link(join(base, ".now", "").text, target.text, reterr);
    const char *name = name_of(base);
    bool switched = r == 0; // from here on the new pair is the living one
    if (r == 0)
        r = switch_link(join(base, ".key", "").text, join(name, ".now/key.pem", "").text, reterr);
    if (r == 0)
        r = switch_link(join(base, ".pem", "").text, join(name, ".now/cert.pem", "").text, reterr);
    if (r < 0) {
        if (!switched)
            discard_tree(folder.text);
        return r;
    }
    remove_old(base, target.text);
    return 0;
}

void pki_pair_done(PkiPair *pair)
{
    if (pair->key != NULL)
        OPENSSL_cleanse(pair->key, pair->key_len);
    free(pair->key);
    free(pair->certificate);
    *pair = (PkiPair){0};
}
