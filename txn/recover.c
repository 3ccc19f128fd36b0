/*
 * txn/recover.c - the log after S, applied.
 *
 * T11. Nothing uncommitted is in the log but parts, and those count only with their commit record.
 * Parts are remembered by position and read again when it comes, so memory is bounded by the number
 * of parts, whatever their size. All rows are written with empty heads: no snapshot survived.
 */
#include "txn/txn_internal.h"

enum {
    PROGRESS_US = 2000000, /* between lines in the log */
};

struct part {
    uint64_t at; /* LSN of its record */
    uint64_t redo_before;
    uint64_t size;
};

struct open_txn {
    struct open_txn *next;
    uint64_t id;
    struct part *parts;
    size_t count, capacity;
};

struct recovery {
    struct task *task;
    struct txn_db *db;
    struct diag *diag;
    struct open_txn *open;
    struct arena scratch; /* of one change */
    struct buffer stream; /* redo of a transaction with parts, not yet applied */
    uint64_t changes, commits;
    int64_t next_progress_us;
};

/* ---- one change --------------------------------------------------------------------------------
 */

struct apply {
    bool erase;
    bool existed;
    bool had_overflow;
    uint8_t reference[64];
    size_t reference_size;
};

static enum btree_verdict
decide_apply(void *arg, const struct btree_row *current, struct row_head *head)
{
    struct apply *apply = arg;
    *head = (struct row_head){0};
    apply->existed = current != NULL;
    if (current != NULL && (current->head.flags & ROW_OVERFLOW) != 0 &&
        current->value.size <= sizeof apply->reference) {
        apply->had_overflow = true;
        apply->reference_size = current->value.size;
        memcpy(apply->reference, current->value.data, current->value.size);
    }
    if (apply->erase) {
        return current == NULL ? BTREE_KEEP : BTREE_ERASE;
    }
    return BTREE_PUT;
}

static enum err
mismatch(struct recovery *recovery, const struct redo_change *change)
{
    return diag_set(recovery->diag, ERR_CORRUPT,
        "a change in the log does not fit its row in tree %llu",
        (unsigned long long)change->tree.v);
}

/* The whole new value of a delta. */
static enum err
patch(struct recovery *recovery, const struct redo_change *change, struct slice *value)
{
    struct btree_row row;
    bool found = false;
    TRY(btree_get(recovery->task, recovery->db->store, change->tree, change->key,
        &recovery->scratch, &row, &found, recovery->diag));
    if (!found || (row.head.flags & ROW_OVERFLOW) != 0 ||
        change->prefix + change->suffix > row.value.size) {
        return mismatch(recovery, change);
    }
    size_t size = change->prefix + change->value.size + change->suffix;
    uint8_t *bytes = arena_alloc_raw(&recovery->scratch, size);
    if (change->prefix > 0) {
        memcpy(bytes, row.value.data, change->prefix);
    }
    if (change->value.size > 0) {
        memcpy(bytes + change->prefix, change->value.data, change->value.size);
    }
    if (change->suffix > 0) {
        memcpy(bytes + size - change->suffix, row.value.data + row.value.size - change->suffix,
            change->suffix);
    }
    *value = slice_of(bytes, size);
    return ERR_OK;
}

static enum err
apply_to_trees(struct recovery *recovery, const struct redo_change *change)
{
    if (change->tree.v != SYSTEM_TREE || change->key.size != 8) {
        return ERR_OK;
    }
    struct btree *store = recovery->db->store;
    tree_id_t tree = {load_be64(change->key.data)};
    if (change->op == REDO_DELETE) {
        btree_tree_drop(recovery->task, store, tree);
    } else if (!btree_tree_exists(store, tree)) {
        TRY(btree_tree_create(recovery->task, store, tree, recovery->diag));
    }
    return ERR_OK;
}

static enum err
apply_change(struct recovery *recovery, const struct redo_change *change)
{
    arena_reset(&recovery->scratch);
    struct btree *store = recovery->db->store;
    if (!btree_tree_exists(store, change->tree)) {
        return diag_set(recovery->diag, ERR_CORRUPT,
            "the log changes tree %llu, which does not exist", (unsigned long long)change->tree.v);
    }
    struct apply apply = {.erase = change->op == REDO_DELETE};
    struct slice value = change->value;
    if (change->op == REDO_DELTA) {
        TRY(patch(recovery, change, &value));
    }
    TRY(btree_modify(recovery->task, store, change->tree, change->key, value, 0, decide_apply,
        &apply, recovery->diag));
    if (apply.erase && !apply.existed) {
        return mismatch(recovery, change);
    }
    if (apply.had_overflow) {
        btree_value_free(recovery->task, store, slice_of(apply.reference, apply.reference_size));
    }
    recovery->changes++;
    (void)task_breathe(recovery->task, NULL);
    return apply_to_trees(recovery, change);
}

/* Apply what is whole; *bytes keeps the rest. */
static enum err
apply_changes(struct recovery *recovery, struct slice *bytes)
{
    struct redo_change change;
    bool bad = false;
    while (redo__next(bytes, &change, &bad)) {
        TRY(apply_change(recovery, &change));
    }
    return bad ? diag_set(recovery->diag, ERR_CORRUPT, "a change in the log is not readable")
               : ERR_OK;
}

/* ---- parts -------------------------------------------------------------------------------------
 */

static struct open_txn **
find_open(struct recovery *recovery, uint64_t id)
{
    struct open_txn **at = &recovery->open;
    while (*at != NULL && (*at)->id != id) {
        at = &(*at)->next;
    }
    return at;
}

static void
forget_open(struct open_txn **at)
{
    struct open_txn *open = *at;
    *at = open->next;
    mem_free(open->parts);
    mem_free(open);
}

/* What was rolled back to a savepoint: redo beyond `size`. */
static void
cut(struct open_txn *open, uint64_t size)
{
    while (open->count > 0 && open->parts[open->count - 1].redo_before >= size) {
        open->count--;
    }
    if (open->count > 0) {
        struct part *last = &open->parts[open->count - 1];
        uint64_t most = size - last->redo_before;
        last->size = last->size < most ? last->size : most;
    }
}

static void
note_part(struct recovery *recovery, const struct wal_record *record)
{
    struct part_head head;
    memcpy(&head, record->payload.data, sizeof head);
    struct open_txn **at = find_open(recovery, head.id);
    if (*at == NULL) {
        *at = mem_zalloc(sizeof **at);
        (*at)->id = head.id;
    }
    struct open_txn *open = *at;
    cut(open, head.redo_before);
    if (open->count == open->capacity) {
        open->capacity = open->capacity == 0 ? 64 : open->capacity * 2;
        open->parts = mem_realloc(open->parts, open->capacity * sizeof *open->parts);
    }
    open->parts[open->count++] = (struct part){
        .at = record->start.v,
        .redo_before = head.redo_before,
        .size = record->payload.size - sizeof head,
    };
}

/* Add redo of one record to the stream and apply what is whole. */
static enum err
feed(struct recovery *recovery, struct slice redo)
{
    buffer_add(&recovery->stream, redo.data, redo.size);
    struct slice rest = slice_of(recovery->stream.data, recovery->stream.size);
    TRY(apply_changes(recovery, &rest));
    buffer_consume(&recovery->stream, recovery->stream.size - rest.size);
    return ERR_OK;
}

static enum err
apply_with_parts(struct recovery *recovery, struct open_txn *open, const struct commit_head *head,
    struct slice redo)
{
    struct wal *wal = recovery->db->wal;
    cut(open, head->redo_before);
    /* The commit's own redo comes last, but its memory is the reader's: keep a copy. */
    struct buffer own = {0};
    buffer_add(&own, redo.data, redo.size);
    recovery->stream.size = 0;
    uint64_t size = 0;
    enum err err = ERR_OK;
    for (size_t i = 0; i < open->count && err == ERR_OK; i++) {
        const struct part *part = &open->parts[i];
        struct wal_record record;
        err = wal_read_at(recovery->task, wal, (lsn_t){part->at}, &record, recovery->diag);
        if (err == ERR_OK) {
            ASSERT(record.payload.size >= sizeof(struct part_head) + part->size);
            err = feed(
                recovery, slice_of(record.payload.data + sizeof(struct part_head), part->size));
            size += part->size;
        }
    }
    if (err == ERR_OK && size != head->redo_before) {
        err = diag_set(recovery->diag, ERR_CORRUPT,
            "parts of transaction %llu are missing in the log", (unsigned long long)head->id);
    }
    if (err == ERR_OK) {
        err = feed(recovery, slice_of(own.data, own.size));
    }
    if (err == ERR_OK && recovery->stream.size != 0) {
        err = diag_set(recovery->diag, ERR_CORRUPT, "a transaction in the log is cut off");
    }
    buffer_destroy(&own);
    return err;
}

/* ---- records -----------------------------------------------------------------------------------
 */

static enum err
apply_commit(struct recovery *recovery, const struct wal_record *record, bool apply)
{
    struct commit_head head;
    memcpy(&head, record->payload.data, sizeof head);
    struct slice redo =
        slice_of(record->payload.data + sizeof head, record->payload.size - sizeof head);
    if (head.idempotency_size > redo.size) {
        return diag_set(recovery->diag, ERR_CORRUPT, "a commit record in the log is malformed");
    }
    redo.data += head.idempotency_size;
    redo.size -= head.idempotency_size;
    struct open_txn **at = find_open(recovery, head.id);
    enum err err = ERR_OK;
    if (!apply) {
        err = ERR_OK; /* the checkpoint has it */
    } else if (head.redo_before > 0) {
        if (*at == NULL) {
            return diag_set(recovery->diag, ERR_CORRUPT,
                "parts of transaction %llu are missing in the log", (unsigned long long)head.id);
        }
        err = apply_with_parts(recovery, *at, &head, redo);
    } else {
        err = apply_changes(recovery, &redo);
        if (err == ERR_OK && redo.size != 0) {
            err = diag_set(recovery->diag, ERR_CORRUPT, "a transaction in the log is cut off");
        }
    }
    if (*at != NULL) {
        forget_open(at);
    }
    if (apply) {
        struct txn_db *db = recovery->db;
        db->epoch = head.epoch > db->epoch ? head.epoch : db->epoch;
        db->hlc = head.hlc > db->hlc ? head.hlc : db->hlc;
        if ((head.flags & COMMIT_CHANGES_SCHEMA) != 0) {
            atomic_store(&db->schema_lsn, record->end.v);
        }
        atomic_store(&db->visible, record->end.v);
        recovery->commits++;
    }
    return err;
}

static void
tell_progress(struct recovery *recovery)
{
    struct txn_db *db = recovery->db;
    int64_t now = world_clock_us(db->world);
    if (now < recovery->next_progress_us) {
        return;
    }
    recovery->next_progress_us = now + PROGRESS_US;
    lsn_t at;
    lsn_t limit;
    wal_progress(db->wal, &at, &limit);
    world_log(db->world, "recovery: log read to %llX of at most %llX, %llu transactions applied",
        (unsigned long long)at.v, (unsigned long long)limit.v,
        (unsigned long long)recovery->commits);
}

/* The checkpoint was written when the log was durable to its snapshot. A log that ends before it
 * has lost records, and new ones would get LSNs that the checkpoint counts as its own. */
static enum err
check_end(struct recovery *recovery, uint64_t snapshot)
{
    lsn_t at;
    lsn_t limit;
    wal_progress(recovery->db->wal, &at, &limit);
    if (at.v >= snapshot) {
        return ERR_OK;
    }
    (void)diag_set(recovery->diag, ERR_CORRUPT,
        "the log ends at %llX, before the checkpoint at %llX", (unsigned long long)at.v,
        (unsigned long long)snapshot);
    diag_hint(recovery->diag, "Log files are damaged or missing; restore them, or a backup.");
    return ERR_CORRUPT;
}

static enum err
apply_log(struct recovery *recovery, uint64_t snapshot, uint64_t *last_id)
{
    struct txn_db *db = recovery->db;
    for (;;) {
        struct wal_record record;
        bool end = false;
        TRY(wal_next(recovery->task, db->wal, &record, &end, recovery->diag));
        if (end) {
            return check_end(recovery, snapshot);
        }
        bool commit = record.type == RECORD_COMMIT;
        size_t head_size = commit ? sizeof(struct commit_head) : sizeof(struct part_head);
        if (record.version != RECORD_VERSION || (!commit && record.type != RECORD_PART) ||
            record.payload.size < head_size) {
            (void)diag_set(recovery->diag, ERR_CORRUPT,
                "log record at %llX has type %u, version %u, which this server does not know",
                (unsigned long long)record.start.v, record.type, record.version);
            diag_hint(recovery->diag, "Use the version of the server that wrote it.");
            return ERR_CORRUPT;
        }
        uint64_t id = load_le64(record.payload.data);
        *last_id = id > *last_id ? id : *last_id;
        if (commit) {
            TRY(apply_commit(recovery, &record, record.end.v > snapshot));
        } else {
            note_part(recovery, &record);
        }
        tell_progress(recovery);
    }
}

/* Trees of the store that no row of SYSTEM_TREE names: created by transactions that did not commit
 * before the crash, or dropped and not yet purged. */
static enum err
drop_orphans(struct recovery *recovery)
{
    struct txn_db *db = recovery->db;
    uint64_t last = btree_tree_last(db->store).v;
    for (uint64_t id = 1; id <= last; id++) {
        uint8_t memory[8];
        struct btree_row row;
        bool found = false;
        if (id == SYSTEM_TREE || !btree_tree_exists(db->store, (tree_id_t){id})) {
            continue;
        }
        arena_reset(&recovery->scratch);
        TRY(btree_get(recovery->task, db->store, (tree_id_t){SYSTEM_TREE},
            tree_key(memory, (tree_id_t){id}), &recovery->scratch, &row, &found, recovery->diag));
        if (!found) {
            btree_tree_drop(recovery->task, db->store, (tree_id_t){id});
        }
    }
    return ERR_OK;
}

enum err
recover__run(struct task *task, struct txn_db *db, const struct checkpoint_meta *meta,
    uint64_t *last_id, bool *any, struct diag *diag)
{
    struct recovery recovery = {.task = task, .db = db, .diag = diag};
    arena_create(&recovery.scratch, "recovery");
    int64_t start = world_clock_us(db->world);
    recovery.next_progress_us = start + PROGRESS_US;
    enum err err = ERR_OK;
    if (!btree_tree_exists(db->store, (tree_id_t){SYSTEM_TREE})) {
        err = btree_tree_create(task, db->store, (tree_id_t){SYSTEM_TREE}, diag);
    }
    if (err == ERR_OK) {
        err = apply_log(&recovery, meta->snapshot, last_id);
    }
    if (err == ERR_OK) {
        err = drop_orphans(&recovery);
    }
    if (err == ERR_OK && recovery.commits > 0) {
        world_log(db->world,
            "recovery complete: %llu transactions, %llu changes applied in %lld ms",
            (unsigned long long)recovery.commits, (unsigned long long)recovery.changes,
            (long long)(world_clock_us(db->world) - start) / 1000);
    }
    *any = recovery.commits > 0;
    while (recovery.open != NULL) {
        forget_open(&recovery.open);
    }
    buffer_destroy(&recovery.stream);
    arena_destroy(&recovery.scratch);
    return err;
}
