/*
 * sql/value/aggregates.c - count, sum, avg, min, max and the rest: state machines over a group.
 *
 * Sums of integers are exact in 128 bits: 2^64 rows of bigint cannot overflow them.
 */
#include <math.h>

#include "base/assert.h"
#include "sql/value/value_internal.h"

#define STEP(name)        \
    static enum err name( \
        struct eval *eval, void *memory, struct arena *group, const struct datum *args, int count)
#define FINISH(name) static enum err name(struct eval *eval, void *memory, struct datum *result)

/* ---- count ------------------------------------------------------------------------------- */

STEP(count_step)
{
    (void)eval;
    (void)group;
    (void)args;
    UNUSED_COUNT;
    (*(int64_t *)memory)++;
    return ERR_OK;
}

FINISH(count_finish)
{
    (void)eval;
    *result = datum_int(*(int64_t *)memory);
    return ERR_OK;
}

static bool
count_unstep(void *memory, const struct datum *args)
{
    (void)args;
    (*(int64_t *)memory)--;
    return true;
}

static const struct aggregate count_aggregate = {sizeof(int64_t), count_step, count_finish};

/* ---- sums of integers -------------------------------------------------------------------- */

struct int_sum {
    int64_t high; /* the sum is high * 2^64 + low; two words: arena memory is 16-byte aligned, the
                     state inside a row of states need not be */
    uint64_t low;
    int64_t count;
    __extension__ char unused[8];
};

static __int128
int_sum_get(const struct int_sum *state)
{
    return (__int128)((unsigned __int128)(uint64_t)state->high << 64 | state->low);
}

STEP(int_sum_step)
{
    (void)eval;
    (void)group;
    UNUSED_COUNT;
    struct int_sum *state = memory;
    uint64_t add = (uint64_t)args[0].i;
    state->high +=
        (args[0].i < 0 ? -1 : 0) + (__builtin_add_overflow(state->low, add, &state->low) ? 1 : 0);
    state->count++;
    return ERR_OK;
}

static bool
int_sum_unstep(void *memory, const struct datum *args)
{
    struct int_sum *state = memory;
    uint64_t take = (uint64_t)args[0].i;
    state->high -=
        (args[0].i < 0 ? -1 : 0) + (__builtin_sub_overflow(state->low, take, &state->low) ? 1 : 0);
    state->count--;
    return true;
}

FINISH(int_sum_finish)
{
    const struct int_sum *state = memory;
    if (state->count == 0) {
        *result = datum_null();
        return ERR_OK;
    }
    __int128 sum = int_sum_get(state);
    if (sum < INT64_MIN || sum > INT64_MAX) {
        return value__out_of_range(eval, "bigint");
    }
    *result = datum_int((int64_t)sum);
    return ERR_OK;
}

FINISH(int_sum_numeric_finish)
{
    const struct int_sum *state = memory;
    *result =
        state->count == 0 ? datum_null() : numeric__from_int128(eval->arena, int_sum_get(state), 0);
    return ERR_OK;
}

FINISH(int_avg_finish)
{
    const struct int_sum *state = memory;
    if (state->count == 0) {
        *result = datum_null();
        return ERR_OK;
    }
    return numeric__divide(eval, numeric__from_int128(eval->arena, int_sum_get(state), 0),
        numeric__from_int(eval->arena, state->count), result);
}

static const struct aggregate int_sum = {sizeof(struct int_sum), int_sum_step, int_sum_finish};
static const struct aggregate int8_sum = {
    sizeof(struct int_sum), int_sum_step, int_sum_numeric_finish};
static const struct aggregate int_avg = {sizeof(struct int_sum), int_sum_step, int_avg_finish};

/* ---- sums of numerics
 * ----------------------------------------------------------------------------- */

struct numeric_sum {
    struct int_sum fast; /* of mantissas at `scale`, while they fit */
    uint8_t *slow;       /* everything that did not, added up: changed in place */
    uint32_t slow_size, slow_capacity;
    int64_t count;
    int32_t scale;
};

STEP(numeric_sum_step)
{
    UNUSED_COUNT;
    struct numeric_sum *state = memory;
    int64_t mantissa = 0;
    int scale = 0;
    bool small = numeric__is_int(args[0], &mantissa, &scale);
    if (small && (state->fast.count == 0 || scale == state->scale)) {
        state->scale = scale;
        struct datum value = datum_int(mantissa);
        state->count++;
        return int_sum_step(eval, &state->fast, group, &value, 1);
    }
    state->count++;
    struct datum sum = args[0];
    if (state->slow_size > 0) {
        TRY(numeric__sum(eval, datum_bytes(state->slow, state->slow_size), args[0], &sum));
    }
    if (sum.size > state->slow_capacity) {
        state->slow_capacity = 2 * sum.size;
        state->slow = arena_alloc_raw(group, state->slow_capacity);
    }
    memcpy(state->slow, sum.p, sum.size);
    state->slow_size = sum.size;
    return ERR_OK;
}

/* While all are in the fast sum, with one scale: the result's scale is theirs. */
static bool
numeric_sum_unstep(void *memory, const struct datum *args)
{
    struct numeric_sum *state = memory;
    int64_t mantissa = 0;
    int scale = 0;
    if (state->slow_size > 0 || !numeric__is_int(args[0], &mantissa, &scale)) {
        return false;
    }
    ASSERT(scale == state->scale && state->count > 0);
    struct datum value = datum_int(mantissa);
    state->count--;
    return int_sum_unstep(&state->fast, &value);
}

FINISH(numeric_sum_finish)
{
    const struct numeric_sum *state = memory;
    if (state->count == 0) {
        *result = datum_null();
        return ERR_OK;
    }
    struct datum fast = numeric__from_int128(eval->arena, int_sum_get(&state->fast), state->scale);
    if (state->slow_size == 0) {
        *result = fast;
        return ERR_OK;
    }
    struct datum slow = datum_bytes(state->slow, state->slow_size);
    if (state->fast.count == 0) {
        *result = datum_copy(eval->arena, TYPE_NUMERIC, slow);
        return ERR_OK;
    }
    return numeric__sum(eval, fast, slow, result);
}

FINISH(numeric_avg_finish)
{
    const struct numeric_sum *state = memory;
    struct datum sum;
    TRY(numeric_sum_finish(eval, memory, &sum));
    if (sum.null) {
        *result = sum;
        return ERR_OK;
    }
    return numeric__divide(eval, sum, numeric__from_int(eval->arena, state->count), result);
}

static const struct aggregate numeric_sum = {
    sizeof(struct numeric_sum), numeric_sum_step, numeric_sum_finish};
static const struct aggregate numeric_avg = {
    sizeof(struct numeric_sum), numeric_sum_step, numeric_avg_finish};

aggregate_unstep *
aggregate_inverse(const struct aggregate *aggregate)
{
    if (aggregate == &count_aggregate) {
        return count_unstep;
    }
    if (aggregate == &int_sum || aggregate == &int8_sum || aggregate == &int_avg) {
        return int_sum_unstep;
    }
    return aggregate == &numeric_sum || aggregate == &numeric_avg ? numeric_sum_unstep : NULL;
}

/* ---- sums of floats ---------------------------------------------------------------------- */

struct float_state {
    int64_t count;
    double sum;
};

STEP(float_step)
{
    UNUSED_COUNT;
    (void)group;
    struct float_state *state = memory;
    double before = state->sum;
    /* The first is not added to a zero: a sum of -0 is -0. */
    state->sum = state->count++ == 0 ? args[0].f : state->sum + args[0].f;
    return isinf(state->sum) && !isinf(args[0].f) && !isinf(before)
               ? diag_set(eval->diag, ERR_NUMERIC_RANGE, "value out of range: overflow")
               : ERR_OK;
}

/* The sum of reals is a real after every row. */
STEP(float4_step)
{
    UNUSED_COUNT;
    (void)group;
    struct float_state *state = memory;
    double before = state->sum;
    state->sum = state->count++ == 0 ? args[0].f : (double)((float)state->sum + (float)args[0].f);
    return isinf(state->sum) && !isinf(args[0].f) && !isinf(before)
               ? diag_set(eval->diag, ERR_NUMERIC_RANGE, "value out of range: overflow")
               : ERR_OK;
}

FINISH(float_sum_finish)
{
    (void)eval;
    const struct float_state *state = memory;
    *result = state->count == 0 ? datum_null() : datum_float(state->sum);
    return ERR_OK;
}

FINISH(float_avg_finish)
{
    (void)eval;
    const struct float_state *state = memory;
    *result =
        state->count == 0 ? datum_null() : datum_float((state->sum + 0.0) / (double)state->count);
    return ERR_OK;
}

static const struct aggregate float8_sum = {
    sizeof(struct float_state), float_step, float_sum_finish};
static const struct aggregate float4_sum = {
    sizeof(struct float_state), float4_step, float_sum_finish};
static const struct aggregate float_avg = {
    sizeof(struct float_state), float_step, float_avg_finish};

/* ---- min, max
 * -------------------------------------------------------------------------------------------- */

struct best {
    struct datum value;
    bool any;
};

static enum err
keep_best(void *memory, struct arena *group, struct datum value, oid_t type, int sign)
{
    struct best *state = memory;
    if (!state->any || sign * datum_compare(type, value, state->value) > 0) {
        state->value = datum_copy(group, type, value);
        state->any = true;
    }
    return ERR_OK;
}

FINISH(best_finish)
{
    (void)eval;
    const struct best *state = memory;
    *result = state->any ? state->value : datum_null();
    return ERR_OK;
}

#define BEST(name, type)                                    \
    STEP(name##_min_step)                                   \
    {                                                       \
        (void)eval;                                         \
        UNUSED_COUNT;                                       \
        return keep_best(memory, group, args[0], type, -1); \
    }                                                       \
    STEP(name##_max_step)                                   \
    {                                                       \
        (void)eval;                                         \
        UNUSED_COUNT;                                       \
        return keep_best(memory, group, args[0], type, 1);  \
    }                                                       \
    static const struct aggregate name##_min = {            \
        sizeof(struct best), name##_min_step, best_finish}; \
    static const struct aggregate name##_max = {sizeof(struct best), name##_max_step, best_finish};
BEST(int, TYPE_INT8)
BEST(float, TYPE_FLOAT8)
BEST(numeric, TYPE_NUMERIC)
BEST(text, TYPE_TEXT)
BEST(bpchar, TYPE_BPCHAR)
BEST(interval, TYPE_INTERVAL)
BEST(array, TYPE_INT4_ARRAY) /* of any type: an array knows its elements' */

/* ---- booleans, bits, strings
 * ----------------------------------------------------------------------------- */

struct fold {
    int64_t value;
    bool any;
};

#define FOLD(name, op)                                                       \
    STEP(name##_step)                                                        \
    {                                                                        \
        (void)eval;                                                          \
        (void)group;                                                         \
        UNUSED_COUNT;                                                        \
        struct fold *state = memory;                                         \
        state->value = state->any ? (state->value op args[0].i) : args[0].i; \
        state->any = true;                                                   \
        return ERR_OK;                                                       \
    }
FOLD(and, &)
FOLD(or, |)
FOLD(xor, ^)

FINISH(fold_finish)
{
    (void)eval;
    const struct fold *state = memory;
    *result = state->any ? datum_int(state->value) : datum_null();
    return ERR_OK;
}

static const struct aggregate fold_and = {sizeof(struct fold), and_step, fold_finish};
static const struct aggregate fold_or = {sizeof(struct fold), or_step, fold_finish};
static const struct aggregate fold_xor = {sizeof(struct fold), xor_step, fold_finish};

/* Doubling memory in the group's arena. */
struct string_state {
    uint8_t *bytes;
    size_t size, capacity;
    bool any;
};

static void
append(struct string_state *state, struct arena *group, struct datum value)
{
    size_t need = state->size + value.size;
    if (need > state->capacity) {
        size_t capacity = state->capacity < 64 ? 64 : state->capacity;
        while (capacity < need) {
            capacity *= 2;
        }
        uint8_t *bytes = arena_alloc_raw(group, capacity);
        if (state->size > 0) {
            memcpy(bytes, state->bytes, state->size);
        }
        state->bytes = bytes;
        state->capacity = capacity;
    }
    if (value.size > 0) {
        memcpy(state->bytes + state->size, value.p, value.size);
    }
    state->size = need;
}

STEP(string_agg_step)
{
    UNUSED_COUNT;
    struct string_state *state = memory;
    if (args[0].null) {
        return ERR_OK;
    }
    if (state->any && !args[1].null) {
        append(state, group, args[1]);
    }
    append(state, group, args[0]);
    state->any = true;
    return state->size > (size_t)1 << 30
               ? diag_set(eval->diag, ERR_PROGRAM_LIMIT, "string_agg result is too large")
               : ERR_OK;
}

FINISH(string_agg_finish)
{
    (void)eval;
    const struct string_state *state = memory;
    *result = state->any ? datum_bytes(state->bytes, state->size) : datum_null();
    return ERR_OK;
}

static const struct aggregate string_agg = {
    sizeof(struct string_state), string_agg_step, string_agg_finish};

#define A  FUNCTION_AGGREGATE
#define SA (FUNCTION_AGGREGATE | FUNCTION_STRICT)
#define AGG(name, result, arg, aggregate)                          \
    {                                                              \
        name, 0, result, 1, 1, SA, {arg}, NULL, &(aggregate), NULL \
    }
#define MIN_MAX(type, state) \
    AGG("min", type, type, state##_min), AGG("max", type, type, state##_max)

/* Without code: sql/exec/window.c runs them. */
#define WINDOW(name, oid, result, count, ...)                                             \
    {                                                                                     \
        name, oid, result, count, count, FUNCTION_WINDOW, {__VA_ARGS__}, NULL, NULL, NULL \
    }

static const struct function functions[] = {
    WINDOW("row_number", 3100, TYPE_INT8, 0, 0),
    WINDOW("rank", 3101, TYPE_INT8, 0, 0),
    WINDOW("dense_rank", 3102, TYPE_INT8, 0, 0),
    WINDOW("percent_rank", 3103, TYPE_FLOAT8, 0, 0),
    WINDOW("cume_dist", 3104, TYPE_FLOAT8, 0, 0),
    WINDOW("ntile", 3105, TYPE_INT4, 1, TYPE_INT4),
    WINDOW("lag", 3106, TYPE_ANYELEMENT, 1, TYPE_ANYELEMENT),
    WINDOW("lag", 3107, TYPE_ANYELEMENT, 2, TYPE_ANYELEMENT, TYPE_INT4),
    WINDOW("lag", 3108, TYPE_ANYELEMENT, 3, TYPE_ANYELEMENT, TYPE_INT4, TYPE_ANYELEMENT),
    WINDOW("lead", 3109, TYPE_ANYELEMENT, 1, TYPE_ANYELEMENT),
    WINDOW("lead", 3110, TYPE_ANYELEMENT, 2, TYPE_ANYELEMENT, TYPE_INT4),
    WINDOW("lead", 3111, TYPE_ANYELEMENT, 3, TYPE_ANYELEMENT, TYPE_INT4, TYPE_ANYELEMENT),
    WINDOW("first_value", 3112, TYPE_ANYELEMENT, 1, TYPE_ANYELEMENT),
    WINDOW("last_value", 3113, TYPE_ANYELEMENT, 1, TYPE_ANYELEMENT),
    WINDOW("nth_value", 3114, TYPE_ANYELEMENT, 2, TYPE_ANYELEMENT, TYPE_INT4),
    {"count", 2803, TYPE_INT8, 0, 0, A, {0}, NULL, &count_aggregate, NULL},
    {"count", 2147, TYPE_INT8, 1, 1, SA, {TYPE_ANY}, NULL, &count_aggregate, NULL},
    AGG("sum", TYPE_INT8, TYPE_INT2, int_sum),
    AGG("sum", TYPE_INT8, TYPE_INT4, int_sum),
    AGG("sum", TYPE_NUMERIC, TYPE_INT8, int8_sum),
    AGG("sum", TYPE_NUMERIC, TYPE_NUMERIC, numeric_sum),
    AGG("sum", TYPE_FLOAT4, TYPE_FLOAT4, float4_sum),
    AGG("sum", TYPE_FLOAT8, TYPE_FLOAT8, float8_sum),
    AGG("avg", TYPE_NUMERIC, TYPE_INT2, int_avg),
    AGG("avg", TYPE_NUMERIC, TYPE_INT4, int_avg),
    AGG("avg", TYPE_NUMERIC, TYPE_INT8, int_avg),
    AGG("avg", TYPE_NUMERIC, TYPE_NUMERIC, numeric_avg),
    AGG("avg", TYPE_FLOAT8, TYPE_FLOAT4, float_avg),
    AGG("avg", TYPE_FLOAT8, TYPE_FLOAT8, float_avg),
    MIN_MAX(TYPE_INT2, int),
    MIN_MAX(TYPE_INT4, int),
    MIN_MAX(TYPE_INT8, int),
    MIN_MAX(TYPE_OID, int),
    MIN_MAX(TYPE_DATE, int),
    MIN_MAX(TYPE_TIME, int),
    MIN_MAX(TYPE_TIMESTAMP, int),
    MIN_MAX(TYPE_TIMESTAMPTZ, int),
    MIN_MAX(TYPE_FLOAT4, float),
    MIN_MAX(TYPE_FLOAT8, float),
    MIN_MAX(TYPE_NUMERIC, numeric),
    MIN_MAX(TYPE_TEXT, text),
    MIN_MAX(TYPE_BPCHAR, bpchar),
    MIN_MAX(TYPE_INTERVAL, interval),
    MIN_MAX(TYPE_INET, text), /* compared as bytes are */
    MIN_MAX(TYPE_ANYENUM, int),
    MIN_MAX(TYPE_ANYARRAY, array),
    AGG("bool_and", TYPE_BOOL, TYPE_BOOL, fold_and),
    AGG("every", TYPE_BOOL, TYPE_BOOL, fold_and),
    AGG("bool_or", TYPE_BOOL, TYPE_BOOL, fold_or),
    AGG("bit_and", TYPE_INT2, TYPE_INT2, fold_and),
    AGG("bit_or", TYPE_INT2, TYPE_INT2, fold_or),
    AGG("bit_xor", TYPE_INT2, TYPE_INT2, fold_xor),
    AGG("bit_and", TYPE_INT4, TYPE_INT4, fold_and),
    AGG("bit_and", TYPE_INT8, TYPE_INT8, fold_and),
    AGG("bit_or", TYPE_INT4, TYPE_INT4, fold_or),
    AGG("bit_or", TYPE_INT8, TYPE_INT8, fold_or),
    AGG("bit_xor", TYPE_INT4, TYPE_INT4, fold_xor),
    AGG("bit_xor", TYPE_INT8, TYPE_INT8, fold_xor),
    {"string_agg", 0, TYPE_TEXT, 2, 2, A, {TYPE_TEXT, TYPE_TEXT}, NULL, &string_agg, NULL},
    {"string_agg", 0, TYPE_BYTEA, 2, 2, A, {TYPE_BYTEA, TYPE_BYTEA}, NULL, &string_agg, NULL},
};

const struct function_rows aggregate_rows = {ROWS(functions), NULL, 0, NULL, 0};
