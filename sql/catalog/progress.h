/*
 * sql/catalog/progress.h - how far a long statement is, for pg_stat_progress_create_index and
 * pg_stat_progress_copy.
 *
 * Whoever does the work counts on and stores; who looks at the view reads meanwhile. The numbers
 * of one moment need not fit together.
 */
#ifndef SQL_CATALOG_PROGRESS_H
#define SQL_CATALOG_PROGRESS_H

#include <stdatomic.h>
#include <stdint.h>

enum progress_phase {
    PROGRESS_BEGUN,
    PROGRESS_SCANNING, /* done of total: rows of the table */
    PROGRESS_SORTING,
    PROGRESS_LOADING, /* done of total: entries of the index */
};

enum progress_of {
    PROGRESS_PHASE, /* of an index build; enum progress_phase */
    PROGRESS_RELATION,
    PROGRESS_INDEX,
    PROGRESS_DONE, /* rows */
    PROGRESS_TOTAL,
    PROGRESS_BYTES, /* of COPY */
    PROGRESS_EXCLUDED,
    PROGRESS_NUMBERS,
};

struct progress {
    const char *command; /* constant, as the view shows it */
    _Atomic uint64_t numbers[PROGRESS_NUMBERS];
};

static inline void
progress_set(struct progress *progress, enum progress_of of, uint64_t number)
{
    atomic_store_explicit(&progress->numbers[of], number, memory_order_relaxed);
}

static inline uint64_t
progress_get(const struct progress *progress, enum progress_of of)
{
    return atomic_load_explicit(&progress->numbers[of], memory_order_relaxed);
}

/* By the one task that does the work. */
static inline void
progress_add(struct progress *progress, enum progress_of of, uint64_t number)
{
    progress_set(progress, of, progress_get(progress, of) + number);
}

static inline void
progress_begin_phase(struct progress *progress, enum progress_phase phase, uint64_t total)
{
    progress_set(progress, PROGRESS_DONE, 0);
    progress_set(progress, PROGRESS_TOTAL, total);
    progress_set(progress, PROGRESS_PHASE, phase);
}

#endif /* SQL_CATALOG_PROGRESS_H */
