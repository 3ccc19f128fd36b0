/*
 * Keys, rows, hashes: the bytes of a key sort like its values, in both directions and with nulls at
 * either end; what was encoded comes back; damaged bytes are errors.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sql/value/value.h"

static struct arena arena;
static struct diag diag;
static struct eval eval = {.arena = &arena, .diag = &diag};
static uint64_t seed = 42;

static uint64_t
chance(uint64_t n)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (seed >> 33) % n;
}

static const oid_t types[] = {TYPE_BOOL, TYPE_BYTEA, TYPE_NAME, TYPE_INT8, TYPE_INT2, TYPE_INT4,
    TYPE_TEXT, TYPE_OID, TYPE_FLOAT4, TYPE_FLOAT8, TYPE_BPCHAR, TYPE_VARCHAR, TYPE_DATE, TYPE_TIME,
    TYPE_TIMESTAMP, TYPE_TIMESTAMPTZ, TYPE_INTERVAL, TYPE_NUMERIC, TYPE_UUID};

static struct datum
from_text(oid_t type, const char *text)
{
    struct datum value;
    enum err err = type_input(&eval, type, -1, slice_of(text, strlen(text)), &value);
    if (err != ERR_OK) {
        (void)fprintf(stderr, "%s: %s\n", text, diag.message);
    }
    ASSERT(err == ERR_OK);
    return value;
}

/* Values that lie close together as often as not. */
static struct datum
random_value(oid_t type)
{
    static const int64_t edges[] = {0, 1, -1, 127, 128, 255, 256, -128, -129, 32767, -32768};
    int64_t number = chance(2) == 0 ? edges[chance(sizeof edges / sizeof edges[0])]
                                    : (int64_t)chance(2000) - 1000;
    char text[256];
    switch (type) {
    case TYPE_BOOL:
        return datum_bool(chance(2) == 0);
    case TYPE_INT2:
        return datum_int(number);
    case TYPE_OID:
        return datum_int(number < 0 ? -number : number);
    case TYPE_INT4:
    case TYPE_DATE:
        return datum_int(number * (chance(3) == 0 ? 65535 : 1));
    case TYPE_TIME:
        return datum_int((number < 0 ? -number : number) * 86399);
    case TYPE_INT8:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return datum_int(chance(20) == 0   ? INT64_MIN
                         : chance(20) == 0 ? INT64_MAX
                                           : number * (chance(3) == 0 ? 4294967297 : 1));
    case TYPE_FLOAT4:
    case TYPE_FLOAT8: {
        static const double specials[] = {
            0, -0.0, (double)INFINITY, -(double)INFINITY, (double)NAN};
        double f = chance(5) == 0 ? specials[chance(5)] : (double)number / 8;
        return datum_float(type == TYPE_FLOAT4 ? (double)(float)f : f);
    }
    case TYPE_NUMERIC:
        switch (chance(8)) {
        case 0:
            return from_text(type, (const char *[]){"NaN", "Infinity", "-Infinity"}[chance(3)]);
        case 1:
            (void)snprintf(text, sizeof text, "%llde%d", (long long)number, (int)chance(60) - 30);
            break;
        case 2:
            (void)snprintf(text, sizeof text, "%lld.%llu", (long long)number,
                (unsigned long long)chance(1000));
            break;
        default:
            (void)snprintf(text, sizeof text, "%lld%s", (long long)number,
                (const char *[]){"", ".0", ".00", ".5", "00"}[chance(5)]);
        }
        return from_text(type, text);
    case TYPE_INTERVAL:
        (void)snprintf(text, sizeof text, "%d mons %d days %lld hours", (int)chance(5) - 2,
            (int)chance(70) - 35, (long long)chance(2000) - 1000);
        return from_text(type, text);
    case TYPE_UUID: {
        uint8_t bytes[16];
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = i < 14 ? 7 : (uint8_t)chance(256);
        }
        return datum_bytes(arena_copy(&arena, bytes, 16), 16);
    }
    default: {
        /* Short strings of few letters: prefixes of each other, zeros and 0xFF in bytea. */
        static const char letters[] = {'a', 'b', ' ', 0x7F, '\0', (char)0xFF, 1};
        size_t size = chance(6);
        char *bytes = arena_alloc(&arena, size + 1);
        for (size_t i = 0; i < size; i++) {
            bytes[i] = letters[chance(type == TYPE_BYTEA ? 7 : 4)];
        }
        return datum_bytes(bytes, size);
    }
    }
}

static int
sign(int number)
{
    return (number > 0) - (number < 0);
}

/* With nulls where the flags put them. */
static int
wanted_order(oid_t type, struct datum a, struct datum b, int flags)
{
    if (a.null || b.null) {
        int order = (a.null ? 1 : 0) - (b.null ? 1 : 0);
        return (flags & KEY_NULLS_FIRST) != 0 ? -order : order;
    }
    int order = sign(datum_compare(type, a, b));
    return (flags & KEY_DESCENDING) != 0 ? -order : order;
}

static void
test_order(oid_t type)
{
    for (int round = 0; round < 4000; round++) {
        int flags = (int)chance(4);
        struct datum a = chance(20) == 0 ? datum_null() : random_value(type);
        struct datum b = chance(20) == 0 ? datum_null() : random_value(type);
        struct buffer ka = {0};
        struct buffer kb = {0};
        key_encode(&ka, type, a, flags);
        key_encode(&kb, type, b, flags);
        int order = sign(slice_compare(slice_of(ka.data, ka.size), slice_of(kb.data, kb.size)));
        if (order != wanted_order(type, a, b, flags)) {
            struct buffer out = {0};
            buffer_printf(&out, "%s, flags %d: ", type_by_oid(type)->name, flags);
            for (int i = 0; i < 2; i++) {
                struct datum shown = i == 0 ? a : b;
                buffer_add_text(&out, i == 0 ? "" : " | ");
                if (shown.null) {
                    buffer_add_text(&out, "null");
                } else {
                    type_output(NULL, type, shown, &out);
                }
            }
            (void)printf("%.*s: keys say %d\n", (int)out.size, (const char *)out.data, order);
            buffer_destroy(&out);
            (void)fflush(stdout);
            ASSERT(false);
        }
        /* A second column does not disturb the first one's order. */
        key_encode(&ka, TYPE_INT4, datum_int(order < 0 ? 9 : 1), 0);
        key_encode(&kb, TYPE_INT4, datum_int(order < 0 ? 1 : 9), 0);
        if (order != 0) {
            ASSERT(sign(slice_compare(slice_of(ka.data, ka.size), slice_of(kb.data, kb.size))) ==
                   order);
        }
        struct slice rest = slice_of(ka.data, ka.size);
        struct datum back;
        ASSERT(key_decode(&arena, &rest, type, flags, &back, &diag) == ERR_OK);
        ASSERT(back.null == a.null);
        if (!a.null) {
            ASSERT(datum_compare(type, a, back) == 0);
            ASSERT(datum_hash(type, a, 5) == datum_hash(type, back, 5));
            if (type_by_oid(type)->key_lossless && type_by_oid(type)->by_reference) {
                ASSERT(slice_equal(slice_of(a.p, a.size), slice_of(back.p, back.size)));
            }
        }
        struct datum second;
        ASSERT(key_decode(&arena, &rest, TYPE_INT4, 0, &second, &diag) == ERR_OK);
        ASSERT(rest.size == 0 && (second.i == 1 || second.i == 9));
        if (!a.null && !b.null && datum_compare(type, a, b) == 0) {
            ASSERT(datum_hash(type, a, 1) == datum_hash(type, b, 1));
        }
        buffer_destroy(&ka);
        buffer_destroy(&kb);
        arena_reset(&arena);
    }
}

/* Any bytes: a value or an error, nothing else. */
static void
test_damaged_keys(oid_t type)
{
    for (int round = 0; round < 2000; round++) {
        struct buffer key = {0};
        key_encode(&key, type, random_value(type), (int)chance(4));
        for (uint64_t i = 0; i < 1 + chance(3); i++) {
            key.data[chance(key.size)] = (uint8_t)chance(256);
        }
        size_t size = chance(key.size + 1);
        uint8_t *tight = mem_alloc(size); /* exactly so large: reading beyond is seen */
        memcpy(tight, key.data, size);
        struct slice rest = slice_of(tight, size);
        struct datum value;
        enum err err = key_decode(&arena, &rest, type, (int)chance(4), &value, &diag);
        ASSERT(err == ERR_OK || err == ERR_INDEX_CORRUPT);
        mem_free(tight);
        buffer_destroy(&key);
        arena_reset(&arena);
    }
}

static void
test_interval_keys(void)
{
    /* Equal intervals are one key: a unique index holds one of them. */
    static const char *const same[] = {"1 mon", "30 days", "720:00:00", "29 days 24:00:00"};
    struct buffer first = {0};
    key_encode(&first, TYPE_INTERVAL, from_text(TYPE_INTERVAL, same[0]), 0);
    for (size_t i = 1; i < sizeof same / sizeof same[0]; i++) {
        struct buffer other = {0};
        key_encode(&other, TYPE_INTERVAL, from_text(TYPE_INTERVAL, same[i]), 0);
        ASSERT(slice_equal(slice_of(first.data, first.size), slice_of(other.data, other.size)));
        buffer_destroy(&other);
    }
    buffer_destroy(&first);
    /* The longest ones survive. */
    static const char *const long_ones[] = {
        "2147483647 mons 2147483647 days 2562047788:00:54.775807",
        "-2147483648 mons -2147483648 days -2562047788:00:54.775807", "2147483647 days", "0"};
    for (size_t i = 0; i < sizeof long_ones / sizeof long_ones[0]; i++) {
        struct datum value = from_text(TYPE_INTERVAL, long_ones[i]);
        struct buffer key = {0};
        key_encode(&key, TYPE_INTERVAL, value, 0);
        struct slice rest = slice_of(key.data, key.size);
        struct datum back;
        ASSERT(key_decode(&arena, &rest, TYPE_INTERVAL, 0, &back, &diag) == ERR_OK);
        ASSERT(datum_compare(TYPE_INTERVAL, value, back) == 0);
        buffer_destroy(&key);
    }
}

static void
test_prefix_successor(void)
{
    struct buffer key = {0};
    buffer_add(&key, "a\xFF\xFF", 3);
    ASSERT(key_prefix_successor(&key) && key.size == 1 && key.data[0] == 'b');
    key.size = 0;
    buffer_add(&key, "\xFF\xFF", 2);
    ASSERT(!key_prefix_successor(&key));
    buffer_destroy(&key);
}

enum {
    COLUMNS = sizeof types / sizeof types[0]
};

static bool
same_datum(oid_t type, struct datum a, struct datum b)
{
    return a.null || b.null ? a.null == b.null : datum_compare(type, a, b) == 0;
}

static void
test_rows(void)
{
    for (int round = 0; round < 500; round++) {
        size_t count = 1 + chance(COLUMNS);
        struct datum values[COLUMNS];
        struct datum back[COLUMNS];
        uint16_t wanted[COLUMNS];
        size_t wanted_count = 0;
        for (size_t i = 0; i < count; i++) {
            values[i] = chance(4) == 0 ? datum_null() : random_value(types[i]);
            if (chance(2) == 0) {
                wanted[wanted_count++] = (uint16_t)i;
            }
        }
        const struct row_layout *layout = row_layout_new(&arena, types, count);
        struct buffer row = {0};
        row_encode(layout, values, &row);
        struct slice bytes = slice_of(row.data, row.size);
        ASSERT(row_decode(layout, bytes, wanted, wanted_count, back, &diag) == ERR_OK);
        for (size_t i = 0; i < wanted_count; i++) {
            size_t c = wanted[i];
            ASSERT(same_datum(types[c], values[c], back[c]));
        }
        for (size_t i = 0; i < count; i++) {
            struct datum value;
            bool missing = true;
            ASSERT(row_column(layout, bytes, i, &value, &missing, &diag) == ERR_OK);
            ASSERT(!missing && same_datum(types[i], values[i], value));
        }
        /* Cut or changed: an error or some value, but no reading beyond. */
        size_t size = chance(row.size + 1);
        uint8_t *tight = mem_alloc(size);
        memcpy(tight, row.data, size);
        if (size > 0) {
            tight[chance(size)] = (uint8_t)chance(256);
        }
        for (size_t i = 0; i < count; i++) {
            struct datum value;
            bool missing = false;
            enum err err = row_column(layout, slice_of(tight, size), i, &value, &missing, &diag);
            ASSERT(err == ERR_OK || err == ERR_CORRUPT);
            if (err == ERR_OK && !value.null && !missing && type_by_oid(types[i])->by_reference &&
                value.size > 0) {
                ASSERT(value.p >= tight && value.p + value.size <= tight + size);
            }
        }
        mem_free(tight);
        buffer_destroy(&row);
        arena_reset(&arena);
    }
}

int
main(void)
{
    arena_create(&arena, "test");
    for (size_t i = 0; i < COLUMNS; i++) {
        test_order(types[i]);
        test_damaged_keys(types[i]);
    }
    test_interval_keys();
    test_prefix_successor();
    test_rows();
    arena_destroy(&arena);
    return 0;
}
