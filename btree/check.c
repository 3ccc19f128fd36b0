/*
 * btree/check.c - is a tree what it should be? Is the store?
 *
 * Level by level from the root, each from left to right: pages are sound, a page's low fence is its
 * left sibling's high fence (B2), and an inner entry leads to a page one level down whose low fence
 * is the entry's key. Entries may be missing (a split whose second step was not made): the right
 * links make up for them.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "btree/btree_internal.h"

struct check {
    struct btree *store;
    const struct tree *tree;
    struct page page, child;
    uint8_t fence[BTREE_KEY_SIZE_MAX]; /* the next page's low fence */
    size_t fence_size;
    uint8_t *reached; /* of btree_check_store: a bit per page id; else NULL */
    uint64_t id_limit;
    struct btree_check_report *report;
    struct diag *diag;
};

static enum err
fault_of(const struct check *check, uint64_t page_id, const char *fault)
{
    return diag_set(check->diag, ERR_CORRUPT, "tree %llu, page %llu: %s",
        (unsigned long long)check->tree->id.v, (unsigned long long)page_id, fault);
}

/* Each page has one place in one tree. */
static enum err
reach(struct check *check, uint64_t page_id)
{
    if (check->reached == NULL) {
        return ERR_OK;
    }
    if (page_id >= check->id_limit) {
        return fault_of(check, page_id, "the id is out of range");
    }
    uint8_t bit = (uint8_t)(1U << (page_id % 8));
    if ((check->reached[page_id / 8] & bit) != 0) {
        return fault_of(check, page_id, "it is used in more than one place");
    }
    check->reached[page_id / 8] |= bit;
    check->report->pages++;
    return ERR_OK;
}

static enum err
check_overflow(struct task *task, struct check *check, struct slice reference)
{
    uint64_t leaf_id = check->page.h.id;
    if (reference.size != OVERFLOW_REFERENCE_SIZE) {
        return fault_of(check, leaf_id, "a row's overflow reference has the wrong size");
    }
    uint64_t left = load_le32(reference.data);
    uint64_t id = load_le64(reference.data + 4);
    const struct page *page = &check->child;
    while (id != 0) {
        TRY(store__page_copy(task, check->store, id, &check->child, check->diag));
        TRY(reach(check, id));
        if (page->h.level != PAGE_OVERFLOW || page->h.tree != check->tree->id.v) {
            return fault_of(check, id, "it is not the overflow page that a row says it is");
        }
        uint64_t size = load_le32(page->body + 8);
        if (size == 0 || size > OVERFLOW_DATA_MAX || size > left) {
            return fault_of(check, id, "overflow length");
        }
        left -= size;
        id = load_le64(page->body);
        check->report->overflow_pages++;
    }
    return left == 0 ? ERR_OK : fault_of(check, leaf_id, "a row's overflow pages end too early");
}

static enum err
check_rows(struct task *task, struct check *check)
{
    check->report->rows += check->page.h.count;
    for (uint32_t i = 0; i < check->page.h.count; i++) {
        struct btree_row row;
        page__row(&check->page, i, &row);
        if ((row.head.flags & ROW_OVERFLOW) != 0) {
            TRY(check_overflow(task, check, row.value));
        }
    }
    return ERR_OK;
}

static enum err
check_children(struct task *task, struct check *check)
{
    const struct page *page = &check->page;
    uint8_t key[BTREE_KEY_SIZE_MAX];
    if (page->h.count == 0) {
        return fault_of(check, page->h.id, "inner page without an entry");
    }
    for (uint32_t i = 0; i < page->h.count; i++) {
        struct slice separator = slice_of(key, page__full_key(page, i, key));
        uint64_t id = page__child(page, i, true, false);
        TRY(store__page_copy(task, check->store, id, &check->child, check->diag));
        const struct page *child = &check->child;
        if (child->h.level + 1 != page->h.level || child->h.tree != page->h.tree) {
            return fault_of(check, id, "its parent is not one level above it");
        }
        if (!slice_equal(page__low(child), separator)) {
            return fault_of(check, id, "its low fence is not the key that leads to it");
        }
        if (i == 0 && !slice_equal(page__low(page), separator)) {
            return fault_of(check, page->h.id, "the first entry's key is not the low fence");
        }
        TRY(task_breathe(task, check->diag));
    }
    return ERR_OK;
}

static enum err
check_page(struct task *task, struct check *check, uint64_t id, uint16_t level)
{
    TRY(store__page_copy(task, check->store, id, &check->page, check->diag));
    const struct page *page = &check->page;
    const char *fault = page__fault(page);
    if (fault == NULL && page->h.id != id) {
        fault = "bears another id";
    }
    if (fault == NULL && page->h.tree != check->tree->id.v) {
        fault = "belongs to another tree";
    }
    if (fault == NULL && page->h.level != level) {
        fault = "is on another level than its left sibling";
    }
    if (fault == NULL && !slice_equal(page__low(page), slice_of(check->fence, check->fence_size))) {
        fault = "its low fence is not its left sibling's high fence";
    }
    if (fault == NULL && page__has_high(page) == (page->h.right == 0)) {
        fault = "a right link without a high fence, or a fence without a link";
    }
    return fault == NULL ? reach(check, id) : fault_of(check, id, fault);
}

static enum err
check_level(struct task *task, struct check *check, uint64_t first, uint16_t level)
{
    check->fence_size = 0;
    uint64_t id = first;
    while (id != 0) {
        TRY(check_page(task, check, id, level));
        const struct page *page = &check->page;
        if (page->h.right != 0) {
            struct slice high = page__high(page);
            memcpy(check->fence, high.data, high.size);
            check->fence_size = high.size;
        }
        id = page->h.right;
        if (level > 0) {
            TRY(check_children(task, check));
        } else if (check->reached != NULL) {
            TRY(check_rows(task, check));
        }
        TRY(task_breathe(task, check->diag));
    }
    return ERR_OK;
}

static enum err
check_levels(struct task *task, struct check *check)
{
    uint64_t first = check->tree->root.v;
    TRY(store__page_copy(task, check->store, first, &check->page, check->diag));
    if (check->page.h.level > HEIGHT_MAX) {
        return fault_of(check, first, "a root of impossible height");
    }
    uint16_t level = check->page.h.level;
    for (;;) {
        TRY(check_level(task, check, first, level));
        if (level == 0) {
            return ERR_OK;
        }
        TRY(store__page_copy(task, check->store, first, &check->page, check->diag));
        first = page__child(&check->page, 0, true, false);
        level--;
    }
}

enum err
btree_check(struct task *task, struct btree *store, tree_id_t id, struct diag *diag)
{
    const struct tree *tree = store__tree(store, id);
    if (tree == NULL) {
        return diag_set(diag, ERR_INTERNAL, "tree %llu does not exist", (unsigned long long)id.v);
    }
    struct check *check = mem_zalloc(sizeof *check);
    check->store = store;
    check->tree = tree;
    check->diag = diag;
    enum err err = check_levels(task, check);
    mem_free(check);
    return err;
}

/* ---- the whole store ---------------------------------------------------------------------------
 */

/* Pages that belong to nothing. Their ids and extents are lost, no more. */
static void
count_lost(struct check *check)
{
    struct btree *store = check->store;
    for (uint64_t id = 1; id < check->id_limit; id++) {
        latch_acquire(&store->frames_latch);
        const struct map_entry *entry = store__entry(store, id);
        bool used = entry != NULL && entry->used;
        latch_release(&store->frames_latch);
        bool reached = (check->reached[id / 8] >> (id % 8) & 1) != 0;
        check->report->pages_lost += used && !reached;
    }
}

enum err
btree_check_store(struct task *task, struct btree *store,
    const struct btree_check_listener *listener, struct btree_check_report *report,
    struct diag *diag)
{
    *report = (struct btree_check_report){0};
    struct check *check = mem_zalloc(sizeof *check);
    check->store = store;
    check->diag = diag;
    check->report = report;
    latch_acquire(&store->frames_latch);
    check->id_limit = store->next_page_id;
    latch_release(&store->frames_latch);
    check->reached = mem_zalloc((size_t)check->id_limit / 8 + 1);
    enum err err = ERR_OK;
    uint64_t last = btree_tree_last(store).v;
    for (uint64_t id = 1; id <= last && err == ERR_OK; id++) {
        check->tree = store__tree(store, (tree_id_t){id});
        if (check->tree == NULL) {
            continue;
        }
        struct btree_check_report before = *report;
        report->trees++;
        err = check_levels(task, check);
        if (err == ERR_CORRUPT) {
            report->faults++;
            listener->fault(listener->arg, diag->message);
            err = ERR_OK;
        }
        if (listener->tree != NULL) {
            listener->tree(listener->arg, (tree_id_t){id}, report->pages - before.pages,
                report->rows - before.rows);
        }
    }
    if (err == ERR_OK && report->faults == 0) {
        count_lost(check);
    }
    mem_free(check->reached);
    mem_free(check);
    return err;
}
