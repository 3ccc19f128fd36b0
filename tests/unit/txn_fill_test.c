/*
 * Trees filled at once (txn_tree_append): whoever sees the tree sees all of it; nobody does if its
 * creation is undone; recovery makes it again from its definition, also where a checkpoint came in
 * the middle of it, and with what was changed in it afterwards; and it is refused by who cannot.
 * ctest: threads
 */
#include "tests/unit/txn_util.h"

enum {
    ROWS = 5000,
    BATCH = 300,
};

static tree_id_t table, copy, logged;
static unsigned rebuilds;

/* The copy has the table's rows, with the definition before each value. */
static struct btree_entry
entry_of(struct arena *arena, struct slice definition, struct slice key, struct slice value)
{
    struct buffer bytes = {0};
    buffer_add(&bytes, definition.data, definition.size);
    buffer_add(&bytes, value.data, value.size);
    struct btree_entry entry = {.key = slice_of(arena_copy(arena, key.data, key.size), key.size),
        .value = slice_of(arena_copy(arena, bytes.data, bytes.size), bytes.size)};
    buffer_destroy(&bytes);
    return entry;
}

static enum err
rebuild_copy(struct task *task, void *arg, struct txn_rebuild *rebuild, struct slice definition,
    struct diag *diag)
{
    ASSERT(arg == &table);
    struct arena arena;
    arena_create(&arena, "rebuild");
    rebuilds++;
    enum err err = txn_rebuild_open(task, rebuild, table, diag);
    bool found = true;
    while (err == ERR_OK && found) {
        struct slice key;
        struct slice value;
        err = txn_rebuild_next(task, rebuild, &key, &value, &found, diag);
        if (err == ERR_OK && found) {
            struct btree_entry entry = entry_of(&arena, definition, key, value);
            err = txn_rebuild_append(task, rebuild, &entry, 1, diag);
        }
        arena_reset(&arena);
    }
    arena_destroy(&arena);
    return err;
}

static enum err
open_with(struct task *task, const char *directory, txn_rebuild_tree *rebuild, struct txn_db **db,
    struct diag *diag)
{
    struct txn_db_options options = {.directory = directory,
        .cache_size = 16 << 20,
        .wal_segment_size = 1 << 20,
        .rebuild = rebuild,
        .rebuild_arg = &table};
    return txn_db_open(task, &options, db, diag);
}

/* Rows [from, to) of the table into the tree. */
static void
append(struct test_session *s, tree_id_t tree, const char *definition, int from, int to, bool log)
{
    struct diag diag;
    struct btree_entry entries[BATCH];
    struct arena arena;
    arena_create(&arena, "entries");
    for (int at = from; at < to;) {
        size_t count = 0;
        for (; at < to && count < BATCH; at++) {
            char key[16];
            char value[32];
            (void)snprintf(key, sizeof key, "k%06d", at);
            (void)snprintf(value, sizeof value, "value %d", at);
            entries[count++] = entry_of(&arena, text(definition), text(key), text(value));
        }
        OK(txn_tree_append(s->task, s->txn, tree, entries, count, log, &diag));
        arena_reset(&arena);
    }
    arena_destroy(&arena);
}

static void
fill_table(struct test_session *s)
{
    struct diag diag;
    session_begin(s, TXN_READ_COMMITTED);
    OK(txn_tree_create(s->task, s->txn, &table, &diag));
    for (int i = 0; i < ROWS; i++) {
        char key[16];
        char value[32];
        (void)snprintf(key, sizeof key, "k%06d", i);
        (void)snprintf(value, sizeof value, "value %d", i);
        ASSERT(session_insert(s, table, key, value) == ERR_OK);
        arena_reset(&s->arena);
    }
    session_commit(s);
}

static void
check(struct test_session *s)
{
    session_begin(s, TXN_READ_COMMITTED);
    ASSERT(session_count(s, table, false) == ROWS);
    ASSERT(session_count(s, copy, false) == ROWS && session_count(s, copy, true) == ROWS);
    ASSERT(session_count(s, logged, false) == ROWS);
    ASSERT(session_sees(s, copy, "k000000", "a: value 0"));
    ASSERT(session_sees(s, copy, "k004999", "a: value 4999"));
    ASSERT(session_sees(s, copy, "k000007", "changed"));
    ASSERT(session_sees(s, logged, "k000007", "b: value 7"));
    ASSERT(session_sees(s, copy, "k000008", NULL));
    ASSERT(session_sees(s, copy, "new", "row"));
    session_commit(s);
}

/* `half`: a checkpoint comes in the middle. */
static void
build(struct test_session *s, struct txn_db *db, bool half)
{
    struct diag diag;
    enum txn_outcome outcome;
    tree_id_t gone;
    session_begin(s, TXN_READ_COMMITTED);
    OK(txn_tree_create(s->task, s->txn, &gone, &diag));
    append(s, gone, "no", 0, ROWS, false);
    OK(txn_tree_built(s->task, s->txn, gone, text("no"), &diag));
    txn_rollback(s->task, s->txn);
    session_begin(s, TXN_READ_COMMITTED);
    OK(txn_tree_create(s->task, s->txn, &copy, &diag));
    OK(txn_tree_create(s->task, s->txn, &logged, &diag));
    append(s, copy, "a: ", 0, ROWS / 2, false);
    if (half) {
        OK(txn_db_checkpoint(s->task, db, &diag));
    }
    append(s, copy, "a: ", ROWS / 2, ROWS, false);
    append(s, logged, "b: ", 0, ROWS, true);
    OK(txn_tree_built(s->task, s->txn, copy, text("a: "), &diag));
    session_statement(s);
    ASSERT(session_count(s, copy, false) == ROWS);
    ASSERT(session_insert(s, copy, "new", "row") == ERR_OK);
    session_commit(s);
    session_begin(s, TXN_READ_COMMITTED);
    ASSERT(session_update(s, copy, "k000007", "changed", &outcome) == ERR_OK);
    ASSERT(session_remove(s, copy, "k000008", &outcome) == ERR_OK);
    session_commit(s);
}

static void
run(struct task *task, void *arg)
{
    struct diag diag;
    struct txn_db *db = NULL;
    struct test_session s;
    for (int round = 0; round < 2; round++) {
        char directory[256];
        (void)snprintf(directory, sizeof directory, "%s/%d", (const char *)arg, round);
        OK(world_mkdir(task, arg, &diag));
        OK(open_with(task, directory, rebuild_copy, &db, &diag));
        session_create(&s, task, db, 1);
        fill_table(&s);
        build(&s, db, round == 1);
        check(&s);
        session_destroy(&s);
        txn_db_close(task, db); /* the log is all there is of it */
        ASSERT(open_with(task, directory, NULL, &db, &diag) == ERR_CORRUPT);
        for (int again = 0; again < 3; again++) {
            OK(open_with(task, directory, rebuild_copy, &db, &diag));
            ASSERT(rebuilds == (unsigned)(again < 2 ? again + 1 : 2));
            session_create(&s, task, db, 1);
            check(&s);
            session_destroy(&s);
            if (again == 1) { /* now it is in the checkpoint */
                OK(txn_db_checkpoint(task, db, &diag));
            }
            txn_db_close(task, db);
        }
        rebuilds = 0;
    }
    world_stop(task_world(task));
}

int
main(void)
{
    test_run_os(run, 1, NULL);
    test_run_os(run, 2, NULL);
    return 0;
}
