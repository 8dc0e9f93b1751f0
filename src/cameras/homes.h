// SPDX-License-Identifier: MIT
// homes: asks an agent which gateway each camera has as its home and which as its backup (the
// answer behind `wildcam why`), once, at the start; a camera keeps both for the run. Until there is
// a DNS server this stands in for the names api.DOMAIN and backup.api.DOMAIN.
#pragma once
#include "conf.h"
#include "traffic.h"

// Fills clients[0..n). ERROR_UNAVAILABLE when no agent answers.
int homes_ask(const Conf *conf, const char *dir, uint32_t n, TrafficClient *clients,
              Error *reterr) MUST_CHECK;
// Pure: one answer of GET /v1/why. -1 in *ret_backup: none. ERROR_FORMAT, or ERROR_NOT_FOUND for a
// region that this configuration does not know.
int homes_read(const Model *model, const char *json, size_t len, uint32_t *ret_home,
               int32_t *ret_backup) MUST_CHECK;
