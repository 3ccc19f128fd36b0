/*
 * btree/split.c - making room.
 *
 * A split is two steps, each leaving a tree that every reader can use: the upper half moves to a
 * new right sibling (under the page's latch, inside the gate); then the parent gets an entry for
 * it. In between, the right link leads there. A root keeps its id (B4): its content moves to two
 * new pages and it becomes their parent.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "btree/btree_internal.h"

/* ---- where to cut
 * -------------------------------------------------------------------------------- */

static size_t
bytes_used_by(const struct page *page, uint32_t slot)
{
    size_t size = PAGE_SLOT_SIZE + page->slots[slot].key_size;
    if (page->h.level > 0) {
        return size + INNER_CELL_HEAD;
    }
    struct btree_row row;
    page__row(page, slot, &row);
    return size + LEAF_CELL_HEAD + row.value.size;
}

/* The last page has no high fence, and gets one when it is split: is there room for it beside all
 * the rows? (Without the last row there is: its key is not shorter than the fence.) */
static bool
fence_fits(const struct page *page, struct slice key)
{
    uint8_t last[BTREE_KEY_SIZE_MAX];
    size_t size = page__full_key(page, page->h.count - 1U, last);
    return page__separator(slice_of(last, size), key).size <=
           page__free_room(page) + page->h.garbage;
}

/* The first slot that goes right. A key behind the last row of the last page: nothing goes, so that
 * ascending inserts leave full pages behind. */
static uint32_t
cut_slot(const struct page *page, struct slice key)
{
    uint32_t count = page->h.count;
    ASSERT(count > 0); /* else any row would fit */
    bool equal = false;
    uint32_t place = page__find(page, key, &equal);
    if (place == count && !page__has_high(page) && !equal) {
        return page->h.level == 0 && fence_fits(page, key) ? count : count - 1;
    }
    if (count == 1) {
        return place; /* two large rows: one each */
    }
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        total += bytes_used_by(page, i);
    }
    size_t left = 0;
    uint32_t cut = 0;
    while (cut < count - 1 && (left < total / 2 || cut == 0)) {
        left += bytes_used_by(page, cut);
        cut++;
    }
    return cut;
}

/* ---- the two halves
 * -------------------------------------------------------------------------------- */

struct halves {
    struct frame *left_frame, *right_frame;
    uint64_t left_id, right_id;
};

/* Fill two pages from a copy of the old one. */
static void
fill(const struct page *old, uint32_t cut, struct slice middle, struct page *left, uint64_t left_id,
    struct page *right, uint64_t right_id)
{
    tree_id_t tree = {old->h.tree};
    struct slice high = page__has_high(old) ? page__high(old) : (struct slice){0};
    page__format(left, left_id, tree, old->h.level, page__low(old), middle, true);
    page__format(right, right_id, tree, old->h.level, middle, high, page__has_high(old));
    page__append_range(left, old, 0, cut);
    page__append_range(right, old, cut, old->h.count);
    right->h.right = old->h.right;
    left->h.right = right_id;
}

/* Room that appending a key of this tree to the parent may need. */
static size_t
inner_room(struct slice key)
{
    return PAGE_SLOT_SIZE + INNER_CELL_HEAD + key.size;
}

static enum err
insert_into_parent(struct task *task, struct btree *store, struct tree *tree, uint16_t level,
    struct slice key, uint64_t child, struct diag *diag)
{
    for (;;) {
        struct position parent;
        TRY(find__latched(task, store, tree, level, key, &parent, diag));
        struct page *page = store__page(store, parent.frame);
        if (page__free_room(page) >= inner_room(key)) {
            ASSERT(!parent.equal); /* each separator is born once */
            checkpoint__capture(store, parent.frame);
            page__insert_inner(page, parent.slot, key, child);
            store__page_set_dirty(parent.frame);
            version_latch_release(&parent.frame->latch);
            return ERR_OK;
        }
        version_latch_release_unchanged(&parent.frame->latch);
        TRY(split__make_room(task, store, tree, level, key, inner_room(key), diag));
    }
}

/* The frame is latched and lacks room. Cuts it; on return the latch is released and *middle (in
 * `key_memory`) must go into the parent with *right_id, unless *right_id is 0 (a root has grown).
 * `spare`: two free frames; a root needs both. */
static void
split_page(struct btree *store, struct tree *tree, struct frame *frame, const uint32_t spare[2],
    struct slice key, uint8_t *key_memory, struct slice *middle, uint64_t *right_id)
{
    struct page *page = store__page(store, frame);
    bool is_root = page->h.id == tree->root.v;
    struct frame *right_frame = store__page_new(store, spare[0], right_id);
    struct frame *left_frame = NULL;
    uint64_t left_id = page->h.id;
    if (is_root) {
        left_frame = store__page_new(store, spare[1], &left_id);
    }
    checkpoint__capture(store, frame);
    struct page *old = mem_alloc(sizeof *old);
    memcpy(old, page, sizeof *old);
    uint32_t cut = cut_slot(old, key);

    uint8_t last[BTREE_KEY_SIZE_MAX];
    struct slice first_right = key;
    if (cut < old->h.count) {
        first_right = slice_of(key_memory, page__full_key(old, cut, key_memory));
    }
    if (old->h.level == 0 && cut > 0) {
        struct slice last_left = slice_of(last, page__full_key(old, cut - 1, last));
        first_right = page__separator(last_left, first_right);
    }
    memmove(key_memory, first_right.data, first_right.size);
    *middle = slice_of(key_memory, first_right.size);

    struct page *right = store__page(store, right_frame);
    version_latch_acquire(&right_frame->latch);
    if (is_root) {
        version_latch_acquire(&left_frame->latch);
        struct page *left = store__page(store, left_frame);
        fill(old, cut, *middle, left, left_id, right, *right_id);
        struct slice none = {0};
        page__format(page, tree->root.v, tree->id, (uint16_t)(old->h.level + 1), none, none, false);
        page__insert_inner(page, 0, none, left_id);
        page__insert_inner(page, 1, *middle, *right_id);
        store__page_set_dirty(left_frame);
        version_latch_release(&left_frame->latch);
        *right_id = 0;
    } else {
        fill(old, cut, *middle, page, left_id, right, *right_id);
    }
    ASSERT_SLOW((btree__check_page(page), btree__check_page(right), true));
    store__page_set_dirty(right_frame);
    version_latch_release(&right_frame->latch);
    store__page_set_dirty(frame);
    version_latch_release(&frame->latch);
    if (old->h.level == 0) {
        atomic_fetch_add(&tree->leaf_count, 1);
    }
    mem_free(old);
}

/* In the gate: cut the page if it still is what was found. Gives back the spare frames it does not
 * need. */
static void
split_found(struct btree *store, struct tree *tree, const struct position *position, uint16_t level,
    struct slice key, size_t room, const uint32_t spare[2], uint8_t *key_memory,
    struct slice *middle, uint64_t *right_id)
{
    uint32_t needed = 0;
    store__gate_enter(store);
    version_latch_acquire(&position->frame->latch);
    const struct page *page = store__page(store, position->frame);
    if (page->h.id == position->page_id && page->h.level == level &&
        page__covers(page, tree->id, key) && page__free_room(page) + page->h.garbage < room) {
        needed = page->h.id == tree->root.v ? 2 : 1;
        split_page(store, tree, position->frame, spare, key, key_memory, middle, right_id);
    } else {
        version_latch_release_unchanged(&position->frame->latch); /* the caller looks again */
    }
    latch_acquire(&store->frames_latch);
    for (uint32_t i = needed; i < 2; i++) {
        store__frame_give(store, spare[i]);
    }
    latch_release(&store->frames_latch);
    store__gate_leave(store);
}

enum err
split__make_room(struct task *task, struct btree *store, struct tree *tree, uint16_t level,
    struct slice key, size_t room, struct diag *diag)
{
    struct position position;
    TRY(find__latched(task, store, tree, level, key, &position, diag));
    struct page *page = store__page(store, position.frame);
    if (page__free_room(page) >= room) {
        version_latch_release_unchanged(&position.frame->latch);
        return ERR_OK;
    }
    if (page__free_room(page) + page->h.garbage >= room) {
        struct page *scratch = mem_alloc(sizeof *scratch);
        page__compact(page, scratch); /* the same rows: not a change of structure */
        mem_free(scratch);
        ASSERT(page__free_room(page) >= room);
        version_latch_release(&position.frame->latch);
        return ERR_OK;
    }
    /* The gate comes first in the latch order, and free frames before all: let go, get them, and
     * look again. */
    version_latch_release_unchanged(&position.frame->latch);
    uint32_t spare[2];
    TRY(evict__take_frames(task, store, 2, spare, diag));
    uint8_t *key_memory = mem_alloc(BTREE_KEY_SIZE_MAX);
    struct slice middle = {0};
    uint64_t right_id = 0;
    split_found(store, tree, &position, level, key, room, spare, key_memory, &middle, &right_id);
    enum err err = ERR_OK;
    if (err == ERR_OK && right_id != 0) {
        err = insert_into_parent(task, store, tree, (uint16_t)(level + 1), middle, right_id, diag);
    }
    mem_free(key_memory);
    return err;
}
