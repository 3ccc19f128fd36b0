/*
 * sql/value/array_parts.c - a part of an array: a[2:3] read, a[2] and a[2:3] assigned to.
 *
 * As PostgreSQL has it (Arrays, "Accessing Arrays" and "Modifying Arrays"): a slice outside the
 * array is clipped, and empty if nothing is left; an array of one dimension grows where it is
 * assigned to, the gap filled with nulls, one of more does not.
 *
 * The bounds come as two lists of integers, one place per subscript, and a mask that says which
 * were given: bit 2 * i for the lower one of subscript i, the next bit for the upper one.
 */
#include "base/assert.h"
#include "sql/value/array.h"
#include "sql/value/value_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

enum {
    ELEMENTS_MAX = 134217727,
};

struct bounds {
    uint32_t count;
    bool has_lower[ARRAY_DIMENSIONS_MAX], has_upper[ARRAY_DIMENSIONS_MAX];
    int64_t lower[ARRAY_DIMENSIONS_MAX], upper[ARRAY_DIMENSIONS_MAX];
};

/* False: one of them is null. */
static bool
read_list(struct datum list, uint32_t *count, int64_t *values)
{
    struct array_reader reader;
    struct datum value;
    *count = array__open(list, &reader);
    ASSERT(*count <= ARRAY_DIMENSIONS_MAX);
    for (uint32_t i = 0; i < *count; i++) {
        (void)array__next(&reader, &value);
        if (value.null) {
            return false;
        }
        values[i] = value.i;
    }
    return true;
}

static bool
read_bounds(struct datum mask, struct datum lower, struct datum upper, struct bounds *bounds)
{
    uint32_t uppers;
    if (!read_list(lower, &bounds->count, bounds->lower) ||
        !read_list(upper, &uppers, bounds->upper)) {
        return false;
    }
    ASSERT(uppers == bounds->count);
    for (uint32_t d = 0; d < bounds->count; d++) {
        bounds->has_lower[d] = (mask.i >> (2 * d) & 1) != 0;
        bounds->has_upper[d] = (mask.i >> (2 * d + 1) & 1) != 0;
    }
    return true;
}

static int64_t
last_of(const struct array_reader *reader, uint32_t d)
{
    return (int64_t)reader->lower[d] + reader->sizes[d] - 1;
}

/* What was not given is the array's own; dimensions that have no subscript are there whole. */
static void
complete(struct bounds *bounds, const struct array_reader *reader)
{
    for (uint32_t d = 0; d < reader->dimensions; d++) {
        if (d >= bounds->count || !bounds->has_lower[d]) {
            bounds->lower[d] = reader->lower[d];
        }
        if (d >= bounds->count || !bounds->has_upper[d]) {
            bounds->upper[d] = last_of(reader, d);
        }
    }
    bounds->count = reader->dimensions;
}

/* Is the element at this place, counted with the last dimension fastest, within the bounds? */
static bool
within(const struct bounds *bounds, const struct array_reader *reader, uint32_t place)
{
    for (uint32_t d = reader->dimensions; d-- > 0;) {
        int64_t at = reader->lower[d] + (int64_t)(place % (uint32_t)reader->sizes[d]);
        place /= (uint32_t)reader->sizes[d];
        if (at < bounds->lower[d] || at > bounds->upper[d]) {
            return false;
        }
    }
    return true;
}

/* array_slice(array, mask, lower, upper) */
FN(array_slice)
{
    UNUSED_COUNT;
    struct array_reader reader;
    struct bounds bounds;
    *result = datum_null();
    if (!read_bounds(args[1], args[2], args[3], &bounds)) {
        return ERR_OK;
    }
    (void)array__open(args[0], &reader);
    struct array_maker maker = {.element = reader.element};
    bool empty = reader.dimensions == 0 || reader.dimensions < bounds.count;
    if (!empty) {
        complete(&bounds, &reader);
        maker.dimensions = reader.dimensions;
        for (uint32_t d = 0; d < reader.dimensions; d++) {
            bounds.lower[d] = bounds.lower[d] < reader.lower[d] ? reader.lower[d] : bounds.lower[d];
            bounds.upper[d] =
                bounds.upper[d] > last_of(&reader, d) ? last_of(&reader, d) : bounds.upper[d];
            empty = empty || bounds.lower[d] > bounds.upper[d];
            maker.lower[d] = 1;
            maker.sizes[d] = empty ? 0 : (int32_t)(bounds.upper[d] - bounds.lower[d] + 1);
        }
    }
    struct datum element;
    for (uint32_t place = 0; !empty && array__next(&reader, &element); place++) {
        if (within(&bounds, &reader, place)) {
            array__add(&maker, eval->arena, element);
        }
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

/* ---- assigning ------------------------------------------------------------------------------- */

static enum err
null_subscript(struct eval *eval)
{
    return diag_set(eval->diag, ERR_NULL_VALUE, "array subscript in assignment must not be null");
}

static enum err
subscript_error(struct eval *eval, const char *what)
{
    return diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT, "%s", what);
}

/* Makes room: the array, of one dimension or none, gets every subscript from `lower` to `upper`. */
static enum err
widen(struct eval *eval, const struct array_reader *reader, struct datum *old, int64_t lower,
    int64_t upper, struct array_maker *maker)
{
    int64_t from = lower;
    int64_t to = upper;
    if (reader->dimensions > 0) {
        from = lower < reader->lower[0] ? lower : reader->lower[0];
        to = upper > last_of(reader, 0) ? upper : last_of(reader, 0);
    }
    if (to - from >= ELEMENTS_MAX) {
        return diag_set(eval->diag, ERR_PROGRAM_LIMIT,
            "array size exceeds the maximum allowed (%d)", ELEMENTS_MAX);
    }
    maker->dimensions = 1;
    maker->lower[0] = (int32_t)from;
    maker->sizes[0] = (int32_t)(to - from + 1);
    maker->count = (uint32_t)maker->sizes[0];
    maker->elements = arena_array(eval->arena, maker->count, sizeof *maker->elements);
    for (uint32_t i = 0; i < maker->count; i++) {
        maker->elements[i] = datum_null();
    }
    for (uint32_t i = 0; i < reader->count; i++) {
        maker->elements[reader->lower[0] - from + i] = old[i];
    }
    return ERR_OK;
}

/* The same dimensions and elements, to change some of them. */
static void
keep(const struct array_reader *reader, struct datum *old, struct array_maker *maker)
{
    maker->dimensions = reader->dimensions;
    memcpy(maker->sizes, reader->sizes, sizeof maker->sizes);
    memcpy(maker->lower, reader->lower, sizeof maker->lower);
    maker->elements = old;
    maker->count = reader->count;
}

/* The array that is assigned to; a null one is empty. */
static void
open_old(struct eval *eval, struct datum array, struct array_reader *reader, struct datum **old)
{
    *reader = (struct array_reader){0};
    *old = NULL;
    if (!array.null) {
        (void)array__open(array, reader);
        (void)array_elements(eval->arena, array, old);
    }
}

/* array_set(array, value, its type, subscripts): the array with the element in its place */
FN(array_set)
{
    UNUSED_COUNT;
    int64_t subscripts[ARRAY_DIMENSIONS_MAX];
    uint32_t subscript_count;
    struct array_reader reader;
    struct datum *old;
    if (!read_list(args[3], &subscript_count, subscripts)) {
        return null_subscript(eval);
    }
    open_old(eval, args[0], &reader, &old);
    struct array_maker maker = {.element = (oid_t)args[2].i};
    if (reader.dimensions == 0 && subscript_count > 1) {
        maker.dimensions = subscript_count;
        for (uint32_t d = 0; d < subscript_count; d++) {
            maker.sizes[d] = 1;
            maker.lower[d] = (int32_t)subscripts[d];
        }
        array__add(&maker, eval->arena, args[1]);
    } else if (reader.dimensions == 0 || (reader.dimensions == 1 && subscript_count == 1)) {
        TRY(widen(eval, &reader, old, subscripts[0], subscripts[0], &maker));
        maker.elements[subscripts[0] - maker.lower[0]] = args[1];
    } else if (reader.dimensions != subscript_count) {
        return subscript_error(eval, "wrong number of array subscripts");
    } else {
        uint32_t place = 0;
        for (uint32_t d = 0; d < subscript_count; d++) {
            if (subscripts[d] < reader.lower[d] || subscripts[d] > last_of(&reader, d)) {
                return subscript_error(eval, "array subscript out of range");
            }
            place = place * (uint32_t)reader.sizes[d] + (uint32_t)(subscripts[d] - reader.lower[d]);
        }
        keep(&reader, old, &maker);
        maker.elements[place] = args[1];
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

/* An array that has no elements yet gets the slice's. */
static enum err
set_first(struct eval *eval, const struct bounds *bounds, struct datum *put, uint32_t put_count,
    struct array_maker *maker)
{
    int64_t count = 1;
    maker->dimensions = bounds->count;
    for (uint32_t d = 0; d < bounds->count; d++) {
        if (!bounds->has_lower[d] || !bounds->has_upper[d]) {
            (void)subscript_error(eval, "array slice subscript must provide both boundaries");
            if (eval->diag != NULL) {
                diag_detail(eval->diag, "When assigning to a slice of an empty array value, slice "
                                        "boundaries must be fully specified.");
            }
            return ERR_ARRAY_SUBSCRIPT;
        }
        int64_t size = bounds->upper[d] - bounds->lower[d] + 1;
        if (size <= 0) {
            return subscript_error(eval, "upper bound cannot be less than lower bound");
        }
        if (size > put_count || (count *= size) > put_count) {
            return subscript_error(eval, "source array too small");
        }
        maker->lower[d] = (int32_t)bounds->lower[d];
        maker->sizes[d] = (int32_t)size;
    }
    maker->elements = put;
    maker->count = (uint32_t)count;
    return ERR_OK;
}

/* array_set_slice(array, values, element type, mask, lower, upper) */
FN(array_set_slice)
{
    UNUSED_COUNT;
    struct bounds bounds;
    struct array_reader reader;
    struct datum *old, *put;
    if (!read_bounds(args[3], args[4], args[5], &bounds)) {
        return null_subscript(eval);
    }
    *result = args[0];
    if (args[1].null) {
        return ERR_OK;
    }
    open_old(eval, args[0], &reader, &old);
    uint32_t put_count = array_elements(eval->arena, args[1], &put);
    struct array_maker maker = {.element = (oid_t)args[2].i};
    if (reader.dimensions == 0) {
        TRY(set_first(eval, &bounds, put, put_count, &maker));
        *result = array__make(eval->arena, &maker);
        return ERR_OK;
    }
    if (reader.dimensions < bounds.count) {
        return subscript_error(eval, "wrong number of array subscripts");
    }
    complete(&bounds, &reader);
    int64_t wanted = 1;
    for (uint32_t d = 0; d < bounds.count; d++) {
        int64_t size = bounds.upper[d] - bounds.lower[d] + 1;
        if (size <= 0) {
            return subscript_error(eval, "upper bound cannot be less than lower bound");
        }
        if (bounds.count > 1 &&
            (bounds.lower[d] < reader.lower[d] || bounds.upper[d] > last_of(&reader, d))) {
            return subscript_error(eval, "array subscript out of range");
        }
        wanted = size > put_count ? (int64_t)put_count + 1 : wanted * size; /* no overflow */
        if (wanted > put_count) {
            return subscript_error(eval, "source array too small");
        }
    }
    if (bounds.count == 1) {
        TRY(widen(eval, &reader, old, bounds.lower[0], bounds.upper[0], &maker));
        memcpy(
            maker.elements + (bounds.lower[0] - maker.lower[0]), put, (size_t)wanted * sizeof *put);
    } else {
        keep(&reader, old, &maker);
        for (uint32_t place = 0, next = 0; place < maker.count; place++) {
            if (within(&bounds, &reader, place)) {
                maker.elements[place] = put[next++];
            }
        }
    }
    *result = array__make(eval->arena, &maker);
    return ERR_OK;
}

#define ARR  TYPE_ANYARRAY
#define INTS 1007
#define I    FUNCTION_INTERNAL

static const struct function functions[] = {
    {"array_slice", 0, ARR, 4, 4, I | FUNCTION_STRICT, {ARR, TYPE_INT4, INTS, INTS}, array_slice,
        NULL, NULL},
    {"array_set", 0, ARR, 4, 4, I, {ARR, TYPE_ANYELEMENT, TYPE_OID, INTS}, array_set, NULL, NULL},
    {"array_set_slice", 0, ARR, 6, 6, I, {ARR, ARR, TYPE_OID, TYPE_INT4, INTS, INTS},
        array_set_slice, NULL, NULL},
};

const struct function_rows array_part_rows = {ROWS(functions), NULL, 0, NULL, 0};
