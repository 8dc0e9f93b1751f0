// SPDX-License-Identifier: MIT
// drill_target: see drill_target.h.
#include "drill_target.h"

#include <stdio.h>
#include <string.h>

#define ANY_WHO_OPTIONS (OPTION_REGION | OPTION_PROVIDER)

static uint32_t who_options(DrillWho who)
{
    switch (who) {
    case WHO_NOBODY:
        return 0;
    case WHO_REGION:
        return OPTION_REGION;
    case WHO_CLOUD:
    case WHO_TWO_CLOUDS:
        return OPTION_PROVIDER;
    case WHO_REGION_OR_CLOUD:
    case WHO_CLOUD_AND_REGION:
        break;
    }
    return OPTION_REGION | OPTION_PROVIDER;
}

static uint32_t options_given(const DrillGiven *given)
{
    return (given->region != NULL ? OPTION_REGION : 0U) |
           (given->provider != NULL ? OPTION_PROVIDER : 0U) | (given->to != NULL ? OPTION_TO : 0U) |
           (given->one_way ? OPTION_ONE_WAY : 0U) | (given->observers ? OPTION_OBSERVERS : 0U) |
           (given->probes ? OPTION_PROBES : 0U);
}

static int check_options(const DrillRow *row, uint32_t given, Error *reterr)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } NAMES[] = {
        {OPTION_REGION, "region"},   {OPTION_PROVIDER, "provider"},   {OPTION_TO, "to"},
        {OPTION_ONE_WAY, "one-way"}, {OPTION_OBSERVERS, "observers"}, {OPTION_PROBES, "probes"}};
    uint32_t allowed = who_options(row->who) | row->options;
    for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++) {
        if ((given & ~allowed & NAMES[i].bit) != 0)
            return error_set(reterr, ERROR_USAGE, "drill '%s' takes no --%s; it takes: %s",
                             row->name, NAMES[i].name, row->usage[0] != '\0' ? row->usage : "none");
    }
    return 0;
}

static int no_cloud(const Model *model, const char *text, Error *reterr)
{
    Buf known CLEANUP(buf_done) = BUF_INIT(4096);
    for (uint32_t i = 0; i < model->n_clouds; i++)
        buf_printf(&known, "%s%s", i > 0 ? ", " : "", model->clouds[i].name);
    return error_set(reterr, ERROR_USAGE, "'--provider %s': allowed: %s", text, buf_text(&known));
}

static int add_cloud(const Model *model, const char *name, uint64_t *regions, Error *reterr)
{
    int cloud = model_find_cloud(model, name);
    if (cloud < 0)
        return no_cloud(model, name, reterr);
    for (uint32_t i = 0; i < model->n_regions; i++) {
        if (model->regions[i].cloud == (uint32_t)cloud)
            *regions |= UINT64_C(1) << i;
    }
    return 0;
}

static int add_region(const Model *model, const char *name, uint64_t *regions, Error *reterr)
{
    int region = model_find_region(model, name);
    if (region < 0) {
        Buf known CLEANUP(buf_done) = BUF_INIT(16384);
        for (uint32_t i = 0; i < model->n_regions; i++)
            buf_printf(&known, "%s%s", i > 0 ? ", " : "", model->regions[i].name);
        return error_set(reterr, ERROR_USAGE, "'--region %s': allowed: %s", name, buf_text(&known));
    }
    *regions |= UINT64_C(1) << region;
    return 0;
}

static int add_two_clouds(const Model *model, const char *text, uint64_t *regions, Error *reterr)
{
    char first[DRILL_TARGET];
    const char *comma = strchr(text, ',');
    if (comma == NULL || (size_t)(comma - text) >= sizeof first)
        return no_cloud(model, text, reterr);
    (void)snprintf(first, sizeof first, "%.*s", (int)(comma - text), text);
    int r = add_cloud(model, first, regions, reterr);
    uint64_t one = *regions;
    if (r < 0 || (r = add_cloud(model, comma + 1, regions, reterr)) < 0)
        return r;
    return *regions != one
               ? 0
               : error_set(reterr, ERROR_USAGE, "'--provider %s': two different clouds", text);
}

static int choose(const Model *model, const DrillRow *row, const DrillGiven *given,
                  uint64_t *regions, Error *reterr)
{
    const char *region = given->region != NULL ? given->region : "";
    const char *cloud = given->provider != NULL ? given->provider : "";
    int r;
    switch (row->who) {
    case WHO_NOBODY:
        return 0;
    case WHO_REGION:
        return add_region(model, region, regions, reterr);
    case WHO_CLOUD:
        return add_cloud(model, cloud, regions, reterr);
    case WHO_TWO_CLOUDS:
        return add_two_clouds(model, cloud, regions, reterr);
    case WHO_REGION_OR_CLOUD:
        if ((region[0] != '\0') == (cloud[0] != '\0'))
            return error_set(reterr, ERROR_USAGE, "drill '%s' takes %s", row->name, row->usage);
        return region[0] != '\0' ? add_region(model, region, regions, reterr)
                                 : add_cloud(model, cloud, regions, reterr);
    case WHO_CLOUD_AND_REGION:
        break;
    }
    r = add_cloud(model, cloud, regions, reterr);
    uint64_t before = *regions;
    if (r == 0 && (r = add_region(model, region, regions, reterr)) == 0 && *regions == before)
        r = error_set(reterr, ERROR_USAGE, "'--region %s' belongs to '%s': take one that does not",
                      region, cloud);
    return r;
}

int drill_target(const Model *model, const DrillRow *row, const DrillGiven *given,
                 DrillOptions *options, Error *reterr)
{
    options->given = options_given(given);
    options->to = given->to;
    options->regions = 0;
    int r = check_options(row, options->given, reterr);
    if (r < 0 || (r = choose(model, row, given, &options->regions, reterr)) < 0)
        return r;
    uint64_t all = model->n_regions < 64 ? (UINT64_C(1) << model->n_regions) - 1 : UINT64_MAX;
    if (options->regions == all)
        return error_set(reterr, ERROR_USAGE, "drill '%s': nothing would survive", row->name);
    (void)snprintf(options->target, sizeof options->target, "%s%s%s%s%s%s",
                   given->provider != NULL ? given->provider : "",
                   given->provider != NULL && given->region != NULL ? " " : "",
                   given->region != NULL ? given->region : "", given->one_way ? " one way" : "",
                   given->observers ? " observers" : "", given->probes ? "probes" : "");
    return 0;
}

static const char *region_outside(const Model *model, uint32_t cloud, uint32_t turn)
{
    for (uint32_t i = 0; i < model->n_regions; i++) {
        const ModelRegion *region = &model->regions[(turn + i) % model->n_regions];
        if (region->cloud != cloud)
            return region->name;
    }
    return model->regions[0].name;
}

DrillGiven drill_target_default(const Model *model, const DrillRow *row, uint32_t variant,
                                uint32_t turn, char ret_text[DRILL_TARGET])
{
    uint32_t cloud = turn % model->n_clouds;
    uint32_t wanted = row->n_variants > 0 ? row->variants[variant] : 0;
    DrillGiven given = {.one_way = (wanted & OPTION_ONE_WAY) != 0,
                        .observers = (wanted & OPTION_OBSERVERS) != 0,
                        .probes = (wanted & OPTION_PROBES) != 0};
    uint32_t who = who_options(row->who);
    if (row->who == WHO_REGION_OR_CLOUD)
        who = wanted & ANY_WHO_OPTIONS;
    if ((who & OPTION_PROVIDER) != 0)
        given.provider = model->clouds[cloud].name;
    if ((who & OPTION_REGION) != 0)
        given.region = row->who == WHO_CLOUD_AND_REGION
                           ? region_outside(model, cloud, turn)
                           : model->regions[turn % model->n_regions].name;
    if (row->who == WHO_TWO_CLOUDS) {
        (void)snprintf(ret_text, DRILL_TARGET, "%s,%s", model->clouds[cloud].name,
                       model->clouds[(cloud + 1) % model->n_clouds].name);
        given.provider = ret_text;
    }
    return given;
}
