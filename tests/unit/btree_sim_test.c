/*
 * A store with far fewer frames than pages in the simulator: every read and write of a file takes a
 * time of its own, so that pages are looked for, changed, captured and freed while they are on
 * their way in or out. Each seed is run twice and must leave the same trace.
 *
 *     unit_btree_sim_test [first seed [number of seeds]]
 */
#include "base/mem.h"
#include "tests/unit/btree_util.h"

enum {
    WRITERS = 4,
    SCANNERS = 2,
    KEYS = 2500,
    STEPS = 600,
    VALUE_MAX = 1200,
    SEEDS = 6,
};

static const tree_id_t TREE = {1};

struct state {
    struct btree *store;
    uint64_t seed;
    uint32_t counters[KEYS]; /* 0: no row */
    int writers_left, tasks_left;
    uint64_t settled; /* writers up to this are seen by all */
    uint64_t last_writer;
};

static struct state *state;

static uint64_t
next_random(void)
{
    return test_random(&state->seed);
}

static enum err
version_at(struct task *task, void *arg, const struct btree_row *row, lsn_t snapshot,
    struct btree_version *version, struct diag *diag)
{
    version->newer = row->head.writer.v > snapshot.v; /* and yet it goes into the image */
    return newest_version_at(task, arg, row, snapshot, version, diag);
}

static bool
is_settled(void *arg, txn_id_t writer)
{
    (void)arg;
    return writer.v <= state->settled;
}

static struct slice
key_of(uint32_t number, uint8_t memory[4])
{
    store_be32(memory, number);
    return slice_of(memory, 4);
}

struct change {
    bool erase;
    bool had_overflow;
    uint8_t reference[64];
    size_t reference_size;
};

static enum btree_verdict
decide(void *arg, const struct btree_row *current, struct row_head *head)
{
    struct change *change = arg;
    if (current != NULL && (current->head.flags & ROW_OVERFLOW) != 0) {
        change->had_overflow = true;
        change->reference_size = current->value.size;
        memcpy(change->reference, current->value.data, current->value.size);
    }
    if (change->erase) {
        return current == NULL ? BTREE_KEEP : BTREE_ERASE;
    }
    *head = (struct row_head){.writer = {++state->last_writer}};
    return BTREE_PUT;
}

static void
change_row(struct task *task, uint32_t number, uint8_t *value)
{
    struct diag diag;
    uint8_t memory[4];
    uint64_t random = next_random();
    struct change change = {.erase = random % 5 == 0};
    uint32_t counter = change.erase ? 0 : (uint32_t)(random >> 32 | 1);
    size_t size = 4 + (random >> 8) % (random % 97 == 0 ? 60000 : VALUE_MAX);
    memset(value, (int)(uint8_t)counter, size);
    store_le32(value, counter);
    ASSERT(btree_modify(task, state->store, TREE, key_of(number, memory), slice_of(value, size), 0,
               decide, &change, &diag) == ERR_OK);
    state->counters[number] = counter;
    if (change.had_overflow) {
        btree_value_free(task, state->store, slice_of(change.reference, change.reference_size));
    }
}

static void
writer(struct task *task, void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg;
    uint8_t *value = mem_alloc(70000);
    for (int step = 0; step < STEPS; step++) {
        change_row(task, (uint32_t)(next_random() % (KEYS / WRITERS)) * WRITERS + me, value);
        if (next_random() % 16 == 0) {
            task_sleep(task, (int64_t)(next_random() % 300));
        }
    }
    mem_free(value);
    state->writers_left--;
    state->tasks_left--;
}

static void
check_row(struct task *task, const struct btree_row *row, uint32_t counter)
{
    struct arena arena;
    arena_create(&arena, "value");
    struct slice value = test_value(task, state->store, row, &arena);
    ASSERT(value.size >= 4 && load_le32(value.data) == counter);
    for (size_t i = 4; i < value.size; i++) {
        ASSERT(value.data[i] == (uint8_t)counter);
    }
    arena_destroy(&arena);
}

/* Order only: the rows change meanwhile. */
static void
scanner(struct task *task, void *arg)
{
    bool backward = (uintptr_t)arg == 1;
    struct diag diag;
    struct btree_cursor *cursor = btree_cursor_new(state->store);
    while (state->writers_left > 0) {
        ASSERT(btree_cursor_seek(task, cursor, TREE, backward ? BTREE_SEEK_LAST : BTREE_SEEK_FIRST,
                   (struct slice){0}, &diag) == ERR_OK);
        int64_t last = -1;
        const struct btree_row *row = NULL;
        while ((row = btree_cursor_row(cursor)) != NULL) {
            uint32_t number = load_be32(row->key.data);
            number = backward ? KEYS - number : number;
            ASSERT((int64_t)number > last);
            last = number;
            ASSERT((backward ? btree_cursor_prev(task, cursor, &diag)
                             : btree_cursor_next(task, cursor, &diag)) == ERR_OK);
        }
        task_sleep(task, 100);
    }
    btree_cursor_delete(cursor);
    state->tasks_left--;
}

static void
checkpointer(struct task *task, void *arg)
{
    (void)arg;
    struct diag diag;
    while (state->writers_left > 0) {
        lsn_t snapshot = {state->last_writer};
        ASSERT(btree_checkpoint(task, state->store, snapshot, (struct slice){0}, &diag) == ERR_OK);
        state->settled = snapshot.v;
        task_sleep(task, (int64_t)(next_random() % 20000));
    }
    state->tasks_left--;
}

static void
no_fault(void *arg, const char *words)
{
    (void)arg;
    (void)fprintf(stderr, "%s\n", words);
    abort();
}

static void
check_end(struct task *task)
{
    struct diag diag;
    uint64_t rows = 0;
    struct btree_cursor *cursor = btree_cursor_new(state->store);
    ASSERT(btree_cursor_seek(task, cursor, TREE, BTREE_SEEK_FIRST, (struct slice){0}, &diag) ==
           ERR_OK);
    for (uint32_t number = 0; number < KEYS; number++) {
        if (state->counters[number] == 0) {
            continue;
        }
        const struct btree_row *row = btree_cursor_row(cursor);
        ASSERT(row != NULL && load_be32(row->key.data) == number);
        check_row(task, row, state->counters[number]);
        ASSERT(btree_cursor_next(task, cursor, &diag) == ERR_OK);
        rows++;
    }
    ASSERT(btree_cursor_row(cursor) == NULL);
    btree_cursor_delete(cursor);
    struct btree_check_report report;
    const struct btree_check_listener listener = {.fault = no_fault};
    ASSERT(btree_check_store(task, state->store, &listener, &report, &diag) == ERR_OK);
    ASSERT(report.rows == rows && report.pages_lost == 0);
}

static void
run(struct task *task, void *arg)
{
    (void)arg;
    struct world *world = task_world(task);
    struct diag diag;
    ASSERT(world_mkdir(task, "data", &diag) == ERR_OK);
    const struct btree_owner owner = {.version_at = version_at, .is_settled = is_settled};
    state->store = test_store_open(task, "data", 1 << 20, owner, NULL);
    ASSERT(btree_tree_create(task, state->store, TREE, &diag) == ERR_OK);
    uint8_t *value = mem_alloc(70000);
    for (uint32_t number = 0; number < KEYS; number++) {
        change_row(task, number, value);
    }
    mem_free(value);
    state->writers_left = WRITERS;
    state->tasks_left = WRITERS + SCANNERS + 1;
    for (uintptr_t i = 0; i < WRITERS; i++) {
        ASSERT(task_spawn(world, WORLD_ANY_WORKER, "writer", writer, (void *)i, &diag) == ERR_OK);
    }
    for (uintptr_t i = 0; i < SCANNERS; i++) {
        ASSERT(task_spawn(world, WORLD_ANY_WORKER, "scanner", scanner, (void *)i, &diag) == ERR_OK);
    }
    ASSERT(
        task_spawn(world, WORLD_ANY_WORKER, "checkpointer", checkpointer, NULL, &diag) == ERR_OK);
    while (state->tasks_left > 0) {
        task_sleep(task, 1000);
    }
    check_end(task);
    struct btree_stats stats;
    btree_stats(state->store, &stats);
    ASSERT(stats.frames_max == 64 && stats.pages_evicted > 500 && stats.pages_spilled > 100);
    ASSERT(btree_checkpoint(task, state->store, (lsn_t){state->last_writer}, (struct slice){0},
               &diag) == ERR_OK);
    btree_close(task, state->store);
    ASSERT(!world_file_exists(task, "data/run.tusk"));
    state->store = test_store_open(task, "data", 1 << 20, owner, NULL);
    check_end(task);
    btree_close(task, state->store);
    world_stop(world);
}

static uint64_t
trace_of(uint64_t seed)
{
    struct diag diag;
    struct world_sim_options options = {.worker_count = 2};
    state = mem_zalloc(sizeof *state);
    state->seed = seed;
    struct world *world = world_sim_new(seed, &options);
    ASSERT(task_spawn(world, 0, "test", run, NULL, &diag) == ERR_OK);
    world_run(world);
    uint64_t trace = world_trace_hash(world);
    world_delete(world);
    mem_free(state);
    return trace;
}

int
main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : SEEDS;
    for (uint64_t seed = first; seed < first + count; seed++) {
        (void)printf("seed %llu\n", (unsigned long long)seed);
        (void)fflush(stdout);
        ASSERT(trace_of(seed) == trace_of(seed));
    }
    return 0;
}
