/*
 * Serializable transactions: the anomalies of the books by hand, and random histories of
 * interleaved sessions, whose committed transactions must have an acyclic graph of dependencies.
 * The same histories at REPEATABLE READ must have cycles, or the judge is blind. Last, sessions on
 * several workers at once, whose invariants only serializable execution keeps.
 *
 * ctest: threads
 */
#include "tests/unit/txn_util.h"

enum {
    KEYS = 6,
    SESSIONS = 4,
    TXNS_MAX = 64,
    ROUNDS = 150,
};

static tree_id_t tree;
static struct diag diag; /* of what must not fail */

static uint64_t
key_of(int i, uint8_t bytes[8])
{
    store_be64(bytes, (uint64_t)i);
    return (uint64_t)i;
}

/* ---- one session ----------------------------------------------------------------------------- */

static void
begin(struct test_session *s, enum txn_isolation isolation, bool read_only)
{
    OK(txn_begin(s->task, s->txn, isolation, read_only, &s->diag));
    arena_reset(&s->arena);
    s->snapshot = txn_statement_begin(s->txn);
}

static enum err
get(struct test_session *s, int i, uint64_t *value)
{
    uint8_t bytes[8];
    (void)key_of(i, bytes);
    struct txn_row row;
    bool found = false;
    s->snapshot = txn_statement_begin(s->txn);
    TRY(txn_get(
        s->task, s->txn, s->snapshot, tree, slice_of(bytes, 8), &s->arena, &row, &found, &s->diag));
    *value = found ? load_be64(row.value.data) : UINT64_MAX;
    return ERR_OK;
}

static enum err
count_range(struct test_session *s, int low, int high, uint64_t *count)
{
    uint8_t from[8], to[8];
    (void)key_of(low, from);
    (void)key_of(high, to);
    struct txn_range range = {
        .low = slice_of(from, 8), .high = slice_of(to, 8), .has_low = true, .has_high = true};
    s->snapshot = txn_statement_begin(s->txn);
    struct txn_scan *scan = NULL;
    TRY(txn_scan_open(
        s->task, s->txn, s->snapshot, tree, &range, false, &s->arena, &scan, &s->diag));
    *count = 0;
    bool found = true;
    enum err err = ERR_OK;
    while (err == ERR_OK && found) {
        struct txn_row row;
        err = txn_scan_next(s->task, scan, &row, &found, &s->diag);
        *count += err == ERR_OK && found;
    }
    txn_scan_close(s->task, scan);
    return err;
}

static enum err
put(struct test_session *s, int i, uint64_t value)
{
    uint8_t key[8], bytes[8];
    (void)key_of(i, key);
    store_be64(bytes, value);
    struct txn_row row;
    bool found = false;
    s->snapshot = txn_statement_begin(s->txn);
    TRY(txn_get(
        s->task, s->txn, s->snapshot, tree, slice_of(key, 8), &s->arena, &row, &found, &s->diag));
    if (!found) {
        return txn_insert(
            s->task, s->txn, tree, slice_of(key, 8), slice_of(bytes, 8), &s->arena, NULL, &s->diag);
    }
    enum txn_outcome outcome;
    struct txn_row latest;
    return txn_update(s->task, s->txn, s->snapshot, tree, slice_of(key, 8), row.version,
        slice_of(bytes, 8), &s->arena, &latest, &outcome, &s->diag);
}

static enum err
commit(struct test_session *s)
{
    return txn_commit(s->task, s->txn, &s->diag);
}

static void
rollback(struct test_session *s)
{
    txn_rollback(s->task, s->txn);
}

static void
expect_failure(struct test_session *s, enum err err)
{
    ASSERT(err == ERR_SERIALIZATION);
    ASSERT(strstr(s->diag.detail, "-rw->") != NULL);
}

/* ---- by hand --------------------------------------------------------------------------------- */

static void
test_write_skew(struct test_session *a, struct test_session *b)
{
    uint64_t value;
    begin(a, TXN_SERIALIZABLE, false);
    begin(b, TXN_SERIALIZABLE, false);
    OK(get(a, 1, &value));
    OK(get(b, 2, &value));
    OK(put(a, 2, 100));
    enum err err = put(b, 1, 100);
    if (err == ERR_OK) {
        OK(commit(a));
        err = commit(b);
    } else {
        rollback(b);
        OK(commit(a));
    }
    expect_failure(b, err);
}

/* A phantom: both count a range, both insert into it. */
static void
test_phantom(struct test_session *a, struct test_session *b)
{
    uint64_t count;
    begin(a, TXN_SERIALIZABLE, false);
    begin(b, TXN_SERIALIZABLE, false);
    OK(count_range(a, 100, 200, &count));
    OK(count_range(b, 100, 200, &count));
    OK(put(a, 150, 1));
    OK(commit(a));
    enum err err = put(b, 160, 1);
    if (err == ERR_OK) {
        err = commit(b);
    } else {
        rollback(b);
    }
    expect_failure(b, err);
}

/* Neighbours in one leaf, far from each other as keys: no conflict. */
static void
test_disjoint(struct test_session *a, struct test_session *b)
{
    uint64_t value;
    begin(a, TXN_SERIALIZABLE, false);
    begin(b, TXN_SERIALIZABLE, false);
    OK(get(a, 301, &value));
    OK(get(b, 302, &value));
    OK(put(a, 301, 1));
    OK(put(b, 302, 1));
    OK(commit(a));
    OK(commit(b));
}

/* The receipt report (Fekete, O'Neil and O'Neil 2004): harmless without the reader, an anomaly with
 * it; and harmless again if the reader's snapshot is older. */
static void
test_read_only(struct test_session *a, struct test_session *b, struct test_session *c)
{
    uint64_t value;
    for (int reader = 0; reader < 2; reader++) {
        begin(a, TXN_SERIALIZABLE, false); /* the pivot: reads the batch, adds a receipt */
        OK(get(a, 1, &value));
        if (reader == 1) {
            begin(c, TXN_SERIALIZABLE, true);
            OK(get(c, 2, &value));
        }
        begin(b, TXN_SERIALIZABLE, false); /* closes the batch */
        OK(put(b, 1, 7));
        OK(commit(b));
        if (reader == 0) {
            begin(c, TXN_SERIALIZABLE, true); /* the report, after the batch was closed */
            OK(get(c, 1, &value));
            OK(get(c, 2, &value));
            OK(commit(c));
        } else {
            OK(get(c, 1, &value));
            OK(commit(c));
        }
        enum err err = put(a, 2, 8);
        if (err == ERR_OK) {
            err = commit(a);
        } else {
            rollback(a);
        }
        if (reader == 0) {
            expect_failure(a, err);
        } else {
            ASSERT(err == ERR_OK);
        }
    }
}

static void
test_safe_snapshot(struct test_session *a, struct test_session *c)
{
    uint64_t value;
    OK(txn_begin(c->task, c->txn, TXN_SERIALIZABLE, true, &c->diag));
    OK(txn_wait_for_safe_snapshot(c->task, c->txn, &c->diag));
    ASSERT(!txn_tracks_reads(c->txn));
    OK(get(c, 1, &value));
    begin(a, TXN_SERIALIZABLE, false);
    OK(put(a, 1, value + 1));
    OK(commit(a));
    uint64_t again;
    OK(get(c, 1, &again));
    ASSERT(again == value);
    OK(commit(c));
}

/* Two insert a key that both saw free: 40001, not a duplicate. */
static void
test_unique(struct test_session *a, struct test_session *b)
{
    uint64_t value;
    begin(a, TXN_SERIALIZABLE, false);
    begin(b, TXN_SERIALIZABLE, false);
    OK(get(a, 500, &value));
    OK(get(b, 500, &value));
    OK(put(a, 500, 1));
    OK(commit(a));
    expect_failure(b, put(b, 500, 2));
    rollback(b);
}

/* ---- random histories -------------------------------------------------------------------------
 */

/* Every version is named by the transaction that wrote it; values are those names. */
struct history {
    bool committed[TXNS_MAX];
    bool edge[TXNS_MAX][TXNS_MAX];
    uint32_t count;
    /* per key: who wrote its versions, in the order of commits */
    uint32_t versions[KEYS][TXNS_MAX];
    uint32_t version_count[KEYS];
    struct {
        uint32_t reader;
        int key;
        uint64_t saw;
    } reads[TXNS_MAX * 8];
    uint32_t read_count;
};

static bool
has_cycle(const struct history *h)
{
    static bool reach[TXNS_MAX][TXNS_MAX];
    memcpy(reach, h->edge, sizeof reach);
    for (uint32_t k = 0; k < h->count; k++) {
        for (uint32_t i = 0; i < h->count; i++) {
            for (uint32_t j = 0; j < h->count && reach[i][k]; j++) {
                reach[i][j] |= reach[k][j];
            }
        }
    }
    for (uint32_t i = 0; i < h->count; i++) {
        if (reach[i][i]) {
            return true;
        }
    }
    return false;
}

static void
add_edges(struct history *h)
{
    for (int k = 0; k < KEYS; k++) {
        for (uint32_t v = 0; v + 1 < h->version_count[k]; v++) {
            h->edge[h->versions[k][v]][h->versions[k][v + 1]] = true; /* ww */
        }
    }
    for (uint32_t r = 0; r < h->read_count; r++) {
        uint32_t reader = h->reads[r].reader;
        if (!h->committed[reader]) {
            continue;
        }
        int k = h->reads[r].key;
        uint32_t v = 0;
        while (v < h->version_count[k] && h->versions[k][v] != h->reads[r].saw) {
            v++;
        }
        ASSERT(v < h->version_count[k]); /* it saw a committed version */
        if (h->versions[k][v] != reader) {
            h->edge[h->versions[k][v]][reader] = true; /* wr */
        }
        if (v + 1 < h->version_count[k] && h->versions[k][v + 1] != reader) {
            h->edge[reader][h->versions[k][v + 1]] = true; /* rw */
        }
    }
}

struct run {
    bool active, read_only;
    uint32_t name;
    bool wrote[KEYS];
    uint32_t steps;
};

static uint32_t
random_below(uint64_t *state, uint32_t limit)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)((*state >> 33) % limit);
}

static void
end_run(struct history *h, struct run *run, bool committed)
{
    run->active = false;
    h->committed[run->name] = committed;
    for (int k = 0; committed && k < KEYS; k++) {
        if (run->wrote[k]) {
            h->versions[k][h->version_count[k]++] = run->name;
        }
    }
}

/* One step of one session, never one that would have to wait. Returns how many were aborted. */
static uint32_t
step(struct history *h, struct test_session *s, struct run *run, struct run *all,
    enum txn_isolation isolation, uint64_t *chance)
{
    if (!run->active) {
        if (h->count == TXNS_MAX) {
            return 0;
        }
        *run = (struct run){.active = true, .name = h->count++};
        run->read_only = random_below(chance, 4) == 0;
        begin(s, isolation, run->read_only);
        return 0;
    }
    run->steps++;
    int k = (int)random_below(chance, KEYS);
    uint32_t what = random_below(chance, run->steps > 3 ? 4 : 3);
    enum err err = ERR_OK;
    if (what == 3) {
        err = commit(s);
        end_run(h, run, err == ERR_OK);
        ASSERT(err == ERR_OK || err == ERR_SERIALIZATION);
        return err != ERR_OK;
    }
    bool busy = run->read_only;
    for (int i = 0; i < SESSIONS; i++) {
        busy |= all[i].active && &all[i] != run && all[i].wrote[k];
    }
    if (what == 2 && !busy) {
        err = put(s, k, run->name); /* reads it, too */
        if (err == ERR_OK) {
            run->wrote[k] = true;
        }
    } else if (!run->wrote[k]) {
        uint64_t value = 0;
        err = get(s, k, &value);
        if (err == ERR_OK) {
            h->reads[h->read_count].reader = run->name;
            h->reads[h->read_count].key = k;
            h->reads[h->read_count++].saw = value;
        }
    }
    if (err != ERR_OK) {
        ASSERT(err == ERR_SERIALIZATION);
        rollback(s);
        end_run(h, run, false);
        return 1;
    }
    return 0;
}

static bool
random_history(
    struct test_session *sessions, enum txn_isolation isolation, uint64_t seed, uint32_t *aborted)
{
    static struct history h;
    memset(&h, 0, sizeof h);
    struct run runs[SESSIONS] = {0};
    uint64_t chance = seed;
    begin(&sessions[0], TXN_READ_COMMITTED, false);
    h.count = 1;
    h.committed[0] = true;
    for (int k = 0; k < KEYS; k++) {
        OK(put(&sessions[0], k, 0));
        h.versions[k][h.version_count[k]++] = 0;
    }
    OK(txn_commit(sessions[0].task, sessions[0].txn, &diag));
    for (int i = 0; i < 300 && h.read_count < TXNS_MAX * 8; i++) {
        uint32_t who = random_below(&chance, SESSIONS);
        *aborted += step(&h, &sessions[who], &runs[who], runs, isolation, &chance);
    }
    for (int i = 0; i < SESSIONS; i++) {
        if (runs[i].active) {
            rollback(&sessions[i]);
            end_run(&h, &runs[i], false);
        }
    }
    add_edges(&h);
    return has_cycle(&h);
}

static void
test_random(struct test_session *sessions)
{
    uint32_t cycles = 0, aborted_si = 0, aborted = 0;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        if (random_history(sessions, TXN_SERIALIZABLE, seed, &aborted)) {
            (void)fprintf(stderr, "seed %llu: committed transactions form a cycle\n",
                (unsigned long long)seed);
            ASSERT(false);
        }
        cycles += random_history(sessions, TXN_REPEATABLE_READ, seed, &aborted_si);
    }
    (void)fprintf(stderr, "%d histories: %u aborts; at REPEATABLE READ %u, and %u cycles\n", ROUNDS,
        aborted, aborted_si, cycles);
    ASSERT(cycles > ROUNDS / 10);
}

/* ---- several workers --------------------------------------------------------------------------
 *
 * Write skew in pairs of keys: a transaction may take 1 from either of a pair if the sum of both is
 * above 0; serializable ones keep each sum at 0 or above. Counting all the pairs at once,
 * read-only, must never show less either. And a sum over a range is kept in another key (a phantom
 * would break it): an insert of n into the range adds n to the sum it has counted.
 */

enum {
    PAIRS = 4,
    PAIR_KEYS = 1000,
    STRESS_ROUNDS = 400,
    STRESS_ACTORS = 6,
    RANGE_FROM = 5000,
    RANGE_TO = 6000,
    RANGE_COUNT_KEY = 7000,
};

struct actor {
    struct txn_db *db;
    uint32_t number;
    uint64_t commits, failures;
    _Atomic bool *done;
};

static enum err
take_one(struct test_session *s, uint64_t *chance)
{
    int pair = PAIR_KEYS + 2 * (int)random_below(chance, PAIRS);
    uint64_t a = 0;
    uint64_t b = 0;
    TRY(get(s, pair, &a));
    TRY(get(s, pair + 1, &b));
    ASSERT((int64_t)(a + b) >= 0); /* no serializable execution shows less */
    int side = (int)random_below(chance, 2);
    uint64_t have = side == 0 ? a : b;
    if ((int64_t)(a + b) > 0) {
        return put(s, pair + side, have - 1);
    }
    return put(s, pair + side, have + 20);
}

static enum err
look_at_all(struct test_session *s)
{
    for (int i = 0; i < PAIRS; i++) {
        uint64_t a = 0;
        uint64_t b = 0;
        TRY(get(s, PAIR_KEYS + 2 * i, &a));
        TRY(get(s, PAIR_KEYS + 2 * i + 1, &b));
        ASSERT((int64_t)(a + b) >= 0);
    }
    return ERR_OK;
}

static enum err
add_to_range(struct test_session *s, uint64_t *chance)
{
    uint64_t count = 0;
    TRY(count_range(s, RANGE_FROM, RANGE_TO, &count));
    int key = RANGE_FROM + (int)random_below(chance, (uint32_t)(RANGE_TO - RANGE_FROM));
    uint64_t there = 0;
    TRY(get(s, key, &there));
    if (there != UINT64_MAX) {
        return ERR_OK;
    }
    TRY(put(s, key, 1));
    return put(s, RANGE_COUNT_KEY, count + 1);
}

static void
actor_main(struct task *task, void *arg)
{
    struct actor *actor = arg;
    struct test_session s;
    session_create(&s, task, actor->db, 100 + actor->number);
    txn_set_synchronous(s.txn, false);
    uint64_t chance = 77 + actor->number;
    for (int i = 0; i < STRESS_ROUNDS; i++) {
        uint32_t what = random_below(&chance, 10);
        begin(&s, TXN_SERIALIZABLE, what < 2);
        enum err err = what < 2   ? look_at_all(&s)
                       : what < 7 ? take_one(&s, &chance)
                                  : add_to_range(&s, &chance);
        if (err == ERR_OK) {
            err = commit(&s);
        } else {
            rollback(&s);
        }
        ASSERT(err == ERR_OK || err == ERR_SERIALIZATION || err == ERR_DEADLOCK);
        actor->commits += err == ERR_OK;
        actor->failures += err != ERR_OK;
        task_park(task, world_clock_us(task_world(task)) + 20);
    }
    session_destroy(&s);
    atomic_store(actor->done, true);
}

static void
test_workers(struct task *task, struct txn_db *db, struct test_session *s)
{
    begin(s, TXN_READ_COMMITTED, false);
    for (int i = 0; i < 2 * PAIRS; i++) {
        OK(put(s, PAIR_KEYS + i, 10));
    }
    OK(put(s, RANGE_COUNT_KEY, 0));
    OK(commit(s));
    struct actor actors[STRESS_ACTORS];
    _Atomic bool done[STRESS_ACTORS];
    for (uint32_t i = 0; i < STRESS_ACTORS; i++) {
        atomic_init(&done[i], false);
        actors[i] = (struct actor){.db = db, .number = i, .done = &done[i]};
        OK(task_spawn(task_world(task), (int)i, "actor", actor_main, &actors[i], &diag));
    }
    uint64_t commits = 0, failures = 0;
    for (uint32_t i = 0; i < STRESS_ACTORS; i++) {
        AWAIT(task, atomic_load(&done[i]));
        commits += actors[i].commits;
        failures += actors[i].failures;
    }
    begin(s, TXN_READ_COMMITTED, false);
    uint64_t counted = 0, kept = 0;
    OK(count_range(s, RANGE_FROM, RANGE_TO, &counted));
    OK(get(s, RANGE_COUNT_KEY, &kept));
    OK(look_at_all(s));
    OK(commit(s));
    (void)fprintf(stderr, "workers: %llu commits, %llu serialization failures, %llu in the range\n",
        (unsigned long long)commits, (unsigned long long)failures, (unsigned long long)counted);
    ASSERT(counted == kept && counted > 0 && commits > STRESS_ROUNDS);
}

/* ---- a commit that takes long ------------------------------------------------------------------
 */

enum {
    SLOW_ROWS = 10,
    SLOW_SIZE = 1000 * 1000,
};

struct slow {
    struct txn_db *db;
    _Atomic int step;
    _Atomic int ended;
    enum err err;
};

/* Reads key 1, writes key 2 and so much that its commit is on its way for milliseconds. */
static void
slow_main(struct task *task, void *arg)
{
    struct slow *slow = arg;
    struct test_session s;
    uint64_t value = 0;
    uint8_t *large = mem_alloc(SLOW_SIZE);
    world_random_bytes(task_world(task), large, SLOW_SIZE); /* or the log would pack it */
    session_create(&s, task, slow->db, 77);
    begin(&s, TXN_SERIALIZABLE, false);
    slow->err = get(&s, 1, &value);
    slow->err = slow->err == ERR_OK ? put(&s, 2, 1000) : slow->err;
    for (uint64_t i = 0; i < SLOW_ROWS && slow->err == ERR_OK; i++) {
        uint8_t key[8];
        store_be64(key, 1000000 + i);
        slow->err = txn_insert(task, s.txn, tree, slice_of(key, 8), slice_of(large, SLOW_SIZE),
            &s.arena, NULL, &s.diag);
    }
    ASSERT(slow->err == ERR_OK);
    atomic_store(&slow->step, 1);
    slow->err = commit(&s);
    session_destroy(&s);
    mem_free(large);
    atomic_store(&slow->ended, 1);
}

/* X reads 1, writes 2 and is about to commit; W changes 1 and commits before it; R, later, sees
 * what W did and not what X did. R -rw-> X -rw-> W, W first and in R's snapshot: one of them must
 * fail, however late X's record comes into the log. */
static void
test_slow_commit(struct task *task, struct txn_db *db, struct test_session *w)
{
    static struct slow slow;
    uint64_t one = 0;
    uint64_t two = 0;
    begin(w, TXN_READ_COMMITTED, false);
    OK(put(w, 1, 1));
    OK(put(w, 2, 2));
    OK(commit(w));
    slow = (struct slow){.db = db};
    OK(task_spawn(task_world(task), 1, "slow", slow_main, &slow, &diag));
    AWAIT(task, atomic_load(&slow.step) == 1);
    struct txn_db_stats start;
    struct txn_db_stats stats;
    txn_db_stats(db, &start);
    do { /* until its redo is on the way */
        txn_db_stats(db, &stats);
        task_yield(task);
    } while (stats.wal_bytes < start.wal_bytes + SLOW_SIZE);
    begin(w, TXN_SERIALIZABLE, false);
    enum err err = put(w, 1, 3);
    err = err == ERR_OK ? commit(w) : err;
    enum err seen = ERR_OK;
    if (err == ERR_OK) {
        begin(w, TXN_SERIALIZABLE, false);
        seen = get(w, 1, &one);
        seen = seen == ERR_OK ? get(w, 2, &two) : seen;
        seen = seen == ERR_OK ? commit(w) : seen;
    }
    if (txn_state(w->txn) != TXN_IDLE) {
        rollback(w);
    }
    AWAIT(task, atomic_load(&slow.ended) == 1);
    bool late = err == ERR_OK && seen == ERR_OK && one == 3 && two == 2;
    (void)fprintf(stderr, "slow commit: %d %d %d, read %llu %llu\n", slow.err, err, seen,
        (unsigned long long)one, (unsigned long long)two);
    ASSERT(!late || slow.err == ERR_SERIALIZATION);
    task_sleep(task, 2000);
}

static void
run(struct task *task, void *arg)
{
    struct txn_db *db = test_open(task, arg);
    struct test_session sessions[SESSIONS];
    for (uint32_t i = 0; i < SESSIONS; i++) {
        session_create(&sessions[i], task, db, i + 1);
        txn_set_synchronous(sessions[i].txn, false);
    }
    struct test_session *s = sessions;
    begin(&s[0], TXN_READ_COMMITTED, false);
    OK(txn_tree_create(task, s[0].txn, &tree, &diag));
    OK(put(&s[0], 1, 1));
    OK(put(&s[0], 2, 2));
    OK(commit(&s[0]));
    test_write_skew(&s[0], &s[1]);
    test_phantom(&s[0], &s[1]);
    test_disjoint(&s[0], &s[1]);
    test_read_only(&s[0], &s[1], &s[2]);
    test_safe_snapshot(&s[0], &s[2]);
    test_unique(&s[0], &s[1]);
    test_random(sessions);
    test_slow_commit(task, db, &s[0]);
    test_workers(task, db, &s[0]);
    for (int i = 0; i < SESSIONS; i++) {
        session_destroy(&sessions[i]);
    }
    txn_db_close(task, db);
    world_stop(task_world(task));
}

int
main(void)
{
    test_run_os(run, 3, NULL);
    return 0;
}
