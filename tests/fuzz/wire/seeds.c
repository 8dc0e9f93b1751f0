// SPDX-License-Identifier: MIT
// seeds: writes the first inputs of the corpora from the unit tests' samples. Run by hand when a
// format changes: `ninja wire-seeds && wire-seeds tests/fuzz/corpus`.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "alloc.h"
#include "counters.h"
#include "plan_file.h"
#include "report_json.h"
#include "samples.h"
#include "segment.h"

static const char *root;

static void write_seed(const char *corpus, const char *name, const void *data, size_t len)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", root, corpus);
    (void)mkdir(path, 0755);
    (void)snprintf(path, sizeof path, "%s/%s/%s", root, corpus, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, len, file) != len || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void check(int r)
{
    if (r < 0) {
        (void)fprintf(stderr, "seeds: %s\n", error_code_text(r));
        exit(1);
    }
}

static void write_plans(void)
{
    Buf buf = BUF_INIT(0);
    Plan plan = sample_plan();
    check(plan_file_encode(&plan, &buf));
    write_seed("plan", "full", buf.data, buf.len);
    write_seed("plan", "torn", buf.data, buf.len / 2);
    buf_clear(&buf);
    plan = sample_plan_small();
    check(plan_file_encode(&plan, &buf));
    write_seed("plan", "small", buf.data, buf.len);
    buf_clear(&buf);
    check(prefixes_encode(SAMPLE_PREFIXES, SAMPLE_N_PREFIXES, 7, &buf));
    write_seed("prefixes", "five", buf.data, buf.len);
    buf_clear(&buf);
    check(prefixes_encode(SAMPLE_PREFIXES, 1, 8, &buf));
    write_seed("prefixes", "one", buf.data, buf.len);
    buf_done(&buf);
    const PlanNow now = {.number = UINT64_C(1795444800) << 32 | 42, .heartbeat = {5}, .boot = 9};
    unsigned char bytes[PLAN_NOW_BYTES];
    plan_now_encode(&now, bytes);
    write_seed("plan_now", "good", bytes, sizeof bytes);
    write_seed("plan_now", "torn", bytes, 40);
}

static void write_counters(void)
{
    CountersFile *file = alloc_zeroed(1, sizeof *file);
    check(file != NULL ? 0 : ERROR_MEMORY);
    file->header = (CountersHeader){.magic = COUNTERS_MAGIC,
                                    .version = COUNTERS_VERSION,
                                    .worker = 1,
                                    .pid = 4711,
                                    .started_ns = 1,
                                    .sequence = 2};
    file->edge.requests = 100;
    file->edge.retries = 3;
    write_seed("counters", "head", file, offsetof(CountersFile, targets) + 256);
    write_seed("counters", "short", file, 40);
    free(file);
}

static void write_json(void)
{
    Buf buf = BUF_INIT(0);
    Report report = sample_report();
    check(report_json_encode(&report, &buf));
    write_seed("report_json", "full", buf.data, buf.len);
    buf_clear(&buf);
    report.n_views = 1, report.n_intents = 0, report.n_services = 0;
    check(report_json_encode(&report, &buf));
    write_seed("report_json", "small", buf.data, buf.len);
    buf_clear(&buf);
    check(intents_json_encode(SAMPLE_INTENTS, SAMPLE_N_INTENTS, &buf));
    write_seed("intents_json", "all_kinds", buf.data, buf.len);
    buf_done(&buf);
    const char wish[] =
        "{\"kind\":\"pin\",\"target\":\"prefix:10.1.0.0/16\",\"region\":\"us-west1\","
        "\"author\":\"ana\",\"reason\":\"lab\",\"expires_s\":3600}";
    write_seed("intents_json", "wish", wish, sizeof wish - 1);
}

static void write_segments(void)
{
    Buf buf = BUF_INIT(0);
    check(segment_frame(&buf, "one", 3));
    check(segment_frame(&buf, "payload two", 11));
    write_seed("segment", "two", buf.data, buf.len);
    write_seed("segment", "torn", buf.data, buf.len - 3);
    buf.data[buf.len - 1] = 'X';
    write_seed("segment", "damaged", buf.data, buf.len);
    buf_done(&buf);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CORPUS_ROOT\n", argv[0]);
        return 2;
    }
    root = argv[1];
    write_plans();
    write_counters();
    write_json();
    write_segments();
    return 0;
}
