// SPDX-License-Identifier: MIT
// camera_report: see camera_report.h. Times in milliseconds with three digits.
#include "camera_report.h"

#include <errno.h>
#include <inttypes.h>

static int print(Buf *buf, FILE *out, Error *reterr)
{
    int r = buf_check(buf);
    if (r < 0)
        r = error_set(reterr, r, "report: out of memory");
    else if (fwrite(buf_text(buf), 1, buf->len, out) != buf->len || fflush(out) != 0)
        r = error_errno(reterr, errno, "report");
    buf_done(buf);
    return r;
}

static void put_ms(Buf *buf, const char *key, int64_t ns)
{
    buf_printf(buf, ",\"%s\":%" PRId64 ".%03" PRId64, key, ns / NS_PER_MS,
               ns % NS_PER_MS / NS_PER_US);
}

static void put_traffic(Buf *buf, const CameraReport *report)
{
    const Stats *stats = &report->traffic.stats;
    buf_printf(buf, ",\"rate_rps\":%" PRIu32 ",\"connections\":%" PRIu32, report->rate,
               report->connections);
    put_ms(buf, "duration_ms", report->traffic.elapsed_ns);
#define X(name) buf_printf(buf, ",\"" #name "\":%" PRIu64, stats->name);
    STATS_COUNTS(X)
#undef X
    buf_printf(buf,
               ",\"unsent\":%" PRIu64 ",\"connections_opened\":%" PRIu64
               ",\"connections_resumed\":%" PRIu64,
               report->traffic.unsent, report->traffic.connections, report->traffic.resumed);
    put_ms(buf, "p50_ms", stats_quantile_ns(stats, PPM_ONE / 2));
    put_ms(buf, "p99_ms", stats_quantile_ns(stats, PPM_ONE / 100 * 99));
    put_ms(buf, "worst_ms", stats->worst_ns);
    buf_add_text(buf, ",\"homes\":[");
    for (uint32_t i = 0; i < report->conf->model.n_regions; i++) {
        buf_add_text(buf, i > 0 ? ",{\"region\":" : "{\"region\":");
        buf_add_json_string(buf, report->conf->model.regions[i].name);
        buf_printf(buf, ",\"cameras\":%" PRIu32 "}", report->clients[i]);
    }
    buf_add_char(buf, ']');
}

int camera_report_json(const CameraReport *report, FILE *out, Error *reterr)
{
    Buf buf = BUF_INIT(0);
    buf_printf(&buf, "{\"run\":\"%016" PRIx64 "\"", report->run);
    if (report->ran)
        put_traffic(&buf, report);
    if (report->verified)
        buf_printf(&buf,
                   ",\"acknowledged\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"unanswered\":%" PRIu64,
                   report->verification.acknowledged, report->verification.lost,
                   report->verification.unanswered);
    else
        buf_printf(&buf, ",\"acknowledged\":%" PRIu64 ",\"lost\":null",
                   report->traffic.acknowledged);
    if (report->has_duplicates)
        buf_printf(&buf, ",\"duplicated_writes\":%" PRIu64 "}\n", report->duplicates);
    else
        buf_add_text(&buf, ",\"duplicated_writes\":null}\n");
    return print(&buf, out, reterr);
}

static void text_traffic(Buf *buf, const CameraReport *report)
{
    const TrafficResult *traffic = &report->traffic;
    const Stats *stats = &traffic->stats;
    buf_printf(buf,
               "%" PRIu64 " requests in %.1f s by %" PRIu32 " cameras (%" PRIu64
               " connections, %" PRIu64 " resumed)\n",
               stats->requests, (double)traffic->elapsed_ns / 1e9, report->connections,
               traffic->connections, traffic->resumed);
    buf_add_text(buf, "homes:");
    for (uint32_t i = 0; i < report->conf->model.n_regions; i++)
        buf_printf(buf, " %s %" PRIu32, report->conf->model.regions[i].name, report->clients[i]);
    buf_printf(buf,
               "\nfailed at the first try  %" PRIu64 "\nfailed after the retry   %" PRIu64
               "\nshed for lack of room    %" PRIu64 "\nreconnected              %" PRIu64 "\n",
               stats->failed_first_try, stats->failed, stats->shed, stats->reconnects);
    for (int i = TRY_STATUS; i < TRY_MAX; i++) {
        if (stats->first_results[i] > 0)
            buf_printf(buf, "  first tries: %-10s %" PRIu64 "\n", try_result_name((TryResult)i),
                       stats->first_results[i]);
    }
    buf_printf(buf, "latency                  p50 %.2f ms, p99 %.2f ms, worst %.2f ms\n",
               (double)stats_quantile_ns(stats, PPM_ONE / 2) / 1e6,
               (double)stats_quantile_ns(stats, PPM_ONE / 100 * 99) / 1e6,
               (double)stats->worst_ns / 1e6);
}

int camera_report_text(const CameraReport *report, FILE *out, Error *reterr)
{
    Buf buf = BUF_INIT(0);
    if (report->ran)
        text_traffic(&buf, report);
    if (!report->verified)
        buf_printf(&buf, "writes acknowledged      %" PRIu64 " (not checked)\n",
                   report->traffic.acknowledged);
    else if (report->verification.lost == 0)
        buf_printf(&buf, "writes acknowledged      %" PRIu64 ", each readable\n",
                   report->verification.acknowledged);
    else
        buf_printf(&buf, "writes acknowledged      %" PRIu64 ", LOST %" PRIu64 " (first: %s)\n",
                   report->verification.acknowledged, report->verification.lost,
                   report->verification.first_lost);
    if (report->has_duplicates)
        buf_printf(&buf, "stored under two keys    %" PRIu64 "\n", report->duplicates);
    return print(&buf, out, reterr);
}
