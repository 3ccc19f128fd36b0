/* sql/session/utility.c - every statement that is not a query: who does it. */
#include <stdio.h>
#include <strings.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sql/catalog/access.h"
#include "sql/catalog/sequence.h"
#include "sql/ddl/ddl.h"
#include "sql/session/session_internal.h"

enum {
    OTHERS_WAIT_US = 5 * 1000 * 1000,
    OTHERS_POLL_US = 10 * 1000,
};

static const struct plan_column explain_columns[] = {
    {.name = "QUERY PLAN", .type = TYPE_TEXT, .typmod = -1}};
static const struct plan_column explain_json_columns[] = {
    {.name = "QUERY PLAN", .type = TYPE_JSON, .typmod = -1}};
static const struct plan_column show_all_columns[] = {
    {.name = "name", .type = TYPE_TEXT, .typmod = -1},
    {.name = "setting", .type = TYPE_TEXT, .typmod = -1},
    {.name = "description", .type = TYPE_TEXT, .typmod = -1}};

static const struct plan_column *
one_text_column(struct prepared *prepared, const char *name)
{
    struct plan_column *column = arena_alloc(&prepared->arena, sizeof *column);
    column->name = name;
    column->type = TYPE_TEXT;
    column->typmod = -1;
    return column;
}

/* The setting's own spelling (TimeZone) heads the column. */
static const char *
shown_name(const char *name)
{
    return strcasecmp(name, "timezone") == 0        ? "TimeZone"
           : strcasecmp(name, "datestyle") == 0     ? "DateStyle"
           : strcasecmp(name, "intervalstyle") == 0 ? "IntervalStyle"
                                                    : name;
}

void
utility__describe(struct sql_session *session, struct prepared *prepared)
{
    (void)session;
    if (prepared->described || prepared->statement == NULL) {
        return;
    }
    prepared->described = true;
    const struct ast_node *body = prepared->statement->body;
    if (body->kind == AST_SHOW) {
        const char *name = ast_as_show(body)->name;
        prepared->returns_rows = true;
        if (strcmp(name, "all") == 0) {
            prepared->columns = show_all_columns;
            prepared->column_count = 3;
        } else {
            prepared->columns = one_text_column(prepared, shown_name(name));
            prepared->column_count = 1;
        }
    } else if (body->kind == AST_EXPLAIN) {
        prepared->returns_rows = true;
        prepared->columns =
            explain__is_json(ast_as_explain(body)) ? explain_json_columns : explain_columns;
        prepared->column_count = 1;
    } else if (body->kind == AST_FETCH) {
        cursor__describe(session, prepared);
    } else if (body__handles(body)) {
        body__describe(prepared);
    } else if (body->kind == AST_EXECUTE) {
        struct diag ignored;
        const struct prepared *target =
            prepared__find(session, ast_as_execute(body)->name, &ignored);
        if (target != NULL && target->returns_rows) {
            prepared->returns_rows = true;
            prepared->columns = target->columns;
            prepared->column_count = target->column_count;
        }
        prepared->described = false; /* what it names may change */
    }
}

/* ---- SHOW -------------------------------------------------------------------------------- */

struct shown {
    struct task *task;
    struct sql_session *session;
    struct portal *portal;
    struct diag *diag;
    enum err err;
};

static void
show_one(void *arg, const char *name, const char *value, const char *description)
{
    struct shown *shown = arg;
    if (shown->err == ERR_OK) {
        struct datum row[3] = {datum_bytes(name, strlen(name)), datum_bytes(value, strlen(value)),
            datum_bytes(description, strlen(description))};
        const struct sql_sink *sink = shown->session->sink;
        shown->err = sink->row(
            shown->task, sink->arg, show_all_columns, row, 3, shown->portal->binary, shown->diag);
    }
}

static enum err
show(struct task *task, struct sql_session *session, struct portal *portal,
    const struct ast_show *statement, struct diag *diag)
{
    if (strcmp(statement->name, "all") == 0) {
        struct shown shown = {.task = task, .session = session, .portal = portal, .diag = diag};
        settings__each(session, show_one, &shown);
        return shown.err;
    }
    const char *value = settings__get(session, statement->name, diag);
    if (value == NULL) {
        return ERR_UNDEFINED_OBJECT;
    }
    struct datum datum = datum_bytes(value, strlen(value));
    return session->sink->row(
        task, session->sink->arg, portal->prepared->columns, &datum, 1, portal->binary, diag);
}

/* The value of an expression of a utility statement, cast to `type`: the plan of SELECT CAST(x AS
 * t), run once. Memory in `into`. */
enum err
sql_session_evaluate(struct task *task, struct sql_session *session, struct ast_node *expr,
    const char *text, oid_t type, struct arena *into, struct datum *value, struct diag *diag)
{
    struct ast_type type_node = {.node = {.kind = AST_TYPE, .depth = 1, .location = -1},
        .schema = "pg_catalog",
        .name = type_by_oid(type)->name};
    if (type >= TYPE_USER_FIRST) {
        struct catalog *catalog = NULL;
        TRY(catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag));
        const struct user_type *found = catalog_type(catalog, type);
        if (found != NULL) {
            type_node.schema = arena_strdup(&session->statement, found->schema_name);
            type_node.name = arena_strdup(&session->statement, found->name);
            type_node.array_dimensions = type == found->array_oid ? 1 : 0;
        }
        catalog_release(catalog);
    }
    struct ast_cast cast = {
        .node = {.kind = AST_CAST, .depth = (uint16_t)(expr->depth + 1), .location = -1},
        .operand = expr,
        .type = &type_node};
    struct ast_target target = {
        .node = {.kind = AST_TARGET, .depth = cast.node.depth, .location = -1},
        .value = &cast.node};
    struct ast_node *items[] = {&target.node};
    struct ast_list targets = {.items = items, .count = 1, .capacity = 1};
    struct ast_select select = {
        .node = {.kind = AST_SELECT, .depth = cast.node.depth, .location = -1},
        .targets = &targets};
    struct planned *planned = NULL;
    TRY(planned__renew(task, session, &select.node, text, NULL, 0, 0, &planned, diag));
    struct exec *exec = NULL;
    const struct datum *row = NULL;
    enum err err = planned__open(task, session, planned, &planned->arena, NULL, false, &exec, diag);
    if (err == ERR_OK) {
        err = exec_next(task, exec, &row);
        if (err == ERR_OK && row != NULL) {
            *value = datum_copy(into, planned->plan->columns[0].type, row[0]);
        }
        exec_close(task, exec);
    }
    planned__release(planned);
    return err;
}

/* ---- PREPARE, EXECUTE, DEALLOCATE
 * ------------------------------------------------------------------ */

static enum err
do_prepare(struct task *task, struct sql_session *session, const struct ast_prepare *statement,
    const char *text, struct diag *diag)
{
    if (prepared__find(session, statement->name, NULL) != NULL) {
        return diag_set(diag, ERR_DUPLICATE_PREPARED, "prepared statement \"%s\" already exists",
            statement->name);
    }
    oid_t *types = arena_array(
        &session->statement, (size_t)ast_list_count(statement->types) + 1, sizeof *types);
    uint32_t count = 0;
    struct catalog *catalog = NULL;
    TRY(catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag));
    session->env.catalog = catalog;
    AST_FOREACH(at, statement->types)
    {
        const struct ast_type *name = ast_as_type(*at);
        const struct type *type = type_named(&session->env, name->schema, name->name);
        if (type == NULL) {
            (void)diag_set(diag, ERR_UNDEFINED_OBJECT, "type \"%s\" does not exist", name->name);
            break;
        }
        types[count++] = name->array_dimensions > 0 ? type->array_oid : type->oid;
    }
    session->env.catalog = NULL;
    catalog_release(catalog);
    if (count < ast_list_count(statement->types)) {
        return ERR_UNDEFINED_OBJECT;
    }
    struct prepared *prepared = NULL;
    TRY(prepared__new(session, statement->name, text + statement->statement_start,
        (size_t)statement->statement_size, NULL, types, count, &prepared, diag));
    enum err err = prepared__plan(task, session, prepared, diag);
    if (err != ERR_OK) {
        prepared__release(prepared);
        return err;
    }
    prepared->from_sql = true;
    list_push_back(&session->statements, &prepared->node);
    return ERR_OK;
}

enum err
utility__execute_portal(struct task *task, struct sql_session *session,
    const struct ast_execute *statement, const char *text, struct portal *portal, struct diag *diag)
{
    struct prepared *prepared = prepared__find(session, statement->name, diag);
    if (prepared == NULL) {
        return ERR_INVALID_STATEMENT_NAME;
    }
    uint32_t count = ast_list_count(statement->args);
    if (count != prepared->param_count) {
        (void)diag_set(diag, ERR_SYNTAX, "wrong number of parameters for prepared statement \"%s\"",
            statement->name);
        diag_detail(diag, "Expected %u parameters but got %u.", prepared->param_count, count);
        return ERR_SYNTAX;
    }
    portal__create(portal, prepared);
    portal->params = arena_array(&portal->arena, (size_t)count + 1, sizeof *portal->params);
    enum err err = ERR_OK;
    for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
        err = sql_session_evaluate(task, session, ast_list_at(statement->args, i), text,
            prepared->param_types[i], &portal->arena, &portal->params[i], diag);
    }
    if (err != ERR_OK) {
        portal__destroy(task, portal);
    }
    return err;
}

enum err
sql_session_execute_values(struct task *task, struct sql_session *session,
    const struct ast_execute *execute, const char *text, struct arena *into, struct datum **values,
    const oid_t **types, uint32_t *count, struct diag *diag)
{
    bool own = session->block == BLOCK_NONE;
    struct portal portal;
    TRY(session__begin_implicit(task, session, diag));
    enum err err = utility__execute_portal(task, session, execute, text, &portal, diag);
    if (err == ERR_OK) {
        uint32_t there = portal.prepared->param_count;
        oid_t *kept = arena_array(into, (size_t)there + 1, sizeof *kept);
        *values = arena_array(into, (size_t)there + 1, sizeof **values);
        for (uint32_t i = 0; i < there; i++) {
            kept[i] = portal.prepared->param_types[i];
            (*values)[i] = datum_copy(into, kept[i], portal.params[i]);
        }
        *types = kept;
        *count = there;
        portal__destroy(task, &portal);
    }
    if (own) {
        session__rollback_all(task, session);
    }
    return err;
}

static enum err
do_execute(struct task *task, struct sql_session *session, const struct ast_execute *statement,
    const char *text, bool describe, struct diag *diag)
{
    struct portal portal;
    bool suspended = false;
    TRY(utility__execute_portal(task, session, statement, text, &portal, diag));
    enum err err = portal__run(task, session, &portal, 0, describe, &suspended, diag);
    portal__destroy(task, &portal);
    return err;
}

/* ---- DDL
 * -----------------------------------------------------------------------------------------------
 */

static void
ddl_notice(void *arg, const char *sqlstate, const char *message)
{
    struct sql_session *session = arg;
    enum err code = ERR_OK;
    for (int i = 0; i < ERR_COUNT; i++) {
        if (strcmp(err_sqlstate((enum err)i), sqlstate) == 0) {
            code = (enum err)i;
            break;
        }
    }
    if (session->notice_level == 0) {
        struct diag *notice = arena_alloc(&session->statement, sizeof *notice);
        notice->code = code;
        (void)snprintf(notice->message, sizeof notice->message, "%s", message);
        session->sink->notice(session->sink->arg, "NOTICE", notice);
    }
}

static void
ddl_on_commit(void *arg, oid_t table, bool drop)
{
    temporary__note(arg, table, drop);
}

static bool
ddl_pending(void *arg, oid_t table)
{
    const struct sql_session *session = arg;
    return exec_deferred_pending_of(session->deferred, table);
}

/* As PostgreSQL: sessions that are just ending are given some time. */
static enum err
ddl_others(
    struct task *task, void *arg, oid_t database, bool end, uint32_t *count, struct diag *diag)
{
    struct sql_session *session = arg;
    struct world *world = session->engine->world;
    int64_t until = world_clock_us(world) + OTHERS_WAIT_US;
    *count = session__others_in(session->engine, session, database, end);
    while (*count > 0 && world_clock_us(world) < until) {
        TRY(task_interrupted(task, diag));
        task_sleep(task, OTHERS_POLL_US);
        *count = session__others_in(session->engine, session, database, false);
    }
    return ERR_OK;
}

static enum err
ddl_database_goes(struct task *task, void *arg, const char *name, const char *to, struct diag *diag)
{
    struct sql_session *session = arg;
    const struct sql_saga_hooks *hooks = session->engine->sagas;
    return hooks == NULL ? ERR_OK : hooks->database_goes(task, hooks->arg, session, name, to, diag);
}

enum err
utility__run_ddl(struct task *task, struct sql_session *session, const struct ast_node *node,
    const char *text, size_t size, const char **tag, struct diag *diag)
{
    struct catalog *catalog = NULL;
    TRY(catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag));
    const struct role *role = catalog_role(catalog, session->env.user);
    oid_t owner = role == NULL ? 0 : role->oid;
    catalog_release(catalog);
    session->env.catalog = NULL;
    /* The new command's number: a statement sees what earlier ones of the transaction wrote. */
    (void)txn_statement_begin(session->txn);
    struct progress progress = {.command = node->kind == AST_REINDEX ? "REINDEX" : "CREATE INDEX"};
    struct ddl_context context = {
        .store = session->engine->catalogs,
        .db = session->engine->db,
        .txn = session->txn,
        .env = &session->env,
        .arena = &session->statement,
        .diag = diag,
        .text = text,
        .text_size = size,
        .owner = owner,
        .hooks = &ddl_default_hooks,
        .notice = ddl_notice,
        .notice_arg = session,
        .on_commit = ddl_on_commit,
        .pending = ddl_pending,
        .pending_arg = session,
        .others = ddl_others,
        .database_goes = ddl_database_goes,
        .check_bodies = strcmp(settings__value(session, "check_function_bodies"), "on") == 0,
        .maintenance_work_mem = session->maintenance_work_mem,
        .spill_space = &session->spill_space,
        .progress = &progress,
    };
    activity__progress(session, &progress);
    enum err err = ddl_execute(task, &context, node, tag);
    activity__progress(session, NULL);
    return err;
}

static enum err
check_superuser(
    struct task *task, struct sql_session *session, const char *words, struct diag *diag)
{
    struct catalog *catalog = NULL;
    TRY(catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag));
    const struct role *role = catalog_role(catalog, session->env.user);
    bool superuser = role != NULL && role->superuser;
    catalog_release(catalog);
    return superuser ? ERR_OK : diag_set(diag, ERR_INSUFFICIENT_PRIVILEGE, "%s", words);
}

/* ---- the rest
 * -------------------------------------------------------------------------------------------- */

/* Who may read a table may lock it as a reader, and so on: one of these is enough. */
static uint32_t
privileges_to_lock(enum txn_table_lock mode)
{
    uint32_t writing = PRIVILEGE_UPDATE | PRIVILEGE_DELETE | PRIVILEGE_TRUNCATE;
    return mode == TXN_ACCESS_SHARE    ? PRIVILEGE_SELECT
           : mode == TXN_ROW_EXCLUSIVE ? PRIVILEGE_INSERT | writing
                                       : writing;
}

/* Locks what the name means; *locked: which that was (it may mean another by then). */
static enum err
lock_named(struct task *task, struct sql_session *session, const struct ast_table *name,
    const struct ast_lock *statement, oid_t *locked, struct diag *diag)
{
    enum txn_table_lock mode = (enum txn_table_lock)(statement->mode - 1);
    struct catalog *catalog = NULL;
    TRY(catalog_check_database(&session->env, name, diag));
    TRY(catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag));
    const struct relation *relation =
        catalog_relation_on(catalog, session->env.search_path, name->schema, name->name);
    enum err err = ERR_OK;
    if (relation == NULL) {
        err = diag_set(diag, ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist", name->name);
    } else if (catalog_relation_privileges(catalog, catalog_current_role(catalog, &session->env),
                   relation, privileges_to_lock(mode)) == 0) {
        err = diag_set(
            diag, ERR_INSUFFICIENT_PRIVILEGE, "permission denied for table %s", relation->name);
    } else if (relation->oid != *locked) {
        *locked = relation->oid;
        err = txn_lock_table(task, session->txn, relation->oid, relation->name, mode,
            statement->nowait ? TXN_NOWAIT : TXN_WAIT, diag);
        if (err == ERR_LOCK_NOT_AVAILABLE && statement->nowait) {
            (void)diag_set(diag, ERR_LOCK_NOT_AVAILABLE, "could not obtain lock on relation \"%s\"",
                name->name);
        }
    }
    catalog_release(catalog);
    return err;
}

static enum err
lock_tables(struct task *task, struct sql_session *session, const struct ast_lock *statement,
    struct diag *diag)
{
    if (session->block != BLOCK_EXPLICIT) {
        return diag_set(
            diag, ERR_NO_ACTIVE_TRANSACTION, "LOCK TABLE can only be used in transaction blocks");
    }
    AST_FOREACH(at, statement->tables)
    {
        oid_t locked = 0;
        oid_t before;
        do { /* until the name still means what was locked */
            before = locked;
            TRY(lock_named(task, session, ast_as_table(*at), statement, &locked, diag));
        } while (locked != before);
    }
    return ERR_OK;
}

static enum err
not_in_block(struct sql_session *session, const char *what, struct diag *diag)
{
    return session->block == BLOCK_EXPLICIT ? diag_set(diag, ERR_ACTIVE_TRANSACTION,
                                                  "%s cannot run inside a transaction block", what)
                                            : ERR_OK;
}

static enum err
check_ddl_block(struct sql_session *session, const struct ast_node *node, struct diag *diag)
{
    return node->kind == AST_CREATE_DATABASE ? not_in_block(session, "CREATE DATABASE", diag)
           : node->kind == AST_DROP && ast_as_drop(node)->object == AST_OBJECT_DATABASE
               ? not_in_block(session, "DROP DATABASE", diag)
               : ERR_OK;
}

static bool
wants_analyze(const struct ast_vacuum *statement)
{
    bool wants = !statement->vacuum;
    AST_FOREACH(at, statement->options)
    {
        wants |= strcmp(ast_as_option(*at)->name, "analyze") == 0;
    }
    return wants;
}

/* VACUUM is accepted: there is nothing to vacuum (old versions go by themselves). The tables must
 * exist. */
static enum err
vacuum(struct task *task, struct sql_session *session, const struct ast_vacuum *statement,
    struct diag *diag)
{
    if (statement->vacuum) {
        TRY(not_in_block(session, "VACUUM", diag));
    }
    AST_FOREACH(at, statement->tables)
    {
        const struct ast_table *name = ast_as_table(*at);
        TRY(catalog_check_database(&session->env, name, diag));
        struct catalog *catalog = NULL;
        TRY(catalog_get(task, session->engine->catalogs, session->txn, &catalog, diag));
        const struct relation *relation =
            catalog_relation_on(catalog, session->env.search_path, name->schema, name->name);
        bool exists = relation != NULL;
        if (exists && statement->vacuum) {
            (void)analyze__may(session, catalog, relation, "vacuum");
        }
        catalog_release(catalog);
        if (!exists) {
            return diag_set(
                diag, ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist", name->name);
        }
    }
    return wants_analyze(statement) ? analyze__run(task, session, statement, diag) : ERR_OK;
}

static enum err
discard(struct task *task, struct sql_session *session,
    const struct ast_discard_statement *statement, const char **tag, struct diag *diag)
{
    switch (statement->what) {
    case AST_DISCARD_ALL:
        TRY(not_in_block(session, "DISCARD ALL", diag));
        *tag = "DISCARD ALL";
        prepared__drop_all(session);
        cursor__close_held(task, session);
        txn_unlock_all_advisory(session->txn);
        TRY(notify__statement(session, &(struct ast_notify){.kind = AST_NOTIFY_UNLISTEN}, diag));
        TRY(settings__set_value(session, "session_authorization", NULL, false, diag));
        sequence_session_forget(session->env.sequences);
        TRY(temporary__discard(task, session, diag));
        return settings__reset_all(session, diag);
    case AST_DISCARD_PLANS:
        *tag = "DISCARD PLANS";
        return ERR_OK;
    case AST_DISCARD_SEQUENCES:
        *tag = "DISCARD SEQUENCES";
        sequence_session_forget(session->env.sequences);
        return ERR_OK;
    case AST_DISCARD_TEMP:
        *tag = "DISCARD TEMP";
        return temporary__discard(task, session, diag);
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

static const char *
unsupported_name(const struct ast_node *node)
{
    switch (node->kind) {
    case AST_CLUSTER:
        return "CLUSTER";
    case AST_GRANT:
        return "GRANT and REVOKE";
    case AST_DO:
        return "DO";
    case AST_ALTER_SYSTEM:
        return "ALTER SYSTEM";
    case AST_UNSUPPORTED:
        return ast_as_unsupported(node)->what;
    default:
        return "this statement";
    }
}

static enum err
dispatch(struct task *task, struct sql_session *session, struct portal *portal, bool describe,
    char *tag_memory, size_t tag_size, const char **tag, struct diag *diag)
{
    const struct prepared *prepared = portal->prepared;
    const struct ast_node *node = prepared->statement->body;
    if (node->kind == AST_REFRESH) {
        return create_as__refresh(
            task, session, ast_as_refresh(node), prepared->text, prepared->size, tag, diag);
    }
    if (ddl_handles(node)) {
        TRY(check_ddl_block(session, node, diag));
        return utility__run_ddl(task, session, node, prepared->text, prepared->size, tag, diag);
    }
    if (body__handles(node)) {
        return body__run(task, session, portal, tag, diag);
    }
    switch (node->kind) {
    case AST_TRANSACTION:
        return session__transaction(task, session, ast_as_transaction(node), tag, diag);
    case AST_SET:
        *tag =
            ast_as_set(node)->kind == AST_SET_RESET || ast_as_set(node)->kind == AST_SET_RESET_ALL
                ? "RESET"
                : "SET";
        return settings__set(session, ast_as_set(node), diag);
    case AST_SET_CONSTRAINTS:
        *tag = "SET CONSTRAINTS";
        return session__set_constraints(task, session, ast_as_set_constraints(node), diag);
    case AST_SET_TRANSACTION:
        *tag = "SET";
        return session__set_transaction(session, ast_as_set_transaction(node), diag);
    case AST_SHOW:
        *tag = "SHOW";
        return show(task, session, portal, ast_as_show(node), diag);
    case AST_EXPLAIN:
        *tag = "EXPLAIN";
        return explain__run(task, session, ast_as_explain(node), portal, diag);
    case AST_CREATE_TABLE_AS:
        *tag = tag_memory;
        return create_as__run(task, session, ast_as_create_table_as(node), prepared->text,
            tag_memory, tag_size, diag);
    case AST_DECLARE_CURSOR:
        *tag = "DECLARE CURSOR";
        return cursor__declare(task, session, portal, diag);
    case AST_FETCH:
        *tag = tag_memory;
        return cursor__fetch(
            task, session, ast_as_fetch(node), portal->binary, tag_memory, tag_size, diag);
    case AST_CLOSE_CURSOR:
        return cursor__close(task, session, ast_as_close_cursor(node), tag, diag);
    case AST_COPY:
        *tag = tag_memory;
        return copy__run(task, session, ast_as_copy(node), prepared->text, prepared->size,
            tag_memory, tag_size, diag);
    case AST_PREPARE:
        *tag = "PREPARE";
        return do_prepare(task, session, ast_as_prepare(node), prepared->text, diag);
    case AST_EXECUTE:
        *tag = NULL; /* the statement's own */
        return do_execute(task, session, ast_as_execute(node), prepared->text, describe, diag);
    case AST_DEALLOCATE:
        *tag = ast_as_deallocate(node)->name == NULL ? "DEALLOCATE ALL" : "DEALLOCATE";
        if (ast_as_deallocate(node)->name == NULL) {
            prepared__drop_all(session);
            return ERR_OK;
        }
        if (prepared__find(session, ast_as_deallocate(node)->name, diag) == NULL) {
            return ERR_INVALID_STATEMENT_NAME;
        }
        prepared__drop(session, ast_as_deallocate(node)->name);
        return ERR_OK;
    case AST_ALTER_SYSTEM:
        *tag = "ALTER SYSTEM";
        TRY(not_in_block(session, "ALTER SYSTEM", diag));
        TRY(check_superuser(
            task, session, "permission denied to set parameters of the server", diag));
        return settings__alter_system(session, ast_as_alter_system(node)->set, diag);
    case AST_CHECKPOINT:
        *tag = "CHECKPOINT";
        TRY(check_superuser(task, session,
            "must be superuser or have privileges of pg_checkpoint to do CHECKPOINT", diag));
        return txn_db_checkpoint(task, session->engine->db, diag);
    case AST_VACUUM:
        *tag = ast_as_vacuum(node)->vacuum ? "VACUUM" : "ANALYZE";
        return vacuum(task, session, ast_as_vacuum(node), diag);
    case AST_NOTIFY:
        *tag = ast_as_notify(node)->kind == AST_NOTIFY_LISTEN     ? "LISTEN"
               : ast_as_notify(node)->kind == AST_NOTIFY_UNLISTEN ? "UNLISTEN"
                                                                  : "NOTIFY";
        return notify__statement(session, ast_as_notify(node), diag);
    case AST_LOCK:
        *tag = "LOCK TABLE";
        return lock_tables(task, session, ast_as_lock(node), diag);
    case AST_DISCARD:
        return discard(task, session, ast_as_discard_statement(node), tag, diag);
    default:
        return diag_set(
            diag, ERR_FEATURE_NOT_SUPPORTED, "%s is not supported", unsupported_name(node));
    }
}

enum err
utility__run(struct task *task, struct sql_session *session, struct portal *portal, bool describe,
    struct diag *diag)
{
    const struct sql_sink *sink = session->sink;
    struct prepared *prepared = portal->prepared;
    utility__describe(session, prepared);
    bool executes_other = prepared->statement->body->kind == AST_EXECUTE;
    if (describe && prepared->returns_rows && !executes_other) {
        TRY(sink->describe(task, sink->arg, prepared->columns, prepared->column_count, diag));
    }
    char memory[64] = "";
    const char *tag = "";
    TRY(dispatch(task, session, portal, describe, memory, sizeof memory, &tag, diag));
    return tag == NULL ? ERR_OK : sink->complete(task, sink->arg, tag, diag);
}
