/*
 * btree/page.c - one slotted page. Format and invariants: btree_internal.h.
 *
 * Functions marked RACY may run while another thread writes the page; they bound every access by
 * the page and promise nothing about the answer. ThreadSanitizer is told not to look at them.
 */
#include "base/assert.h"
#include "btree/btree_internal.h"

#if defined(__SANITIZE_THREAD__)
#define IN_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IN_TSAN 1
#endif
#endif

#ifdef IN_TSAN
#define RACY __attribute__((no_sanitize("thread")))

/* The interceptors of memcpy and memcmp would look. */
RACY static void
racy_copy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        ((volatile uint8_t *)to)[i] = ((const volatile uint8_t *)from)[i];
    }
}

RACY static int
racy_compare(const void *a, const void *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        int difference = ((const volatile uint8_t *)a)[i] - ((const volatile uint8_t *)b)[i];
        if (difference != 0) {
            return difference;
        }
    }
    return 0;
}
#else
#define RACY
#define racy_copy    memcpy
#define racy_compare memcmp
#endif

static const uint8_t *
bytes_of(const struct page *page)
{
    return (const uint8_t *)page;
}

static uint32_t
key_head(const uint8_t *key, size_t size)
{
    if (size >= 4) {
        return load_be32(key);
    }
    uint32_t head = 0;
    for (size_t i = 0; i < size; i++) {
        head |= (uint32_t)key[i] << (24 - 8 * i);
    }
    return head;
}

RACY static size_t
cell_head(const struct page *page)
{
    return page->h.level == 0 ? LEAF_CELL_HEAD : INNER_CELL_HEAD;
}

/* memcmp order of a run inside the page against bytes outside; out of bounds compares as empty. */
RACY static int
compare_inside(const struct page *page, size_t at, size_t size, const uint8_t *b, size_t b_size)
{
    if (at + size > BTREE_PAGE_SIZE) {
        size = 0;
    }
    size_t common = size < b_size ? size : b_size;
    int order = common == 0 ? 0 : racy_compare(bytes_of(page) + at, b, common);
    return order != 0 ? order : (size > b_size) - (size < b_size);
}

RACY bool
page__goes_right(const struct page *page, struct slice key, bool exclusive)
{
    uint16_t size = page->h.high_size;
    if (size == NO_FENCE) {
        return false;
    }
    if (key.data == NULL) {
        return exclusive; /* the very last page is wanted */
    }
    int order = compare_inside(page, page->h.high_at, size, key.data, key.size);
    return exclusive ? order < 0 : order <= 0;
}

bool
page__covers(const struct page *page, tree_id_t tree, struct slice key)
{
    return page->h.tree == tree.v && slice_compare(page__low(page), key) <= 0 &&
           !page__goes_right(page, key, false);
}

/* The heads are equal: what comes after them? Where one of the two ends within its head, their
 * lengths decide, and the cell need not be looked at. */
RACY static int
compare_behind_head(const struct page *page, struct page_slot slot, size_t skip,
    const uint8_t *suffix, size_t suffix_size)
{
    enum {
        HEAD = sizeof slot.head
    };
    if (slot.key_size <= HEAD || suffix_size <= HEAD) {
        return (slot.key_size > suffix_size) - (slot.key_size < suffix_size);
    }
    return compare_inside(
        page, slot.at + skip + HEAD, slot.key_size - HEAD, suffix + HEAD, suffix_size - HEAD);
}

RACY uint32_t
page__find(const struct page *page, struct slice key, bool *equal)
{
    *equal = false;
    uint32_t count = page->h.count;
    const uint32_t count_max = (BTREE_PAGE_SIZE - PAGE_HEADER_SIZE) / PAGE_SLOT_SIZE;
    count = count > count_max ? count_max : count;
    size_t prefix = page->h.prefix_size;
    if (prefix > 0) {
        size_t common = prefix < key.size ? prefix : key.size;
        const uint8_t *bytes = page->h.prefix;
        if (prefix > sizeof page->h.prefix) {
            bytes = bytes_of(page) + page->h.low_at;
            if (bytes + prefix > bytes_of(page) + BTREE_PAGE_SIZE) {
                return 0;
            }
        }
        int order = common == 0 ? 0 : racy_compare(bytes, key.data, common);
        if (order > 0 || (order == 0 && key.size < prefix)) {
            return 0;
        }
        if (order < 0) {
            return count;
        }
    }
    const uint8_t *suffix = key.data + prefix;
    size_t suffix_size = key.size - prefix;
    uint32_t head = key_head(suffix, suffix_size);
    size_t skip = cell_head(page);
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        struct page_slot slot;
        racy_copy(&slot, &page->slots[middle], sizeof slot);
        int order = (slot.head > head) - (slot.head < head);
        if (order == 0) {
            order = compare_behind_head(page, slot, skip, suffix, suffix_size);
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            *equal = *equal || order == 0;
            high = middle;
        }
    }
    return low;
}

RACY uint64_t
page__child(const struct page *page, uint32_t slot, bool equal, bool exclusive)
{
    slot += equal && !exclusive ? 1 : 0;
    slot = slot == 0 ? 0 : slot - 1;
    if (slot >= page->h.count || slot >= sizeof page->slots / sizeof page->slots[0]) {
        return 0;
    }
    size_t at = page->slots[slot].at;
    if (at + INNER_CELL_HEAD > BTREE_PAGE_SIZE) {
        return 0;
    }
    uint64_t child = 0;
    racy_copy(&child, bytes_of(page) + at, sizeof child);
    return child;
}

RACY uint16_t
page__level_racy(const struct page *page)
{
    return page->h.level;
}

RACY size_t
page__used_racy(const struct page *page)
{
    const int32_t room = BTREE_PAGE_SIZE - PAGE_HEADER_SIZE;
    int32_t behind = BTREE_PAGE_SIZE - page->h.heap; /* the cells, living and dead */
    int32_t used = page->h.count * PAGE_SLOT_SIZE + behind - page->h.garbage;
    return used < 0 || used > room ? (size_t)room : (size_t)used;
}

RACY uint64_t
page__id_racy(const struct page *page)
{
    return page->h.id;
}

RACY uint64_t
page__right_racy(const struct page *page)
{
    return page->h.right;
}

RACY uint32_t
page__count_racy(const struct page *page)
{
    return page->h.count;
}

RACY static void
copy_inside(struct page *to, const struct page *from, size_t at, size_t size)
{
    if (at + size <= BTREE_PAGE_SIZE) {
        racy_copy((uint8_t *)to + at, bytes_of(from) + at, size);
    }
}

RACY void
page__copy_window_racy(struct page *to, const struct page *from, uint32_t first, uint32_t limit)
{
    racy_copy(&to->h, &from->h, sizeof to->h);
    copy_inside(to, from, to->h.low_at, to->h.low_size);
    if (to->h.high_size != NO_FENCE) {
        copy_inside(to, from, to->h.high_at, to->h.high_size);
    }
    racy_copy(&to->slots[first], &from->slots[first], (limit - first) * sizeof to->slots[0]);
    for (uint32_t i = first; i < limit; i++) {
        size_t at = to->slots[i].at;
        size_t size = LEAF_CELL_HEAD + to->slots[i].key_size;
        if (at + size <= BTREE_PAGE_SIZE) {
            uint16_t value_size = 0;
            racy_copy(&value_size, bytes_of(from) + at + 17, sizeof value_size);
            copy_inside(to, from, at, size + value_size);
        }
    }
}

RACY bool
page__row_racy(const struct page *page, uint32_t slot, struct arena *into, struct btree_row *row)
{
    struct page_slot s;
    racy_copy(&s, &page->slots[slot], sizeof s);
    if ((size_t)s.at + LEAF_CELL_HEAD + s.key_size > BTREE_PAGE_SIZE) {
        return false;
    }
    const uint8_t *cell = bytes_of(page) + s.at;
    uint8_t head[LEAF_CELL_HEAD];
    racy_copy(head, cell, sizeof head);
    size_t value_size = load_le16(head + 17);
    if ((size_t)s.at + LEAF_CELL_HEAD + s.key_size + value_size > BTREE_PAGE_SIZE) {
        return false;
    }
    row->head.writer.v = load_le64(head);
    row->head.undo = load_le64(head + 8);
    row->head.flags = head[16];
    uint8_t *value = arena_alloc_raw(into, value_size);
    racy_copy(value, cell + LEAF_CELL_HEAD + s.key_size, value_size);
    row->value = slice_of(value, value_size);
    return true;
}

RACY void
page__copy_racy(struct page *to, const struct page *from)
{
    racy_copy(to, from, BTREE_PAGE_SIZE);
}

/* ---- under the latch, or on a private copy -----------------------------------------------------
 */

static uint16_t
push_bytes(struct page *page, struct slice bytes)
{
    ASSERT(page__free_room(page) >= bytes.size);
    page->h.heap = (uint16_t)(page->h.heap - bytes.size);
    if (bytes.size > 0) {
        memcpy((uint8_t *)page + page->h.heap, bytes.data, bytes.size);
    }
    return page->h.heap;
}

void
page__format(struct page *page, uint64_t id, tree_id_t tree, uint16_t level, struct slice low,
    struct slice high, bool has_high)
{
    memset(&page->h, 0, sizeof page->h);
    page->h.id = id;
    page->h.tree = tree.v;
    page->h.level = level;
    page->h.heap = BTREE_PAGE_SIZE; /* fits: 16384 < 65536 */
    page->h.low_at = push_bytes(page, low);
    page->h.low_size = (uint16_t)low.size;
    page->h.high_size = NO_FENCE;
    if (has_high) {
        page->h.high_at = push_bytes(page, high);
        page->h.high_size = (uint16_t)high.size;
        size_t common = slice_common(low, high);
        page->h.prefix_size = (uint16_t)common;
        memcpy(page->h.prefix, low.data,
            common < sizeof page->h.prefix ? common : sizeof page->h.prefix);
    }
}

struct slice
page__low(const struct page *page)
{
    return slice_of(bytes_of(page) + page->h.low_at, page->h.low_size);
}

bool
page__has_high(const struct page *page)
{
    return page->h.high_size != NO_FENCE;
}

struct slice
page__high(const struct page *page)
{
    ASSERT(page__has_high(page));
    return slice_of(bytes_of(page) + page->h.high_at, page->h.high_size);
}

size_t
page__free_room(const struct page *page)
{
    size_t slots_end = PAGE_HEADER_SIZE + (size_t)page->h.count * PAGE_SLOT_SIZE;
    ASSERT(slots_end <= page->h.heap);
    return page->h.heap - slots_end;
}

struct slice
page__suffix(const struct page *page, uint32_t slot)
{
    ASSERT(slot < page->h.count);
    const struct page_slot *s = &page->slots[slot];
    return slice_of(bytes_of(page) + s->at + cell_head(page), s->key_size);
}

size_t
page__full_key(const struct page *page, uint32_t slot, uint8_t *to)
{
    struct slice suffix = page__suffix(page, slot);
    size_t prefix = page->h.prefix_size;
    memcpy(to, bytes_of(page) + page->h.low_at, prefix);
    memcpy(to + prefix, suffix.data, suffix.size);
    return prefix + suffix.size;
}

void
page__row(const struct page *page, uint32_t slot, struct btree_row *row)
{
    ASSERT(slot < page->h.count && page->h.level == 0);
    const struct page_slot *s = &page->slots[slot];
    const uint8_t *cell = bytes_of(page) + s->at;
    row->head.writer.v = load_le64(cell);
    row->head.undo = load_le64(cell + 8);
    row->head.flags = cell[16];
    row->key = slice_of(cell + LEAF_CELL_HEAD, s->key_size);
    row->value = slice_of(cell + LEAF_CELL_HEAD + s->key_size, load_le16(cell + 17));
}

struct slice
page__separator(struct slice left, struct slice right)
{
    size_t common = slice_common(left, right);
    ASSERT(common < right.size);
    return slice_of(right.data, common + 1);
}

static size_t
cell_size(const struct page *page, uint32_t slot)
{
    const struct page_slot *s = &page->slots[slot];
    size_t size = cell_head(page) + s->key_size;
    return page->h.level == 0 ? size + load_le16(bytes_of(page) + s->at + 17) : size;
}

/* Opens slot `slot` and reserves a cell for it; returns the cell. */
static uint8_t *
open_slot(struct page *page, uint32_t slot, struct slice suffix, size_t size)
{
    ASSERT(slot <= page->h.count && page__free_room(page) >= size + PAGE_SLOT_SIZE);
    memmove(&page->slots[slot + 1], &page->slots[slot],
        (size_t)(page->h.count - slot) * PAGE_SLOT_SIZE);
    page->h.count++;
    page->h.heap = (uint16_t)(page->h.heap - size);
    page->slots[slot] = (struct page_slot){
        .at = page->h.heap,
        .key_size = (uint16_t)suffix.size,
        .head = key_head(suffix.data, suffix.size),
    };
    return (uint8_t *)page + page->h.heap;
}

static struct slice
suffix_of(const struct page *page, struct slice key)
{
    size_t prefix = page->h.prefix_size;
    ASSERT(key.size >= prefix); /* B1 */
    return slice_of(key.data + prefix, key.size - prefix);
}

static void
write_head(uint8_t *cell, const struct row_head *head)
{
    store_le64(cell, head->writer.v);
    store_le64(cell + 8, head->undo);
    cell[16] = head->flags;
}

void
page__insert_leaf(struct page *page, uint32_t slot, struct slice key, const struct row_head *head,
    struct slice value)
{
    struct slice suffix = suffix_of(page, key);
    uint8_t *cell = open_slot(page, slot, suffix, LEAF_CELL_HEAD + suffix.size + value.size);
    write_head(cell, head);
    store_le16(cell + 17, (uint16_t)value.size);
    if (suffix.size > 0) {
        memcpy(cell + LEAF_CELL_HEAD, suffix.data, suffix.size);
    }
    if (value.size > 0) {
        memcpy(cell + LEAF_CELL_HEAD + suffix.size, value.data, value.size);
    }
}

void
page__insert_inner(struct page *page, uint32_t slot, struct slice key, uint64_t child)
{
    struct slice suffix = suffix_of(page, key);
    uint8_t *cell = open_slot(page, slot, suffix, INNER_CELL_HEAD + suffix.size);
    store_le64(cell, child);
    if (suffix.size > 0) {
        memcpy(cell + INNER_CELL_HEAD, suffix.data, suffix.size);
    }
}

void
page__erase(struct page *page, uint32_t slot)
{
    ASSERT(slot < page->h.count);
    page->h.garbage = (uint16_t)(page->h.garbage + cell_size(page, slot));
    memmove(&page->slots[slot], &page->slots[slot + 1],
        (size_t)(page->h.count - slot - 1) * PAGE_SLOT_SIZE);
    page->h.count--;
}

void
page__set_head(struct page *page, uint32_t slot, const struct row_head *head)
{
    write_head((uint8_t *)page + page->slots[slot].at, head);
}

void
page__set_value(struct page *page, uint32_t slot, struct slice value)
{
    uint8_t *cell = (uint8_t *)page + page->slots[slot].at;
    ASSERT(load_le16(cell + 17) == value.size);
    if (value.size > 0) {
        memcpy(cell + LEAF_CELL_HEAD + page->slots[slot].key_size, value.data, value.size);
    }
}

void
page__append_range(struct page *page, const struct page *source, uint32_t from, uint32_t to)
{
    uint8_t key[BTREE_KEY_SIZE_MAX];
    for (uint32_t slot = from; slot < to; slot++) {
        struct slice whole = slice_of(key, page__full_key(source, slot, key));
        if (source->h.level == 0) {
            struct btree_row row;
            page__row(source, slot, &row);
            page__insert_leaf(page, page->h.count, whole, &row.head, row.value);
        } else {
            uint64_t child = load_le64(bytes_of(source) + source->slots[slot].at);
            page__insert_inner(page, page->h.count, whole, child);
        }
    }
}

void
page__compact(struct page *page, struct page *scratch)
{
    memcpy(scratch, page, BTREE_PAGE_SIZE);
    struct slice high = page__has_high(scratch) ? page__high(scratch) : (struct slice){0};
    page__format(page, scratch->h.id, (tree_id_t){scratch->h.tree}, scratch->h.level,
        page__low(scratch), high, page__has_high(scratch));
    page->h.right = scratch->h.right;
    page__append_range(page, scratch, 0, scratch->h.count);
}

const char *
page__fault(const struct page *page)
{
    if (page->h.level == PAGE_OVERFLOW) {
        return load_le32((const uint8_t *)page + PAGE_HEADER_SIZE + 8) > OVERFLOW_DATA_MAX
                   ? "overflow length"
                   : NULL;
    }
    size_t slots_end = PAGE_HEADER_SIZE + (size_t)page->h.count * PAGE_SLOT_SIZE;
    if (page->h.level > HEIGHT_MAX || page->h.heap > BTREE_PAGE_SIZE || slots_end > page->h.heap) {
        return "page header";
    }
    if ((size_t)page->h.low_at + page->h.low_size > BTREE_PAGE_SIZE ||
        page->h.low_size > BTREE_KEY_SIZE_MAX ||
        (page__has_high(page) && ((size_t)page->h.high_at + page->h.high_size > BTREE_PAGE_SIZE ||
                                     page->h.high_size > BTREE_KEY_SIZE_MAX)) ||
        page->h.prefix_size > page->h.low_size) {
        return "fences";
    }
    struct slice previous = {0};
    for (uint32_t i = 0; i < page->h.count; i++) {
        const struct page_slot *slot = &page->slots[i];
        size_t head = cell_head(page);
        if (slot->at < page->h.heap || (size_t)slot->at + head + slot->key_size > BTREE_PAGE_SIZE) {
            return "slot out of page";
        }
        if ((size_t)slot->at + cell_size(page, i) > BTREE_PAGE_SIZE) {
            return "cell out of page";
        }
        struct slice suffix = page__suffix(page, i);
        if (suffix.size + page->h.prefix_size > BTREE_KEY_SIZE_MAX ||
            slot->head != key_head(suffix.data, suffix.size)) {
            return "key head";
        }
        if (i > 0 && slice_compare(previous, suffix) >= 0) {
            return "key order";
        }
        previous = suffix;
    }
    if (page->h.count > 0) {
        uint8_t key[BTREE_KEY_SIZE_MAX];
        struct slice first = slice_of(key, page__full_key(page, 0, key));
        if (slice_compare(first, page__low(page)) < 0) {
            return "key below low fence";
        }
        struct slice last = slice_of(key, page__full_key(page, (uint32_t)page->h.count - 1, key));
        if (page__has_high(page) && slice_compare(last, page__high(page)) >= 0) {
            return "key above high fence";
        }
    }
    return NULL;
}

void
btree__check_page(const struct page *page)
{
    const char *fault = page__fault(page);
    ASSERT(fault == NULL);
}
