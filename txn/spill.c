/*
 * txn/spill.c - where undo is: in memory up to a budget, beyond it in a file without a name.
 *
 * Undo is named by handles (T12): the number of a block and a place in it. The table of places says
 * whether the block is in memory or where in the file. Blocks go to the file when undo in memory is
 * over its budget: those of ended transactions are written by the keeper, in the order of their
 * ends; those of a transaction at work by itself, all but the first (its log is there) and the
 * newest. They never come back to memory: who needs one reads it, whole, into his own reader.
 *
 * Who follows a handle looks into the table and uses the memory it finds before he sleeps. So after
 * the place says "in the file", the memory stays for a grace period: until every worker has come
 * back to its scheduler (a task of ours on each one says so). Readers pay one load for all this.
 *
 * If undo reaches its limit, file included, the oldest snapshot that holds ended transactions' undo
 * back is given up (T13), then the next one. If it is transactions at work that fill it, the large
 * ones among them get ERR_LIMIT.
 *
 * Latch order: none is taken under places_latch or the file's.
 */
#include <stddef.h>
#include <stdio.h>

#include "base/hash.h"
#include "txn/txn_internal.h"

enum {
    PLACES_MAX = UNDO_CHUNKS * UNDO_CHUNK_BLOCKS,
    PLACES_RESERVE = 1 << 20, /* this near to their end counts as the limit */
    BATCH_BLOCKS = 1024,
    HURRY_US = 2000,    /* the keeper is not asked more often */
    RECORD_GUESS = 512, /* read at first */
    GRACE_POLL_US = 200,
    GIVE_UP_TELL_US = 5 * 1000 * 1000, /* not more often, to the log */
    ROOM_POLL_US = 2000,
    ROOM_TIMEOUT_US = 10 * 1000 * 1000,
    SPILL_RETRY_US = 1000 * 1000, /* after a write that failed */
};

struct pacer {
    struct txn_db *db;
    _Atomic(struct task *) task;
    _Atomic uint64_t seen;
};

/* ---- grace -------------------------------------------------------------------------------------
 */

static void
pacer_main(struct task *task, void *arg)
{
    struct pacer *pacer = arg;
    struct txn_db *db = pacer->db;
    atomic_store(&pacer->task, task);
    while (!atomic_load(&db->pacers_stopping)) {
        uint64_t wanted = atomic_load(&db->grace_wanted);
        if (atomic_load(&pacer->seen) == wanted) {
            task_park(task, WORLD_NEVER);
        }
        atomic_store(&pacer->seen, wanted);
    }
    while (!atomic_load(&db->pacers_may_end)) { /* whoever wakes us has done so */
        task_park(task, world_clock_us(db->world) + 1000);
    }
    atomic_fetch_sub(&db->pacers_running, 1);
}

enum err
spill__start(struct task *task, struct txn_db *db, struct diag *diag)
{
    unsigned count = world_worker_count(db->world);
    db->pacers = mem_array(count, sizeof *db->pacers);
    for (unsigned i = 0; i < count; i++) {
        db->pacers[i].db = db;
        TRY(task_spawn(db->world, (int)i, "undo pacer", pacer_main, &db->pacers[i], diag));
        atomic_fetch_add(&db->pacers_running, 1);
        while (atomic_load(&db->pacers[i].task) == NULL) {
            task_park(task, world_clock_us(db->world) + 1000);
        }
    }
    return ERR_OK;
}

/* Nobody needs a grace period any more. */
static void
stop_pacers(struct task *task, struct txn_db *db)
{
    atomic_store(&db->pacers_stopping, true);
    for (unsigned i = 0; db->pacers != NULL && i < world_worker_count(db->world); i++) {
        struct task *pacer = atomic_load(&db->pacers[i].task);
        if (pacer != NULL) {
            task_unpark(pacer);
        }
    }
    atomic_store(&db->pacers_may_end, true);
    while (atomic_load(&db->pacers_running) > 0) {
        task_park(task, world_clock_us(db->world) + 1000);
    }
}

void
spill__grace(struct task *task, struct txn_db *db)
{
    uint64_t ticket = atomic_fetch_add(&db->grace_wanted, 1) + 1;
    unsigned count = world_worker_count(db->world);
    for (unsigned i = 0; i < count; i++) {
        task_unpark(atomic_load(&db->pacers[i].task));
    }
    for (unsigned i = 0; i < count; i++) {
        while (atomic_load(&db->pacers[i].seen) < ticket) {
            task_park(task, world_clock_us(db->world) + GRACE_POLL_US);
        }
    }
}

/* ---- places and blocks -------------------------------------------------------------------------
 */

void
spill__create(struct txn_db *db)
{
    db->places = mem_array(UNDO_CHUNKS, sizeof *db->places);
    db->next_place = 1; /* a handle is not 0 */
}

void
spill__destroy(struct task *task, struct txn_db *db)
{
    stop_pacers(task, db);
    for (unsigned i = 0; i < UNDO_CHUNKS; i++) {
        mem_free(atomic_load(&db->places[i]));
    }
    mem_free(db->places);
    mem_free(db->pacers);
    mem_free(db->undo_file.live);
    if (db->undo_file.file != NULL) {
        world_file_close(task, db->undo_file.file);
    }
    undo_reader_destroy(&db->purge_reader);
    undo_reader_destroy(&db->checkpoint_reader);
}

static uint32_t
take_number(struct txn_db *db)
{
    latch_acquire(&db->places_latch);
    uint32_t number = db->free_place;
    if (number != 0) {
        db->free_place = undo__place(db, number)->next;
    } else {
        number = db->next_place++;
        ASSERT(number < PLACES_MAX); /* spill__make_room comes first */
        _Atomic(struct undo_place *) *chunk = &db->places[number >> UNDO_CHUNK_BITS];
        if (atomic_load_explicit(chunk, memory_order_relaxed) == NULL) {
            atomic_store_explicit(chunk, mem_array(UNDO_CHUNK_BLOCKS, sizeof(struct undo_place)),
                memory_order_release);
        }
    }
    latch_release(&db->places_latch);
    return number;
}

static void
give_number(struct txn_db *db, uint32_t number)
{
    latch_acquire(&db->places_latch);
    undo__place(db, number)->next = db->free_place;
    db->free_place = number;
    latch_release(&db->places_latch);
}

struct undo_block *
spill__block_new(struct txn_db *db, size_t size)
{
    ASSERT(size <= UNDO_BLOCK_MAX);
    struct undo_block *block = mem_alloc(sizeof *block + size);
    block->size = (uint32_t)size;
    block->number = take_number(db);
    atomic_store_explicit(&undo__place(db, block->number)->memory, block, memory_order_release);
    atomic_fetch_add_explicit(&db->undo_bytes, size, memory_order_relaxed);
    return block;
}

void
spill__block_free(struct txn_db *db, struct undo_block *block)
{
    atomic_fetch_sub_explicit(&db->undo_bytes, block->size, memory_order_relaxed);
    atomic_store_explicit(&undo__place(db, block->number)->memory, NULL, memory_order_relaxed);
    give_number(db, block->number);
    mem_free(block);
}

void
spill__free_spilled(struct txn_db *db, struct undo_log *log)
{
    struct undo_file *file = &db->undo_file;
    uint32_t number = log->spilled;
    log->spilled = 0;
    while (number != 0) {
        const struct undo_place *place = undo__place(db, number);
        uint32_t next = place->next;
        atomic_fetch_sub_explicit(&db->undo_spilled, place->used, memory_order_relaxed);
        latch_acquire(&file->latch);
        file->live[place->at / UNDO_SEGMENT_SIZE]--;
        latch_release(&file->latch);
        give_number(db, number);
        number = next;
    }
}

/* ---- reading from the file ---------------------------------------------------------------------
 */

void
undo_reader_destroy(struct undo_reader *reader)
{
    mem_free(reader->bytes);
    mem_free(reader->record);
    *reader = (struct undo_reader){0};
}

static enum err
damaged(struct txn_db *db, uint64_t at, struct diag *diag)
{
    return diag_set(diag, ERR_CORRUPT, "old row versions in the file \"%s\" are damaged at %llu",
        world_file_path(atomic_load(&db->undo_file.file)), (unsigned long long)at);
}

static size_t
record_size(const struct undo *undo)
{
    return sizeof *undo + undo->key_size + undo->value_size;
}

static uint32_t
record_crc(const struct undo *undo)
{
    uint32_t crc = crc32c(CRC32C_INIT, undo, offsetof(struct undo, crc));
    return crc32c(crc, undo->bytes, (size_t)undo->key_size + undo->value_size);
}

static enum err
read_bytes(struct task *task, struct txn_db *db, uint64_t at, uint8_t **bytes, size_t *capacity,
    size_t size, struct diag *diag)
{
    if (*capacity < size) {
        mem_free(*bytes);
        *bytes = mem_alloc(size);
        *capacity = size;
    }
    size_t got = 0;
    TRY(world_file_read(task, atomic_load(&db->undo_file.file), at, *bytes, size, &got, diag));
    return got == size ? ERR_OK : damaged(db, at, diag);
}

/* A record alone. */
static enum err
read_record(struct task *task, struct txn_db *db, struct undo_reader *reader, uint64_t at,
    size_t room, const struct undo **undo, struct diag *diag)
{
    size_t size = room < RECORD_GUESS ? room : RECORD_GUESS;
    for (;;) {
        TRY(read_bytes(task, db, at, &reader->record, &reader->record_capacity, size, diag));
        *undo = (const struct undo *)(const void *)reader->record;
        if (size < sizeof **undo || record_size(*undo) > room) {
            return damaged(db, at, diag);
        }
        if (record_size(*undo) <= size) {
            return ERR_OK;
        }
        size = record_size(*undo);
    }
}

/* Records of a bulk update are wanted one after the other, those of an index here and there. */
static enum err
read_place(struct task *task, struct txn_db *db, struct undo_reader *reader,
    const struct undo_place *place, size_t offset, const struct undo **undo, struct diag *diag)
{
    uint64_t at = place->at; /* before we sleep: then it may be another's if ours was given up */
    uint64_t stamp = place->stamp;
    size_t used = place->used;
    if (offset >= used) {
        return damaged(db, at, diag);
    }
    if (reader->whole != stamp && reader->last != stamp) {
        reader->last = stamp;
        TRY(read_record(task, db, reader, at + offset, used - offset, undo, diag));
    } else {
        if (reader->whole != stamp) {
            reader->whole = 0;
            TRY(read_bytes(task, db, at, &reader->bytes, &reader->capacity, used, diag));
            reader->whole = stamp;
        }
        *undo = (const struct undo *)(const void *)(reader->bytes + offset);
        if (used - offset < sizeof **undo || record_size(*undo) > used - offset) {
            return damaged(db, at, diag);
        }
    }
    return record_crc(*undo) == (*undo)->crc ? ERR_OK : damaged(db, at, diag);
}

enum err
undo__fetch(struct task *task, struct txn_db *db, struct undo_reader *reader, uint64_t handle,
    const struct undo **undo, struct diag *diag)
{
    *undo = undo_at(db, handle);
    if (*undo != NULL) {
        return ERR_OK;
    }
    size_t offset = (size_t)(handle % (1 << UNDO_OFFSET_BITS)) * 8;
    return read_place(task, db, reader, undo__place(db, undo_number(handle)), offset, undo, diag);
}

/* ---- writing to it -----------------------------------------------------------------------------
 */

static enum err
open_file(struct task *task, struct txn_db *db, struct diag *diag)
{
    if (atomic_load(&db->undo_file.file) != NULL) {
        return ERR_OK;
    }
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/undo", db->directory);
    struct world_file *file = NULL;
    TRY(world_file_open(task, path, WORLD_FILE_TEMPORARY, &file, diag));
    struct world_file *none = NULL;
    bool first = atomic_compare_exchange_strong(&db->undo_file.file, &none, file);
    if (!first) {
        world_file_close(task, file);
    }
    return ERR_OK;
}

/* The first free segment; false while the file is being cut off. */
static bool
take_segment(struct undo_file *file, uint32_t *segment)
{
    latch_acquire(&file->latch);
    uint32_t at = 0;
    while (at < file->count && file->live[at] != 0) {
        at++;
    }
    bool taken = at < file->count || !file->shrinking;
    if (taken && at == file->count) {
        if (file->count == file->capacity) {
            file->capacity = file->capacity == 0 ? 64 : file->capacity * 2;
            file->live = mem_realloc(file->live, file->capacity * sizeof *file->live);
        }
        file->count++;
    }
    if (taken) {
        file->live[at] = UNDO_SEGMENT_TAKEN;
    }
    latch_release(&file->latch);
    *segment = at;
    return taken;
}

static void
set_live(struct undo_file *file, uint32_t segment, uint32_t live)
{
    latch_acquire(&file->latch);
    file->live[segment] = live;
    latch_release(&file->latch);
}

/* Blocks that go to one segment. */
struct batch {
    struct undo_block *blocks[BATCH_BLOCKS];
    struct undo_log *logs[BATCH_BLOCKS]; /* whose they are */
    uint32_t count;
    size_t size;
};

static bool
batch_fits(const struct batch *batch, const struct undo_block *block)
{
    return batch->count < BATCH_BLOCKS && batch->size + block->used <= UNDO_SEGMENT_SIZE;
}

static void
batch_add(struct batch *batch, struct undo_log *log, struct undo_block *block)
{
    ASSERT(batch_fits(batch, block));
    batch->blocks[batch->count] = block;
    batch->logs[batch->count++] = log;
    batch->size += block->used;
}

/* From the first record on. */
static void
sign_records(uint8_t *bytes, size_t at, size_t used)
{
    at = (at + 15) & ~(size_t)15; /* undo__begin */
    while (at < used) {
        struct undo *undo = (struct undo *)(void *)(bytes + at);
        undo->crc = record_crc(undo);
        at += (record_size(undo) + 7) & ~(size_t)7;
    }
    ASSERT(at == used);
}

/* Write the batch and say in the places where its blocks are. On an error nothing has happened. */
static enum err
batch_write(struct task *task, struct txn_db *db, struct batch *batch, struct diag *diag)
{
    struct undo_file *file = &db->undo_file;
    uint32_t segment = 0;
    TRY(open_file(task, db, diag));
    while (!take_segment(file, &segment)) {
        task_park(task, world_clock_us(db->world) + GRACE_POLL_US);
    }
    uint64_t at = (uint64_t)segment * UNDO_SEGMENT_SIZE;
    uint8_t *bytes = mem_alloc(batch->size);
    size_t size = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct undo_block *block = batch->blocks[i];
        struct undo_place *place = undo__place(db, block->number);
        /* The first one begins with the log, which is still in use, and no record. */
        size_t skip = block->older == NULL ? sizeof(struct undo_log) : 0;
        memset(bytes + size, 0, skip);
        memcpy(bytes + size + skip, block->bytes + skip, block->used - skip);
        place->at = at + size;
        place->used = block->used;
        sign_records(bytes + size, skip, block->used);
        place->last_command = block->last_command;
        size += block->used;
    }
    enum err err = world_file_write(task, file->file, at, bytes, size, diag);
    mem_free(bytes);
    if (err != ERR_OK) {
        set_live(file, segment, 0);
        return err;
    }
    latch_acquire(&file->latch);
    uint64_t stamp = file->stamp;
    file->stamp += batch->count;
    file->live[segment] = batch->count;
    latch_release(&file->latch);
    for (uint32_t i = 0; i < batch->count; i++) {
        struct undo_place *place = undo__place(db, batch->blocks[i]->number);
        place->stamp = stamp + i + 1;
        place->next = batch->logs[i]->spilled;
        batch->logs[i]->spilled = batch->blocks[i]->number;
        atomic_store_explicit(&place->memory, NULL, memory_order_release); /* T12 */
    }
    atomic_fetch_add_explicit(&db->undo_spilled, size, memory_order_relaxed);
    atomic_fetch_add_explicit(&db->undo_spill_count, batch->count, memory_order_relaxed);
    return ERR_OK;
}

/* Nobody looks at them any more. */
static void
batch_free(struct task *task, struct txn_db *db, struct batch *batch)
{
    spill__grace(task, db);
    for (uint32_t i = 0; i < batch->count; i++) {
        atomic_fetch_sub_explicit(&db->undo_bytes, batch->blocks[i]->size, memory_order_relaxed);
        mem_free(batch->blocks[i]);
    }
    batch->count = 0;
    batch->size = 0;
}

static void
note_failure(struct txn_db *db, const struct diag *diag)
{
    int64_t now_us = world_clock_us(db->world);
    if (now_us - atomic_exchange(&db->undo_spill_failed_us, now_us) > 10 * SPILL_RETRY_US) {
        world_log(db->world, "old row versions stay in memory: %s", diag->message);
    }
}

static bool
failed_lately(struct txn_db *db)
{
    int64_t failed_us = atomic_load(&db->undo_spill_failed_us);
    return failed_us != 0 && world_clock_us(db->world) - failed_us < SPILL_RETRY_US;
}

/* Take blocks into the batch, from this one on to older ones, as many as fit, but the log's first
 * one. They stay in the log's list; the one that follows them is returned. */
static struct undo_block *
gather(struct batch *batch, struct undo_log *log, struct undo_block *block)
{
    while (block->older != NULL && batch_fits(batch, block)) {
        batch_add(batch, log, block);
        block = block->older;
    }
    return block;
}

/* The caller's own transaction, if it is large. */
static enum err
spill_own(struct task *task, struct txn *txn, struct diag *diag)
{
    struct txn_db *db = txn->db;
    struct undo_log *log = txn->log;
    enum err err = ERR_OK;
    struct batch *batch = mem_zalloc(sizeof *batch);
    struct undo_block *newest = log->block;
    while (err == ERR_OK && newest->older != NULL) {
        struct undo_block *rest = gather(batch, log, newest->older);
        if (batch->size < UNDO_SEGMENT_SIZE / 2 && batch->size < db->undo_memory / 4) {
            break;
        }
        err = batch_write(task, db, batch, diag);
        if (err == ERR_OK) {
            newest->older = rest;
            batch_free(task, db, batch);
        }
    }
    mem_free(batch);
    return err;
}

/* ---- ended transactions ------------------------------------------------------------------------
 */

/* The queue of ended transactions, from the first that was not spilled; `purging` is ours, so that
 * nobody takes any away. New ones come behind `tail`. */
struct range {
    struct undo_log *before; /* last spilled; NULL: the queue begins with `at` */
    struct undo_log *at, *tail;
};

static bool
range_begin(struct txn_db *db, struct range *range)
{
    latch_acquire(&db->commit_latch);
    range->before = db->spill_last;
    range->at = range->before != NULL ? range->before->next : db->retired_first;
    range->tail = db->retired_last;
    latch_release(&db->commit_latch);
    return range->at != NULL;
}

/* Logs whose first blocks are in the batch move to memory of their own, in the queue too. They are
 * the ones from range->at up to `last`. */
static void
move_logs(struct txn_db *db, struct range *range, const struct batch *batch)
{
    struct undo_log *first = NULL;
    struct undo_log *moved = NULL;
    struct undo_log *last = NULL;
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->blocks[i]->older != NULL) {
            continue;
        }
        struct undo_log *log = mem_alloc(sizeof *log);
        last = batch->logs[i];
        /* All but `next`, which a commit may be writing. */
        memcpy(&log->id, &last->id, sizeof *log - offsetof(struct undo_log, id));
        log->block = NULL;
        log->moved = true;
        if (moved != NULL) {
            moved->next = log;
        }
        first = first == NULL ? log : first;
        moved = log;
        atomic_fetch_add_explicit(&db->undo_bytes, sizeof *log, memory_order_relaxed);
    }
    if (first == NULL) {
        return;
    }
    latch_acquire(&db->commit_latch);
    moved->next = last->next; /* only now: it may have been the last of the queue */
    if (range->before == NULL) {
        db->retired_first = first;
    } else {
        range->before->next = first;
    }
    if (db->retired_last == last) {
        db->retired_last = moved;
    }
    db->spill_last = moved;
    latch_release(&db->commit_latch);
}

static enum err
flush(struct task *task, struct txn_db *db, struct range *range, struct batch *batch,
    struct diag *diag)
{
    TRY(batch_write(task, db, batch, diag));
    for (uint32_t i = 0; i < batch->count; i++) {
        struct undo_block *block = batch->blocks[i];
        if (block->older != NULL) { /* newest first: it is the head of its log's list */
            ASSERT(batch->logs[i]->block == block);
            batch->logs[i]->block = block->older;
        }
    }
    move_logs(db, range, batch);
    batch_free(task, db, batch);
    return ERR_OK;
}

/* One segment. False: there is nothing to spill, or it failed. */
static bool
spill_some(struct task *task, struct txn_db *db, struct batch *batch)
{
    struct range range;
    if (!range_begin(db, &range)) {
        return false;
    }
    for (struct undo_log *log = range.at;; log = log->next) {
        struct undo_block *first = gather(batch, log, log->block);
        if (first->older != NULL || !batch_fits(batch, first)) {
            break;
        }
        batch_add(batch, log, first);
        if (log == range.tail) {
            break;
        }
    }
    struct diag diag;
    enum err err = flush(task, db, &range, batch, &diag);
    batch->count = 0;
    batch->size = 0;
    if (err != ERR_OK) {
        note_failure(db, &diag);
    }
    return err == ERR_OK;
}

static void
spill_retired(struct task *task, struct txn_db *db)
{
    struct batch *batch = NULL;
    bool more = true;
    while (more && atomic_load(&db->undo_bytes) > db->undo_memory && !failed_lately(db) &&
           atomic_load(&db->retired_count) > 0) {
        if (atomic_exchange(&db->purging, true)) {
            break; /* the keeper comes again */
        }
        batch = batch == NULL ? mem_zalloc(sizeof *batch) : batch;
        more = spill_some(task, db, batch);
        atomic_store(&db->purging, false);
        (void)task_breathe(task, NULL);
    }
    mem_free(batch);
}

/* Give the end of the file back. */
static void
shrink(struct task *task, struct txn_db *db)
{
    struct undo_file *file = &db->undo_file;
    latch_acquire(&file->latch);
    uint32_t count = file->count;
    while (count > 0 && file->live[count - 1] == 0) {
        count--;
    }
    bool less = count < file->count;
    if (less) {
        file->count = count;
        file->shrinking = true;
    }
    latch_release(&file->latch);
    if (less) {
        struct diag diag;
        if (world_file_truncate(task, file->file, (uint64_t)count * UNDO_SEGMENT_SIZE, &diag) !=
            ERR_OK) {
            world_log(db->world, "the file of old row versions stays as it is: %s", diag.message);
        }
        latch_acquire(&file->latch);
        file->shrinking = false;
        latch_release(&file->latch);
    }
}

/* ---- the limit ---------------------------------------------------------------------------------
 */

static uint64_t
total(struct txn_db *db)
{
    return atomic_load(&db->undo_bytes) + atomic_load(&db->undo_spilled);
}

static bool
is_full(struct txn_db *db)
{
    latch_acquire(&db->places_latch);
    bool few_places = db->next_place > PLACES_MAX - PLACES_RESERVE && db->free_place == 0;
    latch_release(&db->places_latch);
    return total(db) > db->undo_size_max || few_places;
}

/* Memory has a second limit, for when the file cannot be written, or not fast enough. */
static bool
memory_is_full(struct txn_db *db)
{
    return atomic_load(&db->undo_bytes) > db->undo_memory + db->undo_memory / 2;
}

/* Undo is at its limit. If that is because ended transactions' undo is held back by snapshots, the
 * oldest goes. */
static void
relieve(struct task *task, struct txn_db *db)
{
    latch_acquire(&db->commit_latch);
    /* What a session has taken to purge, and perhaps lost the processor over, is not stuck. */
    uint64_t retired = db->retired_bytes + atomic_load(&db->purging_bytes);
    uint64_t era = db->retired_first == NULL ? 0 : db->retired_first->era;
    latch_release(&db->commit_latch);
    bool much = retired > total(db) / 4;
    bool given_up = much && snapshot__give_up_oldest(task, db, era);
    /* Nothing in the way, but much to purge: that is under way (or waits for a checkpoint). */
    atomic_store(&db->undo_stuck, !given_up && !much);
    if (given_up) {
        world_log(
            db->world, "old row versions are at their limit: the oldest snapshot was given up");
    }
}

void
spill__keep(struct task *task, struct txn_db *db)
{
    spill_retired(task, db);
    if (is_full(db) || (memory_is_full(db) && failed_lately(db))) {
        relieve(task, db);
    } else {
        atomic_store(&db->undo_stuck, false);
    }
    if (db->undo_file.file != NULL) {
        shrink(task, db);
    }
}

void
spill__hurry_keeper(struct txn_db *db)
{
    int64_t now_us = world_clock_us(db->world);
    int64_t last_us = atomic_load_explicit(&db->keeper_hurry_us, memory_order_relaxed);
    if (now_us - last_us >= HURRY_US &&
        atomic_compare_exchange_strong(&db->keeper_hurry_us, &last_us, now_us)) {
        atomic_store(&db->keeper_hurry, true);
        task_unpark(db->keeper);
    }
}

static enum err
refuse(struct txn_db *db, struct diag *diag)
{
    if (!is_full(db)) {
        (void)diag_set(diag, ERR_DISK_FULL, "old row versions cannot be written to their file");
        diag_hint(diag, "The server's log says why.");
        return ERR_DISK_FULL;
    }
    (void)diag_set(diag, ERR_LIMIT, "out of memory for old row versions");
    diag_hint(diag, "Close old transactions, or change fewer rows in one.");
    return ERR_LIMIT;
}

/* Small ones may go a little further than those whose own undo fills it. */
static bool
is_refused(struct txn *txn)
{
    struct txn_db *db = txn->db;
    uint64_t own = txn->log == NULL ? 0 : txn->log->bytes;
    bool large = own > db->undo_size_max / 16;
    bool full = large ? is_full(db) : total(db) > db->undo_size_max + db->undo_size_max / 8;
    return full || (memory_is_full(db) && failed_lately(db));
}

enum err
spill__make_room(struct task *task, struct txn *txn, struct diag *diag)
{
    struct txn_db *db = txn->db;
    if (txn->log != NULL && txn->log->block->older != NULL && !failed_lately(db) &&
        atomic_load(&db->undo_bytes) > db->undo_memory) {
        struct diag failure;
        if (spill_own(task, txn, &failure) != ERR_OK) {
            note_failure(db, &failure);
        }
    }
    if (spill__needs_room(db)) {
        spill__hurry_keeper(db);
    }
    int64_t until_us = world_clock_us(db->world) + ROOM_TIMEOUT_US;
    while (memory_is_full(db) || is_full(db)) {
        if (!txn__alive(txn)) {
            return snapshot__too_old(diag);
        }
        bool late = world_clock_us(db->world) >= until_us;
        bool hopeless = late || atomic_load(&db->undo_stuck) || failed_lately(db);
        if (hopeless && is_refused(txn)) {
            return refuse(db, diag);
        }
        if (late || (hopeless && !memory_is_full(db))) {
            break;
        }
        spill__hurry_keeper(db);
        task_park(task, world_clock_us(db->world) + ROOM_POLL_US);
        TRY(task_interrupted(task, diag));
    }
    return ERR_OK;
}
