// SPDX-License-Identifier: MIT
// snapshot_fields: the fields of every struct that a core remembers, in the order in which they are
// written. A field that is missing here makes twins differ in the simulator's random runs, which
// save and load one of the two again and again.
#include "snapshot_fields.h"

#include <string.h>

#include "core_state.h"

#define UP_TO(Struct, field, most)                                                                 \
    {                                                                                              \
        offsetof(Struct, field), sizeof(((Struct *)0)->field), 1, most                             \
    }
#define MANY(Struct, field, type, count)                                                           \
    {                                                                                              \
        offsetof(Struct, field), sizeof(type), count, UINT64_MAX                                   \
    }
#define ANY(Struct, field) UP_TO(Struct, field, UINT64_MAX)
#define FLAG(Struct, field) UP_TO(Struct, field, 1)

static const SnapshotField SELF[] = {
    ANY(Self, now),
    ANY(Self, next_id),
    ANY(Self, sequence),
    MANY(Self, rng.state, uint64_t, 4),
    FLAG(Self, sick),
    ANY(Self, sick_until),
    FLAG(Self, alone),
    ANY(Self, alone_at),
    ANY(Self, together_at),
    FLAG(Self, learned),
    ANY(Self, fresh),
    FLAG(Self, settled),
    ANY(Self, report_due),
    ANY(Self, push_due),
    ANY(Self, reported_at),
    ANY(Self, removed_at),
    ANY(Self, clock_offset_ns),
    FLAG(Self, clock_refused),
    FLAG(Self, classes_known),
    ANY(Self, classes),
    FLAG(Self, withdrawn),
    FLAG(Self, withdraw_refused),
    ANY(Self, withdrawals),
    ANY(Self, withdrawn_until),
    ANY(Self, returned_at),
    ANY(Self, future_stamp),
    ANY(Self, load_rps),
    ANY(Self, load_level),
    ANY(Self, load_low_since),
    ANY(Self, load_low_peak),
    ANY(Self, reset_stamp),
    ANY(Self, reset_at),
    ANY(Self, wall),
    ANY(Self, plan_number),
    ANY(Self, plan_inputs),
    FLAG(Self, plan_emitted),
    FLAG(Self, spilling),
    FLAG(Self, overloaded),
    UP_TO(Self, served.second, INT64_MAX),
    MANY(Self, served.buckets, uint32_t, 2 * WINDOW_LONG),
    MANY(Self, served.short_sum, uint32_t, 3),
    MANY(Self, served.long_sum, uint32_t, 3),
};

static const SnapshotField PATH[] = {
    UP_TO(Path, n_probes, 1U << 16),
    ANY(Path, streak),
    FLAG(Path, soft),
    FLAG(Path, known),
    FLAG(Path, late),
    ANY(Path, refused),
    ANY(Path, first_fail),
    ANY(Path, newest_answered),
    ANY(Path, sent_at),
    ANY(Path, next),
    ANY(Path, p50_us),
    ANY(Path, p99_us),
    ANY(Path, samples),
    UP_TO(Path, rtt_class, 10),
    FLAG(Path, rtt_up),
    ANY(Path, rtt_run),
    ANY(Path, rtt_us),
    FLAG(Path, edge_known),
    ANY(Path, edge_success),
    UP_TO(Path, window.second, INT64_MAX),
    MANY(Path, window.buckets, uint32_t, 2 * WINDOW_LONG),
    MANY(Path, window.short_sum, uint32_t, 3),
    MANY(Path, window.long_sum, uint32_t, 3),
    ANY(Path, window_from),
};
_Static_assert(sizeof(WindowBucket) == 2 * sizeof(uint32_t), "buckets are pairs of counts");
_Static_assert(sizeof(ErrorWindow) == 3 * sizeof(uint32_t), "sums are three counts");

static const SnapshotField PROBE[] = {
    ANY(Probe, id),
    ANY(Probe, sent),
    ANY(Probe, deadline),
    FLAG(Probe, failed),
};

static const SnapshotField VERDICT[] = {
    FLAG(Verdict, held),       UP_TO(Verdict, cause, VERDICT_CAUSE_ADOPTED),
    ANY(Verdict, flaps),       ANY(Verdict, since),
    ANY(Verdict, last_change), ANY(Verdict, ok_since),
    ANY(Verdict, veto_since),  FLAG(Verdict, limited),
    FLAG(Verdict, failing),    FLAG(Verdict, slow),
    ANY(Verdict, slow_since),  FLAG(Verdict, shed),
    ANY(Verdict, shed_ok),     UP_TO(Verdict, step, RETURN_STEPS - 1),
    ANY(Verdict, step_at),     FLAG(Verdict, seen_up),
    FLAG(Verdict, suspect),    ANY(Verdict, up),
    ANY(Verdict, down),        ANY(Verdict, unknown),
    ANY(Verdict, fresh),       ANY(Verdict, clouds),
};

static const SnapshotField PEER[] = {
    FLAG(Peer, have),          ANY(Peer, boot),
    ANY(Peer, sequence),       MANY(Peer, boots_gone, uint64_t, 2),
    ANY(Peer, stamp_ns),       ANY(Peer, stamp_at),
    FLAG(Peer, classes_known), ANY(Peer, classes),
    ANY(Peer, capacity_rps),   ANY(Peer, load_rps),
    ANY(Peer, replicas_want),  ANY(Peer, replicas_up),
    ANY(Peer, generation),     ANY(Peer, config_hash),
    ANY(Peer, plan_number),    ANY(Peer, plan_fleet_digest),
    FLAG(Peer, offset_known),  ANY(Peer, clock_offset_ns),
    ANY(Peer, next_wish),
};

static const SnapshotField VIEW[] = {
    FLAG(View, have),         FLAG(View, direct),
    FLAG(View, direct_known), ANY(View, direct_born),
    ANY(View, boot),          ANY(View, sequence),
    ANY(View, born),          FLAG(View, sick),
    FLAG(View, alone),        MANY(View, attention, uint64_t, VIEW_WORDS),
};

static const SnapshotField REPLICA[] = {
    UP_TO(Replica, state, HEALTH_MAX - 1),
    FLAG(Replica, probed),
    ANY(Replica, classes),
    ANY(Replica, failures),
    ANY(Replica, successes),
    ANY(Replica, id),
    ANY(Replica, deadline),
    ANY(Replica, next),
};

static const SnapshotField VOTE[] = {
    UP_TO(ViewVote, vote, VOTE_MAX - 1),
    FLAG(ViewVote, soft),
    FLAG(ViewVote, slow),
    FLAG(ViewVote, held),
    ANY(ViewVote, streak),
    ANY(ViewVote, flaps),
    ANY(ViewVote, p50_us),
    ANY(ViewVote, p99_us),
    ANY(ViewVote, first_fail),
    ANY(ViewVote, edge_success),
    ANY(ViewVote, held_since),
    ANY(ViewVote, hold_until),
    MANY(ViewVote, short_window, uint32_t, 3),
    MANY(ViewVote, long_window, uint32_t, 3),
};

static const SnapshotField FACTS[] = {
    UP_TO(GatewayFacts, state, HEALTH_MAX - 1),
    ANY(GatewayFacts, classes),
    ANY(GatewayFacts, share_ppm),
    ANY(GatewayFacts, capacity_rps),
    ANY(GatewayFacts, load_rps),
    ANY(GatewayFacts, own_rtt_us),
    ANY(GatewayFacts, own_down),
};

#define TABLE(fields)                                                                              \
    {                                                                                              \
        fields, ARRAY_SIZE(fields)                                                                 \
    }
const SnapshotStruct SNAPSHOT_SELF = TABLE(SELF);
const SnapshotStruct SNAPSHOT_PATH = TABLE(PATH);
const SnapshotStruct SNAPSHOT_PROBE = TABLE(PROBE);
const SnapshotStruct SNAPSHOT_VERDICT = TABLE(VERDICT);
const SnapshotStruct SNAPSHOT_PEER = TABLE(PEER);
const SnapshotStruct SNAPSHOT_VIEW = TABLE(VIEW);
const SnapshotStruct SNAPSHOT_REPLICA = TABLE(REPLICA);
const SnapshotStruct SNAPSHOT_VOTE = TABLE(VOTE);
const SnapshotStruct SNAPSHOT_FACTS = TABLE(FACTS);

// Values go through fixed-width integers: a bool never holds anything but 0 and 1.
void snapshot_put(Buf *buf, const SnapshotStruct *of, const void *item)
{
    for (size_t i = 0; i < of->n; i++) {
        const SnapshotField *field = &of->fields[i];
        const char *at = (const char *)item + field->offset;
        for (uint32_t k = 0; k < field->count; k++, at += field->size) {
            uint64_t wide = 0;
            uint32_t narrow = 0;
            if (field->size == 1) {
                buf_put_u8(buf, (uint8_t)*at);
            } else if (field->size == sizeof narrow) {
                memcpy(&narrow, at, sizeof narrow);
                buf_put_u32(buf, narrow);
            } else {
                memcpy(&wide, at, sizeof wide);
                buf_put_u64(buf, wide);
            }
        }
    }
}

void snapshot_get(Cursor *cursor, const SnapshotStruct *of, void *item)
{
    for (size_t i = 0; i < of->n; i++) {
        const SnapshotField *field = &of->fields[i];
        char *at = (char *)item + field->offset;
        for (uint32_t k = 0; k < field->count; k++, at += field->size) {
            uint64_t value = field->size == 1   ? cursor_u8(cursor)
                             : field->size == 4 ? cursor_u32(cursor)
                                                : cursor_u64(cursor);
            if (value > field->max) {
                cursor_fail(cursor);
                return;
            }
            uint8_t byte = (uint8_t)value;
            uint32_t narrow = (uint32_t)value;
            const void *from = field->size == 1   ? (const void *)&byte
                               : field->size == 4 ? (const void *)&narrow
                                                  : (const void *)&value;
            memcpy(at, from, field->size);
        }
    }
}
