/*
 * sql/bind/imply.c - derived values of indexes in queries: is this expression the index's, and do
 * these conditions say what a partial index is about?
 *
 * Constants of the index may stand in the query as parameters: literals of the simple protocol do
 * (session/portal.c). Then the answer holds for some values only, and is noted (struct plan_pin):
 * before each execution plan_fits looks whether the values are still on the same side.
 */
#include "sql/bind/bind.h"

enum {
    ORDER_LESS = 1,
    ORDER_EQUAL = 2,
    ORDER_GREATER = 4,
    ORDER_NULL = 8,
    ORDER_ALL = 15,
    PINS_MAX = 64,
};

/* ---- values against constants ---------------------------------------------------------------- */

uint8_t
plan_pin_order(oid_t type, struct datum value, struct datum constant)
{
    if (value.null || constant.null) {
        return ORDER_NULL;
    }
    int order = datum_compare(type, value, constant);
    return order < 0 ? ORDER_LESS : order > 0 ? ORDER_GREATER : ORDER_EQUAL;
}

static bool
add_pin(struct binder *binder, const struct plan_pin *pin)
{
    for (uint32_t i = 0; i < binder->pins.count; i++) {
        struct plan_pin *have = binder->pins.items[i];
        if (have->param == pin->param && have->type == pin->type &&
            plan_pin_order(pin->type, pin->value, have->value) == ORDER_EQUAL) {
            have->orders &= pin->orders;
            return true;
        }
    }
    if (binder->pins.count == PINS_MAX) {
        return false;
    }
    vec_add(binder->arena, &binder->pins, arena_copy(binder->arena, pin, sizeof *pin));
    return true;
}

/* Is `expr` a value that stands so to the constant? */
static bool
stands(struct binder *binder, const struct expr *expr, const struct expr *constant, int orders)
{
    if (constant->kind != EXPR_CONST || expr->type != constant->type || constant->constant.null) {
        return false;
    }
    if (expr->kind == EXPR_CONST) {
        return (plan_pin_order(expr->type, expr->constant, constant->constant) & orders) != 0;
    }
    const struct plan_context *context = binder->context;
    if (expr->kind != EXPR_PARAM) {
        return false;
    }
    bool known = context->param_values != NULL && expr->param < context->param_value_count;
    bool is = known &&
              (plan_pin_order(expr->type, context->param_values[expr->param], constant->constant) &
                  orders) != 0;
    struct plan_pin pin = {.param = expr->param,
        .type = expr->type,
        .value = constant->constant,
        .orders = (uint8_t)(is ? orders : ORDER_ALL & ~orders)};
    return add_pin(binder, &pin) && is;
}

/* ---- the same expression --------------------------------------------------------------------- */

bool
expr_matches(struct binder *binder, const struct expr *expr, const struct expr *pattern)
{
    if (expr_equal(expr, pattern)) {
        return true;
    }
    if (pattern->kind == EXPR_CONST) {
        return stands(binder, expr, pattern, ORDER_EQUAL);
    }
    if (expr->kind != pattern->kind || expr->type != pattern->type || pattern->kind == EXPR_PARAM ||
        pattern->kind == EXPR_REGISTER || pattern->kind == EXPR_SUBPLAN ||
        expr->count != pattern->count ||
        (pattern->kind == EXPR_TYPMOD && expr->typmod != pattern->typmod)) {
        return false;
    }
    const struct function *a = expr->function;
    const struct function *b = pattern->function;
    if (a != b && (a == NULL || b == NULL || a->oid != b->oid || a->result != b->result)) {
        return false;
    }
    for (uint32_t i = 0; i < pattern->count; i++) {
        if (!expr_matches(binder, expr->list[i], pattern->list[i])) {
            return false;
        }
    }
    return true;
}

/* ---- implication ----------------------------------------------------------------------------- */

/* Comparison operators as the orders they are true for; 0: another operator. */
static int
operator_orders(const struct expr *expr)
{
    static const struct {
        const char *name;
        int orders;
    } known[] = {
        {"=", ORDER_EQUAL},
        {"<", ORDER_LESS},
        {"<=", ORDER_LESS | ORDER_EQUAL},
        {">", ORDER_GREATER},
        {">=", ORDER_GREATER | ORDER_EQUAL},
        {"<>", ORDER_LESS | ORDER_GREATER},
    };
    const struct operator_def *op = expr_operator(expr);
    for (size_t i = 0; op != NULL && expr->count == 2 && i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(op->name, known[i].name) == 0) {
            return known[i].orders;
        }
    }
    return 0;
}

/* Given value ? k (`known` orders) and that the value must then stand so to w (`wanted`): how k
 * must stand to w. */
static int
orders_between(int known, int wanted)
{
    int between = 0;
    for (int k_to_w = ORDER_LESS; k_to_w <= ORDER_GREATER; k_to_w <<= 1) {
        int possible = 0; /* orders of the value to w */
        if ((known & ORDER_EQUAL) != 0) {
            possible |= k_to_w;
        }
        if ((known & ORDER_LESS) != 0) {
            possible |=
                k_to_w == ORDER_GREATER ? ORDER_LESS | ORDER_EQUAL | ORDER_GREATER : ORDER_LESS;
        }
        if ((known & ORDER_GREATER) != 0) {
            possible |=
                k_to_w == ORDER_LESS ? ORDER_LESS | ORDER_EQUAL | ORDER_GREATER : ORDER_GREATER;
        }
        if ((possible & ~wanted) == 0) {
            between |= k_to_w;
        }
    }
    return between;
}

static int
flip(int orders)
{
    return (orders & ORDER_EQUAL) | ((orders & ORDER_LESS) != 0 ? ORDER_GREATER : 0) |
           ((orders & ORDER_GREATER) != 0 ? ORDER_LESS : 0);
}

/* x op value, whichever side the value stands on. */
struct comparison {
    const struct expr *left, *value;
    int orders;
};

static bool
as_comparison(const struct expr *expr, struct comparison *comparison)
{
    int orders = operator_orders(expr);
    if (orders == 0) {
        return false;
    }
    bool left = expr->list[0]->kind == EXPR_CONST || expr->list[0]->kind == EXPR_PARAM;
    *comparison = (struct comparison){.left = expr->list[left ? 1 : 0],
        .value = expr->list[left ? 0 : 1],
        .orders = left ? flip(orders) : orders};
    return comparison->value->kind == EXPR_CONST || comparison->value->kind == EXPR_PARAM;
}

/* A condition that is not true where x is null. */
static bool
rejects_null(struct binder *binder, const struct expr *known, const struct expr *x, uint32_t depth)
{
    if (depth > 8) {
        return false;
    }
    if (known->kind == EXPR_IN || known->kind == EXPR_IS_NOT_NULL || known->kind == EXPR_NOT ||
        known->kind == EXPR_IS_TRUE) {
        return expr_matches(binder, known->list[0], x) ||
               (known->kind != EXPR_IS_NOT_NULL &&
                   rejects_null(binder, known->list[0], x, depth + 1));
    }
    if (known->kind != EXPR_CALL || (known->function->flags & FUNCTION_STRICT) == 0) {
        return false;
    }
    for (uint32_t i = 0; i < known->count; i++) {
        if (expr_matches(binder, known->list[i], x) ||
            rejects_null(binder, known->list[i], x, depth + 1)) {
            return true;
        }
    }
    return false;
}

/* x = value or x IN (values): the values; 0: it is neither. */
static uint32_t
listed_values(const struct expr *expr, const struct expr **x, struct expr *const **values)
{
    if (expr->kind == EXPR_IN) {
        *x = expr->list[0];
        *values = &expr->list[1];
        return expr->count - 1;
    }
    struct comparison comparison;
    if (as_comparison(expr, &comparison) && comparison.orders == ORDER_EQUAL) {
        *x = comparison.left;
        *values = &expr->list[comparison.value == expr->list[0] ? 0 : 1];
        return 1;
    }
    return 0;
}

static bool
list_implies(struct binder *binder, const struct expr *known, const struct expr *wanted)
{
    const struct expr *x = NULL, *y = NULL;
    struct expr *const *values = NULL, *const *allowed = NULL;
    uint32_t count = listed_values(known, &x, &values);
    uint32_t allowed_count = listed_values(wanted, &y, &allowed);
    if (count == 0 || allowed_count == 0 || !expr_matches(binder, x, y)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < allowed_count && !found; k++) {
            found = stands(binder, values[i], allowed[k], ORDER_EQUAL);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool
implies(struct binder *binder, const struct expr *known, const struct expr *wanted)
{
    if (expr_matches(binder, known, wanted)) {
        return true;
    }
    if (known->kind == EXPR_OR || known->kind == EXPR_AND) {
        bool all = known->kind == EXPR_OR;
        for (uint32_t i = 0; i < known->count; i++) {
            if (implies(binder, known->list[i], wanted) != all) {
                return !all;
            }
        }
        return all;
    }
    switch (wanted->kind) {
    case EXPR_IS_NOT_NULL:
        return rejects_null(binder, known, wanted->list[0], 0);
    case EXPR_IS_TRUE:
        return expr_matches(binder, known, wanted->list[0]);
    default:
        break;
    }
    if (known->kind == EXPR_IS_TRUE && expr_matches(binder, known->list[0], wanted)) {
        return true;
    }
    struct comparison k, w;
    if (as_comparison(known, &k) && as_comparison(wanted, &w) &&
        expr_matches(binder, k.left, w.left)) {
        return stands(binder, k.value, w.value, orders_between(k.orders, w.orders));
    }
    return list_implies(binder, known, wanted);
}

bool
expr_implied(
    struct binder *binder, struct expr *const *known, uint32_t count, const struct expr *wanted)
{
    if (wanted->kind == EXPR_AND || wanted->kind == EXPR_OR) {
        bool all = wanted->kind == EXPR_AND;
        bool direct = false;
        for (uint32_t i = 0; i < count && !direct && !all; i++) {
            direct = implies(binder, known[i], wanted); /* each arm of an OR by some arm */
        }
        for (uint32_t i = 0; i < wanted->count && !direct; i++) {
            if (expr_implied(binder, known, count, wanted->list[i]) != all) {
                return !all;
            }
        }
        return direct || all;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (implies(binder, known[i], wanted)) {
            return true;
        }
    }
    return false;
}

/* ---- what an index is about ------------------------------------------------------------------ */

enum err
bind_derived(struct binder *binder, const struct relation *relation, reg_t base, uint32_t number,
    struct expr **expr)
{
    const struct derived *derived = &relation->derived[number];
    struct query none = {0};
    struct scope *scope = scope_new(binder, NULL, &none);
    vec_add(binder->arena, &scope->items, item_for_relation(binder, NULL, relation, base));
    struct bind_notes *notes = binder->notes;
    binder->notes = NULL;
    enum err err = bind_text(binder, scope, derived->text, CLAUSE_CHECK, expr);
    if (err == ERR_OK) {
        err = bind_to_text_if_unknown(binder, expr);
    }
    binder->notes = notes;
    return err;
}
