// SPDX-License-Identifier: MIT
// conf_value_types: how a type of values is made. One row each; conf_value.c puts them into its
// table. Inside conf_value only.
#pragma once
#include "conf_value.h"

// NULL, or in a few words what is wrong with the value. CONF_NO_MEMORY is its own answer.
typedef const char *ConfReadFn(Arena *arena, const ConfOption *option, const TreeNode *node,
                               void *to);

typedef struct ConfTypeRow {
    const char *name; // on the reference page
    ConfReadFn *read; // of lists: one item
    void (*allowed)(const ConfOption *option, Buf *text);
    void (*format)(const ConfOption *option, const void *value, Buf *text);
} ConfTypeRow;

extern const char CONF_NO_MEMORY[];

extern const ConfTypeRow CONF_ROW_COUNT;
extern const ConfTypeRow CONF_ROW_PORT;
extern const ConfTypeRow CONF_ROW_DURATION;
extern const ConfTypeRow CONF_ROW_SIZE;
extern const ConfTypeRow CONF_ROW_SHARE;
extern const ConfTypeRow CONF_ROW_BOOL;
extern const ConfTypeRow CONF_ROW_CHOICE;
extern const ConfTypeRow CONF_ROW_LABEL;
extern const ConfTypeRow CONF_ROW_DOMAIN;
extern const ConfTypeRow CONF_ROW_TEXT;
extern const ConfTypeRow CONF_ROW_ADDRESS;
extern const ConfTypeRow CONF_ROW_PATH;
extern const ConfTypeRow CONF_ROW_MONEY;
extern const ConfTypeRow CONF_ROW_LOCATION;
extern const ConfTypeRow CONF_ROW_PREFIXES;
extern const ConfTypeRow CONF_ROW_DOMAINS;
extern const ConfTypeRow CONF_ROW_LABELS;
extern const ConfTypeRow CONF_ROW_SHARES;
extern const ConfTypeRow CONF_ROW_LATENCIES;
extern const ConfTypeRow CONF_ROW_PORTIONS;

// What readers of several parts share with those of one.
const char *conf_value_in_range(const ConfOption *option, int64_t value);
const char *conf_value_duration(const ConfOption *option, const char *text, int64_t *ret_ns);
const char *conf_value_share(const ConfOption *option, const char *text, uint32_t *ret_ppm);
const char *conf_value_domain(const ConfOption *option, const char *text);
const char *conf_value_keep(Arena *arena, const char *text, void *to); // a copy in the arena
void conf_value_allowed_duration(const ConfOption *option, Buf *text);
void conf_value_allowed_share(const ConfOption *option, Buf *text);
void conf_value_add_duration(int64_t ns, Buf *text);
void conf_value_add_share(uint32_t ppm, Buf *text);
