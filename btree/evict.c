/*
 * btree/evict.c - when memory is full: which pages leave, and how they come back.
 *
 * Whoever needs frames and finds none sweeps the clock: a page that was looked at since the hand
 * last came by stays; one whose image on disk says the same, and whose rows every snapshot sees, is
 * dropped; any other is written in its running form, heads and all, to the run file, sixteen KiB at
 * a place of its own. That file belongs to this run of the server: it is empty at the start, and
 * nothing durable names it. One task sweeps at a time; the others who need frames wait for it.
 *
 * A page that has left is what it was (B14): dirty or not, due for the running checkpoint or not.
 * Its row heads come back as they were, so nothing above notices.
 *
 * Pages that scans read go to a small ring first: while the ring is full, those in it that nobody
 * else has looked at leave before all others, so that a scan of much uses little.
 *
 * Under the page's latch a page is only copied; it is written without any, stays readable and
 * writable meanwhile, and leaves afterwards if it has not changed.
 */
#include <stdio.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "btree/btree_internal.h"

enum {
    BATCH = 32,      /* pages written at once */
    SLICE = 256,     /* steps of the hand in one stay in the gate */
    GOAL_SHARE = 16, /* one frame in so many is made free at once, at most BATCH */
    COLD_SHARE = 16, /* scans keep to one frame in so many */
    COLD_KEEP_MAX = 256,
    PAUSE_US = 1000,
    PATIENCE_US = 10 * 1000 * 1000,
};

struct victim {
    uint64_t page_id, version, run;
    uint32_t frame, crc;
};

struct eviction {
    uint32_t goal;  /* frames to make free at once */
    uint32_t freed; /* so far */
    uint32_t count; /* about to be written */
    struct victim victims[BATCH];
    struct world_part parts[BATCH];
    struct page *pages; /* BATCH of them */
};

void
evict__create(struct btree *store)
{
    list_init(&store->frame_waiters);
    store->epoch = 1;
    uint32_t keep = store->frame_count / COLD_SHARE;
    store->cold_keep = keep > COLD_KEEP_MAX ? COLD_KEEP_MAX : keep;
    store->cold_capacity = 2 * store->cold_keep;
    store->cold = mem_array(store->cold_capacity, sizeof *store->cold);
    store->eviction = mem_zalloc(sizeof *store->eviction);
    uint32_t goal = store->frame_count / GOAL_SHARE;
    store->eviction->goal = goal > BATCH ? BATCH : goal;
}

static void
run_path(const struct btree *store, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/run.tusk", store->directory);
}

void
evict__destroy(struct task *task, struct btree *store)
{
    if (store->run_file != NULL) {
        char path[4096];
        struct diag diag;
        world_file_close(task, store->run_file);
        run_path(store, path, sizeof path);
        (void)world_unlink(task, path, &diag); /* else the next run empties it */
    }
    mem_free(store->run_space.used);
    mem_free(store->cold);
    mem_free(store->eviction->pages);
    mem_free(store->eviction);
}

enum err
evict__discard(struct task *task, struct btree *store, struct diag *diag)
{
    char path[4096];
    run_path(store, path, sizeof path);
    return world_file_exists(task, path) ? world_unlink(task, path, diag) : ERR_OK;
}

/* ---- the run file ------------------------------------------------------------------------------
 */

/* Made when the first page goes there. */
static enum err
open_run_file(struct task *task, struct btree *store, struct diag *diag)
{
    if (store->run_file != NULL) {
        return ERR_OK;
    }
    char path[4096];
    struct world_file *file = NULL;
    run_path(store, path, sizeof path);
    TRY(world_file_open(task, path, WORLD_FILE_WRITE | WORLD_FILE_CREATE, &file, diag));
    enum err err = world_file_truncate(task, file, 0, diag);
    if (err != ERR_OK) {
        world_file_close(task, file);
        return err;
    }
    store->eviction->pages = mem_array(BATCH, sizeof *store->eviction->pages);
    store->run_file = file;
    return ERR_OK;
}

enum err
evict__read(struct task *task, struct btree *store, uint64_t page_id, uint64_t run, uint32_t crc,
    struct page *to, struct diag *diag)
{
    size_t got = 0;
    uint64_t offset = (run - 1) * BTREE_PAGE_SIZE;
    TRY(world_file_read(task, store->run_file, offset, to, sizeof *to, &got, diag));
    atomic_fetch_add(&store->pages_read, 1);
    if (got != sizeof *to || to->h.id != page_id || crc32c(CRC32C_INIT, to, sizeof *to) != crc) {
        (void)diag_set(diag, ERR_CORRUPT, "invalid page %llu at offset %llu of file \"%s\"",
            (unsigned long long)page_id, (unsigned long long)offset,
            world_file_path(store->run_file));
        diag_hint(diag, "Restart the server: the file holds nothing that the log does not.");
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

void
evict__forget(struct btree *store, struct map_entry *entry)
{
    if (entry->run != 0) {
        space__free_unit(&store->run_space, entry->run - 1);
        entry->run = 0;
    }
    store__set_run_epoch(store, entry, 0);
}

/* ---- leaving -----------------------------------------------------------------------------------
 */

/* Would its image do, heads of zero in place of these? */
static bool
is_settled(const struct btree *store, const struct page *page)
{
    if (page->h.level != 0) {
        return true;
    }
    for (uint32_t i = 0; i < page->h.count; i++) {
        struct btree_row row;
        page__row(page, i, &row);
        if (row.head.writer.v == 0) {
            continue;
        }
        if (store->owner.is_settled == NULL ||
            !store->owner.is_settled(store->owner.arg, row.head.writer)) {
            return false;
        }
    }
    return true;
}

/* Under the page's latch and frames_latch. The frame is free. */
static void
leave(struct btree *store, struct frame *frame, uint64_t page_id)
{
    store__page(store, frame)->h.id = 0; /* B5 */
    atomic_store(&frame->dirty, false);
    atomic_store(&frame->pending, false);
    atomic_store(&frame->used, false);
    store__set_frame(store, page_id, 0);
    store__frame_give(store, (uint32_t)(frame - store->frames));
    store->eviction->freed++;
    atomic_fetch_add_explicit(&store->pages_evicted, 1, memory_order_relaxed);
}

/* The same; its running form on disk is what is in memory. */
static void
leave_saved(struct btree *store, struct frame *frame, struct map_entry *entry, uint64_t page_id)
{
    ASSERT(entry->run != 0 && frame->saved && !entry->placed);
    bool dirty = atomic_load(&frame->dirty);
    bool pending = atomic_load(&frame->pending);
    ASSERT(dirty || !pending);
    store__set_run_epoch(store, entry,
        pending ? store->epoch - 1
        : dirty ? store->epoch
                : 0); /* B14 */
    leave(store, frame, page_id);
}

/* Inside the gate, with the frame latched. Returns true if the page has left. */
static bool
consider(struct btree *store, struct frame *frame)
{
    struct eviction *eviction = store->eviction;
    const struct page *page = store__page(store, frame);
    uint64_t page_id = page->h.id;
    if (page_id == 0 || frame->leaving) {
        return false;
    }
    bool drop = !atomic_load(&frame->dirty) && is_settled(store, page);
    bool left = false;
    latch_acquire(&store->frames_latch);
    struct map_entry *entry = store__entry(store, page_id);
    ASSERT(store__frame(store, page_id) == frame && entry->used && !entry->loading);
    if (entry->placed) {
        left = false; /* B13 */
    } else if (drop) {
        ASSERT(entry->extent != 0);
        evict__forget(store, entry);
        leave(store, frame, page_id);
        left = true;
    } else if (frame->saved) {
        leave_saved(store, frame, entry, page_id);
        left = true;
    } else if (eviction->count < BATCH && eviction->pages != NULL) {
        struct victim *victim = &eviction->victims[eviction->count];
        victim->page_id = page_id;
        victim->frame = (uint32_t)(frame - store->frames);
        victim->version = atomic_load(&frame->latch.version);
        memcpy(&eviction->pages[eviction->count], page, sizeof *page);
        eviction->count++;
        frame->leaving = true;
    }
    latch_release(&store->frames_latch);
    return left;
}

static void
try_frame(struct btree *store, uint32_t index)
{
    struct frame *frame = &store->frames[index];
    if (!version_latch_try(&frame->latch)) {
        return;
    }
    if (consider(store, frame)) {
        version_latch_release(&frame->latch);
    } else {
        version_latch_release_unchanged(&frame->latch);
    }
}

/* ---- which -------------------------------------------------------------------------------------
 */

void
evict__note_cold(struct btree *store, uint32_t index)
{
    if (store->cold_count == store->cold_capacity) {
        store->cold_first = (store->cold_first + 1) % store->cold_capacity;
        store->cold_count--;
    }
    store->cold[(store->cold_first + store->cold_count) % store->cold_capacity] = index;
    store->cold_count++;
}

/* The oldest of the ring, if it is over its measure. UINT32_MAX: none. */
static uint32_t
next_cold(struct btree *store)
{
    uint32_t index = UINT32_MAX;
    latch_acquire(&store->frames_latch);
    if (store->cold_count > store->cold_keep) {
        index = store->cold[store->cold_first];
        store->cold_first = (store->cold_first + 1) % store->cold_capacity;
        store->cold_count--;
    }
    latch_release(&store->frames_latch);
    return index;
}

static bool
has_enough(const struct eviction *eviction)
{
    return eviction->freed + eviction->count >= eviction->goal;
}

/* Twice around at most: the first time may only clear marks. */
static void
sweep(struct task *task, struct btree *store)
{
    struct eviction *eviction = store->eviction;
    uint64_t steps = 0;
    while (steps < 2 * (uint64_t)store->frame_count + SLICE && !has_enough(eviction)) {
        store__gate_enter(store);
        for (uint32_t i = 0; i < SLICE && !has_enough(eviction); i++) {
            uint32_t index = next_cold(store);
            if (index == UINT32_MAX) {
                index = store->hand;
                store->hand = (index + 1) % store->frame_count;
                steps++;
            }
            _Atomic bool *used = &store->frames[index].used;
            if (atomic_load_explicit(used, memory_order_relaxed)) {
                atomic_store_explicit(used, false, memory_order_relaxed);
                continue;
            }
            try_frame(store, index);
        }
        store__gate_leave(store);
        (void)task_breathe(task, NULL); /* interrupts are not for a sweep: others wait for it */
    }
}

/* ---- writing -----------------------------------------------------------------------------------
 */

/* Sets the victims' places; `run` 0 is left to those that found none. */
static enum err
write_victims(struct task *task, struct btree *store, struct diag *diag)
{
    struct eviction *eviction = store->eviction;
    uint32_t at = 0;
    for (uint32_t i = 0; i < eviction->count; i++) {
        eviction->victims[i].crc = crc32c(CRC32C_INIT, &eviction->pages[i], sizeof(struct page));
    }
    unsigned parts = 0;
    while (at < eviction->count) {
        uint32_t got = 0;
        uint64_t first = space__allocate_some(&store->run_space, eviction->count - at, &got);
        eviction->parts[parts++] = (struct world_part){.offset = first * BTREE_PAGE_SIZE,
            .bytes = &eviction->pages[at],
            .size = got * sizeof(struct page)};
        for (uint32_t i = 0; i < got; i++) {
            eviction->victims[at + i].run = first + i + 1;
        }
        at += got;
    }
    enum err err = world_file_write_parts(task, store->run_file, eviction->parts, parts, diag);
    struct victim *victim = eviction->victims;
    for (unsigned i = 0; i < parts && err != ERR_OK; i++) {
        /* Some may have room where all have not: a full disk stops the file's growth only. */
        const struct world_part *part = &eviction->parts[i];
        struct diag failure;
        bool written = world_file_write(task, store->run_file, part->offset, part->bytes,
                           part->size, &failure) == ERR_OK;
        for (size_t j = 0; j < part->size / sizeof(struct page); j++, victim++) {
            if (!written) {
                space__free_unit(&store->run_space, victim->run - 1);
                victim->run = 0;
            }
        }
    }
    return err;
}

/* Inside the gate: what was written leaves, unless somebody has looked at it or changed it. */
static void
finish_victim(struct btree *store, const struct victim *victim)
{
    struct frame *frame = &store->frames[victim->frame];
    version_latch_acquire(&frame->latch);
    frame->leaving = false;
    bool same = store__page(store, frame)->h.id == victim->page_id &&
                atomic_load(&frame->latch.version) == victim->version;
    bool left = false;
    if (victim->run != 0 && !same) {
        space__free_unit(&store->run_space, victim->run - 1);
    } else if (victim->run != 0) {
        latch_acquire(&store->frames_latch);
        struct map_entry *entry = store__entry(store, victim->page_id);
        evict__forget(store, entry);
        entry->run = victim->run;
        entry->run_crc = victim->crc;
        frame->saved = true;
        if (!entry->placed && !atomic_load(&frame->used)) {
            leave_saved(store, frame, entry, victim->page_id);
            left = true;
        }
        latch_release(&store->frames_latch);
        atomic_fetch_add_explicit(&store->pages_spilled, 1, memory_order_relaxed);
    }
    if (left) {
        version_latch_release(&frame->latch);
    } else {
        version_latch_release_unchanged(&frame->latch);
    }
}

/* One sweep and what it writes. The caller has set `evicting`. */
static enum err
evict_some(struct task *task, struct btree *store, uint32_t *freed, struct diag *diag)
{
    struct eviction *eviction = store->eviction;
    eviction->freed = 0;
    eviction->count = 0;
    enum err err = open_run_file(task, store, diag);
    sweep(task, store);
    if (err == ERR_OK && eviction->count > 0) {
        err = write_victims(task, store, diag);
        store__gate_enter(store);
        for (uint32_t i = 0; i < eviction->count; i++) {
            finish_victim(store, &eviction->victims[i]);
        }
        store__gate_leave(store);
    }
    *freed = eviction->freed;
    return eviction->freed > 0 ? ERR_OK : err;
}

/* ---- taking frames -----------------------------------------------------------------------------
 */

/* Under frames_latch. */
static bool
take(struct btree *store, uint32_t count, uint32_t *frames)
{
    if (store->frame_count - store->frames_live < count) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = store->frame_free;
        if (index != UINT32_MAX) {
            store->frame_free = store->frames[index].next_free;
        } else {
            index = store->frames_used++;
        }
        frames[i] = index;
    }
    store->frames_live += count;
    return true;
}

/* Under frames_latch, which it releases. */
static void
wait_for_frames(struct task *task, struct btree *store)
{
    struct frame_waiter waiter = {.task = task};
    list_push_back(&store->frame_waiters, &waiter.node);
    latch_release(&store->frames_latch);
    for (;;) {
        task_park(task, WORLD_NEVER);
        latch_acquire(&store->frames_latch);
        bool done = waiter.done;
        latch_release(&store->frames_latch);
        if (done) {
            return;
        }
    }
}

static void
end_eviction(struct btree *store)
{
    latch_acquire(&store->frames_latch);
    store->evicting = false;
    struct list_node *node = store->frame_waiters.next;
    while (node != &store->frame_waiters) {
        struct frame_waiter *waiter = LIST_ENTRY(node, struct frame_waiter, node);
        node = node->next;
        list_remove(&waiter->node);
        waiter->done = true;
        task_unpark(waiter->task); /* it cannot leave before it gets the latch */
    }
    latch_release(&store->frames_latch);
}

static enum err
cache_full(struct diag *diag)
{
    (void)diag_set(diag, ERR_LIMIT, "the page cache is full");
    diag_hint(diag, "Raise --cache-size.");
    return ERR_LIMIT;
}

enum err
evict__take_frames(
    struct task *task, struct btree *store, uint32_t count, uint32_t *frames, struct diag *diag)
{
    if (count > store->frame_count / 4) {
        return cache_full(diag);
    }
    int64_t give_up_us = 0;
    for (;;) {
        latch_acquire(&store->frames_latch);
        if (take(store, count, frames)) {
            latch_release(&store->frames_latch);
            return ERR_OK;
        }
        if (store->evicting) {
            wait_for_frames(task, store);
            continue;
        }
        store->evicting = true;
        latch_release(&store->frames_latch);
        uint32_t freed = 0;
        enum err err = evict_some(task, store, &freed, diag);
        end_eviction(store);
        TRY(err);
        if (freed > 0) {
            give_up_us = 0;
            continue;
        }
        /* Everything is on its way in or out, or waits for the checkpoint's next write. */
        int64_t now_us = world_clock_us(store->world);
        give_up_us = give_up_us == 0 ? now_us + PATIENCE_US : give_up_us;
        if (now_us > give_up_us) {
            return cache_full(diag);
        }
        task_park(task, now_us + PAUSE_US);
    }
}
