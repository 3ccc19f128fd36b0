/*
 * sql/ddl/ddl.h - statements that define: CREATE, ALTER, DROP, TRUNCATE, COMMENT.
 *
 * One door: ddl_execute. It runs inside the caller's active transaction, takes PostgreSQL's table
 * locks, writes rows of the catalog's trees, builds or rewrites trees, and leaves the transaction's
 * private picture of the catalog to be read anew (catalog_invalidate). On an error the caller rolls
 * back, to a savepoint or whole, as for any statement.
 */
#ifndef SQL_DDL_DDL_H
#define SQL_DDL_DDL_H

#include "parser/ast.h"
#include "sql/catalog/catalog.h"
#include "sql/value/value.h"
#include "txn/txn.h"

struct ddl_context;
struct expr;
struct progress;
struct spill_space;
struct view_rename;
struct view_definition;

/* How DDL looks at expressions (DEFAULT, CHECK, ALTER .. TYPE). ddl_default_hooks are the planner
 * and the executor; tests may bring their own. */
struct ddl_hooks {
    /* As plan_bind_expression: `text` over the columns of `relation` (NULL: no columns allowed) in
     * registers 0.., coerced to `type` as by assignment. The result lives in context->arena. */
    enum err (*bind)(struct task *task, struct ddl_context *context, const char *text,
        const struct relation *relation, oid_t type, int32_t typmod, struct expr **expr);
    /* As exec_evaluate. */
    enum err (*evaluate)(
        struct eval *eval, const struct expr *expr, const struct datum *row, struct datum *result);
    /* As plan_describe_view; text: where errors point, or NULL. */
    enum err (*describe_view)(struct task *task, struct ddl_context *context, const char *text,
        const struct ast_select *query, const struct view_rename *rename,
        struct view_definition *definition);
    /* As plan_view_refused. */
    enum err (*view_refused)(struct task *task, struct ddl_context *context,
        const struct relation *view, const char *verb, const char **why);
    /* As plan_check_routine. */
    enum err (*check_routine)(struct task *task, struct ddl_context *context,
        const struct user_function *function, oid_t relation, bool *uses);
    /* As plan_describe_index. */
    enum err (*describe_index)(struct task *task, struct ddl_context *context,
        const struct ast_node *node, const struct relation *relation, bool predicate,
        const char **text, struct expr **expr);
    /* As plan_keep_expression; NULL: texts stay as they are. */
    enum err (*keep)(struct task *task, struct ddl_context *context,
        const struct relation *relation, oid_t type, int32_t typmod, const char **text);
};
extern const struct ddl_hooks ddl_default_hooks;

/* For txn_db_options.rebuild: an index that the log only names. arg: the data directory's path. */
txn_rebuild_tree ddl_rebuild_index;

struct ddl_context {
    struct catalog_store *store;
    struct txn_db *db;
    struct txn *txn;      /* active */
    struct eval_env *env; /* its `catalog` is set by DDL while it evaluates, and put back */
    struct arena *arena;  /* of the statement */
    struct diag *diag;
    const char *text; /* the whole text that was parsed: constraint texts and error positions */
    size_t text_size;
    oid_t owner; /* role that will own what is created */
    const struct ddl_hooks *hooks;
    /* A NOTICE for the client; code is its SQLSTATE ("00000", "42P07", ..). May be NULL. */
    void (*notice)(void *arg, const char *sqlstate, const char *message);
    void *notice_arg;
    /* A temporary table ON COMMIT DROP, or (drop false) DELETE ROWS; with notice_arg. */
    void (*on_commit)(void *arg, oid_t table, bool drop);
    /* Do checks of this table's rows wait for COMMIT? May be NULL: none do. */
    bool (*pending)(void *arg, oid_t table);
    void *pending_arg;
    /* How many other sessions are in the database; `end`: after ending them, if that is done in
     * time. NULL: none. With pending_arg. Who holds ddl_database_lock exclusively sees no new ones.
     */
    enum err (*others)(
        struct task *task, void *arg, oid_t database, bool end, uint32_t *count, struct diag *diag);
    /* The database of this name goes, or gets the name `to`, in the transaction: what others than
     * the catalog keep by its name follows, or refuses. May be NULL; with pending_arg. */
    enum err (*database_goes)(
        struct task *task, void *arg, const char *name, const char *to, struct diag *diag);
    bool check_bodies;               /* of functions: check_function_bodies */
    uint64_t maintenance_work_mem;   /* bytes for the sort of an index's entries */
    struct spill_space *spill_space; /* where more of them go (spill.h); NULL: nowhere */
    struct progress *progress;       /* of index builds */
};

/* What txn_lock_table calls a database by: whoever enters takes it ACCESS SHARE until that can be
 * seen by `others`; who drops, renames or copies it, ACCESS EXCLUSIVE. */
uint64_t ddl_database_lock(oid_t database);

/* True if the statement is one for ddl_execute. */
bool ddl_handles(const struct ast_node *node);

/* *tag: the CommandComplete tag, a constant string ("CREATE TABLE"). */
enum err ddl_execute(
    struct task *task, struct ddl_context *context, const struct ast_node *node, const char **tag);

#endif /* SQL_DDL_DDL_H */
