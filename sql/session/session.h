/*
 * sql/session/session.h - a conversation in SQL: statements, portals, transactions, settings.
 *
 * This is what server/ sees of sql/. A struct sql_engine is one database server's shared state; a
 * struct sql_session belongs to one connection's task. The wire's bytes are server/'s business:
 * results leave through a struct sql_sink.
 *
 * Errors: a function that fails has set the session into the state PostgreSQL would be in (an
 * explicit transaction block becomes "failed", an implicit one is rolled back); the caller only
 * reports the diag.
 */
#ifndef SQL_SESSION_SESSION_H
#define SQL_SESSION_SESSION_H

#include "sql/exec/exec.h"
#include "sql/plan/plan.h"
#include "sql/session/config.h"
#include "world/tls.h"

struct sql_engine;
struct sql_session;
struct query; /* sql/bind/bind.h */
struct modify;

/* ---- the engine ---------------------------------------------------------------------------------
 */

struct sql_engine_options {
    const char *directory;
    const char *system_user; /* gets a superuser role in a new database */
    /* What the engine takes its settings from, a reference of its own; NULL: built-in values. */
    struct sql_config *config;
    /* "name=value" of the command line, which count again when the files are read again. They must
     * live as long as the engine. */
    const char *const *arguments;
    uint32_t argument_count;
    struct txn_recovery_progress *recovery_progress; /* or NULL */
    /* Called after pg_reload_conf(), on any task: there may be files of the caller's own to read
     * again. Or NULL. */
    void (*reloaded)(void *arg);
    void *reloaded_arg;
    /* For tests. 0: 64 MiB; what the configuration says. */
    uint64_t wal_segment_size; /* must not change over a directory's life */
    uint64_t checkpoint_wal_size;
};

enum err sql_engine_open(struct task *task, const struct sql_engine_options *options,
    struct sql_engine **engine, struct diag *diag);
/* All sessions must be gone. */
void sql_engine_close(struct task *task, struct sql_engine *engine);
/* Read tusk.conf and tusk.auto.conf again; what needs a restart is named in the log. On an error
 * all stays as it was. */
enum err sql_engine_reload(struct task *task, struct sql_engine *engine, struct diag *diag);
/* What counts now: a reference, for sql_config_release. */
struct sql_config *sql_engine_config(struct sql_engine *engine);
enum err sql_engine_checkpoint(struct task *task, struct sql_engine *engine, struct diag *diag);

/* Counts and times since the start, in Prometheus's text format. Any thread. */
void sql_engine_metrics(struct sql_engine *engine, struct buffer *to);

/* Interrupt the statement of the session with this pid if the secret agrees. Any thread. */
void sql_engine_cancel(struct sql_engine *engine, uint32_t pid, uint32_t secret);
/* TASK_TERMINATE to every session (SIGINT: abort) or only to the idle ones outside a transaction
 * (SIGTERM: let the others finish their statement or transaction first). Returns how many are
 * left. */
uint32_t sql_engine_terminate(struct sql_engine *engine, bool only_idle);
uint32_t sql_engine_session_count(struct sql_engine *engine);

/* ---- where results go
 * ----------------------------------------------------------------------------- */

struct sql_column_format {
    bool binary;
};

struct sql_sink {
    void *arg;
    /* Before the first row of a simple query's statement; not called by session_execute. */
    enum err (*describe)(struct task *task, void *arg, const struct plan_column *columns,
        uint32_t count, struct diag *diag);
    /* formats: per column, or NULL: all text. */
    enum err (*row)(struct task *task, void *arg, const struct plan_column *columns,
        const struct datum *values, uint32_t count, const bool *binary, struct diag *diag);
    enum err (*complete)(struct task *task, void *arg, const char *tag, struct diag *diag);
    enum err (*empty)(struct task *task, void *arg, struct diag *diag); /* EmptyQueryResponse */
    void (*notice)(void *arg, const char *severity, const struct diag *notice);
    /* NotificationResponse; called by sql_session_deliver. May be NULL. */
    void (*notify)(void *arg, uint32_t pid, const char *channel, const char *payload);
    void (*parameter_status)(void *arg, const char *name, const char *value);
    /* COPY. in_read gives the next bytes the client sent (any cut), *done at CopyDone; a CopyFail
     * is ERR_QUERY_CANCELED. */
    enum err (*copy_in_begin)(
        struct task *task, void *arg, uint32_t column_count, bool binary, struct diag *diag);
    enum err (*copy_in_read)(
        struct task *task, void *arg, struct slice *bytes, bool *done, struct diag *diag);
    enum err (*copy_out_begin)(
        struct task *task, void *arg, uint32_t column_count, bool binary, struct diag *diag);
    enum err (*copy_out_row)(struct task *task, void *arg, struct slice bytes, struct diag *diag);
    enum err (*copy_out_end)(struct task *task, void *arg, struct diag *diag);
};

/* ---- a session
 * ------------------------------------------------------------------------------------- */

struct sql_session_options {
    const char *user;
    const char *database;
    /* Name, value pairs from the start-up message, NULL at the end: settings. */
    const char *const *settings;
    const char *peer; /* "address:port", or NULL */
    /* Asks the client for its password; NULL: it is trusted. verifier: what is kept of the role's
     * (sql/catalog/access.h), NULL if there is no such role or password, or it is valid no more. */
    enum err (*authenticate)(struct task *task, void *arg, const char *verifier, struct diag *diag);
    void *authenticate_arg;
    const struct world_tls_info *tls; /* for pg_stat_ssl; NULL: it is not encrypted */
    uint32_t secret;
    /* The server's own, without a client: it does not keep its database from being dropped, but
     * must look (sql_session_is_stale) before it begins anything new. */
    bool servant;
};

/* Refuses unknown roles (28000), databases (3D000), settings (42704, 22023), and the connection
 * past the limit (53300): all FATAL to a connection. */
enum err sql_session_new(struct task *task, struct sql_engine *engine,
    const struct sql_session_options *options, const struct sql_sink *sink,
    struct sql_session **session, struct diag *diag);
/* Rolls back what is open. */
void sql_session_delete(struct task *task, struct sql_session *session);

/* Between statements only. The client has been silent for a while: give back spare memory. */
void sql_session_rest(struct sql_session *session);
/* It has been for long: cached plans too. */
void sql_session_trim(struct sql_session *session);

uint32_t sql_session_pid(const struct sql_session *session);
/* 'I' idle, 'T' in a transaction block, 'E' in a failed one. */
char sql_session_status(const struct sql_session *session);
struct eval_env *sql_session_env(struct sql_session *session);
/* A portal of this name, a cursor in SQL included. */
bool sql_session_has_portal(struct sql_session *session, const char *name);
const char *sql_session_setting(const struct sql_session *session, const char *name);
/* Grows whenever a setting's value in this session changes. */
uint32_t sql_session_settings_generation(const struct sql_session *session);
/* What differs here from the configuration and another session needs to behave alike: a line
 * `SET name = 'value';` each, in an order that depends on the values alone. */
void sql_session_settings_put(const struct sql_session *session, struct buffer *to);
/* One setting as it is now: `SET LOCAL name = 'value';`. */
void sql_session_setting_put_local(
    const struct sql_session *session, const char *name, struct buffer *to);
bool sql_session_has_savepoints(const struct sql_session *session);
/* What its transactions do is done elsewhere: it claims no idempotency keys. Before the first
 * statement. */
void sql_session_set_relayed(struct sql_session *session);
/* Tables' rows are elsewhere, but for the catalog's. Before the first statement. */
void sql_session_set_remote(struct sql_session *session, const struct exec_remote *remote);
/* What a statement means, for who sends it elsewhere: bound as the session would bind it now. In a
 * transaction of its own, which ends with the call; the session must be in none or in a block. */
struct sql_inspection {
    const struct catalog *catalog;
    struct query *query;   /* SELECT; or */
    struct modify *modify; /* INSERT, UPDATE, DELETE */
    const oid_t *param_types;
    uint32_t param_count;
    bool writes;    /* rows are changed or locked */
    bool modifying; /* in WITH */
    bool advisory;  /* calls functions of advisory locks */
    struct arena *arena;
};
enum err sql_session_inspect(struct task *task, struct sql_session *session,
    const struct ast_node *statement, const char *text, const oid_t *types, uint32_t type_count,
    uint32_t param_max, enum err (*look)(void *arg, const struct sql_inspection *inspection),
    void *arg, struct diag *diag);
/* The session's client is served elsewhere (router/): for SIGTERM it counts as at work. */
void sql_session_set_busy(struct sql_session *session, bool busy);
/* Each reported setting through sink->parameter_status (start-up). */
void sql_session_report_settings(struct sql_session *session);
/* Those that have changed since they were last told; before each ReadyForQuery. */
void sql_session_report_changes(struct sql_session *session);
/* Notifications that have come, to the sink: between transactions, so before each ReadyForQuery.
 * waits: if there is none the session's task will get TASK_NOTIFY for the next. True: some went. */
bool sql_session_deliver(struct sql_session *session, bool waits);
/* Until when the client may stay silent (idle timeouts); WORLD_NEVER. */
int64_t sql_session_idle_deadline(const struct sql_session *session);

/* The simple protocol: all statements of a string, as one implicit transaction unless they say
 * otherwise. text[size] must be readable and NUL. */
enum err sql_session_query(struct task *task, struct sql_session *session, const char *text,
    size_t size, struct diag *diag);

/* The extended protocol, one function a message. "" is the unnamed statement or portal. */
enum err sql_session_parse(struct task *task, struct sql_session *session, const char *name,
    const char *text, const oid_t *types, uint32_t type_count, struct diag *diag);

/* What a router says of the statements up to the next ReadyForQuery (shard/route.h). */
enum err sql_session_route(struct sql_session *session, struct slice body, struct diag *diag);
/* And of sagas that are unfinished (shard/settled.h). */
enum err sql_session_settled(struct sql_session *session, struct slice body, struct diag *diag);

struct sql_parameter {
    struct slice bytes;
    bool null;
    bool binary;
};
enum err sql_session_bind(struct task *task, struct sql_session *session, const char *portal,
    const char *statement, const struct sql_parameter *parameters, uint32_t parameter_count,
    const bool *result_binary, uint32_t result_count, struct diag *diag);

struct sql_description {
    const oid_t *param_types;
    uint32_t param_count;
    bool returns_rows;
    const struct plan_column *columns;
    const bool *binary; /* of a portal; NULL for a statement */
    uint32_t column_count;
};
enum err sql_session_describe_statement(struct task *task, struct sql_session *session,
    const char *name, struct sql_description *description, struct diag *diag);
enum err sql_session_describe_portal(struct task *task, struct sql_session *session,
    const char *name, struct sql_description *description, struct diag *diag);

/* Up to rows_max rows (0: all). *suspended: there may be more, no CommandComplete is due. The tag
 * or the empty answer has gone to the sink otherwise. */
enum err sql_session_execute(struct task *task, struct sql_session *session, const char *portal,
    uint64_t rows_max, bool *suspended, struct diag *diag);

/* The values that EXECUTE gives what it executes, evaluated, and their types. Memory in `into`. */
struct ast_execute;
enum err sql_session_execute_values(struct task *task, struct sql_session *session,
    const struct ast_execute *execute, const char *text, struct arena *into, struct datum **values,
    const oid_t **types, uint32_t *count, struct diag *diag);
void sql_session_close_statement(struct task *task, struct sql_session *session, const char *name);
void sql_session_close_portal(struct task *task, struct sql_session *session, const char *name);
/* Of relayed sessions: what they have notified and committed is another's to tell; one at a time,
 * the channel is the caller's to free, and the payload lies with it. */
bool sql_session_take_notice(struct sql_session *session, char **channel, char **payload);
/* Grows whenever the session listens to other channels; *any: to one at least. */
uint32_t sql_session_channels(const struct sql_session *session, bool *any);
/* Of all sessions in the database, some more than once. Under latches: `each` is quick. */
void sql_engine_channels(struct sql_engine *engine, const char *database,
    void (*each)(void *arg, const char *channel), void *arg);
/* Somebody else has notified. channel NULL: a warning to all who listen in the database. */
void sql_engine_notify(struct sql_engine *engine, const char *database, uint32_t pid,
    const char *channel, const char *payload);
/* End of a pipeline: commits the implicit transaction. */
enum err sql_session_sync(struct task *task, struct sql_session *session, struct diag *diag);
/* After an error that server/ itself found (a malformed message): same effect as a failed
 * statement. */
void sql_session_abort(struct task *task, struct sql_session *session);

#endif /* SQL_SESSION_SESSION_H */
