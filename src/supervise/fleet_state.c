// SPDX-License-Identifier: MIT
// fleet_state: see fleet_state.h.
#include "fleet_state.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool all_ready(const RegionView *region)
{
    for (size_t i = 0; i < region->spec->n; i++)
        if (region->programs[i].state != PROGRAM_STATE_READY &&
            region->programs[i].state != PROGRAM_STATE_DONE)
            return false;
    return true;
}

const char *region_state_name(const RegionView *region)
{
    switch (region->state) {
    case REGION_STATE_DOWN:
        return "down";
    case REGION_STATE_RUNNING:
        return all_ready(region) ? "up" : "starting";
    case REGION_STATE_HUNG:
        return "hung";
    case REGION_STATE_BACKOFF:
        return "restarting";
    case REGION_STATE_ENDING:
        return "ending";
    case REGION_STATE_MAX:
    default:
        NOT_REACHED();
    }
}

int fleet_state_program(const RegionView *region, const char *name)
{
    for (size_t i = 0; i < region->spec->n; i++)
        if (strcmp(region->spec->programs[i].name, name) == 0)
            return (int)i;
    return -1;
}

void fleet_state_message(RegionView *region, const char *message)
{
    char name[PROGRAM_NAME_MAX], state[16];
    long pid;
    unsigned restarts;
    int used = 0;
    if (sscanf(message, "%31s %15s %ld %u %n", name, state, &pid, &restarts, &used) < 4)
        return;
    int program = fleet_state_program(region, name), parsed = program_state_parse(state);
    if (program < 0 || parsed < 0)
        return;
    ProgramView *view = &region->programs[program];
    *view = (ProgramView){.state = (ProgramState)parsed, .pid = pid, .restarts = restarts};
    (void)snprintf(view->detail, sizeof view->detail, "%s", message + used);
}

RegionView *fleet_state_find(FleetState *fleet, const char *name)
{
    for (size_t i = 0; i < fleet->n; i++)
        if (strcmp(fleet->regions[i].spec->name, name) == 0)
            return &fleet->regions[i];
    return NULL;
}

static void program_json(const ProgramView *view, const Program *program, Buf *out)
{
    buf_add_text(out, "{\"name\":");
    buf_add_json_string(out, program->name);
    buf_printf(out, ",\"state\":\"%s\",\"pid\":%ld,\"restarts\":%u,\"detail\":",
               program_state_name(view->state), view->pid, view->restarts);
    buf_add_json_string(out, view->detail);
    buf_add_text(out, ",\"log\":");
    buf_add_json_string(out, program->log != NULL ? program->log : "");
    buf_add_char(out, '}');
}

static void region_json(const RegionView *region, Mono now, Buf *out)
{
    buf_add_text(out, "{\"region\":");
    buf_add_json_string(out, region->spec->name);
    buf_printf(out, ",\"state\":\"%s\",\"since_ms\":%lld,\"init_pid\":%ld,\"starts\":%u",
               region_state_name(region), (long long)(mono_since(now, region->since) / NS_PER_MS),
               (long)region->process.pid, region->starts);
    buf_add_text(out, ",\"programs\":[");
    for (size_t i = 0; i < region->spec->n; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        program_json(&region->programs[i], &region->spec->programs[i], out);
    }
    buf_add_text(out, "]}");
}

void fleet_state_json(const FleetState *fleet, Mono now, Buf *out)
{
    buf_printf(
        out, "{\"ok\":true,\"pid\":%ld,\"uptime_ms\":%lld,\"ending\":%s,\"dir\":", (long)getpid(),
        (long long)(mono_since(now, fleet->started) / NS_PER_MS), fleet->ending ? "true" : "false");
    buf_add_json_string(out, fleet->dir);
    buf_add_text(out, ",\"regions\":[");
    for (size_t i = 0; i < fleet->n; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        region_json(&fleet->regions[i], now, out);
    }
    buf_add_text(out, "]}");
}
