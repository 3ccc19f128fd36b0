/*
 * sql/catalog/replicated.h - replicated tables on the nodes of a cluster: one list of changes, and
 * how far a node has come in it.
 *
 * The list is the first node's: the rows that its transactions have changed in replicated tables,
 * and marks where the schema has changed (router/cluster.c), numbered from 1. Every other node
 * applies the entries in their order. On a server that is no node of a cluster (setting
 * cluster_node is empty) replicated tables are tables, and there is no list.
 *
 * Invariants
 *   RP1. The list is in the order of the first node's commits: who appends an entry holds the
 *        list's lock alone, from before he reads the last number to the end of his transaction.
 *   RP2. An entry is in the same commit as the rows that it is about: on the first node what it
 *        says has been changed, on any other what was applied, together with the number. So a
 *        snapshot of a node at number n sees in replicated tables what the first node's commit n
 *        has left, and never a part of a change.
 *   RP3. Nobody else changes these rows. A transaction may change them if a router has said that
 *        this is the first node and the statement a change of replicated tables (so its commit
 *        appends an entry), or if it applies entries; a superuser may say that he takes care of
 *        this copy alone (tusk.replicated_alone). All others are refused.
 *   RP4. Entry n+1 is applied to number n, and to nothing else. Applying n again does nothing.
 *   RP5. A routed statement that reads replicated tables says which version the router knows of,
 *        and is refused (TR006) if its own snapshot has an older one, or, if it reads several nodes
 *        as of one stamp, any other one.
 */
#ifndef SQL_CATALOG_REPLICATED_H
#define SQL_CATALOG_REPLICATED_H

#include "shard/route.h"
#include "sql/catalog/sharding.h"

/* RP3. */
enum err replicated_check_write(
    const struct catalog_store *store, struct txn *txn, struct diag *diag);
bool relation_is_replicated(const struct relation *relation);
/* A row of `key`'s referenced table goes, or gets another key, and the rows that refer to it may be
 * on other nodes. ERR_FEATURE_NOT_SUPPORTED. */
enum err replicated_check_referenced(
    const struct catalog_store *store, const struct foreign_key *key, struct diag *diag);

/* RP1. Held alone, to the end of the transaction. */
enum err replicated_lock(
    struct task *task, struct catalog_store *store, struct txn *txn, struct diag *diag);
/* The number at the snapshot; 0: nothing has been changed ever. */
enum err replicated_version(struct task *task, struct txn *txn, struct txn_snapshot snapshot,
    uint64_t *version, struct diag *diag);
/* The newest: of the commits so far and of this transaction. */
enum err replicated_newest(struct task *task, struct catalog_store *store, struct txn *txn,
    uint64_t *version, struct diag *diag);
/* Under the lock. */
enum err replicated_put_version(struct task *task, struct catalog_store *store, struct txn *txn,
    uint64_t version, struct diag *diag);
/* RP5. *version: what the snapshot has. */
enum err replicated_check_route(struct task *task, struct catalog_store *store, struct txn *txn,
    struct txn_snapshot snapshot, const struct shard_route *route, uint64_t *version,
    struct diag *diag);

/* An entry is one piece or more, from 0. Whoever reads them knows which is the last. */
enum err replicated_put_piece(struct task *task, struct catalog_store *store, struct txn *txn,
    uint64_t version, uint32_t piece, struct slice bytes, struct diag *diag);
enum err replicated_get_piece(struct task *task, struct catalog_store *store, struct txn *txn,
    uint64_t version, uint32_t piece, struct arena *arena, struct slice *bytes, bool *found,
    struct diag *diag);
/* Entries up to this one go, some thousands of pieces at a time. */
enum err replicated_forget(struct task *task, struct catalog_store *store, struct txn *txn,
    uint64_t version, uint64_t *count, struct diag *diag);

#endif /* SQL_CATALOG_REPLICATED_H */
