/*
 * router/route.c - the conditions on shard columns.
 *
 * Invariants
 *   T1. A condition of a query says something about a register only if it stands before whatever
 *       makes rows of several rows there: the register belongs to that query, or to a subquery in
 *       FROM that neither groups, cuts, numbers nor picks rows (`opaque`).
 *   T2. An outer join's condition says something about its nullable side only; a full join's
 *       nothing. A subquery's conditions say nothing about the query around it.
 *   T3. All others say: equal to one of these values, or the row does not count.
 */
#include "router/route.h"

#include "base/assert.h"
#include "base/mem.h"
#include "router/router.h"
#include "shard/route.h"
#include "sql/bind/bind.h"
#include "sql/catalog/sharding.h"

enum {
    TABLES_MAX = 64,
    EDGES_MAX = 512,
    VALUES_MAX = 1000,
};

struct table {
    const struct rel *rel;
    int opaque; /* depth of the innermost query around it that nobody outside looks through */
    const struct route_value *values;
    uint32_t value_count;
};

/* A condition: register `to` equals register `from`, or one of the values. */
struct edge {
    reg_t to, from;
    bool by_value;
    const struct route_value *values;
    uint32_t value_count;
};

struct analysis {
    struct route *route;
    const struct sql_inspection *inspection;
    struct arena *arena;
    struct table tables[TABLES_MAX];
    uint32_t table_count;
    struct edge edges[EDGES_MAX];
    uint32_t edge_count;
    struct edge nowhere;
    int depth;
    bool too_much;
};

/* Where a condition stands. */
struct place {
    const struct query *query;
    int depth;
    const struct join_tree *nullable; /* an outer join's condition: this side only; else NULL */
    bool nothing;
};

static void walk_query(struct analysis *analysis, const struct query *query, int opaque);
static void walk_expr(struct analysis *analysis, const struct expr *expr);

/* ---- conditions -------------------------------------------------------------------------------
 */

static bool
is_integer(oid_t type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8;
}

/* Casts between integers, and those that change no byte, are looked through. */
static const struct expr *
strip(const struct expr *expr)
{
    while (expr->kind == EXPR_CALL && expr->count == 1 &&
           ((const struct call_expr *)(const void *)expr)->cast && is_integer(expr->type) &&
           is_integer(expr->list[0]->type)) {
        expr = expr->list[0];
    }
    return expr;
}

static bool
value_of(struct analysis *analysis, const struct expr *expr, struct route_value *value)
{
    expr = strip(expr);
    *value = (struct route_value){.type = expr->type};
    if (expr->kind == EXPR_PARAM) {
        value->is_param = true;
        value->param = expr->param;
        return true;
    }
    if (expr->kind == EXPR_CONST && !expr->constant.null) {
        value->value = datum_copy(&analysis->route->arena, expr->type, expr->constant);
        return true;
    }
    return false;
}

static bool
in_tree(const struct join_tree *tree, reg_t reg)
{
    if (tree->kind == TREE_REL) {
        return reg >= tree->rel->base && reg < tree->rel->base + tree->rel->reg_count;
    }
    if (tree->kind == TREE_JOIN) {
        return in_tree(tree->left, reg) || in_tree(tree->right, reg);
    }
    for (uint32_t i = 0; i < tree->items.count; i++) {
        if (in_tree(tree->items.items[i], reg)) {
            return true;
        }
    }
    return false;
}

/* T1, T2 */
static bool
may_say(const struct analysis *analysis, const struct place *place, reg_t reg)
{
    if (place->nothing || reg < place->query->first_reg || reg >= place->query->end_reg ||
        (place->nullable != NULL && !in_tree(place->nullable, reg))) {
        return false;
    }
    for (uint32_t i = 0; i < analysis->table_count; i++) {
        const struct table *table = &analysis->tables[i];
        if (reg >= table->rel->base && reg < table->rel->base + table->rel->reg_count) {
            return place->depth >= table->opaque;
        }
    }
    return false;
}

static struct edge *
add_edge(struct analysis *analysis, reg_t to)
{
    if (analysis->edge_count == EDGES_MAX) {
        return &analysis->nowhere; /* what is not known makes no statement wrong */
    }
    struct edge *edge = &analysis->edges[analysis->edge_count++];
    *edge = (struct edge){.to = to};
    return edge;
}

static void
add_values(struct analysis *analysis, reg_t reg, struct expr *const *list, uint32_t count)
{
    if (count > VALUES_MAX) {
        return;
    }
    struct route_value *values =
        arena_array(&analysis->route->arena, (size_t)count + 1, sizeof *values);
    for (uint32_t i = 0; i < count; i++) {
        if (!value_of(analysis, list[i], &values[i])) {
            return;
        }
    }
    struct edge *edge = add_edge(analysis, reg);
    edge->by_value = true;
    edge->values = values;
    edge->value_count = count;
}

static bool
is_equality(const struct expr *expr)
{
    const struct operator_def *op = expr->kind == EXPR_CALL ? expr_operator(expr) : NULL;
    return op != NULL && strcmp(op->name, "=") == 0 && expr->count == 2;
}

static void
take_condition(struct analysis *analysis, const struct place *place, const struct expr *expr)
{
    walk_expr(analysis, expr);
    if (expr->kind == EXPR_AND) {
        for (uint32_t i = 0; i < expr->count; i++) {
            take_condition(analysis, place, expr->list[i]);
        }
        return;
    }
    if (expr->kind == EXPR_IN) {
        const struct expr *left = strip(expr->list[0]);
        if (left->kind == EXPR_REGISTER && may_say(analysis, place, left->reg)) {
            add_values(analysis, left->reg, expr->list + 1, expr->count - 1);
        }
        return;
    }
    if (!is_equality(expr)) {
        return;
    }
    for (int side = 0; side < 2; side++) {
        const struct expr *to = strip(expr->list[side]);
        const struct expr *from = strip(expr->list[1 - side]);
        if (to->kind != EXPR_REGISTER || !may_say(analysis, place, to->reg)) {
            continue;
        }
        if (from->kind == EXPR_REGISTER) {
            add_edge(analysis, to->reg)->from = from->reg;
        } else {
            add_values(analysis, to->reg, &expr->list[1 - side], 1);
        }
    }
}

static void
take_conditions(struct analysis *analysis, const struct place *place, const struct expr_vec *conds)
{
    for (uint32_t i = 0; i < conds->count; i++) {
        take_condition(analysis, place, conds->items[i]);
    }
}

/* ---- where tables are -------------------------------------------------------------------------
 */

static void
walk_expr(struct analysis *analysis, const struct expr *expr)
{
    if (expr == NULL) {
        return;
    }
    switch (expr->kind) {
    case EXPR_CONST:
    case EXPR_PARAM:
    case EXPR_REGISTER:
        return;
    case EXPR_SUBPLAN: {
        const struct bound_subplan *subplan =
            (const struct bound_subplan *)(const void *)expr->subplan;
        walk_query(analysis, subplan->query, analysis->depth + 1);
        break;
    }
    default:
        break;
    }
    for (uint32_t i = 0; i < expr->count; i++) {
        walk_expr(analysis, expr->list[i]);
    }
}

static void
add_table(struct analysis *analysis, const struct rel *rel, int opaque)
{
    for (uint32_t i = 0; i < analysis->table_count; i++) {
        if (analysis->tables[i].rel == rel) {
            return;
        }
    }
    if (analysis->table_count == TABLES_MAX) {
        analysis->too_much = true;
        return;
    }
    analysis->tables[analysis->table_count++] = (struct table){.rel = rel, .opaque = opaque};
}

static bool
is_opaque(const struct query *query)
{
    return query->kind != QUERY_SELECT || query->has_aggregates || query->group_count > 0 ||
           query->set_count > 0 || query->has_windows || query->distinct_on_count > 0 ||
           query->limit != NULL || query->offset != NULL || query->set_function != NULL ||
           query->lock_count > 0;
}

static void
walk_rel(struct analysis *analysis, const struct rel *rel, int opaque)
{
    switch (rel->kind) {
    case REL_TABLE:
        add_table(analysis, rel, opaque);
        break;
    case REL_QUERY:
        walk_query(analysis, rel->query, is_opaque(rel->query) ? analysis->depth + 1 : opaque);
        break;
    case REL_SHARED:
        if (rel->shared->query != NULL && !rel->work) {
            walk_query(analysis, rel->shared->query, analysis->depth + 1);
        }
        if (rel->shared->step != NULL && !rel->work) {
            walk_query(analysis, rel->shared->step, analysis->depth + 1);
        }
        break;
    case REL_FUNCTION:
        for (uint32_t i = 0; i < rel->arg_count; i++) {
            walk_expr(analysis, rel->args[i]);
        }
        break;
    case REL_VIRTUAL:
        break;
    }
}

static void
walk_tree(struct analysis *analysis, const struct join_tree *tree, struct place place, int opaque)
{
    /* Tables first: whose registers the conditions are about. */
    if (tree->kind == TREE_REL) {
        walk_rel(analysis, tree->rel, opaque);
        return;
    }
    if (tree->kind == TREE_LIST) {
        for (uint32_t i = 0; i < tree->items.count; i++) {
            walk_tree(analysis, tree->items.items[i], place, opaque);
        }
        take_conditions(analysis, &place, &tree->conds);
        return;
    }
    struct place left = place, right = place, on = place;
    if (tree->join == JOIN_FULL) {
        left.nothing = right.nothing = on.nothing = true;
    } else if (tree->join == JOIN_LEFT || tree->join == JOIN_ANTI) {
        on.nullable = right.nullable = tree->right;
    }
    walk_tree(analysis, tree->left, left, opaque);
    walk_tree(analysis, tree->right, right, opaque);
    take_conditions(analysis, &on, &tree->conds);
}

static void
walk_targets(struct analysis *analysis, const struct target *targets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        walk_expr(analysis, targets[i].expr);
    }
}

static void
walk_query(struct analysis *analysis, const struct query *query, int opaque)
{
    if (query == NULL) {
        return;
    }
    analysis->depth++;
    struct place place = {.query = query, .depth = analysis->depth};
    if (query->kind == QUERY_SET) {
        walk_query(analysis, query->left, analysis->depth + 1);
        walk_query(analysis, query->right, analysis->depth + 1);
    }
    if (query->from != NULL) {
        walk_tree(analysis, query->from, place, opaque);
    }
    take_conditions(analysis, &place, &query->where);
    walk_targets(analysis, query->targets, query->target_count);
    for (uint32_t i = 0; i < query->group_count; i++) {
        walk_expr(analysis, query->groups[i].expr);
    }
    for (uint32_t i = 0; i < query->aggregates.count; i++) {
        const struct plan_aggregate *aggregate = query->aggregates.items[i];
        for (uint32_t a = 0; a < aggregate->arg_count; a++) {
            walk_expr(analysis, aggregate->args[a]);
        }
        walk_expr(analysis, aggregate->filter);
    }
    for (uint32_t i = 0; i < query->windows.count; i++) {
        const struct window *window = query->windows.items[i];
        for (uint32_t c = 0; c < window->calls.count; c++) {
            const struct window_call *call = window->calls.items[c];
            for (uint32_t a = 0; a < call->arg_count; a++) {
                walk_expr(analysis, call->args[a]);
            }
        }
    }
    for (uint32_t i = 0; query->kind == QUERY_VALUES && i < query->row_count * query->column_count;
         i++) {
        walk_expr(analysis, query->values[i]);
    }
    walk_expr(analysis, query->having);
    walk_expr(analysis, query->limit);
    walk_expr(analysis, query->offset);
    analysis->depth--;
}

/* ---- values ------------------------------------------------------------------------------------
 */

/* May a value of this type be looked for among the column's? */
static bool
fits(oid_t value, oid_t column)
{
    return value == column || (is_integer(value) && is_integer(column)) ||
           ((value == TYPE_TEXT || value == TYPE_VARCHAR) &&
               (column == TYPE_TEXT || column == TYPE_VARCHAR));
}

static reg_t
key_register(const struct rel *rel)
{
    return rel->base + rel->relation->sharding->column;
}

static const struct table *
table_of(const struct analysis *analysis, reg_t reg)
{
    for (uint32_t i = 0; i < analysis->table_count; i++) {
        const struct rel *rel = analysis->tables[i].rel;
        if (reg >= rel->base && reg < rel->base + rel->reg_count) {
            return &analysis->tables[i];
        }
    }
    return NULL;
}

/* From values along equalities to the register. `seen`: edges in use, against circles. */
static const struct edge *
find_values(struct analysis *analysis, reg_t reg, bool *seen)
{
    for (uint32_t i = 0; i < analysis->edge_count; i++) {
        if (analysis->edges[i].to == reg && analysis->edges[i].by_value) {
            return &analysis->edges[i];
        }
    }
    for (uint32_t i = 0; i < analysis->edge_count; i++) {
        const struct edge *edge = &analysis->edges[i];
        if (edge->to == reg && !edge->by_value && !seen[i]) {
            seen[i] = true;
            const struct edge *found = find_values(analysis, edge->from, seen);
            if (found != NULL) {
                return found;
            }
        }
    }
    return NULL;
}

static const struct edge *
values_of(struct analysis *analysis, reg_t reg)
{
    bool *seen = arena_array(analysis->arena, (size_t)analysis->edge_count + 1, sizeof *seen);
    return find_values(analysis, reg, seen);
}

static bool
add_key(struct analysis *analysis, const struct relation *relation,
    const struct route_value *values, uint32_t count)
{
    struct route *route = analysis->route;
    const struct sharding *sharding = relation->sharding;
    const struct column *column = &relation->columns[sharding->column];
    for (uint32_t i = 0; i < count; i++) {
        if (!fits(values[i].type, column->type)) {
            return false;
        }
    }
    if (route->key_count == route->key_capacity) {
        route->key_capacity = route->key_capacity == 0 ? 4 : 2 * route->key_capacity;
        struct route_key *more =
            arena_array(&route->arena, route->key_capacity, sizeof *route->keys);
        if (route->key_count > 0) {
            memcpy(more, route->keys, route->key_count * sizeof *more);
        }
        route->keys = more;
    }
    struct route_key *key = &route->keys[route->key_count++];
    *key = (struct route_key){
        .group = arena_strdup(&route->arena, sharding->group),
        .scheme = sharding->scheme,
        .type = column->type,
        .typmod = column->typmod,
        .value_count = count,
        .values = arena_copy(&route->arena, values, count * sizeof *values),
    };
    struct shard_entry *entries =
        arena_array(&route->arena, sharding->scheme.entry_count + 1, sizeof *entries);
    for (size_t i = 0; i < sharding->scheme.entry_count; i++) {
        const struct shard_entry *from = &sharding->scheme.entries[i];
        entries[i].bucket = from->bucket;
        entries[i].key =
            slice_of(arena_copy(&route->arena, from->key.data, from->key.size), from->key.size);
    }
    key->scheme.entries = entries;
    return true;
}

static void
judge_tables(struct analysis *analysis)
{
    struct route *route = analysis->route;
    for (uint32_t i = 0; i < analysis->table_count; i++) {
        const struct relation *relation = analysis->tables[i].rel->relation;
        const struct sharding *sharding = relation->sharding;
        route->tables = true;
        if (sharding == NULL) {
            route->home = true;
        } else if (sharding->scheme.kind != SHARD_REPLICATED) {
            const struct edge *edge = values_of(analysis, key_register(analysis->tables[i].rel));
            if (edge == NULL || !add_key(analysis, relation, edge->values, edge->value_count)) {
                route->spread = true;
            }
        }
    }
    route->spread |= analysis->too_much;
}

/* ---- changes -----------------------------------------------------------------------------------
 */

static bool
changes_key(const struct modify *modify)
{
    const struct sharding *sharding = modify->relation->sharding;
    for (uint32_t i = 0;
         sharding != NULL && sharding->scheme.kind != SHARD_REPLICATED && i < modify->changed_count;
         i++) {
        if (modify->changed[i] == sharding->column) {
            return true;
        }
    }
    return false;
}

/* The values that the new rows' shard column gets. */
static int
judge_insert(struct analysis *analysis, const struct modify *modify)
{
    const struct sharding *sharding = modify->relation->sharding;
    const struct expr *expr = modify->columns[sharding->column];
    const struct query *source = modify->source;
    struct route_value value;
    if (expr == NULL) {
        return REFUSED_KEY_UNKNOWN;
    }
    expr = strip(expr);
    if (value_of(analysis, expr, &value)) {
        return add_key(analysis, modify->relation, &value, 1) ? 0 : REFUSED_KEY_UNKNOWN;
    }
    if (expr->kind != EXPR_REGISTER || source == NULL) {
        return REFUSED_KEY_UNKNOWN;
    }
    for (uint32_t i = 0; i < source->column_count; i++) {
        const struct target *target = &source->targets[i];
        if (target->reg != expr->reg) {
            continue;
        }
        if (source->kind == QUERY_VALUES) {
            struct route_value *values =
                arena_array(analysis->arena, (size_t)source->row_count + 1, sizeof *values);
            for (uint32_t row = 0; row < source->row_count; row++) {
                if (!value_of(
                        analysis, source->values[row * source->column_count + i], &values[row])) {
                    return REFUSED_KEY_UNKNOWN;
                }
            }
            return add_key(analysis, modify->relation, values, source->row_count)
                       ? 0
                       : REFUSED_KEY_UNKNOWN;
        }
        const struct expr *from = target->expr == NULL ? NULL : strip(target->expr);
        if (from != NULL && value_of(analysis, from, &value)) {
            return add_key(analysis, modify->relation, &value, 1) ? 0 : REFUSED_KEY_UNKNOWN;
        }
        if (from != NULL && from->kind == EXPR_REGISTER && table_of(analysis, from->reg) != NULL &&
            source->kind == QUERY_SELECT) {
            const struct edge *edge = values_of(analysis, from->reg);
            if (edge != NULL &&
                add_key(analysis, modify->relation, edge->values, edge->value_count)) {
                return 0;
            }
        }
    }
    return REFUSED_KEY_UNKNOWN;
}

static int
judge_modify(struct analysis *analysis, const struct modify *modify)
{
    const struct sharding *sharding = modify->relation->sharding;
    if (sharding != NULL && sharding->scheme.kind == SHARD_REPLICATED) {
        return REFUSED_REPLICATED;
    }
    if (changes_key(modify) || (modify->update != NULL && changes_key(modify->update))) {
        return REFUSED_KEY_CHANGE;
    }
    analysis->route->tables = true;
    if (sharding == NULL) {
        analysis->route->home = true;
        return 0;
    }
    return modify->statement == STATEMENT_INSERT ? judge_insert(analysis, modify) : 0;
}

enum err
route_look(void *arg, const struct sql_inspection *inspection)
{
    struct route *route = arg;
    struct analysis *analysis = arena_alloc(inspection->arena, sizeof *analysis);
    analysis->route = route;
    analysis->inspection = inspection;
    analysis->arena = inspection->arena;
    route->writes = inspection->writes;
    route->epoch = catalog_route_epoch(inspection->catalog);
    if (inspection->modifying) {
        route->refusal = REFUSED_STATEMENT;
        return ERR_OK;
    }
    const struct modify *modify = inspection->modify;
    if (modify == NULL) {
        walk_query(analysis, inspection->query, 0);
    } else {
        walk_query(analysis, modify->source, 0);
        for (uint32_t i = 0; modify->columns != NULL && i < modify->relation->column_count; i++) {
            walk_expr(analysis, modify->columns[i]);
        }
        walk_targets(analysis, modify->returning, modify->returning_count);
        if (modify->target != NULL) {
            add_table(analysis, modify->target, 0);
        }
        route->refusal = judge_modify(analysis, modify);
    }
    judge_tables(analysis);
    return ERR_OK;
}

/* ---- at run time -------------------------------------------------------------------------------
 */

bool
route_convert(oid_t from, const struct route_key *key, struct datum *datum)
{
    if (from == key->type || !is_integer(key->type)) {
        return true;
    }
    int64_t most = key->type == TYPE_INT2   ? INT16_MAX
                   : key->type == TYPE_INT4 ? INT32_MAX
                                            : INT64_MAX;
    return datum->i <= most && datum->i >= -most - 1;
}

/* A value's bucket, as a one-bucket range. False: there are no rows with it. */
static bool
bucket_of(struct eval *eval, const struct route_key *key, const struct route_value *value,
    route_param *param, void *arg, struct shard_route_range *range, bool *known)
{
    struct datum datum = value->value;
    *known = value->is_param ? param(arg, eval, key, value, &datum) : true;
    if (!*known || datum.null || !route_convert(value->type, key, &datum)) {
        return false;
    }
    struct buffer bytes = {0};
    key_encode(&bytes, key->type, datum, 0);
    bool found = shard_bucket(&key->scheme, slice_of(bytes.data, bytes.size), &range->first);
    range->last = range->first;
    buffer_destroy(&bytes);
    return found;
}

int
route_resolve(const struct router *router, const struct route *route, struct eval *eval,
    route_param *param, void *arg, struct buffer *message)
{
    int node = route->home ? 0 : ROUTE_ANYWHERE;
    if (route->spread) {
        return ROUTE_SEVERAL;
    }
    struct shard_route_group *groups =
        arena_array(eval->arena, (size_t)route->key_count + 1, sizeof *groups);
    size_t group_count = 0;
    for (uint32_t k = 0; k < route->key_count; k++) {
        const struct route_key *key = &route->keys[k];
        struct shard_route_range *ranges =
            arena_array(eval->arena, (size_t)key->value_count + 1, sizeof *ranges);
        size_t count = 0;
        for (uint32_t v = 0; v < key->value_count; v++) {
            bool known = true;
            if (!bucket_of(eval, key, &key->values[v], param, arg, &ranges[count], &known)) {
                if (!known) {
                    return ROUTE_SEVERAL;
                }
                continue; /* no row has this value: any shard knows that as well */
            }
            int owner = cluster_owner(router->cluster, key->group, ranges[count].first);
            if (owner < 0) {
                return ROUTE_NOWHERE;
            }
            if (node >= 0 && node != owner) {
                return ROUTE_SEVERAL;
            }
            node = owner;
            count++;
        }
        if (count > 0) {
            groups[group_count++] = (struct shard_route_group){
                .name = key->group, .range_count = count, .ranges = ranges};
        }
    }
    struct shard_route said = {.epoch = route->epoch, .group_count = group_count, .groups = groups};
    shard_route_encode(&said, message);
    return node;
}

struct route *
route_new(void)
{
    struct route *route = mem_zalloc(sizeof *route);
    arena_create(&route->arena, "route");
    return route;
}

void
route_delete(struct route *route)
{
    if (route != NULL) {
        arena_destroy(&route->arena);
        mem_free(route);
    }
}
