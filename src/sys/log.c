// SPDX-License-Identifier: MIT
// log: see log.h. A line is built in memory and written with one write(2), so that lines of several
// processes that share a file do not mix. When stderr is full or gone the line is dropped: logging
// never stops the program.
#include "log.h"

#include <unistd.h>

#include "buf.h"
#include "clock.h"

#define LINE_MAX_BYTES ((size_t)16 * 1024)

static const char *component_name = "?";
static const char *region_name = "";
static LogLevel least_level = LOG_LEVEL_INFO;

void log_open(const char *component, const char *region, LogLevel least)
{
    component_name = component;
    region_name = region;
    least_level = least;
}

static void add_pair(Buf *line, const char *name, const char *text)
{
    buf_add_char(line, ',');
    buf_add_json_string(line, name);
    buf_add_char(line, ':');
    buf_add_json_string(line, text);
}

void log_write(LogLevel level, const char *msg, const char *subject, const LogField *fields,
               unsigned n)
{
    static const char *const LEVELS[] = {"debug", "info", "warning", "error"};
    if (level < least_level)
        return;
    Buf line CLEANUP(buf_done) = BUF_INIT(LINE_MAX_BYTES);
    char ts[CLOCK_TEXT_MAX];
    buf_printf(&line, "{\"ts\":\"%s\"", clock_format(clock_wall(), ts));
    add_pair(&line, "level", LEVELS[level]);
    add_pair(&line, "component", component_name);
    add_pair(&line, "region", region_name);
    add_pair(&line, "msg", msg);
    if (subject != NULL)
        add_pair(&line, "subject", subject);
    for (unsigned i = 0; i < n; i++) {
        if (fields[i].text != NULL) {
            add_pair(&line, fields[i].name, fields[i].text);
        } else {
            buf_add_char(&line, ',');
            buf_add_json_string(&line, fields[i].name);
            buf_printf(&line, ":%lld", (long long)fields[i].number);
        }
    }
    buf_add_text(&line, "}\n");
    if (buf_check(&line) == 0) {
        ssize_t written = write(STDERR_FILENO, line.data, line.len);
        (void)written;
    }
}

bool log_allowed(LogLimit *limit, uint32_t per_second, Mono now, uint32_t *ret_suppressed)
{
    *ret_suppressed = 0;
    if (limit->window.ns == 0 || mono_since(now, limit->window) >= NS_PER_S) {
        *ret_suppressed = limit->suppressed;
        *limit = (LogLimit){.window = now};
    }
    if (limit->count >= per_second) {
        limit->suppressed++;
        return false;
    }
    limit->count++;
    return true;
}
