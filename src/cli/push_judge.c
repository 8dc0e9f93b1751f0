// SPDX-License-Identifier: MIT
// push_judge: see push_judge.h. Everything is compared with before: a push does not answer for what
// was wrong already. Counters are those since the agent's start: after a restart they begin again.
#include "push_judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ERRORS_LEAST 5      // fewer say nothing about a share
#define ERRORS_PPM 10000U   // 1 % beyond twice what was usual
#define RETRIES_LEAST 20    // likewise
#define RETRIES_PPM 100000U // 10 %
#define OVERLOAD_PPM PPM_ONE

static const char *name_of(const PushView *view, uint32_t region)
{
    return view->conf->model.regions[region].name;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const json_t *find_by(const json_t *list, const char *key, const char *value)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) if (strcmp(text_of(item, key), value) == 0) return item;
    return NULL;
}

// What a region says of itself; NULL: no answer.
static const json_t *self_of(const AgentAnswer *answers, uint32_t region)
{
    return answers[region].status == 200 ? json_object_get(answers[region].body, "region") : NULL;
}

// The verdict of one region about another; "" without an answer.
static const char *verdict_of(const PushView *view, const AgentAnswer *answers, uint32_t observer,
                              uint32_t gateway)
{
    if (answers[observer].status != 200)
        return "";
    return text_of(find_by(json_object_get(answers[observer].body, "gateways"), "region",
                           name_of(view, gateway)),
                   "verdict");
}

static bool has_class(const json_t *region, const char *name)
{
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(region, "classes"), i,
                       item) if (json_is_string(item) &&
                                 strcmp(json_string_value(item), name) == 0) return true;
    return false;
}

static const char *lost_class(const PushView *view, uint32_t region)
{
    const json_t *before = self_of(view->before, region), *now = self_of(view->now, region);
    for (int i = 0; now != NULL && i < SERVICE_CLASS_MAX; i++) {
        const char *name = i == SERVICE_CLASS_READ ? "read" : "write";
        if (has_class(before, name) && !has_class(now, name))
            return name;
    }
    return NULL;
}

static json_int_t replicas(const json_t *region, const char *key)
{
    return number_of(json_object_get(region, "replicas"), key);
}

static bool lost_replicas(const PushView *view, uint32_t region)
{
    const json_t *before = self_of(view->before, region), *now = self_of(view->now, region);
    return now != NULL && replicas(now, "up") < replicas(now, "want") &&
           replicas(now, "up") < replicas(before, "up");
}

static bool agent_fails(const PushView *view, char *text)
{
    const AgentAnswer *answer = &view->now[view->region];
    if (self_of(view->now, view->region) != NULL)
        return false;
    (void)snprintf(text, PUSH_TEXT_MAX, "its agent does not answer%s%.100s",
                   answer->error[0] != '\0' ? ": " : "", answer->error);
    return true;
}

static bool config_fails(const PushView *view, char *text)
{
    char hash[17];
    const json_t *now = self_of(view->now, view->region);
    (void)snprintf(hash, sizeof hash, "%016" PRIx64, view->hash);
    if (now == NULL || strcmp(text_of(now, "config_hash"), hash) == 0)
        return false;
    (void)snprintf(text, PUSH_TEXT_MAX, "its agent runs %s, not %s", text_of(now, "config_hash"),
                   hash);
    return true;
}

static bool replicas_fail(const PushView *view, char *text)
{
    const json_t *now = self_of(view->now, view->region);
    if (!lost_replicas(view, view->region))
        return false;
    (void)snprintf(text, PUSH_TEXT_MAX, "%lld of %lld replicas are up",
                   (long long)replicas(now, "up"), (long long)replicas(now, "want"));
    return true;
}

static bool classes_fail(const PushView *view, char *text)
{
    const char *lost = lost_class(view, view->region);
    if (lost != NULL)
        (void)snprintf(text, PUSH_TEXT_MAX, "it cannot serve class %s any more", lost);
    return lost != NULL;
}

// Whether `observer` judged the gateway 'up' before, and what it says now instead; NULL: the same.
static const char *turned(const PushView *view, uint32_t observer, uint32_t gateway)
{
    const char *now = verdict_of(view, view->now, observer, gateway);
    if (now[0] == '\0' || strcmp(now, "up") == 0 ||
        strcmp(verdict_of(view, view->before, observer, gateway), "up") != 0)
        return NULL;
    return now;
}

static bool others_judge(const PushView *view, bool only_down, char *text)
{
    for (uint32_t i = 0; i < view->conf->model.n_regions; i++) {
        const char *verdict = i != view->region ? turned(view, i, view->region) : NULL;
        if (verdict == NULL || (only_down && strcmp(verdict, "down") != 0))
            continue;
        (void)snprintf(text, PUSH_TEXT_MAX, "%s judges it '%s'", name_of(view, i), verdict);
        return true;
    }
    return false;
}

static bool down_fails(const PushView *view, char *text)
{
    return others_judge(view, true, text);
}

static bool verdict_fails(const PushView *view, char *text)
{
    return others_judge(view, false, text);
}

static bool sight_fails(const PushView *view, char *text)
{
    for (uint32_t i = 0; i < view->conf->model.n_regions; i++) {
        const char *verdict = turned(view, view->region, i);
        if (verdict == NULL)
            continue;
        (void)snprintf(text, PUSH_TEXT_MAX, "it judges %s '%s'", name_of(view, i), verdict);
        return true;
    }
    return false;
}

static json_int_t load_of(const PushView *view, const AgentAnswer *answers, uint32_t gateway)
{
    const AgentAnswer *answer = &answers[view->region];
    return answer->status != 200 ? 0
                                 : number_of(find_by(json_object_get(answer->body, "gateways"),
                                                     "region", name_of(view, gateway)),
                                             "projected_load_ppm");
}

static bool load_fails(const PushView *view, char *text)
{
    for (uint32_t i = 0; i < view->conf->model.n_regions; i++) {
        json_int_t before = load_of(view, view->before, i), now = load_of(view, view->now, i);
        if (now <= OVERLOAD_PPM || now <= before)
            continue;
        (void)snprintf(text, PUSH_TEXT_MAX, "its plan gives %s %lld %% of its capacity",
                       name_of(view, i), (long long)(now / 10000));
        return true;
    }
    return false;
}

// An agent that was started anew counts from zero: then all of its counters are the rise.
static uint64_t rise(const json_t *from, const json_t *to, const char *key)
{
    const json_t *before = json_object_get(from, "edge"), *now = json_object_get(to, "edge");
    bool anew = number_of(now, "requests") < number_of(before, "requests");
    json_int_t a = anew ? 0 : number_of(before, key), b = number_of(now, key);
    return (uint64_t)(b > a ? b - a : 0);
}

// Is the share of `key` in all requests since the change well above what it was before?
static bool share_fails(const PushView *view, const char *key, uint64_t least, uint64_t extra_ppm,
                        const char *what, char *text)
{
    const json_t *first = self_of(view->first, view->region),
                 *before = self_of(view->before, view->region),
                 *now = self_of(view->now, view->region);
    if (before == NULL || now == NULL)
        return false;
    uint64_t requests = rise(before, now, "requests"), counted = rise(before, now, key);
    uint64_t usual = rise(first, before, "requests"), usual_counted = rise(first, before, key);
    uint64_t usual_ppm = usual > 0 ? usual_counted * PPM_ONE / usual : 0;
    uint64_t ppm = requests > 0 ? counted * PPM_ONE / requests : 0;
    if (counted < least || ppm <= 2 * usual_ppm + extra_ppm)
        return false;
    (void)snprintf(text, PUSH_TEXT_MAX,
                   "%" PRIu64 " of %" PRIu64 " requests at its edge %s (%" PRIu64 ".%" PRIu64
                   " %%, before %" PRIu64 ".%" PRIu64 " %%)",
                   counted, requests, what, ppm / 10000, ppm / 1000 % 10, usual_ppm / 10000,
                   usual_ppm / 1000 % 10);
    return true;
}

static bool errors_fail(const PushView *view, char *text)
{
    return share_fails(view, "errors", ERRORS_LEAST, ERRORS_PPM, "got a 5xx", text);
}

static bool retries_fail(const PushView *view, char *text)
{
    return share_fails(view, "retries", RETRIES_LEAST, RETRIES_PPM, "needed a second try", text);
}

static bool alarms_fail(const PushView *view, char *text)
{
    const AgentAnswer *before = &view->before[view->region], *now = &view->now[view->region];
    size_t i;
    const json_t *item;
    if (now->status != 200)
        return false;
    json_array_foreach(json_object_get(now->body, "alarms"), i, item)
    {
        if (find_by(json_object_get(before->body, "alarms"), "name", text_of(item, "name")) != NULL)
            continue;
        (void)snprintf(text, PUSH_TEXT_MAX, "alarm '%s': %.120s", text_of(item, "name"),
                       text_of(item, "text"));
        return true;
    }
    return false;
}

// The other regions: what they say of themselves, and of each other.
static bool others_fail(const PushView *view, char *text)
{
    uint32_t n = view->conf->model.n_regions;
    for (uint32_t i = 0; i < n; i++) {
        if (i == view->region || self_of(view->before, i) == NULL)
            continue;
        const char *lost = lost_class(view, i);
        if (self_of(view->now, i) == NULL)
            (void)snprintf(text, PUSH_TEXT_MAX, "the agent of %s does not answer",
                           name_of(view, i));
        else if (lost_replicas(view, i))
            (void)snprintf(text, PUSH_TEXT_MAX, "%s has lost a replica", name_of(view, i));
        else if (lost != NULL)
            (void)snprintf(text, PUSH_TEXT_MAX, "%s cannot serve class %s any more",
                           name_of(view, i), lost);
        else
            for (uint32_t g = 0; g < n && text[0] == '\0'; g++) {
                const char *verdict = g != view->region ? turned(view, i, g) : NULL;
                if (verdict != NULL)
                    (void)snprintf(text, PUSH_TEXT_MAX, "%s judges %s '%s'", name_of(view, i),
                                   name_of(view, g), verdict);
            }
        if (text[0] != '\0')
            return true;
    }
    return false;
}

static const struct {
    const char *name;
    bool (*fails)(const PushView *view, char *text);
    bool sudden;
} CHECKS[PUSH_CHECK_MAX] = {
    [PUSH_CHECK_AGENT] = {"agent", agent_fails, false},
    [PUSH_CHECK_CONFIG] = {"config", config_fails, false},
    [PUSH_CHECK_REPLICAS] = {"replicas", replicas_fail, false},
    [PUSH_CHECK_CLASSES] = {"classes", classes_fail, false},
    [PUSH_CHECK_DOWN] = {"down", down_fails, true},
    [PUSH_CHECK_VERDICT] = {"verdict", verdict_fails, false},
    [PUSH_CHECK_SIGHT] = {"sight", sight_fails, false},
    [PUSH_CHECK_LOAD] = {"load", load_fails, false},
    [PUSH_CHECK_ERRORS] = {"errors", errors_fail, false},
    [PUSH_CHECK_RETRIES] = {"retries", retries_fail, false},
    [PUSH_CHECK_ALARMS] = {"alarms", alarms_fail, false},
    [PUSH_CHECK_OTHERS] = {"others", others_fail, false},
};

const char *push_check_name(PushCheck check)
{
    return CHECKS[check].name;
}

bool push_check_is_sudden(PushCheck check)
{
    return CHECKS[check].sudden;
}

bool push_check_fails(const PushView *view, PushCheck check, char text[PUSH_TEXT_MAX])
{
    text[0] = '\0';
    return CHECKS[check].fails(view, text);
}
