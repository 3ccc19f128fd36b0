/*
 * sql/exec/set.c - DISTINCT, UNION, INTERSECT, EXCEPT.
 *
 * All by a hash table of rows. When it is larger than hash_mem no more rows are put into it: those
 * that it knows are still judged by it, the others go to partitions and come later (partitions in
 * spill.h).
 */
#include "sql/exec/exec_internal.h"

struct seen_row {
    struct hash_entry entry;
    int64_t count; /* INTERSECT, EXCEPT: of the right side; ALL: still to be matched */
    bool given;
    struct datum keys[];
};

static struct seen_row *
find_row(const struct hash_table *table, const oid_t *types, const struct datum *keys,
    uint32_t count, uint64_t hash)
{
    struct hash_entry *entry = hash_table_first(table, hash);
    for (; entry != NULL; entry = entry->next) {
        struct seen_row *row = (struct seen_row *)(void *)entry;
        if (entry->hash == hash && exec__equal_keys(types, keys, row->keys, count)) {
            return row;
        }
    }
    return NULL;
}

static struct seen_row *
add_row(struct hash_table *table, struct arena *memory, const struct datum *keys,
    const bool *by_reference, uint32_t count, uint64_t hash)
{
    struct seen_row *row =
        exec__save_keys(memory, offsetof(struct seen_row, keys), keys, by_reference, count);
    row->count = 0;
    row->given = false;
    hash_table_add(table, &row->entry, hash);
    return row;
}

/* Rows that are not in the table go to partitions from now on. */
static void
stop_adding(const struct hash_table *table, const struct arena *memory, double rows,
    struct partitions *partitions)
{
    double size = (double)(arena_used(memory) + hash_table_memory(table));
    double bytes = rows * size / (double)table->count;
    bytes = bytes < 2 * size ? 2 * size : bytes > 1e15 ? 1e15 : bytes;
    partitions_split(partitions, (uint64_t)bytes);
}

static bool
is_full(const struct exec *x, const struct hash_table *table, const struct arena *memory,
    const struct partitions *partitions)
{
    return arena_used(memory) + hash_table_memory(table) > x->hash_spill.work_mem &&
           partitions_possible(partitions);
}

static void
clear_table(const struct exec *x, struct hash_table *table, struct arena *memory)
{
    arena_reset(memory);
    if (hash_table_memory(table) > x->hash_spill.work_mem / 8) {
        hash_table_destroy(table); /* it has grown for more rows than there may be now */
    }
    hash_table_clear(table);
}

/* ---- DISTINCT -------------------------------------------------------------------------------- */

struct distinct_state {
    struct node node;
    struct arena memory[2]; /* hashed: the first only; sorted: the last row's keys, in turn */
    struct hash_table table;
    struct partitions partitions;
    struct datum *read; /* what is read from them */
    struct datum *keys; /* room for the current row's */
    struct datum *last;
    size_t held;
    int memory_at;
};

static enum err
distinct_start(struct task *task, struct exec *x, struct node *node)
{
    struct distinct_state *state = (struct distinct_state *)(void *)node;
    uint32_t count = node->code->plan->distinct.key_count;
    if (state->keys == NULL) {
        state->keys = arena_array(x->context.arena, (size_t)count + 1, sizeof *state->keys);
        state->read =
            arena_array(x->context.arena, (size_t)node->code->saved.count + 1, sizeof *state->read);
        partitions_create(&state->partitions, &x->hash_spill);
    }
    partitions_clear(task, &state->partitions);
    clear_table(x, &state->table, &state->memory[0]);
    arena_reset(&state->memory[1]);
    state->last = NULL;
    return exec__start(task, x, node->children[0]);
}

static void
read_keys(struct exec *x, struct distinct_state *state)
{
    const struct node_code *code = state->node.code;
    for (uint32_t i = 0; i < code->plan->distinct.key_count; i++) {
        state->keys[i] = x->machine.frame[code->distinct.keys[i].slot];
    }
}

/* The next row of the child, or of a partition. */
static enum err
distinct_read(struct task *task, struct exec *x, struct distinct_state *state, bool *found)
{
    const struct reg_list *saved = &state->node.code->saved;
    *found = false;
    if (!state->partitions.from_runs) {
        TRY(exec__next(task, x, state->node.children[0], found));
        if (*found || !spill_possible(&x->hash_spill)) {
            return ERR_OK;
        }
    }
    for (;;) {
        if (state->partitions.from_runs) {
            TRY(partitions_read(
                task, &state->partitions, 0, row_form_of(saved), state->read, found));
            if (*found) {
                exec__restore(x->machine.frame, saved, state->read);
                return ERR_OK;
            }
        }
        bool more = false;
        TRY(partitions_next(task, &state->partitions, false, &more));
        if (!more) {
            return ERR_OK;
        }
        clear_table(x, &state->table, &state->memory[0]);
    }
}

static enum err
distinct_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct distinct_state *state = (struct distinct_state *)(void *)node;
    const struct node_code *code = node->code;
    struct partitions *partitions = &state->partitions;
    uint32_t count = code->plan->distinct.key_count;
    for (;;) {
        TRY(distinct_read(task, x, state, found));
        if (!*found) {
            return ERR_OK;
        }
        read_keys(x, state);
        uint64_t hash = exec__hash_keys(code->distinct.types, state->keys, count);
        if (find_row(&state->table, code->distinct.types, state->keys, count, hash) != NULL) {
            continue;
        }
        if (partitions->fan > 0) {
            TRY(partitions_put(task, partitions, 0, partitions_part(partitions, hash),
                x->machine.frame, code->saved.regs, row_form_of(&code->saved)));
            continue;
        }
        (void)add_row(&state->table, &state->memory[0], state->keys, code->distinct.by_reference,
            count, hash);
        if (is_full(x, &state->table, &state->memory[0], partitions)) {
            stop_adding(&state->table, &state->memory[0], code->plan->rows, partitions);
        }
        return exec__hold(
            x, &state->held, arena_used(&state->memory[0]) + hash_table_memory(&state->table));
    }
}

static enum err
distinct_sorted_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct distinct_state *state = (struct distinct_state *)(void *)node;
    const struct node_code *code = node->code;
    uint32_t count = code->plan->distinct.key_count;
    do {
        TRY(exec__next(task, x, node->children[0], found));
        if (!*found) {
            return ERR_OK;
        }
        read_keys(x, state);
    } while (state->last != NULL &&
             exec__equal_keys(code->distinct.types, state->keys, state->last, count));
    state->memory_at = 1 - state->memory_at;
    arena_reset(&state->memory[state->memory_at]);
    state->last = exec__save_keys(
        &state->memory[state->memory_at], 0, state->keys, code->distinct.by_reference, count);
    return ERR_OK;
}

static void
distinct_close(struct task *task, struct exec *x, struct node *node)
{
    (void)x;
    struct distinct_state *state = (struct distinct_state *)(void *)node;
    partitions_destroy(task, &state->partitions);
    arena_destroy(&state->memory[0]);
    arena_destroy(&state->memory[1]);
    hash_table_destroy(&state->table);
}

const struct node_kind exec__distinct_hash = {.state_size = sizeof(struct distinct_state),
    .start = distinct_start,
    .next = distinct_next,
    .close = distinct_close};
const struct node_kind exec__distinct_sorted = {.state_size = sizeof(struct distinct_state),
    .start = distinct_start,
    .next = distinct_sorted_next,
    .close = distinct_close};

/* ---- UNION, INTERSECT, EXCEPT ---------------------------------------------------------------- */

struct set_state {
    struct node node;
    struct arena memory;
    struct hash_table table;
    struct partitions partitions; /* sides: left, right; UNION: the first for both */
    size_t held;
    int side;    /* UNION: the child that is read */
    bool loaded; /* INTERSECT, EXCEPT: the right side is in the table */
};

static enum err
set_start(struct task *task, struct exec *x, struct node *node)
{
    struct set_state *state = (struct set_state *)(void *)node;
    if (state->partitions.spill.context == NULL) {
        partitions_create(&state->partitions, &x->hash_spill);
    }
    partitions_clear(task, &state->partitions);
    clear_table(x, &state->table, &state->memory);
    state->side = 0;
    state->loaded = false;
    return exec__start(task, x, node->children[0]);
}

static struct row_form
result_form(const struct node_code *code)
{
    return (struct row_form){
        .by_reference = code->set.by_reference, .count = code->plan->set.column_count};
}

/* A side's next row, in the result's registers. */
static enum err
read_side(struct task *task, struct exec *x, struct set_state *state, int side, bool *found)
{
    const struct node_code *code = state->node.code;
    const struct plan_node *plan = code->plan;
    struct datum *result = &x->machine.frame[plan->set.base];
    if (state->partitions.from_runs) {
        return partitions_read(task, &state->partitions, side, result_form(code), result, found);
    }
    TRY(exec__next(task, x, state->node.children[side], found));
    for (uint32_t i = 0; *found && i < plan->set.column_count; i++) {
        result[i] = x->machine.frame[plan->set.inputs[side][i]];
    }
    return ERR_OK;
}

/* The row in the result's registers, looked up. */
struct found_row {
    struct seen_row *row; /* NULL: it is not there */
    bool is_new;          /* it has just been added */
    bool is_away;         /* it is not there, and might be in a partition */
    uint64_t hash;
};

static enum err
lookup(struct exec *x, struct set_state *state, bool add, struct found_row *found)
{
    const struct node_code *code = state->node.code;
    uint32_t count = code->plan->set.column_count;
    const struct datum *keys = &x->machine.frame[code->plan->set.base];
    uint64_t hash = exec__hash_keys(code->plan->set.types, keys, count);
    *found = (struct found_row){.hash = hash};
    found->row = find_row(&state->table, code->plan->set.types, keys, count, hash);
    if (found->row != NULL) {
        return ERR_OK;
    }
    found->is_away = state->partitions.fan > 0;
    if (found->is_away || !add) {
        return ERR_OK;
    }
    found->is_new = true;
    found->row = add_row(&state->table, &state->memory, keys, code->set.by_reference, count, hash);
    if (is_full(x, &state->table, &state->memory, &state->partitions)) {
        stop_adding(&state->table, &state->memory, code->plan->rows, &state->partitions);
    }
    return exec__hold(
        x, &state->held, arena_used(&state->memory) + hash_table_memory(&state->table));
}

static enum err
put_away(struct task *task, struct exec *x, struct set_state *state, int side, uint64_t hash)
{
    const struct node_code *code = state->node.code;
    return partitions_put(task, &state->partitions, side, partitions_part(&state->partitions, hash),
        &x->machine.frame[code->plan->set.base], NULL, result_form(code));
}

/* The table is for the rows of the next batch, if there is one. */
static enum err
next_batch(struct task *task, struct exec *x, struct set_state *state, bool *more)
{
    TRY(partitions_next(task, &state->partitions, false, more));
    if (*more) {
        clear_table(x, &state->table, &state->memory);
        state->loaded = false;
    }
    return ERR_OK;
}

static enum err
union_next(struct task *task, struct exec *x, struct set_state *state, bool *found)
{
    struct node *node = &state->node;
    for (;;) {
        TRY(read_side(task, x, state, state->partitions.from_runs ? 0 : state->side, found));
        if (!*found) {
            bool more = state->side == 0;
            if (more) {
                state->side = 1;
                TRY(exec__start(task, x, node->children[1]));
            } else {
                TRY(next_batch(task, x, state, &more));
            }
            if (!more) {
                return ERR_OK;
            }
            continue;
        }
        if (node->code->plan->set.all) {
            return ERR_OK;
        }
        struct found_row row;
        TRY(lookup(x, state, true, &row));
        if (row.is_new) {
            return ERR_OK;
        }
        if (row.is_away) {
            TRY(put_away(task, x, state, 0, row.hash));
        }
    }
}

static enum err
load_right(struct task *task, struct exec *x, struct set_state *state)
{
    if (!state->partitions.from_runs) {
        TRY(exec__start(task, x, state->node.children[1]));
    }
    for (;;) {
        bool found = false;
        TRY(read_side(task, x, state, 1, &found));
        if (!found) {
            state->loaded = true;
            return ERR_OK;
        }
        struct found_row row;
        TRY(lookup(x, state, true, &row));
        if (row.is_away) {
            TRY(put_away(task, x, state, 1, row.hash));
        } else {
            row.row->count++;
        }
    }
}

/* Whether a row of the left side is in the result, as far as is known now. */
static enum err
judge_left(struct task *task, struct exec *x, struct set_state *state, bool *gives)
{
    const struct plan_node *plan = state->node.code->plan;
    bool except = plan->set.kind == SET_EXCEPT;
    struct found_row row;
    TRY(lookup(x, state, except && !plan->set.all, &row));
    if (row.is_away) {
        *gives = false;
        return put_away(task, x, state, 0, row.hash);
    }
    bool on_right = row.row != NULL && row.row->count > 0;
    *gives = on_right != except;
    if (plan->set.all) {
        if (on_right) {
            row.row->count--; /* each row of the right side answers for one of the left */
        }
    } else if (*gives) {
        *gives = !row.row->given;
        row.row->given = true;
    }
    return ERR_OK;
}

static enum err
set_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct set_state *state = (struct set_state *)(void *)node;
    if (node->code->plan->set.kind == SET_UNION) {
        return union_next(task, x, state, found);
    }
    for (;;) {
        if (!state->loaded) {
            TRY(load_right(task, x, state));
        }
        TRY(read_side(task, x, state, 0, found));
        if (!*found) {
            bool more = false;
            TRY(next_batch(task, x, state, &more));
            if (!more) {
                return ERR_OK;
            }
            continue;
        }
        bool gives = false;
        TRY(judge_left(task, x, state, &gives));
        if (gives) {
            return ERR_OK;
        }
    }
}

static void
set_close(struct task *task, struct exec *x, struct node *node)
{
    (void)x;
    struct set_state *state = (struct set_state *)(void *)node;
    partitions_destroy(task, &state->partitions);
    arena_destroy(&state->memory);
    hash_table_destroy(&state->table);
}

const struct node_kind exec__set = {.state_size = sizeof(struct set_state),
    .start = set_start,
    .next = set_next,
    .close = set_close};
