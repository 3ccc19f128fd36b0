/*
 * sql/bind/exists.c - EXISTS whose only tie to the query around it is an equality.
 *
 *     EXISTS (SELECT .. FROM b WHERE b.x = a.y AND c)   is   (a.y IN (SELECT b.x FROM b WHERE c))
 * IS TRUE
 *
 * and IN over a query that reads nothing from outside is a hash table made once, where EXISTS would
 * search b anew for each row of a. IS TRUE turns the unknowns of IN into the false of EXISTS. Where
 * an index of b begins with x, the search is short and stays.
 */
#include "sql/bind/bind.h"

struct sides {
    const struct query *query;
    bool inner, outer;
};

static void
note_side(void *arg, reg_t reg)
{
    struct sides *sides = arg;
    bool inner = reg >= sides->query->first_reg && reg < sides->query->end_reg;
    sides->inner |= inner;
    sides->outer |= !inner;
}

static struct sides
sides_of(const struct query *query, const struct expr *expr)
{
    struct sides sides = {.query = query};
    expr_reads(expr, note_side, &sides);
    return sides;
}

static bool
is_plain(const struct query *query)
{
    return query->kind == QUERY_SELECT && query->correlated && !query->has_aggregates &&
           !query->has_windows && query->group_count == 0 && query->having == NULL &&
           query->set_function == NULL && query->limit == NULL && query->offset == NULL &&
           query->lock_count == 0 && query->from != NULL && query->from->kind == TREE_LIST;
}

static bool
index_begins_with(const struct query *query, const struct expr *expr)
{
    if (expr->kind != EXPR_REGISTER) {
        return false;
    }
    const struct rel *rel = query_rel(query, expr->reg);
    if (rel == NULL || rel->kind != REL_TABLE) {
        return false;
    }
    for (uint16_t i = 0; i < rel->relation->index_count; i++) {
        if (rel->relation->indexes[i].partial == 0 &&
            rel->relation->indexes[i].columns[0] == expr->reg - rel->base) {
            return true;
        }
    }
    return false;
}

static bool
is_equality(const struct expr *expr)
{
    const struct operator_def *op = expr_operator(expr);
    return op != NULL && expr->count == 2 && strcmp(op->name, "=") == 0 &&
           op->function->args[0] == op->function->args[1];
}

/* The place of the one condition that reads from outside, if it is inner = outer. */
static bool
find_tie(const struct query *query, uint32_t *place, bool *flipped)
{
    const struct expr_vec *conds = &query->from->conds;
    bool found = false;
    for (uint32_t i = 0; i < conds->count; i++) {
        const struct expr *cond = conds->items[i];
        if (!sides_of(query, cond).outer) {
            continue;
        }
        if (found || !is_equality(cond) || expr_has_subplan(cond) || expr_volatile(cond)) {
            return false;
        }
        struct sides left = sides_of(query, cond->list[0]);
        struct sides right = sides_of(query, cond->list[1]);
        if (left.inner == left.outer || right.inner == right.outer || left.inner == right.inner) {
            return false;
        }
        *place = i;
        *flipped = left.outer;
        found = true;
    }
    return found && !index_begins_with(query, conds->items[*place]->list[*flipped ? 1 : 0]);
}

bool
query_untie(struct binder *binder, struct query *query, struct expr **outer, struct expr **tie)
{
    uint32_t place = 0;
    bool flipped = false;
    if (!is_plain(query) || !find_tie(query, &place, &flipped)) {
        return false;
    }
    /* All but the targets, which EXISTS does not look at, and the tie: is it free then? */
    struct expr_vec before = query->from->conds;
    struct query tried = *query;
    struct join_tree from = *query->from;
    from.conds = (struct expr_vec){0};
    for (uint32_t i = 0; i < before.count; i++) {
        if (i != place) {
            expr_vec_add(binder->arena, &from.conds, before.items[i]);
        }
    }
    struct expr *inner = before.items[place]->list[flipped ? 1 : 0];
    struct target *target = arena_alloc(binder->arena, sizeof *target);
    *target = (struct target){.expr = inner, .name = "?column?"};
    tried.from = &from;
    tried.targets = target;
    tried.target_count = tried.target_capacity = tried.column_count = 1;
    tried.order_count = 0;
    tried.distinct = false;
    tried.distinct_on_count = 0;
    struct sides sides = {.query = query};
    query_reads(&tried, note_side, &sides);
    if (sides.outer) {
        return false;
    }
    *tie = before.items[place];
    *outer = (*tie)->list[flipped ? 0 : 1];
    target->plain = inner->kind == EXPR_REGISTER;
    target->reg = target->plain ? inner->reg : bind_registers(binder, 1);
    tried.target_base = target->plain ? query->target_base : target->reg;
    tried.end_reg = binder->next_reg;
    tried.correlated = false;
    tried.from = arena_alloc(binder->arena, sizeof *tried.from);
    *tried.from = from;
    *query = tried;
    return true;
}
