/*
 * txn/failures.c - which transactions failed because of others, and where: the most recent 40001s
 * with their DETAIL, and counters per tree. For people to look at; nothing depends on it.
 */
#include <stdio.h>

#include "base/hash.h"
#include "txn/txn_internal.h"

enum {
    KEPT = 100,
    TREES_MAX = 8192, /* a power of two; more trees are counted as one */
};

struct failure {
    int64_t time_us;
    uint32_t pid;
    char detail[TXN_FAILURE_DETAIL_MAX];
};

struct failures {
    struct latch latch; /* the rest */
    struct failure recent[KEPT];
    uint64_t count; /* ever */
    uint32_t tree_count;
    struct txn_failure_count trees[TREES_MAX]; /* by hash of the id, linear probing */
    struct txn_failure_count others;
};

struct failures *
failures__create(void)
{
    return mem_zalloc(sizeof(struct failures));
}

void
failures__destroy(struct failures *failures)
{
    mem_free(failures);
}

static struct txn_failure_count *
count_of(struct failures *failures, tree_id_t tree)
{
    uint64_t at = hash_u64(tree.v);
    for (;; at++) {
        struct txn_failure_count *count = &failures->trees[at % TREES_MAX];
        if (count->tree.v == tree.v) {
            return count;
        }
        if (count->tree.v == 0) {
            if (failures->tree_count >= TREES_MAX / 2) {
                return &failures->others;
            }
            failures->tree_count++;
            count->tree = tree;
            return count;
        }
    }
}

void
failures__count(struct failures *failures, tree_id_t tree, enum failure_kind kind)
{
    ASSERT(tree.v != 0);
    latch_acquire(&failures->latch);
    struct txn_failure_count *count = count_of(failures, tree);
    count->structures += kind == FAILURE_STRUCTURE;
    count->updates += kind == FAILURE_UPDATE;
    count->deadlocks += kind == FAILURE_DEADLOCK;
    latch_release(&failures->latch);
}

void
failures__keep(struct txn_db *db, uint32_t pid, const char *detail)
{
    struct failures *failures = db->failures;
    int64_t now = world_wall_us(db->world);
    latch_acquire(&failures->latch);
    struct failure *failure = &failures->recent[failures->count++ % KEPT];
    failure->time_us = now;
    failure->pid = pid;
    (void)snprintf(failure->detail, sizeof failure->detail, "%s", detail);
    latch_release(&failures->latch);
}

void
txn_serialization_failures(
    struct txn_db *db, void (*each)(void *arg, const struct txn_failure *failure), void *arg)
{
    struct failures *failures = db->failures;
    for (uint64_t i = 0; i < KEPT; i++) {
        struct failure copy;
        latch_acquire(&failures->latch);
        bool have = i < failures->count;
        if (have) {
            copy = failures->recent[(failures->count - 1 - i) % KEPT];
        }
        latch_release(&failures->latch);
        if (!have) {
            return;
        }
        each(arg,
            &(struct txn_failure){.time_us = copy.time_us, .pid = copy.pid, .detail = copy.detail});
    }
}

size_t
txn_failure_counts(struct txn_db *db, struct arena *arena, struct txn_failure_count **counts)
{
    struct failures *failures = db->failures;
    struct txn_failure_count *all = arena_array(arena, TREES_MAX / 2 + 1, sizeof *all);
    size_t count = 0;
    latch_acquire(&failures->latch);
    for (size_t i = 0; i < TREES_MAX; i++) {
        if (failures->trees[i].tree.v != 0) {
            all[count++] = failures->trees[i];
        }
    }
    if (failures->others.structures + failures->others.updates + failures->others.deadlocks > 0) {
        all[count++] = failures->others;
    }
    latch_release(&failures->latch);
    *counts = all;
    return count;
}
