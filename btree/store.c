/* btree/store.c - frames, page ids, trees, and loading pages on demand. */
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "btree/btree_internal.h"

struct map_chunk *
store__chunk(struct btree *store, uint64_t page_id)
{
    uint64_t number = page_id / MAP_CHUNK_ENTRIES;
    ASSERT(number < MAP_CHUNKS_MAX);
    struct map_chunk *chunk = atomic_load(&store->map[number]);
    if (chunk == NULL) {
        chunk = mem_zalloc(sizeof *chunk);
        atomic_store(&store->map[number], chunk);
    }
    return chunk;
}

/* Under frames_latch. UINT32_MAX: none. */
static uint32_t
frame_take(struct btree *store)
{
    uint32_t index = store->frame_free;
    if (index != UINT32_MAX) {
        store->frame_free = store->frames[index].next_free;
    } else if (store->frames_used < store->frame_count) {
        index = store->frames_used++;
    } else {
        return UINT32_MAX;
    }
    store->frames_live++;
    return index;
}

static void
frame_give(struct btree *store, uint32_t index)
{
    store->frames[index].next_free = store->frame_free;
    store->frame_free = index;
    store->frames_live--;
}

static enum err
cache_full(struct diag *diag)
{
    (void)diag_set(diag, ERR_LIMIT, "the page cache is full");
    diag_hint(diag, "Raise --cache-size; pages are not evicted in this version.");
    return ERR_LIMIT;
}

enum err
store__page_new(struct btree *store, uint64_t *page_id, struct frame **frame, struct diag *diag)
{
    latch_acquire(&store->frames_latch);
    uint32_t index = frame_take(store);
    if (index == UINT32_MAX) {
        latch_release(&store->frames_latch);
        return cache_full(diag);
    }
    uint64_t id = store->free_ids.count > 0 ? store->free_ids.at[--store->free_ids.count]
                                            : store->next_page_id++;
    struct map_chunk *chunk = store__chunk(store, id);
    struct map_entry *entry = &chunk->entries[id % MAP_CHUNK_ENTRIES];
    ASSERT(!entry->used && atomic_load(&entry->frame) == 0); /* B5 */
    entry->used = true;
    atomic_store_explicit(&entry->frame, index + 1, memory_order_release);
    latch_release(&store->frames_latch);
    *frame = &store->frames[index];
    *page_id = id;
    return ERR_OK;
}

void
store__numbers_add(struct numbers *numbers, uint64_t number)
{
    if (numbers->count == numbers->capacity) {
        numbers->capacity = numbers->capacity == 0 ? 64 : numbers->capacity * 2;
        numbers->at = mem_realloc(numbers->at, numbers->capacity * sizeof *numbers->at);
    }
    numbers->at[numbers->count++] = number;
}

/* Under its latch, so that a checkpoint which is copying the page comes before or after, and that
 * a reader who still looks at it notices. */
static void
frame_clear(struct btree *store, uint32_t index)
{
    struct frame *frame = &store->frames[index];
    version_latch_acquire(&frame->latch);
    store->pages[index].h.id = 0; /* B5 */
    atomic_store(&frame->dirty, false);
    atomic_store(&frame->pending, false);
    version_latch_release(&frame->latch);
}

void
store__page_free(struct btree *store, uint64_t page_id)
{
    struct frame *cleared = store__frame(store, page_id);
    if (cleared != NULL) {
        frame_clear(store, (uint32_t)(cleared - store->frames));
    }
    latch_acquire(&store->frames_latch);
    struct map_chunk *chunk = store__chunk(store, page_id);
    struct map_entry *entry = &chunk->entries[page_id % MAP_CHUNK_ENTRIES];
    ASSERT(entry->used && !entry->loading);
    uint32_t frame = atomic_load(&entry->frame);
    if (frame != 0) {
        ASSERT(cleared == &store->frames[frame - 1]);
        frame_give(store, frame - 1);
    }
    atomic_store(&entry->frame, 0);
    entry->used = false;
    if (entry->extent != 0) {
        space__free_later(store, entry->extent);
        entry->extent = 0;
    }
    atomic_store(&chunk->dirty, true);
    store__numbers_add(
        atomic_load(&store->checkpointing) ? &store->free_ids_late : &store->free_ids, page_id);
    latch_release(&store->frames_latch);
}

/* ---- the gate ----------------------------------------------------------------------------------
 */

void
store__gate_enter(struct btree *store)
{
    for (;;) {
        atomic_fetch_add(&store->splits_inside, 1);
        if (atomic_load(&store->gate_closed) == 0) {
            return;
        }
        atomic_fetch_sub(&store->splits_inside, 1);
        while (atomic_load(&store->gate_closed) != 0) {
            __builtin_ia32_pause();
        }
    }
}

void
store__gate_leave(struct btree *store)
{
    atomic_fetch_sub(&store->splits_inside, 1);
}

/* ---- loading -----------------------------------------------------------------------------------
 */

/* Read an extent and decode it: a heap buffer, to be freed by the caller. */
static enum err
read_image(struct task *task, struct btree *store, uint64_t page_id, uint64_t extent, uint8_t **raw,
    size_t *raw_size, struct diag *diag)
{
    size_t size = (size_t)(extent & 0xFFFF) * BLOCK_SIZE;
    uint64_t offset = (extent >> 16) * BLOCK_SIZE;
    uint8_t *bytes = mem_alloc_aligned(BLOCK_SIZE, size);
    size_t got = 0;
    *raw = NULL;
    enum err err = world_file_read(task, store->file, offset, bytes, size, &got, diag);
    if (err == ERR_OK) {
        const char *fault = "unexpected end of file";
        if (got == size) {
            *raw = image__decode(bytes, size, page_id, raw_size, &fault);
        }
        if (*raw == NULL) {
            err = diag_set(diag, ERR_CORRUPT, "invalid page %llu at offset %llu of file \"%s\": %s",
                (unsigned long long)page_id, (unsigned long long)offset,
                world_file_path(store->file), fault);
            diag_hint(diag, "Restore the data directory from a backup.");
        }
    }
    mem_free(bytes);
    atomic_fetch_add(&store->pages_read, 1);
    return err;
}

/* Fill the frame, and new right siblings for what does not fit (their parent does not know them;
 * the right links do). */
static enum err
fill_frames(struct btree *store, uint64_t page_id, uint32_t index, const uint8_t *raw,
    size_t raw_size, struct diag *diag)
{
    size_t at = 0;
    bool all = false;
    uint64_t id = page_id;
    struct frame *frame = &store->frames[index];
    for (;;) {
        uint64_t right_id = 0;
        struct frame *right = NULL;
        if (!image__fits(raw, raw_size, at)) {
            TRY(store__page_new(store, &right_id, &right, diag));
        }
        version_latch_acquire(&frame->latch);
        const char *fault =
            image__fill(raw, raw_size, &at, store__page(store, frame), id, right_id, &all);
        if (fault == NULL) {
            atomic_store(&frame->dirty, id != page_id || !all);
        }
        version_latch_release(&frame->latch);
        if (right != NULL && (all || fault != NULL)) {
            store__page_free(store, right_id);
        }
        if (fault != NULL) {
            return diag_set(diag, ERR_CORRUPT, "invalid page %llu of file \"%s\": %s",
                (unsigned long long)page_id, world_file_path(store->file), fault);
        }
        if (all) {
            return ERR_OK;
        }
        frame = right;
        id = right_id;
    }
}

static enum err
read_page(struct task *task, struct btree *store, uint64_t page_id, uint64_t extent, uint32_t index,
    struct diag *diag)
{
    uint8_t *raw = NULL;
    size_t raw_size = 0;
    TRY(read_image(task, store, page_id, extent, &raw, &raw_size, diag));
    /* A page that becomes several is a change of structure. */
    store__gate_enter(store);
    enum err err = fill_frames(store, page_id, index, raw, raw_size, diag);
    store__gate_leave(store);
    mem_free(raw);
    return err;
}

static void
wait_for_loader(struct task *task, struct btree *store, uint64_t page_id)
{
    /* frames_latch is held on entry. */
    struct load_waiter waiter = {.task = task, .page_id = page_id};
    list_push_back(&store->load_waiters, &waiter.node);
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
wake_waiters(struct btree *store, uint64_t page_id)
{
    /* frames_latch is held. */
    struct list_node *node = store->load_waiters.next;
    while (node != &store->load_waiters) {
        struct load_waiter *waiter = LIST_ENTRY(node, struct load_waiter, node);
        node = node->next;
        if (waiter->page_id == page_id) {
            list_remove(&waiter->node);
            waiter->done = true;
            task_unpark(waiter->task); /* it cannot leave before it gets the latch */
        }
    }
}

enum err
store__load(struct task *task, struct btree *store, uint64_t page_id, struct diag *diag)
{
    latch_acquire(&store->frames_latch);
    struct map_entry *entry = store__entry(store, page_id);
    if (entry == NULL || !entry->used || (entry->extent == 0 && atomic_load(&entry->frame) == 0)) {
        latch_release(&store->frames_latch);
        return diag_set(diag, ERR_CORRUPT, "page %llu of file \"%s\" does not exist",
            (unsigned long long)page_id, world_file_path(store->file));
    }
    if (atomic_load(&entry->frame) != 0) {
        latch_release(&store->frames_latch);
        return ERR_OK;
    }
    if (entry->loading) {
        wait_for_loader(task, store, page_id);
        return ERR_OK; /* the caller looks again */
    }
    uint32_t index = frame_take(store);
    if (index == UINT32_MAX) {
        latch_release(&store->frames_latch);
        return cache_full(diag);
    }
    entry->loading = true;
    uint64_t extent = entry->extent;
    latch_release(&store->frames_latch);

    enum err err = read_page(task, store, page_id, extent, index, diag);
    if (err != ERR_OK) {
        frame_clear(store, index);
    }
    latch_acquire(&store->frames_latch);
    entry->loading = false;
    if (err == ERR_OK) {
        atomic_store_explicit(&entry->frame, index + 1, memory_order_release);
    } else {
        frame_give(store, index);
    }
    wake_waiters(store, page_id);
    latch_release(&store->frames_latch);
    return err;
}

/* ---- trees
 * --------------------------------------------------------------------------------------- */

struct tree *
store__tree(struct btree *store, tree_id_t id)
{
    if (id.v / TREE_CHUNK_ENTRIES >= TREE_CHUNKS_MAX) {
        return NULL;
    }
    _Atomic(struct tree *) *chunk =
        atomic_load_explicit(&store->trees[id.v / TREE_CHUNK_ENTRIES], memory_order_acquire);
    return chunk == NULL
               ? NULL
               : atomic_load_explicit(&chunk[id.v % TREE_CHUNK_ENTRIES], memory_order_acquire);
}

enum err
store__tree_add(struct btree *store, tree_id_t id, uint64_t root, int64_t leaf_count,
    int64_t row_count, struct diag *diag)
{
    if (id.v == 0 || id.v / TREE_CHUNK_ENTRIES >= TREE_CHUNKS_MAX) {
        return diag_set(
            diag, ERR_PROGRAM_LIMIT, "tree id %llu is out of range", (unsigned long long)id.v);
    }
    latch_acquire(&store->trees_latch);
    if (store__tree(store, id) != NULL) {
        latch_release(&store->trees_latch);
        return diag_set(diag, ERR_CORRUPT, "tree %llu exists already", (unsigned long long)id.v);
    }
    struct tree *tree = mem_zalloc(sizeof *tree);
    tree->id = id;
    tree->root.v = root;
    atomic_store(&tree->leaf_count, leaf_count);
    atomic_store(&tree->row_count, row_count);
    uint64_t number = id.v / TREE_CHUNK_ENTRIES;
    _Atomic(struct tree *) *chunk = atomic_load(&store->trees[number]);
    if (chunk == NULL) {
        chunk = mem_array(TREE_CHUNK_ENTRIES, sizeof *chunk);
        atomic_store(&store->trees[number], chunk);
    }
    atomic_store(&chunk[id.v % TREE_CHUNK_ENTRIES], tree);
    store->tree_last = id.v > store->tree_last ? id.v : store->tree_last;
    latch_release(&store->trees_latch);
    return ERR_OK;
}

enum err
btree_tree_create(struct task *task, struct btree *store, tree_id_t id, struct diag *diag)
{
    (void)task;
    uint64_t root = 0;
    struct frame *frame = NULL;
    TRY(store__page_new(store, &root, &frame, diag));
    struct slice none = {0};
    version_latch_acquire(&frame->latch);
    page__format(store__page(store, frame), root, id, 0, none, none, false);
    store__page_set_dirty(frame);
    version_latch_release(&frame->latch);
    enum err err = store__tree_add(store, id, root, 1, 0, diag);
    if (err != ERR_OK) {
        store__page_free(store, root);
    }
    return err;
}

bool
btree_tree_exists(struct btree *store, tree_id_t id)
{
    return store__tree(store, id) != NULL;
}

tree_id_t
btree_tree_last(struct btree *store)
{
    latch_acquire(&store->trees_latch);
    tree_id_t last = {store->tree_last};
    latch_release(&store->trees_latch);
    return last;
}

/* Frees a subtree level by level along the right links: no recursion, any height. */
static void
free_pages(struct task *task, struct btree *store, const struct tree *tree)
{
    uint64_t level_first = tree->root.v;
    while (level_first != 0) {
        uint64_t at = level_first;
        level_first = 0;
        bool first = true;
        while (at != 0) {
            struct diag diag;
            struct frame *frame = store__frame(store, at);
            if (frame == NULL) {
                if (store__load(task, store, at, &diag) != ERR_OK) {
                    world_log(store->world, "pages of dropped tree %llu stay allocated: %s",
                        (unsigned long long)tree->id.v, diag.message);
                    break;
                }
                continue;
            }
            struct page *page = store__page(store, frame);
            if (first && page->h.level > 0) {
                level_first = page__child(page, 0, false, true);
            }
            first = false;
            uint64_t right = page->h.right;
            if (page->h.level == 0) {
                for (uint32_t i = 0; i < page->h.count; i++) {
                    struct btree_row row;
                    page__row(page, i, &row);
                    if ((row.head.flags & ROW_OVERFLOW) != 0) {
                        btree_value_free(task, store, row.value);
                    }
                }
            }
            store__page_free(store, at);
            at = right;
            task_yield(task);
        }
    }
}

void
btree_tree_drop(struct task *task, struct btree *store, tree_id_t id)
{
    latch_acquire(&store->trees_latch);
    struct tree *tree = store__tree(store, id);
    bool later = store->drops_wait;
    if (tree != NULL) {
        _Atomic(struct tree *) *chunk = atomic_load(&store->trees[id.v / TREE_CHUNK_ENTRIES]);
        atomic_store(&chunk[id.v % TREE_CHUNK_ENTRIES], NULL);
        if (later) {
            tree->next = store->dropped;
            store->dropped = tree;
        } else {
            store->drops_running++;
        }
    }
    latch_release(&store->trees_latch);
    if (tree == NULL || later) {
        return;
    }
    free_pages(task, store, tree);
    mem_free(tree);
    latch_acquire(&store->trees_latch);
    store->drops_running--;
    latch_release(&store->trees_latch);
}

void
store__drops_stop(struct task *task, struct btree *store)
{
    for (;;) {
        latch_acquire(&store->trees_latch);
        store->drops_wait = true;
        uint32_t running = store->drops_running;
        latch_release(&store->trees_latch);
        if (running == 0) {
            return;
        }
        task_sleep(task, 1000);
    }
}

void
store__drops_resume(struct task *task, struct btree *store)
{
    latch_acquire(&store->trees_latch);
    store->drops_wait = false;
    struct tree *tree = store->dropped;
    store->dropped = NULL;
    latch_release(&store->trees_latch);
    while (tree != NULL) {
        struct tree *next = tree->next;
        free_pages(task, store, tree);
        mem_free(tree);
        tree = next;
    }
}

void
btree_tree_size(struct btree *store, tree_id_t id, uint64_t *leaf_count, uint64_t *row_count)
{
    struct tree *tree = store__tree(store, id);
    int64_t leaves = tree == NULL ? 0 : atomic_load(&tree->leaf_count);
    int64_t rows = tree == NULL ? 0 : atomic_load(&tree->row_count);
    *leaf_count = leaves < 0 ? 0 : (uint64_t)leaves;
    *row_count = rows < 0 ? 0 : (uint64_t)rows;
}

void
btree_stats(struct btree *store, struct btree_stats *stats)
{
    *stats = (struct btree_stats){.frames_max = store->frame_count};
    latch_acquire(&store->frames_latch);
    stats->frames_used = store->frames_live;
    uint32_t used = store->frames_used;
    latch_release(&store->frames_latch);
    for (uint32_t i = 0; i < used; i++) {
        stats->pages_dirty += atomic_load_explicit(&store->frames[i].dirty, memory_order_relaxed);
    }
    stats->pages_read = atomic_load(&store->pages_read);
    stats->pages_written = atomic_load(&store->pages_written);
    latch_acquire(&store->space_latch);
    stats->file_size = store->block_count * BLOCK_SIZE;
    latch_release(&store->space_latch);
}
