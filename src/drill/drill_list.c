// SPDX-License-Identifier: MIT
// drill_list: `wildcam drill list`, and how long a drill takes.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "drill_all.h"

#define OVERHEAD_NS (7 * NS_PER_S) // settle, start of the cameras, verification
#define BEFORE_NS (3 * NS_PER_S)
#define ACT_NS (15 * NS_PER_S) // what an act takes by itself

int64_t drill_expected_ns(const DrillOptions *options)
{
    const Conf *conf = options->conf;
    const ModelHealth *health = &conf->model.health;
    int64_t sum = OVERHEAD_NS + options->before_ns, last = 0;
    bool falls = options->row->blind;
    for (uint32_t i = 0; i < options->row->n_phases; i++) {
        const DrillPhase *phase = &options->row->phases[i];
        last = drill_phase_ns(phase, options->long_form, options->broken_ns,
                              conf->drills.min_duration_ns);
        sum += phase->instant ? ACT_NS : last;
        falls |= phase->may_fall;
    }
    if (falls) {
        int64_t hold = health->hold_ns > last ? health->hold_ns - last : 0;
        sum += hold + health->up_time_ns + 3 * health->return_step_ns;
    }
    return sum;
}

static const char *first_line(const Error *err, char *ret_text, size_t size)
{
    (void)snprintf(ret_text, size, "%s", error_text(err));
    ret_text[strcspn(ret_text, "\n")] = '\0';
    return ret_text;
}

typedef struct Listed {
    int64_t short_ns, long_ns;
    bool possible;
    char why_not[256];
} Listed;

static Listed look(const DrillRow *row, const Conf *conf)
{
    Listed listed = {0};
    Error err CLEANUP(error_done) = ERROR_INIT;
    listed.possible = drill_possible(row, &err) == 0;
    if (!listed.possible)
        (void)first_line(&err, listed.why_not, sizeof listed.why_not);
    if (conf != NULL) {
        DrillOptions options = {.row = row, .conf = conf, .before_ns = BEFORE_NS};
        listed.short_ns = drill_expected_ns(&options);
        options.long_form = true;
        listed.long_ns = drill_expected_ns(&options);
    }
    return listed;
}

static void put_time(Buf *out, int64_t ns)
{
    if (ns == 0)
        buf_printf(out, "%7s", "-");
    else
        buf_printf(out, "%5" PRId64 " s", ns / NS_PER_S);
}

static void put_text(Buf *out, const Conf *conf)
{
    buf_printf(out, "%-22s %7s %7s  %-10s %-5s %s\n", "drill", "short", "long", "needs", "can",
               "what");
    for (uint32_t i = 0; i < DRILLS_N; i++) {
        const DrillRow *row = &DRILLS[i];
        Listed listed = look(row, conf);
        buf_printf(out, "%-22s ", row->name);
        put_time(out, listed.short_ns);
        buf_add_char(out, ' ');
        put_time(out, listed.long_ns);
        buf_printf(out, "  %-10s %-5s %s\n", drill_needs(row), listed.possible ? "yes" : "no",
                   row->help);
        if (row->usage[0] != '\0')
            buf_printf(out, "%-22s %34s %s\n", "", "", row->usage);
        if (!listed.possible)
            buf_printf(out, "%-22s %34s cannot: %s\n", "", "", listed.why_not);
    }
}

static void put_json(Buf *out, const Conf *conf)
{
    buf_add_char(out, '[');
    for (uint32_t i = 0; i < DRILLS_N; i++) {
        const DrillRow *row = &DRILLS[i];
        Listed listed = look(row, conf);
        buf_printf(out, "%s{\"drill\":\"%s\",\"usage\":", i > 0 ? "," : "", row->name);
        buf_add_json_string(out, row->usage);
        buf_add_text(out, ",\"help\":");
        buf_add_json_string(out, row->help);
        buf_add_text(out, ",\"needs\":");
        buf_add_json_string(out, drill_needs(row));
        buf_printf(out, ",\"possible\":%s,\"why_not\":", listed.possible ? "true" : "false");
        buf_add_json_string(out, listed.why_not);
        if (conf != NULL)
            buf_printf(out, ",\"short_ms\":%" PRId64 ",\"long_ms\":%" PRId64 "}",
                       listed.short_ns / NS_PER_MS, listed.long_ns / NS_PER_MS);
        else
            buf_add_text(out, ",\"short_ms\":null,\"long_ms\":null}");
    }
    buf_add_text(out, "]\n");
}

int drill_list(const Conf *conf, bool json, Error *reterr)
{
    Buf out CLEANUP(buf_done) = BUF_INIT(0);
    if (json)
        put_json(&out, conf);
    else
        put_text(&out, conf);
    if (buf_check(&out) < 0)
        return error_set(reterr, ERROR_MEMORY, "out of memory");
    (void)fputs(buf_text(&out), stdout);
    return fflush(stdout) == 0 ? 0 : error_set(reterr, ERROR_UNAVAILABLE, "stdout");
}
