/*
 * sql/session/session_internal.h - what a session is made of.
 *
 * Transaction block states:
 *     BLOCK_NONE       no transaction
 *     BLOCK_IMPLICIT   one statement, one simple-query string, or one pipeline up to Sync
 *     BLOCK_EXPLICIT   after BEGIN
 *     BLOCK_FAILED     an explicit one in which something failed: only its end (or ROLLBACK TO) is
 *                      possible. The transaction is rolled back already, to the innermost savepoint
 *                      if there is one.
 *
 * Invariants
 *   S1. txn is active in BLOCK_IMPLICIT and BLOCK_EXPLICIT; in BLOCK_FAILED exactly if there is a
 *       savepoint.
 *   S2. No answer that rests on what a transaction read or wrote leaves before that is durable:
 *       commit waits, ROLLBACK settles, and session__fail does before an error is reported. What
 *       is told inside an open block is promised by the answer that ends it.
 *   S3. Portals belong to a transaction and end with it.
 *   S4. A prepared statement's plan is used only with the catalog version it was made for, checked
 *       after its table locks are held.
 */
#ifndef SQL_SESSION_SESSION_INTERNAL_H
#define SQL_SESSION_SESSION_INTERNAL_H

#include <stdatomic.h>

#include "base/latch.h"
#include "base/list.h"
#include "parser/parser.h"
#include "sql/catalog/progress.h"
#include "sql/exec/exec.h"
#include "sql/session/body.h"
#include "sql/session/config_internal.h"
#include "sql/session/session.h"

enum {
    PARAMETERS_MAX = 65535,
    CACHED_TEXTS_MAX = 64,
    CACHE_BUCKETS = 64,
};

enum metrics_class_id {
    METRICS_SELECT,
    METRICS_INSERT,
    METRICS_UPDATE,
    METRICS_DELETE,
    METRICS_COPY,
    METRICS_TRANSACTION,
    METRICS_DDL,
    METRICS_OTHER,
    METRICS_CLASS_COUNT,
};

struct sql_engine {
    struct world *world;
    struct metrics *metrics; /* one a worker */
    struct txn_db *db;
    struct catalog_store *catalogs;
    char *directory;
    char *temp_directory;
    char *config_file, *auto_config_file; /* their paths */
    uint32_t connections_max;
    uint64_t statement_memory_max, statement_size_max;
    uint64_t held_rows_max; /* of a cursor; 0: any number */
    int64_t started;        /* timestamptz */
    struct latch latch;     /* the next three, and application_name of sessions */
    struct list_node sessions;
    uint32_t session_count;
    uint32_t next_pid;
    struct sql_config *config;       /* also under latch */
    _Atomic uint32_t config_version; /* counts its changes */
    int64_t config_loaded;           /* timestamptz, under latch */
    void (*reloaded)(void *arg);     /* or NULL */
    void *reloaded_arg;
    const char *const *arguments; /* the command line's settings, for the next time */
    uint32_t argument_count;
    /* The task that gathers statistics (analyze.c). */
    struct shard_lease *lease; /* NULL: this server needs none */
    struct task *analyzer;
    _Atomic bool analyzer_runs, analyzer_stopping, analyzer_may_end;

    const struct sql_saga_hooks *sagas; /* or NULL */

    struct latch notify_latch; /* the next, and channels and inboxes of sessions; after latch */
    size_t inboxes_size;
    struct latch moves_latch; /* the next one */
    struct session_move *moves;
};

/* PostgreSQL's epoch, 2000-01-01, in microseconds since 1970. */
#define EPOCH_US INT64_C(946684800000000)

enum session_activity { /* pg_stat_activity.state */
    ACTIVITY_IDLE,
    ACTIVITY_ACTIVE,
    ACTIVITY_IN_BLOCK,
    ACTIVITY_IN_FAILED_BLOCK,
};

enum block_state {
    BLOCK_NONE,
    BLOCK_IMPLICIT,
    BLOCK_EXPLICIT,
    BLOCK_FAILED,
};

/* A reported setting that the client knows in an older value. */
struct setting_told {
    struct setting_told *next;
    int index;
    char *told;
};

/* A statement parsed, and planned when first needed. */
struct prepared {
    struct list_node node;  /* session->statements, or the text cache's age list */
    struct prepared *chain; /* text cache bucket */
    uint64_t hash;
    unsigned references;
    char *name;         /* "" for unnamed and cached ones */
    struct arena arena; /* text, tree, types */
    const char *text;
    size_t size;
    const struct ast_statement *statement; /* NULL: an empty string */
    bool cached;                           /* found by its text: its types and columns may change */
    bool no_params;                        /* simple protocol: nobody gives any, so $1 is 42P02 */
    bool uncacheable;   /* text cache: this text could not be planned with lifted literals */
    oid_t *given_types; /* as at Parse; 0: infer */
    uint32_t given_count;

    struct planned *planned; /* a reference, or NULL */
    oid_t *param_types;
    uint32_t param_count;
    /* Utility statements that return rows (SHOW, EXPLAIN). */
    const struct plan_column *columns;
    uint32_t column_count;
    bool returns_rows;
    bool described;         /* param_types, columns, returns_rows are known */
    bool from_sql;          /* by PREPARE, not by a Parse message */
    struct prepared *inner; /* DECLARE CURSOR: its query, or NULL */
};

enum portal_state {
    PORTAL_NEW,
    PORTAL_OPEN,
    PORTAL_DONE,
};

struct portal {
    struct list_node node;
    char *name;
    struct prepared *prepared;
    struct arena arena;
    struct datum *params;
    bool *binary; /* per result column, or NULL: all text */
    enum portal_state state;
    struct planned *planned; /* a reference, while open */
    struct exec *exec;
    struct cursor *cursor; /* by DECLARE CURSOR; else NULL */
    /* idempotency.c: which statement of the transaction it runs, from 1; how far it was given. */
    uint32_t idempotency_item;
    size_t idempotency_at;
};

struct savepoint {
    char *name;
    uint32_t depth; /* txn's */
};

/* One setting's value and what to go back to. */
struct setting_value {
    char *value;
};

struct setting_change {
    struct setting_change *older;
    uint32_t index;      /* of the setting; UINT32_MAX: custom, by name */
    char *name;          /* custom */
    char *before;        /* NULL: there was none */
    bool local;          /* SET LOCAL: goes back at commit too */
    uint32_t savepoints; /* how many there were */
};

struct sql_session {
    struct list_node node; /* engine->sessions */
    struct sql_engine *engine;
    struct task *task;
    const struct sql_sink *sink;
    uint32_t pid, secret;
    char *user, *database;
    bool servant;
    _Atomic bool stale; /* sql_session_is_stale */
    oid_t database_oid; /* 0 until it has entered it; under engine->latch for others */
    struct eval_env env;
    struct arena statement; /* what one statement (or message) needs */

    enum block_state block;
    struct txn *txn;
    struct savepoint *savepoints;
    uint32_t savepoint_count, savepoint_capacity;
    /* notify.c. The next four: engine->notify_latch, but for the session's own looks. */
    bool listens; /* has ever listened */
    bool waiting; /* for its client, and wants to be woken */
    struct list_node channels, inbox;
    uint32_t channels_generation;
    struct session_asked *outbox;   /* of a relayed session: what it has notified */
    struct session_asked *asked;    /* to be done at COMMIT */
    struct exec_deferred *deferred; /* constraints that wait for COMMIT */
    bool in_statement;              /* busy, for SIGTERM */

    /* For pg_stat_activity of the others. */
    struct latch activity_latch; /* the next seven */
    enum session_activity activity;
    struct progress *progress; /* of the statement that runs; or NULL */
    uint32_t query_size, query_capacity;
    char *query;                             /* the last one, up to QUERY_SHOWN_MAX bytes */
    int64_t query_started, activity_changed; /* timestamptz; 0: never */
    int64_t block_started;                   /* 0: not in a transaction */
    int64_t started;                         /* timestamptz; constant, as the next three */
    char client_address[64];                 /* "" if unknown */
    int client_port;
    struct world_tls_info *tls;                /* NULL: not encrypted */
    bool log_end;                              /* log_connections was on when it came */
    enum metrics_class_id metrics_class;       /* of the statement that ran last */
    char application_name[NAME_MAX_BYTES + 1]; /* under engine->latch */

    struct list_node statements; /* named */
    struct prepared *unnamed;
    struct list_node portals;
    struct list_node held; /* cursors WITH HOLD whose transaction is over */
    struct prepared *cache[CACHE_BUCKETS];
    struct list_node cache_ages;
    uint32_t cache_count;
    bool cache_stale; /* a setting changed that folded constants may hold: drop before the next use
                       */
    struct list_node routines; /* routine.c */
    uint32_t routine_count;
    bool refreshes; /* REFRESH MATERIALIZED VIEW CONCURRENTLY is planned */
    const struct txn_snapshot *borrowed_snapshot; /* of the next execution; NULL: one of its own */
    struct buffer normalized;
    struct {
        const char *text;
        size_t size;
    } source; /* of the Query message that runs: what a cached statement was made from */

    struct buffer sagas;             /* numbers of instances that the transaction has touched */
    bool settled_reads;              /* tusk.saga_reads */
    const char *idempotency_key;     /* tusk.idempotency_key; "": none */
    struct idempotency *idempotency; /* the transaction's claim, or NULL */

    /* settings.c */
    char **values;  /* by index of the settings table; NULL: what config says */
    char **initial; /* likewise, as the role and the client wanted them at the start: RESET */
    struct sql_config *config; /* as of config_version */
    uint32_t config_version;
    struct setting_custom {
        struct setting_custom *next;
        char *name, *value;
    } * customs;
    struct setting_change *changes;
    struct setting_told *untold;
    struct temporary_table *temporaries; /* with an ON COMMIT action */
    uint32_t temporary_count, temporary_capacity;
    char **search_path;       /* what search_path says, NULL at the end; or NULL: public */
    uint32_t path_generation; /* counts its changes */
    uint32_t settings_generation;
    bool relayed; /* sql_session_set_relayed */
    const struct exec_remote *remote;
    int64_t statement_timeout_us, lock_timeout_us, idle_in_transaction_us, idle_session_us;
    int64_t log_statement_us; /* log statements that take so long; negative: none */
    uint64_t work_mem, maintenance_work_mem;
    double hash_mem_multiplier;
    int64_t debug_work_mem; /* negative: none */
    struct spill_space spill_space;
    bool read_uncommitted; /* the transaction's level as it was asked for */
    bool deferrable;       /* SERIALIZABLE READ ONLY: wait for a snapshot that needs no tracking */
    int notice_level;      /* client_min_messages */
    struct session_route *route; /* NULL: never said */
    struct session_move *move;   /* moves.c; or NULL */
    bool report_commit_token;
    uint64_t reported_hlc;
    bool replicated_alone;        /* the setting */
    uint64_t reported_replicated; /* route.c */
    uint64_t applied_version;     /* replicated.c: of this transaction, with pieces to come; or 0 */
    int64_t applied_pieces;
};

/* ---- route.c ----------------------------------------------------------------------------------
 */

enum err route__set_text(struct sql_session *session, const char *text, struct diag *diag);
void route__transaction_begins(struct sql_session *session);
/* Clock and moment: before a statement takes its snapshot. */
enum err route__before_snapshot(struct task *task, struct sql_session *session, struct diag *diag);
/* Was it routed by what names mean in this picture; and if it writes, is there a lease? */
enum err route__check_names(
    struct sql_session *session, const struct catalog *catalog, bool writes, struct diag *diag);
/* That, and are the buckets here, as the snapshot sees it? */
/* tusk.saga_reads: the statement's snapshot passes over unfinished sagas. It may be another then.
 */
enum err route__hide_sagas(struct task *task, struct sql_session *session,
    const struct planned *planned, struct txn_snapshot *snapshot, struct diag *diag);
enum err route__check(struct task *task, struct sql_session *session, const struct planned *planned,
    struct txn_snapshot snapshot, struct diag *diag);
/* Before rows of the table come by COPY. */
enum err route__check_copy(struct task *task, struct sql_session *session,
    const struct catalog *catalog, bool writes, struct diag *diag);
/* The list of changes of replicated tables. Of routed writes: does the node have its lease still?
 */
enum err route__before_commit(struct task *task, struct sql_session *session, struct diag *diag);
void route__committed(struct sql_session *session);
void route__transaction_ended(struct sql_session *session);
/* What counts for the statement at hand; NULL: nothing was said. */
const struct shard_route *route__current(const struct sql_session *session);
void route__answered(struct sql_session *session); /* ReadyForQuery is due */
void route__destroy(struct sql_session *session);

/* ---- notify.c -----------------------------------------------------------------------------------
 */

enum err notify__statement(
    struct sql_session *session, const struct ast_notify *statement, struct diag *diag);
enum err notify__before_commit(struct sql_session *session, struct diag *diag);
void notify__after_commit(struct sql_session *session);
/* Forget what was asked for since there were that many savepoints; 0: all. */
void notify__rollback(struct sql_session *session, uint32_t savepoints);
/* So many savepoints are left: what was done behind the released ones counts with what was before.
 */
void notify__release(struct sql_session *session, uint32_t savepoints);
void notify__end(struct sql_session *session);
void notify__register(void);

/* ---- idempotency.c ------------------------------------------------------------------------------
 */

/* portal__run in a session that has a key: claims it, and runs the statement or answers as it was
 * answered before. */
enum err idempotency__run(struct task *task, struct sql_session *session, struct portal *portal,
    uint64_t rows_max, bool describe, bool *suspended, struct diag *diag);
/* The session has a key, and the transaction has to have it now (I1). */
enum err idempotency__claim(struct task *task, struct sql_session *session, struct diag *diag);
enum err idempotency__before_commit(
    struct task *task, struct sql_session *session, struct diag *diag);
/* SET LOCAL has gone back already. */
void idempotency__after_commit(struct sql_session *session);
/* The transaction is rolled back, or over. */
void idempotency__forget(struct sql_session *session);
/* NULL: the default, none. */
enum err idempotency__may_set(struct sql_session *session, const char *key, struct diag *diag);
void idempotency__expire(struct task *task, struct sql_engine *engine, struct txn *txn);
void idempotency__register(void);

/* ---- routine.c: functions of users, when they are called ----------------------------------------
 */

void routine__register(void);
/* But for those that run. */
void routine__forget_all(struct sql_session *session);

/* ---- body.c: statements about sagas -------------------------------------------------------------
 */

bool body__handles(const struct ast_node *node);
void body__describe(struct prepared *prepared);
enum err body__run(struct task *task, struct sql_session *session, const struct portal *portal,
    const char **tag, struct diag *diag);
void body__after_commit(struct sql_session *session);

/* ---- transaction.c ------------------------------------------------------------------------------
 */

enum err session__begin_implicit(struct task *task, struct sql_session *session, struct diag *diag);
/* The implicit transaction, if there is one, commits. */
enum err session__end_implicit(struct task *task, struct sql_session *session, struct diag *diag);
/* After an error, before it is reported (S2). */
void session__fail(struct task *task, struct sql_session *session);
enum err session__transaction(struct task *task, struct sql_session *session,
    const struct ast_transaction *statement, const char **tag, struct diag *diag);
enum err session__set_transaction(
    struct sql_session *session, const struct ast_set_transaction *statement, struct diag *diag);
enum err session__set_isolation(struct sql_session *session, const char *level, struct diag *diag);
enum err session__set_read_only(struct sql_session *session, bool read_only, struct diag *diag);
void session__rollback_all(struct task *task, struct sql_session *session);
/* constraints.c: all checks that wait (before COMMIT), or those that need not wait any more. */
enum err session__run_deferred(
    struct task *task, struct sql_session *session, bool all, struct diag *diag);
enum err session__set_constraints(struct task *task, struct sql_session *session,
    const struct ast_set_constraints *statement, struct diag *diag);
void session__warn(struct sql_session *session, const char *severity, enum err code,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* ---- settings.c
 * ---------------------------------------------------------------------------------- */

/* ---- metrics.c */

struct metrics *metrics__new(unsigned worker_count);
enum metrics_class_id metrics__class(const struct prepared *prepared);
/* A statement runs. */
void metrics__statement(struct sql_session *session, enum metrics_class_id class);
/* An answer is whole, of which the last statement was the session's metrics_class. */
void metrics__exchange(struct sql_session *session, int64_t time_us);

void settings__create(struct sql_session *session);
void settings__identify(struct sql_session *session); /* pid and user are known now */
/* The files were read again: what was not SET here may have another value now. */
void settings__refresh(struct sql_session *session);
/* ALTER SYSTEM. */
enum err settings__alter_system(
    struct sql_session *session, const struct ast_set *statement, struct diag *diag);
void settings__destroy(struct sql_session *session);
/* At start-up: as if by SET, but cannot be rolled back. */
enum err settings__start(
    struct sql_session *session, const char *name, const char *value, struct diag *diag);
enum err settings__set(
    struct sql_session *session, const struct ast_set *statement, struct diag *diag);
enum err settings__set_value(struct sql_session *session, const char *name, const char *value,
    bool local, struct diag *diag);
enum err settings__reset_all(struct sql_session *session, struct diag *diag);
/* NULL and an error for an unknown one. */
const char *settings__get(struct sql_session *session, const char *name, struct diag *diag);
const char *settings__value(const struct sql_session *session, const char *name);
/* Calls each for SHOW ALL, by name. */
void settings__each(struct sql_session *session,
    void (*each)(void *arg, const char *name, const char *value, const char *description),
    void *arg);
/* The rows of pg_settings. */
virtual_scan settings__scan;
void settings__commit(struct sql_session *session);
void settings__rollback(struct sql_session *session, uint32_t savepoints);
/* So many savepoints are left: what was set behind the released ones counts with what was before.
 */
void settings__release(struct sql_session *session, uint32_t savepoints);

/* ---- views.c --------------------------------------------------------------------------------- */

/* Functions and catalog views that show sessions. Before the first statement. */
void views__register(void);

/* ---- serializable.c: tusk_serialization_failures, .._counts, tusk_serializable_reads ------------
 */

void serializable__register(void);

/* ---- storage.c: tusk_checkpoint, tusk_undo, pg_stat_bgwriter -----------------------------------
 */

void storage__register(void);

/* ---- activity.c: pg_stat_activity --------------------------------------------------------------
 */

enum {
    QUERY_SHOWN_MAX = 1024, /* track_activity_query_size */
};
void activity__register(void);
void backup__register(void);
void session_functions__register(void);
/* A message from the client begins: statement_time is now; and it is this text that it runs, if not
 * NULL. */
void activity__starts(struct sql_session *session, const char *text, size_t size);
/* The client is to speak next. */
void activity__ends(struct sql_session *session);
/* The views show it until it is taken back (NULL). */
void activity__progress(struct sql_session *session, struct progress *progress);

/* ---- engine.c ---------------------------------------------------------------------------------
 */

/* Sessions in the database other than this one, servants not counted: those are told to look again.
 * end: they are ended. */
uint32_t session__others_in(
    struct sql_engine *engine, const struct sql_session *own, oid_t database, bool end);

/* ---- locks.c: pg_locks, advisory locks, who is blocked by whom ---------------------------------
 */

void locks__register(void);
void buckets__register(void);
/* The session, if its user may move buckets and its transaction may write. */
enum err buckets__superuser(struct eval *eval, struct sql_session **session);
void moves__register(void);
void replicated__register(void);
/* What the transaction has changed in replicated tables is appended to the list. *version: the
 * list's number then. */
enum err replicated__before_commit(
    struct task *task, struct sql_session *session, uint64_t *version, struct diag *diag);
/* What this session was moving is let go of. */
void moves__end(struct task *task, struct sql_session *session);

/* ---- prepared.c
 * ------------------------------------------------------------------------------------ */

enum err prepared__new(struct sql_session *session, const char *name, const char *text, size_t size,
    const struct ast_statement *statement, const oid_t *types, uint32_t type_count,
    struct prepared **prepared, struct diag *diag);
void prepared__release(struct prepared *prepared);
/* Make sure that there is a current plan and that its tables are locked (S4); needs an active
 * transaction. Utility statements: types and columns only. */
enum err prepared__plan(
    struct task *task, struct sql_session *session, struct prepared *prepared, struct diag *diag);
/* SELECT, INSERT, UPDATE, DELETE. */
bool statement_is_query(const struct ast_statement *statement);
bool prepared__is_query(const struct prepared *prepared);
struct prepared *prepared__find(struct sql_session *session, const char *name, struct diag *diag);
void prepared__drop(struct sql_session *session, const char *name);
bool prepared__is_current(const struct sql_session *session, const struct prepared *prepared);
void prepared__uncache(struct sql_session *session, struct prepared *prepared);
void prepared__drop_cached(struct sql_session *session);
void prepared__drop_all(struct sql_session *session);
struct prepared *prepared__cached(struct sql_session *session, uint64_t hash, const char *text,
    size_t size, const oid_t *types, uint32_t type_count);
void prepared__cache(struct sql_session *session, struct prepared *prepared, uint64_t hash);

/* ---- portal.c
 * -------------------------------------------------------------------------------------- */

void portal__create(struct portal *portal, struct prepared *prepared);
void portal__destroy(struct task *task, struct portal *portal);
struct portal *portal__find(struct sql_session *session, const char *name);
void portal__close_all(struct task *task, struct sql_session *session);
void portal__close(struct task *task, struct portal *portal);
/* Plans what it runs and opens it. */
enum err portal__open(
    struct task *task, struct sql_session *session, struct portal *portal, struct diag *diag);

/* utility.c */
enum err utility__run_ddl(struct task *task, struct sql_session *session,
    const struct ast_node *node, const char *text, size_t size, const char **tag,
    struct diag *diag);
/* create_as.c */
enum err create_as__refresh(struct task *task, struct sql_session *session,
    const struct ast_refresh *statement, const char *text, size_t size, const char **tag,
    struct diag *diag);
enum err create_as__run(struct task *task, struct sql_session *session,
    const struct ast_create_table_as *statement, const char *text, char *tag, size_t tag_size,
    struct diag *diag);
/* cursor.c */
struct cursor;
void cursor__destroy(struct task *task, struct cursor *cursor);
/* DECLARE: its query planned, so that its parameters are known. */
enum err cursor__prepare(
    struct task *task, struct sql_session *session, struct prepared *prepared, struct diag *diag);
enum err cursor__declare(
    struct task *task, struct sql_session *session, struct portal *from, struct diag *diag);
void cursor__describe(struct sql_session *session, struct prepared *prepared);
enum err cursor__fetch(struct task *task, struct sql_session *session,
    const struct ast_fetch *statement, const bool *binary, char *tag, size_t tag_size,
    struct diag *diag);
enum err cursor__close(struct task *task, struct sql_session *session,
    const struct ast_close_cursor *statement, const char **tag, struct diag *diag);
void cursor__close_held(struct task *task, struct sql_session *session);
/* Before a commit: cursors WITH HOLD read the rest; they are set aside while it is made. */
enum err cursor__hold_all(struct task *task, struct sql_session *session, struct diag *diag);
void cursor__set_aside(struct sql_session *session, struct list_node *held);
void cursor__put_back(struct list_node *held, struct list_node *list);
enum err cursor__scan(struct eval *eval, const struct catalog *catalog,
    enum err (*emit)(void *arg, const struct datum *values), void *arg);
/* Run a plan or utility portal; rows_max 0: all. `describe`: tell the sink the columns first. */
enum err portal__run(struct task *task, struct sql_session *session, struct portal *portal,
    uint64_t rows_max, bool describe, bool *suspended, struct diag *diag);

/* The same without a look at the session's idempotency key. */
enum err portal__run_now(struct task *task, struct sql_session *session, struct portal *portal,
    uint64_t rows_max, bool describe, bool *suspended, struct diag *diag);

/* ---- utility.c, copy.c, explain.c
 * ------------------------------------------------------------------ */

enum err utility__run(struct task *task, struct sql_session *session, struct portal *portal,
    bool describe, struct diag *diag);
/* Columns of a utility statement that returns rows. */
void utility__describe(struct sql_session *session, struct prepared *prepared);
/* A portal of what EXECUTE names, with its parameters' values; after an error there is none. */
enum err utility__execute_portal(struct task *task, struct sql_session *session,
    const struct ast_execute *statement, const char *text, struct portal *portal,
    struct diag *diag);
enum err copy__run(struct task *task, struct sql_session *session, const struct ast_copy *copy,
    const char *text, size_t size, char *tag, size_t tag_size, struct diag *diag);
bool explain__is_json(const struct ast_explain *explain);
enum err explain__run(struct task *task, struct sql_session *session,
    const struct ast_explain *explain, struct portal *portal, struct diag *diag);

/* A plan ready to run. Counted, because a portal may still run one that its statement has already
 * replaced. */
struct planned {
    unsigned references;
    struct arena arena;
    struct catalog *catalog;
    uint32_t path_generation; /* the session's when it was made */
    struct plan *plan;
    struct exec_program *program;
};
/* ---- temporary.c ------------------------------------------------------------------------------
 */

/* ON COMMIT: what happens to a table of the session when a transaction commits. */
struct temporary_table {
    oid_t oid;
    bool drop; /* else its rows go */
};
void temporary__note(struct sql_session *session, oid_t table, bool drop);
enum err temporary__before_commit(
    struct task *task, struct sql_session *session, struct diag *diag);
/* DISCARD TEMP. */
enum err temporary__discard(struct task *task, struct sql_session *session, struct diag *diag);
/* The session has ended: so do its temporary objects, in a transaction of their own. */
void temporary__end(struct task *task, struct sql_session *session);
/* What sessions left that a crash ended. */
enum err temporary__clean(struct task *task, struct sql_engine *engine, struct diag *diag);

/* Make *planned (NULL: none yet) a current plan of the node and lock its tables (S4). The old one
 * is released if it is replaced; after an error *planned is as before, or released and NULL. */
enum err planned__renew(struct task *task, struct sql_session *session, const struct ast_node *node,
    const char *text, const oid_t *types, uint32_t type_count, uint32_t param_max,
    struct planned **planned, struct diag *diag);
/* If the statement's (current) plan does not suit these values of its parameters: another one. */
enum err prepared__fit(struct task *task, struct sql_session *session, struct prepared *prepared,
    const struct datum *params, struct arena *arena, struct diag *diag);
/* The same of a text that says its parameters by name. */
struct planned_names {
    const char *routine; /* or NULL */
    const char *const *names;
    uint32_t count;
    const struct routine_result *result; /* what it must give; or NULL */
};
enum err planned__renew_named(struct task *task, struct sql_session *session,
    const struct ast_node *node, const char *text, const oid_t *types, uint32_t type_count,
    uint32_t param_max, const struct planned_names *names, struct planned **planned,
    struct diag *diag);
enum err session__inspect(struct task *task, struct sql_session *session,
    const struct ast_node *statement, const char *text, const oid_t *types, uint32_t type_count,
    uint32_t param_max, const struct planned_names *names,
    enum err (*look)(void *arg, const struct sql_inspection *inspection), void *arg,
    struct diag *diag);
struct planned *planned__hold(struct planned *planned);
void planned__release(struct planned *planned);
/* Of a body of statements: some may be NULL. The array goes, too. */
void planned__release_all(struct planned **planned, uint32_t count);
/* Begins a statement (its snapshot) and opens the plan in `arena`. */
enum err planned__open(struct task *task, struct sql_session *session,
    const struct planned *planned, struct arena *arena, const struct datum *params, bool count,
    struct exec **exec, struct diag *diag);
void session__exec_context(struct sql_session *session, const struct catalog *catalog,
    struct arena *arena, struct diag *diag, struct exec_context *context);

/* analyze.c */
enum err analyze__run(struct task *task, struct sql_session *session,
    const struct ast_vacuum *statement, struct diag *diag);
/* May the session's role vacuum or analyze the table? If not, a warning says that it is skipped. */
bool analyze__may(struct sql_session *session, const struct catalog *catalog,
    const struct relation *relation, const char *what);
enum err analyze__start(struct task *task, struct sql_engine *engine, struct diag *diag);
void analyze__stop(struct task *task, struct sql_engine *engine);

#endif /* SQL_SESSION_SESSION_INTERNAL_H */
