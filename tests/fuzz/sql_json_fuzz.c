/*
 * jsonb from anything. First byte even: two texts that 0x1F separates; what is JSON prints, is read
 * again as the same bytes, and goes through every operator. Odd: bytes as they might come from a
 * damaged page; the reader takes them without harm, and what jsonb__check finds sound is what
 * encoding its text makes.
 */
#include "sql/value/json.h"
#include "tests/fuzz/sql_fuzz.h"

static void
check_same(struct datum value)
{
    struct buffer text = {0};
    struct buffer key = {0};
    struct datum again;
    ASSERT(jsonb__check(slice_of(value.p, value.size)));
    type_output(&env, TYPE_JSONB, value, &text);
    ASSERT(type_input(&eval, TYPE_JSONB, -1, slice_of(text.data, text.size), &again) == ERR_OK);
    ASSERT(slice_equal(slice_of(value.p, value.size), slice_of(again.p, again.size)));
    key_encode(&key, TYPE_JSONB, value, KEY_DESCENDING);
    struct slice rest = slice_of(key.data, key.size);
    ASSERT(key_decode(&arena, &rest, TYPE_JSONB, KEY_DESCENDING, &again, &diag) == ERR_OK);
    ASSERT(rest.size == 0 && datum_compare(TYPE_JSONB, value, again) == 0);
    ASSERT(datum_hash(TYPE_JSONB, value, 1) == datum_hash(TYPE_JSONB, again, 1));
    buffer_destroy(&text);
    buffer_destroy(&key);
}

static void
check_order(struct datum a, struct datum b)
{
    struct buffer x = {0};
    struct buffer y = {0};
    key_encode(&x, TYPE_JSONB, a, 0);
    key_encode(&y, TYPE_JSONB, b, 0);
    int bytes = slice_compare(slice_of(x.data, x.size), slice_of(y.data, y.size));
    int values = datum_compare(TYPE_JSONB, a, b);
    ASSERT((bytes > 0) == (values > 0) && (bytes < 0) == (values < 0));
    buffer_destroy(&x);
    buffer_destroy(&y);
}

/* Each operator on jsonb, its right side from the same text where it is not jsonb. */
static void
check_operators(struct datum left, struct datum right, struct slice text, bool sound)
{
    size_t count = 0;
    const struct operator_def *all = operator_all(&count);
    struct datum name = datum_bytes(text.data, text.size);
    for (size_t i = 0; i < count; i++) {
        if (all[i].left != TYPE_JSONB) {
            continue;
        }
        struct datum args[2] = {left, right};
        args[1] = all[i].right == TYPE_TEXT         ? name
                  : all[i].right == TYPE_INT4       ? datum_int((int64_t)(text.size % 7) - 3)
                  : all[i].right == TYPE_TEXT_ARRAY ? array_make(&arena, TYPE_TEXT, false, &name, 1)
                                                    : right;
        struct datum result = datum_null();
        if (all[i].function->call(&eval, args, 2, &result) == ERR_OK && !result.null) {
            struct buffer out = {0};
            type_output(&env, all[i].result, result, &out);
            if (all[i].result == TYPE_JSONB && sound) {
                check_same(result);
            }
            buffer_destroy(&out);
        }
    }
}

static void
run(uint8_t choice, struct slice rest)
{
    if (choice % 2 != 0) {
        struct datum value = datum_bytes(rest.data, rest.size);
        struct buffer out = {0};
        jsonb__output(value, &out);
        buffer_destroy(&out);
        check_operators(value, value, slice_of("a", 1), false);
        if (jsonb__check(rest)) {
            check_same(value);
        }
    } else if (is_utf8(rest)) {
        const uint8_t *middle = rest.size == 0 ? NULL : memchr(rest.data, 0x1F, rest.size);
        size_t first = middle == NULL ? rest.size : (size_t)(middle - rest.data);
        struct slice other = middle == NULL ? rest : slice_of(middle + 1, rest.size - first - 1);
        struct datum a, b;
        enum err a_err = type_input(&eval, TYPE_JSONB, -1, slice_of(rest.data, first), &a);
        enum err b_err = type_input(&eval, TYPE_JSONB, -1, other, &b);
        struct datum json;
        if (a_err == ERR_OK) {
            ASSERT(type_input(&eval, TYPE_JSON, -1, slice_of(rest.data, first), &json) == ERR_OK);
            check_same(a);
            check_operators(a, b_err == ERR_OK ? b : a, other, true);
        }
        if (a_err == ERR_OK && b_err == ERR_OK) {
            check_order(a, b);
            check_order(b, a);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_input(data, size, run);
}
