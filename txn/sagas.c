/*
 * txn/sagas.c - reads that pass over what unfinished sagas have written.
 *
 * A saga is a number here, and the ids of its transactions that have committed. Until it ends, a
 * slot of its own (SLOT_SAGAS, one for all of them) holds back every version that the first of them
 * replaced. A settled snapshot is an LSN and, of the transactions that have committed by it, those
 * of sagas that had not ended by it: it passes over their versions as if they had not committed.
 *
 *   G1. A transaction of a saga is entered, and the end of a saga noted, before the LSN of that
 *       commit is visible; under `latch`. Who holds the latch and then reads `visible` misses
 *       nothing; and an end counts for exactly the snapshots that have its LSN.
 *   G2. A settled reader announces the era of SLOT_SAGAS, not the present one, and then finds that
 *       it still stands there: so the end of a saga takes nothing away from him. As in hlc.c (H3)
 *       the slot is looked at before those of readers.
 *   G3. When undo is at its limit that slot is given up like any snapshot: then there are no
 *       settled snapshots until every saga that was open has ended. So it is for sagas from before
 *       the server's start, whose versions went with the undo.
 *
 * The latch is taken alone or under the commit latch.
 */
#include <stdlib.h>

#include "txn/txn_internal.h"

enum {
    SAGA_BUCKETS = 1024
};

struct open_saga {
    struct list_node node;
    struct open_saga *chain;
    uint64_t number;
    uint64_t era;   /* its versions are younger */
    uint64_t ended; /* LSN; 0: no */
    bool lost;      /* its versions are gone */
    uint64_t *ids;
    uint32_t count, capacity;
};

struct sagas {
    struct latch latch;
    struct list_node open; /* struct open_saga, oldest first */
    struct open_saga *buckets[SAGA_BUCKETS];
    uint32_t lost;
};

/* A settled snapshot's ids, in order; of the statement with this command number. */
struct hidden {
    struct hidden *next;
    uint32_t command, count;
    uint64_t ids[];
};

struct sagas *
sagas__new(void)
{
    struct sagas *sagas = mem_zalloc(sizeof *sagas);
    list_init(&sagas->open);
    return sagas;
}

void
sagas__delete(struct sagas *sagas)
{
    while (!list_empty(&sagas->open)) {
        struct open_saga *saga = LIST_ENTRY(list_pop_front(&sagas->open), struct open_saga, node);
        mem_free(saga->ids);
        mem_free(saga);
    }
    mem_free(sagas);
}

static struct open_saga **
find(struct sagas *sagas, uint64_t number)
{
    struct open_saga **at = &sagas->buckets[number % SAGA_BUCKETS];
    while (*at != NULL && (*at)->number != number) {
        at = &(*at)->chain;
    }
    return at;
}

static struct open_saga *
add(struct sagas *sagas, uint64_t number)
{
    struct open_saga **at = find(sagas, number);
    if (*at == NULL) {
        *at = mem_zalloc(sizeof **at);
        (*at)->number = number;
        list_push_back(&sagas->open, &(*at)->node);
    }
    return *at;
}

/* G3. */
static void
lose(struct sagas *sagas, struct open_saga *saga)
{
    sagas->lost += !saga->lost;
    saga->lost = true;
}

static void
lose_all(struct sagas *sagas, const struct open_saga *but)
{
    LIST_FOREACH (node, &sagas->open) {
        struct open_saga *saga = LIST_ENTRY(node, struct open_saga, node);
        if (saga != but) {
            lose(sagas, saga);
        }
    }
}

void
txn_saga_begins(struct txn_db *db, uint64_t number)
{
    struct sagas *sagas = db->sagas;
    latch_acquire(&sagas->latch);
    struct open_saga *saga = add(sagas, number);
    if (saga->era == 0) {
        struct slot *slot = &db->slots[SLOT_SAGAS];
        saga->era = atomic_load(&db->era);
        uint64_t era = 0;
        if (!atomic_compare_exchange_strong(&slot->era, &era, saga->era) &&
            (era & SLOT_TOO_OLD) != 0) {
            lose_all(sagas, saga);
            atomic_store(&slot->era, saga->era);
        }
    }
    latch_release(&sagas->latch);
}

void
txn_saga_was_open(struct txn_db *db, uint64_t number)
{
    latch_acquire(&db->sagas->latch);
    struct open_saga *saga = add(db->sagas, number);
    lose(db->sagas, saga);
    saga->era = 1; /* it will not be given another */
    latch_release(&db->sagas->latch);
}

/* Under the latch. The slot follows the oldest that is left. */
static void
drop(struct txn_db *db, struct open_saga **at)
{
    struct sagas *sagas = db->sagas;
    struct open_saga *saga = *at;
    *at = saga->chain;
    list_remove(&saga->node);
    sagas->lost -= saga->lost;
    mem_free(saga->ids);
    mem_free(saga);
    uint64_t oldest = 0;
    LIST_FOREACH (node, &sagas->open) {
        const struct open_saga *other = LIST_ENTRY(node, struct open_saga, node);
        if (!other->lost) {
            oldest = other->era;
            break;
        }
    }
    struct slot *slot = &db->slots[SLOT_SAGAS];
    uint64_t era = atomic_load(&slot->era);
    if (oldest == 0) {
        atomic_store(&slot->era, 0); /* also if it was given up: G3 */
    } else if ((era & SLOT_TOO_OLD) == 0 && era != oldest) {
        (void)atomic_compare_exchange_strong(&slot->era, &era, oldest);
    }
}

void
txn_saga_ended(struct txn_db *db, uint64_t number)
{
    latch_acquire(&db->sagas->latch);
    struct open_saga **at = find(db->sagas, number);
    if (*at != NULL) {
        drop(db, at);
    }
    latch_release(&db->sagas->latch);
}

/* Under the commit latch, before `visible` moves (G1). */
void
sagas__committing(struct txn *txn, uint64_t lsn)
{
    struct sagas *sagas = txn->db->sagas;
    if (load_be64(txn->saga_id) != 0) {
        return; /* its end will not be told here */
    }
    latch_acquire(&sagas->latch);
    struct open_saga *saga = *find(sagas, load_be64(txn->saga_id + 8));
    if (saga != NULL && txn->saga_ends) {
        saga->ended = lsn;
    } else if (saga != NULL) {
        if (saga->count == saga->capacity) {
            saga->capacity = saga->capacity == 0 ? 8 : saga->capacity * 2;
            saga->ids = mem_realloc(saga->ids, saga->capacity * sizeof *saga->ids);
        }
        saga->ids[saga->count++] = txn->log->id;
    }
    latch_release(&sagas->latch);
}

/* After it. */
void
sagas__committed(struct txn *txn)
{
    if (txn->saga_ends) {
        txn_saga_ended(txn->db, load_be64(txn->saga_id + 8));
    }
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static int
compare_ids(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

/* G2. False: what it must not see may be gone. Under the latch. */
static bool
hold_back(struct txn *txn)
{
    const struct slot *held = &txn->db->slots[SLOT_SAGAS];
    uint64_t oldest = atomic_load(&held->era);
    uint64_t own = atomic_load(&txn->slot->era);
    if (oldest == 0) {
        return true; /* no saga is open */
    }
    do {
        if ((oldest & SLOT_TOO_OLD) != 0 || (own & SLOT_TOO_OLD) != 0) {
            return false;
        }
    } while (own > oldest && !atomic_compare_exchange_weak(&txn->slot->era, &own, oldest));
    return (atomic_load(&held->era) & SLOT_TOO_OLD) == 0;
}

static struct hidden *
new_hidden(struct txn *txn, uint32_t command, uint32_t count)
{
    struct hidden *hidden = mem_alloc(sizeof *hidden + count * sizeof hidden->ids[0]);
    hidden->next = txn->hidden;
    hidden->command = command;
    hidden->count = count;
    return hidden;
}

/* The transactions to pass over, as of `visible` now. */
static struct hidden *
collect(struct txn *txn, uint32_t command, uint64_t visible)
{
    uint32_t count = 0;
    LIST_FOREACH (node, &txn->db->sagas->open) {
        count += LIST_ENTRY(node, struct open_saga, node)->count;
    }
    struct hidden *hidden = new_hidden(txn, command, count);
    hidden->count = 0;
    LIST_FOREACH (node, &txn->db->sagas->open) {
        const struct open_saga *saga = LIST_ENTRY(node, struct open_saga, node);
        if (saga->count > 0 && (saga->ended == 0 || saga->ended > visible)) {
            memcpy(hidden->ids + hidden->count, saga->ids, saga->count * sizeof saga->ids[0]);
            hidden->count += saga->count;
        }
    }
    return hidden;
}

static enum err
not_settled(bool lost, struct diag *diag)
{
    (void)diag_set(diag, ERR_SAGA_UNSETTLED, "what unfinished sagas have replaced is not known");
    if (lost) {
        diag_detail(diag, "Sagas from before the server's start have not ended.");
    } else {
        diag_detail(diag, "Old row versions have reached their limit (undo_size_max).");
    }
    diag_hint(diag, "Try again when they have ended: tusk_sagas lists them.");
    return ERR_SAGA_UNSETTLED;
}

enum err
txn_hide_sagas(struct txn *txn, struct txn_snapshot *snapshot, struct diag *diag)
{
    if (txn->isolation == TXN_SERIALIZABLE || txn->at_stamp) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "tusk.saga_reads = settled is not supported at SERIALIZABLE, nor for earlier moments");
    }
    bool fixed = txn->isolation == TXN_REPEATABLE_READ;
    if (fixed && txn->hidden != NULL) { /* the same for all statements */
        struct hidden *hidden = new_hidden(txn, snapshot->command, txn->hidden->count);
        memcpy(hidden->ids, txn->hidden->ids, hidden->count * sizeof hidden->ids[0]);
        txn->hidden = hidden;
        return ERR_OK;
    }
    if (fixed && snapshot->command > 1) {
        return diag_set(diag, ERR_ACTIVE_TRANSACTION,
            "tusk.saga_reads must be set before the transaction's first query");
    }
    struct sagas *sagas = txn->db->sagas;
    latch_acquire(&sagas->latch);
    bool lost = sagas->lost > 0;
    bool known = !lost && hold_back(txn);
    if (known) {
        /* Now, for what ended since the snapshot was taken is no more in the list. */
        txn->snapshot_lsn = atomic_load(&txn->db->visible);
        snapshot->lsn.v = txn->snapshot_lsn;
        txn->hidden = collect(txn, snapshot->command, txn->snapshot_lsn);
    }
    latch_release(&sagas->latch);
    if (!known) {
        return not_settled(lost, diag);
    }
    qsort(txn->hidden->ids, txn->hidden->count, sizeof txn->hidden->ids[0], compare_ids);
    return ERR_OK;
}

bool
sagas__hides(const struct txn *txn, uint32_t command, uint64_t writer)
{
    const struct hidden *hidden = txn->hidden;
    while (hidden != NULL && hidden->command != command) {
        hidden = hidden->next;
    }
    return hidden != NULL && hidden->count > 0 &&
           bsearch(&writer, hidden->ids, hidden->count, sizeof writer, compare_ids) != NULL;
}

void
sagas__forget(struct txn *txn, bool all)
{
    while (txn->hidden != NULL && (all || txn->hidden->next != NULL)) {
        struct hidden *hidden = txn->hidden;
        txn->hidden = hidden->next;
        mem_free(hidden);
    }
}
