/*
 * txn/hlc.c - the hybrid logical clock, and reading as of one of its stamps.
 *
 * A commit's stamp is at least the wall clock and above all before it, and is fixed with its LSN
 * under the commit latch; so stamps and LSNs have one order, and "all with a stamp up to T" is
 * "all up to some LSN". Nodes of a cluster that raise their clocks to T and then read as of T read
 * a consistent cut: what a commit up to T has seen elsewhere was stamped lower.
 *
 * Invariants
 *   H1. When a read as of T has begun, no commit gets a stamp up to T any more: the clock was
 *       raised to T under the latch that gives stamps.
 *   H2. Stamps never go back, over a restart either. Commits carry theirs; a clock that was raised
 *       past this machine's own is written into the log before it is relied on.
 *   H3. For `window` no version is purged that a read as of a stamp in it needs: SLOT_HISTORY is
 *       announced for the era at its beginning. The slot is the first that the purger looks at, so
 *       a reader that announces an era, and then finds that the history still reaches as far, is
 *       seen by every look over the slots that the history did not hold back.
 *
 * Which LSN and era belong to which stamp is kept in a ring: each commit within the window.
 */
#include "txn/txn_internal.h"

enum {
    RING_SIZE = 1 << 16, /* a power of two; more commits within the window shorten it */
    STEPS = 8,           /* of the window, in which it moves */
    STAMP_SHIFT = 12,
    AHEAD_MAX_US = 60 * 1000 * 1000, /* of a stamp before our wall clock: beyond it is a mistake */
    RESERVE_US = 1000 * 1000,
};

struct hlc_entry {
    uint64_t stamp, lsn, era;
};

/* Under the commit latch. */
struct hlc_ring {
    uint64_t first, end; /* count up for ever */
    struct hlc_entry entries[RING_SIZE];
};

static struct hlc_entry *
entry_at(struct hlc_ring *ring, uint64_t number)
{
    return &ring->entries[number % RING_SIZE];
}

static void
push(struct txn_db *db, uint64_t stamp, uint64_t lsn)
{
    struct hlc_ring *ring = db->hlc_ring;
    if (ring->end - ring->first == RING_SIZE) {
        ring->first++;
    }
    *entry_at(ring, ring->end++) =
        (struct hlc_entry){.stamp = stamp, .lsn = lsn, .era = atomic_load(&db->era)};
}

void
hlc__open(struct txn_db *db)
{
    db->hlc_reserved = db->hlc;
    if (db->hlc_window_us > 0) {
        db->hlc_ring = mem_zalloc(sizeof *db->hlc_ring);
        latch_acquire(&db->commit_latch);
        push(db, db->hlc, atomic_load(&db->visible));
        atomic_store(&db->slots[SLOT_HISTORY].era, atomic_load(&db->era));
        latch_release(&db->commit_latch);
    }
}

void
hlc__close(struct txn_db *db)
{
    mem_free(db->hlc_ring);
}

/* Under the commit latch, after the commit's era was given. */
void
hlc__committed(struct txn_db *db, uint64_t stamp, uint64_t lsn)
{
    if (db->hlc_ring != NULL) {
        push(db, stamp, lsn);
    }
}

/* The newest of those up to the stamp; false: it is not known any more. Under the commit latch. */
static bool
find(struct hlc_ring *ring, uint64_t stamp, struct hlc_entry *found)
{
    uint64_t low = ring->first, high = ring->end;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (entry_at(ring, middle)->stamp <= stamp) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == ring->first) {
        return false;
    }
    *found = *entry_at(ring, low - 1);
    return true;
}

/* ---- the window moves ------------------------------------------------------------------------ */

static void
advance(struct txn_db *db)
{
    uint64_t oldest = (uint64_t)(world_wall_us(db->world) - db->hlc_window_us) << STAMP_SHIFT;
    latch_acquire(&db->commit_latch);
    struct hlc_entry entry;
    bool known = find(db->hlc_ring, oldest, &entry);
    if (!known) { /* the ring was too small: what it has left */
        entry = *entry_at(db->hlc_ring, db->hlc_ring->first);
    }
    while (db->hlc_ring->first + 1 < db->hlc_ring->end &&
           entry_at(db->hlc_ring, db->hlc_ring->first + 1)->lsn <= entry.lsn) {
        db->hlc_ring->first++;
    }
    atomic_store(&db->slots[SLOT_HISTORY].era, entry.era);
    latch_release(&db->commit_latch);
}

void
hlc__serve(struct task *task, struct txn_db *db)
{
    while (!atomic_load(&db->stopping)) {
        task_interrupt_clear(task, TASK_TERMINATE); /* the end is told by `stopping` */
        int64_t until = world_clock_us(db->world) + db->hlc_window_us / STEPS;
        while (!atomic_load(&db->stopping) && world_clock_us(db->world) < until) {
            task_park(task, until);
        }
        advance(db);
    }
}

/* ---- raising --------------------------------------------------------------------------------- */

/* H2. A note in the log that the clock may be as far as that. */
static enum err
reserve(struct task *task, struct txn_db *db, uint64_t stamp, struct diag *diag)
{
    uint8_t note[8];
    store_le64(note, stamp + ((uint64_t)RESERVE_US << STAMP_SHIFT));
    struct slice piece = slice_of(note, sizeof note);
    lsn_t start, end;
    bool done = false;
    while (!done) {
        TRY(wal_make_room(task, db->wal, sizeof note, diag));
        latch_acquire(&db->commit_latch);
        done = wal_append(db->wal, RECORD_CLOCK, RECORD_VERSION, &piece, 1, &start, &end);
        latch_release(&db->commit_latch);
    }
    wal_wait_durable(task, db->wal, end);
    latch_acquire(&db->commit_latch);
    uint64_t reserved = load_le64(note);
    db->hlc_reserved = reserved > db->hlc_reserved ? reserved : db->hlc_reserved;
    latch_release(&db->commit_latch);
    return ERR_OK;
}

enum err
txn_db_raise_hlc(struct task *task, struct txn_db *db, uint64_t stamp, struct diag *diag)
{
    int64_t now_us = world_wall_us(db->world);
    int64_t stamp_us = (int64_t)(stamp >> STAMP_SHIFT);
    if (stamp_us > now_us + AHEAD_MAX_US) {
        (void)diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
            "a clock is %lld seconds ahead of this node's",
            (long long)(stamp_us - now_us) / 1000000);
        diag_hint(diag, "Set the clocks of all nodes right; they may differ by a minute at most.");
        return ERR_INVALID_PARAMETER_VALUE;
    }
    latch_acquire(&db->commit_latch);
    bool reserved = stamp <= db->hlc || stamp < db->hlc_reserved || stamp_us < now_us;
    latch_release(&db->commit_latch);
    if (!reserved) {
        TRY(reserve(task, db, stamp, diag));
    }
    latch_acquire(&db->commit_latch);
    db->hlc = stamp > db->hlc ? stamp : db->hlc;
    latch_release(&db->commit_latch);
    return ERR_OK;
}

uint64_t
txn_db_hlc(struct txn_db *db)
{
    uint64_t stamp = (uint64_t)world_wall_us(db->world) << STAMP_SHIFT;
    latch_acquire(&db->commit_latch);
    uint64_t hlc = db->hlc > stamp ? db->hlc : stamp;
    latch_release(&db->commit_latch);
    return hlc;
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum err
out_of_reach(struct diag *diag)
{
    (void)diag_set(diag, ERR_SNAPSHOT_TOO_OLD, "snapshot too old");
    diag_detail(diag, "The moment that was to be read is longer ago than history_window.");
    return ERR_SNAPSHOT_TOO_OLD;
}

static enum err
no_history(struct diag *diag)
{
    (void)diag_set(diag, ERR_OBJECT_STATE, "this server keeps no history to be read");
    diag_hint(diag, "It does as a node of a cluster: settings cluster_node, history_window.");
    return ERR_OBJECT_STATE;
}

/* H1. The newest commit up to the stamp. */
static enum err
find_moment(struct task *task, struct txn_db *db, uint64_t stamp, struct hlc_entry *entry,
    struct diag *diag)
{
    TRY(txn_db_raise_hlc(task, db, stamp, diag));
    latch_acquire(&db->commit_latch);
    bool found = find(db->hlc_ring, stamp, entry);
    latch_release(&db->commit_latch);
    return found ? ERR_OK : out_of_reach(diag);
}

enum err
hlc__look_back(struct task *task, struct txn *txn, uint64_t stamp, uint64_t *lsn, struct diag *diag)
{
    struct txn_db *db = txn->db;
    struct hlc_entry entry;
    if (db->hlc_ring == NULL) {
        return no_history(diag);
    }
    TRY(find_moment(task, db, stamp, &entry, diag));
    *lsn = entry.lsn;
    return snapshot__lower(txn, entry.era) && /* H3: in this order */
                   atomic_load(&db->slots[SLOT_HISTORY].era) <= entry.era
               ? ERR_OK
               : out_of_reach(diag);
}

enum err
txn_read_at(struct task *task, struct txn *txn, uint64_t stamp, struct diag *diag)
{
    struct txn_db *db = txn->db;
    ASSERT(txn->state == TXN_ACTIVE && !txn->has_snapshot && txn->log == NULL);
    if (db->hlc_ring == NULL) {
        return no_history(diag);
    }
    if (txn->isolation == TXN_SERIALIZABLE) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
            "a serializable transaction cannot read as of a stamp");
    }
    struct hlc_entry entry;
    TRY(find_moment(task, db, stamp, &entry, diag));
    atomic_store(&txn->slot->era, entry.era); /* H3: in this order */
    if (atomic_load(&db->slots[SLOT_HISTORY].era) > entry.era) {
        snapshot__drop(txn->slot);
        return out_of_reach(diag);
    }
    txn->isolation = TXN_REPEATABLE_READ;
    txn->read_only = true;
    txn->at_stamp = true;
    txn->snapshot_lsn = entry.lsn;
    txn->has_snapshot = true;
    return ERR_OK;
}

uint64_t
txn_commit_hlc(const struct txn *txn)
{
    return txn->commit_hlc;
}
