// SPDX-License-Identifier: MIT
// rules of a client's backup: the first gateway of another cloud, whatever stands between.
#include "pick.h"
#include "unit.h"

static void test_the_backup_lies_in_another_cloud(void **state)
{
    (void)state;
    PlanGateway gateways[] = {
        {.cloud = "aws"}, {.cloud = "aws"}, {.cloud = "gcp"}, {.cloud = "azure"}};
    const Plan plan = {.n_gateways = 4, .gateways = gateways};
    const uint32_t order[] = {1, 0, 3, 2};
    assert_int_equal(pick_backup(&plan, order, 4), 3);
    assert_int_equal(pick_backup(&plan, order, 2), -1); // both in one cloud: none
    const uint32_t mixed[] = {2, 3, 0, 1};
    assert_int_equal(pick_backup(&plan, mixed, 4), 3);
    assert_int_equal(pick_backup(&plan, mixed, 1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_backup_lies_in_another_cloud)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
