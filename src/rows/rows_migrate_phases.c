// SPDX-License-Identifier: MIT
// rows_migrate_phases: in which steps each class of statement goes through the mesh, and why.
//
// A new column of a federated table: 1 every region gets it, its journal and its functions, but
// closed: nobody may write anything but its default, because it is not sent yet; 2 when all have
// it, every region publishes it; 3 when all publish it, it is opened. So no value exists that some
// region would not get. A column that goes: 1 it may be NULL everywhere, 2 nobody sends or merges
// it any more, 3 when all that was sent with it is applied, it is dropped. A unique key: 1 every
// region can park losers, 2 each parks those it has and makes the index. A check: 1 local writers
// must obey, 2 when nothing else is on its way, the constraint itself: what arrives is never
// refused.
//
// A phase runs inside a transaction of its node, which also notes that it was done; it reads the
// catalog in it, so that what it makes fits what it changed.
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "rows_migrate.h"

static int run_sql(MigrateRun *run, MeshNode *node, const Buf *sql, Error *reterr)
{
    int r = buf_check(sql);
    if (r < 0)
        return error_set(reterr, r, "%s: the SQL of a phase", node->region);
    // Whoever has read a shape in this transaction has left it with another search_path.
    r = mesh_script(run->fm->mesh, node, "SET LOCAL search_path = public", reterr);
    return r < 0 ? r : mesh_script(run->fm->mesh, node, buf_text(sql), reterr);
}

static int run_text(MigrateRun *run, MeshNode *node, const char *sql, Error *reterr)
{
    return mesh_script(run->fm->mesh, node, sql, reterr);
}

// The statement as it stands in the file.
static int run_as_written(MigrateRun *run, uint32_t i, MeshNode *node, Error *reterr)
{
    return run_text(run, node, run->file->statements[i].text, reterr);
}

static FederatedTable table_of(const MigrateFact *fact)
{
    return (FederatedTable){.number = fact->number, .kind = fact->kind, .table = fact->table};
}

// The table's generated SQL for this shape.
static int make_functions(MigrateRun *run, MeshNode *node, const MigrateFact *fact,
                          const TableShape *shape, Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(16u << 20);
    MeshSqlNode self = federate_sql_node(run->fm, node);
    MeshSqlTable table = {.number = fact->number, .kind = fact->kind, .shape = shape};
    int r = mesh_sql_table(&self, &table, &sql, reterr);
    return r < 0 ? r : run_sql(run, node, &sql, reterr);
}

static int remake_functions(MigrateRun *run, MeshNode *node, const MigrateFact *fact,
                            const char *without, Error *reterr)
{
    const TableShape *shape = NULL;
    FederatedTable table = table_of(fact);
    int r = federate_shape(run->fm, node, &table, without, &shape, reterr);
    return r < 0 ? r : make_functions(run, node, fact, shape, reterr);
}

static int publish(MigrateRun *run, MeshNode *node, const MigrateFact *fact, const char *without,
                   Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(16u << 20);
    int r = federate_publication(run->fm, node, fact->number, without, &sql, reterr);
    return r < 0 ? r : run_sql(run, node, &sql, reterr);
}

// wildcam.migrating_N() and its trigger: what local writers may not do yet. `condition` NULL: the
// function decides by itself.
static void add_guard(const MigrateFact *fact, uint32_t i, const char *body, const char *insert,
                      const char *update, Buf *sql)
{
    buf_printf(sql,
               "CREATE OR REPLACE FUNCTION wildcam.migrating_%u() RETURNS trigger LANGUAGE plpgsql "
               "AS $wildcam$\nBEGIN\n%s  RETURN NULL;\nEND $wildcam$;\n",
               i, body);
    const char *const events[] = {"INSERT", "UPDATE"}, *const when[] = {insert, update};
    for (size_t k = 0; k < 2; k++)
        buf_printf(
            sql,
            "CREATE OR REPLACE TRIGGER zz_wildcam_migrating_%u_%s AFTER %s ON %s FOR EACH ROW "
            "WHEN ((%s) AND current_setting('wildcam.apply', true) IS DISTINCT FROM '1') "
            "EXECUTE FUNCTION wildcam.migrating_%u();\n",
            i, k == 0 ? "insert" : "update", events[k], fact->table, when[k], i);
}

static void drop_guard(const MigrateFact *fact, uint32_t i, Buf *sql)
{
    buf_printf(sql,
               "DROP TRIGGER IF EXISTS zz_wildcam_migrating_%u_insert ON %s;\n"
               "DROP TRIGGER IF EXISTS zz_wildcam_migrating_%u_update ON %s;\n"
               "DROP FUNCTION IF EXISTS wildcam.migrating_%u();\n",
               i, fact->table, i, fact->table, i);
}

// The text as a plpgsql string inside $wildcam$.
static void quote_into(const char *text, Buf *buf)
{
    migrate_quote_text(text, buf);
}

static int add_column_closed(MigrateRun *run, uint32_t i, MeshNode *node, Error *reterr)
{
    const MigrateStatement *s = &run->file->statements[i];
    const MigrateFact *fact = &run->facts[i];
    Buf sql CLEANUP(buf_done) = BUF_INIT(1u << 20), body CLEANUP(buf_done) = BUF_INIT(8192),
            column CLEANUP(buf_done) = BUF_INIT(512), stored CLEANUP(buf_done) = BUF_INIT(512),
            insert CLEANUP(buf_done) = BUF_INIT(1u << 20),
            update CLEANUP(buf_done) = BUF_INIT(4096);
    const char *kept = table_stored_name(run->fm->arena, s->name);
    if (kept == NULL)
        return error_set(reterr, ERROR_MEMORY, "%s", s->name);
    migrate_quote(kept, &stored);
    migrate_quote(s->name, &column);
    const char *name = buf_text(&column),
               *value = s->default_text != NULL ? s->default_text : "NULL";
    buf_printf(&sql, "%s;\n", s->text);
    if (fact->kind == TABLE_KIND_LWW)
        buf_printf(&sql,
                   "ALTER TABLE wildcam.journal_%u ADD COLUMN IF NOT EXISTS %s %s DEFAULT %s;\n"
                   "ALTER TABLE IF EXISTS wildcam.parked_%u ADD COLUMN IF NOT EXISTS %s %s DEFAULT "
                   "%s;\n",
                   fact->number, buf_text(&stored), s->type, value, fact->number, buf_text(&stored),
                   s->type, value);
    buf_add_text(&body, "  RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = ");
    Buf message CLEANUP(buf_done) = BUF_INIT(1024);
    buf_printf(&message, "column %s of %s is not open yet: not every region has it", name,
               fact->table);
    quote_into(buf_text(&message), &body);
    buf_add_text(&body, ", HINT = 'wildcam rows migrate ends the migration.';\n");
    buf_printf(&insert, "(NEW.%s)::text IS DISTINCT FROM ((%s)::%s)::text", name, value, s->type);
    buf_printf(&update, "(NEW.%s)::text IS DISTINCT FROM (OLD.%s)::text", name, name);
    add_guard(fact, i, buf_text(&body), buf_text(&insert), buf_text(&update), &sql);
    int r = run_sql(run, node, &sql, reterr);
    return r < 0 ? r : remake_functions(run, node, fact, NULL, reterr);
}

static int publish_all_columns(MigrateRun *run, uint32_t i, MeshNode *node, Error *reterr)
{
    return publish(run, node, &run->facts[i], "", reterr);
}

static int open_column(MigrateRun *run, uint32_t i, MeshNode *node, Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(4096);
    drop_guard(&run->facts[i], i, &sql);
    return run_sql(run, node, &sql, reterr);
}

static int let_null(MigrateRun *run, uint32_t i, MeshNode *node, Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(4096);
    buf_printf(&sql, "ALTER TABLE %s ALTER COLUMN ", run->facts[i].table);
    migrate_quote(run->file->statements[i].name, &sql);
    buf_add_text(&sql, " DROP NOT NULL");
    return run_sql(run, node, &sql, reterr);
}

static int leave_column_out(MigrateRun *run, uint32_t i, MeshNode *node, Error *reterr)
{
    const char *name = run->file->statements[i].name;
    int r = publish(run, node, &run->facts[i], name, reterr);
    return r < 0 ? r : remake_functions(run, node, &run->facts[i], name, reterr);
}

static int drop_column(MigrateRun *run, uint32_t i, MeshNode *node, Error *reterr)
{
    const MigrateFact *fact = &run->facts[i];
    Buf sql CLEANUP(buf_done) = BUF_INIT(8192), name CLEANUP(buf_done) = BUF_INIT(512);
    const char *stored = table_stored_name(run->fm->arena, run->file->statements[i].name);
    if (stored == NULL)
        return error_set(reterr, ERROR_MEMORY, "%s", run->file->statements[i].name);
    migrate_quote(stored, &name);
    buf_printf(&sql, "%s;\n", run->file->statements[i].text);
    if (fact->kind == TABLE_KIND_LWW)
        buf_printf(&sql,
                   "ALTER TABLE wildcam.journal_%u DROP COLUMN IF EXISTS %s;\n"
                   "ALTER TABLE IF EXISTS wildcam.parked_%u DROP COLUMN IF EXISTS %s;\n",
                   fact->number, buf_text(&name), fact->number, buf_text(&name));
    int r = run_sql(run, node, &sql, reterr);
    return r < 0 ? r : remake_functions(run, node, fact, NULL, reterr);
}

// The columns of the new key as the catalog describes columns of keys: asked of an empty table like
// this one, which has that key.
static int describe_key(MigrateRun *run, const MigrateStatement *s, const MigrateFact *fact,
                        MeshNode *node, TableShape **ret_shape, Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(65536);
    buf_printf(&sql,
               "CREATE TABLE wildcam.migrating (LIKE %s INCLUDING INDEXES INCLUDING GENERATED);\n"
               "CREATE UNIQUE INDEX ON wildcam.migrating (",
               fact->table);
    for (uint32_t c = 0; c < s->n_columns; c++) {
        if (s->columns[c] == NULL)
            return error_set(reterr, ERROR_USAGE, "a unique index on an expression");
        buf_add_text(&sql, c > 0 ? ", " : "");
        migrate_quote(s->columns[c], &sql);
    }
    buf_add_char(&sql, ')');
    int r = run_sql(run, node, &sql, reterr);
    if (r == 0)
        r = table_shape_read(run->fm->mesh, node, "wildcam.migrating", fact->kind, run->fm->arena,
                             ret_shape, reterr);
    return r < 0 ? r : run_text(run, node, "DROP TABLE wildcam.migrating", reterr);
}

static uint32_t column_at(const TableShape *shape, const char *name)
{
    uint32_t at = 0;
    while (at < shape->n_columns && strcmp(shape->columns[at].name, name) != 0)
        at++;
    return at;
}

// The catalog's shape with one more unique key, which has no index yet: as the last one.
static int shape_with_key(MigrateRun *run, uint32_t i, MeshNode *node, const TableShape **ret_shape,
                          Error *reterr)
{
    const MigrateStatement *s = &run->file->statements[i];
    FederatedTable table = table_of(&run->facts[i]);
    const TableShape *shape = NULL;
    TableShape *like = NULL;
    Arena *arena = run->fm->arena;
    int r = federate_shape(run->fm, node, &table, NULL, &shape, reterr);
    if (r == 0)
        r = describe_key(run, s, &run->facts[i], node, &like, reterr);
    if (r < 0 || shape == NULL || like == NULL)
        return r;
    TableShape *copy = arena_memdup(arena, shape, sizeof *shape);
    TableColumn *all =
        arena_memdup(arena, shape->columns, shape->n_columns * sizeof *shape->columns);
    TableKey *keys = arena_new_array(arena, TableKey, shape->n_uniques + 1);
    uint32_t *columns = arena_new_array(arena, uint32_t, s->n_columns);
    if (copy == NULL || all == NULL || keys == NULL || columns == NULL)
        return error_set(reterr, ERROR_MEMORY, "%s", s->name);
    if (shape->n_uniques > 0)
        memcpy(keys, shape->uniques, shape->n_uniques * sizeof *keys);
    for (uint32_t c = 0; c < s->n_columns; c++) {
        uint32_t at = column_at(shape, s->columns[c]), there = column_at(like, s->columns[c]);
        if (at == shape->n_columns || there == like->n_columns)
            return error_set(reterr, ERROR_NOT_FOUND, "%s: no column '%s' in %s", node->region,
                             s->columns[c], table.table);
        all[at] = like->columns[there];
        all[at].number = shape->columns[at].number;
        columns[c] = at;
    }
    keys[shape->n_uniques] = (TableKey){.n = s->n_columns, .columns = columns, .name = s->name};
    copy->columns = all;
    copy->uniques = keys;
    copy->n_uniques++;
    copy->path = like->path;
    *ret_shape = copy;
    return 0;
}

static int know_key(MigrateRun *run, uint32_t i, MeshNode *node, Error *reterr)
{
    const TableShape *shape = NULL;
    int r = shape_with_key(run, i, node, &shape, reterr);
    return r < 0 ? r : make_functions(run, node, &run->facts[i], shape, reterr);
}

static void add_columns(const TableShape *shape, const TableKey *key, bool kept, const char *prefix,
                        Buf *sql)
{
    for (uint32_t c = 0; c < key->n; c++) {
        const TableColumn *column = &shape->columns[key->columns[c]];
        buf_printf(sql, "%s%s", c > 0 ? ", " : "", prefix);
        migrate_quote(kept ? column->stored : column->name, sql);
    }
}

// All columns that are stored; `kept`: by their names in schema wildcam.
static void add_stored(const TableShape *shape, bool kept, const char *prefix, Buf *sql)
{
    for (uint32_t c = 0, n = 0; c < shape->n_columns; c++) {
        const TableColumn *column = &shape->columns[c];
        if (column->generated)
            continue;
        buf_printf(sql, "%s%s", n++ > 0 ? ", " : "", prefix);
        migrate_quote(kept ? column->stored : column->name, sql);
    }
}

// The order of the keys that decides between equal versions, as in the generated functions.
static void add_rank(const TableShape *shape, const char *prefix, const char *behind, Buf *sql)
{
    for (uint32_t c = 0; c < shape->primary.n; c++) {
        const TableColumn *column = &shape->columns[shape->primary.columns[c]];
        buf_printf(sql, "%s%s", c > 0 ? ", " : "", prefix);
        migrate_quote(column->name, sql);
        buf_printf(sql, "%s%s", column->order_as_text ? "::text COLLATE \"C\"" : "", behind);
    }
}

// Of rows that share a value of the new key the greatest (version, key) stays visible, the others
// are parked: from the greatest down, so that who is parked never hides another. Writers wait.
static void park_losers(const MigrateFact *fact, const TableShape *shape, const TableKey *key,
                        Buf *sql)
{
    Buf x CLEANUP(buf_done) = BUF_INIT(8192), y CLEANUP(buf_done) = BUF_INIT(8192),
          xk CLEANUP(buf_done) = BUF_INIT(8192), pk CLEANUP(buf_done) = BUF_INIT(8192),
          rk CLEANUP(buf_done) = BUF_INIT(8192), xr CLEANUP(buf_done) = BUF_INIT(8192),
          yr CLEANUP(buf_done) = BUF_INIT(8192), down CLEANUP(buf_done) = BUF_INIT(8192);
    add_columns(shape, key, false, "x.", &x);
    add_columns(shape, key, false, "y.", &y);
    add_columns(shape, &shape->primary, false, "x.", &xk);
    add_rank(shape, "x.", "", &xr);
    add_rank(shape, "y.", "", &yr);
    add_rank(shape, "x.", " DESC", &down);
    add_columns(shape, &shape->primary, false, "r.", &rk);
    add_columns(shape, &shape->primary, true, "x.", &pk);
    buf_printf(
        sql,
        "LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE;\nSET LOCAL wildcam.apply = '1';\n"
        "DO $wildcam$\nDECLARE\n  r %s;\nBEGIN\n"
        "  BEGIN\n    SET LOCAL session_replication_role = replica; -- parked is not deleted: "
        "children stay\n"
        "  EXCEPTION WHEN insufficient_privilege THEN\n    NULL;\n  END;\n  LOOP\n"
        "    SELECT x.* INTO r FROM %s x JOIN %s y ON (%s) = (%s) AND (y._v, %s) > (x._v, %s)\n"
        "      ORDER BY x._v DESC, %s LIMIT 1;\n    EXIT WHEN NOT FOUND;\n"
        "    DELETE FROM %s x WHERE (%s) = (%s);\n"
        "    DELETE FROM wildcam.parked_%u x WHERE (%s) = (%s);\n"
        "    INSERT INTO wildcam.parked_%u (",
        fact->table, fact->table, fact->table, fact->table, buf_text(&y), buf_text(&x),
        buf_text(&yr), buf_text(&xr), buf_text(&down), fact->table, buf_text(&xk), buf_text(&rk),
        fact->number, buf_text(&pk), buf_text(&rk), fact->number);
    add_stored(shape, true, "", sql);
    buf_add_text(sql, ", _v) VALUES (");
    add_stored(shape, false, "r.", sql);
    buf_printf(
        sql,
        ", r._v);\n  END LOOP;\n  IF current_setting('session_replication_role') <> 'origin' THEN\n"
        "    SET LOCAL session_replication_role = origin;\n  END IF;\nEND $wildcam$;\n"
        "SET LOCAL wildcam.apply = '';\n");
}

static int make_key(MigrateRun *run, uint32_t i, MeshNode *node, Error *reterr)
{
    const TableShape *shape = NULL;
    const MigrateFact *fact = &run->facts[i];
    Buf sql CLEANUP(buf_done) = BUF_INIT(1u << 20);
    int r = shape_with_key(run, i, node, &shape, reterr);
    if (r >= 0 && shape == NULL)
        r = error_set(reterr, ERROR_NOT_FOUND, "%s: %s is not there as it was", node->region,
                      fact->table);
    if (r < 0)
        return r;
    park_losers(fact, shape, &shape->uniques[shape->n_uniques - 1], &sql);
    buf_printf(&sql, "%s;\n", run->file->statements[i].text);
    r = run_sql(run, node, &sql, reterr);
    if (r == 0)
        r = remake_functions(run, node, fact, NULL, reterr);
    if (r < 0)
        return r;
    buf_clear(&sql);
    buf_printf(&sql, "SELECT wildcam.sweep_%u()", fact->number); // who waited for what a loser held
    return run_sql(run, node, &sql, reterr);
}

// Parked rows come back: the key that parked them is gone, another one parks them again.
static int forget_key(MigrateRun *run, uint32_t i, MeshNode *node, Error *reterr)
{
    const MigrateFact *fact = &run->facts[i];
    FederatedTable table = table_of(fact);
    const TableShape *shape = NULL;
    Buf sql CLEANUP(buf_done) = BUF_INIT(1u << 20);
    int r = federate_shape(run->fm, node, &table, NULL, &shape, reterr);
    if (r < 0)
        return r;
    buf_printf(
        &sql,
        "CREATE TEMP TABLE wildcam_waiting ON COMMIT DROP AS SELECT * FROM wildcam.parked_%u;\n"
        "DELETE FROM wildcam.parked_%u;\n",
        fact->number, fact->number);
    r = run_sql(run, node, &sql, reterr);
    if (r == 0)
        r = make_functions(run, node, fact, shape, reterr);
    buf_clear(&sql);
    buf_printf(&sql,
               "DO $wildcam$\nDECLARE\n  w record;\n  r %s;\nBEGIN\n  FOR w IN SELECT * FROM "
               "pg_temp.wildcam_waiting ORDER BY _v DESC LOOP\n    r := NULL;\n",
               fact->table);
    for (uint32_t c = 0; c < shape->n_columns; c++) {
        if (shape->columns[c].generated)
            continue;
        buf_add_text(&sql, "    r.");
        migrate_quote(shape->columns[c].name, &sql);
        buf_add_text(&sql, " := w.");
        migrate_quote(shape->columns[c].stored, &sql);
        buf_add_text(&sql, ";\n");
    }
    buf_printf(&sql,
               "    r._v := w._v;\n    PERFORM wildcam.merge_%u('U', w._v, NULL, r);\n  END LOOP;\n"
               "END $wildcam$;\n%s",
               fact->number, shape->n_uniques == 0 ? "" : "SELECT 1;\n");
    if (r == 0)
        r = run_sql(run, node, &sql, reterr);
    if (r < 0 || shape->n_uniques > 0)
        return r;
    buf_clear(&sql);
    buf_printf(&sql, "DROP TABLE IF EXISTS wildcam.parked_%u", fact->number);
    return run_sql(run, node, &sql, reterr);
}

static int guard_check(MigrateRun *run, uint32_t i, MeshNode *node, Error *reterr)
{
    const MigrateStatement *s = &run->file->statements[i];
    const MigrateFact *fact = &run->facts[i];
    Buf sql CLEANUP(buf_done) = BUF_INIT(1u << 20), body CLEANUP(buf_done) = BUF_INIT(1u << 20);
    const char *alias = strrchr(fact->table, '.');
    if (strstr(s->check, "$wildcam$") != NULL)
        return error_set(reterr, ERROR_USAGE, "a check with '$wildcam$' in it");
    buf_printf(&body,
               "  PERFORM 1 FROM (SELECT (NEW).*) AS %s WHERE (%s) IS FALSE;\n  IF FOUND THEN\n",
               alias != NULL ? alias + 1 : fact->table, s->check);
    buf_add_text(&body, "    RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = ");
    Buf message CLEANUP(buf_done) = BUF_INIT(1024);
    buf_printf(&message, "new row for %s violates check constraint \"%s\", which is on its way",
               fact->table, s->name);
    quote_into(buf_text(&message), &body);
    buf_add_text(&body, ";\n  END IF;\n");
    add_guard(fact, i, buf_text(&body), "true", "true", &sql);
    return run_sql(run, node, &sql, reterr);
}

static int add_check(MigrateRun *run, uint32_t i, MeshNode *node, Error *reterr)
{
    Buf sql CLEANUP(buf_done) = BUF_INIT(1u << 20);
    buf_printf(&sql, "%s;\n", run->file->statements[i].text);
    drop_guard(&run->facts[i], i, &sql);
    return run_sql(run, node, &sql, reterr);
}

// CONCURRENTLY: outside of transactions. An attempt that broke leaves an invalid index.
static int index_concurrently(MigrateRun *run, uint32_t i, MeshNode *node, Error *reterr)
{
    const MigrateStatement *s = &run->file->statements[i];
    bool creates = s->class == MIGRATE_CREATE_INDEX;
    Buf name CLEANUP(buf_done) = BUF_INIT(512), sql CLEANUP(buf_done) = BUF_INIT(8192);
    if (s->schema != NULL) {
        migrate_quote(s->schema, &name);
        buf_add_char(&name, '.');
    } else if (creates && strchr(run->facts[i].table, '.') != NULL) {
        buf_add(&name, run->facts[i].table,
                (size_t)(strchr(run->facts[i].table, '.') + 1 - run->facts[i].table));
    }
    migrate_quote(s->name, &name);
    const char *params[] = {buf_text(&name)};
    PGresult *result = NULL;
    int r = mesh_query(run->fm->mesh, node,
                       "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", 1,
                       params, &result, reterr);
    if (r < 0)
        return r;
    bool there = PQntuples(result) == 1;
    bool valid = there && PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    if (creates ? valid : !there)
        return 0; // done by a run that could not note it
    if (creates && there) {
        buf_printf(&sql, "DROP INDEX CONCURRENTLY %s", buf_text(&name));
        r = run_text(run, node, buf_text(&sql), reterr);
    }
    return r < 0 ? r : run_as_written(run, i, node, reterr);
}

const MigratePhase *migrate_phases(const MigrateStatement *statement, const MigrateFact *fact)
{
    static const MigratePhase PLAIN[] = {{.what = "run it", .run = run_as_written}, {0}};
    static const MigratePhase AT_ONCE[] = {
        {.what = "run it, all regions being there", .all = true, .run = run_as_written}, {0}};
    static const MigratePhase CONCURRENTLY[] = {
        {.what = "run it beside writers", .alone = true, .run = index_concurrently}, {0}};
    static const MigratePhase ADD_COLUMN[] = {
        {.what = "add it to table, journal and functions, closed for writers",
         .run = add_column_closed},
        {.what = "publish it", .barrier = true, .run = publish_all_columns},
        {.what = "open it for writers", .barrier = true, .run = open_column},
        {0}};
    static const MigratePhase DROP_COLUMN[] = {
        {.what = "let it be NULL", .run = let_null},
        {.what = "neither send nor merge it", .barrier = true, .run = leave_column_out},
        {.what = "drop it", .barrier = true, .settle = true, .run = drop_column},
        {0}};
    static const MigratePhase ADD_KEY[] = {
        {.what = "make losers parkable", .run = know_key},
        {.what = "park what is there twice, make the index", .barrier = true, .run = make_key},
        {0}};
    static const MigratePhase DROP_KEY[] = {
        {.what = "drop the index", .run = run_as_written},
        {.what = "let parked rows come back", .barrier = true, .run = forget_key},
        {0}};
    static const MigratePhase ADD_CHECK[] = {
        {.what = "hold local writers to it", .run = guard_check},
        {.what = "add it", .barrier = true, .settle = true, .run = add_check},
        {0}};
    bool lww = fact->number != 0 && fact->kind == TABLE_KIND_LWW;
    if (statement->class == MIGRATE_ADD_VALUE)
        return AT_ONCE;
    if (statement->class == MIGRATE_ADD_COLUMN && fact->number != 0)
        return ADD_COLUMN;
    if (statement->class == MIGRATE_DROP_COLUMN && fact->number != 0)
        return DROP_COLUMN;
    if (statement->class == MIGRATE_CREATE_INDEX && statement->unique && lww)
        return ADD_KEY;
    if (statement->class == MIGRATE_DROP_INDEX && lww)
        return DROP_KEY;
    if (statement->class == MIGRATE_ADD_CONSTRAINT && statement->check != NULL && fact->number != 0)
        return ADD_CHECK;
    return statement->concurrently ? CONCURRENTLY : PLAIN;
}
