/*
 * Any bytes in the place of a page: words about what is wrong, or a page that can be searched and
 * walked, and that comes back from its own image as it is. short run: 30000
 *
 * The input is a little program: the first bytes choose a sound page, the rest damages it, so that
 * the damage stands behind checksums and lengths that are right.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "btree/btree_internal.h"
#include "tests/unit/btree_util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    PAGE_ID = 7,
    IMAGE_HEAD = 24,
};

/* A page full of rows or children that follow from the seed. */
static void
make_page(struct page *page, uint64_t seed)
{
    bool leaf = seed % 4 != 0;
    struct slice low = slice_of("ab", seed % 3);
    struct slice high = slice_of("abz", seed % 2 == 0 ? 3 : 0);
    page__format(page, PAGE_ID, (tree_id_t){9}, leaf ? 0 : 1, low, high, high.size > 0);
    uint32_t count = (uint32_t)(seed / 16 % 60);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t key[40] = "ab";
        uint8_t value[300];
        uint64_t mix = hash_u64(seed + i);
        key[2] = (uint8_t)(i + 1);
        memset(key + 3, (int)(mix & 0xFF), 20);
        memset(value, (int)(mix >> 8 & 0xFF), sizeof value);
        struct slice whole = slice_of(key, 3 + mix % 20);
        if (leaf) {
            struct row_head head = {.flags = 0};
            page__insert_leaf(page, i, whole, &head, slice_of(value, mix % 200));
        } else {
            page__insert_inner(page, i, whole, 100 + i);
        }
    }
}

static void
search(const struct page *page, const uint8_t *data, size_t size)
{
    bool equal = false;
    size = size > 50 ? 50 : size;
    uint32_t slot = page__find(page, slice_of(data, size), &equal);
    ASSERT(slot <= page->h.count);
    if (page->h.level != 0) {
        (void)page__child(page, slot, equal, false);
    }
    uint8_t key[BTREE_KEY_SIZE_MAX];
    for (uint32_t i = 0; i < page->h.count; i++) {
        (void)page__full_key(page, i, key);
        if (page->h.level == 0) {
            struct btree_row row;
            page__row(page, i, &row);
            ASSERT(row.value.size == 0 || row.value.data != NULL);
        }
    }
}

/* What was accepted is a page: it goes to disk and comes back the same. */
static void
round_trip(struct btree *store, const struct page *page)
{
    bool newer = false;
    const char *fault = NULL;
    size_t raw_size = 0;
    struct image *image = NULL;
    ASSERT(image__render(NULL, store, page, (lsn_t){1}, &image, &newer, NULL) == ERR_OK);
    uint8_t *raw = image__decode(image->bytes, image->size, PAGE_ID, &raw_size, &fault);
    ASSERT(raw != NULL);
    struct page *again = mem_alloc_aligned(64, BTREE_PAGE_SIZE);
    size_t at = 0;
    bool all = false;
    fault = image__fill(raw, raw_size, &at, again, PAGE_ID, 0, &all);
    ASSERT(fault == NULL && all);
    ASSERT(again->h.count == page->h.count && again->h.right == page->h.right &&
           again->h.level == page->h.level);
    mem_free(again);
    mem_free(raw);
    mem_free(image);
}

static void
fill_pages(
    struct btree *store, const uint8_t *raw, size_t raw_size, const uint8_t *data, size_t size)
{
    struct page *page = mem_alloc_aligned(64, BTREE_PAGE_SIZE);
    size_t at = 0;
    bool all = image__fits(raw, raw_size, 0);
    for (int i = 0; i < 1000; i++) { /* what does not fit goes to pages further right */
        size_t before = at;
        const char *fault = image__fill(raw, raw_size, &at, page, PAGE_ID, all ? 0 : 1000, &all);
        if (fault != NULL) {
            break;
        }
        if (page->h.level != PAGE_OVERFLOW) {
            search(page, data, size);
        }
        round_trip(store, page);
        if (all) {
            break;
        }
        ASSERT(at > before);
        all = image__fits(raw, raw_size, at);
    }
    mem_free(page);
}

/* Change bytes of [at, size) as the rest of the input says: three bytes for a change. */
static void
damage(uint8_t *bytes, size_t size, const uint8_t *data, size_t data_size)
{
    for (size_t i = 0; i + 3 <= data_size && size > 0; i += 3) {
        size_t at = (size_t)(data[i] | data[i + 1] << 8) % size;
        at = i % 2 == 0 ? at % 48 % size : at; /* heads more often */
        unsigned flipped = bytes[at] ^ 1U << (data[i + 2] % 8);
        bytes[at] = (uint8_t)(i % 4 == 0 ? flipped : data[i + 2]);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct btree store = {.owner = {.version_at = newest_version_at}};
    if (size < 4) {
        return 0;
    }
    const char *fault = NULL;
    size_t raw_size = 0;
    uint8_t mode = data[0] % 4;
    uint64_t seed = (uint64_t)data[1] | (uint64_t)data[2] << 8;
    data += 3;
    size -= 3;
    if (mode == 0) { /* the input itself, as content */
        uint8_t *raw = mem_zalloc(size < 32 ? 32 : size);
        memcpy(raw, data, size);
        fill_pages(&store, raw, size < 32 ? 32 : size, data, size);
        mem_free(raw);
        return 0;
    }
    struct page *page = mem_alloc_aligned(64, BTREE_PAGE_SIZE);
    bool newer = false;
    make_page(page, seed);
    struct image *image = NULL;
    ASSERT(image__render(NULL, &store, page, (lsn_t){1}, &image, &newer, NULL) == ERR_OK);
    mem_free(page);
    if (mode == 1) { /* damage to the content */
        uint8_t *raw = image__decode(image->bytes, image->size, PAGE_ID, &raw_size, &fault);
        ASSERT(raw != NULL);
        damage(raw, raw_size, data, size);
        fill_pages(&store, raw, raw_size, data, size);
        mem_free(raw);
    } else { /* damage to the image, and in mode 3 a checksum that agrees */
        damage(image->bytes, image->size, data, size);
        size_t content = load_le32(image->bytes + 20);
        if (mode == 3 && content <= image->size - IMAGE_HEAD) {
            store_le32(
                image->bytes + 4, crc32c(CRC32C_INIT, image->bytes + 8, IMAGE_HEAD - 8 + content));
        }
        uint8_t *raw = image__decode(image->bytes, image->size, PAGE_ID, &raw_size, &fault);
        ASSERT((raw == NULL) == (fault != NULL));
        if (raw != NULL) {
            fill_pages(&store, raw, raw_size, data, size);
            mem_free(raw);
        }
    }
    mem_free(image);
    return 0;
}
