// SPDX-License-Identifier: MIT
// plan: plan.now and plan.<number> -> view. Files are read with pread into
// private memory and checked by wire/plan_file before a byte of them is used;
// nothing that another process writes is mapped. A plan must be newer than the
// one in use and made for this region. Whatever is wrong with a file, the last
// good plan stays, the refusal is counted, and the same file is looked at
// again only after half a second. The age is measured on our own clock since
// the heartbeat last moved, so that a jump of the wall clock makes no plan old
// or young.
#include "ngx_http_wildcam_module.h"

#include <dirent.h>

#include "bounds.h"
#include "parse.h"
#include "plan_file.h"

#define RETRY_NS                                                              \
    (NS_PER_S / 2)    /* for what was refused, and to reopen plan.now */
#define STALE_MS 5000 /* logged once when the heartbeat stops */


typedef struct {
    int      fd; /* of plan.now */
    Mono     opened;
    uint64_t refused; /* number of the last plan that was refused */
    Mono     refused_at;
    Mono     scanned;
    Wall     heartbeat;
    Mono     heartbeat_at; /* when it last moved */
    unsigned seen : 1;
    unsigned stale : 1;
    PlanNow  last;
    u_char   bytes[PLAN_NOW_BYTES]; /* that it came from */
} ngx_http_wildcam_reader_t;


static ngx_http_wildcam_reader_t reader = {.fd = -1};


static void
ngx_http_wildcam_plan_refuse(uint64_t number, Mono now, const char *why)
{
    if (reader.refused != number) {
        ngx_log_error(NGX_LOG_ERR, ngx_http_wildcam_worker.log, 0,
            "wildcam: plan %uL refused, the last good one stays: %s", number,
            why);
        NGX_HTTP_WILDCAM_COUNT(plan_refused);
    }

    reader.refused = number;
    reader.refused_at = now;
}


/* The whole file into ngx_alloc'ed memory, NULL with errno set. */

static u_char *
ngx_http_wildcam_read_file(const char *path, size_t *ret_len)
{
    int         fd, err;
    u_char     *bytes;
    size_t      len;
    ssize_t     n;
    struct stat st;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        return NULL;
    }

    bytes = NULL;
    len = 0;

    if (fstat(fd, &st) == -1) {
        goto done;
    }

    if (!S_ISREG(st.st_mode) || st.st_size > (off_t) BOUND_PLAN_BYTES) {
        errno = EFBIG;
        goto done;
    }

    bytes = malloc((size_t) st.st_size + 1);
    if (bytes == NULL) {
        goto done;
    }

    while (len < (size_t) st.st_size) {
        n = pread(fd, bytes + len, (size_t) st.st_size - len, (off_t) len);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1) {
            err = errno;
            free(bytes);
            bytes = NULL;
            errno = err;
            goto done;
        }
        if (n == 0) {
            break; /* shorter than it was: the decoder says */
        }
        len += (size_t) n;
    }

    *ret_len = len;

done:

    err = errno;
    (void) close(fd);
    errno = err;

    return bytes;
}


static void
ngx_http_wildcam_plan_load(uint64_t number, Mono now)
{
    char                     path[NGX_MAX_PATH];
    Error                    err;
    size_t                   len;
    u_char                  *bytes;
    ngx_http_wildcam_view_t *view, *old;

    (void) snprintf(path, sizeof(path), "%s/" PLAN_FILE_NAME,
        (char *) ngx_http_wildcam_worker.conf->plan.data, number);

    bytes = ngx_http_wildcam_read_file(path, &len);
    if (bytes == NULL) {
        ngx_http_wildcam_plan_refuse(number, now, strerror(errno));
        return;
    }

    err = ERROR_INIT;
    view = ngx_http_wildcam_view_new(bytes, len, number, &err);
    free(bytes);

    if (view == NULL) {
        ngx_http_wildcam_plan_refuse(number, now, error_text(&err));
        error_done(&err);
        return;
    }

    old = ngx_http_wildcam_worker.view;
    ngx_http_wildcam_worker.view = view;
    ngx_http_wildcam_worker.counters->header.plan_number = number;
    NGX_HTTP_WILDCAM_COUNT(plan_reloads);

    ngx_http_wildcam_slots_renew(view);

    if (old) {
        ngx_http_wildcam_view_release(old);
    }

    ngx_log_error(NGX_LOG_INFO, ngx_http_wildcam_worker.log, 0,
        "wildcam: plan %uL in use", number);
}


/*
 * Without any plan yet: the newest plan.<number> that is sound, for the case
 * that plan.now itself is damaged.
 */

static void
ngx_http_wildcam_plan_scan(Mono now)
{
    DIR           *folder;
    uint64_t       number, newest;
    struct dirent *entry;

    if (mono_since(now, reader.scanned) < RETRY_NS) {
        return;
    }

    reader.scanned = now;

    folder = opendir((char *) ngx_http_wildcam_worker.conf->plan.data);
    if (folder == NULL) {
        return;
    }

    newest = 0;

    while ((entry = readdir(folder)) != NULL) {
        if (ngx_strncmp(entry->d_name, "plan.", 5) == 0
            && parse_hex(entry->d_name + 5, ngx_strlen(entry->d_name + 5), 16,
                   &number)
                   == 0
            && number > newest && number != reader.refused) {
            newest = number;
        }
    }

    (void) closedir(folder);

    if (newest) {
        ngx_http_wildcam_plan_load(newest, now);
    }
}


static ngx_int_t
ngx_http_wildcam_plan_now(Mono now, PlanNow *ret_now)
{
    char    path[NGX_MAX_PATH];
    u_char  bytes[PLAN_NOW_BYTES];
    ssize_t n;

    if (reader.fd == -1 || mono_since(now, reader.opened) >= RETRY_NS) {
        if (reader.fd != -1) {
            (void) close(reader.fd);
        }
        (void) snprintf(path, sizeof(path), "%s/" PLAN_NOW_NAME,
            (char *) ngx_http_wildcam_worker.conf->plan.data);
        reader.fd = open(path, O_RDONLY | O_CLOEXEC);
        reader.opened = now;
    }

    if (reader.fd == -1) {
        return NGX_DECLINED;
    }

    n = pread(reader.fd, bytes, sizeof(bytes), 0);
    if (n != sizeof(bytes)) {
        return NGX_DECLINED;
    }

    if (ngx_memcmp(bytes, reader.bytes, sizeof(bytes)) != 0) {

        /* torn between two heartbeats: the next tick reads it again */

        if (plan_now_decode(bytes, sizeof(bytes), &reader.last, NULL) < 0) {
            return NGX_DECLINED;
        }

        ngx_memcpy(reader.bytes, bytes, sizeof(bytes));
    }

    *ret_now = reader.last;

    return NGX_OK;
}


static void
ngx_http_wildcam_plan_age(Mono now, const PlanNow *plan_now)
{
    Wall            wall;
    uint64_t        age;
    struct timespec ts;

    if (plan_now != NULL
        && (!reader.seen || plan_now->heartbeat.ns != reader.heartbeat.ns)) {
        reader.heartbeat_at = now;

        if (!reader.seen) { /* it may have stopped before we started */
            (void) clock_gettime(CLOCK_REALTIME, &ts);
            wall.ns = (int64_t) ts.tv_sec * NS_PER_S + ts.tv_nsec;
            if (wall.ns > plan_now->heartbeat.ns) {
                reader.heartbeat_at =
                    mono_add(now, plan_now->heartbeat.ns - wall.ns);
            }
        }

        reader.heartbeat = plan_now->heartbeat;
        reader.seen = 1;
    }

    age = reader.seen
              ? (uint64_t) (mono_since(now, reader.heartbeat_at) / NS_PER_MS)
              : UINT64_MAX;
    ngx_http_wildcam_worker.plan_age_ms = age;

    if (reader.seen && reader.stale != (age >= STALE_MS)) {
        reader.stale = age >= STALE_MS;
        ngx_log_error(NGX_LOG_WARN, ngx_http_wildcam_worker.log, 0,
            reader.stale
                ? "wildcam: no heartbeat of the agent for %uL ms, "
                  "the last good plan stays"
                : "wildcam: the agent's heartbeat is back, age %uL ms",
            age);
    }
}


void
ngx_http_wildcam_plan_poll(Mono now)
{
    PlanNow                  plan_now;
    uint64_t                 current;
    ngx_http_wildcam_view_t *view;

    view = ngx_http_wildcam_worker.view;

    if (ngx_http_wildcam_plan_now(now, &plan_now) != NGX_OK) {
        ngx_http_wildcam_plan_age(now, NULL);
        if (view == NULL) {
            ngx_http_wildcam_plan_scan(now);
        }
        return;
    }

    ngx_http_wildcam_plan_age(now, &plan_now);
    current = view ? view->plan->number : 0;

    if (plan_now.number == current) {
        return;
    }

    if (plan_now.number == reader.refused
        && mono_since(now, reader.refused_at) < RETRY_NS) {
        return;
    }

    if (plan_now.number < current) {
        ngx_http_wildcam_plan_refuse(
            plan_now.number, now, "older than the plan in use");
        return;
    }

    ngx_http_wildcam_plan_load(plan_now.number, now);

    if (ngx_http_wildcam_worker.view == NULL) {
        ngx_http_wildcam_plan_scan(now);
    }
}
