/*
 * txn/txn_internal.h - what a transaction is made of.
 *
 * A row's head names the undo record of its version by a handle: the number of a block of undo and
 * a place in it, wherever the block is (spill.c). Invariants T1.. are in README.md.
 *
 * Latch order: leaf latch of btree/ - lock partition (all of them in ascending order for the
 * deadlock detector) - registry latch. Under the commit latch only the graph latch of
 * ssi.h is taken.
 * Nothing sleeps under any.
 */
#ifndef TXN_TXN_INTERNAL_H
#define TXN_TXN_INTERNAL_H

#include <stdatomic.h>

#include "base/assert.h"
#include "base/latch.h"
#include "base/list.h"
#include "base/mem.h"
#include "btree/btree.h"
#include "txn/ssi.h"
#include "txn/txn.h"
#include "wal/wal.h"

struct pacer;

enum {
    TABLE_CHUNK_BITS = 12,
    TABLE_CHUNK_IDS = 1 << TABLE_CHUNK_BITS,
    TABLE_CHUNKS = 1 << 16, /* a window of 268 million ids between the oldest and the newest */
    SLOTS_MAX = TXN_SESSIONS_MAX,
    TALLIES_MAX = 4,     /* txn_count_at_commit */
    SLOT_HISTORY = 0,    /* hlc.c; the first that is looked at (H3) */
    SLOT_CHECKPOINT = 1, /* the checkpointer's own */
    SLOT_SAGAS = 2,      /* sagas.c; can be given up; before those of readers (G2) */
    SLOT_FIRST_FREE = 3,

    UNDO_BLOCK_FIRST = 512,
    UNDO_BLOCK_MAX = 16 * 1024,
    UNDO_OFFSET_BITS = 11, /* of a handle: offset in the block / 8 */
    UNDO_CHUNK_BITS = 12,
    UNDO_CHUNK_BLOCKS = 1 << UNDO_CHUNK_BITS,
    UNDO_CHUNKS = 1 << 16,
    UNDO_SEGMENT_SIZE = 1024 * 1024, /* of the file: written at once */
    SPARE_BLOCKS_MAX = 64,
    PURGE_THRESHOLD = 16, /* retired transactions before a commit sweeps, at least */
    PURGE_SLICE = 48,     /* how many it takes at most */
    PURGE_INLINE_WORK = 64,

    REDO_SPILL_SIZE = 16 * 1024 * 1024, /* past it redo goes to the log as parts */
    REDO_PART_SIZE = 256 * 1024,

    FAST_TABLE_LOCKS = 16,
    STRONG_COUNTERS = 1024,
    LOCK_PARTITIONS = 16,
    LOCK_BUCKETS = 1024, /* of a partition */

    SYSTEM_TREE = TREE_ID_FIRST_USER - 1, /* tree ids that exist; key: the id, 8 bytes */
};

/* ---- the transaction table ---------------------------------------------------------------------
 */

/* A transaction's state, one number. An LSN is at least WAL_FIRST_LSN. */
enum {
    STATE_ACTIVE = 0,
    STATE_ABORTED = 1,
    STATE_WAITED_FOR = 2, /* active, and somebody sleeps until it ends (T6) */
    STATE_OLD = 3,        /* committed before every snapshot and durable */
};

struct table_chunk {
    _Atomic uint64_t state[TABLE_CHUNK_IDS];
    uint64_t number;
    uint32_t purged;   /* purger's */
    uint64_t dead_era; /* when it left the table */
    struct table_chunk *next_dead;
};

/* ---- undo --------------------------------------------------------------------------------------
 */

enum undo_kind {
    UNDO_INSERT,      /* there was no row */
    UNDO_INSERT_OVER, /* there was a tombstone */
    UNDO_UPDATE,
    UNDO_DELETE,
};

/* One change of one row: what stood there before. Immutable once the row names it, but for
 * txn_prev, which only the owner and later the purger use. */
struct undo {
    uint64_t txn_prev; /* handle; 0: none */
    uint64_t prev_writer, prev_undo;
    uint64_t tree;
    uint32_t command; /* of the change */
    uint32_t value_size;
    uint16_t key_size;
    uint8_t prev_flags;
    uint8_t kind;
    uint32_t crc;    /* in the file: of all the rest */
    uint8_t bytes[]; /* key, old value (raw) */
};
_Static_assert(offsetof(struct undo, bytes) == 48, "no padding: all of it has the checksum");

static inline struct slice
undo_key(const struct undo *undo)
{
    return slice_of(undo->bytes, undo->key_size);
}

static inline struct slice
undo_value(const struct undo *undo)
{
    return slice_of(undo->bytes + undo->key_size, undo->value_size);
}

struct undo_block {
    struct undo_block *older;
    uint32_t number; /* in the table of places */
    uint32_t size, used;
    uint32_t last_command; /* of the newest record in it */
    _Alignas(16) uint8_t bytes[];
};

/* Where the block of this number is (T12). */
struct undo_place {
    _Atomic(struct undo_block *) memory; /* NULL: in the file, or nowhere */
    uint64_t at;                         /* in the file: offset */
    uint64_t stamp;                      /* no other block that went to the file has the same */
    uint32_t used;
    uint32_t next; /* in the file: the log's next one there. Unused: the next unused. 0: none */
    uint32_t last_command;
};

/* The file that undo goes to, cut into segments. Under its latch. */
struct undo_file {
    struct latch latch;
    _Atomic(struct world_file *) file; /* NULL: not needed so far */
    uint32_t *live; /* blocks in each segment; UNDO_SEGMENT_TAKEN: is being written */
    uint32_t count, capacity;
    bool shrinking;
    uint64_t stamp;
};
enum {
    UNDO_SEGMENT_TAKEN = INT32_MAX
};

/* What was read from the file: one record, or if a second one of the same block is wanted, all of
 * the block. */
struct undo_reader {
    uint64_t last;  /* stamp of the block of the last record */
    uint64_t whole; /* that block is in `bytes` */
    size_t capacity, record_capacity;
    uint8_t *bytes, *record;
};

/* What a transaction leaves behind: its undo, until no snapshot needs it. Lives in the first of its
 * own blocks, until that is spilled. */
struct undo_log {
    struct undo_log *next;
    uint64_t id;
    uint64_t era;             /* T2 */
    uint64_t lsn;             /* of its commit; 0: aborted */
    uint64_t last;            /* changes that stand, newest first; a handle */
    uint64_t undone;          /* inserts that were rolled back and leave work (purge.c) */
    struct undo_block *block; /* newest in memory */
    uint32_t spilled;         /* number of the newest in the file; 0: none */
    uint32_t work;            /* records that the purge must look at */
    uint64_t bytes;
    bool trees; /* created or dropped some: the keeper's */
    bool moved; /* all its blocks are in the file, and it is a piece of memory of its own */
};

/* ---- locks -------------------------------------------------------------------------------------
 */

enum lock_kind {
    LOCK_ROW,      /* object: tree, and a key */
    LOCK_TABLE,    /* object: the caller's number */
    LOCK_TXN,      /* object: a transaction id; only waited for */
    LOCK_ADVISORY, /* object: the user's number; key: ADVISORY_.., be32 scope */
};

enum {
    ADVISORY_ONE = 1, /* a bigint; pg_locks.objsubid */
    ADVISORY_PAIR = 2,
    ADVISORY_KEY_SIZE = 5,
};

/* Accessed under its partition's latch. */
struct lock {
    struct lock *next; /* in the bucket */
    uint64_t hash;
    uint64_t object;
    enum lock_kind kind;
    uint32_t key_size;
    struct txn *owner;      /* LOCK_TXN: who that is */
    struct list_node holds; /* struct hold */
    struct list_node queue; /* struct lock_waiter, first come first served */
    uint64_t visit;         /* detector: last visited, up to which ticket, for which modes */
    uint64_t visit_ticket;
    unsigned visit_modes;
    uint64_t next_ticket;
    uint8_t key[];
};

enum hold_kind {
    HOLD_TXN,         /* on the transaction's stack */
    HOLD_TRANSFERRED, /* from a fast slot; its owner does not know */
    HOLD_SESSION,     /* an advisory lock that outlives transactions */
};

/* One of a transaction's holds on a lock; those of one transaction stand together in the list,
 * oldest first. A new one is made for what is taken behind a later savepoint, so that rolling back
 * to that takes away a mode that was added. */
struct hold {
    struct list_node node; /* in lock->holds */
    struct lock *lock;
    struct txn *txn;
    struct hold *older;        /* HOLD_TXN: the transaction's stack */
    struct list_node sessions; /* HOLD_SESSION: in txn->session_holds; the owner's */
    uint64_t savepoint;        /* number of the transaction's last savepoint when it was made */
    uint32_t counts[2];        /* HOLD_SESSION: how often it was taken, exclusive and shared */
    uint16_t modes;            /* bits */
    uint16_t firm;   /* rows: those of them that are locks; the rest is a place in line (T9) */
    uint16_t strong; /* how often it counts in db->strong */
    uint8_t kind;    /* enum hold_kind */
};

struct lock_waiter {
    struct list_node node; /* in lock->queue */
    struct lock *lock;
    struct txn *txn;
    struct task *task;
    struct hold *hold; /* made when granted; not for LOCK_TXN */
    uint64_t ticket;
    unsigned mode;
    bool own;     /* the row's writer asks */
    bool session; /* it is to be a HOLD_SESSION */
    bool granted;
    /* LOCK_TXN: whose row it wants, for the words of a deadlock; a zero tree if for none. */
    tree_id_t tree;
    struct slice key;
};

struct lock_partition {
    _Alignas(64) struct latch latch;
    _Atomic(struct lock *) buckets[LOCK_BUCKETS];
};

/* A table lock this transaction has; the i-th may stand in fast[i]. */
struct table_lock {
    uint64_t object;
    uint8_t mode;
    bool fast;
};

/* ---- a transaction ----------------------------------------------------------------------------
 */

/* Where snapshots are announced (T2). One line of cache each. */
struct slot {
    _Alignas(64) _Atomic uint64_t era; /* 0: no snapshot; T13: two bits may be set */
    struct txn *txn;                   /* under registry latch */
};

/* T13. What the keeper adds to the era of a snapshot that is given up. */
#define SLOT_TOO_OLD ((uint64_t)1 << 63) /* its owner reads no more */
#define SLOT_IGNORED ((uint64_t)1 << 62) /* and holds nothing back */
#define SLOT_ERA     (SLOT_IGNORED - 1)

struct savepoint {
    uint64_t undo_last;
    uint64_t redo_size; /* counted over all parts */
    uint64_t number;    /* of this transaction's savepoints */
    struct hold *hold;
    uint32_t table_lock_count;
};

struct txn {
    struct txn_db *db;
    struct slot *slot;
    uint32_t owner_pid;
    _Atomic uint32_t scope; /* written by the owner only */
    enum txn_state state;
    enum txn_isolation isolation;
    bool read_only;
    bool synchronous;
    bool changes_schema;
    bool changes_replicated;
    enum txn_replicated replicated;
    bool has_snapshot;
    uint32_t command;
    uint32_t dead_command; /* snapshots up to it are too old (T13) */
    int64_t lock_timeout_us;
    _Atomic uint64_t id;
    uint64_t snapshot_lsn; /* of REPEATABLE READ, or the latest */
    uint64_t observed;     /* newest commit met */

    struct sxact *sx; /* SERIALIZABLE, from its first snapshot on; NULL: reads are not tracked */
    struct sxact *spare_sx; /* for the next one; or NULL */
    struct undo_log *log;   /* NULL until the first write */
    struct buffer redo;
    uint64_t redo_base;     /* bytes of redo already in the log as parts */
    uint64_t first_part;    /* LSN; 0: none */
    struct list_node parts; /* in db->with_parts; under commit latch */

    uint8_t saga_id[16]; /* for the commit record, and the next */
    uint32_t saga_step;
    bool has_saga, saga_ends;
    bool at_stamp;                /* its snapshot is of an earlier moment (hlc.c) */
    struct hidden *hidden;        /* sagas.c; newest first */
    struct slice idempotency_key; /* for the commit record; size 0: none */

    struct savepoint *savepoints;
    uint32_t savepoint_count, savepoint_capacity;
    uint64_t savepoints_made; /* ever */

    struct hold *holds;             /* newest first */
    struct list_node session_holds; /* struct hold */
    struct table_lock *table_locks;
    uint32_t table_lock_count, table_lock_capacity;
    _Atomic uint64_t fast[FAST_TABLE_LOCKS]; /* object << 4 | mode + 1; FAST_TRANSFERRED */

    struct lock_waiter *waiting; /* under all partition latches, or the waiter's */
    uint64_t visit;              /* detector */
    struct txn *visit_from, *visit_next;

    struct undo_block *spare; /* of UNDO_BLOCK_FIRST */
    uint32_t spare_count;
    struct undo_reader reader;
    struct arena scratch;

    uint64_t commit_hlc; /* of its last commit that wrote; 0: none */

    struct {
        _Atomic uint64_t *counter;
        uint64_t by;
    } tallies[TALLIES_MAX]; /* txn_count_at_commit */
    uint32_t tally_count;

    _Atomic uint64_t commits, rollbacks; /* written by the owner only */
    _Atomic uint8_t sleeps;              /* enum txn_session_wait, but for locks; to be looked at */
};

struct hlc_ring;

struct txn_db {
    struct world *world;
    struct btree *store;
    struct wal *wal;
    struct world_file *lock_file;
    bool is_new;
    bool archiving;
    int64_t hlc_window_us; /* 0: no history */

    /* Read by everybody, written seldom. */
    _Atomic uint64_t floor; /* ids below: STATE_OLD */
    _Atomic(struct table_chunk *) *table;

    _Alignas(64) _Atomic uint64_t visible; /* LSN of the last commit */
    _Atomic uint64_t era;                  /* counts transactions' ends, from 1 */

    _Alignas(64) struct latch commit_latch; /* the next ones */
    uint64_t hlc;
    uint64_t hlc_reserved;     /* the log says that the clock may be so far */
    struct hlc_ring *hlc_ring; /* NULL: no history is kept */
    struct undo_log *retired_first, *retired_last;
    struct undo_log *spill_last;    /* those up to it have been spilled; NULL: none in the queue */
    uint64_t retired_bytes;         /* of undo */
    _Atomic uint64_t purging_bytes; /* of what is no longer retired and not yet free */
    uint64_t retired_work;          /* records that the purge must look at */
    struct list_node with_parts;
    _Atomic uint64_t retired_count;
    _Atomic uint64_t purge_at; /* that many, and a commit sweeps */
    _Atomic uint64_t schema_lsn;
    _Atomic uint64_t commits;
    uint64_t epoch;

    _Alignas(64) _Atomic uint64_t next_id;
    _Atomic uint64_t next_tree;

    struct slot *slots;
    struct latch registry_latch; /* the next three */
    _Atomic uint32_t slot_count; /* grows under the latch */
    uint32_t *free_slots;
    uint32_t free_slot_count;
    uint64_t old_commits, old_rollbacks; /* of transactions deleted since */

    /* purge */
    _Atomic bool purging; /* who set it owns the next four */
    uint64_t first_chunk; /* number of the oldest chunk in the table */
    struct table_chunk *dead_chunks, **dead_chunks_end;
    struct latch heavy_latch; /* the next two: what the keeper purges, in order */
    struct undo_log *heavy_first, *heavy_last;
    _Atomic uint64_t heavy_work;     /* records in those, and in the one that is being purged */
    struct undo_reader purge_reader; /* the keeper's */
    uint64_t undo_memory, undo_size_max, locks_max; /* never change */

    /* undo */
    _Alignas(64) _Atomic uint64_t undo_bytes; /* in memory */
    _Atomic uint64_t undo_spilled;            /* bytes of it in the file */
    _Atomic(struct undo_place *) *places;     /* UNDO_CHUNKS chunks */
    struct latch places_latch;                /* the next two */
    uint32_t free_place, next_place;
    struct undo_file undo_file;
    char *directory;
    struct pacer *pacers; /* one a worker */
    _Atomic uint64_t grace_wanted;
    _Atomic bool pacers_stopping, pacers_may_end;
    _Atomic int pacers_running;
    _Atomic bool keeper_hurry;            /* undo is over a limit, and somebody waits */
    _Atomic int64_t keeper_hurry_us;      /* when that was set */
    _Atomic bool undo_stuck;              /* and no snapshot is in the way */
    _Atomic int64_t undo_spill_failed_us; /* when the file failed last; 0: never */
    _Atomic uint64_t snapshots_given_up;
    int64_t give_up_told_us;           /* keeper's */
    _Atomic uint64_t undo_spill_count; /* blocks that went to the file */

    struct ssi *ssi;
    struct sagas *sagas;
    struct failures *failures;

    /* locks */
    struct lock_partition *partitions;
    _Atomic uint32_t strong[STRONG_COUNTERS]; /* strong table locks wanted or held */
    _Atomic uint64_t lock_count;
    _Alignas(64) _Atomic uint64_t row_lock_count; /* of them, on rows; every writer looks (T7) */
    _Alignas(64) _Atomic uint64_t deadlocks;
    uint64_t visit; /* detector, under all latches */

    txn_rebuild_tree *rebuild; /* the options' */
    void *rebuild_arg;

    /* background */
    _Atomic(struct task *) keeper;
    _Atomic(struct task *) checkpointer;
    _Atomic(struct task *) archiver;
    _Atomic(struct task *) historian;
    _Atomic bool keeper_idle;
    _Atomic bool stopping;
    struct task *starter;
    _Atomic bool may_end;
    _Atomic int tasks_spawned, tasks_running;
    _Atomic bool checkpoint_busy;
    _Atomic uint64_t checkpoint_lsn; /* snapshot of the last one */
    _Atomic uint64_t redo_start;     /* of it: where recovery would read the log from */
    _Atomic uint64_t checkpoints;
    _Atomic bool checkpoint_wanted;
    _Atomic uint64_t checkpoints_by_time, checkpoints_by_log, checkpoints_requested;
    _Atomic uint64_t checkpoints_failed, checkpoint_us_all, checkpoint_pages_all;
    _Atomic int64_t checkpoint_wall_us, checkpoint_us; /* start; duration of the last */
    uint64_t checkpoint_wal_size;
    int64_t checkpoint_interval_us;
    struct undo_reader checkpoint_reader; /* who runs one */
    uint64_t checkpoint_start_undo;       /* bytes of undo when it began */
    _Atomic bool checkpoint_paced;        /* the running one takes its time */
    int64_t checkpoint_start_us;          /* of that one; its task only */
    uint64_t checkpoint_start_lsn;
    bool checkpoint_automatic;
};

/* ---- table.c: states and snapshots -------------------------------------------------------------
 */

static inline _Atomic uint64_t *
table__entry(struct txn_db *db, uint64_t id)
{
    struct table_chunk *chunk = atomic_load_explicit(
        &db->table[(id >> TABLE_CHUNK_BITS) % TABLE_CHUNKS], memory_order_acquire);
    return &chunk->state[id % TABLE_CHUNK_IDS];
}

/* STATE_..., or the LSN of the commit. The caller has a snapshot announced (T4). */
static inline uint64_t
table__state(struct txn_db *db, uint64_t id)
{
    if (id < atomic_load_explicit(&db->floor, memory_order_acquire)) {
        return STATE_OLD;
    }
    return atomic_load_explicit(table__entry(db, id), memory_order_acquire);
}

static inline bool
state_is_active(uint64_t state)
{
    return state == STATE_ACTIVE || state == STATE_WAITED_FOR;
}

static inline bool
state_is_committed(uint64_t state)
{
    return state >= STATE_OLD;
}

void table__create(struct txn_db *db, uint64_t first_id);
void table__destroy(struct txn_db *db);
/* A new id, in the table as active. */
enum err table__new_id(struct txn_db *db, uint64_t *id, struct diag *diag);
/* Purger: this id will not be asked for by any snapshot. */
void table__purged(struct txn_db *db, uint64_t id);
/* Purger: free chunks that left the table before `horizon`. */
void table__free_dead(struct txn_db *db, uint64_t horizon);

/* Announce a snapshot in the slot, then take it: what it returns is what it sees (T2). */
uint64_t snapshot__take(struct txn_db *db, struct slot *slot);
void snapshot__drop(struct slot *slot);
/* Every snapshot sees all that ended in this era or before. */
uint64_t snapshot__horizon(struct txn_db *db);
void snapshot__ensure(struct txn *txn);
/* It announces this era if that is older than its own; false: it has been given up. Before it
 * relies on that, somebody else must be found to hold back as much. */
bool snapshot__lower(struct txn *txn, uint64_t era);

/* Does serializability concern this tree? Not the catalog's, which has locks. */
static inline bool
txn__tracks(const struct txn *txn, tree_id_t tree)
{
    return txn->sx != NULL && tree.v >= TREE_ID_FIRST_USER;
}

/* T13. May what this snapshot sees still be there? Holds until the task sleeps. */
static inline bool
snapshot__alive(const struct txn *txn, struct txn_snapshot snapshot)
{
    return (atomic_load_explicit(&txn->slot->era, memory_order_acquire) & SLOT_TOO_OLD) == 0 &&
           snapshot.command > txn->dead_command;
}

/* The same for what a transaction does at its newest snapshot. */
static inline bool
txn__alive(const struct txn *txn)
{
    return (atomic_load_explicit(&txn->slot->era, memory_order_acquire) & SLOT_TOO_OLD) == 0;
}

enum err snapshot__too_old(struct diag *diag); /* says so */
/* Keeper: the oldest snapshot that holds undo back is given up. False: there is none. */
bool snapshot__give_up_oldest(struct task *task, struct txn_db *db, uint64_t before_era);

/* ---- spill.c: where undo is --------------------------------------------------------------------
 */

static inline struct undo_place *
undo__place(const struct txn_db *db, uint64_t number)
{
    struct undo_place *chunk =
        atomic_load_explicit(&db->places[number >> UNDO_CHUNK_BITS], memory_order_acquire);
    return &chunk[number % UNDO_CHUNK_BLOCKS];
}

/* In a handle: before this change there was no row, and nothing more is to be read about it. */
#define UNDO_OF_INSERT ((uint64_t)1 << 62)

static inline uint64_t
undo_number(uint64_t handle)
{
    return (handle & ~UNDO_OF_INSERT) >> UNDO_OFFSET_BITS;
}

static inline uint64_t
undo_handle(const struct undo_block *block, const void *record)
{
    return (uint64_t)block->number << UNDO_OFFSET_BITS |
           (uint64_t)((const uint8_t *)record - block->bytes) / 8;
}

/* T12. The record, if it is in memory; until the task sleeps. Else NULL: undo__fetch. */
static inline struct undo *
undo_at(const struct txn_db *db, uint64_t handle)
{
    struct undo_block *block =
        atomic_load_explicit(&undo__place(db, undo_number(handle))->memory, memory_order_acquire);
    size_t offset = (size_t)(handle % (1 << UNDO_OFFSET_BITS)) * 8;
    return block == NULL ? NULL : (struct undo *)(void *)(block->bytes + offset);
}

/* The record wherever it is: in memory (until the task sleeps), or read into `reader` (until that
 * is used again). Sleeps only if it must. The caller's snapshot, or his ownership, keeps it. */
enum err undo__fetch(struct task *task, struct txn_db *db, struct undo_reader *reader,
    uint64_t handle, const struct undo **undo, struct diag *diag);
void undo_reader_destroy(struct undo_reader *reader);

void spill__create(struct txn_db *db);
void spill__destroy(struct task *task, struct txn_db *db);
enum err spill__start(struct task *task, struct txn_db *db, struct diag *diag);
struct undo_block *spill__block_new(struct txn_db *db, size_t size);
void spill__block_free(struct txn_db *db, struct undo_block *block);
/* Those of the log that are in the file. */
void spill__free_spilled(struct txn_db *db, struct undo_log *log);
/* When it returns, no task is any more where it was when this was called, but where it sleeps. */
void spill__grace(struct task *task, struct txn_db *db);
/* Keeper: into the file with what is over the budget, and old snapshots away. */
void spill__keep(struct task *task, struct txn_db *db);
void spill__hurry_keeper(struct txn_db *db); /* but not too often */
/* Somebody wants to write and undo is over a limit. */
enum err spill__make_room(struct task *task, struct txn *txn, struct diag *diag);

static inline bool
spill__needs_room(const struct txn_db *db)
{
    uint64_t memory = atomic_load_explicit(&db->undo_bytes, memory_order_relaxed);
    return memory > db->undo_memory ||
           memory + atomic_load_explicit(&db->undo_spilled, memory_order_relaxed) >
               db->undo_size_max;
}

enum sight {
    UNSEEN,
    SEEN,
    SIGHT_FETCH, /* the undo record must be asked, and it is in the file */
};

/* ---- sagas.c -----------------------------------------------------------------------------------
 */

struct sagas *sagas__new(void);
void sagas__delete(struct sagas *sagas);
void sagas__opened(struct txn_db *db); /* the clock is known */
/* The transaction has a saga id: under the commit latch before `visible` moves, and after it. */
void sagas__committing(struct txn *txn, uint64_t lsn);
void sagas__committed(struct txn *txn);
bool sagas__hides(const struct txn *txn, uint32_t command, uint64_t writer);
/* `all` false: but for what REPEATABLE READ still needs. */
void sagas__forget(struct txn *txn, bool all);

/* Does the transaction see what `writer` wrote as undo record `handle`? Notes what it met. */
static inline enum sight
snapshot__sees(struct txn *txn, struct txn_snapshot snapshot, uint64_t writer, uint64_t handle)
{
    if (writer < atomic_load_explicit(&txn->db->floor, memory_order_acquire)) {
        return SEEN;
    }
    if (writer == atomic_load_explicit(&txn->id, memory_order_relaxed)) {
        const struct undo *undo = undo_at(txn->db, handle);
        if (undo == NULL) { /* our own: its place does not change meanwhile */
            const struct undo_place *place = undo__place(txn->db, undo_number(handle));
            return place->last_command < snapshot.command ? SEEN : SIGHT_FETCH;
        }
        return undo->command < snapshot.command ? SEEN : UNSEEN;
    }
    uint64_t state = table__state(txn->db, writer);
    if (!state_is_committed(state) || state > snapshot.lsn.v) {
        return UNSEEN;
    }
    if (txn->hidden != NULL && sagas__hides(txn, snapshot.command, writer)) {
        return UNSEEN;
    }
    if (state > txn->observed) {
        txn->observed = state;
    }
    return SEEN;
}

/* ---- undo.c ------------------------------------------------------------------------------------
 */

void undo__begin(struct txn *txn, uint64_t id); /* makes txn->log */
/* A record of the row as it stands, linked into the transaction's chain. */
struct undo *undo__add(struct txn *txn, enum undo_kind kind, tree_id_t tree, struct slice key,
    const struct btree_row *current);
/* The log and all its memory; blocks go to `keeper` (may be NULL) or the heap. */
void undo__free(struct txn_db *db, struct undo_log *log, struct txn *keeper);
/* Restore every row changed since `until`, newest first. Does not fail: what cannot be read now is
 * tried again. */
void undo__roll_back(struct task *task, struct txn *txn, uint64_t until);

/* ---- redo.c ------------------------------------------------------------------------------------
 */

enum redo_op {
    REDO_PUT = 1,   /* key, whole value */
    REDO_DELTA = 2, /* key, lengths kept at both ends, the middle */
    REDO_DELETE = 3,
    REDO_BUILD = 4, /* a tree's definition (txn_tree_built) */
};

struct redo_change {
    enum redo_op op;
    tree_id_t tree;
    struct slice key;
    struct slice value; /* the whole value, or the middle */
    uint64_t prefix, suffix;
};

void redo__put(struct txn *txn, tree_id_t tree, struct slice key, struct slice value);
void redo__update(struct txn *txn, const struct undo *undo, struct slice value);
void redo__delete(struct txn *txn, tree_id_t tree, struct slice key);
void redo__build(struct txn *txn, tree_id_t tree, struct slice definition);
/* Takes one change off `bytes`; false if it is not whole yet. *bad: not a change. */
bool redo__next(struct slice *bytes, struct redo_change *change, bool *bad);
/* Much redo is packed for the log: its size (4 bytes), an LZ4 block. False: too little, or it would
 * not gain much. */
bool redo__pack(struct slice redo, struct buffer *packed);
enum err redo__unpack(struct slice packed, struct buffer *redo, struct diag *diag);
uint32_t redo__unpacked_size(struct slice packed);

/* ---- lock.c, deadlock.c ------------------------------------------------------------------------
 */

void lock__create(struct txn_db *db);
void lock__destroy(struct txn_db *db);

/* May be called under a leaf latch: is the row free for a write in this mode? `own`: the row's
 * newest version is ours (T9). */
bool lock__row_free(
    struct txn *txn, tree_id_t tree, struct slice key, enum txn_row_lock mode, bool own);
/* The same, and lock it. */
bool lock__row_try(
    struct txn *txn, tree_id_t tree, struct slice key, enum txn_row_lock mode, bool own);
/* Reserve the row: stand in line until it is our turn. */
enum err lock__row_acquire(struct task *task, struct txn *txn, tree_id_t tree, struct slice key,
    enum txn_row_lock mode, bool own, struct diag *diag);
/* ERR_LIMIT if there are too many locks already. */
enum err lock__check_room(struct txn_db *db, struct diag *diag);
/* Sleep until the transaction has ended, whose row it is. */
enum err lock__wait_txn(struct task *task, struct txn *txn, uint64_t id, tree_id_t tree,
    struct slice key, struct diag *diag);
void lock__txn_ended(struct txn_db *db, uint64_t id);
/* Release what was acquired after the marks. */
void lock__release_to(struct txn *txn, struct hold *hold, uint32_t table_lock_count);
void lock__latch_all(struct txn_db *db);
void lock__unlatch_all(struct txn_db *db);
/* Bits of the modes that this one cannot be held together with. */
unsigned lock__conflicts(enum lock_kind kind, unsigned mode);
/* Under all latches: does this waiter close a cycle? That is copied, and then ... Or it was solved
 * by another order of a queue, which the caller serves (*reordered). */
struct deadlock;
struct deadlock *deadlock__found(
    struct txn_db *db, const struct lock_waiter *waiter, struct lock **reordered);
/* ... without latches, put into words and freed. */
enum err deadlock__report(struct txn_db *db, struct deadlock *deadlock, struct diag *diag);
/* Calls each for all whom this waiter waits for directly. Under all latches. */
void deadlock__blockers(const struct lock_waiter *waiter,
    void (*each)(void *arg, struct txn *txn, struct txn *waiter), void *arg);

/* ---- failures.c --------------------------------------------------------------------------------
 */

enum failure_kind {
    FAILURE_STRUCTURE,
    FAILURE_UPDATE,
    FAILURE_DEADLOCK,
};

struct failures *failures__create(void);
void failures__destroy(struct failures *failures);
void failures__count(struct failures *failures, tree_id_t tree, enum failure_kind kind);
/* A 40001, for the list of recent ones. */
void failures__keep(struct txn_db *db, uint32_t pid, const char *detail);

/* ---- commit.c ----------------------------------------------------------------------------------
 */

/* Id, log and snapshot: whatever a write needs. */
enum err txn__start_writing(struct task *task, struct txn *txn, struct diag *diag);
/* Move redo into the log as parts until at most `keep` bytes are left. */
enum err txn__spill_redo(struct task *task, struct txn *txn, size_t keep, struct diag *diag);

/* ---- purge.c -----------------------------------------------------------------------------------
 */

/* Free what no snapshot needs, a slice of it. `txn` (or NULL) takes free blocks. */
void purge__step(struct task *task, struct txn_db *db, struct txn *txn);
/* A large transaction has ended (so many records for the purge): sleep while the purge is far
 * behind, so that updating large tables for ever does not outrun it (P6). */
void purge__keep_up(struct task *task, struct txn_db *db, uint64_t work);
/* All that can go now; the keeper's. Returns true if something is left for later. */
bool purge__all(struct task *task, struct txn_db *db);
void purge__drop_everything(struct txn_db *db); /* at close: memory only */

/* ---- recover.c, checkpoint.c -------------------------------------------------------------------
 */

/*
 * Payload of a commit record, then the redo that is not in parts:
 *
 *     OFFSET SIZE  DESCRIPTION
 *          0    8  transaction id
 *          8    8  HLC: microseconds since 1970 << 12 | counter; grows with the LSN
 *         16    8  redo bytes that precede this record's, in parts
 *         24    8  epoch
 *         32   16  saga id; zero: none
 *         48    4  saga step
 *         52    4  origin; 0: here
 *         56    4  flags: 1 changes the catalog
 *         60    2  length of the idempotency key, which stands before the redo
 *         62    2  zero
 *
 * and of a part, then its redo:
 *
 *          0    8  transaction id
 *          8    8  redo bytes that precede this record's; what earlier parts had beyond was undone
 */
struct commit_head {
    uint64_t id;
    uint64_t hlc;
    uint64_t redo_before;
    uint64_t epoch;
    uint8_t saga_id[16];
    uint32_t saga_step;
    uint32_t origin;
    uint32_t flags;
    uint16_t idempotency_size;
    uint16_t zero;
};
_Static_assert(sizeof(struct commit_head) == 64, "the table above");
_Static_assert(offsetof(struct commit_head, saga_id) == 32, "the table above");
_Static_assert(offsetof(struct commit_head, idempotency_size) == 60, "the table above");

struct part_head {
    uint64_t id;
    uint64_t redo_before;
};
_Static_assert(sizeof(struct part_head) == 16, "the table above");

enum {
    RECORD_COMMIT = 1,
    RECORD_PART = 2,
    RECORD_COMMIT_PACKED = 3, /* the same, with their redo packed (redo__pack) */
    RECORD_PART_PACKED = 4,
    RECORD_CLOCK = 5, /* le64: the HLC goes on above this */
    RECORD_VERSION = 1,
    COMMIT_CHANGES_SCHEMA = 1,
};

/* ---- fill.c ------------------------------------------------------------------------------------
 */

/* Recovery: the tree is made anew from its definition. Nobody else applies anything meanwhile. */
enum err fill__rebuild(struct task *task, struct txn_db *db, tree_id_t tree,
    struct slice definition, struct diag *diag);

/* What a checkpoint says of us. */
struct checkpoint_meta {
    uint32_t magic, version;
    uint64_t snapshot;
    uint64_t redo_start; /* where reading the log must begin: S, or an older part needed */
    uint64_t next_id;
    uint64_t hlc;
    uint64_t epoch;
    uint64_t next_tree;
    uint64_t schema_lsn;
};
_Static_assert(sizeof(struct checkpoint_meta) == 64, "on disk");
enum {
    META_MAGIC = 0x4e58544b, /* "KTXN" */
    META_VERSION = 1,
};

/* Where to stop, from the options; zero: at the log's end. */
struct recover_target {
    uint64_t lsn;
    int64_t time_us;
};
/* ---- hlc.c ------------------------------------------------------------------------------------
 */

void hlc__open(struct txn_db *db);
void hlc__close(struct txn_db *db);
void hlc__committed(struct txn_db *db, uint64_t stamp, uint64_t lsn);
void hlc__serve(struct task *task, struct txn_db *db); /* until db->stopping */
/* What was visible as of the stamp, which the transaction holds back from now on. */
enum err hlc__look_back(
    struct task *task, struct txn *txn, uint64_t stamp, uint64_t *lsn, struct diag *diag);

/* Reads the log from db->wal and brings the trees to its end. Alone in the house. */
enum err recover__run(struct task *task, struct txn_db *db, const struct checkpoint_meta *meta,
    const struct recover_target *target, struct txn_recovery_progress *progress, uint64_t *last_id,
    bool *any, struct diag *diag);
/* Checkpoints whenever one is wanted, until db->stopping. */
/* Nobody else's until the last: the store's file and the log stand still (but for appends). */
enum err checkpoint__hold(struct task *task, struct txn_db *db, struct diag *diag);
void checkpoint__let_go(struct txn_db *db);
void checkpoint__serve(struct task *task, struct txn_db *db);
enum err checkpoint__version_at(struct task *task, void *arg, const struct btree_row *row,
    lsn_t snapshot, struct btree_version *version, struct diag *diag);
bool checkpoint__is_settled(void *arg, txn_id_t writer);
double checkpoint__due(void *arg);

/* In a directory that is not whole yet. */
#define INCOMPLETE_FILE "incomplete.tusk"
/* In a backup: what it is. */
#define LABEL_FILE "backup.tusk"

static inline struct slice
tree_key(uint8_t memory[8], tree_id_t tree)
{
    store_be64(memory, tree.v);
    return slice_of(memory, 8);
}

#endif /* TXN_TXN_INTERNAL_H */
