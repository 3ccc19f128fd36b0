/*
 * sql/catalog/statistics.c - statistics: their stored form, and the shared ones in memory.
 *
 *     OFFSET  SIZE  DESCRIPTION
 *     0       1     CATALOG_RECORD_VERSION
 *     1       8     rows, a double's bits
 *     9       2     columns, each:
 *             4     type; 0: nothing follows
 *             32    null fraction, width, distinct, correlation
 *             4     common values, each: the value, 8 bytes of its fraction
 *             4     bounds, each: the value
 *
 * A value is 8 bytes of a datum, or 4 of its size and its bytes. Values are not checked beyond
 * their sizes: the record is read back only under the checksums of its page.
 */
#include "sql/catalog/statistics.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sql/catalog/catalog_internal.h"

enum {
    CHANGES_LEAST = 50,
    CHANGES_PART = 10, /* of the table, as 1 / this */
};

const struct column_statistics *
statistics_of(const struct relation *relation, uint16_t column)
{
    const struct table_statistics *statistics = relation->statistics;
    if (statistics == NULL || column >= statistics->column_count ||
        statistics->columns[column].type != relation->columns[column].type) {
        return NULL;
    }
    return &statistics->columns[column];
}

/* ---- life ------------------------------------------------------------------------------------ */

struct table_statistics *
catalog__statistics_new(oid_t relation, uint16_t column_count)
{
    struct table_statistics *statistics = mem_zalloc(sizeof *statistics);
    atomic_init(&statistics->references, 1);
    arena_create(&statistics->arena, "statistics");
    statistics->relation = relation;
    statistics->column_count = column_count;
    statistics->columns =
        arena_array(&statistics->arena, column_count, sizeof *statistics->columns);
    return statistics;
}

void
catalog__statistics_release(struct table_statistics *statistics)
{
    if (statistics != NULL &&
        atomic_fetch_sub_explicit(&statistics->references, 1, memory_order_acq_rel) == 1) {
        arena_destroy(&statistics->arena);
        mem_free(statistics);
    }
}

/* ---- the stored form ------------------------------------------------------------------------- */

static void
put_double(struct buffer *to, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    buffer_add_be64(to, bits);
}

static void
put_value(struct buffer *to, const struct type *type, struct datum value)
{
    if (type->by_reference) {
        buffer_add_be32(to, value.size);
        buffer_add(to, value.p, value.size);
    } else {
        buffer_add_be64(to, (uint64_t)value.i);
    }
}

void
catalog__encode_statistics(const struct table_statistics *statistics, struct buffer *to)
{
    buffer_add_u8(to, CATALOG_RECORD_VERSION);
    put_double(to, statistics->rows);
    buffer_add_be16(to, statistics->column_count);
    for (uint16_t c = 0; c < statistics->column_count; c++) {
        const struct column_statistics *column = &statistics->columns[c];
        const struct type *type = type_by_oid(column->type);
        buffer_add_be32(to, type == NULL ? 0 : column->type);
        if (type == NULL) {
            continue;
        }
        put_double(to, column->null_fraction);
        put_double(to, column->width);
        put_double(to, column->distinct);
        put_double(to, column->correlation);
        buffer_add_be32(to, column->common_count);
        for (uint32_t i = 0; i < column->common_count; i++) {
            put_value(to, type, column->common[i]);
            put_double(to, column->common_fractions[i]);
        }
        buffer_add_be32(to, column->bound_count);
        for (uint32_t i = 0; i < column->bound_count; i++) {
            put_value(to, type, column->bounds[i]);
        }
    }
}

struct reader {
    struct slice rest;
    struct arena *arena;
    bool bad;
};

static const uint8_t *
take_bytes(struct reader *reader, size_t size)
{
    if (reader->bad || reader->rest.size < size) {
        reader->bad = true;
        return NULL;
    }
    const uint8_t *bytes = reader->rest.data;
    reader->rest = slice_of(bytes + size, reader->rest.size - size);
    return bytes;
}

static uint64_t
take_u64(struct reader *reader)
{
    const uint8_t *bytes = take_bytes(reader, 8);
    return bytes == NULL ? 0 : load_be64(bytes);
}

static uint32_t
take_u32(struct reader *reader)
{
    const uint8_t *bytes = take_bytes(reader, 4);
    return bytes == NULL ? 0 : load_be32(bytes);
}

static double
take_double(struct reader *reader)
{
    uint64_t bits = take_u64(reader);
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static struct datum
take_value(struct reader *reader, const struct type *type)
{
    if (!type->by_reference) {
        return datum_int((int64_t)take_u64(reader));
    }
    uint32_t size = take_u32(reader);
    const uint8_t *bytes = take_bytes(reader, size);
    return bytes == NULL ? datum_null() : datum_bytes(arena_copy(reader->arena, bytes, size), size);
}

static uint32_t
take_count(struct reader *reader)
{
    uint32_t count = take_u32(reader);
    reader->bad |= count > STATISTICS_TARGET + 1;
    return reader->bad ? 0 : count;
}

static void
take_column(struct reader *reader, struct column_statistics *column)
{
    column->type = take_u32(reader);
    if (column->type == 0) {
        return;
    }
    const struct type *type = type_by_oid(column->type);
    if (type == NULL) {
        reader->bad = true;
        return;
    }
    column->null_fraction = take_double(reader);
    column->width = take_double(reader);
    column->distinct = take_double(reader);
    column->correlation = take_double(reader);
    column->common_count = take_count(reader);
    struct datum *common = arena_array(reader->arena, column->common_count, sizeof *common);
    double *fractions = arena_array(reader->arena, column->common_count, sizeof *fractions);
    for (uint32_t i = 0; i < column->common_count; i++) {
        common[i] = take_value(reader, type);
        fractions[i] = take_double(reader);
    }
    column->common = common;
    column->common_fractions = fractions;
    column->bound_count = take_count(reader);
    struct datum *bounds = arena_array(reader->arena, column->bound_count, sizeof *bounds);
    for (uint32_t i = 0; i < column->bound_count; i++) {
        bounds[i] = take_value(reader, type);
    }
    column->bounds = bounds;
}

/* NULL: what is there is not understood, which costs a plan's quality at most. */
static struct table_statistics *
decode(oid_t relation, struct slice record)
{
    struct reader reader = {.rest = record};
    const uint8_t *version = take_bytes(&reader, 1);
    double rows = take_double(&reader);
    const uint8_t *count = take_bytes(&reader, 2);
    if (reader.bad || *version != CATALOG_RECORD_VERSION) {
        return NULL;
    }
    struct table_statistics *statistics = catalog__statistics_new(relation, load_be16(count));
    statistics->rows = rows;
    reader.arena = &statistics->arena;
    for (uint16_t c = 0; c < statistics->column_count && !reader.bad; c++) {
        take_column(&reader, &statistics->columns[c]);
    }
    if (reader.bad) {
        catalog__statistics_release(statistics);
        return NULL;
    }
    return statistics;
}

/* ---- the shared ones ------------------------------------------------------------------------- */

static struct statistics_entry **
find_entry(struct catalog_store *store, oid_t relation)
{
    struct statistics_entry **at =
        &store->statistics[hash_u64(relation) % CATALOG_STATISTICS_BUCKETS];
    while (*at != NULL && (*at)->relation != relation) {
        at = &(*at)->chain;
    }
    return at;
}

void
catalog__statistics_publish(struct catalog_store *store, struct table_statistics *statistics)
{
    struct statistics_entry *fresh = mem_zalloc(sizeof *fresh);
    latch_acquire(&store->latch);
    struct statistics_entry **at = find_entry(store, statistics->relation);
    struct table_statistics *old = NULL;
    if (*at == NULL) {
        *at = fresh;
        fresh->relation = statistics->relation;
        fresh = NULL;
    } else {
        old = (*at)->statistics;
    }
    (*at)->statistics = statistics;
    latch_release(&store->latch);
    catalog__statistics_release(old);
    mem_free(fresh);
}

struct table_statistics *
catalog__statistics_hold(struct catalog_store *store, oid_t relation)
{
    latch_acquire(&store->latch);
    struct statistics_entry **at = find_entry(store, relation);
    struct table_statistics *statistics = *at == NULL ? NULL : (*at)->statistics;
    if (statistics != NULL) {
        atomic_fetch_add_explicit(&statistics->references, 1, memory_order_relaxed);
    }
    latch_release(&store->latch);
    return statistics;
}

void
catalog__statistics_destroy(struct catalog_store *store)
{
    for (size_t i = 0; i < CATALOG_STATISTICS_BUCKETS; i++) {
        while (store->statistics[i] != NULL) {
            struct statistics_entry *entry = store->statistics[i];
            store->statistics[i] = entry->chain;
            catalog__statistics_release(entry->statistics);
            mem_free(entry);
        }
    }
}

enum err
catalog__statistics_load(
    struct task *task, struct catalog_store *store, struct txn *txn, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "statistics scan");
    struct txn_scan *scan = NULL;
    struct txn_range all = {0};
    enum err err = txn_scan_open(task, txn, txn_statement_begin(txn),
        catalog__tree(CATALOG_TREE_STATISTICS), &all, false, &arena, &scan, diag);
    while (err == ERR_OK) {
        struct txn_row row;
        bool found;
        err = txn_scan_next(task, scan, &row, &found, diag);
        if (err != ERR_OK || !found) {
            break;
        }
        struct table_statistics *statistics =
            row.key.size == 4 ? decode(load_be32(row.key.data), row.value) : NULL;
        if (statistics != NULL) {
            catalog__statistics_publish(store, statistics);
        }
    }
    if (scan != NULL) {
        txn_scan_close(task, scan);
    }
    arena_destroy(&arena);
    return err;
}

bool
statistics_are_stale(struct catalog_store *store, const struct relation *relation)
{
    if (relation->kind != RELATION_TABLE) {
        return false;
    }
    uint64_t leaves = 0, rows = 0;
    txn_tree_size(store->db, relation->tree, &leaves, &rows);
    double known = relation->statistics == NULL ? 0 : relation->statistics->rows;
    double difference = (double)rows > known ? (double)rows - known : known - (double)rows;
    double changed =
        (double)atomic_load_explicit(relation->changes, memory_order_relaxed) + difference;
    return changed > CHANGES_LEAST + (double)rows / CHANGES_PART;
}
