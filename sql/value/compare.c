/*
 * sql/value/compare.c - order, hashes, and keys whose bytes sort like their values.
 *
 * A key column is a marker byte and a payload:
 *
 *     marker   0x00 null that sorts first, 0x01 a value, 0x02 null that sorts last
 *     integers        big-endian, sign bit flipped: 1, 2, 4 or 8 bytes by type
 *     floats          IEEE bits, sign bit flipped, negative ones inverted; -0 as 0; NaN is above
 * all text, bytea     bytes with 0x00 as 0x00 0xFF, then 0x00 0x00; char(n) without end blanks
 *     numeric         see numeric.c
 *     jsonb           as bytes: see json.c
 *     uuid            16 bytes       interval  16 bytes: microseconds, with months of 30 days
 *
 * KEY_DESCENDING inverts the payload, not the marker.
 */
#include <math.h>

#include "base/assert.h"
#include "base/hash.h"
#include "sql/value/array.h"
#include "sql/value/json.h"
#include "sql/value/record.h"

enum {
    MARK_NULL_FIRST = 0,
    MARK_VALUE = 1,
    MARK_NULL_LAST = 2,
};

static size_t
without_blanks(struct datum value)
{
    size_t size = value.size;
    while (size >= 8 && load_le64(value.p + size - 8) == UINT64_C(0x2020202020202020)) {
        size -= 8;
    }
    while (size > 0 && value.p[size - 1] == ' ') {
        size--;
    }
    return size;
}

static int
compare_float(double a, double b)
{
    if (isnan(a) || isnan(b)) {
        return (isnan(a) ? 1 : 0) - (isnan(b) ? 1 : 0);
    }
    return (a > b) - (a < b);
}

/* Microseconds with days of 24 hours and months of 30 days. */
static __int128
interval_span(struct datum value)
{
    __int128 days =
        (__int128)(int32_t)load_le32(value.p + 12) * 30 + (int32_t)load_le32(value.p + 8);
    return days * INT64_C(86400000000) + (int64_t)load_le64(value.p);
}

int
datum_compare(oid_t type, struct datum a, struct datum b)
{
    switch (type) {
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        return compare_float(a.f, b.f);
    case TYPE_NUMERIC:
        return numeric__compare(a, b);
    case TYPE_BPCHAR:
        return slice_compare(slice_of(a.p, without_blanks(a)), slice_of(b.p, without_blanks(b)));
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_NAME:
    case TYPE_UNKNOWN:
    case TYPE_BYTEA:
    case TYPE_UUID:
    case TYPE_INET:
    case TYPE_CIDR:
    case TYPE_JSON:
        return slice_compare(datum_slice(a), datum_slice(b));
    case TYPE_JSONB:
        return jsonb__compare(a, b);
    case TYPE_RECORD:
        return record__compare(a, b);
    case TYPE_INTERVAL: {
        __int128 x = interval_span(a);
        __int128 y = interval_span(b);
        return (x > y) - (x < y);
    }
    case TYPE_BOOL:
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return (a.i > b.i) - (a.i < b.i);
    default:
        return type_element(type) != 0 ? array__compare(a, b) : (a.i > b.i) - (a.i < b.i);
    }
}

bool
type_is_ordered(oid_t type)
{
    const struct type *known = type_by_oid(type);
    return known != NULL && (known->category != CATEGORY_PSEUDO || type == TYPE_RECORD) &&
           type != TYPE_JSON && known->element != TYPE_JSON;
}

uint64_t
datum_hash(oid_t type, struct datum value, uint64_t seed)
{
    switch (type) {
    case TYPE_FLOAT4:
    case TYPE_FLOAT8: {
        double f = value.f == 0 ? 0 : value.f;
        uint64_t bits = 0x7ff8000000000000ULL;
        if (!isnan(f)) {
            memcpy(&bits, &f, sizeof bits);
        }
        return hash_u64(bits ^ seed);
    }
    case TYPE_NUMERIC:
        return numeric__hash(value, seed);
    case TYPE_JSONB:
        return jsonb__hash(value, seed);
    case TYPE_RECORD:
        return record__hash(value, seed);
    case TYPE_BPCHAR:
        return hash64(value.p, without_blanks(value), seed);
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_NAME:
    case TYPE_UNKNOWN:
    case TYPE_BYTEA:
    case TYPE_UUID:
    case TYPE_INET:
    case TYPE_CIDR:
    case TYPE_JSON:
        return hash64(value.p, value.size, seed);
    case TYPE_INTERVAL: {
        __int128 span = interval_span(value);
        return hash64(&span, sizeof span, seed);
    }
    case TYPE_BOOL:
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return hash_u64((uint64_t)value.i ^ seed);
    default:
        return type_element(type) != 0 ? array__hash(value, seed)
                                       : hash_u64((uint64_t)value.i ^ seed);
    }
}

/* ---- keys
 * ---------------------------------------------------------------------------------------- */

/* Bytes of an integer-like type in a key; 0: another kind. */
static size_t
integer_size(oid_t type)
{
    switch (type) {
    case TYPE_BOOL:
    case TYPE_CHAR:
        return 1;
    case TYPE_INT2:
        return 2;
    case TYPE_INT4:
    case TYPE_DATE:
        return 4;
    case TYPE_INT8:
    case TYPE_OID:
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGPROC:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
    case TYPE_REGPROCEDURE:
    case TYPE_REGOPER:
    case TYPE_REGOPERATOR:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return 8;
    default:
        return type_is_enum(type) ? 8 : 0;
    }
}

static void
put_integer(struct buffer *key, size_t size, int64_t value)
{
    uint64_t bits = (uint64_t)value ^ (uint64_t)1 << (8 * size - 1);
    uint8_t *room = buffer_extend(key, size);
    for (size_t i = 0; i < size; i++) {
        room[i] = (uint8_t)(bits >> (8 * (size - 1 - i)));
    }
}

static int64_t
get_integer(const uint8_t *bytes, size_t size)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | bytes[i];
    }
    bits ^= (uint64_t)1 << (8 * size - 1);
    unsigned shift = (unsigned)(64 - 8 * size);
    return (int64_t)(bits << shift) >> shift;
}

static void
put_float(struct buffer *key, double value)
{
    value = value == 0 ? 0 : value;
    uint64_t bits = 0x7fffffffffffffffULL; /* NaN */
    if (!isnan(value)) {
        memcpy(&bits, &value, sizeof bits);
    }
    bits = bits >> 63 != 0 ? ~bits : bits | (uint64_t)1 << 63;
    buffer_add_be64(key, bits);
}

static double
get_float(const uint8_t *bytes)
{
    uint64_t bits = load_be64(bytes);
    bits = bits >> 63 != 0 ? bits & ~((uint64_t)1 << 63) : ~bits;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void
put_bytes(struct buffer *key, const uint8_t *bytes, size_t size)
{
    const uint8_t *zero = size == 0 ? NULL : memchr(bytes, 0, size);
    if (zero == NULL) {
        buffer_add(key, bytes, size);
    } else {
        for (size_t i = 0; i < size; i++) {
            buffer_add_u8(key, bytes[i]);
            if (bytes[i] == 0) {
                buffer_add_u8(key, 0xFF);
            }
        }
    }
    uint8_t *end = buffer_extend(key, 2);
    end[0] = 0;
    end[1] = 0;
}

/* Its elements' keys, a 0 (less than any key's first byte), the dimensions; all that as bytes. */
static void
put_array(struct buffer *key, struct datum value)
{
    struct array_reader reader;
    struct datum element;
    struct buffer inner = {0};
    (void)array__open(value, &reader);
    while (array__next(&reader, &element)) {
        key_encode(&inner, reader.element, element, 0);
    }
    buffer_add_u8(&inner, 0);
    buffer_add_u8(&inner, (uint8_t)reader.dimensions);
    for (uint32_t d = 0; d < reader.dimensions; d++) {
        put_integer(&inner, 4, reader.sizes[d]);
        put_integer(&inner, 4, reader.lower[d]);
    }
    put_bytes(key, inner.data, inner.size);
    buffer_destroy(&inner);
}

static void
put_jsonb(struct buffer *key, struct datum value)
{
    struct buffer inner = {0};
    jsonb__key(&inner, value);
    put_bytes(key, inner.data, inner.size);
    buffer_destroy(&inner);
}

/* Like an array, but it cannot be read again: records are sorted, never stored. */
static void
put_record(struct buffer *key, struct datum value)
{
    struct record_reader reader;
    struct record_column column;
    struct buffer inner = {0};
    record__open(value, &reader);
    while (record__next(&reader, &column)) {
        key_encode(&inner, column.type, column.value, 0);
    }
    put_bytes(key, inner.data, inner.size);
    buffer_destroy(&inner);
}

static void
put_payload(struct buffer *key, oid_t type, struct datum value)
{
    size_t integer = integer_size(type);
    if (integer > 0) {
        put_integer(key, integer, value.i);
        return;
    }
    switch (type) {
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        put_float(key, value.f);
        return;
    case TYPE_NUMERIC:
        numeric__key_encode(key, value);
        return;
    case TYPE_UUID:
        buffer_add(key, value.p, 16);
        return;
    case TYPE_INTERVAL: {
        __int128 span = interval_span(value);
        buffer_add_be64(key, (uint64_t)(span >> 64) ^ (uint64_t)1 << 63);
        buffer_add_be64(key, (uint64_t)span);
        return;
    }
    case TYPE_BPCHAR:
        put_bytes(key, value.p, without_blanks(value));
        return;
    case TYPE_JSONB:
        put_jsonb(key, value);
        return;
    case TYPE_RECORD:
        put_record(key, value);
        return;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BYTEA:
    case TYPE_NAME:
    case TYPE_INET:
    case TYPE_CIDR:
        put_bytes(key, value.p, value.size);
        return;
    default:
        if (type_element(type) != 0) {
            put_array(key, value);
            return;
        }
        put_bytes(key, value.p, value.size);
    }
}

void
key_encode(struct buffer *key, oid_t type, struct datum value, int flags)
{
    if (value.null) {
        buffer_add_u8(key, (flags & KEY_NULLS_FIRST) != 0 ? MARK_NULL_FIRST : MARK_NULL_LAST);
        return;
    }
    buffer_add_u8(key, MARK_VALUE);
    size_t start = key->size;
    put_payload(key, type, value);
    if ((flags & KEY_DESCENDING) != 0) {
        for (size_t i = start; i < key->size; i++) {
            key->data[i] = (uint8_t)~key->data[i];
        }
    }
}

static enum err
bad_key(struct diag *diag)
{
    return diag_set(diag, ERR_INDEX_CORRUPT, "index key is damaged");
}

size_t
value__key_size(struct slice key, oid_t type, uint8_t flip)
{
    size_t fixed = integer_size(type);
    fixed = type == TYPE_FLOAT4 || type == TYPE_FLOAT8 ? 8
            : type == TYPE_UUID                        ? 16
            : type == TYPE_INTERVAL                    ? 16
                                                       : fixed;
    if (fixed > 0) {
        return key.size < fixed ? SIZE_MAX : fixed;
    }
    if (type == TYPE_NUMERIC) {
        /* Kind; for finite non-zero ones an exponent of 4 and digits up to 0x00 (negative: 0xFF).
         */
        uint8_t kind = key.size == 0 ? 0 : key.data[0] ^ flip;
        if (kind != 2 && kind != 4) {
            return key.size == 0 ? SIZE_MAX : 1;
        }
        uint8_t end = (uint8_t)((kind == 2 ? 0xFF : 0x00) ^ flip);
        for (size_t i = 5; i < key.size; i++) {
            if (key.data[i] == end) {
                return i + 1;
            }
        }
        return SIZE_MAX;
    }
    for (size_t i = 0; i + 1 < key.size; i++) {
        if ((key.data[i] ^ flip) == 0) {
            if ((key.data[i + 1] ^ flip) == 0) {
                return i + 2;
            }
            i++;
        }
    }
    return SIZE_MAX;
}

enum err
key_skip(struct slice *key, oid_t type, int flags, struct diag *diag)
{
    if (key->size == 0 || key->data[0] > MARK_NULL_LAST) {
        return bad_key(diag);
    }
    size_t size = 1;
    if (key->data[0] == MARK_VALUE) {
        size_t payload = value__key_size(
            slice_of(key->data + 1, key->size - 1), type, (flags & KEY_DESCENDING) != 0 ? 0xFF : 0);
        if (payload == SIZE_MAX) {
            return bad_key(diag);
        }
        size += payload;
    }
    key->data += size;
    key->size -= size;
    return ERR_OK;
}

/* The array that put_array made *value of. */
static enum err
get_array(struct arena *arena, oid_t element_type, struct datum *value, struct diag *diag)
{
    struct array_maker maker = {.element = element_type};
    struct slice key = datum_slice(*value);
    while (key.size > 0 && key.data[0] != 0) {
        struct datum element;
        TRY(key_decode(arena, &key, element_type, 0, &element, diag));
        array__add(&maker, arena, element);
    }
    maker.dimensions = key.size < 2 ? UINT32_MAX : key.data[1];
    if (maker.dimensions > ARRAY_DIMENSIONS_MAX || key.size != 2 + (size_t)8 * maker.dimensions) {
        return bad_key(diag);
    }
    uint64_t count = maker.dimensions == 0 ? 0 : 1;
    for (uint32_t d = 0; d < maker.dimensions; d++) {
        maker.sizes[d] = (int32_t)get_integer(key.data + 2 + (size_t)8 * d, 4);
        maker.lower[d] = (int32_t)get_integer(key.data + 6 + (size_t)8 * d, 4);
        count *= maker.sizes[d] <= 0 ? 0 : (uint64_t)maker.sizes[d];
        if (count > maker.count) {
            return bad_key(diag);
        }
    }
    if (count != maker.count) {
        return bad_key(diag);
    }
    *value = array__make(arena, &maker);
    return ERR_OK;
}

/* An interval that long, if not the one that was encoded: months first, because all together hold
 * any span but none alone does. */
static struct datum
interval_of_span(struct arena *arena, const uint8_t *payload)
{
    uint64_t high = load_be64(payload) ^ (uint64_t)1 << 63;
    __int128 span = (__int128)((unsigned __int128)high << 64 | load_be64(payload + 8));
    __int128 day = INT64_C(86400000000);
    __int128 months = span / (30 * day);
    months = months > INT32_MAX ? INT32_MAX : months < INT32_MIN ? INT32_MIN : months;
    span -= months * 30 * day;
    __int128 days = span / day;
    days = days > INT32_MAX ? INT32_MAX : days < INT32_MIN ? INT32_MIN : days;
    span -= days * day;
    uint8_t *bytes = arena_alloc_raw(arena, 16);
    store_le64(bytes, (uint64_t)span);
    store_le32(bytes + 8, (uint32_t)days);
    store_le32(bytes + 12, (uint32_t)months);
    return datum_bytes(bytes, 16);
}

enum err
key_decode(struct arena *arena, struct slice *key, oid_t type, int flags, struct datum *value,
    struct diag *diag)
{
    struct slice whole = *key;
    TRY(key_skip(key, type, flags, diag));
    *value = datum_null();
    if (whole.data[0] != MARK_VALUE) {
        return ERR_OK;
    }
    struct slice payload = slice_of(whole.data + 1, whole.size - key->size - 1);
    if ((flags & KEY_DESCENDING) != 0) {
        uint8_t *plain = arena_alloc_raw(arena, payload.size);
        for (size_t i = 0; i < payload.size; i++) {
            plain[i] = (uint8_t)~payload.data[i];
        }
        payload.data = plain;
    }
    size_t integer = integer_size(type);
    if (integer > 0) {
        *value = datum_int(get_integer(payload.data, integer));
        if (type == TYPE_BOOL || type == TYPE_CHAR) {
            value->i &= 0xFF;
        }
        return ERR_OK;
    }
    switch (type) {
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        *value = datum_float(get_float(payload.data));
        return ERR_OK;
    case TYPE_NUMERIC:
        return numeric__key_decode(arena, &payload, value, diag);
    case TYPE_RECORD:
        return bad_key(diag);
    case TYPE_UUID:
        *value = datum_bytes(arena_copy(arena, payload.data, 16), 16);
        return ERR_OK;
    case TYPE_INTERVAL:
        *value = interval_of_span(arena, payload.data);
        return ERR_OK;
    default: {
        uint8_t *bytes = arena_alloc_raw(arena, payload.size);
        size_t size = 0;
        for (size_t i = 0; i + 2 < payload.size; i++) {
            bytes[size++] = payload.data[i];
            i += payload.data[i] == 0 ? 1 : 0;
        }
        *value = datum_bytes(bytes, size);
        if (type == TYPE_JSONB) {
            struct slice inner = datum_slice(*value);
            return jsonb__from_key(arena, &inner, value, diag);
        }
        return type_element(type) == 0 ? ERR_OK : get_array(arena, type_element(type), value, diag);
    }
    }
}

bool
key_prefix_successor(struct buffer *key)
{
    while (key->size > 0) {
        if (key->data[key->size - 1] != 0xFF) {
            key->data[key->size - 1]++;
            return true;
        }
        key->size--;
    }
    return false;
}

/* ---- comparison operators ---------------------------------------------------------------- */

#define COMPARE(suffix, op)                                                                   \
    static enum err int_##suffix(                                                             \
        struct eval *eval, const struct datum *args, int count, struct datum *result)         \
    {                                                                                         \
        (void)eval;                                                                           \
        UNUSED_COUNT;                                                                         \
        *result = datum_bool(args[0].i op args[1].i);                                         \
        return ERR_OK;                                                                        \
    }                                                                                         \
    static enum err text_##suffix(                                                            \
        struct eval *eval, const struct datum *args, int count, struct datum *result)         \
    {                                                                                         \
        (void)eval;                                                                           \
        UNUSED_COUNT;                                                                         \
        *result = datum_bool(slice_compare(datum_slice(args[0]), datum_slice(args[1])) op 0); \
        return ERR_OK;                                                                        \
    }                                                                                         \
    static enum err float_##suffix(                                                           \
        struct eval *eval, const struct datum *args, int count, struct datum *result)         \
    {                                                                                         \
        (void)eval;                                                                           \
        UNUSED_COUNT;                                                                         \
        *result = datum_bool(compare_float(args[0].f, args[1].f) op 0);                       \
        return ERR_OK;                                                                        \
    }                                                                                         \
    static enum err numeric_##suffix(                                                         \
        struct eval *eval, const struct datum *args, int count, struct datum *result)         \
    {                                                                                         \
        (void)eval;                                                                           \
        UNUSED_COUNT;                                                                         \
        *result = datum_bool(numeric__compare(args[0], args[1]) op 0);                        \
        return ERR_OK;                                                                        \
    }                                                                                         \
    static enum err bpchar_##suffix(                                                          \
        struct eval *eval, const struct datum *args, int count, struct datum *result)         \
    {                                                                                         \
        (void)eval;                                                                           \
        UNUSED_COUNT;                                                                         \
        *result = datum_bool(datum_compare(TYPE_BPCHAR, args[0], args[1]) op 0);              \
        return ERR_OK;                                                                        \
    }                                                                                         \
    static enum err interval_##suffix(                                                        \
        struct eval *eval, const struct datum *args, int count, struct datum *result)         \
    {                                                                                         \
        (void)eval;                                                                           \
        UNUSED_COUNT;                                                                         \
        *result = datum_bool(datum_compare(TYPE_INTERVAL, args[0], args[1]) op 0);            \
        return ERR_OK;                                                                        \
    }
COMPARE(eq, ==)
COMPARE(ne, !=)
COMPARE(lt, <)
COMPARE(le, <=)
COMPARE(gt, >)
COMPARE(ge, >=)

#define SIX(prefix, left, right, kind)                                        \
    {"=", prefix "eq", left, right, TYPE_BOOL, kind##_eq, "=", "<>", 0},      \
        {"<>", prefix "ne", left, right, TYPE_BOOL, kind##_ne, "<>", "=", 0}, \
        {"<", prefix "lt", left, right, TYPE_BOOL, kind##_lt, ">", ">=", 0},  \
        {"<=", prefix "le", left, right, TYPE_BOOL, kind##_le, ">=", ">", 0}, \
        {">", prefix "gt", left, right, TYPE_BOOL, kind##_gt, "<", "<=", 0},  \
    {                                                                         \
        ">=", prefix "ge", left, right, TYPE_BOOL, kind##_ge, "<=", "<", 0    \
    }

static const struct operator_row operators[] = {
    SIX("bool", TYPE_BOOL, TYPE_BOOL, int),
    SIX("char", TYPE_CHAR, TYPE_CHAR, int),
    SIX("int2", TYPE_INT2, TYPE_INT2, int),
    SIX("int4", TYPE_INT4, TYPE_INT4, int),
    SIX("int8", TYPE_INT8, TYPE_INT8, int),
    SIX("int24", TYPE_INT2, TYPE_INT4, int),
    SIX("int42", TYPE_INT4, TYPE_INT2, int),
    SIX("int28", TYPE_INT2, TYPE_INT8, int),
    SIX("int82", TYPE_INT8, TYPE_INT2, int),
    SIX("int48", TYPE_INT4, TYPE_INT8, int),
    SIX("int84", TYPE_INT8, TYPE_INT4, int),
    SIX("oid", TYPE_OID, TYPE_OID, int),
    SIX("float4", TYPE_FLOAT4, TYPE_FLOAT4, float),
    SIX("float8", TYPE_FLOAT8, TYPE_FLOAT8, float),
    SIX("float48", TYPE_FLOAT4, TYPE_FLOAT8, float),
    SIX("float84", TYPE_FLOAT8, TYPE_FLOAT4, float),
    SIX("numeric_", TYPE_NUMERIC, TYPE_NUMERIC, numeric),
    SIX("text", TYPE_TEXT, TYPE_TEXT, text),
    SIX("name", TYPE_NAME, TYPE_NAME, text),
    SIX("nametext", TYPE_NAME, TYPE_TEXT, text),
    SIX("textname", TYPE_TEXT, TYPE_NAME, text),
    SIX("bpchar", TYPE_BPCHAR, TYPE_BPCHAR, bpchar),
    SIX("bytea", TYPE_BYTEA, TYPE_BYTEA, text),
    SIX("uuid_", TYPE_UUID, TYPE_UUID, text),
    SIX("network_", TYPE_INET, TYPE_INET, text),
    SIX("date_", TYPE_DATE, TYPE_DATE, int),
    SIX("time_", TYPE_TIME, TYPE_TIME, int),
    SIX("timestamp_", TYPE_TIMESTAMP, TYPE_TIMESTAMP, int),
    SIX("timestamptz_", TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ, int),
    SIX("enum_", TYPE_ANYENUM, TYPE_ANYENUM, int),
    SIX("interval_", TYPE_INTERVAL, TYPE_INTERVAL, interval),
};

const struct function_rows compare_rows = {NULL, 0, ROWS(operators), NULL, 0};
