// SPDX-License-Identifier: MIT
// homes: see homes.h.
#include "homes.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "asker.h"
#include "layout.h"

typedef struct Answers {
    const Model *model;
    TrafficClient *clients;
    uint32_t n_failed;
    int r;
} Answers;

typedef struct Answer {
    Answers *answers;
    uint32_t client;
} Answer;

static int region_of(const Model *model, const json_t *value)
{
    const char *name = json_string_value(value);
    return name != NULL ? model_find_region(model, name) : -1;
}

int homes_read(const Model *model, const char *json, size_t len, uint32_t *ret_home,
               int32_t *ret_backup)
{
    json_t *root = json_loadb(json, len, 0, NULL);
    const json_t *gateway = json_object_get(root, "gateway");
    const json_t *backup = json_object_get(root, "backup");
    int home = region_of(model, gateway);
    int other = json_is_object(backup) ? region_of(model, json_object_get(backup, "gateway")) : -1;
    bool known = home >= 0 && (!json_is_object(backup) || other >= 0);
    int r = known ? 0 : json_is_string(gateway) ? ERROR_NOT_FOUND : ERROR_FORMAT;
    json_decref(root);
    if (r < 0)
        return r;
    *ret_home = (uint32_t)home;
    *ret_backup = other == home ? -1 : other;
    return 0;
}

static void answered(void *context, int status, const char *body, size_t len)
{
    Answer *answer = context;
    TrafficClient *client = &answer->answers->clients[answer->client];
    int r = status == 200
                ? homes_read(answer->answers->model, body, len, &client->home, &client->backup)
                : ERROR_UNAVAILABLE;
    if (r < 0) {
        answer->answers->n_failed++;
        answer->answers->r = r;
    }
}

static int ask_agent(const Conf *conf, const char *socket, uint32_t n, TrafficClient *clients,
                     Error *reterr)
{
    Asker *asker CLEANUP(asker_freep) = NULL;
    int r = asker_new(8, &asker, reterr);
    if (r < 0)
        return r;
    Answer *list CLEANUP(alloc_freep) = alloc_zeroed(n, sizeof *list);
    if (list == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    Answers answers = {.model = &conf->model, .clients = clients};
    for (uint32_t i = 0; i < n && answers.n_failed == 0; i++) {
        char client[IP_TEXT_MAX], path[256];
        clients[i].source = schedule_client(i);
        (void)snprintf(path, sizeof path, "/v1/why?client=%s&class=read",
                       ip_format(&clients[i].source, client));
        list[i] = (Answer){&answers, i};
        if ((r = asker_get(asker, socket, path, answered, &list[i], reterr)) < 0)
            return r;
        if (i == 0) // the first one finds out whether the agent is there at all
            asker_run(asker);
    }
    asker_run(asker);
    if (answers.n_failed > 0)
        return error_set(reterr, answers.r, "no answer of use to '/v1/why': %s",
                         error_code_text(answers.r));
    return 0;
}

int homes_ask(const Conf *conf, const char *dir, uint32_t n, TrafficClient *clients, Error *reterr)
{
    int r = error_set(reterr, ERROR_UNAVAILABLE, "no region");
    for (uint32_t i = 0; i < conf->model.n_regions; i++) {
        LayoutPath socket;
        r = layout_socket(dir, conf->model.regions[i].name, "agent.sock", &socket, reterr);
        if (r == 0 && (r = ask_agent(conf, socket.text, n, clients, reterr)) == 0)
            return 0;
    }
    r = error_wrap(reterr, r, "no agent says where the cameras' homes are");
    return error_hint(reterr, r, "is the fleet up? 'wildcam status' tells");
}
