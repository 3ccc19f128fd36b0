/* sql/session/constraints.c - constraints that wait for COMMIT; SET CONSTRAINTS. */
#include "base/assert.h"
#include "sql/session/session_internal.h"

/* ---- working off ------------------------------------------------------------------------------
 */

struct locking {
    struct task *task;
    struct sql_session *session;
    struct diag *diag;
    enum err err;
};

static void
lock_table(void *arg, const struct relation *relation)
{
    struct locking *locking = arg;
    if (locking->err == ERR_OK) {
        locking->err = txn_lock_table(locking->task, locking->session->txn, relation->oid,
            relation->name, TXN_ROW_SHARE, TXN_WAIT, locking->diag);
    }
}

/* The tables the waiting checks look at are locked in the picture they are looked up in. */
static enum err
lock_and_run(struct task *task, struct sql_session *session, struct catalog *catalog, bool all,
    bool *current, struct diag *diag)
{
    struct locking locking = {.task = task, .session = session, .diag = diag};
    exec_deferred_tables(session->deferred, catalog, lock_table, &locking);
    TRY(locking.err);
    *current = catalog_is_current(catalog, session->engine->catalogs, session->txn);
    if (!*current) {
        return ERR_OK;
    }
    struct exec_context context;
    session__exec_context(session, catalog, &session->statement, diag, &context);
    return exec_deferred_run(task, &context, all);
}

enum err
session__run_deferred(struct task *task, struct sql_session *session, bool all, struct diag *diag)
{
    bool current = !exec_deferred_pending(session->deferred);
    while (!current) {
        struct catalog *catalog = NULL;
        TRY(catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag));
        enum err err = lock_and_run(task, session, catalog, all, &current, diag);
        session->env.catalog = NULL;
        catalog_release(catalog);
        TRY(err);
    }
    return ERR_OK;
}

/* ---- SET CONSTRAINTS --------------------------------------------------------------------------
 */

static bool
in_schema(const struct relation *table, const char *schema)
{
    return strcmp(table->schema_name, schema) == 0;
}

/* All constraints of this name in one schema. */
static enum err
set_in_schema(struct sql_session *session, const struct catalog *catalog, const char *schema,
    const char *name, bool deferred, bool *found, struct diag *diag)
{
    const struct relation *table;
    for (size_t i = 0; (table = catalog_relation_at(catalog, i)) != NULL; i++) {
        if (!in_schema(table, schema)) {
            continue;
        }
        bool fixed = false;
        for (uint16_t at = 0; at < table->index_count; at++) {
            fixed |= table->indexes[at].constraint && strcmp(table->indexes[at].name, name) == 0;
        }
        for (uint16_t at = 0; at < table->check_count; at++) {
            fixed |= strcmp(table->checks[at].name, name) == 0;
        }
        for (uint16_t at = 0; at < table->foreign_count; at++) {
            const struct foreign_key *key = &table->foreign[at];
            if (strcmp(key->name, name) != 0) {
                continue;
            }
            fixed |= !key->deferrable;
            if (key->deferrable) {
                exec_deferred_set(session->deferred, key->oid, deferred);
                *found = true;
            }
        }
        if (fixed) {
            return diag_set(
                diag, ERR_WRONG_OBJECT_TYPE, "constraint \"%s\" is not deferrable", name);
        }
    }
    return ERR_OK;
}

static enum err
set_one(struct sql_session *session, const struct catalog *catalog, const struct ast_table *name,
    bool deferred, struct diag *diag)
{
    bool found = false;
    if (name->schema != NULL) {
        if (catalog_schema(catalog, name->schema) == 0) {
            return diag_set(
                diag, ERR_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist", name->schema);
        }
        TRY(set_in_schema(session, catalog, name->schema, name->name, deferred, &found, diag));
    } else {
        static const char *const usual[] = {"public", NULL};
        const char *const *path = session->env.search_path;
        for (path = path == NULL ? usual : path; *path != NULL && !found; path++) {
            TRY(set_in_schema(session, catalog, *path, name->name, deferred, &found, diag));
        }
    }
    return found ? ERR_OK
                 : diag_set(
                       diag, ERR_UNDEFINED_OBJECT, "constraint \"%s\" does not exist", name->name);
}

enum err
session__set_constraints(struct task *task, struct sql_session *session,
    const struct ast_set_constraints *statement, struct diag *diag)
{
    if (session->block != BLOCK_EXPLICIT) {
        session__warn(session, "WARNING", ERR_NO_ACTIVE_TRANSACTION,
            "SET CONSTRAINTS can only be used in transaction blocks");
    }
    if (statement->names == NULL) {
        exec_deferred_set_all(session->deferred, statement->deferred);
    } else {
        struct catalog *catalog = NULL;
        TRY(catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag));
        enum err err = ERR_OK;
        for (uint32_t i = 0; i < ast_list_count(statement->names) && err == ERR_OK; i++) {
            err = set_one(session, catalog, ast_as_table(ast_list_at(statement->names, i)),
                statement->deferred, diag);
        }
        catalog_release(catalog);
        TRY(err);
    }
    return statement->deferred ? ERR_OK : session__run_deferred(task, session, false, diag);
}
