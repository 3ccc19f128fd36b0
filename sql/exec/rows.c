/* sql/exec/rows.c - kept rows: copies, hash tables, order. */
#include "sql/exec/exec_internal.h"

static struct datum
copy_into(uint8_t **bytes, struct datum value)
{
    if (value.size > 0) {
        memcpy(*bytes, value.p, value.size);
    }
    value.p = *bytes;
    *bytes += value.size;
    return value;
}

struct datum *
row_save(struct arena *arena, const struct datum *row, const uint32_t *regs, struct row_form form)
{
    size_t size = form.count * sizeof(struct datum);
    for (uint32_t i = 0; i < form.count; i++) {
        const struct datum *value = &row[regs == NULL ? i : regs[i]];
        size += form.by_reference[i] && !value->null ? value->size : 0;
    }
    struct datum *copy = arena_alloc_raw(arena, size);
    uint8_t *bytes = (uint8_t *)(copy + form.count);
    for (uint32_t i = 0; i < form.count; i++) {
        copy[i] = row[regs == NULL ? i : regs[i]];
        if (form.by_reference[i] && !copy[i].null) {
            copy[i] = copy_into(&bytes, copy[i]);
        }
    }
    return copy;
}

void *
exec__save_keys(struct arena *arena, size_t head, const struct datum *from,
    const bool *by_reference, uint32_t count)
{
    ASSERT(head % _Alignof(struct datum) == 0);
    size_t size = head + count * sizeof(struct datum);
    for (uint32_t i = 0; i < count; i++) {
        size += by_reference[i] && !from[i].null ? from[i].size : 0;
    }
    uint8_t *memory = arena_alloc_raw(arena, size);
    struct datum *row = (struct datum *)(void *)(memory + head);
    uint8_t *bytes = (uint8_t *)(row + count);
    for (uint32_t i = 0; i < count; i++) {
        row[i] = from[i];
        if (by_reference[i] && !row[i].null) {
            row[i] = copy_into(&bytes, row[i]);
        }
    }
    return memory;
}

/* ---- hash tables
 * -------------------------------------------------------------------------------------- */

void
hash_table_clear(struct hash_table *table)
{
    if (table->count == 0) {
        return;
    }
    if (table->mask > 1024 && table->count < table->mask / 16) {
        hash_table_destroy(table); /* clearing it would cost more than it has been used */
        return;
    }
    memset(table->buckets, 0, (table->mask + 1) * sizeof *table->buckets);
    table->count = 0;
}

void
hash_table_destroy(struct hash_table *table)
{
    mem_free(table->buckets);
    *table = (struct hash_table){0};
}

size_t
hash_table_memory(const struct hash_table *table)
{
    return table->buckets == NULL ? 0 : (table->mask + 1) * sizeof *table->buckets;
}

static void
put(struct hash_table *table, struct hash_entry *entry)
{
    uint64_t *bucket = &table->buckets[entry->hash & table->mask];
    uint64_t address = (uint64_t)(uintptr_t)entry;
    ASSERT(address >> 48 == 0);
    entry->next = (struct hash_entry *)(uintptr_t)(*bucket << 16 >> 16);
    *bucket = (*bucket >> 48 << 48) | hash_table_bit(entry->hash) | address;
}

static void
grow(struct hash_table *table)
{
    uint64_t *old = table->buckets;
    uint64_t old_count = old == NULL ? 0 : table->mask + 1;
    uint64_t count = old_count == 0 ? 64 : old_count * 4;
    table->buckets = mem_array(count, sizeof *table->buckets);
    table->mask = count - 1;
    for (uint64_t i = 0; i < old_count; i++) {
        struct hash_entry *entry = (struct hash_entry *)(uintptr_t)(old[i] << 16 >> 16);
        while (entry != NULL) {
            struct hash_entry *next = entry->next;
            put(table, entry);
            entry = next;
        }
    }
    mem_free(old);
}

void
hash_table_add(struct hash_table *table, struct hash_entry *entry, uint64_t hash)
{
    if (table->buckets == NULL || table->count > table->mask) {
        grow(table);
    }
    entry->hash = hash;
    put(table, entry);
    table->count++;
}

uint64_t
exec__hash_keys(const oid_t *types, const struct datum *keys, uint32_t count)
{
    uint64_t hash = 0x9e3779b97f4a7c15ULL;
    for (uint32_t i = 0; i < count; i++) {
        hash = keys[i].null ? hash * 31 + 7 : datum_hash(types[i], keys[i], hash);
    }
    return hash;
}

bool
exec__equal_keys(const oid_t *types, const struct datum *a, const struct datum *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (a[i].null || b[i].null) {
            if (a[i].null != b[i].null) {
                return false;
            }
        } else if (datum_compare(types[i], a[i], b[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* ---- order
 * ------------------------------------------------------------------------------------------- */

int
exec__compare_key(const struct key_code *key, const struct datum *x, const struct datum *y)
{
    if (x->null || y->null) {
        return x->null == y->null ? 0 : x->null == key->nulls_first ? -1 : 1;
    }
    int order = datum_compare(key->type, *x, *y);
    return key->descending ? -order : order;
}

int
exec__compare_rows(
    const struct key_code *keys, uint32_t count, const struct datum *a, const struct datum *b)
{
    for (uint32_t i = 0; i < count; i++) {
        int order = exec__compare_key(&keys[i], &a[keys[i].slot], &b[keys[i].slot]);
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

/* The first bytes of a string, as a number; more bytes after an end sort as zeroes. */
static uint64_t
string_head(const uint8_t *bytes, size_t size)
{
    uint8_t head[8] = {0};
    if (size >= 8) {
        return load_be64(bytes);
    }
    if (size > 0) {
        memcpy(head, bytes, size);
    }
    return load_be64(head);
}

/* Blanks at the end of char(n) do not count. */
static uint64_t
padded_head(const struct datum *value)
{
    size_t size = value->size;
    if (size < 8 || value->p[7] == ' ') {
        while (size > 0 && value->p[size - 1] == ' ') {
            size--;
        }
    }
    return string_head(value->p, size);
}

/* NaN is above all, -0 equal to 0. */
static uint64_t
float_bits(double value)
{
    uint64_t bits = 0;
    if (value != value) {
        return UINT64_MAX;
    }
    value = value == 0 ? 0 : value;
    memcpy(&bits, &value, sizeof bits);
    return (bits >> 63) != 0 ? ~bits : bits | (uint64_t)1 << 63;
}

/* The lowest bit of a value's is given up, so that values lie between both kinds of null. Different
 * prefixes decide; equal ones decide nothing. */
uint64_t
exec__sort_prefix(const struct key_code *key, const struct datum *value)
{
    if (value->null) {
        return key->nulls_first ? 0 : UINT64_MAX;
    }
    uint64_t bits = 0;
    switch (key->type) {
    case TYPE_BOOL:
    case TYPE_CHAR:
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        bits = (uint64_t)value->i ^ (uint64_t)1 << 63;
        break;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        bits = float_bits(value->f);
        break;
    case TYPE_BPCHAR:
        bits = padded_head(value);
        break;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_NAME:
    case TYPE_BYTEA:
    case TYPE_UUID:
    case TYPE_INET:
    case TYPE_CIDR:
        bits = string_head(value->p, value->size);
        break;
    default:
        break;
    }
    bits = key->descending ? ~bits : bits;
    return 1 + bits / 2; /* 1 .. 2^63: between the nulls */
}

struct sort_order {
    struct task *task;
    struct diag *diag;
    const struct key_code *keys;
    uint32_t key_count;
};

static inline bool
comes_before(const struct sort_order *order, const struct sort_item *a, const struct sort_item *b)
{
    if (a->prefix != b->prefix) {
        return a->prefix < b->prefix;
    }
    return exec__compare_rows(order->keys, order->key_count, a->row, b->row) < 0;
}

static void
insertion_sort(const struct sort_order *order, struct sort_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct sort_item item = items[i];
        size_t j = i;
        while (j > 0 && comes_before(order, &item, &items[j - 1])) {
            items[j] = items[j - 1];
            j--;
        }
        items[j] = item;
    }
}

static enum err
merge(const struct sort_order *order, const struct sort_item *from, size_t middle, size_t count,
    struct sort_item *to)
{
    size_t left = 0;
    size_t right = middle;
    for (size_t i = 0; i < count; i++) {
        if (left < middle && (right >= count || !comes_before(order, &from[right], &from[left]))) {
            to[i] = from[left++];
        } else {
            to[i] = from[right++];
        }
        if (i % 64 == 63) {
            TRY(task_breathe(order->task, order->diag));
        }
    }
    return ERR_OK;
}

enum err
exec__sort_items(struct task *task, struct sort_item *items, struct sort_item *other, size_t count,
    const struct key_code *keys, uint32_t key_count, struct diag *diag)
{
    enum {
        RUN = 8
    };
    struct sort_order order = {.task = task, .diag = diag, .keys = keys, .key_count = key_count};
    for (size_t at = 0; at < count; at += RUN) {
        insertion_sort(&order, items + at, count - at < RUN ? count - at : RUN);
        TRY(task_breathe(task, diag));
    }
    struct sort_item *from = items;
    struct sort_item *to = other;
    for (size_t width = RUN; width < count; width *= 2) {
        for (size_t at = 0; at < count; at += 2 * width) {
            size_t both = count - at < 2 * width ? count - at : 2 * width;
            TRY(merge(&order, from + at, both < width ? both : width, both, to + at));
        }
        struct sort_item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items) {
        memcpy(items, from, count * sizeof *items);
    }
    return ERR_OK;
}
