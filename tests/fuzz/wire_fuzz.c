/*
 * Any bytes as what a client sends: each message is cut off where its length says, reading never
 * leaves its body, and what was understood, written again, gives the same bytes.
 */
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
copy_text(struct wire_reader *reader, struct buffer *again)
{
    const uint8_t *before = reader->at;
    const char *text = wire_get_text(reader);
    if (!reader->failed) {
        ASSERT((const uint8_t *)text == before && reader->at[-1] == 0);
        ASSERT(reader->at == before + strlen(text) + 1);
        wire_put_text(again, text);
    } else {
        ASSERT(text[0] == '\0' && reader->at == before);
    }
}

static uint16_t
copy_u16(struct wire_reader *reader, struct buffer *again)
{
    uint16_t value = wire_get_u16(reader);
    ASSERT(!reader->failed || value == 0);
    buffer_add_be16(again, value);
    return value;
}

static uint32_t
copy_u32(struct wire_reader *reader, struct buffer *again)
{
    uint32_t value = wire_get_u32(reader);
    ASSERT(!reader->failed || value == 0);
    buffer_add_be32(again, value);
    return value;
}

static void
copy_codes(struct wire_reader *reader, struct buffer *again)
{
    for (uint16_t left = copy_u16(reader, again); left > 0 && !reader->failed; left--) {
        (void)copy_u16(reader, again);
    }
}

static void
copy_bind(struct wire_reader *reader, struct buffer *again)
{
    copy_text(reader, again);
    copy_text(reader, again);
    copy_codes(reader, again);
    for (uint16_t left = copy_u16(reader, again); left > 0 && !reader->failed; left--) {
        uint32_t size = copy_u32(reader, again);
        if (size != UINT32_MAX) {
            struct slice bytes = wire_get_bytes(reader, size);
            ASSERT(reader->failed ? bytes.size == 0 : bytes.size == size);
            buffer_add(again, bytes.data, bytes.size);
        }
    }
    copy_codes(reader, again);
}

static void
copy_message(char type, struct wire_reader *reader, struct buffer *again)
{
    switch (type) {
    case 'Q':
    case 'f':
        copy_text(reader, again);
        break;
    case 'P':
        copy_text(reader, again);
        copy_text(reader, again);
        for (uint16_t left = copy_u16(reader, again); left > 0 && !reader->failed; left--) {
            (void)copy_u32(reader, again);
        }
        break;
    case 'B':
        copy_bind(reader, again);
        break;
    case 'C':
    case 'D':
        buffer_add_u8(again, wire_get_u8(reader));
        copy_text(reader, again);
        break;
    case 'E':
        copy_text(reader, again);
        (void)copy_u32(reader, again);
        break;
    default: {
        size_t left = (size_t)(reader->end - reader->at);
        struct slice rest = wire_get_bytes(reader, left);
        buffer_add(again, rest.data, rest.size);
    }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct buffer again;
    struct slice rest = slice_of(data, size);
    struct diag diag;
    for (;;) {
        size_t message_size = 0;
        diag_clear(&diag);
        enum err err = wire_message_size(rest, &message_size, &diag);
        if (err != ERR_OK) {
            ASSERT(err == ERR_PROTOCOL && diag.message[0] != '\0' && message_size == 0);
            break;
        }
        if (message_size == 0 || message_size > rest.size) {
            ASSERT(rest.size < 5 || message_size > rest.size);
            break;
        }
        ASSERT(message_size >= 5);
        again.size = 0;
        struct wire_reader reader = wire_reader_of(slice_of(rest.data + 5, message_size - 5));
        size_t start = wire_begin(&again, (char)rest.data[0]);
        copy_message((char)rest.data[0], &reader, &again);
        wire_end(&again, start);
        ASSERT(reader.at <= reader.end);
        if (wire_reader_done(&reader)) {
            ASSERT(again.size == message_size && memcmp(again.data, rest.data, again.size) == 0);
        }
        rest = slice_of(rest.data + message_size, rest.size - message_size);
    }
    buffer_destroy(&again);
    return 0;
}
