/* sql/session/transaction.c - transaction blocks. States and invariants: session_internal.h. */
#include <stdio.h>
#include <strings.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sql/catalog/buckets.h"
#include "sql/session/session_internal.h"

void
session__warn(
    struct sql_session *session, const char *severity, enum err code, const char *fmt, ...)
{
    struct diag *notice = arena_alloc(&session->statement, sizeof *notice);
    notice->code = code;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(notice->message, sizeof notice->message, fmt, args);
    va_end(args);
    session->sink->notice(session->sink->arg, severity, notice);
}

static enum txn_isolation
default_isolation(const struct sql_session *session)
{
    const char *level = settings__value(session, "default_transaction_isolation");
    return strcmp(level, "serializable") == 0      ? TXN_SERIALIZABLE
           : strcmp(level, "repeatable read") == 0 ? TXN_REPEATABLE_READ
                                                   : TXN_READ_COMMITTED;
}

static enum err
begin(struct task *task, struct sql_session *session, enum block_state block, struct diag *diag)
{
    bool read_only = strcmp(settings__value(session, "default_transaction_read_only"), "on") == 0;
    TRY(txn_begin(task, session->txn, default_isolation(session), read_only, diag));
    txn_set_synchronous(
        session->txn, strcmp(settings__value(session, "synchronous_commit"), "off") != 0);
    txn_set_lock_timeout(session->txn, session->lock_timeout_us);
    route__transaction_begins(session);
    session->block = block;
    session->read_uncommitted = false;
    session->deferrable =
        strcmp(settings__value(session, "default_transaction_deferrable"), "on") == 0;
    session->env.transaction_time = session->env.statement_time;
    return ERR_OK;
}

enum err
session__begin_implicit(struct task *task, struct sql_session *session, struct diag *diag)
{
    return session->block == BLOCK_NONE ? begin(task, session, BLOCK_IMPLICIT, diag) : ERR_OK;
}

static void
forget_savepoints(struct sql_session *session, uint32_t keep)
{
    while (session->savepoint_count > keep) {
        mem_free(session->savepoints[--session->savepoint_count].name);
    }
}

static void
block_over(struct sql_session *session)
{
    forget_savepoints(session, 0);
    exec_deferred_forget(session->deferred);
    route__transaction_ended(session);
    buckets_transaction_ended(session->engine->catalogs, session->txn);
    session->block = BLOCK_NONE;
}

static void
rollback(struct task *task, struct sql_session *session)
{
    portal__close_all(task, session);
    if (txn_state(session->txn) == TXN_ACTIVE) {
        txn_rollback(task, session->txn);
    }
    idempotency__forget(session);
    session->sagas.size = 0;
    settings__rollback(session, 0);
    notify__rollback(session, 0);
    block_over(session);
}

static enum err
commit(struct task *task, struct sql_session *session, struct diag *diag)
{
    enum err err = cursor__hold_all(task, session, diag);
    struct list_node held;
    list_init(&held);
    if (err == ERR_OK) {
        cursor__set_aside(session, &held);
        portal__close_all(task, session);
        txn_note_statement(session->txn, "COMMIT", strlen("COMMIT"));
        err = session__run_deferred(task, session, true, diag);
    }
    if (err == ERR_OK) {
        err = temporary__before_commit(task, session, diag);
    }
    if (err == ERR_OK) {
        err = notify__before_commit(session, diag);
    }
    if (err == ERR_OK) {
        err = idempotency__before_commit(task, session, diag);
    }
    if (err == ERR_OK) {
        err = route__before_commit(task, session, diag);
    }
    if (err != ERR_OK) {
        cursor__put_back(&held, &session->portals);
        txn_settle(task, session->txn); /* S2 */
        rollback(task, session);
        return err;
    }
    err = txn_commit(task, session->txn, diag);
    cursor__put_back(&held, err == ERR_OK ? &session->held : &session->portals);
    if (err != ERR_OK) {
        portal__close_all(task, session);
    }
    if (err == ERR_OK) {
        settings__commit(session);
        notify__after_commit(session);
        idempotency__after_commit(session);
        route__committed(session);
        if (session->sagas.size > 0) {
            body__after_commit(session);
        }
    } else {
        idempotency__forget(session);
        settings__rollback(session, 0);
        notify__rollback(session, 0);
    }
    block_over(session);
    return err;
}

enum err
session__end_implicit(struct task *task, struct sql_session *session, struct diag *diag)
{
    return session->block == BLOCK_IMPLICIT ? commit(task, session, diag) : ERR_OK;
}

void
session__rollback_all(struct task *task, struct sql_session *session)
{
    rollback(task, session);
}

/* What was undone may have been changes of the schema: the next statement reads it anew. */
static void
rollback_to(struct task *task, struct sql_session *session, uint32_t depth)
{
    txn_rollback_to(task, session->txn, depth);
    if (txn_changes_schema(session->txn)) {
        catalog_invalidate(session->engine->catalogs, session->txn);
    }
}

void
session__fail(struct task *task, struct sql_session *session)
{
    if (txn_state(session->txn) == TXN_ACTIVE) {
        txn_settle(task, session->txn); /* S2 */
    }
    switch (session->block) {
    case BLOCK_NONE:
    case BLOCK_FAILED:
        break;
    case BLOCK_IMPLICIT:
        rollback(task, session);
        break;
    case BLOCK_EXPLICIT:
        portal__close_all(task, session);
        if (session->savepoint_count > 0) {
            struct savepoint *top = &session->savepoints[session->savepoint_count - 1];
            rollback_to(task, session, top->depth);
        } else {
            txn_rollback(task, session->txn);
            idempotency__forget(session);
        }
        session->block = BLOCK_FAILED;
        break;
    }
}

/* ---- BEGIN, COMMIT, ROLLBACK
 * --------------------------------------------------------------------- */

static enum err
apply_modes(
    struct sql_session *session, const struct ast_transaction_modes *modes, struct diag *diag)
{
    if (modes->isolation != AST_ISOLATION_NONE) {
        enum txn_isolation isolation =
            modes->isolation == AST_ISOLATION_SERIALIZABLE      ? TXN_SERIALIZABLE
            : modes->isolation == AST_ISOLATION_REPEATABLE_READ ? TXN_REPEATABLE_READ
                                                                : TXN_READ_COMMITTED;
        if (isolation != txn_isolation(session->txn)) {
            if (txn_has_snapshot(session->txn)) {
                return diag_set(diag, ERR_ACTIVE_TRANSACTION,
                    "SET TRANSACTION ISOLATION LEVEL must be called before any query");
            }
            TRY(txn_set_isolation(session->txn, isolation, diag));
        }
        session->read_uncommitted = modes->isolation == AST_ISOLATION_READ_UNCOMMITTED;
    }
    if (modes->read_only >= 0) {
        if (modes->read_only == 0 && txn_read_only(session->txn) &&
            txn_has_snapshot(session->txn)) {
            return diag_set(diag, ERR_ACTIVE_TRANSACTION,
                "transaction read-write mode must be set before any query");
        }
        txn_set_read_only(session->txn, modes->read_only == 1);
    }
    if (modes->deferrable >= 0) {
        if (txn_has_snapshot(session->txn)) {
            return diag_set(diag, ERR_ACTIVE_TRANSACTION,
                "SET TRANSACTION [NOT] DEFERRABLE must be called before any query");
        }
        session->deferrable = modes->deferrable == 1;
    }
    return ERR_OK;
}

enum err
session__set_isolation(struct sql_session *session, const char *level, struct diag *diag)
{
    struct ast_transaction_modes modes = {.read_only = -1, .deferrable = -1};
    modes.isolation = strcasecmp(level, "serializable") == 0       ? AST_ISOLATION_SERIALIZABLE
                      : strcasecmp(level, "repeatable read") == 0  ? AST_ISOLATION_REPEATABLE_READ
                      : strcasecmp(level, "read uncommitted") == 0 ? AST_ISOLATION_READ_UNCOMMITTED
                                                                   : AST_ISOLATION_READ_COMMITTED;
    return apply_modes(session, &modes, diag);
}

enum err
session__set_read_only(struct sql_session *session, bool read_only, struct diag *diag)
{
    const struct ast_transaction_modes modes = {.read_only = read_only ? 1 : 0, .deferrable = -1};
    return apply_modes(session, &modes, diag);
}

static enum err
do_begin(struct task *task, struct sql_session *session, const struct ast_transaction *statement,
    struct diag *diag)
{
    if (session->block == BLOCK_EXPLICIT) {
        session__warn(session, "WARNING", ERR_ACTIVE_TRANSACTION,
            "there is already a transaction in progress");
        return apply_modes(session, &statement->modes, diag);
    }
    if (session->block == BLOCK_NONE) {
        TRY(begin(task, session, BLOCK_EXPLICIT, diag));
    }
    session->block = BLOCK_EXPLICIT; /* an implicit one becomes it */
    return apply_modes(session, &statement->modes, diag);
}

static enum err
chain(struct task *task, struct sql_session *session, enum txn_isolation isolation, bool read_only,
    struct diag *diag)
{
    TRY(begin(task, session, BLOCK_EXPLICIT, diag));
    TRY(txn_set_isolation(session->txn, isolation, diag));
    txn_set_read_only(session->txn, read_only);
    return ERR_OK;
}

static enum err
do_end(struct task *task, struct sql_session *session, const struct ast_transaction *statement,
    const char **tag, struct diag *diag)
{
    bool is_commit = statement->kind == AST_COMMIT;
    enum txn_isolation isolation = txn_isolation(session->txn);
    bool read_only = txn_read_only(session->txn);
    bool in_block = session->block == BLOCK_EXPLICIT || session->block == BLOCK_FAILED;
    if (!in_block) {
        if (statement->chain) {
            return diag_set(diag, ERR_NO_ACTIVE_TRANSACTION,
                "%s can only be used in transaction blocks",
                is_commit ? "COMMIT AND CHAIN" : "ROLLBACK AND CHAIN");
        }
        session__warn(
            session, "WARNING", ERR_NO_ACTIVE_TRANSACTION, "there is no transaction in progress");
    }
    if (is_commit && session->block != BLOCK_FAILED && session->block != BLOCK_NONE) {
        TRY(commit(task, session, diag));
        *tag = "COMMIT";
    } else {
        *tag = is_commit && session->block == BLOCK_NONE ? "COMMIT" : "ROLLBACK";
        if (txn_state(session->txn) == TXN_ACTIVE) {
            txn_settle(task, session->txn); /* S2: the answer tells that what was read stays */
        }
        rollback(task, session);
    }
    return statement->chain ? chain(task, session, isolation, read_only, diag) : ERR_OK;
}

/* ---- savepoints
 * -------------------------------------------------------------------------------------- */

static enum err
need_block(struct sql_session *session, const char *what, struct diag *diag)
{
    if (session->block == BLOCK_NONE || session->block == BLOCK_IMPLICIT) {
        return diag_set(
            diag, ERR_NO_ACTIVE_TRANSACTION, "%s can only be used in transaction blocks", what);
    }
    return ERR_OK;
}

static enum err
do_savepoint(struct task *task, struct sql_session *session, const char *name, struct diag *diag)
{
    TRY(need_block(session, "SAVEPOINT", diag));
    if (session->idempotency_key[0] != '\0') {
        TRY(idempotency__claim(task, session, diag));
    }
    uint32_t depth = 0;
    TRY(txn_savepoint(task, session->txn, &depth, diag));
    if (session->savepoint_count == session->savepoint_capacity) {
        session->savepoint_capacity =
            session->savepoint_capacity == 0 ? 8 : session->savepoint_capacity * 2;
        session->savepoints = mem_realloc(
            session->savepoints, session->savepoint_capacity * sizeof *session->savepoints);
    }
    session->savepoints[session->savepoint_count++] =
        (struct savepoint){.name = mem_strdup(name), .depth = depth};
    exec_deferred_savepoint(session->deferred);
    return ERR_OK;
}

static enum err
find_savepoint(struct sql_session *session, const char *name, uint32_t *index, struct diag *diag)
{
    for (uint32_t i = session->savepoint_count; i-- > 0;) {
        if (strcmp(session->savepoints[i].name, name) == 0) {
            *index = i;
            return ERR_OK;
        }
    }
    return diag_set(diag, ERR_INVALID_SAVEPOINT, "savepoint \"%s\" does not exist", name);
}

static enum err
do_release(struct sql_session *session, const char *name, struct diag *diag)
{
    TRY(need_block(session, "RELEASE SAVEPOINT", diag));
    uint32_t index = 0;
    TRY(find_savepoint(session, name, &index, diag));
    txn_release_savepoint(session->txn, session->savepoints[index].depth);
    exec_deferred_release(session->deferred, index + 1);
    forget_savepoints(session, index);
    settings__release(session, index);
    notify__release(session, index);
    return ERR_OK;
}

static enum err
do_rollback_to(struct task *task, struct sql_session *session, const char *name, struct diag *diag)
{
    TRY(need_block(session, "ROLLBACK TO SAVEPOINT", diag));
    uint32_t index = 0;
    TRY(find_savepoint(session, name, &index, diag));
    portal__close_all(task, session);
    rollback_to(task, session, session->savepoints[index].depth);
    exec_deferred_rollback_to(session->deferred, index + 1);
    forget_savepoints(session, index + 1);
    settings__rollback(session, index + 1);
    notify__rollback(session, index + 1);
    session->block = BLOCK_EXPLICIT;
    return ERR_OK;
}

enum err
session__transaction(struct task *task, struct sql_session *session,
    const struct ast_transaction *statement, const char **tag, struct diag *diag)
{
    switch (statement->kind) {
    case AST_BEGIN:
        *tag = statement->start ? "START TRANSACTION" : "BEGIN";
        return do_begin(task, session, statement, diag);
    case AST_COMMIT:
    case AST_ROLLBACK:
        return do_end(task, session, statement, tag, diag);
    case AST_SAVEPOINT:
        *tag = "SAVEPOINT";
        return do_savepoint(task, session, statement->name, diag);
    case AST_RELEASE:
        *tag = "RELEASE";
        return do_release(session, statement->name, diag);
    case AST_ROLLBACK_TO:
        *tag = "ROLLBACK";
        return do_rollback_to(task, session, statement->name, diag);
    case AST_PREPARE_TRANSACTION:
    case AST_COMMIT_PREPARED:
    case AST_ROLLBACK_PREPARED:
        (void)diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "two-phase commit is not supported");
        diag_hint(diag, "Use a saga for work that spans several databases.");
        return ERR_FEATURE_NOT_SUPPORTED;
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

enum err
session__set_transaction(
    struct sql_session *session, const struct ast_set_transaction *statement, struct diag *diag)
{
    if (statement->snapshot != NULL) {
        return diag_set(
            diag, ERR_FEATURE_NOT_SUPPORTED, "SET TRANSACTION SNAPSHOT is not supported");
    }
    if (!statement->session) {
        if (session->block != BLOCK_EXPLICIT) {
            session__warn(session, "WARNING", ERR_NO_ACTIVE_TRANSACTION,
                "SET TRANSACTION can only be used in transaction blocks");
        }
        return apply_modes(session, &statement->modes, diag);
    }
    static const char *const names[] = {
        NULL, "read uncommitted", "read committed", "repeatable read", "serializable"};
    if (statement->modes.isolation != AST_ISOLATION_NONE) {
        TRY(settings__set_value(session, "default_transaction_isolation",
            names[statement->modes.isolation], false, diag));
    }
    if (statement->modes.read_only >= 0) {
        TRY(settings__set_value(session, "default_transaction_read_only",
            statement->modes.read_only == 1 ? "on" : "off", false, diag));
    }
    if (statement->modes.deferrable >= 0) {
        TRY(settings__set_value(session, "default_transaction_deferrable",
            statement->modes.deferrable == 1 ? "on" : "off", false, diag));
    }
    return ERR_OK;
}
