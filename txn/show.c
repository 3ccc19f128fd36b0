/*
 * txn/show.c - who holds and awaits which locks, for people to look at.
 *
 * One partition after the other, so what is shown never was all at one moment; each line was true.
 * No memory is allocated under a latch: what does not fit makes the partition be read again.
 */
#include "txn/txn_internal.h"

enum {
    ROOM_FIRST = 256,
    FAST_MODE_MASK = 15, /* as in lock.c */
    FAST_TRANSFERRED = 15,
};

struct lines {
    struct txn_lock_line *lines;
    size_t count, capacity;
};

/* Counts on if there is no room. */
static void
add(struct lines *to, struct txn_lock_line line)
{
    if (to->count < to->capacity) {
        to->lines[to->count] = line;
    }
    to->count++;
}

static const enum txn_lock_line_kind line_kinds[] = {
    [LOCK_ROW] = TXN_LOCK_LINE_ROW,
    [LOCK_TABLE] = TXN_LOCK_LINE_TABLE,
    [LOCK_TXN] = TXN_LOCK_LINE_TXN,
    [LOCK_ADVISORY] = TXN_LOCK_LINE_ADVISORY,
};

static void
add_lock(struct lines *to, const struct lock *lock)
{
    struct txn_lock_line line = {.kind = line_kinds[lock->kind],
        .object = lock->object,
        .pair = lock->kind == LOCK_ADVISORY && lock->key[0] == ADVISORY_PAIR};
    unsigned modes = 0;
    LIST_FOREACH (node, &lock->holds) {
        const struct hold *hold = LIST_ENTRY(node, struct hold, node);
        modes |= hold->modes;
        if (node->next != &lock->holds &&
            LIST_ENTRY(node->next, struct hold, node)->txn == hold->txn) {
            continue; /* those of one transaction stand together, and are one here */
        }
        line.owner_pid = hold->txn->owner_pid;
        line.scope = txn_scope(hold->txn);
        line.granted = true;
        for (unsigned mode = 0; mode < 16; mode++) {
            if ((modes >> mode & 1) != 0) {
                line.mode = mode;
                add(to, line);
            }
        }
        modes = 0;
    }
    LIST_FOREACH (node, &lock->queue) {
        const struct lock_waiter *waiter = LIST_ENTRY(node, struct lock_waiter, node);
        line.owner_pid = waiter->txn->owner_pid;
        line.scope = txn_scope(waiter->txn);
        line.granted = false;
        line.mode = waiter->mode;
        add(to, line);
    }
}

static void
add_partition(struct txn_db *db, void *arg, struct lines *to)
{
    (void)db;
    struct lock_partition *partition = arg;
    latch_acquire(&partition->latch);
    for (size_t b = 0; b < LOCK_BUCKETS; b++) {
        for (const struct lock *lock = atomic_load(&partition->buckets[b]); lock != NULL;
             lock = lock->next) {
            add_lock(to, lock);
        }
    }
    latch_release(&partition->latch);
}

/* Weak table locks in slots, and each writer's lock on its own id. */
static void
add_transactions(struct txn_db *db, void *arg, struct lines *to)
{
    (void)arg;
    latch_acquire(&db->registry_latch);
    for (uint32_t i = 0; i < db->slot_count; i++) {
        const struct txn *txn = db->slots[i].txn;
        for (uint32_t j = 0; txn != NULL && j < FAST_TABLE_LOCKS; j++) {
            uint64_t fast = atomic_load(&txn->fast[j]);
            uint64_t mode = fast & FAST_MODE_MASK;
            if (mode != 0 && mode != FAST_TRANSFERRED) {
                add(to, (struct txn_lock_line){.owner_pid = txn->owner_pid,
                            .scope = txn_scope(txn),
                            .kind = TXN_LOCK_LINE_TABLE,
                            .object = fast >> 4,
                            .mode = (unsigned)mode - 1,
                            .granted = true,
                            .fast = true});
            }
        }
        uint64_t id = txn == NULL ? 0 : atomic_load(&txn->id);
        if (id != 0) {
            add(to, (struct txn_lock_line){.owner_pid = txn->owner_pid,
                        .scope = txn_scope(txn),
                        .kind = TXN_LOCK_LINE_TXN,
                        .object = id,
                        .mode = TXN_EXCLUSIVE,
                        .granted = true});
        }
    }
    latch_release(&db->registry_latch);
}

static void
add_all(struct txn_db *db, struct arena *arena, struct lines *to,
    void (*from)(struct txn_db *db, void *arg, struct lines *to), void *arg)
{
    size_t before = to->count;
    from(db, arg, to);
    while (to->count > to->capacity) {
        size_t capacity = 2 * to->count;
        struct txn_lock_line *bigger = arena_array(arena, capacity, sizeof *bigger);
        if (before > 0) {
            memcpy(bigger, to->lines, before * sizeof *bigger);
        }
        *to = (struct lines){.lines = bigger, .count = before, .capacity = capacity};
        from(db, arg, to);
    }
}

size_t
txn_db_locks(struct txn_db *db, struct arena *arena, struct txn_lock_line **lines)
{
    struct lines all = {.capacity = ROOM_FIRST};
    all.lines = arena_array(arena, ROOM_FIRST, sizeof *all.lines);
    add_all(db, arena, &all, add_transactions, NULL);
    for (size_t i = 0; i < LOCK_PARTITIONS; i++) {
        add_all(db, arena, &all, add_partition, &db->partitions[i]);
    }
    *lines = all.lines;
    return all.count;
}

const char *
txn_table_lock_name(unsigned mode)
{
    static const char *const names[] = {
        [TXN_ACCESS_SHARE] = "AccessShareLock",
        [TXN_ROW_SHARE] = "RowShareLock",
        [TXN_ROW_EXCLUSIVE] = "RowExclusiveLock",
        [TXN_SHARE_UPDATE_EXCLUSIVE] = "ShareUpdateExclusiveLock",
        [TXN_SHARE] = "ShareLock",
        [TXN_SHARE_ROW_EXCLUSIVE] = "ShareRowExclusiveLock",
        [TXN_EXCLUSIVE] = "ExclusiveLock",
        [TXN_ACCESS_EXCLUSIVE] = "AccessExclusiveLock",
    };
    return names[mode];
}

const char *
txn_row_lock_name(unsigned mode)
{
    static const char *const names[] = {
        [TXN_LOCK_KEY_SHARE] = "AccessShareLock",
        [TXN_LOCK_SHARE] = "RowShareLock",
        [TXN_LOCK_NO_KEY_UPDATE] = "ExclusiveLock",
        [TXN_LOCK_UPDATE] = "AccessExclusiveLock",
    };
    return names[mode];
}

/* ---- what sessions wait for --------------------------------------------------------------------
 */

static void
add_session(struct txn_session_line *line, const struct txn *txn)
{
    static const enum txn_session_wait waits[] = {
        [LOCK_ROW] = TXN_WAITS_ROW,
        [LOCK_TABLE] = TXN_WAITS_TABLE,
        [LOCK_TXN] = TXN_WAITS_TXN,
        [LOCK_ADVISORY] = TXN_WAITS_ADVISORY,
    };
    *line = (struct txn_session_line){
        .owner_pid = txn->owner_pid,
        .id = atomic_load(&txn->id),
        .wait = txn->waiting != NULL ? waits[txn->waiting->lock->kind]
                                     : (enum txn_session_wait)atomic_load_explicit(
                                           &txn->sleeps, memory_order_relaxed),
    };
}

size_t
txn_db_sessions(struct txn_db *db, struct arena *arena, struct txn_session_line **lines)
{
    /* No memory is allocated under latches; who comes in between is not shown. */
    size_t room = atomic_load(&db->slot_count);
    *lines = arena_array(arena, room + 1, sizeof **lines);
    size_t count = 0;
    lock__latch_all(db);
    latch_acquire(&db->registry_latch);
    for (size_t i = 0; i < room; i++) {
        if (db->slots[i].txn != NULL) {
            add_session(&(*lines)[count++], db->slots[i].txn);
        }
    }
    latch_release(&db->registry_latch);
    lock__unlatch_all(db);
    return count;
}

/* ---- who blocks whom ------------------------------------------------------------------------- */

struct blockers {
    uint32_t *pids;
    size_t count, capacity;
};

static void
add_blocker(void *arg, struct txn *txn, struct txn *waiter)
{
    (void)waiter;
    struct blockers *to = arg;
    if (to->count < to->capacity) {
        to->pids[to->count] = txn->owner_pid;
    }
    to->count++;
}

static void
find_blockers(struct txn_db *db, uint32_t pid, struct blockers *to)
{
    lock__latch_all(db);
    latch_acquire(&db->registry_latch);
    for (uint32_t i = 0; i < db->slot_count; i++) {
        const struct txn *txn = db->slots[i].txn;
        if (txn != NULL && txn->owner_pid == pid && txn->waiting != NULL) {
            deadlock__blockers(txn->waiting, add_blocker, to);
        }
    }
    latch_release(&db->registry_latch);
    lock__unlatch_all(db);
}

static void
find_awaited(struct txn_db *db, uint32_t pid, struct blockers *to)
{
    to->count = ssi__awaited_pids(db->ssi, pid, to->pids, to->capacity);
}

/* No memory is allocated under latches: what does not fit is looked for again. */
static size_t
collect(struct txn_db *db, uint32_t pid, struct arena *arena,
    void (*find)(struct txn_db *db, uint32_t pid, struct blockers *to), uint32_t **pids)
{
    struct blockers found = {.capacity = 64};
    for (;;) {
        found.pids = arena_array(arena, found.capacity, sizeof *found.pids);
        found.count = 0;
        find(db, pid, &found);
        if (found.count <= found.capacity) {
            break;
        }
        found.capacity = 2 * found.count;
    }
    *pids = found.pids;
    return found.count;
}

size_t
txn_blocking_pids(struct txn_db *db, uint32_t pid, struct arena *arena, uint32_t **pids)
{
    return collect(db, pid, arena, find_blockers, pids);
}

size_t
txn_safe_snapshot_blocking_pids(
    struct txn_db *db, uint32_t pid, struct arena *arena, uint32_t **pids)
{
    return collect(db, pid, arena, find_awaited, pids);
}
