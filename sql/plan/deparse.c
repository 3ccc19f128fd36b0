/*
 * sql/plan/deparse.c - expressions as EXPLAIN shows them: PostgreSQL's form, with all parentheses.
 */
#include "sql/plan/planner.h"

enum {
    NESTING_MAX = 200, /* deeper expressions are shown as "..." */
};

struct writer {
    struct deparser *deparser;
    struct buffer *to;
    uint32_t depth;
};

static void put(struct writer *writer, const struct expr *expr);

void
deparse_name_add(struct deparser *deparser, reg_t reg, const char *name)
{
    if (deparser->name_count == deparser->name_capacity) {
        uint32_t wanted = deparser->name_capacity == 0 ? 32 : deparser->name_capacity * 2;
        struct deparse_name *bigger = arena_alloc_raw(deparser->arena, wanted * sizeof *bigger);
        if (deparser->name_count > 0) {
            memcpy(bigger, deparser->names, deparser->name_count * sizeof *bigger);
        }
        deparser->names = bigger;
        deparser->name_capacity = wanted;
    }
    deparser->names[deparser->name_count++] = (struct deparse_name){.reg = reg, .name = name};
}

const char *
deparse_name_find(const struct deparser *deparser, reg_t reg)
{
    for (uint32_t i = deparser->name_count; i > 0; i--) {
        if (deparser->names[i - 1].reg == reg) {
            return deparser->names[i - 1].name;
        }
    }
    return "?";
}

static void
put_text(struct writer *writer, const char *text)
{
    buffer_add_text(writer->to, text);
}

static void
put_type(struct writer *writer, oid_t type, int32_t typmod)
{
    put_text(writer, type_format(writer->deparser->env, writer->deparser->arena, type, typmod));
}

static void
put_list(struct writer *writer, struct expr *const *list, uint32_t count, const char *between)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            put_text(writer, between);
        }
        put(writer, list[i]);
    }
}

static void
put_quoted(struct writer *writer, const struct expr *expr)
{
    const struct eval_env *own = writer->deparser->env;
    struct eval_env env = {.time_zone = "UTC",
        .extra_float_digits = 1,
        .catalog = own == NULL ? NULL : own->catalog,
        .search_path = own == NULL ? NULL : own->search_path};
    struct buffer text = {0};
    type_output(&env, expr->type, expr->constant, &text);
    buffer_add_u8(writer->to, '\'');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\'') {
            buffer_add_u8(writer->to, '\'');
        }
        buffer_add_u8(writer->to, text.data[i]);
    }
    buffer_add_u8(writer->to, '\'');
    buffer_destroy(&text);
}

static void
put_const(struct writer *writer, const struct expr *expr)
{
    if (expr->constant.null) {
        put_text(writer, "NULL::");
        put_type(writer, expr->type, -1);
        return;
    }
    if (expr->type == TYPE_BOOL) {
        put_text(writer, expr->constant.i != 0 ? "true" : "false");
        return;
    }
    if (expr->type == TYPE_INT4 && expr->constant.i >= 0) {
        buffer_printf(writer->to, "%lld", (long long)expr->constant.i);
        return;
    }
    put_quoted(writer, expr);
    put_text(writer, "::");
    put_type(writer, expr->type, expr->typmod);
}

/* The name of the operator this is the function of. */
static const char *
operator_name(const struct function *function)
{
    size_t count;
    const struct operator_def *all = operator_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (all[i].function->oid == function->oid) {
            return all[i].name;
        }
    }
    return function->name;
}

/* Bound number `at` of array_slice, whose list the binder made: folded, or still a call. */
static void
put_bound(struct writer *writer, const struct expr *list, uint32_t at)
{
    if (list->kind != EXPR_CONST) {
        put(writer, list->list[at + 1]);
        return;
    }
    struct arena arena;
    struct datum *bounds;
    arena_create(&arena, "explain");
    if (at < array_elements(&arena, list->constant, &bounds)) {
        buffer_printf(writer->to, "%lld", (long long)bounds[at].i);
    }
    arena_destroy(&arena);
}

static void
put_slice(struct writer *writer, const struct expr *expr)
{
    int64_t mask = expr->list[1]->constant.i;
    put(writer, expr->list[0]);
    for (uint32_t i = 0; mask >> (2 * i) != 0; i++) {
        put_text(writer, "[");
        if ((mask >> (2 * i) & 1) != 0) {
            put_bound(writer, expr->list[2], i);
        }
        put_text(writer, ":");
        if ((mask >> (2 * i + 1) & 1) != 0) {
            put_bound(writer, expr->list[3], i);
        }
        put_text(writer, "]");
    }
}

static void
put_call(struct writer *writer, const struct expr *expr)
{
    const struct operator_def *op = expr_operator(expr);
    if (op != NULL && expr->count == 2) {
        put_text(writer, "(");
        put(writer, expr->list[0]);
        buffer_printf(writer->to, " %s ", op->name);
        put(writer, expr->list[1]);
        put_text(writer, ")");
    } else if (op != NULL && expr->count == 1) {
        buffer_printf(writer->to, "(%s ", op->name);
        put(writer, expr->list[0]);
        put_text(writer, ")");
    } else if (strcmp(expr->function->name, "array_any") == 0 ||
               strcmp(expr->function->name, "array_all") == 0) {
        const struct function *inner = (const struct function *)(intptr_t)expr->list[0]->constant.i;
        put_text(writer, "(");
        put(writer, expr->list[1]);
        buffer_printf(writer->to, " %s %s (", operator_name(inner),
            strcmp(expr->function->name, "array_any") == 0 ? "ANY" : "ALL");
        put(writer, expr->list[2]);
        put_text(writer, "))");
    } else if (strcmp(expr->function->name, "array_build") == 0 ||
               strcmp(expr->function->name, "array_stack") == 0) {
        put_text(writer, "ARRAY[");
        put_list(writer, expr->list + 1, expr->count - 1, ", ");
        put_text(writer, "]");
    } else if (strcmp(expr->function->name, "array_cast") == 0) {
        put_text(writer, "(");
        put(writer, expr->list[2]);
        put_text(writer, ")::");
        put_type(writer, expr->type, expr->typmod);
    } else if (strcmp(expr->function->name, "array_get") == 0) {
        put(writer, expr->list[0]);
        for (uint32_t i = 1; i < expr->count; i++) {
            put_text(writer, "[");
            put(writer, expr->list[i]);
            put_text(writer, "]");
        }
    } else if (strcmp(expr->function->name, "array_slice") == 0) {
        put_slice(writer, expr);
    } else if (((const struct call_expr *)(const void *)expr)->cast) {
        put_text(writer, "(");
        put(writer, expr->list[0]);
        put_text(writer, ")::");
        put_type(writer, expr->type, expr->typmod);
    } else {
        uint32_t hidden = (expr->function->flags & FUNCTION_ROUTINE) != 0; /* the routine */
        buffer_printf(writer->to, "%s(", expr->function->name);
        put_list(writer, expr->list + hidden, expr->count - hidden, ", ");
        put_text(writer, ")");
    }
}

static void
put_case(struct writer *writer, const struct expr *expr)
{
    put_text(writer, "CASE");
    uint32_t i = 0;
    for (; i + 1 < expr->count; i += 2) {
        put_text(writer, " WHEN ");
        put(writer, expr->list[i]);
        put_text(writer, " THEN ");
        put(writer, expr->list[i + 1]);
    }
    if (i < expr->count) {
        put_text(writer, " ELSE ");
        put(writer, expr->list[i]);
    }
    put_text(writer, " END");
}

static void
put_subplan(struct writer *writer, const struct expr *expr)
{
    struct vec *all = &writer->deparser->subplans;
    uint32_t number = 0;
    while (number < all->count && ((struct expr *)all->items[number])->subplan != expr->subplan) {
        number++;
    }
    if (number == all->count) {
        struct expr *keep = arena_copy(writer->deparser->arena, expr, sizeof *expr);
        vec_add(writer->deparser->arena, all, keep);
    }
    const struct subplan *subplan = expr->subplan;
    if (subplan->kind == SUBPLAN_SCALAR && !subplan->correlated) {
        buffer_printf(writer->to, "$%u", number);
    } else if (subplan->kind == SUBPLAN_ANY && !subplan->correlated) {
        buffer_printf(writer->to, "(hashed SubPlan %u)", number + 1);
    } else {
        buffer_printf(writer->to, "(SubPlan %u)", number + 1);
    }
}

static void
put_around(struct writer *writer, const char *before, const struct expr *expr, const char *after)
{
    put_text(writer, before);
    put_list(writer, expr->list, expr->count, ", ");
    put_text(writer, after);
}

static void
put_in(struct writer *writer, const struct expr *expr)
{
    put_text(writer, "(");
    put(writer, expr->list[0]);
    put_text(writer, " = ANY (ARRAY[");
    put_list(writer, expr->list + 1, expr->count - 1, ", ");
    put_text(writer, "]))");
}

static void
put_kind(struct writer *writer, const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_CONST:
        put_const(writer, expr);
        break;
    case EXPR_PARAM:
        buffer_printf(writer->to, "$%u", expr->param + 1);
        break;
    case EXPR_REGISTER:
        put_text(writer, deparse_name_find(writer->deparser, expr->reg));
        break;
    case EXPR_CALL:
        put_call(writer, expr);
        break;
    case EXPR_AND:
    case EXPR_OR:
        put_text(writer, "(");
        put_list(writer, expr->list, expr->count, expr->kind == EXPR_AND ? " AND " : " OR ");
        put_text(writer, ")");
        break;
    case EXPR_NOT:
        put_around(writer, "(NOT ", expr, ")");
        break;
    case EXPR_IS_NULL:
        put_around(writer, "(", expr, " IS NULL)");
        break;
    case EXPR_IS_NOT_NULL:
        put_around(writer, "(", expr, " IS NOT NULL)");
        break;
    case EXPR_IS_TRUE:
        put_around(writer, "(", expr, " IS TRUE)");
        break;
    case EXPR_IS_FALSE:
        put_around(writer, "(", expr, " IS FALSE)");
        break;
    case EXPR_CASE:
        put_case(writer, expr);
        break;
    case EXPR_COALESCE:
        if (expr->count == 1) {
            put(writer, expr->list[0]); /* only there to change the type's name */
        } else {
            put_around(writer, "COALESCE(", expr, ")");
        }
        break;
    case EXPR_NULLIF:
        put_around(writer, "NULLIF(", expr, ")");
        break;
    case EXPR_GREATEST:
        put_around(writer, "GREATEST(", expr, ")");
        break;
    case EXPR_LEAST:
        put_around(writer, "LEAST(", expr, ")");
        break;
    case EXPR_DISTINCT_FROM:
        put_text(writer, "(");
        put_list(writer, expr->list, expr->count, " IS DISTINCT FROM ");
        put_text(writer, ")");
        break;
    case EXPR_IN:
        put_in(writer, expr);
        break;
    case EXPR_TYPMOD:
    case EXPR_TEXT_IO:
        put_around(writer, "(", expr, ")::");
        put_type(writer, expr->type, expr->typmod);
        break;
    case EXPR_SUBPLAN:
        put_subplan(writer, expr);
        break;
    }
}

static void
put(struct writer *writer, const struct expr *expr)
{
    if (++writer->depth > NESTING_MAX) {
        put_text(writer, "...");
    } else {
        put_kind(writer, expr);
    }
    writer->depth--;
}

void
deparse_expr(struct deparser *deparser, const struct expr *expr, struct buffer *to)
{
    struct writer writer = {.deparser = deparser, .to = to};
    put(&writer, expr);
}
