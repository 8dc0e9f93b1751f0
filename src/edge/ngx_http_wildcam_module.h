// SPDX-License-Identifier: MIT
// ngx_http_wildcam_module: an upstream balancer that carries out what
// core/pick decides from the plan that the agent publishes
// (docs/contracts/processes.md). Every decision is a call of core/pick; this
// room only fetches facts for it and does what it says.
//
// - plan.c: plan.now and plan.<number>, keeps the last good one
// - view.c: a plan made ready for choosing, counted by the requests using it
// - targets.c: what this worker knows of a target, across plans; evacuation
// - choose.c: hands targets to core/pick
// - upstream.c: nginx's peer interface; what may be tried again
// - context.c: what belongs to one request
// - counters.c: the file that hands evidence to the agent
// - leave.c: kept connections end before this nginx is replaced
// - variables.c: $wildcam_*, trace context
// - answers.c: the answers that nginx gives by itself
//
// Owner: everything here is private to one worker process; nothing is shared,
// so nothing is locked. Goes wrong: no plan, a broken one, no disk. Then the
// last good plan stays and counters live in private memory; a worker never
// stops for either.
#pragma once
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "admit.h"
#include "arena.h"
#include "bounds.h"
#include "counters.h"
#include "error.h"
#include "pick.h"
#include "plan.h"
#include "rng.h"

#define NGX_HTTP_WILDCAM_TICK_MS                                              \
    20 /* plan, stalls; a stall is 200 ms of silence */
#define NGX_HTTP_WILDCAM_TRIED 8 /* targets one request may try */
#define NGX_HTTP_WILDCAM_STALE                                                \
    2 /* closed idle connections one request may meet for free */
#define NGX_HTTP_WILDCAM_SHED                                                 \
    529 /* between edges: this region is at its capacity */
#define NGX_HTTP_WILDCAM_TRACE 55 /* "00-" 32 "-" 16 "-" 2 */

typedef struct {
    ngx_str_t plan;     /* folder with plan.now and plan.<number> */
    ngx_str_t counters; /* folder of counter files; empty: private memory */
    ngx_str_t
        purge; /* file with the number of the last cache purge; empty: none */
    ngx_str_t   region;    /* own */
    ngx_str_t   domain;    /* TLS name of a gateway: REGION.gateway.DOMAIN */
    ngx_array_t locations; /* of ngx_http_core_loc_conf_t *: all there are */
} ngx_http_wildcam_main_conf_t;

typedef enum {
    NGX_HTTP_WILDCAM_REPLICAS,
    NGX_HTTP_WILDCAM_GATEWAYS,
} ngx_http_wildcam_kind_t;

typedef struct {
    ngx_http_wildcam_kind_t kind;
} ngx_http_wildcam_srv_conf_t;

typedef struct {
    ngx_str_t    service; /* empty: unset */
    ServiceClass class_get, class_other;
    ngx_str_t    remote; /* named location that forwards to another gateway;
                            empty: no forwarding */
    /* Copies of the location's upstream settings for requests that differ;
     * made on first use. */
    ngx_http_upstream_conf_t *original, *strict, *keyed;
} ngx_http_wildcam_loc_conf_t;

/* What this worker knows of a target; it outlives plans. */
typedef struct {
    uint64_t   hash;  /* of its name; 0: free */
    ngx_uint_t views; /* that use it */
    PickHealth health;
    ngx_queue_t
        waiting; /* requests in flight (ngx_http_wildcam_ctx_t.queue) */
    CountersTarget *counters;
    Mono     full_until;   /* it shed a request: gets no spill till then */
    unsigned evacuate : 1; /* move its waiting requests on at the next tick */
} ngx_http_wildcam_slot_t;

typedef struct {
    ngx_str_t name;  /* for nginx's log: socket path or address */
    ngx_str_t label; /* of a replica "us-west-2/1", of a gateway its region */
    ngx_str_t tls_name;
    struct sockaddr         *sockaddr;
    socklen_t                socklen;
    ngx_http_wildcam_slot_t *slot;
} ngx_http_wildcam_target_t;

typedef struct {
    uint32_t                   n;
    PickTarget                *pick;    /* [n], nothing tried */
    ngx_http_wildcam_target_t *targets; /* [n] */
    const PlanEntry           *entries; /* gateways: [n] */
} ngx_http_wildcam_set_t;

/* One plan, made ready for choosing. Immutable; freed with its last user. */
typedef struct {
    ngx_uint_t             refs;
    Arena                 *arena;
    const Plan            *plan;
    ngx_http_wildcam_set_t replicas;
    ngx_http_wildcam_set_t gateways[SERVICE_CLASS_MAX];
    AdmitRule              admit;  /* what the own region may serve */
    ngx_str_t              number; /* text */
} ngx_http_wildcam_view_t;

/* One request, from its first upstream to its log line; survives the jump into
 * a named location. */
typedef struct ngx_http_wildcam_ctx_s ngx_http_wildcam_ctx_t;

struct ngx_http_wildcam_ctx_s {
    /* the next one, while it belongs to no request */
    ngx_http_wildcam_ctx_t          *spare;
    ngx_http_request_t              *request;
    ngx_http_wildcam_loc_conf_t     *conf;
    ngx_http_wildcam_view_t         *view;
    const ngx_http_wildcam_target_t *target; /* last one chosen */
    ngx_http_wildcam_slot_t         *slot;   /* of the attempt in flight */
    ngx_queue_t                      queue;
    Mono                             started;
    uint32_t                         n_tried;
    uint32_t                         attempts;
    uint32_t                         stale; /* closed idle connections met */
    /* of the last failed attempt: 5xx as the target said, 502, 504 */
    uint32_t                         status;
    ServiceClass                     class_;
    ngx_http_wildcam_kind_t          kind;
    /* class_ and repeatable are known */
    unsigned                         ready : 1;
    /* idempotent, or it carries an Idempotency-Key */
    unsigned                         repeatable : 1;
    unsigned                         keyed : 1;
    /* bytes of it reached a target */
    unsigned                         sent : 1;
    /* its next try was taken from the budget already */
    unsigned                         paid : 1;
    /* its next try costs nothing: an idle connection was closed */
    unsigned                         free_try : 1;
    /* refused: all down, and the service is closed then */
    unsigned                         closed : 1;
    unsigned                         traced : 1;
    /* the own region has no capacity for it: another one's, or nobody's */
    unsigned                         full : 1;
    /* that region had none either */
    unsigned                         shed : 1;
    /* not cleared: n_tried and traced say what is in them */
    ngx_http_wildcam_slot_t         *tried[NGX_HTTP_WILDCAM_TRIED];
    u_char                           trace[NGX_HTTP_WILDCAM_TRACE];
};


/* State of this worker. */
typedef struct {
    ngx_http_wildcam_main_conf_t *conf;
    ngx_log_t                    *log;
    ngx_http_wildcam_view_t      *view;     /* newest good plan, or NULL */
    CountersFile                 *counters; /* never NULL in a worker */
    PickBudget                    budget;
    Rng                           rng;
    int64_t                      *admitted; /* bucket of all workers */
    uint64_t                      purge;
    uint64_t                      plan_age_ms;
} ngx_http_wildcam_worker_t;

extern ngx_module_t              ngx_http_wildcam_module;
extern ngx_http_wildcam_worker_t ngx_http_wildcam_worker;

#define NGX_HTTP_WILDCAM_COUNT(field)                                         \
    (ngx_http_wildcam_worker.counters->edge.field++)

static inline Mono
ngx_http_wildcam_now(void)
{
    struct timespec ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);
    return (Mono){(int64_t) ts.tv_sec * NS_PER_S + ts.tv_nsec};
}

/* plan.c. Reads the newest plan if there is one; keeps the last good one
 * otherwise. */
void
ngx_http_wildcam_plan_poll(Mono now);

/* view.c. NULL with the reason in `err`; holds one reference. */
ngx_http_wildcam_view_t *
ngx_http_wildcam_view_new(
    const u_char *bytes, size_t len, uint64_t number, Error *err);
void
ngx_http_wildcam_view_release(ngx_http_wildcam_view_t *view);

/* targets.c */
void
ngx_http_wildcam_slots_init(void);
ngx_http_wildcam_slot_t *
ngx_http_wildcam_slot_acquire(const char *name);
void
ngx_http_wildcam_slot_release(ngx_http_wildcam_slot_t *slot);
/* Marks slots that the newest plan no longer uses: their waiting requests move
 * on. */
void
ngx_http_wildcam_slots_renew(const ngx_http_wildcam_view_t *view);
void
ngx_http_wildcam_slots_tick(Mono now);

/* upstream.c */
char *
ngx_http_wildcam_upstream(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t
ngx_http_wildcam_precontent_handler(ngx_http_request_t *r);

/* choose.c. An index into the set of ctx->kind, or -1. */
int
ngx_http_wildcam_choose(ngx_http_wildcam_ctx_t *ctx, Mono now);
/* The best tier among what this request has not tried yet. */
PickTier
ngx_http_wildcam_best_tier(const ngx_http_wildcam_ctx_t *ctx,
    const ngx_http_wildcam_set_t *set, Mono now);
const ngx_http_wildcam_set_t *
ngx_http_wildcam_gateways(const ngx_http_wildcam_ctx_t *ctx);
/* A gateway that may take what the own region has no capacity for? */
ngx_uint_t
ngx_http_wildcam_has_room(const ngx_http_wildcam_ctx_t *ctx, Mono now);
/* May a target of this tier be used, or is the service closed when all is
 * down? */
ngx_uint_t
ngx_http_wildcam_tier_usable(const ngx_http_wildcam_ctx_t *ctx, PickTier tier);

/* context.c */
ngx_http_wildcam_ctx_t *
ngx_http_wildcam_ctx(ngx_http_request_t *r);
ngx_http_wildcam_ctx_t *
ngx_http_wildcam_ctx_find(ngx_http_request_t *r);
/* Holds the newest view for the rest of the request. */
ngx_int_t
ngx_http_wildcam_ctx_renew(ngx_http_wildcam_ctx_t *ctx);

/* Address of a client; all zero for one that came by a UNIX socket. */
Ip
ngx_http_wildcam_client(ngx_connection_t *c);

/* counters.c */
ngx_int_t
ngx_http_wildcam_counters_open(ngx_cycle_t *cycle);
void
ngx_http_wildcam_counters_tick(Mono now);
ngx_int_t
ngx_http_wildcam_log_handler(ngx_http_request_t *r);

/* variables.c */
ngx_int_t
ngx_http_wildcam_add_variables(ngx_conf_t *cf);

/* answers.c */
void
ngx_http_wildcam_purge_poll(Mono now);

/* leave.c. */

char *
ngx_http_wildcam_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);
/* Will this worker be told to quit soon? */
void
ngx_http_wildcam_leave_poll(void);
char *
ngx_http_wildcam_answer(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
