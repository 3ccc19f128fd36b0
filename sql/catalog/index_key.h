/*
 * sql/catalog/index_key.h - from rows to keys of trees, and back.
 *
 * The one place that knows how the keys of tables and indexes are made (the contract stands in
 * catalog.h); shared by executor, DDL and checks. `row` holds a datum for every column of the
 * relation, of which only the key's columns are looked at; and behind them, where the relation has
 * such (relation->derived_count), one for each derived value: index_derive fills those.
 */
#ifndef SQL_CATALOG_INDEX_KEY_H
#define SQL_CATALOG_INDEX_KEY_H

#include "sql/catalog/catalog.h"

/* Datums in a row: columns and derived values. */
static inline uint32_t
index_row_size(const struct relation *relation)
{
    return (uint32_t)relation->column_count + relation->derived_count;
}
/* Where the value of index->columns[..] is in a row. */
static inline uint32_t
index_slot(const struct relation *relation, uint16_t column)
{
    return column < INDEX_DERIVED ? column
                                  : (uint32_t)relation->column_count + (column - INDEX_DERIVED);
}
static inline oid_t
index_column_type(const struct relation *relation, const struct index *index, uint32_t i)
{
    uint16_t column = index->columns[i];
    return column < INDEX_DERIVED ? relation->columns[column].type
                                  : relation->derived[column - INDEX_DERIVED].type;
}
/* Has it keys or a condition that must be derived? */
bool index_has_derived(const struct index *index);
/* Is there an entry for this row? */
static inline bool
index_holds(const struct relation *relation, const struct index *index, const struct datum *row)
{
    if (index->partial == 0) {
        return true;
    }
    const struct datum *holds = &row[relation->column_count + index->partial - 1];
    return !holds->null && holds->i != 0;
}

/*
 * Derived values are expressions, which are none of the catalog's business: who knows about them
 * (sql/exec) registers itself, before the first relation is used.
 */
struct index_deriver;
struct index_derivation {
    enum err (*begin)(struct task *task, struct eval_env *env, const struct catalog *catalog,
        const struct relation *relation, struct index_deriver **deriver, struct diag *diag);
    /* Fills row[column_count ..]; results lie in `memory`. */
    enum err (*run)(struct task *task, struct index_deriver *deriver, struct arena *memory,
        struct datum *row, struct diag *diag);
    void (*end)(struct index_deriver *deriver);
};
void index_set_derivation(const struct index_derivation *derivation);
/* *deriver is NULL if the relation derives nothing; run and close do nothing then. */
enum err index_deriver_open(struct task *task, struct eval_env *env, const struct catalog *catalog,
    const struct relation *relation, struct index_deriver **deriver, struct diag *diag);
enum err index_derive(struct task *task, struct index_deriver *deriver, struct arena *memory,
    struct datum *row, struct diag *diag);
void index_deriver_close(struct index_deriver *deriver);

/* Appends the encoded columns of an index. *has_null: one of them is null. */
void index_key_columns(const struct relation *relation, const struct index *index,
    const struct datum *row, struct buffer *key, bool *has_null);

/* The row's key in the table's tree. Without a primary key it is the row id, big-endian. The
 * columns of a primary key are not null: the caller has checked that. Both append. */
void index_row_key(const struct relation *relation, const struct datum *row, struct buffer *key);
void index_row_id_key(uint64_t row_id, struct buffer *key);

/* The entry of a secondary index for this row, for which index_holds: appends the key to `key`.
 * *value points to row_key, is empty, or lies behind the key in the same buffer (INCLUDE): so
 * *entry, the key's bytes, is to be used and not all of the buffer. */
void index_entry(const struct relation *relation, const struct index *index,
    const struct datum *row, struct slice row_key, struct buffer *key, struct slice *entry,
    struct slice *value);

/* Where an entry of a secondary index leads: *row_key points into key or value. Bytes from disk
 * are checked (ERR_INDEX_CORRUPT). */
enum err index_entry_row_key(const struct relation *relation, const struct index *index,
    struct slice key, struct slice value, struct slice *row_key, struct diag *diag);

/* The included columns' bytes of an entry. */
struct slice index_entry_included(const struct index *index, struct slice value);

/* True if the index's entry does not differ between the two rows (if the row's key stays as well):
 * an update leaves it alone. */
bool index_same_entry(const struct relation *relation, const struct index *index,
    const struct datum *a, const struct datum *b);
/* True if the key's columns do not differ. */
bool index_same_key(const struct relation *relation, const struct index *index,
    const struct datum *a, const struct datum *b);

/* "(a, b)=(1, x)", for details. */
char *index_key_text(struct arena *arena, const struct eval_env *env,
    const struct relation *relation, const struct index *index, const struct datum *row);

/* 23505 in PostgreSQL's words: duplicate key value violates unique constraint "..", DETAIL Key
 * (a)=(1) already exists. Returns ERR_UNIQUE. */
enum err index_unique_violation(struct arena *arena, const struct eval_env *env,
    const struct relation *relation, const struct index *index, const struct datum *row,
    struct diag *diag);

/* 23502 in PostgreSQL's words. Returns ERR_NOT_NULL. */
enum err relation_not_null_violation(struct arena *arena, const struct eval_env *env,
    const struct relation *relation, const struct datum *row, int column, struct diag *diag);
/* 23514 likewise: new row for relation ".." violates check constraint "..". */
enum err relation_check_violation(struct arena *arena, const struct eval_env *env,
    const struct relation *relation, const struct datum *row, const char *check, struct diag *diag);

/* 44000: new row violates check option for view "..". */
enum err relation_option_violation(struct arena *arena, const struct eval_env *env,
    const struct relation *relation, const struct datum *row, const char *view, struct diag *diag);

#endif /* SQL_CATALOG_INDEX_KEY_H */
