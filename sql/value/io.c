/* sql/value/io.c - values from and to text and the wire's binary forms. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "parser/scanner.h"
#include "sql/value/array.h"
#include "sql/value/datetime_internal.h"
#include "sql/value/json.h"
#include "sql/value/network.h"
#include "sql/value/record.h"
#include "sql/value/reg.h"

enum err
value__invalid(struct eval *eval, const char *type, struct slice text)
{
    return diag_set(eval->diag, ERR_INVALID_TEXT, "invalid input syntax for type %s: \"%.*s\"",
        type, (int)(text.size > 200 ? 200 : text.size), (const char *)text.data);
}

enum err
value__out_of_range(struct eval *eval, const char *type)
{
    return diag_set(eval->diag, ERR_NUMERIC_RANGE, "%s out of range", type);
}

struct datum
value__bytes(struct eval *eval, const void *bytes, size_t size)
{
    return datum_bytes(arena_copy(eval->arena, bytes, size), size);
}

struct datum
value__text(struct eval *eval, const char *text)
{
    return value__bytes(eval, text, strlen(text));
}

static bool
is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct slice
value__trim(struct slice text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

size_t
utf8_length(struct slice text)
{
    size_t inner = 0; /* bytes 10xxxxxx: they begin no character */
    size_t i = 0;
    for (; i + 8 <= text.size; i += 8) {
        uint64_t bytes = load_le64(text.data + i);
        inner += (size_t)__builtin_popcountll((bytes >> 7) & (~bytes >> 6) & 0x0101010101010101ULL);
    }
    for (; i < text.size; i++) {
        inner += (text.data[i] & 0xC0) == 0x80;
    }
    return text.size - inner;
}

size_t
utf8_offset(struct slice text, size_t characters)
{
    size_t at = 0;
    while (at < text.size && characters > 0) {
        at++;
        while (at < text.size && (text.data[at] & 0xC0) == 0x80) {
            at++;
        }
        characters--;
    }
    return at;
}

/* ---- integers, booleans ------------------------------------------------------------------ */

static enum err
integer_input(struct eval *eval, const char *type, int64_t min, int64_t max, struct slice text,
    int64_t *value)
{
    struct slice digits = value__trim(text);
    bool negative = false;
    size_t at = 0;
    if (at < digits.size && (digits.data[at] == '-' || digits.data[at] == '+')) {
        negative = digits.data[at++] == '-';
    }
    if (at == digits.size) {
        return value__invalid(eval, type, text);
    }
    uint64_t limit = negative ? 0 - (uint64_t)min : (uint64_t)max;
    uint64_t number = 0;
    for (; at < digits.size; at++) {
        unsigned digit = (unsigned)digits.data[at] - '0';
        if (digit > 9) {
            return value__invalid(eval, type, text);
        }
        if (number > (limit - digit) / 10) {
            /* Junk later in the text is a syntax error first. */
            for (size_t i = at; i < digits.size; i++) {
                if ((unsigned)digits.data[i] - '0' > 9) {
                    return value__invalid(eval, type, text);
                }
            }
            return diag_set(eval->diag, ERR_NUMERIC_RANGE,
                "value \"%.*s\" is out of range for type %s",
                (int)(text.size > 200 ? 200 : text.size), (const char *)text.data, type);
        }
        number = number * 10 + digit;
    }
    *value = (int64_t)(negative ? 0 - number : number);
    return ERR_OK;
}

static enum err
bool_input(struct eval *eval, struct slice text, struct datum *value)
{
    static const struct {
        const char *word;
        size_t least; /* shortest abbreviation */
        bool value;
    } words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
        {"on", 2, true}, {"off", 2, false}, {"1", 1, true}, {"0", 1, false}};
    struct slice word = value__trim(text);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (word.size >= words[i].least && word.size <= strlen(words[i].word) &&
            strncasecmp((const char *)word.data, words[i].word, word.size) == 0) {
            *value = datum_bool(words[i].value);
            return ERR_OK;
        }
    }
    return value__invalid(eval, "boolean", text);
}

/* ---- floats
 * ---------------------------------------------------------------------------------------- */

enum err
float__input(struct eval *eval, bool single, struct slice text, double *value)
{
    const char *type = single ? "real" : "double precision";
    struct slice number = value__trim(text);
    char memory[512];
    if (number.size == 0 || number.size >= sizeof memory) {
        return value__invalid(eval, type, text);
    }
    memcpy(memory, number.data, number.size);
    memory[number.size] = '\0';
    /* strtod takes hexadecimal and nan(..) too; PostgreSQL takes the former, not the latter. */
    char *end = NULL;
    double result = single ? (double)strtof(memory, &end) : strtod(memory, &end);
    if (end == memory || *end != '\0' || strchr(memory, '(') != NULL) {
        return value__invalid(eval, type, text);
    }
    bool written_infinite = strcasestr(memory, "inf") != NULL;
    bool has_digit = strpbrk(memory, "123456789") != NULL;
    if ((isinf(result) && !written_infinite) ||
        (result == 0 && has_digit && strcspn(memory, "123456789") < strcspn(memory, "eE"))) {
        return diag_set(
            eval->diag, ERR_NUMERIC_RANGE, "\"%s\" is out of range for type %s", memory, type);
    }
    *value = result;
    return ERR_OK;
}

/* ---- strings
 * -------------------------------------------------------------------------------------------- */

/* Cut or refuse what is longer than n characters; only blanks may be cut silently. */
static enum err
fit_length(struct eval *eval, const char *type, int32_t typmod, bool cut, struct slice *text)
{
    if (typmod < 4 || text->size <= (size_t)typmod - 4) {
        return ERR_OK;
    }
    size_t most = (size_t)typmod - 4;
    size_t end = utf8_offset(*text, most);
    for (size_t i = end; !cut && i < text->size; i++) {
        if (text->data[i] != ' ') {
            return diag_set(
                eval->diag, ERR_STRING_TRUNCATION, "value too long for type %s(%zu)", type, most);
        }
    }
    text->size = end;
    return ERR_OK;
}

static enum err
bpchar_make(struct eval *eval, int32_t typmod, bool cut, struct slice text, struct datum *value)
{
    TRY(fit_length(eval, "character", typmod, cut, &text));
    size_t length = typmod < 4 ? 0 : utf8_length(text);
    size_t pad = typmod < 4 || length >= (size_t)typmod - 4 ? 0 : (size_t)typmod - 4 - length;
    uint8_t *bytes = arena_alloc_raw(eval->arena, text.size + pad);
    if (text.size > 0) {
        memcpy(bytes, text.data, text.size);
    }
    memset(bytes + text.size, ' ', pad);
    *value = datum_bytes(bytes, text.size + pad);
    return ERR_OK;
}

static int
hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static enum err
bytea_input(struct eval *eval, struct slice text, struct datum *value)
{
    uint8_t *bytes = arena_alloc_raw(eval->arena, text.size);
    size_t size = 0;
    if (text.size >= 2 && text.data[0] == '\\' && text.data[1] == 'x') {
        size_t at = 2;
        while (at < text.size) {
            if (is_blank(text.data[at])) {
                at++;
                continue;
            }
            int high = hex_digit(text.data[at]);
            if (high < 0) {
                return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                    "invalid hexadecimal digit: \"%c\"", text.data[at]);
            }
            if (at + 1 >= text.size) {
                return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                    "invalid hexadecimal data: odd number of digits");
            }
            int low = hex_digit(text.data[at + 1]);
            if (low < 0) {
                return diag_set(eval->diag, ERR_INVALID_PARAMETER_VALUE,
                    "invalid hexadecimal digit: \"%c\"", text.data[at + 1]);
            }
            bytes[size++] = (uint8_t)(high << 4 | low);
            at += 2;
        }
    } else {
        for (size_t at = 0; at < text.size; at++) {
            const uint8_t *c = text.data + at;
            if (*c != '\\') {
                bytes[size++] = *c;
            } else if (at + 1 < text.size && c[1] == '\\') {
                bytes[size++] = '\\';
                at++;
            } else if (at + 3 < text.size && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' &&
                       c[2] <= '7' && c[3] >= '0' && c[3] <= '7') {
                bytes[size++] = (uint8_t)((c[1] - '0') << 6 | (c[2] - '0') << 3 | (c[3] - '0'));
                at += 3;
            } else {
                return diag_set(
                    eval->diag, ERR_INVALID_TEXT, "invalid input syntax for type bytea");
            }
        }
    }
    *value = datum_bytes(bytes, size);
    return ERR_OK;
}

static void
bytea_output(struct datum value, bool escape, struct buffer *to)
{
    static const char hex[] = "0123456789abcdef";
    if (!escape) {
        uint8_t *room = buffer_extend(to, 2 + 2 * (size_t)value.size);
        room[0] = '\\';
        room[1] = 'x';
        for (uint32_t i = 0; i < value.size; i++) {
            room[2 + 2 * i] = (uint8_t)hex[value.p[i] >> 4];
            room[3 + 2 * i] = (uint8_t)hex[value.p[i] & 15];
        }
        return;
    }
    for (uint32_t i = 0; i < value.size; i++) {
        if (value.p[i] == '\\') {
            buffer_add_text(to, "\\\\");
        } else if (value.p[i] < 32 || value.p[i] > 126) {
            buffer_printf(to, "\\%03o", value.p[i]);
        } else {
            buffer_add_u8(to, value.p[i]);
        }
    }
}

static enum err
uuid_input(struct eval *eval, struct slice text, struct datum *value)
{
    struct slice rest = text;
    bool braces = rest.size > 0 && rest.data[0] == '{';
    if (braces) {
        rest.data++;
        rest.size--;
    }
    uint8_t *bytes = arena_alloc_raw(eval->arena, 16);
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        int high = at + 1 < rest.size ? hex_digit(rest.data[at]) : -1;
        int low = at + 1 < rest.size ? hex_digit(rest.data[at + 1]) : -1;
        if (high < 0 || low < 0) {
            return value__invalid(eval, "uuid", text);
        }
        bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
        if (i % 2 == 1 && i < 15 && at < rest.size && rest.data[at] == '-') {
            at++;
        }
    }
    if (braces ? at + 1 != rest.size || rest.data[at] != '}' : at != rest.size) {
        return value__invalid(eval, "uuid", text);
    }
    *value = datum_bytes(bytes, 16);
    return ERR_OK;
}

static void
uuid_output(struct datum value, struct buffer *to)
{
    static const char hex[] = "0123456789abcdef";
    for (uint32_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            buffer_add_u8(to, '-');
        }
        buffer_add_u8(to, (uint8_t)hex[value.p[i] >> 4]);
        buffer_add_u8(to, (uint8_t)hex[value.p[i] & 15]);
    }
}

/* ---- the switchboards
 * --------------------------------------------------------------------------------------- */

enum err
type_input(struct eval *eval, oid_t type, int32_t typmod, struct slice text, struct datum *value)
{
    int64_t number = 0;
    *value = (struct datum){0};
    switch (type) {
    case TYPE_BOOL:
        return bool_input(eval, text, value);
    case TYPE_INT2:
        TRY(integer_input(eval, "smallint", INT16_MIN, INT16_MAX, text, &number));
        *value = datum_int(number);
        return ERR_OK;
    case TYPE_INT4:
        TRY(integer_input(eval, "integer", INT32_MIN, INT32_MAX, text, &number));
        *value = datum_int(number);
        return ERR_OK;
    case TYPE_INT8:
        TRY(integer_input(eval, "bigint", INT64_MIN, INT64_MAX, text, &number));
        *value = datum_int(number);
        return ERR_OK;
    case TYPE_OID:
        TRY(integer_input(eval, "oid", INT32_MIN, UINT32_MAX, text, &number));
        *value = datum_int((int64_t)(uint32_t)number);
        return ERR_OK;
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGPROC:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
    case TYPE_REGPROCEDURE:
    case TYPE_REGOPER:
    case TYPE_REGOPERATOR:
        return reg__input(eval, type, text, value);
    case TYPE_FLOAT4:
    case TYPE_FLOAT8: {
        double result = 0;
        TRY(float__input(eval, type == TYPE_FLOAT4, text, &result));
        *value = datum_float(result);
        return ERR_OK;
    }
    case TYPE_NUMERIC:
        return numeric__input(eval, typmod, text, value);
    case TYPE_TEXT:
    case TYPE_UNKNOWN:
        *value = value__bytes(eval, text.data, text.size);
        return ERR_OK;
    case TYPE_NAME:
        if (text.size > 63) {
            text.size = 63;
            while (text.size > 0 && (text.data[text.size] & 0xC0) == 0x80) {
                text.size--;
            }
        }
        *value = value__bytes(eval, text.data, text.size);
        return ERR_OK;
    case TYPE_VARCHAR:
        TRY(fit_length(eval, "character varying", typmod, false, &text));
        *value = value__bytes(eval, text.data, text.size);
        return ERR_OK;
    case TYPE_BPCHAR:
        return bpchar_make(eval, typmod, false, text, value);
    case TYPE_CHAR:
        *value = datum_int(text.size == 0 ? 0 : text.data[0]);
        if (text.size == 4 && text.data[0] == '\\' && text.data[1] >= '0' && text.data[1] <= '3' &&
            text.data[2] >= '0' && text.data[2] <= '7' && text.data[3] >= '0' &&
            text.data[3] <= '7') {
            *value = datum_int(
                (text.data[1] - '0') << 6 | (text.data[2] - '0') << 3 | (text.data[3] - '0'));
        }
        return ERR_OK;
    case TYPE_BYTEA:
        return bytea_input(eval, text, value);
    case TYPE_UUID:
        return uuid_input(eval, text, value);
    case TYPE_INET:
    case TYPE_CIDR:
        return network__input(eval, type, text, value);
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
    case TYPE_INTERVAL:
        return datetime__input(eval, type, typmod, text, value);
    case TYPE_JSON:
        return json__input(eval, text, value);
    case TYPE_JSONB:
        return jsonb__input(eval, text, value);
    default:
        if (type_element(type) != 0) {
            return array__input(eval, type, typmod, text, value);
        }
        if (type_is_enum(type) && value_catalog_hooks != NULL) {
            return value_catalog_hooks->enum_input(eval, type, text, value);
        }
        return diag_set(eval->diag, ERR_FEATURE_NOT_SUPPORTED, "cannot accept a value of type %s",
            type_by_oid(type) == NULL ? "?" : type_by_oid(type)->sql_name);
    }
}

void
type_output(const struct eval_env *env, oid_t type, struct datum value, struct buffer *to)
{
    ASSERT(!value.null);
    switch (type) {
    case TYPE_BOOL:
        buffer_add_u8(to, value.i != 0 ? 't' : 'f');
        return;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
        buffer_add_decimal(to, value.i);
        return;
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGPROC:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
    case TYPE_REGPROCEDURE:
    case TYPE_REGOPER:
    case TYPE_REGOPERATOR:
        reg__output(env, type, value, to);
        return;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        float__output(value.f, type == TYPE_FLOAT4, env == NULL ? 1 : env->extra_float_digits, to);
        return;
    case TYPE_NUMERIC:
        numeric__output(value, to);
        return;
    case TYPE_CHAR:
        if (value.i > 127) {
            buffer_printf(to, "\\%03o", (unsigned)value.i);
        } else if (value.i != 0) {
            buffer_add_u8(to, (uint8_t)value.i);
        }
        return;
    case TYPE_BYTEA:
        bytea_output(value, env != NULL && env->bytea_escape, to);
        return;
    case TYPE_UUID:
        uuid_output(value, to);
        return;
    case TYPE_INET:
    case TYPE_CIDR:
        network__output(type, value, to);
        return;
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
    case TYPE_INTERVAL:
        datetime__output(env, type, value, to);
        return;
    case TYPE_JSONB:
        jsonb__output(value, to);
        return;
    case TYPE_RECORD:
        record__output(env, value, to);
        return;
    case TYPE_VOID:
        return;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_NAME:
    case TYPE_UNKNOWN:
        buffer_add(to, value.p, value.size);
        return;
    default:
        if (type_element(type) != 0) {
            array__output(env, type, value, to);
            return;
        }
        if (type_is_enum(type)) {
            value_catalog_hooks->enum_output(env, type, value, to);
            return;
        }
        buffer_add(to, value.p, value.size);
    }
}

enum {
    JSONB_VERSION = 1, /* of the binary form: this byte, then text */
};

/* ---- binary ------------------------------------------------------------------------------ */

static enum err
check_size(struct eval *eval, oid_t type, struct slice bytes, size_t size)
{
    if (bytes.size == 0 && type == TYPE_BOOL) {
        return diag_set(eval->diag, ERR_PROTOCOL, "no data left in message");
    }
    return bytes.size == size ? ERR_OK
           : bytes.size < size
               ? diag_set(eval->diag, ERR_PROTOCOL, "insufficient data left in message")
               : diag_set(eval->diag, ERR_INVALID_BINARY,
                     "incorrect binary data format in bind parameter");
}

static enum err
receive_text(struct eval *eval, oid_t type, int32_t typmod, struct slice bytes, struct datum *value)
{
    size_t bad = utf8_invalid_at((const char *)bytes.data, bytes.size);
    if (bad < bytes.size) {
        return diag_set(eval->diag, ERR_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x%02x", bytes.data[bad]);
    }
    return type_input(eval, type, typmod, bytes, value);
}

enum err
type_receive(struct eval *eval, oid_t type, int32_t typmod, struct slice bytes, struct datum *value)
{
    *value = (struct datum){0};
    switch (type) {
    case TYPE_BOOL:
    case TYPE_CHAR:
        TRY(check_size(eval, type, bytes, 1));
        *value = datum_int(type == TYPE_BOOL ? bytes.data[0] != 0 : bytes.data[0]);
        return ERR_OK;
    case TYPE_INT2:
        TRY(check_size(eval, type, bytes, 2));
        *value = datum_int((int16_t)load_be16(bytes.data));
        return ERR_OK;
    case TYPE_INT4:
        TRY(check_size(eval, type, bytes, 4));
        *value = datum_int((int32_t)load_be32(bytes.data));
        return ERR_OK;
    case TYPE_DATE:
        TRY(check_size(eval, type, bytes, 4));
        *value = datum_int((int32_t)load_be32(bytes.data));
        return !date_finite(value->i) || date_valid(value->i)
                   ? ERR_OK
                   : diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "date out of range");
    case TYPE_OID:
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGPROC:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
    case TYPE_REGPROCEDURE:
    case TYPE_REGOPER:
    case TYPE_REGOPERATOR:
        TRY(check_size(eval, type, bytes, 4));
        *value = datum_int(load_be32(bytes.data));
        return ERR_OK;
    case TYPE_INT8:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        TRY(check_size(eval, type, bytes, 8));
        *value = datum_int((int64_t)load_be64(bytes.data));
        if (type == TYPE_TIME && (value->i < 0 || value->i > INT64_C(86400000000))) {
            return diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "time out of range");
        }
        if ((type == TYPE_TIMESTAMP || type == TYPE_TIMESTAMPTZ) && timestamp_finite(value->i) &&
            !timestamp_valid(value->i)) {
            return diag_set(eval->diag, ERR_DATETIME_OVERFLOW, "timestamp out of range");
        }
        return ERR_OK;
    case TYPE_FLOAT4: {
        TRY(check_size(eval, type, bytes, 4));
        uint32_t bits = load_be32(bytes.data);
        float f;
        memcpy(&f, &bits, sizeof f);
        *value = datum_float((double)f);
        return ERR_OK;
    }
    case TYPE_FLOAT8: {
        TRY(check_size(eval, type, bytes, 8));
        uint64_t bits = load_be64(bytes.data);
        memcpy(&value->f, &bits, sizeof bits);
        return ERR_OK;
    }
    case TYPE_NUMERIC:
        return numeric__receive(eval, typmod, bytes, value);
    case TYPE_INET:
    case TYPE_CIDR:
        return network__receive(eval, type, bytes, value);
    case TYPE_UUID:
        TRY(check_size(eval, type, bytes, 16));
        *value = value__bytes(eval, bytes.data, 16);
        return ERR_OK;
    case TYPE_INTERVAL: {
        TRY(check_size(eval, type, bytes, 16));
        uint8_t *own = arena_alloc_raw(eval->arena, 16);
        store_le64(own, load_be64(bytes.data));
        store_le32(own + 8, load_be32(bytes.data + 8));
        store_le32(own + 12, load_be32(bytes.data + 12));
        *value = datum_bytes(own, 16);
        return ERR_OK;
    }
    case TYPE_BYTEA:
        *value = value__bytes(eval, bytes.data, bytes.size);
        return ERR_OK;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_NAME:
        return receive_text(eval, type, typmod, bytes, value);
    case TYPE_JSONB:
        if (bytes.size == 0 || bytes.data[0] != JSONB_VERSION) {
            return diag_set(eval->diag, bytes.size == 0 ? ERR_PROTOCOL : ERR_INTERNAL,
                bytes.size == 0 ? "no data left in message" : "unsupported jsonb version number %d",
                bytes.size == 0 ? 0 : bytes.data[0]);
        }
        return receive_text(eval, type, typmod, slice_of(bytes.data + 1, bytes.size - 1), value);
    default:
        if (type_element(type) != 0) {
            return array__receive(eval, type, typmod, bytes, value);
        }
        return receive_text(eval, type, typmod, bytes, value);
    }
}

void
type_send(const struct eval_env *env, oid_t type, struct datum value, struct buffer *to)
{
    switch (type) {
    case TYPE_BOOL:
    case TYPE_CHAR:
        buffer_add_u8(to, (uint8_t)value.i);
        return;
    case TYPE_INT2:
        buffer_add_be16(to, (uint16_t)value.i);
        return;
    case TYPE_INT4:
    case TYPE_DATE:
    case TYPE_OID:
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGPROC:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
    case TYPE_REGPROCEDURE:
    case TYPE_REGOPER:
    case TYPE_REGOPERATOR:
        buffer_add_be32(to, (uint32_t)value.i);
        return;
    case TYPE_INT8:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        buffer_add_be64(to, (uint64_t)value.i);
        return;
    case TYPE_FLOAT4: {
        float f = (float)value.f;
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        buffer_add_be32(to, bits);
        return;
    }
    case TYPE_FLOAT8: {
        uint64_t bits;
        memcpy(&bits, &value.f, sizeof bits);
        buffer_add_be64(to, bits);
        return;
    }
    case TYPE_NUMERIC:
        numeric__send(value, to);
        return;
    case TYPE_INET:
    case TYPE_CIDR:
        network__send(type, value, to);
        return;
    case TYPE_INTERVAL:
        buffer_add_be64(to, load_le64(value.p));
        buffer_add_be32(to, load_le32(value.p + 8));
        buffer_add_be32(to, load_le32(value.p + 12));
        return;
    case TYPE_JSONB:
        buffer_add_u8(to, JSONB_VERSION);
        jsonb__output(value, to);
        return;
    case TYPE_RECORD:
        record__send(env, value, to);
        return;
    case TYPE_VOID:
        return;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_NAME:
    case TYPE_BYTEA:
        buffer_add(to, value.p, value.size);
        return;
    default:
        if (type_element(type) != 0) {
            array__send(env, value, to);
            return;
        }
        if (type_is_enum(type)) {
            value_catalog_hooks->enum_output(env, type, value, to);
            return;
        }
        buffer_add(to, value.p, value.size);
    }
}

struct datum
datum_copy(struct arena *arena, oid_t type, struct datum value)
{
    const struct type *known = type_by_oid(type);
    if (value.null || (known != NULL && !known->by_reference)) {
        return value;
    }
    return datum_bytes(arena_copy(arena, value.p, value.size), value.size);
}

enum err
type_apply_typmod(struct eval *eval, oid_t type, int32_t typmod, bool explicit_cast,
    struct datum value, struct datum *result)
{
    *result = value;
    if (typmod < 0 || value.null) {
        return ERR_OK;
    }
    struct slice text = {0};
    switch (type) {
    case TYPE_VARCHAR:
        text = datum_slice(value);
        TRY(fit_length(eval, "character varying", typmod, explicit_cast, &text));
        *result = datum_bytes(text.data, text.size);
        return ERR_OK;
    case TYPE_BPCHAR:
        return bpchar_make(eval, typmod, explicit_cast, datum_slice(value), result);
    case TYPE_NUMERIC:
        return numeric__apply_typmod(eval, typmod, value, result);
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ: {
        if (typmod >= 6 || value.i == INT64_MIN || value.i == INT64_MAX) {
            return ERR_OK;
        }
        int64_t unit = 1;
        for (int32_t i = typmod; i < 6; i++) {
            unit *= 10;
        }
        int64_t half = value.i < 0 ? -unit / 2 : unit / 2;
        *result = datum_int((value.i + half) / unit * unit);
        return ERR_OK;
    }
    case TYPE_INTERVAL:
        return interval__datum_typmod(eval, typmod, value, result);
    default:
        return type_element(type) == 0
                   ? ERR_OK
                   : array__apply_typmod(eval, typmod, explicit_cast, value, result);
    }
}
