// SPDX-License-Identifier: MIT
// sim_message: see sim_message.h.
#include "sim_message.h"

#include <stdbool.h>
#include <stdlib.h>

#include "alloc.h"

#define MESSAGE_BYTES ((size_t)4 << 20)

// Copies *text in place; false when memory is short. A NULL stays one.
static bool copy_text(Arena *arena, const char **text)
{
    if (*text == NULL)
        return true;
    *text = arena_strdup(arena, *text);
    return *text != NULL;
}

static bool copy_views(Arena *arena, Report *report)
{
    report->views = arena_memdup(arena, report->views, report->n_views * sizeof *report->views);
    if (report->views == NULL)
        return false;
    for (uint32_t i = 0; i < report->n_views; i++) {
        ReportView *view = &report->views[i];
        view->votes = arena_memdup(arena, view->votes, view->n_votes * sizeof *view->votes);
        if (!copy_text(arena, &view->observer) || view->votes == NULL)
            return false;
        for (uint32_t k = 0; k < view->n_votes; k++)
            if (!copy_text(arena, &view->votes[k].gateway))
                return false;
    }
    return true;
}

static bool copy_intents(Arena *arena, Report *report)
{
    report->intents =
        arena_memdup(arena, report->intents, report->n_intents * sizeof *report->intents);
    if (report->intents == NULL)
        return false;
    for (uint32_t i = 0; i < report->n_intents; i++) {
        Intent *intent = &report->intents[i];
        if (!copy_text(arena, &intent->target) || !copy_text(arena, &intent->region) ||
            !copy_text(arena, &intent->author) || !copy_text(arena, &intent->reason))
            return false;
    }
    return true;
}

Report *sim_report_copy(Arena *arena, const Report *report)
{
    Report *copy = arena_memdup(arena, report, sizeof *report);
    if (copy == NULL || !copy_text(arena, &copy->region))
        return NULL;
    copy->services = arena_memdup(arena, copy->services, copy->n_services * sizeof *copy->services);
    if (copy->services == NULL)
        return NULL;
    for (uint32_t i = 0; i < copy->n_services; i++)
        if (!copy_text(arena, &copy->services[i].name))
            return NULL;
    return copy_views(arena, copy) && copy_intents(arena, copy) ? copy : NULL;
}

SimMessage *sim_message_take(SimMessages *pool)
{
    SimMessage *message = pool->idle;
    if (message != NULL) {
        pool->idle = message->next;
    } else {
        message = alloc_zeroed(1, sizeof *message);
        if (message == NULL)
            return NULL;
    }
    message->report = NULL;
    if (message->arena == NULL)
        message->arena = arena_new(MESSAGE_BYTES);
    if (message->arena != NULL)
        return message;
    sim_message_release(pool, message);
    return NULL;
}

SimMessage *sim_message_new(SimMessages *pool, const Report *report)
{
    SimMessage *message = sim_message_take(pool);
    if (message == NULL)
        return NULL;
    message->report = sim_report_copy(message->arena, report);
    if (message->report != NULL)
        return message;
    sim_message_release(pool, message);
    return NULL;
}

void sim_message_release(SimMessages *pool, SimMessage *message)
{
    if (message == NULL)
        return;
    if (message->arena != NULL)
        arena_reset(message->arena);
    message->next = pool->idle;
    pool->idle = message;
}

void sim_messages_done(SimMessages *pool)
{
    while (pool->idle != NULL) {
        SimMessage *next = pool->idle->next;
        pool->idle->arena = arena_free(pool->idle->arena);
        free(pool->idle);
        pool->idle = next;
    }
}
