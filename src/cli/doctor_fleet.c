// SPDX-License-Identifier: MIT
// doctor_fleet: the running fleet, as its agents say.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "doctor.h"
#include "fleet_view.h"
#include "parse.h"

#define PLAN_AGE_MS 2000
#define CLOCK_WARN_MS 100
#define BEGINS_MS 10000 // at first nobody answers yet

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static const json_t *view_list(const Doctor *doctor, const char *key)
{
    return json_object_get(doctor->view, key);
}

static bool answers(const json_t *region)
{
    return strcmp(text_of(region, "state"), "unreachable") != 0;
}

void doctor_agents(Doctor *doctor)
{
    size_t i, silent = 0;
    const json_t *region;
    json_array_foreach(view_list(doctor, "regions"), i, region)
    {
        char fix[256];
        const char *name = text_of(region, "region");
        (void)snprintf(fix, sizeof fix, "wildcam region restart %s agent", name);
        if (!answers(region)) {
            doctor_say(doctor, DOCTOR_BAD, fix, "the agent of %s does not answer: %s", name,
                       agents_message(&doctor->agents[i]));
            silent++;
        } else if (json_is_true(json_object_get(region, "alone")) ||
                   json_is_true(json_object_get(region, "sick"))) {
            bool begins = number_of(region, "uptime_ms") < BEGINS_MS;
            doctor_say(doctor, begins ? DOCTOR_WARN : DOCTOR_BAD, "wildcam status",
                       "%s hears %lld observers and is %s: its network or machine", name,
                       number_of(region, "fresh_observers"),
                       json_is_true(json_object_get(region, "sick")) ? "sick" : "alone");
            silent++;
        }
    }
    if (silent == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "all %zu answer and hear each other", i);
}

void doctor_gateways(Doctor *doctor)
{
    size_t i, wrong = 0;
    const json_t *gateway;
    json_array_foreach(view_list(doctor, "gateways"), i, gateway)
    {
        const char *verdict = text_of(gateway, "verdict"), *name = text_of(gateway, "region");
        bool wished = strcmp(verdict, "drained") == 0 || strcmp(verdict, "never") == 0;
        char fix[256];
        if (strcmp(verdict, "up") == 0)
            continue;
        wrong++;
        (void)snprintf(fix, sizeof fix, "wildcam traffic %s", wished ? "list" : "reset fleet");
        doctor_say(doctor, wished ? DOCTOR_WARN : DOCTOR_BAD, fix, "%s is judged '%s': %s", name,
                   verdict,
                   json_string_value(json_array_get(json_object_get(gateway, "reasons"), 0)) != NULL
                       ? json_string_value(json_array_get(json_object_get(gateway, "reasons"), 0))
                       : "");
    }
    if (wrong == 0)
        doctor_say(doctor, i > 0 ? DOCTOR_OK : DOCTOR_BAD, NULL,
                   i > 0 ? "all %zu are judged up" : "nobody judges them (%zu)", i);
}

void doctor_plans(Doctor *doctor)
{
    size_t i, wrong = 0;
    const json_t *region;
    json_array_foreach(view_list(doctor, "regions"), i, region)
    {
        const json_t *edge = json_object_get(region, "edge");
        const char *name = text_of(region, "region"), *plan = text_of(region, "plan"),
                   *oldest = text_of(edge, "oldest_plan");
        char fix[256];
        if (!answers(region))
            continue;
        if (number_of(region, "plan_age_ms") > PLAN_AGE_MS) {
            wrong++;
            doctor_say(doctor, DOCTOR_BAD, NULL, "%s: the plan on disk is %lld ms old", name,
                       number_of(region, "plan_age_ms"));
        }
        (void)snprintf(fix, sizeof fix, "wildcam region restart %s nginx", name);
        if (number_of(edge, "workers") == 0) {
            wrong++;
            doctor_say(doctor, DOCTOR_BAD, fix, "%s: no worker of its nginx writes counters", name);
        } else if (strcmp(oldest, plan) < 0 && number_of(region, "plan_age_ms") > PLAN_AGE_MS) {
            wrong++;
            doctor_say(doctor, DOCTOR_BAD, fix, "%s: a worker obeys plan %s, and %s is there", name,
                       oldest, plan);
        }
    }
    if (wrong == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "every edge obeys a plan of now");
}

void doctor_replicas(Doctor *doctor)
{
    size_t i, wrong = 0;
    const json_t *region;
    json_array_foreach(view_list(doctor, "regions"), i, region)
    {
        const json_t *replicas = json_object_get(region, "replicas");
        size_t classes = json_array_size(json_object_get(region, "classes"));
        char fix[256];
        const char *name = text_of(region, "region");
        (void)snprintf(fix, sizeof fix, "tail -n 20 %.180s/backend-1.log",
                       doctor_path(doctor, name, "log").text);
        if (!answers(region) ||
            (number_of(replicas, "up") >= number_of(replicas, "want") && classes == 2))
            continue;
        wrong++;
        doctor_say(doctor, DOCTOR_BAD, fix, "%s: %lld of %lld backends up, %zu of 2 classes", name,
                   number_of(replicas, "up"), number_of(replicas, "want"), classes);
    }
    if (wrong == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "every region has all of its backends");
}

void doctor_clocks(Doctor *doctor)
{
    size_t i, wrong = 0;
    const json_t *region;
    long long most = doctor->context.conf->model.clock_max_skew_ns / NS_PER_MS;
    json_array_foreach(view_list(doctor, "regions"), i, region)
    {
        long long offset = number_of(region, "clock_offset_ms"),
                  off = offset < 0 ? -offset : offset;
        if (off <= CLOCK_WARN_MS && off <= most)
            continue;
        wrong++;
        doctor_say(doctor, off > most ? DOCTOR_BAD : DOCTOR_WARN, NULL,
                   "%s: its clock is %lld ms off its peers'%s", text_of(region, "region"), off,
                   off > most ? ": it refuses to write" : "");
    }
    if (wrong == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "no region is more than %d ms off", CLOCK_WARN_MS);
}

// wildcam_peer_refused_total{...,reason="certificate"} 3
static unsigned long long count_refused(const char *metrics, char *reason, size_t size)
{
    unsigned long long sum = 0;
    static const char NAME[] = "\nwildcam_peer_refused_total{", REASON[] = "reason=\"";
    for (const char *at = strstr(metrics, NAME); at != NULL; at = strstr(at + 1, NAME)) {
        const char *why = strstr(at, REASON), *end = strstr(at, "} ");
        uint64_t value;
        if (end == NULL || parse_u64(end + 2, strcspn(end + 2, "\n"), UINT64_MAX, &value) < 0 ||
            value == 0)
            continue;
        sum += value;
        why = why != NULL && why < end ? why + strlen(REASON) : "?";
        (void)snprintf(reason, size, "%.*s", (int)strcspn(why, "\""), why);
    }
    return sum;
}

void doctor_peers(Doctor *doctor)
{
    const Model *model = &doctor->context.conf->model;
    size_t wrong = 0;
    for (uint32_t i = 0; i < model->n_regions; i++) {
        char *text CLEANUP(alloc_freep) = NULL;
        char reason[32] = "", fix[256];
        if (doctor->agents[i].status != 200 ||
            agents_get_text(&doctor->context, i, "/metrics", NS_PER_S, &text, NULL) < 0)
            continue;
        unsigned long long refused = count_refused(text, reason, sizeof reason);
        if (refused == 0)
            continue;
        wrong++;
        (void)snprintf(fix, sizeof fix, "tail %.200s",
                       doctor_path(doctor, model->regions[i].name, "log/refused.log").text);
        doctor_say(doctor, DOCTOR_WARN, fix, "%s has refused %llu peers since its start (%s)",
                   model->regions[i].name, refused, reason);
    }
    if (wrong == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "nobody was refused");
}

void doctor_alarms(Doctor *doctor)
{
    size_t i;
    const json_t *alarm;
    json_array_foreach(view_list(doctor, "alarms"), i, alarm)
        doctor_say(doctor, DOCTOR_WARN, "wildcam status   # docs/cli.md, Alarms", "%s: %s: %s",
                   text_of(alarm, "region"), text_of(alarm, "title"), text_of(alarm, "text"));
    if (i == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "none");
}
