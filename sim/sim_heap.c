// SPDX-License-Identifier: MIT
// sim_heap: a binary heap; see sim_heap.h.
#include "sim_heap.h"

#include "alloc.h"

static bool before(const SimEvent *a, const SimEvent *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

int sim_heap_push(SimHeap *heap, SimEvent event)
{
    void *events = heap->events;
    int r = alloc_grow(&events, &heap->capacity, heap->n + 1, sizeof *heap->events);
    heap->events = events;
    if (r < 0)
        return r;
    event.order = heap->order++;
    size_t i = heap->n++;
    for (; i > 0 && before(&event, &heap->events[(i - 1) / 2]); i = (i - 1) / 2)
        heap->events[i] = heap->events[(i - 1) / 2];
    heap->events[i] = event;
    return 0;
}

bool sim_heap_pop(SimHeap *heap, SimEvent *ret_event)
{
    if (heap->n == 0)
        return false;
    *ret_event = heap->events[0];
    SimEvent last = heap->events[--heap->n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->n)
            break;
        if (child + 1 < heap->n && before(&heap->events[child + 1], &heap->events[child]))
            child++;
        if (!before(&heap->events[child], &last))
            break;
        heap->events[i] = heap->events[child];
        i = child;
    }
    heap->events[i] = last;
    return true;
}

void sim_heap_done(SimHeap *heap)
{
    free(heap->events);
    *heap = (SimHeap){0};
}
