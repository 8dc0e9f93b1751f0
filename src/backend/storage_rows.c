// SPDX-License-Identifier: MIT
// storage_rows: see storage_rows.h. Numbers travel as %.17g: double precision reads back the same.
#include "storage_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

void storage_row_write(const Detection *detection, unsigned origin, StorageRow *ret_row)
{
    StorageRow *row = ret_row;
    detection_format_time(detection->taken_at_us, row->taken_at);
    (void)snprintf(row->confidence, sizeof row->confidence, "%.17g", detection->confidence);
    (void)snprintf(row->latitude, sizeof row->latitude, "%.17g", detection->latitude);
    (void)snprintf(row->longitude, sizeof row->longitude, "%.17g", detection->longitude);
    (void)snprintf(row->origin, sizeof row->origin, "%u", origin);
    row->params[0] = detection->id.text;
    row->params[1] = detection->device;
    row->params[2] = row->taken_at;
    row->params[3] = detection->species;
    row->params[4] = row->confidence;
    row->params[5] = detection->has_location ? row->latitude : NULL;
    row->params[6] = detection->has_location ? row->longitude : NULL;
    row->params[7] = detection->image_digest[0] != '\0' ? detection->image_digest : NULL;
    row->params[8] = detection->idempotency_key[0] != '\0' ? detection->idempotency_key : NULL;
    row->params[9] = row->origin;
}

static bool copy(const PGresult *result, int row, int column, char *to, size_t size)
{
    size_t len = (size_t)PQgetlength(result, row, column); // 0 for NULL
    if (len >= size)
        return false;
    memcpy(to, PQgetvalue(result, row, column), len + 1);
    return true;
}

static double number(const PGresult *result, int row, int column)
{
    return strtod(PQgetvalue(result, row, column), NULL); // "" for NULL: 0
}

bool storage_row_read(const PGresult *result, int row, Detection *ret_detection)
{
    Detection d = {0};
    uint64_t origin;
    if (PQnfields(result) != 10 || !uuid_parse(PQgetvalue(result, row, 0), &d.id) ||
        !copy(result, row, 1, d.device, sizeof d.device) ||
        parse_i64(PQgetvalue(result, row, 2), (size_t)PQgetlength(result, row, 2), 0, INT64_MAX,
                  &d.taken_at_us) < 0 ||
        !copy(result, row, 3, d.species, sizeof d.species) ||
        !copy(result, row, 7, d.image_digest, sizeof d.image_digest) ||
        !copy(result, row, 8, d.idempotency_key, sizeof d.idempotency_key) ||
        parse_u64(PQgetvalue(result, row, 9), (size_t)PQgetlength(result, row, 9), 255, &origin) <
            0)
        return false;
    d.confidence = number(result, row, 4);
    d.has_location = PQgetisnull(result, row, 5) == 0;
    d.latitude = number(result, row, 5);
    d.longitude = number(result, row, 6);
    d.origin = (unsigned)origin;
    *ret_detection = d;
    return true;
}
