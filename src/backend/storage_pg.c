// SPDX-License-Identifier: MIT
// storage_pg: storage.h on PostgreSQL, by the pool. Opening (connect, migrate) blocks, so it runs
// in a thread of the loop and is tried again until it holds; the pool is made after that, because
// its statements need the tables.
//
// Durable: every insert is a transaction of its own with synchronous_commit = on, and the pool
// hands a result out only after the commit. Health: a probe every 250 ms; any other answer counts
// as well, so that a busy pool is not taken for a dead database.
#include "storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "confirm.h"
#include "log.h"
#include "migrate.h"
#include "parse.h"
#include "pg_pool.h"
#include "storage_rows.h"

#define PROBE_MS 250
#define HEALTHY_NS NS_PER_S
#define OPEN_AGAIN_MS 500
#define CONFIRM_NS (800 * NS_PER_MS) // cameras give a silent answer up after a second

enum {
    STATEMENT_PROBE,
    STATEMENT_PUT,
    STATEMENT_GET,
    STATEMENT_LIST, // and three more: + LIST_DEVICE, + LIST_BEFORE
};

#define LIST_DEVICE 1 // of one device
#define LIST_BEFORE 2 // behind a row

// One statement for each form: a plan that serves "all devices" would not use the device's index.
#define LIST_SQL(condition)                                                                        \
    "SELECT " STORAGE_COLUMNS " FROM public.detections " condition                                 \
    " ORDER BY taken_at DESC, id DESC LIMIT $1::integer"
#define BEHIND(n)                                                                                  \
    "(taken_at, id) < (SELECT taken_at, id FROM public.detections WHERE id = " n "::uuid)"

static const PgStatement STATEMENTS[] = {
    [STATEMENT_PROBE] = {"probe",
                         "SELECT pg_is_in_recovery() OR "
                         "current_setting('transaction_read_only')::boolean",
                         0},
    [STATEMENT_PUT] = {"put",
                       "INSERT INTO public.detections (id, device, taken_at, species, confidence, "
                       "latitude, longitude, image_digest, idempotency_key, _origin) VALUES "
                       "($1::uuid, $2, $3::timestamptz, $4, $5::double precision, "
                       "$6::double precision, $7::double precision, decode($8, 'hex'), $9, "
                       "$10::smallint) ON CONFLICT (id) DO NOTHING RETURNING " STORAGE_COLUMNS,
                       10},
    [STATEMENT_GET] = {"get",
                       "SELECT " STORAGE_COLUMNS " FROM public.detections WHERE id = $1::uuid", 1},
    [STATEMENT_LIST] = {"list", LIST_SQL(""), 1},
    [STATEMENT_LIST + LIST_DEVICE] = {"list_device", LIST_SQL("WHERE device = $2"), 2},
    [STATEMENT_LIST + LIST_BEFORE] = {"list_before", LIST_SQL("WHERE " BEHIND("$2")), 2},
    [STATEMENT_LIST + LIST_DEVICE +
        LIST_BEFORE] = {"list_both", LIST_SQL("WHERE device = $2 AND " BEHIND("$3")), 3},
};

struct Storage {
    uv_loop_t *loop;
    StorageOptions options;
    char *conninfo, *confirm_slots;
    PgPool *pool;     // NULL: not open yet
    Confirm *confirm; // NULL: durability local
    uv_timer_t timer;
    uv_work_t opening;
    Error open_error; // of the thread until it is done, then ours
    unsigned applied;
    bool freed, work_runs, timer_open, probing, was_read, was_write;
    Mono read_at, write_at; // newest sign of life
    char detail[256];
};

static void on_timer(uv_timer_t *timer);

static void storage_gone(Storage *storage)
{
    if (storage->work_runs || storage->timer_open)
        return;
    error_done(&storage->open_error);
    free(storage->conninfo);
    free(storage->confirm_slots);
    free(storage);
}

static void say(Storage *storage, const char *detail)
{
    (void)snprintf(storage->detail, sizeof storage->detail, "%.*s", (int)strcspn(detail, "\n"),
                   detail);
}

StorageHealth storage_health(const Storage *storage)
{
    Mono now = clock_mono();
    bool connected = storage->pool != NULL && pg_pool_connected(storage->pool);
    StorageHealth health = {
        .read = connected && mono_since(now, storage->read_at) <= HEALTHY_NS,
        .write = connected && mono_since(now, storage->write_at) <= HEALTHY_NS,
        .detail = "",
        .confirms = storage->confirm == NULL || !confirm_counts(storage->confirm).away,
    };
    if (!health.read && !connected && storage->pool != NULL)
        health.detail = pg_pool_error(storage->pool);
    else if (!health.read || !health.write)
        health.detail = storage->detail;
    return health;
}

static void log_changes(Storage *storage)
{
    StorageHealth health = storage_health(storage);
    if (health.read == storage->was_read && health.write == storage->was_write)
        return;
    storage->was_read = health.read;
    storage->was_write = health.write;
    log_at(health.write ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "database health changed",
           "postgresql", LOG_NUMBER("read", health.read), LOG_NUMBER("write", health.write),
           LOG_TEXT("detail", health.detail));
}

static void alive(Storage *storage, bool writable)
{
    storage->read_at = clock_mono();
    if (writable)
        storage->write_at = storage->read_at;
    log_changes(storage);
}

static void on_probed(void *context, const PGresult *result, const char *error)
{
    Storage *storage = context;
    storage->probing = false;
    if (error != NULL) {
        say(storage, error);
    } else if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1) {
        say(storage, PQresultErrorMessage(result));
    } else {
        bool read_only = PQgetvalue(result, 0, 0)[0] == 't';
        say(storage, read_only ? "the database only reads" : "");
        if (read_only)
            storage->write_at = MONO_DISTANT;
        alive(storage, !read_only);
    }
}

static void on_opened(uv_work_t *work, int status);

static void open_in_thread(uv_work_t *work)
{
    Storage *storage = work->data;
    int r = migrate_database(storage->conninfo, &storage->applied, &storage->open_error);
    if (r >= 0)
        error_done(&storage->open_error);
}

static void on_timer(uv_timer_t *timer)
{
    Storage *storage = timer->data;
    if (storage->pool != NULL) {
        if (!storage->probing) {
            storage->probing = true;
            pg_pool_query(storage->pool, STATEMENT_PROBE, NULL, on_probed, storage);
        }
        log_changes(storage);
    } else if (!storage->work_runs) {
        storage->work_runs = true;
        storage->opening.data = storage;
        storage->applied = 0;
        if (uv_queue_work(storage->loop, &storage->opening, open_in_thread, on_opened) < 0)
            storage->work_runs = false;
    }
}

static void on_opened(uv_work_t *work, int status)
{
    Storage *storage = work->data;
    static const char *const SETUP[] = {"SET synchronous_commit = on", NULL};
    const PgPoolOptions pool = {.conninfo = storage->conninfo,
                                .connections = storage->options.connections,
                                .statements = STATEMENTS,
                                .n_statements = ARRAY_SIZE(STATEMENTS),
                                .setup = SETUP,
                                .timeout_ns = storage->options.timeout_ns,
                                .max_waiting = 256};
    storage->work_runs = false;
    if (storage->freed) {
        storage_gone(storage);
        return;
    }
    int r = storage->open_error.text != NULL
                ? ERROR_UNAVAILABLE
                : pg_pool_new(storage->loop, &pool, &storage->pool, &storage->open_error);
    if (r < 0) {
        if (strncmp(storage->detail, error_text(&storage->open_error),
                    sizeof storage->detail - 1) != 0)
            log_warning("database not ready", "postgresql",
                        LOG_TEXT("error", error_text(&storage->open_error)));
        say(storage, error_text(&storage->open_error));
        error_done(&storage->open_error);
        (void)uv_timer_start(&storage->timer, on_timer, OPEN_AGAIN_MS, OPEN_AGAIN_MS);
        return;
    }
    const ConfirmOptions confirm = {.conninfo = storage->conninfo,
                                    .slots = storage->confirm_slots,
                                    .limit_ns = CONFIRM_NS,
                                    .give_up_early = storage->options.degrade};
    if (storage->confirm_slots != NULL)
        r = confirm_new(storage->loop, &confirm, &storage->confirm, &storage->open_error);
    if (r < 0) { // only memory; nothing is acknowledged without it
        log_error("cannot wait for other clouds", "postgresql",
                  LOG_TEXT("error", error_text(&storage->open_error)));
        error_done(&storage->open_error);
        storage->pool = pg_pool_free(storage->pool);
        (void)uv_timer_start(&storage->timer, on_timer, OPEN_AGAIN_MS, OPEN_AGAIN_MS);
        return;
    }
    log_info("database open", "postgresql", LOG_NUMBER("migrations_applied", storage->applied));
    // Soon once, for the first probe, then at its pace.
    (void)uv_timer_start(&storage->timer, on_timer, 10, PROBE_MS);
}

int storage_new(uv_loop_t *loop, const StorageOptions *options, Storage **ret_storage,
                Error *reterr)
{
    Storage *storage = alloc_zeroed(1, sizeof *storage);
    if (storage == NULL || (storage->conninfo = alloc_strdup(options->conninfo)) == NULL) {
        free(storage);
        return error_set(reterr, ERROR_MEMORY, "no memory for the storage");
    }
    if (options->confirm_slots != NULL &&
        (storage->confirm_slots = alloc_strdup(options->confirm_slots)) == NULL) {
        free(storage->conninfo);
        free(storage);
        return error_set(reterr, ERROR_MEMORY, "no memory for the storage");
    }
    storage->loop = loop;
    storage->options = *options;
    storage->options.conninfo = storage->conninfo;
    storage->options.confirm_slots = storage->confirm_slots;
    if (options->connections == 0)
        storage->options.connections = 4;
    storage->read_at = storage->write_at = MONO_DISTANT;
    storage->timer_open = true;
    say(storage, "the database is being opened");
    (void)uv_timer_init(loop, &storage->timer);
    storage->timer.data = storage;
    (void)uv_timer_start(&storage->timer, on_timer, 0, OPEN_AGAIN_MS);
    *ret_storage = storage;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    Storage *storage = handle->data;
    storage->timer_open = false;
    storage_gone(storage);
}

Storage *storage_free(Storage *storage)
{
    if (storage == NULL)
        return NULL;
    storage->freed = true;
    storage->pool = pg_pool_free(storage->pool);
    storage->confirm = confirm_free(storage->confirm);
    (void)uv_cancel((uv_req_t *)&storage->opening); // of no effect when it runs
    uv_close((uv_handle_t *)&storage->timer, on_timer_closed);
    return NULL;
}

// One request on its way. Kept until its last query has answered.
typedef struct Pending {
    Storage *storage;
    StoragePutDone *put_done;
    StorageRowsDone *rows_done;
    void *context;
    Detection detection; // of a put; once it is in the database: as it is there
    StoragePut outcome;
    unsigned limit;
    Uuid before;
} Pending;

static Pending *pending_new(Storage *storage, void *context)
{
    Pending *pending = storage->pool != NULL ? alloc_zeroed(1, sizeof *pending) : NULL;
    if (pending == NULL)
        return NULL;
    pending->storage = storage;
    pending->context = context;
    return pending;
}

static void put_end(Pending *pending, StoragePut outcome, StorageDurability durability,
                    const Detection *stored)
{
    pending->put_done(pending->context, outcome, durability, stored);
    free(pending);
}

static void put_failed(Pending *pending, StoragePut outcome)
{
    put_end(pending, outcome, STORAGE_DURABILITY_LOCAL, NULL);
}

static void on_confirmed(void *context, bool confirmed)
{
    Pending *pending = context;
    put_end(pending, pending->outcome,
            confirmed ? STORAGE_DURABILITY_TWO_CLOUDS : STORAGE_DURABILITY_UNCONFIRMED,
            &pending->detection);
}

// The row is on disk here. A row that was there already waits as well: whoever asks for it again
// may have got no answer the first time.
static void put_stored(Pending *pending, StoragePut outcome, const Detection *stored)
{
    pending->outcome = outcome;
    pending->detection = *stored;
    if (pending->storage->confirm != NULL)
        confirm_wait(pending->storage->confirm, on_confirmed, pending);
    else
        put_end(pending, outcome, STORAGE_DURABILITY_LOCAL, &pending->detection);
}

static void rows_end(Pending *pending, StorageRead outcome, const Detection *rows, unsigned n,
                     bool more)
{
    pending->rows_done(pending->context, outcome, rows, n, more);
    free(pending);
}

// The server answered and has rows for us, perhaps none; otherwise the reason goes into the log.
static bool usable(Storage *storage, const PGresult *result, const char *error)
{
    static LogLimit limit;
    uint32_t suppressed;
    if (error == NULL && PQresultStatus(result) == PGRES_TUPLES_OK)
        return true;
    if (log_allowed(&limit, 1, clock_mono(), &suppressed))
        log_warning("query failed", "postgresql",
                    LOG_TEXT("error", error != NULL ? error : PQresultErrorMessage(result)),
                    LOG_NUMBER("suppressed", suppressed));
    return false;
}

static void on_found(void *context, const PGresult *result, const char *error)
{
    Pending *pending = context;
    Detection stored;
    if (!usable(pending->storage, result, error) || PQntuples(result) == 0 ||
        !storage_row_read(result, 0, &stored))
        put_failed(pending, STORAGE_PUT_UNAVAILABLE);
    else if (detection_same(&stored, &pending->detection))
        put_stored(pending, STORAGE_PUT_SAME, &stored);
    else
        put_failed(pending, STORAGE_PUT_CONFLICT);
}

static void on_put(void *context, const PGresult *result, const char *error)
{
    Pending *pending = context;
    Detection stored;
    if (!usable(pending->storage, result, error)) {
        put_failed(pending, STORAGE_PUT_UNAVAILABLE);
        return;
    }
    alive(pending->storage, true);
    if (PQntuples(result) > 0) {
        if (storage_row_read(result, 0, &stored))
            put_stored(pending, STORAGE_PUT_CREATED, &stored);
        else
            put_failed(pending, STORAGE_PUT_UNAVAILABLE);
        return;
    }
    // The insert waited for whoever inserted the same key: a new statement sees that row.
    const char *params[] = {pending->detection.id.text};
    pg_pool_query(pending->storage->pool, STATEMENT_GET, params, on_found, pending);
}

void storage_put_detection(Storage *storage, const Detection *detection, StoragePutDone *done,
                           void *context)
{
    Pending *pending = pending_new(storage, context);
    if (pending == NULL) {
        done(context, STORAGE_PUT_UNAVAILABLE, STORAGE_DURABILITY_LOCAL, NULL);
        return;
    }
    StorageRow row;
    pending->put_done = done;
    pending->detection = *detection;
    storage_row_write(detection, storage->options.origin, &row);
    pg_pool_query(storage->pool, STATEMENT_PUT, row.params, on_put, pending);
}

static void on_before_looked_up(void *context, const PGresult *result, const char *error)
{
    Pending *pending = context;
    StorageRead outcome = !usable(pending->storage, result, error) ? STORAGE_READ_UNAVAILABLE
                          : PQntuples(result) == 0                 ? STORAGE_READ_NOT_FOUND
                                                                   : STORAGE_READ_OK;
    rows_end(pending, outcome, NULL, 0, false);
}

static void on_rows(void *context, const PGresult *result, const char *error)
{
    Pending *pending = context;
    static Detection rows[STORAGE_LIST_MAX + 1]; // of one loop only
    if (!usable(pending->storage, result, error)) {
        rows_end(pending, STORAGE_READ_UNAVAILABLE, NULL, 0, false);
        return;
    }
    alive(pending->storage, false);
    unsigned n = (unsigned)PQntuples(result);
    if (n == 0 && pending->before.text[0] != '\0') { // the end, or a row that is not here?
        const char *params[] = {pending->before.text};
        pg_pool_query(pending->storage->pool, STATEMENT_GET, params, on_before_looked_up, pending);
        return;
    }
    bool more = n > pending->limit;
    n = more ? pending->limit : n;
    for (unsigned i = 0; i < n; i++) {
        if (!storage_row_read(result, (int)i, &rows[i])) {
            rows_end(pending, STORAGE_READ_UNAVAILABLE, NULL, 0, false);
            return;
        }
    }
    rows_end(pending, STORAGE_READ_OK, rows, n, more);
}

static void on_row(void *context, const PGresult *result, const char *error)
{
    Pending *pending = context;
    Detection row;
    if (!usable(pending->storage, result, error)) {
        rows_end(pending, STORAGE_READ_UNAVAILABLE, NULL, 0, false);
        return;
    }
    alive(pending->storage, false);
    if (PQntuples(result) == 0)
        rows_end(pending, STORAGE_READ_NOT_FOUND, NULL, 0, false);
    else if (storage_row_read(result, 0, &row))
        rows_end(pending, STORAGE_READ_OK, &row, 1, false);
    else
        rows_end(pending, STORAGE_READ_UNAVAILABLE, NULL, 0, false);
}

void storage_get_detection(Storage *storage, const Uuid *id, StorageRowsDone *done, void *context)
{
    Pending *pending = pending_new(storage, context);
    if (pending == NULL) {
        done(context, STORAGE_READ_UNAVAILABLE, NULL, 0, false);
        return;
    }
    const char *params[] = {id->text};
    pending->rows_done = done;
    pg_pool_query(storage->pool, STATEMENT_GET, params, on_row, pending);
}

void storage_list_detections(Storage *storage, const StorageList *list, StorageRowsDone *done,
                             void *context)
{
    Pending *pending = pending_new(storage, context);
    if (pending == NULL) {
        done(context, STORAGE_READ_UNAVAILABLE, NULL, 0, false);
        return;
    }
    char limit[16];
    ASSERT(list->limit >= 1 && list->limit <= STORAGE_LIST_MAX);
    (void)snprintf(limit, sizeof limit, "%u", list->limit + 1); // one more tells whether there is
    pending->rows_done = done;
    pending->limit = list->limit;
    if (list->before != NULL)
        pending->before = *list->before;
    const char *params[3] = {limit};
    unsigned n = 1, form = STATEMENT_LIST;
    if (list->device != NULL) {
        params[n++] = list->device;
        form += LIST_DEVICE;
    }
    if (list->before != NULL) {
        params[n++] = list->before->text;
        form += LIST_BEFORE;
    }
    pg_pool_query(storage->pool, form, params, on_rows, pending);
}
