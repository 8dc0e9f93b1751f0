// SPDX-License-Identifier: MIT
// rows_check_ranges: count and sum of hashes per range on all nodes, compared. Sums are modulo
// 2^64, never XOR (two equal differences would cancel), and the count stands beside them.
// A table is read in slices of its pages: so a run shows progress, can be slowed down, stops at
// once and may be repeated from a slice. Rows that move from one slice to another meanwhile were
// written meanwhile: their range becomes suspect and is read again, that is all.
#include "rows_check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "clock.h"
#include "hash.h"

#define BATCH_RANGES 256 // suspect ranges in one statement through the index
#define FEW_ROWS 128U    // of a range: narrow enough to be read row by row

typedef struct Sum {
    uint64_t count, sum;
} Sum;

// Open addressing; a slot has a range and one sum per node.
typedef struct Sums {
    size_t n, capacity;
    uint32_t nodes;
    int64_t *ranges;
    bool *used;
    Sum *sums; // [capacity * nodes]
} Sums;

static void sums_done(Sums *sums)
{
    free(sums->ranges);
    free(sums->used);
    free(sums->sums);
    *sums = (Sums){0};
}

static int sums_new(uint32_t nodes, size_t capacity, Sums *ret, Error *reterr)
{
    *ret = (Sums){.nodes = nodes,
                  .capacity = capacity,
                  .ranges = alloc_zeroed(capacity, sizeof(int64_t)),
                  .used = alloc_zeroed(capacity, sizeof(bool)),
                  .sums = alloc_zeroed(capacity * nodes, sizeof(Sum))};
    if (ret->ranges != NULL && ret->used != NULL && ret->sums != NULL)
        return 0;
    sums_done(ret);
    return error_set(reterr, ERROR_MEMORY, "no memory for the sums of ranges");
}

static size_t slot_of(const Sums *sums, int64_t range)
{
    size_t at = hash_mix((uint64_t)range) & (sums->capacity - 1);
    while (sums->used[at] && sums->ranges[at] != range)
        at = (at + 1) & (sums->capacity - 1);
    return at;
}

static int sums_grow(Sums *sums, Error *reterr)
{
    Sums more;
    int r = sums_new(sums->nodes, sums->capacity * 2, &more, reterr);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sums->capacity; i++) {
        if (!sums->used[i])
            continue;
        size_t at = slot_of(&more, sums->ranges[i]);
        more.used[at] = true;
        more.ranges[at] = sums->ranges[i];
        memcpy(&more.sums[at * more.nodes], &sums->sums[i * sums->nodes],
               sums->nodes * sizeof(Sum));
    }
    more.n = sums->n;
    sums_done(sums);
    *sums = more;
    return 0;
}

static int sums_add(Sums *sums, uint32_t node, int64_t range, Sum sum, Error *reterr)
{
    if (sums->n * 2 >= sums->capacity) {
        int r = sums_grow(sums, reterr);
        if (r < 0)
            return r;
    }
    size_t at = slot_of(sums, range);
    sums->n += sums->used[at] ? 0 : 1;
    sums->used[at] = true;
    sums->ranges[at] = range;
    sums->sums[at * sums->nodes + node].count += sum.count;
    sums->sums[at * sums->nodes + node].sum += sum.sum;
    return 0;
}

// A numeric of any size, modulo 2^64.
uint64_t check_modular(const char *text)
{
    bool negative = text[0] == '-';
    uint64_t value = 0;
    for (const char *c = text + (negative ? 1 : 0); *c >= '0' && *c <= '9'; c++)
        value = value * 10 + (uint64_t)(*c - '0');
    return negative ? 0 - value : value;
}

static int64_t clamp(const CheckSplit *split, int64_t range)
{
    if (split->by == CHECK_BY_HASH)
        return range;
    return range < split->first ? split->first : range > split->last ? split->last : range;
}

static int add_results(const Check *check, const CheckSplit *split, PGresult *const *results,
                       Sums *sums, uint64_t *rows, Error *reterr)
{
    int r = 0;
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        if (results[i] == NULL)
            continue;
        int n = PQntuples(results[i]);
        for (int row = 0; r == 0 && row < n; row++) {
            Sum sum = {.count = (uint64_t)check_int(results[i], row, 1),
                       .sum = check_modular(PQgetvalue(results[i], row, 2))};
            rows[i] += sum.count;
            r = sums_add(sums, i, clamp(split, check_int(results[i], row, 0)), sum, reterr);
        }
    }
    return r;
}

static int compare_ranges(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The ranges whose count or sum is not the same on all compared nodes.
static int find_suspects(const Check *check, const Sums *sums, CheckSuspects *suspects,
                         Error *reterr)
{
    suspects->n = 0;
    suspects->rows = suspects->most = 0;
    uint32_t first = (uint32_t)__builtin_ctzll(check->nodes);
    for (size_t at = 0; at < sums->capacity; at++) {
        const Sum *sum = &sums->sums[at * sums->nodes];
        bool differs = false;
        uint64_t most = 0;
        for (uint32_t i = 0; sums->used[at] && i < sums->nodes; i++) {
            if (!check_has(check, i))
                continue;
            differs |= sum[i].count != sum[first].count || sum[i].sum != sum[first].sum;
            most = sum[i].count > most ? sum[i].count : most;
        }
        if (!differs)
            continue;
        int r = alloc_grow((void **)&suspects->ranges, &suspects->capacity, suspects->n + 1,
                           sizeof *suspects->ranges);
        if (r < 0)
            return error_set(reterr, r, "no memory for suspect ranges");
        suspects->ranges[suspects->n++] = sums->ranges[at];
        suspects->rows += most;
        suspects->most = most > suspects->most ? most : suspects->most;
    }
    if (suspects->n > 0)
        qsort(suspects->ranges, suspects->n, sizeof *suspects->ranges, compare_ranges);
    return 0;
}

static void begin_sql(const Check *check, const CheckTable *table, CheckPart part,
                      const CheckSplit *split, Buf *sql)
{
    buf_add_text(sql, "SELECT ");
    check_split_range(table, part, split, sql);
    buf_add_text(sql, ", count(*), sum(");
    check_hash(table, part, sql);
    buf_add_text(sql, ") FROM ");
    check_relation(table, part, sql);
    buf_add_text(sql, " t WHERE ");
    if (part == CHECK_PART_TOMBSTONES)
        buf_printf(sql, "t.v >= %" PRId64 " AND ", check->tombstones_from);
}

// Pages of the part on the node that has most, and the pages that hold one slice.
static int pages_of(Check *check, const CheckTable *table, CheckPart part, uint64_t rows,
                    uint64_t *ret_pages, uint64_t *ret_slice, Error *reterr)
{
    Buf name CLEANUP(buf_done) = BUF_INIT(4096), sql CLEANUP(buf_done) = BUF_INIT(65536);
    check_relation(table, part, &name);
    buf_add_text(&sql, "SELECT pg_relation_size(");
    check_literal(&sql, buf_text(&name));
    buf_add_text(&sql, ") / current_setting('block_size')::int");
    PGresult *results[CHECK_NODES_MAX];
    int r = check_ask(check, buf_text(&sql), 0, NULL, results, reterr);
    uint64_t pages = 0;
    for (uint32_t i = 0; r == 0 && i < check->mesh->n; i++) {
        uint64_t own = results[i] != NULL ? (uint64_t)check_int(results[i], 0, 0) : 0;
        pages = own > pages ? own : pages;
    }
    if (r < 0)
        return r;
    check_results_done(check, results);
    uint64_t slice_rows = check->slice_rows;
    if (check->rate > 0 && check->rate / 2 < slice_rows)
        slice_rows = check->rate / 2 + 1;
    uint64_t slices = rows / slice_rows + 1;
    *ret_pages = pages;
    *ret_slice = pages / slices + 1;
    return 0;
}

// Keeps to `rate`: waits until `rows` may have been read.
static int keep_pace(const Check *check, uint64_t rows, Mono began)
{
    if (check->rate == 0)
        return 0;
    int64_t due = (int64_t)((double)rows / (double)check->rate * (double)NS_PER_S);
    int64_t left = due - mono_since(clock_mono(), began);
    return left > 0 ? check_pause(check, left) : 0;
}

static uint64_t most_rows(const Check *check, const uint64_t *rows)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < check->mesh->n; i++)
        most = check_has(check, i) && rows[i] > most ? rows[i] : most;
    return most;
}

static int scan(Check *check, const CheckTable *table, CheckPart part, const CheckSplit *split,
                uint64_t expected, Sums *sums, uint64_t *rows, Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(1U << 20);
    begin_sql(check, table, part, split, &sql);
    buf_add_text(&sql, "t.ctid >= $1::tid AND t.ctid < $2::tid GROUP BY 1");
    uint64_t pages = 0, slice = 1;
    int r = buf_check(&sql) < 0 ? error_set(reterr, ERROR_MEMORY, "no memory for a statement")
                                : pages_of(check, table, part, expected, &pages, &slice, reterr);
    Mono began = clock_mono();
    for (uint64_t page = 0, end; r == 0; page = end) {
        char from[32], to[32];
        const char *params[] = {from, to};
        PGresult *results[CHECK_NODES_MAX];
        end = page + slice < pages ? page + slice : UINT32_MAX; // the last takes what came since
        (void)snprintf(from, sizeof from, "(%" PRIu64 ",0)", page);
        (void)snprintf(to, sizeof to, "(%" PRIu64 ",0)", end);
        r = check_ask(check, buf_text(&sql), 2, params, results, reterr);
        if (r < 0)
            break;
        r = add_results(check, split, results, sums, rows, reterr);
        check_results_done(check, results);
        if (part == CHECK_PART_VISIBLE)
            check->done_rows = most_rows(check, rows);
        if (end == UINT32_MAX)
            break;
        if (r == 0 && (r = keep_pace(check, most_rows(check, rows), began)) < 0)
            r = error_set(reterr, r, "stopped");
    }
    return r;
}

int check_compare(Check *check, const CheckTable *table, CheckPart part, const CheckSplit *split,
                  uint64_t expected, uint64_t *ret_rows, uint64_t *ret_ranges,
                  CheckSuspects *suspects, Error *reterr)
{
    Sums sums;
    uint64_t rows[CHECK_NODES_MAX] = {0};
    int r = sums_new(check->mesh->n, 4096, &sums, reterr);
    if (r < 0)
        return r;
    r = scan(check, table, part, split, expected, &sums, rows, reterr);
    if (r == 0)
        r = find_suspects(check, &sums, suspects, reterr);
    *ret_rows = most_rows(check, rows);
    *ret_ranges = sums.n;
    sums_done(&sums);
    return r;
}

// The same inside of ranges, without slices: they are read through the index, or by their hash.
static int compare_inside(Check *check, const CheckTable *table, CheckPart part,
                          const CheckSplit *outer, const CheckSplit *inner, const int64_t *ranges,
                          size_t n, Sums *sums, Error *reterr)
{
    uint64_t rows[CHECK_NODES_MAX] = {0};
    int r = 0;
    for (size_t at = 0; r == 0 && at < n; at += BATCH_RANGES) {
        Buf sql CLEANUP(buf_done) = BUF_INIT(4U << 20);
        size_t now = n - at < BATCH_RANGES ? n - at : BATCH_RANGES;
        PGresult *results[CHECK_NODES_MAX];
        begin_sql(check, table, part, inner, &sql);
        check_split_where(table, part, outer, ranges + at, now, &sql);
        buf_add_text(&sql, " GROUP BY 1");
        r = check_ask(check, buf_text(&sql), 0, NULL, results, reterr);
        if (r < 0)
            break;
        r = add_results(check, inner, results, sums, rows, reterr);
        check_results_done(check, results);
    }
    return r;
}

int check_narrow(Check *check, const CheckTable *table, CheckPart part, CheckSplit *split,
                 CheckSuspects *suspects, Error *reterr)
{
    int r = 0;
    while (r == 0 && suspects->n > 0 && suspects->most > FEW_ROWS) {
        CheckSplit inner = *split;
        Sums sums;
        if (!check_split_narrower(&inner))
            break;
        r = sums_new(check->mesh->n, 4096, &sums, reterr);
        if (r < 0)
            break;
        r = compare_inside(check, table, part, split, &inner, suspects->ranges, suspects->n, &sums,
                           reterr);
        if (r == 0)
            r = find_suspects(check, &sums, suspects, reterr);
        sums_done(&sums);
        *split = inner;
    }
    return r;
}
