/*
 * sql/value/json_build.c - json and jsonb made of SQL values: to_json, row_to_json, *_build_*,
 * *_agg.
 *
 * json is written as text, jsonb made as a struct json and encoded. Functions that take values of
 * any type get the type of each behind it (FUNCTION_TYPED_ARGS).
 */
#include "base/assert.h"
#include "sql/value/array.h"
#include "sql/value/json.h"
#include "sql/value/record.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

/* ---- one value ------------------------------------------------------------------------------- */

enum form {
    FORM_PLAIN, /* text in quotes */
    FORM_BOOL,
    FORM_NUMBER,
    FORM_TIME, /* text in quotes, by ISO 8601 */
    FORM_JSON,
    FORM_JSONB,
    FORM_ARRAY,
    FORM_RECORD,
};

static enum form
form_of(oid_t type)
{
    switch (type) {
    case TYPE_BOOL:
        return FORM_BOOL;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
    case TYPE_NUMERIC:
        return FORM_NUMBER;
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return FORM_TIME;
    case TYPE_JSON:
        return FORM_JSON;
    case TYPE_JSONB:
        return FORM_JSONB;
    case TYPE_RECORD:
        return FORM_RECORD;
    default:
        return type_element(type) != 0 ? FORM_ARRAY : FORM_PLAIN;
    }
}

/* "2020-01-01 10:00:00+02" as 2020-01-01T10:00:00+02:00. */
static void
put_time(const struct eval_env *env, oid_t type, struct datum value, struct buffer *to)
{
    size_t start = to->size;
    datetime__output_iso(env, type, value, to);
    uint8_t *text = to->data + start;
    size_t size = to->size - start;
    uint8_t *blank = type == TYPE_DATE ? NULL : memchr(text, ' ', size);
    if (blank == NULL || blank + 1 == text + size || blank[1] < '0' || blank[1] > '9') {
        return; /* a date, infinity, or a date before Christ */
    }
    *blank = 'T';
    if (type != TYPE_TIMESTAMPTZ) {
        return;
    }
    size_t sign = (size_t)(blank - text);
    while (sign < size && text[sign] != '+' && text[sign] != '-') {
        sign++;
    }
    size_t end = sign;
    bool minutes = false;
    for (; end < size && text[end] != ' '; end++) {
        minutes = minutes || text[end] == ':';
    }
    if (!minutes && sign < size) {
        struct buffer rest = {0};
        buffer_add(&rest, text + end, size - end);
        to->size = start + end;
        buffer_add_text(to, ":00");
        buffer_add(to, rest.data, rest.size);
        buffer_destroy(&rest);
    }
}

static void
text_of(struct eval *eval, oid_t type, struct datum value, struct buffer *to)
{
    if (form_of(type) == FORM_BOOL) {
        buffer_add_text(to, value.i != 0 ? "true" : "false");
    } else if (form_of(type) == FORM_TIME) {
        put_time(eval->env, type, value, to);
    } else {
        type_output(eval->env, type, value, to);
    }
}

/* NaN and the infinities are not JSON's. */
static bool
is_number(struct slice text)
{
    uint8_t last = text.size == 0 ? 0 : text.data[text.size - 1];
    return last >= '0' && last <= '9';
}

static enum err put(
    struct eval *eval, oid_t type, struct datum value, bool lines, int depth, struct buffer *to);

/* From the reader's place on, so many elements in each of the dimensions from d. */
static enum err
put_array(struct eval *eval, struct array_reader *reader, uint32_t d, bool lines, int depth,
    struct buffer *to)
{
    buffer_add_u8(to, '[');
    for (int32_t i = 0; reader->count > 0 && i < reader->sizes[d]; i++) {
        if (i > 0) {
            buffer_add_text(to, lines ? ",\n " : ",");
        }
        if (d + 1 < reader->dimensions) {
            TRY(put_array(eval, reader, d + 1, false, depth, to));
            continue;
        }
        struct datum element;
        (void)array__next(reader, &element);
        TRY(put(eval, reader->element, element, false, depth, to));
    }
    buffer_add_u8(to, ']');
    return ERR_OK;
}

static enum err
put_record(struct eval *eval, struct datum value, bool lines, int depth, struct buffer *to)
{
    struct record_reader reader;
    struct record_column column;
    record__open(value, &reader);
    buffer_add_u8(to, '{');
    for (bool first = true; record__next(&reader, &column); first = false) {
        if (!first) {
            buffer_add_text(to, lines ? ",\n " : ",");
        }
        json__quote(column.name, to);
        buffer_add_u8(to, ':');
        TRY(put(eval, column.type, column.value, false, depth, to));
    }
    buffer_add_u8(to, '}');
    return ERR_OK;
}

static enum err
put(struct eval *eval, oid_t type, struct datum value, bool lines, int depth, struct buffer *to)
{
    if (value.null) {
        buffer_add_text(to, "null");
        return ERR_OK;
    }
    if (depth == 0) {
        return diag_set(eval->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    struct buffer text = {0};
    size_t start = to->size;
    switch (form_of(type)) {
    case FORM_ARRAY: {
        struct array_reader reader;
        (void)array__open(value, &reader);
        return put_array(eval, &reader, 0, lines, depth - 1, to);
    }
    case FORM_RECORD:
        return put_record(eval, value, lines, depth - 1, to);
    case FORM_JSON:
        buffer_add(to, value.p, value.size);
        return ERR_OK;
    case FORM_JSONB:
        jsonb__output(value, to);
        return ERR_OK;
    case FORM_BOOL:
        text_of(eval, type, value, to);
        return ERR_OK;
    case FORM_NUMBER:
        type_output(eval->env, type, value, to);
        if (is_number(slice_of(to->data + start, to->size - start))) {
            return ERR_OK;
        }
        to->size = start;
        break;
    default:
        break;
    }
    text_of(eval, type, value, &text);
    json__quote(slice_of(text.data, text.size), to);
    buffer_destroy(&text);
    return ERR_OK;
}

enum err
json__of_datum(struct eval *eval, oid_t type, struct datum value, struct buffer *to)
{
    return put(eval, type, value, false, JSON_DEPTH_MAX, to);
}

static enum err make(struct eval *eval, oid_t type, struct datum value, int depth, struct json *to);

static enum err
make_array(struct eval *eval, struct array_reader *reader, uint32_t d, int depth, struct json *to)
{
    *to = (struct json){.kind = JSON_ARRAY};
    if (reader->count == 0) {
        return ERR_OK;
    }
    to->count = (uint32_t)reader->sizes[d];
    to->items = arena_alloc(eval->arena, (to->count + (size_t)1) * sizeof *to->items);
    for (uint32_t i = 0; i < to->count; i++) {
        if (d + 1 < reader->dimensions) {
            TRY(make_array(eval, reader, d + 1, depth, &to->items[i].value));
            continue;
        }
        struct datum element;
        (void)array__next(reader, &element);
        TRY(make(eval, reader->element, element, depth, &to->items[i].value));
    }
    return ERR_OK;
}

static enum err
make_record(struct eval *eval, struct datum value, int depth, struct json *to)
{
    struct record_reader reader;
    struct record_column column;
    record__open(value, &reader);
    *to = (struct json){.kind = JSON_OBJECT};
    to->items = arena_alloc(eval->arena, (reader.count + (size_t)1) * sizeof *to->items);
    while (record__next(&reader, &column)) {
        to->items[to->count].name = column.name;
        TRY(make(eval, column.type, column.value, depth, &to->items[to->count].value));
        to->count++;
    }
    return ERR_OK;
}

static enum err
make_scalar(struct eval *eval, oid_t type, struct datum value, struct json *to)
{
    struct buffer text = {0};
    enum err err = ERR_OK;
    text_of(eval, type, value, &text);
    struct slice own = slice_of(arena_copy(eval->arena, text.data, text.size), text.size);
    buffer_destroy(&text);
    *to = (struct json){.kind = JSON_STRING, .text = own};
    if (form_of(type) == FORM_NUMBER && is_number(own)) {
        struct datum numeric;
        err = numeric__input(eval, -1, own, &numeric);
        *to = (struct json){.kind = JSON_NUMBER, .text = datum_slice(numeric)};
    }
    return err;
}

static enum err
make(struct eval *eval, oid_t type, struct datum value, int depth, struct json *to)
{
    *to = (struct json){.kind = JSON_NULL};
    if (value.null) {
        return ERR_OK;
    }
    if (depth == 0) {
        return diag_set(eval->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    switch (form_of(type)) {
    case FORM_ARRAY: {
        struct array_reader reader;
        (void)array__open(value, &reader);
        return make_array(eval, &reader, 0, depth - 1, to);
    }
    case FORM_RECORD:
        return make_record(eval, value, depth - 1, to);
    case FORM_JSON:
        return json__parse(eval, datum_slice(value), JSON_STRINGS | JSON_NUMBERS, to);
    case FORM_JSONB:
        *to = jsonb__value(datum_slice(value));
        return ERR_OK;
    case FORM_BOOL:
        to->kind = value.i != 0 ? JSON_TRUE : JSON_FALSE;
        return ERR_OK;
    case FORM_NUMBER:
        if (type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8) {
            to->kind = JSON_NUMBER;
            to->text = datum_slice(numeric__from_int(eval->arena, value.i));
            return ERR_OK;
        }
        break;
    default:
        break;
    }
    return make_scalar(eval, type, value, to);
}

enum err
json__make(
    struct eval *eval, struct arena *arena, oid_t type, struct datum value, struct json *result)
{
    struct eval own = {.task = eval->task, .arena = arena, .diag = eval->diag, .env = eval->env};
    return make(&own, type, value, JSON_DEPTH_MAX, result);
}

/* ---- functions of one value ------------------------------------------------------------------ */

static enum err
to_text(struct eval *eval, oid_t type, struct datum value, bool lines, struct datum *result)
{
    struct buffer to = {0};
    enum err err = put(eval, type, value, lines, JSON_DEPTH_MAX, &to);
    if (err == ERR_OK) {
        *result = value__bytes(eval, to.data, to.size);
    }
    buffer_destroy(&to);
    return err;
}

FN(to_json)
{
    UNUSED_COUNT;
    return to_text(eval, (oid_t)args[1].i, args[0], false, result);
}

FN(row_to_json)
{
    return to_text(eval, TYPE_RECORD, args[0], count > 1 && args[1].i != 0, result);
}

/* Bind adds the type of the elements behind. */
FN(array_to_json)
{
    struct buffer to = {0};
    struct array_reader reader;
    (void)array__open(args[0], &reader);
    enum err err =
        put_array(eval, &reader, 0, count > 2 && args[1].i != 0, JSON_DEPTH_MAX - 1, &to);
    if (err == ERR_OK) {
        *result = value__bytes(eval, to.data, to.size);
    }
    buffer_destroy(&to);
    return err;
}

FN(to_jsonb)
{
    UNUSED_COUNT;
    struct json value;
    TRY(json__make(eval, eval->arena, (oid_t)args[1].i, args[0], &value));
    return jsonb__encode(eval, &value, result);
}

/* ---- objects and arrays of many -------------------------------------------------------------- */

/* The text of a name, not yet in quotes. */
static enum err
name_of(struct eval *eval, oid_t type, struct datum value, struct buffer *to)
{
    enum form form = form_of(type);
    if (form == FORM_ARRAY || form == FORM_RECORD || form == FORM_JSON || form == FORM_JSONB) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
            "key value must be scalar, not array, composite, or json");
    }
    text_of(eval, type, value, to);
    return ERR_OK;
}

static enum err
null_name(struct eval *eval, bool jsonb, int position)
{
    (void)diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
        jsonb ? "argument %d: key must not be null" : "argument %d cannot be null", position);
    if (!jsonb && eval->diag != NULL) {
        diag_hint(eval->diag, "Object keys should be text.");
    }
    return ERR_INVALID_PARAMETER_VALUE;
}

static enum err
check_pairs(struct eval *eval, int count, const char *function)
{
    if (count % 4 == 0) {
        return ERR_OK;
    }
    (void)diag_set(
        eval->diag, ERR_INVALID_PARAMETER_VALUE, "argument list must have even number of elements");
    if (eval->diag != NULL) {
        diag_hint(eval->diag, "The arguments of %s must consist of alternating keys and values.",
            function);
    }
    return ERR_INVALID_PARAMETER_VALUE;
}

static enum err
put_name(struct eval *eval, const struct datum *typed, struct buffer *to)
{
    struct buffer name = {0};
    enum err err = name_of(eval, (oid_t)typed[1].i, typed[0], &name);
    json__quote(slice_of(name.data, name.size), to);
    buffer_destroy(&name);
    return err;
}

static enum err
build_object_text(struct eval *eval, const struct datum *args, int count, struct buffer *to)
{
    buffer_add_u8(to, '{');
    for (int i = 0; i < count; i += 4) {
        if (i > 0) {
            buffer_add_text(to, ", ");
        }
        if (args[i].null) {
            return null_name(eval, false, i / 2 + 1);
        }
        TRY(put_name(eval, &args[i], to));
        buffer_add_text(to, " : ");
        TRY(json__of_datum(eval, (oid_t)args[i + 3].i, args[i + 2], to));
    }
    buffer_add_u8(to, '}');
    return ERR_OK;
}

FN(json_build_object)
{
    struct buffer to = {0};
    TRY(check_pairs(eval, count, "json_build_object()"));
    enum err err = build_object_text(eval, args, count, &to);
    if (err == ERR_OK) {
        *result = value__bytes(eval, to.data, to.size);
    }
    buffer_destroy(&to);
    return err;
}

FN(json_build_array)
{
    struct buffer to = {0};
    enum err err = ERR_OK;
    buffer_add_u8(&to, '[');
    for (int i = 0; i < count && err == ERR_OK; i += 2) {
        if (i > 0) {
            buffer_add_text(&to, ", ");
        }
        err = json__of_datum(eval, (oid_t)args[i + 1].i, args[i], &to);
    }
    buffer_add_u8(&to, ']');
    if (err == ERR_OK) {
        *result = value__bytes(eval, to.data, to.size);
    }
    buffer_destroy(&to);
    return err;
}

static enum err
make_name(struct eval *eval, struct arena *arena, const struct datum *typed, struct slice *name)
{
    struct buffer text = {0};
    enum err err = name_of(eval, (oid_t)typed[1].i, typed[0], &text);
    *name = slice_of(arena_copy(arena, text.data, text.size), text.size);
    buffer_destroy(&text);
    return err;
}

FN(jsonb_build_object)
{
    struct json object = {.kind = JSON_OBJECT};
    TRY(check_pairs(eval, count, "jsonb_build_object()"));
    object.items = arena_alloc(eval->arena, ((size_t)count / 4 + 1) * sizeof *object.items);
    for (int i = 0; i < count; i += 4) {
        struct json_item *item = &object.items[object.count++];
        if (args[i].null) {
            return null_name(eval, true, i / 2 + 1);
        }
        TRY(make_name(eval, eval->arena, &args[i], &item->name));
        TRY(json__make(eval, eval->arena, (oid_t)args[i + 3].i, args[i + 2], &item->value));
    }
    return jsonb__encode(eval, &object, result);
}

FN(jsonb_build_array)
{
    struct json array = {.kind = JSON_ARRAY};
    array.items = arena_alloc(eval->arena, ((size_t)count / 2 + 1) * sizeof *array.items);
    for (int i = 0; i < count; i += 2) {
        TRY(json__make(
            eval, eval->arena, (oid_t)args[i + 1].i, args[i], &array.items[array.count++].value));
    }
    return jsonb__encode(eval, &array, result);
}

/* json_object(text[]): names and values by turns, or in two columns; or in two arrays. */
static enum err
object_of_texts(struct eval *eval, const struct datum *args, int count, struct json *object)
{
    struct array_reader names, values;
    (void)array__open(args[0], &names);
    *object = (struct json){.kind = JSON_OBJECT};
    if (count == 1) {
        if (names.dimensions > 2) {
            return diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT, "wrong number of array subscripts");
        }
        if (names.dimensions == 1 && names.sizes[0] % 2 != 0) {
            return diag_set(
                eval->diag, ERR_ARRAY_SUBSCRIPT, "array must have even number of elements");
        }
        if (names.dimensions == 2 && names.sizes[1] != 2) {
            return diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT, "array must have two columns");
        }
    } else {
        (void)array__open(args[1], &values);
        if (names.dimensions > 1 || names.dimensions != values.dimensions) {
            return diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT, "wrong number of array subscripts");
        }
        if (names.count != values.count) {
            return diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT, "mismatched array dimensions");
        }
    }
    object->items = arena_alloc(eval->arena, (names.count + (size_t)1) * sizeof *object->items);
    struct datum name, value;
    while (array__next(&names, &name)) {
        (void)array__next(count == 1 ? &names : &values, &value);
        struct json_item *item = &object->items[object->count++];
        if (name.null) {
            return diag_set(eval->diag, ERR_NULL_VALUE, "null value not allowed for object key");
        }
        item->name = datum_slice(name);
        item->value.kind = value.null ? JSON_NULL : JSON_STRING;
        item->value.text = value.null ? slice_of(NULL, 0) : datum_slice(value);
    }
    return ERR_OK;
}

FN(jsonb_object)
{
    struct json object;
    TRY(object_of_texts(eval, args, count, &object));
    return jsonb__encode(eval, &object, result);
}

FN(json_object)
{
    struct json object;
    TRY(object_of_texts(eval, args, count, &object));
    struct buffer to = {0};
    buffer_add_u8(&to, '{');
    for (uint32_t i = 0; i < object.count; i++) {
        if (i > 0) {
            buffer_add_text(&to, ", ");
        }
        json__quote(object.items[i].name, &to);
        buffer_add_text(&to, " : ");
        if (object.items[i].value.kind == JSON_NULL) {
            buffer_add_text(&to, "null");
        } else {
            json__quote(object.items[i].value.text, &to);
        }
    }
    buffer_add_u8(&to, '}');
    *result = value__bytes(eval, to.data, to.size);
    buffer_destroy(&to);
    return ERR_OK;
}

/* ---- aggregates ------------------------------------------------------------------------------ */

#define STEP(name)        \
    static enum err name( \
        struct eval *eval, void *memory, struct arena *group, const struct datum *args, int count)
#define FINISH(name) static enum err name(struct eval *eval, void *memory, struct datum *result)

enum {
    AGGREGATE_BYTES_MAX = 1 << 30,
};

/* Text in the group's arena, doubling. */
struct text_state {
    uint8_t *bytes;
    size_t size, capacity;
};

static void
append(struct text_state *state, struct arena *group, const uint8_t *bytes, size_t size)
{
    if (state->size + size > state->capacity) {
        size_t capacity = state->capacity < 64 ? 64 : state->capacity;
        while (capacity < state->size + size) {
            capacity *= 2;
        }
        uint8_t *bigger = arena_alloc_raw(group, capacity);
        if (state->size > 0) {
            memcpy(bigger, state->bytes, state->size);
        }
        state->bytes = bigger;
        state->capacity = capacity;
    }
    memcpy(state->bytes + state->size, bytes, size);
    state->size += size;
}

static enum err
append_buffer(struct eval *eval, struct text_state *state, struct arena *group, struct buffer *text,
    enum err err)
{
    if (err == ERR_OK && state->size + text->size > AGGREGATE_BYTES_MAX) {
        err = diag_set(eval->diag, ERR_PROGRAM_LIMIT, "json aggregate is too large");
    }
    if (err == ERR_OK) {
        append(state, group, text->data, text->size);
    }
    buffer_destroy(text);
    return err;
}

STEP(json_agg_step)
{
    UNUSED_COUNT;
    struct text_state *state = memory;
    struct buffer text = {0};
    oid_t type = (oid_t)args[1].i;
    bool tall = form_of(type) == FORM_ARRAY || form_of(type) == FORM_RECORD;
    buffer_add_text(&text, state->size == 0 ? "[" : ", ");
    if (state->size > 0 && tall && !args[0].null) {
        buffer_add_text(&text, "\n ");
    }
    enum err err = json__of_datum(eval, type, args[0], &text);
    return append_buffer(eval, state, group, &text, err);
}

STEP(json_object_agg_step)
{
    UNUSED_COUNT;
    struct text_state *state = memory;
    struct buffer text = {0};
    if (args[0].null) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "field name must not be null");
    }
    buffer_add_text(&text, state->size == 0 ? "{ " : ", ");
    enum err err = put_name(eval, args, &text);
    if (err == ERR_OK) {
        buffer_add_text(&text, " : ");
        err = json__of_datum(eval, (oid_t)args[3].i, args[2], &text);
    }
    return append_buffer(eval, state, group, &text, err);
}

static enum err
finish_text(
    struct eval *eval, const struct text_state *state, const char *end, struct datum *result)
{
    if (state->size == 0) {
        *result = datum_null();
        return ERR_OK;
    }
    size_t more = strlen(end);
    uint8_t *text = arena_alloc_raw(eval->arena, state->size + more);
    memcpy(text, state->bytes, state->size);
    memcpy(text + state->size, end, more);
    *result = datum_bytes(text, state->size + more);
    return ERR_OK;
}

FINISH(json_agg_finish)
{
    return finish_text(eval, memory, "]", result);
}

FINISH(json_object_agg_finish)
{
    return finish_text(eval, memory, " }", result);
}

struct tree_state {
    struct json_item *items;
    uint32_t count, capacity;
};

static enum err
add_item(struct eval *eval, struct tree_state *state, struct arena *group,
    const struct datum *typed, struct slice name)
{
    if (state->count == state->capacity) {
        uint32_t capacity = state->capacity == 0 ? 8 : state->capacity * 2;
        struct json_item *bigger = arena_alloc_raw(group, capacity * sizeof *bigger);
        if (state->count > 0) {
            memcpy(bigger, state->items, state->count * sizeof *bigger);
        }
        state->items = bigger;
        state->capacity = capacity;
    }
    struct json_item *item = &state->items[state->count++];
    *item = (struct json_item){.name = name};
    /* Encoded, so that all that the group keeps is its own. */
    struct json value;
    struct datum encoded;
    TRY(json__make(eval, eval->arena, (oid_t)typed[1].i, typed[0], &value));
    TRY(jsonb__encode(eval, &value, &encoded));
    item->value = jsonb__value(slice_of(arena_copy(group, encoded.p, encoded.size), encoded.size));
    return ERR_OK;
}

STEP(jsonb_agg_step)
{
    UNUSED_COUNT;
    return add_item(eval, memory, group, args, slice_of(NULL, 0));
}

STEP(jsonb_object_agg_step)
{
    UNUSED_COUNT;
    struct slice name;
    if (args[0].null) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "field name must not be null");
    }
    TRY(make_name(eval, group, args, &name));
    return add_item(eval, memory, group, args + 2, name);
}

static enum err
finish_tree(
    struct eval *eval, const struct tree_state *state, enum json_kind kind, struct datum *result)
{
    struct json value = {.kind = kind, .count = state->count, .items = state->items};
    *result = datum_null();
    return state->count == 0 ? ERR_OK : jsonb__encode(eval, &value, result);
}

FINISH(jsonb_agg_finish)
{
    return finish_tree(eval, memory, JSON_ARRAY, result);
}

FINISH(jsonb_object_agg_finish)
{
    return finish_tree(eval, memory, JSON_OBJECT, result);
}

static const struct aggregate json_agg = {
    sizeof(struct text_state), json_agg_step, json_agg_finish};
static const struct aggregate json_object_agg = {
    sizeof(struct text_state), json_object_agg_step, json_object_agg_finish};
static const struct aggregate jsonb_agg = {
    sizeof(struct tree_state), jsonb_agg_step, jsonb_agg_finish};
static const struct aggregate jsonb_object_agg = {
    sizeof(struct tree_state), jsonb_object_agg_step, jsonb_object_agg_finish};

/* ---- the tables ------------------------------------------------------------------------------ */

#define STABLE   (FUNCTION_STRICT | FUNCTION_STABLE)
#define TYPED    (FUNCTION_STABLE | FUNCTION_TYPED_ARGS)
#define VARIADIC (TYPED | FUNCTION_VARIADIC)
#define AGG      (FUNCTION_AGGREGATE | FUNCTION_TYPED_ARGS)
#define ANY      TYPE_ANY
#define J        TYPE_JSON
#define B        TYPE_JSONB

static const struct function functions[] = {
    {"to_json", 3176, J, 1, 1, TYPED | FUNCTION_STRICT, {ANY}, to_json, NULL, NULL},
    {"to_jsonb", 3787, B, 1, 1, TYPED | FUNCTION_STRICT, {ANY}, to_jsonb, NULL, NULL},
    {"row_to_json", 3155, J, 1, 1, STABLE, {TYPE_RECORD}, row_to_json, NULL, NULL},
    {"row_to_json", 3156, J, 2, 2, STABLE, {TYPE_RECORD, TYPE_BOOL}, row_to_json, NULL, NULL},
    {"array_to_json", 3153, J, 1, 1, STABLE | FUNCTION_ELEMENT, {TYPE_ANYARRAY}, array_to_json,
        NULL, NULL},
    {"array_to_json", 3154, J, 2, 2, STABLE | FUNCTION_ELEMENT, {TYPE_ANYARRAY, TYPE_BOOL},
        array_to_json, NULL, NULL},
    {"json_build_object", 3200, J, 1, 0, VARIADIC, {ANY}, json_build_object, NULL, NULL},
    {"json_build_array", 3198, J, 1, 0, VARIADIC, {ANY}, json_build_array, NULL, NULL},
    {"jsonb_build_object", 3273, B, 1, 0, VARIADIC, {ANY}, jsonb_build_object, NULL, NULL},
    {"jsonb_build_array", 3271, B, 1, 0, VARIADIC, {ANY}, jsonb_build_array, NULL, NULL},
    {"json_object", 3202, J, 1, 1, FUNCTION_STRICT, {TYPE_TEXT_ARRAY}, json_object, NULL, NULL},
    {"json_object", 3203, J, 2, 2, FUNCTION_STRICT, {TYPE_TEXT_ARRAY, TYPE_TEXT_ARRAY}, json_object,
        NULL, NULL},
    {"jsonb_object", 3263, B, 1, 1, FUNCTION_STRICT, {TYPE_TEXT_ARRAY}, jsonb_object, NULL, NULL},
    {"jsonb_object", 3264, B, 2, 2, FUNCTION_STRICT, {TYPE_TEXT_ARRAY, TYPE_TEXT_ARRAY},
        jsonb_object, NULL, NULL},
    {"json_agg", 3175, J, 1, 1, AGG, {ANY}, NULL, &json_agg, NULL},
    {"jsonb_agg", 3267, B, 1, 1, AGG, {ANY}, NULL, &jsonb_agg, NULL},
    {"json_object_agg", 3197, J, 2, 2, AGG, {ANY, ANY}, NULL, &json_object_agg, NULL},
    {"jsonb_object_agg", 3270, B, 2, 2, AGG, {ANY, ANY}, NULL, &jsonb_object_agg, NULL},
};

const struct function_rows json_build_rows = {ROWS(functions), NULL, 0, NULL, 0};
