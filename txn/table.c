/*
 * txn/table.c - who has committed, and who may still ask.
 *
 * The table maps ids to states in chunks found without a latch. The oldest chunks leave it when all
 * their transactions are seen by every snapshot (T4): from then on `floor` answers for them. The
 * chunk itself goes one horizon later, because somebody may have read the old floor just before.
 */
#include "txn/txn_internal.h"

void
table__create(struct txn_db *db, uint64_t first_id)
{
    db->table = mem_array(TABLE_CHUNKS, sizeof *db->table);
    db->first_chunk = first_id >> TABLE_CHUNK_BITS;
    struct table_chunk *chunk = mem_zalloc(sizeof *chunk);
    chunk->number = db->first_chunk;
    chunk->purged = (uint32_t)(first_id % TABLE_CHUNK_IDS);
    atomic_store(&db->table[db->first_chunk % TABLE_CHUNKS], chunk);
    atomic_store(&db->floor, first_id);
    atomic_store(&db->next_id, first_id);
    db->dead_chunks_end = &db->dead_chunks;
}

void
table__destroy(struct txn_db *db)
{
    table__free_dead(db, UINT64_MAX);
    for (uint64_t i = 0; db->table != NULL && i < TABLE_CHUNKS; i++) {
        mem_free(atomic_load(&db->table[i]));
    }
    mem_free(db->table);
}

enum err
table__new_id(struct txn_db *db, uint64_t *id, struct diag *diag)
{
    /* The oldest active transaction holds the window's lower end. */
    uint64_t floor = atomic_load(&db->floor);
    if (atomic_load(&db->next_id) - floor > (uint64_t)(TABLE_CHUNKS - 2) * TABLE_CHUNK_IDS) {
        (void)diag_set(diag, ERR_LIMIT, "too many transactions since the oldest open one");
        diag_hint(diag, "Close the oldest open transaction.");
        return ERR_LIMIT;
    }
    *id = atomic_fetch_add(&db->next_id, 1);
    uint64_t number = *id >> TABLE_CHUNK_BITS;
    _Atomic(struct table_chunk *) *place = &db->table[number % TABLE_CHUNKS];
    if (atomic_load_explicit(place, memory_order_acquire) == NULL) {
        struct table_chunk *chunk = mem_zalloc(sizeof *chunk);
        chunk->number = number;
        struct table_chunk *expected = NULL;
        if (!atomic_compare_exchange_strong(place, &expected, chunk)) {
            mem_free(chunk);
        }
    }
    return ERR_OK;
}

void
table__purged(struct txn_db *db, uint64_t id)
{
    struct table_chunk *chunk = atomic_load(&db->table[(id >> TABLE_CHUNK_BITS) % TABLE_CHUNKS]);
    ASSERT(chunk->number == id >> TABLE_CHUNK_BITS);
    chunk->purged++;
    ASSERT(chunk->purged <= TABLE_CHUNK_IDS);
    for (;;) {
        chunk = atomic_load(&db->table[db->first_chunk % TABLE_CHUNKS]);
        if (chunk == NULL || chunk->purged < TABLE_CHUNK_IDS) {
            return;
        }
        db->first_chunk++;
        atomic_store(&db->floor, db->first_chunk << TABLE_CHUNK_BITS);
        chunk->dead_era = atomic_fetch_add(&db->era, 1) + 1;
        chunk->next_dead = NULL;
        *db->dead_chunks_end = chunk;
        db->dead_chunks_end = &chunk->next_dead;
    }
}

void
table__free_dead(struct txn_db *db, uint64_t horizon)
{
    while (db->dead_chunks != NULL && db->dead_chunks->dead_era <= horizon) {
        struct table_chunk *chunk = db->dead_chunks;
        db->dead_chunks = chunk->next_dead;
        atomic_store(&db->table[chunk->number % TABLE_CHUNKS], NULL);
        mem_free(chunk);
    }
    if (db->dead_chunks == NULL) {
        db->dead_chunks_end = &db->dead_chunks;
    }
}

/*
 * T2. Every transaction's end gets an era, after its result is published. A reader first announces
 * the era, then takes the newest LSN. All four accesses are sequentially consistent, so either the
 * purger's look over the slots finds the announcement, or it happened before the announcement - and
 * then before the reader took its LSN, which therefore covers every end up to the era the purger
 * had read before.
 */
uint64_t
snapshot__take(struct txn_db *db, struct slot *slot)
{
    if (atomic_load_explicit(&slot->era, memory_order_relaxed) == 0) {
        atomic_store(&slot->era, atomic_load(&db->era));
    }
    return atomic_load(&db->visible);
}

void
snapshot__drop(struct slot *slot)
{
    atomic_store_explicit(&slot->era, 0, memory_order_release);
}

uint64_t
snapshot__horizon(struct txn_db *db)
{
    uint64_t horizon = atomic_load(&db->era);
    uint32_t count = atomic_load(&db->slot_count); /* who comes later takes a later LSN */
    for (uint32_t i = 0; i < count; i++) {
        uint64_t era = atomic_load(&db->slots[i].era);
        if (era != 0 && (era & SLOT_IGNORED) == 0 && (era & SLOT_ERA) < horizon) {
            horizon = era & SLOT_ERA;
        }
    }
    return horizon;
}

void
snapshot__ensure(struct txn *txn)
{
    if (atomic_load_explicit(&txn->slot->era, memory_order_relaxed) == 0) {
        (void)snapshot__take(txn->db, txn->slot);
    }
}

bool
snapshot__lower(struct txn *txn, uint64_t era)
{
    uint64_t own = atomic_load(&txn->slot->era);
    do {
        if ((own & SLOT_TOO_OLD) != 0) {
            return false;
        }
    } while (own > era && !atomic_compare_exchange_weak(&txn->slot->era, &own, era));
    return true;
}

enum err
snapshot__too_old(struct diag *diag)
{
    (void)diag_set(diag, ERR_SNAPSHOT_TOO_OLD, "snapshot too old");
    diag_detail(diag, "Old row versions have reached their limit, and this was the oldest "
                      "snapshot that held them back.");
    diag_hint(diag, "Start the transaction again, or raise the limit (undo_size_max).");
    return ERR_SNAPSHOT_TOO_OLD;
}

/*
 * T13. First the owner is told, in the word that announces the snapshot, that it is too old. He
 * looks there each time before he relies on what it protects, and does not sleep in between; so
 * after a grace period he relies on nothing any more, and the purger may ignore the announcement.
 * If he ends it meanwhile, and perhaps announces another, the second exchange finds another word.
 */
bool
snapshot__give_up_oldest(struct task *task, struct txn_db *db, uint64_t before_era)
{
    struct slot *oldest = NULL;
    uint64_t oldest_era = before_era;
    uint32_t count = atomic_load(&db->slot_count);
    for (uint32_t i = SLOT_CHECKPOINT + 1; i < count; i++) { /* nor the history's */
        uint64_t era = atomic_load(&db->slots[i].era);
        if (era != 0 && era < oldest_era) { /* those given up have a high bit */
            oldest = &db->slots[i];
            oldest_era = era;
        }
    }
    if (oldest == NULL) {
        return false;
    }
    uint64_t era = oldest_era;
    if (atomic_compare_exchange_strong(&oldest->era, &era, era | SLOT_TOO_OLD)) {
        atomic_fetch_add(&db->snapshots_given_up, 1);
        spill__grace(task, db);
        era = oldest_era | SLOT_TOO_OLD;
        (void)atomic_compare_exchange_strong(&oldest->era, &era, era | SLOT_IGNORED);
    }
    return true;
}

struct txn_snapshot
txn_statement_begin(struct txn *txn)
{
    ASSERT(txn->state == TXN_ACTIVE);
    ASSERT(txn->command < UINT32_MAX - 2);
    if (!txn__alive(txn) && (txn->isolation == TXN_READ_COMMITTED || !txn->has_snapshot)) {
        txn->dead_command = txn->command; /* T13: older ones stay dead, this one lives */
        snapshot__drop(txn->slot);
    }
    txn->command++;
    if (txn->isolation == TXN_READ_COMMITTED || !txn->has_snapshot) {
        bool tracked = txn->isolation == TXN_SERIALIZABLE;
        txn->snapshot_lsn = tracked ? ssi__begin(txn) : snapshot__take(txn->db, txn->slot);
        txn->has_snapshot = true;
    }
    return (struct txn_snapshot){.lsn = {txn->snapshot_lsn}, .command = txn->command};
}

void
txn_snapshots_release(struct txn *txn)
{
    if (txn->isolation == TXN_READ_COMMITTED) {
        snapshot__drop(txn->slot);
    }
    if (txn->hidden != NULL) {
        sagas__forget(txn, txn->isolation == TXN_READ_COMMITTED);
    }
}
