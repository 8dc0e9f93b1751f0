// SPDX-License-Identifier: MIT
// rows_migrate_classify: one statement's tokens to its class and parts, or the reason why not. Only
// whole statements whose every word is understood pass: what is accepted here is run at every
// region, one after another, so nothing may depend on the region (its clock, its data, its
// sequences) and nothing may do more than its class says.
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "hash.h"
#include "rows_migrate.h"

typedef struct Reader {
    const char *bytes;
    const MigrateTokens *tokens;
    size_t at;
    Arena *arena;
    MigrateStatement *out;
    Error *reterr;
} Reader;

const char *migrate_class_name(MigrateClass class)
{
    static const char *const NAMES[MIGRATE_CLASS_MAX] = {
        "add column",   "drop column", "create table",   "drop table",
        "create index", "drop index",  "add constraint", "validate constraint",
        "create type",  "add value",   "comment"};
    return NAMES[class];
}

static const MigrateToken *peek(const Reader *reader)
{
    return &reader->tokens->items[reader->at];
}

static const MigrateToken *next(Reader *reader)
{
    const MigrateToken *token = peek(reader);
    if (token->kind != MIGRATE_TOKEN_END)
        reader->at++;
    return token;
}

static bool is_word(const MigrateToken *token, const char *word)
{
    return token->kind == MIGRATE_TOKEN_WORD && strcmp(token->text, word) == 0;
}

static bool is_sign(const MigrateToken *token, const char *sign)
{
    return token->kind == MIGRATE_TOKEN_SIGN && strcmp(token->text, sign) == 0;
}

// Takes the word when it is the next one.
static bool took(Reader *reader, const char *word)
{
    bool is = is_word(peek(reader), word);
    reader->at += is ? 1 : 0;
    return is;
}

static bool took_sign(Reader *reader, const char *sign)
{
    bool is = is_sign(peek(reader), sign);
    reader->at += is ? 1 : 0;
    return is;
}

static int refuse(const Reader *reader, const char *hint, const char *what, const char *word)
{
    int r = error_set(reader->reterr, ERROR_USAGE, "line %u: %s%s%s%s", reader->out->line, what,
                      word != NULL ? " '" : "", word != NULL ? word : "", word != NULL ? "'" : "");
    return hint != NULL ? error_hint(reader->reterr, r, "%s", hint) : r;
}

static int unexpected(const Reader *reader)
{
    const MigrateToken *token = peek(reader);
    if (token->kind == MIGRATE_TOKEN_END)
        return refuse(reader, NULL, "the statement ends too early", NULL);
    return refuse(reader, "'wildcam help rows' and docs/rows.md list what a migration may hold.",
                  "not understood here:", token->text);
}

static int at_end(const Reader *reader)
{
    return peek(reader)->kind == MIGRATE_TOKEN_END ? 0 : unexpected(reader);
}

static int need(Reader *reader, const char *word)
{
    return took(reader, word) ? 0 : unexpected(reader);
}

static int need_sign(Reader *reader, const char *sign)
{
    return took_sign(reader, sign) ? 0 : unexpected(reader);
}

static int read_name(Reader *reader, const char **ret_name)
{
    const MigrateToken *token = peek(reader);
    if (token->kind != MIGRATE_TOKEN_WORD && token->kind != MIGRATE_TOKEN_QUOTED)
        return unexpected(reader);
    *ret_name = token->text;
    reader->at++;
    return 0;
}

void migrate_quote(const char *name, Buf *buf)
{
    buf_add_char(buf, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            buf_add_char(buf, '"');
        buf_add_char(buf, *name);
    }
    buf_add_char(buf, '"');
}

void migrate_quote_text(const char *text, Buf *buf)
{
    buf_add_text(buf, strchr(text, '\\') != NULL ? " E'" : "'");
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            buf_add_char(buf, *text);
        buf_add_char(buf, *text);
    }
    buf_add_char(buf, '\'');
}

// "a" or "s"."a" as SQL; the schemas of the system and of the federation are not for migrations.
static int read_object(Reader *reader, const char **ret_quoted, const char **ret_schema,
                       const char **ret_name)
{
    const char *schema = NULL, *name = NULL;
    int r = read_name(reader, &name);
    if (r == 0 && took_sign(reader, ".")) {
        schema = name;
        r = read_name(reader, &name);
    }
    if (r < 0)
        return r;
    if (is_sign(peek(reader), "."))
        return refuse(reader, NULL, "a name of more than two parts", NULL);
    if (schema != NULL && (strcmp(schema, "wildcam") == 0 || strncmp(schema, "pg_", 3) == 0 ||
                           strcmp(schema, "information_schema") == 0))
        return refuse(reader, "The federation changes its own objects itself.",
                      "not a schema of applications:", schema);
    Buf text CLEANUP(buf_done) = BUF_INIT(1024);
    if (schema != NULL) {
        migrate_quote(schema, &text);
        buf_add_char(&text, '.');
    }
    migrate_quote(name, &text);
    if (ret_quoted != NULL)
        *ret_quoted = arena_strdup(reader->arena, buf_text(&text));
    if (ret_schema != NULL)
        *ret_schema = schema;
    if (ret_name != NULL)
        *ret_name = name;
    return 0;
}

static const char *slice(const Reader *reader, size_t from, size_t to)
{
    const MigrateToken *items = reader->tokens->items;
    return arena_strndup(reader->arena, reader->bytes + items[from].begin,
                         items[to - 1].end - items[from].begin);
}

// From '(' to its ')'.
static int skip_parentheses(Reader *reader)
{
    uint32_t depth = 0;
    do {
        const MigrateToken *token = next(reader);
        if (token->kind == MIGRATE_TOKEN_END)
            return refuse(reader, NULL, "parentheses that do not match", NULL);
        depth += is_sign(token, "(") ? 1 : 0;
        depth -= is_sign(token, ")") ? 1 : 0;
    } while (depth > 0);
    return 0;
}

static bool ends_type(const MigrateToken *token)
{
    static const char *const WORDS[] = {
        "default",   "not",        "null",    "check",      "unique",    "primary", "references",
        "generated", "constraint", "collate", "deferrable", "initially", "storage", "compression"};
    for (size_t i = 0; i < ARRAY_SIZE(WORDS); i++)
        if (is_word(token, WORDS[i]))
            return true;
    return token->kind == MIGRATE_TOKEN_END;
}

// A type: words, dots, "(10,2)", "[]".
static int read_type(Reader *reader, const char **ret_type)
{
    size_t from = reader->at;
    while (!ends_type(peek(reader))) {
        const MigrateToken *token = peek(reader);
        if (is_sign(token, ")") || is_sign(token, ",") || is_sign(token, "::"))
            break;
        if (is_sign(token, "(") || is_sign(token, "[")) {
            for (bool open = true; open;) {
                token = next(reader);
                if (token->kind == MIGRATE_TOKEN_END || token->kind == MIGRATE_TOKEN_STRING)
                    return unexpected(reader);
                open = !is_sign(token, ")") && !is_sign(token, "]");
            }
            continue;
        }
        if (token->kind != MIGRATE_TOKEN_WORD && token->kind != MIGRATE_TOKEN_QUOTED &&
            !is_sign(token, "."))
            return unexpected(reader);
        reader->at++;
    }
    if (reader->at == from)
        return unexpected(reader);
    const char *first = reader->tokens->items[from].text;
    if (strncmp(first, "reg", 3) == 0)
        return refuse(reader, NULL, "object numbers differ from region to region:", first);
    if (strstr(first, "serial") != NULL)
        return refuse(reader,
                      "Use uuid or bigint without a default: sequences count in each region for "
                      "themselves.",
                      "a sequence gives other numbers in each region:", first);
    *ret_type = slice(reader, from, reader->at);
    return 0;
}

static bool is_textual(const char *type)
{
    static const char *const TYPES[] = {"text", "varchar", "character", "char", "json", "jsonb"};
    size_t len = strspn(type, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
    for (size_t i = 0; i < ARRAY_SIZE(TYPES); i++)
        if (strlen(TYPES[i]) == len && strncasecmp(type, TYPES[i], len) == 0)
            return true;
    return false;
}

// 'now', ' Today', 'tomorrow allballs': read when the statement runs, in each region another time.
static bool means_a_moment(const char *text)
{
    static const char *const WORDS[] = {"now", "today", "tomorrow", "yesterday"};
    for (size_t i = 0; i < ARRAY_SIZE(WORDS); i++)
        if (strcasestr(text, WORDS[i]) != NULL)
            return true;
    return false;
}

static const char NOT_CONSTANT[] =
    "Every region runs this for itself, so only constants give equal rows: a number, a string, "
    "TRUE, "
    "FALSE, NULL, with casts. Add the column without it and fill it by a normal UPDATE.";

// [+-] number, string, TRUE, FALSE, NULL, ( constant ), each with casts.
static int read_constant(Reader *reader, const char *type, uint32_t depth)
{
    int r = 0;
    const MigrateToken *token = next(reader);
    bool sign = is_sign(token, "-") || is_sign(token, "+");
    if (sign)
        token = next(reader);
    if (is_sign(token, "(") && !sign && depth < 8) {
        r = read_constant(reader, type, depth + 1);
        if (r == 0)
            r = need_sign(reader, ")");
        if (r < 0)
            return r;
    } else if (token->kind == MIGRATE_TOKEN_STRING && !sign) {
        bool odd = !token->plain && !is_textual(type);
        if (odd ||
            (means_a_moment(token->text) && (!is_textual(type) || is_sign(peek(reader), "::"))))
            return refuse(reader, NOT_CONSTANT,
                          "a default that may differ from region to region:", token->text);
    } else if (token->kind != MIGRATE_TOKEN_NUMBER &&
               (sign ||
                (!is_word(token, "true") && !is_word(token, "false") && !is_word(token, "null")))) {
        return refuse(reader, NOT_CONSTANT, "a default that is no constant:",
                      token->kind == MIGRATE_TOKEN_END ? "" : token->text);
    }
    while (r == 0 && took_sign(reader, "::")) {
        const char *cast;
        r = read_type(reader, &cast);
    }
    return r;
}

static int refuse_inline(const Reader *reader)
{
    const MigrateToken *token = peek(reader);
    if (is_word(token, "generated"))
        return refuse(reader, "Create a view, or add a plain column and fill it.",
                      "a generated column of a table that is there", NULL);
    if (is_word(token, "unique") || is_word(token, "primary"))
        return refuse(reader,
                      "Add the column first, then CREATE UNIQUE INDEX NAME ON TABLE (COLUMN).",
                      "a key with a new column", NULL);
    if (is_word(token, "check") || is_word(token, "references") || is_word(token, "constraint"))
        return refuse(
            reader, "Add the column first, then ALTER TABLE ... ADD CONSTRAINT NAME ... NOT VALID.",
            "a constraint with a new column", NULL);
    return unexpected(reader);
}

static int add_column(Reader *reader)
{
    MigrateStatement *out = reader->out;
    out->class = MIGRATE_ADD_COLUMN;
    if (took(reader, "if")) {
        if (need(reader, "not") < 0 || need(reader, "exists") < 0)
            return ERROR_USAGE;
        out->exists = true;
    }
    int r = read_name(reader, &out->name);
    if (r == 0)
        r = read_type(reader, &out->type);
    while (r == 0 && peek(reader)->kind != MIGRATE_TOKEN_END) {
        if (took(reader, "not")) {
            out->not_null = true;
            r = need(reader, "null");
        } else if (took(reader, "default")) {
            size_t from = reader->at;
            r = read_constant(reader, out->type, 0);
            if (r == 0)
                out->default_text = slice(reader, from, reader->at);
        } else if (!took(reader, "null")) {
            r = is_sign(peek(reader), ",") ? refuse(reader, "Write one ALTER TABLE for each.",
                                                    "several actions at once", NULL)
                                           : refuse_inline(reader);
        }
    }
    if (r < 0)
        return r;
    if (strcmp(out->name, "_v") == 0 || strcmp(out->name, "_origin") == 0)
        return refuse(reader, NULL, "a column of the federation:", out->name);
    if (out->not_null &&
        (out->default_text == NULL || strncasecmp(out->default_text, "null", 4) == 0))
        return refuse(
            reader,
            "Give it a constant DEFAULT: rows that are there, and rows of regions that do "
            "not know the column yet, need a value.",
            "NOT NULL without a default", NULL);
    return 0;
}

static int drop_column(Reader *reader)
{
    MigrateStatement *out = reader->out;
    out->class = MIGRATE_DROP_COLUMN;
    (void)took(reader, "column");
    if (took(reader, "if")) {
        out->exists = true;
        if (need(reader, "exists") < 0)
            return ERROR_USAGE;
    }
    int r = read_name(reader, &out->name);
    if (r == 0 && took(reader, "cascade"))
        return refuse(reader, "Drop what depends on it first, one by one.",
                      "CASCADE drops what nobody sees here", NULL);
    (void)took(reader, "restrict");
    if (r == 0 && (strcmp(out->name, "_v") == 0 || strcmp(out->name, "_origin") == 0))
        return refuse(reader, "'wildcam rows federate TABLE --drop' takes a table out.",
                      "a column of the federation:", out->name);
    return r < 0 ? r : at_end(reader);
}

static int add_constraint(Reader *reader)
{
    MigrateStatement *out = reader->out;
    out->class = MIGRATE_ADD_CONSTRAINT;
    int r = read_name(reader, &out->name);
    if (r < 0)
        return r;
    if (is_word(peek(reader), "unique") || is_word(peek(reader), "primary") ||
        is_word(peek(reader), "exclude"))
        return refuse(reader, "A unique key: CREATE UNIQUE INDEX NAME ON TABLE (COLUMNS).",
                      "a constraint that is a key:", peek(reader)->text);
    if (took(reader, "check")) {
        size_t from = reader->at;
        if (!is_sign(peek(reader), "("))
            return unexpected(reader);
        r = skip_parentheses(reader);
        if (r == 0)
            out->check = slice(reader, from, reader->at);
    } else if (is_word(peek(reader), "foreign")) {
        out->foreign = true;
        while (peek(reader)->kind != MIGRATE_TOKEN_END &&
               !(is_word(peek(reader), "not") &&
                 is_word(&reader->tokens->items[reader->at + 1], "valid")))
            reader->at++;
    } else {
        return unexpected(reader);
    }
    if (r < 0)
        return r;
    if (!took(reader, "not") || !took(reader, "valid"))
        return refuse(reader,
                      "Write NOT VALID behind it, and ALTER TABLE ... VALIDATE CONSTRAINT as a "
                      "statement of its own: so writers wait for neither.",
                      "a constraint that reads the whole table under a lock", NULL);
    return at_end(reader);
}

static int alter_table(Reader *reader)
{
    static const struct {
        const char *word, *hint;
    } OTHERS[] = {
        {"rename", "Applications of other regions still use the old name: add a new column, write "
                   "both, drop the old one."},
        {"alter",
         "Add a new column of the type that is wanted, fill it, use it, drop the old one."},
        {"owner", "Run it in each region by 'wildcam psql REGION': rows do not depend on it."},
        {"set", "Run it in each region by 'wildcam psql REGION': rows do not depend on it."},
        {"disable", "The federation needs its triggers."},
        {"enable", "The federation needs its triggers."},
    };
    MigrateStatement *out = reader->out;
    if (is_word(peek(reader), "if"))
        return refuse(reader, "A table that is only in some regions is found before anything runs.",
                      "ALTER TABLE IF EXISTS", NULL);
    (void)took(reader, "only");
    int r = read_object(reader, &out->table, NULL, NULL);
    if (r < 0)
        return r;
    (void)took_sign(reader, "*");
    if (took(reader, "add")) {
        if (took(reader, "constraint"))
            return add_constraint(reader);
        bool unnamed = !took(reader, "column") &&
                       (is_word(peek(reader), "check") || is_word(peek(reader), "unique") ||
                        is_word(peek(reader), "primary") || is_word(peek(reader), "foreign") ||
                        is_word(peek(reader), "exclude"));
        if (unnamed)
            return refuse(reader, "Write ADD CONSTRAINT NAME ...: it has one name in all regions.",
                          "a constraint without a name", NULL);
        return add_column(reader);
    }
    if (took(reader, "drop")) {
        if (is_word(peek(reader), "constraint"))
            return refuse(
                reader,
                "Run it in each region by 'wildcam psql REGION', all regions up; a unique "
                "key is an index: DROP INDEX.",
                "DROP CONSTRAINT", NULL);
        return drop_column(reader);
    }
    if (took(reader, "validate")) {
        out->class = MIGRATE_VALIDATE_CONSTRAINT;
        r = need(reader, "constraint");
        if (r == 0)
            r = read_name(reader, &out->name);
        return r < 0 ? r : at_end(reader);
    }
    for (size_t i = 0; i < ARRAY_SIZE(OTHERS); i++)
        if (is_word(peek(reader), OTHERS[i].word))
            return refuse(reader, OTHERS[i].hint, "not for a migration: ALTER TABLE ...",
                          OTHERS[i].word);
    return unexpected(reader);
}

static int create_table(Reader *reader)
{
    MigrateStatement *out = reader->out;
    out->class = MIGRATE_CREATE_TABLE;
    if (took(reader, "if")) {
        out->exists = true;
        if (need(reader, "not") < 0 || need(reader, "exists") < 0)
            return ERROR_USAGE;
    }
    int r = read_object(reader, &out->table, NULL, NULL);
    if (r == 0 && !is_sign(peek(reader), "("))
        return is_word(peek(reader), "as")
                   ? refuse(reader, "Create it empty; rows come in by INSERT in one region.",
                            "CREATE TABLE AS: its rows would differ from region to region", NULL)
                   : unexpected(reader);
    if (r == 0)
        r = skip_parentheses(reader);
    if (r == 0 && took(reader, "as"))
        return refuse(reader, "Create it empty; rows come in by INSERT in one region.",
                      "CREATE TABLE AS: its rows would differ from region to region", NULL);
    if (r == 0 && took(reader, "with")) {
        r = is_sign(peek(reader), "(") ? skip_parentheses(reader) : unexpected(reader);
    }
    return r < 0 ? r : at_end(reader);
}

// (a, "b" DESC, lower(c)): names, NULL for expressions.
static int index_columns(Reader *reader)
{
    MigrateStatement *out = reader->out;
    const char **columns = arena_new_array(reader->arena, const char *, 32);
    if (columns == NULL)
        return error_set(reader->reterr, ERROR_MEMORY, "statements");
    int r = need_sign(reader, "(");
    while (r == 0) {
        if (out->n_columns == 32)
            return refuse(reader, NULL, "an index of more than 32 columns", NULL);
        const MigrateToken *first = peek(reader), *second = &first[1];
        bool named = first->kind == MIGRATE_TOKEN_WORD || first->kind == MIGRATE_TOKEN_QUOTED;
        if (named && (is_sign(second, "(") || is_sign(second, ".") || is_sign(second, "::")))
            named = false;
        columns[out->n_columns++] = named ? first->text : NULL;
        uint32_t depth = 0;
        bool any = false;
        for (;; reader->at++, any = true) {
            const MigrateToken *token = peek(reader);
            if (token->kind == MIGRATE_TOKEN_END)
                return unexpected(reader);
            if (depth == 0 && (is_sign(token, ",") || is_sign(token, ")")))
                break;
            depth += is_sign(token, "(") ? 1 : 0;
            depth -= is_sign(token, ")") ? 1 : 0;
        }
        if (!any)
            return unexpected(reader);
        if (took_sign(reader, ")"))
            break;
        r = need_sign(reader, ",");
    }
    out->columns = columns;
    return r;
}

static int create_index(Reader *reader)
{
    MigrateStatement *out = reader->out;
    out->class = MIGRATE_CREATE_INDEX;
    out->concurrently = took(reader, "concurrently");
    if (took(reader, "if")) {
        out->exists = true;
        if (need(reader, "not") < 0 || need(reader, "exists") < 0)
            return ERROR_USAGE;
    }
    if (is_word(peek(reader), "on"))
        return refuse(reader, "Name it: a run that was interrupted finds it again by its name.",
                      "an index without a name", NULL);
    int r = read_name(reader, &out->name);
    if (r == 0)
        r = need(reader, "on");
    (void)took(reader, "only");
    if (r == 0)
        r = read_object(reader, &out->table, NULL, NULL);
    const char *method;
    if (r == 0 && took(reader, "using"))
        r = read_name(reader, &method);
    if (r == 0)
        r = index_columns(reader);
    if (r == 0 && took(reader, "include"))
        r = is_sign(peek(reader), "(") ? skip_parentheses(reader) : unexpected(reader);
    if (r == 0 && took(reader, "nulls")) {
        out->nulls_equal = is_word(peek(reader), "not");
        (void)took(reader, "not");
        r = need(reader, "distinct");
    }
    if (r == 0 && took(reader, "with"))
        r = is_sign(peek(reader), "(") ? skip_parentheses(reader) : unexpected(reader);
    if (r == 0 && took(reader, "where")) {
        out->partial = true;
        while (peek(reader)->kind != MIGRATE_TOKEN_END)
            reader->at++;
    }
    return r < 0 ? r : at_end(reader);
}

static int drop_object(Reader *reader, MigrateClass class)
{
    MigrateStatement *out = reader->out;
    out->class = class;
    if (class == MIGRATE_DROP_INDEX)
        out->concurrently = took(reader, "concurrently");
    if (took(reader, "if")) {
        out->exists = true;
        if (need(reader, "exists") < 0)
            return ERROR_USAGE;
    }
    const char *quoted = NULL;
    int r = read_object(reader, &quoted, &out->schema, &out->name);
    out->table = class == MIGRATE_DROP_TABLE ? quoted : NULL;
    if (r == 0 && is_sign(peek(reader), ","))
        return refuse(reader, "Write one DROP for each.", "several names at once", NULL);
    if (r == 0 && took(reader, "cascade"))
        return refuse(reader, "Drop what depends on it first, one by one.",
                      "CASCADE drops what nobody sees here", NULL);
    (void)took(reader, "restrict");
    return r < 0 ? r : at_end(reader);
}

static int create_type(Reader *reader)
{
    reader->out->class = MIGRATE_CREATE_TYPE;
    int r = read_object(reader, NULL, NULL, &reader->out->name);
    if (r == 0)
        r = need(reader, "as");
    (void)took(reader, "enum");
    if (r == 0)
        r = is_sign(peek(reader), "(") ? skip_parentheses(reader) : unexpected(reader);
    return r < 0 ? r : at_end(reader);
}

static int alter_type(Reader *reader)
{
    MigrateStatement *out = reader->out;
    out->class = MIGRATE_ADD_VALUE;
    int r = read_object(reader, &out->type, NULL, &out->name);
    if (r == 0 && !took(reader, "add"))
        return refuse(reader, "Only ALTER TYPE ... ADD VALUE keeps what is stored.",
                      "a change of a type that is in use", NULL);
    if (r == 0)
        r = need(reader, "value");
    if (r == 0 && took(reader, "if")) {
        out->exists = true;
        if (need(reader, "not") < 0 || need(reader, "exists") < 0)
            return ERROR_USAGE;
    }
    if (r == 0 && next(reader)->kind != MIGRATE_TOKEN_STRING)
        return refuse(reader, NULL, "a value that is no string", NULL);
    if (r == 0 && (took(reader, "before") || took(reader, "after")) &&
        next(reader)->kind != MIGRATE_TOKEN_STRING)
        return refuse(reader, NULL, "a value that is no string", NULL);
    return r < 0 ? r : at_end(reader);
}

static int comment(Reader *reader)
{
    const MigrateTokens *tokens = reader->tokens;
    reader->out->class = MIGRATE_COMMENT;
    int r = need(reader, "on");
    while (r == 0 && peek(reader)->kind != MIGRATE_TOKEN_END && !is_word(peek(reader), "is"))
        reader->at++;
    if (r == 0)
        r = need(reader, "is");
    if (r == 0 && peek(reader)->kind != MIGRATE_TOKEN_STRING && !is_word(peek(reader), "null"))
        r = unexpected(reader);
    if (r == 0 && reader->at + 2 == tokens->n)
        return 0;
    return r < 0 ? r : unexpected(reader);
}

static int create(Reader *reader)
{
    MigrateStatement *out = reader->out;
    if (took(reader, "table"))
        return create_table(reader);
    if (took(reader, "unique")) {
        out->unique = true;
        return need(reader, "index") < 0 ? ERROR_USAGE : create_index(reader);
    }
    if (took(reader, "index"))
        return create_index(reader);
    if (took(reader, "type"))
        return create_type(reader);
    if (is_word(peek(reader), "temp") || is_word(peek(reader), "temporary") ||
        is_word(peek(reader), "unlogged") || is_word(peek(reader), "foreign"))
        return refuse(reader, "Only ordinary tables reach other regions.",
                      "no ordinary table: CREATE ...", peek(reader)->text);
    return refuse(reader,
                  "Run it in each region by 'wildcam psql REGION': rows do not depend on it.",
                  "not for a migration: CREATE ...", peek(reader)->text);
}

static int classify(Reader *reader)
{
    static const struct {
        const char *word, *hint;
    } OTHERS[] = {
        {"begin", "Each statement is safe by itself; there is no transaction over six regions."},
        {"commit", "Each statement is safe by itself; there is no transaction over six regions."},
        {"start", "Each statement is safe by itself; there is no transaction over six regions."},
        {"insert", "Rows are written in one region, by a client; they reach the others."},
        {"update", "Run it in one region; for many rows CALL wildcam.split(...)."},
        {"delete", "Run it in one region; for many rows CALL wildcam.split(...)."},
        {"truncate", "TRUNCATE is not federated: DELETE, for many rows CALL wildcam.split(...)."},
        {"grant", "Run it in each region by 'wildcam psql REGION': rows do not depend on it."},
        {"set", "Settings are the run's own."},
    };
    if (took(reader, "alter")) {
        if (took(reader, "table"))
            return alter_table(reader);
        if (took(reader, "type"))
            return alter_type(reader);
        return refuse(reader, "Run it in each region by 'wildcam psql REGION'.",
                      "not for a migration: ALTER ...", peek(reader)->text);
    }
    if (took(reader, "create"))
        return create(reader);
    if (took(reader, "comment"))
        return comment(reader);
    if (took(reader, "drop")) {
        if (took(reader, "table"))
            return drop_object(reader, MIGRATE_DROP_TABLE);
        if (took(reader, "index"))
            return drop_object(reader, MIGRATE_DROP_INDEX);
        return refuse(reader, "Run it in each region by 'wildcam psql REGION'.",
                      "not for a migration: DROP ...", peek(reader)->text);
    }
    for (size_t i = 0; i < ARRAY_SIZE(OTHERS); i++)
        if (is_word(peek(reader), OTHERS[i].word))
            return refuse(reader, OTHERS[i].hint, "not for a migration:", OTHERS[i].word);
    return unexpected(reader);
}

int migrate_classify(const char *bytes, const MigrateTokens *tokens, Arena *arena,
                     MigrateStatement *ret_statement, Error *reterr)
{
    MigrateStatement out = {.line = tokens->items[0].line};
    Reader reader = {
        .bytes = bytes, .tokens = tokens, .arena = arena, .out = &out, .reterr = reterr};
    if (tokens->n < 2)
        return error_set(reterr, ERROR_USAGE, "line %u: an empty statement", out.line);
    out.text = slice(&reader, 0, tokens->n - 1);
    int r = classify(&reader);
    if (r == 0 && out.text == NULL)
        r = error_set(reterr, ERROR_MEMORY, "statements");
    if (r == 0)
        *ret_statement = out;
    return r;
}

int migrate_parse(const char *name, const char *bytes, size_t len, Arena *arena,
                  MigrateFile *ret_file, Error *reterr)
{
    MigrateFile file = {.name = name};
    size_t pos = 0;
    uint32_t line = 1;
    uint64_t hash = hash_bytes(HASH_SEED, bytes, len);
    if (len > MIGRATE_BYTES_MAX)
        return error_set(reterr, ERROR_LIMIT, "%s: more than %u bytes", name, MIGRATE_BYTES_MAX);
    file.statements = arena_new_array(arena, MigrateStatement, MIGRATE_STATEMENTS_MAX);
    int r = file.statements == NULL ? error_set(reterr, ERROR_MEMORY, "%s", name) : 0;
    while (r == 0) {
        MigrateTokens tokens;
        r = migrate_lex(bytes, len, &pos, &line, arena, &tokens, reterr);
        if (r <= 0)
            break;
        r = file.n == MIGRATE_STATEMENTS_MAX
                ? error_set(reterr, ERROR_LIMIT, "more than %u statements", MIGRATE_STATEMENTS_MAX)
                : migrate_classify(bytes, &tokens, arena, &file.statements[file.n], reterr);
        file.n += r == 0 ? 1 : 0;
    }
    if (r == 0 && file.n == 0)
        r = error_set(reterr, ERROR_USAGE, "no statement in it");
    if (r < 0)
        return error_wrap(reterr, r, "%s", name);
    Buf id CLEANUP(buf_done) = BUF_INIT(32);
    buf_printf(&id, "%016llx", (unsigned long long)hash_mix(hash));
    memcpy(file.id, buf_text(&id), id.len + 1);
    *ret_file = file;
    return 0;
}
