/*
 * txn/purge.c - taking away what no snapshot needs.
 *
 * Transactions retire in the order of their ends. When the horizon has passed one, and its commit
 * is durable (so that nobody need remember having met it), its undo goes, and what only its old
 * versions held: tombstones it left, overflow pages of values it replaced, trees it dropped.
 * Committing tasks do it in small slices; large ones, and whatever creates or drops trees, go to
 * the keeper, in order: a tree goes only after everything older that may name its rows.
 */
#include "txn/txn_internal.h"

enum {
    KEEP_UP_WORK = 1000, /* records to purge that make a transaction large */
    KEEP_UP_US = 10 * 1000 * 1000,
    KEEP_UP_POLL_US = 2000,
};

/* ---- one retired transaction -------------------------------------------------------------------
 */

struct sweep {
    uint64_t writer; /* erase the row if it is still this one's tombstone */
};

static enum btree_verdict
decide_sweep(void *arg, const struct btree_row *current, struct row_head *head)
{
    (void)head;
    const struct sweep *sweep = arg;
    bool ours = current != NULL && current->head.writer.v == sweep->writer &&
                (current->head.flags & ROW_DELETED) != 0;
    return ours ? BTREE_ERASE : BTREE_KEEP;
}

static void
sweep_tombstone(struct task *task, struct txn_db *db, const struct undo *undo, uint64_t writer)
{
    struct sweep sweep = {.writer = writer};
    struct diag diag;
    if (!btree_tree_exists(db->store, (tree_id_t){undo->tree})) {
        return; /* dropped before us */
    }
    if (btree_modify(task, db->store, (tree_id_t){undo->tree}, undo_key(undo), (struct slice){0}, 0,
            decide_sweep, &sweep, &diag) != ERR_OK) {
        world_log(db->world, "a deleted row stays until the next start: %s", diag.message);
    }
}

static void
drop_tree(struct task *task, struct txn_db *db, const struct undo *undo)
{
    btree_tree_drop(task, db->store, (tree_id_t){load_be64(undo->bytes)});
}

/* Records in the order of a chain, wherever they are. NULL: the end, or the rest cannot be read:
 * then its tombstones and values stay until the next start. */
static const struct undo *
next_record(struct task *task, struct txn_db *db, struct undo_reader *reader, uint64_t handle)
{
    const struct undo *undo = NULL;
    struct diag diag;
    if (handle != 0 && undo__fetch(task, db, reader, handle, &undo, &diag) != ERR_OK) {
        world_log(db->world, "deleted rows stay until the next start: %s", diag.message);
        return NULL;
    }
    return undo;
}

static void
sweep_committed(
    struct task *task, struct txn_db *db, struct undo_reader *reader, const struct undo_log *log)
{
    unsigned count = 0;
    const struct undo *undo = next_record(task, db, reader, log->last);
    while (undo != NULL) {
        if (undo->kind == UNDO_DELETE) {
            sweep_tombstone(task, db, undo, log->id);
            if (undo->tree == SYSTEM_TREE) {
                drop_tree(task, db, undo);
            }
        }
        /* A dropped tree took the values with it that its tombstones still named. */
        bool gone =
            undo->kind == UNDO_DELETE && !btree_tree_exists(db->store, (tree_id_t){undo->tree});
        bool replaced = undo->kind == UNDO_DELETE || undo->kind == UNDO_UPDATE;
        if (replaced && !gone && (undo->prev_flags & ROW_OVERFLOW) != 0) {
            btree_value_free(task, db->store, undo_value(undo));
        }
        if (++count % 64 == 0) {
            (void)task_breathe(task, NULL);
        }
        undo = next_record(task, db, reader, undo->txn_prev);
    }
}

/* Inserts that were undone: a restored tombstone's own purge may have come while the insert lay
 * over it; a created tree has to go. */
static void
sweep_undone(
    struct task *task, struct txn_db *db, struct undo_reader *reader, const struct undo_log *log)
{
    const struct undo *undo = next_record(task, db, reader, log->undone);
    while (undo != NULL) {
        if (undo->tree == SYSTEM_TREE && undo->kind == UNDO_INSERT) {
            drop_tree(task, db, undo);
        } else if (undo->prev_writer != log->id) {
            sweep_tombstone(task, db, undo, undo->prev_writer);
        }
        undo = next_record(task, db, reader, undo->txn_prev);
    }
}

static void
purge_log(struct task *task, struct txn_db *db, struct undo_log *log, struct txn *keeper)
{
    if (log->work > 0) {
        struct undo_reader *reader = keeper == NULL ? &db->purge_reader : &keeper->reader;
        sweep_undone(task, db, reader, log);
        if (log->lsn != 0) {
            sweep_committed(task, db, reader, log);
        }
    }
    uint64_t bytes = log->bytes;
    undo__free(db, log, keeper);
    atomic_fetch_sub_explicit(&db->purging_bytes, bytes, memory_order_relaxed);
}

/* ---- the queue ---------------------------------------------------------------------------------
 */

/* Up to `limit` retired ones that nobody needs, in order. */
static struct undo_log *
take_retired(struct txn_db *db, unsigned limit, uint64_t *horizon)
{
    *horizon = snapshot__horizon(db);
    uint64_t durable = wal_durable(db->wal).v;
    latch_acquire(&db->commit_latch);
    struct undo_log *first = db->retired_first;
    struct undo_log *last = NULL;
    unsigned count = 0;
    uint64_t bytes = 0;
    for (struct undo_log *at = first; at != NULL && count < limit; at = at->next) {
        if (at->era > *horizon || at->lsn > durable) {
            break;
        }
        last = at;
        count++;
        bytes += at->bytes;
        db->retired_work -= at->work;
        if (at == db->spill_last) {
            db->spill_last = NULL; /* whoever is first now has not been spilled */
        }
    }
    db->retired_bytes -= bytes;
    atomic_fetch_add_explicit(&db->purging_bytes, bytes, memory_order_relaxed);
    if (last != NULL) {
        db->retired_first = last->next;
        last->next = NULL;
    }
    latch_release(&db->commit_latch);
    atomic_fetch_sub_explicit(&db->retired_count, count, memory_order_relaxed);
    return last == NULL ? NULL : first;
}

static void
push_heavy(struct txn_db *db, struct undo_log *log)
{
    latch_acquire(&db->heavy_latch);
    log->next = NULL;
    if (db->heavy_first == NULL) {
        db->heavy_first = log;
    } else {
        db->heavy_last->next = log;
    }
    db->heavy_last = log;
    atomic_fetch_add_explicit(&db->heavy_work, log->work, memory_order_relaxed);
    latch_release(&db->heavy_latch);
}

/* What can be purged now and has not been, in records to look at; about. */
static uint64_t
backlog(struct txn_db *db)
{
    uint64_t horizon = snapshot__horizon(db);
    uint64_t durable = wal_durable(db->wal).v;
    uint64_t work = atomic_load_explicit(&db->heavy_work, memory_order_relaxed);
    latch_acquire(&db->commit_latch);
    const struct undo_log *first = db->retired_first;
    if (first != NULL && first->era <= horizon && first->lsn <= durable) {
        work += db->retired_work;
    }
    latch_release(&db->commit_latch);
    return work;
}

void
purge__keep_up(struct task *task, struct txn_db *db, uint64_t work)
{
    if (work < KEEP_UP_WORK) {
        return;
    }
    int64_t until_us = world_clock_us(db->world) + KEEP_UP_US;
    while (backlog(db) > 2 * work && world_clock_us(db->world) < until_us) {
        spill__hurry_keeper(db);
        task_park(task, world_clock_us(db->world) + KEEP_UP_POLL_US);
    }
}

static struct undo_log *
take_heavy(struct txn_db *db)
{
    latch_acquire(&db->heavy_latch);
    struct undo_log *log = db->heavy_first;
    if (log != NULL) {
        db->heavy_first = log->next;
    }
    latch_release(&db->heavy_latch);
    return log;
}

static unsigned
slice_of_work(struct task *task, struct txn_db *db, struct txn *txn, unsigned limit)
{
    uint64_t horizon = 0;
    struct undo_log *log = take_retired(db, limit, &horizon);
    unsigned count = 0;
    while (log != NULL) {
        struct undo_log *next = log->next;
        table__purged(db, log->id);
        if (log->work > PURGE_INLINE_WORK || log->trees) {
            push_heavy(db, log);
        } else {
            purge_log(task, db, log, txn);
        }
        log = next;
        count++;
    }
    table__free_dead(db, horizon);
    return count;
}

void
purge__step(struct task *task, struct txn_db *db, struct txn *txn)
{
    if (atomic_load_explicit(&db->retired_count, memory_order_relaxed) <
            atomic_load_explicit(&db->purge_at, memory_order_relaxed) ||
        atomic_exchange(&db->purging, true)) {
        return;
    }
    unsigned taken = slice_of_work(task, db, txn, PURGE_SLICE);
    /* Looking for the horizon costs a line of cache for each session; if it is an old snapshot that
     * holds things up, looking again at the next commit will not help. */
    uint64_t pause =
        PURGE_THRESHOLD + atomic_load_explicit(&db->slot_count, memory_order_relaxed) / 16;
    uint64_t left = atomic_load_explicit(&db->retired_count, memory_order_relaxed);
    atomic_store_explicit(
        &db->purge_at, taken == PURGE_SLICE ? pause : left + pause, memory_order_relaxed);
    atomic_store(&db->purging, false);
}

bool
purge__all(struct task *task, struct txn_db *db)
{
    unsigned count = 0;
    do {
        if (atomic_exchange(&db->purging, true)) {
            return true;
        }
        count = slice_of_work(task, db, NULL, PURGE_SLICE);
        atomic_store(&db->purging, false);
        struct undo_log *heavy = NULL;
        while ((heavy = take_heavy(db)) != NULL) {
            uint32_t work = heavy->work;
            purge_log(task, db, heavy, NULL);
            atomic_fetch_sub_explicit(&db->heavy_work, work, memory_order_relaxed);
        }
        (void)task_breathe(task, NULL);
    } while (count > 0);
    return atomic_load(&db->retired_count) > 0;
}

void
purge__drop_everything(struct txn_db *db)
{
    struct undo_log *lists[] = {db->retired_first, db->heavy_first};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct undo_log *log = lists[i];
        while (log != NULL) {
            struct undo_log *next = log->next;
            undo__free(db, log, NULL);
            log = next;
        }
    }
    db->retired_first = NULL;
    db->heavy_first = NULL;
}
