// SPDX-License-Identifier: MIT
// camera_report: what a run of the cameras came to, for people and for programs.
#pragma once
#include <stdio.h>

#include "conf.h"
#include "traffic.h"
#include "verify.h"

typedef struct CameraReport {
    const Conf *conf;
    uint64_t run;
    bool ran, verified, has_duplicates;
    uint32_t rate, connections;
    uint32_t clients[RECORDS_REGIONS]; // homes per gateway
    TrafficResult traffic;
    Verification verification;
    uint64_t duplicates;
} CameraReport;

int camera_report_json(const CameraReport *report, FILE *out, Error *reterr) MUST_CHECK;
int camera_report_text(const CameraReport *report, FILE *out, Error *reterr) MUST_CHECK;
