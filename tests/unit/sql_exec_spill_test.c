/*
 * Runs, stores and sorters against arrays in memory, on both back ends; what they say when there is
 * no room; that they leave nothing behind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "sql/exec/exec_internal.h"
#include "tests/unit/world_run.h"

enum {
    ROWS_MAX = 3000,
    COLUMNS = 4, /* int, text, int8, text */
};

static const bool by_reference[COLUMNS] = {false, true, false, true};
static const struct row_form form = {by_reference, COLUMNS};
static char directory[64];

struct fixture {
    struct task *task;
    uint64_t random;
    struct arena arena;
    struct diag diag;
    struct spill_space space;
    struct spill_context context;
    struct datum *rows[ROWS_MAX];
    size_t count;
};

static uint32_t
draw(struct fixture *f, uint32_t below)
{
    f->random = hash_u64(f->random + 0x9e3779b97f4a7c15ULL);
    return (uint32_t)(f->random >> 33) % below;
}

/* Few different keys, so that order among equals shows; now and then a large value. */
static void
make_rows(struct fixture *f)
{
    arena_reset(&f->arena);
    f->count = draw(f, 4) == 0 ? draw(f, 20) : draw(f, ROWS_MAX);
    uint32_t keys = 1 + draw(f, 300);
    for (size_t i = 0; i < f->count; i++) {
        struct datum *row = arena_array(&f->arena, COLUMNS, sizeof *row);
        row[0] = draw(f, 20) == 0 ? datum_null() : datum_int((int64_t)draw(f, keys) - 50);
        uint32_t size = draw(f, 200) == 0 ? draw(f, 40000) : draw(f, 30);
        uint8_t *text = arena_alloc(&f->arena, size);
        for (uint32_t j = 0; j < size; j++) {
            text[j] = (uint8_t)('a' + draw(f, 3));
        }
        row[1] = draw(f, 20) == 0 ? datum_null() : datum_bytes(text, size);
        row[2] = datum_int((int64_t)i);
        row[3] = datum_bytes(text, size % 4);
        f->rows[i] = row;
    }
}

static bool
same_row(const struct datum *a, const struct datum *b)
{
    for (uint32_t i = 0; i < COLUMNS; i++) {
        if (a[i].null || b[i].null) {
            if (a[i].null != b[i].null) {
                return false;
            }
        } else if (by_reference[i]
                       ? !slice_equal(slice_of(a[i].p, a[i].size), slice_of(b[i].p, b[i].size))
                       : a[i].i != b[i].i) {
            return false;
        }
    }
    return true;
}

#define OK(call) ASSERT((call) == ERR_OK)

/* ---- runs ------------------------------------------------------------------------------------ */

static void
test_runs(struct fixture *f)
{
    enum {
        RUNS = 3
    };
    struct spill spill;
    struct run runs[RUNS] = {{0}};
    struct run_reader readers[RUNS] = {{0}};
    size_t at[RUNS] = {0};
    struct datum row[COLUMNS];
    bool found = false;
    uint8_t *owner = arena_alloc(&f->arena, f->count + 1);
    spill_create(&spill, &f->context);
    bool reads_early = draw(f, 2) == 0;
    for (int i = 0; i < RUNS; i++) {
        run_read(&readers[i], &runs[i], false);
    }
    /* Rows go to any run, and are read back while others are still written. */
    for (size_t i = 0; i < f->count; i++) {
        owner[i] = (uint8_t)draw(f, RUNS);
        OK(run_add(f->task, &spill, &runs[owner[i]], f->rows[i], NULL, form));
        uint32_t r = draw(f, RUNS);
        if (reads_early && draw(f, 3) == 0) {
            OK(run_next(f->task, &spill, &readers[r], form, row, &found));
            while (at[r] < i && owner[at[r]] != r) {
                at[r]++;
            }
            ASSERT(found == (at[r] <= i && owner[at[r]] == r));
            ASSERT(!found || same_row(row, f->rows[at[r]]));
            at[r] += found ? 1 : 0;
        }
    }
    /* Then twice: once to come again, once for the last time. */
    for (int pass = 0; pass < 2; pass++) {
        for (int r = 0; r < RUNS; r++) {
            if (pass == 1 && draw(f, 2) == 0) {
                OK(run_flush(f->task, &spill, &runs[r]));
            }
            run_read(&readers[r], &runs[r], pass == 1);
            for (size_t i = 0; i < f->count; i++) {
                if (owner[i] == r) {
                    OK(run_next(f->task, &spill, &readers[r], form, row, &found));
                    ASSERT(found && same_row(row, f->rows[i]));
                }
            }
            OK(run_next(f->task, &spill, &readers[r], form, row, &found));
            ASSERT(!found);
        }
    }
    /* What has been read for the last time is room for others. */
    uint32_t units = spill.unit_count;
    for (int r = 0; r < RUNS; r++) {
        run_clear(&spill, &runs[r]);
        for (size_t i = 0; i < f->count; i++) {
            if (owner[i] == r) {
                OK(run_add(f->task, &spill, &runs[r], f->rows[i], NULL, form));
            }
        }
        OK(run_flush(f->task, &spill, &runs[r]));
    }
    ASSERT(spill.unit_count <= units + units / 4 + 256);
    for (int r = 0; r < RUNS; r++) {
        run_reader_destroy(&readers[r]);
        run_destroy(&runs[r]);
    }
    spill_destroy(f->task, &spill);
    ASSERT(f->space.used == 0);
}

/* ---- stores ---------------------------------------------------------------------------------- */

static void
test_store(struct fixture *f)
{
    struct store store;
    store_create(&store, &f->context, form);
    for (int pass = 0; pass < 2; pass++) {
        size_t added = 0;
        size_t at = 0;
        const struct datum *row = NULL;
        while (added < f->count) {
            switch (draw(f, 12)) {
            case 0:
                store_rewind(&store);
                at = 0;
                break;
            case 1:
                store_skip_all(&store);
                at = added;
                break;
            case 2:
            case 3:
            case 4:
                OK(store_next(f->task, &store, &row));
                ASSERT((row != NULL) == (at < added));
                ASSERT(row == NULL || same_row(row, f->rows[at]));
                at += row != NULL ? 1 : 0;
                ASSERT(store.at == at);
                break;
            default:
                OK(store_add(f->task, &store, f->rows[added++], NULL));
                break;
            }
        }
        store_rewind(&store);
        for (at = 0; at < added; at++) {
            OK(store_next(f->task, &store, &row));
            ASSERT(row != NULL && same_row(row, f->rows[at]));
        }
        OK(store_next(f->task, &store, &row));
        ASSERT(row == NULL && store.count == added);
        store_clear(f->task, &store);
        ASSERT(store.count == 0 && f->space.used == 0);
    }
    store_destroy(f->task, &store);
    ASSERT(f->space.used == 0);
}

/* ---- sorters --------------------------------------------------------------------------------- */

static const struct key_code *sort_keys;

static int
by_keys(const void *a, const void *b)
{
    const struct datum *x = *(struct datum *const *)a;
    const struct datum *y = *(struct datum *const *)b;
    int order = exec__compare_rows(sort_keys, 2, x, y);
    return order != 0 ? order : (x[2].i > y[2].i) - (x[2].i < y[2].i); /* as they came */
}

static void
test_sorter(struct fixture *f)
{
    struct key_code keys[2] = {{.slot = draw(f, 2) == 0 ? 0 : 1}, {.slot = 3, .type = TYPE_TEXT}};
    keys[0].type = keys[0].slot == 0 ? TYPE_INT4 : TYPE_TEXT;
    keys[0].descending = draw(f, 2) == 0;
    keys[0].nulls_first = draw(f, 2) == 0;
    keys[1].descending = draw(f, 2) == 0;
    struct datum **sorted = arena_copy(&f->arena, f->rows, f->count * sizeof *sorted);
    sort_keys = keys;
    qsort(sorted, f->count, sizeof *sorted, by_keys);
    struct sorter sorter;
    sorter_create(&sorter, &f->context, form, keys, 2);
    for (int pass = 0; pass < 2; pass++) {
        uint64_t bound = draw(f, 2) == 0 ? UINT64_MAX : 1 + draw(f, (uint32_t)f->count + 5);
        size_t wanted = bound < f->count ? (size_t)bound : f->count;
        sorter_clear(f->task, &sorter, bound);
        for (size_t i = 0; i < f->count; i++) {
            OK(sorter_add(f->task, &sorter, f->rows[i], NULL));
        }
        OK(sorter_finish(f->task, &sorter));
        const struct datum *row = NULL;
        size_t stop = draw(f, 4) == 0 ? draw(f, (uint32_t)wanted + 1) : wanted;
        for (size_t i = 0; i < stop; i++) {
            OK(sorter_next(f->task, &sorter, &row));
            ASSERT(row != NULL && same_row(row, sorted[i]));
        }
        if (bound == UINT64_MAX && stop == wanted) {
            OK(sorter_next(f->task, &sorter, &row));
            ASSERT(row == NULL);
        }
    }
    sorter_destroy(f->task, &sorter);
    ASSERT(f->space.used == 0);
}

/* Runs are as long as memory allows, however small the rows are. */
static void
test_narrow_rows(struct fixture *f)
{
    enum {
        NARROW_ROWS = 40000,
        WORK_MEM = 64 * 1024,
    };
    static const bool narrow[] = {false};
    struct key_code key = {.slot = 0, .type = TYPE_INT4};
    struct sorter sorter;
    uint64_t before = f->context.work_mem;
    f->context.work_mem = WORK_MEM;
    sorter_create(&sorter, &f->context, (struct row_form){narrow, 1}, &key, 1);
    for (int64_t i = 0; i < NARROW_ROWS; i++) {
        struct datum value = datum_int(i * 7919 % NARROW_ROWS);
        OK(sorter_add(f->task, &sorter, &value, NULL));
        ASSERT(sorter_memory(&sorter) <= 2 * WORK_MEM);
    }
    ASSERT(sorter.run_count > 0 && sorter.run_count < NARROW_ROWS / 500);
    OK(sorter_finish(f->task, &sorter));
    const struct datum *row = NULL;
    for (int64_t i = 0; i < NARROW_ROWS; i++) {
        OK(sorter_next(f->task, &sorter, &row));
        ASSERT(row != NULL && row->i == i);
    }
    sorter_destroy(f->task, &sorter);
    f->context.work_mem = before;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void
test_limits(struct fixture *f)
{
    struct key_code key = {.slot = 0, .type = TYPE_INT4};
    struct sorter sorter;
    f->context.work_mem = 0;
    f->space.limit = 8192;
    make_rows(f);
    while (f->count < 1000) {
        make_rows(f);
    }
    sorter_create(&sorter, &f->context, form, &key, 1);
    enum err err = ERR_OK;
    for (size_t i = 0; i < f->count && err == ERR_OK; i++) {
        err = sorter_add(f->task, &sorter, f->rows[i], NULL);
    }
    ASSERT(err == ERR_CONFIGURATION_LIMIT);
    ASSERT(strcmp(f->diag.message, "temporary file size exceeds temp_file_limit (8kB)") == 0);
    ASSERT(f->space.used <= f->space.limit);
    sorter_destroy(f->task, &sorter);
    ASSERT(f->space.used == 0);
    f->space.limit = UINT64_MAX;

    /* The directory is gone: an error, not an end. */
    f->space.directory = "/nowhere/tmp";
    sorter_create(&sorter, &f->context, form, &key, 1);
    ASSERT(sorter_add(f->task, &sorter, f->rows[0], NULL) == ERR_UNDEFINED_FILE);
    sorter_destroy(f->task, &sorter);

    /* Nowhere to spill: all is kept. */
    f->space.directory = NULL;
    sorter_create(&sorter, &f->context, form, &key, 1);
    for (size_t i = 0; i < f->count; i++) {
        OK(sorter_add(f->task, &sorter, f->rows[i], NULL));
    }
    OK(sorter_finish(f->task, &sorter));
    ASSERT(sorter.count == f->count && sorter_memory(&sorter) > 0);
    sorter_destroy(f->task, &sorter);

    /* A cancel ends a merge. */
    f->space.directory = directory;
    sorter_create(&sorter, &f->context, form, &key, 1);
    for (size_t i = 0; i < f->count; i++) {
        OK(sorter_add(f->task, &sorter, f->rows[i], NULL));
    }
    task_interrupt(f->task, TASK_CANCEL);
    ASSERT(sorter_finish(f->task, &sorter) == ERR_QUERY_CANCELED);
    task_interrupt_clear(f->task, TASK_CANCEL);
    sorter_destroy(f->task, &sorter);
    ASSERT(f->space.used == 0);
}

static void
no_name(void *arg, const char *name)
{
    (void)arg;
    (void)fprintf(stderr, "left behind: %s\n", name);
    abort();
}

static void
test_all(struct task *task, void *arg)
{
    const unsigned *rounds = arg;
    struct fixture *f = mem_zalloc(sizeof *f);
    f->task = task;
    arena_create(&f->arena, "test");
    OK(world_temp_directory(task, directory, &f->diag));
    for (uint64_t seed = 1; seed <= *rounds; seed++) {
        f->random = seed * 1000;
        f->space = (struct spill_space){.directory = directory, .limit = UINT64_MAX};
        uint64_t sizes[] = {0, 1000, 20000, 64 << 10, 1 << 20, 16 << 20};
        f->context = (struct spill_context){
            .space = &f->space, .work_mem = sizes[seed % 6], .diag = &f->diag};
        make_rows(f);
        test_runs(f);
        test_store(f);
        test_sorter(f);
        test_sorter(f);
    }
    test_narrow_rows(f);
    test_limits(f);
    OK(world_list_directory(task, directory, no_name, NULL, &f->diag));
    arena_destroy(&f->arena);
    mem_free(f);
}

int
main(void)
{
    unsigned rounds = 60;
    (void)snprintf(directory, sizeof directory, "/var/tmp/tusk_spill_%d", (int)getpid());
    run_os(1, test_all, &rounds);
    ASSERT(rmdir(directory) == 0);
    rounds = 12;
    (void)snprintf(directory, sizeof directory, "data");
    for (uint64_t seed = 1; seed <= 2; seed++) {
        (void)run_sim(seed, test_all, &rounds);
    }
    return 0;
}
