// SPDX-License-Identifier: MIT
// rows_migrate_lex: SQL text to tokens, one statement at a time, by PostgreSQL's lexical rules
// (standard_conforming_strings on, which the runs set): nested comments, dollar quotes, E''
// strings, quoted names. What it does not know it refuses: a statement cut at a wrong semicolon
// would be a different statement. psql's backslash commands are no SQL and are refused.
#include <string.h>

#include "alloc.h"
#include "rows_migrate.h"
#include "utf8.h"

typedef struct Lexer {
    const char *bytes;
    size_t len, pos;
    uint32_t line;
    Arena *arena;
    MigrateTokens *tokens;
    Error *reterr;
} Lexer;

static char at(const Lexer *lexer, size_t ahead)
{
    return lexer->pos + ahead < lexer->len ? lexer->bytes[lexer->pos + ahead] : '\0';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static bool starts_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool goes_on(char c)
{
    return starts_name(c) || is_digit(c) || c == '$';
}

static int wrong(Lexer *lexer, uint32_t line, const char *what)
{
    return error_set(lexer->reterr, ERROR_FORMAT, "line %u: %s", line, what);
}

static void step(Lexer *lexer)
{
    if (lexer->bytes[lexer->pos] == '\n')
        lexer->line++;
    lexer->pos++;
}

// Space and comments. ERROR_FORMAT: a comment has no end.
static int skip(Lexer *lexer)
{
    for (;;) {
        while (lexer->pos < lexer->len && is_space(at(lexer, 0)))
            step(lexer);
        if (at(lexer, 0) == '-' && at(lexer, 1) == '-') {
            while (lexer->pos < lexer->len && at(lexer, 0) != '\n')
                step(lexer);
        } else if (at(lexer, 0) == '/' && at(lexer, 1) == '*') {
            uint32_t depth = 0, line = lexer->line;
            do {
                if (lexer->pos >= lexer->len)
                    return wrong(lexer, line, "a comment has no end");
                bool opens = at(lexer, 0) == '/' && at(lexer, 1) == '*';
                bool closes = at(lexer, 0) == '*' && at(lexer, 1) == '/';
                depth += opens ? 1 : 0;
                depth -= closes ? 1 : 0;
                if (opens || closes)
                    step(lexer);
                step(lexer);
            } while (depth > 0);
        } else {
            return 0;
        }
    }
}

static int add(Lexer *lexer, MigrateToken token)
{
    MigrateTokens *tokens = lexer->tokens;
    if (tokens->n == MIGRATE_TOKENS_MAX)
        return error_set(lexer->reterr, ERROR_LIMIT, "line %u: a statement of more than %u tokens",
                         token.line, MIGRATE_TOKENS_MAX);
    if (tokens->n == tokens->capacity) {
        size_t capacity = tokens->capacity == 0 ? 64 : tokens->capacity * 2;
        MigrateToken *items = arena_new_array(lexer->arena, MigrateToken, capacity);
        if (items == NULL)
            return error_set(lexer->reterr, ERROR_MEMORY, "statements");
        if (tokens->n > 0)
            memcpy(items, tokens->items, tokens->n * sizeof *items);
        tokens->items = items;
        tokens->capacity = capacity;
    }
    token.end = (uint32_t)lexer->pos;
    if (token.text == NULL)
        return error_set(lexer->reterr, ERROR_MEMORY, "statements");
    tokens->items[tokens->n++] = token;
    return 0;
}

static MigrateToken begin(const Lexer *lexer, MigrateTokenKind kind)
{
    return (MigrateToken){.kind = kind, .begin = (uint32_t)lexer->pos, .line = lexer->line};
}

// 'x' with '' inside; with `escapes` also \' (E'').
static int lex_string(Lexer *lexer, MigrateToken token, bool escapes)
{
    step(lexer); // the quote
    size_t from = lexer->pos;
    token.plain = !escapes;
    for (;;) {
        if (lexer->pos >= lexer->len)
            return wrong(lexer, token.line, "a string has no end");
        char c = at(lexer, 0);
        if (c == '\'' && at(lexer, 1) != '\'')
            break;
        if (c == '\'' || (c == '\\' && escapes)) {
            token.plain = false;
            step(lexer);
            if (lexer->pos >= lexer->len)
                return wrong(lexer, token.line, "a string has no end");
        }
        step(lexer);
    }
    token.text = arena_strndup(lexer->arena, lexer->bytes + from, lexer->pos - from);
    step(lexer);
    return add(lexer, token);
}

static int lex_quoted(Lexer *lexer)
{
    MigrateToken token = begin(lexer, MIGRATE_TOKEN_QUOTED);
    Buf text CLEANUP(buf_done) = BUF_INIT(MIGRATE_BYTES_MAX);
    step(lexer);
    for (;;) {
        if (lexer->pos >= lexer->len)
            return wrong(lexer, token.line, "a quoted name has no end");
        if (at(lexer, 0) == '"' && at(lexer, 1) != '"')
            break;
        if (at(lexer, 0) == '"')
            step(lexer);
        buf_add_char(&text, at(lexer, 0));
        step(lexer);
    }
    step(lexer);
    if (text.len == 0 || text.len > 63)
        return wrong(lexer, token.line, "a name of 0 or more than 63 bytes");
    token.text = arena_strndup(lexer->arena, buf_text(&text), text.len);
    return add(lexer, token);
}

// $tag$ ... $tag$
static int lex_dollar(Lexer *lexer)
{
    MigrateToken token = begin(lexer, MIGRATE_TOKEN_STRING);
    size_t tag = 1;
    while (goes_on(at(lexer, tag)) && at(lexer, tag) != '$')
        tag++;
    if (at(lexer, tag) != '$' || is_digit(at(lexer, 1)))
        return wrong(lexer, token.line,
                     "a '$' that begins no string: parameters have no value here");
    tag++;
    const char *mark = lexer->bytes + lexer->pos;
    lexer->pos += tag; // no newline in a tag
    size_t from = lexer->pos;
    while (lexer->pos + tag <= lexer->len && memcmp(lexer->bytes + lexer->pos, mark, tag) != 0)
        step(lexer);
    if (lexer->pos + tag > lexer->len)
        return wrong(lexer, token.line, "a dollar-quoted string has no end");
    token.text = arena_strndup(lexer->arena, lexer->bytes + from, lexer->pos - from);
    lexer->pos += tag;
    return add(lexer, token);
}

static int lex_word(Lexer *lexer)
{
    MigrateToken token = begin(lexer, MIGRATE_TOKEN_WORD);
    if (at(lexer, 1) == '\'' && strchr("eEnNbBxX", at(lexer, 0)) != NULL) {
        bool escapes = (at(lexer, 0) | 0x20) == 'e';
        token.kind = MIGRATE_TOKEN_STRING;
        step(lexer);
        MigrateToken string = token;
        int r = lex_string(lexer, string, escapes);
        if (r == 0)
            lexer->tokens->items[lexer->tokens->n - 1].plain = false;
        return r;
    }
    if ((at(lexer, 0) | 0x20) == 'u' && at(lexer, 1) == '&' &&
        (at(lexer, 2) == '\'' || at(lexer, 2) == '"'))
        return wrong(lexer, token.line, "U& strings and names are not read here: write UTF-8");
    size_t from = lexer->pos;
    while (goes_on(at(lexer, 0)))
        step(lexer);
    size_t len = lexer->pos - from;
    if (len > 63)
        return wrong(lexer, token.line, "a name of more than 63 bytes");
    char *text = arena_strndup(lexer->arena, lexer->bytes + from, len);
    for (size_t i = 0; text != NULL && i < len; i++)
        if (text[i] >= 'A' && text[i] <= 'Z')
            text[i] = (char)(text[i] | 0x20);
    token.text = text;
    return add(lexer, token);
}

static int lex_number(Lexer *lexer)
{
    MigrateToken token = begin(lexer, MIGRATE_TOKEN_NUMBER);
    size_t from = lexer->pos;
    while (is_digit(at(lexer, 0)) || at(lexer, 0) == '.')
        step(lexer);
    if ((at(lexer, 0) | 0x20) == 'e') {
        size_t sign = at(lexer, 1) == '+' || at(lexer, 1) == '-' ? 2 : 1;
        if (is_digit(at(lexer, sign))) {
            lexer->pos += sign;
            while (is_digit(at(lexer, 0)))
                step(lexer);
        }
    }
    if (goes_on(at(lexer, 0)))
        return wrong(lexer, token.line, "a number that goes on as a word");
    token.text = arena_strndup(lexer->arena, lexer->bytes + from, lexer->pos - from);
    return add(lexer, token);
}

static int lex_sign(Lexer *lexer)
{
    MigrateToken token = begin(lexer, MIGRATE_TOKEN_SIGN);
    char c = at(lexer, 0);
    size_t n = c == ':' && at(lexer, 1) == ':' ? 2 : 1;
    if (c == '\\')
        return wrong(lexer, token.line, "psql's backslash commands are no SQL");
    if (c < ' ' || c == 0x7f)
        return wrong(lexer, token.line, "a control character");
    token.text = arena_strndup(lexer->arena, lexer->bytes + lexer->pos, n);
    lexer->pos += n;
    return add(lexer, token);
}

static int lex_one(Lexer *lexer)
{
    char c = at(lexer, 0);
    if (c == '\'')
        return lex_string(lexer, begin(lexer, MIGRATE_TOKEN_STRING), false);
    if (c == '"')
        return lex_quoted(lexer);
    if (c == '$')
        return lex_dollar(lexer);
    if (starts_name(c))
        return lex_word(lexer);
    if (is_digit(c) || (c == '.' && is_digit(at(lexer, 1))))
        return lex_number(lexer);
    return lex_sign(lexer);
}

int migrate_lex(const char *bytes, size_t len, size_t *pos, uint32_t *line, Arena *arena,
                MigrateTokens *ret_tokens, Error *reterr)
{
    MigrateTokens tokens = {0};
    Lexer lexer = {.bytes = bytes,
                   .len = len,
                   .pos = *pos,
                   .line = *line,
                   .arena = arena,
                   .tokens = &tokens,
                   .reterr = reterr};
    int r = 0;
    if (*pos == 0 && (memchr(bytes, '\0', len) != NULL || !utf8_valid(bytes, len)))
        return error_set(reterr, ERROR_FORMAT, "not UTF-8 text");
    for (;;) {
        r = skip(&lexer);
        if (r < 0)
            return r;
        bool over = lexer.pos >= len;
        if (!over && at(&lexer, 0) != ';') {
            r = lex_one(&lexer);
            if (r < 0)
                return r;
            continue;
        }
        if (tokens.n > 0 || over)
            break;
        step(&lexer); // an empty statement
    }
    r = tokens.n > 0 ? 1 : 0;
    MigrateToken end = begin(&lexer, MIGRATE_TOKEN_END);
    end.text = "";
    int added = add(&lexer, end);
    if (added < 0)
        return added;
    if (lexer.pos < len)
        step(&lexer); // the semicolon
    *pos = lexer.pos;
    *line = lexer.line;
    *ret_tokens = tokens;
    return r;
}
