/*
 * Leaves that become sparse are merged, and half-full ones are filled up from their neighbours, and
 * nobody notices: writers fill and empty stretches of a tree between keys that stay, wholly or by
 * about half, while readers scan it both ways and look keys up, and checkpoints come and go; in
 * memory, and with a cache of a few pages. Each key that stays is seen once, in order, with its
 * value. At the end a tree whose leaves are half full has the leaves that its rows need.
 * ctest: threads
 */
#include <stdatomic.h>

#include "tests/unit/btree_util.h"

enum {
    STAYING = 600,
    BETWEEN = 40, /* keys that come and go after each one that stays */
    WRITERS = 3,
    READERS = 3,
    ROUNDS = 12,
};

static const tree_id_t TREE = {1};
static struct btree *store;
static _Atomic int writers_left, tasks_left;
static uint64_t cache_size;

static struct slice
key_of(uint8_t memory[8], uint32_t staying, uint32_t between)
{
    store_be32(memory, staying);
    store_be32(memory + 4, between);
    return slice_of(memory, 8);
}

static enum btree_verdict
put(void *arg, const struct btree_row *current, struct row_head *head)
{
    (void)arg;
    ASSERT(current == NULL);
    *head = (struct row_head){.writer = {1}};
    return BTREE_PUT;
}

static enum btree_verdict
erase(void *arg, const struct btree_row *current, struct row_head *head)
{
    (void)arg;
    (void)head;
    ASSERT(current != NULL);
    return BTREE_ERASE;
}

static void
change(struct task *task, uint32_t staying, uint32_t between, bool add)
{
    struct diag diag;
    uint8_t memory[8];
    static const uint8_t filler[120] = {1};
    struct slice value = add ? slice_of(filler, 40 + staying % 80) : (struct slice){0};
    OK(btree_modify(task, store, TREE, key_of(memory, staying, between), value, 0,
        add ? put : erase, NULL, &diag));
}

/* One of the writers adds or erases what lies between: every `step`th key, from `first` on. */
static void
sweep(struct task *task, uint32_t number, uint32_t first, uint32_t step, bool add)
{
    for (uint32_t i = number; i < STAYING; i += WRITERS) {
        for (uint32_t j = first; j <= BETWEEN; j += step) {
            change(task, i, j, add);
        }
        (void)task_breathe(task, NULL);
    }
}

static void
writer_main(struct task *task, void *arg)
{
    uint32_t number = (uint32_t)(uintptr_t)arg;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        sweep(task, number, 1, 1, true);
        if (round % 2 == 0) {
            sweep(task, number, 1, 1, false);
        } else { /* leaves that are half full for a while: a checkpoint fills them */
            sweep(task, number, 1, 2, false);
            task_sleep(task, 30000);
            sweep(task, number, 2, 2, false);
        }
    }
    atomic_fetch_sub(&writers_left, 1);
    atomic_fetch_sub(&tasks_left, 1);
}

static void
scan(struct task *task, struct btree_cursor *cursor, bool backward)
{
    struct diag diag;
    int64_t last = backward ? STAYING : -1;
    uint64_t last_key = backward ? UINT64_MAX : 0;
    bool first = true;
    OK(btree_cursor_seek(task, cursor, TREE, backward ? BTREE_SEEK_LAST : BTREE_SEEK_FIRST,
        (struct slice){0}, &diag));
    const struct btree_row *row = NULL;
    while ((row = btree_cursor_row(cursor)) != NULL) {
        uint64_t key = load_be64(row->key.data);
        ASSERT(first || (backward ? key < last_key : key > last_key));
        last_key = key;
        first = false;
        if ((uint32_t)key == 0) {
            int64_t staying = (int64_t)(key >> 32);
            ASSERT(staying == (backward ? last - 1 : last + 1));
            ASSERT(row->value.size == 40 + (size_t)staying % 80);
            last = staying;
        }
        OK(backward ? btree_cursor_prev(task, cursor, &diag)
                    : btree_cursor_next(task, cursor, &diag));
        (void)task_breathe(task, NULL);
    }
    ASSERT(last == (backward ? 0 : STAYING - 1));
}

static void
reader_main(struct task *task, void *arg)
{
    uint64_t state = (uintptr_t)arg;
    struct btree_cursor *cursor = btree_cursor_new(store);
    struct arena arena;
    arena_create(&arena, "reader");
    while (atomic_load(&writers_left) > 0) {
        struct diag diag;
        scan(task, cursor, state % 2 == 0);
        for (int i = 0; i < 200; i++) {
            state = hash_u64(state + 1);
            uint8_t memory[8];
            struct btree_row row;
            bool found = false;
            arena_reset(&arena);
            OK(btree_get(task, store, TREE, key_of(memory, (uint32_t)(state % STAYING), 0), &arena,
                &row, &found, &diag));
            ASSERT(found);
        }
        (void)task_breathe(task, NULL);
    }
    arena_destroy(&arena);
    btree_cursor_delete(cursor);
    atomic_fetch_sub(&tasks_left, 1);
}

static struct btree *
open_store(struct task *task, const char *directory)
{
    const struct btree_owner owner = {
        .version_at = newest_version_at, .is_settled = always_settled};
    return test_store_open(task, directory, cache_size, owner, NULL);
}

static void
on_fault(void *arg, const char *words)
{
    (void)arg;
    (void)fprintf(stderr, "%s\n", words);
}

static void
all_writers(struct task *task, uint32_t first, uint32_t step, bool add)
{
    for (uint32_t i = 0; i < WRITERS; i++) {
        sweep(task, i, first, step, add);
    }
}

/* Half of the rows go, evenly: then a checkpoint leaves as many leaves as the others need. */
static void
test_packing(struct task *task, uint64_t *snapshot)
{
    struct diag diag;
    all_writers(task, 1, 1, true);
    OK(btree_checkpoint(task, store, (lsn_t){(*snapshot)++}, (struct slice){0}, &diag));
    uint64_t before = 0;
    uint64_t after = 0;
    uint64_t rows = 0;
    btree_tree_size(store, TREE, &before, &rows);
    all_writers(task, 1, 2, false);
    OK(btree_checkpoint(task, store, (lsn_t){(*snapshot)++}, (struct slice){0}, &diag));
    btree_tree_size(store, TREE, &after, &rows);
    size_t bytes = 0;
    for (size_t i = 0; i < STAYING; i++) {
        bytes += (BETWEEN / 2 + 1) * (8 + 19 + 8 + 40 + i % 80); /* slot, head, key, value */
    }
    (void)fprintf(stderr, "%llu leaves for %llu rows, %llu before\n", (unsigned long long)after,
        (unsigned long long)rows, (unsigned long long)before);
    ASSERT(rows == STAYING * (BETWEEN / 2 + 1));
    ASSERT(after <= bytes / (BTREE_PAGE_SIZE / 8 * 7) + 2);
    OK(btree_check(task, store, TREE, &diag));
    all_writers(task, 2, 2, false);
}

static bool finished;

static void
run(struct task *task, void *arg)
{
    struct diag diag;
    (void)world_mkdir(task, arg, &diag);
    store = open_store(task, arg);
    OK(btree_tree_create(task, store, TREE, &diag));
    for (uint32_t i = 0; i < STAYING; i++) {
        change(task, i, 0, true);
    }
    atomic_store(&writers_left, WRITERS);
    atomic_store(&tasks_left, WRITERS + READERS);
    for (uintptr_t i = 0; i < WRITERS + READERS; i++) {
        OK(task_spawn(task_world(task), (int)i, "actor", i < WRITERS ? writer_main : reader_main,
            (void *)i, &diag));
    }
    uint64_t snapshot = 1;
    while (atomic_load(&writers_left) > 0) {
        OK(btree_checkpoint(task, store, (lsn_t){snapshot++}, (struct slice){0}, &diag));
        task_sleep(task, 20000);
    }
    while (atomic_load(&tasks_left) > 0) {
        task_sleep(task, 1000);
    }
    struct btree_stats stats;
    uint64_t leaves = 0;
    uint64_t rows = 0;
    btree_stats(store, &stats);
    btree_tree_size(store, TREE, &leaves, &rows);
    (void)fprintf(stderr,
        "%llu merges, %llu filled, %llu leaves, %llu rows; %llu checkpoints, %llu evicted\n",
        (unsigned long long)stats.pages_merged, (unsigned long long)stats.pages_filled,
        (unsigned long long)leaves, (unsigned long long)rows, (unsigned long long)snapshot,
        (unsigned long long)stats.pages_evicted);
    ASSERT(rows == STAYING && stats.pages_merged > 20);
    ASSERT(stats.pages_filled > 20);
    test_packing(task, &snapshot);
    struct btree_cursor *cursor = btree_cursor_new(store);
    struct btree_check_report report;
    struct btree_check_listener listener = {.fault = on_fault};
    for (int i = 0; i < 2; i++) {
        scan(task, cursor, false);
        scan(task, cursor, true);
        OK(btree_check(task, store, TREE, &diag));
        OK(btree_check_store(task, store, &listener, &report, &diag));
        ASSERT(report.faults == 0 && report.pages_lost == 0 && report.rows == STAYING);
        btree_cursor_delete(cursor);
        OK(btree_checkpoint(task, store, (lsn_t){snapshot++}, (struct slice){0}, &diag));
        btree_close(task, store);
        store = open_store(task, arg);
        cursor = btree_cursor_new(store);
    }
    btree_cursor_delete(cursor);
    btree_close(task, store);
    finished = true;
    world_stop(task_world(task));
}

/* ---- a checkpoint in a hurry
 * ---------------------------------------------------------------------
 */

static bool hurry;
static uint32_t asked;

static double
how_due(void *arg)
{
    (void)arg;
    double due = (double)asked++ / 2000;
    return hurry || due > 1 ? 1 : due;
}

/* It leaves alone what is not in memory; the next one with time does not. */
static void
run_hurry(struct task *task, void *arg)
{
    struct diag diag;
    uint64_t leaves[3];
    uint64_t rows = 0;
    const struct btree_owner owner = {
        .version_at = newest_version_at, .is_settled = always_settled, .checkpoint_due = how_due};
    (void)world_mkdir(task, arg, &diag);
    store = test_store_open(task, arg, cache_size, owner, NULL);
    OK(btree_tree_create(task, store, TREE, &diag));
    for (uint32_t i = 0; i < STAYING; i++) {
        change(task, i, 0, true);
    }
    all_writers(task, 1, 1, true);
    ASSERT(!btree_is_sparse(store));
    all_writers(task, 1, 2, false);
    btree_tree_size(store, TREE, &leaves[0], &rows);
    for (uint64_t i = 1; i <= 2; i++) {
        ASSERT(btree_is_sparse(store));
        hurry = i == 1;
        OK(btree_checkpoint(task, store, (lsn_t){i}, (struct slice){0}, &diag));
        btree_tree_size(store, TREE, &leaves[i], &rows);
    }
    (void)fprintf(stderr, "%llu leaves, %llu after haste, %llu with time\n",
        (unsigned long long)leaves[0], (unsigned long long)leaves[1],
        (unsigned long long)leaves[2]);
    ASSERT(!btree_is_sparse(store));
    ASSERT(leaves[1] > leaves[0] / 3 * 2 && leaves[2] < leaves[0] / 3 * 2);
    OK(btree_check(task, store, TREE, &diag));
    btree_close(task, store);
    finished = true;
    world_stop(task_world(task));
}

static void
in_simulator(uint64_t seed, task_main *main_function)
{
    struct diag diag;
    struct world_sim_options options = {0};
    struct world *world = world_sim_new(seed, &options);
    static char directory[] = "/data";
    finished = false;
    OK(task_spawn(world, 0, "test", main_function, directory, &diag));
    world_run(world);
    world_delete(world);
    ASSERT(finished);
}

int
main(void)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        cache_size = seed % 2 == 0 ? 1 << 20 : 64 << 20;
        in_simulator(seed, run);
    }
    cache_size = 1 << 20;
    in_simulator(5, run_hurry);
    for (int i = 0; i < 2; i++) {
        cache_size = i == 0 ? 1 << 20 : 64 << 20;
        finished = false;
        test_run_os(run, 2, NULL);
        ASSERT(finished);
    }
    return 0;
}
