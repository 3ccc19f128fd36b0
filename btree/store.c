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

void
store__frame_give(struct btree *store, uint32_t index)
{
    store->frames[index].next_free = store->frame_free;
    store->frame_free = index;
    store->frames_live--;
}

struct frame *
store__page_new(struct btree *store, uint32_t index, uint64_t *page_id)
{
    latch_acquire(&store->frames_latch);
    uint64_t id = store->free_ids.count > 0 ? store->free_ids.at[--store->free_ids.count]
                                            : store->next_page_id++;
    struct map_chunk *chunk = store__chunk(store, id);
    struct map_entry *entry = &chunk->entries[id % MAP_CHUNK_ENTRIES];
    ASSERT(!entry->used && store__frame(store, id) == NULL); /* B5 */
    ASSERT(entry->run == 0 && entry->extent == 0);
    *entry = (struct map_entry){.used = true};
    store__set_frame(store, id, index + 1);
    latch_release(&store->frames_latch);
    *page_id = id;
    return &store->frames[index];
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

/* Under frames_latch. */
static void
free_entry(struct btree *store, uint64_t page_id)
{
    struct map_chunk *chunk = store__chunk(store, page_id);
    struct map_entry *entry = &chunk->entries[page_id % MAP_CHUNK_ENTRIES];
    ASSERT(entry->used && !entry->loading);
    store__set_frame(store, page_id, 0);
    evict__forget(store, entry);
    if (entry->extent != 0) {
        space__free_later(store, entry->extent);
    }
    *entry = (struct map_entry){0};
    atomic_store(&chunk->dirty, true);
    store__numbers_add(
        atomic_load(&store->checkpointing) ? &store->free_ids_late : &store->free_ids, page_id);
}

void
store__page_free_latched(struct btree *store, struct frame *frame)
{
    latch_acquire(&store->frames_latch);
    free_entry(store, store__page(store, frame)->h.id);
    store__page(store, frame)->h.id = 0; /* B5 */
    atomic_store(&frame->dirty, false);
    atomic_store(&frame->pending, false);
    store__frame_give(store, (uint32_t)(frame - store->frames));
    latch_release(&store->frames_latch);
}

bool
store__page_exists(struct btree *store, uint64_t page_id)
{
    latch_acquire(&store->frames_latch);
    const struct map_entry *entry = store__entry(store, page_id);
    bool exists = entry != NULL && entry->used;
    latch_release(&store->frames_latch);
    return exists;
}

void
store__page_free(struct task *task, struct btree *store, uint64_t page_id)
{
    for (;;) {
        /* The frame goes under its latch, so that a checkpoint which is copying the page comes
         * before or after, and that a reader who still looks at it notices. */
        struct frame *frame = store__frame(store, page_id);
        if (frame != NULL) {
            version_latch_acquire(&frame->latch);
            if (store__page(store, frame)->h.id != page_id) {
                version_latch_release_unchanged(&frame->latch);
                continue; /* it has just left */
            }
            store__page_free_latched(store, frame);
            version_latch_release(&frame->latch);
            return;
        }
        latch_acquire(&store->frames_latch);
        if (store__entry(store, page_id)->loading) {
            store__wait_for_loader(task, store, page_id);
            continue;
        }
        bool away = store__frame(store, page_id) == NULL;
        if (away) {
            free_entry(store, page_id);
        }
        latch_release(&store->frames_latch);
        if (away) {
            return;
        }
    }
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

/* Read an entry's image and decode it: a heap buffer, to be freed by the caller. */
static enum err
read_image(struct task *task, struct btree *store, uint64_t page_id, const struct map_entry *entry,
    uint8_t **raw, size_t *raw_size, struct diag *diag)
{
    size_t size = (size_t)(entry->extent & 0xFFFF) * BLOCK_SIZE;
    uint64_t offset = (entry->extent >> 16) * BLOCK_SIZE;
    uint8_t *bytes = mem_alloc_aligned(BLOCK_SIZE, size);
    size_t got = 0;
    *raw = NULL;
    enum err err = world_file_read(task, store->file, offset, bytes, size, &got, diag);
    if (err == ERR_OK) {
        const char *fault = "unexpected end of file";
        if (got == size) {
            *raw = image__decode(bytes, size, page_id, raw_size, &fault);
        }
        if (*raw != NULL && image__check(bytes) != entry->check) { /* B15 */
            fault = "another version of the page; a write was lost";
            mem_free(*raw);
            *raw = NULL;
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

/* What an image becomes: one page, or more if the snapshot saw rows that shorter ones had replaced.
 * The ids of the second and all others are given when they get their frames; their parent does not
 * know them, the right links do. */
struct loaded {
    struct page *pages;
    uint32_t *frames;
    uint32_t count;
    bool is_run; /* a running form */
};

static void
loaded_destroy(struct loaded *loaded)
{
    mem_free(loaded->pages);
    mem_free(loaded->frames);
}

static struct page *
loaded_add(struct loaded *loaded)
{
    loaded->count++;
    loaded->pages = mem_realloc(loaded->pages, loaded->count * sizeof *loaded->pages);
    loaded->frames = mem_realloc(loaded->frames, loaded->count * sizeof *loaded->frames);
    return &loaded->pages[loaded->count - 1];
}

static enum err
fill_pages(struct btree *store, uint64_t page_id, const uint8_t *raw, size_t raw_size,
    struct loaded *loaded, struct diag *diag)
{
    size_t at = 0;
    bool all = false;
    while (!all) {
        uint64_t some_id = image__fits(raw, raw_size, at) ? 0 : UINT64_MAX;
        const char *fault =
            image__fill(raw, raw_size, &at, loaded_add(loaded), page_id, some_id, &all);
        if (fault != NULL) {
            return diag_set(diag, ERR_CORRUPT, "invalid page %llu of file \"%s\": %s",
                (unsigned long long)page_id, world_file_path(store->file), fault);
        }
    }
    return ERR_OK;
}

/* The entry says `loading`. */
static enum err
read_pages(struct task *task, struct btree *store, uint64_t page_id, const struct map_entry *entry,
    struct loaded *loaded, struct diag *diag)
{
    if (entry->run != 0) {
        loaded->is_run = true;
        return evict__read(
            task, store, page_id, entry->run, entry->run_crc, loaded_add(loaded), diag);
    }
    uint8_t *raw = NULL;
    size_t raw_size = 0;
    TRY(read_image(task, store, page_id, entry, &raw, &raw_size, diag));
    enum err err = fill_pages(store, page_id, raw, raw_size, loaded, diag);
    mem_free(raw);
    return err;
}

/* The pages' frames are taken; in they go, the first one last. */
static void
publish(struct btree *store, uint64_t page_id, struct loaded *loaded, bool cold)
{
    store__gate_enter(store); /* a page that becomes several is a change of structure; B14 */
    for (uint32_t i = 1; i < loaded->count; i++) {
        uint64_t id = 0;
        (void)store__page_new(store, loaded->frames[i], &id);
        loaded->pages[i].h.id = id;
        loaded->pages[i - 1].h.right = id;
    }
    for (uint32_t i = loaded->count; i-- > 0;) {
        struct frame *frame = &store->frames[loaded->frames[i]];
        version_latch_acquire(&frame->latch);
        memcpy(store__page(store, frame), &loaded->pages[i], sizeof loaded->pages[i]);
        atomic_store(&frame->used, !cold);
        if (i > 0) {
            store__page_set_dirty(frame);
            version_latch_release(&frame->latch);
            continue;
        }
        latch_acquire(&store->frames_latch);
        struct map_entry *entry = store__entry(store, page_id);
        bool dirty = loaded->is_run ? entry->run_epoch != 0 : loaded->count > 1;
        frame->saved = loaded->is_run;
        atomic_store(&frame->dirty, dirty);
        atomic_store(
            &frame->pending, dirty && loaded->is_run && entry->run_epoch < store->pending_below);
        store__set_run_epoch(store, entry, 0);
        entry->loading = false;
        store__set_frame(store, page_id, loaded->frames[0] + 1);
        if (cold) {
            evict__note_cold(store, loaded->frames[0]);
        }
        store__wake_loaders(store, page_id);
        latch_release(&store->frames_latch);
        version_latch_release(&frame->latch);
    }
    store__gate_leave(store);
}

void
store__wait_for_loader(struct task *task, struct btree *store, uint64_t page_id)
{
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

void
store__wake_loaders(struct btree *store, uint64_t page_id)
{
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
store__load(struct task *task, struct btree *store, uint64_t page_id, bool cold, struct diag *diag)
{
    latch_acquire(&store->frames_latch);
    struct map_entry *entry = store__entry(store, page_id);
    if (store__frame(store, page_id) != NULL) {
        latch_release(&store->frames_latch);
        return ERR_OK;
    }
    if (entry == NULL || !entry->used || (entry->extent == 0 && entry->run == 0)) {
        latch_release(&store->frames_latch);
        return diag_set(diag, ERR_CORRUPT, "page %llu of file \"%s\" does not exist",
            (unsigned long long)page_id, world_file_path(store->file));
    }
    if (entry->loading) {
        store__wait_for_loader(task, store, page_id);
        return ERR_OK; /* the caller looks again */
    }
    entry->loading = true;
    struct map_entry was = *entry;
    latch_release(&store->frames_latch);

    struct loaded loaded = {0};
    enum err err = read_pages(task, store, page_id, &was, &loaded, diag);
    if (err == ERR_OK) {
        err = evict__take_frames(task, store, loaded.count, loaded.frames, diag);
    }
    if (err == ERR_OK) {
        publish(store, page_id, &loaded, cold);
    } else {
        latch_acquire(&store->frames_latch);
        entry->loading = false;
        store__wake_loaders(store, page_id);
        latch_release(&store->frames_latch);
    }
    loaded_destroy(&loaded);
    return err;
}

enum err
store__page_copy(
    struct task *task, struct btree *store, uint64_t page_id, struct page *to, struct diag *diag)
{
    for (;;) {
        struct frame *frame = store__frame(store, page_id);
        if (frame == NULL) {
            TRY(store__load(task, store, page_id, true, diag));
            continue;
        }
        uint64_t version = version_latch_read(&frame->latch);
        page__copy_racy(to, store__page(store, frame));
        if (version_latch_check(&frame->latch, version) && to->h.id == page_id) {
            return ERR_OK;
        }
    }
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
    uint64_t root = 0;
    uint32_t index = 0;
    TRY(evict__take_frames(task, store, 1, &index, diag));
    struct frame *frame = store__page_new(store, index, &root);
    struct slice none = {0};
    version_latch_acquire(&frame->latch);
    page__format(store__page(store, frame), root, id, 0, none, none, false);
    store__page_set_dirty(frame);
    version_latch_release(&frame->latch);
    enum err err = store__tree_add(store, id, root, 1, 0, diag);
    if (err != ERR_OK) {
        store__page_free(task, store, root);
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

static void
free_values(struct task *task, struct btree *store, const struct page *page)
{
    for (uint32_t i = 0; i < page->h.count; i++) {
        struct btree_row row;
        page__row(page, i, &row);
        if ((row.head.flags & ROW_OVERFLOW) != 0) {
            btree_value_free(task, store, row.value);
        }
    }
}

/* Frees a subtree level by level along the right links: no recursion, any height. */
static void
free_pages(struct task *task, struct btree *store, const struct tree *tree)
{
    struct page *page = mem_alloc(sizeof *page);
    uint64_t level_first = tree->root.v;
    while (level_first != 0) {
        uint64_t at = level_first;
        level_first = 0;
        bool first = true;
        while (at != 0) {
            struct diag diag;
            if (store__page_copy(task, store, at, page, &diag) != ERR_OK) {
                world_log(store->world, "pages of dropped tree %llu stay allocated: %s",
                    (unsigned long long)tree->id.v, diag.message);
                break;
            }
            if (first && page->h.level > 0) {
                level_first = page__child(page, 0, false, true);
            }
            first = false;
            if (page->h.level == 0) {
                free_values(task, store, page);
            }
            store__page_free(task, store, at);
            at = page->h.right;
            task_yield(task);
        }
    }
    mem_free(page);
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
    stats->pages_dirty = store->run_dirty;
    uint32_t used = store->frames_used;
    latch_release(&store->frames_latch);
    for (uint32_t i = 0; i < used; i++) {
        stats->pages_dirty += atomic_load_explicit(&store->frames[i].dirty, memory_order_relaxed);
    }
    stats->pages_read = atomic_load(&store->pages_read);
    stats->pages_written = atomic_load(&store->pages_written);
    stats->pages_merged = atomic_load(&store->pages_merged);
    stats->pages_filled = atomic_load(&store->pages_filled);
    stats->checkpoint_done = atomic_load(&store->checkpoint_done);
    stats->checkpoint_total = atomic_load(&store->checkpoint_total);
    stats->pages_evicted = atomic_load(&store->pages_evicted);
    stats->pages_spilled = atomic_load(&store->pages_spilled);
    latch_acquire(&store->space.latch);
    stats->file_size = store->space.count * BLOCK_SIZE;
    latch_release(&store->space.latch);
    latch_acquire(&store->run_space.latch);
    stats->run_size = store->run_space.count * BTREE_PAGE_SIZE;
    latch_release(&store->run_space.latch);
}
