// SPDX-License-Identifier: MIT
// Fuzz target: plan.now.
#include "plan_file.h"
#include "seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PlanNow now;
    (void)!plan_now_decode(data, size, &now, NULL);
    unsigned char *sealed = seal_copy(data, size, 0);
    if (sealed != NULL && plan_now_decode(sealed, size, &now, NULL) == 0) {
        unsigned char bytes[PLAN_NOW_BYTES];
        PlanNow again;
        plan_now_encode(&now, bytes);
        ASSERT(plan_now_decode(bytes, sizeof bytes, &again, NULL) == 0);
        ASSERT(again.number == now.number && again.heartbeat.ns == now.heartbeat.ns &&
               again.boot == now.boot);
    }
    free(sealed);
    return 0;
}
