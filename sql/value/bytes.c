/* sql/value/bytes.c - functions of bytea: encodings, single bytes and bits. */
#include <strings.h>

#include "base/assert.h"
#include "parser/scanner.h"
#include "sql/value/value_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)

/* ---- hex, base64, escape ----------------------------------------------------------------- */

static const char base64_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum coding {
    CODING_HEX,
    CODING_BASE64,
    CODING_ESCAPE,
};

static enum err
find_coding(struct eval *eval, struct datum name, enum coding *coding)
{
    static const char *const names[] = {"hex", "base64", "escape"};
    for (int i = 0; i < 3; i++) {
        if (name.size == strlen(names[i]) &&
            strncasecmp((const char *)name.p, names[i], name.size) == 0) {
            *coding = (enum coding)i;
            return ERR_OK;
        }
    }
    return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "unrecognized encoding: \"%.*s\"",
        (int)(name.size > 200 ? 200 : name.size), (const char *)name.p);
}

/* Lines of 76 letters. */
static void
base64_encode(struct slice bytes, struct buffer *to)
{
    size_t line = 0;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t many = bytes.size - i < 3 ? bytes.size - i : 3;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        group |= many > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= many > 2 ? bytes.data[i + 2] : 0;
        for (size_t k = 0; k < 4; k++) {
            uint8_t letter = (uint8_t)base64_letters[group >> (18 - 6 * k) & 63];
            buffer_add_u8(to, k <= many ? letter : '=');
        }
        line += 4;
        if (line == 76) {
            buffer_add_u8(to, '\n');
            line = 0;
        }
    }
}

FN(encode)
{
    UNUSED_COUNT;
    static const char hex[] = "0123456789abcdef";
    enum coding coding;
    struct slice bytes = datum_slice(args[0]);
    struct buffer out = {0};
    TRY(find_coding(eval, args[1], &coding));
    if (bytes.size > (size_t)1 << 28) {
        return diag_set(
            eval->diag, ERR_PROGRAM_LIMIT, "result of encoding conversion is too large");
    }
    if (coding == CODING_BASE64) {
        base64_encode(bytes, &out);
    }
    for (size_t i = 0; coding != CODING_BASE64 && i < bytes.size; i++) {
        uint8_t c = bytes.data[i];
        if (coding == CODING_HEX) {
            buffer_add_u8(&out, (uint8_t)hex[c >> 4]);
            buffer_add_u8(&out, (uint8_t)hex[c & 15]);
        } else if (c == 0 || c >= 0x80) {
            buffer_printf(&out, "\\%03o", c);
        } else {
            buffer_add_u8(&out, c);
            if (c == '\\') {
                buffer_add_u8(&out, c);
            }
        }
    }
    *result = value__bytes(eval, out.data, out.size);
    buffer_destroy(&out);
    return ERR_OK;
}

static int
hex_value(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool
is_blank(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static size_t
letter_size(struct slice text, size_t at)
{
    size_t end = at + 1;
    while (end < text.size && (text.data[end] & 0xC0) == 0x80) {
        end++;
    }
    return end - at;
}

static enum err
hex_decode(struct eval *eval, struct slice text, struct buffer *to)
{
    for (size_t i = 0; i < text.size; i++) {
        if (is_blank(text.data[i])) {
            continue;
        }
        for (size_t k = i; k < i + 2; k++) {
            if (k >= text.size) {
                return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                    "invalid hexadecimal data: odd number of digits");
            }
            if (hex_value(text.data[k]) < 0) {
                return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                    "invalid hexadecimal digit: \"%.*s\"", (int)letter_size(text, k),
                    (const char *)text.data + k);
            }
        }
        buffer_add_u8(to, (uint8_t)(hex_value(text.data[i]) << 4 | hex_value(text.data[i + 1])));
        i++;
    }
    return ERR_OK;
}

static enum err
base64_decode(struct eval *eval, struct slice text, struct buffer *to)
{
    uint32_t group = 0;
    int position = 0;
    int ending = 0; /* equals signs seen */
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (is_blank(c)) {
            continue;
        }
        uint32_t value = 0;
        if (c == '=') {
            if (ending == 0) {
                if (position != 2 && position != 3) {
                    return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                        "unexpected \"=\" while decoding base64 sequence");
                }
                ending = position == 2 ? 1 : 2;
            }
        } else {
            const char *letter = memchr(base64_letters, c, 64);
            if (letter == NULL || ending != 0) {
                return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                    "invalid symbol \"%.*s\" found while decoding base64 sequence",
                    (int)letter_size(text, i), (const char *)text.data + i);
            }
            value = (uint32_t)(letter - base64_letters);
        }
        group = group << 6 | value;
        if (++position == 4) {
            buffer_add_u8(to, (uint8_t)(group >> 16));
            if (ending == 0 || ending > 1) {
                buffer_add_u8(to, (uint8_t)(group >> 8));
            }
            if (ending == 0) {
                buffer_add_u8(to, (uint8_t)group);
            }
            group = 0;
            position = 0;
        }
    }
    if (position != 0) {
        enum err err =
            diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "invalid base64 end sequence");
        diag_hint(eval->diag, "Input data is missing padding, is truncated, or is otherwise "
                              "corrupted.");
        return err;
    }
    return ERR_OK;
}

static enum err
escape_decode(struct eval *eval, struct slice text, struct buffer *to)
{
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t *c = text.data + i;
        size_t left = text.size - i;
        if (*c != '\\') {
            buffer_add_u8(to, *c);
        } else if (left > 3 && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' && c[2] <= '7' &&
                   c[3] >= '0' && c[3] <= '7') {
            buffer_add_u8(to, (uint8_t)((c[1] - '0') << 6 | (c[2] - '0') << 3 | (c[3] - '0')));
            i += 3;
        } else if (left > 1 && c[1] == '\\') {
            buffer_add_u8(to, '\\');
            i++;
        } else {
            return diag_set(
                eval->diag, ERR_INVALID_TEXT, "invalid input syntax for type %s", "bytea");
        }
    }
    return ERR_OK;
}

FN(decode)
{
    UNUSED_COUNT;
    enum coding coding;
    struct buffer out = {0};
    struct slice text = datum_slice(args[0]);
    TRY(find_coding(eval, args[1], &coding));
    enum err err = coding == CODING_HEX      ? hex_decode(eval, text, &out)
                   : coding == CODING_BASE64 ? base64_decode(eval, text, &out)
                                             : escape_decode(eval, text, &out);
    *result = value__bytes(eval, out.data, out.size);
    buffer_destroy(&out);
    return err;
}

/* ---- characters -------------------------------------------------------------------------- */

enum charset {
    CHARSET_UTF8,
    CHARSET_LATIN1,
};

static enum err
find_charset(struct eval *eval, struct datum name, enum charset *charset)
{
    static const struct {
        const char *name;
        enum charset charset;
    } names[] = {{"utf8", CHARSET_UTF8}, {"utf-8", CHARSET_UTF8}, {"unicode", CHARSET_UTF8},
        {"latin1", CHARSET_LATIN1}, {"iso88591", CHARSET_LATIN1}, {"iso-8859-1", CHARSET_LATIN1}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (name.size == strlen(names[i].name) &&
            strncasecmp((const char *)name.p, names[i].name, name.size) == 0) {
            *charset = names[i].charset;
            return ERR_OK;
        }
    }
    return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "encoding \"%.*s\" is not supported",
        (int)name.size, (const char *)name.p);
}

FN(convert_from)
{
    UNUSED_COUNT;
    enum charset charset;
    struct slice bytes = datum_slice(args[0]);
    struct buffer out = {0};
    TRY(find_charset(eval, args[1], &charset));
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t c = bytes.data[i];
        if (charset == CHARSET_UTF8 || c < 0x80) {
            buffer_add_u8(&out, c);
        } else {
            buffer_add_u8(&out, (uint8_t)(0xC0 | c >> 6));
            buffer_add_u8(&out, (uint8_t)(0x80 | (c & 0x3F)));
        }
    }
    *result = value__bytes(eval, out.data, out.size);
    buffer_destroy(&out);
    const uint8_t *zero = result->size == 0 ? NULL : memchr(result->p, 0, result->size);
    size_t bad = result->size == 0 ? 0 : utf8_invalid_at((const char *)result->p, result->size);
    bad = zero != NULL && (size_t)(zero - result->p) < bad ? (size_t)(zero - result->p) : bad;
    if (bad >= result->size) {
        return ERR_OK;
    }
    /* The bytes of the sequence that its first byte promises. */
    uint8_t c = result->p[bad];
    size_t want = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF8 ? 4 : 1;
    struct buffer shown = {0};
    for (size_t i = 0; i < want && bad + i < result->size; i++) {
        buffer_printf(&shown, "%s0x%02x", i == 0 ? "" : " ", result->p[bad + i]);
    }
    enum err err = diag_set(eval->diag, ERR_NOT_IN_REPERTOIRE,
        "invalid byte sequence for encoding \"%s\": %.*s",
        charset == CHARSET_UTF8 ? "UTF8" : "LATIN1", (int)shown.size, (const char *)shown.data);
    buffer_destroy(&shown);
    return err;
}

FN(convert_to)
{
    UNUSED_COUNT;
    enum charset charset;
    TRY(find_charset(eval, args[1], &charset));
    if (charset == CHARSET_UTF8) {
        *result = args[0];
        return ERR_OK;
    }
    uint8_t *bytes = arena_alloc_raw(eval->arena, args[0].size);
    size_t size = 0;
    for (size_t i = 0; i < args[0].size; i++) {
        uint8_t c = args[0].p[i];
        if (c >= 0xC4) {
            struct buffer shown = {0};
            size_t many = letter_size(datum_slice(args[0]), i);
            for (size_t k = 0; k < many; k++) {
                buffer_printf(&shown, "%s0x%02x", k == 0 ? "" : " ", args[0].p[i + k]);
            }
            enum err err = diag_set(eval->diag, ERR_UNTRANSLATABLE,
                "character with byte sequence %.*s in encoding \"UTF8\" has no equivalent in "
                "encoding \"LATIN1\"",
                (int)shown.size, (const char *)shown.data);
            buffer_destroy(&shown);
            return err;
        }
        unsigned low = c < 0x80 ? 0 : args[0].p[++i];
        bytes[size++] = (uint8_t)(c < 0x80 ? c : (unsigned)((c & 3) << 6) | (low & 0x3F));
    }
    *result = datum_bytes(bytes, size);
    return ERR_OK;
}

/* ---- bytes and bits ---------------------------------------------------------------------- */

static enum err
check_index(struct eval *eval, int64_t index, int64_t count)
{
    return index >= 0 && index < count
               ? ERR_OK
               : diag_set(eval->diag, ERR_ARRAY_SUBSCRIPT, "index %lld out of valid range, 0..%lld",
                     (long long)index, (long long)count - 1);
}

FN(get_byte)
{
    UNUSED_COUNT;
    TRY(check_index(eval, args[1].i, args[0].size));
    *result = datum_int(args[0].p[args[1].i]);
    return ERR_OK;
}

FN(set_byte)
{
    UNUSED_COUNT;
    TRY(check_index(eval, args[1].i, args[0].size));
    uint8_t *bytes = arena_copy(eval->arena, args[0].p, args[0].size);
    bytes[args[1].i] = (uint8_t)args[2].i;
    *result = datum_bytes(bytes, args[0].size);
    return ERR_OK;
}

FN(get_bit)
{
    UNUSED_COUNT;
    TRY(check_index(eval, args[1].i, (int64_t)args[0].size * 8));
    *result = datum_int(args[0].p[args[1].i / 8] >> (args[1].i % 8) & 1);
    return ERR_OK;
}

FN(set_bit)
{
    UNUSED_COUNT;
    TRY(check_index(eval, args[1].i, (int64_t)args[0].size * 8));
    if (args[2].i != 0 && args[2].i != 1) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "new bit must be 0 or 1");
    }
    uint8_t *bytes = arena_copy(eval->arena, args[0].p, args[0].size);
    uint8_t mask = (uint8_t)(1U << (args[1].i % 8));
    uint8_t old = bytes[args[1].i / 8];
    bytes[args[1].i / 8] = (uint8_t)(args[2].i != 0 ? old | mask : old & ~mask);
    *result = datum_bytes(bytes, args[0].size);
    return ERR_OK;
}

FN(bit_count)
{
    (void)eval;
    UNUSED_COUNT;
    int64_t bits = 0;
    for (uint32_t i = 0; i < args[0].size; i++) {
        bits += __builtin_popcount(args[0].p[i]);
    }
    *result = datum_int(bits);
    return ERR_OK;
}

FN(byte_position)
{
    (void)eval;
    UNUSED_COUNT;
    const uint8_t *at = args[1].size == 0 ? args[0].p
                        : args[0].size == 0
                            ? NULL
                            : memmem(args[0].p, args[0].size, args[1].p, args[1].size);
    *result = datum_int(at == NULL ? 0 : at - args[0].p + 1);
    return ERR_OK;
}

static enum err
trim(const struct datum *args, bool left, bool right, struct datum *result)
{
    struct slice bytes = datum_slice(args[0]);
    struct slice set = datum_slice(args[1]);
    while (left && bytes.size > 0 && set.size > 0 &&
           memchr(set.data, bytes.data[0], set.size) != NULL) {
        bytes.data++;
        bytes.size--;
    }
    while (right && bytes.size > 0 && set.size > 0 &&
           memchr(set.data, bytes.data[bytes.size - 1], set.size) != NULL) {
        bytes.size--;
    }
    *result = datum_bytes(bytes.data, bytes.size);
    return ERR_OK;
}

FN(byte_btrim)
{
    (void)eval;
    UNUSED_COUNT;
    return trim(args, true, true, result);
}
FN(byte_ltrim)
{
    (void)eval;
    UNUSED_COUNT;
    return trim(args, true, false, result);
}
FN(byte_rtrim)
{
    (void)eval;
    UNUSED_COUNT;
    return trim(args, false, true, result);
}

FN(byte_overlay)
{
    int64_t start = args[2].i;
    int64_t many = count > 3 ? args[3].i : (int64_t)args[1].size;
    int64_t size = args[0].size;
    if (start <= 0) {
        return diag_set(eval->diag, ERR_SUBSTRING, "negative substring length not allowed");
    }
    if (start + many > INT32_MAX) {
        return value__out_of_range(eval, "integer");
    }
    int64_t before = start - 1 < size ? start - 1 : size;
    int64_t after = start - 1 + many;
    after = after < 0 ? 0 : after > size ? size : after;
    uint8_t *bytes = arena_alloc_raw(eval->arena, (size_t)(before + args[1].size + size - after));
    memcpy(bytes, args[0].p, (size_t)before);
    memcpy(bytes + before, args[1].p, args[1].size);
    memcpy(bytes + before + args[1].size, args[0].p + after, (size_t)(size - after));
    *result = datum_bytes(bytes, (size_t)(before + args[1].size + size - after));
    return ERR_OK;
}

#define T  TYPE_TEXT
#define Y  TYPE_BYTEA
#define NA TYPE_NAME
#define I4 TYPE_INT4
#define I8 TYPE_INT8
#define S  FUNCTION_STRICT

static const struct function functions[] = {
    {"encode", 1946, T, 2, 2, S, {Y, T}, encode, NULL, NULL},
    {"decode", 1947, Y, 2, 2, S, {T, T}, decode, NULL, NULL},
    {"convert_from", 1714, T, 2, 2, S, {Y, NA}, convert_from, NULL, NULL},
    {"convert_to", 1717, Y, 2, 2, S, {T, NA}, convert_to, NULL, NULL},
    {"get_byte", 721, I4, 2, 2, S, {Y, I4}, get_byte, NULL, NULL},
    {"set_byte", 722, Y, 3, 3, S, {Y, I4, I4}, set_byte, NULL, NULL},
    {"get_bit", 723, I4, 2, 2, S, {Y, I8}, get_bit, NULL, NULL},
    {"set_bit", 724, Y, 3, 3, S, {Y, I8, I4}, set_bit, NULL, NULL},
    {"bit_count", 6163, I8, 1, 1, S, {Y}, bit_count, NULL, NULL},
    {"position", 2014, I4, 2, 2, S, {Y, Y}, byte_position, NULL, NULL},
    {"btrim", 2015, Y, 2, 2, S, {Y, Y}, byte_btrim, NULL, NULL},
    {"ltrim", 6195, Y, 2, 2, S, {Y, Y}, byte_ltrim, NULL, NULL},
    {"rtrim", 6196, Y, 2, 2, S, {Y, Y}, byte_rtrim, NULL, NULL},
    {"overlay", 749, Y, 3, 3, S, {Y, Y, I4}, byte_overlay, NULL, NULL},
    {"overlay", 752, Y, 4, 4, S, {Y, Y, I4, I4}, byte_overlay, NULL, NULL},
};

const struct function_rows bytes_rows = {ROWS(functions), NULL, 0, NULL, 0};
