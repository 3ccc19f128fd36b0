/*
 * sql/bind/function.c - calls of functions and procedures of users.
 *
 * A call of a function whose body is one query that gives the same wherever it stands is bound as
 * that query in its place, with the arguments where the parameters stand: so the planner sees
 * through it, and nothing of it is left at run time. Any other becomes a call of a struct routine
 * (sql/plan/routine.h), whose body the session runs when it is called.
 */
#include "base/assert.h"
#include "parser/parser.h"
#include "sql/bind/bind.h"
#include "sql/catalog/access.h"

enum {
    CALLS_DEPTH_MAX = 64, /* of functions within functions */
};

static const struct routine_runner *runner;

void
routine_set_runner(const struct routine_runner *its)
{
    runner = its;
}

/* ---- what a definition says -------------------------------------------------------------------
 */

struct candidate {
    const struct user_function *function;
    const struct ast_create_function *definition;
    /* Parameters that a call gives. */
    oid_t types[ROUTINE_PARAMS_MAX];
    const struct ast_function_param *params[ROUTINE_PARAMS_MAX];
    uint32_t count, required;
    bool variadic;
    /* The result: columns of a row if it is composite, else one; none if it is void. */
    oid_t result;
    oid_t *columns;
    const char **names; /* NULL within: it has none */
    uint32_t column_count;
    bool composite;
    bool any_record; /* of what columns, the call says */
};

static bool
is_polymorphic(oid_t type)
{
    return type == TYPE_ANYELEMENT || type == TYPE_ANYARRAY || type == TYPE_ANYENUM;
}

static enum err
add_column(struct binder *binder, struct candidate *to, const char *name, oid_t type)
{
    uint32_t size = to->column_count;
    oid_t *types = arena_array(binder->arena, size + 1U, sizeof *types);
    const char **names = arena_array(binder->arena, size + 1U, sizeof *names);
    if (size > 0) {
        memcpy(types, to->columns, size * sizeof *types);
        memcpy((void *)names, (const void *)to->names, size * sizeof *names);
    }
    types[size] = type;
    names[size] = name;
    to->columns = types;
    to->names = names;
    to->column_count++;
    return ERR_OK;
}

/* The type, or one of its set. */
static enum err
declared_type(struct binder *binder, const struct ast_type *declared, oid_t *type)
{
    struct ast_type *one = arena_copy(binder->arena, declared, sizeof *one);
    int32_t typmod;
    one->setof = false;
    return bind_type(binder, one, type, &typmod);
}

/* RETURNS table: its columns. *relation NULL: it is not a table's name. */
static const struct relation *
row_type(struct binder *binder, const struct ast_type *type)
{
    const struct eval_env *env = binder->context->env;
    if (type->array_dimensions > 0 || ast_list_count(type->modifiers) > 0 || type->percent_type ||
        type_named(env, type->schema, type->name) != NULL) {
        return NULL;
    }
    return catalog_relation_on(
        binder->context->catalog, env == NULL ? NULL : env->search_path, type->schema, type->name);
}

static enum err
read_result(struct binder *binder, struct candidate *to)
{
    const struct ast_create_function *definition = to->definition;
    uint32_t outs = to->column_count;
    if (definition->result == NULL) {
        to->composite = outs > 1 || definition->kind == 'p';
        to->result = outs == 0 ? TYPE_VOID : to->composite ? TYPE_RECORD : to->columns[0];
        return ERR_OK;
    }
    const struct relation *relation = row_type(binder, definition->result);
    if (relation != NULL && outs == 0) {
        for (uint16_t i = 0; i < relation->column_count; i++) {
            if (!relation->columns[i].dropped) {
                TRY(add_column(binder, to, relation->columns[i].name, relation->columns[i].type));
            }
        }
        to->composite = true;
        to->result = TYPE_RECORD;
        return ERR_OK;
    }
    TRY(declared_type(binder, definition->result, &to->result));
    if (outs > 0) {
        to->composite = outs > 1;
        return ERR_OK;
    }
    to->any_record = to->result == TYPE_RECORD;
    return to->result == TYPE_VOID ? ERR_OK : add_column(binder, to, NULL, to->result);
}

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
        oid_t type;
        TRY(declared_type(binder, param->type, &type));
        if (param->mode == 'o' || param->mode == 'b') {
            TRY(add_column(binder, to, param->name, type));
        }
        if (param->mode != 'o' && to->count < ROUTINE_PARAMS_MAX) {
            to->params[to->count] = param;
            to->types[to->count++] = type;
            to->required += param->value == NULL;
            to->variadic |= param->mode == 'v';
        }
    }
    AST_FOREACH(at, to->definition->columns)
    {
        const struct ast_function_param *column = ast_as_function_param(*at);
        oid_t type;
        TRY(declared_type(binder, column->type, &type));
        TRY(add_column(binder, to, column->name, type));
    }
    return read_result(binder, to);
}

/* ---- which function ---------------------------------------------------------------------------
 */

enum {
    NOT_GIVEN = -1,
    ONE_OF_MANY = -2, /* the variadic parameter: the arguments from `rest` on are its elements */
};

/* Which argument each parameter gets. */
struct placing {
    int32_t from[ROUTINE_PARAMS_MAX];
    uint32_t rest;
};

static const char *
argument_name(const struct ast_call *call, uint32_t i)
{
    const struct ast_node *node = ast_list_at(call->args, i);
    return node->kind == AST_NAMED_ARG ? ast_as_named_arg(node)->name : NULL;
}

/* CALL also gives arguments for parameters that are OUT, which nobody looks at. */
static uint32_t
skip_outs(const struct candidate *candidate, const struct ast_call *call, uint32_t count,
    uint32_t *inputs)
{
    uint32_t used = 0, at = 0;
    AST_FOREACH(param, candidate->definition->params)
    {
        if (at == count || argument_name(call, at) != NULL) {
            break;
        }
        if (ast_as_function_param(*param)->mode != 'o') {
            inputs[used++] = at;
        }
        at++;
    }
    for (; at < count && used < ROUTINE_PARAMS_MAX; at++) {
        bool out = false;
        AST_FOREACH(param, candidate->definition->params)
        {
            const struct ast_function_param *its = ast_as_function_param(*param);
            const char *name = argument_name(call, at);
            out |= its->mode == 'o' && its->name != NULL && name != NULL &&
                   strcmp(its->name, name) == 0;
        }
        if (!out) {
            inputs[used++] = at;
        }
    }
    return used;
}

static bool
place(const struct candidate *candidate, const struct ast_call *call, bool calls, uint32_t count,
    struct placing *placing)
{
    uint32_t inputs[ROUTINE_PARAMS_MAX];
    uint32_t given = count;
    if (count > ROUTINE_PARAMS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        inputs[i] = i;
    }
    if (calls) {
        given = skip_outs(candidate, call, count, inputs);
    }
    for (uint32_t i = 0; i < candidate->count; i++) {
        placing->from[i] = NOT_GIVEN;
    }
    placing->rest = 0;
    for (uint32_t i = 0; i < given; i++) {
        const char *name = argument_name(call, inputs[i]);
        uint32_t at = i;
        if (name != NULL) {
            for (at = 0; at < candidate->count; at++) {
                const char *its = candidate->params[at]->name;
                if (its != NULL && strcmp(its, name) == 0) {
                    break;
                }
            }
        } else if (candidate->variadic && !call->variadic && i + 1 >= candidate->count) {
            if (i + 1 == candidate->count) {
                placing->rest = inputs[i];
                placing->from[i] = ONE_OF_MANY;
            }
            continue;
        }
        if (at >= candidate->count || placing->from[at] != NOT_GIVEN) {
            return false;
        }
        placing->from[at] = (int32_t)inputs[i];
    }
    for (uint32_t i = 0; i < candidate->count; i++) {
        if (placing->from[i] == NOT_GIVEN && candidate->params[i]->value == NULL) {
            return false;
        }
    }
    return true;
}

static bool
fits(oid_t from, oid_t to, int *exact)
{
    *exact += from == to || (from == TYPE_UNKNOWN && to == TYPE_TEXT);
    if (to == TYPE_ANYARRAY) {
        return from == TYPE_UNKNOWN || type_element(from) != 0;
    }
    if (to == TYPE_ANYENUM) {
        return from == TYPE_UNKNOWN || type_is_enum(from);
    }
    return is_polymorphic(to) || to == TYPE_ANY || type_can_coerce(from, to, CAST_IMPLICIT);
}

/* How well the arguments fit: -1 not at all, else how many are of the very type (literals are texts
 * where that is possible). */
static int
fitness(const struct candidate *candidate, const struct placing *placing, struct expr *const *args,
    uint32_t count)
{
    int exact = 0;
    for (uint32_t i = 0; i < candidate->count; i++) {
        oid_t wanted = candidate->types[i];
        if (placing->from[i] >= 0 && !fits(args[placing->from[i]]->type, wanted, &exact)) {
            return -1;
        }
        if (placing->from[i] != ONE_OF_MANY) {
            continue;
        }
        wanted = wanted == TYPE_ANYARRAY ? TYPE_ANYELEMENT : type_element(wanted);
        for (uint32_t k = placing->rest; k < count; k++) {
            if (!fits(args[k]->type, wanted, &exact)) {
                return -1;
            }
        }
    }
    return exact * 2 + !candidate->variadic;
}

/* Where on the search path its schema is, from 0; -1: it is not to be seen. */
static int
schema_place(struct binder *binder, const char *schema, const struct user_function *function)
{
    const struct eval_env *env = binder->context->env;
    if (schema != NULL) {
        return strcmp(function->schema_name, schema) == 0 ? 0 : -1;
    }
    static const char *const only_public[] = {"public", NULL};
    const char *const *path =
        env == NULL || env->search_path == NULL ? only_public : env->search_path;
    for (int i = 0; path[i] != NULL; i++) {
        if (strcmp(path[i], function->schema_name) == 0 && !catalog_is_temporary(path[i])) {
            return i;
        }
    }
    return -1;
}

bool
bind_is_user_function(struct binder *binder, const char *schema, const char *name)
{
    const struct catalog *catalog = binder->context->catalog;
    const struct user_function *function;
    for (size_t i = 0; catalog != NULL && (function = catalog_function_at(catalog, i)) != NULL;
         i++) {
        if (strcmp(function->name, name) == 0 && schema_place(binder, schema, function) >= 0) {
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
        const char *name = argument_name(call, i);
        text = arena_printf(binder->arena, "%s%s%s%s%s", text, i == 0 ? "" : ", ",
            name == NULL ? "" : name, name == NULL ? "" : " => ",
            bind_type_name(binder, args[i]->type));
    }
    return arena_printf(binder->arena, "%s)", text);
}

static enum err
not_found(
    struct binder *binder, const struct ast_call *call, struct expr *const *args, uint32_t count)
{
    const char *what = binder->called == call ? "procedure" : "function";
    (void)bind_error(binder, call->node.location, ERR_UNDEFINED_FUNCTION, "%s %s does not exist",
        what, call_text(binder, call, args, count));
    diag_hint(binder->diag,
        "No %s matches the given name and argument types. You might need to add explicit type "
        "casts.",
        what);
    return ERR_UNDEFINED_FUNCTION;
}

static enum err
wrong_kind(
    struct binder *binder, const struct ast_call *call, struct expr *const *args, uint32_t count)
{
    bool calls = binder->called == call;
    (void)bind_error(binder, call->node.location, ERR_WRONG_OBJECT_TYPE,
        calls ? "%s is not a procedure" : "%s is a procedure",
        call_text(binder, call, args, count));
    diag_hint(
        binder->diag, calls ? "To call a function, use SELECT." : "To call a procedure, use CALL.");
    return ERR_WRONG_OBJECT_TYPE;
}

enum err
bind_no_procedure(struct binder *binder, const struct ast_call *call)
{
    struct expr **args;
    uint32_t count;
    size_t run = 0;
    struct query none = {0};
    struct scope *scope = scope_new(binder, NULL, &none);
    (void)function_by_name(call->name, &run);
    TRY(bind_user_arguments(binder, scope, call, &args, &count));
    binder->called = call;
    return run > 0 ? wrong_kind(binder, call, args, count) : not_found(binder, call, args, count);
}

static bool
same_types(const struct candidate *a, const struct candidate *b)
{
    return a->count == b->count && memcmp(a->types, b->types, a->count * sizeof *a->types) == 0;
}

static enum err
choose(struct binder *binder, const struct ast_call *call, struct expr *const *args, uint32_t count,
    struct candidate *best, struct placing *placing)
{
    const struct user_function *function;
    int best_fit = -1, best_place = 0;
    bool tie = false;
    struct candidate *one = arena_alloc(binder->arena, sizeof *one);
    for (size_t i = 0; (function = catalog_function_at(binder->context->catalog, i)) != NULL; i++) {
        struct placing its;
        int at = schema_place(binder, call->schema, function);
        if (strcmp(function->name, call->name) != 0 || at < 0) {
            continue;
        }
        TRY(read_candidate(binder, function, one));
        int fit = place(one, call, binder->called == call, count, &its)
                      ? fitness(one, &its, args, count)
                      : -1;
        if (fit < 0 || fit < best_fit) {
            continue;
        }
        if (fit == best_fit && same_types(one, best)) {
            if (at > best_place) {
                continue; /* another schema's that stands before hides it */
            }
        } else {
            tie = fit == best_fit;
        }
        best_fit = fit;
        best_place = at;
        *best = *one;
        *placing = its;
    }
    if (best_fit < 0) {
        return not_found(binder, call, args, count);
    }
    if (tie) {
        (void)bind_error(binder, call->node.location, ERR_AMBIGUOUS_FUNCTION,
            "function %s is not unique", call_text(binder, call, args, count));
        diag_hint(binder->diag, "Could not choose a best candidate function. You might need to add "
                                "explicit type casts.");
        return ERR_AMBIGUOUS_FUNCTION;
    }
    return (best->definition->kind == 'p') == (binder->called == call)
               ? ERR_OK
               : wrong_kind(binder, call, args, count);
}

/* ---- its arguments ----------------------------------------------------------------------------
 */

static oid_t
array_of(oid_t element)
{
    const struct type *type = type_by_oid(element);
    return type == NULL || type->element != 0 ? 0 : type->array_oid;
}

static oid_t
concrete(oid_t type, oid_t element)
{
    return type == TYPE_ANYARRAY ? array_of(element) : is_polymorphic(type) ? element : type;
}

/* What anyelement is in this call; the candidate's types become real ones. */
static enum err
make_concrete(struct binder *binder, const struct ast_call *call, struct candidate *candidate,
    const struct placing *placing, struct expr *const *args, uint32_t count)
{
    oid_t element = 0;
    bool any = is_polymorphic(candidate->result);
    for (uint32_t i = 0; i < candidate->count; i++) {
        any |= is_polymorphic(candidate->types[i]);
        if (!is_polymorphic(candidate->types[i]) || placing->from[i] == NOT_GIVEN) {
            continue;
        }
        bool many = placing->from[i] == ONE_OF_MANY;
        uint32_t first = many ? placing->rest : (uint32_t)placing->from[i];
        for (uint32_t k = first; k < (many ? count : first + 1); k++) {
            oid_t its = candidate->types[i] == TYPE_ANYARRAY && !many ? type_element(args[k]->type)
                                                                      : args[k]->type;
            if (its == 0 || its == TYPE_UNKNOWN) {
                continue;
            }
            if (element != 0 && element != its) {
                return not_found(binder, call, args, count);
            }
            element = its;
        }
    }
    if (!any) {
        return ERR_OK;
    }
    if (element == 0) {
        return bind_error(binder, -1, ERR_DATATYPE_MISMATCH,
            "could not determine polymorphic type because input has type unknown");
    }
    for (uint32_t i = 0; i < candidate->count; i++) {
        candidate->types[i] = concrete(candidate->types[i], element);
        if (candidate->types[i] == 0) {
            return bind_error(binder, call->node.location, ERR_UNDEFINED_OBJECT,
                "could not find array type for data type %s", bind_type_name(binder, element));
        }
    }
    for (uint32_t i = 0; i < candidate->column_count; i++) {
        candidate->columns[i] = concrete(candidate->columns[i], element);
    }
    candidate->result = concrete(candidate->result, element);
    return ERR_OK;
}

static enum err
take_rest(struct binder *binder, oid_t array, struct expr *const *given, uint32_t from,
    uint32_t count, struct expr **arg)
{
    struct expr **items = arena_array(binder->arena, count - from + 1U, sizeof *items);
    for (uint32_t i = from; i < count; i++) {
        bool done;
        items[i - from] = given[i];
        TRY(bind_coerce(binder, &items[i - from], type_element(array), -1, CAST_IMPLICIT, &done));
    }
    return bind_array_of(binder, items, count - from, array, arg);
}

static enum err
take_arguments(struct binder *binder, const struct candidate *candidate,
    const struct placing *placing, struct expr *const *given, uint32_t count,
    struct bind_frame *frame)
{
    frame->routine = candidate->function->name;
    frame->oid = candidate->function->oid;
    frame->count = candidate->count;
    frame->args = arena_array(binder->arena, candidate->count + 1U, sizeof *frame->args);
    frame->names = arena_array(binder->arena, candidate->count + 1U, sizeof *frame->names);
    for (uint32_t i = 0; i < candidate->count; i++) {
        const struct ast_function_param *param = candidate->params[i];
        bool done;
        frame->names[i] = param->name;
        if (placing->from[i] == ONE_OF_MANY) {
            TRY(take_rest(
                binder, candidate->types[i], given, placing->rest, count, &frame->args[i]));
        } else if (placing->from[i] >= 0) {
            frame->args[i] = given[placing->from[i]];
        } else {
            struct query none = {0};
            struct scope *scope = scope_new(binder, NULL, &none);
            struct bind_frame *around = binder->frame;
            scope->clause = CLAUSE_DEFAULT;
            binder->frame = NULL;
            enum err err = bind_expr(binder, scope, param->value, &frame->args[i]);
            binder->frame = around;
            TRY(err);
        }
        bind_note_operand(binder, frame->args[i], candidate->types[i]);
        TRY(bind_coerce(binder, &frame->args[i], candidate->types[i], -1, CAST_ASSIGNMENT, &done));
        if (!done) {
            return bind_error(binder, -1, ERR_DATATYPE_MISMATCH,
                "argument %u of function \"%s\" is of type %s, not %s", i + 1, frame->routine,
                bind_type_name(binder, frame->args[i]->type),
                bind_type_name(binder, candidate->types[i]));
        }
    }
    return ERR_OK;
}

/* ---- its query in its place -------------------------------------------------------------------
 */

/* The body, if it is one query and nothing else; limited: to its first row. NULL: it is not. */
static enum err
parse_body(struct binder *binder, const struct candidate *candidate, bool limited,
    const struct ast_select **query)
{
    const char *body = catalog_function_body(candidate->definition);
    struct ast_list *list = NULL;
    *query = NULL;
    TRY(parser_parse(binder->arena, body, strlen(body), &list, binder->diag));
    const struct ast_statement *statement =
        ast_list_count(list) == 1 ? ast_as_statement(ast_list_at(list, 0)) : NULL;
    if (statement == NULL || statement->body->kind != AST_SELECT) {
        return ERR_OK;
    }
    *query = ast_as_select(statement->body);
    AST_FOREACH(at, (*query)->with.ctes)
    {
        if (ast_as_cte(*at)->query->kind != AST_SELECT) {
            *query = NULL; /* it changes rows */
            return ERR_OK;
        }
    }
    if (ast_list_count((*query)->locking) > 0) {
        *query = NULL;
        return ERR_OK;
    }
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
    frame->parent = binder->frame;
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
during_inlining(struct binder *binder, enum err err, const char *name)
{
    if (err != ERR_OK) {
        diag_context_add(binder->diag, "SQL function \"%s\" during inlining", name);
    }
    return err;
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

/* What an expression's functions are: 0 immutable, FUNCTION_STABLE, FUNCTION_VOLATILE. */
static enum err
note_volatility(void *arg, struct expr *expr)
{
    uint16_t *worst = arg;
    if (expr->kind == EXPR_CALL || expr->kind == EXPR_IN || expr->kind == EXPR_DISTINCT_FROM ||
        expr->kind == EXPR_NULLIF || expr->kind == EXPR_GREATEST || expr->kind == EXPR_LEAST) {
        uint16_t flags = expr->function == NULL ? 0 : expr->function->flags;
        *worst |= flags & (FUNCTION_STABLE | FUNCTION_VOLATILE);
    }
    if (expr->kind == EXPR_SUBPLAN) {
        *worst |= FUNCTION_STABLE;
    }
    return expr_children(expr, note_volatility, arg);
}

/* May the body stand in the place of the call? */
static bool
may_inline(struct binder *binder, const struct candidate *candidate, const struct bind_frame *frame)
{
    const struct ast_create_function *definition = candidate->definition;
    if (definition->kind != 'f' || catalog_function_is(definition, "definer") ||
        catalog_function_is(definition, "set") || candidate->column_count == 0 ||
        candidate->any_record ||
        (binder->frame != NULL && binder->frame->depth > CALLS_DEPTH_MAX)) {
        return false;
    }
    for (const struct bind_frame *at = binder->frame; at != NULL; at = at->parent) {
        if (at->oid == candidate->function->oid) {
            return false; /* it calls itself */
        }
    }
    for (uint32_t i = 0; i < frame->count; i++) {
        if (expr_volatile(frame->args[i]) || expr_has_subplan(frame->args[i])) {
            return false; /* to be evaluated once */
        }
    }
    return true;
}

static bool
says_volatile(const struct ast_create_function *definition)
{
    return !catalog_function_is(definition, "immutable") &&
           !catalog_function_is(definition, "stable");
}

/* *expr NULL: it cannot be done. */
static enum err
inline_scalar(struct binder *binder, const struct candidate *candidate, struct expr **expr)
{
    const struct ast_create_function *definition = candidate->definition;
    const struct ast_select *select;
    bool done = false;
    uint16_t worst = 0;
    *expr = NULL;
    TRY(parse_body(binder, candidate, false, &select));
    if (select == NULL) {
        return ERR_OK;
    }
    const struct ast_node *lone = lone_expression(select);
    struct expr *value = NULL;
    if (lone != NULL) {
        struct query *none = arena_alloc(binder->arena, sizeof *none);
        struct scope *scope = scope_new(binder, NULL, none);
        scope->clause = CLAUSE_TARGETS;
        TRY(bind_expr(binder, scope, lone, &value));
        if (none->aggregates.count > 0 || none->set_function != NULL || none->windows.count > 0) {
            return ERR_OK;
        }
    } else if (says_volatile(definition)) {
        return ERR_OK; /* it is to see what the statement itself has done so far */
    } else {
        struct query *query;
        TRY(parse_body(binder, candidate, true, &select));
        TRY(bind_select(binder, NULL, select, &query));
        if (query->column_count != 1) {
            return ERR_OK;
        }
        struct bound_subplan *bound = arena_alloc(binder->arena, sizeof *bound);
        bound->query = query;
        bound->subplan.kind = SUBPLAN_SCALAR;
        bound->subplan.correlated = query->correlated;
        value = expr_new(binder, EXPR_SUBPLAN, query->targets[0].expr->type, -1, -1);
        value->subplan = &bound->subplan;
    }
    TRY(bind_coerce(binder, &value, candidate->columns[0], -1, CAST_ASSIGNMENT, &done));
    (void)note_volatility(&worst, value);
    bool worse = catalog_function_is(definition, "immutable") ? worst != 0
                                                              : (worst & FUNCTION_VOLATILE) != 0;
    if (done && (says_volatile(definition) || !worse)) {
        *expr = value;
    }
    return ERR_OK;
}

/* *query NULL: it cannot be done. */
static enum err
inline_table(struct binder *binder, const struct candidate *candidate, struct query **query)
{
    const struct ast_select *select;
    const struct routine_result result = {
        candidate->column_count, candidate->columns, candidate->result};
    *query = NULL;
    TRY(parse_body(binder, candidate, false, &select));
    if (select == NULL) {
        return ERR_OK;
    }
    TRY(bind_select(binder, NULL, select, query));
    TRY(query_shape(binder, query, &result));
    for (uint32_t i = 0; i < candidate->column_count; i++) {
        if (candidate->names[i] != NULL) {
            (*query)->targets[i].name = candidate->names[i];
        }
    }
    return ERR_OK;
}

/* ---- run when it is called --------------------------------------------------------------------
 */

static bool
same_routine(const struct routine *a, const struct routine *b)
{
    return a->oid == b->oid && a->function.set == NULL && b->function.set == NULL &&
           a->function.result == b->function.result && a->param_count == b->param_count &&
           memcmp(a->param_types, b->param_types, a->param_count * sizeof *a->param_types) == 0;
}

/* The one of this statement that is the same: so equal calls are equal expressions. */
static struct routine *
intern(struct binder *binder, struct routine *routine)
{
    for (uint32_t i = 0; i < binder->routines.count; i++) {
        struct routine *have = binder->routines.items[i];
        if (same_routine(have, routine)) {
            return have;
        }
    }
    vec_add(binder->arena, &binder->routines, routine);
    return routine;
}

static struct routine *
make_routine(struct binder *binder, const struct candidate *candidate, bool set)
{
    const struct ast_create_function *definition = candidate->definition;
    const struct user_function *function = candidate->function;
    struct routine *routine = arena_alloc(binder->arena, sizeof *routine);
    const char **params = arena_array(binder->arena, candidate->count + 1U, sizeof *params);
    const char **columns =
        arena_array(binder->arena, candidate->column_count + 1U, sizeof *columns);
    bool strict = catalog_function_is(definition, "strict");
    ASSERT(runner != NULL);
    for (uint32_t i = 0; i < candidate->count; i++) {
        params[i] = candidate->params[i]->name;
    }
    for (uint32_t i = 0; i < candidate->column_count; i++) {
        columns[i] = candidate->names[i] != NULL ? candidate->names[i]
                     : candidate->composite      ? arena_printf(binder->arena, "column%u", i + 1)
                                                 : arena_strdup(binder->arena, function->name);
    }
    routine->oid = function->oid;
    routine->name = arena_strdup(binder->arena, function->name);
    routine->body = catalog_function_body(definition);
    routine->param_count = candidate->count;
    routine->param_types =
        arena_copy(binder->arena, candidate->types, candidate->count * sizeof(oid_t));
    routine->param_names = params;
    routine->result =
        (struct routine_result){candidate->column_count, candidate->columns, candidate->result};
    routine->column_names = columns;
    routine->composite = candidate->composite;
    routine->any_record = candidate->any_record && !candidate->composite;
    if (routine->any_record) {
        routine->result.count = 0;
    }
    routine->returns_set = definition->returns_set;
    routine->is_volatile = says_volatile(definition);
    routine->is_procedure = definition->kind == 'p';
    routine->options = definition->options;
    if (catalog_function_is(definition, "definer")) {
        const struct role *owner = catalog_role_by_oid(binder->context->catalog, function->owner);
        routine->definer = owner == NULL ? NULL : arena_strdup(binder->arena, owner->name);
    }
    unsigned flags = FUNCTION_ROUTINE | (strict ? FUNCTION_STRICT : 0U);
    flags |= routine->is_volatile                        ? FUNCTION_VOLATILE
             : catalog_function_is(definition, "stable") ? FUNCTION_STABLE
                                                         : 0U;
    routine->function = (struct function){
        .name = routine->name,
        .oid = function->oid,
        .result = candidate->result,
        .flags = (uint16_t)(set ? flags | FUNCTION_SET : flags),
        .call = set ? NULL : runner->call,
    };
    if (set) {
        bool named =
            candidate->composite || (candidate->column_count == 1 && candidate->names[0] != NULL);
        routine->set = (struct set_function){.state_size = runner->set_state_size,
            .start = runner->set_start,
            .next = runner->set_next,
            .column_count = named ? candidate->column_count : 0,
            .column_names = columns,
            .column_types = candidate->columns};
        routine->function.set = &routine->set;
    }
    return routine;
}

static struct expr **
routine_arguments(
    struct binder *binder, const struct routine *routine, const struct bind_frame *frame)
{
    struct expr **args = arena_array(binder->arena, frame->count + 1U, sizeof *args);
    args[0] = expr_const(binder, TYPE_INT8, datum_int((int64_t)(intptr_t)routine), -1);
    if (frame->count > 0) {
        memcpy(args + 1, frame->args, frame->count * sizeof *args);
    }
    return args;
}

/* The columns of a record that the call says: AS t(a integer, ..). */
static enum err
take_definitions(struct binder *binder, const struct ast_call *call, struct candidate *candidate)
{
    const struct ast_list *list = binder->column_defs;
    if (!candidate->any_record) {
        return ERR_OK;
    }
    if (ast_list_count(list) == 0) {
        return bind_error(binder, call->node.location, ERR_SYNTAX,
            "a column definition list is required for functions returning \"record\"");
    }
    candidate->column_count = 0;
    AST_FOREACH(at, list)
    {
        const struct ast_column_def *column = ast_as_column_def(*at);
        oid_t type;
        TRY(declared_type(binder, column->type, &type));
        TRY(add_column(binder, candidate, column->name, type));
    }
    candidate->composite = true;
    return ERR_OK;
}

static enum err
check_call(struct binder *binder, const struct ast_call *call)
{
    if (call->over != NULL || call->star || call->distinct || call->filter != NULL ||
        ast_list_count(call->order) > 0) {
        return bind_error(binder, call->node.location, ERR_WRONG_OBJECT_TYPE,
            call->over != NULL
                ? "OVER specified, but %s is not a window function nor an aggregate function"
                : "%s is not an aggregate function",
            call->name);
    }
    bool seen = false;
    for (uint32_t i = 0; i < ast_list_count(call->args); i++) {
        const char *name = argument_name(call, i);
        if (seen && name == NULL) {
            return bind_error(binder, ast_list_at(call->args, i)->location, ERR_SYNTAX,
                "positional argument cannot follow named argument");
        }
        seen |= name != NULL;
        for (uint32_t k = 0; name != NULL && k < i; k++) {
            const char *other = argument_name(call, k);
            if (other != NULL && strcmp(other, name) == 0) {
                return bind_error(binder, ast_list_at(call->args, i)->location, ERR_SYNTAX,
                    "argument name \"%s\" used more than once", name);
            }
        }
    }
    return bind_check_stack(binder);
}

enum err
bind_user_call(struct binder *binder, struct scope *scope, const struct ast_call *call,
    struct expr **args, uint32_t count, struct expr **expr)
{
    struct candidate *candidate = arena_alloc(binder->arena, sizeof *candidate);
    struct placing *placing = arena_alloc(binder->arena, sizeof *placing);
    struct bind_frame *frame = arena_alloc(binder->arena, sizeof *frame);
    TRY(check_call(binder, call));
    TRY(choose(binder, call, args, count, candidate, placing));
    TRY(make_concrete(binder, call, candidate, placing, args, count));
    TRY(take_arguments(binder, candidate, placing, args, count, frame));
    bool table = scope->clause == CLAUSE_FROM_FUNCTION;
    if (table) {
        TRY(take_definitions(binder, call, candidate));
    }
    bool set = candidate->definition->returns_set || (table && candidate->composite);
    bool inlines = !set && !candidate->composite && may_inline(binder, candidate, frame);
    *expr = NULL;
    binder->result_name = candidate->column_count == 1 ? candidate->names[0] : NULL;
    if (inlines) {
        struct around around = enter(binder, frame);
        enum err err = inline_scalar(binder, candidate, expr);
        leave(binder, &around);
        TRY(during_inlining(binder, err, candidate->function->name));
    }
    if (*expr != NULL) {
        if (catalog_function_is(candidate->definition, "strict")) {
            *expr = unless_null(binder, frame, *expr);
        }
        /* It is what is around it that is correlated, if the arguments read something. */
        if (scope->query != NULL && expr_has_subplan(*expr)) {
            scope->query->has_subplans = true;
        }
        return ERR_OK;
    }
    struct routine *routine = make_routine(binder, candidate, set);
    if (set) {
        return bind_set_call(binder, scope, call, &routine->function,
            routine_arguments(binder, routine, frame), frame->count + 1U, expr);
    }
    routine = intern(binder, routine);
    *expr = expr_call(binder, &routine->function, NULL, routine_arguments(binder, routine, frame),
        frame->count + 1U, call->node.location);
    return ERR_OK;
}

enum err
bind_user_table(
    struct binder *binder, struct scope *scope, const struct ast_call *call, struct query **query)
{
    uint32_t count;
    struct expr **args;
    struct candidate *candidate = arena_alloc(binder->arena, sizeof *candidate);
    struct placing *placing = arena_alloc(binder->arena, sizeof *placing);
    struct bind_frame *frame = arena_alloc(binder->arena, sizeof *frame);
    *query = NULL;
    TRY(check_call(binder, call));
    enum clause clause = scope->clause;
    scope->clause = CLAUSE_FROM_FUNCTION;
    enum err err = bind_user_arguments(binder, scope, call, &args, &count);
    scope->clause = clause;
    TRY(err);
    TRY(choose(binder, call, args, count, candidate, placing));
    const struct ast_create_function *definition = candidate->definition;
    if (!definition->returns_set || says_volatile(definition) || candidate->any_record ||
        catalog_function_is(definition, "strict")) {
        return ERR_OK;
    }
    TRY(make_concrete(binder, call, candidate, placing, args, count));
    TRY(take_arguments(binder, candidate, placing, args, count, frame));
    if (!may_inline(binder, candidate, frame)) {
        return ERR_OK;
    }
    struct around around = enter(binder, frame);
    err = inline_table(binder, candidate, query);
    leave(binder, &around);
    return during_inlining(binder, err, candidate->function->name);
}

enum err
bind_user_arguments(struct binder *binder, struct scope *scope, const struct ast_call *call,
    struct expr ***args, uint32_t *count)
{
    *count = ast_list_count(call->args);
    *args = arena_array(binder->arena, *count + 1U, sizeof **args);
    for (uint32_t i = 0; i < *count; i++) {
        const struct ast_node *node = ast_list_at(call->args, i);
        node = node->kind == AST_NAMED_ARG ? ast_as_named_arg(node)->value : node;
        TRY(bind_expr(binder, scope, node, &(*args)[i]));
    }
    return ERR_OK;
}

uint32_t
bind_routine_columns(const struct expr *record, const struct routine **routine)
{
    if (record->kind != EXPR_CALL || (record->function->flags & FUNCTION_ROUTINE) == 0) {
        return 0;
    }
    const struct datum pointer = record->list[0]->constant;
    *routine = routine_of(&pointer);
    return (*routine)->composite ? (*routine)->result.count : 0;
}

enum err
bind_routine(struct binder *binder, const struct user_function *function, bool *polymorphic,
    struct routine **routine)
{
    struct candidate *candidate = arena_alloc(binder->arena, sizeof *candidate);
    TRY(read_candidate(binder, function, candidate));
    *polymorphic = is_polymorphic(candidate->result) || candidate->any_record;
    for (uint32_t i = 0; i < candidate->count; i++) {
        *polymorphic |= is_polymorphic(candidate->types[i]);
    }
    *routine = make_routine(binder, candidate, false);
    return ERR_OK;
}
