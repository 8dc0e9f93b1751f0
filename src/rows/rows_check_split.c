// SPDX-License-Identifier: MIT
// rows_check_split: cuts a key into ranges. Integer keys by their high bits and uuids by three
// bytes from where the smallest and the greatest differ: such ranges are half-open intervals of the
// primary key, so that suspect ones are read again through its index. The first and the last
// interval are open, so that rows beyond what was there at the start belong to a range too. All
// other keys by their hash: even, but suspect ranges cost another scan.
#include "rows_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANGE_ROWS 1024  // wanted rows of a range
#define RANGES_MAX 65536 // at most, for one comparison
#define UUID_BITS 24U    // looked at
#define NARROWER 5U      // bits: 32 times narrower

static unsigned bits_of(uint64_t value)
{
    return value == 0 ? 0 : 64U - (unsigned)__builtin_clzll(value);
}

// Number of ranges for so many rows: a power of two.
static uint64_t ranges_for(uint64_t rows)
{
    uint64_t wanted = rows / RANGE_ROWS;
    wanted = wanted < 16 ? 16 : wanted > RANGES_MAX ? RANGES_MAX : wanted;
    return UINT64_C(1) << (bits_of(wanted) - 1);
}

static CheckBy by_of(const CheckTable *table, CheckPart part)
{
    if (part != CHECK_PART_VISIBLE || table->n_key != 1)
        return CHECK_BY_HASH;
    const char *type = table->key[0].type;
    if (strcmp(type, "bigint") == 0 || strcmp(type, "integer") == 0 ||
        strcmp(type, "smallint") == 0)
        return CHECK_BY_INTEGER;
    return strcmp(type, "uuid") == 0 ? CHECK_BY_UUID : CHECK_BY_HASH;
}

static void read_uuid(const char *text, uint8_t bytes[16])
{
    size_t n = 0;
    memset(bytes, 0, 16);
    for (const char *c = text; *c != '\0' && n < 32; c++) {
        if (*c == '-')
            continue;
        unsigned digit = *c <= '9' ? (unsigned)(*c - '0') : (unsigned)(*c - 'a') + 10;
        bytes[n / 2] = (uint8_t)(bytes[n / 2] | digit << (n % 2 == 0 ? 4 : 0));
        n++;
    }
}

static int64_t window(const uint8_t bytes[16], uint32_t byte)
{
    return (int64_t)bytes[byte] << 16 | (int64_t)bytes[byte + 1] << 8 | bytes[byte + 2];
}

static void narrow_to(CheckSplit *split, int64_t low, int64_t high, uint64_t ranges)
{
    while ((uint64_t)(high >> split->shift) - (uint64_t)(low >> split->shift) >= ranges)
        split->shift++;
    split->first = low >> split->shift;
    split->last = high >> split->shift;
}

// Smallest and greatest key over all compared nodes; false: no rows.
static bool ends_of(const Check *check, PGresult *const *results, CheckBy by, uint8_t low[16],
                    uint8_t high[16], int64_t *ret_low, int64_t *ret_high)
{
    bool any = false;
    for (uint32_t i = 0; i < check->mesh->n; i++) {
        if (results[i] == NULL || PQgetisnull(results[i], 0, 0) == 1)
            continue;
        uint8_t a[16], b[16];
        int64_t from = by == CHECK_BY_INTEGER ? check_int(results[i], 0, 0) : 0;
        int64_t to = by == CHECK_BY_INTEGER ? check_int(results[i], 0, 1) : 0;
        read_uuid(by == CHECK_BY_UUID ? PQgetvalue(results[i], 0, 0) : "", a);
        read_uuid(by == CHECK_BY_UUID ? PQgetvalue(results[i], 0, 1) : "", b);
        *ret_low = !any || from < *ret_low ? from : *ret_low;
        *ret_high = !any || to > *ret_high ? to : *ret_high;
        if (!any || memcmp(a, low, 16) < 0)
            memcpy(low, a, 16);
        if (!any || memcmp(b, high, 16) > 0)
            memcpy(high, b, 16);
        any = true;
    }
    return any;
}

int check_split(Check *check, const CheckTable *table, CheckPart part, uint64_t rows,
                CheckSplit *ret_split, Error *reterr)
{
    uint64_t ranges = ranges_for(rows);
    CheckSplit split = {.by = by_of(table, part), .mask = (uint32_t)ranges - 1};
    *ret_split = split;
    if (split.by == CHECK_BY_HASH)
        return 0;
    Buf sql CLEANUP(buf_done) = BUF_INIT(65536);
    // uuid has no min() before version 18
    for (int i = 0; i < 2; i++) {
        buf_add_text(&sql, i == 0 ? "SELECT (SELECT t." : ", (SELECT t.");
        check_quote(&sql, table->key[0].name);
        buf_printf(&sql, " FROM %s t ORDER BY 1 %s LIMIT 1)", table->identifier,
                   i == 0 ? "ASC" : "DESC");
    }
    PGresult *results[CHECK_NODES_MAX];
    int r = check_ask(check, buf_text(&sql), 0, NULL, results, reterr);
    if (r < 0)
        return r;
    uint8_t low[16] = {0}, high[16] = {0};
    int64_t from = 0, to = 0;
    bool any = ends_of(check, results, split.by, low, high, &from, &to);
    check_results_done(check, results);
    if (any && split.by == CHECK_BY_UUID) {
        while (split.byte < 13 && low[split.byte] == high[split.byte])
            split.byte++;
        memcpy(split.prefix, low, 16);
        from = window(low, split.byte);
        to = window(high, split.byte);
    }
    if (any)
        narrow_to(&split, from, to, ranges);
    *ret_split = split;
    return 0;
}

bool check_split_narrower(CheckSplit *split)
{
    if (split->by == CHECK_BY_HASH || split->shift == 0)
        return false;
    unsigned bits = split->shift < NARROWER ? split->shift : NARROWER;
    split->shift -= bits;
    // the last interval: all that it was cut into; what lies beyond stays with the last of them
    split->first = split->first * (INT64_C(1) << bits);
    split->last = split->last * (INT64_C(1) << bits) + ((INT64_C(1) << bits) - 1);
    return true;
}

static void key_column(const CheckTable *table, Buf *buf)
{
    buf_add_text(buf, "t.");
    check_quote(buf, table->key[0].name);
}

static void uuid_of(const CheckSplit *split, int64_t value, char text[40])
{
    uint8_t bytes[16] = {0};
    memcpy(bytes, split->prefix, split->byte);
    bytes[split->byte] = (uint8_t)(value >> 16);
    bytes[split->byte + 1] = (uint8_t)(value >> 8);
    bytes[split->byte + 2] = (uint8_t)value;
    size_t at = 0;
    for (size_t i = 0; i < 16; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        (void)snprintf(text + at, 40 - at, "%s%02x", dash ? "-" : "", bytes[i]);
        at += dash ? 3 : 2;
    }
}

// First value of a range, as a literal that compares with the key; false: beyond the last one.
static bool edge_of(const CheckSplit *split, int64_t range, char text[48])
{
    int64_t value = range * (INT64_C(1) << split->shift);
    char uuid[40];
    if (split->by == CHECK_BY_INTEGER) {
        (void)snprintf(text, 48, "%" PRId64 "::bigint", value);
        return true;
    }
    if (value >= INT64_C(1) << UUID_BITS)
        return false;
    uuid_of(split, value, uuid);
    (void)snprintf(text, 48, "'%s'", uuid);
    return true;
}

static void hash_range(const CheckTable *table, CheckPart part, const CheckSplit *split, Buf *buf)
{
    buf_add_text(buf, "(hash_record_extended(ROW(");
    for (uint32_t i = 0; i < table->n_key; i++) {
        buf_add_text(buf, i > 0 ? "," : "");
        check_column(part, &table->key[i], buf);
        buf_add_text(buf, table->key[i].hashable ? "" : "::text");
    }
    buf_printf(buf, "),0) & %u)", split->mask);
}

void check_split_range(const CheckTable *table, CheckPart part, const CheckSplit *split, Buf *buf)
{
    char edge[48];
    if (split->by == CHECK_BY_HASH) {
        hash_range(table, part, split, buf);
        return;
    }
    if (split->by == CHECK_BY_INTEGER) {
        buf_add_text(buf, "(");
        key_column(table, buf);
        buf_printf(buf, "::bigint >> %u)", split->shift);
        return;
    }
    // a uuid beyond the ends need not share the prefix
    buf_add_text(buf, "CASE WHEN ");
    key_column(table, buf);
    (void)edge_of(split, split->first, edge);
    buf_printf(buf, " < %s THEN %" PRId64, edge, split->first);
    if (edge_of(split, split->last, edge)) {
        buf_add_text(buf, " WHEN ");
        key_column(table, buf);
        buf_printf(buf, " >= %s THEN %" PRId64, edge, split->last);
    }
    buf_add_text(buf, " ELSE (");
    for (unsigned i = 0; i < 3; i++) {
        // the operators have one precedence
        buf_printf(buf, "%s(get_byte(uuid_send(", i > 0 ? " | " : "");
        key_column(table, buf);
        buf_printf(buf, "),%u) << %u)", split->byte + i, 16 - 8 * i);
    }
    buf_printf(buf, ") >> %u END", split->shift);
}

static void hash_where(const CheckTable *table, CheckPart part, const CheckSplit *split,
                       const int64_t *ranges, size_t n, Buf *buf)
{
    hash_range(table, part, split, buf);
    buf_add_text(buf, " = ANY ('{");
    for (size_t i = 0; i < n; i++)
        buf_printf(buf, "%s%" PRId64, i > 0 ? "," : "", ranges[i]);
    buf_add_text(buf, "}'::bigint[])");
}

void check_split_where(const CheckTable *table, CheckPart part, const CheckSplit *split,
                       const int64_t *ranges, size_t n, Buf *buf)
{
    if (split->by == CHECK_BY_HASH) {
        hash_where(table, part, split, ranges, n, buf);
        return;
    }
    char edge[48];
    for (size_t i = 0; i < n;) {
        size_t end = i + 1; // neighbours are one interval
        while (end < n && ranges[end] == ranges[end - 1] + 1)
            end++;
        buf_add_text(buf, i > 0 ? " OR (true" : "((true");
        if (ranges[i] > split->first && edge_of(split, ranges[i], edge)) {
            buf_add_text(buf, " AND ");
            key_column(table, buf);
            buf_printf(buf, " >= %s", edge);
        }
        if (ranges[end - 1] < split->last && edge_of(split, ranges[end - 1] + 1, edge)) {
            buf_add_text(buf, " AND ");
            key_column(table, buf);
            buf_printf(buf, " < %s", edge);
        }
        buf_add_text(buf, ")");
        i = end;
    }
    buf_add_text(buf, n == 0 ? "false" : ")");
}
