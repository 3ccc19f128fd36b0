/* sql/exec/set.c - DISTINCT, UNION, INTERSECT, EXCEPT. */
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

/* ---- DISTINCT
 * ------------------------------------------------------------------------------------------ */

struct distinct_state {
    struct node node;
    struct arena memory[2]; /* hashed: the first only; sorted: the last row's keys, in turn */
    struct hash_table table;
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
    }
    arena_reset(&state->memory[0]);
    arena_reset(&state->memory[1]);
    hash_table_clear(&state->table);
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

static enum err
distinct_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct distinct_state *state = (struct distinct_state *)(void *)node;
    const struct node_code *code = node->code;
    uint32_t count = code->plan->distinct.key_count;
    for (;;) {
        TRY(exec__next(task, x, node->children[0], found));
        if (!*found) {
            return ERR_OK;
        }
        read_keys(x, state);
        uint64_t hash = exec__hash_keys(code->distinct.types, state->keys, count);
        if (find_row(&state->table, code->distinct.types, state->keys, count, hash) == NULL) {
            (void)add_row(&state->table, &state->memory[0], state->keys,
                code->distinct.by_reference, count, hash);
            return exec__hold(
                x, &state->held, arena_used(&state->memory[0]) + hash_table_memory(&state->table));
        }
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
    (void)task;
    (void)x;
    struct distinct_state *state = (struct distinct_state *)(void *)node;
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

/* ---- UNION, INTERSECT, EXCEPT
 * ------------------------------------------------------------------------ */

struct set_state {
    struct node node;
    struct arena memory;
    struct hash_table table;
    size_t held;
    int side;    /* UNION: the child that is read */
    bool loaded; /* INTERSECT, EXCEPT: the right side is in the table */
};

static enum err
set_start(struct task *task, struct exec *x, struct node *node)
{
    struct set_state *state = (struct set_state *)(void *)node;
    arena_reset(&state->memory);
    hash_table_clear(&state->table);
    state->side = 0;
    state->loaded = false;
    return exec__start(task, x, node->children[0]);
}

/* A child's row, moved into the result's registers. */
static enum err
read_side(struct task *task, struct exec *x, struct node *node, int side, bool *found)
{
    const struct plan_node *plan = node->code->plan;
    TRY(exec__next(task, x, node->children[side], found));
    for (uint32_t i = 0; *found && i < plan->set.column_count; i++) {
        x->machine.frame[plan->set.base + i] = x->machine.frame[plan->set.inputs[side][i]];
    }
    return ERR_OK;
}

static enum err
lookup(struct exec *x, struct set_state *state, bool add, struct seen_row **row, bool *is_new)
{
    const struct node_code *code = state->node.code;
    uint32_t count = code->plan->set.column_count;
    const struct datum *keys = &x->machine.frame[code->plan->set.base];
    uint64_t hash = exec__hash_keys(code->plan->set.types, keys, count);
    *row = find_row(&state->table, code->plan->set.types, keys, count, hash);
    *is_new = *row == NULL;
    if (*row != NULL || !add) {
        return ERR_OK;
    }
    *row = add_row(&state->table, &state->memory, keys, code->set.by_reference, count, hash);
    return exec__hold(
        x, &state->held, arena_used(&state->memory) + hash_table_memory(&state->table));
}

static enum err
union_next(struct task *task, struct exec *x, struct set_state *state, bool *found)
{
    struct node *node = &state->node;
    for (;;) {
        TRY(read_side(task, x, node, state->side, found));
        if (!*found) {
            if (state->side == 1) {
                return ERR_OK;
            }
            state->side = 1;
            TRY(exec__start(task, x, node->children[1]));
            continue;
        }
        if (node->code->plan->set.all) {
            return ERR_OK;
        }
        struct seen_row *row = NULL;
        bool is_new = false;
        TRY(lookup(x, state, true, &row, &is_new));
        if (is_new) {
            return ERR_OK;
        }
    }
}

static enum err
load_right(struct task *task, struct exec *x, struct set_state *state)
{
    TRY(exec__start(task, x, state->node.children[1]));
    for (;;) {
        bool found = false;
        TRY(read_side(task, x, &state->node, 1, &found));
        if (!found) {
            state->loaded = true;
            return ERR_OK;
        }
        struct seen_row *row = NULL;
        bool is_new = false;
        TRY(lookup(x, state, true, &row, &is_new));
        row->count++;
    }
}

/* Whether a row of the left side is in the result. */
static enum err
judge_left(struct exec *x, struct set_state *state, bool *gives)
{
    const struct plan_node *plan = state->node.code->plan;
    bool except = plan->set.kind == SET_EXCEPT;
    struct seen_row *row = NULL;
    bool is_new = false;
    TRY(lookup(x, state, except && !plan->set.all, &row, &is_new));
    bool on_right = row != NULL && row->count > 0;
    *gives = on_right != except;
    if (plan->set.all) {
        if (on_right) {
            row->count--; /* each row of the right side answers for one of the left */
        }
    } else if (*gives) {
        *gives = !row->given;
        row->given = true;
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
    if (!state->loaded) {
        TRY(load_right(task, x, state));
    }
    for (;;) {
        TRY(read_side(task, x, node, 0, found));
        if (!*found) {
            return ERR_OK;
        }
        bool gives = false;
        TRY(judge_left(x, state, &gives));
        if (gives) {
            return ERR_OK;
        }
    }
}

static void
set_close(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    struct set_state *state = (struct set_state *)(void *)node;
    arena_destroy(&state->memory);
    hash_table_destroy(&state->table);
}

const struct node_kind exec__set = {.state_size = sizeof(struct set_state),
    .start = set_start,
    .next = set_next,
    .close = set_close};
