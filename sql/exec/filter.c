/*
 * sql/exec/filter.c - what a serializable scan tells txn of its condition (precision locking).
 *
 * A scan of a table's own tree counts as having read its whole range, but a concurrent write to a
 * row that does not pass the scan's condition, before or after, changes nothing it has seen. So the
 * simple parts of the condition go along with the range: comparisons of a column with a value, IS
 * [NOT] NULL, IN. What is left out makes the filter let more rows pass, which is safe (SS5).
 *
 * The filter outlives plan and transaction and is asked by other threads: it owns everything it
 * needs.
 */
#include <string.h>

#include "sql/exec/exec_internal.h"

enum term_kind {
    TERM_COMPARE, /* column op values[0] */
    TERM_IN,
    TERM_NULL,
    TERM_NOT_NULL,
    TERM_TRUE, /* a boolean column */
    TERM_FALSE,
};

enum {
    TERMS_MAX = 8,
    IN_VALUES_MAX = 32,
    LESS = 1, /* outcomes of a comparison that pass */
    EQUAL = 2,
    GREATER = 4,
};

struct term {
    enum term_kind kind;
    uint16_t column;
    oid_t type;
    int outcomes;
    struct datum *values;
    uint32_t count;
};

struct row_filter {
    struct txn_filter base;
    struct arena arena;
    struct row_layout *layout;
    struct term terms[TERMS_MAX];
    uint32_t count;
};

/* ---- asking ------------------------------------------------------------------------------------
 */

static bool
compares(const struct term *term, struct datum value, struct datum with)
{
    int order = datum_compare(term->type, value, with);
    return (term->outcomes & (order < 0 ? LESS : order == 0 ? EQUAL : GREATER)) != 0;
}

static bool
term_passes(const struct term *term, struct datum value)
{
    switch (term->kind) {
    case TERM_NULL:
        return value.null;
    case TERM_NOT_NULL:
        return !value.null;
    case TERM_TRUE:
        return !value.null && value.i != 0;
    case TERM_FALSE:
        return !value.null && value.i == 0;
    case TERM_COMPARE:
    case TERM_IN:
        break;
    }
    for (uint32_t i = 0; i < term->count && !value.null; i++) {
        if (!term->values[i].null && compares(term, value, term->values[i])) {
            return true;
        }
    }
    return false;
}

static bool
passes(const struct txn_filter *base, struct slice row)
{
    const struct row_filter *filter = (const struct row_filter *)(const void *)base;
    struct diag diag;
    for (uint32_t i = 0; i < filter->count; i++) {
        struct datum value;
        bool missing = false;
        const struct term *term = &filter->terms[i];
        if (row_column(filter->layout, row, term->column, &value, &missing, &diag) != ERR_OK) {
            return true; /* whoever reads the row will say what is wrong with it */
        }
        if (!term_passes(term, value)) {
            return false;
        }
    }
    return true;
}

static void
destroy(struct txn_filter *base)
{
    struct row_filter *filter = (struct row_filter *)(void *)base;
    arena_destroy(&filter->arena);
    mem_free(filter);
}

/* ---- making ------------------------------------------------------------------------------------
 */

static bool
is_integer(oid_t type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8;
}

/* What a comparison function lets pass, with its type; 0: it is none. */
static int
outcomes_of(const struct function *function, oid_t *type)
{
    static const struct {
        const char *op, *suffix;
        int outcomes;
    } ops[] = {{"=", "eq", EQUAL}, {"<>", "ne", LESS | GREATER}, {"<", "lt", LESS},
        {"<=", "le", LESS | EQUAL}, {">", "gt", GREATER}, {">=", "ge", GREATER | EQUAL}};
    if (function->arg_count != 2) {
        return 0;
    }
    oid_t left = function->args[0];
    bool integers = is_integer(left) && is_integer(function->args[1]);
    size_t length = strlen(function->name);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        bool same =
            left == function->args[1] && operator_compare_function(ops[i].op, left) == function;
        bool mixed = integers && function->result == TYPE_BOOL && length == 7 &&
                     strncmp(function->name, "int", 3) == 0 &&
                     strcmp(function->name + 5, ops[i].suffix) == 0;
        if (same || mixed) {
            *type = mixed ? TYPE_INT8 : left;
            return ops[i].outcomes;
        }
    }
    return 0;
}

static int
flipped(int outcomes)
{
    return (outcomes & EQUAL) | ((outcomes & LESS) != 0 ? GREATER : 0) |
           ((outcomes & GREATER) != 0 ? LESS : 0);
}

static bool
is_column(const struct plan_relation *relation, const struct expr *expr, uint16_t *column)
{
    if (expr->kind != EXPR_REGISTER || expr->reg < relation->base ||
        expr->reg - relation->base >= relation->relation->column_count) {
        return false;
    }
    *column = (uint16_t)(expr->reg - relation->base);
    return true;
}

/* A value the scan can know before its first row. */
static bool
is_value(const struct exec *x, const struct plan_relation *relation, const struct expr *expr,
    struct datum *value)
{
    uint16_t column;
    switch (expr->kind) {
    case EXPR_CONST:
        *value = expr->constant;
        return true;
    case EXPR_PARAM:
        *value = x->context.params[expr->param];
        return true;
    case EXPR_REGISTER:
        if (is_column(relation, expr, &column)) {
            return false;
        }
        *value = x->machine.frame[expr->reg];
        return true;
    default:
        return false;
    }
}

static struct datum
keep(struct row_filter *filter, oid_t type, struct datum value)
{
    return value.null ? value : datum_copy(&filter->arena, type, value);
}

static bool
comparison(struct exec *x, const struct plan_relation *relation, const struct expr *expr,
    struct row_filter *filter, struct term *term)
{
    struct datum value;
    term->outcomes = outcomes_of(expr->function, &term->type);
    if (term->outcomes == 0) {
        return false;
    }
    if (is_column(relation, expr->list[0], &term->column)) {
        if (!is_value(x, relation, expr->list[1], &value)) {
            return false;
        }
    } else if (is_column(relation, expr->list[1], &term->column) &&
               is_value(x, relation, expr->list[0], &value)) {
        term->outcomes = flipped(term->outcomes);
    } else {
        return false;
    }
    term->kind = TERM_COMPARE;
    term->values = arena_alloc(&filter->arena, sizeof *term->values);
    term->values[0] = keep(filter, term->type, value);
    term->count = 1;
    return true;
}

static bool
in_list(struct exec *x, const struct plan_relation *relation, const struct expr *expr,
    struct row_filter *filter, struct term *term)
{
    term->outcomes = outcomes_of(expr->function, &term->type);
    if (term->outcomes != EQUAL || expr->count > IN_VALUES_MAX ||
        !is_column(relation, expr->list[0], &term->column)) {
        return false;
    }
    term->kind = TERM_IN;
    term->values = arena_array(&filter->arena, expr->count, sizeof *term->values);
    for (uint32_t i = 1; i < expr->count; i++) {
        struct datum value;
        if (!is_value(x, relation, expr->list[i], &value)) {
            return false;
        }
        term->values[term->count++] = keep(filter, term->type, value);
    }
    return true;
}

static bool
make_term(struct exec *x, const struct plan_relation *relation, const struct expr *expr,
    struct row_filter *filter, struct term *term)
{
    *term = (struct term){0};
    switch (expr->kind) {
    case EXPR_CALL:
        return comparison(x, relation, expr, filter, term);
    case EXPR_IN:
        return in_list(x, relation, expr, filter, term);
    case EXPR_IS_NULL:
    case EXPR_IS_NOT_NULL:
        term->kind = expr->kind == EXPR_IS_NULL ? TERM_NULL : TERM_NOT_NULL;
        return is_column(relation, expr->list[0], &term->column);
    case EXPR_REGISTER:
        term->kind = TERM_TRUE;
        return is_column(relation, expr, &term->column);
    case EXPR_NOT:
        term->kind = TERM_FALSE;
        return is_column(relation, expr->list[0], &term->column);
    default:
        return false;
    }
}

struct txn_filter *
exec__row_filter(struct exec *x, const struct plan_node *plan)
{
    const struct plan_relation *relation = &plan->scan.relation;
    if (plan->filter_count == 0) {
        return NULL;
    }
    struct row_filter *filter = mem_zalloc(sizeof *filter);
    atomic_init(&filter->base.references, 1);
    filter->base.passes = passes;
    filter->base.destroy = destroy;
    arena_create(&filter->arena, "row filter");
    for (uint32_t i = 0; i < plan->filter_count && filter->count < TERMS_MAX; i++) {
        if (make_term(x, relation, plan->filter[i], filter, &filter->terms[filter->count])) {
            filter->count++;
        }
    }
    if (filter->count == 0) {
        destroy(&filter->base);
        return NULL;
    }
    uint16_t columns = relation->relation->column_count;
    oid_t *types = arena_array(&filter->arena, columns, sizeof *types);
    for (uint16_t i = 0; i < columns; i++) {
        types[i] = relation->relation->columns[i].type;
    }
    filter->layout = row_layout_new(&filter->arena, types, columns);
    return &filter->base;
}

/* ---- in words ----------------------------------------------------------------------------------
 */

static void
add_words(
    struct buffer *to, const struct eval_env *env, const char *column, const struct term *term)
{
    static const char *const ops[] = {
        [LESS] = "<",
        [EQUAL] = "=",
        [GREATER] = ">",
        [LESS | EQUAL] = "<=",
        [GREATER | EQUAL] = ">=",
        [LESS | GREATER] = "<>",
    };
    switch (term->kind) {
    case TERM_NULL:
    case TERM_NOT_NULL:
        buffer_printf(to, "%s IS %sNULL", column, term->kind == TERM_NULL ? "" : "NOT ");
        return;
    case TERM_TRUE:
    case TERM_FALSE:
        buffer_printf(to, "%s%s", term->kind == TERM_TRUE ? "" : "NOT ", column);
        return;
    case TERM_COMPARE:
    case TERM_IN:
        break;
    }
    buffer_printf(to, "%s %s", column, term->kind == TERM_IN ? "IN (" : ops[term->outcomes]);
    buffer_add_text(to, term->kind == TERM_IN ? "" : " ");
    for (uint32_t i = 0; i < term->count; i++) {
        buffer_add_text(to, i == 0 ? "" : ", ");
        if (term->values[i].null) {
            buffer_add_text(to, "NULL");
        } else {
            buffer_add_text(to, "\'");
            type_output(env, term->type, term->values[i], to);
            buffer_add_text(to, "\'");
        }
    }
    buffer_add_text(to, term->kind == TERM_IN ? ")" : "");
}

char *
exec_filter_words(struct arena *arena, const struct eval_env *env, const struct relation *relation,
    const struct txn_filter *base)
{
    const struct row_filter *filter = (const struct row_filter *)(const void *)base;
    struct buffer words = {0};
    for (uint32_t i = 0; i < filter->count; i++) {
        const struct term *term = &filter->terms[i];
        /* It may have got other columns since: then nobody reads with this filter any more. */
        bool known = term->column < relation->column_count;
        buffer_add_text(&words, i == 0 ? "" : " AND ");
        add_words(&words, env, known ? relation->columns[term->column].name : "?", term);
    }
    char *text = arena_strndup(arena, (const char *)words.data, words.size);
    buffer_destroy(&words);
    return text;
}
