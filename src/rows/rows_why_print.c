// SPDX-License-Identifier: MIT
// rows_why_print: the answer as JSON, and the text for people made of it.
#include "rows_why.h"

#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "lww.h"
#include "tell.h"

static json_t *version_text(const Why *why, int64_t v)
{
    char text[20];
    (void)snprintf(text, sizeof text, "%016" PRIx64, (uint64_t)v);
    bool known = v > CHECK_NO_VERSION && why->table->kind == TABLE_KIND_LWW;
    return known ? json_string(text) : json_null();
}

static json_t *regions_of(const Why *why, uint64_t nodes)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < why->mesh->n; i++)
        if (nodes >> i & 1)
            (void)json_array_append_new(list, json_string(why->mesh->nodes[i].region));
    return list;
}

static const char *region_of(const Why *why, uint32_t origin)
{
    for (uint32_t i = 0; i < why->mesh->n; i++)
        if (why->mesh->nodes[i].origin == origin)
            return why->mesh->nodes[i].region;
    return NULL;
}

static json_t *version_json(const Why *why, const WhyVersion *version, bool won)
{
    bool insert_only = why->table->kind == TABLE_KIND_INSERT_ONLY;
    uint32_t origin = why_origin(why, version->v);
    const char *region = region_of(why, origin);
    char when[CLOCK_TEXT_MAX];
    bool stamped = version->v > 0 && !insert_only;
    json_t *json = json_pack("{s:b,s:b,s:s}", "won", (int)won, "deleted", (int)version->deleted,
                             "why", version->text);
    (void)json_object_set_new(json, "version", version_text(why, version->v));
    (void)json_object_set_new(json, "saw", version_text(why, version->pv));
    (void)json_object_set_new(json, "origin", origin != 0 ? json_integer(origin) : json_null());
    (void)json_object_set_new(json, "region", region != NULL ? json_string(region) : json_null());
    (void)json_object_set_new(json, "written",
                              stamped ? json_string(clock_format(lww_stamp_wall(version->v), when))
                                      : json_null());
    (void)json_object_set_new(json, "row",
                              version->row != NULL ? json_string(version->row) : json_null());
    for (WhyPlace place = 0; place < WHY_PLACE_MAX; place++)
        (void)json_object_set_new(json, why_place_name(place),
                                  regions_of(why, version->nodes[place]));
    return json;
}

json_t *why_json(const Why *why, const char *key)
{
    json_t *versions = json_array(), *regions = json_array();
    for (size_t i = 0; i < why->n_versions; i++)
        (void)json_array_append_new(versions, version_json(why, &why->versions[i], i == 0));
    for (uint32_t i = 0; i < why->mesh->n; i++) {
        const WhyNode *node = &why->nodes[i];
        const MeshNode *mesh = &why->mesh->nodes[i];
        json_t *region =
            json_pack("{s:s,s:b,s:s,s:s}", "region", mesh->region, "answers", (int)node->read,
                      "state", node->read && node->state != NULL ? node->state : "unknown", "why",
                      node->text != NULL ? node->text : "");
        (void)json_object_set_new(region, "version",
                                  node->read ? version_text(why, node->v) : json_null());
        (void)json_array_append_new(regions, region);
    }
    return json_pack("{s:s,s:s,s:s,s:o,s:o}", "table", why->table->name, "key", key, "kind",
                     why->table->kind == TABLE_KIND_LWW ? "lww" : "insert-only", "versions",
                     versions, "regions", regions);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

void why_print(const Why *why, const char *key, FILE *out)
{
    json_t *root = why_json(why, key);
    const json_t *one;
    size_t i;
    tell_line(out, "%s %s", why->table->name, key);
    json_array_foreach(json_object_get(root, "versions"), i, one)
    {
        bool won = i == 0;
        const char *region = text_of(one, "region");
        tell_line(out, "%s%s%s  %s  %s  %s%s", tell_begin(out, won ? TELL_GREEN : TELL_DIM),
                  text_of(one, "version"), tell_end(out, TELL_GREEN), text_of(one, "written"),
                  region[0] != '\0' ? region : "-", won ? "" : "lost: ",
                  json_is_true(json_object_get(one, "deleted")) ? "deleted" : text_of(one, "row"));
        tell_line(out, "    %s", text_of(one, "why"));
    }
    json_array_foreach(json_object_get(root, "regions"), i, one)
    {
        tell_line(out, "  %-16s %-8s %-16s  %s", text_of(one, "region"), text_of(one, "state"),
                  text_of(one, "version"), text_of(one, "why"));
    }
    json_decref(root);
}
