// SPDX-License-Identifier: MIT
// replication_name: see replication_name.h. Slots allow a-z, 0-9 and '_' only; regions have no '_',
// so that two regions never get the same name.
#include "replication_name.h"

#include <stdbool.h>
#include <stddef.h>

static bool add(char name[REPLICATION_NAME_MAX], size_t *at, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*at + 1 == REPLICATION_NAME_MAX)
            return false;
        name[(*at)++] = *text == '-' ? '_' : *text;
    }
    name[*at] = '\0';
    return true;
}

static void add_origin(char name[REPLICATION_NAME_MAX], size_t *at, unsigned origin)
{
    char digits[4];
    size_t n = sizeof digits;
    digits[--n] = '\0';
    do {
        digits[--n] = (char)('0' + origin % 10);
        origin /= 10;
    } while (origin > 0 && n > 0);
    (void)add(name, at, "origin-");
    (void)add(name, at, digits + n);
}

void replication_name(const char *subscriber, unsigned subscriber_origin, const char *publisher,
                      unsigned publisher_origin, char name[REPLICATION_NAME_MAX])
{
    size_t at = 0;
    if (add(name, &at, subscriber) && add(name, &at, "-from-") && add(name, &at, publisher))
        return;
    at = 0;
    add_origin(name, &at, subscriber_origin);
    (void)add(name, &at, "-from-");
    add_origin(name, &at, publisher_origin);
}
