/*
 * sql/bind/array.c - arrays: ARRAY[..], ARRAY(SELECT ..), subscripts, ANY and ALL of an array,
 * casts of elements, and functions over anyarray and anyelement.
 *
 * All of it becomes calls of functions of sql/value/array.c, so plans and the executor know nothing
 * of arrays. What such a function cannot know from its arguments' values (the element type of an
 * empty array, the function behind an operator) is given to it as a constant argument.
 *
 * A function over anyarray or anyelement is replaced by a copy of its struct in which the types are
 * the real ones; it lives as long as the plan.
 */
#include "base/assert.h"
#include "sql/bind/bind.h"

static oid_t
array_of(oid_t element)
{
    const struct type *type = type_by_oid(element);
    return type == NULL || type->element != 0 ? 0 : type->array_oid;
}

static enum err
no_array_type(struct binder *binder, oid_t element, int32_t location)
{
    return bind_error(binder, location, ERR_UNDEFINED_OBJECT,
        "could not find array type for data type %s", bind_type_name(binder, element));
}

static const struct function *
internal_function(const char *name)
{
    size_t count = 0;
    const struct function *function = function_by_name(name, &count);
    ASSERT(count == 1);
    return function;
}

static struct expr *
pointer_const(struct binder *binder, const struct function *function)
{
    return expr_const(binder, TYPE_INT8, datum_int((int64_t)(intptr_t)function), -1);
}

struct expr *
bind_internal_call(struct binder *binder, const char *name, struct expr **args, uint32_t count,
    oid_t type, int32_t location)
{
    struct function *own =
        arena_copy(binder->arena, internal_function(name), sizeof(struct function));
    own->result = type;
    return expr_call(binder, own, NULL, args, count, location);
}

/* ---- casts ----------------------------------------------------------------------------------- */

bool
array_can_coerce(oid_t from, oid_t to, enum cast_context context)
{
    oid_t from_element = type_element(from);
    oid_t to_element = type_element(to);
    return from_element != 0 && to_element != 0 &&
           type_can_coerce(from_element, to_element, context);
}

void
bind_array_coerce(struct binder *binder, struct expr **expr, oid_t type, enum cast_context context)
{
    oid_t from = type_element((*expr)->type);
    oid_t to = type_element(type);
    if (from == to) {
        *expr = expr_relabel(binder, *expr, type); /* int2vector and int2[] */
        return;
    }
    const struct function *function = NULL;
    (void)cast_find(from, to, context, &function);
    struct expr **args = arena_alloc(binder->arena, 3 * sizeof(struct expr *));
    args[0] = pointer_const(binder, function);
    args[1] = expr_const(binder, TYPE_OID, datum_int(to), -1);
    args[2] = *expr;
    *expr = bind_internal_call(binder, "array_cast", args, 3, type, (*expr)->location);
}

/* ---- anyarray, anyelement -------------------------------------------------------------------- */

static bool
is_polymorphic(oid_t type)
{
    return type == TYPE_ANYARRAY || type == TYPE_ANYELEMENT || type == TYPE_ANYENUM ||
           type == TYPE_ANYNONARRAY;
}

enum err
bind_element_type(struct binder *binder, const oid_t *declared, struct expr *const *args,
    uint32_t count, oid_t *element)
{
    (void)binder;
    *element = 0;
    for (uint32_t i = 0; i < count; i++) {
        oid_t its = declared[i] == TYPE_ANYARRAY ? type_element(args[i]->type)
                    : is_polymorphic(declared[i]) && args[i]->type != TYPE_UNKNOWN ? args[i]->type
                                                                                   : 0;
        /* The one to which all others go, as for CASE; who cannot is found when it is coerced. */
        if (*element == 0 || (its != 0 && type_can_coerce(*element, its, CAST_IMPLICIT) &&
                                 !type_can_coerce(its, *element, CAST_IMPLICIT))) {
            *element = its;
        }
    }
    *element = *element == 0 ? TYPE_TEXT : *element;
    return ERR_OK;
}

static oid_t
concrete(oid_t type, oid_t element)
{
    return type == TYPE_ANYARRAY ? array_of(element) : is_polymorphic(type) ? element : type;
}

enum err
bind_polymorphic(struct binder *binder, const struct function **function, struct expr ***args,
    uint32_t *count, int32_t location)
{
    const struct function *general = *function;
    bool any = is_polymorphic(general->result);
    bool arrays = general->result == TYPE_ANYARRAY;
    for (uint8_t i = 0; i < general->arg_count; i++) {
        any = any || is_polymorphic(general->args[i]);
        arrays = arrays || general->args[i] == TYPE_ANYARRAY;
    }
    if (!any) {
        return ERR_OK;
    }
    ASSERT(*count <= FUNCTION_ARGS_MAX && (general->flags & FUNCTION_VARIADIC) == 0);
    oid_t element;
    TRY(bind_element_type(binder, general->args, *args, *count, &element));
    for (uint8_t i = 0; i < general->arg_count; i++) {
        if (general->args[i] == TYPE_ANYENUM && !type_is_enum(element)) {
            return bind_no_function(binder, general->name, *args, *count, location);
        }
    }
    if (arrays && array_of(element) == 0) {
        return no_array_type(binder, element, location);
    }
    struct function *own = arena_copy(binder->arena, general, sizeof *own);
    own->result = concrete(general->result, element);
    for (uint8_t i = 0; i < general->arg_count; i++) {
        own->args[i] = concrete(general->args[i], element);
    }
    for (uint32_t i = 0; i < *count; i++) {
        oid_t wanted = own->args[i < own->arg_count ? i : own->arg_count - 1U];
        if (!type_can_coerce((*args)[i]->type, wanted, CAST_IMPLICIT)) {
            return bind_no_function(binder, general->name, *args, *count, location);
        }
    }
    if ((general->flags & FUNCTION_ELEMENT) != 0) {
        struct expr **more = arena_alloc(binder->arena, (*count + 1) * sizeof(struct expr *));
        memcpy(more, *args, *count * sizeof(struct expr *));
        more[*count] = expr_const(binder, TYPE_OID, datum_int(element), -1);
        own->args[own->arg_count++] = TYPE_OID;
        own->arg_required = own->arg_count;
        *args = more;
        (*count)++;
    }
    *function = own;
    return ERR_OK;
}

enum err
bind_array_concat(struct binder *binder, struct expr *left, struct expr *right, int32_t location,
    bool *done, struct expr **result)
{
    bool left_array = type_element(left->type) != 0;
    bool right_array = type_element(right->type) != 0;
    *done = left_array || right_array;
    if (!*done) {
        return ERR_OK;
    }
    bool both =
        (left_array || left->type == TYPE_UNKNOWN) && (right_array || right->type == TYPE_UNKNOWN);
    const struct function *function = internal_function(both         ? "array_cat"
                                                        : left_array ? "array_append"
                                                                     : "array_prepend");
    struct expr **args = arena_alloc(binder->arena, 2 * sizeof(struct expr *));
    args[0] = left;
    args[1] = right;
    uint32_t count = 2;
    TRY(bind_polymorphic(binder, &function, &args, &count, location));
    for (uint32_t i = 0; i < 2; i++) {
        bool can;
        TRY(bind_coerce(binder, &args[i], function->args[i], -1, CAST_IMPLICIT, &can));
        if (!can) {
            return bind_error(binder, location, ERR_UNDEFINED_FUNCTION,
                "operator does not exist: %s || %s", bind_type_name(binder, left->type),
                bind_type_name(binder, right->type));
        }
    }
    *result = expr_call(binder, function, NULL, args, count, location);
    return ERR_OK;
}

/* ---- ARRAY[..] ------------------------------------------------------------------------------- */

/* Elements to one type: `element`, or 0: their common type. */
static enum err
coerce_elements(struct binder *binder, struct expr **items, uint32_t count, oid_t element,
    int32_t typmod, int32_t location, oid_t *type)
{
    *type = element;
    if (element == 0) {
        TRY(bind_common_type(binder, items, count, "ARRAY", type));
        return bind_coerce_list(binder, items, count, *type, "ARRAY");
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(bind_cast(binder, &items[i], element, typmod, location));
    }
    return ERR_OK;
}

enum err
bind_array(struct binder *binder, struct scope *scope, const struct ast_array *node, oid_t element,
    int32_t typmod, struct expr **expr)
{
    int32_t location = node->node.location;
    uint32_t count = ast_list_count(node->list);
    if (count == 0 && element == 0) {
        (void)bind_error(
            binder, location, ERR_INDETERMINATE_DATATYPE, "cannot determine type of empty array");
        diag_hint(
            binder->diag, "Explicitly cast to the desired type, for example ARRAY[]::integer[].");
        return ERR_INDETERMINATE_DATATYPE;
    }
    struct expr **args = arena_alloc(binder->arena, (count + 1) * sizeof(struct expr *));
    bool stack = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct ast_node *item = ast_list_at(node->list, i);
        if (item->kind == AST_ARRAY) {
            TRY(bind_array(binder, scope, ast_as_array(item), element, typmod, &args[i + 1]));
        } else {
            TRY(bind_expr(binder, scope, item, &args[i + 1]));
        }
        stack = stack || type_element(args[i + 1]->type) != 0;
    }
    oid_t type = stack && element != 0 ? array_of(element) : element;
    TRY(coerce_elements(binder, args + 1, count, type, typmod, location, &type));
    oid_t base = stack ? type_element(type) : type;
    oid_t array = array_of(base);
    if (array == 0) {
        return no_array_type(binder, type, location);
    }
    args[0] = expr_const(binder, TYPE_OID, datum_int(base), -1);
    *expr = bind_internal_call(
        binder, stack ? "array_stack" : "array_build", args, count + 1, array, location);
    return ERR_OK;
}

enum err
bind_array_of(struct binder *binder, struct expr *const *items, uint32_t count, oid_t array,
    struct expr **expr)
{
    struct expr **args = arena_alloc(binder->arena, (count + 1) * sizeof(struct expr *));
    args[0] = expr_const(binder, TYPE_OID, datum_int(type_element(array)), -1);
    memcpy(args + 1, items, count * sizeof(struct expr *));
    *expr = bind_internal_call(binder, "array_build", args, count + 1, array, -1);
    return ERR_OK;
}

/* ---- ARRAY(SELECT ..) ------------------------------------------------------------------------ */

static struct ast_list *
list_of(struct arena *arena, struct ast_node *first, struct ast_node *second)
{
    struct ast_list *list = arena_alloc(arena, sizeof *list);
    list->items = arena_alloc(arena, 2 * sizeof(struct ast_node *));
    list->items[0] = first;
    list->items[1] = second;
    list->count = list->capacity = second == NULL ? 1 : 2;
    return list;
}

static struct ast_node
node_of(enum ast_kind kind, int32_t location)
{
    return (struct ast_node){.kind = (uint16_t)kind, .location = location};
}

/* ARRAY(query) is COALESCE((SELECT array_agg(array.x) FROM (query) array (x)), '{}'). */
enum err
bind_array_subquery(
    struct binder *binder, struct scope *scope, const struct ast_subquery *node, struct expr **expr)
{
    struct arena *arena = binder->arena;
    int32_t location = node->node.location;
    struct ast_name *name = arena_alloc(arena, sizeof *name);
    *name = (struct ast_name){.node = node_of(AST_NAME, location), .text = "x"};
    struct ast_range_subquery *range = arena_alloc(arena, sizeof *range);
    *range = (struct ast_range_subquery){.node = node_of(AST_RANGE_SUBQUERY, location),
        .query = node->query,
        .alias = "array",
        .columns = list_of(arena, &name->node, NULL)};
    struct ast_column *column = arena_alloc(arena, sizeof *column);
    *column = (struct ast_column){
        .node = node_of(AST_COLUMN, location), .parts = {"array", "x"}, .count = 2};
    struct ast_call *call = arena_alloc(arena, sizeof *call);
    *call = (struct ast_call){.node = node_of(AST_CALL, location),
        .schema = "pg_catalog",
        .name = "array_agg",
        .args = list_of(arena, &column->node, NULL)};
    struct ast_target *target = arena_alloc(arena, sizeof *target);
    *target = (struct ast_target){.node = node_of(AST_TARGET, location), .value = &call->node};
    struct ast_select *select = arena_alloc(arena, sizeof *select);
    *select = (struct ast_select){.node = node_of(AST_SELECT, location),
        .targets = list_of(arena, &target->node, NULL),
        .from = list_of(arena, &range->node, NULL)};
    struct ast_subquery *scalar = arena_alloc(arena, sizeof *scalar);
    *scalar = (struct ast_subquery){.node = node_of(AST_SUBQUERY, location), .query = select};
    struct ast_const *empty = arena_alloc(arena, sizeof *empty);
    *empty = (struct ast_const){
        .node = node_of(AST_CONST, location), .kind = AST_CONST_STRING, .text = "{}", .size = 2};
    struct ast_list_call *coalesce = arena_alloc(arena, sizeof *coalesce);
    *coalesce = (struct ast_list_call){.node = node_of(AST_LIST_CALL, location),
        .kind = AST_COALESCE,
        .list = list_of(arena, &scalar->node, &empty->node)};
    return bind_expr(binder, scope, &coalesce->node, expr);
}

/* ---- subscripts ------------------------------------------------------------------------------ */

static enum err
bind_jsonb_subscript(struct binder *binder, struct scope *scope,
    const struct ast_subscript *const *chain, uint32_t count, struct expr **args, int32_t location,
    struct expr **expr)
{
    for (uint32_t i = 0; i < count; i++) {
        TRY(bind_jsonb_step(binder, scope, chain[i]->upper, &args[count - i]));
    }
    *expr = bind_internal_call(binder, "jsonb_subscript", args, count + 1, TYPE_JSONB, location);
    return ERR_OK;
}

enum err
bind_subscript(struct binder *binder, struct scope *scope, const struct ast_subscript *node,
    struct expr **expr)
{
    int32_t location = node->node.location;
    const struct ast_subscript *chain[SUBSCRIPTS_MAX];
    uint32_t count = 0;
    bool slice = false;
    const struct ast_node *operand = &node->node;
    while (operand->kind == AST_SUBSCRIPT) {
        const struct ast_subscript *subscript = ast_as_subscript(operand);
        slice = slice || subscript->slice;
        if (count == SUBSCRIPTS_MAX) {
            return bind_error(binder, location, ERR_PROGRAM_LIMIT,
                "number of array dimensions exceeds the maximum allowed (%d)", SUBSCRIPTS_MAX);
        }
        chain[count++] = subscript;
        operand = subscript->operand;
    }
    struct expr **args = arena_alloc(binder->arena, (count + 1) * sizeof(struct expr *));
    TRY(bind_expr(binder, scope, operand, &args[0]));
    oid_t element = type_element(args[0]->type);
    bool name = args[0]->type == TYPE_NAME && count == 1 && !slice;
    if (args[0]->type == TYPE_JSONB && slice) {
        return bind_error(
            binder, location, ERR_DATATYPE_MISMATCH, "jsonb subscript does not support slices");
    }
    if (args[0]->type == TYPE_JSONB) {
        return bind_jsonb_subscript(binder, scope, chain, count, args, location, expr);
    }
    if (element == 0 && !name) {
        return bind_error(binder, location, ERR_DATATYPE_MISMATCH,
            "cannot subscript type %s because it does not support subscripting",
            bind_type_name(binder, args[0]->type));
    }
    if (slice) {
        struct subscripts subscripts = {.count = count};
        for (uint32_t i = 0; i < count; i++) {
            subscripts.of[count - 1 - i] = chain[i];
        }
        return bind_array_slice(binder, scope, args[0], &subscripts, location, expr);
    }
    for (uint32_t i = 0; i < count; i++) { /* the chain runs from the last one */
        TRY(bind_array_index(binder, scope, chain[i]->upper, &args[count - i]));
    }
    *expr = name ? bind_internal_call(binder, "name_get", args, 2, TYPE_CHAR, location)
                 : bind_internal_call(binder, "array_get", args, count + 1, element, location);
    return ERR_OK;
}

/* ---- x op ANY (array) ------------------------------------------------------------------------ */

enum err
bind_any_of_array(struct binder *binder, struct expr *left, struct expr *array,
    const struct ast_any *node, struct expr **expr)
{
    int32_t location = node->node.location;
    bool done;
    if (array->type == TYPE_UNKNOWN) {
        oid_t guess = left->type == TYPE_UNKNOWN ? TYPE_TEXT : left->type;
        if (array_of(guess) == 0) {
            return no_array_type(binder, guess, location);
        }
        TRY(bind_coerce(binder, &array, array_of(guess), -1, CAST_IMPLICIT, &done));
    }
    oid_t element = type_element(array->type);
    if (element == 0) {
        return bind_error(binder, location, ERR_WRONG_OBJECT_TYPE,
            "op ANY/ALL (array) requires array on right side");
    }
    /* Bound over stand-ins, which nothing folds: that tells the operator and what it wants. */
    oid_t left_type = left->type == TYPE_UNKNOWN ? element : left->type;
    struct expr *one = expr_register(binder, UINT32_MAX, element, -1, location);
    struct expr *other = expr_register(binder, UINT32_MAX, left_type, -1, location);
    struct expr *test;
    TRY(bind_operator(binder, node->op, other, one, location, &test));
    const struct operator_def *op = expr_operator(test);
    if (op == NULL || test->type != TYPE_BOOL || type_element(op->right) != 0) {
        return bind_error(binder, location, ERR_WRONG_OBJECT_TYPE,
            "op ANY/ALL (array) requires operator to yield boolean");
    }
    if (op->right != element) {
        oid_t wanted = array_of(op->right);
        if (wanted == 0) {
            return no_array_type(binder, op->right, location);
        }
        TRY(bind_coerce(binder, &array, wanted, -1, CAST_IMPLICIT, &done));
        if (!done) {
            return bind_error(binder, location, ERR_CANNOT_COERCE, "cannot cast type %s to %s",
                bind_type_name(binder, array->type), bind_type_name(binder, wanted));
        }
    }
    TRY(bind_coerce(binder, &left, op->left, -1, CAST_IMPLICIT, &done));
    if (!done) {
        return bind_error(binder, location, ERR_CANNOT_COERCE, "cannot cast type %s to %s",
            bind_type_name(binder, left->type), bind_type_name(binder, op->left));
    }
    struct expr **args = arena_alloc(binder->arena, 3 * sizeof(struct expr *));
    args[0] = pointer_const(binder, op->function);
    args[1] = left;
    args[2] = array;
    *expr = expr_call(
        binder, internal_function(node->all ? "array_all" : "array_any"), NULL, args, 3, location);
    return ERR_OK;
}
