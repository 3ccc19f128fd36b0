/*
 * sql/session/create_as.c - CREATE TABLE AS, SELECT INTO; materialized views and their REFRESH.
 *
 * The table is made by a CREATE TABLE written out with the query's columns; then the query's rows
 * go into it. The query is planned before and reads by a snapshot from before its own writes.
 */
#include <stdio.h>

#include "base/assert.h"
#include "parser/parser.h"
#include "sql/catalog/access.h"
#include "sql/session/session_internal.h"

/* The statement that makes the table. */
static enum err
definition(struct sql_session *session, const struct ast_create_table_as *statement,
    const struct plan *plan, char **text, struct diag *diag)
{
    struct arena *arena = &session->statement;
    const struct eval_env *env = &session->env;
    uint32_t named = ast_list_count(statement->columns);
    if (named > plan->column_count) {
        return diag_set(diag, ERR_SYNTAX, "too many column names were specified");
    }
    struct buffer to = {0};
    const struct ast_table *table = statement->table;
    buffer_add_text(&to, statement->persistence == AST_TEMPORARY  ? "CREATE TEMPORARY TABLE "
                         : statement->persistence == AST_UNLOGGED ? "CREATE UNLOGGED TABLE "
                                                                  : "CREATE TABLE ");
    if (table->schema != NULL) {
        buffer_printf(&to, "%s.", parser_quote_ident(arena, table->schema));
    }
    buffer_printf(&to, "%s (", parser_quote_ident(arena, table->name));
    for (uint32_t i = 0; i < plan->column_count; i++) {
        const struct plan_column *column = &plan->columns[i];
        const char *name =
            i < named ? ast_as_name(ast_list_at(statement->columns, i))->text : column->name;
        /* "?column?" and the like need their quotes; so does a type that is a keyword. */
        buffer_printf(&to, "%s%s %s", i == 0 ? "" : ", ", parser_quote_ident(arena, name),
            type_format(env, arena, column->domain != 0 ? column->domain : column->type,
                column->domain != 0 ? -1 : column->typmod));
    }
    buffer_add_text(&to, statement->on_commit == AST_ON_COMMIT_DROP     ? ") ON COMMIT DROP"
                         : statement->on_commit == AST_ON_COMMIT_DELETE ? ") ON COMMIT DELETE ROWS"
                                                                        : ")");
    *text = arena_strndup(arena, (const char *)to.data, to.size);
    buffer_destroy(&to);
    return ERR_OK;
}

/* What is to be made, or was; NULL: nothing has its name. */
static const struct relation *
find_table(const struct sql_session *session, const struct ast_create_table_as *statement,
    const struct catalog *catalog)
{
    const char *const *path = session->env.search_path;
    const struct ast_table *table = statement->table;
    const char *schema = table->schema;
    if (statement->persistence == AST_TEMPORARY ||
        (schema != NULL && strcmp(schema, "pg_temp") == 0)) {
        schema = catalog_temporary_schema(path);
    } else if (schema == NULL) {
        schema = catalog_creation_schema(catalog, path);
    }
    return schema == NULL ? NULL : catalog_relation(catalog, schema, table->name);
}

static enum err
insert_rows(struct task *task, struct sql_session *session, struct exec *exec, oid_t table,
    uint64_t *count, struct diag *diag)
{
    struct catalog *catalog = NULL;
    TRY(catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag));
    const struct relation *relation = catalog_relation_by_oid(catalog, table);
    ASSERT(relation != NULL);
    struct exec_context context;
    session__exec_context(session, catalog, &session->statement, diag, &context);
    struct exec_inserter *inserter = NULL;
    enum err err = exec_inserter_open(task, &context, relation, &inserter);
    while (err == ERR_OK) {
        const struct datum *row;
        err = exec_next(task, exec, &row);
        if (err != ERR_OK || row == NULL) {
            break;
        }
        err = exec_inserter_row(task, inserter, row);
        (*count)++;
    }
    if (err == ERR_OK) {
        err = exec_inserter_finish(task, inserter);
    }
    if (inserter != NULL) {
        exec_inserter_close(task, inserter);
    }
    catalog_release(catalog);
    return err;
}

static enum err
find_oid(struct task *task, struct sql_session *session,
    const struct ast_create_table_as *statement, oid_t *oid, struct diag *diag)
{
    struct catalog *catalog = NULL;
    TRY(catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag));
    const struct relation *relation = find_table(session, statement, catalog);
    *oid = relation == NULL ? 0 : relation->oid;
    catalog_release(catalog);
    return ERR_OK;
}

static enum err
make_and_fill(struct task *task, struct sql_session *session,
    const struct ast_create_table_as *statement, const struct planned *planned, uint64_t *count,
    struct diag *diag)
{
    char *text = NULL;
    struct ast_list *list;
    const char *tag;
    TRY(definition(session, statement, planned->plan, &text, diag));
    TRY(parser_parse(&session->statement, text, strlen(text), &list, diag));
    struct ast_create_table *create = arena_copy(&session->statement,
        ast_as_create_table(ast_as_statement(ast_list_at(list, 0))->body), sizeof *create);
    if (statement->materialized) {
        create->materialized = ast_as_select(statement->query);
        create->populated = !statement->with_no_data;
    }
    enum err err = utility__run_ddl(task, session, &create->node, text, strlen(text), &tag, diag);
    if (err != ERR_OK) {
        diag_position(diag, 0);
        return err;
    }
    if (statement->with_no_data) {
        return ERR_OK;
    }
    struct exec *exec = NULL;
    oid_t table;
    TRY(find_oid(task, session, statement, &table, diag));
    TRY(planned__open(task, session, planned, &session->statement, NULL, false, &exec, diag));
    err = insert_rows(task, session, exec, table, count, diag);
    exec_close(task, exec);
    return err;
}

enum err
create_as__run(struct task *task, struct sql_session *session,
    const struct ast_create_table_as *statement, const char *text, char *tag, size_t tag_size,
    struct diag *diag)
{
    if (statement->materialized && statement->persistence != AST_PERMANENT) {
        return statement->persistence == AST_UNLOGGED
                   ? diag_set(
                         diag, ERR_FEATURE_NOT_SUPPORTED, "materialized views cannot be unlogged")
                   : diag_set(diag, ERR_SYNTAX, "materialized views cannot be temporary");
    }
    if (statement->query->kind != AST_SELECT) {
        return diag_set(
            diag, ERR_FEATURE_NOT_SUPPORTED, "CREATE TABLE AS EXECUTE is not supported");
    }
    (void)snprintf(tag, tag_size, "%s",
        statement->materialized ? "CREATE MATERIALIZED VIEW" : "CREATE TABLE AS");
    if (statement->if_not_exists) {
        oid_t there;
        TRY(find_oid(task, session, statement, &there, diag));
        if (there != 0) {
            session__warn(session, "NOTICE", ERR_DUPLICATE_TABLE,
                "relation \"%s\" already exists, skipping", statement->table->name);
            return ERR_OK;
        }
    }
    struct planned *planned = NULL;
    TRY(planned__renew(task, session, statement->query, text, NULL, 0, 0, &planned, diag));
    uint64_t count = 0;
    enum err err = make_and_fill(task, session, statement, planned, &count, diag);
    planned__release(planned);
    TRY(err);
    if (!statement->with_no_data) {
        (void)snprintf(tag, tag_size, "SELECT %llu", (unsigned long long)count);
    }
    return ERR_OK;
}

/* ---- REFRESH MATERIALIZED VIEW ----------------------------------------------------------------
 */

/* All rows go, but not from under who reads them. */
static enum err
delete_rows(
    struct task *task, struct sql_session *session, const struct relation *view, struct diag *diag)
{
    struct arena *arena = &session->statement;
    struct ast_list *list;
    struct planned *planned = NULL;
    struct exec *exec = NULL;
    const struct datum *row;
    char *text = arena_printf(arena, "DELETE FROM %s.%s",
        parser_quote_ident(arena, view->schema_name), parser_quote_ident(arena, view->name));
    TRY(parser_parse(arena, text, strlen(text), &list, diag));
    session->refreshes = true;
    enum err err = planned__renew(task, session, ast_as_statement(ast_list_at(list, 0))->body, text,
        NULL, 0, 0, &planned, diag);
    session->refreshes = false;
    TRY(err);
    err = planned__open(task, session, planned, arena, NULL, false, &exec, diag);
    if (err == ERR_OK) {
        err = exec_next(task, exec, &row);
        exec_close(task, exec);
    }
    planned__release(planned);
    return err;
}

static enum err
fill_again(
    struct task *task, struct sql_session *session, const struct relation *view, struct diag *diag)
{
    struct ast_list *list;
    struct planned *planned = NULL;
    struct exec *exec = NULL;
    uint64_t count = 0;
    const char *text = view->view_text;
    TRY(parser_parse(&session->statement, text, strlen(text), &list, diag));
    TRY(planned__renew(task, session, ast_as_statement(ast_list_at(list, 0))->body, text, NULL, 0,
        0, &planned, diag));
    enum err err =
        planned__open(task, session, planned, &session->statement, NULL, false, &exec, diag);
    if (err == ERR_OK) {
        err = insert_rows(task, session, exec, view->oid, &count, diag);
        exec_close(task, exec);
    }
    planned__release(planned);
    return err;
}

enum err
create_as__refresh(struct task *task, struct sql_session *session,
    const struct ast_refresh *statement, const char *text, size_t size, const char **tag,
    struct diag *diag)
{
    TRY(utility__run_ddl(task, session, &statement->node, text, size, tag, diag));
    if (statement->with_no_data) {
        return ERR_OK;
    }
    struct catalog *catalog = NULL;
    TRY(catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag));
    const struct relation *view = catalog_relation_on(
        catalog, session->env.search_path, statement->view->schema, statement->view->name);
    ASSERT(view != NULL);
    const struct role *owner = catalog_role_by_oid(catalog, view->owner);
    const char *user = session->env.user;
    session->env.user = owner == NULL ? user : owner->name; /* the query runs in its owner's name */
    enum err err = statement->concurrently ? delete_rows(task, session, view, diag) : ERR_OK;
    if (err == ERR_OK) {
        err = fill_again(task, session, view, diag);
    }
    session->env.user = user;
    session->env.catalog = NULL;
    catalog_release(catalog);
    return err;
}
