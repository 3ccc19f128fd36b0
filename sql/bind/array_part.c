/*
 * sql/bind/array_part.c - a part of an array or of a jsonb value: slices, and what SET column[..] =
 * .. makes of a column: its whole new value.
 *
 * If one of several subscripts is a slice, all are: [2] then stands for [1:2] (PostgreSQL, Arrays).
 */
#include "base/assert.h"
#include "sql/bind/bind.h"

enum err
bind_array_index(
    struct binder *binder, struct scope *scope, const struct ast_node *node, struct expr **expr)
{
    bool done;
    TRY(bind_expr(binder, scope, node, expr));
    TRY(bind_coerce(binder, expr, TYPE_INT4, -1, CAST_ASSIGNMENT, &done));
    return done ? ERR_OK
                : bind_error(binder, node->location, ERR_DATATYPE_MISMATCH,
                      "array subscript must have type integer");
}

enum err
bind_jsonb_step(
    struct binder *binder, struct scope *scope, const struct ast_node *node, struct expr **expr)
{
    bool done;
    TRY(bind_expr(binder, scope, node, expr));
    if ((*expr)->type == TYPE_INT2 || (*expr)->type == TYPE_INT4) {
        TRY(bind_cast(binder, expr, TYPE_TEXT, -1, node->location));
    }
    oid_t type = (*expr)->type;
    TRY(bind_coerce(binder, expr, TYPE_TEXT, -1, CAST_IMPLICIT, &done));
    if (!done) {
        (void)bind_error(binder, node->location, ERR_DATATYPE_MISMATCH,
            "subscript type %s is not supported", bind_type_name(binder, type));
        diag_hint(binder->diag, "jsonb subscript must be coercible to either integer or text.");
        return ERR_DATATYPE_MISMATCH;
    }
    return ERR_OK;
}

static struct expr *
number(struct binder *binder, int64_t value)
{
    return expr_const(binder, TYPE_INT4, datum_int(value), -1);
}

/* The lists that array_slice and its like want. */
static struct expr *
list_of(struct binder *binder, struct expr *const *items, uint32_t count, oid_t element,
    int32_t location)
{
    struct expr **args = arena_alloc(binder->arena, (count + 1) * sizeof(struct expr *));
    args[0] = expr_const(binder, TYPE_OID, datum_int(element), -1);
    memcpy(args + 1, items, count * sizeof *items);
    return bind_internal_call(
        binder, "array_build", args, count + 1, type_by_oid(element)->array_oid, location);
}

/* Adds mask, lower and upper bounds to a call's arguments. */
static enum err
bind_bounds(struct binder *binder, struct scope *scope, const struct subscripts *subscripts,
    int32_t location, struct expr **args)
{
    struct expr *lower[SUBSCRIPTS_MAX];
    struct expr *upper[SUBSCRIPTS_MAX];
    int64_t mask = 0;
    for (uint32_t i = 0; i < subscripts->count; i++) {
        const struct ast_subscript *at = subscripts->of[i];
        bool has_lower = !at->slice || at->lower != NULL;
        bool has_upper = at->upper != NULL;
        mask |= (int64_t)has_lower << (2 * i) | (int64_t)has_upper << (2 * i + 1);
        lower[i] = upper[i] = number(binder, 1);
        if (at->slice && has_lower) {
            TRY(bind_array_index(binder, scope, at->lower, &lower[i]));
        }
        if (has_upper) {
            TRY(bind_array_index(binder, scope, at->upper, &upper[i]));
        }
    }
    args[0] = number(binder, mask);
    args[1] = list_of(binder, lower, subscripts->count, TYPE_INT4, location);
    args[2] = list_of(binder, upper, subscripts->count, TYPE_INT4, location);
    return ERR_OK;
}

enum err
bind_array_slice(struct binder *binder, struct scope *scope, struct expr *array,
    const struct subscripts *subscripts, int32_t location, struct expr **expr)
{
    struct expr **args = arena_alloc(binder->arena, 4 * sizeof(struct expr *));
    args[0] = array;
    TRY(bind_bounds(binder, scope, subscripts, location, args + 1));
    *expr = bind_internal_call(binder, "array_slice", args, 4, array->type, location);
    return ERR_OK;
}

/* The value to what the part of the column is. */
static enum err
assign_value(struct binder *binder, const struct column *column, oid_t type, int32_t location,
    struct expr **value)
{
    bool done;
    oid_t from = (*value)->type;
    TRY(bind_coerce(binder, value, type, column->typmod, CAST_ASSIGNMENT, &done));
    if (!done) {
        (void)bind_error(binder, location, ERR_DATATYPE_MISMATCH,
            "subscripted assignment to \"%s\" requires type %s but expression is of type %s",
            column->name, bind_type_name(binder, type), bind_type_name(binder, from));
        diag_hint(binder->diag, "You will need to rewrite or cast the expression.");
        return ERR_DATATYPE_MISMATCH;
    }
    return ERR_OK;
}

static enum err
assign_jsonb(struct binder *binder, struct scope *scope, const struct column *column,
    const struct subscripts *subscripts, bool slice, int32_t location, struct expr **args)
{
    struct expr *steps[SUBSCRIPTS_MAX];
    if (slice) {
        return bind_error(
            binder, location, ERR_DATATYPE_MISMATCH, "jsonb subscript does not support slices");
    }
    for (uint32_t i = 0; i < subscripts->count; i++) {
        TRY(bind_jsonb_step(binder, scope, subscripts->of[i]->upper, &steps[i]));
    }
    TRY(assign_value(binder, column, TYPE_JSONB, location, &args[1]));
    args[2] = list_of(binder, steps, subscripts->count, TYPE_TEXT, location);
    return ERR_OK;
}

enum err
bind_part_assign(struct binder *binder, struct scope *scope, const struct column *column,
    struct expr *old, const struct ast_target *target, struct expr *value, struct expr **expr)
{
    int32_t location = target->node.location;
    struct subscripts subscripts = {0};
    bool slice = false;
    AST_FOREACH(at, target->indirection)
    {
        if ((*at)->kind != AST_SUBSCRIPT) {
            return bind_unsupported(binder, location, "assigning to a field of a column is");
        }
        if (subscripts.count == SUBSCRIPTS_MAX) {
            return bind_error(binder, location, ERR_PROGRAM_LIMIT,
                "number of array dimensions exceeds the maximum allowed (%d)", SUBSCRIPTS_MAX);
        }
        slice = slice || ast_as_subscript(*at)->slice;
        subscripts.of[subscripts.count++] = ast_as_subscript(*at);
    }
    struct expr **args = arena_alloc(binder->arena, 6 * sizeof(struct expr *));
    args[0] = old;
    args[1] = value;
    if (column->type == TYPE_JSONB) {
        TRY(assign_jsonb(binder, scope, column, &subscripts, slice, location, args));
        *expr = bind_internal_call(binder, "jsonb_assign", args, 3, TYPE_JSONB, location);
        return ERR_OK;
    }
    oid_t element = type_element(column->type);
    if (element == 0 || column->type != type_by_oid(element)->array_oid) {
        return bind_error(binder, location, ERR_DATATYPE_MISMATCH,
            "cannot subscript type %s because it does not support subscripting",
            bind_type_name(binder, column->type));
    }
    args[2] = expr_const(binder, TYPE_OID, datum_int(element), -1);
    if (slice) {
        TRY(assign_value(binder, column, column->type, location, &args[1]));
        TRY(bind_bounds(binder, scope, &subscripts, location, args + 3));
        *expr = bind_internal_call(binder, "array_set_slice", args, 6, column->type, location);
        return ERR_OK;
    }
    struct expr *places[SUBSCRIPTS_MAX];
    for (uint32_t i = 0; i < subscripts.count; i++) {
        TRY(bind_array_index(binder, scope, subscripts.of[i]->upper, &places[i]));
    }
    TRY(assign_value(binder, column, element, location, &args[1]));
    args[3] = list_of(binder, places, subscripts.count, TYPE_INT4, location);
    *expr = bind_internal_call(binder, "array_set", args, 4, column->type, location);
    return ERR_OK;
}
