// SPDX-License-Identifier: MIT
// sim_model: the deployment that is simulated, written down here and not read from fleet.yaml, so
// that the simulator needs no more than base and core. Names, clouds and constants are the ones of
// the shipped fleet.yaml; a test of conf that changes a default does not change a simulated result.
#pragma once
#include "model.h"

#define SIM_REGIONS 6      // of the guide's and the world's layout
#define SIM_REGIONS_MAX 12 // of a scenario's own layout: masks and matrices are that wide

// Six regions of three clouds; region r belongs to cloud r / 2.
const Model *sim_model(void);
// The same with every constant and name as it is but another generation: a CONFIG event's model.
const Model *sim_model_next(void);
const char *const *sim_model_sockets(void);
