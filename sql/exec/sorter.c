/*
 * sql/exec/sorter.c - sorting any number of rows in a given memory.
 *
 * Rows are kept whole and sorted as (prefix, pointer). When they fill work_mem they are sorted,
 * written as a run, and forgotten. At the end the runs are merged by a tree of losers, as many as
 * memory has room for a block of each; if there are more, some are merged into one first. Runs that
 * are merged are neighbours and the result takes their place, so that equal rows keep their order.
 *
 * With a bound (LIMIT) only that many rows need to survive: from time to time the kept ones are
 * sorted and cut, and from then on a row that would come after the last of them is not even copied.
 * That is a heap of the best rows, but its work is done by the sort, and in bulk.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "sql/exec/exec_internal.h"
#include "sql/exec/spill.h"

struct source {
    struct run_reader reader;
    struct datum *row; /* NULL: at its end */
    struct datum *room;
    uint64_t prefix;
};

struct sort_merge {
    struct source *sources;
    uint32_t count;
    uint32_t *losers; /* [0]: the winner, whose row is the next (or was the last one given) */
    bool begun;
};

void
sorter_create(struct sorter *sorter, const struct spill_context *context, struct row_form form,
    const struct key_code *keys, uint32_t key_count)
{
    *sorter = (struct sorter){.context = context,
        .form = form,
        .keys = keys,
        .key_count = key_count,
        .bound = UINT64_MAX};
    arena_create(&sorter->memory[0], "sort");
    arena_create(&sorter->memory[1], "sort");
    arena_create(&sorter->worst_memory, "sort");
    spill_create(&sorter->spill, context);
}

static void
merge_delete(struct sort_merge *merge)
{
    if (merge == NULL) {
        return;
    }
    for (uint32_t i = 0; i < merge->count; i++) {
        run_reader_destroy(&merge->sources[i].reader);
        mem_free(merge->sources[i].room);
    }
    mem_free(merge->sources);
    mem_free(merge->losers);
    mem_free(merge);
}

void
sorter_clear(struct task *task, struct sorter *sorter, uint64_t bound)
{
    arena_reset(&sorter->memory[0]);
    arena_reset(&sorter->memory[1]);
    arena_reset(&sorter->worst_memory);
    sorter->current = 0;
    sorter->count = 0;
    sorter->at = 0;
    sorter->row_count = 0;
    sorter->has_worst = false;
    sorter->bound = bound == 0 ? 1 : bound;
    merge_delete(sorter->merge);
    sorter->merge = NULL;
    for (uint32_t i = 0; i < sorter->run_count; i++) {
        run_destroy(&sorter->runs[i]);
    }
    sorter->run_count = 0;
    spill_destroy(task, &sorter->spill);
}

void
sorter_destroy(struct task *task, struct sorter *sorter)
{
    if (sorter->context == NULL) {
        return; /* never created */
    }
    sorter_clear(task, sorter, 0);
    arena_destroy(&sorter->memory[0]);
    arena_destroy(&sorter->memory[1]);
    arena_destroy(&sorter->worst_memory);
    mem_free(sorter->items);
    mem_free(sorter->other);
    mem_free(sorter->runs);
    sorter->context = NULL;
}

size_t
sorter_memory(const struct sorter *sorter)
{
    return arena_used(&sorter->memory[sorter->current]) + arena_used(&sorter->worst_memory) +
           2 * sorter->capacity * sizeof *sorter->items;
}

static enum err
sort_kept(struct task *task, struct sorter *sorter)
{
    return exec__sort_items(task, sorter->items, sorter->other, sorter->count, sorter->keys,
        sorter->key_count, sorter->context->diag);
}

/* ---- adding ---------------------------------------------------------------------------------- */

/* The kept rows are sorted: those behind the bound go, and the last of the others is a mark. */
static void
cut_count(struct sorter *sorter)
{
    if (sorter->count < sorter->bound) {
        return;
    }
    sorter->count = sorter->bound;
    const struct sort_item *last = &sorter->items[sorter->count - 1];
    arena_reset(&sorter->worst_memory);
    sorter->worst.prefix = last->prefix;
    sorter->worst.row = row_save(&sorter->worst_memory, last->row, NULL, sorter->form);
    sorter->has_worst = true;
}

/* Keep the best `bound` only. */
static enum err
cut(struct task *task, struct sorter *sorter)
{
    TRY(sort_kept(task, sorter));
    cut_count(sorter);
    struct arena *to = &sorter->memory[1 - sorter->current];
    arena_reset(to);
    for (size_t i = 0; i < sorter->count; i++) {
        sorter->items[i].row = row_save(to, sorter->items[i].row, NULL, sorter->form);
    }
    arena_reset(&sorter->memory[sorter->current]);
    sorter->current = 1 - sorter->current;
    return ERR_OK;
}

static struct run *
new_run(struct sorter *sorter)
{
    if (sorter->run_count == sorter->run_capacity) {
        sorter->run_capacity = sorter->run_capacity == 0 ? 8 : sorter->run_capacity * 2;
        sorter->runs = mem_realloc(sorter->runs, sorter->run_capacity * sizeof *sorter->runs);
    }
    struct run *run = &sorter->runs[sorter->run_count++];
    *run = (struct run){0};
    return run;
}

/* The kept rows become a run. */
static enum err
write_kept(struct task *task, struct sorter *sorter)
{
    TRY(sort_kept(task, sorter));
    cut_count(sorter);
    struct run *run = new_run(sorter);
    for (size_t i = 0; i < sorter->count; i++) {
        TRY(run_add(task, &sorter->spill, run, sorter->items[i].row, NULL, sorter->form));
        if (i % 64 == 63) {
            TRY(task_breathe(task, sorter->context->diag));
        }
    }
    sorter->count = 0;
    arena_reset(&sorter->memory[sorter->current]);
    return run_flush(task, &sorter->spill, run);
}

/* More items would leave the rows less than half of the memory: then a run would be what little
 * room they have left, down to a row each. */
static bool
is_full(const struct sorter *sorter)
{
    uint64_t more = 2 * 2 * (uint64_t)sorter->capacity * sizeof *sorter->items;
    return sorter->capacity > 0 && more > sorter->context->work_mem / 2 &&
           spill_possible(sorter->context);
}

static bool
too_late(
    const struct sorter *sorter, uint64_t prefix, const struct datum *row, const uint32_t *regs)
{
    if (prefix != sorter->worst.prefix) {
        return prefix > sorter->worst.prefix;
    }
    for (uint32_t i = 0; i < sorter->key_count; i++) {
        const struct key_code *key = &sorter->keys[i];
        const struct datum *a = &row[regs == NULL ? key->slot : regs[key->slot]];
        int order = exec__compare_key(key, a, &sorter->worst.row[key->slot]);
        if (order != 0) {
            return order > 0;
        }
    }
    return true; /* an equal one that came later */
}

enum err
sorter_add(struct task *task, struct sorter *sorter, const struct datum *row, const uint32_t *regs)
{
    uint64_t prefix = 0;
    sorter->row_count++;
    if (sorter->key_count > 0) {
        uint32_t slot = sorter->keys[0].slot;
        prefix = exec__sort_prefix(&sorter->keys[0], &row[regs == NULL ? slot : regs[slot]]);
    }
    if (sorter->has_worst && too_late(sorter, prefix, row, regs)) {
        return ERR_OK;
    }
    if (sorter->count == sorter->capacity) {
        if (sorter->bound < SIZE_MAX / 4 && sorter->count >= 2 * sorter->bound + 64) {
            TRY(cut(task, sorter));
        } else if (is_full(sorter)) {
            TRY(write_kept(task, sorter));
        } else {
            sorter->capacity = sorter->capacity == 0 ? 64 : sorter->capacity * 2;
            sorter->items = mem_realloc(sorter->items, sorter->capacity * sizeof *sorter->items);
            sorter->other = mem_realloc(sorter->other, sorter->capacity * sizeof *sorter->other);
        }
    }
    struct arena *memory = &sorter->memory[sorter->current];
    sorter->items[sorter->count++] =
        (struct sort_item){.prefix = prefix, .row = row_save(memory, row, regs, sorter->form)};
    uint64_t work_mem = sorter->context->work_mem;
    if (sorter_memory(sorter) <= work_mem || !spill_possible(sorter->context)) {
        return ERR_OK;
    }
    if (sorter->count > sorter->bound) {
        TRY(cut(task, sorter));
        if (sorter_memory(sorter) <= work_mem / 2) {
            return ERR_OK;
        }
    }
    return write_kept(task, sorter);
}

/* ---- merging --------------------------------------------------------------------------------- */

static enum err
advance(struct task *task, struct sorter *sorter, struct source *source)
{
    bool found = false;
    TRY(run_next(task, &sorter->spill, &source->reader, sorter->form, source->room, &found));
    source->row = found ? source->room : NULL;
    if (found && sorter->key_count > 0) {
        source->prefix = exec__sort_prefix(&sorter->keys[0], &source->row[sorter->keys[0].slot]);
    }
    return ERR_OK;
}

/* Whether source a's row comes before b's; number `count` is before all, to begin with. */
static bool
comes_before(const struct sorter *sorter, const struct sort_merge *merge, uint32_t a, uint32_t b)
{
    if (a == merge->count || b == merge->count) {
        return a == merge->count;
    }
    const struct source *x = &merge->sources[a];
    const struct source *y = &merge->sources[b];
    if (x->row == NULL || y->row == NULL) {
        return x->row != NULL || (y->row == NULL && a < b);
    }
    if (x->prefix != y->prefix) {
        return x->prefix < y->prefix;
    }
    int order = exec__compare_rows(sorter->keys, sorter->key_count, x->row, y->row);
    return order != 0 ? order < 0 : a < b;
}

/* Source `at` has another row: play its games again, up to the top. */
static void
replay(const struct sorter *sorter, struct sort_merge *merge, uint32_t at)
{
    uint32_t winner = at;
    for (uint32_t place = (at + merge->count) / 2; place > 0; place /= 2) {
        if (comes_before(sorter, merge, merge->losers[place], winner)) {
            uint32_t loser = winner;
            winner = merge->losers[place];
            merge->losers[place] = loser;
        }
    }
    merge->losers[0] = winner;
}

static enum err
merge_begin(struct task *task, struct sorter *sorter, uint32_t from, uint32_t count)
{
    ASSERT(sorter->merge == NULL && count > 0);
    struct sort_merge *merge = mem_zalloc(sizeof *merge);
    sorter->merge = merge;
    merge->sources = mem_array(count, sizeof *merge->sources);
    merge->losers = mem_array(count, sizeof *merge->losers);
    merge->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct source *source = &merge->sources[i];
        source->room = mem_array((size_t)sorter->form.count + 1, sizeof *source->room);
        run_read(&source->reader, &sorter->runs[from + i], true);
        merge->losers[i] = count;
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(advance(task, sorter, &merge->sources[i]));
    }
    for (uint32_t i = count; i > 0; i--) {
        replay(sorter, merge, i - 1);
    }
    return ERR_OK;
}

/* The source of the next row moves on only now: the row that was given has lived till here. */
static enum err
merge_next(struct task *task, struct sorter *sorter, const struct datum **row)
{
    struct sort_merge *merge = sorter->merge;
    if (merge->begun) {
        uint32_t at = merge->losers[0];
        if (merge->sources[at].row != NULL) {
            TRY(advance(task, sorter, &merge->sources[at]));
            replay(sorter, merge, at);
        }
    }
    merge->begun = true;
    *row = merge->sources[merge->losers[0]].row;
    return ERR_OK;
}

/* runs[from .. from + count) become one run in their place. */
static enum err
merge_some(struct task *task, struct sorter *sorter, uint32_t from, uint32_t count)
{
    struct run merged = {0};
    uint64_t left = sorter->bound;
    enum err err = merge_begin(task, sorter, from, count);
    while (err == ERR_OK && left > 0) {
        const struct datum *row = NULL;
        err = merge_next(task, sorter, &row);
        if (err != ERR_OK || row == NULL) {
            break;
        }
        err = run_add(task, &sorter->spill, &merged, row, NULL, sorter->form);
        if (err == ERR_OK) {
            err = task_breathe(task, sorter->context->diag);
        }
        left--;
    }
    if (err == ERR_OK) {
        err = run_flush(task, &sorter->spill, &merged);
    }
    merge_delete(sorter->merge);
    sorter->merge = NULL;
    if (err != ERR_OK) {
        run_destroy(&merged);
        return err;
    }
    for (uint32_t i = 0; i < count; i++) {
        run_clear(&sorter->spill, &sorter->runs[from + i]); /* what the bound left unread */
        run_destroy(&sorter->runs[from + i]);
    }
    sorter->runs[from] = merged;
    memmove(&sorter->runs[from + 1], &sorter->runs[from + count],
        (sorter->run_count - from - count) * sizeof *sorter->runs);
    sorter->run_count -= count - 1;
    return ERR_OK;
}

enum err
sorter_finish(struct task *task, struct sorter *sorter)
{
    sorter->at = 0;
    if (sorter->run_count == 0) {
        return sort_kept(task, sorter);
    }
    if (sorter->count > 0) {
        TRY(write_kept(task, sorter));
    }
    mem_free(sorter->items);
    mem_free(sorter->other);
    sorter->items = NULL;
    sorter->other = NULL;
    sorter->capacity = 0;
    uint32_t order = 2 * spill_fan_out(sorter->context) - 1; /* one block is that of the result */
    for (uint32_t from = 0; sorter->run_count > order; from++) {
        uint32_t excess = sorter->run_count - order + 1;
        uint32_t some = excess < order ? excess : order;
        from = from + some > sorter->run_count ? 0 : from; /* another pass */
        TRY(merge_some(task, sorter, from, some));
    }
    return merge_begin(task, sorter, 0, sorter->run_count);
}

enum err
sorter_next(struct task *task, struct sorter *sorter, const struct datum **row)
{
    if (sorter->merge != NULL) {
        return merge_next(task, sorter, row);
    }
    *row = sorter->at < sorter->count ? sorter->items[sorter->at++].row : NULL;
    return ERR_OK;
}
