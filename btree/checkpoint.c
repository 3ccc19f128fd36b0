/*
 * btree/checkpoint.c - what a snapshot saw, on disk.
 *
 *     gate       structure stands still for an instant: every dirty page is marked `pending`
 *     images     each pending page as the snapshot sees it; whoever wants to change the structure
 * of one first takes its image for us (capture) mapping    the changed chunks, the directory of
 * chunks, the table of trees superblock names the new directory; only then are the old extents free
 *
 * Invariants
 *   B7. No extent that the durable superblock reaches is written or given away.
 *   B8. The superblock is written after everything it names is durable.
 *   B9. A failed checkpoint leaves the old one, and every page of the failed one dirty.
 */
#include <stddef.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "btree/btree_internal.h"
#include "btree/superblock.h"

enum {
    BATCH_SIZE = 1024 * 1024,
};

struct placed {
    uint64_t page_id, new_extent;
};

struct run {
    struct btree *store;
    struct buffer batch; /* images in a row, to be written at one place */
    struct placed *placed;
    size_t placed_count, placed_capacity, batch_first;
    struct buffer old; /* extents (8 bytes each) that are free once the superblock is durable */
    struct diag *diag;
};

static void
add_old(struct run *run, uint64_t extent)
{
    if (extent != 0) {
        buffer_add(&run->old, &extent, sizeof extent);
    }
}

void
checkpoint__capture(struct btree *store, struct frame *frame)
{
    if (!atomic_load(&frame->pending)) {
        return;
    }
    bool newer = false;
    struct image *image =
        image__render(store, store__page(store, frame), store->checkpoint_snapshot, &newer);
    atomic_store(&frame->pending, false); /* B6 */
    latch_acquire(&store->images_latch);
    image->next = store->images;
    store->images = image;
    latch_release(&store->images_latch);
}

static uint32_t
close_gate_and_mark(struct btree *store)
{
    atomic_store(&store->gate_closed, 1);
    while (atomic_load(&store->splits_inside) > 0) {
        __builtin_ia32_pause();
    }
    latch_acquire(&store->frames_latch);
    uint32_t used = store->frames_used;
    latch_release(&store->frames_latch);
    for (uint32_t i = 0; i < used; i++) {
        if (atomic_load_explicit(&store->frames[i].dirty, memory_order_relaxed)) {
            atomic_store(&store->frames[i].pending, true);
        }
    }
    atomic_store(&store->gate_closed, 0);
    return used;
}

/* ---- placing and writing images ----------------------------------------------------------------
 */

static enum err
write_batch(struct task *task, struct run *run)
{
    if (run->batch.size == 0) {
        return ERR_OK;
    }
    uint32_t blocks = (uint32_t)(run->batch.size / BLOCK_SIZE);
    uint64_t first = space__allocate(run->store, blocks);
    uint64_t at = first;
    for (size_t i = run->batch_first; i < run->placed_count; i++) {
        uint32_t size = (uint32_t)run->placed[i].new_extent; /* so far: its blocks */
        run->placed[i].new_extent = extent_of(at, size);
        at += size;
    }
    run->batch_first = run->placed_count;
    enum err err = world_file_write(
        task, run->store->file, first * BLOCK_SIZE, run->batch.data, run->batch.size, run->diag);
    run->batch.size = 0;
    return err;
}

static enum err
place(struct task *task, struct run *run, struct image *image)
{
    if (run->placed_count == run->placed_capacity) {
        run->placed_capacity = run->placed_capacity == 0 ? 1024 : run->placed_capacity * 2;
        run->placed = mem_realloc(run->placed, run->placed_capacity * sizeof *run->placed);
    }
    run->placed[run->placed_count++] =
        (struct placed){.page_id = image->page_id, .new_extent = image->size / BLOCK_SIZE};
    buffer_add(&run->batch, image->bytes, image->size);
    mem_free(image);
    return run->batch.size >= BATCH_SIZE ? write_batch(task, run) : ERR_OK;
}

static struct image *
take_captured(struct btree *store)
{
    latch_acquire(&store->images_latch);
    struct image *images = store->images;
    store->images = NULL;
    latch_release(&store->images_latch);
    return images;
}

static enum err
place_captured(struct task *task, struct run *run)
{
    struct image *image = take_captured(run->store);
    enum err err = ERR_OK;
    while (image != NULL) {
        struct image *next = image->next;
        if (err == ERR_OK) {
            err = place(task, run, image);
        } else {
            mem_free(image);
        }
        image = next;
    }
    return err;
}

static enum err
place_pages(struct task *task, struct run *run, uint32_t used, lsn_t snapshot)
{
    struct btree *store = run->store;
    for (uint32_t i = 0; i < used; i++) {
        struct frame *frame = &store->frames[i];
        if (!atomic_load(&frame->pending)) {
            continue;
        }
        version_latch_acquire(&frame->latch);
        struct image *image = NULL;
        if (atomic_load(&frame->pending)) {
            bool newer = false;
            image = image__render(store, store__page(store, frame), snapshot, &newer);
            atomic_store(&frame->pending, false);
            atomic_store(&frame->dirty, newer);
        }
        version_latch_release_unchanged(&frame->latch);
        if (image != NULL) {
            TRY(place(task, run, image));
        }
        if (i % 16 == 0) {
            (void)task_breathe(task, NULL);
            TRY(place_captured(task, run));
        }
    }
    TRY(place_captured(task, run));
    return write_batch(task, run);
}

/* ---- the mapping
 * ------------------------------------------------------------------------------------- */

/* The pages' new places, in memory. Pages freed meanwhile keep nothing. */
static void
apply_places(struct run *run)
{
    struct btree *store = run->store;
    latch_acquire(&store->frames_latch);
    for (size_t i = 0; i < run->placed_count; i++) {
        struct placed *placed = &run->placed[i];
        struct map_chunk *chunk = store__chunk(store, placed->page_id);
        struct map_entry *entry = &chunk->entries[placed->page_id % MAP_CHUNK_ENTRIES];
        if (!entry->used) {
            add_old(run, placed->new_extent); /* nobody's */
            continue;
        }
        add_old(run, entry->extent);
        entry->extent = placed->new_extent;
        atomic_store(&chunk->dirty, true);
    }
    latch_release(&store->frames_latch);
}

static enum err
write_extent(struct task *task, struct btree *store, const void *bytes, size_t size,
    uint64_t *extent, struct diag *diag)
{
    size_t padded = (size + BLOCK_SIZE - 1) / BLOCK_SIZE * BLOCK_SIZE;
    padded = padded == 0 ? BLOCK_SIZE : padded;
    if (padded / BLOCK_SIZE > 0xFFFF) {
        return diag_set(diag, ERR_PROGRAM_LIMIT, "the mapping table is too large");
    }
    uint8_t *copy = mem_zalloc(padded);
    memcpy(copy, bytes, size);
    uint32_t blocks = (uint32_t)(padded / BLOCK_SIZE);
    uint64_t first = space__allocate(store, blocks);
    *extent = extent_of(first, blocks);
    enum err err = world_file_write(task, store->file, first * BLOCK_SIZE, copy, padded, diag);
    mem_free(copy);
    return err;
}

static enum err
write_chunks(struct task *task, struct run *run, struct buffer *directory)
{
    struct btree *store = run->store;
    uint64_t chunks = (store->next_page_id + MAP_CHUNK_ENTRIES - 1) / MAP_CHUNK_ENTRIES;
    for (uint64_t number = 0; number < chunks; number++) {
        struct map_chunk *chunk = atomic_load(&store->map[number]);
        struct directory_entry entry = {0};
        if (chunk != NULL) {
            uint64_t extents[MAP_CHUNK_ENTRIES];
            bool dirty = atomic_exchange(&chunk->dirty, false);
            latch_acquire(&store->frames_latch);
            for (uint32_t i = 0; i < MAP_CHUNK_ENTRIES; i++) {
                extents[i] = chunk->entries[i].extent;
            }
            latch_release(&store->frames_latch);
            if (dirty || chunk->extent == 0) {
                uint64_t extent = 0;
                enum err err =
                    write_extent(task, store, extents, sizeof extents, &extent, run->diag);
                if (err != ERR_OK) {
                    atomic_store(&chunk->dirty, true);
                    return err;
                }
                add_old(run, chunk->extent);
                chunk->extent = extent;
            }
            entry.extent = chunk->extent;
            entry.crc = crc32c(CRC32C_INIT, extents, sizeof extents);
        }
        buffer_add(directory, &entry, sizeof entry);
    }
    return ERR_OK;
}

static void
list_trees(struct btree *store, struct buffer *trees)
{
    latch_acquire(&store->trees_latch);
    for (uint64_t id = 1; id <= store->tree_last; id++) {
        struct tree *tree = store__tree(store, (tree_id_t){id});
        if (tree == NULL) {
            continue;
        }
        const struct map_entry *root = store__entry(store, tree->root.v);
        if (root == NULL || root->extent == 0) {
            continue; /* born after the gate: the log brings it back */
        }
        struct tree_entry entry = {
            .tree = id,
            .root = tree->root.v,
            .leaf_count = atomic_load(&tree->leaf_count),
            .row_count = atomic_load(&tree->row_count),
        };
        buffer_add(trees, &entry, sizeof entry);
    }
    latch_release(&store->trees_latch);
}

static enum err
write_mapping(struct task *task, struct run *run, struct superblock *block)
{
    struct btree *store = run->store;
    struct diag *diag = run->diag;
    struct buffer directory = {0};
    struct buffer trees = {0};
    list_trees(store, &trees);
    enum err err = write_chunks(task, run, &directory);
    if (err == ERR_OK) {
        err = write_extent(
            task, store, directory.data, directory.size, &block->directory_extent, diag);
    }
    if (err == ERR_OK) {
        err = write_extent(task, store, trees.data, trees.size, &block->trees_extent, diag);
    }
    block->directory_size = directory.size;
    block->directory_crc = crc32c(CRC32C_INIT, directory.data, directory.size);
    block->trees_size = trees.size;
    block->trees_crc = crc32c(CRC32C_INIT, trees.data, trees.size);
    buffer_destroy(&directory);
    buffer_destroy(&trees);
    return err;
}

/* ---- the whole
 * ------------------------------------------------------------------------------------------ */

/* The new superblock is durable: what only the old one reached is free. Of the extents of freed
 * pages only those freed before the mapping was written (`freed_before`): the new mapping may still
 * name the later ones. */
static void
free_old(struct run *run, size_t freed_before)
{
    struct btree *store = run->store;
    for (size_t at = 0; at < run->old.size; at += sizeof(uint64_t)) {
        space__mark(store, load_le64(run->old.data + at), false);
    }
    latch_acquire(&store->space_latch);
    uint64_t *freed = store->freed;
    size_t rest = store->freed_count - freed_before;
    uint64_t *now = mem_alloc(freed_before * sizeof *now);
    if (freed_before > 0) {
        memcpy(now, freed, freed_before * sizeof *now);
        memmove(freed, freed + freed_before, rest * sizeof *freed);
    }
    store->freed_count = rest;
    latch_release(&store->space_latch);
    for (size_t i = 0; i < freed_before; i++) {
        space__mark(store, now[i], false);
    }
    mem_free(now);
}

/* B9. What was written of the failed one stays allocated until the next start: the mapping may
 * already name it. Its pages are all written again. */
static void
mark_dirty_again(struct run *run, uint32_t used)
{
    struct btree *store = run->store;
    for (size_t i = 0; i < run->placed_count; i++) {
        struct frame *frame = store__frame(store, run->placed[i].page_id);
        if (frame != NULL) {
            atomic_store(&frame->dirty, true);
        }
    }
    for (uint32_t i = 0; i < used; i++) {
        if (atomic_exchange(&store->frames[i].pending, false)) {
            atomic_store(&store->frames[i].dirty, true);
        }
    }
    struct image *image = take_captured(store);
    while (image != NULL) {
        struct image *next = image->next;
        mem_free(image);
        image = next;
    }
}

enum err
btree_checkpoint(
    struct task *task, struct btree *store, lsn_t snapshot, struct slice meta, struct diag *diag)
{
    ASSERT(meta.size <= sizeof((struct superblock *)0)->meta);
    bool idle = false;
    ASSERT(atomic_compare_exchange_strong(&store->checkpointing, &idle, true));
    store->checkpoint_snapshot = snapshot;
    struct run run = {.store = store, .diag = diag};

    uint32_t used = close_gate_and_mark(store);
    enum err err = place_pages(task, &run, used, snapshot);
    if (err != ERR_OK) {
        mark_dirty_again(&run, used);
    } else {
        apply_places(&run);
        latch_acquire(&store->space_latch);
        size_t freed_before = store->freed_count;
        latch_release(&store->space_latch);
        struct superblock *block = mem_alloc_aligned(BLOCK_SIZE, sizeof *block);
        memset(block, 0, sizeof *block);
        err = write_mapping(task, &run, block);
        if (err == ERR_OK) {
            world_file_sync(task, store->file); /* B8 */
            block->number = store->checkpoint_number + 1;
            block->snapshot = snapshot.v;
            block->next_page_id = store->next_page_id;
            block->meta_size = (uint32_t)meta.size;
            if (meta.size > 0) {
                memcpy(block->meta, meta.data, meta.size);
            }
            err = superblock__write(task, store, block, diag);
        }
        if (err == ERR_OK) {
            store->checkpoint_number = block->number;
            add_old(&run, store->directory_extent);
            add_old(&run, store->trees_extent);
            store->directory_extent = block->directory_extent;
            store->trees_extent = block->trees_extent;
            free_old(&run, freed_before);
        } else {
            /* The mapping in memory moved on; the pages must be written again so that the next
             * checkpoint names places it wrote itself. Old extents stay allocated (B7). */
            mark_dirty_again(&run, used);
        }
        mem_free(block);
    }
    atomic_fetch_add(&store->pages_written, run.placed_count);
    mem_free(run.placed);
    buffer_destroy(&run.old);
    buffer_destroy(&run.batch);
    atomic_store(&store->checkpointing, false);
    return err;
}
