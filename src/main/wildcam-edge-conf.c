// SPDX-License-Identifier: MIT
// wildcam-edge-conf: writes DIR/REGION/edge/nginx.conf and the folders nginx needs, then ends. The
// file is replaced whole and only when it differs. One that is there may be in use: it is replaced
// only by one that nginx itself has read without complaint (nginx -t).
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "conf.h"
#include "edge_conf.h"
#include "files.h"
#include "layout.h"
#include "options.h"

#define CONF_LIMIT (4U << 20)
#define NGINX "/usr/sbin/nginx"

typedef struct Arguments {
    const char *fleet, *dir, *region, *module;
    bool access_log, print, help;
} Arguments;

static int make_folders(const char *dir, const char *region, Error *reterr)
{
    static const char *const FOLDERS[] = {"edge", "edge/tmp", "edge/cache", "edge/acme",
                                          "log",  "counters", "plan"};
    for (size_t i = 0; i < ARRAY_SIZE(FOLDERS); i++) {
        LayoutPath path = layout_region(dir, region, FOLDERS[i]);
        int r = files_make_dirs(path.text, 0755, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_same(const char *path, const Buf *text)
{
    char *bytes CLEANUP(alloc_freep) = NULL;
    size_t len;
    return files_read(path, CONF_LIMIT, &bytes, &len, NULL) == 0 && len == text->len &&
           memcmp(bytes, text->data, len) == 0;
}

// nginx's first complaint, for the error.
static void first_complaint(int fd, char *line, size_t size)
{
    char text[4096];
    size_t len = 0;
    ssize_t n;
    while (len < sizeof text - 1 && (n = read(fd, text + len, sizeof text - 1 - len)) != 0)
        if (n > 0)
            len += (size_t)n;
        else if (errno != EINTR)
            break;
    text[len] = '\0';
    const char *at = strstr(text, "[emerg]");
    (void)snprintf(line, size, "%.500s", at != NULL ? at : text);
    line[strcspn(line, "\n")] = '\0';
}

static int try_nginx(const char *dir, const char *region, const char *candidate, Error *reterr)
{
    LayoutPath prefix = layout_region(dir, region, "edge");
    LayoutPath log = layout_region(dir, region, "log/nginx.log");
    char program[] = NGINX, t[] = "-t", q[] = "-q", p[] = "-p", e[] = "-e", c[] = "-c", path[1024];
    (void)snprintf(path, sizeof path, "%s", candidate);
    char *const argv[] = {program, t, q, p, prefix.text, e, log.text, c, path, NULL};
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_errno(reterr, errno, "pipe");
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    (void)posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
    pid_t pid = 0;
    int status = 0, failed = posix_spawn(&pid, program, &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    char line[512] = "";
    if (failed == 0)
        first_complaint(fds[0], line, sizeof line);
    (void)close(fds[0]);
    if (failed != 0)
        return error_errno(reterr, failed, "%s", program);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status == 0
               ? 0
               : error_set(reterr, ERROR_FORMAT, "nginx refuses it, the old one stays: %s", line);
}

static int replace_tried(const Arguments *arguments, const char *dir, const Buf *text,
                         const char *path, Error *reterr)
{
    LayoutPath candidate = layout_region(dir, arguments->region, "edge/nginx.conf.new");
    int r = files_replace(candidate.text, text->data, text->len, NULL, reterr);
    if (r == 0)
        r = try_nginx(dir, arguments->region, candidate.text, reterr);
    if (r == 0 && rename(candidate.text, path) < 0)
        r = error_errno(reterr, errno, "%s", path);
    return r;
}

static int write_file(const Arguments *arguments, const char *dir, const Buf *text, Error *reterr)
{
    int r = make_folders(dir, arguments->region, reterr);
    if (r < 0)
        return r;
    LayoutPath path = layout_region(dir, arguments->region, "edge/nginx.conf");
    if (is_same(path.text, text))
        return 0;
    return files_exist(path.text) ? replace_tried(arguments, dir, text, path.text, reterr)
                                  : files_replace(path.text, text->data, text->len, NULL, reterr);
}

static int run(const Arguments *arguments, Error *reterr)
{
    Conf *conf CLEANUP(conf_freep) = NULL;
    int r = conf_load(arguments->fleet, &conf, NULL, reterr);
    if (r < 0)
        return r;
    int region = model_find_region(&conf->model, arguments->region);
    if (region < 0)
        return error_set(reterr, ERROR_NOT_FOUND, "region '%s': not in %s", arguments->region,
                         arguments->fleet);
    LayoutPath dir, sockets, module;
    if ((r = layout_absolute(arguments->dir, &dir, reterr)) < 0 ||
        (r = layout_sockets(dir.text, arguments->region, &sockets, reterr)) < 0)
        return r;
    if (arguments->module != NULL)
        r = layout_absolute(arguments->module, &module, reterr);
    else
        r = layout_program("ngx_http_wildcam_module.so", &module, reterr);
    if (r < 0)
        return r;
    const EdgeConfPaths paths = {
        .dir = dir.text,
        .sockets = sockets.text,
        .module = module.text,
        // as root nginx would fall back to nobody, who may not read what is ours
        .user = geteuid() == 0 ? "root root" : NULL,
        .access_log = arguments->access_log,
    };
    Buf text CLEANUP(buf_done) = BUF_INIT(CONF_LIMIT);
    r = edge_conf_write(conf, (uint32_t)region, &paths, &text, reterr);
    if (r < 0)
        return r;
    if (!arguments->print)
        return write_file(arguments, dir.text, &text, reterr);
    return fputs(buf_text(&text), stdout) < 0 ? error_set(reterr, ERROR_UNAVAILABLE, "stdout") : 0;
}

int main(int argc, char **argv)
{
    Arguments arguments = {.fleet = "fleet.yaml", .dir = "run"};
    const Option options[] = {
        {"fleet", "FILE", "the deployment (default ./fleet.yaml)", &arguments.fleet, NULL},
        {"dir", "DIR", "state folder (default ./run)", &arguments.dir, NULL},
        {"region", "REGION", "whose nginx.conf", &arguments.region, NULL},
        {"module", "FILE", "nginx module (default: beside this program)", &arguments.module, NULL},
        {"access-log", NULL, "one JSON line a request", NULL, &arguments.access_log},
        {"print", NULL, "to stdout; write nothing", NULL, &arguments.print},
        {"help", NULL, "this text", NULL, &arguments.help},
    };
    Error err CLEANUP(error_done) = ERROR_INIT;
    int operands = 0;
    int r = options_parse(options, ARRAY_SIZE(options), argc, argv, &operands, &err);
    if (r == 0 && arguments.help) {
        (void)puts("usage: wildcam-edge-conf --fleet FILE --dir DIR --region REGION");
        options_help(options, ARRAY_SIZE(options));
        return 0;
    }
    if (r == 0 && operands > 0)
        r = error_set(&err, ERROR_USAGE, "unexpected argument '%s'", argv[1]);
    if (r == 0 && arguments.region == NULL)
        r = error_set(&err, ERROR_USAGE, "option '--region' is missing");
    if (r == 0)
        r = run(&arguments, &err);
    if (r < 0)
        (void)fprintf(stderr, "wildcam-edge-conf: %s\n", error_text(&err));
    return error_exit_code(r);
}
