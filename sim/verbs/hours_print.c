// SPDX-License-Identifier: MIT
// hours_print: see hours_print.h.
#include "hours_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const SILENCES[SIM_SILENCE_MAX] = {"refused", "gone"};

static double hours_of(const HoursTotal *total)
{
    return (double)total->sum.length_ns / 600e9;
}

static double cpu_s(const HoursTotal *total)
{
    return (double)(total->cpu_ns > 0 ? total->cpu_ns : 1) / 1e9;
}

static void print_replay(FILE *file, const HoursTold *told, uint64_t seed)
{
    (void)fprintf(file, "wildcam sim hours --model %s --hours %" PRIu64 " --seed %" PRIu64,
                  told->model, told->stretch_hours, seed);
    if (told->lone_links_every > 1)
        (void)fprintf(file, " --lone-links %" PRIu64, told->lone_links_every);
    (void)fprintf(file, "%s%s --timeline", told->world ? " --world" : "",
                  told->in_full ? " --in-full" : "");
}

static void print_bad(FILE *file, const HoursTold *told, const HoursBad *bad)
{
    (void)fprintf(
        file, "seed %" PRIu64 ": %" PRIu64 " false, %" PRIu64 " missed%s%s\n  replay: ", bad->seed,
        bad->false_verdicts, bad->missed, bad->text[0] != '\0' ? ", " : "", bad->text);
    print_replay(file, told, bad->seed);
    (void)fputc('\n', file);
}

void hours_total_add(HoursTotal *total, const HoursTold *told, const HoursStretch *stretch)
{
    const SimTally *tally = &stretch->result.tally;
    total->stretches++;
    total->broken += stretch->code < 0;
    total->cpu_ns += stretch->cpu_ns;
    sim_hours_add(&total->sum, &stretch->result);
    if (stretch->code >= 0 && tally->verdicts[SIM_VERDICT_FALSE] == 0 && tally->missed == 0)
        return;
    HoursBad bad = {.seed = told->seed + stretch->index,
                    .false_verdicts = tally->verdicts[SIM_VERDICT_FALSE],
                    .missed = tally->missed};
    (void)snprintf(bad.text, sizeof bad.text, "%s", stretch->text);
    print_bad(stderr, told, &bad);
    if (total->n_bad < HOURS_BAD_MAX)
        total->bad[total->n_bad++] = bad;
}

bool hours_total_held(const HoursTold *told, const HoursTotal *total)
{
    return total->broken == 0 && total->sum.tally.missed == 0 &&
           total->sum.tally.verdicts[SIM_VERDICT_FALSE] <= told->allow;
}

typedef struct Quantiles {
    uint64_t n;
    uint32_t p50, p99, max;
} Quantiles;

static Quantiles quantiles_of(const SimTally *tally, int silence)
{
    Quantiles q = {0};
    uint64_t seen = 0;
    for (uint32_t ms = 0; ms < SIM_JUDGE_BINS; ms++)
        q.n += tally->took[silence][ms];
    for (uint32_t ms = 0; ms < SIM_JUDGE_BINS; ms++) {
        if (tally->took[silence][ms] == 0)
            continue;
        if (2 * seen < q.n)
            q.p50 = ms;
        if (100 * seen < 99 * q.n)
            q.p99 = ms;
        q.max = ms;
        seen += tally->took[silence][ms];
    }
    return q;
}

void hours_print_progress(const HoursTold *told, const HoursTotal *total, uint64_t wanted,
                          bool terminal)
{
    (void)fprintf(stderr,
                  "%s%.0f of %" PRIu64 " target-hours, false %" PRIu64 ", missed %" PRIu64
                  ", %.0f target-hours per CPU second%s",
                  terminal ? "\r" : "", hours_of(total), wanted * told->stretch_hours,
                  total->sum.tally.verdicts[SIM_VERDICT_FALSE], total->sum.tally.missed,
                  hours_of(total) / cpu_s(total), terminal ? "     " : "\n");
}

static void print_text(const HoursTold *told, const HoursTotal *total)
{
    const SimHoursResult *sum = &total->sum;
    const SimTally *tally = &sum->tally;
    double hours = hours_of(total), fleet_s = (double)sum->length_ns / 1e9;
    (void)printf("model %s%s: %.0f target-hours (%.0f hours of six gateways), seeds %" PRIu64
                 " to %" PRIu64 "\n",
                 told->model, told->world ? ", around the world" : "", hours, hours / 6, told->seed,
                 told->seed + (total->stretches > 0 ? total->stretches - 1 : 0));
    (void)printf("simulated   %.1f s of each hour, %" PRIu64 " steps, %.0f CPU s: %.0f "
                 "target-hours per CPU second, %.0f x real time\n",
                 (double)sum->simulated_ns / fleet_s * 3600 / 1e9, sum->steps, cpu_s(total),
                 hours / cpu_s(total), fleet_s / cpu_s(total));
    (void)printf("troubles   ");
    for (int i = 0; i < TROUBLE_MAX; i++)
        (void)printf(" %s %" PRIu64 "%s", sim_trouble_name((SimTroubleKind)i), tally->troubles[i],
                     i + 1 < TROUBLE_MAX ? "," : "\n");
    if (told->lone_links_every > 1)
        (void)printf("left out    %" PRIu64 " lone link bursts, %" PRIu64 " lone slow links\n",
                     sum->left_out[0], sum->left_out[1]);
    (void)printf("verdicts   ");
    for (int i = 0; i < SIM_VERDICT_FALSE; i++)
        (void)printf(" %s %" PRIu64 ",", sim_verdict_name((SimVerdictKind)i), tally->verdicts[i]);
    (void)printf(" false %" PRIu64 "; missed %" PRIu64 " of %" PRIu64 "\n",
                 tally->verdicts[SIM_VERDICT_FALSE], tally->missed, tally->watched);
    for (int i = 0; i < SIM_SILENCE_MAX; i++) {
        Quantiles q = quantiles_of(tally, i);
        (void)printf("%-11s held by all after %u ms p50, %u ms p99, %u ms at most; %" PRIu64
                     " of them\n",
                     SILENCES[i], q.p50, q.p99, q.max, q.n);
    }
    for (uint64_t i = 0; i < total->n_bad; i++)
        print_bad(stdout, told, &total->bad[i]);
    (void)printf("digest      %016" PRIx64 "\n%s\n", sum->digest,
                 hours_total_held(told, total) ? "held" : "NOT HELD");
}

static void add_counts(Buf *text, const char *name, const char *(*name_of)(int), int n,
                       const uint64_t *counts)
{
    buf_printf(text, ",\"%s\":{", name);
    for (int i = 0; i < n; i++) {
        buf_add_text(text, i > 0 ? "," : "");
        buf_add_char(text, '"');
        for (const char *c = name_of(i); *c != '\0'; c++)
            buf_add_char(text, *c == ' ' ? '_' : *c);
        buf_printf(text, "\":%" PRIu64, counts[i]);
    }
    buf_add_text(text, "}");
}

static const char *trouble_name(int i)
{
    return sim_trouble_name((SimTroubleKind)i);
}

static const char *verdict_name(int i)
{
    return sim_verdict_name((SimVerdictKind)i);
}

static void print_json(const HoursTold *told, const HoursTotal *total)
{
    const SimHoursResult *sum = &total->sum;
    const SimTally *tally = &sum->tally;
    double hours = hours_of(total);
    Buf text = BUF_INIT(1U << 20);
    buf_printf(&text,
               "{\"model\":\"%s\",\"world\":%s,\"target_hours\":%.0f,\"seed\":%" PRIu64
               ",\"stretches\":%" PRIu64 ",\"simulated_s\":%.1f,\"steps\":%" PRIu64
               ",\"cpu_s\":%.3f,\"target_hours_per_cpu_s\":%.1f,\"digest\":\"%016" PRIx64 "\"",
               told->model, told->world ? "true" : "false", hours, told->seed, total->stretches,
               (double)sum->simulated_ns / 1e9, sum->steps, cpu_s(total), hours / cpu_s(total),
               sum->digest);
    add_counts(&text, "troubles", trouble_name, TROUBLE_MAX, tally->troubles);
    buf_printf(&text, ",\"left_out\":{\"link_bursts\":%" PRIu64 ",\"slow_links\":%" PRIu64 "}",
               sum->left_out[0], sum->left_out[1]);
    add_counts(&text, "verdicts", verdict_name, SIM_VERDICT_MAX, tally->verdicts);
    buf_printf(&text, ",\"watched\":%" PRIu64 ",\"missed\":%" PRIu64 ",\"held_after\":{",
               tally->watched, tally->missed);
    for (int i = 0; i < SIM_SILENCE_MAX; i++) {
        Quantiles q = quantiles_of(tally, i);
        buf_printf(&text, "%s\"%s\":{\"n\":%" PRIu64 ",\"p50_ms\":%u,\"p99_ms\":%u,\"max_ms\":%u}",
                   i > 0 ? "," : "", SILENCES[i], q.n, q.p50, q.p99, q.max);
    }
    buf_add_text(&text, "},\"wrong\":[");
    for (uint64_t i = 0; i < total->n_bad; i++) {
        const HoursBad *bad = &total->bad[i];
        buf_printf(&text, "%s{\"seed\":%" PRIu64 ",\"false\":%" PRIu64 ",\"missed\":%" PRIu64,
                   i > 0 ? "," : "", bad->seed, bad->false_verdicts, bad->missed);
        buf_add_text(&text, ",\"problem\":");
        buf_add_json_string(&text, bad->text);
        buf_add_text(&text, "}");
    }
    buf_printf(&text, "],\"held\":%s}\n", hours_total_held(told, total) ? "true" : "false");
    (void)fputs(buf_text(&text), stdout);
    buf_done(&text);
}

void hours_print(const HoursTold *told, const HoursTotal *total)
{
    if (told->json)
        print_json(told, total);
    else
        print_text(told, total);
    (void)fflush(stdout);
}
