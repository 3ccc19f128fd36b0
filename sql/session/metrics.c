/*
 * sql/session/metrics.c - counts and times for who watches the server.
 *
 * A worker counts in memory of its own, so counting costs plain additions. Times fall into buckets
 * that grow by a quarter of a power of two, so a quantile is right to within 19 %.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "sql/ddl/ddl.h"
#include "sql/session/session_internal.h"

enum {
    STEPS = 4,            /* buckets for each power of two */
    BUCKETS = 32 * STEPS, /* up to 2^32 us, more than an hour; the last has the rest */
};

static const char *const class_names[METRICS_CLASS_COUNT] = {
    "select", "insert", "update", "delete", "copy", "transaction", "ddl", "other"};

struct metrics_class {
    uint64_t statements;
    uint64_t exchanges, time_us;
    uint64_t buckets[BUCKETS];
};

struct metrics {
    _Alignas(64) struct metrics_class classes[METRICS_CLASS_COUNT];
};

/* One writer, so no atomic addition; readers must not see half a number. */
static void
add(uint64_t *counter, uint64_t amount)
{
    __atomic_store_n(counter, *counter + amount, __ATOMIC_RELAXED);
}

static uint64_t
get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

struct metrics *
metrics__new(unsigned worker_count)
{
    size_t size = worker_count * sizeof(struct metrics);
    struct metrics *metrics = mem_alloc_aligned(_Alignof(struct metrics), size);
    memset(metrics, 0, size);
    return metrics;
}

enum metrics_class_id
metrics__class(const struct prepared *prepared)
{
    if (prepared->statement == NULL) {
        return METRICS_OTHER;
    }
    switch (prepared->statement->body->kind) {
    case AST_SELECT:
        return METRICS_SELECT;
    case AST_INSERT:
        return METRICS_INSERT;
    case AST_UPDATE:
        return METRICS_UPDATE;
    case AST_DELETE:
        return METRICS_DELETE;
    case AST_COPY:
        return METRICS_COPY;
    case AST_TRANSACTION:
        return METRICS_TRANSACTION;
    default:
        return ddl_handles(prepared->statement->body) ? METRICS_DDL : METRICS_OTHER;
    }
}

/* The bucket of a time: its power of two, and which quarter of the way to the next. */
static unsigned
bucket_of(uint64_t time_us)
{
    if (time_us < STEPS) {
        return (unsigned)time_us;
    }
    unsigned power = 63U - (unsigned)__builtin_clzll(time_us);
    unsigned step = (unsigned)(time_us >> (power - 2)) & (STEPS - 1);
    unsigned bucket = (power - 1) * STEPS + step;
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* The first time that is in the next bucket. */
static uint64_t
bucket_end(unsigned bucket)
{
    if (bucket < STEPS) {
        return bucket + 1;
    }
    unsigned power = bucket / STEPS + 1;
    return (uint64_t)(STEPS + bucket % STEPS + 1) << (power - 2);
}

void
metrics__statement(struct sql_session *session, enum metrics_class_id class)
{
    struct metrics *metrics = &session->engine->metrics[task_worker(session->task)];
    session->metrics_class = class;
    add(&metrics->classes[class].statements, 1);
}

void
metrics__exchange(struct sql_session *session, int64_t time_us)
{
    struct metrics *metrics = &session->engine->metrics[task_worker(session->task)];
    struct metrics_class *class = &metrics->classes[session->metrics_class];
    uint64_t time = time_us < 0 ? 0 : (uint64_t)time_us;
    add(&class->exchanges, 1);
    add(&class->time_us, time);
    add(&class->buckets[bucket_of(time)], 1);
}

/* ---- Prometheus ------------------------------------------------------------------------------ */

static void
put_head(struct buffer *to, const char *name, const char *type, const char *words)
{
    buffer_printf(to, "# HELP %s %s\n# TYPE %s %s\n", name, words, name, type);
}

static void
put_one(struct buffer *to, const char *name, const char *type, uint64_t value, const char *words)
{
    put_head(to, name, type, words);
    buffer_printf(to, "%s %" PRIu64 "\n", name, value);
}

static void
put_quantile(struct buffer *to, const char *class, const struct metrics_class *sums,
    const char *quantile, uint64_t thousandths)
{
    uint64_t wanted = (sums->exchanges * thousandths + 999) / 1000;
    uint64_t seen = 0;
    unsigned bucket = 0;
    while (bucket < BUCKETS - 1 && seen + sums->buckets[bucket] < wanted) {
        seen += sums->buckets[bucket++];
    }
    buffer_printf(to, "tusk_query_seconds{class=\"%s\",quantile=\"%s\"} %.6f\n", class, quantile,
        sums->exchanges == 0 ? 0.0 : (double)bucket_end(bucket) / 1e6);
}

static void
put_classes(struct sql_engine *engine, struct buffer *to)
{
    struct metrics_class *sums = mem_zalloc(METRICS_CLASS_COUNT * sizeof *sums);
    for (unsigned w = 0; w < world_worker_count(engine->world); w++) {
        for (unsigned c = 0; c < METRICS_CLASS_COUNT; c++) {
            const struct metrics_class *from = &engine->metrics[w].classes[c];
            sums[c].statements += get(&from->statements);
            sums[c].time_us += get(&from->time_us);
            for (unsigned b = 0; b < BUCKETS; b++) {
                sums[c].buckets[b] += get(&from->buckets[b]);
                sums[c].exchanges += get(&from->buckets[b]); /* so that the sums agree */
            }
        }
    }
    put_head(to, "tusk_statements_total", "counter", "Statements run, by class.");
    for (unsigned c = 0; c < METRICS_CLASS_COUNT; c++) {
        buffer_printf(to, "tusk_statements_total{class=\"%s\"} %" PRIu64 "\n", class_names[c],
            sums[c].statements);
    }
    put_head(to, "tusk_query_seconds", "summary",
        "Time from a query's first message until its answer is whole, commit included, by the "
        "class of its last statement.");
    for (unsigned c = 0; c < METRICS_CLASS_COUNT; c++) {
        put_quantile(to, class_names[c], &sums[c], "0.5", 500);
        put_quantile(to, class_names[c], &sums[c], "0.99", 990);
        put_quantile(to, class_names[c], &sums[c], "0.999", 999);
        buffer_printf(to, "tusk_query_seconds_sum{class=\"%s\"} %.6f\n", class_names[c],
            (double)sums[c].time_us / 1e6);
        buffer_printf(to, "tusk_query_seconds_count{class=\"%s\"} %" PRIu64 "\n", class_names[c],
            sums[c].exchanges);
    }
    mem_free(sums);
}

static void
put_storage(struct buffer *to, const struct txn_db_stats *stats)
{
    put_one(to, "tusk_undo_bytes", "gauge", stats->undo_bytes, "Memory of old row versions.");
    put_one(to, "tusk_undo_file_bytes", "gauge", stats->undo_spilled_bytes,
        "Old row versions in the undo file.");
    put_one(to, "tusk_snapshots_given_up_total", "counter", stats->snapshots_given_up,
        "Readers told that their snapshot is too old.");
    put_one(to, "tusk_dirty_pages", "gauge", stats->pages_dirty, "Pages to be checkpointed.");
    put_one(to, "tusk_cached_pages", "gauge", stats->pages_cached, "Pages in memory.");
    put_one(to, "tusk_cached_pages_max", "gauge", stats->pages_cached_max,
        "Pages that memory has room for.");
    put_one(to, "tusk_pages_read_total", "counter", stats->pages_read, "Pages read.");
    put_one(
        to, "tusk_pages_evicted_total", "counter", stats->pages_evicted, "Pages that left memory.");
    put_one(to, "tusk_pages_spilled_total", "counter", stats->pages_spilled,
        "Pages that left memory before a checkpoint wrote them.");
    put_one(to, "tusk_leaves_merged_total", "counter", stats->leaves_merged,
        "Sparse leaves that went into a neighbour.");
    put_one(to, "tusk_leaves_filled_total", "counter", stats->leaves_filled,
        "Leaves filled up from a neighbour.");
    put_one(to, "tusk_data_file_bytes", "gauge", stats->file_size, "Size of the data file.");
    put_one(to, "tusk_checkpoints_total", "counter", stats->checkpoints, "Checkpoints completed.");
    put_one(to, "tusk_checkpoints_failed_total", "counter", stats->checkpoint.failed,
        "Checkpoints that failed.");
    put_one(to, "tusk_checkpoint_running", "gauge", stats->checkpoint.running,
        "Does a checkpoint run?");
}

void
sql_engine_metrics(struct sql_engine *engine, struct buffer *to)
{
    struct txn_db_stats stats;
    txn_db_stats(engine->db, &stats);
    put_one(to, "tusk_sessions", "gauge", sql_engine_session_count(engine), "Sessions connected.");
    put_one(to, "tusk_sessions_max", "gauge", engine->connections_max, "Most sessions allowed.");
    put_one(to, "tusk_commits_total", "counter", stats.commits, "Transactions committed.");
    put_one(to, "tusk_rollbacks_total", "counter", stats.rollbacks, "Transactions rolled back.");
    put_one(to, "tusk_deadlocks_total", "counter", stats.deadlocks, "Deadlocks resolved.");
    put_one(to, "tusk_locks", "gauge", stats.locks, "Row and table locks held.");
    put_one(to, "tusk_wal_bytes_total", "counter", stats.wal_bytes, "Bytes written to the log.");
    put_one(to, "tusk_wal_flushes_total", "counter", stats.wal_flushes, "Flushes of the log.");
    put_storage(to, &stats);
    put_classes(engine, to);
}
