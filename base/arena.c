#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

/*
 * Invariants
 *
 *   A1. Blocks form a stack: head is the newest, and only head has free room that is used.
 *   A2. head->used <= head->size, and every returned address is a multiple of ALIGNMENT.
 *   A3. A mark's block is in the stack, or the mark is stale (a caller's bug, asserted).
 *   A4. A thread keeps a few empty blocks of BLOCK_SIZE_MIN for whichever arena of its wants one
 * next: a short statement costs no malloc, and an arena at rest holds nothing.
 */

enum {
    ALIGNMENT = 16,
    BLOCK_SIZE_SMALL = 1024 - 64,
    BLOCK_SIZE_MIN = 8192 - 64,
    BLOCK_SIZE_GROWN = 65536 - 64, /* once an arena is past a few blocks */
};

struct arena_block {
    struct arena_block *older;
    size_t size;
    size_t used;
    size_t reserved; /* keeps bytes[] at a multiple of ALIGNMENT */
    unsigned char bytes[];
};

_Static_assert(offsetof(struct arena_block, bytes) % ALIGNMENT == 0, "A2: bytes[] is aligned");

static size_t
round_up(size_t size)
{
    return (size + (ALIGNMENT - 1)) & ~(size_t)(ALIGNMENT - 1);
}

static void
arena_push_block(struct arena *arena, size_t size_needed)
{
    size_t size = arena->used > 4 * (size_t)BLOCK_SIZE_MIN ? BLOCK_SIZE_GROWN : BLOCK_SIZE_MIN;
    if (arena->small) {
        /* A half more at a time: little is wasted at the end. */
        size_t grown = arena->used / 2 / ALIGNMENT * ALIGNMENT;
        size = grown < BLOCK_SIZE_SMALL ? BLOCK_SIZE_SMALL : grown < size ? grown : size;
    }
    size = size_needed > size ? size_needed : size;
    struct arena_block *block = size == BLOCK_SIZE_MIN ? mem_spare_take(sizeof *block + size)
                                                       : mem_alloc(sizeof *block + size);
    block->size = size;
    block->older = arena->head;
    block->used = 0;
    arena->head = block;
}

static void
arena_pop_block(struct arena *arena)
{
    struct arena_block *block = arena->head;
    arena->head = block->older;
    if (block->size == BLOCK_SIZE_MIN) {
        mem_spare_give(block, sizeof *block + BLOCK_SIZE_MIN);
    } else {
        mem_free(block);
    }
}

void
arena_create(struct arena *arena, const char *name)
{
    *arena = (struct arena){.name = name};
}

void
arena_create_small(struct arena *arena, const char *name)
{
    *arena = (struct arena){.name = name, .small = true};
}

void
arena_destroy(struct arena *arena)
{
    arena_reset(arena);
}

void *
arena_alloc_raw(struct arena *arena, size_t size)
{
    ASSERT(size < SIZE_MAX / 2);
    size_t need = size == 0 ? ALIGNMENT : round_up(size);

    if (arena->head == NULL || arena->head->size - arena->head->used < need) {
        arena_push_block(arena, need);
    }
    struct arena_block *head = arena->head;
    ASSERT(head->size - head->used >= need);

    void *memory = head->bytes + head->used;
    head->used += need;
    arena->used += need;
    return memory;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
    return memset(arena_alloc_raw(arena, size), 0, size);
}

void *
arena_array(struct arena *arena, size_t count, size_t size)
{
    ASSERT(size == 0 || count <= SIZE_MAX / 4 / size);
    return arena_alloc(arena, count * size);
}

void *
arena_copy(struct arena *arena, const void *bytes, size_t size)
{
    void *copy = arena_alloc_raw(arena, size);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

char *
arena_strndup(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_alloc_raw(arena, length + 1);
    if (length > 0) {
        memcpy(copy, text, length);
    }
    copy[length] = '\0';
    return copy;
}

char *
arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *
arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    ASSERT(length >= 0);
    char *text = arena_alloc_raw(arena, (size_t)length + 1);
    (void)vsnprintf(text, (size_t)length + 1, fmt, again);
    va_end(again);
    return text;
}

struct arena_mark
arena_mark(const struct arena *arena)
{
    return (struct arena_mark){
        .block = arena->head,
        .block_used = arena->head == NULL ? 0 : arena->head->used,
        .used = arena->used,
    };
}

void
arena_rewind(struct arena *arena, struct arena_mark mark)
{
    while (arena->head != mark.block) {
        ASSERT(arena->head != NULL); /* A3: a stale mark walks off the end */
        arena_pop_block(arena);
    }
    if (mark.block != NULL) {
        ASSERT(mark.block_used <= mark.block->used);
        mark.block->used = mark.block_used;
    }
    arena->used = mark.used;
}

void
arena_reset(struct arena *arena)
{
    arena_rewind(arena, (struct arena_mark){0});
}

size_t
arena_used(const struct arena *arena)
{
    return arena->used;
}
