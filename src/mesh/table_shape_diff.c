// SPDX-License-Identifier: MIT
// table_shape_diff: what keeps two nodes' tables from being the same table: columns by name (their
// order may differ), types, NOT NULL, generated columns, keys. Defaults may differ: values travel.
#include <string.h>

#include "table_shape.h"

static const TableColumn *find(const TableShape *shape, const char *name)
{
    for (uint32_t i = 0; i < shape->n_columns; i++)
        if (strcmp(shape->columns[i].name, name) == 0)
            return &shape->columns[i];
    return NULL;
}

static int diff_column(const TableColumn *a, const TableColumn *b, Buf *buf)
{
    int n = 0;
    if (b == NULL) {
        buf_printf(buf, "column '%s' is missing\n", a->name);
        return 1;
    }
    if (strcmp(a->type, b->type) != 0) {
        buf_printf(buf, "column '%s' is %s, not %s\n", a->name, b->type, a->type);
        n++;
    }
    if (a->not_null != b->not_null) {
        buf_printf(buf, "column '%s' is %s, not %s\n", a->name,
                   b->not_null ? "NOT NULL" : "nullable", a->not_null ? "NOT NULL" : "nullable");
        n++;
    }
    if (a->generated != b->generated) {
        buf_printf(buf, "column '%s' is %s\n", a->name,
                   b->generated ? "generated" : "not generated");
        n++;
    }
    return n;
}

// The order of a key's columns does not matter to who collides with whom.
static bool same_key(const TableShape *a, const TableKey *x, const TableShape *b, const TableKey *y)
{
    if (x->n != y->n)
        return false;
    for (uint32_t i = 0; i < x->n; i++) {
        bool found = false;
        for (uint32_t k = 0; k < y->n && !found; k++)
            found = strcmp(a->columns[x->columns[i]].name, b->columns[y->columns[k]].name) == 0;
        if (!found)
            return false;
    }
    return true;
}

static bool has_unique(const TableShape *a, const TableKey *key, const TableShape *b)
{
    for (uint32_t i = 0; i < b->n_uniques; i++)
        if (same_key(a, key, b, &b->uniques[i]))
            return true;
    return false;
}

int table_shape_diff(const TableShape *a, const TableShape *b, Buf *buf)
{
    int n = 0;
    for (uint32_t i = 0; i < a->n_columns; i++)
        n += diff_column(&a->columns[i], find(b, a->columns[i].name), buf);
    for (uint32_t i = 0; i < b->n_columns; i++) {
        if (find(a, b->columns[i].name) != NULL)
            continue;
        buf_printf(buf, "column '%s' is only here\n", b->columns[i].name);
        n++;
    }
    if (!same_key(a, &a->primary, b, &b->primary)) {
        buf_add_text(buf, "has another primary key\n");
        n++;
    }
    for (uint32_t i = 0; i < a->n_uniques; i++) {
        if (has_unique(a, &a->uniques[i], b))
            continue;
        buf_printf(buf, "unique key '%s' is missing\n", a->uniques[i].name);
        n++;
    }
    for (uint32_t i = 0; i < b->n_uniques; i++) {
        if (has_unique(b, &b->uniques[i], a))
            continue;
        buf_printf(buf, "unique key '%s' is only here\n", b->uniques[i].name);
        n++;
    }
    return n;
}
