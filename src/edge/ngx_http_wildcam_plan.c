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


static ngx_str_t
ngx_http_wildcam_text(const char *text)
{
    return (ngx_str_t){ngx_strlen(text), (u_char *) text};
}


static ngx_int_t
ngx_http_wildcam_replica(Arena *arena, const PlanReplica *replica,
    PickTarget *pick, ngx_http_wildcam_target_t *target)
{
    struct sockaddr_un *sun;

    sun = arena_new_of(arena, struct sockaddr_un);
    if (sun == NULL || ngx_strlen(replica->socket) >= sizeof(sun->sun_path)) {
        return NGX_ERROR;
    }

    sun->sun_family = AF_UNIX;
    ngx_memcpy(sun->sun_path, replica->socket, ngx_strlen(replica->socket));

    target->name = ngx_http_wildcam_text(replica->socket);
    target->label = ngx_http_wildcam_text(replica->name);
    target->sockaddr = (struct sockaddr *) sun;
    target->socklen = sizeof(struct sockaddr_un);

    *pick = (PickTarget){
        .weight = replica->weight,
        .state = replica->state,
        .classes = replica->classes,
    };

    return NGX_OK;
}


static ngx_int_t
ngx_http_wildcam_gateway(Arena *arena, const PlanGateway *gateway,
    PickTarget *pick, ngx_http_wildcam_target_t *target)
{
    char                *text;
    struct sockaddr_in  *sin;
    struct sockaddr_in6 *sin6;

    sin = arena_new_of(arena, struct sockaddr_in);
    sin6 = arena_new_of(arena, struct sockaddr_in6);
    if (sin == NULL || sin6 == NULL) {
        return NGX_ERROR;
    }

    if (inet_pton(AF_INET, gateway->address, &sin->sin_addr) == 1) {
        sin->sin_family = AF_INET;
        sin->sin_port = htons(gateway->peer_port);
        target->sockaddr = (struct sockaddr *) sin;
        target->socklen = sizeof(struct sockaddr_in);
        text = arena_printf(
            arena, "%s:%u", gateway->address, (unsigned) gateway->peer_port);

    } else if (inet_pton(AF_INET6, gateway->address, &sin6->sin6_addr) == 1) {
        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons(gateway->peer_port);
        target->sockaddr = (struct sockaddr *) sin6;
        target->socklen = sizeof(struct sockaddr_in6);
        text = arena_printf(
            arena, "[%s]:%u", gateway->address, (unsigned) gateway->peer_port);

    } else {
        return NGX_ERROR;
    }

    if (text == NULL) {
        return NGX_ERROR;
    }

    target->name = ngx_http_wildcam_text(text);
    target->label = ngx_http_wildcam_text(gateway->region);

    text = arena_printf(arena, "%s.gateway.%s", gateway->region,
        (char *) ngx_http_wildcam_worker.conf->domain.data);
    if (text == NULL) {
        return NGX_ERROR;
    }

    target->tls_name = ngx_http_wildcam_text(text);

    *pick = (PickTarget){
        .weight = 1, /* the order decides, not the weight */
        .state = gateway->state,
        .classes = gateway->classes,
    };

    return NGX_OK;
}


static ngx_int_t
ngx_http_wildcam_set_alloc(
    Arena *arena, uint32_t n, ngx_http_wildcam_set_t *set)
{
    set->pick = arena_new_array(arena, PickTarget, n + 1);
    set->targets = arena_new_array(arena, ngx_http_wildcam_target_t, n + 1);

    return set->pick && set->targets ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_wildcam_view_fill(ngx_http_wildcam_view_t *view)
{
    char                   *text;
    uint32_t                i;
    ngx_uint_t              class_;
    const Plan             *plan;
    ngx_http_wildcam_set_t *set;

    plan = view->plan;
    set = &view->replicas;

    if (ngx_http_wildcam_set_alloc(view->arena, plan->n_replicas, set)
        != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < plan->n_replicas; i++) {
        if (ngx_http_wildcam_replica(view->arena, &plan->replicas[i],
                &set->pick[i], &set->targets[i])
            != NGX_OK) {
            return NGX_ERROR;
        }
        set->n++;
    }

    for (class_ = 0; class_ < SERVICE_CLASS_MAX; class_++) {
        set = &view->gateways[class_];
        set->entries = plan->forward[class_];

        if (ngx_http_wildcam_set_alloc(
                view->arena, plan->n_forward[class_], set)
            != NGX_OK) {
            return NGX_ERROR;
        }

        for (i = 0; i < plan->n_forward[class_]; i++) {
            if (ngx_http_wildcam_gateway(view->arena,
                    &plan->gateways[set->entries[i].gateway], &set->pick[i],
                    &set->targets[i])
                != NGX_OK) {
                return NGX_ERROR;
            }
            set->n++;
        }
    }

    text =
        arena_printf(view->arena, "%llu", (unsigned long long) plan->number);
    if (text == NULL) {
        return NGX_ERROR;
    }

    view->number = ngx_http_wildcam_text(text);

    return NGX_OK;
}


static void
ngx_http_wildcam_set_slots(ngx_http_wildcam_set_t *set, ngx_uint_t acquire)
{
    uint32_t i;

    for (i = 0; i < set->n; i++) {
        if (acquire) {
            set->targets[i].slot = ngx_http_wildcam_slot_acquire(
                (char *) set->targets[i].label.data);
            set->pick[i].health = &set->targets[i].slot->health;

        } else {
            ngx_http_wildcam_slot_release(set->targets[i].slot);
        }
    }
}


static void
ngx_http_wildcam_view_slots(ngx_http_wildcam_view_t *view, ngx_uint_t acquire)
{
    ngx_uint_t class_;

    for (class_ = 0; class_ < SERVICE_CLASS_MAX; class_++) {
        ngx_http_wildcam_set_slots(&view->gateways[class_], acquire);
    }

    ngx_http_wildcam_set_slots(&view->replicas, acquire);
}


void
ngx_http_wildcam_view_release(ngx_http_wildcam_view_t *view)
{
    if (--view->refs) {
        return;
    }

    ngx_http_wildcam_view_slots(view, 0);
    (void) arena_free(view->arena);
}


/* NULL with the reason in `err`. */

static ngx_http_wildcam_view_t *
ngx_http_wildcam_view_new(
    const u_char *bytes, size_t len, uint64_t number, Error *err)
{
    Arena                        *arena;
    const Plan                   *plan;
    ngx_http_wildcam_view_t      *view;
    ngx_http_wildcam_main_conf_t *conf;

    arena = arena_new(4 * BOUND_PLAN_BYTES);
    if (arena == NULL) {
        (void) error_set(err, ERROR_MEMORY, "out of memory");
        return NULL;
    }

    if (plan_file_decode(bytes, len, arena, &plan, err) < 0) {
        goto failed;
    }

    conf = ngx_http_wildcam_worker.conf;

    if (plan->number != number) {
        (void) error_set(err, ERROR_FOREIGN, "it says that it is plan %llu",
            (unsigned long long) plan->number);
        goto failed;
    }

    if (ngx_strcmp(plan->gateways[plan->own].region, conf->region.data) != 0) {
        (void) error_set(err, ERROR_FOREIGN,
            "made for region '%s', this is '%s'",
            plan->gateways[plan->own].region, (char *) conf->region.data);
        goto failed;
    }

    view = arena_new_of(arena, ngx_http_wildcam_view_t);
    if (view == NULL) {
        (void) error_set(err, ERROR_MEMORY, "out of memory");
        goto failed;
    }

    view->refs = 1;
    view->arena = arena;
    view->plan = plan;

    if (ngx_http_wildcam_view_fill(view) != NGX_OK) {
        (void) error_set(err, ERROR_FORMAT,
            "a socket's path is too long or an address is none");
        goto failed;
    }

    ngx_http_wildcam_view_slots(view, 1);

    return view;

failed:

    (void) arena_free(arena);

    return NULL;
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
