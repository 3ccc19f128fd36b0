/*
 * sql/plan/join.c - in which order and how relations are joined.
 *
 * Inner joins form a list whose order is ours to choose: by dynamic programming over sets while
 * there are few, greedily when there are many, always left-deep (one more relation at a time). An
 * outer join is one item of such a list, unless a condition above it throws its null-extended rows
 * away: then it is an inner join (Galindo-Legaria and Rosenthal 1997).
 */
#include "sql/catalog/index_key.h"
#include "sql/plan/planner.h"

#include "base/assert.h"

enum {
    DYNAMIC_MAX = 9, /* items planned by dynamic programming: 2^9 sets */
};

static const double COST_BUILD = 2, COST_PROBE = 1.5, COST_LOOP = 0.3, COST_MATERIALIZE = 2,
                    COST_DISTINCT = 1, COST_SORTED_ROW = 3;
static const double LOOP_ROWS_LEAST = 20;

struct item {
    rel_set rels, needs;
    struct rel *rel;  /* a relation by itself, or NULL: */
    struct path path; /* its own plan (for a relation: without parameters) */
    struct vec preds; /* struct pred *: on this item alone */
    bool built;
    /* A subquery of WHERE (unnest.c): */
    const struct unnested *unnested; /* or NULL */
    enum join_kind kind;             /* INNER if it is none */
    struct vec ties;                 /* SEMI, ANTI: struct pred * */
    bool may_lead;    /* SEMI: its distinct rows may be joined like any, if they come first */
    struct path each; /* for one outer row, if it has a node; it needs: */
    rel_set each_needs;
};

enum join_method {
    METHOD_LOOKUP, /* nested loop; the inner side is an index scan with the outer row's values */
    METHOD_HASH,
    METHOD_HASH_SWAPPED, /* the new item probes, what we have is built */
    METHOD_LOOP,         /* nested loop over a materialized inner side */
    METHOD_LATERAL,      /* nested loop, the inner side run anew */
    METHOD_EACH,         /* the same with a subquery's other form, its ties inside */
};

struct step {
    enum join_method method;
    double rows, cost;
    bool single;
};

struct list {
    struct level *level;
    struct item *items;
    uint32_t count;
    struct vec joins; /* struct pred *: on several items */
};

/* ---- predicates ------------------------------------------------------------------------------ */

struct collect_rels {
    const struct level *level;
    rel_set rels;
};

static void
collect_rel(void *arg, reg_t reg)
{
    struct collect_rels *collect = arg;
    const struct query *query = collect->level->query;
    const struct rel *rel = query_rel(query, reg);
    if (rel != NULL) {
        collect->rels |= rel_bit(collect->level, rel);
    }
}

rel_set
level_rels(struct level *level, const struct expr *expr)
{
    struct collect_rels collect = {.level = level};
    expr_reads(expr, collect_rel, &collect);
    return collect.rels;
}

rel_set
rel_bit(const struct level *level, const struct rel *rel)
{
    for (uint32_t i = 0; i < level->query->rels.count; i++) {
        if (level->query->rels.items[i] == rel) {
            return UINT64_C(1) << i;
        }
    }
    ASSERT(false && "relation of another level");
    return 0;
}

static rel_set
level_rels_of(const struct level *level, reg_t reg)
{
    const struct rel *rel = query_rel(level->query, reg);
    return rel == NULL ? 0 : rel_bit(level, rel);
}

struct pred *
pred_new(struct level *level, struct expr *expr)
{
    struct pred *pred = arena_alloc(level->planner->arena, sizeof *pred);
    pred->expr = expr;
    pred->rels = level_rels(level, expr);
    pred->implied = 1;
    return pred;
}

bool
expr_is_equality(const struct expr *expr)
{
    const struct operator_def *op = expr_operator(expr);
    return op != NULL && expr->count == 2 && strcmp(op->name, "=") == 0 &&
           type_is_ordered(op->left) && type_is_ordered(op->right);
}

void
node_filter(struct planner *planner, struct plan_node *node, struct expr **exprs, uint32_t count)
{
    if (count == 0) {
        return;
    }
    struct expr **all = arena_alloc(planner->arena, (node->filter_count + count) * sizeof *all);
    if (node->filter_count > 0) {
        memcpy(all, node->filter, node->filter_count * sizeof *all);
    }
    memcpy(all + node->filter_count, exprs, count * sizeof *all);
    node->filter_count += count;
    /* Subqueries are asked only of rows that pass the rest. */
    struct expr **sorted = arena_alloc(planner->arena, node->filter_count * sizeof *sorted);
    uint32_t at = 0;
    for (int subplans = 0; subplans < 2; subplans++) {
        for (uint32_t i = 0; i < node->filter_count; i++) {
            if (expr_has_subplan(all[i]) == (subplans != 0)) {
                sorted[at++] = all[i];
            }
        }
    }
    node->filter = sorted;
}

/* Can a node of this kind judge its rows itself? */
static bool
has_filter(enum plan_kind kind)
{
    return kind == PLAN_SCAN || kind == PLAN_INDEX || kind == PLAN_VIRTUAL || kind == PLAN_REMOTE ||
           kind == PLAN_FILTER || kind == PLAN_NEST_LOOP || kind == PLAN_HASH_JOIN;
}

static enum err
filter_preds(struct planner *planner, struct plan_node **node, const struct vec *preds)
{
    struct expr_vec exprs = {0};
    if (preds->count == 0) {
        return ERR_OK;
    }
    if (!has_filter((*node)->kind)) {
        *node = plan_node_new(planner, PLAN_FILTER, (*node)->rows, (*node)->cost, *node);
    }
    for (uint32_t i = 0; i < preds->count; i++) {
        struct pred *pred = preds->items[i];
        TRY(plan_subplans(planner, pred->expr));
        expr_vec_add(planner->arena, &exprs, pred->expr);
    }
    node_filter(planner, *node, exprs.items, exprs.count);
    return ERR_OK;
}

/* ---- outer joins that need not be -------------------------------------------------------------
 */

/* Relations of which a row of nulls makes this expression null. */
static rel_set
nulling_rels(struct level *level, const struct expr *expr)
{
    rel_set set = 0;
    switch (expr->kind) {
    case EXPR_REGISTER:
        return level_rels(level, expr);
    case EXPR_CALL:
        if ((expr->function->flags & FUNCTION_STRICT) == 0) {
            return 0;
        }
        for (uint32_t i = 0; i < expr->count; i++) {
            set |= nulling_rels(level, expr->list[i]);
        }
        return set;
    case EXPR_NOT:
    case EXPR_TYPMOD:
    case EXPR_TEXT_IO:
    case EXPR_IN:
        return nulling_rels(level, expr->list[0]);
    default:
        return 0; /* false AND null, IS TRUE and the like are not null */
    }
}

/* Relations of which a row of nulls makes this condition not true. */
static rel_set
rejected_rels(struct level *level, const struct expr *expr)
{
    rel_set set = 0;
    switch (expr->kind) {
    case EXPR_AND:
        for (uint32_t i = 0; i < expr->count; i++) {
            set |= rejected_rels(level, expr->list[i]);
        }
        return set;
    case EXPR_OR:
        set = ~UINT64_C(0);
        for (uint32_t i = 0; i < expr->count; i++) {
            set &= rejected_rels(level, expr->list[i]);
        }
        return set;
    case EXPR_IS_TRUE:
    case EXPR_IS_FALSE:
    case EXPR_IS_NOT_NULL:
        return nulling_rels(level, expr->list[0]);
    default:
        return nulling_rels(level, expr);
    }
}

static rel_set
tree_rels(const struct level *level, const struct join_tree *tree)
{
    rel_set set = 0;
    switch (tree->kind) {
    case TREE_REL:
        return rel_bit(level, tree->rel);
    case TREE_JOIN:
        return tree_rels(level, tree->left) | tree_rels(level, tree->right);
    case TREE_LIST:
        for (uint32_t i = 0; i < tree->items.count; i++) {
            set |= tree_rels(level, tree->items.items[i]);
        }
        break;
    }
    return set;
}

/* ---- flattening ------------------------------------------------------------------------------ */

struct flat {
    struct level *level;
    struct vec trees; /* TREE_REL and TREE_JOIN */
    struct vec preds;
    rel_set rejected;
};

static void
flat_conds(struct flat *flat, const struct expr_vec *conds)
{
    struct planner *planner = flat->level->planner;
    struct expr_vec parts = {0};
    for (uint32_t i = 0; i < conds->count; i++) {
        conds_split(planner, conds->items[i], &parts);
    }
    for (uint32_t i = 0; i < parts.count; i++) {
        vec_add(planner->arena, &flat->preds, pred_new(flat->level, parts.items[i]));
        flat->rejected |= rejected_rels(flat->level, parts.items[i]);
    }
}

static void
flat_add(struct flat *flat, struct join_tree *tree)
{
    if (tree->kind == TREE_LIST) {
        flat_conds(flat, &tree->conds);
        for (uint32_t i = 0; i < tree->items.count; i++) {
            flat_add(flat, tree->items.items[i]);
        }
    } else {
        vec_add(flat->level->planner->arena, &flat->trees, tree);
    }
}

/* Turns outer joins into inner ones (or full into left) where conditions allow; those that became
 * inner are flattened, which may bring new conditions: so until nothing changes. */
static void
flat_reduce(struct flat *flat)
{
    struct planner *planner = flat->level->planner;
    for (bool again = true; again;) {
        again = false;
        struct vec before = flat->trees;
        flat->trees = (struct vec){0};
        for (uint32_t i = 0; i < before.count; i++) {
            struct join_tree *tree = before.items[i];
            if (tree->kind != TREE_JOIN) {
                vec_add(planner->arena, &flat->trees, tree);
                continue;
            }
            bool left = (tree_rels(flat->level, tree->left) & flat->rejected) != 0;
            bool right = (tree_rels(flat->level, tree->right) & flat->rejected) != 0;
            enum join_kind kind = tree->join;
            bool swap = false;
            if (kind == JOIN_FULL && (left || right)) {
                /* A row whose left side is null is thrown away: what stays keeps its left side. */
                swap = !left;
                kind = left && right ? JOIN_INNER : JOIN_LEFT;
            } else if (kind == JOIN_LEFT && right) {
                kind = JOIN_INNER;
            }
            if (kind == tree->join) {
                vec_add(planner->arena, &flat->trees, tree);
                continue;
            }
            again = true;
            if (kind == JOIN_INNER) {
                flat_conds(flat, &tree->conds);
                flat_add(flat, tree->left);
                flat_add(flat, tree->right);
                continue;
            }
            struct join_tree *other = arena_copy(planner->arena, tree, sizeof *tree);
            other->join = kind;
            other->left = swap ? tree->right : tree->left;
            other->right = swap ? tree->left : tree->right;
            vec_add(planner->arena, &flat->trees, other);
        }
    }
}

static double
sort_cost(double rows)
{
    return rows * COST_SORTED_ROW;
}

/* The part of the work that is done until as many rows as wanted have come out. */
static double
part_wanted(const struct order *order, double rows)
{
    return order->expected > 0 && rows > order->expected ? order->expected / rows : 1;
}

/* ---- relations by themselves -------------------------------------------------------------------
 */

static enum err
plan_rel(struct level *level, struct rel *rel, const struct vec *preds, const struct order *order,
    bool *ordered, struct path *path)
{
    struct planner *planner = level->planner;
    rel_set bit = rel_bit(level, rel);
    path->rels = bit;
    path->needs = level->needs[__builtin_ctzll(bit)];
    struct pred *const *list = (struct pred *const *)(void *)preds->items;
    if (rel->kind == REL_TABLE || rel->kind == REL_VIRTUAL) {
        struct access access, sorted;
        access_choose(level, rel, list, preds->count, 0, NULL, &access);
        if (order != NULL && rel->kind == REL_TABLE) {
            access_choose(level, rel, list, preds->count, 0, order, &sorted);
            /* Sorting costs; and with a LIMIT the ordered rows need not all be read. */
            double sort = access.rows * COST_SORTED_ROW * (order->count > 0 ? 1 : 0);
            if (sorted.cost < 1e299 &&
                sorted.cost * part_wanted(order, sorted.rows) <= access.cost + sort) {
                access = sorted;
                *ordered = true;
            }
        }
        path->rows = access.rows;
        path->cost = access.cost;
        path->single = access.single;
        return access_build(level, rel, &access, list, preds->count, &path->node);
    }
    if (rel->kind == REL_QUERY) {
        struct path inner;
        reg_t base;
        TRY(plan_query(planner, rel->query, false, &base, &inner));
        path->node = inner.node;
        path->rows = inner.rows;
        path->cost = inner.cost;
    } else if (rel->kind == REL_SHARED) {
        TRY(plan_shared_scan(planner, rel, path));
    } else {
        for (uint32_t i = 0; i < rel->arg_count; i++) {
            TRY(plan_subplans(planner, rel->args[i]));
        }
        path->rows = rel_row_count(level, rel);
        path->cost = path->rows;
        path->node = plan_node_new(planner, PLAN_FUNCTION, path->rows, path->cost, NULL);
        path->node->function.calls = rel->calls;
        path->node->function.call_count = rel->call_count;
        path->node->function.args = rel->args;
        path->node->function.arg_count = rel->arg_count;
        path->node->function.has_ordinality = rel->ordinality;
        path->node->function.ordinality = rel->base + rel->reg_count - 1;
    }
    path->rows *= preds_selectivity(level, list, preds->count);
    path->rows = path->rows < 1 ? 1 : path->rows;
    return filter_preds(planner, &path->node, preds);
}

/* ---- one step: joining what we have with one more item --------------------------------------- */

static bool
has_class(const struct vec *preds, uint32_t equals)
{
    for (uint32_t i = 0; i < preds->count; i++) {
        if (((struct pred *)preds->items[i])->equals == equals) {
            return true;
        }
    }
    return false;
}

/* The predicates that can be judged when `item` joins `have`, and could not before. What follows of
 * others is taken if no other of its class is there: all that is written comes in its turn. */
static void
step_preds(const struct list *list, rel_set have, const struct item *item, struct vec *to)
{
    for (int derived = 0; derived < 2; derived++) {
        for (uint32_t i = 0; i < list->joins.count; i++) {
            struct pred *pred = list->joins.items[i];
            if ((pred->rels & ~(have | item->rels)) == 0 && (pred->rels & item->rels) != 0 &&
                (pred->rels & ~have) != 0 && pred->derived == (derived != 0) &&
                (!pred->derived || !has_class(to, pred->equals))) {
                vec_add(list->level->planner->arena, to, pred);
            }
        }
    }
}

/* An equality with one side on each: a hash key. *flip: its left side is the inner one. */
static bool
is_hash_key(struct level *level, const struct pred *pred, rel_set outer, rel_set inner, bool *flip)
{
    if (!expr_is_equality(pred->expr) || expr_volatile(pred->expr) ||
        expr_has_subplan(pred->expr)) {
        return false;
    }
    rel_set left = level_rels(level, pred->expr->list[0]);
    rel_set right = level_rels(level, pred->expr->list[1]);
    if (left == 0 || right == 0) {
        return false;
    }
    *flip = (left & ~inner) == 0;
    return ((left & ~outer) == 0 && (right & ~inner) == 0) ||
           ((left & ~inner) == 0 && (right & ~outer) == 0);
}

static double
join_selectivity(struct level *level, const struct pred *pred)
{
    if (!expr_is_equality(pred->expr)) {
        double selectivity = pred_selectivity(level, pred->expr) / pred->implied;
        return selectivity > 1 ? 1 : selectivity;
    }
    double most = 10;
    for (int i = 0; i < 2; i++) {
        const struct expr *side = pred->expr->list[i];
        if (side->kind == EXPR_REGISTER) {
            const struct rel *rel = query_rel(level->query, side->reg);
            if (rel != NULL && rel->relation != NULL) {
                double distinct = rel_distinct(level, rel, side->reg - rel->base, NULL);
                most = distinct > most ? distinct : most;
            }
        }
    }
    return 1 / most;
}

/* All predicates an index scan of the item inside a loop can use. */
static void
lookup_preds(struct level *level, const struct item *item, const struct vec *preds, struct vec *to)
{
    for (uint32_t i = 0; i < preds->count; i++) {
        vec_add(level->planner->arena, to, preds->items[i]);
    }
    for (uint32_t i = 0; i < item->preds.count; i++) {
        vec_add(level->planner->arena, to, item->preds.items[i]);
    }
}

/* Of equal columns one equality filters, the others follow. */
static bool
class_before(const struct vec *preds, uint32_t place)
{
    uint32_t equals = ((struct pred *)preds->items[place])->equals;
    for (uint32_t i = 0; i < place; i++) {
        if (((struct pred *)preds->items[i])->equals == equals) {
            return true;
        }
    }
    return false;
}

/* Which part of the outer rows has a partner (SEMI), or has none (ANTI). */
static double
match_fraction(
    struct level *level, const struct path *have, const struct item *item, const struct vec *preds)
{
    double fraction = 1;
    for (uint32_t i = 0; i < preds->count; i++) {
        const struct pred *pred = preds->items[i];
        bool flip;
        if (!is_hash_key(level, pred, have->rels, item->rels, &flip)) {
            fraction *= pred_selectivity(level, pred->expr);
            continue;
        }
        double outer = expr_distinct(level, pred->expr->list[flip ? 1 : 0]);
        double inner = expr_distinct(level, pred->expr->list[flip ? 0 : 1]);
        if (outer <= 0 || inner <= 0) {
            fraction *= 0.5;
            continue;
        }
        inner = inner > item->path.rows ? item->path.rows : inner;
        fraction *= inner < outer ? inner / outer : 1;
    }
    if (item->kind == JOIN_ANTI) {
        fraction = fraction > 0.9 ? 0.1 : 1 - fraction;
    }
    return fraction;
}

static double
loop_rows(const struct path *path, bool keys)
{
    return keys && !path->single && path->rows < LOOP_ROWS_LEAST ? LOOP_ROWS_LEAST : path->rows;
}

static struct step
step_estimate(struct level *level, const struct path *have, const struct item *item,
    const struct vec *preds, bool may_swap)
{
    struct step best = {.cost = 1e300};
    best.rows = have->rows * item->path.rows;
    bool keys = false;
    bool partial = item->kind == JOIN_SEMI || item->kind == JOIN_ANTI;
    for (uint32_t i = 0; i < preds->count; i++) {
        const struct pred *pred = preds->items[i];
        bool flip;
        if (pred->equals == 0 || !class_before(preds, i)) {
            best.rows *= join_selectivity(level, pred);
        }
        keys |= is_hash_key(level, pred, have->rels, item->rels, &flip);
    }
    if (partial) {
        best.rows = have->rows * match_fraction(level, have, item, preds);
    }
    best.rows = best.rows < 1 ? 1 : best.rows;
    if (!partial && (item->needs & have->rels) != 0) {
        best.method = METHOD_LATERAL;
        best.cost = have->cost + have->rows * (item->path.cost + 1);
        return best;
    }
    best.method = METHOD_LOOP;
    if (level->keep_order) { /* a hash join's order is lost when it goes to temporary files */
        may_swap = false;
    }
    /* How many rows pass their filters is a guess, and the loop over a wrong one is quadratic; a
     * hash join is never much dearer. */
    double outer = loop_rows(have, keys);
    double inner = loop_rows(&item->path, keys);
    best.cost = have->cost + item->path.cost + outer * inner * COST_LOOP;
    best.cost += have->single ? 0 : COST_MATERIALIZE;
    best.single = have->single && (partial || item->path.single);
    may_swap = may_swap && !partial;
    if (level->keep_order && keys && !item->path.single) {
        best.cost = 1e300;
    } else if (keys && !level->keep_order) {
        double cost =
            have->cost + item->path.cost + COST_BUILD * item->path.rows + COST_PROBE * have->rows;
        if (cost < best.cost) {
            best.cost = cost;
            best.method = METHOD_HASH;
        }
        cost =
            have->cost + item->path.cost + COST_BUILD * have->rows + COST_PROBE * item->path.rows;
        if (may_swap && cost < best.cost) {
            best.cost = cost;
            best.method = METHOD_HASH_SWAPPED;
        }
    }
    if (item->rel != NULL && item->rel->kind == REL_TABLE) {
        struct vec all = {0};
        lookup_preds(level, item, preds, &all);
        struct access access;
        access_choose(level, item->rel, (struct pred *const *)(void *)all.items, all.count,
            have->rels, NULL, &access);
        double cost = have->cost + have->rows * (access.cost + 1);
        if (access.index != NULL && cost < best.cost) {
            best.cost = cost;
            best.method = METHOD_LOOKUP;
        }
        best.single |= have->single && access.single;
    }
    if (item->each.node != NULL && (item->each_needs & ~have->rels) == 0) {
        double cost = have->cost + have->rows * (item->each.cost + 1);
        if (cost < best.cost) {
            best.cost = cost;
            best.method = METHOD_EACH;
        }
    }
    best.cost += best.rows * 0.1;
    return best;
}

/* The item's own plan, once. */
static enum err
item_build(struct level *level, struct item *item)
{
    if (!item->built) {
        TRY(plan_rel(level, item->rel, &item->preds, NULL, NULL, &item->path));
        item->built = true;
    }
    return ERR_OK;
}

static struct expr *
key_side(struct planner *planner, struct expr *side, struct expr *other)
{
    /* int4 = int8 and the like: both as the wider one; their datums are the same. */
    const struct type *type = type_by_oid(side->type);
    const struct type *others = type_by_oid(other->type);
    if (side->type != other->type && type != NULL && others != NULL && type->size < others->size) {
        return expr_relabel(planner->binder, side, other->type);
    }
    return side;
}

static bool
integer_type(oid_t type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8;
}

static void
build_keys(struct planner *planner, struct plan_node *node, struct level *level, rel_set outer,
    rel_set inner, const struct vec *preds, struct expr_vec *rest)
{
    struct expr_vec outer_keys = {0}, inner_keys = {0};
    for (uint32_t i = 0; i < preds->count; i++) {
        struct pred *pred = preds->items[i];
        bool flip = false;
        struct expr *expr = pred->expr;
        bool key = is_hash_key(level, pred, outer, inner, &flip);
        if (key && expr->list[0]->type != expr->list[1]->type) {
            key = integer_type(expr->list[0]->type) && integer_type(expr->list[1]->type);
        }
        if (!key) {
            expr_vec_add(planner->arena, rest, expr);
            continue;
        }
        struct expr *left = key_side(planner, expr->list[0], expr->list[1]);
        struct expr *right = key_side(planner, expr->list[1], expr->list[0]);
        expr_vec_add(planner->arena, &outer_keys, flip ? right : left);
        expr_vec_add(planner->arena, &inner_keys, flip ? left : right);
    }
    node->join.outer_keys = outer_keys.items;
    node->join.inner_keys = inner_keys.items;
    node->join.key_count = outer_keys.count;
}

static struct plan_node *
join_node(struct planner *planner, enum plan_kind plan, enum join_kind kind,
    const struct step *step, struct plan_node *outer, struct plan_node *inner)
{
    struct plan_node *node = plan_node_new(planner, plan, step->rows, step->cost, outer);
    node->children[1] = inner;
    node->join.kind = kind;
    return node;
}

/* Where the key's register stands in the order that a whole table is read in; -1: nowhere. */
static int
place_in_order(const struct plan_node *scan, const struct expr *key)
{
    const struct plan_relation *relation = &scan->scan.relation;
    const struct index *primary = relation->relation->primary;
    if (primary == NULL || key->kind != EXPR_REGISTER) {
        return -1;
    }
    for (uint16_t i = 0; i < primary->column_count; i++) {
        if (relation->base + primary->columns[i] == key->reg) {
            return (primary->flags[i] & KEY_DESCENDING) != 0 ? -1 : i;
        }
    }
    return -1;
}

/* In the order of its primary key? */
static bool
is_in_key_order(const struct plan_node *node)
{
    if (node->kind == PLAN_SCAN) {
        return !node->scan.backward;
    }
    const struct plan_bounds *bounds = &node->scan.bounds;
    return node->kind == PLAN_INDEX && node->scan.index->primary && !node->scan.backward &&
           bounds->equal_count == 0 && bounds->in_count == 0;
}

/* Two tables whose keys are the first columns of both primary keys come in the order of the join's
 * keys: they are merged, and nothing is built. */
static void
merge_if_ordered(struct planner *planner, struct plan_node *node)
{
    uint32_t count = node->join.key_count;
    const struct plan_node *outer = node->children[0], *inner = node->children[1];
    if (!is_in_key_order(outer) || !is_in_key_order(inner) || node->join.kind == JOIN_FULL ||
        count == 0) {
        return;
    }
    struct expr **keys[2] = {arena_array(planner->arena, count, sizeof(struct expr *)),
        arena_array(planner->arena, count, sizeof(struct expr *))};
    for (uint32_t i = 0; i < count; i++) {
        struct expr *left = node->join.outer_keys[i], *right = node->join.inner_keys[i];
        int at = place_in_order(outer, left);
        if (at < 0 || (uint32_t)at >= count || keys[0][at] != NULL || left->type != right->type ||
            place_in_order(inner, right) != at) {
            return;
        }
        keys[0][at] = left;
        keys[1][at] = right;
    }
    node->kind = PLAN_MERGE_JOIN;
    node->join.outer_keys = keys[0];
    node->join.inner_keys = keys[1];
}

static struct plan_node *
materialize(struct planner *planner, struct plan_node *node)
{
    return plan_node_new(planner, PLAN_MATERIALIZE, node->rows, node->cost, node);
}

/* have := have joined with item. `preds`: the conditions of the match. */
static enum err
step_build(struct level *level, enum join_kind kind, struct path *have, struct item *item,
    const struct vec *preds, const struct step *step)
{
    struct planner *planner = level->planner;
    struct expr_vec rest = {0};
    struct plan_node *node = NULL;
    for (uint32_t i = 0; i < preds->count; i++) {
        TRY(plan_subplans(planner, ((struct pred *)preds->items[i])->expr));
    }
    if (step->method == METHOD_LOOKUP) {
        struct vec all = {0};
        lookup_preds(level, item, preds, &all);
        struct pred *const *list = (struct pred *const *)(void *)all.items;
        struct access access;
        struct plan_node *inner;
        access_choose(level, item->rel, list, all.count, have->rels, NULL, &access);
        TRY(access_build(level, item->rel, &access, list, all.count, &inner));
        node = join_node(planner, PLAN_NEST_LOOP, kind, step, have->node, inner);
    } else if (step->method == METHOD_EACH) {
        node = join_node(planner, PLAN_NEST_LOOP, kind, step, have->node, item->each.node);
        for (uint32_t i = 0; i < preds->count; i++) {
            struct pred *pred = preds->items[i];
            if (pred->tie_of == NULL || pred->tie_of != item->unnested) {
                expr_vec_add(planner->arena, &rest, pred->expr);
            }
        }
        node->join.condition = rest.items;
        node->join.condition_count = rest.count;
    } else {
        TRY(item_build(level, item));
        struct plan_node *other = item->path.node;
        switch (step->method) {
        case METHOD_HASH:
            node = join_node(planner, PLAN_HASH_JOIN, kind, step, have->node, other);
            build_keys(planner, node, level, have->rels, item->rels, preds, &rest);
            break;
        case METHOD_HASH_SWAPPED:
            node = join_node(planner, PLAN_HASH_JOIN, kind, step, other, have->node);
            build_keys(planner, node, level, item->rels, have->rels, preds, &rest);
            break;
        case METHOD_LATERAL:
            node = join_node(planner, PLAN_NEST_LOOP, kind, step, have->node, other);
            break;
        default:
            /* One outer row at the most: the inner side is run once. */
            if (other->kind != PLAN_MATERIALIZE && (!have->single || kind == JOIN_FULL)) {
                other = materialize(planner, other);
            }
            node = join_node(planner, PLAN_NEST_LOOP, kind, step, have->node, other);
            break;
        }
        if (node->kind == PLAN_HASH_JOIN && node->join.key_count == 0) {
            /* Only keys of types that do not hash alike. */
            node->kind = PLAN_NEST_LOOP;
            node->children[0] = have->node;
            node->children[1] = materialize(planner, other);
        }
        if (node->kind == PLAN_NEST_LOOP) {
            rest = (struct expr_vec){0};
            for (uint32_t i = 0; i < preds->count; i++) {
                expr_vec_add(planner->arena, &rest, ((struct pred *)preds->items[i])->expr);
            }
        }
        node->join.condition = rest.items;
        node->join.condition_count = rest.count;
        if (node->kind == PLAN_HASH_JOIN) {
            merge_if_ordered(planner, node);
        }
    }
    have->node = node;
    have->rels |= item->rels;
    have->needs |= item->unnested == NULL ? item->needs : 0;
    have->rows = step->rows;
    have->cost = step->cost;
    have->single = step->single;
    return ERR_OK;
}

/* ---- the order ------------------------------------------------------------------------------- */

static bool
may_join(const struct list *list, const struct item *item, rel_set have)
{
    rel_set own = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        own |= list->items[i].rels;
    }
    if (have == 0 && item->may_lead) {
        return true;
    }
    return (item->needs & own & ~item->rels & ~have) == 0;
}

static bool
connected(const struct list *list, rel_set have, const struct item *item)
{
    for (uint32_t i = 0; i < list->joins.count; i++) {
        const struct pred *pred = list->joins.items[i];
        if ((pred->rels & have) != 0 && (pred->rels & item->rels) != 0 &&
            (pred->rels & ~(have | item->rels)) == 0) {
            return true;
        }
    }
    return (item->needs & have) != 0;
}

/* The conditions under which the item joins what there is. */
static struct vec
item_preds(const struct list *list, rel_set have, const struct item *item)
{
    struct vec preds = {0};
    if (item->kind != JOIN_INNER) {
        return item->ties;
    }
    step_preds(list, have, item, &preds);
    return preds;
}

static const struct expr *
tie_key(struct level *level, const struct item *item, uint32_t i)
{
    const struct expr *expr = ((struct pred *)item->ties.items[i])->expr;
    bool left = (level_rels(level, expr->list[0]) & item->rels) != 0;
    return expr->list[left ? 0 : 1];
}

static bool
is_tie_key(struct level *level, const struct item *item, reg_t reg)
{
    for (uint32_t i = 0; i < item->ties.count; i++) {
        if (tie_key(level, item, i)->reg == reg) {
            return true;
        }
    }
    return false;
}

/* No two rows of the item have the same keys. */
static bool
keys_unique(struct level *level, const struct item *item)
{
    const struct rel *rel = item->unnested->rel;
    if (rel->kind == REL_QUERY) {
        bool unique = rel->query->group_count > 0 && rel->query->set_function == NULL;
        for (uint32_t i = 0; i < rel->query->group_count && unique; i++) {
            unique = is_tie_key(level, item, rel->query->groups[i].reg);
        }
        return unique;
    }
    for (uint16_t i = 0; rel->kind == REL_TABLE && i < rel->relation->index_count; i++) {
        const struct index *index = &rel->relation->indexes[i];
        bool unique = index->unique && !index_has_derived(index);
        for (uint16_t c = 0; c < index->column_count && unique; c++) {
            unique = is_tie_key(level, item, rel->base + index->columns[c]);
        }
        if (unique) {
            return true; /* nulls, of which there may be many, equal nothing */
        }
    }
    return false;
}

/* What it is as the first of all. */
static struct path
lead_path(const struct list *list, const struct item *item)
{
    struct path path = item->path;
    if (item->kind != JOIN_SEMI || !item->may_lead || keys_unique(list->level, item)) {
        return path;
    }
    double distinct = 1;
    for (uint32_t i = 0; i < item->ties.count; i++) {
        double some = expr_distinct(list->level, tie_key(list->level, item, i));
        distinct *= some > 0 ? some : path.rows;
    }
    path.cost += path.rows * COST_DISTINCT;
    path.rows = distinct < path.rows ? distinct : path.rows;
    return path;
}

/* The different keys of a semi join's inner side, as a relation to begin with. */
static void
lead_build(struct level *level, const struct item *item, struct path *path)
{
    struct planner *planner = level->planner;
    path->node = item->path.node;
    if (keys_unique(level, item)) {
        return;
    }
    struct plan_node *node =
        plan_node_new(planner, PLAN_DISTINCT, path->rows, path->cost, item->path.node);
    node->distinct.keys =
        arena_alloc(planner->arena, item->ties.count * sizeof *node->distinct.keys);
    for (uint32_t i = 0; i < item->ties.count; i++) {
        const struct expr *key = tie_key(level, item, i);
        node->distinct.keys[node->distinct.key_count++] =
            (struct plan_sort_key){.reg = key->reg, .type = key->type};
    }
    path->node = node;
}

static void
order_greedily(const struct list *list, uint32_t *order, struct path *estimate)
{
    uint64_t taken[1] = {0};
    struct path have = {0};
    for (uint32_t n = 0; n < list->count; n++) {
        uint32_t best = UINT32_MAX;
        bool best_connected = false;
        struct step best_step = {.cost = 1e301};
        for (uint32_t i = 0; i < list->count; i++) {
            const struct item *item = &list->items[i];
            if ((taken[0] >> i & 1) != 0 || !may_join(list, item, have.rels)) {
                continue;
            }
            struct step step = {
                .rows = item->path.rows, .cost = item->path.cost, .single = item->path.single};
            bool joined = n == 0 || connected(list, have.rels, item);
            if (n > 0) {
                struct vec preds = item_preds(list, have.rels, item);
                step = step_estimate(list->level, &have, item, &preds, true);
            } else {
                step.cost += step.rows;
            }
            if (best == UINT32_MAX || (joined && !best_connected) ||
                (joined == best_connected && step.cost < best_step.cost)) {
                best = i;
                best_step = step;
                best_connected = joined;
            }
        }
        ASSERT(best != UINT32_MAX);
        taken[0] |= UINT64_C(1) << best;
        order[n] = best;
        have.rels |= list->items[best].rels;
        have.rows = best_step.rows;
        have.cost = best_step.cost;
        have.single = best_step.single;
    }
    *estimate = have;
}

struct subset {
    double rows, cost;
    rel_set rels;
    bool single;
    uint32_t last; /* the item joined last */
};

static void
order_dynamically(const struct list *list, uint32_t *order, struct path *estimate)
{
    uint32_t all = (1U << list->count) - 1;
    struct subset *sets = arena_array(list->level->planner->arena, (size_t)all + 1, sizeof *sets);
    for (uint32_t set = 1; set <= all; set++) {
        struct subset *best = &sets[set];
        best->cost = 1e302;
        for (uint32_t i = 0; i < list->count; i++) {
            const struct item *item = &list->items[i];
            uint32_t without = set & ~(1U << i);
            if ((set >> i & 1) == 0 || (without != 0 && sets[without].cost >= 1e300) ||
                !may_join(list, item, sets[without].rels)) {
                continue;
            }
            struct step step = {
                .rows = item->path.rows, .cost = item->path.cost, .single = item->path.single};
            if (without != 0) {
                struct path have = {.rels = sets[without].rels,
                    .rows = sets[without].rows,
                    .cost = sets[without].cost,
                    .single = sets[without].single};
                struct vec preds = item_preds(list, have.rels, item);
                step = step_estimate(list->level, &have, item, &preds, true);
            }
            if (step.cost < best->cost) {
                *best = (struct subset){.rows = step.rows,
                    .cost = step.cost,
                    .rels = sets[without].rels | item->rels,
                    .single = step.single,
                    .last = i};
            }
        }
    }
    *estimate = (struct path){.rows = sets[all].rows, .cost = sets[all].cost};
    for (uint32_t n = list->count, set = all; n > 0; n--) {
        order[n - 1] = sets[set].last;
        set &= ~(1U << sets[set].last);
    }
}

/* ---- an order that the result should have
 * --------------------------------------------------------
 *
 * A nested loop gives its rows in the order of its outer side. So a table read in the wanted order,
 * and joined with the others by lookups alone, saves the sort, and with a LIMIT most of the work.
 */

struct ordered_join {
    struct access access; /* of the first */
    uint32_t *order;
    double rows, cost;
};

/* False: there is no such way. */
static bool
order_keeping(const struct list *list, const struct order *wanted, struct ordered_join *ordered)
{
    struct level *level = list->level;
    uint32_t lead = 0;
    const struct item *item = NULL;
    for (; lead < list->count && wanted->count > 0; lead++) {
        item = &list->items[lead];
        if (item->rel != NULL && item->rel->kind == REL_TABLE && item->unnested == NULL &&
            item->needs == 0 && query_rel(level->query, wanted->keys[0].reg) == item->rel) {
            break;
        }
    }
    if (wanted->count == 0 || lead == list->count || list->count > 64) {
        return false;
    }
    access_choose(level, item->rel, (struct pred *const *)(void *)item->preds.items,
        item->preds.count, 0, wanted, &ordered->access);
    if (ordered->access.cost >= 1e299) {
        return false;
    }
    struct path have = {.rels = item->rels,
        .rows = ordered->access.rows,
        .cost = ordered->access.cost,
        .single = ordered->access.single};
    uint64_t taken = UINT64_C(1) << lead;
    ordered->order = arena_array(level->planner->arena, list->count, sizeof *ordered->order);
    ordered->order[0] = lead;
    for (uint32_t n = 1; n < list->count; n++) {
        struct step best = {.cost = 1e299};
        for (uint32_t i = 0; i < list->count; i++) {
            item = &list->items[i];
            if ((taken >> i & 1) != 0 || !may_join(list, item, have.rels)) {
                continue;
            }
            struct vec preds = item_preds(list, have.rels, item);
            struct step step = step_estimate(level, &have, item, &preds, false);
            if (step.cost < best.cost) {
                best = step;
                ordered->order[n] = i;
            }
        }
        if (best.cost >= 1e299) {
            return false;
        }
        taken |= UINT64_C(1) << ordered->order[n];
        have.rels |= list->items[ordered->order[n]].rels;
        have.rows = best.rows;
        have.cost = best.cost;
        have.single = best.single;
    }
    ordered->rows = have.rows;
    ordered->cost = have.cost;
    return true;
}

static enum err
build_order_keeping(struct list *list, const struct ordered_join *ordered, struct path *path)
{
    struct level *level = list->level;
    const struct item *lead = &list->items[ordered->order[0]];
    *path = (struct path){.rels = lead->rels,
        .rows = ordered->access.rows,
        .cost = ordered->access.cost,
        .single = ordered->access.single};
    TRY(access_build(level, lead->rel, &ordered->access,
        (struct pred *const *)(void *)lead->preds.items, lead->preds.count, &path->node));
    for (uint32_t n = 1; n < list->count; n++) {
        struct item *item = &list->items[ordered->order[n]];
        struct vec preds = item_preds(list, path->rels, item);
        struct step step = step_estimate(level, path, item, &preds, false);
        TRY(step_build(level, item->kind, path, item, &preds, &step));
    }
    return ERR_OK;
}

static enum err
join_list(struct list *list, const struct order *wanted, bool *is_ordered, struct path *path)
{
    struct level *level = list->level;
    uint32_t *order = arena_array(level->planner->arena, list->count, sizeof *order);
    struct path estimate;
    if (list->count <= DYNAMIC_MAX) {
        order_dynamically(list, order, &estimate);
    } else {
        order_greedily(list, order, &estimate);
    }
    if (wanted != NULL) {
        struct ordered_join ordered;
        level->keep_order = true;
        bool keeps = order_keeping(list, wanted, &ordered) &&
                     ordered.cost * part_wanted(wanted, ordered.rows) <=
                         estimate.cost + sort_cost(estimate.rows);
        enum err err = keeps ? build_order_keeping(list, &ordered, path) : ERR_OK;
        level->keep_order = false;
        if (keeps) {
            *is_ordered = true;
            return err;
        }
    }
    struct item *lead = &list->items[order[0]];
    TRY(item_build(level, lead));
    *path = lead_path(list, lead);
    if (lead->kind == JOIN_SEMI) {
        lead_build(level, lead, path);
    }
    for (uint32_t n = 1; n < list->count; n++) {
        struct item *item = &list->items[order[n]];
        struct vec preds = item_preds(list, path->rels, item);
        struct step step = step_estimate(level, path, item, &preds, true);
        TRY(step_build(level, item->kind, path, item, &preds, &step));
    }
    return ERR_OK;
}

/* ---- outer joins -------------------------------------------------------------------------------
 */

static bool
is_single_rel(const struct join_tree *tree, struct rel **rel)
{
    if (tree->kind == TREE_REL) {
        *rel = tree->rel;
        return true;
    }
    return tree->kind == TREE_LIST && tree->items.count == 1 && tree->conds.count == 0 &&
           is_single_rel(tree->items.items[0], rel);
}

static enum err
plan_outer_join(struct level *level, struct join_tree *tree, const struct vec *above,
    const struct order *wanted, bool *ordered, struct path *path)
{
    struct planner *planner = level->planner;
    rel_set left_rels = tree_rels(level, tree->left);
    rel_set right_rels = tree_rels(level, tree->right);
    struct vec left_preds = {0}, right_preds = {0}, on = {0}, after = {0};
    for (uint32_t i = 0; i < above->count; i++) {
        struct pred *pred = above->items[i];
        bool left_only = tree->join == JOIN_LEFT && (pred->rels & ~left_rels) == 0;
        vec_add(planner->arena, left_only ? &left_preds : &after, pred);
    }
    for (uint32_t i = 0; i < tree->conds.count; i++) {
        struct pred *pred = pred_new(level, tree->conds.items[i]);
        bool right_only = tree->join == JOIN_LEFT && pred->rels != 0 &&
                          (pred->rels & ~right_rels) == 0 && !expr_volatile(pred->expr);
        vec_add(planner->arena, right_only ? &right_preds : &on, pred);
    }
    struct path sorted = {0};
    bool left_ordered = false;
    if (wanted != NULL && tree->join == JOIN_LEFT && wanted->count > 0 &&
        (left_rels & level_rels_of(level, wanted->keys[0].reg)) != 0) {
        TRY(plan_join_tree(level, tree->left, &left_preds, wanted, &left_ordered, &sorted));
    }
    TRY(plan_join_tree(level, tree->left, &left_preds, NULL, NULL, path));
    struct item item = {.rels = right_rels};
    struct rel *rel = NULL;
    if (is_single_rel(tree->right, &rel)) {
        item.rel = rel;
        item.preds = right_preds;
    }
    if (rel != NULL && rel->kind == REL_TABLE) {
        /* Estimated first: it may be read by lookups instead. */
        struct access access;
        access_choose(level, rel, (struct pred *const *)(void *)right_preds.items,
            right_preds.count, 0, NULL, &access);
        item.path = (struct path){
            .rels = right_rels, .rows = access.rows, .cost = access.cost, .single = access.single};
        item.needs = level->needs[__builtin_ctzll(right_rels)];
    } else {
        TRY(plan_join_tree(level, tree->right, &right_preds, NULL, NULL, &item.path));
        item.needs = item.path.needs;
        item.built = true;
        item.rel = NULL;
    }
    struct step step;
    if (tree->join == JOIN_FULL) {
        if ((item.needs & left_rels) != 0) {
            return diag_set(planner->diag, ERR_INVALID_COLUMN_REFERENCE,
                "the combining JOIN type must be INNER or LEFT for a LATERAL reference");
        }
        struct rel *none = item.rel;
        TRY(item_build(level, &item));
        item.rel = NULL;
        step = step_estimate(level, path, &item, &on, false);
        step.single = false;
        item.rel = none;
    } else {
        step = step_estimate(level, path, &item, &on, false);
        if (left_ordered) {
            level->keep_order = true;
            struct step keeping = step_estimate(level, &sorted, &item, &on, false);
            level->keep_order = false;
            double rows = keeping.rows < sorted.rows ? sorted.rows : keeping.rows;
            if (keeping.cost < 1e299 &&
                keeping.cost * part_wanted(wanted, rows) <= step.cost + sort_cost(step.rows)) {
                *path = sorted;
                step = keeping;
                *ordered = true;
            }
        }
    }
    if (step.rows < path->rows) {
        step.rows = path->rows;
    }
    if (step.method == METHOD_LOOKUP) {
        /* Conditions that do not read the inner side stay at the join. */
        struct vec inner = {0};
        struct expr_vec outer = {0};
        for (uint32_t i = 0; i < on.count; i++) {
            struct pred *pred = on.items[i];
            if ((pred->rels & right_rels) == 0) {
                TRY(plan_subplans(planner, pred->expr));
                expr_vec_add(planner->arena, &outer, pred->expr);
            } else {
                vec_add(planner->arena, &inner, pred);
            }
        }
        TRY(step_build(level, tree->join, path, &item, &inner, &step));
        path->node->join.condition = outer.items;
        path->node->join.condition_count = outer.count;
    } else {
        TRY(step_build(level, tree->join, path, &item, &on, &step));
    }
    return filter_preds(planner, &path->node, &after);
}

/* ---- any tree -------------------------------------------------------------------------------- */

static enum err
item_for_tree(struct level *level, struct join_tree *tree, const struct vec *preds,
    const struct order *wanted, bool *ordered, struct item *item)
{
    item->rels = tree_rels(level, tree);
    for (uint32_t i = 0; i < preds->count; i++) {
        struct pred *pred = preds->items[i];
        if (pred->rels != 0 && (pred->rels & ~item->rels) == 0) {
            vec_add(level->planner->arena, &item->preds, pred);
        }
    }
    if (tree->kind == TREE_REL && tree->rel->kind == REL_TABLE) {
        item->rel = tree->rel;
        struct access access;
        access_choose(level, tree->rel, (struct pred *const *)(void *)item->preds.items,
            item->preds.count, 0, NULL, &access);
        item->path = (struct path){
            .rels = item->rels, .rows = access.rows, .cost = access.cost, .single = access.single};
    } else if (tree->kind == TREE_REL) {
        item->rel = tree->rel;
        TRY(plan_rel(level, tree->rel, &item->preds, NULL, NULL, &item->path));
        item->built = true;
    } else {
        TRY(plan_outer_join(level, tree, &item->preds, wanted, ordered, &item->path));
        item->built = true;
    }
    rel_set set = item->rels;
    for (uint32_t i = 0; i < 64 && set >> i != 0; i++) {
        if ((set >> i & 1) != 0) {
            item->needs |= level->needs[i];
        }
    }
    item->needs &= ~item->rels;
    item->path.needs = item->needs;
    return ERR_OK;
}

/* The subquery's rows can be a relation to begin with: each of its ties is an equality of one of
 * its columns with something of the others. */
static bool
may_lead(struct level *level, const struct item *item)
{
    for (uint32_t i = 0; i < item->ties.count; i++) {
        const struct pred *pred = item->ties.items[i];
        bool flip;
        if (!is_hash_key(level, pred, ~item->rels, item->rels, &flip) ||
            pred->expr->list[flip ? 0 : 1]->kind != EXPR_REGISTER) {
            return false;
        }
    }
    return item->kind == JOIN_SEMI;
}

/* `joins` gets the ties that may join others with it. */
static enum err
item_for_unnested(
    struct level *level, const struct unnested *unnested, struct vec *joins, struct item *item)
{
    struct planner *planner = level->planner;
    item->unnested = unnested;
    item->kind = unnested->kind;
    item->rels = rel_bit(level, unnested->rel);
    rel_set outer = 0;
    for (uint32_t i = 0; i < unnested->preds.count; i++) {
        vec_add(planner->arena, &item->preds, pred_new(level, unnested->preds.items[i]));
    }
    for (uint32_t i = 0; i < unnested->ties.count; i++) {
        struct pred *pred = pred_new(level, unnested->ties.items[i]);
        pred->tie_of = unnested;
        outer |= pred->rels & ~item->rels;
        vec_add(planner->arena, &item->ties, pred);
    }
    if (unnested->rel->kind == REL_TABLE) {
        item->rel = unnested->rel;
        struct access access;
        access_choose(level, item->rel, (struct pred *const *)(void *)item->preds.items,
            item->preds.count, 0, NULL, &access);
        item->path = (struct path){
            .rels = item->rels, .rows = access.rows, .cost = access.cost, .single = access.single};
    } else {
        struct vec none = {0};
        TRY(plan_rel(level, unnested->rel, &none, NULL, NULL, &item->path));
        item->built = true;
    }
    if (unnested->each != NULL) {
        reg_t base;
        struct collect_rels collect = {.level = level};
        TRY(plan_query(planner, unnested->each, false, &base, &item->each));
        query_reads(unnested->each, collect_rel, &collect);
        item->each_needs = collect.rels & ~item->rels;
    }
    item->needs = item->kind == JOIN_INNER ? 0 : outer;
    item->may_lead = may_lead(level, item);
    if (item->kind == JOIN_INNER || item->may_lead) {
        for (uint32_t i = 0; i < item->ties.count; i++) {
            vec_add(planner->arena, joins, item->ties.items[i]);
        }
    }
    return ERR_OK;
}

enum err
plan_join_tree(struct level *level, struct join_tree *tree, struct vec *preds,
    const struct order *order, bool *ordered, struct path *path)
{
    struct planner *planner = level->planner;
    TRY(bind_check_stack(planner->binder));
    struct flat flat = {.level = level};
    const struct vec unnested = level->unnested; /* of all of FROM: not of its parts */
    level->unnested = (struct vec){0};
    for (uint32_t i = 0; i < preds->count; i++) {
        struct pred *pred = preds->items[i];
        vec_add(planner->arena, &flat.preds, pred);
        flat.rejected |= rejected_rels(level, pred->expr);
    }
    flat_add(&flat, tree);
    flat_reduce(&flat);
    /* Conditions that read nothing of this tree are judged where the tree ends. */
    struct vec here = {0}, top = {0};
    for (uint32_t i = 0; i < flat.preds.count; i++) {
        struct pred *pred = flat.preds.items[i];
        vec_add(planner->arena, pred->rels == 0 ? &top : &here, pred);
    }
    if (flat.trees.count + unnested.count > 1) {
        conds_derive(level, &here);
    }
    if (flat.trees.count == 1 && unnested.count == 0 &&
        ((struct join_tree *)flat.trees.items[0])->kind == TREE_REL) {
        TRY(plan_rel(
            level, ((struct join_tree *)flat.trees.items[0])->rel, &here, order, ordered, path));
    } else {
        struct list list = {.level = level, .count = flat.trees.count + unnested.count};
        list.items = arena_array(planner->arena, list.count, sizeof *list.items);
        for (uint32_t i = 0; i < flat.trees.count; i++) {
            const struct order *of_one = list.count == 1 ? order : NULL;
            TRY(item_for_tree(level, flat.trees.items[i], &here, of_one, ordered, &list.items[i]));
        }
        for (uint32_t i = 0; i < unnested.count; i++) {
            TRY(item_for_unnested(
                level, unnested.items[i], &list.joins, &list.items[flat.trees.count + i]));
        }
        for (uint32_t i = 0; i < here.count; i++) {
            struct pred *pred = here.items[i];
            bool inside = false;
            for (uint32_t k = 0; k < list.count && !inside; k++) {
                inside = (pred->rels & ~list.items[k].rels) == 0;
            }
            if (!inside) {
                vec_add(planner->arena, &list.joins, pred);
            }
        }
        TRY(join_list(&list, order, ordered, path));
    }
    if (top.count > 0) {
        struct vec once = {0}, each = {0};
        for (uint32_t i = 0; i < top.count; i++) {
            struct pred *pred = top.items[i];
            vec_add(planner->arena, expr_volatile(pred->expr) ? &each : &once, pred);
        }
        if (each.count > 0) {
            TRY(filter_preds(planner, &path->node, &each));
        }
        if (once.count > 0) {
            path->node = plan_node_new(planner, PLAN_RESULT, path->rows, path->cost, path->node);
            for (uint32_t i = 0; i < once.count; i++) {
                struct pred *pred = once.items[i];
                TRY(plan_subplans(planner, pred->expr));
                node_filter(planner, path->node, &pred->expr, 1);
            }
        }
    }
    return ERR_OK;
}
