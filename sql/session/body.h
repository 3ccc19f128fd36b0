/*
 * sql/session/body.h - SQL that the server runs by itself: statements with named parameters, in a
 * session of its own; and where statements about sagas go.
 */
#ifndef SQL_SESSION_BODY_H
#define SQL_SESSION_BODY_H

#include "sql/session/session.h"

/* ---- bodies ------------------------------------------------------------------------------------
 */

/* SELECT, INSERT, UPDATE and DELETE, one or more, that say parameters by name, as the bodies of SQL
 * functions do. Belongs to a session; plans are kept. */
struct sql_body;

struct sql_body_params {
    const char *routine; /* for routine.name; or NULL */
    const char *const *names;
    const oid_t *types;
    uint32_t count;
};

/* Parsed, with its errors. What `params` points to must outlive the body. */
enum err sql_body_new(struct sql_session *session, const char *text,
    const struct sql_body_params *params, struct sql_body **body, struct diag *diag);
void sql_body_delete(struct sql_body *body);

/* Bound and planned, in the session's transaction: so it could run as the tables are now. Calls
 * each(arg, relation, writes) for the tables it uses. */
enum err sql_body_check(struct task *task, struct sql_session *session, struct sql_body *body,
    enum err (*each)(void *arg, const struct relation *relation, bool writes, struct diag *diag),
    void *arg, struct diag *diag);

/* Each statement bound (sql_session_inspect). */
struct sql_inspection;
enum err sql_body_inspect(struct task *task, struct sql_session *session, struct sql_body *body,
    enum err (*look)(void *arg, const struct sql_inspection *inspection), void *arg,
    struct diag *diag);

/* All statements in the session's transaction. *rows: how many the last one changed or returned.
 * `result`: the rows of the last one as text, "(a,b)" each, up to `result_max` bytes. */
enum err sql_body_run(struct task *task, struct sql_session *session, struct sql_body *body,
    const struct datum *params, uint64_t *rows, struct buffer *result, size_t result_max,
    struct diag *diag);

/* ---- a session without a client -----------------------------------------------------------------
 */

/* Takes and forgets everything. */
extern const struct sql_sink sql_silent_sink;

struct txn *sql_session_txn(struct sql_session *session);
/* Of a servant: its database may be gone, and this session must be ended. */
bool sql_session_is_stale(const struct sql_session *session);
struct sql_engine *sql_session_engine(struct sql_session *session);
const char *sql_session_database(const struct sql_session *session);
struct txn_db *sql_engine_db(struct sql_engine *engine);
struct catalog_store *sql_engine_catalogs(struct sql_engine *engine);
/* By name, as the files have it now. */
int64_t sql_engine_setting(struct sql_engine *engine, const char *name);

/* The value of an expression of a statement, cast to `type`; in the session's transaction. */
enum err sql_session_evaluate(struct task *task, struct sql_session *session, struct ast_node *expr,
    const char *text, oid_t type, struct arena *into, struct datum *value, struct diag *diag);

/* ---- sagas --------------------------------------------------------------------------------------
 */

/* Where a cluster's sagas are (saga/saga_internal.h). */
#define SAGA_SCHEMA    "tusk_cluster"
#define SAGA_LOG_TABLE "sagas"

struct shard_settled;
struct ast_create_saga;
struct ast_drop_saga;
struct ast_start_saga;
struct ast_alter_saga;

/* What START SAGA answers: a row. */
struct sql_saga_answer {
    int64_t number;
    const char *state;
    const char *error; /* NULL: none */
};

/* saga/ is above sql/: it tells here what it does with its statements. All run in the session's
 * transaction. */
struct sql_saga_hooks {
    void *arg;
    enum err (*create)(struct task *task, void *arg, struct sql_session *session,
        const struct ast_create_saga *statement, const char *text, size_t size, struct diag *diag);
    enum err (*drop)(struct task *task, void *arg, struct sql_session *session,
        const struct ast_drop_saga *statement, struct diag *diag);
    enum err (*start)(struct task *task, void *arg, struct sql_session *session,
        const struct ast_start_saga *statement, const char *text, bool in_block,
        struct arena *arena, struct sql_saga_answer *answer, struct diag *diag);
    enum err (*alter)(struct task *task, void *arg, struct sql_session *session,
        const struct ast_alter_saga *statement, struct diag *diag);
    /* The database is to be dropped, or renamed (`to`): what is kept by its name goes with it, in
     * the session's transaction, or it is refused. Nobody is in it. */
    enum err (*database_goes)(struct task *task, void *arg, struct sql_session *session,
        const char *name, const char *to, struct diag *diag);
    /* This transaction passes over these sagas (txn_hides): is all that they have done here, as of
     * the snapshot, known by its transactions? ERR_SAGA_UNSETTLED if not. */
    enum err (*check_open)(struct task *task, void *arg, struct txn *txn,
        struct txn_snapshot snapshot, const struct shard_settled *settled, struct diag *diag);
    /* A transaction has committed in which sql_session_touch_saga was called with this. */
    void (*committed)(void *arg, uint64_t number);
};

/* Before the first session; NULL: no more. */
void sql_engine_set_saga_hooks(struct sql_engine *engine, const struct sql_saga_hooks *hooks);
const struct sql_saga_hooks *sql_engine_saga_hooks(const struct sql_engine *engine);
/* hooks->committed is to hear of this instance if the transaction commits. */
void sql_session_touch_saga(struct sql_session *session, uint64_t number);

#endif /* SQL_SESSION_BODY_H */
