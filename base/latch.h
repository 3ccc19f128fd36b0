/*
 * base/latch.h - short exclusion between worker threads.
 *
 * A latch guards a few hundred instructions; it is never held over a sleep (task_park asserts that
 * latches_held() is zero). Waiters spin a little, then yield the processor. Fairness is not
 * promised: what can wait long is a lock (txn/), not a latch. The order in which latches nest
 * stands in the head of the file that owns them.
 */
#ifndef BASE_LATCH_H
#define BASE_LATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct latch {
    _Atomic uint32_t held;
};

/* A latch with a version, for optimistic readers (Leis et al., "Optimistic Lock Coupling", 2019):
 * odd while a writer holds it. A reader notes an even version, reads with functions that bear any
 * bytes, and believes what it read only if latch_version_check still agrees. */
struct version_latch {
    _Atomic uint64_t version;
};

void latch_acquire(struct latch *latch);
bool latch_try(struct latch *latch);
void latch_release(struct latch *latch);
/* One turn of a loop that waits for another thread to take its next few steps. */
void latch_spin(unsigned *spins);

void version_latch_acquire(struct version_latch *latch);
bool version_latch_try(struct version_latch *latch);
/* Release and tell readers that the bytes changed. */
void version_latch_release(struct version_latch *latch);
/* Release without a change: readers in flight stay valid. */
void version_latch_release_unchanged(struct version_latch *latch);

/* Spins while a writer is inside; returns an even version. */
uint64_t version_latch_read(const struct version_latch *latch);
/* True if nothing changed since version_latch_read returned `version`. */
bool version_latch_check(const struct version_latch *latch, uint64_t version);

/* How many latches this thread holds now. */
unsigned latches_held(void);

#endif /* BASE_LATCH_H */
