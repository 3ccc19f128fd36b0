/*
 * sql/ddl/build.h - the entries of a new index: from rows in any order to a tree in its own.
 *
 * Entries are sorted (in temporary files, if they are many) and appended to the tree's right end
 * many at a time, so that its pages are filled one after the other. Used by CREATE INDEX and its
 * kin (rows.c) and by recovery (rebuild.c).
 */
#ifndef SQL_DDL_BUILD_H
#define SQL_DDL_BUILD_H

#include "sql/catalog/index_key.h"
#include "sql/catalog/progress.h"
#include "sql/exec/spill.h"
#include "txn/txn.h"

/* Where entries go, in order. */
struct index_sink {
    void *arg;
    enum err (*append)(struct task *task, void *arg, const struct btree_entry *entries,
        size_t count, struct diag *diag);
    /* One whose value is too large for btree_append (INCLUDE); NULL: there are none. */
    enum err (*append_large)(
        struct task *task, void *arg, const struct btree_entry *entry, struct diag *diag);
    /* The key stands there already. Returns the error. */
    enum err (*duplicate)(
        struct task *task, void *arg, const struct btree_entry *entry, struct diag *diag);
};

struct index_builder {
    const struct relation *relation;
    const struct index *index;
    struct spill_context spill;
    struct sorter sorter; /* of rows of two: the entry's key and value */
    struct buffer key;
    struct progress *progress; /* rows added, entries stored; NULL: nobody looks */
    uint64_t entry_count;
};

void index_builder_create(struct index_builder *builder, const struct relation *relation,
    const struct index *index, struct spill_space *space, uint64_t work_mem, struct diag *diag);
void index_builder_destroy(struct task *task, struct index_builder *builder);
/* The columns that entries are made of, ascending, into `wanted` (room for all columns). */
size_t index_builder_columns(
    const struct relation *relation, const struct index *index, uint16_t *wanted);
/* A row's entry, if the index has one for it. */
enum err index_builder_add(struct task *task, struct index_builder *builder,
    const struct datum *values, struct slice row_key);
/* After the last row: all entries go to the sink. */
enum err index_builder_finish(
    struct task *task, struct index_builder *builder, const struct index_sink *sink);

/* What recovery needs to build the index again: its columns and those of the table, and the trees.
 * False: it could not (expressions, a condition, INCLUDE). */
bool index_definition(
    const struct relation *relation, const struct index *index, struct buffer *definition);

#endif /* SQL_DDL_BUILD_H */
