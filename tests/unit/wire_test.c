/* wire/: messages byte by byte, and reading that never leaves a body. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/wire.h"

#define assert_bytes(buffer, text)                                     \
    do {                                                               \
        assert_int_equal((buffer)->size, sizeof(text) - 1);            \
        assert_memory_equal((buffer)->data, (text), sizeof(text) - 1); \
        (buffer)->size = 0;                                            \
    } while (0)

static void
test_builders(void **state)
{
    (void)state;
    struct buffer out = {0};
    wire_put_empty(&out, '1');
    assert_bytes(&out, "1\0\0\0\4");
    wire_put_authentication(&out, 10);
    assert_bytes(&out, "R\0\0\0\10\0\0\0\12");
    wire_put_parameter_status(&out, "a", "bc");
    assert_bytes(&out, "S\0\0\0\11a\0bc\0");
    wire_put_backend_key(&out, 1, 0xfffffffe);
    assert_bytes(&out, "K\0\0\0\14\0\0\0\1\xff\xff\xff\xfe");
    wire_put_ready(&out, 'T');
    assert_bytes(&out, "Z\0\0\0\5T");
    wire_put_command_complete(&out, "SELECT 1");
    assert_bytes(&out, "C\0\0\0\15SELECT 1\0");
    const char *const options[] = {"_pq_.x"};
    wire_put_negotiate(&out, 0, options, 1);
    assert_bytes(&out, "v\0\0\0\23\0\3\0\0\0\0\0\1_pq_.x\0"); /* 3.0, as PostgreSQL says it */
    /* One behind another: a length counts from its own message. */
    wire_put_ready(&out, 'I');
    wire_put_ready(&out, 'E');
    assert_bytes(&out, "Z\0\0\0\5IZ\0\0\0\5E");
    buffer_destroy(&out);
}

static void
test_diag(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct diag diag;
    diag_clear(&diag);
    (void)diag_set(&diag, ERR_UNIQUE, "twice");
    diag_detail(&diag, "Key.");
    diag_hint(&diag, "Do not.");
    diag_context(&diag, "line %d", 3);
    diag_position(&diag, 12);
    diag_names(&diag, "public", "t", "c", "t_pkey");
    diag.file = "x.c";
    diag.line = 7;
    wire_put_diag(&out, 'E', "ERROR", &diag);
    assert_int_equal(load_be32(out.data + 1), out.size - 1);
    buffer_consume(&out, 5);
    assert_bytes(&out,
        "SERROR\0VERROR\0C23505\0Mtwice\0DKey.\0HDo not.\0Wline 3\0P12\0spublic\0tt\0cc\0"
        "nt_pkey\0Fx.c\0L7\0\0");
    /* Fields that are not there are left out, but the message always stands. */
    diag_clear(&diag);
    diag.code = ERR_INTERNAL;
    wire_put_diag(&out, 'N', "NOTICE", &diag);
    buffer_consume(&out, 5);
    assert_bytes(&out, "SNOTICE\0VNOTICE\0CXX000\0M\0\0");
    buffer_destroy(&out);
}

static void
test_reader(void **state)
{
    (void)state;
    static const uint8_t bytes[] = "\1\0\2\0\0\0\3ab\0xy";
    struct wire_reader reader = wire_reader_of(slice_of(bytes, sizeof bytes - 1));
    assert_int_equal(wire_get_u8(&reader), 1);
    assert_int_equal(wire_get_u16(&reader), 2);
    assert_int_equal(wire_get_u32(&reader), 3);
    assert_string_equal(wire_get_text(&reader), "ab");
    assert_false(wire_reader_done(&reader));
    struct slice two = wire_get_bytes(&reader, 2);
    assert_int_equal(two.size, 2);
    assert_memory_equal(two.data, "xy", 2);
    assert_true(wire_reader_done(&reader));

    /* Past the end: zeroes, and it stays failed. */
    assert_int_equal(wire_get_u8(&reader), 0);
    assert_false(wire_reader_done(&reader));
    reader = wire_reader_of(slice_of(bytes, 3));
    assert_int_equal(wire_get_u32(&reader), 0);
    assert_int_equal(wire_get_u8(&reader), 0);
    assert_true(reader.failed);
    /* A text without its NUL, and none at all. */
    reader = wire_reader_of(slice_of("ab", 2));
    assert_string_equal(wire_get_text(&reader), "");
    assert_true(reader.failed);
    reader = wire_reader_of(slice_of(bytes, 0));
    assert_string_equal(wire_get_text(&reader), "");
    assert_true(reader.failed);
    /* A size that would wrap round. */
    reader = wire_reader_of(slice_of(bytes, 5));
    assert_int_equal(wire_get_bytes(&reader, SIZE_MAX).size, 0);
    assert_true(reader.failed);
}

static enum err
size_of(const char *bytes, size_t given, size_t *size)
{
    struct diag diag;
    diag_clear(&diag);
    return wire_message_size(slice_of(bytes, given), size, &diag);
}

static void
test_message_size(void **state)
{
    (void)state;
    size_t size = 99;
    for (size_t given = 0; given < 5; given++) { /* the head is not all there */
        assert_int_equal(size_of("Q\0\0\0\5", given, &size), ERR_OK);
        assert_int_equal(size, 0);
    }
    assert_int_equal(size_of("Q\0\0\0\5", 5, &size), ERR_OK);
    assert_int_equal(size, 6);
    assert_int_equal(size_of("Q\0\0\0\3", 5, &size), ERR_PROTOCOL);
    assert_int_equal(size_of("Q\xff\xff\xff\xff", 5, &size), ERR_PROTOCOL);
    /* Only what can be large may be. */
    assert_int_equal(size_of("B\x3f\xff\xff\xff", 5, &size), ERR_OK);
    assert_int_equal(size_of("B\x40\0\0\0", 5, &size), ERR_PROTOCOL);
    assert_int_equal(size_of("S\0\1\0\0", 5, &size), ERR_PROTOCOL);
    assert_int_equal(size_of("E\0\0\x75\x30", 5, &size), ERR_OK); /* 30,000 */
    assert_int_equal(size_of("E\0\0\x75\x31", 5, &size), ERR_PROTOCOL);
    /* A type that does not exist is refused before a byte of it is gathered. */
    static const char nobody[] = "GpA0 \x7f";
    for (size_t i = 0; i < sizeof nobody; i++) { /* the NUL too */
        assert_int_equal(size_of(&nobody[i], 1, &size), ERR_PROTOCOL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builders),
        cmocka_unit_test(test_diag),
        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_message_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
