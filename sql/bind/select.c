/*
 * sql/bind/select.c - SELECT, VALUES and set operations.
 */
#include <stdio.h>

#include "sql/bind/bind.h"
#include "sql/catalog/access.h"

struct scope *
scope_new(struct binder *binder, struct scope *parent, struct query *query)
{
    struct scope *scope = arena_alloc(binder->arena, sizeof *scope);
    scope->parent = parent;
    scope->query = query;
    return scope;
}

/* ---- targets --------------------------------------------------------------------------------- */

struct target_list {
    struct target *items;
    uint32_t count, capacity;
};

static struct target *
target_add(struct binder *binder, struct target_list *list, struct expr *expr, const char *name)
{
    if (list->count == list->capacity) {
        uint32_t wanted = list->capacity == 0 ? 8 : list->capacity * 2;
        struct target *bigger = arena_alloc_raw(binder->arena, wanted * sizeof *bigger);
        if (list->count > 0) {
            memcpy(bigger, list->items, list->count * sizeof *bigger);
        }
        list->items = bigger;
        list->capacity = wanted;
    }
    struct target *target = &list->items[list->count++];
    *target = (struct target){.expr = expr, .name = name};
    return target;
}

static enum err
bind_target_list(struct binder *binder, struct scope *scope, const struct ast_list *ast,
    struct target_list *list)
{
    AST_FOREACH(at, ast)
    {
        const struct ast_target *target = ast_as_target(*at);
        if (target->value->kind == AST_COLUMN && ast_as_column(target->value)->star) {
            struct expr_vec exprs = {0};
            struct vec names = {0};
            TRY(scope_star(binder, scope, ast_as_column(target->value), &exprs, &names));
            for (uint32_t i = 0; i < exprs.count; i++) {
                (void)target_add(binder, list, exprs.items[i], names.items[i]);
            }
            continue;
        }
        if (target->value->kind == AST_FIELD && ast_as_field(target->value)->name == NULL) {
            struct expr_vec exprs = {0};
            struct vec names = {0};
            struct expr *record;
            TRY(bind_expr(binder, scope, ast_as_field(target->value)->operand, &record));
            TRY(bind_record_fields(binder, scope, record, target->value->location, &exprs, &names));
            for (uint32_t i = 0; i < exprs.count; i++) {
                (void)target_add(binder, list, exprs.items[i], names.items[i]);
            }
            continue;
        }
        struct expr *expr;
        TRY(bind_expr(binder, scope, target->value, &expr));
        (void)target_add(binder, list, expr,
            target->name != NULL ? target->name : bind_column_name(target->value));
    }
    if (list->count > COLUMNS_MAX + 64) {
        return bind_error(
            binder, -1, ERR_TOO_MANY_COLUMNS, "target lists can have at most 1664 entries");
    }
    return ERR_OK;
}

enum err
bind_targets(struct binder *binder, struct scope *scope, const struct ast_list *list,
    enum clause clause, struct target **targets, uint32_t *count)
{
    struct target_list made = {0};
    enum clause before = scope->clause;
    scope->clause = clause;
    enum err err = bind_target_list(binder, scope, list, &made);
    scope->clause = before;
    TRY(err);
    for (uint32_t i = 0; i < made.count; i++) {
        TRY(bind_to_text_if_unknown(binder, &made.items[i].expr));
    }
    *targets = made.items;
    *count = made.count;
    return ERR_OK;
}

static uint32_t
query_add_target(struct binder *binder, struct query *query, struct expr *expr, bool junk)
{
    struct target_list list = {
        .items = query->targets, .count = query->target_count, .capacity = query->target_capacity};
    target_add(binder, &list, expr, "?column?")->junk = junk;
    query->targets = list.items;
    query->target_count = list.count;
    query->target_capacity = list.capacity;
    return list.count - 1;
}

/* ---- ORDER BY, GROUP BY, DISTINCT ON -----------------------------------------------------------
 */

enum {
    NO_TARGET = UINT32_MAX,
};

/* A bare integer is a position in the list. */
static enum err
target_by_position(struct binder *binder, const struct query *query, const struct ast_node *node,
    const char *clause, uint32_t *target)
{
    *target = NO_TARGET;
    if (node->kind != AST_CONST) {
        return ERR_OK;
    }
    const struct ast_const *constant = ast_as_const(node);
    if (constant->kind != AST_CONST_INTEGER) {
        return bind_error(binder, node->location, ERR_SYNTAX, "non-integer constant in %s", clause);
    }
    if (constant->integer < 1 || constant->integer > query->column_count) {
        return bind_error(binder, node->location, ERR_INVALID_COLUMN_REFERENCE,
            "%s position %lld is not in select list", clause, (long long)constant->integer);
    }
    *target = (uint32_t)(constant->integer - 1);
    return ERR_OK;
}

static enum err
target_by_name(struct binder *binder, const struct query *query, const struct ast_node *node,
    const char *clause, uint32_t *target)
{
    *target = NO_TARGET;
    if (node->kind != AST_COLUMN || ast_as_column(node)->count != 1 || ast_as_column(node)->star) {
        return ERR_OK;
    }
    const char *name = ast_as_column(node)->parts[0];
    for (uint32_t i = 0; i < query->column_count; i++) {
        if (strcmp(query->targets[i].name, name) != 0) {
            continue;
        }
        if (*target != NO_TARGET &&
            !expr_equal(query->targets[i].expr, query->targets[*target].expr)) {
            return bind_error(binder, node->location, ERR_AMBIGUOUS_COLUMN,
                "%s \"%s\" is ambiguous", clause, name);
        }
        *target = *target == NO_TARGET ? i : *target;
    }
    return ERR_OK;
}

/* The target an ORDER BY or DISTINCT ON item means; a new one if it is none of the columns. */
static enum err
target_for(struct binder *binder, struct scope *scope, struct query *query,
    const struct ast_node *node, enum clause clause, const char *name, uint32_t *target)
{
    TRY(target_by_name(binder, query, node, name, target));
    if (*target == NO_TARGET) {
        TRY(target_by_position(binder, query, node, name, target));
    }
    if (*target != NO_TARGET) {
        return bind_to_text_if_unknown(binder, &query->targets[*target].expr);
    }
    struct expr *expr;
    enum clause before = scope->clause;
    scope->clause = clause;
    enum err err = bind_expr(binder, scope, node, &expr);
    scope->clause = before;
    TRY(err);
    TRY(bind_to_text_if_unknown(binder, &expr));
    for (uint32_t i = 0; i < query->target_count; i++) {
        if (expr_equal(query->targets[i].expr, expr) && !expr_volatile(expr)) {
            *target = i;
            return ERR_OK;
        }
    }
    *target = query_add_target(binder, query, expr, true);
    return ERR_OK;
}

static enum err
sort_direction(struct binder *binder, const struct ast_sort *sort, struct query_sort *item)
{
    item->descending = sort->order == AST_SORT_DESC;
    if (sort->order == AST_SORT_USING) {
        if (strcmp(sort->using_op, "<") != 0 && strcmp(sort->using_op, ">") != 0) {
            (void)bind_error(binder, sort->node.location, ERR_WRONG_OBJECT_TYPE,
                "operator %s is not a valid ordering operator", sort->using_op);
            diag_hint(binder->diag,
                "Ordering operators must be \"<\" or \">\" members of btree operator families.");
            return ERR_WRONG_OBJECT_TYPE;
        }
        item->descending = sort->using_op[0] == '>';
    }
    item->nulls_first =
        sort->nulls == AST_NULLS_DEFAULT ? item->descending : sort->nulls == AST_NULLS_FIRST;
    return ERR_OK;
}

static enum err
check_ordered(struct binder *binder, oid_t type, int32_t location)
{
    if (type_is_ordered(type)) {
        return ERR_OK;
    }
    (void)bind_error(binder, location, ERR_UNDEFINED_FUNCTION,
        "could not identify an ordering operator for type %s", bind_type_name(binder, type));
    diag_hint(binder->diag, "Use an explicit ordering operator or modify the query.");
    return ERR_UNDEFINED_FUNCTION;
}

static enum err
bind_order(
    struct binder *binder, struct scope *scope, struct query *query, const struct ast_list *order)
{
    uint32_t count = ast_list_count(order);
    if (count == 0) {
        return ERR_OK;
    }
    query->order = arena_alloc(binder->arena, count * sizeof *query->order);
    AST_FOREACH(at, order)
    {
        const struct ast_sort *sort = ast_as_sort(*at);
        struct query_sort item = {0};
        TRY(sort_direction(binder, sort, &item));
        TRY(target_for(binder, scope, query, sort->expr, CLAUSE_ORDER, "ORDER BY", &item.target));
        TRY(check_ordered(binder, query->targets[item.target].expr->type, sort->expr->location));
        if (query->distinct && query->targets[item.target].junk) {
            return bind_error(binder, sort->expr->location, ERR_INVALID_COLUMN_REFERENCE,
                "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
        }
        bool again = false;
        for (uint32_t i = 0; i < query->order_count && !again; i++) {
            again = query->order[i].target == item.target;
        }
        if (!again) {
            query->order[query->order_count++] = item;
        }
    }
    return ERR_OK;
}

/* Set operations and VALUES: columns by name or position only. */
static enum err
bind_order_of_columns(struct binder *binder, struct query *query, const struct ast_list *order)
{
    uint32_t count = ast_list_count(order);
    if (count == 0) {
        return ERR_OK;
    }
    query->order = arena_alloc(binder->arena, count * sizeof *query->order);
    AST_FOREACH(at, order)
    {
        const struct ast_sort *sort = ast_as_sort(*at);
        struct query_sort item = {0};
        TRY(sort_direction(binder, sort, &item));
        TRY(target_by_name(binder, query, sort->expr, "ORDER BY", &item.target));
        if (item.target == NO_TARGET) {
            TRY(target_by_position(binder, query, sort->expr, "ORDER BY", &item.target));
        }
        if (item.target == NO_TARGET && sort->expr->kind == AST_COLUMN &&
            ast_as_column(sort->expr)->count == 1) {
            return bind_error(binder, sort->expr->location, ERR_UNDEFINED_COLUMN,
                "column \"%s\" does not exist", ast_as_column(sort->expr)->parts[0]);
        }
        if (item.target == NO_TARGET) {
            (void)bind_error(binder, sort->expr->location, ERR_FEATURE_NOT_SUPPORTED,
                "invalid UNION/INTERSECT/EXCEPT ORDER BY clause");
            diag_detail(binder->diag,
                "Only result column names can be used, not expressions or functions.");
            diag_hint(binder->diag, "Add the expression/function to every SELECT, or move the "
                                    "UNION into a FROM clause.");
            return ERR_FEATURE_NOT_SUPPORTED;
        }
        TRY(check_ordered(binder, query->targets[item.target].expr->type, sort->expr->location));
        query->order[query->order_count++] = item;
    }
    return ERR_OK;
}

/* One expression of GROUP BY; *bit is its place among the groups. */
static enum err
bind_group_item(struct binder *binder, struct scope *scope, struct query *query,
    const struct ast_node *node, uint64_t *bit)
{
    uint32_t target = NO_TARGET;
    struct expr *expr = NULL;
    /* GROUP BY prefers the input's column where ORDER BY prefers the output's. */
    if (node->kind == AST_COLUMN && ast_as_column(node)->count == 1) {
        uint32_t found = 0;
        for (uint32_t i = 0; i < scope->items.count; i++) {
            found += item_find(binder, scope->items.items[i], ast_as_column(node)->parts[0],
                node->location, &expr);
        }
        if (found == 0) {
            TRY(target_by_name(binder, query, node, "GROUP BY", &target));
        }
    }
    if (target == NO_TARGET) {
        TRY(target_by_position(binder, query, node, "GROUP BY", &target));
    }
    if (target != NO_TARGET) {
        TRY(bind_to_text_if_unknown(binder, &query->targets[target].expr));
        expr = query->targets[target].expr;
        for (uint32_t i = 0; i < query->aggregates.count; i++) {
            const struct plan_aggregate *aggregate = query->aggregates.items[i];
            if (expr->kind == EXPR_REGISTER && expr->reg == aggregate->result) {
                return bind_error(binder, expr->location, ERR_GROUPING,
                    "aggregate functions are not allowed in GROUP BY");
            }
        }
    } else {
        scope->clause = CLAUSE_GROUP;
        enum err err = bind_expr(binder, scope, node, &expr);
        scope->clause = CLAUSE_NONE;
        TRY(err);
        TRY(bind_to_text_if_unknown(binder, &expr));
    }
    if (!type_is_ordered(expr->type)) {
        return bind_error(binder, node->location, ERR_UNDEFINED_FUNCTION,
            "could not identify an equality operator for type %s",
            bind_type_name(binder, expr->type));
    }
    for (uint32_t i = 0; i < query->group_count; i++) {
        if (expr_equal(query->groups[i].expr, expr)) {
            *bit = UINT64_C(1) << (i % 64);
            return ERR_OK;
        }
    }
    *bit = UINT64_C(1) << (query->group_count % 64);
    query_add_group(binder, query, expr);
    return ERR_OK;
}

/* ---- grouping sets --------------------------------------------------------------------------- */

enum {
    SETS_MAX = 4096, /* as in PostgreSQL */
    CUBE_MAX = 12,
    SET_GROUPS_MAX = 60, /* bits of a set */
};

struct set_list {
    uint64_t *sets;
    uint32_t count, capacity;
};

static enum err
sets_add(struct binder *binder, struct set_list *list, uint64_t set)
{
    if (list->count >= SETS_MAX) {
        return bind_error(binder, -1, ERR_STATEMENT_TOO_COMPLEX,
            "too many grouping sets present (maximum %d)", SETS_MAX);
    }
    if (list->count == list->capacity) {
        uint32_t wanted = list->capacity == 0 ? 8 : list->capacity * 2;
        uint64_t *bigger = arena_alloc_raw(binder->arena, wanted * sizeof *bigger);
        if (list->count > 0) {
            memcpy(bigger, list->sets, list->count * sizeof *bigger);
        }
        list->sets = bigger;
        list->capacity = wanted;
    }
    list->sets[list->count++] = set;
    return ERR_OK;
}

/* a, or (a, b). */
static enum err
bind_group_element(struct binder *binder, struct scope *scope, struct query *query,
    const struct ast_node *node, uint64_t *bits)
{
    *bits = 0;
    if (node->kind != AST_ROW || ast_as_row(node)->explicit_row) {
        return bind_group_item(binder, scope, query, node, bits);
    }
    AST_FOREACH(at, ast_as_row(node)->list)
    {
        uint64_t bit;
        TRY(bind_group_item(binder, scope, query, *at, &bit));
        *bits |= bit;
    }
    return ERR_OK;
}

static enum err
bind_set_item(struct binder *binder, struct scope *scope, struct query *query,
    const struct ast_node *node, struct set_list *list)
{
    TRY(bind_check_stack(binder));
    uint64_t bits = 0;
    if (node->kind != AST_GROUPING || ast_as_grouping(node)->kind == AST_GROUPING_CALL) {
        TRY(bind_group_element(binder, scope, query, node, &bits));
        return sets_add(binder, list, bits);
    }
    const struct ast_grouping *grouping = ast_as_grouping(node);
    uint32_t count = ast_list_count(grouping->list);
    if (grouping->kind == AST_GROUPING_EMPTY) {
        return sets_add(binder, list, 0);
    }
    if (grouping->kind == AST_GROUPING_SETS) {
        AST_FOREACH(at, grouping->list)
        {
            TRY(bind_set_item(binder, scope, query, *at, list));
        }
        return ERR_OK;
    }
    bool cube = grouping->kind == AST_GROUPING_CUBE;
    if (cube && count > CUBE_MAX) {
        return bind_error(binder, node->location, ERR_TOO_MANY_COLUMNS,
            "CUBE is limited to %d elements", CUBE_MAX);
    }
    uint64_t *elements = arena_alloc(binder->arena, (count + 1) * sizeof *elements);
    for (uint32_t i = 0; i < count; i++) {
        TRY(bind_group_element(binder, scope, query, ast_list_at(grouping->list, i), &elements[i]));
    }
    for (uint32_t n = 0; n < (cube ? UINT32_C(1) << count : count + 1); n++) {
        bits = 0;
        for (uint32_t i = 0; i < count; i++) {
            bits |= (cube ? (n >> i & 1) == 0 : i < count - n) ? elements[i] : 0;
        }
        TRY(sets_add(binder, list, bits));
    }
    return ERR_OK;
}

/* The sets of all items, each with each. */
static enum err
bind_sets(struct binder *binder, struct scope *scope, struct query *query,
    const struct ast_select *select)
{
    struct set_list all = {0};
    TRY(sets_add(binder, &all, 0));
    AST_FOREACH(at, select->group)
    {
        struct set_list item = {0}, product = {0};
        TRY(bind_set_item(binder, scope, query, *at, &item));
        for (uint32_t i = 0; i < all.count; i++) {
            for (uint32_t k = 0; k < item.count; k++) {
                TRY(sets_add(binder, &product, all.sets[i] | item.sets[k]));
            }
        }
        all = product;
    }
    if (query->group_count > SET_GROUPS_MAX) {
        return bind_error(binder, -1, ERR_STATEMENT_TOO_COMPLEX,
            "grouping sets of more than %d expressions are not supported", SET_GROUPS_MAX);
    }
    struct set_list kept = {0};
    for (uint32_t i = 0; i < all.count; i++) {
        bool again = false;
        for (uint32_t k = 0; k < kept.count && select->group_distinct; k++) {
            again = again || kept.sets[k] == all.sets[i];
        }
        if (!again) {
            TRY(sets_add(binder, &kept, all.sets[i]));
        }
    }
    query->has_aggregates = true;
    query->sets = kept.sets;
    query->set_count = kept.count;
    return ERR_OK;
}

static enum err
bind_group(struct binder *binder, struct scope *scope, struct query *query,
    const struct ast_select *select)
{
    bool sets = false;
    AST_FOREACH(at, select->group)
    {
        sets = sets ||
               ((*at)->kind == AST_GROUPING && ast_as_grouping(*at)->kind != AST_GROUPING_CALL);
    }
    if (sets) {
        return bind_sets(binder, scope, query, select);
    }
    AST_FOREACH(at, select->group)
    {
        uint64_t bits;
        TRY(bind_group_element(binder, scope, query, *at, &bits));
    }
    return ERR_OK;
}

static enum err
bind_distinct(struct binder *binder, struct scope *scope, struct query *query,
    const struct ast_select *select)
{
    if (select->distinct == AST_DISTINCT_ROW) {
        for (uint32_t i = 0; i < query->column_count; i++) {
            TRY(bind_to_text_if_unknown(binder, &query->targets[i].expr));
            oid_t type = query->targets[i].expr->type;
            if (!type_is_ordered(type)) {
                return bind_error(binder, -1, ERR_UNDEFINED_FUNCTION,
                    "could not identify an equality operator for type %s",
                    bind_type_name(binder, type));
            }
        }
        return ERR_OK;
    }
    uint32_t count = ast_list_count(select->distinct_on);
    query->distinct_on = arena_alloc(binder->arena, count * sizeof *query->distinct_on);
    AST_FOREACH(at, select->distinct_on)
    {
        uint32_t target;
        TRY(target_for(
            binder, scope, query, *at, CLAUSE_DISTINCT_ON, "SELECT DISTINCT ON", &target));
        TRY(check_ordered(binder, query->targets[target].expr->type, (*at)->location));
        bool again = false;
        for (uint32_t i = 0; i < query->distinct_on_count && !again; i++) {
            again = query->distinct_on[i] == target;
        }
        if (!again) {
            query->distinct_on[query->distinct_on_count++] = target;
        }
    }
    /* ORDER BY must begin with them, in any order. */
    uint32_t matched = 0;
    for (uint32_t o = 0; o < query->order_count && matched < query->distinct_on_count; o++) {
        bool found = false;
        for (uint32_t i = 0; i < query->distinct_on_count && !found; i++) {
            found = query->distinct_on[i] == query->order[o].target;
        }
        if (!found) {
            return bind_error(binder, select->node.location, ERR_INVALID_COLUMN_REFERENCE,
                "SELECT DISTINCT ON expressions must match initial ORDER BY expressions");
        }
        matched++;
    }
    return ERR_OK;
}

/* ---- LIMIT ----------------------------------------------------------------------------------- */

struct own_check {
    const struct query *query;
    bool own;
};

static void
check_own(void *arg, reg_t reg)
{
    struct own_check *check = arg;
    check->own |= reg >= check->query->first_reg && query_rel(check->query, reg) != NULL;
}

static enum err
bind_limit_part(struct binder *binder, struct scope *scope, const struct ast_node *node,
    enum clause clause, const char *name, struct expr **expr)
{
    *expr = NULL;
    if (node == NULL) {
        return ERR_OK;
    }
    scope->clause = clause;
    enum err err = bind_expr(binder, scope, node, expr);
    scope->clause = CLAUSE_NONE;
    TRY(err);
    TRY(bind_to_bigint(binder, expr, name));
    struct own_check check = {.query = scope->query};
    expr_reads(*expr, check_own, &check);
    if (check.own) {
        return bind_error(binder, node->location, ERR_INVALID_COLUMN_REFERENCE,
            "argument of %s must not contain variables", name);
    }
    return ERR_OK;
}

static enum err
bind_limit(struct binder *binder, struct scope *scope, struct query *query,
    const struct ast_select *select)
{
    query->with_ties = select->limit_with_ties;
    if (query->with_ties && ast_list_count(select->order) == 0) {
        return bind_error(
            binder, -1, ERR_SYNTAX, "WITH TIES cannot be specified without ORDER BY clause");
    }
    TRY(bind_limit_part(binder, scope, select->limit, CLAUSE_LIMIT, "LIMIT", &query->limit));
    if (query->limit != NULL && expr_is_null_const(query->limit)) {
        query->limit = NULL;
    }
    return bind_limit_part(binder, scope, select->offset, CLAUSE_OFFSET, "OFFSET", &query->offset);
}

/* ---- FOR UPDATE ------------------------------------------------------------------------------ */

static const char *
locking_name(enum ast_lock_strength strength)
{
    switch (strength) {
    case AST_LOCK_KEY_SHARE:
        return "FOR KEY SHARE";
    case AST_LOCK_SHARE:
        return "FOR SHARE";
    case AST_LOCK_NO_KEY_UPDATE:
        return "FOR NO KEY UPDATE";
    case AST_LOCK_UPDATE:
        break;
    }
    return "FOR UPDATE";
}

static enum err
locking_allowed(struct binder *binder, const struct query *query, const char *name)
{
    const char *with = query->kind == QUERY_SET                          ? "UNION/INTERSECT/EXCEPT"
                       : query->kind == QUERY_VALUES                     ? "VALUES"
                       : query->distinct || query->distinct_on_count > 0 ? "DISTINCT clause"
                       : query->group_count > 0                          ? "GROUP BY clause"
                       : query->having != NULL                           ? "HAVING clause"
                       : query->has_aggregates                           ? "aggregate functions"
                       : query->has_windows                              ? "window functions"
                       : query->set_function != NULL ? "set-returning functions in the target list"
                                                     : NULL;
    if (with != NULL) {
        return bind_error(
            binder, -1, ERR_FEATURE_NOT_SUPPORTED, "%s is not allowed with %s", name, with);
    }
    return ERR_OK;
}

static bool
tree_nullable(const struct join_tree *tree, const struct rel *rel, bool nullable)
{
    if (tree->kind == TREE_REL) {
        return tree->rel == rel && nullable;
    }
    if (tree->kind == TREE_JOIN) {
        return tree_nullable(tree->left, rel, nullable || tree->join == JOIN_FULL) ||
               tree_nullable(tree->right, rel, true);
    }
    for (uint32_t i = 0; i < tree->items.count; i++) {
        if (tree_nullable(tree->items.items[i], rel, nullable)) {
            return true;
        }
    }
    return false;
}

static enum err
lock_rel(struct binder *binder, struct query *query, struct rel *rel,
    const struct ast_locking *locking, bool named)
{
    const char *name = locking_name(locking->strength);
    if (rel->kind == REL_SHARED) {
        return !named ? ERR_OK
                      : bind_error(binder, locking->node.location, ERR_FEATURE_NOT_SUPPORTED,
                            "%s cannot be applied to a WITH query", name);
    }
    if (rel->kind == REL_FUNCTION || rel->kind == REL_VIRTUAL) {
        if (named) {
            return bind_error(binder, locking->node.location, ERR_FEATURE_NOT_SUPPORTED,
                "%s cannot be applied to a %s", name,
                rel->kind == REL_FUNCTION ? "function" : "catalog view");
        }
        return ERR_OK;
    }
    if (rel->kind == REL_QUERY) {
        if (rel->query->kind == QUERY_VALUES && !named) {
            return ERR_OK;
        }
        return bind_error(binder, locking->node.location, ERR_FEATURE_NOT_SUPPORTED,
            "%s of rows of such a subquery is not supported", name);
    }
    if (tree_nullable(query->from, rel, false)) {
        return bind_error(binder, -1, ERR_FEATURE_NOT_SUPPORTED,
            "%s cannot be applied to the nullable side of an outer join", name);
    }
    enum txn_row_lock mode = (enum txn_row_lock)(TXN_LOCK_KEY_SHARE + (int)locking->strength);
    enum txn_wait wait = locking->wait == AST_LOCK_NOWAIT ? TXN_NOWAIT
                         : locking->wait == AST_LOCK_SKIP ? TXN_SKIP_LOCKED
                                                          : TXN_WAIT;
    rel->identity = true;
    bind_lock(binder, rel->relation, TXN_ROW_SHARE);
    bind_need(binder, rel->relation, PRIVILEGE_UPDATE);
    for (uint32_t i = 0; i < query->lock_count; i++) {
        struct lock_item *have = &query->locks[i];
        if (have->rel == rel) {
            have->mode = mode > have->mode ? mode : have->mode;
            have->wait = have->wait == TXN_WAIT ? wait : have->wait;
            return ERR_OK;
        }
    }
    if (query->locks == NULL) {
        query->locks = arena_alloc(binder->arena, query->rels.count * sizeof *query->locks);
    }
    query->locks[query->lock_count++] = (struct lock_item){.rel = rel, .mode = mode, .wait = wait};
    return ERR_OK;
}

static struct rel *
rel_by_alias(const struct query *query, const char *alias)
{
    for (uint32_t i = 0; i < query->rels.count; i++) {
        struct rel *rel = query->rels.items[i];
        if (strcmp(rel->alias, alias) == 0) {
            return rel;
        }
    }
    return NULL;
}

static enum err
bind_locking(struct binder *binder, struct query *query, const struct ast_list *list)
{
    AST_FOREACH(at, list)
    {
        const struct ast_locking *locking = ast_as_locking(*at);
        TRY(locking_allowed(binder, query, locking_name(locking->strength)));
        binder->writes = true;
        if (ast_list_count(locking->tables) == 0) {
            for (uint32_t i = 0; i < query->rels.count; i++) {
                TRY(lock_rel(binder, query, query->rels.items[i], locking, false));
            }
            continue;
        }
        AST_FOREACH(name_at, locking->tables)
        {
            const struct ast_table *table = ast_as_table(*name_at);
            struct rel *rel = rel_by_alias(query, table->name);
            if (rel == NULL) {
                return bind_error(binder, table->node.location, ERR_UNDEFINED_TABLE,
                    "relation \"%s\" in %s clause not found in FROM clause", table->name,
                    locking_name(locking->strength));
            }
            TRY(lock_rel(binder, query, rel, locking, true));
        }
    }
    return ERR_OK;
}

/* ---- the end of a query ---------------------------------------------------------------------- */

/* Where each target's value will be: a register of the query itself stays where it is. */
static void
place_targets(struct binder *binder, struct query *query)
{
    bool all_plain = true;
    for (uint32_t i = 0; i < query->target_count; i++) {
        struct target *target = &query->targets[i];
        target->plain =
            target->expr->kind == EXPR_REGISTER && target->expr->reg >= query->first_reg;
        all_plain &= target->plain;
        query_column_origin(query, target->expr, &target->table, &target->attnum);
    }
    query->target_base = binder->next_reg;
    if (!all_plain) {
        (void)bind_registers(binder, query->target_count);
    }
    for (uint32_t i = 0; i < query->target_count; i++) {
        struct target *target = &query->targets[i];
        target->reg = target->plain ? target->expr->reg : query->target_base + i;
    }
    query->end_reg = binder->next_reg;
}

static enum err
bind_plain(struct binder *binder, struct scope *scope, struct query *query,
    const struct ast_select *select, bool keep_unknown)
{
    if (select->into != NULL) {
        return bind_error(
            binder, select->node.location, ERR_SYNTAX, "SELECT ... INTO is not allowed here");
    }
    if (ast_list_count(select->from) > 0) {
        query->from = arena_alloc(binder->arena, sizeof *query->from);
        TRY(bind_from(binder, scope, select->from, query->from));
    }
    TRY(bind_windows(binder, scope, select->windows));
    struct target_list targets = {0};
    scope->clause = CLAUSE_TARGETS;
    TRY(bind_target_list(binder, scope, select->targets, &targets));
    scope->clause = CLAUSE_NONE;
    query->targets = targets.items;
    query->target_count = query->column_count = targets.count;
    query->target_capacity = targets.capacity;

    if (select->where != NULL) {
        struct expr *where;
        scope->clause = CLAUSE_WHERE;
        TRY(bind_condition(binder, scope, select->where, "WHERE", &where));
        scope->clause = CLAUSE_NONE;
        expr_conjuncts(
            binder->arena, where, query->from != NULL ? &query->from->conds : &query->where);
    }
    if (select->having != NULL) {
        scope->clause = CLAUSE_HAVING;
        TRY(bind_condition(binder, scope, select->having, "HAVING", &query->having));
        scope->clause = CLAUSE_NONE;
    }
    query->distinct = select->distinct == AST_DISTINCT_ROW;
    TRY(bind_order(binder, scope, query, select->order));
    TRY(bind_group(binder, scope, query, select));
    if (select->distinct != AST_DISTINCT_NONE) {
        TRY(bind_distinct(binder, scope, query, select));
    }
    TRY(bind_limit(binder, scope, query, select));
    if (!keep_unknown) {
        for (uint32_t i = 0; i < query->column_count; i++) {
            TRY(bind_to_text_if_unknown(binder, &query->targets[i].expr));
        }
    }
    TRY(bind_check_grouping(binder, query));
    TRY(bind_locking(binder, query, select->locking));
    place_targets(binder, query);
    return ERR_OK;
}

/* ---- VALUES ---------------------------------------------------------------------------------- */

static void
column_targets(struct binder *binder, struct query *query, uint32_t count)
{
    query->targets = arena_alloc(binder->arena, (count + 1) * sizeof *query->targets);
    query->target_count = query->column_count = query->target_capacity = count;
    query->target_base = bind_registers(binder, count);
}

static void
column_target(struct binder *binder, struct query *query, uint32_t i, oid_t type, int32_t typmod)
{
    struct target *target = &query->targets[i];
    target->reg = query->target_base + i;
    target->plain = true;
    target->expr = expr_register(binder, target->reg, type, typmod, -1);
}

static enum err
bind_values(struct binder *binder, struct scope *scope, struct query *query,
    const struct ast_select *select, bool keep_unknown)
{
    query->kind = QUERY_VALUES;
    uint32_t rows = ast_list_count(select->values);
    uint32_t width = ast_list_count(ast_as_row(ast_list_at(select->values, 0))->list);
    query->row_count = rows;
    query->values = arena_array(binder->arena, (size_t)rows * width + 1, sizeof *query->values);
    scope->clause = CLAUSE_VALUES;
    for (uint32_t r = 0; r < rows; r++) {
        const struct ast_row *row = ast_as_row(ast_list_at(select->values, r));
        if (ast_list_count(row->list) != width) {
            return bind_error(
                binder, row->node.location, ERR_SYNTAX, "VALUES lists must all be the same length");
        }
        for (uint32_t c = 0; c < width; c++) {
            TRY(bind_expr(binder, scope, ast_list_at(row->list, c), &query->values[r * width + c]));
        }
    }
    scope->clause = CLAUSE_NONE;
    column_targets(binder, query, width);
    struct expr **column = arena_alloc(binder->arena, (rows + 1) * sizeof *column);
    for (uint32_t c = 0; c < width; c++) {
        bool unknown = keep_unknown;
        int32_t typmod = query->values[c]->typmod;
        for (uint32_t r = 0; r < rows; r++) {
            column[r] = query->values[r * width + c];
            unknown &= column[r]->type == TYPE_UNKNOWN;
            typmod = typmod == column[r]->typmod ? typmod : -1;
        }
        oid_t type = TYPE_UNKNOWN;
        if (!unknown) {
            TRY(bind_common_type(binder, column, rows, "VALUES", &type));
            TRY(bind_coerce_list(binder, column, rows, type, "VALUES"));
        }
        for (uint32_t r = 0; r < rows; r++) {
            query->values[r * width + c] = column[r];
        }
        column_target(binder, query, c, type, typmod);
        query->targets[c].name = arena_printf(binder->arena, "column%u", c + 1);
    }
    query->end_reg = binder->next_reg;
    TRY(bind_order_of_columns(binder, query, select->order));
    TRY(bind_limit(binder, scope, query, select));
    return bind_locking(binder, query, select->locking);
}

/* ---- set operations -------------------------------------------------------------------------- */

enum err
query_type_unknown(struct binder *binder, struct query *query, uint32_t i, oid_t type)
{
    struct target *target = &query->targets[i];
    bool done;
    if (target->expr->type != TYPE_UNKNOWN) {
        return ERR_OK;
    }
    if (query->kind == QUERY_VALUES) {
        for (uint32_t r = 0; r < query->row_count; r++) {
            struct expr **at = &query->values[r * query->column_count + i];
            TRY(bind_coerce(binder, at, type, -1, CAST_ASSIGNMENT, &done));
        }
        column_target(binder, query, i, type, -1);
        return ERR_OK;
    }
    return bind_coerce(binder, &target->expr, type, -1, CAST_ASSIGNMENT, &done);
}

static struct expr *
query_column(struct binder *binder, const struct query *query, uint32_t i)
{
    const struct target *target = &query->targets[i];
    return expr_register(
        binder, target->reg, target->expr->type, target->expr->typmod, target->expr->location);
}

static enum err
bind_set(struct binder *binder, struct scope *scope, struct query *query,
    const struct ast_select *select)
{
    static const char *const names[] = {
        [AST_SET_UNION] = "UNION", [AST_SET_INTERSECT] = "INTERSECT", [AST_SET_EXCEPT] = "EXCEPT"};
    const char *name = names[select->op];
    query->kind = QUERY_SET;
    query->set_kind = select->op == AST_SET_UNION       ? SET_UNION
                      : select->op == AST_SET_INTERSECT ? SET_INTERSECT
                                                        : SET_EXCEPT;
    query->set_all = select->all;
    TRY(bind_query(binder, scope, select->left, true, &query->left));
    TRY(bind_query(binder, scope, select->right, true, &query->right));
    uint32_t count = query->left->column_count;
    if (count != query->right->column_count) {
        return bind_error(binder, select->right->node.location, ERR_SYNTAX,
            "each %s query must have the same number of columns", name);
    }
    query->left_exprs = arena_alloc(binder->arena, (count + 1) * sizeof *query->left_exprs);
    query->right_exprs = arena_alloc(binder->arena, (count + 1) * sizeof *query->right_exprs);
    column_targets(binder, query, count);
    for (uint32_t i = 0; i < count; i++) {
        struct expr *sides[2] = {query->left->targets[i].expr, query->right->targets[i].expr};
        oid_t type;
        TRY(bind_common_type(binder, sides, 2, name, &type));
        TRY(query_type_unknown(binder, query->left, i, type));
        TRY(query_type_unknown(binder, query->right, i, type));
        sides[0] = query_column(binder, query->left, i);
        sides[1] = query_column(binder, query->right, i);
        int32_t typmod =
            sides[0]->type == type && sides[1]->type == type && sides[0]->typmod == sides[1]->typmod
                ? sides[0]->typmod
                : -1;
        TRY(bind_coerce_list(binder, sides, 2, type, name));
        if (!(query->set_kind == SET_UNION && query->set_all) && !type_is_ordered(type)) {
            return bind_error(binder, -1, ERR_UNDEFINED_FUNCTION,
                "could not identify an equality operator for type %s",
                bind_type_name(binder, type));
        }
        query->left_exprs[i] = sides[0];
        query->right_exprs[i] = sides[1];
        column_target(binder, query, i, type, typmod);
        query->targets[i].name = query->left->targets[i].name;
    }
    query->end_reg = binder->next_reg;
    TRY(bind_order_of_columns(binder, query, select->order));
    TRY(bind_limit(binder, scope, query, select));
    return bind_locking(binder, query, select->locking);
}

/* ---- any query ------------------------------------------------------------------------------- */

enum err
bind_query(struct binder *binder, struct scope *parent, const struct ast_select *select,
    bool keep_unknown, struct query **query)
{
    TRY(bind_check_stack(binder));
    struct query *made = arena_alloc(binder->arena, sizeof *made);
    struct scope *scope = scope_new(binder, parent, made);
    made->first_reg = binder->next_reg;
    *query = made;
    binder->depth++;
    enum err err = bind_with(binder, scope, &select->with, select);
    if (err == ERR_OK) {
        if (select->op != AST_SET_NONE) {
            err = bind_set(binder, scope, made, select);
        } else if (ast_list_count(select->values) > 0) {
            err = bind_values(binder, scope, made, select, keep_unknown);
        } else {
            err = bind_plain(binder, scope, made, select, keep_unknown);
        }
    }
    binder->depth--;
    /* Registers of LIMIT's subqueries and the like. */
    made->end_reg = binder->next_reg;
    return err;
}

enum err
bind_select(struct binder *binder, struct scope *parent, const struct ast_select *select,
    struct query **query)
{
    return bind_query(binder, parent, select, false, query);
}

/* ---- what a routine declares ------------------------------------------------------------------
 */

enum err
bind_shape_mismatch(
    struct binder *binder, const struct routine_result *result, const char *detail, ...)
{
    char words[DIAG_TEXT_MAX];
    va_list args;
    va_start(args, detail);
    (void)vsnprintf(words, sizeof words, detail, args);
    va_end(args);
    (void)bind_error(binder, -1, ERR_INVALID_FUNCTION_DEFINITION,
        "return type mismatch in function declared to return %s",
        bind_type_name(binder, result->declared));
    diag_detail(binder->diag, "%s", words);
    return ERR_INVALID_FUNCTION_DEFINITION;
}

enum err
query_shape(struct binder *binder, struct query **query, const struct routine_result *result)
{
    struct query *inner = *query;
    bool same = true;
    if (inner->column_count != result->count) {
        return bind_shape_mismatch(binder, result, "%s",
            result->declared != TYPE_RECORD ? "Final statement must return exactly one column."
            : inner->column_count < result->count ? "Final statement returns too few columns."
                                                  : "Final statement returns too many columns.");
    }
    for (uint32_t i = 0; i < result->count; i++) {
        same = same && inner->targets[i].expr->type == result->types[i];
    }
    if (same) {
        return ERR_OK;
    }
    struct query *outer = query_filtered(binder, inner, NULL);
    outer->correlated = inner->correlated;
    outer->targets = arena_alloc(binder->arena, result->count * sizeof *outer->targets);
    outer->target_base = bind_registers(binder, result->count);
    for (uint32_t i = 0; i < result->count; i++) {
        struct expr *column = query_column(binder, inner, i);
        oid_t from = column->type;
        bool done;
        TRY(bind_coerce(binder, &column, result->types[i], -1, CAST_ASSIGNMENT, &done));
        if (!done && result->declared != TYPE_RECORD) {
            return bind_shape_mismatch(
                binder, result, "Actual return type is %s.", bind_type_name(binder, from));
        }
        if (!done) {
            return bind_shape_mismatch(binder, result,
                "Final statement returns %s instead of %s at column %u.",
                bind_type_name(binder, from), bind_type_name(binder, result->types[i]), i + 1);
        }
        outer->targets[i] = (struct target){
            .expr = column, .name = inner->targets[i].name, .reg = outer->target_base + i};
    }
    outer->target_count = outer->column_count = outer->target_capacity = result->count;
    outer->end_reg = binder->next_reg;
    *query = outer;
    return ERR_OK;
}

/* ---- queries around queries --------------------------------------------------------------------
 */

struct query *
query_filtered(struct binder *binder, struct query *query, struct expr *condition)
{
    struct rel *rel = arena_alloc(binder->arena, sizeof *rel);
    rel->kind = REL_QUERY;
    rel->alias = "subquery";
    rel->query = query;
    rel->base = query->first_reg;
    rel->reg_count = query->end_reg - query->first_reg;
    struct join_tree *leaf = arena_alloc(binder->arena, sizeof *leaf);
    leaf->kind = TREE_REL;
    leaf->rel = rel;
    struct query *outer = arena_alloc(binder->arena, sizeof *outer);
    outer->kind = QUERY_SELECT;
    outer->first_reg = query->first_reg;
    outer->end_reg = query->end_reg;
    outer->correlated = true;
    outer->from = arena_alloc(binder->arena, sizeof *outer->from);
    outer->from->kind = TREE_LIST;
    vec_add(binder->arena, &outer->from->items, leaf);
    vec_add(binder->arena, &outer->rels, rel);
    if (condition != NULL) {
        expr_conjuncts(binder->arena, condition, &outer->from->conds);
    }
    return outer;
}

enum err
query_cast_column(struct binder *binder, struct query **query, oid_t type)
{
    struct query *outer = query_filtered(binder, *query, NULL);
    outer->correlated = (*query)->correlated;
    struct expr *column = query_column(binder, *query, 0);
    bool done;
    TRY(bind_coerce(binder, &column, type, -1, CAST_IMPLICIT, &done));
    outer->targets = arena_alloc(binder->arena, sizeof *outer->targets);
    outer->targets[0] = (struct target){
        .expr = column, .name = (*query)->targets[0].name, .reg = bind_registers(binder, 1)};
    outer->target_base = outer->targets[0].reg;
    outer->target_count = outer->column_count = 1;
    outer->end_reg = binder->next_reg;
    *query = outer;
    return ERR_OK;
}
