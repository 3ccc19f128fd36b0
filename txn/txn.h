/*
 * txn/txn.h - transactions over the store: snapshots, versions, locks, commit, recovery.
 *
 * One node's database is a txn_db: a B-tree store, a log, and what lives between them in memory
 * (undo, transaction table, lock table). sql/ sees only this header: trees of rows under snapshots.
 *
 * Guarantees: DESIGN.md, P1-P3. Isolation levels: READ COMMITTED, REPEATABLE READ (snapshot
 * isolation, first updater wins), SERIALIZABLE (precise SSI: ssi.h).
 *
 * Threads: a struct txn belongs to one session task; a txn_db to everybody.
 */
#ifndef TXN_TXN_H
#define TXN_TXN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/ids.h"
#include "btree/btree.h"
#include "world/world.h"

struct txn_db;
struct txn;
struct txn_scan;

/* ---- the database ------------------------------------------------------------------------------
 */

/* How far recovery is: positions in the log, for whoever asks meanwhile. Zeroes before. */
struct txn_recovery_progress {
    _Atomic uint64_t from, at, limit; /* `limit`: about where it will end */
};

/* Recovery: fill the new tree of `rebuild` as `definition` says. */
struct txn_rebuild;
typedef enum err txn_rebuild_tree(struct task *task, void *arg, struct txn_rebuild *rebuild,
    struct slice definition, struct diag *diag);

struct txn_db_options {
    const char *directory;          /* created if missing; holds data.tusk and wal/ */
    uint64_t cache_size;            /* 0: 1 GiB */
    uint64_t wal_segment_size;      /* 0: 64 MiB */
    uint64_t checkpoint_wal_size;   /* start a checkpoint after so much log; 0: 1 GiB */
    uint32_t checkpoint_interval_s; /* or after so much time; 0: 300 */
    bool checkpoint_automatic;      /* run the background checkpointer */
    /* Old row versions: in memory; 0: a quarter of the cache, 32 MiB at least. What is more goes to
     * a file without a name in `directory`. */
    uint64_t undo_memory;
    /* In both. At that limit the oldest snapshots are given up (ERR_SNAPSHOT_TOO_OLD), or a
     * transaction that has filled it gets ERR_LIMIT. 0: 8 GiB. */
    uint64_t undo_size_max;
    /* For so long versions are kept that txn_read_at may ask for. 0: none, and no such reading. */
    int64_t history_window_us;
    uint64_t locks_max; /* row and table locks at once; 0: 8388608 */
    /* What SERIALIZABLE remembers before it becomes less precise: ranges that one transaction has
     * read in one tree (0: 2048), committed transactions that still overlap others (0: 4096), and
     * older ones of which only edges and writes are kept (0: 262,144). */
    uint32_t ssi_ranges_max, ssi_committed_max, ssi_stubs_max;
    struct txn_recovery_progress *recovery_progress; /* told by txn_db_open; or NULL */
    const char *archive_directory; /* where the log is copied to; NULL or "": nowhere */
    /* Restoring (restore.c): apply no commit beyond one of these, and destroy the log behind; 0:
     * none. An error if the log does not reach so far. */
    lsn_t recover_to_lsn;
    int64_t recover_to_us;     /* since 1970 */
    bool restoring;            /* the directory says of itself that it is not complete */
    txn_rebuild_tree *rebuild; /* of txn_tree_built; NULL: a log with such a tree is refused */
    void *rebuild_arg;
};

/* Locks the directory, opens or creates, recovers (log after the checkpoint, progress to the log).
 * A torn tail ends the log; a bad record before good ones is ERR_CORRUPT with file and offset. */
enum err txn_db_open(
    struct task *task, const struct txn_db_options *options, struct txn_db **db, struct diag *diag);
/* All transactions must have ended. Does not checkpoint. */
void txn_db_close(struct task *task, struct txn_db *db);
enum err txn_db_checkpoint(struct task *task, struct txn_db *db, struct diag *diag);

/* The last checkpoint of a directory that no server runs on, without the log, to look at: only
 * read-only transactions, no background tasks, and nothing is changed. */
enum err txn_db_open_checkpoint(
    struct task *task, const struct txn_db_options *options, struct txn_db **db, struct diag *diag);
/*
 * Base backup: a copy of the directory of a running database, made while others read and write. The
 * data file of the last checkpoint and the log from there to the call's end; a server that starts
 * on it finds all that had been committed when the call began to return. No checkpoint runs
 * meanwhile, so the log grows. `directory` must be empty or missing; until the backup is whole it
 * says so (INCOMPLETE_FILE), and neither server nor restore touches it. `progress` may be NULL.
 */
struct txn_backup {
    lsn_t start, end; /* the log that is in it */
    uint64_t bytes;   /* copied */
};
enum err txn_db_backup(struct task *task, struct txn_db *db, const char *directory,
    void (*progress)(void *arg, uint64_t done, uint64_t total), void *arg,
    struct txn_backup *backup, struct diag *diag);

/* A new data directory from a backup, and from an archive (or NULL) to a point in its log; see
 * recover_to_lsn and recover_to_us in `options`, whose directory is the new one. */
struct txn_restored {
    lsn_t lsn;       /* of the last commit that is in it */
    int64_t time_us; /* when that was, since 1970; 0: unknown */
};
enum err txn_db_restore(struct task *task, const struct txn_db_options *options, const char *backup,
    const char *archive, struct txn_restored *restored, struct diag *diag);

/* Is its store what it should be? The listener is told what is wrong. */
enum err txn_db_check(struct task *task, struct txn_db *db,
    const struct btree_check_listener *listener, struct btree_check_report *report,
    struct diag *diag);
/* True if the store was created by this open: the owner then writes its first rows. */
bool txn_db_is_new(const struct txn_db *db);
/* False until the first checkpoint of the store's life: so long an empty log could not be told from
 * a lost one. The owner makes one before it answers anybody. */
bool txn_db_has_checkpoint(const struct txn_db *db);

/* LSN of the last commit that was marked by txn_mark_schema_change; a cache of the catalog that
 * was read at a snapshot at or after this LSN, with this LSN unchanged since, is current. */
lsn_t txn_db_schema_lsn(const struct txn_db *db);
lsn_t txn_db_visible_lsn(const struct txn_db *db); /* what a new snapshot would be */

struct txn_db_stats {
    uint64_t commits, rollbacks, deadlocks, wal_bytes, wal_flushes, undo_bytes, locks;
    uint64_t undo_spilled_bytes, undo_spilled_blocks; /* in the file now; since the start */
    uint64_t snapshots_given_up;
    uint64_t undo_memory, undo_size_max;
    uint64_t pages_dirty, file_size, checkpoints;
    uint64_t pages_cached, pages_cached_max; /* in memory */
    uint64_t pages_read, pages_evicted;
    uint64_t pages_spilled;                /* left memory before their checkpoint */
    uint64_t leaves_merged, leaves_filled; /* had become sparse */
    struct txn_checkpoint_stats {
        uint64_t by_time, by_log, requested, failed; /* begun; failed of all of them */
        bool running;
        bool paced;                     /* it takes its time */
        int64_t start_us;               /* since 1970; of the running or the last one; 0: none */
        int64_t duration_us;            /* of the last that succeeded */
        uint64_t duration_us_all;       /* of all that succeeded */
        uint64_t snapshot;              /* LSN of that one */
        uint64_t pages_done, pages_due; /* of the running or the last one */
        uint64_t pages_all;             /* written by all of them */
    } checkpoint;
};
void txn_db_stats(struct txn_db *db, struct txn_db_stats *stats);

/* ---- transactions ------------------------------------------------------------------------------
 */

enum {
    TXN_SESSIONS_MAX = 1 << 14 /* struct txn that exist at a time */
};

enum txn_isolation {
    TXN_READ_COMMITTED, /* READ UNCOMMITTED is this too */
    TXN_REPEATABLE_READ,
    TXN_SERIALIZABLE,
};

enum txn_state {
    TXN_IDLE,
    TXN_ACTIVE,
};

/* One per session, used for one transaction after another; costs no allocation per transaction.
 * `owner_pid`: how deadlock details name this session. */
struct txn *txn_new(struct txn_db *db, uint32_t owner_pid);
void txn_delete(struct task *task, struct txn *txn); /* must be idle */
/* Whose objects its statements see: the OID of a database, to sql/catalog; 0: of all. Here it is
 * part of what advisory locks are called by. Between statements. */
void txn_set_scope(struct txn *txn, uint32_t scope);
uint32_t txn_scope(const struct txn *txn);
/* Give back what txn keeps for the next statement: cursors, blocks, buffers. Between statements. */
void txn_trim(struct txn *txn);

enum err txn_begin(struct task *task, struct txn *txn, enum txn_isolation isolation, bool read_only,
    struct diag *diag);
enum txn_state txn_state(const struct txn *txn);
enum txn_isolation txn_isolation(const struct txn *txn);
bool txn_read_only(const struct txn *txn);
void txn_set_read_only(struct txn *txn, bool read_only);
/* Only before the first snapshot was taken (the caller says 25001 otherwise). */
enum err txn_set_isolation(struct txn *txn, enum txn_isolation isolation, struct diag *diag);
bool txn_has_snapshot(const struct txn *txn);
txn_id_t txn_id(const struct txn *txn); /* 0 until the first write */
/* Gives it an id before its first write. */
enum err txn_need_id(struct task *task, struct txn *txn, struct diag *diag);
/* Has the transaction of this id not ended? Asked by one who has a snapshot. */
bool txn_db_is_active(struct txn_db *db, txn_id_t id);

/*
 * Commit: append to the log, publish, release locks, then sleep until durable (deaf to interrupts).
 * When it returns ERR_OK the answer may be sent; on an error the transaction is rolled back. A
 * transaction without writes waits only until what it observed is durable (txn_settle).
 * The transaction is idle afterwards, either way.
 */
enum err txn_commit(struct task *task, struct txn *txn, struct diag *diag);
void txn_rollback(struct task *task, struct txn *txn);

/*
 * The hybrid logical clock (hlc.c): microseconds since 1970 << 12 and a counter. Each commit that
 * wrote has a stamp; stamps and LSNs have one order.
 */
uint64_t txn_commit_hlc(const struct txn *txn); /* of the last commit that wrote; 0: none */
uint64_t txn_db_hlc(struct txn_db *db);         /* now: no commit before this has a higher one */
/* No commit from now on has a stamp up to this. May wait for the disk. ERR_INVALID_PARAMETER_VALUE
 * if it is far ahead of our wall clock. */
enum err txn_db_raise_hlc(struct task *task, struct txn_db *db, uint64_t stamp, struct diag *diag);
/* This transaction, which has no snapshot yet, is read only and sees exactly the commits whose
 * stamps are not above this one; none will be added (the clock is raised to it). 72000 if it is too
 * long ago (history_window_us). */
enum err txn_read_at(struct task *task, struct txn *txn, uint64_t stamp, struct diag *diag);

/* Sleep until every commit whose rows this transaction met is durable. Before an error that rests
 * on what was read is sent (P1); txn_commit does it itself. Cheap if there is nothing to wait for.
 */
void txn_settle(struct task *task, struct txn *txn);

/* Do not wait for the disk at commit (synchronous_commit = off): order is kept, the last moments
 * may be lost in a crash. */
void txn_set_synchronous(struct txn *txn, bool synchronous);

/* Savepoints: a depth, counted from 1. */
enum err txn_savepoint(struct task *task, struct txn *txn, uint32_t *depth, struct diag *diag);
/* Undo everything since it, locks of rows included; the savepoint itself stays, deeper ones go. */
void txn_rollback_to(struct task *task, struct txn *txn, uint32_t depth);
void txn_release_savepoint(struct txn *txn, uint32_t depth);

/* The commit record is to name this saga and step; `ends`: with this commit the saga ends. Only of
 * a transaction that has written. */
void txn_set_saga(struct txn *txn, const uint8_t id[16], uint32_t step, bool ends);

/* Sagas that have not ended, for readers who do not want to see what they have written (sagas.c).
 * Their number is the end of their id. Begins: before the first of its transactions commits; any
 * number of times. Ended: without a transaction of its own that said so. Was open: when the
 * database was, and some of its transactions have committed. */
void txn_saga_begins(struct txn_db *db, uint64_t number);
void txn_saga_ended(struct txn_db *db, uint64_t number);
void txn_saga_was_open(struct txn_db *db, uint64_t number);

/* Those whose end is not told here: a step's transaction joins its saga before it commits, behind a
 * raise of the clock to a stamp by which the saga had begun (G4-G6). */
void txn_saga_joins(struct txn_db *db, uint64_t number);
uint32_t txn_sagas_joined(struct txn_db *db); /* how many are kept */
/* Of sagas that began after this stamp all transactions here are known. */
uint64_t txn_sagas_blind(struct txn_db *db);
/* Rows come, in this transaction or the next, that sagas have written elsewhere. */
void txn_sagas_go_blind(struct txn_db *db);
/* All sagas elsewhere that had begun by this stamp and had not ended by it. */
struct txn_open_sagas {
    uint64_t stamp;
    uint64_t blind; /* of those that began by then it is also said what they have done */
    const uint64_t *numbers;
    size_t count;
};
/* Others need not be kept. */
void txn_sagas_close(struct txn_db *db, const struct txn_open_sagas *open);

/* What this transaction has changed so far, newest first, catalog and indexes included; the bytes
 * are in the arena. ERR_PROGRAM_LIMIT if there are more than `most`. */
struct txn_change {
    tree_id_t tree;
    struct slice key;
    bool had; /* there was a row */
    struct slice before;
};
enum err txn_changes(struct task *task, struct txn *txn, struct arena *arena, size_t most,
    struct txn_change **changes, size_t *count, struct diag *diag);

/* The commit record is to name this key (txn_internal.h, struct commit_head). At most 255 bytes;
 * only of a transaction that has written; the bytes must live until its end. */
void txn_set_idempotency_key(struct txn *txn, struct slice key);

/* This transaction changes the catalog: its commit moves txn_db_schema_lsn. */
void txn_mark_schema_change(struct txn *txn);
bool txn_changes_schema(const struct txn *txn);

/* What this transaction may do to rows of replicated tables (sql/catalog/replicated.h), up to its
 * end, and whether it has changed any. */
enum txn_replicated {
    TXN_REPLICATED_NOTHING,
    TXN_REPLICATED_LISTED, /* its commit appends them to the list */
    TXN_REPLICATED_ALONE,  /* of this node's copy alone */
};
void txn_permit_replicated(struct txn *txn, enum txn_replicated permitted);
enum txn_replicated txn_replicated_permitted(const struct txn *txn);
void txn_mark_replicated_change(struct txn *txn);
bool txn_changes_replicated(const struct txn *txn);

/* ---- snapshots ---------------------------------------------------------------------------------
 */

/* What a statement sees: commits up to lsn, and this transaction's own writes of commands before
 * `command`. */
struct txn_snapshot {
    lsn_t lsn;
    uint32_t command;
};

/* Start of a statement: READ COMMITTED takes a new LSN, REPEATABLE READ the transaction's first;
 * the command number goes up in both. The LSN stays registered (undo for it is kept) until
 * txn_snapshots_release or the end. */
struct txn_snapshot txn_statement_begin(struct txn *txn);
/* From now on this statement's snapshot passes over what they have written, all of it; it may be
 * newer afterwards. Before the first read by it. ERR_SAGA_UNSETTLED if that cannot be. `reads`
 * false: this statement does not, but at REPEATABLE READ those behind it will, by its snapshot. */
enum err txn_hide_sagas(
    struct txn *txn, struct txn_snapshot *snapshot, bool reads, struct diag *diag);
/* The same for those elsewhere that are open, as of their stamp. ERR_BUCKET_MOVING: somebody must
 * be asked anew which those are. */
enum err txn_hide_open_sagas(struct task *task, struct txn *txn, struct txn_snapshot *snapshot,
    const struct txn_open_sagas *open, bool reads, struct diag *diag);
/* Has it passed over some; does its latest statement pass over what this one wrote? */
bool txn_hides_sagas(const struct txn *txn);
bool txn_hides(const struct txn *txn, uint64_t writer);
/* No statement or open portal of this transaction needs a snapshot any more (READ COMMITTED: stop
 * holding undo back). No effect in REPEATABLE READ. */
void txn_snapshots_release(struct txn *txn);

/* ---- reading -----------------------------------------------------------------------------------
 */

/* Names one version of one row: compare-and-write tokens of txn_update and friends. */
struct txn_version {
    uint64_t writer;
    uint64_t undo;
};

struct txn_row {
    struct slice key;
    struct slice value;
    struct txn_version version;
};

/* The row that the snapshot sees under `key`; the value is copied into `into`. */
enum err txn_get(struct task *task, struct txn *txn, struct txn_snapshot snapshot, tree_id_t tree,
    struct slice key, struct arena *into, struct txn_row *row, bool *found, struct diag *diag);

struct txn_range {
    struct slice low, high;
    bool has_low, has_high;
    bool low_exclusive, high_exclusive;
};

/* Rows of the range in key order (or backward). Reads lazily; sees the snapshot whatever happens
 * meanwhile. Memory comes from `arena` and pooled cursors; always close. range is copied. */
enum err txn_scan_open(struct task *task, struct txn *txn, struct txn_snapshot snapshot,
    tree_id_t tree, const struct txn_range *range, bool backward, struct arena *arena,
    struct txn_scan **scan, struct diag *diag);
/* *found == false at the end. The row's memory is valid until the next call on this scan. Does not
 * call task_breathe: the executor does. */
enum err txn_scan_next(
    struct task *task, struct txn_scan *scan, struct txn_row *row, bool *found, struct diag *diag);
void txn_scan_close(struct task *task, struct txn_scan *scan);

/* Largest key in the tree whatever its state; for hidden row ids. */
enum err txn_tree_last_key(struct task *task, struct txn_db *db, tree_id_t tree, struct arena *into,
    struct slice *key, bool *found, struct diag *diag);
void txn_tree_size(struct txn_db *db, tree_id_t tree, uint64_t *leaf_count, uint64_t *row_count);

/* ---- writing -----------------------------------------------------------------------------------
 */

/*
 * Every write is seen by this transaction's later commands, and by others at commit. A write to a
 * row that another active transaction wrote or locked sleeps until that one ends; deadlocks are
 * found at once (ERR_DEADLOCK, DETAIL names the cycle). Interrupts end the wait with their error.
 * After an error the caller rolls back (to a savepoint or whole).
 * ERR_READ_ONLY_TRANSACTION if the transaction is read only.
 */

/* A new row. If a live row stands there: ERR_UNIQUE, with *existing filled (value copied into
 * `into`; both may be NULL) and no words set: the caller knows the constraint's name. Waits for the
 * end of an active inserter or deleter first. */
enum err txn_insert(struct task *task, struct txn *txn, tree_id_t tree, struct slice key,
    struct slice value, struct arena *into, struct txn_row *existing, struct diag *diag);

enum txn_outcome {
    TXN_DONE,    /* written, deleted or locked */
    TXN_CHANGED, /* READ COMMITTED: someone else changed the row since the snapshot and committed;
                    *latest has the newest version, now reserved for us: judge it again, and repeat
                    the call with latest->version (or give up on the row) */
    TXN_GONE,    /* READ COMMITTED: someone else deleted it and committed */
    TXN_SELF,    /* this very command has already changed it: leave it alone */
    TXN_SKIPPED, /* TXN_SKIP_LOCKED and somebody holds it */
};

/* Replace the value of the row seen as `seen` (from txn_get, a scan, or *latest). In REPEATABLE
 * READ a row changed since the snapshot is ERR_SERIALIZATION (40001) with PostgreSQL's words. */
enum err txn_update(struct task *task, struct txn *txn, struct txn_snapshot snapshot,
    tree_id_t tree, struct slice key, struct txn_version seen, struct slice value,
    struct arena *into, struct txn_row *latest, enum txn_outcome *outcome, struct diag *diag);

enum err txn_remove(struct task *task, struct txn *txn, struct txn_snapshot snapshot,
    tree_id_t tree, struct slice key, struct txn_version seen, struct arena *into,
    struct txn_row *latest, enum txn_outcome *outcome, struct diag *diag);

/* In ascending strength; conflicts as PostgreSQL's table 13.3. */
enum txn_row_lock {
    TXN_LOCK_KEY_SHARE,
    TXN_LOCK_SHARE,
    TXN_LOCK_NO_KEY_UPDATE,
    TXN_LOCK_UPDATE,
};

enum txn_wait {
    TXN_WAIT,
    TXN_NOWAIT,      /* ERR_LOCK_NOT_AVAILABLE instead of sleeping */
    TXN_SKIP_LOCKED, /* TXN_SKIPPED instead of sleeping */
};

enum err txn_lock_row(struct task *task, struct txn *txn, struct txn_snapshot snapshot,
    tree_id_t tree, struct slice key, struct txn_version seen, enum txn_row_lock mode,
    enum txn_wait wait, struct arena *into, struct txn_row *latest, enum txn_outcome *outcome,
    struct diag *diag);

/* The eight table lock modes of PostgreSQL (13.3.1), weakest first. */
enum txn_table_lock {
    TXN_ACCESS_SHARE,
    TXN_ROW_SHARE,
    TXN_ROW_EXCLUSIVE,
    TXN_SHARE_UPDATE_EXCLUSIVE,
    TXN_SHARE,
    TXN_SHARE_ROW_EXCLUSIVE,
    TXN_EXCLUSIVE,
    TXN_ACCESS_EXCLUSIVE,
};

/* Held to the end of the transaction. A mode already held costs almost nothing. `object` is any
 * number (a table's oid); `name` is for messages. */
enum err txn_lock_table(struct task *task, struct txn *txn, uint64_t object, const char *name,
    enum txn_table_lock mode, enum txn_wait wait, struct diag *diag);

/* Locks on numbers that mean something to the user only: taken at once or waited for like any
 * other, deadlocks included. Those of the session last until they are unlocked as often as they
 * were taken, or txn_delete; the others go with the transaction or ROLLBACK TO a savepoint. What
 * one session holds, either way, does not keep out itself. */
struct txn_advisory {
    uint64_t number;
    bool pair; /* two ints, which are another space than one bigint */
    bool shared;
    bool session;
};
/* Not `wait`: *taken tells. */
enum err txn_lock_advisory(struct task *task, struct txn *txn, const struct txn_advisory *lock,
    bool wait, bool *taken, struct diag *diag);
/* Of the session's; false: it does not have it. */
bool txn_unlock_advisory(struct txn *txn, const struct txn_advisory *lock);
void txn_unlock_all_advisory(struct txn *txn);

/* Add `by` to the counter when the transaction has committed, and others can see what it did;
 * nothing if it rolls back. Of many counters some are added to at once. */
void txn_count_at_commit(struct txn *txn, _Atomic uint64_t *counter, uint64_t by);

/* lock_timeout of the session, 0: none. */
void txn_set_lock_timeout(struct txn *txn, int64_t timeout_us);

/* ---- serializable transactions -----------------------------------------------------------------
 *
 * Nothing more is needed to be serializable than to begin so. Any read, write, or the commit may
 * give ERR_SERIALIZATION, with DETAIL that names the transactions, rows and statements.
 */

/* A condition on rows of one tree that a scan applies: a write to a row that does not pass, before
 * or after, is no conflict. Pure and quick; called with any thread's latches held. */
struct txn_filter {
    _Atomic uint32_t references;
    bool (*passes)(const struct txn_filter *filter, struct slice value);
    void (*destroy)(struct txn_filter *filter);
};
struct txn_filter *txn_filter_hold(struct txn_filter *filter);
void txn_filter_release(struct txn_filter *filter);

/* Is it worth to make a filter? */
bool txn_tracks_reads(const struct txn *txn);
/* Before the scan's first row. Takes over the caller's reference. */
void txn_scan_set_filter(struct txn_scan *scan, struct txn_filter *filter);

/* SERIALIZABLE READ ONLY DEFERRABLE, before the first statement: sleeps until there is a snapshot
 * that needs no tracking, and takes it. */
enum err txn_wait_for_safe_snapshot(struct task *task, struct txn *txn, struct diag *diag);

/* The statement now running, for DETAIL. */
void txn_note_statement(struct txn *txn, const char *text, size_t size);

/* Names a key of a tree for DETAIL: "table t (id)=(7)". Set once, by the catalog. */
typedef void txn_namer(void *arg, tree_id_t tree, struct slice key, char *to, size_t size);
void txn_db_set_namer(struct txn_db *db, txn_namer *namer, void *arg);

enum {
    TXN_FAILURE_DETAIL_MAX = DIAG_TEXT_MAX
};
struct txn_failure {
    int64_t time_us; /* since 1970 */
    uint32_t pid;
    const char *detail;
};
/* The most recent ones of 40001, newest first. */
void txn_serialization_failures(
    struct txn_db *db, void (*each)(void *arg, const struct txn_failure *failure), void *arg);

/* How often a tree was where transactions failed, since the database was opened. */
struct txn_failure_count {
    tree_id_t tree;      /* 0: trees beyond those counted apart */
    uint64_t structures; /* it held an edge of a dangerous structure */
    uint64_t updates;    /* a row of it was changed by somebody concurrent */
    uint64_t deadlocks;  /* the victim waited for a row of it */
};
size_t txn_failure_counts(
    struct txn_db *db, struct arena *arena, struct txn_failure_count **counts);

/* What serializable transactions have read, as far as it is remembered. */
struct txn_read_line {
    uint32_t pid;
    enum txn_read_state {
        TXN_READ_ACTIVE,
        TXN_READ_COMMITTED_OVERLAPPED, /* it has, but some that overlap it have not ended */
        TXN_READ_SUMMARISED,           /* of many that have committed; pid is 0 */
    } state;
    bool scanning; /* a scan that is going on: what it may come to read */
    tree_id_t tree;
    struct slice low, high; /* [low, high) */
    bool has_high;
    struct txn_filter *filter; /* counted: release it; or NULL */
};
/* Copied into the arena; at most `limit`. */
size_t txn_db_reads(
    struct txn_db *db, struct arena *arena, size_t limit, struct txn_read_line **lines);

/* ---- trees -------------------------------------------------------------------------------------
 */

/* A new empty tree; gone again if the transaction rolls back. */
enum err txn_tree_create(struct task *task, struct txn *txn, tree_id_t *tree, struct diag *diag);
/* A tree with a fixed id (the catalog's, below TREE_ID_FIRST_USER). */
enum err txn_tree_create_fixed(
    struct task *task, struct txn *txn, tree_id_t tree, struct diag *diag);
bool txn_tree_exists(struct txn_db *db, tree_id_t tree);
/* Gone after commit, once no snapshot can use it. The caller holds the table exclusively. */
enum err txn_tree_drop(struct task *task, struct txn *txn, tree_id_t tree, struct diag *diag);

/*
 * Trees filled at once: rows of a tree that this transaction has created, in ascending order of
 * their keys and behind those that are there; key and value small (btree_append). Nothing can undo
 * them one by one (the tree goes if its creation is undone), and who sees the tree sees them.
 * `logged`: each goes into the log. Else txn_tree_built must follow before the transaction changes
 * anything that they were made of.
 */
enum err txn_tree_append(struct task *task, struct txn *txn, tree_id_t tree,
    const struct btree_entry *entries, size_t count, bool logged, struct diag *diag);
/* What has been appended follows from another tree as it is now, and `definition` says how. That is
 * all the log gets: recovery asks options.rebuild to make it again. */
enum err txn_tree_built(
    struct task *task, struct txn *txn, tree_id_t tree, struct slice definition, struct diag *diag);
/* For options.rebuild: the rows of another tree, in order; and what txn_tree_append does. */
enum err txn_rebuild_open(
    struct task *task, struct txn_rebuild *rebuild, tree_id_t from, struct diag *diag);
enum err txn_rebuild_next(struct task *task, struct txn_rebuild *rebuild, struct slice *key,
    struct slice *value, bool *found, struct diag *diag);
enum err txn_rebuild_append(struct task *task, struct txn_rebuild *rebuild,
    const struct btree_entry *entries, size_t count, struct diag *diag);

/* ---- looking at locks ------------------------------------------------------------------------ */

struct txn_lock_line {
    uint32_t owner_pid;
    enum txn_lock_line_kind {
        TXN_LOCK_LINE_ROW,      /* object: the tree; mode: enum txn_row_lock */
        TXN_LOCK_LINE_TABLE,    /* object: as in txn_lock_table; mode: enum txn_table_lock */
        TXN_LOCK_LINE_TXN,      /* object: a transaction id; it holds TXN_EXCLUSIVE on itself */
        TXN_LOCK_LINE_ADVISORY, /* object: the number; mode: TXN_SHARE or TXN_EXCLUSIVE */
    } kind;
    uint64_t object;
    unsigned mode;
    uint32_t scope; /* of its owner (txn_set_scope) */
    bool pair;      /* advisory: of two ints */
    bool granted;   /* false: waits */
    bool fast;      /* a weak table lock in its transaction's own slot */
};

/* PostgreSQL's names, "ExclusiveLock". */
const char *txn_table_lock_name(unsigned mode);
const char *txn_row_lock_name(unsigned mode);

/* All that are held or waited for, in the arena; each was true at some moment of the call. Rows
 * that are only written have no line: their writer's id stands for them. */
size_t txn_db_locks(struct txn_db *db, struct arena *arena, struct txn_lock_line **lines);

struct txn_session_line {
    uint32_t owner_pid;
    uint64_t id; /* of the transaction; 0: none */
    enum txn_session_wait {
        TXN_WAITS_NOT,
        TXN_WAITS_ROW,
        TXN_WAITS_TABLE,
        TXN_WAITS_TXN,
        TXN_WAITS_ADVISORY,
        TXN_WAITS_DISK, /* until its commit, or what it read, is durable */
        TXN_WAITS_SAFE_SNAPSHOT,
    } wait;
};
/* Every struct txn of the database. */
size_t txn_db_sessions(struct txn_db *db, struct arena *arena, struct txn_session_line **lines);

/* Pids of those whom the transaction of this pid waits for at the moment: who holds what it wants,
 * and who stands before it in line for something that conflicts. A pid may come more than once.
 * Takes all lock latches. */
size_t txn_blocking_pids(struct txn_db *db, uint32_t pid, struct arena *arena, uint32_t **pids);
/* Pids of the writers whose ends this one, SERIALIZABLE READ ONLY DEFERRABLE, waits for. */
size_t txn_safe_snapshot_blocking_pids(
    struct txn_db *db, uint32_t pid, struct arena *arena, uint32_t **pids);

#endif /* TXN_TXN_H */
