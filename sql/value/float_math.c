/*
 * sql/value/float_math.c - mathematical functions of double precision.
 *
 * Results that overflow or vanish are errors, as PostgreSQL has it, unless the argument was already
 * infinite or zero. The functions of degrees are exact where a school table is: they divide by the
 * same function of a reference angle, so that its rounding error cancels.
 */
#include <math.h>
#include <stdlib.h>

#include "sql/value/value_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

static const double radians_per_degree = 0.0174532925199432957692;

/* ---- ranges ------------------------------------------------------------------------------ */

static enum err
input_range(struct eval *eval)
{
    return diag_set(eval->diag, ERR_NUMERIC_RANGE, "input is out of range");
}

static enum err
fit(struct eval *eval, double value, bool may_be_infinite, bool may_be_zero, struct datum *result)
{
    if (isinf(value) && !may_be_infinite) {
        return diag_set(eval->diag, ERR_NUMERIC_RANGE, "value out of range: overflow");
    }
    if (value == 0 && !may_be_zero) {
        return diag_set(eval->diag, ERR_NUMERIC_RANGE, "value out of range: underflow");
    }
    *result = datum_float(value);
    return ERR_OK;
}

/* Defined everywhere. */
#define PLAIN(name, expr)            \
    FN(name)                         \
    {                                \
        UNUSED_COUNT;                \
        (void)eval;                  \
        double x = args[0].f;        \
        *result = datum_float(expr); \
        return ERR_OK;               \
    }
/* Not of infinity. */
#define FINITE(name, expr)                                       \
    FN(name)                                                     \
    {                                                            \
        UNUSED_COUNT;                                            \
        double x = args[0].f;                                    \
        if (isinf(x)) {                                          \
            return input_range(eval);                            \
        }                                                        \
        *result = isnan(x) ? datum_float(x) : datum_float(expr); \
        return ERR_OK;                                           \
    }
/* Between -1 and 1. */
#define UNIT(name, expr)                                         \
    FN(name)                                                     \
    {                                                            \
        UNUSED_COUNT;                                            \
        double x = args[0].f;                                    \
        if (x < -1 || x > 1) {                                   \
            return input_range(eval);                            \
        }                                                        \
        *result = isnan(x) ? datum_float(x) : datum_float(expr); \
        return ERR_OK;                                           \
    }

/* ---- rounding, roots, powers ------------------------------------------------------------- */

PLAIN(float_floor, floor(x))
PLAIN(float_ceil, ceil(x))
PLAIN(float_round, rint(x))
PLAIN(float_trunc, trunc(x))
PLAIN(float_sign, (x > 0) - (x < 0))
PLAIN(float_cbrt, cbrt(x))

FN(float_sqrt)
{
    UNUSED_COUNT;
    if (args[0].f < 0) {
        return diag_set(
            eval->diag, ERR_INVALID_POWER_ARGUMENT, "cannot take square root of a negative number");
    }
    *result = datum_float(sqrt(args[0].f));
    return ERR_OK;
}

FN(float_power)
{
    UNUSED_COUNT;
    double x = args[0].f;
    double y = args[1].f;
    if (isnan(x) || isnan(y)) {
        *result = datum_float(y == 0 || x == 1 ? 1 : (double)NAN);
        return ERR_OK;
    }
    if (x == 0 && y < 0) {
        return diag_set(
            eval->diag, ERR_INVALID_POWER_ARGUMENT, "zero raised to a negative power is undefined");
    }
    if (x < 0 && floor(y) != y) {
        return diag_set(eval->diag, ERR_INVALID_POWER_ARGUMENT,
            "a negative number raised to a non-integer power yields a complex result");
    }
    bool endless = isinf(x) || isinf(y);
    return fit(eval, pow(x, y), endless, endless || x == 0, result);
}

FN(float_exp)
{
    UNUSED_COUNT;
    double x = args[0].f;
    return fit(eval, exp(x), isinf(x), isinf(x), result);
}

static enum err
check_log(struct eval *eval, double x)
{
    return x == 0  ? diag_set(eval->diag, ERR_INVALID_LOG_ARGUMENT, "cannot take logarithm of zero")
           : x < 0 ? diag_set(eval->diag, ERR_INVALID_LOG_ARGUMENT,
                         "cannot take logarithm of a negative number")
                   : ERR_OK;
}

FN(float_ln)
{
    UNUSED_COUNT;
    TRY(check_log(eval, args[0].f));
    *result = datum_float(log(args[0].f));
    return ERR_OK;
}

FN(float_log10)
{
    UNUSED_COUNT;
    TRY(check_log(eval, args[0].f));
    *result = datum_float(log10(args[0].f));
    return ERR_OK;
}

/* ---- angles ------------------------------------------------------------------------------ */

FINITE(float_sin, sin(x))
FINITE(float_cos, cos(x))
FINITE(float_tan, tan(x))
FINITE(float_cot, 1.0 / tan(x))
UNIT(float_asin, asin(x))
UNIT(float_acos, acos(x))
PLAIN(float_atan, atan(x))
PLAIN(float_sinh, sinh(x))
PLAIN(float_cosh, cosh(x))
PLAIN(float_tanh, tanh(x))
PLAIN(float_asinh, asinh(x))
UNIT(float_atanh, atanh(x))

FN(float_acosh)
{
    UNUSED_COUNT;
    if (args[0].f < 1) {
        return input_range(eval);
    }
    *result = datum_float(acosh(args[0].f));
    return ERR_OK;
}

FN(float_atan2)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_float(atan2(args[0].f, args[1].f));
    return ERR_OK;
}

FN(float_degrees)
{
    UNUSED_COUNT;
    double x = args[0].f;
    return fit(eval, x / radians_per_degree, isinf(x), x == 0, result);
}

FN(float_radians)
{
    UNUSED_COUNT;
    double x = args[0].f;
    return fit(eval, x * radians_per_degree, isinf(x), x == 0, result);
}

/* volatile, because the compiler's own sine need not be the library's. */
static double
sin_small(double x) /* 0..30 degrees */
{
    volatile double reference = 30 * radians_per_degree;
    return sin(x * radians_per_degree) / sin(reference) / 2.0;
}

static double
cos_small(double x) /* 0..60 degrees */
{
    volatile double reference = 60 * radians_per_degree;
    return 1.0 - (1.0 - cos(x * radians_per_degree)) / (1.0 - cos(reference)) / 2.0;
}

static double
sin_quadrant(double x) /* 0..90 */
{
    return x <= 30 ? sin_small(x) : cos_small(90.0 - x);
}

static double
cos_quadrant(double x)
{
    return x <= 60 ? cos_small(x) : sin_small(90.0 - x);
}

static double
sin_degrees(double x)
{
    double sign = 1;
    x = fmod(x, 360.0);
    if (x < 0) {
        x = -x;
        sign = -sign;
    }
    if (x > 180) {
        x = 360.0 - x;
        sign = -sign;
    }
    return sign * sin_quadrant(x > 90 ? 180.0 - x : x);
}

static double
cos_degrees(double x)
{
    double sign = 1;
    x = fabs(fmod(x, 360.0));
    if (x > 180) {
        x = 360.0 - x;
    }
    if (x > 90) {
        x = 180.0 - x;
        sign = -sign;
    }
    return sign * cos_quadrant(x);
}

/* tan if !cotangent. */
static double
tan_degrees(double x, bool cotangent)
{
    double sign = 1;
    x = fmod(x, 360.0);
    if (x < 0) {
        x = -x;
        sign = -sign;
    }
    if (x > 180) {
        x = 360.0 - x;
        sign = -sign;
    }
    if (x > 90) {
        x = 180.0 - x;
        sign = -sign;
    }
    double s = sin_quadrant(x);
    double c = cos_quadrant(x);
    double reference = sin_quadrant(45.0) / cos_quadrant(45.0);
    double value = sign * ((cotangent ? c / s : s / c) / reference);
    return value == 0 ? 0 : value; /* no -0 */
}

static double
asin_quadrant(double x) /* 0..1 */
{
    volatile double half = 0.5;
    return x <= 0.5 ? asin(x) / asin(half) * 30.0 : 90.0 - acos(x) / acos(half) * 60.0;
}

static double
acos_quadrant(double x)
{
    volatile double half = 0.5;
    return x <= 0.5 ? 90.0 - asin(x) / asin(half) * 30.0 : acos(x) / acos(half) * 60.0;
}

static double
eighth(void)
{
    volatile double one = 1.0;
    return atan(one);
}

FINITE(float_sind, sin_degrees(x))
FINITE(float_cosd, cos_degrees(x))
FINITE(float_tand, tan_degrees(x, false))
FINITE(float_cotd, tan_degrees(x, true))
UNIT(float_asind, x >= 0 ? asin_quadrant(x) : -asin_quadrant(-x))
UNIT(float_acosd, x >= 0 ? acos_quadrant(x) : 90.0 + asin_quadrant(-x))
PLAIN(float_atand, atan(x) / eighth() * 45.0)

FN(float_atan2d)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_float(atan2(args[0].f, args[1].f) / eighth() * 45.0);
    return ERR_OK;
}

/* ---- constants, chance ------------------------------------------------------------------- */

FN(float_pi)
{
    (void)eval;
    (void)args;
    UNUSED_COUNT;
    *result = datum_float(M_PI);
    return ERR_OK;
}

static uint64_t
rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* xoroshiro128** and splitmix64, as PostgreSQL 15: a seed gives the same numbers. */
static uint64_t
next_random(uint64_t state[2])
{
    uint64_t s0 = state[0];
    uint64_t mixed = state[1] ^ s0;
    state[0] = rotate_left(s0, 24) ^ mixed ^ (mixed << 16);
    state[1] = rotate_left(mixed, 37);
    return rotate_left(s0 * 5, 7) * 9;
}

static uint64_t
spread_seed(uint64_t *seed)
{
    uint64_t value = (*seed += UINT64_C(0x9E3779B97F4A7C15));
    value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
    return value ^ (value >> 31);
}

FN(set_seed)
{
    UNUSED_COUNT;
    double given = args[0].f;
    if (isnan(given)) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
            "setseed parameter NaN is out of allowed range [-1,1]");
    }
    if (given < -1 || given > 1) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
            "setseed parameter %g is out of allowed range [-1,1]", given);
    }
    uint64_t seed = (uint64_t)(int64_t)((double)((UINT64_C(1) << 52) - 1) * given);
    eval->env->random_state[0] = spread_seed(&seed);
    eval->env->random_state[1] = spread_seed(&seed);
    *result = datum_int(0);
    return ERR_OK;
}

FN(random_float)
{
    (void)args;
    UNUSED_COUNT;
    uint64_t *state = eval->env->random_state;
    if ((state[0] | state[1]) != 0) {
        *result = datum_float(ldexp((double)(next_random(state) >> 12), -52));
        return ERR_OK;
    }
    *result = datum_float((double)(world_random(eval->env->world) >> 11) * 0x1p-53);
    return ERR_OK;
}

#define F8 TYPE_FLOAT8
#define S  FUNCTION_STRICT
#define ONE(name, oid, call)                           \
    {                                                  \
        name, oid, F8, 1, 1, S, {F8}, call, NULL, NULL \
    }
#define TWO(name, oid, call)                               \
    {                                                      \
        name, oid, F8, 2, 2, S, {F8, F8}, call, NULL, NULL \
    }

static const struct function functions[] = {
    ONE("floor", 2309, float_floor),
    ONE("ceil", 2308, float_ceil),
    ONE("ceiling", 2320, float_ceil),
    ONE("round", 1342, float_round),
    ONE("trunc", 1343, float_trunc),
    ONE("sign", 2310, float_sign),
    ONE("sqrt", 1344, float_sqrt),
    ONE("cbrt", 1345, float_cbrt),
    TWO("power", 1368, float_power),
    TWO("pow", 1346, float_power),
    ONE("exp", 1347, float_exp),
    ONE("ln", 1341, float_ln),
    ONE("log", 1340, float_log10),
    ONE("log10", 1194, float_log10),
    ONE("sin", 1604, float_sin),
    ONE("cos", 1605, float_cos),
    ONE("tan", 1606, float_tan),
    ONE("cot", 1607, float_cot),
    ONE("asin", 1600, float_asin),
    ONE("acos", 1601, float_acos),
    ONE("atan", 1602, float_atan),
    TWO("atan2", 1603, float_atan2),
    ONE("sinh", 2462, float_sinh),
    ONE("cosh", 2463, float_cosh),
    ONE("tanh", 2464, float_tanh),
    ONE("asinh", 2465, float_asinh),
    ONE("acosh", 2466, float_acosh),
    ONE("atanh", 2467, float_atanh),
    ONE("sind", 2731, float_sind),
    ONE("cosd", 2732, float_cosd),
    ONE("tand", 2733, float_tand),
    ONE("cotd", 2734, float_cotd),
    ONE("asind", 2728, float_asind),
    ONE("acosd", 2729, float_acosd),
    ONE("atand", 2730, float_atand),
    TWO("atan2d", 2735, float_atan2d),
    ONE("degrees", 1608, float_degrees),
    ONE("radians", 1609, float_radians),
    {"pi", 1610, F8, 0, 0, S, {0}, float_pi, NULL, NULL},
    {"setseed", 1599, TYPE_VOID, 1, 1, S | FUNCTION_VOLATILE, {F8}, set_seed, NULL, NULL},
    {"random", 1598, F8, 0, 0, S | FUNCTION_VOLATILE, {0}, random_float, NULL, NULL},
};

static const struct operator_row operators[] = {
    {"^", "dpow", F8, F8, F8, float_power, NULL, NULL, 0},
    {"|/", "dsqrt", 0, F8, F8, float_sqrt, NULL, NULL, 0},
    {"||/", "dcbrt", 0, F8, F8, float_cbrt, NULL, NULL, 0},
};

const struct function_rows float_math_rows = {ROWS(functions), ROWS(operators), NULL, 0};
