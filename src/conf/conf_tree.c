// SPDX-License-Identifier: MIT
// conf_tree: see conf_tree.h. A stack of open maps and lists takes libyaml's events one by one.
// libyaml reports bytes that no YAML may hold (control characters, bad UTF-8) by offset only, so
// the lines before them are counted here. Its marks are 0-based.
#include "conf_tree.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "buf.h"
#include "utf8.h"

static const char TOO_MANY[] = "too many values";
static const char TOO_MANY_ALLOWED[] = "at most 524288 in one file";

typedef struct Level {
    TreeNode *node;
    const char *key; // of a map: read, waiting for its value
    size_t key_line, key_column;
} Level;

typedef struct Builder {
    Arena *arena;
    ConfReport *report;
    Level levels[CONF_TREE_DEPTH_MAX];
    size_t depth;
    size_t nodes, documents;
    TreeNode *root;
} Builder;

static size_t mark_line(yaml_mark_t mark)
{
    return mark.line + 1;
}

static size_t mark_column(yaml_mark_t mark)
{
    return mark.column + 1;
}

// Path of the value that is being read: "regions[2].gateway".
static void add_path(Buf *path, const Builder *builder)
{
    for (size_t i = 0; i < builder->depth; i++) {
        const Level *level = &builder->levels[i];
        bool open = i + 1 < builder->depth; // its newest item is the next level
        if (level->node->kind == TREE_LIST)
            buf_printf(path, "[%u]", level->node->n - (open ? 1 : 0));
        else if (level->key != NULL)
            buf_printf(path, "%s%.64s", path->len > 0 ? "." : "", level->key);
    }
}

static int refuse(Builder *builder, yaml_mark_t mark, const char *what, const char *allowed)
{
    Buf path = BUF_INIT(0);
    add_path(&path, builder);
    if (path.len > 0)
        conf_report_error(builder->report, mark_line(mark), mark_column(mark),
                          "key '%s': %s; allowed: %s", buf_text(&path), what, allowed);
    else
        conf_report_error(builder->report, mark_line(mark), mark_column(mark), "%s; allowed: %s",
                          what, allowed);
    conf_report_buf_done(builder->report, &path);
    return ERROR_FORMAT;
}

static int check_plain(Builder *builder, const yaml_event_t *event, const yaml_char_t *anchor,
                       const yaml_char_t *tag)
{
    if (anchor != NULL)
        return refuse(builder, event->start_mark, "anchors are not used here",
                      "the value itself, written out");
    if (tag != NULL)
        return refuse(builder, event->start_mark, "tags are not used here",
                      "the value itself, its type follows from the key");
    return 0;
}

// A new node in its place: root, item of a list, or value of the waiting key. NULL: no memory.
static TreeNode *append(Builder *builder, const yaml_event_t *event, TreeKind kind)
{
    TreeNode *node = arena_new_of(builder->arena, TreeNode);
    if (node == NULL)
        return NULL;
    builder->nodes++;
    node->kind = kind;
    node->line = mark_line(event->start_mark);
    node->column = mark_column(event->start_mark);
    if (builder->depth == 0) {
        builder->root = node;
    } else {
        Level *level = &builder->levels[builder->depth - 1];
        node->key = level->key;
        node->key_line = level->key_line;
        node->key_column = level->key_column;
        if (level->node->last != NULL)
            level->node->last->next = node;
        else
            level->node->first = node;
        level->node->last = node;
        level->node->n++;
    }
    return node;
}

// After a value: its map waits for the next key.
static void value_done(Builder *builder)
{
    if (builder->depth > 0)
        builder->levels[builder->depth - 1].key = NULL;
}

static bool wants_key(const Builder *builder)
{
    if (builder->depth == 0)
        return false;
    const Level *level = &builder->levels[builder->depth - 1];
    return level->node->kind == TREE_MAP && level->key == NULL;
}

static int on_scalar(Builder *builder, const yaml_event_t *event)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    int r = check_plain(builder, event, event->data.scalar.anchor, event->data.scalar.tag);
    if (r < 0)
        return r;
    if (memchr(value, '\0', len) != NULL)
        return refuse(builder, event->start_mark, "value holds a NUL character",
                      "printable characters");
    const char *text = arena_strndup(builder->arena, value, len);
    if (text == NULL)
        return ERROR_MEMORY;
    if (wants_key(builder)) {
        Level *level = &builder->levels[builder->depth - 1];
        level->key = text;
        level->key_line = mark_line(event->start_mark);
        level->key_column = mark_column(event->start_mark);
        return 0;
    }
    if (builder->nodes == CONF_TREE_NODES_MAX)
        return refuse(builder, event->start_mark, TOO_MANY, TOO_MANY_ALLOWED);
    TreeNode *node = append(builder, event, TREE_SCALAR);
    if (node == NULL)
        return ERROR_MEMORY;
    node->text = text;
    value_done(builder);
    return 0;
}

static int on_open(Builder *builder, const yaml_event_t *event, TreeKind kind)
{
    bool map = kind == TREE_MAP;
    int r = check_plain(builder, event,
                        map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor,
                        map ? event->data.mapping_start.tag : event->data.sequence_start.tag);
    if (r < 0)
        return r;
    if (wants_key(builder))
        return refuse(builder, event->start_mark, "a key is a map or a list", "a word as key");
    if (builder->depth == CONF_TREE_DEPTH_MAX)
        return refuse(builder, event->start_mark, "nested too deep", "at most 12 levels");
    if (builder->nodes == CONF_TREE_NODES_MAX)
        return refuse(builder, event->start_mark, TOO_MANY, TOO_MANY_ALLOWED);
    TreeNode *node = append(builder, event, kind);
    if (node == NULL)
        return ERROR_MEMORY;
    builder->levels[builder->depth++] = (Level){.node = node};
    return 0;
}

static int on_document(Builder *builder, const yaml_event_t *event)
{
    if (event->data.document_start.version_directive != NULL ||
        event->data.document_start.tag_directives.start !=
            event->data.document_start.tag_directives.end)
        return refuse(builder, event->start_mark, "directives are not used here",
                      "the document alone");
    if (builder->documents++ > 0)
        return refuse(builder, event->start_mark, "a second document begins", "one document");
    return 0;
}

static int on_event(Builder *builder, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(builder, event);
    case YAML_ALIAS_EVENT:
        return refuse(builder, event->start_mark, "aliases are not used here",
                      "the value itself, written out");
    case YAML_SCALAR_EVENT:
        return on_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(builder, event, TREE_LIST);
    case YAML_MAPPING_START_EVENT:
        return on_open(builder, event, TREE_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        ASSERT(builder->depth > 0); // libyaml gives them in pairs
        builder->depth--;
        value_done(builder);
        return 0;
    default: // stream start and end, document end
        return 0;
    }
}

// Line and column of a byte, both 1-based; columns count characters as libyaml's marks do.
static void locate(const char *bytes, size_t offset, size_t *ret_line, size_t *ret_column)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < offset; i++) {
        bool crlf = bytes[i] == '\r' && i + 1 < offset && bytes[i + 1] == '\n';
        if (bytes[i] == '\n' || (bytes[i] == '\r' && !crlf)) {
            line++;
            column = 1;
        } else if (((unsigned char)bytes[i] & 0xc0U) != 0x80 && !crlf) {
            column++;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

// libyaml calls a tab in an indentation "character that cannot start any token".
static bool is_tab(const char *bytes, size_t len, size_t line, size_t column)
{
    for (size_t i = 0, at_line = 1; i < len; i++) {
        if (at_line == line)
            return i + column - 1 < len && bytes[i + column - 1] == '\t';
        at_line += bytes[i] == '\n';
    }
    return false;
}

static int on_parser_error(const yaml_parser_t *parser, const char *bytes, size_t len,
                           ConfReport *report)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return ERROR_MEMORY;
    size_t line = mark_line(parser->problem_mark), column = mark_column(parser->problem_mark);
    const char *problem = parser->problem != NULL ? parser->problem : "cannot be read";
    if (parser->error == YAML_READER_ERROR) {
        size_t offset = parser->problem_offset < len ? parser->problem_offset : len;
        locate(bytes, offset, &line, &column);
        if (parser->problem_value >= 0)
            conf_report_error(report, line, column,
                              "byte or character 0x%02x: %s; allowed: UTF-8 text, spaces and line "
                              "breaks",
                              (unsigned)parser->problem_value, problem);
        else
            conf_report_error(report, line, column, "%s; allowed: UTF-8 text", problem);
        return ERROR_FORMAT;
    }
    if (is_tab(bytes, len, line, column))
        conf_report_error(report, line, column, "a tab; allowed: spaces for indentation");
    else if (parser->context != NULL)
        conf_report_error(report, line, column,
                          "not YAML: %s, %s that begins at line %zu; allowed: YAML 1.1", problem,
                          parser->context, mark_line(parser->context_mark));
    else
        conf_report_error(report, line, column, "not YAML: %s; allowed: YAML 1.1", problem);
    return ERROR_FORMAT;
}

static int run(yaml_parser_t *parser, Builder *builder, const char *bytes, size_t len)
{
    for (bool end = false; !end;) {
        yaml_event_t event;
        if (yaml_parser_parse(parser, &event) == 0)
            return on_parser_error(parser, bytes, len, builder->report);
        int r = on_event(builder, &event);
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (r < 0)
            return r;
    }
    if (builder->root == NULL) {
        conf_report_error(builder->report, 1, 1, "the file is empty; allowed: one map of sections");
        return ERROR_FORMAT;
    }
    return 0;
}

int conf_tree_parse(const char *bytes, size_t len, Arena *arena, ConfReport *report,
                    const TreeNode **ret_root)
{
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0)
        return ERROR_MEMORY;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, len);
    Builder builder = {.arena = arena, .report = report};
    int r = run(&parser, &builder, bytes, len);
    yaml_parser_delete(&parser);
    if (r == 0)
        *ret_root = builder.root;
    return r;
}

const TreeNode *conf_tree_get(const TreeNode *node, const char *key)
{
    const TreeNode *child = node != NULL && node->kind == TREE_MAP ? node->first : NULL;
    while (child != NULL && strcmp(child->key, key) != 0)
        child = child->next;
    return child;
}

const TreeNode *conf_tree_at(const TreeNode *node, uint32_t index)
{
    const TreeNode *child = node != NULL ? node->first : NULL;
    while (child != NULL && index-- > 0)
        child = child->next;
    return child;
}

const char *conf_tree_show(const TreeNode *node, char text[80])
{
    if (node->kind != TREE_SCALAR) {
        (void)snprintf(text, 80, "%s", node->kind == TREE_LIST ? "[...]" : "{...}");
        return text;
    }
    size_t left = strlen(node->text), used = 0;
    const char *at = node->text;
    while (left > 0 && used < 70) {
        size_t len = utf8_sequence_len(at, left);
        unsigned char c = (unsigned char)*at;
        if (len == 0 || c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)at[1] < 0xa0)) {
            used += (size_t)snprintf(text + used, 80 - used, "\\x%02x", c);
            at++, left--;
            continue;
        }
        memcpy(text + used, at, len);
        used += len, at += len, left -= len;
    }
    (void)snprintf(text + used, 80 - used, "%s", left > 0 ? "..." : "");
    return text;
}
