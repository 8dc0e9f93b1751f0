// SPDX-License-Identifier: MIT
// edge_ask: see edge_ask.h.
#include "edge_ask.h"

#include <stdio.h>

#include "http_client.h"

typedef struct Asked {
    uv_loop_t loop;
    EdgeAnswer *answer;
} Asked;

static void on_answer(void *context, const HttpResponse *response)
{
    Asked *asked = context;
    const char *config = http_response_header(response, "Wildcam-Config");
    *asked->answer = (EdgeAnswer){.status = response->status};
    (void)snprintf(asked->answer->config, sizeof asked->answer->config, "%s",
                   config != NULL ? config : "");
    (void)snprintf(asked->answer->error, sizeof asked->answer->error, "%s", response->error);
    uv_stop(&asked->loop);
}

static int ask(const Context *context, uint32_t index, int64_t timeout_ns, Asked *asked,
               Error *reterr)
{
    const Model *model = &context->conf->model;
    const ModelRegion *region = &model->regions[index];
    LayoutPath ca = layout_dir(context->dir.text, "pki/ca.pem");
    HttpClient *client = NULL;
    int r =
        http_client_new(&asked->loop, &(HttpClientOptions){.ca_file = ca.text}, &client, reterr);
    if (r < 0)
        return r;
    char url[512], resolve[512];
    (void)snprintf(url, sizeof url, "https://%s.gateway.%s:%u/.well-known/wildcam/health",
                   region->name, model->domain, region->edge_port);
    (void)snprintf(resolve, sizeof resolve, "%s.gateway.%s:%u:%s", region->name, model->domain,
                   region->edge_port, region->address);
    const HttpRequestOptions options = {.url = url,
                                        .resolve = resolve,
                                        .connect_timeout_ns = timeout_ns,
                                        .timeout_ns = timeout_ns,
                                        .fresh = true};
    r = http_client_send(client, &options, on_answer, asked, NULL, reterr);
    if (r == 0)
        (void)uv_run(&asked->loop, UV_RUN_DEFAULT);
    (void)http_client_free(client);
    return r;
}

int edge_ask_health(const Context *context, uint32_t region, int64_t timeout_ns,
                    EdgeAnswer *ret_answer, Error *reterr)
{
    Asked asked = {.answer = ret_answer};
    *ret_answer = (EdgeAnswer){.error = "no answer"};
    int r = uv_loop_init(&asked.loop);
    if (r < 0)
        return error_errno(reterr, -r, "loop");
    r = ask(context, region, timeout_ns, &asked, reterr);
    (void)uv_run(&asked.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&asked.loop);
    return r;
}
