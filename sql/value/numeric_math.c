/*
 * sql/value/numeric_math.c - roots, exponentials and logarithms of numerics.
 *
 * Computed in fixed point: an integer that stands for itself / 2^bits, with enough bits that the
 * last digit shown is right but for the rarest ties. exp halves its argument until the series is
 * short and squares back; ln takes square roots until the argument is near 1 and uses the series
 * of atanh. How many digits a result shows follows PostgreSQL: 16 significant ones, and no fewer
 * behind the point than the arguments have.
 */
#include <math.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sql/value/numeric_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

enum {
    GUARD_BITS = 64,
    EXPONENT_MAX = 6000, /* of e: as PostgreSQL; also bounds the work */
};

static const double bits_per_digit = 3.3219280948873626;
static const double log10_e = 0.43429448190325182765;

static int
clamp(int64_t scale)
{
    return scale < 0 ? 0 : scale > DISPLAY_SCALE_MAX ? DISPLAY_SCALE_MAX : (int)scale;
}

static int
larger(int a, int b)
{
    return a > b ? a : b;
}

/* ---- fixed point ------------------------------------------------------------------------- */

typedef unsigned long bits_t;

/* z to the nearest number / 2^shift. */
static void
round_bits(mpz_t z, bits_t shift)
{
    if (shift > 0) {
        mpz_t half;
        mpz_init(half);
        mpz_ui_pow_ui(half, 2, shift - 1);
        mpz_add(z, z, half);
        mpz_fdiv_q_2exp(z, z, shift);
        mpz_clear(half);
    }
}

/* atanh(1/n) */
static void
fix_atanh_inverse(mpz_t sum, unsigned long n, bits_t bits)
{
    mpz_t power;
    mpz_t term;
    mpz_init(power);
    mpz_init(term);
    mpz_ui_pow_ui(power, 2, bits);
    mpz_tdiv_q_ui(power, power, n);
    mpz_set(sum, power);
    for (unsigned long k = 3; mpz_sgn(power) != 0; k += 2) {
        mpz_tdiv_q_ui(power, power, n * n);
        mpz_tdiv_q_ui(term, power, k);
        mpz_add(sum, sum, term);
    }
    mpz_clear(power);
    mpz_clear(term);
}

/* ln 2 * 2^1024 */
static const char ln2_digits[] = "b17217f7d1cf79abc9e3b39803f2f6af40f343267298b62d8a0d175b8baafa2b"
                                 "e7b876206debac98559552fb4afa1b10ed2eae35c138214427573b291169b825"
                                 "3e96ca16224ae8c51acbda11317c387eb9ea9bc3b136603b256fa0ec7657f74b"
                                 "72ce87b19d6548caf5dfa6bd38303248655fa1872f20e3a2da2d97c50f3fd5c6";

/* ln 2 = 18 atanh(1/26) - 2 atanh(1/4801) + 8 atanh(1/8749) */
static void
fix_ln2(mpz_t sum, bits_t bits)
{
    if (bits <= 1000) {
        int wrong = mpz_set_str(sum, ln2_digits, 16);
        ASSERT(wrong == 0);
        mpz_fdiv_q_2exp(sum, sum, 1024 - bits);
        return;
    }
    mpz_t part;
    mpz_init(part);
    fix_atanh_inverse(sum, 26, bits);
    mpz_mul_ui(sum, sum, 18);
    fix_atanh_inverse(part, 4801, bits);
    mpz_submul_ui(sum, part, 2);
    fix_atanh_inverse(part, 8749, bits);
    mpz_addmul_ui(sum, part, 8);
    mpz_clear(part);
}

/* e^x = z / 2^bits * 2^(*power), z / 2^bits between 1/2 and 2. */
static void
fix_exp(mpz_t z, const mpz_t x, bits_t bits, long *power)
{
    bits_t halvings = (bits_t)sqrt((double)bits) + 1;
    bits_t work = bits + 2 * halvings + GUARD_BITS;
    mpz_t r;
    mpz_t ln2;
    mpz_t term;
    mpz_init(r);
    mpz_init(ln2);
    mpz_init(term);
    /* x = power * ln 2 + r; ln 2 must be good to as many bits more as power has. */
    mpz_mul_2exp(r, x, work - bits + GUARD_BITS);
    fix_ln2(ln2, work + GUARD_BITS);
    mpz_fdiv_q(term, r, ln2);
    *power = mpz_get_si(term);
    mpz_submul(r, term, ln2);
    mpz_fdiv_q_2exp(r, r, GUARD_BITS + halvings);
    mpz_ui_pow_ui(z, 2, work);
    mpz_set(term, z);
    for (unsigned long k = 1; mpz_sgn(term) != 0; k++) {
        mpz_mul(term, term, r);
        mpz_fdiv_q_2exp(term, term, work);
        mpz_tdiv_q_ui(term, term, k);
        mpz_add(z, z, term);
    }
    for (bits_t i = 0; i < halvings; i++) {
        mpz_mul(z, z, z);
        mpz_fdiv_q_2exp(z, z, work);
    }
    round_bits(z, work - bits);
    mpz_clear(r);
    mpz_clear(ln2);
    mpz_clear(term);
}

/* ln(x), x = mantissa / 10^scale > 0, to `bits` behind the point. */
static void
fix_ln(mpz_t z, const mpz_t mantissa, int scale, bits_t bits)
{
    bits_t roots = (bits_t)(sqrt((double)bits) / 2) + 1;
    bits_t work = bits + roots + GUARD_BITS;
    mpz_t ten;
    mpz_t m;
    mpz_t term;
    mpz_init(ten);
    mpz_init(m);
    mpz_init(term);
    numeric__pow10(ten, (unsigned long)scale);
    /* m = x / 2^power, between 1/2 and 2. */
    long power = (long)mpz_sizeinbase(mantissa, 2) - (long)mpz_sizeinbase(ten, 2);
    long shift = (long)work - power;
    mpz_set(m, mantissa);
    if (shift >= 0) {
        mpz_mul_2exp(m, m, (bits_t)shift);
    } else {
        mpz_mul_2exp(ten, ten, (bits_t)-shift);
    }
    mpz_fdiv_q(m, m, ten);
    for (bits_t i = 0; i < roots; i++) {
        mpz_mul_2exp(m, m, work);
        mpz_sqrt(m, m);
    }
    /* t = (m - 1) / (m + 1); ln m = 2 (t + t^3/3 + ..) */
    mpz_t one;
    mpz_t square;
    mpz_init(one);
    mpz_init(square);
    mpz_ui_pow_ui(one, 2, work);
    mpz_sub(term, m, one);
    mpz_add(m, m, one);
    mpz_mul_2exp(term, term, work);
    mpz_tdiv_q(term, term, m);
    mpz_mul(square, term, term);
    mpz_fdiv_q_2exp(square, square, work);
    mpz_set(z, term);
    for (unsigned long k = 3; mpz_sgn(term) != 0; k += 2) {
        mpz_mul(term, term, square);
        mpz_tdiv_q_2exp(term, term, work);
        mpz_tdiv_q_ui(one, term, k);
        if (mpz_sgn(term) < 0) {
            mpz_tdiv_q_ui(one, term, k);
        }
        mpz_add(z, z, one);
    }
    mpz_mul_2exp(z, z, roots + 1);
    fix_ln2(term, work);
    mpz_mul_si(term, term, power);
    mpz_add(z, z, term);
    round_bits(z, work - bits);
    mpz_clear(ten);
    mpz_clear(m);
    mpz_clear(term);
    mpz_clear(one);
    mpz_clear(square);
}

static bits_t
bits_for(double digits)
{
    return (bits_t)((digits + 4) * bits_per_digit) + GUARD_BITS;
}

/* z / 2^bits as a numeric of a scale. */
static struct datum
from_fix(struct arena *arena, mpz_t z, bits_t bits, int scale)
{
    mpz_t ten;
    mpz_init(ten);
    numeric__pow10(ten, (unsigned long)scale);
    bool negative = mpz_sgn(z) < 0;
    mpz_abs(z, z);
    mpz_mul(z, z, ten);
    round_bits(z, bits);
    if (negative) {
        mpz_neg(z, z);
    }
    mpz_clear(ten);
    return numeric__from_mpz(arena, z, scale);
}

/* value * 2^bits, for values that are not huge. */
static void
to_fix(struct datum value, mpz_t z, bits_t bits)
{
    mpz_t ten;
    mpz_init(ten);
    numeric__to_mpz(value, z);
    mpz_mul_2exp(z, z, bits);
    numeric__pow10(ten, (unsigned long)numeric__scale(value));
    mpz_tdiv_q(z, z, ten);
    mpz_clear(ten);
}

/* ---- sqrt -------------------------------------------------------------------------------- */

struct datum
numeric__sqrt_at(struct arena *arena, struct datum value, int scale)
{
    mpz_t z;
    mpz_init(z);
    numeric__to_mpz(value, z);
    /* Two digits more than are shown, to round by. */
    numeric__rescale(z, numeric__scale(value), 2 * scale + 4);
    mpz_sqrt(z, z);
    numeric__shift_down(z, 2);
    struct datum root = numeric__from_mpz(arena, z, scale);
    mpz_clear(z);
    return root;
}

FN(numeric_sqrt)
{
    UNUSED_COUNT;
    struct datum value = args[0];
    bool negative = numeric__kind(value) == KIND_MINUS_INFINITY ||
                    (numeric__kind(value) == KIND_FINITE && numeric__is_negative(value));
    if (negative) {
        return diag_set(
            eval->diag, ERR_INVALID_POWER_ARGUMENT, "cannot take square root of a negative number");
    }
    if (numeric__kind(value) != KIND_FINITE) {
        *result = value;
        return ERR_OK;
    }
    int weight = 0;
    int digits[2];
    numeric__leading(value, &weight, digits);
    int root_weight = weight >= 0 ? (weight + 1) * 4 / 2 - 1 : 1 - (1 - weight * 4) / 2;
    int scale = clamp(larger(DIV_DIGITS_MIN - root_weight, numeric__scale(value)));
    *result = numeric__sqrt_at(eval->arena, value, scale);
    return ERR_OK;
}

/* ---- exp --------------------------------------------------------------------------------- */

/* e^x for x = z / 2^bits; decimals: about log10 of the result. `bits` must be those of
 * exp_bits(decimals, scale). */
static bits_t
exp_bits(double decimals, int scale)
{
    return bits_for((decimals > 0 ? decimals : 0) + scale + 8);
}

static struct datum
exp_of(struct arena *arena, const mpz_t x, bits_t bits, int scale)
{
    mpz_t z;
    long power = 0;
    mpz_init(z);
    fix_exp(z, x, bits, &power);
    struct datum value;
    if (power > (long)bits) {
        mpz_mul_2exp(z, z, (bits_t)(power - (long)bits));
        value = from_fix(arena, z, 0, scale);
    } else {
        value = from_fix(arena, z, (bits_t)((long)bits - power), scale);
    }
    mpz_clear(z);
    return value;
}

static struct datum
zero_at(struct arena *arena, int scale)
{
    return numeric__from_int128(arena, 0, scale);
}

FN(numeric_exp)
{
    UNUSED_COUNT;
    struct datum value = args[0];
    if (numeric__kind(value) != KIND_FINITE) {
        *result = numeric__kind(value) == KIND_MINUS_INFINITY ? zero_at(eval->arena, 0) : value;
        return ERR_OK;
    }
    double decimals = numeric__to_float(value) * log10_e;
    decimals = decimals > SCALE_MAX * 20.0 ? SCALE_MAX * 20.0 : decimals;
    double limited = decimals < -SCALE_MAX  ? -SCALE_MAX
                     : decimals > SCALE_MAX ? SCALE_MAX
                                            : decimals;
    int scale = clamp(larger(DIV_DIGITS_MIN - (int)limited, numeric__scale(value)));
    if (decimals >= EXPONENT_MAX * log10_e) {
        return numeric__overflow(eval);
    }
    if (decimals < -DISPLAY_SCALE_MAX - 10) {
        *result = zero_at(eval->arena, scale);
        return ERR_OK;
    }
    bits_t bits = exp_bits(decimals, scale);
    mpz_t x;
    mpz_init(x);
    to_fix(value, x, bits);
    *result = exp_of(eval->arena, x, bits, scale);
    mpz_clear(x);
    return numeric__check(eval, *result);
}

/* ---- ln, log ----------------------------------------------------------------------------- */

static enum err
check_log(struct eval *eval, struct datum value)
{
    bool negative = numeric__kind(value) == KIND_MINUS_INFINITY ||
                    (numeric__kind(value) == KIND_FINITE && numeric__is_negative(value));
    return negative ? diag_set(eval->diag, ERR_INVALID_LOG_ARGUMENT,
                          "cannot take logarithm of a negative number")
                    : ERR_OK;
}

static enum err
check_log_zero(struct eval *eval, struct datum value)
{
    return numeric__is_zero(value)
               ? diag_set(eval->diag, ERR_INVALID_LOG_ARGUMENT, "cannot take logarithm of zero")
               : ERR_OK;
}

/* The decimal weight of ln(value)'s first digit, as PostgreSQL guesses it. */
static int
ln_weight(struct eval *eval, struct datum value)
{
    int weight = 0;
    int digits[2];
    double guess = numeric__to_float(value);
    if (guess >= 0.9 && guess <= 1.1) {
        struct datum minus_one = numeric__from_int(eval->arena, -1);
        struct datum rest;
        enum err err = numeric__sum(eval, value, minus_one, &rest);
        ASSERT(err == ERR_OK);
        if (numeric__is_zero(rest)) {
            return 0;
        }
        numeric__leading(rest, &weight, digits);
        return weight * 4 + (int)log10((double)digits[0]);
    }
    numeric__leading(value, &weight, digits);
    double ln = log((double)digits[0] * 10000 + digits[1]) + (weight * 4 - 4) * 2.302585092994046;
    return (int)log10(fabs(ln));
}

static struct datum
ln_at(struct arena *arena, struct datum value, int scale)
{
    bits_t bits = bits_for(scale + 8.0);
    mpz_t x;
    mpz_t z;
    mpz_init(x);
    mpz_init(z);
    numeric__to_mpz(value, x);
    fix_ln(z, x, numeric__scale(value), bits);
    struct datum ln = from_fix(arena, z, bits, scale);
    mpz_clear(x);
    mpz_clear(z);
    return ln;
}

FN(numeric_ln)
{
    UNUSED_COUNT;
    TRY(check_log(eval, args[0]));
    TRY(check_log_zero(eval, args[0]));
    if (numeric__kind(args[0]) != KIND_FINITE) {
        *result = args[0];
        return ERR_OK;
    }
    int scale = clamp(larger(DIV_DIGITS_MIN - ln_weight(eval, args[0]), numeric__scale(args[0])));
    *result = ln_at(eval->arena, args[0], scale);
    return ERR_OK;
}

static enum err
log_base(struct eval *eval, struct datum base, struct datum value, struct datum *result)
{
    int base_kind = numeric__kind(base);
    int kind = numeric__kind(value);
    if (base_kind == KIND_NAN || kind == KIND_NAN) {
        *result = numeric__special(eval->arena, KIND_NAN);
        return ERR_OK;
    }
    TRY(check_log(eval, base));
    if (base_kind == KIND_FINITE && kind == KIND_FINITE) {
        TRY(check_log_zero(eval, base));
    }
    TRY(check_log(eval, value));
    TRY(check_log_zero(eval, base));
    TRY(check_log_zero(eval, value));
    if (base_kind != KIND_FINITE) {
        *result =
            kind == KIND_FINITE ? zero_at(eval->arena, 0) : numeric__special(eval->arena, KIND_NAN);
        return ERR_OK;
    }
    if (kind != KIND_FINITE) {
        *result = value;
        return ERR_OK;
    }
    int base_weight = ln_weight(eval, base);
    int value_weight = ln_weight(eval, value);
    int scale = DIV_DIGITS_MIN - (value_weight - base_weight);
    scale = clamp(larger(larger(scale, numeric__scale(base)), numeric__scale(value)));
    /* Enough digits of both that the quotient's last one is right. */
    int more = scale + abs(value_weight) + 2 * abs(base_weight) + 12;
    struct datum ln_base = ln_at(eval->arena, base, more);
    struct datum ln_value = ln_at(eval->arena, value, more);
    if (numeric__is_zero(ln_base)) {
        return diag_set(eval->diag, ERR_DIVISION_BY_ZERO, "division by zero");
    }
    *result = numeric__divide_at(eval->arena, ln_value, ln_base, scale, false);
    return ERR_OK;
}

FN(numeric_log)
{
    struct datum ten = numeric__from_int(eval->arena, 10);
    return count == 1 ? log_base(eval, ten, args[0], result)
                      : log_base(eval, args[0], args[1], result);
}

/* ---- power ------------------------------------------------------------------------------- */

/* A whole number that fits; its scale's digits are zeros. */
static bool
whole_exponent(struct datum value, int64_t *exponent)
{
    int scale = 0;
    if (!numeric__is_int(value, exponent, &scale)) {
        return false;
    }
    while (scale > 0 && *exponent % 10 == 0) {
        *exponent /= 10;
        scale--;
    }
    return scale == 0 || *exponent == 0;
}

static enum err
power_special(struct eval *eval, struct datum base, struct datum exponent, struct datum *result)
{
    double x = numeric__to_float(base);
    double y = numeric__to_float(exponent);
    if ((x == 0 && y < 0) || (x == 0 && isinf(y) && y < 0)) {
        return diag_set(
            eval->diag, ERR_INVALID_POWER_ARGUMENT, "zero raised to a negative power is undefined");
    }
    if (x < 0 && isfinite(x) && isinf(y) && fabs(x) == 1.0) {
        *result = numeric__from_int(eval->arena, 1);
        return ERR_OK;
    }
    if (x < 0 && isfinite(y) && y != floor(y)) {
        return diag_set(eval->diag, ERR_INVALID_POWER_ARGUMENT,
            "a negative number raised to a non-integer power yields a complex result");
    }
    double power = pow(x, y);
    if (isnan(power) || isinf(power)) {
        *result = numeric__special(eval->arena, isnan(power) ? KIND_NAN
                                                : power > 0  ? KIND_INFINITY
                                                             : KIND_MINUS_INFINITY);
    } else {
        *result = numeric__from_int(eval->arena, (int64_t)power);
    }
    return ERR_OK;
}

/* By multiplying, if it stays short; by logarithms otherwise. */
static bool
power_exact(
    struct arena *arena, struct datum base, int64_t exponent, int scale, struct datum *result)
{
    enum {
        SHORT_BITS = 8000000,  /* multiplied in some 20 ms; the longest results have 490,000 */
        SHORT_SCALE = 2400000, /* as many decimal digits */
    };
    uint64_t times = (uint64_t)(exponent < 0 ? -exponent : exponent);
    int64_t have = (int64_t)numeric__scale(base) * (int64_t)times;
    mpz_t z;
    mpz_init(z);
    numeric__to_mpz(base, z);
    if ((double)mpz_sizeinbase(z, 2) * (double)times > SHORT_BITS || have > SHORT_SCALE) {
        mpz_clear(z);
        return false;
    }
    mpz_pow_ui(z, z, (unsigned long)times);
    if (exponent >= 0) {
        numeric__rescale(z, (int)have, scale);
        *result = numeric__from_mpz(arena, z, scale);
    } else {
        /* 10^have / z at a scale, rounded. */
        mpz_t one;
        mpz_init(one);
        numeric__pow10(one, (unsigned long)(have + scale));
        bool negative = mpz_sgn(z) < 0;
        mpz_abs(z, z);
        mpz_mul_2exp(one, one, 1);
        mpz_add(one, one, z);
        mpz_mul_2exp(z, z, 1);
        mpz_tdiv_q(one, one, z);
        if (negative) {
            mpz_neg(one, one);
        }
        *result = numeric__from_mpz(arena, one, scale);
        mpz_clear(one);
    }
    mpz_clear(z);
    return true;
}

static enum err
power_by_logarithm(
    struct eval *eval, struct datum base, struct datum exponent, int scale, struct datum *result)
{
    bool negative = numeric__is_negative(base);
    bool whole_power = scale >= 0;
    int64_t whole = 0;
    if (negative) {
        uint8_t *bytes = arena_copy(eval->arena, base.p, base.size);
        bytes[1] = 0;
        base = datum_bytes(bytes, base.size);
    }
    /* log10 of the result, for how many digits it takes. */
    double ln = numeric__to_float(ln_at(eval->arena, base, 30));
    double y = numeric__to_float(exponent);
    double decimals = ln * y * log10_e;
    if (scale < 0) {
        double limited = decimals > SCALE_MAX    ? SCALE_MAX
                         : decimals < -SCALE_MAX ? -SCALE_MAX
                                                 : decimals;
        scale = larger(DIV_DIGITS_MIN - (int)limited, numeric__scale(base));
        scale = clamp(larger(scale, numeric__scale(exponent)));
    }
    bool beyond = fabs(ln * y) > EXPONENT_MAX + 20;
    if (beyond && decimals > 0) {
        return numeric__overflow(eval);
    }
    if (decimals < -DISPLAY_SCALE_MAX - 10) {
        *result = zero_at(eval->arena, beyond && !whole_power ? DISPLAY_SCALE_MAX : scale);
        return ERR_OK;
    }
    bits_t bits = exp_bits(decimals, scale);
    /* exponent * ln(base): as many digits of ln more as exponent has before its point. */
    bits_t ln_bits = bits + bits_for(log10(fabs(y) + 1));
    mpz_t z;
    mpz_t x;
    mpz_t ten;
    mpz_init(z);
    mpz_init(x);
    mpz_init(ten);
    numeric__to_mpz(base, x);
    fix_ln(z, x, numeric__scale(base), ln_bits);
    numeric__to_mpz(exponent, x);
    mpz_mul(z, z, x);
    numeric__pow10(ten, (unsigned long)numeric__scale(exponent));
    mpz_tdiv_q(z, z, ten);
    mpz_fdiv_q_2exp(z, z, ln_bits - bits);
    *result = exp_of(eval->arena, z, bits, scale);
    mpz_clear(z);
    mpz_clear(x);
    mpz_clear(ten);
    if (negative && whole_exponent(exponent, &whole) && whole % 2 != 0 &&
        !numeric__is_zero(*result)) {
        uint8_t *bytes = arena_copy(eval->arena, result->p, result->size);
        bytes[1] = 1;
        *result = datum_bytes(bytes, result->size);
    }
    return numeric__check(eval, *result);
}

FN(numeric_power)
{
    UNUSED_COUNT;
    struct datum base = args[0];
    struct datum exponent = args[1];
    int64_t whole = 0;
    if (numeric__kind(base) != KIND_FINITE || numeric__kind(exponent) != KIND_FINITE) {
        return power_special(eval, base, exponent, result);
    }
    bool is_whole = whole_exponent(exponent, &whole);
    if (numeric__is_zero(base) && numeric__is_negative(exponent)) {
        return diag_set(
            eval->diag, ERR_INVALID_POWER_ARGUMENT, "zero raised to a negative power is undefined");
    }
    bool huge =
        !is_whole && numeric__compare(exponent, numeric__at_scale(eval->arena, exponent, 0)) == 0;
    if (huge && !numeric__is_negative(exponent) && fabs(numeric__to_float(base)) > 1) {
        return diag_set(eval->diag, ERR_NUMERIC_RANGE, "value overflows numeric format");
    }
    if (numeric__is_negative(base) && !is_whole) {
        return diag_set(eval->diag, ERR_INVALID_POWER_ARGUMENT,
            "a negative number raised to a non-integer power yields a complex result");
    }
    if (is_whole && whole >= INT32_MIN && whole <= INT32_MAX) {
        int scale = clamp(larger(DIV_DIGITS_MIN, numeric__scale(base)));
        if (numeric__is_zero(base) && whole != 0) {
            *result = zero_at(eval->arena, scale);
            return ERR_OK;
        }
        if (power_exact(eval->arena, base, whole, scale, result)) {
            return numeric__check(eval, *result);
        }
        return power_by_logarithm(eval, base, exponent, scale, result);
    }
    if (numeric__is_zero(base)) {
        *result = zero_at(eval->arena, DIV_DIGITS_MIN);
        return ERR_OK;
    }
    return power_by_logarithm(eval, base, exponent, -1, result);
}

/* ---- whole numbers ----------------------------------------------------------------------- */

FN(numeric_factorial)
{
    UNUSED_COUNT;
    if (args[0].i < 0) {
        return diag_set(
            eval->diag, ERR_NUMERIC_RANGE, "factorial of a negative number is undefined");
    }
    if (args[0].i > 32177) {
        return numeric__overflow(eval);
    }
    mpz_t z;
    mpz_init(z);
    mpz_fac_ui(z, (unsigned long)args[0].i);
    *result = numeric__from_mpz(eval->arena, z, 0);
    mpz_clear(z);
    return ERR_OK;
}

static enum err
gcd_or_lcm(struct eval *eval, const struct datum *args, bool lcm, struct datum *result)
{
    if (numeric__kind(args[0]) != KIND_FINITE || numeric__kind(args[1]) != KIND_FINITE) {
        *result = numeric__special(eval->arena, KIND_NAN);
        return ERR_OK;
    }
    int scale = larger(numeric__scale(args[0]), numeric__scale(args[1]));
    mpz_t a;
    mpz_t b;
    mpz_init(a);
    mpz_init(b);
    numeric__to_mpz(args[0], a);
    numeric__to_mpz(args[1], b);
    numeric__rescale(a, numeric__scale(args[0]), scale);
    numeric__rescale(b, numeric__scale(args[1]), scale);
    if (lcm) {
        mpz_lcm(a, a, b);
    } else {
        mpz_gcd(a, a, b);
    }
    *result = numeric__from_mpz(eval->arena, a, scale);
    mpz_clear(a);
    mpz_clear(b);
    return numeric__check(eval, *result);
}

FN(numeric_gcd)
{
    UNUSED_COUNT;
    return gcd_or_lcm(eval, args, false, result);
}
FN(numeric_lcm)
{
    UNUSED_COUNT;
    return gcd_or_lcm(eval, args, true, result);
}

/* Digits behind the point that are not zeros at the end. */
static int
least_scale(struct datum value)
{
    int scale = numeric__scale(value);
    mpz_t z;
    mpz_init(z);
    numeric__to_mpz(value, z);
    if (mpz_sgn(z) == 0) {
        scale = 0;
    }
    while (scale > 0 && mpz_divisible_ui_p(z, 10) != 0) {
        mpz_divexact_ui(z, z, 10);
        scale--;
    }
    mpz_clear(z);
    return scale;
}

FN(numeric_min_scale)
{
    (void)eval;
    UNUSED_COUNT;
    *result =
        numeric__kind(args[0]) == KIND_FINITE ? datum_int(least_scale(args[0])) : datum_null();
    return ERR_OK;
}

FN(numeric_trim_scale)
{
    UNUSED_COUNT;
    *result = numeric__kind(args[0]) == KIND_FINITE
                  ? numeric__round(eval->arena, args[0], least_scale(args[0]))
                  : args[0];
    return ERR_OK;
}

/* width_bucket(operand, low, high, count): which of count equal parts; 0 and count + 1 outside. */
static enum err
bad_bucket(struct eval *eval, const char *words)
{
    return diag_set(eval->diag, ERR_INVALID_WIDTH_BUCKET, "%s", words);
}

FN(width_bucket_numeric)
{
    UNUSED_COUNT;
    int64_t buckets = args[3].i;
    if (buckets <= 0) {
        return bad_bucket(eval, "count must be greater than zero");
    }
    for (int i = 0; i < 3; i++) {
        if (numeric__kind(args[i]) == KIND_NAN) {
            return bad_bucket(eval, "operand, lower bound, and upper bound cannot be NaN");
        }
    }
    if (numeric__kind(args[1]) != KIND_FINITE || numeric__kind(args[2]) != KIND_FINITE) {
        return bad_bucket(eval, "lower and upper bounds must be finite");
    }
    int order = numeric__compare(args[1], args[2]);
    if (order == 0) {
        return bad_bucket(eval, "lower bound cannot equal upper bound");
    }
    int below = numeric__compare(args[0], args[1]) * (order < 0 ? 1 : -1);
    int above = numeric__compare(args[0], args[2]) * (order < 0 ? 1 : -1);
    if (below < 0 || above >= 0) {
        *result = datum_int(below < 0 ? 0 : buckets + 1);
        if (result->i > INT32_MAX) {
            return value__out_of_range(eval, "integer");
        }
        return ERR_OK;
    }
    int scale =
        larger(larger(numeric__scale(args[0]), numeric__scale(args[1])), numeric__scale(args[2]));
    mpz_t z[3];
    for (int i = 0; i < 3; i++) {
        mpz_init(z[i]);
        numeric__to_mpz(args[i], z[i]);
        numeric__rescale(z[i], numeric__scale(args[i]), scale);
    }
    mpz_sub(z[0], z[0], z[1]);
    mpz_sub(z[2], z[2], z[1]);
    mpz_mul_si(z[0], z[0], (long)buckets);
    mpz_tdiv_q(z[0], z[0], z[2]);
    *result = datum_int((int64_t)mpz_get_si(z[0]) + 1);
    for (int i = 0; i < 3; i++) {
        mpz_clear(z[i]);
    }
    return ERR_OK;
}

FN(width_bucket_float)
{
    UNUSED_COUNT;
    int64_t buckets = args[3].i;
    double x = args[0].f;
    double low = args[1].f;
    double high = args[2].f;
    if (buckets <= 0) {
        return bad_bucket(eval, "count must be greater than zero");
    }
    if (isnan(x) || isnan(low) || isnan(high)) {
        return bad_bucket(eval, "operand, lower bound, and upper bound cannot be NaN");
    }
    if (isinf(low) || isinf(high)) {
        return bad_bucket(eval, "lower and upper bounds must be finite");
    }
    if (low == high) {
        return bad_bucket(eval, "lower bound cannot equal upper bound");
    }
    bool below = low < high ? x < low : x > low;
    bool above = low < high ? x >= high : x <= high;
    if (below || above) {
        *result = datum_int(below ? 0 : buckets + 1);
        return result->i > INT32_MAX ? value__out_of_range(eval, "integer") : ERR_OK;
    }
    /* Halved, the differences cannot overflow. */
    double part =
        isinf(high - low) ? (x / 2 - low / 2) / (high / 2 - low / 2) : (x - low) / (high - low);
    int64_t bucket = (int64_t)((double)buckets * part);
    *result = datum_int((bucket >= buckets ? buckets - 1 : bucket) + 1);
    return ERR_OK;
}

#define N  TYPE_NUMERIC
#define I4 TYPE_INT4
#define F8 TYPE_FLOAT8
#define S  FUNCTION_STRICT
#define ONE(name, oid, call)                         \
    {                                                \
        name, oid, N, 1, 1, S, {N}, call, NULL, NULL \
    }
#define TWO(name, oid, call)                            \
    {                                                   \
        name, oid, N, 2, 2, S, {N, N}, call, NULL, NULL \
    }

static const struct function functions[] = {
    ONE("sqrt", 1730, numeric_sqrt),
    TWO("power", 2169, numeric_power),
    TWO("pow", 1738, numeric_power),
    ONE("exp", 1732, numeric_exp),
    ONE("ln", 1734, numeric_ln),
    ONE("log", 1741, numeric_log),
    TWO("log", 1736, numeric_log),
    ONE("log10", 1481, numeric_log),
    TWO("gcd", 5048, numeric_gcd),
    TWO("lcm", 5049, numeric_lcm),
    {"factorial", 1376, N, 1, 1, S, {TYPE_INT8}, numeric_factorial, NULL, NULL},
    {"min_scale", 5042, I4, 1, 1, S, {N}, numeric_min_scale, NULL, NULL},
    ONE("trim_scale", 5043, numeric_trim_scale),
    {"width_bucket", 2170, I4, 4, 4, S, {N, N, N, I4}, width_bucket_numeric, NULL, NULL},
    {"width_bucket", 320, I4, 4, 4, S, {F8, F8, F8, I4}, width_bucket_float, NULL, NULL},
};

static const struct operator_row operators[] = {
    {"^", "numeric_power", N, N, N, numeric_power, NULL, NULL, 0},
};

const struct function_rows numeric_math_rows = {ROWS(functions), ROWS(operators), NULL, 0};
