/*
 * router/route.c - the conditions on shard columns.
 *
 * Invariants
 *   T1. A condition of a query says something about a register only if it stands before whatever
 *       makes rows of several rows there: the register belongs to that query, or to a subquery in
 *       FROM that neither groups, cuts, numbers nor picks rows (`opaque`).
 *   T2. An outer join's condition says something about its nullable side only; a full join's
 *       nothing. A subquery's conditions say nothing about the query around it.
 *   T3. All others say: equal to one of these values (or, where a table is sharded by ranges, not
 *       less or not greater than this one), or the row does not count.
 */
#include "router/route.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "router/router.h"
#include "shard/route.h"
#include "sql/bind/bind.h"
#include "sql/catalog/replicated.h"
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

/* A condition: register `to` equals register `from`, or one of the values; or is beside one. */
struct edge {
    reg_t to, from;
    enum edge_kind {
        EDGE_SAME,
        EDGE_VALUES,
        EDGE_LOW, /* its value, or more */
        EDGE_HIGH,
        EDGE_BELOW, /* less */
    } kind;
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
value_of(struct analysis *analysis, const struct expr *expr, struct route_value *value)
{
    expr = expr_strip_integers(expr);
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
add_values(struct analysis *analysis, reg_t reg, enum edge_kind kind, struct expr *const *list,
    uint32_t count)
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
    edge->kind = kind;
    edge->values = values;
    edge->value_count = count;
}

/* What a comparison says of its left side. */
static bool
comparison(const struct expr *expr, enum edge_kind *kind)
{
    static const struct {
        const char *name;
        enum edge_kind kind;
    } names[] = {{"=", EDGE_VALUES}, {"<", EDGE_BELOW}, {"<=", EDGE_HIGH}, {">", EDGE_LOW},
        {">=", EDGE_LOW}};
    const struct operator_def *op =
        expr->kind == EXPR_CALL && expr->count == 2 ? expr_operator(expr) : NULL;
    for (size_t i = 0; op != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(op->name, names[i].name) == 0) {
            *kind = names[i].kind;
            return true;
        }
    }
    return false;
}

static enum edge_kind
mirrored(enum edge_kind kind)
{
    return kind == EDGE_LOW      ? EDGE_HIGH /* or below: what is > or >= is not told apart */
           : kind == EDGE_VALUES ? kind
                                 : EDGE_LOW;
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
        const struct expr *left = expr_strip_integers(expr->list[0]);
        if (left->kind == EXPR_REGISTER && may_say(analysis, place, left->reg)) {
            add_values(analysis, left->reg, EDGE_VALUES, expr->list + 1, expr->count - 1);
        }
        return;
    }
    enum edge_kind kind = EDGE_SAME;
    if (!comparison(expr, &kind)) {
        return;
    }
    for (int side = 0; side < 2; side++) {
        const struct expr *to = expr_strip_integers(expr->list[side]);
        const struct expr *from = expr_strip_integers(expr->list[1 - side]);
        if (to->kind != EXPR_REGISTER || !may_say(analysis, place, to->reg)) {
            continue;
        }
        if (from->kind != EXPR_REGISTER) {
            add_values(
                analysis, to->reg, side == 0 ? kind : mirrored(kind), &expr->list[1 - side], 1);
        } else if (kind == EDGE_VALUES) {
            add_edge(analysis, to->reg)->from = from->reg;
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
    for (uint32_t i = 0; i < query->lock_count; i++) { /* that holds back who changes them */
        const struct rel *rel = query->locks[i].rel;
        analysis->route->home |= rel->relation != NULL && relation_is_replicated(rel->relation);
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
    return value == column || (type_is_integer(value) && type_is_integer(column)) ||
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
find_values(struct analysis *analysis, reg_t reg, enum edge_kind kind, bool *seen)
{
    for (uint32_t i = 0; i < analysis->edge_count; i++) {
        if (analysis->edges[i].to == reg && analysis->edges[i].kind == kind) {
            return &analysis->edges[i];
        }
    }
    for (uint32_t i = 0; i < analysis->edge_count; i++) {
        const struct edge *edge = &analysis->edges[i];
        if (edge->to == reg && edge->kind == EDGE_SAME && !seen[i]) {
            seen[i] = true;
            const struct edge *found = find_values(analysis, edge->from, kind, seen);
            if (found != NULL) {
                return found;
            }
        }
    }
    return NULL;
}

static const struct edge *
values_of(struct analysis *analysis, reg_t reg, enum edge_kind kind)
{
    bool *seen = arena_array(analysis->arena, (size_t)analysis->edge_count + 1, sizeof *seen);
    return find_values(analysis, reg, kind, seen);
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

/* Of a table that is sharded by ranges. */
static bool
add_range(struct analysis *analysis, const struct relation *relation, reg_t reg)
{
    const struct edge *low = values_of(analysis, reg, EDGE_LOW);
    const struct edge *below = values_of(analysis, reg, EDGE_BELOW);
    const struct edge *high = below != NULL ? below : values_of(analysis, reg, EDGE_HIGH);
    struct route_value values[2];
    uint32_t count = 0;
    if (relation->sharding->scheme.kind != SHARD_RANGE || (low == NULL && high == NULL)) {
        return false;
    }
    if (low != NULL) {
        values[count++] = low->values[0];
    }
    if (high != NULL) {
        values[count++] = high->values[0];
    }
    if (!add_key(analysis, relation, values, count)) {
        return false;
    }
    struct route_key *key = &analysis->route->keys[analysis->route->key_count - 1];
    key->is_range = true;
    key->low = low == NULL ? NULL : &key->values[0];
    key->high = high == NULL ? NULL : &key->values[count - 1];
    key->below = below != NULL;
    key->value_count = 0;
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
        } else if (sharding->scheme.kind == SHARD_REPLICATED) {
            route->replicated = true;
        } else {
            reg_t reg = key_register(analysis->tables[i].rel);
            const struct edge *edge = values_of(analysis, reg, EDGE_VALUES);
            if (edge == NULL ? !add_range(analysis, relation, reg)
                             : !add_key(analysis, relation, edge->values, edge->value_count)) {
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
    expr = expr_strip_integers(expr);
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
        const struct expr *from = target->expr == NULL ? NULL : expr_strip_integers(target->expr);
        if (from != NULL && value_of(analysis, from, &value)) {
            return add_key(analysis, modify->relation, &value, 1) ? 0 : REFUSED_KEY_UNKNOWN;
        }
        if (from != NULL && from->kind == EXPR_REGISTER && table_of(analysis, from->reg) != NULL &&
            source->kind == QUERY_SELECT) {
            const struct edge *edge = values_of(analysis, from->reg, EDGE_VALUES);
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
    for (uint16_t i = 0; i < modify->relation->foreign_count; i++) {
        const struct relation *other = modify->relation->foreign[i].referenced_table;
        analysis->route->replicated |= relation_is_replicated(other);
    }
    if (relation_is_replicated(modify->relation)) {
        analysis->route->tables = true;
        analysis->route->home = true;
        analysis->route->changes_replicated = true;
        return modify->relation->primary == NULL ? REFUSED_REPLICATED : 0;
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

static uint64_t
shape_of(const struct target *targets, uint32_t count)
{
    uint64_t shape = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct expr *expr = targets[i].expr;
        const uint64_t column[] = {shape, expr->type, (uint64_t)(uint32_t)expr->typmod};
        shape = targets[i].junk ? shape : hash64(column, sizeof column, 0);
    }
    return shape;
}

enum err
route_look(void *arg, const struct sql_inspection *inspection)
{
    struct route *route = arg;
    route->shape =
        inspection->modify == NULL
            ? shape_of(inspection->query->targets, inspection->query->target_count)
            : shape_of(inspection->modify->returning, inspection->modify->returning_count);
    struct analysis *analysis = arena_alloc(inspection->arena, sizeof *analysis);
    analysis->route = route;
    analysis->inspection = inspection;
    analysis->arena = inspection->arena;
    route->writes = inspection->writes;
    route->epoch = catalog_route_epoch(inspection->catalog);
    if (inspection->advisory) { /* here, or at one node: whoever is elsewhere would not meet it */
        route->refusal = REFUSED_ADVISORY;
        return ERR_OK;
    }
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

void
route_add_constant(struct route *route, const struct sql_inspection *inspection,
    const struct relation *relation, struct datum value)
{
    struct analysis *analysis = arena_alloc(inspection->arena, sizeof *analysis);
    analysis->route = route;
    const struct route_value one = {
        .type = relation->columns[relation->sharding->column].type, .value = value};
    route->epoch = catalog_route_epoch(inspection->catalog);
    (void)add_key(analysis, relation, &one, 1);
}

/* ---- at run time -------------------------------------------------------------------------------
 */

bool
route_convert(oid_t from, const struct route_key *key, struct datum *datum)
{
    if (from == key->type || !type_is_integer(key->type)) {
        return true;
    }
    int64_t most = key->type == TYPE_INT2   ? INT16_MAX
                   : key->type == TYPE_INT4 ? INT32_MAX
                                            : INT64_MAX;
    return datum->i <= most && datum->i >= -most - 1;
}

/* The value as a key; *known false: what it is cannot be told. False: no row has it. */
static bool
key_of(struct eval *eval, const struct route_key *key, const struct route_value *value,
    route_param *param, void *arg, bool *known, struct slice *bytes)
{
    struct datum datum = value->value;
    *known = value->is_param ? param(arg, eval, key, value, &datum) : true;
    if (!*known || datum.null || !route_convert(value->type, key, &datum)) {
        return false;
    }
    struct buffer text = {0};
    key_encode(&text, key->type, datum, 0);
    *bytes = slice_of(arena_copy(eval->arena, text.data, text.size), text.size);
    buffer_destroy(&text);
    return true;
}

/* Buckets, each a range of its own. False: what is wanted cannot be told. */
static bool
buckets_of_values(struct eval *eval, const struct route_key *key, route_param *param, void *arg,
    struct shard_route_range **ranges, size_t *count)
{
    *ranges = arena_array(eval->arena, (size_t)key->value_count + 1, sizeof **ranges);
    for (uint32_t i = 0; i < key->value_count; i++) {
        bool known = true;
        struct slice bytes;
        uint32_t bucket = 0;
        if (key_of(eval, key, &key->values[i], param, arg, &known, &bytes) &&
            shard_bucket(&key->scheme, bytes, &bucket)) {
            (*ranges)[(*count)++] = (struct shard_route_range){.first = bucket, .last = bucket};
        } /* else no row has this value: any shard knows that as well */
        if (!known) {
            return false;
        }
    }
    return true;
}

static bool
buckets_of_range(struct eval *eval, const struct route_key *key, route_param *param, void *arg,
    struct shard_route_range **ranges, size_t *count)
{
    const struct route_value *bounds[] = {key->low, key->high};
    struct slice bytes[2];
    const struct slice *ends[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        bool known = true;
        if (bounds[i] != NULL) {
            if (!key_of(eval, key, bounds[i], param, arg, &known, &bytes[i])) {
                return false; /* null, or beyond the column's type: let the nodes say */
            }
            ends[i] = &bytes[i];
        }
    }
    size_t first = 0, end = 0;
    shard_bucket_range(&key->scheme, ends[0], ends[1], &first, &end);
    end -= key->below && end > first && slice_equal(key->scheme.entries[end - 1].key, bytes[1]);
    *ranges = arena_array(eval->arena, key->scheme.entry_count + 1, sizeof **ranges);
    for (; first < end; first++) {
        uint32_t bucket = key->scheme.entries[first].bucket;
        (*ranges)[(*count)++] = (struct shard_route_range){.first = bucket, .last = bucket};
    }
    return true;
}

int
route_resolve(const struct router *router, const struct route *route, uint64_t replicated,
    struct eval *eval, route_param *param, void *arg, struct buffer *message)
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
        struct shard_route_range *ranges = NULL;
        size_t count = 0;
        if (!(key->is_range ? buckets_of_range : buckets_of_values)(
                eval, key, param, arg, &ranges, &count)) {
            return ROUTE_SEVERAL;
        }
        for (size_t i = 0; i < count; i++) {
            int owner = cluster_owner(router->cluster, key->group, ranges[i].first);
            if (owner < 0) {
                return ROUTE_NOWHERE;
            }
            if (node >= 0 && node != owner) {
                return ROUTE_SEVERAL;
            }
            node = owner;
        }
        if (count > 0) {
            groups[group_count++] = (struct shard_route_group){
                .name = key->group, .range_count = count, .ranges = ranges};
        }
    }
    struct shard_route said = {.epoch = route->epoch,
        .group_count = group_count,
        .groups = groups,
        .replicated = route->changes_replicated ? SHARD_REPLICATED_CHANGES
                      : route->replicated       ? SHARD_REPLICATED_READS
                                                : SHARD_REPLICATED_NONE,
        .replicated_version = replicated};
    shard_route_encode(&said, message);
    return node;
}

void
route_put_epoch(const struct route *route, struct buffer *message)
{
    const struct shard_route said = {.epoch = route->epoch};
    message->size = 0;
    shard_route_encode(&said, message);
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
