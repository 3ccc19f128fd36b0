/* sql/session/storage.c - what of the store is seen in SQL: checkpoints, old row versions. */
#include "sql/session/session_internal.h"

typedef enum err emit_row(void *arg, const struct datum *values);

enum {
    US_PER_MS = 1000,
};

static struct datum
count_datum(uint64_t count)
{
    return datum_int((int64_t)count);
}

static struct datum
ms_datum(uint64_t us)
{
    return datum_float((double)us / US_PER_MS);
}

/* ---- tusk_checkpoint: one row ------------------------------------------------------------------
 */

static enum err
scan_checkpoint(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    (void)catalog;
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    struct txn_db_stats stats;
    txn_db_stats(eval->env->session->engine->db, &stats);
    const struct txn_checkpoint_stats *at = &stats.checkpoint;
    double share = at->pages_due == 0 ? 1 : (double)at->pages_done / (double)at->pages_due;
    struct datum values[] = {
        datum_bool(at->running),
        datum_bool(at->running && at->paced),
        at->start_us == 0 ? datum_null() : datum_int(at->start_us - EPOCH_US),
        count_datum(at->pages_done),
        count_datum(at->pages_due),
        datum_float(!at->running ? 100
                    : share > 1  ? 100
                                 : 100 * share),
        count_datum(stats.checkpoints),
        count_datum(at->failed),
        count_datum(at->by_time),
        count_datum(at->by_log),
        count_datum(at->requested),
        stats.checkpoints == 0 ? datum_null() : ms_datum((uint64_t)at->duration_us),
        count_datum(at->snapshot),
        count_datum(stats.wal_bytes - at->snapshot),
        count_datum(stats.pages_dirty),
        count_datum(stats.file_size),
    };
    return emit(arg, values);
}

/* ---- pg_stat_bgwriter: PostgreSQL's words for it -----------------------------------------------
 */

static enum err
scan_bgwriter(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    (void)catalog;
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    const struct sql_engine *engine = eval->env->session->engine;
    struct txn_db_stats stats;
    txn_db_stats(engine->db, &stats);
    const struct txn_checkpoint_stats *at = &stats.checkpoint;
    struct datum values[] = {
        count_datum(at->by_time),
        count_datum(at->by_log + at->requested),
        ms_datum(at->duration_us_all),
        datum_float(0),
        count_datum(at->pages_all),
        count_datum(0),
        count_datum(0),
        count_datum(0),
        count_datum(0),
        count_datum(0),
        datum_int(engine->started),
    };
    return emit(arg, values);
}

/* ---- tusk_undo: one row ------------------------------------------------------------------------
 */

static enum err
scan_undo(struct eval *eval, const struct catalog *catalog, emit_row *emit, void *arg)
{
    (void)catalog;
    if (eval->env->session == NULL) {
        return ERR_OK;
    }
    struct txn_db_stats stats;
    txn_db_stats(eval->env->session->engine->db, &stats);
    struct datum values[] = {
        count_datum(stats.undo_bytes),
        count_datum(stats.undo_memory),
        count_datum(stats.undo_spilled_bytes),
        count_datum(stats.undo_size_max),
        count_datum(stats.undo_spilled_blocks),
        count_datum(stats.snapshots_given_up),
    };
    return emit(arg, values);
}

void
storage__register(void)
{
    catalog_set_virtual_scan("tusk_checkpoint", scan_checkpoint);
    catalog_set_virtual_scan("tusk_undo", scan_undo);
    catalog_set_virtual_scan("pg_stat_bgwriter", scan_bgwriter);
}
