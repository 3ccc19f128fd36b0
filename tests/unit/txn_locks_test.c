/* Waiting: write conflicts, lost updates, deadlocks, fairness, row and table locks. Each scenario
 * runs in the simulator under several seeds and on the operating system with two workers.
 * ctest: threads */
#include "tests/unit/txn_util.h"

struct stage {
    struct txn_db *db;
    tree_id_t tree;
    _Atomic int live; /* actors that have not ended */
    _Atomic int step; /* where the scenario stands */
    _Atomic int deadlocks, successes, failures;
    int order[16];
    _Atomic int order_count;
    _Atomic bool stop;
};

struct actor {
    struct stage *stage;
    int number;
    struct task *task;
    struct test_session s;
    void (*play)(struct actor *actor);
};

static void
actor_main(struct task *task, void *arg)
{
    struct actor *actor = arg;
    actor->task = task;
    session_create(&actor->s, task, actor->stage->db, (uint32_t)(100 + actor->number));
    actor->play(actor);
    session_destroy(&actor->s);
    atomic_fetch_sub(&actor->stage->live, 1);
}

/* Start `count` actors and return when all have ended. */
static void
play(struct task *task, struct stage *stage, int count, void (*part)(struct actor *actor))
{
    struct diag diag;
    struct actor *actors = mem_array((size_t)count, sizeof *actors);
    atomic_store(&stage->live, count);
    atomic_store(&stage->step, 0);
    for (int i = 0; i < count; i++) {
        actors[i].stage = stage;
        actors[i].number = i;
        actors[i].play = part;
        OK(task_spawn(task_world(task), i, "actor", actor_main, &actors[i], &diag));
    }
    AWAIT(task, atomic_load(&stage->live) == 0);
    task_sleep(task, 2000); /* the last one may still be leaving */
    mem_free(actors);
}

static void
set_row(struct task *task, struct stage *stage, const char *key, const char *value)
{
    struct test_session s;
    enum txn_outcome outcome;
    session_create(&s, task, stage->db, 1);
    session_begin(&s, TXN_READ_COMMITTED);
    if (session_sees(&s, stage->tree, key, NULL)) {
        ASSERT(session_insert(&s, stage->tree, key, value) == ERR_OK);
    } else {
        ASSERT(session_update(&s, stage->tree, key, value, &outcome) == ERR_OK);
    }
    session_commit(&s);
    session_destroy(&s);
}

static uint64_t
get_number(struct task *task, struct stage *stage, const char *key)
{
    struct test_session s;
    struct txn_row row;
    session_create(&s, task, stage->db, 1);
    session_begin(&s, TXN_READ_COMMITTED);
    ASSERT(session_get(&s, stage->tree, key, &row) && row.value.size == 8);
    uint64_t value = load_le64(row.value.data);
    session_commit(&s);
    session_destroy(&s);
    return value;
}

/* ---- increments --------------------------------------------------------------------------------
 */

enum {
    INCREMENTS = 60,
};

/* value = value + 1 as the executor does it: compute from what was read, judge again if changed. */
static enum err
increment(struct test_session *s, tree_id_t tree, const char *key)
{
    struct txn_row row;
    enum txn_outcome outcome;
    ASSERT(session_get(s, tree, key, &row));
    do {
        uint64_t value = load_le64(row.value.data) + 1;
        TRY(txn_update(s->task, s->txn, s->snapshot, tree, text(key), row.version,
            slice_of(&value, 8), &s->arena, &row, &outcome, &s->diag));
    } while (outcome == TXN_CHANGED);
    ASSERT(outcome == TXN_DONE);
    return ERR_OK;
}

static void
part_increment_rc(struct actor *actor)
{
    struct test_session *s = &actor->s;
    for (int i = 0; i < INCREMENTS; i++) {
        session_begin(s, TXN_READ_COMMITTED);
        ASSERT(increment(s, actor->stage->tree, "hot") == ERR_OK);
        if (i % 7 == 0) {
            task_yield(actor->task);
        }
        if (i % 10 == 3) {
            txn_rollback(actor->task, s->txn);
        } else {
            session_commit(s);
            atomic_fetch_add(&actor->stage->successes, 1);
        }
    }
}

static void
part_increment_rr(struct actor *actor)
{
    struct test_session *s = &actor->s;
    for (int i = 0; i < INCREMENTS; i++) {
        session_begin(s, TXN_REPEATABLE_READ);
        enum err err = increment(s, actor->stage->tree, "hot");
        if (err == ERR_OK) {
            session_commit(s);
            atomic_fetch_add(&actor->stage->successes, 1);
        } else {
            ASSERT(err == ERR_SERIALIZATION);
            ASSERT(strcmp(s->diag.message, "could not serialize access due to concurrent update") ==
                   0);
            txn_rollback(actor->task, s->txn);
            atomic_fetch_add(&actor->stage->failures, 1);
        }
    }
}

static void
test_increments(struct task *task, struct stage *stage)
{
    set_row(task, stage, "hot", "\1\0\0\0\0\0\0");
    struct test_session s;
    session_create(&s, task, stage->db, 1);
    session_begin(&s, TXN_READ_COMMITTED);
    uint64_t zero = 0;
    ASSERT(txn_insert(task, s.txn, stage->tree, text("hot"), slice_of(&zero, 8), &s.arena, NULL,
               &s.diag) == ERR_UNIQUE);
    txn_rollback(task, s.txn);
    session_begin(&s, TXN_READ_COMMITTED);
    struct txn_row row;
    enum txn_outcome outcome;
    ASSERT(session_get(&s, stage->tree, "hot", &row));
    ASSERT(txn_update(task, s.txn, s.snapshot, stage->tree, text("hot"), row.version,
               slice_of(&zero, 8), &s.arena, &row, &outcome, &s.diag) == ERR_OK);
    session_commit(&s);
    session_destroy(&s);

    atomic_store(&stage->successes, 0);
    play(task, stage, 6, part_increment_rc);
    ASSERT(get_number(task, stage, "hot") == (uint64_t)atomic_load(&stage->successes));
    play(task, stage, 6, part_increment_rr);
    ASSERT(get_number(task, stage, "hot") == (uint64_t)atomic_load(&stage->successes));
}

/* ---- deadlocks ---------------------------------------------------------------------------------
 */

static int ring_size;

static void
part_ring(struct actor *actor)
{
    struct test_session *s = &actor->s;
    struct stage *stage = actor->stage;
    enum txn_outcome outcome;
    char own[16];
    char next[16];
    (void)snprintf(own, sizeof own, "r%d", actor->number);
    (void)snprintf(next, sizeof next, "r%d", (actor->number + 1) % ring_size);
    session_begin(s, TXN_READ_COMMITTED);
    ASSERT(session_update(s, stage->tree, own, "mine", &outcome) == ERR_OK);
    ASSERT(outcome == TXN_DONE);
    atomic_fetch_add(&stage->step, 1);
    AWAIT(actor->task, atomic_load(&stage->step) >= ring_size);
    enum err err = session_update(s, stage->tree, next, "theirs", &outcome);
    if (err == ERR_OK) {
        session_commit(s);
        atomic_fetch_add(&stage->successes, 1);
        return;
    }
    ASSERT(err == ERR_DEADLOCK && strcmp(s->diag.message, "deadlock detected") == 0);
    char start[64];
    (void)snprintf(
        start, sizeof start, "Process %d waits for ShareLock on transaction ", 100 + actor->number);
    ASSERT(strncmp(s->diag.detail, start, strlen(start)) == 0);
    int lines = 1;
    for (const char *at = s->diag.detail; *at != '\0'; at++) {
        lines += *at == '\n';
    }
    ASSERT(lines == ring_size);
    (void)snprintf(start, sizeof start, "blocked by process %d.", 100 + actor->number);
    ASSERT(strstr(s->diag.detail, start) != NULL);
    txn_rollback(actor->task, s->txn);
    atomic_fetch_add(&stage->deadlocks, 1);
}

static void
test_deadlocks(struct task *task, struct stage *stage)
{
    for (ring_size = 2; ring_size <= 5; ring_size++) {
        char key[16];
        for (int i = 0; i < ring_size; i++) {
            (void)snprintf(key, sizeof key, "r%d", i);
            set_row(task, stage, key, "0");
        }
        atomic_store(&stage->deadlocks, 0);
        atomic_store(&stage->successes, 0);
        play(task, stage, ring_size, part_ring);
        ASSERT(atomic_load(&stage->deadlocks) == 1);
        ASSERT(atomic_load(&stage->successes) == ring_size - 1);
    }
}

/* Two who share a row and both want to change it. */
static void
part_upgrade(struct actor *actor)
{
    struct test_session *s = &actor->s;
    struct stage *stage = actor->stage;
    struct txn_row row;
    enum txn_outcome outcome;
    session_begin(s, TXN_READ_COMMITTED);
    ASSERT(session_get(s, stage->tree, "r0", &row));
    ASSERT(txn_lock_row(actor->task, s->txn, s->snapshot, stage->tree, text("r0"), row.version,
               TXN_LOCK_SHARE, TXN_WAIT, &s->arena, &row, &outcome, &s->diag) == ERR_OK);
    ASSERT(outcome == TXN_DONE);
    atomic_fetch_add(&stage->step, 1);
    AWAIT(actor->task, atomic_load(&stage->step) >= 3);
    enum err err = session_update(s, stage->tree, "r0", "x", &outcome);
    if (err == ERR_OK) {
        session_commit(s);
        atomic_fetch_add(&stage->successes, 1);
    } else {
        ASSERT(err == ERR_DEADLOCK);
        txn_rollback(actor->task, s->txn);
        atomic_fetch_add(&stage->deadlocks, 1);
    }
}

static void
test_upgrade(struct task *task, struct stage *stage)
{
    atomic_store(&stage->deadlocks, 0);
    atomic_store(&stage->successes, 0);
    play(task, stage, 3, part_upgrade);
    ASSERT(atomic_load(&stage->deadlocks) == 2 && atomic_load(&stage->successes) == 1);
}

/* ---- first come, first served ------------------------------------------------------------------
 */

enum {
    QUEUE = 8,
};

static void
part_queue(struct actor *actor)
{
    struct test_session *s = &actor->s;
    struct stage *stage = actor->stage;
    enum txn_outcome outcome;
    AWAIT(actor->task, atomic_load(&stage->step) == actor->number);
    session_begin(s, TXN_READ_COMMITTED);
    if (actor->number == 0) {
        ASSERT(session_update(s, stage->tree, "hot", "00000000", &outcome) == ERR_OK);
        atomic_fetch_add(&stage->step, 1);
        AWAIT(actor->task, atomic_load(&stage->step) == QUEUE);
        task_sleep(actor->task, 5000);
    } else {
        /* The next one starts when we are surely asleep. */
        struct txn_row row;
        ASSERT(session_get(s, stage->tree, "hot", &row));
        enum txn_outcome skipped;
        ASSERT(
            txn_lock_row(actor->task, s->txn, s->snapshot, stage->tree, text("hot"), row.version,
                TXN_LOCK_UPDATE, TXN_SKIP_LOCKED, &s->arena, &row, &skipped, &s->diag) == ERR_OK);
        ASSERT(skipped == TXN_SKIPPED);
        ASSERT(txn_lock_row(actor->task, s->txn, s->snapshot, stage->tree, text("hot"), row.version,
                   TXN_LOCK_UPDATE, TXN_NOWAIT, &s->arena, &row, &skipped,
                   &s->diag) == ERR_LOCK_NOT_AVAILABLE);
        atomic_fetch_add(&stage->step, 1);
        ASSERT(session_update(s, stage->tree, "hot", "00000001", &outcome) == ERR_OK);
    }
    stage->order[atomic_fetch_add(&stage->order_count, 1)] = actor->number;
    session_commit(s);
}

static void
test_queue(struct task *task, struct stage *stage)
{
    atomic_store(&stage->order_count, 0);
    play(task, stage, QUEUE, part_queue);
    ASSERT(atomic_load(&stage->order_count) == QUEUE && stage->order[0] == 0);
    int inversions = 0; /* between the step and the sleep the next one may slip in */
    for (int i = 1; i < QUEUE; i++) {
        inversions += stage->order[i] != i;
    }
    ASSERT(inversions <= 4);
}

/* ---- row locks ---------------------------------------------------------------------------------
 */

static enum err
lock_row(struct test_session *s, tree_id_t tree, const char *key, enum txn_row_lock mode,
    enum txn_wait wait, enum txn_outcome *outcome)
{
    struct txn_row row;
    ASSERT(session_get(s, tree, key, &row));
    return txn_lock_row(s->task, s->txn, s->snapshot, tree, text(key), row.version, mode, wait,
        &s->arena, &row, outcome, &s->diag);
}

static void
test_row_modes(struct task *task, struct stage *stage)
{
    /* PostgreSQL 15, table 13.3. */
    static const bool conflict[4][4] = {
        {false, false, false, true},
        {false, false, true, true},
        {false, true, true, true},
        {true, true, true, true},
    };
    struct test_session a;
    struct test_session b;
    session_create(&a, task, stage->db, 1);
    session_create(&b, task, stage->db, 2);
    set_row(task, stage, "m", "x");
    enum txn_outcome outcome;
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            session_begin(&a, TXN_READ_COMMITTED);
            session_begin(&b, TXN_READ_COMMITTED);
            ASSERT(lock_row(&a, stage->tree, "m", (enum txn_row_lock)i, TXN_WAIT, &outcome) ==
                       ERR_OK &&
                   outcome == TXN_DONE);
            enum err err =
                lock_row(&b, stage->tree, "m", (enum txn_row_lock)j, TXN_NOWAIT, &outcome);
            ASSERT(err == (conflict[i][j] ? ERR_LOCK_NOT_AVAILABLE : ERR_OK));
            txn_rollback(task, b.txn);
            txn_rollback(task, a.txn);
        }
    }
    /* FOR KEY SHARE beside an update, but not beside a delete. */
    session_begin(&a, TXN_READ_COMMITTED);
    session_begin(&b, TXN_READ_COMMITTED);
    ASSERT(session_update(&a, stage->tree, "m", "y", &outcome) == ERR_OK);
    ASSERT(lock_row(&b, stage->tree, "m", TXN_LOCK_KEY_SHARE, TXN_NOWAIT, &outcome) == ERR_OK);
    ASSERT(outcome == TXN_DONE);
    session_statement(&a);
    txn_set_lock_timeout(a.txn, 3000);
    ASSERT(session_remove(&a, stage->tree, "m", &outcome) == ERR_LOCK_NOT_AVAILABLE);
    ASSERT(strcmp(a.diag.message, "canceling statement due to lock timeout") == 0);
    txn_set_lock_timeout(a.txn, 0);
    txn_rollback(task, a.txn);
    session_begin(&a, TXN_READ_COMMITTED);
    session_commit(&b);
    ASSERT(session_remove(&a, stage->tree, "m", &outcome) == ERR_OK);
    session_begin(&b, TXN_READ_COMMITTED);
    ASSERT(lock_row(&b, stage->tree, "m", TXN_LOCK_KEY_SHARE, TXN_NOWAIT, &outcome) ==
           ERR_LOCK_NOT_AVAILABLE);
    txn_rollback(task, b.txn);
    txn_rollback(task, a.txn);

    /* An interrupt ends the wait. */
    session_begin(&a, TXN_READ_COMMITTED);
    session_begin(&b, TXN_READ_COMMITTED);
    ASSERT(session_update(&a, stage->tree, "m", "z", &outcome) == ERR_OK);
    task_interrupt(task, TASK_CANCEL);
    ASSERT(session_update(&b, stage->tree, "m", "z", &outcome) == ERR_QUERY_CANCELED);
    task_interrupt_clear(task, TASK_CANCEL);
    txn_rollback(task, b.txn);
    session_commit(&a);
    struct txn_db_stats stats;
    txn_db_stats(stage->db, &stats);
    ASSERT(stats.locks == 0);
    session_destroy(&a);
    session_destroy(&b);
}

/* ---- a writer and those who wait for it --------------------------------------------------------
 */

/* Who has written a row may write it again, and lock it, whoever waits meanwhile: those wait for us
 * and hold nothing yet, though they have reserved the row. */
static void
part_own(struct actor *actor)
{
    struct test_session *s = &actor->s;
    struct stage *stage = actor->stage;
    enum txn_outcome outcome;
    session_begin(s, TXN_READ_COMMITTED);
    if (actor->number > 0) {
        AWAIT(actor->task, atomic_load(&stage->step) == 1);
        atomic_fetch_add(&stage->successes, 1);
        enum err err = actor->number == 3
                           ? lock_row(s, stage->tree, "own", TXN_LOCK_SHARE, TXN_WAIT, &outcome)
                       : actor->number == 2 ? session_remove(s, stage->tree, "own", &outcome)
                                            : session_update(s, stage->tree, "own", "x", &outcome);
        ASSERT(err == ERR_OK);
        session_commit(s);
        return;
    }
    ASSERT(session_update(s, stage->tree, "own", "1", &outcome) == ERR_OK);
    atomic_store(&stage->step, 1);
    AWAIT(actor->task, atomic_load(&stage->successes) == 3);
    task_sleep(actor->task, 5000);
    session_statement(s);
    ASSERT(session_update(s, stage->tree, "own", "2", &outcome) == ERR_OK && outcome == TXN_DONE);
    session_statement(s);
    ASSERT(lock_row(s, stage->tree, "own", TXN_LOCK_UPDATE, TXN_NOWAIT, &outcome) == ERR_OK);
    ASSERT(session_remove(s, stage->tree, "own", &outcome) == ERR_OK && outcome == TXN_DONE);
    session_statement(s);
    ASSERT(session_insert(s, stage->tree, "own", "3") == ERR_OK);
    session_statement(s);
    ASSERT(session_update(s, stage->tree, "own", "4", &outcome) == ERR_OK && outcome == TXN_DONE);
    session_commit(s);
}

static void
test_own(struct task *task, struct stage *stage)
{
    struct txn_db_stats before;
    struct txn_db_stats after;
    set_row(task, stage, "own", "0");
    atomic_store(&stage->successes, 0);
    txn_db_stats(stage->db, &before);
    play(task, stage, 4, part_own);
    txn_db_stats(stage->db, &after);
    ASSERT(after.deadlocks == before.deadlocks && after.locks == 0);
}

/* FOR KEY SHARE beside our update is a lock in earnest: FOR UPDATE and a delete of ours respect
 * it, an update need not. And the other way round, a lock for update keeps FOR KEY SHARE out. */
static void
test_own_shared(struct task *task, struct stage *stage)
{
    struct test_session a;
    struct test_session b;
    enum txn_outcome outcome;
    session_create(&a, task, stage->db, 1);
    session_create(&b, task, stage->db, 2);
    set_row(task, stage, "own", "0");
    session_begin(&a, TXN_READ_COMMITTED);
    session_begin(&b, TXN_READ_COMMITTED);
    ASSERT(session_update(&a, stage->tree, "own", "1", &outcome) == ERR_OK);
    ASSERT(lock_row(&b, stage->tree, "own", TXN_LOCK_KEY_SHARE, TXN_NOWAIT, &outcome) == ERR_OK);
    session_statement(&a);
    ASSERT(session_update(&a, stage->tree, "own", "2", &outcome) == ERR_OK && outcome == TXN_DONE);
    session_statement(&a);
    ASSERT(lock_row(&a, stage->tree, "own", TXN_LOCK_UPDATE, TXN_NOWAIT, &outcome) ==
           ERR_LOCK_NOT_AVAILABLE);
    session_commit(&b);
    ASSERT(lock_row(&a, stage->tree, "own", TXN_LOCK_UPDATE, TXN_NOWAIT, &outcome) == ERR_OK);
    session_begin(&b, TXN_READ_COMMITTED);
    ASSERT(lock_row(&b, stage->tree, "own", TXN_LOCK_KEY_SHARE, TXN_NOWAIT, &outcome) ==
           ERR_LOCK_NOT_AVAILABLE);
    txn_rollback(task, b.txn);
    session_commit(&a);
    session_destroy(&a);
    session_destroy(&b);
}

/* An insert that waited and found the row taken has no lock on it. */
static void
part_exists(struct actor *actor)
{
    struct test_session *s = &actor->s;
    struct stage *stage = actor->stage;
    enum txn_outcome outcome;
    session_begin(s, TXN_READ_COMMITTED);
    if (actor->number == 0) {
        ASSERT(session_insert(s, stage->tree, "taken", "0") == ERR_OK);
        atomic_store(&stage->step, 1);
        task_sleep(actor->task, 3000);
        session_commit(s);
        AWAIT(actor->task, atomic_load(&stage->step) == 2);
        session_begin(s, TXN_READ_COMMITTED);
        ASSERT(lock_row(s, stage->tree, "taken", TXN_LOCK_UPDATE, TXN_NOWAIT, &outcome) == ERR_OK);
        ASSERT(session_remove(s, stage->tree, "taken", &outcome) == ERR_OK);
        session_commit(s);
        atomic_store(&stage->step, 3);
        return;
    }
    AWAIT(actor->task, atomic_load(&stage->step) == 1);
    ASSERT(session_insert(s, stage->tree, "taken", "1") == ERR_UNIQUE);
    atomic_store(&stage->step, 2);
    AWAIT(actor->task, atomic_load(&stage->step) == 3);
    session_commit(s);
}

static void
test_exists(struct task *task, struct stage *stage)
{
    play(task, stage, 2, part_exists);
}

/* ---- waiting for an insert, for a savepoint ----------------------------------------------------
 */

static void
part_insert(struct actor *actor)
{
    struct test_session *s = &actor->s;
    struct stage *stage = actor->stage;
    session_begin(s, TXN_READ_COMMITTED);
    if (actor->number == 0) {
        struct diag diag;
        uint32_t depth;
        OK(txn_savepoint(actor->task, s->txn, &depth, &diag));
        ASSERT(session_insert(s, stage->tree, "unique", "first") == ERR_OK);
        atomic_store(&stage->step, 1);
        task_sleep(actor->task, 3000);
        ASSERT(atomic_load(&stage->successes) == 0);
        txn_rollback_to(actor->task, s->txn, depth); /* that lets the other go on */
        AWAIT(actor->task, atomic_load(&stage->successes) == 1);
        session_statement(s);
        ASSERT(session_insert(s, stage->tree, "unique", "second") == ERR_UNIQUE);
        txn_rollback(actor->task, s->txn);
    } else {
        AWAIT(actor->task, atomic_load(&stage->step) == 1);
        ASSERT(session_insert(s, stage->tree, "unique", "other") == ERR_OK);
        atomic_store(&stage->successes, 1);
        session_commit(s);
    }
}

static void
test_insert(struct task *task, struct stage *stage)
{
    atomic_store(&stage->successes, 0);
    play(task, stage, 2, part_insert);
}

/* ---- table locks -------------------------------------------------------------------------------
 */

static void
test_table_modes(struct task *task, struct stage *stage)
{
    static const char *const conflict[8] = {/* PostgreSQL 15, table 13.2 */
        ".......#", "......##", "....####", "...#####", "..##.###", "..######", ".#######",
        "########"};
    struct test_session a;
    struct test_session b;
    struct diag diag;
    session_create(&a, task, stage->db, 1);
    session_create(&b, task, stage->db, 2);
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 8; j++) {
            session_begin(&a, TXN_READ_COMMITTED);
            session_begin(&b, TXN_READ_COMMITTED);
            OK(txn_lock_table(task, a.txn, 77, "t", (enum txn_table_lock)i, TXN_NOWAIT, &diag));
            enum err err =
                txn_lock_table(task, b.txn, 77, "t", (enum txn_table_lock)j, TXN_NOWAIT, &diag);
            ASSERT(err == (conflict[i][j] == '#' ? ERR_LOCK_NOT_AVAILABLE : ERR_OK));
            OK(txn_lock_table(task, a.txn, 77, "t", (enum txn_table_lock)i, TXN_WAIT, &diag));
            session_commit(&b);
            OK(txn_lock_table(task, a.txn, 77, "t", TXN_ACCESS_EXCLUSIVE, TXN_WAIT, &diag));
            session_commit(&a);
        }
    }
    struct txn_db_stats stats;
    txn_db_stats(stage->db, &stats);
    ASSERT(stats.locks == 0);
    session_destroy(&a);
    session_destroy(&b);
}

/* Many take weak locks, some strong ones; the strong are alone. */
static void
part_tables(struct actor *actor)
{
    struct test_session *s = &actor->s;
    struct stage *stage = actor->stage;
    struct diag diag;
    for (int i = 0; i < 100; i++) {
        session_begin(s, TXN_READ_COMMITTED);
        uint64_t object = 5 + (uint64_t)(i % 2);
        _Atomic int *inside = object == 5 ? &stage->successes : &stage->failures;
        if ((i + actor->number) % 10 == 0) {
            OK(txn_lock_table(
                actor->task, s->txn, object, "t", TXN_ACCESS_EXCLUSIVE, TXN_WAIT, &diag));
            ASSERT(atomic_fetch_add(inside, 1000) == 0);
            task_yield(actor->task);
            ASSERT(atomic_fetch_sub(inside, 1000) == 1000);
        } else {
            OK(txn_lock_table(
                actor->task, s->txn, object, "t", TXN_ROW_EXCLUSIVE, TXN_WAIT, &diag));
            ASSERT(atomic_fetch_add(inside, 1) < 1000);
            if (i % 3 == 0) {
                task_yield(actor->task);
            }
            ASSERT(atomic_fetch_sub(inside, 1) < 1000);
        }
        session_commit(s);
    }
}

static void
test_tables(struct task *task, struct stage *stage)
{
    atomic_store(&stage->successes, 0);
    atomic_store(&stage->failures, 0);
    play(task, stage, 5, part_tables);
    struct txn_db_stats stats;
    txn_db_stats(stage->db, &stats);
    ASSERT(stats.locks == 0);
}

/* ---- running them ------------------------------------------------------------------------------
 */

static int finished;

static void
run(struct task *task, void *arg)
{
    finished = 0;
    struct stage *stage = mem_zalloc(sizeof *stage);
    stage->db = test_open(task, arg);
    struct test_session s;
    struct diag diag;
    session_create(&s, task, stage->db, 1);
    session_begin(&s, TXN_READ_COMMITTED);
    OK(txn_tree_create(task, s.txn, &stage->tree, &diag));
    session_commit(&s);
    session_destroy(&s);
    test_row_modes(task, stage);
    test_table_modes(task, stage);
    test_increments(task, stage);
    test_deadlocks(task, stage);
    test_upgrade(task, stage);
    test_queue(task, stage);
    test_own(task, stage);
    test_own_shared(task, stage);
    test_exists(task, stage);
    test_insert(task, stage);
    test_tables(task, stage);
    txn_db_close(task, stage->db);
    mem_free(stage);
    finished = 1;
    world_stop(task_world(task));
}

static uint64_t
simulate(uint64_t seed)
{
    struct world_sim_options options = {0};
    struct world *world = world_sim_new(seed, &options);
    struct diag diag;
    static char directory[] = "/data";
    OK(task_spawn(world, 0, "test", run, directory, &diag));
    world_run(world);
    ASSERT(finished);
    uint64_t trace = world_trace_hash(world);
    world_delete(world);
    return trace;
}

int
main(int argc, char **argv)
{
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 10;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        (void)fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        uint64_t trace = simulate(seed);
        ASSERT(seed > 2 || trace == simulate(seed)); /* a seed is the whole story */
    }
    test_run_os(run, 2, NULL);
    ASSERT(finished);
    return 0;
}
