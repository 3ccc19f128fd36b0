/*
 * btree/cursor.c - scans: one leaf copied at a time.
 *
 * Forward, the next leaf is the right sibling (B2: its low fence is our high fence, whatever has
 * split since). Backward, it is the leaf of the largest key below our low fence, found from the
 * root. So each key that stays is seen exactly once.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "btree/btree_internal.h"

struct btree_cursor {
    struct btree *store;
    const struct tree *tree;
    struct btree_row row;
    int32_t slot;
    bool valid;
    uint8_t key[BTREE_KEY_SIZE_MAX];
    struct page page;
};

struct btree_cursor *
btree_cursor_new(struct btree *store)
{
    struct btree_cursor *cursor = mem_alloc(sizeof *cursor);
    cursor->store = store;
    cursor->tree = NULL;
    cursor->valid = false;
    cursor->slot = 0;
    return cursor;
}

void
btree_cursor_delete(struct btree_cursor *cursor)
{
    mem_free(cursor);
}

static enum err
copy_leaf(struct task *task, struct btree_cursor *cursor, struct slice key, bool exclusive,
    struct diag *diag)
{
    for (;;) {
        struct position position;
        TRY(find__page(task, cursor->store, cursor->tree, 0, key, exclusive, &position, diag));
        page__copy_racy(&cursor->page, store__page(cursor->store, position.frame));
        if (version_latch_check(&position.frame->latch, position.version)) {
            return ERR_OK;
        }
    }
}

static enum err
copy_sibling(struct task *task, struct btree_cursor *cursor, uint64_t id, struct diag *diag)
{
    for (;;) {
        struct frame *frame = store__frame(cursor->store, id);
        if (frame == NULL) {
            TRY(store__load(task, cursor->store, id, diag));
            continue;
        }
        uint64_t version = version_latch_read(&frame->latch);
        page__copy_racy(&cursor->page, store__page(cursor->store, frame));
        if (version_latch_check(&frame->latch, version)) {
            if (cursor->page.h.level != 0) {
                return diag_set(diag, ERR_CORRUPT, "page %llu of file \"%s\" should be a leaf",
                    (unsigned long long)id, world_file_path(cursor->store->file));
            }
            return ERR_OK;
        }
    }
}

/* Fill row from slot. */
static void
stand(struct btree_cursor *cursor)
{
    page__row(&cursor->page, (uint32_t)cursor->slot, &cursor->row);
    cursor->row.key =
        slice_of(cursor->key, page__full_key(&cursor->page, (uint32_t)cursor->slot, cursor->key));
    cursor->valid = true;
}

/* From slot onward, over page ends. */
static enum err
settle_forward(struct task *task, struct btree_cursor *cursor, struct diag *diag)
{
    while (cursor->slot >= cursor->page.h.count) {
        if (cursor->page.h.right == 0) {
            cursor->valid = false;
            return ERR_OK;
        }
        TRY(copy_sibling(task, cursor, cursor->page.h.right, diag));
        cursor->slot = 0;
    }
    stand(cursor);
    return ERR_OK;
}

static enum err
settle_backward(struct task *task, struct btree_cursor *cursor, struct diag *diag)
{
    while (cursor->slot < 0) {
        struct slice low = page__low(&cursor->page);
        if (low.size == 0) {
            cursor->valid = false; /* the first page: minus infinity */
            return ERR_OK;
        }
        uint8_t fence[BTREE_KEY_SIZE_MAX];
        memcpy(fence, low.data, low.size);
        TRY(copy_leaf(task, cursor, slice_of(fence, low.size), true, diag));
        /* Not all of the page need lie below the fence: a split page's left half does. */
        bool equal = false;
        cursor->slot = (int32_t)page__find(&cursor->page, slice_of(fence, low.size), &equal) - 1;
    }
    stand(cursor);
    return ERR_OK;
}

enum err
btree_cursor_seek(struct task *task, struct btree_cursor *cursor, tree_id_t id, enum btree_seek how,
    struct slice key, struct diag *diag)
{
    cursor->valid = false;
    cursor->tree = store__tree(cursor->store, id);
    if (cursor->tree == NULL) {
        return diag_set(diag, ERR_INTERNAL, "tree %llu does not exist", (unsigned long long)id.v);
    }
    bool equal = false;
    struct slice lowest = slice_of("", 0);
    switch (how) {
    case BTREE_SEEK_FIRST:
        TRY(copy_leaf(task, cursor, lowest, false, diag));
        cursor->slot = 0;
        return settle_forward(task, cursor, diag);
    case BTREE_SEEK_LAST:
        TRY(copy_leaf(task, cursor, (struct slice){0}, true, diag));
        cursor->slot = (int32_t)cursor->page.h.count - 1;
        return settle_backward(task, cursor, diag);
    case BTREE_SEEK_GE:
    case BTREE_SEEK_GT:
        key = key.data == NULL ? lowest : key;
        TRY(copy_leaf(task, cursor, key, false, diag));
        cursor->slot = (int32_t)page__find(&cursor->page, key, &equal);
        cursor->slot += equal && how == BTREE_SEEK_GT ? 1 : 0;
        return settle_forward(task, cursor, diag);
    case BTREE_SEEK_LE:
    case BTREE_SEEK_LT:
        key = key.data == NULL ? lowest : key;
        TRY(copy_leaf(task, cursor, key, false, diag));
        cursor->slot = (int32_t)page__find(&cursor->page, key, &equal);
        cursor->slot -= equal && how == BTREE_SEEK_LE ? 0 : 1;
        return settle_backward(task, cursor, diag);
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

const struct btree_row *
btree_cursor_row(const struct btree_cursor *cursor)
{
    return cursor->valid ? &cursor->row : NULL;
}

enum err
btree_cursor_next(struct task *task, struct btree_cursor *cursor, struct diag *diag)
{
    ASSERT(cursor->valid);
    cursor->slot++;
    return settle_forward(task, cursor, diag);
}

enum err
btree_cursor_prev(struct task *task, struct btree_cursor *cursor, struct diag *diag)
{
    ASSERT(cursor->valid);
    cursor->slot--;
    return settle_backward(task, cursor, diag);
}

/* ---- check
 * ---------------------------------------------------------------------------------------- */

enum err
btree_check(struct task *task, struct btree *store, tree_id_t id, struct diag *diag)
{
    struct btree_cursor *cursor = btree_cursor_new(store);
    uint8_t *fence = mem_alloc(BTREE_KEY_SIZE_MAX);
    size_t fence_size = 0;
    bool first = true;
    enum err err = btree_cursor_seek(task, cursor, id, BTREE_SEEK_FIRST, (struct slice){0}, diag);
    if (err == ERR_OK) {
        /* Leaf by leaf: each page sound, each low fence the one before's high fence (B2). */
        err = copy_leaf(task, cursor, slice_of("", 0), false, diag);
    }
    while (err == ERR_OK) {
        const struct page *page = &cursor->page;
        const char *fault = page__fault(page);
        if (fault == NULL && page->h.tree != id.v) {
            fault = "page of another tree";
        }
        if (fault == NULL && !slice_equal(page__low(page), slice_of(fence, fence_size))) {
            fault = first ? "first page has a low fence" : "low fence is not the left page's high";
        }
        if (fault != NULL) {
            err = diag_set(diag, ERR_CORRUPT, "tree %llu, page %llu: %s", (unsigned long long)id.v,
                (unsigned long long)page->h.id, fault);
            break;
        }
        first = false;
        if (page->h.right == 0) {
            if (page__has_high(page)) {
                err = diag_set(diag, ERR_CORRUPT, "tree %llu: the last page %llu has a high fence",
                    (unsigned long long)id.v, (unsigned long long)page->h.id);
            }
            break;
        }
        struct slice high = page__high(page);
        memcpy(fence, high.data, high.size);
        fence_size = high.size;
        err = copy_sibling(task, cursor, page->h.right, diag);
    }
    mem_free(fence);
    btree_cursor_delete(cursor);
    return err;
}
