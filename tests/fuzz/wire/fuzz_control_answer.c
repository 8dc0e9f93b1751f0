// SPDX-License-Identifier: MIT
// Answers of the supervisor's socket: an answer or an error with a text, never both.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    json_t *root = NULL;
    Error err = ERROR_INIT;
    int r = control_answer_read(text, &root, &err);
    if ((r == 0) != (root != NULL) || (r < 0 && err.text == NULL))
        abort();
    const json_t *program = control_status_program(root, "eastus", "agent");
    if (control_status_pid(program, "pid") < 0 || control_status_state(program) == NULL ||
        control_status_pid(control_status_region(root, "eastus"), "init_pid") < 0)
        abort();
    json_decref(root);
    error_done(&err);
    free(text);
    return 0;
}
