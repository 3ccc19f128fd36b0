/*
 * txn/backup.c - a copy of a running database, and a database from a copy.
 *
 * Backup. While no checkpoint runs nothing writes to the data file (B7: its extents are the durable
 * superblock's), and no log is given up. So checkpoints are held up, the data file is copied, then
 * the log from where its recovery begins to what is durable when all that is done.
 *
 * Restore. The copy and the archive's log become a new directory; recovery runs to the point asked
 * for, the log behind it is destroyed, and a checkpoint makes the result its own.
 *
 * Both write INCOMPLETE_FILE first and remove it last, when all else is durable: a directory that a
 * crash left half made says so itself.
 */
#include <inttypes.h>
#include <stdio.h>

#include "txn/txn_internal.h"

enum {
    PIECE = 1024 * 1024,
    SYNC_EVERY = 64 * 1024 * 1024, /* no long sync at the end */
    PATH_SIZE = 2048,
    LABEL_SIZE = 512,
};

struct copy {
    struct task *task;
    uint8_t *piece;
    uint64_t done, total;
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    void *arg;
    struct diag *diag;
};

/* The first `size` bytes of a file, into a new one that will be `whole` bytes long. */
static enum err
copy_bytes(struct copy *copy, struct world_file *from, struct world_file *to, uint64_t size,
    uint64_t whole)
{
    uint64_t unsynced = 0;
    for (uint64_t at = 0; at < size;) {
        size_t part = size - at < PIECE ? (size_t)(size - at) : PIECE;
        size_t got = 0;
        TRY(world_file_read(copy->task, from, at, copy->piece, part, &got, copy->diag));
        if (got < part) {
            return diag_set(
                copy->diag, ERR_CORRUPT, "file \"%s\" was cut off", world_file_path(from));
        }
        TRY(world_file_write(copy->task, to, at, copy->piece, part, copy->diag));
        at += part;
        copy->done += part;
        unsynced += part;
        if (unsynced >= SYNC_EVERY) {
            world_file_sync(copy->task, to);
            unsynced = 0;
        }
        if (copy->progress != NULL) {
            copy->progress(copy->arg, copy->done, copy->total);
        }
        TRY(task_breathe(copy->task, copy->diag));
    }
    TRY(world_file_truncate(copy->task, to, whole, copy->diag));
    world_file_sync(copy->task, to);
    return ERR_OK;
}

static enum err
copy_file(
    struct copy *copy, const char *from_path, const char *to_path, uint64_t size, uint64_t whole)
{
    struct world_file *from = NULL;
    struct world_file *to = NULL;
    TRY(world_file_open(copy->task, from_path, WORLD_FILE_READ, &from, copy->diag));
    enum err err = world_file_open(copy->task, to_path,
        WORLD_FILE_WRITE | WORLD_FILE_CREATE | WORLD_FILE_EXCLUSIVE, &to, copy->diag);
    if (err == ERR_OK) {
        err = copy_bytes(copy, from, to, size, whole);
        world_file_close(copy->task, to);
    }
    world_file_close(copy->task, from);
    return err;
}

static enum err
size_of(struct task *task, const char *path, uint64_t *size, struct diag *diag)
{
    struct world_file *file = NULL;
    TRY(world_file_open(task, path, WORLD_FILE_READ, &file, diag));
    enum err err = world_file_size(task, file, size, diag);
    world_file_close(task, file);
    return err;
}

static void
count_file(void *arg, const char *name)
{
    (void)name;
    ++*(unsigned *)arg;
}

/* A directory of our own that says that it is not whole. */
static enum err
begin_directory(struct task *task, const char *directory, struct diag *diag)
{
    char path[PATH_SIZE];
    unsigned files = 0;
    if (strlen(directory) == 0 || strlen(directory) > 900) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "the directory's name is %s",
            directory[0] == '\0' ? "empty" : "too long");
    }
    TRY(world_mkdir(task, directory, diag));
    TRY(world_list_directory(task, directory, count_file, &files, diag));
    if (files > 0) {
        (void)diag_set(diag, ERR_OBJECT_IN_USE, "directory \"%s\" is not empty", directory);
        diag_hint(diag, "Name one that is empty, or does not exist.");
        return ERR_OBJECT_IN_USE;
    }
    struct world_file *file = NULL;
    (void)snprintf(path, sizeof path, "%s/" INCOMPLETE_FILE, directory);
    TRY(world_file_open(task, path, WORLD_FILE_WRITE | WORLD_FILE_CREATE, &file, diag));
    world_file_sync(task, file);
    world_file_close(task, file);
    (void)snprintf(path, sizeof path, "%s/wal", directory);
    TRY(world_mkdir(task, path, diag));
    world_sync_directory(task, directory);
    return ERR_OK;
}

static enum err
finish_directory(struct task *task, const char *directory, struct diag *diag)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/wal", directory);
    world_sync_directory(task, path);
    world_sync_directory(task, directory);
    (void)snprintf(path, sizeof path, "%s/" INCOMPLETE_FILE, directory);
    TRY(world_unlink(task, path, diag));
    world_sync_directory(task, directory);
    return ERR_OK;
}

static void
segment_path(const char *directory, uint64_t number, char path[PATH_SIZE])
{
    char name[32];
    wal_segment_name(number, name);
    (void)snprintf(path, PATH_SIZE, "%s/wal/%s", directory, name);
}

/* ---- backup ------------------------------------------------------------------------------------
 */

struct label {
    uint64_t start, end, segment_size;
    int64_t time_us;
};

static enum err
write_label(struct task *task, const char *directory, const struct label *label, struct diag *diag)
{
    char path[PATH_SIZE];
    char text[LABEL_SIZE];
    int size = snprintf(text, sizeof text,
        "tusk base backup 1\nlog from %" PRIX64 "\nlog to %" PRIX64 "\nsegment size %" PRIu64
        "\ntime %" PRId64 "\n",
        label->start, label->end, label->segment_size, label->time_us);
    struct world_file *file = NULL;
    (void)snprintf(path, sizeof path, "%s/" LABEL_FILE, directory);
    TRY(world_file_open(task, path, WORLD_FILE_WRITE | WORLD_FILE_CREATE, &file, diag));
    enum err err = world_file_write(task, file, 0, text, (size_t)size, diag);
    if (err == ERR_OK) {
        world_file_sync(task, file);
    }
    world_file_close(task, file);
    return err;
}

static enum err
read_label(struct task *task, const char *directory, struct label *label, struct diag *diag)
{
    char path[PATH_SIZE];
    char text[LABEL_SIZE];
    size_t got = 0;
    struct world_file *file = NULL;
    (void)snprintf(path, sizeof path, "%s/" LABEL_FILE, directory);
    enum err err = world_file_open(task, path, WORLD_FILE_READ, &file, diag);
    if (err == ERR_UNDEFINED_FILE) {
        (void)diag_set(diag, err, "\"%s\" is not a base backup", directory);
        diag_hint(diag, "SELECT tusk_backup('directory') makes one.");
        return err;
    }
    TRY(err);
    err = world_file_read(task, file, 0, text, sizeof text - 1, &got, diag);
    world_file_close(task, file);
    TRY(err);
    text[got] = '\0';
    if (sscanf(text,
            "tusk base backup 1\nlog from %" SCNx64 "\nlog to %" SCNx64 "\nsegment size %" SCNu64
            "\ntime %" SCNd64 "\n",
            &label->start, &label->end, &label->segment_size, &label->time_us) != 4 ||
        label->segment_size == 0 || label->start > label->end) {
        return diag_set(diag, ERR_CORRUPT, "file \"%s\" is damaged", path);
    }
    return ERR_OK;
}

/* Where recovery of the checkpoint in the file begins. */
static uint64_t
redo_start(const struct txn_db *db)
{
    return atomic_load(&db->redo_start);
}

static enum err
copy_log(struct copy *copy, struct txn_db *db, const char *directory, const struct label *label)
{
    for (uint64_t number = label->start / label->segment_size;
         number * label->segment_size < label->end; number++) {
        char from[PATH_SIZE];
        char to[PATH_SIZE];
        uint64_t left = label->end - number * label->segment_size;
        segment_path(db->directory, number, from);
        segment_path(directory, number, to);
        TRY(copy_file(copy, from, to, left < label->segment_size ? left : label->segment_size,
            label->segment_size));
    }
    return ERR_OK;
}

static enum err
copy_database(struct copy *copy, struct txn_db *db, const char *directory, struct label *label)
{
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    uint64_t size = 0;
    (void)snprintf(from, sizeof from, "%s/data.tusk", db->directory);
    (void)snprintf(to, sizeof to, "%s/data.tusk", directory);
    label->segment_size = wal_segment_size(db->wal);
    label->start = redo_start(db);
    TRY(size_of(copy->task, from, &size, copy->diag));
    copy->total = size + wal_end(db->wal).v - label->start;
    TRY(copy_file(copy, from, to, size, size));
    lsn_t end = wal_end(db->wal);
    wal_wait_durable(copy->task, db->wal, end);
    label->end = end.v;
    label->time_us = world_wall_us(db->world);
    copy->total = copy->done + label->end - label->start;
    TRY(copy_log(copy, db, directory, label));
    TRY(write_label(copy->task, directory, label, copy->diag));
    return ERR_OK;
}

enum err
txn_db_backup(struct task *task, struct txn_db *db, const char *directory,
    void (*progress)(void *arg, uint64_t done, uint64_t total), void *arg,
    struct txn_backup *backup, struct diag *diag)
{
    TRY(begin_directory(task, directory, diag));
    struct copy copy = {.task = task, .progress = progress, .arg = arg, .diag = diag};
    struct label label = {0};
    world_log(db->world, "base backup to \"%s\" begins", directory);
    TRY(txn_db_checkpoint(task, db, diag)); /* the less log, the better */
    TRY(checkpoint__hold(task, db, diag));
    copy.piece = mem_alloc_aligned(WORLD_BLOCK_SIZE, PIECE);
    enum err err = copy_database(&copy, db, directory, &label);
    checkpoint__let_go(db);
    mem_free(copy.piece);
    if (err == ERR_OK) {
        err = finish_directory(task, directory, diag);
    }
    if (err != ERR_OK) {
        world_log(db->world, "base backup to \"%s\" failed: %s", directory, diag->message);
        return err;
    }
    *backup = (struct txn_backup){.start = {label.start}, .end = {label.end}, .bytes = copy.done};
    world_log(db->world, "base backup to \"%s\" complete: %.1f MB, log %" PRIX64 " to %" PRIX64,
        directory, (double)copy.done / 1e6, label.start, label.end);
    return ERR_OK;
}

/* ---- restore -----------------------------------------------------------------------------------
 */

struct told {
    struct world *world;
    int64_t next_us;
};

static void
tell_restore(void *arg, uint64_t done, uint64_t total)
{
    struct told *told = arg;
    int64_t now = world_clock_us(told->world);
    if (now >= told->next_us) {
        told->next_us = now + 2000000;
        world_log(told->world, "restore: %.1f of %.1f MB copied (%" PRIu64 " %%)",
            (double)done / 1e6, (double)total / 1e6, total == 0 ? 100 : done * 100 / total);
    }
}

static enum err
copy_backup(struct copy *copy, const char *backup, const char *directory, const struct label *label)
{
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    uint64_t size = 0;
    (void)snprintf(from, sizeof from, "%s/data.tusk", backup);
    (void)snprintf(to, sizeof to, "%s/data.tusk", directory);
    TRY(size_of(copy->task, from, &size, copy->diag));
    copy->total = size + label->end - label->start;
    TRY(copy_file(copy, from, to, size, size));
    for (uint64_t number = label->start / label->segment_size;
         number * label->segment_size < label->end; number++) {
        segment_path(backup, number, from);
        segment_path(directory, number, to);
        TRY(copy_file(copy, from, to, label->segment_size, label->segment_size));
    }
    return ERR_OK;
}

/* The log as far as it goes or shall go, applied; and a checkpoint, which is what remains. */
static enum err
recover(struct task *task, const struct txn_db_options *options, uint64_t segment_size,
    struct txn_restored *restored, struct diag *diag)
{
    struct txn_db_options own = *options;
    own.restoring = true;
    own.checkpoint_automatic = false;
    own.archive_directory = NULL;
    own.wal_segment_size = segment_size;
    struct txn_db *db = NULL;
    TRY(txn_db_open(task, &own, &db, diag));
    enum err err = txn_db_checkpoint(task, db, diag);
    restored->lsn = txn_db_visible_lsn(db);
    restored->time_us = (int64_t)(db->hlc >> 12);
    txn_db_close(task, db);
    return err;
}

enum err
txn_db_restore(struct task *task, const struct txn_db_options *options, const char *backup,
    const char *archive, struct txn_restored *restored, struct diag *diag)
{
    char path[PATH_SIZE];
    struct label label;
    struct told told = {.world = task_world(task)};
    struct copy copy = {.task = task, .progress = tell_restore, .arg = &told, .diag = diag};
    (void)snprintf(path, sizeof path, "%s/" INCOMPLETE_FILE, backup);
    if (world_file_exists(task, path)) {
        return diag_set(diag, ERR_OBJECT_IN_USE, "the backup in \"%s\" was not finished", backup);
    }
    TRY(read_label(task, backup, &label, diag));
    TRY(begin_directory(task, options->directory, diag));
    copy.piece = mem_alloc_aligned(WORLD_BLOCK_SIZE, PIECE);
    enum err err = copy_backup(&copy, backup, options->directory, &label);
    mem_free(copy.piece);
    TRY(err);
    if (archive != NULL) {
        (void)snprintf(path, sizeof path, "%s/wal", options->directory);
        TRY(wal_archive_fetch(task, archive, path, label.segment_size, (lsn_t){label.start},
            (lsn_t){label.end}, diag));
    }
    TRY(recover(task, options, label.segment_size, restored, diag));
    return finish_directory(task, options->directory, diag);
}
