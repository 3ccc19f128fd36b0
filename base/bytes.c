#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"

void
buffer_destroy(struct buffer *buffer)
{
    mem_free(buffer->data);
    *buffer = (struct buffer){0};
}

uint8_t *
buffer_reserve(struct buffer *buffer, size_t more)
{
    ASSERT(more < SIZE_MAX / 4 && buffer->size <= buffer->capacity);
    if (buffer->capacity - buffer->size < more) {
        size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity * 2;
        while (capacity - buffer->size < more) {
            capacity *= 2;
        }
        buffer->data = mem_realloc(buffer->data, capacity);
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->size;
}

uint8_t *
buffer_extend(struct buffer *buffer, size_t more)
{
    uint8_t *room = buffer_reserve(buffer, more);
    buffer->size += more;
    return room;
}

void
buffer_add(struct buffer *buffer, const void *bytes, size_t size)
{
    if (size > 0) {
        memcpy(buffer_extend(buffer, size), bytes, size);
    }
}

void
buffer_add_text(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

void
buffer_add_be16(struct buffer *buffer, uint16_t value)
{
    store_be16(buffer_extend(buffer, 2), value);
}

void
buffer_add_be32(struct buffer *buffer, uint32_t value)
{
    store_be32(buffer_extend(buffer, 4), value);
}

void
buffer_add_be64(struct buffer *buffer, uint64_t value)
{
    store_be64(buffer_extend(buffer, 8), value);
}

void
buffer_add_decimal(struct buffer *buffer, int64_t value)
{
    enum {
        DIGITS_MAX = 20
    };
    uint8_t digits[DIGITS_MAX];
    size_t at = DIGITS_MAX;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (uint8_t)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    buffer_add(buffer, digits + at, DIGITS_MAX - at);
}

void
buffer_printf(struct buffer *buffer, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    ASSERT(length >= 0);
    uint8_t *room = buffer_reserve(buffer, (size_t)length + 1);
    (void)vsnprintf((char *)room, (size_t)length + 1, fmt, again);
    va_end(again);
    buffer->size += (size_t)length;
}

void
buffer_consume(struct buffer *buffer, size_t size)
{
    ASSERT(size <= buffer->size);
    buffer->size -= size;
    if (buffer->size > 0 && size > 0) {
        memmove(buffer->data, buffer->data + size, buffer->size);
    }
}
