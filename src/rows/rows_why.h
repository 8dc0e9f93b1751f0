// SPDX-License-Identifier: MIT
// rows_why: every version of one row that is known anywhere, and what it means. Reading
// (rows_why.c) and explaining are apart: the explanation is pure.
#pragma once
#include "rows_check.h"

typedef enum WhyPlace {
    WHY_VISIBLE,
    WHY_PARKED,
    WHY_TOMBSTONE,
    WHY_JOURNAL, // written there and not yet emptied
    WHY_LEDGER,
    WHY_DEAD_LETTER,
    WHY_PLACE_MAX,
} WhyPlace;

const char *why_place_name(WhyPlace place);

// One trace of a version on one node.
typedef struct WhyTrace {
    uint32_t node;
    WhyPlace place;
    int64_t v, pv, cur; // CHECK_NO_VERSION: not known
    char op;            // 'I', 'U', 'D'; 0: not known
    char *kind;         // of the ledger; of a dead letter its message; else NULL
    char *row;          // JSON; NULL: not known
    char *holder;       // parked: key of the row that holds its value (JSON), or NULL
} WhyTrace;

typedef struct WhyVersion {
    int64_t v, pv;
    bool deleted;
    const char *row;               // JSON or NULL
    uint64_t nodes[WHY_PLACE_MAX]; // where
    char *text;                    // why it won or lost, malloced
} WhyVersion;

typedef struct WhyNode {
    bool read;
    int64_t safe[256]; // what it has of each origin, in microseconds
    const char *state; // "visible", "parked", "deleted", "none"
    int64_t v;         // its highest version
    char *text;        // malloced
} WhyNode;

typedef struct Why {
    const Mesh *mesh;
    const CheckTable *table;
    int64_t now_us;
    size_t n_traces, traces_capacity;
    WhyTrace *traces;
    size_t n_versions, versions_capacity; // newest first
    WhyVersion *versions;
    WhyNode nodes[CHECK_NODES_MAX];
} Why;

// The given key as JSON texts by column, added to `key`. ERROR_USAGE says how the key is given.
int why_parse_key(const CheckTable *table, const char *text, json_t *key, Error *reterr) MUST_CHECK;
int why_refuse_key(const CheckTable *table, const char *text, const char *what, Error *reterr);
uint32_t why_origin(const Why *why, int64_t v); // 0: none
// Fills versions and texts from traces and nodes. ERROR_MEMORY only.
int why_explain(Why *why, Error *reterr) MUST_CHECK;
void why_done(Why *why);
json_t *why_json(const Why *why, const char *key);
void why_print(const Why *why, const char *key, FILE *out);
