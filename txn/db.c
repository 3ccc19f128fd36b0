/* txn/db.c - a database's beginning and end, and the tasks that serve it. */
#include <stdio.h>

#include "txn/txn_internal.h"

enum {
    KEEPER_PERIOD_US = 50 * 1000,
    ARCHIVER_PERIOD_US = 1000 * 1000,
    ARCHIVER_RETRY_US = 10 * 1000 * 1000,
    TRIM_SIZE = 32 * 1024 * 1024,
};
#define CHECKPOINT_WAL_SIZE_DEFAULT   ((uint64_t)1 << 30)
#define CACHE_SIZE_DEFAULT            ((uint64_t)1 << 30)
#define UNDO_MEMORY_MIN               ((uint64_t)32 << 20)
#define CHECKPOINT_INTERVAL_S_DEFAULT ((int64_t)300)
#define UNDO_SIZE_MAX_DEFAULT         ((uint64_t)8 << 30)
#define LOCKS_MAX_DEFAULT             ((uint64_t)8 << 20)

/* ---- tasks -------------------------------------------------------------------------------------
 */

static void
enter(struct task *task, struct txn_db *db, _Atomic(struct task *) *place)
{
    atomic_store(place, task);
    struct task *starter = db->starter;
    atomic_fetch_add(&db->tasks_running, 1);
    task_unpark(starter);
}

/* Whoever wakes us must have done so before we go. */
static void
leave(struct task *task, struct txn_db *db)
{
    while (!atomic_load(&db->may_end)) {
        task_park(task, world_clock_us(db->world) + 1000);
    }
    atomic_fetch_sub(&db->tasks_running, 1);
}

/* ---- the keeper --------------------------------------------------------------------------------
 */

/* Purges what commits leave over, and makes asynchronous commits durable. Sleeps for good when
 * there is nothing to do; a commit wakes it. */
static void
run_trim(void *arg)
{
    (void)arg;
    mem_trim();
}

/* Much undo has gone: its memory goes back to the system, not only to the heap. */
static void
give_memory_back(struct task *task, struct txn_db *db, uint64_t *most)
{
    uint64_t now = atomic_load(&db->undo_bytes);
    *most = now > *most ? now : *most;
    if (*most - now > TRIM_SIZE && now < *most / 2) {
        *most = now;
        world_offload(task, run_trim, NULL);
    }
}

static void
keeper_main(struct task *task, void *arg)
{
    struct txn_db *db = arg;
    uint64_t most = 0;
    enter(task, db, &db->keeper);
    while (!atomic_load(&db->stopping)) {
        atomic_store(&db->keeper_hurry, false);
        bool more = purge__all(task, db);
        spill__keep(task, db);
        give_memory_back(task, db, &most);
        lsn_t end = wal_end(db->wal);
        if (wal_durable(db->wal).v < end.v) {
            wal_wait_durable(task, db->wal, end);
            more = true;
        }
        if (!more) {
            atomic_store(&db->keeper_idle, true);
            if (atomic_load(&db->retired_count) == 0 && !atomic_load(&db->keeper_hurry) &&
                !atomic_load(&db->stopping)) {
                task_park(task, WORLD_NEVER);
            }
            atomic_store(&db->keeper_idle, false);
        }
        int64_t until = world_clock_us(db->world) + KEEPER_PERIOD_US;
        while (!atomic_load(&db->stopping) && !atomic_load(&db->keeper_hurry) &&
               world_clock_us(db->world) < until) {
            task_park(task, until);
        }
    }
    leave(task, db);
}

static void
checkpointer_main(struct task *task, void *arg)
{
    struct txn_db *db = arg;
    enter(task, db, &db->checkpointer);
    checkpoint__serve(task, db);
    leave(task, db);
}

/* ---- the archiver ------------------------------------------------------------------------------
 */

static void
archiver_main(struct task *task, void *arg)
{
    struct txn_db *db = arg;
    enter(task, db, &db->archiver);
    bool told = false;
    while (!atomic_load(&db->stopping)) {
        struct diag diag;
        task_interrupt_clear(task, TASK_TERMINATE); /* the end is told by `stopping` */
        enum err err = wal_archive_step(task, db->wal, &diag);
        if (err != ERR_OK && !told) {
            world_log(db->world, "the log is not archived, and kept: %s", diag.message);
        } else if (err == ERR_OK && told) {
            world_log(db->world, "the log is archived again");
        }
        told = err != ERR_OK;
        int64_t until =
            world_clock_us(db->world) + (err == ERR_OK ? ARCHIVER_PERIOD_US : ARCHIVER_RETRY_US);
        while (!atomic_load(&db->stopping) && world_clock_us(db->world) < until) {
            task_park(task, until);
        }
    }
    leave(task, db);
}

static void
historian_main(struct task *task, void *arg)
{
    struct txn_db *db = arg;
    enter(task, db, &db->historian);
    hlc__serve(task, db);
    leave(task, db);
}

static enum err
start_tasks(struct task *task, struct txn_db *db, struct diag *diag)
{
    db->starter = task;
    TRY(spill__start(task, db, diag));
    TRY(task_spawn(db->world, WORLD_ANY_WORKER, "keeper", keeper_main, db, diag));
    atomic_fetch_add(&db->tasks_spawned, 1);
    TRY(task_spawn(db->world, WORLD_ANY_WORKER, "checkpointer", checkpointer_main, db, diag));
    atomic_fetch_add(&db->tasks_spawned, 1);
    if (db->archiving) {
        TRY(task_spawn(db->world, WORLD_ANY_WORKER, "archiver", archiver_main, db, diag));
        atomic_fetch_add(&db->tasks_spawned, 1);
    }
    if (db->hlc_window_us > 0) {
        TRY(task_spawn(db->world, WORLD_ANY_WORKER, "historian", historian_main, db, diag));
        atomic_fetch_add(&db->tasks_spawned, 1);
    }
    while (atomic_load(&db->keeper) == NULL || atomic_load(&db->checkpointer) == NULL ||
           (db->archiving && atomic_load(&db->archiver) == NULL) ||
           (db->hlc_window_us > 0 && atomic_load(&db->historian) == NULL)) {
        task_park(task, world_clock_us(db->world) + 10 * 1000);
    }
    return ERR_OK;
}

static void
stop_tasks(struct task *task, struct txn_db *db)
{
    while (atomic_load(&db->tasks_running) < atomic_load(&db->tasks_spawned)) {
        task_park(task, world_clock_us(db->world) + 1000);
    }
    atomic_store(&db->stopping, true);
    if (db->keeper != NULL) {
        task_unpark(db->keeper);
    }
    if (db->checkpointer != NULL) {
        task_unpark(db->checkpointer);
    }
    if (db->archiver != NULL) {
        task_unpark(db->archiver);
    }
    if (db->historian != NULL) {
        task_unpark(db->historian);
    }
    atomic_store(&db->may_end, true);
    while (atomic_load(&db->tasks_running) > 0) {
        task_park(task, world_clock_us(db->world) + 1000);
    }
}

/* ---- opening and closing -----------------------------------------------------------------------
 */

static struct txn_db *
db_new(struct task *task, const struct txn_db_options *options)
{
    struct txn_db *db = mem_alloc_aligned(64, sizeof *db);
    memset(db, 0, sizeof *db);
    db->world = task_world(task);
    db->checkpoint_automatic = options->checkpoint_automatic;
    uint64_t cache_size = options->cache_size == 0 ? CACHE_SIZE_DEFAULT : options->cache_size;
    db->undo_memory = options->undo_memory;
    if (db->undo_memory == 0) {
        db->undo_memory = cache_size / 4 < UNDO_MEMORY_MIN ? UNDO_MEMORY_MIN : cache_size / 4;
    }
    uint32_t interval_s = options->checkpoint_interval_s;
    db->checkpoint_interval_us =
        (interval_s == 0 ? CHECKPOINT_INTERVAL_S_DEFAULT : (int64_t)interval_s) * 1000 * 1000;
    db->checkpoint_wal_size = options->checkpoint_wal_size == 0 ? CHECKPOINT_WAL_SIZE_DEFAULT
                                                                : options->checkpoint_wal_size;
    db->undo_size_max =
        options->undo_size_max == 0 ? UNDO_SIZE_MAX_DEFAULT : options->undo_size_max;
    db->hlc_window_us = options->history_window_us;
    db->locks_max = options->locks_max == 0 ? LOCKS_MAX_DEFAULT : options->locks_max;
    db->directory = mem_strdup(options->directory);
    db->rebuild = options->rebuild;
    db->rebuild_arg = options->rebuild_arg;
    spill__create(db);
    list_init(&db->with_parts);
    atomic_store(&db->era, 1);
    atomic_store(&db->purge_at, PURGE_THRESHOLD);
    db->slots = mem_alloc_aligned(64, SLOTS_MAX * sizeof *db->slots);
    memset(db->slots, 0, SLOTS_MAX * sizeof *db->slots);
    atomic_store(&db->slot_count, SLOT_FIRST_FREE);
    db->free_slots = mem_array(SLOTS_MAX, sizeof *db->free_slots);
    db->ssi = ssi__create(options);
    db->sagas = sagas__new();
    db->failures = failures__create();
    lock__create(db);
    return db;
}

static enum err
lock_directory(struct task *task, struct txn_db *db, const char *directory, struct diag *diag)
{
    char path[1024];
    TRY(world_mkdir(task, directory, diag));
    (void)snprintf(path, sizeof path, "%s/PG_VERSION", directory);
    if (world_file_exists(task, path)) { /* a mixture would be neither's */
        (void)diag_set(
            diag, ERR_OBJECT_IN_USE, "directory \"%s\" is PostgreSQL's data directory", directory);
        diag_hint(diag, "Name another one; load into it what pg_dump writes.");
        return ERR_OBJECT_IN_USE;
    }
    (void)snprintf(path, sizeof path, "%s/tusk.lock", directory);
    TRY(world_file_open(task, path, WORLD_FILE_WRITE | WORLD_FILE_CREATE, &db->lock_file, diag));
    enum err err = world_file_lock(task, db->lock_file, diag);
    if (err == ERR_OBJECT_IN_USE) {
        (void)diag_set(diag, ERR_OBJECT_IN_USE, "data directory \"%s\" is in use", directory);
        diag_hint(diag, "Another server is running on it; stop that one first.");
    }
    return err;
}

static enum err
check_whole(struct task *task, const char *directory, struct diag *diag)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/" INCOMPLETE_FILE, directory);
    if (!world_file_exists(task, path)) {
        return ERR_OK;
    }
    (void)diag_set(diag, ERR_OBJECT_IN_USE,
        "directory \"%s\" holds a backup or a restore that was not finished", directory);
    diag_hint(diag, "Remove it, and make it again.");
    return ERR_OBJECT_IN_USE;
}

static enum err
read_meta(const struct btree_checkpoint_info *info, struct checkpoint_meta *meta, bool *present,
    struct diag *diag)
{
    *meta = (struct checkpoint_meta){.next_id = 1, .next_tree = TREE_ID_FIRST_USER};
    *present = info->meta_size != 0;
    if (!*present) {
        return ERR_OK;
    }
    if (info->meta_size != sizeof *meta) {
        return diag_set(diag, ERR_CORRUPT, "the checkpoint's notes have the wrong size");
    }
    memcpy(meta, info->meta, sizeof *meta);
    if (meta->magic != META_MAGIC || meta->version != META_VERSION ||
        meta->snapshot != info->snapshot.v) {
        return diag_set(
            diag, ERR_CORRUPT, "the checkpoint is of another version of the server, or damaged");
    }
    return ERR_OK;
}

static enum err
open_files(struct task *task, struct txn_db *db, const struct txn_db_options *options,
    struct checkpoint_meta *meta, bool *present, struct diag *diag)
{
    TRY(lock_directory(task, db, options->directory, diag));
    TRY(options->restoring ? ERR_OK : check_whole(task, options->directory, diag));
    struct btree_checkpoint_info *info = mem_zalloc(sizeof *info);
    struct btree_options store_options = {
        .directory = options->directory,
        .cache_size = options->cache_size,
        .owner = {.arg = db,
            .version_at = checkpoint__version_at,
            .is_settled = checkpoint__is_settled,
            .checkpoint_due = checkpoint__due},
    };
    enum err err = btree_open(task, &store_options, &db->store, info, diag);
    err = err == ERR_OK ? read_meta(info, meta, present, diag) : err;
    mem_free(info);
    TRY(err);
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/wal", options->directory);
    struct wal_options wal_options = {
        .directory = path,
        .segment_size = options->wal_segment_size,
        .from = {meta->redo_start},
    };
    return wal_open(task, &wal_options, &db->wal, diag);
}

static enum err
open_all(
    struct task *task, struct txn_db *db, const struct txn_db_options *options, struct diag *diag)
{
    if (strlen(options->directory) > 900) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "data directory name is too long");
    }
    struct checkpoint_meta meta;
    bool present = false;
    TRY(open_files(task, db, options, &meta, &present, diag));
    db->hlc = meta.hlc;
    db->epoch = meta.epoch;
    atomic_store(&db->schema_lsn, meta.schema_lsn);
    atomic_store(&db->visible, meta.snapshot);
    atomic_store(&db->checkpoint_lsn, meta.snapshot);
    atomic_store(&db->redo_start, meta.redo_start);
    uint64_t last_id = meta.next_id - 1;
    bool any = false;
    const struct recover_target target = {
        .lsn = options->recover_to_lsn.v, .time_us = options->recover_to_us};
    TRY(recover__run(task, db, &meta, &target, options->recovery_progress, &last_id, &any, diag));
    TRY(wal_start(task, db->wal, diag));
    if (options->archive_directory != NULL && options->archive_directory[0] != '\0') {
        TRY(wal_archive_open(task, db->wal, options->archive_directory, diag));
        db->archiving = true;
    }
    db->epoch++;
    db->is_new = !present && !any;
    uint64_t next_tree = btree_tree_last(db->store).v + 1;
    next_tree = next_tree < meta.next_tree ? meta.next_tree : next_tree;
    atomic_store(&db->next_tree, next_tree < TREE_ID_FIRST_USER ? TREE_ID_FIRST_USER : next_tree);
    table__create(db, last_id + 1);
    hlc__open(db);
    sagas__opened(db);
    return start_tasks(task, db, diag);
}

enum err
txn_db_open(struct task *task, const struct txn_db_options *options, struct txn_db **db_out,
    struct diag *diag)
{
    struct txn_db *db = db_new(task, options);
    enum err err = open_all(task, db, options, diag);
    if (err != ERR_OK) {
        txn_db_close(task, db);
        return err;
    }
    *db_out = db;
    return ERR_OK;
}

void
txn_db_close(struct task *task, struct txn_db *db)
{
    stop_tasks(task, db);
    if (db->wal != NULL) {
        if (db->table != NULL) { /* it was started */
            wal_wait_durable(task, db->wal, wal_end(db->wal));
            struct diag diag;
            if (db->archiving && wal_archive_step(task, db->wal, &diag) != ERR_OK) {
                world_log(db->world, "the end of the log is not archived: %s", diag.message);
            }
        }
        wal_close(task, db->wal);
    }
    purge__drop_everything(db);
    spill__destroy(task, db);
    if (db->table != NULL) {
        table__destroy(db);
    }
    if (db->store != NULL) {
        btree_close(task, db->store);
    }
    if (db->lock_file != NULL) {
        world_file_close(task, db->lock_file);
    }
    lock__destroy(db);
    ssi__destroy(db->ssi);
    sagas__delete(db->sagas);
    failures__destroy(db->failures);
    hlc__close(db);
    mem_free(db->slots);
    mem_free(db->free_slots);
    mem_free(db->directory);
    mem_free(db);
}

bool
txn_db_is_new(const struct txn_db *db)
{
    return db->is_new;
}

bool
txn_db_has_checkpoint(const struct txn_db *db)
{
    return atomic_load(&db->checkpoint_lsn) != 0;
}

static enum err
open_checkpoint(
    struct task *task, struct txn_db *db, const struct txn_db_options *options, struct diag *diag)
{
    if (strlen(options->directory) > 900) {
        return diag_set(diag, ERR_INVALID_PARAMETER_VALUE, "data directory name is too long");
    }
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/data.tusk", options->directory);
    if (!world_file_exists(task, path)) {
        return diag_set(diag, ERR_UNDEFINED_FILE, "file \"%s\" does not exist", path);
    }
    TRY(lock_directory(task, db, options->directory, diag));
    TRY(check_whole(task, options->directory, diag));
    struct btree_options store_options = {
        .directory = options->directory, .cache_size = options->cache_size};
    struct btree_checkpoint_info *info = mem_zalloc(sizeof *info);
    struct checkpoint_meta meta;
    bool present = false;
    enum err err = btree_open(task, &store_options, &db->store, info, diag);
    err = err == ERR_OK ? read_meta(info, &meta, &present, diag) : err;
    mem_free(info);
    TRY(err);
    db->is_new = !present;
    atomic_store(&db->schema_lsn, meta.schema_lsn);
    atomic_store(&db->visible, meta.snapshot);
    atomic_store(&db->checkpoint_lsn, meta.snapshot);
    atomic_store(&db->redo_start, meta.redo_start);
    table__create(db, meta.next_id);
    return ERR_OK;
}

enum err
txn_db_open_checkpoint(struct task *task, const struct txn_db_options *options,
    struct txn_db **db_out, struct diag *diag)
{
    struct txn_db *db = db_new(task, options);
    enum err err = open_checkpoint(task, db, options, diag);
    if (err != ERR_OK) {
        txn_db_close(task, db);
        return err;
    }
    *db_out = db;
    return ERR_OK;
}

enum err
txn_db_check(struct task *task, struct txn_db *db, const struct btree_check_listener *listener,
    struct btree_check_report *report, struct diag *diag)
{
    return btree_check_store(task, db->store, listener, report, diag);
}

lsn_t
txn_db_schema_lsn(const struct txn_db *db)
{
    return (lsn_t){atomic_load_explicit(&db->schema_lsn, memory_order_acquire)};
}

lsn_t
txn_db_visible_lsn(const struct txn_db *db)
{
    return (lsn_t){atomic_load(&db->visible)};
}

void
txn_db_stats(struct txn_db *db, struct txn_db_stats *stats)
{
    struct btree_stats store;
    btree_stats(db->store, &store);
    *stats = (struct txn_db_stats){
        .deadlocks = atomic_load(&db->deadlocks),
        .wal_bytes = wal_end(db->wal).v,
        .wal_flushes = wal_flush_count(db->wal),
        .undo_bytes = atomic_load(&db->undo_bytes),
        .undo_spilled_bytes = atomic_load(&db->undo_spilled),
        .undo_spilled_blocks = atomic_load(&db->undo_spill_count),
        .snapshots_given_up = atomic_load(&db->snapshots_given_up),
        .locks = atomic_load(&db->lock_count),
        .pages_dirty = store.pages_dirty,
        .file_size = store.file_size,
        .checkpoints = atomic_load(&db->checkpoints),
        .pages_cached = store.frames_used,
        .pages_cached_max = store.frames_max,
        .pages_read = store.pages_read,
        .pages_evicted = store.pages_evicted,
        .pages_spilled = store.pages_spilled,
        .leaves_merged = store.pages_merged,
        .leaves_filled = store.pages_filled,
        .undo_memory = db->undo_memory,
        .undo_size_max = db->undo_size_max,
        .checkpoint =
            {
                .by_time = atomic_load(&db->checkpoints_by_time),
                .by_log = atomic_load(&db->checkpoints_by_log),
                .requested = atomic_load(&db->checkpoints_requested),
                .failed = atomic_load(&db->checkpoints_failed),
                .running = atomic_load(&db->checkpoint_busy),
                .paced = atomic_load(&db->checkpoint_paced),
                .start_us = atomic_load(&db->checkpoint_wall_us),
                .duration_us = atomic_load(&db->checkpoint_us),
                .duration_us_all = atomic_load(&db->checkpoint_us_all),
                .snapshot = atomic_load(&db->checkpoint_lsn),
                .pages_done = store.checkpoint_done,
                .pages_due = store.checkpoint_total,
                .pages_all = atomic_load(&db->checkpoint_pages_all),
            },
    };
    latch_acquire(&db->registry_latch);
    stats->commits = db->old_commits;
    stats->rollbacks = db->old_rollbacks;
    for (uint32_t i = 0; i < db->slot_count; i++) {
        const struct txn *txn = db->slots[i].txn;
        if (txn != NULL) {
            stats->commits += atomic_load_explicit(&txn->commits, memory_order_relaxed);
            stats->rollbacks += atomic_load_explicit(&txn->rollbacks, memory_order_relaxed);
        }
    }
    latch_release(&db->registry_latch);
}
