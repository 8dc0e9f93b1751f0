// SPDX-License-Identifier: MIT
// relay_command: see relay_command.h.
#include "relay_command.h"

#include <string.h>

#include "parse.h"
#include "relay_door.h"

#define DELAY_MAX_NS (600 * NS_PER_S)

static bool number_after(const char *line, const char *verb, uint64_t max, uint64_t *ret_value)
{
    size_t n = strlen(verb);
    return strncmp(line, verb, n) == 0 && line[n] == ' ' &&
           parse_u64(line + n + 1, strlen(line + n + 1), max, ret_value) == 0;
}

bool relay_command(Relay *relay, const char *line, Buf *answer)
{
    uint64_t value;
    bool changed = false;
    if (number_after(line, "delay", DELAY_MAX_NS, &value)) {
        relay->delay_ns = (int64_t)value;
        changed = true;
        buf_add_text(answer, "ok\n");
    } else if (number_after(line, "errors", ERROR_SHARE_ALL, &value)) {
        relay->errors_ppm = (uint32_t)value;
        buf_add_text(answer, "ok\n");
    } else if (strcmp(line, "release") == 0) {
        for (size_t i = 0; i < relay->n_doors; i++)
            relay_door_shut(&relay->doors[i]);
        buf_add_text(answer, "ok\n");
    } else if (strcmp(line, "links") == 0) {
        buf_printf(answer, "ok %zu\n", relay->n_links);
    } else {
        buf_add_text(answer, "error allowed: delay NS (up to 600 s), errors PPM (up to 1000000), "
                             "links, release\n");
    }
    return changed;
}
