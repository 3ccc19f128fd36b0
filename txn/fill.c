/*
 * txn/fill.c - trees that are filled at once: index builds.
 *
 * Such rows have no undo: nobody sees the tree before its creation is committed, and if that is
 * undone the whole tree goes. They have empty heads, which every snapshot sees; that no older one
 * looks there is the owner's business (the catalog refuses it). The log gets the definition alone
 * (T14), or each row where the owner has no definition that recovery could understand.
 *
 * A checkpoint may come in the middle of a build and find half a tree. It is nobody's: if the
 * commit is behind the snapshot, recovery makes the tree anew; if there is none, the tree has no
 * row in SYSTEM_TREE and goes. A commit before the snapshot had its tree whole at the gate.
 */
#include "txn/txn_internal.h"

enum {
    SPILL_EVERY = 64, /* entries between looks at the size of redo */
};

enum err
txn_tree_append(struct task *task, struct txn *txn, tree_id_t tree,
    const struct btree_entry *entries, size_t count, bool logged, struct diag *diag)
{
    ASSERT(txn->log != NULL && txn->log->trees);
    TRY(btree_append(task, txn->db->store, tree, entries, count, diag));
    for (size_t i = 0; logged && i < count; i++) {
        struct slice value = entries[i].value;
        redo__put(txn, tree, entries[i].key, value);
        if (i % SPILL_EVERY == 0 && txn->redo.size >= REDO_SPILL_SIZE) {
            TRY(txn__spill_redo(task, txn, 0, diag));
        }
    }
    return ERR_OK;
}

enum err
txn_tree_built(
    struct task *task, struct txn *txn, tree_id_t tree, struct slice definition, struct diag *diag)
{
    ASSERT(txn->log != NULL && txn->log->trees);
    redo__build(txn, tree, definition);
    return txn->redo.size < REDO_SPILL_SIZE ? ERR_OK : txn__spill_redo(task, txn, 0, diag);
}

/* ---- again, in recovery ------------------------------------------------------------------------
 */

struct txn_rebuild {
    struct btree *store;
    tree_id_t tree;
    struct btree_cursor *cursor; /* NULL: not opened */
    bool begun;
    struct arena values; /* from overflow pages; of one row */
};

enum err
txn_rebuild_open(struct task *task, struct txn_rebuild *rebuild, tree_id_t from, struct diag *diag)
{
    ASSERT(rebuild->cursor == NULL);
    rebuild->cursor = btree_cursor_new(rebuild->store);
    rebuild->begun = false;
    return btree_cursor_seek(
        task, rebuild->cursor, from, BTREE_SEEK_FIRST, (struct slice){0}, diag);
}

enum err
txn_rebuild_next(struct task *task, struct txn_rebuild *rebuild, struct slice *key,
    struct slice *value, bool *found, struct diag *diag)
{
    if (rebuild->begun) {
        TRY(btree_cursor_next(task, rebuild->cursor, diag));
    }
    rebuild->begun = true;
    const struct btree_row *row = btree_cursor_row(rebuild->cursor);
    *found = row != NULL;
    if (row == NULL) {
        return ERR_OK;
    }
    *key = row->key;
    *value = row->value;
    if ((row->head.flags & ROW_OVERFLOW) == 0) {
        return ERR_OK;
    }
    arena_reset(&rebuild->values);
    return btree_value_load(task, rebuild->store, row->value, &rebuild->values, value, diag);
}

enum err
txn_rebuild_append(struct task *task, struct txn_rebuild *rebuild,
    const struct btree_entry *entries, size_t count, struct diag *diag)
{
    return btree_append(task, rebuild->store, rebuild->tree, entries, count, diag);
}

enum err
fill__rebuild(struct task *task, struct txn_db *db, tree_id_t tree, struct slice definition,
    struct diag *diag)
{
    if (db->rebuild == NULL || tree.v < TREE_ID_FIRST_USER) {
        return diag_set(diag, ERR_CORRUPT,
            "the log says how tree %llu was built, which cannot be done here",
            (unsigned long long)tree.v);
    }
    /* What is there, if anything, is half of it: of a checkpoint before the commit. */
    btree_tree_drop(task, db->store, tree);
    TRY(btree_tree_create(task, db->store, tree, diag));
    struct txn_rebuild rebuild = {.store = db->store, .tree = tree};
    arena_create(&rebuild.values, "rebuild");
    enum err err = db->rebuild(task, db->rebuild_arg, &rebuild, definition, diag);
    if (rebuild.cursor != NULL) {
        btree_cursor_delete(rebuild.cursor);
    }
    arena_destroy(&rebuild.values);
    return err;
}
