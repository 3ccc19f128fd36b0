/*
 * txn/checkpoint.c - a snapshot on disk, and the log before it let go.
 *
 * T10. S is announced like any snapshot, so undo for it stays. It must be durable in the log before
 * the store may name it: a checkpoint of commits that a crash takes back would have no log to
 * follow. The log is kept from S on, or from the oldest part of a transaction that was open at S.
 */
#include "txn/txn_internal.h"

enum {
    RETRY_US = 10000000, /* after a checkpoint that failed */
};
#define PACE 0.8 /* of the way to the next checkpoint */

enum err
checkpoint__version_at(struct task *task, void *arg, const struct btree_row *row, lsn_t snapshot,
    struct btree_version *version, struct diag *diag)
{
    struct txn_db *db = arg;
    uint64_t writer = row->head.writer.v;
    uint64_t handle = row->head.undo;
    version->flags = row->head.flags;
    version->value = row->value;
    for (;;) {
        uint64_t state = table__state(db, writer);
        if ((state_is_committed(state) && state <= snapshot.v) || state == STATE_OLD) {
            break;
        }
        version->newer = true;
        if ((handle & UNDO_OF_INSERT) != 0) {
            version->exists = false;
            return ERR_OK;
        }
        const struct undo *undo = NULL;
        TRY(undo__fetch(task, db, &db->checkpoint_reader, handle, &undo, diag));
        writer = undo->prev_writer;
        handle = undo->prev_undo;
        version->flags = undo->prev_flags;
        version->value = undo_value(undo);
    }
    version->exists = (version->flags & ROW_DELETED) == 0;
    version->flags &= ROW_OVERFLOW;
    return ERR_OK;
}

/* What is below the floor, every snapshot sees; no more need be known here, where perhaps no
 * snapshot is announced (T4). */
bool
checkpoint__is_settled(void *arg, txn_id_t writer)
{
    const struct txn_db *db = arg;
    return writer.v < atomic_load_explicit(&db->floor, memory_order_acquire);
}

/*
 * The store writes at the pace of the time, of the log, and of the undo that our snapshot holds
 * back (before that goes to a file), whichever is furthest: it should be done well before the next
 * one is due.
 */
double
checkpoint__due(void *arg)
{
    struct txn_db *db = arg;
    if (!atomic_load(&db->checkpoint_paced) || atomic_load(&db->stopping)) {
        return 1;
    }
    double time = (double)(world_clock_us(db->world) - db->checkpoint_start_us) /
                  ((double)db->checkpoint_interval_us * PACE);
    double log = (double)(wal_end(db->wal).v - db->checkpoint_start_lsn) /
                 ((double)db->checkpoint_wal_size * PACE);
    uint64_t held = atomic_load(&db->undo_bytes) + atomic_load(&db->undo_spilled);
    double undo = held <= db->checkpoint_start_undo
                      ? 0
                      : (double)(held - db->checkpoint_start_undo) / (double)db->undo_memory;
    double most = time > log ? time : log;
    return most > undo ? most : undo;
}

static void
choose(struct txn_db *db, struct checkpoint_meta *meta)
{
    (void)snapshot__take(db, &db->slots[SLOT_CHECKPOINT]);
    latch_acquire(&db->commit_latch);
    meta->snapshot = atomic_load(&db->visible);
    meta->redo_start = meta->snapshot;
    LIST_FOREACH (node, &db->with_parts) {
        const struct txn *txn = LIST_ENTRY(node, struct txn, parts);
        if (txn->first_part < meta->redo_start) {
            meta->redo_start = txn->first_part;
        }
    }
    meta->hlc = db->hlc > db->hlc_reserved ? db->hlc : db->hlc_reserved; /* H2 */
    meta->schema_lsn = atomic_load(&db->schema_lsn);
    latch_release(&db->commit_latch);
    meta->magic = META_MAGIC;
    meta->version = META_VERSION;
    meta->next_id = atomic_load(&db->next_id);
    meta->epoch = db->epoch;
    meta->next_tree = atomic_load(&db->next_tree);
}

static enum err
run(struct task *task, struct txn_db *db, struct diag *diag)
{
    struct checkpoint_meta meta = {0};
    int64_t start_us = world_clock_us(db->world);
    atomic_store(&db->checkpoint_wall_us, world_wall_us(db->world));
    choose(db, &meta);
    wal_wait_durable(task, db->wal, (lsn_t){meta.snapshot});
    enum err err = btree_checkpoint(
        task, db->store, (lsn_t){meta.snapshot}, slice_of(&meta, sizeof meta), diag);
    snapshot__drop(&db->slots[SLOT_CHECKPOINT]);
    if (err == ERR_OK) {
        atomic_store(&db->checkpoint_lsn, meta.snapshot);
        atomic_store(&db->redo_start, meta.redo_start);
        atomic_fetch_add(&db->checkpoints, 1);
        int64_t us = world_clock_us(db->world) - start_us;
        struct btree_stats stats;
        btree_stats(db->store, &stats);
        atomic_store(&db->checkpoint_us, us);
        atomic_fetch_add(&db->checkpoint_us_all, (uint64_t)us);
        atomic_fetch_add(&db->checkpoint_pages_all, stats.checkpoint_done);
        err = wal_check_files(task, db->wal, (lsn_t){meta.redo_start}, diag);
        wal_free_before(task, db->wal, (lsn_t){meta.redo_start});
    } else {
        atomic_fetch_add(&db->checkpoints_failed, 1);
    }
    return err;
}

enum err
checkpoint__hold(struct task *task, struct txn_db *db, struct diag *diag)
{
    atomic_fetch_add(&db->checkpoints_requested, 1);
    while (atomic_exchange(&db->checkpoint_busy, true)) { /* one at a time; they are seldom */
        atomic_store(&db->checkpoint_paced, false);       /* we wait: hurry */
        TRY(task_interrupted(task, diag));
        task_park(task, world_clock_us(db->world) + 2000);
    }
    return ERR_OK;
}

void
checkpoint__let_go(struct txn_db *db)
{
    atomic_store(&db->checkpoint_busy, false);
}

enum err
txn_db_checkpoint(struct task *task, struct txn_db *db, struct diag *diag)
{
    TRY(checkpoint__hold(task, db, diag));
    enum err err = run(task, db, diag);
    checkpoint__let_go(db);
    return err;
}

/* Somebody's is running. Often it does for ours: another one behind it would find little that has
 * changed, and have the file grow for that. */
static enum err
run_behind(struct task *task, struct txn_db *db, struct diag *diag)
{
    TRY(checkpoint__hold(task, db, diag));
    uint64_t since = wal_end(db->wal).v - atomic_load(&db->checkpoint_lsn);
    enum err err = since > db->checkpoint_wal_size / 2 ? run(task, db, diag) : ERR_OK;
    checkpoint__let_go(db);
    return err;
}

/* In the background: not faster than it must be. */
static enum err
run_paced(struct task *task, struct txn_db *db, struct diag *diag)
{
    if (atomic_exchange(&db->checkpoint_busy, true)) {
        return run_behind(task, db, diag);
    }
    db->checkpoint_start_us = world_clock_us(db->world);
    db->checkpoint_start_lsn = wal_end(db->wal).v;
    db->checkpoint_start_undo = atomic_load(&db->undo_bytes) + atomic_load(&db->undo_spilled);
    atomic_store(&db->checkpoint_paced, true);
    enum err err = run(task, db, diag);
    atomic_store(&db->checkpoint_paced, false);
    atomic_store(&db->checkpoint_busy, false);
    return err;
}

/* Sleeps until one is wanted, or it is time for one and there is something to write, or room to be
 * given back: what the purge took away after the last one. */
static void
wait_until_wanted(struct task *task, struct txn_db *db)
{
    int64_t time_us = world_clock_us(db->world) + db->checkpoint_interval_us;
    while (!atomic_load(&db->stopping) && !atomic_load(&db->checkpoint_wanted)) {
        if (world_clock_us(db->world) >= time_us && db->checkpoint_automatic) {
            if (atomic_load(&db->visible) != atomic_load(&db->checkpoint_lsn) ||
                btree_is_sparse(db->store)) {
                return;
            }
            time_us += db->checkpoint_interval_us;
        }
        task_park(task, db->checkpoint_automatic ? time_us : WORLD_NEVER);
    }
}

void
checkpoint__serve(struct task *task, struct txn_db *db)
{
    for (;;) {
        wait_until_wanted(task, db);
        if (atomic_load(&db->stopping)) {
            return;
        }
        struct diag diag;
        task_interrupt_clear(task, TASK_TERMINATE); /* the end is told by `stopping` */
        int64_t start = world_clock_us(db->world);
        bool by_log = atomic_load(&db->checkpoint_wanted);
        atomic_fetch_add(by_log ? &db->checkpoints_by_log : &db->checkpoints_by_time, 1);
        world_log(db->world, "checkpoint starts: %s", by_log ? "log" : "time");
        enum err err = run_paced(task, db, &diag);
        if (err == ERR_OK) {
            struct btree_stats stats;
            btree_stats(db->store, &stats);
            world_log(db->world, "checkpoint complete: %llu pages in %lld ms",
                (unsigned long long)stats.checkpoint_done,
                (long long)(world_clock_us(db->world) - start) / 1000);
        } else {
            world_log(db->world, "checkpoint failed: %s", diag.message);
            int64_t until = world_clock_us(db->world) + RETRY_US;
            while (!atomic_load(&db->stopping) && world_clock_us(db->world) < until) {
                task_park(task, until);
            }
        }
        atomic_store(&db->checkpoint_wanted, false);
    }
}
