/*
 * txn/read.c - what a snapshot sees.
 *
 * The head of a row says who wrote the newest version. Whoever may not see it goes back along the
 * undo records until a version that he sees; they are there as long as his snapshot is announced
 * (T3).
 */
#include "txn/txn_internal.h"

struct txn_scan {
    struct txn *txn;
    struct btree_cursor *cursor;
    struct txn_snapshot snapshot;
    tree_id_t tree;
    struct txn_range range;
    struct arena values; /* of older versions and overflow pages; reset at each row */
    struct arena *range_arena;
    bool backward;
    bool started;
    bool ended;
    struct txn_filter *filter; /* for ssi; or NULL */
    struct ssi_scan reading;   /* tracked if reading.reads is not NULL */
};

/* Someone's versions before the newest are looked for: what he has, and where it lies. */
struct search {
    struct txn *txn;
    struct txn_snapshot snapshot;
    struct arena *into;
    bool borrowed; /* the value is undo's memory */
};

/* The value would not outlive a sleep (T12). */
static void
keep_value(struct search *search, struct btree_row *row)
{
    if (search->borrowed) {
        row->value.data = arena_copy(search->into, row->value.data, row->value.size);
        search->borrowed = false;
    }
}

/* The record of a row's newest change, from the file if need be. Then the snapshot may have become
 * too old while we slept: what was read would mean nothing. */
static enum err
fetch(struct task *task, struct search *search, struct btree_row *row, const struct undo **undo,
    struct diag *diag)
{
    struct txn *txn = search->txn;
    *undo = undo_at(txn->db, row->head.undo);
    if (*undo != NULL) {
        return ERR_OK;
    }
    keep_value(search, row);
    enum err err = undo__fetch(task, txn->db, &txn->reader, row->head.undo, undo, diag);
    return snapshot__alive(txn, search->snapshot) ? err : snapshot__too_old(diag);
}

/* Find the version that the snapshot sees, which is alive. row->value and row->head change to it;
 * the value is the row's memory, or a copy in search->into. *found false: none, or a deleted one.
 * *newer: who wrote the version after it, if the snapshot does not see that; else unchanged. */
static enum err
find_older(struct task *task, struct search *search, struct btree_row *row, bool *found,
    uint64_t *newer, struct diag *diag)
{
    for (;;) {
        const struct undo *undo = NULL;
        enum sight sight =
            snapshot__sees(search->txn, search->snapshot, row->head.writer.v, row->head.undo);
        if (sight == SEEN) {
            break;
        }
        if (sight == UNSEEN && (row->head.undo & UNDO_OF_INSERT) != 0) {
            *newer = row->head.writer.v;
            *found = false;
            return ERR_OK;
        }
        TRY(fetch(task, search, row, &undo, diag));
        if (sight == SIGHT_FETCH && undo->command < search->snapshot.command) {
            break;
        }
        *newer = row->head.writer.v;
        if (undo->kind == UNDO_INSERT) {
            *found = false;
            return ERR_OK;
        }
        row->head.writer.v = undo->prev_writer;
        row->head.undo = undo->prev_undo;
        row->head.flags = undo->prev_flags;
        row->value = undo_value(undo);
        search->borrowed = true;
    }
    keep_value(search, row);
    *found = (row->head.flags & ROW_DELETED) == 0;
    return ERR_OK;
}

static inline enum err
find_version(struct task *task, struct txn *txn, struct txn_snapshot snapshot,
    struct btree_row *row, bool *found, uint64_t *newer, struct arena *into, struct diag *diag)
{
    if (snapshot__sees(txn, snapshot, row->head.writer.v, row->head.undo) == SEEN) {
        *found = (row->head.flags & ROW_DELETED) == 0;
        return ERR_OK;
    }
    struct search search = {.txn = txn, .snapshot = snapshot, .into = into};
    return find_older(task, &search, row, found, newer, diag);
}

/* A value in overflow pages. They stay while the snapshot is alive. */
static enum err
load_value(struct task *task, struct txn *txn, struct txn_snapshot snapshot, struct slice reference,
    struct arena *into, struct slice *value, struct diag *diag)
{
    enum err err = btree_value_load(task, txn->db->store, reference, into, value, diag);
    return snapshot__alive(txn, snapshot) ? err : snapshot__too_old(diag);
}

/* SS7. The row as it is now has versions that the snapshot does not see; `newer` wrote the oldest
 * of them. `all`: each may matter. */
static enum err
note_newer(struct task *task, struct txn *txn, struct txn_snapshot snapshot, tree_id_t tree,
    const struct btree_row *now, uint64_t newer, bool all, bool few, struct diag *diag)
{
    bool known = false;
    TRY(ssi__saw_newer(txn, newer, tree, now->key, few, &known, diag));
    struct search search = {.txn = txn, .snapshot = snapshot};
    struct btree_row at = {.head = now->head};
    uint64_t told = newer;
    while (all || !known) {
        const struct undo *undo = NULL;
        enum sight sight = snapshot__sees(txn, snapshot, at.head.writer.v, at.head.undo);
        if (sight == SEEN) {
            break;
        }
        TRY(fetch(task, &search, &at, &undo, diag));
        if (sight == SIGHT_FETCH && undo->command < snapshot.command) {
            break;
        }
        if (at.head.writer.v != told) {
            bool is_known = false;
            TRY(ssi__saw_newer(txn, at.head.writer.v, tree, now->key, few, &is_known, diag));
            told = at.head.writer.v;
        }
        if (undo->kind == UNDO_INSERT) {
            break;
        }
        at.head.writer.v = undo->prev_writer;
        at.head.undo = undo->prev_undo;
    }
    return ERR_OK;
}

enum err
txn_get(struct task *task, struct txn *txn, struct txn_snapshot snapshot, tree_id_t tree,
    struct slice key, struct arena *into, struct txn_row *row, bool *found, struct diag *diag)
{
    struct btree_row raw;
    bool tracked = txn__tracks(txn, tree);
    if (tracked) {
        TRY(ssi__read_key(txn, tree, key, diag));
    }
    TRY(btree_get(task, txn->db->store, tree, key, into, &raw, found, diag));
    if (!snapshot__alive(txn, snapshot)) { /* even if there is no row: it may have been purged */
        return snapshot__too_old(diag);
    }
    if (!*found) {
        return ERR_OK;
    }
    struct btree_row now = raw;
    now.key = key;
    uint64_t newer = 0;
    TRY(find_version(task, txn, snapshot, &raw, found, &newer, into, diag));
    if (tracked && newer != 0) {
        TRY(note_newer(task, txn, snapshot, tree, &now, newer, false, true, diag));
    }
    if (!*found) {
        return ERR_OK;
    }
    row->key = key;
    row->value = raw.value;
    row->version.writer = raw.head.writer.v;
    row->version.undo = raw.head.undo;
    return (raw.head.flags & ROW_OVERFLOW) == 0
               ? ERR_OK
               : load_value(task, txn, snapshot, raw.value, into, &row->value, diag);
}

/* ---- scans -------------------------------------------------------------------------------------
 */

static struct slice
copy_slice(struct arena *arena, struct slice slice)
{
    return slice_of(arena_copy(arena, slice.data, slice.size), slice.size);
}

enum err
txn_scan_open(struct task *task, struct txn *txn, struct txn_snapshot snapshot, tree_id_t tree,
    const struct txn_range *range, bool backward, struct arena *arena, struct txn_scan **scan_out,
    struct diag *diag)
{
    (void)task;
    if (!btree_tree_exists(txn->db->store, tree)) {
        return diag_set(diag, ERR_INTERNAL, "tree %llu does not exist", (unsigned long long)tree.v);
    }
    struct txn_scan *scan = mem_zalloc(sizeof *scan);
    scan->txn = txn;
    scan->cursor = btree_cursor_new(txn->db->store);
    arena_create(&scan->values, "scan");
    scan->snapshot = snapshot;
    scan->tree = tree;
    scan->backward = backward;
    scan->range_arena = arena;
    scan->range = *range;
    if (range->has_low) {
        scan->range.low = copy_slice(arena, range->low);
    }
    if (range->has_high) {
        scan->range.high = copy_slice(arena, range->high);
    }
    *scan_out = scan;
    return ERR_OK;
}

static enum err
seek(struct task *task, struct txn_scan *scan, struct diag *diag)
{
    const struct txn_range *range = &scan->range;
    enum btree_seek how;
    struct slice key = {0};
    if (scan->backward) {
        how = !range->has_high        ? BTREE_SEEK_LAST
              : range->high_exclusive ? BTREE_SEEK_LT
                                      : BTREE_SEEK_LE;
        key = range->high;
    } else {
        how = !range->has_low        ? BTREE_SEEK_FIRST
              : range->low_exclusive ? BTREE_SEEK_GT
                                     : BTREE_SEEK_GE;
        key = range->low;
    }
    return btree_cursor_seek(task, scan->cursor, scan->tree, how, key, diag);
}

static bool
past_end(const struct txn_scan *scan, struct slice key)
{
    const struct txn_range *range = &scan->range;
    if (scan->backward) {
        if (!range->has_low) {
            return false;
        }
        int order = slice_compare(key, range->low);
        return order < 0 || (order == 0 && range->low_exclusive);
    }
    if (!range->has_high) {
        return false;
    }
    int order = slice_compare(key, range->high);
    return order > 0 || (order == 0 && range->high_exclusive);
}

static enum err
step(struct task *task, struct txn_scan *scan, struct diag *diag)
{
    if (!scan->started) {
        if (txn__tracks(scan->txn, scan->tree)) {
            TRY(ssi__scan_begin(scan->txn, scan->tree, &scan->range, scan->range_arena,
                scan->filter, &scan->reading, diag));
        }
        scan->started = true;
        return seek(task, scan, diag);
    }
    return scan->backward ? btree_cursor_prev(task, scan->cursor, diag)
                          : btree_cursor_next(task, scan->cursor, diag);
}

void
txn_scan_set_filter(struct txn_scan *scan, struct txn_filter *filter)
{
    ASSERT(!scan->started && scan->filter == NULL);
    scan->filter = filter;
}

/* Somebody concurrent has written a row in the range. With a filter it matters only if the row
 * passes, as we see it or as it is now. */
static enum err
met_newer(struct task *task, struct txn_scan *scan, uint64_t newer, const struct btree_row *now,
    const struct btree_row *seen, struct diag *diag)
{
    if (scan->filter != NULL) {
        bool now_deleted = (now->head.flags & ROW_DELETED) != 0;
        bool large = (now->head.flags & ROW_OVERFLOW) != 0 ||
                     (seen != NULL && (seen->head.flags & ROW_OVERFLOW) != 0);
        bool passes = large || (!now_deleted && scan->filter->passes(scan->filter, now->value)) ||
                      (seen != NULL && scan->filter->passes(scan->filter, seen->value));
        if (!passes && now->head.writer.v == newer) { /* no versions between */
            return ERR_OK;
        }
    }
    bool few = scan->range.has_low && scan->range.has_high;
    return note_newer(
        task, scan->txn, scan->snapshot, scan->tree, now, newer, scan->filter != NULL, few, diag);
}

enum err
txn_scan_next(
    struct task *task, struct txn_scan *scan, struct txn_row *row, bool *found, struct diag *diag)
{
    *found = false;
    while (!scan->ended) {
        TRY(step(task, scan, diag));
        const struct btree_row *at = btree_cursor_row(scan->cursor);
        if (!snapshot__alive(scan->txn, scan->snapshot)) { /* rows may be missing already */
            return snapshot__too_old(diag);
        }
        if (at == NULL || past_end(scan, at->key)) {
            scan->ended = true;
            break;
        }
        struct btree_row raw = *at;
        uint64_t newer = 0;
        bool visible = false;
        if (scan->values.used > 0) {
            arena_reset(&scan->values);
        }
        TRY(find_version(
            task, scan->txn, scan->snapshot, &raw, &visible, &newer, &scan->values, diag));
        if (newer != 0 && scan->reading.reads != NULL) {
            TRY(met_newer(task, scan, newer, at, visible ? &raw : NULL, diag));
        }
        if (!visible) {
            continue;
        }
        row->key = raw.key;
        row->value = raw.value;
        row->version.writer = raw.head.writer.v;
        row->version.undo = raw.head.undo;
        *found = true;
        return (raw.head.flags & ROW_OVERFLOW) == 0
                   ? ERR_OK
                   : load_value(task, scan->txn, scan->snapshot, raw.value, &scan->values,
                         &row->value, diag);
    }
    return ERR_OK;
}

void
txn_scan_close(struct task *task, struct txn_scan *scan)
{
    (void)task;
    if (scan->reading.reads != NULL) {
        const struct btree_row *at = scan->ended ? NULL : btree_cursor_row(scan->cursor);
        ssi__scan_end(scan->txn, &scan->reading, scan->ended, scan->backward,
            at == NULL ? (struct slice){0} : at->key);
    }
    if (scan->filter != NULL) {
        txn_filter_release(scan->filter);
    }
    btree_cursor_delete(scan->cursor);
    arena_destroy(&scan->values);
    mem_free(scan);
}

enum err
txn_tree_last_key(struct task *task, struct txn_db *db, tree_id_t tree, struct arena *into,
    struct slice *key, bool *found, struct diag *diag)
{
    return btree_last_key(task, db->store, tree, into, key, found, diag);
}

void
txn_tree_size(struct txn_db *db, tree_id_t tree, uint64_t *leaf_count, uint64_t *row_count)
{
    btree_tree_size(db->store, tree, leaf_count, row_count);
}
