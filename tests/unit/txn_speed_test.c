/* How long the paths of a transaction take: processor time, but for commits. Prints; fails only if
 * something breaks. An argument multiplies the work, a second one (read, update, commit) chooses.
 */
#include <time.h>

#include "btree/btree.h"
#include "tests/unit/txn_util.h"
#include "wal/wal.h"

enum {
    ROWS = 100 * 1000,
    TASKS_MAX = 64,
};

static uint64_t factor = 1;
static const char *only;
static tree_id_t tree;
static _Atomic int live;
static uint64_t per_task;

static struct slice
key_of(uint8_t memory[8], uint64_t number)
{
    store_be64(memory, number);
    return slice_of(memory, 8);
}

static double
seconds(struct task *task, int64_t since)
{
    return (double)(world_clock_us(task_world(task)) - since) / 1e6;
}

/* Of this process: what others do meanwhile does not count. */
static int64_t
cpu_ns(void)
{
    return (int64_t)clock() * (1000000000 / CLOCKS_PER_SEC);
}

static double
cpu_each(int64_t since, uint64_t count)
{
    return (double)(cpu_ns() - since) / (double)count;
}

static void
load(struct task *task, struct txn_db *db)
{
    struct test_session s;
    struct diag diag;
    uint8_t value[100] = {0};
    uint8_t key[8];
    session_create(&s, task, db, 1);
    session_begin(&s, TXN_READ_COMMITTED);
    OK(txn_tree_create(task, s.txn, &tree, &diag));
    int64_t start = cpu_ns();
    for (uint64_t i = 0; i < ROWS; i++) {
        OK(txn_insert(
            task, s.txn, tree, key_of(key, i), slice_of(value, sizeof value), NULL, NULL, &diag));
    }
    session_commit(&s);
    (void)printf("insert in one transaction: %.0f ns a row\n", cpu_each(start, ROWS));
    session_destroy(&s);
}

static void
measure_reads(struct task *task, struct txn_db *db)
{
    struct test_session s;
    struct diag diag;
    uint8_t key[8];
    uint64_t count = 100 * 1000 * factor;
    session_create(&s, task, db, 1);
    int64_t start = cpu_ns();
    for (uint64_t i = 0; i < count; i++) {
        struct txn_row row;
        bool found = false;
        session_begin(&s, TXN_READ_COMMITTED);
        OK(txn_get(task, s.txn, s.snapshot, tree, key_of(key, hash_u64(i) % ROWS), &s.arena, &row,
            &found, &diag));
        ASSERT(found);
        session_commit(&s);
    }
    double whole = cpu_each(start, count);
    start = cpu_ns();
    for (uint64_t i = 0; i < count; i++) {
        struct txn_row row;
        bool found = false;
        session_begin(&s, TXN_READ_COMMITTED);
        OK(txn_get(
            task, s.txn, s.snapshot, tree, key_of(key, i % 64), &s.arena, &row, &found, &diag));
        session_commit(&s);
    }
    double near = cpu_each(start, count);
    session_begin(&s, TXN_READ_COMMITTED);
    start = cpu_ns();
    for (uint64_t i = 0; i < count; i++) {
        struct txn_row row;
        bool found = false;
        arena_reset(&s.arena);
        OK(txn_get(task, s.txn, s.snapshot, tree, key_of(key, hash_u64(i) % ROWS), &s.arena, &row,
            &found, &diag));
    }
    double get = cpu_each(start, count);
    session_commit(&s);
    start = cpu_ns();
    for (uint64_t i = 0; i < count; i++) {
        session_begin(&s, TXN_READ_COMMITTED);
        OK(txn_lock_table(task, s.txn, 4711, "t", TXN_ACCESS_SHARE, TXN_WAIT, &diag));
        session_commit(&s);
    }
    double locked = cpu_each(start, count);
    session_begin(&s, TXN_READ_COMMITTED);
    start = cpu_ns();
    size_t rows = session_count(&s, tree, false);
    double scan = cpu_each(start, rows);
    session_commit(&s);
    (void)printf("begin, get, commit: %.0f ns, of few rows %.0f; get alone: %.0f ns; begin, table "
                 "lock, commit: %.0f "
                 "ns; scan: %.0f ns a row\n",
        whole, near, get, locked, scan);
    session_destroy(&s);
}

static void
update_one(struct test_session *s, uint64_t number, uint64_t seed)
{
    struct diag diag;
    struct txn_row row;
    bool found = false;
    enum txn_outcome outcome;
    uint8_t key[8];
    session_begin(s, TXN_READ_COMMITTED);
    OK(txn_get(
        s->task, s->txn, s->snapshot, tree, key_of(key, number), &s->arena, &row, &found, &diag));
    do {
        uint8_t value[100];
        memcpy(value, row.value.data, sizeof value);
        store_le64(value + 40, load_le64(value + 40) + seed);
        OK(txn_update(s->task, s->txn, s->snapshot, tree, key_of(key, number), row.version,
            slice_of(value, sizeof value), &s->arena, &row, &outcome, &diag));
    } while (outcome == TXN_CHANGED);
    session_commit(s);
}

static void
measure_updates(struct task *task, struct txn_db *db)
{
    struct test_session s;
    uint64_t count = 20 * 1000 * factor;
    session_create(&s, task, db, 1);
    int64_t start = cpu_ns();
    for (uint64_t i = 0; i < count; i++) {
        txn_set_synchronous(s.txn, i % 32 == 0);
        update_one(&s, hash_u64(i) % ROWS, i);
    }
    double whole = cpu_each(start, count);
    start = cpu_ns();
    for (uint64_t i = 0; i < count; i++) {
        txn_set_synchronous(s.txn, i % 32 == 0);
        update_one(&s, i % 64, i);
    }
    double near = cpu_each(start, count);
    (void)printf("begin, get, update, commit, every 32nd to the disk: %.0f ns, of few rows %.0f\n",
        whole, near);
    session_destroy(&s);
}

struct client {
    struct txn_db *db;
    uint64_t number;
    bool hot;
};

static void
client_main(struct task *task, void *arg)
{
    const struct client *client = arg;
    struct test_session s;
    session_create(&s, task, client->db, (uint32_t)client->number + 10);
    for (uint64_t i = 0; i < per_task; i++) {
        update_one(&s, client->hot ? 5 : hash_u64(i * 100 + client->number) % ROWS, i);
    }
    session_destroy(&s);
    atomic_fetch_sub(&live, 1);
}

static void
measure_commits(struct task *task, struct txn_db *db, int tasks, bool hot)
{
    struct diag diag;
    struct client clients[TASKS_MAX];
    struct txn_db_stats before;
    struct txn_db_stats after;
    per_task = (tasks == 1 ? 200 : tasks == 8 ? 200 : 100) * factor;
    txn_db_stats(db, &before);
    atomic_store(&live, tasks);
    int64_t start = world_clock_us(task_world(task));
    for (int i = 0; i < tasks; i++) {
        clients[i] = (struct client){.db = db, .number = (uint64_t)i, .hot = hot};
        OK(task_spawn(task_world(task), i, "client", client_main, &clients[i], &diag));
    }
    AWAIT(task, atomic_load(&live) == 0);
    double took = seconds(task, start);
    txn_db_stats(db, &after);
    (void)printf("%d tasks%s: %.0f durable commits/s, %.1f commits a flush\n", tasks,
        hot ? " on one row" : "", (double)per_task * tasks / took,
        (double)per_task * tasks / (double)(after.wal_flushes - before.wal_flushes));
    task_sleep(task, 5000);
}

static void
run(struct task *task, void *arg)
{
    struct diag diag;
    struct txn_db *db = NULL;
    struct txn_db_options options = {.directory = arg, .wal_segment_size = 64 << 20};
    OK(txn_db_open(task, &options, &db, &diag));
    load(task, db);
    if (only == NULL || strcmp(only, "read") == 0) {
        measure_reads(task, db);
    }
    if (only == NULL || strcmp(only, "update") == 0) {
        measure_updates(task, db);
    }
    if (only != NULL && strcmp(only, "commit") == 0) {
        measure_commits(task, db, 64, false);
    }
    if (only != NULL) {
        txn_db_close(task, db);
        world_stop(task_world(task));
        return;
    }
    measure_commits(task, db, 1, false);
    measure_commits(task, db, 8, false);
    measure_commits(task, db, 64, false);
    measure_commits(task, db, 64, true);
    int64_t start = world_clock_us(task_world(task));
    OK(txn_db_checkpoint(task, db, &diag));
    (void)printf("checkpoint: %.0f ms\n", seconds(task, start) * 1e3);
    txn_db_close(task, db);
    world_stop(task_world(task));
}

int
main(int argc, char **argv)
{
    factor = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    only = argc > 2 ? argv[2] : NULL;
    test_run_os(run, 2, NULL);
    return 0;
}
