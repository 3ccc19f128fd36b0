/*
 * sql/exec/writer.c - a row and its index entries, and the mass inserter over it.
 *
 * Who has written or removed the row in the table's tree owns its entries too: nobody else touches
 * them before this transaction ends. So an entry is always there in its newest version, which need
 * not be one the snapshot sees (READ COMMITTED, after waiting).
 */
#include "sql/exec/exec_internal.h"

void
writer__create(
    struct writer *writer, const struct exec_context *context, const struct relation *relation)
{
    writer->context = context;
    writer->relation = relation;
    arena_create(&writer->memory, "row");
}

void
writer__destroy(struct writer *writer)
{
    buffer_destroy(&writer->key);
    buffer_destroy(&writer->row);
    buffer_destroy(&writer->entry);
    arena_destroy(&writer->memory);
}

enum err
writer__check_not_null(struct writer *writer, const struct datum *row)
{
    const struct relation *relation = writer->relation;
    for (uint16_t i = 0; i < relation->column_count; i++) {
        const struct column *column = &relation->columns[i];
        if (row[i].null && column->not_null && !column->dropped) {
            return relation_not_null_violation(
                &writer->memory, writer->context->env, relation, row, i, writer->context->diag);
        }
    }
    return ERR_OK;
}

static enum err
damaged_index(struct writer *writer, const struct index *index)
{
    return diag_set(writer->context->diag, ERR_INDEX_CORRUPT,
        "index \"%s\" does not agree with table \"%s\"", index->name, writer->relation->name);
}

enum err
writer__add_entry(struct task *task, struct writer *writer, const struct index *index,
    const struct datum *row, struct slice row_key)
{
    const struct exec_context *context = writer->context;
    struct slice value;
    writer->entry.size = 0;
    index_entry(writer->relation, index, row, row_key, &writer->entry, &value);
    enum err err = txn_insert(task, context->txn, index->tree,
        slice_of(writer->entry.data, writer->entry.size), value, NULL, NULL, context->diag);
    if (err != ERR_UNIQUE) {
        return err;
    }
    return index->unique ? index_unique_violation(&writer->memory, context->env, writer->relation,
                               index, row, context->diag)
                         : damaged_index(writer, index);
}

enum err
writer__remove_entry(struct task *task, struct writer *writer, const struct index *index,
    const struct datum *row, struct slice row_key)
{
    const struct exec_context *context = writer->context;
    struct slice value;
    writer->entry.size = 0;
    index_entry(writer->relation, index, row, row_key, &writer->entry, &value);
    struct slice key = slice_of(writer->entry.data, writer->entry.size);
    struct txn_row entry = {0};
    bool found = false;
    TRY(txn_get(task, context->txn, context->snapshot, index->tree, key, &writer->memory, &entry,
        &found, context->diag));
    for (;;) {
        struct txn_version seen = found ? entry.version : (struct txn_version){0};
        enum txn_outcome outcome = TXN_GONE;
        TRY(txn_remove(task, context->txn, context->snapshot, index->tree, key, seen,
            &writer->memory, &entry, &outcome, context->diag));
        if (outcome == TXN_DONE) {
            return ERR_OK;
        }
        if (outcome != TXN_CHANGED) {
            return damaged_index(writer, index);
        }
        found = true;
    }
}

enum err
writer__insert(struct task *task, struct writer *writer, const struct datum *row)
{
    const struct exec_context *context = writer->context;
    const struct relation *relation = writer->relation;
    writer->key.size = 0;
    writer->row.size = 0;
    if (relation->primary != NULL) {
        index_row_key(relation, row, &writer->key);
    } else {
        uint64_t row_id = 0;
        TRY(catalog_next_row_id(task, context->store, relation, &row_id, context->diag));
        index_row_id_key(row_id, &writer->key);
    }
    row_encode(relation->layout, row, &writer->row);
    struct slice key = slice_of(writer->key.data, writer->key.size);
    enum err err = txn_insert(task, context->txn, relation->tree, key,
        slice_of(writer->row.data, writer->row.size), NULL, NULL, context->diag);
    if (err == ERR_UNIQUE) {
        return relation->primary != NULL ? index_unique_violation(&writer->memory, context->env,
                                               relation, relation->primary, row, context->diag)
                                         : diag_set(context->diag, ERR_CORRUPT,
                                               "row id of table \"%s\" is taken", relation->name);
    }
    TRY(err);
    for (uint16_t i = 0; i < relation->index_count; i++) {
        if (!relation->indexes[i].primary) {
            TRY(writer__add_entry(task, writer, &relation->indexes[i], row, key));
        }
    }
    return ERR_OK;
}

/* ---- mass inserts
 * ------------------------------------------------------------------------------------- */

struct exec_inserter {
    struct exec_context context;
    struct writer writer;
};

enum err
exec_inserter_open(struct task *task, const struct exec_context *context,
    const struct relation *relation, struct exec_inserter **inserter)
{
    (void)task;
    *inserter = arena_alloc(context->arena, sizeof **inserter);
    (*inserter)->context = *context;
    writer__create(&(*inserter)->writer, &(*inserter)->context, relation);
    return ERR_OK;
}

enum err
exec_inserter_row(struct task *task, struct exec_inserter *inserter, const struct datum *values)
{
    arena_reset(&inserter->writer.memory);
    TRY(writer__check_not_null(&inserter->writer, values));
    return writer__insert(task, &inserter->writer, values);
}

void
exec_inserter_close(struct task *task, struct exec_inserter *inserter)
{
    (void)task;
    writer__destroy(&inserter->writer);
}
