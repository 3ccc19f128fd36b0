/*
 * Arrays: text and binary forms go both ways; keys sort as values compare and decode to equals;
 * equal arrays hash alike; bytes that are no array are an error and nothing worse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "sql/value/value.h"

static struct arena arena;
static struct diag diag;
static struct eval_env env = {.extra_float_digits = 1};

static struct eval
make_eval(void)
{
    return (struct eval){.arena = &arena, .diag = &diag, .env = &env};
}

static struct datum
read_array(oid_t type, const char *text)
{
    struct eval eval = make_eval();
    struct datum value;
    assert_int_equal(type_input(&eval, type, -1, slice_of(text, strlen(text)), &value), ERR_OK);
    return value;
}

static const char *
shown(oid_t type, struct datum value)
{
    struct buffer to = {0};
    type_output(&env, type, value, &to);
    const char *text = arena_strndup(&arena, (const char *)to.data, to.size);
    buffer_destroy(&to);
    return text;
}

static const struct {
    oid_t type;
    const char *text; /* as it is shown */
} samples[] = {
    {TYPE_INT4_ARRAY, "{}"}, {TYPE_INT4_ARRAY, "{1}"}, {TYPE_INT4_ARRAY, "{1,NULL}"},
    {TYPE_INT4_ARRAY, "{1,2,3}"}, {TYPE_INT4_ARRAY, "{1,-2147483648}"}, {TYPE_INT4_ARRAY, "{NULL}"},
    {TYPE_INT4_ARRAY, "[0:1]={1,2}"}, {TYPE_INT4_ARRAY, "{1,2}"},
    {TYPE_INT4_ARRAY, "{{1,2},{3,4}}"}, {TYPE_INT4_ARRAY, "{1,2,3,4}"},
    {TYPE_INT4_ARRAY, "{{{1}},{{2}}}"}, {TYPE_TEXT_ARRAY, "{}"}, {TYPE_TEXT_ARRAY, "{\"\"}"},
    {TYPE_TEXT_ARRAY, "{a,b}"}, {TYPE_TEXT_ARRAY, "{a}"}, {TYPE_TEXT_ARRAY, "{\"NULL\",NULL}"},
    {TYPE_TEXT_ARRAY, "{\"a\\\"b\",\"c\\\\d\",\"e,f\",\"{g}\",\" h\"}"},
    {TYPE_INT2VECTOR, "1 2 -3"}, {TYPE_OIDVECTOR, "4294967295"},
    {1231, "{1.50,-2,NaN,NULL}"},                     /* numeric[] */
    {2951, "{00000000-0000-0000-0000-000000000001}"}, /* uuid[] */
    {1000, "{t,f,NULL}"},                             /* boolean[] */
    {1022, "{1.5,-0,Infinity}"},                      /* double precision[] */
};
enum {
    SAMPLES = sizeof samples / sizeof samples[0]
};

static void
test_forms(void **state)
{
    (void)state;
    struct eval eval = make_eval();
    for (size_t i = 0; i < SAMPLES; i++) {
        struct datum value = read_array(samples[i].type, samples[i].text);
        assert_string_equal(shown(samples[i].type, value), samples[i].text);
        struct buffer binary = {0};
        type_send(&env, samples[i].type, value, &binary);
        struct datum again;
        assert_int_equal(
            type_receive(&eval, samples[i].type, -1, slice_of(binary.data, binary.size), &again),
            ERR_OK);
        assert_string_equal(shown(samples[i].type, again), samples[i].text);
        buffer_destroy(&binary);
    }
}

static int
sign(int order)
{
    return (order > 0) - (order < 0);
}

static void
test_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        for (size_t j = 0; j < SAMPLES; j++) {
            if (samples[i].type != samples[j].type) {
                continue;
            }
            oid_t type = samples[i].type;
            struct datum a = read_array(type, samples[i].text);
            struct datum b = read_array(type, samples[j].text);
            int order = sign(datum_compare(type, a, b));
            assert_int_equal(order == 0, i == j);
            assert_int_equal(order, -sign(datum_compare(type, b, a)));
            for (int flags = 0; flags < 2; flags++) {
                struct buffer x = {0}, y = {0};
                key_encode(&x, type, a, flags);
                key_encode(&y, type, b, flags);
                int bytes = sign(slice_compare(slice_of(x.data, x.size), slice_of(y.data, y.size)));
                assert_int_equal(bytes, flags == KEY_DESCENDING ? -order : order);
                struct slice key = slice_of(x.data, x.size);
                struct datum decoded;
                assert_int_equal(key_decode(&arena, &key, type, flags, &decoded, &diag), ERR_OK);
                assert_int_equal(key.size, 0);
                assert_int_equal(datum_compare(type, a, decoded), 0);
                assert_true(datum_hash(type, a, 7) == datum_hash(type, decoded, 7));
                buffer_destroy(&x);
                buffer_destroy(&y);
            }
        }
    }
}

/* Changed bytes: whatever comes of it can be shown and compared. */
static void
test_damage(void **state)
{
    (void)state;
    struct eval eval = make_eval();
    uint64_t seed = 1;
    for (size_t i = 0; i < SAMPLES; i++) {
        oid_t type = samples[i].type;
        struct datum value = read_array(type, samples[i].text);
        struct buffer binary = {0}, key = {0};
        type_send(&env, type, value, &binary);
        key_encode(&key, type, value, 0);
        for (int round = 0; round < 3000; round++) {
            struct arena_mark mark = arena_mark(&arena);
            seed = hash_u64(seed + 1);
            struct buffer *which = seed % 2 == 0 ? &binary : &key;
            size_t at = seed / 2 % which->size;
            size_t size = round % 3 == 0 ? at : which->size;
            uint8_t *copy = arena_copy(&arena, which->data, which->size + 1 > size ? size : 0);
            if (at < size) {
                copy[at] = (uint8_t)(seed >> 32);
            }
            struct datum other;
            struct slice slice = slice_of(copy, size);
            enum err err = which == &binary ? type_receive(&eval, type, -1, slice, &other)
                                            : key_decode(&arena, &slice, type, 0, &other, &diag);
            if (err == ERR_OK && !other.null) {
                (void)shown(type, other);
                (void)datum_compare(type, value, other);
                (void)datum_hash(type, other, 1);
            }
            arena_rewind(&arena, mark);
        }
        buffer_destroy(&binary);
        buffer_destroy(&key);
    }
}

static void
test_malformed(void **state)
{
    (void)state;
    struct eval eval = make_eval();
    static const char *const texts[] = {"", "{", "}", "{1", "{1,}", "{,1}", "1", "{1}}", "{{1}",
        "{{1},2}", "{1,{2}}", "{{1,2},{3}}", "{{}}", "[1:2]={1}", "[1:2]{1,2}", "[2:1]={1}",
        "{\"1}", "{1\\", "{1}x", "{{{{{{{1}}}}}}}", "[a:b]={1}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct datum value;
        assert_int_not_equal(
            type_input(&eval, TYPE_INT4_ARRAY, -1, slice_of(texts[i], strlen(texts[i])), &value),
            ERR_OK);
    }
}

int
main(void)
{
    arena_create(&arena, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_malformed),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_destroy(&arena);
    return failed;
}
