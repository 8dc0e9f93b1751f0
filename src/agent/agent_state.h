// SPDX-License-Identifier: MIT
// agent_state: what the files of this room share. Nobody else includes it.
//
//   agent.c     start, stop, reload, timers          effects.c  runs what the core asks for
//   step.c      event -> core -> update              api_*.c    HTTP
//   journal.c   records: log lines, ring, segments   renewal.c  certificates
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "agent.h"
#include "alarms.h"
#include "arena.h"
#include "bounds.h"
#include "conf.h"
#include "core.h"
#include "evidence.h"
#include "http_client.h"
#include "http_server.h"
#include "metrics.h"
#include "prober.h"
#include "publisher.h"
#include "recording.h"
#include "rows_now.h"

enum {
    JOURNAL_RECORDS = 256, // newest records kept for /v1/records and why
    REPORTS_IN_FLIGHT = 2, // per peer: a hung peer must not pile them up
};
#define STEP_ARENA_BYTES (64U << 20) // a plan for 1,000 gateways and its effects
#define API_ARENA_BYTES (64U << 20)
#define REPORT_PATH "/.well-known/wildcam/report"
#define HEALTH_PATH "/.well-known/wildcam/health"

typedef struct JournalEntry {
    RecordKind kind;
    Mono at;
    Wall wall;
    char subject[96];
    char facts[BOUND_TEXT + 64];
} JournalEntry;

typedef struct Journal { // ring; entry n is items[n % JOURNAL_RECORDS]
    uint64_t n;
    uint64_t by_kind[RECORD_KIND_MAX];
    JournalEntry *items;
} Journal;

typedef struct PeerState { // by region index of the current configuration
    uint32_t in_flight;
    uint64_t sent, answered, failed, received;
} PeerState;

typedef enum PeerRefusal {
    PEER_REFUSED_IDENTITY, // no verified peer, or not a gateway of this fleet
    PEER_REFUSED_MISMATCH, // the report names another region than its certificate
    PEER_REFUSED_FORMAT,
    PEER_REFUSED_MAX,
} PeerRefusal;

typedef struct ProbeWhy { // why probes of a gateway fail; "" since its newest answer
    char text[96];
} ProbeWhy;

typedef struct Renewal Renewal;

struct Agent {
    uv_loop_t *loop;
    char *fleet, *dir, *region;
    Conf *conf;
    uint32_t own;
    uint64_t conf_epoch; // rises with each accepted configuration: indices of before are void
    Core *core;
    uint64_t boot;
    Mono started, trimmed;
    Arena *step_arena, *report_arena;
    Arena *start_arena; // what the recording says of the start; lives as long as the agent
    unsigned depth;     // of agent_step
    bool draining;
    Mono old_plan_stands; // until then; see agent_offer_plan
    bool offer_due;       // a plan waits for that
    uv_timer_t wake, fast, slow;
    Prober *prober;
    HttpClient *peers;    // mutual TLS to other regions; NULL while its certificate is missing
    HttpClient *replicas; // UNIX sockets
    HttpServer *server;
    Publisher *publisher;
    Evidence *evidence;
    EvidenceEdge *edges; // [n_regions], scratch
    uint64_t shed;       // requests that the edge has shed ...
    Mono shed_at;        // ... the last of them; MONO_DISTANT: none
    Recording *recording;
    Renewal *renewal;
    Journal journal;
    Alarms alarms;
    PeerState *peer_states; // [n_regions]
    uint64_t peers_refused[PEER_REFUSED_MAX];
    bool intents_dirty; // not on disk yet
    MetricsHttp http;
    MetricsHistogram *probe_seconds; // [n_regions]
    uint64_t *probe_hard;            // [n_regions]
    ProbeWhy *probe_why;             // [n_regions]
    MetricsHistogram step_seconds;
    uint64_t steps, step_errors, plans;
    RowsNow rows; // what the rows daemon of this region says
};

static inline const Model *agent_model(const Agent *agent)
{
    return &agent->conf->model;
}

// step.c
// Stamps the event with the clocks. A failure left the core as it was.
int agent_step_with(Agent *agent, CoreEvent *event, Error *reterr) MUST_CHECK;
int agent_step(Agent *agent, CoreEvent *event); // the same; failures are logged
void agent_offer_plan(Agent *agent); // the core's newest, unless an older one still stands

// journal.c
int journal_init(Journal *journal, Error *reterr) MUST_CHECK;
void journal_add(Agent *agent, const Record *record);
void journal_done(Journal *journal);

// effects.c
int effects_open(Agent *agent, Error *reterr) MUST_CHECK; // prober and clients
int effects_set_model(Agent *agent, const Conf *conf, Error *reterr) MUST_CHECK;
void effects_run(Agent *agent, const CoreUpdate *update);
void effects_keep_intents(Agent *agent);
void effects_close(Agent *agent);
// Encodes the newest report for a peer into `buf`.
int effects_encode_report(Agent *agent, uint32_t peer, Buf *buf, Error *reterr) MUST_CHECK;
// Decodes, checks and absorbs. `peer`: who sent it, verified.
int effects_absorb_report(Agent *agent, uint32_t peer, const char *bytes, size_t len,
                          PeerRefusal *ret_refusal, Error *reterr) MUST_CHECK;

// renewal.c
int renewal_new(Agent *agent, Renewal **ret_renewal, Error *reterr) MUST_CHECK;
void renewal_check(Renewal *renewal); // once a second; does its work when it is due
// Seconds since 1970 at which certificate i ends (0: not known yet); -1 behind the last one.
int64_t renewal_expiry_s(const Renewal *renewal, unsigned i, const char **ret_name);
Renewal *renewal_free(Renewal *renewal);

// api.c
int api_open(Agent *agent, Error *reterr) MUST_CHECK;
