/*
 * sql/value/spread.c - variance, standard deviation, covariance, regression.
 *
 * Of whole numbers and numerics exactly: from the sums of the values and of their squares, which
 * are kept in 128 and 192 bits while every value has the same scale and fits 64 bits, in numerics
 * otherwise. Of floats by Youngs and Cramer's update, as PostgreSQL.
 */
#include <math.h>

#include "base/assert.h"
#include "sql/value/numeric_internal.h"

#define STEP(name)        \
    static enum err name( \
        struct eval *eval, void *memory, struct arena *group, const struct datum *args, int count)
#define FINISH(name) static enum err name(struct eval *eval, void *memory, struct datum *result)

/* ---- exact ------------------------------------------------------------------------------- */

/* A numeric that changes in place, so that a long group needs no more memory than its sum. */
struct kept {
    uint8_t *bytes;
    uint32_t size, capacity;
};

struct exact {
    int64_t count;
    int64_t sum_high; /* the sum of mantissas: high * 2^64 + low */
    uint64_t sum_low;
    uint64_t squares[3]; /* from the lowest */
    int64_t fast_count;
    int32_t scale;               /* of those */
    bool special;                /* NaN or infinity was there: the result is NaN */
    struct kept sum, square_sum; /* of the others */
};

static void
keep(struct kept *kept, struct arena *group, struct datum value)
{
    if (value.size > kept->capacity) {
        kept->capacity = value.size * 2;
        kept->bytes = arena_alloc_raw(group, kept->capacity);
    }
    memcpy(kept->bytes, value.p, value.size);
    kept->size = value.size;
}

static enum err
keep_sum(struct eval *eval, struct kept *kept, struct arena *group, struct datum value)
{
    struct datum sum = value;
    if (kept->size > 0) {
        TRY(numeric__sum(eval, datum_bytes(kept->bytes, kept->size), value, &sum));
    }
    keep(kept, group, sum);
    return ERR_OK;
}

static void
add_fast(struct exact *state, int64_t mantissa)
{
    uint64_t magnitude = mantissa < 0 ? 0 - (uint64_t)mantissa : (uint64_t)mantissa;
    unsigned __int128 square = (unsigned __int128)magnitude * magnitude;
    uint64_t carry = 0;
    state->sum_high +=
        (mantissa < 0 ? -1 : 0) +
        (__builtin_add_overflow(state->sum_low, (uint64_t)mantissa, &state->sum_low) ? 1 : 0);
    carry = __builtin_add_overflow(state->squares[0], (uint64_t)square, &state->squares[0]);
    unsigned __int128 rest =
        (unsigned __int128)state->squares[1] + (uint64_t)(square >> 64) + carry;
    state->squares[1] = (uint64_t)rest;
    state->squares[2] += (uint64_t)(rest >> 64);
    state->fast_count++;
}

STEP(int_step)
{
    (void)eval;
    (void)group;
    UNUSED_COUNT;
    struct exact *state = memory;
    state->count++;
    add_fast(state, args[0].i);
    return ERR_OK;
}

STEP(numeric_step)
{
    UNUSED_COUNT;
    struct exact *state = memory;
    int64_t mantissa = 0;
    int scale = 0;
    state->count++;
    if (numeric__kind(args[0]) != KIND_FINITE) {
        state->special = true;
        return ERR_OK;
    }
    if (numeric__is_int(args[0], &mantissa, &scale) &&
        (state->fast_count == 0 || scale == state->scale)) {
        state->scale = scale;
        add_fast(state, mantissa);
        return ERR_OK;
    }
    struct datum square;
    TRY(numeric__multiply(eval, args[0], args[0], &square));
    TRY(keep_sum(eval, &state->sum, group, args[0]));
    return keep_sum(eval, &state->square_sum, group, square);
}

/* The sums of all values and of their squares. */
static enum err
sums_of(struct eval *eval, const struct exact *state, struct datum *sum, struct datum *squares)
{
    mpz_t z;
    mpz_init(z);
    mpz_import(z, 3, -1, sizeof state->squares[0], 0, 0, state->squares);
    *squares = numeric__from_mpz(eval->arena, z, 2 * state->scale);
    mpz_clear(z);
    *sum = numeric__from_int128(eval->arena,
        (__int128)((unsigned __int128)(uint64_t)state->sum_high << 64 | state->sum_low),
        state->scale);
    if (state->sum.size == 0) {
        return ERR_OK;
    }
    TRY(numeric__sum(eval, *sum, datum_bytes(state->sum.bytes, state->sum.size), sum));
    return numeric__sum(
        eval, *squares, datum_bytes(state->square_sum.bytes, state->square_sum.size), squares);
}

/* (N * squares - sum^2) / (N * (N - 1)), or / N^2 of a whole population. */
static enum err
exact_spread(
    struct eval *eval, const struct exact *state, bool sample, bool root, struct datum *result)
{
    *result = datum_null();
    if (state->count < (sample ? 2 : 1)) {
        return ERR_OK;
    }
    if (state->special) {
        *result = numeric__special(eval->arena, KIND_NAN);
        return ERR_OK;
    }
    struct datum sum;
    struct datum squares;
    struct datum count = numeric__from_int(eval->arena, state->count);
    struct datum other = numeric__from_int(eval->arena, sample ? state->count - 1 : state->count);
    TRY(sums_of(eval, state, &sum, &squares));
    TRY(numeric__multiply(eval, count, squares, &squares));
    TRY(numeric__multiply(eval, sum, sum, &sum));
    TRY(numeric__difference(eval, squares, sum, &squares));
    TRY(numeric__multiply(eval, count, other, &count));
    if (numeric__is_zero(squares)) {
        *result = numeric__from_int(eval->arena, 0);
        return ERR_OK;
    }
    int scale = numeric__division_scale(squares, count);
    *result = numeric__divide_at(eval->arena, squares, count, scale, false);
    if (root) {
        *result = numeric__sqrt_at(eval->arena, *result, scale);
    }
    return ERR_OK;
}

/* ---- floats ------------------------------------------------------------------------------ */

struct float_state {
    int64_t count;
    double sum, squares; /* sum of squared distances from the mean */
};

STEP(float_step)
{
    (void)group;
    UNUSED_COUNT;
    struct float_state *state = memory;
    double x = args[0].f;
    double before = state->sum;
    state->count++;
    state->sum += x;
    if (state->count > 1) {
        double n = (double)state->count;
        double d = x * n - state->sum;
        state->squares += d * d / (n * (n - 1));
        bool endless = isinf(state->sum) || isinf(state->squares);
        if (endless && !isinf(x) && !isinf(before)) {
            return diag_set(eval->diag, ERR_NUMERIC_RANGE, "value out of range: overflow");
        }
    } else if (isnan(x) || isinf(x)) {
        state->squares = (double)NAN;
    }
    return ERR_OK;
}

static enum err
float_spread(const struct float_state *state, bool sample, bool root, struct datum *result)
{
    *result = datum_null();
    if (state->count >= (sample ? 2 : 1)) {
        double value = state->squares / (double)(sample ? state->count - 1 : state->count);
        *result = datum_float(root ? sqrt(value) : value);
    }
    return ERR_OK;
}

#define SPREAD(name, sample, root)                                    \
    FINISH(name##_float_finish)                                       \
    {                                                                 \
        (void)eval;                                                   \
        return float_spread(memory, sample, root, result);            \
    }                                                                 \
    FINISH(name##_exact_finish)                                       \
    {                                                                 \
        return exact_spread(eval, memory, sample, root, result);      \
    }                                                                 \
    static const struct aggregate name##_float = {                    \
        sizeof(struct float_state), float_step, name##_float_finish}; \
    static const struct aggregate name##_int = {                      \
        sizeof(struct exact), int_step, name##_exact_finish};         \
    static const struct aggregate name##_numeric = {                  \
        sizeof(struct exact), numeric_step, name##_exact_finish};
SPREAD(var_samp, true, false)
SPREAD(var_pop, false, false)
SPREAD(stddev_samp, true, true)
SPREAD(stddev_pop, false, true)

/* ---- pairs (y, x) ------------------------------------------------------------------------ */

struct pair_state {
    int64_t count;
    double sum_x, square_x, sum_y, square_y, product; /* squares and product from the means */
};

STEP(pair_step)
{
    UNUSED_COUNT;
    (void)group;
    struct pair_state *state = memory;
    double y = args[0].f;
    double x = args[1].f;
    if (args[0].null || args[1].null) {
        return ERR_OK;
    }
    const struct pair_state before = *state;
    state->count++;
    state->sum_x += x;
    state->sum_y += y;
    if (state->count > 1) {
        double n = (double)state->count;
        double dx = x * n - state->sum_x;
        double dy = y * n - state->sum_y;
        double scale = 1.0 / (n * (n - 1));
        state->square_x += dx * dx * scale;
        state->square_y += dy * dy * scale;
        state->product += dx * dy * scale;
        bool x_fresh = !isinf(x) && !isinf(before.sum_x);
        bool y_fresh = !isinf(y) && !isinf(before.sum_y);
        if ((x_fresh && (isinf(state->sum_x) || isinf(state->square_x))) ||
            (y_fresh && (isinf(state->sum_y) || isinf(state->square_y))) ||
            (x_fresh && y_fresh && isinf(state->product))) {
            return diag_set(eval->diag, ERR_NUMERIC_RANGE, "value out of range: overflow");
        }
        state->square_x = isinf(state->square_x) ? (double)NAN : state->square_x;
        state->square_y = isinf(state->square_y) ? (double)NAN : state->square_y;
        state->product = isinf(state->product) ? (double)NAN : state->product;
    } else {
        if (!isfinite(x)) {
            state->square_x = (double)NAN;
            state->product = (double)NAN;
        }
        if (!isfinite(y)) {
            state->square_y = (double)NAN;
            state->product = (double)NAN;
        }
    }
    return ERR_OK;
}

/* least: how many pairs there must be; condition: else null. s: the state. */
#define PAIR(name, least, condition, expr)                                               \
    FINISH(name##_finish)                                                                \
    {                                                                                    \
        (void)eval;                                                                      \
        const struct pair_state *s = memory;                                             \
        double n = (double)s->count;                                                     \
        (void)n;                                                                         \
        *result = s->count < (least) || !(condition) ? datum_null() : datum_float(expr); \
        return ERR_OK;                                                                   \
    }                                                                                    \
    static const struct aggregate name = {sizeof(struct pair_state), pair_step, name##_finish};
PAIR(corr, 1, s->square_x != 0 && s->square_y != 0, s->product / sqrt(s->square_x * s->square_y))
PAIR(covar_pop, 1, true, s->product / n)
PAIR(covar_samp, 2, true, s->product / (n - 1))
PAIR(regr_avgx, 1, true, s->sum_x / n)
PAIR(regr_avgy, 1, true, s->sum_y / n)
PAIR(regr_sxx, 1, true, s->square_x)
PAIR(regr_syy, 1, true, s->square_y)
PAIR(regr_sxy, 1, true, s->product)
PAIR(regr_slope, 1, s->square_x != 0, s->product / s->square_x)
PAIR(regr_intercept, 1, s->square_x != 0, (s->sum_y - s->sum_x * s->product / s->square_x) / n)
PAIR(regr_r2, 1, s->square_x != 0,
    s->square_y == 0 ? 1.0 : (s->product * s->product) / (s->square_x * s->square_y))

FINISH(regr_count_finish)
{
    (void)eval;
    *result = datum_int(((const struct pair_state *)memory)->count);
    return ERR_OK;
}

STEP(regr_count_step)
{
    UNUSED_COUNT;
    (void)eval;
    (void)group;
    ((struct pair_state *)memory)->count += args[0].null || args[1].null ? 0 : 1;
    return ERR_OK;
}

static const struct aggregate regr_count = {
    sizeof(struct pair_state), regr_count_step, regr_count_finish};

#define SA (FUNCTION_AGGREGATE | FUNCTION_STRICT)
#define ROW(name, result, arg, aggregate)                          \
    {                                                              \
        name, 0, result, 1, 1, SA, {arg}, NULL, &(aggregate), NULL \
    }
#define ROWS_OF(name, state)                                    \
    ROW(name, TYPE_NUMERIC, TYPE_INT2, state##_int),            \
        ROW(name, TYPE_NUMERIC, TYPE_INT4, state##_int),        \
        ROW(name, TYPE_NUMERIC, TYPE_INT8, state##_int),        \
        ROW(name, TYPE_NUMERIC, TYPE_NUMERIC, state##_numeric), \
        ROW(name, TYPE_FLOAT8, TYPE_FLOAT4, state##_float),     \
        ROW(name, TYPE_FLOAT8, TYPE_FLOAT8, state##_float)
#define F8 TYPE_FLOAT8
#define PAIR_ROW(name, oid, result)                                                  \
    {                                                                                \
#name, oid, result, 2, 2, FUNCTION_AGGREGATE, {F8, F8 }, NULL, &(name), NULL \
    }

static const struct function functions[] = {
    ROWS_OF("var_samp", var_samp),
    ROWS_OF("variance", var_samp),
    ROWS_OF("var_pop", var_pop),
    ROWS_OF("stddev", stddev_samp),
    ROWS_OF("stddev_samp", stddev_samp),
    ROWS_OF("stddev_pop", stddev_pop),
    PAIR_ROW(regr_count, 2818, TYPE_INT8),
    PAIR_ROW(regr_sxx, 2819, F8),
    PAIR_ROW(regr_syy, 2820, F8),
    PAIR_ROW(regr_sxy, 2821, F8),
    PAIR_ROW(regr_avgx, 2822, F8),
    PAIR_ROW(regr_avgy, 2823, F8),
    PAIR_ROW(regr_r2, 2824, F8),
    PAIR_ROW(regr_slope, 2825, F8),
    PAIR_ROW(regr_intercept, 2826, F8),
    PAIR_ROW(covar_pop, 2827, F8),
    PAIR_ROW(covar_samp, 2828, F8),
    PAIR_ROW(corr, 2829, F8),
};

const struct function_rows spread_rows = {ROWS(functions), NULL, 0, NULL, 0};
