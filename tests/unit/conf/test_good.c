// SPDX-License-Identifier: MIT
// The shipped fleet.yaml is the deployment guide's; a small file gets the same numbers by default.
#include "unit.h"

#include "fixture.h"

#define SECOND NS_PER_S

static Conf *shipped;

static int setup(void **state)
{
    shipped = fixture_load(SHIPPED_FLEET);
    return 0;
}

static int teardown(void **state)
{
    shipped = conf_free(shipped);
    return 0;
}

static void test_shipped_has_no_warning(void **state)
{
    Conf *conf = NULL;
    ConfProblems problems;
    assert_int_equal(conf_load(SHIPPED_FLEET, &conf, &problems, NULL), 0);
    for (size_t i = 0; i < problems.n; i++)
        print_error("%s\n", problems.items[i].text);
    assert_int_equal(problems.n, 0);
    assert_string_equal(conf->path, SHIPPED_FLEET);
    conf_problems_done(&problems);
    (void)conf_free(conf);
}

static void test_regions(void **state)
{
    static const struct {
        const char *name, *cloud, *address;
    } WANT[] = {
        {"us-west-2", "aws", "127.1.1.1"}, {"us-east-1", "aws", "127.1.2.1"},
        {"westus2", "azure", "127.2.1.1"}, {"eastus", "azure", "127.2.2.1"},
        {"us-west1", "gcp", "127.3.1.1"},  {"us-east1", "gcp", "127.3.2.1"},
    };
    const Model *model = &shipped->model;
    assert_int_equal(model->n_regions, 6);
    assert_int_equal(model->n_clouds, 3);
    for (uint32_t i = 0; i < 6; i++) {
        const ModelRegion *region = &model->regions[i];
        assert_string_equal(region->name, WANT[i].name);
        assert_string_equal(model->clouds[region->cloud].name, WANT[i].cloud);
        assert_string_equal(region->address, WANT[i].address);
        assert_int_equal(region->origin, i + 1);
        assert_int_equal(region->edge_port, 8443);
        assert_int_equal(region->peer_port, 8444);
        assert_int_equal(shipped->regions[i].http_port, 8480);
        assert_int_equal(shipped->regions[i].dns_port, 5300);
        assert_int_equal(shipped->regions[i].database_port, 5432);
        assert_string_equal(shipped->regions[i].database, "local");
        assert_string_equal(shipped->regions[i].store, "dir");
    }
}

static void test_guide_numbers(void **state)
{
    const ModelHealth *health = &shipped->model.health;
    assert_string_equal(shipped->model.domain, "wildcam.org");
    assert_int_equal(health->failures, 3);
    assert_int_equal(health->slow_ns, 5 * SECOND);
    assert_int_equal(health->error_rate_ppm, 50000);
    assert_int_equal(shipped->objectives.rto_ns, 300 * SECOND);
    assert_int_equal(shipped->objectives.rpo_ns, 60 * SECOND);
    assert_int_equal(shipped->objectives.failover_ns, 30 * SECOND);
    assert_int_equal(shipped->objectives.availability_ppm, 999900);
    assert_string_equal(shipped->budget.monthly, "10000");
    assert_string_equal(shipped->budget.currency, "USD");
    assert_int_equal(shipped->budget.cloud_ppm[0], 330000);
    assert_int_equal(shipped->budget.cloud_ppm[1], 330000);
    assert_int_equal(shipped->budget.cloud_ppm[2], 340000);
    assert_int_equal(shipped->budget.n_alerts, 2);
    assert_int_equal(shipped->budget.alerts_ppm[0], 800000);
    assert_int_equal(shipped->budget.alerts_ppm[1], 1000000);
}

static void test_verdict_constants(void **state)
{
    const ModelHealth *health = &shipped->model.health;
    assert_int_equal(health->probe_interval_ns, 250 * NS_PER_MS);
    assert_int_equal(health->probe_fast_ns, 100 * NS_PER_MS);
    assert_int_equal(health->hedge_ns, 250 * NS_PER_MS);
    assert_int_equal(health->deadline_min_ns, 500 * NS_PER_MS);
    assert_int_equal(health->deadline_max_ns, 1250 * NS_PER_MS);
    assert_int_equal(health->span_hard_ns, 400 * NS_PER_MS);
    assert_int_equal(health->span_soft_ns, 1500 * NS_PER_MS);
    assert_int_equal(health->report_interval_ns, 250 * NS_PER_MS);
    assert_int_equal(health->report_push_gap_ns, 50 * NS_PER_MS);
    assert_int_equal(health->fresh_ns, 1500 * NS_PER_MS);
    assert_int_equal(health->sick_hold_ns, 3 * SECOND);
    assert_int_equal(health->boot_ns, 2 * SECOND);
    assert_int_equal(health->loop_gap_ns, 500 * NS_PER_MS);
    assert_int_equal(health->veto_max_ns, 10 * SECOND);
    assert_int_equal(health->up_time_ns, 2 * SECOND);
    assert_int_equal(health->hold_ns, 10 * SECOND);
    assert_int_equal(health->hold_max_ns, 300 * SECOND);
    assert_int_equal(health->forgive_ns, 600 * SECOND);
    assert_int_equal(health->return_step_ns, 5 * SECOND);
    static const uint32_t STEPS[] = {100000, 250000, 500000, 1000000};
    assert_memory_equal(health->return_steps_ppm, STEPS, sizeof STEPS);
    assert_int_equal(shipped->model.clock_max_skew_ns, 500 * NS_PER_MS);
}

static void test_services_and_cache(void **state)
{
    const Conf *conf = shipped;
    assert_int_equal(conf->model.n_services, 2);
    assert_string_equal(conf->services[0].name, "api");
    assert_string_equal(conf->model.services[1].name, "static");
    assert_int_equal(conf->model.services[0].classes, CLASS_MASK_ALL);
    assert_int_equal(conf->model.services[1].classes, CLASS_MASK_READ);
    assert_true(conf->model.services[0].open[SERVICE_CLASS_READ]);
    assert_false(conf->model.services[0].open[SERVICE_CLASS_WRITE]);
    assert_int_equal(conf->services[0].n_routes, 3);
    assert_string_equal(conf->services[0].routes[2].path, "/api/*");
    assert_int_equal(conf->services[0].routes[2].class_for_other, SERVICE_CLASS_WRITE);
    assert_false(conf->services[0].durability_two_clouds);
    const ConfCacheRule *rules = conf->edge.cache_rules;
    assert_int_equal(conf->edge.n_cache_rules, 3);
    assert_string_equal(rules[0].name, "static");
    assert_int_equal(rules[0].ttl_ns, 365 * 86400 * SECOND);
    assert_true(rules[0].immutable);
    assert_int_equal(rules[1].ttl_ns, 300 * SECOND);
    assert_true(rules[1].if_cacheable);
    assert_int_equal(rules[2].ttl_ns, 0);
}

// Each drill group has another nearest region: a drill has clients at every edge.
static void test_drill_clients_are_spread(void **state)
{
    const Model *model = &shipped->model;
    uint32_t nearest_seen = 0, groups = 0;
    uint64_t demand = 0;
    for (uint32_t i = 0; i < model->n_groups; i++) {
        const ModelGroup *group = &model->groups[i];
        demand += group->demand_ppm;
        if (strncmp(group->name, "drill-", 6) != 0)
            continue;
        uint32_t best = 0;
        for (uint32_t j = 1; j < model->n_regions; j++)
            best = group->latency_us[j] < group->latency_us[best] ? j : best;
        assert_string_equal(group->name + 6, model->regions[best].name);
        nearest_seen |= 1U << best;
        groups++;
    }
    assert_int_equal(groups, 6);
    assert_int_equal(nearest_seen, 63);
    assert_int_equal(demand, PPM_ONE);
}

// Longest match by brute force.
static const char *group_of(const Model *model, const char *address)
{
    Ip ip;
    assert_int_equal(ip_parse(address, &ip), 0);
    const ModelPrefix *best = NULL;
    for (uint32_t i = 0; i < model->n_prefixes; i++) {
        const ModelPrefix *prefix = &model->prefixes[i];
        if (ip_prefix_contains(&prefix->prefix, &ip) &&
            (best == NULL || prefix->prefix.bits > best->prefix.bits))
            best = prefix;
    }
    return best != NULL ? model->groups[best->group].name : "none";
}

static void test_client_groups(void **state)
{
    const Model *model = &shipped->model;
    assert_string_equal(group_of(model, "8.8.8.8"), "world");
    assert_string_equal(group_of(model, "2a00::1"), "world");
    assert_string_equal(group_of(model, "127.0.0.1"), "local");
    assert_string_equal(group_of(model, "::1"), "local");
    assert_string_equal(group_of(model, "127.1.1.1"), "local");
    assert_string_equal(group_of(model, "192.0.2.7"), "example-europe");
    assert_string_equal(group_of(model, "2001:db8:2ff::1"), "example-asia");
    for (uint32_t third = 0; third < 256; third++) {
        char address[32];
        (void)snprintf(address, sizeof address, "127.100.%u.9", third);
        assert_int_equal(strncmp(group_of(model, address), "drill-", 6), 0);
    }
    for (uint32_t i = 1; i < model->n_prefixes; i++) {
        const IpPrefix *before = &model->prefixes[i - 1].prefix, *here = &model->prefixes[i].prefix;
        int order = memcmp(before->ip.bytes, here->ip.bytes, 16);
        assert_true(order < 0 || (order == 0 && before->bits < here->bits));
    }
}

static void test_small_file_has_the_same_defaults(void **state)
{
    Conf *small = fixture_load(CONF_TESTS "/good/small.yaml");
    assert_memory_equal(&small->model.health, &shipped->model.health, sizeof(ModelHealth));
    assert_memory_equal(&small->model.pick, &shipped->model.pick, sizeof(ModelPick));
    assert_memory_equal(&small->objectives, &shipped->objectives, sizeof(ConfObjectives));
    assert_memory_equal(&small->drills, &shipped->drills, sizeof(ConfDrills));
    assert_int_equal(small->certificates.lifetime_ns, shipped->certificates.lifetime_ns);
    assert_int_equal(small->edge.max_body_bytes, shipped->edge.max_body_bytes);
    assert_int_equal(small->edge.n_cache_rules, shipped->edge.n_cache_rules);
    assert_int_equal(small->model.regions[3].edge_port, 9443);
    assert_int_equal(small->model.regions[0].edge_port, 8443);
    assert_int_equal(small->model.regions[0].replicas, 2);
    assert_int_equal(small->model.groups[1].latency_us[1], 12000); // given, not derived
    assert_int_equal(small->model.regions[0].egress_cost, 0);
    (void)conf_free(small);
}

static void test_prices_are_compared_as_integers(void **state)
{
    const ModelRegion *regions = shipped->model.regions;
    assert_int_equal(regions[0].egress_cost, 90000000);
    assert_int_equal(regions[2].egress_cost, 87000000);
    assert_int_equal(regions[4].egress_cost, 120000000);
}

static void test_latency_unknown_without_place(void **state)
{
    size_t len;
    char *text = fixture_read(CONF_TESTS "/good/small.yaml", &len);
    char *changed =
        fixture_replace(text, "    location: [39.0, -77.0]\n    latency: {east-1: 12ms}\n",
                        "    latency: {east-1: 12ms, west-1: 0s, west-2: 1us, east-2: "
                        "10s}\n");
    Conf *conf = fixture_conf(changed);
    const int64_t want[] = {0, 12000, 1, 10000000};
    assert_memory_equal(conf->model.groups[1].latency_us, want, sizeof want);
    (void)conf_free(conf);
    free(changed);
    free(text);
}

// The hash is of the bytes, so that a comment shows too; the prefixes' digest is of their meaning.
static void test_hashes(void **state)
{
    size_t len;
    char *text = fixture_read(CONF_TESTS "/good/small.yaml", &len);
    char *comment = fixture_replace(text, "clouds:", "clouds: # all of them");
    char *moved = fixture_replace(text, "[\"::/0\", 192.0.2.0/24]", "[192.0.2.0/24, \"::/0\"]");
    char *wider = fixture_replace(text, "192.0.2.0/24", "192.0.2.0/23");
    Conf *confs[] = {fixture_conf(text), fixture_conf(text), fixture_conf(comment),
                     fixture_conf(moved), fixture_conf(wider)};
    assert_true(confs[0]->model.config_hash == confs[1]->model.config_hash);
    assert_true(confs[0]->model.config_hash != confs[2]->model.config_hash);
    assert_true(confs[0]->model.prefixes_digest == confs[2]->model.prefixes_digest);
    assert_true(confs[0]->model.prefixes_digest == confs[3]->model.prefixes_digest);
    assert_true(confs[0]->model.prefixes_digest != confs[4]->model.prefixes_digest);
    for (size_t i = 0; i < sizeof confs / sizeof confs[0]; i++)
        (void)conf_free(confs[i]);
    free(wider);
    free(moved);
    free(comment);
    free(text);
}

static void test_line_ends_and_mark(void **state)
{
    size_t len;
    char *text = fixture_read(CONF_TESTS "/good/small.yaml", &len), *dos = malloc(2 * len + 4);
    assert_non_null(dos);
    size_t n = 0;
    memcpy(dos, "\xef\xbb\xbf", 3); // a byte order mark, as some editors write it
    n = 3;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n')
            dos[n++] = '\r';
        dos[n++] = text[i];
    }
    dos[n] = '\0';
    Conf *conf = fixture_conf(dos);
    assert_int_equal(conf->model.n_regions, 4);
    (void)conf_free(conf);
    free(dos);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shipped_has_no_warning),
        cmocka_unit_test(test_regions),
        cmocka_unit_test(test_guide_numbers),
        cmocka_unit_test(test_verdict_constants),
        cmocka_unit_test(test_services_and_cache),
        cmocka_unit_test(test_drill_clients_are_spread),
        cmocka_unit_test(test_client_groups),
        cmocka_unit_test(test_small_file_has_the_same_defaults),
        cmocka_unit_test(test_prices_are_compared_as_integers),
        cmocka_unit_test(test_latency_unknown_without_place),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_line_ends_and_mark),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
