/*
 * sql/exec/exec.h - runs plans.
 *
 * exec_compile turns a plan's expressions into flat programs, once; the result is immutable and is
 * kept beside the plan in the cache. An execution (struct exec) holds the frame of registers and
 * the operators' states; it can be asked for one row after another and be left lying in between (a
 * suspended portal), cancelled, or abandoned.
 */
#ifndef SQL_EXEC_EXEC_H
#define SQL_EXEC_EXEC_H

#include "sql/exec/spill.h"
#include "sql/plan/plan.h"

struct exec_program;
struct exec;

/* In the plan's arena. */
enum err exec_compile(
    struct arena *arena, const struct plan *plan, struct exec_program **program, struct diag *diag);

/*
 * Rows that are not here (router/): a PLAN_REMOTE reads a stream of them, which is opened when its
 * first row is wanted and closed with the execution at the latest, whether or not it was read to
 * its end. Reading a row never needs those before it: whoever reads a stream twice keeps its rows.
 */
struct exec_remote_calls {
    /* Errors leave no stream. */
    enum err (*begin)(struct task *task, void *arg, const struct plan_remote *query,
        const struct datum *params, struct eval *eval, void **stream);
    /* Into values[0..wanted_count) of the query; they stay until the next call. */
    enum err (*next)(
        struct task *task, void *stream, struct eval *eval, struct datum *values, bool *found);
    /* So many bytes more are kept, to be read again: may refuse. */
    enum err (*keep)(void *stream, uint64_t size, struct diag *diag);
    void (*close)(struct task *task, void *stream);
};
/* COPY FROM: rows for who has them. After an error, or instead of `end`, `abort`. */
struct exec_remote_copy {
    /* columns: those whose values come; they and the relation stay until end or abort. */
    enum err (*begin)(struct task *task, void *arg, const struct relation *relation,
        const uint16_t *columns, uint32_t count, struct diag *diag);
    /* By column of the relation. */
    enum err (*row)(struct task *task, void *arg, const struct datum *values, struct diag *diag);
    enum err (*end)(struct task *task, void *arg, struct diag *diag);
    void (*abort)(struct task *task, void *arg);
};
struct exec_remote {
    void *arg;
    const struct exec_remote_calls *calls;
    const struct exec_remote_copy *copy;
    struct plan_places places; /* for EXPLAIN */
};

struct exec_context {
    struct txn *txn;
    struct txn_snapshot snapshot;
    struct catalog_store *store;   /* row ids */
    const struct catalog *catalog; /* for virtual tables */
    struct eval_env *env;
    struct arena *arena;        /* of the execution: the frame and states; the portal's */
    const struct datum *params; /* param_count of the plan; memory outlives the execution */
    uint64_t work_mem;          /* bytes an operator keeps before it goes to temporary files */
    uint64_t hash_mem;          /* the same of operators that hash */
    uint64_t memory_max;        /* bytes all operators of the statement keep; more is ERR_LIMIT */
    struct exec_deferred *deferred;   /* of the session; NULL: all constraints are immediate */
    struct spill_space *spill_space;  /* outlives the execution; NULL: nothing goes to files */
    const struct exec_remote *remote; /* or NULL */
    bool count;                       /* keep counters for EXPLAIN ANALYZE */
    struct diag *diag;
};

/* context is copied. Nothing is read yet. */
enum err exec_open(struct task *task, const struct exec_program *program,
    const struct exec_context *context, struct exec **exec);

/* The next row: *row points at the plan's column_count result datums, valid until the next call;
 * NULL at the end. A statement without result rows runs whole and gives NULL. Calls task_breathe.
 */
enum err exec_next(struct task *task, struct exec *exec, const struct datum **row);

/* Rows inserted, updated, deleted; for a SELECT the rows given so far. */
uint64_t exec_row_count(const struct exec *exec);
/* In preorder of plan nodes; NULL unless context.count. */
const struct plan_counter *exec_counters(const struct exec *exec);

/* What a filter of exec's that txn holds (txn_read_line) says of rows of the relation. */
char *exec_filter_words(struct arena *arena, const struct eval_env *env,
    const struct relation *relation, const struct txn_filter *filter);

/* Errors go there from now on: an execution may outlive the statement that opened it. */
void exec_hear(struct exec *exec, struct diag *diag);

/* Releases scans; always call, also after errors. */
void exec_close(struct task *task, struct exec *exec);

/* One expression alone (DEFAULT, CHECK, EXECUTE's arguments): registers may be NULL if it reads
 * none. Result memory in eval->arena. */
enum err exec_evaluate(struct eval *eval, const struct expr *expr, const struct datum *registers,
    const struct datum *params, struct datum *result);

/* For COPY FROM and other mass inserts: insert rows given as datums of all columns (dropped ones
 * null) into a relation with its indexes and NOT NULL; checks are the caller's program. The row
 * goes through the same code as PLAN_INSERT. */
struct exec_inserter;
enum err exec_inserter_open(struct task *task, const struct exec_context *context,
    const struct relation *relation, struct exec_inserter **inserter);
enum err exec_inserter_row(
    struct task *task, struct exec_inserter *inserter, const struct datum *values);
/* After the last row: what refers to other tables is checked. */
enum err exec_inserter_finish(struct task *task, struct exec_inserter *inserter);
void exec_inserter_close(struct task *task, struct exec_inserter *inserter);

/* ---- constraints that wait for COMMIT
 * -------------------------------------------------------------------- */

/* One per session, for one transaction after another. Statements add to it. */
struct exec_deferred *exec_deferred_new(void);
void exec_deferred_delete(struct exec_deferred *deferred);
/* The transaction has ended, either way. */
void exec_deferred_forget(struct exec_deferred *deferred);
/* In step with the session's savepoints: the new one is the depth-th, from 1. */
void exec_deferred_savepoint(struct exec_deferred *deferred);
void exec_deferred_release(struct exec_deferred *deferred, uint32_t depth);     /* it is gone */
void exec_deferred_rollback_to(struct exec_deferred *deferred, uint32_t depth); /* it stays */
bool exec_deferred_pending(const struct exec_deferred *deferred);
/* Checks wait that were caused by rows of this table: it must not be altered. */
bool exec_deferred_pending_of(const struct exec_deferred *deferred, oid_t table);
/* SET CONSTRAINTS. */
void exec_deferred_set_all(struct exec_deferred *deferred, bool is_deferred);
void exec_deferred_set(struct exec_deferred *deferred, oid_t key, bool is_deferred);
/* Which tables the waiting checks look at: the caller locks them first. */
void exec_deferred_tables(const struct exec_deferred *deferred, const struct catalog *catalog,
    void (*each)(void *arg, const struct relation *relation), void *arg);
/* The checks that wait: all (before COMMIT), or those that are immediate now. */
enum err exec_deferred_run(struct task *task, const struct exec_context *context, bool all);

/* ---- rows of a bucket (bucket_rows.c) ----------------------------------------------------------
 *
 * Rows as they are in the store, index entries included, past every check: by the one who moves the
 * bucket and holds its lock. context is copied; tables need a primary key.
 */
struct exec_bucket_rows;
enum err exec_bucket_rows_open(const struct exec_context *context, const struct relation *relation,
    struct exec_bucket_rows **rows, struct diag *diag);
void exec_bucket_rows_close(struct exec_bucket_rows *rows);
/* The row under this key becomes `row` (encoded as the table's layout has it), new or changed. */
enum err exec_bucket_rows_put(
    struct task *task, struct exec_bucket_rows *rows, struct slice key, struct slice row);
/* If it is there. */
enum err exec_bucket_rows_remove(
    struct task *task, struct exec_bucket_rows *rows, struct slice key, bool *removed);

#endif /* SQL_EXEC_EXEC_H */
