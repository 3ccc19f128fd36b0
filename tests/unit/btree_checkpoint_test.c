/*
 * A checkpoint holds exactly what its snapshot saw, whatever goes on meanwhile; and whenever the
 * machine stops, the file holds one checkpoint whole.
 *
 * Rows have versions here as txn/ would keep them: the head's undo names the newest version's
 * record in this program's memory. While checkpoint follows checkpoint, writers change, delete and
 * insert rows, pages split, and a "crash" task copies the file at odd moments: no task of this
 * single worker runs meanwhile, so that the copy is what a crash at that moment leaves, at most one
 * write being half done. Every copy must open as the checkpoint before or the one under way.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/unit/btree_util.h"

enum {
    KEYS = 12000,
    KEY_RUN = 600,
    WRITERS = 3,
    ROUNDS = 12,
    COPIES = 16,
    LARGE_CACHE = 256 << 20,
    SMALL_CACHE = 1 << 20, /* much less than the tree: pages leave and come back all the time */
};

static const tree_id_t TREE = {3};

struct version {
    struct version *older;
    struct version *next_allocated;
    uint64_t lsn;
    uint32_t seed, size; /* what the value's bytes are made of */
    bool deleted;
    uint8_t raw_flags; /* once replaced: what stood in the page */
    uint8_t *raw;
    size_t raw_size;
};

static struct version *newest[KEYS];
static struct version *all_versions;
static uint64_t lsn_last, random_seed, snapshot_done, snapshot_wanted;
static uint32_t keys_open; /* the key space grows, so that pages split all the time */
static bool stopping, last_round;
static int writers_left;
static uint64_t cache_size;
static struct btree *store;
static const char *base_directory;

static uint64_t
next_random(void)
{
    return test_random(&random_seed);
}

/* Neighbours share a long run that no page's fences share, so that separators are long, inner pages
 * small, and the tree high. */
static struct slice
key_of(uint32_t number, uint8_t *memory)
{
    store_be32(memory, number / 50);
    memset(memory + 4, 'x', KEY_RUN);
    store_be32(memory + 4 + KEY_RUN, number);
    size_t size = 8 + KEY_RUN + hash_u64(number) % 30;
    memset(memory + 8 + KEY_RUN, 'k', size - 8 - KEY_RUN);
    return slice_of(memory, size);
}

static enum err
version_at(struct task *task, void *arg, const struct btree_row *row, lsn_t snapshot,
    struct btree_version *version, struct diag *diag)
{
    (void)task;
    (void)arg;
    (void)diag;
    struct version *at = (struct version *)(uintptr_t)row->head.undo;
    ASSERT(at->lsn == row->head.writer.v);
    bool in_page = true;
    while (at != NULL && at->lsn > snapshot.v) {
        version->newer = true;
        at = at->older;
        in_page = false;
    }
    if (at == NULL || at->deleted) {
        return ERR_OK;
    }
    version->value = in_page ? row->value : slice_of(at->raw, at->raw_size);
    version->flags = (in_page ? row->head.flags : at->raw_flags) & ROW_OVERFLOW;
    version->exists = true;
    return ERR_OK;
}

/* What the last checkpoint saw is all there is: nobody holds an older snapshot. */
static bool
is_settled(void *arg, txn_id_t writer)
{
    (void)arg;
    return writer.v <= snapshot_done;
}

struct change {
    struct version *version;
    uint32_t number;
    bool erase;
};

static enum btree_verdict
decide(void *arg, const struct btree_row *current, struct row_head *head)
{
    struct change *change = arg;
    struct version *older = newest[change->number];
    /* A settled tombstone may have gone with its page. */
    ASSERT((current == NULL) == (older == NULL) ||
           (current == NULL && older->deleted && older->lsn <= snapshot_done));
    if (current == NULL && change->erase) {
        return BTREE_KEEP;
    }
    if (current != NULL) {
        mem_free(older->raw); /* from before a restart */
        older->raw = mem_alloc(current->value.size);
        memcpy(older->raw, current->value.data, current->value.size);
        older->raw_size = current->value.size;
        older->raw_flags = current->head.flags;
    }
    struct version *version = change->version;
    version->lsn = ++lsn_last;
    version->older = older;
    version->deleted = change->erase;
    newest[change->number] = version;
    *head = (struct row_head){.writer = {version->lsn}, .undo = (uint64_t)(uintptr_t)version};
    if (change->erase) {
        head->flags = ROW_DELETED;
        return BTREE_HEAD;
    }
    return BTREE_PUT;
}

static void
change_row(struct task *task, uint32_t number)
{
    struct diag diag;
    uint8_t memory[KEY_RUN + 64];
    struct version *version = mem_zalloc(sizeof *version);
    version->next_allocated = all_versions;
    all_versions = version;
    uint64_t random = next_random();
    version->seed = (uint32_t)random;
    version->size = (uint32_t)(random >> 32) % 160;
    if ((random >> 40) % 400 == 0) {
        version->size = 5000 + (uint32_t)(random >> 50);
    }
    uint8_t *value = mem_alloc(version->size);
    for (size_t i = 0; i < version->size; i++) {
        value[i] = (uint8_t)(hash_u64(version->seed) >> (i % 8 * 8));
    }
    struct change change = {.version = version, .number = number};
    change.erase = (random >> 45) % 5 == 0;
    ASSERT(btree_modify(task, store, TREE, key_of(number, memory), slice_of(value, version->size),
               0, decide, &change, &diag) == ERR_OK);
    mem_free(value);
}

static void
write_rows(struct task *task, void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg;
    while (!stopping) {
        uint32_t number = (uint32_t)(next_random() % (keys_open / WRITERS)) * WRITERS + me;
        if (number < KEYS) {
            change_row(task, number);
        }
        if (next_random() % 64 == 0) {
            task_yield(task);
        }
    }
    writers_left--;
}

/* The tree is what a snapshot at `lsn` saw. */
static void
check_store(struct task *task, struct btree *at, uint64_t lsn)
{
    struct diag diag;
    uint8_t memory[KEY_RUN + 64];
    struct btree_cursor *cursor = btree_cursor_new(at);
    struct arena arena;
    arena_create(&arena, "value");
    if (btree_check(task, at, TREE, &diag) != ERR_OK ||
        btree_cursor_seek(task, cursor, TREE, BTREE_SEEK_FIRST, (struct slice){0}, &diag) !=
            ERR_OK) {
        (void)fprintf(stderr, "%s\n", diag.message);
        abort();
    }
    for (uint32_t number = 0; number < KEYS; number++) {
        const struct version *version = newest[number];
        while (version != NULL && version->lsn > lsn) {
            version = version->older;
        }
        if (version == NULL || version->deleted) {
            continue;
        }
        const struct btree_row *row = btree_cursor_row(cursor);
        ASSERT(row != NULL && slice_equal(row->key, key_of(number, memory)));
        ASSERT(row->head.writer.v == 0 && row->head.undo == 0);
        struct slice value = row->value;
        if ((row->head.flags & ROW_OVERFLOW) != 0) {
            ASSERT(btree_value_load(task, at, row->value, &arena, &value, &diag) == ERR_OK);
        }
        ASSERT(value.size == version->size);
        for (size_t i = 0; i < value.size; i++) {
            ASSERT(value.data[i] == (uint8_t)(hash_u64(version->seed) >> (i % 8 * 8)));
        }
        arena_reset(&arena);
        ASSERT(btree_cursor_next(task, cursor, &diag) == ERR_OK);
    }
    ASSERT(btree_cursor_row(cursor) == NULL);
    arena_destroy(&arena);
    btree_cursor_delete(cursor);
}

static void
open_at(struct task *task, const char *directory, struct btree **at, uint64_t *snapshot)
{
    const struct btree_owner owner = {.version_at = version_at, .is_settled = is_settled};
    struct btree_checkpoint_info info;
    *at = test_store_open(task, directory, cache_size, owner, &info);
    *snapshot = info.snapshot.v;
}

/* ---- crashes -------------------------------------------------------------------------------- */

static struct {
    char directory[64];
    uint64_t done, wanted;
} copies[COPIES];
static int copy_count;

static void
copy_file(void)
{
    if (copy_count == COPIES) {
        return;
    }
    char path[128];
    (void)snprintf(copies[copy_count].directory, sizeof copies[0].directory, "%s/copy%d",
        base_directory, copy_count);
    ASSERT(mkdir(copies[copy_count].directory, 0700) == 0);
    (void)snprintf(path, sizeof path, "%s/data.tusk", base_directory);
    FILE *from = fopen(path, "rb");
    (void)snprintf(path, sizeof path, "%.63s/data.tusk", copies[copy_count].directory);
    FILE *to = fopen(path, "wb");
    ASSERT(from != NULL && to != NULL);
    uint8_t *bytes = mem_alloc(1 << 20);
    size_t got = 0;
    while ((got = fread(bytes, 1, 1 << 20, from)) > 0) {
        ASSERT(fwrite(bytes, 1, got, to) == got);
    }
    mem_free(bytes);
    (void)fclose(from);
    ASSERT(fclose(to) == 0);
    copies[copy_count].done = snapshot_done;
    copies[copy_count].wanted = snapshot_wanted;
    copy_count++;
}

static void
crash(struct task *task, void *arg)
{
    (void)arg;
    while (!stopping) {
        for (uint64_t i = next_random() % 40; i > 0 && !stopping; i--) {
            task_yield(task);
        }
        if (snapshot_wanted != snapshot_done) {
            copy_file();
            /* In the last round nobody changes again what the checkpoint is to leave out. */
            stopping = last_round;
        }
    }
    writers_left--;
}

static void
check_copies(struct task *task)
{
    int new_ones = 0;
    for (int i = 0; i < copy_count; i++) {
        struct btree *copy = NULL;
        uint64_t snapshot = 0;
        open_at(task, copies[i].directory, &copy, &snapshot);
        ASSERT(snapshot == copies[i].done || snapshot == copies[i].wanted);
        new_ones += snapshot == copies[i].wanted;
        check_store(task, copy, snapshot);
        btree_close(task, copy);
        char path[128];
        (void)snprintf(path, sizeof path, "%.63s/data.tusk", copies[i].directory);
        (void)unlink(path);
        (void)rmdir(copies[i].directory);
    }
    (void)printf("%d crashes, %d of them after the superblock\n", copy_count, new_ones);
    copy_count = 0;
}

/* After a restart the rows are what the snapshot saw, with heads of zero: forget the rest. */
static void
forget_after(uint64_t lsn)
{
    for (uint32_t number = 0; number < KEYS; number++) {
        while (newest[number] != NULL && newest[number]->lsn > lsn) {
            newest[number] = newest[number]->older;
        }
    }
}

/* Give every row a version again: the store's heads are zero after a restart, which version_at is
 * not asked about; the first change of each must find its model. */
static enum btree_verdict
adopt(void *arg, const struct btree_row *current, struct row_head *head)
{
    struct version *version = arg;
    ASSERT(current != NULL);
    *head = (struct row_head){.writer = {version->lsn}, .undo = (uint64_t)(uintptr_t)version};
    return BTREE_HEAD;
}

static void
adopt_rows(struct task *task)
{
    struct diag diag;
    uint8_t memory[KEY_RUN + 64];
    for (uint32_t number = 0; number < KEYS; number++) {
        if (newest[number] != NULL && newest[number]->deleted) {
            newest[number] = NULL; /* a tombstone is not in the file */
        }
        if (newest[number] != NULL) {
            newest[number]->older = NULL;
            ASSERT(btree_modify(task, store, TREE, key_of(number, memory), (struct slice){0}, 0,
                       adopt, newest[number], &diag) == ERR_OK);
        }
    }
}

static void
life(struct task *task)
{
    struct world *world = task_world(task);
    struct diag diag;
    stopping = false;
    last_round = false;
    writers_left = WRITERS + 1;
    for (uintptr_t i = 0; i < WRITERS; i++) {
        ASSERT(task_spawn(world, 0, "writer", write_rows, (void *)i, &diag) == ERR_OK);
    }
    ASSERT(task_spawn(world, 0, "crash", crash, NULL, &diag) == ERR_OK);
    for (int round = 0; round < ROUNDS; round++) {
        keys_open = keys_open + KEYS / 16 < KEYS ? keys_open + KEYS / 16 : KEYS;
        for (uint64_t i = next_random() % 20; i > 0; i--) {
            task_yield(task);
        }
        last_round = round == ROUNDS - 1;
        snapshot_wanted = lsn_last;
        ASSERT(btree_checkpoint(task, store, (lsn_t){snapshot_wanted}, (struct slice){0}, &diag) ==
               ERR_OK);
        snapshot_done = snapshot_wanted;
    }
    stopping = true;
    while (writers_left > 0) {
        task_yield(task);
    }
    /* What the last one left out because it was too new comes with the next. */
    if (next_random() % 2 == 0) {
        snapshot_wanted = lsn_last;
        ASSERT(btree_checkpoint(task, store, (lsn_t){snapshot_wanted}, (struct slice){0}, &diag) ==
               ERR_OK);
        snapshot_done = snapshot_wanted;
    }
}

static void
run(struct task *task, void *arg)
{
    base_directory = arg;
    struct diag diag;
    uint64_t snapshot = 0;
    cache_size = LARGE_CACHE;
    open_at(task, base_directory, &store, &snapshot);
    ASSERT(btree_tree_create(task, store, TREE, &diag) == ERR_OK);
    keys_open = 1000;
    ASSERT(btree_checkpoint(task, store, (lsn_t){0}, (struct slice){0}, &diag) == ERR_OK);
    for (int restart = 0; restart < 4; restart++) {
        life(task);
        check_copies(task);
        struct btree_stats stats;
        btree_stats(store, &stats);
        (void)printf(
            "%llu pages written, file %llu kB, lsn %llu; %llu of %llu frames, %llu evicted, "
            "%llu spilled, run file %llu kB\n",
            (unsigned long long)stats.pages_written, (unsigned long long)stats.file_size / 1024,
            (unsigned long long)lsn_last, (unsigned long long)stats.frames_used,
            (unsigned long long)stats.frames_max, (unsigned long long)stats.pages_evicted,
            (unsigned long long)stats.pages_spilled, (unsigned long long)stats.run_size / 1024);
        ASSERT(stats.frames_max == cache_size / BTREE_PAGE_SIZE);
        ASSERT((stats.pages_evicted > 1000) == (cache_size == SMALL_CACHE));
        btree_close(task, store);
        cache_size = restart % 2 == 0 ? SMALL_CACHE : LARGE_CACHE;
        open_at(task, base_directory, &store, &snapshot);
        ASSERT(snapshot == snapshot_done);
        check_store(task, store, snapshot);
        forget_after(snapshot);
        adopt_rows(task);
    }
    btree_close(task, store);
    while (all_versions != NULL) {
        struct version *next = all_versions->next_allocated;
        mem_free(all_versions->raw);
        mem_free(all_versions);
        all_versions = next;
    }
    world_stop(task_world(task));
}

int
main(int argc, char **argv)
{
    random_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    test_run_os(run, 1, NULL);
    return 0;
}
