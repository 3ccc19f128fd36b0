/*
 * sql/value/row.c - a row's columns in bytes.
 *
 *     OFFSET      SIZE  DESCRIPTION
 *          0         2  number of columns n when it was written
 *          2   (n+7)/8  a bit per column: 1 is null
 *                  ...  fixed columns in order, each with the size of its type (null ones zero)
 *                  4*v  where each variable column ends, from the start of the variable bytes
 *                  ...  the variable bytes
 *
 * Everything before the variable bytes is found by arithmetic: no column costs a walk over others.
 */
#include "base/assert.h"
#include "sql/value/value_internal.h"

struct column_place {
    oid_t type;
    uint16_t size;  /* fixed size; 0: variable */
    uint32_t at;    /* fixed: offset among the fixed; variable: its number among the variable */
    bool reference; /* fixed but used by reference: uuid, interval */
};

struct row_layout {
    size_t count;
    struct column_place *places;
    uint32_t *fixed_sizes; /* of the first n columns together, n = 0..count */
    uint32_t *variables;   /* how many of the first n are variable */
};

static uint16_t
fixed_size(oid_t type)
{
    switch (type) {
    case TYPE_BOOL:
    case TYPE_CHAR:
        return 1;
    case TYPE_INT2:
        return 2;
    case TYPE_INT4:
    case TYPE_DATE:
    case TYPE_FLOAT4:
    case TYPE_OID:
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGPROC:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
    case TYPE_REGPROCEDURE:
    case TYPE_REGOPER:
    case TYPE_REGOPERATOR:
        return 4;
    case TYPE_INT8:
    case TYPE_FLOAT8:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return 8;
    case TYPE_UUID:
    case TYPE_INTERVAL:
        return 16;
    default:
        return type_is_enum(type) ? 8 : 0;
    }
}

struct row_layout *
row_layout_new(struct arena *arena, const oid_t *types, size_t count)
{
    ASSERT(count < UINT16_MAX);
    struct row_layout *layout = arena_alloc(arena, sizeof *layout);
    layout->count = count;
    layout->places = arena_array(arena, count + 1, sizeof *layout->places);
    layout->fixed_sizes = arena_array(arena, count + 1, sizeof *layout->fixed_sizes);
    layout->variables = arena_array(arena, count + 1, sizeof *layout->variables);
    for (size_t i = 0; i < count; i++) {
        struct column_place *place = &layout->places[i];
        place->type = types[i];
        place->size = fixed_size(types[i]);
        place->reference = place->size == 16;
        place->at = place->size > 0 ? layout->fixed_sizes[i] : layout->variables[i];
        layout->fixed_sizes[i + 1] = layout->fixed_sizes[i] + place->size;
        layout->variables[i + 1] = layout->variables[i] + (place->size == 0 ? 1 : 0);
    }
    return layout;
}

static void
put_fixed(uint8_t *to, const struct column_place *place, struct datum value)
{
    if (place->reference) {
        memcpy(to, value.p, 16);
        return;
    }
    if (place->type == TYPE_FLOAT4) {
        float f = (float)value.f;
        memcpy(to, &f, 4);
        return;
    }
    memcpy(to, &value.i, place->size); /* little-endian: the low bytes; a double's eight */
}

void
row_encode(const struct row_layout *layout, const struct datum *values, struct buffer *to)
{
    size_t bitmap = (layout->count + 7) / 8;
    size_t fixed = layout->fixed_sizes[layout->count];
    size_t variables = layout->variables[layout->count];
    size_t size = 2 + bitmap + fixed + 4 * variables;
    for (size_t i = 0; i < layout->count; i++) {
        if (layout->places[i].size == 0 && !values[i].null) {
            size += values[i].size;
        }
    }
    uint8_t *row = buffer_extend(to, size);
    store_le16(row, (uint16_t)layout->count);
    memset(row + 2, 0, bitmap + fixed);
    uint8_t *ends = row + 2 + bitmap + fixed;
    uint8_t *bytes = ends + 4 * variables;
    uint32_t end = 0;
    for (size_t i = 0; i < layout->count; i++) {
        const struct column_place *place = &layout->places[i];
        if (values[i].null) {
            row[2 + i / 8] |= (uint8_t)(1U << (i % 8));
        } else if (place->size > 0) {
            put_fixed(row + 2 + bitmap + place->at, place, values[i]);
        } else if (values[i].size > 0) {
            memcpy(bytes + end, values[i].p, values[i].size);
            end += values[i].size;
        }
        if (place->size == 0) {
            store_le32(ends + 4 * place->at, end);
        }
    }
}

static struct datum
get_fixed(const uint8_t *from, const struct column_place *place)
{
    if (place->reference) {
        return datum_bytes(from, 16);
    }
    switch (place->type) {
    case TYPE_BOOL:
    case TYPE_CHAR:
        return datum_int(from[0]);
    case TYPE_INT2:
        return datum_int((int16_t)load_le16(from));
    case TYPE_INT4:
    case TYPE_DATE:
        return datum_int((int32_t)load_le32(from));
    case TYPE_FLOAT4: {
        float f;
        memcpy(&f, from, sizeof f);
        return datum_float((double)f);
    }
    case TYPE_OID:
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGPROC:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
    case TYPE_REGPROCEDURE:
    case TYPE_REGOPER:
    case TYPE_REGOPERATOR:
        return datum_int(load_le32(from));
    default:
        return datum_int((int64_t)load_le64(from));
    }
}

void
value__store(oid_t type, struct datum value, struct buffer *to)
{
    struct column_place place = {.type = type, .size = fixed_size(type)};
    place.reference = place.size == 16;
    if (place.size > 0) {
        put_fixed(buffer_extend(to, place.size), &place, value);
    } else {
        buffer_add(to, value.p, value.size);
    }
}

struct datum
value__load(oid_t type, struct slice bytes)
{
    struct column_place place = {.type = type, .size = fixed_size(type)};
    place.reference = place.size == 16;
    return place.size > 0 ? get_fixed(bytes.data, &place) : datum_bytes(bytes.data, bytes.size);
}

static enum err
damaged(struct diag *diag)
{
    return diag_set(diag, ERR_CORRUPT, "a stored row is damaged");
}

enum err
row_column(const struct row_layout *layout, struct slice row, size_t index, struct datum *value,
    bool *missing, struct diag *diag)
{
    ASSERT(index < layout->count);
    *missing = false;
    size_t count = row.size < 2 ? SIZE_MAX : load_le16(row.data);
    if (count > layout->count) {
        return damaged(diag);
    }
    size_t bitmap = (count + 7) / 8;
    size_t fixed = layout->fixed_sizes[count];
    size_t variables = layout->variables[count];
    size_t bytes_at = 2 + bitmap + fixed + 4 * variables;
    if (row.size < bytes_at) {
        return damaged(diag);
    }
    if (index >= count) {
        *missing = true;
        *value = datum_null();
        return ERR_OK;
    }
    if ((row.data[2 + index / 8] >> (index % 8) & 1) != 0) {
        *value = datum_null();
        return ERR_OK;
    }
    const struct column_place *place = &layout->places[index];
    if (place->size > 0) {
        *value = get_fixed(row.data + 2 + bitmap + place->at, place);
        return ERR_OK;
    }
    const uint8_t *ends = row.data + 2 + bitmap + fixed;
    size_t end = load_le32(ends + 4 * place->at);
    size_t start = place->at == 0 ? 0 : load_le32(ends + 4 * (place->at - 1));
    if (start > end || end > row.size - bytes_at) {
        return damaged(diag);
    }
    *value = datum_bytes(row.data + bytes_at + start, end - start);
    return ERR_OK;
}

enum err
row_decode(const struct row_layout *layout, struct slice row, const uint16_t *wanted,
    size_t wanted_count, struct datum *values, struct diag *diag)
{
    for (size_t i = 0; i < wanted_count; i++) {
        bool missing = false;
        TRY(row_column(layout, row, wanted[i], &values[wanted[i]], &missing, diag));
    }
    return ERR_OK;
}
