/*
 * sql/plan/query.c - from a bound query to operators: what stands above FROM and WHERE.
 *
 * The order is PostgreSQL's: aggregation and HAVING, set-returning functions, the targets that
 * DISTINCT or ORDER BY look at, DISTINCT, ORDER BY, row locks, LIMIT, and last the other targets,
 * so that they are computed only for rows that come out, and from the locked row's newest version.
 */
#include "sql/plan/planner.h"

#include "base/assert.h"

enum {
    LIMIT_GUESS = 100,
};

static const double COST_SORT = 0.3, COST_GROUP = 1, COST_TARGET = 0.1;

struct plan_node *
plan_node_new(
    struct planner *planner, enum plan_kind kind, double rows, double cost, struct plan_node *child)
{
    struct plan_node *node = arena_alloc(planner->arena, sizeof *node);
    node->kind = kind;
    node->rows = rows;
    node->cost = cost;
    node->children[0] = child;
    return node;
}

/* ---- subqueries in expressions ------------------------------------------------------------------
 */

static enum err
plan_child(void *arg, struct expr *child)
{
    return plan_subplans(arg, child);
}

enum err
plan_subplans(struct planner *planner, struct expr *expr)
{
    if (expr->kind == EXPR_CONST || expr->kind == EXPR_PARAM || expr->kind == EXPR_REGISTER) {
        return ERR_OK;
    }
    TRY(bind_check_stack(planner->binder));
    if (expr->kind == EXPR_SUBPLAN && expr->subplan->root == NULL) {
        struct bound_subplan *bound = (struct bound_subplan *)(void *)expr->subplan;
        struct path path;
        reg_t base;
        TRY(plan_query(planner, bound->query, false, &base, &path));
        bound->subplan.root = path.node;
        bool exists = bound->subplan.kind == SUBPLAN_EXISTS;
        bound->subplan.result = exists || bound->query->target_count == 0
                                    ? 0
                                    : bound->query->targets[bound->column].reg;
    }
    return expr_children(expr, plan_child, planner);
}

static enum err
plan_list_subplans(struct planner *planner, struct expr **list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] != NULL) {
            TRY(plan_subplans(planner, list[i]));
        }
    }
    return ERR_OK;
}

/* ---- FROM ------------------------------------------------------------------------------------ */

struct lateral {
    struct level *level;
    uint32_t rel;
};

static void
note_lateral(void *arg, reg_t reg)
{
    struct lateral *lateral = arg;
    const struct query *query = lateral->level->query;
    const struct rel *self = query->rels.items[lateral->rel];
    const struct rel *rel = query_rel(query, reg);
    if (rel != NULL && rel != self) {
        lateral->level->needs[lateral->rel] |= rel_bit(lateral->level, rel);
    }
}

void
level_start(struct level *level, struct planner *planner, struct query *query)
{
    level->planner = planner;
    level->query = query;
    level->unnested = (struct vec){0};
    level->keep_order = false;
    for (uint32_t i = 0; i < query->rels.count; i++) {
        struct rel *rel = query->rels.items[i];
        level->needs[i] = 0;
        struct lateral lateral = {.level = level, .rel = i};
        if (rel->kind == REL_QUERY && rel->query->correlated) {
            query_reads(rel->query, note_lateral, &lateral);
        }
        for (uint32_t a = 0; a < rel->arg_count; a++) {
            expr_reads(rel->args[a], note_lateral, &lateral);
        }
    }
}

enum err
plan_from(struct level *level, const struct order *order, bool *ordered, struct path *path)
{
    struct planner *planner = level->planner;
    struct query *query = level->query;
    *path = (struct path){.rows = 1, .cost = 0.1};
    if (query->from != NULL && query->from->items.count > 0) {
        struct vec none = {0};
        struct join_tree *tree = query->from;
        plan_unnest(level, &tree);
        return plan_join_tree(level, tree, &none, order, ordered, path);
    }
    path->node = plan_node_new(planner, PLAN_RESULT, 1, 0.1, NULL);
    const struct expr_vec *where = query->from != NULL ? &query->from->conds : &query->where;
    TRY(plan_list_subplans(planner, where->items, where->count));
    node_filter(planner, path->node, where->items, where->count);
    return ERR_OK;
}

static enum err
recheck_tree(struct level *level, const struct join_tree *tree, rel_set rels, struct expr_vec *to)
{
    if (tree->kind != TREE_LIST) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < tree->conds.count; i++) {
        struct expr *expr = tree->conds.items[i];
        if ((level_rels(level, expr) & rels) != 0) {
            TRY(plan_subplans(level->planner, expr)); /* it may have been unnested */
            expr_vec_add(level->planner->arena, to, expr);
        }
    }
    for (uint32_t i = 0; i < tree->items.count; i++) {
        TRY(recheck_tree(level, tree->items.items[i], rels, to));
    }
    return ERR_OK;
}

enum err
level_recheck(struct level *level, rel_set rels, struct expr_vec *to)
{
    return level->query->from == NULL ? ERR_OK : recheck_tree(level, level->query->from, rels, to);
}

/* ---- aggregation ----------------------------------------------------------------------------- */

static enum err
plan_aggregate_exprs(struct planner *planner, const struct plan_aggregate *aggregate)
{
    TRY(plan_list_subplans(planner, aggregate->args, aggregate->arg_count));
    for (uint32_t i = 0; i < aggregate->order_count; i++) {
        TRY(plan_subplans(planner, aggregate->order_targets[i].expr));
    }
    return aggregate->filter == NULL ? ERR_OK : plan_subplans(planner, aggregate->filter);
}

/* How many groups there will be. */
static double
group_rows(struct level *level, const struct query *query, double rows)
{
    double groups = 1;
    for (uint32_t i = 0; i < query->group_count; i++) {
        double distinct = expr_distinct(level, query->groups[i].expr);
        if (distinct <= 0) { /* unknown: a tenth, but not few */
            distinct = rows / 10 < 200 ? 200 : rows / 10;
        }
        groups *= distinct;
    }
    return groups < 1 ? 1 : groups < rows ? groups : rows < 1 ? 1 : rows;
}

/* Each row once for each grouping set, beside the set's number. */
static void
repeat_for_sets(struct planner *planner, const struct query *query, struct path *path)
{
    struct expr **numbers = arena_alloc(planner->arena, (query->set_count + 1) * sizeof *numbers);
    for (uint32_t i = 0; i < query->set_count; i++) {
        numbers[i] = expr_const(planner->binder, TYPE_INT8, datum_int(i), -1);
    }
    struct plan_node *values =
        plan_node_new(planner, PLAN_VALUES, query->set_count, query->set_count, NULL);
    values->values.exprs = numbers;
    values->values.row_count = query->set_count;
    values->values.column_count = 1;
    values->values.base = query->set_reg;
    path->rows *= query->set_count;
    path->cost += path->rows * COST_TARGET;
    struct plan_node *loop =
        plan_node_new(planner, PLAN_NEST_LOOP, path->rows, path->cost, path->node);
    loop->children[1] = values;
    loop->join.kind = JOIN_INNER;
    path->node = loop;
}

static enum err
plan_aggregation(struct level *level, struct query *query, struct path *path)
{
    struct planner *planner = level->planner;
    double rows = group_rows(level, query, path->rows);
    if (query->sets != NULL) {
        rows *= query->set_count;
        repeat_for_sets(planner, query, path);
    }
    double cost = path->cost + path->rows * COST_GROUP;
    struct plan_node *node = plan_node_new(planner, PLAN_AGGREGATE, rows, cost, path->node);
    node->aggregate.sets = query->sets;
    node->aggregate.set_count = query->set_count;
    node->aggregate.groups =
        arena_alloc(planner->arena, (query->group_count + 1) * sizeof *node->aggregate.groups);
    node->aggregate.group_count = query->group_count;
    for (uint32_t i = 0; i < query->group_count; i++) {
        TRY(plan_subplans(planner, query->groups[i].expr));
        const struct group_item *group = &query->groups[i];
        node->aggregate.groups[i] = (struct plan_target){
            .expr = group->shown != NULL ? group->shown : group->expr, .reg = group->reg};
    }
    uint32_t count = query->aggregates.count;
    node->aggregate.aggregate_count = count;
    node->aggregate.aggregates =
        arena_alloc(planner->arena, (count + 1) * sizeof *node->aggregate.aggregates);
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_aggregate *aggregate = query->aggregates.items[i];
        TRY(plan_aggregate_exprs(planner, aggregate));
        node->aggregate.aggregates[i] = *aggregate;
    }
    if (query->having != NULL) {
        struct expr_vec having = {0};
        expr_conjuncts(planner->arena, query->having, &having);
        TRY(plan_list_subplans(planner, having.items, having.count));
        node_filter(planner, node, having.items, having.count);
    }
    path->node = node;
    path->rows = rows;
    path->cost = cost;
    return ERR_OK;
}

/* SELECT min(x), or max(x), alone: the first row of an index on x tells it. */
static bool
extreme_order(const struct query *query, struct plan_sort_key *key)
{
    if (query->group_count > 0 || query->aggregates.count != 1 || query->having != NULL) {
        return false;
    }
    const struct plan_aggregate *aggregate = query->aggregates.items[0];
    bool min = strcmp(aggregate->function->name, "min") == 0;
    if ((!min && strcmp(aggregate->function->name, "max") != 0) || aggregate->filter != NULL ||
        aggregate->arg_count != 1 || aggregate->args[0]->kind != EXPR_REGISTER) {
        return false;
    }
    const struct rel *rel = query_rel(query, aggregate->args[0]->reg);
    if (rel == NULL || rel->kind != REL_TABLE || query->rels.count != 1) {
        return false;
    }
    /* Nulls do not count, so they must come last, where they are met only if there is nothing
     * else. */
    const struct column *column = &rel->relation->columns[aggregate->args[0]->reg - rel->base];
    *key = (struct plan_sort_key){.reg = aggregate->args[0]->reg,
        .type = column->type,
        .descending = !min,
        .nulls_first = false};
    return column->not_null || min;
}

static struct plan_node *
limit_node(
    struct planner *planner, struct plan_node *child, struct expr *count, struct expr *offset)
{
    struct plan_node *node = plan_node_new(planner, PLAN_LIMIT, child->rows, child->cost, child);
    node->limit.count = count;
    node->limit.offset = offset;
    if (count != NULL && count->kind == EXPR_CONST && !count->constant.null &&
        (double)count->constant.i < child->rows) {
        node->rows = count->constant.i < 1 ? 1 : (double)count->constant.i;
        node->cost = child->cost * node->rows / (child->rows < 1 ? 1 : child->rows);
    }
    return node;
}

/* ---- targets --------------------------------------------------------------------------------- */

bool
query_target_is_early(const struct query *query, uint32_t target)
{
    if (query->distinct) {
        return !query->targets[target].junk;
    }
    for (uint32_t i = 0; i < query->order_count; i++) {
        if (query->order[i].target == target) {
            return true;
        }
    }
    for (uint32_t i = 0; i < query->distinct_on_count; i++) {
        if (query->distinct_on[i] == target) {
            return true;
        }
    }
    return false;
}

static enum err
project(struct planner *planner, struct path *path, struct plan_target *targets, uint32_t count)
{
    if (count == 0) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(plan_subplans(planner, targets[i].expr));
    }
    struct plan_node *node = path->node;
    path->cost += path->rows * COST_TARGET * count;
    if (node->kind != PLAN_RESULT || node->children[0] != NULL || node->project.count > 0) {
        node = plan_node_new(planner, PLAN_PROJECT, path->rows, path->cost, node);
    }
    node->project.targets = targets;
    node->project.count = count;
    path->node = node;
    return ERR_OK;
}

/* The computed targets, early or late. */
static enum err
project_targets(struct planner *planner, struct query *query, bool early, struct path *path)
{
    struct plan_target *targets =
        arena_alloc(planner->arena, (query->target_count + 1) * sizeof *targets);
    uint32_t count = 0;
    for (uint32_t i = 0; i < query->target_count; i++) {
        struct target *target = &query->targets[i];
        bool junk = target->junk && !early;
        /* Of a locked row the early ones are computed anew: it may have changed. */
        bool now = early ? query_target_is_early(query, i)
                         : !query_target_is_early(query, i) || query->lock_count > 0;
        if (!target->plain && !target->shipped && now && !junk) {
            targets[count++] = (struct plan_target){.expr = target->expr, .reg = target->reg};
        }
    }
    return project(planner, path, targets, count);
}

/* The columns in registers one after another, for the world outside. */
static enum err
make_contiguous(struct planner *planner, struct query *query, struct path *path, reg_t *base)
{
    bool already = true;
    for (uint32_t i = 1; i < query->column_count; i++) {
        already &= query->targets[i].reg == query->targets[0].reg + i;
    }
    *base = query->column_count == 0 ? 0 : query->targets[0].reg;
    if (already) {
        return ERR_OK;
    }
    *base = bind_registers(planner->binder, query->column_count);
    struct plan_target *targets =
        arena_alloc(planner->arena, query->column_count * sizeof *targets);
    for (uint32_t i = 0; i < query->column_count; i++) {
        const struct target *target = &query->targets[i];
        targets[i] = (struct plan_target){.reg = *base + i,
            .expr = expr_register(
                planner->binder, target->reg, target->expr->type, target->expr->typmod, -1)};
    }
    /* A projection below that nobody else looks at does it in one go. */
    struct plan_node *below = path->node;
    if ((below->kind == PLAN_PROJECT ||
            (below->kind == PLAN_RESULT && below->children[0] == NULL)) &&
        below->project.count > 0) {
        for (uint32_t i = 0; i < query->column_count; i++) {
            for (uint32_t k = 0; k < below->project.count; k++) {
                if (below->project.targets[k].reg == targets[i].expr->reg) {
                    targets[i].expr = below->project.targets[k].expr;
                    break;
                }
            }
        }
        below->project.targets = targets;
        below->project.count = query->column_count;
        return ERR_OK;
    }
    return project(planner, path, targets, query->column_count);
}

/* ---- sorting --------------------------------------------------------------------------------- */

static struct plan_sort_key
sort_key(const struct query *query, uint32_t target)
{
    return (struct plan_sort_key){
        .reg = query->targets[target].reg, .type = query->targets[target].expr->type};
}

struct plan_sort_key *
query_sort_keys(struct planner *planner, const struct query *query, uint32_t *count)
{
    uint32_t most = query->order_count + query->distinct_on_count;
    struct plan_sort_key *keys = arena_alloc(planner->arena, (most + 1) * sizeof *keys);
    *count = 0;
    for (uint32_t i = 0; i < query->order_count; i++) {
        keys[*count] = sort_key(query, query->order[i].target);
        keys[*count].descending = query->order[i].descending;
        keys[*count].nulls_first = query->order[i].nulls_first;
        (*count)++;
    }
    for (uint32_t i = 0; i < query->distinct_on_count; i++) {
        bool have = false;
        for (uint32_t o = 0; o < query->order_count && !have; o++) {
            have = query->order[o].target == query->distinct_on[i];
        }
        if (!have) {
            keys[(*count)++] = sort_key(query, query->distinct_on[i]);
        }
    }
    return keys;
}

static double
log2_of(double rows)
{
    double bits = 1;
    for (; rows > 2; rows /= 2) {
        bits++;
    }
    return bits;
}

/* How many rows will be asked for, if that is known to be LIMIT alone. */
static struct expr *
sort_bound(struct planner *planner, const struct query *query)
{
    if (query->limit == NULL || query->lock_count > 0 || query->distinct_on_count > 0 ||
        query->with_ties) {
        return NULL;
    }
    if (query->offset == NULL) {
        return query->limit;
    }
    if (query->limit->kind != EXPR_CONST || query->offset->kind != EXPR_CONST ||
        query->limit->constant.null || query->offset->constant.null) {
        return NULL;
    }
    int64_t sum;
    if (__builtin_add_overflow(query->limit->constant.i, query->offset->constant.i, &sum)) {
        return NULL;
    }
    return expr_const(planner->binder, TYPE_INT8, datum_int(sum), -1);
}

static void
sort(struct planner *planner, const struct query *query, struct path *path)
{
    uint32_t count;
    struct plan_sort_key *keys = query_sort_keys(planner, query, &count);
    if (count == 0) {
        return;
    }
    path->cost += path->rows * log2_of(path->rows) * COST_SORT;
    path->node = plan_node_new(planner, PLAN_SORT, path->rows, path->cost, path->node);
    path->node->sort.keys = keys;
    path->node->sort.key_count = count;
    path->node->sort.bound = sort_bound(planner, query);
}

static void
distinct(struct planner *planner, const struct query *query, struct path *path)
{
    struct plan_node *node =
        plan_node_new(planner, PLAN_DISTINCT, path->rows, path->cost, path->node);
    uint32_t count = query->distinct ? query->column_count : query->distinct_on_count;
    node->distinct.keys = arena_alloc(planner->arena, (count + 1) * sizeof *node->distinct.keys);
    node->distinct.key_count = count;
    node->distinct.sorted = !query->distinct;
    for (uint32_t i = 0; i < count; i++) {
        node->distinct.keys[i] = sort_key(query, query->distinct ? i : query->distinct_on[i]);
    }
    path->cost += path->rows * COST_GROUP;
    node->cost = path->cost;
    path->node = node;
}

static enum err
limit(struct planner *planner, const struct query *query, struct path *path)
{
    if (query->limit == NULL && query->offset == NULL) {
        return ERR_OK;
    }
    struct expr *both[] = {query->limit, query->offset};
    TRY(plan_list_subplans(planner, both, 2));
    path->node = limit_node(planner, path->node, query->limit, query->offset);
    if (query->with_ties) {
        path->node->limit.ties = query_sort_keys(planner, query, &path->node->limit.tie_count);
    }
    path->rows = path->node->rows;
    path->cost = path->node->cost;
    return ERR_OK;
}

/* ---- SELECT ---------------------------------------------------------------------------------- */

static enum err
lock_rows(struct level *level, struct path *path)
{
    struct planner *planner = level->planner;
    struct query *query = level->query;
    struct plan_node *node =
        plan_node_new(planner, PLAN_LOCK, path->rows, path->cost + path->rows, path->node);
    node->lock.locks = arena_alloc(planner->arena, query->lock_count * sizeof *node->lock.locks);
    node->lock.lock_count = query->lock_count;
    rel_set rels = 0;
    for (uint32_t i = 0; i < query->lock_count; i++) {
        const struct lock_item *item = &query->locks[i];
        ASSERT(item->rel->planned != NULL);
        node->lock.locks[i] = (struct plan_lock){
            .relation = item->rel->planned, .mode = item->mode, .wait = item->wait};
        rels |= rel_bit(level, item->rel);
    }
    struct expr_vec recheck = {0};
    TRY(level_recheck(level, rels, &recheck));
    node->lock.recheck = recheck.items;
    node->lock.recheck_count = recheck.count;
    path->node = node;
    return ERR_OK;
}

/* A set-returning function among the targets: its rows for each row so far. */
static enum err
target_function(struct planner *planner, struct query *query, struct path *path)
{
    const struct rel *rel = query->set_function;
    TRY(plan_list_subplans(planner, rel->args, rel->arg_count));
    struct plan_node *function = plan_node_new(planner, PLAN_FUNCTION, 1000, 1000, NULL);
    function->function.calls = rel->calls;
    function->function.call_count = rel->call_count;
    function->function.args = rel->args;
    function->function.arg_count = rel->arg_count;
    path->rows *= 1000;
    path->cost += path->rows;
    struct plan_node *loop =
        plan_node_new(planner, PLAN_NEST_LOOP, path->rows, path->cost, path->node);
    loop->children[1] = function;
    loop->join.kind = JOIN_INNER;
    path->node = loop;
    return ERR_OK;
}

/* LIMIT's number, or a guess if it is a parameter (PL3). */
static double
expected_rows(const struct query *query)
{
    if (query->limit == NULL || query->distinct_on_count > 0) {
        return 0;
    }
    if (query->limit->kind != EXPR_CONST) {
        return LIMIT_GUESS;
    }
    return query->limit->constant.i < 1 ? 1 : (double)query->limit->constant.i;
}

/* ---- windows --------------------------------------------------------------------------------- */

struct window_inputs {
    struct planner *planner;
    const struct query *query;
    struct plan_target *targets; /* to be computed below the node */
    uint32_t count, capacity;
};

static void
window_target(struct window_inputs *inputs, struct expr *expr, reg_t reg)
{
    if (inputs->count == inputs->capacity) {
        uint32_t wanted = inputs->capacity == 0 ? 8 : inputs->capacity * 2;
        struct plan_target *bigger =
            arena_alloc_raw(inputs->planner->arena, wanted * sizeof *bigger);
        if (inputs->count > 0) {
            memcpy(bigger, inputs->targets, inputs->count * sizeof *bigger);
        }
        inputs->targets = bigger;
        inputs->capacity = wanted;
    }
    inputs->targets[inputs->count++] = (struct plan_target){.expr = expr, .reg = reg};
}

/* The register where an expression's value stands for the window node. */
static reg_t
window_input(struct window_inputs *inputs, struct expr *expr)
{
    if (expr->kind == EXPR_REGISTER && expr->reg >= inputs->query->first_reg) {
        return expr->reg;
    }
    for (uint32_t i = 0; i < inputs->count; i++) {
        if (expr_equal(inputs->targets[i].expr, expr) && !expr_volatile(expr)) {
            return inputs->targets[i].reg;
        }
    }
    reg_t reg = bind_registers(inputs->planner->binder, 1);
    window_target(inputs, expr, reg);
    return reg;
}

static void
window_keys(struct window_inputs *inputs, const struct window *window, struct plan_node *node)
{
    uint32_t count = window->partition_count + window->order_count;
    struct plan_sort_key *keys = arena_alloc(inputs->planner->arena, (count + 1) * sizeof *keys);
    for (uint32_t i = 0; i < window->partition_count; i++) {
        keys[i] = (struct plan_sort_key){
            .reg = window_input(inputs, window->partition[i]), .type = window->partition[i]->type};
    }
    for (uint32_t i = 0; i < window->order_count; i++) {
        const struct window_order *order = &window->order[i];
        keys[window->partition_count + i] =
            (struct plan_sort_key){.reg = window_input(inputs, order->expr),
                .type = order->expr->type,
                .descending = order->descending,
                .nulls_first = order->nulls_first};
    }
    node->window.keys = keys;
    node->window.partition_count = window->partition_count;
    node->window.key_count = count;
}

static void
window_calls(struct window_inputs *inputs, const struct window *window, struct plan_node *node)
{
    uint32_t count = window->calls.count;
    node->window.calls =
        arena_alloc(inputs->planner->arena, (count + 1) * sizeof *node->window.calls);
    node->window.call_count = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct window_call *call = window->calls.items[i];
        struct plan_window_call *made = &node->window.calls[i];
        *made = (struct plan_window_call){.kind = call->kind,
            .function = call->function,
            .arg_count = call->arg_count,
            .has_filter = call->filter != NULL,
            .result = call->result,
            .type = call->type};
        for (uint32_t a = 0; a < call->arg_count; a++) {
            made->args[a] = window_input(inputs, call->args[a]);
            made->arg_types[a] = call->args[a]->type;
        }
        if (call->filter != NULL) {
            made->filter = window_input(inputs, call->filter);
        }
    }
}

static bool
keys_begin_with(const struct plan_sort_key *keys, uint32_t count,
    const struct plan_sort_key *wanted, uint32_t wanted_count)
{
    bool same = wanted_count <= count;
    for (uint32_t i = 0; i < wanted_count && same; i++) {
        same = keys[i].reg == wanted[i].reg && keys[i].descending == wanted[i].descending &&
               keys[i].nulls_first == wanted[i].nulls_first;
    }
    return same;
}

static enum err
plan_window(struct planner *planner, const struct query *query, const struct window *window,
    const struct plan_sort_key **sorted, uint32_t *sorted_count, struct path *path)
{
    struct plan_node *node = plan_node_new(planner, PLAN_WINDOW, path->rows, path->cost, NULL);
    struct window_inputs inputs = {.planner = planner, .query = query};
    window_keys(&inputs, window, node);
    window_calls(&inputs, window, node);
    node->window.frame = window->frame;
    for (int side = 0; side < 2; side++) {
        if (window->frame.offsets[side] != NULL) {
            TRY(plan_subplans(planner, window->frame.offsets[side]));
        }
    }
    if (window->range_key != NULL) {
        window_target(&inputs, window->range_key, window->frame.range_key);
    }
    TRY(project(planner, path, inputs.targets, inputs.count));
    const struct plan_sort_key *keys = node->window.keys;
    uint32_t count = node->window.key_count;
    if (!keys_begin_with(*sorted, *sorted_count, keys, count)) {
        path->cost += path->rows * log2_of(path->rows) * COST_SORT;
        path->node = plan_node_new(planner, PLAN_SORT, path->rows, path->cost, path->node);
        path->node->sort.keys = node->window.keys;
        path->node->sort.key_count = count;
        *sorted = keys;
        *sorted_count = count;
    }
    path->cost += path->rows * COST_GROUP * (1 + window->calls.count);
    node->children[0] = path->node;
    node->cost = path->cost;
    path->node = node;
    return ERR_OK;
}

static enum err
plan_windows(struct planner *planner, const struct query *query, struct path *path)
{
    const struct plan_sort_key *sorted = NULL;
    uint32_t sorted_count = 0;
    for (uint32_t i = 0; i < query->windows.count; i++) {
        const struct window *window = query->windows.items[i];
        if (window->calls.count > 0) {
            TRY(plan_window(planner, query, window, &sorted, &sorted_count, path));
        }
    }
    return ERR_OK;
}

static enum err
plan_plain(struct planner *planner, struct query *query, struct path *path)
{
    struct level level;
    level_start(&level, planner, query);
    bool ordered = false;
    bool sorts = query->order_count > 0 || query->distinct_on_count > 0;
    struct order order;
    struct plan_sort_key extreme;
    bool aggregates = query->has_aggregates || query->group_count > 0;
    enum shipped shipped = SHIPPED_NOTHING;
    TRY(ship_query(planner, query, &shipped, &ordered, path));
    if (shipped != SHIPPED_NOTHING) {
        if (aggregates && shipped == SHIPPED_ROWS) {
            TRY(plan_aggregation(&level, query, path));
        }
    } else if (aggregates) {
        bool first = extreme_order(query, &extreme);
        order = (struct order){.keys = &extreme, .count = 1, .expected = 1};
        TRY(plan_from(&level, first ? &order : NULL, &ordered, path));
        if (ordered) {
            struct expr *one = expr_const(planner->binder, TYPE_INT8, datum_int(1), -1);
            path->node = limit_node(planner, path->node, one, NULL);
            path->rows = 1;
            path->cost = path->node->cost;
        }
        TRY(plan_aggregation(&level, query, path));
        ordered = false;
    } else {
        bool wanted =
            sorts && !query->distinct && query->set_function == NULL && !query->has_windows;
        order = (struct order){.expected = expected_rows(query)};
        order.keys = query_sort_keys(planner, query, &order.count);
        TRY(plan_from(&level, wanted ? &order : NULL, &ordered, path));
    }
    if (query->has_windows) {
        TRY(plan_windows(planner, query, path));
    }
    if (query->set_function != NULL) {
        TRY(target_function(planner, query, path));
    }
    TRY(project_targets(planner, query, true, path));
    if (query->distinct) {
        distinct(planner, query, path);
    }
    if (sorts && !ordered) {
        sort(planner, query, path);
    }
    if (query->distinct_on_count > 0) {
        distinct(planner, query, path);
    }
    if (query->lock_count > 0) {
        TRY(lock_rows(&level, path));
    }
    TRY(limit(planner, query, path));
    return project_targets(planner, query, false, path);
}

/* ---- VALUES and set operations ------------------------------------------------------------------
 */

static enum err
plan_values(struct planner *planner, struct query *query, struct path *path)
{
    *path = (struct path){.rows = query->row_count, .cost = query->row_count};
    TRY(plan_list_subplans(planner, query->values, query->row_count * query->column_count));
    path->node = plan_node_new(planner, PLAN_VALUES, path->rows, path->cost, NULL);
    path->node->values.exprs = query->values;
    path->node->values.row_count = query->row_count;
    path->node->values.column_count = query->column_count;
    path->node->values.base = query->target_base;
    return ERR_OK;
}

enum err
plan_side(struct planner *planner, struct query *side, struct expr **exprs, uint32_t count,
    struct path *path, const reg_t **inputs)
{
    reg_t base;
    TRY(plan_query(planner, side, false, &base, path));
    reg_t *regs = arena_alloc(planner->arena, (count + 1) * sizeof *regs);
    struct plan_target *targets = arena_alloc(planner->arena, (count + 1) * sizeof *targets);
    uint32_t computed = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (exprs[i]->kind == EXPR_REGISTER && exprs[i]->reg >= side->first_reg) {
            regs[i] = exprs[i]->reg;
        } else {
            regs[i] = bind_registers(planner->binder, 1);
            targets[computed++] = (struct plan_target){.expr = exprs[i], .reg = regs[i]};
        }
    }
    *inputs = regs;
    return project(planner, path, targets, computed);
}

static enum err
plan_set(struct planner *planner, struct query *query, struct path *path)
{
    struct path left, right;
    struct plan_node *node = plan_node_new(planner, PLAN_SET, 0, 0, NULL);
    uint32_t count = query->column_count;
    TRY(plan_side(planner, query->left, query->left_exprs, count, &left, &node->set.inputs[0]));
    TRY(plan_side(planner, query->right, query->right_exprs, count, &right, &node->set.inputs[1]));
    node->children[0] = left.node;
    node->children[1] = right.node;
    node->set.kind = query->set_kind;
    node->set.all = query->set_all;
    node->set.base = query->target_base;
    node->set.column_count = count;
    oid_t *types = arena_alloc(planner->arena, (count + 1) * sizeof *types);
    for (uint32_t i = 0; i < count; i++) {
        types[i] = query->targets[i].expr->type;
    }
    node->set.types = types;
    node->rows = query->set_kind == SET_UNION ? left.rows + right.rows : left.rows;
    node->cost = left.cost + right.cost + (query->set_all ? 0 : left.rows + right.rows);
    *path = (struct path){.node = node, .rows = node->rows, .cost = node->cost};
    return ERR_OK;
}

enum err
plan_query(
    struct planner *planner, struct query *query, bool contiguous, reg_t *base, struct path *path)
{
    TRY(bind_check_stack(planner->binder));
    if (query->kind == QUERY_SELECT) {
        TRY(plan_plain(planner, query, path));
    } else {
        TRY(query->kind == QUERY_VALUES ? plan_values(planner, query, path)
                                        : plan_set(planner, query, path));
        sort(planner, query, path);
        TRY(limit(planner, query, path));
    }
    *base = query->target_base;
    return contiguous ? make_contiguous(planner, query, path, base) : ERR_OK;
}
