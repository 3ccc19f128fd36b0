/*
 * txn/commit.c - a transaction's beginning and end.
 *
 * The order of a commit: redo into the log buffer (fixes LSN and HLC), result into the table, LSN
 * visible, era; all under the commit latch, nothing sleeps in between (T1). Then locks go, waiters
 * wake, and only then the disk is waited for.
 */
#include "base/hash.h"
#include "txn/txn_internal.h"

/* ---- sessions ----------------------------------------------------------------------------------
 */

struct txn *
txn_new(struct txn_db *db, uint32_t owner_pid)
{
    struct txn *txn = mem_zalloc(sizeof *txn);
    txn->db = db;
    txn->owner_pid = owner_pid;
    txn->synchronous = true;
    list_init(&txn->session_holds);
    arena_create(&txn->scratch, "txn");
    latch_acquire(&db->registry_latch);
    uint32_t count = atomic_load(&db->slot_count);
    uint32_t index = db->free_slot_count > 0 ? db->free_slots[--db->free_slot_count] : count;
    ASSERT(index < SLOTS_MAX);
    if (index == count) {
        atomic_store(&db->slot_count, count + 1);
    }
    txn->slot = &db->slots[index];
    txn->slot->txn = txn;
    latch_release(&db->registry_latch);
    return txn;
}

void
txn_trim(struct txn *txn)
{
    while (txn->spare != NULL) {
        struct undo_block *block = txn->spare;
        txn->spare = block->older;
        spill__block_free(txn->db, block);
    }
    txn->spare_count = 0;
    undo_reader_destroy(&txn->reader);
    ssi__trim(txn);
    if (txn->state == TXN_IDLE) {
        buffer_destroy(&txn->redo);
    }
}

void
txn_delete(struct task *task, struct txn *txn)
{
    (void)task;
    struct txn_db *db = txn->db;
    ASSERT(txn->state == TXN_IDLE && txn->holds == NULL && txn->waiting == NULL);
    txn_unlock_all_advisory(txn);
    txn_trim(txn);
    latch_acquire(&db->registry_latch);
    db->old_commits += atomic_load_explicit(&txn->commits, memory_order_relaxed);
    db->old_rollbacks += atomic_load_explicit(&txn->rollbacks, memory_order_relaxed);
    txn->slot->txn = NULL;
    db->free_slots[db->free_slot_count++] = (uint32_t)(txn->slot - db->slots);
    latch_release(&db->registry_latch);
    buffer_destroy(&txn->redo);
    arena_destroy(&txn->scratch);
    mem_free(txn->savepoints);
    mem_free(txn->table_locks);
    mem_free(txn);
}

enum err
txn_begin(struct task *task, struct txn *txn, enum txn_isolation isolation, bool read_only,
    struct diag *diag)
{
    (void)task;
    (void)diag;
    ASSERT(txn->state == TXN_IDLE && txn->sx == NULL);
    txn->state = TXN_ACTIVE;
    txn->isolation = isolation;
    txn->read_only = read_only;
    txn->changes_schema = false;
    txn->changes_replicated = false;
    txn->replicated = TXN_REPLICATED_NOTHING;
    txn->idempotency_key = (struct slice){0};
    memset(txn->saga_id, 0, sizeof txn->saga_id);
    txn->saga_step = 0;
    txn->has_saga = txn->saga_ends = txn->at_stamp = false;
    txn->has_snapshot = false;
    txn->command = 0;
    txn->dead_command = 0;
    txn->observed = 0;
    txn->snapshot_lsn = 0;
    return ERR_OK;
}

enum txn_state
txn_state(const struct txn *txn)
{
    return txn->state;
}

enum txn_isolation
txn_isolation(const struct txn *txn)
{
    return txn->isolation;
}

bool
txn_read_only(const struct txn *txn)
{
    return txn->read_only;
}

void
txn_set_read_only(struct txn *txn, bool read_only)
{
    txn->read_only = read_only;
}

enum err
txn_set_isolation(struct txn *txn, enum txn_isolation isolation, struct diag *diag)
{
    (void)diag;
    ASSERT(!txn->has_snapshot);
    txn->isolation = isolation;
    return ERR_OK;
}

bool
txn_has_snapshot(const struct txn *txn)
{
    return txn->has_snapshot;
}

txn_id_t
txn_id(const struct txn *txn)
{
    return (txn_id_t){atomic_load_explicit(&txn->id, memory_order_relaxed)};
}

void
txn_set_scope(struct txn *txn, uint32_t scope)
{
    atomic_store_explicit(&txn->scope, scope, memory_order_relaxed);
}

uint32_t
txn_scope(const struct txn *txn)
{
    return atomic_load_explicit(&txn->scope, memory_order_relaxed);
}

void
txn_set_synchronous(struct txn *txn, bool synchronous)
{
    txn->synchronous = synchronous;
}

void
txn_mark_schema_change(struct txn *txn)
{
    txn->changes_schema = true;
}

void
txn_set_saga(struct txn *txn, const uint8_t id[16], uint32_t step, bool ends)
{
    ASSERT(txn->log != NULL);
    memcpy(txn->saga_id, id, sizeof txn->saga_id);
    txn->saga_step = step;
    txn->saga_ends = ends;
    txn->has_saga = true;
}

void
txn_set_idempotency_key(struct txn *txn, struct slice key)
{
    ASSERT(txn->log != NULL && key.size <= UINT8_MAX);
    txn->idempotency_key = key;
}

void
txn_permit_replicated(struct txn *txn, enum txn_replicated permitted)
{
    txn->replicated = permitted;
}

enum txn_replicated
txn_replicated_permitted(const struct txn *txn)
{
    return txn->replicated;
}

void
txn_mark_replicated_change(struct txn *txn)
{
    txn->changes_replicated = true;
}

bool
txn_changes_replicated(const struct txn *txn)
{
    return txn->changes_replicated;
}

bool
txn_changes_schema(const struct txn *txn)
{
    return txn->changes_schema;
}

enum err
txn__start_writing(struct task *task, struct txn *txn, struct diag *diag)
{
    ASSERT(txn->state == TXN_ACTIVE);
    struct txn_db *db = txn->db;
    if (spill__needs_room(db)) {
        TRY(spill__make_room(task, txn, diag));
    }
    if (txn->log != NULL) {
        snapshot__ensure(txn);
        return ERR_OK;
    }
    if (txn->read_only) {
        return diag_set(
            diag, ERR_READ_ONLY_TRANSACTION, "cannot change data in a read-only transaction");
    }
    snapshot__ensure(txn);
    uint64_t id = 0;
    TRY(table__new_id(db, &id, diag));
    undo__begin(txn, id);
    if (txn->sx != NULL) {
        ssi__set_id(txn, id);
    }
    atomic_store(&txn->id, id);
    txn->redo.size = 0;
    txn->redo_base = 0;
    txn->first_part = 0;
    return ERR_OK;
}

enum err
txn_need_id(struct task *task, struct txn *txn, struct diag *diag)
{
    return txn__start_writing(task, txn, diag);
}

bool
txn_db_is_active(struct txn_db *db, txn_id_t id)
{
    return state_is_active(table__state(db, id.v));
}

/* ---- the log -----------------------------------------------------------------------------------
 */

static enum err
append_part(struct task *task, struct txn *txn, struct slice redo, struct diag *diag)
{
    struct txn_db *db = txn->db;
    struct part_head head = {.id = txn->log->id, .redo_before = txn->redo_base};
    struct buffer packed = {0};
    uint16_t type = redo__pack(redo, &packed) ? RECORD_PART_PACKED : RECORD_PART;
    struct slice body = type == RECORD_PART ? redo : slice_of(packed.data, packed.size);
    struct slice pieces[] = {slice_of(&head, sizeof head), body};
    lsn_t start;
    lsn_t end;
    enum err err = ERR_OK;
    for (;;) {
        err = wal_make_room(task, db->wal, sizeof head + body.size, diag);
        if (err != ERR_OK) {
            break;
        }
        latch_acquire(&db->commit_latch);
        bool done = wal_append(db->wal, type, RECORD_VERSION, pieces, 2, &start, &end);
        if (done && txn->first_part == 0) {
            txn->first_part = start.v;
            list_push_back(&db->with_parts, &txn->parts);
        }
        latch_release(&db->commit_latch);
        if (done) {
            break;
        }
    }
    buffer_destroy(&packed);
    txn->redo_base += err == ERR_OK ? redo.size : 0;
    return err;
}

enum err
txn__spill_redo(struct task *task, struct txn *txn, size_t keep, struct diag *diag)
{
    size_t at = 0;
    enum err err = ERR_OK;
    while (err == ERR_OK && txn->redo.size - at > keep) {
        size_t left = txn->redo.size - at;
        size_t size = left < REDO_PART_SIZE ? left : REDO_PART_SIZE;
        err = append_part(task, txn, slice_of(txn->redo.data + at, size), diag);
        at += err == ERR_OK ? size : 0;
        (void)task_breathe(task, NULL);
    }
    if (at > 0) {
        buffer_consume(&txn->redo, at);
    }
    return err;
}

/* ---- the end -----------------------------------------------------------------------------------
 */

/* Under the commit latch. */
static void
retire(struct txn_db *db, struct undo_log *log, uint64_t lsn)
{
    log->lsn = lsn;
    log->era = atomic_fetch_add(&db->era, 1) + 1; /* T2: after the result is published */
    log->next = NULL;
    if (db->retired_first == NULL) {
        db->retired_first = log;
    } else {
        db->retired_last->next = log;
    }
    db->retired_last = log;
    db->retired_bytes += log->bytes;
    db->retired_work += log->work;
    atomic_fetch_add(&db->retired_count, 1); /* before the look at keeper_idle */
}

static void
wake_keeper(struct txn_db *db)
{
    if (atomic_load(&db->keeper_idle) && atomic_exchange(&db->keeper_idle, false)) {
        task_unpark(db->keeper);
    }
}

static void
count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* Back to idle. Waiters are awake already. */
static void
finish(struct txn *txn)
{
    lock__release_to(txn, NULL, 0);
    snapshot__drop(txn->slot);
    if (txn->hidden != NULL) {
        sagas__forget(txn, true);
    }
    if (txn->log != NULL) {
        atomic_store(&txn->id, 0);
        txn->log = NULL;
        txn->redo.size = 0;
        if (txn->redo.capacity > REDO_PART_SIZE) {
            buffer_destroy(&txn->redo);
            txn->redo = (struct buffer){0};
        }
        wake_keeper(txn->db);
    }
    txn->savepoint_count = 0;
    txn->tally_count = 0;
    txn->state = TXN_IDLE;
}

void
txn_count_at_commit(struct txn *txn, _Atomic uint64_t *counter, uint64_t by)
{
    uint32_t i = 0;
    while (i < txn->tally_count && txn->tallies[i].counter != counter) {
        i++;
    }
    if (i == TALLIES_MAX) {
        atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
        return;
    }
    if (i == txn->tally_count) {
        txn->tallies[txn->tally_count++].counter = counter;
        txn->tallies[i].by = 0;
    }
    txn->tallies[i].by += by;
}

static void
count_tallies(struct txn *txn)
{
    for (uint32_t i = 0; i < txn->tally_count; i++) {
        atomic_fetch_add_explicit(
            txn->tallies[i].counter, txn->tallies[i].by, memory_order_relaxed);
    }
}

/* The table has the result from here on. */
static void
publish(struct txn *txn, uint64_t state, bool *waited_for)
{
    uint64_t was = atomic_exchange(table__entry(txn->db, txn->log->id), state);
    ASSERT(state_is_active(was));
    *waited_for = was == STATE_WAITED_FOR; /* T6 */
}

static void
end_aborted(struct task *task, struct txn *txn)
{
    struct txn_db *db = txn->db;
    bool waited_for = false;
    uint64_t id = txn->log->id;
    undo__roll_back(task, txn, 0);
    latch_acquire(&db->commit_latch);
    publish(txn, STATE_ABORTED, &waited_for);
    retire(db, txn->log, 0);
    if (txn->first_part != 0) {
        list_remove(&txn->parts);
        txn->first_part = 0;
    }
    latch_release(&db->commit_latch);
    if (waited_for) {
        lock__txn_ended(db, id);
    }
    finish(txn);
}

void
txn_rollback(struct task *task, struct txn *txn)
{
    ASSERT(txn->state == TXN_ACTIVE);
    count(&txn->rollbacks);
    bool wrote = txn->log != NULL;
    if (wrote) {
        end_aborted(task, txn);
    } else {
        finish(txn);
    }
    if (txn->sx != NULL) {
        ssi__rolled_back(txn);
    }
    if (wrote) {
        purge__step(task, txn->db, txn);
    }
}

/* What the commit record carries. */
struct commit_redo {
    uint16_t type;
    struct slice bytes;
};

/* Under the commit latch: a serializable one gets its place in the order of commits together with
 * its LSN, and only now is it sure that nobody has chosen it as a victim (SS4). */
static bool
append_commit(struct txn *txn, struct commit_head *head, const struct commit_redo *redo, lsn_t *end,
    bool *doomed)
{
    struct slice pieces[] = {slice_of(head, sizeof *head), txn->idempotency_key, redo->bytes};
    lsn_t start;
    *doomed = txn->sx != NULL && !ssi__commit_enter(txn);
    return !*doomed && wal_append(txn->db->wal, redo->type, RECORD_VERSION, pieces, 3, &start, end);
}

/* T1. False if the log buffer is full, or it is doomed: nothing has happened then. */
static bool
try_commit(
    struct txn *txn, const struct commit_redo *redo, int64_t wall_us, lsn_t *end, bool *doomed)
{
    struct txn_db *db = txn->db;
    struct commit_head head = {.id = txn->log->id, .redo_before = txn->redo_base};
    head.flags = txn->changes_schema ? COMMIT_CHANGES_SCHEMA : 0;
    memcpy(head.saga_id, txn->saga_id, sizeof head.saga_id);
    head.saga_step = txn->saga_step;
    head.idempotency_size = (uint16_t)txn->idempotency_key.size;
    bool waited_for = false;
    latch_acquire(&db->commit_latch);
    uint64_t stamp = (uint64_t)wall_us << 12;
    head.hlc = stamp > db->hlc ? stamp : db->hlc + 1;
    head.epoch = db->epoch;
    if (!append_commit(txn, &head, redo, end, doomed)) {
        if (txn->sx != NULL && !*doomed) {
            ssi__commit_leave(txn, 0);
        }
        latch_release(&db->commit_latch);
        return false;
    }
    db->hlc = head.hlc;
    publish(txn, end->v, &waited_for);
    if (txn->changes_schema) {
        atomic_store(&db->schema_lsn, end->v);
    }
    if (txn->has_saga) {
        sagas__committing(txn, end->v);
    }
    atomic_store(&db->visible, end->v);
    if (txn->has_saga) {
        sagas__committed(txn);
    }
    if (txn->sx != NULL) {
        ssi__commit_leave(txn, end->v);
    }
    retire(db, txn->log, end->v);
    hlc__committed(db, head.hlc, end->v);
    txn->commit_hlc = head.hlc;
    if (txn->first_part != 0) {
        list_remove(&txn->parts);
        txn->first_part = 0;
    }
    latch_release(&db->commit_latch);
    if (waited_for) {
        lock__txn_ended(db, head.id);
    }
    return true;
}

static void
wait_durable(struct task *task, struct txn *txn, lsn_t lsn)
{
    atomic_store_explicit(&txn->sleeps, TXN_WAITS_DISK, memory_order_relaxed);
    wal_wait_durable(task, txn->db->wal, lsn);
    atomic_store_explicit(&txn->sleeps, TXN_WAITS_NOT, memory_order_relaxed);
}

void
txn_settle(struct task *task, struct txn *txn)
{
    if (txn->observed != 0 && txn->observed > wal_durable(txn->db->wal).v) {
        wait_durable(task, txn, (lsn_t){txn->observed});
    }
}

/* Into the log, the table and the world, as soon as there is room. */
static enum err
commit_written(struct task *task, struct txn *txn, lsn_t *end, struct diag *diag)
{
    struct txn_db *db = txn->db;
    bool doomed = false;
    TRY(txn->sx != NULL ? ssi__check(txn, diag) : ERR_OK);
    TRY(txn__spill_redo(task, txn, REDO_PART_SIZE, diag));
    struct buffer packed = {0};
    struct commit_redo redo = {RECORD_COMMIT, slice_of(txn->redo.data, txn->redo.size)};
    if (redo__pack(redo.bytes, &packed)) {
        redo = (struct commit_redo){RECORD_COMMIT_PACKED, slice_of(packed.data, packed.size)};
    }
    enum err err = ERR_OK;
    do {
        err = wal_make_room(task, db->wal,
            sizeof(struct commit_head) + txn->idempotency_key.size + redo.bytes.size, diag);
    } while (err == ERR_OK && !try_commit(txn, &redo, world_wall_us(db->world), end, &doomed) &&
             !doomed);
    buffer_destroy(&packed);
    return err != ERR_OK ? err : doomed ? ssi__check(txn, diag) : ERR_OK;
}

static void
end_serializable(struct txn *txn, uint64_t lsn)
{
    if (txn->sx != NULL) {
        ssi__committed(txn, lsn);
    }
}

enum err
txn_commit(struct task *task, struct txn *txn, struct diag *diag)
{
    ASSERT(txn->state == TXN_ACTIVE);
    struct txn_db *db = txn->db;
    bool writes = txn->log != NULL && (txn->redo.size > 0 || txn->redo_base > 0);
    if (txn->sx != NULL && !writes) {
        enum err err = ssi__prepare(txn, diag);
        if (err != ERR_OK) {
            txn_rollback(task, txn);
            txn_settle(task, txn);
            return err;
        }
    }
    if (txn->log == NULL) {
        count(&txn->commits);
        finish(txn);
        end_serializable(txn, atomic_load(&db->visible));
        txn_settle(task, txn);
        return ERR_OK;
    }
    if (!writes) {
        count(&txn->commits);
        end_aborted(task, txn); /* everything was rolled back to savepoints: nothing to say */
        end_serializable(txn, atomic_load(&db->visible));
        txn_settle(task, txn);
        return ERR_OK;
    }
    lsn_t end;
    uint64_t work = txn->log->work;
    enum err err = commit_written(task, txn, &end, diag);
    if (err != ERR_OK) {
        txn_rollback(task, txn);
        txn_settle(task, txn);
        return err;
    }
    count(&txn->commits);
    count_tallies(txn);
    end_serializable(txn, end.v);
    bool checkpoint = db->checkpoint_automatic &&
                      end.v - atomic_load_explicit(&db->checkpoint_lsn, memory_order_relaxed) >
                          db->checkpoint_wal_size;
    finish(txn);
    if (checkpoint && !atomic_exchange(&db->checkpoint_wanted, true)) {
        task_unpark(db->checkpointer);
    }
    purge__step(task, db, txn);
    if (txn->synchronous) {
        wait_durable(task, txn, end); /* covers what was observed: it came before */
    }
    purge__keep_up(task, db, work);
    return ERR_OK;
}

/* ---- savepoints --------------------------------------------------------------------------------
 */

enum {
    SAVEPOINTS_MAX = 100 * 1000,
};

enum err
txn_savepoint(struct task *task, struct txn *txn, uint32_t *depth, struct diag *diag)
{
    (void)task;
    if (txn->savepoint_count >= SAVEPOINTS_MAX) {
        return diag_set(diag, ERR_PROGRAM_LIMIT, "too many savepoints in one transaction");
    }
    if (txn->savepoint_count == txn->savepoint_capacity) {
        txn->savepoint_capacity = txn->savepoint_capacity == 0 ? 8 : txn->savepoint_capacity * 2;
        txn->savepoints =
            mem_realloc(txn->savepoints, txn->savepoint_capacity * sizeof *txn->savepoints);
    }
    txn->savepoints[txn->savepoint_count++] = (struct savepoint){
        .undo_last = txn->log == NULL ? 0 : txn->log->last,
        .redo_size = txn->log == NULL ? 0 : txn->redo_base + txn->redo.size,
        .number = ++txn->savepoints_made,
        .hold = txn->holds,
        .table_lock_count = txn->table_lock_count,
    };
    *depth = txn->savepoint_count;
    return ERR_OK;
}

void
txn_rollback_to(struct task *task, struct txn *txn, uint32_t depth)
{
    ASSERT(depth >= 1 && depth <= txn->savepoint_count);
    const struct savepoint savepoint = txn->savepoints[depth - 1];
    txn->savepoint_count = depth;
    if (txn->log != NULL) {
        undo__roll_back(task, txn, savepoint.undo_last);
        if (savepoint.redo_size >= txn->redo_base) {
            txn->redo.size = savepoint.redo_size - txn->redo_base;
        } else { /* the next part, or the commit, says where redo goes on */
            txn->redo.size = 0;
            txn->redo_base = savepoint.redo_size;
        }
    }
    lock__release_to(txn, savepoint.hold, savepoint.table_lock_count);
    if (txn->log != NULL) { /* who waits for our end may want a row that was just restored */
        uint64_t waited_for = STATE_WAITED_FOR;
        if (atomic_compare_exchange_strong(
                table__entry(txn->db, txn->log->id), &waited_for, STATE_ACTIVE)) {
            lock__txn_ended(txn->db, txn->log->id);
        }
    }
}

void
txn_release_savepoint(struct txn *txn, uint32_t depth)
{
    ASSERT(depth >= 1 && depth <= txn->savepoint_count);
    txn->savepoint_count = depth - 1;
}
