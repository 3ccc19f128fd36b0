/* btree/modify.c - reading and changing one row. */
#include "base/assert.h"
#include "base/mem.h"
#include "btree/btree_internal.h"
#include "btree/overflow.h"

static enum err
no_tree(tree_id_t id, struct diag *diag)
{
    return diag_set(diag, ERR_INTERNAL, "tree %llu does not exist", (unsigned long long)id.v);
}

enum err
btree_get(struct task *task, struct btree *store, tree_id_t id, struct slice key,
    struct arena *into, struct btree_row *row, bool *found, struct diag *diag)
{
    const struct tree *tree = store__tree(store, id);
    if (tree == NULL) {
        return no_tree(id, diag);
    }
    struct arena_mark mark = arena_mark(into);
    for (;;) {
        struct position position;
        TRY(find__page(task, store, tree, 0, key, false, &position, diag));
        const struct page *page = store__page(store, position.frame);
        *found = position.equal;
        bool sound = !*found || page__row_racy(page, position.slot, into, row);
        if (version_latch_check(&position.frame->latch, position.version)) {
            ASSERT(sound);
            row->key = key;
            return ERR_OK;
        }
        arena_rewind(into, mark);
    }
}

/* How many bytes of fresh room the change may need. 0: it fits where the old row lies. */
static size_t
room_needed(
    const struct page *page, uint32_t slot, bool exists, struct slice key, struct slice value)
{
    if (value.data == NULL) {
        return 0; /* nothing will be put */
    }
    if (exists) {
        struct btree_row current;
        page__row(page, slot, &current);
        if (current.value.size == value.size) {
            return 0;
        }
    }
    return PAGE_SLOT_SIZE + LEAF_CELL_HEAD + key.size + value.size;
}

static void
put(struct tree *tree, struct page *page, uint32_t slot, bool exists, struct slice key,
    struct slice value, const struct row_head *head)
{
    if (exists) {
        struct btree_row current;
        page__row(page, slot, &current);
        if (current.value.size == value.size) {
            page__set_head(page, slot, head);
            page__set_value(page, slot, value);
            return;
        }
        page__erase(page, slot);
    } else {
        atomic_fetch_add_explicit(&tree->row_count, 1, memory_order_relaxed);
    }
    page__insert_leaf(page, slot, key, head, value);
}

/* A row was erased: is it time to look for a neighbour to merge with? Not at every row. */
static bool
is_sparse(const struct page *page)
{
    size_t used = BTREE_PAGE_SIZE - page__free_room(page) - page->h.garbage;
    return page->h.count == 0 || (used < BTREE_PAGE_SIZE / 5 * 2 && page->h.count % 16 == 0);
}

/* Everything is in place and the leaf is latched: ask and do. Returns the verdict. */
static enum btree_verdict
decide_and_apply(struct tree *tree, struct frame *frame, struct page *page, uint32_t slot,
    bool exists, struct slice key, struct slice value, uint8_t value_flags, btree_decide *decide,
    void *arg, bool *sparse)
{
    struct btree_row current;
    if (exists) {
        page__row(page, slot, &current);
        current.key = key;
    }
    struct row_head head = {0};
    enum btree_verdict verdict = decide(arg, exists ? &current : NULL, &head);
    switch (verdict) {
    case BTREE_KEEP:
        version_latch_release_unchanged(&frame->latch);
        return verdict;
    case BTREE_PUT:
        ASSERT(value.data != NULL);
        head.flags = (uint8_t)((head.flags & ~ROW_OVERFLOW) | (value_flags & ROW_OVERFLOW));
        put(tree, page, slot, exists, key, value, &head);
        break;
    case BTREE_HEAD:
        ASSERT(exists);
        head.flags = (uint8_t)((head.flags & ~ROW_OVERFLOW) | (current.head.flags & ROW_OVERFLOW));
        page__set_head(page, slot, &head);
        break;
    case BTREE_ERASE:
        ASSERT(exists);
        page__erase(page, slot);
        atomic_fetch_sub_explicit(&tree->row_count, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&tree->erased, 1, memory_order_relaxed);
        *sparse = is_sparse(page);
        break;
    }
    store__page_set_dirty(frame);
    ASSERT_SLOW((btree__check_page(page), true));
    version_latch_release(&frame->latch);
    return verdict;
}

static enum err
check_key(struct slice key, struct diag *diag)
{
    if (key.size <= BTREE_KEY_SIZE_MAX) {
        return ERR_OK;
    }
    (void)diag_set(diag, ERR_PROGRAM_LIMIT, "index row size %zu exceeds maximum %d", key.size,
        BTREE_KEY_SIZE_MAX);
    diag_hint(diag, "Values larger than this cannot be indexed.");
    return ERR_PROGRAM_LIMIT;
}

/* The leaf is the last one, latched: as many as fit. */
static size_t
append_some(struct tree *tree, struct frame *frame, struct page *page,
    const struct btree_entry *entries, size_t count)
{
    const struct row_head head = {0};
    size_t some = 0;
    while (some < count) {
        const struct btree_entry *entry = &entries[some];
        ASSERT(entry->key.size + entry->value.size <= BTREE_VALUE_INLINE_MAX);
        size_t room = PAGE_SLOT_SIZE + LEAF_CELL_HEAD + entry->key.size + entry->value.size;
        if (page__free_room(page) < room) {
            break;
        }
        page__insert_leaf(page, page->h.count, entry->key, &head, entry->value);
        some++;
    }
    if (some > 0) {
        atomic_fetch_add_explicit(&tree->row_count, (int64_t)some, memory_order_relaxed);
        store__page_set_dirty(frame);
        ASSERT_SLOW((btree__check_page(page), true));
    }
    return some;
}

enum err
btree_append(struct task *task, struct btree *store, tree_id_t id,
    const struct btree_entry *entries, size_t count, struct diag *diag)
{
    struct tree *tree = store__tree(store, id);
    if (tree == NULL) {
        return no_tree(id, diag);
    }
    for (size_t at = 0; at < count;) {
        struct slice key = entries[at].key;
        struct position position;
        TRY(check_key(key, diag));
        TRY(find__latched(task, store, tree, 0, key, &position, diag));
        struct page *page = store__page(store, position.frame);
        ASSERT(!page__has_high(page) && position.slot == page->h.count && !position.equal);
        size_t keys = 1;
        while (at + keys < count && entries[at + keys].key.size <= BTREE_KEY_SIZE_MAX) {
            keys++;
        }
        size_t some = append_some(tree, position.frame, page, entries + at, keys);
        if (some > 0) {
            version_latch_release(&position.frame->latch);
            at += some;
        } else {
            version_latch_release_unchanged(&position.frame->latch);
            TRY(split__make_room(task, store, tree, 0, key,
                PAGE_SLOT_SIZE + LEAF_CELL_HEAD + key.size + entries[at].value.size, diag));
        }
    }
    return ERR_OK;
}

enum err
btree_modify(struct task *task, struct btree *store, tree_id_t id, struct slice key,
    struct slice value, uint8_t value_flags, btree_decide *decide, void *arg, struct diag *diag)
{
    struct tree *tree = store__tree(store, id);
    if (tree == NULL) {
        return no_tree(id, diag);
    }
    TRY(check_key(key, diag));
    uint8_t reference[OVERFLOW_REFERENCE_SIZE];
    bool stored_outside = false;
    if ((value_flags & ROW_OVERFLOW) == 0 && key.size + value.size > BTREE_VALUE_INLINE_MAX) {
        TRY(overflow__store(task, store, id, value, reference, diag));
        value = slice_of(reference, sizeof reference);
        value_flags |= ROW_OVERFLOW;
        stored_outside = true;
    }
    enum err err = ERR_OK;
    enum btree_verdict verdict = BTREE_KEEP;
    bool sparse = false;
    for (;;) {
        struct position position;
        err = find__latched(task, store, tree, 0, key, &position, diag);
        if (err != ERR_OK) {
            break;
        }
        struct page *page = store__page(store, position.frame);
        size_t room = room_needed(page, position.slot, position.equal, key, value);
        if (page__free_room(page) >= room) {
            verdict = decide_and_apply(tree, position.frame, page, position.slot, position.equal,
                key, value, value_flags, decide, arg, &sparse);
            break;
        }
        version_latch_release_unchanged(&position.frame->latch);
        err = split__make_room(task, store, tree, 0, key, room, diag);
        if (err != ERR_OK) {
            break;
        }
    }
    if (sparse) {
        merge__leaf(task, store, tree, key);
    }
    if (stored_outside && (err != ERR_OK || verdict != BTREE_PUT)) {
        btree_value_free(task, store, slice_of(reference, sizeof reference));
    }
    return err;
}

enum err
btree_last_key(struct task *task, struct btree *store, tree_id_t id, struct arena *into,
    struct slice *key, bool *found, struct diag *diag)
{
    struct btree_cursor *cursor = btree_cursor_new(store);
    enum err err = btree_cursor_seek(task, cursor, id, BTREE_SEEK_LAST, (struct slice){0}, diag);
    if (err == ERR_OK) {
        const struct btree_row *row = btree_cursor_row(cursor);
        *found = row != NULL;
        if (row != NULL) {
            *key = slice_of(arena_copy(into, row->key.data, row->key.size), row->key.size);
        }
    }
    btree_cursor_delete(cursor);
    return err;
}
