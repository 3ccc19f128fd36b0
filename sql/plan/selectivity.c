/*
 * sql/plan/selectivity.c - how many rows: of tables, of conditions, of groups.
 *
 * What a condition of a column and a known value lets pass is found by asking the condition's own
 * function about the column's most common values and the bounds of its histogram (statistics.h): so
 * any operator is estimated, LIKE and comparisons across types too. Where nothing is known
 * PostgreSQL's defaults count.
 *
 * A table nobody has analyzed is taken to have at least ROWS_LEAST rows: a plan made while it was
 * empty is kept, and must still be good when it has grown.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "sql/catalog/statistics.h"
#include "sql/plan/planner.h"

enum {
    ROWS_LEAST = 1000,
    ROWS_FUNCTION = 1000,
    ROWS_REMOTE = 10000,
    DISTINCT_DEFAULT = 200,
    BOUNDS_ENOUGH = 10, /* fewer say too little about an operator that is no comparison */
};
static const double RANGE_DEFAULT = 1.0 / 3, BOTH_DEFAULT = 0.005, LIKE_DEFAULT = 0.01,
                    LEAST = 1e-7;

/* ---- rows and different values --------------------------------------------------------------- */

double
rel_row_count(const struct level *level, const struct rel *rel)
{
    switch (rel->kind) {
    case REL_VIRTUAL:
        if (rel->relation->virtual_table == NULL) {
            return ROWS_REMOTE;
        }
        return catalog_virtual_rows(level->planner->context->catalog, rel->relation);
    case REL_FUNCTION:
        return ROWS_FUNCTION;
    case REL_QUERY:
    case REL_SHARED:
        return ROWS_LEAST;
    case REL_TABLE:
        break;
    }
    uint64_t leaves = 0, rows = 0;
    if (level->planner->context->db != NULL) {
        txn_tree_size(level->planner->context->db, rel->relation->tree, &leaves, &rows);
    }
    if (rel->relation->statistics != NULL) {
        return rows < 1 ? 1 : (double)rows;
    }
    return rows < ROWS_LEAST ? ROWS_LEAST : (double)rows;
}

static bool
is_unique(const struct rel *rel, uint32_t column)
{
    for (uint16_t i = 0; i < rel->relation->index_count; i++) {
        const struct index *index = &rel->relation->indexes[i];
        if (index->unique && index->partial == 0 && index->column_count == 1 &&
            index->columns[0] == column) {
            return true;
        }
    }
    return false;
}

double
rel_distinct(const struct level *level, const struct rel *rel, uint32_t column, bool *known)
{
    double rows = rel_row_count(level, rel);
    bool ignored;
    known = known == NULL ? &ignored : known;
    *known = true;
    if (rel->kind == REL_VIRTUAL && strcmp(rel->relation->columns[column].name, "oid") == 0) {
        return rows;
    }
    if (rel->kind == REL_TABLE && is_unique(rel, column)) {
        return rows;
    }
    const struct column_statistics *statistics =
        rel->kind == REL_TABLE ? statistics_of(rel->relation, (uint16_t)column) : NULL;
    if (statistics != NULL && statistics->distinct != 0) {
        double distinct =
            statistics->distinct < 0 ? -statistics->distinct * rows : statistics->distinct;
        return distinct > rows ? rows : distinct < 1 ? 1 : distinct;
    }
    *known = false;
    return rows < DISTINCT_DEFAULT ? rows : DISTINCT_DEFAULT;
}

double
expr_distinct(struct level *level, const struct expr *expr)
{
    const struct rel *rel = expr->kind == EXPR_REGISTER ? query_rel(level->query, expr->reg) : NULL;
    if (rel == NULL || rel->relation == NULL) {
        return 0;
    }
    bool known;
    double distinct = rel_distinct(level, rel, expr->reg - rel->base, &known);
    return known ? distinct : 0;
}

/* ---- known values ---------------------------------------------------------------------------- */

enum {
    VALUE_DEPTH_MAX = 8,
};

/* What functions are called with, and what is known of the parameters. */
struct estimator {
    struct task *task;
    struct arena *arena;
    struct eval_env *env;
    const struct datum *params;
    uint32_t param_count;
};

static bool
is_simple_call(const struct expr *expr, int depth)
{
    return expr->kind == EXPR_CALL && expr->function->call != NULL && depth < VALUE_DEPTH_MAX &&
           expr->count <= FUNCTION_ARGS_MAX &&
           (expr->function->flags &
               (FUNCTION_VOLATILE | FUNCTION_SET | FUNCTION_AGGREGATE | FUNCTION_ROUTINE)) == 0 &&
           (expr->function->flags & FUNCTION_STRICT) != 0;
}

/* Will its value be known when the parameters are? *varies: it reads one. */
static bool
computable(const struct expr *expr, int depth, bool *varies)
{
    if (expr->kind == EXPR_CONST || expr->kind == EXPR_PARAM) {
        *varies |= expr->kind == EXPR_PARAM;
        return true;
    }
    bool all = is_simple_call(expr, depth);
    for (uint32_t i = 0; all && i < expr->count; i++) {
        all = computable(expr->list[i], depth + 1, varies);
    }
    return all;
}

/* What the expression is, if that is known: constants, parameters, and functions of them. */
static bool
known_value(
    const struct estimator *estimator, const struct expr *expr, int depth, struct datum *value)
{
    if (expr->kind == EXPR_CONST) {
        *value = expr->constant;
        return true;
    }
    if (expr->kind == EXPR_PARAM) {
        if (expr->param >= estimator->param_count) {
            return false;
        }
        *value = estimator->params[expr->param];
        return true;
    }
    if (!is_simple_call(expr, depth)) {
        return false;
    }
    struct datum args[FUNCTION_ARGS_MAX];
    for (uint32_t i = 0; i < expr->count; i++) {
        if (!known_value(estimator, expr->list[i], depth + 1, &args[i])) {
            return false;
        }
        if (args[i].null) {
            *value = datum_null();
            return true;
        }
    }
    struct eval eval = {.task = estimator->task, .arena = estimator->arena, .env = estimator->env};
    *value = (struct datum){0};
    return expr->function->call(&eval, args, (int)expr->count, value) == ERR_OK;
}

static struct estimator
estimator_of(const struct level *level)
{
    const struct plan_context *context = level->planner->context;
    return (struct estimator){.task = level->planner->task,
        .arena = level->planner->arena,
        .env = context->env,
        .params = context->param_values,
        .param_count = context->param_values == NULL ? 0 : context->param_value_count};
}

/* ---- a column and a value -------------------------------------------------------------------- */

/* A condition: function(column, value), or the other way round. */
struct comparison {
    struct estimator estimator;
    const struct rel *rel;
    uint32_t column;
    double distinct;                            /* values of the column */
    const struct column_statistics *statistics; /* or NULL */
    const struct expr *value_expr;
    const struct function *function;
    const struct operator_def *op;
    bool flipped; /* function(value, column) */
    bool known;
    oid_t value_type;
    struct datum value;
};

static void
look_at(struct level *level, const struct rel *rel, uint32_t column, const struct expr *value,
    struct comparison *comparison)
{
    comparison->estimator = estimator_of(level);
    comparison->rel = rel;
    comparison->column = column;
    comparison->distinct = rel_distinct(level, rel, column, NULL);
    comparison->value_expr = value;
    comparison->value_type = value->type;
    if (rel->kind == REL_TABLE) {
        comparison->statistics = statistics_of(rel->relation, (uint16_t)column);
    }
    comparison->known = known_value(&comparison->estimator, value, 0, &comparison->value);
}

static bool
find_comparison(struct level *level, const struct expr *expr, struct comparison *comparison)
{
    const struct operator_def *op = expr_operator(expr);
    if (op == NULL || expr->count != 2) {
        return false;
    }
    for (int side = 0; side < 2; side++) {
        const struct expr *column = expr->list[side];
        const struct rel *rel =
            column->kind == EXPR_REGISTER ? query_rel(level->query, column->reg) : NULL;
        if (rel == NULL || rel->relation == NULL || column->reg - rel->base >= rel->column_count) {
            continue;
        }
        *comparison =
            (struct comparison){.function = expr->function, .op = op, .flipped = side == 1};
        look_at(level, rel, column->reg - rel->base, expr->list[1 - side], comparison);
        return true;
    }
    return false;
}

static bool
holds(const struct comparison *comparison, struct datum other)
{
    struct datum args[2] = {other, comparison->value};
    if (comparison->flipped) {
        args[0] = comparison->value;
        args[1] = other;
    }
    struct eval eval = {.task = comparison->estimator.task,
        .arena = comparison->estimator.arena,
        .env = comparison->estimator.env};
    struct datum result = {0};
    return comparison->function->call != NULL &&
           comparison->function->call(&eval, args, 2, &result) == ERR_OK && !result.null &&
           result.i != 0;
}

/* The part of all rows that the common values make for which it holds; *rest: of those that are
 * neither common nor null. */
static double
common_part(const struct comparison *comparison, double *rest)
{
    const struct column_statistics *statistics = comparison->statistics;
    double part = 0;
    *rest = 1 - statistics->null_fraction;
    for (uint32_t i = 0; i < statistics->common_count; i++) {
        *rest -= statistics->common_fractions[i];
        if (holds(comparison, statistics->common[i])) {
            part += statistics->common_fractions[i];
        }
    }
    *rest = *rest < 0 ? 0 : *rest;
    return part;
}

static double
equal_part(const struct comparison *comparison)
{
    double distinct = comparison->distinct;
    const struct column_statistics *statistics = comparison->statistics;
    if (statistics == NULL) {
        return 1 / distinct;
    }
    if (!comparison->known) {
        return (1 - statistics->null_fraction) / distinct;
    }
    double rest;
    double part = common_part(comparison, &rest);
    if (part > 0) {
        return part;
    }
    double others = distinct - statistics->common_count;
    return rest / (others < 1 ? 1 : others);
}

/* A value on a line, in units that values of related types share. */
static bool
on_line(const struct comparison *comparison, oid_t type, struct datum value, double *number)
{
    switch (type) {
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        *number = (double)value.i;
        return true;
    case TYPE_DATE:
        *number = (double)value.i * 86400e6;
        return true;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        *number = value.f;
        return true;
    case TYPE_NUMERIC: {
        struct buffer text = {0};
        type_output(comparison->estimator.env, type, value, &text);
        buffer_add_u8(&text, 0);
        *number = strtod((const char *)text.data, NULL);
        buffer_destroy(&text);
        return *number - *number == 0; /* not NaN, not infinite */
    }
    default:
        return false;
    }
}

/* Of the histogram's values: those below the value, if it is a comparison. The bounds for which it
 * holds are at one end; within the piece where that changes, values lie evenly. */
static double
histogram_part(const struct comparison *comparison)
{
    const struct column_statistics *statistics = comparison->statistics;
    uint32_t count = statistics->bound_count;
    bool low_end = holds(comparison, statistics->bounds[0]);
    if (low_end == holds(comparison, statistics->bounds[count - 1])) {
        return low_end ? 1 : 0;
    }
    uint32_t low = 0, high = count - 1; /* holds at one of them and not at the other */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (holds(comparison, statistics->bounds[middle]) == low_end) {
            low = middle;
        } else {
            high = middle;
        }
    }
    double from, to, at;
    double within = 0.5;
    if (on_line(comparison, statistics->type, statistics->bounds[low], &from) &&
        on_line(comparison, statistics->type, statistics->bounds[high], &to) &&
        on_line(comparison, comparison->value_type, comparison->value, &at) && to > from) {
        within = (at - from) / (to - from);
        within = within < 0 ? 0 : within > 1 ? 1 : within;
    }
    double below = (low + within) / (count - 1);
    return low_end ? below : 1 - below;
}

/* The same for any function: the bounds are a sample. */
static double
sampled_part(const struct comparison *comparison, double otherwise)
{
    const struct column_statistics *statistics = comparison->statistics;
    uint32_t found = 0;
    if (statistics->bound_count < BOUNDS_ENOUGH) {
        return otherwise;
    }
    for (uint32_t i = 0; i < statistics->bound_count; i++) {
        found += holds(comparison, statistics->bounds[i]);
    }
    double part = (double)found / statistics->bound_count;
    double least = 0.5 / statistics->bound_count;
    least = least > otherwise ? otherwise : least;
    return part < least ? least : part;
}

static bool
is_range(const struct operator_def *op)
{
    return strcmp(op->name, "<") == 0 || strcmp(op->name, "<=") == 0 ||
           strcmp(op->name, ">") == 0 || strcmp(op->name, ">=") == 0;
}

static double
default_part(const struct operator_def *op)
{
    return strcmp(op->name, "<>") == 0                                     ? 0.995
           : strcmp(op->name, "~~") == 0 || strcmp(op->name, "~~*") == 0   ? LIKE_DEFAULT
           : strcmp(op->name, "!~~") == 0 || strcmp(op->name, "!~~*") == 0 ? 1 - LIKE_DEFAULT
                                                                           : RANGE_DEFAULT;
}

static double
comparison_part(const struct comparison *comparison)
{
    const struct operator_def *op = comparison->op;
    const struct column_statistics *statistics = comparison->statistics;
    if (comparison->known && comparison->value.null) {
        return 0;
    }
    if (strcmp(op->name, "=") == 0) {
        return equal_part(comparison);
    }
    if (statistics == NULL || !comparison->known || statistics->distinct == 0) {
        return default_part(op);
    }
    if (strcmp(op->name, "<>") == 0) {
        double rest;
        double part = common_part(comparison, &rest); /* of the other values */
        return part + rest;
    }
    double rest;
    double part = common_part(comparison, &rest);
    double otherwise = default_part(op);
    if (statistics->bound_count > 0) {
        otherwise = is_range(op) ? histogram_part(comparison) : sampled_part(comparison, otherwise);
    }
    return part + rest * otherwise;
}

/* ---- conditions ------------------------------------------------------------------------------ */

static double
any_equality(struct level *level, const struct expr *expr, struct expr *column, double count)
{
    (void)expr;
    double distinct = expr_distinct(level, column);
    double part = count / (distinct > 0 ? distinct : DISTINCT_DEFAULT);
    return part > 0.5 ? 0.5 : part;
}

/* x IN (a, b): each is an equality with the same function. */
static double
in_selectivity(struct level *level, const struct expr *expr)
{
    const struct expr *column = expr->list[0];
    const struct rel *rel =
        column->kind == EXPR_REGISTER ? query_rel(level->query, column->reg) : NULL;
    if (rel == NULL || rel->kind != REL_TABLE || expr->function == NULL) {
        return any_equality(level, expr, expr->list[0], (double)(expr->count - 1));
    }
    static const struct operator_def equal = {.name = "="};
    struct comparison comparison = {.function = expr->function, .op = &equal};
    double sum = 0;
    for (uint32_t i = 1; i < expr->count; i++) {
        look_at(level, rel, column->reg - rel->base, expr->list[i], &comparison);
        sum += comparison_part(&comparison);
    }
    return sum > 1 ? 1 : sum;
}

static double
null_part(struct level *level, const struct expr *expr)
{
    const struct rel *rel = expr->kind == EXPR_REGISTER ? query_rel(level->query, expr->reg) : NULL;
    if (rel != NULL && rel->kind == REL_TABLE && expr->reg - rel->base < rel->column_count) {
        const struct column_statistics *statistics =
            statistics_of(rel->relation, (uint16_t)(expr->reg - rel->base));
        if (statistics != NULL) {
            return statistics->null_fraction < LEAST ? LEAST : statistics->null_fraction;
        }
    }
    return 0.005;
}

static double
list_selectivity(struct level *level, const struct expr *expr)
{
    struct vec preds = {0};
    for (uint32_t i = 0; i < expr->count; i++) {
        struct pred *pred = arena_alloc(level->planner->arena, sizeof *pred);
        pred->expr = expr->list[i];
        vec_add(level->planner->arena, &preds, pred);
    }
    return preds_selectivity(level, (struct pred *const *)(void *)preds.items, preds.count);
}

static double
raw_selectivity(struct level *level, const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_CONST:
        return expr->constant.null || expr->constant.i == 0 ? 0 : 1;
    case EXPR_IS_NULL:
        return null_part(level, expr->list[0]);
    case EXPR_IS_NOT_NULL:
        return 1 - null_part(level, expr->list[0]);
    case EXPR_IN:
        return in_selectivity(level, expr);
    case EXPR_AND:
        return list_selectivity(level, expr);
    case EXPR_OR: {
        double none = 1;
        for (uint32_t i = 0; i < expr->count; i++) {
            none *= 1 - pred_selectivity(level, expr->list[i]);
        }
        return 1 - none;
    }
    case EXPR_NOT:
        return 1 - pred_selectivity(level, expr->list[0]);
    case EXPR_CALL: {
        if (strcmp(expr->function->name, "array_any") == 0 && expr->count == 3) {
            return any_equality(level, expr, expr->list[1], SELECTIVITY_ARRAY_COUNT);
        }
        struct comparison comparison;
        if (find_comparison(level, expr, &comparison)) {
            return comparison_part(&comparison);
        }
        const struct operator_def *op = expr_operator(expr);
        return op == NULL                   ? RANGE_DEFAULT
               : strcmp(op->name, "=") == 0 ? 1.0 / DISTINCT_DEFAULT
                                            : default_part(op);
    }
    default:
        return 0.5;
    }
}

double
pred_selectivity(struct level *level, const struct expr *expr)
{
    double part = raw_selectivity(level, expr);
    return part < LEAST && expr->kind != EXPR_CONST ? LEAST : part > 1 ? 1 : part;
}

/* Which end of a column's range a condition bounds: -1 the low one, 1 the high one, 0 neither. */
static int
bounded_end(struct level *level, const struct expr *expr, struct comparison *comparison)
{
    if (expr->kind != EXPR_CALL || !find_comparison(level, expr, comparison) ||
        !is_range(comparison->op)) {
        return 0;
    }
    return (comparison->op->name[0] == '<') != comparison->flipped ? 1 : -1;
}

/* Both ends of a range: what neither leaves out. */
static double
range_part(const struct comparison *one, const struct comparison *other)
{
    if (!one->known || !other->known || one->statistics == NULL) {
        return BOTH_DEFAULT;
    }
    double both =
        comparison_part(one) + comparison_part(other) - 1 + one->statistics->null_fraction;
    return both < LEAST ? LEAST : both;
}

/* ---- plans and their parameters ---------------------------------------------------------------
 *
 * A plan serves all values of its parameters, but the best plan depends on them. So it notes which
 * estimates rested on a parameter, known or not, and who runs it with values for which they are
 * far off makes another one.
 */

enum {
    CHECKS_MAX = 16,
};
static const double CHECK_FACTOR = 5, CHECK_ROWS = 500;

struct plan_check {
    struct comparison one, other;
    bool range;
    const struct expr *expr; /* of `one`, and of `other` */
    const struct expr *other_expr;
    double part, rows; /* of the table's rows so many */
};

static void
note_check(struct level *level, const struct plan_check *check)
{
    struct vec *checks = &level->planner->checks;
    bool varies = false;
    if (check->one.statistics == NULL || checks->count == CHECKS_MAX ||
        !computable(check->one.value_expr, 0, &varies) ||
        (check->range && !computable(check->other.value_expr, 0, &varies)) || !varies ||
        (strcmp(check->one.op->name, "=") == 0 && is_unique(check->one.rel, check->one.column))) {
        return;
    }
    for (uint32_t i = 0; i < checks->count; i++) {
        const struct plan_check *have = checks->items[i];
        if (have->expr == check->expr && have->other_expr == check->other_expr) {
            return;
        }
    }
    struct plan_check *kept = arena_copy(level->planner->arena, check, sizeof *check);
    kept->rows = rel_row_count(level, check->one.rel);
    vec_add(level->planner->arena, checks, kept);
}

static void
know(struct comparison *comparison, const struct estimator *estimator)
{
    comparison->estimator = *estimator;
    comparison->known = known_value(estimator, comparison->value_expr, 0, &comparison->value);
}

bool
plan_fits(const struct plan *plan, struct task *task, struct arena *arena, struct eval_env *env,
    const struct datum *params)
{
    const struct estimator estimator = {.task = task,
        .arena = arena,
        .env = env,
        .params = params,
        .param_count = plan->param_count};
    for (uint32_t i = 0; i < plan->pin_count; i++) {
        const struct plan_pin *pin = plan->pins[i];
        if ((plan_pin_order(pin->type, params[pin->param], pin->value) & pin->orders) == 0) {
            return false;
        }
    }
    for (uint32_t i = 0; i < plan->fit_count; i++) {
        struct plan_check check = *plan->fits[i];
        know(&check.one, &estimator);
        if (check.range) {
            know(&check.other, &estimator);
        }
        double now =
            check.range ? range_part(&check.one, &check.other) : comparison_part(&check.one);
        double less = now < check.part ? now : check.part;
        double more = now < check.part ? check.part : now;
        if (more > CHECK_FACTOR * less && (more - less) * check.rows > CHECK_ROWS) {
            return false;
        }
    }
    return true;
}

double
preds_selectivity(struct level *level, struct pred *const *preds, uint32_t count)
{
    double product = 1;
    for (uint32_t i = 0; i < count; i++) {
        struct plan_check check = {.expr = preds[i]->expr};
        struct comparison *one = &check.one;
        int end = bounded_end(level, preds[i]->expr, one);
        for (uint32_t k = 0; k < count && end != 0; k++) {
            if (k != i && bounded_end(level, preds[k]->expr, &check.other) == -end &&
                check.other.rel == one->rel && check.other.column == one->column) {
                check.range = true;
                check.other_expr = preds[k]->expr;
                check.part = range_part(one, &check.other);
                break;
            }
        }
        if (check.range) {
            /* The whole range at its low end, once. */
            if (end < 0) {
                note_check(level, &check);
                product *= check.part;
            }
            continue;
        }
        check.part = pred_selectivity(level, preds[i]->expr);
        product *= check.part;
        if (preds[i]->expr->kind == EXPR_CALL && find_comparison(level, preds[i]->expr, one)) {
            note_check(level, &check);
        }
    }
    return product < LEAST * LEAST ? LEAST * LEAST : product;
}
