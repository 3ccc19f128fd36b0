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

/* ---- spare pieces -----------------------------------------------------------------------------
 */

enum {
    SPARE_SIZES = 4,
#if defined(__SANITIZE_ADDRESS__)
    SPARE_BYTES_MAX = 0, /* so that a use after its end is seen */
#else
    SPARE_BYTES_MAX = 256 * 1024, /* of a size and thread */
#endif
};

struct spare {
    struct spare *next;
};

static _Thread_local struct {
    size_t size, bytes;
    struct spare *first;
} spares[SPARE_SIZES];

void *
mem_spare_take(size_t size)
{
    for (int i = 0; i < SPARE_SIZES; i++) {
        if (spares[i].size == size && spares[i].first != NULL) {
            struct spare *taken = spares[i].first;
            spares[i].first = taken->next;
            spares[i].bytes -= size;
            return taken;
        }
    }
    return mem_alloc(size);
}

void
mem_spare_give(void *memory, size_t size)
{
    ASSERT(size >= sizeof(struct spare));
    for (int i = 0; i < SPARE_SIZES; i++) {
        if (spares[i].size == 0) {
            spares[i].size = size;
        }
        if (spares[i].size == size && spares[i].bytes + size <= SPARE_BYTES_MAX) {
            struct spare *given = memory;
            given->next = spares[i].first;
            spares[i].first = given;
            spares[i].bytes += size;
            return;
        }
    }
    mem_free(memory);
}

void
mem_thread_ends(void)
{
    for (int i = 0; i < SPARE_SIZES; i++) {
        while (spares[i].first != NULL) {
            struct spare *last = spares[i].first;
            spares[i].first = last->next;
            mem_free(last);
        }
        spares[i].bytes = 0;
    }
}
