/* sql/exec/bucket_rows.c - rows of a bucket that is moved: see exec.h. */
#include "sql/exec/exec_internal.h"

struct exec_bucket_rows {
    struct exec_context context;
    struct writer writer;
    uint16_t *all; /* columns: every one */
    struct datum *old, *new;
};

enum err
exec_bucket_rows_open(const struct exec_context *context, const struct relation *relation,
    struct exec_bucket_rows **rows_out, struct diag *diag)
{
    if (relation->primary == NULL) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "buckets of table \"%s\" cannot be moved: it has no primary key", relation->name);
    }
    struct exec_bucket_rows *rows = mem_zalloc(sizeof *rows);
    rows->context = *context;
    rows->context.snapshot.command = UINT32_MAX; /* all of our own, too */
    writer__create(&rows->writer, &rows->context, relation);
    rows->writer.unchecked = true;
    rows->all = mem_array((size_t)relation->column_count + 1, sizeof *rows->all);
    for (uint16_t i = 0; i < relation->column_count; i++) {
        rows->all[i] = i;
    }
    rows->old = mem_array((size_t)relation->column_count + 1, sizeof *rows->old);
    rows->new = mem_array((size_t)relation->column_count + 1, sizeof *rows->new);
    *rows_out = rows;
    return ERR_OK;
}

void
exec_bucket_rows_close(struct exec_bucket_rows *rows)
{
    writer__destroy(&rows->writer);
    mem_free(rows->all);
    mem_free(rows->old);
    mem_free(rows->new);
    mem_free(rows);
}

static enum err
find(struct task *task, struct exec_bucket_rows *rows, struct slice key, struct txn_row *row,
    bool *found)
{
    const struct exec_context *context = &rows->context;
    const struct relation *relation = rows->writer.relation;
    arena_reset(&rows->writer.memory);
    TRY(txn_get(task, context->txn, context->snapshot, relation->tree, key, &rows->writer.memory,
        row, found, context->diag));
    return *found ? row_decode(relation->layout, row->value, rows->all, relation->column_count,
                        rows->old, context->diag)
                  : ERR_OK;
}

static enum err
changed_meanwhile(struct exec_bucket_rows *rows)
{
    return diag_set(rows->context.diag, ERR_SERIALIZATION,
        "a row of table \"%s\" was changed while its bucket was moved",
        rows->writer.relation->name);
}

enum err
exec_bucket_rows_put(
    struct task *task, struct exec_bucket_rows *rows, struct slice key, struct slice row)
{
    struct txn_row before, latest;
    bool found, moved;
    enum txn_outcome outcome;
    const struct relation *relation = rows->writer.relation;
    TRY(find(task, rows, key, &before, &found));
    TRY(row_decode(
        relation->layout, row, rows->all, relation->column_count, rows->new, rows->context.diag));
    if (!found) {
        return writer__insert(task, &rows->writer, rows->new);
    }
    TRY(writer__update(
        task, &rows->writer, rows->old, rows->new, key, before.version, &latest, &outcome, &moved));
    return outcome == TXN_DONE ? ERR_OK : changed_meanwhile(rows);
}

enum err
exec_bucket_rows_remove(
    struct task *task, struct exec_bucket_rows *rows, struct slice key, bool *removed)
{
    const struct exec_context *context = &rows->context;
    struct txn_row before, latest;
    enum txn_outcome outcome;
    TRY(find(task, rows, key, &before, removed));
    if (!*removed) {
        return ERR_OK;
    }
    TRY(txn_remove(task, context->txn, context->snapshot, rows->writer.relation->tree, key,
        before.version, &rows->writer.memory, &latest, &outcome, context->diag));
    return outcome == TXN_DONE ? writer__remove_entries(task, &rows->writer, rows->old, key)
                               : changed_meanwhile(rows);
}
