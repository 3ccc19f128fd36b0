/* Helpers of the txn_ tests: a database, sessions. */
#ifndef TESTS_UNIT_TXN_UTIL_H
#define TESTS_UNIT_TXN_UTIL_H

#include <stdatomic.h>

#include "base/hash.h"
#include "base/mem.h"
#include "tests/unit/test_util.h"
#include "txn/txn.h"

/* `rebuild` may be NULL: txn_db_options. */
static inline struct txn_db *
test_open_with(
    struct task *task, const char *directory, uint64_t cache_size, txn_rebuild_tree *rebuild)
{
    struct diag diag;
    struct txn_db *db = NULL;
    struct txn_db_options options = {.directory = directory,
        .cache_size = cache_size,
        .wal_segment_size = 1 << 20,
        .rebuild = rebuild,
        .rebuild_arg = (void *)(uintptr_t)directory};
    OK(txn_db_open(task, &options, &db, &diag));
    return db;
}

static inline struct txn_db *
test_open_cache(struct task *task, const char *directory, uint64_t cache_size)
{
    return test_open_with(task, directory, cache_size, NULL);
}

static inline struct txn_db *
test_open(struct task *task, const char *directory)
{
    return test_open_cache(task, directory, 256 << 20);
}

struct test_session {
    struct task *task;
    struct txn *txn;
    struct arena arena;
    struct diag diag;
    struct txn_snapshot snapshot;
};

static inline void
session_create(struct test_session *s, struct task *task, struct txn_db *db, uint32_t pid)
{
    s->task = task;
    s->txn = txn_new(db, pid);
    arena_create(&s->arena, "session");
    diag_clear(&s->diag);
}

static inline void
session_destroy(struct test_session *s)
{
    txn_delete(s->task, s->txn);
    arena_destroy(&s->arena);
}

static inline void
session_begin(struct test_session *s, enum txn_isolation isolation)
{
    struct diag diag;
    OK(txn_begin(s->task, s->txn, isolation, false, &diag));
    s->snapshot = txn_statement_begin(s->txn);
    arena_reset(&s->arena);
}

static inline void
session_statement(struct test_session *s)
{
    s->snapshot = txn_statement_begin(s->txn);
}

static inline void
session_commit(struct test_session *s)
{
    struct diag diag;
    OK(txn_commit(s->task, s->txn, &diag));
}

static inline struct slice
text(const char *t)
{
    return slice_of(t, strlen(t));
}

static inline bool
session_get(struct test_session *s, tree_id_t tree, const char *key, struct txn_row *row)
{
    struct diag diag;
    bool found = false;
    OK(txn_get(s->task, s->txn, s->snapshot, tree, text(key), &s->arena, row, &found, &diag));
    return found;
}

/* Does the session's statement see this value under the key (NULL: nothing)? */
static inline bool
session_sees(struct test_session *s, tree_id_t tree, const char *key, const char *value)
{
    struct txn_row row;
    bool found = session_get(s, tree, key, &row);
    return found ? value != NULL && slice_equal(row.value, text(value)) : value == NULL;
}

static inline enum err
session_insert(struct test_session *s, tree_id_t tree, const char *key, const char *value)
{
    return txn_insert(s->task, s->txn, tree, text(key), text(value), &s->arena, NULL, &s->diag);
}

/* Read, then update what was read; READ COMMITTED: again until it is done. */
static inline enum err
session_update(struct test_session *s, tree_id_t tree, const char *key, const char *value,
    enum txn_outcome *outcome)
{
    struct txn_row row;
    *outcome = TXN_GONE;
    if (!session_get(s, tree, key, &row)) {
        return ERR_OK;
    }
    do {
        TRY(txn_update(s->task, s->txn, s->snapshot, tree, text(key), row.version, text(value),
            &s->arena, &row, outcome, &s->diag));
    } while (*outcome == TXN_CHANGED);
    return ERR_OK;
}

static inline enum err
session_remove(struct test_session *s, tree_id_t tree, const char *key, enum txn_outcome *outcome)
{
    struct txn_row row;
    *outcome = TXN_GONE;
    if (!session_get(s, tree, key, &row)) {
        return ERR_OK;
    }
    do {
        TRY(txn_remove(s->task, s->txn, s->snapshot, tree, text(key), row.version, &s->arena, &row,
            outcome, &s->diag));
    } while (*outcome == TXN_CHANGED);
    return ERR_OK;
}

static inline size_t
session_count(struct test_session *s, tree_id_t tree, bool backward)
{
    struct diag diag;
    struct txn_scan *scan = NULL;
    struct txn_range range = {0};
    OK(txn_scan_open(
        s->task, s->txn, s->snapshot, tree, &range, backward, &s->arena, &scan, &diag));
    size_t count = 0;
    for (;;) {
        struct txn_row row;
        bool found = false;
        OK(txn_scan_next(s->task, scan, &row, &found, &diag));
        if (!found) {
            break;
        }
        count++;
    }
    txn_scan_close(s->task, scan);
    return count;
}

#endif
