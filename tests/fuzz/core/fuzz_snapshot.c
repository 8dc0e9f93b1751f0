// SPDX-License-Identifier: MIT
// fuzz snapshot: the input is a list of changes (u16 place, u8 value; the last odd bytes cut the
// end off) to the snapshot of a core that has seen something. What core_load takes must step on
// without harm, whatever it decides.
#include <stdint.h>
#include <stdlib.h>

#include "cursor.h"
#include "fixture.h"
#include "snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS 60
#define STEP_NS (50 * NS_PER_MS)

static void go_on(Core *core, Arena *arena, Mono *now)
{
    for (int i = 0; i < STEPS; i++) {
        CoreEvent event = {.now = *now, .wall = {now->ns}, .kind = CORE_EVENT_TICK};
        CoreUpdate update = {0};
        arena_reset(arena);
        if (core_step(core, arena, &event, &update, NULL) < 0)
            break;
        for (uint32_t k = 0; k < update.n_effects; k++) {
            const CoreEffect *effect = &update.effects[k];
            if (effect->kind != CORE_EFFECT_PROBE)
                continue;
            CoreEvent answer = event;
            CoreUpdate ignored;
            answer.kind = effect->id % 3 == 0 ? CORE_EVENT_PROBE_FAILED : CORE_EVENT_PROBE_ANSWERED;
            answer.id = effect->id;
            answer.gateway = effect->gateway;
            (void)!core_step(core, arena, &answer, &ignored, NULL);
        }
        *now = mono_add(*now, STEP_NS);
    }
}

static void change(Buf *bytes, const uint8_t *data, size_t size)
{
    Cursor cursor = cursor_of(data, size);
    while (cursor_left(&cursor) >= 3) {
        size_t place = cursor_u16(&cursor);
        bytes->data[place % bytes->len] = (char)cursor_u8(&cursor);
    }
    if (cursor_left(&cursor) == 2)
        bytes->len = cursor_u16(&cursor) % bytes->len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Fixture *fixture = fixture_new(FIXTURE_REGIONS, FIXTURE_CLOUDS, 2);
    Arena *arena = arena_new((size_t)64 << 20);
    Mono now = {NS_PER_S};
    CoreOptions options = fixture_options(fixture, 1);
    Core *core = NULL, *loaded = NULL;
    Buf bytes = BUF_INIT(0);
    if (arena == NULL || core_new(&fixture->model, &options, now, (Wall){now.ns}, &core, NULL) < 0)
        abort();
    go_on(core, arena, &now);
    if (core_save(core, &bytes) < 0)
        abort();
    change(&bytes, data, size);
    char *exact = malloc(bytes.len > 0 ? bytes.len : 1); // so that the sanitizers see its end
    if (exact == NULL)
        abort();
    for (size_t i = 0; i < bytes.len; i++)
        exact[i] = bytes.data[i];
    if (core_load(&fixture->model, &options, exact, bytes.len, &loaded, NULL) == 0)
        go_on(loaded, arena, &now);
    (void)core_free(loaded);
    (void)core_free(core);
    free(exact);
    buf_done(&bytes);
    (void)arena_free(arena);
    fixture_free(fixture);
    return 0;
}
