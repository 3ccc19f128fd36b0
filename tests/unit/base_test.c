/* base/: bytes, errors, hashes, lists, latches. Arenas have a test of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/latch.h"
#include "base/list.h"
#include "base/mem.h"

static void
test_numbers(void **state)
{
    (void)state;
    uint8_t bytes[16];
    store_be64(bytes + 1, 0x0102030405060708ULL); /* no alignment needed */
    assert_memory_equal(bytes + 1, "\1\2\3\4\5\6\7\10", 8);
    assert_true(load_be64(bytes + 1) == 0x0102030405060708ULL);
    assert_int_equal(load_be32(bytes + 1), 0x01020304);
    assert_int_equal(load_be16(bytes + 2), 0x0203);
    store_le32(bytes, 0x01020304);
    assert_memory_equal(bytes, "\4\3\2\1", 4);
    assert_int_equal(load_le16(bytes), 0x0304);
}

static void
test_slices(void **state)
{
    (void)state;
    assert_true(slice_compare(slice_of("a", 1), slice_of("ab", 2)) < 0);
    assert_true(slice_compare(slice_of("\xff", 1), slice_of("a", 1)) > 0); /* bytes, not chars */
    assert_int_equal(slice_compare(slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    assert_true(slice_equal(slice_of(NULL, 0), slice_of("x", 0)));
    assert_false(slice_equal(slice_of("ab", 2), slice_of("ac", 2)));
}

static void
test_buffer(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    for (int i = 0; i < 1000; i++) {
        buffer_printf(&buffer, "%d,", i);
    }
    assert_int_equal(buffer.size, 10 * 2 + 90 * 3 + 900 * 4);
    buffer_consume(&buffer, 10 * 2 + 90 * 3);
    assert_memory_equal(buffer.data, "100,101,", 8);
    buffer_consume(&buffer, buffer.size);
    assert_int_equal(buffer.size, 0);
    buffer_add(&buffer, NULL, 0);
    buffer_add_be32(&buffer, 7);
    assert_memory_equal(buffer.data, "\0\0\0\7", 4);
    buffer_destroy(&buffer);
    assert_null(buffer.data);
}

static void
test_diag(void **state)
{
    (void)state;
    struct diag diag;
    diag_clear(&diag);
    assert_int_equal(diag_set(&diag, ERR_UNIQUE, "first %d", 1), ERR_UNIQUE);
    diag_hint(&diag, "h");
    diag_context(&diag, "c");
    diag_names(&diag, "s", NULL, NULL, NULL);
    /* Words may quote the old ones; all else goes. */
    assert_int_equal(diag_set(&diag, ERR_IO, "second after %s", diag.message), ERR_IO);
    assert_string_equal(diag.message, "second after first 1");
    assert_string_equal(diag.hint, "");
    assert_string_equal(diag.context, "");
    assert_string_equal(diag.schema, "");
    assert_int_equal(diag_set(NULL, ERR_IO, "nobody listens"), ERR_IO);
    diag_hint(NULL, "x");
    assert_string_equal(err_sqlstate(ERR_UNIQUE), "23505");
    assert_string_equal(err_condition(ERR_UNIQUE), "unique_violation");
}

static bool
is_utf8_of(const char *text, const char *character, size_t size)
{
    size_t length = strlen(text);
    if (length >= 3 && strcmp(text + length - 3, "...") == 0) {
        length -= 3;
    }
    for (size_t i = 0; i < length; i += size) {
        if (length - i < size || memcmp(text + i, character, size) != 0) {
            return false;
        }
    }
    return true;
}

static void
test_words_are_cut_between_characters(void **state)
{
    (void)state;
    static const char *const characters[] = {"x", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x98"};
    for (size_t size = 1; size <= 4; size++) {
        const char *character = characters[size - 1];
        char text[2000] = "";
        for (size_t at = 0; at + size < sizeof text; at += size) {
            memcpy(text + at, character, size + 1);
            struct diag diag;
            (void)diag_set(&diag, ERR_IO, "%s", text);
            diag_context(&diag, "%s", text);
            diag_names(&diag, text, NULL, NULL, NULL);
            assert_true(strlen(diag.message) < DIAG_TEXT_MAX);
            assert_true(is_utf8_of(diag.message, character, size));
            assert_true(is_utf8_of(diag.context, character, size));
            assert_true(is_utf8_of(diag.schema, character, size));
        }
    }
}

static void
test_sqlstates_are_unique(void **state)
{
    (void)state;
    for (int i = 0; i < ERR_COUNT; i++) {
        assert_int_equal(strlen(err_sqlstate((enum err)i)), 5);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(err_sqlstate((enum err)i), err_sqlstate((enum err)j));
        }
    }
}

static void
test_hashes(void **state)
{
    (void)state;
    /* RFC 3720, B.4, which inverts at the end. */
    assert_int_equal(crc32c(CRC32C_INIT, "123456789", 9), (uint32_t)~0xE3069283U);
    uint8_t zeroes[32] = {0};
    assert_int_equal(crc32c(CRC32C_INIT, zeroes, 32), (uint32_t)~0x8A9136AAU);
    assert_int_equal(
        crc32c(crc32c(CRC32C_INIT, "1234", 4), "56789", 5), crc32c(CRC32C_INIT, "123456789", 9));
    assert_true(hash64("a", 1, 0) != hash64("a", 1, 1));
    assert_true(hash_u64(1) != hash_u64(2));
}

struct element {
    int value;
    struct list_node node;
};

static void
test_list(void **state)
{
    (void)state;
    struct list_node head;
    list_init(&head);
    assert_null(list_pop_front(&head));
    struct element elements[3] = {{.value = 1}, {.value = 2}, {.value = 0}};
    assert_false(list_linked(&elements[0].node));
    list_push_back(&head, &elements[0].node);
    list_push_back(&head, &elements[1].node);
    list_push_front(&head, &elements[2].node);
    int expected = 0;
    LIST_FOREACH (node, &head) {
        assert_int_equal(LIST_ENTRY(node, struct element, node)->value, expected++);
    }
    assert_int_equal(expected, 3);
    list_remove(&elements[0].node);
    list_remove(&elements[0].node); /* harmless */
    assert_ptr_equal(list_pop_front(&head), &elements[2].node);
    assert_ptr_equal(list_pop_front(&head), &elements[1].node);
    assert_true(list_empty(&head));
}

enum {
    ROUNDS = 50000,
    THREADS = 4,
};

static struct {
    struct latch latch;
    struct version_latch version;
    uint64_t plain;
    _Atomic uint64_t a, b; /* equal whenever nobody writes */
} shared;

static void *
latch_main(void *arg)
{
    bool writes = arg != NULL;
    for (int i = 0; i < ROUNDS; i++) {
        latch_acquire(&shared.latch);
        shared.plain++;
        latch_release(&shared.latch);
        if (writes) {
            version_latch_acquire(&shared.version);
            atomic_store_explicit(&shared.a, shared.a + 1, memory_order_relaxed);
            atomic_store_explicit(&shared.b, shared.b + 1, memory_order_relaxed);
            version_latch_release(&shared.version);
            continue;
        }
        uint64_t version = version_latch_read(&shared.version);
        uint64_t a = atomic_load_explicit(&shared.a, memory_order_relaxed);
        uint64_t b = atomic_load_explicit(&shared.b, memory_order_relaxed);
        if (version_latch_check(&shared.version, version)) {
            assert_true(a == b);
        }
    }
    assert_int_equal(latches_held(), 0);
    return NULL;
}

static void
test_latches(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, latch_main, i % 2 == 0 ? &shared : NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(shared.plain == (uint64_t)ROUNDS * THREADS);
    assert_true(shared.a == (uint64_t)ROUNDS * THREADS / 2 && shared.b == shared.a);

    assert_true(latch_try(&shared.latch));
    assert_false(latch_try(&shared.latch));
    assert_int_equal(latches_held(), 1);
    latch_release(&shared.latch);
    uint64_t version = version_latch_read(&shared.version);
    version_latch_acquire(&shared.version);
    assert_false(version_latch_try(&shared.version));
    assert_false(version_latch_check(&shared.version, version));
    version_latch_release_unchanged(&shared.version);
    assert_true(version_latch_check(&shared.version, version));
}

static void
test_strings(void **state)
{
    (void)state;
    char *copy = mem_strdup("text");
    assert_string_equal(copy, "text");
    mem_free(copy);
    mem_free(NULL);
    mem_free(mem_alloc(0));
    mem_trim();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_buffer),
        cmocka_unit_test(test_diag),
        cmocka_unit_test(test_words_are_cut_between_characters),
        cmocka_unit_test(test_sqlstates_are_unique),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_latches),
        cmocka_unit_test(test_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
