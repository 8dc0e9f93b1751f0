// SPDX-License-Identifier: MIT
// log: one JSON object a line on stderr: ts, level, component, region, msg (constant text, so that
// grep finds it), subject, then fields (contracts section 9). Messages that strangers can trigger
// go through log_limited: at most `per_second` per call site, the suppressed count is logged after.
// Only shells log; base, core, wire and conf return errors.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "instant.h"

typedef enum LogLevel {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR,
} LogLevel;

typedef struct LogField {
    const char *name;
    const char *text; // NULL: number
    int64_t number;
} LogField;

#define LOG_TEXT(n, t) ((LogField){.name = (n), .text = (t)})
#define LOG_NUMBER(n, v) ((LogField){.name = (n), .number = (int64_t)(v)})

// component: "agent"; region may be "" (the front door). Texts must outlive the process.
void log_open(const char *component, const char *region, LogLevel least);
// fields end with n; subject may be NULL.
void log_write(LogLevel level, const char *msg, const char *subject, const LogField *fields,
               unsigned n);

// log_info("plan published", "plan", LOG_NUMBER("number", plan->number));
#define LOG_FIELDS(...) ((const LogField[]){{0}, ##__VA_ARGS__})
#define log_at(level, msg, subject, ...)                                                           \
    log_write((level), (msg), (subject), LOG_FIELDS(__VA_ARGS__) + 1,                              \
              (unsigned)(sizeof(LOG_FIELDS(__VA_ARGS__)) / sizeof(LogField)) - 1)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)

typedef struct LogLimit {
    Mono window;
    uint32_t count, suppressed;
} LogLimit;

// True when this call site may log now; *ret_suppressed is what was kept back since the last time.
bool log_allowed(LogLimit *limit, uint32_t per_second, Mono now, uint32_t *ret_suppressed);
