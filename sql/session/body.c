/* sql/session/body.c - SQL that the server runs by itself; statements about sagas on their way to
 * saga/. */
#include "sql/session/body.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sql/session/session_internal.h"

struct sql_body {
    struct arena arena;
    struct planned_names names;
    const oid_t *types;
    const char *text;
    const struct ast_list *statements;
    struct planned **planned; /* one each, or NULL */
    uint32_t count;
};

enum err
sql_body_new(struct sql_session *session, const char *text, const struct sql_body_params *params,
    struct sql_body **body_out, struct diag *diag)
{
    (void)session;
    struct sql_body *body = mem_zalloc(sizeof *body);
    arena_create(&body->arena, "body");
    body->names = (struct planned_names){
        .routine = params->routine, .names = params->names, .count = params->count};
    body->types = params->types;
    body->text = arena_strdup(&body->arena, text);
    struct ast_list *list = NULL;
    enum err err = parser_parse(&body->arena, body->text, strlen(text), &list, diag);
    if (err == ERR_OK && ast_list_count(list) == 0) {
        err = diag_set(diag, ERR_SYNTAX, "there is no statement");
    }
    for (uint32_t i = 0; err == ERR_OK && i < ast_list_count(list); i++) {
        const struct ast_statement *statement = ast_as_statement(ast_list_at(list, i));
        if (!statement_is_query(statement)) {
            err = diag_set(diag, ERR_FEATURE_NOT_SUPPORTED,
                "only SELECT, INSERT, UPDATE and DELETE are allowed here");
        } else if (statement->param_max > params->count) {
            err = diag_set(
                diag, ERR_UNDEFINED_PARAMETER, "there is no parameter $%u", statement->param_max);
        }
    }
    if (err != ERR_OK) {
        arena_destroy(&body->arena);
        mem_free(body);
        return err;
    }
    body->statements = list;
    body->count = ast_list_count(list);
    body->planned = mem_array(body->count, sizeof(struct planned *));
    *body_out = body;
    return ERR_OK;
}

void
sql_body_delete(struct sql_body *body)
{
    planned__release_all(body->planned, body->count);
    arena_destroy(&body->arena);
    mem_free(body);
}

static enum err
renew(struct task *task, struct sql_session *session, struct sql_body *body, uint32_t at,
    struct diag *diag)
{
    const struct ast_statement *statement = ast_as_statement(ast_list_at(body->statements, at));
    TRY(planned__renew_named(task, session, statement->body, body->text, body->types,
        body->names.count, body->names.count, &body->names, &body->planned[at], diag));
    return ERR_OK;
}

enum err
sql_body_check(struct task *task, struct sql_session *session, struct sql_body *body,
    enum err (*each)(void *arg, const struct relation *relation, bool writes, struct diag *diag),
    void *arg, struct diag *diag)
{
    for (uint32_t i = 0; i < body->count; i++) {
        TRY(renew(task, session, body, i, diag));
        const struct planned *planned = body->planned[i];
        for (uint32_t lock = 0; lock < planned->plan->lock_count; lock++) {
            const struct plan_table_lock *table = &planned->plan->locks[lock];
            const struct relation *relation =
                catalog_relation_by_oid(planned->catalog, table->relation);
            if (relation != NULL) {
                TRY(each(arg, relation, table->mode >= TXN_ROW_EXCLUSIVE, diag));
            }
        }
    }
    return ERR_OK;
}

enum err
sql_body_inspect(struct task *task, struct sql_session *session, struct sql_body *body,
    enum err (*look)(void *arg, const struct sql_inspection *inspection), void *arg,
    struct diag *diag)
{
    for (uint32_t i = 0; i < body->count; i++) {
        const struct ast_statement *statement = ast_as_statement(ast_list_at(body->statements, i));
        TRY(session__inspect(task, session, statement->body, body->text, body->types,
            body->names.count, body->names.count, &body->names, look, arg, diag));
    }
    return ERR_OK;
}

static void
add_row(struct sql_session *session, const struct plan *plan, const struct datum *row,
    struct buffer *result, size_t result_max)
{
    if (result->size >= result_max) {
        return;
    }
    buffer_add_text(result, result->size == 0 ? "(" : " (");
    for (uint32_t i = 0; i < plan->column_count; i++) {
        buffer_add_text(result, i == 0 ? "" : ",");
        if (!row[i].null) {
            type_output(&session->env, plan->columns[i].type, row[i], result);
        }
    }
    buffer_add_text(result, ")");
    if (result->size > result_max) {
        size_t size = result_max;
        while (size > 0 && (result->data[size] & 0xC0) == 0x80) {
            size--;
        }
        result->size = size;
    }
}

static enum err
run_one(struct task *task, struct sql_session *session, struct planned *planned,
    const struct datum *params, uint64_t *rows, struct buffer *result, size_t result_max,
    struct diag *diag)
{
    struct arena arena;
    arena_create(&arena, "body");
    struct exec *exec = NULL;
    const struct plan *plan = planned->plan;
    uint64_t given = 0;
    result->size = 0;
    enum err err = planned__open(task, session, planned, &arena, params, false, &exec, diag);
    while (err == ERR_OK) {
        const struct datum *row = NULL;
        err = exec_next(task, exec, &row);
        if (err != ERR_OK || row == NULL) {
            break;
        }
        given++;
        add_row(session, plan, row, result, result_max);
    }
    *rows = err != ERR_OK || plan->statement == STATEMENT_SELECT ? given : exec_row_count(exec);
    if (exec != NULL) {
        exec_close(task, exec);
    }
    arena_destroy(&arena);
    return err;
}

enum err
sql_body_run(struct task *task, struct sql_session *session, struct sql_body *body,
    const struct datum *params, uint64_t *rows, struct buffer *result, size_t result_max,
    struct diag *diag)
{
    for (uint32_t i = 0; i < body->count; i++) {
        TRY(renew(task, session, body, i, diag));
        struct planned *planned = planned__hold(body->planned[i]);
        enum err err = run_one(task, session, planned, params, rows, result, result_max, diag);
        planned__release(planned);
        TRY(err);
    }
    return ERR_OK;
}

/* ---- a session without a client ----------------------------------------------------------------
 */

static enum err
silent_describe(struct task *task, void *arg, const struct plan_column *columns, uint32_t count,
    struct diag *diag)
{
    (void)task;
    (void)arg;
    (void)columns;
    (void)count;
    (void)diag;
    return ERR_OK;
}

static enum err
silent_row(struct task *task, void *arg, const struct plan_column *columns,
    const struct datum *values, uint32_t count, const bool *binary, struct diag *diag)
{
    (void)values;
    (void)binary;
    return silent_describe(task, arg, columns, count, diag);
}

static enum err
silent_complete(struct task *task, void *arg, const char *tag, struct diag *diag)
{
    (void)tag;
    return silent_describe(task, arg, NULL, 0, diag);
}

static enum err
silent_empty(struct task *task, void *arg, struct diag *diag)
{
    return silent_describe(task, arg, NULL, 0, diag);
}

static void
silent_notice(void *arg, const char *severity, const struct diag *notice)
{
    (void)arg;
    (void)severity;
    (void)notice;
}

static void
silent_parameter_status(void *arg, const char *name, const char *value)
{
    (void)arg;
    (void)name;
    (void)value;
}

/* No COPY: nobody gives these sessions one. */
const struct sql_sink sql_silent_sink = {
    .describe = silent_describe,
    .row = silent_row,
    .complete = silent_complete,
    .empty = silent_empty,
    .notice = silent_notice,
    .parameter_status = silent_parameter_status,
};

struct txn *
sql_session_txn(struct sql_session *session)
{
    return session->txn;
}

struct sql_engine *
sql_session_engine(struct sql_session *session)
{
    return session->engine;
}

bool
sql_session_is_stale(const struct sql_session *session)
{
    return atomic_load(&session->stale);
}

const char *
sql_session_database(const struct sql_session *session)
{
    return session->database;
}

struct txn_db *
sql_engine_db(struct sql_engine *engine)
{
    return engine->db;
}

struct catalog_store *
sql_engine_catalogs(struct sql_engine *engine)
{
    return engine->catalogs;
}

int64_t
sql_engine_setting(struct sql_engine *engine, const char *name)
{
    latch_acquire(&engine->latch);
    int64_t value = sql_config_integer(engine->config, name);
    latch_release(&engine->latch);
    return value;
}

/* ---- sagas --------------------------------------------------------------------------------------
 */

static const struct plan_column start_columns[] = {
    {.name = "saga", .type = TYPE_INT8, .typmod = -1},
    {.name = "state", .type = TYPE_TEXT, .typmod = -1},
    {.name = "error", .type = TYPE_TEXT, .typmod = -1},
};

void
sql_engine_set_saga_hooks(struct sql_engine *engine, const struct sql_saga_hooks *hooks)
{
    engine->sagas = hooks;
}

const struct sql_saga_hooks *
sql_engine_saga_hooks(const struct sql_engine *engine)
{
    return engine->sagas;
}

void
sql_session_touch_saga(struct sql_session *session, uint64_t number)
{
    buffer_add(&session->sagas, &number, sizeof number);
}

void
body__after_commit(struct sql_session *session)
{
    for (size_t at = 0; at < session->sagas.size; at += sizeof(uint64_t)) {
        uint64_t number;
        memcpy(&number, session->sagas.data + at, sizeof number);
        session->engine->sagas->committed(session->engine->sagas->arg, number);
    }
    session->sagas.size = 0;
}

bool
body__handles(const struct ast_node *node)
{
    return node->kind == AST_CREATE_SAGA || node->kind == AST_DROP_SAGA ||
           node->kind == AST_START_SAGA || node->kind == AST_ALTER_SAGA;
}

void
body__describe(struct prepared *prepared)
{
    if (prepared->statement->body->kind == AST_START_SAGA) {
        prepared->returns_rows = true;
        prepared->columns = start_columns;
        prepared->column_count = 3;
    }
}

static struct datum
text_or_null(const char *text)
{
    return text == NULL ? datum_null() : datum_bytes(text, strlen(text));
}

static enum err
start(struct task *task, struct sql_session *session, const struct portal *portal,
    const struct sql_saga_hooks *hooks, struct diag *diag)
{
    const struct prepared *prepared = portal->prepared;
    struct sql_saga_answer answer = {0};
    bool in_block = session->block == BLOCK_EXPLICIT;
    TRY(hooks->start(task, hooks->arg, session, ast_as_start_saga(prepared->statement->body),
        prepared->text, in_block, &session->statement, &answer, diag));
    const struct datum row[] = {
        datum_int(answer.number), text_or_null(answer.state), text_or_null(answer.error)};
    return session->sink->row(
        task, session->sink->arg, start_columns, row, 3, portal->binary, diag);
}

enum err
body__run(struct task *task, struct sql_session *session, const struct portal *portal,
    const char **tag, struct diag *diag)
{
    const struct sql_saga_hooks *hooks = session->engine->sagas;
    const struct prepared *prepared = portal->prepared;
    const struct ast_node *node = prepared->statement->body;
    if (hooks == NULL) {
        return diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "there are no sagas here");
    }
    if (txn_read_only(session->txn)) {
        return diag_set(diag, ERR_READ_ONLY_TRANSACTION,
            "statements about sagas cannot run in a read-only transaction");
    }
    (void)txn_statement_begin(session->txn);
    switch (node->kind) {
    case AST_CREATE_SAGA:
        *tag = "CREATE SAGA";
        return hooks->create(task, hooks->arg, session, ast_as_create_saga(node), prepared->text,
            prepared->size, diag);
    case AST_DROP_SAGA:
        *tag = "DROP SAGA";
        return hooks->drop(task, hooks->arg, session, ast_as_drop_saga(node), diag);
    case AST_ALTER_SAGA:
        *tag = "ALTER SAGA";
        return hooks->alter(task, hooks->arg, session, ast_as_alter_saga(node), diag);
    default:
        *tag = "START SAGA";
        return start(task, session, portal, hooks, diag);
    }
}
