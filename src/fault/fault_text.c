// SPDX-License-Identifier: MIT
// fault_text: see fault_text.h.
#include "fault_text.h"

#include <string.h>

#include "fault_check.h"
#include "parse.h"

int fault_kind_parse(const char *name, FaultKind *ret_kind, Error *reterr)
{
    Buf known CLEANUP(buf_done) = BUF_INIT(4096);
    for (int i = 0; i < FAULT_MAX; i++) {
        if (strcmp(FAULTS[i].name, name) == 0) {
            *ret_kind = (FaultKind)i;
            return 0;
        }
        buf_printf(&known, "%s%s", i > 0 ? ", " : "", FAULTS[i].name);
    }
    return error_set(reterr, ERROR_USAGE, "unknown fault '%s'; known: %s", name, buf_text(&known));
}

static bool is_share(FaultKind kind)
{
    return kind == FAULT_LOSS || kind == FAULT_REPLICA_ERRORS;
}

int fault_value_parse(FaultKind kind, const char *text, int64_t *ret_value, Error *reterr)
{
    bool minus = text[0] == '-' && !is_share(kind);
    const char *number = text + (minus || text[0] == '+' ? 1 : 0);
    uint32_t ppm = 0;
    int64_t value = 0;
    int r = is_share(kind) ? parse_percent(number, strlen(number), &ppm)
                           : parse_duration(number, strlen(number), &value);
    if (r < 0)
        return error_set(reterr, ERROR_USAGE, "'%s' is not like '%s'", text,
                         is_share(kind) ? "20%" : "500ms");
    value = is_share(kind) ? (int64_t)ppm : value;
    value = minus ? -value : value;
    if ((r = fault_check_value(kind, value, reterr)) < 0)
        return r;
    *ret_value = value;
    return 0;
}

// --- names of regions and clouds ---
static uint64_t all_regions(const Model *model)
{
    return model->n_regions < 64 ? (UINT64_C(1) << model->n_regions) - 1 : UINT64_MAX;
}

static uint64_t cloud_regions(const Model *model, uint32_t cloud)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < model->n_regions && i < 64; i++)
        if (model->regions[i].cloud == cloud)
            mask |= UINT64_C(1) << i;
    return mask;
}

typedef enum Names { NAMES_REGIONS = 1, NAMES_CLOUDS = 2 } Names;

static int unknown_name(const char *option, const char *name, unsigned allowed, const Model *model,
                        Error *reterr)
{
    Buf known CLEANUP(buf_done) = BUF_INIT(65536);
    if ((allowed & NAMES_CLOUDS) != 0)
        for (uint32_t i = 0; i < model->n_clouds; i++)
            buf_printf(&known, "%s%s", known.len > 0 ? ", " : "", model->clouds[i].name);
    if ((allowed & NAMES_REGIONS) != 0)
        for (uint32_t i = 0; i < model->n_regions; i++)
            buf_printf(&known, "%s%s", known.len > 0 ? ", " : "", model->regions[i].name);
    return error_set(reterr, ERROR_USAGE, "'--%s %s': allowed: %s", option, name, buf_text(&known));
}

static int add_names(const char *option, const char *list, unsigned allowed, const Model *model,
                     uint64_t *mask, Error *reterr)
{
    for (const char *at = list; at != NULL;) {
        char name[256];
        size_t len = strcspn(at, ",");
        if (len >= sizeof name)
            return error_set(reterr, ERROR_USAGE, "'--%s': a name is too long", option);
        memcpy(name, at, len);
        name[len] = '\0';
        int region = model_find_region(model, name), cloud = model_find_cloud(model, name);
        if (strcmp(name, "all") == 0)
            *mask |= all_regions(model);
        else if ((allowed & NAMES_REGIONS) != 0 && region >= 0 && region < 64)
            *mask |= UINT64_C(1) << region;
        else if ((allowed & NAMES_CLOUDS) != 0 && cloud >= 0)
            *mask |= cloud_regions(model, (uint32_t)cloud);
        else
            return unknown_name(option, name, allowed, model, reterr);
        at = at[len] == ',' ? at + len + 1 : NULL;
    }
    return 0;
}

static int parse_sides(const FaultWords *words, const Model *model, Fault *fault, Error *reterr)
{
    int r = add_names("region", words->region, NAMES_REGIONS, model, &fault->a, reterr);
    if (r == 0)
        r = add_names("cloud", words->cloud, NAMES_CLOUDS, model, &fault->a, reterr);
    if (r == 0 && words->from != NULL && fault->a != 0)
        r = error_set(reterr, ERROR_USAGE, "'--from' is the other word for --region and --cloud");
    if (r == 0)
        r = add_names("from", words->from, NAMES_REGIONS | NAMES_CLOUDS, model, &fault->a, reterr);
    if (r == 0)
        r = add_names("to", words->to, NAMES_REGIONS | NAMES_CLOUDS, model, &fault->b, reterr);
    // Packets to everybody else, unless said otherwise.
    if (r == 0 && words->to == NULL && fault->a != 0 &&
        (fault->kind == FAULT_CUT || fault->kind == FAULT_LOSS)) {
        fault->b = all_regions(model) & ~fault->a;
        if (fault->b == 0)
            fault->b = fault->a;
    }
    return r;
}

int fault_parse(FaultKind kind, const FaultWords *words, const Model *model, Fault *ret_fault,
                Error *reterr)
{
    Fault fault = {.kind = kind, .one_way = words->one_way, .program = words->program};
    uint64_t port = 0;
    int r = parse_sides(words, model, &fault, reterr);
    if (r == 0 && words->port != NULL &&
        (parse_u64(words->port, strlen(words->port), UINT16_MAX, &port) < 0 || port == 0))
        r = error_set(reterr, ERROR_USAGE, "'--port %s' is not a port", words->port);
    fault.port = (uint16_t)port;
    if (r == 0 && words->value != NULL)
        r = fault_value_parse(kind, words->value, &fault.value, reterr);
    if (r == 0)
        r = fault_check(&fault, model, reterr);
    if (r == 0)
        *ret_fault = fault;
    return r;
}

// --- the declared list ---
void fault_list_text(Buf *out)
{
    for (int i = 0; i < FAULT_MAX; i++) {
        const FaultInfo *info = &FAULTS[i];
        Error err = ERROR_INIT;
        bool possible = fault_possible((FaultKind)i, &err) == 0;
        buf_printf(out, "%-15s %s\n    how    %s\n    heals  %s\n", info->name, info->breaks,
                   info->how, info->heals);
        if (info->needs[0] != '\0')
            buf_printf(out, "    needs  %s%s\n", info->needs, possible ? "" : "; not here:");
        if (!possible)
            buf_printf(out, "           %.*s\n", (int)strcspn(error_text(&err), "\n"),
                       error_text(&err));
        error_done(&err);
    }
}

void fault_list_json(Buf *out)
{
    for (int i = 0; i < FAULT_MAX; i++) {
        const FaultInfo *info = &FAULTS[i];
        const char *const fields[][2] = {{"name", info->name},
                                         {"breaks", info->breaks},
                                         {"how", info->how},
                                         {"heals", info->heals},
                                         {"needs", info->needs}};
        Error err = ERROR_INIT;
        bool possible = fault_possible((FaultKind)i, &err) == 0;
        buf_add_text(out, i == 0 ? "[{" : ",{");
        for (size_t k = 0; k < ARRAY_SIZE(fields); k++) {
            buf_printf(out, "\"%s\":", fields[k][0]);
            buf_add_json_string(out, fields[k][1]);
            buf_add_char(out, ',');
        }
        buf_printf(out, "\"possible\":%s,\"why_not\":", possible ? "true" : "false");
        if (possible)
            buf_add_text(out, "null");
        else
            buf_add_json_string(out, error_text(&err));
        buf_add_char(out, '}');
        error_done(&err);
    }
    buf_add_text(out, "]\n");
}
