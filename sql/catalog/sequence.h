/*
 * sql/catalog/sequence.h - sequences: values that are never given twice.
 *
 * The definition is in the relation's record and changes with transactions. The values do not: they
 * are given from a block in memory; how far blocks have been given is a row of the catalog's tree
 * of counters, written and made durable by a transaction of its own before the first value of the
 * block is given. So no value repeats after a crash, and a crash leaves a gap of at most a block.
 *
 * A definition has a generation, which names its state: RESTART, or another increment, is a new
 * generation, and a rollback brings back the old one with its state.
 */
#ifndef SQL_CATALOG_SEQUENCE_H
#define SQL_CATALOG_SEQUENCE_H

#include "sql/catalog/catalog.h"

/* What a session knows: its last values, and through whom it asks. */
struct sequence_session;
struct sequence_session *sequence_session_new(struct catalog_store *store, struct txn *txn);
struct catalog_store *sequence_session_store(const struct sequence_session *session);
void sequence_session_forget(struct sequence_session *session); /* DISCARD SEQUENCES */
void sequence_session_delete(struct sequence_session *session);

/* The definition's own start: lock the sequence first. */
enum err sequence_next(struct eval *eval, const struct relation *relation, int64_t *value);
enum err sequence_current(struct eval *eval, const struct relation *relation, int64_t *value);
enum err sequence_last(struct eval *eval, int64_t *value);
enum err sequence_set(
    struct eval *eval, const struct relation *relation, int64_t value, bool called);
/* The last value given; *called false: none yet, and *value is what will be the first. */
enum err sequence_look(struct task *task, struct catalog_store *store,
    const struct relation *relation, int64_t *value, bool *called, struct diag *diag);
/* The state's row, with the definition that is dropped or has got another generation. */
enum err sequence_forget_state(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct relation *relation, struct diag *diag);

#endif /* SQL_CATALOG_SEQUENCE_H */
