// SPDX-License-Identifier: MIT
// conf_page: see conf_page.h. One heading for each map, one row for each key.
#include "conf_page.h"

#include <string.h>

#include "conf_schema.h"
#include "conf_value.h"

static const char HEAD[] =
    "# fleet.yaml\n"
    "\n"
    "<!-- Written from the table in src/conf/conf_table.c; change it there, then run\n"
    "     `ninja -C build fleet-yaml-page`. A test compares the two. -->\n"
    "\n"
    "fleet.yaml describes the whole deployment once: every program reads it. `wildcam config "
    "check` reads it as a\n"
    "whole before anything starts; each problem names file, line, column, key, value, what is "
    "wrong and what is\n"
    "allowed. `wildcam config diff` says what a change would do.\n"
    "\n"
    "The file is plain YAML: maps, lists and values. Anchors, aliases, tags, directives, a second "
    "document, unknown\n"
    "keys and keys that are given twice are refused. A key that is left out has its default; a key "
    "without a default\n"
    "must be given.\n"
    "\n"
    "| type | written as |\n"
    "|---|---|\n"
    "| duration | a whole number and a unit: `250ms`, `5s`, `10m`, `24h`, `365d`, `100us` |\n"
    "| size | a whole number and a unit: `512B`, `16KiB`, `16MiB`, `1GiB` |\n"
    "| share | per cent, up to four decimals: `5 %`, `99.99 %` |\n"
    "| money | a decimal amount and its currency: `10000 USD`, `0.087 USD` |\n"
    "| location | latitude and longitude in degrees: `[45.84, -119.7]` |\n"
    "| prefixes | IPv4 and IPv6 networks: `[192.0.2.0/24, \"2001:db8::/32\"]` |\n"
    "| name | a DNS label: a-z, 0-9 and '-' |\n"
    "\n"
    "Where a client group has no measured latency to a region, it is derived from the two "
    "locations:\n"
    "`2 x distance / (200 km/ms) x 1.5 + 2 ms`, the distance on a sphere, light in glass, cables "
    "half as long again as\n"
    "the straight way, and 2 ms for the machines.\n";

// A cell must not hold the column separator.
static void add_cell(Buf *text, const char *cell)
{
    for (; *cell != '\0'; cell++) {
        if (*cell == '|')
            buf_add_char(text, '\\');
        buf_add_char(text, *cell);
    }
}

static void add_default(Buf *text, const ConfOption *option)
{
    if (option->type == CONF_TYPE_MAP)
        buf_add_text(text, "that of its keys");
    else if (option->fallback == NULL)
        buf_add_text(text, "must be given");
    else if (option->fallback[0] == '\0')
        buf_add_text(text, "none");
    else
        buf_printf(text, "`%s`", option->fallback);
}

static void add_row(Buf *text, const ConfOption *option)
{
    buf_printf(text, "| `%s` | %s | ", option->key, conf_value_type_name(option->type));
    add_default(text, option);
    buf_add_text(text, " | ");
    if (option->type == CONF_TYPE_MAP || option->type == CONF_TYPE_LIST) {
        buf_add_text(text, "see below");
    } else {
        Buf allowed = BUF_INIT(0);
        conf_value_allowed(option, &allowed);
        add_cell(text, buf_text(&allowed));
        text->failed |= allowed.failed;
        buf_done(&allowed);
    }
    buf_add_text(text, " | ");
    add_cell(text, option->text);
    buf_add_text(text, ". Limits: ");
    add_cell(text, option->reason);
    buf_add_text(text, " |\n");
}

static void add_section(Buf *text, const char *path, const ConfOption *of)
{
    const ConfSection *section = of->child;
    buf_printf(text, "\n## %s\n\n%s", path, section->text);
    if (of->type == CONF_TYPE_LIST)
        buf_printf(text, " A list of %lld to %lld maps.", (long long)of->min, (long long)of->max);
    if (section->only_recorded)
        buf_add_text(text, " Checked and kept; no program of this version acts on it yet.");
    buf_add_text(text,
                 "\n\n| key | type | default | allowed | what it is |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < section->n; i++)
        add_row(text, &section->options[i]);
    for (size_t i = 0; i < section->n; i++) {
        const ConfOption *option = &section->options[i];
        if (option->child == NULL)
            continue;
        Buf child = BUF_INIT(0);
        buf_printf(&child, "%s.%s", path, option->key);
        add_section(text, buf_text(&child), option);
        text->failed |= child.failed;
        buf_done(&child);
    }
}

int conf_page(Buf *ret_text)
{
    buf_add_text(ret_text, HEAD);
    for (size_t i = 0; i < CONF_ROOT.n; i++)
        add_section(ret_text, CONF_ROOT.options[i].key, &CONF_ROOT.options[i]);
    return buf_check(ret_text);
}
