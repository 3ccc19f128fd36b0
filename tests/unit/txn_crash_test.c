/*
 * kill -9, many times: what was acknowledged is there, what was not is wholly there or absent.
 *
 * A child process runs transfers between accounts, each with a row of history, large transactions
 * whose redo goes to the log in parts (with a savepoint rolled back in their middle), trees created
 * and dropped, and checkpoints at random moments. It tells through a pipe what was committed. The
 * parent kills it, opens the directory itself, and checks.
 *
 * ctest: threads
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/txn_util.h"

enum {
    WORKERS = 6,
    ACCOUNTS = 50,
    BALANCE = 1000,
    BIG_ROWS = 6000,
    BIG_VALUE = 3000,
    BIG_MAX = 10,       /* the cache holds everything */
    TREE_ACCOUNTS = 10, /* fixed ids */
    TREE_HISTORY = 11,
    TREE_BIG = 12,
};

static const char *directory;
static int pipe_out;
static int pipe_in;

struct message {
    uint32_t worker, number; /* worker WORKERS: a large transaction */
};

static struct slice
key_of(uint8_t memory[8], uint32_t high, uint32_t low)
{
    store_be32(memory, high);
    store_be32(memory + 4, low);
    return slice_of(memory, 8);
}

static void
acknowledge(uint32_t worker, uint32_t number)
{
    struct message message = {worker, number};
    ASSERT(write(pipe_out, &message, sizeof message) == sizeof message);
}

/* ---- the child ---------------------------------------------------------------------------------
 */

struct worker {
    struct txn_db *db;
    uint32_t number;
    uint32_t next; /* of history */
};

static int64_t
read_balance(struct test_session *s, uint32_t account, struct txn_row *row)
{
    struct diag diag;
    bool found = false;
    uint8_t *memory = arena_alloc(&s->arena, 8);
    OK(txn_get(s->task, s->txn, s->snapshot, (tree_id_t){TREE_ACCOUNTS}, key_of(memory, account, 0),
        &s->arena, row, &found, &diag));
    ASSERT(found && row->value.size >= 8);
    return (int64_t)load_le64(row->value.data);
}

static enum err
change_balance(struct test_session *s, uint32_t account, int64_t amount)
{
    struct txn_row row;
    enum txn_outcome outcome;
    (void)read_balance(s, account, &row);
    do {
        uint8_t key[8];
        uint8_t value[64] = "........ some words that stay the same, so that deltas are short";
        store_le64(value, load_le64(row.value.data) + (uint64_t)amount);
        TRY(txn_update(s->task, s->txn, s->snapshot, (tree_id_t){TREE_ACCOUNTS},
            key_of(key, account, 0), row.version, slice_of(value, sizeof value), &s->arena, &row,
            &outcome, &s->diag));
    } while (outcome == TXN_CHANGED);
    ASSERT(outcome == TXN_DONE);
    return ERR_OK;
}

static enum err
transfer(struct test_session *s, struct worker *w)
{
    struct world *world = task_world(s->task);
    uint32_t from = (uint32_t)(world_random(world) % ACCOUNTS);
    uint32_t to = (uint32_t)(world_random(world) % ACCOUNTS);
    uint64_t amount = world_random(world) % 100;
    session_begin(s, TXN_READ_COMMITTED);
    TRY(change_balance(s, from, -(int64_t)amount));
    session_statement(s);
    TRY(change_balance(s, to, (int64_t)amount));
    uint8_t key[8];
    uint8_t value[16];
    store_le32(value, from);
    store_le32(value + 4, to);
    store_le64(value + 8, amount);
    TRY(txn_insert(s->task, s->txn, (tree_id_t){TREE_HISTORY}, key_of(key, w->number, w->next),
        slice_of(value, sizeof value), NULL, NULL, &s->diag));
    return world_random(world) % 10 == 0 ? ERR_QUERY_CANCELED : ERR_OK;
}

static void
transfer_main(struct task *task, void *arg)
{
    struct worker *w = arg;
    struct test_session s;
    session_create(&s, task, w->db, w->number + 1);
    for (;;) {
        enum err err = transfer(&s, w);
        if (err == ERR_OK) {
            session_commit(&s);
            acknowledge(w->number, w->next++);
        } else {
            ASSERT(err == ERR_DEADLOCK || err == ERR_QUERY_CANCELED);
            txn_rollback(task, s.txn);
        }
    }
}

static void
big_main(struct task *task, void *arg)
{
    struct worker *w = arg;
    struct test_session s;
    struct diag diag;
    uint8_t *value = mem_zalloc(BIG_VALUE);
    session_create(&s, task, w->db, 99);
    for (; w->next < BIG_MAX; w->next++) {
        session_begin(&s, TXN_READ_COMMITTED);
        tree_id_t extra;
        OK(txn_tree_create(task, s.txn, &extra, &diag));
        ASSERT(session_insert(&s, extra, "in a new tree", "row") == ERR_OK);
        for (uint32_t i = 0; i < BIG_ROWS; i++) {
            uint32_t depth = 0;
            if (i == BIG_ROWS / 3 || i == BIG_ROWS - 100) {
                OK(txn_savepoint(task, s.txn, &depth, &diag));
            }
            uint8_t key[8];
            store_le32(value, i);
            store_le32(value + 4, w->next);
            OK(txn_insert(task, s.txn, (tree_id_t){TREE_BIG}, key_of(key, w->next, i),
                slice_of(value, BIG_VALUE), NULL, NULL, &diag));
            if (i == BIG_ROWS - 1) {
                txn_rollback_to(task, s.txn, 2);
            }
            (void)task_breathe(task, NULL);
        }
        session_commit(&s);
        acknowledge(WORKERS, w->next);
        session_begin(&s, TXN_READ_COMMITTED);
        OK(txn_tree_drop(task, s.txn, extra, &diag));
        session_commit(&s);
    }
    session_destroy(&s);
    mem_free(value);
}

static void
set_up(struct task *task, struct txn_db *db)
{
    struct test_session s;
    struct diag diag;
    session_create(&s, task, db, 1);
    session_begin(&s, TXN_READ_COMMITTED);
    for (uint64_t id = TREE_ACCOUNTS; id <= TREE_BIG; id++) {
        OK(txn_tree_create_fixed(task, s.txn, (tree_id_t){id}, &diag));
    }
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        uint8_t key[8];
        uint8_t value[8];
        store_le64(value, BALANCE);
        OK(txn_insert(task, s.txn, (tree_id_t){TREE_ACCOUNTS}, key_of(key, i, 0),
            slice_of(value, sizeof value), NULL, NULL, &diag));
    }
    session_commit(&s);
    session_destroy(&s);
}

static uint32_t
next_number(struct test_session *s, uint64_t tree, uint32_t high)
{
    struct diag diag;
    uint8_t low_key[8];
    uint8_t high_key[8];
    struct txn_range range = {.low = key_of(low_key, high, 0),
        .high = key_of(high_key, high + 1, 0),
        .has_low = tree == TREE_HISTORY,
        .has_high = tree == TREE_HISTORY,
        .high_exclusive = true};
    struct txn_scan *scan = NULL;
    struct txn_row row;
    bool found = false;
    OK(txn_scan_open(
        s->task, s->txn, s->snapshot, (tree_id_t){tree}, &range, true, &s->arena, &scan, &diag));
    OK(txn_scan_next(s->task, scan, &row, &found, &diag));
    uint32_t next = found ? load_be32(row.key.data + (tree == TREE_HISTORY ? 4 : 0)) + 1 : 0;
    txn_scan_close(s->task, scan);
    return next;
}

static void
child_run(struct task *task, void *arg)
{
    (void)arg;
    struct diag diag;
    struct txn_db *db = test_open(task, directory);
    if (txn_db_is_new(db)) {
        set_up(task, db);
    }
    static struct worker workers[WORKERS + 1];
    struct test_session s;
    session_create(&s, task, db, 1);
    session_begin(&s, TXN_READ_COMMITTED);
    for (uint32_t i = 0; i <= WORKERS; i++) {
        workers[i] = (struct worker){.db = db, .number = i};
        workers[i].next =
            i < WORKERS ? next_number(&s, TREE_HISTORY, i) : next_number(&s, TREE_BIG, 0);
    }
    session_commit(&s);
    for (uint32_t i = 0; i <= WORKERS; i++) {
        OK(task_spawn(task_world(task), (int)i, "worker", i < WORKERS ? transfer_main : big_main,
            &workers[i], &diag));
    }
    for (;;) {
        task_sleep(task, (int64_t)(world_random(task_world(task)) % 80000));
        OK(txn_db_checkpoint(task, db, &diag));
    }
}

/* ---- the parent --------------------------------------------------------------------------------
 */

static uint32_t acknowledged[WORKERS + 1]; /* how many */

static void
check_history(struct test_session *s, int64_t balances[ACCOUNTS])
{
    struct diag diag;
    struct txn_scan *scan = NULL;
    struct txn_range range = {0};
    uint32_t next[WORKERS] = {0};
    OK(txn_scan_open(s->task, s->txn, s->snapshot, (tree_id_t){TREE_HISTORY}, &range, false,
        &s->arena, &scan, &diag));
    for (;;) {
        struct txn_row row;
        bool found = false;
        OK(txn_scan_next(s->task, scan, &row, &found, &diag));
        if (!found) {
            break;
        }
        uint32_t worker = load_be32(row.key.data);
        ASSERT(worker < WORKERS && load_be32(row.key.data + 4) == next[worker]);
        next[worker]++;
        int64_t amount = (int64_t)load_le64(row.value.data + 8);
        balances[load_le32(row.value.data)] -= amount;
        balances[load_le32(row.value.data + 4)] += amount;
    }
    txn_scan_close(s->task, scan);
    for (uint32_t i = 0; i < WORKERS; i++) {
        ASSERT(next[i] >= acknowledged[i]);
        ASSERT(next[i] <= acknowledged[i] + 1); /* one more may have been on its way */
        acknowledged[i] = next[i];
    }
}

static void
check_big(struct test_session *s)
{
    struct diag diag;
    struct txn_scan *scan = NULL;
    struct txn_range range = {0};
    uint32_t number = 0;
    uint32_t rows = 0;
    OK(txn_scan_open(s->task, s->txn, s->snapshot, (tree_id_t){TREE_BIG}, &range, false, &s->arena,
        &scan, &diag));
    for (;;) {
        struct txn_row row;
        bool found = false;
        OK(txn_scan_next(s->task, scan, &row, &found, &diag));
        if (!found) {
            break;
        }
        ASSERT(load_be32(row.key.data) == number && load_be32(row.key.data + 4) == rows);
        ASSERT(row.value.size == BIG_VALUE && load_le32(row.value.data) == rows &&
               load_le32(row.value.data + 4) == number);
        if (++rows == BIG_ROWS - 100) {
            rows = 0;
            number++;
        }
    }
    txn_scan_close(s->task, scan);
    ASSERT(rows == 0); /* whole or not at all */
    ASSERT(number >= acknowledged[WORKERS] && number <= acknowledged[WORKERS] + 1);
    acknowledged[WORKERS] = number;
}

static void
parent_run(struct task *task, void *arg)
{
    (void)arg;
    struct txn_db *db = test_open(task, directory);
    if (txn_db_is_new(db)) { /* killed before it began */
        set_up(task, db);
    }
    struct test_session s;
    session_create(&s, task, db, 1);
    session_begin(&s, TXN_READ_COMMITTED);
    int64_t balances[ACCOUNTS];
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        balances[i] = BALANCE;
    }
    check_history(&s, balances);
    int64_t sum = 0;
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        struct txn_row row;
        int64_t balance = read_balance(&s, i, &row);
        ASSERT(balance == balances[i]);
        sum += balance;
    }
    ASSERT(sum == (int64_t)ACCOUNTS * BALANCE);
    check_big(&s);
    session_commit(&s);
    session_destroy(&s);
    txn_db_close(task, db);
    world_stop(task_world(task));
}

static void
run_world(task_main *run)
{
    struct world *world = NULL;
    struct diag diag;
    struct world_os_options options = {.worker_count = 2};
    OK(world_os_new(&options, &world, &diag));
    OK(task_spawn(world, 0, "main", run, NULL, &diag));
    world_run(world);
    world_delete(world);
}

static void
one_round(unsigned run_ms)
{
    int ends[2];
    ASSERT(pipe(ends) == 0);
    pid_t child = fork();
    ASSERT(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        pipe_out = ends[1];
        run_world(child_run);
        _exit(0);
    }
    (void)close(ends[1]);
    pipe_in = ends[0];
    /* Read while it runs, or the pipe fills. */
    struct message message;
    pid_t killer = fork();
    ASSERT(killer >= 0);
    if (killer == 0) {
        (void)usleep(run_ms * 1000);
        (void)kill(child, SIGKILL);
        _exit(0);
    }
    while (read(pipe_in, &message, sizeof message) == sizeof message) {
        ASSERT(message.worker <= WORKERS && message.number == acknowledged[message.worker]);
        acknowledged[message.worker]++;
    }
    (void)close(pipe_in);
    int status = 0;
    ASSERT(waitpid(killer, &status, 0) == killer);
    ASSERT(waitpid(child, &status, 0) == child);
    ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    run_world(parent_run);
}

int
main(int argc, char **argv)
{
    char path[] = "/tmp/tusk_txn_XXXXXX";
    ASSERT(mkdtemp(path) != NULL);
    directory = path;
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 8;
    for (unsigned i = 0; i < rounds; i++) {
        unsigned ms = 20 + (unsigned)(hash_u64(i + 7) % 500);
        one_round(ms);
        (void)fprintf(stderr, "round %u, %u ms: %u transfers, %u large\n", i, ms,
            acknowledged[0] + acknowledged[1], acknowledged[WORKERS]);
    }
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", path);
    return system(command) == 0 ? 0 : 1;
}
