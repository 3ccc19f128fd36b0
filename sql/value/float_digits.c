/*
 * sql/value/float_digits.c - floats as text: the shortest digits that read back as the same number.
 *
 * After R. Giulietti, "The Schubfach way to render doubles" (2021). A float c * 2^q stands for an
 * interval of reals, from half-way to its lower neighbour to half-way to its upper one. Scaled by a
 * power of ten so that its width is between 1 and 10, the interval holds a number of the form 10 *
 * s, which is shorter, or a whole number next to the float. The power comes from a table of 126
 * good bits, which the paper proves to be enough; "round to odd" keeps the one bit that tells exact
 * from not. The ends of the interval are never taken: PostgreSQL does not rely on a reader that
 * rounds half to even.
 */
#include <gmp.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/latch.h"
#include "sql/value/value_internal.h"

enum {
    POWER_LEAST = -292,
    POWER_MOST = 324,
};

struct power {
    uint64_t high, low;
};

/* 10^k / 2^(floor(log2 10^k) - 127), rounded up. */
static struct power powers[POWER_MOST - POWER_LEAST + 1];
static atomic_bool ready;
static struct latch latch;

static int
floor_log2_pow10(int k)
{
    return (k * 1741647) >> 19;
}

static void
make_power(int k)
{
    struct power *power = &powers[k - POWER_LEAST];
    int shift = 127 - floor_log2_pow10(k);
    mpz_t ten;
    mpz_t value;
    mpz_init(ten);
    mpz_init(value);
    mpz_ui_pow_ui(ten, 10, (unsigned long)abs(k));
    if (k >= 0 && shift >= 0) {
        mpz_mul_2exp(value, ten, (unsigned long)shift);
    } else if (k >= 0) {
        mpz_cdiv_q_2exp(value, ten, (unsigned long)-shift);
    } else {
        mpz_ui_pow_ui(value, 2, (unsigned long)shift);
        mpz_cdiv_q(value, value, ten);
    }
    ASSERT(mpz_sizeinbase(value, 2) == 128);
    power->low = mpz_get_ui(value);
    mpz_tdiv_q_2exp(value, value, 64);
    power->high = mpz_get_ui(value);
    mpz_clear(ten);
    mpz_clear(value);
}

static struct power
power_of(int k)
{
    if (!atomic_load_explicit(&ready, memory_order_acquire)) {
        latch_acquire(&latch);
        for (int i = POWER_LEAST; !atomic_load(&ready) && i <= POWER_MOST; i++) {
            make_power(i);
        }
        atomic_store_explicit(&ready, true, memory_order_release);
        latch_release(&latch);
    }
    ASSERT(k >= POWER_LEAST && k <= POWER_MOST);
    return powers[k - POWER_LEAST];
}

/* The upper bits of power * number, the last one set if any below is. */
static uint64_t
multiply_to_odd(struct power power, uint64_t number)
{
    unsigned __int128 low = (unsigned __int128)power.low * number;
    unsigned __int128 high = (unsigned __int128)power.high * number + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1 ? 1 : 0);
}

/* c * 2^q to digits * 10^exponent. closer: its lower neighbour is only half as far. */
static uint64_t
shortest(uint64_t c, int q, bool closer, int *exponent)
{
    int k = (q * 1262611 - (closer ? 524031 : 0)) >> 22; /* floor(log10 of the interval) */
    int h = q + floor_log2_pow10(-k) + 1;
    struct power power = power_of(-k);
    uint64_t lower = multiply_to_odd(power, (4 * c - 2 + (closer ? 1 : 0)) << h) + 1;
    uint64_t middle = multiply_to_odd(power, (4 * c) << h);
    uint64_t upper = multiply_to_odd(power, (4 * c + 2) << h) - 1;
    uint64_t s = middle / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool below = lower <= 40 * tens;
        bool above = 40 * tens + 40 <= upper;
        if (below != above) {
            *exponent = k + 1;
            return tens + (above ? 1 : 0);
        }
    }
    bool below = lower <= 4 * s;
    bool above = 4 * s + 4 <= upper;
    *exponent = k;
    if (below != above) {
        return s + (above ? 1 : 0);
    }
    uint64_t half = 4 * s + 2;
    return s + (middle > half || (middle == half && (s & 1) != 0) ? 1 : 0);
}

/* Of a finite positive value. */
static uint64_t
digits_of(double value, bool single, int *exponent)
{
    uint64_t bits = 0;
    int mantissa_bits = single ? 23 : 52;
    int bias = single ? 150 : 1075;
    if (single) {
        float f = (float)value;
        uint32_t half = 0;
        memcpy(&half, &f, sizeof half);
        bits = half;
    } else {
        memcpy(&bits, &value, sizeof bits);
    }
    uint64_t mantissa = bits & (((uint64_t)1 << mantissa_bits) - 1);
    int e = (int)(bits >> mantissa_bits);
    uint64_t c = e == 0 ? mantissa : mantissa | (uint64_t)1 << mantissa_bits;
    int q = (e == 0 ? 1 : e) - bias;
    /* Whole numbers that fit have their digits already. */
    if (q <= 0 && q > -mantissa_bits - 1 && (c & (((uint64_t)1 << -q) - 1)) == 0) {
        *exponent = 0;
        return c >> -q;
    }
    return shortest(c, q, mantissa == 0 && e > 1, exponent);
}

/* Digits without zeros at the end, and the power of ten of the first one. */
struct decimal {
    char digits[32];
    size_t count;
    int exponent;
};

static void
to_decimal(uint64_t number, int exponent, struct decimal *to)
{
    char reversed[24];
    size_t count = 0;
    do {
        reversed[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    size_t zeros = 0;
    while (zeros + 1 < count && reversed[zeros] == '0') {
        zeros++;
    }
    to->count = count - zeros;
    to->exponent = exponent + (int)count - 1;
    for (size_t i = 0; i < to->count; i++) {
        to->digits[i] = reversed[count - 1 - i];
    }
}

/* So many digits, as printf rounds. */
static void
rounded(double value, int precision, struct decimal *to)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%.*e", precision - 1, value);
    const char *at = text;
    to->count = 0;
    for (; *at != 'e'; at++) {
        if (*at != '.') {
            to->digits[to->count++] = *at;
        }
    }
    while (to->count > 1 && to->digits[to->count - 1] == '0') {
        to->count--;
    }
    to->exponent = atoi(at + 1);
}

static void
put_decimal(const struct decimal *decimal, int exponent_from, struct buffer *to)
{
    const char *digits = decimal->digits;
    size_t count = decimal->count;
    int exponent = decimal->exponent;
    if (exponent < -4 || exponent >= exponent_from) {
        buffer_add_u8(to, (uint8_t)digits[0]);
        if (count > 1) {
            buffer_add_u8(to, '.');
            buffer_add(to, digits + 1, count - 1);
        }
        int size = exponent < 0 ? -exponent : exponent;
        buffer_add(to, exponent < 0 ? "e-" : "e+", 2);
        if (size < 10) {
            buffer_add_u8(to, '0');
        }
        buffer_add_decimal(to, size);
        return;
    }
    if (exponent < 0) {
        buffer_add(to, "0.0000", (size_t)(1 - exponent));
        buffer_add(to, digits, count);
        return;
    }
    size_t whole = (size_t)exponent + 1;
    buffer_add(to, digits, count < whole ? count : whole);
    for (size_t i = count; i < whole; i++) {
        buffer_add_u8(to, '0');
    }
    if (count > whole) {
        buffer_add_u8(to, '.');
        buffer_add(to, digits + whole, count - whole);
    }
}

void
float__output(double value, bool single, int extra_digits, struct buffer *to)
{
    if (isnan(value)) {
        buffer_add_text(to, "NaN");
        return;
    }
    if (signbit(value)) {
        buffer_add_u8(to, '-');
        value = -value;
    }
    if (isinf(value)) {
        buffer_add_text(to, "Infinity");
        return;
    }
    if (value == 0) {
        buffer_add_u8(to, '0');
        return;
    }
    struct decimal decimal;
    int precision = single ? 6 : 15;
    if (extra_digits > 0) {
        int exponent = 0;
        uint64_t digits = digits_of(value, single, &exponent);
        to_decimal(digits, exponent, &decimal);
    } else {
        precision = precision + extra_digits < 1 ? 1 : precision + extra_digits;
        rounded(value, precision, &decimal);
    }
    put_decimal(&decimal, precision, to);
}
