/*
 * saga/queue.c - instances by when they are due: a heap, and where in it a number stands.
 *
 * No latch of its own: the room's.
 */
#include "saga/saga_internal.h"

enum {
    FIRST_CAPACITY = 64, /* a power of two; the table has twice as many places */
};

/* The place of the number in the table, or the free one where it would be. */
static size_t
place_of(const struct saga_queue *queue, uint64_t number)
{
    size_t at = hash_u64(number) & queue->mask;
    while (queue->places[at] != 0 && queue->heap[queue->places[at] - 1].number != number) {
        at = (at + 1) & queue->mask;
    }
    return at;
}

static void
swap(struct saga_queue *queue, size_t a, size_t b)
{
    size_t place_a = place_of(queue, queue->heap[a].number);
    size_t place_b = place_of(queue, queue->heap[b].number);
    struct saga_due due = queue->heap[a];
    queue->heap[a] = queue->heap[b];
    queue->heap[b] = due;
    queue->places[place_a] = (uint32_t)b + 1;
    queue->places[place_b] = (uint32_t)a + 1;
}

static void
sift(struct saga_queue *queue, size_t at)
{
    while (at > 0 && queue->heap[(at - 1) / 2].due > queue->heap[at].due) {
        swap(queue, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
            if (child < queue->count && queue->heap[child].due < queue->heap[least].due) {
                least = child;
            }
        }
        if (least == at) {
            return;
        }
        swap(queue, at, least);
        at = least;
    }
}

static void
grow(struct saga_queue *queue)
{
    queue->capacity = queue->capacity == 0 ? FIRST_CAPACITY : queue->capacity * 2;
    queue->heap = mem_realloc(queue->heap, queue->capacity * sizeof *queue->heap);
    mem_free(queue->places);
    queue->mask = queue->capacity * 2 - 1;
    queue->places = mem_zalloc((queue->mask + 1) * sizeof *queue->places);
    for (size_t i = 0; i < queue->count; i++) {
        size_t at = hash_u64(queue->heap[i].number) & queue->mask;
        while (queue->places[at] != 0) {
            at = (at + 1) & queue->mask;
        }
        queue->places[at] = (uint32_t)i + 1;
    }
}

void
saga__queue_set(struct saga_queue *queue, uint64_t number, int64_t due)
{
    if (queue->count == queue->capacity) {
        grow(queue);
    }
    size_t place = place_of(queue, number);
    if (queue->places[place] == 0) {
        queue->heap[queue->count++] = (struct saga_due){.number = number};
        queue->places[place] = (uint32_t)queue->count;
    }
    size_t at = queue->places[place] - 1;
    queue->heap[at].due = due;
    queue->heap[at].ends = false;
    sift(queue, at);
}

struct saga_due *
saga__queue_find(const struct saga_queue *queue, uint64_t number)
{
    uint32_t at = queue->count == 0 ? 0 : queue->places[place_of(queue, number)];
    return at == 0 ? NULL : &queue->heap[at - 1];
}

/* Whoever stands behind a place that becomes free, and would be looked for there, moves up. */
static void
free_place(struct saga_queue *queue, size_t place)
{
    for (size_t at = (place + 1) & queue->mask; queue->places[at] != 0;
         at = (at + 1) & queue->mask) {
        size_t wanted = hash_u64(queue->heap[queue->places[at] - 1].number) & queue->mask;
        if (((at - wanted) & queue->mask) >= ((at - place) & queue->mask)) {
            queue->places[place] = queue->places[at];
            place = at;
        }
    }
    queue->places[place] = 0;
}

void
saga__queue_remove(struct saga_queue *queue, uint64_t number)
{
    const struct saga_due *found = saga__queue_find(queue, number);
    if (found == NULL) {
        return;
    }
    size_t at = (size_t)(found - queue->heap);
    swap(queue, at, queue->count - 1);
    free_place(queue, place_of(queue, number));
    queue->count--;
    if (at < queue->count) {
        sift(queue, at);
    }
}

void
saga__queue_destroy(struct saga_queue *queue)
{
    mem_free(queue->heap);
    mem_free(queue->places);
    *queue = (struct saga_queue){0};
}
