/*
 * sql/value/json_functions.c - what is taken out of json and jsonb, and jsonb changed.
 *
 * Most functions exist for both types and do the same: json__load reads a json's text or wraps a
 * jsonb's node, put_value gives a part back as the type it came from.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "sql/value/array.h"
#include "sql/value/json.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

enum err
json__load(struct eval *eval, oid_t type, struct datum datum, struct json *value)
{
    if (type == TYPE_JSONB) {
        *value = jsonb__value(datum_slice(datum));
        return ERR_OK;
    }
    return json__parse(eval, datum_slice(datum), JSON_STRINGS, value);
}

static enum err
put_value(struct eval *eval, oid_t type, const struct json *value, struct datum *result)
{
    if (type == TYPE_JSONB) {
        return jsonb__encode(eval, value, result);
    }
    *result = datum_bytes(value->raw.data, value->raw.size);
    return ERR_OK;
}

struct datum
json__as_text(struct eval *eval, struct json *value)
{
    json__expand(eval->arena, value);
    if (value->kind == JSON_NULL) {
        return datum_null();
    }
    if (value->kind == JSON_STRING) {
        return datum_bytes(value->text.data, value->text.size);
    }
    /* What was a json's text stays as it was; a node prints. */
    bool node = value->raw.size > 0 && value->raw.data[0] <= JSON_OBJECT;
    if (!node) {
        return datum_bytes(value->raw.data, value->raw.size);
    }
    struct buffer to = {0};
    jsonb__print(value->raw, -1, &to);
    struct datum text = value__bytes(eval, to.data, to.size);
    buffer_destroy(&to);
    return text;
}

static enum err
put_part(struct eval *eval, oid_t type, bool text, struct json *value, struct datum *result)
{
    if (!text) {
        return put_value(eval, type, value, result);
    }
    *result = json__as_text(eval, value);
    return ERR_OK;
}

/* ---- parts ----------------------------------------------------------------------------------- */

bool
json__field(struct eval *eval, struct json *value, struct slice name, struct json *part)
{
    if (value->encoded) {
        struct jsonb_reader reader;
        struct slice node;
        jsonb__open(value->raw, &reader);
        if (!jsonb__find(&reader, name, &node)) {
            return false;
        }
        *part = jsonb__value(node);
        return true;
    }
    json__expand(eval->arena, value);
    for (uint32_t i = value->kind == JSON_OBJECT ? value->count : 0; i > 0; i--) {
        if (slice_equal(value->items[i - 1].name, name)) {
            *part = value->items[i - 1].value;
            return true;
        }
    }
    return false;
}

static bool
get_element(struct json *value, int64_t index, struct json *part)
{
    struct jsonb_reader reader = {.kind = value->kind, .count = value->count};
    if (value->encoded) {
        jsonb__open(value->raw, &reader);
    }
    index = index < 0 ? index + reader.count : index;
    if (reader.kind != JSON_ARRAY || index < 0 || index >= reader.count) {
        return false;
    }
    *part = value->encoded ? jsonb__value(jsonb__item(&reader, (uint32_t)index))
                           : value->items[index].value;
    return true;
}

static enum err
field(struct eval *eval, oid_t type, const struct datum *args, bool text, struct datum *result)
{
    struct json value, part;
    TRY(json__load(eval, type, args[0], &value));
    *result = datum_null();
    return json__field(eval, &value, datum_slice(args[1]), &part)
               ? put_part(eval, type, text, &part, result)
               : ERR_OK;
}

static enum err
element(struct eval *eval, oid_t type, const struct datum *args, bool text, struct datum *result)
{
    struct json value, part;
    TRY(json__load(eval, type, args[0], &value));
    *result = datum_null();
    if (value.kind < JSON_ARRAY && type == TYPE_JSONB && (args[1].i == 0 || args[1].i == -1)) {
        /* To PostgreSQL a scalar is an array of one. */
        return put_part(eval, type, text, &value, result);
    }
    return get_element(&value, args[1].i, &part) ? put_part(eval, type, text, &part, result)
                                                 : ERR_OK;
}

/* A path's step as an index: false if it is no number. */
static bool
index_of(struct slice text, int64_t *index)
{
    char digits[16];
    if (text.size == 0 || text.size >= sizeof digits) {
        return false;
    }
    memcpy(digits, text.data, text.size);
    digits[text.size] = '\0';
    char *end = NULL;
    long number = strtol(digits, &end, 10);
    *index = number;
    return *end == '\0' && number >= INT32_MIN && number <= INT32_MAX;
}

static enum err
walk(struct eval *eval, oid_t type, struct datum from, const struct datum *path, uint32_t count,
    bool text, struct datum *result)
{
    struct json value;
    TRY(json__load(eval, type, from, &value));
    *result = datum_null();
    for (uint32_t i = 0; i < count; i++) {
        struct json part;
        int64_t index = 0;
        struct slice step = datum_slice(path[i]);
        bool found = value.kind == JSON_OBJECT ? json__field(eval, &value, step, &part)
                     : value.kind == JSON_ARRAY
                         ? index_of(step, &index) && get_element(&value, index, &part)
                         : false;
        if (!found) {
            return ERR_OK;
        }
        value = part;
    }
    return put_part(eval, type, text, &value, result);
}

static enum err
path(struct eval *eval, oid_t type, const struct datum *args, bool text, struct datum *result)
{
    struct datum *steps;
    uint32_t count = array_elements(eval->arena, args[1], &steps);
    for (uint32_t i = 0; i < count; i++) {
        if (steps[i].null) {
            *result = datum_null();
            return ERR_OK;
        }
    }
    return walk(eval, type, args[0], steps, count, text, result);
}

#define BOTH(name, call)                                    \
    FN(json_##name)                                         \
    {                                                       \
        UNUSED_COUNT;                                       \
        return call(eval, TYPE_JSON, args, false, result);  \
    }                                                       \
    FN(json_##name##_text)                                  \
    {                                                       \
        UNUSED_COUNT;                                       \
        return call(eval, TYPE_JSON, args, true, result);   \
    }                                                       \
    FN(jsonb_##name)                                        \
    {                                                       \
        UNUSED_COUNT;                                       \
        return call(eval, TYPE_JSONB, args, false, result); \
    }                                                       \
    FN(jsonb_##name##_text)                                 \
    {                                                       \
        UNUSED_COUNT;                                       \
        return call(eval, TYPE_JSONB, args, true, result);  \
    }
BOTH(field, field)
BOTH(element, element)
BOTH(path, path)

#define STEPS(name, type, text)                                                          \
    FN(name)                                                                             \
    {                                                                                    \
        return walk(eval, type, args[0], args + 1, (uint32_t)(count - 1), text, result); \
    }
STEPS(json_steps, TYPE_JSON, false)
STEPS(json_steps_text, TYPE_JSON, true)
STEPS(jsonb_steps, TYPE_JSONB, false)
STEPS(jsonb_steps_text, TYPE_JSONB, true)

/* ---- looking --------------------------------------------------------------------------------- */

static const char *
kind_name(enum json_kind kind)
{
    static const char *const names[] = {[JSON_NULL] = "null",
        [JSON_STRING] = "string",
        [JSON_NUMBER] = "number",
        [JSON_FALSE] = "boolean",
        [JSON_TRUE] = "boolean",
        [JSON_ARRAY] = "array",
        [JSON_OBJECT] = "object"};
    return names[kind];
}

static enum err
type_of(struct eval *eval, oid_t type, const struct datum *args, struct datum *result)
{
    struct json value;
    TRY(json__load(eval, type, args[0], &value));
    *result = value__text(eval, kind_name(value.kind));
    return ERR_OK;
}

static enum err
array_length(struct eval *eval, oid_t type, const struct datum *args, struct datum *result)
{
    struct json value;
    TRY(json__load(eval, type, args[0], &value));
    if (value.kind != JSON_ARRAY) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "cannot get array length of a %s",
            value.kind == JSON_OBJECT ? "non-array" : "scalar");
    }
    json__expand(eval->arena, &value);
    *result = datum_int(value.count);
    return ERR_OK;
}

/* Without members that are null, at any depth. */
static struct json
strip(struct arena *arena, struct json value)
{
    json__expand(arena, &value);
    if (value.kind < JSON_ARRAY) {
        return value;
    }
    struct json_item *items = arena_alloc_raw(arena, (value.count + (size_t)1) * sizeof *items);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < value.count; i++) {
        struct json_item item = value.items[i];
        if (value.kind == JSON_OBJECT && item.value.kind == JSON_NULL) {
            continue;
        }
        item.value = strip(arena, item.value);
        items[kept++] = item;
    }
    value.items = items;
    value.count = kept;
    return value;
}

/* Parsed json without any blanks; scalars as they were written. */
static void
print_tight(const struct json *value, struct buffer *to)
{
    if (value->kind == JSON_STRING) {
        json__quote(value->text, to);
        return;
    }
    if (value->kind < JSON_ARRAY) {
        buffer_add(to, value->raw.data, value->raw.size);
        return;
    }
    buffer_add_u8(to, value->kind == JSON_OBJECT ? '{' : '[');
    for (uint32_t i = 0; i < value->count; i++) {
        if (i > 0) {
            buffer_add_u8(to, ',');
        }
        if (value->kind == JSON_OBJECT) {
            json__quote(value->items[i].name, to);
            buffer_add_u8(to, ':');
        }
        print_tight(&value->items[i].value, to);
    }
    buffer_add_u8(to, value->kind == JSON_OBJECT ? '}' : ']');
}

static enum err
strip_nulls(struct eval *eval, oid_t type, const struct datum *args, struct datum *result)
{
    struct json value;
    TRY(json__load(eval, type, args[0], &value));
    value = strip(eval->arena, value);
    if (type == TYPE_JSONB) {
        return jsonb__encode(eval, &value, result);
    }
    struct buffer to = {0};
    print_tight(&value, &to);
    *result = value__bytes(eval, to.data, to.size);
    buffer_destroy(&to);
    return ERR_OK;
}

#define EITHER(name)                                 \
    FN(json_##name)                                  \
    {                                                \
        UNUSED_COUNT;                                \
        return name(eval, TYPE_JSON, args, result);  \
    }                                                \
    FN(jsonb_##name)                                 \
    {                                                \
        UNUSED_COUNT;                                \
        return name(eval, TYPE_JSONB, args, result); \
    }
EITHER(type_of)
EITHER(array_length)
EITHER(strip_nulls)

FN(jsonb_pretty)
{
    UNUSED_COUNT;
    struct buffer to = {0};
    jsonb__print(datum_slice(args[0]), 0, &to);
    *result = value__bytes(eval, to.data, to.size);
    buffer_destroy(&to);
    return ERR_OK;
}

/* ---- containment ----------------------------------------------------------------------------- */

static bool contains(struct slice whole, struct slice part);

static bool
array_contains(const struct jsonb_reader *array, struct slice part)
{
    bool container = part.size > 0 && part.data[0] >= JSON_ARRAY;
    for (uint32_t i = 0; i < array->count; i++) {
        struct slice item = jsonb__item(array, i);
        bool same = item.size > 0 && item.data[0] == part.data[0];
        if (same && (container ? contains(item, part)
                               : jsonb__compare(datum_bytes(item.data, item.size),
                                     datum_bytes(part.data, part.size)) == 0)) {
            return true;
        }
    }
    return false;
}

/* Both of one kind. */
static bool
contains(struct slice whole, struct slice part)
{
    struct jsonb_reader a, b;
    jsonb__open(whole, &a);
    jsonb__open(part, &b);
    if (a.kind != b.kind) {
        return false;
    }
    if (a.kind < JSON_ARRAY) {
        return jsonb__compare(
                   datum_bytes(whole.data, whole.size), datum_bytes(part.data, part.size)) == 0;
    }
    for (uint32_t i = 0; i < b.count; i++) {
        struct slice item = jsonb__item(&b, i);
        struct slice found;
        if (item.size == 0) {
            return false;
        }
        if (a.kind == JSON_ARRAY
                ? !array_contains(&a, item)
                : !jsonb__find(&a, jsonb__name(&b, i), &found) || !contains(found, item)) {
            return false;
        }
    }
    return true;
}

static bool
whole_contains(struct datum whole, struct datum part)
{
    struct jsonb_reader reader;
    jsonb__open(datum_slice(whole), &reader);
    if (reader.kind == JSON_ARRAY && part.size > 0 && part.p[0] < JSON_ARRAY) {
        return array_contains(&reader, datum_slice(part));
    }
    return contains(datum_slice(whole), datum_slice(part));
}

FN(jsonb_contains)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_bool(whole_contains(args[0], args[1]));
    return ERR_OK;
}

FN(jsonb_contained)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_bool(whole_contains(args[1], args[0]));
    return ERR_OK;
}

/* A member of that name, or a string among the elements. */
static bool
exists(struct datum value, struct slice name)
{
    struct jsonb_reader reader;
    struct slice found;
    jsonb__open(datum_slice(value), &reader);
    if (reader.kind == JSON_STRING) {
        return slice_equal(reader.scalar, name);
    }
    for (uint32_t i = 0; reader.kind == JSON_ARRAY && i < reader.count; i++) {
        struct slice item = jsonb__item(&reader, i);
        if (item.size > 0 && item.data[0] == JSON_STRING &&
            slice_equal(slice_of(item.data + 1, item.size - 1), name)) {
            return true;
        }
    }
    return jsonb__find(&reader, name, &found);
}

FN(jsonb_exists)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_bool(exists(args[0], datum_slice(args[1])));
    return ERR_OK;
}

static void
exists_many(const struct datum *args, bool all, struct datum *result)
{
    struct array_reader reader;
    struct datum name;
    (void)array__open(args[1], &reader);
    *result = datum_bool(all);
    while (array__next(&reader, &name)) {
        if (!name.null && exists(args[0], datum_slice(name)) != all) {
            *result = datum_bool(!all);
        }
    }
}

FN(jsonb_exists_any)
{
    (void)eval;
    UNUSED_COUNT;
    exists_many(args, false, result);
    return ERR_OK;
}

FN(jsonb_exists_all)
{
    (void)eval;
    UNUSED_COUNT;
    exists_many(args, true, result);
    return ERR_OK;
}

/* ---- comparing ------------------------------------------------------------------------------- */

#define COMPARE(name, op)                                            \
    FN(name)                                                         \
    {                                                                \
        (void)eval;                                                  \
        UNUSED_COUNT;                                                \
        *result = datum_bool(jsonb__compare(args[0], args[1]) op 0); \
        return ERR_OK;                                               \
    }
COMPARE(jsonb_eq, ==)
COMPARE(jsonb_ne, !=)
COMPARE(jsonb_lt, <)
COMPARE(jsonb_le, <=)
COMPARE(jsonb_gt, >)
COMPARE(jsonb_ge, >=)

/* ---- changing jsonb -------------------------------------------------------------------------- */

static void
append_items(struct json *to, const struct json *from)
{
    if (from->kind != JSON_ARRAY && to->kind == JSON_ARRAY) {
        to->items[to->count++] = (struct json_item){.value = *from};
        return;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        to->items[to->count++] = from->items[i];
    }
}

FN(jsonb_concat)
{
    UNUSED_COUNT;
    struct json a = jsonb__value(datum_slice(args[0]));
    struct json b = jsonb__value(datum_slice(args[1]));
    bool objects = a.kind == JSON_OBJECT && b.kind == JSON_OBJECT;
    if (objects || a.kind == JSON_ARRAY) {
        json__expand(eval->arena, &a);
    }
    if (objects || b.kind == JSON_ARRAY) {
        json__expand(eval->arena, &b);
    }
    struct json both = {.kind = objects ? JSON_OBJECT : JSON_ARRAY};
    both.items =
        arena_alloc_raw(eval->arena, ((size_t)a.count + b.count + 2) * sizeof(struct json_item));
    append_items(&both, &a);
    append_items(&both, &b); /* jsonb__encode keeps the last of equal names */
    return jsonb__encode(eval, &both, result);
}

static void
remove_item(struct json *value, uint32_t at)
{
    memmove(
        &value->items[at], &value->items[at + 1], (value->count - at - 1) * sizeof *value->items);
    value->count--;
}

static void
insert_item(struct arena *arena, struct json *value, uint32_t at, struct json_item item)
{
    struct json_item *items = arena_alloc_raw(arena, (value->count + (size_t)1) * sizeof *items);
    if (at > 0) {
        memcpy(items, value->items, at * sizeof *items);
    }
    items[at] = item;
    if (at < value->count) {
        memcpy(items + at + 1, value->items + at, (value->count - at) * sizeof *items);
    }
    value->items = items;
    value->count++;
}

static enum err
not_from_scalar(struct eval *eval)
{
    return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "cannot delete from scalar");
}

static void
delete_named(struct json *value, struct slice name)
{
    for (uint32_t i = value->count; i > 0; i--) {
        struct json_item *item = &value->items[i - 1];
        struct slice node = item->value.raw;
        bool hit = value->kind == JSON_OBJECT
                       ? slice_equal(item->name, name)
                       : item->value.kind == JSON_STRING &&
                             slice_equal(slice_of(node.data + 1, node.size - 1), name);
        if (hit) {
            remove_item(value, i - 1);
        }
    }
}

FN(jsonb_delete)
{
    UNUSED_COUNT;
    struct json value = jsonb__value(datum_slice(args[0]));
    if (value.kind < JSON_ARRAY) {
        return not_from_scalar(eval);
    }
    json__expand(eval->arena, &value);
    delete_named(&value, datum_slice(args[1]));
    return jsonb__encode(eval, &value, result);
}

FN(jsonb_delete_many)
{
    UNUSED_COUNT;
    struct json value = jsonb__value(datum_slice(args[0]));
    struct array_reader reader;
    struct datum name;
    (void)array__open(args[1], &reader);
    if (reader.dimensions > 1) {
        return diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT, "wrong number of array subscripts");
    }
    if (value.kind < JSON_ARRAY) {
        return not_from_scalar(eval);
    }
    json__expand(eval->arena, &value);
    while (array__next(&reader, &name)) {
        if (!name.null) {
            delete_named(&value, datum_slice(name));
        }
    }
    return jsonb__encode(eval, &value, result);
}

FN(jsonb_delete_index)
{
    UNUSED_COUNT;
    struct json value = jsonb__value(datum_slice(args[0]));
    if (value.kind < JSON_ARRAY) {
        return not_from_scalar(eval);
    }
    if (value.kind == JSON_OBJECT) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
            "cannot delete from object using integer index");
    }
    json__expand(eval->arena, &value);
    int64_t index = args[1].i < 0 ? args[1].i + value.count : args[1].i;
    if (index >= 0 && index < value.count) {
        remove_item(&value, (uint32_t)index);
    }
    return jsonb__encode(eval, &value, result);
}

enum change {
    CHANGE_SET,    /* replaces what is there, nothing else */
    CHANGE_CREATE, /* or adds it */
    CHANGE_BEFORE, /* inserts before an element, */
    CHANGE_AFTER,  /* after it; either adds a member */
    CHANGE_DELETE,
    CHANGE_FILL, /* CREATE, and what is missing on the way */
};

struct edit {
    struct eval *eval;
    enum change change;
    const struct datum *steps;
    uint32_t count;
    struct json put;
};

static enum err change_at(struct edit *edit, uint32_t level, struct json *value);

/* What FILL puts where there is nothing: the rest of the path around the new value. */
static enum err
filled(struct edit *edit, uint32_t level, struct json *value)
{
    if (level == edit->count) {
        *value = edit->put;
        return ERR_OK;
    }
    int64_t index = 0;
    *value = (struct json){
        .kind = index_of(datum_slice(edit->steps[level]), &index) ? JSON_ARRAY : JSON_OBJECT};
    return change_at(edit, level, value);
}

static enum err
change_member(struct edit *edit, uint32_t level, struct json *value)
{
    struct slice name = datum_slice(edit->steps[level]);
    bool last = level + 1 == edit->count;
    for (uint32_t i = 0; i < value->count; i++) {
        if (!slice_equal(value->items[i].name, name)) {
            continue;
        }
        if (!last) {
            return change_at(edit, level + 1, &value->items[i].value);
        }
        if (edit->change == CHANGE_DELETE) {
            remove_item(value, i);
        } else if (edit->change == CHANGE_BEFORE || edit->change == CHANGE_AFTER) {
            (void)diag_set(
                edit->eval->diag, ERR_INVALID_PARAMETER_VALUE, "cannot replace existing key");
            if (edit->eval->diag != NULL) {
                diag_hint(
                    edit->eval->diag, "Try using the function jsonb_set to replace key value.");
            }
            return ERR_INVALID_PARAMETER_VALUE;
        } else {
            value->items[i].value = edit->put;
        }
        return ERR_OK;
    }
    if (edit->change == CHANGE_FILL ||
        (last && edit->change != CHANGE_SET && edit->change != CHANGE_DELETE)) {
        struct json_item item = {.name = name, .value = edit->put};
        if (edit->change == CHANGE_FILL) {
            TRY(filled(edit, level + 1, &item.value));
        }
        insert_item(edit->eval->arena, value, value->count, item);
    }
    return ERR_OK;
}

static enum err
change_element(struct edit *edit, uint32_t level, struct json *value)
{
    struct slice step = datum_slice(edit->steps[level]);
    struct arena *arena = edit->eval->arena;
    bool last = level + 1 == edit->count;
    bool adds = edit->change != CHANGE_SET && edit->change != CHANGE_DELETE;
    int64_t index;
    if (!index_of(step, &index)) {
        return diag_set(edit->eval->diag, ERR_INVALID_TEXT,
            "path element at position %u is not an integer: \"%.*s\"", level + 1, (int)step.size,
            (const char *)step.data);
    }
    bool below = index < 0 && -index > value->count;
    if (below && edit->change == CHANGE_FILL) {
        return diag_set(edit->eval->diag, ERR_INVALID_PARAMETER_VALUE,
            "path element at position %u is out of range: %lld", level + 1, (long long)index);
    }
    index = index < 0 && !below ? index + value->count : index;
    struct json_item item = {.value = edit->put};
    if (!below && index < value->count) {
        struct json_item *there = &value->items[index];
        if (!last) {
            return change_at(edit, level + 1, &there->value);
        }
        switch (edit->change) {
        case CHANGE_DELETE:
            remove_item(value, (uint32_t)index);
            break;
        case CHANGE_BEFORE:
        case CHANGE_AFTER:
            insert_item(
                arena, value, (uint32_t)index + (edit->change == CHANGE_AFTER ? 1 : 0), item);
            break;
        default:
            there->value = edit->put;
        }
        return ERR_OK;
    }
    if (edit->change == CHANGE_FILL) {
        if (index > JSON_ITEMS_MAX / 16) {
            return diag_set(edit->eval->diag, ERR_PROGRAM_LIMIT,
                "number of jsonb array elements exceeds the maximum allowed (%u)",
                JSON_ITEMS_MAX / 16);
        }
        TRY(filled(edit, level + 1, &item.value));
        struct json_item *items =
            arena_alloc(arena, ((size_t)index + 1) * sizeof *items); /* nulls */
        if (value->count > 0) {
            memcpy(items, value->items, value->count * sizeof *items);
        }
        items[index] = item;
        value->items = items;
        value->count = (uint32_t)index + 1;
        return ERR_OK;
    }
    if (last && adds) {
        insert_item(arena, value, below ? 0 : value->count, item);
    }
    return ERR_OK;
}

static enum err
change_at(struct edit *edit, uint32_t level, struct json *value)
{
    if (edit->steps[level].null) {
        return diag_set(
            edit->eval->diag, ERR_NULL_VALUE, "path element at position %u is null", level + 1);
    }
    if (level == JSON_DEPTH_MAX) {
        return diag_set(edit->eval->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    }
    if (value->kind < JSON_ARRAY) {
        if (edit->change != CHANGE_FILL) {
            return ERR_OK;
        }
        (void)diag_set(
            edit->eval->diag, ERR_INVALID_PARAMETER_VALUE, "cannot replace existing key");
        if (edit->eval->diag != NULL) {
            diag_detail(edit->eval->diag,
                "The path assumes key is a composite object, but it is a scalar value.");
        }
        return ERR_INVALID_PARAMETER_VALUE;
    }
    json__expand(edit->eval->arena, value);
    return value->kind == JSON_OBJECT ? change_member(edit, level, value)
                                      : change_element(edit, level, value);
}

static enum err
change(struct eval *eval, struct datum in, struct datum path, struct datum put, enum change how,
    struct datum *result)
{
    struct json value = jsonb__value(datum_slice(in));
    struct array_reader reader;
    struct datum *steps;
    (void)array__open(path, &reader);
    if (reader.dimensions > 1) {
        return diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT, "wrong number of array subscripts");
    }
    if (value.kind < JSON_ARRAY && how != CHANGE_FILL) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "cannot %s path in scalar",
            how == CHANGE_DELETE ? "delete" : "set");
    }
    struct jsonb_reader root;
    jsonb__open(datum_slice(in), &root);
    if (value.kind >= JSON_ARRAY && root.count == 0 &&
        (how == CHANGE_SET || how == CHANGE_DELETE)) {
        *result = in;
        return ERR_OK;
    }
    struct edit edit = {.eval = eval, .change = how};
    edit.count = array_elements(eval->arena, path, &steps);
    edit.steps = steps;
    edit.put = jsonb__value(datum_slice(put));
    if (edit.count > 0) {
        TRY(change_at(&edit, 0, &value));
    }
    return jsonb__encode(eval, &value, result);
}

static struct datum
json_null(void)
{
    static const uint8_t node[] = {JSON_NULL};
    return datum_bytes(node, sizeof node);
}

FN(jsonb_set)
{
    bool create = count < 4 || args[3].null || args[3].i != 0;
    return change(eval, args[0], args[1], args[2], create ? CHANGE_CREATE : CHANGE_SET, result);
}

/* jsonb_assign(value, new, path): what SET column[..][..] = new does */
FN(jsonb_assign)
{
    UNUSED_COUNT;
    struct datum old = args[0];
    if (old.null) {
        struct datum *steps;
        int64_t index;
        bool list = array_elements(eval->arena, args[2], &steps) > 0 && !steps[0].null &&
                    index_of(datum_slice(steps[0]), &index);
        struct json empty = {.kind = list ? JSON_ARRAY : JSON_OBJECT};
        TRY(jsonb__encode(eval, &empty, &old));
    }
    return change(eval, old, args[2], args[1].null ? json_null() : args[1], CHANGE_FILL, result);
}

FN(jsonb_set_lax)
{
    *result = datum_null();
    if (args[0].null || args[1].null || (count > 3 && args[3].null)) {
        return ERR_OK;
    }
    if (!args[2].null && (count < 5 || !args[4].null)) {
        return jsonb_set(eval, args, count < 4 ? count : 4, result);
    }
    struct slice how = count < 5 ? slice_of("use_json_null", 13) : datum_slice(args[4]);
    bool create = count < 4 || args[3].i != 0;
    if (count > 4 && args[4].null) {
        how = slice_of("", 0);
    }
    if (slice_equal(how, slice_of("use_json_null", 13))) {
        return change(
            eval, args[0], args[1], json_null(), create ? CHANGE_CREATE : CHANGE_SET, result);
    }
    if (slice_equal(how, slice_of("delete_key", 10))) {
        return change(eval, args[0], args[1], json_null(), CHANGE_DELETE, result);
    }
    if (slice_equal(how, slice_of("return_target", 13))) {
        *result = args[0];
        return ERR_OK;
    }
    if (slice_equal(how, slice_of("raise_exception", 15))) {
        (void)diag_set(eval->diag, ERR_NULL_VALUE, "JSON value must not be null");
        if (eval->diag != NULL) {
            diag_detail(eval->diag, "Exception was raised because null_value_treatment is "
                                    "\"raise_exception\".");
            diag_hint(eval->diag, "To avoid, either change the null_value_treatment argument or "
                                  "ensure that an SQL NULL is not passed.");
        }
        return ERR_NULL_VALUE;
    }
    return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
        "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or "
        "\"raise_exception\"");
}

FN(jsonb_insert)
{
    bool after = count > 3 && !args[3].null && args[3].i != 0;
    return change(eval, args[0], args[1], args[2], after ? CHANGE_AFTER : CHANGE_BEFORE, result);
}

FN(jsonb_delete_path)
{
    UNUSED_COUNT;
    return change(eval, args[0], args[1], args[0], CHANGE_DELETE, result);
}

/* ---- casts ----------------------------------------------------------------------------------- */

static enum err
scalar_of(struct eval *eval, struct datum value, enum json_kind wanted, const char *type,
    struct jsonb_reader *reader)
{
    jsonb__open(datum_slice(value), reader);
    bool fits = reader->kind == wanted || (wanted == JSON_TRUE && reader->kind == JSON_FALSE);
    return fits ? ERR_OK
                : diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                      "cannot cast jsonb %s to type %s",
                      reader->kind == JSON_NUMBER ? "numeric" : kind_name(reader->kind), type);
}

FN(to_boolean)
{
    UNUSED_COUNT;
    struct jsonb_reader reader;
    TRY(scalar_of(eval, args[0], JSON_TRUE, "boolean", &reader));
    *result = datum_bool(reader.kind == JSON_TRUE);
    return ERR_OK;
}

FN(to_numeric)
{
    UNUSED_COUNT;
    struct jsonb_reader reader;
    TRY(scalar_of(eval, args[0], JSON_NUMBER, "numeric", &reader));
    *result = datum_bytes(reader.scalar.data, reader.scalar.size);
    return ERR_OK;
}

#define TO_INTEGER(name, min, max, type)                                                          \
    FN(name)                                                                                      \
    {                                                                                             \
        UNUSED_COUNT;                                                                             \
        struct jsonb_reader reader;                                                               \
        TRY(scalar_of(eval, args[0], JSON_NUMBER, type, &reader));                                \
        int64_t number = 0;                                                                       \
        TRY(numeric__to_int(                                                                      \
            eval, datum_bytes(reader.scalar.data, reader.scalar.size), min, max, type, &number)); \
        *result = datum_int(number);                                                              \
        return ERR_OK;                                                                            \
    }
TO_INTEGER(to_int2, INT16_MIN, INT16_MAX, "smallint")
TO_INTEGER(to_int4, INT32_MIN, INT32_MAX, "integer")
TO_INTEGER(to_int8, INT64_MIN, INT64_MAX, "bigint")

static enum err
to_float(struct eval *eval, struct datum value, bool single, struct datum *result)
{
    struct jsonb_reader reader;
    struct buffer text = {0};
    double f = 0;
    TRY(scalar_of(eval, value, JSON_NUMBER, single ? "real" : "double precision", &reader));
    numeric__output(datum_bytes(reader.scalar.data, reader.scalar.size), &text);
    enum err err = float__input(eval, single, slice_of(text.data, text.size), &f);
    buffer_destroy(&text);
    *result = datum_float(f);
    return err;
}

FN(to_float4)
{
    UNUSED_COUNT;
    return to_float(eval, args[0], true, result);
}

FN(to_float8)
{
    UNUSED_COUNT;
    return to_float(eval, args[0], false, result);
}

FN(json_to_jsonb)
{
    UNUSED_COUNT;
    return jsonb__input(eval, datum_slice(args[0]), result);
}

FN(jsonb_to_json)
{
    UNUSED_COUNT;
    struct buffer to = {0};
    jsonb__output(args[0], &to);
    *result = value__bytes(eval, to.data, to.size);
    buffer_destroy(&to);
    return ERR_OK;
}

/* SQL/JSON paths: their functions and operators are known, so that the refusal says what is
 * missing. */
FN(json_path_refused)
{
    (void)args;
    (void)result;
    UNUSED_COUNT;
    return diag_set(
        eval->diag, ERR_FEATURE_NOT_SUPPORTED, "SQL/JSON path expressions are not supported");
}

/* ---- sets ------------------------------------------------------------------------------------ */

struct walk {
    struct json value;
    uint32_t at;
    bool nothing;
};

static enum err
start_walk(struct eval *eval, oid_t type, void *memory, const struct datum *args,
    enum json_kind wanted, const char *refused_scalar, const char *refused_other)
{
    struct walk *state = memory;
    state->nothing = args[0].null;
    if (state->nothing) {
        return ERR_OK;
    }
    TRY(json__load(eval, type, args[0], &state->value));
    if (state->value.kind != wanted) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "%s",
            state->value.kind < JSON_ARRAY ? refused_scalar : refused_other);
    }
    json__expand(eval->arena, &state->value);
    return ERR_OK;
}

static struct json_item *
next_item(struct walk *state, bool *done)
{
    *done = state->nothing || state->at >= state->value.count;
    return *done ? NULL : &state->value.items[state->at++];
}

#define START(name, type, wanted, scalar, other)                                               \
    static enum err name(struct eval *eval, void *memory, const struct datum *args, int count) \
    {                                                                                          \
        UNUSED_COUNT;                                                                          \
        return start_walk(eval, type, memory, args, wanted, scalar, other);                    \
    }
START(json_elements_start, TYPE_JSON, JSON_ARRAY, "cannot call json_array_elements on a scalar",
    "cannot call json_array_elements on a non-array")
START(json_elements_text_start, TYPE_JSON, JSON_ARRAY,
    "cannot call json_array_elements_text on a scalar",
    "cannot call json_array_elements_text on a non-array")
START(jsonb_elements_start, TYPE_JSONB, JSON_ARRAY, "cannot extract elements from a scalar",
    "cannot extract elements from an object")
START(json_each_start, TYPE_JSON, JSON_OBJECT, "cannot deconstruct a scalar",
    "cannot deconstruct an array as an object")
START(jsonb_each_start, TYPE_JSONB, JSON_OBJECT, "cannot call jsonb_each on a non-object",
    "cannot call jsonb_each on a non-object")
START(jsonb_each_text_start, TYPE_JSONB, JSON_OBJECT, "cannot call jsonb_each_text on a non-object",
    "cannot call jsonb_each_text on a non-object")
START(json_keys_start, TYPE_JSON, JSON_OBJECT, "cannot call json_object_keys on a scalar",
    "cannot call json_object_keys on an array")
START(jsonb_keys_start, TYPE_JSONB, JSON_OBJECT, "cannot call jsonb_object_keys on a scalar",
    "cannot call jsonb_object_keys on an array")

#define NEXT(name, body)                                                                    \
    static enum err name(struct eval *eval, void *memory, struct datum *values, bool *done) \
    {                                                                                       \
        struct json_item *item = next_item(memory, done);                                   \
        if (item == NULL) {                                                                 \
            return ERR_OK;                                                                  \
        }                                                                                   \
        struct json part = item->value;                                                     \
        (void)part;                                                                         \
        (void)eval;                                                                         \
        body                                                                                \
    }
NEXT(json_elements_next, return put_part(eval, TYPE_JSON, false, &part, values);)
NEXT(jsonb_elements_next, return put_part(eval, TYPE_JSONB, false, &part, values);)
NEXT(elements_text_next, return put_part(eval, TYPE_JSONB, true, &part, values);)
NEXT(keys_next, {
    *values = datum_bytes(item->name.data, item->name.size);
    return ERR_OK;
})
NEXT(json_each_next, {
    values[0] = datum_bytes(item->name.data, item->name.size);
    return put_part(eval, TYPE_JSON, false, &part, &values[1]);
})
NEXT(jsonb_each_next, {
    values[0] = datum_bytes(item->name.data, item->name.size);
    return put_part(eval, TYPE_JSONB, false, &part, &values[1]);
})
NEXT(each_text_next, {
    values[0] = datum_bytes(item->name.data, item->name.size);
    return put_part(eval, TYPE_JSONB, true, &part, &values[1]);
})

static const char *const value_name[] = {"value"};
static const char *const each_names[] = {"key", "value"};
static const oid_t json_type[] = {TYPE_JSON};
static const oid_t jsonb_type[] = {TYPE_JSONB};
static const oid_t text_type[] = {TYPE_TEXT};
static const oid_t each_json[] = {TYPE_TEXT, TYPE_JSON};
static const oid_t each_jsonb[] = {TYPE_TEXT, TYPE_JSONB};
static const oid_t each_text[] = {TYPE_TEXT, TYPE_TEXT};

#define SET_OF(name, start, next, count, names, types) \
    static const struct set_function name = {sizeof(struct walk), start, next, count, names, types}
SET_OF(json_elements, json_elements_start, json_elements_next, 1, value_name, json_type);
SET_OF(jsonb_elements, jsonb_elements_start, jsonb_elements_next, 1, value_name, jsonb_type);
SET_OF(json_elements_text, json_elements_text_start, elements_text_next, 1, value_name, text_type);
SET_OF(jsonb_elements_text, jsonb_elements_start, elements_text_next, 1, value_name, text_type);
SET_OF(json_each, json_each_start, json_each_next, 2, each_names, each_json);
SET_OF(jsonb_each, jsonb_each_start, jsonb_each_next, 2, each_names, each_jsonb);
SET_OF(json_each_text, json_each_start, each_text_next, 2, each_names, each_text);
SET_OF(jsonb_each_text, jsonb_each_text_start, each_text_next, 2, each_names, each_text);
SET_OF(json_keys, json_keys_start, keys_next, 0, NULL, NULL);
SET_OF(jsonb_keys, jsonb_keys_start, keys_next, 0, NULL, NULL);

/* ---- the tables ------------------------------------------------------------------------------ */

#define S   FUNCTION_STRICT
#define SET FUNCTION_SET
#define V   FUNCTION_VARIADIC
#define J   TYPE_JSON
#define B   TYPE_JSONB
#define T   TYPE_TEXT
#define TA  TYPE_TEXT_ARRAY
#define F1(name, oid, result, flags, arg, call)                 \
    {                                                           \
        name, oid, result, 1, 1, flags, {arg}, call, NULL, NULL \
    }
#define SRF(name, oid, result, arg, set)                        \
    {                                                           \
        name, oid, result, 1, 1, SET, {arg}, NULL, NULL, &(set) \
    }

static const struct function functions[] = {
    F1("json_typeof", 3968, T, S, J, json_type_of),
    F1("jsonb_typeof", 3210, T, S, B, jsonb_type_of),
    F1("json_array_length", 3956, TYPE_INT4, S, J, json_array_length),
    F1("jsonb_array_length", 3207, TYPE_INT4, S, B, jsonb_array_length),
    F1("json_strip_nulls", 3261, J, S, J, json_strip_nulls),
    F1("jsonb_strip_nulls", 3262, B, S, B, jsonb_strip_nulls),
    F1("jsonb_pretty", 3306, T, S, B, jsonb_pretty),
    {"json_extract_path", 3951, J, 2, 2, S | V, {J, T}, json_steps, NULL, NULL},
    {"json_extract_path_text", 3953, T, 2, 2, S | V, {J, T}, json_steps_text, NULL, NULL},
    {"jsonb_extract_path", 3217, B, 2, 2, S | V, {B, T}, jsonb_steps, NULL, NULL},
    {"jsonb_extract_path_text", 3940, T, 2, 2, S | V, {B, T}, jsonb_steps_text, NULL, NULL},
    {"jsonb_set", 0, B, 3, 3, S, {B, TA, B}, jsonb_set, NULL, NULL},
    {"jsonb_set", 3305, B, 4, 4, S, {B, TA, B, TYPE_BOOL}, jsonb_set, NULL, NULL},
    {"jsonb_set_lax", 0, B, 3, 3, 0, {B, TA, B}, jsonb_set_lax, NULL, NULL},
    {"jsonb_set_lax", 0, B, 4, 4, 0, {B, TA, B, TYPE_BOOL}, jsonb_set_lax, NULL, NULL},
    {"jsonb_set_lax", 5054, B, 5, 5, 0, {B, TA, B, TYPE_BOOL, T}, jsonb_set_lax, NULL, NULL},
    {"jsonb_insert", 0, B, 3, 3, S, {B, TA, B}, jsonb_insert, NULL, NULL},
    {"jsonb_insert", 3579, B, 4, 4, S, {B, TA, B, TYPE_BOOL}, jsonb_insert, NULL, NULL},
    {"jsonb_assign", 0, B, 3, 3, FUNCTION_INTERNAL, {B, B, TA}, jsonb_assign, NULL, NULL},
    {"jsonb_subscript", 0, B, 2, 1, S | V | FUNCTION_INTERNAL, {B, T}, jsonb_steps, NULL, NULL},
    {"jsonb_path_exists", 4005, TYPE_BOOL, 4, 2, 0, {B, T, B, TYPE_BOOL}, json_path_refused, NULL,
        NULL},
    {"jsonb_path_match", 4009, TYPE_BOOL, 4, 2, 0, {B, T, B, TYPE_BOOL}, json_path_refused, NULL,
        NULL},
    {"jsonb_path_query", 4006, B, 4, 2, 0, {B, T, B, TYPE_BOOL}, json_path_refused, NULL, NULL},
    {"jsonb_path_query_array", 4007, B, 4, 2, 0, {B, T, B, TYPE_BOOL}, json_path_refused, NULL,
        NULL},
    {"jsonb_path_query_first", 4008, B, 4, 2, 0, {B, T, B, TYPE_BOOL}, json_path_refused, NULL,
        NULL},
    SRF("json_array_elements", 3955, J, J, json_elements),
    SRF("jsonb_array_elements", 3219, B, B, jsonb_elements),
    SRF("json_array_elements_text", 3969, T, J, json_elements_text),
    SRF("jsonb_array_elements_text", 3465, T, B, jsonb_elements_text),
    SRF("json_each", 3958, TYPE_RECORD, J, json_each),
    SRF("jsonb_each", 3208, TYPE_RECORD, B, jsonb_each),
    SRF("json_each_text", 3959, TYPE_RECORD, J, json_each_text),
    SRF("jsonb_each_text", 3932, TYPE_RECORD, B, jsonb_each_text),
    SRF("json_object_keys", 3957, T, J, json_keys),
    SRF("jsonb_object_keys", 3931, T, B, jsonb_keys),
};

static const struct operator_row operators[] = {
    {"->", "json_object_field", J, T, J, json_field, NULL, NULL, 0},
    {"->>", "json_object_field_text", J, T, T, json_field_text, NULL, NULL, 0},
    {"->", "json_array_element", J, TYPE_INT4, J, json_element, NULL, NULL, 0},
    {"->>", "json_array_element_text", J, TYPE_INT4, T, json_element_text, NULL, NULL, 0},
    {"#>", "json_extract_path_op", J, TA, J, json_path, NULL, NULL, 0},
    {"#>>", "json_extract_path_text_op", J, TA, T, json_path_text, NULL, NULL, 0},
    {"->", "jsonb_object_field", B, T, B, jsonb_field, NULL, NULL, 0},
    {"->>", "jsonb_object_field_text", B, T, T, jsonb_field_text, NULL, NULL, 0},
    {"->", "jsonb_array_element", B, TYPE_INT4, B, jsonb_element, NULL, NULL, 0},
    {"->>", "jsonb_array_element_text", B, TYPE_INT4, T, jsonb_element_text, NULL, NULL, 0},
    {"#>", "jsonb_extract_path_op", B, TA, B, jsonb_path, NULL, NULL, 0},
    {"#>>", "jsonb_extract_path_text_op", B, TA, T, jsonb_path_text, NULL, NULL, 0},
    {"=", "jsonb_eq", B, B, TYPE_BOOL, jsonb_eq, "=", "<>", 0},
    {"<>", "jsonb_ne", B, B, TYPE_BOOL, jsonb_ne, "<>", "=", 0},
    {"<", "jsonb_lt", B, B, TYPE_BOOL, jsonb_lt, ">", ">=", 0},
    {"<=", "jsonb_le", B, B, TYPE_BOOL, jsonb_le, ">=", ">", 0},
    {">", "jsonb_gt", B, B, TYPE_BOOL, jsonb_gt, "<", "<=", 0},
    {">=", "jsonb_ge", B, B, TYPE_BOOL, jsonb_ge, "<=", "<", 0},
    {"@>", "jsonb_contains", B, B, TYPE_BOOL, jsonb_contains, "<@", NULL, 0},
    {"<@", "jsonb_contained", B, B, TYPE_BOOL, jsonb_contained, "@>", NULL, 0},
    {"?", "jsonb_exists", B, T, TYPE_BOOL, jsonb_exists, NULL, NULL, 0},
    {"?|", "jsonb_exists_any", B, TA, TYPE_BOOL, jsonb_exists_any, NULL, NULL, 0},
    {"?&", "jsonb_exists_all", B, TA, TYPE_BOOL, jsonb_exists_all, NULL, NULL, 0},
    {"||", "jsonb_concat", B, B, B, jsonb_concat, NULL, NULL, 0},
    {"-", "jsonb_delete", B, T, B, jsonb_delete, NULL, NULL, 0},
    {"-", "jsonb_delete", B, TA, B, jsonb_delete_many, NULL, NULL, 0},
    {"-", "jsonb_delete", B, TYPE_INT4, B, jsonb_delete_index, NULL, NULL, 0},
    {"@?", "jsonb_path_exists_opr", B, T, TYPE_BOOL, json_path_refused, NULL, NULL, 0},
    {"@@", "jsonb_path_match_opr", B, T, TYPE_BOOL, json_path_refused, NULL, NULL, 0},
    {"#-", "jsonb_delete_path", B, TA, B, jsonb_delete_path, NULL, NULL, 0},
};

static const struct cast_row casts[] = {
    {J, B, CAST_ASSIGNMENT, json_to_jsonb},
    {B, J, CAST_ASSIGNMENT, jsonb_to_json},
    {B, TYPE_BOOL, CAST_EXPLICIT, to_boolean},
    {B, TYPE_NUMERIC, CAST_EXPLICIT, to_numeric},
    {B, TYPE_INT2, CAST_EXPLICIT, to_int2},
    {B, TYPE_INT4, CAST_EXPLICIT, to_int4},
    {B, TYPE_INT8, CAST_EXPLICIT, to_int8},
    {B, TYPE_FLOAT4, CAST_EXPLICIT, to_float4},
    {B, TYPE_FLOAT8, CAST_EXPLICIT, to_float8},
};

const struct function_rows json_rows = {ROWS(functions), ROWS(operators), ROWS(casts)};
