/*
 * txn/undo.c - versions before the newest, and the way back to them.
 *
 * A transaction's undo records lie in blocks of its own; the first block begins with the undo_log
 * that outlives the transaction until the purge. Blocks in memory are here; those in the file are
 * spill.c's.
 */
#include "txn/txn_internal.h"

enum {
    RETRY_US = 200000, /* a rollback that could not read a page */
};

static struct undo_block *
block_new(struct txn *txn, size_t need)
{
    struct undo_block *block = txn->spare;
    if (need <= UNDO_BLOCK_FIRST && block != NULL) {
        txn->spare = block->older;
        txn->spare_count--;
    } else {
        size_t size = UNDO_BLOCK_FIRST;
        if (txn->log != NULL) { /* the longer it gets, the larger the steps */
            while (size < txn->log->bytes && size < UNDO_BLOCK_MAX) {
                size *= 2;
            }
        }
        block = spill__block_new(txn->db, size < need ? need : size);
    }
    block->used = 0;
    block->last_command = 0;
    block->older = NULL;
    return block;
}

static void *
take(struct txn *txn, size_t size)
{
    size = (size + 7) & ~(size_t)7;
    struct undo_block *block = txn->log->block;
    if (block->size - block->used < size) {
        block = block_new(txn, size);
        block->older = txn->log->block;
        txn->log->block = block;
        txn->log->bytes += block->size;
    }
    void *memory = block->bytes + block->used;
    block->used += (uint32_t)size;
    block->last_command = txn->command;
    return memory;
}

void
undo__begin(struct txn *txn, uint64_t id)
{
    ASSERT(txn->log == NULL);
    struct undo_block *block = block_new(txn, UNDO_BLOCK_FIRST);
    struct undo_log *log = (struct undo_log *)(void *)block->bytes;
    *log = (struct undo_log){.id = id, .block = block, .bytes = block->size};
    block->used = (sizeof *log + 15) & ~(uint32_t)15;
    txn->log = log;
}

struct undo *
undo__add(struct txn *txn, enum undo_kind kind, tree_id_t tree, struct slice key,
    const struct btree_row *current)
{
    bool has_value = kind == UNDO_UPDATE || kind == UNDO_DELETE;
    size_t value_size = has_value ? current->value.size : 0;
    struct undo *undo = take(txn, sizeof *undo + key.size + value_size);
    undo->txn_prev = txn->log->last;
    undo->prev_writer = kind == UNDO_INSERT ? 0 : current->head.writer.v;
    undo->prev_undo = kind == UNDO_INSERT ? 0 : current->head.undo;
    /* A tombstone's value belongs to the record of the one who deleted it. */
    undo->prev_flags = kind == UNDO_INSERT        ? 0
                       : kind == UNDO_INSERT_OVER ? ROW_DELETED
                                                  : current->head.flags;
    undo->tree = tree.v;
    undo->command = txn->command;
    undo->key_size = (uint16_t)key.size;
    undo->value_size = (uint32_t)value_size;
    undo->kind = (uint8_t)kind;
    memcpy(undo->bytes, key.data, key.size);
    if (value_size > 0) {
        memcpy(undo->bytes + key.size, current->value.data, value_size);
    }
    if (kind == UNDO_DELETE || (undo->prev_flags & ROW_OVERFLOW) != 0) {
        txn->log->work++;
    }
    txn->log->trees = txn->log->trees || tree.v == SYSTEM_TREE;
    txn->log->last =
        undo_handle(txn->log->block, undo) | (kind == UNDO_INSERT ? UNDO_OF_INSERT : 0);
    return undo;
}

void
undo__free(struct txn_db *db, struct undo_log *log, struct txn *keeper)
{
    bool scarce = spill__needs_room(db);
    struct undo_block *block = log->block; /* the log itself goes with the last one */
    bool moved = log->moved;
    if (log->spilled != 0) {
        spill__free_spilled(db, log);
    }
    while (block != NULL) {
        struct undo_block *older = block->older;
        if (keeper != NULL && block->size == UNDO_BLOCK_FIRST && !scarce &&
            keeper->spare_count < SPARE_BLOCKS_MAX) {
            block->older = keeper->spare;
            keeper->spare = block;
            keeper->spare_count++;
        } else {
            spill__block_free(db, block);
        }
        block = older;
    }
    if (moved) {
        atomic_fetch_sub_explicit(&db->undo_bytes, sizeof *log, memory_order_relaxed);
        mem_free(log);
    }
}

/* ---- rolling back ------------------------------------------------------------------------------
 */

struct restore {
    const struct undo *undo;
    uint64_t handle;
    uint64_t id;
    bool free_value; /* the version undone had overflow pages */
    uint8_t reference[64];
    size_t reference_size;
};

static enum btree_verdict
decide_restore(void *arg, const struct btree_row *current, struct row_head *head)
{
    struct restore *restore = arg;
    const struct undo *undo = restore->undo;
    /* Our own row, and nobody wrote it since: it was reserved by its writer (T5). */
    ASSERT(current != NULL && current->head.writer.v == restore->id &&
           current->head.undo == restore->handle);
    if (undo->kind != UNDO_DELETE && (current->head.flags & ROW_OVERFLOW) != 0) {
        ASSERT(current->value.size <= sizeof restore->reference);
        memcpy(restore->reference, current->value.data, current->value.size);
        restore->reference_size = current->value.size;
        restore->free_value = true;
    }
    *head = (struct row_head){
        .writer = {undo->prev_writer}, .undo = undo->prev_undo, .flags = undo->prev_flags};
    switch ((enum undo_kind)undo->kind) {
    case UNDO_INSERT:
        return BTREE_ERASE;
    case UNDO_INSERT_OVER:
    case UNDO_UPDATE:
    case UNDO_DELETE: /* the value may be gone from the tombstone: an insert lay over it */
        break;
    }
    return BTREE_PUT;
}

/* What fails is tried again: the row stays ours, and locked, until it is restored. */
static void
wait_to_retry(struct task *task, struct txn_db *db, const struct diag *diag)
{
    world_log(db->world, "rollback waits: %s", diag->message);
    task_park(task, world_clock_us(db->world) + RETRY_US);
}

static void
restore_row(struct task *task, struct txn *txn, const struct undo *undo, uint64_t handle)
{
    struct txn_db *db = txn->db;
    struct restore restore = {.undo = undo, .handle = handle, .id = txn->log->id};
    struct slice value = {0};
    if (undo->kind != UNDO_INSERT) {
        value = undo->value_size > 0 ? undo_value(undo) : slice_of("", 0);
    }
    struct diag diag;
    while (btree_modify(task, db->store, (tree_id_t){undo->tree}, undo_key(undo), value,
               undo->prev_flags & ROW_OVERFLOW, decide_restore, &restore, &diag) != ERR_OK) {
        wait_to_retry(task, db, &diag);
    }
    if (restore.free_value) {
        btree_value_free(task, db->store, slice_of(restore.reference, restore.reference_size));
    }
}

/* The purge has work with it (purge.c). A record in the file stays as it is: a copy is chained. */
static void
chain_undone(struct txn *txn, const struct undo *undo, uint64_t handle)
{
    struct undo_log *log = txn->log;
    struct undo *chained = undo_at(txn->db, handle);
    if (chained == NULL) {
        size_t size = sizeof *undo + undo->key_size + undo->value_size;
        chained = take(txn, size);
        memcpy(chained, undo, size);
        handle = undo_handle(log->block, chained);
    }
    chained->txn_prev = log->undone;
    log->undone = handle;
    log->work++;
}

void
undo__roll_back(struct task *task, struct txn *txn, uint64_t until)
{
    struct undo_log *log = txn->log;
    unsigned count = 0;
    while (log->last != until) {
        uint64_t handle = log->last;
        const struct undo *undo = NULL;
        struct diag diag;
        ASSERT(handle != 0);
        while (undo__fetch(task, txn->db, &txn->reader, handle, &undo, &diag) != ERR_OK) {
            wait_to_retry(task, txn->db, &diag);
        }
        restore_row(task, txn, undo, handle);
        log->last = undo->txn_prev;
        if (undo->kind == UNDO_INSERT_OVER ||
            (undo->kind == UNDO_INSERT && undo->tree == SYSTEM_TREE)) {
            chain_undone(txn, undo, handle);
        }
        if (++count % 64 == 0) {
            (void)task_breathe(task, NULL); /* a rollback does not obey interrupts */
        }
    }
}

/* ---- looking at it -----------------------------------------------------------------------------
 */

enum err
txn_changes(struct task *task, struct txn *txn, struct arena *arena, size_t most,
    struct txn_change **changes, size_t *count, struct diag *diag)
{
    size_t capacity = 16;
    *changes = arena_array(arena, capacity, sizeof **changes);
    *count = 0;
    for (uint64_t at = txn->log == NULL ? 0 : txn->log->last; at != 0;) {
        const struct undo *undo = NULL;
        TRY(undo__fetch(task, txn->db, &txn->reader, at, &undo, diag));
        if (*count == most) {
            return diag_set(diag, ERR_PROGRAM_LIMIT, "the transaction has changed too many rows");
        }
        if (*count == capacity) {
            struct txn_change *more = arena_array(arena, capacity * 2, sizeof *more);
            memcpy(more, *changes, capacity * sizeof *more);
            *changes = more;
            capacity *= 2;
        }
        struct txn_change *change = &(*changes)[(*count)++];
        struct slice key = undo_key(undo);
        struct slice value = undo_value(undo);
        bool large = (undo->prev_flags & ROW_OVERFLOW) != 0;
        *change = (struct txn_change){.tree = {undo->tree}};
        change->key = slice_of(arena_copy(arena, key.data, key.size), key.size);
        change->had = (undo->kind == UNDO_UPDATE || undo->kind == UNDO_DELETE) &&
                      (undo->prev_flags & ROW_DELETED) == 0;
        change->before = slice_of(arena_copy(arena, value.data, value.size), value.size);
        at = undo->txn_prev;
        if (change->had && large) {
            TRY(btree_value_load(
                task, txn->db->store, change->before, arena, &change->before, diag));
        }
    }
    return ERR_OK;
}
