/*
 * sql/catalog/foreign_key.h - values of a foreign key across its two tables, and the words of its
 * errors. Shared by the executor's checks and DDL's. Nothing here sleeps.
 *
 * `row` is an array of datums per column of the table it is said to be of, of which only the key's
 * columns are looked at.
 */
#ifndef SQL_CATALOG_FOREIGN_KEY_H
#define SQL_CATALOG_FOREIGN_KEY_H

#include "sql/catalog/catalog.h"

enum foreign_match {
    FOREIGN_CHECK, /* refers to a row */
    FOREIGN_FREE,  /* null: refers to nothing */
    FOREIGN_MIXED, /* MATCH FULL with some nulls: an error */
};
enum foreign_match foreign_key_match(const struct foreign_key *key, const struct datum *row);

/* Can values of these types be compared as a key's? */
bool foreign_key_types(oid_t referencing, oid_t referenced);

/* The referenced columns' values that a row of the referencing table points to, in their own types,
 * into `referenced`. *possible false: there can be no such row. */
enum err foreign_key_to_referenced(struct eval *eval, const struct foreign_key *key,
    const struct datum *row, struct datum *referenced, bool *possible);
/* The other way: which values the rows that refer to this one have. */
enum err foreign_key_to_referencing(struct eval *eval, const struct foreign_key *key,
    const struct datum *referenced, struct datum *row, bool *possible);
/* The same as an assignment to the referencing columns, errors included (ON UPDATE CASCADE). */
enum err foreign_key_assign(struct eval *eval, const struct foreign_key *key,
    const struct datum *referenced, struct datum *row);

/* Do two rows of the referencing (or: referenced) table have the same values in the key? Nulls are
 * alike. */
bool foreign_key_same(
    const struct foreign_key *key, const struct datum *a, const struct datum *b, bool referenced);
bool foreign_key_has_null(const struct foreign_key *key, const struct datum *row, bool referenced);

/* 23503: insert or update on table .. violates foreign key constraint .. */
enum err foreign_key_missing(struct arena *arena, const struct eval_env *env,
    const struct foreign_key *key, const struct datum *row, struct diag *diag);
enum err foreign_key_mixed(const struct foreign_key *key, struct diag *diag);
/* 23503: update or delete on table .. ; row: of the referenced table. */
enum err foreign_key_in_use(struct arena *arena, const struct eval_env *env,
    const struct foreign_key *key, const struct datum *row, struct diag *diag);

/* "CASCADE" and the like; "NO ACTION" for that. */
const char *foreign_key_action_words(char action);

#endif /* SQL_CATALOG_FOREIGN_KEY_H */
