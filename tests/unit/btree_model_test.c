/* The ordered map against a model: random changes, scans both ways, checkpoint, reopen. */
#include "base/mem.h"
#include "tests/unit/btree_util.h"

enum {
    KEYS = 6000,
    STEPS = 60000,
};

struct model_row {
    bool live;
    uint32_t size;
    uint8_t fill;
};

static struct model_row model[KEYS];
static uint64_t seed = 42;

static uint64_t
next_random(void)
{
    return test_random(&seed);
}

/* Keys of many lengths with a common prefix, in the order of their numbers. */
static void
build_key(uint32_t number, struct buffer *to)
{
    to->size = 0;
    buffer_add(to, "common/prefix/", 14);
    buffer_add_be32(to, number);
    uint64_t mix = hash_u64(number);
    size_t tail = mix % 40 == 0 ? 1500 : mix % 30;
    for (size_t i = 0; i < tail; i++) {
        buffer_add_u8(to, (uint8_t)mix);
    }
}

static enum btree_verdict
decide_put(void *arg, const struct btree_row *current, struct row_head *head)
{
    (void)current;
    *head = (struct row_head){.writer = {*(uint64_t *)arg}};
    return BTREE_PUT;
}

static enum btree_verdict
decide_erase(void *arg, const struct btree_row *current, struct row_head *head)
{
    (void)arg;
    (void)head;
    return current == NULL ? BTREE_KEEP : BTREE_ERASE;
}

/* Writer 2 stands for "after the snapshot". */
static enum err
version_at(struct task *task, void *arg, const struct btree_row *row, lsn_t snapshot,
    struct btree_version *version, struct diag *diag)
{
    TRY(newest_version_at(task, arg, row, snapshot, version, diag));
    version->newer = row->head.writer.v == 2;
    version->exists = !version->newer;
    return ERR_OK;
}

static bool
is_settled(void *arg, txn_id_t writer)
{
    (void)arg;
    return writer.v == 1;
}

static void
check_value(struct task *task, struct btree *store, const struct btree_row *row, uint32_t number)
{
    struct arena arena;
    arena_create(&arena, "value");
    struct slice value = test_value(task, store, row, &arena);
    ASSERT(value.size == model[number].size);
    for (size_t i = 0; i < value.size; i++) {
        ASSERT(value.data[i] == model[number].fill);
    }
    arena_destroy(&arena);
}

static void
check_scan(struct task *task, struct btree *store, tree_id_t tree, bool backward)
{
    struct diag diag;
    struct btree_cursor *cursor = btree_cursor_new(store);
    enum err err = btree_cursor_seek(task, cursor, tree,
        backward ? BTREE_SEEK_LAST : BTREE_SEEK_FIRST, (struct slice){0}, &diag);
    ASSERT(err == ERR_OK);
    struct buffer key = {0};
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t number = backward ? KEYS - 1 - i : i;
        if (!model[number].live) {
            continue;
        }
        const struct btree_row *row = btree_cursor_row(cursor);
        ASSERT(row != NULL);
        build_key(number, &key);
        ASSERT(slice_equal(row->key, slice_of(key.data, key.size)));
        check_value(task, store, row, number);
        err = backward ? btree_cursor_prev(task, cursor, &diag)
                       : btree_cursor_next(task, cursor, &diag);
        ASSERT(err == ERR_OK);
    }
    ASSERT(btree_cursor_row(cursor) == NULL);
    btree_cursor_delete(cursor);
    buffer_destroy(&key);
}

static void
no_fault(void *arg, const char *words)
{
    (void)arg;
    (void)fprintf(stderr, "%s\n", words);
    abort();
}

/* No page is used twice, and there are as many rows as the model has. (Replaced values that lay in
 * overflow pages are nobody's here: freeing them is txn/'s business.) */
static void
check_whole(struct task *task, struct btree *store)
{
    struct diag diag;
    struct btree_check_report report;
    const struct btree_check_listener listener = {.fault = no_fault};
    uint64_t live = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        live += model[i].live;
    }
    ASSERT(btree_check_store(task, store, &listener, &report, &diag) == ERR_OK);
    ASSERT(report.trees == 1 && report.faults == 0);
    ASSERT(report.rows == live && report.overflow_pages > 0);
}

static void
random_step(struct task *task, struct btree *store, tree_id_t tree, struct buffer *key,
    struct buffer *value)
{
    struct diag diag;
    uint32_t number = (uint32_t)(next_random() % KEYS);
    build_key(number, key);
    struct slice k = slice_of(key->data, key->size);
    struct model_row *row = &model[number];
    if (next_random() % 4 == 0) {
        ASSERT(btree_modify(task, store, tree, k, (struct slice){0}, 0, decide_erase, NULL,
                   &diag) == ERR_OK);
        row->live = false;
        return;
    }
    uint64_t kind = next_random() % 100;
    row->size = (uint32_t)(kind == 0 ? next_random() % 50000 : next_random() % 300);
    row->fill = (uint8_t)next_random();
    row->live = true;
    value->size = 0;
    memset(buffer_extend(value, row->size), row->fill, row->size);
    uint64_t writer = 1;
    ASSERT(btree_modify(task, store, tree, k, slice_of(value->data, value->size), 0, decide_put,
               &writer, &diag) == ERR_OK);
}

static void
run(struct task *task, void *arg)
{
    const char *directory = arg;
    struct diag diag;
    const struct btree_owner owner = {.version_at = version_at, .is_settled = is_settled};
    struct btree_checkpoint_info info;
    struct btree *store = test_store_open(task, directory, 256 << 20, owner, &info);
    tree_id_t tree = {7};
    ASSERT(btree_tree_create(task, store, tree, &diag) == ERR_OK);
    struct buffer key = {0};
    struct buffer value = {0};
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < STEPS; i++) {
            random_step(task, store, tree, &key, &value);
        }
        ASSERT(btree_check(task, store, tree, &diag) == ERR_OK);
        check_scan(task, store, tree, false);
        check_scan(task, store, tree, true);
        lsn_t snapshot = {1000 + (uint64_t)round};
        ASSERT(btree_checkpoint(task, store, snapshot, slice_of("meta", 4), &diag) == ERR_OK);
        btree_close(task, store);
        /* One with far too few frames. */
        store =
            test_store_open(task, directory, round % 2 == 0 ? 1 << 20 : 256 << 20, owner, &info);
        ASSERT(info.snapshot.v == snapshot.v && info.meta_size == 4);
        check_scan(task, store, tree, false);
        ASSERT(btree_check(task, store, tree, &diag) == ERR_OK);
        check_whole(task, store);
    }
    struct btree_stats stats;
    btree_stats(store, &stats);
    (void)printf("file %llu bytes, %llu frames\n", (unsigned long long)stats.file_size,
        (unsigned long long)stats.frames_used);
    btree_tree_drop(task, store, tree);
    btree_stats(store, &stats);
    ASSERT(stats.frames_used == 0);
    btree_close(task, store);
    buffer_destroy(&key);
    buffer_destroy(&value);
    world_stop(task_world(task));
}

int
main(void)
{
    test_run_os(run, 1, NULL);
    return 0;
}
