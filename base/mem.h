/*
 * base/mem.h - the one door to the heap.
 *
 * For what lives longer than any arena: shared structures, buffers that grow. Running out is an
 * assertion, because budgets are enforced where work enters (base/arena.h). Thread-safe.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Bytes as they were. size == 0 yields a unique address. */
void *mem_alloc(size_t size) __attribute__((malloc, alloc_size(1)));
/* Zeroed. */
void *mem_zalloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *mem_array(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2)));
void *mem_realloc(void *memory, size_t size) __attribute__((alloc_size(2)));
/* alignment: a power of two. */
void *mem_alloc_aligned(size_t alignment, size_t size) __attribute__((malloc, alloc_size(2)));
/* NULL is allowed. */
void mem_free(void *memory);
/* Give free pages back to the system. Takes as long as there are free pieces (milliseconds): call
 * it where nobody waits. */
void mem_trim(void);
char *mem_strdup(const char *text);

/* For pieces of some KiB that many want for a short while, one after the other: a thread keeps
 * a few of each size (a handful of sizes, constants of the program), so that neither does each
 * taking cost a malloc nor do those who rest hold any. Bytes as they were. */
void *mem_spare_take(size_t size) __attribute__((malloc, alloc_size(1)));
void mem_spare_give(void *memory, size_t size);
/* The calling thread has no use for them any more. */
void mem_thread_ends(void);

#endif /* BASE_MEM_H */
