/*
 * sql/value/number_format.c - to_char of numbers, to_number.
 *
 * A template is parsed once: its nodes, and a summary (struct shape) of how many digits it has on
 * both sides of the point, where the first 0 stands and how a sign is to be shown. Every digit or
 * point of the template is a place; writing goes through the places with the number's digits
 * right-aligned before the point. The C locale's signs: "." "," "-" "+", a blank for currency.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"
#include "sql/value/numeric_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

enum pattern {
    P_NINE,
    P_ZERO,
    P_POINT, /* . and D */
    P_COMMA, /* , and G */
    P_BLANK, /* B */
    P_CURRENCY,
    P_FILL,
    P_SIGN, /* S */
    P_MINUS,
    P_PLUS,
    P_EITHER, /* SG */
    P_BRACKET,
    P_ROMAN,
    P_ROMAN_LOWER,
    P_ORDINAL,
    P_ORDINAL_LOWER,
    P_SHIFT, /* V */
    P_SCIENTIFIC,
    P_LITERAL,
};

struct node {
    enum pattern pattern;
    struct slice text; /* of a literal */
};

enum sign_place {
    SIGN_NONE,
    SIGN_BEFORE,
    SIGN_BEHIND,
};

struct shape {
    struct node *nodes;
    size_t count;
    int before, behind, shift; /* digits */
    int zero_first, zero_last; /* places, from 1; 0: there is no 0 */
    bool zero, point, fill, sign, minus, plus, bracket, roman, shifted, scientific;
    enum sign_place sign_place; /* of S */
    int before_sign;            /* digits in front of it */
};

enum {
    FORMAT_SIZE_MAX = 8192,
};

/* ---- templates --------------------------------------------------------------------------- */

static const struct keyword {
    const char *name;
    enum pattern pattern;
} keywords[] = {{"EEEE", P_SCIENTIFIC}, {"FM", P_FILL}, {"MI", P_MINUS}, {"PL", P_PLUS},
    {"PR", P_BRACKET}, {"RN", P_ROMAN}, {"SG", P_EITHER}, {"SP", P_LITERAL}, {"TH", P_ORDINAL},
    {"th", P_ORDINAL_LOWER}, {"rn", P_ROMAN_LOWER}, {",", P_COMMA}, {".", P_POINT}, {"0", P_ZERO},
    {"9", P_NINE}, {"B", P_BLANK}, {"C", P_LITERAL}, {"D", P_POINT}, {"G", P_COMMA},
    {"L", P_CURRENCY}, {"S", P_SIGN}, {"V", P_SHIFT}};

static const struct keyword *
find_keyword(struct slice text)
{
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        const struct keyword *k = &keywords[i];
        if (text.data[0] != (uint8_t)k->name[0] && text.data[0] != (uint8_t)tolower(k->name[0])) {
            continue;
        }
        size_t size = strlen(k->name);
        /* Both cases, but for th and rn, whose case is the result's. */
        bool strict = k->pattern == P_ORDINAL || k->pattern == P_ORDINAL_LOWER ||
                      k->pattern == P_ROMAN || k->pattern == P_ROMAN_LOWER;
        if (text.size < size) {
            continue;
        }
        bool upper = memcmp(text.data, k->name, size) == 0;
        bool lower = !strict;
        for (size_t c = 0; c < size && lower; c++) {
            lower = text.data[c] == (uint8_t)tolower(k->name[c]);
        }
        if (upper || lower) {
            return k;
        }
    }
    return NULL;
}

static enum err
bad(struct eval *eval, const char *words)
{
    return diag_set(eval->diag, ERR_SYNTAX, "%s", words);
}

static enum err
add_sign(struct eval *eval, struct shape *s)
{
    if (s->sign) {
        return bad(eval, "cannot use \"S\" twice");
    }
    if (s->plus || s->minus || s->bracket) {
        return bad(eval, "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
    }
    s->sign = true;
    s->sign_place = s->point ? SIGN_BEHIND : SIGN_BEFORE;
    s->before_sign = s->before;
    return ERR_OK;
}

static enum err
add_pattern(struct eval *eval, struct shape *s, enum pattern pattern)
{
    if (s->scientific && pattern != P_SCIENTIFIC) {
        return bad(eval, "\"EEEE\" must be the last pattern used");
    }
    switch (pattern) {
    case P_NINE:
    case P_ZERO:
        if (s->bracket) {
            return bad(eval, pattern == P_NINE ? "\"9\" must be ahead of \"PR\""
                                               : "\"0\" must be ahead of \"PR\"");
        }
        if (pattern == P_ZERO) {
            if (!s->zero && !s->point) {
                s->zero = true;
                s->zero_first = s->before + 1;
            }
        } else if (s->shifted) {
            s->shift++;
            return ERR_OK;
        }
        if (s->point) {
            s->behind++;
        } else {
            s->before++;
        }
        s->zero_last = pattern == P_ZERO ? s->before + s->behind : s->zero_last;
        return ERR_OK;
    case P_POINT:
        if (s->point) {
            return bad(eval, "multiple decimal points");
        }
        if (s->shifted) {
            return bad(eval, "cannot use \"V\" and decimal point together");
        }
        s->point = true;
        return ERR_OK;
    case P_FILL:
        s->fill = true;
        return ERR_OK;
    case P_SIGN:
        return add_sign(eval, s);
    case P_MINUS:
        s->minus = true;
        return s->sign ? bad(eval, "cannot use \"S\" and \"MI\" together") : ERR_OK;
    case P_PLUS:
        s->plus = true;
        return s->sign ? bad(eval, "cannot use \"S\" and \"PL\" together") : ERR_OK;
    case P_EITHER:
        s->plus = true;
        s->minus = true;
        return s->sign ? bad(eval, "cannot use \"S\" and \"SG\" together") : ERR_OK;
    case P_BRACKET:
        if (s->sign || s->plus || s->minus) {
            return bad(eval, "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
        }
        s->bracket = true;
        return ERR_OK;
    case P_ROMAN:
    case P_ROMAN_LOWER:
        s->roman = true;
        return ERR_OK;
    case P_SHIFT:
        s->shifted = true;
        return s->point ? bad(eval, "cannot use \"V\" and decimal point together") : ERR_OK;
    case P_SCIENTIFIC:
        if (s->scientific) {
            return bad(eval, "cannot use \"EEEE\" twice");
        }
        if (s->fill || s->sign || s->bracket || s->minus || s->plus || s->roman || s->shifted) {
            enum err err = bad(eval, "\"EEEE\" is incompatible with other formats");
            diag_detail(eval->diag, "\"EEEE\" may only be used together with digit and decimal "
                                    "point patterns.");
            return err;
        }
        s->scientific = true;
        return ERR_OK;
    default:
        return ERR_OK;
    }
}

static void
add_literal(struct shape *s, struct slice *text)
{
    size_t size = 1;
    while (size < text->size && (text->data[size] & 0xC0) == 0x80) {
        size++;
    }
    s->nodes[s->count++] = (struct node){P_LITERAL, slice_of(text->data, size)};
    text->data += size;
    text->size -= size;
}

static enum err
shape_parse(struct eval *eval, struct slice text, struct shape *s)
{
    *s = (struct shape){.nodes = arena_array(eval->arena, text.size + 1, sizeof *s->nodes)};
    if (text.size > FORMAT_SIZE_MAX) {
        return diag_set(eval->diag, ERR_PROGRAM_LIMIT, "number format is too long");
    }
    while (text.size > 0) {
        const struct keyword *keyword = find_keyword(text);
        if (keyword != NULL) {
            TRY(add_pattern(eval, s, keyword->pattern));
            s->nodes[s->count++] = (struct node){keyword->pattern, {NULL, 0}};
            text.data += strlen(keyword->name);
            text.size -= strlen(keyword->name);
        } else if (text.data[0] == '"') {
            text.data++;
            text.size--;
            while (text.size > 0 && text.data[0] != '"') {
                if (text.data[0] == '\\' && text.size > 1) {
                    text.data++;
                    text.size--;
                }
                add_literal(s, &text);
            }
            text.data += text.size > 0 ? 1 : 0;
            text.size -= text.size > 0 ? 1 : 0;
        } else {
            if (text.data[0] == '\\' && text.size > 1 && text.data[1] == '"') {
                text.data++;
                text.size--;
            }
            add_literal(s, &text);
        }
    }
    return ERR_OK;
}

/* ---- writing ----------------------------------------------------------------------------- */

struct writing {
    const struct shape *s;
    struct buffer out;
    const char *number; /* digits, perhaps with a point */
    const char *next;   /* the digit whose place comes */
    const char *last;   /* of those that matter, if trailing zeros do not; NULL: all do */
    char sign;
    bool bracket;
    bool signed_already;
    bool started; /* a digit is out */
    bool ended;   /* a place came and no digit was left: nothing follows, as in PostgreSQL */
    enum sign_place sign_place;
    int zero_first;
    int blanks; /* places before the number */
    int place;
    int places; /* where the sign behind comes */
};

/* The number is 0.something and the template has no 0 in front: that zero is not shown. */
static bool
hidden_zero(const struct writing *w)
{
    return !w->s->zero && w->next == w->number && *w->number == '0' && w->s->behind != 0;
}

static void
write_sign(struct writing *w)
{
    if (w->s->sign) {
        if (w->sign_place != SIGN_BEFORE) {
            return;
        }
        buffer_add_u8(&w->out, (uint8_t)w->sign);
    } else if (w->bracket) {
        buffer_add_u8(&w->out, w->sign == '+' ? ' ' : '<');
    } else if (w->sign == '-') {
        buffer_add_u8(&w->out, '-');
    } else if (!w->s->fill) {
        buffer_add_u8(&w->out, ' ');
    }
    w->signed_already = true;
}

static void
write_digit(struct writing *w, enum pattern pattern)
{
    bool ends_in_point = w->last != NULL && *w->last == '.';
    if (*w->next == '.') {
        if (!ends_in_point || w->s->fill) {
            buffer_add_u8(&w->out, '.');
        }
    } else if (w->last != NULL && w->next > w->last && pattern != P_ZERO) {
        /* a zero that fill mode drops */
    } else if (hidden_zero(w)) {
        if (!w->s->fill) {
            buffer_add_u8(&w->out, ' ');
        } else if (ends_in_point) {
            buffer_add_u8(&w->out, '0');
        }
    } else if (*w->next != '\0') {
        buffer_add_u8(&w->out, (uint8_t)*w->next);
        w->started = true;
    } else {
        w->ended = true;
    }
    w->next += *w->next != '\0' ? 1 : 0;
}

static void
write_place(struct writing *w, enum pattern pattern)
{
    bool zero_here = w->s->zero && w->zero_first <= w->place;
    bool reached = w->place >= w->blanks || (w->s->zero && w->zero_first == w->place);
    if (!w->signed_already && reached &&
        (!hidden_zero(w) || (w->last != NULL && *w->last == '.'))) {
        write_sign(w);
    }
    if (w->place >= w->blanks) {
        write_digit(w, pattern);
    } else if (zero_here) {
        buffer_add_u8(&w->out, '0');
        w->started = true;
    } else if (!w->s->fill) {
        buffer_add_u8(&w->out, ' ');
    }
    if (w->ended) {
        return;
    }
    int end = w->last != NULL && w->last == w->next ? w->place : w->places;
    if (w->place + 1 == end) {
        if (w->signed_already && w->bracket) {
            buffer_add_u8(&w->out, w->sign == '+' ? ' ' : '>');
        } else if (w->s->sign && w->sign_place == SIGN_BEHIND) {
            buffer_add_u8(&w->out, (uint8_t)w->sign);
        }
    }
    w->place++;
}

static void
write_ordinal(struct writing *w, bool lower)
{
    size_t size = strlen(w->number);
    if (*w->number == '#' || w->sign == '-' || w->s->point) {
        return;
    }
    char last = size > 0 ? w->number[size - 1] : '0';
    bool teen = size > 1 && w->number[size - 2] == '1';
    const char *ending = teen          ? "TH"
                         : last == '1' ? "ST"
                         : last == '2' ? "ND"
                         : last == '3' ? "RD"
                                       : "TH";
    for (int i = 0; i < 2; i++) {
        buffer_add_u8(&w->out, (uint8_t)(lower ? tolower(ending[i]) : ending[i]));
    }
}

static void
write_node(struct writing *w, const struct node *node)
{
    bool fill = w->s->fill;
    switch (node->pattern) {
    case P_NINE:
    case P_ZERO:
    case P_POINT:
        write_place(w, node->pattern);
        return;
    case P_COMMA:
        if (w->started || !fill) {
            buffer_add_u8(&w->out, w->started ? ',' : ' ');
        }
        return;
    case P_CURRENCY:
        buffer_add_u8(&w->out, ' ');
        return;
    case P_ORDINAL:
    case P_ORDINAL_LOWER:
        write_ordinal(w, node->pattern == P_ORDINAL_LOWER);
        return;
    case P_MINUS:
        if (w->sign == '-' || !fill) {
            buffer_add_u8(&w->out, w->sign == '-' ? '-' : ' ');
        }
        return;
    case P_PLUS:
        if (w->sign == '+' || !fill) {
            buffer_add_u8(&w->out, w->sign == '+' ? '+' : ' ');
        }
        return;
    case P_EITHER:
        buffer_add_u8(&w->out, (uint8_t)w->sign);
        return;
    case P_LITERAL:
        buffer_add(&w->out, node->text.data, node->text.size);
        return;
    default:
        return;
    }
}

/* number: without a sign. blanks: how many more digits the template has before the point. */
static struct datum
write_number(
    struct eval *eval, const struct shape *s, const char *number, char sign, int blanks, int behind)
{
    struct writing w = {.s = s,
        .number = number,
        .next = number,
        .sign = sign,
        .bracket = s->bracket && !(sign != '-' && s->fill),
        .sign_place = s->sign_place,
        .zero_first = s->zero_first - 1,
        .blanks = blanks};
    if (s->plus || s->minus) {
        w.signed_already = !(s->plus && !s->minus);
    } else {
        w.signed_already = sign == '+' && s->fill && !s->sign;
        if (w.sign_place == SIGN_BEFORE && s->before == s->before_sign) {
            w.sign_place = SIGN_BEHIND;
        }
    }
    int digits = s->before + s->shift + behind - 1;
    if (s->fill && s->point) {
        const char *point = strchr(number, '.');
        w.last = point;
        for (const char *at = point; at != NULL && *at != '\0'; at++) {
            w.last = *at != '0' && *at != '.' ? at : w.last;
        }
        /* What stands under a 0 of the template stays. */
        if (w.last != NULL && s->zero_last > blanks) {
            int keep = (int)strlen(number) - 1;
            keep = keep < s->zero_last - blanks ? keep : s->zero_last - blanks;
            w.last = w.last < number + keep ? number + keep : w.last;
        }
    }
    if (!w.signed_already && blanks == 0) {
        digits++;
    }
    w.places = digits + (blanks > 0 ? 1 : 0) + (s->point ? 1 : 0);
    for (size_t i = 0; i < s->count && !w.ended; i++) {
        write_node(&w, &s->nodes[i]);
    }
    struct datum text = value__bytes(eval, w.out.data, w.out.size);
    buffer_destroy(&w.out);
    return text;
}

static struct datum
write_roman(struct eval *eval, const struct shape *s, int64_t number)
{
    static const struct {
        int value;
        const char *letters;
    } steps[] = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"},
        {50, "L"}, {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"}};
    struct buffer roman = {0};
    struct buffer out = {0};
    bool fits = number >= 1 && number <= 3999;
    if (!fits) {
        buffer_add_text(&roman, "###############");
    }
    for (size_t i = 0; fits && i < sizeof steps / sizeof steps[0]; i++) {
        for (; number >= steps[i].value; number -= steps[i].value) {
            buffer_add_text(&roman, steps[i].letters);
        }
    }
    for (size_t i = 0; i < s->count; i++) {
        bool lower = s->nodes[i].pattern == P_ROMAN_LOWER;
        if (s->nodes[i].pattern == P_LITERAL) {
            buffer_add(&out, s->nodes[i].text.data, s->nodes[i].text.size);
        }
        if (!lower && s->nodes[i].pattern != P_ROMAN) {
            continue;
        }
        for (size_t k = roman.size; !s->fill && k < 15; k++) {
            buffer_add_u8(&out, ' ');
        }
        for (size_t k = 0; k < roman.size; k++) {
            buffer_add_u8(&out, (uint8_t)(lower ? tolower(roman.data[k]) : roman.data[k]));
        }
    }
    struct datum text = value__bytes(eval, out.data, out.size);
    buffer_destroy(&roman);
    buffer_destroy(&out);
    return text;
}

/* The scientific form stands alone: the template's literals are left out. */
static struct datum
write_scientific(struct eval *eval, const char *number)
{
    return value__text(eval, arena_printf(eval->arena, "%s%s", *number == '-' ? "" : " ", number));
}

static char *
hashes(struct arena *arena, int before, int behind)
{
    char *text = arena_alloc(arena, (size_t)(before + behind + 2));
    memset(text, '#', (size_t)(before + behind + 1));
    text[before] = '.';
    return text;
}

/* A decimal text of the right scale into the template. */
static struct datum
write_decimal(struct eval *eval, const struct shape *s, const char *decimal, int behind)
{
    char sign = *decimal == '-' ? '-' : '+';
    const char *number = decimal + (*decimal == '-' ? 1 : 0);
    int before = s->before + s->shift;
    size_t size = strcspn(number, ".");
    int blanks = 0;
    if (size < (size_t)before) {
        blanks = before - (int)size;
    } else if (size > (size_t)before) {
        number = hashes(eval->arena, before, behind);
    }
    return write_number(eval, s, number, sign, blanks, behind);
}

static const char *
numeric_text(struct eval *eval, struct datum value)
{
    struct buffer text = {0};
    numeric__output(value, &text);
    const char *copy = arena_strndup(eval->arena, (const char *)text.data, text.size);
    buffer_destroy(&text);
    return copy;
}

FN(to_char_numeric)
{
    UNUSED_COUNT;
    struct shape s;
    TRY(shape_parse(eval, datum_slice(args[1]), &s));
    if (args[1].size == 0) {
        *result = datum_bytes("", 0);
        return ERR_OK;
    }
    if (s.roman) {
        int64_t whole = 0;
        TRY(numeric__to_int(eval, args[0], INT32_MIN, INT32_MAX, "integer", &whole));
        *result = write_roman(eval, &s, whole);
        return ERR_OK;
    }
    bool special = numeric__kind(args[0]) != KIND_FINITE;
    if (s.scientific) {
        if (special) {
            *result = value__text(eval,
                arena_printf(eval->arena, " %s####", hashes(eval->arena, s.before, s.behind)));
            return ERR_OK;
        }
        *result = write_scientific(eval, numeric__scientific(eval, args[0], s.behind));
        return ERR_OK;
    }
    struct datum number = args[0];
    if (s.shifted && !special) {
        struct datum ten;
        const char *power = arena_printf(eval->arena, "1e%d", s.shift);
        TRY(numeric__input(eval, -1, slice_of(power, strlen(power)), &ten));
        TRY(numeric__multiply(eval, number, ten, &number));
    }
    if (!special) {
        number = numeric__at_scale(eval->arena, number, s.behind);
    }
    *result = write_decimal(eval, &s, numeric_text(eval, number), s.behind);
    return ERR_OK;
}

FN(to_char_int)
{
    UNUSED_COUNT;
    struct datum both[2] = {numeric__from_int(eval->arena, args[0].i), args[1]};
    struct shape s;
    TRY(shape_parse(eval, datum_slice(args[1]), &s));
    if (s.roman) {
        if (args[0].i > INT32_MAX || args[0].i < INT32_MIN) {
            return value__out_of_range(eval, "integer");
        }
        *result = write_roman(eval, &s, args[0].i);
        return ERR_OK;
    }
    if (s.scientific && args[0].i <= INT32_MAX && args[0].i >= INT32_MIN) {
        /* By way of a double, whose ties go to the even digit. */
        const char *text = arena_printf(eval->arena, "%.*e", s.behind, (double)args[0].i);
        *result = write_scientific(eval, text);
        return ERR_OK;
    }
    return to_char_numeric(eval, both, 2, result);
}

static enum err
to_char_double(struct eval *eval, const struct datum *args, int digits, struct datum *result)
{
    struct shape s;
    double value = args[0].f;
    TRY(shape_parse(eval, datum_slice(args[1]), &s));
    if (args[1].size == 0) {
        *result = datum_bytes("", 0);
        return ERR_OK;
    }
    if (s.roman) {
        *result = write_roman(eval, &s, fabs(value) <= INT32_MAX ? (int64_t)rint(value) : 0);
        return ERR_OK;
    }
    bool special = isnan(value) || isinf(value);
    if (s.scientific) {
        *result = special
                      ? value__text(eval, arena_printf(eval->arena, " %s####",
                                              hashes(eval->arena, s.before, s.behind)))
                      : write_scientific(eval, arena_printf(eval->arena, "%.*e", s.behind, value));
        return ERR_OK;
    }
    if (s.shifted) {
        value *= pow(10, s.shift);
    }
    /* No more digits than a double has. */
    const char *whole = arena_printf(eval->arena, "%.0f", fabs(value));
    int size = (int)strlen(whole);
    int behind = size >= digits ? 0 : size + s.behind > digits ? digits - size : s.behind;
    const char *text = isnan(value)   ? "NaN"
                       : isinf(value) ? (value < 0 ? "-Infinity" : "Infinity")
                                      : arena_printf(eval->arena, "%.*f", behind, value);
    *result = write_decimal(eval, &s, text, behind);
    return ERR_OK;
}

FN(to_char_float8)
{
    UNUSED_COUNT;
    return to_char_double(eval, args, 15, result);
}

FN(to_char_float4)
{
    UNUSED_COUNT;
    return to_char_double(eval, args, 6, result);
}

/* ---- reading ----------------------------------------------------------------------------- */

struct parsing {
    const struct shape *s;
    struct slice rest;
    struct buffer number;
    char sign;
    bool point;
    int digits_before, digits_behind;
};

static uint8_t
peek(const struct parsing *p)
{
    return p->rest.size > 0 ? p->rest.data[0] : 0;
}

static void
skip(struct parsing *p)
{
    if (p->rest.size > 0) {
        size_t size = 1;
        while (size < p->rest.size && (p->rest.data[size] & 0xC0) == 0x80) {
            size++;
        }
        p->rest.data += size;
        p->rest.size -= size;
    }
}

/* Of digits, points and signs nothing is skipped: they are data that a later pattern takes. */
static bool
is_data(uint8_t c)
{
    return (c >= '0' && c <= '9') || c == '.' || c == ',' || c == '+' || c == '-';
}

static void
skip_letters(struct parsing *p, int many)
{
    while (many-- > 0 && p->rest.size > 0 && !is_data(peek(p))) {
        skip(p);
    }
}

static void
read_sign(struct parsing *p)
{
    uint8_t c = peek(p);
    if (p->sign != 0 || p->number.size > 0) {
        return;
    }
    if (c == '-' || (p->s->bracket && c == '<')) {
        p->sign = '-';
        skip(p);
    } else if (c == '+') {
        p->sign = '+';
        skip(p);
    }
}

static void
read_place(struct parsing *p, enum pattern pattern)
{
    if (peek(p) == ' ') {
        skip(p);
    }
    if (p->rest.size == 0) {
        return;
    }
    read_sign(p);
    uint8_t c = peek(p);
    if (c >= '0' && c <= '9') {
        bool more = p->point ? p->digits_behind < p->s->behind : true;
        if (more) {
            buffer_add_u8(&p->number, c);
            p->digits_behind += p->point ? 1 : 0;
            p->digits_before += p->point ? 0 : 1;
            skip(p);
        }
    } else if (c == '.' && p->s->point && !p->point) {
        buffer_add_u8(&p->number, '.');
        p->point = true;
        skip(p);
        (void)pattern;
    }
    /* A sign behind the last digit. */
    bool has_digit = p->digits_before + p->digits_behind > 0;
    if (has_digit && p->s->sign && p->sign == 0 && (peek(p) == '-' || peek(p) == '+')) {
        p->sign = (char)peek(p);
        skip(p);
    }
}

FN(to_number)
{
    UNUSED_COUNT;
    struct shape s;
    TRY(shape_parse(eval, datum_slice(args[1]), &s));
    if (s.roman) {
        return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "\"RN\" not supported for input");
    }
    if (s.scientific) {
        return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "\"EEEE\" not supported for input");
    }
    if (args[1].size == 0) {
        *result = datum_null();
        return ERR_OK;
    }
    struct parsing p = {.s = &s, .rest = datum_slice(args[0])};
    for (size_t i = 0; i < s.count && p.rest.size > 0; i++) {
        const struct node *node = &s.nodes[i];
        switch (node->pattern) {
        case P_NINE:
        case P_ZERO:
        case P_POINT:
            read_place(&p, node->pattern);
            break;
        case P_COMMA:
            if (peek(&p) == ',') {
                skip(&p);
            }
            break;
        case P_CURRENCY:
            skip_letters(&p, 1);
            break;
        case P_ORDINAL:
        case P_ORDINAL_LOWER:
            skip_letters(&p, 2);
            break;
        case P_MINUS:
        case P_PLUS:
        case P_EITHER: {
            uint8_t c = peek(&p);
            bool takes =
                (c == '-' && node->pattern != P_PLUS) || (c == '+' && node->pattern != P_MINUS);
            if (takes) {
                p.sign = (char)c;
                skip(&p);
            } else {
                skip_letters(&p, 1);
            }
            break;
        }
        case P_LITERAL:
            skip(&p);
            break;
        default:
            break;
        }
    }
    struct buffer text = {0};
    buffer_add_text(&text, p.sign == '-' ? "-" : "");
    buffer_add(&text, p.number.data, p.number.size);
    enum err err = numeric__input(eval, -1, slice_of(text.data, text.size), result);
    if (err != ERR_OK && p.digits_before + p.digits_behind == 0) {
        err =
            diag_set(eval->diag, ERR_INVALID_TEXT, "invalid input syntax for type numeric: \" \"");
    }
    buffer_destroy(&p.number);
    buffer_destroy(&text);
    TRY(err);
    if (s.shifted) {
        struct datum ten;
        const char *power = arena_printf(eval->arena, "1e-%d", s.shift);
        TRY(numeric__input(eval, -1, slice_of(power, strlen(power)), &ten));
        ten = numeric__at_scale(eval->arena, ten, 16);
        return numeric__multiply(eval, *result, ten, result);
    }
    return ERR_OK;
}

#define T TYPE_TEXT
#define TWO(name, oid, result, a, b, call)                                                   \
    {                                                                                        \
        name, oid, result, 2, 2, FUNCTION_STRICT | FUNCTION_STABLE, {a, b}, call, NULL, NULL \
    }

static const struct function functions[] = {
    TWO("to_char", 1772, T, TYPE_NUMERIC, T, to_char_numeric),
    TWO("to_char", 1773, T, TYPE_INT4, T, to_char_int),
    TWO("to_char", 1774, T, TYPE_INT8, T, to_char_int),
    TWO("to_char", 1775, T, TYPE_FLOAT4, T, to_char_float4),
    TWO("to_char", 1776, T, TYPE_FLOAT8, T, to_char_float8),
    TWO("to_number", 1777, TYPE_NUMERIC, T, T, to_number),
};

const struct function_rows number_format_rows = {ROWS(functions), NULL, 0, NULL, 0};
