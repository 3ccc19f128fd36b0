/* sql/exec/pass.c - rows of one child: FILTER, PROJECT, LIMIT, MATERIALIZE. */
#include "sql/exec/exec_internal.h"

static enum err
start_child(struct task *task, struct exec *x, struct node *node)
{
    return exec__start(task, x, node->children[0]);
}

/* ---- FILTER: the filter is everyone's, so nothing is left to do
 * ------------------------------------ */

static enum err
filter_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    return exec__next(task, x, node->children[0], found);
}

const struct node_kind exec__filter = {
    .state_size = sizeof(struct node), .start = start_child, .next = filter_next};

/* ---- PROJECT
 * ------------------------------------------------------------------------------------------ */

struct project_state {
    struct node node;
    struct arena row;
};

static enum err
project_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct project_state *state = (struct project_state *)(void *)node;
    TRY(exec__next(task, x, node->children[0], found));
    if (!*found) {
        return ERR_OK;
    }
    arena_reset(&state->row);
    return exec__evaluate_code(x, &node->code->project.targets, &state->row);
}

static void
project_close(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    arena_destroy(&((struct project_state *)(void *)node)->row);
}

const struct node_kind exec__project = {.state_size = sizeof(struct project_state),
    .start = start_child,
    .next = project_next,
    .close = project_close};

/* ---- LIMIT
 * ------------------------------------------------------------------------------------------- */

struct limit_state {
    struct node node;
    int64_t left; /* rows still to give; -1: no limit */
    int64_t skip;
    bool begun;
    bool last_given;     /* WITH TIES: the others must be equal to the last one, whose keys are */
    struct datum *last;  /* these .. */
    struct arena memory; /* .. and live here */
};

static enum err
limit_start(struct task *task, struct exec *x, struct node *node)
{
    struct limit_state *state = (struct limit_state *)(void *)node;
    state->begun = false;
    state->last_given = false;
    arena_reset(&state->memory);
    return exec__start(task, x, node->children[0]);
}

static enum err
limit_value(struct exec *x, const struct code *code, struct datum *value)
{
    struct arena_mark mark = arena_mark(&x->temp);
    enum err err = exec__evaluate_code(x, code, &x->temp);
    arena_rewind(&x->temp, mark); /* a bigint needs no memory */
    *value = x->machine.frame[code->result];
    return err;
}

static enum err
limit_begin(struct exec *x, struct limit_state *state)
{
    const struct node_code *code = state->node.code;
    struct datum value = datum_null();
    state->skip = 0;
    if (code->limit.has_offset) {
        TRY(limit_value(x, &code->limit.offset, &value));
        if (!value.null && value.i < 0) {
            return diag_set(x->context.diag, ERR_INVALID_ROW_OFFSET, "OFFSET must not be negative");
        }
        state->skip = value.null ? 0 : value.i;
    }
    state->left = -1;
    if (code->limit.has_count) {
        TRY(limit_value(x, &code->limit.count, &value));
        if (!value.null && value.i < 0) {
            return diag_set(x->context.diag, ERR_INVALID_ROW_LIMIT, "LIMIT must not be negative");
        }
        state->left = value.null ? -1 : value.i;
    }
    return ERR_OK;
}

static void
keep_last(struct exec *x, struct limit_state *state)
{
    const struct plan_node *plan = state->node.code->plan;
    state->last = arena_array(&state->memory, plan->limit.tie_count, sizeof *state->last);
    for (uint32_t i = 0; i < plan->limit.tie_count; i++) {
        const struct plan_sort_key *key = &plan->limit.ties[i];
        state->last[i] = datum_copy(&state->memory, key->type, x->machine.frame[key->reg]);
    }
    state->last_given = true;
}

/* The next row, if it is equal to the last one that was asked for. */
static enum err
limit_tie(struct task *task, struct exec *x, struct limit_state *state, bool *found)
{
    const struct plan_node *plan = state->node.code->plan;
    if (state->last == NULL) {
        return ERR_OK;
    }
    TRY(exec__next(task, x, state->node.children[0], found));
    for (uint32_t i = 0; *found && i < plan->limit.tie_count; i++) {
        const struct plan_sort_key *key = &plan->limit.ties[i];
        const struct key_code as = {.type = key->type};
        *found = exec__compare_key(&as, &x->machine.frame[key->reg], &state->last[i]) == 0;
    }
    state->last = *found ? state->last : NULL;
    return ERR_OK;
}

static enum err
limit_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct limit_state *state = (struct limit_state *)(void *)node;
    if (!state->begun) {
        state->begun = true;
        TRY(limit_begin(x, state));
    }
    *found = false;
    if (state->last_given) {
        return limit_tie(task, x, state, found);
    }
    if (state->left == 0) {
        return ERR_OK;
    }
    do {
        TRY(exec__next(task, x, node->children[0], found));
        if (!*found) {
            state->left = 0;
            return ERR_OK;
        }
    } while (state->skip-- > 0);
    state->skip = 0;
    state->left -= state->left > 0 ? 1 : 0;
    if (state->left == 0 && node->code->plan->limit.tie_count > 0) {
        keep_last(x, state);
    }
    return ERR_OK;
}

static void
limit_close(struct task *task, struct exec *x, struct node *node)
{
    (void)task;
    (void)x;
    arena_destroy(&((struct limit_state *)(void *)node)->memory);
}

const struct node_kind exec__limit = {.state_size = sizeof(struct limit_state),
    .start = limit_start,
    .next = limit_next,
    .close = limit_close};

/* ---- MATERIALIZE
 * ------------------------------------------------------------------------------------- */

/* Restarted, it gives the same rows again without asking its child, as long as the registers that
 * the child reads from outside have kept their values (E7). */

static bool
same_value(struct datum a, struct datum b, bool by_reference)
{
    if (a.null || b.null) {
        return a.null == b.null;
    }
    if (!by_reference) {
        return a.i == b.i;
    }
    return a.size == b.size && (a.size == 0 || memcmp(a.p, b.p, a.size) == 0);
}

bool
exec__same_outside(const struct exec *x, const struct reg_list *external, const struct datum *kept)
{
    for (uint32_t i = 0; i < external->count; i++) {
        if (!same_value(x->machine.frame[external->regs[i]], kept[i], external->by_reference[i])) {
            return false;
        }
    }
    return true;
}

static enum err
materialize_start(struct task *task, struct exec *x, struct node *node)
{
    struct materialize_state *state = (struct materialize_state *)(void *)node;
    const struct node_code *code = node->code;
    if (state->begun && exec__same_outside(x, &code->external, state->outside)) {
        store_rewind(&state->store);
        return ERR_OK;
    }
    if (!state->begun) {
        store_create(&state->store, &x->spill, row_form_of(&code->saved));
    }
    store_clear(task, &state->store);
    arena_reset(&state->memory);
    state->begun = true;
    state->complete = false;
    state->outside = exec__save(&state->memory, x->machine.frame, &code->external);
    return exec__start(task, x, node->children[0]);
}

static enum err
materialize_next(struct task *task, struct exec *x, struct node *node, bool *found)
{
    struct materialize_state *state = (struct materialize_state *)(void *)node;
    const struct reg_list *saved = &node->code->saved;
    const struct datum *row = NULL;
    TRY(task_breathe(task, x->context.diag));
    TRY(store_next(task, &state->store, &row));
    *found = row != NULL;
    if (*found) {
        exec__restore(x->machine.frame, saved, row);
        return ERR_OK;
    }
    if (state->complete) {
        return ERR_OK;
    }
    TRY(exec__next(task, x, node->children[0], found));
    if (!*found) {
        state->complete = true;
        return ERR_OK;
    }
    TRY(store_add(task, &state->store, x->machine.frame, saved->regs));
    store_skip_all(&state->store);
    return exec__hold(x, &state->held, store_memory(&state->store));
}

static void
materialize_close(struct task *task, struct exec *x, struct node *node)
{
    (void)x;
    struct materialize_state *state = (struct materialize_state *)(void *)node;
    store_destroy(task, &state->store);
    arena_destroy(&state->memory);
}

const struct node_kind exec__materialize = {.state_size = sizeof(struct materialize_state),
    .start = materialize_start,
    .next = materialize_next,
    .close = materialize_close};
