/* server/restore.c - tuskd --restore: a data directory from a backup and an archive. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/server.h"
#include "sql/ddl/ddl.h"
#include "sql/value/value.h"
#include "txn/txn.h"

enum {
    EPOCH_DIFFERENCE_S = 946684800, /* 2000-01-01, which timestamps count from */
};

/* As in SQL, with or without a zone; without one it is UTC. */
static enum err
read_time(struct task *task, const char *text, int64_t *time_us, struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "time");
    struct eval_env env = {.world = task_world(task)};
    struct eval eval = {.task = task, .env = &env, .arena = &arena, .diag = diag};
    struct datum value;
    enum err err = type_input(&eval, TYPE_TIMESTAMPTZ, -1, slice_of(text, strlen(text)), &value);
    if (err == ERR_OK) {
        *time_us = value.i + (int64_t)EPOCH_DIFFERENCE_S * 1000000;
    }
    arena_destroy(&arena);
    return err;
}

static enum err
read_target(struct task *task, const struct server_restore_options *options,
    struct txn_db_options *db, struct diag *diag)
{
    if (options->target_lsn != NULL) {
        char *end = NULL;
        db->recover_to_lsn.v = strtoull(options->target_lsn, &end, 16);
        if (*end != '\0' || db->recover_to_lsn.v == 0) {
            return diag_set(diag, ERR_INVALID_PARAMETER_VALUE,
                "\"%s\" is not a position in the log (hexadecimal, as tusk_current_lsn() says)",
                options->target_lsn);
        }
    }
    if (options->target_time != NULL) {
        TRY(read_time(task, options->target_time, &db->recover_to_us, diag));
    }
    return ERR_OK;
}

int
server_restore(struct task *task, const struct server_restore_options *options)
{
    static struct diag diag; /* too large for this stack's beginning */
    struct txn_db_options db = {.directory = options->data_directory,
        .cache_size = options->cache_size,
        .rebuild = ddl_rebuild_index,
        .rebuild_arg = (void *)(uintptr_t)options->data_directory};
    struct txn_restored restored = {0};
    enum err err = read_target(task, options, &db, &diag);
    if (err == ERR_OK) {
        err = txn_db_restore(task, &db, options->backup, options->archive, &restored, &diag);
    }
    struct world *world = task_world(task);
    if (err != ERR_OK) {
        world_log(world, "FATAL: %s", diag.message);
        if (diag.hint[0] != '\0') {
            world_log(world, "HINT: %s", diag.hint);
        }
        return 1;
    }
    char when[64] = "";
    time_t seconds = (time_t)(restored.time_us / 1000000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) != NULL) {
        (void)strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &utc);
    }
    world_log(world, "restored to %" PRIX64 "; its last commit was at %s", restored.lsn.v, when);
    world_log(world, "start a server on \"%s\"; with another archive directory, if it has one",
        options->data_directory);
    return 0;
}
