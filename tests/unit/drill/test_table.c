// SPDX-License-Identifier: MIT
// drill: the table of drills, the choice of targets, edits of fleet.yaml, what agents say of
// wishes.
#include "unit.h"

#include <string.h>

#include "agents_ask.h"
#include "drill_all.h"
#include "drill_figures.h"
#include "drill_target.h"
#include "fleet_edit.h"

static const ModelCloud CLOUDS[] = {{"aws"}, {"azure"}, {"gcp"}};
static const ModelRegion REGIONS[] = {
    {.name = "a1", .cloud = 0}, {.name = "a2", .cloud = 0}, {.name = "z1", .cloud = 1},
    {.name = "z2", .cloud = 1}, {.name = "g1", .cloud = 2}, {.name = "g2", .cloud = 2},
};
static const Model MODEL = {.n_clouds = 3, .clouds = CLOUDS, .n_regions = 6, .regions = REGIONS};

// Whatever a row says is said completely.
static void test_rows(void **state)
{
    for (uint32_t i = 0; i < DRILLS_N; i++) {
        const DrillRow *row = &DRILLS[i];
        assert_ptr_equal(drill_find(row->name), row);
        assert_true(strlen(row->help) > 10);
        assert_true(row->n_phases >= 1 && row->n_phases <= DRILL_PHASES);
        assert_true(row->limits[0].figure != FIGURE_END);
        for (uint32_t k = 0; k < DRILL_LIMITS && row->limits[k].figure != FIGURE_END; k++) {
            assert_true(row->limits[k].phase <= row->n_phases);
            assert_non_null(drill_figure_name(row->limits[k].figure));
        }
        for (uint32_t k = 0; k < row->n_phases; k++) {
            assert_non_null(row->phases[k].name);
            assert_true(row->phases[k].faults[0].used || row->phases[k].act != NULL);
        }
        assert_true(strlen(drill_needs(row)) > 0);
    }
    assert_null(drill_find("nonsense"));
    for (DrillFigure figure = FIGURE_END + 1; figure < FIGURE_MAX; figure++)
        assert_non_null(drill_figure_name(figure));
}

static const DrillLimit *find_limit(const char *drill, DrillFigure figure)
{
    const DrillRow *row = drill_find(drill);
    for (uint32_t k = 0; k < DRILL_LIMITS && row->limits[k].figure != FIGURE_END; k++)
        if (row->limits[k].figure == figure)
            return &row->limits[k];
    fail_msg("'%s' has no limit on %s", drill, drill_figure_name(figure));
    return NULL;
}

// A drill that waits for something also says how long that may take.
static void test_what_is_waited_for_is_judged(void **state)
{
    for (uint32_t i = 0; i < DRILLS_N; i++) {
        for (uint32_t k = 0; k < DRILLS[i].n_phases; k++) {
            DrillUntil until = DRILLS[i].phases[k].until;
            if (until == UNTIL_CLASS)
                assert_true(find_limit(DRILLS[i].name, FIGURE_CLASS_GONE)->limit > 0);
        }
    }
}

static bool flap_holds(uint32_t n, const double *holds)
{
    DrillReport report = {.n_holds = n};
    for (uint32_t i = 0; i < n; i++)
        report.holds_ms[i] = holds[i];
    const DrillRow row = {
        .limits = {*find_limit("flap", FIGURE_HOLDS), *find_limit("flap", FIGURE_SHORT_HOLDS)}};
    DrillObjective objectives[DRILL_OBJECTIVES];
    Buf missing CLEANUP(buf_done) = BUF_INIT(0);
    uint32_t found = drill_objectives(&report, &row, &(ConfObjectives){0}, objectives, &missing);
    // One hold alone is neither longer nor shorter than the last.
    assert_int_equal(found, n < 2 ? 1 : 2);
    assert_string_equal(buf_text(&missing), n < 2 ? "holds_not_longer" : "");
    return drill_held(objectives, found);
}

// No hold, or one as short as that before it: nothing was held longer each time.
static void test_flap_judges_its_holds(void **state)
{
    assert_false(flap_holds(0, NULL));
    assert_true(flap_holds(1, (const double[]){10}));
    assert_true(flap_holds(3, (const double[]){10, 20, 40}));
    assert_false(flap_holds(3, (const double[]){10, 20, 20}));
    assert_int_equal((int)find_limit("flap", FIGURE_TAKEN_DOWN)->limit, 6);
    assert_int_equal((int)find_limit("flap", FIGURE_APART)->limit, 3000);
}

// What `drill all` chooses by itself fits each row, whatever its turn.
static void test_defaults(void **state)
{
    for (uint32_t turn = 0; turn < 12; turn++) {
        for (uint32_t i = 0; i < DRILLS_N; i++) {
            uint32_t n = DRILLS[i].n_variants > 0 ? DRILLS[i].n_variants : 1;
            for (uint32_t variant = 0; variant < n; variant++) {
                char text[DRILL_TARGET];
                DrillOptions options = {.row = &DRILLS[i]};
                Error err = ERROR_INIT;
                DrillGiven given = drill_target_default(&MODEL, &DRILLS[i], variant, turn, text);
                int r = drill_target(&MODEL, &DRILLS[i], &given, &options, &err);
                if (r < 0)
                    fail_msg("%s: %s", DRILLS[i].name, error_text(&err));
                assert_int_equal(options.regions == 0, DRILLS[i].who == WHO_NOBODY);
            }
        }
    }
}

static int target(const char *name, DrillGiven given, DrillOptions *options, Error *err)
{
    *options = (DrillOptions){.row = drill_find(name)};
    return drill_target(&MODEL, options->row, &given, options, err);
}

static void test_targets(void **state)
{
    DrillOptions options;
    Error err = ERROR_INIT;
    assert_int_equal(target("provider-down", (DrillGiven){.provider = "azure"}, &options, &err), 0);
    assert_int_equal(options.regions, 0xc);
    assert_string_equal(options.target, "azure");
    assert_int_equal(target("two-clouds-down", (DrillGiven){.provider = "aws,gcp"}, &options, &err),
                     0);
    assert_int_equal(options.regions, 0x33);
    assert_int_equal(target("cloud-and-region-down",
                            (DrillGiven){.provider = "aws", .region = "g2"}, &options, &err),
                     0);
    assert_int_equal(options.regions, 0x23);
    assert_int_equal(
        target("partition", (DrillGiven){.region = "z1", .one_way = true}, &options, &err), 0);
    assert_int_equal(options.given, OPTION_REGION | OPTION_ONE_WAY);
    assert_string_equal(options.target, "z1 one way");
    assert_int_equal(target("split-brain", (DrillGiven){.to = NULL}, &options, &err), 0);
    assert_int_equal(options.regions, 0);
    error_done(&err);
}

static void test_wrong_targets(void **state)
{
    static const struct {
        const char *drill;
        DrillGiven given;
        const char *message;
    } CASES[] = {
        {"provider-down", {.to = NULL}, "'--provider ': allowed: aws, azure, gcp"},
        {"provider-down", {.provider = "aws", .region = "a1"}, "takes no --region"},
        {"two-clouds-down", {.provider = "aws,aws"}, "two different clouds"},
        {"region-down", {.region = "mars"}, "allowed: a1, a2, z1"},
        {"two-clouds-down", {.provider = "aws"}, "allowed: aws, azure, gcp"},
        {"partition", {.to = NULL}, "takes --region REGION|--provider CLOUD"},
        {"partition", {.provider = "aws", .region = "a1"}, "takes --region REGION|--provider"},
        {"cloud-and-region-down", {.provider = "aws", .region = "a2"}, "belongs to 'aws'"},
        {"flap", {.region = "a1", .probes = true}, "takes no --probes"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        DrillOptions options;
        Error err = ERROR_INIT;
        assert_int_equal(target(CASES[i].drill, CASES[i].given, &options, &err), ERROR_USAGE);
        if (strstr(error_text(&err), CASES[i].message) == NULL)
            fail_msg("'%s' is not in '%s'", CASES[i].message, error_text(&err));
        error_done(&err);
    }
}

static void test_times(void **state)
{
    const DrillPhase *flap = &drill_find("flap")->phases[0];
    assert_int_equal(drill_phase_ns(flap, false, 0, 10 * NS_PER_S), 40 * NS_PER_S);
    assert_int_equal(drill_phase_ns(flap, true, 0, 10 * NS_PER_S), 300 * NS_PER_S);
    assert_int_equal(drill_phase_ns(flap, true, 7 * NS_PER_S, 10 * NS_PER_S), 7 * NS_PER_S);
    const DrillPhase *kill = &drill_find("region-down")->phases[0];
    assert_int_equal(drill_phase_ns(kill, true, 0, 10 * NS_PER_S), 10 * NS_PER_S);
}

// The short form of everything fits into 25 minutes with the shipped times.
static void test_short_form(void **state)
{
    Conf conf = {.model = MODEL, .drills = {.min_duration_ns = 10 * NS_PER_S}};
    conf.model.health = (ModelHealth){
        .hold_ns = 10 * NS_PER_S, .up_time_ns = 2 * NS_PER_S, .return_step_ns = 5 * NS_PER_S};
    int64_t sum = 0;
    for (uint32_t i = 0; i < DRILLS_N; i++) {
        DrillOptions options = {.row = &DRILLS[i], .conf = &conf, .before_ns = 3 * NS_PER_S};
        uint32_t n = DRILLS[i].n_variants > 0 ? DRILLS[i].n_variants : 1;
        sum += n * drill_expected_ns(&options);
    }
    assert_true(sum < 25 * 60 * NS_PER_S);
}

static void test_edits(void **state)
{
    static const char TEXT[] = "fleet:\n"
                               "  generation: 1  # raise it\n"
                               "  peak_load: 6000\n"
                               "# capacity: 5 is a comment\n"
                               "regions:\n"
                               "  - {name: a, capacity: 2000, other_capacity: 3}\n"
                               "  - name: b\n"
                               "    capacity: 100   # capacity: two\n";
    Buf out = BUF_INIT(0);
    assert_int_equal(fleet_edit(TEXT, "capacity", "7", &out), 2);
    assert_string_equal(buf_text(&out), "fleet:\n"
                                        "  generation: 1  # raise it\n"
                                        "  peak_load: 6000\n"
                                        "# capacity: 5 is a comment\n"
                                        "regions:\n"
                                        "  - {name: a, capacity: 7, other_capacity: 3}\n"
                                        "  - name: b\n"
                                        "    capacity: 7   # capacity: two\n");
    buf_clear(&out);
    assert_int_equal(fleet_edit(TEXT, "generation", "2", &out), 1);
    assert_non_null(strstr(buf_text(&out), "  generation: 2  # raise it\n"));
    buf_clear(&out);
    assert_int_equal(fleet_edit("capacity:", "capacity", "2", &out), 1);
    assert_string_equal(buf_text(&out), "capacity: 2");
    buf_clear(&out);
    assert_int_equal(fleet_edit("", "capacity", "2", &out), 0);
    buf_done(&out);
}

static AgentWishes read_wishes(const char *json)
{
    AgentWishes wishes;
    agents_read_wishes(json, strlen(json), &wishes);
    return wishes;
}

#define PIN(target, stamp)                                                                         \
    "{\"kind\":\"pin\",\"target\":\"" target "\",\"author\":\"drill\",\"stamp\":\"" stamp "\"}"

static void test_wishes(void **state)
{
    AgentWishes one = read_wishes("{\"intents\":[" PIN("x", "1") "," PIN("y", "2") "]}");
    AgentWishes other = read_wishes("{\"intents\":[" PIN("y", "2") "," PIN("x", "1") "]}");
    assert_true(one.answered && other.answered);
    assert_int_equal(one.n_own, 2);
    assert_int_equal(one.digest, other.digest); // order does not matter
    other = read_wishes("{\"intents\":[" PIN("y", "3") "," PIN("x", "1") "]}");
    assert_int_not_equal(one.digest, other.digest); // who won does
    assert_false(read_wishes("{}").answered);
    assert_false(read_wishes("").answered);
}

static void test_p50(void **state)
{
    static const char STATUS[] = "{\"gateways\":[{\"region\":\"a\",\"p50_us\":700},"
                                 "{\"region\":\"b\",\"p50_us\":0}]}";
    assert_int_equal(agents_read_p50(STATUS, strlen(STATUS), "a"), 700 * NS_PER_US);
    assert_int_equal(agents_read_p50(STATUS, strlen(STATUS), "b"), 0);
    assert_int_equal(agents_read_p50(STATUS, strlen(STATUS), "c"), 0);
    assert_int_equal(agents_read_p50("", 0, "a"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_wrong_targets),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_short_form),
        cmocka_unit_test(test_edits),
        cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_p50),
        cmocka_unit_test(test_what_is_waited_for_is_judged),
        cmocka_unit_test(test_flap_judges_its_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
