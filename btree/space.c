/* btree/space.c - the data file's blocks: a bit each, next fit. All under space_latch. */
#include "base/assert.h"
#include "base/mem.h"
#include "btree/btree_internal.h"

static bool
is_used(const struct btree *store, uint64_t block)
{
    return (store->blocks_used[block / 8] >> (block % 8) & 1) != 0;
}

static void
grow(struct btree *store, uint64_t blocks)
{
    if (blocks > store->block_capacity) {
        uint64_t capacity = store->block_capacity == 0 ? 8192 : store->block_capacity;
        while (capacity < blocks) {
            capacity *= 2;
        }
        store->blocks_used = mem_realloc(store->blocks_used, (size_t)capacity / 8);
        memset(store->blocks_used + store->block_capacity / 8, 0,
            (size_t)(capacity - store->block_capacity) / 8);
        store->block_capacity = capacity;
    }
    store->block_count = blocks > store->block_count ? blocks : store->block_count;
}

static void
set_run(struct btree *store, uint64_t first, uint64_t count, bool used)
{
    grow(store, first + count);
    for (uint64_t block = first; block < first + count; block++) {
        ASSERT(is_used(store, block) != used);
        store->blocks_used[block / 8] ^= (uint8_t)(1U << (block % 8));
    }
}

static uint64_t
find_run(const struct btree *store, uint64_t from, uint64_t to, uint32_t blocks)
{
    uint64_t run = 0;
    for (uint64_t block = from; block < to; block++) {
        if (block % 8 == 0 && store->blocks_used[block / 8] == 0xFF) {
            block += 7;
            run = 0;
            continue;
        }
        run = is_used(store, block) ? 0 : run + 1;
        if (run == blocks) {
            return block + 1 - blocks;
        }
    }
    return UINT64_MAX;
}

uint64_t
space__allocate(struct btree *store, uint32_t blocks)
{
    latch_acquire(&store->space_latch);
    uint64_t first = find_run(store, store->block_hint, store->block_count, blocks);
    if (first == UINT64_MAX) {
        uint64_t end = store->block_hint + blocks;
        first = find_run(store, 0, end < store->block_count ? end : store->block_count, blocks);
    }
    if (first == UINT64_MAX) {
        first = store->block_count;
    }
    set_run(store, first, blocks, true);
    store->block_hint = first + blocks;
    latch_release(&store->space_latch);
    return first;
}

bool
space__claim(struct btree *store, uint64_t extent, uint64_t block_limit)
{
    uint64_t first = extent >> 16;
    uint64_t count = extent & 0xFFFF;
    if (count == 0 || first + count > block_limit) {
        return false;
    }
    latch_acquire(&store->space_latch);
    grow(store, first + count);
    bool is_free = true;
    for (uint64_t block = first; block < first + count; block++) {
        is_free = is_free && !is_used(store, block);
    }
    if (is_free) {
        set_run(store, first, count, true);
    }
    latch_release(&store->space_latch);
    return is_free;
}

void
space__free(struct btree *store, uint64_t extent)
{
    latch_acquire(&store->space_latch);
    set_run(store, extent >> 16, extent & 0xFFFF, false);
    latch_release(&store->space_latch);
}

void
space__free_later(struct btree *store, uint64_t extent)
{
    latch_acquire(&store->space_latch);
    store__numbers_add(&store->freed, extent);
    latch_release(&store->space_latch);
}
