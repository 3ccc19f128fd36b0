/*
 * saga/define.c - CREATE SAGA, DROP SAGA.
 *
 * A definition is sound if its steps are, in this order: any number that can be undone, at most one
 * pivot, any number that are tried until they succeed. Their bodies are bound as the tables are
 * now.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "parser/parser.h"
#include "saga/saga_internal.h"
#include "sql/catalog/access.h"
#include "sql/catalog/sharding.h"
#include "sql/session/setting_table.h"

enum {
    RETRY_DEFAULT = 5,
    RETRY_RETRIABLE = 100,
    BACKOFF_DEFAULT_MS = 50,
    BACKOFF_MAX_DEFAULT_MS = 2000,
    DURATION_MAX_MS = 7 * 86400 * 1000,
};

struct defining {
    struct task *task;
    struct sql_session *session;
    const struct catalog *catalog;
    struct arena arena;
    struct saga_definition definition;
    oid_t *base_types; /* of the parameters: no expression is of a domain */
    const char *text;
    bool in_cluster; /* a node's, or a router's */
    struct diag *diag;
};

static enum err
wrong(struct defining *defining, const struct saga_step *step, const char *what, const char *hint)
{
    (void)diag_set(
        defining->diag, ERR_INVALID_OBJECT_DEFINITION, "step \"%s\" %s", step->name, what);
    diag_hint(defining->diag, "%s", hint);
    return ERR_INVALID_OBJECT_DEFINITION;
}

/* '30s', '50ms'. */
static enum err
duration(
    struct defining *defining, const char *what, const char *text, uint32_t otherwise, uint32_t *ms)
{
    *ms = otherwise;
    if (text == NULL) {
        return ERR_OK;
    }
    const struct setting setting = {
        .name = what, .type = SETTING_INT, .unit = UNIT_MS, .min = 1, .max = DURATION_MAX_MS};
    char *checked = NULL;
    TRY(setting_check(defining->task, &setting, text, NULL, &checked, defining->diag));
    *ms = (uint32_t)strtoul(checked, NULL, 10);
    mem_free(checked);
    return ERR_OK;
}

/* With its schema, whatever the path. "": its OID is the same everywhere, or this is no cluster. */
static const char *
name_between_nodes(struct defining *defining, const struct type *type)
{
    static const char *const nowhere[] = {"", NULL};
    const struct eval_env env = {.catalog = defining->catalog, .search_path = nowhere};
    return defining->in_cluster && type->oid >= OID_FIRST_USER
               ? type_format(&env, &defining->arena, type->oid, -1)
               : "";
}

/* The steps' statements find what they name as they do now: else the step could do its work
 * elsewhere than where it was checked, and has its record. */
static const char *
current_path(struct defining *defining)
{
    struct buffer text = {0};
    const char *const *path = sql_session_env(defining->session)->search_path;
    for (; path != NULL && *path != NULL; path++) {
        if (!catalog_is_temporary(*path)) {
            buffer_add_text(&text, text.size == 0 ? "" : ", ");
            buffer_add_text(&text, parser_quote_ident(&defining->arena, *path));
        }
    }
    const char *result =
        text.size == 0 ? "''" : arena_strndup(&defining->arena, (const char *)text.data, text.size);
    buffer_destroy(&text);
    return result;
}

static enum err
read_params(struct defining *defining, const struct ast_list *params)
{
    struct saga_definition *definition = &defining->definition;
    size_t room = (size_t)ast_list_count(params) + 1;
    if (ast_list_count(params) > SAGA_PARAMS_MAX) {
        return diag_set(defining->diag, ERR_TOO_MANY_ARGUMENTS,
            "a saga cannot have more than %d parameters", SAGA_PARAMS_MAX);
    }
    definition->param_names = arena_array(&defining->arena, room, sizeof(char *));
    definition->param_types = arena_array(&defining->arena, room, sizeof(oid_t));
    definition->param_type_names = arena_array(&defining->arena, room, sizeof(char *));
    defining->base_types = arena_array(&defining->arena, room, sizeof(oid_t));
    AST_FOREACH(at, params)
    {
        const struct ast_saga_param *param = ast_as_saga_param(*at);
        struct eval_env *env = sql_session_env(defining->session);
        env->catalog = defining->catalog;
        const char *name = catalog_type_text(env, &defining->arena, param->type);
        const struct type *type =
            name == NULL ? NULL : type_by_sql_name(env, &defining->arena, name);
        if (type == NULL || type->category == CATEGORY_PSEUDO) {
            return diag_set(defining->diag, ERR_UNDEFINED_OBJECT, "type \"%s\" does not exist",
                param->type->name);
        }
        for (uint32_t i = 0; i < definition->param_count; i++) {
            if (strcmp(definition->param_names[i], param->name) == 0) {
                return diag_set(defining->diag, ERR_INVALID_OBJECT_DEFINITION,
                    "parameter name \"%s\" used more than once", param->name);
            }
        }
        definition->param_names[definition->param_count] = param->name;
        int32_t typmod = -1;
        definition->param_types[definition->param_count] = type->oid;
        defining->base_types[definition->param_count] =
            catalog_base_type(defining->catalog, type->oid, &typmod);
        definition->param_type_names[definition->param_count++] =
            name_between_nodes(defining, type);
    }
    return ERR_OK;
}

/* p, or saga.p; -1: none of them. */
static int32_t
param_of(const struct saga_definition *definition, const struct ast_column *name)
{
    bool whole =
        name->count == 1 || (name->count == 2 && strcmp(name->parts[0], definition->name) == 0);
    for (uint32_t i = 0; whole && !name->star && i < definition->param_count; i++) {
        if (strcmp(definition->param_names[i], name->parts[name->count - 1]) == 0) {
            return (int32_t)i;
        }
    }
    return -1;
}

/* Which parameter is the value of the table's shard column; -1: none, or it is not sharded. */
static int32_t
key_param(const struct defining *defining, const struct ast_saga_step *from,
    const struct relation *relation)
{
    const struct saga_definition *definition = &defining->definition;
    if (relation->sharding == NULL || relation->sharding->scheme.kind == SHARD_REPLICATED) {
        return -1;
    }
    const char *column = relation->columns[relation->sharding->column].name;
    const struct ast_node *value = NULL;
    AST_FOREACH(at, from->keys)
    {
        bool named = (*at)->kind == AST_NAMED_ARG;
        if (named && strcmp(ast_as_named_arg(*at)->name, column) == 0) {
            value = ast_as_named_arg(*at)->value;
        } else if (!named && ast_list_count(from->keys) == 1) {
            value = *at;
        }
    }
    if (value == NULL || value->kind != AST_COLUMN) {
        return -1;
    }
    return param_of(definition, ast_as_column(value));
}

/* What ON says must be there, though only a sharded table's rows are looked for by it. */
static enum err
check_keys(const struct defining *defining, const struct ast_saga_step *from,
    const struct relation *relation)
{
    AST_FOREACH(at, from->keys)
    {
        const struct ast_node *value = *at;
        if (value->kind == AST_NAMED_ARG) {
            const char *column = ast_as_named_arg(value)->name;
            if (relation_column(relation, column) < 0) {
                return diag_set(defining->diag, ERR_UNDEFINED_COLUMN,
                    "column \"%s\" of relation \"%s\" does not exist", column, relation->name);
            }
            value = ast_as_named_arg(value)->value;
        }
        if (value->kind == AST_COLUMN &&
            param_of(&defining->definition, ast_as_column(value)) < 0) {
            return diag_set(defining->diag, ERR_UNDEFINED_PARAMETER,
                "step \"%s\" says by ON where its rows are, but the saga has no parameter \"%s\"",
                from->name, ast_as_column(value)->parts[ast_as_column(value)->count - 1]);
        }
    }
    return ERR_OK;
}

static enum err
read_step(struct defining *defining, const struct ast_saga_step *from, struct saga_step *step)
{
    const struct saga_definition *definition = &defining->definition;
    for (const struct saga_step *other = definition->steps; other < step; other++) {
        if (strcmp(other->name, from->name) == 0) {
            return diag_set(defining->diag, ERR_DUPLICATE_OBJECT,
                "step name \"%s\" used more than once", from->name);
        }
    }
    step->name = from->name;
    step->doing = from->doing;
    step->undoing = from->undoing == NULL ? "" : from->undoing;
    step->flags = (from->undo_auto ? SAGA_UNDO_AUTO : 0U) | (from->pivot ? SAGA_PIVOT : 0U) |
                  (from->retriable ? SAGA_RETRIABLE : 0U) |
                  (from->expect_rows ? SAGA_EXPECT_ROWS : 0U) |
                  (from->undo_auto || from->undoing != NULL ? SAGA_HAS_UNDO : 0U);
    step->keys =
        arena_strndup(&defining->arena, defining->text + from->keys_start, (size_t)from->keys_size);
    step->retry_max = from->retry >= 0  ? (uint32_t)from->retry
                      : from->retriable ? RETRY_RETRIABLE
                                        : RETRY_DEFAULT;
    TRY(duration(defining, "backoff", from->backoff, BACKOFF_DEFAULT_MS, &step->backoff_ms));
    uint32_t most =
        step->backoff_ms > BACKOFF_MAX_DEFAULT_MS ? step->backoff_ms : BACKOFF_MAX_DEFAULT_MS;
    TRY(duration(defining, "backoff", from->backoff_to, most, &step->backoff_max_ms));
    if (step->backoff_max_ms < step->backoff_ms) {
        return wrong(defining, step, "has pauses that end shorter than they begin",
            "BACKOFF 'first' TO 'longest'.");
    }
    TRY(duration(defining, "timeout", from->timeout, 0, &step->timeout_ms));
    const struct relation *relation = catalog_relation_on(defining->catalog,
        sql_session_env(defining->session)->search_path, from->table->schema, from->table->name);
    if (relation == NULL || relation->kind != RELATION_TABLE) {
        return relation == NULL ? diag_set(defining->diag, ERR_UNDEFINED_TABLE,
                                      "relation \"%s\" does not exist", from->table->name)
                                : diag_set(defining->diag, ERR_WRONG_OBJECT_TYPE,
                                      "\"%s\" is not a table", from->table->name);
    }
    step->schema = relation->schema_name;
    step->table = relation->name;
    TRY(check_keys(defining, from, relation));
    step->key_param = key_param(defining, from, relation);
    if (defining->in_cluster && step->key_param >= 0 &&
        !saga__key_fits(definition->param_types[step->key_param],
            relation->columns[relation->sharding->column].type)) {
        return wrong(defining, step, "has a key of another type than the table's shard column",
            "Declare the parameter with the column's type.");
    }
    return ERR_OK;
}

/* Compensatable steps, the pivot, retriable ones. */
static enum err
check_order(struct defining *defining)
{
    const struct saga_definition *definition = &defining->definition;
    const struct saga_step *pivot = NULL;
    const struct saga_step *retriable = NULL;
    for (uint32_t i = 0; i < definition->step_count; i++) {
        const struct saga_step *step = &definition->steps[i];
        bool is_pivot = (step->flags & SAGA_PIVOT) != 0;
        bool is_retriable = (step->flags & SAGA_RETRIABLE) != 0;
        bool has_undo = (step->flags & SAGA_HAS_UNDO) != 0;
        if (is_pivot && is_retriable) {
            return wrong(defining, step, "cannot be PIVOT and RETRIABLE",
                "The pivot decides; what comes after it is RETRIABLE.");
        }
        if (has_undo && (is_pivot || is_retriable)) {
            return wrong(defining, step, "is never undone and cannot have UNDO",
                "From the pivot on a saga only goes forward.");
        }
        if (is_pivot && pivot != NULL) {
            return wrong(defining, step, "is a second pivot", "There can be only one PIVOT.");
        }
        if (is_pivot && retriable != NULL) {
            return wrong(defining, step, "is a pivot behind a retriable step",
                "The order is: steps with UNDO, one PIVOT, RETRIABLE steps.");
        }
        if (!is_pivot && !is_retriable && (pivot != NULL || retriable != NULL)) {
            return wrong(defining, step, "must be RETRIABLE, for it cannot be undone any more",
                "The order is: steps with UNDO, one PIVOT, RETRIABLE steps.");
        }
        if (!is_pivot && !is_retriable && !has_undo) {
            return wrong(defining, step, "has no UNDO",
                "Say how to take it back, or make it PIVOT or RETRIABLE.");
        }
        pivot = is_pivot ? step : pivot;
        retriable = is_retriable ? step : retriable;
    }
    return ERR_OK;
}

struct using
{
    const struct saga_step *step;
    bool undo_auto;
};

static enum err
check_table(void *arg, const struct relation *relation, bool writes, struct diag *diag)
{
    const struct using *using = arg;
    if (writes && using->undo_auto && relation->kind == RELATION_TABLE &&
        relation->primary == NULL) {
        (void)diag_set(diag, ERR_INVALID_OBJECT_DEFINITION,
            "step \"%s\" changes table \"%s\", which has no primary key", using->step->name,
            relation->name);
        diag_hint(diag, "UNDO AUTO needs one; write an UNDO, or give the table a primary key.");
        return ERR_INVALID_OBJECT_DEFINITION;
    }
    return ERR_OK;
}

static saga_body_check *body_check;

void
saga_set_body_check(saga_body_check *check)
{
    body_check = check;
}

static enum err
check_place(struct defining *defining, const struct saga_step *step, struct sql_body *body)
{
    const struct saga_check check = {
        .relation = catalog_relation(defining->catalog, step->schema, step->table),
        .step = step->name,
        .key_param = step->key_param};
    enum err err = body_check(defining->task, defining->session, body, &check, defining->diag);
    sql_session_env(defining->session)->catalog = defining->catalog;
    return err;
}

/* Parsed and bound, in the transaction that creates the saga. */
static enum err
check_body(
    struct defining *defining, const struct saga_step *step, const char *text, bool undo_auto)
{
    const struct saga_definition *definition = &defining->definition;
    const struct sql_body_params params = {.routine = definition->name,
        .names = definition->param_names,
        .types = defining->base_types,
        .count = definition->param_count};
    struct using using = {.step = step, .undo_auto = undo_auto};
    struct sql_body *body = NULL;
    enum err err = sql_body_new(defining->session, text, &params, &body, defining->diag);
    if (err == ERR_OK) {
        /* The router has no rows to plan for; the first node has, and says the rest. */
        err = body_check != NULL ? check_place(defining, step, body)
                                 : sql_body_check(defining->task, defining->session, body,
                                       check_table, &using, defining->diag);
        sql_body_delete(body);
    }
    if (err != ERR_OK) {
        diag_context(defining->diag, "step \"%s\": %.160s", step->name, text);
        defining->diag->position = 0; /* it is in the body, not in the statement */
    }
    return err;
}

static enum err
define(struct defining *defining, const struct ast_create_saga *statement)
{
    struct saga_definition *definition = &defining->definition;
    definition->name = statement->name;
    definition->owner = sql_session_env(defining->session)->user;
    definition->path = current_path(defining);
    TRY(duration(defining, "timeout", statement->timeout, 0, &definition->timeout_ms));
    TRY(read_params(defining, statement->params));
    uint32_t count = ast_list_count(statement->steps);
    if (count > SAGA_STEPS_MAX) {
        return diag_set(defining->diag, ERR_PROGRAM_LIMIT, "a saga cannot have more than %d steps",
            SAGA_STEPS_MAX);
    }
    definition->steps = arena_array(&defining->arena, count, sizeof *definition->steps);
    AST_FOREACH(at, statement->steps)
    {
        TRY(read_step(defining, ast_as_saga_step(*at), &definition->steps[definition->step_count]));
        definition->step_count++;
    }
    TRY(check_order(defining));
    for (uint32_t i = 0; i < definition->step_count; i++) {
        const struct saga_step *step = &definition->steps[i];
        bool undo_auto = (step->flags & SAGA_UNDO_AUTO) != 0;
        TRY(check_body(defining, step, step->doing, undo_auto));
        if (step->undoing[0] != '\0') {
            TRY(check_body(defining, step, step->undoing, false));
        }
    }
    return ERR_OK;
}

enum err
saga__create(struct task *task, void *arg, struct sql_session *session,
    const struct ast_create_saga *statement, const char *text, size_t size, struct diag *diag)
{
    (void)arg;
    (void)size;
    struct txn *txn = sql_session_txn(session);
    struct defining defining = {.task = task, .session = session, .text = text, .diag = diag};
    struct catalog *catalog = NULL;
    TRY(saga__check_database(session, diag));
    TRY(catalog_get(task, sql_engine_catalogs(sql_session_engine(session)), txn, &catalog, diag));
    defining.catalog = catalog;
    defining.in_cluster = body_check != NULL || saga__in_cluster(sql_session_engine(session));
    arena_create(&defining.arena, "saga");
    enum err err = define(&defining, statement);
    struct buffer key = {0};
    struct buffer value = {0};
    if (err == ERR_OK) {
        saga__definition_key(sql_session_database(session), statement->name, &key);
        saga__encode_definition(&defining.definition, &value);
        (void)txn_statement_begin(txn);
        err = txn_insert(task, txn, saga__tree(CATALOG_TREE_SAGAS), slice_of(key.data, key.size),
            slice_of(value.data, value.size), NULL, NULL, diag);
        if (err == ERR_UNIQUE) {
            err =
                diag_set(diag, ERR_DUPLICATE_OBJECT, "saga \"%s\" already exists", statement->name);
        }
    }
    buffer_destroy(&key);
    buffer_destroy(&value);
    arena_destroy(&defining.arena);
    sql_session_env(session)->catalog = NULL;
    catalog_release(catalog);
    return err;
}

enum err
saga__drop(struct task *task, void *arg, struct sql_session *session,
    const struct ast_drop_saga *statement, struct diag *diag)
{
    (void)arg;
    struct txn *txn = sql_session_txn(session);
    struct arena arena;
    arena_create(&arena, "saga");
    struct buffer key = {0};
    saga__definition_key(sql_session_database(session), statement->name, &key);
    struct slice value;
    bool found = false;
    enum err err = saga__get(task, txn, NULL, CATALOG_TREE_SAGAS, slice_of(key.data, key.size),
        true, &arena, &value, &found, diag);
    if (err == ERR_OK && !found && !statement->if_exists) {
        err = diag_set(diag, ERR_UNDEFINED_OBJECT, "saga \"%s\" does not exist", statement->name);
    } else if (err == ERR_OK && found) {
        struct saga_definition definition = {0};
        struct reader reader = {.rest = value};
        err = saga__decode_definition(&arena, &reader, &definition, diag);
        bool own = false;
        if (err == ERR_OK) {
            err = saga__may(task, session, definition.owner, &own, diag);
        }
        if (err == ERR_OK && !own) {
            err = diag_set(
                diag, ERR_INSUFFICIENT_PRIVILEGE, "must be owner of saga %s", statement->name);
        }
        if (err == ERR_OK) {
            err = saga__remove(task, txn, NULL, CATALOG_TREE_SAGAS, slice_of(key.data, key.size),
                &arena, &found, diag);
        }
    }
    buffer_destroy(&key);
    arena_destroy(&arena);
    return err;
}

enum err
saga__may(
    struct task *task, struct sql_session *session, const char *owner, bool *may, struct diag *diag)
{
    struct catalog *catalog = NULL;
    TRY(catalog_get(task, sql_engine_catalogs(sql_session_engine(session)),
        sql_session_txn(session), &catalog, diag));
    const struct role *role = catalog_role(catalog, sql_session_env(session)->user);
    const struct role *other = catalog_role(catalog, owner);
    *may = role != NULL && (role->superuser || (other != NULL && catalog_role_is(catalog, role->oid,
                                                                     other->oid, true)));
    catalog_release(catalog);
    return ERR_OK;
}
