#include "btree/overflow.h"

#include "base/assert.h"
#include "base/mem.h"

static uint8_t *
data_of(struct page *page)
{
    return (uint8_t *)page + OVERFLOW_DATA_AT;
}

/* A new overflow page. */
static uint64_t
write_page(struct btree *store, uint32_t index, tree_id_t tree, struct slice part, uint64_t next)
{
    uint64_t id = 0;
    struct frame *frame = store__page_new(store, index, &id);
    version_latch_acquire(&frame->latch);
    struct page *page = store__page(store, frame);
    memset(&page->h, 0, sizeof page->h);
    page->h.id = id;
    page->h.tree = tree.v;
    page->h.level = PAGE_OVERFLOW;
    store_le64(page->body, next);
    store_le32(page->body + 8, (uint32_t)part.size);
    memcpy(data_of(page), part.data, part.size);
    store__page_set_dirty(frame);
    version_latch_release(&frame->latch);
    return id;
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
        uint32_t index = 0;
        enum err err = evict__take_frames(task, store, 1, &index, diag);
        if (err != ERR_OK) {
            store_le32(reference, (uint32_t)(value.size - at));
            store_le64(reference + 4, next);
            btree_value_free(task, store, slice_of(reference, OVERFLOW_REFERENCE_SIZE));
            return err;
        }
        next = write_page(store, index, tree, slice_of(value.data + at, size), next);
    }
    store_le32(reference, (uint32_t)value.size);
    store_le64(reference + 4, next);
    return ERR_OK;
}

/* A copy of an overflow page. They never change, but they may leave memory. */
static enum err
overflow_page(
    struct task *task, struct btree *store, uint64_t id, struct page *page, struct diag *diag)
{
    TRY(store__page_copy(task, store, id, page, diag));
    if (page->h.level != PAGE_OVERFLOW) {
        return diag_set(diag, ERR_CORRUPT, "page %llu is not the overflow page it should be",
            (unsigned long long)id);
    }
    return ERR_OK;
}

static enum err
load_parts(struct task *task, struct btree *store, uint64_t id, uint8_t *bytes, size_t size,
    struct page *page, struct diag *diag)
{
    size_t done = 0;
    while (done < size) {
        TRY(overflow_page(task, store, id, page, diag));
        size_t part = load_le32(page->body + 8);
        if (part == 0 || part > OVERFLOW_DATA_MAX || part > size - done) {
            return diag_set(
                diag, ERR_CORRUPT, "overflow page %llu has a wrong length", (unsigned long long)id);
        }
        memcpy(bytes + done, data_of(page), part);
        done += part;
        id = load_le64(page->body);
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
    uint8_t *bytes = arena_alloc_raw(into, size);
    struct page *page = mem_alloc(sizeof *page);
    enum err err = load_parts(task, store, load_le64(reference.data + 4), bytes, size, page, diag);
    mem_free(page);
    *value = slice_of(bytes, size);
    return err;
}

void
btree_value_free(struct task *task, struct btree *store, struct slice reference)
{
    ASSERT(reference.size == OVERFLOW_REFERENCE_SIZE);
    uint64_t id = load_le64(reference.data + 4);
    struct page *page = mem_alloc(sizeof *page);
    while (id != 0) {
        struct diag diag;
        if (overflow_page(task, store, id, page, &diag) != ERR_OK) {
            world_log(store->world, "overflow pages stay allocated: %s", diag.message);
            break;
        }
        store__page_free(task, store, id);
        id = load_le64(page->body);
    }
    mem_free(page);
}
