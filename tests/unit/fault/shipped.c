// SPDX-License-Identifier: MIT
// shipped: see shipped.h.
#include "shipped.h"

#include <stdio.h>

const char *shipped_root;
Conf *conf;

int shipped_load(void **state)
{
    char file[1024];
    (void)snprintf(file, sizeof file, "%s/fleet.yaml", shipped_root);
    return conf_load(file, &conf, NULL, NULL);
}

int shipped_free(void **state)
{
    conf = conf_free(conf);
    return 0;
}
