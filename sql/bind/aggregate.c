/*
 * sql/bind/aggregate.c - aggregates, and what may stand beside them.
 *
 * An aggregate belongs to the innermost query whose columns its arguments read. Binding a call
 * leaves a register in its place; after the whole query is bound, grouped expressions are replaced
 * by the registers the aggregation shows them in, and any other column of the query is 42803.
 */
#include "sql/bind/bind.h"

/* ---- calls ----------------------------------------------------------------------------------- */

struct level {
    struct scope *scope; /* where the call is */
    struct scope *found; /* innermost scope whose relations are read, or NULL */
};

static void
find_level(void *arg, reg_t reg)
{
    struct level *level = arg;
    for (struct scope *at = level->scope; at != NULL && at != level->found; at = at->parent) {
        if (at->query != NULL && query_rel(at->query, reg) != NULL) {
            level->found = at;
            return;
        }
    }
}

static bool
same_aggregate(const struct plan_aggregate *a, const struct plan_aggregate *b)
{
    if (a->function != b->function || a->distinct != b->distinct || a->filter != NULL ||
        b->filter != NULL || a->order_count > 0 || b->order_count > 0 ||
        a->arg_count != b->arg_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->arg_count; i++) {
        if (!expr_equal(a->args[i], b->args[i]) || expr_volatile(a->args[i])) {
            return false;
        }
    }
    return true;
}

static enum err
bind_aggregate_order(struct binder *binder, struct scope *scope, const struct ast_call *call,
    struct plan_aggregate *aggregate)
{
    uint32_t count = ast_list_count(call->order);
    aggregate->order = arena_alloc(binder->arena, (count + 1) * sizeof *aggregate->order);
    aggregate->order_targets =
        arena_alloc(binder->arena, (count + 1) * sizeof *aggregate->order_targets);
    for (uint32_t i = 0; i < count; i++) {
        const struct ast_sort *sort = ast_as_sort(ast_list_at(call->order, i));
        if (sort->order == AST_SORT_USING) {
            return bind_unsupported(binder, sort->node.location, "ORDER BY USING is");
        }
        struct expr *expr;
        TRY(bind_expr(binder, scope, sort->expr, &expr));
        TRY(bind_to_text_if_unknown(binder, &expr));
        bool descending = sort->order == AST_SORT_DESC;
        reg_t reg = bind_registers(binder, 1);
        aggregate->order_targets[i] = (struct plan_target){.expr = expr, .reg = reg};
        aggregate->order[i] = (struct plan_sort_key){.reg = reg,
            .type = expr->type,
            .descending = descending,
            .nulls_first =
                sort->nulls == AST_NULLS_DEFAULT ? descending : sort->nulls == AST_NULLS_FIRST};
        if (aggregate->distinct &&
            (aggregate->arg_count == 0 || !expr_equal(expr, aggregate->args[0]))) {
            return bind_error(binder, sort->node.location, ERR_INVALID_COLUMN_REFERENCE,
                "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list");
        }
    }
    aggregate->order_count = count;
    return ERR_OK;
}

static enum err
check_level(struct binder *binder, const struct scope *level, int32_t location)
{
    if (level->in_aggregate) {
        return bind_error(
            binder, location, ERR_GROUPING, "aggregate function calls cannot be nested");
    }
    switch (level->clause) {
    case CLAUSE_WINDOW:
    case CLAUSE_TARGETS:
    case CLAUSE_HAVING:
    case CLAUSE_ORDER:
    case CLAUSE_DISTINCT_ON:
        return ERR_OK;
    default:
        return bind_error(binder, location, ERR_GROUPING,
            "aggregate functions are not allowed in %s", clause_name(level->clause));
    }
}

enum err
bind_aggregate(struct binder *binder, struct scope *scope, const struct ast_call *call,
    const struct function *function, struct expr **args, uint32_t count, struct expr **expr)
{
    int32_t location = call->node.location;
    struct plan_aggregate *aggregate = arena_alloc(binder->arena, sizeof *aggregate);
    aggregate->function = function;
    aggregate->args = args;
    aggregate->arg_count = count;
    aggregate->distinct = call->distinct;
    bool in_aggregate = scope->in_aggregate;
    enum clause clause = scope->clause;
    struct level level = {.scope = scope};
    for (uint32_t i = 0; i < count; i++) {
        expr_reads(args[i], find_level, &level);
    }
    TRY(check_level(binder, level.found != NULL ? level.found : scope, location));
    scope->in_aggregate = true;
    enum err err = bind_aggregate_order(binder, scope, call, aggregate);
    if (err == ERR_OK && call->filter != NULL) {
        scope->in_aggregate = in_aggregate;
        scope->clause = CLAUSE_FILTER;
        err = bind_condition(binder, scope, call->filter, "FILTER", &aggregate->filter);
    }
    scope->in_aggregate = in_aggregate;
    scope->clause = clause;
    TRY(err);
    if (call->distinct && count > 0 && !type_is_ordered(args[0]->type)) {
        return bind_error(binder, location, ERR_UNDEFINED_FUNCTION,
            "could not identify an equality operator for type %s",
            bind_type_name(binder, args[0]->type));
    }
    for (uint32_t i = 0; i < aggregate->order_count; i++) {
        expr_reads(aggregate->order_targets[i].expr, find_level, &level);
    }
    if (aggregate->filter != NULL) {
        expr_reads(aggregate->filter, find_level, &level);
    }
    struct scope *owner = level.found != NULL ? level.found : scope;
    TRY(check_level(binder, owner, location));

    struct query *query = owner->query;
    query->has_aggregates = true;
    oid_t type = function->result;
    if (type == TYPE_ANY && count > 0) {
        type = args[0]->type;
    }
    for (uint32_t i = 0; i < query->aggregates.count; i++) {
        struct plan_aggregate *have = query->aggregates.items[i];
        if (same_aggregate(have, aggregate)) {
            *expr = expr_register(binder, have->result, type, -1, location);
            return ERR_OK;
        }
    }
    aggregate->result = bind_registers(binder, 1);
    vec_add(binder->arena, &query->aggregates, aggregate);
    *expr = expr_register(binder, aggregate->result, type, -1, location);
    return ERR_OK;
}

/* ---- grouping -------------------------------------------------------------------------------- */

static void
group_add(struct binder *binder, struct query *query, struct expr *expr, reg_t reg)
{
    if (query->group_count == query->group_capacity) {
        uint32_t wanted = query->group_capacity == 0 ? 4 : query->group_capacity * 2;
        struct group_item *bigger = arena_alloc_raw(binder->arena, wanted * sizeof *bigger);
        if (query->group_count > 0) {
            memcpy(bigger, query->groups, query->group_count * sizeof *bigger);
        }
        query->groups = bigger;
        query->group_capacity = wanted;
    }
    query->groups[query->group_count++] = (struct group_item){.expr = expr, .reg = reg};
}

void
query_add_group(struct binder *binder, struct query *query, struct expr *expr)
{
    for (uint32_t i = 0; i < query->group_count; i++) {
        if (expr_equal(query->groups[i].expr, expr)) {
            return;
        }
    }
    bool plain = expr->kind == EXPR_REGISTER && expr->reg >= query->first_reg;
    group_add(binder, query, expr, plain ? expr->reg : bind_registers(binder, 1));
}

static bool
register_grouped(const struct query *query, reg_t reg)
{
    for (uint32_t i = 0; i < query->group_count && query->sets == NULL; i++) {
        const struct expr *expr = query->groups[i].expr;
        if (expr->kind == EXPR_REGISTER && expr->reg == reg) {
            return true;
        }
    }
    return false;
}

/* A table whose whole primary key is grouped has one value of each column per group. */
static bool
depends_on_group(const struct query *query, const struct rel *rel)
{
    bool table = rel->kind == REL_TABLE || rel->kind == REL_VIRTUAL; /* its rows may be elsewhere */
    if (query->sets != NULL || !table || rel->relation->primary == NULL) {
        return false;
    }
    const struct index *primary = rel->relation->primary;
    for (uint16_t i = 0; i < primary->column_count; i++) {
        if (!register_grouped(query, rel->base + primary->columns[i])) {
            return false;
        }
    }
    return true;
}

static const char *
rel_column_name(const struct rel *rel, reg_t reg)
{
    if (rel->relation != NULL) {
        return rel->relation->columns[reg - rel->base].name;
    }
    if (rel->kind == REL_QUERY) {
        for (uint32_t i = 0; i < rel->query->column_count; i++) {
            if (rel->query->targets[i].reg == reg) {
                return rel->query->targets[i].name;
            }
        }
    }
    return rel->alias;
}

struct outer_check {
    struct binder *binder;
    struct query *query;
    const struct rel *bad;
    reg_t bad_reg;
};

static void
check_outer_read(void *arg, reg_t reg)
{
    struct outer_check *check = arg;
    struct rel *rel = query_rel(check->query, reg);
    if (rel == NULL || register_grouped(check->query, reg)) {
        return;
    }
    if (depends_on_group(check->query, rel)) {
        group_add(check->binder, check->query,
            expr_register(check->binder, reg, rel->relation->columns[reg - rel->base].type,
                rel->relation->columns[reg - rel->base].typmod, -1),
            reg);
        return;
    }
    check->bad = rel;
    check->bad_reg = reg;
}

static enum err
replace_grouped(struct binder *binder, struct query *query, struct expr **at)
{
    struct expr *expr = *at;
    for (uint32_t i = 0; i < query->group_count; i++) {
        const struct group_item *group = &query->groups[i];
        if (expr_equal(expr, group->expr)) {
            if (expr->kind != EXPR_REGISTER || expr->reg != group->reg) {
                *at = expr_register(binder, group->reg, expr->type, expr->typmod, expr->location);
            }
            return ERR_OK;
        }
    }
    if (expr->kind == EXPR_CONST || expr->kind == EXPR_PARAM) {
        return ERR_OK;
    }
    if (expr->kind == EXPR_REGISTER) {
        const struct rel *rel = query_rel(query, expr->reg);
        if (rel == NULL) {
            return ERR_OK; /* an aggregate's result, or of a query around this one */
        }
        if (depends_on_group(query, rel)) {
            group_add(binder, query, expr, expr->reg);
            return ERR_OK;
        }
        return bind_error(binder, expr->location, ERR_GROUPING,
            "column \"%s.%s\" must appear in the GROUP BY clause or be used in an aggregate "
            "function",
            rel->alias, rel_column_name(rel, expr->reg));
    }
    TRY(bind_check_stack(binder));
    struct expr **list = NULL;
    for (uint32_t i = 0; i < expr->count; i++) {
        struct expr *child = expr->list[i];
        binder->depth++;
        enum err err = replace_grouped(binder, query, &child);
        binder->depth--;
        TRY(err);
        if (child != expr->list[i]) {
            if (list == NULL) {
                list = arena_copy(binder->arena, expr->list, expr->count * sizeof *list);
            }
            list[i] = child;
        }
    }
    if (expr->kind == EXPR_SUBPLAN) {
        struct outer_check check = {.binder = binder, .query = query};
        query_reads(
            ((struct bound_subplan *)(void *)expr->subplan)->query, check_outer_read, &check);
        if (check.bad != NULL) {
            return bind_error(binder, expr->location, ERR_GROUPING,
                "subquery uses ungrouped column \"%s.%s\" from outer query", check.bad->alias,
                rel_column_name(check.bad, check.bad_reg));
        }
    }
    if (list != NULL) {
        size_t size = expr->kind == EXPR_CALL ? sizeof(struct call_expr) : sizeof *expr;
        struct expr *copy = arena_copy(binder->arena, expr, size);
        copy->list = list;
        *at = copy;
    }
    return ERR_OK;
}

static enum err
replace_in_window(struct binder *binder, struct query *query, struct window *window)
{
    for (uint32_t i = 0; i < window->partition_count; i++) {
        TRY(replace_grouped(binder, query, &window->partition[i]));
    }
    for (uint32_t i = 0; i < window->order_count; i++) {
        TRY(replace_grouped(binder, query, &window->order[i].expr));
    }
    if (window->range_key != NULL) {
        TRY(replace_grouped(binder, query, &window->range_key));
    }
    for (uint32_t c = 0; c < window->calls.count; c++) {
        struct window_call *call = window->calls.items[c];
        for (uint32_t i = 0; i < call->arg_count; i++) {
            TRY(replace_grouped(binder, query, &call->args[i]));
        }
        if (call->filter != NULL) {
            TRY(replace_grouped(binder, query, &call->filter));
        }
    }
    return ERR_OK;
}

enum err
bind_grouping(struct binder *binder, struct scope *scope, const struct ast_grouping *grouping,
    struct expr **expr)
{
    int32_t location = grouping->node.location;
    uint32_t count = ast_list_count(grouping->list);
    if (count > 31) {
        return bind_error(
            binder, location, ERR_TOO_MANY_COLUMNS, "GROUPING must have fewer than 32 arguments");
    }
    struct grouping_call *call = arena_alloc(binder->arena, sizeof *call);
    call->args = arena_alloc(binder->arena, (count + 1) * sizeof *call->args);
    call->location = location;
    for (uint32_t i = 0; i < count; i++) {
        TRY(bind_expr(binder, scope, ast_list_at(grouping->list, i), &call->args[i]));
    }
    call->count = count;
    call->reg = bind_registers(binder, 1);
    vec_add(binder->arena, &scope->query->groupings, call);
    *expr = expr_register(binder, call->reg, TYPE_INT4, -1, location);
    return ERR_OK;
}

/* Is the row's set one of those that have (or have not) the group? */
static struct expr *
set_condition(struct binder *binder, const struct query *query, uint64_t bits, bool have)
{
    struct expr **list = arena_alloc(binder->arena, (query->set_count + 2) * sizeof *list);
    uint32_t count = 0;
    list[count++] = expr_register(binder, query->set_reg, TYPE_INT8, -1, -1);
    for (uint32_t i = 0; i < query->set_count; i++) {
        if (((query->sets[i] & bits) != 0) == have) {
            list[count++] = expr_const(binder, TYPE_INT8, datum_int(i), -1);
        }
    }
    if (count == 1) {
        return expr_bool(binder, false, -1);
    }
    struct expr *in = expr_list(binder, EXPR_IN, TYPE_BOOL, -1, list, count);
    in->function = operator_compare_function("=", TYPE_INT8);
    return in;
}

static struct expr *
case_of(struct binder *binder, struct expr *condition, struct expr *then, struct expr *otherwise)
{
    struct expr **list = arena_alloc(binder->arena, 3 * sizeof *list);
    list[0] = condition;
    list[1] = then;
    list[2] = otherwise;
    struct expr *expr =
        expr_list(binder, EXPR_CASE, then->type, -1, list, otherwise == NULL ? 2 : 3);
    expr->typmod = then->typmod;
    return expr;
}

/* GROUPING(a, b): a bit for each argument that the row's set has not. */
static enum err
resolve_grouping(struct binder *binder, struct query *query, const struct grouping_call *call)
{
    uint64_t *bits = arena_alloc(binder->arena, (call->count + 1) * sizeof *bits);
    for (uint32_t a = 0; a < call->count; a++) {
        for (uint32_t i = 0; i < query->group_count && bits[a] == 0; i++) {
            if (expr_equal(query->groups[i].expr, call->args[a])) {
                bits[a] = UINT64_C(1) << (i % 64);
            }
        }
        if (bits[a] == 0) {
            return bind_error(binder, call->args[a]->location, ERR_GROUPING,
                "arguments to GROUPING must be grouping expressions of the associated query "
                "level");
        }
    }
    struct expr *value = expr_const(binder, TYPE_INT4, datum_int(0), -1);
    for (uint32_t i = 0; i < query->set_count; i++) {
        int64_t missing = 0;
        for (uint32_t a = 0; a < call->count; a++) {
            missing = missing * 2 + ((query->sets[i] & bits[a]) == 0 ? 1 : 0);
        }
        if (missing == 0) {
            continue;
        }
        struct expr **list = arena_alloc(binder->arena, 2 * sizeof *list);
        list[0] = expr_register(binder, query->set_reg, TYPE_INT8, -1, -1);
        list[1] = expr_const(binder, TYPE_INT8, datum_int(i), -1);
        struct expr *here = expr_list(binder, EXPR_IN, TYPE_BOOL, -1, list, 2);
        here->function = operator_compare_function("=", TYPE_INT8);
        value = case_of(binder, here, expr_const(binder, TYPE_INT4, datum_int(missing), -1), value);
    }
    group_add(binder, query, expr_register(binder, call->reg, TYPE_INT4, -1, -1), call->reg);
    query->groups[query->group_count - 1].shown = value;
    return ERR_OK;
}

/* Each row is grouped once per set: by the set's number and, of the others, by those of the set. */
static enum err
resolve_sets(struct binder *binder, struct query *query)
{
    uint32_t count = query->group_count;
    if (query->sets != NULL) {
        query->set_reg = bind_registers(binder, 1);
        for (uint32_t i = 0; i < count; i++) {
            struct group_item *group = &query->groups[i];
            group->reg = bind_registers(binder, 1);
            group->shown = case_of(
                binder, set_condition(binder, query, UINT64_C(1) << i, true), group->expr, NULL);
        }
    }
    for (uint32_t i = 0; i < query->groupings.count; i++) {
        TRY(resolve_grouping(binder, query, query->groupings.items[i]));
    }
    if (query->sets != NULL) {
        group_add(binder, query, expr_register(binder, query->set_reg, TYPE_INT8, -1, -1),
            query->set_reg);
    }
    return ERR_OK;
}

enum err
bind_check_grouping(struct binder *binder, struct query *query)
{
    TRY(resolve_sets(binder, query));
    if (!query->has_aggregates && query->group_count == 0 && query->having == NULL) {
        return ERR_OK;
    }
    query->has_aggregates = true;
    for (uint32_t i = 0; i < query->target_count; i++) {
        TRY(replace_grouped(binder, query, &query->targets[i].expr));
    }
    if (query->having != NULL) {
        TRY(replace_grouped(binder, query, &query->having));
    }
    for (uint32_t i = 0; i < query->windows.count; i++) {
        TRY(replace_in_window(binder, query, query->windows.items[i]));
    }
    if (query->set_function != NULL) {
        for (uint32_t i = 0; i < query->set_function->arg_count; i++) {
            TRY(replace_grouped(binder, query, &query->set_function->args[i]));
        }
    }
    return ERR_OK;
}
