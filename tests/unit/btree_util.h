/* Helpers of the btree_ tests, fuzzer and bench: owners of rows that have no versions, opening. */
#ifndef TESTS_UNIT_BTREE_UTIL_H
#define TESTS_UNIT_BTREE_UTIL_H

#include "base/hash.h"
#include "btree/btree.h"
#include "tests/unit/test_util.h"

/* The newest version is the one that every snapshot sees. */
static inline enum err
newest_version_at(struct task *task, void *arg, const struct btree_row *row, lsn_t snapshot,
    struct btree_version *version, struct diag *diag)
{
    (void)task;
    (void)arg;
    (void)diag;
    (void)snapshot;
    version->value = row->value;
    version->flags = row->head.flags & ROW_OVERFLOW;
    version->exists = true;
    return ERR_OK;
}

static inline bool
always_settled(void *arg, txn_id_t writer)
{
    (void)arg;
    (void)writer;
    return true;
}

/* The store of a directory; `info` may be NULL. */
static inline struct btree *
test_store_open(struct task *task, const char *directory, uint64_t cache_size,
    struct btree_owner owner, struct btree_checkpoint_info *info)
{
    struct diag diag;
    struct btree *store = NULL;
    struct btree_checkpoint_info unused;
    const struct btree_options options = {
        .directory = directory, .cache_size = cache_size, .owner = owner};
    OK(btree_open(task, &options, &store, info == NULL ? &unused : info, &diag));
    return store;
}

/* The next of a row of random numbers. */
static inline uint64_t
test_random(uint64_t *state)
{
    return hash_u64(*state += 0x9e3779b97f4a7c15ULL);
}

/* A row's value, from its overflow pages if it is there. */
static inline struct slice
test_value(struct task *task, struct btree *store, const struct btree_row *row, struct arena *into)
{
    struct diag diag;
    struct slice value = row->value;
    if ((row->head.flags & ROW_OVERFLOW) != 0) {
        OK(btree_value_load(task, store, row->value, into, &value, &diag));
    }
    return value;
}

#endif
