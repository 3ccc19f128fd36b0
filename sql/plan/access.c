/*
 * sql/plan/access.c - how a relation is read: whole, or through which index between which bounds.
 *
 * Estimates are selectivity.c's.
 */
#include "sql/plan/planner.h"

#include "base/assert.h"
#include "sql/catalog/index_key.h"

static const double COST_ROW = 1;      /* one row in the order of the tree */
static const double COST_DESCENT = 6;  /* from a tree's root to a leaf */
static const double COST_FILTER = 0.2; /* one predicate on one row */

/* ---- predicates an index can use ----------------------------------------------------------------
 */

enum bound_kind {
    BOUND_NONE,
    BOUND_EQUAL,
    BOUND_IN,
    BOUND_LOW,
    BOUND_HIGH,
};

struct match {
    enum bound_kind kind;
    bool exclusive;
    struct expr *value; /* of the column's type */
};

static int
integer_width(oid_t type)
{
    return type == TYPE_INT2 ? 2 : type == TYPE_INT4 ? 4 : type == TYPE_INT8 ? 8 : 0;
}

static bool
string_like(oid_t type)
{
    return type == TYPE_TEXT || type == TYPE_VARCHAR;
}

/* Values of `type` may be taken as the column's without changing. */
static bool
type_fits(oid_t type, oid_t column)
{
    return type == column || (string_like(type) && string_like(column)) ||
           (integer_width(type) > 0 && integer_width(type) <= integer_width(column));
}

/* A key column of an index: a register, or an expression over the relation. */
struct key {
    struct binder *binder;
    const struct expr *expr; /* NULL: */
    reg_t reg;
    oid_t type;
};

static bool
is_key(const struct expr *expr, const struct key *key)
{
    return key->expr != NULL ? expr_matches(key->binder, expr, key->expr)
                             : expr->kind == EXPR_REGISTER && expr->reg == key->reg;
}

/* A derived value over the registers of the relation; NULL: it cannot be bound here. */
static struct expr *
rel_derived(struct planner *planner, struct rel *rel, uint32_t number)
{
    if (rel->derived == NULL) {
        rel->derived =
            arena_array(planner->arena, rel->relation->derived_count + 1U, sizeof(struct expr *));
    }
    if (rel->derived[number] == NULL) {
        struct diag before = *planner->diag;
        if (bind_derived(planner->binder, rel->relation, rel->base, number,
                &rel->derived[number]) != ERR_OK) {
            *planner->diag = before;
            rel->derived[number] = NULL;
        }
    }
    return rel->derived[number];
}

/* False: nothing can be said of this column. */
static bool
key_of(struct planner *planner, struct rel *rel, const struct index *index, uint32_t at,
    struct key *key)
{
    uint16_t column = index->columns[at];
    *key = (struct key){
        .binder = planner->binder, .type = index_column_type(rel->relation, index, at)};
    if (column < INDEX_DERIVED) {
        key->reg = rel->base + column;
        return true;
    }
    key->expr = rel_derived(planner, rel, column - INDEX_DERIVED);
    return key->expr != NULL;
}

struct reads_rel {
    const struct rel *rel;
    bool reads;
};

static void
check_reads_rel(void *arg, reg_t reg)
{
    struct reads_rel *check = arg;
    check->reads |= reg >= check->rel->base && reg - check->rel->base < check->rel->reg_count;
}

/* PL2: known before the relation is read. */
static bool
usable_value(const struct rel *rel, const struct expr *value)
{
    struct reads_rel check = {.rel = rel};
    expr_reads(value, check_reads_rel, &check);
    return !check.reads && !expr_volatile(value);
}

static enum bound_kind
bound_of(const char *op, bool flipped, bool *exclusive)
{
    *exclusive = op[1] == '\0';
    if (strcmp(op, "=") == 0) {
        *exclusive = false;
        return BOUND_EQUAL;
    }
    if (strcmp(op, "<") == 0 || strcmp(op, "<=") == 0) {
        return flipped ? BOUND_LOW : BOUND_HIGH;
    }
    if (strcmp(op, ">") == 0 || strcmp(op, ">=") == 0) {
        return flipped ? BOUND_HIGH : BOUND_LOW;
    }
    return BOUND_NONE;
}

/* The array in column = ANY (array), whose elements may be taken as the column's; else NULL. */
static struct expr *
any_of_array(const struct expr *expr, const struct key *key)
{
    if (expr->kind != EXPR_CALL || expr->count != 3 ||
        strcmp(expr->function->name, "array_any") != 0 || !is_key(expr->list[1], key)) {
        return NULL;
    }
    const struct function *function = (const struct function *)(intptr_t)expr->list[0]->constant.i;
    struct expr *array = expr->list[2];
    size_t count = 0;
    const struct operator_def *equal = operator_by_name("=", &count);
    for (size_t i = 0; i < count; i++) {
        if (equal[i].function->oid == function->oid && type_element(array->type) != 0 &&
            type_fits(type_element(array->type), key->type)) {
            return array;
        }
    }
    return NULL;
}

static double
in_count(const struct expr *in)
{
    return in->kind == EXPR_IN ? (double)(in->count - 1) : SELECTIVITY_ARRAY_COUNT;
}

static struct match
match_pred(const struct rel *rel, const struct key *key, struct expr *expr)
{
    struct match none = {0};
    oid_t type = key->type;
    if (expr->kind == EXPR_IN) {
        if (!is_key(expr->list[0], key) || !type_fits(expr->list[1]->type, type)) {
            return none;
        }
        for (uint32_t i = 1; i < expr->count; i++) {
            if (!usable_value(rel, expr->list[i])) {
                return none;
            }
        }
        return (struct match){.kind = BOUND_IN, .value = expr};
    }
    struct expr *array = any_of_array(expr, key);
    if (array != NULL) {
        return usable_value(rel, array) ? (struct match){.kind = BOUND_IN, .value = expr} : none;
    }
    const struct operator_def *op = expr_operator(expr);
    if (op == NULL || expr->count != 2) {
        return none;
    }
    bool flipped = !is_key(expr->list[0], key);
    if (flipped && !is_key(expr->list[1], key)) {
        return none;
    }
    struct expr *value = expr->list[flipped ? 0 : 1];
    struct match match = {.value = value};
    match.kind = bound_of(op->name, flipped, &match.exclusive);
    if (match.kind == BOUND_NONE || !type_fits(value->type, type) || !usable_value(rel, value)) {
        return none;
    }
    return match;
}

/* ---- orders ---------------------------------------------------------------------------------- */

static bool
is_bound_equal(const struct access *access, const struct index *index, uint16_t column)
{
    for (uint32_t i = 0; i < access->equal_count; i++) {
        if (index->columns[i] == column) {
            return true;
        }
    }
    return false;
}

/* Does the index, read forward or backward, give the rows in this order? */
static bool
index_gives_order(const struct rel *rel, const struct index *index, const struct access *access,
    const struct order *order, bool *backward)
{
    uint32_t at = access->equal_count;
    int direction = 0; /* 1 forward, -1 backward */
    for (uint32_t k = 0; k < order->count; k++) {
        const struct plan_sort_key *key = &order->keys[k];
        if (key->reg < rel->base || key->reg - rel->base >= rel->column_count) {
            return false;
        }
        uint16_t column = (uint16_t)(key->reg - rel->base);
        if (is_bound_equal(access, index, column)) {
            continue; /* the same in all rows */
        }
        if (at >= index->column_count && index->primary) {
            break; /* no two rows are equal so far */
        }
        if (at >= index->column_count) {
            return false;
        }
        if (index->columns[at] != column) {
            return false;
        }
        bool descending = (index->flags[at] & KEY_DESCENDING) != 0;
        bool nulls_first = (index->flags[at] & KEY_NULLS_FIRST) != 0;
        int wanted = key->descending == descending ? 1 : -1;
        if (!rel->relation->columns[column].not_null) {
            bool agrees = key->nulls_first == (wanted > 0 ? nulls_first : !nulls_first);
            if (!agrees) {
                return false;
            }
        }
        if (direction != 0 && wanted != direction) {
            return false;
        }
        direction = wanted;
        at++;
    }
    *backward = direction < 0;
    return true;
}

/* ---- choosing -------------------------------------------------------------------------------- */

bool
index_gives_column(const struct relation *relation, const struct index *index, uint32_t column)
{
    const struct type *type = type_by_oid(relation->columns[column].type);
    for (uint32_t i = 0; i < (uint32_t)index->column_count + index->included_count; i++) {
        if (index->columns[i] == column) {
            return i >= index->column_count || (type != NULL && type->key_lossless);
        }
    }
    return false;
}

static bool
covers(const struct rel *rel, const struct index *index)
{
    if (rel->identity) {
        return false;
    }
    for (uint32_t c = 0; c < rel->column_count; c++) {
        if (!rel->used[c]) {
            continue;
        }
        if (!index_gives_column(rel->relation, index, c)) {
            return false;
        }
    }
    return true;
}

struct chooser {
    struct level *level;
    struct rel *rel;
    struct pred *const *preds;
    uint32_t pred_count;
    rel_set available, own;
    double rows;
};

/* Subqueries in it, if any, give one value that stays the same for the whole execution. */
static bool
subplans_run_once(const struct expr *expr)
{
    if (!expr_has_subplan(expr)) {
        return true;
    }
    if (expr->kind == EXPR_SUBPLAN) {
        return expr->subplan->kind == SUBPLAN_SCALAR && !expr->subplan->correlated;
    }
    for (uint32_t i = 0; i < expr->count; i++) {
        if (!subplans_run_once(expr->list[i])) {
            return false;
        }
    }
    return true;
}

static bool
pred_usable(const struct chooser *chooser, uint32_t i)
{
    return i < 64 && (chooser->preds[i]->rels & ~(chooser->own | chooser->available)) == 0 &&
           subplans_run_once(chooser->preds[i]->expr);
}

/* Bounds on one column of an index; true if the next column may be bound as well. */
static bool
bind_column(const struct chooser *chooser, const struct key *key, struct access *access,
    double *selectivity)
{
    struct pred *range[2];
    uint32_t range_count = 0;
    for (uint32_t i = 0; i < chooser->pred_count; i++) {
        if (!pred_usable(chooser, i)) {
            continue;
        }
        struct match match = match_pred(chooser->rel, key, chooser->preds[i]->expr);
        if (match.kind == BOUND_EQUAL) {
            access->equal[access->equal_count++] = match.value;
            access->consumed |= UINT64_C(1) << i;
            *selectivity *= pred_selectivity(chooser->level, chooser->preds[i]->expr);
            return true;
        }
    }
    for (uint32_t i = 0; i < chooser->pred_count; i++) {
        if (!pred_usable(chooser, i)) {
            continue;
        }
        struct match match = match_pred(chooser->rel, key, chooser->preds[i]->expr);
        uint64_t bit = UINT64_C(1) << i;
        if (match.kind == BOUND_IN && access->low == NULL && access->high == NULL) {
            access->in = match.value;
            access->consumed |= bit;
            *selectivity *= pred_selectivity(chooser->level, chooser->preds[i]->expr);
            return false;
        }
        if (match.kind == BOUND_LOW && access->low == NULL) {
            access->low = match.value;
            access->low_exclusive = match.exclusive;
            access->consumed |= bit;
            range[range_count++] = chooser->preds[i];
        } else if (match.kind == BOUND_HIGH && access->high == NULL) {
            access->high = match.value;
            access->high_exclusive = match.exclusive;
            access->consumed |= bit;
            range[range_count++] = chooser->preds[i];
        }
    }
    *selectivity *= preds_selectivity(chooser->level, range, range_count);
    return false;
}

static void
finish_cost(const struct chooser *chooser, double all_selectivity, struct access *access)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < chooser->pred_count; i++) {
        left += i >= 64 || (access->consumed >> i & 1) == 0;
    }
    access->rows = chooser->rows * all_selectivity;
    if (access->rows > access->scanned) {
        access->rows = access->scanned;
    }
    if (access->rows < 1) {
        access->rows = 1;
    }
    double each = COST_ROW + COST_FILTER * left;
    double descents = 1;
    if (access->index != NULL) {
        descents = access->in != NULL ? in_count(access->in) : 1;
        if (!access->index->primary && !covers(chooser->rel, access->index)) {
            each += COST_DESCENT;
        }
    }
    access->cost = descents * COST_DESCENT + access->scanned * each;
}

/* Do the conditions on the relation alone say that only rows with entries are asked for?
 * *selectivity: of the index's condition. */
static bool
partial_serves(const struct chooser *chooser, const struct index *index, double *selectivity)
{
    *selectivity = 1;
    if (index->partial == 0) {
        return true;
    }
    struct planner *planner = chooser->level->planner;
    struct expr *wanted = rel_derived(planner, chooser->rel, index->partial - 1U);
    struct expr_vec known = {0};
    for (uint32_t i = 0; i < chooser->pred_count; i++) {
        if ((chooser->preds[i]->rels & ~chooser->own) == 0) {
            expr_vec_add(planner->arena, &known, chooser->preds[i]->expr);
        }
    }
    if (wanted == NULL || !expr_implied(planner->binder, known.items, known.count, wanted)) {
        return false;
    }
    *selectivity = pred_selectivity(chooser->level, wanted);
    return true;
}

static bool
try_index(const struct chooser *chooser, const struct index *index, double all_selectivity,
    struct access *access)
{
    *access = (struct access){.index = index};
    double selectivity, partial;
    if (!partial_serves(chooser, index, &partial)) {
        return false;
    }
    selectivity = 1;
    uint16_t at = 0;
    struct key key;
    while (at < index->column_count &&
           key_of(chooser->level->planner, chooser->rel, index, at, &key) &&
           bind_column(chooser, &key, access, &selectivity)) {
        at++;
    }
    selectivity = partial < selectivity ? partial : selectivity;
    if (index->unique && access->equal_count == index->column_count) {
        selectivity = 1.0 / chooser->rows;
        access->single = true;
    }
    access->scanned = chooser->rows * selectivity;
    if (access->scanned < 1) {
        access->scanned = 1;
    }
    finish_cost(chooser, all_selectivity, access);
    return true;
}

void
access_choose(struct level *level, struct rel *rel, struct pred *const *preds, uint32_t pred_count,
    rel_set available, const struct order *order, struct access *access)
{
    struct chooser chooser = {.level = level,
        .rel = rel,
        .preds = preds,
        .pred_count = pred_count,
        .available = available,
        .own = rel_bit(level, rel),
        .rows = rel_row_count(level, rel)};
    double all_selectivity = preds_selectivity(level, preds, pred_count);
    *access = (struct access){.scanned = chooser.rows};
    finish_cost(&chooser, all_selectivity, access);
    if (order != NULL) {
        access->cost = 1e300; /* the tree's own order counts as the primary key's below */
    }
    if (rel->kind != REL_TABLE) {
        return;
    }
    for (uint16_t i = 0; i < rel->relation->index_count; i++) {
        struct access tried;
        const struct index *index = &rel->relation->indexes[i];
        if (!try_index(&chooser, index, all_selectivity, &tried)) {
            continue;
        }
        if (order != NULL) {
            if (tried.in != NULL ||
                !index_gives_order(rel, index, &tried, order, &tried.backward)) {
                continue;
            }
        } else if (index->partial == 0 && tried.equal_count == 0 && tried.in == NULL &&
                   tried.low == NULL && tried.high == NULL &&
                   !(covers(rel, index) && !index->primary)) {
            continue; /* the whole index, for nothing */
        }
        bool exact = index->unique && tried.equal_count == index->column_count;
        if (tried.cost < access->cost || (exact && tried.cost <= access->cost)) {
            *access = tried;
        }
    }
}

/* ---- building -------------------------------------------------------------------------------- */

static struct expr *
as_type(struct planner *planner, struct expr *expr, oid_t type)
{
    return expr->type == type ? expr : expr_relabel(planner->binder, expr, type);
}

static void
build_bounds(struct planner *planner, const struct rel *rel, const struct access *access,
    struct plan_bounds *bounds)
{
    const struct relation *relation = rel->relation;
    const struct index *index = access->index;
    bounds->equal_count = access->equal_count;
    bounds->equal = arena_alloc(planner->arena, (access->equal_count + 1) * sizeof *bounds->equal);
    for (uint32_t i = 0; i < access->equal_count; i++) {
        bounds->equal[i] =
            as_type(planner, access->equal[i], index_column_type(relation, index, i));
    }
    if (access->equal_count == index->column_count) {
        return;
    }
    oid_t type = index_column_type(relation, index, access->equal_count);
    if (access->in != NULL && access->in->kind == EXPR_CALL) {
        bounds->in_array = true;
        bounds->in_count = 1;
        bounds->in_list = &access->in->list[2];
        return;
    }
    if (access->in != NULL) {
        bounds->in_count = access->in->count - 1;
        bounds->in_list = arena_alloc(planner->arena, bounds->in_count * sizeof *bounds->in_list);
        for (uint32_t i = 0; i < bounds->in_count; i++) {
            bounds->in_list[i] = as_type(planner, access->in->list[i + 1], type);
        }
        return;
    }
    if (access->low != NULL) {
        bounds->low = as_type(planner, access->low, type);
        bounds->low_exclusive = access->low_exclusive;
    }
    if (access->high != NULL) {
        bounds->high = as_type(planner, access->high, type);
        bounds->high_exclusive = access->high_exclusive;
    }
}

enum err
access_build(struct level *level, struct rel *rel, const struct access *access,
    struct pred *const *preds, uint32_t pred_count, struct plan_node **result)
{
    struct planner *planner = level->planner;
    struct expr_vec filter = {0};
    for (uint32_t i = 0; i < pred_count; i++) {
        if (i >= 64 || (access->consumed >> i & 1) == 0) {
            expr_vec_add(planner->arena, &filter, preds[i]->expr);
        }
        TRY(plan_subplans(planner, preds[i]->expr));
    }
    enum plan_kind kind = rel->kind == REL_VIRTUAL ? PLAN_VIRTUAL
                          : access->index != NULL  ? PLAN_INDEX
                                                   : PLAN_SCAN;
    struct plan_node *node = plan_node_new(planner, kind, access->rows, access->cost, NULL);
    node_filter(planner, node, filter.items, filter.count);
    struct plan_relation *to = &node->scan.relation;
    to->relation = rel->relation;
    to->alias = rel->alias;
    to->base = rel->base;
    to->identity = rel->identity;
    if (rel->identity) {
        to->key_reg = bind_registers(planner->binder, 2);
        to->version_reg = to->key_reg + 1;
    }
    if (access->index != NULL) {
        node->scan.index = access->index;
        node->scan.backward = access->backward;
        build_bounds(planner, rel, access, &node->scan.bounds);
    }
    rel->planned = to;
    *result = node;
    bool remote = rel->kind == REL_VIRTUAL && rel->relation->kind == RELATION_TABLE;
    return remote ? ship_table(planner, rel, node) : ERR_OK;
}
