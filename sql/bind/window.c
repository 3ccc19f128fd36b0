/*
 * sql/bind/window.c - f(..) OVER (..) and the clause WINDOW.
 *
 * A call leaves a register in its place, like an aggregate. Calls with the same window share one
 * struct window; what they look at stays expressions, which sql/plan puts into registers below the
 * node that runs them.
 */
#include "sql/bind/bind.h"

/* ---- definitions ----------------------------------------------------------------------------- */

static struct window *
window_by_name(const struct query *query, const char *name)
{
    for (uint32_t i = 0; i < query->windows.count; i++) {
        struct window *window = query->windows.items[i];
        if (window->name != NULL && strcmp(window->name, name) == 0) {
            return window;
        }
    }
    return NULL;
}

static enum err
check_sorted(struct binder *binder, const struct expr *expr, const char *what, int32_t location)
{
    if (type_is_ordered(expr->type)) {
        return ERR_OK;
    }
    return bind_error(binder, location, ERR_UNDEFINED_FUNCTION,
        "could not identify an %s operator for type %s", what, bind_type_name(binder, expr->type));
}

static enum err
bind_partition(
    struct binder *binder, struct scope *scope, const struct ast_list *list, struct window *window)
{
    uint32_t count = ast_list_count(list);
    window->partition = arena_alloc(binder->arena, (count + 1) * sizeof *window->partition);
    AST_FOREACH(at, list)
    {
        struct expr *expr;
        TRY(bind_expr(binder, scope, *at, &expr));
        TRY(bind_to_text_if_unknown(binder, &expr));
        TRY(check_sorted(binder, expr, "equality", (*at)->location));
        window->partition[window->partition_count++] = expr;
    }
    return ERR_OK;
}

static enum err
bind_order(
    struct binder *binder, struct scope *scope, const struct ast_list *list, struct window *window)
{
    uint32_t count = ast_list_count(list);
    window->order = arena_alloc(binder->arena, (count + 1) * sizeof *window->order);
    AST_FOREACH(at, list)
    {
        const struct ast_sort *sort = ast_as_sort(*at);
        if (sort->order == AST_SORT_USING) {
            return bind_unsupported(binder, sort->node.location, "ORDER BY USING in a window is");
        }
        struct expr *expr;
        TRY(bind_expr(binder, scope, sort->expr, &expr));
        TRY(bind_to_text_if_unknown(binder, &expr));
        TRY(check_sorted(binder, expr, "ordering", sort->expr->location));
        bool down = sort->order == AST_SORT_DESC;
        window->order[window->order_count++] = (struct window_order){.expr = expr,
            .descending = down,
            .nulls_first =
                sort->nulls == AST_NULLS_DEFAULT ? down : sort->nulls == AST_NULLS_FIRST};
    }
    return ERR_OK;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static enum err
check_frame(struct binder *binder, const struct ast_frame *ast)
{
    const struct ast_frame_bound *start = &ast->start, *end = &ast->end;
    const char *wrong = NULL;
    int32_t location = start->location;
    if (start->kind == AST_UNBOUNDED_FOLLOWING) {
        wrong = "frame start cannot be UNBOUNDED FOLLOWING";
    } else if (end->kind == AST_UNBOUNDED_PRECEDING) {
        wrong = "frame end cannot be UNBOUNDED PRECEDING";
        location = end->location;
    } else if (start->kind == AST_CURRENT_ROW && end->kind == AST_OFFSET_PRECEDING) {
        wrong = "frame starting from current row cannot have preceding rows";
        location = end->location;
    } else if (start->kind == AST_OFFSET_FOLLOWING && end->kind < AST_OFFSET_FOLLOWING) {
        wrong = end->kind == AST_CURRENT_ROW && end->location <= 0
                    ? "frame starting from following row cannot end with current row"
                    : "frame starting from following row cannot have preceding rows";
        location = end->kind == AST_CURRENT_ROW && end->location <= 0 ? location : end->location;
        if (end->kind == AST_CURRENT_ROW && end->location > 0) {
            wrong = "frame starting from following row cannot have preceding rows";
        }
    }
    return wrong == NULL ? ERR_OK : bind_error(binder, location, ERR_WINDOWING, "%s", wrong);
}

struct own_check {
    const struct query *query;
    bool own;
};

static void
check_own(void *arg, reg_t reg)
{
    struct own_check *check = arg;
    check->own |= reg >= check->query->first_reg;
}

/* RANGE: where the frame's edge is, seen from the current row's key. */
static enum err
bind_range_bound(struct binder *binder, struct window *window, int side,
    enum ast_frame_bound_kind kind, int32_t location)
{
    const struct window_order *order = &window->order[0];
    struct plan_frame *frame = &window->frame;
    struct expr *key = order->expr, *offset = frame->offsets[side];
    /* Integers are counted as numeric, and so never overflow. */
    bool integer = key->type == TYPE_INT2 || key->type == TYPE_INT4 || key->type == TYPE_INT8;
    bool integer_offset =
        offset->type == TYPE_INT2 || offset->type == TYPE_INT4 || offset->type == TYPE_INT8;
    bool moment = key->type == TYPE_DATE || key->type == TYPE_TIME || key->type == TYPE_TIMESTAMP ||
                  key->type == TYPE_TIMESTAMPTZ || key->type == TYPE_INTERVAL;
    bool done = true;
    if (offset->type == TYPE_UNKNOWN) {
        oid_t type = moment ? TYPE_INTERVAL : key->type;
        TRY(bind_coerce(binder, &offset, type, -1, CAST_IMPLICIT, &done));
        integer_offset = integer;
    }
    bool fits = integer  ? integer_offset
                : moment ? offset->type == TYPE_INTERVAL
                : key->type == TYPE_NUMERIC
                    ? integer_offset || offset->type == TYPE_NUMERIC
                    : (key->type == TYPE_FLOAT4 || key->type == TYPE_FLOAT8) &&
                          (offset->type == TYPE_FLOAT4 || offset->type == TYPE_FLOAT8 ||
                              offset->type == TYPE_NUMERIC || integer_offset);
    if (!fits) {
        bool number = integer || key->type == TYPE_NUMERIC || key->type == TYPE_FLOAT4 ||
                      key->type == TYPE_FLOAT8 || moment;
        (void)bind_error(binder, location, ERR_FEATURE_NOT_SUPPORTED,
            number ? "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s "
                     "and offset type %s"
                   : "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s",
            bind_type_name(binder, key->type), bind_type_name(binder, offset->type));
        if (number) {
            diag_hint(binder->diag, "Cast the offset value to an appropriate type.");
        }
        return ERR_FEATURE_NOT_SUPPORTED;
    }
    oid_t type = key->type;
    if (integer || type == TYPE_NUMERIC) {
        type = TYPE_NUMERIC;
        TRY(bind_cast(binder, &offset, TYPE_NUMERIC, -1, location));
    } else if (type == TYPE_FLOAT4 || type == TYPE_FLOAT8) {
        type = TYPE_FLOAT8;
        TRY(bind_cast(binder, &offset, TYPE_FLOAT8, -1, location));
    } else if (type == TYPE_DATE) {
        type = TYPE_TIMESTAMP;
    } else if (type == TYPE_TIME) {
        type = TYPE_INTERVAL; /* it does not wrap around at midnight */
    }
    if (window->range_key == NULL) {
        window->range_key = key;
        TRY(bind_cast(binder, &window->range_key, type, -1, location));
        frame->range_type = type;
        frame->range_key = bind_registers(binder, 1);
    }
    frame->offsets[side] = offset;
    frame->offset_types[side] = offset->type;
    bool minus = (kind == AST_OFFSET_PRECEDING) != order->descending;
    struct expr *from = expr_register(binder, frame->range_key, type, -1, -1);
    struct expr *by = expr_register(binder, frame->offset_regs[side], offset->type, -1, -1);
    return bind_operator(binder, minus ? "-" : "+", from, by, location, &frame->bounds[side]);
}

static enum err
bind_offset(struct binder *binder, struct scope *scope, const struct ast_frame_bound *bound,
    int side, struct window *window)
{
    struct plan_frame *frame = &window->frame;
    if (bound->offset == NULL) {
        return ERR_OK;
    }
    struct expr *expr;
    TRY(bind_expr(binder, scope, bound->offset, &expr));
    static const char *const names[] = {
        [AST_FRAME_RANGE] = "RANGE", [AST_FRAME_ROWS] = "ROWS", [AST_FRAME_GROUPS] = "GROUPS"};
    struct own_check check = {.query = scope->query};
    expr_reads(expr, check_own, &check);
    if (check.own) {
        return bind_error(binder, bound->location, ERR_INVALID_COLUMN_REFERENCE,
            "argument of %s must not contain variables", names[frame->unit]);
    }
    frame->offset_regs[side] = bind_registers(binder, 1);
    frame->offsets[side] = expr;
    if (frame->unit == AST_FRAME_RANGE) {
        return bind_range_bound(binder, window, side, bound->kind, bound->location);
    }
    TRY(bind_to_bigint(binder, &frame->offsets[side], names[frame->unit]));
    frame->offset_types[side] = TYPE_INT8;
    return ERR_OK;
}

static enum err
bind_frame(
    struct binder *binder, struct scope *scope, const struct ast_window *ast, struct window *window)
{
    const struct ast_frame *from = ast->frame;
    if (from == NULL) {
        window->frame.start = AST_UNBOUNDED_PRECEDING;
        window->frame.end = AST_CURRENT_ROW;
        window->frame.unit = AST_FRAME_RANGE;
        return ERR_OK;
    }
    TRY(check_frame(binder, from));
    window->framed = true;
    window->frame.unit = from->unit;
    window->frame.start = from->start.kind;
    window->frame.end = from->end.kind;
    window->frame.exclusion = from->exclusion;
    bool offset = from->start.offset != NULL || from->end.offset != NULL;
    if (from->unit == AST_FRAME_RANGE && offset && window->order_count != 1) {
        return bind_error(binder, ast->node.location, ERR_WINDOWING,
            "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column");
    }
    if (from->unit == AST_FRAME_GROUPS && window->order_count == 0) {
        return bind_error(
            binder, ast->node.location, ERR_WINDOWING, "GROUPS mode requires an ORDER BY clause");
    }
    TRY(bind_offset(binder, scope, &from->start, 0, window));
    return bind_offset(binder, scope, &from->end, 1, window);
}

/* ---- a window -------------------------------------------------------------------------------- */

static enum err
copy_base(struct binder *binder, const struct query *query, const struct ast_window *ast,
    struct window *window)
{
    const struct window *base = window_by_name(query, ast->base);
    int32_t location = ast->node.location;
    if (base == NULL) {
        return bind_error(
            binder, location, ERR_UNDEFINED_OBJECT, "window \"%s\" does not exist", ast->base);
    }
    if (ast_list_count(ast->partition) > 0) {
        return bind_error(binder, location, ERR_WINDOWING,
            "cannot override PARTITION BY clause of window \"%s\"", ast->base);
    }
    if (base->order_count > 0 && ast_list_count(ast->order) > 0) {
        return bind_error(binder, location, ERR_WINDOWING,
            "cannot override ORDER BY clause of window \"%s\"", ast->base);
    }
    if (base->framed) {
        (void)bind_error(binder, location, ERR_WINDOWING,
            "cannot copy window \"%s\" because it has a frame clause", ast->base);
        if (ast->name == NULL && ast_list_count(ast->order) == 0 && ast->frame == NULL) {
            diag_hint(binder->diag, "Omit the parentheses in this OVER clause.");
        }
        return ERR_WINDOWING;
    }
    window->partition = base->partition;
    window->partition_count = base->partition_count;
    window->order = base->order;
    window->order_count = base->order_count;
    return ERR_OK;
}

static enum err
bind_window(struct binder *binder, struct scope *scope, const struct ast_window *ast,
    struct window **result)
{
    struct window *window = arena_alloc(binder->arena, sizeof *window);
    enum clause clause = scope->clause;
    bool in_window = scope->in_window;
    scope->clause = CLAUSE_WINDOW;
    scope->in_window = true;
    enum err err = ERR_OK;
    if (ast->base != NULL) {
        err = copy_base(binder, scope->query, ast, window);
    } else {
        err = bind_partition(binder, scope, ast->partition, window);
    }
    if (err == ERR_OK && window->order_count == 0) {
        err = bind_order(binder, scope, ast->order, window);
    }
    if (err == ERR_OK) {
        err = bind_frame(binder, scope, ast, window);
    }
    scope->clause = clause;
    scope->in_window = in_window;
    *result = window;
    return err;
}

enum err
bind_windows(struct binder *binder, struct scope *scope, const struct ast_list *list)
{
    AST_FOREACH(at, list)
    {
        const struct ast_window *ast = ast_as_window(*at);
        if (window_by_name(scope->query, ast->name) != NULL) {
            return bind_error(binder, ast->node.location, ERR_WINDOWING,
                "window \"%s\" is already defined", ast->name);
        }
        struct window *window;
        TRY(bind_window(binder, scope, ast, &window));
        window->name = ast->name;
        vec_add(binder->arena, &scope->query->windows, window);
    }
    return ERR_OK;
}

static bool
same_window(const struct window *a, const struct window *b)
{
    if (a->partition_count != b->partition_count || a->order_count != b->order_count ||
        a->frame.unit != b->frame.unit || a->frame.start != b->frame.start ||
        a->frame.end != b->frame.end || a->frame.exclusion != b->frame.exclusion ||
        a->frame.offsets[0] != NULL || a->frame.offsets[1] != NULL || b->frame.offsets[0] != NULL ||
        b->frame.offsets[1] != NULL) {
        return false;
    }
    for (uint32_t i = 0; i < a->partition_count; i++) {
        if (!expr_equal(a->partition[i], b->partition[i]) || expr_volatile(a->partition[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < a->order_count; i++) {
        if (!expr_equal(a->order[i].expr, b->order[i].expr) || expr_volatile(a->order[i].expr) ||
            a->order[i].descending != b->order[i].descending ||
            a->order[i].nulls_first != b->order[i].nulls_first) {
            return false;
        }
    }
    return true;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static enum window_function
kind_of(const struct function *function)
{
    static const struct {
        const char *name;
        enum window_function kind;
    } kinds[] = {{"row_number", WINDOW_ROW_NUMBER}, {"rank", WINDOW_RANK},
        {"dense_rank", WINDOW_DENSE_RANK}, {"percent_rank", WINDOW_PERCENT_RANK},
        {"cume_dist", WINDOW_CUME_DIST}, {"ntile", WINDOW_NTILE}, {"lag", WINDOW_LAG},
        {"lead", WINDOW_LEAD}, {"first_value", WINDOW_FIRST_VALUE},
        {"last_value", WINDOW_LAST_VALUE}, {"nth_value", WINDOW_NTH_VALUE}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, function->name) == 0) {
            return kinds[i].kind;
        }
    }
    return WINDOW_AGGREGATE;
}

enum err
bind_window_default(
    struct binder *binder, const struct ast_call *call, struct expr **args, uint32_t count)
{
    if (count != 3 || (strcmp(call->name, "lag") != 0 && strcmp(call->name, "lead") != 0)) {
        return ERR_OK;
    }
    struct expr *both[2] = {args[0], args[2]};
    oid_t type;
    TRY(bind_common_type(binder, both, 2, NULL, &type));
    if (type == 0) {
        return ERR_OK;
    }
    TRY(bind_coerce_list(binder, both, 2, type, call->name));
    args[0] = both[0];
    args[2] = both[1];
    return ERR_OK;
}

static enum err
check_call(struct binder *binder, const struct scope *scope, const struct ast_call *call,
    const struct function *function)
{
    int32_t location = call->node.location;
    bool aggregate = (function->flags & FUNCTION_AGGREGATE) != 0;
    bool window = (function->flags & FUNCTION_WINDOW) != 0;
    if (call->over == NULL) {
        return bind_error(binder, location, ERR_WRONG_OBJECT_TYPE,
            "window function %s requires an OVER clause", call->name);
    }
    if (!aggregate && !window) {
        return bind_error(binder, location, ERR_WRONG_OBJECT_TYPE,
            "OVER specified, but %s is not a window function nor an aggregate function",
            call->name);
    }
    const char *not_yet = call->distinct ? "DISTINCT is not implemented for window functions"
                          : ast_list_count(call->order) > 0
                              ? "aggregate ORDER BY is not implemented for window functions"
                          : call->filter != NULL && !aggregate
                              ? "FILTER is not implemented for non-aggregate window functions"
                              : NULL;
    if (not_yet != NULL) {
        return bind_error(binder, location, ERR_FEATURE_NOT_SUPPORTED, "%s", not_yet);
    }
    if (call->star && !aggregate) {
        return bind_error(
            binder, location, ERR_UNDEFINED_FUNCTION, "function %s(*) does not exist", call->name);
    }
    if (scope->in_aggregate) {
        return bind_error(binder, location, ERR_GROUPING,
            "aggregate function calls cannot contain window function calls");
    }
    if (scope->in_window && scope->clause != CLAUSE_WINDOW) {
        return bind_error(
            binder, location, ERR_WINDOWING, "window function calls cannot be nested");
    }
    switch (scope->clause) {
    case CLAUSE_TARGETS:
    case CLAUSE_ORDER:
    case CLAUSE_DISTINCT_ON:
        return ERR_OK;
    default:
        return bind_error(binder, location, ERR_WINDOWING, "window functions are not allowed in %s",
            clause_name(scope->clause));
    }
}

enum err
bind_window_call(struct binder *binder, struct scope *scope, const struct ast_call *call,
    const struct function *function, struct expr **args, uint32_t count, struct expr **expr)
{
    int32_t location = call->node.location;
    TRY(check_call(binder, scope, call, function));
    struct window_call *made = arena_alloc(binder->arena, sizeof *made);
    made->function = function;
    made->kind = (function->flags & FUNCTION_AGGREGATE) != 0 ? WINDOW_AGGREGATE : kind_of(function);
    made->args = args;
    made->arg_count = count;
    if (call->filter != NULL) {
        enum clause clause = scope->clause;
        scope->clause = CLAUSE_FILTER;
        enum err err = bind_condition(binder, scope, call->filter, "FILTER", &made->filter);
        scope->clause = clause;
        TRY(err);
    }
    struct query *query = scope->query;
    struct window *window = NULL;
    if (call->over->reference) {
        window = window_by_name(query, call->over->name);
        if (window == NULL) {
            return bind_error(binder, call->over->node.location, ERR_UNDEFINED_OBJECT,
                "window \"%s\" does not exist", call->over->name);
        }
    } else {
        TRY(bind_window(binder, scope, call->over, &window));
        struct window *same = NULL;
        for (uint32_t i = 0; i < query->windows.count && same == NULL; i++) {
            if (same_window(query->windows.items[i], window)) {
                same = query->windows.items[i];
            }
        }
        if (same == NULL) {
            vec_add(binder->arena, &query->windows, window);
        } else {
            window = same;
        }
    }
    query->has_windows = true;
    made->type = function->result == TYPE_ANY && count > 0 ? args[0]->type : function->result;
    made->result = bind_registers(binder, 1);
    vec_add(binder->arena, &window->calls, made);
    *expr = expr_register(binder, made->result, made->type, -1, location);
    return ERR_OK;
}
