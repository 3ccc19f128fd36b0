/*
 * sql/plan/unnest.c - subqueries of WHERE become relations to join.
 *
 *     EXISTS (SELECT .. FROM b WHERE b.x = a.x AND c)     a semi join with b WHERE c, ON b.x = a.x
 *     NOT EXISTS (..)                                     an anti join
 *     a.x IN (SELECT b.x ..)                              a semi join, ON a.x = b.x
 *     a.y < (SELECT avg(b.y) FROM b WHERE b.x = a.x)      a join with SELECT avg(b.y) .. GROUP BY
 * b.x
 *
 * NOT IN stays a subquery (a null among its rows makes it unknown, which no join does), and so does
 * what stands under OR or reads the query around it elsewhere than in its own WHERE.
 *
 * Each comes with the subquery as it was written, too (`each`), to be run anew for each row of the
 * relations around it: with an index and few such rows that is less work, and join.c weighs both.
 *
 * The bound query is not changed (it may be planned twice); what follows of it is in struct level.
 * The conditions of rows to lock or change stay as they were written for the recheck.
 */
#include "sql/plan/planner.h"

#include "base/assert.h"

enum {
    RELS_MOST = 60, /* of a level, those made here included: a rel_set has 64 */
};

/* A subquery's parts. */
struct parts {
    struct level *level;
    struct query *query;
    struct expr_vec ties;   /* conditions that read the level's relations */
    struct expr_vec inside; /* the other conditions */
    struct query *free;     /* the query without ties */
};

static void
note_level(void *arg, reg_t reg)
{
    struct parts *parts = arg;
    if (query_rel(parts->level->query, reg) != NULL) {
        parts->query = NULL;
    }
}

static bool
query_reads_level(struct level *level, struct query *query)
{
    struct parts probe = {.level = level, .query = query};
    query_reads(query, note_level, &probe);
    return probe.query == NULL;
}

static bool
is_simple(const struct query *query)
{
    return query->kind == QUERY_SELECT && query->having == NULL && query->set_function == NULL &&
           !query->has_windows && query->limit == NULL && query->offset == NULL &&
           query->lock_count == 0 && query->group_count == 0 && query->from != NULL &&
           query->from->kind == TREE_LIST && query->from->items.count > 0;
}

static struct query *
with_conditions(struct planner *planner, const struct query *query, const struct expr_vec *conds)
{
    struct query *copy = arena_copy(planner->arena, query, sizeof *query);
    copy->from = arena_copy(planner->arena, query->from, sizeof *query->from);
    copy->from->conds = *conds;
    return copy;
}

static void
without_targets(struct query *query)
{
    query->targets = NULL;
    query->target_count = query->column_count = 0;
    query->order_count = 0;
    query->distinct = false;
    query->distinct_on_count = 0;
}

/* False: it cannot be taken apart. */
static bool
take_apart(struct level *level, struct query *query, bool keep_targets, struct parts *parts)
{
    struct planner *planner = level->planner;
    *parts = (struct parts){.level = level, .query = query};
    struct expr_vec split = {0};
    for (uint32_t i = 0; i < query->from->conds.count; i++) {
        conds_split(planner, query->from->conds.items[i], &split);
    }
    for (uint32_t i = 0; i < split.count; i++) {
        struct expr *cond = split.items[i];
        bool tie = level_rels(level, cond) != 0;
        if (expr_volatile(cond) || (tie && expr_has_subplan(cond))) {
            return false;
        }
        expr_vec_add(planner->arena, tie ? &parts->ties : &parts->inside, cond);
    }
    parts->free = with_conditions(planner, query, &parts->inside);
    if (!keep_targets) {
        without_targets(parts->free);
    }
    return !query_reads_level(level, parts->free);
}

/* ---- relations ------------------------------------------------------------------------------- */

static struct unnested *
add_unnested(struct level *level, enum join_kind kind, struct rel *rel)
{
    struct planner *planner = level->planner;
    struct query *query = level->query;
    level->needs[query->rels.count] = 0;
    vec_add(planner->arena, &query->rels, rel);
    struct unnested *unnested = arena_alloc(planner->arena, sizeof *unnested);
    unnested->kind = kind;
    unnested->rel = rel;
    vec_add(planner->arena, &level->unnested, unnested);
    return unnested;
}

static struct rel *
rel_of_query(struct planner *planner, struct query *query)
{
    struct rel *rel = arena_alloc(planner->arena, sizeof *rel);
    rel->kind = REL_QUERY;
    rel->alias = "subquery";
    rel->query = query;
    rel->base = query->first_reg;
    rel->reg_count = query->end_reg - query->first_reg;
    return rel;
}

/* The one stored table that all of the query's FROM is, with plain conditions only. */
static struct rel *
only_table(const struct parts *parts)
{
    const struct vec *items = &parts->query->from->items;
    const struct join_tree *tree = items->items[0];
    if (items->count != 1 || tree->kind != TREE_REL || tree->rel->kind != REL_TABLE) {
        return NULL;
    }
    for (uint32_t i = 0; i < parts->inside.count; i++) {
        if (expr_has_subplan(parts->inside.items[i])) {
            return NULL;
        }
    }
    return tree->rel;
}

static void
add_semi(struct parts *parts, enum join_kind kind)
{
    struct planner *planner = parts->level->planner;
    struct rel *table = only_table(parts);
    struct unnested *unnested = add_unnested(
        parts->level, kind, table != NULL ? table : rel_of_query(planner, parts->free));
    unnested->ties = parts->ties;
    if (table != NULL) {
        unnested->preds = parts->inside;
        return;
    }
    struct expr_vec all = {0};
    for (uint32_t i = 0; i < parts->inside.count; i++) {
        expr_vec_add(planner->arena, &all, parts->inside.items[i]);
    }
    for (uint32_t i = 0; i < parts->ties.count; i++) {
        expr_vec_add(planner->arena, &all, parts->ties.items[i]);
    }
    unnested->each = with_conditions(planner, parts->query, &all);
    without_targets(unnested->each);
}

/* ---- EXISTS, IN ------------------------------------------------------------------------------ */

static bool
is_const(const struct expr *expr, bool null, bool value)
{
    return expr->kind == EXPR_CONST && expr->constant.null == null &&
           (null || (expr->constant.i != 0) == value);
}

/* The subquery that decides this condition; *negated: by having no row. Forms are the binder's:
 * NOT, IS TRUE around IN, and the CASE it makes of (a, b) IN (SELECT ..). */
static struct expr *
deciding_subplan(struct expr *expr, bool *negated)
{
    *negated = false;
    for (; expr->kind == EXPR_NOT; expr = expr->list[0]) {
        *negated = !*negated;
    }
    bool certain = !*negated;
    if (expr->kind == EXPR_IS_TRUE) {
        expr = expr->list[0];
        certain = true; /* unknown is false here, whatever stands around it */
    }
    if (expr->kind == EXPR_CASE && certain && expr->count == 5 &&
        is_const(expr->list[1], false, true) && is_const(expr->list[3], true, false) &&
        is_const(expr->list[4], false, false) && expr->list[0]->kind == EXPR_SUBPLAN) {
        expr = expr->list[0];
    }
    if (expr->kind != EXPR_SUBPLAN) {
        return NULL;
    }
    bool exists = expr->subplan->kind == SUBPLAN_EXISTS;
    return exists || (expr->subplan->kind == SUBPLAN_ANY && certain) ? expr : NULL;
}

/* x = the subquery's column, as IN says it. */
static struct expr *
any_equality(struct planner *planner, const struct expr *any, struct expr *column)
{
    const struct bound_subplan *bound = (const struct bound_subplan *)(const void *)any->subplan;
    if (bound->op == NULL || strcmp(bound->op->name, "=") != 0) {
        return NULL;
    }
    struct expr *expr = expr_new(planner->binder, EXPR_CALL, TYPE_BOOL, -1, any->location);
    expr->function = any->function;
    expr->list = arena_alloc(planner->arena, 2 * sizeof *expr->list);
    expr->list[0] = any->list[0];
    expr->list[1] = column;
    expr->count = 2;
    ((struct call_expr *)(void *)expr)->op = bound->op;
    return expr;
}

static bool
unnest_any(struct level *level, const struct expr *any, struct query *query, enum join_kind kind)
{
    struct planner *planner = level->planner;
    const struct bound_subplan *bound = (const struct bound_subplan *)(const void *)any->subplan;
    const struct expr *outer = any->list[0];
    if (bound->column >= query->column_count || level_rels(level, outer) == 0 ||
        expr_has_subplan(outer) || expr_volatile(outer)) {
        return false;
    }
    const struct target *target = &query->targets[bound->column];
    struct parts parts;
    if (is_simple(query) && !query->has_aggregates && query->distinct_on_count == 0 &&
        !expr_has_subplan(target->expr) && !expr_volatile(target->expr) &&
        level_rels(level, target->expr) == 0 && take_apart(level, query, false, &parts)) {
        struct expr *tie = any_equality(planner, any, target->expr);
        if (tie == NULL) {
            return false;
        }
        expr_vec_add(planner->arena, &parts.ties, tie);
        add_semi(&parts, kind);
        return true;
    }
    if (query_reads_level(level, query)) {
        return false;
    }
    struct expr *column = expr_register(
        planner->binder, target->reg, target->expr->type, target->expr->typmod, any->location);
    struct expr *tie = any_equality(planner, any, column);
    if (tie == NULL) {
        return false;
    }
    struct unnested *unnested = add_unnested(level, kind, rel_of_query(planner, query));
    expr_vec_add(planner->arena, &unnested->ties, tie);
    return true;
}

static bool
unnest_exists(struct level *level, struct query *query, enum join_kind kind)
{
    struct parts parts;
    if (!is_simple(query) || query->has_aggregates || !take_apart(level, query, false, &parts) ||
        parts.ties.count == 0) {
        return false;
    }
    add_semi(&parts, kind);
    return true;
}

static bool
unnest_condition(struct level *level, struct expr *cond)
{
    bool negated;
    struct expr *expr = deciding_subplan(cond, &negated);
    if (expr == NULL) {
        return false;
    }
    struct query *query = ((struct bound_subplan *)(void *)expr->subplan)->query;
    enum join_kind kind = negated ? JOIN_ANTI : JOIN_SEMI;
    return expr->subplan->kind == SUBPLAN_ANY ? unnest_any(level, expr, query, kind)
                                              : unnest_exists(level, query, kind);
}

/* ---- scalar subqueries over aggregates --------------------------------------------------------
 */

/* The subquery's value decides: if it is null the condition is not true. Finds the place. */
static struct expr **
strict_scalar(struct expr **at)
{
    struct expr *expr = *at;
    if (expr->kind == EXPR_SUBPLAN) {
        return expr->subplan->kind == SUBPLAN_SCALAR ? at : NULL;
    }
    if (expr->kind != EXPR_TYPMOD && expr->kind != EXPR_TEXT_IO &&
        (expr->kind != EXPR_CALL || (expr->function->flags & FUNCTION_STRICT) == 0)) {
        return NULL;
    }
    for (uint32_t i = 0; i < expr->count; i++) {
        struct expr **found = strict_scalar(&expr->list[i]);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

static bool
null_without_rows(const struct plan_aggregate *aggregate)
{
    const char *name = aggregate->function->name;
    return strcmp(name, "sum") == 0 || strcmp(name, "avg") == 0 || strcmp(name, "min") == 0 ||
           strcmp(name, "max") == 0;
}

/* Is it null if the aggregates are? */
static bool
null_of_aggregates(const struct query *query, const struct expr *expr)
{
    if (expr->kind == EXPR_REGISTER) {
        for (uint32_t i = 0; i < query->aggregates.count; i++) {
            const struct plan_aggregate *aggregate = query->aggregates.items[i];
            if (aggregate->result == expr->reg) {
                return null_without_rows(aggregate);
            }
        }
        return false;
    }
    if (expr->kind != EXPR_TYPMOD && expr->kind != EXPR_TEXT_IO &&
        (expr->kind != EXPR_CALL || (expr->function->flags & FUNCTION_STRICT) == 0)) {
        return false;
    }
    for (uint32_t i = 0; i < expr->count; i++) {
        if (null_of_aggregates(query, expr->list[i])) {
            return true;
        }
    }
    return false;
}

struct owner {
    const struct query *query;
    bool reads;
};

static void
note_own(void *arg, reg_t reg)
{
    struct owner *owner = arg;
    owner->reads |= reg >= owner->query->first_reg && reg < owner->query->end_reg;
}

static bool
query_owns(const struct query *query, const struct expr *expr)
{
    struct owner owner = {.query = query};
    expr_reads(expr, note_own, &owner);
    return owner.reads;
}

/* The ties are equalities of columns of the subquery with the rows around it: group by them. */
static bool
group_by_ties(const struct parts *parts)
{
    struct planner *planner = parts->level->planner;
    struct query *query = parts->free;
    query->groups = NULL;
    query->group_capacity = 0;
    for (uint32_t i = 0; i < parts->ties.count; i++) {
        const struct expr *tie = parts->ties.items[i];
        if (!expr_is_equality(tie) || expr_volatile(tie)) {
            return false;
        }
        struct expr *inner = NULL;
        for (int side = 0; side < 2; side++) {
            struct expr *expr = tie->list[side];
            if (expr->kind == EXPR_REGISTER && query_rel(query, expr->reg) != NULL &&
                !query_owns(query, tie->list[1 - side])) {
                inner = expr;
            }
        }
        if (inner == NULL) {
            return false;
        }
        query_add_group(planner->binder, query, inner);
    }
    return query->group_count > 0;
}

/* The condition with its scalar subquery's value read from where the join leaves it. */
static struct expr *
replaced(struct planner *planner, struct expr *expr, const struct expr *what, struct expr *by)
{
    if (expr == what) {
        return by;
    }
    if (expr->kind == EXPR_CONST || expr->kind == EXPR_PARAM || expr->kind == EXPR_REGISTER ||
        !expr_has_subplan(expr)) {
        return expr;
    }
    size_t size = expr->kind == EXPR_CALL ? sizeof(struct call_expr) : sizeof(struct expr);
    struct expr *copy = arena_copy(planner->arena, expr, size);
    copy->list = arena_copy(planner->arena, expr->list, expr->count * sizeof *expr->list);
    for (uint32_t i = 0; i < expr->count; i++) {
        copy->list[i] = replaced(planner, expr->list[i], what, by);
    }
    return copy;
}

static bool
unnest_scalar(struct level *level, struct expr **cond)
{
    struct planner *planner = level->planner;
    struct expr **place = strict_scalar(cond);
    if (place == NULL) {
        return false;
    }
    struct expr *scalar = *place;
    struct query *query = ((struct bound_subplan *)(void *)scalar->subplan)->query;
    struct parts parts;
    if (!is_simple(query) || !query->has_aggregates || query->target_count != 1 ||
        query->distinct || !null_of_aggregates(query, query->targets[0].expr) ||
        !take_apart(level, query, true, &parts) || parts.ties.count == 0 ||
        !group_by_ties(&parts)) {
        return false;
    }
    struct expr *value = expr_register(
        planner->binder, query->targets[0].reg, scalar->type, scalar->typmod, scalar->location);
    struct expr *changed = replaced(planner, *cond, scalar, value);
    if (level_rels(level, changed) == 0) {
        return false; /* nothing else would tie it to the rows around it */
    }
    struct unnested *unnested = add_unnested(level, JOIN_INNER, rel_of_query(planner, parts.free));
    unnested->ties = parts.ties;
    unnested->each = query;
    *cond = changed;
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------- */

void
plan_unnest(struct level *level, struct join_tree **tree)
{
    struct planner *planner = level->planner;
    bool any = false;
    struct expr_vec split = {0};
    for (uint32_t i = 0; i < (*tree)->conds.count; i++) {
        any |= expr_has_subplan((*tree)->conds.items[i]);
    }
    if (!any || (*tree)->items.count == 0) {
        return;
    }
    for (uint32_t i = 0; i < (*tree)->conds.count; i++) {
        conds_split(planner, (*tree)->conds.items[i], &split);
    }
    /* The level gets relations of its own. */
    struct query *own = arena_copy(planner->arena, level->query, sizeof *own);
    own->rels = (struct vec){0};
    for (uint32_t i = 0; i < level->query->rels.count; i++) {
        vec_add(planner->arena, &own->rels, level->query->rels.items[i]);
    }
    level->query = own;
    struct expr_vec left = {0};
    for (uint32_t i = 0; i < split.count; i++) {
        struct expr *cond = split.items[i];
        bool room = own->rels.count < RELS_MOST && expr_has_subplan(cond) && !expr_volatile(cond);
        if (room && unnest_condition(level, cond)) {
            continue;
        }
        if (room) {
            (void)unnest_scalar(level, &cond);
        }
        expr_vec_add(planner->arena, &left, cond);
    }
    struct join_tree *copy = arena_copy(planner->arena, *tree, sizeof *copy);
    copy->conds = left;
    *tree = copy;
}
