/*
 * txn/tree.c - creating and dropping trees in transactions.
 *
 * Which trees exist is itself rows of a tree: SYSTEM_TREE, one row per id. So a creation is seen,
 * rolled back, logged and checkpointed as any row is. The tree in the store is made at once and
 * taken away by the purge of the transaction that dropped it, or was rolled back. What a crash
 * leaves without a row is removed at the end of recovery.
 */
#include "txn/txn_internal.h"

static enum err
create(struct task *task, struct txn *txn, tree_id_t tree, struct diag *diag)
{
    TRY(txn__start_writing(task, txn, diag));
    TRY(btree_tree_create(task, txn->db->store, tree, diag));
    uint8_t memory[8];
    enum err err = txn_insert(task, txn, (tree_id_t){SYSTEM_TREE}, tree_key(memory, tree),
        slice_of("", 0), NULL, NULL, diag);
    if (err != ERR_OK) {
        btree_tree_drop(task, txn->db->store, tree);
        if (err == ERR_UNIQUE) {
            return diag_set(
                diag, ERR_INTERNAL, "tree %llu exists already", (unsigned long long)tree.v);
        }
    }
    return err;
}

enum err
txn_tree_create(struct task *task, struct txn *txn, tree_id_t *tree, struct diag *diag)
{
    tree->v = atomic_fetch_add(&txn->db->next_tree, 1);
    return create(task, txn, *tree, diag);
}

bool
txn_tree_exists(struct txn_db *db, tree_id_t tree)
{
    return btree_tree_exists(db->store, tree);
}

enum err
txn_tree_create_fixed(struct task *task, struct txn *txn, tree_id_t tree, struct diag *diag)
{
    ASSERT(tree.v > 0 && tree.v < SYSTEM_TREE);
    return create(task, txn, tree, diag);
}

enum err
txn_tree_drop(struct task *task, struct txn *txn, tree_id_t tree, struct diag *diag)
{
    TRY(txn__start_writing(task, txn, diag));
    if (txn__tracks(txn, tree)) {
        TRY(ssi__wrote_tree(txn, tree, diag));
    }
    /* Its creation may be of this very command. */
    struct txn_snapshot snapshot = {.lsn = {atomic_load(&txn->db->visible)}, .command = UINT32_MAX};
    uint8_t memory[8];
    struct slice key = tree_key(memory, tree);
    struct txn_row row;
    bool found = false;
    arena_reset(&txn->scratch);
    TRY(txn_get(
        task, txn, snapshot, (tree_id_t){SYSTEM_TREE}, key, &txn->scratch, &row, &found, diag));
    enum txn_outcome outcome = TXN_GONE;
    if (found) {
        TRY(txn_remove(task, txn, snapshot, (tree_id_t){SYSTEM_TREE}, key, row.version,
            &txn->scratch, &row, &outcome, diag));
    }
    if (outcome != TXN_DONE) {
        return diag_set(diag, ERR_INTERNAL, "tree %llu does not exist", (unsigned long long)tree.v);
    }
    return ERR_OK;
}
