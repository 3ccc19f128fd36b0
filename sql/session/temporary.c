/*
 * sql/session/temporary.c - temporary tables, views and sequences: the schema pg_temp_N of a
 * session and its end, ON COMMIT, DISCARD TEMP.
 *
 * A session's schema is rows of the catalog like any other, so what is temporary is seen, locked
 * and rolled back as everything is. It goes in a transaction of its own when the session ends, and
 * at the next start if a crash was first.
 */
#include "base/mem.h"
#include "parser/parser.h"
#include "sql/ddl/ddl.h"
#include "sql/session/session_internal.h"

enum {
    ROLE_BOOTSTRAP = 10, /* may drop whatever there is */
};

void
temporary__note(struct sql_session *session, oid_t table, bool drop)
{
    if (session->temporary_count == session->temporary_capacity) {
        session->temporary_capacity =
            session->temporary_capacity == 0 ? 4 : session->temporary_capacity * 2;
        session->temporaries = mem_realloc(
            session->temporaries, session->temporary_capacity * sizeof *session->temporaries);
    }
    session->temporaries[session->temporary_count++] =
        (struct temporary_table){.oid = table, .drop = drop};
}

/* One DDL statement in the name of the superuser, without notices. */
static enum err
run_ddl(struct task *task, struct sql_engine *engine, struct txn *txn, struct eval_env *env,
    struct arena *arena, const char *text, struct diag *diag)
{
    struct ast_list *list = NULL;
    const char *tag;
    TRY(parser_parse(arena, text, strlen(text), &list, diag));
    (void)txn_statement_begin(txn);
    struct ddl_context context = {.store = engine->catalogs,
        .db = engine->db,
        .txn = txn,
        .env = env,
        .arena = arena,
        .diag = diag,
        .text = text,
        .text_size = strlen(text),
        .owner = ROLE_BOOTSTRAP,
        .hooks = &ddl_default_hooks};
    return ddl_execute(task, &context, ast_as_statement(ast_list_at(list, 0))->body, &tag);
}

/* ---- ON COMMIT ------------------------------------------------------------------------------- */

static enum err
delete_rows(
    struct task *task, struct sql_session *session, const struct relation *table, struct diag *diag)
{
    uint64_t leaves = 0, rows = 0;
    txn_tree_size(session->engine->db, table->tree, &leaves, &rows);
    if (rows == 0) {
        return ERR_OK;
    }
    struct arena *arena = &session->statement;
    char *text = arena_printf(arena, "DELETE FROM %s.%s",
        parser_quote_ident(arena, table->schema_name), parser_quote_ident(arena, table->name));
    struct ast_list *list = NULL;
    TRY(parser_parse(arena, text, strlen(text), &list, diag));
    struct planned *planned = NULL;
    struct exec *exec = NULL;
    enum err err = planned__renew(task, session, ast_as_statement(ast_list_at(list, 0))->body, text,
        NULL, 0, 0, &planned, diag);
    if (err == ERR_OK) {
        err = planned__open(task, session, planned, arena, NULL, false, &exec, diag);
    }
    const struct datum *row = NULL;
    if (err == ERR_OK) {
        err = exec_next(task, exec, &row);
    }
    if (exec != NULL) {
        exec_close(task, exec);
    }
    if (planned != NULL) {
        planned__release(planned);
    }
    return err;
}

static enum err
drop_table(
    struct task *task, struct sql_session *session, const struct relation *table, struct diag *diag)
{
    struct arena *arena = &session->statement;
    const struct catalog *before = session->env.catalog;
    const char *text = arena_printf(arena, "DROP TABLE %s.%s CASCADE",
        parser_quote_ident(arena, table->schema_name), parser_quote_ident(arena, table->name));
    enum err err = run_ddl(task, session->engine, session->txn, &session->env, arena, text, diag);
    session->env.catalog = before;
    return err;
}

enum err
temporary__before_commit(struct task *task, struct sql_session *session, struct diag *diag)
{
    for (uint32_t i = 0; i < session->temporary_count;) {
        struct temporary_table *entry = &session->temporaries[i];
        struct catalog *catalog = NULL;
        TRY(catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag));
        const struct relation *table = catalog_relation_by_oid(catalog, entry->oid);
        enum err err = ERR_OK;
        if (table == NULL) { /* dropped, or never committed */
            *entry = session->temporaries[--session->temporary_count];
        } else {
            err = txn_read_only(session->txn) ? ERR_OK
                  : entry->drop               ? drop_table(task, session, table, diag)
                                              : delete_rows(task, session, table, diag);
            i++;
        }
        catalog_release(catalog);
        TRY(err);
    }
    return ERR_OK;
}

/* ---- the schema's end ------------------------------------------------------------------------ */

static const char *
drop_schema_text(struct arena *arena, const char *schema)
{
    return arena_printf(arena, "DROP SCHEMA %s CASCADE", parser_quote_ident(arena, schema));
}

/* Is there one? */
static enum err
schema_exists(struct task *task, struct sql_engine *engine, struct txn *txn, const char *schema,
    bool *exists, struct diag *diag)
{
    struct catalog *catalog = NULL;
    TRY(catalog_get(task, engine->catalogs, txn, &catalog, diag));
    *exists = schema != NULL && catalog_schema(catalog, schema) != 0;
    catalog_release(catalog);
    return ERR_OK;
}

enum err
temporary__discard(struct task *task, struct sql_session *session, struct diag *diag)
{
    const char *schema = catalog_temporary_schema(session->env.search_path);
    bool exists = false;
    TRY(schema_exists(task, session->engine, session->txn, schema, &exists, diag));
    if (!exists) {
        return ERR_OK;
    }
    return run_ddl(task, session->engine, session->txn, &session->env, &session->statement,
        drop_schema_text(&session->statement, schema), diag);
}

/* schema NULL: all there are. In a transaction of its own. */
static enum err
drop_schemas(struct task *task, struct sql_engine *engine, const char *schema, struct diag *diag)
{
    struct txn *txn = txn_new(engine->db, 0);
    struct eval_env env = {.time_zone = "UTC", .database = "", .world = engine->world};
    struct arena arena;
    arena_create(&arena, "temporary schemas");
    enum err err = txn_begin(task, txn, TXN_READ_COMMITTED, false, diag);
    bool more = err == ERR_OK;
    while (more) {
        struct catalog *catalog = NULL;
        struct catalog_entry entry;
        const char *found = NULL;
        oid_t database = 0;
        err = catalog_get(task, engine->catalogs, txn, &catalog, diag);
        if (err != ERR_OK) {
            break;
        }
        for (size_t i = 0; found == NULL && catalog_schema_at(catalog, i, &entry); i++) {
            bool wanted =
                schema == NULL ? catalog_is_temporary(entry.name) : strcmp(schema, entry.name) == 0;
            found = wanted ? arena_strdup(&arena, entry.name) : NULL;
            database = entry.database;
        }
        catalog_release(catalog);
        more = found != NULL;
        if (more) {
            txn_set_scope(txn, database);
            err = run_ddl(task, engine, txn, &env, &arena, drop_schema_text(&arena, found), diag);
            txn_set_scope(txn, 0); /* all are looked at again */
            more = err == ERR_OK;
        }
    }
    if (err == ERR_OK) {
        err = txn_commit(task, txn, diag);
    } else if (txn_state(txn) == TXN_ACTIVE) {
        txn_rollback(task, txn);
    }
    catalog_transaction_ended(engine->catalogs, txn);
    txn_delete(task, txn);
    arena_destroy(&arena);
    return err;
}

enum err
temporary__clean(struct task *task, struct sql_engine *engine, struct diag *diag)
{
    return drop_schemas(task, engine, NULL, diag);
}

void
temporary__end(struct task *task, struct sql_session *session)
{
    const char *schema = catalog_temporary_schema(session->env.search_path);
    struct diag diag = {0};
    bool exists = false;
    task_interrupt_clear(task, TASK_CANCEL); /* whatever ended the session must not end this */
    task_interrupt_clear(task, TASK_TIMEOUT);
    task_interrupt_clear(task, TASK_TERMINATE);
    if (txn_begin(task, session->txn, TXN_READ_COMMITTED, true, &diag) != ERR_OK) {
        return;
    }
    enum err err = schema_exists(task, session->engine, session->txn, schema, &exists, &diag);
    txn_rollback(task, session->txn);
    if (err == ERR_OK && exists) {
        err = drop_schemas(task, session->engine, schema, &diag);
    }
    if (err != ERR_OK) { /* the next start drops them */
        world_log(session->engine->world, "temporary objects of session %u stay: %s", session->pid,
            diag.message);
    }
}
