/*
 * sql/exec/aggregate.c - GROUP BY and aggregates, by hashing or over sorted rows.
 *
 * A group is an entry of the hash table (or, sorted, the only one at a time): its key values, then
 * the states of the aggregates side by side. An aggregate with DISTINCT or ORDER BY keeps its
 * arguments until the group is finished, then sorts and adds them up.
 */
#include "sql/exec/exec_internal.h"

struct gathered {
    struct hash_entry entry; /* DISTINCT: in the node's table of tuples seen */
    struct gathered *next;
    struct gather *owner;
    struct datum tuple[];
};

/* The state of an aggregate that keeps its arguments; the aggregate's own state follows. */
struct gather {
    struct gathered *first, **last;
    size_t count;
    uint64_t padding;
};

struct group {
    struct hash_entry entry;
    struct group *next_made;
    uint8_t *states;
    struct datum keys[];
};

struct aggregate_state {
    struct node node;
    struct arena memory[2]; /* of groups; hashed: the first only. Sorted: taken in turn */
    struct arena row;       /* of keys and arguments of the current input row */
    struct arena result;    /* of the row that is given */
    struct hash_table groups, seen;
    struct group *first, **last, *at;
    struct group *current; /* sorted: the one being filled */
    size_t held;
    int memory_at;
    bool loaded, ended;
};

size_t
exec__aggregate_state_size(const struct aggregate_code *code)
{
    return code->plan->function->aggregate->state_size +
           (code->gathers ? sizeof(struct gather) : 0);
}

static void *
own_state(const struct aggregate_code *code, uint8_t *state)
{
    return code->gathers ? state + sizeof(struct gather) : state;
}

static enum err
start(struct task *task, struct exec *x, struct node *node)
{
    struct aggregate_state *state = (struct aggregate_state *)(void *)node;
    arena_reset(&state->memory[0]);
    arena_reset(&state->memory[1]);
    hash_table_clear(&state->groups);
    hash_table_clear(&state->seen);
    state->first = NULL;
    state->last = &state->first;
    state->current = NULL;
    state->memory_at = 0;
    state->loaded = false;
    state->ended = false;
    return exec__start(task, x, node->children[0]);
}

static struct group *
new_group(struct exec *x, struct aggregate_state *state, struct arena *memory)
{
    const struct node_code *code = state->node.code;
    uint32_t count = code->plan->aggregate.group_count;
    struct group *group = exec__save_keys(memory, offsetof(struct group, keys),
        &x->machine.frame[code->aggregate.group_slot], code->aggregate.by_reference, count);
    group->next_made = NULL;
    group->states = arena_alloc(memory, code->aggregate.states_size);
    for (uint32_t i = 0; i < code->plan->aggregate.aggregate_count; i++) {
        const struct aggregate_code *aggregate = &code->aggregate.aggregates[i];
        if (aggregate->gathers) {
            struct gather *gather = (struct gather *)(void *)(group->states + aggregate->state_at);
            gather->last = &gather->first;
        }
    }
    return group;
}

static struct group *
find_group(struct exec *x, struct aggregate_state *state)
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
    struct group *group = new_group(x, state, &state->memory[0]);
    *state->last = group;
    state->last = &group->next_made;
    hash_table_add(&state->groups, &group->entry, hash);
    return group;
}

/* ---- adding rows
 * ------------------------------------------------------------------------------------- */

static bool
is_seen(const struct aggregate_state *state, const struct aggregate_code *code,
    const struct gather *gather, const struct datum *args, uint64_t hash)
{
    const struct hash_entry *entry = hash_table_first(&state->seen, hash);
    for (; entry != NULL; entry = entry->next) {
        const struct gathered *other = (const struct gathered *)(const void *)entry;
        if (entry->hash == hash && other->owner == gather &&
            exec__equal_keys(code->arg_types, args, other->tuple, code->arg_count)) {
            return true;
        }
    }
    return false;
}

/* Arguments and order values stand side by side in the frame. */
static void
gather_tuple(struct exec *x, struct aggregate_state *state, const struct aggregate_code *code,
    struct gather *gather, struct arena *memory)
{
    const struct datum *tuple = &x->machine.frame[code->arg_slot];
    uint64_t hash = 0;
    if (code->plan->distinct) {
        hash = exec__hash_keys(code->arg_types, tuple, code->arg_count) ^
               hash_u64((uint64_t)(uintptr_t)gather);
        if (is_seen(state, code, gather, tuple, hash)) {
            return;
        }
    }
    struct gathered *kept = exec__save_keys(memory, offsetof(struct gathered, tuple), tuple,
        code->tuple_by_reference, code->arg_count + code->plan->order_count);
    kept->owner = gather;
    kept->next = NULL;
    *gather->last = kept;
    gather->last = &kept->next;
    gather->count++;
    if (code->plan->distinct) {
        hash_table_add(&state->seen, &kept->entry, hash);
    }
}

static enum err
add_to_one(struct exec *x, struct aggregate_state *state, const struct aggregate_code *code,
    uint8_t *memory, struct arena *group_memory)
{
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
        gather_tuple(x, state, code, (struct gather *)(void *)memory, group_memory);
        return ERR_OK;
    }
    struct arena *before = x->machine.eval.arena;
    x->machine.eval.arena = &state->row;
    enum err err = code->plan->function->aggregate->step(
        &x->machine.eval, memory, group_memory, args, (int)code->arg_count);
    x->machine.eval.arena = before;
    return err;
}

static enum err
add_row(struct exec *x, struct aggregate_state *state, struct group *group, struct arena *memory)
{
    const struct node_code *code = state->node.code;
    for (uint32_t i = 0; i < code->plan->aggregate.aggregate_count; i++) {
        const struct aggregate_code *aggregate = &code->aggregate.aggregates[i];
        TRY(add_to_one(x, state, aggregate, group->states + aggregate->state_at, memory));
    }
    return exec__hold(x, &state->held,
        arena_used(memory) + hash_table_memory(&state->groups) + hash_table_memory(&state->seen));
}

/* ---- results
 * ----------------------------------------------------------------------------------------- */

/* Adds up what an aggregate has kept, in order. */
static enum err
step_gathered(struct task *task, struct exec *x, struct aggregate_state *state,
    const struct aggregate_code *code, struct gather *gather, struct arena *memory)
{
    struct sort_item *items = arena_alloc_raw(&state->row, 2 * (gather->count + 1) * sizeof *items);
    size_t count = 0;
    for (struct gathered *kept = gather->first; kept != NULL; kept = kept->next) {
        items[count].row = kept->tuple;
        items[count++].prefix =
            exec__sort_prefix(&code->order[0], &kept->tuple[code->order[0].slot]);
    }
    TRY(exec__sort_items(
        task, items, items + count, count, code->order, code->order_count, x->context.diag));
    struct eval eval = x->machine.eval;
    eval.arena = &state->row;
    for (size_t i = 0; i < count; i++) {
        TRY(code->plan->function->aggregate->step(
            &eval, gather + 1, memory, items[i].row, (int)code->arg_count));
    }
    return ERR_OK;
}

/* The group's row into the registers. */
static enum err
give(struct task *task, struct exec *x, struct aggregate_state *state, struct group *group,
    struct arena *memory)
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
        uint8_t *at = group->states + aggregate->state_at;
        if (aggregate->gathers) {
            TRY(step_gathered(task, x, state, aggregate, (struct gather *)(void *)at, memory));
        }
        struct datum result = datum_null();
        TRY(aggregate->plan->function->aggregate->finish(&eval, own_state(aggregate, at), &result));
        x->machine.frame[aggregate->plan->result] = result;
    }
    return ERR_OK;
}

/* ---- hashed
 * ------------------------------------------------------------------------------------------ */

static enum err
load(struct task *task, struct exec *x, struct aggregate_state *state)
{
    const struct node_code *code = state->node.code;
    struct group *only = NULL;
    if (code->plan->aggregate.group_count == 0) {
        only = new_group(x, state, &state->memory[0]); /* there even without any row */
        *state->last = only;
        state->last = &only->next_made;
    }
    for (;;) {
        bool found = false;
        TRY(exec__next(task, x, state->node.children[0], &found));
        if (!found) {
            break;
        }
        arena_reset(&state->row);
        struct group *group = only;
        if (group == NULL) {
            TRY(exec__evaluate_code(x, &code->aggregate.groups, &state->row));
            group = find_group(x, state);
        }
        TRY(add_row(x, state, group, &state->memory[0]));
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
    *found = state->at != NULL;
    if (!*found) {
        return ERR_OK;
    }
    TRY(task_breathe(task, x->context.diag));
    struct group *group = state->at;
    state->at = group->next_made;
    arena_reset(&state->row);
    return give(task, x, state, group, &state->memory[0]);
}

static void
close_state(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    struct aggregate_state *state = (struct aggregate_state *)(void *)node;
    arena_destroy(&state->memory[0]);
    arena_destroy(&state->memory[1]);
    arena_destroy(&state->row);
    arena_destroy(&state->result);
    hash_table_destroy(&state->groups);
    hash_table_destroy(&state->seen);
}

const struct node_kind exec__aggregate_hash = {.state_size = sizeof(struct aggregate_state),
    .start = start,
    .next = hash_next,
    .close = close_state};

/* ---- sorted
 * ------------------------------------------------------------------------------------------ */

/* The first row of a new group is added to it before the group before is given: giving that one
 * fills registers that the row may be read from. */
static enum err
begin_group(struct exec *x, struct aggregate_state *state)
{
    state->memory_at = 1 - state->memory_at;
    struct arena *memory = &state->memory[state->memory_at];
    arena_reset(memory);
    hash_table_clear(&state->seen); /* all of the group before have been added by now */
    state->current = new_group(x, state, memory);
    return add_row(x, state, state->current, memory);
}

static enum err
sorted_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct aggregate_state *state = (struct aggregate_state *)(void *)node;
    const struct node_code *code = node->code;
    struct group *done = NULL;
    struct arena *done_memory = NULL;
    *found = false;
    while (done == NULL && !state->ended) {
        bool row = false;
        TRY(exec__next(task, x, node->children[0], &row));
        if (!row) {
            state->ended = true;
            done = state->current;
            done_memory = &state->memory[state->memory_at];
            break;
        }
        arena_reset(&state->row);
        TRY(exec__evaluate_code(x, &code->aggregate.groups, &state->row));
        if (state->current != NULL &&
            exec__equal_keys(code->aggregate.types, &x->machine.frame[code->aggregate.group_slot],
                state->current->keys, code->plan->aggregate.group_count)) {
            TRY(add_row(x, state, state->current, &state->memory[state->memory_at]));
            continue;
        }
        done = state->current;
        done_memory = &state->memory[state->memory_at];
        TRY(begin_group(x, state));
    }
    if (done == NULL) {
        return ERR_OK;
    }
    *found = true;
    return give(task, x, state, done, done_memory);
}

const struct node_kind exec__aggregate_sorted = {.state_size = sizeof(struct aggregate_state),
    .start = start,
    .next = sorted_next,
    .close = close_state};
