// SPDX-License-Identifier: MIT
// agents: see agents.h. A hung region's agent accepts and says nothing: the time limit is per
// request and all run side by side, so six hung ones cost no more than one.
#include "agents.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "http_client.h"

typedef struct Round {
    uv_loop_t loop;
    uv_timer_t guard; // keeps the loop alive; idle connections do not
    uint32_t pending;
} Round;

typedef struct Question {
    Round *round;
    AgentAnswer *answer;
} Question;

static void on_answer(void *context, const HttpResponse *response)
{
    const Question *question = context;
    AgentAnswer *answer = question->answer;
    if (--question->round->pending == 0)
        uv_stop(&question->round->loop);
    answer->status = response->status;
    (void)snprintf(answer->error, sizeof answer->error, "%s",
                   response->error != NULL ? response->error : "");
    if (response->status != 0)
        answer->body = json_loadb(response->body, response->body_len, 0, NULL);
    if (response->status != 0 && answer->body == NULL)
        answer->text = alloc_strdup(response->body);
}

static void ask_one(const Context *context, HttpClient *client, uint32_t region,
                    const AgentRequest *request, Question *question)
{
    static const char *const HEADERS[] = {"Content-Type: application/json", NULL};
    LayoutPath socket;
    Error err = ERROR_INIT;
    char url[512];
    (void)snprintf(url, sizeof url, "http://agent%s", request->path);
    int r = layout_socket(context->dir.text, context->conf->model.regions[region].name,
                          request->socket != NULL ? request->socket : "agent.sock", &socket, &err);
    if (r == 0)
        r = http_client_send(
            client,
            &(HttpRequestOptions){.method = request->method,
                                  .url = url,
                                  .unix_socket = socket.text,
                                  .body = request->body,
                                  .body_len = request->body != NULL ? strlen(request->body) : 0,
                                  .headers = request->body != NULL ? HEADERS : NULL,
                                  .connect_timeout_ns = request->timeout_ns,
                                  .timeout_ns = request->timeout_ns,
                                  .max_body = 4U << 20},
            on_answer, question, NULL, &err);
    if (r == 0)
        question->round->pending++;
    else
        (void)snprintf(question->answer->error, sizeof question->answer->error, "%s",
                       error_text(&err));
    error_done(&err);
}

static void on_guard(uv_timer_t *timer)
{
    uv_stop(timer->loop); // the client's own deadlines come before
}

static int ask_all(const Context *context, int region, const AgentRequest *request, Round *round,
                   Question *questions, Error *reterr)
{
    HttpClient *client = NULL;
    int r = http_client_new(&round->loop, &(HttpClientOptions){0}, &client, reterr);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < context->conf->model.n_regions; i++)
        if (region < 0 || (uint32_t)region == i)
            ask_one(context, client, i, request, &questions[i]);
    if (round->pending > 0)
        (void)uv_run(&round->loop, UV_RUN_DEFAULT);
    client = http_client_free(client); // cancels what is left
    return 0;
}

int agents_ask(const Context *context, int region, const AgentRequest *request,
               AgentAnswer *answers, Error *reterr)
{
    uint32_t n = context->conf->model.n_regions;
    memset(answers, 0, n * sizeof *answers);
    Round round = {0};
    Question *questions CLEANUP(alloc_freep) = alloc_zeroed(n, sizeof *questions);
    if (questions == NULL)
        return error_set(reterr, ERROR_MEMORY, "ask agents");
    for (uint32_t i = 0; i < n; i++)
        questions[i] = (Question){.round = &round, .answer = &answers[i]};
    int r = uv_loop_init(&round.loop);
    if (r < 0)
        return error_errno(reterr, -r, "loop");
    (void)uv_timer_init(&round.loop, &round.guard);
    (void)uv_timer_start(&round.guard, on_guard, (uint64_t)(request->timeout_ns / NS_PER_MS) + 1000,
                         0);
    r = ask_all(context, region, request, &round, questions, reterr);
    uv_close((uv_handle_t *)&round.guard, NULL);
    (void)uv_run(&round.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&round.loop);
    return r;
}

void agents_done(AgentAnswer *answers, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        json_decref(answers[i].body);
        free(answers[i].text);
    }
    memset(answers, 0, n * sizeof *answers);
}

int agents_get_text(const Context *context, uint32_t region, const char *path, int64_t timeout_ns,
                    char **ret_text, Error *reterr)
{
    uint32_t n = context->conf->model.n_regions;
    AgentAnswer *answers CLEANUP(alloc_freep) = alloc_zeroed(n, sizeof *answers);
    if (answers == NULL)
        return error_set(reterr, ERROR_MEMORY, "ask an agent");
    int r = agents_ask(context, (int)region,
                       &(AgentRequest){.path = path, .timeout_ns = timeout_ns}, answers, reterr);
    AgentAnswer *answer = &answers[region];
    if (r == 0 && answer->status == 200 && answer->text != NULL)
        *ret_text = answer->text;
    else if (r == 0)
        r = error_set(reterr, ERROR_UNAVAILABLE, "%s", agents_message(answer));
    if (r == 0)
        answer->text = NULL; // the caller's now
    agents_done(answers, n);
    return r;
}

const char *agents_message(const AgentAnswer *answer)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(answer->body, "error"), "message"));
    return text != NULL ? text : answer->error[0] != '\0' ? answer->error : "no answer";
}
