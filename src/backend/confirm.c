// SPDX-License-Identifier: MIT
// confirm: see confirm.h.
//
//   waiting (in the order of their calls) --a lane is free--> under way with it --true--> confirmed
//      ^                                                           |
//      +------------- false, or the query failed: again -----------+        limit over: late
//
// A statement waits WAIT_MS at most in the server, so that a lost connection and the end of the
// process are noticed. Goes wrong: no database; then queries fail at once, and are tried again by
// the timer until the limit is over.
#include "confirm.h"

#include <stdlib.h>

#include "alloc.h"
#include "clock.h"
#include "log.h"
#include "pg_pool.h"

#define LANES 2
#define WAIT_MS "100"
#define AGAIN_MS 20
#define QUERY_NS NS_PER_S

static const PgStatement STATEMENTS[] = {
    {"confirmed", "SELECT wildcam.await_confirmed($1::name[], " WAIT_MS ")", 1},
};

typedef struct Waiter {
    struct Waiter *next;
    ConfirmDone *done;
    void *context;
    Mono limit;
} Waiter;

typedef struct WaiterList {
    Waiter *first, *last;
} WaiterList;

typedef struct Lane {
    Confirm *confirm;
    WaiterList waiters; // of the query that runs
    bool busy;
} Lane;

struct Confirm {
    ConfirmOptions options;
    char *slots;
    PgPool *pool;
    uv_timer_t timer;
    WaiterList waiting;
    Lane lanes[LANES];
    ConfirmCounts counts;
    bool freed, look; // look: away, and nobody waits: one wait all the same
};

static void append(WaiterList *list, Waiter *waiter)
{
    waiter->next = NULL;
    if (list->last != NULL)
        list->last->next = waiter;
    else
        list->first = waiter;
    list->last = waiter;
}

static void end(Confirm *confirm, Waiter *waiter, bool confirmed)
{
    if (confirmed)
        confirm->counts.confirmed++;
    else
        confirm->counts.late++;
    waiter->done(waiter->context, confirmed);
    free(waiter);
}

static void end_all(Confirm *confirm, WaiterList *list, bool confirmed)
{
    while (list->first != NULL) {
        Waiter *waiter = list->first;
        list->first = waiter->next;
        if (list->first == NULL)
            list->last = NULL;
        end(confirm, waiter, confirmed);
    }
}

static void set_away(Confirm *confirm, bool away)
{
    if (confirm->counts.away == away)
        return;
    confirm->counts.away = away;
    if (away)
        log_warning("no other cloud confirms", confirm->slots);
    else
        log_info("another cloud confirms again", confirm->slots);
}

// Ends those of the list whose limit is over; they are in the order of their limits.
static void end_late(Confirm *confirm, WaiterList *list, Mono now)
{
    while (list->first != NULL && mono_since(list->first->limit, now) <= 0) {
        Waiter *waiter = list->first;
        list->first = waiter->next;
        if (list->first == NULL)
            list->last = NULL;
        set_away(confirm, true);
        end(confirm, waiter, false);
    }
}

static void on_answer(void *context, const PGresult *result, const char *error);

static void start(Confirm *confirm)
{
    for (int i = 0; i < LANES; i++) {
        Lane *lane = &confirm->lanes[i];
        if (lane->busy || (confirm->waiting.first == NULL && !confirm->look))
            continue;
        // Away: one lane looks, the other one would only add load.
        if (confirm->counts.away && i > 0)
            break;
        const char *params[] = {confirm->slots};
        lane->waiters = confirm->waiting;
        confirm->waiting = (WaiterList){NULL, NULL};
        lane->busy = true;
        confirm->look = false;
        pg_pool_query(confirm->pool, 0, params, on_answer, lane);
    }
}

static void give_back(Confirm *confirm, WaiterList *list)
{
    if (list->first == NULL)
        return;
    list->last->next = confirm->waiting.first; // they came before those that wait
    if (confirm->waiting.last == NULL)
        confirm->waiting.last = list->last;
    confirm->waiting.first = list->first;
    *list = (WaiterList){NULL, NULL};
}

static void on_answer(void *context, const PGresult *result, const char *error)
{
    Lane *lane = context;
    Confirm *confirm = lane->confirm;
    bool answered = error == NULL && PQresultStatus(result) == PGRES_TUPLES_OK;
    lane->busy = false;
    if (confirm->freed) {
        end_all(confirm, &lane->waiters, false);
        return;
    }
    if (answered && PQgetvalue(result, 0, 0)[0] == 't') {
        set_away(confirm, false);
        end_all(confirm, &lane->waiters, true);
    } else {
        end_late(confirm, &lane->waiters, clock_mono());
        give_back(confirm, &lane->waiters);
        confirm->look = confirm->counts.away;
    }
    if (answered)
        start(confirm);
    // Else the timer tries again: a failing query comes back at once.
}

static void on_timer(uv_timer_t *timer)
{
    Confirm *confirm = timer->data;
    Mono now = clock_mono();
    end_late(confirm, &confirm->waiting, now);
    for (int i = 0; i < LANES; i++)
        end_late(confirm, &confirm->lanes[i].waiters, now);
    start(confirm);
}

int confirm_new(uv_loop_t *loop, const ConfirmOptions *options, Confirm **ret_confirm,
                Error *reterr)
{
    Confirm *confirm = alloc_zeroed(1, sizeof *confirm);
    if (confirm == NULL || (confirm->slots = alloc_strdup(options->slots)) == NULL) {
        free(confirm);
        return error_set(reterr, ERROR_MEMORY, "no memory to wait for other clouds");
    }
    const PgPoolOptions pool = {.conninfo = options->conninfo,
                                .connections = LANES,
                                .statements = STATEMENTS,
                                .n_statements = ARRAY_SIZE(STATEMENTS),
                                .timeout_ns = QUERY_NS,
                                .max_waiting = LANES};
    confirm->options = *options;
    confirm->options.slots = confirm->slots;
    confirm->options.conninfo = NULL; // the pool has read it
    for (int i = 0; i < LANES; i++)
        confirm->lanes[i].confirm = confirm;
    int r = pg_pool_new(loop, &pool, &confirm->pool, reterr);
    if (r < 0) {
        free(confirm->slots);
        free(confirm);
        return r;
    }
    (void)uv_timer_init(loop, &confirm->timer);
    confirm->timer.data = confirm;
    (void)uv_timer_start(&confirm->timer, on_timer, AGAIN_MS, AGAIN_MS);
    *ret_confirm = confirm;
    return 0;
}

void confirm_wait(Confirm *confirm, ConfirmDone *done, void *context)
{
    Waiter *waiter = alloc_zeroed(1, sizeof *waiter);
    if (waiter == NULL || (confirm->options.give_up_early && confirm->counts.away)) {
        free(waiter);
        confirm->counts.late++;
        done(context, false);
        return;
    }
    waiter->done = done;
    waiter->context = context;
    waiter->limit = mono_add(clock_mono(), confirm->options.limit_ns);
    append(&confirm->waiting, waiter);
    start(confirm);
}

ConfirmCounts confirm_counts(const Confirm *confirm)
{
    return confirm->counts;
}

static void on_closed(uv_handle_t *handle)
{
    Confirm *confirm = handle->data;
    free(confirm->slots);
    free(confirm);
}

Confirm *confirm_free(Confirm *confirm)
{
    if (confirm == NULL)
        return NULL;
    confirm->freed = true;
    confirm->pool = pg_pool_free(confirm->pool); // its queries fail now
    end_all(confirm, &confirm->waiting, false);
    uv_close((uv_handle_t *)&confirm->timer, on_closed);
    return NULL;
}
