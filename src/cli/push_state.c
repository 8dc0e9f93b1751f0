// SPDX-License-Identifier: MIT
// push_state: see push.h. Each file is replaced whole; at every instant a killed push leaves
// regions that run either the one or the other, and `config push --back` or `--continue` finds out
// which.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "bounds.h"
#include "files.h"
#include "push.h"

int push_file_load(const char *path, PushFile *ret_file, Error *reterr)
{
    PushFile file = {0};
    int r = files_read(path, BOUND_CONF_BYTES, &file.bytes, &file.len, reterr);
    if (r == 0)
        r = conf_parse(path, file.bytes, file.len, &file.conf, NULL, reterr);
    if (r < 0)
        push_file_done(&file);
    else
        *ret_file = file;
    return r;
}

void push_file_done(PushFile *file)
{
    file->conf = conf_free(file->conf);
    free(file->bytes);
    *file = (PushFile){0};
}

bool push_file_same(const PushFile *a, const PushFile *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

int push_lock(const char *dir, int *ret_fd, Error *reterr)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(reterr, errno, "%s", dir);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *ret_fd = fd;
        return 0;
    }
    int r = errno == EWOULDBLOCK ? error_set(reterr, ERROR_RUNNING, "another push is on its way")
                                 : error_errno(reterr, errno, "%s", dir);
    (void)close(fd);
    return r;
}

static int take_staged(PushFile *copy, PushFile *staged, Error *reterr)
{
    if (staged->bytes == NULL) {
        *staged = *copy;
        *copy = (PushFile){0};
        return 0;
    }
    if (push_file_same(copy, staged))
        return 0;
    int r = error_set(reterr, ERROR_CONFLICT, "the regions run more than two different files");
    return error_hint(reterr, r, "'wildcam config push --back' brings all to DIR/fleet.yaml.");
}

int push_find_staged(const Context *context, const PushFile *accepted, bool *staged,
                     PushFile *ret_staged, Error *reterr)
{
    const Model *model = &context->conf->model;
    PushFile found = {0};
    int r = 0;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        LayoutPath path = layout_region(context->dir.text, model->regions[i].name, "fleet.yaml");
        PushFile copy CLEANUP(push_file_done) = {0};
        int loaded = push_file_load(path.text, &copy, r == 0 ? reterr : NULL);
        staged[i] = loaded < 0 || !push_file_same(&copy, accepted);
        if (r == 0)
            r = loaded < 0 ? loaded : staged[i] ? take_staged(&copy, &found, reterr) : 0;
    }
    if (r < 0)
        push_file_done(&found);
    else
        *ret_staged = found;
    return r;
}

int push_accept(const Context *context, const PushFile *file, const char *from, Error *reterr)
{
    LayoutPath pushed = layout_dir(context->dir.text, "fleet.pushed");
    int r = files_replace(pushed.text, from, strlen(from), NULL, reterr);
    return r < 0 ? r
                 : files_replace(layout_dir(context->dir.text, "fleet.yaml").text, file->bytes,
                                 file->len, NULL, reterr);
}
