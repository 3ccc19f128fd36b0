/*
 * txn/recover.c - the log after S, applied.
 *
 * T11. Nothing uncommitted is in the log but parts, and those count only with their commit record.
 * Parts are remembered by position and read again when it comes, so memory is bounded by the number
 * of parts, whatever their size. All rows are written with empty heads: no snapshot survived.
 *
 * One task reads the log, checks it and takes it apart; where there are several workers, one task
 * of each applies. Changes of one key go to one applier, in order (T15); so do those of keys that
 * are neighbours, for a tree that grows at its end to be filled by one. What makes, builds or drops
 * a tree waits until everything before it has been applied, and goes before everything after it.
 */
#include <inttypes.h>

#include "base/hash.h"
#include "txn/txn_internal.h"

enum {
    PROGRESS_US = 2000000, /* between lines in the log */
    APPLIERS_MAX = 16,
    BATCH_SIZE = 64 * 1024,
    BATCHES_MAX = 8,     /* that wait for one applier */
    NEIGHBOUR_BYTES = 2, /* keys that differ only there are neighbours */
};

struct part {
    uint64_t at; /* LSN of its record */
    uint64_t redo_before;
    uint64_t size; /* of its redo, without what was undone */
    bool packed;
};

struct open_txn {
    struct open_txn *next;
    uint64_t id;
    struct part *parts;
    size_t count, capacity;
};

/* Changes as in the log, one after the other. */
struct batch {
    struct batch *next;
    size_t size, capacity;
    uint8_t bytes[];
};

/* Who writes to the trees: the reader itself, or a task of its own. */
struct applier {
    struct recovery *recovery;
    struct task *task;
    struct arena scratch; /* of one change */
    struct diag *diag;
    uint64_t changes;
    struct batch *filling; /* the reader's */
    struct latch latch;    /* the next ones */
    struct batch *first, **end;
    unsigned waiting; /* batches that are not applied yet */
    bool stop;
    enum err err;
    struct diag own_diag;
};

struct recovery {
    struct task *task;
    struct txn_db *db;
    struct diag *diag;
    struct txn_recovery_progress *progress;
    const struct recover_target *target;
    struct open_txn *open;
    struct buffer stream;   /* redo of a transaction with parts, not yet applied */
    struct buffer unpacked; /* redo of one record */
    struct applier reader;
    struct applier *appliers;
    unsigned applier_count; /* 0: the reader applies */
    _Atomic unsigned running;
    uint64_t commits;
    uint64_t from; /* where reading began */
    int64_t start_us, next_progress_us;
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
mismatch(struct applier *applier, const struct redo_change *change)
{
    return diag_set(applier->diag, ERR_CORRUPT,
        "a change in the log does not fit its row in tree %llu",
        (unsigned long long)change->tree.v);
}

/* The whole new value of a delta. */
static enum err
patch(struct applier *applier, const struct redo_change *change, struct slice *value)
{
    struct btree_row row;
    bool found = false;
    TRY(btree_get(applier->task, applier->recovery->db->store, change->tree, change->key,
        &applier->scratch, &row, &found, applier->diag));
    if (!found || (row.head.flags & ROW_OVERFLOW) != 0 ||
        change->prefix + change->suffix > row.value.size) {
        return mismatch(applier, change);
    }
    size_t size = change->prefix + change->value.size + change->suffix;
    uint8_t *bytes = arena_alloc_raw(&applier->scratch, size);
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
apply_change(struct applier *applier, const struct redo_change *change)
{
    arena_reset(&applier->scratch);
    struct btree *store = applier->recovery->db->store;
    if (!btree_tree_exists(store, change->tree)) {
        return diag_set(applier->diag, ERR_CORRUPT,
            "the log changes tree %llu, which does not exist", (unsigned long long)change->tree.v);
    }
    struct apply apply = {.erase = change->op == REDO_DELETE};
    struct slice value = change->value;
    if (change->op == REDO_DELTA) {
        TRY(patch(applier, change, &value));
    }
    TRY(btree_modify(applier->task, store, change->tree, change->key, value, 0, decide_apply,
        &apply, applier->diag));
    if (apply.erase && !apply.existed) {
        return mismatch(applier, change);
    }
    if (apply.had_overflow) {
        btree_value_free(applier->task, store, slice_of(apply.reference, apply.reference_size));
    }
    applier->changes++;
    (void)task_breathe(applier->task, NULL);
    return ERR_OK;
}

/* ---- appliers ----------------------------------------------------------------------------------
 */

/* The next batch, or NULL: the end. */
static struct batch *
take_batch(struct applier *applier)
{
    for (;;) {
        latch_acquire(&applier->latch);
        struct batch *batch = applier->first;
        bool stop = applier->stop;
        if (batch != NULL) {
            applier->first = batch->next;
            applier->end = applier->first == NULL ? &applier->first : applier->end;
        }
        latch_release(&applier->latch);
        if (batch != NULL || stop) {
            return batch;
        }
        task_park(applier->task, WORLD_NEVER);
    }
}

static void
applier_main(struct task *task, void *arg)
{
    struct applier *applier = arg;
    struct recovery *recovery = applier->recovery;
    struct task *reader = recovery->task;
    applier->task = task;
    atomic_fetch_add(&recovery->running, 1);
    task_unpark(reader);
    struct batch *batch = NULL;
    while ((batch = take_batch(applier)) != NULL) {
        struct slice bytes = slice_of(batch->bytes, batch->size);
        struct redo_change change;
        bool bad = false;
        enum err err = applier->err; /* after an error nothing more is applied */
        while (err == ERR_OK && redo__next(&bytes, &change, &bad)) {
            err = apply_change(applier, &change);
        }
        ASSERT(err != ERR_OK || bytes.size == 0); /* the reader has taken it apart before */
        mem_free(batch);
        latch_acquire(&applier->latch);
        applier->err = err;
        applier->waiting--;
        latch_release(&applier->latch);
        task_unpark(reader);
    }
    task_unpark(reader);
    atomic_fetch_sub(&recovery->running, 1); /* the last that is touched of it */
}

static enum err
start_appliers(struct recovery *recovery)
{
    unsigned count = world_worker_count(recovery->db->world);
    count = count > APPLIERS_MAX ? APPLIERS_MAX : count;
    if (count < 2) {
        return ERR_OK;
    }
    recovery->appliers = mem_array(count, sizeof *recovery->appliers);
    for (unsigned i = 0; i < count; i++) {
        struct applier *applier = &recovery->appliers[i];
        applier->recovery = recovery;
        applier->diag = &applier->own_diag;
        applier->end = &applier->first;
        arena_create(&applier->scratch, "recovery");
        recovery->applier_count++;
        enum err err = task_spawn(
            recovery->db->world, (int)i, "recovery", applier_main, applier, recovery->diag);
        if (err != ERR_OK) {
            arena_destroy(&applier->scratch);
            recovery->applier_count--;
            return err;
        }
    }
    while (atomic_load(&recovery->running) < count) {
        task_park(recovery->task, world_clock_us(recovery->db->world) + 1000);
    }
    return ERR_OK;
}

static void
stop_appliers(struct recovery *recovery)
{
    /* Those that were spawned may not run yet. */
    while (atomic_load(&recovery->running) < recovery->applier_count) {
        task_park(recovery->task, world_clock_us(recovery->db->world) + 1000);
    }
    for (unsigned i = 0; i < recovery->applier_count; i++) {
        struct applier *applier = &recovery->appliers[i];
        latch_acquire(&applier->latch);
        applier->stop = true;
        latch_release(&applier->latch);
        task_unpark(applier->task);
    }
    while (atomic_load(&recovery->running) > 0) {
        task_park(recovery->task, world_clock_us(recovery->db->world) + 1000);
    }
    for (unsigned i = 0; i < recovery->applier_count; i++) {
        struct applier *applier = &recovery->appliers[i];
        recovery->reader.changes += applier->changes;
        mem_free(applier->filling);
        arena_destroy(&applier->scratch);
    }
    mem_free(recovery->appliers);
    recovery->applier_count = 0;
}

/* Sleep until at most so many batches wait for the applier; its error, if it has one. */
static enum err
wait_for(struct recovery *recovery, struct applier *applier, unsigned waiting_max)
{
    for (;;) {
        latch_acquire(&applier->latch);
        bool done = applier->waiting <= waiting_max;
        enum err err = applier->err;
        latch_release(&applier->latch);
        if (err != ERR_OK) {
            *recovery->diag = applier->own_diag; /* it is not written again */
            return err;
        }
        if (done) {
            return ERR_OK;
        }
        TRY(task_interrupted(recovery->task, recovery->diag));
        task_park(recovery->task, WORLD_NEVER);
    }
}

static enum err
send(struct recovery *recovery, struct applier *applier)
{
    struct batch *batch = applier->filling;
    if (batch == NULL) {
        return ERR_OK;
    }
    TRY(wait_for(recovery, applier, BATCHES_MAX - 1));
    applier->filling = NULL;
    latch_acquire(&applier->latch);
    *applier->end = batch;
    applier->end = &batch->next;
    applier->waiting++;
    latch_release(&applier->latch);
    task_unpark(applier->task);
    return ERR_OK;
}

/* Until all that was given out is applied. */
static enum err
settle(struct recovery *recovery)
{
    for (unsigned i = 0; i < recovery->applier_count; i++) {
        TRY(send(recovery, &recovery->appliers[i]));
    }
    for (unsigned i = 0; i < recovery->applier_count; i++) {
        TRY(wait_for(recovery, &recovery->appliers[i], 0));
    }
    return ERR_OK;
}

/* T15 */
static struct applier *
applier_of(struct recovery *recovery, const struct redo_change *change)
{
    size_t size = change->key.size > NEIGHBOUR_BYTES ? change->key.size - NEIGHBOUR_BYTES : 0;
    uint64_t hash = hash64(change->key.data, size, change->tree.v);
    return &recovery->appliers[(hash >> 32) * recovery->applier_count >> 32];
}

static enum err
hand_over(struct recovery *recovery, const struct redo_change *change, struct slice raw)
{
    struct applier *applier = applier_of(recovery, change);
    struct batch *batch = applier->filling;
    if (batch != NULL && batch->size + raw.size > batch->capacity) {
        TRY(send(recovery, applier));
        batch = NULL;
    }
    if (batch == NULL) {
        size_t capacity = raw.size > BATCH_SIZE ? raw.size : BATCH_SIZE;
        batch = mem_alloc(sizeof *batch + capacity);
        *batch = (struct batch){.capacity = capacity};
        applier->filling = batch;
    }
    memcpy(batch->bytes + batch->size, raw.data, raw.size);
    batch->size += raw.size;
    return ERR_OK;
}

/* Apply what is whole, or give it to who does; *bytes keeps the rest. */
static enum err
apply_changes(struct recovery *recovery, struct slice *bytes)
{
    struct redo_change change;
    bool bad = false;
    for (;;) {
        const uint8_t *raw = bytes->data;
        if (!redo__next(bytes, &change, &bad)) {
            break;
        }
        bool trees = change.tree.v == SYSTEM_TREE || change.op == REDO_BUILD;
        if (recovery->applier_count > 0 && !trees) {
            TRY(hand_over(recovery, &change, slice_of(raw, (size_t)(bytes->data - raw))));
            continue;
        }
        TRY(trees ? settle(recovery) : ERR_OK);
        if (change.op == REDO_BUILD) {
            TRY(fill__rebuild(
                recovery->task, recovery->db, change.tree, change.value, recovery->diag));
            continue;
        }
        TRY(apply_change(&recovery->reader, &change));
        TRY(apply_to_trees(recovery, &change));
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
    struct slice redo =
        slice_of(record->payload.data + sizeof head, record->payload.size - sizeof head);
    bool packed = record->type == RECORD_PART_PACKED;
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
        .size = packed ? redo__unpacked_size(redo) : redo.size,
        .packed = packed,
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
        if (err != ERR_OK) {
            break;
        }
        struct slice bytes = slice_of(record.payload.data + sizeof(struct part_head),
            record.payload.size - sizeof(struct part_head));
        if (part->packed) {
            err = redo__unpack(bytes, &recovery->unpacked, recovery->diag);
            bytes = slice_of(recovery->unpacked.data, recovery->unpacked.size);
        }
        if (err == ERR_OK) {
            ASSERT(bytes.size >= part->size);
            err = feed(recovery, slice_of(bytes.data, part->size));
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
    if (apply && record->type == RECORD_COMMIT_PACKED) {
        TRY(redo__unpack(redo, &recovery->unpacked, recovery->diag));
        redo = slice_of(recovery->unpacked.data, recovery->unpacked.size);
    }
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
    lsn_t at;
    lsn_t limit;
    wal_progress(db->wal, &at, &limit);
    if (recovery->progress != NULL) {
        atomic_store_explicit(&recovery->progress->at, at.v, memory_order_relaxed);
        atomic_store_explicit(&recovery->progress->limit, limit.v, memory_order_relaxed);
    }
    int64_t now = world_clock_us(db->world);
    if (now < recovery->next_progress_us) {
        return;
    }
    recovery->next_progress_us = now + PROGRESS_US;
    uint64_t done = at.v - recovery->from;
    uint64_t all = limit.v > at.v ? limit.v - recovery->from : done;
    double seconds = (double)(now - recovery->start_us) / 1e6;
    world_log(db->world,
        "recovery: %.1f of about %.1f MB of the log (%" PRIu64 " %%), %.1f MB/s, %" PRIu64
        " transactions",
        (double)done / 1e6, (double)all / 1e6, all == 0 ? 100 : done * 100 / all,
        (double)done / 1e6 / seconds, recovery->commits);
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

/* Is the commit behind where recovery shall stop? */
static bool
is_beyond(const struct recovery *recovery, const struct wal_record *record)
{
    const struct recover_target *target = recovery->target;
    struct commit_head head;
    memcpy(&head, record->payload.data, sizeof head);
    return (target->lsn != 0 && record->end.v > target->lsn) ||
           (target->time_us != 0 && (int64_t)(head.hlc >> 12) > target->time_us);
}

/* The log's end has come first. */
static enum err
check_target(struct recovery *recovery)
{
    const struct recover_target *target = recovery->target;
    lsn_t at;
    lsn_t limit;
    wal_progress(recovery->db->wal, &at, &limit);
    if (target->time_us != 0 || (target->lsn != 0 && at.v < target->lsn)) {
        (void)diag_set(recovery->diag, ERR_INVALID_PARAMETER_VALUE,
            "the log ends at %" PRIX64 ", before the point that is asked for", at.v);
        diag_hint(recovery->diag, "Files are missing from the archive, or nothing was committed "
                                  "after that point; without one, all is restored.");
        return ERR_INVALID_PARAMETER_VALUE;
    }
    return ERR_OK;
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
            TRY(settle(recovery));
            TRY(check_end(recovery, snapshot));
            return check_target(recovery);
        }
        TRY(task_interrupted(recovery->task, recovery->diag));
        if (record.type == RECORD_CLOCK && record.version == RECORD_VERSION &&
            record.payload.size >= 8) {
            uint64_t stamp = load_le64(record.payload.data);
            db->hlc = stamp > db->hlc ? stamp : db->hlc;
            continue;
        }
        bool commit = record.type == RECORD_COMMIT || record.type == RECORD_COMMIT_PACKED;
        bool part = record.type == RECORD_PART || record.type == RECORD_PART_PACKED;
        size_t head_size = commit ? sizeof(struct commit_head) : sizeof(struct part_head);
        if (record.version != RECORD_VERSION || (!commit && !part) ||
            record.payload.size < head_size) {
            (void)diag_set(recovery->diag, ERR_CORRUPT,
                "log record at %llX has type %u, version %u, which this server does not know",
                (unsigned long long)record.start.v, record.type, record.version);
            diag_hint(recovery->diag, "Use the version of the server that wrote it.");
            return ERR_CORRUPT;
        }
        if (commit && is_beyond(recovery, &record)) {
            TRY(settle(recovery));
            world_log(db->world, "recovery stops before %" PRIX64 ", as asked for", record.start.v);
            return wal_cut(recovery->task, db->wal, record.start, recovery->diag);
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
        arena_reset(&recovery->reader.scratch);
        TRY(btree_get(recovery->task, db->store, (tree_id_t){SYSTEM_TREE},
            tree_key(memory, (tree_id_t){id}), &recovery->reader.scratch, &row, &found,
            recovery->diag));
        if (!found) {
            btree_tree_drop(recovery->task, db->store, (tree_id_t){id});
        }
    }
    return ERR_OK;
}

static enum err
run(struct recovery *recovery, const struct checkpoint_meta *meta, uint64_t *last_id)
{
    struct txn_db *db = recovery->db;
    if (!btree_tree_exists(db->store, (tree_id_t){SYSTEM_TREE})) {
        TRY(btree_tree_create(recovery->task, db->store, (tree_id_t){SYSTEM_TREE}, recovery->diag));
    }
    const struct recover_target *target = recovery->target;
    if ((target->lsn != 0 && target->lsn < meta->snapshot) ||
        (target->time_us != 0 && target->time_us < (int64_t)(meta->hlc >> 12))) {
        (void)diag_set(recovery->diag, ERR_INVALID_PARAMETER_VALUE,
            "the backup is of a later point than the one asked for");
        diag_hint(recovery->diag, "Use an earlier backup.");
        return ERR_INVALID_PARAMETER_VALUE;
    }
    enum err err = start_appliers(recovery);
    if (err == ERR_OK) {
        err = apply_log(recovery, meta->snapshot, last_id);
    }
    stop_appliers(recovery);
    return err == ERR_OK ? drop_orphans(recovery) : err;
}

static void
tell_end(const struct recovery *recovery)
{
    struct txn_db *db = recovery->db;
    lsn_t at;
    lsn_t limit;
    wal_progress(db->wal, &at, &limit);
    int64_t us = world_clock_us(db->world) - recovery->start_us;
    world_log(db->world,
        "recovery complete: %" PRIu64 " transactions, %" PRIu64
        " changes, %.1f MB of the log applied in %" PRId64 " ms (%.0f changes a second)",
        recovery->commits, recovery->reader.changes, (double)(at.v - recovery->from) / 1e6,
        us / 1000, (double)recovery->reader.changes * 1e6 / (double)(us + 1));
}

enum err
recover__run(struct task *task, struct txn_db *db, const struct checkpoint_meta *meta,
    const struct recover_target *target, struct txn_recovery_progress *progress, uint64_t *last_id,
    bool *any, struct diag *diag)
{
    struct recovery recovery = {
        .task = task, .db = db, .diag = diag, .progress = progress, .target = target};
    lsn_t from;
    lsn_t limit;
    wal_progress(db->wal, &from, &limit);
    recovery.from = from.v;
    if (progress != NULL) {
        atomic_store(&progress->from, from.v);
        atomic_store(&progress->at, from.v);
        atomic_store(&progress->limit, limit.v);
    }
    recovery.reader = (struct applier){.recovery = &recovery, .task = task, .diag = diag};
    arena_create(&recovery.reader.scratch, "recovery");
    recovery.start_us = world_clock_us(db->world);
    recovery.next_progress_us = recovery.start_us + PROGRESS_US;
    enum err err = run(&recovery, meta, last_id);
    if (err == ERR_OK && recovery.commits > 0) {
        tell_end(&recovery);
    }
    *any = recovery.commits > 0;
    while (recovery.open != NULL) {
        forget_open(&recovery.open);
    }
    buffer_destroy(&recovery.stream);
    buffer_destroy(&recovery.unpacked);
    arena_destroy(&recovery.reader.scratch);
    return err;
}
