/* What txn/txn.h promises to one session after another: visibility, savepoints, tombstones,
 * large values, trees, restart.
 * ctest: threads */
#include "tests/unit/txn_util.h"

static tree_id_t tree;

static void
make_tree(struct test_session *s)
{
    struct diag diag;
    session_begin(s, TXN_READ_COMMITTED);
    OK(txn_tree_create(s->task, s->txn, &tree, &diag));
    session_commit(s);
}

static void
test_visibility(struct test_session *a, struct test_session *b)
{
    enum txn_outcome outcome;
    session_begin(b, TXN_REPEATABLE_READ);
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_insert(a, tree, "k1", "one") == ERR_OK);
    ASSERT(session_sees(a, tree, "k1", NULL)); /* not this command's own */
    session_statement(a);
    ASSERT(session_sees(a, tree, "k1", "one"));
    ASSERT(session_sees(b, tree, "k1", NULL));
    session_commit(a);
    session_statement(b);
    ASSERT(session_sees(b, tree, "k1", NULL)); /* its snapshot is older */
    session_commit(b);

    session_begin(b, TXN_REPEATABLE_READ);
    ASSERT(session_sees(b, tree, "k1", "one"));
    for (int i = 0; i < 5; i++) {
        session_begin(a, TXN_READ_COMMITTED);
        ASSERT(session_update(a, tree, "k1", i % 2 == 0 ? "even" : "odd", &outcome) == ERR_OK);
        ASSERT(outcome == TXN_DONE);
        session_commit(a);
    }
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_sees(a, tree, "k1", "even"));
    ASSERT(session_remove(a, tree, "k1", &outcome) == ERR_OK && outcome == TXN_DONE);
    ASSERT(session_sees(a, tree, "k1", "even"));
    session_statement(a);
    ASSERT(session_sees(a, tree, "k1", NULL));
    session_commit(a);
    session_statement(b);
    ASSERT(session_sees(b, tree, "k1", "one"));
    ASSERT(session_count(b, tree, false) == 1 && session_count(b, tree, true) == 1);
    ASSERT(session_update(b, tree, "k1", "late", &outcome) == ERR_SERIALIZATION);
    txn_rollback(b->task, b->txn);
    session_begin(b, TXN_READ_COMMITTED);
    ASSERT(session_sees(b, tree, "k1", NULL) && session_count(b, tree, true) == 0);
    session_commit(b);
}

static void
test_commands(struct test_session *a)
{
    enum txn_outcome outcome;
    struct txn_row row;
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_insert(a, tree, "h", "0") == ERR_OK);
    session_statement(a);
    ASSERT(session_get(a, tree, "h", &row));
    ASSERT(session_update(a, tree, "h", "1", &outcome) == ERR_OK && outcome == TXN_DONE);
    /* The same command meets its own change: leaves it alone (Halloween). */
    ASSERT(txn_update(a->task, a->txn, a->snapshot, tree, text("h"), row.version, text("2"),
               &a->arena, &row, &outcome, &a->diag) == ERR_OK);
    ASSERT(outcome == TXN_SELF);
    ASSERT(session_sees(a, tree, "h", "0"));
    session_statement(a);
    ASSERT(session_sees(a, tree, "h", "1"));
    ASSERT(session_insert(a, tree, "h", "3") == ERR_UNIQUE);
    txn_rollback(a->task, a->txn);
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_sees(a, tree, "h", NULL));
    session_commit(a);
}

static void
test_savepoints(struct test_session *a)
{
    enum txn_outcome outcome;
    struct diag diag;
    uint32_t one;
    uint32_t two;
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_insert(a, tree, "s0", "kept") == ERR_OK);
    session_statement(a);
    OK(txn_savepoint(a->task, a->txn, &one, &diag));
    ASSERT(session_update(a, tree, "s0", "changed", &outcome) == ERR_OK);
    ASSERT(session_insert(a, tree, "s1", "gone") == ERR_OK);
    session_statement(a);
    OK(txn_savepoint(a->task, a->txn, &two, &diag));
    ASSERT(session_remove(a, tree, "s0", &outcome) == ERR_OK && outcome == TXN_DONE);
    session_statement(a);
    ASSERT(session_insert(a, tree, "s0", "again") == ERR_OK);
    session_statement(a);
    ASSERT(session_sees(a, tree, "s0", "again"));
    txn_rollback_to(a->task, a->txn, two);
    session_statement(a);
    ASSERT(session_sees(a, tree, "s0", "changed") && session_sees(a, tree, "s1", "gone"));
    txn_rollback_to(a->task, a->txn, one);
    session_statement(a);
    ASSERT(session_sees(a, tree, "s0", "kept") && session_sees(a, tree, "s1", NULL));
    txn_release_savepoint(a->txn, one);
    session_commit(a);
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_sees(a, tree, "s0", "kept") && session_sees(a, tree, "s1", NULL));
    ASSERT(session_remove(a, tree, "s0", &outcome) == ERR_OK);
    session_commit(a);
    /* Insert over a tombstone, rolled back. */
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_insert(a, tree, "s0", "over") == ERR_OK);
    txn_rollback(a->task, a->txn);
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_sees(a, tree, "s0", NULL));
    ASSERT(session_insert(a, tree, "s0", "kept") == ERR_OK);
    session_commit(a);
}

static void
test_large_values(struct test_session *a, struct test_session *b)
{
    enum txn_outcome outcome;
    char *large = mem_alloc(300001);
    memset(large, 'x', 300000);
    large[300000] = '\0';
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_insert(a, tree, "big", large) == ERR_OK);
    session_commit(a);
    session_begin(b, TXN_REPEATABLE_READ);
    ASSERT(session_sees(b, tree, "big", large));
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_update(a, tree, "big", "small", &outcome) == ERR_OK);
    txn_rollback(a->task, a->txn);
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_sees(a, tree, "big", large));
    ASSERT(session_update(a, tree, "big", "small", &outcome) == ERR_OK);
    session_commit(a);
    for (int i = 0; i < 100; i++) { /* something for the purge */
        session_begin(a, TXN_READ_COMMITTED);
        large[0] = (char)('a' + i % 26);
        ASSERT(session_update(a, tree, "big", large, &outcome) == ERR_OK && outcome == TXN_DONE);
        if (i % 3 == 0) {
            txn_rollback(a->task, a->txn);
        } else {
            session_commit(a);
        }
    }
    session_statement(b);
    large[0] = 'x';
    ASSERT(session_sees(b, tree, "big", large));
    session_commit(b);
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_remove(a, tree, "big", &outcome) == ERR_OK);
    session_commit(a);
    mem_free(large);
}

static void
test_no_bloat(struct test_session *a, struct txn_db *db)
{
    enum txn_outcome outcome;
    uint64_t leaves;
    uint64_t rows;
    for (int round = 0; round < 30; round++) {
        session_begin(a, TXN_READ_COMMITTED);
        char key[32];
        for (int i = 0; i < 100; i++) {
            (void)snprintf(key, sizeof key, "bloat%d", i);
            ASSERT(session_insert(a, tree, key, "v") == ERR_OK);
        }
        session_commit(a);
        session_begin(a, TXN_READ_COMMITTED);
        for (int i = 0; i < 100; i++) {
            (void)snprintf(key, sizeof key, "bloat%d", i);
            ASSERT(session_remove(a, tree, key, &outcome) == ERR_OK && outcome == TXN_DONE);
        }
        if (round % 2 == 0) {
            session_commit(a);
        } else {
            txn_rollback(a->task, a->txn);
            session_begin(a, TXN_READ_COMMITTED);
            for (int i = 0; i < 100; i++) {
                (void)snprintf(key, sizeof key, "bloat%d", i);
                ASSERT(session_remove(a, tree, key, &outcome) == ERR_OK && outcome == TXN_DONE);
            }
            session_commit(a);
        }
    }
    struct txn_db_stats stats;
    txn_tree_size(db, tree, &leaves, &rows);
    session_begin(a, TXN_READ_COMMITTED);
    size_t live = session_count(a, tree, false);
    session_commit(a);
    AWAIT(a->task, (txn_tree_size(db, tree, &leaves, &rows), rows == live));
    AWAIT(a->task, (txn_db_stats(db, &stats), stats.undo_bytes < 200000));
}

static void
test_trees(struct test_session *a)
{
    struct diag diag;
    tree_id_t other;
    session_begin(a, TXN_READ_COMMITTED);
    OK(txn_tree_create(a->task, a->txn, &other, &diag));
    ASSERT(session_insert(a, other, "x", "y") == ERR_OK);
    txn_rollback(a->task, a->txn);
    session_begin(a, TXN_READ_COMMITTED);
    OK(txn_tree_create(a->task, a->txn, &other, &diag));
    ASSERT(session_insert(a, other, "x", "y") == ERR_OK);
    txn_mark_schema_change(a->txn);
    session_commit(a);
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_sees(a, other, "x", "y"));
    OK(txn_tree_drop(a->task, a->txn, other, &diag));
    txn_rollback(a->task, a->txn);
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_sees(a, other, "x", "y"));
    OK(txn_tree_drop(a->task, a->txn, other, &diag));
    session_commit(a);
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(txn_tree_drop(a->task, a->txn, other, &diag) == ERR_INTERNAL);
    txn_rollback(a->task, a->txn);
}

static void
test_refusals(struct test_session *a, struct txn_db *db, const char *directory)
{
    struct diag diag;
    OK(txn_begin(a->task, a->txn, TXN_READ_COMMITTED, true, &diag));
    a->snapshot = txn_statement_begin(a->txn);
    ASSERT(session_insert(a, tree, "ro", "x") == ERR_READ_ONLY_TRANSACTION);
    txn_rollback(a->task, a->txn);
    struct txn_db *second = NULL;
    struct txn_db_options options = {.directory = directory, .wal_segment_size = 1 << 20};
    ASSERT(txn_db_open(a->task, &options, &second, &diag) == ERR_OBJECT_IN_USE);
    (void)db;
}

static void
run(struct task *task, void *arg)
{
    const char *directory = arg;
    struct txn_db *db = test_open(task, directory);
    ASSERT(txn_db_is_new(db));
    struct test_session a;
    struct test_session b;
    session_create(&a, task, db, 1);
    session_create(&b, task, db, 2);
    make_tree(&a);
    test_visibility(&a, &b);
    test_commands(&a);
    test_savepoints(&a);
    test_large_values(&a, &b);
    test_no_bloat(&a, db);
    test_trees(&a);
    test_refusals(&a, db, directory);
    for (int i = 0; i < 3; i++) { /* without a checkpoint, then with one */
        session_destroy(&a);
        session_destroy(&b);
        txn_db_close(task, db);
        db = test_open(task, directory);
        ASSERT(!txn_db_is_new(db));
        session_create(&a, task, db, 1);
        session_create(&b, task, db, 2);
        session_begin(&a, TXN_READ_COMMITTED);
        ASSERT(session_sees(&a, tree, "s0", "kept"));
        ASSERT(session_sees(&a, tree, "k1", NULL) && session_sees(&a, tree, "big", NULL));
        ASSERT(session_count(&a, tree, false) == 1);
        session_commit(&a);
        struct diag diag;
        OK(txn_db_checkpoint(task, db, &diag));
        test_trees(&a);
    }
    session_destroy(&a);
    session_destroy(&b);
    txn_db_close(task, db);
    world_stop(task_world(task));
}

int
main(void)
{
    test_run_os(run, 2, NULL);
    return 0;
}
