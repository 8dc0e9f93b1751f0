// SPDX-License-Identifier: MIT
// asker: see asker.h. A list of questions in front of net's HTTP client.
#include "asker.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "alloc.h"
#include "buf.h"
#include "http_client.h"
#include "instant.h"

#define TIMEOUT_NS (2 * NS_PER_S)

typedef struct Question {
    struct Question *next;
    Asker *asker;
    char *socket, *url, *body;
    AskerDone *done;
    void *context;
} Question;

struct Asker {
    uv_loop_t loop;
    HttpClient *client;
    Question *first, **last; // waiting
    unsigned at_once, under_way;
};

int asker_new(unsigned at_once, Asker **ret_asker, Error *reterr)
{
    Asker *asker = alloc_zeroed(1, sizeof *asker);
    if (asker == NULL)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    int r = uv_loop_init(&asker->loop);
    if (r < 0) {
        free(asker);
        return error_errno(reterr, -r, "event loop");
    }
    asker->at_once = at_once;
    asker->last = &asker->first;
    const HttpClientOptions options = {.connections_per_host =
                                           64} /* all sockets are one host to curl */;
    r = http_client_new(&asker->loop, &options, &asker->client, reterr);
    if (r < 0) {
        (void)asker_free(asker);
        return r;
    }
    *ret_asker = asker;
    return 0;
}

static void question_free(Question *question)
{
    free(question->socket);
    free(question->url);
    free(question->body);
    free(question);
}

static void send_waiting(Asker *asker);

static void answered(void *context, const HttpResponse *response)
{
    Question *question = context;
    Asker *asker = question->asker;
    asker->under_way--;
    question->done(question->context, response->status, response->body, response->body_len);
    question_free(question);
    send_waiting(asker);
}

static void send_waiting(Asker *asker)
{
    while (asker->first != NULL && asker->under_way < asker->at_once) {
        Question *question = asker->first;
        asker->first = question->next;
        if (asker->first == NULL)
            asker->last = &asker->first;
        const char *const headers[] = {"Content-Type: application/json", NULL};
        const HttpRequestOptions options = {
            .method = question->body != NULL ? "POST" : "GET",
            .url = question->url,
            .unix_socket = question->socket,
            .body = question->body,
            .body_len = question->body != NULL ? strlen(question->body) : 0,
            .headers = question->body != NULL ? headers : NULL,
            .timeout_ns = TIMEOUT_NS,
        };
        asker->under_way++;
        if (http_client_send(asker->client, &options, answered, question, NULL, NULL) < 0) {
            asker->under_way--;
            question->done(question->context, 0, "", 0);
            question_free(question);
        }
    }
}

static int ask(Asker *asker, const char *socket, const char *path, const char *body,
               AskerDone *done, void *context, Error *reterr)
{
    Question *question = alloc_zeroed(1, sizeof *question);
    Buf url = BUF_INIT(4096);
    buf_printf(&url, "http://wildcam%s", path);
    if (question != NULL) {
        question->socket = alloc_strdup(socket);
        question->body = body != NULL ? alloc_strdup(body) : NULL;
        question->url = buf_take(&url);
    }
    buf_done(&url);
    if (question == NULL || question->socket == NULL || question->url == NULL ||
        (body != NULL && question->body == NULL)) {
        if (question != NULL)
            question_free(question);
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    }
    question->asker = asker;
    question->done = done;
    question->context = context;
    *asker->last = question;
    asker->last = &question->next;
    send_waiting(asker);
    return 0;
}

int asker_get(Asker *asker, const char *socket, const char *path, AskerDone *done, void *context,
              Error *reterr)
{
    return ask(asker, socket, path, NULL, done, context, reterr);
}

int asker_post(Asker *asker, const char *socket, const char *path, const char *body,
               AskerDone *done, void *context, Error *reterr)
{
    return ask(asker, socket, path, body, done, context, reterr);
}

void asker_run(Asker *asker)
{
    while (asker->under_way > 0)
        (void)uv_run(&asker->loop, UV_RUN_ONCE);
}

Asker *asker_free(Asker *asker)
{
    if (asker == NULL)
        return NULL;
    for (Question *question; (question = asker->first) != NULL;) {
        asker->first = question->next;
        question_free(question);
    }
    if (asker->client != NULL)
        (void)http_client_free(asker->client);
    (void)uv_run(&asker->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&asker->loop);
    free(asker);
    return NULL;
}
