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

bool
checkpoint__version_at(void *arg, const struct btree_row *row, lsn_t snapshot, struct slice *value,
    uint8_t *flags, bool *newer)
{
    struct txn_db *db = arg;
    uint64_t writer = row->head.writer.v;
    uint64_t handle = row->head.undo;
    uint8_t version_flags = row->head.flags;
    *value = row->value;
    for (;;) {
        uint64_t state = table__state(db, writer);
        if (state_is_committed(state) && state <= snapshot.v) {
            break;
        }
        if (state == STATE_OLD) {
            break;
        }
        *newer = true;
        const struct undo *undo = undo_at(handle);
        if (undo->kind == UNDO_INSERT) {
            return false;
        }
        writer = undo->prev_writer;
        handle = undo->prev_undo;
        version_flags = undo->prev_flags;
        *value = undo_value(undo);
    }
    *flags = version_flags & ROW_OVERFLOW;
    return (version_flags & ROW_DELETED) == 0;
}

/* What is below the floor, every snapshot sees; no more need be known here, where perhaps no
 * snapshot is announced (T4). */
bool
checkpoint__is_settled(void *arg, txn_id_t writer)
{
    const struct txn_db *db = arg;
    return writer.v < atomic_load_explicit(&db->floor, memory_order_acquire);
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
    meta->hlc = db->hlc;
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
    choose(db, &meta);
    wal_wait_durable(task, db->wal, (lsn_t){meta.snapshot});
    enum err err = btree_checkpoint(
        task, db->store, (lsn_t){meta.snapshot}, slice_of(&meta, sizeof meta), diag);
    snapshot__drop(&db->slots[SLOT_CHECKPOINT]);
    if (err == ERR_OK) {
        atomic_store(&db->checkpoint_lsn, meta.snapshot);
        atomic_fetch_add(&db->checkpoints, 1);
        wal_free_before(task, db->wal, (lsn_t){meta.redo_start});
    }
    return err;
}

enum err
txn_db_checkpoint(struct task *task, struct txn_db *db, struct diag *diag)
{
    while (atomic_exchange(&db->checkpoint_busy, true)) { /* one at a time; they are seldom */
        TRY(task_interrupted(task, diag));
        task_park(task, world_clock_us(db->world) + 2000);
    }
    enum err err = run(task, db, diag);
    atomic_store(&db->checkpoint_busy, false);
    return err;
}

void
checkpoint__serve(struct task *task, struct txn_db *db)
{
    while (!atomic_load(&db->stopping)) {
        if (!atomic_load(&db->checkpoint_wanted)) {
            task_park(task, WORLD_NEVER);
            continue;
        }
        struct diag diag;
        task_interrupt_clear(task, TASK_TERMINATE); /* the end is told by `stopping` */
        int64_t start = world_clock_us(db->world);
        enum err err = txn_db_checkpoint(task, db, &diag);
        if (err == ERR_OK) {
            world_log(db->world, "checkpoint complete in %lld ms",
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
