/*
 * sql/bind/node.c - making, folding, comparing and walking bound expressions.
 */
#include "sql/bind/bind.h"

#include <stdarg.h>
#include <stdio.h>

#include "parser/parser.h"

enum {
    STACK_RESERVE = 20 * 1024, /* walkers use less than the binder did at the same depth */
    DEPTH_MAX = 2000,          /* where there is no task to ask (tests) */
};

/* ---- arrays ---------------------------------------------------------------------------------- */

static void *
grow(struct arena *arena, void *items, uint32_t count, uint32_t *capacity)
{
    uint32_t wanted = *capacity == 0 ? 4 : *capacity * 2;
    void *bigger = arena_alloc_raw(arena, wanted * sizeof(void *));
    if (count > 0) {
        memcpy(bigger, items, count * sizeof(void *));
    }
    *capacity = wanted;
    return bigger;
}

void
expr_vec_add(struct arena *arena, struct expr_vec *vec, struct expr *expr)
{
    if (vec->count == vec->capacity) {
        vec->items = grow(arena, vec->items, vec->count, &vec->capacity);
    }
    vec->items[vec->count++] = expr;
}

void
vec_add(struct arena *arena, struct vec *vec, void *item)
{
    if (vec->count == vec->capacity) {
        vec->items = grow(arena, vec->items, vec->count, &vec->capacity);
    }
    vec->items[vec->count++] = item;
}

/* ---- errors ---------------------------------------------------------------------------------- */

void
bind_locate(struct binder *binder, int32_t location)
{
    if (binder->text != NULL && location >= 0 && binder->diag != NULL) {
        diag_position(binder->diag, parser_position(binder->text, binder->text_size, location));
    }
}

enum err
bind_error(struct binder *binder, int32_t location, enum err code, const char *fmt, ...)
{
    char message[DIAG_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    (void)diag_set(binder->diag, code, "%s", message);
    bind_locate(binder, location);
    return code;
}

enum err
bind_unsupported(struct binder *binder, int32_t location, const char *what)
{
    return bind_error(binder, location, ERR_FEATURE_NOT_SUPPORTED, "%s not supported", what);
}

enum err
bind_check_stack(struct binder *binder)
{
    bool deep = binder->task != NULL ? task_stack_left(binder->task) < STACK_RESERVE
                                     : binder->depth > DEPTH_MAX;
    if (deep) {
        (void)diag_set(binder->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
        diag_hint(binder->diag, "The statement nests its expressions or queries too deeply.");
        return ERR_STATEMENT_TOO_COMPLEX;
    }
    return ERR_OK;
}

const char *
bind_type_name(struct binder *binder, oid_t type)
{
    if (type == TYPE_UNKNOWN || type == 0) {
        return "unknown";
    }
    return type_format(binder->context->env, binder->arena, type, -1);
}

reg_t
bind_registers(struct binder *binder, uint32_t count)
{
    reg_t first = binder->next_reg;
    binder->next_reg += count;
    return first;
}

/* ---- making ---------------------------------------------------------------------------------- */

struct expr *
expr_new(struct binder *binder, enum expr_kind kind, oid_t type, int32_t typmod, int32_t location)
{
    size_t size = kind == EXPR_CALL ? sizeof(struct call_expr) : sizeof(struct expr);
    struct expr *expr = arena_alloc(binder->arena, size);
    expr->kind = kind;
    expr->type = type;
    expr->typmod = typmod;
    expr->location = location;
    return expr;
}

struct expr *
expr_const(struct binder *binder, oid_t type, struct datum value, int32_t location)
{
    struct expr *expr = expr_new(binder, EXPR_CONST, type, -1, location);
    expr->constant = value;
    return expr;
}

struct expr *
expr_bool(struct binder *binder, bool value, int32_t location)
{
    return expr_const(binder, TYPE_BOOL, datum_bool(value), location);
}

struct expr *
expr_register(struct binder *binder, reg_t reg, oid_t type, int32_t typmod, int32_t location)
{
    struct expr *expr = expr_new(binder, EXPR_REGISTER, type, typmod, location);
    expr->reg = reg;
    return expr;
}

struct expr *
expr_list(struct binder *binder, enum expr_kind kind, oid_t type, int32_t location,
    struct expr **list, uint32_t count)
{
    struct expr *expr = expr_new(binder, kind, type, -1, location);
    expr->list = list;
    expr->count = count;
    return expr;
}

struct expr *
expr_call(struct binder *binder, const struct function *function, const struct operator_def *op,
    struct expr **list, uint32_t count, int32_t location)
{
    struct expr *expr = expr_new(binder, EXPR_CALL, function->result, -1, location);
    expr->function = function;
    expr->list = list;
    expr->count = count;
    ((struct call_expr *)(void *)expr)->op = op;
    binder->advisory |= (function->flags & FUNCTION_ADVISORY) != 0;
    return expr_fold(binder, expr);
}

const struct operator_def *
expr_operator(const struct expr *expr)
{
    return expr->kind == EXPR_CALL ? ((const struct call_expr *)(const void *)expr)->op : NULL;
}

/* The same value under another type with the same bytes. */
struct expr *
expr_relabel(struct binder *binder, struct expr *expr, oid_t type)
{
    switch (expr->kind) {
    case EXPR_TYPMOD:
    case EXPR_TEXT_IO:
    case EXPR_GREATEST:
    case EXPR_LEAST: {
        /* Their own type says what they do, so it must stay. */
        struct expr **list = arena_alloc(binder->arena, sizeof *list);
        list[0] = expr;
        return expr_list(binder, EXPR_COALESCE, type, expr->location, list, 1);
    }
    default: {
        size_t size = expr->kind == EXPR_CALL ? sizeof(struct call_expr) : sizeof(struct expr);
        struct expr *copy = arena_copy(binder->arena, expr, size);
        copy->type = type;
        copy->typmod = -1;
        return copy;
    }
    }
}

struct expr *
expr_not(struct binder *binder, struct expr *expr)
{
    if (expr->kind == EXPR_CONST) {
        return expr->constant.null ? expr
                                   : expr_bool(binder, expr->constant.i == 0, expr->location);
    }
    if (expr->kind == EXPR_IS_NULL || expr->kind == EXPR_IS_NOT_NULL) {
        struct expr *other = arena_copy(binder->arena, expr, sizeof *expr);
        other->kind = expr->kind == EXPR_IS_NULL ? EXPR_IS_NOT_NULL : EXPR_IS_NULL;
        return other;
    }
    struct expr **list = arena_alloc(binder->arena, sizeof *list);
    list[0] = expr;
    return expr_list(binder, EXPR_NOT, TYPE_BOOL, expr->location, list, 1);
}

bool
expr_is_null_const(const struct expr *expr)
{
    return expr->kind == EXPR_CONST && expr->constant.null;
}

static bool
all_const(const struct expr *expr)
{
    for (uint32_t i = 0; i < expr->count; i++) {
        if (expr->list[i]->kind != EXPR_CONST) {
            return false;
        }
    }
    return true;
}

static bool
any_null(const struct expr *expr)
{
    for (uint32_t i = 0; i < expr->count; i++) {
        if (expr_is_null_const(expr->list[i])) {
            return true;
        }
    }
    return false;
}

static struct expr *
fold_call(struct binder *binder, struct expr *expr)
{
    const struct function *function = expr->function;
    if (expr->type == TYPE_RECORD) {
        return expr; /* as a value it would not say what its fields are called (record.c) */
    }
    if ((function->flags & (FUNCTION_SET | FUNCTION_AGGREGATE)) == 0 &&
        (function->flags & FUNCTION_STRICT) != 0 && any_null(expr)) {
        /* Whatever the others are: PostgreSQL does not compute them either. */
        return expr_const(binder, expr->type, datum_null(), expr->location);
    }
    if (function->call == NULL || expr->count > FUNCTION_ARGS_MAX ||
        (function->flags & (FUNCTION_STABLE | FUNCTION_VOLATILE | FUNCTION_SET |
                               FUNCTION_AGGREGATE | FUNCTION_ROUTINE)) != 0 ||
        !all_const(expr)) {
        return expr;
    }
    struct datum args[FUNCTION_ARGS_MAX];
    for (uint32_t i = 0; i < expr->count; i++) {
        args[i] = expr->list[i]->constant;
    }
    struct eval eval = {
        .task = binder->task, .arena = binder->arena, .diag = NULL, .env = binder->context->env};
    struct datum result = {0};
    if (function->call(&eval, args, (int)expr->count, &result) != ERR_OK) {
        return expr; /* 1/0 is an error only where it is computed (CASE) */
    }
    struct expr *value = expr_const(binder, expr->type, result, expr->location);
    value->typmod = expr->typmod;
    return value;
}

struct expr *
expr_fold(struct binder *binder, struct expr *expr)
{
    if (expr->kind == EXPR_CALL) {
        return fold_call(binder, expr);
    }
    if (expr->kind == EXPR_TYPMOD && expr->list[0]->kind == EXPR_CONST) {
        const struct expr *from = expr->list[0];
        struct datum value = from->constant;
        struct eval eval = {.task = binder->task,
            .arena = binder->arena,
            .diag = NULL,
            .env = binder->context->env};
        if (!value.null && type_apply_typmod(&eval, expr->type, expr->typmod, expr->explicit_cast,
                               from->constant, &value) != ERR_OK) {
            return expr;
        }
        struct expr *folded = expr_const(binder, expr->type, value, expr->location);
        folded->typmod = expr->typmod;
        return folded;
    }
    return expr;
}

/* ---- looking at ------------------------------------------------------------------------------ */

static bool
datum_same(oid_t type, struct datum a, struct datum b)
{
    if (a.null || b.null) {
        return a.null == b.null;
    }
    const struct type *info = type_by_oid(type);
    if (type == TYPE_UNKNOWN || (info != NULL && info->by_reference)) {
        return a.size == b.size && (a.size == 0 || memcmp(a.p, b.p, a.size) == 0);
    }
    return a.i == b.i;
}

/* Copies with real types (bind_polymorphic) are the same function if their types are. */
static bool
same_function(const struct function *a, const struct function *b)
{
    return a == b || (a != NULL && b != NULL && a->oid == b->oid && a->result == b->result);
}

bool
expr_equal(const struct expr *a, const struct expr *b)
{
    if (a == b) {
        return true;
    }
    if (a->kind != b->kind || a->type != b->type) {
        return false;
    }
    switch (a->kind) {
    case EXPR_CONST:
        return datum_same(a->type, a->constant, b->constant);
    case EXPR_PARAM:
        return a->param == b->param;
    case EXPR_REGISTER:
        return a->reg == b->reg;
    case EXPR_SUBPLAN:
        return a->subplan == b->subplan;
    default:
        break;
    }
    if (!same_function(a->function, b->function) || a->count != b->count ||
        (a->kind == EXPR_TYPMOD && a->typmod != b->typmod)) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (!expr_equal(a->list[i], b->list[i])) {
            return false;
        }
    }
    return true;
}

static bool
has_list(const struct expr *expr)
{
    return expr->kind != EXPR_CONST && expr->kind != EXPR_PARAM && expr->kind != EXPR_REGISTER;
}

bool
expr_volatile(const struct expr *expr)
{
    if (!has_list(expr)) {
        return false;
    }
    if (expr->function != NULL && (expr->function->flags & FUNCTION_VOLATILE) != 0) {
        return true;
    }
    for (uint32_t i = 0; i < expr->count; i++) {
        if (expr_volatile(expr->list[i])) {
            return true;
        }
    }
    return false;
}

bool
expr_has_subplan(const struct expr *expr)
{
    if (!has_list(expr)) {
        return false;
    }
    if (expr->kind == EXPR_SUBPLAN) {
        return true;
    }
    for (uint32_t i = 0; i < expr->count; i++) {
        if (expr_has_subplan(expr->list[i])) {
            return true;
        }
    }
    return false;
}

void
expr_conjuncts(struct arena *arena, struct expr *expr, struct expr_vec *to)
{
    if (expr->kind == EXPR_AND) {
        for (uint32_t i = 0; i < expr->count; i++) {
            expr_conjuncts(arena, expr->list[i], to);
        }
    } else if (expr->kind != EXPR_CONST || expr->constant.null || expr->constant.i == 0) {
        expr_vec_add(arena, to, expr);
    }
}

enum err
expr_children(struct expr *expr, enum err (*visit)(void *arg, struct expr *child), void *arg)
{
    if (has_list(expr)) {
        for (uint32_t i = 0; i < expr->count; i++) {
            TRY(visit(arg, expr->list[i]));
        }
    }
    return ERR_OK;
}

const struct expr *
expr_strip_integers(const struct expr *expr)
{
    while (expr->kind == EXPR_CALL && expr->count == 1 &&
           ((const struct call_expr *)(const void *)expr)->cast && type_is_integer(expr->type) &&
           type_is_integer(expr->list[0]->type)) {
        expr = expr->list[0];
    }
    return expr;
}

void
expr_reads(const struct expr *expr, void (*read)(void *arg, reg_t reg), void *arg)
{
    if (expr->kind == EXPR_REGISTER) {
        read(arg, expr->reg);
        return;
    }
    if (!has_list(expr)) {
        return;
    }
    for (uint32_t i = 0; i < expr->count; i++) {
        expr_reads(expr->list[i], read, arg);
    }
    if (expr->kind == EXPR_SUBPLAN) {
        query_reads(((const struct bound_subplan *)(const void *)expr->subplan)->query, read, arg);
    }
}

static void
tree_reads(const struct join_tree *tree, void (*read)(void *arg, reg_t reg), void *arg)
{
    for (uint32_t i = 0; i < tree->conds.count; i++) {
        expr_reads(tree->conds.items[i], read, arg);
    }
    if (tree->kind == TREE_JOIN) {
        tree_reads(tree->left, read, arg);
        tree_reads(tree->right, read, arg);
    } else if (tree->kind == TREE_LIST) {
        for (uint32_t i = 0; i < tree->items.count; i++) {
            tree_reads(tree->items.items[i], read, arg);
        }
    } else {
        const struct rel *rel = tree->rel;
        if (rel->kind == REL_QUERY) {
            query_reads(rel->query, read, arg);
        }
        if (rel->kind == REL_SHARED && !rel->work && rel->shared->query != NULL &&
            rel->shared->query->correlated) {
            query_reads(rel->shared->query, read, arg);
            if (rel->shared->step != NULL) {
                query_reads(rel->shared->step, read, arg);
            }
        }
        for (uint32_t i = 0; i < rel->arg_count; i++) {
            expr_reads(rel->args[i], read, arg);
        }
    }
}

static void
list_reads(struct expr **list, uint32_t count, void (*read)(void *arg, reg_t reg), void *arg)
{
    for (uint32_t i = 0; i < count; i++) {
        expr_reads(list[i], read, arg);
    }
}

static void
aggregate_reads(
    const struct plan_aggregate *aggregate, void (*read)(void *arg, reg_t reg), void *arg)
{
    list_reads(aggregate->args, aggregate->arg_count, read, arg);
    for (uint32_t i = 0; i < aggregate->order_count; i++) {
        expr_reads(aggregate->order_targets[i].expr, read, arg);
    }
    if (aggregate->filter != NULL) {
        expr_reads(aggregate->filter, read, arg);
    }
}

static void
window_reads(const struct window *window, void (*read)(void *arg, reg_t reg), void *arg)
{
    list_reads(window->partition, window->partition_count, read, arg);
    for (uint32_t i = 0; i < window->order_count; i++) {
        expr_reads(window->order[i].expr, read, arg);
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (window->frame.offsets[i] != NULL) {
            expr_reads(window->frame.offsets[i], read, arg);
        }
    }
    for (uint32_t c = 0; c < window->calls.count; c++) {
        const struct window_call *call = window->calls.items[c];
        list_reads(call->args, call->arg_count, read, arg);
        if (call->filter != NULL) {
            expr_reads(call->filter, read, arg);
        }
    }
}

void
query_reads(const struct query *query, void (*read)(void *arg, reg_t reg), void *arg)
{
    if (query->from != NULL) {
        tree_reads(query->from, read, arg);
    }
    list_reads(query->where.items, query->where.count, read, arg);
    for (uint32_t i = 0; i < query->target_count; i++) {
        expr_reads(query->targets[i].expr, read, arg);
    }
    for (uint32_t i = 0; i < query->group_count; i++) {
        expr_reads(query->groups[i].expr, read, arg);
    }
    for (uint32_t i = 0; i < query->aggregates.count; i++) {
        aggregate_reads(query->aggregates.items[i], read, arg);
    }
    for (uint32_t i = 0; i < query->windows.count; i++) {
        window_reads(query->windows.items[i], read, arg);
    }
    if (query->set_function != NULL) {
        list_reads(query->set_function->args, query->set_function->arg_count, read, arg);
    }
    struct expr *single[] = {query->having, query->limit, query->offset};
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
        if (single[i] != NULL) {
            expr_reads(single[i], read, arg);
        }
    }
    if (query->kind == QUERY_SET) {
        query_reads(query->left, read, arg);
        query_reads(query->right, read, arg);
        list_reads(query->left_exprs, query->column_count, read, arg);
        list_reads(query->right_exprs, query->column_count, read, arg);
    }
    if (query->kind == QUERY_VALUES) {
        list_reads(query->values, query->row_count * query->column_count, read, arg);
    }
}

struct rel *
query_rel(const struct query *query, reg_t reg)
{
    for (uint32_t i = 0; i < query->rels.count; i++) {
        struct rel *rel = query->rels.items[i];
        if (reg >= rel->base && reg - rel->base < rel->reg_count) {
            return rel;
        }
    }
    return NULL;
}
