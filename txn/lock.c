/*
 * txn/lock.c - row locks, table locks, waiting for a transaction's end.
 *
 * One table in memory, in partitions. A row needs an entry only if somebody locked it explicitly or
 * waits for it: a writer is known by the row's head. Requests are served first come, first served;
 * who holds a lock on the object already does not queue behind strangers.
 *
 * Weak table locks (ACCESS SHARE, ROW SHARE, ROW EXCLUSIVE) do not conflict with each other and
 * stand in slots of the transaction itself, unless somebody wants a strong one on a table of the
 * same counter. Who wants a strong lock raises the counter, then moves all matching slots into the
 * table; who takes a weak one writes the slot, then looks at the counter. Both accesses are
 * sequentially consistent, so one of them sees the other (T8).
 */
#include "base/hash.h"
#include "txn/txn_internal.h"

enum {
    FAST_MODE_MASK = 15,
    FAST_TRANSFERRED = 15,
};

/* ---- which modes conflict ----------------------------------------------------------------------
 */

/* PostgreSQL, table 13.3. */
static const uint8_t row_conflicts[] = {
    [TXN_LOCK_KEY_SHARE] = 1 << TXN_LOCK_UPDATE,
    [TXN_LOCK_SHARE] = 1 << TXN_LOCK_NO_KEY_UPDATE | 1 << TXN_LOCK_UPDATE,
    [TXN_LOCK_NO_KEY_UPDATE] =
        1 << TXN_LOCK_SHARE | 1 << TXN_LOCK_NO_KEY_UPDATE | 1 << TXN_LOCK_UPDATE,
    [TXN_LOCK_UPDATE] = 15,
};

#define FROM(mode) (0xFF & ~((1 << (mode)) - 1))

/* PostgreSQL, table 13.2. */
static const uint8_t table_conflicts[] = {
    [TXN_ACCESS_SHARE] = FROM(TXN_ACCESS_EXCLUSIVE),
    [TXN_ROW_SHARE] = FROM(TXN_EXCLUSIVE),
    [TXN_ROW_EXCLUSIVE] = FROM(TXN_SHARE),
    [TXN_SHARE_UPDATE_EXCLUSIVE] = FROM(TXN_SHARE_UPDATE_EXCLUSIVE),
    [TXN_SHARE] =
        (FROM(TXN_SHARE_ROW_EXCLUSIVE) | 1 << TXN_SHARE_UPDATE_EXCLUSIVE | 1 << TXN_ROW_EXCLUSIVE) &
        0xFF,
    [TXN_SHARE_ROW_EXCLUSIVE] = FROM(TXN_ROW_EXCLUSIVE),
    [TXN_EXCLUSIVE] = FROM(TXN_ROW_SHARE),
    [TXN_ACCESS_EXCLUSIVE] = 0xFF,
};

unsigned
lock__conflicts(enum lock_kind kind, unsigned mode)
{
    switch (kind) {
    case LOCK_ROW:
        return row_conflicts[mode];
    case LOCK_TABLE:
    case LOCK_ADVISORY:
        return table_conflicts[mode];
    case LOCK_TXN:
        break;
    }
    return 0;
}

static bool
conflict(enum lock_kind kind, unsigned mode, unsigned modes)
{
    return (lock__conflicts(kind, mode) & modes) != 0;
}

/* Conflicts with a weak mode, so that those may not be in fast slots. */
static bool
is_strong(unsigned mode)
{
    unsigned weak = (1U << (TXN_ROW_EXCLUSIVE + 1)) - 1;
    return (table_conflicts[mode] & weak) != 0;
}

/* ---- finding -----------------------------------------------------------------------------------
 */

void
lock__create(struct txn_db *db)
{
    db->partitions = mem_alloc_aligned(64, LOCK_PARTITIONS * sizeof *db->partitions);
    memset(db->partitions, 0, LOCK_PARTITIONS * sizeof *db->partitions);
}

void
lock__destroy(struct txn_db *db)
{
    mem_free(db->partitions);
}

struct target {
    enum lock_kind kind;
    uint64_t object;
    struct slice key;
    uint64_t hash;
    struct lock_partition *partition;
    _Atomic(struct lock *) *bucket;
};

static struct target
target_of(struct txn_db *db, enum lock_kind kind, uint64_t object, struct slice key)
{
    uint64_t hash = hash_u64(object * 4 + (uint64_t)kind);
    if (key.size > 0) {
        hash = hash64(key.data, key.size, hash);
    }
    struct lock_partition *partition = &db->partitions[hash % LOCK_PARTITIONS];
    return (struct target){
        .kind = kind,
        .object = object,
        .key = key,
        .hash = hash,
        .partition = partition,
        .bucket = &partition->buckets[hash / LOCK_PARTITIONS % LOCK_BUCKETS],
    };
}

static struct lock *
find(const struct target *target)
{
    struct lock *lock = atomic_load_explicit(target->bucket, memory_order_relaxed);
    while (lock != NULL && (lock->hash != target->hash || lock->kind != target->kind ||
                               lock->object != target->object ||
                               !slice_equal(slice_of(lock->key, lock->key_size), target->key))) {
        lock = lock->next;
    }
    return lock;
}

static struct lock *
find_or_make(struct txn_db *db, const struct target *target)
{
    struct lock *lock = find(target);
    if (lock == NULL) {
        lock = mem_zalloc(sizeof *lock + target->key.size);
        lock->kind = target->kind;
        lock->object = target->object;
        lock->hash = target->hash;
        lock->key_size = (uint32_t)target->key.size;
        if (target->key.size > 0) {
            memcpy(lock->key, target->key.data, target->key.size);
        }
        list_init(&lock->holds);
        list_init(&lock->queue);
        lock->next = atomic_load_explicit(target->bucket, memory_order_relaxed);
        atomic_fetch_add_explicit(&db->lock_count, 1, memory_order_relaxed);
        if (lock->kind == LOCK_ROW) {
            atomic_fetch_add(&db->row_lock_count, 1); /* before it can be found: lock__row_free */
        }
        atomic_store(target->bucket, lock);
    }
    return lock;
}

static struct lock_partition *
partition_of(struct txn_db *db, const struct lock *lock)
{
    return &db->partitions[lock->hash % LOCK_PARTITIONS];
}

static void
free_if_unused(struct txn_db *db, struct lock *lock)
{
    if (!list_empty(&lock->holds) || !list_empty(&lock->queue)) {
        return;
    }
    _Atomic(struct lock *) *bucket =
        &partition_of(db, lock)->buckets[lock->hash / LOCK_PARTITIONS % LOCK_BUCKETS];
    struct lock *at = atomic_load_explicit(bucket, memory_order_relaxed);
    if (at == lock) {
        atomic_store(bucket, lock->next);
    } else {
        while (at->next != lock) {
            at = at->next;
        }
        at->next = lock->next;
    }
    if (lock->kind == LOCK_ROW) {
        atomic_fetch_sub_explicit(&db->row_lock_count, 1, memory_order_relaxed);
    }
    mem_free(lock);
    atomic_fetch_sub_explicit(&db->lock_count, 1, memory_order_relaxed);
}

/* ---- granting ----------------------------------------------------------------------------------
 */

/* Could the transaction have the mode now? Those in the queue before `until` come first, unless the
 * transaction holds something here already, or is the row's writer: whoever has reserved the row
 * waits for that one's end (T9). */
static bool
is_grantable(const struct lock *lock, const struct txn *txn, unsigned mode, bool own,
    const struct list_node *until)
{
    bool holds = own;
    LIST_FOREACH (node, &lock->holds) {
        const struct hold *hold = LIST_ENTRY(node, struct hold, node);
        if (hold->txn == txn) {
            holds = true;
        } else if (conflict(lock->kind, mode, own ? hold->firm : hold->modes)) {
            return false;
        }
    }
    if (holds) {
        return true;
    }
    for (struct list_node *node = lock->queue.next; node != until; node = node->next) {
        const struct lock_waiter *ahead = LIST_ENTRY(node, struct lock_waiter, node);
        if (ahead->txn != txn && conflict(lock->kind, mode, 1U << ahead->mode)) {
            return false;
        }
    }
    return true;
}

/* Would the hold go when the transaction is rolled back to its last savepoint? */
static bool
is_recent(const struct hold *hold)
{
    const struct txn *txn = hold->txn;
    return txn->savepoint_count == 0 ||
           hold->savepoint >= txn->savepoints[txn->savepoint_count - 1].number;
}

/* Give the mode. Returns a new hold, or NULL if an old one of the transaction's took it in. Those
 * of sessions count. The transaction is the caller's or sleeps. */
static struct hold *
grant(struct lock *lock, struct txn *txn, unsigned mode, enum hold_kind kind)
{
    bool strong = lock->kind == LOCK_TABLE && is_strong(mode);
    struct list_node *last = lock->holds.prev;
    LIST_FOREACH (node, &lock->holds) {
        struct hold *hold = LIST_ENTRY(node, struct hold, node);
        if (hold->txn != txn) {
            continue;
        }
        last = node;
        if (hold->kind == (uint8_t)kind &&
            (kind == HOLD_SESSION || (kind == HOLD_TXN && is_recent(hold)))) {
            hold->modes |= (uint16_t)(1U << mode);
            hold->strong = (uint16_t)(hold->strong + strong);
            hold->counts[mode == TXN_SHARE]++;
            return NULL;
        }
    }
    struct hold *hold = mem_zalloc(sizeof *hold);
    hold->lock = lock;
    hold->txn = txn;
    hold->savepoint = kind == HOLD_TXN ? txn->savepoints_made : 0;
    hold->modes = (uint16_t)(1U << mode);
    hold->strong = strong;
    hold->counts[mode == TXN_SHARE]++;
    hold->kind = (uint8_t)kind;
    list_push_front(last, &hold->node); /* behind it */
    return hold;
}

/* T9. What was a place in line, or has just been granted, is a lock from here on. */
static void
make_firm(struct lock *lock, const struct txn *txn, unsigned mode)
{
    struct hold *found = NULL;
    LIST_FOREACH (node, &lock->holds) {
        struct hold *hold = LIST_ENTRY(node, struct hold, node);
        if (hold->txn == txn && (hold->modes >> mode & 1) != 0) {
            found = hold; /* the newest, which was granted last */
        }
    }
    ASSERT(found != NULL);
    found->firm |= (uint16_t)(1U << mode);
}

static void
remember(struct txn *txn, struct hold *hold)
{
    if (hold == NULL) {
        return;
    }
    if (hold->kind == HOLD_SESSION) {
        list_push_back(&txn->session_holds, &hold->sessions);
    } else {
        hold->older = txn->holds;
        txn->holds = hold;
    }
}

/* Something was released: whoever can go on now does. Under the partition's latch. */
static void
serve_queue(struct lock *lock)
{
    struct list_node *node = lock->queue.next;
    while (node != &lock->queue) {
        struct lock_waiter *waiter = LIST_ENTRY(node, struct lock_waiter, node);
        node = node->next;
        if (lock->kind != LOCK_TXN &&
            is_grantable(lock, waiter->txn, waiter->mode, waiter->own, &waiter->node)) {
            waiter->hold =
                grant(lock, waiter->txn, waiter->mode, waiter->session ? HOLD_SESSION : HOLD_TXN);
            waiter->granted = true;
            waiter->txn->waiting = NULL;
            list_remove(&waiter->node);
            task_unpark(waiter->task); /* it cannot leave before it gets the latch */
        }
    }
}

static void
release_hold(struct txn_db *db, struct hold *hold)
{
    struct lock *lock = hold->lock;
    if (hold->strong > 0) {
        atomic_fetch_sub(&db->strong[hash_u64(lock->object) % STRONG_COUNTERS], hold->strong);
    }
    list_remove(&hold->node);
    mem_free(hold);
    serve_queue(lock);
    free_if_unused(db, lock);
}

void
lock__latch_all(struct txn_db *db)
{
    for (int i = 0; i < LOCK_PARTITIONS; i++) {
        latch_acquire(&db->partitions[i].latch);
    }
}

void
lock__unlatch_all(struct txn_db *db)
{
    for (int i = LOCK_PARTITIONS; i > 0; i--) {
        latch_release(&db->partitions[i - 1].latch);
    }
}

/* ---- waiting -----------------------------------------------------------------------------------
 */

/* Under the partition's latch. */
static void
enqueue(struct lock_waiter *waiter, struct lock *lock)
{
    waiter->lock = lock;
    waiter->ticket = lock->next_ticket++;
    list_push_back(&lock->queue, &waiter->node);
    waiter->txn->waiting = waiter;
}

static void
leave_queue(struct txn_db *db, struct lock_waiter *waiter)
{
    struct lock *lock = waiter->lock;
    list_remove(&waiter->node);
    waiter->txn->waiting = NULL;
    serve_queue(lock); /* those behind may have waited only for us */
    free_if_unused(db, lock);
}

/* The queued waiter sleeps until its turn. On an error it is out of the queue. */
static enum err
sleep_in_queue(struct task *task, struct lock_waiter *waiter, struct lock_partition *partition,
    struct diag *diag)
{
    struct txn *txn = waiter->txn;
    struct txn_db *db = txn->db;
    enum err err = ERR_OK;
    lock__latch_all(db);
    struct lock *reordered = NULL;
    struct deadlock *deadlock = waiter->granted ? NULL : deadlock__found(db, waiter, &reordered);
    if (deadlock != NULL) {
        leave_queue(db, waiter);
    } else if (reordered != NULL) {
        serve_queue(reordered);
    }
    lock__unlatch_all(db);
    if (deadlock != NULL) {
        atomic_fetch_add(&db->deadlocks, 1);
        return deadlock__report(db, deadlock, diag);
    }
    int64_t deadline =
        txn->lock_timeout_us == 0 ? WORLD_NEVER : world_clock_us(db->world) + txn->lock_timeout_us;
    for (;;) {
        latch_acquire(&partition->latch);
        if (waiter->granted) {
            latch_release(&partition->latch);
            remember(txn, waiter->hold);
            return ERR_OK;
        }
        err = task_interrupted(task, diag);
        if (err == ERR_OK && deadline != WORLD_NEVER && world_clock_us(db->world) >= deadline) {
            err = diag_set(diag, ERR_LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout");
        }
        if (err != ERR_OK) {
            leave_queue(db, waiter);
            latch_release(&partition->latch);
            return err;
        }
        latch_release(&partition->latch);
        task_park(task, deadline);
    }
}

enum err
lock__check_room(struct txn_db *db, struct diag *diag)
{
    if (atomic_load_explicit(&db->lock_count, memory_order_relaxed) < db->locks_max) {
        return ERR_OK;
    }
    (void)diag_set(diag, ERR_LIMIT, "out of memory for locks");
    diag_hint(diag, "There may be %llu locks at once; lock fewer rows, or the whole table.",
        (unsigned long long)db->locks_max);
    return ERR_LIMIT;
}

/* Take what the waiter wants, or queue for it. `wait` other than TXN_WAIT: *busy instead of
 * sleeping. */
static enum err
acquire(struct task *task, struct lock_waiter *waiter, const struct target *target,
    enum txn_wait wait, bool *busy, struct diag *diag)
{
    struct txn *txn = waiter->txn;
    struct txn_db *db = txn->db;
    *busy = false;
    TRY(lock__check_room(db, diag));
    waiter->task = task;
    latch_acquire(&target->partition->latch);
    struct lock *lock = find_or_make(db, target);
    if (is_grantable(lock, txn, waiter->mode, waiter->own, &lock->queue)) {
        struct hold *hold =
            grant(lock, txn, waiter->mode, waiter->session ? HOLD_SESSION : HOLD_TXN);
        latch_release(&target->partition->latch);
        remember(txn, hold);
        return ERR_OK;
    }
    if (wait != TXN_WAIT) {
        *busy = true;
        latch_release(&target->partition->latch);
        return ERR_OK;
    }
    enqueue(waiter, lock);
    latch_release(&target->partition->latch);
    return sleep_in_queue(task, waiter, target->partition, diag);
}

/* ---- rows --------------------------------------------------------------------------------------
 */

bool
lock__row_free(struct txn *txn, tree_id_t tree, struct slice key, enum txn_row_lock mode, bool own)
{
    if (atomic_load(&txn->db->row_lock_count) == 0) {
        return true; /* no row is locked: spares the hash and a cold line of the table */
    }
    struct target target = target_of(txn->db, LOCK_ROW, tree.v, key);
    /* The leaf's latch orders us: who takes a row lock does so under it, or looks at the row
     * afterwards (T7). */
    if (atomic_load(target.bucket) == NULL) {
        return true;
    }
    latch_acquire(&target.partition->latch);
    const struct lock *lock = find(&target);
    bool is_free = lock == NULL || is_grantable(lock, txn, mode, own, &lock->queue);
    latch_release(&target.partition->latch);
    return is_free;
}

bool
lock__row_try(struct txn *txn, tree_id_t tree, struct slice key, enum txn_row_lock mode, bool own)
{
    struct target target = target_of(txn->db, LOCK_ROW, tree.v, key);
    latch_acquire(&target.partition->latch);
    struct lock *lock = find_or_make(txn->db, &target);
    bool granted = is_grantable(lock, txn, mode, own, &lock->queue);
    struct hold *hold = granted ? grant(lock, txn, mode, HOLD_TXN) : NULL;
    if (granted) {
        make_firm(lock, txn, mode);
    }
    latch_release(&target.partition->latch);
    remember(txn, hold);
    return granted;
}

enum err
lock__row_acquire(struct task *task, struct txn *txn, tree_id_t tree, struct slice key,
    enum txn_row_lock mode, bool own, struct diag *diag)
{
    struct target target = target_of(txn->db, LOCK_ROW, tree.v, key);
    struct lock_waiter waiter = {.txn = txn, .mode = (unsigned)mode, .own = own};
    bool busy = false;
    return acquire(task, &waiter, &target, TXN_WAIT, &busy, diag);
}

/* ---- transactions ------------------------------------------------------------------------------
 */

static struct txn *
owner_of(struct txn_db *db, uint64_t id)
{
    struct txn *owner = NULL;
    latch_acquire(&db->registry_latch);
    for (uint32_t i = 0; i < db->slot_count && owner == NULL; i++) {
        struct txn *txn = db->slots[i].txn;
        if (txn != NULL && atomic_load(&txn->id) == id) {
            owner = txn;
        }
    }
    latch_release(&db->registry_latch);
    return owner;
}

/* T6. The mark in the table and the end's exchange (commit.c) meet in one word: either the end sees
 * the mark and comes for the partition's latch, or we see the end. */
static bool
mark_waited_for(struct txn_db *db, uint64_t id)
{
    _Atomic uint64_t *entry = table__entry(db, id);
    uint64_t state = atomic_load(entry);
    while (state == STATE_ACTIVE) {
        if (atomic_compare_exchange_weak(entry, &state, STATE_WAITED_FOR)) {
            return true;
        }
    }
    return state == STATE_WAITED_FOR;
}

enum err
lock__wait_txn(struct task *task, struct txn *txn, uint64_t id, tree_id_t tree, struct slice key,
    struct diag *diag)
{
    struct txn_db *db = txn->db;
    if (!txn__alive(txn)) { /* T4: the table may have forgotten it */
        return snapshot__too_old(diag);
    }
    if (id < atomic_load(&db->floor)) {
        return ERR_OK;
    }
    struct target target = target_of(db, LOCK_TXN, id, (struct slice){0});
    struct lock_waiter waiter = {.txn = txn, .task = task, .tree = tree, .key = key};
    latch_acquire(&target.partition->latch);
    if (!mark_waited_for(db, id)) {
        latch_release(&target.partition->latch);
        return ERR_OK;
    }
    struct lock *lock = find_or_make(db, &target);
    if (lock->owner == NULL) {
        lock->owner = owner_of(db, id);
        ASSERT(lock->owner != NULL); /* it ends only after our latch */
    }
    enqueue(&waiter, lock);
    latch_release(&target.partition->latch);
    return sleep_in_queue(task, &waiter, target.partition, diag);
}

void
lock__txn_ended(struct txn_db *db, uint64_t id)
{
    struct target target = target_of(db, LOCK_TXN, id, (struct slice){0});
    latch_acquire(&target.partition->latch);
    struct lock *lock = find(&target);
    if (lock != NULL) {
        struct list_node *node;
        while ((node = list_pop_front(&lock->queue)) != NULL) {
            struct lock_waiter *waiter = LIST_ENTRY(node, struct lock_waiter, node);
            waiter->granted = true;
            waiter->txn->waiting = NULL;
            task_unpark(waiter->task);
        }
        free_if_unused(db, lock);
    }
    latch_release(&target.partition->latch);
}

/* ---- tables ------------------------------------------------------------------------------------
 */

static _Atomic uint32_t *
strong_counter(struct txn_db *db, uint64_t object)
{
    return &db->strong[hash_u64(object) % STRONG_COUNTERS];
}

static void
remember_table(struct txn *txn, uint64_t object, unsigned mode, bool fast)
{
    if (txn->table_lock_count == txn->table_lock_capacity) {
        txn->table_lock_capacity =
            txn->table_lock_capacity == 0 ? FAST_TABLE_LOCKS : txn->table_lock_capacity * 2;
        txn->table_locks =
            mem_realloc(txn->table_locks, txn->table_lock_capacity * sizeof *txn->table_locks);
    }
    txn->table_locks[txn->table_lock_count++] =
        (struct table_lock){.object = object, .mode = (uint8_t)mode, .fast = fast};
}

static bool
has_table_lock(const struct txn *txn, uint64_t object, unsigned mode)
{
    unsigned wanted = table_conflicts[mode];
    for (uint32_t i = txn->table_lock_count; i > 0; i--) {
        const struct table_lock *held = &txn->table_locks[i - 1];
        if (held->object == object && (wanted & ~(unsigned)table_conflicts[held->mode]) == 0) {
            return true;
        }
    }
    return false;
}

static bool
take_fast(struct txn *txn, uint64_t object, unsigned mode)
{
    uint32_t index = txn->table_lock_count;
    _Atomic uint32_t *strong = strong_counter(txn->db, object);
    if (mode > TXN_ROW_EXCLUSIVE || index >= FAST_TABLE_LOCKS || object >> 60 != 0 ||
        atomic_load_explicit(strong, memory_order_relaxed) != 0) {
        return false;
    }
    atomic_store(&txn->fast[index], object << 4 | (mode + 1)); /* T8 */
    if (atomic_load(strong) != 0) {
        uint64_t was = atomic_exchange(&txn->fast[index], 0);
        if ((was & FAST_MODE_MASK) != FAST_TRANSFERRED) {
            return false;
        }
        atomic_store(&txn->fast[index], was); /* moved meanwhile: so we have it */
    }
    remember_table(txn, object, mode, true);
    return true;
}

/* Move everybody's weak locks on the object into the table. */
static void
transfer_fast(struct txn_db *db, const struct target *target)
{
    latch_acquire(&target->partition->latch);
    latch_acquire(&db->registry_latch);
    for (uint32_t i = 0; i < db->slot_count; i++) {
        struct txn *txn = db->slots[i].txn;
        for (uint32_t j = 0; txn != NULL && j < FAST_TABLE_LOCKS; j++) {
            uint64_t was = atomic_load(&txn->fast[j]);
            uint64_t mode = was & FAST_MODE_MASK;
            if (was >> 4 != target->object || mode == 0 || mode == FAST_TRANSFERRED) {
                continue;
            }
            if (atomic_compare_exchange_strong(
                    &txn->fast[j], &was, target->object << 4 | FAST_TRANSFERRED)) {
                (void)grant(find_or_make(db, target), txn, (unsigned)mode - 1, HOLD_TRANSFERRED);
            }
        }
    }
    latch_release(&db->registry_latch);
    latch_release(&target->partition->latch);
}

static void
release_fast(struct txn *txn, uint32_t index)
{
    const struct table_lock *held = &txn->table_locks[index];
    uint64_t was = atomic_exchange(&txn->fast[index], 0);
    if ((was & FAST_MODE_MASK) != FAST_TRANSFERRED) {
        return;
    }
    struct target target = target_of(txn->db, LOCK_TABLE, held->object, (struct slice){0});
    latch_acquire(&target.partition->latch);
    struct lock *lock = find(&target);
    ASSERT(lock != NULL);
    struct hold *found = NULL;
    LIST_FOREACH (node, &lock->holds) {
        struct hold *hold = LIST_ENTRY(node, struct hold, node);
        if (hold->txn == txn && hold->kind == HOLD_TRANSFERRED && hold->modes == 1U << held->mode) {
            found = hold;
            break;
        }
    }
    ASSERT(found != NULL);
    release_hold(txn->db, found);
    latch_release(&target.partition->latch);
}

enum err
txn_lock_table(struct task *task, struct txn *txn, uint64_t object, const char *name,
    enum txn_table_lock mode, enum txn_wait wait, struct diag *diag)
{
    ASSERT(txn->state == TXN_ACTIVE);
    if (has_table_lock(txn, object, mode) || take_fast(txn, object, mode)) {
        return ERR_OK;
    }
    struct txn_db *db = txn->db;
    struct target target = target_of(db, LOCK_TABLE, object, (struct slice){0});
    bool strong = is_strong(mode);
    if (strong) {
        atomic_fetch_add(strong_counter(db, object), 1); /* T8; goes with the hold */
        transfer_fast(db, &target);
    }
    struct lock_waiter waiter = {.txn = txn, .mode = (unsigned)mode};
    bool busy = false;
    enum err err = acquire(task, &waiter, &target, wait, &busy, diag);
    if (err == ERR_OK && busy) {
        err = diag_set(diag, ERR_LOCK_NOT_AVAILABLE, "could not obtain lock on relation \"%s\"",
            name == NULL ? "?" : name);
    }
    if (err != ERR_OK) {
        if (strong) {
            atomic_fetch_sub(strong_counter(db, object), 1);
        }
        return err;
    }
    remember_table(txn, object, mode, false);
    return ERR_OK;
}

/* ---- advisory locks ----------------------------------------------------------------------------
 */

/* key: where the target's key stands. */
static struct target
advisory_target(
    const struct txn *txn, const struct txn_advisory *lock, uint8_t key[ADVISORY_KEY_SIZE])
{
    key[0] = lock->pair ? ADVISORY_PAIR : ADVISORY_ONE;
    store_be32(key + 1, txn_scope(txn));
    return target_of(txn->db, LOCK_ADVISORY, lock->number, slice_of(key, ADVISORY_KEY_SIZE));
}

enum err
txn_lock_advisory(struct task *task, struct txn *txn, const struct txn_advisory *lock, bool wait,
    bool *taken, struct diag *diag)
{
    ASSERT(txn->state == TXN_ACTIVE);
    uint8_t key[ADVISORY_KEY_SIZE];
    struct target target = advisory_target(txn, lock, key);
    struct lock_waiter waiter = {
        .txn = txn, .mode = lock->shared ? TXN_SHARE : TXN_EXCLUSIVE, .session = lock->session};
    bool busy = false;
    TRY(acquire(task, &waiter, &target, wait ? TXN_WAIT : TXN_NOWAIT, &busy, diag));
    *taken = !busy;
    return ERR_OK;
}

/* Under the partition's latch. */
static void
forget_session_hold(struct txn_db *db, struct hold *hold)
{
    list_remove(&hold->sessions);
    release_hold(db, hold);
}

bool
txn_unlock_advisory(struct txn *txn, const struct txn_advisory *lock)
{
    uint8_t key[ADVISORY_KEY_SIZE];
    struct target target = advisory_target(txn, lock, key);
    unsigned mode = lock->shared ? TXN_SHARE : TXN_EXCLUSIVE;
    struct hold *found = NULL;
    latch_acquire(&target.partition->latch);
    const struct lock *object = find(&target);
    if (object != NULL) {
        LIST_FOREACH (node, &object->holds) {
            struct hold *hold = LIST_ENTRY(node, struct hold, node);
            if (hold->txn == txn && hold->kind == HOLD_SESSION && (hold->modes >> mode & 1) != 0) {
                found = hold;
                break;
            }
        }
    }
    if (found != NULL && --found->counts[lock->shared] == 0) {
        found->modes &= (uint16_t) ~(1U << mode);
        if (found->modes == 0) {
            forget_session_hold(txn->db, found);
        } else {
            serve_queue(found->lock);
        }
    }
    latch_release(&target.partition->latch);
    return found != NULL;
}

void
txn_unlock_all_advisory(struct txn *txn)
{
    while (!list_empty(&txn->session_holds)) {
        struct hold *hold = LIST_ENTRY(txn->session_holds.next, struct hold, sessions);
        struct lock_partition *partition = partition_of(txn->db, hold->lock);
        latch_acquire(&partition->latch);
        forget_session_hold(txn->db, hold);
        latch_release(&partition->latch);
    }
}

void
txn_set_lock_timeout(struct txn *txn, int64_t timeout_us)
{
    txn->lock_timeout_us = timeout_us;
}

/* ---- the end -----------------------------------------------------------------------------------
 */

void
lock__release_to(struct txn *txn, struct hold *hold, uint32_t table_lock_count)
{
    struct txn_db *db = txn->db;
    while (txn->holds != hold) {
        struct hold *newest = txn->holds;
        txn->holds = newest->older;
        struct lock_partition *partition = partition_of(db, newest->lock);
        latch_acquire(&partition->latch);
        release_hold(db, newest);
        latch_release(&partition->latch);
    }
    while (txn->table_lock_count > table_lock_count) {
        txn->table_lock_count--;
        if (txn->table_locks[txn->table_lock_count].fast) {
            release_fast(txn, txn->table_lock_count);
        }
    }
}
