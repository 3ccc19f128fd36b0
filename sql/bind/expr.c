/*
 * sql/bind/expr.c - expressions: from the tree to struct expr.
 */
#include "sql/bind/bind.h"

#include <strings.h>

#include "parser/parser.h"

/* ---- constants ------------------------------------------------------------------------------- */

static enum err
bind_const(struct binder *binder, const struct ast_const *node, struct expr **expr)
{
    int32_t location = node->node.location;
    switch (node->kind) {
    case AST_CONST_NULL:
        *expr = expr_const(binder, TYPE_UNKNOWN, datum_null(), location);
        return ERR_OK;
    case AST_CONST_BOOL:
        *expr = expr_bool(binder, node->boolean, location);
        return ERR_OK;
    case AST_CONST_INTEGER: {
        bool small = node->integer >= INT32_MIN && node->integer <= INT32_MAX;
        *expr =
            expr_const(binder, small ? TYPE_INT4 : TYPE_INT8, datum_int(node->integer), location);
        return ERR_OK;
    }
    case AST_CONST_NUMERIC: {
        bool done;
        *expr = expr_const(binder, TYPE_UNKNOWN, datum_bytes(node->text, node->size), location);
        return bind_coerce(binder, expr, TYPE_NUMERIC, -1, CAST_IMPLICIT, &done);
    }
    case AST_CONST_STRING:
        *expr = expr_const(binder, TYPE_UNKNOWN, datum_bytes(node->text, node->size), location);
        return ERR_OK;
    case AST_CONST_BIT:
    case AST_CONST_HEX:
        break;
    }
    return bind_unsupported(binder, location, "bit strings are");
}

static void
note_read(void *arg, reg_t reg)
{
    (void)reg;
    *(bool *)arg = true;
}

/* The argument; what reads of the rows around the call makes the queries between correlated. */
static enum err
frame_argument(struct binder *binder, struct scope *scope, uint32_t number, int32_t location,
    struct expr **expr)
{
    const struct bind_frame *frame = binder->frame;
    if (number >= frame->count || binder->view_depth > 0) {
        return bind_error(
            binder, location, ERR_UNDEFINED_PARAMETER, "there is no parameter $%u", number + 1);
    }
    bool reads = false;
    *expr = frame->args[number];
    expr_reads(*expr, note_read, &reads);
    for (struct scope *at = scope; at != NULL && reads; at = at->parent) {
        if (at->query != NULL) {
            at->query->correlated = true;
        }
    }
    return ERR_OK;
}

enum err
bind_parameter(struct binder *binder, struct scope *scope, uint32_t number, int32_t location,
    struct expr **expr)
{
    struct plan_context *context = binder->context;
    if (binder->frame != NULL) {
        return frame_argument(binder, scope, number, location, expr);
    }
    if (number >= context->param_max || binder->view_depth > 0) {
        return bind_error(
            binder, location, ERR_UNDEFINED_PARAMETER, "there is no parameter $%u", number + 1);
    }
    while (context->param_count <= number) {
        context->param_types[context->param_count++] = 0;
    }
    int32_t typmod = -1;
    oid_t type = catalog_base_type(context->catalog, context->param_types[number], &typmod);
    context->param_types[number] = type;
    *expr = expr_new(binder, EXPR_PARAM, type == 0 ? TYPE_UNKNOWN : type, -1, location);
    (*expr)->param = number;
    return ERR_OK;
}

static enum err
bind_param(
    struct binder *binder, struct scope *scope, const struct ast_param *node, struct expr **expr)
{
    if (node->number == 0) {
        return bind_error(
            binder, node->node.location, ERR_UNDEFINED_PARAMETER, "there is no parameter $0");
    }
    return bind_parameter(binder, scope, node->number - 1, node->node.location, expr);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static enum err
bind_list(struct binder *binder, struct scope *scope, const struct ast_list *list,
    struct expr ***exprs, uint32_t *count)
{
    *count = ast_list_count(list);
    *exprs = arena_alloc(binder->arena, (*count + 1) * sizeof **exprs);
    for (uint32_t i = 0; i < *count; i++) {
        TRY(bind_expr(binder, scope, ast_list_at(list, i), &(*exprs)[i]));
    }
    return ERR_OK;
}

static struct expr *
combine(struct binder *binder, enum expr_kind kind, struct expr **list, uint32_t count,
    int32_t location)
{
    return count == 1 ? list[0] : expr_list(binder, kind, TYPE_BOOL, location, list, count);
}

/* (a, b) op (c, d), as SQL defines it: equality of all, or lexicographic order. */
static enum err
compare_rows(struct binder *binder, const char *op, struct expr **left, struct expr **right,
    uint32_t count, int32_t location, struct expr **expr)
{
    bool equal = strcmp(op, "=") == 0, unequal = strcmp(op, "<>") == 0;
    struct expr **list = arena_alloc(binder->arena, (count + 1) * sizeof *list);
    if (equal || unequal) {
        for (uint32_t i = 0; i < count; i++) {
            TRY(bind_operator(binder, op, left[i], right[i], location, &list[i]));
        }
        *expr = combine(binder, equal ? EXPR_AND : EXPR_OR, list, count, location);
        return ERR_OK;
    }
    bool less = op[0] == '<';
    if (op[0] != '<' && op[0] != '>') {
        (void)bind_error(binder, location, ERR_FEATURE_NOT_SUPPORTED,
            "could not determine interpretation of row comparison operator %s", op);
        return ERR_FEATURE_NOT_SUPPORTED;
    }
    /* From the last column to the first: a < c OR (a = c AND rest). */
    TRY(bind_operator(binder, op, left[count - 1], right[count - 1], location, expr));
    for (uint32_t i = count - 1; i-- > 0;) {
        struct expr *strict, *same;
        TRY(bind_operator(binder, less ? "<" : ">", left[i], right[i], location, &strict));
        TRY(bind_operator(binder, "=", left[i], right[i], location, &same));
        struct expr **both = arena_alloc(binder->arena, 2 * sizeof *both);
        both[0] = same;
        both[1] = *expr;
        struct expr **either = arena_alloc(binder->arena, 2 * sizeof *either);
        either[0] = strict;
        either[1] = expr_list(binder, EXPR_AND, TYPE_BOOL, location, both, 2);
        *expr = expr_list(binder, EXPR_OR, TYPE_BOOL, location, either, 2);
    }
    return ERR_OK;
}

static enum err
check_row_sizes(struct binder *binder, uint32_t left, uint32_t right, int32_t location)
{
    if (left != right) {
        return bind_error(
            binder, location, ERR_SYNTAX, "unequal number of entries in row expressions");
    }
    if (left == 0) {
        return bind_error(
            binder, location, ERR_FEATURE_NOT_SUPPORTED, "cannot compare rows of zero length");
    }
    return ERR_OK;
}

static enum err
bind_row_operator(struct binder *binder, struct scope *scope, const char *op,
    const struct ast_row *left, const struct ast_row *right, int32_t location, struct expr **expr)
{
    struct expr **l, **r;
    uint32_t l_count, r_count;
    TRY(bind_list(binder, scope, left->list, &l, &l_count));
    TRY(bind_list(binder, scope, right->list, &r, &r_count));
    TRY(check_row_sizes(binder, l_count, r_count, location));
    return compare_rows(binder, op, l, r, l_count, location, expr);
}

/* (a, b) = (SELECT ..): the subquery is bound anew for each column. */
static enum err
bind_row_subquery(struct binder *binder, struct scope *scope, const char *op,
    const struct ast_row *left, const struct ast_subquery *right, int32_t location,
    struct expr **expr)
{
    struct expr **l;
    uint32_t count;
    TRY(bind_list(binder, scope, left->list, &l, &count));
    struct expr **r = arena_alloc(binder->arena, (count + 1) * sizeof *r);
    for (uint32_t i = 0; i < count; i++) {
        struct query *query;
        TRY(bind_select(binder, scope, right->query, &query));
        if (query->column_count != count) {
            return bind_error(binder, right->node.location, ERR_SYNTAX,
                "subquery has too %s columns", query->column_count < count ? "few" : "many");
        }
        r[i] = bind_subquery_column(binder, query, i, right->node.location);
    }
    return compare_rows(binder, op, l, r, count, location, expr);
}

/* ---- operators ------------------------------------------------------------------------------- */

static enum err
bind_op(struct binder *binder, struct scope *scope, const struct ast_op *node, struct expr **expr)
{
    int32_t location = node->node.location;
    if (node->left != NULL && node->left->kind == AST_ROW && node->right->kind == AST_ROW) {
        return bind_row_operator(binder, scope, node->name, ast_as_row(node->left),
            ast_as_row(node->right), location, expr);
    }
    if (node->left != NULL && node->left->kind == AST_ROW && node->right->kind == AST_SUBQUERY &&
        !ast_as_subquery(node->right)->array && ast_list_count(ast_as_row(node->left)->list) > 1) {
        return bind_row_subquery(binder, scope, node->name, ast_as_row(node->left),
            ast_as_subquery(node->right), location, expr);
    }
    /* A negative literal is one constant: -2147483648 is an integer. */
    if (node->left == NULL && node->right->kind == AST_CONST && strcmp(node->name, "-") == 0 &&
        ast_as_const(node->right)->kind == AST_CONST_INTEGER) {
        int64_t value = ast_as_const(node->right)->integer;
        bool small = -value >= INT32_MIN;
        *expr = expr_const(binder, small ? TYPE_INT4 : TYPE_INT8, datum_int(-value), location);
        return ERR_OK;
    }
    struct expr *left = NULL, *right;
    if (node->left != NULL) {
        TRY(bind_expr(binder, scope, node->left, &left));
    }
    TRY(bind_expr(binder, scope, node->right, &right));
    return bind_operator(binder, node->name, left, right, location, expr);
}

static enum err
bind_bool(
    struct binder *binder, struct scope *scope, const struct ast_bool *node, struct expr **expr)
{
    struct expr **list;
    uint32_t count;
    TRY(bind_list(binder, scope, node->list, &list, &count));
    const char *name = node->kind == AST_BOOL_AND  ? "AND"
                       : node->kind == AST_BOOL_OR ? "OR"
                                                   : "NOT";
    for (uint32_t i = 0; i < count; i++) {
        TRY(bind_to_boolean(binder, &list[i], name));
    }
    if (node->kind == AST_BOOL_NOT) {
        *expr = expr_not(binder, list[0]);
        return ERR_OK;
    }
    /* TRUE in AND and FALSE in OR say nothing; the opposite says all. */
    bool neutral = node->kind == AST_BOOL_AND;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (list[i]->kind == EXPR_CONST && !list[i]->constant.null) {
            if ((list[i]->constant.i != 0) == neutral) {
                continue;
            }
            *expr = list[i];
            return ERR_OK;
        }
        list[kept++] = list[i];
    }
    if (kept == 0) {
        *expr = expr_bool(binder, neutral, node->node.location);
        return ERR_OK;
    }
    *expr = combine(binder, neutral ? EXPR_AND : EXPR_OR, list, kept, node->node.location);
    return ERR_OK;
}

/* ---- calls ----------------------------------------------------------------------------------- */

const char *
clause_name(enum clause clause)
{
    switch (clause) {
    case CLAUSE_WHERE:
        return "WHERE";
    case CLAUSE_GROUP:
        return "GROUP BY";
    case CLAUSE_LIMIT:
        return "LIMIT";
    case CLAUSE_OFFSET:
        return "OFFSET";
    case CLAUSE_ON:
        return "JOIN conditions";
    case CLAUSE_FROM_FUNCTION:
        return "functions in FROM";
    case CLAUSE_VALUES:
        return "VALUES";
    case CLAUSE_UPDATE:
        return "UPDATE";
    case CLAUSE_RETURNING:
        return "RETURNING";
    case CLAUSE_FILTER:
        return "FILTER";
    case CLAUSE_COPY:
        return "COPY FROM WHERE conditions";
    case CLAUSE_CHECK:
        return "check constraints";
    case CLAUSE_DEFAULT:
        return "DEFAULT expressions";
    case CLAUSE_INDEX:
        return "index expressions";
    case CLAUSE_INDEX_PREDICATE:
        return "index predicates";
    case CLAUSE_WINDOW:
        return "window definitions";
    case CLAUSE_HAVING:
        return "HAVING";
    default:
        return "this place";
    }
}

struct set_reads {
    const struct rel *rel;
    bool reads;
};

static void
note_set(void *arg, reg_t reg)
{
    struct set_reads *reads = arg;
    for (uint32_t i = 0; i < reads->rel->call_count; i++) {
        const struct plan_call *call = &reads->rel->calls[i];
        reads->reads =
            reads->reads ||
            (reg >= call->result && reg - call->result < function_column_count(call->function));
    }
}

/* Do the arguments read a set that the list has already? */
static bool
reads_set(const struct rel *rel, struct expr *const *args, uint32_t count)
{
    struct set_reads reads = {.rel = rel};
    for (uint32_t i = 0; i < count; i++) {
        expr_reads(args[i], note_set, &reads);
    }
    return reads.reads;
}

enum err
bind_set_call(struct binder *binder, struct scope *scope, const struct ast_call *call,
    const struct function *function, struct expr **args, uint32_t count, struct expr **expr)
{
    int32_t location = call->node.location;
    if ((function->flags & FUNCTION_SHAPED) != 0) {
        if (scope->clause == CLAUSE_FROM_FUNCTION) {
            return bind_error(binder, location, ERR_SYNTAX,
                "a column definition list is required for functions returning \"record\"");
        }
        (void)bind_error(binder, -1, ERR_FEATURE_NOT_SUPPORTED,
            "could not determine row type for result of %s", function->name);
        diag_hint(binder->diag, "Provide a non-null record argument, or call the function in the "
                                "FROM clause using a column definition list.");
        return ERR_FEATURE_NOT_SUPPORTED;
    }
    if (scope->in_aggregate) {
        return bind_error(binder, location, ERR_FEATURE_NOT_SUPPORTED,
            "aggregate function calls cannot contain set-returning function calls");
    }
    switch (scope->clause) {
    case CLAUSE_TARGETS:
    case CLAUSE_ORDER:
    case CLAUSE_FROM_FUNCTION:
        break;
    default:
        return bind_error(binder, location, ERR_FEATURE_NOT_SUPPORTED,
            "set-returning functions are not allowed in %s", clause_name(scope->clause));
    }
    struct rel *rel = scope->query->set_function;
    if (rel != NULL && (scope->clause == CLAUSE_FROM_FUNCTION || reads_set(rel, args, count))) {
        return bind_unsupported(
            binder, location, "a set-returning function in another one's arguments is");
    }
    if (rel == NULL) {
        rel = arena_alloc(binder->arena, sizeof *rel);
        rel->kind = REL_FUNCTION;
        rel->alias = function->name;
        scope->query->set_function = rel;
    }
    uint32_t columns = function_column_count(function);
    struct plan_call *calls =
        arena_alloc(binder->arena, (rel->call_count + 1) * sizeof(struct plan_call));
    struct expr **all =
        arena_alloc(binder->arena, (rel->arg_count + count + 1) * sizeof(struct expr *));
    if (rel->call_count > 0) {
        memcpy(calls, rel->calls, rel->call_count * sizeof *calls);
        memcpy(all, rel->args, rel->arg_count * sizeof(struct expr *));
    }
    memcpy(all + rel->arg_count, args, count * sizeof(struct expr *));
    reg_t result = bind_registers(binder, columns);
    calls[rel->call_count++] = (struct plan_call){
        .function = function, .first_arg = rel->arg_count, .arg_count = count, .result = result};
    rel->calls = calls;
    rel->args = all;
    rel->arg_count += count;
    if (rel->call_count == 1) {
        rel->base = result;
        rel->reg_count = columns;
    }
    *expr = columns > 1 && scope->clause != CLAUSE_FROM_FUNCTION
                ? bind_call_row(binder, &calls[rel->call_count - 1], location)
                : expr_register(binder, result, function->result, -1, location);
    return ERR_OK;
}

/* A call of one argument whose name is a type's is a cast: int4(x), text(x). */
static enum err
call_as_cast(struct binder *binder, const struct ast_call *call, struct expr **args, bool *done,
    struct expr **expr)
{
    *done = false;
    size_t run = 0;
    if (function_by_name(call->name, &run) != NULL && run > 0) {
        return ERR_OK;
    }
    const struct type *type = type_named(binder->context->env, NULL, call->name);
    if (type == NULL || !type_can_coerce(args[0]->type, type->oid, CAST_EXPLICIT)) {
        return ERR_OK;
    }
    *done = true;
    *expr = args[0];
    return bind_cast(binder, expr, type->oid, -1, call->node.location);
}

/* What concat and format see of a value: not its cast to text (true), its text form (t). */
static struct expr *
expr_text_form(struct binder *binder, struct expr *from)
{
    switch (from->type) {
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
        return from;
    default:
        break;
    }
    struct expr **list = arena_alloc(binder->arena, sizeof *list);
    list[0] = from;
    return expr_list(binder, EXPR_TEXT_IO, TYPE_TEXT, from->location, list, 1);
}

/* FUNCTION_TYPED_ARGS. */
static struct expr **
typed_arguments(
    struct binder *binder, const struct function *function, struct expr **args, uint32_t *count)
{
    struct expr **all = arena_alloc(binder->arena, (2 * (size_t)*count + 1) * sizeof *all);
    uint32_t at = 0;
    for (uint32_t i = 0; i < *count; i++) {
        all[at++] = args[i];
        if (function->args[i < function->arg_count ? i : function->arg_count - 1U] == TYPE_ANY) {
            all[at++] = expr_const(binder, TYPE_OID, datum_int(args[i]->type), -1);
        }
    }
    *count = at;
    return all;
}

static enum err
call_arguments(
    struct binder *binder, const struct function *function, struct expr ***args, uint32_t *count)
{
    bool done;
    bool variadic = (function->flags & FUNCTION_VARIADIC) != 0;
    for (uint32_t i = 0; i < *count; i++) {
        oid_t type = function->args[i < function->arg_count ? i : function->arg_count - 1U];
        bind_note_operand(binder, (*args)[i], type);
        TRY(bind_coerce(binder, &(*args)[i], type, -1, CAST_IMPLICIT, &done));
        if (type == TYPE_ANY && (function->flags & FUNCTION_TEXT_ARGS) != 0) {
            (*args)[i] = expr_text_form(binder, (*args)[i]);
        }
    }
    if ((function->flags & FUNCTION_TYPED_ARGS) != 0) {
        *args = typed_arguments(binder, function, *args, count);
        return ERR_OK;
    }
    if (!variadic && *count < function->arg_count) {
        struct expr **all = arena_alloc(binder->arena, function->arg_count * sizeof *all);
        for (uint32_t i = 0; i < function->arg_count; i++) {
            all[i] =
                i < *count ? (*args)[i] : expr_const(binder, function->args[i], datum_null(), -1);
        }
        *args = all;
        *count = function->arg_count;
    }
    return ERR_OK;
}

/* f(x, name => y): into the order of the names; a zero for what is left out, where that is so. */
static enum err
bind_named_arguments(struct binder *binder, struct scope *scope, const struct ast_call *call,
    struct expr ***args, uint32_t *count)
{
    size_t names_count = 0;
    bool defaulted = false, seen = false;
    const char *const *names = function_argument_names(call->name, &names_count, &defaulted);
    if (names == NULL) {
        return bind_unsupported(
            binder, call->node.location, "named arguments of this function are");
    }
    struct expr **list = arena_alloc(binder->arena, names_count * sizeof *list);
    size_t position = 0;
    AST_FOREACH(at, call->args)
    {
        const struct ast_node *value = *at;
        size_t place = position++;
        if (value->kind == AST_NAMED_ARG) {
            const struct ast_named_arg *arg = ast_as_named_arg(value);
            seen = true;
            for (place = 0; place < names_count && strcmp(names[place], arg->name) != 0;) {
                place++;
            }
            value = arg->value;
            if (place < names_count && list[place] != NULL) {
                return bind_error(binder, arg->node.location, ERR_SYNTAX,
                    "argument name \"%s\" used more than once", arg->name);
            }
        } else if (seen) {
            return bind_error(binder, value->location, ERR_SYNTAX,
                "positional argument cannot follow named argument");
        }
        if (place >= names_count) {
            return bind_error(binder, call->node.location, ERR_UNDEFINED_FUNCTION,
                "function %s with these argument names does not exist", call->name);
        }
        TRY(bind_expr(binder, scope, value, &list[place]));
    }
    *args = list;
    *count = (uint32_t)names_count;
    while (!defaulted && *count > 0 && list[*count - 1] == NULL) {
        (*count)--;
    }
    for (uint32_t i = 0; i < *count; i++) {
        if (list[i] == NULL && !defaulted) {
            return bind_error(binder, call->node.location, ERR_UNDEFINED_FUNCTION,
                "function %s with these argument names does not exist", call->name);
        }
        if (list[i] == NULL) {
            list[i] = expr_const(binder, TYPE_INT4, datum_int(0), call->node.location);
        }
    }
    return ERR_OK;
}

static enum err
bind_call(
    struct binder *binder, struct scope *scope, const struct ast_call *call, struct expr **expr)
{
    int32_t location = call->node.location;
    if (call->within_group) {
        return bind_within_group(binder, scope, call, expr);
    }
    bool information = call->schema != NULL && strncmp(call->name, "_pg_", 4) == 0 &&
                       strcmp(call->schema, "information_schema") == 0;
    bool user = bind_is_user_function(binder, call->schema, call->name);
    if (call->schema != NULL && strcmp(call->schema, "pg_catalog") != 0 && !information && !user) {
        if (binder->context->catalog != NULL &&
            catalog_schema(binder->context->catalog, call->schema) == 0) {
            return bind_error(binder, location, ERR_INVALID_SCHEMA_NAME,
                "schema \"%s\" does not exist", call->schema);
        }
        return bind_error(binder, location, ERR_UNDEFINED_FUNCTION, "function %s.%s does not exist",
            call->schema, call->name);
    }
    size_t run = 0;
    const struct function *first = function_by_name(call->name, &run);
    if (user && (run == 0 || call->schema != NULL)) {
        struct expr **given;
        uint32_t given_count;
        TRY(bind_user_arguments(binder, scope, call, &given, &given_count));
        return bind_user_call(binder, scope, call, given, given_count, expr);
    }
    if (call->variadic) {
        return bind_unsupported(binder, location, "VARIADIC in a call is");
    }
    bool named = false;
    AST_FOREACH(at, call->args)
    {
        named = named || (*at)->kind == AST_NAMED_ARG;
    }
    /* Inside an aggregate's arguments another aggregate of the same level is an error; which level
     * an aggregate is of shows only when its arguments are bound. */
    bool aggregate = run > 0 && (first->flags & FUNCTION_AGGREGATE) != 0 && call->over == NULL;
    bool in_window = scope->in_window;
    if (call->over != NULL) {
        scope->in_window = true;
    }
    enum clause clause = scope->clause;
    bool in_aggregate = scope->in_aggregate;
    struct expr **args;
    uint32_t count;
    if (aggregate) {
        scope->in_aggregate = true;
    }
    enum err err = named ? bind_named_arguments(binder, scope, call, &args, &count)
                         : bind_list(binder, scope, call->args, &args, &count);
    scope->in_aggregate = in_aggregate;
    scope->in_window = in_window;
    scope->clause = clause;
    TRY(err);
    if (call->over != NULL) {
        TRY(bind_window_default(binder, call, args, count));
    }
    if (count == 1 && !call->star && !call->distinct) {
        bool done;
        TRY(call_as_cast(binder, call, args, &done, expr));
        if (done) {
            return ERR_OK;
        }
    }
    if (count == 1 &&
        (strcmp(call->name, "pg_typeof") == 0 || strcmp(call->name, "pg_column_size") == 0)) {
        struct expr **both = arena_alloc(binder->arena, 2 * sizeof *both);
        both[0] = args[0];
        both[1] = expr_const(binder, TYPE_OID,
            datum_int(args[0]->domain != 0 ? args[0]->domain : args[0]->type), location);
        args = both;
        count = 2;
    }
    const struct function *function;
    err = bind_function(binder, call->name, args, count, location, &function);
    if (err == ERR_UNDEFINED_FUNCTION && user) {
        return bind_user_call(binder, scope, call, args, count, expr);
    }
    TRY(err);
    TRY(bind_polymorphic(binder, &function, &args, &count, location));
    if (call->over != NULL || (function->flags & FUNCTION_WINDOW) != 0) {
        bool star = (function->flags & FUNCTION_AGGREGATE) != 0 && count == 0;
        if (star && !call->star) {
            return bind_error(binder, location, ERR_WRONG_OBJECT_TYPE,
                "%s(*) must be used to call a parameterless aggregate function", call->name);
        }
        uint32_t given = count;
        TRY(call_arguments(binder, function, &args, &count));
        return bind_window_call(binder, scope, call, function, args, given, expr);
    }
    if ((function->flags & FUNCTION_ORDERED) != 0) {
        return bind_error(binder, location, ERR_WRONG_OBJECT_TYPE,
            "WITHIN GROUP is required for ordered-set aggregate %s", call->name);
    }
    if ((function->flags & FUNCTION_AGGREGATE) != 0) {
        if (count == 0 && !call->star) {
            return bind_error(binder, location, ERR_WRONG_OBJECT_TYPE,
                "%s(*) must be used to call a parameterless aggregate function", call->name);
        }
        TRY(call_arguments(binder, function, &args, &count));
        return bind_aggregate(binder, scope, call, function, args, count, expr);
    }
    const char *only = call->star                        ? "(*)"
                       : call->distinct                  ? "DISTINCT"
                       : ast_list_count(call->order) > 0 ? "ORDER BY"
                       : call->filter != NULL            ? "FILTER"
                                                         : NULL;
    if (only != NULL) {
        return bind_error(binder, location, ERR_WRONG_OBJECT_TYPE,
            "%s specified, but %s is not an aggregate function", only, call->name);
    }
    TRY(call_arguments(binder, function, &args, &count));
    if ((function->flags & FUNCTION_SET) != 0) {
        return bind_set_call(binder, scope, call, function, args, count, expr);
    }
    *expr = expr_call(binder, function, NULL, args, count, location);
    return ERR_OK;
}

static enum err
call_named(struct binder *binder, const char *name, struct expr **args, uint32_t count,
    int32_t location, struct expr **expr)
{
    const struct function *function;
    TRY(bind_function(binder, name, args, count, location, &function));
    TRY(bind_polymorphic(binder, &function, &args, &count, location));
    TRY(call_arguments(binder, function, &args, &count));
    *expr = expr_call(binder, function, NULL, args, count, location);
    return ERR_OK;
}

static enum err
bind_sql_value(struct binder *binder, const struct ast_sql_value *node, struct expr **expr)
{
    int32_t location = node->node.location, typmod = node->precision;
    oid_t type = 0;
    const char *name = "now";
    switch (node->kind) {
    case AST_CURRENT_DATE:
        type = TYPE_DATE;
        break;
    case AST_CURRENT_TIME:
        return bind_unsupported(binder, location, "type time with time zone is");
    case AST_CURRENT_TIMESTAMP:
        type = TYPE_TIMESTAMPTZ;
        break;
    case AST_LOCALTIME:
        type = TYPE_TIME;
        break;
    case AST_LOCALTIMESTAMP:
        type = TYPE_TIMESTAMP;
        break;
    case AST_CURRENT_USER:
    case AST_CURRENT_ROLE:
    case AST_USER:
        name = "current_user";
        break;
    case AST_SESSION_USER:
        name = "session_user";
        break;
    case AST_CURRENT_CATALOG:
        name = "current_database";
        break;
    case AST_CURRENT_SCHEMA:
        name = "current_schema";
        break;
    }
    TRY(call_named(binder, name, NULL, 0, location, expr));
    if (type == 0) {
        return ERR_OK;
    }
    if (type == TYPE_TIME) {
        TRY(bind_cast(binder, expr, TYPE_TIMESTAMP, -1, location));
    }
    return bind_cast(binder, expr, type, typmod, location);
}

/* ---- CASE and relatives ---------------------------------------------------------------------- */

static enum err
bind_case(
    struct binder *binder, struct scope *scope, const struct ast_case *node, struct expr **expr)
{
    uint32_t whens = ast_list_count(node->whens), results = 0;
    struct expr *subject = NULL;
    if (node->subject != NULL) {
        TRY(bind_expr(binder, scope, node->subject, &subject));
        TRY(bind_to_text_if_unknown(binder, &subject));
    }
    struct expr **conditions = arena_alloc(binder->arena, (whens + 1) * sizeof *conditions);
    struct expr **values = arena_alloc(binder->arena, (whens + 1) * sizeof *values);
    for (uint32_t i = 0; i < whens; i++) {
        const struct ast_when *when = ast_as_when(ast_list_at(node->whens, i));
        if (subject == NULL) {
            TRY(bind_condition(binder, scope, when->condition, "CASE/WHEN", &conditions[i]));
        } else {
            struct expr *value;
            TRY(bind_expr(binder, scope, when->condition, &value));
            TRY(bind_operator(binder, "=", subject, value, when->node.location, &conditions[i]));
        }
        TRY(bind_expr(binder, scope, when->result, &values[results++]));
    }
    if (node->otherwise != NULL) {
        TRY(bind_expr(binder, scope, node->otherwise, &values[results++]));
    }
    /* PostgreSQL lets ELSE speak first. */
    oid_t type;
    if (node->otherwise != NULL) {
        struct expr **order = arena_alloc(binder->arena, results * sizeof *order);
        order[0] = values[results - 1];
        memcpy(order + 1, values, (results - 1) * sizeof *order);
        TRY(bind_common_type(binder, order, results, "CASE", &type));
    } else {
        TRY(bind_common_type(binder, values, results, "CASE", &type));
    }
    TRY(bind_coerce_list(binder, values, results, type, "CASE"));

    struct expr **list = arena_alloc(binder->arena, (2 * whens + 1) * sizeof *list);
    uint32_t count = 0;
    for (uint32_t i = 0; i < whens; i++) {
        bool known = conditions[i]->kind == EXPR_CONST;
        if (known && (conditions[i]->constant.null || conditions[i]->constant.i == 0)) {
            continue;
        }
        if (known && count == 0) {
            *expr = values[i];
            return ERR_OK;
        }
        list[count++] = conditions[i];
        list[count++] = values[i];
    }
    if (results > whens) {
        list[count++] = values[whens];
    }
    if (count == 0) {
        *expr = expr_const(binder, type, datum_null(), node->node.location);
    } else if (count == 1) {
        *expr = list[0];
    } else {
        *expr = expr_list(binder, EXPR_CASE, type, node->node.location, list, count);
    }
    return ERR_OK;
}

static enum err
bind_list_call(struct binder *binder, struct scope *scope, const struct ast_list_call *node,
    struct expr **expr)
{
    static const char *const names[] = {[AST_COALESCE] = "COALESCE",
        [AST_NULLIF] = "NULLIF",
        [AST_GREATEST] = "GREATEST",
        [AST_LEAST] = "LEAST"};
    struct expr **list;
    uint32_t count;
    int32_t location = node->node.location;
    TRY(bind_list(binder, scope, node->list, &list, &count));
    if (node->kind == AST_NULLIF) {
        struct expr *equal;
        const struct expr *null_or = list[0];
        TRY(bind_operator(binder, "=", list[0], list[1], location, &equal));
        if (equal->kind == EXPR_CALL) {
            *expr = expr_list(binder, EXPR_NULLIF, equal->list[0]->type, location, equal->list, 2);
            (*expr)->function = equal->function;
            (*expr)->typmod = null_or->typmod;
            return ERR_OK;
        }
        /* Decided while binding. The first is of the type that the equality compares: ask it with
         * registers, which nothing folds. */
        struct expr *value = list[0];
        bool same = !equal->constant.null && equal->constant.i != 0;
        oid_t other = list[1]->type;
        if (other != TYPE_UNKNOWN) {
            oid_t type = value->type == TYPE_UNKNOWN ? other : value->type;
            struct expr *left = expr_register(binder, 0, type, -1, location);
            struct expr *right = expr_register(binder, 0, other, -1, location);
            bool done;
            TRY(bind_operator(binder, "=", left, right, location, &equal));
            TRY(bind_coerce(binder, &value, equal->list[0]->type, -1, CAST_IMPLICIT, &done));
        }
        TRY(bind_to_text_if_unknown(binder, &value));
        *expr = same ? expr_const(binder, value->type, datum_null(), location) : value;
        return ERR_OK;
    }
    oid_t type;
    TRY(bind_common_type(binder, list, count, names[node->kind], &type));
    TRY(bind_coerce_list(binder, list, count, type, names[node->kind]));
    enum expr_kind kind = node->kind == AST_COALESCE   ? EXPR_COALESCE
                          : node->kind == AST_GREATEST ? EXPR_GREATEST
                                                       : EXPR_LEAST;
    if (kind != EXPR_COALESCE && !type_is_ordered(type)) {
        return bind_error(binder, location, ERR_UNDEFINED_FUNCTION,
            "could not identify a comparison function for type %s", bind_type_name(binder, type));
    }
    *expr = expr_list(binder, kind, type, location, list, count);
    return ERR_OK;
}

/* ---- IN, ANY, BETWEEN ------------------------------------------------------------------------ */

/* left = any of items, as EXPR_IN if one equality serves all, else as ORs. */
static enum err
make_in(struct binder *binder, struct expr *left, struct expr **items, uint32_t count,
    int32_t location, struct expr **expr)
{
    struct expr **all = arena_alloc(binder->arena, (count + 1) * sizeof *all);
    all[0] = left;
    memcpy(all + 1, items, count * sizeof *items);
    oid_t type;
    TRY(bind_common_type(binder, all, count + 1, NULL, &type));
    if (type != 0 && count > 1) {
        TRY(bind_coerce_list(binder, items, count, type, "IN"));
        struct expr *equal;
        TRY(bind_operator(binder, "=", left, items[0], location, &equal));
        if (equal->kind == EXPR_CALL || expr_is_null_const(equal)) {
            /* The first comparison tells the types; nulls fold away, so ask by type then. */
            const struct function *function =
                equal->kind == EXPR_CALL ? equal->function : operator_compare_function("=", type);
            const struct operator_def *op = expr_operator(equal);
            bool done = true;
            all[0] = left;
            if (op != NULL) {
                all[0] = equal->list[0];
                type = op->right;
            } else if (function != NULL) {
                TRY(bind_coerce(binder, &all[0], type, -1, CAST_IMPLICIT, &done));
            }
            if (function != NULL && done) {
                memcpy(all + 1, items, count * sizeof *items);
                TRY(bind_coerce_list(binder, all + 1, count, type, "IN"));
                *expr = expr_list(binder, EXPR_IN, TYPE_BOOL, location, all, count + 1);
                (*expr)->function = function;
                return ERR_OK;
            }
        }
    }
    struct expr **list = arena_alloc(binder->arena, (count + 1) * sizeof *list);
    for (uint32_t i = 0; i < count; i++) {
        TRY(bind_operator(binder, "=", left, items[i], location, &list[i]));
    }
    *expr = combine(binder, EXPR_OR, list, count, location);
    return ERR_OK;
}

static struct bound_subplan *
subplan_new(struct binder *binder, struct query *query, enum subplan_kind kind)
{
    struct bound_subplan *bound = arena_alloc(binder->arena, sizeof *bound);
    bound->query = query;
    bound->subplan.kind = kind;
    bound->subplan.correlated = query->correlated;
    return bound;
}

static struct expr *
subplan_expr(struct binder *binder, struct bound_subplan *bound, oid_t type, int32_t location)
{
    struct expr *expr = expr_new(binder, EXPR_SUBPLAN, type, -1, location);
    expr->subplan = &bound->subplan;
    return expr;
}

struct expr *
bind_subquery_column(struct binder *binder, struct query *query, uint32_t column, int32_t location)
{
    struct bound_subplan *bound = subplan_new(binder, query, SUBPLAN_SCALAR);
    bound->column = column;
    return subplan_expr(binder, bound, query->targets[column].expr->type, location);
}

/* left op ANY|ALL (query of one column). */
static enum err
make_any(struct binder *binder, const char *op, bool all, struct expr *left, struct query *query,
    int32_t location, struct expr **expr)
{
    if (query->column_count != 1) {
        return bind_error(binder, location, ERR_SYNTAX,
            query->column_count > 1 ? "subquery has too many columns"
                                    : "subquery has too few columns");
    }
    struct target *target = &query->targets[0];
    struct expr *column = expr_register(
        binder, target->reg, target->expr->type, target->expr->typmod, target->expr->location);
    struct expr *test;
    bool null = expr_is_null_const(left);
    if (null) { /* the operator is wanted, not what it makes of a null */
        left = expr_register(
            binder, 0, left->type == TYPE_UNKNOWN ? column->type : left->type, -1, left->location);
    }
    TRY(bind_operator(binder, op, left, column, location, &test));
    if (test->type != TYPE_BOOL) {
        return bind_error(binder, location, ERR_DATATYPE_MISMATCH,
            "row comparison operator must yield type boolean, not type %s",
            bind_type_name(binder, test->type));
    }
    /* The test reads the query's column; if it must be cast first, the query casts it. */
    if (test->kind == EXPR_CALL && test->count == 2 && test->list[1]->kind != EXPR_REGISTER) {
        TRY(query_cast_column(binder, &query, test->list[1]->type));
    } else if (test->kind != EXPR_CALL) {
        return bind_unsupported(binder, location, "this form of subquery comparison is");
    }
    struct bound_subplan *bound = subplan_new(binder, query, all ? SUBPLAN_ALL : SUBPLAN_ANY);
    *expr = subplan_expr(binder, bound, TYPE_BOOL, location);
    (*expr)->function = test->function;
    (*expr)->list = arena_alloc(binder->arena, sizeof *(*expr)->list);
    (*expr)->list[0] =
        null ? expr_const(binder, test->list[0]->type, datum_null(), location) : test->list[0];
    (*expr)->count = 1;
    bound->op = expr_operator(test);
    return ERR_OK;
}

/* (a, b) IN (SELECT ..): true for a row equal in all columns; a null where equality is nowhere
 * certain but somewhere unknown. Made of two EXISTS over the query with conditions added. */
static enum err
make_row_in(struct binder *binder, struct expr **left, uint32_t count, struct query *query,
    int32_t location, struct expr **expr)
{
    if (query->column_count != count) {
        return bind_error(binder, location, ERR_SYNTAX,
            query->column_count > count ? "subquery has too many columns"
                                        : "subquery has too few columns");
    }
    struct expr **right = arena_alloc(binder->arena, (count + 1) * sizeof *right);
    for (uint32_t i = 0; i < count; i++) {
        const struct target *target = &query->targets[i];
        right[i] =
            expr_register(binder, target->reg, target->expr->type, target->expr->typmod, location);
    }
    struct expr *equal;
    TRY(compare_rows(binder, "=", left, right, count, location, &equal));
    struct bound_subplan *sure =
        subplan_new(binder, query_filtered(binder, query, equal), SUBPLAN_EXISTS);
    struct expr **is_false = arena_alloc(binder->arena, sizeof *is_false);
    is_false[0] = equal;
    struct expr *maybe_test =
        expr_not(binder, expr_list(binder, EXPR_IS_FALSE, TYPE_BOOL, location, is_false, 1));
    struct bound_subplan *maybe =
        subplan_new(binder, query_filtered(binder, query, maybe_test), SUBPLAN_EXISTS);
    struct expr **list = arena_alloc(binder->arena, 5 * sizeof *list);
    list[0] = subplan_expr(binder, sure, TYPE_BOOL, location);
    list[1] = expr_bool(binder, true, location);
    list[2] = subplan_expr(binder, maybe, TYPE_BOOL, location);
    list[3] = expr_const(binder, TYPE_BOOL, datum_null(), location);
    list[4] = expr_bool(binder, false, location);
    *expr = expr_list(binder, EXPR_CASE, TYPE_BOOL, location, list, 5);
    return ERR_OK;
}

static enum err
bind_in_rows(
    struct binder *binder, struct scope *scope, const struct ast_in *node, struct expr **expr)
{
    struct expr **left;
    uint32_t width;
    int32_t location = node->node.location;
    TRY(bind_list(binder, scope, ast_as_row(node->left)->list, &left, &width));
    if (node->query != NULL) {
        struct query *query;
        TRY(bind_select(binder, scope, node->query, &query));
        return make_row_in(binder, left, width, query, location, expr);
    }
    uint32_t count = ast_list_count(node->list);
    struct expr **list = arena_alloc(binder->arena, (count + 1) * sizeof *list);
    for (uint32_t i = 0; i < count; i++) {
        const struct ast_node *item = ast_list_at(node->list, i);
        struct expr **right;
        uint32_t its;
        if (item->kind != AST_ROW) {
            return bind_unsupported(
                binder, item->location, "comparing a row with a single value is");
        }
        TRY(bind_list(binder, scope, ast_as_row(item)->list, &right, &its));
        TRY(check_row_sizes(binder, width, its, location));
        TRY(compare_rows(binder, "=", left, right, width, location, &list[i]));
    }
    *expr = combine(binder, EXPR_OR, list, count, location);
    return ERR_OK;
}

static enum err
bind_in(struct binder *binder, struct scope *scope, const struct ast_in *node, struct expr **expr)
{
    int32_t location = node->node.location;
    if (node->left->kind == AST_ROW && ast_list_count(ast_as_row(node->left)->list) > 1) {
        TRY(bind_in_rows(binder, scope, node, expr));
    } else {
        struct expr *left;
        TRY(bind_expr(binder, scope, node->left, &left));
        if (node->query != NULL) {
            struct query *query;
            TRY(bind_select(binder, scope, node->query, &query));
            TRY(make_any(binder, "=", false, left, query, location, expr));
        } else {
            struct expr **items;
            uint32_t count;
            TRY(bind_list(binder, scope, node->list, &items, &count));
            TRY(make_in(binder, left, items, count, location, expr));
        }
    }
    if (node->negated) {
        *expr = expr_not(binder, *expr);
    }
    return ERR_OK;
}

static enum err
bind_any_array(
    struct binder *binder, struct scope *scope, const struct ast_any *node, struct expr **expr)
{
    int32_t location = node->node.location;
    const struct ast_node *array = node->array;
    const struct ast_type *cast = NULL;
    while (array->kind == AST_CAST) {
        cast = cast == NULL ? ast_as_cast(array)->type : cast;
        array = ast_as_cast(array)->operand;
    }
    struct expr_vec items = {0};
    struct expr *left;
    TRY(bind_expr(binder, scope, node->left, &left));
    if (array->kind == AST_ARRAY) {
        AST_FOREACH(at, ast_as_array(array)->list)
        {
            struct expr *item;
            TRY(bind_expr(binder, scope, *at, &item));
            expr_vec_add(binder->arena, &items, item);
        }
    } else {
        struct expr *value;
        TRY(bind_expr(binder, scope, node->array, &value));
        return bind_any_of_array(binder, left, value, node, expr);
    }
    if (cast != NULL && cast->array_dimensions > 0) {
        struct ast_type element = *cast;
        element.array_dimensions = 0;
        oid_t type;
        int32_t typmod;
        TRY(bind_type(binder, &element, &type, &typmod));
        for (uint32_t i = 0; i < items.count; i++) {
            TRY(bind_cast(binder, &items.items[i], type, typmod, location));
        }
    }
    if (items.count == 0) {
        *expr = expr_bool(binder, node->all, location);
        return ERR_OK;
    }
    if (!node->all && strcmp(node->op, "=") == 0) {
        return make_in(binder, left, items.items, items.count, location, expr);
    }
    struct expr **list = arena_alloc(binder->arena, items.count * sizeof *list);
    for (uint32_t i = 0; i < items.count; i++) {
        TRY(bind_operator(binder, node->op, left, items.items[i], location, &list[i]));
    }
    *expr = combine(binder, node->all ? EXPR_AND : EXPR_OR, list, items.count, location);
    return ERR_OK;
}

static enum err
bind_any(struct binder *binder, struct scope *scope, const struct ast_any *node, struct expr **expr)
{
    if (node->query == NULL) {
        return bind_any_array(binder, scope, node, expr);
    }
    if (node->left->kind == AST_ROW && ast_list_count(ast_as_row(node->left)->list) > 1) {
        return bind_unsupported(binder, node->node.location, "ANY and ALL of rows are");
    }
    struct expr *left;
    struct query *query;
    TRY(bind_expr(binder, scope, node->left, &left));
    TRY(bind_select(binder, scope, node->query, &query));
    return make_any(binder, node->op, node->all, left, query, node->node.location, expr);
}

static enum err
bind_between(
    struct binder *binder, struct scope *scope, const struct ast_between *node, struct expr **expr)
{
    int32_t location = node->node.location;
    struct expr *operand, *bounds[2];
    TRY(bind_expr(binder, scope, node->operand, &operand));
    TRY(bind_expr(binder, scope, node->low, &bounds[0]));
    TRY(bind_expr(binder, scope, node->high, &bounds[1]));
    struct expr *ways[2];
    for (int way = 0; way < (node->symmetric ? 2 : 1); way++) {
        struct expr **both = arena_alloc(binder->arena, 2 * sizeof *both);
        TRY(bind_operator(binder, ">=", operand, bounds[way], location, &both[0]));
        TRY(bind_operator(binder, "<=", operand, bounds[1 - way], location, &both[1]));
        ways[way] = expr_list(binder, EXPR_AND, TYPE_BOOL, location, both, 2);
    }
    *expr = ways[0];
    if (node->symmetric) {
        struct expr **either = arena_copy(binder->arena, ways, sizeof ways);
        *expr = expr_list(binder, EXPR_OR, TYPE_BOOL, location, either, 2);
    }
    if (node->negated) {
        *expr = expr_not(binder, *expr);
    }
    return ERR_OK;
}

/* ---- LIKE ------------------------------------------------------------------------------------ */

/* A constant pattern with its own escape character, rewritten for the backslash. */
static enum err
rewrite_escape(struct binder *binder, struct expr **pattern, const struct expr *escape)
{
    if (escape->kind != EXPR_CONST || (*pattern)->kind != EXPR_CONST) {
        struct expr **args = arena_alloc(binder->arena, 2 * sizeof *args);
        args[0] = *pattern;
        args[1] = (struct expr *)(uintptr_t)escape;
        return call_named(binder, "like_escape", args, 2, escape->location, pattern);
    }
    if (escape->constant.null || (*pattern)->constant.null) {
        *pattern = expr_const(binder, TYPE_TEXT, datum_null(), (*pattern)->location);
        return ERR_OK;
    }
    if (escape->constant.size > 1) {
        (void)bind_error(binder, -1, ERR_INVALID_ESCAPE_SEQUENCE, "invalid escape string");
        diag_hint(binder->diag, "Escape string must be empty or one character.");
        return ERR_INVALID_ESCAPE_SEQUENCE;
    }
    bool none = escape->constant.size == 0;
    uint8_t own = none ? 0 : escape->constant.p[0];
    if (!none && own == '\\') {
        return ERR_OK;
    }
    const uint8_t *from = (*pattern)->constant.p;
    uint32_t size = (*pattern)->constant.size, to = 0;
    uint8_t *text = arena_alloc(binder->arena, 2 * (size_t)size + 1);
    for (uint32_t i = 0; i < size; i++) {
        if (!none && from[i] == own) {
            text[to++] = '\\';
            if (i + 1 < size) {
                text[to++] = from[++i];
            }
            continue;
        }
        if (from[i] == '\\') {
            text[to++] = '\\';
        }
        text[to++] = from[i];
    }
    *pattern = expr_const(binder, TYPE_TEXT, datum_bytes(text, to), (*pattern)->location);
    return ERR_OK;
}

static enum err
bind_like(
    struct binder *binder, struct scope *scope, const struct ast_like *node, struct expr **expr)
{
    int32_t location = node->node.location;
    struct expr *operand, *pattern, *escape;
    TRY(bind_expr(binder, scope, node->operand, &operand));
    TRY(bind_expr(binder, scope, node->pattern, &pattern));
    if (node->kind == AST_LIKE_SIMILAR) {
        struct expr **args = arena_alloc(binder->arena, 2 * sizeof *args);
        uint32_t count = 1;
        args[0] = pattern;
        if (node->escape != NULL) {
            TRY(bind_expr(binder, scope, node->escape, &args[count++]));
        }
        TRY(call_named(binder, "similar_to_escape", args, count, location, &pattern));
        return bind_operator(binder, node->negated ? "!~" : "~", operand, pattern, location, expr);
    }
    if (node->escape != NULL) {
        bool done;
        TRY(bind_expr(binder, scope, node->escape, &escape));
        TRY(bind_coerce(binder, &escape, TYPE_TEXT, -1, CAST_IMPLICIT, &done));
        TRY(bind_coerce(binder, &pattern, TYPE_TEXT, -1, CAST_IMPLICIT, &done));
        TRY(rewrite_escape(binder, &pattern, escape));
    }
    const char *op = node->kind == AST_LIKE_ILIKE ? (node->negated ? "!~~*" : "~~*")
                                                  : (node->negated ? "!~~" : "~~");
    return bind_operator(binder, op, operand, pattern, location, expr);
}

/* ---- IS -------------------------------------------------------------------------------------- */

static enum err
bind_is_null_row(
    struct binder *binder, struct scope *scope, const struct ast_is *node, struct expr **expr)
{
    struct expr **list;
    uint32_t count;
    TRY(bind_list(binder, scope, ast_as_row(node->operand)->list, &list, &count));
    for (uint32_t i = 0; i < count; i++) {
        TRY(bind_to_text_if_unknown(binder, &list[i]));
        struct expr **one = arena_copy(binder->arena, &list[i], sizeof *one);
        list[i] = expr_list(binder, node->negated ? EXPR_IS_NOT_NULL : EXPR_IS_NULL, TYPE_BOOL,
            node->node.location, one, 1);
    }
    *expr = combine(binder, EXPR_AND, list, count, node->node.location);
    return ERR_OK;
}

static enum err
bind_is(struct binder *binder, struct scope *scope, const struct ast_is *node, struct expr **expr)
{
    int32_t location = node->node.location;
    if (node->kind == AST_IS_OTHER) {
        return bind_unsupported(binder, location, "this form of IS is");
    }
    if (node->kind == AST_IS_NULL && node->operand->kind == AST_ROW) {
        return bind_is_null_row(binder, scope, node, expr);
    }
    struct expr **list = arena_alloc(binder->arena, sizeof *list);
    TRY(bind_expr(binder, scope, node->operand, &list[0]));
    static const char *const names[][2] = {[AST_IS_TRUE] = {"IS TRUE", "IS NOT TRUE"},
        [AST_IS_FALSE] = {"IS FALSE", "IS NOT FALSE"},
        [AST_IS_UNKNOWN] = {"IS UNKNOWN", "IS NOT UNKNOWN"}};
    if (node->kind == AST_IS_NULL) {
        if (list[0]->kind != EXPR_PARAM) { /* of a parameter it tells no type */
            TRY(bind_to_text_if_unknown(binder, &list[0]));
        }
    } else {
        TRY(bind_to_boolean(binder, &list[0], names[node->kind][node->negated]));
    }
    if (node->kind == AST_IS_NULL || node->kind == AST_IS_UNKNOWN) {
        if (list[0]->type == TYPE_RECORD) {
            *expr = bind_record_nulls(binder, list[0], !node->negated, location);
            return ERR_OK;
        }
        if (list[0]->kind == EXPR_CONST) {
            *expr = expr_bool(binder, list[0]->constant.null != node->negated, location);
            return ERR_OK;
        }
        *expr = expr_list(
            binder, node->negated ? EXPR_IS_NOT_NULL : EXPR_IS_NULL, TYPE_BOOL, location, list, 1);
        return ERR_OK;
    }
    *expr = expr_list(binder, node->kind == AST_IS_TRUE ? EXPR_IS_TRUE : EXPR_IS_FALSE, TYPE_BOOL,
        location, list, 1);
    if (node->negated) {
        *expr = expr_not(binder, *expr);
    }
    return ERR_OK;
}

static enum err
make_distinct(struct binder *binder, struct expr *left, struct expr *right, int32_t location,
    struct expr **expr)
{
    struct expr *equal;
    TRY(bind_operator(binder, "=", left, right, location, &equal));
    if (equal->kind == EXPR_CALL) {
        *expr = expr_list(binder, EXPR_DISTINCT_FROM, TYPE_BOOL, location, equal->list, 2);
        (*expr)->function = equal->function;
        return ERR_OK;
    }
    bool null_left = expr_is_null_const(left), null_right = expr_is_null_const(right);
    if (!null_left && !null_right) {
        *expr = expr_bool(binder, equal->constant.null || equal->constant.i == 0, location);
        return ERR_OK;
    }
    if (null_left && null_right) {
        *expr = expr_bool(binder, false, location);
        return ERR_OK;
    }
    struct expr **list = arena_alloc(binder->arena, sizeof *list);
    list[0] = null_left ? right : left;
    TRY(bind_to_text_if_unknown(binder, &list[0]));
    *expr = expr_list(binder, EXPR_IS_NOT_NULL, TYPE_BOOL, location, list, 1);
    return ERR_OK;
}

static enum err
bind_distinct_from(struct binder *binder, struct scope *scope, const struct ast_distinct_from *node,
    struct expr **expr)
{
    int32_t location = node->node.location;
    if (node->left->kind == AST_ROW && node->right->kind == AST_ROW) {
        struct expr **l, **r;
        uint32_t l_count, r_count;
        TRY(bind_list(binder, scope, ast_as_row(node->left)->list, &l, &l_count));
        TRY(bind_list(binder, scope, ast_as_row(node->right)->list, &r, &r_count));
        TRY(check_row_sizes(binder, l_count, r_count, location));
        for (uint32_t i = 0; i < l_count; i++) {
            TRY(make_distinct(binder, l[i], r[i], location, &l[i]));
        }
        *expr = combine(binder, EXPR_OR, l, l_count, location);
    } else {
        struct expr *left, *right;
        TRY(bind_expr(binder, scope, node->left, &left));
        TRY(bind_expr(binder, scope, node->right, &right));
        TRY(make_distinct(binder, left, right, location, expr));
    }
    if (node->negated) {
        *expr = expr_not(binder, *expr);
    }
    return ERR_OK;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static enum err
bind_cast_node(
    struct binder *binder, struct scope *scope, const struct ast_cast *node, struct expr **expr)
{
    oid_t type;
    int32_t typmod;
    TRY(bind_type(binder, node->type, &type, &typmod));
    if (node->operand->kind == AST_ARRAY && type_element(type) != 0) {
        oid_t base = catalog_base_type(binder->context->catalog, type, &typmod);
        TRY(bind_array(
            binder, scope, ast_as_array(node->operand), type_element(base), typmod, expr));
        return base == type ? ERR_OK : bind_cast(binder, expr, type, -1, node->node.location);
    }
    TRY(bind_expr(binder, scope, node->operand, expr));
    return bind_cast(binder, expr, type, typmod, node->node.location);
}

static enum err
bind_collate(
    struct binder *binder, struct scope *scope, const struct ast_collate *node, struct expr **expr)
{
    if (strcmp(node->name, "C") != 0 && strcmp(node->name, "POSIX") != 0 &&
        strcmp(node->name, "default") != 0) {
        return bind_error(binder, node->node.location, ERR_UNDEFINED_OBJECT,
            "collation \"%s\" for encoding \"UTF8\" does not exist", node->name);
    }
    return bind_expr(binder, scope, node->operand, expr); /* all text is in C anyway */
}

static enum err
check_subquery_allowed(struct binder *binder, const struct scope *scope, int32_t location)
{
    if (scope->clause == CLAUSE_INDEX || scope->clause == CLAUSE_INDEX_PREDICATE) {
        return bind_error(binder, location, ERR_FEATURE_NOT_SUPPORTED,
            "cannot use subquery in index %s",
            scope->clause == CLAUSE_INDEX ? "expression" : "predicate");
    }
    if (scope->clause == CLAUSE_CHECK) {
        return bind_error(
            binder, location, ERR_FEATURE_NOT_SUPPORTED, "cannot use subquery in check constraint");
    }
    if (scope->clause == CLAUSE_DEFAULT) {
        return bind_error(binder, location, ERR_FEATURE_NOT_SUPPORTED,
            "cannot use subquery in DEFAULT expression");
    }
    return ERR_OK;
}

static enum err
bind_exists(
    struct binder *binder, struct scope *scope, const struct ast_exists *node, struct expr **expr)
{
    struct query *query;
    TRY(bind_select(binder, scope, node->query, &query));
    int32_t location = node->node.location;
    struct expr *outer, *tie;
    if (query_untie(binder, query, &outer, &tie)) {
        struct bound_subplan *bound = subplan_new(binder, query, SUBPLAN_ANY);
        bound->op = expr_operator(tie);
        struct expr *any = subplan_expr(binder, bound, TYPE_BOOL, location);
        any->function = tie->function;
        any->list = arena_alloc(binder->arena, sizeof *any->list);
        any->list[0] = outer;
        any->count = 1;
        struct expr **list = arena_alloc(binder->arena, sizeof *list);
        list[0] = any;
        *expr = expr_list(binder, EXPR_IS_TRUE, TYPE_BOOL, location, list, 1);
        return ERR_OK;
    }
    *expr = subplan_expr(binder, subplan_new(binder, query, SUBPLAN_EXISTS), TYPE_BOOL, location);
    return ERR_OK;
}

static enum err
bind_scalar_subquery(
    struct binder *binder, struct scope *scope, const struct ast_subquery *node, struct expr **expr)
{
    int32_t location = node->node.location;
    if (node->array) {
        return bind_array_subquery(binder, scope, node, expr);
    }
    struct query *query;
    TRY(bind_select(binder, scope, node->query, &query));
    if (query->column_count != 1) {
        return bind_error(binder, location, ERR_SYNTAX, "subquery must return only one column");
    }
    *expr = subplan_expr(
        binder, subplan_new(binder, query, SUBPLAN_SCALAR), query->targets[0].expr->type, location);
    (*expr)->typmod = query->targets[0].expr->typmod;
    return ERR_OK;
}

static enum err
bind_column(
    struct binder *binder, struct scope *scope, const struct ast_column *node, struct expr **expr)
{
    if (node->star) {
        return bind_star_row(binder, scope, node, expr);
    }
    if (scope->clause == CLAUSE_DEFAULT) {
        return bind_error(binder, node->node.location, ERR_FEATURE_NOT_SUPPORTED,
            "cannot use column reference in DEFAULT expression");
    }
    return scope_column(binder, scope, node, expr);
}

/* (row).column */
static enum err
bind_field(
    struct binder *binder, struct scope *scope, const struct ast_field *node, struct expr **expr)
{
    int32_t location = node->node.location;
    const struct ast_node *operand = node->operand;
    while (operand->kind == AST_ROW && !ast_as_row(operand)->explicit_row &&
           ast_list_count(ast_as_row(operand)->list) == 1) {
        operand = ast_list_at(ast_as_row(operand)->list, 0);
    }
    if (node->name == NULL) {
        return bind_error(binder, location, ERR_FEATURE_NOT_SUPPORTED,
            "row expansion via \"*\" is not supported here");
    }
    TRY(bind_expr(binder, scope, operand, expr));
    if (operand->kind == AST_COLUMN && ast_as_column(operand)->count == 1 &&
        (*expr)->kind == EXPR_CALL && scope_has_relation(scope, ast_as_column(operand)->parts[0])) {
        /* (t).column is t.column. */
        struct ast_column column = *ast_as_column(operand);
        column.parts[column.count++] = node->name;
        return scope_column(binder, scope, &column, expr);
    }
    return bind_record_field(binder, scope, *expr, node->name, location, expr);
}

static enum err
bind_by_kind(
    struct binder *binder, struct scope *scope, const struct ast_node *node, struct expr **expr)
{
    switch (node->kind) {
    case AST_CONST:
        return bind_const(binder, ast_as_const(node), expr);
    case AST_PARAM:
        return bind_param(binder, scope, ast_as_param(node), expr);
    case AST_COLUMN:
        return bind_column(binder, scope, ast_as_column(node), expr);
    case AST_OP:
        return bind_op(binder, scope, ast_as_op(node), expr);
    case AST_BOOL:
        return bind_bool(binder, scope, ast_as_bool(node), expr);
    case AST_CALL:
        return bind_call(binder, scope, ast_as_call(node), expr);
    case AST_CASE:
        return bind_case(binder, scope, ast_as_case(node), expr);
    case AST_LIST_CALL:
        return bind_list_call(binder, scope, ast_as_list_call(node), expr);
    case AST_IN:
        TRY(ast_as_in(node)->query != NULL ? check_subquery_allowed(binder, scope, node->location)
                                           : ERR_OK);
        return bind_in(binder, scope, ast_as_in(node), expr);
    case AST_ANY:
        TRY(ast_as_any(node)->query != NULL ? check_subquery_allowed(binder, scope, node->location)
                                            : ERR_OK);
        return bind_any(binder, scope, ast_as_any(node), expr);
    case AST_EXISTS:
        TRY(check_subquery_allowed(binder, scope, node->location));
        return bind_exists(binder, scope, ast_as_exists(node), expr);
    case AST_SUBQUERY:
        TRY(check_subquery_allowed(binder, scope, node->location));
        return bind_scalar_subquery(binder, scope, ast_as_subquery(node), expr);
    case AST_BETWEEN:
        return bind_between(binder, scope, ast_as_between(node), expr);
    case AST_LIKE:
        return bind_like(binder, scope, ast_as_like(node), expr);
    case AST_IS:
        return bind_is(binder, scope, ast_as_is(node), expr);
    case AST_DISTINCT_FROM:
        return bind_distinct_from(binder, scope, ast_as_distinct_from(node), expr);
    case AST_CAST:
        return bind_cast_node(binder, scope, ast_as_cast(node), expr);
    case AST_ROW:
        if (!ast_as_row(node)->explicit_row && ast_list_count(ast_as_row(node)->list) == 1) {
            return bind_expr(binder, scope, ast_list_at(ast_as_row(node)->list, 0), expr);
        }
        return bind_row(binder, scope, ast_as_row(node), expr);
    case AST_ARRAY:
        return bind_array(binder, scope, ast_as_array(node), 0, -1, expr);
    case AST_SUBSCRIPT:
        return bind_subscript(binder, scope, ast_as_subscript(node), expr);
    case AST_COLLATE:
        return bind_collate(binder, scope, ast_as_collate(node), expr);
    case AST_FIELD:
        return bind_field(binder, scope, ast_as_field(node), expr);
    case AST_SQL_VALUE:
        return bind_sql_value(binder, ast_as_sql_value(node), expr);
    case AST_DEFAULT:
        return bind_error(
            binder, node->location, ERR_SYNTAX, "DEFAULT is not allowed in this context");
    case AST_GROUPING:
        if (ast_as_grouping(node)->kind != AST_GROUPING_CALL) {
            return bind_unsupported(binder, node->location, "a grouping set here is");
        }
        return bind_grouping(binder, scope, ast_as_grouping(node), expr);
    default:
        return bind_unsupported(binder, node->location, "this kind of expression is");
    }
}

enum err
bind_expr(
    struct binder *binder, struct scope *scope, const struct ast_node *node, struct expr **expr)
{
    TRY(bind_check_stack(binder));
    binder->depth++;
    enum err err = bind_by_kind(binder, scope, node, expr);
    binder->depth--;
    return err;
}

enum err
bind_condition(struct binder *binder, struct scope *scope, const struct ast_node *node,
    const char *where, struct expr **expr)
{
    TRY(bind_expr(binder, scope, node, expr));
    return bind_to_boolean(binder, expr, where);
}

enum err
bind_text(struct binder *binder, struct scope *scope, const char *text, enum clause clause,
    struct expr **expr)
{
    struct ast_node *node;
    TRY(parser_parse_expression(binder->arena, text, strlen(text), &node, binder->diag));
    const char *around = binder->text;
    enum clause before = scope->clause;
    binder->text = NULL;
    scope->clause = clause;
    enum err err = bind_expr(binder, scope, node, expr);
    scope->clause = before;
    binder->text = around;
    return err;
}

const char *
bind_column_name(const struct ast_node *node)
{
    const char *inner;
    switch (node->kind) {
    case AST_COLUMN: {
        const struct ast_column *column = ast_as_column(node);
        return column->star || column->count == 0 ? "?column?" : column->parts[column->count - 1];
    }
    case AST_CALL:
        return ast_as_call(node)->name;
    case AST_CASE:
        inner = ast_as_case(node)->otherwise == NULL
                    ? "?column?"
                    : bind_column_name(ast_as_case(node)->otherwise);
        return strcmp(inner, "?column?") == 0 ? "case" : inner;
    case AST_LIST_CALL: {
        static const char *const names[] = {[AST_COALESCE] = "coalesce",
            [AST_NULLIF] = "nullif",
            [AST_GREATEST] = "greatest",
            [AST_LEAST] = "least"};
        return names[ast_as_list_call(node)->kind];
    }
    case AST_EXISTS:
        return "exists";
    case AST_ARRAY:
        return "array";
    case AST_ROW:
        return "row";
    case AST_GROUPING:
        return "grouping";
    case AST_COLLATE:
        return bind_column_name(ast_as_collate(node)->operand);
    case AST_FIELD:
        return ast_as_field(node)->name == NULL ? "?column?" : ast_as_field(node)->name;
    case AST_SUBSCRIPT:
        return bind_column_name(ast_as_subscript(node)->operand);
    case AST_CAST: {
        const struct ast_node *operand = ast_as_cast(node)->operand;
        while (operand->kind == AST_CAST) {
            operand = ast_as_cast(operand)->operand;
        }
        inner = bind_column_name(operand);
        return strcmp(inner, "?column?") == 0 ? ast_as_cast(node)->type->name : inner;
    }
    case AST_SUBQUERY: {
        const struct ast_select *query = ast_as_subquery(node)->query;
        while (query->op != AST_SET_NONE) {
            query = query->left;
        }
        if (ast_as_subquery(node)->array) {
            return "array";
        }
        if (ast_list_count(query->targets) == 0) {
            return ast_list_count(query->values) > 0 ? "column1" : "?column?";
        }
        const struct ast_target *target = ast_as_target(ast_list_at(query->targets, 0));
        return target->name != NULL ? target->name : bind_column_name(target->value);
    }
    case AST_SQL_VALUE: {
        static const char *const names[] = {[AST_CURRENT_DATE] = "current_date",
            [AST_CURRENT_TIME] = "current_time",
            [AST_CURRENT_TIMESTAMP] = "current_timestamp",
            [AST_LOCALTIME] = "localtime",
            [AST_LOCALTIMESTAMP] = "localtimestamp",
            [AST_CURRENT_USER] = "current_user",
            [AST_CURRENT_ROLE] = "current_role",
            [AST_SESSION_USER] = "session_user",
            [AST_USER] = "user",
            [AST_CURRENT_CATALOG] = "current_catalog",
            [AST_CURRENT_SCHEMA] = "current_schema"};
        return names[ast_as_sql_value(node)->kind];
    }
    case AST_CONST:
        return ast_as_const(node)->kind == AST_CONST_BOOL ? "bool" : "?column?";
    default:
        return "?column?";
    }
}
