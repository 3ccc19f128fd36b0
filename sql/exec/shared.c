/*
 * sql/exec/shared.c - WITH queries that run once, and recursive ones.
 *
 * Their rows are kept in a store as they are asked for, by whoever comes first; everybody who reads
 * them has a cursor of his own. So a recursive query that never ends can be read as far as a LIMIT
 * wants it.
 */
#include "sql/exec/exec_internal.h"

/* ---- the rows of a query --------------------------------------------------------------------- */

static enum err
begin(struct task *task, struct exec *x, const struct shared_code *code)
{
    struct shared_state *state = &x->shared[code->number];
    if (state->outside != NULL && exec__same_outside(x, &code->external, state->outside)) {
        return ERR_OK;
    }
    if (state->store.context == NULL) {
        store_create(&state->store, &x->spill, row_form_of(&code->columns));
    }
    store_clear(task, &state->store);
    arena_reset(&state->memory);
    state->outside = exec__save(&state->memory, x->machine.frame, &code->external);
    state->complete = false;
    return exec__start(task, x, x->nodes[code->root->number]);
}

/* One more row into the store, if there is one. */
static enum err
fetch(struct task *task, struct exec *x, const struct shared_code *code)
{
    struct shared_state *state = &x->shared[code->number];
    bool found = false;
    TRY(exec__next(task, x, x->nodes[code->root->number], &found));
    if (!found) {
        state->complete = true;
        return ERR_OK;
    }
    TRY(store_add(task, &state->store, x->machine.frame, code->columns.regs));
    return exec__hold(x, &state->held, store_memory(&state->store));
}

enum err
exec__shared_finish(struct task *task, struct exec *x, uint32_t number)
{
    const struct shared_code *code = x->program->shared[number];
    TRY(begin(task, x, code));
    while (!x->shared[number].complete) {
        TRY(fetch(task, x, code));
    }
    return ERR_OK;
}

void
exec__shared_close(struct task *task, struct exec *x)
{
    for (uint32_t i = 0; i < x->program->shared_count; i++) {
        struct shared_state *state = &x->shared[i];
        if (state->store.context != NULL) {
            store_destroy(task, &state->store);
            arena_destroy(&state->memory);
        }
    }
}

/* ---- the last round of a recursive query ----------------------------------------------------- */

struct recursive_state {
    struct node node;
    struct store rounds[2]; /* the rows of the last round, and of this one */
    int last;
    struct hash_table seen; /* UNION */
    struct arena seen_memory;
    struct datum *row;
    size_t held;
    bool created, stepping, ended;
};

struct seen {
    struct hash_entry entry;
    struct datum row[];
};

static struct store *
last_round(struct exec *x, const struct shared_code *code)
{
    struct recursive_state *state =
        (struct recursive_state *)(void *)x->shared[code->number].recursive;
    ASSERT(state != NULL);
    return &state->rounds[state->last];
}

static enum err
recursive_start(struct task *task, struct exec *x, struct node *node)
{
    struct recursive_state *state = (struct recursive_state *)(void *)node;
    const struct shared_code *code = node->code->shared.code;
    if (!state->created) {
        state->created = true;
        for (int i = 0; i < 2; i++) {
            store_create(&state->rounds[i], &x->spill, row_form_of(&code->columns));
        }
        state->row = arena_array(x->context.arena, code->columns.count + 1, sizeof *state->row);
    }
    x->shared[code->number].recursive = node;
    store_clear(task, &state->rounds[0]);
    store_clear(task, &state->rounds[1]);
    hash_table_clear(&state->seen);
    arena_reset(&state->seen_memory);
    state->last = 0;
    state->stepping = false;
    state->ended = false;
    struct datum *round = &x->machine.frame[code->plan->round];
    *round = datum_int(round->null ? 1 : round->i + 1);
    return exec__start(task, x, node->children[0]);
}

/* Whether UNION knows the row already; from now on it does. */
static bool
is_again(struct recursive_state *state, const struct shared_code *code)
{
    uint32_t count = code->columns.count;
    uint64_t hash = exec__hash_keys(code->plan->types, state->row, count);
    const struct hash_entry *entry = hash_table_first(&state->seen, hash);
    for (; entry != NULL; entry = entry->next) {
        const struct seen *seen = (const struct seen *)(const void *)entry;
        if (entry->hash == hash &&
            exec__equal_keys(code->plan->types, state->row, seen->row, count)) {
            return true;
        }
    }
    struct seen *seen = exec__save_keys(&state->seen_memory, offsetof(struct seen, row), state->row,
        code->columns.by_reference, count);
    hash_table_add(&state->seen, &seen->entry, hash);
    return false;
}

/* This round is over: its rows are what the next one reads. */
static enum err
next_round(struct task *task, struct exec *x, struct recursive_state *state)
{
    const struct shared_code *code = state->node.code->shared.code;
    struct store *old = &state->rounds[state->last];
    state->last ^= 1;
    store_clear(task, old);
    if (state->rounds[state->last].count == 0) {
        state->ended = true;
        return ERR_OK;
    }
    state->stepping = true;
    x->machine.frame[code->plan->round].i++;
    return exec__start(task, x, state->node.children[1]);
}

static enum err
recursive_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct recursive_state *state = (struct recursive_state *)(void *)node;
    const struct plan_node *plan = node->code->plan;
    const struct shared_code *code = node->code->shared.code;
    for (;;) {
        *found = false;
        if (state->ended) {
            return ERR_OK;
        }
        int side = state->stepping ? 1 : 0;
        TRY(task_breathe(task, x->context.diag));
        TRY(exec__next(task, x, node->children[side], found));
        if (!*found) {
            TRY(next_round(task, x, state));
            continue;
        }
        for (uint32_t i = 0; i < code->columns.count; i++) {
            state->row[i] = x->machine.frame[plan->recursive.inputs[side][i]];
        }
        if (!plan->recursive.all && is_again(state, code)) {
            continue;
        }
        TRY(store_add(task, &state->rounds[state->last ^ 1], state->row, NULL));
        for (uint32_t i = 0; i < code->columns.count; i++) {
            x->machine.frame[plan->recursive.base + i] = state->row[i];
        }
        return exec__hold(x, &state->held,
            store_memory(&state->rounds[0]) + store_memory(&state->rounds[1]) +
                arena_used(&state->seen_memory) + hash_table_memory(&state->seen));
    }
}

static void
recursive_close(struct task *task, struct exec *x, struct node *node)
{
    (void)x;
    struct recursive_state *state = (struct recursive_state *)(void *)node;
    if (state->created) {
        store_destroy(task, &state->rounds[0]);
        store_destroy(task, &state->rounds[1]);
        hash_table_destroy(&state->seen);
        arena_destroy(&state->seen_memory);
    }
}

const struct node_kind exec__recursive = {.state_size = sizeof(struct recursive_state),
    .start = recursive_start,
    .next = recursive_next,
    .close = recursive_close};

/* ---- reading --------------------------------------------------------------------------------- */

struct scan_state {
    struct node node;
    struct store_cursor cursor;
    uint64_t at;
};

static enum err
scan_start(struct task *task, struct exec *x, struct node *node)
{
    struct scan_state *state = (struct scan_state *)(void *)node;
    store_cursor_clear(&state->cursor);
    state->at = 0;
    return node->code->plan->shared.work ? ERR_OK : begin(task, x, node->code->shared.code);
}

static enum err
scan_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct scan_state *state = (struct scan_state *)(void *)node;
    const struct plan_node *plan = node->code->plan;
    const struct shared_code *code = node->code->shared.code;
    struct shared_state *shared = &x->shared[code->number];
    struct store *store = plan->shared.work ? last_round(x, code) : &shared->store;
    TRY(task_breathe(task, x->context.diag));
    if (!plan->shared.work && state->at == store->count && !shared->complete) {
        TRY(fetch(task, x, code));
    }
    *found = state->at < store->count;
    if (!*found) {
        return ERR_OK;
    }
    const struct datum *row;
    TRY(store_get(task, store, &state->cursor, state->at++, &row));
    memcpy(&x->machine.frame[plan->shared.base], row, code->columns.count * sizeof(struct datum));
    return ERR_OK;
}

static void
scan_close(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    store_cursor_clear(&((struct scan_state *)(void *)node)->cursor);
}

const struct node_kind exec__shared = {.state_size = sizeof(struct scan_state),
    .start = scan_start,
    .next = scan_next,
    .close = scan_close};
