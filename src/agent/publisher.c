// SPDX-License-Identifier: MIT
// publisher: see the header. The worker thread touches only `job` while `busy` is set.
#include "publisher.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bounds.h"
#include "buf.h"
#include "clock.h"
#include "plan_file.h"

#define BEAT_MS 250
#define RETRY_NS NS_PER_S

typedef struct Encoded {
    uint64_t number, prefixes_digest;
    char *plan;
    size_t plan_len;
    char *prefixes;
    size_t prefixes_len;
} Encoded;

struct Publisher {
    PlanStore *store;
    PublisherChanged *changed;
    void *context;
    uv_loop_t *loop;
    uv_timer_t beat;
    uv_work_t work;
    bool busy, stopped;
    uint64_t offered; // newest number
    Encoded waiting;  // plan NULL: none
    struct {          // of the worker thread
        Encoded encoded;
        int r;
        Error err;
        int64_t took_ns;
    } job;
    Mono retry_at;
    PublisherStatus status;
    Error err;
};

static void encoded_done(Encoded *encoded)
{
    free(encoded->plan);
    free(encoded->prefixes);
    *encoded = (Encoded){0};
}

static void on_work(uv_work_t *work)
{
    Publisher *publisher = work->data;
    const Encoded *encoded = &publisher->job.encoded;
    PlanStoreWrite write = {.number = encoded->number,
                            .prefixes_digest = encoded->prefixes_digest,
                            .plan = encoded->plan,
                            .plan_len = encoded->plan_len,
                            .prefixes = encoded->prefixes,
                            .prefixes_len = encoded->prefixes_len};
    Mono started = clock_mono();
    publisher->job.r =
        plan_store_write(publisher->store, &write, clock_wall(), &publisher->job.err);
    publisher->job.took_ns = mono_since(clock_mono(), started);
}

static void on_worked(uv_work_t *work, int status);

static void start(Publisher *publisher)
{
    if (publisher->busy || publisher->stopped || !publisher->waiting.plan ||
        clock_mono().ns < publisher->retry_at.ns)
        return;
    publisher->job.encoded = publisher->waiting;
    publisher->waiting = (Encoded){0};
    publisher->work.data = publisher;
    if (uv_queue_work(publisher->loop, &publisher->work, on_work, on_worked) < 0) {
        publisher->waiting = publisher->job.encoded;
        return;
    }
    publisher->busy = true;
}

static void settle_failure(Publisher *publisher)
{
    publisher->status.failures++;
    publisher->retry_at = mono_add(clock_mono(), RETRY_NS);
    (void)error_set(&publisher->err, publisher->job.r, "%s", error_text(&publisher->job.err));
    error_done(&publisher->job.err);
    if (publisher->waiting.plan) // a newer one has come meanwhile
        encoded_done(&publisher->job.encoded);
    else
        publisher->waiting = publisher->job.encoded;
    publisher->job.encoded = (Encoded){0};
}

static void settle_success(Publisher *publisher)
{
    PublisherStatus *status = &publisher->status;
    status->writes++;
    status->number = publisher->job.encoded.number;
    status->last_write_ns = publisher->job.took_ns;
    status->good = clock_mono();
    error_done(&publisher->err);
    publisher->retry_at = MONO_DISTANT;
    encoded_done(&publisher->job.encoded);
}

static void on_worked(uv_work_t *work, int status)
{
    Publisher *publisher = work->data;
    (void)status;
    publisher->busy = false;
    if (publisher->job.r < 0)
        settle_failure(publisher);
    else
        settle_success(publisher);
    PublisherStatus now = publisher_status(publisher);
    publisher->changed(publisher->context, &now);
    start(publisher);
}

static void on_beat(uv_timer_t *timer)
{
    Publisher *publisher = timer->data;
    start(publisher); // what failed before
    if (publisher->busy || publisher->waiting.plan || !publisher->status.number)
        return;
    Error err CLEANUP(error_done) = ERROR_INIT;
    bool failed = publisher->err.text != NULL;
    int r = plan_store_beat(publisher->store, clock_wall(), &err);
    if (r == 0) {
        publisher->status.good = clock_mono();
        error_done(&publisher->err);
    } else {
        publisher->status.failures++;
        (void)error_set(&publisher->err, r, "%s", error_text(&err));
    }
    if (failed != (r < 0)) {
        PublisherStatus now = publisher_status(publisher);
        publisher->changed(publisher->context, &now);
    }
}

int publisher_new(uv_loop_t *loop, PlanStore *store, uint64_t adopted, PublisherChanged *changed,
                  void *context, Publisher **ret_publisher, Error *reterr)
{
    Publisher *publisher = alloc_zeroed(1, sizeof(*publisher));
    if (!publisher) {
        (void)plan_store_free(store);
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    }
    *publisher = (Publisher){.store = store,
                             .changed = changed,
                             .context = context,
                             .loop = loop,
                             .retry_at = MONO_DISTANT,
                             .status.number = adopted,
                             .status.good = adopted ? clock_mono() : MONO_DISTANT};
    (void)uv_timer_init(loop, &publisher->beat); // neither call can fail
    publisher->beat.data = publisher;
    (void)uv_timer_start(&publisher->beat, on_beat, BEAT_MS, BEAT_MS);
    *ret_publisher = publisher;
    return 0;
}

int publisher_offer(Publisher *publisher, const Plan *plan, const Model *model, Error *reterr)
{
    if (publisher->stopped || plan->number <= publisher->offered)
        return 0; // the core's plan is offered whenever it may be new
    Buf bytes CLEANUP(buf_done) = BUF_INIT(BOUND_PLAN_BYTES);
    Buf prefixes CLEANUP(buf_done) = BUF_INIT(BOUND_PLAN_BYTES);
    int r = plan_file_encode(plan, &bytes);
    if (r == 0)
        r = prefixes_encode(model->prefixes, model->n_prefixes, plan->prefixes_digest, &prefixes);
    if (r < 0)
        return error_set(reterr, r, "encode plan %016" PRIx64 ": %s", plan->number,
                         error_code_text(r));
    publisher->offered = plan->number;
    encoded_done(&publisher->waiting);
    publisher->waiting = (Encoded){.number = plan->number,
                                   .prefixes_digest = plan->prefixes_digest,
                                   .plan_len = bytes.len,
                                   .prefixes_len = prefixes.len};
    publisher->waiting.plan = buf_take(&bytes);
    publisher->waiting.prefixes = buf_take(&prefixes);
    start(publisher);
    return 0;
}

PublisherStatus publisher_status(const Publisher *publisher)
{
    PublisherStatus status = publisher->status;
    status.error = publisher->err.text ? publisher->err.text : "";
    return status;
}

void publisher_stop(Publisher *publisher)
{
    if (publisher->stopped)
        return;
    publisher->stopped = true;
    uv_close((uv_handle_t *)&publisher->beat, NULL);
}

Publisher *publisher_free(Publisher *publisher)
{
    if (!publisher)
        return NULL;
    encoded_done(&publisher->waiting);
    encoded_done(&publisher->job.encoded);
    error_done(&publisher->err);
    error_done(&publisher->job.err);
    (void)plan_store_free(publisher->store);
    free(publisher);
    return NULL;
}
