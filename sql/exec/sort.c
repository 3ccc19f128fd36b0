/*
 * sql/exec/sort.c - ORDER BY.
 *
 * Rows are kept whole and sorted as (prefix, pointer). With a bound (LIMIT) only that many need to
 * survive: from time to time the kept ones are sorted and cut, and from then on a row that would
 * come after the last of them is not even copied.
 */
#include "sql/exec/exec_internal.h"

struct sort_state {
    struct node node;
    struct arena memory[2]; /* the rows; two, so that survivors can move */
    int current;
    struct sort_item *items, *other;
    size_t count, capacity, at;
    size_t bound; /* SIZE_MAX: none */
    bool sorted;
    bool has_worst; /* items[0..bound) are sorted, the last of them is the worst that counts */
};

static enum err
sort_start(struct task *task, struct exec *x, struct node *node)
{
    struct sort_state *state = (struct sort_state *)(void *)node;
    state->sorted = false;
    return exec__start(task, x, node->children[0]);
}

static enum err
sort_items(struct task *task, struct exec *x, struct sort_state *state)
{
    const struct plan_node *plan = state->node.code->plan;
    return exec__sort_items(task, state->items, state->other, state->count,
        state->node.code->sort.keys, plan->sort.key_count, x->context.diag);
}

/* Keep the best `bound` only. */
static enum err
cut(struct task *task, struct exec *x, struct sort_state *state)
{
    const struct reg_list *saved = &state->node.code->saved;
    TRY(sort_items(task, x, state));
    state->count = state->count < state->bound ? state->count : state->bound;
    struct arena *to = &state->memory[1 - state->current];
    arena_reset(to);
    for (size_t i = 0; i < state->count; i++) {
        state->items[i].row =
            exec__save_keys(to, 0, state->items[i].row, saved->by_reference, saved->count);
    }
    arena_reset(&state->memory[state->current]);
    state->current = 1 - state->current;
    state->has_worst = state->count == state->bound;
    return ERR_OK;
}

static enum err
make_room(struct task *task, struct exec *x, struct sort_state *state)
{
    if (state->count < state->capacity) {
        return ERR_OK;
    }
    if (state->bound < SIZE_MAX / 4 && state->count >= 2 * state->bound + 64) {
        return cut(task, x, state);
    }
    state->capacity = state->capacity == 0 ? 64 : state->capacity * 2;
    state->items = mem_realloc(state->items, state->capacity * sizeof *state->items);
    state->other = mem_realloc(state->other, state->capacity * sizeof *state->other);
    return ERR_OK;
}

static bool
too_late(const struct exec *x, const struct sort_state *state)
{
    if (!state->has_worst) {
        return false;
    }
    const struct node_code *code = state->node.code;
    const struct datum *worst = state->items[state->bound - 1].row;
    for (uint32_t i = 0; i < code->plan->sort.key_count; i++) {
        const struct key_code *key = &code->sort.keys[i];
        const struct datum *a = &x->machine.frame[code->saved.regs[key->slot]];
        const struct datum *b = &worst[key->slot];
        if (a->null || b->null) {
            if (a->null != b->null) {
                return a->null != key->nulls_first;
            }
            continue;
        }
        int order = datum_compare(key->type, *a, *b);
        if (order != 0) {
            return key->descending ? order < 0 : order > 0;
        }
    }
    return true; /* an equal one that came later */
}

static enum err
read_bound(struct exec *x, struct sort_state *state)
{
    const struct node_code *code = state->node.code;
    state->bound = SIZE_MAX;
    if (!code->sort.has_bound) {
        return ERR_OK;
    }
    struct arena_mark mark = arena_mark(&x->temp);
    enum err err = exec__evaluate_code(x, &code->sort.bound, &x->temp);
    arena_rewind(&x->temp, mark);
    const struct datum *value = &x->machine.frame[code->sort.bound.result];
    if (err == ERR_OK && !value->null && value->i > 0) {
        state->bound = (size_t)value->i; /* a negative one is LIMIT's to complain about */
    }
    return err;
}

static enum err
load(struct task *task, struct exec *x, struct sort_state *state)
{
    const struct node_code *code = state->node.code;
    arena_reset(&state->memory[0]);
    arena_reset(&state->memory[1]);
    state->current = 0;
    state->count = 0;
    state->has_worst = false;
    TRY(read_bound(x, state));
    for (;;) {
        bool found = false;
        TRY(exec__next(task, x, state->node.children[0], &found));
        if (!found) {
            break;
        }
        if (too_late(x, state)) {
            continue;
        }
        TRY(make_room(task, x, state));
        struct arena *memory = &state->memory[state->current];
        struct sort_item *item = &state->items[state->count++];
        item->row = exec__save(memory, x->machine.frame, &code->saved);
        item->prefix =
            code->plan->sort.key_count == 0 ? 0 : exec__sort_prefix(&code->sort.keys[0], item->row);
        TRY(exec__check_memory(x, arena_used(memory) + 2 * state->capacity * sizeof *state->items));
    }
    TRY(sort_items(task, x, state));
    state->sorted = true;
    state->at = 0;
    return ERR_OK;
}

static enum err
sort_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct sort_state *state = (struct sort_state *)(void *)node;
    if (!state->sorted) {
        TRY(load(task, x, state));
    }
    *found = state->at < state->count;
    if (*found) {
        exec__restore(x->machine.frame, &node->code->saved, state->items[state->at++].row);
    }
    return ERR_OK;
}

static void
sort_close(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    struct sort_state *state = (struct sort_state *)(void *)node;
    arena_destroy(&state->memory[0]);
    arena_destroy(&state->memory[1]);
    mem_free(state->items);
    mem_free(state->other);
}

const struct node_kind exec__sort = {.state_size = sizeof(struct sort_state),
    .start = sort_start,
    .next = sort_next,
    .close = sort_close};
