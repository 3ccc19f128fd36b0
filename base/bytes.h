/*
 * base/bytes.h - numbers to bytes and back, and a byte buffer that grows.
 *
 * le: little-endian, for our own files. be: big-endian, for the wire and for keys whose order is
 * memcmp's. Addresses need no alignment.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed run of bytes. */
struct slice {
    const uint8_t *data;
    size_t size;
};

static inline struct slice
slice_of(const void *data, size_t size)
{
    return (struct slice){.data = data, .size = size};
}

/* How many bytes the two begin with in common. */
static inline size_t
slice_common(struct slice a, struct slice b)
{
    size_t common = 0;
    while (common < a.size && common < b.size && a.data[common] == b.data[common]) {
        common++;
    }
    return common;
}

static inline bool
slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* memcmp order; a prefix sorts first. */
static inline int
slice_compare(struct slice a, struct slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

#define BYTES_DEFINE(bits)                                            \
    static inline uint##bits##_t load_le##bits(const void *from)      \
    {                                                                 \
        uint##bits##_t value;                                         \
        memcpy(&value, from, sizeof value);                           \
        return value;                                                 \
    }                                                                 \
    static inline void store_le##bits(void *to, uint##bits##_t value) \
    {                                                                 \
        memcpy(to, &value, sizeof value);                             \
    }                                                                 \
    static inline uint##bits##_t load_be##bits(const void *from)      \
    {                                                                 \
        uint##bits##_t value;                                         \
        memcpy(&value, from, sizeof value);                           \
        return __builtin_bswap##bits(value);                          \
    }                                                                 \
    static inline void store_be##bits(void *to, uint##bits##_t value) \
    {                                                                 \
        value = __builtin_bswap##bits(value);                         \
        memcpy(to, &value, sizeof value);                             \
    }

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "load_le is a plain load");
BYTES_DEFINE(16)
BYTES_DEFINE(32)
BYTES_DEFINE(64)
#undef BYTES_DEFINE

/* A growing buffer on the heap. Zero-initialise, buffer_destroy at the end. Owners check their
 * limit on size before they add what came from outside. */
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

void buffer_destroy(struct buffer *buffer);
/* Make room for `more` bytes and return where they go; size does not change. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t more);
/* Reserve and count them in; the bytes are for the caller to fill. */
uint8_t *buffer_extend(struct buffer *buffer, size_t more);
void buffer_add(struct buffer *buffer, const void *bytes, size_t size);
void buffer_add_text(struct buffer *buffer, const char *text); /* without the NUL */
static inline void
buffer_add_u8(struct buffer *buffer, uint8_t value)
{
    if (buffer->size == buffer->capacity) {
        (void)buffer_reserve(buffer, 1);
    }
    buffer->data[buffer->size++] = value;
}
void buffer_add_be16(struct buffer *buffer, uint16_t value);
void buffer_add_be32(struct buffer *buffer, uint32_t value);
void buffer_add_be64(struct buffer *buffer, uint64_t value);
void buffer_add_decimal(struct buffer *buffer, int64_t value); /* as %lld, but fast */
void buffer_printf(struct buffer *buffer, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Forget the first `size` bytes (moves the rest down). */
void buffer_consume(struct buffer *buffer, size_t size);

#endif /* BASE_BYTES_H */
