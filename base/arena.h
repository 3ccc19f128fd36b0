/*
 * base/arena.h - memory that is released by lifetime, not by piece.
 *
 * Each arena is named after what it lives as long as: session, txn, statement, row. Whoever
 * returns memory takes the arena to put it in, so a signature says how long the result lives.
 * Nothing inside an arena is freed alone; the owner rewinds or destroys the whole.
 *
 * arena_alloc never returns NULL. The limit is the owner's business: it asks arena_used() at the
 * places where work enters (a row, a statement) and says ERR_LIMIT there, once, in plain words.
 *
 * Not thread-safe: an arena belongs to one task.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_block;

struct arena {
    const char *name; /* for memory reports: "statement" */
    struct arena_block *head;
    size_t used; /* bytes handed out since the last full rewind */
    bool small;  /* arena_create_small */
};

/* A point to come back to. Valid until the arena is rewound to an earlier one. */
struct arena_mark {
    struct arena_block *block;
    size_t block_used;
    size_t used;
};

void arena_create(struct arena *arena, const char *name);
/* For many that live long and hold little: its blocks begin at 1 KiB. */
void arena_create_small(struct arena *arena, const char *name);
void arena_destroy(struct arena *arena);

/* Zeroed memory, aligned for any type (16). size == 0 is allowed and yields a unique address. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((malloc, alloc_size(2)));

/* The same, but the bytes are whatever they were. For hot paths that fill what they ask for. */
void *arena_alloc_raw(struct arena *arena, size_t size) __attribute__((malloc, alloc_size(2)));

/* count * size zeroed bytes; an overflow is an assertion (counts are checked where they enter). */
void *arena_array(struct arena *arena, size_t count, size_t size)
    __attribute__((malloc, alloc_size(2, 3)));

/* Copies; the string forms end in NUL. */
void *arena_copy(struct arena *arena, const void *bytes, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct arena_mark arena_mark(const struct arena *arena);
void arena_rewind(struct arena *arena, struct arena_mark mark);
/* Rewind to empty. */
void arena_reset(struct arena *arena);

size_t arena_used(const struct arena *arena);

#endif /* BASE_ARENA_H */
