/* btree/space.c - room in a file: a bit per unit, next fit. All under the space's latch. */
#include "base/assert.h"
#include "base/mem.h"
#include "btree/btree_internal.h"

static bool
is_used(const struct space *space, uint64_t unit)
{
    return (space->used[unit / 8] >> (unit % 8) & 1) != 0;
}

static void
grow(struct space *space, uint64_t units)
{
    if (units > space->capacity) {
        uint64_t capacity = space->capacity == 0 ? 8192 : space->capacity;
        while (capacity < units) {
            capacity *= 2;
        }
        space->used = mem_realloc(space->used, (size_t)capacity / 8);
        memset(space->used + space->capacity / 8, 0, (size_t)(capacity - space->capacity) / 8);
        space->capacity = capacity;
    }
    space->count = units > space->count ? units : space->count;
}

static void
set_run(struct space *space, uint64_t first, uint64_t count, bool used)
{
    grow(space, first + count);
    for (uint64_t unit = first; unit < first + count; unit++) {
        ASSERT(is_used(space, unit) != used);
        space->used[unit / 8] ^= (uint8_t)(1U << (unit % 8));
    }
    space->taken = used ? space->taken + count : space->taken - count;
}

static uint64_t
find_run(const struct space *space, uint64_t from, uint64_t to, uint32_t units)
{
    uint64_t run = 0;
    for (uint64_t unit = from; unit < to; unit++) {
        if (unit % 8 == 0 && space->used[unit / 8] == 0xFF) {
            unit += 7;
            run = 0;
            continue;
        }
        run = is_used(space, unit) ? 0 : run + 1;
        if (run == units) {
            return unit + 1 - units;
        }
    }
    return UINT64_MAX;
}

/* Under the latch. */
static uint64_t
find_room(const struct space *space, uint32_t units)
{
    uint64_t first = find_run(space, space->hint, space->count, units);
    if (first == UINT64_MAX) {
        uint64_t end = space->hint + units;
        first = find_run(space, 0, end < space->count ? end : space->count, units);
    }
    return first == UINT64_MAX ? space->count : first;
}

uint64_t
space__allocate_fit(
    struct space *space, uint32_t least, uint32_t most, uint64_t below, uint32_t *got)
{
    latch_acquire(&space->latch);
    uint64_t limit = below < space->count ? below : space->count;
    uint64_t first = find_run(space, space->hint, limit, least);
    if (first == UINT64_MAX) {
        uint64_t end = space->hint + least;
        first = find_run(space, 0, end < limit ? end : limit, least);
    }
    if (first != UINT64_MAX) {
        *got = least;
        while (*got < most && first + *got < limit && !is_used(space, first + *got)) {
            (*got)++;
        }
        set_run(space, first, *got, true);
        space->hint = first + *got;
    }
    latch_release(&space->latch);
    return first;
}

uint64_t
space__allocate_end(struct space *space, uint32_t units)
{
    latch_acquire(&space->latch);
    uint64_t first = space->count;
    while (first > 0 && !is_used(space, first - 1)) {
        first--;
    }
    set_run(space, first, units, true);
    latch_release(&space->latch);
    return first;
}

uint64_t
space__trim(struct space *space)
{
    latch_acquire(&space->latch);
    while (space->count > 0 && !is_used(space, space->count - 1)) {
        space->count--;
    }
    space->hint = space->hint > space->count ? 0 : space->hint;
    uint64_t count = space->count;
    latch_release(&space->latch);
    return count;
}

uint64_t
space__allocate(struct space *space, uint32_t units)
{
    latch_acquire(&space->latch);
    uint64_t first = find_room(space, units);
    set_run(space, first, units, true);
    space->hint = first + units;
    latch_release(&space->latch);
    return first;
}

uint64_t
space__allocate_some(struct space *space, uint32_t units, uint32_t *got)
{
    latch_acquire(&space->latch);
    uint64_t first = space->taken == space->count ? space->count : find_room(space, 1);
    *got = 1;
    while (*got < units && (first + *got >= space->count || !is_used(space, first + *got))) {
        (*got)++;
    }
    set_run(space, first, *got, true);
    space->hint = first + *got;
    latch_release(&space->latch);
    return first;
}

bool
space__claim(struct btree *store, uint64_t extent, uint64_t block_limit)
{
    struct space *space = &store->space;
    uint64_t first = extent >> 16;
    uint64_t count = extent & 0xFFFF;
    if (count == 0 || first + count > block_limit) {
        return false;
    }
    latch_acquire(&space->latch);
    grow(space, first + count);
    bool is_free = true;
    for (uint64_t block = first; block < first + count; block++) {
        is_free = is_free && !is_used(space, block);
    }
    if (is_free) {
        set_run(space, first, count, true);
    }
    latch_release(&space->latch);
    return is_free;
}

void
space__free(struct btree *store, uint64_t extent)
{
    latch_acquire(&store->space.latch);
    set_run(&store->space, extent >> 16, extent & 0xFFFF, false);
    latch_release(&store->space.latch);
}

void
space__free_unit(struct space *space, uint64_t unit)
{
    latch_acquire(&space->latch);
    set_run(space, unit, 1, false);
    latch_release(&space->latch);
}

void
space__free_later(struct btree *store, uint64_t extent)
{
    latch_acquire(&store->space.latch);
    store__numbers_add(&store->freed, extent);
    latch_release(&store->space.latch);
}
