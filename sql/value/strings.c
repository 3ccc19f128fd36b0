/*
 * sql/value/strings.c - format, concat, unistr, sizes in words: what takes arguments of any type or
 * reads a little language of its own.
 *
 * Functions with FUNCTION_TEXT_ARGS get what any other type prints as, from bind.
 */
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"
#include "parser/parser.h"
#include "sql/value/value_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

static enum err
finish(struct eval *eval, struct buffer *out, enum err err, struct datum *result)
{
    *result = value__bytes(eval, out->data, out->size);
    buffer_destroy(out);
    return err;
}

/* ---- concat ------------------------------------------------------------------------------ */

FN(concat)
{
    struct buffer out = {0};
    for (int i = 0; i < count; i++) {
        if (!args[i].null) {
            buffer_add(&out, args[i].p, args[i].size);
        }
    }
    return finish(eval, &out, ERR_OK, result);
}

FN(concat_ws)
{
    struct buffer out = {0};
    bool any = false;
    if (args[0].null) {
        *result = datum_null();
        return ERR_OK;
    }
    for (int i = 1; i < count; i++) {
        if (!args[i].null) {
            if (any) {
                buffer_add(&out, args[0].p, args[0].size);
            }
            buffer_add(&out, args[i].p, args[i].size);
            any = true;
        }
    }
    return finish(eval, &out, ERR_OK, result);
}

static int64_t
nulls_of(const struct datum *args, int count)
{
    int64_t nulls = 0;
    for (int i = 0; i < count; i++) {
        nulls += args[i].null ? 1 : 0;
    }
    return nulls;
}

FN(num_nulls)
{
    (void)eval;
    *result = datum_int(nulls_of(args, count));
    return ERR_OK;
}

FN(num_nonnulls)
{
    (void)eval;
    *result = datum_int(count - nulls_of(args, count));
    return ERR_OK;
}

/* ---- format ------------------------------------------------------------------------------ */

struct formatting {
    struct eval *eval;
    const struct datum *args;
    int count;
    const uint8_t *at, *end;
    int next; /* argument */
    struct buffer out;
};

static enum err
unterminated(struct formatting *f)
{
    enum err err = diag_set(
        f->eval->diag, ERR_INVALID_PARAMETER_VALUE, "unterminated format() type specifier");
    diag_hint(f->eval->diag, "For a single \"%%\" use \"%%%%\".");
    return err;
}

/* Digits, if there are any; *any tells. */
static enum err
read_digits(struct formatting *f, bool *any, int *number)
{
    int64_t value = 0;
    *any = false;
    while (f->at < f->end && *f->at >= '0' && *f->at <= '9') {
        value = value * 10 + (*f->at++ - '0');
        *any = true;
        if (value > INT32_MAX) {
            return diag_set(f->eval->diag, ERR_NUMERIC_RANGE, "number is out of range");
        }
    }
    *number = (int)value;
    return f->at < f->end ? ERR_OK : unterminated(f);
}

static enum err
check_position(struct formatting *f, int position)
{
    return position != 0 ? ERR_OK
                         : diag_set(f->eval->diag, ERR_INVALID_PARAMETER_VALUE,
                               "format specifies argument 0, but arguments are numbered from 1");
}

static enum err
take(struct formatting *f, int position, struct datum *value)
{
    int index = position > 0 ? position : f->next;
    f->next = index + 1;
    if (index >= f->count) {
        return diag_set(
            f->eval->diag, ERR_INVALID_PARAMETER_VALUE, "too few arguments for format()");
    }
    *value = f->args[index];
    return ERR_OK;
}

/* "*" or "*2$": a width from the arguments; null is none. */
static enum err
width_argument(struct formatting *f, int64_t *width)
{
    bool any = false;
    int position = 0;
    struct datum value;
    f->at++;
    if (f->at >= f->end) {
        return unterminated(f);
    }
    TRY(read_digits(f, &any, &position));
    if (any) {
        if (*f->at != '$') {
            return diag_set(f->eval->diag, ERR_INVALID_PARAMETER_VALUE,
                "width argument position must be ended by \"$\"");
        }
        TRY(check_position(f, position));
        f->at++;
    }
    TRY(take(f, any ? position : 0, &value));
    *width = 0;
    if (!value.null) {
        TRY(type_input(f->eval, TYPE_INT4, -1, datum_slice(value), &value));
        *width = value.i;
    }
    return f->at < f->end ? ERR_OK : unterminated(f);
}

static void
put_padded(struct formatting *f, struct slice text, bool left, int64_t width)
{
    if (width < 0) {
        left = true;
        width = -width;
    }
    int64_t size = (int64_t)utf8_length(text);
    for (int64_t i = size; !left && i < width; i++) {
        buffer_add_u8(&f->out, ' ');
    }
    buffer_add(&f->out, text.data, text.size);
    for (int64_t i = size; left && i < width; i++) {
        buffer_add_u8(&f->out, ' ');
    }
}

static enum err
put_value(struct formatting *f, uint8_t type, struct datum value, bool left, int64_t width)
{
    struct arena *arena = f->eval->arena;
    const char *text = NULL;
    if (value.null && type == 'I') {
        return diag_set(
            f->eval->diag, ERR_NULL_VALUE, "null values cannot be formatted as an SQL identifier");
    }
    if (type == 's') {
        put_padded(f, value.null ? slice_of("", 0) : datum_slice(value), left, width);
        return ERR_OK;
    }
    if (type == 'I') {
        text = parser_quote_ident(arena, arena_strndup(arena, (const char *)value.p, value.size));
    } else {
        text = value.null ? "NULL" : parser_quote_literal(arena, (const char *)value.p, value.size);
        text += text[0] == ' ' ? 1 : 0;
    }
    put_padded(f, slice_of(text, strlen(text)), left, width);
    return ERR_OK;
}

/* Behind the percent sign. */
static enum err
specifier(struct formatting *f)
{
    bool any = false;
    bool left = false;
    int number = 0;
    int position = 0;
    int64_t width = 0;
    TRY(read_digits(f, &any, &number));
    bool has_width = any && *f->at != '$';
    if (any && *f->at == '$') {
        TRY(check_position(f, number));
        position = number;
        f->at++;
    } else if (any) {
        width = number;
    }
    if (!has_width) {
        while (f->at < f->end && *f->at == '-') {
            left = true;
            f->at++;
        }
        if (f->at >= f->end) {
            return unterminated(f);
        }
        if (*f->at == '*') {
            TRY(width_argument(f, &width));
        } else {
            TRY(read_digits(f, &any, &number));
            width = number;
        }
    }
    uint8_t type = *f->at++;
    if (type != 's' && type != 'I' && type != 'L') {
        enum err err = diag_set(f->eval->diag, ERR_INVALID_PARAMETER_VALUE,
            "unrecognized format() type specifier \"%c\"", type);
        diag_hint(f->eval->diag, "For a single \"%%\" use \"%%%%\".");
        return err;
    }
    struct datum value;
    TRY(take(f, position, &value));
    if (width > INT32_MAX / 4 || width < -(INT32_MAX / 4)) {
        return diag_set(f->eval->diag, ERR_PROGRAM_LIMIT, "requested length too large");
    }
    return put_value(f, type, value, left, width);
}

FN(format)
{
    if (args[0].null) {
        *result = datum_null();
        return ERR_OK;
    }
    struct formatting f = {.eval = eval,
        .args = args,
        .count = count,
        .at = args[0].p,
        .end = args[0].p + args[0].size,
        .next = 1};
    enum err err = ERR_OK;
    while (f.at < f.end && err == ERR_OK) {
        uint8_t c = *f.at++;
        if (c != '%') {
            buffer_add_u8(&f.out, c);
        } else if (f.at >= f.end) {
            err = unterminated(&f);
        } else if (*f.at == '%') {
            buffer_add_u8(&f.out, '%');
            f.at++;
        } else {
            err = specifier(&f);
        }
    }
    return finish(eval, &f.out, err, result);
}

/* ---- unistr ------------------------------------------------------------------------------ */

static int
hex_value(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool
read_hex(struct slice text, size_t digits, uint32_t *code)
{
    *code = 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = i < text.size ? hex_value(text.data[i]) : -1;
        if (digit < 0) {
            return false;
        }
        *code = *code << 4 | (uint32_t)digit;
    }
    return true;
}

static void
put_utf8(struct buffer *to, uint32_t code)
{
    if (code < 0x80) {
        buffer_add_u8(to, (uint8_t)code);
        return;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    buffer_add_u8(to, (uint8_t)((0xF00 >> (more + 1) & 0xFF) | code >> (6 * more)));
    for (int i = more - 1; i >= 0; i--) {
        buffer_add_u8(to, (uint8_t)(0x80 | (code >> (6 * i) & 0x3F)));
    }
}

/* The code behind a backslash; *size: how many bytes it takes. False: none of the four forms. */
static bool
unicode_escape(struct slice text, uint32_t *code, size_t *size)
{
    static const struct {
        const char *prefix;
        size_t digits;
    } forms[] = {{"u", 4}, {"U", 8}, {"+", 6}, {"", 4}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        size_t skip = strlen(forms[i].prefix);
        if (text.size >= skip && (skip == 0 || text.data[0] == (uint8_t)forms[i].prefix[0]) &&
            read_hex(slice_of(text.data + skip, text.size - skip), forms[i].digits, code)) {
            *size = skip + forms[i].digits;
            return true;
        }
    }
    return false;
}

static enum err
unescape(struct eval *eval, struct slice text, struct buffer *out)
{
    uint32_t high = 0; /* the first half of a surrogate pair */
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        uint32_t code = 0;
        size_t size = 0;
        bool plain = c != '\\' || (i + 1 < text.size && text.data[i + 1] == '\\');
        if (plain) {
            if (high != 0) {
                break;
            }
            buffer_add_u8(out, c);
            i += c == '\\' ? 1 : 0;
            continue;
        }
        if (!unicode_escape(slice_of(text.data + i + 1, text.size - i - 1), &code, &size)) {
            enum err err = diag_set(eval->diag, ERR_SYNTAX, "invalid Unicode escape");
            diag_hint(
                eval->diag, "Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.");
            return err;
        }
        if (code == 0 || code > 0x10FFFF) {
            return diag_set(
                eval->diag, ERR_INVALID_PARAMETER_VALUE, "invalid Unicode code point: %04X", code);
        }
        bool low = code >= 0xDC00 && code <= 0xDFFF;
        if ((high != 0) != low) {
            high = 1;
            break;
        }
        i += size;
        if (code >= 0xD800 && code <= 0xDBFF) {
            high = code;
            continue;
        }
        put_utf8(out, low ? 0x10000 + ((high & 0x3FF) << 10) + (code & 0x3FF) : code);
        high = 0;
    }
    return high == 0 ? ERR_OK : diag_set(eval->diag, ERR_SYNTAX, "invalid Unicode surrogate pair");
}

FN(unistr)
{
    UNUSED_COUNT;
    struct buffer out = {0};
    return finish(eval, &out, unescape(eval, datum_slice(args[0]), &out), result);
}

/* ---- sizes ------------------------------------------------------------------------------- */

static const char *const size_units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
enum {
    SIZE_UNIT_COUNT = sizeof size_units / sizeof size_units[0]
};

/* The smallest unit in which it is less than 10240, rounded half away from zero. */
FN(size_pretty)
{
    UNUSED_COUNT;
    int64_t size = args[0].i;
    uint64_t whole = size < 0 ? 0 - (uint64_t)size : (uint64_t)size;
    if (whole < 10240) {
        *result = value__text(eval, arena_printf(eval->arena, "%lld bytes", (long long)size));
        return ERR_OK;
    }
    size_t unit = 1;
    uint64_t halves = whole >> 9; /* half units, cut */
    while (halves >= 20 * 1024 - 1 && unit + 1 < SIZE_UNIT_COUNT) {
        halves >>= 10;
        unit++;
    }
    *result = value__text(eval, arena_printf(eval->arena, "%s%llu %s", size < 0 ? "-" : "",
                                    (unsigned long long)((halves + 1) / 2), size_units[unit]));
    return ERR_OK;
}

FN(size_pretty_numeric)
{
    int64_t size = 0;
    struct diag ignored;
    struct eval quiet = *eval;
    quiet.diag = &ignored;
    double magnitude = numeric__to_float(args[0]);
    if (magnitude > -10240 && magnitude < 10240) {
        struct buffer out = {0};
        numeric__output(args[0], &out);
        buffer_add_text(&out, " bytes");
        return finish(eval, &out, ERR_OK, result);
    }
    if (numeric__to_int(&quiet, args[0], INT64_MIN, INT64_MAX, "bigint", &size) != ERR_OK) {
        return diag_set(eval->diag, ERR_NUMERIC_RANGE, "bigint out of range");
    }
    struct datum whole = datum_int(size);
    return size_pretty(eval, &whole, count, result);
}

FN(size_bytes)
{
    UNUSED_COUNT;
    struct slice text = value__trim(datum_slice(args[0]));
    size_t end = 0;
    bool digits = false;
    while (end < text.size && strchr("+-.0123456789", text.data[end]) != NULL) {
        digits = digits || (text.data[end] >= '0' && text.data[end] <= '9');
        end++;
    }
    if (!digits) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "invalid size: \"%.*s\"",
            (int)(args[0].size > 200 ? 200 : args[0].size), (const char *)args[0].p);
    }
    /* An exponent, if digits follow: 1e3 is not 1 "e3". */
    size_t after = end;
    if (after < text.size && (text.data[after] == 'e' || text.data[after] == 'E')) {
        after++;
        after += after < text.size && (text.data[after] == '+' || text.data[after] == '-') ? 1 : 0;
        size_t start = after;
        while (after < text.size && text.data[after] >= '0' && text.data[after] <= '9') {
            after++;
        }
        end = after > start ? after : end;
    }
    struct datum number;
    TRY(numeric__input(eval, -1, slice_of(text.data, end), &number));
    struct slice unit = value__trim(slice_of(text.data + end, text.size - end));
    int64_t scale = 0;
    for (size_t i = 0; i < SIZE_UNIT_COUNT; i++) {
        if (unit.size == strlen(size_units[i]) &&
            strncasecmp((const char *)unit.data, size_units[i], unit.size) == 0) {
            scale = (int64_t)1 << (10 * i);
        }
    }
    if (unit.size > 0 && scale == 0) {
        enum err err = diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "invalid size: \"%.*s\"",
            (int)(args[0].size > 200 ? 200 : args[0].size), (const char *)args[0].p);
        diag_detail(eval->diag, "Invalid size unit: \"%.*s\".",
            (int)(unit.size > 100 ? 100 : unit.size), (const char *)unit.data);
        diag_hint(
            eval->diag, "Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".");
        return err;
    }
    if (unit.size > 0) {
        TRY(numeric__multiply(eval, number, numeric__from_int(eval->arena, scale), &number));
    }
    *result = datum_int(0);
    return numeric__to_int(eval, number, INT64_MIN, INT64_MAX, "bigint", &result->i);
}

#define T    TYPE_TEXT
#define I4   TYPE_INT4
#define I8   TYPE_INT8
#define ANY  TYPE_ANY
#define S    FUNCTION_STRICT
#define TEXT (FUNCTION_VARIADIC | FUNCTION_TEXT_ARGS | FUNCTION_STABLE)

static const struct function functions[] = {
    {"concat", 3058, T, 1, 1, TEXT, {ANY}, concat, NULL, NULL},
    {"concat_ws", 3059, T, 2, 2, TEXT, {T, ANY}, concat_ws, NULL, NULL},
    {"format", 3540, T, 1, 1, FUNCTION_STABLE, {T}, format, NULL, NULL},
    {"format", 3539, T, 2, 2, TEXT, {T, ANY}, format, NULL, NULL},
    {"num_nulls", 440, I4, 1, 1, FUNCTION_VARIADIC, {ANY}, num_nulls, NULL, NULL},
    {"num_nonnulls", 438, I4, 1, 1, FUNCTION_VARIADIC, {ANY}, num_nonnulls, NULL, NULL},
    {"unistr", 6198, T, 1, 1, S, {T}, unistr, NULL, NULL},
    {"pg_size_pretty", 2288, T, 1, 1, S, {I8}, size_pretty, NULL, NULL},
    {"pg_size_pretty", 3166, T, 1, 1, S, {TYPE_NUMERIC}, size_pretty_numeric, NULL, NULL},
    {"pg_size_bytes", 3334, I8, 1, 1, S, {T}, size_bytes, NULL, NULL},
};

const struct function_rows string_rows = {ROWS(functions), NULL, 0, NULL, 0};
