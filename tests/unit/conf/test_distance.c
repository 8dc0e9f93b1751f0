// SPDX-License-Identifier: MIT
// Distances agree with libm's haversine and with known places; latencies are the same integers on
// every machine (the expected ones are written down).
#include "unit.h"

#include <math.h>

#include "conf_distance.h"
#include "rng.h"

static ConfLocation at(double latitude, double longitude)
{
    return (ConfLocation){.latitude_udeg = (int32_t)lround(latitude * 1e6),
                          .longitude_udeg = (int32_t)lround(longitude * 1e6),
                          .given = true};
}

static double haversine_m(ConfLocation a, ConfLocation b)
{
    const double radian = acos(-1) / 180e6;
    double north = sin((b.latitude_udeg - a.latitude_udeg) * radian / 2);
    double east = sin(((double)b.longitude_udeg - a.longitude_udeg) * radian / 2);
    double h =
        north * north + cos(a.latitude_udeg * radian) * cos(b.latitude_udeg * radian) * east * east;
    return 2 * 6371008.8 * asin(sqrt(h > 1 ? 1 : h));
}

static void test_agrees_with_libm(void **state)
{
    Rng rng = rng_seeded(7);
    for (int i = 0; i < 100000; i++) {
        ConfLocation a = {.latitude_udeg = (int32_t)rng_below(&rng, 180000001) - 90000000,
                          .longitude_udeg = (int32_t)rng_below(&rng, 360000001) - 180000000};
        ConfLocation b = {.latitude_udeg = (int32_t)rng_below(&rng, 180000001) - 90000000,
                          .longitude_udeg = (int32_t)rng_below(&rng, 360000001) - 180000000};
        if (i % 3 == 0) { // neighbours
            b.latitude_udeg = a.latitude_udeg > 0 ? a.latitude_udeg - 1000 : a.latitude_udeg + 1000;
            b.longitude_udeg = a.longitude_udeg;
        }
        int64_t got = conf_distance_m(a, b);
        assert_true(fabs((double)got - haversine_m(a, b)) < 1.0);
        assert_true(got == conf_distance_m(b, a));
    }
}

static void test_known_places(void **state)
{
    assert_int_equal(conf_distance_m(at(0, 0), at(0, 0)), 0);
    assert_int_equal(conf_distance_m(at(90, 0), at(90, 77)), 0);        // one pole
    assert_int_equal(conf_distance_m(at(10, 180), at(10, -180)), 0);    // one meridian
    assert_int_equal(conf_distance_m(at(90, 0), at(-90, 0)), 20015114); // half of the circle
    assert_int_equal(conf_distance_m(at(0, 0), at(0, 180)), 20015114);
    assert_int_equal(conf_distance_m(at(0, 179.5), at(0, -179.5)), 111195); // one degree
}

static void test_latencies_are_fixed_numbers(void **state)
{
    ConfLocation oregon = at(45.84, -119.70), virginia = at(39.04, -77.49), tokyo = at(35.7, 139.7);
    assert_int_equal(conf_latency_us(oregon, oregon), 2000);
    assert_int_equal(conf_latency_us(oregon, virginia), 54537);
    assert_int_equal(conf_latency_us(tokyo, oregon), 121533);
    assert_int_equal(conf_latency_us(tokyo, virginia), 165047);
    // 100 km: 1 ms there and back, half as much again, and 2 ms
    assert_int_equal(conf_latency_us(at(0, 0), at(0.899321, 0)), 3500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_libm),
        cmocka_unit_test(test_known_places),
        cmocka_unit_test(test_latencies_are_fixed_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
