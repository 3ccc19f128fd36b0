/*
 * btree/btree.h - the page store and the ordered map on it.
 *
 * A store is a page cache, a data file and any number of trees. A tree maps keys (bytes, memcmp
 * order) to rows. A row is a head that transactions write and this room only carries (except that
 * a checkpoint asks its owner what a snapshot saw), and a value. Each key stands once in a tree;
 * older versions are the business of txn/, which keeps them elsewhere and names them in the head.
 *
 * Logical pages of BTREE_PAGE_SIZE, named by page id; a mapping table turns an id into a frame or
 * an extent on disk; parents name children by id. B-link trees (Lehman and Yao 1981): right links
 * and fences. Readers are optimistic (version_latch), writers latch one page exclusively. A miss
 * releases everything, reads the page, and starts again from the root. No latch outlives a call
 * into this room, and `decide` is the only foreign code that runs under one.
 *
 * Any task of any worker may call any function at any time, unless it says otherwise.
 */
#ifndef BTREE_BTREE_H
#define BTREE_BTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/ids.h"
#include "world/world.h"

struct btree;        /* the store */
struct btree_cursor; /* a scan of one tree */

enum {
    BTREE_PAGE_SIZE = 16384,
    BTREE_KEY_SIZE_MAX = 2000,     /* longer keys: ERR_PROGRAM_LIMIT */
    BTREE_VALUE_INLINE_MAX = 4000, /* key and value together; more goes to overflow pages */
    BTREE_VALUE_SIZE_MAX = 1 << 30,
};

/* What transactions write on a row. */
struct row_head {
    txn_id_t writer; /* who wrote this version; 0: older than every snapshot */
    uint64_t undo;   /* txn/'s name of the version before; 0: none is needed */
    uint8_t flags;   /* enum row_flags */
};

enum row_flags {
    ROW_DELETED = 1,  /* a tombstone: the newest version is "no row" */
    ROW_OVERFLOW = 2, /* the value is a reference to overflow pages: resolve with btree_value_load;
                         set and cleared by btree only, carried along with the value by txn */
};

struct btree_row {
    struct row_head head;
    struct slice key;
    struct slice value; /* raw: with ROW_OVERFLOW a reference of a few bytes */
};

/* ---- life ------------------------------------------------------------------------------------ */

/* What a snapshot saw of a row. */
struct btree_version {
    bool exists;        /* else no row */
    bool newer;         /* the row's newest version is one that the snapshot does not see */
    uint8_t flags;      /* ROW_OVERFLOW or 0 */
    struct slice value; /* valid until the caller has copied it: he does so at once */
};

/* How the store asks its owner what a row was. version_at may sleep; the others are called under
 * latches, must not sleep, and must not call back into btree. */
struct btree_owner {
    void *arg;
    /* For a checkpoint as of `snapshot`: which version of the row (head.writer != 0) did it see?
     * *version is zero before. An error is the checkpoint's. */
    enum err (*version_at)(struct task *task, void *arg, const struct btree_row *row,
        lsn_t snapshot, struct btree_version *version, struct diag *diag);
    /* Does every snapshot, now and later, see what this writer wrote? Then the store may forget the
     * head: a page that left memory comes back with writer 0 there, and without the tombstone. May
     * say false for long. NULL: always false. */
    bool (*is_settled)(void *arg, txn_id_t writer);
    /* How much of the running checkpoint should be done by now? 0 to 1: it sleeps while it is ahead
     * of that, and asks again every few milliseconds. NULL: 1, as fast as it can. */
    double (*checkpoint_due)(void *arg);
};

struct btree_options {
    const char *directory; /* holds data.tusk; must exist */
    uint64_t cache_size;   /* bytes of frames; 0: 1 GiB; 1 MiB at least. Never more is used for
                              pages; address space until touched. */
    struct btree_owner owner;
};

/* What the last checkpoint says: of what snapshot it is, and the owner's own notes. */
struct btree_checkpoint_info {
    lsn_t snapshot;    /* 0 for a new store */
    uint8_t meta[512]; /* as passed to btree_checkpoint */
    size_t meta_size;
};

/* Opens or (if there is no data file) creates. Reads superblock and mapping table; pages come on
 * demand. ERR_CORRUPT names file, page and offset. */
enum err btree_open(struct task *task, const struct btree_options *options, struct btree **store,
    struct btree_checkpoint_info *info, struct diag *diag);
/* No calls may be under way. Writes nothing: checkpoint first if what is in memory matters. */
void btree_close(struct task *task, struct btree *store);

/* ---- trees ----------------------------------------------------------------------------------- */

/* An empty tree under this id, which must be unused. */
enum err btree_tree_create(
    struct task *task, struct btree *store, tree_id_t tree, struct diag *diag);
bool btree_tree_exists(struct btree *store, tree_id_t tree);
/* Frees all its pages (those the last checkpoint uses stay on disk until the next). Nobody may
 * use the tree any more: the caller waited for that. */
void btree_tree_drop(struct task *task, struct btree *store, tree_id_t tree);
/* Largest id of any tree; for handing out new ones after start. */
tree_id_t btree_tree_last(struct btree *store);

/* ---- rows ------------------------------------------------------------------------------------ */

/* Copy the row under `key` into `into` (head, raw value; row->key is the caller's `key`). */
enum err btree_get(struct task *task, struct btree *store, tree_id_t tree, struct slice key,
    struct arena *into, struct btree_row *row, bool *found, struct diag *diag);

/* The whole value of a row whose head has ROW_OVERFLOW. The caller makes sure that the version is
 * not freed meanwhile (a snapshot that sees it). */
enum err btree_value_load(struct task *task, struct btree *store, struct slice reference,
    struct arena *into, struct slice *value, struct diag *diag);
/* The reference's pages are no longer needed by anyone. Reads what is not in the cache; pages that
 * cannot be read stay allocated (a leak that the log names, not a failure). */
void btree_value_free(struct task *task, struct btree *store, struct slice reference);

struct btree_entry {
    struct slice key, value;
};
/* Add rows behind all others of a tree that nobody else changes: keys strictly ascending, key and
 * value of at most BTREE_VALUE_INLINE_MAX together. Their heads are zero, so every snapshot sees
 * them. Pages are filled one after the other; on an error some rows are in. */
enum err btree_append(struct task *task, struct btree *store, tree_id_t tree,
    const struct btree_entry *entries, size_t count, struct diag *diag);

enum btree_verdict {
    BTREE_KEEP,  /* leave everything as it is */
    BTREE_PUT,   /* the row becomes: *head, and the value given to btree_modify */
    BTREE_HEAD,  /* only the head changes; key and value stay (tombstones, clearing the writer) */
    BTREE_ERASE, /* the row goes physically */
};

/*
 * Decide about a row under the exclusive latch of its leaf. Called exactly once per successful
 * btree_modify, when there is certainly room for the outcome, and its verdict is carried out before
 * the latch goes. `current` is NULL where the tree has no such key; its slices point into the page
 * (raw: undo copies them, flags included) and die with the call. Must not sleep nor call btree.
 * With BTREE_PUT and BTREE_HEAD it fills *head (ROW_OVERFLOW in it is ignored: btree knows).
 */
typedef enum btree_verdict btree_decide(
    void *arg, const struct btree_row *current, struct row_head *head);

/* `value`: what BTREE_PUT would store; if larger than BTREE_VALUE_INLINE_MAX it goes to overflow
 * pages first (and they are freed again if the verdict is not PUT). `value_flags` is 0, or
 * ROW_OVERFLOW when `value` is itself a raw reference to be put back (rollback). A leaf too full
 * is split first, before `decide` is called. With value.data == NULL `decide` may not say PUT, and
 * no room is made. */
enum err btree_modify(struct task *task, struct btree *store, tree_id_t tree, struct slice key,
    struct slice value, uint8_t value_flags, btree_decide *decide, void *arg, struct diag *diag);

/* The last key of the tree, whatever its row's state (tombstones too). For row id counters. */
enum err btree_last_key(struct task *task, struct btree *store, tree_id_t tree, struct arena *into,
    struct slice *key, bool *found, struct diag *diag);

/* Estimates for the planner: pages and rows (tombstones included), kept roughly. No I/O. */
void btree_tree_size(
    struct btree *store, tree_id_t tree, uint64_t *leaf_count, uint64_t *row_count);

/* ---- scans ----------------------------------------------------------------------------------- */

/* A cursor copies one leaf at a time and walks the copy without a latch. It sees each key that
 * stays in the tree during the scan exactly once, in order, whatever splits happen. It holds heads
 * as they were at the copy; the reader's snapshot makes that right. About 17 KiB; reusable. */
struct btree_cursor *btree_cursor_new(struct btree *store);
void btree_cursor_delete(struct btree_cursor *cursor);

enum btree_seek {
    BTREE_SEEK_GE, /* first row with key >= */
    BTREE_SEEK_GT,
    BTREE_SEEK_LE, /* last row with key <= */
    BTREE_SEEK_LT,
    BTREE_SEEK_FIRST, /* key is ignored */
    BTREE_SEEK_LAST,
};
enum err btree_cursor_seek(struct task *task, struct btree_cursor *cursor, tree_id_t tree,
    enum btree_seek how, struct slice key, struct diag *diag);
/* Where the cursor stands; NULL past either end. Slices are valid until the cursor moves. */
const struct btree_row *btree_cursor_row(const struct btree_cursor *cursor);
enum err btree_cursor_next(struct task *task, struct btree_cursor *cursor, struct diag *diag);
enum err btree_cursor_prev(struct task *task, struct btree_cursor *cursor, struct diag *diag);

/* ---- checkpoint ------------------------------------------------------------------------------ */

/*
 * Write every page dirty since the last checkpoint, each as `snapshot` sees it, to new extents,
 * LZ4-compressed, then the changed mapping table, then the superblock (two copies in turn). On
 * return the checkpoint is durable and the old one's extents are free. The caller holds `snapshot`
 * registered, so that no version it sees is freed meanwhile, and chose it so that everything
 * committed at or before it is already in the trees. Row changes go on during it; a structure
 * change of a page whose turn has not come takes its image first (capture before change). Takes its
 * time if the owner says so (checkpoint_due), and tells its progress to btree_stats and the log.
 * `meta`: up to 512 bytes handed back by btree_open. One at a time.
 */
enum err btree_checkpoint(
    struct task *task, struct btree *store, lsn_t snapshot, struct slice meta, struct diag *diag);

/* Have trees lost so many rows since they were last gone over that a checkpoint would pack them? */
bool btree_is_sparse(struct btree *store);

struct btree_stats {
    uint64_t frames_used, frames_max, pages_dirty, pages_read, pages_written, file_size;
    uint64_t pages_evicted;                     /* frames that changed hands */
    uint64_t pages_spilled;                     /* written in their running form */
    uint64_t pages_merged;                      /* sparse leaves that went into a neighbour */
    uint64_t pages_filled;                      /* leaves that took rows of a neighbour */
    uint64_t run_size;                          /* bytes of running forms on disk */
    uint64_t checkpoint_done, checkpoint_total; /* pages of the running one, or of the last */
};
void btree_stats(struct btree *store, struct btree_stats *stats);

/* Walks a whole tree (structure, fences, order, links); ERR_CORRUPT with words. For tests and
 * tusk-check; the store should be quiet. */
enum err btree_check(struct task *task, struct btree *store, tree_id_t tree, struct diag *diag);

struct btree_check_listener {
    void *arg;
    void (*fault)(void *arg, const char *words);
    /* A tree has been walked; NULL: nobody wants to know. */
    void (*tree)(void *arg, tree_id_t tree, uint64_t pages, uint64_t rows);
};

/* The same for every tree, overflow pages too, and each page once: the listener is told one fault
 * of each damaged tree. That extents of the mapping table lie in the file and apart is seen when a
 * store is opened. An error is returned for what is not damage (interrupts, no memory). */
struct btree_check_report {
    uint64_t trees, pages, overflow_pages, rows;
    uint64_t faults;
    uint64_t pages_lost; /* allocated, but part of nothing; counted if there is no fault */
};
enum err btree_check_store(struct task *task, struct btree *store,
    const struct btree_check_listener *listener, struct btree_check_report *report,
    struct diag *diag);

#endif /* BTREE_BTREE_H */
