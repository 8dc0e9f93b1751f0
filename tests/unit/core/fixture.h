// SPDX-License-Identifier: MIT
// fixture: models with the default constants, for the core's tests. Region r of cloud c is
// "c<cloud>-r<index>"; regions alternate so that two stand in each cloud by default.
#pragma once
#include <stdint.h>

#include "core.h"
#include "model.h"

#define FIXTURE_REGIONS 6
#define FIXTURE_CLOUDS 3

typedef struct Fixture {
    Model model;
    ModelCloud *clouds;
    ModelRegion *regions;
    ModelService *services;
    ModelGroup *groups;
    int64_t *latency_us; // [n_groups][n_regions]
    ModelPrefix prefix;
    char (*names)[24];
} Fixture;

// Regions are dealt out to the clouds in runs (0,0,1,1,2,2); group g is nearest to region g % n.
Fixture *fixture_new(uint32_t n_regions, uint32_t n_clouds, uint32_t n_groups);
void fixture_free(Fixture *fixture);
// Options with sockets for every replica, valid as long as the program runs.
CoreOptions fixture_options(const Fixture *fixture, uint32_t own);
