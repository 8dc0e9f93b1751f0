// SPDX-License-Identifier: MIT
// view: a plan made ready for choosing: addresses as nginx wants them, names
// as texts, and for each target the slot of what this worker knows of it.
// Lives in one arena; the requests that use it hold it.
#include "ngx_http_wildcam_module.h"

#include "plan_file.h"


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
    view->admit = admit_rule(plan->gateways[plan->own].capacity_rps);

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


ngx_http_wildcam_view_t *
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
