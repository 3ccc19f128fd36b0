/* sql/value/text.c - strings, bytes, LIKE. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "sql/value/value_internal.h"

#define FN(name)          \
    static enum err name( \
        struct eval *eval, const struct datum *args, int count, struct datum *result)
#define TEXT_SIZE_MAX ((size_t)1 << 30)

static enum err
too_large(struct eval *eval)
{
    return diag_set(eval->diag, ERR_PROGRAM_LIMIT, "requested length too large");
}

/* ---- LIKE
 * ---------------------------------------------------------------------------------------- */

static size_t
character_size(struct slice text, size_t at)
{
    size_t end = at + 1;
    while (end < text.size && (text.data[end] & 0xC0) == 0x80) {
        end++;
    }
    return end - at;
}

static uint8_t
fold(uint8_t c, bool fold_case)
{
    return fold_case && c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* How many bytes of the pattern from here on mean only themselves. */
static size_t
literal_size(struct slice pattern, size_t from, uint8_t escape)
{
    size_t at = from;
    while (at < pattern.size && pattern.data[at] != '%' && pattern.data[at] != '_' &&
           (escape == 0 || pattern.data[at] != escape)) {
        at++;
    }
    return at - from;
}

/* The classic two-pointer match: on a mismatch go back to the last %, one character further; or, if
 * plain characters follow it, to where they come next. */
static bool
like_scan(struct slice text, struct slice pattern, uint8_t escape, bool fold_case, bool *unfinished)
{
    *unfinished = false; /* the escape character came, and nothing behind it */
    size_t t = 0;
    size_t p = 0;
    size_t star_p = SIZE_MAX;
    size_t star_t = 0;
    size_t literal = 0; /* bytes behind the last % */
    while (t < text.size) {
        bool matched = false;
        if (p < pattern.size && pattern.data[p] == '%' && pattern.data[p] != escape) {
            star_p = ++p;
            star_t = t;
            literal = fold_case ? 0 : literal_size(pattern, p, escape);
            if (p == pattern.size) {
                return true;
            }
        }
        if (p == star_p && literal > 0) {
            const uint8_t *found = memmem(text.data + t, text.size - t, pattern.data + p, literal);
            if (found == NULL) {
                return false;
            }
            star_t = (size_t)(found - text.data);
            t = star_t + literal;
            p += literal;
            continue;
        }
        if (p < pattern.size && pattern.data[p] == '%' && pattern.data[p] != escape) {
            continue;
        }
        if (p < pattern.size && pattern.data[p] == '_' && pattern.data[p] != escape) {
            t += character_size(text, t);
            p++;
            matched = true;
        } else if (p < pattern.size) {
            size_t at = p;
            if (escape != 0 && pattern.data[at] == escape && ++at == pattern.size) {
                *unfinished = true;
                return false;
            }
            if (fold(pattern.data[at], fold_case) == fold(text.data[t], fold_case)) {
                p = at + 1;
                t++;
                matched = true;
            }
        }
        if (!matched) {
            if (star_p == SIZE_MAX) {
                return false;
            }
            p = star_p;
            star_t += character_size(text, star_t);
            t = star_t;
        }
    }
    while (p < pattern.size && pattern.data[p] == '%') {
        p++;
    }
    return p == pattern.size;
}

static enum err
like(struct eval *eval, const struct datum *args, int count, bool fold_case, bool negate,
    struct datum *result)
{
    uint8_t escape = '\\';
    if (count > 2) {
        if (utf8_length(datum_slice(args[2])) > 1) {
            return diag_set(eval->diag, ERR_INVALID_ESCAPE_SEQUENCE, "invalid escape string");
        }
        escape = args[2].size == 0 ? 0 : args[2].p[0];
    }
    bool unfinished = false;
    bool matched =
        like_scan(datum_slice(args[0]), datum_slice(args[1]), escape, fold_case, &unfinished);
    *result = datum_bool(matched != negate);
    return unfinished ? diag_set(eval->diag, ERR_INVALID_ESCAPE_SEQUENCE,
                            "LIKE pattern must not end with escape character")
                      : ERR_OK;
}

FN(text_like)
{
    return like(eval, args, count, false, false, result);
}
FN(text_not_like)
{
    return like(eval, args, count, false, true, result);
}
FN(text_ilike)
{
    return like(eval, args, count, true, false, result);
}
FN(text_not_ilike)
{
    return like(eval, args, count, true, true, result);
}

/* ---- pieces
 * ---------------------------------------------------------------------------------------------- */

FN(text_concat)
{
    UNUSED_COUNT;
    size_t size = (size_t)args[0].size + args[1].size;
    if (size > TEXT_SIZE_MAX) {
        return too_large(eval);
    }
    uint8_t *bytes = arena_alloc_raw(eval->arena, size);
    memcpy(bytes, args[0].p, args[0].size);
    memcpy(bytes + args[0].size, args[1].p, args[1].size);
    *result = datum_bytes(bytes, size);
    return ERR_OK;
}

FN(char_length)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_int((int64_t)utf8_length(datum_slice(args[0])));
    return ERR_OK;
}

FN(bpchar_length)
{
    (void)eval;
    UNUSED_COUNT;
    struct slice text = datum_slice(args[0]);
    while (text.size > 0 && text.data[text.size - 1] == ' ') {
        text.size--;
    }
    *result = datum_int((int64_t)utf8_length(text));
    return ERR_OK;
}

FN(octet_length)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_int(args[0].size);
    return ERR_OK;
}

FN(bit_length)
{
    (void)eval;
    UNUSED_COUNT;
    *result = datum_int((int64_t)args[0].size * 8);
    return ERR_OK;
}

static struct datum
map_ascii(struct eval *eval, struct datum value, uint8_t low, uint8_t high, int shift)
{
    uint8_t *bytes = arena_alloc_raw(eval->arena, value.size);
    for (uint32_t i = 0; i < value.size; i++) {
        uint8_t c = value.p[i];
        bytes[i] = c >= low && c <= high ? (uint8_t)(c + shift) : c;
    }
    return datum_bytes(bytes, value.size);
}

FN(text_upper)
{
    UNUSED_COUNT;
    *result = map_ascii(eval, args[0], 'a', 'z', -32);
    return ERR_OK;
}

FN(text_lower)
{
    UNUSED_COUNT;
    *result = map_ascii(eval, args[0], 'A', 'Z', 32);
    return ERR_OK;
}

FN(text_initcap)
{
    UNUSED_COUNT;
    struct datum lower = map_ascii(eval, args[0], 'A', 'Z', 32);
    uint8_t *bytes = arena_copy(eval->arena, lower.p, lower.size);
    bool inside = false;
    for (uint32_t i = 0; i < lower.size; i++) {
        uint8_t c = bytes[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!inside && c >= 'a' && c <= 'z') {
            bytes[i] = (uint8_t)(c - 32);
        }
        inside = letter;
    }
    *result = datum_bytes(bytes, lower.size);
    return ERR_OK;
}

/* substring(text, from [, for]); characters count from 1, and may begin before it. */
static enum err
substring_of(
    struct eval *eval, const struct datum *args, int count, bool bytes, struct datum *result)
{
    struct slice text = datum_slice(args[0]);
    int64_t start = args[1].i;
    int64_t end = INT64_MAX;
    if (count > 2) {
        if (args[2].i < 0) {
            return diag_set(eval->diag, ERR_SUBSTRING, "negative substring length not allowed");
        }
        end = start + args[2].i;
    }
    int64_t first = start < 1 ? 1 : start;
    if (end <= first) {
        *result = datum_bytes("", 0);
        return ERR_OK;
    }
    size_t from = (size_t)(first - 1);
    size_t many = end == INT64_MAX ? SIZE_MAX : (size_t)(end - first);
    size_t at = bytes ? (from < text.size ? from : text.size) : utf8_offset(text, from);
    struct slice rest = slice_of(text.data + at, text.size - at);
    size_t size = bytes ? (many < rest.size ? many : rest.size) : utf8_offset(rest, many);
    *result = datum_bytes(rest.data, size);
    return ERR_OK;
}

FN(text_substring)
{
    return substring_of(eval, args, count, false, result);
}
FN(bytea_substring)
{
    return substring_of(eval, args, count, true, result);
}

FN(text_left)
{
    (void)eval;
    UNUSED_COUNT;
    struct slice text = datum_slice(args[0]);
    int64_t n = args[1].i;
    n = n < 0 ? (int64_t)utf8_length(text) + n : n;
    *result = datum_bytes(text.data, n <= 0 ? 0 : utf8_offset(text, (size_t)n));
    return ERR_OK;
}

FN(text_right)
{
    (void)eval;
    UNUSED_COUNT;
    struct slice text = datum_slice(args[0]);
    int64_t length = (int64_t)utf8_length(text);
    int64_t skip = args[1].i < 0 ? -args[1].i : length - args[1].i;
    size_t at = skip <= 0 ? 0 : utf8_offset(text, (size_t)skip);
    *result = datum_bytes(text.data + at, text.size - at);
    return ERR_OK;
}

/* In windows that grow: who replaces each byte of a long text asks very often, and memmem may look
 * at all it is given (with AddressSanitizer it does). */
static const uint8_t *
find_bytes(struct slice text, struct slice what)
{
    if (what.size == 0) {
        return text.data;
    }
    for (size_t window = 1024 + what.size; text.size > window; window *= 2) {
        const uint8_t *found = memmem(text.data, window, what.data, what.size);
        if (found != NULL) {
            return found;
        }
        text.data += window - what.size + 1;
        text.size -= window - what.size + 1;
    }
    return text.size == 0 ? NULL : memmem(text.data, text.size, what.data, what.size);
}

FN(text_position)
{
    (void)eval;
    UNUSED_COUNT;
    struct slice text = datum_slice(args[0]);
    const uint8_t *at = find_bytes(text, datum_slice(args[1]));
    *result = datum_int(
        at == NULL ? 0 : (int64_t)utf8_length(slice_of(text.data, (size_t)(at - text.data))) + 1);
    return ERR_OK;
}

static bool
in_set(struct slice set, struct slice text, size_t at, size_t size)
{
    for (size_t i = 0; i < set.size; i += character_size(set, i)) {
        if (character_size(set, i) == size && memcmp(set.data + i, text.data + at, size) == 0) {
            return true;
        }
    }
    return false;
}

static enum err
trim(const struct datum *args, int count, bool left, bool right, struct datum *result)
{
    struct slice text = datum_slice(args[0]);
    struct slice set = count > 1 ? datum_slice(args[1]) : slice_of(" ", 1);
    while (left && text.size > 0) {
        size_t size = character_size(text, 0);
        if (!in_set(set, text, 0, size)) {
            break;
        }
        text.data += size;
        text.size -= size;
    }
    while (right && text.size > 0) {
        size_t at = text.size - 1;
        while (at > 0 && (text.data[at] & 0xC0) == 0x80) {
            at--;
        }
        if (!in_set(set, text, at, text.size - at)) {
            break;
        }
        text.size = at;
    }
    *result = datum_bytes(text.data, text.size);
    return ERR_OK;
}

FN(text_btrim)
{
    (void)eval;
    return trim(args, count, true, true, result);
}
FN(text_ltrim)
{
    (void)eval;
    return trim(args, count, true, false, result);
}
FN(text_rtrim)
{
    (void)eval;
    return trim(args, count, false, true, result);
}

/* The unit again and again, cut at `size`. Each copy doubles what there is. */
static void
fill_with(uint8_t *to, size_t size, struct slice unit)
{
    size_t done = unit.size < size ? unit.size : size;
    memcpy(to, unit.data, done);
    while (done < size) {
        size_t part = done < size - done ? done : size - done;
        memcpy(to + done, to, part);
        done += part;
    }
}

static enum err
pad(struct eval *eval, const struct datum *args, int count, bool left, struct datum *result)
{
    struct slice text = datum_slice(args[0]);
    struct slice fill = count > 2 ? datum_slice(args[2]) : slice_of(" ", 1);
    int64_t want = args[1].i < 0 ? 0 : args[1].i;
    if ((size_t)want > TEXT_SIZE_MAX / 4) {
        return too_large(eval);
    }
    size_t length = utf8_length(text);
    if (length >= (size_t)want || fill.size == 0) {
        *result = datum_bytes(
            text.data, length >= (size_t)want ? utf8_offset(text, (size_t)want) : text.size);
        return ERR_OK;
    }
    size_t missing = (size_t)want - length;
    size_t fill_length = utf8_length(fill);
    size_t fill_size = missing / fill_length * fill.size + utf8_offset(fill, missing % fill_length);
    uint8_t *bytes = arena_alloc_raw(eval->arena, fill_size + text.size);
    memcpy(left ? bytes + fill_size : bytes, text.data, text.size);
    fill_with(left ? bytes : bytes + text.size, fill_size, fill);
    *result = datum_bytes(bytes, fill_size + text.size);
    return ERR_OK;
}

FN(text_lpad)
{
    return pad(eval, args, count, true, result);
}
FN(text_rpad)
{
    return pad(eval, args, count, false, result);
}

FN(text_replace)
{
    UNUSED_COUNT;
    struct slice text = datum_slice(args[0]);
    struct slice from = datum_slice(args[1]);
    if (from.size == 0) {
        *result = args[0];
        return ERR_OK;
    }
    struct buffer out = {0};
    const uint8_t *at = NULL;
    while ((at = find_bytes(text, from)) != NULL) {
        size_t before = (size_t)(at - text.data);
        buffer_add(&out, text.data, before);
        buffer_add(&out, args[2].p, args[2].size);
        text.data += before + from.size;
        text.size -= before + from.size;
        if (out.size > TEXT_SIZE_MAX) {
            buffer_destroy(&out);
            return too_large(eval);
        }
    }
    buffer_add(&out, text.data, text.size);
    *result = value__bytes(eval, out.data, out.size);
    buffer_destroy(&out);
    return ERR_OK;
}

FN(text_repeat)
{
    UNUSED_COUNT;
    size_t times = args[1].i < 0 ? 0 : (size_t)args[1].i;
    if (args[0].size > 0 && times > TEXT_SIZE_MAX / args[0].size) {
        return too_large(eval);
    }
    uint8_t *bytes = arena_alloc_raw(eval->arena, times * args[0].size);
    if (args[0].size > 0) {
        fill_with(bytes, times * args[0].size, datum_slice(args[0]));
    }
    *result = datum_bytes(bytes, times * args[0].size);
    return ERR_OK;
}

FN(text_reverse)
{
    UNUSED_COUNT;
    struct slice text = datum_slice(args[0]);
    uint8_t *bytes = arena_alloc_raw(eval->arena, text.size);
    size_t at = 0;
    while (at < text.size) {
        size_t size = character_size(text, at);
        memcpy(bytes + text.size - at - size, text.data + at, size);
        at += size;
    }
    *result = datum_bytes(bytes, text.size);
    return ERR_OK;
}

FN(text_split_part)
{
    UNUSED_COUNT;
    struct slice text = datum_slice(args[0]);
    struct slice by = datum_slice(args[1]);
    int64_t n = args[2].i;
    if (n == 0) {
        return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE, "field position must not be zero");
    }
    int64_t fields = 1;
    struct slice rest = text;
    const uint8_t *at = NULL;
    while (by.size > 0 && (at = find_bytes(rest, by)) != NULL) {
        fields++;
        size_t skip = (size_t)(at - rest.data) + by.size;
        rest = slice_of(rest.data + skip, rest.size - skip);
    }
    n = n < 0 ? fields + n + 1 : n;
    *result = datum_bytes("", 0);
    rest = text;
    for (int64_t i = 1; i <= fields && n >= 1; i++) {
        at = by.size > 0 ? find_bytes(rest, by) : NULL;
        size_t size = at == NULL ? rest.size : (size_t)(at - rest.data);
        if (i == n) {
            *result = datum_bytes(rest.data, size);
            break;
        }
        size_t skip = at == NULL ? rest.size : size + by.size;
        rest = slice_of(rest.data + skip, rest.size - skip);
    }
    return ERR_OK;
}

FN(text_strpos_starts)
{
    (void)eval;
    UNUSED_COUNT;
    *result =
        datum_bool(args[0].size >= args[1].size && memcmp(args[0].p, args[1].p, args[1].size) == 0);
    return ERR_OK;
}

FN(text_ascii)
{
    (void)eval;
    UNUSED_COUNT;
    const uint8_t *p = args[0].p;
    int64_t code = 0;
    if (args[0].size > 0) {
        code = p[0];
        size_t size = character_size(datum_slice(args[0]), 0);
        if (size > 1) {
            code = p[0] & (0xFF >> (size + 1));
            for (size_t i = 1; i < size; i++) {
                code = code << 6 | (p[i] & 0x3F);
            }
        }
    }
    *result = datum_int(code);
    return ERR_OK;
}

FN(text_chr)
{
    UNUSED_COUNT;
    int64_t code = args[0].i;
    if (code == 0) {
        return diag_set(eval->diag, ERR_PROGRAM_LIMIT, "null character not permitted");
    }
    if (code < 0) {
        return diag_set(
            eval->diag, ERR_INVALID_PARAMETER_VALUE, "character number must be positive");
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        return diag_set(eval->diag, ERR_PROGRAM_LIMIT, "requested character %s for encoding: %lld",
            code > 0x10FFFF ? "too large" : "not valid", (long long)code);
    }
    uint8_t bytes[4];
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (size == 1) {
        bytes[0] = (uint8_t)code;
    } else {
        for (size_t i = size - 1; i > 0; i--) {
            bytes[i] = (uint8_t)(0x80 | (code & 0x3F));
            code >>= 6;
        }
        bytes[0] = (uint8_t)((0xF00 >> size & 0xFF) | code);
    }
    *result = value__bytes(eval, bytes, size);
    return ERR_OK;
}

FN(text_translate)
{
    UNUSED_COUNT;
    struct slice text = datum_slice(args[0]);
    struct slice from = datum_slice(args[1]);
    struct slice to = datum_slice(args[2]);
    struct buffer out = {0};
    for (size_t at = 0; at < text.size; at += character_size(text, at)) {
        size_t size = character_size(text, at);
        size_t position = 0;
        size_t i = 0;
        bool found = false;
        for (; i < from.size && !found; i += character_size(from, i), position++) {
            if (character_size(from, i) == size &&
                memcmp(from.data + i, text.data + at, size) == 0) {
                found = true;
                break;
            }
        }
        if (!found) {
            buffer_add(&out, text.data + at, size);
        } else {
            size_t place = utf8_offset(to, position);
            if (place < to.size) {
                buffer_add(&out, to.data + place, character_size(to, place));
            }
        }
    }
    *result = value__bytes(eval, out.data, out.size);
    buffer_destroy(&out);
    return ERR_OK;
}

FN(to_hex)
{
    UNUSED_COUNT;
    char text[32];
    (void)snprintf(text, sizeof text, "%llx", (unsigned long long)args[0].i);
    *result = value__text(eval, text);
    return ERR_OK;
}

FN(to_hex4)
{
    UNUSED_COUNT;
    char text[32];
    (void)snprintf(text, sizeof text, "%x", (unsigned)args[0].i);
    *result = value__text(eval, text);
    return ERR_OK;
}

FN(quote_ident)
{
    UNUSED_COUNT;
    *result =
        value__text(eval, parser_quote_ident(eval->arena,
                              arena_strndup(eval->arena, (const char *)args[0].p, args[0].size)));
    return ERR_OK;
}

FN(quote_literal)
{
    UNUSED_COUNT;
    if (args[0].null) {
        *result = value__text(eval, "NULL");
        return ERR_OK;
    }
    const char *quoted = parser_quote_literal(eval->arena, (const char *)args[0].p, args[0].size);
    *result = value__text(eval, quoted[0] == ' ' ? quoted + 1 : quoted);
    return ERR_OK;
}

FN(text_overlay)
{
    struct slice text = datum_slice(args[0]);
    int64_t start = args[2].i;
    int64_t many = count > 3 ? args[3].i : (int64_t)utf8_length(datum_slice(args[1]));
    if (start <= 0) {
        return diag_set(eval->diag, ERR_SUBSTRING, "negative substring length not allowed");
    }
    if (start + many > INT32_MAX) {
        return value__out_of_range(eval, "integer");
    }
    size_t before = utf8_offset(text, (size_t)(start - 1));
    int64_t skip = start - 1 + many;
    size_t after = skip <= 0 ? 0 : utf8_offset(text, (size_t)skip);
    struct buffer out = {0};
    buffer_add(&out, text.data, before);
    buffer_add(&out, args[1].p, args[1].size);
    buffer_add(&out, text.data + after, text.size - after);
    *result = value__bytes(eval, out.data, out.size);
    buffer_destroy(&out);
    return ERR_OK;
}

FN(bpchar_to_text)
{
    (void)eval;
    UNUSED_COUNT;
    uint32_t size = args[0].size;
    while (size > 0 && args[0].p[size - 1] == ' ') {
        size--;
    }
    *result = datum_bytes(args[0].p, size);
    return ERR_OK;
}

/* Cut to 63 bytes, at a character. */
FN(text_to_name)
{
    (void)eval;
    UNUSED_COUNT;
    uint32_t size = args[0].size;
    if (size > 63) {
        for (size = 63; size > 0 && (args[0].p[size] & 0xC0) == 0x80; size--) {
        }
    }
    *result = datum_bytes(args[0].p, size);
    return ERR_OK;
}

FN(bool_to_text)
{
    UNUSED_COUNT;
    *result = value__text(eval, args[0].i != 0 ? "true" : "false");
    return ERR_OK;
}

FN(char_to_text)
{
    UNUSED_COUNT;
    uint8_t c = (uint8_t)args[0].i;
    *result = value__bytes(eval, &c, c == 0 ? 0 : 1);
    return ERR_OK;
}

#define T  TYPE_TEXT
#define I4 TYPE_INT4
#define S  FUNCTION_STRICT
#define ONE(name, result, arg, call)                      \
    {                                                     \
        name, 0, result, 1, 1, S, {arg}, call, NULL, NULL \
    }
#define TWO(name, result, a, b, call)                      \
    {                                                      \
        name, 0, result, 2, 2, S, {a, b}, call, NULL, NULL \
    }

static const struct function functions[] = {
    ONE("length", I4, T, char_length),
    ONE("length", I4, TYPE_BPCHAR, bpchar_length),
    ONE("length", I4, TYPE_BYTEA, octet_length),
    ONE("char_length", I4, T, char_length),
    ONE("char_length", I4, TYPE_BPCHAR, bpchar_length),
    ONE("character_length", I4, T, char_length),
    ONE("octet_length", I4, T, octet_length),
    ONE("octet_length", I4, TYPE_BPCHAR, octet_length),
    ONE("octet_length", I4, TYPE_BYTEA, octet_length),
    ONE("bit_length", I4, T, bit_length),
    ONE("upper", T, T, text_upper),
    ONE("lower", T, T, text_lower),
    ONE("initcap", T, T, text_initcap),
    TWO("substring", T, T, I4, text_substring),
    {"substring", 0, T, 3, 3, S, {T, I4, I4}, text_substring, NULL, NULL},
    TWO("substr", T, T, I4, text_substring),
    {"substr", 0, T, 3, 3, S, {T, I4, I4}, text_substring, NULL, NULL},
    TWO("substring", TYPE_BYTEA, TYPE_BYTEA, I4, bytea_substring),
    TWO("substr", TYPE_BYTEA, TYPE_BYTEA, I4, bytea_substring),
    {"substr", 0, TYPE_BYTEA, 3, 3, S, {TYPE_BYTEA, I4, I4}, bytea_substring, NULL, NULL},
    {"substring", 0, TYPE_BYTEA, 3, 3, S, {TYPE_BYTEA, I4, I4}, bytea_substring, NULL, NULL},
    TWO("left", T, T, I4, text_left),
    TWO("right", T, T, I4, text_right),
    TWO("position", I4, T, T, text_position),
    TWO("strpos", I4, T, T, text_position),
    ONE("btrim", T, T, text_btrim),
    TWO("btrim", T, T, T, text_btrim),
    ONE("ltrim", T, T, text_ltrim),
    TWO("ltrim", T, T, T, text_ltrim),
    ONE("rtrim", T, T, text_rtrim),
    TWO("rtrim", T, T, T, text_rtrim),
    TWO("lpad", T, T, I4, text_lpad),
    {"lpad", 0, T, 3, 3, S, {T, I4, T}, text_lpad, NULL, NULL},
    TWO("rpad", T, T, I4, text_rpad),
    {"rpad", 0, T, 3, 3, S, {T, I4, T}, text_rpad, NULL, NULL},
    {"replace", 0, T, 3, 3, S, {T, T, T}, text_replace, NULL, NULL},
    TWO("repeat", T, T, I4, text_repeat),
    ONE("reverse", T, T, text_reverse),
    {"split_part", 0, T, 3, 3, S, {T, T, I4}, text_split_part, NULL, NULL},
    TWO("starts_with", TYPE_BOOL, T, T, text_strpos_starts),
    ONE("ascii", I4, T, text_ascii),
    ONE("chr", T, I4, text_chr),
    {"translate", 0, T, 3, 3, S, {T, T, T}, text_translate, NULL, NULL},
    ONE("to_hex", T, TYPE_INT8, to_hex),
    ONE("to_hex", T, I4, to_hex4),
    ONE("quote_ident", T, T, quote_ident),
    ONE("quote_literal", T, T, quote_literal),
    {"quote_nullable", 0, T, 1, 1, 0, {T}, quote_literal, NULL, NULL},
    {"overlay", 0, T, 3, 3, S, {T, T, I4}, text_overlay, NULL, NULL},
    {"overlay", 0, T, 4, 4, S, {T, T, I4, I4}, text_overlay, NULL, NULL},
    TWO("like", TYPE_BOOL, T, T, text_like),
    TWO("notlike", TYPE_BOOL, T, T, text_not_like),
    /* LIKE .. ESCAPE: bind calls these. */
    {"like_escape", 0, TYPE_BOOL, 3, 3, S, {T, T, T}, text_like, NULL, NULL},
    {"ilike_escape", 0, TYPE_BOOL, 3, 3, S, {T, T, T}, text_ilike, NULL, NULL},
};

static const struct operator_row operators[] = {
    {"||", "textcat", T, T, T, text_concat, NULL, NULL, 0},
    {"||", "byteacat", TYPE_BYTEA, TYPE_BYTEA, TYPE_BYTEA, text_concat, NULL, NULL, 0},
    {"~~", "textlike", T, T, TYPE_BOOL, text_like, NULL, "!~~", 0},
    {"!~~", "textnlike", T, T, TYPE_BOOL, text_not_like, NULL, "~~", 0},
    {"~~*", "texticlike", T, T, TYPE_BOOL, text_ilike, NULL, "!~~*", 0},
    {"!~~*", "texticnlike", T, T, TYPE_BOOL, text_not_ilike, NULL, "~~*", 0},
    {"~~", "bpcharlike", TYPE_BPCHAR, T, TYPE_BOOL, text_like, NULL, "!~~", 0},
    {"!~~", "bpcharnlike", TYPE_BPCHAR, T, TYPE_BOOL, text_not_like, NULL, "~~", 0},
    {"^@", "starts_with_op", T, T, TYPE_BOOL, text_strpos_starts, NULL, NULL, 0},
};

static const struct cast_row casts[] = {
    {TYPE_VARCHAR, T, CAST_IMPLICIT, NULL},
    {T, TYPE_VARCHAR, CAST_IMPLICIT, NULL},
    {T, TYPE_BPCHAR, CAST_IMPLICIT, NULL},
    {TYPE_VARCHAR, TYPE_BPCHAR, CAST_IMPLICIT, NULL},
    {TYPE_BPCHAR, T, CAST_IMPLICIT, bpchar_to_text},
    {TYPE_BPCHAR, TYPE_VARCHAR, CAST_IMPLICIT, bpchar_to_text},
    {TYPE_NAME, T, CAST_IMPLICIT, NULL},
    {TYPE_NAME, TYPE_VARCHAR, CAST_ASSIGNMENT, NULL},
    {T, TYPE_NAME, CAST_IMPLICIT, text_to_name},
    {TYPE_VARCHAR, TYPE_NAME, CAST_IMPLICIT, text_to_name},
    {TYPE_CHAR, T, CAST_IMPLICIT, char_to_text},
    {TYPE_BOOL, T, CAST_ASSIGNMENT, bool_to_text},
    {TYPE_BOOL, TYPE_VARCHAR, CAST_ASSIGNMENT, bool_to_text},
    {TYPE_BOOL, TYPE_BPCHAR, CAST_ASSIGNMENT, bool_to_text},
};

const struct function_rows text_rows = {ROWS(functions), ROWS(operators), ROWS(casts)};
