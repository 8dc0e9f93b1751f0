// SPDX-License-Identifier: MIT
// conf_tree: YAML bytes -> a tree of maps, lists and scalars that knows where each piece stands.
// libyaml gives the events; what fleet.yaml does not use is refused here: anchors, aliases, tags,
// directives, several documents, keys that are not words. Meaning comes later, in conf_walk.
// Owner: the arena. Limits: depth and number of nodes, so that a small hostile file stays small.
#pragma once
#include <stdint.h>

#include "arena.h"
#include "conf_report.h"

#define CONF_TREE_DEPTH_MAX 12         // fleet.yaml itself needs 6
#define CONF_TREE_NODES_MAX (1U << 19) // 4 MiB of prefixes are 250,000

typedef enum TreeKind {
    TREE_SCALAR,
    TREE_LIST,
    TREE_MAP,
} TreeKind;

typedef struct TreeNode TreeNode;
struct TreeNode {
    TreeKind kind;
    uint32_t n;          // children
    size_t line, column; // of the value, 1-based; column counts characters
    const char *text;    // scalar, NUL-terminated, without NUL inside
    const char *key;     // in a map, else NULL
    size_t key_line, key_column;
    TreeNode *first, *last; // children, in the order of the file
    TreeNode *next;
};

// 0; ERROR_FORMAT with the reason in report; ERROR_MEMORY.
int conf_tree_parse(const char *bytes, size_t len, Arena *arena, ConfReport *report,
                    const TreeNode **ret_root) MUST_CHECK;
// Child of a map by key, or NULL. `node` may be NULL or no map.
const TreeNode *conf_tree_get(const TreeNode *node, const char *key);
// Child by position, or NULL.
const TreeNode *conf_tree_at(const TreeNode *node, uint32_t index);
// A node as it appears in messages: text without control characters and not too long, "[...]" or
// "{...}".
const char *conf_tree_show(const TreeNode *node, char text[80]);
