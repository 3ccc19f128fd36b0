/*
 * btree/checkpoint.c - what a snapshot saw, on disk.
 *
 *     gate        structure stands still for an instant: every dirty page is marked `pending`
 *     images      each pending page as the snapshot sees it; whoever wants to change the structure
 *                 of one first puts a copy aside for us (capture)
 *     mapping     the changed chunks, the directory of chunks, the table of trees
 *     superblock  names the new directory; only then are the old extents free
 *
 * A page is copied under its latch and rendered from the copy: its users wait for a memcpy, not for
 * LZ4. Trees are not dropped meanwhile (B11): a tree that stood in the table at the gate has all
 * its pages in the checkpoint.
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
    struct page *copy;
    struct buffer trees; /* struct tree_entry, of the trees at the gate */
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
    struct capture *capture = mem_alloc(sizeof *capture);
    memcpy(&capture->page, store__page(store, frame), sizeof capture->page);
    atomic_store(&frame->pending, false); /* B6 */
    latch_acquire(&store->captures_latch);
    capture->next = store->captures;
    store->captures = capture;
    latch_release(&store->captures_latch);
}

/* Before the gate: a tree in the table has a root that is dirty or on disk (B10). */
static void
list_trees(struct btree *store, struct buffer *trees)
{
    latch_acquire(&store->trees_latch);
    for (uint64_t id = 1; id <= store->tree_last; id++) {
        struct tree *tree = store__tree(store, (tree_id_t){id});
        if (tree == NULL) {
            continue;
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
        if (atomic_load(&store->frames[i].dirty)) {
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

static struct capture *
take_captured(struct btree *store)
{
    latch_acquire(&store->captures_latch);
    struct capture *captures = store->captures;
    store->captures = NULL;
    latch_release(&store->captures_latch);
    return captures;
}

/* The captured pages stay dirty: they have changed since. */
static enum err
place_captured(struct task *task, struct run *run)
{
    struct btree *store = run->store;
    struct capture *capture = take_captured(store);
    enum err err = ERR_OK;
    while (capture != NULL) {
        struct capture *next = capture->next;
        if (err == ERR_OK) {
            bool newer = false;
            err = place(task, run,
                image__render(store, &capture->page, store->checkpoint_snapshot, &newer));
        }
        mem_free(capture);
        capture = next;
    }
    return err;
}

/* Something in the page was newer than the snapshot: its next image is due. It may be gone. */
static void
stay_dirty(struct btree *store, struct frame *frame, uint64_t page_id)
{
    version_latch_acquire(&frame->latch);
    if (store__page(store, frame)->h.id == page_id) {
        store__page_set_dirty(frame);
    }
    version_latch_release_unchanged(&frame->latch);
}

static enum err
place_page(struct task *task, struct run *run, struct frame *frame)
{
    struct btree *store = run->store;
    version_latch_acquire(&frame->latch);
    bool is_due = atomic_load(&frame->pending);
    if (is_due) {
        memcpy(run->copy, store__page(store, frame), sizeof *run->copy);
        atomic_store(&frame->pending, false);
        atomic_store(&frame->dirty, false);
    }
    version_latch_release_unchanged(&frame->latch);
    if (!is_due) {
        return ERR_OK;
    }
    ASSERT(run->copy->h.id != 0); /* B10 */
    bool newer = false;
    struct image *image = image__render(store, run->copy, store->checkpoint_snapshot, &newer);
    if (newer) {
        stay_dirty(store, frame, run->copy->h.id);
    }
    return place(task, run, image);
}

static enum err
place_pages(struct task *task, struct run *run, uint32_t used)
{
    struct btree *store = run->store;
    for (uint32_t i = 0; i < used; i++) {
        if (!atomic_load_explicit(&store->frames[i].pending, memory_order_relaxed)) {
            continue;
        }
        TRY(place_page(task, run, &store->frames[i]));
        TRY(place_captured(task, run));
        /* Interrupts are not for us: a checkpoint half done helps nobody. */
        (void)task_breathe(task, NULL);
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
    if (err != ERR_OK) {
        space__free(store, *extent);
        *extent = 0;
    }
    return err;
}

static enum err
write_chunks(struct task *task, struct run *run, uint64_t next_page_id, struct buffer *directory)
{
    struct btree *store = run->store;
    uint64_t chunks = (next_page_id + MAP_CHUNK_ENTRIES - 1) / MAP_CHUNK_ENTRIES;
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

static enum err
write_mapping(struct task *task, struct run *run, struct superblock *block)
{
    struct btree *store = run->store;
    struct diag *diag = run->diag;
    struct buffer directory = {0};
    latch_acquire(&store->frames_latch);
    block->next_page_id = store->next_page_id;
    latch_release(&store->frames_latch);
    enum err err = write_chunks(task, run, block->next_page_id, &directory);
    if (err == ERR_OK) {
        err = write_extent(
            task, store, directory.data, directory.size, &block->directory_extent, diag);
    }
    if (err == ERR_OK) {
        err =
            write_extent(task, store, run->trees.data, run->trees.size, &block->trees_extent, diag);
    }
    block->directory_size = directory.size;
    block->directory_crc = crc32c(CRC32C_INIT, directory.data, directory.size);
    block->trees_size = run->trees.size;
    block->trees_crc = crc32c(CRC32C_INIT, run->trees.data, run->trees.size);
    buffer_destroy(&directory);
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
        space__free(store, load_le64(run->old.data + at));
    }
    latch_acquire(&store->space_latch);
    struct numbers all = store->freed;
    store->freed = (struct numbers){0};
    latch_release(&store->space_latch);
    for (size_t i = 0; i < all.count; i++) {
        if (i < freed_before) {
            space__free(store, all.at[i]);
        } else {
            space__free_later(store, all.at[i]);
        }
    }
    mem_free(all.at);
}

/* B9. Everything that was to be written is to be written again. */
static void
mark_dirty_again(struct run *run, uint32_t used)
{
    struct btree *store = run->store;
    for (size_t i = 0; i < run->placed_count; i++) {
        struct frame *frame = store__frame(store, run->placed[i].page_id);
        if (frame != NULL) {
            stay_dirty(store, frame, run->placed[i].page_id);
        }
    }
    for (uint32_t i = 0; i < used; i++) {
        atomic_store(&store->frames[i].pending, false); /* it is still dirty */
    }
    struct capture *capture = take_captured(store);
    while (capture != NULL) {
        struct capture *next = capture->next;
        mem_free(capture);
        capture = next;
    }
}

/* B9. Images that found no place in the mapping are nobody's. */
static void
free_placed(struct run *run)
{
    for (size_t i = 0; i < run->batch_first; i++) {
        space__free(run->store, run->placed[i].new_extent);
    }
}

/* B9. The mapping in memory has moved on, and whether the superblock is on disk is not known: both
 * old and new stay until the next checkpoint is durable. */
static void
free_old_later(struct run *run, const struct superblock *block)
{
    for (size_t at = 0; at < run->old.size; at += sizeof(uint64_t)) {
        space__free_later(run->store, load_le64(run->old.data + at));
    }
    if (block->directory_extent != 0) {
        space__free_later(run->store, block->directory_extent);
    }
    if (block->trees_extent != 0) {
        space__free_later(run->store, block->trees_extent);
    }
}

/* After all images are written: mapping, superblock, and what is free then. */
static enum err
switch_over(struct task *task, struct run *run, lsn_t snapshot, struct slice meta)
{
    struct btree *store = run->store;
    apply_places(run);
    latch_acquire(&store->space_latch);
    size_t freed_before = store->freed.count;
    latch_release(&store->space_latch);
    struct superblock *block = mem_alloc_aligned(BLOCK_SIZE, sizeof *block);
    memset(block, 0, sizeof *block);
    enum err err = write_mapping(task, run, block);
    if (err == ERR_OK) {
        world_file_sync(task, store->file); /* B8 */
        block->number = store->checkpoint_number + 1;
        block->snapshot = snapshot.v;
        block->meta_size = (uint32_t)meta.size;
        if (meta.size > 0) {
            memcpy(block->meta, meta.data, meta.size);
        }
        err = superblock__write(task, store, block, run->diag);
    }
    if (err == ERR_OK) {
        store->checkpoint_number = block->number;
        add_old(run, store->directory_extent);
        add_old(run, store->trees_extent);
        store->directory_extent = block->directory_extent;
        store->trees_extent = block->trees_extent;
        free_old(run, freed_before);
    } else {
        free_old_later(run, block);
    }
    mem_free(block);
    return err;
}

/* B11: from here on ids may be used again. */
static void
release_ids(struct btree *store)
{
    latch_acquire(&store->frames_latch);
    atomic_store(&store->checkpointing, false);
    for (size_t i = 0; i < store->free_ids_late.count; i++) {
        store__numbers_add(&store->free_ids, store->free_ids_late.at[i]);
    }
    store->free_ids_late.count = 0;
    latch_release(&store->frames_latch);
}

enum err
btree_checkpoint(
    struct task *task, struct btree *store, lsn_t snapshot, struct slice meta, struct diag *diag)
{
    ASSERT(meta.size <= sizeof((struct superblock *)0)->meta);
    store__drops_stop(task, store);
    latch_acquire(&store->frames_latch);
    ASSERT(!atomic_load(&store->checkpointing));
    atomic_store(&store->checkpointing, true);
    latch_release(&store->frames_latch);
    store->checkpoint_snapshot = snapshot;
    struct run run = {.store = store, .diag = diag, .copy = mem_alloc(sizeof *run.copy)};

    list_trees(store, &run.trees);
    uint32_t used = close_gate_and_mark(store);
    enum err err = place_pages(task, &run, used);
    if (err != ERR_OK) {
        free_placed(&run);
    } else {
        err = switch_over(task, &run, snapshot, meta);
    }
    if (err != ERR_OK) {
        mark_dirty_again(&run, used);
    }
    release_ids(store);
    store__drops_resume(task, store);
    atomic_fetch_add(&store->pages_written, run.placed_count);
    mem_free(run.placed);
    mem_free(run.copy);
    buffer_destroy(&run.trees);
    buffer_destroy(&run.old);
    buffer_destroy(&run.batch);
    return err;
}
