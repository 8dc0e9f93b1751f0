// SPDX-License-Identifier: MIT
// sim_heap: what will happen, earliest first; equal moments in the order in which they were
// planned, so that a run depends on nothing but its seed.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"

typedef enum SimEventKind {
    SIM_TICK,         // agent's timer
    SIM_PROBE_ANSWER, // id, peer: gateway, answer
    SIM_IDLE_CLOSED,  // peer: gateway
    SIM_REQUEST,      // message arrives at agent from peer
    SIM_RESPONSE,     // message arrives at agent, the answer of peer
    SIM_REPLICA,      // id: replica
    SIM_STOP,         // agent dies
    SIM_START,        // agent starts
    SIM_KILLED,       // gateway `agent` was killed: kept connections close
    SIM_TRAFFIC,      // agent's edge hands in its counts
    SIM_LOAD,         // clients of all gateways
    SIM_BACK_UP,      // agent's disk is copied
} SimEventKind;

typedef struct SimMessage SimMessage;

typedef struct SimEvent {
    int64_t at_ns;
    uint64_t order;
    SimEventKind kind;
    uint32_t agent, peer;
    uint32_t life; // of the agent that it is meant for; another one does not get it
    int answer;
    uint64_t id;
    int64_t other_ns; // REQUEST: when the response would arrive
    SimMessage *message;
} SimEvent;

typedef struct SimHeap {
    SimEvent *events;
    size_t n, capacity;
    uint64_t order;
} SimHeap;

int sim_heap_push(SimHeap *heap, SimEvent event) MUST_CHECK;
bool sim_heap_pop(SimHeap *heap, SimEvent *ret_event);
void sim_heap_done(SimHeap *heap);
