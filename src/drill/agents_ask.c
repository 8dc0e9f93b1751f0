// SPDX-License-Identifier: MIT
// agents_ask: see agents_ask.h. The digest is a sum over wishes, so that order does not matter.
#include "agents_ask.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "asker.h"
#include "hash.h"
#include "layout.h"

static void took(void *context, int status, const char *body, size_t len)
{
    int *ret_status = context;
    *ret_status = status;
}

int agents_wish(const char *dir, const Model *model, uint64_t regions, const char *json,
                Error *reterr)
{
    Asker *asker CLEANUP(asker_freep) = NULL;
    int status = 0, r = asker_new(1, &asker, reterr);
    for (uint32_t i = 0; r >= 0 && status / 100 != 2 && i < model->n_regions; i++) {
        LayoutPath socket;
        if ((regions >> i & 1) == 0 ||
            layout_socket(dir, model->regions[i].name, "agent.sock", &socket, NULL) < 0)
            continue;
        r = asker_post(asker, socket.text, "/v1/intents", json, took, &status, reterr);
        asker_run(asker);
    }
    if (r >= 0 && status / 100 != 2) {
        r = error_set(reterr, ERROR_UNAVAILABLE, "no agent takes a wish (status %d)", status);
        return error_hint(reterr, r, "Is the fleet running? 'wildcam up' starts it.");
    }
    return r;
}

void agents_read_wishes(const char *json, size_t len, AgentWishes *ret_wishes)
{
    *ret_wishes = (AgentWishes){0};
    json_t *root = json_loadb(json, len, 0, NULL);
    const json_t *list = json_object_get(root, "intents");
    size_t i;
    const json_t *wish;
    ret_wishes->answered = json_is_array(list);
    json_array_foreach(list, i, wish)
    {
        const char *kind = json_string_value(json_object_get(wish, "kind"));
        const char *target = json_string_value(json_object_get(wish, "target"));
        const char *stamp = json_string_value(json_object_get(wish, "stamp"));
        const char *author = json_string_value(json_object_get(wish, "author"));
        if (kind == NULL || target == NULL || stamp == NULL)
            continue;
        uint64_t digest = hash_text(HASH_SEED, kind);
        digest = hash_text(digest, target);
        ret_wishes->digest += hash_text(digest, stamp);
        ret_wishes->n_own +=
            author != NULL && strcmp(author, "drill") == 0 && strcmp(kind, "pin") == 0;
    }
    json_decref(root);
}

static void answered(void *context, int status, const char *body, size_t len)
{
    AgentWishes *wishes = context;
    if (status == 200)
        agents_read_wishes(body, len, wishes);
}

int agents_wishes(const char *dir, const Model *model, AgentWishes ret_wishes[AGENTS_MAX],
                  Error *reterr)
{
    Asker *asker CLEANUP(asker_freep) = NULL;
    int r = asker_new(AGENTS_MAX, &asker, reterr);
    for (uint32_t i = 0; r >= 0 && i < model->n_regions && i < AGENTS_MAX; i++) {
        LayoutPath socket;
        ret_wishes[i] = (AgentWishes){0};
        if (layout_socket(dir, model->regions[i].name, "agent.sock", &socket, NULL) == 0)
            r = asker_get(asker, socket.text, "/v1/intents", answered, &ret_wishes[i], reterr);
    }
    if (r >= 0)
        asker_run(asker);
    return r;
}

int64_t agents_read_p50(const char *json, size_t len, const char *gateway)
{
    json_t *root = json_loadb(json, len, 0, NULL);
    json_int_t p50_us = 0;
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(root, "gateways"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "region"));
        if (name != NULL && strcmp(name, gateway) == 0)
            p50_us = json_integer_value(json_object_get(item, "p50_us"));
    }
    json_decref(root);
    return p50_us > 0 ? p50_us * NS_PER_US : 0;
}

typedef struct Measured {
    const char *gateway;
    uint32_t n;
    int64_t p50_ns[AGENTS_MAX];
} Measured;

static void measured(void *context, int status, const char *body, size_t len)
{
    Measured *all = context;
    int64_t p50_ns = status == 200 ? agents_read_p50(body, len, all->gateway) : 0;
    if (p50_ns > 0 && all->n < AGENTS_MAX)
        all->p50_ns[all->n++] = p50_ns;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int agents_p50(const char *dir, const Model *model, uint32_t gateway, int64_t *ret_ns,
               Error *reterr)
{
    Asker *asker CLEANUP(asker_freep) = NULL;
    Measured all = {.gateway = model->regions[gateway].name};
    int r = asker_new(AGENTS_MAX, &asker, reterr);
    for (uint32_t i = 0; r >= 0 && i < model->n_regions; i++) {
        LayoutPath socket;
        if (i != gateway &&
            layout_socket(dir, model->regions[i].name, "agent.sock", &socket, NULL) == 0)
            r = asker_get(asker, socket.text, "/v1/status", measured, &all, reterr);
    }
    if (r < 0)
        return r;
    asker_run(asker);
    if (all.n == 0)
        return error_set(reterr, ERROR_UNAVAILABLE, "no agent has measured round trips to '%s'",
                         all.gateway);
    qsort(all.p50_ns, all.n, sizeof all.p50_ns[0], compare);
    *ret_ns = all.p50_ns[all.n / 2];
    return 0;
}
