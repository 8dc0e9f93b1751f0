// SPDX-License-Identifier: MIT
// alarms: see the header.
#include "alarms.h"

#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "log.h"

static const char *const NAMES[] = {
#define X(name, word, text) word,
    ALARMS(X)
#undef X
};

static const char *const TITLES[] = {
#define X(name, word, text) text,
    ALARMS(X)
#undef X
};

const char *alarm_name(AlarmKind kind)
{
    return (size_t)kind < ARRAY_SIZE(NAMES) ? NAMES[kind] : "?";
}

const char *alarm_title(AlarmKind kind)
{
    return (size_t)kind < ARRAY_SIZE(TITLES) ? TITLES[kind] : "?";
}

void alarm_raise(Alarms *alarms, AlarmKind kind, Mono now, const char *text)
{
    Alarm *alarm = &alarms->items[kind];
    if (alarm->raised && strcmp(alarm->text, text) == 0)
        return;
    bool again = alarm->raised;
    if (!again)
        alarm->since = now;
    alarm->raised = true;
    snprintf(alarm->text, sizeof(alarm->text), "%s", text);
    if (!again)
        log_warning("alarm raised", alarm_name(kind), LOG_TEXT("title", alarm_title(kind)),
                    LOG_TEXT("text", text));
}

void alarm_clear(Alarms *alarms, AlarmKind kind)
{
    Alarm *alarm = &alarms->items[kind];
    if (!alarm->raised)
        return;
    alarm->raised = false;
    log_info("alarm cleared", alarm_name(kind));
}

void alarm_set(Alarms *alarms, AlarmKind kind, Mono now, bool on, const char *text)
{
    if (on)
        alarm_raise(alarms, kind, now, text);
    else
        alarm_clear(alarms, kind);
}
