// SPDX-License-Identifier: MIT
// Writes docs/fleet-yaml.md from the table of options: write_page FILE
#include <stdio.h>

#include "conf_page.h"

int main(int argc, char **argv)
{
    Buf page = BUF_INIT(0);
    FILE *file = argc == 2 ? fopen(argv[1], "wb") : NULL;
    bool written = file != NULL && conf_page(&page) == 0 &&
                   fwrite(buf_text(&page), 1, page.len, file) == page.len;
    if (file != NULL)
        written &= fclose(file) == 0;
    buf_done(&page);
    if (!written)
        (void)fprintf(stderr, "usage: write_page FILE (which could not be written)\n");
    return written ? 0 : 1;
}
