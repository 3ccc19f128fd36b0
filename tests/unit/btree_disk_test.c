/*
 * The store and a disk that does as it likes.
 *
 *   shapes    keys and values of every size, in every order, come back from a checkpoint
 *   overfull  an image may hold more than a page: versions longer than what replaced them
 *   damage    bytes of the file changed or cut off: an error in words or the same rows, no crash
 *   lost      older images of the same pages at the same places: noticed (B15)
 *   images    page contents changed under a right checksum: a fault or a page that can be walked
 *   full      a page filled to the last byte comes back as it was
 *   searches  on random bytes stay within the page (AddressSanitizer watches)
 *   no room   a checkpoint that cannot write fails, harms nothing, and the next one succeeds
 *   cold      many tasks that miss the same pages read each of them once
 *
 * ctest: threads
 */
#include <signal.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "btree/btree_internal.h"
#include "tests/unit/btree_util.h"

static const tree_id_t TREE = {5};
static const char *base_directory;
static uint64_t random_seed = 7;
static size_t grow_to; /* version_at makes values of this size, if not 0 */
static uint8_t grown[BTREE_VALUE_INLINE_MAX];

static uint64_t
next_random(void)
{
    return test_random(&random_seed);
}

static enum err
version_at(struct task *task, void *arg, const struct btree_row *row, lsn_t snapshot,
    struct btree_version *version, struct diag *diag)
{
    TRY(newest_version_at(task, arg, row, snapshot, version, diag));
    version->value = grow_to == 0 ? row->value : slice_of(grown, grow_to);
    return ERR_OK;
}

static enum btree_verdict
put(void *arg, const struct btree_row *current, struct row_head *head)
{
    (void)current;
    (void)arg;
    *head = (struct row_head){.writer = {1}};
    return BTREE_PUT;
}

static struct btree *
open_store(struct task *task)
{
    const struct btree_owner owner = {.version_at = version_at};
    return test_store_open(task, base_directory, 64 << 20, owner, NULL);
}

static void
remove_store(void)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/data.tusk", base_directory);
    (void)remove(path);
}

static void
put_row(struct task *task, struct btree *store, struct slice key, struct slice value)
{
    struct diag diag;
    OK(btree_modify(task, store, TREE, key, value, 0, put, NULL, &diag));
}

static void
checkpoint(struct task *task, struct btree *store)
{
    struct diag diag;
    OK(btree_checkpoint(task, store, (lsn_t){1}, (struct slice){0}, &diag));
}

/* ---- shapes ---------------------------------------------------------------------------------- */

enum order {
    ASCENDING,
    DESCENDING,
    MIXED,
};

struct shape {
    size_t run, key_size, value_size;
    enum order order;
};

/* `run` equal bytes, then the number, then filling; the number stands before the run in odd shapes,
 * so that separators are short. */
static struct slice
shape_key(const struct shape *shape, uint32_t number, uint8_t *memory)
{
    memset(memory, 'r', shape->run);
    store_be32(memory + shape->run, number);
    size_t size = shape->run + 4 + hash_u64(number) % (shape->key_size + 1);
    size = size > BTREE_KEY_SIZE_MAX ? BTREE_KEY_SIZE_MAX : size;
    memset(memory + shape->run + 4, 'f', size - shape->run - 4);
    return slice_of(memory, size);
}

static size_t
shape_value(const struct shape *shape, uint32_t number)
{
    return shape->value_size == 0 ? 0 : hash_u64(number + 77) % (shape->value_size + 1);
}

static uint32_t
shape_rows(const struct shape *shape)
{
    size_t rows = 600000 / (shape->run + shape->key_size / 2 + shape->value_size / 2 + 27);
    return rows > 3000 ? 3000 : (uint32_t)rows;
}

static void
check_shape(struct task *task, struct btree *store, const struct shape *shape)
{
    struct diag diag;
    uint8_t memory[BTREE_KEY_SIZE_MAX + 8];
    if (btree_check(task, store, TREE, &diag) != ERR_OK) {
        (void)fprintf(stderr, "%s\n", diag.message);
        abort();
    }
    struct arena arena;
    arena_create(&arena, "value");
    for (uint32_t i = 0; i < shape_rows(shape); i++) {
        struct btree_row row;
        bool found = false;
        ASSERT(btree_get(task, store, TREE, shape_key(shape, i, memory), &arena, &row, &found,
                   &diag) == ERR_OK &&
               found);
        struct slice value = test_value(task, store, &row, &arena);
        ASSERT(value.size == shape_value(shape, i));
        for (size_t at = 0; at < value.size; at++) {
            ASSERT(value.data[at] == (uint8_t)(i + at));
        }
        arena_reset(&arena);
    }
    arena_destroy(&arena);
}

static void
try_shape(struct task *task, const struct shape *shape)
{
    struct diag diag;
    remove_store();
    struct btree *store = open_store(task);
    ASSERT(btree_tree_create(task, store, TREE, &diag) == ERR_OK);
    uint8_t memory[BTREE_KEY_SIZE_MAX + 8];
    uint8_t *value = mem_alloc(shape->value_size);
    uint32_t rows = shape_rows(shape);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t number = shape->order == ASCENDING    ? i
                          : shape->order == DESCENDING ? rows - 1 - i
                                                       : (uint32_t)((uint64_t)i * 7919 % rows);
        size_t size = shape_value(shape, number);
        for (size_t at = 0; at < size; at++) {
            value[at] = (uint8_t)(number + at);
        }
        put_row(task, store, shape_key(shape, number, memory), slice_of(value, size));
    }
    mem_free(value);
    check_shape(task, store, shape);
    checkpoint(task, store);
    btree_close(task, store);
    store = open_store(task);
    check_shape(task, store, shape);
    btree_tree_drop(task, store, TREE);
    struct btree_stats stats;
    btree_stats(store, &stats);
    ASSERT(stats.frames_used == 0);
    btree_close(task, store);
}

static void
shapes(struct task *task)
{
    static const size_t runs[] = {0, 1, 22, 23, 24, 500, 1990};
    static const size_t keys[] = {0, 5, 300, 1990};
    static const size_t values[] = {0, 1, 100, 2000, 4000, 40000};
    for (size_t r = 0; r < sizeof runs / sizeof runs[0]; r++) {
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
                struct shape shape = {.run = runs[r], .key_size = keys[k], .value_size = values[v]};
                shape.order = (enum order)((r + k + v) % 3);
                try_shape(task, &shape);
            }
        }
    }
}

/* ---- overfull -------------------------------------------------------------------------------- */

static void
overfull(struct task *task)
{
    struct diag diag;
    static const size_t sizes[] = {0, 11, 40, 300, 3900};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        remove_store();
        struct btree *store = open_store(task);
        ASSERT(btree_tree_create(task, store, TREE, &diag) == ERR_OK);
        uint8_t key[8] = {0};
        for (uint32_t i = 0; i < 2000; i++) {
            store_be32(key + 4, i);
            put_row(task, store, slice_of(key, 8), slice_of("0123456789", 10));
        }
        memset(grown, 'g', sizeof grown);
        grow_to = sizes[s];
        checkpoint(task, store);
        btree_close(task, store);
        /* Once read back, the pages are several; they are written again and read again as such. */
        for (int round = 0; round < 2; round++) {
            store = open_store(task);
            struct btree_cursor *cursor = btree_cursor_new(store);
            ASSERT(btree_cursor_seek(
                       task, cursor, TREE, BTREE_SEEK_FIRST, (struct slice){0}, &diag) == ERR_OK);
            for (uint32_t i = 0; i < 2000; i++) {
                const struct btree_row *row = btree_cursor_row(cursor);
                ASSERT(row != NULL && load_be32(row->key.data + 4) == i);
                ASSERT(row->value.size == (grow_to == 0 ? 10 : grow_to));
                ASSERT(btree_cursor_next(task, cursor, &diag) == ERR_OK);
            }
            ASSERT(btree_cursor_row(cursor) == NULL);
            btree_cursor_delete(cursor);
            ASSERT(btree_check(task, store, TREE, &diag) == ERR_OK);
            checkpoint(task, store);
            btree_close(task, store);
        }
        grow_to = 0;
    }
}

/* ---- damage ---------------------------------------------------------------------------------- */

static uint8_t *
read_whole(size_t *size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/data.tusk", base_directory);
    FILE *file = fopen(path, "rb");
    ASSERT(file != NULL && fseek(file, 0, SEEK_END) == 0);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = mem_alloc(*size);
    ASSERT(fread(bytes, 1, *size, file) == *size);
    (void)fclose(file);
    return bytes;
}

static void
write_whole(const uint8_t *bytes, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/data.tusk", base_directory);
    FILE *file = fopen(path, "wb");
    ASSERT(file != NULL);
    ASSERT(fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

/* Everything that can be read is read; whatever fails says why. Returns the rows seen, or -1; a
 * hash of them is in everything_read. */
static uint64_t everything_read;

static int
read_everything(struct task *task)
{
    everything_read = 0;
    struct diag diag = {0};
    struct btree *store = NULL;
    struct btree_options options = {
        .directory = base_directory, .cache_size = 64 << 20, .owner = {.version_at = version_at}};
    struct btree_checkpoint_info info;
    if (btree_open(task, &options, &store, &info, &diag) != ERR_OK) {
        ASSERT(diag.message[0] != '\0');
        return -1;
    }
    struct btree_cursor *cursor = btree_cursor_new(store);
    struct arena arena;
    arena_create(&arena, "value");
    enum err err =
        btree_cursor_seek(task, cursor, TREE, BTREE_SEEK_FIRST, (struct slice){0}, &diag);
    int rows = 0;
    const struct btree_row *row = NULL;
    while (err == ERR_OK && (row = btree_cursor_row(cursor)) != NULL) {
        rows++;
        struct slice value = row->value;
        if ((row->head.flags & ROW_OVERFLOW) != 0) {
            err = btree_value_load(task, store, row->value, &arena, &value, &diag);
        }
        if (err == ERR_OK) {
            everything_read = hash64(row->key.data, row->key.size, everything_read);
            everything_read = hash64(value.data, value.size, everything_read);
            arena_reset(&arena);
            err = btree_cursor_next(task, cursor, &diag);
        }
    }
    if (err == ERR_OK) {
        err = btree_check(task, store, TREE, &diag);
    }
    ASSERT(err == ERR_OK || diag.message[0] != '\0');
    arena_destroy(&arena);
    btree_cursor_delete(cursor);
    btree_close(task, store);
    return err == ERR_OK ? rows : -1;
}

static void
damage(struct task *task)
{
    struct diag diag;
    remove_store();
    struct btree *store = open_store(task);
    ASSERT(btree_tree_create(task, store, TREE, &diag) == ERR_OK);
    uint8_t key[8];
    uint8_t *value = mem_zalloc(20000);
    enum {
        ROWS = 400
    };
    for (uint32_t i = 0; i < ROWS; i++) {
        store_be64(key, next_random());
        for (int at = 0; at < 200; at++) {
            value[at] = (uint8_t)next_random();
        }
        put_row(task, store, slice_of(key, 8), slice_of(value, i % 40 == 0 ? 20000 : 150));
    }
    mem_free(value);
    checkpoint(task, store);
    checkpoint(task, store);
    btree_close(task, store);
    ASSERT(read_everything(task) == ROWS);
    uint64_t good = everything_read;
    size_t size = 0;
    uint8_t *bytes = read_whole(&size);
    int noticed = 0;
    for (int trial = 0; trial < 600; trial++) {
        size_t at = next_random() % size;
        uint8_t before = bytes[at];
        bytes[at] ^= (uint8_t)(1 + next_random() % 255);
        write_whole(bytes, size);
        int rows = read_everything(task);
        ASSERT(rows == -1 || (rows == ROWS && everything_read == good));
        noticed += rows == -1;
        bytes[at] = before;
    }
    ASSERT(noticed > 0);
    for (int trial = 0; trial < 100; trial++) {
        write_whole(bytes, next_random() % size);
        int rows = read_everything(task);
        ASSERT(rows == -1 || (rows == ROWS && everything_read == good));
    }
    (void)printf("%d of 600 damages noticed, the others hit nothing\n", noticed);
    mem_free(bytes);
}

/* ---- lost ------------------------------------------------------------------------------------ */

static void
put_all(struct task *task, struct btree *store, uint64_t round)
{
    uint8_t key[8];
    uint8_t value[400];
    for (uint64_t i = 0; i < 2000; i++) {
        store_be64(key, i);
        for (size_t at = 0; at < sizeof value; at++) { /* nothing for LZ4 */
            value[at] = (uint8_t)hash_u64((round << 32) + i * 1000 + at);
        }
        put_row(task, store, slice_of(key, 8), slice_of(value, sizeof value));
    }
    checkpoint(task, store);
}

/* Put back what stood in the file before, wherever that is another image of the same page. */
static void
lost(struct task *task)
{
    enum {
        ROUNDS = 6,
        HEAD = 24,
    };
    struct diag diag;
    remove_store();
    struct btree *store = open_store(task);
    ASSERT(btree_tree_create(task, store, TREE, &diag) == ERR_OK);
    uint8_t *files[ROUNDS];
    size_t sizes[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        put_all(task, store, (uint64_t)round);
        files[round] = read_whole(&sizes[round]);
    }
    btree_close(task, store);
    ASSERT(read_everything(task) == 2000);
    uint64_t good = everything_read;
    uint8_t *now = files[ROUNDS - 1];
    size_t size = sizes[ROUNDS - 1];
    uint8_t *changed = mem_alloc(size);
    int older = 0;
    int noticed = 0;
    for (int round = 0; round < ROUNDS - 1; round++) {
        for (size_t at = 0; at + BLOCK_SIZE <= size && at + BLOCK_SIZE <= sizes[round];
             at += BLOCK_SIZE) {
            const uint8_t *was = files[round] + at;
            bool same_page = memcmp(was, "TPG1", 4) == 0 && memcmp(now + at, "TPG1", 4) == 0 &&
                             memcmp(was + 8, now + at + 8, 8) == 0;
            size_t image = HEAD + (size_t)load_le32(was + 20);
            if (!same_page || memcmp(was, now + at, 8) == 0 || at + image > size ||
                at + image > sizes[round] || older > 200) {
                continue;
            }
            memcpy(changed, now, size);
            memcpy(changed + at, was, image);
            write_whole(changed, size);
            int rows = read_everything(task);
            ASSERT(rows == -1 || (rows == 2000 && everything_read == good));
            older++;
            noticed += rows == -1;
        }
    }
    (void)printf("%d of %d older images noticed, the others are not named\n", noticed, older);
    ASSERT(noticed > 10);
    mem_free(changed);
    for (int round = 0; round < ROUNDS; round++) {
        mem_free(files[round]);
    }
}

/* ---- images and searches ----------------------------------------------------------------------
 */

static void
search(const struct page *page)
{
    uint8_t key[40];
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)next_random();
    }
    struct slice k = slice_of(key, next_random() % sizeof key);
    bool equal = false;
    uint32_t slot = page__find(page, k, &equal);
    (void)page__goes_right(page, k, next_random() % 2 == 0);
    (void)page__child(page, slot, equal, next_random() % 2 == 0);
    struct arena arena;
    arena_create(&arena, "row");
    struct btree_row row;
    uint32_t slots_max = (BTREE_PAGE_SIZE - PAGE_HEADER_SIZE) / PAGE_SLOT_SIZE;
    (void)page__row_racy(page, (uint32_t)(next_random() % slots_max), &arena, &row);
    arena_destroy(&arena);
    struct page *copy = mem_alloc(sizeof *copy);
    uint32_t first = (uint32_t)(next_random() % slots_max);
    page__copy_window_racy(copy, page, first, first + (slots_max - first > 8 ? 8 : 1));
    mem_free(copy);
}

static void
walk(const struct page *page)
{
    uint8_t key[BTREE_KEY_SIZE_MAX];
    for (uint32_t i = 0; page->h.level != PAGE_OVERFLOW && i < page->h.count; i++) {
        struct btree_row row;
        (void)page__full_key(page, i, key);
        if (page->h.level == 0) {
            page__row(page, i, &row);
            ASSERT(row.value.data + row.value.size <= (const uint8_t *)page + BTREE_PAGE_SIZE);
        }
    }
}

static void
images(struct task *task)
{
    remove_store();
    struct btree *store = open_store(task);
    struct page *page = mem_alloc(sizeof *page);
    for (int trial = 0; trial < 3000; trial++) {
        uint16_t level = (uint16_t)(trial % 3);
        page__format(page, 9, TREE, level, slice_of("aab", 3), slice_of("aaz", 3), true);
        struct row_head head = {0};
        uint8_t key[16];
        uint32_t rows = (uint32_t)(next_random() % 200);
        for (uint32_t i = 0; i < rows; i++) {
            memcpy(key, "aab", 3);
            store_be32(key + 3, i);
            size_t size = 7 + next_random() % 9;
            memset(key + 7, 'q', size - 7);
            if (level == 0) {
                page__insert_leaf(page, i, slice_of(key, size), &head, slice_of("value", 5));
            } else {
                page__insert_inner(page, i, slice_of(key, size), i + 1);
            }
        }
        bool newer = false;
        struct image *image = NULL;
        ASSERT(image__render(NULL, store, page, (lsn_t){1}, &image, &newer, NULL) == ERR_OK);
        size_t raw_size = 0;
        const char *fault = NULL;
        uint8_t *raw = image__decode(image->bytes, image->size, 9, &raw_size, &fault);
        ASSERT(raw != NULL);
        for (uint64_t changes = next_random() % 4; changes > 0; changes--) {
            raw[next_random() % (next_random() % 2 == 0 ? 32 : raw_size)] = (uint8_t)next_random();
        }
        if (next_random() % 4 == 0) {
            raw_size = 32 + next_random() % (raw_size - 31);
        }
        size_t at = 0;
        bool all = false;
        uint64_t right = image__fits(raw, raw_size, at) ? 0 : 10;
        do {
            fault = image__fill(raw, raw_size, &at, page, 9, right, &all);
            if (fault == NULL) {
                walk(page);
                search(page);
                right = image__fits(raw, raw_size, at) ? 0 : right + 1;
            }
        } while (fault == NULL && !all);
        mem_free(raw);
        /* And the framed image with any byte changed. */
        image->bytes[next_random() % image->size] ^= (uint8_t)next_random();
        raw = image__decode(image->bytes, image->size, 9, &raw_size, &fault);
        mem_free(raw);
        mem_free(image);
    }
    mem_free(page);
    btree_close(task, store);
}

/* A page filled to the last byte comes back as it was. */
static void
full_pages(struct task *task)
{
    remove_store();
    struct btree *store = open_store(task);
    struct page *page = mem_alloc(sizeof *page);
    struct page *back = mem_alloc(sizeof *back);
    uint8_t key[BTREE_KEY_SIZE_MAX];
    for (int trial = 0; trial < 600; trial++) {
        size_t prefix = (size_t)trial % 3 * 300;
        bool leaf = trial % 2 == 0;
        uint8_t high[1000];
        memset(high, 'p', prefix);
        memset(key, 'p', sizeof key);
        high[prefix] = 0xFF;
        key[prefix] = 0;
        page__format(page, 9, TREE, leaf ? 0 : 1, slice_of(key, prefix + 1),
            slice_of(high, prefix + 1), true);
        ASSERT(page->h.prefix_size == prefix);
        struct row_head head = {0};
        for (uint32_t i = 0;; i++) {
            store_be32(key + prefix + 1, i);
            size_t suffix = 5 + next_random() % 30;
            size_t room = page__free_room(page);
            size_t cell = leaf ? LEAF_CELL_HEAD : INNER_CELL_HEAD;
            size_t need = PAGE_SLOT_SIZE + cell + suffix;
            if (need > room) {
                break;
            }
            if (leaf) {
                /* The last one takes what is left. */
                size_t value = room - need < 60 ? room - need : next_random() % 20;
                page__insert_leaf(
                    page, i, slice_of(key, prefix + suffix), &head, slice_of(grown, value));
            } else {
                page__insert_inner(page, i, slice_of(key, prefix + suffix), i + 1);
            }
        }
        ASSERT(page__free_room(page) < 64);
        bool newer = false;
        struct image *image = NULL;
        ASSERT(image__render(NULL, store, page, (lsn_t){1}, &image, &newer, NULL) == ERR_OK);
        size_t raw_size = 0;
        const char *fault = NULL;
        uint8_t *raw = image__decode(image->bytes, image->size, 9, &raw_size, &fault);
        ASSERT(raw != NULL && image__fits(raw, raw_size, 0));
        size_t at = 0;
        bool all = false;
        fault = image__fill(raw, raw_size, &at, back, 9, 0, &all);
        ASSERT(fault == NULL && all && back->h.count == page->h.count);
        for (uint32_t i = 0; i < page->h.count; i++) {
            ASSERT(slice_equal(page__suffix(page, i), page__suffix(back, i)));
        }
        mem_free(raw);
        mem_free(image);
    }
    mem_free(page);
    mem_free(back);
    btree_close(task, store);
}

static void
searches(void)
{
    struct page *page = mem_alloc(sizeof *page);
    for (int trial = 0; trial < 20000; trial++) {
        uint64_t *words = (uint64_t *)page;
        for (size_t i = 0; i < sizeof *page / 8; i += trial % 4 == 0 ? 1 : 8) {
            words[i] = next_random();
        }
        if (trial % 2 == 0) {
            page->h.count = (uint16_t)(next_random() % 3000);
            page->h.prefix_size = (uint16_t)(next_random() % 4);
            page->h.level = (uint16_t)(next_random() % 2);
        }
        search(page);
        if (page__fault(page) == NULL) {
            walk(page);
        }
    }
    mem_free(page);
}

/* ---- no room --------------------------------------------------------------------------------- */

static void
no_room(struct task *task)
{
    struct diag diag;
    remove_store();
    struct btree *store = open_store(task);
    ASSERT(btree_tree_create(task, store, TREE, &diag) == ERR_OK);
    uint8_t key[8];
    uint8_t value[1000];
    for (uint64_t i = 0; i < 4000; i++) {
        store_be64(key, i);
        for (size_t at = 0; at < sizeof value; at++) {
            value[at] = (uint8_t)hash_u64(i * 1000 + at);
        }
        put_row(task, store, slice_of(key, 8), slice_of(value, sizeof value));
        if (i == 1000) {
            checkpoint(task, store);
        }
    }
    struct btree_stats before;
    btree_stats(store, &before);
    struct rlimit old;
    ASSERT(getrlimit(RLIMIT_FSIZE, &old) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    uint64_t size_after_failures = 0;
    for (uint64_t limit = before.file_size; limit < 6U << 20; limit += 300000) {
        struct rlimit small = {.rlim_cur = limit, .rlim_max = old.rlim_max};
        ASSERT(setrlimit(RLIMIT_FSIZE, &small) == 0);
        diag.message[0] = '\0';
        enum err err = btree_checkpoint(task, store, (lsn_t){2}, (struct slice){0}, &diag);
        ASSERT(setrlimit(RLIMIT_FSIZE, &old) == 0);
        if (err == ERR_OK) {
            break;
        }
        ASSERT(diag.message[0] != '\0');
        struct btree_stats stats;
        btree_stats(store, &stats);
        /* The file's size, seen from here, does not grow with each failure. */
        ASSERT(size_after_failures == 0 || stats.file_size < size_after_failures + (2U << 20));
        size_after_failures = stats.file_size;
    }
    ASSERT(size_after_failures != 0);
    checkpoint(task, store);
    btree_close(task, store);
    ASSERT(read_everything(task) == 4000);
    store = open_store(task);
    struct btree_stats after;
    btree_stats(store, &after);
    ASSERT(after.file_size < 3 * (4000 * 1040));
    btree_close(task, store);
}

/* ---- cold ------------------------------------------------------------------------------------ */

static struct btree *cold_store;
static _Atomic int cold_left;

static void
cold_reader(struct task *task, void *arg)
{
    (void)arg;
    struct diag diag;
    struct arena arena;
    arena_create(&arena, "row");
    uint8_t key[8];
    for (uint64_t i = 0; i < 4000; i += 5) {
        struct btree_row row;
        bool found = false;
        store_be64(key, i);
        ASSERT(btree_get(task, cold_store, TREE, slice_of(key, 8), &arena, &row, &found, &diag) ==
                   ERR_OK &&
               found && row.value.size == 1000);
        arena_reset(&arena);
    }
    arena_destroy(&arena);
    atomic_fetch_sub(&cold_left, 1);
}

static void
cold(struct task *task)
{
    struct diag diag;
    cold_store = open_store(task);
    atomic_store(&cold_left, 40);
    for (int i = 0; i < 40; i++) {
        ASSERT(task_spawn(task_world(task), i % 2, "reader", cold_reader, NULL, &diag) == ERR_OK);
    }
    while (atomic_load(&cold_left) > 0) {
        task_sleep(task, 1000);
    }
    struct btree_stats stats;
    btree_stats(cold_store, &stats);
    ASSERT(stats.pages_read == stats.frames_used);
    btree_close(task, cold_store);
}

static void
run(struct task *task, void *arg)
{
    base_directory = arg;
    (void)printf("shapes\n");
    shapes(task);
    (void)printf("overfull\n");
    overfull(task);
    (void)printf("damage\n");
    damage(task);
    (void)printf("lost\n");
    lost(task);
    (void)printf("images\n");
    images(task);
    (void)printf("full pages\n");
    full_pages(task);
    (void)printf("searches\n");
    searches();
    (void)printf("no room\n");
    no_room(task);
    (void)printf("cold\n");
    cold(task);
    world_stop(task_world(task));
}

int
main(void)
{
    test_run_os(run, 2, NULL);
    return 0;
}
