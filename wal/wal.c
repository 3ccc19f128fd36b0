/*
 * wal/wal.c - the log.
 *
 * A record:
 *
 *     OFFSET SIZE  DESCRIPTION
 *          0    4  size: header and payload, without padding
 *          4    4  crc32c of everything from offset 8 on
 *          8    8  the record's own start LSN: recycled bytes are never mistaken for it
 *         16    8  the durable LSN when it was appended: a bad record below it was acknowledged
 *         24    2  type (the caller's)
 *         26    2  format version of the payload
 *         28    4  zero
 *         32       payload, then zeroes to a multiple of 8
 *
 * Appends go to a ring buffer; flushes write it in blocks of 4 KiB to pre-written segments with
 * direct, durable writes. The block in which the log ends is written again by the next flush, with
 * the same beginning.
 *
 * Invariants
 *   W1. Bytes below durable never change.
 *   W2. durable <= tail; both only grow.
 *   W3. A record is wholly below durable or it is not durable.
 *   W4. One flush at a time; it advances durable only after its write returned.
 *   W5. A write or sync whose fate is unknown ends the process.
 *   W6. tail - (durable rounded down to a block) <= buffer size: what the next flush must write is
 *       still in the ring.
 *   W7. When appending begins, nothing behind the end looks like a record of this log.
 *   W8. There is always a segment file that holds, or ends at, the place where reading must begin.
 *   W9. tail never passes the end of the last segment made, whose name is durable: a flush does not
 *       create files.
 *   W10. A segment file has its full size from the moment it has its name.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/latch.h"
#include "base/list.h"
#include "base/mem.h"
#include "wal/wal_internal.h"

enum {
    RECORD_HEAD = 32,
    READ_SIZE = 1024 * 1024,
    SCAN_PIECE = 64 * 1024,
    FLUSH_SIZE_MAX = 4 * 1024 * 1024,
    SPARE_SEGMENTS_MIN = 4,
    SPARE_SEGMENTS_MAX = 64,
};
#define SEGMENT_SIZE_DEFAULT ((uint64_t)64 << 20)
#define SCAN_AHEAD           ((uint64_t)2 * WAL_BUFFER_SIZE)

void
wal__segment_path(const struct wal *wal, uint64_t number, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/%016" PRIX64 ".wal", wal->directory, number);
}

/* ---- opening -----------------------------------------------------------------------------------
 */

static void
see_file(void *arg, const char *name)
{
    struct listing *listing = arg;
    char *end = NULL;
    uint64_t number = strtoull(name, &end, 16);
    if (end != name + 16 || strcmp(end, ".wal") != 0) {
        return;
    }
    if (!listing->any || number < listing->first) {
        listing->first = number;
    }
    if (!listing->any || number >= listing->next) {
        listing->next = number + 1;
    }
    listing->any = true;
}

enum err
wal__list(struct task *task, const char *directory, struct listing *listing, struct diag *diag)
{
    *listing = (struct listing){0};
    return world_list_directory(task, directory, see_file, listing, diag);
}

void
wal_segment_name(uint64_t number, char name[32])
{
    (void)snprintf(name, 32, "%016" PRIX64 ".wal", number);
}

uint64_t
wal_segment_size(const struct wal *wal)
{
    return wal->segment_size;
}

/* W8. Reading must be able to begin where it has to: there is always a file with that place, or one
 * that ends just there. */
static enum err
check_listing(const struct wal *wal, const struct listing *listing,
    const struct wal_options *options, struct diag *diag)
{
    enum err err = ERR_OK;
    if (!listing->any) {
        if (options->from.v != 0) {
            err = diag_set(diag, ERR_CORRUPT,
                "the log is missing, and recovery needs it from %" PRIX64, wal->read_at);
        }
    } else if (listing->first * wal->segment_size > wal->read_at) {
        err = diag_set(diag, ERR_CORRUPT,
            "the log begins at %" PRIX64 ", but recovery needs it from %" PRIX64,
            listing->first * wal->segment_size, wal->read_at);
    } else if (listing->next * wal->segment_size < wal->read_at) {
        err = diag_set(diag, ERR_CORRUPT,
            "the log ends at %" PRIX64 " at most, but recovery needs it from %" PRIX64,
            listing->next * wal->segment_size, wal->read_at);
    }
    if (err != ERR_OK) {
        diag_hint(diag, "Log files are missing from \"%s\"; restore them, or a backup.",
            options->directory);
    }
    return err;
}

enum err
wal_open(
    struct task *task, const struct wal_options *options, struct wal **wal_out, struct diag *diag)
{
    struct wal *wal = mem_zalloc(sizeof *wal);
    wal->world = task_world(task);
    wal->directory = mem_strdup(options->directory);
    wal->segment_size = options->segment_size == 0 ? SEGMENT_SIZE_DEFAULT : options->segment_size;
    wal->read_at = options->from.v == 0 ? WAL_FIRST_LSN : options->from.v;
    wal->read_segment = UINT64_MAX;
    wal->window = mem_alloc_aligned(BLOCK, READ_SIZE);
    list_init(&wal->waiters);
    list_init(&wal->files_waiters);
    struct listing listing = {0};
    enum err err = world_mkdir(task, options->directory, diag);
    if (err == ERR_OK) {
        err = wal__list(task, options->directory, &listing, diag);
    }
    err = err == ERR_OK ? check_listing(wal, &listing, options, diag) : err;
    uint64_t first_needed = wal->read_at / wal->segment_size;
    wal->first_segment = listing.any ? listing.first : first_needed;
    wal->next_segment = listing.any ? listing.next : first_needed;
    wal->limit = wal->next_segment * wal->segment_size;
    if (err != ERR_OK) {
        wal_close(task, wal);
        return err;
    }
    *wal_out = wal;
    return ERR_OK;
}

static void
close_read_file(struct task *task, struct wal *wal)
{
    if (wal->read_file != NULL) {
        world_file_close(task, wal->read_file);
        wal->read_file = NULL;
        wal->read_segment = UINT64_MAX;
    }
}

void
wal_close(struct task *task, struct wal *wal)
{
    for (;;) { /* the task that makes segments ahead may be at work */
        latch_acquire(&wal->latch);
        bool busy = wal->preparing || wal->flushing;
        latch_release(&wal->latch);
        if (!busy) {
            break;
        }
        task_yield(task);
    }
    close_read_file(task, wal);
    wal__archive_close(task, wal);
    for (int i = 0; i < OPEN_SEGMENTS; i++) {
        if (wal->open[i].file != NULL) {
            world_file_close(task, wal->open[i].file);
        }
    }
    if (wal->ring != NULL) {
        (void)munmap(wal->ring, WAL_BUFFER_SIZE);
    }
    buffer_destroy(&wal->record);
    mem_free(wal->window);
    mem_free(wal->directory);
    mem_free(wal);
}

/* ---- reading
 * ------------------------------------------------------------------------------------- */

/* W10. */
static enum err
check_size(struct task *task, struct wal *wal, struct diag *diag)
{
    uint64_t size = 0;
    enum err err = world_file_size(task, wal->read_file, &size, diag);
    if (err == ERR_OK && size != wal->segment_size) {
        err = diag_set(diag, ERR_CORRUPT,
            "log file \"%s\" is %" PRIu64 " bytes long and should be %" PRIu64,
            world_file_path(wal->read_file), size, wal->segment_size);
        diag_hint(diag, "It was cut off, or written with another segment size.");
    }
    if (err != ERR_OK) {
        close_read_file(task, wal);
    }
    return err;
}

/* Fill the window so that it begins at or before `at`. A missing file reads as nothing. */
static enum err
fill_window(struct task *task, struct wal *wal, uint64_t at, struct diag *diag)
{
    uint64_t segment = at / wal->segment_size;
    wal->window_size = 0;
    wal->window_at = at / BLOCK * BLOCK;
    if (segment >= wal->next_segment || segment < wal->first_segment) {
        return ERR_OK;
    }
    if (segment != wal->read_segment) {
        close_read_file(task, wal);
        char path[4096];
        wal__segment_path(wal, segment, path, sizeof path);
        enum err err = world_file_open(task, path, WORLD_FILE_READ, &wal->read_file, diag);
        if (err == ERR_UNDEFINED_FILE) {
            return diag_set(diag, ERR_CORRUPT, "log file \"%s\" is missing between others", path);
        }
        TRY(err);
        TRY(check_size(task, wal, diag));
        wal->read_segment = segment;
    }
    uint64_t offset = wal->window_at - segment * wal->segment_size;
    uint64_t left = wal->segment_size - offset;
    size_t size = left < READ_SIZE ? (size_t)left : READ_SIZE;
    return world_file_read(
        task, wal->read_file, offset, wal->window, size, &wal->window_size, diag);
}

/* Copy bytes of the log; *copied is less than size where the files end. */
static enum err
read_bytes(struct task *task, struct wal *wal, uint64_t at, uint8_t *to, size_t size,
    size_t *copied, struct diag *diag)
{
    *copied = 0;
    while (*copied < size) {
        uint64_t want = at + *copied;
        if (want < wal->window_at || want >= wal->window_at + wal->window_size) {
            TRY(fill_window(task, wal, want, diag));
            if (want >= wal->window_at + wal->window_size) {
                return ERR_OK;
            }
        }
        size_t offset = (size_t)(want - wal->window_at);
        size_t part = wal->window_size - offset;
        part = part < size - *copied ? part : size - *copied;
        memcpy(to + *copied, wal->window + offset, part);
        *copied += part;
    }
    return ERR_OK;
}

static uint64_t
padded(uint64_t size)
{
    return (size + 7) & ~(uint64_t)7;
}

/* A whole, sound record at `at` into wal->record? */
static enum err
read_record(struct task *task, struct wal *wal, uint64_t at, bool *sound, struct diag *diag)
{
    *sound = false;
    uint8_t head[RECORD_HEAD];
    size_t got = 0;
    TRY(read_bytes(task, wal, at, head, sizeof head, &got, diag));
    uint32_t size = load_le32(head);
    if (got < sizeof head || load_le64(head + 8) != at || size < RECORD_HEAD ||
        size > (uint64_t)WAL_RECORD_SIZE_MAX + RECORD_HEAD) {
        return ERR_OK;
    }
    wal->record.size = 0;
    uint8_t *bytes = buffer_extend(&wal->record, size);
    TRY(read_bytes(task, wal, at, bytes, size, &got, diag));
    *sound = got == size && crc32c(CRC32C_INIT, bytes + 8, size - 8) == load_le32(bytes + 4);
    return ERR_OK;
}

static void
describe(const struct wal *wal, uint64_t at, struct wal_record *record)
{
    const uint8_t *bytes = wal->record.data;
    record->start.v = at;
    record->end.v = at + padded(wal->record.size);
    record->type = load_le16(bytes + 24);
    record->version = load_le16(bytes + 26);
    record->payload = slice_of(bytes + RECORD_HEAD, wal->record.size - RECORD_HEAD);
}

/* A sound record at `at` says that `bad` had been durable. */
static enum err
accuse(const struct wal *wal, uint64_t bad, uint64_t at, struct diag *diag)
{
    char path[4096];
    wal__segment_path(wal, bad / wal->segment_size, path, sizeof path);
    (void)diag_set(diag, ERR_CORRUPT,
        "the log record at %" PRIX64 " (file \"%s\", offset %" PRIu64
        ") is damaged, and it had been durable",
        bad, path, bad % wal->segment_size);
    diag_detail(diag, "A later record, at %" PRIX64 ", is sound and proves it.", at);
    diag_hint(diag, "Committed transactions from there on cannot be read. Restore the "
                    "file, or a backup; nothing was changed.");
    return ERR_CORRUPT;
}

/* Look at every place in [at, at + size) where a record could begin. */
static enum err
judge_piece(struct task *task, struct wal *wal, uint64_t bad, uint64_t at, const uint8_t *bytes,
    size_t size, struct diag *diag)
{
    for (size_t i = 0; i + RECORD_HEAD <= size; i += 8) {
        if (load_le64(bytes + i + 8) != at + i) {
            continue;
        }
        wal->stale_end = at + i + RECORD_HEAD;
        if (load_le64(bytes + i + 16) <= bad) {
            continue;
        }
        bool sound = false;
        TRY(read_record(task, wal, at + i, &sound, diag));
        if (sound) {
            return accuse(wal, bad, at + i, diag);
        }
    }
    return ERR_OK;
}

/* Nothing sound at `bad`. It is the end, unless a later record says that this was durable. */
static enum err
judge_end(struct task *task, struct wal *wal, uint64_t bad, struct diag *diag)
{
    uint64_t until = bad + SCAN_AHEAD < wal->limit ? bad + SCAN_AHEAD : wal->limit;
    uint8_t *piece = mem_alloc(SCAN_PIECE + RECORD_HEAD);
    enum err err = ERR_OK;
    for (uint64_t at = padded(bad + 1); err == ERR_OK && at < until; at += SCAN_PIECE) {
        size_t want = SCAN_PIECE + RECORD_HEAD - 8; /* a head may begin in the last 8 bytes */
        want = until - at < want ? (size_t)(until - at) : want;
        size_t got = 0;
        err = read_bytes(task, wal, at, piece, want, &got, diag);
        if (err == ERR_OK) {
            err = judge_piece(task, wal, bad, at, piece, got, diag);
        }
        if (got < want) {
            break;
        }
    }
    mem_free(piece);
    return err;
}

enum err
wal_next(
    struct task *task, struct wal *wal, struct wal_record *record, bool *end, struct diag *diag)
{
    *end = false;
    bool sound = false;
    TRY(read_record(task, wal, wal->read_at, &sound, diag));
    if (!sound) {
        TRY(judge_end(task, wal, wal->read_at, diag));
        *end = true;
        return ERR_OK;
    }
    describe(wal, wal->read_at, record);
    wal->read_at = record->end.v;
    return ERR_OK;
}

enum err
wal_read_at(
    struct task *task, struct wal *wal, lsn_t start, struct wal_record *record, struct diag *diag)
{
    bool sound = false;
    TRY(read_record(task, wal, start.v, &sound, diag));
    if (!sound) {
        return diag_set(diag, ERR_CORRUPT, "the log record at %" PRIX64 " is damaged", start.v);
    }
    describe(wal, start.v, record);
    return ERR_OK;
}

void
wal_progress(const struct wal *wal, lsn_t *at, lsn_t *limit)
{
    at->v = wal->read_at;
    limit->v = wal->limit;
}

/* ---- segments
 * -------------------------------------------------------------------------------------- */

static void
files_lock(struct task *task, struct wal *wal)
{
    for (;;) {
        struct waiter waiter = {.task = task};
        latch_acquire(&wal->latch);
        if (!wal->files_busy) {
            wal->files_busy = true;
            latch_release(&wal->latch);
            return;
        }
        list_push_back(&wal->files_waiters, &waiter.node);
        latch_release(&wal->latch);
        task_park(task, WORLD_NEVER);
        latch_acquire(&wal->latch);
        list_remove(&waiter.node);
        latch_release(&wal->latch);
    }
}

static void
files_unlock(struct wal *wal)
{
    latch_acquire(&wal->latch);
    wal->files_busy = false;
    LIST_FOREACH (node, &wal->files_waiters) {
        task_unpark(LIST_ENTRY(node, struct waiter, node)->task);
    }
    latch_release(&wal->latch);
}

/* Make segments up to and including `number`: pre-written under a temporary name, then renamed, so
 * that a segment file is always whole. */
static enum err
make_segments(struct task *task, struct wal *wal, uint64_t number, struct diag *diag)
{
    files_lock(task, wal);
    enum err err = ERR_OK;
    while (err == ERR_OK && wal->next_segment <= number) {
        char path[4096];
        char temporary[4096];
        wal__segment_path(wal, wal->next_segment, path, sizeof path);
        (void)snprintf(temporary, sizeof temporary, "%s/new.tmp", wal->directory);
        struct world_file *file = NULL;
        err = world_file_open(task, temporary, WORLD_FILE_WRITE | WORLD_FILE_CREATE, &file, diag);
        if (err == ERR_OK) {
            err = world_file_preallocate(task, file, wal->segment_size, diag);
            world_file_close(task, file);
        }
        if (err == ERR_OK) {
            err = world_rename(task, temporary, path, diag);
        }
        if (err == ERR_OK) {
            world_sync_directory(task, wal->directory);
            wal->next_segment++;
        }
    }
    files_unlock(wal);
    return err;
}

static void
prepare_main(struct task *task, void *arg)
{
    struct wal *wal = arg;
    struct diag diag;
    uint64_t next = atomic_load(&wal->tail) / wal->segment_size + 1;
    if (make_segments(task, wal, next, &diag) != ERR_OK) {
        world_log(wal->world, "could not prepare a log segment: %s", diag.message);
    }
    latch_acquire(&wal->latch);
    wal->preparing = false;
    latch_release(&wal->latch);
}

/* The segment after the current one is made ahead, by a task of its own. */
static void
prepare_next(struct wal *wal, uint64_t segment)
{
    if (wal->next_segment > segment + 1) {
        return;
    }
    latch_acquire(&wal->latch);
    bool start = !wal->preparing;
    wal->preparing = true;
    latch_release(&wal->latch);
    if (start && task_spawn(wal->world, WORLD_ANY_WORKER, "log segments", prepare_main, wal,
                     NULL) != ERR_OK) {
        latch_acquire(&wal->latch);
        wal->preparing = false;
        latch_release(&wal->latch);
    }
}

static struct world_file *
segment_file(struct task *task, struct wal *wal, uint64_t number)
{
    struct open_segment *slot = &wal->open[number % OPEN_SEGMENTS];
    if (slot->file != NULL && slot->number == number) {
        return slot->file;
    }
    if (slot->file != NULL) {
        world_file_close(task, slot->file);
        slot->file = NULL;
    }
    struct diag diag;
    char path[4096];
    wal__segment_path(wal, number, path, sizeof path);
    ASSERT(number < atomic_load(&wal->next_segment)); /* W9 */
    if (world_file_open(task, path, WORLD_FILE_WRITE | WORLD_FILE_DURABLE, &slot->file, &diag) !=
        ERR_OK) {
        world_die(wal->world, "PANIC: could not write the log: %s", diag.message);
    }
    slot->number = number;
    prepare_next(wal, number);
    return slot->file;
}

void
wal_free_before(struct task *task, struct wal *wal, lsn_t lsn)
{
    uint64_t keep = lsn.v / wal->segment_size;
    if (wal->archive != NULL && wal_archived(wal).v / wal->segment_size < keep) {
        keep = wal_archived(wal).v / wal->segment_size;
    }
    files_lock(task, wal);
    bool changed = false;
    /* As many files go into reserve as the log has grown by since the last time: making a new one
     * costs more than writing it. */
    uint64_t spare = atomic_load(&wal->tail) / wal->segment_size - wal->first_segment;
    spare = spare < SPARE_SEGMENTS_MIN   ? SPARE_SEGMENTS_MIN
            : spare > SPARE_SEGMENTS_MAX ? SPARE_SEGMENTS_MAX
                                         : spare;
    while (wal->first_segment < keep && wal->first_segment + 1 < wal->next_segment) { /* W8 */
        char path[4096];
        struct diag diag;
        wal__segment_path(wal, wal->first_segment, path, sizeof path);
        enum err err = ERR_OK;
        uint64_t current = atomic_load(&wal->tail) / wal->segment_size;
        if (wal->next_segment <= current + spare) {
            /* W1 does not cover it any more: reuse. Old records in it carry old LSNs. */
            char next[4096];
            wal__segment_path(wal, wal->next_segment, next, sizeof next);
            err = world_rename(task, path, next, &diag);
            if (err == ERR_OK) {
                /* W9: what is acknowledged there must be found under that name. */
                world_sync_directory(task, wal->directory);
                wal->next_segment++;
            }
        } else {
            err = world_unlink(task, path, &diag);
            changed = true;
        }
        if (err != ERR_OK && err != ERR_UNDEFINED_FILE) {
            world_log(wal->world, "an old log segment stays: %s", diag.message);
            break;
        }
        wal->first_segment++;
    }
    if (changed) {
        world_sync_directory(task, wal->directory);
    }
    files_unlock(wal);
}

enum err
wal_check_files(struct task *task, struct wal *wal, lsn_t lsn, struct diag *diag)
{
    files_lock(task, wal);
    enum err err = ERR_OK;
    uint64_t last = atomic_load(&wal->tail) / wal->segment_size;
    for (uint64_t number = lsn.v / wal->segment_size;
         number <= last && number < wal->next_segment && err == ERR_OK; number++) {
        char path[4096];
        wal__segment_path(wal, number, path, sizeof path);
        if (!world_file_exists(task, path)) {
            err = diag_set(diag, ERR_UNDEFINED_FILE,
                "log file \"%s\" was removed while the server runs", path);
            diag_hint(diag, "Commits since then would not survive a crash. Stop writing, copy the "
                            "open file out of /proc/PID/fd to its place, and restart the server.");
        }
    }
    files_unlock(wal);
    return err;
}

/*
 * W7. Behind the end nothing may look like a record. A flush of several blocks that a crash cut
 * short can leave later records behind an earlier hole; when the log has grown over the hole again
 * and ends, by chance, just where such a record begins, reading would go on into it.
 */
static enum err
erase_stale(struct task *task, struct wal *wal, struct diag *diag)
{
    uint64_t at = wal->read_at;
    if (at >= wal->stale_end) {
        return ERR_OK;
    }
    uint8_t *zeroes = mem_zalloc(READ_SIZE);
    enum err err = ERR_OK;
    while (err == ERR_OK && at < wal->stale_end) {
        uint64_t segment = at / wal->segment_size;
        uint64_t end = (segment + 1) * wal->segment_size;
        end = end < wal->stale_end ? end : wal->stale_end;
        char path[4096];
        wal__segment_path(wal, segment, path, sizeof path);
        struct world_file *file = NULL;
        err = world_file_open(task, path, WORLD_FILE_WRITE, &file, diag);
        while (err == ERR_OK && at < end) {
            size_t size = end - at < READ_SIZE ? (size_t)(end - at) : READ_SIZE;
            err = world_file_write(task, file, at % wal->segment_size, zeroes, size, diag);
            at += size;
        }
        if (file != NULL) {
            world_file_sync(task, file);
            world_file_close(task, file);
        }
    }
    mem_free(zeroes);
    return err;
}

enum err
wal_cut(struct task *task, struct wal *wal, lsn_t at, struct diag *diag)
{
    uint64_t segment = at.v / wal->segment_size;
    close_read_file(task, wal);
    wal->window_size = 0;
    while (wal->next_segment > segment + 1) {
        char path[4096];
        wal__segment_path(wal, wal->next_segment - 1, path, sizeof path);
        TRY(world_unlink(task, path, diag));
        wal->next_segment--;
    }
    world_sync_directory(task, wal->directory);
    wal->read_at = at.v;
    wal->limit = wal->next_segment * wal->segment_size;
    wal->stale_end = wal->limit; /* W7: wal_start erases it */
    return ERR_OK;
}

/*
 * What was read counts as durable from now on (W1), but whoever was killed in a flush may have left
 * it with the system and not on the disk, and we never write it again. One flush is at most that
 * long.
 */
static enum err
sync_end(struct task *task, struct wal *wal, struct diag *diag)
{
    uint64_t from =
        wal->read_at < FLUSH_SIZE_MAX + BLOCK ? 0 : wal->read_at - FLUSH_SIZE_MAX - BLOCK;
    uint64_t first = from / wal->segment_size;
    first = first < wal->first_segment ? wal->first_segment : first;
    for (uint64_t number = first;
         number <= wal->read_at / wal->segment_size && number < wal->next_segment; number++) {
        char path[4096];
        struct world_file *file = NULL;
        wal__segment_path(wal, number, path, sizeof path);
        TRY(world_file_open(task, path, WORLD_FILE_WRITE, &file, diag));
        world_file_sync(task, file);
        world_file_close(task, file);
    }
    world_sync_directory(task, wal->directory);
    return ERR_OK;
}

/* ---- appending
 * --------------------------------------------------------------------------------------- */

enum err
wal_start(struct task *task, struct wal *wal, struct diag *diag)
{
    close_read_file(task, wal);
    wal->ring = mmap(NULL, WAL_BUFFER_SIZE, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT(wal->ring != MAP_FAILED);
    /* The block in which the log ends will be written again: its beginning must be in the ring. */
    uint64_t block = wal->read_at / BLOCK * BLOCK;
    size_t got = 0;
    TRY(read_bytes(task, wal, block, wal->ring + block % WAL_BUFFER_SIZE,
        (size_t)(wal->read_at - block), &got, diag));
    close_read_file(task, wal);
    TRY(sync_end(task, wal, diag));
    TRY(erase_stale(task, wal, diag));
    atomic_store(&wal->tail, wal->read_at);
    atomic_store(&wal->durable, wal->read_at);
    return make_segments(task, wal, wal->read_at / wal->segment_size, diag);
}

/* W6 */
static bool
fits_ring(const struct wal *wal, uint64_t size)
{
    uint64_t held = atomic_load(&wal->durable) / BLOCK * BLOCK;
    return atomic_load(&wal->tail) + size + BLOCK <= held + WAL_BUFFER_SIZE;
}

/* W9 */
static bool
fits_files(const struct wal *wal, uint64_t size)
{
    return atomic_load(&wal->tail) + size <= atomic_load(&wal->next_segment) * wal->segment_size;
}

enum err
wal_make_room(struct task *task, struct wal *wal, size_t payload_size, struct diag *diag)
{
    ASSERT(payload_size <= WAL_RECORD_SIZE_MAX);
    uint64_t size = padded(RECORD_HEAD + payload_size);
    while (!fits_files(wal, size)) {
        TRY(make_segments(task, wal, (atomic_load(&wal->tail) + size) / wal->segment_size, diag));
    }
    while (!fits_ring(wal, size)) {
        wal_wait_durable(task, wal, (lsn_t){atomic_load(&wal->tail)});
    }
    return ERR_OK;
}

static uint64_t
copy_in(struct wal *wal, uint64_t at, const void *bytes, size_t size)
{
    size_t offset = (size_t)(at % WAL_BUFFER_SIZE);
    size_t first = WAL_BUFFER_SIZE - offset < size ? WAL_BUFFER_SIZE - offset : size;
    memcpy(wal->ring + offset, bytes, first);
    if (first < size) {
        memcpy(wal->ring, (const uint8_t *)bytes + first, size - first);
    }
    return at + size;
}

bool
wal_append(struct wal *wal, uint16_t type, uint16_t version, const struct slice *pieces,
    size_t piece_count, lsn_t *start, lsn_t *end)
{
    uint64_t size = RECORD_HEAD;
    for (size_t i = 0; i < piece_count; i++) {
        size += pieces[i].size;
    }
    ASSERT(size - RECORD_HEAD <= WAL_RECORD_SIZE_MAX);
    if (!fits_ring(wal, padded(size)) || !fits_files(wal, padded(size))) {
        return false;
    }
    uint64_t tail = atomic_load_explicit(&wal->tail, memory_order_relaxed);
    uint8_t head[RECORD_HEAD] = {0};
    store_le32(head, (uint32_t)size);
    store_le64(head + 8, tail);
    store_le64(head + 16, atomic_load(&wal->durable));
    store_le16(head + 24, type);
    store_le16(head + 26, version);
    uint32_t crc = crc32c(CRC32C_INIT, head + 8, RECORD_HEAD - 8);
    for (size_t i = 0; i < piece_count; i++) {
        crc = crc32c(crc, pieces[i].data, pieces[i].size);
    }
    store_le32(head + 4, crc);
    uint64_t at = copy_in(wal, tail, head, sizeof head);
    for (size_t i = 0; i < piece_count; i++) {
        at = pieces[i].size == 0 ? at : copy_in(wal, at, pieces[i].data, pieces[i].size);
    }
    static const uint8_t zeroes[8];
    at = copy_in(wal, at, zeroes, (size_t)(padded(size) - size));
    start->v = tail;
    end->v = at;
    atomic_store_explicit(&wal->tail, at, memory_order_release);
    return true;
}

lsn_t
wal_durable(const struct wal *wal)
{
    return (lsn_t){atomic_load_explicit(&wal->durable, memory_order_acquire)};
}

lsn_t
wal_end(const struct wal *wal)
{
    return (lsn_t){atomic_load_explicit(&wal->tail, memory_order_acquire)};
}

uint64_t
wal_flush_count(const struct wal *wal)
{
    return atomic_load(&wal->flushes);
}

/* ---- making durable
 * ------------------------------------------------------------------------------------ */

/* Write [durable, tail) and say so. Only the one who set `flushing`. */
static void
flush(struct task *task, struct wal *wal)
{
    uint64_t from = atomic_load(&wal->durable) / BLOCK * BLOCK;
    uint64_t target = atomic_load_explicit(&wal->tail, memory_order_acquire);
    if (target - from > FLUSH_SIZE_MAX) {
        target = from + FLUSH_SIZE_MAX; /* a cut inside a record is fine: W3 is about durable */
    }
    uint64_t until = (target + BLOCK - 1) / BLOCK * BLOCK;
    while (from < until) {
        uint64_t segment = from / wal->segment_size;
        uint64_t segment_end = (segment + 1) * wal->segment_size;
        uint64_t ring_end = from - from % WAL_BUFFER_SIZE + WAL_BUFFER_SIZE;
        uint64_t end = until < segment_end ? until : segment_end;
        end = end < ring_end ? end : ring_end;
        struct world_file *file = segment_file(task, wal, segment);
        struct diag diag;
        if (world_file_write(task, file, from % wal->segment_size,
                wal->ring + from % WAL_BUFFER_SIZE, (size_t)(end - from), &diag) != ERR_OK) {
            world_die(wal->world, "PANIC: could not write the log: %s", diag.message); /* W5 */
        }
        from = end;
    }
    atomic_fetch_add(&wal->flushes, 1);
    atomic_store_explicit(&wal->durable, target, memory_order_release); /* W4 */
}

/* Under the latch: wake who is covered, and one who is not, to lead the next flush. */
static void
wake_waiters(struct wal *wal)
{
    uint64_t durable = atomic_load(&wal->durable);
    bool leader_woken = false;
    struct list_node *node = wal->waiters.next;
    while (node != &wal->waiters) {
        struct waiter *waiter = LIST_ENTRY(node, struct waiter, node);
        node = node->next;
        if (waiter->lsn <= durable || !leader_woken) {
            leader_woken = leader_woken || waiter->lsn > durable;
            list_remove(&waiter->node);
            waiter->linked = false;
            task_unpark(waiter->task); /* it cannot leave before it gets the latch */
        }
    }
}

void
wal_wait_durable(struct task *task, struct wal *wal, lsn_t lsn)
{
    ASSERT(lsn.v <= atomic_load(&wal->tail));
    while (atomic_load_explicit(&wal->durable, memory_order_acquire) < lsn.v) {
        latch_acquire(&wal->latch);
        if (atomic_load(&wal->durable) >= lsn.v) {
            latch_release(&wal->latch);
            return;
        }
        if (!wal->flushing) {
            wal->flushing = true;
            latch_release(&wal->latch);
            flush(task, wal);
            latch_acquire(&wal->latch);
            wal->flushing = false;
            wake_waiters(wal);
            latch_release(&wal->latch);
            continue;
        }
        struct waiter waiter = {.task = task, .lsn = lsn.v, .linked = true};
        list_push_back(&wal->waiters, &waiter.node);
        bool linked = true;
        while (linked) {
            latch_release(&wal->latch);
            task_park(task, WORLD_NEVER);
            latch_acquire(&wal->latch);
            linked = waiter.linked;
        }
        latch_release(&wal->latch);
    }
}
