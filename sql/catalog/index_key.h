/*
 * sql/catalog/index_key.h - from rows to keys of trees, and back.
 *
 * The one place that knows how the keys of tables and indexes are made (the contract stands in
 * catalog.h); shared by executor, DDL and checks. `row` holds a datum for every column of the
 * relation, of which only the key's columns are looked at.
 */
#ifndef SQL_CATALOG_INDEX_KEY_H
#define SQL_CATALOG_INDEX_KEY_H

#include "sql/catalog/catalog.h"

/* Appends the encoded columns of an index. *has_null: one of them is null. */
void index_key_columns(const struct relation *relation, const struct index *index,
    const struct datum *row, struct buffer *key, bool *has_null);

/* The row's key in the table's tree. Without a primary key it is the row id, big-endian. The
 * columns of a primary key are not null: the caller has checked that. Both append. */
void index_row_key(const struct relation *relation, const struct datum *row, struct buffer *key);
void index_row_id_key(uint64_t row_id, struct buffer *key);

/* The entry of a secondary index for this row: appends the key; *value is `row_key` or empty. */
void index_entry(const struct relation *relation, const struct index *index,
    const struct datum *row, struct slice row_key, struct buffer *key, struct slice *value);

/* Where an entry of a secondary index leads: *row_key points into key or value. Bytes from disk
 * are checked (ERR_INDEX_CORRUPT). */
enum err index_entry_row_key(const struct relation *relation, const struct index *index,
    struct slice key, struct slice value, struct slice *row_key, struct diag *diag);

/* True if the index's key does not differ between the two rows: an update leaves its entry alone
 * (if the row's key stays as well). */
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

#endif /* SQL_CATALOG_INDEX_KEY_H */
