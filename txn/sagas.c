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
 * On a node of a cluster a saga's home may be elsewhere. Then who reads says as of which stamp T,
 * and which sagas were open at T (saga/README.md, "Settled reads over several nodes"):
 *
 *   G4. A saga is entered here before the first of its transactions commits here. `since` is a
 * stamp by which it had begun. Who raises the clock to T and then takes the latch finds all ids
 * with stamps up to T: stamps are given under the commit latch, as ids are entered. G5. It is
 * dropped only when somebody who knew all that were open at some T >= `since` did not name it, so
 * it had ended by T; and `dropped` is the newest such T. A reader as of an earlier stamp is
 * refused: he may name it. So who is answered finds all that he names, as far as this server has
 * seen them. G6. What a saga has done before this server's start, or in a bucket that came here
 * since, it has not seen. All that was begun after `blind` it has; of others the records of steps
 * are asked whose they are (saga/remote.c).
 *
 * The latch is taken alone or under the commit latch.
 */
#include <stdlib.h>

#include "txn/txn_internal.h"

enum {
    SAGA_BUCKETS = 1024,
    STAMP_SHIFT = 12,
};

/* How long readers may be on their way whose moment is before a saga's end. */
#define GRACE ((uint64_t)2000000 << STAMP_SHIFT)

struct open_saga {
    struct list_node node;
    struct open_saga *chain;
    uint64_t number;
    uint64_t era;   /* its versions are younger */
    uint64_t ended; /* LSN; 0: no */
    bool lost;      /* its versions are gone */
    bool elsewhere; /* not ended here: the three below count, stamps but for the last */
    uint64_t since; /* it had begun by then */
    uint64_t over;  /* it had ended by then; 0: not known */
    uint64_t named; /* in this round of looking */
    uint64_t *ids;
    uint32_t count, capacity;
};

struct sagas {
    struct latch latch;
    struct list_node open; /* struct open_saga, oldest first */
    struct open_saga *buckets[SAGA_BUCKETS];
    uint32_t lost;
    uint64_t dropped;   /* G5 */
    uint64_t ended_lsn; /* of the last that ended here */
    uint64_t rounds;
    _Atomic uint64_t blind; /* G6 */
};

/* A settled snapshot's ids, in order; of the statement with this command number. */
struct hidden {
    struct hidden *next;
    uint64_t lsn, era; /* the snapshot's, and what holds it back */
    uint64_t stamp;    /* 0: of no other's saying */
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

/* Under the latch. */
static struct open_saga *
begin(struct txn_db *db, uint64_t number)
{
    struct sagas *sagas = db->sagas;
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
    return saga;
}

void
txn_saga_begins(struct txn_db *db, uint64_t number)
{
    latch_acquire(&db->sagas->latch);
    (void)begin(db, number);
    latch_release(&db->sagas->latch);
}

void
txn_saga_joins(struct txn_db *db, uint64_t number)
{
    uint64_t now = txn_db_hlc(db);
    latch_acquire(&db->sagas->latch);
    struct open_saga *saga = begin(db, number);
    saga->elsewhere = true;
    saga->since = saga->since == 0 ? now : saga->since;
    latch_release(&db->sagas->latch);
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
    latch_acquire(&sagas->latch);
    struct open_saga *saga = *find(sagas, load_be64(txn->saga_id + 8));
    if (saga != NULL && txn->saga_ends) {
        saga->ended = sagas->ended_lsn = lsn;
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

/* ---- those that end elsewhere ------------------------------------------------------------------
 */

void
sagas__opened(struct txn_db *db)
{
    atomic_store(&db->sagas->blind, db->hlc);
}

uint64_t
txn_sagas_blind(struct txn_db *db)
{
    return atomic_load(&db->sagas->blind);
}

void
txn_sagas_go_blind(struct txn_db *db)
{
    uint64_t now = txn_db_hlc(db);
    uint64_t blind = atomic_load(&db->sagas->blind);
    while (now > blind && !atomic_compare_exchange_weak(&db->sagas->blind, &blind, now)) {
    }
}

uint32_t
txn_sagas_joined(struct txn_db *db)
{
    uint32_t count = 0;
    latch_acquire(&db->sagas->latch);
    LIST_FOREACH (node, &db->sagas->open) {
        count += LIST_ENTRY(node, struct open_saga, node)->elsewhere;
    }
    latch_release(&db->sagas->latch);
    return count;
}

/* G5. Under the latch. */
static void
note_over(struct sagas *sagas, const struct txn_open_sagas *open)
{
    sagas->rounds++;
    for (size_t i = 0; i < open->count; i++) {
        struct open_saga *saga = *find(sagas, open->numbers[i]);
        if (saga != NULL) {
            saga->named = sagas->rounds;
        }
    }
    LIST_FOREACH (node, &sagas->open) {
        struct open_saga *saga = LIST_ENTRY(node, struct open_saga, node);
        if (saga->elsewhere && saga->named != sagas->rounds && saga->over == 0 &&
            saga->since <= open->stamp) {
            saga->over = open->stamp;
        }
    }
}

void
txn_sagas_close(struct txn_db *db, const struct txn_open_sagas *open)
{
    struct sagas *sagas = db->sagas;
    latch_acquire(&sagas->latch);
    note_over(sagas, open);
    struct list_node *node = sagas->open.next;
    while (node != &sagas->open) {
        struct open_saga *saga = LIST_ENTRY(node, struct open_saga, node);
        node = node->next;
        if (saga->elsewhere && saga->over != 0 && saga->over + GRACE <= open->stamp) {
            sagas->dropped = saga->over > sagas->dropped ? saga->over : sagas->dropped;
            drop(db, find(sagas, saga->number));
        }
    }
    latch_release(&sagas->latch);
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
    if (oldest == 0) {
        return true; /* no saga is open */
    }
    return (oldest & SLOT_TOO_OLD) == 0 && snapshot__lower(txn, oldest) &&
           (atomic_load(&held->era) & SLOT_TOO_OLD) == 0;
}

static struct hidden *
new_hidden(struct txn *txn, uint32_t command, uint32_t count)
{
    struct hidden *hidden = mem_alloc(sizeof *hidden + count * sizeof hidden->ids[0]);
    hidden->next = txn->hidden;
    hidden->lsn = hidden->era = hidden->stamp = 0;
    hidden->command = command;
    hidden->count = count;
    return hidden;
}

/* Is it passed over by one who sees what is up to `lsn`, and says which of those elsewhere are
 * open?
 */
static bool
is_hidden(const struct sagas *sagas, const struct open_saga *saga, uint64_t lsn)
{
    return saga->count > 0 &&
           (saga->elsewhere ? saga->named == sagas->rounds : saga->ended == 0 || saga->ended > lsn);
}

/* The transactions to pass over. Under the latch. */
static struct hidden *
collect(struct txn *txn, uint32_t command, uint64_t lsn)
{
    const struct sagas *sagas = txn->db->sagas;
    uint32_t count = 0;
    LIST_FOREACH (node, &sagas->open) {
        const struct open_saga *saga = LIST_ENTRY(node, struct open_saga, node);
        count += is_hidden(sagas, saga, lsn) ? saga->count : 0;
    }
    struct hidden *hidden = new_hidden(txn, command, count);
    hidden->count = 0;
    LIST_FOREACH (node, &sagas->open) {
        const struct open_saga *saga = LIST_ENTRY(node, struct open_saga, node);
        if (is_hidden(sagas, saga, lsn)) {
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

static const struct hidden *
hidden_of(const struct txn *txn, uint32_t command)
{
    const struct hidden *hidden = txn->hidden;
    while (hidden != NULL && hidden->command != command) {
        hidden = hidden->next;
    }
    return hidden;
}

static void
hide_the_same(struct txn *txn, uint32_t command)
{
    const struct hidden *latest = txn->hidden;
    struct hidden *hidden = new_hidden(txn, command, latest->count);
    memcpy(hidden->ids, latest->ids, hidden->count * sizeof hidden->ids[0]);
    hidden->lsn = latest->lsn;
    hidden->era = latest->era;
    hidden->stamp = latest->stamp;
    txn->hidden = hidden;
}

/* A statement within another, which was told the same: however long ago that is. */
static bool
hides_as_of(const struct txn *txn, uint64_t stamp)
{
    const struct hidden *latest = txn->hidden;
    return latest != NULL && stamp != 0 && latest->stamp == stamp &&
           atomic_load(&txn->slot->era) <= latest->era;
}

/* What is known without looking: *done. */
static enum err
hide_at_once(
    struct txn *txn, const struct txn_snapshot *snapshot, bool reads, bool *done, struct diag *diag)
{
    bool fixed = txn->isolation == TXN_REPEATABLE_READ;
    *done = true;
    if (txn->isolation == TXN_SERIALIZABLE) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "tusk.saga_reads = settled is not supported at SERIALIZABLE");
    }
    if (hidden_of(txn, snapshot->command) != NULL) { /* a function's, of this statement */
        return ERR_OK;
    }
    if (fixed && txn->hidden != NULL) { /* the same for all statements */
        if (reads) {
            hide_the_same(txn, snapshot->command);
        }
        return ERR_OK;
    }
    if (fixed && snapshot->command > 1 && !txn->at_stamp) {
        return reads ? diag_set(diag, ERR_ACTIVE_TRANSACTION,
                           "tusk.saga_reads must be set before the transaction's first query")
                     : ERR_OK;
    }
    *done = false;
    return ERR_OK;
}

/* A writer's is for the statements behind it, which read by his snapshot. */
static void
install(struct txn *txn, struct txn_snapshot *snapshot, uint64_t lsn, bool reads)
{
    txn->snapshot_lsn = lsn;
    snapshot->lsn.v = lsn;
    txn->hidden = collect(txn, reads ? snapshot->command : 0, lsn);
    txn->hidden->lsn = lsn;
    txn->hidden->era = atomic_load(&txn->slot->era);
}

enum err
txn_hide_sagas(struct txn *txn, struct txn_snapshot *snapshot, bool reads, struct diag *diag)
{
    bool done = false;
    if (txn->at_stamp) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "tusk.saga_reads = settled is not supported for earlier moments");
    }
    TRY(hide_at_once(txn, snapshot, reads, &done, diag));
    if (done) {
        return ERR_OK;
    }
    struct sagas *sagas = txn->db->sagas;
    latch_acquire(&sagas->latch);
    bool lost = sagas->lost > 0;
    bool known = !lost && hold_back(txn);
    if (known) {
        /* Now, for what ended since the snapshot was taken is no more in the list. */
        sagas->rounds++;
        install(txn, snapshot, atomic_load(&txn->db->visible), reads);
    }
    latch_release(&sagas->latch);
    if (!known) {
        return not_settled(lost, diag);
    }
    qsort(txn->hidden->ids, txn->hidden->count, sizeof txn->hidden->ids[0], compare_ids);
    return ERR_OK;
}

enum outcome {
    KNOWN,
    GIVEN_UP, /* what some have replaced is gone */
    TOO_LATE, /* as of a moment at which some were open that have been dropped */
};

/* G4, G5. Under the latch. */
static enum outcome
look_at_open(struct txn *txn, const struct txn_open_sagas *open, uint64_t lsn)
{
    struct sagas *sagas = txn->db->sagas;
    note_over(sagas, open);
    if (open->stamp < sagas->dropped || lsn < sagas->ended_lsn) {
        return TOO_LATE;
    }
    if ((atomic_load(&txn->db->slots[SLOT_SAGAS].era) & SLOT_TOO_OLD) != 0) {
        lose_all(sagas, NULL);
    }
    bool any = false;
    LIST_FOREACH (node, &sagas->open) {
        const struct open_saga *saga = LIST_ENTRY(node, struct open_saga, node);
        bool unknown = saga->lost && (!saga->elsewhere || saga->named == sagas->rounds);
        if (unknown) {
            return GIVEN_UP;
        }
        any = any || is_hidden(sagas, saga, lsn);
    }
    return !any || hold_back(txn) ? KNOWN : GIVEN_UP;
}

enum err
txn_hide_open_sagas(struct task *task, struct txn *txn, struct txn_snapshot *snapshot,
    const struct txn_open_sagas *open, bool reads, struct diag *diag)
{
    bool done = false;
    TRY(hide_at_once(txn, snapshot, reads, &done, diag));
    if (done) {
        return ERR_OK;
    }
    if (reads && hides_as_of(txn, open->stamp)) {
        hide_the_same(txn, snapshot->command);
        snapshot->lsn.v = txn->snapshot_lsn = txn->hidden->lsn;
        return ERR_OK;
    }
    if (open->blind < txn_sagas_blind(txn->db)) { /* G6: who asked did not know this */
        return diag_set(diag, ERR_BUCKET_MOVING,
            "rows have come to this node since it was asked which sagas are open");
    }
    uint64_t lsn = txn->snapshot_lsn;
    enum err err = txn->at_stamp ? ERR_OK : hlc__look_back(task, txn, open->stamp, &lsn, diag);
    if (err == ERR_SNAPSHOT_TOO_OLD) { /* as of another moment it can be answered */
        return diag_set(diag, ERR_BUCKET_MOVING, "the moment to be read is too long ago");
    }
    TRY(err);
    struct sagas *sagas = txn->db->sagas;
    latch_acquire(&sagas->latch);
    enum outcome outcome = look_at_open(txn, open, lsn);
    if (outcome == KNOWN) {
        install(txn, snapshot, lsn, reads);
        txn->hidden->stamp = open->stamp;
    }
    latch_release(&sagas->latch);
    if (outcome != KNOWN) {
        return outcome == GIVEN_UP
                   ? not_settled(false, diag)
                   : diag_set(diag, ERR_BUCKET_MOVING, "the moment to be read is too long ago");
    }
    qsort(txn->hidden->ids, txn->hidden->count, sizeof txn->hidden->ids[0], compare_ids);
    return ERR_OK;
}

bool
txn_hides_sagas(const struct txn *txn)
{
    return txn->hidden != NULL;
}

bool
txn_hides(const struct txn *txn, uint64_t writer)
{
    const struct hidden *hidden = txn->hidden;
    return hidden != NULL && hidden->count > 0 &&
           bsearch(&writer, hidden->ids, hidden->count, sizeof writer, compare_ids) != NULL;
}

bool
sagas__hides(const struct txn *txn, uint32_t command, uint64_t writer)
{
    const struct hidden *hidden = hidden_of(txn, command);
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
