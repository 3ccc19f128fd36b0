/*
 * sql/value/json_record.c - json into rows: json_to_record and its kin.
 *
 * A member becomes a column's value by its text, as the column's type reads it; an array becomes an
 * array, element by element.
 */
#include "base/assert.h"
#include "sql/value/array.h"
#include "sql/value/json.h"

static enum err from_json(
    struct eval *eval, const struct row_field *field, struct json *value, struct datum *result);

/* ---- arrays ---------------------------------------------------------------------------------- */

static enum err
uneven(struct eval *eval)
{
    enum err err = diag_set(eval->diag, ERR_INVALID_TEXT, "malformed JSON array");
    diag_detail(
        eval->diag, "Multidimensional arrays must have sub-arrays with matching dimensions.");
    return err;
}

static enum err
add_items(struct eval *eval, const struct row_field *element, struct json *value, uint32_t depth,
    struct array_maker *maker)
{
    json__expand(eval->arena, value);
    if (value->kind != JSON_ARRAY || value->count != (uint32_t)maker->sizes[depth]) {
        return uneven(eval);
    }
    for (uint32_t i = 0; i < value->count; i++) {
        struct json *item = &value->items[i].value;
        if (depth + 1 < maker->dimensions) {
            TRY(add_items(eval, element, item, depth + 1, maker));
            continue;
        }
        struct datum one;
        if (item->kind == JSON_ARRAY && element->type != TYPE_JSON && element->type != TYPE_JSONB) {
            return uneven(eval);
        }
        TRY(from_json(eval, element, item, &one));
        array__add(maker, eval->arena, one);
    }
    return ERR_OK;
}

static enum err
array_from_json(
    struct eval *eval, const struct row_field *field, struct json *value, struct datum *result)
{
    const struct row_field element = {
        .name = field->name, .type = type_element(field->type), .typmod = field->typmod};
    struct array_maker maker = {.element = element.type};
    if (value->kind != JSON_ARRAY) {
        enum err err = diag_set(eval->diag, ERR_INVALID_TEXT, "expected JSON array");
        diag_hint(eval->diag, "See the value of key \"%s\".", field->name);
        return err;
    }
    bool nested = element.type != TYPE_JSON && element.type != TYPE_JSONB;
    for (struct json *at = value; at->kind == JSON_ARRAY && (nested || at == value);) {
        if (maker.dimensions == ARRAY_DIMENSIONS_MAX) {
            return diag_set(eval->diag, ERR_PROGRAM_LIMIT,
                "number of array dimensions (%d) exceeds the maximum allowed (%d)",
                ARRAY_DIMENSIONS_MAX + 1, ARRAY_DIMENSIONS_MAX);
        }
        json__expand(eval->arena, at);
        maker.lower[maker.dimensions] = 1;
        maker.sizes[maker.dimensions++] = (int32_t)at->count;
        if (at->count == 0) {
            break;
        }
        at = &at->items[0].value;
    }
    if (maker.sizes[maker.dimensions - 1] == 0) {
        *result = array_make(eval->arena, element.type, false, NULL, 0);
        return ERR_OK;
    }
    TRY(add_items(eval, &element, value, 0, &maker));
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

/* ---- values ---------------------------------------------------------------------------------- */

static enum err
from_json(
    struct eval *eval, const struct row_field *field, struct json *value, struct datum *result)
{
    *result = datum_null();
    if (value->kind == JSON_NULL) {
        return ERR_OK;
    }
    if (type_element(field->type) != 0 && value->kind != JSON_STRING) {
        return array_from_json(eval, field, value, result);
    }
    struct slice text = datum_slice(json__as_text(eval, value));
    if (value->kind == JSON_STRING && (field->type == TYPE_JSON || field->type == TYPE_JSONB)) {
        struct buffer quoted = {0};
        json__quote(text, &quoted);
        text = slice_of(arena_copy(eval->arena, quoted.data, quoted.size), quoted.size);
        buffer_destroy(&quoted);
    }
    return type_input(eval, field->type, field->typmod, text, result);
}

/* The columns from the members of an object; what it does not have is null. */
static enum err
fill_row(
    struct eval *eval, const struct row_shape *shape, struct json *object, struct datum *values)
{
    for (uint32_t i = 0; i < shape->count; i++) {
        const struct row_field *field = &shape->fields[i];
        struct json part = {.kind = JSON_NULL};
        if (object != NULL) {
            (void)json__field(eval, object, slice_of(field->name, strlen(field->name)), &part);
        }
        TRY(from_json(eval, field, &part, &values[i]));
        if (field->domain != 0) {
            TRY(value_domain_check(eval, field->domain, values[i]));
        }
    }
    return ERR_OK;
}

/* ---- sets ------------------------------------------------------------------------------------ */

struct record_walk {
    struct json value;
    const struct row_shape *shape;
    const char *name; /* of the function, for its words */
    uint32_t at, count;
    bool set, null;
};

static enum err
start(struct eval *eval, oid_t type, const char *name, bool set, void *memory,
    const struct datum *args, int count)
{
    struct record_walk *state = memory;
    *state = (struct record_walk){.name = name, .set = set, .null = args[0].null};
    state->shape = (const struct row_shape *)(intptr_t)args[count - 1].i;
    state->count = set ? 0 : 1;
    if (state->null) {
        return ERR_OK;
    }
    TRY(json__load(eval, type, args[0], &state->value));
    enum json_kind kind = state->value.kind;
    if (kind != (set ? JSON_ARRAY : JSON_OBJECT)) {
        const char *on = set && type == TYPE_JSONB ? "a non-array"
                         : kind == JSON_OBJECT     ? "an object"
                         : kind == JSON_ARRAY      ? "an array"
                                                   : "a scalar";
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "cannot call %s on %s",
            !set && type == TYPE_JSONB ? "populate_composite" : name, on);
    }
    json__expand(eval->arena, &state->value);
    state->count = set ? state->value.count : 1;
    return ERR_OK;
}

static enum err
next(struct eval *eval, void *memory, struct datum *values, bool *done)
{
    struct record_walk *state = memory;
    *done = state->at >= state->count;
    if (*done) {
        return ERR_OK;
    }
    struct json object = state->null  ? (struct json){.kind = JSON_NULL}
                         : state->set ? state->value.items[state->at].value
                                      : state->value;
    state->at++;
    if (state->set && object.kind != JSON_OBJECT) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
            "argument of %s must be an array of objects", state->name);
    }
    return fill_row(eval, state->shape, state->null ? NULL : &object, values);
}

#define RECORD_SET(name, type, set)                                           \
    static enum err name##_start(                                             \
        struct eval *eval, void *memory, const struct datum *args, int count) \
    {                                                                         \
        return start(eval, type, #name, set, memory, args, count);            \
    }                                                                         \
    static const struct set_function name##_set = {                           \
        .state_size = sizeof(struct record_walk), .start = name##_start, .next = next};

RECORD_SET(json_to_record, TYPE_JSON, false)
RECORD_SET(jsonb_to_record, TYPE_JSONB, false)
RECORD_SET(json_to_recordset, TYPE_JSON, true)
RECORD_SET(jsonb_to_recordset, TYPE_JSONB, true)
RECORD_SET(json_populate_record, TYPE_JSON, false)
RECORD_SET(jsonb_populate_record, TYPE_JSONB, false)
RECORD_SET(json_populate_recordset, TYPE_JSON, true)
RECORD_SET(jsonb_populate_recordset, TYPE_JSONB, true)

#define SHAPED(name, oid, type)                                                          \
    {                                                                                    \
#name, oid, TYPE_RECORD, 1, 1, FUNCTION_SET | FUNCTION_STABLE | FUNCTION_SHAPED, \
            {type }, NULL, NULL, &name##_set                                             \
    }

static const struct function functions[] = {
    SHAPED(json_to_record, 3204, TYPE_JSON),
    SHAPED(jsonb_to_record, 3490, TYPE_JSONB),
    SHAPED(json_to_recordset, 3205, TYPE_JSON),
    SHAPED(jsonb_to_recordset, 3491, TYPE_JSONB),
    /* Without the row to populate, of which the binder makes the shape. */
    SHAPED(json_populate_record, 3960, TYPE_JSON),
    SHAPED(jsonb_populate_record, 3209, TYPE_JSONB),
    SHAPED(json_populate_recordset, 3961, TYPE_JSON),
    SHAPED(jsonb_populate_recordset, 3475, TYPE_JSONB),
};

const struct function_rows json_record_rows = {ROWS(functions), NULL, 0, NULL, 0};
