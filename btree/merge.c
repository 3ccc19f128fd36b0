/*
 * btree/merge.c - leaves that have become sparse.
 *
 * Two neighbours under the same parent whose rows fit well into one page become one: the right
 * one's rows move to the left one, its entry goes from the parent, its page is freed. All three
 * pages are latched for it, so that no reader sees less than the whole: he believes a child's
 * version only if the parent's still stands when he has read it (find.c), and a cursor that follows
 * a right link looks whether it led where it should (cursor.c).
 *
 * It is a matter of luck, tried whenever the purge has left a sparse page behind: if a page is not
 * in memory, or somebody has it latched, nothing happens; while a checkpoint runs (B11) neither,
 * but then the tree is gone over before the next one, which would write the sparse pages.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "btree/btree_internal.h"

enum {
    ERASED_MIN = 1000, /* rows that make a walk over the tree worth while, .. */
    ERASED_SHARE = 8,  /* .. and one in so many */
    ROOM = BTREE_PAGE_SIZE - PAGE_HEADER_SIZE,
    FULL_ENOUGH = ROOM / 3 * 2,  /* of what two pages hold together: not to be split soon again */
    ALMOST_FULL = ROOM / 10 * 9, /* where all of a tree is gone over */
};

/* Bytes of the page's rows with whole keys: the common prefix may get shorter. */
static size_t
rows_size(const struct page *page)
{
    size_t size = 0;
    for (uint32_t i = 0; i < page->h.count; i++) {
        struct btree_row row;
        page__row(page, i, &row);
        size +=
            PAGE_SLOT_SIZE + LEAF_CELL_HEAD + page->h.prefix_size + row.key.size + row.value.size;
    }
    return size;
}

/* Are these two neighbours, and is there room to spare if they become one? */
static bool
may_merge(const struct tree *tree, const struct page *left, const struct page *right, size_t most)
{
    if (left->h.level != 0 || right->h.level != 0 || left->h.tree != tree->id.v ||
        right->h.tree != tree->id.v || left->h.right != right->h.id || !page__has_high(left) ||
        !slice_equal(page__high(left), page__low(right))) {
        return false; /* one has split, and the parent does not know yet */
    }
    size_t fences = (size_t)left->h.low_size + (page__has_high(right) ? right->h.high_size : 0U);
    return fences + rows_size(left) + rows_size(right) <= most;
}

static void
merge(struct tree *tree, struct page *left, const struct page *right)
{
    struct page *old = mem_alloc(sizeof *old);
    memcpy(old, left, sizeof *old);
    struct slice high = page__has_high(right) ? page__high(right) : (struct slice){0};
    page__format(left, old->h.id, tree->id, 0, page__low(old), high, page__has_high(right));
    page__append_range(left, old, 0, old->h.count);
    page__append_range(left, right, 0, right->h.count);
    left->h.right = right->h.right;
    ASSERT_SLOW((btree__check_page(left), true));
    mem_free(old);
}

static uint64_t
child_at(const struct page *parent, uint32_t slot)
{
    return page__child(parent, slot + 1, false, false);
}

/* The children at `slot` and after it, if they can be had. The parent is latched; children come
 * before parents in the latch order, so theirs are only tried. */
static bool
merge_children(
    struct btree *store, struct tree *tree, struct frame *parent_frame, uint32_t slot, size_t most)
{
    struct page *parent = store__page(store, parent_frame);
    uint64_t left_id = child_at(parent, slot);
    uint64_t right_id = child_at(parent, slot + 1);
    struct frame *left_frame = store__frame(store, left_id);
    struct frame *right_frame = store__frame(store, right_id);
    if (left_frame == NULL || right_frame == NULL || left_frame == right_frame ||
        !version_latch_try(&left_frame->latch)) {
        return false;
    }
    if (!version_latch_try(&right_frame->latch)) {
        version_latch_release_unchanged(&left_frame->latch);
        return false;
    }
    struct page *left = store__page(store, left_frame);
    const struct page *right = store__page(store, right_frame);
    bool able =
        left->h.id == left_id && right->h.id == right_id && may_merge(tree, left, right, most);
    if (!able) {
        version_latch_release_unchanged(&right_frame->latch);
        version_latch_release_unchanged(&left_frame->latch);
        return false;
    }
    merge(tree, left, right);
    page__erase(parent, slot + 1);
    store__page_set_dirty(left_frame);
    store__page_set_dirty(parent_frame);
    store__page_free_latched(store, right_frame);
    version_latch_release(&right_frame->latch);
    version_latch_release(&left_frame->latch);
    atomic_fetch_sub(&tree->leaf_count, 1);
    atomic_fetch_add_explicit(&store->pages_merged, 1, memory_order_relaxed);
    return true;
}

/* In the gate: with its right neighbour, or the left one. */
static void
merge_found(struct btree *store, struct tree *tree, const struct position *position,
    struct slice key, size_t most)
{
    version_latch_acquire(&position->frame->latch);
    const struct page *parent = store__page(store, position->frame);
    bool merged = false;
    if (parent->h.id == position->page_id && parent->h.level == 1 &&
        page__covers(parent, tree->id, key)) {
        bool equal = false;
        uint32_t slot = page__find(parent, key, &equal);
        slot = equal || slot == 0 ? slot : slot - 1; /* the child of the key */
        if (slot + 1U < parent->h.count) {
            merged = merge_children(store, tree, position->frame, slot, most);
        }
        if (!merged && slot > 0 && slot < parent->h.count) {
            merged = merge_children(store, tree, position->frame, slot - 1, most);
        }
    }
    if (merged) {
        version_latch_release(&position->frame->latch);
    } else {
        version_latch_release_unchanged(&position->frame->latch);
    }
}

static void
merge_leaf(struct task *task, struct btree *store, struct tree *tree, struct slice key, size_t most)
{
    const struct frame *root = store__frame(store, tree->root.v);
    if (root == NULL || page__level_racy(store__page(store, root)) == 0) {
        return;
    }
    if (atomic_load(&store->checkpointing)) {
        return;
    }
    struct position position;
    struct diag diag;
    if (find__page(task, store, tree, 1, key, false, &position, &diag) != ERR_OK) {
        return; /* whoever needs the page will say so */
    }
    store__gate_enter(store);
    /* A checkpoint says that it runs before it closes the gate to mark what is dirty: now that we
     * are in, either we see it, or it waits for us. */
    if (!atomic_load(&store->checkpointing)) {
        merge_found(store, tree, &position, key, most);
    }
    store__gate_leave(store);
}

void
merge__leaf(struct task *task, struct btree *store, struct tree *tree, struct slice key)
{
    merge_leaf(task, store, tree, key, FULL_ENOUGH);
}

/* The parent of the key's leaf, as it is now. False: it cannot be had. */
static bool
copy_parent(struct task *task, struct btree *store, const struct tree *tree, struct slice key,
    struct page *parent)
{
    for (;;) {
        struct position position;
        struct diag diag;
        if (find__page(task, store, tree, 1, key, false, &position, &diag) != ERR_OK) {
            return false;
        }
        page__copy_racy(parent, store__page(store, position.frame));
        if (version_latch_check(&position.frame->latch, position.version)) {
            return parent->h.level == 1;
        }
    }
}

/* Each leaf whose page is in memory is tried, from left to right. */
static void
merge_tree(struct task *task, struct btree *store, struct tree *tree)
{
    const struct frame *root = store__frame(store, tree->root.v);
    if (root == NULL || page__level_racy(store__page(store, root)) == 0) {
        return;
    }
    struct page *parent = mem_alloc(sizeof *parent);
    uint8_t *key = mem_alloc(BTREE_KEY_SIZE_MAX);
    uint8_t *from = mem_alloc(BTREE_KEY_SIZE_MAX);
    struct slice low = slice_of(from, 0);
    while (copy_parent(task, store, tree, low, parent)) {
        for (uint32_t i = 0; i < parent->h.count; i++) {
            if (store__frame(store, page__child(parent, i, true, false)) != NULL) {
                merge_leaf(
                    task, store, tree, slice_of(key, page__full_key(parent, i, key)), ALMOST_FULL);
            }
            (void)task_breathe(task, NULL);
        }
        if (!page__has_high(parent)) {
            break;
        }
        struct slice high = page__high(parent);
        memcpy(from, high.data, high.size);
        low = slice_of(from, high.size);
    }
    mem_free(parent);
    mem_free(key);
    mem_free(from);
}

void
merge__catch_up(struct task *task, struct btree *store)
{
    uint64_t last = btree_tree_last(store).v;
    for (uint64_t id = 1; id <= last; id++) {
        struct tree *tree = store__tree(store, (tree_id_t){id});
        int64_t erased = tree == NULL ? 0 : atomic_load(&tree->erased);
        if (erased >= ERASED_MIN && erased >= atomic_load(&tree->row_count) / ERASED_SHARE) {
            atomic_store(&tree->erased, 0);
            merge_tree(task, store, tree);
        }
    }
}
