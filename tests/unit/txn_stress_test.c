/*
 * Several workers at once: money moves between accounts, rows come and go, values move to overflow
 * pages and back, transactions roll back, whole or to savepoints, checkpoints run, and every reader
 * sees the same sum at every snapshot, forward and backward, at each isolation level. Also with a
 * cache that holds a part of it only, and with undo that goes to its file.
 * ctest: threads
 */
#include "tests/unit/txn_util.h"

enum {
    ACCOUNTS = 300,
    BALANCE = 1000,
    WRITERS = 6,
    READERS = 3,
    LARGE = 9000,
};

static struct txn_db *db;
static tree_id_t tree;
static tree_id_t index_tree; /* balance and account to nothing, kept in step by the writers */
static _Atomic int live_writers;
static _Atomic int live;
static uint64_t rounds = 400;
static uint64_t cache_size, undo_memory;

static struct txn_db *
open_db(struct task *task, const char *directory)
{
    struct diag diag;
    struct txn_db *opened = NULL;
    struct txn_db_options options = {.directory = directory,
        .cache_size = cache_size,
        .wal_segment_size = 1 << 20,
        .undo_memory = undo_memory};
    OK(txn_db_open(task, &options, &opened, &diag));
    return opened;
}

struct actor {
    uint32_t number;
    uint64_t state;
};

static uint64_t
draw(struct actor *actor, uint64_t bound)
{
    actor->state = hash_u64(actor->state + 1);
    return actor->state % bound;
}

/* Half of the time one of a few that everybody wants. */
static uint64_t
pick(struct actor *actor)
{
    return draw(actor, 2) == 0 ? draw(actor, 20) : draw(actor, ACCOUNTS);
}

static struct slice
account_key(uint8_t memory[4], uint64_t account)
{
    store_be32(memory, (uint32_t)account);
    return slice_of(memory, 4);
}

static struct slice
index_key(uint8_t memory[12], uint64_t balance, uint64_t account)
{
    store_be64(memory, balance);
    store_be32(memory + 8, (uint32_t)account);
    return slice_of(memory, 12);
}

/* A row is its balance, twice, and now and then a long tail that follows from it. */
static struct slice
make_value(struct arena *arena, uint64_t balance, size_t tail)
{
    uint8_t *bytes = arena_alloc(arena, 16 + tail);
    store_le64(bytes, balance);
    store_le64(bytes + 8, ~balance);
    memset(bytes + 16, (int)(balance & 0xFF), tail);
    return slice_of(bytes, 16 + tail);
}

static uint64_t
balance_of(struct slice value)
{
    ASSERT(value.size >= 16);
    uint64_t balance = load_le64(value.data);
    ASSERT(load_le64(value.data + 8) == ~balance);
    for (size_t i = 16; i < value.size; i += 97) {
        ASSERT(value.data[i] == (balance & 0xFF));
    }
    return balance;
}

/* ---- writers -----------------------------------------------------------------------------------
 */

static enum err
replace_index(struct test_session *s, uint64_t account, uint64_t before, uint64_t after)
{
    uint8_t old_key[12];
    uint8_t new_key[12];
    struct txn_row row;
    bool found = false;
    enum txn_outcome outcome;
    if (before == after) {
        return ERR_OK;
    }
    struct slice key = index_key(old_key, before, account);
    struct txn_snapshot now = {.lsn = txn_db_visible_lsn(db), .command = UINT32_MAX};
    TRY(txn_get(s->task, s->txn, now, index_tree, key, &s->arena, &row, &found, &s->diag));
    ASSERT(found);
    TRY(txn_remove(s->task, s->txn, s->snapshot, index_tree, key, row.version, &s->arena, &row,
        &outcome, &s->diag));
    ASSERT(outcome == TXN_DONE);
    TRY(txn_insert(s->task, s->txn, index_tree, index_key(new_key, after, account), slice_of("", 0),
        &s->arena, NULL, &s->diag));
    return ERR_OK;
}

static enum err
add(struct test_session *s, struct actor *actor, uint64_t account, int64_t amount, bool *done)
{
    uint8_t memory[4];
    struct slice key = account_key(memory, account);
    struct txn_row row;
    bool found = false;
    enum txn_outcome outcome = TXN_GONE;
    *done = false;
    TRY(txn_get(s->task, s->txn, s->snapshot, tree, key, &s->arena, &row, &found, &s->diag));
    if (!found) {
        return ERR_OK; /* it is being moved */
    }
    uint64_t before = 0;
    uint64_t after = 0;
    do {
        before = balance_of(row.value);
        if ((int64_t)before + amount < 0) {
            return ERR_OK;
        }
        after = before + (uint64_t)amount;
        size_t tail = draw(actor, 12) == 0 ? LARGE : draw(actor, 40);
        TRY(txn_update(s->task, s->txn, s->snapshot, tree, key, row.version,
            make_value(&s->arena, after, tail), &s->arena, &row, &outcome, &s->diag));
    } while (outcome == TXN_CHANGED);
    if (outcome != TXN_DONE) {
        return ERR_OK;
    }
    *done = true;
    if (draw(actor, 3) == 0) {
        task_yield(s->task); /* others come while we hold the row */
    }
    return replace_index(s, account, before, after);
}

/* Delete the account and make it again, in two statements. */
static enum err
renew(struct test_session *s, uint64_t account)
{
    uint8_t memory[4];
    struct slice key = account_key(memory, account);
    struct txn_row row;
    bool found = false;
    enum txn_outcome outcome = TXN_GONE;
    TRY(txn_get(s->task, s->txn, s->snapshot, tree, key, &s->arena, &row, &found, &s->diag));
    while (found) {
        TRY(txn_remove(s->task, s->txn, s->snapshot, tree, key, row.version, &s->arena, &row,
            &outcome, &s->diag));
        if (outcome != TXN_CHANGED) {
            break;
        }
    }
    if (outcome != TXN_DONE) {
        return ERR_OK;
    }
    uint64_t balance = balance_of(row.value);
    session_statement(s);
    return txn_insert(
        s->task, s->txn, tree, key, make_value(&s->arena, balance, 3), &s->arena, NULL, &s->diag);
}

/* Locks that have no other purpose than to be in the way. */
static enum err
lock_something(struct test_session *s, struct actor *actor)
{
    enum txn_table_lock mode = draw(actor, 30) == 0   ? TXN_ACCESS_EXCLUSIVE
                               : draw(actor, 10) == 0 ? TXN_SHARE
                                                      : TXN_ROW_EXCLUSIVE;
    TRY(txn_lock_table(s->task, s->txn, 70 + draw(actor, 3), "t", mode,
        draw(actor, 9) == 0 ? TXN_NOWAIT : TXN_WAIT, &s->diag));
    if (draw(actor, 3) == 0) {
        task_yield(s->task);
    }
    uint8_t memory[4];
    struct slice key = account_key(memory, pick(actor));
    struct txn_row row;
    bool found = false;
    enum txn_outcome outcome;
    TRY(txn_get(s->task, s->txn, s->snapshot, tree, key, &s->arena, &row, &found, &s->diag));
    if (found && draw(actor, 3) == 0) {
        TRY(txn_lock_row(s->task, s->txn, s->snapshot, tree, key, row.version,
            (enum txn_row_lock)draw(actor, 4), (enum txn_wait)draw(actor, 3), &s->arena, &row,
            &outcome, &s->diag));
    }
    return ERR_OK;
}

static enum err
transfer(struct test_session *s, struct actor *actor)
{
    uint64_t from = pick(actor);
    uint64_t to = pick(actor);
    to = to == from ? (from + 1) % ACCOUNTS : to;
    int64_t amount = (int64_t)draw(actor, 50);
    bool done = false;
    TRY(lock_something(s, actor));
    if (draw(actor, 10) == 0) {
        return renew(s, from);
    }
    TRY(add(s, actor, from, -amount, &done));
    if (!done) {
        return ERR_OK;
    }
    session_statement(s);
    if (draw(actor, 3) == 0) { /* to the wrong account first, and taken back */
        uint32_t depth;
        TRY(txn_savepoint(s->task, s->txn, &depth, &s->diag));
        TRY(add(s, actor, pick(actor), amount, &done));
        session_statement(s);
        txn_rollback_to(s->task, s->txn, depth);
        session_statement(s);
    }
    TRY(add(s, actor, to, amount, &done));
    return done ? ERR_OK : ERR_QUERY_CANCELED;
}

static void
writer_main(struct task *task, void *arg)
{
    struct actor *actor = arg;
    struct test_session s;
    session_create(&s, task, db, actor->number);
    for (uint64_t i = 0; i < rounds; i++) {
        txn_set_synchronous(s.txn, draw(actor, 20) == 0);
        txn_set_lock_timeout(s.txn, draw(actor, 4) == 0 ? (int64_t)draw(actor, 400) : 0);
        session_begin(&s, draw(actor, 4) == 0 ? TXN_REPEATABLE_READ : TXN_READ_COMMITTED);
        enum err err = transfer(&s, actor);
        if (err == ERR_OK && draw(actor, 8) != 0) {
            session_commit(&s);
        } else {
            ASSERT(err == ERR_OK || err == ERR_QUERY_CANCELED || err == ERR_DEADLOCK ||
                   err == ERR_SERIALIZATION || err == ERR_LOCK_NOT_AVAILABLE);
            txn_rollback(task, s.txn);
        }
        if (i % 16 == 0) {
            task_yield(task);
        }
    }
    session_destroy(&s);
    atomic_fetch_sub(&live_writers, 1);
    atomic_fetch_sub(&live, 1);
}

/* ---- readers -----------------------------------------------------------------------------------
 */

static void
check_rows(struct test_session *s, bool backward, uint64_t balances[ACCOUNTS])
{
    struct diag diag;
    struct txn_scan *scan = NULL;
    struct txn_range range = {0};
    uint64_t sum = 0;
    uint64_t count = 0;
    OK(txn_scan_open(
        s->task, s->txn, s->snapshot, tree, &range, backward, &s->arena, &scan, &diag));
    for (;;) {
        struct txn_row row;
        bool found = false;
        OK(txn_scan_next(s->task, scan, &row, &found, &diag));
        if (!found) {
            break;
        }
        uint64_t account = load_be32(row.key.data);
        ASSERT(account == (backward ? ACCOUNTS - 1 - count : count));
        balances[account] = balance_of(row.value);
        sum += balances[account];
        count++;
        if (count % 20 == 0) {
            task_yield(s->task);
        }
    }
    txn_scan_close(s->task, scan);
    ASSERT(count == ACCOUNTS && sum == (uint64_t)ACCOUNTS * BALANCE);
}

/* The index has exactly the rows' balances. */
static void
check_index(struct test_session *s, const uint64_t balances[ACCOUNTS])
{
    struct diag diag;
    struct txn_scan *scan = NULL;
    struct txn_range range = {0};
    uint64_t count = 0;
    OK(txn_scan_open(
        s->task, s->txn, s->snapshot, index_tree, &range, false, &s->arena, &scan, &diag));
    for (;;) {
        struct txn_row row;
        bool found = false;
        OK(txn_scan_next(s->task, scan, &row, &found, &diag));
        if (!found) {
            break;
        }
        ASSERT(load_be64(row.key.data) == balances[load_be32(row.key.data + 8)]);
        count++;
    }
    txn_scan_close(s->task, scan);
    ASSERT(count == ACCOUNTS);
}

static void
check_points(struct test_session *s, const uint64_t balances[ACCOUNTS])
{
    struct diag diag;
    for (uint64_t i = 0; i < ACCOUNTS; i += 7) {
        uint8_t memory[4];
        struct txn_row row;
        bool found = false;
        OK(txn_get(s->task, s->txn, s->snapshot, tree, account_key(memory, i), &s->arena, &row,
            &found, &diag));
        ASSERT(found && balance_of(row.value) == balances[i]);
    }
}

static void
reader_main(struct task *task, void *arg)
{
    struct actor *actor = arg;
    struct test_session s;
    uint64_t balances[ACCOUNTS];
    session_create(&s, task, db, actor->number);
    while (atomic_load(&live_writers) > 0) {
        bool repeatable = draw(actor, 2) == 0;
        session_begin(&s, repeatable ? TXN_REPEATABLE_READ : TXN_READ_COMMITTED);
        for (uint64_t i = 1 + draw(actor, 3); i > 0; i--) {
            check_rows(&s, draw(actor, 2) == 0, balances);
            check_index(&s, balances);
            check_points(&s, balances);
            if (!repeatable) {
                txn_snapshots_release(s.txn);
            }
            task_yield(task);
            session_statement(&s);
        }
        session_commit(&s);
    }
    session_destroy(&s);
    atomic_fetch_sub(&live, 1);
}

/* ---- all of it ---------------------------------------------------------------------------------
 */

static void
fill(struct task *task)
{
    struct test_session s;
    struct diag diag;
    session_create(&s, task, db, 1);
    session_begin(&s, TXN_READ_COMMITTED);
    OK(txn_tree_create(task, s.txn, &tree, &diag));
    OK(txn_tree_create(task, s.txn, &index_tree, &diag));
    for (uint64_t i = 0; i < ACCOUNTS; i++) {
        uint8_t memory[4];
        uint8_t index_memory[12];
        OK(txn_insert(task, s.txn, tree, account_key(memory, i),
            make_value(&s.arena, BALANCE, i % 5 == 0 ? LARGE : 0), NULL, NULL, &diag));
        OK(txn_insert(task, s.txn, index_tree, index_key(index_memory, BALANCE, i), slice_of("", 0),
            NULL, NULL, &diag));
    }
    session_commit(&s);
    session_destroy(&s);
}

static void
check_all(struct task *task)
{
    struct test_session s;
    uint64_t balances[ACCOUNTS];
    session_create(&s, task, db, 1);
    session_begin(&s, TXN_READ_COMMITTED);
    check_rows(&s, false, balances);
    check_index(&s, balances);
    session_commit(&s);
    session_destroy(&s);
}

static bool finished;

static void
run(struct task *task, void *arg)
{
    static struct actor actors[WRITERS + READERS];
    struct diag diag;
    db = open_db(task, arg);
    fill(task);
    atomic_store(&live_writers, WRITERS);
    atomic_store(&live, WRITERS + READERS);
    for (uint32_t i = 0; i < WRITERS + READERS; i++) {
        actors[i] = (struct actor){.number = 10 + i, .state = i + 1};
        OK(task_spawn(task_world(task), (int)i, "actor", i < WRITERS ? writer_main : reader_main,
            &actors[i], &diag));
    }
    while (atomic_load(&live_writers) > 0) {
        OK(txn_db_checkpoint(task, db, &diag));
        task_sleep(task, 3000);
    }
    AWAIT(task, atomic_load(&live) == 0);
    task_sleep(task, 2000);
    check_all(task);
    struct txn_db_stats counts;
    txn_db_stats(db, &counts);
    (void)fprintf(stderr,
        "%llu commits, %llu rollbacks, %llu deadlocks, %llu checkpoints, %llu blocks of undo "
        "spilled\n",
        (unsigned long long)counts.commits, (unsigned long long)counts.rollbacks,
        (unsigned long long)counts.deadlocks, (unsigned long long)counts.checkpoints,
        (unsigned long long)counts.undo_spilled_blocks);
    /* Nothing is left over: no versions, no tombstones, no locks. */
    struct txn_db_stats stats;
    uint64_t leaves;
    uint64_t rows;
    AWAIT(task, (txn_db_stats(db, &stats), stats.undo_bytes < 300 * 1000 && stats.locks == 0));
    AWAIT(task, (txn_tree_size(db, tree, &leaves, &rows), rows == ACCOUNTS));
    AWAIT(task, (txn_tree_size(db, index_tree, &leaves, &rows), rows == ACCOUNTS));
    for (int i = 0; i < 2; i++) {
        txn_db_close(task, db);
        db = open_db(task, arg);
        check_all(task);
    }
    txn_db_close(task, db);
    finished = true;
    world_stop(task_world(task));
}

int
main(int argc, char **argv)
{
    uint64_t seeds = 6;
    if (argc > 1) {
        rounds = strtoull(argv[1], NULL, 10);
        seeds = 0;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct diag diag;
        struct world_sim_options options = {0};
        struct world *world = world_sim_new(seed, &options);
        static char directory[] = "/data";
        uint64_t all = rounds;
        rounds = 60;
        cache_size = seed % 2 == 0 ? 1 << 20 : 64 << 20;
        undo_memory = seed % 3 == 0 ? 0 : 32768;
        finished = false;
        OK(task_spawn(world, 0, "test", run, directory, &diag));
        world_run(world);
        world_delete(world);
        ASSERT(finished);
        rounds = all;
    }
    for (int i = 0; i < 4; i++) {
        cache_size = i % 2 == 0 ? 1 << 20 : 64 << 20;
        undo_memory = i < 2 ? 0 : 65536;
        finished = false;
        test_run_os(run, 2, NULL);
        ASSERT(finished);
    }
    return 0;
}
