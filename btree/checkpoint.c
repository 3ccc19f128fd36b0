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
    SYNC_SIZE = 8 * BATCH_SIZE, /* written at most before a sync: the log's writes do not queue
                                   long behind it */
    PIECE_BLOCKS = 64,          /* holes of this size are looked for first */
    HOLES_SHARE = 5,            /* more than one block in so many is free: use small ones too */
    MOVES_AT_ONCE = 64,
    PAUSE_US = 10 * 1000,
    REPORT_US = 10 * 1000 * 1000,
};

struct placed {
    uint64_t page_id, new_extent;
    uint32_t check;
};

struct run {
    struct btree *store;
    struct page *copy;
    struct buffer trees; /* struct tree_entry, of the trees at the gate */
    struct buffer batch; /* images in a row, to be written at one place */
    struct placed *placed;
    size_t placed_count, placed_capacity, batch_first;
    size_t unsynced;       /* bytes */
    bool only_small_holes; /* shorter than PIECE_BLOCKS */
    int64_t report_us;     /* when progress is told next */
    struct buffer old;     /* extents (8 bytes each) that are free once the superblock is durable */
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

static void
close_gate(struct btree *store)
{
    atomic_store(&store->gate_closed, 1);
    while (atomic_load(&store->splits_inside) > 0) {
        __builtin_ia32_pause();
    }
}

static void
open_gate(struct btree *store)
{
    atomic_store(&store->gate_closed, 0);
}

/* All that is dirty is due: pages in memory by their frames, the others by their epoch (B14).
 * Returns what all their ids are below. */
static uint64_t
mark(struct btree *store)
{
    close_gate(store);
    latch_acquire(&store->frames_latch);
    uint32_t used = store->frames_used;
    uint64_t id_limit = store->next_page_id;
    uint64_t run_dirty = store->run_dirty;
    latch_release(&store->frames_latch);
    store->epoch++;
    store->pending_below = store->epoch;
    uint64_t total = run_dirty;
    for (uint32_t i = 0; i < used; i++) {
        if (atomic_load(&store->frames[i].dirty)) {
            atomic_store(&store->frames[i].pending, true);
            total++;
        }
    }
    open_gate(store);
    atomic_store(&store->checkpoint_done, 0);
    atomic_store(&store->checkpoint_total, total);
    return id_limit;
}

/* Nothing is due any more. After a failure much may still be marked (B9): it stays dirty. */
static void
unmark(struct btree *store, bool failed)
{
    close_gate(store);
    store->pending_below = 0;
    if (failed) {
        latch_acquire(&store->frames_latch);
        uint32_t used = store->frames_used;
        latch_release(&store->frames_latch);
        for (uint32_t i = 0; i < used; i++) {
            atomic_store(&store->frames[i].pending, false);
        }
    }
    open_gate(store);
}

/* ---- placing and writing images ----------------------------------------------------------------
 */

/* The images are written: the mapping in memory names them, and what it named before is free once
 * the superblock is durable. Pages freed meanwhile keep nothing. */
static void
apply_batch(struct run *run)
{
    struct btree *store = run->store;
    latch_acquire(&store->frames_latch);
    for (size_t i = run->batch_first; i < run->placed_count; i++) {
        const struct placed *placed = &run->placed[i];
        struct map_chunk *chunk = store__chunk(store, placed->page_id);
        struct map_entry *entry = &chunk->entries[placed->page_id % MAP_CHUNK_ENTRIES];
        if (!entry->used) {
            add_old(run, placed->new_extent); /* nobody's */
            continue;
        }
        add_old(run, entry->extent);
        entry->extent = placed->new_extent;
        entry->check = placed->check;
        entry->placed = false;
        atomic_store(&chunk->dirty, true);
    }
    latch_release(&store->frames_latch);
}

/* The page differs from its image: the next one is due. It may be gone. */
static void
stay_dirty(struct btree *store, uint64_t page_id)
{
    for (;;) {
        struct frame *frame = store__frame(store, page_id);
        if (frame != NULL) {
            version_latch_acquire(&frame->latch);
            bool found = store__page(store, frame)->h.id == page_id;
            if (found) {
                atomic_store(&frame->dirty, true);
            }
            version_latch_release_unchanged(&frame->latch);
            if (found) {
                return;
            }
            continue;
        }
        latch_acquire(&store->frames_latch);
        struct map_entry *entry = store__entry(store, page_id);
        bool away = store__frame(store, page_id) == NULL;
        if (away && entry->used) {
            store__set_run_epoch(store, entry, store->epoch);
        }
        latch_release(&store->frames_latch);
        if (away) {
            return;
        }
    }
}

/* B9. What is in the batch has found no place. */
static void
drop_batch(struct run *run)
{
    struct btree *store = run->store;
    for (size_t i = run->batch_first; i < run->placed_count; i++) {
        uint64_t page_id = run->placed[i].page_id;
        stay_dirty(store, page_id);
        latch_acquire(&store->frames_latch);
        store__entry(store, page_id)->placed = false;
        latch_release(&store->frames_latch);
    }
    run->placed_count = run->batch_first;
    run->batch.size = 0;
}

/* Room for `blocks` in a row if there is, else for a part of them, at least `least`. A file with
 * many small holes is filled up before it grows. */
static uint64_t
allocate_piece(struct run *run, uint32_t least, uint32_t blocks, uint32_t *got)
{
    struct space *space = &run->store->space;
    uint64_t first = UINT64_MAX;
    if (!run->only_small_holes) {
        uint32_t long_enough = blocks < PIECE_BLOCKS ? blocks : PIECE_BLOCKS;
        first = space__allocate_fit(space, long_enough, blocks, UINT64_MAX, got);
        run->only_small_holes = first == UINT64_MAX;
    }
    if (first == UINT64_MAX) {
        latch_acquire(&space->latch);
        bool many_holes = (space->count - space->taken) * HOLES_SHARE > space->count;
        latch_release(&space->latch);
        if (many_holes) {
            first = space__allocate_fit(space, least, blocks, UINT64_MAX, got);
        }
    }
    if (first == UINT64_MAX) {
        first = space__allocate_end(space, blocks);
        *got = blocks;
    }
    return first;
}

/* Write images from *next on, as many as fit into one piece of the file, and give them their
 * extents. */
static enum err
write_piece(struct task *task, struct run *run, size_t *next, size_t *offset)
{
    struct btree *store = run->store;
    uint32_t least = (uint32_t)run->placed[*next].new_extent; /* so far: its blocks */
    uint32_t left = (uint32_t)((run->batch.size - *offset) / BLOCK_SIZE);
    uint32_t got = 0;
    uint64_t first = allocate_piece(run, least, left, &got);
    uint32_t filled = 0;
    while (*next < run->placed_count) {
        struct placed *placed = &run->placed[*next];
        uint32_t blocks = (uint32_t)placed->new_extent;
        if (filled + blocks > got) {
            break;
        }
        placed->new_extent = extent_of(first + filled, blocks);
        filled += blocks;
        (*next)++;
    }
    if (filled < got) {
        space__free(store, extent_of(first + filled, got - filled));
    }
    size_t size = (size_t)filled * BLOCK_SIZE;
    enum err err = world_file_write(
        task, store->file, first * BLOCK_SIZE, run->batch.data + *offset, size, run->diag);
    *offset += size;
    return err;
}

static enum err
write_batch(struct task *task, struct run *run)
{
    struct btree *store = run->store;
    size_t next = run->batch_first;
    size_t offset = 0;
    while (offset < run->batch.size) {
        enum err err = write_piece(task, run, &next, &offset);
        if (err != ERR_OK) {
            for (size_t i = run->batch_first; i < next; i++) {
                space__free(store, run->placed[i].new_extent);
            }
            drop_batch(run);
            return err;
        }
    }
    if (offset > 0) {
        apply_batch(run);
    }
    run->batch_first = run->placed_count;
    run->unsynced += run->batch.size;
    run->batch.size = 0;
    if (run->unsynced >= SYNC_SIZE) {
        world_file_sync(task, store->file);
        run->unsynced = 0;
    }
    return ERR_OK;
}

static enum err
place(struct task *task, struct run *run, struct image *image)
{
    if (run->placed_count == run->placed_capacity) {
        run->placed_capacity = run->placed_capacity == 0 ? 1024 : run->placed_capacity * 2;
        run->placed = mem_realloc(run->placed, run->placed_capacity * sizeof *run->placed);
    }
    atomic_fetch_add_explicit(&run->store->checkpoint_done, 1, memory_order_relaxed);
    run->placed[run->placed_count++] = (struct placed){
        .page_id = image->page_id, .new_extent = image->size / BLOCK_SIZE, .check = image->check};
    buffer_add(&run->batch, image->bytes, image->size);
    mem_free(image);
    /* Pages wait in memory for this (B13): not too many. */
    bool enough = run->batch.size >= BATCH_SIZE ||
                  run->placed_count - run->batch_first >= run->store->frame_count / 8;
    return enough ? write_batch(task, run) : ERR_OK;
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
            struct image *image = NULL;
            err = image__render(
                task, store, &capture->page, store->checkpoint_snapshot, &image, &newer, run->diag);
            err = err == ERR_OK ? place(task, run, image) : err;
        }
        mem_free(capture);
        capture = next;
    }
    return err;
}

/* B13: until its image is written, the page stays in memory or keeps its running form. Under
 * frames_latch. */
static void
set_placed(struct btree *store, uint64_t page_id)
{
    store__entry(store, page_id)->placed = true;
}

/* A page in memory that is due. It may have been captured or freed, or have left. */
static enum err
place_frame(struct task *task, struct run *run, struct frame *frame, uint64_t page_id)
{
    struct btree *store = run->store;
    version_latch_acquire(&frame->latch);
    bool is_due =
        store__page(store, frame)->h.id == page_id && atomic_load(&frame->pending); /* B10 */
    if (is_due) {
        memcpy(run->copy, store__page(store, frame), sizeof *run->copy);
        atomic_store(&frame->pending, false);
        atomic_store(&frame->dirty, false);
        latch_acquire(&store->frames_latch);
        set_placed(store, page_id);
        latch_release(&store->frames_latch);
    }
    version_latch_release_unchanged(&frame->latch);
    if (!is_due) {
        return ERR_OK;
    }
    bool newer = false;
    struct image *image = NULL;
    enum err err = image__render(
        task, store, run->copy, store->checkpoint_snapshot, &image, &newer, run->diag);
    if (newer || err != ERR_OK) {
        stay_dirty(store, page_id);
    }
    if (err != ERR_OK) { /* B9 */
        latch_acquire(&store->frames_latch);
        store__entry(store, page_id)->placed = false;
        latch_release(&store->frames_latch);
        return err;
    }
    return place(task, run, image);
}

/* A page in its running form that is due; its entry says `loading`, so that it stays there. */
static enum err
place_run(struct task *task, struct run *run, uint64_t page_id)
{
    struct btree *store = run->store;
    latch_acquire(&store->frames_latch);
    struct map_entry *entry = store__entry(store, page_id);
    uint64_t place_of = entry->run;
    uint32_t crc = entry->run_crc;
    latch_release(&store->frames_latch);
    struct image *image = NULL;
    bool newer = false;
    enum err err = evict__read(task, store, page_id, place_of, crc, run->copy, run->diag);
    if (err == ERR_OK) {
        err = image__render(
            task, store, run->copy, store->checkpoint_snapshot, &image, &newer, run->diag);
    }
    latch_acquire(&store->frames_latch);
    if (err == ERR_OK) {
        store__set_run_epoch(store, entry, newer ? store->epoch : 0);
        set_placed(store, page_id);
    }
    entry->loading = false;
    store__wake_loaders(store, page_id);
    latch_release(&store->frames_latch);
    return err == ERR_OK ? place(task, run, image) : err;
}

/* Who reads it may wait for frames, and these for our images to be written (B13): write first. */
static enum err
wait_until_loaded(struct task *task, struct run *run, uint64_t id)
{
    struct btree *store = run->store;
    TRY(write_batch(task, run));
    latch_acquire(&store->frames_latch);
    if (store__entry(store, id)->loading) {
        store__wait_for_loader(task, store, id);
    } else {
        latch_release(&store->frames_latch);
    }
    return ERR_OK;
}

/* The next page from *id on that is due or may be; its frame, or NULL if it is in the run file and
 * now says `loading`. *id is the limit: there is none. */
static enum err
next_due(struct task *task, struct run *run, uint64_t *id, uint64_t limit, struct frame **frame)
{
    struct btree *store = run->store;
    enum {
        AT_ONCE = 64,
    };
    while (*id < limit) {
        bool is_loading = false;
        latch_acquire(&store->frames_latch);
        for (int i = 0; i < AT_ONCE && *id < limit; i++, (*id)++) {
            struct map_entry *entry = store__entry(store, *id);
            if (entry == NULL || !entry->used) {
                continue;
            }
            if (entry->loading) {
                is_loading = true;
                break;
            }
            *frame = store__frame(store, *id);
            bool is_due = *frame != NULL
                              ? atomic_load(&(*frame)->pending)
                              : entry->run_epoch != 0 && entry->run_epoch < store->pending_below;
            if (is_due) {
                entry->loading = *frame == NULL;
                latch_release(&store->frames_latch);
                return ERR_OK;
            }
        }
        latch_release(&store->frames_latch);
        if (is_loading) {
            TRY(wait_until_loaded(task, run, *id));
        }
        (void)task_breathe(task, NULL);
    }
    return ERR_OK;
}

static void
report(struct run *run, uint64_t done, uint64_t total)
{
    struct btree *store = run->store;
    int64_t now_us = world_clock_us(store->world);
    if (run->report_us == 0) {
        run->report_us = now_us + REPORT_US;
    } else if (now_us >= run->report_us) {
        run->report_us = now_us + REPORT_US;
        world_log(store->world, "checkpoint: %llu of %llu pages written", (unsigned long long)done,
            (unsigned long long)total);
    }
}

/* Everything is written; sleep while that is more than is due. What is captured meanwhile takes
 * memory, so it goes out at once. */
static enum err
pace(struct task *task, struct run *run)
{
    struct btree *store = run->store;
    uint64_t total = atomic_load(&store->checkpoint_total);
    for (;;) {
        uint64_t done = atomic_load(&store->checkpoint_done);
        report(run, done, total);
        double due =
            store->owner.checkpoint_due == NULL ? 1 : store->owner.checkpoint_due(store->owner.arg);
        if (due >= 1 || (double)done <= due * (double)total) {
            return ERR_OK;
        }
        task_park(task, world_clock_us(store->world) + PAUSE_US);
        TRY(place_captured(task, run));
        TRY(write_batch(task, run)); /* B13: nothing waits for us while we sleep */
    }
}

static enum err
place_pages(struct task *task, struct run *run, uint64_t id_limit)
{
    uint64_t id = 1;
    struct frame *frame = NULL;
    for (;;) {
        TRY(next_due(task, run, &id, id_limit, &frame));
        if (id == id_limit) {
            break;
        }
        if (frame != NULL) { /* if it leaves before we get there, it is due where it went */
            TRY(place_frame(task, run, frame, id));
        } else {
            TRY(place_run(task, run, id));
        }
        TRY(place_captured(task, run));
        if (run->batch.size == 0) {
            TRY(pace(task, run));
        }
        /* Interrupts are not for us: a checkpoint half done helps nobody. */
        (void)task_breathe(task, NULL);
    }
    TRY(place_captured(task, run));
    return write_batch(task, run);
}

/* ---- the mapping
 * ------------------------------------------------------------------------------------- */

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
    uint64_t first = space__allocate(&store->space, blocks);
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
            struct stored_chunk stored;
            bool dirty = atomic_exchange(&chunk->dirty, false);
            latch_acquire(&store->frames_latch);
            for (uint32_t i = 0; i < MAP_CHUNK_ENTRIES; i++) {
                stored.extents[i] = chunk->entries[i].extent;
                stored.checks[i] = chunk->entries[i].check;
            }
            latch_release(&store->frames_latch);
            if (dirty || chunk->extent == 0) {
                uint64_t extent = 0;
                enum err err =
                    write_extent(task, store, &stored, sizeof stored, &extent, run->diag);
                if (err != ERR_OK) {
                    atomic_store(&chunk->dirty, true);
                    return err;
                }
                add_old(run, chunk->extent);
                chunk->extent = extent;
            }
            entry.extent = chunk->extent;
            entry.crc = crc32c(CRC32C_INIT, &stored, sizeof stored);
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

/* ---- the superblock
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
    latch_acquire(&store->space.latch);
    struct numbers all = store->freed;
    store->freed = (struct numbers){0};
    latch_release(&store->space.latch);
    for (size_t i = 0; i < all.count; i++) {
        if (i < freed_before) {
            space__free(store, all.at[i]);
        } else {
            space__free_later(store, all.at[i]);
        }
    }
    mem_free(all.at);
    run->old.size = 0;
}

/* B9. What was captured has changed since, and is dirty. */
static void
drop_captured(struct run *run)
{
    struct capture *capture = take_captured(run->store);
    while (capture != NULL) {
        struct capture *next = capture->next;
        mem_free(capture);
        capture = next;
    }
}

/* B9. The mapping in memory has moved on, and whether the superblock is on disk is not known: both
 * old and new stay until the next checkpoint is durable. `block` NULL: there is no new one. */
static void
free_old_later(struct run *run, const struct superblock *block)
{
    for (size_t at = 0; at < run->old.size; at += sizeof(uint64_t)) {
        space__free_later(run->store, load_le64(run->old.data + at));
    }
    if (block != NULL && block->directory_extent != 0) {
        space__free_later(run->store, block->directory_extent);
    }
    if (block != NULL && block->trees_extent != 0) {
        space__free_later(run->store, block->trees_extent);
    }
}

/* After all images are written: mapping, superblock, and what is free then. */
static enum err
switch_over(struct task *task, struct run *run, lsn_t snapshot, struct slice meta)
{
    struct btree *store = run->store;
    latch_acquire(&store->space.latch);
    size_t freed_before = store->freed.count;
    latch_release(&store->space.latch);
    struct superblock *block = mem_alloc_aligned(BLOCK_SIZE, sizeof *block);
    memset(block, 0, sizeof *block);
    enum err err = write_mapping(task, run, block);
    if (err == ERR_OK && !world_file_in_place(task, store->file)) {
        err = diag_set(run->diag, ERR_UNDEFINED_FILE,
            "data file \"%s\" was removed or replaced while the server runs",
            world_file_path(store->file));
        diag_hint(run->diag, "Do not stop the server: its open file in /proc/PID/fd and the log "
                             "still hold the data. Copy both away first.");
    }
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

/* ---- giving room back --------------------------------------------------------------------------
 *
 * After a checkpoint that wrote much anew the file is up to twice as large as what is in it. If so,
 * images beyond the end that it should have are copied into holes before it, as they are, a second
 * superblock names them there, and the file is cut off.
 */

struct move {
    uint64_t limit; /* block */
    uint8_t *bytes;
    bool full; /* no hole is left */
};

/* Somebody may be reading the image where it is: he must have done before the next superblock. So
 * the page is held meanwhile: in memory (B13), or out of it. */
static bool
hold(struct btree *store, uint64_t page_id, uint64_t limit, uint64_t *extent, bool *in_memory)
{
    latch_acquire(&store->frames_latch);
    struct map_entry *entry = store__entry(store, page_id);
    bool held = entry != NULL && entry->used && entry->extent >> 16 >= limit && !entry->loading;
    if (held) {
        ASSERT(!entry->placed);
        *extent = entry->extent;
        *in_memory = store__frame(store, page_id) != NULL;
        entry->placed = *in_memory;
        entry->loading = !*in_memory;
    }
    latch_release(&store->frames_latch);
    return held;
}

/* `to` 0: it stays where it was. */
static void
let_go(struct run *run, uint64_t page_id, uint64_t to, bool in_memory)
{
    struct btree *store = run->store;
    latch_acquire(&store->frames_latch);
    struct map_chunk *chunk = store__chunk(store, page_id);
    struct map_entry *entry = &chunk->entries[page_id % MAP_CHUNK_ENTRIES];
    if (!entry->used) {
        add_old(run, to); /* freed meanwhile */
    } else if (to != 0) {
        add_old(run, entry->extent);
        entry->extent = to;
        atomic_store(&chunk->dirty, true);
    }
    if (in_memory) {
        entry->placed = false;
    } else {
        entry->loading = false;
        store__wake_loaders(store, page_id);
    }
    latch_release(&store->frames_latch);
}

static enum err
move_image(struct task *task, struct run *run, struct move *move, uint64_t page_id)
{
    struct btree *store = run->store;
    uint64_t extent = 0;
    bool in_memory = false;
    if (!hold(store, page_id, move->limit, &extent, &in_memory)) {
        return ERR_OK;
    }
    uint32_t blocks = (uint32_t)(extent & 0xFFFF);
    size_t size = (size_t)blocks * BLOCK_SIZE;
    uint32_t got = 0;
    uint64_t first = space__allocate_fit(&store->space, blocks, blocks, move->limit, &got);
    enum err err = ERR_OK;
    move->full = first == UINT64_MAX;
    if (!move->full) {
        size_t read = 0;
        move->bytes = mem_realloc(move->bytes, size);
        err = world_file_read(
            task, store->file, (extent >> 16) * BLOCK_SIZE, move->bytes, size, &read, run->diag);
        if (err == ERR_OK && read == size) {
            err = world_file_write(
                task, store->file, first * BLOCK_SIZE, move->bytes, size, run->diag);
        }
        if (err != ERR_OK || read != size) {
            space__free(store, extent_of(first, blocks));
            first = UINT64_MAX;
        }
    }
    let_go(run, page_id, first == UINT64_MAX ? 0 : extent_of(first, blocks), in_memory);
    return err;
}

static enum err
move_images(struct task *task, struct run *run, struct move *move, uint64_t id_limit)
{
    struct btree *store = run->store;
    for (uint64_t id = 1; id < id_limit && !move->full; id++) {
        TRY(move_image(task, run, move, id));
        if (id % MOVES_AT_ONCE == 0) {
            bool hurry = store->owner.checkpoint_due == NULL ||
                         store->owner.checkpoint_due(store->owner.arg) >= 1;
            if (!hurry) {
                task_park(task, world_clock_us(store->world) + PAUSE_US / 10);
            }
            (void)task_breathe(task, NULL);
        }
    }
    for (uint64_t number = 0; number * MAP_CHUNK_ENTRIES < id_limit; number++) {
        struct map_chunk *chunk = atomic_load(&store->map[number]);
        if (chunk != NULL && chunk->extent >> 16 >= move->limit) {
            atomic_store(&chunk->dirty, true);
        }
    }
    return ERR_OK;
}

static void
give_back(struct task *task, struct run *run, uint64_t id_limit, lsn_t snapshot, struct slice meta)
{
    struct btree *store = run->store;
    struct space *space = &store->space;
    latch_acquire(&space->latch);
    struct move move = {.limit = space->taken + space->taken / 16 + 64};
    bool much = space->count > space->taken + space->taken / 5 + 256;
    space->hint = much ? 0 : space->hint;
    uint64_t before = space->count;
    latch_release(&space->latch);
    enum err err = ERR_OK;
    if (much) {
        err = move_images(task, run, &move, id_limit);
        mem_free(move.bytes);
        enum err switched = switch_over(task, run, snapshot, meta);
        err = err == ERR_OK ? switched : err;
    }
    uint64_t count = space__trim(space);
    if (err == ERR_OK && count < before) {
        err = world_file_truncate(task, store->file, count * BLOCK_SIZE, run->diag);
    }
    if (err != ERR_OK) { /* the checkpoint is good all the same */
        world_log(store->world, "the data file stays as large as it is: %s", run->diag->message);
    }
}

/* ---- the whole
 * ------------------------------------------------------------------------------------------ */

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
    merge__catch_up(task, store);
    latch_acquire(&store->frames_latch);
    ASSERT(!atomic_load(&store->checkpointing));
    atomic_store(&store->checkpointing, true);
    latch_release(&store->frames_latch);
    store->checkpoint_snapshot = snapshot;
    struct run run = {.store = store, .diag = diag, .copy = mem_alloc(sizeof *run.copy)};

    list_trees(store, &run.trees);
    uint64_t id_limit = mark(store);
    enum err err = place_pages(task, &run, id_limit);
    unmark(store, err != ERR_OK);
    if (err == ERR_OK) {
        err = switch_over(task, &run, snapshot, meta);
        if (err == ERR_OK) {
            give_back(task, &run, id_limit, snapshot, meta);
        }
    } else {
        drop_batch(&run);
        drop_captured(&run);
        free_old_later(&run, NULL);
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
