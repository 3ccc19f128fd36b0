/*
 * sql/exec/hash_join.c - hash joins, of any size.
 *
 * The inner rows are put into a hash table, then each outer row looks for its partners there. What
 * comes out is that of the other joins (join.c).
 *
 * When the inner rows are more than hash_mem, they are partitioned by some bits of their keys' hash
 * (hybrid hash join): partition 0 stays in memory as long as it fits, the others go to runs. Outer
 * rows of partition 0 are joined at once, the others go to runs too, unless they cannot have a
 * partner. Then each pair of runs is a join of its own, a *batch*, whose inner rows are again
 * partitioned, by other bits, if they do not fit. Rows of one hash cannot be partitioned: they are
 * kept, as are those of the last level, and the statement's limit counts them.
 *
 * The rows of a batch come out of their runs into the same registers as from the children, and keys
 * and hashes are computed again.
 */
#include "sql/exec/exec_internal.h"

struct join_entry {
    struct hash_entry entry;
    struct join_entry *next_made; /* in the order they came */
    bool matched;
    struct datum *row;
    struct datum keys[];
};

struct hash_state {
    struct node node;
    struct arena memory; /* entries */
    struct arena keys;   /* of the outer row's */
    struct arena outside_memory;
    struct hash_table table;
    struct join_entry *first, **last;
    struct join_entry *at; /* candidates of the outer row from here on; after the outer side: the
                              inner rows left to look at */
    uint64_t hash;
    struct datum *outside;
    size_t held;
    bool built, has_outer, matched, outer_done;

    struct partitions partitions; /* sides: outer, inner */
    struct datum *rows[2];        /* what is read from them */
    bool has_spilled;             /* since the first inner row */
    bool keeps_first;             /* partition 0 is in the table */
    bool one_hash;                /* all in the table have hash `first_hash` */
    uint64_t first_hash;
    uint64_t null_count; /* inner rows with a null in their keys */
};

static enum err
hash_start(struct task *task, struct exec *x, struct node *node)
{
    struct hash_state *state = (struct hash_state *)(void *)node;
    state->has_outer = false;
    state->outer_done = false;
    if (state->built &&
        (state->has_spilled || !exec__same_outside(x, &node->code->external, state->outside))) {
        state->built = false;
    }
    if (state->has_spilled) {
        partitions_clear(task, &state->partitions);
        state->has_spilled = false;
    }
    if (state->built && node->code->plan->join.kind == JOIN_FULL) {
        for (struct join_entry *entry = state->first; entry != NULL; entry = entry->next_made) {
            entry->matched = false;
        }
    }
    return exec__start(task, x, node->children[0]);
}

/* ---- rows of a side -------------------------------------------------------------------------- */

static enum err
read_side(struct task *task, struct exec *x, struct hash_state *state, int side, bool *found)
{
    if (!state->partitions.from_runs) {
        return exec__next(task, x, state->node.children[side], found);
    }
    const struct reg_list *saved = &state->node.code->nulls[side];
    TRY(partitions_read(
        task, &state->partitions, side, row_form_of(saved), state->rows[side], found));
    if (*found) {
        exec__restore(x->machine.frame, saved, state->rows[side]);
    }
    return ERR_OK;
}

/* The side's current row goes to its partition. */
static enum err
put_away(struct task *task, struct exec *x, struct hash_state *state, int side, uint32_t part)
{
    const struct reg_list *saved = &state->node.code->nulls[side];
    return partitions_put(
        task, &state->partitions, side, part, x->machine.frame, saved->regs, row_form_of(saved));
}

/* ---- the table ------------------------------------------------------------------------------- */

static void
clear_table(const struct exec *x, struct hash_state *state)
{
    arena_reset(&state->memory);
    if (hash_table_memory(&state->table) > x->hash_spill.work_mem / 8) {
        hash_table_destroy(&state->table); /* it has grown for more rows than there may be now */
    }
    hash_table_clear(&state->table);
    state->first = NULL;
    state->last = &state->first;
    state->one_hash = true;
    state->null_count = 0;
}

static size_t
table_memory(const struct hash_state *state)
{
    return arena_used(&state->memory) + hash_table_memory(&state->table);
}

static void
keep_entry(struct hash_state *state, const struct datum *keys, const struct datum *row,
    const uint32_t *regs, uint64_t hash, bool null)
{
    const struct node_code *code = state->node.code;
    struct join_entry *entry = exec__save_keys(&state->memory, offsetof(struct join_entry, keys),
        keys, code->join.key_by_reference, code->plan->join.key_count);
    entry->next_made = NULL;
    entry->matched = false;
    entry->entry.hash = hash;
    entry->row = row_save(&state->memory, row, regs, row_form_of(&code->saved));
    *state->last = entry;
    state->last = &entry->next_made;
    if (null) {
        state->one_hash = false;
        return;
    }
    if (state->table.count == 0) {
        state->first_hash = hash;
    }
    state->one_hash = state->one_hash && hash == state->first_hash;
    hash_table_add(&state->table, &entry->entry, hash);
}

/* Rows with a null (FULL only) have no partner anywhere: they are dealt out. */
static uint32_t
part_of_entry(
    const struct hash_state *state, const struct join_entry *entry, bool null, uint64_t number)
{
    return null ? (uint32_t)(number % state->partitions.fan)
                : partitions_part(&state->partitions, entry->entry.hash);
}

/* Keeps only the rows of partition 0 in the table, or, if that is where they already are from,
 * none. */
static enum err
put_table_away(struct task *task, struct exec *x, struct hash_state *state, bool keep_first)
{
    const struct node_code *code = state->node.code;
    struct join_entry *entry = state->first;
    struct arena old = state->memory;
    uint64_t nulls = 0;
    enum err err = ERR_OK;
    arena_create(&state->memory, "hash join");
    clear_table(x, state);
    for (; entry != NULL && err == ERR_OK; entry = entry->next_made) {
        bool null = exec__any_null(entry->keys, code->plan->join.key_count);
        uint32_t part = keep_first ? part_of_entry(state, entry, null, nulls) : 0;
        nulls += null ? 1 : 0;
        err = task_breathe(task, x->context.diag);
        if (err == ERR_OK && part == 0 && keep_first) {
            keep_entry(state, entry->keys, entry->row, NULL, entry->entry.hash, null);
        } else if (err == ERR_OK) {
            err = partitions_put(
                task, &state->partitions, 1, part, entry->row, NULL, row_form_of(&code->saved));
        }
    }
    arena_destroy(&old);
    state->null_count = nulls;
    state->keeps_first = keep_first;
    return err;
}

static enum err
split(struct task *task, struct exec *x, struct hash_state *state)
{
    const struct node_code *code = state->node.code;
    double each = (double)table_memory(state) / (double)(state->table.count + 1);
    double bytes = code->plan->children[1]->rows * each;
    double least = 2.0 * (double)table_memory(state);
    for (int side = 0; side < 2 && state->rows[side] == NULL; side++) {
        state->rows[side] = arena_array(
            x->context.arena, (size_t)code->nulls[side].count + 1, sizeof *state->rows[side]);
    }
    state->has_spilled = true;
    partitions_split(&state->partitions, (uint64_t)(bytes < least  ? least
                                                    : bytes > 1e15 ? 1e15
                                                                   : bytes));
    return put_table_away(task, x, state, true);
}

static enum err
too_large(struct task *task, struct exec *x, struct hash_state *state)
{
    if (state->partitions.fan == 0) {
        if (state->one_hash || !partitions_possible(&state->partitions)) {
            return ERR_OK;
        }
        TRY(split(task, x, state));
    }
    return state->keeps_first && table_memory(state) > x->hash_spill.work_mem
               ? put_table_away(task, x, state, false)
               : ERR_OK;
}

/* The inner side's current row. */
static enum err
add_row(struct task *task, struct exec *x, struct hash_state *state)
{
    const struct node_code *code = state->node.code;
    uint32_t count = code->plan->join.key_count;
    arena_reset(&state->keys);
    TRY(exec__evaluate_code(x, &code->join.inner_keys, &state->keys));
    const struct datum *keys = &x->machine.frame[code->join.inner_slot];
    bool null = exec__any_null(keys, count);
    if (null && code->plan->join.kind != JOIN_FULL) {
        return ERR_OK;
    }
    uint64_t hash = null ? 0 : exec__hash_keys(code->join.key_types, keys, count);
    if (state->partitions.fan > 0) {
        uint32_t part = null ? (uint32_t)(state->null_count++ % state->partitions.fan)
                             : partitions_part(&state->partitions, hash);
        if (part != 0 || !state->keeps_first) {
            return put_away(task, x, state, 1, part);
        }
    }
    keep_entry(state, keys, x->machine.frame, code->saved.regs, hash, null);
    if (table_memory(state) > x->hash_spill.work_mem) {
        TRY(too_large(task, x, state));
    }
    return exec__hold(x, &state->held, table_memory(state));
}

static enum err
build(struct task *task, struct exec *x, struct hash_state *state)
{
    clear_table(x, state);
    for (;;) {
        bool found = false;
        TRY(read_side(task, x, state, 1, &found));
        if (!found) {
            return exec__hold(x, &state->held, table_memory(state));
        }
        TRY(add_row(task, x, state));
    }
}

static enum err
build_first(struct task *task, struct exec *x, struct hash_state *state)
{
    if (state->partitions.spill.context == NULL) {
        partitions_create(&state->partitions, &x->hash_spill);
    }
    partitions_clear(task, &state->partitions);
    arena_reset(&state->outside_memory);
    state->outside =
        exec__save(&state->outside_memory, x->machine.frame, &state->node.code->external);
    TRY(exec__start(task, x, state->node.children[1]));
    TRY(build(task, x, state));
    state->built = true;
    return ERR_OK;
}

/* Inner rows that no outer row asks for matter to FULL only. */
static enum err
next_batch(struct task *task, struct exec *x, struct hash_state *state, bool *more)
{
    bool full = state->node.code->plan->join.kind == JOIN_FULL;
    TRY(partitions_next(task, &state->partitions, full, more));
    if (!*more) {
        return ERR_OK;
    }
    state->has_outer = false;
    state->outer_done = false;
    return build(task, x, state);
}

/* ---- looking up ------------------------------------------------------------------------------ */

/* The outer row's first candidate; or it is put away, and *later is true. */
static enum err
probe(struct task *task, struct exec *x, struct hash_state *state, bool *later)
{
    const struct node_code *code = state->node.code;
    uint32_t count = code->plan->join.key_count;
    arena_reset(&state->keys);
    TRY(exec__evaluate_code(x, &code->join.outer_keys, &state->keys));
    const struct datum *keys = &x->machine.frame[code->join.outer_slot];
    state->has_outer = true;
    state->matched = false;
    state->at = NULL;
    *later = false;
    if (exec__any_null(keys, count)) {
        return ERR_OK;
    }
    state->hash = exec__hash_keys(code->join.key_types, keys, count);
    if (state->partitions.fan > 0) {
        uint32_t part = partitions_part(&state->partitions, state->hash);
        if (part != 0 || !state->keeps_first) {
            /* Else it has no partner. */
            *later = state->partitions.parts[part].runs[1].row_count > 0;
            return *later ? put_away(task, x, state, 0, part) : ERR_OK;
        }
    }
    state->at = (struct join_entry *)(void *)hash_table_first(&state->table, state->hash);
    return ERR_OK;
}

static enum err
match(struct task *task, struct exec *x, struct hash_state *state, bool *found)
{
    const struct node_code *code = state->node.code;
    uint32_t count = code->plan->join.key_count;
    const struct datum *keys = &x->machine.frame[code->join.outer_slot];
    *found = false;
    while (state->at != NULL) {
        struct join_entry *entry = state->at;
        state->at = (struct join_entry *)(void *)entry->entry.next;
        if (entry->entry.hash != state->hash ||
            !exec__equal_keys(code->join.key_types, keys, entry->keys, count)) {
            continue;
        }
        TRY(task_breathe(task, x->context.diag));
        exec__restore(x->machine.frame, &code->saved, entry->row);
        TRY(exec__passes(x, &code->join.condition, found));
        if (*found) {
            entry->matched = true;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

/* FULL: the inner rows that no outer row has met. */
static void
rest(struct exec *x, struct hash_state *state, bool *found)
{
    const struct node_code *code = state->node.code;
    while (state->at != NULL && state->at->matched) {
        state->at = state->at->next_made;
    }
    *found = state->at != NULL;
    if (*found) {
        exec__set_nulls(x, &code->nulls[0]);
        exec__restore(x->machine.frame, &code->saved, state->at->row);
        state->at = state->at->next_made;
    }
}

/* The next row of the batch. */
static enum err
next_of_batch(struct task *task, struct exec *x, struct hash_state *state, bool *found)
{
    enum join_kind kind = state->node.code->plan->join.kind;
    while (!state->outer_done) {
        if (!state->has_outer) {
            TRY(read_side(task, x, state, 0, found));
            if (!*found) {
                state->outer_done = true;
                state->at = state->first;
                break;
            }
            bool later = false;
            TRY(probe(task, x, state, &later));
            if (later) {
                state->has_outer = false;
                continue;
            }
        }
        bool pair = false;
        TRY(match(task, x, state, &pair));
        if (exec__join_gives(x, &state->node, pair, &state->has_outer, &state->matched)) {
            *found = true;
            return ERR_OK;
        }
    }
    *found = false;
    if (kind == JOIN_FULL) {
        rest(x, state, found);
    }
    return ERR_OK;
}

static enum err
hash_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct hash_state *state = (struct hash_state *)(void *)node;
    if (!state->built) {
        TRY(build_first(task, x, state));
    }
    for (;;) {
        TRY(next_of_batch(task, x, state, found));
        if (*found || !state->has_spilled) {
            return ERR_OK;
        }
        bool more = false;
        TRY(next_batch(task, x, state, &more));
        if (!more) {
            return ERR_OK;
        }
    }
}

static void
hash_close(struct task *task, struct exec *x, struct node *node)
{
    (void)x;
    struct hash_state *state = (struct hash_state *)(void *)node;
    partitions_destroy(task, &state->partitions);
    arena_destroy(&state->memory);
    arena_destroy(&state->keys);
    arena_destroy(&state->outside_memory);
    hash_table_destroy(&state->table);
}

const struct node_kind exec__hash_join = {.state_size = sizeof(struct hash_state),
    .start = hash_start,
    .next = hash_next,
    .close = hash_close};
