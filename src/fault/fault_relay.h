// SPDX-License-Identifier: MIT
// fault_relay: what a keeper does before its first fault: a relay and its keeper may both have been
// killed, and then a replica's socket is still called ".real" while nobody listens in its place.
#pragma once
#include "fault.h"

// Puts such sockets back. Those with a living relay before them are left alone.
int fault_relay_recover(const FaultOptions *options, Error *reterr) MUST_CHECK;
