/*
 * sql/exec/join.c - nested loops and merge joins.
 *
 * These and hash joins do the same with a pair of rows: an inner or outer join gives every pair
 * that passes its condition, and outer rows (FULL: inner ones too) without any; SEMI and ANTI give
 * outer rows only. The side that has no row is nulls.
 */
#include "sql/exec/exec_internal.h"

/* ---- nested loop
 * ------------------------------------------------------------------------------------ */

struct loop_state {
    struct node node;
    bool has_outer; /* an outer row is in its registers, the inner side is under way */
    bool matched;
    bool outer_done; /* FULL: only inner rows are left */
    uint8_t *inner_matched;
    size_t inner_capacity, inner_at;
};

static enum err
loop_start(struct task *task, struct exec *x, struct node *node)
{
    struct loop_state *state = (struct loop_state *)(void *)node;
    state->has_outer = false;
    state->outer_done = false;
    state->inner_at = 0;
    if (state->inner_matched != NULL) {
        memset(state->inner_matched, 0, state->inner_capacity);
    }
    return exec__start(task, x, node->children[0]);
}

static void
mark_inner(struct loop_state *state)
{
    const struct materialize_state *inner =
        (const struct materialize_state *)(const void *)state->node.children[1];
    size_t at = inner->store.at - 1;
    if (at >= state->inner_capacity) {
        size_t capacity = at + 1 < 64 ? 64 : (at + 1) * 2;
        state->inner_matched = mem_realloc(state->inner_matched, capacity);
        memset(state->inner_matched + state->inner_capacity, 0, capacity - state->inner_capacity);
        state->inner_capacity = capacity;
    }
    state->inner_matched[at] = 1;
}

/* FULL: the inner rows that no outer row has met. */
static enum err
loop_rest(struct task *task, struct exec *x, struct loop_state *state, bool *found)
{
    struct materialize_state *inner = (struct materialize_state *)(void *)state->node.children[1];
    exec__set_nulls(x, &state->node.code->nulls[0]);
    for (;;) {
        TRY(exec__next(task, x, &inner->node, found));
        if (!*found) {
            return ERR_OK;
        }
        size_t at = inner->store.at - 1;
        if (at >= state->inner_capacity || state->inner_matched[at] == 0) {
            return ERR_OK;
        }
    }
}

/* The outer row's next partner. */
static enum err
loop_match(struct task *task, struct exec *x, struct loop_state *state, bool *found)
{
    const struct node_code *code = state->node.code;
    for (;;) {
        TRY(exec__next(task, x, state->node.children[1], found));
        if (!*found) {
            return ERR_OK;
        }
        TRY(task_breathe(task, x->context.diag));
        bool passes = false;
        TRY(exec__passes(x, &code->join.condition, &passes));
        if (passes) {
            if (code->plan->join.kind == JOIN_FULL) {
                mark_inner(state);
            }
            return ERR_OK;
        }
    }
}

static enum err
loop_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct loop_state *state = (struct loop_state *)(void *)node;
    enum join_kind kind = node->code->plan->join.kind;
    while (!state->outer_done) {
        if (!state->has_outer) {
            TRY(exec__next(task, x, node->children[0], found));
            if (!*found) {
                state->outer_done = true;
                break;
            }
            state->has_outer = true;
            state->matched = false;
            TRY(exec__start(task, x, node->children[1]));
        }
        bool pair = false;
        TRY(loop_match(task, x, state, &pair));
        if (exec__join_gives(x, node, pair, &state->has_outer, &state->matched)) {
            *found = true;
            return ERR_OK;
        }
    }
    *found = false;
    if (kind != JOIN_FULL) {
        return ERR_OK;
    }
    if (state->inner_at == 0) {
        state->inner_at = 1;
        TRY(exec__start(task, x, node->children[1]));
    }
    return loop_rest(task, x, state, found);
}

static void
loop_close(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    mem_free(((struct loop_state *)(void *)node)->inner_matched);
}

const struct node_kind exec__nest_loop = {.state_size = sizeof(struct loop_state),
    .start = loop_start,
    .next = loop_next,
    .close = loop_close};

/* ---- merge join
 * ------------------------------------------------------------------------------------- */

/*
 * Both sides come sorted by their keys, ascending, nulls last. The inner rows of one key are kept
 * while outer rows of that key come. FULL is not done this way (plan.h).
 */
struct merge_state {
    struct node node;
    struct store group;        /* the kept inner rows */
    struct arena group_memory; /* of their keys */
    struct arena keys;         /* of the outer row's */
    struct arena ahead;        /* of the inner row's that was read too far */
    size_t held;
    struct datum *group_keys;
    struct datum *ahead_row, *ahead_keys;
    bool inner_begun, inner_done, has_ahead;
    bool has_outer, matched;
};

static enum err
merge_start(struct task *task, struct exec *x, struct node *node)
{
    struct merge_state *state = (struct merge_state *)(void *)node;
    state->inner_begun = false;
    state->inner_done = false;
    state->has_ahead = false;
    state->has_outer = false;
    state->group_keys = NULL;
    if (state->group.context == NULL) {
        store_create(&state->group, &x->spill, row_form_of(&node->code->saved));
    }
    store_clear(task, &state->group);
    TRY(exec__start(task, x, node->children[0]));
    return exec__start(task, x, node->children[1]);
}

/* The next inner row without a null in its keys, put aside. */
static enum err
read_ahead(struct task *task, struct exec *x, struct merge_state *state)
{
    const struct node_code *code = state->node.code;
    uint32_t count = code->plan->join.key_count;
    state->has_ahead = false;
    while (!state->inner_done) {
        bool found = false;
        TRY(exec__next(task, x, state->node.children[1], &found));
        if (!found) {
            state->inner_done = true;
            return ERR_OK;
        }
        arena_reset(&state->ahead);
        TRY(exec__evaluate_code(x, &code->join.inner_keys, &state->ahead));
        const struct datum *keys = &x->machine.frame[code->join.inner_slot];
        if (exec__any_null(keys, count)) {
            continue;
        }
        state->ahead_keys =
            exec__save_keys(&state->ahead, 0, keys, code->join.key_by_reference, count);
        state->ahead_row = exec__save(&state->ahead, x->machine.frame, &code->saved);
        state->has_ahead = true;
        return ERR_OK;
    }
    return ERR_OK;
}

static int
compare_keys(const struct node_code *code, const struct datum *a, const struct datum *b)
{
    for (uint32_t i = 0; i < code->plan->join.key_count; i++) {
        int order = datum_compare(code->join.key_types[i], a[i], b[i]);
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

static enum err
keep_ahead(struct task *task, struct exec *x, struct merge_state *state)
{
    TRY(store_add(task, &state->group, state->ahead_row, NULL));
    return exec__hold(x, &state->held, store_memory(&state->group));
}

/* Makes the kept group the one of the outer row's keys, if there is one. */
static enum err
find_group(struct task *task, struct exec *x, struct merge_state *state)
{
    const struct node_code *code = state->node.code;
    uint32_t count = code->plan->join.key_count;
    const struct datum *keys = &x->machine.frame[code->join.outer_slot];
    if (state->group_keys != NULL && compare_keys(code, state->group_keys, keys) == 0) {
        store_rewind(&state->group);
        return ERR_OK;
    }
    state->group_keys = NULL;
    store_clear(task, &state->group);
    arena_reset(&state->group_memory);
    if (!state->inner_begun) {
        state->inner_begun = true;
        TRY(read_ahead(task, x, state));
    }
    while (state->has_ahead && compare_keys(code, state->ahead_keys, keys) < 0) {
        TRY(read_ahead(task, x, state));
    }
    if (!state->has_ahead || compare_keys(code, state->ahead_keys, keys) != 0) {
        return ERR_OK;
    }
    state->group_keys = exec__save_keys(
        &state->group_memory, 0, state->ahead_keys, code->join.key_by_reference, count);
    while (state->has_ahead && compare_keys(code, state->ahead_keys, keys) == 0) {
        TRY(keep_ahead(task, x, state));
        TRY(read_ahead(task, x, state));
    }
    return ERR_OK;
}

static enum err
merge_match(struct task *task, struct exec *x, struct merge_state *state, bool *found)
{
    const struct node_code *code = state->node.code;
    *found = false;
    while (!*found) {
        const struct datum *row = NULL;
        TRY(task_breathe(task, x->context.diag));
        TRY(store_next(task, &state->group, &row));
        if (row == NULL) {
            return ERR_OK;
        }
        exec__restore(x->machine.frame, &code->saved, row);
        TRY(exec__passes(x, &code->join.condition, found));
    }
    return ERR_OK;
}

static enum err
merge_outer(struct task *task, struct exec *x, struct merge_state *state)
{
    const struct node_code *code = state->node.code;
    arena_reset(&state->keys);
    TRY(exec__evaluate_code(x, &code->join.outer_keys, &state->keys));
    state->has_outer = true;
    state->matched = false;
    if (exec__any_null(&x->machine.frame[code->join.outer_slot], code->plan->join.key_count)) {
        store_skip_all(&state->group); /* null is equal to nothing */
        return ERR_OK;
    }
    return find_group(task, x, state);
}

static enum err
merge_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct merge_state *state = (struct merge_state *)(void *)node;
    for (;;) {
        if (!state->has_outer) {
            TRY(exec__next(task, x, node->children[0], found));
            if (!*found) {
                return ERR_OK;
            }
            TRY(merge_outer(task, x, state));
        }
        bool pair = false;
        TRY(merge_match(task, x, state, &pair));
        if (exec__join_gives(x, node, pair, &state->has_outer, &state->matched)) {
            *found = true;
            return ERR_OK;
        }
    }
}

static void
merge_close(struct task *task, struct exec *x, struct node *node)
{
    (void)x;
    struct merge_state *state = (struct merge_state *)(void *)node;
    store_destroy(task, &state->group);
    arena_destroy(&state->group_memory);
    arena_destroy(&state->keys);
    arena_destroy(&state->ahead);
}

const struct node_kind exec__merge_join = {.state_size = sizeof(struct merge_state),
    .start = merge_start,
    .next = merge_next,
    .close = merge_close};
