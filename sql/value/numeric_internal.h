/* sql/value/numeric_internal.h - shared by the numeric files of sql/value. */
#ifndef SQL_VALUE_NUMERIC_INTERNAL_H
#define SQL_VALUE_NUMERIC_INTERNAL_H

#include <gmp.h>

#include "sql/value/value_internal.h"

/* The form of a value is described in numeric.c. */
enum {
    KIND_FINITE,
    KIND_NAN,
    KIND_INFINITY,
    KIND_MINUS_INFINITY,
    HEAD = 4,
    DIGITS_BEFORE_MAX = 131072,
    SCALE_MAX = 16383,
    DIV_DIGITS_MIN = 16, /* NUMERIC_MIN_SIG_DIGITS */
    DISPLAY_SCALE_MAX = 1000,
};

static inline int
numeric__kind(struct datum value)
{
    return value.p[0];
}

static inline int
numeric__scale(struct datum value)
{
    return load_le16(value.p + 2);
}

static inline bool
numeric__is_negative(struct datum value)
{
    return value.p[1] != 0;
}

static inline bool
numeric__is_zero(struct datum value)
{
    return numeric__kind(value) == KIND_FINITE && value.size == HEAD;
}

struct datum numeric__special(struct arena *arena, int kind);
/* The mantissa, with its sign; of a finite value. */
void numeric__to_mpz(struct datum value, mpz_t z);
struct datum numeric__from_mpz(struct arena *arena, const mpz_t z, int scale);
void numeric__pow10(mpz_t z, unsigned long exponent);
/* z / 10^n, half away from zero. */
void numeric__shift_down(mpz_t z, unsigned long n);
/* A mantissa from one scale to another, rounded. */
void numeric__rescale(mpz_t z, int from, int to);
struct datum numeric__round(struct arena *arena, struct datum value, int to);
void numeric__leading(struct datum value, int *weight, int digits[2]);
/* The scale PostgreSQL gives a quotient. */
int numeric__division_scale(struct datum a, struct datum b);
struct datum numeric__divide_at(
    struct arena *arena, struct datum a, struct datum b, int scale, bool cut);
struct datum numeric__sqrt_at(struct arena *arena, struct datum value, int scale);
enum err numeric__overflow(struct eval *eval);
/* Too many digits before the point? */
enum err numeric__check(struct eval *eval, struct datum value);

#endif /* SQL_VALUE_NUMERIC_INTERNAL_H */
