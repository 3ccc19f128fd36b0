/*
 * sql/exec/writer.c - a row and its index entries, and the mass inserter over it.
 *
 * Who has written or removed the row in the table's tree owns its entries too: nobody else touches
 * them before this transaction ends. So an entry is always there in its newest version, which need
 * not be one the snapshot sees (READ COMMITTED, after waiting).
 */
#include "sql/catalog/buckets.h"
#include "sql/exec/derive.h"
#include "sql/exec/exec_internal.h"
#include "sql/exec/foreign.h"

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
    index_deriver_close(writer->deriver);
    mem_free(writer->full[WRITER_OLD]);
    mem_free(writer->full[WRITER_NEW]);
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

enum err
writer__derive(struct task *task, struct writer *writer, int slot, const struct datum *row,
    const struct datum **full)
{
    const struct exec_context *context = writer->context;
    const struct relation *relation = writer->relation;
    *full = row;
    if (relation->derived_count == 0) {
        return ERR_OK;
    }
    if (writer->deriver == NULL) {
        TRY(exec_deriver_new(task, context->env, context->catalog, relation, writer->derived,
            &writer->deriver, context->diag));
    }
    if (writer->full[slot] == NULL) {
        writer->full[slot] = mem_array(index_row_size(relation), sizeof **writer->full);
    }
    if (relation->column_count > 0) {
        memcpy(writer->full[slot], row, relation->column_count * sizeof *row);
    }
    *full = writer->full[slot];
    return index_derive(task, writer->deriver, &writer->memory, writer->full[slot], context->diag);
}

enum err
writer__check_bucket(struct task *task, struct writer *writer, const struct datum *row)
{
    const struct exec_context *context = writer->context;
    return writer->relation->sharding == NULL || writer->unchecked
               ? ERR_OK
               : buckets_check_write(task, context->store, context->txn, writer->relation, row,
                     &writer->entry, context->diag);
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
    struct slice key, value;
    if (!index_holds(writer->relation, index, row)) {
        return ERR_OK;
    }
    writer->entry.size = 0;
    index_entry(writer->relation, index, row, row_key, &writer->entry, &key, &value);
    enum err err =
        txn_insert(task, context->txn, index->tree, key, value, NULL, NULL, context->diag);
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
    struct slice key, value;
    if (!index_holds(writer->relation, index, row)) {
        return ERR_OK;
    }
    writer->entry.size = 0;
    index_entry(writer->relation, index, row, row_key, &writer->entry, &key, &value);
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
writer__remove_entries(
    struct task *task, struct writer *writer, const struct datum *row, struct slice row_key)
{
    const struct relation *relation = writer->relation;
    TRY(writer__derive(task, writer, WRITER_OLD, row, &row));
    for (uint16_t i = 0; i < relation->index_count; i++) {
        if (!relation->indexes[i].primary) {
            TRY(writer__remove_entry(task, writer, &relation->indexes[i], row, row_key));
        }
    }
    return ERR_OK;
}

/* The row's key and bytes, into the writer's buffers. */
static enum err
encode_row(struct task *task, struct writer *writer, const struct datum *row)
{
    const struct exec_context *context = writer->context;
    const struct relation *relation = writer->relation;
    TRY(writer__check_bucket(task, writer, row));
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
    return ERR_OK;
}

static struct slice
written(const struct buffer *buffer)
{
    return slice_of(buffer->data, buffer->size);
}

/* ERR_UNIQUE without words: the caller may not mind. */
static enum err
put_row(struct task *task, struct writer *writer, struct txn_row *existing)
{
    const struct exec_context *context = writer->context;
    return txn_insert(task, context->txn, writer->relation->tree, written(&writer->key),
        written(&writer->row), existing == NULL ? NULL : &writer->memory, existing, context->diag);
}

static enum err
put_row_or_fail(struct task *task, struct writer *writer, const struct datum *row)
{
    const struct exec_context *context = writer->context;
    const struct relation *relation = writer->relation;
    enum err err = put_row(task, writer, NULL);
    if (err != ERR_UNIQUE) {
        return err;
    }
    return relation->primary != NULL ? index_unique_violation(&writer->memory, context->env,
                                           relation, relation->primary, row, context->diag)
                                     : diag_set(context->diag, ERR_CORRUPT,
                                           "row id of table \"%s\" is taken", relation->name);
}

enum err
writer__insert(struct task *task, struct writer *writer, const struct datum *row)
{
    const struct relation *relation = writer->relation;
    TRY(encode_row(task, writer, row));
    TRY(put_row_or_fail(task, writer, row));
    TRY(writer__derive(task, writer, WRITER_NEW, row, &row));
    for (uint16_t i = 0; i < relation->index_count; i++) {
        if (!relation->indexes[i].primary) {
            TRY(writer__add_entry(task, writer, &relation->indexes[i], row, written(&writer->key)));
        }
    }
    return ERR_OK;
}

/* A changed unique key is what FOR KEY SHARE holds fast, so the row must be locked more strongly
 * than txn_update does. */
static bool
changes_unique(const struct relation *relation, const struct datum *old, const struct datum *new)
{
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        if (index->unique && !index->primary && !index_has_derived(index) &&
            !index_same_key(relation, index, old, new)) {
            return true;
        }
    }
    return false;
}

enum err
writer__update(struct task *task, struct writer *writer, const struct datum *old,
    const struct datum *new, struct slice key, struct txn_version version, struct txn_row *latest,
    enum txn_outcome *outcome, bool *moved)
{
    const struct exec_context *context = writer->context;
    const struct relation *relation = writer->relation;
    TRY(writer__check_bucket(task, writer, old));
    *moved = relation->primary != NULL && !index_same_key(relation, relation->primary, old, new);
    if (*moved) {
        TRY(txn_remove(task, context->txn, context->snapshot, relation->tree, key, version,
            &writer->memory, latest, outcome, context->diag));
        if (*outcome != TXN_DONE) {
            return ERR_OK;
        }
        TRY(writer__remove_entries(task, writer, old, key));
        return writer__insert(task, writer, new);
    }
    TRY(writer__derive(task, writer, WRITER_OLD, old, &old));
    TRY(writer__derive(task, writer, WRITER_NEW, new, &new));
    if (changes_unique(relation, old, new)) {
        TRY(txn_lock_row(task, context->txn, context->snapshot, relation->tree, key, version,
            TXN_LOCK_UPDATE, TXN_WAIT, &writer->memory, latest, outcome, context->diag));
        if (*outcome != TXN_DONE) {
            return ERR_OK;
        }
    }
    TRY(writer__check_bucket(task, writer, new));
    writer->row.size = 0;
    row_encode(relation->layout, new, &writer->row);
    TRY(txn_update(task, context->txn, context->snapshot, relation->tree, key, version,
        written(&writer->row), &writer->memory, latest, outcome, context->diag));
    for (uint16_t i = 0; *outcome == TXN_DONE && i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        if (!index->primary && !index_same_entry(relation, index, old, new)) {
            TRY(writer__remove_entry(task, writer, index, old, key));
            TRY(writer__add_entry(task, writer, index, new, key));
        }
    }
    return ERR_OK;
}

/* What decides comes first: so a duplicate there is met before one that is an error, and a single
 * arbiter's leaves nothing to take back. */
static enum err
put_arbiters(struct task *task, struct writer *writer, const struct datum *row,
    const bool *arbiters, const struct index **conflict, struct txn_row *existing)
{
    const struct exec_context *context = writer->context;
    const struct relation *relation = writer->relation;
    for (uint16_t i = 0; i < relation->index_count; i++) {
        const struct index *index = &relation->indexes[i];
        enum err err = ERR_OK;
        if (arbiters[i] && index->primary) {
            err = put_row(task, writer, existing);
        } else if (arbiters[i] && index_holds(relation, index, row)) {
            struct slice key, value;
            writer->entry.size = 0;
            index_entry(relation, index, row, written(&writer->key), &writer->entry, &key, &value);
            err = txn_insert(task, context->txn, index->tree, key, value, &writer->memory, existing,
                context->diag);
        }
        if (err == ERR_UNIQUE) {
            *conflict = index;
            return ERR_OK;
        }
        TRY(err);
    }
    return ERR_OK;
}

enum err
writer__try_insert(struct task *task, struct writer *writer, const struct datum *row,
    const bool *arbiters, const struct index **conflict, struct txn_row *existing)
{
    const struct exec_context *context = writer->context;
    const struct relation *relation = writer->relation;
    uint32_t deciding = 0, depth = 0;
    for (uint16_t i = 0; i < relation->index_count; i++) {
        deciding += arbiters[i];
    }
    *conflict = NULL;
    TRY(encode_row(task, writer, row));
    TRY(writer__derive(task, writer, WRITER_NEW, row, &row));
    if (deciding > 1) {
        TRY(txn_savepoint(task, context->txn, &depth, context->diag));
    }
    TRY(put_arbiters(task, writer, row, arbiters, conflict, existing));
    if (deciding > 1) {
        if (*conflict != NULL) {
            txn_rollback_to(task, context->txn, depth);
        }
        txn_release_savepoint(context->txn, depth);
    }
    if (*conflict != NULL) {
        return ERR_OK;
    }
    bool row_put = false;
    for (uint16_t i = 0; i < relation->index_count; i++) {
        row_put |= arbiters[i] && relation->indexes[i].primary;
    }
    if (!row_put) {
        TRY(put_row_or_fail(task, writer, row));
    }
    for (uint16_t i = 0; i < relation->index_count; i++) {
        if (!arbiters[i] && !relation->indexes[i].primary) {
            TRY(writer__add_entry(task, writer, &relation->indexes[i], row, written(&writer->key)));
        }
    }
    return ERR_OK;
}

/* ---- mass inserts
 * ------------------------------------------------------------------------------------- */

struct exec_inserter {
    struct exec_context context;
    struct writer writer;
    struct foreign_work *foreign;
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
    struct writer *writer = &inserter->writer;
    TRY(writer__check_not_null(writer, values));
    TRY(writer__insert(task, writer, values));
    if (writer->relation->foreign_count == 0) {
        return ERR_OK;
    }
    if (inserter->foreign == NULL) {
        inserter->foreign = foreign__new(&inserter->context);
    }
    foreign__inserted(inserter->foreign, writer->relation, values,
        slice_of(writer->key.data, writer->key.size), true);
    return foreign__relieve(task, inserter->foreign, writer->relation);
}

enum err
exec_inserter_finish(struct task *task, struct exec_inserter *inserter)
{
    return inserter->foreign == NULL ? ERR_OK : foreign__finish(task, inserter->foreign);
}

void
exec_inserter_close(struct task *task, struct exec_inserter *inserter)
{
    (void)task;
    writer__destroy(&inserter->writer);
    foreign__destroy(inserter->foreign);
}
