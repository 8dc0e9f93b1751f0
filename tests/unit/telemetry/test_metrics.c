// SPDX-License-Identifier: MIT
// Exact bytes of the text format, label escaping, cumulative buckets, a full table. With the
// argument
// "--print" it writes one sample of everything, which the test 'unit-telemetry-promtool' checks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "instant.h"
#include "metrics.h"

static void test_samples_are_exact(void **state)
{
    Buf out = BUF_INIT(0);
    metrics_family(&out, "wildcam_x_total", METRICS_TYPE_COUNTER, "A \\ and a\nline.");
    const MetricsLabel labels[] = {{"a", "q\"b\\c\nd"}, {"b", ""}};
    metrics_sample_u64(&out, "wildcam_x_total", labels, 2, UINT64_MAX);
    metrics_sample(&out, "wildcam_y", NULL, 0, 0.5);
    metrics_sample_ns(&out, "wildcam_z_seconds", labels + 1, 1, -1500 * NS_PER_MS);
    assert_string_equal(buf_text(&out), "# HELP wildcam_x_total A \\\\ and a\\nline.\n"
                                        "# TYPE wildcam_x_total counter\n"
                                        "wildcam_x_total{a=\"q\\\"b\\\\c\\nd\",b=\"\"} "
                                        "18446744073709551615\n"
                                        "wildcam_y 0.5\n"
                                        "wildcam_z_seconds{b=\"\"} -1.500000000\n");
    buf_done(&out);
}

static void test_buckets_are_cumulative_and_bounds_inclusive(void **state)
{
    MetricsHistogram histogram = {0};
    metrics_observe(&histogram, 500 * NS_PER_US);     // exactly the first bound
    metrics_observe(&histogram, 500 * NS_PER_US + 1); // the second
    metrics_observe(&histogram, 11 * NS_PER_S);       // +Inf
    Buf out = BUF_INIT(0);
    metrics_histogram(&out, "h", NULL, 0, &histogram);
    assert_non_null(
        strstr(buf_text(&out), "h_bucket{le=\"0.0005\"} 1\nh_bucket{le=\"0.001\"} 2\n"));
    assert_non_null(strstr(buf_text(&out), "h_bucket{le=\"10\"} 2\nh_bucket{le=\"+Inf\"} 3\n"
                                           "h_sum 11.001000001\nh_count 3\n"));
    buf_done(&out);
}

static void test_http_families(void **state)
{
    static MetricsHttp http;
    metrics_http_count(&http, "GET", "/r", 200, NS_PER_MS);
    metrics_http_count(&http, "GET", "/r", 503, NS_PER_MS);
    metrics_http_count(&http, "GET", "/r", 200, NS_PER_MS);
    metrics_http_count(&http, "BREW", "/r", 405, NS_PER_MS);
    Buf out = BUF_INIT(0);
    metrics_http_write(&out, &http, "us-west-2", "aws");
    const char *text = buf_text(&out);
    assert_non_null(strstr(text, "http_requests_total{status=\"200\",method=\"GET\",route=\"/r\","
                                 "region=\"us-west-2\",cloud=\"aws\"} 2\n"));
    assert_non_null(strstr(text, "status=\"405\",method=\"other\""));
    // One histogram per method and route, whatever the status.
    assert_non_null(strstr(text, "http_request_duration_seconds_count{method=\"GET\",route=\"/r\","
                                 "region=\"us-west-2\",cloud=\"aws\"} 3\n"));
    buf_done(&out);
}

static void test_full_table_keeps_the_totals(void **state)
{
    static MetricsHttp http;
    for (int status = 1; status <= 1000; status++)
        metrics_http_count(&http, "GET", "/r", status, 1);
    assert_int_equal(http.n, METRICS_HTTP_SLOTS);
    uint64_t total = 0;
    for (unsigned i = 0; i < http.n; i++)
        total += http.slots[i].count;
    assert_int_equal(total, 1000);
    assert_string_equal(http.slots[METRICS_HTTP_SLOTS - 1].route, "other");
}

static int print_all(void)
{
    static MetricsHttp http;
    metrics_http_count(&http, "GET", "/r", 200, NS_PER_MS);
    metrics_http_count(&http, "POST", "/r", 201, NS_PER_S);
    Buf out = BUF_INIT(0);
    metrics_http_write(&out, &http, "us-west-2", "aws");
    metrics_family(&out, "wildcam_plan_age_seconds", METRICS_TYPE_GAUGE, "Age of the plan.");
    metrics_sample_ns(&out, "wildcam_plan_age_seconds", NULL, 0, NS_PER_S);
    (void)fputs(buf_text(&out), stdout);
    buf_done(&out);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--print") == 0)
        return print_all();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_are_exact),
        cmocka_unit_test(test_buckets_are_cumulative_and_bounds_inclusive),
        cmocka_unit_test(test_http_families),
        cmocka_unit_test(test_full_table_keeps_the_totals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
