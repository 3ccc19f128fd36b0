#include "base/latch.h"

#include <sched.h>

#include "base/assert.h"

enum {
    SPINS_BEFORE_YIELD = 64,
};

static _Thread_local unsigned held_count;

void
latch_spin(unsigned *spins)
{
    if (++*spins % SPINS_BEFORE_YIELD == 0) {
        (void)sched_yield();
    } else {
        __builtin_ia32_pause();
    }
}

bool
latch_try(struct latch *latch)
{
    uint32_t free_word = 0;
    if (!atomic_compare_exchange_strong_explicit(
            &latch->held, &free_word, 1, memory_order_acquire, memory_order_relaxed)) {
        return false;
    }
    held_count++;
    return true;
}

void
latch_acquire(struct latch *latch)
{
    unsigned spins = 0;
    while (!latch_try(latch)) {
        latch_spin(&spins);
    }
}

void
latch_release(struct latch *latch)
{
    ASSERT(held_count > 0);
    held_count--;
    ASSERT(atomic_load_explicit(&latch->held, memory_order_relaxed) == 1);
    atomic_store_explicit(&latch->held, 0, memory_order_release);
}

bool
version_latch_try(struct version_latch *latch)
{
    uint64_t version = atomic_load_explicit(&latch->version, memory_order_relaxed);
    if ((version & 1) != 0 || !atomic_compare_exchange_strong_explicit(&latch->version, &version,
                                  version + 1, memory_order_acquire, memory_order_relaxed)) {
        return false;
    }
    /* Stores inside the critical section must not be seen before the odd version. */
    atomic_thread_fence(memory_order_release);
    held_count++;
    return true;
}

void
version_latch_acquire(struct version_latch *latch)
{
    unsigned spins = 0;
    while (!version_latch_try(latch)) {
        latch_spin(&spins);
    }
}

static void
version_latch_leave(struct version_latch *latch, uint64_t step)
{
    ASSERT(held_count > 0);
    held_count--;
    uint64_t version = atomic_load_explicit(&latch->version, memory_order_relaxed);
    ASSERT((version & 1) == 1);
    atomic_store_explicit(&latch->version, version + step, memory_order_release);
}

void
version_latch_release(struct version_latch *latch)
{
    version_latch_leave(latch, 1);
}

void
version_latch_release_unchanged(struct version_latch *latch)
{
    version_latch_leave(latch, (uint64_t)-1);
}

uint64_t
version_latch_read(const struct version_latch *latch)
{
    unsigned spins = 0;
    for (;;) {
        uint64_t version = atomic_load_explicit(&latch->version, memory_order_acquire);
        if ((version & 1) == 0) {
            return version;
        }
        latch_spin(&spins);
    }
}

bool
version_latch_check(const struct version_latch *latch, uint64_t version)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&latch->version, memory_order_relaxed) == version;
}

unsigned
latches_held(void)
{
    return held_count;
}
