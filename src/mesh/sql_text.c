// SPDX-License-Identifier: MIT
// sql_text: see sql_text.h. A word that PostgreSQL 15 reserves (also only as a type or function
// name) is quoted; so is everything that is not lower case. Quoting too much is never wrong.
#include "sql_text.h"

#include <string.h>

static const char *const reserved[] = {
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
};

static bool is_plain(const char *name)
{
    if (name[0] >= '0' && name[0] <= '9')
        return false;
    if (name[0] == '\0' || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0')
        return false;
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (strcmp(reserved[i], name) == 0)
            return false;
    return true;
}

static void add_doubled(Buf *buf, const char *text, char quote, char escape)
{
    buf_add_char(buf, quote);
    for (; *text != '\0'; text++) {
        if (*text == quote || (escape != '\0' && *text == escape))
            buf_add_char(buf, *text);
        buf_add_char(buf, *text);
    }
    buf_add_char(buf, quote);
}

void sql_text_identifier(Buf *buf, const char *name)
{
    if (is_plain(name))
        buf_add_text(buf, name);
    else
        add_doubled(buf, name, '"', '\0');
}

void sql_text_literal(Buf *buf, const char *text)
{
    if (strchr(text, '\\') == NULL) {
        add_doubled(buf, text, '\'', '\0');
        return;
    }
    buf_add_char(buf, 'E');
    add_doubled(buf, text, '\'', '\\');
}
