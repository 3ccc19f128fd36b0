/*
 * sql/plan/conds.c - what conditions say beyond how they are written.
 *
 *     (a AND b) OR (a AND c)              is   a AND (b OR c)
 *     (r.x = 1 AND ..) OR (r.x = 2 AND ..)   implies   r.x = 1 OR r.x = 2, on r alone
 *     r.x = s.x AND s.x = t.x             implies   r.x = t.x
 *     r.x = s.x AND s.x = 5               implies   r.x = 5
 *     r.x = 1 OR r.x IN (2, 3)            is   r.x IN (1, 2, 3), which an index serves
 *
 * What is implied is added beside what implies it (PL1 holds for what was written): it lets a table
 * be filtered before it is joined, and joins that nobody wrote be made without a Cartesian product.
 * It must not count twice in estimates: a predicate says in `implied` what those derived of it
 * have filtered already, and of one class of equal columns a join counts one equality.
 */
#include "sql/plan/planner.h"

#include "base/assert.h"

enum {
    CLASS_MEMBERS_MAX = 16,
    CLASSES_MAX = 32,
};

/* ---- OR -------------------------------------------------------------------------------------- */

static bool
has_conjunct(const struct expr_vec *conds, const struct expr *expr)
{
    for (uint32_t i = 0; i < conds->count; i++) {
        if (expr_equal(conds->items[i], expr)) {
            return true;
        }
    }
    return false;
}

static struct expr *
conjunction(struct planner *planner, const struct expr_vec *conds)
{
    return conds->count == 1
               ? conds->items[0]
               : expr_list(planner->binder, EXPR_AND, TYPE_BOOL, -1, conds->items, conds->count);
}

static struct expr_vec *
or_arms(struct planner *planner, const struct expr *expr)
{
    struct expr_vec *arms = arena_array(planner->arena, expr->count, sizeof *arms);
    for (uint32_t i = 0; i < expr->count; i++) {
        arms[i] = (struct expr_vec){0};
        expr_conjuncts(planner->arena, expr->list[i], &arms[i]);
    }
    return arms;
}

/* column = value or column IN (..): the column, or NULL. */
static const struct expr *
compared_column(const struct expr *expr)
{
    if (expr->kind == EXPR_IN && expr->list[0]->kind == EXPR_REGISTER) {
        return expr->list[0];
    }
    bool equality = expr_is_equality(expr) && expr->list[0]->kind == EXPR_REGISTER &&
                    expr->list[1]->kind != EXPR_REGISTER && !expr_volatile(expr) &&
                    !expr_has_subplan(expr);
    return equality ? expr->list[0] : NULL;
}

/* An OR of such with one column and one equality, as one IN; or NULL. */
static struct expr *
or_as_in(struct planner *planner, const struct expr *expr)
{
    const struct expr *column = NULL;
    const struct expr *first = NULL; /* the first value: all have its type */
    const struct function *equal = NULL;
    struct expr_vec list = {0};
    for (uint32_t i = 0; i < expr->count; i++) {
        const struct expr *arm = expr->list[i];
        const struct expr *own = compared_column(arm);
        if (own == NULL ||
            (column != NULL && (!expr_equal(own, column) || arm->function != equal))) {
            return NULL;
        }
        if (column == NULL) {
            column = own;
            first = arm->list[1];
            equal = arm->function;
            expr_vec_add(planner->arena, &list, arm->list[0]);
        }
        for (uint32_t k = 1; k < arm->count; k++) {
            if (arm->list[k]->type != first->type) {
                return NULL;
            }
            expr_vec_add(planner->arena, &list, arm->list[k]);
        }
    }
    struct expr *in =
        expr_list(planner->binder, EXPR_IN, TYPE_BOOL, expr->location, list.items, list.count);
    in->function = equal;
    return in;
}

void
conds_split(struct planner *planner, struct expr *expr, struct expr_vec *to)
{
    struct expr *in = expr->kind == EXPR_OR ? or_as_in(planner, expr) : NULL;
    expr = in != NULL ? in : expr;
    if (expr->kind != EXPR_OR) {
        expr_vec_add(planner->arena, to, expr);
        return;
    }
    struct expr_vec *arms = or_arms(planner, expr);
    struct expr_vec common = {0};
    for (uint32_t c = 0; c < arms[0].count; c++) {
        bool everywhere = !expr_volatile(arms[0].items[c]);
        for (uint32_t i = 1; i < expr->count && everywhere; i++) {
            everywhere = has_conjunct(&arms[i], arms[0].items[c]);
        }
        if (everywhere && !has_conjunct(&common, arms[0].items[c])) {
            expr_vec_add(planner->arena, &common, arms[0].items[c]);
        }
    }
    if (common.count == 0) {
        expr_vec_add(planner->arena, to, expr);
        return;
    }
    bool always = false;
    struct expr_vec rest = {0};
    for (uint32_t i = 0; i < expr->count; i++) {
        struct expr_vec own = {0};
        for (uint32_t c = 0; c < arms[i].count; c++) {
            if (!has_conjunct(&common, arms[i].items[c])) {
                expr_vec_add(planner->arena, &own, arms[i].items[c]);
            }
        }
        always |= own.count == 0;
        if (own.count > 0) {
            expr_vec_add(planner->arena, &rest, conjunction(planner, &own));
        }
    }
    for (uint32_t c = 0; c < common.count; c++) {
        expr_vec_add(planner->arena, to, common.items[c]);
    }
    if (!always) {
        expr_vec_add(planner->arena, to,
            expr_list(planner->binder, EXPR_OR, TYPE_BOOL, expr->location, rest.items, rest.count));
    }
}

/* What an OR over several relations says of this one alone, or NULL. */
static struct expr *
or_restricted(
    struct level *level, const struct expr *expr, const struct expr_vec *arms, rel_set rel)
{
    struct planner *planner = level->planner;
    struct expr_vec any = {0};
    for (uint32_t i = 0; i < expr->count; i++) {
        struct expr_vec own = {0};
        for (uint32_t c = 0; c < arms[i].count; c++) {
            struct expr *cond = arms[i].items[c];
            if (level_rels(level, cond) == rel && !expr_volatile(cond) && !expr_has_subplan(cond)) {
                expr_vec_add(planner->arena, &own, cond);
            }
        }
        if (own.count == 0) {
            return NULL;
        }
        expr_vec_add(planner->arena, &any, conjunction(planner, &own));
    }
    return expr_list(planner->binder, EXPR_OR, TYPE_BOOL, expr->location, any.items, any.count);
}

static void
derive_of_or(struct level *level, struct pred *pred, struct vec *to)
{
    const struct expr_vec *arms = or_arms(level->planner, pred->expr);
    for (uint32_t i = 0; i < 64 && pred->rels >> i != 0; i++) {
        rel_set rel = pred->rels & UINT64_C(1) << i;
        struct expr *expr = rel != 0 ? or_restricted(level, pred->expr, arms, rel) : NULL;
        if (expr != NULL) {
            pred->implied *= pred_selectivity(level, expr);
            vec_add(level->planner->arena, to, pred_new(level, expr));
        }
    }
}

/* ---- equal columns --------------------------------------------------------------------------- */

struct equals {
    const struct expr *made_of;              /* an equality of the class: its function serves all */
    struct expr *members[CLASS_MEMBERS_MAX]; /* EXPR_REGISTER, of different relations or columns */
    uint32_t count;
    struct expr *value; /* that they all equal: a constant, or what is known outside */
};

struct classes {
    struct level *level;
    struct equals items[CLASSES_MAX];
    uint32_t count;
};

static bool
is_member(const struct equals *class, const struct expr *expr)
{
    for (uint32_t i = 0; i < class->count; i++) {
        if (class->members[i]->reg == expr->reg) {
            return true;
        }
    }
    return false;
}

static struct equals *
find_class(struct classes *classes, const struct expr *equality, const struct expr *member)
{
    for (uint32_t i = 0; i < classes->count; i++) {
        struct equals *class = &classes->items[i];
        if (class->made_of->function->oid == equality->function->oid && is_member(class, member)) {
            return class;
        }
    }
    return NULL;
}

static bool
same_typed_equality(const struct expr *expr)
{
    return expr_is_equality(expr) && expr->list[0]->type == expr->list[1]->type &&
           !expr_volatile(expr) && !expr_has_subplan(expr);
}

static void
class_add(struct equals *class, struct expr *member)
{
    if (!is_member(class, member) && class->count < CLASS_MEMBERS_MAX) {
        class->members[class->count++] = member;
    }
}

static void
add_equality(struct classes *classes, struct pred *pred)
{
    struct expr *left = pred->expr->list[0];
    struct expr *right = pred->expr->list[1];
    struct equals *a = find_class(classes, pred->expr, left);
    struct equals *b = find_class(classes, pred->expr, right);
    if (a == NULL && b == NULL) {
        if (classes->count == CLASSES_MAX) {
            return;
        }
        a = &classes->items[classes->count++];
        *a = (struct equals){.made_of = pred->expr};
    } else if (a == NULL) {
        a = b;
    } else if (b != NULL && a != b) {
        for (uint32_t i = 0; i < b->count; i++) {
            class_add(a, b->members[i]);
        }
        a->value = a->value != NULL ? a->value : b->value;
        b->count = 0;
    }
    class_add(a, left);
    class_add(a, right);
}

/* column = value: the class of the column, if it has one, has this value. */
static void
add_value(struct classes *classes, const struct pred *pred)
{
    for (int side = 0; side < 2; side++) {
        struct expr *member = pred->expr->list[side];
        struct expr *value = pred->expr->list[1 - side];
        if (member->kind != EXPR_REGISTER || level_rels(classes->level, member) == 0 ||
            level_rels(classes->level, value) != 0) {
            continue;
        }
        struct equals *class = find_class(classes, pred->expr, member);
        if (class != NULL && class->value == NULL) {
            class->value = value;
        }
    }
}

static void
derive_pred(struct classes *classes, uint32_t number, struct expr *left, struct expr *right,
    bool joins, struct vec *to)
{
    struct planner *planner = classes->level->planner;
    const struct equals *class = &classes->items[number];
    struct expr *expr = arena_copy(planner->arena, class->made_of, sizeof(struct call_expr));
    expr->list = arena_alloc(planner->arena, 2 * sizeof *expr->list);
    expr->list[0] = left;
    expr->list[1] = right;
    for (uint32_t i = 0; i < to->count; i++) {
        const struct expr *have = ((struct pred *)to->items[i])->expr;
        if (have->kind == EXPR_CALL && have->count == 2 &&
            have->function->oid == expr->function->oid &&
            ((expr_equal(have->list[0], left) && expr_equal(have->list[1], right)) ||
                (expr_equal(have->list[0], right) && expr_equal(have->list[1], left)))) {
            return;
        }
    }
    struct pred *pred = pred_new(classes->level, expr);
    pred->derived = joins;
    pred->equals = number + 1;
    vec_add(planner->arena, to, pred);
}

static void
derive_of_class(struct classes *classes, uint32_t number, struct vec *to)
{
    const struct equals *class = &classes->items[number];
    for (uint32_t i = 0; i < class->count; i++) {
        if (class->value != NULL) {
            derive_pred(classes, number, class->members[i], class->value, false, to);
            continue;
        }
        rel_set left = level_rels(classes->level, class->members[i]);
        for (uint32_t k = i + 1; k < class->count; k++) {
            if (level_rels(classes->level, class->members[k]) != left) {
                derive_pred(classes, number, class->members[i], class->members[k], true, to);
            }
        }
    }
}

/* column = column, of two relations. */
static bool
column_equality(const struct pred *pred)
{
    const struct expr *expr = pred->expr;
    return same_typed_equality(expr) && expr->list[0]->kind == EXPR_REGISTER &&
           expr->list[1]->kind == EXPR_REGISTER && (pred->rels & (pred->rels - 1)) != 0;
}

void
conds_derive(struct level *level, struct vec *preds)
{
    uint32_t count = preds->count;
    struct classes *classes = arena_alloc(level->planner->arena, sizeof *classes);
    classes->level = level;
    for (uint32_t i = 0; i < count; i++) {
        struct pred *pred = preds->items[i];
        if (pred->expr->kind == EXPR_OR && (pred->rels & (pred->rels - 1)) != 0) {
            derive_of_or(level, pred, preds);
        } else if (column_equality(pred)) {
            add_equality(classes, pred);
        }
    }
    if (classes->count == 0) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct pred *pred = preds->items[i];
        if (same_typed_equality(pred->expr)) {
            add_value(classes, pred);
        }
    }
    for (uint32_t i = 0; i < classes->count; i++) {
        derive_of_class(classes, i, preds);
    }
    /* Columns that all equal one value need not be compared with each other. */
    uint32_t kept = 0;
    for (uint32_t i = 0; i < preds->count; i++) {
        struct pred *pred = preds->items[i];
        const struct equals *class = NULL;
        if (i < count && column_equality(pred)) {
            class = find_class(classes, pred->expr, pred->expr->list[0]);
        }
        if (class != NULL && is_member(class, pred->expr->list[1])) {
            pred->equals = (uint32_t)(class - classes->items) + 1;
            if (class->value != NULL) {
                continue;
            }
        }
        preds->items[kept++] = pred;
    }
    preds->count = kept;
}
