/*
 * sql/exec/aggregate.c - GROUP BY and aggregates, by hashing or over sorted rows.
 *
 * A group is an entry of the hash table (or, sorted, the only one at a time): its key values, then
 * the states of the aggregates side by side.
 *
 * When the groups are more than hash_mem, no more are made: rows of groups that there are go on
 * being added, the others go to partitions, which come later (partitions in spill.h). So groups
 * come in the order of their first rows only as long as they fit.
 *
 * An aggregate with DISTINCT or ORDER BY *gathers*: its arguments go into a sorter, by the group's
 * number first, and are added up when the group is given. DISTINCT keeps those it has seen in a
 * hash table, as long as there is room; what comes twice after that is found in the sorted rows.
 */
#include "sql/exec/exec_internal.h"

/* A tuple seen by an aggregate with DISTINCT. */
struct seen_tuple {
    struct hash_entry entry;
    int64_t group;
    struct datum tuple[];
};

struct gather {
    const struct aggregate_code *code;
    struct sorter sorter; /* of tuples: arguments, order values, the number of the group */
    bool numbered;        /* there may be several groups in it */
    bool sorted, ended;
    const struct datum *ahead; /* the next tuple, if it has been read */
    struct hash_table seen;
    struct arena seen_memory;
    bool misses; /* some are not in `seen`: equal tuples may come out of the sorter */
    struct arena last_memory;
    size_t held;
};

struct group {
    struct hash_entry entry;
    struct group *next_made;
    int64_t number;
    uint8_t *states;
    struct datum keys[];
};

struct aggregate_state {
    struct node node;
    struct arena memory[2]; /* of groups; hashed: the first only. Sorted: taken in turn */
    struct arena row;       /* of keys and arguments of the current input row */
    struct arena step;      /* of adding up what was gathered */
    struct arena result;    /* of the row that is given */
    struct hash_table groups;
    struct group *first, **last, *at;
    struct group *only;    /* no GROUP BY */
    struct group *current; /* sorted: the one being filled */
    int64_t group_count;
    struct gather *gathers; /* one per aggregate; those that do not gather have none of it */
    struct partitions partitions;
    struct datum *read; /* what is read from them */
    size_t held;
    int memory_at;
    bool loaded, ended;
};

size_t
exec__aggregate_state_size(const struct aggregate_code *code)
{
    return code->plan->function->aggregate->state_size;
}

static void
clear_gathers(struct task *task, struct aggregate_state *state)
{
    const struct node_code *code = state->node.code;
    for (uint32_t i = 0; i < code->plan->aggregate.aggregate_count; i++) {
        struct gather *gather = &state->gathers[i];
        if (gather->code == NULL) {
            continue;
        }
        sorter_clear(task, &gather->sorter, UINT64_MAX);
        hash_table_clear(&gather->seen);
        arena_reset(&gather->seen_memory);
        gather->misses = false;
        gather->sorted = false;
        gather->ended = false;
        gather->ahead = NULL;
    }
}

static void
create_gathers(struct exec *x, struct aggregate_state *state)
{
    const struct node_code *code = state->node.code;
    uint32_t count = code->plan->aggregate.aggregate_count;
    state->gathers = arena_array(x->context.arena, (size_t)count + 1, sizeof *state->gathers);
    for (uint32_t i = 0; i < count; i++) {
        const struct aggregate_code *aggregate = &code->aggregate.aggregates[i];
        struct gather *gather = &state->gathers[i];
        if (!aggregate->gathers) {
            continue;
        }
        gather->code = aggregate;
        gather->numbered = code->kind == &exec__aggregate_hash && state->only == NULL;
        const struct key_code *keys = aggregate->order + (gather->numbered ? 0 : 1);
        struct row_form form = {.by_reference = aggregate->tuple_by_reference,
            .count = aggregate->arg_count + aggregate->plan->order_count + 1};
        sorter_create(&gather->sorter, &x->spill, form, keys,
            aggregate->order_count + (gather->numbered ? 1 : 0));
    }
}

/* ---- groups ---------------------------------------------------------------------------------- */

static struct group *
new_group(struct exec *x, struct aggregate_state *state, struct arena *memory)
{
    const struct node_code *code = state->node.code;
    uint32_t count = code->plan->aggregate.group_count;
    struct group *group = exec__save_keys(memory, offsetof(struct group, keys),
        &x->machine.frame[code->aggregate.group_slot], code->aggregate.by_reference, count);
    group->next_made = NULL;
    group->number = state->group_count++;
    group->states = arena_alloc(memory, code->aggregate.states_size);
    return group;
}

static void
clear_groups(const struct exec *x, struct aggregate_state *state)
{
    arena_reset(&state->memory[0]);
    arena_reset(&state->memory[1]);
    if (hash_table_memory(&state->groups) > x->hash_spill.work_mem / 8) {
        hash_table_destroy(&state->groups); /* it has grown for more than there may be now */
    }
    hash_table_clear(&state->groups);
    state->first = NULL;
    state->last = &state->first;
    state->group_count = 0;
}

static enum err
start(struct task *task, struct exec *x, struct node *node)
{
    struct aggregate_state *state = (struct aggregate_state *)(void *)node;
    if (state->partitions.spill.context == NULL) {
        partitions_create(&state->partitions, &x->hash_spill);
    }
    partitions_clear(task, &state->partitions);
    clear_groups(x, state);
    state->only = NULL;
    state->current = NULL;
    state->memory_at = 0;
    state->loaded = false;
    state->ended = false;
    if (node->code->kind == &exec__aggregate_hash && node->code->plan->aggregate.group_count == 0) {
        state->only = new_group(x, state, &state->memory[0]); /* there even without any row */
        *state->last = state->only;
        state->last = &state->only->next_made;
    }
    if (state->gathers == NULL) {
        create_gathers(x, state);
    }
    clear_gathers(task, state);
    return exec__start(task, x, node->children[0]);
}

static size_t
groups_memory(const struct aggregate_state *state)
{
    return arena_used(&state->memory[0]) + hash_table_memory(&state->groups);
}

/* Rows of groups that there are not go to partitions from now on, if they can. */
static void
stop_making_groups(struct aggregate_state *state)
{
    double each = (double)groups_memory(state) / (double)state->group_count;
    double bytes = state->node.code->plan->rows * each;
    double least = 2.0 * (double)groups_memory(state);
    partitions_split(&state->partitions, (uint64_t)(bytes < least  ? least
                                                    : bytes > 1e15 ? 1e15
                                                                   : bytes));
}

/* NULL: there is none, and no room for more; the row goes to partition *part. */
static struct group *
find_group(struct exec *x, struct aggregate_state *state, uint32_t *part)
{
    const struct node_code *code = state->node.code;
    uint32_t count = code->plan->aggregate.group_count;
    const struct datum *keys = &x->machine.frame[code->aggregate.group_slot];
    uint64_t hash = exec__hash_keys(code->aggregate.types, keys, count);
    struct hash_entry *entry = hash_table_first(&state->groups, hash);
    for (; entry != NULL; entry = entry->next) {
        struct group *group = (struct group *)(void *)entry;
        if (entry->hash == hash &&
            exec__equal_keys(code->aggregate.types, keys, group->keys, count)) {
            return group;
        }
    }
    if (state->partitions.fan > 0) {
        *part = partitions_part(&state->partitions, hash);
        return NULL;
    }
    struct group *group = new_group(x, state, &state->memory[0]);
    *state->last = group;
    state->last = &group->next_made;
    hash_table_add(&state->groups, &group->entry, hash);
    return group;
}

/* ---- adding rows ----------------------------------------------------------------------------- */

static bool
is_seen(const struct gather *gather, int64_t group, const struct datum *args, uint64_t hash)
{
    const struct aggregate_code *code = gather->code;
    const struct hash_entry *entry = hash_table_first(&gather->seen, hash);
    for (; entry != NULL; entry = entry->next) {
        const struct seen_tuple *other = (const struct seen_tuple *)(const void *)entry;
        if (entry->hash == hash && other->group == group &&
            exec__equal_keys(code->arg_types, args, other->tuple, code->arg_count)) {
            return true;
        }
    }
    return false;
}

/* Arguments and order values stand side by side in the frame, and behind them is room. */
static enum err
gather_tuple(struct task *task, struct exec *x, struct gather *gather, const struct group *group)
{
    const struct aggregate_code *code = gather->code;
    struct datum *tuple = &x->machine.frame[code->arg_slot];
    if (code->plan->distinct) {
        uint64_t hash = exec__hash_keys(code->arg_types, tuple, code->arg_count);
        hash ^= hash_u64((uint64_t)group->number);
        if (is_seen(gather, group->number, tuple, hash)) {
            return ERR_OK;
        }
        size_t memory = arena_used(&gather->seen_memory) + hash_table_memory(&gather->seen);
        if (memory > x->hash_spill.work_mem && spill_possible(&x->spill)) {
            gather->misses = true;
        } else {
            struct seen_tuple *seen =
                exec__save_keys(&gather->seen_memory, offsetof(struct seen_tuple, tuple), tuple,
                    code->tuple_by_reference, code->arg_count);
            seen->group = group->number;
            hash_table_add(&gather->seen, &seen->entry, hash);
        }
    }
    tuple[code->arg_count + code->plan->order_count] = datum_int(group->number);
    TRY(sorter_add(task, &gather->sorter, tuple, NULL));
    return exec__hold(x, &gather->held,
        sorter_memory(&gather->sorter) + arena_used(&gather->seen_memory) +
            hash_table_memory(&gather->seen));
}

static enum err
add_to_one(struct task *task, struct exec *x, struct aggregate_state *state, uint32_t at,
    struct group *group, struct arena *group_memory)
{
    const struct aggregate_code *code = &state->node.code->aggregate.aggregates[at];
    uint8_t *memory = group->states + code->state_at;
    if (code->counts_rows && !code->has_filter && !code->gathers) {
        return code->plan->function->aggregate->step(
            &x->machine.eval, memory, group_memory, NULL, 0);
    }
    if (code->has_filter) {
        bool passes = false;
        TRY(exec__passes(x, &code->filter, &passes));
        if (!passes) {
            return ERR_OK;
        }
    }
    TRY(exec__evaluate_code(x, &code->args, &state->row));
    const struct datum *args = &x->machine.frame[code->arg_slot];
    for (uint32_t i = 0; code->strict && i < code->arg_count; i++) {
        if (args[i].null) {
            return ERR_OK;
        }
    }
    if (code->gathers) {
        TRY(exec__evaluate_code(x, &code->order_values, &state->row));
        return gather_tuple(task, x, &state->gathers[at], group);
    }
    struct arena *before = x->machine.eval.arena;
    x->machine.eval.arena = &state->row;
    enum err err = code->plan->function->aggregate->step(
        &x->machine.eval, memory, group_memory, args, (int)code->arg_count);
    x->machine.eval.arena = before;
    return err;
}

static enum err
add_row(struct task *task, struct exec *x, struct aggregate_state *state, struct group *group,
    struct arena *memory)
{
    for (uint32_t i = 0; i < state->node.code->plan->aggregate.aggregate_count; i++) {
        TRY(add_to_one(task, x, state, i, group, memory));
    }
    return exec__hold(x, &state->held, arena_used(memory) + hash_table_memory(&state->groups));
}

/* ---- results --------------------------------------------------------------------------------- */

static enum err
read_ahead(struct task *task, struct exec *x, struct gather *gather)
{
    if (!gather->sorted) {
        TRY(sorter_finish(task, &gather->sorter));
        gather->sorted = true;
    }
    if (gather->ahead == NULL && !gather->ended) {
        TRY(task_breathe(task, x->context.diag));
        TRY(sorter_next(task, &gather->sorter, &gather->ahead));
        gather->ended = gather->ahead == NULL;
    }
    return ERR_OK;
}

/* Adds up what an aggregate has gathered for a group, in order. */
static enum err
step_gathered(struct task *task, struct exec *x, struct aggregate_state *state,
    struct gather *gather, struct group *group, struct arena *memory)
{
    const struct aggregate_code *code = gather->code;
    uint32_t number_at = code->arg_count + code->plan->order_count;
    const struct datum *last = NULL;
    for (;;) {
        TRY(read_ahead(task, x, gather));
        const struct datum *tuple = gather->ahead;
        if (tuple == NULL || tuple[number_at].i != group->number) {
            return ERR_OK;
        }
        gather->ahead = NULL;
        if (gather->misses) {
            if (last != NULL && exec__equal_keys(code->arg_types, last, tuple, code->arg_count)) {
                continue;
            }
            arena_reset(&gather->last_memory);
            last = exec__save_keys(
                &gather->last_memory, 0, tuple, code->tuple_by_reference, code->arg_count);
        }
        struct eval eval = x->machine.eval;
        eval.arena = &state->step;
        arena_reset(&state->step);
        TRY(code->plan->function->aggregate->step(
            &eval, group->states + code->state_at, memory, tuple, (int)code->arg_count));
        TRY(exec__hold(x, &state->held, arena_used(memory) + hash_table_memory(&state->groups)));
    }
}

/* What has been gathered for the group is in its states. */
static enum err
complete(struct task *task, struct exec *x, struct aggregate_state *state, struct group *group,
    struct arena *memory)
{
    for (uint32_t i = 0; i < state->node.code->plan->aggregate.aggregate_count; i++) {
        if (state->gathers[i].code != NULL) {
            TRY(step_gathered(task, x, state, &state->gathers[i], group, memory));
        }
    }
    return ERR_OK;
}

/* The group's row into the registers. */
static enum err
give(struct exec *x, struct aggregate_state *state, struct group *group)
{
    const struct node_code *code = state->node.code;
    arena_reset(&state->result);
    for (uint32_t i = 0; i < code->plan->aggregate.group_count; i++) {
        x->machine.frame[code->plan->aggregate.groups[i].reg] = group->keys[i];
    }
    struct eval eval = x->machine.eval;
    eval.arena = &state->result;
    for (uint32_t i = 0; i < code->plan->aggregate.aggregate_count; i++) {
        const struct aggregate_code *aggregate = &code->aggregate.aggregates[i];
        struct datum result = datum_null();
        TRY(aggregate->plan->function->aggregate->finish(
            &eval, group->states + aggregate->state_at, &result));
        x->machine.frame[aggregate->plan->result] = result;
    }
    return ERR_OK;
}

/* ---- hashed ---------------------------------------------------------------------------------- */

static enum err
read_row(struct task *task, struct exec *x, struct aggregate_state *state, bool *found)
{
    if (!state->partitions.from_runs) {
        return exec__next(task, x, state->node.children[0], found);
    }
    const struct reg_list *saved = &state->node.code->saved;
    if (state->read == NULL) {
        state->read = arena_array(x->context.arena, (size_t)saved->count + 1, sizeof *state->read);
    }
    TRY(partitions_read(task, &state->partitions, 0, row_form_of(saved), state->read, found));
    if (*found) {
        exec__restore(x->machine.frame, saved, state->read);
    }
    return ERR_OK;
}

/* Without any row: the groups of the grouping sets that are empty. */
static void
make_empty_sets(struct exec *x, struct aggregate_state *state)
{
    const struct node_code *code = state->node.code;
    uint32_t count = code->plan->aggregate.group_count;
    struct datum *keys = &x->machine.frame[code->aggregate.group_slot];
    for (uint32_t i = 0; i < code->plan->aggregate.set_count; i++) {
        if (code->plan->aggregate.sets[i] != 0) {
            continue;
        }
        x->machine.frame[code->plan->aggregate.groups[count - 1].reg] = datum_int(i);
        arena_reset(&state->row);
        for (uint32_t k = 0; k < count; k++) {
            keys[k] = datum_null();
        }
        /* GROUPING and the set's number read nothing of a row; the others are null here. */
        if (exec__evaluate_code(x, &code->aggregate.groups, &state->row) == ERR_OK) {
            uint32_t part;
            (void)find_group(x, state, &part);
        }
    }
}

static enum err
load(struct task *task, struct exec *x, struct aggregate_state *state)
{
    const struct node_code *code = state->node.code;
    for (;;) {
        bool found = false;
        TRY(read_row(task, x, state, &found));
        if (!found) {
            break;
        }
        arena_reset(&state->row);
        struct group *group = state->only;
        if (group == NULL) {
            uint32_t part = 0;
            TRY(exec__evaluate_code(x, &code->aggregate.groups, &state->row));
            group = find_group(x, state, &part);
            if (group == NULL) {
                TRY(partitions_put(task, &state->partitions, 0, part, x->machine.frame,
                    code->saved.regs, row_form_of(&code->saved)));
                continue;
            }
        }
        TRY(add_row(task, x, state, group, &state->memory[0]));
        if (groups_memory(state) > x->hash_spill.work_mem && state->only == NULL &&
            partitions_possible(&state->partitions)) {
            stop_making_groups(state);
        }
    }
    if (state->group_count == 0 && !state->partitions.from_runs) {
        make_empty_sets(x, state);
    }
    state->loaded = true;
    state->at = state->first;
    return ERR_OK;
}

static enum err
hash_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct aggregate_state *state = (struct aggregate_state *)(void *)node;
    if (!state->loaded) {
        TRY(load(task, x, state));
    }
    while (state->at == NULL) {
        TRY(partitions_next(task, &state->partitions, false, found));
        if (!*found) {
            return ERR_OK;
        }
        clear_groups(x, state);
        clear_gathers(task, state);
        TRY(load(task, x, state));
    }
    *found = true;
    TRY(task_breathe(task, x->context.diag));
    struct group *group = state->at;
    state->at = group->next_made;
    TRY(complete(task, x, state, group, &state->memory[0]));
    return give(x, state, group);
}

static void
close_state(struct task *task, struct exec *x, struct node *node)
{
    (void)x;
    struct aggregate_state *state = (struct aggregate_state *)(void *)node;
    uint32_t count = state->gathers == NULL ? 0 : node->code->plan->aggregate.aggregate_count;
    for (uint32_t i = 0; i < count; i++) {
        struct gather *gather = &state->gathers[i];
        sorter_destroy(task, &gather->sorter);
        hash_table_destroy(&gather->seen);
        arena_destroy(&gather->seen_memory);
        arena_destroy(&gather->last_memory);
    }
    partitions_destroy(task, &state->partitions);
    arena_destroy(&state->memory[0]);
    arena_destroy(&state->memory[1]);
    arena_destroy(&state->row);
    arena_destroy(&state->step);
    arena_destroy(&state->result);
    hash_table_destroy(&state->groups);
}

const struct node_kind exec__aggregate_hash = {.state_size = sizeof(struct aggregate_state),
    .start = start,
    .next = hash_next,
    .close = close_state};

/* ---- sorted ---------------------------------------------------------------------------------- */

/* The first row of a new group is added to it before the group before is given: giving that one
 * fills registers that the row may be read from. */
static enum err
begin_group(struct task *task, struct exec *x, struct aggregate_state *state)
{
    state->memory_at = 1 - state->memory_at;
    struct arena *memory = &state->memory[state->memory_at];
    arena_reset(memory);
    clear_gathers(task, state); /* the group before is complete */
    state->current = new_group(x, state, memory);
    return add_row(task, x, state, state->current, memory);
}

static enum err
sorted_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct aggregate_state *state = (struct aggregate_state *)(void *)node;
    const struct node_code *code = node->code;
    struct group *done = NULL;
    *found = false;
    while (done == NULL && !state->ended) {
        bool row = false;
        TRY(exec__next(task, x, node->children[0], &row));
        if (row) {
            arena_reset(&state->row);
            TRY(exec__evaluate_code(x, &code->aggregate.groups, &state->row));
            if (state->current != NULL &&
                exec__equal_keys(code->aggregate.types,
                    &x->machine.frame[code->aggregate.group_slot], state->current->keys,
                    code->plan->aggregate.group_count)) {
                TRY(add_row(task, x, state, state->current, &state->memory[state->memory_at]));
                continue;
            }
        }
        state->ended = !row;
        done = state->current;
        if (done != NULL) {
            TRY(complete(task, x, state, done, &state->memory[state->memory_at]));
        }
        if (row) {
            TRY(begin_group(task, x, state));
        }
    }
    if (done == NULL) {
        return ERR_OK;
    }
    *found = true;
    return give(x, state, done);
}

const struct node_kind exec__aggregate_sorted = {.state_size = sizeof(struct aggregate_state),
    .start = start,
    .next = sorted_next,
    .close = close_state};
