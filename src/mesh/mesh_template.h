// SPDX-License-Identifier: MIT
// mesh_template: puts values into the SQL templates. A placeholder is a word and up to two names of
// records: {{columns NEW}}. There are no conditions and no loops: a template reads as the SQL that
// it becomes, lists come in expanded. An unknown word is an error, never an empty text.
#pragma once
#include <stdint.h>

#include "buf.h"
#include "error.h"

typedef struct MeshTemplate {
    const char *name, *text;
} MeshTemplate;

extern const MeshTemplate mesh_templates[];
extern const uint32_t mesh_n_templates;

#define MESH_TEMPLATE_ARGS 2

// Appends what `word` stands for. ERROR_NOT_FOUND: there is no such word with so many arguments.
typedef int MeshWord(void *context, const char *word, const char *const *args, uint32_t n_args,
                     Buf *buf, Error *reterr);

int mesh_template_expand(const char *name, const char *text, MeshWord *word, void *context,
                         Buf *buf, Error *reterr) MUST_CHECK;
// The embedded template of that name.
int mesh_template_use(const char *name, MeshWord *word, void *context, Buf *buf,
                      Error *reterr) MUST_CHECK;
