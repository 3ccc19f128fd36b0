/* tests/unit/txn_hlc_test.c - stamps of commits, and reading as of one of them (txn/hlc.c). */
#include "tests/unit/txn_util.h"
#include "tests/unit/world_run.h"

enum {
    VALUES = 40,
    WINDOW_US = 2 * 1000 * 1000,
    US_SHIFT = 12,
};

static struct txn_db *
open_db(struct task *task, const char *directory)
{
    struct diag diag;
    struct txn_db *db = NULL;
    struct txn_db_options options = {.directory = directory,
        .cache_size = 64 << 20,
        .wal_segment_size = 1 << 20,
        .history_window_us = WINDOW_US};
    OK(txn_db_open(task, &options, &db, &diag));
    return db;
}

/* What a reader at this stamp sees under "k"; -1: nothing. */
static int
read_at(struct test_session *s, tree_id_t tree, uint64_t stamp)
{
    struct diag diag;
    struct txn_row row;
    OK(txn_begin(s->task, s->txn, TXN_READ_COMMITTED, false, &diag));
    OK(txn_read_at(s->task, s->txn, stamp, &diag));
    session_statement(s);
    bool found = session_get(s, tree, "k", &row);
    char number[16] = "-1";
    if (found) {
        memcpy(number, row.value.data, row.value.size);
        number[row.value.size] = '\0';
    }
    ASSERT(txn_read_only(s->txn));
    session_commit(s);
    return atoi(number);
}

static uint64_t
write_value(struct test_session *s, tree_id_t tree, int value)
{
    char number[16];
    enum txn_outcome outcome;
    struct diag diag;
    (void)snprintf(number, sizeof number, "%d", value);
    session_begin(s, TXN_READ_COMMITTED);
    if (value == 0) {
        OK(session_insert(s, tree, "k", number));
    } else {
        OK(session_update(s, tree, "k", number, &outcome));
        ASSERT(outcome == TXN_DONE);
    }
    session_commit(s);
    return txn_commit_hlc(s->txn);
}

static void
reads_see_exactly_the_stamps_below(struct task *task, struct txn_db *db, tree_id_t tree)
{
    struct test_session writer, reader;
    uint64_t stamps[VALUES];
    session_create(&writer, task, db, 1);
    session_create(&reader, task, db, 2);
    for (int i = 0; i < VALUES; i++) {
        stamps[i] = write_value(&writer, tree, i);
        ASSERT(i == 0 || stamps[i] > stamps[i - 1]);
        ASSERT(read_at(&reader, tree, stamps[i]) == i);
    }
    for (int i = VALUES - 1; i >= 0; i--) {
        ASSERT(read_at(&reader, tree, stamps[i]) == i);
        ASSERT(read_at(&reader, tree, stamps[i] - 1) == i - 1);
    }
    /* A moment that is to come: what is committed afterwards is above it (H1). */
    uint64_t ahead = txn_db_hlc(db) + ((uint64_t)500000 << US_SHIFT);
    ASSERT(read_at(&reader, tree, ahead) == VALUES - 1);
    ASSERT(write_value(&writer, tree, VALUES) > ahead);
    ASSERT(read_at(&reader, tree, ahead) == VALUES - 1);
    /* Long ago. */
    task_sleep(task, 2 * WINDOW_US);
    (void)write_value(&writer, tree, VALUES + 1);
    task_sleep(task, 2 * WINDOW_US);
    struct diag diag;
    OK(txn_begin(task, reader.txn, TXN_READ_COMMITTED, false, &diag));
    ASSERT(txn_read_at(task, reader.txn, stamps[0], &diag) == ERR_SNAPSHOT_TOO_OLD);
    txn_rollback(task, reader.txn);
    ASSERT(read_at(&reader, tree, txn_db_hlc(db)) == VALUES + 1);
    session_destroy(&writer);
    session_destroy(&reader);
}

/* ---- sagas that end elsewhere (sagas.c) --------------------------------------------------------
 */

enum {
    SAGA = 77,
    GRACE_US = 2 * 1000 * 1000, /* of sagas.c */
};

static uint64_t
step_of_saga(struct test_session *s, struct txn_db *db, tree_id_t tree, const char *value)
{
    uint8_t id[16] = {0};
    struct diag diag;
    enum txn_outcome outcome;
    id[15] = SAGA;
    session_begin(s, TXN_READ_COMMITTED);
    txn_saga_joins(db, SAGA);
    OK(session_update(s, tree, "k", value, &outcome));
    ASSERT(outcome == TXN_DONE);
    txn_set_saga(s->txn, id, 0, false);
    session_commit(s);
    return txn_commit_hlc(s->txn);
}

/* A reader as of this stamp who says that the saga is open, or that none is. -1: refused. */
static int
settled_at(struct test_session *s, tree_id_t tree, uint64_t stamp, bool open, uint64_t blind)
{
    static const uint64_t numbers[] = {SAGA};
    const struct txn_open_sagas sagas = {
        .stamp = stamp, .blind = blind, .numbers = numbers, .count = open};
    struct diag diag;
    struct txn_row row;
    int value = -1;
    session_begin(s, TXN_READ_COMMITTED);
    enum err err = txn_hide_open_sagas(s->task, s->txn, &s->snapshot, &sagas, true, &diag);
    ASSERT(err == ERR_OK || err == ERR_BUCKET_MOVING);
    if (err == ERR_OK) {
        char number[16] = "";
        ASSERT(session_get(s, tree, "k", &row));
        memcpy(number, row.value.data, row.value.size);
        value = atoi(number);
    }
    session_commit(s);
    return value;
}

static void
sagas_are_passed_over_as_readers_say(struct task *task, struct txn_db *db, tree_id_t tree)
{
    struct test_session writer, reader;
    struct diag diag;
    enum txn_outcome outcome;
    session_create(&writer, task, db, 1);
    session_create(&reader, task, db, 2);
    uint64_t blind = txn_sagas_blind(db);
    session_begin(&writer, TXN_READ_COMMITTED);
    OK(session_update(&writer, tree, "k", "100", &outcome));
    session_commit(&writer);
    uint64_t before = txn_commit_hlc(writer.txn);
    session_begin(&writer, TXN_READ_COMMITTED);
    OK(session_update(&writer, tree, "k", "100", &outcome));
    session_commit(&writer);
    uint64_t first = step_of_saga(&writer, db, tree, "101");
    uint64_t second = step_of_saga(&writer, db, tree, "102");
    ASSERT(settled_at(&reader, tree, before, false, blind) == 100);
    ASSERT(settled_at(&reader, tree, first, true, blind) == 100);
    ASSERT(settled_at(&reader, tree, second, true, blind) == 100);
    ASSERT(settled_at(&reader, tree, second, false, blind) == 102); /* it has ended, he says */
    ASSERT(txn_sagas_joined(db) == 1);
    /* Rows have come since he asked: what sagas have done to them he does not know. */
    txn_sagas_go_blind(db);
    ASSERT(txn_sagas_blind(db) >= second);
    ASSERT(settled_at(&reader, tree, second, true, blind) == -1);
    blind = txn_sagas_blind(db);
    ASSERT(settled_at(&reader, tree, second, true, blind) == 100);
    /* It goes some time after it was said to have ended; from then on nobody may name it. */
    uint64_t now = txn_db_hlc(db);
    struct txn_open_sagas none = {.stamp = before};
    txn_sagas_close(db, &none); /* of a moment at which it had not begun */
    none.stamp = now;
    txn_sagas_close(db, &none);
    ASSERT(txn_sagas_joined(db) == 1);
    ASSERT(settled_at(&reader, tree, second, true, blind) == 100);
    none.stamp = now + ((uint64_t)GRACE_US << US_SHIFT);
    txn_sagas_close(db, &none);
    ASSERT(txn_sagas_joined(db) == 0);
    ASSERT(settled_at(&reader, tree, first, true, blind) == -1);
    ASSERT(settled_at(&reader, tree, now, false, blind) == 102);
    session_destroy(&writer);
    session_destroy(&reader);
}

static void
test(struct task *task, void *arg)
{
    const char *directory = arg;
    struct diag diag;
    struct txn_db *db = open_db(task, directory);
    struct test_session s;
    tree_id_t tree;
    session_create(&s, task, db, 3);
    session_begin(&s, TXN_READ_COMMITTED);
    OK(txn_tree_create(task, s.txn, &tree, &diag));
    session_commit(&s);
    reads_see_exactly_the_stamps_below(task, db, tree);
    sagas_are_passed_over_as_readers_say(task, db, tree);

    /* A clock that was raised does not go back over a restart, nor by a clock that is wrong. */
    uint64_t raised = txn_db_hlc(db) + ((uint64_t)5000000 << US_SHIFT);
    OK(txn_db_raise_hlc(task, db, raised, &diag));
    ASSERT(txn_db_raise_hlc(task, db, raised + ((uint64_t)3600000000 << US_SHIFT), &diag) ==
           ERR_INVALID_PARAMETER_VALUE);
    session_destroy(&s);
    txn_db_close(task, db);
    db = open_db(task, directory);
    ASSERT(txn_db_hlc(db) >= raised);
    session_create(&s, task, db, 3);
    ASSERT(write_value(&s, tree, 1) > raised);
    uint64_t stamp = txn_commit_hlc(s.txn);
    OK(txn_db_checkpoint(task, db, &diag));
    session_destroy(&s);
    txn_db_close(task, db);
    db = open_db(task, directory);
    ASSERT(txn_db_hlc(db) >= stamp);
    txn_db_close(task, db);
}

static void
test_and_stop(struct task *task, void *arg)
{
    test(task, arg);
    world_stop(task_world(task));
}

int
main(void)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        static char directory[] = "db";
        ASSERT(run_sim(seed, test, directory) == run_sim(seed, test, directory));
    }
    test_run_os(test_and_stop, 2, NULL);
    return 0;
}
