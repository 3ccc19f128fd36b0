/*
 * btree/merge.c - leaves that have become sparse.
 *
 * Two neighbours under the same parent whose rows fit well into one page become one: the right
 * one's rows move to the left one, its entry goes from the parent, its page is freed. That does not
 * help where leaves are about half full: two of them fill a page, which splits at the next insert.
 * So a tree that has lost many rows is packed as a whole, from left to right: each leaf is filled
 * up from its right neighbour, and the fence between the two moves (B16), until what is left of the
 * neighbour fits.
 *
 * All three pages are latched for it, so that no reader sees less than the whole: he believes a
 * child's version only if the parent's still stands when he has read it (find.c), and a cursor that
 * follows a right link looks whether it led where it should (cursor.c).
 *
 * Merging is a matter of luck, tried whenever the purge has left a sparse page behind: if a page is
 * not in memory, or somebody has it latched, nothing happens; while a checkpoint runs (B11)
 * neither, but then the tree is packed before the next one, which would write the sparse pages.
 * Packing reads pages that are not in memory, unless the checkpoint is in a hurry.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "btree/btree_internal.h"

enum {
    ERASED_MIN = 100, /* rows that make a walk over the tree worth while, .. */
    ERASED_SHARE = 8, /* .. and one in so many */
    ROOM = BTREE_PAGE_SIZE - PAGE_HEADER_SIZE,
    FULL_ENOUGH = ROOM / 3 * 2,  /* of what two pages hold together: not to be split soon again */
    ALMOST_FULL = ROOM / 10 * 9, /* what leaves are packed to */
    WELL_FILLED = ROOM / 10 * 8, /* such a leaf is left alone */
    GAIN = 6,                    /* worth packing: leaves that become fewer by one in so many */
    SAMPLES = 8,                 /* leaves read to see how full those not in memory are */
};

/* ---- two neighbours ----------------------------------------------------------------------------
 */

/* Neighbours under one parent, all three latched. */
struct pair {
    struct page *parent, *left, *right;
    uint32_t slot; /* of the right one */
    size_t prefix; /* what their keys have in common */
};

/* Bytes that a row takes in a page whose keys begin with the pair's prefix. */
static size_t
row_size(const struct pair *pair, const struct page *page, uint32_t slot)
{
    struct btree_row row;
    page__row(page, slot, &row);
    return PAGE_SLOT_SIZE + LEAF_CELL_HEAD + page->h.prefix_size - pair->prefix + row.key.size +
           row.value.size;
}

static size_t
rows_size(const struct pair *pair, const struct page *page)
{
    size_t size = 0;
    for (uint32_t i = 0; i < page->h.count; i++) {
        size += row_size(pair, page, i);
    }
    return size;
}

static struct slice
high_of(const struct page *page)
{
    return page__has_high(page) ? page__high(page) : (struct slice){0};
}

static void
merge(struct tree *tree, const struct pair *pair)
{
    struct page *left = pair->left;
    const struct page *right = pair->right;
    struct page *old = mem_alloc(sizeof *old);
    memcpy(old, left, sizeof *old);
    page__format(
        left, old->h.id, tree->id, 0, page__low(old), high_of(right), page__has_high(right));
    page__append_range(left, old, 0, old->h.count);
    page__append_range(left, right, 0, right->h.count);
    left->h.right = right->h.right;
    page__erase(pair->parent, pair->slot);
    ASSERT_SLOW((btree__check_page(left), btree__check_page(pair->parent), true));
    mem_free(old);
}

/* The first `count` rows of the right page go to the left one; `fence` is what parts them then. */
static void
move_rows(struct tree *tree, const struct pair *pair, uint32_t count, struct slice fence)
{
    struct page *left = pair->left;
    struct page *right = pair->right;
    struct page *old = mem_alloc(2 * sizeof *old);
    struct page *old_right = old + 1;
    memcpy(old, left, sizeof *old);
    memcpy(old_right, right, sizeof *old_right);
    page__format(left, old->h.id, tree->id, 0, page__low(old), fence, true);
    page__append_range(left, old, 0, old->h.count);
    page__append_range(left, old_right, 0, count);
    left->h.right = old->h.right;
    page__format(
        right, old_right->h.id, tree->id, 0, fence, high_of(old_right), page__has_high(old_right));
    page__append_range(right, old_right, count, old_right->h.count);
    right->h.right = old_right->h.right;
    ASSERT_SLOW((btree__check_page(left), btree__check_page(right), true));
    mem_free(old);
}

/* The parent's key for the right page becomes another one. False: it has no room for that. */
static bool
replace_separator(const struct pair *pair, struct slice key)
{
    struct page *parent = pair->parent;
    uint64_t child = page__child(parent, pair->slot + 1, false, false);
    size_t before = INNER_CELL_HEAD + page__suffix(parent, pair->slot).size;
    size_t needed = INNER_CELL_HEAD + key.size;
    if (page__free_room(parent) + parent->h.garbage + before < needed) {
        return false;
    }
    page__erase(parent, pair->slot);
    if (page__free_room(parent) < PAGE_SLOT_SIZE + needed) {
        struct page *scratch = mem_alloc(sizeof *scratch);
        page__compact(parent, scratch);
        mem_free(scratch);
    }
    page__insert_inner(parent, pair->slot, key, child);
    ASSERT_SLOW((btree__check_page(parent), true));
    return true;
}

/* B16. As many rows of the right page as make the left one almost full go there. */
static bool
fill_left(struct tree *tree, const struct pair *pair)
{
    size_t left_size = pair->left->h.low_size + rows_size(pair, pair->left);
    size_t right_size = high_of(pair->right).size + rows_size(pair, pair->right);
    if (left_size >= WELL_FILLED) {
        return false;
    }
    uint32_t count = 0;
    while (count < pair->right->h.count) {
        size_t size = row_size(pair, pair->right, count);
        if (left_size + size > ALMOST_FULL) {
            break;
        }
        left_size += size;
        right_size -= size;
        count++;
    }
    if (count == 0 || count == pair->right->h.count) {
        return false; /* large rows, or large fences: all but those would fit */
    }
    uint8_t last[BTREE_KEY_SIZE_MAX];
    uint8_t first[BTREE_KEY_SIZE_MAX];
    struct slice fence =
        page__separator(slice_of(last, page__full_key(pair->right, count - 1, last)),
            slice_of(first, page__full_key(pair->right, count, first)));
    if (left_size + fence.size > ROOM || right_size + fence.size > ROOM ||
        !replace_separator(pair, fence)) {
        return false;
    }
    move_rows(tree, pair, count, fence);
    return true;
}

enum what {
    NOTHING,
    MERGED,
    FILLED,
};

/* Two leaves of the tree that are neighbours? If not, one has split, and the parent does not know
 * yet. */
static bool
are_neighbours(const struct tree *tree, const struct page *left, const struct page *right)
{
    return left->h.level == 0 && right->h.level == 0 && left->h.tree == tree->id.v &&
           right->h.tree == tree->id.v && left->h.right == right->h.id && page__has_high(left) &&
           slice_equal(page__high(left), page__low(right));
}

/* All are latched. */
static enum what
join_pair(struct tree *tree, struct pair *pair, bool pack)
{
    if (!are_neighbours(tree, pair->left, pair->right)) {
        return NOTHING;
    }
    struct slice high = high_of(pair->right);
    pair->prefix = slice_common(page__low(pair->left), high);
    size_t together = pair->left->h.low_size + high.size + rows_size(pair, pair->left) +
                      rows_size(pair, pair->right);
    if (together <= (pack ? ALMOST_FULL : FULL_ENOUGH)) {
        merge(tree, pair);
        return MERGED;
    }
    return pack && fill_left(tree, pair) ? FILLED : NOTHING;
}

static uint64_t
child_at(const struct page *parent, uint32_t slot)
{
    return page__child(parent, slot + 1, false, false);
}

/* The children at `slot` and after it, if they can be had. The parent is latched; children come
 * before parents in the latch order, so theirs are only tried. */
static enum what
join_children(
    struct btree *store, struct tree *tree, struct frame *parent_frame, uint32_t slot, bool pack)
{
    struct page *parent = store__page(store, parent_frame);
    uint64_t left_id = child_at(parent, slot);
    uint64_t right_id = child_at(parent, slot + 1);
    struct frame *left_frame = store__frame(store, left_id);
    struct frame *right_frame = store__frame(store, right_id);
    if (left_frame == NULL || right_frame == NULL || left_frame == right_frame ||
        !version_latch_try(&left_frame->latch)) {
        return NOTHING;
    }
    if (!version_latch_try(&right_frame->latch)) {
        version_latch_release_unchanged(&left_frame->latch);
        return NOTHING;
    }
    struct pair pair = {
        .parent = parent,
        .left = store__page(store, left_frame),
        .right = store__page(store, right_frame),
        .slot = slot + 1,
    };
    enum what what = NOTHING;
    if (pair.left->h.id == left_id && pair.right->h.id == right_id) {
        what = join_pair(tree, &pair, pack);
    }
    if (what == NOTHING) {
        version_latch_release_unchanged(&right_frame->latch);
        version_latch_release_unchanged(&left_frame->latch);
        return NOTHING;
    }
    store__page_set_dirty(left_frame);
    store__page_set_dirty(parent_frame);
    if (what == MERGED) {
        store__page_free_latched(store, right_frame);
        atomic_fetch_sub(&tree->leaf_count, 1);
        atomic_fetch_add_explicit(&store->pages_merged, 1, memory_order_relaxed);
    } else {
        store__page_set_dirty(right_frame);
        atomic_fetch_add_explicit(&store->pages_filled, 1, memory_order_relaxed);
    }
    version_latch_release(&right_frame->latch);
    version_latch_release(&left_frame->latch);
    return what;
}

/* ---- finding them
 * ------------------------------------------------------------------------------------------ */

/* What is done with the leaf of a key under its parent. */
struct work {
    struct btree *store;
    struct tree *tree;
    struct slice key;
    bool pack;       /* this leaf and those behind it; else just this one, if it is sparse */
    bool unfinished; /* packing: `key` is now where the next leaf begins */
    bool skipped;    /* packing: some were not in memory, and there was no time to read them */
    uint8_t *memory; /* packing: of the key */
    struct page *parent, *leaf; /* packing: copies */
};

static void
go_to(struct work *work, struct slice key)
{
    memcpy(work->memory, key.data, key.size);
    work->key = slice_of(work->memory, key.size);
}

/* The parent is latched. A sparse leaf is joined with its right neighbour, or its left one. */
static enum what
work_on_leaf(struct work *work, struct frame *frame)
{
    const struct page *parent = store__page(work->store, frame);
    bool equal = false;
    uint32_t slot = page__find(parent, work->key, &equal);
    slot = equal || slot == 0 ? slot : slot - 1; /* the child of the key */
    enum what what = NOTHING;
    if (slot + 1U < parent->h.count) {
        what = join_children(work->store, work->tree, frame, slot, work->pack);
    }
    if (!work->pack && what == NOTHING && slot > 0 && slot < parent->h.count) {
        what = join_children(work->store, work->tree, frame, slot - 1, false);
    }
    if (!work->pack) {
        return what;
    }
    /* One that has taken in all of its neighbour may take more. */
    uint32_t next = slot + (what == MERGED ? 0 : 1);
    work->unfinished = next < parent->h.count || page__has_high(parent);
    if (next < parent->h.count) {
        work->key = slice_of(work->memory, page__full_key(parent, next, work->memory));
    } else if (work->unfinished) {
        go_to(work, page__high(parent));
    }
    return what;
}

/* In the gate. False: the parent is no longer what was found. */
static bool
work_on_found(struct work *work, const struct position *position)
{
    version_latch_acquire(&position->frame->latch);
    const struct page *parent = store__page(work->store, position->frame);
    bool same = parent->h.id == position->page_id && parent->h.level == 1 &&
                page__covers(parent, work->tree->id, work->key);
    if (same && work_on_leaf(work, position->frame) != NOTHING) {
        version_latch_release(&position->frame->latch);
    } else {
        version_latch_release_unchanged(&position->frame->latch);
    }
    return same;
}

static bool
has_parents(struct btree *store, const struct tree *tree)
{
    const struct frame *root = store__frame(store, tree->root.v);
    return root != NULL && page__level_racy(store__page(store, root)) > 0;
}

static void
work_on(struct task *task, struct work *work)
{
    struct btree *store = work->store;
    work->unfinished = false;
    if (!has_parents(store, work->tree)) {
        return;
    }
    bool done = false;
    while (!done && !atomic_load(&store->checkpointing)) {
        struct position position;
        struct diag diag;
        if (find__page(task, store, work->tree, 1, work->key, false, &position, &diag) != ERR_OK) {
            return; /* whoever needs the page will say so */
        }
        store__gate_enter(store);
        /* A checkpoint says that it runs before it closes the gate to mark what is dirty: now that
         * we are in, either we see it, or it waits for us. */
        done = atomic_load(&store->checkpointing) || work_on_found(work, &position) || !work->pack;
        store__gate_leave(store);
    }
}

void
merge__leaf(struct task *task, struct btree *store, struct tree *tree, struct slice key)
{
    struct work work = {.store = store, .tree = tree, .key = key};
    work_on(task, &work);
}

/* ---- whole trees
 * ------------------------------------------------------------------------------------------ */

/* The parent of the key's leaf, as it is now. False: it cannot be had. */
static bool
copy_parent(struct task *task, struct work *work)
{
    for (;;) {
        struct position position;
        struct diag diag;
        if (find__page(task, work->store, work->tree, 1, work->key, false, &position, &diag) !=
            ERR_OK) {
            return false;
        }
        page__copy_racy(work->parent, store__page(work->store, position.frame));
        if (version_latch_check(&position.frame->latch, position.version)) {
            return work->parent->h.level == 1;
        }
    }
}

/* Is the checkpoint late? Then what is not in memory stays as it is. */
static bool
in_hurry(struct btree *store)
{
    return store->owner.checkpoint_due != NULL &&
           store->owner.checkpoint_due(store->owner.arg) >= 1;
}

/* Of the parent's leaves those in memory are looked at, and some of the others. */
static bool
is_worth_packing(struct task *task, struct work *work)
{
    struct btree *store = work->store;
    const struct page *parent = work->parent;
    size_t leaves = 0;
    size_t used = 0;
    for (uint32_t i = 0; i < parent->h.count; i++) {
        const struct frame *frame = store__frame(store, child_at(parent, i));
        if (frame != NULL) {
            leaves++;
            used += page__used_racy(store__page(store, frame));
        }
    }
    size_t absent = parent->h.count - leaves;
    bool hurry = absent > 0 && in_hurry(store);
    work->skipped = work->skipped || hurry;
    size_t step = absent < SAMPLES ? 1 : absent / SAMPLES;
    size_t number = 0;
    for (uint32_t i = 0; i < parent->h.count && !hurry && absent > 0; i++) {
        uint64_t id = child_at(parent, i);
        struct diag diag;
        if (store__frame(store, id) == NULL && number++ % step == 0 &&
            store__page_copy(task, store, id, work->leaf, &diag) == ERR_OK &&
            work->leaf->h.level == 0 && work->leaf->h.tree == work->tree->id.v) {
            leaves++;
            used += page__used_racy(work->leaf);
        }
    }
    size_t packed = used / ALMOST_FULL + 1;
    return packed + (leaves + GAIN - 1) / GAIN <= leaves;
}

/* The key's leaf and the next one come to memory, as they would for a scan; if they can. */
static void
fetch_leaves(struct task *task, struct work *work)
{
    struct btree *store = work->store;
    struct position position;
    struct diag diag;
    if (find__page(task, store, work->tree, 1, work->key, false, &position, &diag) != ERR_OK) {
        return;
    }
    const struct page *parent = store__page(store, position.frame);
    const uint64_t ids[2] = {
        page__child(parent, position.slot, position.equal, false),
        page__child(parent, position.slot + 1, position.equal, false),
    };
    bool sound = version_latch_check(&position.frame->latch, position.version);
    for (int i = 0; i < 2 && sound; i++) {
        if (ids[i] != 0 && store__frame(store, ids[i]) == NULL) {
            (void)store__load(task, store, ids[i], true, &diag);
        }
    }
}

/* The leaves under the parent, from left to right. */
static void
pack_children(struct task *task, struct work *work)
{
    const struct page *parent = work->parent;
    do {
        if (!in_hurry(work->store)) {
            fetch_leaves(task, work);
        }
        work_on(task, work);
        (void)task_breathe(task, NULL);
    } while (work->unfinished &&
             (!page__has_high(parent) || slice_compare(work->key, page__high(parent)) < 0));
}

/* False: some of it should be looked at again. */
static bool
pack_tree(struct task *task, struct btree *store, struct tree *tree)
{
    struct page *copies = mem_alloc(2 * sizeof *copies);
    uint8_t *memory = mem_alloc(BTREE_KEY_SIZE_MAX);
    struct work work = {
        .store = store,
        .tree = tree,
        .key = slice_of(memory, 0),
        .pack = true,
        .unfinished = true,
        .memory = memory,
        .parent = copies,
        .leaf = copies + 1,
    };
    while (work.unfinished && copy_parent(task, &work)) {
        if (is_worth_packing(task, &work)) {
            pack_children(task, &work);
        } else {
            work.unfinished = page__has_high(work.parent);
            if (work.unfinished) {
                go_to(&work, page__high(work.parent));
            }
        }
    }
    mem_free(copies);
    mem_free(memory);
    return !work.skipped;
}

/* NULL if it does not exist, or is as it should be. */
static struct tree *
sparse_tree(struct btree *store, uint64_t id)
{
    struct tree *tree = store__tree(store, (tree_id_t){id});
    int64_t erased = tree == NULL ? 0 : atomic_load(&tree->erased);
    bool many = erased >= ERASED_MIN && erased >= atomic_load(&tree->row_count) / ERASED_SHARE;
    return many ? tree : NULL;
}

bool
btree_is_sparse(struct btree *store)
{
    bool sparse = false;
    latch_acquire(&store->trees_latch); /* none is dropped meanwhile */
    for (uint64_t id = 1; id <= store->tree_last && !sparse; id++) {
        sparse = sparse_tree(store, id) != NULL;
    }
    latch_release(&store->trees_latch);
    return sparse;
}

void
merge__catch_up(struct task *task, struct btree *store)
{
    uint64_t last = btree_tree_last(store).v;
    for (uint64_t id = 1; id <= last; id++) {
        struct tree *tree = sparse_tree(store, id);
        if (tree != NULL) {
            int64_t erased = atomic_exchange(&tree->erased, 0);
            if (has_parents(store, tree) && !pack_tree(task, store, tree)) {
                atomic_fetch_add(&tree->erased, erased);
            }
        }
    }
}
