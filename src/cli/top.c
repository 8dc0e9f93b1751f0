// SPDX-License-Identifier: MIT
// top: the fleet as a live view. One loop: every second each agent that owes no answer is asked, by
// itself, so a dead one costs its own row and nothing else; keys and the window's size are events
// of the same loop. The terminal is given back on every way out: a key, a signal, Ctrl-Z, a crash.
// Without a terminal a frame a second goes to stdout as plain text.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <uv.h>

#include "alloc.h"
#include "cli.h"
#include "clock.h"
#include "fleet_view.h"
#include "http_client.h"
#include "parse.h"
#include "top_rates.h"
#include "top_terminal.h"

#define TICK_MS 1000
#define ASK_NS (900 * NS_PER_MS)
#define PLAIN_COLUMNS 132

typedef struct Top Top;

typedef struct TopQuestion {
    Top *top;
    uint32_t region;
    bool records, asked; // about decisions, else status; no answer yet
} TopQuestion;

struct Top {
    Context context;
    uv_loop_t loop;
    HttpClient *client;
    uv_timer_t tick;
    uv_poll_t keys;
    uv_signal_t signals[6];
    bool terminal, keyboard, once;
    uint32_t n, pending, rounds;
    AgentAnswer *answers;   // [n] newest
    TopCounters *counters;  // [n]
    TopRates *rates;        // [n]
    TopQuestion *questions; // [n + 1], the last one for the records
    json_t *records;
    uint32_t records_of;
    TopLook look;
};

// --- A frame ---

static void read_size(Top *top)
{
    struct winsize size;
    if (!top->terminal) {
        const char *columns = getenv("COLUMNS");
        uint64_t given = 0;
        bool wide = columns != NULL && parse_u64(columns, strlen(columns), 1000, &given) == 0;
        top->look.columns = wide && given > 0 ? (uint32_t)given : PLAIN_COLUMNS;
        top->look.rows = 0;
        return;
    }
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    top->look.columns = known ? size.ws_col : 80;
    top->look.rows = known && size.ws_row > 0 ? size.ws_row : 24;
}

static void show(Top *top, const Buf *text)
{
    const char *at = buf_text(text);
    if (buf_check(text) < 0)
        return;
    if (top->terminal) {
        (void)fputs("\033[H", stdout);
        for (size_t len; *at != '\0'; at += len + (at[len] == '\n' ? 1 : 0)) {
            len = strcspn(at, "\n");
            // Erased first: behind a full line the cursor still stands on its last character.
            (void)fprintf(stdout, "\033[K%.*s%s", (int)len, at, at[len] == '\n' ? "\n" : "");
        }
        (void)fputs("\033[J", stdout);
    } else {
        (void)printf("%s\n%s", at, top->once ? "" : "\n");
    }
    if (fflush(stdout) != 0)
        uv_stop(&top->loop);
}

static void draw(Top *top)
{
    json_t *view = fleet_view_merge(top->context.conf, top->answers);
    char clock[CLOCK_TEXT_MAX];
    Wall wall = clock_wall();
    (void)clock_format(wall, clock);
    clock[19] = '\0'; // 2026-11-23T18:22:01
    const TopState state = {.view = view,
                            .rates = top->rates,
                            .records = top->records_of == top->look.selected ? top->records : NULL,
                            .clock = clock + 11,
                            .wall_ns = wall.ns};
    Buf text CLEANUP(buf_done) = BUF_INIT(1U << 20);
    if (view != NULL)
        top_draw(&state, &top->look, &text);
    show(top, &text);
    json_decref(view);
}

// --- Questions ---

static void take_status(Top *top, uint32_t region, const HttpResponse *response)
{
    AgentAnswer *answer = &top->answers[region];
    json_decref(answer->body);
    *answer = (AgentAnswer){.status = response->status};
    if (response->status == 200)
        answer->body = json_loadb(response->body, response->body_len, 0, NULL);
    if (answer->body == NULL)
        answer->status = 0;
    top_rates_take(&top->counters[region], json_object_get(answer->body, "region"), clock_mono(),
                   &top->rates[region]);
}

static void take_records(Top *top, uint32_t region, const HttpResponse *response)
{
    json_t *body =
        response->status == 200 ? json_loadb(response->body, response->body_len, 0, NULL) : NULL;
    json_decref(top->records);
    top->records = json_incref(json_object_get(body, "records"));
    top->records_of = region;
    json_decref(body);
}

static void on_answer(void *context, const HttpResponse *response)
{
    TopQuestion *question = context;
    Top *top = question->top;
    question->asked = false;
    top->pending--;
    if (question->records)
        take_records(top, question->region, response);
    else
        take_status(top, question->region, response);
    if (top->pending > 0)
        return;
    if (!top->once || top->rounds > 1)
        draw(top);
    if (top->once && top->rounds > 1)
        uv_stop(&top->loop);
}

static void ask(Top *top, TopQuestion *question, uint32_t region)
{
    LayoutPath socket;
    if (question->asked)
        return;
    question->region = region;
    const char *path =
        question->records ? "http://agent/v1/records?limit=100" : "http://agent/v1/status";
    int r = layout_socket(top->context.dir.text, top->context.conf->model.regions[region].name,
                          "agent.sock", &socket, NULL);
    if (r == 0)
        r = http_client_send(top->client,
                             &(HttpRequestOptions){.url = path,
                                                   .unix_socket = socket.text,
                                                   .connect_timeout_ns = ASK_NS,
                                                   .timeout_ns = ASK_NS,
                                                   .max_body = 4U << 20},
                             on_answer, question, NULL, NULL);
    question->asked = r == 0;
    top->pending += r == 0;
    if (r < 0 && !question->records)
        take_status(top, region, &(HttpResponse){0});
}

static void on_tick(uv_timer_t *timer)
{
    Top *top = timer->data;
    if (top->rounds > 0 && top->pending > 0 && !top->once)
        draw(top); // somebody is silent: what the others said
    top->rounds++;
    for (uint32_t i = 0; i < top->n; i++)
        ask(top, &top->questions[i], i);
    ask(top, &top->questions[top->n], top->look.selected);
    if (top->pending == 0)
        draw(top); // no agent can even be asked
}

// --- Keys and signals ---

static void press(Top *top, char key)
{
    const TopState state = {.view = fleet_view_merge(top->context.conf, top->answers),
                            .rates = top->rates};
    if (key == 'q' || key == 'Q')
        uv_stop(&top->loop);
    else if (key == 's')
        top->look.sort = (TopSort)((top->look.sort + 1) % TOP_SORT_MAX);
    else if (state.view != NULL && (key == 'k' || key == 'j'))
        top->look.selected = top_step(&state, &top->look, key == 'k' ? -1 : 1);
    json_decref((json_t *)(uintptr_t)state.view);
}

static void on_keys(uv_poll_t *poll, int status, int events)
{
    Top *top = poll->data;
    char keys[64];
    ssize_t n = status < 0 ? 0 : read(STDIN_FILENO, keys, sizeof keys);
    if (n <= 0) {
        (void)uv_poll_stop(poll);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        bool arrow = n - i >= 3 && keys[i] == '\033' && (keys[i + 1] == '[' || keys[i + 1] == 'O');
        char key = keys[i];
        if (arrow) {
            key = keys[i + 2] == 'A' ? 'k' : keys[i + 2] == 'B' ? 'j' : ' ';
            i += 2;
        }
        press(top, key);
    }
    ask(top, &top->questions[top->n], top->look.selected);
    draw(top);
}

static void on_signal(uv_signal_t *handle, int number)
{
    Top *top = handle->data;
    if (number == SIGWINCH || number == SIGTSTP) {
        if (number == SIGTSTP) {
            top_terminal_give_back();
            (void)raise(SIGSTOP);
            top_terminal_take(top->keyboard);
        }
        read_size(top);
        draw(top);
        return;
    }
    uv_stop(&top->loop);
}

// --- Start and end ---

static int open_loop(Top *top, Error *reterr)
{
    static const int NUMBERS[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP};
    int r = uv_loop_init(&top->loop);
    if (r < 0)
        return error_errno(reterr, -r, "loop");
    (void)uv_timer_init(&top->loop, &top->tick);
    top->tick.data = top;
    for (size_t i = 0; i < ARRAY_SIZE(NUMBERS); i++) {
        (void)uv_signal_init(&top->loop, &top->signals[i]);
        top->signals[i].data = top;
        if (NUMBERS[i] == SIGINT || NUMBERS[i] == SIGTERM || top->terminal)
            (void)uv_signal_start(&top->signals[i], on_signal, NUMBERS[i]);
    }
    top->keyboard = top->terminal && isatty(STDIN_FILENO) == 1 &&
                    uv_poll_init(&top->loop, &top->keys, STDIN_FILENO) == 0;
    top->keys.data = top;
    if (top->keyboard)
        (void)uv_poll_start(&top->keys, UV_READABLE, on_keys);
    (void)uv_timer_start(&top->tick, on_tick, 0, TICK_MS);
    return http_client_new(&top->loop, &(HttpClientOptions){0}, &top->client, reterr);
}

static void close_loop(Top *top)
{
    top->once = true; // cancelled questions draw nothing any more
    top->rounds = 0;
    top->client = http_client_free(top->client);
    uv_close((uv_handle_t *)&top->tick, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(top->signals); i++)
        uv_close((uv_handle_t *)&top->signals[i], NULL);
    if (top->keyboard)
        uv_close((uv_handle_t *)&top->keys, NULL);
    (void)uv_run(&top->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&top->loop);
}

static int run(Top *top, Error *reterr)
{
    int r = open_loop(top, reterr);
    if (r == 0) {
        const char *no = getenv("NO_COLOR");
        top->look.colour = top->terminal && (no == NULL || no[0] == '\0');
        top->look.keys = top->keyboard;
        read_size(top);
        if (top->terminal)
            top_terminal_take(top->keyboard);
        (void)uv_run(&top->loop, UV_RUN_DEFAULT);
        top_terminal_give_back();
    }
    close_loop(top);
    return r;
}

static int prepare(Top *top, const char *dir, Error *reterr)
{
    json_t *answer = NULL;
    int r = context_open(dir, &top->context, reterr);
    if (r == 0)
        r = context_tell(top->context.dir.text, "status", 5 * NS_PER_S, &answer, reterr);
    json_decref(answer);
    if (r < 0)
        return r;
    ASSERT(top->context.conf != NULL);
    top->n = top->context.conf->model.n_regions;
    top->answers = alloc_zeroed(top->n, sizeof *top->answers);
    top->counters = alloc_zeroed(top->n, sizeof *top->counters);
    top->rates = alloc_zeroed(top->n, sizeof *top->rates);
    top->questions = alloc_zeroed(top->n + 1, sizeof *top->questions);
    if (top->answers == NULL || top->counters == NULL || top->rates == NULL ||
        top->questions == NULL)
        return error_set(reterr, ERROR_MEMORY, "top");
    for (uint32_t i = 0; i <= top->n; i++)
        top->questions[i] = (TopQuestion){.top = top, .records = i == top->n};
    return 0;
}

int verb_top(const Verb *verb, int argc, char **argv, Error *reterr)
{
    const char *dir = NULL;
    Top top = {0};
    const Option options[] = {
        {"dir", "DIR", "state folder (default ./run)", &dir, NULL},
        {"once", NULL, "one frame as text, then end", NULL, &top.once},
    };
    int operands,
        r = cli_parse(verb, options, ARRAY_SIZE(options), 0, 0, argc, argv, &operands, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    top.terminal = !top.once && isatty(STDOUT_FILENO) == 1;
    r = prepare(&top, dir, reterr);
    if (r == 0)
        r = run(&top, reterr);
    if (top.answers != NULL)
        agents_done(top.answers, top.n);
    json_decref(top.records);
    free(top.answers);
    free(top.counters);
    free(top.rates);
    free(top.questions);
    context_done(&top.context);
    return r;
}
