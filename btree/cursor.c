/*
 * btree/cursor.c - scans: one leaf copied at a time.
 *
 * Forward, the next leaf is the right sibling (B2: its low fence is our high fence, whatever has
 * split since; if it is not, it was merged). Backward, it is the leaf of the largest key below our
 * low fence, found from the root. So each key that stays is seen exactly once.
 *
 * A seek copies only the few rows where it lands, since many a scan ends there; who goes on from
 * them finds the place again by key, and then copies whole leaves.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "btree/btree_internal.h"

enum {
    SLOTS_MAX = (BTREE_PAGE_SIZE - PAGE_HEADER_SIZE) / PAGE_SLOT_SIZE,
    WHOLE_BELOW = 8, /* rows in a page that is copied whole at once */
    NEAR_BEFORE = 2,
    NEAR_AFTER = 6,
    CACHE_LINE = 64,
};

struct btree_cursor {
    struct btree *store;
    const struct tree *tree;
    struct btree_row row;
    int32_t slot;
    int32_t first, limit; /* the slots that were copied; all of the page, or those near a seek */
    bool valid;
    const uint8_t *ahead, *ahead_end; /* of the right sibling: what the processor has not been asked
                                         to fetch; by so many bytes at each row */
    size_t ahead_step;
    uint8_t key[BTREE_KEY_SIZE_MAX];
    struct page page;
};

struct btree_cursor *
btree_cursor_new(struct btree *store)
{
    struct btree_cursor *cursor = mem_spare_take(sizeof *cursor);
    cursor->store = store;
    cursor->tree = NULL;
    cursor->valid = false;
    cursor->slot = 0;
    cursor->ahead = NULL;
    cursor->ahead_end = NULL;
    return cursor;
}

void
btree_cursor_delete(struct btree_cursor *cursor)
{
    mem_spare_give(cursor, sizeof *cursor);
}

/* Which slots to copy: all, or (`near_only`) some at and around the one that the seek found. */
static void
choose_window(struct btree_cursor *cursor, const struct page *page, uint32_t slot, bool near_only)
{
    int32_t count = (int32_t)page__count_racy(page);
    cursor->first = 0;
    cursor->limit = count <= SLOTS_MAX ? count : SLOTS_MAX;
    if (near_only && count > WHOLE_BELOW) {
        int32_t at = (int32_t)slot < cursor->limit ? (int32_t)slot : cursor->limit;
        cursor->first = at > NEAR_BEFORE ? at - NEAR_BEFORE : 0;
        cursor->limit = at + NEAR_AFTER < cursor->limit ? at + NEAR_AFTER : cursor->limit;
    }
}

/* The leaf of a key, and where in it the key is or would be. */
static enum err
copy_leaf(struct task *task, struct btree_cursor *cursor, struct slice key, bool exclusive,
    bool near_only, bool *equal, struct diag *diag)
{
    for (;;) {
        struct position position;
        TRY(find__page(task, cursor->store, cursor->tree, 0, key, exclusive, &position, diag));
        const struct page *page = store__page(cursor->store, position.frame);
        choose_window(cursor, page, position.slot, near_only);
        if (near_only) {
            page__copy_window_racy(
                &cursor->page, page, (uint32_t)cursor->first, (uint32_t)cursor->limit);
        } else {
            page__copy_racy(&cursor->page, page);
        }
        if (version_latch_check(&position.frame->latch, position.version)) {
            cursor->slot = (int32_t)position.slot;
            *equal = position.equal;
            return ERR_OK;
        }
    }
}

/* A leaf that had to be read for this is not used by that; one that was here is (evict.c). */
static enum err
copy_sibling(struct task *task, struct btree_cursor *cursor, uint64_t id, struct diag *diag)
{
    struct btree *store = cursor->store;
    struct frame *frame = store__frame(store, id);
    if (frame != NULL) {
        store__touch(frame);
    }
    TRY(store__page_copy(task, store, id, &cursor->page, diag));
    if (cursor->page.h.level != 0) {
        return diag_set(diag, ERR_CORRUPT, "page %llu of file \"%s\" should be a leaf",
            (unsigned long long)id, world_file_path(store->file));
    }
    cursor->first = 0;
    cursor->limit = cursor->page.h.count;
    return ERR_OK;
}

/* While the rows of this leaf are looked at, the next one comes from memory: a scan waits for that
 * more than for anything else. Fetching what has become another page meanwhile does no harm. */
static void
look_ahead(struct btree_cursor *cursor)
{
    const struct frame *frame =
        cursor->page.h.right == 0 ? NULL : store__frame(cursor->store, cursor->page.h.right);
    cursor->ahead = NULL;
    cursor->ahead_end = NULL;
    if (frame != NULL && cursor->page.h.count > 0) {
        cursor->ahead = (const uint8_t *)store__page(cursor->store, frame);
        cursor->ahead_end = cursor->ahead + BTREE_PAGE_SIZE;
        uint32_t lines = BTREE_PAGE_SIZE / CACHE_LINE;
        cursor->ahead_step = (size_t)CACHE_LINE * (lines / cursor->page.h.count + 1);
    }
}

static inline void
fetch_ahead(struct btree_cursor *cursor)
{
    const uint8_t *end = cursor->ahead + cursor->ahead_step;
    for (; cursor->ahead < end && cursor->ahead < cursor->ahead_end; cursor->ahead += CACHE_LINE) {
        __builtin_prefetch(cursor->ahead, 0, 2);
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

/* B2. The leaf that begins where the copied one ends. If the link leads elsewhere, that leaf was
 * merged since, and the id may be another page's: then it is found by key. */
static enum err
next_leaf(struct task *task, struct btree_cursor *cursor, struct diag *diag)
{
    struct slice fence = page__high(&cursor->page);
    memcpy(cursor->key, fence.data, fence.size); /* the row that had its key here is done with */
    fence.data = cursor->key;
    enum err err = copy_sibling(task, cursor, cursor->page.h.right, diag);
    cursor->slot = 0;
    if (err == ERR_CORRUPT ||
        (err == ERR_OK && (cursor->page.h.tree != cursor->tree->id.v ||
                              !slice_equal(page__low(&cursor->page), fence)))) {
        bool equal = false;
        err = copy_leaf(task, cursor, fence, false, false, &equal, diag);
    }
    look_ahead(cursor);
    return err;
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
        TRY(next_leaf(task, cursor, diag));
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
        /* Not all of the page need lie below the fence: a split page's left half does. */
        bool equal = false;
        TRY(copy_leaf(task, cursor, slice_of(fence, low.size), true, false, &equal, diag));
        cursor->slot--;
    }
    stand(cursor);
    return ERR_OK;
}

/* The key where the cursor stands; good until it is filled again. */
static struct slice
here(const struct btree_cursor *cursor)
{
    return cursor->row.key;
}

static enum err
seek(struct task *task, struct btree_cursor *cursor, enum btree_seek how, struct slice key,
    bool near_only, struct diag *diag)
{
    bool forward = how == BTREE_SEEK_GE || how == BTREE_SEEK_GT || how == BTREE_SEEK_FIRST;
    bool exclusive = how == BTREE_SEEK_LAST;
    bool equal = false;
    cursor->valid = false;
    TRY(copy_leaf(task, cursor, key, exclusive, near_only, &equal, diag));
    if (forward) {
        cursor->slot += equal && how == BTREE_SEEK_GT ? 1 : 0;
        return settle_forward(task, cursor, diag);
    }
    cursor->slot -= equal && how == BTREE_SEEK_LE ? 0 : 1;
    return settle_backward(task, cursor, diag);
}

enum err
btree_cursor_seek(struct task *task, struct btree_cursor *cursor, tree_id_t id, enum btree_seek how,
    struct slice key, struct diag *diag)
{
    cursor->valid = false;
    cursor->ahead = NULL;
    cursor->ahead_end = NULL;
    cursor->tree = store__tree(cursor->store, id);
    if (cursor->tree == NULL) {
        return diag_set(diag, ERR_INTERNAL, "tree %llu does not exist", (unsigned long long)id.v);
    }
    if (how == BTREE_SEEK_LAST) {
        return seek(task, cursor, how, (struct slice){0}, true, diag);
    }
    if (how == BTREE_SEEK_FIRST || key.data == NULL) {
        key = slice_of("", 0);
    }
    return seek(task, cursor, how, key, true, diag);
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
    if (cursor->ahead != cursor->ahead_end) {
        fetch_ahead(cursor);
    }
    if (cursor->slot >= cursor->limit && cursor->limit < cursor->page.h.count) {
        return seek(task, cursor, BTREE_SEEK_GT, here(cursor), false, diag);
    }
    return settle_forward(task, cursor, diag);
}

enum err
btree_cursor_prev(struct task *task, struct btree_cursor *cursor, struct diag *diag)
{
    ASSERT(cursor->valid);
    cursor->slot--;
    if (cursor->slot < cursor->first && cursor->first > 0) {
        return seek(task, cursor, BTREE_SEEK_LT, here(cursor), false, diag);
    }
    return settle_backward(task, cursor, diag);
}
