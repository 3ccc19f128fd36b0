/*
 * Several workers on one store at once: writers, readers, scans in both directions, values in
 * overflow pages, trees that come and go, and checkpoints all the while. Each writer owns every
 * N-th key and counts up in its rows, so that each reader can tell a torn or lost row:
 *
 *   - the stable keys (never erased) are seen by every scan exactly once, in order;
 *   - a value's bytes all agree with its head, and a row's counter never goes back.
 *
 * In the end the store is checkpointed, reopened, and holds what the writers remember. All this
 * with room for every page, and once more with so few frames that pages leave and come back all the
 * time.
 *
 * ctest: threads
 */
#include <stdatomic.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/unit/btree_util.h"

enum {
    WRITERS = 4,
    READERS = 3,
    KEYS = 3000,   /* even numbers are stable, odd ones come and go */
    STEPS = 30000, /* and at least this long: */
    DURATION_US = 1500000,
};

static const tree_id_t TREE = {1};
static struct btree *store;
static size_t value_mask;
static uint32_t counters[KEYS]; /* by the key's writer; 0: no row */
static _Atomic int writers_left, tasks_left;

static struct slice
key_of(uint32_t number, uint8_t *memory)
{
    memory[0] = 'k';
    store_be32(memory + 1, number);
    size_t size = 5 + hash_u64(number) % 60;
    memset(memory + 5, 'z', size - 5);
    return slice_of(memory, size);
}

struct change {
    uint64_t counter;
    bool erase;
};

static enum btree_verdict
decide(void *arg, const struct btree_row *current, struct row_head *head)
{
    const struct change *change = arg;
    if (change->erase) {
        return current == NULL ? BTREE_KEEP : BTREE_ERASE;
    }
    *head = (struct row_head){.writer = {change->counter}, .undo = change->counter};
    return BTREE_PUT;
}

static void
check_row(const struct btree_row *row)
{
    ASSERT(row->head.writer.v == row->head.undo);
    if ((row->head.flags & ROW_OVERFLOW) == 0 && row->value.size > 0) {
        uint8_t fill = row->value.data[0];
        ASSERT(row->head.undo == 0 || fill == (uint8_t)row->head.undo); /* 0: it was settled */
        for (size_t i = 0; i < row->value.size; i++) {
            ASSERT(row->value.data[i] == fill);
        }
    }
}

static void
write_rows(struct task *task, void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg;
    uint64_t seed = me;
    struct diag diag;
    uint8_t memory[80];
    uint8_t *value = mem_alloc(40000);
    int64_t end_us = world_clock_us(task_world(task)) + DURATION_US;
    for (uint32_t step = 0; step < STEPS || world_clock_us(task_world(task)) < end_us; step++) {
        uint64_t random = test_random(&seed);
        uint32_t number = (uint32_t)(random % (KEYS / WRITERS)) * WRITERS + me;
        struct change change = {.counter = counters[number] + 1};
        change.erase = number % 2 == 1 && random >> 60 < 6;
        size_t size = random >> 40 & value_mask;
        size = (random >> 50) % 50 == 0 ? 1000 + size : size;
        memset(value, (int)(uint8_t)change.counter, size);
        ASSERT(btree_modify(task, store, TREE, key_of(number, memory), slice_of(value, size), 0,
                   decide, &change, &diag) == ERR_OK);
        counters[number] = change.erase ? 0 : (uint32_t)change.counter;
        (void)task_breathe(task, NULL);
    }
    mem_free(value);
    atomic_fetch_sub(&writers_left, 1);
    atomic_fetch_sub(&tasks_left, 1);
}

static void
read_rows(struct task *task, void *arg)
{
    bool backward = (uintptr_t)arg == 1;
    bool points = (uintptr_t)arg == 2;
    struct diag diag;
    uint8_t memory[80];
    uint64_t *seen = mem_array(KEYS, sizeof *seen);
    struct btree_cursor *cursor = btree_cursor_new(store);
    struct arena arena;
    arena_create(&arena, "row");
    uint64_t seed = 99;
    while (atomic_load(&writers_left) > 0) {
        if (points) {
            uint32_t number = (uint32_t)(hash_u64(seed++) % KEYS);
            struct btree_row row;
            bool found = false;
            ASSERT(btree_get(task, store, TREE, key_of(number, memory), &arena, &row, &found,
                       &diag) == ERR_OK);
            if (found) {
                check_row(&row);
                ASSERT(number % 2 == 1 || row.head.undo == 0 || row.head.undo >= seen[number]);
                seen[number] = row.head.undo == 0 ? seen[number] : row.head.undo;
            }
            ASSERT(found || number % 2 == 1);
            arena_reset(&arena);
            (void)task_breathe(task, NULL);
            continue;
        }
        ASSERT(btree_cursor_seek(task, cursor, TREE, backward ? BTREE_SEEK_LAST : BTREE_SEEK_FIRST,
                   (struct slice){0}, &diag) == ERR_OK);
        uint32_t stable = 0;
        int64_t last = -1;
        const struct btree_row *row = NULL;
        while ((row = btree_cursor_row(cursor)) != NULL) {
            check_row(row);
            uint32_t number = load_be32(row->key.data + 1);
            number = backward ? KEYS - 1 - number : number;
            ASSERT((int64_t)number > last);
            last = number;
            stable += load_be32(row->key.data + 1) % 2 == 0;
            ASSERT((backward ? btree_cursor_prev(task, cursor, &diag)
                             : btree_cursor_next(task, cursor, &diag)) == ERR_OK);
            (void)task_breathe(task, NULL);
        }
        ASSERT(stable == KEYS / 2);
        task_yield(task);
    }
    arena_destroy(&arena);
    btree_cursor_delete(cursor);
    mem_free(seen);
    atomic_fetch_sub(&tasks_left, 1);
}

/* Overflow values and whole trees come and go, so that frames and page ids change hands under the
 * checkpoints. */
static void
churn(struct task *task, void *arg)
{
    (void)arg;
    struct diag diag;
    uint8_t *value = mem_alloc(100000);
    struct arena arena;
    arena_create(&arena, "value");
    uint8_t key[4];
    for (uint64_t round = 0; atomic_load(&writers_left) > 0; round++) {
        tree_id_t tree = {100 + round};
        ASSERT(btree_tree_create(task, store, tree, &diag) == ERR_OK);
        for (uint32_t i = 0; i < 60; i++) {
            size_t size = hash_u64(round * 1000 + i) % 100000;
            memset(value, (int)(uint8_t)i, size);
            store_be32(key, i);
            struct change change = {.counter = i};
            ASSERT(btree_modify(task, store, tree, slice_of(key, 4), slice_of(value, size), 0,
                       decide, &change, &diag) == ERR_OK);
            (void)task_breathe(task, NULL);
        }
        for (uint32_t i = 0; i < 60; i++) {
            struct btree_row row;
            bool found = false;
            store_be32(key, i);
            ASSERT(btree_get(task, store, tree, slice_of(key, 4), &arena, &row, &found, &diag) ==
                       ERR_OK &&
                   found);
            struct slice whole = test_value(task, store, &row, &arena);
            ASSERT(whole.size == hash_u64(round * 1000 + i) % 100000);
            for (size_t at = 0; at < whole.size; at += 500) {
                ASSERT(whole.data[at] == (uint8_t)i);
            }
            arena_reset(&arena);
        }
        btree_tree_drop(task, store, tree);
        ASSERT(!btree_tree_exists(store, tree));
        task_yield(task);
    }
    arena_destroy(&arena);
    mem_free(value);
    atomic_fetch_sub(&tasks_left, 1);
}

static void
checkpoints(struct task *task, void *arg)
{
    (void)arg;
    struct diag diag;
    while (atomic_load(&writers_left) > 0) {
        ASSERT(btree_checkpoint(task, store, (lsn_t){1}, (struct slice){0}, &diag) == ERR_OK);
        task_yield(task);
    }
    atomic_fetch_sub(&tasks_left, 1);
}

static void
check_end(struct task *task)
{
    struct diag diag;
    struct arena arena;
    arena_create(&arena, "row");
    uint8_t memory[80];
    ASSERT(btree_check(task, store, TREE, &diag) == ERR_OK);
    for (uint32_t number = 0; number < KEYS; number++) {
        struct btree_row row;
        bool found = false;
        ASSERT(btree_get(task, store, TREE, key_of(number, memory), &arena, &row, &found, &diag) ==
               ERR_OK);
        ASSERT(found == (counters[number] != 0));
        for (size_t i = 0; found && i < row.value.size; i++) {
            ASSERT(row.value.data[i] == (uint8_t)counters[number]);
        }
        arena_reset(&arena);
    }
    arena_destroy(&arena);
}

static void
run_with(struct task *task, const char *directory, uint64_t cache_size)
{
    struct world *world = task_world(task);
    struct diag diag;
    const struct btree_owner owner = {
        .version_at = newest_version_at, .is_settled = always_settled};
    memset(counters, 0, sizeof counters);
    store = test_store_open(task, directory, cache_size, owner, NULL);
    ASSERT(btree_tree_create(task, store, TREE, &diag) == ERR_OK);
    uint8_t memory[80];
    for (uint32_t number = 0; number < KEYS; number += 2) {
        struct change change = {.counter = 1};
        counters[number] = 1;
        ASSERT(btree_modify(task, store, TREE, key_of(number, memory), slice_of("\1", 1), 0, decide,
                   &change, &diag) == ERR_OK);
    }
    atomic_store(&writers_left, WRITERS);
    atomic_store(&tasks_left, WRITERS + READERS + 2);
    int worker = 0;
    for (uintptr_t i = 0; i < WRITERS; i++) {
        ASSERT(task_spawn(world, worker++ % 2, "writer", write_rows, (void *)i, &diag) == ERR_OK);
    }
    for (uintptr_t i = 0; i < READERS; i++) {
        ASSERT(task_spawn(world, worker++ % 2, "reader", read_rows, (void *)i, &diag) == ERR_OK);
    }
    ASSERT(task_spawn(world, 0, "churn", churn, NULL, &diag) == ERR_OK);
    ASSERT(task_spawn(world, 1, "checkpoints", checkpoints, NULL, &diag) == ERR_OK);
    while (atomic_load(&tasks_left) > 0) {
        task_sleep(task, 1000);
    }
    check_end(task);
    ASSERT(btree_checkpoint(task, store, (lsn_t){2}, (struct slice){0}, &diag) == ERR_OK);
    struct btree_stats stats;
    btree_stats(store, &stats);
    (void)printf("%llu of %llu frames, %llu pages written, %llu read, %llu evicted, %llu spilled\n",
        (unsigned long long)stats.frames_used, (unsigned long long)stats.frames_max,
        (unsigned long long)stats.pages_written, (unsigned long long)stats.pages_read,
        (unsigned long long)stats.pages_evicted, (unsigned long long)stats.pages_spilled);
    btree_close(task, store);
    store = test_store_open(task, directory, cache_size, owner, NULL);
    check_end(task);
    btree_tree_drop(task, store, TREE);
    btree_stats(store, &stats);
    ASSERT(stats.frames_used == 0);
    btree_close(task, store);
}

static void
run(struct task *task, void *arg)
{
    char path[128];
    value_mask = 127;
    run_with(task, arg, 256 << 20);
    (void)snprintf(path, sizeof path, "%s/data.tusk", (const char *)arg);
    ASSERT(unlink(path) == 0);
    value_mask = 2047;
    run_with(task, arg, 1 << 20);
    world_stop(task_world(task));
}

int
main(void)
{
    test_run_os(run, 2, NULL);
    return 0;
}
