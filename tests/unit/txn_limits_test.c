/* Limits are errors for whoever asks for more (P5); files that are missing are told (P7).
 * ctest: threads */
#include <unistd.h>

#include "base/hash.h"
#include "tests/unit/txn_util.h"

static tree_id_t tree;

static struct txn_db *
open_limited(struct task *task, const char *directory)
{
    struct diag diag;
    struct txn_db *db = NULL;
    struct txn_db_options options = {.directory = directory,
        .cache_size = 64 << 20,
        .wal_segment_size = 1 << 20,
        .undo_size_max = 1 << 20,
        .locks_max = 100};
    OK(txn_db_open(task, &options, &db, &diag));
    return db;
}

/* An old snapshot keeps every version, until the limit: then it is given up, its reader is told so,
 * and writers go on. */
static void
test_undo(struct txn_db *db, struct test_session *a, struct test_session *b)
{
    enum txn_outcome outcome;
    session_begin(a, TXN_READ_COMMITTED);
    ASSERT(session_insert(a, tree, "row", "0") == ERR_OK);
    session_commit(a);
    session_begin(b, TXN_REPEATABLE_READ);
    struct txn_db_stats stats = {0};
    for (int count = 0; stats.snapshots_given_up == 0; count++) {
        ASSERT(count < 5000);
        if (count == 500) {
            ASSERT(session_sees(b, tree, "row", "0"));
        }
        session_begin(a, TXN_READ_COMMITTED);
        ASSERT(session_update(a, tree, "row", "1", &outcome) == ERR_OK && outcome == TXN_DONE);
        session_commit(a);
        txn_db_stats(db, &stats);
    }
    struct txn_row row;
    bool found = false;
    ASSERT(txn_get(b->task, b->txn, b->snapshot, tree, text("row"), &b->arena, &row, &found,
               &b->diag) == ERR_SNAPSHOT_TOO_OLD);
    ASSERT(strcmp(b->diag.message, "snapshot too old") == 0);
    ASSERT(txn_commit(b->task, b->txn, &b->diag) == ERR_OK); /* it has read nothing wrong */
    AWAIT(a->task, (txn_db_stats(db, &stats), stats.undo_bytes < 100000));
}

static void
test_locks(struct test_session *a)
{
    char key[16];
    enum err err = ERR_OK;
    int count = 0;
    session_begin(a, TXN_READ_COMMITTED);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(key, sizeof key, "l%03d", i);
        ASSERT(session_insert(a, tree, key, "x") == ERR_OK);
    }
    session_commit(a);
    session_begin(a, TXN_READ_COMMITTED);
    for (; err == ERR_OK; count++) {
        struct txn_row row;
        enum txn_outcome outcome;
        ASSERT(count < 200);
        (void)snprintf(key, sizeof key, "l%03d", count);
        ASSERT(session_get(a, tree, key, &row));
        err = txn_lock_row(a->task, a->txn, a->snapshot, tree, text(key), row.version,
            TXN_LOCK_UPDATE, TXN_WAIT, &a->arena, &row, &outcome, &a->diag);
    }
    ASSERT(err == ERR_LIMIT && count == 101);
    txn_rollback(a->task, a->txn);
}

/* Text that the log cannot pack. */
static void
fill_noise(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        text[i] = (char)('a' + hash_u64(i) % 26);
    }
}

/* A log that cannot get another file: commits are refused, and what they wrote is rolled back;
 * reading goes on, and so does writing when there is room again. */
static void
test_no_room(struct task *task, const char *directory)
{
    struct txn_db *db = test_open(task, directory);
    struct test_session a;
    struct diag diag;
    char path[200];
    char *value = mem_alloc(100001);
    fill_noise(value, 100000);
    value[100000] = '\0';
    session_create(&a, task, db, 1);
    (void)snprintf(path, sizeof path, "%s/wal/new.tmp", directory);
    OK(world_mkdir(task, path, &diag)); /* where a new file is made */
    enum err err = ERR_OK;
    int count = 0;
    for (; err == ERR_OK; count++) {
        ASSERT(count < 100);
        char key[16];
        (void)snprintf(key, sizeof key, "n%02d", count);
        session_begin(&a, TXN_READ_COMMITTED);
        ASSERT(session_insert(&a, tree, key, value) == ERR_OK);
        err = txn_commit(task, a.txn, &a.diag);
        session_begin(&a, TXN_READ_COMMITTED);
        ASSERT(session_sees(&a, tree, key, err == ERR_OK ? value : NULL));
        session_commit(&a);
    }
    ASSERT(err == ERR_IO && strstr(a.diag.message, "new.tmp") != NULL && count > 5);
    /* A large transaction finds out while it writes. */
    session_begin(&a, TXN_READ_COMMITTED);
    err = ERR_OK;
    for (int i = 0; err == ERR_OK; i++) {
        ASSERT(i < 400);
        char key[16];
        (void)snprintf(key, sizeof key, "o%03d", i);
        err = session_insert(&a, tree, key, value);
    }
    ASSERT(err == ERR_IO);
    txn_rollback(task, a.txn);
    session_begin(&a, TXN_READ_COMMITTED);
    ASSERT(session_sees(&a, tree, "o000", NULL));
    session_commit(&a);
    ASSERT(rmdir(path) == 0);
    session_begin(&a, TXN_READ_COMMITTED);
    for (int i = 0; i < count; i++) {
        enum txn_outcome outcome;
        char key[16];
        (void)snprintf(key, sizeof key, "n%02d", i);
        ASSERT(session_remove(&a, tree, key, &outcome) == ERR_OK);
        ASSERT((outcome == TXN_DONE) == (i < count - 1));
    }
    session_commit(&a);
    session_destroy(&a);
    mem_free(value);
    txn_db_close(task, db);
}

/* A transaction that stays open after it sent parts holds the log, not the checkpointer. */
static void
test_checkpoint_pace(struct task *task, const char *directory)
{
    struct diag diag;
    struct txn_db *db = NULL;
    struct txn_db_options options = {.directory = directory,
        .cache_size = 256 << 20,
        .wal_segment_size = 1 << 20,
        .checkpoint_wal_size = 2 << 20,
        .checkpoint_interval_s = 1,
        .checkpoint_automatic = true};
    OK(txn_db_open(task, &options, &db, &diag));
    struct test_session a;
    struct test_session b;
    session_create(&a, task, db, 1);
    session_create(&b, task, db, 2);
    session_begin(&a, TXN_READ_COMMITTED);
    int64_t start_us = world_clock_us(task_world(task));
    char *large = mem_alloc(1000001);
    fill_noise(large, 1000000);
    large[1000000] = '\0';
    for (int i = 0; i < 18; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "q%d", i);
        ASSERT(session_insert(&a, tree, key, large) == ERR_OK);
    }
    mem_free(large);
    struct txn_db_stats stats;
    for (int i = 0; i < 160; i++) { /* it may take half of its interval */
        enum txn_outcome outcome;
        session_begin(&b, TXN_READ_COMMITTED);
        ASSERT(session_update(&b, tree, "row", "x", &outcome) == ERR_OK);
        session_commit(&b);
        task_sleep(task, 5000);
    }
    txn_db_stats(db, &stats);
    int64_t seconds = (world_clock_us(task_world(task)) - start_us) / 1000000;
    ASSERT(stats.checkpoints >= 1 && stats.checkpoints <= 2 + (uint64_t)seconds);
    txn_rollback(task, a.txn);
    session_destroy(&a);
    session_destroy(&b);
    txn_db_close(task, db);
}

static void
must_not_open(struct task *task, const char *directory, const char *words)
{
    struct diag diag;
    struct txn_db *db = NULL;
    struct txn_db_options options = {.directory = directory, .wal_segment_size = 1 << 20};
    ASSERT(txn_db_open(task, &options, &db, &diag) == ERR_CORRUPT);
    if (strstr(diag.message, words) == NULL) {
        (void)fprintf(stderr, "%s\n", diag.message);
        ASSERT(false);
    }
}

struct names {
    char paths[16][256];
    size_t count;
    const char *directory;
};

static void
note_name(void *arg, const char *name)
{
    struct names *names = arg;
    ASSERT(names->count < 16);
    (void)snprintf(names->paths[names->count++], 256, "%s/wal/%s", names->directory, name);
}

static void
move_all(struct task *task, const struct names *names, bool away)
{
    struct diag diag;
    for (size_t i = 0; i < names->count; i++) {
        char other[300];
        (void)snprintf(other, sizeof other, "%s.away", names->paths[i]);
        OK(world_rename(
            task, away ? names->paths[i] : other, away ? other : names->paths[i], &diag));
    }
}

/* The log is gone, or ends before the checkpoint: what was committed is not quietly forgotten. */
static void
test_missing_log(struct task *task, const char *directory)
{
    struct diag diag;
    struct names *names = mem_zalloc(sizeof *names);
    char path[200];
    names->directory = directory;
    (void)snprintf(path, sizeof path, "%s/wal", directory);
    OK(world_list_directory(task, path, note_name, names, &diag));
    ASSERT(names->count >= 1);
    move_all(task, names, true);
    must_not_open(task, directory, "log");
    struct names none = {.directory = directory};
    OK(world_list_directory(task, path, note_name, &none, &diag));
    ASSERT(none.count == names->count); /* and nothing was put in their place */
    move_all(task, names, false);
    struct txn_db *db = test_open(task, directory);
    struct test_session a;
    session_create(&a, task, db, 1);
    session_begin(&a, TXN_READ_COMMITTED);
    ASSERT(session_count(&a, tree, false) == 301);
    session_commit(&a);
    session_destroy(&a);
    txn_db_close(task, db);
    mem_free(names);
}

/* A transaction open at the checkpoint had sent parts to the log, so reading begins before S. If
 * the log is damaged between there and S, it must not end there: LSNs would be given twice. */
static void
test_log_ends_early(struct task *task, const char *directory)
{
    struct diag diag;
    struct txn_db *db = test_open(task, directory);
    struct test_session a;
    struct test_session b;
    session_create(&a, task, db, 1);
    session_create(&b, task, db, 2);
    session_begin(&a, TXN_READ_COMMITTED);
    char *large = mem_alloc(1000001);
    fill_noise(large, 1000000);
    large[1000000] = '\0';
    uint64_t start = txn_db_visible_lsn(db).v;
    for (int i = 0; i < 18; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "p%d", i);
        ASSERT(session_insert(&a, tree, key, large) == ERR_OK);
    }
    session_begin(&b, TXN_READ_COMMITTED);
    ASSERT(session_insert(&b, tree, "other", "x") == ERR_OK);
    session_commit(&b);
    ASSERT(txn_db_visible_lsn(db).v > start + (16 << 20));
    OK(txn_db_checkpoint(task, db, &diag));
    txn_rollback(task, a.txn);
    session_destroy(&a);
    session_destroy(&b);
    txn_db_close(task, db);
    mem_free(large);

    /* Zero the log from somewhere in the parts to its end. */
    uint64_t at = start + (4 << 20);
    uint8_t *zeroes = mem_zalloc(1 << 20);
    for (uint64_t segment = at >> 20;; segment++) {
        char path[200];
        struct world_file *file = NULL;
        (void)snprintf(
            path, sizeof path, "%s/wal/%016llX.wal", directory, (unsigned long long)segment);
        if (!world_file_exists(task, path)) {
            break;
        }
        OK(world_file_open(task, path, WORLD_FILE_WRITE, &file, &diag));
        OK(world_file_write(task, file, 0, zeroes, 1 << 20, &diag));
        world_file_close(task, file);
    }
    mem_free(zeroes);
    must_not_open(task, directory, "ends");
}

static void
run(struct task *task, void *arg)
{
    const char *directory = arg;
    struct diag diag;
    struct txn_db *db = open_limited(task, directory);
    struct test_session a;
    struct test_session b;
    session_create(&a, task, db, 1);
    session_create(&b, task, db, 2);
    session_begin(&a, TXN_READ_COMMITTED);
    OK(txn_tree_create(task, a.txn, &tree, &diag));
    session_commit(&a);
    test_undo(db, &a, &b);
    test_locks(&a);
    OK(txn_db_checkpoint(task, db, &diag));
    session_destroy(&a);
    session_destroy(&b);
    txn_db_close(task, db);
    test_missing_log(task, directory);
    test_no_room(task, directory);
    test_checkpoint_pace(task, directory);
    test_log_ends_early(task, directory);
    world_stop(task_world(task));
}

int
main(void)
{
    test_run_os(run, 2, NULL);
    return 0;
}
