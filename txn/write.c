/*
 * txn/write.c - changing and locking rows.
 *
 * Everything is decided under the leaf's latch: who wrote the newest version, whether it is the one
 * the caller saw, whether somebody else has reserved the row. Then the row is changed at once, or
 * nothing happens and the caller sleeps until its turn and decides again (T5, T7).
 */
#include "txn/txn_internal.h"

enum verdict {
    WRITE_DONE,
    WRITE_CHANGED,
    WRITE_GONE,
    WRITE_SELF,
    WRITE_EXISTS,   /* insert: a live row stands there */
    WRITE_CONFLICT, /* somebody else is at it: wait */
    WRITE_LATE_UPDATE,
    WRITE_LATE_DELETE,
    WRITE_FETCH,   /* an undo record is needed that is in the file */
    WRITE_TOO_OLD, /* the snapshot is (T13) */
};

struct write {
    struct txn *txn;
    struct txn_snapshot snapshot;
    tree_id_t tree;
    struct slice key;
    struct txn_version seen;
    enum undo_kind kind; /* of update and remove */
    bool lock_only;
    enum txn_row_lock mode;
    struct arena *into;
    struct txn_row *latest;

    enum verdict verdict;
    uint64_t busy;   /* WRITE_CONFLICT: the active writer, or 0: only reserved */
    bool own;        /* the newest version is ours */
    uint64_t late;   /* WRITE_LATE_..: whose version came in between */
    uint64_t exists; /* WRITE_EXISTS: whose row it is */
    uint64_t fetch;  /* WRITE_FETCH: whose; base_of is to be found */
    /* Below the changes that `fetch` made to the row: the version, if they are all updates. */
    uint64_t base_of;
    uint64_t base_writer, base_undo;
    bool base_found;
    struct undo *undo; /* WRITE_DONE */
    uint8_t latest_flags;
};

static void
copy_latest(struct write *write, const struct btree_row *current)
{
    if (write->latest == NULL || write->into == NULL) {
        return;
    }
    struct slice key = write->key;
    struct slice value = current->value;
    write->latest->key = slice_of(arena_copy(write->into, key.data, key.size), key.size);
    write->latest->value = slice_of(arena_copy(write->into, value.data, value.size), value.size);
    write->latest->version.writer = current->head.writer.v;
    write->latest->version.undo = current->head.undo;
    write->latest_flags = current->head.flags;
}

/* T1. Nobody acts on a commit before new snapshots see it, or his next statement might not: the
 * committer is between two stores. */
static void
observe(struct txn *txn, uint64_t state)
{
    if (state == STATE_OLD || state <= txn->observed) {
        return;
    }
    txn->observed = state;
    unsigned spins = 0;
    while (atomic_load(&txn->db->visible) < state) {
        latch_spin(&spins);
    }
}

/* A page that has left memory and come back may have forgotten its rows' heads. Then they were old
 * to every snapshot, so also to the one that saw this row: there is no newer version. */
static bool
is_version(uint64_t writer, uint64_t undo, struct txn_version version)
{
    return writer == 0 || (writer == version.writer && undo == version.undo);
}

/* One step back along the changes that `busy` made to a row. False: it is not an update. */
static bool
step_back(const struct undo *undo, uint64_t *writer, uint64_t *handle)
{
    *writer = undo->prev_writer;
    *handle = undo->prev_undo;
    return undo->kind == UNDO_UPDATE;
}

/* FOR KEY SHARE goes together with an update in progress, as long as it is an update of the version
 * that we saw (its keys do not change). Undo in the file: WRITE_FETCH, and asked again. */
static bool
shares_key(struct write *write, const struct btree_row *current)
{
    if (!write->lock_only || write->mode != TXN_LOCK_KEY_SHARE ||
        (current->head.flags & ROW_DELETED) != 0) {
        return false;
    }
    uint64_t writer = current->head.writer.v;
    uint64_t handle = current->head.undo;
    uint64_t busy = writer;
    if (write->base_of == handle) {
        return write->base_found && is_version(write->base_writer, write->base_undo, write->seen);
    }
    while (writer == busy) {
        const struct undo *undo = undo_at(write->txn->db, handle);
        if (undo == NULL) {
            write->verdict = WRITE_FETCH;
            write->fetch = busy;
            write->base_of = current->head.undo;
            return false;
        }
        if (!step_back(undo, &writer, &handle)) {
            return false;
        }
    }
    return is_version(writer, handle, write->seen);
}

/* Outside of the latch what shares_key could not do: our snapshot, older than its writer's end,
 * keeps the undo. */
static enum err
find_base(struct task *task, struct write *write, struct diag *diag)
{
    struct txn *txn = write->txn;
    uint64_t writer = write->fetch;
    uint64_t handle = write->base_of;
    write->base_found = true;
    while (writer == write->fetch && write->base_found) {
        const struct undo *undo = NULL;
        enum err err = undo__fetch(task, txn->db, &txn->reader, handle, &undo, diag);
        TRY(txn__alive(txn) ? err : snapshot__too_old(diag));
        write->base_found = step_back(undo, &writer, &handle);
    }
    write->base_writer = writer;
    write->base_undo = handle;
    return ERR_OK;
}

/* Somebody else's row. Returns true if it is the version seen and free of active writers. */
static bool
judge_foreign(struct write *write, const struct btree_row *current)
{
    struct txn *txn = write->txn;
    uint64_t state = table__state(txn->db, current->head.writer.v);
    if (state_is_active(state)) {
        write->verdict = WRITE_CONFLICT;
        if (shares_key(write, current)) {
            return true;
        }
        write->busy = current->head.writer.v;
        return false;
    }
    ASSERT(state_is_committed(state)); /* T5: an aborted one has restored its rows before */
    observe(txn, state);
    bool deleted = (current->head.flags & ROW_DELETED) != 0;
    if (is_version(current->head.writer.v, current->head.undo, write->seen) && !deleted) {
        return true;
    }
    if (txn->isolation != TXN_READ_COMMITTED) {
        write->verdict = deleted ? WRITE_LATE_DELETE : WRITE_LATE_UPDATE;
        write->late = current->head.writer.v;
    } else if (deleted) {
        write->verdict = WRITE_GONE;
    } else if (!lock__row_try(txn, write->tree, write->key, write->mode, false)) {
        write->verdict = WRITE_CONFLICT;
    } else {
        copy_latest(write, current);
        write->verdict = WRITE_CHANGED;
    }
    return false;
}

static enum btree_verdict
decide_write(void *arg, const struct btree_row *current, struct row_head *head)
{
    struct write *write = arg;
    struct txn *txn = write->txn;
    write->busy = 0;
    write->own = false;
    if (!txn__alive(txn)) {
        write->verdict = WRITE_TOO_OLD;
        return BTREE_KEEP;
    }
    if (current == NULL) {
        write->verdict = WRITE_GONE;
        return BTREE_KEEP;
    }
    uint64_t id = atomic_load_explicit(&txn->id, memory_order_relaxed);
    write->own = id != 0 && current->head.writer.v == id;
    if (write->own) {
        if (!is_version(current->head.writer.v, current->head.undo, write->seen) ||
            (current->head.flags & ROW_DELETED) != 0) {
            write->verdict = WRITE_SELF;
            return BTREE_KEEP;
        }
        if (write->lock_only && write->mode != TXN_LOCK_UPDATE) {
            write->verdict = WRITE_DONE; /* its writer keeps out everybody but FOR KEY SHARE */
            return BTREE_KEEP;
        }
    } else if (!judge_foreign(write, current)) {
        return BTREE_KEEP;
    }
    bool turn = (write->lock_only ? lock__row_try : lock__row_free)(
        txn, write->tree, write->key, write->mode, write->own);
    write->verdict = turn ? WRITE_DONE : WRITE_CONFLICT;
    if (!turn || write->lock_only) {
        return BTREE_KEEP;
    }
    write->undo = undo__add(txn, write->kind, write->tree, write->key, current);
    *head = (struct row_head){.writer = {id}, .undo = txn->log->last};
    if (write->kind == UNDO_DELETE) {
        head->flags = ROW_DELETED;
        return BTREE_HEAD;
    }
    return BTREE_PUT;
}

static enum btree_verdict
decide_insert(void *arg, const struct btree_row *current, struct row_head *head)
{
    struct write *write = arg;
    struct txn *txn = write->txn;
    uint64_t id = atomic_load_explicit(&txn->id, memory_order_relaxed);
    write->busy = 0;
    write->own = current != NULL && current->head.writer.v == id;
    if (!txn__alive(txn)) {
        write->verdict = WRITE_TOO_OLD;
        return BTREE_KEEP;
    }
    if (current != NULL) {
        bool live = (current->head.flags & ROW_DELETED) == 0;
        uint64_t state = STATE_ACTIVE;
        if (!write->own) {
            state = table__state(txn->db, current->head.writer.v);
            if (state_is_active(state)) {
                write->verdict = WRITE_CONFLICT;
                write->busy = current->head.writer.v;
                return BTREE_KEEP;
            }
            ASSERT(state_is_committed(state));
            observe(txn, state);
        }
        if (live) {
            copy_latest(write, current);
            write->exists = current->head.writer.v;
            write->verdict = WRITE_EXISTS;
            return BTREE_KEEP;
        }
    }
    if (!lock__row_free(txn, write->tree, write->key, TXN_LOCK_UPDATE, write->own)) {
        write->verdict = WRITE_CONFLICT;
        return BTREE_KEEP;
    }
    enum undo_kind kind = current == NULL ? UNDO_INSERT : UNDO_INSERT_OVER;
    write->undo = undo__add(txn, kind, write->tree, write->key, current);
    *head = (struct row_head){.writer = {id}, .undo = txn->log->last};
    write->verdict = WRITE_DONE;
    return BTREE_PUT;
}

/* It is not our turn: queue for the row, then sleep until its writer has ended. */
static enum err
wait_turn(struct task *task, struct write *write, struct diag *diag)
{
    struct txn *txn = write->txn;
    if (txn->sx != NULL) {
        ssi__waits(txn, write->busy, write->tree, write->key);
    }
    enum err err =
        lock__row_acquire(task, txn, write->tree, write->key, write->mode, write->own, diag);
    if (err == ERR_OK && write->busy != 0) {
        err = lock__wait_txn(task, txn, write->busy, write->tree, write->key, diag);
    }
    if (txn->sx != NULL) {
        ssi__waits_no_more(txn);
    }
    return err;
}

static enum err
perform(struct task *task, struct write *write, struct slice value, btree_decide *decide,
    enum txn_wait wait, bool *skipped, struct diag *diag)
{
    struct txn *txn = write->txn;
    struct hold *before = txn->holds;
    *skipped = false;
    for (;;) {
        TRY(btree_modify(
            task, txn->db->store, write->tree, write->key, value, 0, decide, write, diag));
        if (write->verdict == WRITE_FETCH) {
            TRY(find_base(task, write, diag));
            continue;
        }
        if (write->verdict != WRITE_CONFLICT) {
            break;
        }
        if (wait == TXN_NOWAIT) {
            return diag_set(diag, ERR_LOCK_NOT_AVAILABLE, "could not obtain lock on row");
        }
        if (wait == TXN_SKIP_LOCKED) {
            *skipped = true;
            return ERR_OK;
        }
        TRY(wait_turn(task, write, diag));
    }
    if (write->verdict != WRITE_DONE && write->verdict != WRITE_CHANGED) {
        lock__release_to(txn, before, txn->table_lock_count); /* we do not want the row after all */
    }
    bool has_latest = write->verdict == WRITE_CHANGED || write->verdict == WRITE_EXISTS;
    if (has_latest && (write->latest_flags & ROW_OVERFLOW) != 0) {
        enum err err = btree_value_load(
            task, txn->db->store, write->latest->value, write->into, &write->latest->value, diag);
        TRY(txn__alive(txn) ? err : snapshot__too_old(diag));
    }
    return ERR_OK;
}

/* First updater wins, and it was not this one. */
static enum err
late(const struct write *write, const char *what, struct diag *diag)
{
    struct txn *txn = write->txn;
    char row[80] = "The row";
    ssi__name_key(txn->db->ssi, write->tree, write->key, row, sizeof row);
    (void)diag_set(
        diag, ERR_SERIALIZATION, "could not serialize access due to concurrent %s", what);
    diag_detail(diag, "%s: transaction %llu has %sd it since the snapshot of process %u.", row,
        (unsigned long long)write->late, what, txn->owner_pid);
    failures__count(txn->db->failures, write->tree, FAILURE_UPDATE);
    failures__keep(txn->db, txn->owner_pid, diag->detail);
    return ERR_SERIALIZATION;
}

static enum err
outcome_of(const struct write *write, enum txn_outcome *outcome, struct diag *diag)
{
    switch (write->verdict) {
    case WRITE_DONE:
        *outcome = TXN_DONE;
        return ERR_OK;
    case WRITE_CHANGED:
        *outcome = TXN_CHANGED;
        return ERR_OK;
    case WRITE_GONE:
        *outcome = TXN_GONE;
        return ERR_OK;
    case WRITE_SELF:
        *outcome = TXN_SELF;
        return ERR_OK;
    case WRITE_LATE_UPDATE:
        return late(write, "update", diag);
    case WRITE_LATE_DELETE:
        return late(write, "delete", diag);
    case WRITE_TOO_OLD:
        return snapshot__too_old(diag);
    case WRITE_EXISTS:
    case WRITE_CONFLICT:
    case WRITE_FETCH:
        break;
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

static struct slice
some_value(struct slice value)
{
    return value.data == NULL ? slice_of("", 0) : value; /* NULL would mean: no value is put */
}

static enum err
check_value(struct slice value, struct diag *diag)
{
    if (value.size > BTREE_VALUE_SIZE_MAX) {
        return diag_set(diag, ERR_PROGRAM_LIMIT, "row is too large: %zu bytes, maximum %d",
            value.size, BTREE_VALUE_SIZE_MAX);
    }
    return ERR_OK;
}

static enum err
spill(struct task *task, struct txn *txn, struct diag *diag)
{
    return txn->redo.size < REDO_SPILL_SIZE ? ERR_OK : txn__spill_redo(task, txn, 0, diag);
}

/* Has the writer committed behind the transaction's snapshot? */
static bool
is_ahead(const struct txn *txn, uint64_t writer)
{
    uint64_t state = table__state(txn->db, writer);
    return state_is_committed(state) && state != STATE_OLD && state > txn->snapshot_lsn;
}

/* A serializable transaction has written a row. */
static enum err
note_write(const struct write *write, struct slice value, struct diag *diag)
{
    const struct undo *undo = write->undo;
    bool had = undo->kind == UNDO_UPDATE || undo->kind == UNDO_DELETE;
    bool known = !had || (undo->prev_flags & ROW_OVERFLOW) == 0;
    uint64_t replaced = undo->kind == UNDO_INSERT ? 0 : undo->prev_writer;
    TRY(txn__alive(write->txn) ? ERR_OK : snapshot__too_old(diag)); /* T13: the table is asked */
    if (undo->kind == UNDO_INSERT_OVER && is_ahead(write->txn, replaced)) {
        TRY(ssi__met_ahead(write->txn, replaced, write->tree, write->key, diag));
    }
    return ssi__wrote(write->txn, write->tree, write->key,
        had ? undo_value(undo) : (struct slice){0}, value, known, replaced, diag);
}

/* A key is taken, which is a read of it. If it was taken by somebody concurrent, who then comes
 * before (SS8), and it was free to us, 40001 is the better answer, because a retry helps. */
static enum err
note_exists(const struct write *write, struct diag *diag)
{
    struct txn *txn = write->txn;
    TRY(txn__alive(txn) ? ERR_OK : snapshot__too_old(diag)); /* T13: the table is asked */
    TRY(ssi__read_key(txn, write->tree, write->key, diag));
    return is_ahead(txn, write->exists)
               ? ssi__met_ahead(txn, write->exists, write->tree, write->key, diag)
               : ERR_OK;
}

enum err
txn_insert(struct task *task, struct txn *txn, tree_id_t tree, struct slice key, struct slice value,
    struct arena *into, struct txn_row *existing, struct diag *diag)
{
    TRY(check_value(value, diag));
    TRY(txn__start_writing(task, txn, diag));
    struct write write = {
        .txn = txn,
        .tree = tree,
        .key = key,
        .mode = TXN_LOCK_UPDATE,
        .into = into,
        .latest = existing,
    };
    bool skipped = false;
    TRY(perform(task, &write, some_value(value), decide_insert, TXN_WAIT, &skipped, diag));
    bool tracked = txn__tracks(txn, tree);
    if (write.verdict == WRITE_TOO_OLD) {
        return snapshot__too_old(diag);
    }
    if (write.verdict == WRITE_EXISTS) {
        if (tracked) {
            TRY(note_exists(&write, diag));
        }
        return ERR_UNIQUE;
    }
    redo__put(txn, tree, key, value);
    if (tracked) {
        TRY(note_write(&write, some_value(value), diag));
    }
    return spill(task, txn, diag);
}

enum err
txn_update(struct task *task, struct txn *txn, struct txn_snapshot snapshot, tree_id_t tree,
    struct slice key, struct txn_version seen, struct slice value, struct arena *into,
    struct txn_row *latest, enum txn_outcome *outcome, struct diag *diag)
{
    TRY(check_value(value, diag));
    TRY(txn__start_writing(task, txn, diag));
    struct write write = {
        .txn = txn,
        .snapshot = snapshot,
        .tree = tree,
        .key = key,
        .seen = seen,
        .kind = UNDO_UPDATE,
        .mode = TXN_LOCK_NO_KEY_UPDATE,
        .into = into,
        .latest = latest,
    };
    bool skipped = false;
    TRY(perform(task, &write, some_value(value), decide_write, TXN_WAIT, &skipped, diag));
    if (write.verdict == WRITE_DONE) {
        redo__update(txn, write.undo, value);
        if (txn__tracks(txn, tree)) {
            TRY(note_write(&write, some_value(value), diag));
        }
        TRY(spill(task, txn, diag));
    }
    return outcome_of(&write, outcome, diag);
}

enum err
txn_remove(struct task *task, struct txn *txn, struct txn_snapshot snapshot, tree_id_t tree,
    struct slice key, struct txn_version seen, struct arena *into, struct txn_row *latest,
    enum txn_outcome *outcome, struct diag *diag)
{
    TRY(txn__start_writing(task, txn, diag));
    struct write write = {
        .txn = txn,
        .snapshot = snapshot,
        .tree = tree,
        .key = key,
        .seen = seen,
        .kind = UNDO_DELETE,
        .mode = TXN_LOCK_UPDATE,
        .into = into,
        .latest = latest,
    };
    bool skipped = false;
    TRY(perform(task, &write, (struct slice){0}, decide_write, TXN_WAIT, &skipped, diag));
    if (write.verdict == WRITE_DONE) {
        redo__delete(txn, tree, key);
        if (txn__tracks(txn, tree)) {
            TRY(note_write(&write, (struct slice){0}, diag));
        }
        TRY(spill(task, txn, diag));
    }
    return outcome_of(&write, outcome, diag);
}

enum err
txn_lock_row(struct task *task, struct txn *txn, struct txn_snapshot snapshot, tree_id_t tree,
    struct slice key, struct txn_version seen, enum txn_row_lock mode, enum txn_wait wait,
    struct arena *into, struct txn_row *latest, enum txn_outcome *outcome, struct diag *diag)
{
    if (txn->read_only) {
        return diag_set(
            diag, ERR_READ_ONLY_TRANSACTION, "cannot lock rows in a read-only transaction");
    }
    TRY(lock__check_room(txn->db, diag));
    snapshot__ensure(txn);
    struct write write = {
        .txn = txn,
        .snapshot = snapshot,
        .tree = tree,
        .key = key,
        .seen = seen,
        .lock_only = true,
        .mode = mode,
        .into = into,
        .latest = latest,
    };
    bool skipped = false;
    TRY(perform(task, &write, (struct slice){0}, decide_write, wait, &skipped, diag));
    if (skipped) {
        *outcome = TXN_SKIPPED;
        return ERR_OK;
    }
    return outcome_of(&write, outcome, diag);
}
