/*
 * base/reader.h - taking apart bytes that somebody wrote earlier: a record of the disk, a message.
 *
 * What is too short sets `bad`, and everything read from then on is zero or empty; so a decoder
 * reads to its end and looks once.
 */
#ifndef BASE_READER_H
#define BASE_READER_H

#include "base/arena.h"
#include "base/bytes.h"

struct reader {
    struct slice rest;
    bool bad;
};

enum {
    READER_TAKE_MAX = 16
};

/* The next bytes, at most READER_TAKE_MAX of them. */
static inline const uint8_t *
reader_take(struct reader *reader, size_t size)
{
    static const uint8_t zeroes[READER_TAKE_MAX];
    if (reader->bad || reader->rest.size < size) {
        reader->bad = true;
        return zeroes;
    }
    const uint8_t *at = reader->rest.data;
    reader->rest = slice_of(at + size, reader->rest.size - size);
    return at;
}

static inline struct slice
reader_run(struct reader *reader, uint64_t size)
{
    if (reader->bad || reader->rest.size < size) {
        reader->bad = true;
        return slice_of("", 0);
    }
    struct slice run = slice_of(reader->rest.data, (size_t)size);
    reader->rest = slice_of(run.data + run.size, reader->rest.size - run.size);
    return run;
}

/* A be32 size and so many bytes; with a NUL, in the arena. */
static inline char *
reader_text(struct reader *reader, struct arena *arena)
{
    struct slice text = reader_run(reader, load_be32(reader_take(reader, 4)));
    return arena_strndup(arena, (const char *)text.data, text.size);
}

/* What reader_text reads; NULL is written as "". */
static inline void
buffer_add_sized(struct buffer *buffer, const char *text)
{
    size_t size = text == NULL ? 0 : strlen(text);
    buffer_add_be32(buffer, (uint32_t)size);
    buffer_add(buffer, text, size);
}

#endif /* BASE_READER_H */
