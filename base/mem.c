#include "base/mem.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

void *
mem_alloc(size_t size)
{
    void *memory = malloc(size == 0 ? 1 : size);
    ASSERT(memory != NULL);
    return memory;
}

void *
mem_zalloc(size_t size)
{
    void *memory = calloc(1, size == 0 ? 1 : size);
    ASSERT(memory != NULL);
    return memory;
}

void *
mem_array(size_t count, size_t size)
{
    ASSERT(size == 0 || count <= SIZE_MAX / 4 / size);
    return mem_zalloc(count * size);
}

void *
mem_realloc(void *memory, size_t size)
{
    void *moved = realloc(memory, size == 0 ? 1 : size);
    ASSERT(moved != NULL);
    return moved;
}

void *
mem_alloc_aligned(size_t alignment, size_t size)
{
    void *memory = NULL;
    int failed = posix_memalign(&memory, alignment, size == 0 ? 1 : size);
    ASSERT(failed == 0 && memory != NULL);
    return memory;
}

void
mem_free(void *memory)
{
    free(memory);
}

void
mem_trim(void)
{
    (void)malloc_trim(0);
}

char *
mem_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(mem_alloc(size), text, size);
}
