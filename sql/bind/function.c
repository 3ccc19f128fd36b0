/*
 * sql/bind/function.c - functions of users, in SQL.
 *
 * A call is bound as the function's query in its place, with the arguments where the parameters
 * stand: a scalar subquery (or, if the query is one expression, just that), or a subquery of FROM.
 * So the planner sees through it, and nothing of it is left at run time.
 */
#include "parser/parser.h"
#include "sql/bind/bind.h"

enum {
    CALLS_DEPTH_MAX = 64, /* of functions within functions */
};

/* ---- which function ---------------------------------------------------------------------------
 */

struct candidate {
    const struct user_function *function;
    const struct ast_create_function *definition;
    oid_t types[FUNCTION_ARGS_MAX];
    uint32_t count, required;
};

static enum err
read_candidate(struct binder *binder, const struct user_function *function, struct candidate *to)
{
    *to = (struct candidate){.function = function};
    to->definition = catalog_function_definition(binder->arena, function);
    if (to->definition == NULL) {
        return bind_error(
            binder, -1, ERR_CORRUPT, "function \"%s\" cannot be read", function->name);
    }
    AST_FOREACH(at, to->definition->params)
    {
        const struct ast_function_param *param = ast_as_function_param(*at);
        int32_t typmod;
        if (to->count == FUNCTION_ARGS_MAX) {
            break;
        }
        TRY(bind_type(binder, param->type, &to->types[to->count], &typmod));
        to->count++;
        to->required += param->value == NULL;
    }
    return ERR_OK;
}

/* How well the arguments fit: -1 not at all, else how many are of the very type (literals are texts
 * where that is possible). */
static int
fitness(const struct candidate *candidate, struct expr *const *args, uint32_t count)
{
    int exact = 0;
    if (count > candidate->count || count < candidate->required) {
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!type_can_coerce(args[i]->type, candidate->types[i], CAST_IMPLICIT)) {
            return -1;
        }
        exact += args[i]->type == candidate->types[i] ||
                 (args[i]->type == TYPE_UNKNOWN && candidate->types[i] == TYPE_TEXT);
    }
    return exact;
}

static bool
has_schema(struct binder *binder, const char *schema, const struct user_function *function)
{
    const struct eval_env *env = binder->context->env;
    if (schema != NULL) {
        return strcmp(function->schema_name, schema) == 0;
    }
    static const char *const only_public[] = {"public", NULL};
    const char *const *path =
        env == NULL || env->search_path == NULL ? only_public : env->search_path;
    for (; *path != NULL; path++) {
        if (strcmp(*path, function->schema_name) == 0 && !catalog_is_temporary(*path)) {
            return true;
        }
    }
    return false;
}

bool
bind_is_user_function(struct binder *binder, const char *schema, const char *name)
{
    const struct catalog *catalog = binder->context->catalog;
    const struct user_function *function;
    for (size_t i = 0; catalog != NULL && (function = catalog_function_at(catalog, i)) != NULL;
         i++) {
        if (strcmp(function->name, name) == 0 && has_schema(binder, schema, function)) {
            return true;
        }
    }
    return false;
}

static const char *
call_text(
    struct binder *binder, const struct ast_call *call, struct expr *const *args, uint32_t count)
{
    char *text = arena_printf(binder->arena, "%s%s%s(", call->schema == NULL ? "" : call->schema,
        call->schema == NULL ? "" : ".", call->name);
    for (uint32_t i = 0; i < count; i++) {
        text = arena_printf(binder->arena, "%s%s%s", text, i == 0 ? "" : ", ",
            bind_type_name(binder, args[i]->type));
    }
    return arena_printf(binder->arena, "%s)", text);
}

static enum err
choose(struct binder *binder, const struct ast_call *call, struct expr *const *args, uint32_t count,
    struct candidate *best)
{
    const struct user_function *function;
    int best_fit = -1;
    bool tie = false;
    for (size_t i = 0; (function = catalog_function_at(binder->context->catalog, i)) != NULL; i++) {
        struct candidate candidate;
        if (strcmp(function->name, call->name) != 0 ||
            !has_schema(binder, call->schema, function)) {
            continue;
        }
        TRY(read_candidate(binder, function, &candidate));
        int fit = fitness(&candidate, args, count);
        tie = fit >= 0 && fit == best_fit ? true : fit > best_fit ? false : tie;
        if (fit > best_fit) {
            best_fit = fit;
            *best = candidate;
        }
    }
    if (best_fit < 0) {
        (void)bind_error(binder, call->node.location, ERR_UNDEFINED_FUNCTION,
            "function %s does not exist", call_text(binder, call, args, count));
        diag_hint(binder->diag, "No function matches the given name and argument types. You might "
                                "need to add explicit type casts.");
        return ERR_UNDEFINED_FUNCTION;
    }
    if (tie) {
        (void)bind_error(binder, call->node.location, ERR_AMBIGUOUS_FUNCTION,
            "function %s is not unique", call_text(binder, call, args, count));
        diag_hint(binder->diag, "Could not choose a best candidate function. You might need to add "
                                "explicit type casts.");
        return ERR_AMBIGUOUS_FUNCTION;
    }
    return ERR_OK;
}

/* ---- its arguments ----------------------------------------------------------------------------
 */

static enum err
take_arguments(struct binder *binder, const struct ast_call *call,
    const struct candidate *candidate, struct expr *const *given, uint32_t count,
    struct bind_frame *frame)
{
    frame->routine = candidate->function->name;
    frame->count = candidate->count;
    frame->args = arena_array(binder->arena, candidate->count + 1U, sizeof *frame->args);
    frame->names = arena_array(binder->arena, candidate->count + 1U, sizeof *frame->names);
    for (uint32_t i = 0; i < candidate->count; i++) {
        const struct ast_function_param *param =
            ast_as_function_param(ast_list_at(candidate->definition->params, i));
        bool done;
        frame->names[i] = param->name;
        if (i < count) {
            frame->args[i] = given[i];
        } else {
            struct query none = {0};
            struct scope *scope = scope_new(binder, NULL, &none);
            scope->clause = CLAUSE_DEFAULT;
            TRY(bind_expr(binder, scope, param->value, &frame->args[i]));
        }
        TRY(bind_coerce(binder, &frame->args[i], candidate->types[i], -1, CAST_ASSIGNMENT, &done));
        if (expr_volatile(frame->args[i])) {
            return bind_unsupported(
                binder, call->node.location, "a volatile argument of a function in SQL is");
        }
    }
    return ERR_OK;
}

/* ---- its query --------------------------------------------------------------------------------
 */

/* The body's one query; limited: to its first row. */
static enum err
parse_body(struct binder *binder, const struct candidate *candidate, bool limited,
    const struct ast_select **query)
{
    const char *body = catalog_function_body(candidate->definition);
    struct ast_list *list = NULL;
    TRY(parser_parse(binder->arena, body, strlen(body), &list, binder->diag));
    const struct ast_statement *statement =
        ast_list_count(list) == 1 ? ast_as_statement(ast_list_at(list, 0)) : NULL;
    if (statement == NULL || statement->body->kind != AST_SELECT) {
        return bind_unsupported(binder, -1, "calling a function whose body is not one SELECT is");
    }
    *query = ast_as_select(statement->body);
    if (!limited) {
        return ERR_OK;
    }
    char *text = arena_printf(
        binder->arena, "SELECT * FROM (%.*s) f LIMIT 1", statement->size, body + statement->start);
    TRY(parser_parse(binder->arena, text, strlen(text), &list, binder->diag));
    *query = ast_as_select(ast_as_statement(ast_list_at(list, 0))->body);
    return ERR_OK;
}

/* SELECT expression, and nothing else. */
static const struct ast_node *
lone_expression(const struct ast_select *query)
{
    bool plain = ast_list_count(query->targets) == 1 && ast_list_count(query->from) == 0 &&
                 query->where == NULL && query->left == NULL && query->having == NULL &&
                 ast_list_count(query->group) == 0 && ast_list_count(query->with.ctes) == 0 &&
                 query->limit == NULL && query->offset == NULL &&
                 query->distinct == AST_DISTINCT_NONE && ast_list_count(query->values) == 0;
    return plain ? ast_as_target(ast_list_at(query->targets, 0))->value : NULL;
}

struct around {
    const char *text;
    struct bind_notes *notes;
    struct bind_frame *frame;
    struct scope *outer;
    uint32_t view_depth;
};

static struct around
enter(struct binder *binder, struct bind_frame *frame)
{
    struct around around = {
        binder->text, binder->notes, binder->frame, binder->outer, binder->view_depth};
    binder->view_depth = 0;
    frame->depth = (binder->frame == NULL ? 0 : binder->frame->depth) + 1;
    binder->text = NULL;
    binder->notes = NULL;
    binder->frame = frame;
    binder->outer = NULL;
    return around;
}

static void
leave(struct binder *binder, const struct around *around)
{
    binder->text = around->text;
    binder->notes = around->notes;
    binder->frame = around->frame;
    binder->outer = around->outer;
    binder->view_depth = around->view_depth;
}

static enum err
check_call(struct binder *binder, const struct scope *scope, const struct ast_call *call)
{
    bool kept = scope->clause == CLAUSE_INDEX || scope->clause == CLAUSE_INDEX_PREDICATE ||
                scope->clause == CLAUSE_GENERATED;
    if (kept) {
        return bind_unsupported(binder, call->node.location,
            "a function of a user in an index or a generated column is");
    }
    if (call->over != NULL || call->star || call->distinct || call->filter != NULL ||
        ast_list_count(call->order) > 0) {
        return bind_error(binder, call->node.location, ERR_WRONG_OBJECT_TYPE,
            "%s is not an aggregate function", call->name);
    }
    if (binder->frame != NULL && binder->frame->depth > CALLS_DEPTH_MAX) {
        (void)bind_error(
            binder, call->node.location, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
        diag_hint(binder->diag, "Functions in SQL are put into the query that calls them, so they "
                                "cannot call themselves.");
        return ERR_STATEMENT_TOO_COMPLEX;
    }
    return bind_check_stack(binder);
}

/* STRICT: null if an argument is. */
static struct expr *
unless_null(struct binder *binder, const struct bind_frame *frame, struct expr *value)
{
    if (frame->count == 0) {
        return value;
    }
    struct expr **tests = arena_array(binder->arena, frame->count, sizeof *tests);
    for (uint32_t i = 0; i < frame->count; i++) {
        struct expr **one = arena_array(binder->arena, 1, sizeof *one);
        one[0] = frame->args[i];
        tests[i] = expr_list(binder, EXPR_IS_NOT_NULL, TYPE_BOOL, -1, one, 1);
    }
    struct expr **list = arena_array(binder->arena, 2, sizeof *list);
    list[0] = frame->count == 1 ? tests[0]
                                : expr_list(binder, EXPR_AND, TYPE_BOOL, -1, tests, frame->count);
    list[1] = value;
    return expr_list(binder, EXPR_CASE, value->type, -1, list, 2);
}

/* The declared type, of one row. */
static enum err
result_type(struct binder *binder, const struct ast_type *declared, oid_t *type)
{
    struct ast_type *one = arena_copy(binder->arena, declared, sizeof *one);
    int32_t typmod;
    one->setof = false;
    return bind_type(binder, one, type, &typmod);
}

static enum err
as_result(struct binder *binder, const struct candidate *candidate, struct expr **expr)
{
    oid_t type;
    bool done;
    TRY(result_type(binder, candidate->definition->result, &type));
    if (type == TYPE_VOID) {
        *expr = expr_const(binder, TYPE_VOID, datum_null(), -1);
        return ERR_OK;
    }
    TRY(bind_coerce(binder, expr, type, -1, CAST_ASSIGNMENT, &done));
    return done ? ERR_OK
                : bind_error(binder, -1, ERR_INVALID_FUNCTION_DEFINITION,
                      "return type mismatch in function declared to return %s",
                      bind_type_name(binder, type));
}

static enum err
scalar_body(struct binder *binder, const struct candidate *candidate, struct expr **expr)
{
    const struct ast_select *select;
    TRY(parse_body(binder, candidate, false, &select));
    const struct ast_node *lone = lone_expression(select);
    if (lone != NULL) {
        struct query *none = arena_alloc(binder->arena, sizeof *none);
        struct scope *scope = scope_new(binder, NULL, none);
        scope->clause = CLAUSE_TARGETS;
        TRY(bind_expr(binder, scope, lone, expr));
        if (none->aggregates.count == 0 && none->set_function == NULL && none->windows.count == 0) {
            return as_result(binder, candidate, expr);
        }
    }
    struct query *query;
    TRY(parse_body(binder, candidate, true, &select));
    TRY(bind_select(binder, NULL, select, &query));
    if (query->column_count != 1) {
        return bind_unsupported(binder, -1, "a function that returns a row is");
    }
    struct bound_subplan *bound = arena_alloc(binder->arena, sizeof *bound);
    bound->query = query;
    bound->subplan.kind = SUBPLAN_SCALAR;
    bound->subplan.correlated = query->correlated;
    *expr = expr_new(binder, EXPR_SUBPLAN, query->targets[0].expr->type, -1, -1);
    (*expr)->subplan = &bound->subplan;
    return as_result(binder, candidate, expr);
}

enum err
bind_user_call(struct binder *binder, struct scope *scope, const struct ast_call *call,
    struct expr **args, uint32_t count, struct expr **expr)
{
    struct candidate candidate = {0};
    struct bind_frame frame = {0};
    TRY(check_call(binder, scope, call));
    TRY(choose(binder, call, args, count, &candidate));
    if (candidate.definition->returns_set) {
        return bind_unsupported(
            binder, call->node.location, "a set-returning function in SQL outside of FROM is");
    }
    TRY(take_arguments(binder, call, &candidate, args, count, &frame));
    struct around around = enter(binder, &frame);
    enum err err = scalar_body(binder, &candidate, expr);
    leave(binder, &around);
    TRY(err);
    if (catalog_function_is(candidate.definition, "strict")) {
        *expr = unless_null(binder, &frame, *expr);
    }
    /* It is what is around it that is correlated, if the arguments read something. */
    if (scope->query != NULL && (*expr)->kind == EXPR_SUBPLAN) {
        scope->query->has_subplans = true;
    }
    return ERR_OK;
}

/* Names and types of the columns as they were declared. */
static enum err
shape_columns(struct binder *binder, const struct candidate *candidate, struct query **query)
{
    const struct ast_list *columns = candidate->definition->columns;
    uint32_t count = ast_list_count(columns) > 0 ? ast_list_count(columns) : 1;
    if ((*query)->column_count != count) {
        return bind_error(binder, -1, ERR_INVALID_FUNCTION_DEFINITION,
            "return type mismatch in function declared to return %s",
            ast_list_count(columns) > 0 ? "record" : "a set of one column");
    }
    for (uint32_t i = 0; i < count; i++) {
        oid_t type;
        const struct ast_type *declared = candidate->definition->result;
        if (ast_list_count(columns) > 0) {
            const struct ast_function_param *column =
                ast_as_function_param(ast_list_at(columns, i));
            declared = column->type;
            (*query)->targets[i].name = column->name;
        }
        TRY(result_type(binder, declared, &type));
        TRY(query_type_unknown(binder, *query, i, type));
        if ((*query)->targets[i].expr->type != type) {
            return bind_error(binder, -1, ERR_INVALID_FUNCTION_DEFINITION,
                "return type mismatch in function declared to return %s",
                bind_type_name(binder, type));
        }
    }
    return ERR_OK;
}

enum err
bind_user_table(
    struct binder *binder, struct scope *scope, const struct ast_call *call, struct query **query)
{
    uint32_t count = ast_list_count(call->args);
    struct expr **args = arena_array(binder->arena, count + 1U, sizeof *args);
    struct candidate candidate = {0};
    struct bind_frame frame = {0};
    const struct ast_select *select;
    *query = NULL;
    TRY(check_call(binder, scope, call));
    enum clause clause = scope->clause;
    scope->clause = CLAUSE_FROM_FUNCTION;
    for (uint32_t i = 0; i < count; i++) {
        TRY(bind_expr(binder, scope, ast_list_at(call->args, i), &args[i]));
    }
    scope->clause = clause;
    TRY(choose(binder, call, args, count, &candidate));
    if (!candidate.definition->returns_set) {
        return ERR_OK;
    }
    TRY(take_arguments(binder, call, &candidate, args, count, &frame));
    struct around around = enter(binder, &frame);
    enum err err = parse_body(binder, &candidate, false, &select);
    if (err == ERR_OK) {
        err = bind_select(binder, NULL, select, query);
    }
    if (err == ERR_OK) {
        err = shape_columns(binder, &candidate, query);
    }
    leave(binder, &around);
    return err;
}
