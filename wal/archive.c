/*
 * wal/archive.c - the log, copied to another directory.
 *
 * One task copies what has become durable, block by block, to NUMBER.wal.partial; a full one is
 * synced and renamed to NUMBER.wal. Bytes below `durable` never change (W1), so what was copied
 * stays right; the block in which the log ends is copied again when it has grown. After a start the
 * segment that grows is copied from its beginning.
 *
 * Segments are read past the page cache: their tails are written so at the same time.
 *
 * A1. Below `archived` everything is in the archive, durable.
 * A2. A file of the archive that says something else than our log is never written: it is another
 *     history's, after a restore to an earlier time, or another database's.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "wal/wal_internal.h"

enum {
    PIECE = 1024 * 1024,
};

struct archive {
    char *directory;
    struct world_file *to; /* NUMBER.wal.partial, or NULL */
    uint64_t segment;      /* its number */
    _Atomic uint64_t archived;
    uint8_t *piece;
};

static void
archive_path(const char *directory, uint64_t number, bool partial, char *path, size_t size)
{
    (void)snprintf(
        path, size, "%s/%016" PRIX64 ".wal%s", directory, number, partial ? ".partial" : "");
}

lsn_t
wal_archived(const struct wal *wal)
{
    return (lsn_t){wal->archive == NULL ? UINT64_MAX : atomic_load(&wal->archive->archived)};
}

void
wal__archive_close(struct task *task, struct wal *wal)
{
    struct archive *archive = wal->archive;
    if (archive == NULL) {
        return;
    }
    if (archive->to != NULL) {
        world_file_close(task, archive->to);
    }
    mem_free(archive->piece);
    mem_free(archive->directory);
    mem_free(archive);
    wal->archive = NULL;
}

static enum err
another_history(const char *path, struct diag *diag)
{
    (void)diag_set(diag, ERR_OBJECT_IN_USE, "archive file \"%s\" is not of this log", path);
    diag_hint(diag, "It belongs to another database, or to a history that a restore has left. Name "
                    "an empty directory, and make a base backup.");
    return ERR_OBJECT_IN_USE;
}

/* The file there may end in zeroes where ours has more. */
static bool
begins_so(const uint8_t *there, size_t size, const uint8_t *here, size_t here_size)
{
    while (size > 0 && there[size - 1] == 0) {
        size--;
    }
    return size <= here_size && (size == 0 || memcmp(there, here, size) == 0);
}

/* A2. What the archive has of this segment must be how ours begins. */
static enum err
compare_files(struct task *task, struct wal *wal, struct world_file *there, uint64_t number,
    bool *same, struct diag *diag)
{
    char path[4096];
    struct world_file *here = NULL;
    wal__segment_path(wal, number, path, sizeof path);
    uint8_t *own = mem_alloc(PIECE);
    enum err err = world_file_open(task, path, WORLD_FILE_READ, &here, diag);
    *same = true;
    uint64_t durable = wal_durable(wal).v;
    for (uint64_t at = number * wal->segment_size; err == ERR_OK && *same; at += PIECE) {
        uint64_t offset = at - number * wal->segment_size;
        size_t got = 0;
        size_t got_own = 0;
        err = world_file_read(task, there, offset, wal->archive->piece, PIECE, &got, diag);
        if (err != ERR_OK || got == 0) {
            break;
        }
        err = world_file_read(task, here, offset, own, PIECE, &got_own, diag);
        uint64_t known = durable > at ? durable - at : 0;
        got_own = got_own < known ? got_own : (size_t)known;
        *same = begins_so(wal->archive->piece, got, own, got_own);
    }
    if (here != NULL) {
        world_file_close(task, here);
    }
    mem_free(own);
    return err;
}

static enum err
compare(struct task *task, struct wal *wal, uint64_t number, bool partial, struct diag *diag)
{
    char path[4096];
    archive_path(wal->archive->directory, number, partial, path, sizeof path);
    if (!world_file_exists(task, path)) {
        return ERR_OK;
    }
    struct world_file *there = NULL;
    bool same = false;
    TRY(world_file_open(task, path, WORLD_FILE_READ, &there, diag));
    enum err err = compare_files(task, wal, there, number, &same, diag);
    world_file_close(task, there);
    TRY(err);
    return same ? ERR_OK : another_history(path, diag);
}

static enum err
open_archive(struct task *task, struct wal *wal, struct diag *diag)
{
    struct archive *archive = wal->archive;
    struct listing listing;
    TRY(world_mkdir(task, archive->directory, diag));
    TRY(wal__list(task, archive->directory, &listing, diag));
    uint64_t current = wal_durable(wal).v / wal->segment_size;
    uint64_t next = wal->first_segment;
    if (listing.any && listing.next > current + 1) {
        char path[4096];
        archive_path(archive->directory, listing.next - 1, false, path, sizeof path);
        return another_history(path, diag);
    }
    if (listing.any) {
        next = listing.next > wal->first_segment ? listing.next : wal->first_segment;
        if (listing.next - 1 >= wal->first_segment) {
            TRY(compare(task, wal, listing.next - 1, false, diag));
        }
        if (listing.next < wal->first_segment) {
            world_log(wal->world,
                "the archive lacks the log from %" PRIX64 " to %" PRIX64 ": make a new base backup",
                listing.next * wal->segment_size, wal->first_segment * wal->segment_size);
        }
    }
    if (next <= current) {
        TRY(compare(task, wal, next, true, diag));
    }
    archive->segment = next;
    atomic_store(&archive->archived, next * wal->segment_size);
    return ERR_OK;
}

enum err
wal_archive_open(struct task *task, struct wal *wal, const char *directory, struct diag *diag)
{
    ASSERT(wal->archive == NULL && wal->ring != NULL);
    wal->archive = mem_zalloc(sizeof *wal->archive);
    wal->archive->directory = mem_strdup(directory);
    wal->archive->piece = mem_alloc_aligned(BLOCK, PIECE);
    enum err err = open_archive(task, wal, diag);
    if (err != ERR_OK) {
        wal__archive_close(task, wal);
    }
    return err;
}

/* Copy [archived, until) of the segment in hand; whole blocks, zeroes behind `until`. */
static enum err
copy(struct task *task, struct wal *wal, uint64_t until, struct diag *diag)
{
    struct archive *archive = wal->archive;
    char path[4096];
    struct world_file *from = NULL;
    uint64_t begin = archive->segment * wal->segment_size;
    uint64_t at = atomic_load(&archive->archived) / BLOCK * BLOCK;
    if (archive->to == NULL) {
        archive_path(archive->directory, archive->segment, true, path, sizeof path);
        TRY(world_file_open(task, path, WORLD_FILE_WRITE | WORLD_FILE_CREATE, &archive->to, diag));
        world_sync_directory(task, archive->directory);
        at = begin;
    }
    wal__segment_path(wal, archive->segment, path, sizeof path);
    TRY(world_file_open(task, path, WORLD_FILE_READ | WORLD_FILE_DURABLE, &from, diag));
    enum err err = ERR_OK;
    while (at < until && err == ERR_OK) {
        size_t size = until - at < PIECE ? (size_t)(until - at) : PIECE;
        size_t blocks = (size + BLOCK - 1) / BLOCK * BLOCK;
        size_t got = 0;
        err = world_file_read(task, from, at - begin, archive->piece, blocks, &got, diag);
        if (err == ERR_OK && got < size) {
            err = diag_set(diag, ERR_CORRUPT, "log file \"%s\" was cut off", path);
        }
        if (err == ERR_OK) {
            memset(archive->piece + size, 0, blocks - size);
            err = world_file_write(task, archive->to, at - begin, archive->piece, blocks, diag);
        }
        at += size;
    }
    world_file_close(task, from);
    TRY(err);
    world_file_sync(task, archive->to);
    atomic_store(&archive->archived, until); /* A1 */
    return ERR_OK;
}

static enum err
finish_segment(struct task *task, struct wal *wal, struct diag *diag)
{
    struct archive *archive = wal->archive;
    char partial[4096];
    char whole[4096];
    archive_path(archive->directory, archive->segment, true, partial, sizeof partial);
    archive_path(archive->directory, archive->segment, false, whole, sizeof whole);
    TRY(world_rename(task, partial, whole, diag));
    world_sync_directory(task, archive->directory);
    world_file_close(task, archive->to);
    archive->to = NULL;
    archive->segment++;
    return ERR_OK;
}

enum err
wal_archive_step(struct task *task, struct wal *wal, struct diag *diag)
{
    struct archive *archive = wal->archive;
    uint64_t durable = wal_durable(wal).v;
    while (atomic_load(&archive->archived) < durable) {
        uint64_t end = (archive->segment + 1) * wal->segment_size;
        TRY(copy(task, wal, durable < end ? durable : end, diag));
        if (durable >= end) {
            TRY(finish_segment(task, wal, diag));
        }
    }
    return ERR_OK;
}

/* ---- back again --------------------------------------------------------------------------------
 */

static enum err
fetch_file(struct task *task, const char *from_path, const char *to_path, uint64_t segment_size,
    struct diag *diag)
{
    struct world_file *from = NULL;
    struct world_file *to = NULL;
    TRY(world_file_open(task, from_path, WORLD_FILE_READ, &from, diag));
    enum err err = world_file_open(task, to_path, WORLD_FILE_WRITE | WORLD_FILE_CREATE, &to, diag);
    uint8_t *piece = mem_alloc(PIECE);
    uint64_t at = 0;
    size_t got = PIECE;
    while (err == ERR_OK && got == PIECE) {
        err = world_file_read(task, from, at, piece, PIECE, &got, diag);
        if (err == ERR_OK && got > 0) {
            err = world_file_write(task, to, at, piece, got, diag);
        }
        at += got;
    }
    if (err == ERR_OK) {
        err = world_file_truncate(task, to, segment_size, diag); /* W10 */
    }
    mem_free(piece);
    world_file_close(task, from);
    if (to != NULL) {
        if (err == ERR_OK) {
            world_file_sync(task, to);
        }
        world_file_close(task, to);
    }
    return err;
}

enum err
wal_archive_fetch(struct task *task, const char *archive, const char *directory,
    uint64_t segment_size, lsn_t from, lsn_t known, struct diag *diag)
{
    for (uint64_t number = from.v / segment_size;; number++) {
        char there[4096];
        char here[4096];
        archive_path(directory, number, false, here, sizeof here);
        archive_path(archive, number, false, there, sizeof there);
        bool whole = world_file_exists(task, there);
        if (!whole) {
            archive_path(archive, number, true, there, sizeof there);
        }
        if (!whole && !world_file_exists(task, there)) {
            if ((number + 1) * segment_size <= known.v) {
                continue; /* the backup has it */
            }
            break;
        }
        uint64_t size = segment_size;
        if (!whole) {
            struct world_file *file = NULL;
            TRY(world_file_open(task, there, WORLD_FILE_READ, &file, diag));
            enum err err = world_file_size(task, file, &size, diag);
            world_file_close(task, file);
            TRY(err);
        }
        if (number * segment_size + size > known.v) {
            TRY(fetch_file(task, there, here, segment_size, diag));
        }
    }
    world_sync_directory(task, directory);
    return ERR_OK;
}
