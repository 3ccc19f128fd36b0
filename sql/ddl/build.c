#include "sql/ddl/build.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sql/catalog/edit.h"

enum {
    BATCH_ENTRIES = 512,
    BATCH_BYTES = 64 * 1024,
};

void
index_builder_create(struct index_builder *builder, const struct relation *relation,
    const struct index *index, struct spill_space *space, uint64_t work_mem, struct diag *diag)
{
    static const bool by_reference[] = {true, true};
    static const struct key_code order = {.slot = 0, .type = TYPE_BYTEA};
    *builder = (struct index_builder){.relation = relation,
        .index = index,
        .spill = {.space = space, .work_mem = work_mem, .diag = diag}};
    sorter_create(&builder->sorter, &builder->spill,
        (struct row_form){.by_reference = by_reference, .count = 2}, &order, 1);
}

void
index_builder_destroy(struct task *task, struct index_builder *builder)
{
    sorter_destroy(task, &builder->sorter);
    buffer_destroy(&builder->key);
}

size_t
index_builder_columns(const struct relation *relation, const struct index *index, uint16_t *wanted)
{
    size_t count = 0;
    for (uint16_t i = 0; i < relation->column_count; i++) {
        for (uint32_t c = 0; c < (uint32_t)index->column_count + index->included_count; c++) {
            if (index->columns[c] == i) {
                wanted[count++] = i;
                break;
            }
        }
    }
    return count;
}

enum err
index_builder_add(struct task *task, struct index_builder *builder, const struct datum *values,
    struct slice row_key)
{
    if (builder->progress != NULL) {
        progress_add(builder->progress, PROGRESS_DONE, 1);
    }
    if (!index_holds(builder->relation, builder->index, values)) {
        return ERR_OK;
    }
    struct slice key;
    struct slice value;
    builder->key.size = 0;
    index_entry(builder->relation, builder->index, values, row_key, &builder->key, &key, &value);
    const struct datum entry[] = {
        datum_bytes(key.data, key.size), datum_bytes(value.data, value.size)};
    builder->entry_count++;
    return sorter_add(task, &builder->sorter, entry, NULL);
}

/* ---- into the tree ---------------------------------------------------------------------------
 */

struct batch {
    size_t count, used;
    struct btree_entry entries[BATCH_ENTRIES];
    size_t last_size; /* of the key of the last entry that has gone; SIZE_MAX: none has */
    uint8_t last[BTREE_KEY_SIZE_MAX];
    uint8_t bytes[BATCH_BYTES];
};

static void
note_last(struct batch *batch, struct slice key)
{
    batch->last_size = key.size;
    memcpy(batch->last, key.data, key.size);
}

static enum err
flush(struct task *task, struct index_builder *builder, const struct index_sink *sink,
    struct batch *batch)
{
    if (batch->count == 0) {
        return ERR_OK;
    }
    TRY(sink->append(task, sink->arg, batch->entries, batch->count, builder->spill.diag));
    note_last(batch, batch->entries[batch->count - 1].key);
    if (builder->progress != NULL) {
        progress_add(builder->progress, PROGRESS_DONE, batch->count);
    }
    batch->count = 0;
    batch->used = 0;
    return ERR_OK;
}

static bool
is_duplicate(const struct batch *batch, struct slice key)
{
    struct slice last = batch->count > 0               ? batch->entries[batch->count - 1].key
                        : batch->last_size != SIZE_MAX ? slice_of(batch->last, batch->last_size)
                                                       : (struct slice){0};
    return last.data != NULL && slice_equal(last, key);
}

static struct slice
put(struct batch *batch, struct slice bytes)
{
    uint8_t *to = batch->bytes + batch->used;
    if (bytes.size > 0) {
        memcpy(to, bytes.data, bytes.size);
    }
    batch->used += bytes.size;
    return slice_of(to, bytes.size);
}

static enum err
take(struct task *task, struct index_builder *builder, const struct index_sink *sink,
    struct batch *batch, const struct btree_entry *entry)
{
    struct diag *diag = builder->spill.diag;
    if (is_duplicate(batch, entry->key)) {
        return sink->duplicate(task, sink->arg, entry, diag);
    }
    size_t size = entry->key.size + entry->value.size;
    bool large = size > BTREE_VALUE_INLINE_MAX;
    if (large || batch->count == BATCH_ENTRIES || batch->used + size > BATCH_BYTES) {
        TRY(flush(task, builder, sink, batch));
        TRY(task_breathe(task, diag));
    }
    if (!large) {
        batch->entries[batch->count++] =
            (struct btree_entry){.key = put(batch, entry->key), .value = put(batch, entry->value)};
        return ERR_OK;
    }
    /* A key that is too large itself ends here, with its words. */
    TRY(entry->key.size > BTREE_KEY_SIZE_MAX || sink->append_large == NULL
            ? sink->append(task, sink->arg, entry, 1, diag)
            : sink->append_large(task, sink->arg, entry, diag));
    note_last(batch, entry->key);
    return ERR_OK;
}

enum err
index_builder_finish(
    struct task *task, struct index_builder *builder, const struct index_sink *sink)
{
    if (builder->progress != NULL) {
        progress_begin_phase(builder->progress, PROGRESS_SORTING, builder->entry_count);
    }
    TRY(sorter_finish(task, &builder->sorter));
    if (builder->progress != NULL) {
        progress_begin_phase(builder->progress, PROGRESS_LOADING, builder->entry_count);
    }
    struct batch *batch = mem_alloc(sizeof *batch);
    batch->count = 0;
    batch->used = 0;
    batch->last_size = SIZE_MAX;
    enum err err = ERR_OK;
    while (err == ERR_OK) {
        const struct datum *row = NULL;
        err = sorter_next(task, &builder->sorter, &row);
        if (err != ERR_OK || row == NULL) {
            break;
        }
        const struct btree_entry entry = {
            .key = slice_of(row[0].p, row[0].size), .value = slice_of(row[1].p, row[1].size)};
        err = take(task, builder, sink, batch, &entry);
    }
    if (err == ERR_OK) {
        err = flush(task, builder, sink, batch);
    }
    mem_free(batch);
    return err;
}

/* ---- definitions -----------------------------------------------------------------------------
 */

bool
index_definition(
    const struct relation *relation, const struct index *index, struct buffer *definition)
{
    if (index_has_derived(index) || index->included_count > 0) {
        return false;
    }
    struct column *columns = mem_array((size_t)relation->column_count + 1, sizeof *columns);
    for (uint16_t i = 0; i < relation->column_count; i++) {
        columns[i] = relation->columns[i];
        columns[i].default_text = NULL;
    }
    /* Of the table's record nothing but what entries are made of. */
    const struct relation bare = {.oid = relation->oid,
        .schema = relation->schema,
        .name = relation->name,
        .kind = relation->kind,
        .owner = relation->owner,
        .column_count = relation->column_count,
        .columns = columns,
        .tree = relation->tree,
        .index_count = 1,
        .indexes = index};
    catalog_relation_pack(&bare, definition);
    mem_free(columns);
    return true;
}
