/*
 * btree/image.c - a page on disk.
 *
 *     OFFSET SIZE  DESCRIPTION
 *          0    4  magic "TPG1"
 *          4    4  crc32c of everything from offset 8 to the end of the content
 *          8    8  page id
 *         16    4  raw size
 *         20    4  content size; equal to raw size: not compressed, else LZ4 block format
 *         24       content, then zeroes to a multiple of 4 KiB
 *
 * Raw content:
 *          0    8  page id
 *          8    8  tree id
 *         16    8  right sibling
 *         24    2  level, or 0xFFFF for overflow
 *         26    2  number of entries; overflow: 0
 *         28    2  size of the low fence     30  2  size of the high fence, 0xFFFF none
 *         32       low fence, high fence, entries:
 *                  leaf:  key suffix size 2, value size 2, flags 1, key suffix, value
 *                  inner: key suffix size 2, child 8, key suffix
 *                  overflow: next page id 8, length 4, bytes
 *
 * Entries carry keys without the prefix that the two fences share. No row heads: what a snapshot
 * saw is, after a restart, older than every snapshot.
 */
#include <lz4.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "btree/btree_internal.h"

enum {
    MAGIC = 0x31475054, /* "TPG1" */
    IMAGE_HEAD = 24,
    RAW_HEAD = 32,
    RAW_SIZE_MAX = 16 * 1024 * 1024, /* far above any page's versions */
};

/* ---- to disk -----------------------------------------------------------------------------------
 */

static void
add_le16(struct buffer *to, uint16_t value)
{
    store_le16(buffer_extend(to, 2), value);
}

static void
add_le64(struct buffer *to, uint64_t value)
{
    store_le64(buffer_extend(to, 8), value);
}

struct render {
    struct btree *store;
    lsn_t snapshot;
    struct buffer raw;
    bool newer;
    struct diag *diag;
};

/* If the snapshot sees a version of the row, it is added and *count grows. */
static enum err
add_row(struct task *task, struct render *render, struct btree_row *row, struct slice whole_key,
    uint16_t *count)
{
    const struct btree_owner *owner = &render->store->owner;
    struct buffer *raw = &render->raw;
    struct slice suffix = row->key;
    struct btree_version version = {.exists = (row->head.flags & ROW_DELETED) == 0,
        .flags = row->head.flags,
        .value = row->value};
    if (row->head.writer.v != 0) {
        version = (struct btree_version){0};
        row->key = whole_key;
        TRY(owner->version_at(task, owner->arg, row, render->snapshot, &version, render->diag));
        render->newer = render->newer || version.newer;
    }
    if (!version.exists) {
        return ERR_OK;
    }
    add_le16(raw, (uint16_t)suffix.size);
    add_le16(raw, (uint16_t)version.value.size);
    buffer_add_u8(raw, version.flags & ROW_OVERFLOW);
    buffer_add(raw, suffix.data, suffix.size);
    buffer_add(raw, version.value.data, version.value.size);
    (*count)++;
    return ERR_OK;
}

static enum err
serialize(struct task *task, struct render *render, const struct page *page)
{
    struct buffer *raw = &render->raw;
    add_le64(raw, page->h.id);
    add_le64(raw, page->h.tree);
    add_le64(raw, page->h.right);
    add_le16(raw, page->h.level);
    size_t count_at = raw->size;
    add_le16(raw, 0);
    if (page->h.level == PAGE_OVERFLOW) {
        add_le16(raw, 0);
        add_le16(raw, NO_FENCE);
        buffer_add(raw, page->body, 12 + load_le32(page->body + 8));
        return ERR_OK;
    }
    struct slice low = page__low(page);
    struct slice high = page__has_high(page) ? page__high(page) : (struct slice){0};
    add_le16(raw, (uint16_t)low.size);
    add_le16(raw, page->h.high_size);
    buffer_add(raw, low.data, low.size);
    buffer_add(raw, high.data, high.size);
    uint8_t key[BTREE_KEY_SIZE_MAX];
    uint16_t count = 0;
    for (uint32_t i = 0; i < page->h.count; i++) {
        if (page->h.level == 0) {
            struct btree_row row;
            page__row(page, i, &row);
            struct slice whole = slice_of(key, page__full_key(page, i, key));
            TRY(add_row(task, render, &row, whole, &count));
        } else {
            struct slice suffix = page__suffix(page, i);
            add_le16(raw, (uint16_t)suffix.size);
            buffer_add(raw, suffix.data - INNER_CELL_HEAD, INNER_CELL_HEAD); /* the child */
            buffer_add(raw, suffix.data, suffix.size);
            count++;
        }
    }
    store_le16(raw->data + count_at, count);
    return ERR_OK;
}

static struct image *
compress(const struct buffer *raw, uint64_t page_id)
{
    ASSERT(raw->size <= RAW_SIZE_MAX);
    int bound = LZ4_compressBound((int)raw->size);
    struct image *image = mem_alloc(sizeof *image + IMAGE_HEAD + (size_t)bound + BLOCK_SIZE);
    void *state = mem_alloc((size_t)LZ4_sizeofState()); /* 16 KiB: too much for a fiber's stack */
    int packed = LZ4_compress_fast_extState(state, (const char *)raw->data,
        (char *)image->bytes + IMAGE_HEAD, (int)raw->size, bound, 1);
    mem_free(state);
    size_t content = (size_t)packed;
    if (packed <= 0 || content >= raw->size) {
        memcpy(image->bytes + IMAGE_HEAD, raw->data, raw->size);
        content = raw->size;
    }
    store_le32(image->bytes, MAGIC);
    store_le64(image->bytes + 8, page_id);
    store_le32(image->bytes + 16, (uint32_t)raw->size);
    store_le32(image->bytes + 20, (uint32_t)content);
    image->check = crc32c(CRC32C_INIT, image->bytes + 8, IMAGE_HEAD - 8 + content);
    store_le32(image->bytes + 4, image->check);
    size_t size = IMAGE_HEAD + content;
    size_t padded = (size + BLOCK_SIZE - 1) / BLOCK_SIZE * BLOCK_SIZE;
    memset(image->bytes + size, 0, padded - size);
    image->size = (uint32_t)padded;
    image->page_id = page_id;
    return image;
}

enum err
image__render(struct task *task, struct btree *store, const struct page *page, lsn_t snapshot,
    struct image **image, bool *newer, struct diag *diag)
{
    struct render render = {.store = store, .snapshot = snapshot, .diag = diag};
    (void)buffer_reserve(&render.raw, BTREE_PAGE_SIZE);
    enum err err = serialize(task, &render, page);
    if (err == ERR_OK) {
        *image = compress(&render.raw, page->h.id);
    }
    *newer = render.newer;
    buffer_destroy(&render.raw);
    return err;
}

/* ---- from disk
 * --------------------------------------------------------------------------------------- */

uint8_t *
image__decode(
    const uint8_t *bytes, size_t size, uint64_t page_id, size_t *raw_size, const char **fault)
{
    *fault = NULL;
    if (size < IMAGE_HEAD || load_le32(bytes) != MAGIC) {
        *fault = "not a page image";
        return NULL;
    }
    size_t content = load_le32(bytes + 20);
    *raw_size = load_le32(bytes + 16);
    if (content > size - IMAGE_HEAD || *raw_size < RAW_HEAD || *raw_size > RAW_SIZE_MAX) {
        *fault = "lengths out of range";
        return NULL;
    }
    if (load_le32(bytes + 4) != crc32c(CRC32C_INIT, bytes + 8, IMAGE_HEAD - 8 + content)) {
        *fault = "checksum does not match";
        return NULL;
    }
    if (load_le64(bytes + 8) != page_id) {
        *fault = "image of another page";
        return NULL;
    }
    uint8_t *raw = mem_alloc(*raw_size);
    if (content == *raw_size) {
        memcpy(raw, bytes + IMAGE_HEAD, content);
    } else if (LZ4_decompress_safe((const char *)bytes + IMAGE_HEAD, (char *)raw, (int)content,
                   (int)*raw_size) != (int)*raw_size) {
        *fault = "compressed content is damaged";
        mem_free(raw);
        return NULL;
    }
    return raw;
}

uint32_t
image__check(const uint8_t *bytes)
{
    return load_le32(bytes + 4);
}

struct raw_page {
    uint64_t tree, right;
    uint16_t level, count;
    struct slice low, high;
    bool has_high;
    size_t prefix;
    size_t entries_at;
};

static const char *
read_head(const uint8_t *raw, size_t size, struct raw_page *head)
{
    head->tree = load_le64(raw + 8);
    head->right = load_le64(raw + 16);
    head->level = load_le16(raw + 24);
    head->count = load_le16(raw + 26);
    size_t low_size = load_le16(raw + 28);
    size_t high_size = load_le16(raw + 30);
    head->has_high = high_size != NO_FENCE;
    high_size = head->has_high ? high_size : 0;
    if (low_size > BTREE_KEY_SIZE_MAX || high_size > BTREE_KEY_SIZE_MAX ||
        RAW_HEAD + low_size + high_size > size ||
        (head->level > HEIGHT_MAX && head->level != PAGE_OVERFLOW)) {
        return "page head";
    }
    head->low = slice_of(raw + RAW_HEAD, low_size);
    head->high = slice_of(raw + RAW_HEAD + low_size, high_size);
    head->prefix = 0;
    while (head->prefix < low_size && head->prefix < high_size &&
           head->low.data[head->prefix] == head->high.data[head->prefix]) {
        head->prefix++;
    }
    head->entries_at = RAW_HEAD + low_size + high_size;
    return NULL;
}

struct raw_entry {
    struct slice suffix, value;
    uint64_t child;
    uint8_t flags;
    size_t next;
};

static bool
read_entry(const uint8_t *raw, size_t size, size_t at, bool leaf, struct raw_entry *entry)
{
    size_t head = leaf ? 5 : 10;
    if (at + head > size) {
        return false;
    }
    size_t suffix = load_le16(raw + at);
    size_t value = leaf ? load_le16(raw + at + 2) : 0;
    if (at + head + suffix + value > size || suffix > BTREE_KEY_SIZE_MAX) {
        return false;
    }
    entry->flags = leaf ? raw[at + 4] : 0;
    entry->child = leaf ? 0 : load_le64(raw + at + 2);
    entry->suffix = slice_of(raw + at + head, suffix);
    entry->value = slice_of(raw + at + head + suffix, value);
    entry->next = at + head + suffix + value;
    return true;
}

static struct slice
whole_key(const struct raw_page *head, struct slice suffix, uint8_t *memory)
{
    memcpy(memory, head->low.data, head->prefix);
    memcpy(memory + head->prefix, suffix.data, suffix.size);
    return slice_of(memory, head->prefix + suffix.size);
}

/* How far entries from `at` fit into a page with `room` for them, each `more` bytes larger than its
 * suffix and value say; SIZE_MAX for to the end. */
static size_t
fit(const uint8_t *raw, size_t size, size_t at, size_t room, size_t more)
{
    struct raw_entry entry;
    while (at < size && read_entry(raw, size, at, true, &entry)) {
        size_t need = PAGE_SLOT_SIZE + LEAF_CELL_HEAD + more + entry.suffix.size + entry.value.size;
        if (need > room) {
            return at;
        }
        room -= need;
        at = entry.next;
    }
    return SIZE_MAX;
}

/* Do all rows from `at` fit into one page? The first page keeps the fences and their prefix; later
 * ones have others, so their keys are counted whole and their fences as large as can be. */
static bool
rest_fits(const struct raw_page *head, const uint8_t *raw, size_t size, size_t at)
{
    size_t room = BTREE_PAGE_SIZE - PAGE_HEADER_SIZE;
    return at == head->entries_at
               ? fit(raw, size, at, room - head->low.size - head->high.size, 0) == SIZE_MAX
               : fit(raw, size, at, room - 2 * BTREE_KEY_SIZE_MAX, head->prefix) == SIZE_MAX;
}

bool
image__fits(const uint8_t *raw, size_t raw_size, size_t at)
{
    struct raw_page head;
    if (read_head(raw, raw_size, &head) != NULL || head.level != 0) {
        return true; /* image__fill has the words */
    }
    return rest_fits(&head, raw, raw_size, at == 0 ? head.entries_at : at);
}

static const char *
fill_overflow(
    const uint8_t *raw, size_t size, const struct raw_page *head, struct page *page, uint64_t id)
{
    if (head->entries_at + 12 > size ||
        load_le32(raw + head->entries_at + 8) != size - head->entries_at - 12 ||
        size - head->entries_at - 12 > OVERFLOW_DATA_MAX) {
        return "overflow length";
    }
    memset(&page->h, 0, sizeof page->h);
    page->h.id = id;
    page->h.tree = head->tree;
    page->h.level = PAGE_OVERFLOW;
    memcpy(page->body, raw + head->entries_at, size - head->entries_at);
    return NULL;
}

const char *
image__fill(const uint8_t *raw, size_t raw_size, size_t *at, struct page *page, uint64_t id,
    uint64_t right_id, bool *all)
{
    struct raw_page head;
    const char *fault = read_head(raw, raw_size, &head);
    if (fault != NULL) {
        return fault;
    }
    *all = true;
    if (head.level == PAGE_OVERFLOW) {
        return fill_overflow(raw, raw_size, &head, page, id);
    }
    bool leaf = head.level == 0;
    struct raw_entry entry;
    uint8_t low_memory[BTREE_KEY_SIZE_MAX * 2];
    uint8_t high_memory[BTREE_KEY_SIZE_MAX * 2];
    struct slice low = head.low;
    struct slice high = head.high;
    bool has_high = head.has_high;
    size_t from = *at == 0 ? head.entries_at : *at;
    if (*at != 0) {
        if (!read_entry(raw, raw_size, from, leaf, &entry)) {
            return "entry out of page";
        }
        low = whole_key(&head, entry.suffix, low_memory);
    }
    size_t until = SIZE_MAX;
    if (leaf && right_id != 0) {
        size_t room = BTREE_PAGE_SIZE - PAGE_HEADER_SIZE - 2 * BTREE_KEY_SIZE_MAX;
        until = fit(raw, raw_size, from, room, head.prefix);
    }
    if (until != SIZE_MAX) {
        if (until == from || !read_entry(raw, raw_size, until, leaf, &entry)) {
            return "entry too large";
        }
        high = whole_key(&head, entry.suffix, high_memory);
        has_high = true;
        *all = false;
    }
    page__format(page, id, (tree_id_t){head.tree}, head.level, low, high, has_high);
    page->h.right = *all ? head.right : right_id;
    uint8_t key_memory[BTREE_KEY_SIZE_MAX * 2];
    while (from < raw_size && from != until) {
        if (!read_entry(raw, raw_size, from, leaf, &entry)) {
            return "entry out of page";
        }
        struct slice key = whole_key(&head, entry.suffix, key_memory);
        size_t cell = leaf ? LEAF_CELL_HEAD : INNER_CELL_HEAD;
        if (key.size > BTREE_KEY_SIZE_MAX || key.size < page->h.prefix_size ||
            page__free_room(page) + page->h.prefix_size <
                PAGE_SLOT_SIZE + cell + key.size + entry.value.size) {
            return "entries do not fit";
        }
        if (leaf) {
            struct row_head row_head = {.flags = entry.flags & ROW_OVERFLOW};
            page__insert_leaf(page, page->h.count, key, &row_head, entry.value);
        } else {
            page__insert_inner(page, page->h.count, key, entry.child);
        }
        from = entry.next;
    }
    *at = from;
    return page__fault(page);
}
