/*
 * sql/value/numeric.c - NUMERIC: an integer and a scale.
 *
 *     OFFSET SIZE  DESCRIPTION
 *          0    1  kind: 0 finite, 1 NaN, 2 Infinity, 3 -Infinity
 *          1    1  sign: 1 negative (finite and not zero)
 *          2    2  display scale: digits after the point
 *          4       magnitude * 10^scale, little-endian, without leading zero bytes; empty: zero
 *
 * What fits 64 bits is computed with 128-bit integers; the rest with GMP, whose operands are capped
 * first (it aborts when memory runs out). Result scales follow PostgreSQL's numeric.c as documented
 * and observed: + - max of both, * sum, / select_div_scale over base-10000 weights. Rounding is
 * half away from zero.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"
#include "base/hash.h"
#include "sql/value/numeric_internal.h"

typedef __int128 int128;

bool
numeric__is_int(struct datum value, int64_t *mantissa, int *scale)
{
    size_t size = value.size - HEAD;
    if (numeric__kind(value) != KIND_FINITE || size > 8) {
        return false;
    }
    uint64_t magnitude = 0;
    memcpy(&magnitude, value.p + HEAD, size);
    if (magnitude > INT64_MAX) {
        return false;
    }
    *mantissa = value.p[1] != 0 ? -(int64_t)magnitude : (int64_t)magnitude;
    *scale = numeric__scale(value);
    return true;
}

struct datum
numeric__special(struct arena *arena, int kind)
{
    uint8_t *bytes = arena_alloc(arena, HEAD);
    bytes[0] = (uint8_t)kind;
    return datum_bytes(bytes, HEAD);
}

struct datum
numeric__from_int128(struct arena *arena, int128 value, int scale)
{
    uint8_t *bytes = arena_alloc_raw(arena, HEAD + 16);
    bool negative = value < 0;
    unsigned __int128 magnitude =
        negative ? 0 - (unsigned __int128)value : (unsigned __int128)value;
    bytes[0] = KIND_FINITE;
    bytes[1] = negative;
    store_le16(bytes + 2, (uint16_t)scale);
    memcpy(bytes + HEAD, &magnitude, 16);
    size_t size = 16;
    while (size > 0 && bytes[HEAD + size - 1] == 0) {
        size--;
    }
    return datum_bytes(bytes, HEAD + size);
}

struct datum
numeric__from_int(struct arena *arena, int64_t value)
{
    return numeric__from_int128(arena, value, 0);
}

void
numeric__to_mpz(struct datum value, mpz_t z)
{
    mpz_import(z, value.size - HEAD, -1, 1, 0, 0, value.p + HEAD);
    if (value.p[1] != 0) {
        mpz_neg(z, z);
    }
}

struct datum
numeric__from_mpz(struct arena *arena, const mpz_t z, int scale)
{
    size_t size = mpz_sgn(z) == 0 ? 0 : (mpz_sizeinbase(z, 2) + 7) / 8;
    uint8_t *bytes = arena_alloc_raw(arena, HEAD + size);
    bytes[0] = KIND_FINITE;
    bytes[1] = mpz_sgn(z) < 0;
    store_le16(bytes + 2, (uint16_t)scale);
    if (size > 0) {
        (void)mpz_export(bytes + HEAD, NULL, -1, 1, 0, 0, z);
    }
    return datum_bytes(bytes, HEAD + size);
}

/* Decimal digits of the magnitude, roughly from above. */
static size_t
digits_bound(struct datum value)
{
    return (size_t)((double)(value.size - HEAD) * 2.41) + 1;
}

enum err
numeric__overflow(struct eval *eval)
{
    return diag_set(eval->diag, ERR_NUMERIC_RANGE, "value overflows numeric format");
}

/* Too many digits before the point? */
enum err
numeric__check(struct eval *eval, struct datum value)
{
    size_t digits = digits_bound(value);
    size_t scale = (size_t)numeric__scale(value);
    if (digits <= scale + DIGITS_BEFORE_MAX) {
        return ERR_OK;
    }
    mpz_t z;
    mpz_init(z);
    numeric__to_mpz(value, z);
    digits = mpz_sizeinbase(z, 10); /* or one less */
    mpz_clear(z);
    return digits > scale + DIGITS_BEFORE_MAX + 1 ? numeric__overflow(eval) : ERR_OK;
}

void
numeric__pow10(mpz_t z, unsigned long exponent)
{
    mpz_ui_pow_ui(z, 10, exponent);
}

/* 10^n for n <= 18. */
static int64_t
pow10_int(int n)
{
    int64_t power = 1;
    while (n-- > 0) {
        power *= 10;
    }
    return power;
}

/* z / 10^n, half away from zero. */
void
numeric__shift_down(mpz_t z, unsigned long n)
{
    mpz_t power;
    mpz_t half;
    mpz_init(power);
    mpz_init(half);
    numeric__pow10(power, n);
    mpz_tdiv_q_2exp(half, power, 1);
    if (mpz_sgn(z) < 0) {
        mpz_sub(z, z, half);
    } else {
        mpz_add(z, z, half);
    }
    mpz_tdiv_q(z, z, power);
    mpz_clear(power);
    mpz_clear(half);
}

/* z at scale `from` to scale `to`. */
void
numeric__rescale(mpz_t z, int from, int to)
{
    if (to > from) {
        mpz_t power;
        mpz_init(power);
        numeric__pow10(power, (unsigned long)(to - from));
        mpz_mul(z, z, power);
        mpz_clear(power);
    } else if (to < from) {
        numeric__shift_down(z, (unsigned long)(from - to));
    }
}

/* To another scale, rounding; to may be negative (then the result's scale is 0). */
struct datum
numeric__round(struct arena *arena, struct datum value, int to)
{
    int from = numeric__scale(value);
    if (numeric__kind(value) != KIND_FINITE || from == to) {
        return value;
    }
    int64_t mantissa = 0;
    int scale = 0;
    if (numeric__is_int(value, &mantissa, &scale) && to >= 0) {
        if (to > from && to - from <= 18) {
            return numeric__from_int128(arena, (int128)mantissa * pow10_int(to - from), to);
        }
        if (to < from && from - to <= 18) {
            int64_t power = pow10_int(from - to);
            int128 half = mantissa < 0 ? -(power / 2) : power / 2;
            return numeric__from_int128(arena, ((int128)mantissa + half) / power, to);
        }
    }
    mpz_t z;
    mpz_init(z);
    numeric__to_mpz(value, z);
    numeric__rescale(z, from, to);
    if (to < 0) {
        mpz_t power;
        mpz_init(power);
        numeric__pow10(power, (unsigned long)-to);
        mpz_mul(z, z, power);
        mpz_clear(power);
    }
    struct datum result = numeric__from_mpz(arena, z, to < 0 ? 0 : to);
    mpz_clear(z);
    return result;
}

/* ---- text
 * ---------------------------------------------------------------------------------------- */

static bool
special_word(struct slice text, int *kind)
{
    static const struct {
        const char *word;
        int kind;
    } words[] = {{"nan", KIND_NAN}, {"infinity", KIND_INFINITY}, {"inf", KIND_INFINITY},
        {"+infinity", KIND_INFINITY}, {"+inf", KIND_INFINITY}, {"-infinity", KIND_MINUS_INFINITY},
        {"-inf", KIND_MINUS_INFINITY}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text.size == strlen(words[i].word) &&
            strncasecmp((const char *)text.data, words[i].word, text.size) == 0) {
            *kind = words[i].kind;
            return true;
        }
    }
    return false;
}

enum err
numeric__input(struct eval *eval, int32_t typmod, struct slice text, struct datum *value)
{
    struct slice t = value__trim(text);
    int kind = 0;
    if (special_word(t, &kind)) {
        *value = numeric__special(eval->arena, kind);
        return numeric__apply_typmod(eval, typmod, *value, value);
    }
    char *digits = arena_alloc_raw(eval->arena, t.size + 2);
    size_t count = 0;
    size_t at = 0;
    int64_t scale = 0;
    bool negative = false;
    bool point = false;
    bool any = false;
    if (at < t.size && (t.data[at] == '-' || t.data[at] == '+')) {
        negative = t.data[at++] == '-';
    }
    for (; at < t.size; at++) {
        char c = (char)t.data[at];
        if (c >= '0' && c <= '9') {
            any = true;
            scale += point ? 1 : 0;
            if (count > 0 || c != '0') {
                digits[count++] = c;
            }
        } else if (c == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    if (!any) {
        return value__invalid(eval, "numeric", text);
    }
    if (at < t.size && (t.data[at] == 'e' || t.data[at] == 'E')) {
        at++;
        bool minus = false;
        if (at < t.size && (t.data[at] == '-' || t.data[at] == '+')) {
            minus = t.data[at++] == '-';
        }
        int64_t exponent = 0;
        size_t start = at;
        while (at < t.size && t.data[at] >= '0' && t.data[at] <= '9') {
            exponent = exponent * 10 + (t.data[at++] - '0');
            if (exponent > 1000000) {
                return numeric__overflow(eval);
            }
        }
        if (at == start) {
            return value__invalid(eval, "numeric", text);
        }
        scale += minus ? exponent : -exponent;
    }
    if (at != t.size) {
        return value__invalid(eval, "numeric", text);
    }
    if ((int64_t)count - scale > DIGITS_BEFORE_MAX || scale > 1000000) {
        return numeric__overflow(eval);
    }
    mpz_t z;
    mpz_init(z);
    if (count > 0 && count <= 18) {
        int64_t small = 0;
        for (size_t i = 0; i < count; i++) {
            small = small * 10 + (digits[i] - '0');
        }
        mpz_set_si(z, small);
    } else if (count > 0) {
        digits[count] = '\0';
        (void)mpz_set_str(z, digits, 10);
    }
    if (negative) {
        mpz_neg(z, z);
    }
    if (scale < 0) {
        numeric__rescale(z, 0, (int)-scale);
        scale = 0;
    } else if (scale > SCALE_MAX) {
        numeric__rescale(z, (int)scale, SCALE_MAX);
        scale = SCALE_MAX;
    }
    *value = numeric__from_mpz(eval->arena, z, (int)scale);
    mpz_clear(z);
    return numeric__apply_typmod(eval, typmod, *value, value);
}

/* The magnitude's decimal digits, at least scale + 1 of them. Returns a GMP-malloced or local text
 * through `memory`. */
static size_t
decimal(struct datum value, struct buffer *to)
{
    size_t start = to->size;
    int64_t mantissa = 0;
    int scale = 0;
    if (numeric__is_int(value, &mantissa, &scale)) {
        buffer_printf(
            to, "%0*llu", scale + 1, (unsigned long long)(mantissa < 0 ? -mantissa : mantissa));
        return to->size - start;
    }
    mpz_t z;
    mpz_init(z);
    numeric__to_mpz(value, z);
    mpz_abs(z, z);
    size_t bound = mpz_sizeinbase(z, 10) + 2;
    char *text = (char *)buffer_reserve(to, bound);
    (void)mpz_get_str(text, 10, z);
    size_t size = strlen(text);
    mpz_clear(z);
    size_t least = (size_t)numeric__scale(value) + 1;
    if (size >= least) {
        to->size += size;
        return size;
    }
    size_t pad = least - size;
    uint8_t *room = buffer_reserve(to, least);
    memmove(room + pad, room, size);
    memset(room, '0', pad);
    to->size += least;
    return least;
}

void
numeric__output(struct datum value, struct buffer *to)
{
    static const char *const words[] = {"", "NaN", "Infinity", "-Infinity"};
    if (numeric__kind(value) != KIND_FINITE) {
        buffer_add_text(to, words[numeric__kind(value)]);
        return;
    }
    if (value.p[1] != 0) {
        buffer_add_u8(to, '-');
    }
    size_t size = decimal(value, to);
    size_t scale = (size_t)numeric__scale(value);
    if (scale > 0) {
        (void)size;
        (void)buffer_extend(to, 1);
        uint8_t *end = to->data + to->size;
        memmove(end - scale, end - scale - 1, scale);
        end[-(ptrdiff_t)scale - 1] = '.';
    }
}

/* ---- the wire: base 10000 digits
 * ------------------------------------------------------------------- */

enum err
numeric__receive(struct eval *eval, int32_t typmod, struct slice bytes, struct datum *value)
{
    if (bytes.size < 8) {
        return diag_set(eval->diag, ERR_PROTOCOL, "insufficient data left in message");
    }
    uint16_t count = load_be16(bytes.data);
    int16_t weight = (int16_t)load_be16(bytes.data + 2);
    uint16_t sign = load_be16(bytes.data + 4);
    uint16_t scale = load_be16(bytes.data + 6);
    if (sign == 0xC000 || sign == 0xD000 || sign == 0xF000) {
        *value = numeric__special(eval->arena, sign == 0xC000   ? KIND_NAN
                                               : sign == 0xD000 ? KIND_INFINITY
                                                                : KIND_MINUS_INFINITY);
        return ERR_OK;
    }
    if (sign != 0 && sign != 0x4000) {
        return diag_set(
            eval->diag, ERR_INVALID_BINARY, "invalid sign in external \"numeric\" value");
    }
    if (scale > SCALE_MAX) {
        return diag_set(
            eval->diag, ERR_INVALID_BINARY, "invalid scale in external \"numeric\" value");
    }
    if (bytes.size < 8 + 2 * (size_t)count) {
        return diag_set(eval->diag, ERR_PROTOCOL, "insufficient data left in message");
    }
    if (bytes.size > 8 + 2 * (size_t)count) {
        return diag_set(
            eval->diag, ERR_INVALID_BINARY, "incorrect binary data format in bind parameter");
    }
    mpz_t z;
    mpz_init(z);
    enum err err = ERR_OK;
    for (uint16_t i = 0; i < count; i++) {
        uint16_t digit = load_be16(bytes.data + 8 + 2 * i);
        if (digit >= 10000) {
            err = diag_set(
                eval->diag, ERR_INVALID_BINARY, "invalid digit in external \"numeric\" value");
        }
        mpz_mul_ui(z, z, 10000);
        mpz_add_ui(z, z, digit);
    }
    if (sign == 0x4000) {
        mpz_neg(z, z);
    }
    /* The last digit stands for 10000^(weight - count + 1). */
    int32_t have = -4 * (weight - (int32_t)count + 1); /* scale of z */
    numeric__rescale(z, have, scale);
    *value = numeric__from_mpz(eval->arena, z, scale);
    mpz_clear(z);
    TRY(err);
    TRY(numeric__check(eval, *value));
    return numeric__apply_typmod(eval, typmod, *value, value);
}

void
numeric__send(struct datum value, struct buffer *to)
{
    if (numeric__kind(value) != KIND_FINITE) {
        static const uint16_t signs[] = {0, 0xC000, 0xD000, 0xF000};
        buffer_add_be16(to, 0);
        buffer_add_be16(to, 0);
        buffer_add_be16(to, signs[numeric__kind(value)]);
        buffer_add_be16(to, numeric__kind(value) == KIND_NAN ? 0 : 0x20); /* as PostgreSQL has it */
        return;
    }
    struct buffer text = {0};
    size_t size = decimal(value, &text);
    size_t scale = (size_t)numeric__scale(value);
    size_t before = size - scale;
    /* Pad to whole base-10000 digits on both sides of the point. */
    size_t lead = (4 - before % 4) % 4;
    size_t groups = (lead + before) / 4 + (scale + 3) / 4;
    struct buffer digits = {0};
    size_t first = SIZE_MAX;
    size_t last = 0;
    for (size_t g = 0; g < groups; g++) {
        unsigned digit = 0;
        for (size_t i = 0; i < 4; i++) {
            size_t at = g * 4 + i;
            unsigned d = at < lead || at - lead >= size ? 0 : text.data[at - lead] - (unsigned)'0';
            digit = digit * 10 + d;
        }
        buffer_add_be16(&digits, (uint16_t)digit);
        if (digit != 0) {
            first = first == SIZE_MAX ? g : first;
            last = g;
        }
    }
    size_t count = first == SIZE_MAX ? 0 : last - first + 1;
    int weight = first == SIZE_MAX ? 0 : (int)((lead + before) / 4) - 1 - (int)first;
    buffer_add_be16(to, (uint16_t)count);
    buffer_add_be16(to, (uint16_t)weight);
    buffer_add_be16(to, value.p[1] != 0 ? 0x4000 : 0);
    buffer_add_be16(to, (uint16_t)scale);
    if (count > 0) {
        buffer_add(to, digits.data + 2 * first, 2 * count);
    }
    buffer_destroy(&digits);
    buffer_destroy(&text);
}

/* ---- order
 * ------------------------------------------------------------------------------------------- */

static int
rank(struct datum value)
{
    static const int ranks[] = {1, 3, 2, 0};
    return ranks[numeric__kind(value)];
}

int
numeric__compare(struct datum a, struct datum b)
{
    if (numeric__kind(a) != KIND_FINITE || numeric__kind(b) != KIND_FINITE) {
        return rank(a) - rank(b);
    }
    int64_t x = 0;
    int64_t y = 0;
    int xs = 0;
    int ys = 0;
    if (numeric__is_int(a, &x, &xs) && numeric__is_int(b, &y, &ys) && xs - ys <= 18 &&
        ys - xs <= 18) {
        int128 left = xs < ys ? (int128)x * pow10_int(ys - xs) : x;
        int128 right = ys < xs ? (int128)y * pow10_int(xs - ys) : y;
        return (left > right) - (left < right);
    }
    mpz_t za;
    mpz_t zb;
    mpz_init(za);
    mpz_init(zb);
    numeric__to_mpz(a, za);
    numeric__to_mpz(b, zb);
    int scale = numeric__scale(a) > numeric__scale(b) ? numeric__scale(a) : numeric__scale(b);
    numeric__rescale(za, numeric__scale(a), scale);
    numeric__rescale(zb, numeric__scale(b), scale);
    int order = mpz_cmp(za, zb);
    mpz_clear(za);
    mpz_clear(zb);
    return (order > 0) - (order < 0);
}

/* Significant digits without zeros at either end, and the exponent e: 0.ddd * 10^e. */
static size_t
significant(struct datum value, struct buffer *text, size_t *start, int32_t *exponent)
{
    size_t size = decimal(value, text);
    size_t first = 0;
    while (first < size && text->data[first] == '0') {
        first++;
    }
    *exponent = (int32_t)(size - first) - numeric__scale(value);
    while (size > first && text->data[size - 1] == '0') {
        size--;
    }
    *start = first;
    return size - first;
}

uint64_t
numeric__hash(struct datum value, uint64_t seed)
{
    if (numeric__kind(value) != KIND_FINITE) {
        return hash_u64(seed + (uint64_t)numeric__kind(value));
    }
    int64_t mantissa = 0;
    int scale = 0;
    if (numeric__is_int(value, &mantissa, &scale)) {
        while (scale > 0 && mantissa % 10 == 0) {
            mantissa /= 10;
            scale--;
        }
        if (scale == 0) {
            return hash_u64((uint64_t)mantissa ^ seed);
        }
    }
    struct buffer text = {0};
    size_t start = 0;
    int32_t exponent = 0;
    size_t size = significant(value, &text, &start, &exponent);
    uint64_t hash = hash64(text.data + start, size, seed + (uint64_t)exponent + value.p[1]);
    /* Large integers with trailing zeros must not meet the path above: they do not fit it. */
    buffer_destroy(&text);
    return hash;
}

/*
 * Key payload: kind byte, -Infinity 1, negative 2, zero 3, positive 4, Infinity 5, NaN 6. Then for
 * positive: exponent + 2^31 in 4 bytes big-endian, pairs of digits as 1 + 0..99, 0x00. Negative:
 * the same bytes inverted.
 */
void
numeric__key_encode(struct buffer *key, struct datum value)
{
    static const uint8_t kinds[] = {0, 6, 5, 1};
    if (numeric__kind(value) != KIND_FINITE) {
        buffer_add_u8(key, kinds[numeric__kind(value)]);
        return;
    }
    if (value.size == HEAD) {
        buffer_add_u8(key, 3);
        return;
    }
    bool negative = value.p[1] != 0;
    buffer_add_u8(key, negative ? 2 : 4);
    size_t begin = key->size;
    struct buffer text = {0};
    size_t start = 0;
    int32_t exponent = 0;
    size_t size = significant(value, &text, &start, &exponent);
    buffer_add_be32(key, (uint32_t)exponent + 0x80000000U);
    for (size_t i = 0; i < size; i += 2) {
        unsigned high = text.data[start + i] - (unsigned)'0';
        unsigned low = i + 1 < size ? text.data[start + i + 1] - (unsigned)'0' : 0;
        buffer_add_u8(key, (uint8_t)(1 + high * 10 + low));
    }
    buffer_add_u8(key, 0);
    for (size_t i = begin; negative && i < key->size; i++) {
        key->data[i] = (uint8_t)~key->data[i];
    }
    buffer_destroy(&text);
}

enum err
numeric__key_decode(struct arena *arena, struct slice *key, struct datum *value, struct diag *diag)
{
    static const int specials[] = {0, KIND_MINUS_INFINITY, 0, 0, 0, KIND_INFINITY, KIND_NAN};
    uint8_t kind = key->size == 0 ? 0 : key->data[0];
    if (kind == 3) {
        *value = numeric__from_int(arena, 0);
        return ERR_OK;
    }
    if (kind == 1 || kind == 5 || kind == 6) {
        *value = numeric__special(arena, specials[kind]);
        return ERR_OK;
    }
    if ((kind != 2 && kind != 4) || key->size < 6) {
        return diag_set(diag, ERR_INDEX_CORRUPT, "index key is damaged");
    }
    uint8_t flip = kind == 2 ? 0xFF : 0;
    uint32_t biased = load_be32(key->data + 1);
    int64_t exponent = (int64_t)(flip != 0 ? ~biased : biased) - INT64_C(0x80000000);
    mpz_t z;
    mpz_init(z);
    int64_t digits = 0;
    for (size_t i = 5; i + 1 < key->size; i++) {
        unsigned pair = (key->data[i] ^ flip) - 1U;
        mpz_mul_ui(z, z, 100);
        mpz_add_ui(z, z, pair > 99 ? 0 : pair);
        digits += 2;
    }
    if (exponent > DIGITS_BEFORE_MAX + 8 || exponent < -SCALE_MAX - 8) {
        mpz_clear(z);
        return diag_set(diag, ERR_INDEX_CORRUPT, "index key is damaged");
    }
    int scale = (int)(digits - exponent);
    if (scale < 0) {
        numeric__rescale(z, 0, -scale);
        scale = 0;
    } else {
        while (scale > 0 && mpz_divisible_ui_p(z, 10) != 0) {
            mpz_divexact_ui(z, z, 10);
            scale--;
        }
    }
    if (flip != 0) {
        mpz_neg(z, z);
    }
    *value = numeric__from_mpz(arena, z, scale);
    mpz_clear(z);
    return ERR_OK;
}

/* ---- conversions
 * ---------------------------------------------------------------------------------------- */

enum err
numeric__to_int(struct eval *eval, struct datum value, int64_t min, int64_t max, const char *type,
    int64_t *result)
{
    if (numeric__kind(value) != KIND_FINITE) {
        return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "cannot convert %s to %s",
            numeric__kind(value) == KIND_NAN ? "NaN" : "infinity", type);
    }
    struct datum whole = numeric__round(eval->arena, value, 0);
    int scale = 0;
    if (!numeric__is_int(whole, result, &scale)) {
        bool least = whole.size == HEAD + 8 && whole.p[1] != 0 &&
                     load_le64(whole.p + HEAD) == (uint64_t)INT64_MAX + 1;
        if (!least || min != INT64_MIN) {
            return value__out_of_range(eval, type);
        }
        *result = INT64_MIN;
    }
    return *result < min || *result > max ? value__out_of_range(eval, type) : ERR_OK;
}

double
numeric__to_float(struct datum value)
{
    static const double specials[] = {0, (double)NAN, (double)INFINITY, -(double)INFINITY};
    if (numeric__kind(value) != KIND_FINITE) {
        return specials[numeric__kind(value)];
    }
    struct buffer text = {0};
    numeric__output(value, &text);
    buffer_add_u8(&text, 0);
    double result = strtod((const char *)text.data, NULL);
    buffer_destroy(&text);
    return result;
}

enum err
numeric__from_float(struct eval *eval, double value, bool single, struct datum *result)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%.*g", single ? 6 : 15, value);
    return numeric__input(eval, -1, slice_of(text, strlen(text)), result);
}

enum err
numeric__apply_typmod(struct eval *eval, int32_t typmod, struct datum value, struct datum *result)
{
    *result = value;
    if (typmod < 4) {
        return ERR_OK;
    }
    int precision = (typmod - 4) >> 16 & 0xffff;
    int scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
    if (numeric__kind(value) == KIND_NAN) {
        return ERR_OK;
    }
    bool fits = numeric__kind(value) == KIND_FINITE;
    if (fits) {
        *result = numeric__round(eval->arena, value, scale);
        int64_t mantissa = 0;
        int own_scale = 0;
        if (precision <= 18 && scale >= 0 && numeric__is_int(*result, &mantissa, &own_scale)) {
            int64_t limit = pow10_int(precision);
            fits = mantissa < limit && mantissa > -limit;
        } else {
            struct buffer text = {0};
            size_t start = 0;
            int32_t exponent = 0;
            size_t size = significant(*result, &text, &start, &exponent);
            buffer_destroy(&text);
            fits = size == 0 || exponent <= precision - scale;
        }
    }
    if (!fits) {
        (void)diag_set(eval->diag, ERR_NUMERIC_RANGE, "numeric field overflow");
        if (numeric__kind(value) != KIND_FINITE) {
            diag_detail(eval->diag,
                "A field with precision %d, scale %d cannot hold an infinite value.", precision,
                scale);
        } else {
            bool one = precision == scale;
            diag_detail(eval->diag,
                "A field with precision %d, scale %d must round to an absolute value less than "
                "%s%.0d.",
                precision, scale, one ? "1" : "10^", one ? 0 : precision - scale);
        }
        return ERR_NUMERIC_RANGE;
    }
    return ERR_OK;
}

/* ---- arithmetic
 * ------------------------------------------------------------------------------------------- */

typedef void mpz_operation(mpz_t, const mpz_t, const mpz_t);

static enum err
add_or_subtract(
    struct eval *eval, struct datum a, struct datum b, bool subtract, struct datum *result)
{
    if (numeric__kind(a) != KIND_FINITE || numeric__kind(b) != KIND_FINITE) {
        double x = numeric__kind(a) == KIND_FINITE ? 0 : numeric__to_float(a);
        double y = numeric__kind(b) == KIND_FINITE ? 0 : numeric__to_float(b);
        double sum = subtract ? x - y : x + y;
        *result = numeric__special(eval->arena, isnan(sum) ? KIND_NAN
                                                : sum > 0  ? KIND_INFINITY
                                                           : KIND_MINUS_INFINITY);
        return ERR_OK;
    }
    int64_t x = 0;
    int64_t y = 0;
    int xs = 0;
    int ys = 0;
    int scale = numeric__scale(a) > numeric__scale(b) ? numeric__scale(a) : numeric__scale(b);
    if (numeric__is_int(a, &x, &xs) && numeric__is_int(b, &y, &ys) && scale - xs <= 18 &&
        scale - ys <= 18) {
        int128 left = (int128)x * pow10_int(scale - xs);
        int128 right = (int128)y * pow10_int(scale - ys);
        *result = numeric__from_int128(eval->arena, subtract ? left - right : left + right, scale);
        return ERR_OK;
    }
    mpz_t za;
    mpz_t zb;
    mpz_init(za);
    mpz_init(zb);
    numeric__to_mpz(a, za);
    numeric__to_mpz(b, zb);
    numeric__rescale(za, numeric__scale(a), scale);
    numeric__rescale(zb, numeric__scale(b), scale);
    if (subtract) {
        mpz_sub(za, za, zb);
    } else {
        mpz_add(za, za, zb);
    }
    *result = numeric__from_mpz(eval->arena, za, scale);
    mpz_clear(za);
    mpz_clear(zb);
    return numeric__check(eval, *result);
}

static enum err
numeric_add(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    return add_or_subtract(eval, args[0], args[1], false, result);
}

static enum err
numeric_sub(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    return add_or_subtract(eval, args[0], args[1], true, result);
}

static enum err
numeric_mul(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    struct datum a = args[0];
    struct datum b = args[1];
    if (numeric__kind(a) != KIND_FINITE || numeric__kind(b) != KIND_FINITE) {
        double product = numeric__to_float(a) * numeric__to_float(b);
        *result = numeric__special(eval->arena, isnan(product) ? KIND_NAN
                                                : product > 0  ? KIND_INFINITY
                                                               : KIND_MINUS_INFINITY);
        return ERR_OK;
    }
    int64_t x = 0;
    int64_t y = 0;
    int xs = 0;
    int ys = 0;
    if (numeric__is_int(a, &x, &xs) && numeric__is_int(b, &y, &ys) && xs + ys <= SCALE_MAX) {
        *result = numeric__from_int128(eval->arena, (int128)x * y, xs + ys);
        return ERR_OK;
    }
    if (digits_bound(a) + digits_bound(b) > 2 * (DIGITS_BEFORE_MAX + SCALE_MAX)) {
        return numeric__overflow(eval);
    }
    mpz_t za;
    mpz_t zb;
    mpz_init(za);
    mpz_init(zb);
    numeric__to_mpz(a, za);
    numeric__to_mpz(b, zb);
    mpz_mul(za, za, zb);
    int scale = numeric__scale(a) + numeric__scale(b);
    if (scale > SCALE_MAX) {
        numeric__rescale(za, scale, SCALE_MAX);
        scale = SCALE_MAX;
    }
    *result = numeric__from_mpz(eval->arena, za, scale);
    mpz_clear(za);
    mpz_clear(zb);
    return numeric__check(eval, *result);
}

/* PostgreSQL's digits are base 10000: the weight of the first, and the first two. */
void
numeric__leading(struct datum value, int *weight, int digits[2])
{
    int64_t mantissa = 0;
    int scale = 0;
    if (numeric__is_int(value, &mantissa, &scale) && mantissa != 0) {
        uint64_t magnitude = (uint64_t)(mantissa < 0 ? -mantissa : mantissa);
        int count = 1;
        for (uint64_t rest = magnitude; rest >= 10; rest /= 10) {
            count++;
        }
        int e = count - scale - 1;
        *weight = e >= 0 ? e / 4 : -((-e + 3) / 4);
        int first = count - scale - 4 * *weight; /* 1..4 digits are in the first */
        /* As many digits as the first two take, with zeros if there are no more. */
        int cut = count - first - 4;
        uint64_t leading =
            cut >= 0 ? magnitude / (uint64_t)pow10_int(cut) : magnitude * (uint64_t)pow10_int(-cut);
        digits[0] = (int)(leading / 10000);
        digits[1] = (int)(leading % 10000);
        return;
    }
    struct buffer text = {0};
    size_t start = 0;
    int32_t exponent = 0;
    size_t size = significant(value, &text, &start, &exponent);
    *weight = 0;
    digits[0] = 0;
    digits[1] = 0;
    if (size > 0) {
        /* digits before the point: exponent. weight = floor((exponent - 1) / 4) */
        int e = exponent - 1;
        *weight = e >= 0 ? e / 4 : -((-e + 3) / 4);
        size_t first = (size_t)(exponent - 4 * *weight); /* 1..4 of them are in the first */
        for (size_t i = 0; i < first + 4; i++) {
            int digit = i < size ? (int)(text.data[start + i] - '0') : 0;
            int *to = &digits[i < first ? 0 : 1];
            *to = *to * 10 + digit;
        }
    }
    buffer_destroy(&text);
}

int
numeric__division_scale(struct datum a, struct datum b)
{
    int weight1 = 0;
    int weight2 = 0;
    int first1[2];
    int first2[2];
    numeric__leading(a, &weight1, first1);
    numeric__leading(b, &weight2, first2);
    int weight = weight1 - weight2 - (first1[0] <= first2[0] ? 1 : 0);
    int scale = DIV_DIGITS_MIN - weight * 4;
    scale = scale < numeric__scale(a) ? numeric__scale(a) : scale;
    scale = scale < numeric__scale(b) ? numeric__scale(b) : scale;
    scale = scale < 0 ? 0 : scale;
    return scale > DISPLAY_SCALE_MAX ? DISPLAY_SCALE_MAX : scale;
}

static enum err
division_by_zero(struct eval *eval)
{
    return diag_set(eval->diag, ERR_DIVISION_BY_ZERO, "division by zero");
}

/* a / b at a scale: rounded, or cut towards zero. */
struct datum
numeric__divide_at(struct arena *arena, struct datum a, struct datum b, int scale, bool cut)
{
    int64_t x = 0;
    int64_t y = 0;
    int xs = 0;
    int ys = 0;
    int up = scale + numeric__scale(b) - numeric__scale(a);
    if (up >= 0 && up <= 18 && numeric__is_int(a, &x, &xs) && numeric__is_int(b, &y, &ys)) {
        int128 dividend = (int128)x * pow10_int(up);
        int128 quotient = dividend / y;
        int128 rest = dividend % y;
        rest = rest < 0 ? -rest : rest;
        int128 size = y < 0 ? -(int128)y : y;
        if (!cut && 2 * rest >= size) {
            quotient += (dividend < 0) != (y < 0) ? -1 : 1;
        }
        return numeric__from_int128(arena, quotient, scale);
    }
    mpz_t za;
    mpz_t zb;
    mpz_init(za);
    mpz_init(zb);
    numeric__to_mpz(a, za);
    numeric__to_mpz(b, zb);
    /* a/10^sa / (b/10^sb) * 10^scale = a * 10^(scale + sb - sa) / b */
    int shift = scale + numeric__scale(b) - numeric__scale(a);
    mpz_t power;
    mpz_init(power);
    numeric__pow10(power, (unsigned long)(shift < 0 ? -shift : shift));
    if (shift >= 0) {
        mpz_mul(za, za, power);
    } else {
        mpz_mul(zb, zb, power);
    }
    if (!cut) { /* half away from zero: (2|a| + |b|) / 2|b| with the sign */
        int sign = mpz_sgn(za) * mpz_sgn(zb);
        mpz_abs(za, za);
        mpz_abs(zb, zb);
        mpz_mul_2exp(za, za, 1);
        mpz_add(za, za, zb);
        mpz_mul_2exp(zb, zb, 1);
        mpz_tdiv_q(za, za, zb);
        if (sign < 0) {
            mpz_neg(za, za);
        }
    } else {
        mpz_tdiv_q(za, za, zb);
    }
    struct datum result = numeric__from_mpz(arena, za, scale);
    mpz_clear(power);
    mpz_clear(za);
    mpz_clear(zb);
    return result;
}

static enum err
divide_special(struct eval *eval, struct datum a, struct datum b, struct datum *result)
{
    if (numeric__kind(a) == KIND_NAN || numeric__kind(b) == KIND_NAN) {
        *result = numeric__special(eval->arena, KIND_NAN);
        return ERR_OK;
    }
    if (numeric__is_zero(b)) {
        return division_by_zero(eval);
    }
    if (numeric__kind(a) == KIND_FINITE) {
        *result = numeric__from_int(eval->arena, 0);
        return ERR_OK;
    }
    double quotient = numeric__to_float(a) / numeric__to_float(b);
    *result = numeric__special(eval->arena, isnan(quotient) ? KIND_NAN
                                            : quotient > 0  ? KIND_INFINITY
                                                            : KIND_MINUS_INFINITY);
    return ERR_OK;
}

static enum err
numeric_div(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    if (numeric__kind(args[0]) != KIND_FINITE || numeric__kind(args[1]) != KIND_FINITE) {
        return divide_special(eval, args[0], args[1], result);
    }
    if (numeric__is_zero(args[1])) {
        return division_by_zero(eval);
    }
    *result = numeric__divide_at(
        eval->arena, args[0], args[1], numeric__division_scale(args[0], args[1]), false);
    return numeric__check(eval, *result);
}

static enum err
numeric_div_trunc(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    if (numeric__kind(args[0]) != KIND_FINITE || numeric__kind(args[1]) != KIND_FINITE) {
        return divide_special(eval, args[0], args[1], result);
    }
    if (numeric__is_zero(args[1])) {
        return division_by_zero(eval);
    }
    *result = numeric__divide_at(eval->arena, args[0], args[1], 0, true);
    return ERR_OK;
}

static enum err
numeric_mod(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    struct datum a = args[0];
    struct datum b = args[1];
    if (numeric__kind(a) != KIND_FINITE || numeric__kind(b) != KIND_FINITE) {
        if (numeric__kind(a) == KIND_FINITE && numeric__kind(b) != KIND_NAN) {
            *result = a;
        } else if (numeric__is_zero(b) && numeric__kind(a) != KIND_NAN) {
            return division_by_zero(eval);
        } else {
            *result = numeric__special(eval->arena, KIND_NAN);
        }
        return ERR_OK;
    }
    if (numeric__is_zero(b)) {
        return division_by_zero(eval);
    }
    int scale = numeric__scale(a) > numeric__scale(b) ? numeric__scale(a) : numeric__scale(b);
    mpz_t za;
    mpz_t zb;
    mpz_init(za);
    mpz_init(zb);
    numeric__to_mpz(a, za);
    numeric__to_mpz(b, zb);
    numeric__rescale(za, numeric__scale(a), scale);
    numeric__rescale(zb, numeric__scale(b), scale);
    mpz_tdiv_r(za, za, zb);
    *result = numeric__from_mpz(eval->arena, za, scale);
    mpz_clear(za);
    mpz_clear(zb);
    return ERR_OK;
}

static struct datum
with_sign(struct arena *arena, struct datum value, bool flip)
{
    uint8_t *bytes = arena_copy(arena, value.p, value.size);
    if (numeric__kind(value) == KIND_INFINITY && flip) {
        bytes[0] = KIND_MINUS_INFINITY;
    } else if (numeric__kind(value) == KIND_MINUS_INFINITY) {
        bytes[0] = KIND_INFINITY;
    } else if (value.size > HEAD) {
        bytes[1] = flip ? !bytes[1] : 0;
    }
    return datum_bytes(bytes, value.size);
}

static enum err
numeric_neg(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    *result = with_sign(eval->arena, args[0], true);
    return ERR_OK;
}

static enum err
numeric_plus(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    (void)eval;
    UNUSED_COUNT;
    *result = args[0];
    return ERR_OK;
}

static enum err
numeric_abs(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    *result = with_sign(eval->arena, args[0], false);
    return ERR_OK;
}

static enum err
numeric_sign(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    *result =
        numeric__kind(args[0]) == KIND_NAN
            ? args[0]
            : numeric__from_int(eval->arena, numeric__kind(args[0]) == KIND_INFINITY         ? 1
                                             : numeric__kind(args[0]) == KIND_MINUS_INFINITY ? -1
                                             : numeric__is_zero(args[0])                     ? 0
                                             : args[0].p[1] != 0                             ? -1
                                                                                             : 1);
    return ERR_OK;
}

static int
clamp_scale(int64_t scale)
{
    return scale > SCALE_MAX ? SCALE_MAX : scale < -SCALE_MAX ? -SCALE_MAX : (int)scale;
}

static enum err
numeric_round(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    *result = numeric__round(eval->arena, args[0], count > 1 ? clamp_scale(args[1].i) : 0);
    return ERR_OK;
}

/* Towards zero (0), down (-1) or up (1) to a scale >= 0. */
static struct datum
cut_to(struct arena *arena, struct datum value, int scale, int direction)
{
    int from = numeric__scale(value);
    if (numeric__kind(value) != KIND_FINITE || from <= scale) {
        return value;
    }
    mpz_t z;
    mpz_t power;
    mpz_init(z);
    mpz_init(power);
    numeric__to_mpz(value, z);
    numeric__pow10(power, (unsigned long)(from - scale));
    if (direction < 0) {
        mpz_fdiv_q(z, z, power);
    } else if (direction > 0) {
        mpz_cdiv_q(z, z, power);
    } else {
        mpz_tdiv_q(z, z, power);
    }
    if (scale < 0) {
        numeric__pow10(power, (unsigned long)-scale);
        mpz_mul(z, z, power);
    }
    struct datum result = numeric__from_mpz(arena, z, scale < 0 ? 0 : scale);
    mpz_clear(z);
    mpz_clear(power);
    return result;
}

static enum err
numeric_trunc(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    int scale = count > 1 ? clamp_scale(args[1].i) : 0;
    *result = cut_to(eval->arena, args[0], scale, 0);
    if (scale > numeric__scale(*result) && numeric__kind(*result) == KIND_FINITE) {
        *result = numeric__round(eval->arena, *result, scale);
    }
    return ERR_OK;
}

static enum err
numeric_floor(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    *result = cut_to(eval->arena, args[0], 0, -1);
    return ERR_OK;
}

static enum err
numeric_ceil(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    *result = cut_to(eval->arena, args[0], 0, 1);
    return ERR_OK;
}

static enum err
numeric_scale(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    (void)eval;
    UNUSED_COUNT;
    *result =
        numeric__kind(args[0]) == KIND_FINITE ? datum_int(numeric__scale(args[0])) : datum_null();
    return ERR_OK;
}

enum err
numeric__sum(struct eval *eval, struct datum a, struct datum b, struct datum *result)
{
    struct datum args[2] = {a, b};
    return numeric_add(eval, args, 2, result);
}

struct datum
numeric__at_scale(struct arena *arena, struct datum value, int scale)
{
    return numeric__round(arena, value, scale);
}

const char *
numeric__scientific(struct eval *eval, struct datum value, int digits)
{
    struct buffer text = {0};
    size_t start = 0;
    int32_t before = 0; /* digits before the point */
    size_t size = significant(value, &text, &start, &before);
    buffer_destroy(&text);
    /* One digit before the point: round there, which may make one more. */
    int exponent = size == 0 ? 0 : before - 1;
    struct datum rounded =
        size == 0 ? value : numeric__round(eval->arena, value, digits - exponent);
    struct buffer digit_text = {0};
    size = significant(rounded, &digit_text, &start, &before);
    exponent = size == 0 ? 0 : before - 1;
    struct buffer out = {0};
    for (int i = 0; i <= digits; i++) {
        buffer_add_u8(&out, (size_t)i < size ? digit_text.data[start + (size_t)i] : '0');
        if (i == 0 && digits > 0) {
            buffer_add_u8(&out, '.');
        }
    }
    const char *result =
        arena_printf(eval->arena, "%s%.*se%c%02d", numeric__is_negative(value) ? "-" : "",
            (int)out.size, (const char *)out.data, exponent < 0 ? '-' : '+', abs(exponent));
    buffer_destroy(&digit_text);
    buffer_destroy(&out);
    return result;
}

enum err
numeric__difference(struct eval *eval, struct datum a, struct datum b, struct datum *result)
{
    struct datum args[2] = {a, b};
    return numeric_sub(eval, args, 2, result);
}

enum err
numeric__multiply(struct eval *eval, struct datum a, struct datum b, struct datum *result)
{
    struct datum args[2] = {a, b};
    return numeric_mul(eval, args, 2, result);
}

enum err
numeric__divide(struct eval *eval, struct datum a, struct datum b, struct datum *result)
{
    struct datum args[2] = {a, b};
    return numeric_div(eval, args, 2, result);
}

/* ---- casts ------------------------------------------------------------------------------- */

static enum err
int_to_numeric(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    *result = numeric__from_int(eval->arena, args[0].i);
    return ERR_OK;
}

#define TO_INT(name, min, max, words)                                                 \
    static enum err numeric_to_##name(                                                \
        struct eval *eval, const struct datum *args, int count, struct datum *result) \
    {                                                                                 \
        UNUSED_COUNT;                                                                 \
        int64_t value = 0;                                                            \
        TRY(numeric__to_int(eval, args[0], min, max, words, &value));                 \
        *result = datum_int(value);                                                   \
        return ERR_OK;                                                                \
    }
TO_INT(int2, INT16_MIN, INT16_MAX, "smallint")
TO_INT(int4, INT32_MIN, INT32_MAX, "integer")
TO_INT(int8, INT64_MIN, INT64_MAX, "bigint")

static enum err
numeric_to_float8(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    double value = numeric__to_float(args[0]);
    if (isinf(value) && numeric__kind(args[0]) == KIND_FINITE) {
        return value__out_of_range(eval, "value");
    }
    *result = datum_float(value);
    return ERR_OK;
}

static enum err
numeric_to_float4(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    double value = (double)(float)numeric__to_float(args[0]);
    if (isinf(value) && numeric__kind(args[0]) == KIND_FINITE) {
        struct buffer text = {0};
        numeric__output(args[0], &text);
        enum err err = diag_set(eval->diag, ERR_NUMERIC_RANGE,
            "\"%.*s\" is out of range for type real", (int)text.size, (const char *)text.data);
        buffer_destroy(&text);
        return err;
    }
    *result = datum_float(value);
    return ERR_OK;
}

static enum err
float8_to_numeric(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    return numeric__from_float(eval, args[0].f, false, result);
}

static enum err
float4_to_numeric(struct eval *eval, const struct datum *args, int count, struct datum *result)
{
    UNUSED_COUNT;
    return numeric__from_float(eval, args[0].f, true, result);
}

#define N TYPE_NUMERIC
static const struct function functions[] = {
    {"abs", 0, N, 1, 1, FUNCTION_STRICT, {N}, numeric_abs, NULL, NULL},
    {"sign", 0, N, 1, 1, FUNCTION_STRICT, {N}, numeric_sign, NULL, NULL},
    {"round", 0, N, 1, 1, FUNCTION_STRICT, {N}, numeric_round, NULL, NULL},
    {"round", 0, N, 2, 2, FUNCTION_STRICT, {N, TYPE_INT4}, numeric_round, NULL, NULL},
    {"trunc", 0, N, 1, 1, FUNCTION_STRICT, {N}, numeric_trunc, NULL, NULL},
    {"trunc", 0, N, 2, 2, FUNCTION_STRICT, {N, TYPE_INT4}, numeric_trunc, NULL, NULL},
    {"floor", 0, N, 1, 1, FUNCTION_STRICT, {N}, numeric_floor, NULL, NULL},
    {"ceil", 0, N, 1, 1, FUNCTION_STRICT, {N}, numeric_ceil, NULL, NULL},
    {"ceiling", 0, N, 1, 1, FUNCTION_STRICT, {N}, numeric_ceil, NULL, NULL},
    {"mod", 0, N, 2, 2, FUNCTION_STRICT, {N, N}, numeric_mod, NULL, NULL},
    {"div", 0, N, 2, 2, FUNCTION_STRICT, {N, N}, numeric_div_trunc, NULL, NULL},
    {"scale", 0, TYPE_INT4, 1, 1, FUNCTION_STRICT, {N}, numeric_scale, NULL, NULL},
};

static const struct operator_row operators[] = {
    {"+", "numeric_add", N, N, N, numeric_add, "+", NULL, 0},
    {"-", "numeric_sub", N, N, N, numeric_sub, NULL, NULL, 0},
    {"*", "numeric_mul", N, N, N, numeric_mul, "*", NULL, 0},
    {"/", "numeric_div", N, N, N, numeric_div, NULL, NULL, 0},
    {"%", "numeric_mod", N, N, N, numeric_mod, NULL, NULL, 0},
    {"-", "numeric_uminus", 0, N, N, numeric_neg, NULL, NULL, 0},
    {"+", "numeric_uplus", 0, N, N, numeric_plus, NULL, NULL, 0},
    {"@", "numeric_abs", 0, N, N, numeric_abs, NULL, NULL, 0},
};

static const struct cast_row casts[] = {
    {TYPE_INT2, N, CAST_IMPLICIT, int_to_numeric},
    {TYPE_INT4, N, CAST_IMPLICIT, int_to_numeric},
    {TYPE_INT8, N, CAST_IMPLICIT, int_to_numeric},
    {TYPE_FLOAT4, N, CAST_ASSIGNMENT, float4_to_numeric},
    {TYPE_FLOAT8, N, CAST_ASSIGNMENT, float8_to_numeric},
    {N, TYPE_INT2, CAST_ASSIGNMENT, numeric_to_int2},
    {N, TYPE_INT4, CAST_ASSIGNMENT, numeric_to_int4},
    {N, TYPE_INT8, CAST_ASSIGNMENT, numeric_to_int8},
    {N, TYPE_FLOAT4, CAST_IMPLICIT, numeric_to_float4},
    {N, TYPE_FLOAT8, CAST_IMPLICIT, numeric_to_float8},
};

const struct function_rows numeric_rows = {ROWS(functions), ROWS(operators), ROWS(casts)};
