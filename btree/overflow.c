#include "btree/overflow.h"

#include "base/assert.h"

static uint8_t *
data_of(struct page *page)
{
    return (uint8_t *)page + OVERFLOW_DATA_AT;
}

enum err
overflow__store(struct task *task, struct btree *store, tree_id_t tree, struct slice value,
    uint8_t *reference, struct diag *diag)
{
    if (value.size > BTREE_VALUE_SIZE_MAX) {
        return diag_set(diag, ERR_PROGRAM_LIMIT, "row is too large: %zu bytes, maximum %d",
            value.size, BTREE_VALUE_SIZE_MAX);
    }
    /* Written from the last page to the first, so that each knows the next one's id at birth. */
    size_t pages = (value.size + OVERFLOW_DATA_MAX - 1) / OVERFLOW_DATA_MAX;
    uint64_t next = 0;
    for (size_t i = pages; i > 0; i--) {
        size_t at = (i - 1) * OVERFLOW_DATA_MAX;
        size_t size = value.size - at < OVERFLOW_DATA_MAX ? value.size - at : OVERFLOW_DATA_MAX;
        uint64_t id = 0;
        struct frame *frame = NULL;
        enum err err = store__page_new(store, &id, &frame, diag);
        if (err != ERR_OK) {
            store_le32(reference, (uint32_t)(value.size - at));
            store_le64(reference + 4, next);
            btree_value_free(task, store, slice_of(reference, OVERFLOW_REFERENCE_SIZE));
            return err;
        }
        version_latch_acquire(&frame->latch);
        struct page *page = store__page(store, frame);
        memset(&page->h, 0, sizeof page->h);
        page->h.id = id;
        page->h.tree = tree.v;
        page->h.level = PAGE_OVERFLOW;
        store_le64(page->body, next);
        store_le32(page->body + 8, (uint32_t)size);
        memcpy(data_of(page), value.data + at, size);
        store__page_set_dirty(frame);
        version_latch_release(&frame->latch);
        next = id;
    }
    store_le32(reference, (uint32_t)value.size);
    store_le64(reference + 4, next);
    return ERR_OK;
}

/* The frame of an overflow page, loaded if need be. Overflow pages never change. */
static enum err
overflow_page(
    struct task *task, struct btree *store, uint64_t id, struct page **page, struct diag *diag)
{
    struct frame *frame = NULL;
    while ((frame = store__frame(store, id)) == NULL) {
        TRY(store__load(task, store, id, diag));
    }
    *page = store__page(store, frame);
    if ((*page)->h.level != PAGE_OVERFLOW || (*page)->h.id != id) {
        return diag_set(diag, ERR_CORRUPT, "page %llu is not the overflow page it should be",
            (unsigned long long)id);
    }
    return ERR_OK;
}

enum err
btree_value_load(struct task *task, struct btree *store, struct slice reference, struct arena *into,
    struct slice *value, struct diag *diag)
{
    if (reference.size != OVERFLOW_REFERENCE_SIZE) {
        return diag_set(diag, ERR_CORRUPT, "invalid overflow reference");
    }
    size_t size = load_le32(reference.data);
    uint64_t id = load_le64(reference.data + 4);
    uint8_t *bytes = arena_alloc_raw(into, size);
    size_t done = 0;
    while (done < size) {
        struct page *page = NULL;
        TRY(overflow_page(task, store, id, &page, diag));
        size_t part = load_le32(page->body + 8);
        if (part == 0 || part > OVERFLOW_DATA_MAX || part > size - done) {
            return diag_set(
                diag, ERR_CORRUPT, "overflow page %llu has a wrong length", (unsigned long long)id);
        }
        memcpy(bytes + done, data_of(page), part);
        done += part;
        id = load_le64(page->body);
    }
    *value = slice_of(bytes, size);
    return ERR_OK;
}

void
btree_value_free(struct task *task, struct btree *store, struct slice reference)
{
    ASSERT(reference.size == OVERFLOW_REFERENCE_SIZE);
    uint64_t id = load_le64(reference.data + 4);
    while (id != 0) {
        struct page *page = NULL;
        struct diag diag;
        if (overflow_page(task, store, id, &page, &diag) != ERR_OK) {
            world_log(store->world, "overflow pages stay allocated: %s", diag.message);
            return;
        }
        uint64_t next = load_le64(page->body);
        store__page_free(store, id);
        id = next;
    }
}
