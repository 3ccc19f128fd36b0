/*
 * sql/catalog/analyze.c - gathering statistics.
 *
 * One pass over the table keeps a sample of its rows (Vitter's algorithm R); each column of the
 * sample is sorted, and what stands several times is counted. How many different values the whole
 * table has is estimated as PostgreSQL does it (Haas and Stokes 1998, their Duj1):
 *
 *     n d / (n - f1 + f1 n / N)      n rows of N, d values, f1 of them met once
 */

#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sql/catalog/catalog_internal.h"
#include "sql/catalog/statistics.h"

enum {
    SAMPLE_ROWS = 300 * STATISTICS_TARGET,
    SAMPLE_ROWS_LEAST = 1000,
    SAMPLE_BYTES = 64 << 20,
    SAMPLE_VALUES = 2 << 20,
    ROW_BYTES_MAX = 64 << 10,  /* larger rows are passed over */
    VALUE_BYTES_MAX = 1 << 10, /* larger values are not kept: they are taken to be all different */
};
static const double COMMON_ENOUGH = 1.25; /* times the average */
static const double DISTINCT_GROWS = 0.1; /* of the rows: above, it will grow with the table */

struct sampled_row {
    uint64_t number; /* in the table's order */
    uint8_t *bytes;
    size_t size, capacity;
};

struct value {
    struct datum datum;
    uint32_t position; /* in the sample, in the table's order */
};

struct run {
    uint32_t first, count; /* equal values, in their order */
};

struct sampler {
    struct task *task;
    struct diag *diag;
    const struct relation *relation;
    struct sampled_row *rows;
    uint32_t count, wanted;
    uint64_t seen, sum; /* rows, and bytes of the first of them */
    uint64_t state;     /* of the random numbers */
};

/* ---- the sample ------------------------------------------------------------------------------ */

static uint64_t
next_random(struct sampler *sampler)
{
    sampler->state += UINT64_C(0x9E3779B97F4A7C15);
    return hash_u64(sampler->state);
}

/* How many rows, by their size: known when the first have been met. */
static void
fix_wanted(struct sampler *sampler)
{
    uint64_t columns = sampler->relation->column_count + UINT64_C(1);
    uint64_t wanted = SAMPLE_ROWS;
    uint64_t by_size = SAMPLE_BYTES / (sampler->sum / sampler->seen + 1);
    uint64_t by_columns = SAMPLE_VALUES / columns;
    wanted = wanted < by_size ? wanted : by_size;
    wanted = wanted < by_columns ? wanted : by_columns;
    sampler->wanted = wanted < SAMPLE_ROWS_LEAST ? (uint32_t)SAMPLE_ROWS_LEAST : (uint32_t)wanted;
}

static void
keep(struct sampled_row *to, uint64_t number, struct slice row)
{
    if (to->capacity < row.size) {
        to->capacity = row.size + row.size / 4;
        to->bytes = mem_realloc(to->bytes, to->capacity);
    }
    if (row.size > 0) {
        memcpy(to->bytes, row.data, row.size);
    }
    to->size = row.size;
    to->number = number;
}

static void
sample_row(struct sampler *sampler, struct slice row)
{
    uint64_t number = sampler->seen++;
    if (row.size > ROW_BYTES_MAX) {
        return;
    }
    if (sampler->seen <= SAMPLE_ROWS_LEAST) {
        sampler->sum += row.size;
        fix_wanted(sampler);
    }
    if (sampler->count < sampler->wanted) {
        if ((sampler->count & (sampler->count - 1)) == 0) {
            size_t capacity = sampler->count == 0 ? 1 : 2 * (size_t)sampler->count;
            sampler->rows = mem_realloc(sampler->rows, capacity * sizeof *sampler->rows);
        }
        struct sampled_row *fresh = &sampler->rows[sampler->count++];
        *fresh = (struct sampled_row){0};
        keep(fresh, number, row);
        return;
    }
    uint64_t place = next_random(sampler) % sampler->seen;
    if (place < sampler->count) {
        keep(&sampler->rows[place], number, row);
    }
}

static int
compare_numbers(const void *left, const void *right)
{
    const struct sampled_row *a = left;
    const struct sampled_row *b = right;
    return a->number < b->number ? -1 : a->number > b->number;
}

static enum err
sample_table(struct sampler *sampler, struct catalog_store *store, struct txn *txn)
{
    struct arena arena;
    arena_create(&arena, "analyze scan");
    struct txn_scan *scan = NULL;
    struct txn_range all = {0};
    enum err err = txn_scan_open(sampler->task, txn, catalog_newest_snapshot(store, txn),
        sampler->relation->tree, &all, false, &arena, &scan, sampler->diag);
    while (err == ERR_OK) {
        struct txn_row row;
        bool found = false;
        err = task_breathe(sampler->task, sampler->diag);
        if (err == ERR_OK) {
            err = txn_scan_next(sampler->task, scan, &row, &found, sampler->diag);
        }
        if (err != ERR_OK || !found) {
            break;
        }
        sample_row(sampler, row.value);
    }
    if (scan != NULL) {
        txn_scan_close(sampler->task, scan);
    }
    arena_destroy(&arena);
    if (sampler->count > 0) {
        qsort(sampler->rows, sampler->count, sizeof *sampler->rows, compare_numbers);
    }
    return err;
}

/* ---- one column ------------------------------------------------------------------------------ */

struct column_sample {
    oid_t type;
    bool by_reference;
    struct value *values; /* neither null nor wide; sorted */
    uint32_t count;
    uint32_t rows, nulls, wide;
    double bytes; /* of all that are not null */
    struct run *runs;
    uint32_t run_count, once; /* runs of one */
};

static int
compare_values(const void *left, const void *right, void *arg)
{
    const struct value *a = left;
    const struct value *b = right;
    const struct column_sample *sample = arg;
    int order = datum_compare(sample->type, a->datum, b->datum);
    return order != 0 ? order : a->position < b->position ? -1 : a->position > b->position;
}

static enum err
read_column(const struct sampler *sampler, uint16_t column, struct column_sample *sample)
{
    const struct type *type = type_by_oid(sample->type);
    sample->rows = sampler->count;
    for (uint32_t i = 0; i < sampler->count; i++) {
        const struct sampled_row *row = &sampler->rows[i];
        struct datum value;
        bool missing = false;
        TRY(row_column(sampler->relation->layout, slice_of(row->bytes, row->size), column, &value,
            &missing, sampler->diag));
        if (missing || value.null) {
            sample->nulls++;
            continue;
        }
        sample->bytes += type->by_reference ? (double)value.size : (double)type->size;
        if (type->by_reference && value.size > VALUE_BYTES_MAX) {
            sample->wide++;
            continue;
        }
        sample->values[sample->count++] = (struct value){.datum = value, .position = i};
    }
    return ERR_OK;
}

static void
find_runs(struct column_sample *sample)
{
    for (uint32_t i = 0; i < sample->count; i++) {
        struct run *last = sample->run_count == 0 ? NULL : &sample->runs[sample->run_count - 1];
        if (last != NULL && datum_compare(sample->type, sample->values[last->first].datum,
                                sample->values[i].datum) == 0) {
            last->count++;
        } else {
            sample->runs[sample->run_count++] = (struct run){.first = i, .count = 1};
        }
    }
    for (uint32_t i = 0; i < sample->run_count; i++) {
        sample->once += sample->runs[i].count == 1;
    }
}

/* How many different values the table has. */
static double
estimate_distinct(const struct column_sample *sample, double table_rows)
{
    double n = sample->count + sample->wide;
    double present = n / sample->rows; /* part of the rows that is not null */
    double values = sample->run_count + sample->wide;
    double once = sample->once + sample->wide;
    if (once >= values) {
        return -present; /* nothing twice: all are different */
    }
    double distinct = values;
    if (once > 0) {
        double total = table_rows * present;
        distinct = n * values / (n - once + once * n / total);
        distinct = distinct < values ? values : distinct > total ? total : distinct;
    }
    return distinct > DISTINCT_GROWS * table_rows ? -(distinct / table_rows) : distinct;
}

static struct datum
own_value(struct arena *arena, const struct column_sample *sample, struct datum value)
{
    return sample->by_reference ? datum_bytes(arena_copy(arena, value.p, value.size), value.size)
                                : value;
}

static int
compare_runs(const void *left, const void *right)
{
    const struct run *a = left;
    const struct run *b = right;
    return a->count != b->count ? (a->count > b->count ? -1 : 1)
                                : (a->first < b->first ? -1 : a->first > b->first);
}

static int
compare_places(const void *left, const void *right)
{
    const struct run *a = left;
    const struct run *b = right;
    return a->first < b->first ? -1 : a->first > b->first;
}

/* The runs that are common values come first; how many there are. */
static uint32_t
choose_common(const struct column_sample *sample, double distinct)
{
    qsort(sample->runs, sample->run_count, sizeof *sample->runs, compare_runs);
    if (sample->run_count <= STATISTICS_TARGET && sample->wide == 0 && sample->once == 0) {
        return sample->run_count; /* these are all there are */
    }
    uint32_t bins = sample->run_count < STATISTICS_TARGET ? sample->run_count : STATISTICS_TARGET;
    double least = COMMON_ENOUGH * sample->count / distinct;
    double most = (double)sample->count / bins;
    least = least > most ? most : least < 2 ? 2 : least;
    uint32_t common = 0;
    while (common < bins && sample->runs[common].count >= least && sample->runs[common].count > 1) {
        common++;
    }
    return common;
}

static void
make_bounds(struct arena *arena, const struct column_sample *sample, uint32_t common,
    struct column_statistics *to)
{
    struct run *rest = sample->runs + common;
    uint32_t runs = sample->run_count - common;
    if (runs < 2) {
        return;
    }
    qsort(rest, runs, sizeof *rest, compare_places);
    uint32_t values = 0;
    for (uint32_t i = 0; i < runs; i++) {
        values += rest[i].count;
    }
    uint32_t bounds = runs < STATISTICS_TARGET + 1 ? runs : STATISTICS_TARGET + 1;
    struct datum *list = arena_array(arena, bounds, sizeof *list);
    uint32_t run = 0, before = 0; /* values in the runs before `run` */
    for (uint32_t b = 0; b < bounds; b++) {
        uint64_t place = (uint64_t)b * (values - 1) / (bounds - 1);
        while (before + rest[run].count <= place) {
            before += rest[run++].count;
        }
        list[b] = own_value(arena, sample, sample->values[rest[run].first].datum);
    }
    to->bounds = list;
    to->bound_count = bounds;
}

/* Of the values' order with their rows' (Pearson's, of ranks 0 .. n-1). */
static double
correlation(const struct column_sample *sample)
{
    double n = sample->count;
    if (n < 2) {
        return 1;
    }
    double products = 0;
    for (uint32_t i = 0; i < sample->count; i++) {
        products += (double)i * sample->values[i].position;
    }
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < sample->count; i++) {
        double position = sample->values[i].position;
        sum += position;
        squares += position * position;
    }
    double ranks = n * (n - 1) / 2;
    double rank_squares = n * (n - 1) * (2 * n - 1) / 6;
    double spread = (n * rank_squares - ranks * ranks) * (n * squares - sum * sum);
    return spread <= 0 ? 1 : (n * products - ranks * sum) / __builtin_sqrt(spread);
}

static void
describe(struct arena *arena, struct column_sample *sample, double table_rows,
    struct column_statistics *to)
{
    to->type = sample->type;
    if (sample->rows == 0) {
        to->type = 0;
        return;
    }
    uint32_t present = sample->count + sample->wide;
    to->null_fraction = (double)sample->nulls / sample->rows;
    to->width = present == 0 ? 0 : sample->bytes / present;
    if (present == 0 || !type_is_ordered(sample->type)) {
        return;
    }
    qsort_r(sample->values, sample->count, sizeof *sample->values, compare_values, sample);
    find_runs(sample);
    to->correlation = correlation(sample);
    to->distinct = estimate_distinct(sample, table_rows);
    double distinct = to->distinct < 0 ? -to->distinct * table_rows : to->distinct;
    uint32_t common = choose_common(sample, distinct);
    struct datum *values = arena_array(arena, common, sizeof *values);
    double *fractions = arena_array(arena, common, sizeof *fractions);
    for (uint32_t i = 0; i < common; i++) {
        values[i] = own_value(arena, sample, sample->values[sample->runs[i].first].datum);
        fractions[i] = (double)sample->runs[i].count / sample->rows;
    }
    to->common = values;
    to->common_fractions = fractions;
    to->common_count = common;
    make_bounds(arena, sample, common, to);
}

static enum err
describe_columns(struct sampler *sampler, struct table_statistics *statistics)
{
    const struct relation *relation = sampler->relation;
    struct value *values = mem_alloc((sampler->count + UINT64_C(1)) * sizeof *values);
    struct run *runs = mem_alloc((sampler->count + UINT64_C(1)) * sizeof *runs);
    enum err err = ERR_OK;
    for (uint16_t c = 0; c < relation->column_count && err == ERR_OK; c++) {
        const struct type *type = type_by_oid(relation->columns[c].type);
        if (relation->columns[c].dropped || type == NULL) {
            continue;
        }
        struct column_sample sample = {.type = relation->columns[c].type,
            .by_reference = type->by_reference,
            .values = values,
            .runs = runs};
        err = task_breathe(sampler->task, sampler->diag);
        if (err == ERR_OK) {
            err = read_column(sampler, c, &sample);
        }
        if (err == ERR_OK) {
            describe(&statistics->arena, &sample, statistics->rows, &statistics->columns[c]);
        }
    }
    mem_free(values);
    mem_free(runs);
    return err;
}

/* ---- the whole ------------------------------------------------------------------------------- */

enum err
statistics_gather(struct task *task, struct catalog_store *store, struct txn *txn,
    const struct relation *relation, struct diag *diag)
{
    struct sampler sampler = {
        .task = task, .diag = diag, .relation = relation, .state = world_random(task_world(task))};
    uint64_t changes = atomic_load_explicit(relation->changes, memory_order_relaxed);
    struct table_statistics *statistics =
        catalog__statistics_new(relation->oid, relation->column_count);
    enum err err = sample_table(&sampler, store, txn);
    statistics->rows = (double)sampler.seen;
    if (err == ERR_OK) {
        err = describe_columns(&sampler, statistics);
    }
    for (uint32_t i = 0; i < sampler.count; i++) {
        mem_free(sampler.rows[i].bytes);
    }
    mem_free(sampler.rows);
    if (err == ERR_OK) {
        err = catalog__statistics_put(task, store, txn, statistics, diag);
    }
    if (err != ERR_OK) {
        catalog__statistics_release(statistics);
        return err;
    }
    atomic_fetch_sub_explicit(relation->changes, changes, memory_order_relaxed);
    /* At once, before the commit: that is what makes others read their pictures anew. */
    catalog__statistics_publish(store, statistics);
    return ERR_OK;
}
