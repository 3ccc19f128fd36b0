/*
 * Undo beyond its memory goes to a file, and everything that follows undo finds it there: readers,
 * the transaction itself, rollback, savepoints, the purge, checkpoints, FOR KEY SHARE. Undo beyond
 * its limit costs the oldest snapshot (72000), never a wrong answer, and not the writers.
 * ctest: threads
 */
#include "tests/unit/txn_util.h"

enum {
    ROWS = 4000,
    TAIL = 120,
    UNDO_MEMORY = 256 * 1024,
    LARGE = 9000, /* goes to overflow pages */
};

static struct txn_db *db;
static tree_id_t tree;

static void
open_db(struct task *task, const char *directory, uint64_t undo_size_max)
{
    struct diag diag;
    struct txn_db_options options = {.directory = directory,
        .cache_size = 64 << 20,
        .wal_segment_size = 4 << 20,
        .undo_memory = UNDO_MEMORY,
        .undo_size_max = undo_size_max};
    OK(txn_db_open(task, &options, &db, &diag));
}

static struct slice
key_of(uint8_t memory[4], uint32_t number)
{
    store_be32(memory, number);
    return slice_of(memory, 4);
}

static struct slice
value_of(struct arena *arena, uint32_t number, uint32_t generation, size_t tail)
{
    uint8_t *bytes = arena_alloc(arena, 8 + tail);
    store_le32(bytes, number);
    store_le32(bytes + 4, generation);
    memset(bytes + 8, (int)(number % 251), tail);
    return slice_of(bytes, 8 + tail);
}

/* Every tenth row is large if asked for. */
static size_t
tail_of(uint32_t number, bool large)
{
    return large && number % 10 == 0 ? LARGE : TAIL;
}

static void
insert_all(struct test_session *s, uint32_t generation, bool large)
{
    struct diag diag;
    for (uint32_t i = 0; i < ROWS; i++) {
        uint8_t memory[4];
        arena_reset(&s->arena);
        OK(txn_insert(s->task, s->txn, tree, key_of(memory, i),
            value_of(&s->arena, i, generation, tail_of(i, large)), NULL, NULL, &diag));
    }
}

/* Update or (generation 0) delete rows as the statement sees them. */
static enum err
change(struct test_session *s, uint32_t first, uint32_t step, uint32_t generation, bool large)
{
    for (uint32_t i = first; i < ROWS; i += step) {
        uint8_t memory[4];
        struct slice key = key_of(memory, i);
        struct txn_row row;
        bool found = false;
        enum txn_outcome outcome = TXN_GONE;
        arena_reset(&s->arena);
        TRY(txn_get(s->task, s->txn, s->snapshot, tree, key, &s->arena, &row, &found, &s->diag));
        ASSERT(found);
        if (generation == 0) {
            TRY(txn_remove(s->task, s->txn, s->snapshot, tree, key, row.version, &s->arena, &row,
                &outcome, &s->diag));
        } else {
            TRY(txn_update(s->task, s->txn, s->snapshot, tree, key, row.version,
                value_of(&s->arena, i, generation, tail_of(i, large)), &s->arena, &row, &outcome,
                &s->diag));
        }
        ASSERT(outcome == TXN_DONE);
    }
    return ERR_OK;
}

static void
check_value(uint32_t number, struct slice value, uint32_t even, uint32_t odd, bool large)
{
    ASSERT(value.size == 8 + tail_of(number, large));
    ASSERT(load_le32(value.data) == number);
    ASSERT(load_le32(value.data + 4) == (number % 2 == 0 ? even : odd));
    for (size_t i = 8; i < value.size; i += 13) {
        ASSERT(value.data[i] == number % 251);
    }
}

/* The statement sees rows of these generations (0: none). */
static enum err
scan_all(struct test_session *s, uint32_t even, uint32_t odd, bool large, bool backward)
{
    struct txn_scan *scan = NULL;
    struct txn_range range = {0};
    struct arena arena;
    arena_create(&arena, "scan");
    enum err err = txn_scan_open(
        s->task, s->txn, s->snapshot, tree, &range, backward, &arena, &scan, &s->diag);
    ASSERT(err == ERR_OK);
    uint32_t at = backward ? ROWS : UINT32_MAX;
    bool found = true;
    while (err == ERR_OK && found) {
        struct txn_row row;
        err = txn_scan_next(s->task, scan, &row, &found, &s->diag);
        if (err != ERR_OK) {
            break;
        }
        do { /* skip those that should not be there */
            at = backward ? at - 1 : at + 1;
        } while (at < ROWS && (at % 2 == 0 ? even : odd) == 0);
        ASSERT(found == (at < ROWS));
        if (found) {
            ASSERT(load_be32(row.key.data) == at);
            task_yield(s->task); /* the row stays */
            check_value(at, row.value, even, odd, large);
        }
    }
    txn_scan_close(s->task, scan);
    arena_destroy(&arena);
    return err;
}

static void
check_points(struct test_session *s, uint32_t even, uint32_t odd, bool large)
{
    struct diag diag;
    for (uint32_t i = 0; i < ROWS; i += 7) {
        uint8_t memory[4];
        struct txn_row row;
        bool found = false;
        arena_reset(&s->arena);
        OK(txn_get(
            s->task, s->txn, s->snapshot, tree, key_of(memory, i), &s->arena, &row, &found, &diag));
        ASSERT(found == ((i % 2 == 0 ? even : odd) != 0));
        if (found) {
            check_value(i, row.value, even, odd, large);
        }
    }
}

static void
check_all(struct test_session *s, uint32_t even, uint32_t odd, bool large)
{
    ASSERT(scan_all(s, even, odd, large, false) == ERR_OK);
    ASSERT(scan_all(s, even, odd, large, true) == ERR_OK);
    check_points(s, even, odd, large);
}

static uint64_t
spilled(void)
{
    struct txn_db_stats stats;
    txn_db_stats(db, &stats);
    ASSERT(stats.undo_bytes < 4 * UNDO_MEMORY);
    return stats.undo_spilled_bytes;
}

/* A transaction of its own: what each command sees, savepoints, rollback; others see nothing. */
static void
test_own(struct test_session *a, struct test_session *b)
{
    uint32_t depth = 0;
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(change(a, 0, 1, 2, false) == ERR_OK);
    ASSERT(spilled() > 0);
    check_all(a, 1, 1, false); /* its own command does not see them */
    session_statement(a);
    check_all(a, 2, 2, false);
    ASSERT(txn_savepoint(a->task, a->txn, &depth, &a->diag) == ERR_OK);
    ASSERT(change(a, 0, 2, 3, true) == ERR_OK);
    struct txn_snapshot before = a->snapshot;
    session_statement(a);
    ASSERT(change(a, 1, 2, 0, false) == ERR_OK);
    session_statement(a);
    session_begin(b, TXN_REPEATABLE_READ);
    check_all(b, 1, 1, false);
    struct diag diag;
    struct txn_row row;
    bool found = false;
    uint8_t memory[4];
    a->snapshot = before; /* a cursor that was opened then */
    OK(txn_get(a->task, a->txn, before, tree, key_of(memory, 4), &a->arena, &row, &found, &diag));
    ASSERT(found && load_le32(row.value.data + 4) == 2);
    txn_rollback_to(a->task, a->txn, depth);
    session_statement(a);
    check_all(a, 2, 2, false);
    txn_rollback(a->task, a->txn);
    session_commit(b);
    session_begin(a, TXN_READ_COMMITTED);
    check_all(a, 1, 1, false);
    session_commit(a);
    AWAIT(a->task, spilled() == 0);
}

/* Rows, deleted and inserted anew, rolled back: tombstones are restored, and swept. */
static void
test_tombstones(struct test_session *a, struct test_session *b)
{
    uint64_t leaves = 0;
    uint64_t rows = 0;
    session_begin(b, TXN_REPEATABLE_READ);
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(change(a, 0, 1, 0, false) == ERR_OK);
    session_commit(a);
    session_begin(a, TXN_READ_COMMITTED);
    insert_all(a, 5, true);
    ASSERT(spilled() > 0);
    check_all(b, 1, 1, false);
    txn_rollback(a->task, a->txn);
    session_begin(a, TXN_READ_COMMITTED);
    check_all(a, 0, 0, false);
    session_commit(a);
    check_all(b, 1, 1, false);
    session_commit(b);
    AWAIT(a->task, (txn_tree_size(db, tree, &leaves, &rows), rows == 0));
    AWAIT(a->task, spilled() == 0);
    session_begin(a, TXN_READ_COMMITTED);
    insert_all(a, 1, true);
    session_commit(a);
}

/* Many small transactions behind an old snapshot. */
static void
test_many(struct test_session *a, struct test_session *b)
{
    session_begin(b, TXN_REPEATABLE_READ);
    for (uint32_t generation = 2; generation < 6; generation++) {
        for (uint32_t i = 0; i < 1000; i++) {
            session_begin(a, TXN_READ_COMMITTED);
            uint8_t memory[4];
            struct slice key = key_of(memory, i * 2);
            struct diag diag;
            struct txn_row row;
            bool found = false;
            enum txn_outcome outcome;
            OK(txn_get(a->task, a->txn, a->snapshot, tree, key, &a->arena, &row, &found, &diag));
            ASSERT(found);
            OK(txn_update(a->task, a->txn, a->snapshot, tree, key, row.version,
                value_of(&a->arena, i * 2, generation, tail_of(i * 2, true)), &a->arena, &row,
                &outcome, &diag));
            txn_set_synchronous(a->txn, false);
            session_commit(a);
        }
    }
    txn_set_synchronous(a->txn, true);
    ASSERT(spilled() > 0);
    check_all(b, 1, 1, true);
    session_commit(b);
    AWAIT(a->task, spilled() == 0);
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(change(a, 0, 1, 1, true) == ERR_OK);
    session_commit(a);
}

/* FOR KEY SHARE of rows that a large transaction has updated several times. */
static void
test_key_share(struct test_session *a, struct test_session *b)
{
    session_begin(a, TXN_READ_COMMITTED);
    for (uint32_t generation = 2; generation < 5; generation++) {
        ASSERT(change(a, 0, 3, generation, true) == ERR_OK);
        session_statement(a);
    }
    ASSERT(spilled() > 0);
    session_begin(b, TXN_READ_COMMITTED);
    for (uint32_t i = 0; i < ROWS; i += 51) {
        uint8_t memory[4];
        struct slice key = key_of(memory, i);
        struct diag diag;
        struct txn_row row;
        bool found = false;
        enum txn_outcome outcome = TXN_GONE;
        OK(txn_get(b->task, b->txn, b->snapshot, tree, key, &b->arena, &row, &found, &diag));
        ASSERT(found);
        OK(txn_lock_row(b->task, b->txn, b->snapshot, tree, key, row.version, TXN_LOCK_KEY_SHARE,
            TXN_NOWAIT, &b->arena, &row, &outcome, &diag));
        ASSERT(outcome == TXN_DONE);
        ASSERT(txn_lock_row(b->task, b->txn, b->snapshot, tree, key, row.version, TXN_LOCK_SHARE,
                   TXN_NOWAIT, &b->arena, &row, &outcome, &diag) == ERR_LOCK_NOT_AVAILABLE);
    }
    session_commit(b);
    txn_rollback(a->task, a->txn);
}

/* A checkpoint sees what its snapshot saw, whatever has gone to the file since. */
static void
test_checkpoint(struct task *task, const char *directory, struct test_session *a)
{
    struct diag diag;
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(change(a, 0, 2, 7, false) == ERR_OK);
    session_statement(a);
    ASSERT(change(a, 1, 2, 0, false) == ERR_OK);
    session_statement(a);
    ASSERT(change(a, 0, 2, 8, true) == ERR_OK);
    ASSERT(spilled() > 0);
    OK(txn_db_checkpoint(task, db, &diag));
    txn_rollback(task, a->txn);
    session_destroy(a);
    txn_db_close(task, db);
    open_db(task, directory, 0);
    session_create(a, task, db, 1);
    session_begin(a, TXN_READ_COMMITTED);
    check_all(a, 1, 1, true);
    session_commit(a);
}

/* The file cannot be made: whoever writes much is told, and what is there stays right. */
static void
test_no_file(struct task *task, const char *directory, struct test_session *a)
{
    struct diag diag;
    char away[200];
    (void)snprintf(away, sizeof away, "%s.away", directory);
    session_begin(a, TXN_READ_COMMITTED);
    OK(world_rename(task, directory, away, &diag));
    enum err err = change(a, 0, 1, 2, true);
    OK(world_rename(task, away, directory, &diag));
    ASSERT(err == ERR_DISK_FULL);
    txn_rollback(task, a->txn);
    task_sleep(task, 1100 * 1000);
    session_begin(a, TXN_READ_COMMITTED);
    check_all(a, 1, 1, true);
    ASSERT(change(a, 0, 1, 2, true) == ERR_OK);
    session_statement(a);
    check_all(a, 2, 2, true);
    txn_rollback(task, a->txn);
}

/* ---- snapshot too old --------------------------------------------------------------------------
 */

struct reader {
    enum txn_isolation isolation;
    uint64_t seed;
};
static _Atomic int readers_left;
static _Atomic int too_old;
static _Atomic bool writer_done;

/* Reads all rows again and again at one snapshot. Either it sees what it saw first, or it is told
 * that it cannot any more; never anything else. */
static void
reader_main(struct task *task, void *arg)
{
    const struct reader *reader = arg;
    struct test_session s;
    session_create(&s, task, db, 20);
    while (!atomic_load(&writer_done)) {
        session_begin(&s, reader->isolation);
        enum err err = ERR_OK;
        struct txn_row row;
        bool found = false;
        uint8_t memory[4];
        err = txn_get(
            task, s.txn, s.snapshot, tree, key_of(memory, 2), &s.arena, &row, &found, &s.diag);
        uint32_t generation = err == ERR_OK ? load_le32(row.value.data + 4) : 0;
        for (uint64_t i = 0; err == ERR_OK && i < reader->seed % 5 + 2; i++) {
            if (atomic_load(&writer_done)) {
                break;
            }
            err = scan_all(&s, generation, generation, true, i % 2 == 0);
        }
        if (err != ERR_OK) {
            ASSERT(err == ERR_SNAPSHOT_TOO_OLD);
            atomic_fetch_add(&too_old, 1);
            /* It stays so for this snapshot; READ COMMITTED's next statement has another. */
            ASSERT(txn_get(task, s.txn, s.snapshot, tree, key_of(memory, 2), &s.arena, &row, &found,
                       &s.diag) == ERR_SNAPSHOT_TOO_OLD);
            session_statement(&s);
            enum err again = txn_get(
                task, s.txn, s.snapshot, tree, key_of(memory, 2), &s.arena, &row, &found, &s.diag);
            if (reader->isolation != TXN_READ_COMMITTED) {
                ASSERT(again == ERR_SNAPSHOT_TOO_OLD);
                ASSERT(txn_insert(task, s.txn, tree, key_of(memory, 9999), text("x"), NULL, NULL,
                           &s.diag) == ERR_SNAPSHOT_TOO_OLD);
            }
        }
        txn_rollback(task, s.txn);
    }
    session_destroy(&s);
    atomic_fetch_sub(&readers_left, 1);
}

/* Passes of one transaction each, with readers that are too slow for the limit. */
static void
test_too_old(struct task *task, struct test_session *a)
{
    static struct reader readers[3];
    struct diag diag;
    atomic_store(&readers_left, 3);
    atomic_store(&writer_done, false);
    for (int i = 0; i < 3; i++) {
        readers[i] =
            (struct reader){i == 0 ? TXN_READ_COMMITTED : TXN_REPEATABLE_READ, (uint64_t)i};
        OK(task_spawn(task_world(task), i, "reader", reader_main, &readers[i], &diag));
    }
    int passes = 0;
    for (; passes < 12 || (atomic_load(&too_old) < 3 && passes < 400); passes++) {
        session_begin(a, TXN_READ_COMMITTED);
        enum err err = change(a, 0, 1, 10 + (uint32_t)passes, true);
        if (err != ERR_OK) { /* the writer itself had the oldest snapshot */
            if (err != ERR_SNAPSHOT_TOO_OLD) {
                (void)fprintf(stderr, "pass %d: %s\n", passes, a->diag.message);
            }
            ASSERT(err == ERR_SNAPSHOT_TOO_OLD);
            txn_rollback(task, a->txn);
            continue;
        }
        session_commit(a);
    }
    atomic_store(&writer_done, true);
    while (atomic_load(&readers_left) > 0) {
        task_sleep(task, 1000);
    }
    struct txn_db_stats stats;
    txn_db_stats(db, &stats);
    (void)fprintf(stderr, "%d passes, %d times too old, %llu snapshots given up\n", passes,
        atomic_load(&too_old), (unsigned long long)stats.snapshots_given_up);
    ASSERT(atomic_load(&too_old) >= 3 && stats.snapshots_given_up >= 3);
}

/* It is not snapshots but a transaction at work that fills it: that one is refused. */
static void
test_full(struct test_session *a, struct test_session *b)
{
    session_begin(b, TXN_REPEATABLE_READ);
    struct txn_row row;
    bool found = false;
    uint8_t memory[4];
    struct diag diag;
    OK(txn_get(
        b->task, b->txn, b->snapshot, tree, key_of(memory, 2), &b->arena, &row, &found, &diag));
    uint32_t generation = load_le32(row.value.data + 4);
    enum err err = ERR_OK;
    session_begin(a, TXN_READ_COMMITTED);
    for (int i = 0; err == ERR_OK; i++) {
        ASSERT(i < 20);
        err = change(a, 0, 1, 5000 + (uint32_t)i, true);
        session_statement(a);
    }
    ASSERT(err == ERR_LIMIT);
    ASSERT(scan_all(b, generation, generation, true, false) == ERR_OK);
    txn_rollback(a->task, a->txn);
    /* Now it is the undo of a transaction that has ended. */
    err = scan_all(b, generation, generation, true, false);
    ASSERT(err == ERR_OK || err == ERR_SNAPSHOT_TOO_OLD);
    session_commit(b);
    AWAIT(a->task, spilled() == 0);
}

static bool finished;

static void
run(struct task *task, void *arg)
{
    const char *directory = arg;
    struct test_session a;
    struct test_session b;
    struct diag diag;
    bool simulated = world_trace_hash(task_world(task)) != 0;
    open_db(task, directory, 0);
    session_create(&a, task, db, 1);
    session_create(&b, task, db, 2);
    session_begin(&a, TXN_READ_COMMITTED);
    OK(txn_tree_create(task, a.txn, &tree, &diag));
    insert_all(&a, 1, false);
    session_commit(&a);
    test_own(&a, &b);
    test_tombstones(&a, &b);
    test_many(&a, &b);
    test_key_share(&a, &b);
    session_destroy(&b);
    test_checkpoint(task, directory, &a);
    if (!simulated) {
        test_no_file(task, directory, &a);
    }
    session_destroy(&a);
    txn_db_close(task, db);

    open_db(task, directory, 4 << 20);
    session_create(&a, task, db, 1);
    session_create(&b, task, db, 2);
    atomic_store(&too_old, 0);
    test_too_old(task, &a);
    test_full(&a, &b);
    session_destroy(&a);
    session_destroy(&b);
    txn_db_close(task, db);
    finished = true;
    world_stop(task_world(task));
}

int
main(void)
{
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct diag diag;
        struct world_sim_options options = {0};
        struct world *world = world_sim_new(seed, &options);
        static char directory[] = "/data";
        finished = false;
        OK(task_spawn(world, 0, "test", run, directory, &diag));
        world_run(world);
        world_delete(world);
        ASSERT(finished);
    }
    finished = false;
    test_run_os(run, 2, NULL);
    ASSERT(finished);
    return 0;
}
