/*
 * Values from anything: text and bytes are a value or an error; a value that prints is read again
 * as the same value; templates, patterns and formats of any kind do no harm.
 *
 * The first byte chooses: below 128 a type (text), below 160 a type (binary), otherwise a function
 * whose arguments the byte 0x1F separates.
 */
#include "tests/fuzz/sql_fuzz.h"

static const oid_t types[] = {TYPE_BOOL, TYPE_BYTEA, TYPE_NAME, TYPE_INT8, TYPE_INT2, TYPE_INT4,
    TYPE_TEXT, TYPE_OID, TYPE_FLOAT4, TYPE_FLOAT8, TYPE_BPCHAR, TYPE_VARCHAR, TYPE_DATE, TYPE_TIME,
    TYPE_TIMESTAMP, TYPE_TIMESTAMPTZ, TYPE_INTERVAL, TYPE_NUMERIC, TYPE_UUID};
enum {
    TYPE_COUNT = sizeof types / sizeof types[0],
    ARGS_MAX = 6,
};

static const char *const functions[] = {"to_char", "to_timestamp", "to_date", "to_number",
    "regexp_replace", "regexp_like", "regexp_substr", "regexp_instr", "regexp_count",
    "similar_to_escape", "substring", "format", "extract", "date_trunc", "date_part", "timezone",
    "encode", "decode", "unistr", "pg_size_bytes", "replace", "translate", "split_part", "lpad",
    "overlay", "convert_from", "age", "justify_interval", "make_timestamptz", "round", "power",
    "exp", "ln", "log", "sqrt", "initcap", "quote_ident", "quote_literal", "like"};

static void
check_value(oid_t type, struct datum value)
{
    struct buffer text = {0};
    struct buffer sent = {0};
    struct datum again;
    type_output(&env, type, value, &text);
    ASSERT(type_input(&eval, type, -1, slice_of(text.data, text.size), &again) == ERR_OK);
    ASSERT(datum_compare(type, value, again) == 0);
    ASSERT(datum_hash(type, value, 0) == datum_hash(type, again, 0));
    type_send(&env, type, value, &sent);
    ASSERT(type_receive(&eval, type, -1, slice_of(sent.data, sent.size), &again) == ERR_OK);
    ASSERT(datum_compare(type, value, again) == 0);
    buffer_destroy(&text);
    buffer_destroy(&sent);
}

static void
check_call(const char *name, struct slice rest)
{
    struct slice parts[ARGS_MAX];
    int count = 0;
    while (count < ARGS_MAX) {
        const uint8_t *end = rest.size == 0 ? NULL : memchr(rest.data, 0x1F, rest.size);
        size_t size = end == NULL ? rest.size : (size_t)(end - rest.data);
        parts[count++] = slice_of(rest.data, size);
        if (end == NULL) {
            break;
        }
        rest = slice_of(end + 1, rest.size - size - 1);
    }
    size_t many = 0;
    const struct function *all = function_by_name(name, &many);
    for (size_t f = 0; f < many; f++) {
        struct datum args[ARGS_MAX];
        bool fits = all[f].call != NULL && all[f].arg_count == count;
        for (int i = 0; i < count && fits; i++) {
            oid_t type = all[f].args[i] == TYPE_ANY ? TYPE_TEXT : all[f].args[i];
            fits = is_utf8(parts[i]) && type_input(&eval, type, -1, parts[i], &args[i]) == ERR_OK;
            /* Exponents and lengths that are only slow. */
            bool large = type == TYPE_INT4 && fits && (args[i].i > 100000 || args[i].i < -100000);
            fits = fits && !large && !(type == TYPE_NUMERIC && args[i].size > 24);
        }
        struct datum result = datum_null();
        if (fits && all[f].call(&eval, args, count, &result) == ERR_OK && !result.null) {
            struct buffer out = {0};
            type_output(&env, all[f].result, result, &out);
            buffer_destroy(&out);
        }
    }
}

static void
run(uint8_t choice, struct slice rest)
{
    struct datum value;
    if (choice < 128) {
        oid_t type = types[choice % TYPE_COUNT];
        if (is_utf8(rest) && type_input(&eval, type, -1, rest, &value) == ERR_OK) {
            check_value(type, value);
        }
    } else if (choice < 160) {
        oid_t type = types[choice % TYPE_COUNT];
        if (type_receive(&eval, type, -1, rest, &value) == ERR_OK) {
            check_value(type, value);
        }
    } else {
        check_call(functions[choice % (sizeof functions / sizeof functions[0])], rest);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_input(data, size, run);
}
