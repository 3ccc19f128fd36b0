/*
 * bench/btree_bench.c - nanoseconds per call of the store, one task, everything in memory.
 *
 *     gcc -O2 -g -D_GNU_SOURCE -I. bench/btree_bench.c -o /tmp/btree_bench -Lbuild/release
 *         -lbtree -lworld -lbase -lboost_context -lpthread -lxxhash -llz4 -lisal -lssl -lcrypto
 *     /tmp/btree_bench [rows]
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "tests/unit/btree_util.h"

static uint64_t rows = 1000000;
static const tree_id_t TREE = {1};

static enum btree_verdict
put(void *arg, const struct btree_row *current, struct row_head *head)
{
    (void)current;
    *head = (struct row_head){.writer = {*(uint64_t *)arg}};
    return BTREE_PUT;
}

static void
report(struct task *task, const char *what, int64_t start_us, uint64_t count)
{
    double us = (double)(world_clock_us(task_world(task)) - start_us);
    (void)printf("%-28s %8.0f ns\n", what, us * 1000 / (double)count);
}

static void
run(struct task *task, void *arg)
{
    struct world *world = task_world(task);
    struct diag diag;
    struct btree_options options = {.directory = arg,
        .cache_size = (uint64_t)2 << 30,
        .owner = {.version_at = newest_version_at}};
    struct btree *store = NULL;
    struct btree_checkpoint_info info;
    ASSERT(btree_open(task, &options, &store, &info, &diag) == ERR_OK);
    ASSERT(btree_tree_create(task, store, TREE, &diag) == ERR_OK);
    uint8_t key[8];
    uint8_t value[100];
    uint64_t writer = 1;
    memset(value, 'x', sizeof value);

    int64_t start = world_clock_us(world);
    for (uint64_t i = 0; i < rows; i++) {
        store_be64(key, i);
        memcpy(value, key, 8);
        ASSERT(btree_modify(task, store, TREE, slice_of(key, 8), slice_of(value, sizeof value), 0,
                   put, &writer, &diag) == ERR_OK);
    }
    report(task, "insert, ascending", start, rows);

    struct arena arena;
    arena_create(&arena, "row");
    for (int round = 0; round < 2; round++) {
        start = world_clock_us(world);
        for (uint64_t i = 0; i < rows; i++) {
            struct btree_row row;
            bool found = false;
            store_be64(key, hash_u64(i) % rows);
            ASSERT(btree_get(task, store, TREE, slice_of(key, 8), &arena, &row, &found, &diag) ==
                       ERR_OK &&
                   found);
            arena_reset(&arena);
        }
        report(task, "get, random", start, rows);
    }
    start = world_clock_us(world);
    for (uint64_t i = 0; i < rows; i++) {
        struct btree_row row;
        bool found = false;
        store_be64(key, hash_u64(i) % 10000);
        ASSERT(
            btree_get(task, store, TREE, slice_of(key, 8), &arena, &row, &found, &diag) == ERR_OK &&
            found);
        arena_reset(&arena);
    }
    report(task, "get, random of 10000", start, rows);

    start = world_clock_us(world);
    for (uint64_t i = 0; i < rows; i++) {
        store_be64(key, hash_u64(i + 7) % rows);
        ASSERT(btree_modify(task, store, TREE, slice_of(key, 8), slice_of(value, sizeof value), 0,
                   put, &writer, &diag) == ERR_OK);
    }
    report(task, "update in place, random", start, rows);

    struct btree_cursor *cursor = btree_cursor_new(store);
    for (int round = 0; round < 2; round++) {
        start = world_clock_us(world);
        ASSERT(btree_cursor_seek(task, cursor, TREE, BTREE_SEEK_FIRST, (struct slice){0}, &diag) ==
               ERR_OK);
        uint64_t seen = 0;
        uint64_t sum = 0;
        const struct btree_row *row = NULL;
        while ((row = btree_cursor_row(cursor)) != NULL) {
            seen++;
            sum += row->value.data[0] + row->key.data[7];
            ASSERT(btree_cursor_next(task, cursor, &diag) == ERR_OK);
        }
        ASSERT(seen == rows && sum > 0);
        report(task, "scan, per row", start, rows);
    }
    start = world_clock_us(world);
    for (uint64_t i = 0; i < rows; i++) {
        store_be64(key, hash_u64(i) % rows);
        ASSERT(btree_cursor_seek(task, cursor, TREE, BTREE_SEEK_GE, slice_of(key, 8), &diag) ==
               ERR_OK);
        ASSERT(btree_cursor_row(cursor) != NULL);
    }
    report(task, "cursor seek, random", start, rows);
    start = world_clock_us(world);
    for (uint64_t i = 0; i < rows; i++) {
        store_be64(key, hash_u64(i) % 10000);
        ASSERT(btree_cursor_seek(task, cursor, TREE, BTREE_SEEK_GE, slice_of(key, 8), &diag) ==
               ERR_OK);
        ASSERT(btree_cursor_row(cursor) != NULL);
    }
    report(task, "cursor seek, of 10000", start, rows);
    btree_cursor_delete(cursor);

    struct btree_stats stats;
    btree_stats(store, &stats);
    start = world_clock_us(world);
    ASSERT(btree_checkpoint(task, store, (lsn_t){1}, (struct slice){0}, &diag) == ERR_OK);
    report(task, "checkpoint, per page", start, stats.pages_dirty);
    btree_stats(store, &stats);
    (void)printf("%llu frames, file %llu MB\n", (unsigned long long)stats.frames_used,
        (unsigned long long)(stats.file_size >> 20));

    tree_id_t other = {2};
    ASSERT(btree_tree_create(task, store, other, &diag) == ERR_OK);
    start = world_clock_us(world);
    for (uint64_t i = 0; i < rows; i++) {
        store_be64(key, hash_u64(i));
        ASSERT(btree_modify(task, store, other, slice_of(key, 8), slice_of(value, sizeof value), 0,
                   put, &writer, &diag) == ERR_OK);
    }
    report(task, "insert, random", start, rows);
    arena_destroy(&arena);
    btree_close(task, store);
    world_stop(world);
}

int
main(int argc, char **argv)
{
    if (argc > 1) {
        rows = strtoull(argv[1], NULL, 10);
    }
    char directory[] = "/tmp/btree_bench_XXXXXX";
    ASSERT(mkdtemp(directory) != NULL);
    struct world *world = NULL;
    struct diag diag;
    struct world_os_options options = {.worker_count = 1};
    ASSERT(world_os_new(&options, &world, &diag) == ERR_OK);
    ASSERT(task_spawn(world, 0, "bench", run, directory, &diag) == ERR_OK);
    world_run(world);
    world_delete(world);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command) == 0 ? 0 : 1;
}
