// SPDX-License-Identifier: MIT
// rows_check_verdict: what the copies of one key mean. Pure, so that a table of cases tests it.
//
// `before` was read, then a fence, then `now`. Let T be the highest version in `before`: every node
// must have T or more in `now`. A row is never blamed for being parked while another region shows
// it: that follows from the row that holds its value, and that one is blamed when it differs; only
// a parked row that nobody holds back is wrong by itself.
#include "rows_check.h"

#include "lww.h"

static const struct {
    const char *name, *text;
} VERDICTS[CHECK_VERDICT_MAX] = {
    [CHECK_SAME] = {"same", "is the same everywhere"},
    [CHECK_MISSING] = {"missing", "is not there, though others have it"},
    [CHECK_STALE] = {"stale", "has an older version"},
    [CHECK_UNDELETED] = {"undeleted", "still has a row that was deleted"},
    [CHECK_CONTENT] = {"damaged", "has the same version with other content"},
    [CHECK_PARKED] = {"parked", "keeps a row parked that nothing holds back"},
    [CHECK_TOMBSTONE] = {"tombstone", "lacks the newest tombstone"},
    [CHECK_ORPHAN] = {"orphan", "refers to a row that is nowhere"},
};

const char *check_verdict_name(CheckVerdict verdict)
{
    return VERDICTS[verdict].name;
}

const char *check_verdict_text(CheckVerdict verdict)
{
    return VERDICTS[verdict].text;
}

static int64_t row_version(const CheckCopy *copy)
{
    int64_t v = copy->visible ? copy->v : CHECK_NO_VERSION;
    return copy->parked && copy->parked_v > v ? copy->parked_v : v;
}

int64_t check_copy_version(const CheckCopy *copy)
{
    int64_t v = row_version(copy);
    return copy->tombstone_v > v ? copy->tombstone_v : v;
}

static bool deleted(const CheckCopy *copy) // its highest version is a tombstone
{
    return copy->tombstone_v > CHECK_NO_VERSION && copy->tombstone_v >= row_version(copy);
}

static int64_t highest(const CheckRule *rule, const CheckCopy *copies, bool *ret_deleted)
{
    int64_t target = CHECK_NO_VERSION;
    *ret_deleted = false;
    for (uint32_t i = 0; i < rule->n; i++) {
        if (!copies[i].read || check_copy_version(&copies[i]) <= target)
            continue;
        target = check_copy_version(&copies[i]);
        *ret_deleted = deleted(&copies[i]);
    }
    return target;
}

// Insert-only: of two copies the one of the lower origin stays.
static int64_t lowest_origin(const CheckRule *rule, const CheckCopy *copies)
{
    int64_t target = CHECK_NO_VERSION;
    for (uint32_t i = 0; i < rule->n; i++)
        if (copies[i].read && copies[i].visible &&
            (target == CHECK_NO_VERSION || copies[i].v < target))
            target = copies[i].v;
    return target;
}

int64_t check_target(const CheckRule *rule, const CheckCopy *before)
{
    bool gone;
    return rule->kind == TABLE_KIND_INSERT_ONLY ? lowest_origin(rule, before)
                                                : highest(rule, before, &gone);
}

// The content of the row at version `v`; false: it does not have it.
static bool content(const CheckCopy *copy, int64_t v, uint64_t *ret_hash)
{
    if (copy->visible && copy->v == v)
        *ret_hash = copy->hash;
    else if (copy->parked && copy->parked_v == v)
        *ret_hash = copy->parked_hash;
    else
        return false;
    return true;
}

// Nodes that differ from the majority at the version that they share; 0: all the same. A tie blames
// all of them: nobody can say who is right.
static uint64_t odd_ones(const CheckRule *rule, const CheckCopy *now, int64_t v)
{
    uint64_t all = 0, most = 0;
    uint32_t best = 0;
    bool tie = false;
    for (uint32_t i = 0; i < rule->n; i++) {
        uint64_t mine, other, same = 0;
        if (!now[i].read || !content(&now[i], v, &mine))
            continue;
        all |= UINT64_C(1) << i;
        for (uint32_t j = 0; j < rule->n; j++)
            if (now[j].read && content(&now[j], v, &other) && other == mine)
                same |= UINT64_C(1) << j;
        uint32_t count = (uint32_t)__builtin_popcountll(same);
        if (count > best) {
            best = count;
            most = same;
            tie = false;
        } else if (count == best && same != most) {
            tie = true;
        }
    }
    return most == all ? 0 : tie ? all : all & ~most;
}

// Damage at any version that at least two nodes share.
static uint64_t damaged(const CheckRule *rule, const CheckCopy *now, int64_t *ret_v)
{
    for (uint32_t i = 0; i < rule->n; i++) {
        int64_t v = now[i].read ? row_version(&now[i]) : CHECK_NO_VERSION;
        uint64_t odd = v != CHECK_NO_VERSION ? odd_ones(rule, now, v) : 0;
        if (odd != 0) {
            *ret_v = v;
            return odd;
        }
    }
    return 0;
}

static CheckVerdict judge_insert_only(const CheckRule *rule, const CheckCopy *before,
                                      const CheckCopy *now, bool fenced, uint64_t *ret_wrong,
                                      int64_t *ret_target)
{
    int64_t target = lowest_origin(rule, before);
    uint64_t missing = 0, stale = 0;
    bool there = false;
    for (uint32_t i = 0; i < rule->n; i++) {
        if (!now[i].read || !before[i].read)
            continue;
        there |= now[i].visible;
        if (!now[i].visible && !before[i].visible)
            missing |= UINT64_C(1) << i;
        if (now[i].visible && now[i].v > target)
            stale |= UINT64_C(1) << i;
    }
    *ret_target = target;
    if (fenced && target != CHECK_NO_VERSION && there && missing != 0) {
        *ret_wrong = missing;
        return CHECK_MISSING;
    }
    if (fenced && target != CHECK_NO_VERSION && stale != 0) {
        *ret_wrong = stale;
        return CHECK_STALE;
    }
    *ret_wrong = damaged(rule, now, ret_target);
    return *ret_wrong != 0 ? CHECK_CONTENT : CHECK_SAME;
}

typedef struct Masks {
    uint64_t undeleted, missing, stale, parked, tombstone;
} Masks;

// What one node's own snapshot shows, without the others.
static void look_alone(const CheckCopy *copy, uint64_t bit, Masks *masks)
{
    int64_t v = row_version(copy);
    if (v != CHECK_NO_VERSION && copy->tombstone_v > v)
        masks->undeleted |= bit;
    else if (copy->parked && (copy->free || (copy->visible && copy->v >= copy->parked_v)))
        masks->parked |= bit;
}

static void look_behind(const CheckRule *rule, const CheckCopy *copy, uint64_t bit, int64_t target,
                        bool gone, Masks *masks)
{
    int64_t v = row_version(copy);
    if (check_copy_version(copy) >= target)
        return;
    if (gone && v != CHECK_NO_VERSION)
        masks->undeleted |= bit;
    else if (gone && (copy->tombstone_v != CHECK_NO_VERSION || target >= rule->tombstones_from))
        masks->tombstone |= bit; // without any trace it may have been collected, unless too young
    else if (!gone && v == CHECK_NO_VERSION)
        masks->missing |= bit;
    else if (!gone)
        masks->stale |= bit;
}

CheckVerdict check_judge(const CheckRule *rule, const CheckCopy *before, const CheckCopy *now,
                         bool fenced, uint64_t *ret_wrong, int64_t *ret_target)
{
    if (rule->kind == TABLE_KIND_INSERT_ONLY)
        return judge_insert_only(rule, before, now, fenced, ret_wrong, ret_target);
    bool gone;
    Masks masks = {0};
    int64_t target = highest(rule, before, &gone), damage = 0;
    for (uint32_t i = 0; i < rule->n; i++) {
        if (!now[i].read)
            continue;
        look_alone(&now[i], UINT64_C(1) << i, &masks);
        if (fenced)
            look_behind(rule, &now[i], UINT64_C(1) << i, target, gone, &masks);
    }
    const struct {
        CheckVerdict verdict;
        uint64_t wrong;
        int64_t target;
    } found[] = {
        {CHECK_UNDELETED, masks.undeleted, target},
        {CHECK_MISSING, masks.missing, target},
        {CHECK_STALE, masks.stale, target},
        {CHECK_CONTENT, damaged(rule, now, &damage), damage},
        {CHECK_PARKED, masks.parked, target},
        {CHECK_TOMBSTONE, masks.tombstone, target},
    };
    for (size_t i = 0; i < ARRAY_SIZE(found); i++) {
        if (found[i].wrong == 0)
            continue;
        *ret_wrong = found[i].wrong;
        *ret_target = found[i].verdict == CHECK_CONTENT ? damage : found[i].target;
        return found[i].verdict;
    }
    *ret_wrong = 0;
    *ret_target = target;
    return CHECK_SAME;
}
