/* sql/value/arithmetic.c - booleans, integers and floats. */
#include <math.h>
#include <stdlib.h>

#include "sql/value/value_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

/* ---- integers ---------------------------------------------------------------------------- */

#define INT_OPS(type, min, max, words)                                                 \
    static enum err type##_fit(struct eval *eval, int64_t value, struct datum *result) \
    {                                                                                  \
        if (value < (min) || value > (max)) {                                          \
            return value__out_of_range(eval, words);                                   \
        }                                                                              \
        *result = datum_int(value);                                                    \
        return ERR_OK;                                                                 \
    }                                                                                  \
    FN(type##pl)                                                                       \
    {                                                                                  \
        UNUSED_COUNT;                                                                  \
        int64_t value;                                                                 \
        return __builtin_add_overflow(args[0].i, args[1].i, &value)                    \
                   ? value__out_of_range(eval, words)                                  \
                   : type##_fit(eval, value, result);                                  \
    }                                                                                  \
    FN(type##mi)                                                                       \
    {                                                                                  \
        UNUSED_COUNT;                                                                  \
        int64_t value;                                                                 \
        return __builtin_sub_overflow(args[0].i, args[1].i, &value)                    \
                   ? value__out_of_range(eval, words)                                  \
                   : type##_fit(eval, value, result);                                  \
    }                                                                                  \
    FN(type##mul)                                                                      \
    {                                                                                  \
        UNUSED_COUNT;                                                                  \
        int64_t value;                                                                 \
        return __builtin_mul_overflow(args[0].i, args[1].i, &value)                    \
                   ? value__out_of_range(eval, words)                                  \
                   : type##_fit(eval, value, result);                                  \
    }                                                                                  \
    FN(type##div)                                                                      \
    {                                                                                  \
        UNUSED_COUNT;                                                                  \
        if (args[1].i == 0) {                                                          \
            return diag_set(eval->diag, ERR_DIVISION_BY_ZERO, "division by zero");     \
        }                                                                              \
        if (args[1].i == -1) {                                                         \
            return args[0].i == INT64_MIN ? value__out_of_range(eval, words)           \
                                          : type##_fit(eval, -args[0].i, result);      \
        }                                                                              \
        return type##_fit(eval, args[0].i / args[1].i, result);                        \
    }                                                                                  \
    FN(type##mod)                                                                      \
    {                                                                                  \
        UNUSED_COUNT;                                                                  \
        if (args[1].i == 0) {                                                          \
            return diag_set(eval->diag, ERR_DIVISION_BY_ZERO, "division by zero");     \
        }                                                                              \
        *result = datum_int(args[1].i == -1 ? 0 : args[0].i % args[1].i);              \
        return ERR_OK;                                                                 \
    }                                                                                  \
    FN(type##um)                                                                       \
    {                                                                                  \
        UNUSED_COUNT;                                                                  \
        return args[0].i == INT64_MIN ? value__out_of_range(eval, words)               \
                                      : type##_fit(eval, -args[0].i, result);          \
    }                                                                                  \
    FN(type##abs)                                                                      \
    {                                                                                  \
        if (args[0].i < 0) {                                                           \
            return type##um(eval, args, count, result);                                \
        }                                                                              \
        *result = args[0];                                                             \
        return ERR_OK;                                                                 \
    }                                                                                  \
    FN(type##_from_float)                                                              \
    {                                                                                  \
        UNUSED_COUNT;                                                                  \
        double value = rint(args[0].f);                                                \
        if (isnan(value) || value < (double)(min) || value >= (double)(max) + 1.0) {   \
            return value__out_of_range(eval, words);                                   \
        }                                                                              \
        *result = datum_int((int64_t)value);                                           \
        return ERR_OK;                                                                 \
    }
INT_OPS(int2, INT16_MIN, INT16_MAX, "smallint")
INT_OPS(int4, INT32_MIN, INT32_MAX, "integer")
INT_OPS(int8, INT64_MIN, INT64_MAX, "bigint")

FN(int2_from_int)
{
    UNUSED_COUNT;
    return int2_fit(eval, args[0].i, result);
}

FN(int4_from_int)
{
    UNUSED_COUNT;
    return int4_fit(eval, args[0].i, result);
}

FN(keep)
{
    (void)eval;
    UNUSED_COUNT;
    *result = args[0];
    return ERR_OK;
}

#define BITS(name, expr)           \
    FN(name)                       \
    {                              \
        (void)eval;                \
        UNUSED_COUNT;              \
        *result = datum_int(expr); \
        return ERR_OK;             \
    }
BITS(bit_and, args[0].i &args[1].i)
BITS(bit_or, args[0].i | args[1].i)
BITS(bit_xor, (args[0].i ^ args[1].i))
BITS(bit_not, ~args[0].i)
BITS(shl2, (int16_t)((uint32_t)args[0].i << (args[1].i & 31)))
BITS(shr2, (int16_t)args[0].i >> (args[1].i & 31))
BITS(shl4, (int32_t)((uint32_t)args[0].i << (args[1].i & 31)))
BITS(shr4, (int32_t)args[0].i >> (args[1].i & 31))
BITS(shl8, (int64_t)((uint64_t)args[0].i << (args[1].i & 63)))
BITS(shr8, args[0].i >> (args[1].i & 63))
BITS(bool_from_int, args[0].i != 0)

static int64_t
gcd_of(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = b == -1 ? 0 : a % b;
        a = b;
        b = rest;
    }
    return a;
}

FN(int8gcd)
{
    UNUSED_COUNT;
    int64_t value = gcd_of(args[0].i, args[1].i);
    if (value == INT64_MIN) {
        return value__out_of_range(eval, "bigint");
    }
    *result = datum_int(value < 0 ? -value : value);
    return ERR_OK;
}

FN(int8lcm)
{
    UNUSED_COUNT;
    int64_t value = 0;
    if (args[0].i != 0 && args[1].i != 0) {
        int64_t gcd = gcd_of(args[0].i, args[1].i);
        int64_t part = gcd == -1 ? args[0].i : args[0].i / gcd; /* only its size matters */
        if (__builtin_mul_overflow(part, args[1].i, &value) || value == INT64_MIN) {
            return value__out_of_range(eval, "bigint");
        }
    }
    *result = datum_int(value < 0 ? -value : value);
    return ERR_OK;
}

FN(int4_to_oid)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_int((uint32_t)args[0].i);
    return ERR_OK;
}

FN(int8_to_oid)
{
    UNUSED_COUNT;
    *result = args[0];
    return args[0].i < 0 || args[0].i > UINT32_MAX ? value__out_of_range(eval, "OID") : ERR_OK;
}

FN(char_to_int4)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_int((int8_t)args[0].i);
    return ERR_OK;
}

FN(int4_to_char)
{
    UNUSED_COUNT;
    *result = datum_int((uint8_t)args[0].i);
    return args[0].i < INT8_MIN || args[0].i > INT8_MAX
               ? diag_set(eval->diag, ERR_NUMERIC_RANGE, "\"char\" out of range")
               : ERR_OK;
}

FN(oid_to_int4)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_int((int32_t)args[0].i);
    return ERR_OK;
}

#define FIT4(name, call)                                                                     \
    FN(name)                                                                                 \
    {                                                                                        \
        enum err err = call(eval, args, count, result);                                      \
        return err != ERR_OK || result->i > INT32_MAX ? value__out_of_range(eval, "integer") \
                                                      : ERR_OK;                              \
    }
FIT4(int4gcd, int8gcd)
FIT4(int4lcm, int8lcm)

/* ---- floats
 * ---------------------------------------------------------------------------------------- */

static enum err
float_fit(struct eval *eval, double value, bool infinite_input, bool zero_result, bool single,
    struct datum *result)
{
    if (single) {
        value = (double)(float)value;
    }
    if (isinf(value) && !infinite_input) {
        return diag_set(eval->diag, ERR_NUMERIC_RANGE, "value out of range: overflow");
    }
    if (value == 0 && !zero_result) {
        return diag_set(eval->diag, ERR_NUMERIC_RANGE, "value out of range: underflow");
    }
    *result = datum_float(value);
    return ERR_OK;
}

#define FLOAT_OPS(type, single)                                                                   \
    FN(type##pl)                                                                                  \
    {                                                                                             \
        UNUSED_COUNT;                                                                             \
        return float_fit(eval, args[0].f + args[1].f, isinf(args[0].f) || isinf(args[1].f), true, \
            single, result);                                                                      \
    }                                                                                             \
    FN(type##mi)                                                                                  \
    {                                                                                             \
        UNUSED_COUNT;                                                                             \
        return float_fit(eval, args[0].f - args[1].f, isinf(args[0].f) || isinf(args[1].f), true, \
            single, result);                                                                      \
    }                                                                                             \
    FN(type##mul)                                                                                 \
    {                                                                                             \
        UNUSED_COUNT;                                                                             \
        return float_fit(eval, args[0].f * args[1].f, isinf(args[0].f) || isinf(args[1].f),       \
            args[0].f == 0 || args[1].f == 0, single, result);                                    \
    }                                                                                             \
    FN(type##div)                                                                                 \
    {                                                                                             \
        UNUSED_COUNT;                                                                             \
        if (args[1].f == 0 && !isnan(args[0].f)) {                                                \
            return diag_set(eval->diag, ERR_DIVISION_BY_ZERO, "division by zero");                \
        }                                                                                         \
        return float_fit(eval, args[0].f / args[1].f, isinf(args[0].f),                           \
            args[0].f == 0 || isinf(args[1].f), single, result);                                  \
    }
FLOAT_OPS(float4, true)
FLOAT_OPS(float8, false)

#define MATH(name, expr)             \
    FN(name)                         \
    {                                \
        UNUSED_COUNT;                \
        (void)eval;                  \
        double x = args[0].f;        \
        *result = datum_float(expr); \
        return ERR_OK;               \
    }
MATH(float_neg, -x)
MATH(float_abs, fabs(x))

FN(int_to_float)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_float((double)args[0].i);
    return ERR_OK;
}

FN(int_to_float4)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_float((double)(float)args[0].i);
    return ERR_OK;
}

FN(float8_to_float4)
{
    UNUSED_COUNT;
    return float_fit(eval, args[0].f, isinf(args[0].f), args[0].f == 0, true, result);
}

#define I2 TYPE_INT2
#define I4 TYPE_INT4
#define I8 TYPE_INT8
#define F4 TYPE_FLOAT4
#define F8 TYPE_FLOAT8
#define S  FUNCTION_STRICT

static const struct function functions[] = {
    {"abs", 0, I2, 1, 1, S, {I2}, int2abs, NULL, NULL},
    {"abs", 0, I4, 1, 1, S, {I4}, int4abs, NULL, NULL},
    {"abs", 0, I8, 1, 1, S, {I8}, int8abs, NULL, NULL},
    {"abs", 0, F4, 1, 1, S, {F4}, float_abs, NULL, NULL},
    {"abs", 0, F8, 1, 1, S, {F8}, float_abs, NULL, NULL},
    {"mod", 0, I2, 2, 2, S, {I2, I2}, int2mod, NULL, NULL},
    {"mod", 0, I4, 2, 2, S, {I4, I4}, int4mod, NULL, NULL},
    {"mod", 0, I8, 2, 2, S, {I8, I8}, int8mod, NULL, NULL},
    {"gcd", 0, I8, 2, 2, S, {I8, I8}, int8gcd, NULL, NULL},
    {"gcd", 0, I4, 2, 2, S, {I4, I4}, int4gcd, NULL, NULL},
    {"lcm", 0, I8, 2, 2, S, {I8, I8}, int8lcm, NULL, NULL},
    {"lcm", 0, I4, 2, 2, S, {I4, I4}, int4lcm, NULL, NULL},
};

#define INT_ROWS(t, T)                                                                           \
    {"+", #t "pl", T, T, T, t##pl, "+", NULL, 0}, {"-", #t "mi", T, T, T, t##mi, NULL, NULL, 0}, \
        {"*", #t "mul", T, T, T, t##mul, "*", NULL, 0},                                          \
        {"/", #t "div", T, T, T, t##div, NULL, NULL, 0},                                         \
        {"%", #t "mod", T, T, T, t##mod, NULL, NULL, 0},                                         \
        {"-", #t "um", 0, T, T, t##um, NULL, NULL, 0},                                           \
        {"+", #t "up", 0, T, T, keep, NULL, NULL, 0},                                            \
        {"@", #t "abs_", 0, T, T, t##abs, NULL, NULL, 0},                                        \
        {"&", #t "and", T, T, T, bit_and, "&", NULL, 0},                                         \
        {"|", #t "or", T, T, T, bit_or, "|", NULL, 0},                                           \
        {"#", #t "xor", T, T, T, bit_xor, "#", NULL, 0},                                         \
    {                                                                                            \
        "~", #t "not", 0, T, T, bit_not, NULL, NULL, 0                                           \
    }

#define MIXED(a, b, A, B, t, T)                            \
    {"+", #a #b "pl", A, B, T, t##pl, "+", NULL, 0},       \
        {"-", #a #b "mi", A, B, T, t##mi, NULL, NULL, 0},  \
        {"*", #a #b "mul", A, B, T, t##mul, "*", NULL, 0}, \
    {                                                      \
        "/", #a #b "div", A, B, T, t##div, NULL, NULL, 0   \
    }

static const struct operator_row operators[] = {
    INT_ROWS(int2, I2),
    INT_ROWS(int4, I4),
    INT_ROWS(int8, I8),
    MIXED(int2, 4, I2, I4, int4, I4),
    MIXED(int4, 2, I4, I2, int4, I4),
    MIXED(int2, 8, I2, I8, int8, I8),
    MIXED(int8, 2, I8, I2, int8, I8),
    MIXED(int4, 8, I4, I8, int8, I8),
    MIXED(int8, 4, I8, I4, int8, I8),
    MIXED(float, 4, F4, F4, float4, F4),
    MIXED(float, 8, F8, F8, float8, F8),
    MIXED(float4, 8, F4, F8, float8, F8),
    MIXED(float8, 4, F8, F4, float8, F8),
    {"-", "float4um", 0, F4, F4, float_neg, NULL, NULL, 0},
    {"-", "float8um", 0, F8, F8, float_neg, NULL, NULL, 0},
    {"+", "float4up", 0, F4, F4, keep, NULL, NULL, 0},
    {"+", "float8up", 0, F8, F8, keep, NULL, NULL, 0},
    {"@", "float4abs", 0, F4, F4, float_abs, NULL, NULL, 0},
    {"@", "float8abs", 0, F8, F8, float_abs, NULL, NULL, 0},
    {"<<", "int2shl", I2, I4, I2, shl2, NULL, NULL, 0},
    {">>", "int2shr", I2, I4, I2, shr2, NULL, NULL, 0},
    {"<<", "int4shl", I4, I4, I4, shl4, NULL, NULL, 0},
    {">>", "int4shr", I4, I4, I4, shr4, NULL, NULL, 0},
    {"<<", "int8shl", I8, I4, I8, shl8, NULL, NULL, 0},
    {">>", "int8shr", I8, I4, I8, shr8, NULL, NULL, 0},
};

static enum err
regclass_from_text(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    (void)count;
    return type_input(eval, TYPE_REGCLASS, -1, slice_of(args[0].p, args[0].size), result);
}

static const struct cast_row casts[] = {
    {I2, I4, CAST_IMPLICIT, NULL},
    {I2, I8, CAST_IMPLICIT, NULL},
    {I4, I8, CAST_IMPLICIT, NULL},
    {I4, I2, CAST_ASSIGNMENT, int2_from_int},
    {I8, I2, CAST_ASSIGNMENT, int2_from_int},
    {I8, I4, CAST_ASSIGNMENT, int4_from_int},
    {I2, F4, CAST_IMPLICIT, int_to_float4},
    {I4, F4, CAST_IMPLICIT, int_to_float4},
    {I8, F4, CAST_IMPLICIT, int_to_float4},
    {I2, F8, CAST_IMPLICIT, int_to_float},
    {I4, F8, CAST_IMPLICIT, int_to_float},
    {I8, F8, CAST_IMPLICIT, int_to_float},
    {F4, F8, CAST_IMPLICIT, NULL},
    {F8, F4, CAST_ASSIGNMENT, float8_to_float4},
    {F4, I2, CAST_ASSIGNMENT, int2_from_float},
    {F4, I4, CAST_ASSIGNMENT, int4_from_float},
    {F4, I8, CAST_ASSIGNMENT, int8_from_float},
    {F8, I2, CAST_ASSIGNMENT, int2_from_float},
    {F8, I4, CAST_ASSIGNMENT, int4_from_float},
    {F8, I8, CAST_ASSIGNMENT, int8_from_float},
    {I4, TYPE_BOOL, CAST_EXPLICIT, bool_from_int},
    {TYPE_BOOL, I4, CAST_EXPLICIT, NULL},
    {I2, TYPE_OID, CAST_IMPLICIT, int4_to_oid},
    {I4, TYPE_OID, CAST_IMPLICIT, int4_to_oid},
    {I8, TYPE_OID, CAST_IMPLICIT, int8_to_oid},
    {TYPE_CHAR, I4, CAST_EXPLICIT, char_to_int4},
    {I4, TYPE_CHAR, CAST_EXPLICIT, int4_to_char},
    {TYPE_OID, I4, CAST_ASSIGNMENT, oid_to_int4},
    {TYPE_OID, I8, CAST_ASSIGNMENT, NULL},
    {TYPE_REGCLASS, TYPE_OID, CAST_IMPLICIT, NULL},
    {TYPE_OID, TYPE_REGCLASS, CAST_IMPLICIT, NULL},
    {TYPE_REGTYPE, TYPE_OID, CAST_IMPLICIT, NULL},
    {TYPE_OID, TYPE_REGTYPE, CAST_IMPLICIT, NULL},
    {TYPE_REGPROC, TYPE_OID, CAST_IMPLICIT, NULL},
    {TYPE_OID, TYPE_REGPROC, CAST_IMPLICIT, NULL},
    {TYPE_TEXT, TYPE_REGCLASS, CAST_IMPLICIT, regclass_from_text},
    {TYPE_VARCHAR, TYPE_REGCLASS, CAST_IMPLICIT, regclass_from_text},
    {I4, TYPE_REGCLASS, CAST_IMPLICIT, NULL},
    {I8, TYPE_REGCLASS, CAST_IMPLICIT, NULL},
    {TYPE_REGCLASS, I4, CAST_ASSIGNMENT, NULL},
    {TYPE_REGCLASS, I8, CAST_ASSIGNMENT, NULL},
    {I4, TYPE_REGTYPE, CAST_IMPLICIT, NULL},
    {TYPE_REGNAMESPACE, TYPE_OID, CAST_IMPLICIT, NULL},
    {TYPE_OID, TYPE_REGNAMESPACE, CAST_IMPLICIT, NULL},
    {I4, TYPE_REGNAMESPACE, CAST_IMPLICIT, NULL},
    {TYPE_REGPROCEDURE, TYPE_OID, CAST_IMPLICIT, NULL},
    {TYPE_OID, TYPE_REGPROCEDURE, CAST_IMPLICIT, NULL},
    {TYPE_REGPROC, TYPE_REGPROCEDURE, CAST_IMPLICIT, NULL},
    {TYPE_REGPROCEDURE, TYPE_REGPROC, CAST_IMPLICIT, NULL},
    {TYPE_REGOPER, TYPE_OID, CAST_IMPLICIT, NULL},
    {TYPE_OID, TYPE_REGOPER, CAST_IMPLICIT, NULL},
    {TYPE_REGOPERATOR, TYPE_OID, CAST_IMPLICIT, NULL},
    {TYPE_OID, TYPE_REGOPERATOR, CAST_IMPLICIT, NULL},
    {TYPE_REGOPER, TYPE_REGOPERATOR, CAST_IMPLICIT, NULL},
    {TYPE_REGOPERATOR, TYPE_REGOPER, CAST_IMPLICIT, NULL},
    {TYPE_REGROLE, TYPE_OID, CAST_IMPLICIT, NULL},
    {TYPE_OID, TYPE_REGROLE, CAST_IMPLICIT, NULL},
    {I4, TYPE_REGROLE, CAST_IMPLICIT, NULL},
};

const struct function_rows arithmetic_rows = {ROWS(functions), ROWS(operators), ROWS(casts)};
